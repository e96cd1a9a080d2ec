//! What a sync writes: each page in one transaction with everything that follows from it.

use std::time::Duration;

use jiff::Timestamp;

use super::{Db, jobs::ClaimError};
use crate::model::{
    job::{Claim, Task},
    page::{ObjectError, Page, Partition, Presence},
};

/// What goes with every write of a worker.
#[derive(Clone, Debug)]
pub struct Step {
    /// Whose write it is.
    pub claim: Claim,
    /// The task that it advances.
    pub task: u64,
    /// Whether the connector's remote ids tell objects apart in the whole connection (D38).
    pub remote_ids_unique: bool,
    /// The connector, as name and version, for the job's output.
    pub connector: String,
    /// Requests and bytes that the step used.
    pub requests: u64,
    /// Bytes of the platform's answers.
    pub bytes: u64,
    /// The time.
    pub now: Timestamp,
}

/// What is left to do after a write.
#[derive(Clone, Debug, Default)]
pub struct Advanced {
    /// The task as it goes on; none when it is done.
    pub task: Option<Task>,
    /// Tasks that came up.
    pub added: Vec<Task>,
}

impl Db {
    /// Replaces a `Plan` task by the partitions that the connector named.
    pub async fn apply_plan(&self, _step: Step, _partitions: Vec<Partition>) -> Result<Advanced, ClaimError> {
        unimplemented!()
    }

    /// Applies a page of a `Read` task.
    pub async fn apply_page(&self, _step: Step, _page: Page) -> Result<Advanced, ClaimError> {
        unimplemented!()
    }

    /// Applies a page of a `Columns` task. Names that it answers, by an object or an error, are done; when the task
    /// ends, names left over keep their columns and are reported.
    pub async fn apply_columns(&self, _step: Step, _page: Page) -> Result<Advanced, ClaimError> {
        unimplemented!()
    }

    /// Applies the answers to a `Confirm` task, one for each of its candidates: what is absent becomes missing.
    pub async fn apply_presence(&self, _step: Step, _presences: Vec<Presence>) -> Result<Advanced, ClaimError> {
        unimplemented!()
    }

    /// Replaces a `Confirm` task by a second listing of its container, from these partitions of a new plan.
    pub async fn apply_second_look(&self, _step: Step, _partitions: Vec<Partition>) -> Result<Advanced, ClaimError> {
        unimplemented!()
    }

    /// A step failed for now: the task is tried again after `delay`, from its cursor, or, where that is stale, from its
    /// beginning.
    pub async fn defer_task(&self, _step: Step, _delay: Duration, _restart: bool) -> Result<Advanced, ClaimError> {
        unimplemented!()
    }

    /// A task cannot be done: it is dropped and reported; its container stays unlisted, so nothing in it goes missing.
    pub async fn fail_task(&self, _step: Step, _error: ObjectError) -> Result<Advanced, ClaimError> {
        unimplemented!()
    }
}
