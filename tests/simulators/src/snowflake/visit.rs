//! The way of a request through the simulator: latency, the fault that is due, the door's own answer, the journal.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::admission::Denied;
use super::errors::Refusal;
use super::handle::{Simulated, lock};
use super::result::{Answer, Encoding};
use super::run::{Identity, Scene};
use super::twist::Twist;
use super::{Door, Fault, State, driver, gzip, oauth, sql, sql_api, storage};
use crate::journal::Entry;
use crate::wire::{Body, Call, Outcome, Reply};

/// Statements longer than this are cut in the journal.
const KEPT: usize = 2_000;

/// Requests and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Requests answered.
    pub requests: u64,
    /// Bytes of their bodies on the wire.
    pub bytes: u64,
    /// The same after inflation.
    pub inflated: u64,
}

/// Traffic by what it was for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Logins, renewals and tokens.
    pub login: Sum,
    /// Databases, schemas and objects.
    pub listing: Sum,
    /// Columns.
    pub columns: Sum,
    /// Everything else.
    pub other: Sum,
    /// Partitions and chunks: parts of large results. They are counted with what they belong to as well.
    pub chunks: Sum,
}

/// A request on its way.
pub(crate) struct Visit<'a> {
    pub(crate) simulated: &'a Simulated,
    pub(crate) call: &'a Call,
    /// The body, if it is JSON.
    pub(crate) json: Option<&'a Value>,
    pub(crate) twist: Option<&'a Twist>,
    /// The answer waits for the next second.
    pub(crate) hold: Cell<bool>,
    /// What the answer's body inflates to, where it is compressed.
    pub(crate) inflated: Cell<Option<usize>>,
}

impl<'a> Visit<'a> {
    pub(crate) fn state(&self) -> &'a State {
        self.simulated.state()
    }

    /// A text of the JSON body.
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        self.json?.get(name)?.as_str()
    }

    /// Notes what the answer to a refusal must do besides saying so.
    pub(crate) fn denied(&self, denied: Denied) -> Denied {
        self.hold.set(denied.until_next_second);
        denied
    }

    /// Carries out a statement that reads.
    pub(crate) fn run(
        &self,
        statement: &sql::Statement,
        sql: &str,
        identity: &Identity,
        encoding: Encoding,
        binds: &[Option<String>],
    ) -> Result<Answer, Refusal> {
        let state = self.state();
        state.executed.fetch_add(1, Ordering::Relaxed);
        let revoked = lock(&state.gates).revoked.clone();
        self.simulated.read(|account| {
            let limits = state.settings.limits;
            let scene = Scene { account, identity, revoked: &revoked, limits, encoding, twist: self.twist, sql, binds };
            scene.run(statement)
        })
    }

    /// How many polls find an answer of so many rows still running.
    pub(crate) fn polls(&self, rows: usize, asked: bool) -> u32 {
        match self.twist {
            Some(Twist::Async { polls }) => (*polls).max(1),
            _ if asked || self.state().settings.slow_rows.is_some_and(|most| rows > most) => 1,
            _ => 0,
        }
    }
}

/// Binds of a request: `{"1":{"type":"TEXT","value":"x"}}`.
pub(crate) fn binds(json: Option<&Value>) -> Vec<Option<String>> {
    let Some(Value::Object(map)) = json.and_then(|json| json.get("bindings")) else { return vec![] };
    let value = |at: usize| map.get(&at.to_string());
    (1..).map_while(value).map(|bind| bind.get("value").and_then(Value::as_str).map(str::to_owned)).collect()
}

/// Answers a request at a door.
pub(crate) async fn respond(simulated: &Simulated, door: Door, call: Call) -> Outcome {
    let state = simulated.state();
    let in_work = state.journal.arrived();
    let latency = state.latency_us.load(Ordering::Relaxed);
    if latency > 0 {
        tokio::time::sleep(Duration::from_micros(latency)).await;
    }
    let json = match door {
        Door::Account => gzip::inflate(&call.body).and_then(|body| serde_json::from_slice::<Value>(&body).ok()),
        Door::Storage | Door::Identity => None,
    };
    let statement = statement(state, &call, json.as_ref());
    let target = call.path_and_query();
    let fault = lock(&state.faults).due(&format!("{target} {}", statement.as_deref().unwrap_or_default()));
    if fault.is_some() {
        state.journal.hit();
    }
    let (outcome, hold, inflated) = outcome(simulated, door, &call, json.as_ref(), fault.as_ref());
    if hold {
        let rest = 1_000 - state.clock.now_ms().rem_euclid(1_000);
        tokio::time::sleep(Duration::from_millis(rest as u64 + 20)).await;
    }
    drop(in_work);
    let (status, bytes) = match &outcome {
        Outcome::Reply(reply) => (reply.status, reply.body.len()),
        Outcome::Hang | Outcome::Reset => (0, 0),
    };
    let sum = Sum { requests: 1, bytes: bytes as u64, inflated: inflated.unwrap_or(bytes) as u64 };
    lock(&state.traffic).count(door, &call.path, call.query.as_deref(), statement.as_deref(), sum);
    let statement = statement.map(|text| text.chars().take(KEPT).collect());
    state.journal.answered(Entry { statement, ..Entry::new(&call.method, target, status) }, bytes);
    outcome
}

