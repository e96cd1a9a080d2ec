//! The catalogue that `wharfinger demo` shows: a retailer's lakehouse with names, comments and types as people write
//! them, a development copy of it, raw feeds, and the catalogs every workspace has.
//!
//! Written as text, one table a paragraph; columns are `name type [!] [comment]`, `!` for not null.

use super::data_type::DataType;
use super::model::{Catalog, Column, Metastore, Schema, Table};

const LAKEHOUSE: &str = include_str!("believable.txt");

/// Raw feeds that land as they come; one external table a source and entity.
const FEEDS: &[(&str, &[&str])] = &[
    ("shop", &["orders", "order_lines", "baskets", "basket_events", "page_views", "searches", "coupons", "refunds"]),
    ("erp", &["articles", "vendors", "purchase_orders", "goods_receipts", "ledger_lines", "cost_centers"]),
    ("crm", &["accounts", "contacts", "campaigns", "campaign_members", "cases", "case_comments"]),
    ("warehouse", &["stock_levels", "picks", "shipments", "returns", "forklift_telemetry"]),
    ("web", &["sessions", "clicks", "consents", "experiments", "experiment_exposures"]),
];

/// Fills a metastore; ids follow from the seed.
pub fn metastore(seed: u64) -> Metastore {
    let mut metastore = Metastore::new("harbour-retail-eu", seed);
    lakehouse(&mut metastore);
    raw(&mut metastore);
    development(&mut metastore);
    internal(&mut metastore);
    metastore
}

/// Reads the text: `catalog NAME: comment`, `schema NAME: comment`, `table NAME [TYPE]: comment`, then columns.
fn lakehouse(metastore: &mut Metastore) {
    let (mut catalog, mut schema) = (None::<(String, Catalog)>, None::<(String, Schema)>);
    for paragraph in LAKEHOUSE.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()) {
        let (head, body) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        let (head, comment) = head.split_once(": ").unwrap_or((head, ""));
        let mut words = head.split(' ');
        match (words.next(), words.next()) {
            (Some("catalog"), Some(name)) => {
                finish(metastore, &mut catalog, &mut schema);
                let mut made = metastore.new_catalog(Some(comment));
                made.facts.owner = Some("data-platform@harbour.example".into());
                catalog = Some((name.to_owned(), made));
            }
            (Some("schema"), Some(name)) => {
                file_schema(&mut catalog, &mut schema);
                let mut made = metastore.new_schema(Some(comment));
                made.facts.owner = Some(format!("{name}-stewards@harbour.example"));
                schema = Some((name.to_owned(), made));
            }
            (Some("table"), Some(name)) => {
                let made = table(metastore, words.next().unwrap_or("MANAGED"), comment, body);
                if let Some((_, schema)) = &mut schema {
                    schema.tables.insert(name.to_owned(), made);
                }
            }
            _ => tracing::error!(paragraph, "the demo catalogue has a paragraph nobody understands"),
        }
    }
    finish(metastore, &mut catalog, &mut schema);
}

fn finish(metastore: &mut Metastore, catalog: &mut Option<(String, Catalog)>, schema: &mut Option<(String, Schema)>) {
    file_schema(catalog, schema);
    if let Some((name, catalog)) = catalog.take() {
        metastore.catalogs.insert(name, catalog);
    }
}

fn file_schema(catalog: &mut Option<(String, Catalog)>, schema: &mut Option<(String, Schema)>) {
    if let (Some((_, catalog)), Some((name, schema))) = (catalog, schema.take()) {
        catalog.schemas.insert(name, schema);
    }
}

fn table(metastore: &mut Metastore, kind: &str, comment: &str, body: &str) -> Table {
    let mut table = metastore.new_table((!comment.is_empty()).then_some(comment), columns(body));
    table.facts.owner = Some("data-platform@harbour.example".into());
    shape_as(&mut table, kind);
    table
}

