//! Reading the inventory, and taking things out of it.

use jiff::Timestamp;

use super::{Db, DbError, ObjectRef};
use crate::model::{
    column::Column,
    object::{ObjectView, RemoteStatus},
    path::ObjectPath,
    sight::Sight,
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
    pub async fn object(&self, _sight: &Sight, _object: &ObjectRef) -> Result<Option<ObjectView>, DbError> {
        unimplemented!()
    }

    /// The columns of an object as they were last delivered; none where the object is not seen or has none known.
    pub async fn columns(&self, _sight: &Sight, _object: &ObjectRef) -> Result<Option<Vec<Column>>, DbError> {
        unimplemented!()
    }

    /// Children or descendants of an object, or the connections.
    pub async fn search(&self, _sight: &Sight, _search: Search) -> Result<Hits, SearchError> {
        unimplemented!()
    }

    /// Takes an object and everything below it out of the inventory: at once for every reader. The rows are given back
    /// by [`Db::reclaim`]. A connection's secrets are gone with the same transaction, its jobs cancelled.
    /// None where the caller does not wholly see it.
    pub async fn delete_object(
        &self,
        _sight: &Sight,
        _object: &ObjectRef,
        _now: Timestamp,
    ) -> Result<Option<Deleted>, DbError> {
        unimplemented!()
    }

    /// Gives back rows of deleted subtrees, at most `limit` objects in one transaction. Whether there is more.
    pub async fn reclaim(&self, _limit: usize) -> Result<bool, DbError> {
        unimplemented!()
    }
}
