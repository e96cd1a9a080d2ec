//! What a page of a listing means to the model: what is proved to be absent (D1, D36), where a sync descends (D37). Which
//! object a delivered one is, is in `objects`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Id, Item, Mark, Model, holds::Absence, names};
use crate::model::{
    object::Kind,
    page::{Page, Partition, Presence},
    path::RemotePath,
};

/// A sync that has not ended.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Sync {
    pub(in super::super) object: Id,
    pub(in super::super) force: bool,
    /// Whether it was ever claimed.
    pub(in super::super) has_begun: bool,
    /// What it found itself is no older than this; 0 until it is claimed.
    pub(in super::super) first_new: Id,
    /// Children that were seen in their container.
    pub(super) seen: BTreeSet<(Id, Id)>,
    /// Containers of whose listing a part failed.
    unproven: BTreeSet<Id>,
    /// Containers of which something was not on any page, and is looked for again; and on which basis they were listed.
    doubted: BTreeMap<Id, String>,
    /// Containers that are completely listed.
    pub(super) closed: BTreeSet<Id>,
    /// From where it moved objects.
    pub(super) moved: BTreeMap<Id, (Id, String)>,
    /// Under which id of the platform an object was known that seems to be made anew.
    pub(super) recreated: BTreeMap<String, Id>,
    /// Partitions that were named.
    known: BTreeSet<String>,
    /// What was seen of containers before they were listed a second time, and since.
    pub(super) twice: BTreeMap<Id, (BTreeSet<Id>, BTreeSet<Id>)>,
    /// What is proved to be absent, and where that was.
    pub(in super::super) absent: BTreeMap<Id, Absence>,
    /// Where it is too much to be believed, once that is weighed.
    pub(in super::super) scopes: Option<BTreeSet<Id>>,
    /// Which container a task began to list.
    began_in: BTreeMap<u64, Id>,
    pub(in super::super) counts: Counts,
}

/// Which page of a listing it is.
pub(in super::super) struct Turn {
    /// Tells listings of one job apart.
    pub(in super::super) task: u64,
    /// Whether it is the first one.
    pub(in super::super) begins: bool,
    /// Whether the container is listed a second time.
    pub(in super::super) second_look: bool,
    /// Whether no other listing of the container is left.
    pub(in super::super) is_last: bool,
}

/// What a job tells of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Counts {
    pub(in super::super) added: u64,
    pub(in super::super) changed: u64,
    pub(in super::super) missing: u64,
    pub(in super::super) held: u64,
    pub(in super::super) returned: u64,
    pub(in super::super) columns_added: u64,
    pub(in super::super) columns_changed: u64,
    pub(in super::super) columns_deleted: u64,
}

/// Whether a container is to be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Descent {
    Must,
    May,
    MustNot,
}

/// What has to follow from a write.
#[derive(Debug, Default)]
pub(in super::super) struct Follows {
    /// Containers that the page named.
    pub(in super::super) reads: BTreeMap<String, Descent>,
    /// Tables whose columns are to be asked for.
    pub(in super::super) columns: BTreeSet<String>,
    /// Names that are looked for again.
    pub(in super::super) doubted: Vec<String>,
}

impl Sync {
    pub(in super::super) fn new(object: Id, force: bool) -> Self {
        Self { object, force, ..Self::default() }
    }

    /// Nothing was proved: what was seen is dropped.
    fn leave_open(&mut self, container: Id) {
        self.doubted.remove(&container);
        self.twice.remove(&container);
        self.seen.retain(|(parent, _)| *parent != container);
    }

    /// What saw one child of a container saw the other: they were taken for one.
    pub(super) fn share_seen(&mut self, container: Id, one: Id, other: Id) {
        if self.seen.contains(&(container, one)) {
            self.seen.insert((container, other));
        }
        if let Some((before, since)) = self.twice.get_mut(&container) {
            for ids in [before, since] {
                if ids.contains(&one) {
                    ids.insert(other);
                }
            }
        }
    }

    pub(in super::super) fn begin_again(&mut self) {
        if self.has_begun {
            // What it held back is judged anew.
            let counts = Counts { held: 0, ..self.counts };
            *self = Self { has_begun: true, counts, ..Self::new(self.object, self.force) };
        }
    }
}

/// What is told while one page is applied.
pub(super) struct Here<'a> {
    pub(super) sync: &'a mut Sync,
    pub(super) page: BTreeSet<Id>,
    /// Where the ids of the platform stand on this page.
    pub(super) places: BTreeMap<String, RemotePath>,
    pub(super) asks: bool,
    pub(super) follows: Follows,
}

pub(in super::super) fn text(path: &RemotePath) -> String {
    path.0.iter().map(|name| name.as_str()).collect::<Vec<_>>().join("/")
}

pub(super) fn strings(path: &RemotePath) -> Vec<String> {
    path.0.iter().map(|name| name.as_str().to_owned()).collect()
}

