//! Deleted subtrees: cut off at once, given back in the background.
//!
//! Cutting removes the one row that leads from the parent to the root, and records the root. Every row is therefore at any
//! instant either reachable from a connection or below a recorded root, and giving back can stop and go on anywhere.

use redb::ReadableTable as _;

use super::{
    changes,
    counters::{self, Counters},
    fault::Fault,
    holds,
    records::ObjectRow,
    tables::WriteRows,
    tree,
};

/// Cuts an object off from its parent. `gone` is what it counted for there.
pub(super) fn unlink(rows: &mut WriteRows<'_>, id: u128, row: &ObjectRow, gone: Counters) -> Result<(), Fault> {
    if let Some(parent) = row.parent {
        rows.children.remove((parent, row.namespace.as_str(), row.name.as_str()))?;
        counters::add(rows, parent, Counters::default().minus(gone))?;
    }
    rows.reclaim.insert(id, ())?;
    Ok(())
}

/// Gives back rows of at most `limit` objects. Whether there is more.
pub(super) fn some(rows: &mut WriteRows<'_>, limit: usize) -> Result<bool, Fault> {
    let mut left = limit.max(1);
    loop {
        let Some(root) = rows.reclaim.first()?.map(|row| row.0.value()) else { return Ok(false) };
        if left == 0 {
            return Ok(true);
        }
        let children = first_children(rows, root, left)?;
        if children.is_empty() {
            if !forget_changes(rows, root, &mut left)? {
                return Ok(true);
            }
            forget(rows, root)?;
            rows.reclaim.remove(root)?;
            left = left.saturating_sub(1);
            continue;
        }
        for (namespace, name, id) in children {
            rows.children.remove((root, namespace.as_str(), name.as_str()))?;
            left = left.saturating_sub(1);
            // One that has children itself becomes a root of its own: nothing is lost when we stop here.
            if first_children(rows, id, 1)?.is_empty() {
                forget(rows, id)?;
            } else {
                rows.reclaim.insert(id, ())?;
            }
        }
    }
}

fn first_children(rows: &WriteRows<'_>, parent: u128, limit: usize) -> Result<Vec<(String, String, u128)>, Fault> {
    rows.children
        .range((parent, "", "")..(parent + 1, "", ""))?
        .take(limit)
        .map(|row| {
            let (key, id) = row?;
            let (_, namespace, name) = key.value();
            Ok((namespace.to_owned(), name.to_owned(), id.value()))
        })
        .collect()
}

/// A deleted connection's change feed goes as well. Whether all of it is gone.
fn forget_changes(rows: &mut WriteRows<'_>, root: u128, left: &mut usize) -> Result<bool, Fault> {
    *left = left.saturating_sub(changes::forget_until(rows, root, None, *left)?);
    Ok(*left > 0)
}

fn forget(rows: &mut WriteRows<'_>, id: u128) -> Result<(), Fault> {
    if let Some(row) = tree::object(rows, id)?
        && let Some(remote_id) = &row.remote_id
    {
        let key = (row.connection, remote_id.as_str());
        // It may have been found again since, as another object.
        let still_ours = rows.remote_ids.get(key)?.is_some_and(|known| known.value() == id);
        if still_ours {
            rows.remote_ids.remove(key)?;
        }
    }
    holds::free(rows, id)?;
    rows.trusted.retain_in((id, "")..(id + 1, ""), |_, _| false)?;
    rows.objects.remove(id)?;
    rows.columns.remove(id)?;
    rows.columns_read.remove(id)?;
    rows.exclusions.remove(id)?;
    rows.overrides.remove(id)?;
    rows.counters.remove(id)?;
    rows.listed.retain_in((id, "")..(id + 1, ""), |_, _| false)?;
    Ok(())
}
