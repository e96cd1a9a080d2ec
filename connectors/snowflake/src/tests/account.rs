//! An account as the platform describes it, which understands the statements that the connector sends.

use std::{collections::BTreeMap, rc::Rc};

use serde_json::{Value, json};
use wharfinger_sdk::testing::MockHost;

use super::platform::*;

/// Databases, schemas, and what lies in them.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    pub(super) databases: BTreeMap<String, Database>,
    /// Whether INFORMATION_SCHEMA can be asked.
    pub(super) warehouse: bool,
    /// Most tables whose columns INFORMATION_SCHEMA gives at once.
    pub(super) most: usize,
    pub(super) parameter: &'static str,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Database {
    pub(super) kind: &'static str,
    pub(super) schemas: BTreeMap<String, BTreeMap<String, Table>>,
}

#[derive(Clone, Debug)]
pub(super) struct Table {
    /// `TABLE`, `VIEW`, … or the name of a flag.
    pub(super) kind: &'static str,
    /// Name, JSON of SHOW COLUMNS, and what INFORMATION_SCHEMA says.
    pub(super) columns: Vec<Col>,
    pub(super) ddl: u32,
    pub(super) altered: u32,
    /// INFORMATION_SCHEMA does not show it.
    pub(super) hidden: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Col {
    pub(super) name: String,
    pub(super) shown: String,
    pub(super) informed: [Value; 5],
    pub(super) text: String,
}

/// A number, as the three ways write it.
pub(super) fn number(name: &str) -> Col {
    Col {
        name: name.to_owned(),
        shown: r#"{"type":"FIXED","precision":38,"scale":0,"nullable":true}"#.to_owned(),
        informed: [json!("NUMBER"), json!(null), json!(38), json!(0), json!(null)],
        text: "NUMBER(38,0)".to_owned(),
    }
}

/// A text, as the three ways write it.
pub(super) fn varchar(name: &str, length: u32) -> Col {
    Col {
        name: name.to_owned(),
        shown: format!(r#"{{"type":"TEXT","length":{length},"byteLength":4,"nullable":true,"fixed":false}}"#),
        informed: [json!("TEXT"), json!(length), json!(null), json!(null), json!(null)],
        text: format!("VARCHAR({length})"),
    }
}

/// A vector, of which INFORMATION_SCHEMA tells the name only.
pub(super) fn vector(name: &str) -> Col {
    Col {
        name: name.to_owned(),
        shown: r#"{"type":"VECTOR","dimension":3,"vectorElementType":"FLOAT"}"#.to_owned(),
        informed: [json!("VECTOR"), json!(null), json!(null), json!(null), json!(null)],
        text: "VECTOR(FLOAT, 3)".to_owned(),
    }
}

pub(super) fn table(kind: &'static str, columns: Vec<Col>) -> Table {
    Table { kind, columns, ddl: 7, altered: 9, hidden: false }
}

impl Account {
    /// A schema `SALES.MART` with these.
    pub(super) fn with(tables: impl IntoIterator<Item = (String, Table)>) -> Self {
        let mut account = Self { warehouse: true, most: usize::MAX, parameter: "false", ..Self::default() };
        account.add("SALES", "STANDARD", &[("MART", tables.into_iter().collect())]);
        account
    }

    pub(super) fn add(&mut self, name: &str, kind: &'static str, schemas: &[(&str, BTreeMap<String, Table>)]) {
        let schemas = schemas.iter().map(|(name, tables)| ((*name).to_owned(), tables.clone())).collect();
        self.databases.insert(name.to_owned(), Database { kind, schemas });
    }

    pub(super) fn host(&self) -> Rc<MockHost> {
        let account = self.clone();
        platform(move |sql| account.answer(sql))
    }

    pub(super) fn answer(&self, sql: &str) -> Said {
        let (words, names, texts) = tokens(sql);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let find = |word: &str| words.iter().position(|other| *other == word);
        let after = |word: &str| find(word).and_then(|at| words.get(at + 1));
        let limit = after("LIMIT").and_then(|n| n.parse().ok()).unwrap_or(10_000);
        let mut texts = texts.into_iter();
        let prefix = if find("STARTS").is_some() { texts.next() } else { None };
        let from = if words.first() == Some(&"SHOW") && find("FROM").is_some() { texts.next() } else { None };
        let page = Page { prefix: prefix.unwrap_or_default(), from, limit };
        match words[..] {
            ["SELECT", first, ..] if first.starts_with("CURRENT_") => who(sql),
            ["SHOW", "DATABASES", ..] => self.show_databases(&page),
            ["SHOW", "PARAMETERS", ..] => rows(&["key", "value"], vec![vec![json!("Q"), json!(self.parameter)]]),
            ["SHOW", "GRANTS", ..] => GONE,
            ["SHOW", "SCHEMAS", ..] => match self.databases.get(&names[0]) {
                Some(database) => show_schemas(&names[0], database, &page),
                None => GONE,
            },
            _ => match self.databases.get(&names[0]) {
                None => GONE,
                Some(database) => self.below(sql, &words, &names, texts, database, &page),
            },
        }
    }

    fn show_databases(&self, page: &Page) -> Said {
        let found = page.cut(self.databases.iter());
        let row = |(name, database): (&String, &Database)| {
            vec![
                json!("1600000000.5"),
                json!(name),
                json!(""),
                json!("OWNER"),
                json!("c"),
                json!(database.kind),
                json!("1"),
            ]
        };
        let columns = ["created_on", "name", "origin", "owner", "comment", "kind", "retention_time"];
        rows(&columns, found.into_iter().map(row).collect())
    }

    fn below(
        &self,
        sql: &str,
        words: &[&str],
        names: &[String],
        texts: impl Iterator<Item = String>,
        database: &Database,
        page: &Page,
    ) -> Said {
        if words[0] == "SELECT" {
            return if self.warehouse { self.select(sql, texts, database) } else { NO_WAREHOUSE };
        }
        let Some(tables) = names.get(1).and_then(|schema| database.schemas.get(schema)) else { return GONE };
        let is_view = |table: &Table| table.kind.ends_with("VIEW");
        let (database, schema) = (&names[0], &names[1]);
        match words {
            ["SHOW", "TABLES", ..] => show_tables(database, schema, page.cut(tables.iter().filter(|t| !is_view(t.1)))),
            ["SHOW", "VIEWS", ..] => show_views(database, schema, page.cut(tables.iter().filter(|t| is_view(t.1)))),
            ["SHOW", "COLUMNS", "IN", "SCHEMA", ..] => show_columns(database, schema, tables.iter()),
            ["SHOW", "COLUMNS", ..] => match tables.get_key_value(&names[2]) {
                Some(table) => show_columns(database, schema, [table].into_iter()),
                None => GONE,
            },
            ["DESCRIBE", ..] => tables.get(&names[2]).map_or(GONE, describe),
            _ => panic!("not understood: {sql}"),
        }
    }

    fn select(&self, sql: &str, texts: impl Iterator<Item = String>, database: &Database) -> Said {
        if sql.contains(".INFORMATION_SCHEMA.SCHEMATA") {
            return rows(&["SCHEMA_NAME"], vec![]);
        }
        let texts: Vec<String> = texts.collect();
        let Some(tables) = database.schemas.get(&texts[0]) else { return rows(&[], vec![]) };
        let names = &texts[1..];
        let is_asked = |name: &String| match () {
            () if sql.contains("TABLE_NAME >= ") => *name >= names[0] && *name <= names[1],
            () => names.contains(name),
        };
        let found: Vec<_> = tables.iter().filter(|(name, table)| is_asked(name) && !table.hidden).collect();
        if found.len() > self.most {
            return TOO_MUCH;
        }
        if sql.contains(".INFORMATION_SCHEMA.TABLES") {
            let row = |(name, table): (&String, &Table)| {
                vec![json!(name), json!("1.0"), json!(table.altered.to_string()), json!(table.ddl.to_string())]
            };
            return rows(&["TABLE_NAME", "CREATED", "LAST_ALTERED", "LAST_DDL"], found.into_iter().map(row).collect());
        }
        let mut all = Vec::new();
        for (name, table) in found {
            for column in &table.columns {
                let [data_type, length, precision, scale, fraction] = column.informed.clone();
                let (yes, none) = (json!("YES"), json!(null));
                all.push(vec![
                    json!(name),
                    json!(column.name),
                    data_type,
                    length,
                    precision,
                    scale,
                    fraction,
                    yes,
                    none,
                ]);
            }
        }
        let columns = "TABLE_NAME COLUMN_NAME DATA_TYPE CHARACTER_MAXIMUM_LENGTH NUMERIC_PRECISION NUMERIC_SCALE \
                       DATETIME_PRECISION IS_NULLABLE COMMENT";
        rows(&columns.split(' ').collect::<Vec<_>>(), all)
    }
}

struct Page {
    prefix: String,
    from: Option<String>,
    limit: usize,
}

impl Page {
    fn cut<'a, T>(&self, all: impl Iterator<Item = (&'a String, T)>) -> Vec<(&'a String, T)> {
        all.filter(|(name, _)| name.starts_with(&self.prefix) && self.from.as_ref().is_none_or(|from| *name > from))
            .take(self.limit)
            .collect()
    }
}

