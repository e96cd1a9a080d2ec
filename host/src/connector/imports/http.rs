//! `http`: requests of a guest, handed to its connection's session.
//!
//! Every request runs on the caller's runtime and ends with the operation: its tasks are dropped with the store. What
//! is refused, and what a platform answers, is an error value for the guest; a trap is only what the guest cannot have
//! meant. Knows nothing of policy and credentials, which are the session's.

use std::{
    collections::VecDeque,
    future::Future,
    ops::Range,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use wasmtime::component::Resource;

use crate::{
    connector::{
        limits::{MAX_BATCH, MAX_PARALLEL, MAX_TRANSFERS, MAX_UNFETCHED},
        state::State,
        v0_1::{
            http::{Host, HostBatch, HostBodyStream, Request, Response},
            types::Error,
        },
    },
    egress::session::{self, Budget, OpenResponse, SendError, SendErrorKind, Session},
};

/// Largest piece of a body.
const MAX_PIECE: u32 = 1 << 20;

/// Requests that run in parallel. At most [`MAX_PARALLEL`] are under way or wait to be fetched, so that answers that
/// nobody fetches do not pile up; all batches of an operation together keep at most [`MAX_UNFETCHED`] bytes of answers.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Batch {
    waiting: VecDeque<(u32, Request)>,
    running: JoinSet<(u32, Result<Kept, Error>)>,
    parallel: usize,
    /// Set where nothing is sent.
    refused: Option<Refused>,
}

/// An answer that waits to be fetched, and the room that it takes until then.
struct Kept {
    response: Response,
    _room: OwnedSemaphorePermit,
}

/// What each request of a refused batch is answered with. Nothing of the requests themselves is kept.
struct Refused {
    error: Error,
    /// The requests that were not answered yet.
    left: Range<u32>,
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
        self.waited.begin();
        let answer = finished(&mut task).await;
        self.waited.end();
        answer
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
        self.waited.begin();
        let opened = finished(&mut task).await;
        self.waited.end();
        let opened = opened?;
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
        let mut batch = Batch { parallel, ..Batch::empty() };
        let room = if requests.len() > MAX_BATCH { Err(too_many()) } else { self.begin_transfer() };
        match room {
            Ok(()) => {
                batch.waiting = (0..).zip(requests).collect();
                batch.fill(self);
            }
            Err(error) => {
                let left = 0..u32::try_from(requests.len()).unwrap_or(u32::MAX);
                batch.refused = Some(Refused { error, left });
            }
        }
        Ok(self.table.push(batch)?)
    }

    async fn next(&mut self, batch: Resource<Batch>) -> wasmtime::Result<Option<(u32, Result<Response, Error>)>> {
        let found = self.table.get_mut(&batch)?;
        if let Some(refused) = &mut found.refused {
            return Ok(refused.left.next().map(|index| (index, Err(refused.error.clone()))));
        }
        self.waited.begin();
        let done = found.running.join_next().await;
        self.waited.end();
        let Some(done) = done else { return Ok(None) };
        // Taken out while it is filled, because both are parts of the state.
        let mut taken = std::mem::replace(self.table.get_mut(&batch)?, Batch::empty());
        taken.fill(self);
        *self.table.get_mut(&batch)? = taken;
        let (index, answer) =
            done.map_err(|error| wasmtime::Error::msg(format!("a request of the host failed: {error}")))?;
        Ok(Some((index, answer.map(|kept| kept.response))))
    }

    async fn drop(&mut self, batch: Resource<Batch>) -> wasmtime::Result<()> {
        // A refused one took no place.
        if self.table.delete(batch)?.refused.is_none() {
            self.transfers = self.transfers.saturating_sub(1);
        }
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
        self.waited.begin();
        let piece = in_time(&budget, stream.read(size, &budget)).await;
        self.waited.end();
        Ok(piece.map(Vec::from))
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
        Self { waiting: VecDeque::new(), running: JoinSet::new(), parallel: 1, refused: None }
    }

    /// Starts requests up to the wished number.
    fn fill(&mut self, state: &State) {
        while self.running.len() < self.parallel
            && let Some((index, request)) = self.waiting.pop_front()
        {
            let session = state.grant.session.clone();
            let budget = state.budget.clone();
            let unfetched = state.unfetched.clone();
            self.running.spawn_on(
                async move {
                    match session {
                        Some(session) => {
                            let answer = send(&session, request, &budget).await;
                            (index, answer.and_then(|response| kept(response, unfetched)))
                        }
                        None => (index, Err(nothing_granted())),
                    }
                },
                &state.grant.io,
            );
        }
    }
}

/// Keeps an answer until it is fetched. One that has no room is dropped: were it to wait for room, it would be held all
/// the same, and a guest that fetches from another batch first would wait forever.
fn kept(response: Response, unfetched: Arc<Semaphore>) -> Result<Kept, Error> {
    let size = u32::try_from(response.body.len()).unwrap_or(u32::MAX);
    match unfetched.try_acquire_many_owned(size) {
        Ok(room) => Ok(Kept { response, _room: room }),
        Err(_) => Err(unfetched_full()),
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
    let left = budget.end().saturating_duration_since(Instant::now());
    match tokio::time::timeout(left, work).await {
        Ok(result) => result.map_err(|refused| {
            if refused.kind == SendErrorKind::Denied {
                budget.denied.fetch_add(1, Ordering::Relaxed);
            }
            error(refused)
        }),
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

fn too_many() -> Error {
    plain("budget-exhausted", format!("a batch has at most {MAX_BATCH} requests"))
}

fn unfetched_full() -> Error {
    let max = MAX_UNFETCHED >> 20;
    plain("budget-exhausted", format!("answers that were not fetched may hold {max} MiB; fewer in parallel would help"))
}

fn plain(code: &str, message: String) -> Error {
    Error { code: code.into(), message, detail: None, retry_after_ms: None, path: None, extra: Vec::new() }
}
