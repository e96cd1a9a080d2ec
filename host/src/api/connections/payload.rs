//! Payloads of connections: what is asked, checked as far as it can be without the platform.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::options::{OptionsInput, doubts};

use crate::{
    api::{ApiState, error::ApiError, settings::SettingsInput},
    connector::{Connector, Registration, descriptor::InvalidPayload},
    egress::vault::Secrets,
    model::{
        connection::{Connection, ConnectionOptions},
        name::{ConnectionKey, Technology},
        settings::SettingsChange,
    },
};

/// What registers a connection.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateConnection {
    /// Unique display name, first name of every path below. 1 to 255 characters; it never changes.
    connection_key: String,
    /// `technology`, and what its connector asks for (`GET /connectors`, `configSchema`).
    connection: Map<String, Value>,
    /// First settings of the connection's object; disabled where nothing is said.
    #[serde(default)]
    settings: SettingsInput,
    /// Behaviour.
    #[serde(default)]
    options: OptionsInput,
    /// From scripts of older systems. Only the name of the host-managed top-level container is used, where the
    /// connector knows one.
    native_integration: Option<Value>,
}

/// What changes a connection. What is left out stays.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateConnection {
    /// May be repeated, but not changed.
    connection_key: Option<String>,
    /// Replaces the whole object; secrets that are left out keep their value, unless the host name changes.
    connection: Option<Map<String, Value>>,
    /// Behaviour.
    options: Option<OptionsInput>,
    /// As on registering; used together with `connection`.
    native_integration: Option<Value>,
}

/// Something that does not stand in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// For programs: `ignored-field`, or the capability that does not work.
    pub code: String,
    /// For people.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The container it is about, below the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Vec<String>>,
}

/// A registration as far as it is known to be possible.
pub(super) struct Asked {
    pub(super) key: ConnectionKey,
    pub(super) technology: Technology,
    pub(super) connector: Arc<Connector>,
    pub(super) registration: Registration,
    pub(super) settings: SettingsChange,
    pub(super) options: ConnectionOptions,
    pub(super) warnings: Vec<Warning>,
}

/// A change as far as it is known to be possible.
pub(super) struct Change {
    /// What has to be tried; none where only options change.
    pub(super) tried: Option<(Arc<Connector>, Registration)>,
    pub(super) options: ConnectionOptions,
    pub(super) warnings: Vec<Warning>,
}

impl CreateConnection {
    /// The version that it shall be pinned to, where it can be.
    pub(super) async fn pinned(&self, state: &ApiState) -> Option<Arc<Connector>> {
        let technology = self.connection.get("technology")?.as_str()?.parse().ok()?;
        state.registry.pinned(&technology, self.options.pin()?, None).await
    }

    /// `pinned` is the version that it will be served by, if that is not the active one.
    pub(super) fn admit(self, state: &ApiState, pinned: Option<Arc<Connector>>) -> Result<Asked, ApiError> {
        let key = self.connection_key.parse::<ConnectionKey>().map_err(|why| {
            ApiError::bad_request("invalid-key", format!("at connectionKey: it {why}"))
                .hint("1 to 255 characters, without control characters and without spaces at its ends")
        })?;
        let settings = self.settings.change()?;
        let options = self.options.over(&ConnectionOptions::default())?;
        let (technology, config) = technology_of(self.connection)?;
        let technology = technology.ok_or_else(|| {
            ApiError::bad_request("invalid-body", "at connection: missing field `technology`").detail(installed(state))
        })?;
        let connector = pinned.map_or_else(|| connector_for(state, &technology), Ok)?;
        let native = self.native_integration.as_ref();
        let registration = admit(state, &connector, &config, native, None).map_err(|problems| malformed(&problems))?;
        let mut warnings = ignored(native, registration.host_managed.as_deref());
        warnings.extend(doubts(&options.filter));
        Ok(Asked { key, technology, connector, registration, settings, options, warnings })
    }
}

