//! Descendants by their names: from the names in memory, each looked up in the store before it is a hit.
//!
//! In the order of names the search ends with the page, once as many are counted as are counted at all. For another order
//! all hits are collected; where there are more than are counted, the walk finds the page, and need not count.

use std::{
    cmp::Ordering,
    collections::{BinaryHeap, HashMap, HashSet},
    rc::Rc,
    sync::Arc,
};

use redb::{ReadableTable as _, ReadableTableMetadata as _};

use super::{Key, Walk};
use crate::{
    db::{
        fault::Fault,
        names::{Names, Needle, Part, Snapshot},
        objects::Sort,
        tables::Rows as _,
        tree,
        view::{Lens, Standing},
    },
    model::{path::MAX_LEVEL, sight::Visible},
};

/// Up to so many objects are walked through: that is as fast as to look through all names of the connection.
const FEW: u64 = 10_000;

/// Where names are looked for.
pub(super) struct Below<'n> {
    pub(super) names: &'n Names,
    pub(super) connection: u128,
    /// The object that they lie below.
    pub(super) root: u128,
    /// How many objects are seen below it.
    pub(super) size: u64,
}

/// What a candidate's container says about it.
struct Above {
    lineage: Vec<u128>,
    path: Vec<String>,
    standing: Standing,
    /// Whether it lies in what is searched.
    is_within: bool,
}

/// A name with what it names. The greatest comes first.
struct Candidate<'p> {
    key: (&'p str, u128),
    container: u128,
    is_backward: bool,
}

impl<'p> Candidate<'p> {
    fn of(part: &'p Part, n: usize, is_backward: bool) -> Self {
        Self { key: part.key(n), container: part.container(n), is_backward }
    }
}

impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.key.cmp(&other.key);
        if self.is_backward { order } else { order.reverse() }
    }
}

impl PartialOrd for Candidate<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate<'_> {}

/// Collects the hits below an object from the names in memory. Whether that is all; otherwise they have to be walked to.
pub(super) fn collect(walk: &mut Walk<'_>, below: &Below<'_>) -> Result<bool, Fault> {
    let is_by_name = walk.search.sort == Sort::Name;
    let has_use = walk.page.needle.is_some() || is_by_name;
    if !has_use || below.size <= FEW {
        return Ok(false);
    }
    let Some(snapshot) = below.names.of(below.connection) else { return Ok(false) };
    let any_deleted = !walk.rows.reclaim.is_empty()?;
    let mut lookup =
        Lookup { walk, root: below.root, above: HashMap::new(), seen: HashSet::new(), gone: 0, any_deleted };
    let is_all = lookup.run(&snapshot, is_by_name)?;
    below.names.met_gone(below.connection, lookup.gone);
    Ok(is_all)
}

struct Lookup<'a, 'w> {
    walk: &'a mut Walk<'w>,
    root: u128,
    above: HashMap<u128, Option<Rc<Above>>>,
    /// A name may be there twice: added again, or among the rest and in the bulk.
    seen: HashSet<u128>,
    /// Names that are not in the store any more.
    gone: usize,
    any_deleted: bool,
}

impl Lookup<'_, '_> {
    fn run(&mut self, snapshot: &Snapshot, is_by_name: bool) -> Result<bool, Fault> {
        let text = self.walk.page.needle.clone();
        let needle = Needle::new(text.as_deref());
        let is_backward = is_by_name && self.walk.search.descending;
        let mut rest = matches(&snapshot.rest, &needle, is_backward);
        let mut bulk = Bulk::new(&snapshot.bulk, &needle, is_backward);
        let kept = self.walk.page.kept.clone();
        let mut has_jumped = false;
        loop {
            if self.walk.page.is_counted() {
                if !is_by_name {
                    self.walk.page.kept = kept;
                    return Ok(false);
                }
                if !std::mem::replace(&mut has_jumped, true)
                    && let Some((Key::Text(name), id)) = &self.walk.page.after
                {
                    bulk.jump((name.as_str(), *id));
                }
            }
            let is_from_rest = match (bulk.peek(), rest.peek()) {
                (None, None) => return Ok(true),
                (Some(a), Some(b)) => *b > a,
                (a, _) => a.is_none(),
            };
            let next = if is_from_rest { rest.pop() } else { bulk.take() };
            let Some(next) = next else { return Ok(true) };
            if self.walk.page.is_counted() {
                let key = (Key::Text(next.key.0.to_owned()), next.key.1);
                if self.walk.page.is_beyond(&key) {
                    self.walk.page.stopped = true;
                    return Ok(true);
                }
                if self.walk.page.is_behind(&key) {
                    continue;
                }
            }
            self.look(&next)?;
        }
    }

