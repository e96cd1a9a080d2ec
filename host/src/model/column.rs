//! Columns and how two lists of them differ (D40).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::diff::truncate;

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

/// What became of columns, with what they were before: what people read in the history of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnValues {
    /// As they are.
    pub added: Vec<Column>,
    /// Whose type or nullability differs: before and after.
    pub changed: Vec<(Column, Column)>,
    /// As they were.
    pub deleted: Vec<Column>,
    /// Of which only the comment differs: before and after.
    pub commented: Vec<(Column, Column)>,
    /// Whether those that stayed stand in another order.
    pub reordered: bool,
}

/// The same comparison as [`diff_columns`], with values. Comments are kept up to `comment_bytes`.
#[must_use]
pub fn column_values(old: &[Column], new: &[Column], comment_bytes: usize) -> ColumnValues {
    let kept = |column: &Column| {
        let mut column = column.clone();
        if let Some(comment) = &mut column.comment {
            truncate(comment, comment_bytes);
        }
        column
    };
    let (mut before, after) = (by_occurrence(old), by_occurrence(new));
    let stayed =
        |columns| in_order(columns).map(|(key, _)| key).filter(|k| before.contains_key(k) && after.contains_key(k));
    let mut values = ColumnValues { reordered: !stayed(old).eq(stayed(new)), ..ColumnValues::default() };
    for (key, column) in in_order(new) {
        match before.remove(&key) {
            None => values.added.push(kept(column)),
            Some(was) if was.data_type != column.data_type || was.nullable != column.nullable => {
                values.changed.push((kept(was), kept(column)));
            }
            Some(was) if was.comment != column.comment => values.commented.push((kept(was), kept(column))),
            Some(_) => {}
        }
    }
    values.deleted = in_order(old).filter(|(key, _)| before.contains_key(key)).map(|(_, c)| kept(c)).collect();
    values
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
    #[test]
    fn values_say_what_was_before_and_name_the_same_columns_as_the_comparison() {
        for (old, new) in [("a:int b:int", "b:int a:text c:x"), ("a:int a:int", "a:int"), ("", "a:int"), ("a:x", "")] {
            let (old, new) = (columns(old), columns(new));
            let (changes, values) = (diff_columns(&old, &new), column_values(&old, &new, 100));
            let names = |list: &[Column]| list.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
            assert_eq!((names(&values.added), names(&values.deleted)), (changes.added, changes.deleted));
            assert_eq!(values.changed.iter().map(|(_, c)| c.name.clone()).collect::<Vec<_>>(), changes.changed);
            assert!(values.changed.iter().all(|(was, is)| was.data_type != is.data_type));
        }
        let mut told = columns("a:int b:int");
        told[0].comment = Some("é".repeat(100));
        let values = column_values(&columns("b:int a:int"), &told, 9);
        assert!(values.reordered);
        assert_eq!(values.commented[0].1.comment.as_deref(), Some("éééé"), "cut at the end of a character");
        assert!(!column_values(&told, &told, 9).reordered);
    }
}
