//! What is checked before a request may leave, in the order in which it is checked.

use std::sync::Arc;

use ::url::Url;
use http::{HeaderMap, Method};

use super::{Request, Session};
use crate::egress::{
    error::SendError,
    header,
    named::{Leave, Named},
    recipe::{FromResponse, validate::METHODS},
    scope::{self, Outside},
    url::{self, Origin},
};

/// Longest body of a request.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// The only credential that there is.
const CREDENTIAL: &str = "connection";

/// A request that passed every check that needs no network.
pub(super) struct Admitted {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<bytes::Bytes>,
    /// Whether it carries the credential.
    pub(super) authenticated: bool,
    /// Whether it may be sent twice.
    pub(super) repeatable: bool,
    pub(super) retry_statuses: Vec<u16>,
    pub(super) retry_query: Vec<(String, String)>,
    /// What the answer may name.
    pub(super) names: Option<Arc<FromResponse>>,
}

impl Session {
    /// Canonical URL → declared pattern, or else named by an answer → scope of the credential → headers.
    pub(super) fn admit(&self, request: Request, named: &Named) -> Result<Admitted, SendError> {
        let (url, origin) =
            url::canonical(&request.url).map_err(|reason| SendError::denied(format!("the URL {reason}")))?;
        let method = request.method.as_str();
        if !METHODS.contains(&method) {
            return Err(SendError::denied("the method must be GET, HEAD, POST, PUT, PATCH or DELETE"));
        }
        let body = request.body.as_deref();
        if let Err(undeclared) = self.check_declared(method, &url, &origin, body) {
            let leave = named.leave(&request.url).ok_or(undeclared)?;
            return self.admit_named(request, url, &leave);
        }
        let authenticated = self.check_scope(request.auth.as_deref(), method, &url, &origin, body)?;
        let headers = header::of_guest(&request.headers, self.reserved())?;
        if body.is_some_and(|body| body.len() > MAX_BODY) {
            return Err(SendError::denied("the body of the request is longer than 16 MiB"));
        }
        Ok(Admitted {
            repeatable: request.retriable || matches!(method, "GET" | "HEAD"),
            method: Method::from_bytes(method.as_bytes()).map_err(|_| SendError::denied("the method is not one"))?,
            headers,
            body: request.body.map(Into::into),
            authenticated,
            retry_statuses: request.retry_statuses,
            retry_query: request.retry_query,
            names: scope::names(&self.reach, &request.method, &url, &origin),
            url,
        })
    }

    /// A request to an address that an answer named: exactly that, and nothing of the guest's beside it.
    fn admit_named(&self, request: Request, url: Url, leave: &Leave) -> Result<Admitted, SendError> {
        if request.method != "GET" || request.body.is_some() || request.auth.is_some() {
            let text = "an address that an answer named is fetched by GET, without body and credential";
            return Err(SendError::denied(text));
        }
        Ok(Admitted {
            method: Method::GET,
            url,
            headers: header::of_named(&request.headers, self.reserved(), leave)?,
            body: None,
            authenticated: false,
            repeatable: true,
            retry_statuses: request.retry_statuses,
            // The address is signed as it stands.
            retry_query: Vec::new(),
            names: None,
        })
    }

    /// Headers that are the recipe's to set.
    fn reserved(&self) -> impl Iterator<Item = &str> + Clone {
        self.credential.recipe().apply.headers.keys().map(String::as_str)
    }

    fn check_declared(&self, method: &str, url: &Url, origin: &Origin, body: Option<&[u8]>) -> Result<(), SendError> {
        scope::allows(&self.reach, method, (url, origin), body).map_err(|_| {
            let path: String = url.path().chars().take(200).collect();
            SendError::denied("the request is outside of what the connector declared to reach").for_operator(format!(
                "the connector asked for {method} {origin}{path}, which its descriptor's `egress` does not declare"
            ))
        })
    }

    fn check_scope(
        &self,
        credential: Option<&str>,
        method: &str,
        url: &Url,
        origin: &Origin,
        body: Option<&[u8]>,
    ) -> Result<bool, SendError> {
        match credential {
            None => return Ok(false),
            Some(CREDENTIAL) => {}
            Some(_) => return Err(SendError::denied("there is no credential of this name: it is called `connection`")),
        }
        scope::allows(&self.scope, method, (url, origin), body).map(|()| true).map_err(|outside| {
            let reason = match outside {
                Outside::Pattern => "the request is outside the credential's scope",
                Outside::Body(reason) => reason,
            };
            let path: String = url.path().chars().take(200).collect();
            SendError::denied(reason).for_operator(format!(
                "the connector asked for {method} {origin}{path} with the connection's credential: {reason}"
            ))
        })
    }
}
