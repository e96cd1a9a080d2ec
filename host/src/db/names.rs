//! Finding names by a part of them: in memory, beside the store.
//!
//! For each connection the names of its objects lie behind one another, case-folded, and are scanned. A name that is gone
//! may stay here for a while, but none may be lacking: the writer adds those of a commit before it makes it, and a reader
//! takes the names after its state of the store. What is found is looked up in the store, which alone says what there is,
//! unless nothing about it has changed since the bulk was made.
//!
//! The bulk of the names is sorted, and made from the store in the background: at the start, and whenever much has come or
//! gone since. What came since lies behind it, unsorted. Until the bulk is made for the first time, searches walk.

mod bulk;
mod part;

use std::{
    collections::HashMap,
    io,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
};

use redb::{AccessGuard, Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, StorageError, Table};

use super::{
    fault::Fault,
    tables::{ChildKey, WriteRows},
};
pub(super) use part::{Needle, Part};

/// Names in one part of what is not sorted yet.
const PART: usize = 1024;

/// How many names may have come or gone before the bulk is made anew, besides an eighth of what it has.
const SLACK: usize = 16 * 1024;

/// The table of children, which notes the names that come into it.
pub(super) struct Children<'t> {
    table: Table<'t, ChildKey, u128>,
    noted: Vec<Named>,
    /// Objects that are not where they were.
    unsettled: Vec<u128>,
    forgotten: Vec<u128>,
}

/// A name that came into a container.
struct Named {
    container: u128,
    id: u128,
    name: String,
}

impl<'t> Deref for Children<'t> {
    type Target = Table<'t, ChildKey, u128>;

    fn deref(&self) -> &Self::Target {
        &self.table
    }
}

impl<'t> Children<'t> {
    pub(super) fn new(table: Table<'t, ChildKey, u128>) -> Self {
        Self { table, noted: Vec::new(), unsettled: Vec::new(), forgotten: Vec::new() }
    }

    /// Puts a child where it is found, and its name where it is searched.
    pub(super) fn insert(
        &mut self,
        key: (u128, &str, &str),
        id: u128,
    ) -> Result<Option<AccessGuard<'_, u128>>, StorageError> {
        self.noted.push(Named { container: key.0, id, name: key.2.to_owned() });
        let before = self.table.insert(key, id)?;
        self.unsettled.extend(before.as_ref().map(AccessGuard::value));
        Ok(before)
    }

    /// Takes a child away. Its name stays where it is searched, and is found to be gone.
    pub(super) fn remove(&mut self, key: (u128, &str, &str)) -> Result<Option<AccessGuard<'_, u128>>, StorageError> {
        let before = self.table.remove(key)?;
        self.unsettled.extend(before.as_ref().map(AccessGuard::value));
        Ok(before)
    }

    /// A connection is deregistered: no name of it is looked for any more.
    pub(super) fn forget(&mut self, connection: u128) {
        self.forgotten.push(connection);
    }
}

/// What a transaction has named, by connection, and the connections that it took out.
pub(super) struct Noted {
    names: Vec<(u128, Named)>,
    unsettled: Vec<(u128, u128)>,
    forgotten: Vec<u128>,
}

/// Takes what a transaction has named so far.
pub(super) fn noted(rows: &mut WriteRows<'_>) -> Result<Noted, Fault> {
    let mut names = Vec::with_capacity(rows.children.noted.len());
    for named in std::mem::take(&mut rows.children.noted) {
        if let Some(connection) = connection_of(rows, named.id)? {
            names.push((connection, named));
        }
    }
    let mut unsettled = Vec::new();
    for id in std::mem::take(&mut rows.children.unsettled) {
        // What is given back was cut off before, and nothing that is cut off is found.
        unsettled.extend(connection_of(rows, id)?.map(|connection| (connection, id)));
    }
    Ok(Noted { names, unsettled, forgotten: std::mem::take(&mut rows.children.forgotten) })
}

fn connection_of(rows: &WriteRows<'_>, id: u128) -> Result<Option<u128>, Fault> {
    let Some(row) = rows.objects.get(id)? else { return Ok(None) };
    // It is what the row begins with.
    let head = postcard::take_from_bytes::<u128>(row.value());
    head.map(|(connection, _)| Some(connection)).map_err(|source| Fault::Row { action: "decode", source })
}

/// The names of one connection at one moment.
pub(super) struct Snapshot {
    /// By name, then id.
    pub(super) bulk: Arc<Part>,
    /// What came since.
    pub(super) rest: Vec<Arc<Part>>,
    /// Objects of the bulk that may not be where they were.
    pub(super) unsettled: Arc<HashMap<u128, u64>>,
}

/// The names of all connections.
pub(super) struct Names {
    indexes: Arc<Indexes>,
    builds: mpsc::Sender<Build>,
}

#[derive(Default)]
struct Indexes(Mutex<HashMap<u128, Index>>);

#[derive(Default)]
struct Index {
    bulk: Option<Arc<Part>>,
    /// Full parts, each with the number of its last name.
    full: Vec<(u64, Arc<Part>)>,
    open: Part,
    /// Objects that are not where they were, each with the number of when that was.
    unsettled: Arc<HashMap<u128, u64>>,
    /// Changes that there ever were, and how many of them when the last commit was made.
    added: u64,
    settled: u64,
    /// Names that were found to be gone.
    gone: usize,
    is_building: bool,
}

/// A bulk that is to be made.
struct Build {
    connection: u128,
    /// The names up to this number are in the state that it is made from.
    settled: u64,
    transaction: ReadTransaction,
}