/// What goes with a table type: views have neither format nor place.
fn shape_as(table: &mut Table, kind: &str) {
    table.table_type = kind.to_owned().into();
    match kind {
        "VIEW" | "METRIC_VIEW" => {
            table.data_source_format = None;
            table.storage_location = None;
            table.view_definition = Some("SELECT * FROM source".into());
        }
        "FOREIGN" => {
            table.data_source_format = Some("POSTGRESQL_FORMAT".into());
            table.storage_location = None;
        }
        _ => {
            table.facts.properties.insert("delta.minReaderVersion".into(), "3".into());
        }
    }
}

fn columns(body: &str) -> Vec<Column> {
    body.lines()
        .zip(0..)
        .map(|(line, position)| {
            let (name, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), "string"));
            let (data_type, comment) = rest.split_once(" -- ").map_or((rest, None), |(of, text)| (of, Some(text)));
            let nullable = !data_type.ends_with('!');
            let mut column = Column::new(name, DataType::from(data_type.trim_end_matches(['!', ' '])), position);
            column.nullable = nullable;
            column.comment = comment.map(str::to_owned);
            column
        })
        .collect()
}

fn raw(metastore: &mut Metastore) {
    let mut catalog = metastore.new_catalog(Some("Feeds as they land; nothing here is promised to stay"));
    for (source, entities) in FEEDS {
        let mut schema = metastore.new_schema(Some(&format!("Everything that comes from {source}")));
        for entity in *entities {
            let mut columns = columns(
                "ingest_id string! -- One per record and delivery\ningested_at timestamp!\nsource_file string\n\
                 payload variant -- The record as it came\n_rescued_data string",
            );
            columns.push(Column::new("ingest_date", "date", 5));
            columns[5].partition_index = Some(0);
            let mut made = metastore.new_table(Some(&format!("Raw {entity} of {source}")), columns);
            made.table_type = "EXTERNAL".into();
            made.data_source_format = Some(if entity.ends_with("s") { "PARQUET" } else { "JSON" }.into());
            made.storage_location = Some(format!("s3://harbour-landing/{source}/{entity}"));
            schema.tables.insert((*entity).to_owned(), made);
        }
        catalog.schemas.insert((*source).to_owned(), schema);
    }
    metastore.catalogs.insert("raw".into(), catalog);
}

/// A copy of production that developers may break: shallow clones under the same names.
fn development(metastore: &mut Metastore) {
    let Some(production) = metastore.catalogs.get("prod").cloned() else { return };
    let mut catalog = metastore.new_catalog(Some("Shallow clones of prod, made anew every Monday"));
    for (name, of) in &production.schemas {
        let mut schema = metastore.new_schema(of.facts.comment.as_deref());
        for (name, of) in &of.tables {
            let mut made = metastore.new_table(of.facts.comment.as_deref(), of.columns.clone());
            let kind = if of.table_type == "MANAGED" { "MANAGED_SHALLOW_CLONE" } else { &of.table_type };
            shape_as(&mut made, kind);
            schema.tables.insert(name.clone(), made);
        }
        catalog.schemas.insert(name.clone(), schema);
    }
    metastore.catalogs.insert("dev".into(), catalog);
}

/// The catalog of the platform itself, which can be listed and then not be read.
fn internal(metastore: &mut Metastore) {
    let mut catalog = metastore.new_catalog(None);
    catalog.catalog_type = "INTERNAL_CATALOG".into();
    let mut schema = metastore.new_schema(None);
    schema.unusable = true;
    catalog.schemas.insert("__dlt_materialization_schema".into(), schema);
    metastore.catalogs.insert("__databricks_internal".into(), catalog);
}

#[cfg(test)]
mod tests {
    use super::metastore;
    use crate::unity_catalog::data_type::DataType;

    #[test]
    fn every_paragraph_is_understood() {
        let metastore = metastore(1);
        let written = super::LAKEHOUSE.lines().filter(|line| line.starts_with("table ")).count();
        let made = metastore.tables().filter(|([catalog, ..], _)| !["raw", "dev"].contains(catalog)).count();
        assert_eq!(made, written);
        for (path, table) in metastore.tables() {
            assert!(!table.columns.is_empty(), "{path:?} has columns");
            for column in &table.columns {
                assert!(
                    !matches!(column.data_type, DataType::Other(_)),
                    "{path:?} {} {}",
                    column.name,
                    column.data_type
                );
            }
        }
    }
}
