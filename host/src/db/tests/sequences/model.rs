//! What the inventory must be, told in plain maps and straight from the decisions (D1 to D4, D22, D23, D36 to D41): slow,
//! small, and without a line of the code that it judges. What a page of a listing means is in `pages`.

pub(super) mod holds;
mod objects;
pub(super) mod pages;

use std::collections::BTreeMap;

use crate::model::{
    column::Column,
    id::JobId,
    object::Kind,
    settings::{NewChildren, SettingsChange},
};
use holds::{Held, Rule};
use pages::Sync;

/// An object of the model; 0 is the connection.
pub(super) type Id = usize;

/// The connection.
pub(super) const ROOT: Id = 0;

/// What was last proved of an object itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Present,
    Missing,
    Excluded,
}

/// A status of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) value: bool,
    pub(super) by_sync: bool,
    pub(super) at: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) parent: Option<Id>,
    pub(super) name: String,
    /// Another one has taken its place, and it was not seen elsewhere yet.
    pub(super) aside: bool,
    pub(super) kind: Kind,
    pub(super) remote_id: Option<String>,
    pub(super) comment: Option<String>,
    pub(super) columns: Option<Vec<Column>>,
    pub(super) fingerprint: Option<String>,
    pub(super) mark: Mark,
    /// The object of the sync that marked it as missing; none where a person did.
    pub(super) gone_by: Option<Id>,
    /// What the connector said when it left it out.
    pub(super) why: Option<String>,
    pub(super) status: Option<Status>,
    /// When a person last set or cleared its status.
    pub(super) set_at: u64,
    pub(super) rule: Option<NewChildren>,
    /// When it was last listed completely; 0 is never.
    pub(super) listed_at: u64,
    /// As whom it was last listed completely.
    pub(super) basis: Option<String>,
    /// The one before, while what vanished with the change is not decided.
    pub(super) trusted: Option<String>,
}

/// The inventory of one connection, and its jobs.
pub(super) struct Model {
    pub(super) items: BTreeMap<Id, Item>,
    pub(super) next: Id,
    /// Counts what happens.
    pub(super) tick: u64,
    pub(super) remote_ids_unique: bool,
    /// Patterns, a name or `*` for each level.
    pub(super) include: Vec<Vec<String>>,
    pub(super) exclude: Vec<Vec<String>>,
    /// When the patterns last let in more.
    pub(super) widened_at: u64,
    pub(super) host_managed: String,
    pub(super) jobs: BTreeMap<JobId, Sync>,
    /// As whom the connector lists.
    pub(super) basis: String,
    pub(super) hold_rule: Rule,
    pub(super) held: Held,
    /// How many objects were moved so far.
    pub(super) moves: u64,
    /// How often what happened to which object.
    pub(super) events: BTreeMap<(Id, &'static str), u64>,
}

impl Model {
    pub(super) fn new(remote_ids_unique: bool, settings: SettingsChange, hold_rule: Rule) -> Self {
        let mut model = Self {
            items: BTreeMap::new(),
            next: 0,
            tick: 0,
            remote_ids_unique,
            include: Vec::new(),
            exclude: Vec::new(),
            widened_at: 0,
            host_managed: "managed".into(),
            jobs: BTreeMap::new(),
            basis: "reader".into(),
            hold_rule,
            held: Held::default(),
            moves: 0,
            events: BTreeMap::new(),
        };
        let root = model.make(None, "K", Kind::Container);
        assert_eq!(root, ROOT);
        model.set(ROOT, settings);
        model.events = BTreeMap::from([((ROOT, "added"), 1)]);
        model
    }

    /// Something that the history tells of an object.
    pub(super) fn happens(&mut self, id: Id, what: &'static str) {
        *self.events.entry((id, what)).or_default() += 1;
    }

    /// A bare object.
    pub(super) fn make(&mut self, parent: Option<Id>, name: &str, kind: Kind) -> Id {
        let id = self.next;
        self.next += 1;
        let item = Item {
            parent,
            name: name.to_owned(),
            aside: false,
            kind,
            remote_id: None,
            comment: None,
            columns: None,
            fingerprint: None,
            mark: Mark::Present,
            gone_by: None,
            why: None,
            status: None,
            set_at: 0,
            rule: None,
            listed_at: 0,
            basis: None,
            trusted: None,
        };
        self.items.insert(id, item);
        id
    }

    pub(super) fn now(&mut self) -> u64 {
        self.tick += 1;
        self.tick
    }

