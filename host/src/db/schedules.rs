//! Periodic syncs: when a connection was last due, and queueing what is due now.
//!
//! That a schedule has fired is stored in the transaction that queues the job. So after a crash it has either happened or
//! is done again, and however many times were missed while no host ran, they are made up for by one sync.

use jiff::Timestamp;
use redb::ReadableTable as _;
use serde::{Deserialize, Serialize};

use super::{
    Db, DbError,
    connections::{self, ConnectionError},
    fault::{Fault, Stop},
    jobs, queue,
    records::{ConnectionRow, decode, encode, micros, time},
    tables::{Rows, WriteRows},
    tree,
};
use crate::model::{
    connection::{Actor, Connection},
    id::ConnectionId,
    job::Trigger,
    schedule::{Jitter, Schedule},
    sight::Sight,
};

/// When a connection is synced by itself, and when it last was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ScheduleRow {
    cron: String,
    jitter: u32,
    /// When it last fired, or was set.
    fired_at: i64,
}

impl ScheduleRow {
    fn schedule(&self) -> Result<Schedule, Fault> {
        let broken = |_| Fault::Broken("a stored schedule is none");
        let jitter = Jitter::try_from(u64::from(self.jitter)).map_err(broken)?;
        Ok(Schedule { cron: self.cron.parse().map_err(broken)?, jitter })
    }
}

impl Db {
    /// Queues a sync of each connection that is due, and says when the next one will be. Connections that are not due
    /// cost no commit.
    pub async fn queue_due_syncs(&self, now: Timestamp) -> Result<Option<Timestamp>, DbError> {
        let (due, next) = self.read("look for due connections", move |rows| Ok(look(rows, now)?)).await?;
        if due.is_empty() {
            return Ok(next);
        }
        let next = self
            .work("queue due syncs", move |rows| {
                // Looked for again: it may have been queued or deleted meanwhile.
                for id in look(rows, now)?.0 {
                    fire(rows, id, now)?;
                }
                Ok(look(rows, now)?.1)
            })
            .await?;
        self.ring();
        Ok(next)
    }

    /// Changes when a connection is synced by itself, if it is still at `revision` (where given).
    pub async fn change_schedule(
        &self,
        id: ConnectionId,
        schedule: Schedule,
        revision: Option<u64>,
        by: Actor,
        now: Timestamp,
    ) -> Result<Connection, ConnectionError> {
        let done = self
            .write("change a schedule", move |rows| {
                let key = id.as_u128();
                let mut stored = connections::connection(rows, key)?.ok_or(Stop::Refused(ConnectionError::NotFound))?;
                if revision.is_some_and(|seen| seen != stored.revision) {
                    return Err(Stop::Refused(ConnectionError::Revision(stored.revision)));
                }
                set(rows, key, &schedule, now)?;
                stored.options.schedule = schedule;
                stored.revision += 1;
                stored.updated_by = by;
                stored.updated_at = now;
                rows.connections.insert(key, encode(&ConnectionRow::from(stored.clone()))?.as_slice())?;
                Ok(stored)
            })
            .await?;
        self.ring();
        Ok(done)
    }
}

/// The schedule of a connection; the default one where none is stored.
pub(super) fn of(rows: &impl Rows, connection: u128) -> Result<Schedule, Fault> {
    row(rows, connection)?.map_or_else(|| Ok(Schedule::default()), |row| row.schedule())
}

/// Stores a schedule. One that differs begins now: it does not make up for times at which it did not hold.
pub(super) fn set(
    rows: &mut WriteRows<'_>,
    connection: u128,
    schedule: &Schedule,
    now: Timestamp,
) -> Result<(), Fault> {
    match row(rows, connection)? {
        Some(known) if known.schedule()? == *schedule => Ok(()),
        _ => put(rows, connection, schedule, now),
    }
}

fn row(rows: &impl Rows, connection: u128) -> Result<Option<ScheduleRow>, Fault> {
    rows.schedules().get(connection)?.map(|row| decode(row.value())).transpose()
}

fn put(rows: &mut WriteRows<'_>, connection: u128, schedule: &Schedule, fired_at: Timestamp) -> Result<(), Fault> {
    let row =
        ScheduleRow { cron: schedule.cron.to_string(), jitter: schedule.jitter.seconds(), fired_at: micros(fired_at) };
    rows.schedules.insert(connection, encode(&row)?.as_slice())?;
    Ok(())
}

/// The connections that are due, and when the first of the others is.
fn look(rows: &impl Rows, now: Timestamp) -> Result<(Vec<u128>, Option<Timestamp>), Fault> {
    let (mut due, mut next) = (Vec::new(), None::<Timestamp>);
    for row in rows.connections().iter()? {
        let (id, connection) = row?;
        let id = id.value();
        let (schedule, fired_at) = match self::row(rows, id)? {
            Some(row) => (row.schedule()?, time(row.fired_at)?),
            // Registered under a program that knew no schedules.
            None => (Schedule::default(), decode::<ConnectionRow>(connection.value())?.connection(id)?.created_at),
        };
        let at = schedule.next_after(ConnectionId::from_u128(id), fired_at);
        // A clock that was far ahead once must not silence a connection until that time comes.
        if at <= now || fired_at > now {
            due.push(id);
        } else {
            next = Some(next.map_or(at, |known| known.min(at)));
        }
    }
    Ok((due, next))
}

fn fire(rows: &mut WriteRows<'_>, id: u128, now: Timestamp) -> Result<(), Fault> {
    let Some(chain) = tree::lineage(rows, id)? else { return Ok(()) };
    let fired_at = self::row(rows, id)?.map(|row| time(row.fired_at)).transpose()?;
    put(rows, id, &of(rows, id)?, now)?;
    if fired_at.is_some_and(|at| at > now) {
        return Ok(());
    }
    let request = jobs::request(rows, &chain, &Sight::All, false)?;
    queue::enqueue(rows, queue::Request { trigger: Trigger::Schedule, ..request }, now)?;
    Ok(())
}
