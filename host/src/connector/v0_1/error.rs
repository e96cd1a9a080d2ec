//! Errors of guests.

use super::types::Error;
use crate::connector::error::{CallError, ErrorCode};

/// A guest's error as the host's. A code that nobody knows is `internal`.
pub(in crate::connector) fn call_error(error: Error) -> CallError {
    CallError::from_guest(ErrorCode::from_text(&error.code), error.message, error.detail, error.retry_after_ms)
}