fn who(sql: &str) -> Said {
    let functions: Vec<&str> = sql.trim_start_matches("SELECT ").split(", ").collect();
    let value = |function: &&str| match *function {
        "CURRENT_ORGANIZATION_NAME()" => json!("ACME"),
        "CURRENT_ACCOUNT_NAME()" => json!("MAIN"),
        "CURRENT_ROLE()" => json!("ANALYST"),
        other => json!(other),
    };
    rows(&functions, vec![functions.iter().map(value).collect()])
}

fn show_schemas(name: &str, database: &Database, page: &Page) -> Said {
    let information_schema = "INFORMATION_SCHEMA".to_owned();
    let empty = BTreeMap::new();
    let mut all: BTreeMap<&String, _> = database.schemas.iter().collect();
    all.insert(&information_schema, &empty);
    let found = page.cut(all.into_iter());
    let row = |schema: &String| vec![json!(name), json!("OWNER"), json!(schema), json!("")];
    rows(&["database_name", "owner", "name", "comment"], found.into_iter().map(|(schema, _)| row(schema)).collect())
}

fn show_tables(database: &str, schema: &str, found: Vec<(&String, &Table)>) -> Said {
    let flag = |table: &Table, kind: &str| json!(if table.kind == kind { "Y" } else { "N" });
    let row = |(name, table): (&String, &Table)| {
        let kind = if table.kind.starts_with("is_") { "TABLE" } else { table.kind };
        let mut row = vec![json!("1.5"), json!(name), json!(database), json!(schema), json!(kind), json!("about it")];
        row.extend([json!("LINEAR(A)"), json!(12), json!("OWNER"), json!("1")]);
        row.extend(["is_external", "is_event", "is_hybrid", "is_iceberg", "is_dynamic"].map(|kind| flag(table, kind)));
        row
    };
    let columns = "created_on name database_name schema_name kind comment cluster_by rows owner retention_time \
                   is_external is_event is_hybrid is_iceberg is_dynamic";
    rows(&columns.split(' ').collect::<Vec<_>>(), found.into_iter().map(row).collect())
}

