//! What is held, inside a transaction: each object in at most one hold, each hold with at least one object, and the indexes
//! by which both are found.

use std::collections::{BTreeMap, HashMap};

use redb::ReadableTable as _;
use serde::{Deserialize, Serialize};

use super::super::{
    fault::Fault,
    records::{ObjectRow, PlaceRow, decode, encode, time},
    tables::{Rows, WriteRows},
    tree::{self, Node, Tree},
};
use crate::model::{
    connection::Actor,
    filter::Filter,
    hold::{Decision, Hold, HoldRule},
    id::{ConnectionId, HoldId, JobId, ObjectId},
    object::RemoteStatus,
};

/// What is held back together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::db) struct HoldRow {
    pub(in crate::db) connection: u128,
    pub(in crate::db) scope: u128,
    pub(in crate::db) job: u128,
    pub(in crate::db) revision: u64,
    pub(in crate::db) cause: String,
    pub(in crate::db) hints: Vec<String>,
    pub(in crate::db) known: u64,
    pub(in crate::db) vanished: u64,
    /// Held objects by type, as the rows of `held` say.
    pub(in crate::db) counts: BTreeMap<String, u64>,
    pub(in crate::db) equal_syncs: u32,
    /// Whether something has left it since it was judged: the next judgement is about something else.
    pub(in crate::db) has_shrunk: bool,
    pub(in crate::db) created_at: i64,
    pub(in crate::db) updated_at: i64,
}

/// An object that is held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::db) struct HeldRow {
    pub(in crate::db) place: PlaceRow,
    pub(in crate::db) object_type: String,
}

/// What a person has decided about a hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::db) struct DecidedRow {
    pub(in crate::db) decision: Decision,
    pub(in crate::db) by: Option<Actor>,
    pub(in crate::db) at: i64,
}

impl HoldRow {
    /// As callers get it; none where its scope is not in the inventory any more.
    pub(in crate::db) fn hold(self, rows: &impl Rows, id: u128) -> Result<Option<Hold>, Fault> {
        let Some(chain) = tree::lineage(rows, self.scope)? else { return Ok(None) };
        Ok(Some(Hold {
            id: HoldId::from_u128(id),
            connection: ConnectionId::from_u128(self.connection),
            scope: ObjectId::from_u128(self.scope),
            path: tree::path_of(&chain)?,
            revision: self.revision,
            job: JobId::from_u128(self.job),
            cause: self.cause,
            hints: self.hints,
            known: self.known,
            vanished: self.vanished,
            counts: self.counts,
            equal_syncs: self.equal_syncs,
            created_at: time(self.created_at)?,
            updated_at: time(self.updated_at)?,
        }))
    }
}

/// When a connection's absences are held back.
pub(in crate::db) fn rule(rows: &impl Rows, connection: u128) -> Result<HoldRule, Fault> {
    Ok(rows.hold_rules().get(connection)?.map(|row| decode(row.value())).transpose()?.unwrap_or_default())
}

/// Stores when a connection's absences are held back.
pub(in crate::db) fn set_rule(rows: &mut WriteRows<'_>, connection: u128, rule: &HoldRule) -> Result<(), Fault> {
    if *rule == HoldRule::default() {
        rows.hold_rules.remove(connection)?;
    } else {
        rows.hold_rules.insert(connection, encode(rule)?.as_slice())?;
    }
    Ok(())
}

/// A hold's row.
pub(in crate::db) fn row(rows: &impl Rows, hold: u128) -> Result<Option<HoldRow>, Fault> {
    rows.holds().get(hold)?.map(|row| decode(row.value())).transpose()
}

/// Writes a hold's row.
pub(in crate::db) fn put(rows: &mut WriteRows<'_>, hold: u128, row: &HoldRow) -> Result<(), Fault> {
    rows.holds.insert(hold, encode(row)?.as_slice())?;
    Ok(())
}

/// Whether anything of a connection is held.
pub(in crate::db) fn is_any(rows: &impl Rows, connection: u128) -> Result<bool, Fault> {
    Ok(rows.connection_holds().range((connection, 0)..=(connection, u128::MAX))?.next().transpose()?.is_some())
}

/// The hold that an object is in, decided or not.
pub(in crate::db) fn of_object(rows: &impl Rows, object: u128) -> Result<Option<u128>, Fault> {
    Ok(rows.held_objects().get(object)?.map(|row| row.value()))
}

/// Whether a person has decided about a hold.
pub(in crate::db) fn is_decided(rows: &impl Rows, hold: u128) -> Result<bool, Fault> {
    Ok(rows.decided().get(hold)?.is_some())
}

/// The undecided hold that an object of a chain is in, from the last one upwards.
pub(in crate::db) fn of_chain(rows: &impl Rows, chain: &[Node]) -> Result<Option<u128>, Fault> {
    for node in chain.iter().rev() {
        if let Some(hold) = of_object(rows, node.id)?
            && !is_decided(rows, hold)?
        {
            return Ok(Some(hold));
        }
    }
    Ok(None)
}

