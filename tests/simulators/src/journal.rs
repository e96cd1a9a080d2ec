//! What was asked of a simulator: counters and a bounded list of requests, for tests that assert on traffic.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Requests beyond this are counted, not listed.
const KEPT: usize = 200_000;

/// Sums since the start or the last reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Requests that arrived.
    pub requests: u64,
    /// Bytes of all bodies that were answered.
    pub bytes: u64,
    /// Requests that a fault hit.
    pub faults: u64,
    /// Most requests that were in work at one time.
    pub at_once: u64,
    /// Requests that carried a credential to where none belongs.
    #[serde(default)]
    pub leaks: u64,
}

/// A request as it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Verb.
    pub method: String,
    /// `/path?query` as sent.
    pub target: String,
    /// 0 for one that never was answered.
    pub status: u16,
    /// What it asked, where the platform takes statements; long ones are cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
}

impl Entry {
    /// A request without a statement.
    pub(crate) fn new(method: &impl ToString, target: String, status: u16) -> Self {
        Self { method: method.to_string(), target, status, statement: None }
    }
}

/// Collects counters and entries; all of it may be called from anywhere.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    requests: AtomicU64,
    bytes: AtomicU64,
    faults: AtomicU64,
    in_work: AtomicU64,
    at_once: AtomicU64,
    leaks: AtomicU64,
    entries: Mutex<Vec<Entry>>,
}

/// Counts a request as in work until dropped.
pub(crate) struct InWork<'a>(&'a Journal);

impl Journal {
    pub(crate) fn arrived(&self) -> InWork<'_> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let now = self.in_work.fetch_add(1, Ordering::Relaxed) + 1;
        self.at_once.fetch_max(now, Ordering::Relaxed);
        InWork(self)
    }

    pub(crate) fn hit(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    /// A credential came where none belongs.
    pub(crate) fn leaked(&self) {
        self.leaks.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that are in work now.
    pub(crate) fn in_work(&self) -> u64 {
        self.in_work.load(Ordering::Relaxed)
    }

    pub(crate) fn answered(&self, entry: Entry, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if let Ok(mut entries) = self.entries.lock()
            && entries.len() < KEPT
        {
            entries.push(entry);
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        Counters {
            requests: self.requests.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            faults: self.faults.load(Ordering::Relaxed),
            at_once: self.at_once.load(Ordering::Relaxed),
            leaks: self.leaks.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.entries.lock().map(|entries| entries.clone()).unwrap_or_default()
    }

    pub(crate) fn reset(&self) {
        for counter in [&self.requests, &self.bytes, &self.faults, &self.at_once, &self.leaks] {
            counter.store(0, Ordering::Relaxed);
        }
        if let Ok(mut entries) = self.entries.lock() {
            entries.clear();
        }
    }
}

impl Drop for InWork<'_> {
    fn drop(&mut self) {
        self.0.in_work.fetch_sub(1, Ordering::Relaxed);
    }
}
