//! A page of the children of one container by name: only what is on the page is read.
//!
//! The children of a container lie by namespace, then by name, so the page is where the first rows after the cursor meet,
//! one run of each namespace.

use super::{Key, Page, Walk};
use crate::db::{fault::Fault, objects::Sort, tables::ReadRows};

/// In more namespaces than these they are not looked for one by one.
const NAMESPACES: usize = 16;

/// Collects a page of the children of a container, if that is possible. Whether it was.
pub(super) fn collect(walk: &mut Walk<'_>, parent: u128) -> Result<bool, Fault> {
    let search = walk.search;
    if search.recursive || search.sort != Sort::Name || super::is_filtered(search) {
        return Ok(false);
    }
    let Some(namespaces) = namespaces(walk.rows, parent)? else { return Ok(false) };
    // Counting is cheap: nothing is read of what is counted.
    let mut total = 0;
    for row in walk.rows.children.range((parent, "", "")..(parent + 1, "", ""))? {
        row?;
        total += 1;
    }
    walk.page.total = Some(total);
    for namespace in namespaces {
        run(walk.rows, walk.page, parent, &namespace, search.descending)?;
    }
    Ok(true)
}

/// The namespaces of a container's children; none where there are too many.
fn namespaces(rows: &ReadRows, parent: u128) -> Result<Option<Vec<String>>, Fault> {
    let mut found: Vec<String> = Vec::new();
    let mut from = String::new();
    while let Some(row) = rows.children.range((parent, from.as_str(), "")..(parent + 1, "", ""))?.next() {
        if found.len() == NAMESPACES {
            return Ok(None);
        }
        let namespace = row?.0.value().1.to_owned();
        // The text that comes next after it.
        from = format!("{namespace}\u{0}");
        found.push(namespace);
    }
    Ok(Some(found))
}

/// Takes what can be on the page from one namespace.
fn run(rows: &ReadRows, page: &mut Page, parent: u128, namespace: &str, is_backward: bool) -> Result<(), Fault> {
    let next_namespace = format!("{namespace}\u{0}");
    let after = match &page.after {
        Some((Key::Text(name), _)) => Some(name.clone()),
        _ => None,
    };
    let (begin, end) = ((parent, namespace, ""), (parent, next_namespace.as_str(), ""));
    let (mut forward, mut backward) = match (&after, is_backward) {
        (Some(name), false) => (Some(rows.children.range((parent, namespace, name.as_str())..end)?), None),
        (None, false) => (Some(rows.children.range(begin..end)?), None),
        (Some(name), true) => (None, Some(rows.children.range(begin..=(parent, namespace, name.as_str()))?.rev())),
        (None, true) => (None, Some(rows.children.range(begin..end)?.rev())),
    };
    // The row at the cursor may come first, and is not taken.
    for _ in 0..=page.room {
        let Some(row) = forward.as_mut().and_then(Iterator::next).or_else(|| backward.as_mut()?.next()) else { break };
        let (key, id) = row?;
        page.take(Key::Text(key.value().2.to_owned()), id.value());
    }
    Ok(())
}
