//! Statements that a call leaves behind, as cursors keep them: those that still run, and results that were paid for.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
};

use serde::{Deserialize, Serialize};
use wharfinger_sdk::{Context, cursor};

use super::{api, driver, speaks_driver};
use crate::{config::Config, request::Statement};

/// Version of the cursors that hold [`Waiting`].
pub(crate) const CURSOR: u32 = 1;
/// Times that a page is empty because a statement runs; with the pauses below that is over half an hour.
const MAX_WAITS: u32 = 400;
/// Statements kept.
const MAX_KEPT: usize = 8;

/// A statement that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ran {
    /// Of its text.
    hash: u64,
    /// What the platform calls it.
    pub(super) handle: String,
    /// The request that began it.
    pub(super) request: String,
    /// Whether it was not done.
    pub(super) running: bool,
}

impl Ran {
    pub(super) fn new(statement: &Statement, handle: &str, request: &str, running: bool) -> Self {
        Self { hash: hash(&statement.text), handle: handle.to_owned(), request: request.to_owned(), running }
    }

    /// Whether both are of the same statement.
    pub(super) fn replaces(&self, other: &Self) -> bool {
        self.hash == other.hash
    }

    pub(super) fn is_of(&self, statement: &Statement) -> bool {
        self.hash == hash(&statement.text)
    }
}

/// What a cursor says of statements.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// Those of the page that could not be finished.
    #[serde(default)]
    pub(super) ran: Vec<Ran>,
    /// How often it could not.
    #[serde(default)]
    times: u32,
}

impl Waiting {
    /// Adds what a call ran; what an earlier one left stays as long as nothing took its place.
    pub(super) fn keep(&mut self, ran: Vec<Ran>) {
        self.ran.retain(|old| !ran.iter().any(|new| new.hash == old.hash));
        self.ran.extend(ran);
        let surplus = self.ran.len().saturating_sub(MAX_KEPT);
        self.ran.drain(..surplus);
        self.times += 1;
    }

    pub(super) fn is_hopeless(&self) -> bool {
        self.times > MAX_WAITS
    }

    /// How long to wait: half a second first, up to five.
    pub(super) fn pause_ms(&self) -> u64 {
        (250 << self.times.min(5)).min(5000)
    }
}

/// The part of any of our cursors that says what runs.
#[derive(Default, Deserialize)]
struct Place {
    #[serde(default)]
    waiting: Waiting,
}

/// Cancels what a cursor keeps running. Best effort.
pub(crate) fn abandon(cx: &Context<Config>, cursor: &str) {
    let place: Place = cursor::read(CURSOR, Some(cursor)).unwrap_or_default();
    place.waiting.ran.iter().filter(|ran| ran.running).for_each(|ran| cancel(cx, ran));
}

/// Cancels a statement. Best effort: one that is done, or gone, needs none.
pub(super) fn cancel(cx: &Context<Config>, ran: &Ran) {
    let request = if speaks_driver(cx) { driver::cancel(cx, &ran.request) } else { Ok(api::cancel(cx, &ran.handle)) };
    let answer = request.and_then(wharfinger_sdk::http::RequestBuilder::send);
    if let Err(error) = answer {
        cx.log("info", "A running statement could not be cancelled.", &[("why", &error.message)]);
    }
}

/// A new id for a request. The platform runs a request that comes twice under one id once, so ids must not repeat: they
/// are made of the randomness that the standard library keys its hash tables with, and of the statement.
pub(super) fn request_id(statement: &str) -> String {
    let half = || {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write(statement.as_bytes());
        hasher.finish()
    };
    let (high, low) = (half(), half());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff
    )
}

/// FNV-1a: the same in every build, as cursors outlive one.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_and_do_not_repeat() {
        let ids: std::collections::HashSet<String> = (0..1000).map(|_| request_id("SHOW DATABASES")).collect();
        assert_eq!(ids.len(), 1000);
        for id in ids {
            let shape: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(shape, [8, 4, 4, 4, 12], "{id}");
            assert!(id[14..].starts_with('4') && id[19..].starts_with(['8', '9', 'a', 'b']), "{id}");
            assert!(id.chars().all(|c| c == '-' || c.is_ascii_hexdigit()), "{id}");
        }
    }

    #[test]
    fn pauses_grow_and_end() {
        let mut waiting = Waiting::default();
        let mut pauses = Vec::new();
        while !waiting.is_hopeless() {
            waiting.keep(vec![]);
            pauses.push(waiting.pause_ms());
        }
        assert_eq!(pauses[..6], [500, 1000, 2000, 4000, 5000, 5000]);
        assert!(pauses.iter().sum::<u64>() > 30 * 60 * 1000);
    }
}