impl Model {
    /// The object of a sync, where it is none that holds others.
    pub(super) fn leaf(&self, sync: &Sync) -> Option<Id> {
        (self.items[&sync.object].kind != Kind::Container).then_some(sync.object)
    }

    /// What a sync lists: its object, or the container of its object.
    pub(in super::super) fn scope(&self, object: Id) -> String {
        let item = &self.items[&object];
        self.path(if item.kind == Kind::Container { object } else { item.parent.expect("a leaf lies in something") })
    }

    fn within<T>(&mut self, sync: &mut Sync, work: impl FnOnce(&mut Self, &mut Here<'_>) -> T) -> (T, Follows) {
        self.tick += 1;
        let mut here =
            Here { sync, page: BTreeSet::new(), places: BTreeMap::new(), asks: true, follows: Follows::default() };
        let done = work(self, &mut here);
        let Here { sync, page, follows, .. } = here;
        self.free(sync, &page);
        (done, follows)
    }

    /// The connector said where to begin.
    pub(in super::super) fn plan(&mut self, sync: &mut Sync, partitions: &[Partition]) -> Follows {
        self.within(sync, |model, here| partitions.iter().for_each(|partition| model.admit(here, partition))).1
    }

    /// A page of a listing.
    pub(in super::super) fn page(&mut self, sync: &mut Sync, turn: &Turn, scope: &RemotePath, page: &Page) -> Follows {
        // Deleted meanwhile.
        let Some(container) = self.at(&text(scope)) else { return Follows::default() };
        if turn.begins {
            sync.began_in.insert(turn.task, container);
        }
        let is_whole = turn.is_last && sync.began_in.get(&turn.task) == Some(&container);
        let second_look = turn.second_look;
        let work = |model: &mut Self, here: &mut Here<'_>| {
            if model.remote_ids_unique {
                for object in &page.objects {
                    let remote_id = object.facts.remote_id.clone().expect("an id");
                    here.places.entry(remote_id).or_insert_with(|| object.path.clone());
                }
            }
            page.objects.iter().for_each(|object| model.deliver(here, object));
            for error in &page.errors {
                let path = strings(&error.path);
                if let Some(id) = model.at(&text(&error.path))
                    && !model.is_host_managed(&path)
                    && !model.leaves_out(&path)
                {
                    model.see(here, id);
                }
            }
            if !second_look {
                page.partitions.iter().for_each(|partition| model.admit(here, partition));
            }
            if !page.listed.is_empty() {
                model.listed(here, container, second_look, is_whole);
            }
        };
        self.within(sync, work).1
    }

    /// Answers to a question for columns.
    pub(in super::super) fn columns(&mut self, sync: &mut Sync, scope: &RemotePath, page: &Page) -> Follows {
        if self.at(&text(scope)).is_none() {
            return Follows::default();
        }
        let seen = sync.seen.clone();
        let follows = self.within(sync, |model, here| {
            here.asks = false;
            page.objects.iter().for_each(|object| model.deliver(here, object));
        });
        // What was seen on the way proves nothing about a listing.
        sync.seen = seen;
        follows.1
    }