impl Index {
    fn add(&mut self, named: Named) {
        self.open.push(named.container, named.id, &named.name);
        self.added += 1;
        if self.open.len() == PART {
            self.full.push((self.added, Arc::new(std::mem::take(&mut self.open))));
        }
    }

    fn unsettle(&mut self, id: u128) {
        self.added += 1;
        Arc::make_mut(&mut self.unsettled).insert(id, self.added);
    }

    fn is_due(&self) -> bool {
        let rest = self.full.len() * PART + self.open.len();
        let has_changed = |bulk: &Arc<Part>| rest.max(self.gone).max(self.unsettled.len()) > SLACK + bulk.len() / 8;
        !self.is_building && self.bulk.as_ref().is_none_or(has_changed)
    }

    fn replace(&mut self, bulk: Part, settled: u64) {
        self.bulk = Some(Arc::new(bulk));
        self.full.retain(|(last, _)| *last > settled);
        Arc::make_mut(&mut self.unsettled).retain(|_, number| *number > settled);
        if self.added <= settled {
            self.open = Part::default();
        }
        self.gone = 0;
    }
}

impl Indexes {
    fn lock(&self) -> MutexGuard<'_, HashMap<u128, Index>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn built(&self, connection: u128, settled: u64, bulk: Result<Option<Part>, Fault>) {
        let mut indexes = self.lock();
        match bulk {
            Ok(None) => {
                indexes.remove(&connection);
            }
            Ok(Some(bulk)) => {
                if let Some(index) = indexes.get_mut(&connection) {
                    index.replace(bulk, settled);
                    index.is_building = false;
                }
            }
            Err(fault) => {
                tracing::debug!(error = %fault, "names were not gathered; searches walk meanwhile");
                if let Some(index) = indexes.get_mut(&connection) {
                    index.is_building = false;
                }
            }
        }
    }
}

impl Names {
    /// No names yet, and a thread that gathers them. It keeps no store open, and ends when this is dropped.
    pub(super) fn start() -> io::Result<Self> {
        let (builds, asked) = mpsc::channel::<Build>();
        let indexes = Arc::<Indexes>::default();
        let shared = Arc::clone(&indexes);
        thread::Builder::new().name("store-names".into()).spawn(move || {
            for Build { connection, settled, transaction } in asked {
                let bulk = bulk::gather(&transaction, connection);
                drop(transaction);
                shared.built(connection, settled, bulk);
            }
        })?;
        Ok(Self { indexes, builds })
    }

    /// Begins to gather the names of connections that are in the store.
    pub(super) fn gather(&self, database: &Database, connections: Vec<u128>) {
        self.indexes.lock().extend(connections.into_iter().map(|id| (id, Index::default())));
        self.settle(database);
    }

    /// Adds names that a commit is about to make. Gives the connections that are to be forgotten after it.
    pub(super) fn add(&self, noted: Noted) -> Vec<u128> {
        let mut indexes = self.indexes.lock();
        for (connection, named) in noted.names {
            indexes.entry(connection).or_default().add(named);
        }
        for (connection, id) in noted.unsettled {
            // Of a connection that is gone only what is given back moves, and nobody looks for its names.
            if let Some(index) = indexes.get_mut(&connection) {
                index.unsettle(id);
            }
        }
        noted.forgotten
    }

    /// Drops the names of connections that are gone.
    pub(super) fn forget(&self, connections: &[u128]) {
        self.indexes.lock().retain(|id, _| !connections.contains(id));
    }

    /// After a commit: what was added is in the store. Where much has changed, the bulk is made anew.
    pub(super) fn settle(&self, database: &Database) {
        let mut indexes = self.indexes.lock();
        for (&connection, index) in indexes.iter_mut() {
            index.settled = index.added;
            if index.is_due()
                && let Ok(transaction) = database.begin_read()
            {
                index.is_building = self.builds.send(Build { connection, settled: index.settled, transaction }).is_ok();
            }
        }
    }

    /// The names of a connection, if they are gathered. To be taken after the state of the store that is searched.
    pub(super) fn of(&self, connection: u128) -> Option<Snapshot> {
        let indexes = self.indexes.lock();
        let index = indexes.get(&connection)?;
        let mut rest: Vec<Arc<Part>> = index.full.iter().map(|(_, part)| Arc::clone(part)).collect();
        rest.push(Arc::new(index.open.clone()));
        let unsettled = Arc::clone(&index.unsettled);
        Some(Snapshot { bulk: Arc::clone(index.bulk.as_ref()?), rest, unsettled })
    }

    /// Notes that a search met names that are gone. Many of them make the bulk due with the next commit.
    pub(super) fn met_gone(&self, connection: u128, gone: usize) {
        if gone > 0
            && let Some(index) = self.indexes.lock().get_mut(&connection)
        {
            index.gone += gone;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_is_gone_gets_no_names_when_its_rows_are_given_back() {
        let database =
            Database::builder().create_with_backend(redb::backends::InMemoryBackend::new()).expect("database");
        let transaction = database.begin_write().expect("write");
        drop(WriteRows::open(&transaction).expect("tables"));
        transaction.commit().expect("commit");
        let names = Names::start().expect("thread");
        let named = Named { container: 1, id: 2, name: "a".into() };
        let forgotten = names.add(Noted { names: vec![(1, named)], unsettled: Vec::new(), forgotten: vec![1] });
        names.forget(&forgotten);
        names.add(Noted { names: Vec::new(), unsettled: vec![(1, 2)], forgotten: Vec::new() });
        names.settle(&database);
        assert!(names.indexes.lock().is_empty(), "nothing is gathered of it");
    }
}
