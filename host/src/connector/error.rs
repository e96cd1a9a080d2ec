//! Why a component was not loaded, and why a call failed. Traps, deadlines, limits and guest errors meet here.

use std::time::Duration;

use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

use super::{
    imports::log::is_steering,
    limits::{MAX_MESSAGE, Refused, Times, size},
    state::State,
};

/// Longest wait that a platform may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A component that was refused; nothing of it is kept.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct LoadError {
    /// Machine-readable: `not-a-component`, `forbidden-import`, `invalid-descriptor`, `missing-export`, `too-large`,
    /// `compile-timeout`, `compile-memory`, `compile-failed`, `nondeterministic-describe`, …
    pub code: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl LoadError {
    /// A refusal. Its words may be the component's own: they are bounded, and what steers a terminal is escaped.
    pub(super) fn new(code: &'static str, message: &str) -> Self {
        Self { code, message: escaped(message, MAX_MESSAGE) }
    }
}

/// The codes of the contract. One that nobody knows is [`ErrorCode::Internal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// How a call ended without an answer.
pub(super) enum Ended {
    /// The wall clock ran out.
    Late,
    /// The guest trapped, or the host ended it.
    Trapped(wasmtime::Error),
}

/// What ended a call in its midst, as counters name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stop {
    /// The wall clock.
    Late,
    /// Its computing time.
    Computing,
    /// Memory that was refused.
    Memory,
    /// Table elements that were refused.
    Tables,
    /// More handed over than is taken.
    Handover,
    /// Too many things of the host held.
    Resources,
    /// It ended itself.
    Exit,
    /// It panicked, or aborted.
    Unreachable,
    /// It nested too deeply.
    Stack,
    /// It reached beyond its memory or its tables.
    OutOfBounds,
    /// Something else that WebAssembly forbids.
    Other,
}

impl Stop {
    /// The name of its counter.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Computing => "computing",
            Self::Memory => "memory",
            Self::Tables => "tables",
            Self::Handover => "handover",
            Self::Resources => "resources",
            Self::Exit => "exit",
            Self::Unreachable => "unreachable",
            Self::Stack => "stack",
            Self::OutOfBounds => "out-of-bounds",
            Self::Other => "other",
        }
    }

    fn of(trap: Trap) -> Self {
        match trap {
            Trap::UnreachableCodeReached => Self::Unreachable,
            Trap::StackOverflow => Self::Stack,
            Trap::MemoryOutOfBounds | Trap::TableOutOfBounds => Self::OutOfBounds,
            _ => Self::Other,
        }
    }
}

impl CallError {
    /// A failure with nothing but a message.
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: None, retry_after: None }
    }

    /// A guest's own words: bounded, and without what steers a terminal.
    pub(super) fn from_guest(
        code: ErrorCode,
        message: String,
        detail: Option<String>,
        retry_after_ms: Option<u64>,
    ) -> Self {
        Self {
            code,
            message: clean(message, MAX_MESSAGE),
            detail: detail.map(|d| clean(d, MAX_MESSAGE)).filter(|d| !d.is_empty()),
            retry_after: retry_after_ms.map(|ms| Duration::from_millis(ms).min(MAX_RETRY_AFTER)),
        }
    }

    /// Says what ended a call. A guest that was refused memory dies of something else, so the limiter is asked first.
    pub(super) fn ended(ended: &Ended, times: &Times, state: &State) -> (Self, Stop) {
        let name = times.name;
        let error = match ended {
            Ended::Late => {
                let message = format!("{name} took longer than {:?}", times.wall);
                return (Self::new(ErrorCode::TimedOut, message), Stop::Late);
            }
            Ended::Trapped(error) => error,
        };
        let found = |code, message, stop| (Self { detail: last_words(state), ..Self::new(code, message) }, stop);
        if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
            let message = format!("{name} computed for more than {:?}", times.cpu);
            return found(ErrorCode::BudgetExhausted, message, Stop::Computing);
        }
        if let (Some(denied), Some(refused)) = (state.limiter.denied(), state.limiter.refused()) {
            let stop = match refused {
                Refused::Memory => Stop::Memory,
                Refused::Tables => Stop::Tables,
            };
            return found(ErrorCode::BudgetExhausted, format!("{name} ran out of {denied}"), stop);
        }
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            let message = format!("the component ended itself in {name} with status {}", exit.0);
            return found(ErrorCode::Trapped, message, Stop::Exit);
        }
        let text = format!("{error:#}");
        // The error of the exhausted fuel has a private type.
        if text.contains("fuel allocated for hostcalls") {
            let most = size(state.limits.handover());
            let message = format!("{name} handed over more than {most} at once; smaller pages would help");
            return found(ErrorCode::TooLarge, message, Stop::Handover);
        }
        if error.downcast_ref::<wasmtime::component::ResourceTableError>().is_some() {
            let most = state.limits.resources;
            let message = format!("{name} held too many things of the host at once: it may hold {most}");
            return found(ErrorCode::BudgetExhausted, message, Stop::Resources);
        }
        match error.downcast_ref::<Trap>() {
            Some(trap) => {
                let message = format!("the component trapped in {name}: {}", reason(*trap));
                found(ErrorCode::Trapped, message, Stop::of(*trap))
            }
            None => {
                let message = format!("the component failed in {name}: {}", clean(error.to_string(), MAX_MESSAGE));
                found(ErrorCode::Trapped, message, Stop::Other)
            }
        }
    }
}

/// A trap in words. What people meet is told in theirs.
fn reason(trap: Trap) -> String {
    match trap {
        Trap::UnreachableCodeReached => "it gave up, as a panic does".to_owned(),
        Trap::MemoryOutOfBounds => "it reached outside of its memory, as endless recursion does too".to_owned(),
        Trap::StackOverflow => "its calls are nested too deeply for its stack".to_owned(),
        trap => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
    }
}

/// What the guest wrote last: usually why it panicked.
fn last_words(state: &State) -> Option<String> {
    let output = state.output();
    // Advice for whoever could set a variable there, which nobody can.
    let output = output.split("\nnote: run with `RUST_BACKTRACE=1`").next().unwrap_or_default().trim();
    let from = output.floor_char_boundary(output.len().saturating_sub(MAX_MESSAGE));
    (!output.is_empty()).then(|| clean(output[from..].to_owned(), MAX_MESSAGE))
}

/// A guest's text with at most `max` bytes, and a space in place of each character that steers a terminal.
pub(super) fn clean(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max - '…'.len_utf8()));
        text.push('…');
    }
    if text.contains(is_steering) { text.replace(is_steering, " ") } else { text }
}

/// A text with at most `max` bytes, and what steers a terminal written so that people see it.
fn escaped(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    for c in text.chars() {
        if out.len() > max {
            break;
        }
        if is_steering(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    if out.len() > max {
        out.truncate(out.floor_char_boundary(max - '…'.len_utf8()));
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_short_and_steers_nothing() {
        let error = LoadError::new("forbidden-import", "it imports \u{1b}]0;owned\u{7} and\na\u{202e}b");
        assert_eq!(error.message, r"it imports \u{1b}]0;owned\u{7} and\u{a}a\u{202e}b");
        for text in ["ä".repeat(MAX_MESSAGE), "\u{202e}".repeat(MAX_MESSAGE), "x".repeat(32 << 20)] {
            let message = LoadError::new("x", &text).message;
            assert!(message.len() <= MAX_MESSAGE && message.ends_with('…'), "{}", message.len());
        }
        assert_eq!(LoadError::new("x", &"x".repeat(MAX_MESSAGE)).message.len(), MAX_MESSAGE);
    }
}
