//! What a failed call means: for its task, or for the whole job. Decided from values alone.

use std::time::Duration;

use super::super::worker::Stopped;
use crate::{
    connector::{CallError, ErrorCode},
    model::job::{JobError, retry_delay},
};

/// Failures in a row of one step before its task is given up.
const MAX_FAILURES: u32 = 4;

/// Longest wait that a platform can ask for within an attempt.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// What to do about a failed call.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Try the step again after a while, from its cursor or from the task's beginning.
    Wait {
        /// How long.
        delay: Duration,
        /// From the beginning.
        restart: bool,
    },
    /// Give the task up and report it, as code and message; the others go on.
    Report(String, String),
    /// The whole job ends here.
    Stop(Stopped),
}

/// Judges a failure of a task that failed and was begun again so often before. `is_root`: the task is about the very object
/// that the job is for, so nothing is left to go on with. `whose` tells the task from all others.
pub(super) fn judge(error: &CallError, failures: u32, restarts: u32, is_root: bool, whose: u128) -> Verdict {
    let job_error = || JobError { code: error.code.as_str().to_owned(), message: message(error) };
    match error.code {
        // The credentials or the configuration fail for everything.
        ErrorCode::Unauthenticated | ErrorCode::InvalidConfig | ErrorCode::Denied => {
            Verdict::Stop(Stopped::Failed(job_error()))
        }
        ErrorCode::StaleCursor if restarts < MAX_FAILURES => {
            // The first time at once: a new version of the connector is the usual reason.
            let delay = if restarts == 0 { Duration::ZERO } else { retry_delay(restarts, whose) };
            Verdict::Wait { delay, restart: true }
        }
        ErrorCode::StaleCursor => Verdict::Report(error.code.as_str().to_owned(), message(error)),
        code if code.retryable() && failures < MAX_FAILURES => {
            let delay = retry_delay(failures + 1, whose).max(error.retry_after.unwrap_or_default()).min(LONGEST_WAIT);
            Verdict::Wait { delay, restart: false }
        }
        code if is_root && code.retryable() => Verdict::Stop(Stopped::NotNow(job_error())),
        _ if is_root => Verdict::Stop(Stopped::Failed(job_error())),
        code => Verdict::Report(code.as_str().to_owned(), message(error)),
    }
}

/// The sentence for people, with what the platform said.
fn message(error: &CallError) -> String {
    match &error.detail {
        Some(detail) => format!("{}: {detail}", error.message),
        None => error.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: ErrorCode) -> CallError {
        CallError { code, message: "list tables".into(), detail: None, retry_after: Some(Duration::from_secs(2)) }
    }

    #[track_caller]
    fn check(code: ErrorCode, failures: u32, is_root: bool, expect: &str) {
        let got = match judge(&error(code), failures, failures, is_root, 0) {
            Verdict::Wait { delay, restart } => format!("wait {} {restart}", delay.as_secs_f64().ceil()),
            Verdict::Report(code, _) => format!("report {code}"),
            Verdict::Stop(Stopped::Failed(error)) => format!("failed {}", error.code),
            Verdict::Stop(Stopped::NotNow(error)) => format!("not now {}", error.code),
            Verdict::Stop(stopped) => format!("{stopped:?}"),
        };
        assert_eq!(got, expect);
    }

    #[test]
    fn what_each_failure_means() {
        check(ErrorCode::RateLimited, 0, true, "wait 2 false");
        check(ErrorCode::Unavailable, 3, false, "wait 6 false");
        check(ErrorCode::Unavailable, 4, false, "report unavailable");
        check(ErrorCode::Unavailable, 4, true, "not now unavailable");
        check(ErrorCode::StaleCursor, 0, false, "wait 0 true");
        check(ErrorCode::StaleCursor, 4, false, "report stale-cursor");
        check(ErrorCode::PermissionDenied, 0, false, "report permission-denied");
        check(ErrorCode::PermissionDenied, 0, true, "failed permission-denied");
        check(ErrorCode::Unauthenticated, 0, false, "failed unauthenticated");
        check(ErrorCode::NotFound, 0, false, "report not-found");
        check(ErrorCode::TooLarge, 0, false, "report too-large");
    }
}
