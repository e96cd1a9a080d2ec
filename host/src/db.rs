//! The store: the only module that knows redb.
//!
//! [`Db`] is a cheap handle. Its functions take and return model types and are whole operations, each one transaction:
//! what is acknowledged is durable, and a crash between two of them leaves a state that both know how to go on from.
//! Every read of the inventory takes what the caller may see.
//!
//! Reads run on the state of one moment, beside each other and beside the one writer ([`writer`]), a thread through which
//! every change goes.
//!
//! Why a kill at any instant is survivable: redb keeps the last committed state until the next one is complete on disk,
//! and no function spreads what belongs together over two transactions. The writer may put several operations into one,
//! which is then kept or lost as a whole, and answers none of them before it is kept. So a crash loses only operations that
//! were not acknowledged, which their callers repeat.

pub mod audit;
pub mod connections;
pub mod connectors;
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
mod dry;
mod facts;
mod fault;
mod groups;
mod migrations;
mod names;
mod queue;
mod reclaim;
mod records;
mod search;
mod tables;
mod tree;
mod turns;
mod view;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{Arc, Weak},
    time::Duration,
};

use redb::{Builder, Database, ReadableDatabase as _, ReadableTable as _, backends::InMemoryBackend};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::model::{
    connection::Actor,
    id::{Incarnation, ObjectId},
    path::ObjectPath,
};
use fault::{Fault, Stop};
use names::Names;
use tables::{ReadRows, WriteRows};
use writer::Writer;

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
    writer: Writer,
    names: Arc<Names>,
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
        Self::start_grouping(database, writer::GROUP)
    }

    /// The same with groups of another length.
    fn start_grouping(database: Database, group: Duration) -> Result<Self, Fault> {
        let incarnation = Incarnation::generate();
        let transaction = database.begin_write()?;
        let connections = {
            let mut rows = WriteRows::open(&transaction)?;
            migrations::migrate(&transaction, &mut rows)?;
            queue::void_claims(&mut rows)?;
            retention::index(&mut rows)?;
            rows.meta.insert("incarnation", incarnation.as_u128())?;
            rows.connections.iter()?.map(|row| Ok(row?.0.value())).collect::<Result<_, Fault>>()?
        };
        transaction.commit()?;
        let names = Arc::new(Names::start().map_err(redb::Error::Io)?);
        names.gather(&database, connections);
        let closed = CancellationToken::new().drop_guard();
        let (writer, queues) = Writer::new(group);
        let shared = Arc::new(Shared { database, incarnation, jobs_changed: Arc::default(), writer, names, closed });
        queues.start(Arc::downgrade(&shared)).map_err(redb::Error::Io)?;
        Ok(Self { shared, by: None })
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
        let work = move || {
            let transaction = shared.database.begin_read().map_err(Fault::from)?;
            let rows = ReadRows::open(&transaction).map_err(Fault::from)?;
            work(&rows)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done.map_err(|stop| stop.into_error(operation)),
            Err(join) => Err(DbError { operation, source: Box::new(join) }.into()),
        }
    }

    /// Runs a function in a write transaction of its own, before all work of jobs: what people wait for. What it returns
    /// without an error is durable when this returns; an error leaves nothing behind.
    async fn write<T, E>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut WriteRows<'_>) -> Result<T, Stop<E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.shared.writer.for_people(work).await.map_err(|stop| stop.into_error(operation))
    }

    /// The same for work of jobs, which shares transactions. The function may be run again after a first time of which
    /// nothing is kept, so it must not change anything but rows.
    async fn work<T, E>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut WriteRows<'_>) -> Result<T, Stop<E>> + Clone + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        self.shared.writer.for_jobs(work).await.map_err(|stop| stop.into_error(operation))
    }
}
