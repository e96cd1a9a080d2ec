//! Statements of a session: submitted, polled, aborted, looked at.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{failed, failure, refused, session, success, token};
use crate::snowflake::admission::Session;
use crate::snowflake::errors::Refusal;
use crate::snowflake::gzip;
use crate::snowflake::handle::lock;
use crate::snowflake::model::Account;
use crate::snowflake::relation::{Cell, Type};
use crate::snowflake::result::{Answer, Cut, Encoding, Header, write_json};
use crate::snowflake::run::Identity;
use crate::snowflake::sql::{self, Statement, Use};
use crate::snowflake::storage;
use crate::snowflake::stored::{Found, Stored};
use crate::snowflake::twist::Twist;
use crate::snowflake::visit::{Visit, binds};
use crate::wire::Reply;

/// `POST /queries/v1/query-request`.
pub(super) fn submit(visit: &Visit<'_>) -> Reply {
    let session = match session(visit) {
        Ok(session) => session,
        Err(denied) => return refused(&denied),
    };
    let Some(sql) = visit.text("sqlText") else {
        return failure("390142", "Incoming request does not contain a valid payload.", &Value::Null);
    };
    let state = visit.state();
    let request = visit.call.parameter("requestId");
    let user = session.identity.user.clone();
    // The same request again is a retry: it is carried out once.
    let before = request.as_ref().and_then(|request| lock(&state.results).of_request(&user, request));
    if let Some(stored) = before {
        return reply(visit, &session, &stored);
    }
    let ran = sql::parse(sql)
        .map_err(|error| Refusal::syntax(&error))
        .and_then(|statement| run(visit, &session, &statement, sql))
        .map(|answer| answer.cut(state.settings.partitions));
    let asked = visit.json.and_then(|json| json.get("asyncExec")).and_then(Value::as_bool).unwrap_or(false);
    let polls = ran.as_ref().map_or(0, |cut| visit.polls(cut.total(), asked));
    let chunks = ran.as_ref().map(compressed).unwrap_or_default();
    let mut stored = Stored::new(sql, &user, ran, state.clock.now_ms(), polls);
    stored.arrow = visit.twist == Some(&Twist::Arrow);
    stored.chunks = Arc::new(chunks);
    stored.detached = asked;
    if stored.outcome.is_ok() {
        lock(&state.results).keep(stored.clone(), request.as_deref());
    }
    let session = lock(&state.gates).session(token(visit), state.clock.now()).cloned().unwrap_or(session);
    reply(visit, &session, &stored)
}

/// Everything but the first part, each compressed once.
fn compressed(cut: &Cut) -> Vec<bytes::Bytes> {
    cut.parts.iter().skip(1).map(|part| gzip::compress(&[&part.bytes])).collect()
}

fn run(visit: &Visit<'_>, session: &Session, statement: &Statement, sql: &str) -> Result<Answer, Refusal> {
    match statement {
        Statement::Use { what, name } => {
            let state = visit.state();
            let moved = visit.simulated.read(|account| moved(account, session, *what, name))?;
            if let Ok(session) = lock(&state.gates).session(token(visit), state.clock.now()) {
                session.identity = moved;
            }
            Ok(said())
        }
        Statement::AlterSession { .. } => Ok(said()),
        statement => visit.run(statement, sql, &session.identity, Encoding::Driver, &binds(visit.json)),
    }
}

/// Where `USE` leads.
fn moved(account: &Account, session: &Session, what: Use, name: &[String]) -> Result<Identity, Refusal> {
    let before = &session.identity;
    let gone = Refusal::cannot_be_performed;
    let last = name.last().ok_or_else(gone)?;
    let mut identity = before.clone();
    match what {
        Use::SecondaryRoles => {}
        Use::Role => {
            let role = session.admitted.identity(account, Some(last))?;
            identity = Identity { role: role.role, secondary: role.secondary, ..identity };
        }
        Use::Warehouse => {
            account.warehouses.get(last).ok_or_else(gone)?;
            identity.warehouse = Some(last.clone());
        }
        Use::Database => {
            account.databases.get(last).ok_or_else(gone)?;
            (identity.database, identity.schema) = (Some(last.clone()), Some("PUBLIC".to_owned()));
        }
        Use::Schema => {
            if let [database, _] = name {
                identity.database = Some(database.clone());
            }
            let database = identity.database.as_ref().and_then(|name| account.databases.get(name));
            database.and_then(|of| of.find_schema(last)).ok_or_else(gone)?;
            identity.schema = Some(last.clone());
        }
    }
    Ok(identity)
}

/// What statements without rows answer.
fn said() -> Answer {
    let mut answer = Answer::new(vec![Header { name: "status".into(), kind: Type::Text }], Encoding::Driver);
    answer.push([Cell::text("Statement executed successfully.")].into_iter(), false);
    answer
}

