//! Dry runs: syncs that compute the difference and leave the inventory as it is.
//!
//! A dry run is the same sync: what it would write to the inventory goes to a draft, which it reads first from then on
//! (`sync/draft.rs`) and which is given back when it has ended. So it finds what a sync at this moment would change. What
//! it found is listed with the job for as long as the job is kept.

use redb::ReadableTable as _;
use serde::{Deserialize, Serialize};

use super::{
    changes::DetailsRow,
    fault::Fault,
    records::{JobRow, decode, encode},
    tables::{Rows, WriteRows},
};
use crate::model::{
    diff::Change,
    hold::Verdict,
    job::{Job, JobType, MAX_LISTED_CHANGES, SyncCounts},
};

/// What one step of a dry run found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct DryChangesRow {
    pub(super) at: i64,
    pub(super) changes: Vec<Change>,
    pub(super) details: DetailsRow,
    /// Whether a sync would hold them back.
    pub(super) held: bool,
}

/// Changes that a dry run has found so far; none of a job that is none.
pub(super) fn found(rows: &impl Rows, job: u128) -> Result<Option<u64>, Fault> {
    Ok(rows.dry_runs().get(job)?.map(|row| row.value()))
}

/// Whether a job is a dry run.
pub(super) fn is_dry(rows: &impl Rows, job: u128) -> Result<bool, Fault> {
    Ok(found(rows, job)?.is_some())
}

/// Makes a job a dry run that has found nothing.
pub(super) fn begin(rows: &mut WriteRows<'_>, job: u128) -> Result<(), Fault> {
    rows.dry_runs.insert(job, 0)?;
    Ok(())
}

/// Has a dry run that has begun find everything anew: what it found belongs to the configuration before. Its list has an
/// end, so that it goes at once; its draft goes with the rows of its work (`work.rs`).
pub(super) fn begin_again(rows: &mut WriteRows<'_>, job: u128, row: &mut JobRow) -> Result<(), Fault> {
    if is_dry(rows, job)? {
        begin(rows, job)?;
        rows.dry_changes.retain_in((job, 0)..=(job, u64::MAX), |_, _| false)?;
        rows.dry_holds.remove(job)?;
        rows.job_errors.retain_in((job, 0)..=(job, u64::MAX), |_, _| false)?;
        row.errors_listed = 0;
        let SyncCounts { requests, bytes, .. } = row.counts;
        row.counts = SyncCounts { requests, bytes, ..SyncCounts::default() };
    }
    Ok(())
}

/// Lists what a step found, as far as there is room, and counts it.
pub(super) fn append(rows: &mut WriteRows<'_>, job: u128, mut row: DryChangesRow) -> Result<(), Fault> {
    if row.changes.is_empty() {
        return Ok(());
    }
    let before = found(rows, job)?.unwrap_or_default();
    rows.dry_runs.insert(job, before + u64::try_from(row.changes.len()).unwrap_or_default())?;
    let room = usize::try_from(MAX_LISTED_CHANGES.saturating_sub(before)).unwrap_or(usize::MAX);
    row.changes.truncate(room);
    row.details.details.truncate(room);
    if !row.changes.is_empty() {
        rows.dry_changes.insert((job, before), encode(&row)?.as_slice())?;
    }
    Ok(())
}

/// Keeps what a sync would hold back, and why.
pub(super) fn put_holds(rows: &mut WriteRows<'_>, job: u128, verdicts: &Vec<Verdict>) -> Result<(), Fault> {
    rows.dry_holds.insert(job, encode(verdicts)?.as_slice())?;
    Ok(())
}

/// Removes what a dry run found, with the job. How many rows went.
pub(super) fn forget(rows: &mut WriteRows<'_>, job: u128) -> Result<usize, Fault> {
    let mut gone = 0;
    rows.dry_changes.retain_in((job, 0)..=(job, u64::MAX), |_, _| {
        gone += 1;
        false
    })?;
    rows.dry_runs.remove(job)?;
    rows.dry_holds.remove(job)?;
    Ok(gone)
}

/// Writes into the job as callers get it that it is a dry run, where it is one.
pub(super) fn tell(rows: &impl Rows, id: u128, job: &mut Job) -> Result<(), Fault> {
    job.found = found(rows, id)?;
    if let Some(verdicts) = rows.dry_holds().get(id)? {
        job.would_hold = decode(verdicts.value())?;
    }
    if let JobType::ObjectSync { dry_run, .. } = &mut job.job_type {
        *dry_run = job.found.is_some();
    }
    Ok(())
}
