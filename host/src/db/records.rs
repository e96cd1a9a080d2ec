//! Rows as they are on disk, and their way to the model and back.
//!
//! Postcard tells nothing about itself: a field that is added, removed or reordered needs a new version of the table and a
//! migration. Times are microseconds since 1970, ids numbers, JSON its text.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::fault::Fault;
use crate::model::{
    connection::{Actor, Address, Connection, ConnectionOptions},
    diff::Change,
    id::{BulkId, ConnectionId, Incarnation, JobId, ObjectId},
    job::{Claim, Job, JobError, JobState, JobType, SyncCounts, Trigger},
    name::{ConnectionKey, Technology},
    object::{Facts, Kind, RemoteStatus},
    page::ObjectError,
    path::ObjectPath,
    principal::Principal,
};

/// A row as bytes.
pub(super) fn encode(row: &impl Serialize) -> Result<Vec<u8>, Fault> {
    postcard::to_stdvec(row).map_err(|source| Fault::Row { action: "encode", source })
}

/// A row from its bytes.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    postcard::from_bytes(bytes).map_err(|source| Fault::Row { action: "decode", source })
}

/// A time as a number.
pub(super) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// A time from its number.
pub(super) fn time(micros: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_microsecond(micros).map_err(|_| Fault::Broken("a time is out of range"))
}

/// What is stored of an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ObjectRow {
    pub(super) connection: u128,
    /// None for a connection's own object.
    pub(super) parent: Option<u128>,
    pub(super) namespace: String,
    pub(super) name: String,
    /// The namespace it had before another object took its place, while it is not seen elsewhere (D38).
    pub(super) displaced_from: Option<String>,
    pub(super) kind: u8,
    pub(super) object_type: String,
    pub(super) remote_id: Option<String>,
    pub(super) comment: Option<String>,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) columns_known: bool,
    /// The fingerprint that was delivered with the stored columns.
    pub(super) fingerprint: Option<String>,
    /// Its own mark: 0 present, 1 missing, 2 excluded.
    pub(super) mark: u8,
    pub(super) revision: u64,
    /// Commit sequence of the last change.
    pub(super) sequence: u64,
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
}

impl ObjectRow {
    pub(super) fn facts(&self) -> Facts {
        Facts {
            kind: self.kind(),
            object_type: self.object_type.clone(),
            remote_id: self.remote_id.clone(),
            comment: self.comment.clone(),
            attributes: self.attributes.clone(),
        }
    }

    pub(super) fn set_facts(&mut self, facts: Facts) {
        self.kind = kind_number(facts.kind);
        self.object_type = facts.object_type;
        self.remote_id = facts.remote_id;
        self.comment = facts.comment;
        self.attributes = facts.attributes;
    }

    pub(super) fn kind(&self) -> Kind {
        match self.kind {
            0 => Kind::Container,
            1 => Kind::TableLike,
            _ => Kind::Other,
        }
    }

    pub(super) fn mark(&self) -> RemoteStatus {
        match self.mark {
            0 => RemoteStatus::Present,
            1 => RemoteStatus::Missing,
            _ => RemoteStatus::Excluded,
        }
    }

    pub(super) fn set_mark(&mut self, mark: RemoteStatus) {
        self.mark = match mark {
            RemoteStatus::Present => 0,
            RemoteStatus::Missing => 1,
            RemoteStatus::Excluded => 2,
        };
    }

    /// The namespace in which a listing would have it.
    pub(super) fn listed_namespace(&self) -> &str {
        self.displaced_from.as_deref().unwrap_or(&self.namespace)
    }

    /// Notes that something people see of it has changed.
    pub(super) fn touch(&mut self, sequence: u64, now: i64) {
        self.revision += 1;
        self.sequence = sequence;
        self.updated_at = now;
    }
}

/// A kind as a number.
pub(super) fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Container => 0,
        Kind::TableLike => 1,
        Kind::Other => 2,
    }
}

/// Where an object was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PlaceRow {
    pub(super) parent: u128,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// When a container was last listed completely.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ListedRow {
    pub(super) at: i64,
    pub(super) basis: String,
    /// The job that listed it: in it, a child that is present was seen.
    pub(super) job: u128,
}

/// What one commit changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ChangesRow {
    pub(super) job: Option<u128>,
    pub(super) at: i64,
    pub(super) changes: Vec<Change>,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ConnectionRow {
    key: ConnectionKey,
    pub(super) technology: Technology,
    /// JSON.
    config: String,
    address: Address,
    identity: Option<String>,
    host_managed: Option<String>,
    pub(super) options: ConnectionOptions,
    /// In microseconds.
    widened_at: Option<i64>,
    revision: u64,
    created_by: Actor,
    updated_by: Actor,
    created_at: i64,
    updated_at: i64,
}

impl From<Connection> for ConnectionRow {
    fn from(c: Connection) -> Self {
        Self {
            key: c.key,
            technology: c.technology,
            config: c.config.to_string(),
            address: c.address,
            identity: c.identity,
            host_managed: c.host_managed,
            options: c.options,
            widened_at: c.widened_at.map(micros),
            revision: c.revision,
            created_by: c.created_by,
            updated_by: c.updated_by,
            created_at: micros(c.created_at),
            updated_at: micros(c.updated_at),
        }
    }
}

