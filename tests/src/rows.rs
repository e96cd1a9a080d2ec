//! The rows of a store's file, read without the host's own code: what a sync has written, to the byte.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

/// Number of rows and digest of all keys and values, by table. Only the tables of the inventory; a host must not have
/// the file open.
pub fn of_inventory(file: &Path) -> anyhow::Result<BTreeMap<String, (u64, u64)>> {
    let database = Database::open(file)?;
    let transaction = database.begin_read()?;
    let mut rows = BTreeMap::new();
    macro_rules! table {
        ($name:literal, $key:ty, $value:ty) => {{
            let table = transaction.open_table(TableDefinition::<$key, $value>::new($name))?;
            let (mut count, mut hasher) = (0, DefaultHasher::new());
            for row in table.iter()? {
                let (key, value) = row?;
                (key.value(), value.value()).hash(&mut hasher);
                count += 1;
            }
            rows.insert($name.to_owned(), (count, hasher.finish()));
        }};
    }
    table!("objects/1", u128, &[u8]);
    table!("children/1", (u128, &str, &str), u128);
    table!("columns/1", u128, &[u8]);
    table!("overrides/1", u128, &[u8]);
    table!("counters/1", u128, (u64, u64, u64, u64));
    table!("remote_ids/1", (u128, &str), u128);
    table!("changes/1", (u128, u64), &[u8]);
    table!("change_details/1", (u128, u64), &[u8]);
    table!("object_changes/1", (u128, u64), ());
    table!("job_changes/1", (u128, u64), u128);
    Ok(rows)
}
