//! The views of `INFORMATION_SCHEMA`: what columns they have and what stands in them.

use super::data_type::DataType;
use super::model::{Column, Kind};
use super::relation::{Cell, Field, Row, Type, get, number, text, time};

/// A view of `INFORMATION_SCHEMA` that can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    Databases,
    Schemata,
    Tables,
    Views,
    Columns,
}

impl View {
    const ALL: [Self; 5] = [Self::Databases, Self::Schemata, Self::Tables, Self::Views, Self::Columns];

    /// By its stored name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|view| view.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Databases => "DATABASES",
            Self::Schemata => "SCHEMATA",
            Self::Tables => "TABLES",
            Self::Views => "VIEWS",
            Self::Columns => "COLUMNS",
        }
    }

    pub(crate) fn fields(self) -> &'static [Field] {
        match self {
            Self::Databases => DATABASES,
            Self::Schemata => SCHEMATA,
            Self::Tables => TABLES,
            Self::Views => VIEWS,
            Self::Columns => COLUMNS,
        }
    }
}

/// The views themselves, as objects of the schema.
pub(crate) fn views() -> Vec<(&'static str, Vec<Column>)> {
    let column = |field: &Field| {
        let data_type = match field.kind {
            Type::Text => DataType::Text { length: 16_777_216 },
            Type::Number => DataType::Number { precision: 38, scale: 0 },
            Type::Boolean => DataType::Boolean,
            Type::Time => DataType::TimestampLtz { scale: 9 },
        };
        Column::new(field.name, data_type)
    };
    let mut views: Vec<_> =
        View::ALL.into_iter().map(|view| (view.name(), view.fields().iter().map(column).collect())).collect();
    for other in ["APPLICABLE_ROLES", "FUNCTIONS", "OBJECT_PRIVILEGES", "STAGES", "TABLE_CONSTRAINTS"] {
        views.push((other, vec![Column::new("NAME", "VARCHAR"), Column::new("OWNER", "VARCHAR")]));
    }
    views
}

const DATABASES: &[Field] = &[
    text("DATABASE_NAME", get::name),
    text("DATABASE_OWNER", get::owner_or_none),
    text("IS_TRANSIENT", |_| Cell::word(false)),
    text("COMMENT", get::comment_or_none),
    time("CREATED", get::created),
    time("LAST_ALTERED", get::created),
    number("RETENTION_TIME", |_| Cell::Number(1)),
    text("TYPE", |row| match row {
        Row::Database { of, .. } => Cell::text(of.kind.as_str()),
        _ => Cell::Null,
    }),
];

const SCHEMATA: &[Field] = &[
    text("CATALOG_NAME", get::database),
    text("SCHEMA_NAME", get::name),
    text("SCHEMA_OWNER", get::owner_or_none),
    text("IS_TRANSIENT", |_| Cell::word(false)),
    text("IS_MANAGED_ACCESS", |_| Cell::word(false)),
    number("RETENTION_TIME", |_| Cell::Number(1)),
    text("DEFAULT_CHARACTER_SET_CATALOG", get::nothing),
    text("DEFAULT_CHARACTER_SET_SCHEMA", get::nothing),
    text("DEFAULT_CHARACTER_SET_NAME", get::nothing),
    text("SQL_PATH", get::nothing),
    time("CREATED", get::created),
    time("LAST_ALTERED", get::created),
    text("COMMENT", get::comment_or_none),
];

const TABLES: &[Field] = &[
    text("TABLE_CATALOG", get::database),
    text("TABLE_SCHEMA", get::schema),
    text("TABLE_NAME", get::name),
    text("TABLE_OWNER", get::owner_or_none),
    text("TABLE_TYPE", |row| kind(row).map_or(Cell::Null, |kind| Cell::text(kind.table_type()))),
    text("IS_TRANSIENT", |row| match kind(row) {
        Some(kind) if !kind.is_view() => Cell::word(kind == Kind::Transient),
        _ => Cell::Null,
    }),
    text("CLUSTERING_KEY", get::nothing),
    number("ROW_COUNT", |row| counted(row, 1)),
    number("BYTES", |row| counted(row, 96)),
    number("RETENTION_TIME", |row| match kind(row) {
        Some(kind) if !kind.is_view() => Cell::Number(1),
        _ => Cell::Null,
    }),
    text("SELF_REFERENCING_COLUMN_NAME", get::nothing),
    text("REFERENCE_GENERATION", get::nothing),
    text("USER_DEFINED_TYPE_CATALOG", get::nothing),
    text("USER_DEFINED_TYPE_SCHEMA", get::nothing),
    text("USER_DEFINED_TYPE_NAME", get::nothing),
    text("IS_INSERTABLE_INTO", |_| Cell::word(true)),
    text("IS_TYPED", |_| Cell::word(true)),
    text("COMMIT_ACTION", get::nothing),
    time("CREATED", get::created),
    time("LAST_ALTERED", |row| row.table().map_or(Cell::Null, |of| Cell::Time(of.last_altered_ms))),
    time("LAST_DDL", |row| row.table().map_or(Cell::Null, |of| Cell::Time(of.last_ddl_ms))),
    text("LAST_DDL_BY", get::nothing),
    text("AUTO_CLUSTERING_ON", |_| Cell::word(false)),
    text("COMMENT", get::comment_or_none),
    text("IS_TEMPORARY", |row| is(row, Kind::Temporary)),
    text("IS_ICEBERG", |row| is(row, Kind::Iceberg)),
    text("IS_DYNAMIC", |row| is(row, Kind::Dynamic)),
    text("IS_IMMUTABLE", |_| Cell::word(false)),
    text("IS_HYBRID", |row| is(row, Kind::Hybrid)),
];

