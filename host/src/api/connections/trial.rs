//! Trying a connection before anything is stored: the connector's check, under a deadline.
//!
//! Trying may use up a secret that is good for one use: the platform's new one comes back with the outcome.
//!
//! Only a platform that cannot be reached, credentials that are refused, and a configuration that cannot work stand in
//! the way; a missing right is a warning.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::payload::Warning;
use crate::{
    api::{ApiState, error::ApiError},
    connector::{CallError, CheckStatus, Connector, ErrorCode, Outcome, Registration, guest_config},
    egress::vault::Secrets,
    model::{filter::Filter, id::ConnectionId},
};

/// What was found out about one capability.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Check")]
pub struct CheckJson {
    /// `reach`, `authenticate`, `list-containers`, `list-columns`, or one of the connector's own.
    capability: String,
    /// `passed`, `warning`, `failed` or `skipped`.
    status: &'static str,
    /// For people.
    message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// The container it is about, below the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Vec<String>>,
}

/// How a payload would fare.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    /// Whether it could be registered.
    valid: bool,
    /// Capability by capability.
    checks: Vec<CheckJson>,
    /// What tells the account from others.
    identity: Option<String>,
    /// What would not work, or was ignored.
    warnings: Vec<Warning>,
}

/// The outcome of a try.
pub(super) struct Trial {
    outcomes: Vec<Outcome>,
    rotated: Option<Rotated>,
}

/// Secrets as they are after the platform has replaced some.
pub(super) struct Rotated {
    /// All of them.
    pub(super) secrets: Secrets,
    /// Which were replaced and are stored nowhere.
    pub(super) only_here: Vec<String>,
}

/// What is left to know of a try that stands in nobody's way.
pub(super) struct Passed {
    pub(super) identity: Option<String>,
    pub(super) warnings: Vec<Warning>,
    pub(super) rotated: Option<Rotated>,
}

/// How long an attempt to authenticate that is under way may take to tell what it got.
const SETTLED: Duration = Duration::from_secs(10);

/// Tries a registration. `stored` is the connection that it would change, with the secrets that it was made from.
pub(super) async fn run(
    state: &ApiState,
    connector: &Connector,
    registration: &Registration,
    stored: Option<(ConnectionId, &Secrets)>,
    filter: &Filter,
) -> Result<Trial, ApiError> {
    let session = match connector.trial_session(&state.egress, registration, stored) {
        Ok(session) => session,
        Err(error) => return failed(error),
    };
    // Dropping the call ends the guest: nothing goes on behind an answered request.
    let config = guest_config(&registration.config, filter);
    let call = connector.check(&session, &config);
    let tried = match tokio::time::timeout(state.options.check_timeout, call).await {
        Ok((Ok(outcomes), _)) => Ok(Trial { outcomes, rotated: None }),
        Ok((Err(error), _)) => failed(error),
        Err(_) => failed(CallError {
            code: ErrorCode::TimedOut,
            message: format!("the test did not end within {} s", state.options.check_timeout.as_secs()),
            detail: None,
            retry_after: None,
        }),
    };
    let rotated = tokio::time::timeout(SETTLED, session.rotated()).await.ok().flatten();
    let rotated = rotated.map(|(secrets, only_here)| Rotated { secrets, only_here });
    match tried {
        Ok(trial) => Ok(trial.explained(session.last_told()).with(rotated)),
        Err(error) => Err(telling(error, rotated.as_ref())),
    }
}

/// An error after a try, with what the try has used up.
pub(super) fn telling(error: ApiError, rotated: Option<&Rotated>) -> ApiError {
    let Some(used_up) = rotated.and_then(Rotated::used_up) else { return error };
    let hints: Vec<String> = error.hint_text().map(str::to_owned).into_iter().chain([used_up.message]).collect();
    error.hint(hints.join("; "))
}

