//! Pages of a listing, and what a complete one proves (D1, D36).
//!
//! Nothing is proved to be absent unless its container was listed completely in this job, no part of that listing failed,
//! the object was on none of its pages, and a second look did not find it either. What comes of it is decided when the job
//! has nothing else left to do: see [`super::judge`].

use std::collections::{HashMap, HashSet};

use redb::ReadableTable as _;

use super::{
    super::{
        fault::Fault,
        records::{ListedRow, ObjectRow, micros},
        tree,
    },
    columns::lists_for_columns,
    ledger::{Container, Ledger},
};
use crate::model::{
    diff::What,
    id::ObjectId,
    job::{Task, Work},
    object::RemoteStatus,
    page::{Listing, ObjectError, Page, Partition, Presence, ScannedObject},
    path::RemotePath,
};

/// Pages in a row that bring nothing, of which a task has at most as many: kept with it, so that neither a restart nor a
/// wait lets a connector poll without end.
pub(super) const MAX_IDLE: u32 = 5_000;

impl Ledger<'_, '_> {
    /// Applies a page of a listing.
    pub(super) fn read_page(&mut self, mut page: Page) -> Result<Option<Task>, Fault> {
        let Work::Read { partition, second_look, .. } = self.task.work.clone() else { return Ok(None) };
        let for_columns = lists_for_columns(&self.task.work);
        let scope = partition.scope;
        let brings_scope = page.objects.iter().any(|object| object.path == scope);
        if !brings_scope && self.container(&scope)?.is_none() {
            // Deleted meanwhile: the next sync finds it as new (D22).
            return Ok(None);
        }
        let is_waiting = page.not_before.is_some();
        let is_loop = page.next.is_some() && page.next == self.task.cursor && !is_waiting;
        let has_listed = !page.listed.is_empty();
        let is_empty = page.objects.is_empty() && page.errors.is_empty() && page.partitions.is_empty() && !has_listed;
        // A container before its children, whatever the connector's order.
        page.objects.sort_by_key(|object| object.path.0.len());
        self.place_all(page.objects, &scope)?;
        for error in page.errors {
            self.object_error(error)?;
        }
        if second_look {
            self.keep_doubted()?;
        } else {
            for partition in page.partitions {
                self.admit(partition, Some(&scope))?;
            }
        }
        self.flush()?;
        let listed = if for_columns { Vec::new() } else { page.listed };
        if for_columns {
            self.seen.clear();
        }
        for listing in listed {
            if listing.path.is_within(&scope) {
                self.listed(&listing, second_look, &scope)?;
            } else {
                self.report(
                    &listing.path,
                    "outside-scope",
                    "the connector called a container complete that it was not asked for",
                )?;
            }
        }
        // A page that asks to wait may repeat itself, and so may one after it: only what no page of the job has carried gets
        // it on.
        let repeats = is_waiting || self.task.idle > 0;
        let is_idle = is_empty || (repeats && !has_listed && !self.has_added() && !self.saw_something_new()?);
        let idle = if is_idle { self.task.idle + 1 } else { 0 };
        if page.next.is_some() && (is_loop || idle >= MAX_IDLE) {
            let why = if is_loop {
                "the connector gave the same cursor again; the listing would never end"
            } else {
                "the connector brought 5000 pages with nothing on them; the listing would never end"
            };
            self.report(&scope, "endless", why)?;
            if !for_columns {
                self.distrust(&scope)?;
            }
            page.next = None;
        }
        let next = page.next.map(|next| Task {
            cursor: Some(next),
            failures: 0,
            idle,
            not_before: page.not_before.and_then(|wait| self.step.now.checked_add(wait).ok()),
            ..self.task.clone()
        });
        self.write_seen()?;
        self.job.counts.pages += 1;
        Ok(next)
    }