fn show_views(database: &str, schema: &str, found: Vec<(&String, &Table)>) -> Said {
    let row = |(name, table): (&String, &Table)| {
        let is = |kind: &str| json!(table.kind == kind);
        vec![json!(schema), json!(database), json!(name), is("SECURE VIEW"), is("MATERIALIZED VIEW"), json!("OWNER")]
    };
    let columns = ["schema_name", "database_name", "name", "is_secure", "is_materialized", "owner"];
    rows(&columns, found.into_iter().map(row).collect())
}

fn show_columns<'a>(database: &str, schema: &str, tables: impl Iterator<Item = (&'a String, &'a Table)>) -> Said {
    let mut all = Vec::new();
    for (name, table) in tables {
        for column in &table.columns {
            all.push(vec![
                json!(name),
                json!(schema),
                json!(column.name),
                json!(column.shown),
                json!(""),
                json!(database),
            ]);
        }
    }
    // Without a word.
    all.truncate(10_000);
    rows(&["table_name", "schema_name", "column_name", "data_type", "comment", "database_name"], all)
}

fn describe(table: &Table) -> Said {
    let row = |column: &Col| vec![json!(column.name), json!(column.text), json!("COLUMN"), json!("Y"), json!(null)];
    rows(&["name", "type", "kind", "null?", "comment"], table.columns.iter().map(row).collect())
}

/// Bare words, quoted names, and texts of a statement.
fn tokens(sql: &str) -> (Vec<String>, Vec<String>, Vec<String>) {
    let (mut words, mut names, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    let mut chars = sql.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' | '\'' => {
                let mut text = String::new();
                loop {
                    match chars.next().expect("a closing quote") {
                        '\\' if c == '\'' => text.push(chars.next().expect("an escaped character")),
                        other if other == c && chars.peek() == Some(&c) => text.extend(chars.next()),
                        other if other == c => break,
                        other => text.push(other),
                    }
                }
                if c == '"' { names.push(text) } else { texts.push(text) }
            }
            c if c.is_alphanumeric() => {
                let mut word = c.to_string();
                while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_' || *c == '(' || *c == ')') {
                    word.push(c);
                }
                words.push(word);
            }
            ';' => panic!("several statements: {sql}"),
            _ => {}
        }
    }
    (words, names, texts)
}
