//! Forgets what is older than it has to be kept, now and then.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::Context;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(600);

/// Changes that are dropped in one transaction, about.
const AT_ONCE: usize = 5000;

/// Drops changes that are kept no more, in small transactions between which others write.
pub(super) async fn run(context: Context, shutdown: CancellationToken) {
    loop {
        let keep = SignedDuration::from_hours(24 * i64::from(context.options.keep_changes_days));
        // Before all times there is nothing to drop.
        let before = context.clock.now().checked_sub(keep).unwrap_or(Timestamp::MIN);
        match context.db.prune_changes(before, AT_ONCE).await {
            Ok(true) if !shutdown.is_cancelled() => continue,
            Ok(_) => {}
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "old changes could not be dropped")
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
