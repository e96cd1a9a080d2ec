//! Looking through the tree: children by index ([`siblings`]), descendants by their names ([`named`]), else by a walk.
//!
//! A walk goes in the order of paths and keeps only the hits that can be on the page that is asked for, so its memory is
//! bounded by the page, whatever it walks through. Whatever way is taken, the answer is the same. The cursor carries the
//! last key of a page: what is unchanged is neither skipped nor repeated while other things change.

mod named;
mod siblings;

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use redb::ReadableTable as _;
use serde::{Deserialize, Serialize};

use super::{
    connections, counters,
    fault::{Fault, Stop},
    names::Names,
    objects::{Hits, Search, SearchError, Sort},
    records::{ObjectRow, decode, encode},
    tables::ReadRows,
    tree::{self, Node},
    view::{self, Lens, Standing},
};
use crate::model::{filter::Filter, sight::Visible};
use named::Below;

/// How far hits are counted when a filter has to look at each.
const COUNTED: u64 = 10_000;

/// Most hits that can be skipped by number; further on the cursor leads.
const MAX_OFFSET: usize = 10_000;

/// What a hit is sorted by; ties by id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Key {
    Text(String),
    Path(Vec<String>),
    Number(i64),
}

/// Where a page of hits ended.
#[derive(Serialize, Deserialize)]
struct Cursor {
    sort: u8,
    descending: bool,
    key: Key,
    id: u128,
}

/// The hits that the caller sees.
pub(super) fn run(rows: &ReadRows, names: &Names, lens: &Lens, search: &Search) -> Result<Hits, Stop<SearchError>> {
    let mut page = Page::new(search)?;
    match &search.root {
        None => all_connections(rows, names, lens, search, &mut page)?,
        Some(root) => {
            let chain = tree::find(rows, root)?.ok_or(Stop::Refused(SearchError::NotFound))?;
            below(rows, names, lens, search, &chain, &mut page)?;
        }
    }
    page.finish(rows, lens, search)
}

/// Collects connections, and below them where asked.
fn all_connections(rows: &ReadRows, names: &Names, lens: &Lens, search: &Search, page: &mut Page) -> Result<(), Fault> {
    // By key, as a walk has to go.
    let ids = rows.connection_keys.iter()?.map(|row| Ok(row?.1.value())).collect::<Result<Vec<u128>, Fault>>()?;
    let is_seen = |id: &u128| lens.connections().is_none_or(|seen| seen.contains(id));
    let seen: Vec<u128> = ids.into_iter().filter(is_seen).collect();
    if search.recursive && !is_filtered(search) {
        let mut total = 0;
        for &id in &seen {
            total += 1 + size(rows, lens, id, lens.visible(&[id]))?;
        }
        page.total = Some(total);
    }
    for id in seen {
        let Some(row) = tree::object(rows, id)? else { continue };
        let filter = connections::filter(rows, id)?;
        let standing = Standing::root(tree::overrides(rows, id)?, &filter);
        let mut walk = Walk { rows, lens, search, filter, page };
        let mut path = vec![row.name.clone()];
        let visible = lens.visible(&[id]);
        walk.consider(id, &row, &standing, visible, &path)?;
        if search.recursive && !walk.may_stop() {
            let size = size(rows, lens, id, visible)?;
            if !named::collect(&mut walk, &Below { names, connection: id, root: id, size })? {
                walk.children(id, &standing, visible, &mut path)?;
            }
        }
    }
    Ok(())
}

/// How many objects are seen below one.
fn size(rows: &ReadRows, lens: &Lens, id: u128, visible: Visible) -> Result<u64, Fault> {
    match visible {
        Visible::Whole => Ok(counters::of(rows, id)?.descendants.unsigned_abs()),
        Visible::OnPath => Ok(lens.seen_below(id)),
        Visible::No => Ok(0),
    }
}

/// Collects what lies below the last object of a chain.
fn below(
    rows: &ReadRows,
    names: &Names,
    lens: &Lens,
    search: &Search,
    chain: &[Node],
    page: &mut Page,
) -> Result<(), Stop<SearchError>> {
    let visible = lens.of(chain);
    let Some(root) = chain.last().filter(|_| visible != Visible::No) else {
        return Err(Stop::Refused(SearchError::NotFound));
    };
    let connection = chain.first().map_or(0, |node| node.id);
    let filter = connections::filter(rows, connection)?;
    let standing = Standing::of(rows, chain, &filter)?;
    let mut path: Vec<String> = chain.iter().map(|node| node.row.name.clone()).collect();
    let size = size(rows, lens, root.id, visible)?;
    if search.recursive && !is_filtered(search) {
        page.total = Some(size);
    }
    let mut walk = Walk { rows, lens, search, filter, page };
    let is_done = match (search.recursive, visible) {
        (true, _) => named::collect(&mut walk, &Below { names, connection, root: root.id, size })?,
        (false, Visible::Whole) => siblings::collect(&mut walk, root.id)?,
        (false, _) => false,
    };
    if is_done { Ok(()) } else { Ok(walk.children(root.id, &standing, visible, &mut path)?) }
}

