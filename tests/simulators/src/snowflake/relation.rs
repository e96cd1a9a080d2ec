//! What a statement's rows are, before anybody writes them: references into the model, and columns as functions of them.
//!
//! `SHOW` and `INFORMATION_SCHEMA` are both made of these, so they cannot disagree about the model. Nothing is copied until
//! a cell is written.

use std::borrow::Cow;

use super::model::{Column, Database, Schema, Table, Warehouse};

/// A row, by reference.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Row<'a> {
    Database {
        name: &'a str,
        of: &'a Database,
        current: bool,
    },
    Schema {
        database: &'a str,
        name: &'a str,
        of: &'a Schema,
        current: bool,
    },
    Table {
        database: &'a str,
        schema: &'a str,
        name: &'a str,
        of: &'a Table,
    },
    Column {
        database: &'a str,
        schema: &'a str,
        table: &'a str,
        at: usize,
        of: &'a Column,
    },
    Warehouse {
        name: &'a str,
        of: &'a Warehouse,
        current: bool,
    },
    /// Whatever else: texts that were made for it.
    Texts(&'a [Option<String>]),
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Text(Cow<'a, str>),
    Number(i64),
    Boolean(bool),
    /// Milliseconds since 1970.
    Time(i64),
}

/// A type of a result's column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Text,
    Number,
    Boolean,
    /// `timestamp_ltz`.
    Time,
}

/// A column of a relation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Type,
    pub(crate) get: for<'a> fn(&Row<'a>) -> Cell<'a>,
}

/// A text column.
pub(crate) const fn text(name: &'static str, get: for<'a> fn(&Row<'a>) -> Cell<'a>) -> Field {
    Field { name, kind: Type::Text, get }
}

/// A number column.
pub(crate) const fn number(name: &'static str, get: for<'a> fn(&Row<'a>) -> Cell<'a>) -> Field {
    Field { name, kind: Type::Number, get }
}

/// A point in time.
pub(crate) const fn time(name: &'static str, get: for<'a> fn(&Row<'a>) -> Cell<'a>) -> Field {
    Field { name, kind: Type::Time, get }
}

impl<'a> Cell<'a> {
    pub(crate) fn text(of: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(of.into())
    }

    pub(crate) fn maybe(of: Option<&'a str>) -> Self {
        of.map_or(Self::Null, Self::text)
    }

    pub(crate) fn maybe_number(of: Option<impl Into<i64>>) -> Self {
        of.map_or(Self::Null, |number| Self::Number(number.into()))
    }

    /// The same without a copy of the text.
    pub(crate) fn borrowed(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Text(text) => Cell::Text(Cow::Borrowed(text)),
            Self::Number(number) => Cell::Number(*number),
            Self::Boolean(value) => Cell::Boolean(*value),
            Self::Time(ms) => Cell::Time(*ms),
        }
    }

    /// `Y` or `N`.
    pub(crate) fn letter(of: bool) -> Self {
        Self::text(if of { "Y" } else { "N" })
    }

    /// `YES` or `NO`.
    pub(crate) fn word(of: bool) -> Self {
        Self::text(if of { "YES" } else { "NO" })
    }
}

impl<'a> Row<'a> {
    /// What it is called, for cursors and patterns.
    pub(crate) fn name(&self) -> &'a str {
        match self {
            Self::Database { name, .. }
            | Self::Schema { name, .. }
            | Self::Table { name, .. }
            | Self::Warehouse { name, .. } => name,
            Self::Column { of, .. } => &of.name,
            Self::Texts(_) => "",
        }
    }

    pub(crate) fn table(&self) -> Option<&'a Table> {
        match self {
            Self::Table { of, .. } => Some(of),
            _ => None,
        }
    }

    pub(crate) fn column(&self) -> Option<&'a Column> {
        match self {
            Self::Column { of, .. } => Some(of),
            _ => None,
        }
    }
}

/// The parts of names and facts that several relations show.
pub(crate) mod get {
    use super::{Cell, Row};
    use crate::snowflake::model::Facts;

    fn facts<'a>(row: &Row<'a>) -> Option<&'a Facts> {
        match row {
            Row::Database { of, .. } => Some(&of.facts),
            Row::Schema { of, .. } => Some(&of.facts),
            Row::Table { of, .. } => Some(&of.facts),
            _ => None,
        }
    }

    pub(crate) fn name<'a>(row: &Row<'a>) -> Cell<'a> {
        Cell::text(row.name())
    }

    pub(crate) fn database<'a>(row: &Row<'a>) -> Cell<'a> {
        match row {
            Row::Schema { database, .. } | Row::Table { database, .. } | Row::Column { database, .. } => {
                Cell::text(*database)
            }
            _ => Cell::Null,
        }
    }

    pub(crate) fn schema<'a>(row: &Row<'a>) -> Cell<'a> {
        match row {
            Row::Table { schema, .. } | Row::Column { schema, .. } => Cell::text(*schema),
            _ => Cell::Null,
        }
    }

    pub(crate) fn table<'a>(row: &Row<'a>) -> Cell<'a> {
        match row {
            Row::Column { table, .. } => Cell::text(*table),
            _ => name(row),
        }
    }

    pub(crate) fn created<'a>(row: &Row<'a>) -> Cell<'a> {
        match row {
            Row::Warehouse { of, .. } => Cell::Time(of.created_ms),
            _ => facts(row).map_or(Cell::Null, |facts| Cell::Time(facts.created_ms)),
        }
    }

    pub(crate) fn owner<'a>(row: &Row<'a>) -> Cell<'a> {
        facts(row).map_or(Cell::Null, |facts| Cell::text(facts.owner.as_str()))
    }

    /// As `INFORMATION_SCHEMA` shows it: none where the platform owns the object.
    pub(crate) fn owner_or_none<'a>(row: &Row<'a>) -> Cell<'a> {
        facts(row).filter(|facts| !facts.owner.is_empty()).map_or(Cell::Null, |facts| Cell::text(facts.owner.as_str()))
    }

    /// As `SHOW` shows it: empty where there is none.
    pub(crate) fn comment<'a>(row: &Row<'a>) -> Cell<'a> {
        let comment = match row {
            Row::Column { of, .. } => of.comment.as_deref(),
            Row::Warehouse { of, .. } => of.comment.as_deref(),
            _ => facts(row).and_then(|facts| facts.comment.as_deref()),
        };
        Cell::text(comment.unwrap_or_default())
    }

    /// As `INFORMATION_SCHEMA` shows it: null where there is none.
    pub(crate) fn comment_or_none<'a>(row: &Row<'a>) -> Cell<'a> {
        match comment(row) {
            Cell::Text(text) if text.is_empty() => Cell::Null,
            comment => comment,
        }
    }

    pub(crate) fn nothing<'a>(_: &Row<'a>) -> Cell<'a> {
        Cell::Null
    }

    pub(crate) fn empty<'a>(_: &Row<'a>) -> Cell<'a> {
        Cell::text("")
    }

    pub(crate) fn one<'a>(_: &Row<'a>) -> Cell<'a> {
        Cell::text("1")
    }

    pub(crate) fn role<'a>(_: &Row<'a>) -> Cell<'a> {
        Cell::text("ROLE")
    }

    pub(crate) fn current<'a>(row: &Row<'a>) -> Cell<'a> {
        let current = match row {
            Row::Database { current, .. } | Row::Schema { current, .. } | Row::Warehouse { current, .. } => *current,
            _ => false,
        };
        Cell::letter(current)
    }

    pub(crate) fn no<'a>(_: &Row<'a>) -> Cell<'a> {
        Cell::letter(false)
    }
}
