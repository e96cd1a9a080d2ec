//! The connectors that are installed: which version serves whom, what may be approved, how an activation stands.

mod change;
mod install;
mod wire;

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

pub use change::{ActivateBody, ApproveBody};
pub(super) use change::{activate, approve, remove, roll_back};
pub use install::InstalledJson;
pub(super) use install::{INSTALL_PARAMETERS, component_parts, install, install_bodies, not_installed};
pub(super) use wire::state_of;
pub use wire::{ConnectorDetail, ConnectorJson, RolledBackJson};

use super::{ApiState, error::ApiError};
use crate::{
    connector::Connector,
    db::connectors::{ConnectorError, WithVersions},
    model::{id::ConnectionId, name::ConnectionKey, sight::Sight},
};

/// Which connector serves a connection.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorRef {
    name: String,
    version: String,
    digest: String,
}

/// Connections by id, as people know them, with what each pins.
type Connections = BTreeMap<ConnectionId, (ConnectionKey, Option<String>)>;

/// All, by name.
pub(super) async fn list(State(state): State<ApiState>) -> Result<Json<Vec<ConnectorJson>>, ApiError> {
    let connections = connections(&state).await?;
    let all = state.db.connectors().await?;
    Ok(Json(all.iter().map(|one| ConnectorJson::new(&state, one, &connections)).collect()))
}

/// One, with its versions.
pub(super) async fn get(State(state): State<ApiState>, Path(name): Path<String>) -> Result<Response, ApiError> {
    detail(&state, &name).await
}

async fn detail(state: &ApiState, name: &str) -> Result<Response, ApiError> {
    let found = find(state, name).await?;
    let connections = connections(state).await?;
    let etag = format!("\"{}\"", found.0.revision);
    let reads = match &found.0.rollout {
        Some(rollout) if rollout.shadow => state.db.shadow_reads(name, rollout.began).await?,
        _ => Vec::new(),
    };
    Ok(([(header::ETAG, etag)], Json(ConnectorDetail::new(state, &found, &connections, reads))).into_response())
}

async fn find(state: &ApiState, name: &str) -> Result<WithVersions, ApiError> {
    state.db.connector(name).await?.ok_or_else(|| refused(ConnectorError::NotFound))
}

async fn connections(state: &ApiState) -> Result<Connections, ApiError> {
    let all = state.db.connections(&Sight::All).await?;
    Ok(all.into_iter().map(|c| (c.id, (c.key, c.options.pin))).collect())
}

/// Why nothing was changed, as callers are told.
pub(super) fn refused(error: ConnectorError) -> ApiError {
    let message = error.to_string();
    match error {
        ConnectorError::NotFound => ApiError::not_found(message)
            .hint("GET /connectors lists what is installed, GET /connectors/{name} its versions"),
        ConnectorError::VersionTaken(_) => ApiError::conflict("version-taken", message)
            .hint("give the component another version: what is installed under one never changes"),
        ConnectorError::TechnologyTaken(name) => ApiError::conflict("technology-taken", message)
            .hint(format!("name it {name} to make it a version of that connector, or remove that one first")),
        ConnectorError::OtherTechnology(_) => {
            ApiError::conflict("other-technology", message).hint("give the connector another name")
        }
        ConnectorError::TooMany => ApiError::conflict("too-many-versions", message),
        ConnectorError::Waiting(waiting) => ApiError::conflict("waiting-for-approval", message)
            .detail(serde_json::json!({ "waiting": waiting }))
            .hint("POST /connectors/{name}/{version}/approve with these permissions grants them"),
        ConnectorError::OtherPermissions(waiting) => ApiError::conflict("other-permissions", message)
            .detail(serde_json::json!({ "waiting": waiting }))
            .hint("read them again, decide again, and send exactly those that are waiting"),
        ConnectorError::TakenBack(_) => ApiError::conflict("taken-back", message)
            .hint("install a version that does not have the fault, or send \"force\": true"),
        ConnectorError::UnderWay(_) => ApiError::conflict("activation-under-way", message)
            .hint("wait for its end, or POST /connectors/{name}/rollback to end it"),
        ConnectorError::NothingBefore => ApiError::conflict("nothing-before", message),
        ConnectorError::Needed(_) => ApiError::conflict("version-needed", message),
        ConnectorError::Revision(current) => ApiError::revision(current),
        ConnectorError::ConnectionChanged => ApiError::conflict("connection-changed", message).hint("send it again"),
        ConnectorError::Db(error) => error.into(),
    }
}

impl From<&Connector> for ConnectorRef {
    fn from(connector: &Connector) -> Self {
        let d = &connector.descriptor;
        Self { name: d.name.clone(), version: d.version.clone(), digest: connector.digest.clone() }
    }
}
