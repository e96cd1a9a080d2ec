//! The drivers' own protocol: `/session` and `/queries`. Sessions with tokens that end and are renewed; failures are
//! answers with status 200.

mod login;
mod query;

use serde_json::{Value, json};

use super::admission::Denied;
use super::errors::Refusal;
use super::handle::lock;
use super::visit::Visit;
use crate::fault::Scheduled;
use crate::wire::Reply;

/// The answer to a request.
pub(crate) fn answer(visit: &Visit<'_>) -> Reply {
    let call = visit.call;
    let parts: Vec<&str> = call.path.split('/').skip(1).collect();
    match (call.method.as_str(), &parts[..]) {
        ("POST", ["session", "v1", "login-request"]) => login::login(visit),
        ("POST", ["session", "token-request"]) => login::renew(visit),
        ("POST", ["session", "heartbeat"]) => match session(visit) {
            Ok(_) => success(&Value::Null),
            Err(denied) => refused(&denied),
        },
        ("POST", ["session"]) => login::logout(visit),
        ("POST", ["queries", "v1", "query-request"]) => query::submit(visit),
        ("POST", ["queries", "v1", "abort-request"]) => query::abort(visit),
        ("GET", ["queries", handle, "result"]) => query::result(visit, handle),
        ("GET", ["monitoring", "queries", handle]) => query::monitoring(visit, handle),
        ("POST", ["telemetry", "send" | "send/sessionless", ..]) => success(&json!("Log Received")),
        _ => Reply::text(404, "not found"),
    }
}

/// An error that the schedule of faults asks for. Its own code comes in the frame; without one it is the proxy's text.
pub(crate) fn scheduled(of: Scheduled<'_>) -> Reply {
    match of.code {
        Some(code) => Reply { status: of.status, ..failure(code, of.message, &Value::Null) },
        None => Reply::text(of.status, of.message),
    }
}

fn success(data: &Value) -> Reply {
    Reply::json(200, &json!({"data": data, "code": null, "message": null, "success": true}))
}

fn failure(code: &str, message: &str, data: &Value) -> Reply {
    Reply::json(200, &json!({"data": data, "code": code, "message": message, "success": false, "headers": null}))
}

fn refused(denied: &Denied) -> Reply {
    failure(denied.code, &denied.message, &Value::Null)
}

fn failed(refusal: &Refusal, handle: &str) -> Reply {
    let data = json!({
        "internalError": false, "errorCode": refusal.code, "age": 0, "sqlState": refusal.sql_state, "queryId": handle,
        "line": -1, "pos": -1, "type": "COMPILATION",
    });
    failure(refusal.code, &refusal.message, &data)
}

/// The token of a header `Snowflake Token="…"`; clients that have none write `None`.
fn token<'a>(visit: &Visit<'a>) -> Option<&'a str> {
    let header = visit.call.header("authorization")?;
    let token = header.strip_prefix("Snowflake Token=\"")?.strip_suffix('"')?;
    (token != "None").then_some(token)
}

/// The session a request belongs to, as it stands.
fn session(visit: &Visit<'_>) -> Result<super::admission::Session, Denied> {
    let state = visit.state();
    let found = lock(&state.gates).session(token(visit), state.clock.now()).cloned();
    found.map_err(|denied| visit.denied(denied))
}
