//! The jobs at a glance: how many wait and run, how those of late ended, and how each connection stands.

use std::collections::BTreeMap;

use jiff::Timestamp;
use redb::ReadableTable as _;

use super::{
    Db, DbError, connections,
    fault::Fault,
    holds, jobs, news, queue,
    records::{micros, time},
    tables::Rows,
    view::Lens,
};
use crate::model::{
    connection::Connection,
    job::{Job, JobState},
    sight::{Sight, Visible},
};

/// The jobs that a caller sees, at a glance.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Jobs that have not ended, by state.
    pub running: BTreeMap<&'static str, u64>,
    /// Jobs that ended since the time that was asked for, by state.
    pub ended: BTreeMap<&'static str, u64>,
    /// Since when the oldest job waits that has not begun.
    pub waiting_since: Option<Timestamp>,
    /// The connections that are wholly seen, by key.
    pub connections: Vec<Standing>,
}

/// How a connection stands.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The connection.
    pub connection: Connection,
    /// Its sync that ended last.
    pub last: Option<Job>,
    /// What is held in it, and not decided.
    pub holds: u64,
}

impl Db {
    /// The jobs at a glance, with those that ended at or after `since`.
    pub async fn job_summary(&self, sight: &Sight, since: Timestamp) -> Result<Summary, DbError> {
        let sight = sight.clone();
        self.read("summarise jobs", move |rows| {
            let lens = Lens::new(rows, &sight)?;
            let mut summary = Summary::default();
            for id in news::unfinished(rows)? {
                let Some(row) = queue::job(rows, id)? else { continue };
                if jobs::sees(rows, &lens, &row)? {
                    *summary.running.entry(row.state().as_str()).or_default() += 1;
                    if row.state() == JobState::Created && summary.waiting_since.is_none() {
                        summary.waiting_since = Some(time(row.created_at)?);
                    }
                }
            }
            for row in rows.ended.range((micros(since), 0)..)? {
                let Some(row) = queue::job(rows, row?.0.value().1)? else { continue };
                if jobs::sees(rows, &lens, &row)? {
                    *summary.ended.entry(row.state().as_str()).or_default() += 1;
                }
            }
            for row in rows.connection_keys.iter()? {
                let id = row?.1.value();
                if lens.visible(&[id]) != Visible::Whole {
                    continue;
                }
                let Some(connection) = connections::connection(rows, id)? else { continue };
                let mut open = 0;
                for entry in rows.connection_holds.range((id, 0)..=(id, u128::MAX))? {
                    open += u64::from(holds::visible(rows, &lens, entry?.0.value().1)?.is_some());
                }
                summary.connections.push(Standing { connection, last: last_sync(rows, &lens, id)?, holds: open });
            }
            Ok(summary)
        })
        .await
    }

    /// Of each connection the sync that ended last, where the caller sees it. Dry runs are none.
    pub async fn last_syncs(&self, sight: &Sight) -> Result<Vec<Job>, DbError> {
        let sight = sight.clone();
        self.read("read the last syncs", move |rows| {
            let lens = Lens::new(rows, &sight)?;
            let mut found = Vec::new();
            for row in rows.last_syncs.iter()? {
                found.extend(last_sync(rows, &lens, row?.0.value())?);
            }
            Ok(found)
        })
        .await
    }
}

fn last_sync(rows: &impl Rows, lens: &Lens, connection: u128) -> Result<Option<Job>, Fault> {
    let Some(id) = rows.last_syncs().get(connection)?.map(|row| row.value()) else { return Ok(None) };
    match queue::job(rows, id)? {
        Some(row) if jobs::sees(rows, lens, &row)? => Ok(Some(queue::brief_job(rows, id, row)?)),
        _ => Ok(None),
    }
}
