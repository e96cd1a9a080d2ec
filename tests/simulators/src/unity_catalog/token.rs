//! The workspace's token endpoint (client credentials) and the documents by which clients find it.
//!
//! Basic credentials are read raw, as the real endpoint does; a client that form-encodes them is refused.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::json;

use super::access::Access;
use crate::wire::{Call, Reply, parameters};

/// Where tokens are fetched.
pub(crate) const TOKEN_PATH: &str = "/oidc/v1/token";

/// Documents that say where the token endpoint is; open to everybody.
pub(crate) fn discovery(call: &Call) -> Option<Reply> {
    let host = call.header("host").unwrap_or("localhost");
    let document = match call.path.as_str() {
        "/.well-known/databricks-config" => json!({
            "oidc_endpoint": format!("http://{host}/oidc"),
            "account_id": "00000000-0000-4000-8000-000000000001",
            "workspace_id": "1234567890123456",
            "cloud": "AWS",
        }),
        "/oidc/.well-known/oauth-authorization-server" => json!({
            "issuer": format!("http://{host}/oidc"),
            "authorization_endpoint": format!("http://{host}/oidc/v1/authorize"),
            "token_endpoint": format!("http://{host}{TOKEN_PATH}"),
            "grant_types_supported": ["client_credentials"],
        }),
        _ => return None,
    };
    Some(Reply::json(200, &document))
}

/// The answer to a request for a token.
pub(crate) fn issue(access: &mut Access, call: &Call, now: Instant) -> Reply {
    if call.method != Method::POST {
        return refused(405, "invalid_request", "Method not allowed");
    }
    let form = String::from_utf8_lossy(&call.body);
    let field = |name: &str| parameters(&form).find_map(|(key, value)| (key == name).then_some(value));
    if field("grant_type").as_deref() != Some("client_credentials") {
        return refused(400, "unsupported_grant_type", "Only client_credentials is supported.");
    }
    if field("scope").as_deref() != Some("all-apis") {
        return refused(400, "invalid_scope", "The scope must be all-apis.");
    }
    let Some((id, secret)) = basic(call.header("authorization").unwrap_or_default()) else {
        return refused(401, "invalid_client", "Client credentials are missing.");
    };
    match access.issue(&id, &secret, now) {
        Some((token, lifetime)) => Reply::json(
            200,
            &json!({
                "access_token": token, "token_type": "Bearer", "expires_in": lifetime.as_secs(), "scope": "all-apis",
            }),
        ),
        None => refused(401, "invalid_client", "Client authentication failed"),
    }
}

fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

fn refused(status: u16, error: &str, description: &str) -> Reply {
    Reply::json(status, &json!({"error": error, "error_description": description}))
}
