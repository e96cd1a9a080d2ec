//! Layouts of the store, numbered. A migration takes a store from one number to the next, in the same transaction that
//! records the new number: a crash in between leaves the old layout, and running it twice is impossible.

mod fourth;
mod second;

use redb::{ReadTransaction, ReadableTable as _, TableDefinition, WriteTransaction};

use super::{fault::Fault, tables::WriteRows};

/// The layout that this program reads and writes.
pub(super) const CURRENT: u128 = 4;

/// The table that has the number, in every layout.
const META: TableDefinition<'static, &'static str, u128> = TableDefinition::new("meta/1");

/// The layout of a store, whichever it is.
pub(super) fn found(transaction: &ReadTransaction) -> Result<u128, Fault> {
    Ok(transaction.open_table(META)?.get("schema")?.map_or(0, |row| row.value()))
}

/// One step from a layout to the next. Tables of the layout before are opened by it alone; `rows` are the present ones.
type Migration = fn(&WriteTransaction, &mut WriteRows<'_>) -> Result<(), Fault>;

/// The migration at index n makes layout n + 1 out of layout n. Layout 1 is made by opening its tables. Layout 3 has no
/// other rows than layout 2, and tables that an earlier program must not overlook: it would carry out a dry run as a sync,
/// and mark what is held.
const MIGRATIONS: [Migration; 4] = [|_, _| Ok(()), second::migrate, |_, _| Ok(()), fourth::migrate];

/// Brings a store to the current layout.
pub(super) fn migrate(transaction: &WriteTransaction, rows: &mut WriteRows<'_>) -> Result<(), Fault> {
    let found = rows.meta.get("schema")?.map_or(0, |row| row.value());
    if found > CURRENT {
        return Err(Fault::Newer(found));
    }
    let done = usize::try_from(found).unwrap_or(MIGRATIONS.len());
    for (number, migration) in (1_u128..).zip(MIGRATIONS).skip(done) {
        tracing::info!(layout = number, "the store is brought to a new layout");
        migration(transaction, rows)?;
        rows.meta.insert("schema", number)?;
    }
    Ok(())
}

/// The highest layout, for the check that a migration leads to it.
#[cfg(test)]
const fn layouts() -> (u128, usize) {
    (CURRENT, MIGRATIONS.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_schema(found: Option<u128>) -> Result<Option<u128>, Fault> {
        let database =
            redb::Database::builder().create_with_backend(redb::backends::InMemoryBackend::new()).expect("database");
        let transaction = database.begin_write().expect("write");
        let mut rows = WriteRows::open(&transaction).expect("tables");
        if let Some(found) = found {
            rows.meta.insert("schema", found).expect("schema");
        }
        migrate(&transaction, &mut rows)?;
        Ok(rows.meta.get("schema").expect("schema").map(|row| row.value()))
    }

    #[test]
    fn every_layout_leads_to_the_current_one() {
        let (current, count) = layouts();
        assert_eq!(usize::try_from(current).expect("number"), count);
        for found in [None, Some(0), Some(2), Some(3), Some(current)] {
            assert_eq!(with_schema(found).expect("migrate"), Some(current), "{found:?}");
        }
    }

    #[test]
    fn a_store_of_a_newer_program_is_left_alone() {
        assert!(matches!(with_schema(Some(CURRENT + 1)), Err(Fault::Newer(_))));
    }
}
