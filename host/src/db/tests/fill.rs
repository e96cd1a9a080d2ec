//! Objects straight into the store, many times faster than a sync brings them.

use super::super::{
    Db, DbError,
    counters::{Counters, Pending},
    fault::{Fault, Stop},
    records::{ObjectRow, encode, kind_number},
    tables::WriteRows,
    tree,
};
use crate::model::{
    id::{ConnectionId, ObjectId},
    object::Kind,
    settings::Overrides,
};

/// Tables of one schema.
#[derive(Clone)]
pub(super) struct Schema {
    pub(super) catalog: String,
    pub(super) name: String,
    pub(super) tables: Vec<String>,
}

/// Adds tables, and the catalogs and schemas that are not there, in one transaction.
pub(super) async fn fill(db: &Db, connection: ConnectionId, schemas: Vec<Schema>) {
    let work = move |rows: &mut WriteRows<'_>| -> Result<(), Stop<DbError>> {
        let root = connection.as_u128();
        let mut pending = Pending::default();
        for Schema { catalog, name, tables } in schemas {
            let catalog = put(rows, &mut pending, (root, root), Kind::Container, &catalog)?;
            let schema = put(rows, &mut pending, (root, catalog), Kind::Container, &name)?;
            for table in tables {
                put(rows, &mut pending, (root, schema), Kind::TableLike, &table)?;
            }
        }
        Ok(pending.flush(rows)?)
    };
    db.work("fill", work).await.expect("fill");
}

fn put(
    rows: &mut WriteRows<'_>,
    pending: &mut Pending,
    (connection, parent): (u128, u128),
    kind: Kind,
    name: &str,
) -> Result<u128, Fault> {
    if let Some(id) = tree::child(rows, parent, "", name)? {
        return Ok(id);
    }
    let id = ObjectId::generate().as_u128();
    let row = ObjectRow {
        connection,
        parent: Some(parent),
        namespace: String::new(),
        name: name.to_owned(),
        displaced_from: None,
        kind: kind_number(kind),
        object_type: if kind == Kind::Container { "schema" } else { "table" }.into(),
        remote_id: None,
        comment: None,
        attributes: Vec::new(),
        columns_known: false,
        fingerprint: None,
        mark: 0,
        revision: 1,
        sequence: 0,
        created_at: 0,
        updated_at: 0,
    };
    rows.children.insert((parent, "", name), id)?;
    rows.objects.insert(id, encode(&row)?.as_slice())?;
    pending.note(parent, Counters::default().with_itself(&Overrides::default()));
    Ok(id)
}

/// Gives an object another name, in the same or another container.
pub(super) async fn rename(db: &Db, id: ObjectId, to: &str, into: Option<ObjectId>) {
    let (id, to) = (id.as_u128(), to.to_owned());
    let work = move |rows: &mut WriteRows<'_>| -> Result<(), Stop<DbError>> {
        let mut row = tree::object(rows, id)?.ok_or(Fault::Broken("no such object"))?;
        let old = row.parent.ok_or(Fault::Broken("no parent"))?;
        let new = into.map_or(old, ObjectId::as_u128);
        if tree::child(rows, new, "", &to)?.is_some() {
            return Ok(());
        }
        let weight = super::super::counters::of(rows, id)?.with_itself(&tree::overrides(rows, id)?);
        super::super::counters::add(rows, old, Counters::default().minus(weight))?;
        super::super::counters::add(rows, new, weight)?;
        rows.children.remove((old, row.namespace.as_str(), row.name.as_str()))?;
        rows.children.insert((new, "", to.as_str()), id)?;
        (row.parent, row.name) = (Some(new), to);
        rows.objects.insert(id, encode(&row)?.as_slice())?;
        Ok(())
    };
    db.work("rename", work).await.expect("rename");
}

/// Marks an object as missing.
pub(super) async fn lose(db: &Db, id: ObjectId) {
    let id = id.as_u128();
    let work = move |rows: &mut WriteRows<'_>| -> Result<(), Stop<DbError>> {
        let mut row = tree::object(rows, id)?.ok_or(Fault::Broken("no such object"))?;
        row.mark = 1;
        rows.objects.insert(id, encode(&row)?.as_slice())?;
        Ok(())
    };
    db.work("lose", work).await.expect("lose");
}
