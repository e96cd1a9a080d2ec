//! When an absence that was proved is believed, and when it is held back until a person decides (D33).

use std::collections::{BTreeMap, BTreeSet};

use super::{Id, Mark, Model, pages::Sync};
use crate::model::{hold::Decision, object::Kind};

/// Where an object was when it was proved to be absent, and whether its container was listed on another basis than before.
pub(in super::super) type Absence = (Id, String, bool);

/// When absences are held back.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Rule {
    /// In per cent.
    pub(in super::super) share: u64,
    pub(in super::super) minimum: u64,
}

/// What is held, by object: under which scope it is, and what was proved.
#[derive(Default)]
pub(in super::super) struct Held(pub(in super::super) BTreeMap<Id, (Id, Absence)>);

impl Model {
    /// The scope of the hold that an object, or the nearest one above it, is in.
    pub(in super::super) fn held_in(&self, id: Id) -> Option<Id> {
        self.chain(id).into_iter().rev().find_map(|id| self.held.0.get(&id)).map(|(scope, _)| *scope)
    }

    /// What is held, by the scope of the hold.
    pub(in super::super) fn holds(&self) -> BTreeMap<Id, BTreeSet<Id>> {
        let mut holds: BTreeMap<Id, BTreeSet<Id>> = BTreeMap::new();
        for (id, (scope, _)) in &self.held.0 {
            holds.entry(*scope).or_default().insert(*id);
        }
        holds
    }

    /// Whether an absence still is one: the object is where it was, counts as present, and is not left out.
    fn is_still_absent(&self, id: Id, (parent, name, _): &Absence) -> bool {
        let is_there =
            |item: &super::Item| item.mark == Mark::Present && item.parent == Some(*parent) && item.name == *name;
        self.items.get(&id).is_some_and(is_there) && self.status(id) != Mark::Excluded
    }

    /// Whether an object is in a hold that a sync of another object does not decide about: one of a wider scope, or beside it.
    fn is_left_alone(&self, sync: &Sync, id: Id) -> bool {
        let is_covered = |scope: Id| !self.items.contains_key(&scope) || self.chain(scope).contains(&sync.object);
        self.chain(id).iter().any(|id| self.held.0.get(id).is_some_and(|(scope, _)| !is_covered(*scope)))
    }

    /// Whether an object was there before the sync, as far as is known.
    fn is_known(&self, sync: &Sync, id: Id) -> bool {
        id < sync.first_new && self.items[&id].mark == Mark::Present && !self.leaves_out(&self.names(id))
    }

    /// Leaves of an object that is there: what holds nothing is one itself.
    fn leaves(&self, sync: &Sync, id: Id) -> u64 {
        let below = if self.items[&id].kind == Kind::Container { self.leaves_below(sync, id) } else { 0 };
        below.max(1)
    }

    fn leaves_below(&self, sync: &Sync, id: Id) -> u64 {
        let known = self.children(id).into_iter().filter(|child| self.is_known(sync, *child));
        known.map(|child| self.leaves(sync, child)).sum()
    }

    /// What other syncs have marked as missing below a container that neither they nor this one list as a whole. Nothing in
    /// a sequence is older than a day.
    fn marked_earlier(&self, sync: &Sync, container: Id) -> Vec<Id> {
        let above = self.chain(container);
        let counts = |(id, item): &(&Id, &super::Item)| {
            let is_by_another = item.gone_by.is_some_and(|by| !above.contains(&by));
            let is_below = **id != container && self.chain(**id).contains(&container);
            let is_left_out = || self.is_excluded(**id) || self.leaves_out(&self.names(**id));
            item.mark == Mark::Missing && is_by_another && is_below && !is_left_out()
        };
        let all = if above.contains(&sync.object) { None } else { Some(&self.items) };
        all.into_iter().flatten().filter(counts).map(|(id, _)| *id).collect()
    }

