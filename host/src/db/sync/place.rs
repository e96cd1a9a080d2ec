//! Putting a delivered object where it belongs: which stored object it is (D38), what differs, and what follows.

use std::{collections::HashSet, rc::Rc};

use redb::ReadableTable as _;

use super::{
    super::{
        counters::{self, Counters},
        fault::Fault,
        records::{ListedRow, ObjectRow, PlaceRow, decode, encode, kind_number, micros},
        settings::store_overrides,
        tree::{self, DISPLACED, Node},
    },
    ledger::{Container, Ledger},
};
use crate::model::{
    diff::{
        ColumnsCase, ColumnsStep, FactChange, Identity, MAX_WORD_BYTES, Move, MoveRefused, What, bound_facts,
        columns_step, diff_facts, identify, may_move,
    },
    id::ObjectId,
    object::{Facts, Kind, RemoteStatus},
    page::ScannedObject,
    path::{MAX_LEVEL, RemotePath},
    settings::Overrides,
};

/// A stored object in hand, and whether it has to be written.
struct Held {
    id: u128,
    row: ObjectRow,
    /// Something that people see has changed.
    changed: bool,
    /// It was missing.
    returned: bool,
    /// Only what the host itself needs has changed.
    noted: bool,
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
        let at = match tree::child(self.rows, container.id, &scanned.namespace, &name)? {
            Some(id) => Some(Node { id, row: self.stored(id)? }),
            None => None,
        };
        let known = self.known_elsewhere(&scanned.facts, at.as_ref())?;
        if !self.concerns(at.as_ref(), known.as_deref()) {
            return Ok(());
        }
        *self.job.counts.seen.entry(scanned.facts.object_type.clone()).or_default() += 1;
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
        tree::object(self.rows, id)?.ok_or(Fault::Broken("a child without its object"))
    }

    /// The lineage of the object that is known by the remote id, where that is not the one at the path.
    fn known_elsewhere(&self, facts: &Facts, at: Option<&Node>) -> Result<Option<Vec<Node>>, Fault> {
        let Some(remote_id) = facts.remote_id.as_deref().filter(|_| self.step.remote_ids_unique) else {
            return Ok(None);
        };
        let known = self.rows.remote_ids.get((self.job.connection, remote_id))?.map(|row| row.value());
        match known {
            Some(id) if at.is_none_or(|node| node.id != id) => tree::lineage(self.rows, id),
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
        match self.seen.get_mut(&(container, namespace.to_owned())) {
            Some(ids) => ids.push(id),
            None => {
                self.seen.insert((container, namespace.to_owned()), vec![id]);
            }
        }
    }

    /// Whether this job has seen an object where it is.
    fn was_seen(&mut self, id: u128, row: &ObjectRow) -> Result<bool, Fault> {
        if self.placed.contains(&id) {
            return Ok(true);
        }
        let Some(parent) = row.parent.filter(|_| row.displaced_from.is_none()) else { return Ok(false) };
        if self.seen_earlier(parent, &row.namespace)?.contains(&id) {
            return Ok(true);
        }
        // Closed in this job: whatever is present in it was seen.
        let listed = self.rows.listed.get((parent, row.namespace.as_str()))?;
        let listed = listed.map(|row| decode::<ListedRow>(row.value())).transpose()?;
        Ok(row.mark() == RemoteStatus::Present && listed.is_some_and(|listed| listed.job == self.job_id))
    }

    /// Moves or renames the object that is known by the remote id to where it was delivered.
    fn relocate(
        &mut self,
        container: &Container,
        scanned: ScannedObject,
        at: Option<Node>,
        mover: Vec<Node>,
    ) -> Result<(), Fault> {
        let from = tree::remote_path_of(&mover)?;
        let old_level = mover.len();
        let Some(Node { id, row }) = mover.into_iter().last() else { return Ok(()) };
        let new_level = container.lineage.len() + 1;
        let is_back = at.is_none() && self.came_from(container, &scanned, id)?;
        if is_back {
            // It was moved away in this job, and now it is delivered where it was: the id stands in two places, and the
            // move was none.
            let (code, message) = refusal(MoveRefused::DuplicateRemoteId);
            self.report(&from, code, message)?;
        }
        let it = Move {
            seen_at_old_place: !is_back && self.was_seen(id, &row)?,
            occupant_seen: match &at {
                Some(at) => self.was_seen(at.id, &at.row)?,
                None => false,
            },
            inside_itself: container.lineage.contains(&id),
            too_deep: new_level > old_level && new_level + self.height(id, MAX_LEVEL)? > MAX_LEVEL,
        };
        if let Err(refused) = may_move(it) {
            if let Some(at) = &at {
                // Something is there, whatever it is: that much was seen.
                self.see(container.id, &scanned.namespace, at.id);
            }
            let (code, message) = refusal(refused);
            return self.report(&scanned.path, code, message);
        }
        if let Some(at) = at {
            self.displace(at)?;
        }
        let held = self.shift(container, &scanned, id, row)?;
        if held.changed {
            self.note(id, What::Moved { from, to: scanned.path.clone() });
        }
        self.refresh(container, held, scanned, false)
    }

    /// Whether this job has moved an object away from where it is delivered now.
    fn came_from(&self, container: &Container, scanned: &ScannedObject, id: u128) -> Result<bool, Fault> {
        let Some(row) = self.rows.moved.get((self.job_id, id))? else { return Ok(false) };
        let was: PlaceRow = decode(row.value())?;
        let name = scanned.path.0.last().map(|name| name.as_str());
        Ok(was.parent == container.id && was.namespace == scanned.namespace && Some(was.name.as_str()) == name)
    }

    /// Rewrites the one row that says where an object is, and the counters above.
    fn shift(
        &mut self,
        container: &Container,
        scanned: &ScannedObject,
        id: u128,
        mut row: ObjectRow,
    ) -> Result<Held, Fault> {
        let name = scanned.path.0.last().map(|name| name.as_str().to_owned()).unwrap_or_default();
        let old_parent = row.parent.ok_or(Fault::Broken("a connection cannot move"))?;
        self.pending.flush(self.rows)?;
        if old_parent != container.id {
            let weight = counters::of(self.rows, id)?.with_itself(&tree::overrides(self.rows, id)?);
            counters::add(self.rows, old_parent, Counters::default().minus(weight))?;
            counters::add(self.rows, container.id, weight)?;
        }
        self.rows.children.remove((old_parent, row.namespace.as_str(), row.name.as_str()))?;
        self.rows.children.insert((container.id, scanned.namespace.as_str(), name.as_str()), id)?;
        let is_back = old_parent == container.id && row.listed_namespace() == scanned.namespace && row.name == name;
        if !is_back {
            let namespace = row.listed_namespace().to_owned();
            let place = PlaceRow { parent: old_parent, namespace, name: std::mem::take(&mut row.name) };
            self.rows.moved.insert((self.job_id, id), encode(&place)?.as_slice())?;
        }
        row.parent = Some(container.id);
        row.namespace = scanned.namespace.clone();
        row.name = name;
        row.displaced_from = None;
        self.forget_containers();
        Ok(Held { id, row, changed: !is_back, returned: false, noted: true })
    }

    /// Puts an object aside whose place another one has taken: it keeps everything, under a namespace of its own, until it
    /// is seen elsewhere or goes missing.
    fn displace(&mut self, node: Node) -> Result<(), Fault> {
        let Node { id, mut row } = node;
        let parent = row.parent.ok_or(Fault::Broken("a connection cannot be displaced"))?;
        self.rows.children.remove((parent, row.namespace.as_str(), row.name.as_str()))?;
        row.displaced_from = Some(row.listed_namespace().to_owned());
        row.namespace = format!("{DISPLACED}{}", ObjectId::from_u128(id));
        self.rows.children.insert((parent, row.namespace.as_str(), row.name.as_str()), id)?;
        self.rows.objects.insert(id, encode(&row)?.as_slice())?;
        self.forget_containers();
        self.dirty = true;
        Ok(())
    }

    /// Levels below an object, at most `limit`.
    fn height(&self, id: u128, limit: usize) -> Result<usize, Fault> {
        let mut deepest = 0;
        if limit > 0 {
            for (_, child) in tree::children_of(self.rows, id)? {
                deepest = deepest.max(1 + self.height(child, limit - 1)?);
            }
        }
        Ok(deepest)
    }

    /// Adds an object that is found for the first time.
    fn add(&mut self, container: &Container, scanned: ScannedObject, name: String) -> Result<(), Fault> {
        let id = ObjectId::generate().as_u128();
        let now = micros(self.step.now);
        let own = Overrides::of_new_object(container.inherited.effective(), self.sequence);
        let ScannedObject { path, namespace, facts, fingerprint, columns } = scanned;
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
            wanted: self.job.force_recursive || container.inherited.then(&own).effective().is_active,
            known: false,
            stored: None,
            fingerprint: fingerprint.as_deref(),
        };
        match (columns_step(case), &columns) {
            (ColumnsStep::Ask, _) => self.ask(&path, &row),
            (ColumnsStep::Compare, Some(columns)) => {
                self.rows.columns.insert(id, encode(columns)?.as_slice())?;
                row.columns_known = true;
                row.fingerprint = fingerprint;
                self.job.counts.columns_added += u64::try_from(columns.len()).unwrap_or_default();
            }
            _ => {}
        }
        *self.job.counts.added.entry(facts.object_type.clone()).or_default() += 1;
        row.set_facts(facts);
        self.rows.children.insert((container.id, row.namespace.as_str(), row.name.as_str()), id)?;
        self.index_remote_id(id, None, row.remote_id.as_deref())?;
        store_overrides(self.rows, id, &own)?;
        self.rows.objects.insert(id, encode(&row)?.as_slice())?;
        self.pending.note(container.id, Counters::default().with_itself(&own));
        self.see(container.id, &row.namespace, id);
        self.note(id, What::Added);
        Ok(())
    }

    /// Brings a stored object up to what was delivered. Writes nothing where nothing differs.
    fn refresh(
        &mut self,
        container: &Container,
        mut held: Held,
        scanned: ScannedObject,
        recreated: bool,
    ) -> Result<(), Fault> {
        let id = held.id;
        self.see(container.id, &scanned.namespace, id);
        if held.row.mark() == RemoteStatus::Missing {
            held.row.set_mark(RemoteStatus::Present);
            held.returned = true;
            *self.job.counts.returned.entry(scanned.facts.object_type.clone()).or_default() += 1;
            self.note(id, What::Returned);
        }
        if recreated {
            held.row.fingerprint = None;
            self.note(id, What::Recreated);
        }
        let kind = scanned.facts.kind;
        self.refresh_facts(&mut held, scanned.facts, recreated)?;
        let wanted = kind == Kind::TableLike && scanned.columns.is_none() && self.wants_columns(container, id)?;
        let case = ColumnsCase {
            kind,
            delivered: scanned.columns.is_some(),
            wanted,
            known: held.row.columns_known,
            stored: held.row.fingerprint.as_deref(),
            fingerprint: scanned.fingerprint.as_deref(),
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
            self.rows.objects.insert(id, encode(&held.row)?.as_slice())?;
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
        held.row.set_facts(facts);
        held.changed = true;
        // A new id is what `recreated` says already.
        changes.retain(|change| !recreated || *change != FactChange::RemoteId);
        if !changes.is_empty() {
            self.note(held.id, What::Changed(changes));
        }
        Ok(())
    }

    /// Keeps the index in line with an object's remote id; writes only where it differs.
    fn index_remote_id(&mut self, id: u128, before: Option<&str>, after: Option<&str>) -> Result<(), Fault> {
        let connection = self.job.connection;
        if let Some(before) = before.filter(|_| before != after) {
            let is_ours = self.rows.remote_ids.get((connection, before))?.is_some_and(|row| row.value() == id);
            if is_ours {
                self.rows.remote_ids.remove((connection, before))?;
            }
        }
        if let Some(after) = after.filter(|_| self.step.remote_ids_unique) {
            let is_there = self.rows.remote_ids.get((connection, after))?.is_some_and(|row| row.value() == id);
            if !is_there {
                self.rows.remote_ids.insert((connection, after), id)?;
            }
        }
        Ok(())
    }

    fn wants_columns(&self, container: &Container, id: u128) -> Result<bool, Fault> {
        let own = tree::overrides(self.rows, id)?;
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

fn refusal(refused: MoveRefused) -> (&'static str, &'static str) {
    match refused {
        MoveRefused::DuplicateRemoteId => {
            ("duplicate-remote-id", "the platform's id was delivered in two places in one sync; nothing was moved")
        }
        MoveRefused::DuplicatePath => {
            ("duplicate-path", "the path was delivered with two ids of the platform in one sync; nothing was moved")
        }
        MoveRefused::InsideItself => ("inside-itself", "the object would lie inside itself; nothing was moved"),
        MoveRefused::TooDeep => ("too-deep", "the object would lie deeper than 32 levels; nothing was moved"),
    }
}
