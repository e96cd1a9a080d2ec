//! Walking the tree of objects: from an object up to its connection, and from a path down to an object.
//!
//! An object exists for readers only while it is reachable: a deleted subtree is cut off at its root by one row, and
//! whatever still lies below is found by nobody (its rows are given back later). So every way to an object by id goes
//! through [`lineage`].

use redb::ReadableTable;

use super::{
    ObjectRef,
    fault::Fault,
    records::{ObjectRow, decode},
    tables::Rows,
};
use crate::model::{
    filter::{Exclusion, Filter},
    name::Ident,
    object::RemoteStatus,
    path::{MAX_LEVEL, ObjectPath, RemotePath},
    settings::{Inherited, Overrides},
};

/// What objects are read from: the tables, or what a sync makes of them.
pub(super) trait Tree {
    /// What `read` makes of an object's row, whether the object can be reached or not.
    fn object_as<T>(&self, id: u128, read: impl FnOnce(&[u8]) -> Result<T, Fault>) -> Result<Option<T>, Fault>;
    /// What is set on an object.
    fn overrides_of(&self, id: u128) -> Result<Overrides, Fault>;
    /// The child of this name.
    fn child_of(&self, parent: u128, namespace: &str, name: &str) -> Result<Option<u128>, Fault>;
    /// Whether a deleted subtree is cut off here.
    fn is_cut_off(&self, id: u128) -> Result<bool, Fault>;
}

impl<R: Rows> Tree for R {
    fn object_as<T>(&self, id: u128, read: impl FnOnce(&[u8]) -> Result<T, Fault>) -> Result<Option<T>, Fault> {
        self.objects().get(id)?.map(|row| read(row.value())).transpose()
    }

    fn overrides_of(&self, id: u128) -> Result<Overrides, Fault> {
        Ok(self.overrides().get(id)?.map(|row| decode(row.value())).transpose()?.unwrap_or_default())
    }

    fn child_of(&self, parent: u128, namespace: &str, name: &str) -> Result<Option<u128>, Fault> {
        Ok(self.children().get((parent, namespace, name))?.map(|row| row.value()))
    }

    fn is_cut_off(&self, id: u128) -> Result<bool, Fault> {
        Ok(self.reclaim().get(id)?.is_some())
    }
}

/// A stored object with its id.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) id: u128,
    pub(super) row: ObjectRow,
}

/// An object, whether it can be reached or not.
pub(super) fn object(tree: &impl Tree, id: u128) -> Result<Option<ObjectRow>, Fault> {
    tree.object_as(id, decode)
}

/// What is set on an object.
pub(super) fn overrides(tree: &impl Tree, id: u128) -> Result<Overrides, Fault> {
    tree.overrides_of(id)
}

/// The objects from the connection's down to this one; none where it does not exist for readers.
pub(super) fn lineage(tree: &impl Tree, id: u128) -> Result<Option<Vec<Node>>, Fault> {
    let mut chain = Vec::new();
    let mut next = Some(id);
    while let Some(id) = next {
        if chain.len() == MAX_LEVEL || tree.is_cut_off(id)? {
            return Ok(None);
        }
        let Some(row) = object(tree, id)? else { return Ok(None) };
        next = row.parent;
        chain.push(Node { id, row });
    }
    chain.reverse();
    Ok(Some(chain))
}

/// The object that is named, with its lineage.
pub(super) fn find(rows: &impl Rows, object: &ObjectRef) -> Result<Option<Vec<Node>>, Fault> {
    match object {
        ObjectRef::Id(id) => lineage(rows, id.as_u128()),
        ObjectRef::Path(path, namespace) => {
            let Some(root) = connection_by_key(rows, path.connection().as_str())? else { return Ok(None) };
            match descend(rows, root, &path.segments()[1..], namespace)? {
                Some(id) => lineage(rows, id),
                None => Ok(None),
            }
        }
    }
}

/// The connection with this display name.
pub(super) fn connection_by_key(rows: &impl Rows, key: &str) -> Result<Option<u128>, Fault> {
    Ok(rows.connection_keys().get(key)?.map(|row| row.value()))
}

