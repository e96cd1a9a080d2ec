//! A connection's configuration: typed for the connector, as a JSON schema for everybody else.
//!
//! The host hands over the payload without secrets and adds `origin` and `filter`, which are not part of the schema and
//! are kept apart here. Which properties are secrets is read off the schema, so a connector cannot forget to say so.

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Map, Value};

use crate::{Error, Filter};

/// Key under which the host hands over where the platform is.
const ORIGIN: &str = "origin";
/// Key under which it hands over what shall be listed.
const FILTER: &str = "filter";

/// A property that holds a secret. It is part of the schema and never of what a connector gets: mark the field
/// `#[serde(default)]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Secret;

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "writeOnly": true, "format": "password" })
    }
}

/// Takes apart what the host hands over.
pub(crate) fn read<C: DeserializeOwned>(text: &str) -> Result<(C, String, Filter), Error> {
    let mut properties: Map<String, Value> = serde_json::from_str(text)
        .map_err(|e| Error::invalid_config("The configuration is not a JSON object.").detail(e.to_string()))?;
    let Some(Value::String(origin)) = properties.remove(ORIGIN) else {
        return Err(Error::internal("The host did not say where the platform is: `origin` is missing."));
    };
    let filter = match properties.remove(FILTER) {
        None => Filter::default(),
        Some(filter) => serde_json::from_value(filter)
            .map_err(|e| Error::internal("The host's `filter` does not fit.").detail(e.to_string()))?,
    };
    let config = serde_json::from_value(Value::Object(properties))
        .map_err(|e| Error::invalid_config(format!("The configuration does not fit: {e}.")))?;
    Ok((config, origin, filter))
}

/// The JSON schema of a configuration: draft 2020-12, everything inlined, no meta-schema.
#[must_use]
pub fn schema<C: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<C>().to_value()
}

/// Dotted paths of the secret properties of a schema, in its order.
#[must_use]
pub fn secrets(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect_secrets(schema, "", &mut found);
    found
}

fn collect_secrets(schema: &Value, prefix: &str, found: &mut Vec<String>) {
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        if property.get("writeOnly") == Some(&Value::Bool(true)) {
            found.push(path);
        } else {
            collect_secrets(property, &path, found);
            // An optional object is a choice between it and null.
            for choice in property.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
                collect_secrets(choice, &path, found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Config {
        user_name: String,
        #[serde(default)]
        token: Secret,
        #[serde(default)]
        client: Option<Client>,
    }

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Client {
        #[serde(default)]
        client_secret: Secret,
    }

    #[test]
    fn origin_is_kept_apart_and_unknown_fields_are_refused() {
        let (config, origin, _) =
            read::<Config>(r#"{"userName":"u","client":{},"origin":"https://h"}"#).expect("reads");
        assert_eq!(origin, "https://h");
        assert_eq!(
            config,
            Config { user_name: "u".into(), token: Secret, client: Some(Client { client_secret: Secret }) }
        );
        let unknown = read::<Config>(r#"{"userName":"u","x":1,"origin":"https://h"}"#).expect_err("unknown");
        assert_eq!(unknown.code, "invalid-config");
        assert!(unknown.message.contains("`x`"), "{unknown:?}");
        assert_eq!(read::<Config>(r#"{"userName":"u"}"#).expect_err("origin").code, "internal");
    }

    #[test]
    fn secrets_are_found_in_the_schema() {
        let schema = schema::<Config>();
        assert_eq!(secrets(&schema), ["client.clientSecret", "token"], "{schema:#}");
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["required"], serde_json::json!(["userName"]));
    }
}
