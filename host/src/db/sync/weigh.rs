//! Weighing what a job has proved to be absent against what is known, container by container from the connection down.
//!
//! The topmost container that trips decides for all that lies below it. Where it lies above the object that the job is for,
//! what is held is held at that object: who may sync it may decide about it. Nothing is counted further than it matters,
//! except where something trips, because people are told the numbers.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    rc::Rc,
};

use redb::ReadableTable as _;

use super::{
    super::{
        connections, dry,
        fault::Fault,
        holds, queue,
        records::{JobRow, ObjectRow, decode},
        tables::Rows,
        tree::{self, Node},
    },
    draft::View,
    judge::AbsentRow,
    lately,
};
use crate::model::{
    filter::{Filter, Way},
    hold::{Children, HoldRule, Rebased, Trip, Verdict, Weighed, cause, cause_within, trips},
    id::ObjectId,
    job::Trigger,
    object::{Kind, RemoteStatus},
};

/// Says which holds a job leaves alone: those of a scope that it does not cover.
pub(super) struct Wider {
    object: u128,
    known: HashMap<u128, bool>,
}

impl Wider {
    /// For a job about this object.
    pub(super) fn of(object: u128) -> Self {
        Self { object, known: HashMap::new() }
    }

    /// Whether one of these objects is in a hold that only a person, or a sync of a wider scope, decides about.
    pub(super) fn holds(&mut self, rows: &impl Rows, ids: impl Iterator<Item = u128>) -> Result<bool, Fault> {
        for id in ids {
            if let Some(hold) = holds::of_object(rows, id)?
                && self.is_left_alone(rows, hold)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_left_alone(&mut self, rows: &impl Rows, hold: u128) -> Result<bool, Fault> {
        if let Some(&known) = self.known.get(&hold) {
            return Ok(known);
        }
        let row = holds::row(rows, hold)?.ok_or(Fault::Broken("a hold that is not there"))?;
        // Where its scope is gone nobody else can decide about it.
        let lineage = tree::lineage(rows, row.scope)?;
        let is_covered = lineage.is_none_or(|chain| chain.iter().any(|node| node.id == self.object));
        let is_left_alone = !is_covered || holds::is_decided(rows, hold)?;
        self.known.insert(hold, is_left_alone);
        Ok(is_left_alone)
    }
}

/// Children of one namespace that are gone.
#[derive(Clone, Copy, Default)]
struct Gone {
    vanished: u64,
    earlier: u64,
}

/// What the absences below one container amount to.
#[derive(Default)]
struct Tally {
    vanished: u64,
    /// Leaves that syncs of parts have marked lately.
    earlier: u64,
    /// Its own children of both kinds, by namespace.
    children: BTreeMap<String, Gone>,
    rebased: Option<Rebased>,
    /// Of a container further down.
    rebased_below: Option<Rebased>,
    /// Whether anything but tables has vanished.
    others: bool,
}

impl Gone {
    /// What that is of those that count as present.
    fn among(self, present: u64) -> Children {
        Children { known: present + self.earlier, vanished: self.vanished + self.earlier }
    }
}

impl Tally {
    /// What people call what has vanished.
    fn leaves(&self) -> &'static str {
        if self.others { "objects" } else { "tables" }
    }
}

/// A container in which something is absent.
struct Above {
    chain: Vec<Node>,
    /// None where the patterns leave it out.
    way: Option<Way>,
    status: RemoteStatus,
    /// Whether it, or what it is in, is itself absent.
    is_absent: bool,
    is_unproven: bool,
}

/// What of a job's absences is too much to be believed.
pub(super) fn weigh(rows: &impl Rows, job_id: u128, job: &JobRow) -> Result<Vec<Verdict>, Fault> {
    let filter = connections::filter(rows, job.connection)?;
    let rule = holds::rule(rows, job.connection)?;
    let view = View { rows, draft_of: dry::is_dry(rows, job_id)?.then_some(job_id) };
    let began = job.started_at.unwrap_or(i64::MAX);
    let mut scale = Scale { view, began, filter: &filter, job_id, above: HashMap::new(), wider: Wider::of(job.object) };
    let mut tallies: HashMap<u128, Tally> = HashMap::new();
    let mut absences = Vec::new();
    for row in rows.absent().range((job_id, 0)..=(job_id, u128::MAX))? {
        let (key, row) = row?;
        let (id, absent) = (key.value().1, decode::<AbsentRow>(row.value())?);
        if let Some(above) = scale.add(id, &absent, &mut tallies)? {
            absences.push((id, above));
        }
    }
    if !absences.is_empty() {
        for (id, by) in lately::marked(rows, job)? {
            scale.add_earlier(id, by, job.object, &mut tallies)?;
        }
    }
    let scheduled = queue::brief_job(rows, job_id, job.clone())?.trigger == Trigger::Schedule;
    scale.verdicts(&rule, job.object, scheduled, &tallies, &absences)
}

struct Scale<'a, R> {
    view: View<'a, R>,
    filter: &'a Filter,
    began: i64,
    job_id: u128,
    above: HashMap<u128, Option<Rc<Above>>>,
    wider: Wider,
}

