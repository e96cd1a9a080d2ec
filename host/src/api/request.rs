//! What surrounds every request: an id, a span in the log, and errors in the API's shape.
//!
//! Bodies, headers and query strings are never logged: they may hold secrets.

use std::panic::AssertUnwindSafe;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use futures_util::FutureExt;
use tracing::Instrument;
use uuid::Uuid;

use super::error::ApiError;

/// Tells a request from all others.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// Gives the request its id and span, and turns errors into JSON.
pub(super) async fn around(mut request: Request, next: Next) -> Response {
    let id = Uuid::now_v7().to_string();
    request.extensions_mut().insert(RequestId(id.clone()));
    let route = request.extensions().get::<MatchedPath>().map_or("-", |p| p.as_str()).to_owned();
    let span = tracing::info_span!("request", id, method = %request.method(), route);
    async move {
        let mut response = match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            Err(_) => {
                tracing::error!("a handler panicked");
                let error = ApiError::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "the host failed; the log knows more by the requestId",
                );
                error.render(&id)
            }
        };
        if let Some(error) = response.extensions_mut().remove::<ApiError>() {
            response = error.render(&id);
            tracing::debug!(status = response.status().as_u16(), code = error.code(), "answered");
        } else {
            tracing::debug!(status = response.status().as_u16(), "answered");
        }
        // What a platform's names and comments say is never to be taken for a page.
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-request-id", value);
        }
        response
    }
    .instrument(span)
    .await
}