const VIEWS: &[Field] = &[
    text("TABLE_CATALOG", get::database),
    text("TABLE_SCHEMA", get::schema),
    text("TABLE_NAME", get::name),
    text("TABLE_OWNER", get::owner_or_none),
    text("VIEW_DEFINITION", |row| Cell::text(super::show::definition(row.name()))),
    text("CHECK_OPTION", |_| Cell::text("NONE")),
    text("IS_UPDATABLE", |_| Cell::word(false)),
    text("INSERTABLE_INTO", |_| Cell::word(false)),
    text("IS_SECURE", |row| is(row, Kind::SecureView)),
    time("CREATED", get::created),
    time("LAST_ALTERED", |row| row.table().map_or(Cell::Null, |of| Cell::Time(of.last_altered_ms))),
    time("LAST_DDL", |row| row.table().map_or(Cell::Null, |of| Cell::Time(of.last_ddl_ms))),
    text("LAST_DDL_BY", get::nothing),
    text("COMMENT", get::comment_or_none),
];

const COLUMNS: &[Field] = &[
    text("TABLE_CATALOG", get::database),
    text("TABLE_SCHEMA", get::schema),
    text("TABLE_NAME", get::table),
    text("COLUMN_NAME", get::name),
    number("ORDINAL_POSITION", |row| match row {
        Row::Column { at, .. } => Cell::Number(*at as i64 + 1),
        _ => Cell::Null,
    }),
    text("COLUMN_DEFAULT", get::nothing),
    text("IS_NULLABLE", |row| row.column().map_or(Cell::Null, |of| Cell::word(of.nullable))),
    text("DATA_TYPE", |row| typed(row).map_or(Cell::Null, |of| Cell::text(of.name()))),
    number("CHARACTER_MAXIMUM_LENGTH", |row| Cell::maybe_number(typed(row).and_then(DataType::length))),
    number("CHARACTER_OCTET_LENGTH", |row| Cell::maybe_number(typed(row).and_then(DataType::octets))),
    number("NUMERIC_PRECISION", |row| Cell::maybe_number(typed(row).and_then(DataType::precision).map(|two| two.0))),
    number("NUMERIC_PRECISION_RADIX", |row| Cell::maybe_number(typed(row).and_then(DataType::precision).map(|_| 10))),
    number("NUMERIC_SCALE", |row| Cell::maybe_number(typed(row).and_then(DataType::precision).map(|two| two.1))),
    number("DATETIME_PRECISION", |row| Cell::maybe_number(typed(row).and_then(DataType::fraction))),
    text("INTERVAL_TYPE", get::nothing),
    text("COLLATION_NAME", get::nothing),
    text("IS_SELF_REFERENCING", |_| Cell::word(false)),
    text("IS_IDENTITY", |_| Cell::word(false)),
    text("IDENTITY_GENERATION", get::nothing),
    text("IDENTITY_START", get::nothing),
    text("IDENTITY_INCREMENT", get::nothing),
    text("COMMENT", get::comment_or_none),
    text("DATA_TYPE_ALIAS", |row| typed(row).map_or(Cell::Null, |of| Cell::text(of.name()))),
    text("EXPRESSION", |row| Cell::maybe(row.column().and_then(|of| of.expression.as_deref()))),
    text("KIND", |row| match row.column() {
        Some(of) if of.expression.is_some() => Cell::text("VIRTUAL_COLUMN"),
        _ => Cell::text("COLUMN"),
    }),
];

fn kind(row: &Row<'_>) -> Option<Kind> {
    row.table().map(|of| of.kind)
}

fn is<'a>(row: &Row<'a>, wanted: Kind) -> Cell<'a> {
    Cell::word(kind(row) == Some(wanted))
}

fn typed<'a>(row: &Row<'a>) -> Option<&'a DataType> {
    row.column().map(|of| &of.data_type)
}

fn counted<'a>(row: &Row<'a>, each: i64) -> Cell<'a> {
    match row.table() {
        Some(of) if !of.kind.is_view() => Cell::Number(of.rows as i64 * each),
        _ => Cell::Null,
    }
}
