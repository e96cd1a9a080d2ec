//! Which object a delivered one is, and what becomes of it (D38, D40).

use std::collections::BTreeMap;

use super::{
    Id, Item, Mark, Model, Status, count, names,
    pages::{Here, strings, text},
};
use crate::model::{column::Column, object::Kind, page::ScannedObject};

/// How an object came to where it is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    New,
    Same,
    Moved,
    MadeAnew,
}

impl Model {
    /// An object as a page carries it.
    pub(super) fn deliver(&mut self, here: &mut Here<'_>, scanned: &ScannedObject) {
        let path = strings(&scanned.path);
        let parent = path[..path.len() - 1].join("/");
        let is_in_scope = path.starts_with(&names(&self.scope(here.sync.object)));
        let (Some(container), Some(name)) = (self.at(&parent), path.last()) else { return };
        if self.is_host_managed(&path) || !is_in_scope {
            return;
        }
        let remote_id = scanned.facts.remote_id.as_deref().expect("an id");
        let there = self.child(container, name);
        let mut known = None;
        if self.remote_ids_unique {
            known = self.by_remote_id(remote_id).filter(|known| Some(*known) != there);
            let is_there = there.is_some_and(|id| self.items[&id].remote_id.as_deref() == Some(remote_id));
            if known.is_none() && !is_there {
                known = self.untangle(here, remote_id, there);
            }
        }
        if let Some(leaf) = self.leaf(here.sync) {
            // A sync of one object touches only that one, and what a rename of it has put aside.
            let concerns = there == Some(leaf) || known.is_some_and(|id| id == leaf || self.items[&id].aside);
            if !concerns {
                return;
            }
        }
        let left_out = self.leaves_out(&path) || self.is_excluded(container);
        if left_out && there.is_none() && known.is_none() {
            return;
        }
        let left_out = left_out || scanned.excluded.is_some();
        match (known, there) {
            (Some(known), there) => self.relocate(here, container, known, there, scanned, left_out),
            (None, Some(id)) => {
                let was = self.items[&id].remote_id.clone().expect("an id");
                let is_elsewhere = here.places.get(&was).is_some_and(|at| *at != scanned.path);
                if was == remote_id {
                    self.refresh(here, id, scanned, left_out, How::Same);
                } else if is_elsewhere {
                    // What stood here is somewhere else now, so this one is new.
                    self.put_aside(id);
                    self.add(here, container, scanned, left_out);
                } else {
                    self.recreate(here, id, was);
                    self.refresh(here, id, scanned, left_out, How::MadeAnew);
                }
            }
            (None, None) => self.add(here, container, scanned, left_out),
        }
    }

    pub(super) fn item(&mut self, id: Id) -> &mut Item {
        self.items.get_mut(&id).expect("item")
    }

    /// A known id of the platform at another place is a move, unless something on the way was seen in this job already.
    fn relocate(
        &mut self,
        here: &mut Here<'_>,
        container: Id,
        known: Id,
        there: Option<Id>,
        scanned: &ScannedObject,
        left_out: bool,
    ) {
        let name = strings(&scanned.path).pop().expect("name");
        let came_from_here = there.is_none() && here.sync.moved.get(&known) == Some(&(container, name.clone()));
        let is_twice = !came_from_here && self.was_seen(here, known);
        let is_taken = there.is_some_and(|there| self.was_seen(here, there));
        if is_twice || is_taken || self.chain(container).contains(&known) {
            if let Some(there) = there {
                self.see(here, there);
            }
            return;
        }
        if let Some(there) = there {
            self.put_aside(there);
        }
        let item = self.item(known);
        let was = (item.parent.expect("a connection does not move"), item.name.clone());
        (item.parent, item.name, item.aside) = (Some(container), name.clone(), false);
        let how = if was == (container, name) { How::Same } else { How::Moved };
        if how == How::Moved {
            here.sync.moved.insert(known, was);
            self.happens(known, "moved");
        }
        self.moves += 1;
        self.free_moved(known);
        self.refresh(here, known, scanned, left_out, how);
    }

    fn put_aside(&mut self, id: Id) {
        self.item(id).aside = true;
    }

    /// The same path with an id nobody knew is the same object, made anew: nothing was ever listed or read of it.
    fn recreate(&mut self, here: &mut Here<'_>, id: Id, was: String) {
        if self.remote_ids_unique {
            here.sync.recreated.insert(was, id);
        }
        self.happens(id, "recreated");
        if here.sync.closed.remove(&id) {
            here.sync.seen.retain(|(parent, _)| *parent != id);
        }
        let item = self.item(id);
        item.fingerprint = None;
        item.listed_at = 0;
        (item.basis, item.trusted) = (None, None);
    }

    /// An id of the platform turns up whose object seemed to be made anew: it was renamed, and what stands at its old place
    /// is new. Of containers that cannot be told apart any more.
    fn untangle(&mut self, here: &mut Here<'_>, remote_id: &str, there: Option<Id>) -> Option<Id> {
        let id = here.sync.recreated.get(remote_id).copied().filter(|id| Some(*id) != there)?;
        here.sync.recreated.remove(remote_id);
        let item = self.items.get(&id)?.clone();
        if item.kind == Kind::Container || item.aside {
            return None;
        }
        let parent = item.parent.expect("a leaf lies in something");
        let new = self.make(Some(parent), &item.name, item.kind);
        let renamed = self.item(id);
        renamed.aside = true;
        renamed.remote_id = Some(remote_id.to_owned());
        (renamed.columns, renamed.fingerprint) = (None, None);
        let status = self.first_status(parent);
        *self.item(new) = Item { status, set_at: 0, rule: None, ..item };
        here.page.remove(&id);
        here.sync.counts.added += 1;
        self.happens(new, "added");
        here.page.insert(new);
        here.sync.share_seen(parent, id, new);
        Some(id)
    }

