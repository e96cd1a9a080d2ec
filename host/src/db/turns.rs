//! Whose turn it is: which of the waiting jobs begins next.
//!
//! Two jobs whose subtrees overlap never run together, and of two that wait the older one goes first, so that small
//! syncs cannot keep a large one waiting for ever. Among connections the one with the fewest running jobs goes first,
//! then the one whose last job was begun the longest ago: many waiting jobs of one connection hold up no other.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use redb::ReadableTable as _;

use super::{
    fault::Fault,
    queue,
    records::{JobRow, micros},
    tables::{Rows, WriteRows},
    tree,
};

/// How long a job waits for its beginning.
const EXPIRES_AFTER_MICROS: i64 = 24 * 3600 * 1_000_000;

/// What can be done about the waiting jobs.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// They waited too long (D43).
    pub(super) expired: Vec<u128>,
    /// Their object is not there.
    pub(super) gone: Vec<u128>,
    /// At most one of each connection can begin, in the order of their turn: when it is due, and which.
    pub(super) ready: Vec<(i64, u128)>,
}

impl Turns {
    /// Whether a claim would change anything.
    pub(super) fn is_any(&self) -> bool {
        !self.expired.is_empty() || !self.gone.is_empty() || !self.ready.is_empty()
    }
}

/// Subtrees of one connection on which jobs run, or wait before others.
#[derive(Default)]
struct Taken {
    objects: HashSet<u128>,
    above: HashSet<u128>,
    running: usize,
}

impl Taken {
    fn add(&mut self, object: u128, lineage: &[u128]) {
        self.objects.insert(object);
        self.above.extend(lineage);
    }

    /// Whether the subtree of an object overlaps with one of these.
    fn overlaps(&self, object: u128, lineage: &[u128]) -> bool {
        self.above.contains(&object) || lineage.iter().any(|id| self.objects.contains(id))
    }
}

/// Looks at the jobs that are due; without a time, at all that wait.
pub(super) fn look(rows: &impl Rows, now: Option<Timestamp>) -> Result<Turns, Fault> {
    let mut turns = Turns::default();
    let mut taken = running(rows)?;
    let mut found: HashSet<u128> = HashSet::new();
    let mut ready = Vec::new();
    for entry in rows.waiting().iter()? {
        let (due, id) = entry?.0.value();
        if now.is_some_and(|now| due > micros(now)) {
            break;
        }
        let Some(row) = queue::job(rows, id)? else { continue };
        if now.is_some_and(|now| is_expired(&row, now)) {
            turns.expired.push(id);
            continue;
        }
        if found.contains(&row.connection) {
            continue;
        }
        let Some(lineage) = lineage(rows, row.object)? else {
            turns.gone.push(id);
            continue;
        };
        let taken = taken.entry(row.connection).or_default();
        if taken.overlaps(row.object, &lineage) {
            taken.add(row.object, &lineage);
        } else {
            found.insert(row.connection);
            let last = rows.turns().get(row.connection)?.map_or(0, |row| row.value());
            ready.push((taken.running, last, due, id));
        }
    }
    ready.sort_unstable();
    turns.ready = ready.into_iter().map(|(_, _, due, id)| (due, id)).collect();
    Ok(turns)
}

/// Notes that a connection had its turn.
pub(super) fn had(rows: &mut WriteRows<'_>, connection: u128) -> Result<(), Fault> {
    let number = rows.meta.get("turn")?.map_or(0, |row| row.value()) + 1;
    rows.meta.insert("turn", number)?;
    rows.turns.insert(connection, u64::try_from(number).unwrap_or(u64::MAX))?;
    Ok(())
}

fn running(rows: &impl Rows) -> Result<HashMap<u128, Taken>, Fault> {
    let mut all: HashMap<u128, Taken> = HashMap::new();
    for entry in rows.active().iter()? {
        let (connection, id) = entry?.0.value();
        let taken = all.entry(connection).or_default();
        taken.running += 1;
        if let Some(row) = queue::job(rows, id)? {
            taken.add(row.object, &lineage(rows, row.object)?.unwrap_or_default());
        }
    }
    Ok(all)
}

fn lineage(rows: &impl Rows, object: u128) -> Result<Option<Vec<u128>>, Fault> {
    Ok(tree::lineage(rows, object)?.map(|chain| chain.iter().map(|node| node.id).collect()))
}

fn is_expired(row: &JobRow, now: Timestamp) -> bool {
    row.started_at.is_none() && row.epoch == 0 && micros(now) - row.created_at >= EXPIRES_AFTER_MICROS
}
