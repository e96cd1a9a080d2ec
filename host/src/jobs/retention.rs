//! Forgets what has been kept long enough: jobs that ended, changes, and entries of the audit.

use std::{error::Error, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::Context;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(600);

/// Rows of old jobs that are removed in one transaction, about.
const JOBS_AT_ONCE: usize = 1000;

/// Old changes that are removed in one transaction, about.
const CHANGES_AT_ONCE: usize = 5000;

/// Old entries of the audit that are removed in one transaction.
const ENTRIES_AT_ONCE: usize = 5000;

/// Removes them now and then, in small transactions between which others write.
pub(super) async fn run(context: Context, shutdown: CancellationToken) {
    loop {
        jobs(&context, &shutdown).await;
        changes(&context, &shutdown).await;
        entries(&context, &shutdown).await;
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Removes jobs that ended so many days ago.
async fn jobs(context: &Context, shutdown: &CancellationToken) {
    let before = days_ago(context, context.options.keep_jobs_days);
    while !shutdown.is_cancelled() {
        match context.db.forget_jobs(before, JOBS_AT_ONCE).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return tracing::error!(error = &error as &dyn Error, "old jobs could not be removed"),
        }
    }
}

/// Removes changes of so many days ago.
async fn changes(context: &Context, shutdown: &CancellationToken) {
    let before = days_ago(context, context.options.keep_changes_days);
    while !shutdown.is_cancelled() {
        match context.db.forget_changes(before, CHANGES_AT_ONCE).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return tracing::error!(error = &error as &dyn Error, "old changes could not be removed"),
        }
    }
}

/// Removes entries of the audit of so many days ago.
async fn entries(context: &Context, shutdown: &CancellationToken) {
    let before = days_ago(context, context.options.keep_audit_days);
    while !shutdown.is_cancelled() {
        match context.db.forget_audit(before, ENTRIES_AT_ONCE).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                return tracing::error!(error = &error as &dyn Error, "old entries of the audit could not be removed");
            }
        }
    }
}

/// The time so many days ago. Before all times there is nothing to remove.
fn days_ago(context: &Context, days: u32) -> Timestamp {
    let kept = SignedDuration::from_hours(24 * i64::from(days));
    context.clock.now().checked_sub(kept).unwrap_or(Timestamp::MIN)
}
