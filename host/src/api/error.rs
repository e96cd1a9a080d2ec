//! Errors as the API tells them: one JSON shape, a code for programs, a sentence and a hint for people.
//!
//! Internals never leave: what the store or a bug says goes to the log, under the request's id, which the answer names.

use axum::{
    Json,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::db::{
    DbError,
    jobs::{MAX_WAITING, QueueError},
};

/// An answer other than success. Made by handlers, given its request's id and turned into JSON by
/// [`super::request::around`].
#[derive(Clone, Debug)]
pub struct ApiError(Box<Told>);

#[derive(Clone, Debug)]
struct Told {
    status: StatusCode,
    code: &'static str,
    message: String,
    detail: Option<Value>,
    hint: Option<String>,
    retry_after: Option<u64>,
}

/// The body of every answer with a status of 400 or more.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Error")]
pub struct ErrorBody {
    /// The HTTP status again.
    pub status_code: u16,
    /// Its name.
    pub error: String,
    /// What went wrong, for people.
    pub message: String,
    /// What went wrong, for programs.
    pub code: String,
    /// More about it; its shape depends on `code`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Tells this request from all others in the log.
    pub request_id: String,
}

impl ApiError {
    /// An error of this status; `code` is for programs and never changes its meaning.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Told { status, code, message: message.into(), detail: None, hint: None, retry_after: None }))
    }

    /// 400: the request is malformed.
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 401: nobody we know.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "this needs an API key that is known and not revoked")
            .hint("send it as `Authorization: Bearer <key>`")
    }

    /// 403: known, but not allowed.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 404: it is not there, or not for this caller.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", message)
    }

    /// 409: it contradicts what is there.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 412: somebody else was faster.
    #[must_use]
    pub fn revision(current: u64) -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "revision",
            format!("it was changed meanwhile: it is at revision {current}"),
        )
        .hint("read it again, decide again, and send the new revision as If-Match")
    }

    /// 422: well formed, and refused.
    pub fn refused(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    /// 500: our fault. `operation` and the error go to the log and to nobody else.
    pub fn internal(operation: &str, error: &dyn std::error::Error) -> Self {
        let mut chain = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            chain.push_str(": ");
            chain.push_str(&cause.to_string());
            next = cause.source();
        }
        tracing::error!(operation, error = chain, "a request failed on our side");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the host failed; the log knows more by the requestId")
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds what programs may want to know.
    #[must_use]
    pub fn detail(mut self, detail: Value) -> Self {
        self.0.detail = Some(detail);
        self
    }

    /// Adds when to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The sentence for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do about it.
    #[must_use]
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The JSON answer, with the request's id in it.
    #[must_use]
    pub fn render(&self, request_id: &str) -> Response {
        let told = &*self.0;
        let body = ErrorBody {
            status_code: told.status.as_u16(),
            error: told.status.canonical_reason().unwrap_or("Error").to_owned(),
            message: told.message.clone(),
            code: told.code.to_owned(),
            detail: told.detail.clone(),
            hint: told.hint.clone(),
            request_id: request_id.to_owned(),
        };
        let mut response = (told.status, Json(body)).into_response();
        if told.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = told.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for ApiError {
    /// The error travels beside an empty body: only the outermost layer knows the request's id.
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Full => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "queue-full", format!("{MAX_WAITING} jobs wait already"))
                    .hint("sync an object that contains the others, or wait")
                    .retry_after(60)
            }
            QueueError::Apart => {
                Self::bad_request("several-connections", "at objectPaths: they are not of one connection")
                    .hint("send one request for each connection")
            }
            QueueError::Db(error) => error.into(),
        }
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        Self::internal("store", &error)
    }
}

/// 404 for a path that no route has.
pub(super) async fn no_such_route(uri: Uri) -> ApiError {
    ApiError::not_found(format!("there is no route {}", uri.path())).hint("/docs lists all routes")
}

/// 405 for a method that a route does not have.
pub(super) async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        format!("{} does not answer {method}", uri.path()),
    )
    .hint("/docs lists all routes")
}
