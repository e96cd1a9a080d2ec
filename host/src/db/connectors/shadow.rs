//! Reads with a version that serves nobody: dry runs that one version of a connector carries out, whatever serves.
//!
//! Such a job is a dry run like any other, and belongs to the change of version that asked for it: it is found again after a
//! restart instead of being asked for twice, and ends with it. It reads everything anew, also columns whose fingerprint is
//! the one that is stored: versions are compared by what they read.

use jiff::Timestamp;
use redb::ReadableTable as _;
use serde::{Deserialize, Serialize};

use super::{
    super::{
        Db, DbError, connections,
        fault::{Fault, Stop},
        jobs, queue,
        queue::Request,
        records::{decode, encode},
        tables::{ReadRows, Rows, WriteRows},
        tree,
    },
    find, pin,
};
use crate::model::{
    connector::Step,
    id::{ConnectionId, JobId},
    job::{Job, JobState, Trigger},
    sight::Sight,
};

/// Who carries a dry run out, and for which change of version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::db) struct ShadowRow {
    /// Of the job.
    connection: u128,
    connector: String,
    version: String,
    /// Tells the change of version from the others of the connector.
    began: u64,
    /// Whether it is the version that serves, for comparison.
    serves: bool,
}

/// Which version reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that is compared.
    Candidate,
    /// The one that serves the connection.
    Serving,
}

/// A read of a connection for a change of version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The job.
    pub job: JobId,
    /// The version that carries it out.
    pub version: String,
}

impl Db {
    /// The read of a connection by one of the versions that a change of version compares: queued, unless it was before.
    /// None where the change is over, where the connection is gone, and where nothing serves it.
    pub async fn shadow_read(
        &self,
        connector: &str,
        began: u64,
        connection: ConnectionId,
        which: Which,
        now: Timestamp,
    ) -> Result<Option<Read>, DbError> {
        let connector = connector.to_owned();
        let found = self
            .write("queue a read for comparison", move |rows: &mut WriteRows<'_>| {
                Ok::<_, Stop<DbError>>(read(rows, &connector, began, connection, which, now)?)
            })
            .await;
        self.ring();
        found
    }

    /// The reads that a change of version has asked for, with how they stand, the oldest first.
    pub async fn shadow_reads(&self, connector: &str, began: u64) -> Result<Vec<(Read, Job)>, DbError> {
        let connector = connector.to_owned();
        self.read("list reads for comparison", move |rows: &ReadRows| {
            let mut found = Vec::new();
            for row in rows.shadows().iter()? {
                let (id, row) = row?;
                let row: ShadowRow = decode(row.value())?;
                if row.connector == connector
                    && row.began == began
                    && let Some(job) = queue::job(rows, id.value())?
                {
                    let read = Read { job: JobId::from_u128(id.value()), version: row.version };
                    found.push((read, queue::brief_job(rows, id.value(), job)?));
                }
            }
            Ok(found)
        })
        .await
    }
}

fn read(
    rows: &mut WriteRows<'_>,
    name: &str,
    began: u64,
    connection: ConnectionId,
    which: Which,
    now: Timestamp,
) -> Result<Option<Read>, Fault> {
    let id = connection.as_u128();
    let Some(connector) = find(rows, name)? else { return Ok(None) };
    let wanted = connector.under_way().filter(|rollout| rollout.began == began && rollout.step == Step::Shadow);
    let Some(rollout) = wanted else { return Ok(None) };
    for row in rows.shadows.iter()? {
        let (job, row) = row?;
        let row: ShadowRow = decode(row.value())?;
        let is_same = row.connector == name && row.began == began && row.connection == id;
        if is_same && row.serves == (which == Which::Serving) {
            return Ok(Some(Read { job: JobId::from_u128(job.value()), version: row.version }));
        }
    }
    let pinned = pin(rows, id)?;
    let version = match which {
        Which::Candidate => Some(rollout.version.as_str()),
        Which::Serving => connector.serving(connection, pinned.as_deref()),
    };
    let (Some(version), Some(chain)) = (version, tree::lineage(rows, id)?) else { return Ok(None) };
    if connections::connection(rows, id)?.is_none() {
        return Ok(None);
    }
    let request = jobs::request(rows, &chain, &Sight::All, false)?;
    let job = queue::add(rows, Request { dry_run: true, trigger: Trigger::Comparison, ..request }, now)?;
    let row = ShadowRow {
        connection: id,
        connector: name.to_owned(),
        version: version.to_owned(),
        began,
        serves: which == Which::Serving,
    };
    rows.shadows.insert(job.id.as_u128(), encode(&row)?.as_slice())?;
    Ok(Some(Read { job: job.id, version: row.version }))
}

fn of_job(rows: &impl Rows, job: u128) -> Result<Option<ShadowRow>, Fault> {
    rows.shadows().get(job)?.map(|row| decode(row.value())).transpose()
}

/// Whether one version carries a job out, whatever serves.
pub(in crate::db) fn is_shadow(rows: &impl Rows, job: u128) -> Result<bool, Fault> {
    Ok(of_job(rows, job)?.is_some())
}

/// The connector and the version that carry a job out, whatever serves; none where that is what does.
pub(in crate::db) fn carried_out_by(rows: &impl Rows, job: u128) -> Result<Option<(String, String)>, Fault> {
    Ok(of_job(rows, job)?.map(|row| (row.connector, row.version)))
}

/// Cancels what has not ended of the reads for a change of version.
pub(super) fn cancel(rows: &mut WriteRows<'_>, name: &str, began: u64, now: Timestamp) -> Result<(), Fault> {
    let mut ids = Vec::new();
    for row in rows.shadows.iter()? {
        let (job, row) = row?;
        let row: ShadowRow = decode(row.value())?;
        if row.connector == name && row.began == began {
            ids.push(job.value());
        }
    }
    for id in ids {
        if let Some(mut job) = queue::job(rows, id)?.filter(|job| !job.state().is_final()) {
            queue::end(rows, id, &mut job, JobState::Cancelled, now)?;
        }
    }
    Ok(())
}

/// Forgets who carried a job out, with the job.
pub(in crate::db) fn forget_shadow(rows: &mut WriteRows<'_>, job: u128) -> Result<(), Fault> {
    rows.shadows.remove(job)?;
    Ok(())
}
