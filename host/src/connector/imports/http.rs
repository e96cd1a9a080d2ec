//! `http`: requests of a guest, handed to its connection's session.
//!
//! Every request runs on the caller's runtime and ends with the operation: its tasks are dropped with the store. What
//! is refused, and what a platform answers, is an error value for the guest; a trap is only what the guest cannot have
//! meant. Knows nothing of policy and credentials, which are the session's.

use std::{collections::VecDeque, future::Future, sync::Arc, time::Instant};

use tokio::task::JoinSet;
use wasmtime::component::Resource;

use crate::{
    connector::{
        limits::{MAX_PARALLEL, MAX_TRANSFERS},
        state::State,
        v0_1::{
            http::{Host, HostBatch, HostBodyStream, Request, Response},
            types::Error,
        },
    },
    egress::session::{self, Budget, OpenResponse, SendError, Session},
};

/// Largest piece of a body.
const MAX_PIECE: u32 = 1 << 20;

/// Requests that run in parallel. At most [`MAX_PARALLEL`] are under way or wait to be fetched, so that answers that
/// nobody fetches do not pile up.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Batch {
    waiting: VecDeque<(u32, Request)>,
    running: JoinSet<(u32, Result<Response, Error>)>,
    parallel: usize,
}

/// An answer that is read piece by piece.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct BodyStream(OpenResponse);

impl Host for State {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, Error>> {
        let Some(session) = self.grant.session.clone() else { return Ok(Err(nothing_granted())) };
        let budget = self.budget.clone();
        let mut task = JoinSet::new();
        task.spawn_on(async move { send(&session, request, &budget).await }, &self.grant.io);
        finished(&mut task).await
    }

    async fn open(&mut self, request: Request) -> wasmtime::Result<Result<Resource<BodyStream>, Error>> {
        let Some(session) = self.grant.session.clone() else { return Ok(Err(nothing_granted())) };
        if let Err(full) = self.begin_transfer() {
            return Ok(Err(full));
        }
        let budget = self.budget.clone();
        let mut task = JoinSet::new();
        task.spawn_on(
            async move { in_time(&budget, session.open(translated(request), &budget)).await },
            &self.grant.io,
        );
        let opened = finished(&mut task).await?;
        Ok(match opened {
            Ok(response) => self.table.push(BodyStream(response)).map_err(|_| no_room()),
            Err(error) => {
                self.transfers -= 1;
                Err(error)
            }
        })
    }
}

impl HostBatch for State {
    async fn new(&mut self, requests: Vec<Request>, parallel: u32) -> wasmtime::Result<Resource<Batch>> {
        // The constructor cannot fail, so what has no room here answers each of its requests with the reason.
        let parallel = usize::try_from(parallel).unwrap_or(MAX_PARALLEL).clamp(1, MAX_PARALLEL);
        let full = self.begin_transfer().err();
        let waiting = (0..).zip(requests).collect();
        let mut batch = Batch { waiting, running: JoinSet::new(), parallel };
        match full {
            None => batch.fill(self),
            Some(error) => {
                self.transfers += 1;
                for (index, _) in batch.waiting.drain(..) {
                    let error = error.clone();
                    batch.running.spawn_on(async move { (index, Err(error)) }, &self.grant.io);
                }
            }
        }
        Ok(self.table.push(batch)?)
    }

    async fn next(&mut self, batch: Resource<Batch>) -> wasmtime::Result<Option<(u32, Result<Response, Error>)>> {
        let Some(done) = self.table.get_mut(&batch)?.running.join_next().await else { return Ok(None) };
        // Taken out while it is filled, because both are parts of the state.
        let mut taken = std::mem::replace(self.table.get_mut(&batch)?, Batch::empty());
        taken.fill(self);
        *self.table.get_mut(&batch)? = taken;
        Ok(Some(done.map_err(|error| wasmtime::Error::msg(format!("a request of the host failed: {error}")))?))
    }

    async fn drop(&mut self, batch: Resource<Batch>) -> wasmtime::Result<()> {
        self.table.delete(batch)?;
        self.transfers = self.transfers.saturating_sub(1);
        Ok(())
    }
}

