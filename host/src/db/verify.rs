//! Checks the store against its own rules. For tests, and for whoever doubts a file.
//!
//! Reads everything once, and recomputes what is kept twice: the index of children, counters, remote ids, queues, the
//! indexes of the history. A row that cannot be read is a violation like any other, told by its table and key; the check
//! goes on with the rest.

mod connectors;
mod feed;
mod file;
mod holds;
mod jobs;
mod keys;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Debug,
};

use redb::ReadableTable as _;
use serde::de::DeserializeOwned;

pub use file::{FileError, verify_file};

use super::{
    Db, DbError, connectors as installed,
    counters::{self, Counters},
    fault::{Fault, Stop},
    records::{ConnectionRow, ObjectRow, decode},
    tables::ReadRows,
    tree,
};
use crate::model::{
    connection::Sealed,
    id::{ConnectionId, ObjectId},
    object::RemoteStatus,
    path::MAX_LEVEL,
    settings::Overrides,
};

/// A rule that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The table in which it shows.
    pub table: &'static str,
    /// The row, for people; of an object with its path, where that can be told.
    pub key: String,
    /// What is wrong with it.
    pub message: &'static str,
}

impl Db {
    /// All rules that do not hold; none in a healthy store. Whether secrets open, and whether components are whole, is not
    /// asked.
    pub async fn verify(&self) -> Result<Vec<Violation>, DbError> {
        self.verify_with(|_, _| true, |_| true).await
    }

    /// The same, and asks of each connection's secrets whether they open, and of each component, by digest, whether its
    /// file is whole.
    pub async fn verify_with(
        &self,
        opens: impl Fn(ConnectionId, &Sealed) -> bool + Send + 'static,
        is_whole: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<Vec<Violation>, DbError> {
        let (mut found, absent, is_whole) = self
            .read("verify the store", move |rows: &ReadRows| {
                let (found, absent) = check(rows, &Outside { opens: &opens, is_whole: &is_whole })?;
                Ok::<_, Stop<DbError>>((found, absent, is_whole))
            })
            .await?;
        if absent.is_empty() {
            return Ok(found);
        }
        // A version may have been removed, or removed and installed again, since the state that was checked. It is told
        // only what lies in two later states of the store, and whose file was looked for in vain before each of them.
        let absent = self
            .read("look for components again", move |rows: &ReadRows| {
                let mut absent = still_installed(rows, absent)?;
                absent.retain(|absent| !is_whole(&absent.digest));
                Ok::<_, Stop<DbError>>(absent)
            })
            .await?;
        let absent = self
            .read("look for versions again", move |rows: &ReadRows| {
                Ok::<_, Stop<DbError>>(still_installed(rows, absent)?)
            })
            .await?;
        found.extend(absent.into_iter().map(Violation::from));
        Ok(found)
    }
}

/// What lies outside of the store and must fit what is in it.
struct Outside<'a> {
    opens: &'a dyn Fn(ConnectionId, &Sealed) -> bool,
    is_whole: &'a dyn Fn(&str) -> bool,
}

/// A version whose component was not found whole.
struct Absent {
    connector: String,
    version: String,
    digest: String,
}

impl From<Absent> for Violation {
    fn from(Absent { connector, version, .. }: Absent) -> Self {
        let key = format!("{:?}", (connector, version));
        Self { table: "connector_versions", key, message: "its component is gone, or is another one" }
    }
}

/// Those that are installed in another state of the store, too.
fn still_installed(rows: &ReadRows, absent: Vec<Absent>) -> Result<Vec<Absent>, Fault> {
    let mut found = Vec::new();
    for absent in absent {
        let digest = installed::digest_of_version(rows, &absent.connector, &absent.version)?;
        if digest.is_some_and(|digest| digest == absent.digest) {
            found.push(absent);
        }
    }
    Ok(found)
}

/// All rules that do not hold, and apart from them the versions whose components are not whole.
fn check(rows: &ReadRows, outside: &Outside<'_>) -> Result<(Vec<Violation>, Vec<Absent>), Fault> {
    let mut check = Check { rows, outside, objects: HashMap::new(), found: Vec::new(), absent: Vec::new() };
    check.objects()?;
    check.children()?;
    check.counters()?;
    check.belongings()?;
    check.remote_ids()?;
    check.connections()?;
    check.secrets()?;
    check.feed()?;
    check.jobs()?;
    check.work()?;
    check.holds()?;
    check.people()?;
    check.connectors()?;
    Ok((check.found, check.absent))
}

struct Check<'a> {
    rows: &'a ReadRows,
    outside: &'a Outside<'a>,
    objects: HashMap<u128, Known>,
    found: Vec<Violation>,
    absent: Vec<Absent>,
}

/// What is remembered of an object; its whole row is read again where it is needed.
#[derive(Clone, Copy)]
struct Known {
    connection: u128,
    parent: Option<u128>,
    columns_known: bool,
    has_fingerprint: bool,
    is_excluded: bool,
}

