//! From what SHOW lists to objects of the contract: pure.
//!
//! Attributes hold nothing that changes by itself: no rows, no bytes, no time of the last change. SHOW gives no ids, so a
//! rename is a missing object and a new one.

mod time;

use std::borrow::Cow;

use wharfinger_sdk::{Error, Kind, Object};

use crate::{
    config::Config,
    parse::Table,
    request::{Container, Show},
};

/// The schema that every database has, made of views that the platform defines.
const INFORMATION_SCHEMA: &str = "INFORMATION_SCHEMA";
/// Longest name that the host keeps, in characters.
const MAX_NAME_CHARS: usize = 255;

type Cell<'a> = Option<Cow<'a, str>>;

/// What a SHOW listed.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// In the order of the answer.
    pub(crate) objects: Vec<Object>,
    /// What could not be read, one text for each: the container is then not complete.
    pub(crate) unreadable: Vec<String>,
    /// The name of the last row.
    pub(crate) last: Option<String>,
    /// How many rows there were.
    pub(crate) rows: usize,
}

/// Reads what a SHOW listed. Rows of another container than the one that was asked for are an error: the platform reads
/// names that way when it is told to ignore their case.
pub(crate) fn shown(config: &Config, what: Show<'_>, table: &Table) -> Result<Shown, Error> {
    let mut shown = Shown { rows: table.len(), ..Shown::default() };
    let mut strange = false;
    let mut take = |parents: &[&str], told: [&Cell<'_>; 2], name: Cell<'_>, make: &dyn Fn(Vec<String>) -> Object| {
        strange |= parents.iter().zip(told).any(|(asked, told)| told.as_ref().is_some_and(|told| told != asked));
        let name = name.unwrap_or_default();
        shown.last = Some(name.to_string());
        match name.chars().take(MAX_NAME_CHARS + 1).count() {
            0 => shown.unreadable.push("an entry without a name".to_owned()),
            n if n > MAX_NAME_CHARS => {
                shown.unreadable.push(format!("a name of more than {MAX_NAME_CHARS} characters"))
            }
            _ => {
                let path = parents.iter().map(|part| (*part).to_owned()).chain([name.into_owned()]).collect();
                shown.objects.push(make(path));
            }
        }
    };
    match what {
        Show::Databases => table.each(DATABASE, |[name, rest @ ..]| {
            take(&[], [&None, &None], name, &|path| database(config, path, &rest));
        })?,
        Show::Schemas(parent) => table.each(SCHEMA, |[name, database, rest @ ..]| {
            take(&[parent], [&database, &None], name, &|path| schema(path, &rest));
        })?,
        Show::Tables(parent) => table.each(TABLE, |[name, database, schema, rest @ ..]| {
            take(&[parent.database, parent.name], [&database, &schema], name, &|path| table_like(path, &rest));
        })?,
        Show::Views(parent) => table.each(VIEW, |[name, database, schema, rest @ ..]| {
            take(&[parent.database, parent.name], [&database, &schema], name, &|path| view(path, &rest));
        })?,
    }
    if strange { Err(another_container()) } else { Ok(shown) }
}

/// Of a platform that reads quoted names in upper case.
pub(crate) fn another_container() -> Error {
    Error::unsupported(
        "The platform answered for another object than the one that was asked for: names that differ in case only \
         cannot be told apart. Set QUOTED_IDENTIFIERS_IGNORE_CASE to FALSE for the user.",
    )
}

const DATABASE: [&str; 8] =
    ["name", "?kind", "?origin", "?owner", "?comment", "?retention_time", "?options", "?created_on"];

fn database(config: &Config, path: Vec<String>, cells: &[Cell<'_>; 7]) -> Object {
    let [kind, origin, owner, comment, retention, options, created] = cells;
    let name = path[0].clone();
    let kind = text(kind).unwrap_or_default();
    let object = Object::new(path, Kind::Container, "database")
        .attribute("databaseKind", Some(kind).filter(|kind| !matches!(*kind, "" | "STANDARD")))
        .attribute("origin", text(origin));
    let object = common(object, owner, comment, created)
        .attribute("retentionTime", text(retention))
        .attribute("options", text(options));
    let is_system = kind == "APPLICATION" || matches!(name.as_str(), "SNOWFLAKE" | "SNOWFLAKE_SAMPLE_DATA");
    if is_system {
        return if config.include_system { object } else { object.excluded("belongs to the platform (includeSystem)") };
    }
    if kind == "IMPORTED DATABASE" || (kind.is_empty() && text(origin).is_some()) {
        return if config.include_imported { object } else { object.excluded("comes from a share (includeImported)") };
    }
    object
}

const SCHEMA: [&str; 7] =
    ["name", "?database_name", "?owner", "?comment", "?retention_time", "?options", "?created_on"];

fn schema(path: Vec<String>, cells: &[Cell<'_>; 5]) -> Object {
    let [owner, comment, retention, options, created] = cells;
    let is_information_schema = path[1] == INFORMATION_SCHEMA;
    let object = common(Object::new(path, Kind::Container, "schema"), owner, comment, created)
        .attribute("retentionTime", text(retention))
        .attribute("options", text(options));
    if is_information_schema { object.excluded("made of the platform's own views") } else { object }
}

const TABLE: [&str; 14] = [
    "name",
    "?database_name",
    "?schema_name",
    "?owner",
    "?comment",
    "?created_on",
    "?kind",
    "?cluster_by",
    "?retention_time",
    "?is_external",
    "?is_event",
    "?is_hybrid",
    "?is_iceberg",
    "?is_dynamic",
];

fn table_like(path: Vec<String>, cells: &[Cell<'_>; 11]) -> Object {
    let [owner, comment, created, kind, cluster_by, retention, flags @ ..] = cells;
    let kinds = ["external_table", "event_table", "hybrid_table", "iceberg_table", "dynamic_table"];
    // A dynamic table may be an Iceberg table too: the last word is the more telling one.
    let flagged = kinds.iter().zip(flags).rev().find(|(_, flag)| is_set(flag)).map(|(kind, _)| (*kind).to_owned());
    let object_type = flagged.unwrap_or_else(|| match text(kind) {
        None | Some("TABLE") => "table".to_owned(),
        Some(kind) => {
            let kind = kind.to_lowercase().replace(' ', "_");
            if kind.ends_with("table") { kind } else { format!("{kind}_table") }
        }
    });
    common(Object::new(path, Kind::TableLike, object_type), owner, comment, created)
        .attribute("clusterBy", text(cluster_by))
        .attribute("retentionTime", text(retention))
}

const VIEW: [&str; 8] =
    ["name", "?database_name", "?schema_name", "?owner", "?comment", "?created_on", "?is_secure", "?is_materialized"];

fn view(path: Vec<String>, cells: &[Cell<'_>; 5]) -> Object {
    let [owner, comment, created, is_secure, is_materialized] = cells;
    let object_type = if is_set(is_materialized) { "materialized_view" } else { "view" };
    common(Object::new(path, Kind::TableLike, object_type), owner, comment, created)
        .attribute("secure", is_set(is_secure).then_some("true"))
}

/// What all levels have.
fn common(mut object: Object, owner: &Cell<'_>, comment: &Cell<'_>, created: &Cell<'_>) -> Object {
    object.comment = text(comment).map(str::to_owned);
    object.attribute("owner", text(owner)).attribute("createdAt", text(created).and_then(time::rfc3339))
}

/// A cell with something in it. SHOW writes empty texts where there is nothing.
fn text<'a>(cell: &'a Cell<'_>) -> Option<&'a str> {
    cell.as_deref().filter(|text| !text.is_empty())
}

/// A flag, as different statements write it.
fn is_set(cell: &Cell<'_>) -> bool {
    cell.as_deref().is_some_and(|text| matches!(text, "Y" | "true" | "TRUE" | "YES" | "1"))
}

/// Whether the columns of an object may change without a DDL statement on it: a catalogue outside, or the query behind a
/// dynamic table, decides.
pub(crate) fn moves_by_itself(object: &Object) -> bool {
    matches!(object.object_type.as_str(), "iceberg_table" | "dynamic_table")
}

/// Whether the configuration leaves an object out.
pub(crate) fn is_excluded(object: &Object) -> bool {
    object.extra.iter().any(|(key, _)| key == "excluded")
}

/// The container that an object of this container is, if it is one that is gone into.
pub(crate) fn inside<'a>(container: Container<'a>, object: &'a Object) -> Option<Container<'a>> {
    let is_leaf = matches!(container, Container::Schema(_));
    Container::at(&object.path).filter(|_| !is_leaf && !is_excluded(object))
}
