//! The SQL API, version 2: `/api/v2/statements`. Stateless; every request shows a token and names its role and warehouse.

use serde_json::{Value, json};

use super::admission::{Admitted, Denied, Gates};
use super::errors::Refusal;
use super::gzip;
use super::handle::lock;
use super::result::{Cut, Encoding, write_json};
use super::run::Identity;
use super::sql::{self, Statement};
use super::stored::{Found, Stored};
use super::twist::Twist;
use super::visit::{Visit, binds};
use crate::fault::Scheduled;
use crate::wire::{Body, Reply};

const STATEMENTS: &str = "/api/v2/statements";

/// Session parameters that a request may set.
const PARAMETERS: &[&str] = &[
    "binary_output_format",
    "client_result_chunk_size",
    "date_output_format",
    "multi_statement_count",
    "query_tag",
    "rows_per_resultset",
    "time_output_format",
    "timestamp_output_format",
    "timestamp_ltz_output_format",
    "timestamp_ntz_output_format",
    "timestamp_tz_output_format",
    "timezone",
    "use_cached_result",
];

/// An error in this API's frame.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({"code": code, "message": message}))
}

/// An error that the schedule of faults asks for.
pub(crate) fn scheduled(of: Scheduled<'_>) -> Reply {
    let usual = match of.status {
        401 => "390144",
        422 => "000603",
        429 => "390505",
        503 => "390503",
        _ => "390500",
    };
    error(of.status, of.code.unwrap_or(usual), of.message)
}

/// The answer to a request.
pub(crate) fn answer(visit: &Visit<'_>) -> Reply {
    let Some(rest) = visit.call.path.strip_prefix(STATEMENTS) else {
        return error(404, "390404", "Not found.");
    };
    let rest: Vec<&str> = rest.split('/').skip(1).collect();
    let method = visit.call.method.as_str();
    let known = match (&rest[..], method) {
        ([], "POST") | ([_], "GET") | ([_, "cancel"], "POST") => true,
        ([] | [_] | [_, "cancel"], _) => return error(405, "390405", "Method not allowed."),
        _ => false,
    };
    if !known {
        return error(404, "390404", "Not found.");
    }
    let media = |name: &str| visit.call.header(name).unwrap_or_default().to_ascii_lowercase();
    let accept = media("accept");
    if !accept.is_empty() && !accept.contains("application/json") && !accept.contains("*/*") {
        return error(415, "390415", "The Accept header must allow application/json.");
    }
    if method == "POST" && rest.is_empty() && !media("content-type").starts_with("application/json") {
        return error(415, "390415", "The Content-Type header must be application/json.");
    }
    if media("user-agent").is_empty() {
        return error(400, "390142", "Incoming request does not contain a User-Agent header.");
    }
    let admitted = match admit(visit) {
        Ok(admitted) => admitted,
        Err(denied) => {
            let denied = visit.denied(denied);
            return error(401, denied.code, &denied.message);
        }
    };
    match &rest[..] {
        [handle, "cancel"] => cancel(visit, &admitted, handle),
        [handle] => fetch(visit, &admitted, handle),
        _ => submit(visit, &admitted),
    }
}

/// Whose token it is; without the header that says which kind, its looks decide.
fn admit(visit: &Visit<'_>) -> Result<Admitted, Denied> {
    let state = visit.state();
    let now = state.clock.now();
    let header = visit.call.header("authorization").unwrap_or_default();
    let Some(token) = header.strip_prefix("Bearer ") else {
        return Err(Denied::new("390101", "Authorization header not found in the request data."));
    };
    let looks = if token.matches('.').count() == 2 { "KEYPAIR_JWT" } else { "OAUTH" };
    let is_access_token = || visit.simulated.read(|account| Gates::access_token_exists(account, token));
    let kind = match visit.call.header("x-snowflake-authorization-token-type") {
        Some(kind) => kind,
        None if is_access_token() => "PROGRAMMATIC_ACCESS_TOKEN",
        None => looks,
    };
    visit.simulated.read(|account| {
        let mut gates = lock(&state.gates);
        match kind {
            "KEYPAIR_JWT" => gates.jwt(account, &state.settings.names, token, now),
            "OAUTH" => gates.oauth(token, now),
            "PROGRAMMATIC_ACCESS_TOKEN" => Gates::access_token(account, None, token, now),
            _ => Err(Denied::new("390303", "Invalid OAuth access token. ")),
        }
    })
}