    /// Whether the page in hand has carried a child that no page of this job had carried before.
    fn saw_something_new(&mut self) -> Result<bool, Fault> {
        let here: Vec<((u128, String), Vec<u128>)> =
            self.seen.iter().map(|(key, ids)| (key.clone(), ids.clone())).collect();
        for ((container, namespace), ids) in here {
            let earlier = self.seen_earlier(container, &namespace)?;
            if ids.iter().any(|id| !earlier.contains(id)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn place_all(&mut self, objects: Vec<ScannedObject>, scope: &RemotePath) -> Result<(), Fault> {
        let mut places: HashMap<String, RemotePath> = HashMap::new();
        if self.step.remote_ids_unique {
            for object in &objects {
                if let Some(remote_id) = &object.facts.remote_id {
                    places.entry(remote_id.clone()).or_insert_with(|| object.path.clone());
                }
            }
        }
        let mut strangers = HashSet::new();
        for object in objects {
            if let Some(container) = self.accept(&object, scope, &mut strangers)? {
                self.place(&container, object, |remote_id, path| places.get(remote_id).is_some_and(|at| at != path))?;
            }
        }
        Ok(())
    }

    /// An error about an object is reported, and says that the object is not simply gone.
    fn object_error(&mut self, error: ObjectError) -> Result<(), Fault> {
        if self.is_host_managed(&error.path) || self.leaves_out(&error.path) {
            return Ok(());
        }
        self.report(&error.path, &error.code, &error.message)?;
        let Some((name, rest)) = error.path.0.split_last() else { return Ok(()) };
        if let Some(container) = self.container(&RemotePath(rest.to_vec()))?
            && let Some(id) = tree::child(self, container.id, "", name.as_str())?
        {
            self.see(container.id, "", id);
        }
        Ok(())
    }

    /// A second look is about one container; what it passes on the way there proves nothing.
    fn keep_doubted(&mut self) -> Result<(), Fault> {
        let keys: Vec<(u128, String)> = self.seen.keys().cloned().collect();
        for key in keys {
            if self.rows.doubts.get((self.job_id, key.0, key.1.as_str()))?.is_none() {
                self.seen.remove(&key);
            }
        }
        Ok(())
    }

    /// A container is complete, says the connector. `scope` is that of the partition in hand.
    fn listed(&mut self, listing: &Listing, second_look: bool, scope: &RemotePath) -> Result<(), Fault> {
        let is_foreign = self.is_host_managed(&listing.path) || !listing.path.is_within(&self.target.scope);
        if is_foreign || self.leaves_out(&listing.path) {
            return Ok(());
        }
        let Some(container) = self.container(&listing.path)? else {
            return self.report(
                &listing.path,
                "unknown-parent",
                "the connector called a container complete that is not in the inventory",
            );
        };
        if container.is_left_out() {
            return Ok(());
        }
        let id = container.id;
        let namespace = listing.namespace.as_str();
        let others = self.readers(&listing.path)?.saturating_sub(u64::from(*scope == listing.path));
        let is_unproven = self.rows.unproven.get((self.job_id, id))?.is_some();
        if others > 0 || is_unproven || self.is_closed(id, namespace)? {
            return Ok(());
        }
        let is_doubted = self.rows.doubts.get((self.job_id, id, namespace))?.is_some();
        if is_doubted != second_look {
            return Ok(());
        }
        let unseen = self.unseen(&container, namespace)?;
        if second_look && self.lacks_more(id, namespace)? {
            self.report(
                &listing.path,
                "not-confirmed",
                "the second listing lacked what the first one had; nothing in the container was marked missing",
            )?;
            return self.leave_open(id, namespace).map(|_| ());
        }
        if second_look || unseen.is_empty() {
            return self.close_container(id, namespace, &listing.basis, &unseen, !unseen.is_empty());
        }
        self.doubt(id, listing, &unseen)
    }

    /// Whether this job has closed the container since it began: one that had to begin again lists everything anew.
    pub(super) fn is_closed(&self, container: u128, namespace: &str) -> Result<bool, Fault> {
        let listed = self.listed_row(container, namespace)?;
        let began = self.job.started_at.unwrap_or(i64::MIN);
        Ok(listed.is_some_and(|listed| listed.job == self.job_id && listed.at >= began))
    }

    /// Known and present children of a container that no page of this job has carried. What is left out is none of them:
    /// a connector need not even ask for it.
    fn unseen(&mut self, it: &Container, namespace: &str) -> Result<Vec<(u128, ObjectRow)>, Fault> {
        let container = it.id;
        let earlier = self.seen_earlier(container, namespace)?;
        let here = self.seen.get(&(container, namespace.to_owned()));
        let here: HashSet<u128> = here.into_iter().flatten().copied().collect();
        let mut ids = self.children_in(container, namespace)?;
        ids.extend(self.displaced_in(container)?);
        let mut unseen = Vec::new();
        for id in ids {
            if earlier.contains(&id) || here.contains(&id) || self.target.leaf.is_some_and(|leaf| leaf != id) {
                continue;
            }
            let row = tree::object(self, id)?.ok_or(Fault::Broken("a child without its object"))?;
            let is_listed = row.mark() == RemoteStatus::Present && it.keeps(&self.filter, &row.name);
            if is_listed && !self.is_absent(id)? && row.listed_namespace() == namespace {
                unseen.push((id, row));
            }
        }
        Ok(unseen)
    }

    /// Whether a second listing does not have what the first one had: two that contradict each other, as where a grant is
    /// lost during the walk, prove nothing. What is known to be elsewhere since is not lacking.
    fn lacks_more(&self, container: u128, namespace: &str) -> Result<bool, Fault> {
        let key = (self.job_id, container, namespace);
        let Some(begun) = self.rows.second_looks.get(key)?.map(|row| row.value()) else { return Ok(false) };
        let here = self.seen.get(&(container, namespace.to_owned()));
        let mut again: HashSet<u128> = here.into_iter().flatten().copied().collect();
        again.extend(self.seen_on(container, namespace, begun..=u64::MAX)?);
        let before = match begun.checked_sub(1) {
            Some(last) => self.seen_on(container, namespace, 0..=last)?,
            None => HashSet::new(),
        };
        for id in before.difference(&again) {
            let row = tree::object(self, *id)?;
            if row.is_none_or(|row| row.parent == Some(container) && row.namespace == namespace) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Children were not in a complete listing: they are looked for again before anything is said of them.
    fn doubt(&mut self, container: u128, listing: &Listing, unseen: &[(u128, ObjectRow)]) -> Result<(), Fault> {
        self.rows.doubts.insert((self.job_id, container, listing.namespace.as_str()), listing.basis.as_str())?;
        self.add_task(Work::Confirm {
            scope: listing.path.clone(),
            namespace: listing.namespace.clone(),
            basis: listing.basis.clone(),
            candidates: unseen.iter().map(|(id, _)| ObjectId::from_u128(*id)).collect(),
            names: unseen.iter().map(|(_, row)| row.name.clone()).collect(),
            // What has an id of the platform's may have been renamed to before the cursor, where the old name proves
            // nothing: only a second listing can find it.
            by_name: unseen.iter().all(|(_, row)| {
                row.displaced_from.is_none() && !(self.step.remote_ids_unique && row.remote_id.is_some())
            }),
        })
    }

    pub(super) fn mark_missing(&mut self, id: u128, mut row: ObjectRow) -> Result<(), Fault> {
        *self.job.counts.missing.entry(row.object_type.clone()).or_default() += 1;
        row.set_mark(RemoteStatus::Missing);
        row.touch(self.sequence, micros(self.step.now));
        self.put_object(id, &row)?;
        self.note(id, What::Missing);
        Ok(())
    }

    /// Closes a container for this job: what was seen of it is not needed any more. What it proves to be absent is judged
    /// when the job has nothing else left to do. `is_doubted`: whether anything was not in the listing, proved or not: then
    /// another basis is not trusted yet.
    fn close_container(
        &mut self,
        container: u128,
        namespace: &str,
        basis: &str,
        absent: &[(u128, ObjectRow)],
        is_doubted: bool,
    ) -> Result<(), Fault> {
        let rebased = if is_doubted { self.rebased(container, namespace, basis)? } else { None };
        for (id, row) in absent {
            self.note_absent(*id, row, rebased.as_ref())?;
        }
        self.drop_seen(container, namespace)?;
        self.rows.doubts.remove((self.job_id, container, namespace))?;
        self.rows.second_looks.remove((self.job_id, container, namespace))?;
        // A sync of one object has not taken the others, so it says nothing about the container.
        if self.target.leaf.is_none() {
            let row = ListedRow { at: micros(self.step.now), basis: basis.to_owned(), job: self.job_id };
            self.put_listed(container, namespace, Some(&row))?;
            self.trust(container, namespace, rebased.as_ref())?;
        }
        Ok(())
    }

    /// Applies answers by name to what a listing did not have.
    pub(super) fn confirm(&mut self, presences: &[Presence]) -> Result<Option<Task>, Fault> {
        let Work::Confirm { scope, namespace, basis, candidates, .. } = self.task.work.clone() else {
            return Ok(None);
        };
        let Some(container) = self.container(&scope)? else { return Ok(None) };
        let (it, container) = (container.clone(), container.id);
        let is_proof = self.rows.unproven.get((self.job_id, container))?.is_none()
            && self.rows.doubts.get((self.job_id, container, namespace.as_str()))?.is_some();
        if !is_proof {
            return self.leave_open(container, &namespace);
        }
        let answers: HashMap<u128, &Presence> = candidates.iter().map(|id| id.as_u128()).zip(presences).collect();
        // Looked up again: what was moved or seen meanwhile is not a candidate any more.
        let mut unseen = self.unseen(&it, &namespace)?;
        let is_doubted = !unseen.is_empty();
        let is = |id: &u128, presence| answers.get(id).is_some_and(|answer| **answer == presence);
        // What is there when it is asked for by name is seen: it is held no more.
        let present: Vec<u128> = unseen.iter().map(|(id, _)| *id).filter(|id| is(id, Presence::Present)).collect();
        if !present.is_empty() {
            self.shown.insert(container);
        }
        self.placed.extend(present);
        unseen.retain(|(id, _)| is(id, Presence::Absent));
        self.close_container(container, &namespace, &basis, &unseen, is_doubted)?;
        Ok(None)
    }

    /// Lists a container a second time, instead of asking by name.
    pub(super) fn look_again(&mut self, partitions: Vec<Partition>) -> Result<Option<Task>, Fault> {
        let Work::Confirm { scope, namespace, .. } = self.task.work.clone() else { return Ok(None) };
        let Some(container) = self.container(&scope)? else { return Ok(None) };
        let mut begun = false;
        for partition in partitions {
            if scope.is_within(&partition.scope) {
                self.add_task(Work::Read { partition, want_columns: false, second_look: true })?;
                begun = true;
            }
        }
        if begun {
            let pages = self.job.counts.pages;
            self.rows.second_looks.insert((self.job_id, container.id, namespace.as_str()), pages)?;
            return Ok(None);
        }
        self.report(
            &scope,
            "not-confirmed",
            "the connector could not list the container again; nothing in it was marked missing",
        )?;
        self.leave_open(container.id, &namespace)
    }

    /// Nothing was proved: what was seen is dropped, and the container stays as it was listed before.
    fn leave_open(&mut self, container: u128, namespace: &str) -> Result<Option<Task>, Fault> {
        self.drop_seen(container, namespace)?;
        self.rows.doubts.remove((self.job_id, container, namespace))?;
        self.rows.second_looks.remove((self.job_id, container, namespace))?;
        Ok(None)
    }

    /// A part of a container's listing failed: this job proves nothing about it.
    fn distrust(&mut self, scope: &RemotePath) -> Result<(), Fault> {
        if let Some(container) = self.container(scope)? {
            self.rows.unproven.insert((self.job_id, container.id), ())?;
        }
        Ok(())
    }

    /// Gives a task up.
    pub(super) fn give_up(&mut self, error: ObjectError) -> Result<Option<Task>, Fault> {
        self.report(&error.path, &error.code, &error.message)?;
        match self.task.work.clone() {
            Work::Read { partition, .. } if !lists_for_columns(&self.task.work) => self.distrust(&partition.scope)?,
            Work::Confirm { scope, namespace, .. } => {
                if let Some(container) = self.container(&scope)? {
                    self.leave_open(container.id, &namespace)?;
                }
            }
            Work::Plan { .. } | Work::Read { .. } | Work::Columns { .. } | Work::Judge => {}
        }
        Ok(None)
    }
}
