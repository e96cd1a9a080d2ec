//! The queue of jobs inside a transaction: adding, finding, freeing. What the functions of `jobs` and others share.

use jiff::Timestamp;
use redb::ReadableTable;

use super::{
    connectors, dry,
    facts::{self, FactsRow},
    fault::Fault,
    groups::{self, Group},
    holds,
    records::{JobRow, decode, encode, micros},
    retention,
    tables::{Rows, WriteRows},
    tree, work,
};
use crate::model::{
    id::{BulkId, JobId},
    job::{Job, JobState, SyncCounts, Task, Trigger, Work},
    page::ObjectError,
    path::{ObjectPath, RemotePath},
};

/// A sync that is asked for.
pub(super) struct Request {
    pub(super) connection: u128,
    pub(super) object: u128,
    pub(super) path: ObjectPath,
    /// The container to list: the object itself, or the parent of one that is none.
    pub(super) scope: RemotePath,
    pub(super) force_recursive: bool,
    /// Whether it only computes the difference.
    pub(super) dry_run: bool,
    /// Whether whoever asks sees the whole connection, and so may follow a job of a larger scope.
    pub(super) sees_all: bool,
    /// Why it is asked for.
    pub(super) trigger: Trigger,
    /// What it is a part of.
    pub(super) group: Option<Group>,
}

/// The sequence of this commit, which changes the inventory.
pub(super) fn next_commit(rows: &mut WriteRows<'_>) -> Result<u64, Fault> {
    let next = rows.meta.get("commit")?.map_or(0, |row| row.value()) + 1;
    rows.meta.insert("commit", next)?;
    u64::try_from(next).map_err(|_| Fault::Broken("the commit sequence is out of range"))
}

/// A job's row.
pub(super) fn job(rows: &impl Rows, id: u128) -> Result<Option<JobRow>, Fault> {
    rows.jobs().get(id)?.map(|row| decode(row.value())).transpose()
}

/// Writes a job's row.
pub(super) fn put_job(rows: &mut WriteRows<'_>, id: u128, row: &JobRow) -> Result<(), Fault> {
    rows.jobs.insert(id, encode(row)?.as_slice())?;
    Ok(())
}

/// A job with its errors, as callers get it.
pub(super) fn whole_job(rows: &impl Rows, id: u128, row: JobRow) -> Result<Job, Fault> {
    let errors = rows
        .job_errors()
        .range((id, 0)..=(id, u64::MAX))?
        .map(|row| decode::<ObjectError>(row?.1.value()))
        .collect::<Result<_, Fault>>()?;
    Ok(Job { object_errors: errors, ..brief_job(rows, id, row)? })
}

/// A job without its errors, which may be many.
pub(super) fn brief_job(rows: &impl Rows, id: u128, row: JobRow) -> Result<Job, Fault> {
    let mut job = row.job(id, Vec::new())?;
    facts::of(rows, id)?.tell(&mut job);
    job.counts.held = rows.job_held().get(id)?.map_or(0, |row| row.value());
    for hold in holds::of_job(rows, id)? {
        if let Some(row) = holds::row(rows, hold)? {
            job.holds.extend(row.hold(rows, hold)?);
        }
    }
    dry::tell(rows, id, &mut job)?;
    Ok(job)
}

/// Queues a sync, or joins one that waits, has not begun, covers it and has the same options (D43).
pub(super) fn enqueue(rows: &mut WriteRows<'_>, request: Request, now: Timestamp) -> Result<Job, Fault> {
    let chain = tree::lineage(rows, request.object)?.ok_or(Fault::Broken("a sync of an object that is gone"))?;
    for id in waiting(rows)? {
        let Some(row) = job(rows, id)? else { continue };
        let covers = row.connection == request.connection && chain.iter().any(|node| node.id == row.object);
        let may_follow = request.sees_all || row.object == request.object;
        let is_equal = row.force_recursive == request.force_recursive
            && dry::is_dry(rows, id)? == request.dry_run
            && !connectors::is_shadow(rows, id)?;
        if covers && may_follow && row.state() == JobState::Created && is_equal {
            if let Some(group) = request.group {
                groups::join(rows, group, id)?;
            }
            return whole_job(rows, id, row);
        }
    }
    add(rows, request, now)
}

/// Queues a sync of its own.
pub(super) fn add(rows: &mut WriteRows<'_>, request: Request, now: Timestamp) -> Result<Job, Fault> {
    let chain = tree::lineage(rows, request.object)?.ok_or(Fault::Broken("a sync of an object that is gone"))?;
    let id = JobId::generate().as_u128();
    let mut row = JobRow {
        bulk: request.group.map_or_else(|| BulkId::generate().as_u128(), |group| group.bulk),
        force_recursive: request.force_recursive,
        connection: request.connection,
        object: request.object,
        object_path: request.path,
        state: 0,
        claim: None,
        epoch: 0,
        failures: 0,
        due_at: micros(now),
        counts: SyncCounts::default(),
        connector: None,
        error: None,
        created_at: micros(now),
        started_at: None,
        ended_at: None,
        next_task: 1,
        errors_listed: 0,
    };
    row.set_state(JobState::Created);
    put_task(rows, id, &Task::new(0, Work::Plan { scope: request.scope }))?;
    put_job(rows, id, &row)?;
    if request.dry_run {
        dry::begin(rows, id)?;
    }
    rows.job_bulks.insert((row.bulk, id), ())?;
    rows.waiting.insert((row.due_at, id), ())?;
    let mut facts = FactsRow::of_sync(request.trigger);
    facts.parent = request.group.map(|group| group.job);
    facts.expected = facts::expected(rows, &chain, request.force_recursive)?;
    facts::put(rows, id, &facts)?;
    brief_job(rows, id, row)
}

