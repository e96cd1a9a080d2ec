//! From what the platform answers to objects of the contract: pure.

use wharfinger_sdk::{Column, Kind, Object};

use crate::{
    parse::{ColumnEntry, Entry},
    request::{Columns, Container},
};

/// Begins every fingerprint: a version that reads columns differently must read them all again.
const FINGERPRINT_VERSION: &str = "1";

/// The object of an entry, or none for what is internal to the platform: its schemas cannot be listed.
pub(crate) fn object(container: Container<'_>, entry: Entry, columns: Columns) -> Option<Object> {
    match container {
        Container::Metastore if is_internal(&entry) => None,
        Container::Metastore => Some(catalog(entry)),
        Container::Catalog(catalog) => Some(schema(catalog, entry)),
        Container::Schema(catalog, schema) => Some(table(catalog, schema, entry, columns)),
    }
}

/// Whether a catalog is internal to the platform.
pub(crate) fn is_internal(entry: &Entry) -> bool {
    entry.name == "__databricks_internal" || entry.catalog_type.as_deref() == Some("INTERNAL_CATALOG")
}

fn catalog(entry: Entry) -> Object {
    let object = Object::new(vec![entry.name.clone()], Kind::Container, "database")
        .attribute("catalogType", entry.catalog_type.clone())
        .attribute("connectionName", entry.connection_name.clone())
        .attribute("providerName", entry.provider_name.as_deref())
        .attribute("shareName", entry.share_name.as_deref());
    let id = entry.id.clone();
    common(object, entry, id)
}

fn schema(catalog: &str, entry: Entry) -> Object {
    let object = Object::new(vec![catalog.to_owned(), entry.name.clone()], Kind::Container, "schema");
    let id = entry.schema_id.clone();
    common(object, entry, id)
}

fn table(catalog: &str, schema: &str, mut entry: Entry, columns: Columns) -> Object {
    let path = vec![catalog.to_owned(), schema.to_owned(), std::mem::take(&mut entry.name)];
    let mut object = Object::new(path, Kind::TableLike, object_type(entry.table_type.as_deref()))
        .attribute("dataSourceFormat", entry.data_source_format.as_deref())
        .attribute("storageLocation", entry.storage_location.as_deref());
    object.fingerprint = fingerprint(&entry);
    if columns == Columns::With {
        object.columns = delivered(entry.columns.take(), entry.browse_only == Some(true));
    }
    let id = entry.table_id.take();
    common(object, entry, id)
}

/// What all levels have. Nothing that changes by itself: neither `updated_at` nor `properties` (which count commits).
fn common(mut object: Object, entry: Entry, id: Option<String>) -> Object {
    object.remote_id = id.filter(|id| !id.is_empty());
    object.comment = entry.comment;
    object
        .attribute("owner", entry.owner)
        .attribute("createdAt", entry.created_at.and_then(rfc3339))
        .attribute("browseOnly", (entry.browse_only == Some(true)).then_some("true"))
}

/// Columns that were asked for. An absent key is how an empty list is written, so it means that there are none; but
/// where only BROWSE lets us see the table, it may mean that they are hidden, and hidden columns are not deleted ones.
fn delivered(columns: Option<Vec<ColumnEntry>>, browse_only: bool) -> Option<Vec<Column>> {
    match columns {
        Some(columns) => Some(columns.into_iter().map(column).collect()),
        None if browse_only => None,
        None => Some(Vec::new()),
    }
}

fn column(entry: ColumnEntry) -> Column {
    let data_type = match entry.type_text {
        Some(text) if !text.is_empty() => text,
        _ => bare_type(entry.type_name.as_deref(), entry.type_precision, entry.type_scale),
    };
    Column {
        nullable: Some(entry.nullable.unwrap_or(true)),
        comment: entry.comment,
        position: entry.position,
        ..Column::new(entry.name, data_type)
    }
}

fn bare_type(name: Option<&str>, precision: Option<i64>, scale: Option<i64>) -> String {
    match (name, precision, scale) {
        (Some("DECIMAL"), Some(precision), Some(scale)) => format!("decimal({precision},{scale})"),
        (Some(name), ..) => name.to_lowercase(),
        (None, ..) => "unknown".to_owned(),
    }
}

/// What the platform calls it, in our words; types that nobody heard of are kept as they are.
fn object_type(table_type: Option<&str>) -> String {
    match table_type {
        Some("MANAGED") | None => "table".to_owned(),
        Some("EXTERNAL") => "external_table".to_owned(),
        Some("FOREIGN") => "foreign_table".to_owned(),
        Some("MANAGED_SHALLOW_CLONE" | "EXTERNAL_SHALLOW_CLONE") => "shallow_clone".to_owned(),
        Some(other) => other.to_lowercase(),
    }
}