impl<R: Rows> Scale<'_, R> {
    /// Adds an absence to the containers above it, and gives the one that it was in. None where it is none any more, or
    /// others decide about it.
    fn add(
        &mut self,
        id: u128,
        absent: &AbsentRow,
        tallies: &mut HashMap<u128, Tally>,
    ) -> Result<Option<Rc<Above>>, Fault> {
        let Some(above) = self.above(absent.place.parent)? else { return Ok(None) };
        let Some(row) = tree::object(&self.view, id)?.filter(|row| holds::is_at(row, &absent.place)) else {
            return Ok(None);
        };
        let way = above.way.as_ref().and_then(|way| self.filter.below(way, &row.name));
        let Some(way) = way.filter(|_| above.status != RemoteStatus::Excluded && !above.is_unproven) else {
            return Ok(None);
        };
        let mut leaves = Leaves { view: self.view, filter: self.filter, began: self.began, others: false };
        // What lies in a container that is absent too is counted with that one.
        let is_counted = above.status == RemoteStatus::Present && !above.is_absent;
        let weight = if is_counted { leaves.of(id, &row, &way, u64::MAX)? } else { 0 };
        let lineage = above.chain.iter().map(|node| node.id).chain([id]);
        let is_left_alone = self.wider.holds(self.view.rows, lineage)?;
        for node in &above.chain {
            let tally = tallies.entry(node.id).or_default();
            tally.vanished += weight;
            tally.others |= leaves.others;
            if node.id == absent.place.parent {
                tally.children.entry(absent.place.namespace.clone()).or_default().vanished += 1;
                tally.rebased = tally.rebased.take().or_else(|| absent.rebased.clone());
            } else {
                tally.rebased_below = tally.rebased_below.take().or_else(|| absent.rebased.clone());
            }
        }
        // It is gone as others are, and somebody else decides about it.
        Ok((!is_left_alone).then_some(above))
    }

    /// Adds what a sync of `by` has marked lately to the containers above it that were listed as a whole neither by that
    /// sync nor by this one, of `object`.
    fn add_earlier(
        &mut self,
        id: u128,
        by: u128,
        object: u128,
        tallies: &mut HashMap<u128, Tally>,
    ) -> Result<(), Fault> {
        let row = tree::object(&self.view, id)?.filter(|row| row.mark() == RemoteStatus::Missing);
        let Some((row, parent)) = row.and_then(|row| row.parent.map(|parent| (row, parent))) else { return Ok(()) };
        let Some(above) = self.above(parent)? else { return Ok(()) };
        let way = above.way.as_ref().and_then(|way| self.filter.below(way, &row.name));
        let Some(way) = way.filter(|_| above.status != RemoteStatus::Excluded) else { return Ok(()) };
        let mut leaves = Leaves { view: self.view, filter: self.filter, began: self.began, others: false };
        let weight = leaves.of(id, &row, &way, u64::MAX)?;
        for node in above.chain.iter().take_while(|node| node.id != by && node.id != object) {
            let Some(tally) = tallies.get_mut(&node.id) else { break };
            tally.earlier += weight;
            tally.others |= leaves.others;
            if node.id == parent {
                tally.children.entry(row.listed_namespace().to_owned()).or_default().earlier += 1;
            }
        }
        Ok(())
    }

    fn above(&mut self, parent: u128) -> Result<Option<Rc<Above>>, Fault> {
        if let Some(known) = self.above.get(&parent) {
            return Ok(known.clone());
        }
        let rows = self.view.rows;
        let found = match tree::lineage(&self.view, parent)? {
            None => None,
            Some(chain) => {
                let mut is_absent = false;
                for node in &chain {
                    is_absent |= rows.absent().get((self.job_id, node.id))?.is_some();
                }
                let way = self.way(&chain);
                let status = tree::remote_status(&chain, self.filter);
                let is_unproven = rows.unproven().get((self.job_id, parent))?.is_some();
                Some(Rc::new(Above { chain, way, status, is_absent, is_unproven }))
            }
        };
        self.above.insert(parent, found.clone());
        Ok(found)
    }

    fn verdicts(
        &self,
        rule: &HoldRule,
        object: u128,
        scheduled: bool,
        tallies: &HashMap<u128, Tally>,
        absences: &[(u128, Rc<Above>)],
    ) -> Result<Vec<Verdict>, Fault> {
        let mut verdicts = Vec::new();
        let mut tripped: HashSet<u128> = HashSet::new();
        for chain in containers(absences) {
            let ids: Vec<u128> = chain.iter().map(|node| node.id).collect();
            let (Some(&id), false) = (ids.last(), ids.iter().any(|id| tripped.contains(id))) else { continue };
            let Some(tally) = tallies.get(&id) else { continue };
            let Some((trip, weighed)) = self.weigh(rule, chain, tally)? else { continue };
            // Held at the object that the job is for where what trips lies above it.
            let scope = if ids.contains(&object) { id } else { object };
            tripped.insert(id);
            let Some(scope_chain) = tree::lineage(&self.view, scope)? else { continue };
            let equal_syncs = self.equal_syncs(scope, scheduled, absences)?;
            if rule.confirm_after.is_some_and(|enough| equal_syncs >= enough) {
                continue;
            }
            let (it, cause) = if scope == id {
                let below = tally.rebased_below.as_ref();
                let cause = cause(trip, rule, &weighed, &tree::path_of(chain)?, tally.leaves(), below);
                (weighed, cause)
            } else {
                let tally = tallies.get(&scope).unwrap_or(tally);
                let it = Weighed { earlier: weighed.earlier, ..self.within(&scope_chain, tallies.get(&scope))? };
                let basis = tally.rebased.as_ref().or(tally.rebased_below.as_ref());
                let cause = cause_within(&it, &tree::path_of(&scope_chain)?, tally.leaves(), basis);
                (it, cause)
            };
            verdicts.push(Verdict {
                scope: ObjectId::from_u128(scope),
                path: tree::remote_path_of(&scope_chain)?,
                cause,
                hints: Vec::new(),
                known: it.known,
                vanished: it.vanished,
                equal_syncs,
            });
        }
        Ok(verdicts)
    }

    fn weigh(&self, rule: &HoldRule, chain: &[Node], tally: &Tally) -> Result<Option<(Trip, Weighed)>, Fault> {
        let Some(last) = chain.last() else { return Ok(None) };
        let (Some(way), RemoteStatus::Present) = (self.way(chain), tree::remote_status(chain, self.filter)) else {
            return Ok(None);
        };
        let mut leaves = Leaves { view: self.view, filter: self.filter, began: self.began, others: false };
        let vanished = tally.vanished + tally.earlier;
        let mut it = Weighed {
            known: leaves.below(last.id, &way, rule.enough(vanished))? + tally.earlier,
            vanished,
            earlier: tally.earlier,
            rebased: tally.rebased.clone(),
            ..Weighed::default()
        };
        let mut gone = Gone::default();
        for (namespace, it_gone) in &tally.children {
            gone.vanished += it_gone.vanished;
            gone.earlier += it_gone.earlier;
            let known = leaves.children_in(last.id, namespace, &way, it_gone.vanished + 1)?;
            it.namespaces.insert(namespace.clone(), it_gone.among(known));
        }
        it.children = gone.among(leaves.children(last.id, &way, gone.vanished + 1)?);
        let Some(trip) = trips(rule, &it) else { return Ok(None) };
        it.known = leaves.below(last.id, &way, u64::MAX)? + tally.earlier;
        Ok(Some((trip, it)))
    }

    /// What has vanished of an object below what tripped, which may be a single table.
    fn within(&self, chain: &[Node], tally: Option<&Tally>) -> Result<Weighed, Fault> {
        let (Some(last), Some(tally)) = (chain.last(), tally) else {
            return Ok(Weighed { known: 1, vanished: 1, ..Weighed::default() });
        };
        let mut leaves = Leaves { view: self.view, filter: self.filter, began: self.began, others: false };
        let known = match self.way(chain) {
            Some(way) => leaves.below(last.id, &way, u64::MAX)?,
            None => tally.vanished,
        };
        Ok(Weighed { known, vanished: tally.vanished, ..Weighed::default() })
    }

    /// What the patterns may still say of what lies in the last object of a chain; none where they leave it out.
    fn way(&self, chain: &[Node]) -> Option<Way> {
        let mut names = chain.iter().skip(1).map(|node| node.row.name.as_str());
        names.try_fold(self.filter.top(), |way, name| self.filter.below(&way, name))
    }

    /// Scheduled syncs, this one included, that have found the very same absent as is held in a scope.
    fn equal_syncs(&self, scope: u128, scheduled: bool, absences: &[(u128, Rc<Above>)]) -> Result<u32, Fault> {
        let Some(hold) = self.view.rows.scope_holds().get(scope)?.map(|row| row.value()) else { return Ok(0) };
        let Some(row) = holds::row(self.view.rows, hold)? else { return Ok(0) };
        let mut found = 0;
        for (id, above) in absences {
            if *id == scope || above.chain.iter().any(|node| node.id == scope) {
                if holds::of_object(self.view.rows, *id)? != Some(hold) {
                    return Ok(0);
                }
                found += 1;
            }
        }
        let is_equal = !row.has_shrunk && found == row.counts.values().sum::<u64>();
        Ok(if is_equal { row.equal_syncs + u32::from(scheduled) } else { 0 })
    }
}