    /// In which scopes a sync found too much gone (D33): more than a share of the known leaves below any container, every
    /// child of one that had more than one, or anything after a changed basis. What is wide decides for what lies in it.
    pub(in super::super) fn weigh(&self, sync: &Sync) -> BTreeSet<Id> {
        let weighs = |(id, absence): &(&Id, &Absence)| self.is_still_absent(**id, absence);
        let absent: BTreeMap<Id, &Absence> = sync.absent.iter().filter(weighs).map(|(id, it)| (*id, it)).collect();
        let weight = |id: Id| {
            let above = self.items[&id].parent.expect("a connection is never absent");
            let is_in_one = self.chain(above).iter().any(|above| sync.absent.contains_key(above));
            if is_in_one || self.status(above) != Mark::Present { 0 } else { self.leaves(sync, id) }
        };
        let above: BTreeSet<Id> =
            absent.keys().flat_map(|id| self.chain(*id)).filter(|id| !self.is_leaf(*id)).collect();
        // What is gone weighs, whoever decides about it.
        let is_ours = |id: &Id| !self.is_left_alone(sync, *id);
        let mut containers: Vec<Id> = above.into_iter().filter(|id| self.status(*id) == Mark::Present).collect();
        containers.sort_by_key(|id| self.chain(*id).len());
        let mut tripped: BTreeSet<Id> = BTreeSet::new();
        let mut scopes = BTreeSet::new();
        for container in containers {
            let chain = self.chain(container);
            let is_in = |id: &Id| *id != container && self.chain(*id).contains(&container);
            let is_child = |id: &Id| self.items[id].parent == Some(container);
            let earlier = self.marked_earlier(sync, container);
            let marked: u64 = earlier.iter().map(|id| self.leaves(sync, *id)).sum();
            let marked_children = earlier.iter().filter(|id| is_child(id)).count();
            let vanished: u64 = absent.keys().filter(|id| is_in(id)).map(|id| weight(*id)).sum::<u64>() + marked;
            let gone = absent.keys().filter(|id| is_child(id)).count() + marked_children;
            let present = self.children(container).into_iter().filter(|id| self.is_known(sync, *id)).count();
            let children = present + marked_children;
            let known = self.leaves_below(sync, container) + marked;
            let is_rebased = absent.iter().any(|(id, absence)| is_child(id) && absence.2);
            let is_emptied = children > 1 && gone == children;
            let is_too_much = known >= self.hold_rule.minimum && vanished * 100 > known * self.hold_rule.share;
            let trips = is_rebased || is_emptied || is_too_much;
            if trips && absent.keys().any(|id| is_in(id) && is_ours(id)) && !chain.iter().any(|id| tripped.contains(id))
            {
                tripped.insert(container);
                // Whoever may sync an object decides about it, and not about what lies above.
                scopes.insert(if chain.contains(&sync.object) { container } else { sync.object });
            }
        }
        scopes
    }

    fn is_leaf(&self, id: Id) -> bool {
        self.items[&id].kind != Kind::Container
    }

    /// Tells one absence apart: held in one of the scopes, or believed. Whether it is missing now.
    pub(in super::super) fn judge(&mut self, sync: &mut Sync, scopes: &BTreeSet<Id>, id: Id) -> bool {
        let absence = sync.absent.remove(&id).expect("an absence");
        if !self.is_still_absent(id, &absence) {
            return false;
        }
        if self.is_left_alone(sync, id) {
            sync.counts.held += 1;
            return false;
        }
        if let Some(scope) = self.chain(id).into_iter().find(|id| scopes.contains(id)) {
            sync.counts.held += 1;
            self.held.0.insert(id, (scope, absence));
            return false;
        }
        sync.counts.missing += 1;
        self.believe(id, &absence, Some(sync.object));
        true
    }

    fn believe(&mut self, id: Id, (parent, ..): &Absence, by: Option<Id>) {
        self.held.0.remove(&id);
        let container = self.items.get_mut(parent).expect("container");
        container.trusted = None;
        let item = self.items.get_mut(&id).expect("item");
        (item.mark, item.gone_by) = (Mark::Missing, by);
        self.happens(id, "missing");
    }

    /// A person decides about the hold of a scope: what a release still finds absent is missing.
    pub(in super::super) fn decide(&mut self, scope: Id, decision: Decision) {
        self.tick += 1;
        for id in self.holds().remove(&scope).unwrap_or_default() {
            let (_, absence) = self.held.0.remove(&id).expect("held");
            match decision {
                Decision::Release if self.is_still_absent(id, &absence) => self.believe(id, &absence, None),
                Decision::Release => {}
                // Nor does a sync believe it that left it alone.
                Decision::Reject => self.jobs.values_mut().for_each(|sync| drop(sync.absent.remove(&id))),
            }
        }
    }

    /// What a complete listing and a second look did not have is absent; on which basis it was listed is remembered.
    /// Another basis is not trusted yet where anything was doubted, proved or not.
    pub(in super::super) fn note_absent(
        &mut self,
        sync: &mut Sync,
        container: Id,
        ids: &[Id],
        is_doubted: bool,
        basis: String,
    ) {
        let is_whole_sync = self.leaf(sync).is_none();
        let item = self.items.get_mut(&container).expect("container");
        let was = item.trusted.clone().or_else(|| item.basis.clone());
        let rebased = was.as_ref().filter(|was| **was != basis && is_doubted).cloned();
        if is_whole_sync {
            item.trusted.clone_from(&rebased);
            item.basis = Some(basis);
        }
        for id in ids {
            let item = &self.items[id];
            let place = (item.parent.expect("a child"), item.name.clone(), rebased.is_some());
            sync.absent.insert(*id, place);
        }
    }

    /// What has left the scope of its hold, in something that moved, is held no more.
    pub(in super::super) fn free_moved(&mut self, moved: Id) {
        for id in self.below(moved) {
            if self.held.0.get(&id).is_some_and(|(scope, _)| !self.chain(id).contains(scope)) {
                self.held.0.remove(&id);
            }
        }
    }

    /// What was seen is neither absent nor held, nor is what it lies in.
    pub(in super::super) fn free(&mut self, sync: &mut Sync, seen: &BTreeSet<Id>) {
        for id in seen.iter().flat_map(|id| self.chain(*id)).collect::<BTreeSet<Id>>() {
            sync.absent.remove(&id);
            self.held.0.remove(&id);
        }
    }
}
