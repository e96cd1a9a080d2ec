//! The loop that claims due jobs and gives each to a worker, and the one that does what was decided at once and takes long.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Context, worker};
use crate::{
    db::{Db, jobs::JobEnd},
    model::job::{Claim, JobError},
};

/// Longest sleep between two looks into the store: a wake-up that got lost costs no more than this.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// Objects that one transaction gives back, or decides about.
const RECLAIM_AT_ONCE: usize = 2000;

/// Claims and runs jobs until the shutdown.
pub(super) async fn run(context: Context, shutdown: CancellationToken) {
    let changed = context.db.jobs_changed();
    let mut workers = JoinSet::new();
    let mut claims = HashMap::new();
    loop {
        // Enrolled before the store is read, so that what is queued meanwhile wakes us.
        let notified = changed.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();

        let mut sleep = LONGEST_SLEEP;
        if workers.len() < context.options.jobs {
            match context.db.claim_job(context.clock.now()).await {
                Ok(Some(claimed)) => {
                    let claim = claimed.claim;
                    let worker = workers.spawn(worker::run(context.clone(), claimed, shutdown.clone()));
                    claims.insert(worker.id(), claim);
                    continue;
                }
                Ok(None) => sleep = until_due(&context).await,
                Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "jobs could not be claimed"),
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = notified => {}
            Some(ended) = workers.join_next_with_id(), if !workers.is_empty() => match ended {
                Ok((worker, ())) => {
                    claims.remove(&worker);
                }
                Err(error) => {
                    if let Some(claim) = claims.remove(&error.id()) {
                        fail(&context, claim, &error).await;
                    }
                }
            },
            () = tokio::time::sleep(sleep) => {}
        }
    }
    // Workers see the same token; what a worker is writing is written to its end.
    while workers.join_next().await.is_some() {}
}

/// A worker panicked: its job is not left claimed, or nothing of its connection could be synced until a restart.
async fn fail(context: &Context, claim: Claim, panic: &JoinError) {
    tracing::error!(job.id = %claim.job, error = panic as &dyn std::error::Error, "a worker panicked; its job is given up");
    let error = JobError { code: "internal".into(), message: "the host failed at this job; see its log".into() };
    if let Err(error) = context.db.end_job(claim, JobEnd::Failed(error), context.clock.now()).await {
        tracing::error!(error = &error as &dyn std::error::Error, "the end of the job could not be recorded");
    }
}

/// Gives back rows of deleted subtrees, and carries out what people have decided about holds, in small transactions between
/// which others write.
pub(super) async fn reclaim(db: Db, shutdown: CancellationToken) {
    let changed = db.jobs_changed();
    loop {
        let notified = changed.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        let reclaimed = db.reclaim(RECLAIM_AT_ONCE).await;
        let decided = db.carry_out_decisions(RECLAIM_AT_ONCE).await;
        let is_more = matches!(reclaimed, Ok(true)) || matches!(decided, Ok(true));
        for (done, failed) in
            [(reclaimed, "deleted rows could not be given back"), (decided, "a decision could not be carried out")]
        {
            if let Err(error) = done {
                tracing::error!(error = &error as &dyn std::error::Error, "{failed}");
            }
        }
        if is_more && !shutdown.is_cancelled() {
            continue;
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = notified => {}
            () = tokio::time::sleep(LONGEST_SLEEP * 12) => {}
        }
    }
}

async fn until_due(context: &Context) -> Duration {
    match context.db.next_due().await {
        Ok(Some(due)) => time_until(due, context.clock.now()).clamp(Duration::from_millis(10), LONGEST_SLEEP),
        _ => LONGEST_SLEEP,
    }
}

/// How long until `then`; nothing when it is past.
pub(super) fn time_until(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or(Duration::ZERO)
}
