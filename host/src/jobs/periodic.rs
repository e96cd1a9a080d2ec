//! The loop that follows the clock: syncs that are due.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Context, scheduler::time_until};

/// Longest sleep between two looks at the clock: it may have been set.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

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
