//! A component comes in: its bytes are the body, bounded by themselves.

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::refused;
use crate::{
    api::{
        ApiState,
        caller::Caller,
        error::ApiError,
        input::{Query, bounded},
    },
    connector::error::LoadError,
    model::connector::Origin,
    registry::InstallError,
};

/// Parameters, for the document.
pub(in crate::api) const INSTALL_PARAMETERS: [(&str, &str); 1] =
    [("origin", "Where the component is said to come from, such as an OCI reference")];

/// The header with signatures that are not in the component.
const SIGNATURE: &str = "wharfinger-signature";

/// Longest text that says where a component comes from.
const MAX_ORIGIN: usize = 500;

/// A version that is installed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "InstalledConnector")]
pub struct InstalledJson {
    name: String,
    version: String,
    /// SHA-256 of the component.
    digest: String,
    /// What is known of who vouches for it.
    signature: String,
    /// Whether it was not there before.
    is_new: bool,
    /// Permissions that were never granted to the connector: it cannot be activated until they are.
    waiting: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(in crate::api) struct InstallQuery {
    origin: Option<String>,
}

/// Installs a component. It serves nobody until it is activated.
pub(in crate::api) async fn install(
    State(state): State<ApiState>,
    caller: Caller,
    Query(query): Query<InstallQuery>,
    request: Request,
) -> Result<(StatusCode, Json<InstalledJson>), ApiError> {
    let origin = match query.origin {
        None => Origin::Upload,
        Some(text) if text.len() <= MAX_ORIGIN && !text.contains(char::is_control) && !text.is_empty() => {
            Origin::SaidToBeFrom(text)
        }
        Some(_) => {
            return Err(ApiError::bad_request("invalid-query", "origin has 1 to 500 bytes and no control characters"));
        }
    };
    let (parts, body) = request.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !matches!(kind.as_str(), "application/octet-stream" | "application/wasm") {
        let message = format!("the body must be the bytes of a component; its content type is {kind:?}");
        let error = ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", message);
        return Err(error.hint("send it with `Content-Type: application/octet-stream`"));
    }
    let _turn = state.registry.turn_to_install().await;
    let bytes = bounded(&parts.headers, body, state.registry.max_component()).await?;
    let detached = parts.headers.get(SIGNATURE).map(HeaderValue::as_bytes);
    let done = state.registry.install(bytes.into(), detached, origin, caller.actor()).await.map_err(not_installed)?;
    let status = if done.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let version = done.version;
    let installed = InstalledJson {
        name: version.connector,
        version: version.version,
        digest: version.digest,
        signature: version.signature,
        is_new: done.is_new,
        waiting: done.waiting,
    };
    Ok((status, Json(installed)))
}

/// Why a component was not installed or removed, as callers are told.
pub(in crate::api) fn not_installed(error: InstallError) -> ApiError {
    match error {
        InstallError::Load(LoadError { code: "internal", message }) => {
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
        }
        InstallError::Load(error) => ApiError::refused(error.code, error.message),
        InstallError::Store(error) => refused(error),
        InstallError::File(ref source) => ApiError::internal("write a component", source),
        InstallError::Closed => {
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the host is going down").retry_after(5)
        }
    }
}
