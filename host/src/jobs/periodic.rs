//! The two loops that follow the clock: syncs that are due, and jobs that have been kept long enough.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{Context, scheduler::time_until};

/// Longest sleep between two looks at the clock: it may have been set.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// How often old jobs are looked for.
const FORGET_EVERY: Duration = Duration::from_secs(600);

/// Rows of old jobs that are removed in one transaction.
const FORGET_AT_ONCE: usize = 1000;

/// Queues the syncs of connections that are due, until the shutdown. What was missed while no host ran is queued by the
/// first look, once.
pub(super) async fn run(context: Context, shutdown: CancellationToken) {
    let changed = context.db.jobs_changed();
    loop {
        // Enrolled before the store is read, so that a schedule that is changed meanwhile wakes us.
        let notified = changed.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        let now = context.clock.now();
        let sleep = match context.db.queue_due_syncs(now).await {
            Ok(next) => next.map_or(LONGEST_SLEEP, |next| time_until(next, now).min(LONGEST_SLEEP)),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "due syncs could not be queued");
                LONGEST_SLEEP
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = notified => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

/// Removes jobs that ended so many days ago, in small transactions between which others write.
pub(super) async fn forget(context: Context, shutdown: CancellationToken) {
    loop {
        let now = context.clock.now();
        let kept = SignedDuration::from_hours(24 * i64::from(context.options.keep_days));
        let before = now.checked_sub(kept).unwrap_or(Timestamp::MIN);
        match context.db.forget_jobs(before, FORGET_AT_ONCE).await {
            Ok(true) if !shutdown.is_cancelled() => continue,
            Ok(_) => {}
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "old jobs could not be removed"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(FORGET_EVERY) => {}
        }
    }
}
