//! Streams of server-sent events: how many there are, who follows them, and when they end.
//!
//! What is sent is found by looking into the store again and again: when its bell rings, and now and then. So nothing is kept
//! for a client, and a stream can be resumed at any host and after a restart.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    http::{HeaderMap, HeaderValue, Method, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{
    ApiState,
    caller::{self, Caller},
    error::ApiError,
};
use crate::db::DbError;

/// Streams at the same time, whatever they follow.
const MAX_STREAMS: usize = 256;

/// Changes within this time are told together.
const TOGETHER: Duration = Duration::from_millis(100);

/// How often it is looked whether the caller still is who it was.
const CALLER_CHECK: Duration = Duration::from_secs(15);

/// Room for as many streams as may be open at the same time.
#[must_use]
pub fn room() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MAX_STREAMS))
}

/// What a stream follows.
pub(super) trait Source: Send {
    /// Whether the caller still may follow it, as it is by now.
    fn admits(&mut self, caller: &Caller) -> bool;

    /// Queues what has changed since the last look.
    fn look(&mut self, queue: &mut VecDeque<Event>) -> impl Future<Output = Result<Next, DbError>> + Send;
}

/// When to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// At once: there is more.
    Now,
    /// When the bell rings, and after so long.
    Within(Duration),
    /// Never: the stream ends.
    End,
}

/// A place among the streams that may be open.
pub(super) fn place(state: &ApiState) -> Result<OwnedSemaphorePermit, ApiError> {
    state.streams.clone().try_acquire_owned().map_err(|_| {
        let message = format!("{MAX_STREAMS} streams of events are open already");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-streams", message).retry_after(10)
    })
}

/// Follows a source until it ends, the client goes, the host goes down, or the caller is not admitted any more.
pub(super) fn follow<S: Source + 'static>(
    state: ApiState,
    headers: HeaderMap,
    place: OwnedSemaphorePermit,
    source: S,
    first: Vec<Event>,
) -> Response {
    let queue = VecDeque::from(first);
    let caller_checked = Instant::now();
    let follow = Follow { state, headers, source, queue, caller_checked, looked: None, done: false, _place: place };
    let events = stream::unfold(follow, async |mut follow| {
        let event = follow.next().await?;
        Some((Ok::<_, Infallible>(event), follow))
    });
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(CALLER_CHECK)).into_response();
    // Proxies that collect answers before they pass them on would make the stream useless.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// That a client cannot know all from its stream alone.
pub(super) fn reset(why: &str) -> Event {
    Event::default().event("reset").data(serde_json::json!({ "message": why }).to_string())
}

/// What a stream begins with.
pub(super) fn beginning(of: &str) -> Event {
    Event::default().retry(Duration::from_secs(2)).comment(of)
}

/// One client's stream.
struct Follow<S> {
    state: ApiState,
    headers: HeaderMap,
    source: S,
    queue: VecDeque<Event>,
    caller_checked: Instant,
    looked: Option<Instant>,
    done: bool,
    _place: OwnedSemaphorePermit,
}

impl<S: Source> Follow<S> {
    /// The next event; none at the end of the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if self.done || self.state.stopping.is_cancelled() {
                return None;
            }
            if let Some(looked) = self.looked {
                tokio::time::sleep_until(looked + TOGETHER).await;
            }
            // Enrolled before the store is read, so that what changes meanwhile wakes us.
            let changed = self.state.db.jobs_changed();
            let rung = changed.notified();
            tokio::pin!(rung);
            rung.as_mut().enable();
            let next = match self.tell().await {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "a stream of events ends early");
                    return None;
                }
            };
            self.looked = Some(Instant::now());
            self.done = next == Next::End;
            let Next::Within(pause) = next else { continue };
            if !self.queue.is_empty() {
                continue;
            }
            let stopping = self.state.stopping.clone();
            tokio::select! {
                () = stopping.cancelled() => return None,
                () = rung => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn tell(&mut self) -> Result<Next, DbError> {
        if self.caller_checked.elapsed() >= CALLER_CHECK {
            // A key that was revoked, or a session that has ended, follows nothing any more.
            let Ok(caller) = caller::resolve(&self.state, &Method::GET, &self.headers).await else {
                return Ok(Next::End);
            };
            if !self.source.admits(&caller) {
                return Ok(Next::End);
            }
            self.caller_checked = Instant::now();
        }
        self.source.look(&mut self.queue).await
    }
}
