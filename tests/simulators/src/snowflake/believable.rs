//! The account that `wharfinger demo` shows: a port authority's databases with names, comments and types as people write
//! them, imported shares, one of them revoked, the sample data and the platform's own application.
//!
//! Written as text, one object a paragraph; columns are `name type[!] [-- comment]`, `!` for not null. Names stand as
//! they are stored, quoted where they hold blanks.

use std::sync::Arc;

use super::data_type::DataType;
use super::model::{Account, Column, Database, Kind, Schema, WarehouseState};

const PORT: &str = include_str!("believable.txt");

/// Fills an account.
pub fn account(seed: u64) -> Account {
    let mut account = Account::new("HARBOUR", "PORT_EU", "HB41207", seed);
    account.add_warehouse("REPORTING_WH", WarehouseState::Started);
    port(&mut account);
    former_partner(&mut account);
    account
}

/// Reads the text paragraph by paragraph; a schema belongs to the database before it, an object to the schema.
fn port(account: &mut Account) {
    let (mut database, mut schema) = (None::<(String, Database)>, None::<(String, Schema)>);
    for paragraph in PORT.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()) {
        let (head, body) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        let (head, comment) = head.split_once(':').unwrap_or((head, ""));
        let comment = Some(comment.trim()).filter(|comment| !comment.is_empty());
        let (what, rest) = head.split_once(' ').unwrap_or((head, ""));
        let (name, more) = named(rest);
        match what {
            "database" => {
                file_schema(&mut database, &mut schema);
                file_database(account, &mut database);
                database = Some((name, imported(account.new_database(comment), more)));
            }
            "schema" => {
                file_schema(&mut database, &mut schema);
                schema = Some((name, account.new_schema(comment)));
            }
            "table" => {
                let kind = kind(more).unwrap_or_else(|| {
                    tracing::error!(more, "the demo account has a kind of object nobody knows");
                    Kind::Table
                });
                let table = account.new_table(kind, comment, Arc::new(columns(body, kind)));
                if let Some((_, schema)) = &mut schema {
                    schema.tables.insert(name, table);
                }
            }
            _ => tracing::error!(paragraph, "the demo account has a paragraph nobody understands"),
        }
    }
    file_schema(&mut database, &mut schema);
    file_database(account, &mut database);
}

/// A name, quoted or up to the next blank, and what follows.
fn named(text: &str) -> (String, &str) {
    let quoted = text.strip_prefix('"').and_then(|text| text.split_once('"'));
    let (name, more) = quoted.unwrap_or_else(|| text.split_once(' ').unwrap_or((text, "")));
    (name.to_owned(), more.trim())
}

/// `IMPORTED` with the share it comes from, or `APPLICATION`.
fn imported(mut database: Database, more: &str) -> Database {
    if let Some(origin) = more.strip_prefix("IMPORTED ") {
        database.kind = "IMPORTED DATABASE".to_owned();
        database.origin = origin.to_owned();
    } else if more == "APPLICATION" {
        database.kind = more.to_owned();
        database.origin = "SNOWFLAKE.SNOWFLAKE.ACCOUNT_USAGE".to_owned();
        database.facts.owner = String::new();
    }
    database
}

fn kind(word: &str) -> Option<Kind> {
    let word = if word.is_empty() { "TABLE" } else { word };
    serde_json::from_value(word.to_lowercase().replace('_', "-").into()).ok()
}

fn columns(body: &str, kind: Kind) -> Vec<Column> {
    let column = |line: &str| {
        let (line, comment) = line.split_once(" -- ").map_or((line, None), |(line, comment)| (line, Some(comment)));
        // The type is the last word; one with a blank inside its brackets begins before them.
        let at = line[..line.find('(').unwrap_or(line.len())].rfind(' ').unwrap_or(line.len());
        let (name, data_type) = line.split_at(at);
        let data_type = data_type.trim();
        let mut column = Column::new(name.trim(), DataType::from(data_type.trim_end_matches('!')));
        column.nullable = !data_type.ends_with('!');
        column.comment = comment.map(str::to_owned);
        if kind == Kind::External && name != "VALUE" {
            column.expression = Some(format!("CAST(GET(VALUE, '{name}') AS {})", column.data_type));
        }
        column
    };
    body.lines().map(str::trim).map(column).collect()
}

fn file_schema(database: &mut Option<(String, Database)>, schema: &mut Option<(String, Schema)>) {
    if let (Some((_, database)), Some((name, schema))) = (database, schema.take()) {
        database.schemas.insert(name, schema);
    }
}

fn file_database(account: &mut Account, database: &mut Option<(String, Database)>) {
    if let Some((name, database)) = database.take() {
        account.databases.insert(name, database);
    }
}

/// A share whose publisher has taken it back: it can be listed and then not be looked into.
fn former_partner(account: &mut Account) {
    let mut database = account.new_database(Some("Container rates of a former partner"));
    database.kind = "IMPORTED DATABASE".to_owned();
    database.origin = "BOXRATES.PUBLIC.SPOT".to_owned();
    database.revoked = true;
    database.has_information_schema = false;
    account.databases.insert("BOX_RATES".to_owned(), database);
}

#[cfg(test)]
mod tests {
    use super::account;
    use crate::snowflake::data_type::DataType;
    use crate::snowflake::model::Kind;

    #[test]
    fn every_paragraph_is_understood() {
        let account = account(1);
        let written = super::PORT.lines().filter(|line| line.starts_with("table ")).count();
        assert_eq!(account.tables().count(), written);
        for (path, table) in account.tables() {
            assert!(!table.columns.is_empty(), "{path:?} has columns");
            for column in table.columns.iter() {
                assert!(!column.name.is_empty(), "{path:?} {column:?}");
                assert!(!matches!(column.data_type, DataType::Other(_)), "{path:?} {column:?}");
            }
        }
        let kinds: std::collections::HashSet<_> = account.tables().map(|(_, of)| of.kind.shown()).collect();
        assert!(kinds.len() >= 3, "{kinds:?}");
        assert_eq!(account.table("OPERATIONS", "CARGO", "CONTAINERS").unwrap().kind, Kind::Hybrid);
        let budget = account.table("FINANCE", "plan 2027", "Budget (draft)").unwrap();
        assert_eq!(budget.columns[2].name, "\"planned\" amount");
        let ships = account.table("OPERATIONS", "TRAFFIC", "SHIPS").unwrap();
        assert_eq!(ships.columns[7].data_type.to_string(), "VECTOR(FLOAT, 256)");
    }
}
