//! Columns and how two lists of them differ (D40).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// A column of a table-like object, in the order in which the platform delivered it.
///
/// A column is known by its name and occurrence: names may repeat, be empty, and differ only in normalisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// As the platform spells it; may be empty.
    pub name: String,
    /// As the platform writes it.
    pub data_type: String,
    /// Whether it may hold nulls, where the platform says so.
    pub nullable: Option<bool>,
    /// The platform's comment.
    pub comment: Option<String>,
    /// The platform's own ordinal, kept as information.
    pub position: Option<i64>,
}

/// How a list of columns differs from the one before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnChanges {
    /// Names that are new.
    pub added: Vec<String>,
    /// Names whose type or nullability differs.
    pub changed: Vec<String>,
    /// Names that are gone.
    pub deleted: Vec<String>,
    /// Whether only order, comments or positions differ besides.
    pub details: bool,
}

impl ColumnChanges {
    /// Whether the two lists were equal in everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.deleted.is_empty() && !self.details
    }
}

/// Compares two lists. Reordering and comments are details; a rename is a deletion and an addition.
#[must_use]
pub fn diff_columns(old: &[Column], new: &[Column]) -> ColumnChanges {
    if old == new {
        return ColumnChanges::default();
    }
    let mut before = by_occurrence(old);
    let mut changes = ColumnChanges::default();
    for (key, column) in in_order(new) {
        match before.remove(&key) {
            None => changes.added.push(column.name.clone()),
            Some(was) if was.data_type != column.data_type || was.nullable != column.nullable => {
                changes.changed.push(column.name.clone());
            }
            Some(_) => {}
        }
    }
    changes.deleted =
        in_order(old).filter(|(key, _)| before.contains_key(key)).map(|(_, column)| column.name.clone()).collect();
    changes.details = changes.is_empty();
    changes
}

fn in_order(columns: &[Column]) -> impl Iterator<Item = ((&str, usize), &Column)> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    columns.iter().map(move |column| {
        let n = seen.entry(&column.name).or_default();
        *n += 1;
        ((column.name.as_str(), *n), column)
    })
}

fn by_occurrence(columns: &[Column]) -> HashMap<(&str, usize), &Column> {
    in_order(columns).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(spec: &str) -> Vec<Column> {
        spec.split_whitespace()
            .map(|part| {
                let (name, data_type) = part.split_once(':').expect("name:type");
                Column { name: name.into(), data_type: data_type.into(), nullable: None, comment: None, position: None }
            })
            .collect()
    }

    #[track_caller]
    fn check(old: &str, new: &str, added: &[&str], changed: &[&str], deleted: &[&str], details: bool) {
        let got = diff_columns(&columns(old), &columns(new));
        let want = ColumnChanges {
            added: added.iter().map(ToString::to_string).collect(),
            changed: changed.iter().map(ToString::to_string).collect(),
            deleted: deleted.iter().map(ToString::to_string).collect(),
            details,
        };
        assert_eq!(got, want);
    }

    #[test]
    fn each_kind_of_change_is_told_apart() {
        check("a:int b:int", "a:int b:int", &[], &[], &[], false);
        check("a:int b:int", "b:int a:int", &[], &[], &[], true);
        check("a:int", "a:text", &[], &["a"], &[], false);
        check("a:int", "b:int", &["b"], &[], &["a"], false);
        check("a:int a:int", "a:int", &[], &[], &["a"], false);
        check("a:int", "a:int a:text", &["a"], &[], &[], false);
        check("", "a:int", &["a"], &[], &[], false);
    }
}
