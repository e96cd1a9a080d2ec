//! Answers that are not 2xx: three forms of error bodies, and what they mean.
//!
//! The status decides; `error_code` only refines. It is a name on most answers, a *number* where the credential itself
//! was refused, and missing where a proxy or the server's framework answered in text or HTML.

use serde::Deserialize;
use serde_json::Value;
use wharfinger_sdk::{Error, http::Response};

/// Longest text of the platform that goes into a message.
const MAX_TEXT: usize = 500;

/// What an answer says went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// HTTP status.
    pub(crate) status: u16,
    /// `error_code`, when it is a name.
    pub(crate) code: Option<String>,
    /// Whether `error_code` was a number.
    pub(crate) numeric_code: bool,
    /// What the platform said; empty for HTML pages.
    pub(crate) text: String,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    error_code: Value,
    #[serde(default)]
    message: Value,
}

impl Problem {
    /// Reads an answer that is not 2xx.
    pub(crate) fn of(response: &Response) -> Self {
        let body = response.json::<Body>().ok();
        let code = body.as_ref().map(|body| &body.error_code);
        let text = match body.as_ref().map(|body| &body.message) {
            Some(Value::String(message)) => message.as_str(),
            Some(_) => "",
            None => response.text().filter(|text| !text.trim_start().starts_with('<')).unwrap_or_default(),
        };
        Self {
            status: response.status,
            code: code.and_then(Value::as_str).map(str::to_owned),
            numeric_code: code.is_some_and(Value::is_number),
            text: text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_TEXT).collect(),
        }
    }

    /// Whether the credential itself was refused, rather than a right missing. The open-source server answers a token
    /// of somebody it does not know with the name of a missing right; only the text tells.
    pub(crate) fn refuses_credential(&self) -> bool {
        self.status == 401
            || (self.status == 403 && (self.numeric_code || self.text.starts_with("Invalid access token")))
    }

    /// Whether it says that the named object, and not what it lies in, does not exist.
    pub(crate) fn says_absent(&self, resource: &str) -> bool {
        let Some(code) = self.code.as_deref().filter(|_| self.status == 404) else { return false };
        code == "RESOURCE_DOES_NOT_EXIST"
            || code.strip_prefix(resource).is_some_and(|rest| matches!(rest, "_DOES_NOT_EXIST" | "_NOT_FOUND"))
    }

    /// Whether it concerns the container that was asked for, so that the rest of the listing goes on without it.
    pub(crate) fn is_about_the_object(&self) -> bool {
        (400..500).contains(&self.status)
            && !self.refuses_credential()
            && !self.is_rate_limit()
            && !matches!(self.status, 407 | 408 | 425)
    }

    fn is_rate_limit(&self) -> bool {
        self.status == 429
            || matches!(self.code.as_deref(), Some("REQUEST_LIMIT_EXCEEDED" | "RESOURCE_EXHAUSTED"))
            || self.text.contains("token bucket limit")
    }

    fn contract_code(&self) -> &'static str {
        use wharfinger_sdk::codes;
        match self.status {
            _ if self.refuses_credential() => codes::UNAUTHENTICATED,
            _ if self.is_rate_limit() => codes::RATE_LIMITED,
            300..=399 | 407 => codes::INVALID_CONFIG,
            403 => codes::PERMISSION_DENIED,
            404 => codes::NOT_FOUND,
            408 | 425 => codes::UNAVAILABLE,
            400..=499 | 501 => codes::UNSUPPORTED,
            _ => codes::UNAVAILABLE,
        }
    }
}

/// The error of an answer that is not 2xx. `what` completes "could not …".
pub(crate) fn error_for(what: &str, response: &Response) -> Error {
    let problem = Problem::of(response);
    let code = match &problem.code {
        Some(code) => format!("{} {code}", problem.status),
        None => problem.status.to_string(),
    };
    let why = match problem.status {
        300..400 => "the server redirects elsewhere; check the host name, and whether the workspace is reachable only \
                     by private link"
            .to_owned(),
        431 => "the server refuses headers of this size; the token may be too long for it".to_owned(),
        _ if problem.refuses_credential() => "the platform refuses the credentials".to_owned(),
        _ if problem.text.is_empty() => "the platform did not say why".to_owned(),
        _ => problem.text.clone(),
    };
    let mut error = Error::new(problem.contract_code(), format!("Could not {what} ({code}): {why}"))
        .retry_after(response.retry_after_ms());
    error.detail = (!problem.text.is_empty()).then_some(problem.text);
    error
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wharfinger_sdk::testing;

    use super::*;

    fn code(status: u16, body: &Value) -> String {
        error_for("x", &testing::json(status, body)).code
    }

    #[test]
    fn the_status_decides_and_the_code_refines() {
        assert_eq!(
            code(401, &json!({"error_code": "UNAUTHENTICATED", "message": "No authorization found."})),
            "unauthenticated"
        );
        assert_eq!(code(401, &json!({"error_code": 401, "message": "Credential was not sent"})), "unauthenticated");
        assert_eq!(code(403, &json!({"error_code": 403, "message": "Invalid access token."})), "unauthenticated");
        assert_eq!(
            code(403, &json!({"error_code": "PERMISSION_DENIED", "message": "Invalid access token."})),
            "unauthenticated"
        );
        assert_eq!(
            code(403, &json!({"error_code": "PERMISSION_DENIED", "message": "Access denied."})),
            "permission-denied"
        );
        assert_eq!(code(404, &json!({"error_code": "SCHEMA_DOES_NOT_EXIST"})), "not-found");
        assert_eq!(code(400, &json!({"error_code": "INVALID_PARAMETER_VALUE"})), "unsupported");
        assert_eq!(code(400, &json!({"error_code": "REQUEST_LIMIT_EXCEEDED"})), "rate-limited");
        assert_eq!(code(429, &json!({})), "rate-limited");
        assert_eq!(code(500, &json!({"error_code": "INTERNAL", "message": "Couldn't unwrap service."})), "unavailable");
        assert_eq!(code(503, &json!(null)), "unavailable");
        assert_eq!(code(302, &json!(null)), "invalid-config");
    }

    #[test]
    fn text_is_kept_and_html_is_not() {
        let text = Problem::of(&testing::text(404, "Status: 404\nDescription: Not Found\n"));
        assert_eq!((text.text.as_str(), text.code), ("Status: 404 Description: Not Found", None));
        assert_eq!(Problem::of(&testing::text(502, "<html><h1>Bad gateway</h1>")).text, "");
        assert!(error_for("x", &testing::text(502, "<html>")).message.contains("did not say why"));
        assert!(error_for("x", &testing::text(414, "")).message.starts_with("Could not x (414)"));
    }

    #[test]
    fn retry_after_reaches_the_host() {
        let mut response = testing::json(503, &json!({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "later"}));
        response.headers.push(("retry-after".into(), "3".into()));
        assert_eq!(error_for("x", &response).retry_after_ms, Some(3000));
    }

    #[test]
    fn absent_is_only_said_of_the_object_itself() {
        let said = |status, code: &str| {
            Problem::of(&testing::json(status, &json!({"error_code": code, "message": "m"}))).says_absent("TABLE")
        };
        assert!(
            said(404, "TABLE_DOES_NOT_EXIST") && said(404, "TABLE_NOT_FOUND") && said(404, "RESOURCE_DOES_NOT_EXIST")
        );
        assert!(!said(404, "SCHEMA_DOES_NOT_EXIST") && !said(404, "NOT_FOUND") && !said(403, "TABLE_DOES_NOT_EXIST"));
    }
}
