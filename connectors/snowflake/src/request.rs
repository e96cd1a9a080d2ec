//! Which statements are sent: pure. Names are always quoted, as identifiers or as texts, without exception.

use std::fmt::Write as _;

/// Most rows that one SHOW gives at a time here: as many as a page holds.
pub(crate) const PAGE: usize = 1000;
/// Beyond so many rows SHOW COLUMNS leaves out the rest without a word.
pub(crate) const CUT: usize = 10_000;
/// Longest list of names that is written out; the host looks at no more than 64 KiB of a statement.
const MAX_LIST: usize = 32 * 1024;

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Its text.
    pub(crate) text: String,
    /// Whether it needs a warehouse.
    pub(crate) computes: bool,
}

/// A container whose children are listed: the account, a database, or a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container<'a> {
    /// Holds databases.
    Account,
    /// Holds schemas.
    Database(&'a str),
    /// Holds tables and views.
    Schema(Schema<'a>),
}

/// A schema and its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schema<'a> {
    /// Its database.
    pub(crate) database: &'a str,
    /// Its own name.
    pub(crate) name: &'a str,
}

/// What SHOW lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show<'a> {
    /// In the account.
    Databases,
    /// In a database.
    Schemas(&'a str),
    /// In a schema: tables of every kind.
    Tables(Schema<'a>),
    /// In a schema: views, materialized ones too.
    Views(Schema<'a>),
}

/// Which tables of a schema INFORMATION_SCHEMA is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which<'a> {
    /// Those with these names, in ascending order, which are all there are between the first and the last.
    Dense(&'a [&'a str]),
    /// Those with these names, in ascending order.
    Sparse(&'a [&'a str]),
}

impl<'a> Container<'a> {
    /// The container at a path; none where there are no containers.
    pub(crate) fn at(path: &'a [String]) -> Option<Self> {
        match path {
            [] => Some(Self::Account),
            [database] => Some(Self::Database(database)),
            [database, name] => Some(Self::Schema(Schema { database, name })),
            _ => None,
        }
    }

    /// For people: what is being listed.
    pub(crate) fn listing(self) -> String {
        match self {
            Self::Account => "list the databases".to_owned(),
            Self::Database(database) => format!("list the schemas of database {}", quoted(&[database])),
            Self::Schema(schema) => format!("list the tables and views of schema {}", schema.quoted()),
        }
    }

    /// What its children are shown as, in this order.
    pub(crate) fn shows(self) -> Vec<Show<'a>> {
        match self {
            Self::Account => vec![Show::Databases],
            Self::Database(database) => vec![Show::Schemas(database)],
            Self::Schema(schema) => vec![Show::Tables(schema), Show::Views(schema)],
        }
    }
}

impl Schema<'_> {
    /// As SQL writes it.
    pub(crate) fn quoted(self) -> String {
        quoted(&[self.database, self.name])
    }
}

/// A name of several parts, as SQL writes it.
pub(crate) fn quoted(parts: &[&str]) -> String {
    parts.iter().map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect::<Vec<_>>().join(".")
}

/// A text, as SQL writes it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn free(text: String) -> Statement {
    Statement { text, computes: false }
}

/// At most `limit` of what there is, whose names begin with `prefix` and come after `after`, by name.
pub(crate) fn show(what: Show<'_>, prefix: &str, limit: usize, after: Option<&str>) -> Statement {
    let mut text = match what {
        Show::Databases => "SHOW DATABASES".to_owned(),
        Show::Schemas(database) => format!("SHOW SCHEMAS IN DATABASE {}", quoted(&[database])),
        Show::Tables(schema) => format!("SHOW TABLES IN SCHEMA {}", schema.quoted()),
        Show::Views(schema) => format!("SHOW VIEWS IN SCHEMA {}", schema.quoted()),
    };
    if !prefix.is_empty() {
        let _ = write!(text, " STARTS WITH {}", literal(prefix));
    }
    let _ = write!(text, " LIMIT {limit}");
    if let Some(after) = after {
        let _ = write!(text, " FROM {}", literal(after));
    }
    free(text)
}

/// The columns of everything in a schema, as long as there are fewer than [`CUT`].
pub(crate) fn columns_of_schema(schema: Schema<'_>) -> Statement {
    free(format!("SHOW COLUMNS IN SCHEMA {}", schema.quoted()))
}

/// The columns of one table or view, as long as there are fewer than [`CUT`].
pub(crate) fn columns_of_table(schema: Schema<'_>, name: &str) -> Statement {
    free(format!("SHOW COLUMNS IN TABLE {}", quoted(&[schema.database, schema.name, name])))
}

/// All columns of one table or view.
pub(crate) fn describe(schema: Schema<'_>, name: &str) -> Statement {
    free(format!("DESCRIBE TABLE {}", quoted(&[schema.database, schema.name, name])))
}

/// When tables and views were changed.
pub(crate) fn changes(schema: Schema<'_>, which: Which<'_>) -> Statement {
    information(schema, "TABLES", &["TABLE_NAME", "CREATED", "LAST_ALTERED", "LAST_DDL"], which, "")
}

