//! Constructors for the records of the contract, and enums for its open texts.
//!
//! The records themselves are the generated ones, so that a page crosses the boundary without being copied first.

use crate::{Attributes, Column, Listing, Object, Outcome, Partition, Path};

/// What an object is to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Holds other objects.
    Container,
    /// Has columns.
    TableLike,
    /// Anything else.
    Other,
}

impl Kind {
    /// The text of the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::TableLike => "table-like",
            Self::Other => "other",
        }
    }
}

/// How a capability was found by [`crate::Connector::check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It works.
    Passed,
    /// It works in part, or will find little.
    Warning,
    /// It does not.
    Failed,
    /// It was not tried, because something before it failed.
    Skipped,
}

impl Status {
    /// The text of the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// What a second look says of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is there.
    Present,
    /// It is not: only where the platform tells "not there" from "not allowed".
    Absent,
    /// It cannot be told: changes nothing.
    Unknown,
}

impl Presence {
    /// The text of the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Absent => "absent",
            Self::Unknown => "unknown",
        }
    }
}

/// What [`crate::ReadColumns::read_columns`] is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnsRequest {
    /// The container of the objects.
    pub scope: Path,
    /// Their namespace; usually empty.
    pub namespace: String,
    /// Their names: those that no page has answered yet.
    pub names: Vec<String>,
    /// The `next` of the page before; none begins.
    pub cursor: Option<String>,
}

impl Object {
    /// An object with nothing but its address and what it is; set the other fields directly.
    #[must_use]
    pub fn new(path: Path, kind: Kind, object_type: impl Into<String>) -> Self {
        Self {
            path,
            kind: kind.as_str().to_owned(),
            object_type: object_type.into(),
            namespace: String::new(),
            remote_id: None,
            fingerprint: None,
            comment: None,
            attributes: Attributes::new(),
            columns: None,
            extra: Attributes::new(),
        }
    }

    /// Says that the configuration leaves it out, and why, in a few words: one that is known keeps its id and settings,
    /// and never counts as missing.
    #[must_use]
    pub fn excluded(mut self, why: impl Into<String>) -> Self {
        self.extra.push(("excluded".to_owned(), why.into()));
        self
    }

    /// Adds an attribute when there is something to tell.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: Option<impl Into<String>>) -> Self {
        if let Some(value) = value {
            self.attributes.push((name.to_owned(), value.into()));
        }
        self
    }
}

impl Column {
    /// A column with nothing but name and type; set the other fields directly.
    #[must_use]
    pub fn new(name: impl Into<String>, data_type: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            data_type: data_type.into(),
            nullable: None,
            comment: None,
            position: None,
            extra: Attributes::new(),
        }
    }
}

impl Listing {
    /// The statement that every direct child of `path` has been delivered in this job. `basis` says as whom and how:
    /// when it changes, absence proves nothing.
    #[must_use]
    pub fn new(path: Path, basis: impl Into<String>) -> Self {
        Self { path, namespace: String::new(), basis: basis.into(), extra: Attributes::new() }
    }
}

impl Partition {
    /// A part of the listing. `id` must be the same every time for the same container.
    #[must_use]
    pub fn new(id: impl Into<String>, scope: Path, payload: impl Into<String>) -> Self {
        Self { id: id.into(), scope, payload: payload.into(), weight: 0, extra: Attributes::new() }
    }
}

impl Outcome {
    /// What was found out about one capability.
    #[must_use]
    pub fn new(capability: &str, status: Status, message: impl Into<String>) -> Self {
        Self {
            capability: capability.to_owned(),
            status: status.as_str().to_owned(),
            message: message.into(),
            hint: None,
            path: None,
            extra: Attributes::new(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The container it is about.
    #[must_use]
    pub fn at(mut self, path: Path) -> Self {
        self.path = Some(path);
        self
    }

    /// On `authenticate`: what tells this account from every other of its technology.
    #[must_use]
    pub fn identity(mut self, identity: impl Into<String>) -> Self {
        self.extra.push(("identity".to_owned(), identity.into()));
        self
    }

    /// On `authenticate`: as whom the account will be listed.
    #[must_use]
    pub fn basis(mut self, basis: impl Into<String>) -> Self {
        self.extra.push(("basis".to_owned(), basis.into()));
        self
    }
}
