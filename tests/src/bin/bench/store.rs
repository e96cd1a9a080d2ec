//! What lies in a host's store after a sync, read while no host has it open.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use redb::{
    Database, Key, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata as _, TableDefinition,
    TableHandle as _, Value,
};
use serde::{Deserialize, Serialize};

/// Rows of an object: its own, its columns, its place, its remote id.
pub(crate) const OBJECTS: TableDefinition<'static, u128, &[u8]> = TableDefinition::new("objects/1");
pub(crate) const COLUMNS: TableDefinition<'static, u128, &[u8]> = TableDefinition::new("columns/1");
pub(crate) const CHILDREN: TableDefinition<'static, (u128, &str, &str), u128> = TableDefinition::new("children/1");
pub(crate) const REMOTE_IDS: TableDefinition<'static, (u128, &str), u128> = TableDefinition::new("remote_ids/1");
const CHANGES: TableDefinition<'static, (u128, u64), &[u8]> = TableDefinition::new("changes/1");
const DETAILS: TableDefinition<'static, (u128, u64), &[u8]> = TableDefinition::new("change_details/1");
const OBJECT_CHANGES: TableDefinition<'static, (u128, u64), ()> = TableDefinition::new("object_changes/1");
const META: TableDefinition<'static, &str, u128> = TableDefinition::new("meta/1");

/// Sums over the rows of the tables above.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sizes {
    pub(crate) objects: u64,
    pub(crate) object_bytes: u64,
    pub(crate) column_rows: u64,
    pub(crate) column_bytes: u64,
    /// Of the history, keys of its index by object included.
    #[serde(default)]
    pub(crate) change_bytes: u64,
}

/// The inventory's rows as digests, with sizes.
pub(crate) struct Snapshot {
    rows: BTreeMap<(&'static str, u64), u64>,
    pub(crate) sizes: Sizes,
    /// Commits that changed the inventory.
    pub(crate) commits: u64,
}

/// The store of a host that was started in a directory.
pub(crate) fn file(dir: &Path) -> PathBuf {
    dir.join("data/wharfinger.redb")
}

/// The room that a store takes.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Room {
    pub(crate) file_bytes: u64,
    /// Of keys and values.
    pub(crate) stored_bytes: u64,
    /// Of pages that are in use.
    pub(crate) used_bytes: u64,
    /// Keys, values and what their pages take, of the tables that hold anything, the largest first.
    pub(crate) tables: Vec<TableRoom>,
}

/// The room that a table takes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TableRoom {
    pub(crate) name: String,
    pub(crate) rows: u64,
    pub(crate) stored_bytes: u64,
    pub(crate) page_bytes: u64,
}

impl Room {
    /// Measures a store.
    pub(crate) fn of(file: &Path) -> Result<Self> {
        let file_bytes = std::fs::metadata(file)?.len();
        let database = Database::open(file).with_context(|| format!("open {}", file.display()))?;
        let writing = database.begin_write()?;
        let all = writing.stats()?;
        writing.abort()?;
        let transaction = database.begin_read()?;
        let mut tables = Vec::new();
        for handle in transaction.list_tables()? {
            let name = handle.name().to_owned();
            let table = transaction.open_untyped_table(handle)?;
            let (of, rows) = (table.stats()?, table.len()?);
            if rows > 0 {
                let page_bytes = of.stored_bytes() + of.metadata_bytes() + of.fragmented_bytes();
                tables.push(TableRoom { name, rows, stored_bytes: of.stored_bytes(), page_bytes });
            }
        }
        tables.sort_by_key(|table| std::cmp::Reverse(table.page_bytes));
        let used_bytes = all.allocated_pages() * all.page_size() as u64;
        Ok(Self { file_bytes, stored_bytes: all.stored_bytes(), used_bytes, tables })
    }
}

impl Snapshot {
    /// Reads a store.
    pub(crate) fn of(file: &Path) -> Result<Self> {
        let database = Database::open(file).with_context(|| format!("open {}", file.display()))?;
        let transaction = database.begin_read()?;
        let mut rows = BTreeMap::new();
        let (objects, object_bytes) = digest(&transaction, OBJECTS, "objects", &mut rows)?;
        let (column_rows, column_bytes) = digest(&transaction, COLUMNS, "columns", &mut rows)?;
        digest(&transaction, CHILDREN, "children", &mut rows)?;
        digest(&transaction, REMOTE_IDS, "remote_ids", &mut rows)?;
        let (_, changes) = digest(&transaction, CHANGES, "changes", &mut rows)?;
        let (_, details) = digest(&transaction, DETAILS, "change_details", &mut rows)?;
        let (indexed, _) = digest(&transaction, OBJECT_CHANGES, "object_changes", &mut rows)?;
        let change_bytes = changes + details + indexed * 24;
        let commits = transaction.open_table(META)?.get("commit")?.map_or(1, |row| row.value());
        let sizes = Sizes { objects, object_bytes, column_rows, column_bytes, change_bytes };
        Ok(Self { rows, sizes, commits: u64::try_from(commits)?.max(1) })
    }

    /// Rows that are new, gone or other than in an earlier snapshot.
    pub(crate) fn rows_unlike(&self, before: &Self) -> u64 {
        let changed = self.rows.iter().filter(|(key, row)| before.rows.get(key) != Some(row)).count();
        let gone = before.rows.keys().filter(|key| !self.rows.contains_key(key)).count();
        (changed + gone) as u64
    }
}

/// Adds a table's rows; gives their number and the bytes of their values.
fn digest<K: Key + 'static, V: Value + 'static>(
    transaction: &ReadTransaction,
    table: TableDefinition<'_, K, V>,
    name: &'static str,
    rows: &mut BTreeMap<(&'static str, u64), u64>,
) -> Result<(u64, u64)> {
    let (mut count, mut bytes) = (0, 0);
    for row in transaction.open_table(table).with_context(|| format!("open the table {name}"))?.iter()? {
        let (key, value) = row?;
        let (key, value) = (key.value(), value.value());
        let (key, value) = (K::as_bytes(&key), V::as_bytes(&value));
        count += 1;
        bytes += value.as_ref().len() as u64;
        rows.insert((name, hash(key.as_ref())), hash(value.as_ref()));
    }
    Ok((count, bytes))
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
