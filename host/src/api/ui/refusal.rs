//! What a page answers when it cannot be shown: errors as pages, and the way to the sign-in.

use axum::{
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use maud::html;

use super::frame;
use crate::api::{error::ApiError, request::RequestId};

/// Everything that a browser may do with our pages: take files from here, send forms to here, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Turns errors into pages, and tells browsers to be strict.
pub(super) async fn around(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let page = request.method() == Method::GET && !super::wants_fragment(request.headers());
    let back = request.uri().path_and_query().map(ToString::to_string).filter(|_| page);
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        response = refuse(&error, back.as_deref(), &id);
    }
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Not `no-referrer`: browsers would then hide the origin of our own forms, by which we know them.
        (header::REFERRER_POLICY, "same-origin"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn refuse(error: &ApiError, back: Option<&str>, request_id: &str) -> Response {
    if error.status() == StatusCode::UNAUTHORIZED
        && let Some(back) = back
    {
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", back).finish();
        return Redirect::to(&format!("/ui/login?{query}")).into_response();
    }
    let title = error.status().canonical_reason().unwrap_or("Error");
    let page = html! {
        main.sign-in {
            h1 { (title) }
            p { (error.message()) "." }
            @if let Some(hint) = error.hint_text() { p.hint { (hint) "." } }
            @if error.status().is_server_error() { p.hint { "Request " code { (request_id) } } }
            p { a href="/ui/connections" { "Connections" } }
        }
    };
    (error.status(), frame::bare(title, &page)).into_response()
}
