//! Who looks at a page: sign-in with an API key, the session's cookie, and the token that every form carries.
//!
//! What changes something must come from our own pages twice over: the browser says so (checked where the caller is
//! resolved), and the form carries a token that only a page of this session can know. The token is derived from the
//! session's, which scripts cannot read, so nothing more is stored.

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Query, Request, State},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use maud::{Markup, html};
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use super::{connectors, frame, icons};
use crate::api::{
    ApiState,
    caller::{self, Caller, SESSION_COOKIE},
    connectors::component_parts,
    error::ApiError,
    input,
    multipart::Form,
    routes,
};

/// How long a session lasts.
const SESSION: SignedDuration = SignedDuration::from_hours(12);

/// Largest form that is read.
const MAX_FORM: usize = 256 * 1024;

/// Room for the token of a form.
const MAX_TOKEN: usize = 1024;

/// Somebody who is signed in.
pub(super) struct Visitor {
    /// Who.
    pub(super) caller: Caller,
    /// What the forms of this session carry.
    pub(super) token: String,
}

impl Visitor {
    /// Whether anything that the visitor wholly sees offers what can be done with it: who only looks on gets no buttons.
    pub(super) fn may_act(&self) -> bool {
        routes::may_act(&self.caller).is_ok()
    }
}

impl FromRequestParts<ApiState> for Visitor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let token = caller::session_token(&parts.headers).map(form_token).unwrap_or_default();
        Ok(Self { caller, token })
    }
}

/// A form that was sent from a page of the visitor's session, by somebody who may act.
pub(super) struct Posted {
    /// Who sent it.
    pub(super) visitor: Visitor,
    fields: BTreeMap<String, String>,
}

impl Posted {
    /// A field, empty where the form has none.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// The revision that the form was made from.
    pub(super) fn revision(&self) -> Result<u64, ApiError> {
        self.field("revision").parse().map_err(|_| not_whole())
    }

    /// The fields whose names begin like this, by what their names go on with.
    pub(super) fn fields_after<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.fields.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }

    /// A form of the visitor's session, whoever the visitor is.
    async fn of_session(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, state).await?;
        let fields = read_form(&parts.headers, body).await?;
        of_this_session(&visitor, fields.get("token").map_or("", String::as_str))?;
        Ok(Self { visitor, fields })
    }
}

impl FromRequest<ApiState> for Posted {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        let posted = Self::of_session(request, state).await?;
        // Here, so that no page can forget it: what a page does, the API's routes of the same effect would refuse too.
        routes::may_act(&posted.visitor.caller)?;
        Ok(posted)
    }
}

/// A form with a component that was sent from a page of an administrator's session.
pub(super) struct Uploaded {
    /// Who sent it.
    pub(super) visitor: Visitor,
    form: Form,
    /// Held until the page is answered.
    _turn: Option<OwnedSemaphorePermit>,
}

impl Uploaded {
    /// A file, empty where the form has none.
    pub(super) fn file(&self, name: &str) -> Bytes {
        self.form.part(name).unwrap_or_default()
    }
}

impl FromRequest<ApiState> for Uploaded {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, state).await?;
        // Before the body is read, which may be large. Files are components, and those are for administrators.
        connectors::only_for(&visitor)?;
        let turn = state.registry.turn_to_install().await;
        let known = [&component_parts(state.registry.max_component())[..], &[("token", MAX_TOKEN)]].concat();
        let form = Form::receive(&parts.headers, body, &known).await?;
        of_this_session(&visitor, &form.text("token")?.unwrap_or_default())?;
        Ok(Self { visitor, form, _turn: turn })
    }
}

/// A form that none of our pages made.
pub(super) fn not_whole() -> ApiError {
    ApiError::bad_request("form", "the form is not whole")
}

fn of_this_session(visitor: &Visitor, sent: &str) -> Result<(), ApiError> {
    if visitor.token.is_empty() || !same(sent, &visitor.token) {
        return Err(ApiError::forbidden("this form is not of your present session")
            .hint("go back, load the page again, and send the form once more"));
    }
    Ok(())
}