fn is_filtered(search: &Search) -> bool {
    search.text.as_ref().is_some_and(|text| !text.is_empty())
        || search.active.is_some()
        || !search.object_types.is_empty()
        || search.remote_status.is_some()
}

/// Hits that can be on the page, and how many there are.
struct Page {
    after: Option<(Key, u128)>,
    kept: BTreeSet<(Key, u128)>,
    room: usize,
    offset: usize,
    descending: bool,
    /// Hits so far, on this page or not.
    count: u64,
    /// The walk ended before everything was counted.
    stopped: bool,
    /// Hits in all, where that is known beforehand.
    total: Option<u64>,
    needle: Option<String>,
}

impl Page {
    fn new(search: &Search) -> Result<Self, Stop<SearchError>> {
        let after = search.cursor.as_deref().map(|text| read_cursor(text, search)).transpose()?;
        let offset = if after.is_some() { 0 } else { search.offset.min(MAX_OFFSET) };
        Ok(Self {
            after,
            kept: BTreeSet::new(),
            // One more than the page tells whether there is a next one.
            room: offset + search.size.clamp(1, 500) + 1,
            offset,
            descending: search.descending,
            count: 0,
            stopped: false,
            total: None,
            needle: search.text.as_ref().filter(|text| !text.is_empty()).map(|text| text.to_lowercase()),
        })
    }

    fn take(&mut self, key: Key, id: u128) {
        self.count += 1;
        let hit = (key, id);
        if self.is_behind(&hit) {
            return;
        }
        self.kept.insert(hit);
        if self.kept.len() > self.room {
            if self.descending {
                self.kept.pop_first()
            } else {
                self.kept.pop_last()
            };
        }
    }

    /// Whether a name has in it what is looked for.
    fn is_named(&self, name: &str) -> bool {
        self.needle.as_ref().is_none_or(|needle| name.to_lowercase().contains(needle))
    }

    /// Whether a hit comes before the page.
    fn is_behind(&self, hit: &(Key, u128)) -> bool {
        let is_before = |after: &(Key, u128)| if self.descending { hit >= after } else { hit <= after };
        self.after.as_ref().is_some_and(is_before)
    }

    /// Whether a hit comes after the page, which is full.
    fn is_beyond(&self, hit: &(Key, u128)) -> bool {
        let last = if self.descending { self.kept.first() } else { self.kept.last() };
        self.kept.len() == self.room && last.is_some_and(|last| if self.descending { hit < last } else { hit > last })
    }

    /// Whether further hits need not be counted.
    fn is_counted(&self) -> bool {
        self.total.is_some() || self.count > COUNTED
    }

    /// Whether nothing that comes later in the order of the walk can change the answer.
    fn is_done(&self) -> bool {
        self.kept.len() == self.room && self.is_counted()
    }

    fn finish(self, rows: &ReadRows, lens: &Lens, search: &Search) -> Result<Hits, Stop<SearchError>> {
        let size = search.size.clamp(1, 500);
        let mut ordered: Vec<_> = self.kept.into_iter().collect();
        if self.descending {
            ordered.reverse();
        }
        let has_more = ordered.len() > self.offset + size;
        let on_page: Vec<_> = ordered.into_iter().skip(self.offset).take(size).collect();
        let next = match on_page.last() {
            Some((key, id)) if has_more => Some(write_cursor(search, key.clone(), *id)?),
            _ => None,
        };
        let mut hits = Vec::with_capacity(on_page.len());
        for (_, id) in on_page {
            if let Some(chain) = tree::lineage(rows, id)? {
                hits.extend(view::view(rows, lens, &chain)?);
            }
        }
        let (count, count_is_lower_bound) = match self.total {
            Some(total) => (total, false),
            None if (is_filtered(search) || self.stopped) && self.count > COUNTED => (COUNTED, true),
            None => (self.count, false),
        };
        Ok(Hits { hits, count, count_is_lower_bound, next })
    }
}

fn sort_number(sort: Sort) -> u8 {
    match sort {
        Sort::Name => 0,
        Sort::ObjectPath => 1,
        Sort::ObjectType => 2,
        Sort::State => 3,
        Sort::UpdatedAt => 4,
    }
}

fn write_cursor(search: &Search, key: Key, id: u128) -> Result<String, Fault> {
    let cursor = Cursor { sort: sort_number(search.sort), descending: search.descending, key, id };
    Ok(URL_SAFE_NO_PAD.encode(encode(&cursor)?))
}

