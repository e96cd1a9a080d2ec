//! Token endpoints: that of an identity provider on a port of its own, and the account's own for refresh tokens.
//!
//! Both know one client. Its id and secret come form-encoded, as the standard says: a client that sends them raw in the
//! header is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::admission::RoleScope;
use super::handle::lock;
use super::visit::Visit;
use super::{CLIENT_ID, CLIENT_SECRET, USER};
use crate::fault::Scheduled;
use crate::wire::{Call, Reply, parameters};

/// Where the identity provider hands out tokens.
pub(crate) const IDENTITY_PATH: &str = "/oauth/token";
/// Where the account does.
pub(crate) const ACCOUNT_PATH: &str = "/oauth/token-request";

/// Roles that tokens are never good for, unless an administrator says otherwise.
const BLOCKED: &[&str] = &["ACCOUNTADMIN", "ORGADMIN", "SECURITYADMIN"];

/// How a client must show its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAuth {
    /// `Authorization: Basic`.
    Header,
    /// `client_id` and `client_secret` of the form.
    Body,
    /// One of them.
    Either,
}

impl ClientAuth {
    /// What a payload says to fit.
    pub(crate) fn word(self) -> &'static str {
        if self == Self::Body { "body" } else { "header" }
    }
}

/// An error that the schedule of faults asks for.
pub(crate) fn scheduled(of: Scheduled<'_>) -> Reply {
    Reply::json(of.status, &json!({"error": of.code.unwrap_or("server_error"), "error_description": of.message}))
}

/// The identity provider's answer.
pub(crate) fn identity(visit: &Visit<'_>) -> Reply {
    let form = match form(visit.call, IDENTITY_PATH) {
        Ok(form) => form,
        Err(reply) => return reply,
    };
    if !client_is_known(visit, &form) {
        return refused(401, "invalid_client", "Client authentication failed.");
    }
    match field(&form, "grant_type").unwrap_or_default() {
        "client_credentials" => {
            let Some(scope) = field(&form, "scope") else {
                return refused(400, "invalid_scope", "The scope is missing.");
            };
            granted(visit, USER, scope, None)
        }
        "refresh_token" => refresh(visit, &form),
        _ => refused(400, "unsupported_grant_type", "The grant type is not supported."),
    }
}

/// The account's own answer: refresh tokens only.
pub(crate) fn account(visit: &Visit<'_>) -> Reply {
    let form = match form(visit.call, ACCOUNT_PATH) {
        Ok(form) => form,
        Err(reply) => return reply,
    };
    if !client_is_known(visit, &form) {
        let body = json!({
            "data": null, "message": "This is an invalid client.", "code": null, "success": false,
            "error": "invalid_client",
        });
        return Reply::json(400, &body);
    }
    match field(&form, "grant_type") {
        Some("refresh_token") => refresh(visit, &form),
        _ => refused(400, "unsupported_grant_type", "Only authorization_code and refresh_token are supported."),
    }
}

fn refresh(visit: &Visit<'_>, form: &[(String, String)]) -> Reply {
    let state = visit.state();
    let (settings, now) = (&state.settings, state.clock.now());
    let token = field(form, "refresh_token").unwrap_or_default();
    let found = lock(&state.gates).refresh(token, settings.rotate_refresh_tokens, now);
    let Some(found) = found else {
        return refused(400, "invalid_grant", "Unknown or invalid refresh token.");
    };
    let next = settings.rotate_refresh_tokens.then(|| {
        let until = now + settings.lifetimes.refresh;
        lock(&state.gates).issue_refresh(&found.user, &found.scope, until)
    });
    granted(visit, &found.user, field(form, "scope").unwrap_or(&found.scope), next)
}

fn granted(visit: &Visit<'_>, user: &str, scope: &str, refresh: Option<String>) -> Reply {
    let state = visit.state();
    let lifetimes = state.settings.lifetimes;
    let words = || scope.split_whitespace();
    let named = words().find_map(|word| word.strip_prefix("session:role:"));
    // A token for no role, or for one that is blocked, is handed out all the same: it is the account that refuses it.
    let role = match named {
        Some(role) if BLOCKED.contains(&role) => None,
        Some(role) => Some(RoleScope::Only(role.to_owned())),
        None if words().any(|word| word == "session:role-any" || word.ends_with("/.default")) => Some(RoleScope::Any),
        None => None,
    };
    let until = state.clock.now() + lifetimes.access;
    let token = match role {
        Some(role) => lock(&state.gates).issue(user, role, until),
        None => "oauth-at-without-a-role".to_owned(),
    };
    let mut body = json!({
        "access_token": token, "token_type": "Bearer", "expires_in": lifetimes.access, "scope": scope, "username": user,
    });
    if let Some(refresh) = refresh {
        body["refresh_token"] = refresh.into();
        body["refresh_token_expires_in"] = lifetimes.refresh.into();
    }
    let mut reply = Reply::json(200, &body);
    reply.headers.push(("cache-control", "no-store".to_owned()));
    reply
}

fn form(call: &Call, path: &str) -> Result<Vec<(String, String)>, Reply> {
    if call.path != path {
        return Err(Reply::text(404, "not found"));
    }
    if call.method != http::Method::POST {
        return Err(refused(405, "invalid_request", "Method not allowed."));
    }
    let media = call.header("content-type").unwrap_or_default();
    if !media.starts_with("application/x-www-form-urlencoded") {
        return Err(refused(415, "invalid_request", "The body must be a form."));
    }
    Ok(parameters(&String::from_utf8_lossy(&call.body)).collect())
}

fn field<'f>(form: &'f [(String, String)], name: &str) -> Option<&'f str> {
    form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn client_is_known(visit: &Visit<'_>, form: &[(String, String)]) -> bool {
    let accepts = visit.state().settings.client_auth;
    let header = visit.call.header("authorization").and_then(basic);
    let body = field(form, "client_id").zip(field(form, "client_secret"));
    let right = |(id, secret): (&str, &str)| id == CLIENT_ID && secret == CLIENT_SECRET;
    match (header, body) {
        (Some((id, secret)), None) => accepts != ClientAuth::Body && right((&id, &secret)),
        (None, Some(body)) => accepts != ClientAuth::Header && right(body),
        _ => false,
    }
}

/// Id and secret, each decoded as a form's value.
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decoded = |text: &str| parameters(text).next().map(|(value, _)| value);
    Some((decoded(id)?, decoded(secret)?))
}

fn refused(status: u16, error: &str, description: &str) -> Reply {
    let body: Value = json!({"error": error, "error_description": description});
    Reply::json(status, &body)
}