/// The object at a path below another; containers on the way have the default namespace.
pub(super) fn descend(rows: &impl Rows, root: u128, names: &[Ident], namespace: &str) -> Result<Option<u128>, Fault> {
    let mut at = root;
    for (n, name) in names.iter().enumerate() {
        let namespace = if n + 1 == names.len() { namespace } else { "" };
        match child(rows, at, namespace, name.as_str())? {
            Some(id) => at = id,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

/// The child of this name.
pub(super) fn child(tree: &impl Tree, parent: u128, namespace: &str, name: &str) -> Result<Option<u128>, Fault> {
    tree.child_of(parent, namespace, name)
}

/// Ids of the children of a container in one namespace, by name.
pub(super) fn children_in(rows: &impl Rows, parent: u128, namespace: &str) -> Result<Vec<u128>, Fault> {
    let mut ids = Vec::new();
    for row in rows.children().range((parent, namespace, "")..(parent + 1, "", ""))? {
        let (key, id) = row?;
        if key.value().1 != namespace {
            break;
        }
        ids.push(id.value());
    }
    Ok(ids)
}

/// Begin of the namespaces in which displaced objects wait to be seen elsewhere. No connector may use it.
pub(super) const DISPLACED: &str = "~displaced/";

/// Ids of the children of a container that another object has displaced.
pub(super) fn displaced_in(rows: &impl Rows, parent: u128) -> Result<Vec<u128>, Fault> {
    let mut ids = Vec::new();
    for row in rows.children().range((parent, DISPLACED, "")..(parent + 1, "", ""))? {
        let (key, id) = row?;
        if !key.value().1.starts_with(DISPLACED) {
            break;
        }
        ids.push(id.value());
    }
    Ok(ids)
}

/// Names and ids of all children of a container, by namespace and name.
pub(super) fn children_of(rows: &impl Rows, parent: u128) -> Result<Vec<(String, u128)>, Fault> {
    rows.children()
        .range((parent, "", "")..(parent + 1, "", ""))?
        .map(|row| {
            let (key, id) = row?;
            Ok((key.value().2.to_owned(), id.value()))
        })
        .collect()
}

/// The names from the connection's key down.
pub(super) fn path_of(chain: &[Node]) -> Result<ObjectPath, Fault> {
    let names = chain.iter().map(|node| ident(&node.row.name)).collect::<Result<Vec<_>, _>>()?;
    ObjectPath::try_from(names).map_err(|_| Fault::Broken("a path is too deep"))
}

/// The names below the connection.
pub(super) fn remote_path_of(chain: &[Node]) -> Result<RemotePath, Fault> {
    Ok(RemotePath(chain.iter().skip(1).map(|node| ident(&node.row.name)).collect::<Result<_, _>>()?))
}

/// A stored name.
pub(super) fn ident(name: &str) -> Result<Ident, Fault> {
    name.parse().map_err(|_| Fault::Broken("a stored name is not one"))
}

/// What the overrides along a chain amount to.
pub(super) fn inherited(tree: &impl Tree, chain: &[Node]) -> Result<Inherited, Fault> {
    chain.iter().try_fold(Inherited::default(), |state, node| Ok(state.then(&overrides(tree, node.id)?)))
}

/// The names of a chain below its connection, as a filter takes them.
fn names_below(chain: &[Node]) -> impl Iterator<Item = &str> + Clone {
    chain.iter().skip(1).map(|node| node.row.name.as_str())
}

/// Whether patterns leave out the last object of a chain, or anything above it.
pub(super) fn is_filtered(chain: &[Node], filter: &Filter) -> bool {
    !filter.keeps(names_below(chain))
}

/// Left out, where the last object of a chain or anything above it is; else missing, where any of them is.
pub(super) fn remote_status(chain: &[Node], filter: &Filter) -> RemoteStatus {
    let is_marked = |mark| chain.iter().any(|node| node.row.mark() == mark);
    if is_marked(RemoteStatus::Excluded) || is_filtered(chain, filter) {
        RemoteStatus::Excluded
    } else if is_marked(RemoteStatus::Missing) {
        RemoteStatus::Missing
    } else {
        RemoteStatus::Present
    }
}

/// What leaves the last object of a chain out: a pattern, else what the connector said of the nearest one it left out.
pub(super) fn exclusion(rows: &impl Rows, chain: &[Node], filter: &Filter) -> Result<Option<Exclusion>, Fault> {
    if let Some(exclusion) = filter.leaves_out(names_below(chain)) {
        return Ok(Some(exclusion));
    }
    let Some(node) = chain.iter().rev().find(|node| node.row.mark() == RemoteStatus::Excluded) else { return Ok(None) };
    let why = rows.exclusions().get(node.id)?.map(|why| why.value().to_owned());
    Ok(Some(Exclusion::Connector(why.unwrap_or_default())))
}
