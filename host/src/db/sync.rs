//! What a sync writes: each page in one transaction with everything that follows from it.
//!
//! Objects, columns, counters, change rows, what was seen, the job's counts and the task's new cursor change together or not
//! at all. So a kill between two pages leaves a job whose tasks say exactly what is left, and a kill inside one leaves the
//! page to be read again. A write whose claim is void, or whose connection or object is gone, changes nothing (D43); one for
//! a task that is done already changes nothing either, so that every write is safe to repeat.

mod columns;
mod draft;
mod exclusion;
mod inventory;
mod judge;
mod lately;
mod ledger;
mod listing;
mod partitions;
mod place;
mod relocate;
mod weigh;

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Db,
    fault::{Fault, Stop},
    jobs::ClaimError,
    tables::WriteRows,
};
use crate::model::{
    job::{Claim, Task, Work},
    page::{ObjectError, Page, Partition, Presence},
};
pub(super) use columns::lists_for_columns;
pub(super) use draft::is_readable as is_readable_draft;
pub(super) use judge::{AbsentRow, VerdictRow};
use ledger::Ledger;

/// What goes with every write of a worker.
#[derive(Clone, Debug)]
pub struct Step {
    /// Whose write it is.
    pub claim: Claim,
    /// The task that it advances.
    pub task: u64,
    /// Whether the connector's remote ids tell objects apart in the whole connection (D38).
    pub remote_ids_unique: bool,
    /// Whether the connector can be asked for columns by name; others deliver them with every page.
    pub columns_by_name: bool,
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
    pub async fn apply_plan(&self, step: Step, partitions: Vec<Partition>) -> Result<Advanced, ClaimError> {
        self.step("apply a plan", step, move |ledger| {
            if matches!(ledger.task.work, Work::Plan { .. }) {
                ledger.tell_left_out()?;
                for partition in partitions {
                    ledger.admit(partition, None)?;
                }
            }
            Ok(None)
        })
        .await
    }

    /// Applies a page of a `Read` task.
    pub async fn apply_page(&self, step: Step, page: Page) -> Result<Advanced, ClaimError> {
        self.step("apply a page", step, move |ledger| ledger.read_page(page)).await
    }

    /// Applies a page of a `Columns` task. Names that it answers, by an object or an error, are done; when the task
    /// ends, names left over keep their columns and are reported.
    pub async fn apply_columns(&self, step: Step, page: Page) -> Result<Advanced, ClaimError> {
        self.step("apply columns", step, move |ledger| ledger.columns_page(page)).await
    }

    /// Replaces a `Columns` task, and all others about its container, by a listing of the container that carries columns, from
    /// these partitions of a new plan: for a connector that cannot read columns by name.
    pub async fn apply_listing_of_columns(
        &self,
        step: Step,
        partitions: Vec<Partition>,
    ) -> Result<Advanced, ClaimError> {
        self.step("list a container for its columns", step, move |ledger| ledger.list_for_columns(partitions)).await
    }

    /// Applies the answers to a `Confirm` task, one for each of its candidates: what is absent becomes missing.
    pub async fn apply_presence(&self, step: Step, presences: Vec<Presence>) -> Result<Advanced, ClaimError> {
        self.step("apply a second look", step, move |ledger| ledger.confirm(&presences)).await
    }

    /// Replaces a `Confirm` task by a second listing of its container, from these partitions of a new plan.
    pub async fn apply_second_look(&self, step: Step, partitions: Vec<Partition>) -> Result<Advanced, ClaimError> {
        self.step("begin a second look", step, move |ledger| ledger.look_again(partitions)).await
    }

    /// A step failed for now: the task is tried again after `delay`, from its cursor, or, where that is stale, from its
    /// beginning.
    pub async fn defer_task(&self, step: Step, delay: Duration, restart: bool) -> Result<Advanced, ClaimError> {
        self.step("defer a task", step, move |ledger| {
            let mut task = ledger.task.clone();
            task.failures += 1;
            task.not_before = ledger.step.now.checked_add(delay).ok();
            if restart {
                task.restarts += 1;
                task.cursor = None;
            }
            Ok(Some(task))
        })
        .await
    }

    /// A task cannot be done: it is dropped and reported; its container stays unlisted, so nothing in it goes missing.
    pub async fn fail_task(&self, step: Step, error: ObjectError) -> Result<Advanced, ClaimError> {
        self.step("give up a task", step, move |ledger| ledger.give_up(error)).await
    }

    /// Runs one step of a task in its transaction. What `advance` returns is the task as it goes on; none ends it.
    async fn step(
        &self,
        operation: &'static str,
        step: Step,
        advance: impl FnOnce(&mut Ledger<'_, '_>) -> Result<Option<Task>, Fault> + Clone + Send + 'static,
    ) -> Result<Advanced, ClaimError> {
        self.work(operation, move |rows: &mut WriteRows<'_>| -> Result<Advanced, Stop<ClaimError>> {
            let Some(mut ledger) = Ledger::open(rows, step)? else { return Ok(Advanced::default()) };
            let task = advance(&mut ledger)?;
            Ok(ledger.close(task)?)
        })
        .await
    }
}
