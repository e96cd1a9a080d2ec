//! Authentication as data: the recipes of a connector's descriptor.

use serde::{Deserialize, Serialize};

/// One authentication method. (Shape: the table in the crate's ARCHITECTURE.md.)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What `authenticationType` selects it by.
    pub id: String,
}