fn outcome(
    simulated: &Simulated,
    door: Door,
    call: &Call,
    json: Option<&Value>,
    fault: Option<&Fault>,
) -> (Outcome, bool, Option<usize>) {
    let mut twist = None;
    match fault {
        Some(Fault::ExpireTokens) => simulated.expire_tokens(),
        Some(Fault::Revoke { path }) => simulated.revoke(path),
        Some(Fault::Change { change }) => {
            if let Err(error) = simulated.change(change) {
                let text = format!("the scheduled change could not be made: {error}");
                return (Outcome::Reply(Reply::text(500, text)), false, None);
            }
        }
        Some(Fault::Twisted { twist: of }) => {
            turn(simulated, of);
            twist = Some(of);
        }
        _ => {}
    }
    let visit = Visit { simulated, call, json, twist, hold: Cell::new(false), inflated: Cell::new(None) };
    let reply = match door {
        Door::Account => account(&visit),
        Door::Storage => storage::answer(&visit),
        Door::Identity => oauth::identity(&visit),
    };
    let reply = match twist.and_then(|twist| body_of(twist, door)) {
        Some((body, headers)) => Reply { status: 200, headers, body },
        None => reply,
    };
    let outcome = match fault {
        Some(fault) => fault.applied_to(reply, |error| match door {
            Door::Account if call.path.starts_with("/api/") => sql_api::scheduled(error),
            Door::Account if call.path.starts_with("/oauth/") => oauth::scheduled(error),
            Door::Account => driver::scheduled(error),
            Door::Storage => storage::scheduled(error),
            Door::Identity => oauth::scheduled(error),
        }),
        None => Outcome::Reply(reply),
    };
    (outcome, visit.hold.get(), visit.inflated.get())
}

fn account(visit: &Visit<'_>) -> Reply {
    let state = visit.state();
    let path = visit.call.path.as_str();
    if state.settings.most_at_once.is_some_and(|most| state.journal.in_work() > most) {
        return sql_api::error(429, "390505", "Too many requests.");
    }
    if path == oauth::ACCOUNT_PATH {
        oauth::account(visit)
    } else if path.starts_with("/api/") {
        sql_api::answer(visit)
    } else {
        driver::answer(visit)
    }
}

/// Twists that change what the account remembers.
fn turn(simulated: &Simulated, twist: &Twist) {
    let state = simulated.state();
    let now = state.clock.now();
    match twist {
        Twist::ExpireSessions => lock(&state.gates).expire_sessions(now),
        Twist::ExpireMasters => lock(&state.gates).expire_masters(now),
        Twist::ForgetSessions => lock(&state.gates).forget_sessions(),
        Twist::ExpireOAuth => lock(&state.gates).expire_issued(now),
        Twist::ExpireAccessTokens => simulated.with_model(|account| {
            let tokens = account.users.values_mut().flat_map(|user| user.tokens.values_mut());
            tokens.for_each(|token| token.until = token.until.min(now));
        }),
        Twist::ForgetResults => lock(&state.results).forget(),
        _ => {}
    }
}

type Headers = Vec<(&'static str, String)>;

/// Bodies that have nothing to do with what was asked.
fn body_of(twist: &Twist, door: Door) -> Option<(Body, Headers)> {
    let json = || vec![("content-type", "application/json".to_owned())];
    // Rows stand bare in a chunk and inside `data` in a partition.
    let (head, tail): (&[u8], &[u8]) =
        if door == Door::Storage { (b"[\"", b"\"]") } else { (b"{\"data\":[[\"", b"\"]]}") };
    match twist {
        Twist::StorageError => {
            Some((Body::Whole(storage::SLOW_DOWN.into()), vec![("content-type", "application/xml".to_owned())]))
        }
        Twist::GzipBomb { bytes } => {
            let mut headers = json();
            headers.push(("content-encoding", "gzip".to_owned()));
            Some((gzip::bomb(head, *bytes, tail), headers))
        }
        Twist::Huge { bytes } => {
            let piece = vec![b'x'; 64 << 10];
            let times = bytes.div_ceil(piece.len() as u64);
            let body =
                Body::Repeated { head: head.to_vec().into(), piece: piece.into(), times, tail: tail.to_vec().into() };
            Some((body, json()))
        }
        _ => None,
    }
}

/// What a request is about: its statement, or that of the result it fetches.
fn statement(state: &State, call: &Call, json: Option<&Value>) -> Option<String> {
    let said = json.and_then(|json| json.get("statement").or_else(|| json.get("sqlText"))).and_then(Value::as_str);
    if let Some(said) = said {
        return Some(said.to_owned());
    }
    let results = lock(&state.results);
    call.path.split('/').find_map(|part| Some(results.look(part)?.sql.to_string()))
}

impl Traffic {
    fn count(&mut self, door: Door, path: &str, query: Option<&str>, statement: Option<&str>, sum: Sum) {
        let later = door == Door::Storage || query.is_some_and(|query| query.contains("partition="));
        if later {
            self.chunks.add(sum);
        }
        let of = match statement.map(sql::parse) {
            Some(Ok(statement)) if statement.is_about_columns() => &mut self.columns,
            Some(Ok(statement)) if statement.is_about_objects() => &mut self.listing,
            None if door == Door::Identity || path.starts_with("/session") || path.starts_with("/oauth") => {
                &mut self.login
            }
            _ => &mut self.other,
        };
        of.add(sum);
    }
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.inflated += other.inflated;
    }
}