impl HostBodyStream for State {
    async fn status(&mut self, body: Resource<BodyStream>) -> wasmtime::Result<u16> {
        Ok(self.table.get(&body)?.0.status)
    }

    async fn headers(&mut self, body: Resource<BodyStream>) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(self.table.get(&body)?.0.headers.clone())
    }

    async fn read(&mut self, body: Resource<BodyStream>, max: u32) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let budget = self.budget.clone();
        let stream = &mut self.table.get_mut(&body)?.0;
        let size = max.clamp(1, MAX_PIECE) as usize;
        Ok(in_time(&budget, stream.read(size, &budget)).await.map(Vec::from))
    }

    async fn drop(&mut self, body: Resource<BodyStream>) -> wasmtime::Result<()> {
        self.table.delete(body)?;
        self.transfers = self.transfers.saturating_sub(1);
        Ok(())
    }
}

impl State {
    /// Takes one of the few places for what holds requests and answers in the host's memory.
    fn begin_transfer(&mut self) -> Result<(), Error> {
        if self.transfers >= MAX_TRANSFERS {
            return Err(no_room());
        }
        self.transfers += 1;
        Ok(())
    }
}

impl Batch {
    fn empty() -> Self {
        Self { waiting: VecDeque::new(), running: JoinSet::new(), parallel: 1 }
    }

    /// Starts requests up to the wished number.
    fn fill(&mut self, state: &State) {
        while self.running.len() < self.parallel
            && let Some((index, request)) = self.waiting.pop_front()
        {
            let session = state.grant.session.clone();
            let budget = state.budget.clone();
            self.running.spawn_on(
                async move {
                    match session {
                        Some(session) => (index, send(&session, request, &budget).await),
                        None => (index, Err(nothing_granted())),
                    }
                },
                &state.grant.io,
            );
        }
    }
}

async fn send(session: &Arc<Session>, request: Request, budget: &Budget) -> Result<Response, Error> {
    let response = in_time(budget, session.send(translated(request), budget)).await?;
    Ok(Response {
        status: response.status,
        headers: response.headers,
        body: Vec::from(response.body),
        extra: Vec::new(),
    })
}

/// The result of the only task; dropping the set ends the task.
async fn finished<T: 'static>(task: &mut JoinSet<T>) -> wasmtime::Result<T> {
    match task.join_next().await {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(wasmtime::Error::msg(format!("a request of the host failed: {error}"))),
        None => Err(wasmtime::Error::msg("a request of the host vanished")),
    }
}

/// Ends a host call with the operation's time for host calls, whatever the session does.
async fn in_time<T>(budget: &Budget, work: impl Future<Output = Result<T, SendError>>) -> Result<T, Error> {
    let left = budget.deadline.saturating_duration_since(Instant::now());
    match tokio::time::timeout(left, work).await {
        Ok(result) => result.map_err(error),
        Err(_) => Err(plain("timed-out", "the operation's time is over".into())),
    }
}

fn translated(request: Request) -> session::Request {
    let mut retry_statuses = Vec::new();
    let mut retry_query = Vec::new();
    for (key, value) in request.extra {
        match key.as_str() {
            "retry-status" => retry_statuses.extend(value.parse::<u16>()),
            "retry-query" => retry_query.extend(value.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned()))),
            _ => {}
        }
    }
    session::Request {
        method: request.method,
        url: request.url,
        headers: request.headers,
        body: request.body,
        auth: request.auth,
        retriable: request.retriable,
        retry_statuses,
        retry_query,
    }
}

/// What the guest hears of a failed request. (The session told the operator what only he may know.)
fn error(error: SendError) -> Error {
    let retry_after_ms = error.retry_after.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
    Error { retry_after_ms, ..plain(error.kind.code(), error.message) }
}

fn nothing_granted() -> Error {
    plain("denied", "nothing may be reached while a connector describes itself".into())
}

fn no_room() -> Error {
    plain("budget-exhausted", format!("at most {MAX_TRANSFERS} batches and open bodies at a time"))
}

fn plain(code: &str, message: String) -> Error {
    Error { code: code.into(), message, detail: None, retry_after_ms: None, path: None, extra: Vec::new() }
}
