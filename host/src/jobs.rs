//! Work in the background: claims due jobs and carries them out.
//!
//! Everything it needs to know stands in the store; a wake-up carries no data, so after a crash the loop goes on from
//! the store alone. It knows connectors and the store, and neither HTTP nor who asked.

mod periodic;
mod retention;
mod scheduler;
mod sync;
mod worker;

use std::sync::Arc;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock::Clock,
    connector::Connectors,
    db::Db,
    egress::{session::Egress, vault::Vault},
};

/// What jobs work with.
#[derive(Clone)]
pub struct Context {
    /// The store.
    pub db: Db,
    /// The connectors that are installed.
    pub connectors: Connectors,
    /// The way out.
    pub egress: Egress,
    /// Opens the secrets of connections.
    pub vault: Arc<Vault>,
    /// Tells the time.
    pub clock: Clock,
    /// How much at once.
    pub options: Options,
}

/// How much is done at once.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Jobs that run at the same time.
    pub jobs: usize,
    /// Parts of one sync that are read at the same time; its requests have a limit of their own, per connection.
    pub tasks_per_job: usize,
    /// Days for which jobs that have ended are kept.
    pub keep_jobs_days: u32,
    /// Days that changes are kept.
    pub keep_changes_days: u32,
    /// Days that entries of the audit are kept.
    pub keep_audit_days: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { jobs: 4, tasks_per_job: 8, keep_jobs_days: 90, keep_changes_days: 365, keep_audit_days: 400 }
    }
}

/// Begins to work. Ends when `shutdown` is cancelled: what was under way is gone on with at the next start.
pub fn start(context: Context, shutdown: CancellationToken, tasks: &TaskTracker) {
    tasks.spawn(scheduler::reclaim(context.db.clone(), shutdown.clone()));
    tasks.spawn(periodic::run(context.clone(), shutdown.clone()));
    tasks.spawn(retention::run(context.clone(), shutdown.clone()));
    tasks.spawn(scheduler::run(context, shutdown));
}
