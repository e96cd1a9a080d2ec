//! Holds: what is held back, and what people make of it (D33).
//!
//! A decision is recorded in one transaction together with its first steps; the rest follows in small ones, by whoever gives
//! back deleted rows, and goes on after a crash because the decision stands in the store. A release looks at each object
//! again: what was seen, deleted or left out meanwhile does not become missing.

mod keep;

use std::collections::HashSet;

use jiff::Timestamp;
use redb::ReadableTable as _;

use super::{
    Db, DbError, ObjectRef,
    changes::{self, Commit, Noted},
    connections,
    fault::{Fault, Stop},
    jobs, queue,
    records::{JobRow, decode, encode, micros, time},
    tables::{Rows, WriteRows},
    tree,
    view::Lens,
};
use crate::model::{
    diff::What,
    hold::{Decision, Hold},
    id::{HoldId, JobId, ObjectId},
    object::RemoteStatus,
    path::ObjectPath,
    sight::{Sight, Visible},
};
pub(super) use keep::{
    DecidedRow, HeldRow, HoldRow, free, free_moved, is_any, is_at, is_decided, of_chain, of_job, of_object, put, row,
    rule, set_rule, still_absent, take,
};

/// Objects that one transaction decides about; few in tests, so that these see more than one.
const AT_ONCE: usize = if cfg!(test) { 3 } else { 2_000 };

/// Held objects that are looked at to find out whether a hold reaches into a container.
const LOOKED_AT: usize = 5_000;

/// An object that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldObject {
    /// The object.
    pub object: ObjectId,
    /// Where it is.
    pub path: ObjectPath,
    /// Tells things of one name apart.
    pub namespace: String,
    /// What it is.
    pub object_type: String,
}