    pub(super) fn children(&self, of: Id) -> Vec<Id> {
        self.items.iter().filter(|(_, item)| item.parent == Some(of)).map(|(id, _)| *id).collect()
    }

    /// The child at a name; what was put aside stands at none.
    pub(super) fn child(&self, of: Id, name: &str) -> Option<Id> {
        let is_it = |item: &Item| item.parent == Some(of) && item.name == name && !item.aside;
        self.items.iter().find(|(_, item)| is_it(item)).map(|(id, _)| *id)
    }

    /// What stands at names joined by `/`; the empty text is the connection.
    pub(super) fn at(&self, path: &str) -> Option<Id> {
        names(path).iter().try_fold(ROOT, |at, name| self.child(at, name))
    }

    /// From the connection down to the object itself.
    pub(super) fn chain(&self, id: Id) -> Vec<Id> {
        let mut chain = vec![id];
        while let Some(parent) = self.items[&chain[0]].parent {
            chain.insert(0, parent);
        }
        chain
    }

    /// Names below the connection.
    pub(super) fn names(&self, id: Id) -> Vec<String> {
        self.chain(id)[1..].iter().map(|id| self.items[id].name.clone()).collect()
    }

    pub(super) fn path(&self, id: Id) -> String {
        self.names(id).join("/")
    }

    /// Everything below an object.
    pub(super) fn below(&self, id: Id) -> Vec<Id> {
        self.items.keys().copied().filter(|other| *other != id && self.chain(*other).contains(&id)).collect()
    }

    pub(super) fn by_remote_id(&self, remote_id: &str) -> Option<Id> {
        let found = self.items.iter().find(|(_, item)| item.remote_id.as_deref() == Some(remote_id));
        found.map(|(id, _)| *id)
    }

    /// Effective status (D4): a person's own stays; a sync's holds unless a person set or cleared one above it later; without
    /// one the parent's holds, and at the top it is disabled.
    pub(super) fn effective(&self, id: Id) -> bool {
        let item = &self.items[&id];
        let inherited = || item.parent.is_some_and(|parent| self.effective(parent));
        match item.status {
            Some(status) if !status.by_sync => status.value,
            Some(status) => {
                let chain = self.chain(id);
                let yields = chain[..chain.len() - 1].iter().any(|above| self.items[above].set_at > status.at);
                if yields { inherited() } else { status.value }
            }
            None => inherited(),
        }
    }

    /// With which status a child found now begins (D3): the nearest rule on the way up decides, one that says inherit by the
    /// status of who says so; without any it is disabled.
    pub(super) fn rule(&self, container: Id) -> bool {
        for id in self.chain(container).into_iter().rev() {
            match self.items[&id].rule {
                Some(NewChildren::Enable) => return true,
                Some(NewChildren::Disable) => return false,
                Some(NewChildren::Inherit) => return self.effective(id),
                None => {}
            }
        }
        false
    }

    /// Whether the patterns leave out what is at these names, or anything above it (D41).
    pub(super) fn leaves_out(&self, names: &[String]) -> bool {
        let agrees = |pattern: &[String]| pattern.iter().zip(names).all(|(p, name)| p == "*" || p == name);
        let is_excluded = self.exclude.iter().any(|p| p.len() <= names.len() && agrees(p));
        let is_included = self.include.is_empty() || names.is_empty() || self.include.iter().any(|p| agrees(p));
        is_excluded || !is_included
    }

    pub(super) fn is_host_managed(&self, names: &[String]) -> bool {
        names.first() == Some(&self.host_managed)
    }

    /// Whether the connector leaves it, or anything above it, out.
    pub(super) fn is_excluded(&self, id: Id) -> bool {
        self.chain(id).iter().any(|id| self.items[id].mark == Mark::Excluded)
    }

    /// Remote status (D1, D41): marked at the top, computed below.
    pub(super) fn status(&self, id: Id) -> Mark {
        if self.is_excluded(id) || self.leaves_out(&self.names(id)) {
            Mark::Excluded
        } else if self.chain(id).iter().any(|id| self.items[id].mark == Mark::Missing) {
            Mark::Missing
        } else {
            Mark::Present
        }
    }

    pub(super) fn is_active(&self, id: Id) -> bool {
        self.effective(id) && self.status(id) == Mark::Present
    }

