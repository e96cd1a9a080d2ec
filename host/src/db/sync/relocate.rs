//! Moving objects to where their remote id was delivered (D38): renames, swaps, and what has to give way.

use redb::ReadableTable as _;

use super::{
    super::{
        counters::{Counters, Tally as _},
        fault::Fault,
        holds,
        records::{ObjectRow, PlaceRow, decode, encode, micros},
        tree::{self, DISPLACED, Node},
    },
    ledger::{Container, Ledger},
    place::Held,
};
use crate::model::{
    diff::{Move, MoveRefused, What, may_move},
    id::ObjectId,
    object::{Facts, Kind},
    page::ScannedObject,
    path::MAX_LEVEL,
    settings::Overrides,
};

impl Ledger<'_, '_> {
    /// Moves or renames the object that is known by the remote id to where it was delivered.
    pub(super) fn relocate(
        &mut self,
        container: &Container,
        scanned: ScannedObject,
        at: Option<Node>,
        mover: Vec<Node>,
    ) -> Result<(), Fault> {
        let from = tree::remote_path_of(&mover)?;
        let old_level = mover.len();
        let old_lineage: Vec<u128> = mover[..old_level.saturating_sub(1)].iter().map(|node| node.id).collect();
        let Some(Node { id, row }) = mover.into_iter().last() else { return Ok(()) };
        let new_level = container.lineage.len() + 1;
        let is_back = at.is_none() && self.came_from(container, &scanned, id)?;
        if is_back {
            // It was moved away in this job, and now it is delivered where it was: the id stands in two places, and the
            // move was none.
            let (code, message) = refusal(MoveRefused::DuplicateRemoteId);
            self.report_always(&from, code, message)?;
        }
        let it = Move {
            seen_at_old_place: !is_back && self.was_seen(id, &row, &from)?,
            occupant_seen: match &at {
                Some(at) => self.was_seen(at.id, &at.row, &scanned.path)?,
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
            return self.report_always(&scanned.path, code, message);
        }
        if let Some(at) = at {
            self.displace(at)?;
        }
        let held = self.shift(container, &scanned, id, row)?;
        let left: Vec<u128> = old_lineage.iter().copied().filter(|at| !container.lineage.contains(at)).collect();
        if !self.dry && !left.is_empty() {
            holds::free_moved(self.rows, self.job.connection, id, &left)?;
        }
        if held.changed {
            self.note(id, What::Moved { from, to: scanned.path.clone() });
            self.tell_from(old_lineage);
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
        self.flush()?;
        if old_parent != container.id {
            let weight = self.counters_of(id)?.with_itself(&tree::overrides(self, id)?);
            self.count(old_parent, Counters::default().minus(weight))?;
            self.count(container.id, weight)?;
        }
        self.unlink(&row)?;
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
        self.link(id, &row)?;
        self.forget_containers();
        Ok(Held { id, row, changed: !is_back, returned: false, noted: true })
    }

    /// Puts an object aside whose place another one has taken: it keeps everything, under a namespace of its own, until it
    /// is seen elsewhere or goes missing.
    pub(super) fn displace(&mut self, node: Node) -> Result<(), Fault> {
        let Node { id, mut row } = node;
        self.unlink(&row)?;
        row.displaced_from = Some(row.listed_namespace().to_owned());
        row.namespace = format!("{DISPLACED}{}", ObjectId::from_u128(id));
        self.link(id, &row)?;
        self.put_object(id, &row)?;
        self.forget_containers();
        self.dirty = true;
        Ok(())
    }

    /// Levels below an object, at most `limit`.
    fn height(&self, id: u128, limit: usize) -> Result<usize, Fault> {
        let mut deepest = 0;
        if limit > 0 {
            for child in self.children(id)? {
                deepest = deepest.max(1 + self.height(child, limit - 1)?);
            }
        }
        Ok(deepest)
    }

    /// Notes under which id an object was known before the platform made it anew, as far as this page can tell.
    pub(super) fn note_recreated(&mut self, id: u128, row: &ObjectRow) -> Result<(), Fault> {
        if let Some(was) = row.remote_id.as_deref().filter(|_| self.step.remote_ids_unique) {
            self.rows.recreated.insert((self.job_id, was), id)?;
        }
        Ok(())
    }

    /// A later page delivers, at another path, the id that an object had which seemed to be made anew: so it was renamed,
    /// and what stands at its old path is new. The two are told apart, and the lineage of the renamed one is given.
    pub(super) fn untangle(&mut self, facts: &Facts, at: Option<&Node>) -> Result<Option<Vec<Node>>, Fault> {
        let Some(remote_id) = facts.remote_id.as_deref() else { return Ok(None) };
        let taken = self.rows.recreated.get((self.job_id, remote_id))?.map(|row| row.value());
        // At the very same path it is just the old id again.
        let Some(id) = taken.filter(|id| at.is_none_or(|at| at.id != *id)) else { return Ok(None) };
        self.rows.recreated.remove((self.job_id, remote_id))?;
        let Some(chain) = tree::lineage(self, id)? else { return Ok(None) };
        let Some(Node { row, .. }) = chain.into_iter().last() else { return Ok(None) };
        // What lies in a container cannot be told apart any more.
        if row.kind() == Kind::Container || row.displaced_from.is_some() {
            return Ok(None);
        }
        self.placed.remove(&id);
        self.displace(Node { id, row: row.clone() })?;
        self.split_off(id, row, remote_id)?;
        tree::lineage(self, id)
    }

    /// Gives the place, facts and columns that an object took by mistake to a new one.
    fn split_off(&mut self, id: u128, taken: ObjectRow, remote_id: &str) -> Result<(), Fault> {
        let parent = taken.parent.ok_or(Fault::Broken("a connection was made anew"))?;
        let new = ObjectId::generate().as_u128();
        let chain = tree::lineage(self, parent)?.ok_or(Fault::Broken("a child of a deleted container"))?;
        let inherited = tree::inherited(self, &chain)?.effective();
        let own = Overrides::of_new_object(inherited, self.sequence);
        let now = micros(self.step.now);
        let row = ObjectRow { revision: 1, sequence: self.sequence, created_at: now, updated_at: now, ..taken };
        self.index_remote_id(id, row.remote_id.as_deref(), Some(remote_id))?;
        self.index_remote_id(new, None, row.remote_id.as_deref())?;
        if let Some(columns) = self.columns(id)? {
            self.put_columns(id, None)?;
            self.put_columns(new, Some(&columns))?;
        }
        // Both are marked so; the renamed one until it is delivered, in a moment.
        if let Some(why) = self.exclusion(id)? {
            self.put_exclusion(new, Some(&why))?;
        }
        self.link(new, &row)?;
        self.put_overrides(new, &own)?;
        self.put_object(new, &row)?;
        self.pending.note(parent, Counters::default().with_itself(&own));
        *self.job.counts.added.entry(row.object_type.clone()).or_default() += 1;
        // What was seen at the place was this one.
        self.placed.insert(new);
        self.shown.insert(parent);
        self.share_seen(parent, &row.namespace, id, new)?;
        self.note(new, What::Added);
        // Its own columns are to be read again.
        let mut renamed = tree::object(self, id)?.ok_or(Fault::Broken("a displaced object is gone"))?;
        renamed.remote_id = Some(remote_id.to_owned());
        renamed.columns_known = false;
        renamed.fingerprint = None;
        self.forget_read(id)?;
        self.put_object(id, &renamed)
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
