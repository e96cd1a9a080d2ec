//! Refusals: what went wrong, by the platform's own code.
//!
//! One protocol says it with HTTP statuses and a body, the other with HTTP 200 and `success: false`; the codes are the
//! same. They are numbers written as texts with leading zeros. An answer without one does not come from the platform.

use serde::Deserialize;
use serde_json::Value;
use wharfinger_sdk::{Error, codes, http::Response};

/// Longest text of the platform that goes into a message.
const MAX_TEXT: usize = 500;

/// What an answer says went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Problem {
    /// HTTP status.
    pub(crate) status: u16,
    /// The platform's code; none where something else answered.
    pub(crate) code: Option<u32>,
    /// SQLSTATE; empty where it is not said.
    pub(crate) sql_state: String,
    /// What the platform said; empty for HTML pages.
    pub(crate) text: String,
    /// Whether it was not said in the platform's own form.
    pub(crate) foreign: bool,
    /// How long to wait.
    pub(crate) retry_after_ms: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Body {
    code: Value,
    message: Value,
    sql_state: Value,
    data: Value,
}

impl Problem {
    /// Reads an answer that is no result.
    pub(crate) fn of(response: &Response) -> Self {
        Self::said(response.status, response.text().unwrap_or_default(), response.retry_after_ms())
    }

    /// Reads the text of an answer that is no result.
    pub(crate) fn said(status: u16, answer: &str, retry_after_ms: Option<u64>) -> Self {
        let body = serde_json::from_str::<Body>(answer).unwrap_or_default();
        let inside = |key: &str| body.data.get(key).unwrap_or(&Value::Null);
        let sql_state = body.sql_state.as_str().or_else(|| inside("sqlState").as_str());
        let text = body.message.as_str().or_else(|| plain(answer)).unwrap_or_default();
        Self {
            status,
            foreign: !body.message.is_string(),
            code: number(&body.code).or_else(|| number(inside("errorCode"))),
            sql_state: sql_state.unwrap_or_default().to_owned(),
            text: text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_TEXT).collect(),
            retry_after_ms,
        }
    }

    /// Whether something else than the platform answered: another server, a proxy, a wrong account.
    pub(crate) fn is_elsewhere(&self) -> bool {
        let nobody = self.code.is_none() && self.foreign && matches!(self.status, 200..=399 | 403 | 404 | 405);
        nobody || (self.code == Some(390_144) && self.status == 403)
    }

    /// Whether the credential itself was refused, rather than a right missing.
    pub(crate) fn refuses_credential(&self) -> bool {
        let code = self.code.unwrap_or_default();
        let is_ours = !matches!(code, 390_142 | 390_189 | 390_201..=390_203);
        self.status == 401 || (matches!(code, 390_100..=390_499 | 394_000..=394_999) && is_ours)
    }

    /// Whether the role, or another default that the configuration names, is not there for us.
    pub(crate) fn refuses_config(&self) -> bool {
        matches!(self.code, Some(390_189 | 390_201..=390_203))
    }

    /// Whether the warehouse is missing, not ours, or may not run.
    pub(crate) fn is_about_the_warehouse(&self) -> bool {
        matches!(self.code, Some(606 | 90_073))
            || self.sql_state == "57P03"
            || (self.code == Some(390_201) && self.text.to_ascii_lowercase().contains("warehouse"))
    }

    /// Whether it concerns the object that was asked for, so that the rest goes on without it: dropped between two
    /// statements, no grant, or a share that was taken back.
    pub(crate) fn is_about_the_object(&self) -> bool {
        matches!(self.code, Some(2003 | 2043 | 3001 | 3030))
            || matches!(self.sql_state.as_str(), "02000" | "42S02" | "42501")
    }

    /// Whether the platform asks for a narrower question.
    pub(crate) fn is_too_much(&self) -> bool {
        matches!(self.code, Some(90_030 | 391_908))
    }

    /// Whether it would be refused again just the same, while others are not.
    pub(crate) fn is_settled(&self) -> bool {
        let code = self.contract_code();
        let is_passing = matches!(code, codes::UNAVAILABLE | codes::RATE_LIMITED | codes::UNAUTHENTICATED);
        !is_passing && !self.is_elsewhere()
    }

    /// Whether a statement that we come back to is not there any more.
    pub(crate) fn has_forgotten_the_statement(&self) -> bool {
        self.status == 404 || matches!(self.code, Some(605 | 612 | 709))
    }

    fn contract_code(&self) -> &'static str {
        match self.code {
            Some(3001) => codes::PERMISSION_DENIED,
            Some(603 | 604 | 605 | 630) => codes::UNAVAILABLE,
            Some(390_505) => codes::RATE_LIMITED,
            _ if self.status == 429 => codes::RATE_LIMITED,
            _ if self.status == 408 || self.status >= 500 => codes::UNAVAILABLE,
            _ if self.refuses_config() || self.is_about_the_warehouse() => codes::INVALID_CONFIG,
            _ if self.is_elsewhere() && self.status == 200 => codes::UNAVAILABLE,
            _ if self.is_elsewhere() => codes::INVALID_CONFIG,
            _ if self.refuses_credential() => codes::UNAUTHENTICATED,
            _ if self.is_about_the_object() => codes::NOT_FOUND,
            _ if self.is_too_much() => codes::TOO_LARGE,
            _ if self.status == 403 => codes::PERMISSION_DENIED,
            _ => codes::UNSUPPORTED,
        }
    }
}

