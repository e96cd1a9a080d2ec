//! Conditions of a `WHERE`, with names resolved once; what needs no column is asked once a table.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::{Run, Scene};
use crate::snowflake::errors::Refusal;
use crate::snowflake::relation::{Cell, Field, Row};
use crate::snowflake::sql::{Case, Compare, Test, Value, like};

/// Names that tables and their columns share, so that a condition on them alone can be asked of the table.
const OF_TABLES: &[&str] = &["TABLE_CATALOG", "TABLE_SCHEMA", "TABLE_NAME"];

/// A condition that all rows must fulfil.
#[derive(Default)]
pub(super) struct Filter {
    /// Equalities of the schema, asked before anything else.
    schemas: Vec<String>,
    tables: Vec<Resolved>,
    rest: Vec<Resolved>,
}

type Get = for<'a> fn(&Row<'a>) -> Cell<'a>;

enum Operand {
    Field(Get),
    Constant(Cell<'static>),
}

enum Resolved {
    And(Box<Resolved>, Box<Resolved>),
    Or(Box<Resolved>, Box<Resolved>),
    Not(Box<Resolved>),
    Compare(Operand, Compare, Operand),
    In(Operand, HashSet<String>),
    Like(Operand, Operand, Case),
    IsNull(Operand),
    StartsWith(Operand, Operand),
}

/// Resolves a condition over the fields of a view.
pub(super) fn compile(scene: &Scene<'_>, fields: &'static [Field], test: &Test) -> Run<Filter> {
    let mut filter = Filter::default();
    let mut open = vec![test];
    while let Some(test) = open.pop() {
        if let Test::And(a, b) = test {
            open.extend([&**b, &**a]);
            continue;
        }
        if let Test::Compare(Value::Column(name), Compare::Equal, Value::Text(text)) = test
            && name == "TABLE_SCHEMA"
        {
            filter.schemas.push(text.clone());
        }
        let resolved = resolve(scene, fields, test)?;
        let of_tables = mentions(test).iter().all(|name| OF_TABLES.contains(name));
        // Other views have these names as well, or lack them; only here does it save anything.
        if of_tables && fields.iter().any(|field| field.name == "TABLE_NAME") {
            filter.tables.push(resolved);
        } else {
            filter.rest.push(resolved);
        }
    }
    Ok(filter)
}

impl Filter {
    pub(super) fn may_have_schema(&self, name: &str) -> bool {
        self.schemas.iter().all(|wanted| wanted == name)
    }

    pub(super) fn fits_table(&self, row: &Row<'_>) -> bool {
        self.tables.iter().all(|test| test.holds(row) == Some(true))
    }

