//! Putting a delivered object where it belongs: which stored object it is (D38), what differs, and what follows.

use std::{collections::HashSet, rc::Rc};

use super::{
    super::{
        counters::Counters,
        fault::Fault,
        records::{ObjectRow, kind_number, micros},
        tree::{self, DISPLACED, Node},
    },
    ledger::{Container, Ledger},
};
use crate::model::{
    change::{BeforeAfter, Values, fact_values},
    diff::{
        ColumnsCase, ColumnsStep, FactChange, Identity, MAX_WORD_BYTES, What, bound_facts, columns_step, diff_facts,
        identify,
    },
    id::ObjectId,
    job::Work,
    object::{Facts, Kind, RemoteStatus},
    page::ScannedObject,
    path::{MAX_LEVEL, RemotePath},
    settings::Overrides,
};

/// A stored object in hand, and whether it has to be written.
pub(super) struct Held {
    pub(super) id: u128,
    pub(super) row: ObjectRow,
    /// Something that people see has changed.
    pub(super) changed: bool,
    /// It was missing.
    pub(super) returned: bool,
    /// Only what the host itself needs has changed.
    pub(super) noted: bool,
}

impl Ledger<'_, '_> {
    /// Whether a delivered object can be taken, and the container it goes into. What cannot is reported, or, where it only
    /// is not what this job is for, left alone.
    pub(super) fn accept(
        &mut self,
        scanned: &ScannedObject,
        scope: &RemotePath,
        strangers: &mut HashSet<RemotePath>,
    ) -> Result<Option<Rc<Container>>, Fault> {
        let path = &scanned.path;
        let Some(parent) = path.parent() else {
            self.report(path, "outside-scope", "the connector delivered an object without a path")?;
            return Ok(None);
        };
        if self.is_host_managed(path) {
            return Ok(None);
        }
        if !path.is_within(scope) || path.0.len() >= MAX_LEVEL {
            self.report(
                path,
                "outside-scope",
                "the connector delivered an object that lies outside what was asked for",
            )?;
            return Ok(None);
        }
        if !path.is_within(&self.target.scope) {
            return Ok(None);
        }
        if scanned.namespace.len() > MAX_WORD_BYTES || scanned.namespace.starts_with(DISPLACED) {
            self.report(
                path,
                "invalid-namespace",
                "the connector delivered an object in a namespace that cannot be one",
            )?;
            return Ok(None);
        }
        match self.container(&parent)? {
            Some(container) if container.can_hold() => Ok(Some(container)),
            // What lies in something that is left out is nobody's orphan.
            None if self.leaves_out(&parent) => Ok(None),
            found => {
                // Once for each parent: a hundred thousand orphans are one message.
                if strangers.insert(parent.clone()) {
                    let why = if found.is_some() {
                        "the connector delivered objects inside one that is no container"
                    } else {
                        "the connector delivered objects whose container is not in the inventory"
                    };
                    self.report(&parent, "unknown-parent", why)?;
                }
                Ok(None)
            }
        }
    }

