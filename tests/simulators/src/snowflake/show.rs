//! The columns of every `SHOW` and `DESCRIBE`, in the platform's order and lower case.

use super::model::{Kind, WarehouseState};
use super::relation::{Cell, Field, Row, get, number, text, time};
use super::sql::What;

/// What `SHOW` answers with.
pub(crate) fn fields(what: &What, terse: bool) -> &'static [Field] {
    match what {
        What::Columns => COLUMNS,
        What::Warehouses => WAREHOUSES,
        What::Parameters => PARAMETERS,
        What::GrantsTo(_) | What::GrantsOn { .. } => GRANTS,
        _ if terse => TERSE,
        What::Databases => DATABASES,
        What::Schemas => SCHEMAS,
        What::Views | What::MaterializedViews => VIEWS,
        What::Objects => OBJECTS,
        _ => TABLES,
    }
}

/// What a view of that name was made of; nobody reads it.
pub(crate) fn definition(name: &str) -> String {
    format!("create view \"{}\" as select * from source", name.replace('"', "\"\""))
}

const TERSE: &[Field] = &[
    time("created_on", get::created),
    text("name", get::name),
    text("kind", |row| kind(row).map_or(Cell::Null, |kind| Cell::text(kind.shown()))),
    text("database_name", get::database),
    text("schema_name", |row| match row {
        // The real account repeats the name of a schema here.
        Row::Schema { name, .. } => Cell::text(*name),
        _ => get::schema(row),
    }),
];

const DATABASES: &[Field] = &[
    time("created_on", get::created),
    text("name", get::name),
    text("is_default", get::no),
    text("is_current", get::current),
    text("origin", |row| match row {
        Row::Database { of, .. } => Cell::text(of.origin.as_str()),
        _ => Cell::Null,
    }),
    text("owner", get::owner),
    text("comment", get::comment),
    text("options", get::empty),
    text("retention_time", get::one),
    text("kind", |row| match row {
        Row::Database { of, .. } => Cell::text(of.kind.as_str()),
        _ => Cell::Null,
    }),
    text("owner_role_type", get::role),
];

const SCHEMAS: &[Field] = &[
    time("created_on", get::created),
    text("name", get::name),
    text("is_default", get::no),
    text("is_current", get::current),
    text("database_name", get::database),
    text("owner", get::owner),
    text("comment", get::comment),
    text("options", get::empty),
    text("retention_time", get::one),
    text("owner_role_type", get::role),
];

const TABLES: &[Field] = &[
    time("created_on", get::created),
    text("name", get::name),
    text("database_name", get::database),
    text("schema_name", get::schema),
    text("kind", |row| kind(row).map_or(Cell::Null, |kind| Cell::text(kind.shown()))),
    text("comment", get::comment),
    text("cluster_by", get::empty),
    number("rows", rows),
    number("bytes", |row| match rows(row) {
        Cell::Number(rows) => Cell::Number(rows * 96),
        _ => Cell::Null,
    }),
    text("owner", get::owner),
    text("retention_time", get::one),
    text("automatic_clustering", |_| Cell::text("OFF")),
    text("change_tracking", |_| Cell::text("OFF")),
    text("search_optimization", |_| Cell::text("OFF")),
    text("is_external", |row| is(row, Kind::External)),
    text("enable_schema_evolution", get::no),
    text("owner_role_type", get::role),
    text("is_event", |row| is(row, Kind::Event)),
    text("is_hybrid", |row| is(row, Kind::Hybrid)),
    text("is_iceberg", |row| is(row, Kind::Iceberg)),
    text("is_dynamic", |row| is(row, Kind::Dynamic)),
    text("is_immutable", get::no),
];

const VIEWS: &[Field] = &[
    time("created_on", get::created),
    text("name", get::name),
    text("reserved", get::empty),
    text("database_name", get::database),
    text("schema_name", get::schema),
    text("owner", get::owner),
    text("comment", get::comment),
    text("text", |row| Cell::text(definition(row.name()))),
    text("is_secure", |row| true_or_false(row, Kind::SecureView)),
    text("is_materialized", |row| true_or_false(row, Kind::MaterializedView)),
    text("owner_role_type", get::role),
    text("change_tracking", |_| Cell::text("OFF")),
];

const OBJECTS: &[Field] = &[
    time("created_on", get::created),
    text("name", get::name),
    text("database_name", get::database),
    text("schema_name", get::schema),
    // Temporary and transient are told here as well; views of every kind are a VIEW.
    text("kind", |row| kind(row).map_or(Cell::Null, |kind| Cell::text(kind.shown()))),
    text("comment", get::comment),
    text("cluster_by", get::empty),
    number("rows", rows),
    number("bytes", |row| match rows(row) {
        Cell::Number(rows) => Cell::Number(rows * 96),
        _ => Cell::Null,
    }),
    text("owner", get::owner),
    text("retention_time", get::one),
    text("owner_role_type", get::role),
    text("is_hybrid", |row| is(row, Kind::Hybrid)),
    text("is_dynamic", |row| is(row, Kind::Dynamic)),
    text("is_iceberg", |row| is(row, Kind::Iceberg)),
];