/// `GET /queries/{id}/result`.
pub(super) fn result(visit: &Visit<'_>, handle: &str) -> Reply {
    let session = match session(visit) {
        Ok(session) => session,
        Err(denied) => return refused(&denied),
    };
    let state = visit.state();
    let youngest = state.clock.now_ms() - state.settings.lifetimes.result * 1_000;
    let found = lock(&state.results).poll(handle, &session.identity.user, youngest);
    match found {
        Found::Running(stored) => running(&stored),
        Found::Done(stored) => reply(visit, &session, &stored),
        Found::Cancelled => {
            failure("000604", "SQL execution canceled", &json!({"queryId": handle, "sqlState": "57014"}))
        }
        Found::Nothing => failure("000709", &format!("Statement {handle} not found"), &Value::Null),
    }
}

/// `POST /queries/v1/abort-request`.
pub(super) fn abort(visit: &Visit<'_>) -> Reply {
    let session = match session(visit) {
        Ok(session) => session,
        Err(denied) => return refused(&denied),
    };
    let request = visit.text("requestId").unwrap_or_default();
    if lock(&visit.state().results).cancel_request(&session.identity.user, request) {
        return success(&Value::Null);
    }
    failure("000605", "Identified SQL statement is not currently executing.", &Value::Null)
}

/// `GET /monitoring/queries/{id}`.
pub(super) fn monitoring(visit: &Visit<'_>, handle: &str) -> Reply {
    if let Err(denied) = session(visit) {
        return refused(&denied);
    }
    let results = lock(&visit.state().results);
    let queries: Vec<Value> = results
        .look(handle)
        .map(|stored| {
            let status = match &stored.outcome {
                _ if stored.is_running() => "RUNNING",
                Ok(_) => "SUCCESS",
                Err(_) => "FAILED_WITH_ERROR",
            };
            json!({"id": handle, "status": status, "sqlText": &*stored.sql, "errorCode": null, "errorMessage": null})
        })
        .into_iter()
        .collect();
    success(&json!({"queries": queries}))
}

fn running(stored: &Stored) -> Reply {
    let data = json!({
        "getResultUrl": format!("/queries/{}/result", stored.handle), "queryId": stored.handle, "progressDesc": null,
        "queryAbortsAfterSecs": 300,
    });
    let (code, message) = if stored.detached {
        (
            "333334",
            "Asynchronous execution in progress. Use provided query id to perform query monitoring and management.",
        )
    } else {
        ("333333", "Query execution in progress.")
    };
    Reply::json(200, &json!({"data": data, "code": code, "message": message, "success": true}))
}

fn reply(visit: &Visit<'_>, session: &Session, stored: &Stored) -> Reply {
    if stored.is_running() {
        return running(stored);
    }
    let cut = match &stored.outcome {
        Ok(cut) => cut,
        Err(refusal) => return failed(refusal, &stored.handle.to_string()),
    };
    let now = visit.state().clock.now_ms();
    let identity = &session.identity;
    let mut data = json!({
        "parameters": super::login::parameters(),
        "rowtype": cut.row_type(),
        "total": cut.total(),
        "returned": cut.total(),
        "queryId": stored.handle,
        "databaseProvider": null,
        "finalDatabaseName": identity.database,
        "finalSchemaName": identity.schema,
        "finalWarehouseName": identity.warehouse,
        "finalRoleName": identity.role,
        "numberOfBinds": 0,
        "arrayBindSupported": false,
        "statementTypeId": 4096,
        "version": 1,
        "sendResultTime": now,
        "queryResultFormat": if stored.arrow { "arrow" } else { "json" },
        "queryContext": {"entries": [{"id": 0, "timestamp": now * 1_000, "priority": 0, "context": "CLKRygI="}]},
    });
    if !stored.chunks.is_empty() {
        let key = storage::key(stored);
        data["qrmk"] = key.clone().into();
        data["chunkHeaders"] = storage::headers(&key);
        let parts = cut.parts.iter().skip(1).zip(stored.chunks.iter()).enumerate();
        data["chunks"] = parts
            .map(|(at, (part, chunk))| {
                json!({
                    "url": storage::url(visit.state(), stored, at), "rowCount": part.rows,
                    "uncompressedSize": part.bytes.len(), "compressedSize": chunk.len(),
                })
            })
            .collect();
    }
    let mut out = Vec::with_capacity(cut.parts[0].bytes.len() + 4_096);
    out.extend_from_slice(b"{\"data\":");
    write_json(&mut out, &data);
    out.pop();
    if stored.arrow {
        out.extend_from_slice(b",\"rowsetBase64\":\"");
        out.extend_from_slice(STANDARD.encode(b"ARROW1").as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(b",\"rowset\":[");
        out.extend_from_slice(&cut.parts[0].bytes);
        out.push(b']');
    }
    out.extend_from_slice(b"},\"code\":null,\"message\":null,\"success\":true}");
    Reply::json_bytes(200, out)
}