    /// How many objects a new status reaches, itself included, and how many keep what a person gave them or something above
    /// them (D4).
    pub(super) fn reach(&self, id: Id) -> (u64, u64) {
        let set_by_user = |id: &Id| self.items[id].status.is_some_and(|status| !status.by_sync);
        let is_kept = |other: &Id| self.chain(*other).iter().skip_while(|at| **at != id).skip(1).any(set_by_user);
        let below = self.below(id);
        let kept = below.iter().filter(|other| is_kept(other)).count();
        (count(below.len() - kept + 1), count(kept))
    }

    /// A person changes what is set on an object.
    pub(super) fn set(&mut self, id: Id, change: SettingsChange) {
        let now = self.now();
        self.happens(id, "settings");
        let item = self.items.get_mut(&id).expect("item");
        if let Some(status) = change.is_active {
            item.status = status.map(|value| Status { value, by_sync: false, at: now });
            item.set_at = now;
        }
        if let Some(rule) = change.new_children {
            item.rule = rule;
        }
    }

    /// A person takes an object out, with everything below it; jobs about any of it are cancelled. How many lay below.
    pub(super) fn delete(&mut self, id: Id) -> u64 {
        self.tick += 1;
        let below = self.below(id);
        for gone in below.iter().chain([&id]) {
            self.items.remove(gone);
            self.held.0.remove(gone);
        }
        self.happens(id, "deleted");
        let items = &self.items;
        self.jobs.retain(|_, job| items.contains_key(&job.object));
        count(below.len())
    }

    /// Other patterns. Jobs that had begun begin again.
    pub(super) fn filter(&mut self, include: Vec<Vec<String>>, exclude: Vec<Vec<String>>, widens: bool) {
        let now = self.now();
        self.happens(ROOT, "configured");
        if (&self.include, &self.exclude) != (&include, &exclude) {
            for job in self.jobs.values_mut() {
                job.begin_again();
            }
        }
        (self.include, self.exclude) = (include, exclude);
        if widens {
            self.widened_at = now;
        }
    }

    /// A not yet begun job that a request for a sync joins (D43): its scope covers the object, and its options are equal.
    pub(super) fn joins(&self, object: Id, force: bool) -> Vec<JobId> {
        let chain = self.chain(object);
        let covers = |job: &Sync| !job.has_begun && job.force == force && chain.contains(&job.object);
        self.jobs.iter().filter(|(_, job)| covers(job)).map(|(id, _)| *id).collect()
    }

    /// An object for each line, as the store must show it.
    pub(super) fn lines(&self) -> BTreeMap<String, Id> {
        let mut below: BTreeMap<Id, (usize, bool)> = BTreeMap::new();
        for (id, item) in &self.items {
            let is_set = item.status.is_some() || item.rule.is_some();
            for above in self.chain(*id).into_iter().filter(|above| above != id) {
                let (number, any_set) = below.entry(above).or_default();
                *number += 1;
                *any_set |= is_set;
            }
        }
        let line = |id: &Id| (self.line(*id, below.get(id).copied().unwrap_or_default()), *id);
        self.items.keys().map(line).collect()
    }

    fn line(&self, id: Id, (below, any_set): (usize, bool)) -> String {
        let item = &self.items[&id];
        let is_named = self.leaves_out(&self.names(id));
        format!(
            "{}{} {:?} id={:?} comment={:?} columns={} {:?}({:?}) active={} settings={}/{} own={:?}/{:?} below={below}/{any_set} held={:?}",
            self.path(id),
            if item.aside { " (aside)" } else { "" },
            item.kind,
            item.remote_id,
            item.comment,
            item.columns.is_some(),
            self.status(id),
            // A pattern is named before what a connector says.
            if is_named { None } else { self.said(id) },
            self.is_active(id),
            self.effective(id),
            self.rule(id),
            item.status.map(|status| (status.value, status.by_sync)),
            item.rule,
            self.held_in(id).map(|scope| self.path(scope)),
        )
    }

    /// What the connector says of the nearest one that it leaves out.
    fn said(&self, id: Id) -> Option<String> {
        let chain = self.chain(id);
        let nearest = chain.into_iter().rev().find(|id| self.items[id].mark == Mark::Excluded);
        nearest.and_then(|id| self.items[&id].why.clone())
    }
}

/// The names of a path.
pub(super) fn names(path: &str) -> Vec<String> {
    path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

pub(super) fn count(n: usize) -> u64 {
    u64::try_from(n).expect("count")
}
