//! Jobs as JSON.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    api::holds::HoldJson,
    model::{
        hold::Verdict,
        id::{BulkId, JobId},
        job::{Job, JobState, MAX_LISTED_CHANGES, SyncCounts},
        name::Ident,
        page::ObjectError,
        path::ObjectPath,
    },
};

/// A job.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Job")]
pub struct JobJson {
    #[schemars(with = "String")]
    id: JobId,
    /// Jobs that were asked for together.
    #[schemars(with = "String")]
    bulk_id: BulkId,
    /// `objectSync`; `settingsChange` or `objectSyncGroup`, which stand for other jobs of their bulk and end with them.
    job_type: &'static str,
    /// `request`, `registration`, `settings`, `schedule`, or `comparison` of a version of the connector.
    trigger: &'static str,
    /// The job that stands for this one and others.
    #[schemars(with = "Option<String>")]
    parent_id: Option<JobId>,
    /// `created`, `active`, `retry`, `completed`, `failed`, `cancelled` or `expired`.
    #[schemars(with = "String")]
    state: JobState,
    /// What it was asked for.
    #[schemars(with = "Vec<String>")]
    object_path: ObjectPath,
    progress: Progress,
    output: Output,
    #[schemars(with = "String")]
    created_at: Timestamp,
    #[schemars(with = "Option<String>")]
    started_at: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    ended_at: Option<Timestamp>,
}

/// How far it is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Progress {
    /// Parts of the listing that are known so far.
    partitions: u64,
    /// Parts that are done.
    partitions_done: u64,
    /// Pages read.
    pages: u64,
    /// Objects seen.
    objects: u64,
    /// About how many it will see; null where that is not known.
    total_objects: Option<u64>,
}

/// What it did so far. Objects are counted by type.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Output {
    /// Whether it only computes the difference: then the counts below say what a sync would do, and nothing was changed.
    dry_run: bool,
    /// Of a dry run: changes that a sync would make, and how many of them `GET /jobs/{id}/changes` lists, at most 100 000.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<ChangesFound>,
    /// Of a dry run: what a sync would hold back, and why; what that is stands in the list of changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    would_hold: Option<Vec<WouldHold>>,
    /// Whether something was proved to be absent and not marked: a person decides about it.
    held: bool,
    /// How many objects; what lies in them is not counted.
    held_objects: u64,
    /// What is held, as far as no later sync has judged it again and nobody has decided.
    holds: Vec<HoldJson>,
    seen: BTreeMap<String, u64>,
    added: BTreeMap<String, u64>,
    changed: BTreeMap<String, u64>,
    missing: BTreeMap<String, u64>,
    returned: BTreeMap<String, u64>,
    /// Delivered, and left out by the connection's patterns or by the connector.
    excluded: BTreeMap<String, u64>,
    columns: ColumnCounts,
    /// Containers that were not looked into, because nothing in them is enabled.
    skipped: u64,
    /// How many objects could not be read.
    error_count: u64,
    /// The first of them.
    errors: Vec<ErrorAt>,
    /// Requests to the platform, repeats included.
    requests: u64,
    /// Bytes of its answers.
    bytes: u64,
    /// Name and version.
    connector: Option<String>,
    /// From the first claim to the end.
    duration_ms: Option<i64>,
    /// Attempts that failed.
    failures: u32,
    /// Why the last one did.
    error: Option<Failure>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ChangesFound {
    found: u64,
    listed: u64,
}

/// What a sync would hold back together.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct WouldHold {
    /// In or below which it is.
    #[schemars(with = "Vec<String>")]
    object_path: Vec<Ident>,
    /// Why, for people.
    cause: String,
    /// What may help, in the connector's words; null where it finds nothing lacking.
    hint: Option<String>,
    /// Tables and the like that are known where it would trip.
    known: u64,
    /// Those of them that would be missing.
    vanished: u64,
}

impl WouldHold {
    fn below(connection: &Ident, verdict: Verdict) -> Self {
        Self {
            object_path: std::iter::once(connection.clone()).chain(verdict.path.0).collect(),
            cause: verdict.cause,
            hint: (!verdict.hints.is_empty()).then(|| verdict.hints.join("\n")),
            known: verdict.known,
            vanished: verdict.vanished,
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct ColumnCounts {
    added: u64,
    changed: u64,
    deleted: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ErrorAt {
    /// Names from the connection's key down.
    #[schemars(with = "Vec<String>")]
    path: Vec<Ident>,
    code: String,
    message: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Failure {
    code: String,
    message: String,
}

impl JobJson {
    /// Which job.
    pub(super) fn id(&self) -> JobId {
        self.id
    }

    /// Where it stands.
    pub(super) fn state(&self) -> JobState {
        self.state
    }
}

impl From<Job> for JobJson {
    fn from(job: Job) -> Self {
        let duration_ms =
            job.started_at.zip(job.ended_at).map(|(from, to)| to.as_millisecond() - from.as_millisecond());
        let connection = job.object_path.connection().clone();
        let counts = job.counts;
        let dry_run = job.job_type.is_dry_run();
        Self {
            progress: Progress::of(&counts, job.expected),
            output: Output {
                dry_run,
                changes: job.found.map(|found| ChangesFound { found, listed: found.min(MAX_LISTED_CHANGES) }),
                held: counts.held > 0 && !dry_run,
                held_objects: if dry_run { 0 } else { counts.held },
                would_hold: dry_run
                    .then(|| job.would_hold.into_iter().map(|it| WouldHold::below(&connection, it)).collect()),
                holds: job.holds.into_iter().map(HoldJson::from).collect(),
                columns: ColumnCounts {
                    added: counts.columns_added,
                    changed: counts.columns_changed,
                    deleted: counts.columns_deleted,
                },
                skipped: counts.skipped,
                error_count: counts.errors,
                requests: counts.requests,
                bytes: counts.bytes,
                seen: counts.seen,
                added: counts.added,
                changed: counts.changed,
                missing: counts.missing,
                returned: counts.returned,
                excluded: counts.excluded,
                errors: job.object_errors.into_iter().map(|error| ErrorAt::below(&connection, error)).collect(),
                connector: job.connector,
                duration_ms,
                failures: job.failures,
                error: job.error.map(|e| Failure { code: e.code, message: e.message }),
            },
            id: job.id,
            bulk_id: job.bulk,
            job_type: job.job_type.as_str(),
            trigger: job.trigger.as_str(),
            parent_id: job.parent,
            state: job.state,
            object_path: job.object_path,
            created_at: job.created_at,
            started_at: job.started_at,
            ended_at: job.ended_at,
        }
    }
}

impl Progress {
    fn of(counts: &SyncCounts, expected: Option<u64>) -> Self {
        Self {
            partitions: counts.partitions,
            partitions_done: counts.partitions_done,
            pages: counts.pages,
            objects: counts.seen.values().sum(),
            total_objects: expected,
        }
    }
}

impl ErrorAt {
    fn below(connection: &Ident, error: ObjectError) -> Self {
        let path = std::iter::once(connection.clone()).chain(error.path.0).collect();
        Self { path, code: error.code, message: error.message }
    }
}