/// Columns, by table and in their order.
pub(crate) fn columns(schema: Schema<'_>, which: Which<'_>) -> Statement {
    let columns = [
        "TABLE_NAME",
        "COLUMN_NAME",
        "DATA_TYPE",
        "CHARACTER_MAXIMUM_LENGTH",
        "NUMERIC_PRECISION",
        "NUMERIC_SCALE",
        "DATETIME_PRECISION",
        "IS_NULLABLE",
        "COMMENT",
    ];
    information(schema, "COLUMNS", &columns, which, " ORDER BY TABLE_NAME, ORDINAL_POSITION")
}

fn information(schema: Schema<'_>, view: &str, columns: &[&str], which: Which<'_>, order: &str) -> Statement {
    let columns = columns.join(", ");
    let database = quoted(&[schema.database]);
    let text = format!(
        "SELECT {columns} FROM {database}.INFORMATION_SCHEMA.{view} WHERE TABLE_SCHEMA = {}{}{order}",
        literal(schema.name),
        condition(which),
    );
    Statement { text, computes: true }
}

fn condition(which: Which<'_>) -> String {
    let (Which::Dense(names) | Which::Sparse(names)) = which;
    let list = names.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", ");
    match (which, names) {
        (_, []) => " AND 1 = 0".to_owned(),
        (_, [_]) => format!(" AND TABLE_NAME = {list}"),
        (Which::Sparse(_), _) if list.len() <= MAX_LIST => format!(" AND TABLE_NAME IN ({list})"),
        (_, [first, .., last]) => {
            format!(" AND TABLE_NAME >= {} AND TABLE_NAME <= {}", literal(first), literal(last))
        }
    }
}

/// Whether INFORMATION_SCHEMA can be asked: something small.
pub(crate) fn probe(database: &str) -> Statement {
    let text = format!("SELECT SCHEMA_NAME FROM {}.INFORMATION_SCHEMA.SCHEMATA LIMIT 1", quoted(&[database]));
    Statement { text, computes: true }
}

/// Who we are: the columns of [`whoami`], in their order.
pub(crate) const WHO: [&str; 5] =
    ["CURRENT_ORGANIZATION_NAME()", "CURRENT_ACCOUNT_NAME()", "CURRENT_ACCOUNT()", "CURRENT_USER()", "CURRENT_ROLE()"];

/// Which account this is, and as whom we see it.
pub(crate) fn whoami() -> Statement {
    free(format!("SELECT {}", WHO.join(", ")))
}

/// What a role may do.
pub(crate) fn grants(role: &str) -> Statement {
    free(format!("SHOW GRANTS TO ROLE {}", quoted(&[role])))
}

/// Whether quoted names are read in upper case all the same.
pub(crate) fn ignores_case() -> Statement {
    free("SHOW PARAMETERS LIKE 'QUOTED_IDENTIFIERS_IGNORE_CASE'".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: Schema<'static> = Schema { database: "D", name: "s'\\" };

    #[test]
    fn names_stay_inside_their_quotes() {
        let hostile = Schema { database: "a\"; DROP", name: "it's\\" };
        assert_eq!(
            show(Show::Tables(hostile), "x'\\", 7, Some("y'--")).text,
            "SHOW TABLES IN SCHEMA \"a\"\"; DROP\".\"it's\\\" STARTS WITH 'x''\\\\' LIMIT 7 FROM 'y''--'"
        );
        assert_eq!(show(Show::Databases, "", 1000, None).text, "SHOW DATABASES LIMIT 1000");
        assert_eq!(
            show(Show::Schemas("D.\"1\""), "", 2, None).text,
            "SHOW SCHEMAS IN DATABASE \"D.\"\"1\"\"\" LIMIT 2"
        );
        assert_eq!(describe(SCHEMA, "\"").text, "DESCRIBE TABLE \"D\".\"s'\\\".\"\"\"\"");
        assert_eq!(grants("r\"o").text, "SHOW GRANTS TO ROLE \"r\"\"o\"");
    }

    #[test]
    fn information_schema_is_asked_by_range_or_list() {
        let select = "SELECT TABLE_NAME, CREATED, LAST_ALTERED, LAST_DDL FROM \"D\".INFORMATION_SCHEMA.TABLES \
                      WHERE TABLE_SCHEMA = 's''\\\\'";
        for (which, condition) in [
            (Which::Dense(&["a", "b", "c'"]), " AND TABLE_NAME >= 'a' AND TABLE_NAME <= 'c'''"),
            (Which::Sparse(&["a", "b'"]), " AND TABLE_NAME IN ('a', 'b''')"),
            (Which::Sparse(&["a"]), " AND TABLE_NAME = 'a'"),
            (Which::Sparse(&[]), " AND 1 = 0"),
        ] {
            let statement = changes(SCHEMA, which);
            assert_eq!(statement.text, format!("{select}{condition}"));
            assert!(statement.computes);
        }
        let long: Vec<String> = (0..1000).map(|i| format!("{i:0>60}")).collect();
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        let text = columns(SCHEMA, Which::Sparse(&long)).text;
        assert!(text.len() < 1000 && text.contains(" >= ") && text.ends_with("ORDER BY TABLE_NAME, ORDINAL_POSITION"));
    }
}
