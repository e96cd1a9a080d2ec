//! Routes for whoever runs the host: is it alive, is it ready, what does it answer.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{ApiState, error::ApiError};

/// How the host is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `ok`.
    pub status: &'static str,
    /// The host's version.
    pub version: &'static str,
}

const HEALTHY: Health = Health { status: "ok", version: env!("CARGO_PKG_VERSION") };

/// The process answers.
pub(super) async fn healthz() -> Json<Health> {
    Json(HEALTHY)
}

/// The store answers, and the host is not going down.
pub(super) async fn readyz(State(state): State<ApiState>) -> Result<Json<Health>, ApiError> {
    if state.stopping.is_cancelled() {
        return Err(ApiError::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "stopping", "the host is going down")
            .retry_after(5));
    }
    state.db.has_principals().await?;
    Ok(Json(HEALTHY))
}

/// What a check of the store found.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// Whether every rule holds.
    sound: bool,
    /// Rules that do not hold, at most 1000.
    violations: Vec<ViolationJson>,
    /// How many there are in all.
    count: usize,
}

/// A rule that does not hold.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Violation")]
struct ViolationJson {
    /// The table in which it shows.
    table: String,
    /// Its row, and where known the path of the object.
    key: String,
    /// What is wrong with it.
    message: String,
}

/// Most violations of one answer.
const MAX_VIOLATIONS: usize = 1000;

/// Checks the store as it stands at one moment, while everything goes on.
pub(super) async fn verify(State(state): State<ApiState>) -> Result<Json<Verified>, ApiError> {
    let vault = std::sync::Arc::clone(&state.vault);
    let opens = move |connection, sealed: &_| vault.open(connection, sealed).is_ok();
    let registry = state.registry.clone();
    let found = state.db.verify_with(opens, move |digest| registry.files().is_whole(digest)).await?;
    let count = found.len();
    let violations = found.into_iter().take(MAX_VIOLATIONS).map(|violation| ViolationJson {
        table: violation.table.to_owned(),
        key: violation.key,
        message: violation.message.to_owned(),
    });
    Ok(Json(Verified { sound: count == 0, violations: violations.collect(), count }))
}

/// The OpenAPI document.
pub(super) async fn openapi() -> Json<Value> {
    Json(super::openapi::document())
}