/// Writes a task.
pub(super) fn put_task(rows: &mut WriteRows<'_>, job: u128, task: &Task) -> Result<(), Fault> {
    rows.tasks.insert((job, task.number), encode(task)?.as_slice())?;
    Ok(())
}

/// The tasks of a job, in order of creation.
pub(super) fn tasks(rows: &impl Rows, job: u128) -> Result<Vec<Task>, Fault> {
    rows.tasks().range((job, 0)..=(job, u64::MAX))?.map(|row| decode(row?.1.value())).collect()
}

/// Jobs that wait, the longest waiting first.
pub(super) fn waiting(rows: &impl Rows) -> Result<Vec<u128>, Fault> {
    rows.waiting().iter()?.map(|row| Ok(row?.0.value().1)).collect()
}

/// Claimed jobs of a connection.
pub(super) fn active_of(rows: &impl Rows, connection: u128) -> Result<Vec<u128>, Fault> {
    rows.active().range((connection, 0)..=(connection, u128::MAX))?.map(|row| Ok(row?.0.value().1)).collect()
}

/// Puts a job into a state, and keeps the indexes with it. With a final state begins to go what only
/// the work needed.
pub(super) fn set_state(rows: &mut WriteRows<'_>, id: u128, row: &mut JobRow, state: JobState) -> Result<(), Fault> {
    rows.waiting.remove((row.due_at, id))?;
    rows.active.remove((row.connection, id))?;
    row.set_state(state);
    match state {
        JobState::Active => {
            rows.active.insert((row.connection, id), ())?;
        }
        JobState::Created | JobState::Retry => {
            row.claim = None;
            rows.waiting.insert((row.due_at, id), ())?;
        }
        JobState::Completed | JobState::Failed | JobState::Cancelled | JobState::Expired => {
            row.claim = None;
            work::give_back(rows, id, work::AT_ONCE)?;
        }
    }
    put_job(rows, id, row)
}

/// Ends a job.
pub(super) fn end(
    rows: &mut WriteRows<'_>,
    id: u128,
    row: &mut JobRow,
    state: JobState,
    now: Timestamp,
) -> Result<(), Fault> {
    row.ended_at = Some(micros(now));
    set_state(rows, id, row, state)?;
    retention::note(rows, id, row)?;
    groups::settle_with(rows, id, row, now)
}

/// Has the begun jobs of a connection begin again: what they listed and where they stood belongs to the configuration
/// before. Their workers' next writes are refused.
pub(super) fn begin_again(rows: &mut WriteRows<'_>, connection: u128) -> Result<(), Fault> {
    let mut begun = active_of(rows, connection)?;
    begun.extend(waiting(rows)?);
    for id in begun {
        let Some(mut row) = job(rows, id)? else { continue };
        if row.connection == connection && row.started_at.is_some() {
            work::give_back(rows, id, work::AT_ONCE)?;
            rows.job_held.remove(id)?;
            dry::begin_again(rows, id, &mut row)?;
            // The claim gives back what is left of the work, and puts a new plan where nothing has begun.
            row.started_at = None;
            set_state(rows, id, &mut row, JobState::Retry)?;
        }
    }
    Ok(())
}

/// Cancels the unfinished jobs of a connection whose object is cut off with `root`. Called in the transaction that cuts:
/// a worker's next write finds its claim void.
pub(super) fn cancel_below(
    rows: &mut WriteRows<'_>,
    connection: u128,
    root: u128,
    now: Timestamp,
) -> Result<(), Fault> {
    let mut ids = waiting(rows)?;
    ids.extend(active_of(rows, connection)?);
    for id in ids {
        let Some(mut row) = job(rows, id)? else { continue };
        let gone = row.object == root || tree::lineage(rows, row.object)?.is_none();
        if row.connection == connection && gone {
            end(rows, id, &mut row, JobState::Cancelled, now)?;
        }
    }
    Ok(())
}

/// Voids every claim: their holders belong to an earlier run of the host, which is gone (D43).
pub(super) fn void_claims(rows: &mut WriteRows<'_>) -> Result<(), Fault> {
    let ids = rows.active.iter()?.map(|row| Ok(row?.0.value().1)).collect::<Result<Vec<_>, Fault>>()?;
    for id in ids {
        if let Some(mut row) = job(rows, id)? {
            set_state(rows, id, &mut row, JobState::Retry)?;
        }
    }
    Ok(())
}