    pub(super) fn fits_rest(&self, row: &Row<'_>) -> bool {
        self.rest.iter().all(|test| test.holds(row) == Some(true))
    }
}

/// Order of cells; null comes last, as the platform has it.
pub(super) fn order(a: &Cell<'_>, b: &Cell<'_>) -> Ordering {
    match (a, b) {
        (Cell::Null, Cell::Null) => Ordering::Equal,
        (Cell::Null, _) => Ordering::Greater,
        (_, Cell::Null) => Ordering::Less,
        _ => compare(a, b).unwrap_or(Ordering::Equal),
    }
}

/// None where one is null, or where the two cannot be compared.
fn compare(a: &Cell<'_>, b: &Cell<'_>) -> Option<Ordering> {
    match (a, b) {
        (Cell::Text(a), Cell::Text(b)) => Some(a.cmp(b)),
        (Cell::Number(a), Cell::Number(b)) | (Cell::Time(a), Cell::Time(b)) => Some(a.cmp(b)),
        (Cell::Boolean(a), Cell::Boolean(b)) => Some(a.cmp(b)),
        (Cell::Number(a), Cell::Text(b)) => b.parse().ok().map(|b| a.cmp(&b)),
        (Cell::Text(a), Cell::Number(b)) => a.parse::<i64>().ok().map(|a| a.cmp(b)),
        _ => None,
    }
}

fn column_of(value: &Value) -> Option<&str> {
    match value {
        Value::Column(name) => Some(name),
        _ => None,
    }
}

fn mentions(test: &Test) -> Vec<&str> {
    match test {
        Test::And(a, b) | Test::Or(a, b) => [mentions(a), mentions(b)].concat(),
        Test::Not(a) => mentions(a),
        Test::Compare(a, _, b) | Test::Like(a, b, _) | Test::StartsWith(a, b) => {
            [a, b].into_iter().filter_map(column_of).collect()
        }
        Test::In(a, list) => std::iter::once(a).chain(list).filter_map(column_of).collect(),
        Test::IsNull(a) => column_of(a).into_iter().collect(),
    }
}

fn resolve(scene: &Scene<'_>, fields: &'static [Field], test: &Test) -> Run<Resolved> {
    let operand = |value: &Value| match value {
        Value::Column(name) => scene.field(fields, name).map(|field| Operand::Field(field.get)),
        value => scene.value(value).map(Operand::Constant),
    };
    let inner = |test: &Test| resolve(scene, fields, test).map(Box::new);
    Ok(match test {
        Test::And(a, b) => Resolved::And(inner(a)?, inner(b)?),
        Test::Or(a, b) => Resolved::Or(inner(a)?, inner(b)?),
        Test::Not(a) => Resolved::Not(inner(a)?),
        Test::Compare(a, by, b) => Resolved::Compare(operand(a)?, *by, operand(b)?),
        Test::Like(a, b, case) => Resolved::Like(operand(a)?, operand(b)?, *case),
        Test::IsNull(a) => Resolved::IsNull(operand(a)?),
        Test::StartsWith(a, b) => Resolved::StartsWith(operand(a)?, operand(b)?),
        Test::In(a, list) => {
            let text = |value: &Value| match scene.value(value)? {
                Cell::Text(text) => Ok(text.into_owned()),
                Cell::Number(number) => Ok(number.to_string()),
                _ => Err(Refusal::not_supported("IN a list with NULL")),
            };
            Resolved::In(operand(a)?, list.iter().map(text).collect::<Run<_>>()?)
        }
    })
}

impl Operand {
    fn of<'a>(&'a self, row: &Row<'a>) -> Cell<'a> {
        match self {
            Self::Field(get) => get(row),
            Self::Constant(cell) => cell.borrowed(),
        }
    }
}

impl Resolved {
    /// None: unknown, because something is null.
    fn holds(&self, row: &Row<'_>) -> Option<bool> {
        match self {
            Self::And(a, b) => match (a.holds(row), b.holds(row)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (a, b) => Some(a? && b?),
            },
            Self::Or(a, b) => match (a.holds(row), b.holds(row)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (a, b) => Some(a? || b?),
            },
            Self::Not(a) => a.holds(row).map(|holds| !holds),
            Self::Compare(a, by, b) => {
                let order = compare(&a.of(row), &b.of(row))?;
                Some(match by {
                    Compare::Equal => order.is_eq(),
                    Compare::Unequal => order.is_ne(),
                    Compare::Less => order.is_lt(),
                    Compare::AtMost => order.is_le(),
                    Compare::More => order.is_gt(),
                    Compare::AtLeast => order.is_ge(),
                })
            }
            Self::In(a, list) => match a.of(row) {
                Cell::Text(text) => Some(list.contains(text.as_ref())),
                Cell::Number(number) => Some(list.contains(&number.to_string())),
                _ => None,
            },
            Self::Like(a, pattern, case) => match (a.of(row), pattern.of(row)) {
                (Cell::Text(text), Cell::Text(pattern)) => Some(like(&pattern, &text, *case)),
                _ => None,
            },
            Self::IsNull(a) => Some(a.of(row) == Cell::Null),
            Self::StartsWith(a, prefix) => match (a.of(row), prefix.of(row)) {
                (Cell::Text(text), Cell::Text(prefix)) => Some(text.starts_with(prefix.as_ref())),
                _ => None,
            },
        }
    }
}
