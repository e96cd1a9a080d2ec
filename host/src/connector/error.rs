//! Why a component was not loaded, and why a call failed. Traps, deadlines, limits and guest errors meet here.

use std::time::Duration;

/// A component that was refused; nothing of it is kept.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct LoadError {
    /// Machine-readable: `not-a-component`, `forbidden-import`, `invalid-descriptor`, `missing-export`, `too-large`, …
    pub code: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

/// The codes of the contract. One that nobody knows is [`ErrorCode::Internal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The configuration cannot work.
    InvalidConfig,
    /// The credentials were refused.
    Unauthenticated,
    /// The credentials lack a right.
    PermissionDenied,
    /// It is not there, or not for us.
    NotFound,
    /// Slow down.
    RateLimited,
    /// Not reachable for now.
    Unavailable,
    /// The platform cannot do this.
    Unsupported,
    /// The cursor cannot be read: begin the partition again.
    StaleCursor,
    /// The connector failed.
    Internal,
    /// The egress policy refused.
    Denied,
    /// An answer or page was too large.
    TooLarge,
    /// The call took too long.
    TimedOut,
    /// The call used up what it was given.
    BudgetExhausted,
    /// The component trapped.
    Trapped,
}

impl ErrorCode {
    /// Reads the text of the contract.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        match text {
            "invalid-config" => Self::InvalidConfig,
            "unauthenticated" => Self::Unauthenticated,
            "permission-denied" => Self::PermissionDenied,
            "not-found" => Self::NotFound,
            "rate-limited" => Self::RateLimited,
            "unavailable" => Self::Unavailable,
            "unsupported" => Self::Unsupported,
            "stale-cursor" => Self::StaleCursor,
            "denied" => Self::Denied,
            "too-large" => Self::TooLarge,
            "timed-out" => Self::TimedOut,
            "budget-exhausted" => Self::BudgetExhausted,
            _ => Self::Internal,
        }
    }

    /// The text of the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidConfig => "invalid-config",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission-denied",
            Self::NotFound => "not-found",
            Self::RateLimited => "rate-limited",
            Self::Unavailable => "unavailable",
            Self::Unsupported => "unsupported",
            Self::StaleCursor => "stale-cursor",
            Self::Internal => "internal",
            Self::Denied => "denied",
            Self::TooLarge => "too-large",
            Self::TimedOut => "timed-out",
            Self::BudgetExhausted => "budget-exhausted",
            Self::Trapped => "trapped",
        }
    }

    /// Whether trying again later may help.
    #[must_use]
    pub fn retryable(self) -> bool {
        match self {
            Self::RateLimited
            | Self::Unavailable
            | Self::TimedOut
            | Self::StaleCursor
            | Self::Trapped
            | Self::Internal => true,
            Self::InvalidConfig
            | Self::Unauthenticated
            | Self::PermissionDenied
            | Self::NotFound
            | Self::Unsupported
            | Self::Denied
            | Self::TooLarge
            | Self::BudgetExhausted => false,
        }
    }
}

/// Why a call failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// What kind of failure.
    pub code: ErrorCode,
    /// One sentence for people.
    pub message: String,
    /// What the platform said.
    pub detail: Option<String>,
    /// How long to wait.
    pub retry_after: Option<Duration>,
}