/// Undecided holds whose latest judgement is this job's.
pub(in crate::db) fn of_job(rows: &impl Rows, job: u128) -> Result<Vec<u128>, Fault> {
    let mut found = Vec::new();
    for row in rows.job_holds().range((job, 0)..=(job, u128::MAX))? {
        let hold = row?.0.value().1;
        if !is_decided(rows, hold)? {
            found.push(hold);
        }
    }
    Ok(found)
}

/// Puts an object into a hold, out of any other.
pub(in crate::db) fn take(rows: &mut WriteRows<'_>, hold: u128, object: u128, held: HeldRow) -> Result<(), Fault> {
    if of_object(rows, object)? == Some(hold) {
        return Ok(());
    }
    free(rows, object)?;
    let mut row = row(rows, hold)?.ok_or(Fault::Broken("a hold that is not there"))?;
    *row.counts.entry(held.object_type.clone()).or_default() += 1;
    put(rows, hold, &row)?;
    rows.held.insert((hold, object), encode(&held)?.as_slice())?;
    rows.held_objects.insert(object, hold)?;
    Ok(())
}

/// Takes an object out of its hold, and the hold away with the last one. Whether it was in one.
pub(in crate::db) fn free(rows: &mut WriteRows<'_>, object: u128) -> Result<bool, Fault> {
    let Some(hold) = rows.held_objects.remove(object)?.map(|row| row.value()) else { return Ok(false) };
    let held = rows.held.remove((hold, object))?.map(|row| decode::<HeldRow>(row.value())).transpose()?;
    let held = held.ok_or(Fault::Broken("a held object is not in its hold"))?;
    let mut row = row(rows, hold)?.ok_or(Fault::Broken("a hold that is not there"))?;
    if let Some(count) = row.counts.get_mut(&held.object_type) {
        *count = count.saturating_sub(1);
    }
    row.counts.retain(|_, count| *count > 0);
    row.has_shrunk = true;
    if !row.counts.is_empty() {
        put(rows, hold, &row)?;
        return Ok(true);
    }
    rows.holds.remove(hold)?;
    rows.connection_holds.remove((row.connection, hold))?;
    rows.job_holds.remove((row.job, hold))?;
    rows.decided.remove(hold)?;
    let is_known_by_scope = rows.scope_holds.get(row.scope)?.is_some_and(|known| known.value() == hold);
    if is_known_by_scope {
        rows.scope_holds.remove(row.scope)?;
    }
    Ok(true)
}

/// Frees what a moved object has taken with it out of the scopes of its holds: whoever may decide about these need not see
/// where it is now. It counts as present until a sync finds it absent there. `left` are the containers that it was in and
/// is in no more.
pub(in crate::db) fn free_moved(
    rows: &mut WriteRows<'_>,
    connection: u128,
    moved: u128,
    left: &[u128],
) -> Result<(), Fault> {
    let mut holds = Vec::new();
    for entry in rows.connection_holds.range((connection, 0)..=(connection, u128::MAX))? {
        let hold = entry?.0.value().1;
        if row(rows, hold)?.is_some_and(|row| left.contains(&row.scope)) {
            holds.push(hold);
        }
    }
    let (mut inside, mut gone): (HashMap<u128, bool>, Vec<u128>) = (HashMap::new(), Vec::new());
    for hold in holds {
        for entry in rows.held.range((hold, 0)..=(hold, u128::MAX))? {
            let (key, held) = entry?;
            let parent = decode::<HeldRow>(held.value())?.place.parent;
            let is_inside = match inside.get(&parent) {
                Some(known) => *known,
                None => {
                    let lineage = tree::lineage(rows, parent)?.unwrap_or_default();
                    lineage.iter().any(|node| node.id == moved)
                }
            };
            inside.insert(parent, is_inside);
            if is_inside {
                gone.push(key.value().1);
            }
        }
    }
    for object in gone {
        free(rows, object)?;
    }
    Ok(())
}

/// The lineage of an object that was proved to be absent, where it still counts as present and is where it was. What is
/// left out meanwhile is nobody's absence.
pub(in crate::db) fn still_absent(
    tree: &impl Tree,
    filter: &Filter,
    object: u128,
    place: &PlaceRow,
) -> Result<Option<Vec<Node>>, Fault> {
    let Some(chain) = tree::lineage(tree, object)? else { return Ok(None) };
    let is_there = chain.last().is_some_and(|node| is_at(&node.row, place));
    Ok((is_there && tree::remote_status(&chain, filter) != RemoteStatus::Excluded).then_some(chain))
}

/// Whether an object still counts as present at a place.
pub(in crate::db) fn is_at(row: &ObjectRow, place: &PlaceRow) -> bool {
    row.mark() == RemoteStatus::Present
        && row.parent == Some(place.parent)
        && row.listed_namespace() == place.namespace
        && row.name == place.name
}
