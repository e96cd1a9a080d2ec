//! Jobs that stand for others: a change of settings with the sync that follows from it, several syncs asked for at once.
//!
//! Such a job does nothing itself and is never claimed. It is active while any other job of its bulk has not ended, and
//! ends in the transaction in which the last of them does.

use jiff::Timestamp;
use redb::ReadableTable as _;

use super::{
    facts::{self, FactsRow},
    fault::Fault,
    queue,
    records::{JobRow, micros},
    retention,
    tables::{Rows, WriteRows},
    tree::{self, Node},
};
use crate::model::{
    id::{BulkId, JobId},
    job::{JobError, JobState, JobType, SyncCounts, Trigger},
};

/// A job that stands for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) job: u128,
    pub(super) bulk: u128,
}

/// Begins a group about the last object of a chain. Whoever opens one settles it in the same transaction.
pub(super) fn open(
    rows: &mut WriteRows<'_>,
    job_type: &JobType,
    trigger: Trigger,
    chain: &[Node],
    now: Timestamp,
) -> Result<Group, Fault> {
    let (Some(first), Some(last)) = (chain.first(), chain.last()) else {
        return Err(Fault::Broken("an empty chain"));
    };
    let group = Group { job: JobId::generate().as_u128(), bulk: BulkId::generate().as_u128() };
    let mut row = JobRow {
        bulk: group.bulk,
        force_recursive: false,
        connection: first.id,
        object: last.id,
        object_path: tree::path_of(chain)?,
        state: 0,
        claim: None,
        epoch: 0,
        failures: 0,
        due_at: micros(now),
        counts: SyncCounts::default(),
        connector: None,
        error: None,
        created_at: micros(now),
        started_at: Some(micros(now)),
        ended_at: None,
        next_task: 1,
        errors_listed: 0,
    };
    row.set_state(JobState::Active);
    queue::put_job(rows, group.job, &row)?;
    facts::put(rows, group.job, &FactsRow::of_group(job_type, trigger))?;
    rows.job_bulks.insert((group.bulk, group.job), ())?;
    rows.job_groups.insert(group.bulk, group.job)?;
    Ok(group)
}

/// A job that waited already does what a part of the group was to do.
pub(super) fn join(rows: &mut WriteRows<'_>, group: Group, job: u128) -> Result<(), Fault> {
    if rows.job_bulks.insert((group.bulk, job), ())?.is_none() {
        let mut facts = facts::of(rows, job)?;
        facts.joined.push(group.bulk);
        facts::put(rows, job, &facts)?;
    }
    Ok(())
}

/// A job has ended: so do the groups whose last part it was.
pub(super) fn settle_with(rows: &mut WriteRows<'_>, job: u128, row: &JobRow, now: Timestamp) -> Result<(), Fault> {
    settle(rows, row.bulk, now)?;
    for bulk in facts::of(rows, job)?.joined {
        settle(rows, bulk, now)?;
    }
    Ok(())
}

/// Ends the group of a bulk, if all its other jobs have ended.
pub(super) fn settle(rows: &mut WriteRows<'_>, bulk: u128, now: Timestamp) -> Result<(), Fault> {
    let Some(group) = rows.job_groups.get(bulk)?.map(|row| row.value()) else { return Ok(()) };
    let (mut worst, mut failed, mut cancelled) = (JobState::Completed, 0_u64, false);
    for id in members(rows, bulk)? {
        let Some(part) = queue::job(rows, id)?.filter(|_| id != group) else { continue };
        match part.state() {
            JobState::Completed => {}
            JobState::Cancelled => cancelled = true,
            JobState::Failed | JobState::Expired => failed += 1,
            JobState::Created | JobState::Active | JobState::Retry => return Ok(()),
        }
    }
    let mut error = None;
    if failed > 0 {
        worst = JobState::Failed;
        let message = format!("{failed} of the jobs that belong to this one failed or expired");
        error = Some(JobError { code: "part-failed".into(), message });
    } else if cancelled {
        worst = JobState::Cancelled;
    }
    end(rows, group, bulk, worst, error, now)
}

/// Stops a group, and the jobs that were queued for it; those that others asked for go on.
pub(super) fn cancel(rows: &mut WriteRows<'_>, group: u128, bulk: u128, now: Timestamp) -> Result<(), Fault> {
    // First, so that the end of its parts does not end it in another way.
    end(rows, group, bulk, JobState::Cancelled, None, now)?;
    for id in members(rows, bulk)? {
        let Some(mut part) = queue::job(rows, id)?.filter(|part| !part.state().is_final()) else { continue };
        if facts::of(rows, id)?.parent == Some(group) {
            queue::end(rows, id, &mut part, JobState::Cancelled, now)?;
        }
    }
    Ok(())
}

/// Groups that have not ended.
pub(super) fn running(rows: &impl Rows) -> Result<Vec<u128>, Fault> {
    rows.job_groups().iter()?.map(|row| Ok(row?.1.value())).collect()
}

fn members(rows: &impl Rows, bulk: u128) -> Result<Vec<u128>, Fault> {
    rows.job_bulks().range((bulk, 0)..=(bulk, u128::MAX))?.map(|row| Ok(row?.0.value().1)).collect()
}

fn end(
    rows: &mut WriteRows<'_>,
    group: u128,
    bulk: u128,
    state: JobState,
    error: Option<JobError>,
    now: Timestamp,
) -> Result<(), Fault> {
    rows.job_groups.remove(bulk)?;
    let mut row = queue::job(rows, group)?.ok_or(Fault::Broken("a group without its job"))?;
    row.ended_at = Some(micros(now));
    row.error = error;
    row.set_state(state);
    queue::put_job(rows, group, &row)?;
    retention::note(rows, group, &row)
}