async fn read_form(headers: &HeaderMap, body: axum::body::Body) -> Result<BTreeMap<String, String>, ApiError> {
    let bytes = input::bounded(headers, body, MAX_FORM).await?;
    Ok(url::form_urlencoded::parse(&bytes).into_owned().collect())
}

fn form_token(session: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, format!("form of {session}").as_bytes()))
}

/// Compares without telling by its duration where the first difference is.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differences, (x, y)| differences | (x ^ y)) == 0
}

/// Where to go after signing in.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Next {
    next: String,
}

/// The sign-in page.
pub(super) async fn show(Query(next): Query<Next>) -> Response {
    frame::bare("Sign in", &view(inner(&next.next), None))
}

/// Signs in: an API key for a session.
pub(super) async fn sign_in(State(state): State<ApiState>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    if !caller::from_our_pages(&parts.headers) {
        return Err(ApiError::forbidden("the sign-in form must be sent from this page"));
    }
    let fields = read_form(&parts.headers, body).await?;
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let next = inner(field("next")).to_owned();
    let Some(principal) = state.db.principal_by_key(caller::token_digest(field("key").trim())).await? else {
        tracing::warn!("somebody tried to sign in with a key that nobody has");
        let again =
            view(&next, Some("Nobody has this key. Check that you copied all of it and that it was not revoked."));
        return Ok((axum::http::StatusCode::UNAUTHORIZED, frame::bare("Sign in", &again)).into_response());
    };
    let token = caller::new_token("whs_")?;
    state.db.put_session(caller::token_digest(&token), &principal, state.clock.now() + SESSION).await?;
    let cookie = format!("{SESSION_COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}", SESSION.as_secs());
    with_cookie(Redirect::to(&next).into_response(), &cookie)
}

/// Signs out.
pub(super) async fn sign_out(State(state): State<ApiState>, request: Request) -> Result<Response, ApiError> {
    let session = caller::session_token(request.headers()).map(caller::token_digest);
    // Whoever is signed in may leave, also who may do nothing else.
    Posted::of_session(request, &state).await?;
    if let Some(session) = session {
        state.db.delete_session(session).await?;
    }
    let cookie = format!("{SESSION_COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    with_cookie(Redirect::to("/ui/login").into_response(), &cookie)
}

fn with_cookie(mut response: Response, cookie: &str) -> Result<Response, ApiError> {
    let value = HeaderValue::from_str(cookie).map_err(|e| ApiError::internal("make a cookie", &e))?;
    response.headers_mut().append(header::SET_COOKIE, value);
    Ok(response)
}

/// A place of our own pages; anything else becomes the first page, so that the sign-in never leads elsewhere.
fn inner(next: &str) -> &str {
    let ours = next.starts_with("/ui/") && !next.contains(['\\', '\n', '\r', '\t']) && !next.starts_with("/ui/login");
    if ours { next } else { "/ui/connections" }
}

fn view(next: &str, problem: Option<&str>) -> Markup {
    html! {
        main.sign-in {
            h1 { (icons::brand()) " Wharfinger" }
            p.hint { "A live, governed inventory of your data platforms." }
            form method="post" action="/ui/login" {
                input type="hidden" name="next" value=(next);
                label for="key" { "API key" }
                input #key type="password" name="key" required autofocus autocomplete="current-password" maxlength="512"
                    aria-describedby="key-hint" aria-invalid=[problem.map(|_| "true")];
                p #key-hint.hint {
                    "The first start of the host prints an administrator's key once. "
                    "This page keeps a session for twelve hours, never the key."
                }
                @if let Some(problem) = problem { p.notice.bad role="alert" { (problem) } }
                button.primary type="submit" { "Sign in" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_never_leads_elsewhere() {
        for next in ["", "//evil", "https://evil", "/ui/\\evil", "/data/x", "/ui/login?next=/ui/login", "javascript:1"]
        {
            assert_eq!(inner(next), "/ui/connections", "{next:?}");
        }
        assert_eq!(inner("/ui/object/1?tab=a"), "/ui/object/1?tab=a");
    }

    #[test]
    fn a_token_belongs_to_one_session() {
        assert!(same(&form_token("a"), &form_token("a")));
        assert!(!same(&form_token("a"), &form_token("b")));
        assert!(!same("", &form_token("a")));
    }
}