impl UpdateConnection {
    /// The version that it shall be pinned to from now on, where it can be; or else what serves it.
    pub(super) async fn served_by(&self, state: &ApiState, stored: &Connection) -> Option<Arc<Connector>> {
        let change = self.options.as_ref().and_then(OptionsInput::pin_change);
        match change {
            Some(Some(version)) => state.registry.pinned(&stored.technology, version, Some(stored.id)).await,
            Some(None) => None,
            None => state.connectors.of(stored.id, &stored.technology),
        }
    }

    /// `served_by` is the version that it will be served by, if that is not the active one.
    pub(super) fn admit(
        self,
        state: &ApiState,
        stored: &Connection,
        known: Option<Secrets>,
        served_by: Option<Arc<Connector>>,
    ) -> Result<Change, ApiError> {
        if self.connection_key.is_some_and(|key| key != stored.key.as_str()) {
            return Err(ApiError::bad_request("immutable", "at connectionKey: a connection's key never changes"));
        }
        let options = self.options.unwrap_or_default().over(&stored.options)?;
        let Some(connection) = self.connection else {
            let warnings = doubts(&options.filter);
            return Ok(Change { tried: None, options, warnings });
        };
        let (technology, config) = technology_of(connection)?;
        if technology.is_some_and(|t| t != stored.technology) {
            let message = format!("at connection.technology: it is {} and never changes", stored.technology);
            return Err(ApiError::bad_request("immutable", message));
        }
        let connector = served_by.map_or_else(|| connector_for(state, &stored.technology), Ok)?;
        let native = self.native_integration.as_ref();
        let mut registration = admit(state, &connector, &config, native, known.as_ref()).map_err(|p| malformed(&p))?;
        let moved = registration.address != stored.address
            || connector.descriptor.address_fields_differ(&stored.config, &registration.config);
        if moved {
            // Nobody may point stored secrets at a host of their own (D42).
            registration = admit(state, &connector, &config, native, None).map_err(|problems| {
                ApiError::refused("secrets-required", "another host name needs every secret again")
                    .detail(pointers(&problems))
                    .hint("send the whole `connection` object, secrets included")
            })?;
        }
        let mut warnings = ignored(native, registration.host_managed.as_deref());
        warnings.extend(doubts(&options.filter));
        if native.is_none() {
            registration.host_managed.clone_from(&stored.host_managed);
        } else if registration.host_managed != stored.host_managed {
            warnings.push(Warning {
                code: "host-managed".into(),
                message: "the host-managed name changes: what it hid is listed by the next sync".into(),
                hint: None,
                path: None,
            });
        }
        Ok(Change { tried: Some((connector, registration)), options, warnings })
    }
}

fn admit(
    state: &ApiState,
    connector: &Connector,
    config: &Value,
    native: Option<&Value>,
    known: Option<&Secrets>,
) -> Result<Registration, Vec<InvalidPayload>> {
    connector.descriptor.admit(config, native, known, state.egress.policy().allow_insecure_http)
}

/// Takes `technology` out of the `connection` object: the rest is the connector's.
fn technology_of(mut connection: Map<String, Value>) -> Result<(Option<Technology>, Value), ApiError> {
    let bad = |why: String| ApiError::bad_request("invalid-body", format!("at connection.technology: {why}"));
    let technology = match connection.remove("technology") {
        None => None,
        Some(Value::String(text)) => Some(text.parse::<Technology>().map_err(|why| bad(format!("it {why}")))?),
        Some(_) => return Err(bad("expected a string".into())),
    };
    Ok((technology, Value::Object(connection)))
}

fn connector_for(state: &ApiState, technology: &Technology) -> Result<Arc<Connector>, ApiError> {
    state.connectors.by_technology(technology).ok_or_else(|| {
        let list = technologies(state);
        let list = if list.is_empty() { "none".to_owned() } else { list.join(", ") };
        let asked = if name_like(technology.as_str()) { format!("{technology:?}") } else { "it".to_owned() };
        ApiError::refused(
            "unknown-technology",
            format!("at connection.technology: no connector for {asked} is installed; installed: {list}"),
        )
        .detail(installed(state))
        .hint("use one of them as it is spelled, or install a connector for it")
    })
}