    /// Looks a name up, and takes the object where it is a hit.
    fn look(&mut self, candidate: &Candidate<'_>) -> Result<(), Fault> {
        let (name, id) = candidate.key;
        let Some(above) = self.above(candidate.container)? else {
            self.gone += 1;
            return Ok(());
        };
        if !above.is_within {
            return Ok(());
        }
        let is_deleted = self.any_deleted && self.walk.rows.reclaim.get(id)?.is_some();
        let row = tree::object(self.walk.rows, id)?.filter(|_| !is_deleted);
        let Some(row) = row.filter(|row| row.parent == Some(candidate.container) && row.name == name) else {
            self.gone += 1;
            return Ok(());
        };
        if !self.seen.insert(id) {
            return Ok(());
        }
        let own = tree::overrides(self.walk.rows, id)?;
        let standing = above.standing.child(&self.walk.filter, name, own, row.mark());
        let visible = match self.walk.lens {
            Lens::All => Visible::Whole,
            lens => lens.visible(&above.lineage.iter().copied().chain([id]).collect::<Vec<_>>()),
        };
        if visible == Visible::No {
            return Ok(());
        }
        let path: Vec<String> = match self.walk.search.sort {
            Sort::ObjectPath => above.path.iter().cloned().chain([row.name.clone()]).collect(),
            _ => Vec::new(),
        };
        self.walk.consider(id, &row, &standing, visible, &path)
    }

    /// What a container says about what is in it; none where it is not there any more.
    fn above(&mut self, id: u128) -> Result<Option<Rc<Above>>, Fault> {
        if let Some(known) = self.above.get(&id) {
            return Ok(known.clone());
        }
        let above = self.container(id)?.map(Rc::new);
        self.above.insert(id, above.clone());
        Ok(above)
    }

    fn container(&mut self, id: u128) -> Result<Option<Above>, Fault> {
        let rows = self.walk.rows;
        if self.any_deleted && rows.reclaim().get(id)?.is_some() {
            return Ok(None);
        }
        let Some(row) = tree::object(rows, id)? else { return Ok(None) };
        let own = tree::overrides(rows, id)?;
        let is_root = id == self.root;
        let Some(parent) = row.parent else {
            let standing = Standing::root(own, &self.walk.filter);
            return Ok(Some(Above { lineage: vec![id], path: vec![row.name], standing, is_within: is_root }));
        };
        let Some(above) = self.above(parent)?.filter(|above| above.lineage.len() < MAX_LEVEL) else { return Ok(None) };
        Ok(Some(Above {
            lineage: above.lineage.iter().copied().chain([id]).collect(),
            standing: above.standing.child(&self.walk.filter, &row.name, own, row.mark()),
            path: above.path.iter().cloned().chain([row.name]).collect(),
            is_within: is_root || above.is_within,
        }))
    }
}

/// The names in unsorted parts that have the needle in them: not sorted either, because mostly only the first are wanted.
fn matches<'p>(parts: &'p [Arc<Part>], needle: &Needle<'_>, is_backward: bool) -> BinaryHeap<Candidate<'p>> {
    let mut found = Vec::new();
    for part in parts {
        let mut from = 0;
        while let Some(n) = part.next(needle, from) {
            found.push(Candidate::of(part, n, is_backward));
            from = n + 1;
        }
    }
    found.into()
}

/// The names in the bulk that have the needle in them, in order.
struct Bulk<'p, 'n> {
    part: &'p Part,
    needle: &'p Needle<'n>,
    is_backward: bool,
    /// Forward the first name that was not looked at, backward the last one that was.
    at: usize,
    /// What comes next, once it is known.
    next: Option<Option<usize>>,
}

impl<'p, 'n> Bulk<'p, 'n> {
    fn new(part: &'p Part, needle: &'p Needle<'n>, is_backward: bool) -> Self {
        Self { part, needle, is_backward, at: if is_backward { part.len() } else { 0 }, next: None }
    }

    fn peek(&mut self) -> Option<Candidate<'p>> {
        let (part, at) = (self.part, self.at);
        let look = || if self.is_backward { part.previous(self.needle, at) } else { part.next(self.needle, at) };
        let next = self.next.get_or_insert_with(look);
        next.map(|n| Candidate::of(part, n, self.is_backward))
    }

    fn take(&mut self) -> Option<Candidate<'p>> {
        let next = self.peek();
        if let Some(n) = self.next.take().flatten() {
            self.at = if self.is_backward { n } else { n + 1 };
        }
        next
    }

    /// Passes over what does not come after a key.
    fn jump(&mut self, key: (&str, u128)) {
        let to = if self.is_backward { self.part.from(key).min(self.at) } else { self.part.after(key).max(self.at) };
        (self.at, self.next) = (to, None);
    }
}