impl Check<'_> {
    fn require(&mut self, holds: bool, table: &'static str, key: impl Debug, message: &'static str) {
        if !holds {
            self.found.push(Violation { table, key: format!("{key:?}"), message });
        }
    }

    /// The same of an object, which people know by its path.
    fn require_of(&mut self, holds: bool, table: &'static str, id: u128, message: &'static str) {
        if !holds {
            let path = tree::lineage(self.rows, id).ok().flatten().and_then(|chain| tree::path_of(&chain).ok());
            let path = path.map(|path| format!(" at {path}")).unwrap_or_default();
            self.found.push(Violation { table, key: format!("{}{path}", ObjectId::from_u128(id)), message });
        }
    }

    /// A row, or the violation that it cannot be read.
    fn row<T: DeserializeOwned>(&mut self, table: &'static str, key: impl Debug, bytes: &[u8]) -> Option<T> {
        let row = decode(bytes).ok();
        self.require(row.is_some(), table, key, "the row cannot be read");
        row
    }

    /// Every object is reachable, or lies below a deleted root.
    fn objects(&mut self) -> Result<(), Fault> {
        for row in self.rows.objects.iter()? {
            let (id, row) = row?;
            let id = id.value();
            let Some(row) = self.row::<ObjectRow>("objects", ObjectId::from_u128(id), row.value()) else { continue };
            let (has_fingerprint, is_excluded) = (row.fingerprint.is_some(), row.mark() == RemoteStatus::Excluded);
            let ObjectRow { connection, parent, columns_known, .. } = row;
            self.objects.insert(id, Known { connection, parent, columns_known, has_fingerprint, is_excluded });
            let is_name = tree::ident(&row.name).is_ok() && row.kind <= 2 && row.mark <= 2;
            self.require_of(is_name, "objects", id, "its name, kind or mark cannot be one");
            if let Some(parent) = parent
                && self.rows.reclaim.get(id)?.is_none()
            {
                let linked = tree::child(self.rows, parent, &row.namespace, &row.name)? == Some(id);
                self.require_of(linked, "objects", id, "its parent does not have it as a child");
            }
        }
        let known: Vec<(u128, Known)> = self.objects.iter().map(|(id, known)| (*id, *known)).collect();
        for (id, known) in known {
            self.leads_up(id, known.connection)?;
        }
        Ok(())
    }

    fn leads_up(&mut self, id: u128, connection: u128) -> Result<(), Fault> {
        let mut at = id;
        for _ in 0..MAX_LEVEL {
            if self.rows.reclaim.get(at)?.is_some() {
                return Ok(());
            }
            match self.objects.get(&at).copied() {
                Some(Known { parent: Some(parent), .. }) => at = parent,
                Some(_) => {
                    let is_connection = at == connection && self.rows.connections.get(at)?.is_some();
                    self.require_of(is_connection, "objects", id, "its ancestors do not lead to its connection");
                    return Ok(());
                }
                None => {
                    self.require_of(false, "objects", id, "its ancestors do not lead to its connection");
                    return Ok(());
                }
            }
        }
        self.require_of(false, "objects", id, "it lies too deep, or inside itself");
        Ok(())
    }

    fn children(&mut self) -> Result<(), Fault> {
        for row in self.rows.children.iter()? {
            let (key, id) = row?;
            let (parent, namespace, name) = key.value();
            let object = self.rows.objects.get(id.value())?.map(|row| row.value().to_vec());
            let object = object.and_then(|row| decode::<ObjectRow>(&row).ok());
            let holds =
                object.is_some_and(|row| row.parent == Some(parent) && row.namespace == namespace && row.name == name);
            let has_parent = self.objects.contains_key(&parent);
            let key = (ObjectId::from_u128(parent), namespace, name);
            self.require(holds, "children", key, "the object is not there, or says that it is elsewhere");
            self.require(has_parent, "children", key, "the parent is not there");
        }
        Ok(())
    }

    /// Recomputes counters from the leaves up. Subtrees that are being given back may have any.
    fn counters(&mut self) -> Result<(), Fault> {
        let roots: Vec<u128> = self.objects.iter().filter(|(_, row)| row.parent.is_none()).map(|(id, _)| *id).collect();
        for root in roots {
            if self.rows.reclaim.get(root)?.is_none() {
                self.count(root, 1)?;
            }
        }
        Ok(())
    }

    fn count(&mut self, id: u128, level: usize) -> Result<Counters, Fault> {
        let mut sum = Counters::default();
        // What lies inside itself was found before.
        if level <= MAX_LEVEL {
            for (_, child) in tree::children_of(self.rows, id)? {
                sum = sum.plus(self.count(child, level + 1)?);
            }
        }
        let holds = counters::of(self.rows, id).is_ok_and(|stored| stored == sum);
        self.require_of(holds, "counters", id, "the numbers are not those of what lies below");
        Ok(sum.with_itself(&tree::overrides(self.rows, id).unwrap_or_default()))
    }

    /// Columns, overrides, counters and listings belong to an object.
    fn belongings(&mut self) -> Result<(), Fault> {
        let mut with_columns = HashSet::new();
        for row in self.rows.columns.iter()? {
            let (id, row) = row?;
            let id = id.value();
            with_columns.insert(id);
            let key = ObjectId::from_u128(id);
            self.row::<Vec<crate::model::column::Column>>("columns", key, row.value());
            self.require(self.objects.contains_key(&id), "columns", key, "the object is not there");
        }
        let known: Vec<(u128, bool)> = self.objects.iter().map(|(id, known)| (*id, known.columns_known)).collect();
        for (id, known) in known {
            let holds = with_columns.contains(&id) == known;
            self.require_of(holds, "columns", id, "the object says otherwise about its columns");
        }
        self.left_out()?;
        let commit = self.commit()?;
        for row in self.rows.overrides.iter()? {
            let (id, row) = row?;
            let id = id.value();
            let key = ObjectId::from_u128(id);
            self.require(self.objects.contains_key(&id), "overrides", key, "the object is not there");
            let Some(own) = self.row::<Overrides>("overrides", key, row.value()) else { continue };
            self.require_of(!own.is_empty(), "overrides", id, "nothing is set");
            let sequences = own.is_active.map(|o| o.sequence).into_iter().chain(own.cleared_sequence);
            let is_past = sequences.max().is_none_or(|sequence| u128::from(sequence) <= commit);
            self.require_of(is_past, "overrides", id, "it was set by a commit that is still to come");
        }
        for row in self.rows.counters.iter()? {
            let id = row?.0.value();
            let is_there = self.objects.contains_key(&id);
            self.require(is_there, "counters", ObjectId::from_u128(id), "the object is not there");
        }
        for row in self.rows.listed.iter()? {
            let (key, row) = row?;
            let key = (ObjectId::from_u128(key.value().0), key.value().1);
            let is_there = self.objects.contains_key(&key.0.as_u128());
            self.require(is_there, "listed", key, "the container is not there");
            self.row::<super::records::ListedRow>("listed", key, row.value());
        }
        Ok(())
    }

    /// What the connector says of what it leaves out, and when columns without a fingerprint were read.
    fn left_out(&mut self) -> Result<(), Fault> {
        let explained = self.rows.exclusions.iter()?.map(|row| Ok(row?.0.value())).collect::<Result<_, Fault>>()?;
        let marked: HashSet<u128> = self.objects.iter().filter(|(_, row)| row.is_excluded).map(|(id, _)| *id).collect();
        for id in marked.symmetric_difference(&explained) {
            self.require_of(false, "exclusions", *id, "the object says otherwise about being left out");
        }
        for row in self.rows.columns_read.iter()? {
            let id = row?.0.value();
            let holds = self.objects.get(&id).is_some_and(|row| row.columns_known && !row.has_fingerprint);
            self.require_of(holds, "columns_read", id, "the object is not there, has a fingerprint or no columns");
        }
        Ok(())
    }

    fn commit(&self) -> Result<u128, Fault> {
        Ok(self.rows.meta.get("commit")?.map_or(0, |row| row.value()))
    }

    fn remote_ids(&mut self) -> Result<(), Fault> {
        for row in self.rows.remote_ids.iter()? {
            let (key, id) = row?;
            let (connection, remote_id) = key.value();
            let object = self.rows.objects.get(id.value())?.map(|row| row.value().to_vec());
            let object = object.and_then(|row| decode::<ObjectRow>(&row).ok());
            let holds =
                object.is_some_and(|row| row.connection == connection && row.remote_id.as_deref() == Some(remote_id));
            let key = (ConnectionId::from_u128(connection), remote_id);
            self.require(holds, "remote_ids", key, "the object is not there, or has another id");
        }
        Ok(())
    }

    fn connections(&mut self) -> Result<(), Fault> {
        let mut named = BTreeMap::new();
        for row in self.rows.connection_keys.iter()? {
            let (key, id) = row?;
            named.insert(id.value(), key.value().to_owned());
            let object = tree::object(self.rows, id.value()).ok().flatten();
            let holds = object.is_some_and(|row| row.name == key.value() && row.parent.is_none());
            let message = "the connection's object is not there or named otherwise";
            self.require(holds, "connection_keys", key.value(), message);
        }
        for row in self.rows.connections.iter()? {
            let (id, row) = row?;
            let key = ConnectionId::from_u128(id.value());
            let has_secrets = self.rows.secrets.get(id.value())?.is_some();
            let holds = named.contains_key(&id.value()) && has_secrets && self.objects.contains_key(&id.value());
            self.require(holds, "connections", key, "it lacks its name, its secrets or its object");
            let row = self.row::<ConnectionRow>("connections", key, row.value());
            if let Some(connection) = row.map(|row| row.connection(id.value())) {
                let is_named =
                    connection.is_ok_and(|c| named.get(&id.value()).is_none_or(|key| *key == c.key.as_str()));
                self.require(is_named, "connections", key, "its configuration or its name is not what it must be");
            }
        }
        Ok(())
    }
}
