//! The connectors that are installed.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::ApiState;
use crate::{connector::Connector, model::name::Technology};

/// A connector.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Connector")]
pub struct ConnectorJson {
    name: String,
    version: String,
    /// For people.
    title: String,
    /// What it serves: the value of `connection.technology` in a payload.
    #[schemars(with = "String")]
    technology: Technology,
    /// SHA-256 of the component.
    digest: String,
    /// JSON Schema of a payload's `connection` object, without `technology`.
    config_schema: Value,
}

/// Which connector serves a connection.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorRef {
    name: String,
    version: String,
    digest: String,
}

/// All, by name.
pub(super) async fn list(State(state): State<ApiState>) -> Json<Vec<ConnectorJson>> {
    Json(state.connectors.list().iter().map(|c| ConnectorJson::from(&**c)).collect())
}

impl From<&Connector> for ConnectorJson {
    fn from(connector: &Connector) -> Self {
        let d = &connector.descriptor;
        Self {
            name: d.name.clone(),
            version: d.version.clone(),
            title: d.title.clone(),
            technology: d.technology.clone(),
            digest: connector.digest.clone(),
            config_schema: d.config_schema.clone(),
        }
    }
}

impl From<&Connector> for ConnectorRef {
    fn from(connector: &Connector) -> Self {
        let d = &connector.descriptor;
        Self { name: d.name.clone(), version: d.version.clone(), digest: connector.digest.clone() }
    }
}
