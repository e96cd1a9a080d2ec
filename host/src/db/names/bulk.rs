//! Gathering the names of a connection from the store.

use redb::{ReadTransaction, ReadableTable as _};

use super::{
    super::{
        fault::Fault,
        tables::{ReadRows, Rows as _},
    },
    Part,
};

/// The names of all objects of a connection, sorted. None where it is gone.
pub(super) fn gather(transaction: &ReadTransaction, connection: u128) -> Result<Option<Part>, Fault> {
    let rows = ReadRows::open(transaction)?;
    if rows.connections.get(connection)?.is_none() {
        return Ok(None);
    }
    let mut part = Part::default();
    let mut containers = vec![connection];
    while let Some(container) = containers.pop() {
        for row in rows.children().range((container, "", "")..(container + 1, "", ""))? {
            let (key, id) = row?;
            if !part.has_room() {
                return Err(Fault::Broken("there are more names than fit into memory"));
            }
            part.push(container, id.value(), key.value().2);
            // Only what has children is counted.
            if rows.counters.get(id.value())?.is_some() {
                containers.push(id.value());
            }
        }
    }
    Ok(Some(part.sorted()))
}
