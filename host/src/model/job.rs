//! Persisted work: its states, and what a sync has counted.

use std::{collections::BTreeMap, fmt, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    hold::{Hold, Verdict},
    id::{BulkId, ConnectionId, Incarnation, JobId, ObjectId},
    page::{Cursor, ObjectError, Partition},
    path::{ObjectPath, RemotePath},
    spread::spread,
};

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waits to be claimed.
    Created,
    /// Claimed.
    Active,
    /// Failed for now; waits until it is due again.
    Retry,
    /// Done.
    Completed,
    /// Given up.
    Failed,
    /// Stopped by a person, or because its object was deleted.
    Cancelled,
    /// Not begun within 24 hours.
    Expired,
}

impl JobState {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled | Self::Expired)
    }

    /// The text of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Active => "active",
            Self::Retry => "retry",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum JobType {
    /// Makes the inventory below an object match the platform.
    ObjectSync {
        /// Also scan disabled objects.
        force_recursive: bool,
        /// Only computes what it would change.
        dry_run: bool,
    },
    /// Stands for a change of settings: ends with the syncs that follow from it, at once where there are none.
    SettingsChange,
    /// Stands for syncs that were asked for together, and ends with the last of them.
    SyncGroup,
}

/// Why a job was queued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// Somebody asked for it.
    #[default]
    Request,
    /// A connection was registered.
    Registration,
    /// Settings were changed.
    Settings,
    /// It was time.
    Schedule,
    /// A version of the connector is compared with what is stored.
    Comparison,
}

impl Trigger {
    /// The text of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Registration => "registration",
            Self::Settings => "settings",
            Self::Schedule => "schedule",
            Self::Comparison => "comparison",
        }
    }
}

impl JobType {
    /// Whether it only computes what it would change.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        matches!(self, Self::ObjectSync { dry_run: true, .. })
    }

    /// Whether it stands for other jobs, and does nothing itself.
    #[must_use]
    pub fn is_group(&self) -> bool {
        match self {
            Self::ObjectSync { .. } => false,
            Self::SettingsChange | Self::SyncGroup => true,
        }
    }

    /// The text of the API.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::ObjectSync { .. } => "objectSync",
            Self::SettingsChange => "settingsChange",
            Self::SyncGroup => "objectSyncGroup",
        }
    }
}

/// Who works on a job. A worker's writes carry it, and a write whose claim is no longer the job's is refused (D43).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The job.
    pub job: JobId,
    /// The run of the host that claimed it.
    pub incarnation: Incarnation,
    /// Counts the claims of the job.
    pub epoch: u64,
}

/// What a sync has done so far. Counts per object type where the API tells them per level.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncCounts {
    /// Objects that pages carried, each once also where a container was looked at again.
    pub seen: BTreeMap<String, u64>,
    /// Objects found for the first time.
    pub added: BTreeMap<String, u64>,
    /// Objects of which something changed.
    pub changed: BTreeMap<String, u64>,
    /// Objects marked missing.
    pub missing: BTreeMap<String, u64>,
    /// Objects that were missing or left out by the connector, and are there again.
    pub returned: BTreeMap<String, u64>,
    /// Objects that pages carried and that are left out (D41). What a connector does not even ask for is not among them.
    pub excluded: BTreeMap<String, u64>,
    /// Columns found on known tables, or with new ones.
    pub columns_added: u64,
    /// Columns whose type or nullability changed.
    pub columns_changed: u64,
    /// Columns that are gone.
    pub columns_deleted: u64,
    /// Per-object errors; the list itself is bounded, this is not.
    pub errors: u64,
    /// Containers that were not descended into because nothing in them is enabled (D37).
    pub skipped: u64,
    /// Pages applied.
    pub pages: u64,
    /// Requests sent to the platform, retries included.
    pub requests: u64,
    /// Bytes of the platform's answers, as they came.
    pub bytes: u64,
    /// Partitions known so far.
    pub partitions: u64,
    /// Partitions done.
    pub partitions_done: u64,
    /// Objects that are proved to be absent and held back (D33). The store keeps it apart.
    #[serde(skip)]
    pub held: u64,
}

