//! Looking through the tree: children by index, descendants by a walk.
//!
//! A walk goes in the order of paths and keeps only the hits that can be on the page that is asked for, so its memory is
//! bounded by the page, whatever it walks through. The cursor carries the last key of a page: what is unchanged is neither
//! skipped nor repeated while other things change.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use redb::ReadableTable as _;
use serde::{Deserialize, Serialize};

use super::{
    connections, counters,
    fault::{Fault, Stop},
    objects::{Hits, Search, SearchError, Sort},
    records::{ObjectRow, decode, encode},
    tables::ReadRows,
    tree::{self, Node},
    view::{self, Lens, Standing},
};
use crate::model::{filter::Filter, sight::Visible};

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
pub(super) fn run(rows: &ReadRows, lens: &Lens, search: &Search) -> Result<Hits, Stop<SearchError>> {
    let mut page = Page::new(search)?;
    match &search.root {
        None => all_connections(rows, lens, search, &mut page)?,
        Some(root) => {
            let chain = tree::find(rows, root)?.ok_or(Stop::Refused(SearchError::NotFound))?;
            below(rows, lens, search, &chain, &mut page)?;
        }
    }
    page.finish(rows, lens, search)
}

/// Collects connections, and below them where asked.
fn all_connections(rows: &ReadRows, lens: &Lens, search: &Search, page: &mut Page) -> Result<(), Fault> {
    let ids: Vec<u128> = match lens.connections() {
        Some(ids) => ids.iter().copied().collect(),
        None => rows.connection_keys.iter()?.map(|row| Ok(row?.1.value())).collect::<Result<_, Fault>>()?,
    };
    for id in ids {
        let Some(row) = tree::object(rows, id)? else { continue };
        let filter = connections::filter(rows, id)?;
        let standing = Standing::root(tree::overrides(rows, id)?, &filter);
        let mut walk = Walk { rows, lens, search, filter, page };
        let mut path = vec![row.name.clone()];
        let visible = lens.visible(&[id]);
        walk.consider(id, &row, &standing, visible, &path)?;
        if search.recursive {
            walk.children(id, &standing, visible, &mut path)?;
        }
    }
    Ok(())
}

/// Collects what lies below the last object of a chain.
fn below(
    rows: &ReadRows,
    lens: &Lens,
    search: &Search,
    chain: &[Node],
    page: &mut Page,
) -> Result<(), Stop<SearchError>> {
    let visible = lens.of(chain);
    let Some(root) = chain.last().filter(|_| visible != Visible::No) else {
        return Err(Stop::Refused(SearchError::NotFound));
    };
    let filter = connections::filter(rows, chain.first().map_or(0, |node| node.id))?;
    let standing = Standing::of(rows, chain, &filter)?;
    let mut path: Vec<String> = chain.iter().map(|node| node.row.name.clone()).collect();
    if visible == Visible::Whole && search.recursive && !is_filtered(search) {
        page.total = Some(counters::of(rows, root.id)?.descendants.unsigned_abs());
    }
    Ok(Walk { rows, lens, search, filter, page }.children(root.id, &standing, visible, &mut path)?)
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
        let is_before = |after: &(Key, u128)| if self.descending { hit >= *after } else { hit <= *after };
        if self.after.as_ref().is_some_and(is_before) {
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

    /// Whether nothing that comes later in the order of the walk can change the answer.
    fn is_done(&self) -> bool {
        self.kept.len() == self.room && (self.total.is_some() || self.count > COUNTED)
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

    /// Whether an object and all below it come before the cursor and need not be counted: then it is not even read.
    fn is_behind(&self, path: &[String], id: u128) -> bool {
        if self.page.total.is_none() || self.search.descending {
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
        let fits = self.page.needle.as_ref().is_none_or(|needle| row.name.to_lowercase().contains(needle))
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