fn read_cursor(text: &str, search: &Search) -> Result<(Key, u128), Stop<SearchError>> {
    let refused = || Stop::Refused(SearchError::Cursor);
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
    let cursor: Cursor = decode(&bytes).map_err(|_| refused())?;
    if (cursor.sort, cursor.descending) != (sort_number(search.sort), search.descending) {
        return Err(refused());
    }
    Ok((cursor.key, cursor.id))
}

/// A walk from one object downwards, in the order of paths.
struct Walk<'a> {
    rows: &'a ReadRows,
    lens: &'a Lens,
    search: &'a Search,
    /// That of the connection.
    filter: Filter,
    page: &'a mut Page,
}

impl Walk<'_> {
    /// Looks at the children of an object, and below them where asked.
    fn children(
        &mut self,
        parent: u128,
        standing: &Standing,
        visible: Visible,
        path: &mut Vec<String>,
    ) -> Result<(), Fault> {
        let mut named = match visible {
            Visible::Whole => tree::children_of(self.rows, parent)?,
            Visible::OnPath => self.steps(parent)?,
            Visible::No => return Ok(()),
        };
        // The index is in name order within a namespace: only where there are several is there anything to do.
        named.sort();
        if !self.search.recursive && !is_filtered(self.search) {
            self.page.total = u64::try_from(named.len()).ok();
        }
        for (name, id) in named {
            if self.may_stop() {
                self.page.stopped = true;
                return Ok(());
            }
            path.push(name);
            if !self.is_behind(path, id) {
                self.child(parent, id, standing, visible, path)?;
            }
            path.pop();
        }
        Ok(())
    }

    fn child(
        &mut self,
        parent: u128,
        id: u128,
        standing: &Standing,
        visible: Visible,
        path: &mut Vec<String>,
    ) -> Result<(), Fault> {
        // Of what has another name and nothing below it, nothing is read.
        let name = path.last().map_or("", String::as_str);
        let may_match = self.page.is_named(name) || self.search.recursive && self.has_children(id)?;
        if !may_match {
            return Ok(());
        }
        let Some(row) = tree::object(self.rows, id)? else { return Ok(()) };
        let child = standing.child(&self.filter, &row.name, tree::overrides(self.rows, id)?, row.mark());
        let seen = match visible {
            Visible::Whole => Visible::Whole,
            _ => self.lens.visible(&[parent, id]),
        };
        self.consider(id, &row, &child, seen, path)?;
        if self.search.recursive {
            self.children(id, &child, seen, path)?;
        }
        Ok(())
    }

    fn steps(&self, parent: u128) -> Result<Vec<(String, u128)>, Fault> {
        let mut named = Vec::new();
        for id in self.lens.steps_below(parent) {
            named.extend(tree::object(self.rows, id)?.map(|row| (row.name, id)));
        }
        Ok(named)
    }

    /// Whether anything lies below an object: only then it has counters.
    fn has_children(&self, id: u128) -> Result<bool, Fault> {
        Ok(self.rows.counters.get(id)?.is_some())
    }

    /// Whether an object and all below it come before the cursor and need not be counted: then it is not even read.
    fn is_behind(&self, path: &[String], id: u128) -> bool {
        if !self.page.is_counted() || self.search.descending {
            return false;
        }
        match (&self.page.after, path.last()) {
            (Some((Key::Text(after), last)), Some(name))
                if self.search.sort == Sort::Name && !self.search.recursive =>
            {
                (name, id) <= (after, *last)
            }
            (Some((Key::Path(after), _)), _) => path < after.as_slice() && !after.starts_with(path),
            _ => false,
        }
    }

    /// The walk is in the order of paths, and among the children of one container in that of names.
    fn may_stop(&self) -> bool {
        let in_order = match self.search.sort {
            Sort::ObjectPath => true,
            Sort::Name => !self.search.recursive,
            _ => false,
        };
        in_order && !self.search.descending && self.page.is_done()
    }

    fn consider(
        &mut self,
        id: u128,
        row: &ObjectRow,
        standing: &Standing,
        visible: Visible,
        path: &[String],
    ) -> Result<(), Fault> {
        let active = visible == Visible::Whole && standing.active();
        let search = self.search;
        let fits = self.page.is_named(&row.name)
            && search.active.is_none_or(|wanted| wanted == active)
            && (search.object_types.is_empty() || search.object_types.contains(&row.object_type))
            && search.remote_status.is_none_or(|wanted| wanted == standing.remote_status);
        if !fits || visible == Visible::No {
            return Ok(());
        }
        let key = match search.sort {
            Sort::Name => Key::Text(row.name.clone()),
            Sort::ObjectPath => Key::Path(path.to_vec()),
            Sort::ObjectType => Key::Text(row.object_type.clone()),
            Sort::State => Key::Number(i64::from(active)),
            Sort::UpdatedAt => Key::Number(if visible == Visible::Whole { row.updated_at } else { row.created_at }),
        };
        self.page.take(key, id);
        Ok(())
    }
}