    /// Places an accepted object. `elsewhere` tells whether a remote id stands at another path of the same page.
    pub(super) fn place(
        &mut self,
        container: &Container,
        mut scanned: ScannedObject,
        elsewhere: impl Fn(&str, &RemotePath) -> bool,
    ) -> Result<(), Fault> {
        if bound_facts(&mut scanned.facts) {
            self.report(
                &scanned.path,
                "too-large",
                "the connector delivered more text than is kept of one object; it was cut",
            )?;
        }
        let name = scanned.path.0.last().map(|name| name.as_str().to_owned()).unwrap_or_default();
        let at = match tree::child(self, container.id, &scanned.namespace, &name)? {
            Some(id) => Some(Node { id, row: self.stored(id)? }),
            None => None,
        };
        let mut known = self.known_elsewhere(&scanned.facts, at.as_ref())?;
        if known.is_none() && at.as_ref().is_none_or(|node| node.row.remote_id != scanned.facts.remote_id) {
            known = self.untangle(&scanned.facts, at.as_ref())?;
        }
        if !self.concerns(at.as_ref(), known.as_deref()) {
            return Ok(());
        }
        let is_left_out = self.is_left_out(container, &scanned);
        // How often something is looked at or asked for depends on which listing was faster; what a sync has seen does not.
        let is_seen = match self.task.work {
            Work::Read { second_look: false, .. } => true,
            Work::Read { .. } => at.is_none() && !is_left_out,
            _ => false,
        };
        if is_seen {
            *self.job.counts.seen.entry(scanned.facts.object_type.clone()).or_default() += 1;
            if is_left_out {
                *self.job.counts.excluded.entry(scanned.facts.object_type.clone()).or_default() += 1;
            }
        }
        if is_left_out {
            scanned.columns = None;
            // What is known stays what it is, wherever it is now. What the connector itself leaves out is kept, so that
            // people see it; what the patterns do was left out by people.
            let is_new = at.is_none() && known.is_none();
            if is_new && (container.is_left_out() || !container.keeps(&self.filter, &name)) {
                return Ok(());
            }
        }
        let identity = identify(
            scanned.facts.remote_id.as_deref(),
            at.as_ref().map(|node| (ObjectId::from_u128(node.id), node.row.remote_id.as_deref())),
            known.as_ref().and_then(|chain| chain.last()).map(|node| ObjectId::from_u128(node.id)),
        );
        match (identity, at, known) {
            (Identity::Elsewhere, at, Some(mover)) => self.relocate(container, scanned, at, mover),
            (Identity::Recreated, Some(at), _)
                if at.row.remote_id.as_deref().is_some_and(|was| elsewhere(was, &scanned.path)) =>
            {
                // The page itself says that what stood here is somewhere else now: this one is new.
                self.displace(at)?;
                self.add(container, scanned, name)
            }
            (Identity::Same | Identity::Recreated, Some(at), _) => {
                if self.placed.contains(&at.id) {
                    return self.report(
                        &scanned.path,
                        "duplicate-path",
                        "the connector delivered the path twice in one page",
                    );
                }
                let held = Held { id: at.id, row: at.row, changed: false, returned: false, noted: false };
                self.refresh(container, held, scanned, identity == Identity::Recreated)
            }
            _ => self.add(container, scanned, name),
        }
    }

    fn stored(&self, id: u128) -> Result<ObjectRow, Fault> {
        tree::object(self, id)?.ok_or(Fault::Broken("a child without its object"))
    }

    /// The lineage of the object that is known by the remote id, where that is not the one at the path.
    fn known_elsewhere(&self, facts: &Facts, at: Option<&Node>) -> Result<Option<Vec<Node>>, Fault> {
        let Some(remote_id) = facts.remote_id.as_deref().filter(|_| self.step.remote_ids_unique) else {
            return Ok(None);
        };
        match self.known_as(remote_id)? {
            Some(id) if at.is_none_or(|node| node.id != id) => tree::lineage(self, id),
            _ => Ok(None),
        }
    }

    /// A sync of one object touches only that one, and what a rename of it has displaced.
    fn concerns(&self, at: Option<&Node>, known: Option<&[Node]>) -> bool {
        let Some(leaf) = self.target.leaf else { return true };
        let known = known.and_then(|chain| chain.last());
        at.is_some_and(|node| node.id == leaf)
            || known.is_some_and(|node| node.id == leaf || node.row.displaced_from.is_some())
    }

    /// Notes that a child was seen in this job.
    pub(super) fn see(&mut self, container: u128, namespace: &str, id: u128) {
        self.placed.insert(id);
        self.shown.insert(container);
        match self.seen.get_mut(&(container, namespace.to_owned())) {
            Some(ids) => ids.push(id),
            None => {
                self.seen.insert((container, namespace.to_owned()), vec![id]);
            }
        }
    }

