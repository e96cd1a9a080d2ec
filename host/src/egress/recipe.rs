//! Authentication as data: the recipes of a connector's descriptor.

use serde::{Deserialize, Serialize};

/// One authentication method. (Shape: the table in the crate's ARCHITECTURE.md.)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What `authenticationType` selects it by.
    pub id: String,
}

/// A part of a platform: requests to this origin whose path and method match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Template of an origin: a literal, `{{ connection.origin }}`, or one config value that is a URL.
    pub origin: String,
    /// Patterns of the canonical path without query; `*` is any characters.
    pub paths: Vec<String>,
    /// Upper case.
    pub methods: Vec<String>,
}
