//! The jobs at a glance: how many wait and run, how those of late ended, and how each connection stands.

use std::collections::BTreeMap;

use jiff::Timestamp;
use redb::ReadableTable as _;

use super::{
    Db, DbError, connections, jobs, news, queue,
    records::{micros, time},
    tables::Rows as _,
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
    /// The connections that are wholly seen, by key, each with its sync that ended last.
    pub connections: Vec<(Connection, Option<Job>)>,
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
                let last = rows.last_syncs().get(id)?.map(|row| row.value());
                let last = match last {
                    Some(job) => match queue::job(rows, job)? {
                        Some(row) => Some(queue::brief_job(rows, job, row)?),
                        None => None,
                    },
                    None => None,
                };
                summary.connections.push((connection, last));
            }
            Ok(summary)
        })
        .await
    }
}
