//! The one place where wall-clock time is read. Everything that decides by time takes a [`Clock`] or a `now`, so that
//! tests can set it.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use jiff::Timestamp;

/// Tells the time. Cloned handles of a manual clock share it.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    manual: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands still until it is set.
    #[must_use]
    pub fn manual(now: Timestamp) -> Self {
        Self { manual: Some(Arc::new(AtomicI64::new(now.as_microsecond()))) }
    }

    /// Sets a manual clock; the machine's own cannot be set.
    pub fn set(&self, now: Timestamp) {
        if let Some(manual) = &self.manual {
            manual.store(now.as_microsecond(), Ordering::SeqCst);
        }
    }

    /// The time now.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the allowed place")]
    pub fn now(&self) -> Timestamp {
        match &self.manual {
            // What a timestamp gave is a timestamp's.
            Some(manual) => Timestamp::from_microsecond(manual.load(Ordering::SeqCst)).unwrap_or(Timestamp::UNIX_EPOCH),
            None => Timestamp::now(),
        }
    }
}