/// What became of a hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// As it was.
    pub hold: Hold,
    /// Objects that are still to be decided about: that goes on by itself.
    pub left: u64,
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// The caller sees no such hold, or no such job.
    #[error("there is no such hold")]
    NotFound,
    /// A later sync has judged it again.
    #[error("a later sync has replaced the hold: it is at revision {0}")]
    Revision(u64),
    /// The sync that judges it has not ended: more may be held than was seen.
    #[error("the sync that judges it has not ended")]
    Unfinished,
    /// Nothing is held any more whose latest sync is this job.
    #[error("nothing of this sync is held, or a later one has replaced it, or it is decided already")]
    NothingHeld,
    /// The store failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Db {
    /// What is held and not decided, by path. With an object: in it, below it, or together with it.
    pub async fn holds(&self, sight: &Sight, within: Option<&ObjectRef>) -> Result<Option<Vec<Hold>>, DbError> {
        let (sight, within) = (sight.clone(), within.cloned());
        self.read("list holds", move |rows| {
            let lens = Lens::new(rows, &sight)?;
            let mut found = Vec::new();
            let chain = match within.map(|object| tree::find(rows, &object)).transpose()? {
                Some(Some(chain)) if lens.of(&chain) != Visible::No => Some(chain),
                Some(_) => return Ok(None),
                None => None,
            };
            let around = chain.as_ref().map(|chain| of_chain(rows, chain)).transpose()?.flatten();
            let connection = chain.as_ref().and_then(|chain| chain.first()).map(|node| node.id);
            let range = connection.map_or((0, 0)..=(u128::MAX, u128::MAX), |id| (id, 0)..=(id, u128::MAX));
            for entry in rows.connection_holds.range(range)? {
                let id = entry?.0.value().1;
                let Some(hold) = visible(rows, &lens, id)? else { continue };
                let lineage = tree::lineage(rows, hold.scope.as_u128())?.unwrap_or_default();
                let object = chain.as_ref().and_then(|chain| chain.last()).map(|node| node.id);
                let is_below = object.is_none_or(|object| lineage.iter().any(|node| node.id == object));
                let is_above = chain.as_ref().is_some_and(|c| c.iter().any(|node| node.id == hold.scope.as_u128()));
                if is_below || around == Some(id) || (is_above && may_reach(rows, id, object)?) {
                    found.push(hold);
                }
            }
            found.sort_by(|a, b| (&a.path, a.id).cmp(&(&b.path, b.id)));
            Ok(Some(found))
        })
        .await
    }

    /// One hold, if its scope is seen and nobody has decided about it.
    pub async fn hold(&self, sight: &Sight, id: HoldId) -> Result<Option<Hold>, DbError> {
        let sight = sight.clone();
        self.read("read a hold", move |rows| Ok(visible(rows, &Lens::new(rows, &sight)?, id.as_u128())?)).await
    }

    /// Objects that are in a hold, in the order of their ids.
    pub async fn held_objects(&self, sight: &Sight, id: HoldId, size: usize) -> Result<Vec<HeldObject>, DbError> {
        let sight = sight.clone();
        self.read("list held objects", move |rows| {
            let id = id.as_u128();
            if visible(rows, &Lens::new(rows, &sight)?, id)?.is_none() {
                return Ok(Vec::new());
            }
            let mut found = Vec::new();
            for entry in rows.held.range((id, 0)..=(id, u128::MAX))? {
                if found.len() >= size {
                    break;
                }
                found.extend(held_object(rows, entry?.0.value().1)?);
            }
            Ok(found)
        })
        .await
    }

    /// Decides about a hold that is at `revision` (where given). What is held is looked at again; what a release still
    /// finds absent becomes missing, as a change of the person whose handle this is.
    pub async fn decide_hold(
        &self,
        sight: &Sight,
        id: HoldId,
        revision: Option<u64>,
        decision: Decision,
        now: Timestamp,
    ) -> Result<Decided, HoldError> {
        let (sight, by) = (sight.clone(), self.by.clone());
        let done = self
            .write("decide about a hold", move |rows| {
                let lens = Lens::new(rows, &sight)?;
                let hold = visible(rows, &lens, id.as_u128())?.ok_or(Stop::Refused(HoldError::NotFound))?;
                if revision.is_some_and(|seen| seen != hold.revision) {
                    return Err(Stop::Refused(HoldError::Revision(hold.revision)));
                }
                has_ended(queue::job(rows, hold.job.as_u128())?.as_ref())?;
                let row = DecidedRow { decision, by: by.as_deref().cloned(), at: micros(now) };
                Ok(decide(rows, hold, &row, AT_ONCE)?)
            })
            .await?;
        self.ring();
        Ok(done)
    }

    /// Decides about everything that a job holds back, as far as no later sync has judged it again.
    pub async fn decide_holds_of(
        &self,
        sight: &Sight,
        job: JobId,
        decision: Decision,
        now: Timestamp,
    ) -> Result<Vec<Decided>, HoldError> {
        let (sight, by) = (sight.clone(), self.by.clone());
        let done = self
            .write("decide about the holds of a job", move |rows| {
                let lens = Lens::new(rows, &sight)?;
                let id = job.as_u128();
                let job = queue::job(rows, id)?.ok_or(Stop::Refused(HoldError::NotFound))?;
                if !jobs::sees(rows, &lens, &job)? {
                    return Err(Stop::Refused(HoldError::NotFound));
                }
                has_ended(Some(&job))?;
                let row = DecidedRow { decision, by: by.as_deref().cloned(), at: micros(now) };
                let (mut done, mut room) = (Vec::new(), AT_ONCE);
                for hold in of_job(rows, id)? {
                    if let Some(hold) = visible(rows, &lens, hold)? {
                        let objects = usize::try_from(hold.objects()).unwrap_or(usize::MAX);
                        done.push(decide(rows, hold, &row, room)?);
                        room = room.saturating_sub(objects);
                    }
                }
                if done.is_empty() { Err(Stop::Refused(HoldError::NothingHeld)) } else { Ok(done) }
            })
            .await?;
        self.ring();
        Ok(done)
    }

    /// Goes on with what people have decided about holds, at most about `limit` objects in one transaction. Whether there
    /// is more. Stopped at any point, the next call goes on: what is left is still in its hold.
    pub async fn carry_out_decisions(&self, limit: usize) -> Result<bool, DbError> {
        let idle = self.read("look for decided holds", |rows| Ok(rows.decided.first()?.is_none())).await?;
        if idle {
            return Ok(false);
        }
        self.work("carry out decisions about holds", move |rows| {
            let first = rows.decided.first()?.map(|row| row.0.value());
            if let Some(hold) = first {
                carry_out(rows, hold, limit.max(1))?;
            }
            Ok(rows.decided.first()?.is_some())
        })
        .await
    }
}

fn has_ended(job: Option<&JobRow>) -> Result<(), Stop<HoldError>> {
    let is_unfinished = job.is_some_and(|job| !job.state().is_final());
    if is_unfinished { Err(Stop::Refused(HoldError::Unfinished)) } else { Ok(()) }
}