    /// A new object has a status of its own only where it begins with another than it would inherit (D4).
    fn first_status(&mut self, container: Id) -> Option<Status> {
        let at = self.now();
        let value = self.rule(container);
        (value != self.effective(container)).then_some(Status { value, by_sync: true, at })
    }

    fn add(&mut self, here: &mut Here<'_>, container: Id, scanned: &ScannedObject, left_out: bool) {
        let name = strings(&scanned.path).pop().expect("name");
        let id = self.make(Some(container), &name, scanned.facts.kind);
        let status = self.first_status(container);
        let item = self.item(id);
        item.status = status;
        item.remote_id = scanned.facts.remote_id.clone();
        here.sync.counts.added += 1;
        self.happens(id, "added");
        self.refresh(here, id, scanned, left_out, How::New);
    }

    /// Brings an object up to what was delivered of it.
    fn refresh(&mut self, here: &mut Here<'_>, id: Id, scanned: &ScannedObject, left_out: bool, how: How) {
        self.see(here, id);
        let wants = here.sync.force || self.effective(id);
        let mut events = Vec::new();
        let item = self.item(id);
        let mark = if scanned.excluded.is_some() { Mark::Excluded } else { Mark::Present };
        let mut changed =
            how == How::Moved || how == How::MadeAnew || (scanned.excluded.is_some() && item.why != scanned.excluded);
        if item.mark != mark {
            events.push(if mark == Mark::Excluded { "excluded" } else { "returned" });
            here.sync.counts.returned += u64::from(mark == Mark::Present);
        }
        (item.mark, item.why) = (mark, scanned.excluded.clone());
        item.kind = scanned.facts.kind;
        item.remote_id = scanned.facts.remote_id.clone();
        if item.comment != scanned.facts.comment {
            events.push("changed");
            item.comment = scanned.facts.comment.clone();
        }
        let is_current =
            item.columns.is_some() && item.fingerprint.is_some() && item.fingerprint == scanned.fingerprint;
        match scanned.columns.as_ref().filter(|_| !left_out) {
            Some(columns) => {
                let counts = &mut here.sync.counts;
                let (added, is_changed, deleted) = differences(item.columns.as_deref().unwrap_or_default(), columns);
                counts.columns_added += added;
                counts.columns_changed += is_changed;
                counts.columns_deleted += deleted;
                if item.columns.as_ref() != Some(columns) {
                    events.push("columns");
                }
                item.columns = Some(columns.clone());
                item.fingerprint = scanned.fingerprint.clone();
            }
            None if here.asks && item.kind == Kind::TableLike && wants && !left_out && !is_current => {
                here.follows.columns.insert(text(&scanned.path));
            }
            None => {}
        }
        // All of a new object is new: that it is there says so.
        if how != How::New {
            changed |= events.contains(&"changed") || events.contains(&"columns");
            here.sync.counts.changed += u64::from(changed);
            events.into_iter().for_each(|event| self.happens(id, event));
        }
    }

    pub(super) fn see(&mut self, here: &mut Here<'_>, id: Id) {
        here.page.insert(id);
        if let Some(parent) = self.items[&id].parent {
            here.sync.seen.insert((parent, id));
            if let Some((_, since)) = here.sync.twice.get_mut(&parent) {
                since.insert(id);
            }
        }
    }

    /// Whether this job has seen an object where it is: on a page, or because its container is completely listed.
    fn was_seen(&self, here: &Here<'_>, id: Id) -> bool {
        let item = &self.items[&id];
        let Some(parent) = item.parent.filter(|_| !item.aside) else { return here.page.contains(&id) };
        here.page.contains(&id)
            || here.sync.seen.contains(&(parent, id))
            || (here.sync.closed.contains(&parent)
                && item.mark == Mark::Present
                && !here.sync.absent.contains_key(&id)
                && !self.leaves_out(&self.names(id)))
    }
}

/// How many columns are new, differ in type or nullability, and are gone: known by name and occurrence (D40).
fn differences(old: &[Column], new: &[Column]) -> (u64, u64, u64) {
    let keyed = |columns: &[Column]| -> BTreeMap<(String, usize), (String, Option<bool>)> {
        let nth = |n: usize| columns[..n].iter().filter(|column| column.name == columns[n].name).count();
        let entry = |(n, column): (usize, &Column)| {
            ((column.name.clone(), nth(n)), (column.data_type.clone(), column.nullable))
        };
        columns.iter().enumerate().map(entry).collect()
    };
    let (old, new) = (keyed(old), keyed(new));
    let added = new.keys().filter(|key| !old.contains_key(*key)).count();
    let deleted = old.keys().filter(|key| !new.contains_key(*key)).count();
    let changed = new.iter().filter(|(key, is)| old.get(*key).is_some_and(|was| was != *is)).count();
    (count(added), count(changed), count(deleted))
}