const COLUMNS: &[Field] = &[
    text("table_name", get::table),
    text("schema_name", get::schema),
    text("column_name", get::name),
    text("data_type", |row| row.column().map_or(Cell::Null, |of| Cell::text(of.data_type.json(of.nullable)))),
    text("null?", |row| {
        row.column().map_or(Cell::Null, |of| Cell::text(if of.nullable { "true" } else { "NOT_NULL" }))
    }),
    text("default", get::empty),
    text("kind", |row| match row.column() {
        Some(of) if of.expression.is_some() => Cell::text("VIRTUAL_COLUMN"),
        _ => Cell::text("COLUMN"),
    }),
    text("expression", |row| Cell::text(row.column().and_then(|of| of.expression.as_deref()).unwrap_or_default())),
    text("comment", get::comment),
    text("database_name", get::database),
    text("autoincrement", get::empty),
    text("schema_evolution_record", get::nothing),
];

const WAREHOUSES: &[Field] = &[
    text("name", get::name),
    text("state", |row| match row {
        Row::Warehouse { of, .. } if of.state == WarehouseState::Started => Cell::text("STARTED"),
        _ => Cell::text("SUSPENDED"),
    }),
    text("type", |_| Cell::text("STANDARD")),
    text("size", |_| Cell::text("X-Small")),
    text("is_default", get::no),
    text("is_current", get::current),
    text("auto_suspend", |_| Cell::text("60")),
    text("auto_resume", |row| match row {
        Row::Warehouse { of, .. } => Cell::text(if of.state == WarehouseState::Locked { "false" } else { "true" }),
        _ => Cell::Null,
    }),
    time("created_on", get::created),
    text("owner", |row| match row {
        Row::Warehouse { of, .. } => Cell::text(of.owner.as_str()),
        _ => Cell::Null,
    }),
    text("comment", get::comment),
    text("owner_role_type", get::role),
];

const PARAMETERS: &[Field] = &[
    text("key", |row| nth(row, 0)),
    text("value", |row| nth(row, 1)),
    text("default", |row| nth(row, 1)),
    text("level", get::empty),
    text("description", get::empty),
    text("type", |_| Cell::text("STRING")),
];

const GRANTS: &[Field] = &[
    time("created_on", |_| Cell::Time(1_767_571_200_000)),
    text("privilege", |row| nth(row, 0)),
    text("granted_on", |row| nth(row, 1)),
    text("name", |row| nth(row, 2)),
    text("granted_to", get::role),
    text("grantee_name", |row| nth(row, 3)),
    text("grant_option", |_| Cell::text("false")),
    text("granted_by", |_| Cell::text("ACCOUNTADMIN")),
];

/// What `DESCRIBE TABLE` and `DESCRIBE VIEW` answer with.
pub(crate) const DESCRIPTION: &[Field] = &[
    text("name", get::name),
    text("type", |row| row.column().map_or(Cell::Null, |of| Cell::text(of.data_type.to_string()))),
    text("kind", |_| Cell::text("COLUMN")),
    text("null?", |row| row.column().map_or(Cell::Null, |of| Cell::letter(of.nullable))),
    text("default", get::nothing),
    text("primary key", get::no),
    text("unique key", get::no),
    text("check", get::nothing),
    text("expression", |row| Cell::maybe(row.column().and_then(|of| of.expression.as_deref()))),
    text("comment", get::comment_or_none),
    text("policy name", get::nothing),
    text("privacy domain", get::nothing),
];

fn true_or_false<'a>(row: &Row<'a>, wanted: Kind) -> Cell<'a> {
    Cell::text(if kind(row) == Some(wanted) { "true" } else { "false" })
}

fn kind(row: &Row<'_>) -> Option<Kind> {
    row.table().map(|of| of.kind)
}

fn is<'a>(row: &Row<'a>, wanted: Kind) -> Cell<'a> {
    Cell::letter(kind(row) == Some(wanted))
}

fn rows<'a>(row: &Row<'a>) -> Cell<'a> {
    match row.table() {
        Some(of) if !of.kind.is_view() => Cell::Number(of.rows as i64),
        _ => Cell::Null,
    }
}

fn nth<'a>(row: &Row<'a>, at: usize) -> Cell<'a> {
    match row {
        Row::Texts(texts) => Cell::maybe(texts.get(at).and_then(Option::as_deref)),
        _ => Cell::Null,
    }
}