impl ConnectionRow {
    pub(super) fn connection(self, id: u128) -> Result<Connection, Fault> {
        Ok(Connection {
            id: ConnectionId::from_u128(id),
            key: self.key,
            technology: self.technology,
            config: serde_json::from_str(&self.config).map_err(|_| Fault::Broken("a configuration is no JSON"))?,
            address: self.address,
            identity: self.identity,
            host_managed: self.host_managed,
            options: self.options,
            widened_at: self.widened_at.map(time).transpose()?,
            revision: self.revision,
            created_by: self.created_by,
            updated_by: self.updated_by,
            created_at: time(self.created_at)?,
            updated_at: time(self.updated_at)?,
        })
    }
}

/// A job. Its per-object errors are rows of their own, because this one is written with every page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct JobRow {
    pub(super) bulk: u128,
    pub(super) force_recursive: bool,
    pub(super) connection: u128,
    pub(super) object: u128,
    pub(super) object_path: ObjectPath,
    pub(super) state: u8,
    /// Incarnation and epoch, while it is active.
    pub(super) claim: Option<(u128, u64)>,
    pub(super) epoch: u64,
    pub(super) failures: u32,
    pub(super) due_at: i64,
    pub(super) counts: SyncCounts,
    pub(super) connector: Option<String>,
    pub(super) error: Option<JobError>,
    pub(super) created_at: i64,
    pub(super) started_at: Option<i64>,
    pub(super) ended_at: Option<i64>,
    /// Number of the next task.
    pub(super) next_task: u64,
    /// Per-object errors that are listed.
    pub(super) errors_listed: u64,
}

const STATES: [JobState; 7] = [
    JobState::Created,
    JobState::Active,
    JobState::Retry,
    JobState::Completed,
    JobState::Failed,
    JobState::Cancelled,
    JobState::Expired,
];

impl JobRow {
    pub(super) fn state(&self) -> JobState {
        STATES.get(usize::from(self.state)).copied().unwrap_or(JobState::Failed)
    }

    pub(super) fn set_state(&mut self, state: JobState) {
        self.state = STATES.iter().position(|s| *s == state).and_then(|n| u8::try_from(n).ok()).unwrap_or_default();
    }

    pub(super) fn job(self, id: u128, object_errors: Vec<ObjectError>) -> Result<Job, Fault> {
        let state = self.state();
        Ok(Job {
            id: JobId::from_u128(id),
            bulk: BulkId::from_u128(self.bulk),
            job_type: JobType::ObjectSync { force_recursive: self.force_recursive },
            trigger: Trigger::default(),
            parent: None,
            expected: None,
            connection: ConnectionId::from_u128(self.connection),
            object: ObjectId::from_u128(self.object),
            object_path: self.object_path,
            state,
            claim: self.claim.map(|(incarnation, epoch)| Claim {
                job: JobId::from_u128(id),
                incarnation: Incarnation::from_u128(incarnation),
                epoch,
            }),
            epoch: self.epoch,
            failures: self.failures,
            due_at: time(self.due_at)?,
            counts: self.counts,
            holds: Vec::new(),
            connector: self.connector,
            error: self.error,
            object_errors,
            created_at: time(self.created_at)?,
            started_at: self.started_at.map(time).transpose()?,
            ended_at: self.ended_at.map(time).transpose()?,
        })
    }
}

/// Somebody with a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PrincipalRow {
    pub(super) principal: Principal,
    pub(super) key_digest: [u8; 32],
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{
        job::{Task, Work},
        page::{Cursor, Partition},
        path::RemotePath,
        settings::{ActiveOverride, NewChildren, Origin, Overrides},
    };

    fn round_trip<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(row: &T) {
        let bytes = encode(row).expect("encode");
        assert_eq!(&decode::<T>(&bytes).expect("decode"), row);
    }

    #[test]
    fn every_row_is_read_as_it_was_written() {
        let scope = RemotePath(vec!["a.b/\u{0}👾".parse().expect("name")]);
        let partition = Partition { id: "p".into(), scope: scope.clone(), payload: "{}".into(), weight: 3 };
        for work in [
            Work::Plan { scope: scope.clone() },
            Work::Read { partition, want_columns: true, second_look: false },
            Work::Columns { scope: scope.clone(), namespace: "f".into(), names: vec!["x".into()] },
            Work::Confirm {
                scope,
                namespace: String::new(),
                basis: "r".into(),
                candidates: vec![ObjectId::from_u128(7)],
                names: vec!["y".into()],
                by_name: true,
            },
            Work::Judge,
        ] {
            round_trip(&Task {
                number: 9,
                work,
                cursor: Some(Cursor("c".into())),
                not_before: Some(Timestamp::from_microsecond(1_700_000_000_123_456).expect("time")),
                failures: 2,
                restarts: 1,
                idle: 3,
            });
        }
        round_trip(&Overrides {
            is_active: Some(ActiveOverride { value: true, origin: Origin::Sync, sequence: 4 }),
            new_children: Some(NewChildren::Inherit),
            cleared_sequence: None,
        });
        round_trip(&SyncCounts { seen: BTreeMap::from([("table".into(), 3)]), bytes: 5, ..SyncCounts::default() });
    }

    #[test]
    fn every_state_has_a_number() {
        for state in STATES {
            let mut row = JobRow {
                bulk: 1,
                force_recursive: true,
                connection: 2,
                object: 3,
                object_path: ObjectPath::from_segments(["k"]).expect("path"),
                state: 0,
                claim: Some((4, 5)),
                epoch: 6,
                failures: 0,
                due_at: 0,
                counts: SyncCounts::default(),
                connector: None,
                error: None,
                created_at: 0,
                started_at: None,
                ended_at: None,
                next_task: 0,
                errors_listed: 0,
            };
            row.set_state(state);
            round_trip(&row);
            assert_eq!(row.state(), state);
        }
    }
}
