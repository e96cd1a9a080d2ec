//! Reading the inventory, and taking things out of it.

use std::sync::Arc;

use jiff::Timestamp;

use redb::ReadableTable as _;

use super::{
    Db, DbError, ObjectRef,
    changes::{self, Commit, Noted},
    connectors, counters, dry, queue, reclaim,
    records::decode,
    search,
    tables::{ReadRows, WriteRows},
    tree,
    view::{self, Lens},
};
use crate::model::{
    column::Column,
    diff::What,
    object::{ObjectView, RemoteStatus},
    path::ObjectPath,
    sight::{Sight, Visible},
};

/// What to look for among the children or descendants of an object.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Where to begin; none lists the connections.
    pub root: Option<ObjectRef>,
    /// Descendants instead of children.
    pub recursive: bool,
    /// Part of the name, case-folded.
    pub text: Option<String>,
    /// Only these effective states.
    pub active: Option<bool>,
    /// Only these types; empty for all.
    pub object_types: Vec<String>,
    /// Only this remote status.
    pub remote_status: Option<RemoteStatus>,
    /// Order.
    pub sort: Sort,
    /// From the end.
    pub descending: bool,
    /// Hits to leave out at the beginning.
    pub offset: usize,
    /// Hits to give, 1 to 500.
    pub size: usize,
    /// The `next` of the hits before.
    pub cursor: Option<String>,
}

/// Order of hits; ties by id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// By name, by code point.
    #[default]
    Name,
    /// By path.
    ObjectPath,
    /// By object type.
    ObjectType,
    /// By effective state.
    State,
    /// By time of the last change.
    UpdatedAt,
}

/// A part of what was looked for.
#[derive(Clone, Debug)]
pub struct Hits {
    /// In order.
    pub hits: Vec<ObjectView>,
    /// How many there are in all.
    pub count: u64,
    /// Whether there are more than `count`: it was not counted further.
    pub count_is_lower_bound: bool,
    /// Where to go on.
    pub next: Option<String>,
}

/// Why a search was refused.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The caller sees no such object.
    #[error("there is no such object")]
    NotFound,
    /// The cursor is not one that this search gave out.
    #[error("the cursor is not one of this search: leave it out to begin again")]
    Cursor,
    /// The store failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// What a deletion took out.
#[derive(Clone, Debug)]
pub struct Deleted {
    /// Where the object was.
    pub path: ObjectPath,
    /// Descendants that went with it.
    pub child_count: u64,
}

impl Db {
    /// One object, if the caller may see it, at least as a step on the path to what is seen.
    pub async fn object(&self, sight: &Sight, object: &ObjectRef) -> Result<Option<ObjectView>, DbError> {
        let (sight, object) = (sight.clone(), object.clone());
        self.read("read an object", move |rows| match tree::find(rows, &object)? {
            Some(chain) => Ok(view::view(rows, &Lens::new(rows, &sight)?, &chain)?),
            None => Ok(None),
        })
        .await
    }

    /// The columns of an object as they were last delivered; none where the object is not seen or has none known.
    pub async fn columns(&self, sight: &Sight, object: &ObjectRef) -> Result<Option<Vec<Column>>, DbError> {
        let (sight, object) = (sight.clone(), object.clone());
        self.read("read columns", move |rows| {
            let Some(chain) = tree::find(rows, &object)? else { return Ok(None) };
            if Lens::new(rows, &sight)?.of(&chain) != Visible::Whole {
                return Ok(None);
            }
            let Some(node) = chain.last() else { return Ok(None) };
            Ok(rows.columns.get(node.id)?.map(|row| decode(row.value())).transpose()?)
        })
        .await
    }

    /// Children or descendants of an object, or the connections.
    pub async fn search(&self, sight: &Sight, search: Search) -> Result<Hits, SearchError> {
        let (sight, names) = (sight.clone(), Arc::clone(&self.shared.names));
        let work = move |rows: &ReadRows| search::run(rows, &names, &Lens::new(rows, &sight)?, &search);
        self.read("search objects", work).await
    }

    /// Takes an object and everything below it out of the inventory: at once for every reader. The rows are given back
    /// by [`Db::reclaim`]. A connection's secrets are gone with the same transaction, its jobs cancelled.
    /// None where the caller does not wholly see it. One transaction cuts and records the root, so that a crash leaves
    /// neither a half-visible subtree nor rows that nobody gives back.
    pub async fn delete_object(
        &self,
        sight: &Sight,
        object: &ObjectRef,
        now: Timestamp,
    ) -> Result<Option<Deleted>, DbError> {
        let (sight, object) = (sight.clone(), object.clone());
        let by = self.by.clone();
        let done = self
            .write("delete an object", move |rows| {
                let Some(chain) = tree::find(rows, &object)? else { return Ok(None) };
                if Lens::new(rows, &sight)?.of(&chain) != Visible::Whole {
                    return Ok(None);
                }
                let Some(node) = chain.last() else { return Ok(None) };
                let below = counters::of(rows, node.id)?;
                let sequence = queue::next_commit(rows)?;
                let what = What::Deleted { objects: below.descendants.unsigned_abs() };
                let (connection, by) = (node.row.connection, by.as_deref().cloned());
                let commit = Commit { connection, sequence, job: None, by, now };
                changes::append(rows, commit, vec![Noted::new(node.id, what)])?;
                reclaim::unlink(rows, node.id, &node.row, below.with_itself(&tree::overrides(rows, node.id)?))?;
                if node.row.parent.is_none() {
                    deregister(rows, node.id, &node.row.name)?;
                }
                queue::cancel_below(rows, node.row.connection, node.id, now)?;
                Ok(Some(Deleted { path: tree::path_of(&chain)?, child_count: below.descendants.unsigned_abs() }))
            })
            .await?;
        self.ring();
        Ok(done)
    }

    /// Gives back rows of deleted subtrees and of ended dry runs, at most `limit` objects in one transaction. Whether there is more. Stopped at
    /// any point, the next call goes on: what is left is still recorded.
    pub async fn reclaim(&self, limit: usize) -> Result<bool, DbError> {
        let look = |rows: &ReadRows| Ok(rows.reclaim.first()?.is_none() && dry::left_behind(rows)?.is_none());
        let idle = self.read("look for deleted rows", look).await?;
        if idle {
            return Ok(false);
        }
        let work = move |rows: &mut WriteRows<'_>| Ok(dry::give_back(rows, limit)? || reclaim::some(rows, limit)?);
        self.work("give back deleted rows", work).await
    }
}

/// Frees the connection's name, address and account for another one.
fn deregister(rows: &mut WriteRows<'_>, id: u128, key: &str) -> Result<(), super::Fault> {
    rows.children.forget(id);
    rows.connection_keys.remove(key)?;
    rows.connections.remove(id)?;
    rows.secrets.remove(id)?;
    rows.schedules.remove(id)?;
    rows.hold_rules.remove(id)?;
    connectors::forget(rows, id)?;
    rows.turns.remove(id)?;
    rows.last_syncs.remove(id)?;
    Ok(())
}
