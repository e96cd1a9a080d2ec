//! How long changes are kept: what is older goes, from the beginning of each connection's feed, in small transactions.

use jiff::Timestamp;
use redb::ReadableTable as _;

use super::{Db, DbError, changes, records::micros, tables::Rows};

impl Db {
    /// Drops changes from before a time, at most about `limit` in one transaction. Whether there may be more. Stopped at
    /// any point, the next call goes on: each feed begins where the last one left it.
    pub async fn prune_changes(&self, before: Timestamp, limit: usize) -> Result<bool, DbError> {
        let due = self.read("look for old changes", move |rows| Ok(oldest(rows, micros(before))?)).await?;
        let Some(connection) = due else { return Ok(false) };
        self.write("drop old changes", move |rows| {
            Ok(changes::forget_until(rows, connection, Some(micros(before)), limit.max(1))? > 0)
        })
        .await
    }
}

/// A connection whose feed begins before a time.
fn oldest(rows: &impl Rows, before: i64) -> Result<Option<u128>, super::Fault> {
    for row in rows.connections().iter()? {
        let connection = row?.0.value();
        let first = rows.changes().range((connection, 0)..=(connection, u64::MAX))?.next().transpose()?;
        if let Some((_, row)) = first
            && changes::header(row.value())?.1 < before
        {
            return Ok(Some(connection));
        }
    }
    Ok(None)
}
