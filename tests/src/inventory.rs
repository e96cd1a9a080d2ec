//! What stands in an inventory and what a simulated metastore holds, in one comparable form.
//!
//! The form is made independently on either side: from the host's store through its own reads, and from the simulator's
//! model without a connector in between.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use wharfinger::{
    db::{Db, ObjectRef, objects::Search},
    model::{object::RemoteStatus, path::ObjectPath, sight::Sight},
};
use wharfinger_simulators::{
    snowflake::{Account, Kind, model as snowflake},
    unity_catalog::{Metastore, UnityCatalog, model},
};

/// An object, as far as both sides know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As the API spells it.
    pub object_type: String,
    /// The platform's own id.
    pub remote_id: Option<String>,
    /// The platform's comment.
    pub comment: Option<String>,
    /// Whether the platform has it, as far as the inventory knows.
    pub present: bool,
    /// None: not known.
    pub columns: Option<Vec<Column>>,
}

/// A column: name, type, nullability, comment, position.
pub type Column = (String, String, Option<bool>, Option<String>, Option<i64>);

/// Objects by their path below the connection.
pub type Inventory = BTreeMap<Vec<String>, Entry>;

/// A connection's inventory is what its platform has, and nothing of it is called missing.
pub async fn equal(db: &Db, key: &str, platform: &UnityCatalog) -> anyhow::Result<()> {
    let expected = without_container_ids(platform.read(of_metastore));
    let found = without_container_ids(present(of_host(db, key).await?));
    let differences = differences(&expected, &found);
    ensure!(differences.is_empty(), "the inventory of {key} differs from the platform:\n{differences}");
    Ok(())
}

/// Names of a metastore's first catalog, of that one's first schema, and of all tables in it.
///
/// # Panics
///
/// Where there are none.
#[must_use]
pub fn first(metastore: &Metastore) -> (String, String, Vec<String>) {
    let (catalog, inside) = metastore.catalogs.iter().next().expect("catalog");
    let (schema, inside) = inside.schemas.iter().next().expect("schema");
    (catalog.clone(), schema.clone(), inside.tables.keys().cloned().collect())
}

/// What a metastore holds that an administrator sees.
#[must_use]
pub fn of_metastore(metastore: &Metastore) -> Inventory {
    let mut inventory = Inventory::new();
    for (catalog_name, catalog) in metastore.catalogs.iter().filter(|(_, c)| c.catalog_type != "INTERNAL_CATALOG") {
        inventory.insert(vec![catalog_name.clone()], container("database", &catalog.facts));
        for (schema_name, schema) in &catalog.schemas {
            inventory.insert(vec![catalog_name.clone(), schema_name.clone()], container("schema", &schema.facts));
            for (table_name, table) in &schema.tables {
                let path = vec![catalog_name.clone(), schema_name.clone(), table_name.clone()];
                inventory.insert(path, of_table(table));
            }
        }
    }
    inventory
}

fn container(object_type: &str, facts: &model::Facts) -> Entry {
    Entry {
        object_type: object_type.to_owned(),
        // Catalogs and schemas are known by id only where the dialect tells it; see `without_container_ids`.
        remote_id: Some(facts.id.to_string()),
        comment: facts.comment.clone(),
        present: true,
        columns: None,
    }
}

fn of_table(table: &model::Table) -> Entry {
    let object_type = match table.table_type.as_ref() {
        "MANAGED" => "table",
        "EXTERNAL" => "external_table",
        "FOREIGN" => "foreign_table",
        "MANAGED_SHALLOW_CLONE" | "EXTERNAL_SHALLOW_CLONE" => "shallow_clone",
        other => &other.to_lowercase(),
    };
    let columns = table
        .columns
        .iter()
        .map(|c| {
            (c.name.clone(), c.data_type.to_string(), Some(c.nullable), c.comment.clone(), Some(i64::from(c.position)))
        })
        .collect();
    Entry { object_type: object_type.to_owned(), columns: Some(columns), ..container("", &table.facts) }
}