/// What a check that failed as a whole says of the connection: something, or nothing but that it failed.
fn failed(error: CallError) -> Result<Trial, ApiError> {
    let capability = match error.code {
        ErrorCode::InvalidConfig => "config",
        ErrorCode::Unauthenticated | ErrorCode::PermissionDenied => "authenticate",
        ErrorCode::Unavailable | ErrorCode::TimedOut | ErrorCode::Denied | ErrorCode::NotFound => "reach",
        ErrorCode::RateLimited => {
            let seconds = error.retry_after.map_or(30, |d| d.as_secs().max(1));
            let status = axum::http::StatusCode::SERVICE_UNAVAILABLE;
            return Err(ApiError::new(status, "rate-limited", error.message).retry_after(seconds));
        }
        ErrorCode::Unsupported
        | ErrorCode::StaleCursor
        | ErrorCode::Internal
        | ErrorCode::TooLarge
        | ErrorCode::BudgetExhausted
        | ErrorCode::Trapped => {
            tracing::error!(code = error.code.as_str(), error = error.message, "the connector's check failed");
            let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
            let message = format!("the connector failed while testing: {}", error.message);
            return Err(ApiError::new(status, "connector-failed", message)
                .hint("nothing was stored; the log knows more by the requestId"));
        }
    };
    let outcome = Outcome {
        capability: capability.into(),
        status: CheckStatus::Failed,
        message: error.message,
        hint: error.detail,
        path: None,
        identity: None,
        basis: None,
    };
    Ok(Trial { outcomes: vec![outcome], rotated: None })
}

impl Rotated {
    /// For people whose secret is used up and not stored.
    fn used_up(&self) -> Option<Warning> {
        let names: Vec<String> = self.only_here.iter().map(|name| format!("connection.{name}")).collect();
        (!names.is_empty()).then(|| Warning {
            code: "secret-used-up".into(),
            message: format!("the test used up {}, which the platform takes once only", names.join(", ")),
            hint: Some("get a new one from the platform and send that".into()),
            path: None,
        })
    }
}

impl Trial {
    /// Of what stands in the way the host may know more than the connector: the platform's own words, or the line of
    /// configuration that is missing. They are for people, never for the connector.
    fn explained(mut self, told: Option<String>) -> Self {
        if let Some(told) = told
            && let Some(outcome) = self.outcomes.iter_mut().find(|o| o.stands_in_the_way())
        {
            let hint = outcome.hint.take().filter(|hint| !hint.contains(&told));
            outcome.hint = Some(std::iter::once(told).chain(hint).collect::<Vec<_>>().join("; "));
        }
        self
    }

    fn with(self, rotated: Option<Rotated>) -> Self {
        Self { rotated, ..self }
    }

    /// The first failure that stands in the way.
    fn obstacle(&self) -> Option<&Outcome> {
        self.outcomes.iter().find(|o| o.stands_in_the_way())
    }

    fn checks(&self) -> Vec<CheckJson> {
        self.outcomes.iter().map(CheckJson::from).collect()
    }

    fn identity(&self) -> Option<String> {
        self.outcomes.iter().find_map(|o| o.identity.clone())
    }

    fn warnings(&self) -> Vec<Warning> {
        let falls_short = |o: &&Outcome| {
            matches!(o.status, CheckStatus::Failed | CheckStatus::Warning) && !o.is_essential()
                || o.status == CheckStatus::Warning
        };
        let warn = |o: &Outcome| Warning {
            code: o.capability.clone(),
            message: o.message.clone(),
            hint: o.hint.clone(),
            path: names(o),
        };
        self.outcomes.iter().filter(falls_short).map(warn).collect()
    }

    /// 422 with every result, if something stands in the way.
    pub(super) fn passed(self) -> Result<Passed, ApiError> {
        let Some(obstacle) = self.obstacle() else {
            return Ok(Passed { identity: self.identity(), warnings: self.warnings(), rotated: self.rotated });
        };
        let code = match obstacle.capability.as_str() {
            "reach" => "unreachable",
            "authenticate" => "authentication-failed",
            _ => "invalid-config",
        };
        let mut error = ApiError::refused(code, format!("{}: {}", obstacle.capability, obstacle.message))
            .detail(json!({ "checks": self.checks() }));
        if let Some(hint) = &obstacle.hint {
            error = error.hint(hint);
        }
        Err(telling(error, self.rotated.as_ref()))
    }

    /// The results for somebody who only asks.
    pub(super) fn result(self, mut warnings: Vec<Warning>) -> TestResult {
        warnings.extend(self.warnings());
        warnings.extend(self.rotated.as_ref().and_then(Rotated::used_up));
        let valid = self.obstacle().is_none();
        TestResult { valid, checks: self.checks(), identity: self.identity(), warnings }
    }
}

fn names(outcome: &Outcome) -> Option<Vec<String>> {
    outcome.path.as_ref().map(|path| path.0.iter().map(ToString::to_string).collect())
}