    /// Whether this job has seen an object where it is, at `path`.
    pub(super) fn was_seen(&mut self, id: u128, row: &ObjectRow, path: &RemotePath) -> Result<bool, Fault> {
        if self.placed.contains(&id) {
            return Ok(true);
        }
        let Some(parent) = row.parent.filter(|_| row.displaced_from.is_none()) else { return Ok(false) };
        if self.seen_earlier(parent, &row.namespace)?.contains(&id) {
            return Ok(true);
        }
        // A connector need not deliver what the patterns leave out.
        if self.leaves_out(path) {
            return Ok(false);
        }
        // Closed in this job: whatever is present in it was seen, or is proved to be absent.
        let is_closed = self.is_closed(parent, &row.namespace)?;
        Ok(row.mark() == RemoteStatus::Present && is_closed && !self.is_absent(id)?)
    }

    /// Adds an object that is found for the first time.
    fn add(&mut self, container: &Container, scanned: ScannedObject, name: String) -> Result<(), Fault> {
        let id = ObjectId::generate().as_u128();
        let now = micros(self.step.now);
        let own = Overrides::of_new_object(container.inherited.effective(), self.sequence);
        let is_left_out = self.is_left_out(container, &scanned);
        let ScannedObject { path, namespace, facts, fingerprint, columns, excluded } = scanned;
        let mut row = ObjectRow {
            connection: self.job.connection,
            parent: Some(container.id),
            namespace,
            name,
            displaced_from: None,
            kind: kind_number(facts.kind),
            object_type: String::new(),
            remote_id: None,
            comment: None,
            attributes: Vec::new(),
            columns_known: false,
            fingerprint: None,
            mark: 0,
            revision: 1,
            sequence: self.sequence,
            created_at: now,
            updated_at: now,
        };
        let case = ColumnsCase {
            kind: facts.kind,
            delivered: columns.is_some(),
            wanted: !is_left_out && (self.job.force_recursive || container.inherited.then(&own).effective().is_active),
            known: false,
            stored: None,
            fingerprint: fingerprint.as_deref(),
            recent: false,
        };
        match (columns_step(case), &columns) {
            (ColumnsStep::Ask, _) => self.ask(&path, &row),
            (ColumnsStep::Compare, Some(columns)) => {
                self.put_columns(id, Some(columns))?;
                row.columns_known = true;
                row.fingerprint = fingerprint;
                self.note_read(id, row.fingerprint.is_some())?;
                self.job.counts.columns_added += u64::try_from(columns.len()).unwrap_or_default();
            }
            _ => {}
        }
        *self.job.counts.added.entry(facts.object_type.clone()).or_default() += 1;
        row.set_facts(facts);
        if let Some(why) = excluded {
            row.set_mark(RemoteStatus::Excluded);
            self.put_exclusion(id, Some(&why))?;
        }
        self.link(id, &row)?;
        self.index_remote_id(id, None, row.remote_id.as_deref())?;
        self.put_overrides(id, &own)?;
        self.put_object(id, &row)?;
        self.pending.note(container.id, Counters::default().with_itself(&own));
        self.see(container.id, &row.namespace, id);
        self.note(id, What::Added);
        Ok(())
    }