/// The containers above absences, each once, from the connection down.
fn containers(absences: &[(u128, Rc<Above>)]) -> impl Iterator<Item = &[Node]> {
    let mut all: BTreeMap<(usize, u128), &[Node]> = BTreeMap::new();
    let mut known = HashSet::new();
    for (_, above) in absences {
        for depth in (1..=above.chain.len()).rev() {
            let id = above.chain[depth - 1].id;
            // What is above a known one is known.
            if !known.insert(id) {
                break;
            }
            all.insert((depth, id), &above.chain[..depth]);
        }
    }
    all.into_values()
}

/// Counts what is known to be there: what is no container, and containers in which nothing is.
struct Leaves<'a, R> {
    view: View<'a, R>,
    filter: &'a Filter,
    /// When the job began: what it has found itself was not known, or as many new ones would hide what is gone.
    began: i64,
    /// Whether anything but tables was counted.
    others: bool,
}

impl<R: Rows> Leaves<'_, R> {
    /// The leaves of an object that is there, at least itself; not many more than `stop`.
    fn of(&mut self, id: u128, row: &ObjectRow, way: &Way, stop: u64) -> Result<u64, Fault> {
        let below = if row.kind() == Kind::Container { self.below(id, way, stop)? } else { 0 };
        if below == 0 {
            self.others |= row.kind() != Kind::TableLike;
        }
        Ok(below.max(1))
    }

    /// The leaves below a container; at most about `stop` are counted.
    fn below(&mut self, id: u128, way: &Way, stop: u64) -> Result<u64, Fault> {
        let view = self.view;
        let mut found = 0;
        for child in view.each_child(id)? {
            if found >= stop {
                break;
            }
            let child = child?;
            if let Some((row, way)) = self.present(child, way)? {
                found += self.of(child, &row, &way, stop - found)?;
            }
        }
        Ok(found)
    }

    /// The children of a container that are there; at most `stop` are counted.
    fn children(&self, id: u128, way: &Way, stop: u64) -> Result<u64, Fault> {
        let mut found = 0;
        for child in self.view.each_child(id)? {
            if found >= stop {
                break;
            }
            found += u64::from(self.present(child?, way)?.is_some());
        }
        Ok(found)
    }

    /// The same of one namespace.
    fn children_in(&self, id: u128, namespace: &str, way: &Way, stop: u64) -> Result<u64, Fault> {
        let rows = self.view.rows;
        let mut stored = tree::children_in(rows, id, namespace)?;
        stored.extend(tree::displaced_in(rows, id)?);
        let mut found = 0;
        for child in self.view.redrawn(id, stored, |row| row.listed_namespace() == namespace)? {
            if found >= stop {
                break;
            }
            let present = self.present(child, way)?;
            found += u64::from(present.is_some_and(|(row, _)| row.listed_namespace() == namespace));
        }
        Ok(found)
    }

    fn present(&self, id: u128, above: &Way) -> Result<Option<(ObjectRow, Way)>, Fault> {
        let is_known = |row: &ObjectRow| row.mark() == RemoteStatus::Present && row.created_at < self.began;
        let row = tree::object(&self.view, id)?.filter(is_known);
        Ok(row.and_then(|row| self.filter.below(above, &row.name).map(|way| (row, way))))
    }
}
