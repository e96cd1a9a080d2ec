//! What people do with versions that are installed: approve, activate, roll back, remove.

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{detail, install::not_installed, refused, wire::RolledBackJson};
use crate::{
    api::{
        ApiState,
        caller::Caller,
        error::ApiError,
        input::{Body, IfMatch},
    },
    db::connectors::{Asked, Cause},
    model::{id::ConnectionId, name::ConnectionKey, sight::Sight},
};

/// Grants permissions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApproveBody {
    /// Exactly those that the version waits for, as they were shown.
    permissions: Vec<String>,
}

/// How a version is activated.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ActivateBody {
    /// For some connections only, until it is activated without this or rolled back; or only to be compared.
    canary: Option<CanaryBody>,
    /// Whatever is found, and also where it was taken back before. Then connections are not checked first.
    #[serde(default)]
    force: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "CanaryBody")]
struct CanaryBody {
    /// Keys of connections. With `shadow` they may be left out: then all that it would serve.
    #[serde(default)]
    connections: Option<Vec<String>>,
    /// The version serves nobody: it reads these connections once, in dry runs, and what it finds that the version which
    /// serves does not is told as findings of the step `shadow`. Nothing changes in the inventory.
    #[serde(default)]
    shadow: bool,
}

/// Grants a version the permissions that it waits for.
pub(in crate::api) async fn approve(
    State(state): State<ApiState>,
    caller: Caller,
    Path((name, version)): Path<(String, String)>,
    Body(body): Body<ApproveBody>,
) -> Result<Response, ApiError> {
    let permissions: BTreeSet<String> = body.permissions.into_iter().collect();
    let now = state.clock.now();
    state.db.approve_version(&name, &version, permissions, caller.actor(), now).await.map_err(refused)?;
    tracing::info!(connector = name, version, "permissions of a connector were granted");
    detail(&state, &name).await
}

/// Begins to activate a version; `GET /connectors/{name}` tells how it goes.
pub(in crate::api) async fn activate(
    State(state): State<ApiState>,
    caller: Caller,
    Path((name, version)): Path<(String, String)>,
    IfMatch(revision): IfMatch,
    Body(body): Body<ActivateBody>,
) -> Result<Response, ApiError> {
    let revision = revision.ok_or_else(revision_required)?;
    let shadow = body.canary.as_ref().is_some_and(|canary| canary.shadow);
    let canary = match body.canary {
        Some(CanaryBody { connections: None, shadow: true }) => None,
        Some(canary) => Some(chosen(&state, &name, canary.connections.unwrap_or_default()).await?),
        None => None,
    };
    let asked = Asked { version, canary, shadow, forced: body.force, by: Some(caller.actor()) };
    state.registry.activate(&name, asked, revision).await.map_err(refused)?;
    let mut response = detail(&state, &name).await?;
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}

/// The connections of a canary, which must be ones that the connector serves.
async fn chosen(state: &ApiState, name: &str, keys: Vec<String>) -> Result<BTreeSet<ConnectionId>, ApiError> {
    let (connector, _) = super::find(state, name).await?;
    if keys.is_empty() {
        return Err(ApiError::bad_request("invalid-body", "at canary.connections: name at least one connection"));
    }
    let mut found = BTreeSet::new();
    for key in keys {
        let known = match key.parse::<ConnectionKey>() {
            Ok(key) => state.db.connection_by_key(&Sight::All, &key).await?,
            Err(_) => None,
        };
        let known = known.filter(|connection| connection.technology == connector.technology).ok_or_else(|| {
            let message = format!("at canary.connections: {key:?} is no connection that {name} serves");
            ApiError::bad_request("invalid-canary", message)
        })?;
        if let Some(pin) = known.options.pin {
            let message = format!("at canary.connections: {key:?} pins version {pin}");
            return Err(ApiError::conflict("pinned", message).hint("set its options.pin to null first"));
        }
        found.insert(known.id);
    }
    Ok(found)
}

/// Ends the activation that is under way, or else the canary, or else goes back to the version before.
pub(in crate::api) async fn roll_back(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
    IfMatch(revision): IfMatch,
) -> Result<Json<RolledBackJson>, ApiError> {
    let revision = revision.ok_or_else(revision_required)?;
    let cause = Cause::Person(caller.actor(), Some(revision));
    Ok(Json(state.registry.roll_back(&name, cause).await.map_err(refused)?.into()))
}

/// Removes a version that nobody needs.
pub(in crate::api) async fn remove(
    State(state): State<ApiState>,
    caller: Caller,
    Path((name, version)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    state.registry.remove(&name, &version, caller.actor()).await.map_err(not_installed)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// 428: whoever changes what serves others must have seen what does.
fn revision_required() -> ApiError {
    ApiError::new(StatusCode::PRECONDITION_REQUIRED, "revision-required", "this needs the connector's revision")
        .hint("read GET /connectors/{name}, decide, and send its ETag as If-Match")
}
