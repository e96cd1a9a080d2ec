//! Results that are fetched later: by poll, by partition, by chunk. They end by age, and the oldest go when there is much.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::errors::Refusal;
use super::result::Cut;

/// Bytes of all results kept.
const MOST_BYTES: usize = 768 << 20;

/// A statement that was carried out.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) handle: Uuid,
    pub(crate) sql: Arc<str>,
    pub(crate) outcome: Result<Arc<Cut>, Refusal>,
    pub(crate) user: String,
    pub(crate) created_ms: i64,
    /// Compressed chunks of the driver protocol.
    pub(crate) chunks: Arc<Vec<Bytes>>,
    /// `queryResultFormat` and its like.
    pub(crate) arrow: bool,
    /// It was to run on its own, rather than taking longer than expected.
    pub(crate) detached: bool,
    polls_left: u32,
    cancelled: bool,
}

/// What a poll finds.
#[derive(Debug)]
pub(crate) enum Found {
    Running(Stored),
    Done(Stored),
    Cancelled,
    Nothing,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Results {
    by_handle: HashMap<Uuid, Stored>,
    by_request: HashMap<(String, String), Uuid>,
    order: VecDeque<Uuid>,
    bytes: usize,
}

impl Stored {
    pub(crate) fn new(sql: &str, user: &str, outcome: Result<Cut, Refusal>, created_ms: i64, polls: u32) -> Self {
        Self {
            handle: Uuid::new_v4(),
            sql: sql.into(),
            outcome: outcome.map(Arc::new),
            user: user.to_owned(),
            created_ms,
            chunks: Arc::default(),
            arrow: false,
            detached: false,
            polls_left: polls,
            cancelled: false,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.polls_left > 0
    }

    fn bytes(&self) -> usize {
        self.outcome.as_ref().map_or(0, |cut| cut.bytes()) + self.chunks.iter().map(Bytes::len).sum::<usize>()
    }
}

impl Results {
    /// Keeps a result, under the request that asked for it.
    pub(crate) fn keep(&mut self, stored: Stored, request: Option<&str>) {
        self.bytes += stored.bytes();
        self.order.push_back(stored.handle);
        if let Some(request) = request {
            self.by_request.insert((stored.user.clone(), request.to_owned()), stored.handle);
        }
        self.by_handle.insert(stored.handle, stored);
        while self.bytes > MOST_BYTES && self.order.len() > 1 {
            self.drop_oldest();
        }
    }

    /// What the same request was answered with.
    pub(crate) fn of_request(&self, user: &str, request: &str) -> Option<Stored> {
        let handle = self.by_request.get(&(user.to_owned(), request.to_owned()))?;
        self.by_handle.get(handle).cloned()
    }

    /// Looks at a result and counts the look as a poll.
    pub(crate) fn poll(&mut self, handle: &str, user: &str, youngest_ms: i64) -> Found {
        let found = handle.parse().ok().and_then(|handle: Uuid| self.by_handle.get_mut(&handle));
        match found.filter(|stored| stored.user == user && stored.created_ms > youngest_ms) {
            None => Found::Nothing,
            Some(stored) if stored.cancelled => Found::Cancelled,
            Some(stored) if stored.polls_left > 0 => {
                stored.polls_left -= 1;
                Found::Running(stored.clone())
            }
            Some(stored) => Found::Done(stored.clone()),
        }
    }

    /// Looks at a result without counting it.
    pub(crate) fn look(&self, handle: &str) -> Option<&Stored> {
        self.by_handle.get(&handle.parse().ok()?)
    }

    /// Stops what runs; false where nothing does.
    pub(crate) fn cancel(&mut self, handle: &str, user: &str) -> Option<Stored> {
        let stored = self.by_handle.get_mut(&handle.parse().ok()?).filter(|stored| stored.user == user)?;
        stored.cancelled |= stored.is_running();
        Some(stored.clone())
    }

    /// Stops what a request started.
    pub(crate) fn cancel_request(&mut self, user: &str, request: &str) -> bool {
        let handle = self.by_request.get(&(user.to_owned(), request.to_owned())).map(Uuid::to_string);
        handle.and_then(|handle| self.cancel(&handle, user)).is_some_and(|stored| stored.is_running())
    }

    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    fn drop_oldest(&mut self) {
        if let Some(stored) = self.order.pop_front().and_then(|handle| self.by_handle.remove(&handle)) {
            self.bytes -= stored.bytes();
            self.by_request.retain(|_, handle| *handle != stored.handle);
        }
    }
}