/// Whether a text looks like a technology's name. What does not is not repeated: it may be a secret in the wrong place.
fn name_like(text: &str) -> bool {
    const MOST: usize = 64;
    text.chars().count() <= MOST && text.chars().all(|c| c.is_alphanumeric() || " ._-+&()/".contains(c))
}

fn technologies(state: &ApiState) -> Vec<String> {
    state.connectors.list().iter().map(|c| c.descriptor.technology.to_string()).collect()
}

fn installed(state: &ApiState) -> Value {
    json!({ "installed": technologies(state) })
}

/// 400 that names every field that is wrong, and never its value.
fn malformed(problems: &[InvalidPayload]) -> ApiError {
    let first = problems.first();
    let pointer = first.map_or("", |p| p.pointer.as_str());
    let message = first.map_or("it is not valid", |p| p.message.as_str());
    ApiError::bad_request("invalid-connection", format!("at connection{}: {message}", pointer.replace('/', ".")))
        .detail(pointers(problems))
        .hint("GET /connectors tells what a connection of this technology needs (configSchema)")
}

fn pointers(problems: &[InvalidPayload]) -> Value {
    let each = |p: &InvalidPayload| json!({ "pointer": format!("/connection{}", p.pointer), "message": p.message });
    Value::Array(problems.iter().map(each).collect())
}

/// What of `nativeIntegration` is not used. Its values are not repeated: old scripts keep secrets there too.
fn ignored(native: Option<&Value>, host_managed: Option<&str>) -> Vec<Warning> {
    let Some(native) = native else { return Vec::new() };
    let mut fields = Vec::new();
    leaves(native, "nativeIntegration", host_managed, &mut fields);
    let warn = |field: String| Warning {
        code: "ignored-field".into(),
        message: format!("{field} is not used"),
        hint: None,
        path: None,
    };
    fields.into_iter().map(warn).collect()
}

/// Names the leaves that are not used, a bounded number of them.
fn leaves(value: &Value, at: &str, host_managed: Option<&str>, out: &mut Vec<String>) {
    const MOST: usize = 50;
    match value {
        _ if out.len() >= MOST => {}
        Value::Object(map) => {
            for (name, inner) in map {
                // What says nothing, or what holds anyway, needs no warning.
                if !(at == "nativeIntegration" && (name == "type" || (name == "autoBootstrap" && inner == false))) {
                    leaves(inner, &format!("{at}.{name}"), host_managed, out);
                }
            }
        }
        Value::String(text) if Some(text.as_str()) == host_managed => {}
        Value::Null => {}
        _ => out.push(at.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_fields_are_named_without_their_values() {
        let native = json!({
            "type": "x", "autoBootstrap": false, "other": null,
            "config": { "catalog": "host_db", "impersonation": true, "password": "s3cret" }
        });
        let warnings = ignored(Some(&native), Some("host_db"));
        let messages: Vec<&str> = warnings.iter().map(|w| w.message.as_str()).collect();
        let want =
            ["nativeIntegration.config.impersonation is not used", "nativeIntegration.config.password is not used"];
        assert_eq!(messages, want);
        assert_eq!(ignored(None, None), []);
    }

    #[test]
    fn a_technology_is_a_name() {
        let take =
            |value: Value| technology_of(json!({ "technology": value, "a": 1 }).as_object().expect("object").clone());
        let (technology, rest) = take(json!("Lake")).expect("ok");
        assert_eq!((technology.expect("some").as_str(), rest), ("Lake", json!({ "a": 1 })));
        for bad in [json!(1), json!(""), json!("a\n"), json!(null)] {
            assert_eq!(take(bad.clone()).expect_err("bad").status(), 400, "{bad}");
        }
    }

    #[test]
    fn only_what_looks_like_a_technology_is_repeated() {
        assert!(name_like("Azure Synapse Analytics") && name_like("Punch-Cards 2.0"));
        assert!(!name_like(&"x".repeat(65)) && !name_like("user:pass@host") && !name_like("a=b"));
    }
}
