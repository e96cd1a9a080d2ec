//! What other syncs of a connection have marked lately: it counts where only parts are synced (`model/hold.rs`).
//!
//! The history knows it. Read are only the commits of syncs that marked something, found by when they ended.

use std::collections::HashMap;

use redb::ReadableTable as _;

use super::super::{
    fault::Fault,
    queue,
    records::{ChangesRow, JobRow, decode},
    tables::Rows,
};
use crate::model::diff::What;

/// What ended longer before a sync began does not count.
const A_DAY: i64 = 24 * 3600 * 1_000_000;

/// Objects that syncs have marked as missing and have not seen since, each with the object of the sync that did. Nothing
/// where the sync in hand is one of the whole connection: then no container lies above it.
pub(super) fn marked(rows: &impl Rows, job: &JobRow) -> Result<HashMap<u128, u128>, Fault> {
    if job.object == job.connection {
        return Ok(HashMap::new());
    }
    let from = job.started_at.unwrap_or(i64::MAX).saturating_sub(A_DAY);
    let mut syncs = queue::active_of(rows, job.connection)?;
    syncs.extend(queue::waiting(rows)?);
    for row in rows.ended().range((from, 0)..)? {
        syncs.push(row?.0.value().1);
    }
    // With the commit that last said so: what came back and is missing again is so by whoever said it last.
    let mut last: HashMap<u128, (u64, Option<u128>)> = HashMap::new();
    for id in syncs {
        let Some(sync) = queue::job(rows, id)?.filter(|sync| sync.connection == job.connection) else { continue };
        if sync.counts.missing.is_empty() && sync.counts.returned.is_empty() {
            continue;
        }
        for row in rows.job_changes().range((id, 0)..=(id, u64::MAX))? {
            let sequence = row?.0.value().1;
            let Some(row) = rows.changes().get((job.connection, sequence))? else { continue };
            for change in decode::<ChangesRow>(row.value())?.changes {
                let by = match change.what {
                    What::Missing => Some(sync.object),
                    What::Returned => None,
                    _ => continue,
                };
                let known = last.entry(change.object.as_u128()).or_insert((sequence, by));
                if known.0 <= sequence {
                    *known = (sequence, by);
                }
            }
        }
    }
    Ok(last.into_iter().filter_map(|(object, (_, by))| Some((object, by?))).collect())
}