fn submit(visit: &Visit<'_>, admitted: &Admitted) -> Reply {
    let malformed = || error(400, "390142", "Incoming request does not contain a valid payload.");
    let (Some(json @ Value::Object(_)), Some(sql)) = (visit.json, visit.text("statement")) else {
        return malformed();
    };
    if let Some(Value::Object(parameters)) = json.get("parameters")
        && let Some(other) = parameters.keys().find(|name| !PARAMETERS.contains(&name.to_lowercase().as_str()))
    {
        return error(400, "390142", &format!("The parameter {other} cannot be set here."));
    }
    let request = visit.call.parameter("requestId");
    let again = visit.call.parameter("retry").is_some_and(|retry| retry == "true");
    if let (true, Some(request)) = (again, &request) {
        let before = lock(&visit.state().results).of_request(&admitted.user, request);
        if let Some(stored) = before {
            return stored_reply(visit, &stored, request);
        }
    }
    let identity = match identity(visit, admitted) {
        Ok(identity) => identity,
        Err(refusal) => return failed(visit, &refusal, None),
    };
    let parsed = sql::parse(sql).map_err(|error| Refusal::syntax(&error));
    let encoding = match visit.call.parameter("nullable").as_deref() {
        Some("false") => Encoding::SqlApiNullText,
        _ => Encoding::SqlApi,
    };
    let asked = visit.call.parameter("async").is_some_and(|of| of == "true");
    let ran = parsed.and_then(|statement| run(visit, &statement, sql, &identity, encoding));
    let state = visit.state();
    let rows = ran.as_ref().map_or(0, Cut::total);
    // What cannot even be compiled fails at once, also where it was to run on its own.
    let polls = if ran.is_ok() { visit.polls(rows, asked) } else { 0 };
    let mut stored = Stored::new(sql, &admitted.user, ran, state.clock.now_ms(), polls);
    stored.arrow = visit.twist == Some(&Twist::Arrow);
    if stored.outcome.is_ok() {
        lock(&state.results).keep(stored.clone(), request.as_deref());
    }
    stored_reply(visit, &stored, request.as_deref().unwrap_or_default())
}

fn run(
    visit: &Visit<'_>,
    statement: &Statement,
    sql: &str,
    identity: &Identity,
    encoding: Encoding,
) -> Result<Cut, Refusal> {
    let answer = visit.run(statement, sql, identity, encoding, &binds(visit.json))?;
    Ok(answer.cut(visit.state().settings.partitions))
}