/// A hold that the caller sees and nobody has decided about.
pub(super) fn visible(rows: &impl Rows, lens: &Lens, id: u128) -> Result<Option<Hold>, Fault> {
    let Some(row) = row(rows, id)? else { return Ok(None) };
    if is_decided(rows, id)? {
        return Ok(None);
    }
    let Some(chain) = tree::lineage(rows, row.scope)? else { return Ok(None) };
    if lens.of(&chain) == Visible::Whole { row.hold(rows, id) } else { Ok(None) }
}

/// Whether a hold has something below an object; where it has so much that looking takes long, it is taken to.
fn may_reach(rows: &impl Rows, hold: u128, object: Option<u128>) -> Result<bool, Fault> {
    let mut looked = HashSet::new();
    for (n, row) in rows.held().range((hold, 0)..=(hold, u128::MAX))?.enumerate() {
        let parent = decode::<HeldRow>(row?.1.value())?.place.parent;
        if n >= LOOKED_AT {
            return Ok(true);
        }
        if looked.insert(parent) {
            let lineage = tree::lineage(rows, parent)?.unwrap_or_default();
            if lineage.iter().any(|node| Some(node.id) == object) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// A held object where it is now; none where it is deleted.
pub(super) fn held_object(rows: &impl Rows, id: u128) -> Result<Option<HeldObject>, Fault> {
    let Some(chain) = tree::lineage(rows, id)? else { return Ok(None) };
    let path = tree::path_of(&chain)?;
    Ok(chain.into_iter().last().map(|node| HeldObject {
        object: ObjectId::from_u128(id),
        path,
        namespace: node.row.listed_namespace().to_owned(),
        object_type: node.row.object_type,
    }))
}

/// Records a decision, and carries out the beginning, about at most `limit` objects.
fn decide(rows: &mut WriteRows<'_>, hold: Hold, decided: &DecidedRow, limit: usize) -> Result<Decided, Fault> {
    let id = hold.id.as_u128();
    rows.decided.insert(id, encode(decided)?.as_slice())?;
    // From here on a sync of the scope that holds something begins a new one.
    rows.scope_holds.remove(hold.scope.as_u128())?;
    if limit > 0 {
        carry_out(rows, id, limit)?;
    }
    let left = row(rows, id)?.map_or(0, |row| row.counts.values().sum());
    Ok(Decided { hold, left })
}

/// Carries out some of a decision: each object leaves the hold, which is gone with the last one.
fn carry_out(rows: &mut WriteRows<'_>, hold: u128, limit: usize) -> Result<(), Fault> {
    let decided = rows.decided.get(hold)?.map(|row| decode::<DecidedRow>(row.value())).transpose()?;
    let (Some(decided), Some(hold_row)) = (decided, row(rows, hold)?) else {
        rows.decided.remove(hold)?;
        return Ok(());
    };
    let some: Vec<(u128, HeldRow)> = rows
        .held
        .range((hold, 0)..=(hold, u128::MAX))?
        .take(limit)
        .map(|row| {
            let (key, row) = row?;
            Ok((key.value().1, decode(row.value())?))
        })
        .collect::<Result<_, Fault>>()?;
    let filter = connections::filter(rows, hold_row.connection)?;
    let mut running = queue::active_of(rows, hold_row.connection)?;
    running.extend(queue::waiting(rows)?);
    let mut gone = Vec::new();
    for (object, held) in some {
        match decided.decision {
            Decision::Release => {
                if let Some(chain) = still_absent(rows, &filter, object, &held.place)? {
                    rows.trusted.remove((held.place.parent, held.place.namespace.as_str()))?;
                    gone.extend(chain.into_iter().last());
                }
            }
            // A sync that left it alone because it was held must not believe it now.
            Decision::Reject => {
                for job in &running {
                    rows.absent.remove((*job, object))?;
                }
            }
        }
        free(rows, object)?;
    }
    if gone.is_empty() {
        return Ok(());
    }
    let sequence = queue::next_commit(rows)?;
    let mut noted = Vec::with_capacity(gone.len());
    for tree::Node { id, mut row } in gone {
        row.set_mark(RemoteStatus::Missing);
        row.touch(sequence, decided.at);
        rows.objects.insert(id, encode(&row)?.as_slice())?;
        noted.push(Noted::new(id, What::Missing));
    }
    let now = time(decided.at)?;
    changes::append(rows, Commit { connection: hold_row.connection, sequence, job: None, by: decided.by, now }, noted)
}