/// The body as text, unless it is JSON or a page for people.
fn plain(answer: &str) -> Option<&str> {
    Some(answer).filter(|text| !text.trim_start().starts_with(['<', '{', '[']))
}

/// A code, however it is written.
fn number(code: &Value) -> Option<u32> {
    match code {
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
        _ => None,
    }
}

/// The error of a refusal. `what` completes "could not …".
pub(crate) fn error_for(what: &str, problem: &Problem) -> Error {
    let code = problem.code.map_or_else(|| format!("HTTP {}", problem.status), |code| format!("{code:06}"));
    let why = match problem.status {
        _ if problem.is_elsewhere() => {
            "no Snowflake account answers there; check the host name, and whether the account is reachable only by \
             private link"
                .to_owned()
        }
        _ if problem.text.is_empty() => "the platform did not say why".to_owned(),
        403 => format!("{}. A network policy may keep this host out", problem.text.trim_end_matches('.')),
        _ => problem.text.clone(),
    };
    let mut error = Error::new(problem.contract_code(), format!("Could not {what} ({code}): {why}"))
        .retry_after(problem.retry_after_ms);
    error.detail = (!problem.text.is_empty()).then(|| problem.text.clone());
    error
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wharfinger_sdk::testing;

    use super::*;

    fn of(status: u16, body: &Value) -> Problem {
        Problem::of(&testing::json(status, body))
    }

    #[test]
    fn every_code_means_one_thing_in_both_protocols() {
        for (status, code, sql_state, expected) in [
            (422, "002003", "02000", codes::NOT_FOUND),
            (422, "002003", "42S02", codes::NOT_FOUND),
            (422, "002043", "02000", codes::NOT_FOUND),
            (422, "003030", "02000", codes::NOT_FOUND),
            (422, "003001", "42501", codes::PERMISSION_DENIED),
            (422, "090030", "22000", codes::TOO_LARGE),
            (422, "000606", "57P03", codes::INVALID_CONFIG),
            (422, "090105", "22000", codes::UNSUPPORTED),
            (422, "000904", "42000", codes::UNSUPPORTED),
            (400, "390142", "", codes::UNSUPPORTED),
            (401, "390303", "", codes::UNAUTHENTICATED),
            (401, "390318", "", codes::UNAUTHENTICATED),
            (401, "390144", "", codes::UNAUTHENTICATED),
            (401, "394304", "", codes::UNAUTHENTICATED),
            (401, "394400", "", codes::UNAUTHENTICATED),
            (403, "390420", "", codes::UNAUTHENTICATED),
            (403, "390144", "", codes::INVALID_CONFIG),
            (403, "000001", "", codes::PERMISSION_DENIED),
            (422, "390189", "", codes::INVALID_CONFIG),
            (422, "390201", "", codes::INVALID_CONFIG),
            (408, "000630", "57014", codes::UNAVAILABLE),
            (429, "390505", "", codes::RATE_LIMITED),
            (422, "000604", "57014", codes::UNAVAILABLE),
            (500, "000603", "", codes::UNAVAILABLE),
            (503, "", "", codes::UNAVAILABLE),
            (200, "391908", "", codes::TOO_LARGE),
        ] {
            let api = of(status, &json!({ "code": code, "message": "m", "sqlState": sql_state }));
            assert_eq!(error_for("x", &api).code, expected, "{status} {code}");
            if status == 422 {
                let driver = of(
                    200,
                    &json!({ "data": { "errorCode": code, "sqlState": sql_state }, "code": code, "message": "m",
                             "success": false }),
                );
                assert_eq!(error_for("x", &driver).code, expected, "200 {code}");
                let bare = of(200, &json!({ "data": { "errorCode": code, "sqlState": sql_state }, "success": false }));
                assert_eq!(error_for("x", &bare).code, expected, "200, inside only: {code}");
            }
        }
    }

    #[test]
    fn what_passes_is_not_settled() {
        for (status, code, settled) in [
            (422, "000606", true),
            (422, "002003", true),
            (422, "000904", true),
            (422, "090030", true),
            (403, "000001", true),
            (401, "390303", false),
            (429, "390505", false),
            (503, "", false),
            (408, "000630", false),
        ] {
            let problem = of(status, &json!({ "code": code, "message": "m" }));
            assert_eq!(problem.is_settled(), settled, "{status} {code}");
        }
        assert!(!Problem::of(&testing::text(404, "<html>")).is_settled());
    }

    #[test]
    fn what_is_no_account_says_so() {
        for (status, body) in [
            (403, "<html>Forbidden</html>"),
            (403, ""),
            (404, "Not Found"),
            (302, ""),
            (200, "<!DOCTYPE html>"),
            (200, ""),
            (405, "[]"),
        ] {
            let error = error_for("sign in", &Problem::of(&testing::text(status, body)));
            assert!(error.message.contains("check the host name"), "{status} {body}: {error:?}");
            assert_eq!(error.is(codes::UNAVAILABLE), status == 200, "{status} {body}");
        }
        assert!(!Problem::of(&testing::text(502, "<html>")).is_elsewhere());
    }

    #[test]
    fn words_of_the_platform_are_kept_short_and_in_one_line() {
        let problem = of(422, &json!({ "code": "000904", "message": "SQL compilation error:\ninvalid  identifier" }));
        let error = error_for("read", &problem);
        assert_eq!(error.message, "Could not read (000904): SQL compilation error: invalid identifier");
        let long = of(422, &json!({ "code": 904, "message": "x".repeat(5000) }));
        assert_eq!((long.text.len(), long.code), (MAX_TEXT, Some(904)));
        let policy = of(403, &json!({ "code": "390422", "message": "Incoming request is not allowed." }));
        assert!(error_for("x", &policy).message.ends_with("A network policy may keep this host out"));
    }

    #[test]
    fn retry_after_reaches_the_host() {
        let mut response = testing::json(429, &json!({ "code": "390505", "message": "Too many requests." }));
        response.headers.push(("retry-after".into(), "3".into()));
        let error = error_for("x", &Problem::of(&response));
        assert_eq!((error.code.as_str(), error.retry_after_ms), (codes::RATE_LIMITED, Some(3000)));
    }
}
