//! Who calls: an API key in `Authorization`, or a browser session's cookie.
//!
//! The route table's check puts the [`Caller`] into the request; a handler outside of the table (a page) gets it by the
//! same extractor, which then resolves it itself. Keys and session tokens are random and stored as digests only.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Method, header, request::Parts},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};

use super::{ApiState, error::ApiError};
use crate::model::{
    connection::Actor,
    principal::{Permission, Principal},
    sight::Sight,
};

/// Name of the cookie that carries a browser session's token.
pub const SESSION_COOKIE: &str = "wharfinger_session";

/// The caller of a request.
#[derive(Clone, Debug)]
pub struct Caller(pub Principal);

impl Caller {
    /// What the caller may see.
    #[must_use]
    pub fn sight(&self) -> &Sight {
        &self.0.sight
    }

    /// Whether the caller sees the whole inventory.
    #[must_use]
    pub fn sees_all(&self) -> bool {
        self.0.sight == Sight::All
    }

    /// As creators and updaters are shown.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.0.actor()
    }

    /// Whether the caller holds any of these permissions.
    #[must_use]
    pub fn has_any(&self, permissions: &[Permission]) -> bool {
        self.0.permissions.iter().any(|p| permissions.contains(p))
    }
}

/// The digest under which a key or a session's token is stored.
#[must_use]
pub fn token_digest(token: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    out
}

/// A new random key or token of 256 bits, with a prefix that tells what it is when it is found somewhere.
pub fn new_token(prefix: &str) -> Result<String, ApiError> {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| ApiError::internal("random", &std::io::Error::other("the system gave no random bytes")))?;
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// Whose request it is.
pub async fn resolve(state: &ApiState, method: &Method, headers: &HeaderMap) -> Result<Caller, ApiError> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let text = value.to_str().map_err(|_| ApiError::unauthenticated())?.trim();
        let key = match text.split_once(' ') {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
            _ => text,
        };
        let found = state.db.principal_by_key(token_digest(key)).await?;
        return found.map(Caller).ok_or_else(ApiError::unauthenticated);
    }
    let Some(token) = session_token(headers) else { return Err(ApiError::unauthenticated()) };
    let found = state.db.principal_by_session(token_digest(token), state.clock.now()).await?;
    let caller = found.map(Caller).ok_or_else(ApiError::unauthenticated)?;
    // A browser sends its cookie for whoever asks: what changes something must come from our own pages.
    if !method.is_safe() && !from_our_pages(headers) {
        return Err(ApiError::forbidden("a browser session can change things only from the host's own pages"));
    }
    Ok(caller)
}

/// The session's token, where the browser sent one.
#[must_use]
pub fn session_token(headers: &HeaderMap) -> Option<&str> {
    headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == SESSION_COOKIE).then_some(value)
    })
}

/// Whether the browser says that the request was made by a page of this very host.
pub(super) fn from_our_pages(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    match (text("origin"), text("host")) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, authority)| authority == host),
        _ => false,
    }
}

impl FromRequestParts<ApiState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        resolve(state, &parts.method, &parts.headers).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().expect("header value"));
        }
        map
    }

    #[test]
    fn the_session_is_found_among_other_cookies() {
        assert_eq!(session_token(&headers(&[("cookie", "a=b; wharfinger_session=tok; c=d")])), Some("tok"));
        assert_eq!(session_token(&headers(&[("cookie", "xwharfinger_session=tok")])), None);
        assert_eq!(session_token(&headers(&[("cookie", "a=b"), ("cookie", "wharfinger_session=tok")])), Some("tok"));
    }

    #[test]
    fn another_site_cannot_act_with_a_visitors_session() {
        assert!(from_our_pages(&headers(&[("sec-fetch-site", "same-origin")])));
        assert!(!from_our_pages(&headers(&[("sec-fetch-site", "cross-site"), ("origin", "http://h"), ("host", "h")])));
        assert!(!from_our_pages(&headers(&[("sec-fetch-site", "same-site")])));
        assert!(from_our_pages(&headers(&[("origin", "http://h:8080"), ("host", "h:8080")])));
        assert!(!from_our_pages(&headers(&[("origin", "http://evil"), ("host", "h:8080")])));
        assert!(!from_our_pages(&headers(&[("host", "h:8080")])));
    }

    #[test]
    fn keys_are_long_and_different() {
        let (a, b) = (new_token("whf_").expect("a"), new_token("whf_").expect("b"));
        assert_ne!(a, b);
        assert_eq!(a.len(), 4 + 43);
        assert_ne!(token_digest(&a), token_digest(&b));
    }
}
