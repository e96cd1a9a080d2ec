//! Jobs: queueing, claiming, ending.

use jiff::Timestamp;

use super::{Db, DbError, ObjectRef};
use crate::model::{
    connection::Connection,
    id::{BulkId, JobId},
    job::{Claim, Job, JobError, JobState, Task},
    path::RemotePath,
    sight::Sight,
};

/// Which jobs to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Asked for together.
    pub bulk: Option<BulkId>,
    /// Only in this state.
    pub state: Option<JobState>,
    /// Asked for at or after.
    pub from: Option<Timestamp>,
    /// Asked for before.
    pub to: Option<Timestamp>,
    /// Jobs to leave out at the beginning.
    pub offset: usize,
    /// Jobs to give at most.
    pub size: usize,
}

/// A job that this worker now owns, with all it needs to go on where it stands.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Goes with every write.
    pub claim: Claim,
    /// As it stands.
    pub job: Job,
    /// The account to work on.
    pub connection: Connection,
    /// What is synced: below the connection.
    pub scope: RemotePath,
    /// What is left to do, in order of creation.
    pub tasks: Vec<Task>,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub enum JobEnd {
    /// Everything was done.
    Completed,
    /// Given up.
    Failed(JobError),
    /// To be tried again.
    Retry {
        /// Not before.
        due_at: Timestamp,
        /// Why.
        error: JobError,
    },
}

/// A worker's write was refused.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The job is no longer this worker's: cancelled, claimed by another, or its object is deleted (D43).
    #[error("the job is no longer ours")]
    Lost,
    /// The store failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// How a cancellation went.
#[derive(Clone, Debug, PartialEq)]
pub enum Cancelled {
    /// It is cancelled now.
    Now(Box<Job>),
    /// It had ended before.
    HadEnded(JobState),
}

impl Db {
    /// Queues a sync of an object and everything below it. One that waits already and covers it with equal options is
    /// joined instead (D43). None where the caller does not wholly see the object.
    pub async fn enqueue_sync(
        &self,
        _sight: &Sight,
        _object: &ObjectRef,
        _force_recursive: bool,
        _now: Timestamp,
    ) -> Result<Option<Job>, DbError> {
        unimplemented!()
    }

    /// Jobs on objects that the caller sees.
    pub async fn jobs(&self, _sight: &Sight, _filter: JobFilter) -> Result<Vec<Job>, DbError> {
        unimplemented!()
    }

    /// One job, if its object is seen.
    pub async fn job(&self, _sight: &Sight, _id: JobId) -> Result<Option<Job>, DbError> {
        unimplemented!()
    }

    /// Stops a job; its worker's next write is refused.
    pub async fn cancel_job(&self, _sight: &Sight, _id: JobId, _now: Timestamp) -> Result<Option<Cancelled>, DbError> {
        unimplemented!()
    }

    /// Claims the job that is due and waits longest. Never one whose subtree overlaps that of an active job of the
    /// same connection. Jobs not begun within 24 h end as `expired` here.
    pub async fn claim_job(&self, _now: Timestamp) -> Result<Option<Claimed>, DbError> {
        unimplemented!()
    }

    /// When the next waiting job is due, if one waits.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, DbError> {
        unimplemented!()
    }

    /// Ends an attempt. A final end drops the job's tasks and seen rows.
    pub async fn end_job(&self, _claim: Claim, _end: JobEnd, _now: Timestamp) -> Result<Job, ClaimError> {
        unimplemented!()
    }

    /// Confirms that a job is still this worker's: the heartbeat of its lease, and how a worker notices that it was
    /// cancelled while a call takes long (D43).
    pub async fn renew_claim(&self, _claim: Claim) -> Result<(), ClaimError> {
        unimplemented!()
    }
}
