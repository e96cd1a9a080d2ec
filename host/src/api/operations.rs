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

/// The OpenAPI document.
pub(super) async fn openapi() -> Json<Value> {
    Json(super::openapi::document())
}
