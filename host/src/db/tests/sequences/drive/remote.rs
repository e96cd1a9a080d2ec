//! The platform and its connector: what changes there, and what they answer.

use std::collections::BTreeSet;

use super::{
    super::{
        super::platform::{Platform, remote},
        model::{Id, names, pages::text},
        steps::{Step, columns},
    },
    Drive,
};
use crate::model::page::{Cursor, Listing, ObjectError, Page, Partition};

impl Drive {
    pub(super) fn add(&mut self, table: &str, spec: &str) {
        let before: BTreeSet<String> = self.platform.things.keys().cloned().collect();
        self.platform.add(table, "");
        let (unique, fingerprints) = (self.setup.remote_ids_unique, self.setup.fingerprints);
        for (name, thing) in self.platform.things.iter_mut().filter(|(name, _)| !before.contains(*name)) {
            if !unique {
                // Ids that tell nothing apart.
                thing.remote_id = format!("r{}", name.len() % 3 + name.bytes().map(usize::from).sum::<usize>() % 4);
            }
        }
        self.platform.retype(table, "");
        let thing = self.platform.things.get_mut(table).expect("thing");
        thing.columns = columns(spec);
        if !fingerprints {
            thing.fingerprint = None;
        }
    }

    pub(super) fn mutate(&mut self, step: &Step) {
        let has = |path: &String| self.platform.things.contains_key(path);
        let toggle = |set: &mut BTreeSet<String>, path: &String| {
            if !set.remove(path) {
                set.insert(path.clone());
            }
        };
        match step {
            Step::Add(table, spec) => self.add(table, spec),
            Step::Columns(table, spec) if has(table) => self.add(table, spec),
            Step::Comment(path, comment) if has(path) => {
                self.platform.things.get_mut(path).expect("thing").comment = comment.clone();
            }
            Step::Drop(path) => self.platform.drop_thing(path),
            Step::Remake(path) if has(path) => {
                let below = format!("{path}/");
                let is_it = |name: &String| name == path || name.starts_with(&below);
                let again: Vec<String> = self.platform.things.keys().filter(|name| is_it(name)).cloned().collect();
                self.platform.drop_thing(path);
                for name in again {
                    self.platform.add(&name, "");
                }
            }
            Step::Rename(from, to) if has(from) && !has(to) => self.rename(from, to),
            Step::Swap(one, other) if has(one) && has(other) && one != other => {
                self.platform.rename(one, "swap");
                self.platform.rename(other, one);
                self.platform.rename("swap", other);
            }
            Step::SameId(one, other) if has(one) && has(other) && one != other => {
                let stolen = self.platform.things[other].remote_id.clone();
                self.platform.things.get_mut(one).expect("thing").remote_id = stolen;
                self.had_same_ids = true;
            }
            Step::Role(role) => self.model.basis = (*role).to_owned(),
            Step::Hide(path) => toggle(&mut self.platform.hidden, path),
            Step::Fail(path) => toggle(&mut self.platform.failing, path),
            Step::LeaveOut(path) => {
                let was = self.platform.left_out.remove(path);
                if was.is_none() {
                    self.platform.left_out.insert(path.clone(), "a share".into());
                }
            }
            _ => {}
        }
        self.keep_witnesses();
    }

    fn rename(&mut self, from: &str, to: &str) {
        let parent = to.rsplit_once('/').map(|(parent, _)| parent.to_owned());
        if parent.is_none_or(|parent| self.platform.things.contains_key(&parent)) {
            self.platform.rename(from, to);
        }
    }

    /// Whether the platform shows an object where the inventory has it, under the same id.
    pub(super) fn is_witnessed(&self, id: Id) -> bool {
        let item = &self.model.items[&id];
        let path = self.model.path(id);
        let is_hidden = self.platform.hidden.contains(&path);
        let thing = self.platform.things.get(&path);
        !item.aside && !is_hidden && thing.is_some_and(|thing| Some(&thing.remote_id) == item.remote_id.as_ref())
    }

    pub(super) fn keep_witnesses(&mut self) {
        let mut running = std::mem::take(&mut self.running);
        for job in running.values_mut() {
            job.witnesses.retain(|id| self.model.items.contains_key(id) && self.is_witnessed(*id));
        }
        self.running = running;
    }

    /// What a container is listed by: whole, or in two parts that its names fall into.
    pub(super) fn partitions(&self, scope: &str) -> Vec<Partition> {
        let whole = Platform::partition(scope);
        if !self.setup.splits {
            return vec![whole];
        }
        let part = |n: usize| Partition { id: format!("{} {n}", whole.id), payload: n.to_string(), ..whole.clone() };
        vec![part(0), part(1)]
    }

    /// Whether the listing of a partition fails at its end.
    pub(super) fn is_failing(&self, partition: &Partition) -> bool {
        partition.payload != "0" && self.platform.failing.contains(&text(&partition.scope))
    }

    /// A page by names: what stands at a name from beginning to end is on one of them, whatever happens beside it.
    pub(super) fn page(&self, partition: &Partition, want_columns: bool, cursor: Option<&Cursor>) -> Page {
        let scope = text(&partition.scope);
        let scope = scope.as_str();
        let part = partition.payload.parse::<usize>().ok();
        let is_part = |name: &str| part.is_none_or(|part| name.bytes().map(usize::from).sum::<usize>() % 2 == part);
        let is_asked = |name: &String| !self.setup.knows_patterns || !self.model.leaves_out(&names(name));
        let after = cursor.map_or("", |cursor| cursor.0.as_str());
        let mut children = self.platform.children(scope);
        children.retain(|name| is_asked(name) && is_part(name) && name.as_str() > after);
        let hidden: Vec<String> =
            children.iter().filter(|name| self.platform.hidden.contains(*name)).cloned().collect();
        children.retain(|name| !self.platform.hidden.contains(name));
        let is_last = children.len() <= self.setup.page_size;
        children.truncate(self.setup.page_size);
        let objects: Vec<_> = children
            .iter()
            .map(|name| {
                let mut scanned = self.platform.scanned(name, want_columns);
                scanned.facts.attributes.clear();
                scanned
            })
            .collect();
        let partitions = objects.iter().filter(|object| object.excluded.is_none());
        let partitions = partitions.filter(|object| object.path.0.len() < 3);
        let partitions = partitions.flat_map(|object| self.partitions(&text(&object.path))).collect();
        let listed = Listing { path: remote(scope), namespace: String::new(), basis: self.model.basis.clone() };
        let error =
            |name: &String| ObjectError { path: remote(name), code: "permission-denied".into(), message: "no".into() };
        Page {
            partitions,
            listed: is_last.then_some(listed).into_iter().collect(),
            next: (!is_last).then(|| Cursor(children.last().cloned().unwrap_or_default())),
            errors: if is_last && self.setup.tells_hidden { hidden.iter().map(error).collect() } else { Vec::new() },
            objects,
            ..Page::default()
        }
    }
}
