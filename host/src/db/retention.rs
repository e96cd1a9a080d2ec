//! How long jobs and changes are kept: both go after a while, each on its own, in small transactions. Of jobs those that
//! ended, with their errors; the last sync of each connection stays, and so does one that still holds something back. Of
//! changes the beginning of each connection's feed.

use jiff::Timestamp;
use redb::{ReadableTable as _, ReadableTableMetadata as _};

use super::{
    Db, DbError, changes, connectors, dry, facts,
    fault::Fault,
    queue,
    records::{JobRow, decode, micros},
    tables::{Rows, WriteRows},
    work,
};

impl Db {
    /// Removes jobs that ended before a time, with at most about `limit` rows in one transaction. Whether there is more.
    /// Stopped at any point, the next call goes on.
    pub async fn forget_jobs(&self, before: Timestamp, limit: usize) -> Result<bool, DbError> {
        // Looking costs no commit.
        let any = self.read("look for old jobs", move |rows| Ok(!old(rows, before, 1)?.is_empty())).await?;
        if !any {
            return Ok(false);
        }
        self.work("remove old jobs", move |rows| Ok(forget(rows, before, limit)?)).await
    }

    /// Removes changes from before a time, at most about `limit` in one transaction. Whether there may be more. Stopped at
    /// any point, the next call goes on: each feed begins where the last one left it.
    pub async fn forget_changes(&self, before: Timestamp, limit: usize) -> Result<bool, DbError> {
        let due = self.read("look for old changes", move |rows| Ok(oldest_feed(rows, micros(before))?)).await?;
        let Some(connection) = due else { return Ok(false) };
        self.work("remove old changes", move |rows| {
            Ok(changes::forget_until(rows, connection, Some(micros(before)), limit.max(1))? > 0)
        })
        .await
    }
}

/// A connection whose feed begins before a time.
fn oldest_feed(rows: &impl Rows, before: i64) -> Result<Option<u128>, Fault> {
    for row in rows.connections().iter()? {
        let connection = row?.0.value();
        let first = rows.changes().range((connection, 0)..=(connection, u64::MAX))?.next().transpose()?;
        if let Some((_, row)) = first
            && changes::header(row.value())?.1 < before
        {
            return Ok(Some(connection));
        }
    }
    Ok(None)
}

/// Notes that a job has ended.
pub(super) fn note(rows: &mut WriteRows<'_>, id: u128, row: &JobRow) -> Result<(), Fault> {
    rows.ended.insert((row.ended_at.unwrap_or(row.created_at), id), ())?;
    let registered = rows.connections.get(row.connection)?.is_some();
    // A dry run says nothing about how far the inventory is.
    if registered && !facts::of(rows, id)?.is_group() && !dry::is_dry(rows, id)? {
        rows.last_syncs.insert(row.connection, id)?;
    }
    Ok(())
}

/// Notes what ended under a program that noted nothing. Done again, it changes nothing.
pub(super) fn index(rows: &mut WriteRows<'_>) -> Result<(), Fault> {
    if !rows.ended.is_empty()? {
        return Ok(());
    }
    let mut ended = Vec::new();
    for row in rows.jobs.iter()? {
        let (id, row) = row?;
        let row = decode::<JobRow>(row.value())?;
        if row.state().is_final() {
            ended.push((row.ended_at.unwrap_or(row.created_at), id.value(), row));
        }
    }
    ended.sort_unstable_by_key(|(at, id, _)| (*at, *id));
    for (_, id, row) in ended {
        note(rows, id, &row)?;
    }
    Ok(())
}

/// Jobs that ended before a time and are not the last of their connection, the oldest first. One of whose work rows are
/// left over stays until these are given back.
fn old(rows: &impl Rows, before: Timestamp, limit: usize) -> Result<Vec<(i64, u128)>, Fault> {
    let mut found = Vec::new();
    for row in rows.ended().range(..(micros(before), 0))? {
        if found.len() == limit {
            break;
        }
        let (at, id) = row?.0.value();
        let Some(job) = queue::job(rows, id)? else { continue };
        let is_last = rows.last_syncs().get(job.connection)?.is_some_and(|last| last.value() == id);
        let is_holding = rows.job_holds().range((id, 0)..=(id, u128::MAX))?.next().transpose()?.is_some();
        if !is_last && !is_holding && !work::has_any(rows, id)? {
            found.push((at, id));
        }
    }
    Ok(found)
}

fn forget(rows: &mut WriteRows<'_>, before: Timestamp, limit: usize) -> Result<bool, Fault> {
    let mut left = limit.max(1);
    for (at, id) in old(rows, before, left)? {
        if left == 0 {
            return Ok(true);
        }
        let Some(row) = queue::job(rows, id)? else { continue };
        let mut errors = 0;
        rows.job_errors.retain_in((id, 0)..=(id, u64::MAX), |_, _| {
            errors += 1;
            false
        })?;
        rows.job_bulks.remove((row.bulk, id))?;
        for bulk in facts::of(rows, id)?.joined {
            rows.job_bulks.remove((bulk, id))?;
        }
        rows.job_facts.remove(id)?;
        rows.job_held.remove(id)?;
        connectors::forget_shadow(rows, id)?;
        let found = dry::forget(rows, id)?;
        rows.ended.remove((at, id))?;
        rows.jobs.remove(id)?;
        left = left.saturating_sub(1 + errors + found);
    }
    Ok(!old(rows, before, 1)?.is_empty())
}
