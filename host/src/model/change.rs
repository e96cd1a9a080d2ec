//! A change of the inventory as people read it: when, by whom or by which job, where, and what it was before.
//!
//! [`super::diff`] says that something happened; this is what the history keeps of it besides. Values are kept as they
//! were told by the platform, cut to [`MAX_VALUE_BYTES`].

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    column::ColumnValues,
    connection::Actor,
    diff::{FactChange, What, truncate},
    id::{JobId, ObjectId},
    object::Facts,
    path::ObjectPath,
};

/// Longest value before or after a change that is kept, in bytes.
pub const MAX_VALUE_BYTES: usize = 4096;

/// What a fact was and what it is; none where it was not, or is no more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeforeAfter {
    /// Before the change.
    pub before: Option<String>,
    /// After it.
    pub after: Option<String>,
}

/// What was before and after, where a change has values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Values {
    /// Of each fact that changed, in the order in which [`What::Changed`] names them; of [`What::Recreated`] the
    /// platform's id.
    Facts(Vec<BeforeAfter>),
    /// Of columns.
    Columns(ColumnValues),
}

/// Whether the inventory has a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Applied {
    /// It has.
    #[default]
    Yes,
    /// It was proved and not believed: a person decides (D33).
    Held,
}

impl Applied {
    /// The text of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Held => "held",
        }
    }
}

/// One change, as it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The commit that made it: changes are in the order of their commits. 0 of what is held, which no commit made.
    pub sequence: u64,
    /// When. Never earlier than the change before it, whatever the clock does.
    pub at: Timestamp,
    /// The job that found it.
    pub job: Option<JobId>,
    /// The person who made it; none also for what the host did by itself.
    pub by: Option<Actor>,
    /// The object.
    pub object: ObjectId,
    /// Where it was right after the change; none where nobody knows any more.
    pub path: Option<ObjectPath>,
    /// Tells things of one name apart.
    pub namespace: String,
    /// What it was: `table`, `schema`, …
    pub object_type: Option<String>,
    /// Whether it is still in the inventory.
    pub exists: bool,
    /// What happened.
    pub what: What,
    /// What was before and after.
    pub values: Option<Values>,
    /// Whether the inventory has it.
    pub applied: Applied,
}

/// What kind of change it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// Found for the first time, or registered.
    Added,
    /// Facts differ.
    Changed,
    /// Proved to be gone.
    Missing,
    /// There again.
    Returned,
    /// Renamed or moved.
    Moved,
    /// Made anew by the platform.
    Recreated,
    /// Columns were read for the first time, added, changed or deleted.
    Columns,
    /// Left out by the connector.
    Excluded,
    /// A person set something.
    Settings,
    /// A person removed it.
    Deleted,
    /// A person changed the connection itself.
    Configured,
}

/// Text that is no kind of change.
#[derive(Debug, thiserror::Error)]
#[error("not a kind of change; there are {}", ChangeKind::ALL.map(ChangeKind::as_str).join(", "))]
pub struct UnknownKind;

impl ChangeKind {
    /// All of them, in the order in which people are offered them.
    pub const ALL: [Self; 11] = [
        Self::Added,
        Self::Changed,
        Self::Columns,
        Self::Missing,
        Self::Returned,
        Self::Moved,
        Self::Recreated,
        Self::Excluded,
        Self::Settings,
        Self::Deleted,
        Self::Configured,
    ];

    /// The kind of what happened.
    #[must_use]
    pub fn of(what: &What) -> Self {
        match what {
            What::Added => Self::Added,
            What::Changed(_) => Self::Changed,
            What::Missing => Self::Missing,
            What::Returned => Self::Returned,
            What::Moved { .. } => Self::Moved,
            What::Recreated => Self::Recreated,
            What::Columns { .. } => Self::Columns,
            What::Excluded => Self::Excluded,
            What::Settings { .. } => Self::Settings,
            What::Deleted { .. } => Self::Deleted,
            What::Configured(_) => Self::Configured,
        }
    }

    /// The text of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::Returned => "returned",
            Self::Moved => "moved",
            Self::Recreated => "recreated",
            Self::Columns => "columns",
            Self::Excluded => "excluded",
            Self::Settings => "settings",
            Self::Deleted => "deleted",
            Self::Configured => "configured",
        }
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ChangeKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownKind)
    }
}

/// Before and after of each of these facts.
#[must_use]
pub fn fact_values(old: &Facts, new: &Facts, changes: &[FactChange]) -> Vec<BeforeAfter> {
    let pair = |of: &dyn Fn(&Facts) -> Option<String>| BeforeAfter { before: cut(of(old)), after: cut(of(new)) };
    changes
        .iter()
        .map(|change| match change {
            FactChange::Kind => pair(&|facts| Some(facts.kind.as_str().to_owned())),
            FactChange::ObjectType => pair(&|facts| Some(facts.object_type.clone())),
            FactChange::RemoteId => pair(&|facts| facts.remote_id.clone()),
            FactChange::Comment => pair(&|facts| facts.comment.clone()),
            FactChange::Attribute(name) => pair(&|facts| attribute(facts, name)),
            FactChange::AttributeOrder => BeforeAfter::default(),
        })
        .collect()
}

/// An attribute's value; all of them where the platform gave the name more than once.
fn attribute(facts: &Facts, name: &str) -> Option<String> {
    let values: Vec<&str> = facts.attributes.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// A value as it is kept.
#[must_use]
pub fn cut(value: Option<String>) -> Option<String> {
    value.map(|mut text| {
        if truncate(&mut text, MAX_VALUE_BYTES) {
            text.push('…');
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{diff::diff_facts, object::Kind};

    #[test]
    fn every_fact_that_differs_has_its_values() {
        let old = Facts {
            kind: Kind::TableLike,
            object_type: "table".into(),
            remote_id: None,
            comment: Some("x".repeat(5000)),
            attributes: vec![("owner".into(), "a".into()), ("gone".into(), "g".into())],
        };
        let new = Facts { comment: None, attributes: vec![("owner".into(), "b".into())], ..old.clone() };
        let changes = diff_facts(&old, &new);
        let values = fact_values(&old, &new, &changes);
        let find = |change: &FactChange| {
            changes.iter().zip(&values).find(|(c, _)| *c == change).map(|(_, v)| v.clone()).expect("named")
        };
        assert_eq!(changes.len(), values.len());
        let owner = find(&FactChange::Attribute("owner".into()));
        assert_eq!((owner.before.as_deref(), owner.after.as_deref()), (Some("a"), Some("b")));
        assert_eq!(find(&FactChange::Attribute("gone".into())).after, None);
        let comment = find(&FactChange::Comment).before.expect("before");
        assert!(comment.ends_with('…') && comment.len() < MAX_VALUE_BYTES + 10, "long text is cut");
    }

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        for kind in ChangeKind::ALL {
            assert_eq!(kind.as_str().parse::<ChangeKind>().expect("a name"), kind);
        }
        assert!("renamed".parse::<ChangeKind>().expect_err("none").to_string().contains("moved"));
    }
}