    /// Brings a stored object up to what was delivered. Writes nothing where nothing differs.
    pub(super) fn refresh(
        &mut self,
        container: &Container,
        mut held: Held,
        scanned: ScannedObject,
        recreated: bool,
    ) -> Result<(), Fault> {
        let id = held.id;
        self.see(container.id, &scanned.namespace, id);
        self.refresh_mark(&mut held, &scanned)?;
        if recreated {
            held.row.fingerprint = None;
            self.forget_read(id)?;
            self.note_recreated(id, &held.row)?;
            // The new one was never listed, whatever is known of the old one (D37).
            for namespace in self.listings(id)?.into_keys() {
                self.put_listed(id, &namespace, None)?;
            }
            self.forget_trust(id)?;
            self.note(id, What::Recreated);
            let ids = BeforeAfter { before: held.row.remote_id.clone(), after: scanned.facts.remote_id.clone() };
            self.tell(Values::Facts(vec![ids]));
        }
        let kind = scanned.facts.kind;
        let is_left_out = self.is_left_out(container, &scanned);
        self.refresh_facts(&mut held, scanned.facts, recreated)?;
        let may_want = kind == Kind::TableLike && scanned.columns.is_none() && !is_left_out;
        let wanted = may_want && self.wants_columns(container, id)?;
        // A second look asks nothing anew that the first one has read.
        let is_second = matches!(self.task.work, Work::Read { second_look: true, .. });
        let case = ColumnsCase {
            kind,
            delivered: scanned.columns.is_some(),
            wanted,
            known: held.row.columns_known && (!self.reads_all || is_second),
            stored: held.row.fingerprint.as_deref(),
            fingerprint: scanned.fingerprint.as_deref(),
            recent: wanted && scanned.fingerprint.is_none() && self.is_recent(id)?,
        };
        match (columns_step(case), scanned.columns) {
            (ColumnsStep::Ask, _) => self.ask(&scanned.path, &held.row),
            (ColumnsStep::Compare, Some(columns)) => {
                let Held { row, changed, noted, .. } = &mut held;
                let outcome = self.refresh_columns(id, row, &columns, scanned.fingerprint)?;
                *changed |= outcome.0;
                *noted |= outcome.1;
            }
            _ => {}
        }
        if held.changed {
            *self.job.counts.changed.entry(held.row.object_type.clone()).or_default() += 1;
        }
        if held.changed || held.returned {
            held.row.touch(self.sequence, micros(self.step.now));
            self.dirty = true;
        }
        if held.changed || held.returned || held.noted {
            self.put_object(id, &held.row)?;
        }
        Ok(())
    }

    fn refresh_facts(&mut self, held: &mut Held, facts: Facts, recreated: bool) -> Result<(), Fault> {
        let before = held.row.facts();
        let mut changes = diff_facts(&before, &facts);
        self.index_remote_id(held.id, before.remote_id.as_deref(), facts.remote_id.as_deref())?;
        if changes.is_empty() {
            return Ok(());
        }
        if changes.contains(&FactChange::Kind) {
            self.forget_containers();
        }
        // A new id is what `recreated` says already.
        changes.retain(|change| !recreated || *change != FactChange::RemoteId);
        let values = fact_values(&before, &facts, &changes);
        held.row.set_facts(facts);
        held.changed = true;
        if !changes.is_empty() {
            self.note(held.id, What::Changed(changes));
            self.tell(Values::Facts(values));
        }
        Ok(())
    }

    /// Keeps the index in line with an object's remote id; writes only where it differs.
    pub(super) fn index_remote_id(&mut self, id: u128, before: Option<&str>, after: Option<&str>) -> Result<(), Fault> {
        if let Some(before) = before.filter(|_| before != after)
            && self.known_as(before)? == Some(id)
        {
            self.put_known_as(before, None)?;
        }
        if let Some(after) = after.filter(|_| self.step.remote_ids_unique)
            && self.known_as(after)? != Some(id)
        {
            self.put_known_as(after, Some(id))?;
        }
        Ok(())
    }

    fn wants_columns(&self, container: &Container, id: u128) -> Result<bool, Fault> {
        let own = tree::overrides(self, id)?;
        Ok(self.job.force_recursive || container.inherited.then(&own).effective().is_active)
    }

    /// Notes that an object's columns are to be asked for by name.
    fn ask(&mut self, path: &RemotePath, row: &ObjectRow) {
        // An answer that still lacks them is reported there, and not asked for again.
        if self.is_columns_task() {
            return;
        }
        let scope = path.parent().unwrap_or_default();
        self.asked.entry((scope, row.namespace.clone())).or_default().push(row.name.clone());
    }
}
