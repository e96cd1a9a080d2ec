//! The store: the only module that knows redb.
//!
//! [`Db`] is a cheap handle. Its functions take and return model types and are whole operations, each one transaction:
//! what is acknowledged is durable, and a crash between two of them leaves a state that both know how to go on from.
//! Every read of the inventory takes what the caller may see.

pub mod connections;
pub mod jobs;
pub mod objects;
pub mod principals;
pub mod settings;
pub mod sync;

use std::{path::Path, sync::Arc};

use tokio::sync::Notify;

use crate::model::{
    id::{Incarnation, ObjectId},
    path::ObjectPath,
};

/// A handle on the store.
#[derive(Clone)]
pub struct Db {
    _todo: Arc<()>,
}

/// The store failed. Its text is for the log; people are told that the store failed and the request's id.
#[derive(Debug, thiserror::Error)]
#[error("{operation}")]
pub struct DbError {
    /// What was being done.
    pub operation: &'static str,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Names one object of the inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectRef {
    /// By id.
    Id(ObjectId),
    /// By path; the namespace is that of the last segment, containers on the way have the default one.
    Path(ObjectPath, String),
}

impl Db {
    /// Opens the store in a file, creating and migrating it as needed, and begins a new incarnation: claims that
    /// earlier ones left behind are void, their jobs wait to be claimed again.
    pub fn open(_file: &Path) -> Result<Self, DbError> {
        unimplemented!()
    }

    /// A store that is gone when the last handle is dropped.
    pub fn in_memory() -> Result<Self, DbError> {
        unimplemented!()
    }

    /// This run of the host.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        unimplemented!()
    }

    /// Rings when a job may have become due or was cancelled. Carries no data: look into the store.
    #[must_use]
    pub fn jobs_changed(&self) -> Arc<Notify> {
        unimplemented!()
    }
}