/// What an account holds that its administrators see, without what a connection leaves out unless told otherwise.
#[must_use]
pub fn of_account(account: &Account) -> Inventory {
    let mut inventory = Inventory::new();
    for (database_name, database) in account.databases.iter().filter(|(_, database)| database.kind == "STANDARD") {
        inventory.insert(vec![database_name.clone()], container_of("database", &database.facts));
        for (schema_name, schema) in &database.schemas {
            inventory.insert(vec![database_name.clone(), schema_name.clone()], container_of("schema", &schema.facts));
            for (table_name, table) in &schema.tables {
                let path = vec![database_name.clone(), schema_name.clone(), table_name.clone()];
                inventory.insert(path, of_snowflake_table(table));
            }
        }
    }
    inventory
}

/// Accounts tell no ids.
fn container_of(object_type: &str, facts: &snowflake::Facts) -> Entry {
    Entry {
        object_type: object_type.to_owned(),
        remote_id: None,
        comment: facts.comment.clone().filter(|comment| !comment.is_empty()),
        present: true,
        columns: None,
    }
}

fn of_snowflake_table(table: &snowflake::Table) -> Entry {
    let object_type = match table.kind {
        Kind::Table => "table",
        Kind::Transient => "transient_table",
        Kind::Temporary => "temporary_table",
        Kind::View | Kind::SecureView => "view",
        Kind::MaterializedView => "materialized_view",
        Kind::External => "external_table",
        Kind::Event => "event_table",
        Kind::Iceberg => "iceberg_table",
        Kind::Dynamic => "dynamic_table",
        Kind::Hybrid => "hybrid_table",
    };
    let column = |(at, c): (usize, &snowflake::Column)| {
        // `CHAR` is a way to write a short text, not a type of its own.
        let data_type = c.data_type.to_string().replacen("CHAR(", "VARCHAR(", 1).replacen("VARVARCHAR", "VARCHAR", 1);
        let comment = c.comment.clone().filter(|comment| !comment.is_empty());
        (c.name.clone(), data_type, Some(c.nullable), comment, i64::try_from(at + 1).ok())
    };
    let columns = table.columns.iter().enumerate().map(column).collect();
    Entry { columns: Some(columns), ..container_of(object_type, &table.facts) }
}

/// What a host's store holds below a connection.
pub async fn of_host(db: &Db, key: &str) -> anyhow::Result<Inventory> {
    let root = ObjectRef::Path(ObjectPath::from_segments([key])?, String::new());
    let mut inventory = Inventory::new();
    let mut search = Search { root: Some(root), recursive: true, size: 500, ..Search::default() };
    loop {
        let found = db.search(&Sight::All, search.clone()).await.context("search")?;
        for view in found.hits {
            let path: Vec<String> = view.path.segments()[1..].iter().map(ToString::to_string).collect();
            let columns = db.columns(&Sight::All, &ObjectRef::Id(view.id)).await?;
            let columns = columns
                .map(|all| all.into_iter().map(|c| (c.name, c.data_type, c.nullable, c.comment, c.position)).collect());
            let entry = Entry {
                object_type: view.facts.object_type,
                remote_id: view.facts.remote_id,
                comment: view.facts.comment,
                present: view.remote_status == RemoteStatus::Present,
                columns,
            };
            anyhow::ensure!(inventory.insert(path.clone(), entry).is_none(), "{path:?} stands there twice");
        }
        search.cursor = found.next;
        if search.cursor.is_none() {
            return Ok(inventory);
        }
    }
}

/// The same without what the platform no longer has.
#[must_use]
pub fn present(inventory: Inventory) -> Inventory {
    inventory.into_iter().filter(|(_, entry)| entry.present).collect()
}

/// Ids of containers left out: the workspace's API does not tell all of them.
#[must_use]
pub fn without_container_ids(mut inventory: Inventory) -> Inventory {
    for (path, entry) in &mut inventory {
        if path.len() < 3 {
            entry.remote_id = None;
        }
    }
    inventory
}

/// The differences, one line each, at most 20; empty when the two are equal.
#[must_use]
pub fn differences(expected: &Inventory, found: &Inventory) -> String {
    let paths: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    paths
        .into_iter()
        .filter(|path| expected.get(*path) != found.get(*path))
        .take(20)
        .map(|path| format!("{path:?}\n  expected {:?}\n  found    {:?}\n", expected.get(path), found.get(path)))
        .collect()
}
