//! Why a request was not answered: what the guest is told, and what the operator is told.

use std::{collections::HashSet, sync::Mutex, sync::PoisonError, time::Duration};

use crate::model::id::ConnectionId;

/// Why a request was not answered.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct SendError {
    /// What the guest and the host's retries go by.
    pub kind: SendErrorKind,
    /// For the guest: nothing of the operator's network in it.
    pub message: String,
    /// For the operator: with the line of configuration that would allow it, where there is one.
    pub operator: Option<String>,
    /// How long the platform asked to wait.
    pub retry_after: Option<Duration>,
}

/// What kind of failure; as text, the codes of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendErrorKind {
    /// Refused before sending.
    Denied,
    /// The credential was refused by the platform.
    Unauthenticated,
    /// Authentication cannot work with this configuration.
    InvalidConfig,
    /// No connection, no DNS, TLS failure, or cut off.
    Unavailable,
    /// The platform asks to slow down, and the retries are used up.
    RateLimited,
    /// The answer is too large.
    TooLarge,
    /// The operation's time is over.
    TimedOut,
    /// The operation has sent or received as much as one may.
    BudgetExhausted,
    /// The answer holds an injected secret.
    SecretReflected,
}

impl SendErrorKind {
    /// The code of the contract.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Denied | Self::SecretReflected => "denied",
            Self::Unauthenticated => "unauthenticated",
            Self::InvalidConfig => "invalid-config",
            Self::Unavailable => "unavailable",
            Self::RateLimited => "rate-limited",
            Self::TooLarge => "too-large",
            Self::TimedOut => "timed-out",
            Self::BudgetExhausted => "budget-exhausted",
        }
    }
}

impl SendError {
    pub(super) fn new(kind: SendErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), operator: None, retry_after: None }
    }

    pub(super) fn denied(message: impl Into<String>) -> Self {
        Self::new(SendErrorKind::Denied, message)
    }

    pub(super) fn timed_out() -> Self {
        Self::new(SendErrorKind::TimedOut, "the operation's time is over")
    }

    pub(super) fn for_operator(mut self, text: impl Into<String>) -> Self {
        self.operator = Some(text.into());
        self
    }
}

/// Different messages of one session that are logged; a guest could make up new ones for ever.
const MAX_TOLD: usize = 32;

/// Tells the operator what concerns him, each thing once per session.
#[derive(Debug)]
pub(super) struct Told {
    connection: Option<ConnectionId>,
    texts: Mutex<HashSet<String>>,
    last: Mutex<Option<String>>,
}

impl Told {
    pub(super) fn new(connection: Option<ConnectionId>) -> Self {
        Self { connection, texts: Mutex::default(), last: Mutex::default() }
    }

    /// What the operator was told last.
    pub(super) fn last(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn tell(&self, error: &SendError) {
        let connection = self.connection.map(tracing::field::display);
        if error.kind == SendErrorKind::SecretReflected {
            // Every time, and where it is looked for.
            tracing::error!(target: "security", connection, "{}", error.operator.as_deref().unwrap_or(&error.message));
            return;
        }
        let Some(text) = &error.operator else { return };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.clone());
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if texts.len() < MAX_TOLD && texts.insert(text.clone()) {
            tracing::warn!(connection, code = error.kind.code(), "{text}");
        }
    }
}
