//! The store: the only module that knows redb.
//!
//! [`Db`] is a cheap handle. Its functions take and return model types and are whole operations, each one transaction:
//! what is acknowledged is durable, and a crash between two of them leaves a state that both know how to go on from.
//! Every read of the inventory takes what the caller may see.
//!
//! Why a kill at any instant is survivable: redb keeps the last committed state until the next one is complete on disk,
//! and no function spreads what belongs together over two transactions. So a crash loses at most the operation that was
//! not acknowledged, which its caller repeats.

pub mod connections;
pub mod explain;
pub mod feed;
pub mod holds;
pub mod jobs;
pub mod news;
pub mod objects;
pub mod preview;
pub mod principals;
pub mod retention;
pub mod schedules;
pub mod settings;
pub mod summary;
pub mod sync;
pub mod verify;

mod changes;
mod counters;
mod facts;
mod fault;
mod groups;
mod migrations;
mod queue;
mod reclaim;
mod records;
mod search;
mod tables;
mod tree;
mod turns;
mod view;

#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{Arc, Weak},
};

use redb::{Builder, Database, ReadableDatabase as _, backends::InMemoryBackend};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::model::{
    connection::Actor,
    id::{Incarnation, ObjectId},
    path::ObjectPath,
};
use fault::{Fault, Stop};
use tables::{ReadRows, WriteRows};

/// Memory for the pages of the file. Small: the operating system caches the file as well.
const CACHE_BYTES: usize = 48 * 1024 * 1024;

/// A handle on the store.
#[derive(Clone)]
pub struct Db {
    shared: Arc<Shared>,
    by: Option<Arc<Actor>>,
}

/// A handle that does not keep the store open.
#[derive(Clone)]
pub struct WeakDb {
    shared: Weak<Shared>,
}

struct Shared {
    database: Database,
    incarnation: Incarnation,
    jobs_changed: Arc<Notify>,
    // The last field: told when the file is closed, not before.
    closed: DropGuard,
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

impl WeakDb {
    /// The store, if it is still open.
    #[must_use]
    pub fn upgrade(&self) -> Option<Db> {
        self.shared.upgrade().map(|shared| Db { shared, by: None })
    }
}

impl Db {
    /// Opens the store in a file, creating and migrating it as needed, and begins a new incarnation: claims that
    /// earlier ones left behind are void, their jobs wait to be claimed again.
    pub fn open(file: &Path) -> Result<Self, DbError> {
        let open = || -> Result<Self, Fault> { Self::start(Builder::new().set_cache_size(CACHE_BYTES).create(file)?) };
        open().map_err(|fault| DbError { operation: "open the store", source: Box::new(fault) })
    }

    /// For those who may outlive the application.
    #[must_use]
    pub fn downgrade(&self) -> WeakDb {
        WeakDb { shared: Arc::downgrade(&self.shared) }
    }

    /// Gives this handle up and waits until the last one is gone and the file is closed.
    pub async fn close(self) {
        let closed = self.shared.closed.token().clone();
        drop(self);
        closed.cancelled().await;
    }

    /// A store that is gone when the last handle is dropped.
    pub fn in_memory() -> Result<Self, DbError> {
        let open = || -> Result<Self, Fault> {
            let backend = InMemoryBackend::new();
            Self::start(Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(backend)?)
        };
        open().map_err(|fault| DbError { operation: "make a store in memory", source: Box::new(fault) })
    }

    /// One transaction makes the tables, migrates, and voids old claims: after a crash it is simply done again.
    fn start(database: Database) -> Result<Self, Fault> {
        let incarnation = Incarnation::generate();
        let transaction = database.begin_write()?;
        {
            let mut rows = WriteRows::open(&transaction)?;
            migrations::migrate(&transaction, &mut rows)?;
            queue::void_claims(&mut rows)?;
            retention::index(&mut rows)?;
            rows.meta.insert("incarnation", incarnation.as_u128())?;
        }
        transaction.commit()?;
        let closed = CancellationToken::new().drop_guard();
        let shared = Shared { database, incarnation, jobs_changed: Arc::default(), closed };
        Ok(Self { shared: Arc::new(shared), by: None })
    }

    /// The same store in the hands of a person: what is changed through this handle stands in the history as theirs.
    #[must_use]
    pub fn by(&self, actor: Actor) -> Self {
        Self { shared: Arc::clone(&self.shared), by: Some(Arc::new(actor)) }
    }

    /// This run of the host.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.shared.incarnation
    }

    /// Rings when a job may have become due or was cancelled. Carries no data: look into the store.
    #[must_use]
    pub fn jobs_changed(&self) -> Arc<Notify> {
        Arc::clone(&self.shared.jobs_changed)
    }

    fn ring(&self) {
        self.shared.jobs_changed.notify_waiters();
    }

    /// Runs a function on the state of one moment, away from the async threads.
    async fn read<T, E>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&ReadRows) -> Result<T, Stop<E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        blocking(operation, move || {
            let transaction = shared.database.begin_read().map_err(Fault::from)?;
            let rows = ReadRows::open(&transaction).map_err(Fault::from)?;
            work(&rows)
        })
        .await
    }

    /// Runs a function in a write transaction, away from the async threads. What it returns without an error is durable
    /// when this returns; an error leaves nothing behind.
    async fn write<T, E>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut WriteRows<'_>) -> Result<T, Stop<E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        blocking(operation, move || {
            let transaction = shared.database.begin_write().map_err(Fault::from)?;
            let done = {
                let mut rows = WriteRows::open(&transaction).map_err(Fault::from)?;
                work(&mut rows)?
            };
            transaction.commit().map_err(Fault::from)?;
            Ok(done)
        })
        .await
    }
}

async fn blocking<T, E>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T, Stop<E>> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<DbError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|stop| stop.into_error(operation)),
        // A panic in a transaction drops it: nothing of it is kept.
        Err(join) => Err(DbError { operation, source: Box::new(join) }.into()),
    }
}
