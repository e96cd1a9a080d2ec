//! What a connector says of itself: the document that `describe` returns.
//!
//! The SDK adds what it knows by itself: its version, the configuration's schema, and which properties are secrets.

mod recipe;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Connector, SDK_VERSION, config};

pub use recipe::{
    Acquire, Apply, Backslash, Basic, BodyGuard, Case, Derived, Do, Encode, Exchange, ExchangeStep, Failure, Jwt, Key,
    Lifetime, Match, Recipe, Seconds, Take, Target, Urls,
};

/// What a connector is and needs. The version is usually `env!("CARGO_PKG_VERSION")`.
#[derive(Clone, Debug, PartialEq)]
pub struct Descriptor {
    /// File-safe name: lower-case letters, digits and hyphens.
    pub name: &'static str,
    /// Semantic version of the connector.
    pub version: &'static str,
    /// For people.
    pub title: &'static str,
    /// The platform kind that it serves.
    pub technology: &'static str,
    /// One or two sentences for people.
    pub description: &'static str,
    /// Where in the configuration the platform's address stands.
    pub address: Address,
    /// Ways to authenticate.
    pub authentication: Authentication,
    /// What it may reach.
    pub egress: Vec<Egress>,
    /// Where in the payload's `nativeIntegration` the top-level name stands that must not be listed (a JSON pointer).
    pub host_managed: Option<&'static str>,
    /// Whether remote ids tell objects apart in the whole connection.
    pub remote_ids_unique: bool,
}

/// Which properties of the configuration hold the address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Address {
    /// Dotted path of the host name.
    pub hostname: String,
    /// Dotted path of the port.
    pub port: String,
    /// The port when none is given.
    pub default_port: u16,
}

/// How connections authenticate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Authentication {
    /// Dotted path of the property whose value is a recipe's id.
    pub select: String,
    /// The recipes.
    pub methods: Vec<Recipe>,
}

/// Requests that a connector may make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Egress {
    /// `{{ connection.origin }}`, a literal origin, or one configuration value that is a URL.
    pub origin: String,
    /// Canonical paths without query; `*` stands for any characters.
    pub paths: Vec<String>,
    /// Methods in upper case.
    pub methods: Vec<String>,
    /// Addresses that the answers to these requests name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_response: Option<FromResponse>,
}

/// Leave to fetch what an answer points to, such as pre-signed files: a GET of exactly that URL, without credential and
/// body, within the call that got the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FromResponse {
    /// JSON pointer to the URL; the segment `*` stands for every element.
    pub at: String,
    /// What their hosts end with, beginning with a dot. The connection's own host always fits, with whatever port.
    pub host_suffixes: Vec<String>,
    /// JSON pointers to texts, or to objects of texts, in the same answer: values that headers of the request may have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub header_values: Vec<String>,
    /// Headers that it may have with just this value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

/// The document as the host reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Wharfinger connector descriptor")]
pub struct Document {
    /// File-safe name: lower-case letters, digits and hyphens.
    pub name: String,
    /// Semantic version of the connector.
    pub version: String,
    /// For people.
    pub title: String,
    /// The platform kind that it serves.
    pub technology: String,
    /// One or two sentences for people.
    pub description: String,
    /// Version of the SDK it was made with.
    pub sdk: String,
    /// JSON schema of the payload's `connection` object, secrets included, without `technology`.
    pub config: Value,
    /// Dotted paths of the secret properties.
    pub secrets: Vec<String>,
    /// Where the address stands.
    pub address: Address,
    /// Ways to authenticate.
    pub authentication: Authentication,
    /// What it may reach.
    pub egress: Vec<Egress>,
    /// JSON pointer to the host-managed top-level name inside `nativeIntegration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_managed: Option<String>,
    /// Whether remote ids tell objects apart in the whole connection.
    pub remote_ids_unique: bool,
}

impl Document {
    /// The document of a connector.
    #[must_use]
    pub fn of<T: Connector>() -> Self {
        let descriptor = T::descriptor();
        let schema = config::schema::<T::Config>();
        Self {
            name: descriptor.name.to_owned(),
            version: descriptor.version.to_owned(),
            title: descriptor.title.to_owned(),
            technology: descriptor.technology.to_owned(),
            description: descriptor.description.to_owned(),
            sdk: SDK_VERSION.to_owned(),
            secrets: config::secrets(&schema),
            config: schema,
            address: descriptor.address,
            authentication: descriptor.authentication,
            egress: descriptor.egress,
            host_managed: descriptor.host_managed.map(str::to_owned),
            remote_ids_unique: descriptor.remote_ids_unique,
        }
    }
}

/// The text that `describe` returns. Empty if it cannot be written, which the host refuses.
pub(crate) fn document<T: Connector>() -> String {
    serde_json::to_string(&Document::of::<T>()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_schema_is_that_of_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/descriptor.schema.json");
        let published: Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap_or_default()).unwrap_or_default();
        let current = schemars::schema_for!(Document).to_value();
        if published != current {
            let text = serde_json::to_string_pretty(&current).expect("writes") + "\n";
            std::fs::write(path, text).expect("writes");
            panic!("descriptor.schema.json was out of date and is rewritten: look at the difference and commit it");
        }
    }
}