/// Changes whenever the columns may have. The time of the last change moves with every change of the table; the id
/// tells a recreated one; the time of creation stands in where a server never set the other.
fn fingerprint(entry: &Entry) -> Option<String> {
    let id = entry.table_id.as_deref().unwrap_or_default();
    match (entry.updated_at, entry.created_at) {
        (Some(updated), _) => Some(format!("{FINGERPRINT_VERSION}:{id}:u{updated}")),
        (None, Some(created)) => Some(format!("{FINGERPRINT_VERSION}:{id}:c{created}")),
        (None, None) => None,
    }
}

/// Milliseconds since 1970 as people write times. None outside the years 0 to 9999.
fn rfc3339(milliseconds: i64) -> Option<String> {
    let (days, ms) = (milliseconds.div_euclid(86_400_000), milliseconds.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    (0..=9999)
        .contains(&year)
        .then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"))
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar. Years begin in March here, so that
/// the leap day is the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(entry: Value, columns: Columns) -> Object {
        let entry = Entry::deserialize(&entry).expect("entry");
        object(Container::Schema("c", "s"), entry, columns).expect("object")
    }

    use serde::Deserialize;

    #[test]
    fn table_types_have_tidy_words_and_unknown_ones_are_kept() {
        for (theirs, ours) in [
            ("MANAGED", "table"),
            ("EXTERNAL", "external_table"),
            ("VIEW", "view"),
            ("MATERIALIZED_VIEW", "materialized_view"),
            ("STREAMING_TABLE", "streaming_table"),
            ("FOREIGN", "foreign_table"),
            ("MANAGED_SHALLOW_CLONE", "shallow_clone"),
            ("EXTERNAL_SHALLOW_CLONE", "shallow_clone"),
            ("METRIC_VIEW", "metric_view"),
            ("HOLOGRAM", "hologram"),
        ] {
            assert_eq!(of(json!({"name": "t", "table_type": theirs}), Columns::Without).object_type, ours);
        }
    }

    #[test]
    fn absent_columns_are_none_unless_they_may_be_hidden() {
        assert_eq!(of(json!({"name": "t"}), Columns::With).columns, Some(vec![]));
        assert_eq!(of(json!({"name": "t", "columns": null}), Columns::With).columns, Some(vec![]));
        assert_eq!(of(json!({"name": "t", "browse_only": true}), Columns::With).columns, None);
        assert_eq!(of(json!({"name": "t", "columns": [], "browse_only": true}), Columns::With).columns, Some(vec![]));
        assert_eq!(of(json!({"name": "t", "columns": []}), Columns::Without).columns, None);
    }

    #[test]
    fn columns_keep_their_order_and_position_is_information() {
        let table = of(
            json!({"name": "t", "columns": [
                {"name": "b", "type_text": "varchar(3)", "position": 7, "nullable": false},
                {"name": "", "type_name": "DECIMAL", "type_precision": 10, "type_scale": 2, "position": -1, "comment": "x\u{0}y"},
                {"name": "b", "type_text": "", "type_name": "LONG"},
            ]}),
            Columns::With,
        );
        let columns = table.columns.expect("columns");
        let seen: Vec<_> =
            columns.iter().map(|c| (c.name.as_str(), c.data_type.as_str(), c.nullable, c.position)).collect();
        assert_eq!(
            seen,
            [
                ("b", "varchar(3)", Some(false), Some(7)),
                ("", "decimal(10,2)", Some(true), Some(-1)),
                ("b", "long", Some(true), None)
            ]
        );
        assert_eq!(columns[1].comment.as_deref(), Some("x\0y"));
    }

    #[test]
    fn a_fingerprint_moves_with_every_change_and_is_none_without_times() {
        let print = |entry: Value| of(entry, Columns::Without).fingerprint;
        assert_eq!(
            print(json!({"name": "t", "table_id": "i", "updated_at": 5, "created_at": 1})).as_deref(),
            Some("1:i:u5")
        );
        assert_eq!(
            print(json!({"name": "t", "table_id": "i", "updated_at": null, "created_at": 1})).as_deref(),
            Some("1:i:c1")
        );
        assert_eq!(print(json!({"name": "t", "table_id": "i"})), None);
    }

    #[test]
    fn what_is_internal_is_left_out() {
        for entry in
            [json!({"name": "__databricks_internal"}), json!({"name": "x", "catalog_type": "INTERNAL_CATALOG"})]
        {
            let entry = Entry::deserialize(&entry).expect("entry");
            assert_eq!(object(Container::Metastore, entry, Columns::Without), None);
        }
    }

    #[test]
    fn times_are_written_for_people() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_396_074_427, "2026-11-23T01:07:54.427Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(ms).as_deref(), Some(text));
        }
        assert_eq!(rfc3339(i64::MAX), None);
        assert_eq!(rfc3339(i64::MIN), None);
    }
}
