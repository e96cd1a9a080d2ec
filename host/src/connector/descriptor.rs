//! What a connector says of itself, and what that makes of a payload.

use serde_json::Value;

use crate::{
    egress::{recipe::Recipe, vault::Secrets},
    model::{connection::Address, name::Technology},
};

/// A connector's description of itself, checked.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// File-safe name: lower-case letters, digits and hyphens.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// For people.
    pub title: String,
    /// What it serves.
    pub technology: Technology,
    /// JSON Schema of the payload's `connection` object.
    pub config_schema: Value,
    /// Whether remote ids tell objects apart in the whole connection (D38).
    pub remote_ids_unique: bool,
    /// Ways to authenticate.
    pub methods: Vec<Recipe>,
}

/// A payload's `connection` object, taken apart.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Without secrets.
    pub config: Value,
    /// The secrets in it.
    pub secrets: Secrets,
    /// Where it connects to.
    pub address: Address,
    /// How it authenticates.
    pub recipe: Recipe,
    /// A top-level name that is never listed, where the payload's `nativeIntegration` names one.
    pub host_managed: Option<String>,
}

/// What is wrong with a payload. Never repeats a value, which could be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {message}")]
pub struct InvalidPayload {
    /// JSON pointer below `connection`.
    pub pointer: String,
    /// What is wrong and what is expected.
    pub message: String,
}

impl Descriptor {
    /// Checks a payload's `connection` object against the schema and takes it apart. `known` are secrets that were
    /// stored before and hold for what the payload leaves out.
    pub fn admit(
        &self,
        _connection: &Value,
        _native_integration: Option<&Value>,
        _known: Option<&Secrets>,
        _allow_insecure_http: bool,
    ) -> Result<Registration, Vec<InvalidPayload>> {
        unimplemented!()
    }

    /// Whether two configurations differ in a field from which a host name is made (D42).
    #[must_use]
    pub fn address_fields_differ(&self, _a: &Value, _b: &Value) -> bool {
        unimplemented!()
    }
}
