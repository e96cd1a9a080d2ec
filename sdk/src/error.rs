//! Constructors for the contract's error record: one per code, so that a code cannot be misspelt.

use crate::{Attributes, Error, Path};

/// The codes of the contract.
pub mod codes {
    /// The configuration cannot work.
    pub const INVALID_CONFIG: &str = "invalid-config";
    /// The credentials were refused.
    pub const UNAUTHENTICATED: &str = "unauthenticated";
    /// The credentials lack a right.
    pub const PERMISSION_DENIED: &str = "permission-denied";
    /// It is not there, or not for us.
    pub const NOT_FOUND: &str = "not-found";
    /// The platform asks to slow down.
    pub const RATE_LIMITED: &str = "rate-limited";
    /// Not reachable, or failing, for now.
    pub const UNAVAILABLE: &str = "unavailable";
    /// The platform cannot do this.
    pub const UNSUPPORTED: &str = "unsupported";
    /// The cursor cannot be read: the partition begins again.
    pub const STALE_CURSOR: &str = "stale-cursor";
    /// The connector failed.
    pub const INTERNAL: &str = "internal";
    /// From the host: the egress policy refused.
    pub const DENIED: &str = "denied";
    /// From the host: an answer was larger than allowed. Also of an object that fits no page.
    pub const TOO_LARGE: &str = "too-large";
    /// From the host: a request took too long.
    pub const TIMED_OUT: &str = "timed-out";
    /// From the host: the call used up what it was given.
    pub const BUDGET_EXHAUSTED: &str = "budget-exhausted";
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident = $code:ident;)*) => {
        impl Error {
            $($(#[$doc])* #[must_use] pub fn $name(message: impl Into<String>) -> Self {
                Self::new(codes::$code, message)
            })*
        }
    };
}

constructors! {
    /// The configuration cannot work.
    invalid_config = INVALID_CONFIG;
    /// The credentials were refused.
    unauthenticated = UNAUTHENTICATED;
    /// The credentials lack a right.
    permission_denied = PERMISSION_DENIED;
    /// It is not there, or not for us.
    not_found = NOT_FOUND;
    /// The platform asks to slow down.
    rate_limited = RATE_LIMITED;
    /// Not reachable, or failing, for now.
    unavailable = UNAVAILABLE;
    /// The platform cannot do this.
    unsupported = UNSUPPORTED;
    /// The cursor cannot be read.
    stale_cursor = STALE_CURSOR;
    /// The connector failed.
    internal = INTERNAL;
    /// One object is larger than a page.
    too_large = TOO_LARGE;
}

impl Error {
    /// An error of this code; prefer the named constructors. `message` is one sentence for people, without secrets.
    #[must_use]
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            detail: None,
            retry_after_ms: None,
            path: None,
            extra: Attributes::new(),
        }
    }

    /// What the platform said, word for word.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The object it is about.
    #[must_use]
    pub fn at(mut self, path: Path) -> Self {
        self.path = Some(path);
        self
    }

    /// How long to wait before trying again.
    #[must_use]
    pub fn retry_after(mut self, milliseconds: Option<u64>) -> Self {
        self.retry_after_ms = milliseconds;
        self
    }

    /// Whether it has this code.
    #[must_use]
    pub fn is(&self, code: &str) -> bool {
        self.code == code
    }
}