/// A job as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The job.
    pub id: JobId,
    /// Asked for together with others.
    pub bulk: BulkId,
    /// What it does.
    pub job_type: JobType,
    /// Why it was queued.
    pub trigger: Trigger,
    /// The job that stands for it and others.
    pub parent: Option<JobId>,
    /// About how many objects it will see, where that is known.
    pub expected: Option<u64>,
    /// Of a dry run: changes that it has found, of which it lists the first [`MAX_LISTED_CHANGES`].
    pub found: Option<u64>,
    /// Of a dry run: what its sync would hold back, and why.
    pub would_hold: Vec<Verdict>,
    /// The connection it works on.
    pub connection: ConnectionId,
    /// The object it was asked for.
    pub object: ObjectId,
    /// Where the object was when the job was asked for: for people.
    pub object_path: ObjectPath,
    /// Where it stands.
    pub state: JobState,
    /// Who works on it, while it is active.
    pub claim: Option<Claim>,
    /// Claims so far.
    pub epoch: u64,
    /// Attempts that failed so far.
    pub failures: u32,
    /// Not before this time.
    pub due_at: Timestamp,
    /// What it has counted.
    pub counts: SyncCounts,
    /// What it holds back, as far as no later sync has judged it again and nobody has decided.
    pub holds: Vec<Hold>,
    /// The connector that did it, as name and version.
    pub connector: Option<String>,
    /// Why it failed, when it did.
    pub error: Option<JobError>,
    /// The first per-object errors, at most [`MAX_JOB_ERRORS`].
    pub object_errors: Vec<ObjectError>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was first claimed.
    pub started_at: Option<Timestamp>,
    /// When it reached a final state.
    pub ended_at: Option<Timestamp>,
}

/// How many of the changes that it has found a dry run lists.
pub const MAX_LISTED_CHANGES: u64 = 100_000;

/// How many per-object errors a job lists.
pub const MAX_JOB_ERRORS: usize = 1000;

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    /// What kind of failure.
    pub code: String,
    /// One sentence for people.
    pub message: String,
}

/// A part of a sync, persisted with the page that brought it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Tells it from the other tasks of its job; in order of creation.
    pub number: u64,
    /// What to do.
    pub work: Work,
    /// Where to go on.
    pub cursor: Option<Cursor>,
    /// Not before this time.
    pub not_before: Option<Timestamp>,
    /// Failures of its current step.
    pub failures: u32,
    /// How often it was begun again because its cursor could not be read.
    pub restarts: u32,
    /// Pages in a row that brought nothing.
    pub idle: u32,
}

impl Task {
    /// A task that has not begun.
    #[must_use]
    pub fn new(number: u64, work: Work) -> Self {
        Self { number, work, cursor: None, not_before: None, failures: 0, restarts: 0, idle: 0 }
    }
}

/// What a task does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Work {
    /// Asks the connector where to begin.
    Plan {
        /// The container to list.
        scope: RemotePath,
    },
    /// Reads the pages of a partition.
    Read {
        /// What to read.
        partition: Partition,
        /// Whether tables shall carry their columns.
        want_columns: bool,
        /// Second listing of one container, to prove an absence (D36): brings no further partitions.
        second_look: bool,
    },
    /// Reads the columns of named objects.
    Columns {
        /// The container of the objects.
        scope: RemotePath,
        /// Their namespace.
        namespace: String,
        /// Their names.
        names: Vec<String>,
    },
    /// Asks again for children that a complete listing did not have (D36).
    Confirm {
        /// The container that was listed.
        scope: RemotePath,
        /// The namespace of the children.
        namespace: String,
        /// As whom it was listed.
        basis: String,
        /// The children that were not in it.
        candidates: Vec<ObjectId>,
        /// Their names, in the same order.
        names: Vec<String>,
        /// Whether asking by name can tell. It cannot where another object has taken the name of a candidate: then
        /// the container must be listed a second time.
        by_name: bool,
    },
    /// Decides about what the job has proved to be absent: its last task, and the only one that asks no connector (D33).
    Judge,
}

/// How long to wait after the nth failure in a row: 1 s, 2 s, 4 s, … up to 5 minutes, less up to a half. How much less
/// follows from `whose` and the number of the failure: what failed together is not tried again together.
#[must_use]
pub fn retry_delay(failures: u32, whose: u128) -> Duration {
    let most = 1_u64.checked_shl(failures.saturating_sub(1).min(16)).unwrap_or(300).min(300) * 1000;
    let less = spread(whose.wrapping_add(u128::from(failures))) % (most / 2 + 1);
    Duration::from_millis(most - less)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_is_bounded_and_is_spread() {
        for (failures, most) in [(0, 1), (1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (40, 300)] {
            let (most, delays) = (most as f64, (0..1000).map(|whose| retry_delay(failures, whose).as_secs_f64()));
            let (low, high) = delays.fold((f64::MAX, 0.0_f64), |(low, high), s| (low.min(s), high.max(s)));
            assert!(low >= most / 2.0 && low < most * 0.51, "{failures}: {low}");
            assert!(high <= most && high > most * 0.99, "{failures}: {high}");
        }
        assert_eq!(retry_delay(3, 7), retry_delay(3, 7));
    }
}
