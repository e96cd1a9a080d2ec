//! What people decided about a version, carried out as the API would.

use std::collections::BTreeSet;

use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};

use super::{
    super::{
        links,
        session::{Posted, not_whole},
    },
    find, only_for,
};
use crate::{
    api::{
        ApiState,
        connectors::{not_installed, refused},
        error::ApiError,
    },
    db::connectors::{Asked, Cause},
    model::id::ConnectionId,
};

/// Grants what was shown.
pub(in crate::api::ui) async fn approve(
    State(state): State<ApiState>,
    Path((name, version)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, ApiError> {
    only_for(&posted.visitor)?;
    let shown: BTreeSet<String> = posted.fields_after("permission-").map(|(_, line)| line.to_owned()).collect();
    let by = posted.visitor.caller.actor();
    state.db.approve_version(&name, &version, shown, by, state.clock.now()).await.map_err(refused)?;
    tracing::info!(connector = name, version, "permissions of a connector were granted");
    Ok(Redirect::to(&links::connector_told(&name, "approved", &version)).into_response())
}

/// Begins an activation.
pub(in crate::api::ui) async fn activate(
    State(state): State<ApiState>,
    Path((name, version)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, ApiError> {
    only_for(&posted.visitor)?;
    let shadow = posted.field("how") == "compare";
    let canary = match posted.field("scope") {
        "all" => None,
        "some" => Some(chosen(&state, &name, &posted).await?),
        _ => return Err(not_whole()),
    };
    let forced = posted.field("force") == "1";
    let asked = Asked { version, canary, shadow, forced, by: Some(posted.visitor.caller.actor()) };
    state.registry.activate(&name, asked, posted.revision()?).await.map_err(refused)?;
    Ok(Redirect::to(&links::connector(&name)).into_response())
}

/// The connections that shall try it out: those that were ticked and may.
async fn chosen(state: &ApiState, name: &str, posted: &Posted) -> Result<BTreeSet<ConnectionId>, ApiError> {
    let known = find(state, name).await?;
    let mut found = BTreeSet::new();
    for (id, key) in posted.fields_after("connection-") {
        let served = known.served.iter().find(|served| served.id.to_string() == id && served.pin.is_none());
        let served = served.ok_or_else(|| {
            let message = format!("{key:?} is no connection that could try it out");
            ApiError::conflict("invalid-canary", message).hint("it was deregistered or pinned meanwhile")
        })?;
        found.insert(served.id);
    }
    if found.is_empty() {
        return Err(ApiError::bad_request("form", "no connection was chosen to try it out")
            .hint("go back and choose at least one"));
    }
    Ok(found)
}

/// Goes back one step.
pub(in crate::api::ui) async fn roll_back(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, ApiError> {
    only_for(&posted.visitor)?;
    let cause = Cause::Person(posted.visitor.caller.actor(), Some(posted.revision()?));
    state.registry.roll_back(&name, cause).await.map_err(refused)?;
    Ok(Redirect::to(&links::connector_told(&name, "back", "")).into_response())
}

/// Removes a version.
pub(in crate::api::ui) async fn remove(
    State(state): State<ApiState>,
    Path((name, version)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, ApiError> {
    only_for(&posted.visitor)?;
    state.registry.remove(&name, &version, posted.visitor.caller.actor()).await.map_err(not_installed)?;
    // With its last version a connector is gone.
    let left = state.db.connector(&name).await?.is_some();
    let place = if left { links::connector_told(&name, "removed", &version) } else { "/ui/connectors".to_owned() };
    Ok(Redirect::to(&place).into_response())
}