impl From<&Outcome> for CheckJson {
    fn from(o: &Outcome) -> Self {
        let status = match o.status {
            CheckStatus::Passed => "passed",
            CheckStatus::Warning => "warning",
            CheckStatus::Failed => "failed",
            CheckStatus::Skipped => "skipped",
        };
        let (message, hint) = (o.message.clone(), o.hint.clone());
        Self { capability: o.capability.clone(), status, message, hint, path: names(o) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(capability: &str, status: CheckStatus) -> Outcome {
        Outcome {
            capability: capability.into(),
            status,
            message: format!("{capability} says so"),
            hint: None,
            path: None,
            identity: (capability == "authenticate").then(|| "account 7".into()),
            basis: None,
        }
    }

    fn trial(outcomes: Vec<Outcome>) -> Trial {
        Trial { outcomes, rotated: None }
    }

    #[test]
    fn people_hear_what_the_host_knows_and_what_was_used_up() {
        let rotated = || Rotated { secrets: Secrets::default(), only_here: vec!["oAuth.refreshToken".into()] };
        let failed = || vec![outcome("reach", CheckStatus::Passed), outcome("authenticate", CheckStatus::Failed)];
        let told = trial(failed()).explained(Some("390100: Incorrect password".into())).with(Some(rotated()));
        let error = told.passed().err().expect("422");
        let hint = error.hint_text().expect("a hint");
        assert!(hint.starts_with("390100: Incorrect password; "), "{hint}");
        assert!(hint.contains("used up connection.oAuth.refreshToken"), "{hint}");
        let conflict = telling(ApiError::conflict("key-taken", "taken").hint("choose another"), Some(&rotated()));
        let hint = conflict.hint_text().expect("a hint");
        assert!(hint.starts_with("choose another; the test used up connection.oAuth.refreshToken"), "{hint}");
        let plain = telling(ApiError::revision(2), None);
        assert_eq!(plain.hint_text(), ApiError::revision(2).hint_text());
        let fine = || vec![outcome("reach", CheckStatus::Passed), outcome("list-columns", CheckStatus::Failed)];
        let result = trial(fine()).explained(Some("of a request that stands in nobody's way".into()));
        assert!(result.outcomes.iter().all(|o| o.hint.is_none()));
        let result = trial(fine()).with(Some(rotated())).result(Vec::new());
        assert!(result.valid && result.warnings.iter().any(|w| w.code == "secret-used-up"));
        let stored = Rotated { only_here: Vec::new(), ..rotated() };
        assert!(
            trial(fine()).with(Some(stored)).result(Vec::new()).warnings.iter().all(|w| w.code != "secret-used-up")
        );
    }

    fn call_error(code: ErrorCode) -> CallError {
        CallError { code, message: "why".into(), detail: None, retry_after: None }
    }

    #[test]
    fn only_reach_credentials_and_configuration_stand_in_the_way() {
        for (capability, code) in
            [("reach", "unreachable"), ("authenticate", "authentication-failed"), ("config", "invalid-config")]
        {
            let error = trial(vec![outcome(capability, CheckStatus::Failed)]).passed().err().expect("422");
            assert_eq!((error.status().as_u16(), error.code()), (422, code));
        }
        let outcomes = vec![
            outcome("reach", CheckStatus::Passed),
            outcome("authenticate", CheckStatus::Passed),
            outcome("list-containers", CheckStatus::Failed),
            outcome("list-columns", CheckStatus::Skipped),
        ];
        let Ok(passed) = trial(outcomes).passed() else { panic!("a missing right registers") };
        assert_eq!(passed.identity.as_deref(), Some("account 7"));
        assert_eq!(passed.warnings.iter().map(|w| w.code.as_str()).collect::<Vec<_>>(), ["list-containers"]);
    }

    #[test]
    fn a_connector_that_breaks_is_not_the_callers_fault() {
        for (code, status) in [
            (ErrorCode::Trapped, 500),
            (ErrorCode::Internal, 500),
            (ErrorCode::RateLimited, 503),
            (ErrorCode::TimedOut, 422),
            (ErrorCode::Denied, 422),
            (ErrorCode::Unauthenticated, 422),
        ] {
            let error = failed(call_error(code)).and_then(Trial::passed).err().expect("an error");
            assert_eq!(error.status().as_u16(), status, "{code:?}");
        }
    }
}