/// Names are those stored, in their case.
fn identity(visit: &Visit<'_>, admitted: &Admitted) -> Result<Identity, Refusal> {
    visit.simulated.read(|account| {
        let named = |name: &str| visit.text(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let default = || account.users.get(&admitted.user).and_then(|user| user.default_warehouse.clone());
        let identity = admitted.identity(account, named("role").as_deref())?;
        let warehouse = named("warehouse").or_else(default).filter(|name| account.warehouses.contains_key(name));
        Ok(Identity { warehouse, database: named("database"), schema: named("schema"), ..identity })
    })
}

fn fetch(visit: &Visit<'_>, admitted: &Admitted, handle: &str) -> Reply {
    let state = visit.state();
    let youngest = state.clock.now_ms() - state.settings.lifetimes.result * 1_000;
    match lock(&state.results).poll(handle, &admitted.user, youngest) {
        Found::Nothing => missing(handle),
        Found::Cancelled => error(422, "000604", "SQL execution canceled"),
        Found::Running(stored) => running(&stored),
        Found::Done(stored) => {
            let request = visit.call.parameter("requestId").unwrap_or_default();
            match visit.call.parameter("partition").map(|part| part.parse::<usize>()) {
                None | Some(Ok(0)) => stored_reply(visit, &stored, &request),
                Some(Ok(at)) => partition(visit, &stored, at, &request),
                Some(Err(_)) => error(400, "390142", "The partition is not a number."),
            }
        }
    }
}

fn cancel(visit: &Visit<'_>, admitted: &Admitted, handle: &str) -> Reply {
    match lock(&visit.state().results).cancel(handle, &admitted.user) {
        None => missing(handle),
        Some(stored) => Reply::json(
            200,
            &json!({
                "code": "000604", "sqlState": "57014", "message": "SQL execution canceled",
                "statementHandle": stored.handle, "statementStatusUrl": status_url(&stored),
            }),
        ),
    }
}

fn missing(handle: &str) -> Reply {
    error(422, "000709", &format!("Statement {handle} not found"))
}

fn running(stored: &Stored) -> Reply {
    Reply::json(
        202,
        &json!({
            "code": "333334",
            "message": "Asynchronous execution in progress. Use provided query id to perform query monitoring and \
                        management.",
            "statementHandle": stored.handle,
            "statementStatusUrl": status_url(stored),
        }),
    )
}

fn failed(visit: &Visit<'_>, refusal: &Refusal, stored: Option<&Stored>) -> Reply {
    let now = visit.state().clock.now_ms();
    let handle = stored.map(|stored| stored.handle).unwrap_or_else(uuid::Uuid::new_v4);
    Reply::json(
        422,
        &json!({
            "code": refusal.code, "message": refusal.message, "sqlState": refusal.sql_state,
            "statementHandle": handle, "createdOn": now, "statementStatusUrl": format!("{STATEMENTS}/{handle}"),
        }),
    )
}

/// What a statement has come to: still running, failed, or its metadata with the first partition.
fn stored_reply(visit: &Visit<'_>, stored: &Stored, request: &str) -> Reply {
    if stored.is_running() {
        return running(stored);
    }
    let cut = match &stored.outcome {
        Ok(cut) => cut,
        Err(refusal) => return failed(visit, refusal, Some(stored)),
    };
    let part = |part: &super::result::Part| json!({"rowCount": part.rows, "uncompressedSize": part.bytes.len() + 2});
    let metadata = json!({
        "numRows": cut.total(),
        "format": if stored.arrow { "arrowv1" } else { "jsonv2" },
        "partitionInfo": cut.parts.iter().map(part).collect::<Vec<_>>(),
        "rowType": cut.row_type(),
    });
    let mut out = Vec::with_capacity(cut.parts[0].bytes.len() + 4_096);
    out.extend_from_slice(b"{\"resultSetMetaData\":");
    write_json(&mut out, &metadata);
    out.extend_from_slice(b",\"data\":[");
    out.extend_from_slice(&cut.parts[0].bytes);
    out.extend_from_slice(b"],");
    let end = json!({
        "code": "090001", "statementStatusUrl": format!("{}?requestId={request}", status_url(stored)), "sqlState": "00000",
        "statementHandle": stored.handle, "message": "Statement executed successfully.", "createdOn": stored.created_ms,
    });
    let mut tail = Vec::new();
    write_json(&mut tail, &end);
    out.extend_from_slice(&tail[1..]);
    let mut reply = Reply::json_bytes(200, out);
    reply.headers.push(("link", links(stored, cut, 0, request)));
    reply
}

/// A later partition: compressed, and nothing but the data.
fn partition(visit: &Visit<'_>, stored: &Stored, at: usize, request: &str) -> Reply {
    let cut = match &stored.outcome {
        Ok(cut) => cut,
        Err(refusal) => return failed(visit, refusal, Some(stored)),
    };
    let Some(part) = cut.parts.get(at) else {
        return error(422, "391920", &format!("Partition {at} does not exist."));
    };
    let pieces: [&[u8]; 3] = [b"{\"data\":[", &part.bytes, b"]}"];
    visit.inflated.set(Some(pieces.iter().map(|piece| piece.len()).sum()));
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("content-encoding", "gzip".to_owned()),
        ("link", links(stored, cut, at, request)),
    ];
    Reply { status: 200, headers, body: Body::Whole(gzip::compress(&pieces)) }
}

fn status_url(stored: &Stored) -> String {
    format!("{STATEMENTS}/{}", stored.handle)
}

fn links(stored: &Stored, cut: &Cut, at: usize, request: &str) -> String {
    let last = cut.parts.len() - 1;
    let link =
        |part: usize, rel: &str| format!("<{}?requestId={request}&partition={part}>;rel=\"{rel}\"", status_url(stored));
    let mut links = vec![link(0, "first")];
    links.extend(at.checked_sub(1).map(|part| link(part, "prev")));
    links.extend((at < last).then(|| link(at + 1, "next")));
    links.push(link(last, "last"));
    links.join(",")
}
