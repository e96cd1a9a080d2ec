//! A component comes in: its bytes are the body, or a part of a form, and bounded either way.

use axum::{
    Json,
    extract::{Request, State},
    http::{StatusCode, header},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::refused;
use crate::{
    api::{
        ApiState,
        caller::Caller,
        error::ApiError,
        input::{Query, bounded},
        multipart::{Form, is_form},
    },
    connector::error::LoadError,
    model::connector::Origin,
    registry::InstallError,
};

/// Parameters, for the document.
pub(in crate::api) const INSTALL_PARAMETERS: [(&str, &str); 1] =
    [("origin", "Where the component is said to come from, such as an OCI reference; a form has a part for it")];

/// The header with signatures that are not in the component.
const SIGNATURE: &str = "wharfinger-signature";

/// Longest text that says where a component comes from.
const MAX_ORIGIN: usize = 500;

/// Most bytes of signatures; how many of them are looked at is decided elsewhere.
const MAX_SIGNATURE: usize = 64 * 1024;

/// The parts of a form with a component of at most so many bytes.
pub(in crate::api) const fn component_parts(most: usize) -> [(&'static str, usize); 2] {
    [("component", most), ("signature", MAX_SIGNATURE)]
}

/// What is too large for a component, with who may allow more.
fn larger(error: ApiError) -> ApiError {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        error.hint("the operator can allow larger components with `component_mib` in `[connectors]`")
    } else {
        error
    }
}

/// The bodies that are taken, for the document.
pub(in crate::api) fn install_bodies() -> Value {
    let bytes = json!({ "schema": {} });
    json!({
        "application/octet-stream": bytes,
        "application/wasm": bytes,
        "multipart/form-data": { "schema": {
            "type": "object",
            "properties": {
                "component": { "description": "The component", "contentMediaType": "application/wasm" },
                "signature": { "type": "string", "description": "Signatures that are not in it" },
                "origin": { "type": "string", "description": "Where it is said to come from" }
            },
            "required": ["component"],
            "additionalProperties": false
        } }
    })
}

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
    let (parts, body) = request.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let header = parts.headers.get(SIGNATURE).map(|value| value.as_bytes().to_vec());
    let _turn = state.registry.turn_to_install().await;
    let most = state.registry.max_component();
    let (bytes, detached, origin) = if is_form(kind) {
        let form =
            Form::receive(&parts.headers, body, &[&component_parts(most)[..], &[("origin", MAX_ORIGIN)]].concat())
                .await?;
        let component = form.part("component").ok_or_else(|| {
            ApiError::bad_request("form", "the form has no part \"component\"")
                .hint("`curl -F component=@FILE` sends it")
        })?;
        let signature = form.part("signature").map(|bytes| bytes.to_vec());
        (component, one("signature", signature, header)?, one("origin", form.text("origin")?, query.origin)?)
    } else {
        only_bytes(kind)?;
        (bounded(&parts.headers, body, most).await.map_err(larger)?, header, query.origin)
    };
    let origin = said(origin)?;
    let done = state.registry.install(bytes.into(), detached.as_deref(), origin, caller.actor()).await;
    let done = done.map_err(not_installed)?;
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

fn only_bytes(kind: &str) -> Result<(), ApiError> {
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if matches!(kind.as_str(), "application/octet-stream" | "application/wasm") {
        return Ok(());
    }
    let message = format!("the body must be the bytes of a component, or a form with it; its content type is {kind:?}");
    let error = ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", message);
    Err(error.hint("send it with `Content-Type: application/octet-stream`, or as the part \"component\" of a form"))
}

/// What a form can say, and the request around it too: not both, because nobody could tell which one holds.
fn one<T>(what: &str, form: Option<T>, around: Option<T>) -> Result<Option<T>, ApiError> {
    if form.is_some() && around.is_some() {
        return Err(ApiError::bad_request(
            "form",
            format!("the form has a part {what:?}, and the request says it too"),
        ));
    }
    Ok(form.or(around))
}

fn said(origin: Option<String>) -> Result<Origin, ApiError> {
    match origin {
        None => Ok(Origin::Upload),
        Some(text) if text.len() <= MAX_ORIGIN && !text.contains(char::is_control) && !text.is_empty() => {
            Ok(Origin::SaidToBeFrom(text))
        }
        Some(_) => Err(ApiError::bad_request("invalid-query", "origin has 1 to 500 bytes and no control characters")),
    }
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