    /// Answers by name to what was not on any page.
    pub(in super::super) fn presence(
        &mut self,
        sync: &mut Sync,
        scope: &RemotePath,
        asked: &[String],
        answers: &[Presence],
    ) -> Follows {
        let Some(container) = self.at(&text(scope)) else { return Follows::default() };
        let work = |model: &mut Self, here: &mut Here<'_>| {
            if !here.sync.doubted.contains_key(&container) || here.sync.unproven.contains(&container) {
                here.sync.leave_open(container);
                return;
            }
            let is = |name: &String, presence| {
                asked.iter().zip(answers).any(|(asked, answer)| asked == name && *answer == presence)
            };
            let mut absent = model.unseen(here.sync, container);
            let is_doubted = !absent.is_empty();
            here.page.extend(absent.iter().filter(|id| is(&model.items[id].name, Presence::Present)));
            absent.retain(|id| is(&model.items[id].name, Presence::Absent));
            // As whom it was listed, whoever answers now.
            let basis = here.sync.doubted[&container].clone();
            model.close(here.sync, container, &absent, is_doubted, basis);
        };
        self.within(sync, work).1
    }

    /// A container is listed a second time.
    pub(in super::super) fn look_again(&mut self, sync: &mut Sync, scope: &RemotePath) -> Follows {
        let mut follows = Follows::default();
        if let Some(container) = self.at(&text(scope)) {
            let before = sync.seen.iter().filter(|(parent, _)| *parent == container).map(|(_, id)| *id).collect();
            sync.twice.insert(container, (before, BTreeSet::new()));
            follows.reads.insert(text(scope), Descent::Must);
        }
        follows
    }

    /// Part of a listing, or a second look by name, was given up.
    pub(in super::super) fn failed(&mut self, sync: &mut Sync, scope: &RemotePath, is_listing: bool) {
        self.tick += 1;
        if let Some(container) = self.at(&text(scope)) {
            if is_listing {
                sync.unproven.insert(container);
            } else {
                sync.leave_open(container);
            }
        }
    }

    /// A container that a page named (D37). The requested one is always listed, as is one never completely listed before;
    /// another is skipped when it is disabled and holds nothing enabled, unless disabled ones are asked for.
    fn admit(&self, here: &mut Here<'_>, partition: &Partition) {
        let path = strings(&partition.scope);
        let object = self.names(here.sync.object);
        let is_on_the_way = object.starts_with(&path);
        let is_inside = self.leaf(here.sync).is_none() && path.starts_with(&object);
        let is_ours = !self.is_host_managed(&path) && !self.leaves_out(&path) && (is_on_the_way || is_inside);
        let name = text(&partition.scope);
        if !is_ours || !here.sync.known.insert(partition.id.clone()) {
            here.follows.reads.insert(name, Descent::MustNot);
            return;
        }
        let descent = match self.at(&name) {
            None => Descent::May,
            Some(id) if self.is_excluded(id) => Descent::MustNot,
            Some(id) => {
                let below = self.below(id);
                let is_known = self.items[&id].listed_at > self.widened_at;
                let needs_it = is_on_the_way || !is_known || self.effective(id);
                let enabled = |id: &Id| self.effective(*id);
                let enabling = |id: &Id| self.items[id].status.is_some_and(|status| status.value);
                if here.sync.force || needs_it || below.iter().any(enabled) {
                    Descent::Must
                } else if below.iter().any(enabling) {
                    // An enabling status that yields to another one: nothing is lost by looking.
                    Descent::May
                } else {
                    Descent::MustNot
                }
            }
        };
        here.follows.reads.insert(name, descent);
    }

    /// Children of a container that nothing in this job has shown, and that it should have. What is left out is none of them.
    fn unseen(&self, sync: &Sync, container: Id) -> Vec<Id> {
        let mut unseen = self.children(container);
        unseen.retain(|id| {
            self.items[id].mark == Mark::Present
                && !sync.seen.contains(&(container, *id))
                && !sync.absent.contains_key(id)
                && !self.leaves_out(&self.names(*id))
                && self.leaf(sync).is_none_or(|leaf| leaf == *id)
        });
        unseen
    }

    /// A container is complete, says the connector. `is_whole` where its listing began in this very container, and
    /// no other one of it is left.
    fn listed(&mut self, here: &mut Here<'_>, container: Id, second_look: bool, is_whole: bool) {
        let path = self.names(container);
        let is_ours = path.starts_with(&names(&self.scope(here.sync.object)));
        let is_left_out = self.leaves_out(&path) || self.is_excluded(container) || self.is_host_managed(&path);
        let proves = !here.sync.unproven.contains(&container) && !here.sync.closed.contains(&container);
        if !is_ours || is_left_out || !proves || !is_whole {
            return;
        }
        if here.sync.doubted.contains_key(&container) != second_look {
            return;
        }
        let unseen = self.unseen(here.sync, container);
        // What is known to be elsewhere since contradicts nothing.
        let stands_here = |id| self.items.get(id).is_none_or(|it: &Item| it.parent == Some(container) && !it.aside);
        let twice = here.sync.twice.get(&container);
        let contradicts = twice.is_some_and(|(before, since)| before.difference(since).any(stands_here));
        if second_look && contradicts {
            // The second listing lacks what the first one had: neither proves anything.
            here.sync.leave_open(container);
        } else if second_look || unseen.is_empty() {
            self.close(here.sync, container, &unseen, !unseen.is_empty(), self.basis.clone());
        } else {
            here.sync.doubted.insert(container, self.basis.clone());
            here.follows.doubted = unseen.iter().map(|id| self.items[id].name.clone()).collect();
            here.follows.doubted.sort();
        }
    }

    /// A container is complete. What it proves to be absent is judged when the sync has nothing else left to do.
    fn close(&mut self, sync: &mut Sync, container: Id, absent: &[Id], is_doubted: bool, basis: String) {
        sync.doubted.remove(&container);
        sync.twice.remove(&container);
        self.note_absent(sync, container, absent, is_doubted, basis);
        // A sync of one object says nothing about its siblings.
        if self.leaf(sync).is_none() {
            sync.closed.insert(container);
            self.item(container).listed_at = self.tick;
            // What is left out need not have been on a page: that it was is not remembered any longer.
            let is_kept = |id: &Id| self.items[id].mark == Mark::Present && !self.leaves_out(&self.names(*id));
            sync.seen.retain(|(parent, id)| *parent != container || (self.items.contains_key(id) && is_kept(id)));
        } else {
            sync.seen.retain(|(parent, _)| *parent != container);
        }
    }
}
