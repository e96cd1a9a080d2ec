//! What a caller may see of the inventory. Every read of the store takes one.

use serde::{Deserialize, Serialize};

use super::id::ObjectId;

/// What a caller may see (D19).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sight {
    /// Everything.
    All,
    /// These objects, everything below them, and, as bare path, their ancestors.
    Roots(Vec<ObjectId>),
}

/// How much of one object a caller sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visible {
    /// It lies within the caller's sight.
    Whole,
    /// It only leads to something that does.
    OnPath,
    /// It does not exist for the caller.
    No,
}

impl Sight {
    /// How much of an object is seen. `lineage` is its ids from the connection down to itself; `below` tells whether a
    /// root lies somewhere below it.
    #[must_use]
    pub fn of(&self, lineage: &[ObjectId], below: impl FnOnce(&[ObjectId]) -> bool) -> Visible {
        match self {
            Self::All => Visible::Whole,
            Self::Roots(roots) if lineage.iter().any(|id| roots.contains(id)) => Visible::Whole,
            Self::Roots(roots) if below(roots) => Visible::OnPath,
            Self::Roots(_) => Visible::No,
        }
    }
}
