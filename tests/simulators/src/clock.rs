//! The platform's own time, which tests may move on: what ends after an hour need not be waited for.
//!
//! Seconds since 1970, as the platforms' tokens count them.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A clock that runs with the machine's, so far ahead as it was moved.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    ahead_ms: AtomicI64,
}

impl Clock {
    /// Milliseconds since 1970.
    #[expect(clippy::disallowed_methods, reason = "a simulated platform has a clock of its own")]
    pub(crate) fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_millis() as i64 + self.ahead_ms.load(Ordering::Relaxed)
    }

    /// Whole seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.now_ms() / 1_000
    }

    /// Moves it on.
    pub(crate) fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(by.as_millis() as i64, Ordering::Relaxed);
    }
}
