//! Running one exchange of a recipe: a request to a token endpoint whose answer fills the grant.
//!
//! Neither the request nor the answer ever reaches a guest. What the platform says about a failure goes to the
//! operator alone, and shortened: a recipe could point at the place where a token stands.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, Method, header};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    condition,
    context::{Grants, With, scalar},
    error::{SendError, SendErrorKind},
    recipe::{BasicEncoding, Exchange, FailureKind, Take},
    reflect::Needles,
    retry::{self, Pacing},
    scope::Places,
    session::Budget,
    template::Known,
    wire::{self, Again, Failed, Wire},
};

/// Longest answer of a token endpoint.
const MAX_ANSWER: usize = 256 * 1024;

/// What an exchange is run with.
#[derive(Clone, Copy)]
pub(super) struct Means<'a> {
    pub(super) places: &'a Places,
    pub(super) wire: &'a Wire,
    pub(super) pacing: Pacing,
    pub(super) budget: &'a Budget,
}

struct Answer {
    status: u16,
    headers: http::HeaderMap,
    /// Null where it is not JSON.
    json: Value,
}

/// Runs the exchange, with repeats, and adds what it takes.
pub(super) async fn run(exchange: &Exchange, with: &With<'_>, means: Means<'_>) -> Result<Grants, SendError> {
    let url = means.places.exchange(exchange.url.iter(), &with.context.config)?;
    let mut unanswered = 0;
    for repeat in 0.. {
        let (asked, error) = match attempt(exchange, with, &url, means).await {
            Ok(answer) if condition::as_expected(exchange.ok.as_ref(), answer.status, &answer.json) => {
                return take_all(exchange, &answer.json);
            }
            Ok(answer) => {
                let error = refused(exchange, with, &answer);
                if !matches!(answer.status, 429 | 503) {
                    return Err(error);
                }
                (retry::retry_after(&answer.headers), error)
            }
            Err(failed) => {
                unanswered += 1;
                if !failed.may_be_repeated(true) || unanswered > retry::MAX_UNANSWERED {
                    return Err(failed.error);
                }
                (None, failed.error)
            }
        };
        if !means.pacing.wait(repeat, asked, means.budget).await {
            return Err(error);
        }
    }
    Err(SendError::timed_out())
}

async fn attempt(exchange: &Exchange, with: &With<'_>, url: &::url::Url, means: Means<'_>) -> Result<Answer, Failed> {
    let (request, url) =
        build(exchange, with, url.clone(), means.wire).map_err(|error| Failed { error, again: Again::Never })?;
    let mut response = means.wire.send(request, &url, means.budget).await?;
    let mut body = Zeroizing::new(Vec::new());
    while let Some(piece) = wire::piece(&mut response, means.budget).await? {
        if body.len() + piece.len() > MAX_ANSWER {
            let error = SendError::new(SendErrorKind::Unavailable, "the answer to the authentication is too long");
            return Err(Failed { error, again: Again::Never });
        }
        body.extend_from_slice(&piece);
    }
    Ok(Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        json: serde_json::from_slice(&body).unwrap_or_default(),
    })
}

fn build(
    exchange: &Exchange,
    with: &With<'_>,
    mut url: ::url::Url,
    wire: &Wire,
) -> Result<(reqwest::RequestBuilder, ::url::Url), SendError> {
    let invalid = |what: &str| SendError::new(SendErrorKind::InvalidConfig, format!("{what} cannot be sent"));
    for (key, value) in with.pairs(&exchange.query)? {
        url.query_pairs_mut().append_pair(&key, &value);
    }
    let method = Method::from_bytes(exchange.method.as_bytes()).map_err(|_| invalid("the method"))?;
    let mut request = wire.client.request(method, url.clone());
    if !exchange.headers.contains_key(header::ACCEPT.as_str()) {
        request = request.header(header::ACCEPT, "application/json");
    }
    for (name, template) in &exchange.headers {
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid(name))?;
        request = request.header(parsed, sensitive(&with.render(template)?.text).ok_or_else(|| invalid(name))?);
    }
    if let Some(basic) = &exchange.basic {
        let user = with.render(&basic.user)?.text;
        // A client that authenticates in the body leaves the header out.
        if !user.is_empty() {
            let password = with.render(&basic.password)?.text;
            let joined = Zeroizing::new(match basic.encode {
                BasicEncoding::Raw => format!("{}:{}", *user, *password),
                BasicEncoding::Form => format!("{}:{}", *form_encoded(&user), *form_encoded(&password)),
            });
            let value = Zeroizing::new(format!("Basic {}", STANDARD.encode(joined.as_bytes())));
            let value = sensitive(&value).ok_or_else(|| invalid("the credential"))?;
            request = request.header(header::AUTHORIZATION, value);
        }
    }
    if let Some(form) = &exchange.form {
        let pairs = with.pairs(form)?;
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        request = request.form(&pairs);
    } else if let Some(json) = &exchange.json {
        request = request.json(&with.json(json)?);
    }
    Ok((request, url))
}

/// A header that no log of the client shows.
pub(super) fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn form_encoded(text: &str) -> Zeroizing<String> {
    Zeroizing::new(::url::form_urlencoded::byte_serialize(text.as_bytes()).collect())
}

fn take_all(exchange: &Exchange, json: &Value) -> Result<Grants, SendError> {
    let mut grants = Grants::new();
    for (name, take) in &exchange.take {
        if let Some(known) = taken(name, take, json)? {
            grants.insert(name.clone(), known);
        }
    }
    Ok(grants)
}

fn taken(name: &str, take: &Take, json: &Value) -> Result<Option<Known>, SendError> {
    let found = json.pointer(&take.at).and_then(scalar).filter(|text| !text.is_empty());
    let text = found.or_else(|| take.default.as_ref().and_then(scalar));
    match text {
        Some(text) => Ok(Some(Known { text: Zeroizing::new(text), secret: take.secret })),
        None if take.optional || take.persist.is_some() => Ok(None),
        None => Err(SendError::new(
            SendErrorKind::Unavailable,
            format!("the answer to the authentication holds no `{name}`"),
        )),
    }
}

fn refused(exchange: &Exchange, with: &With<'_>, answer: &Answer) -> SendError {
    let text = |pointer: &Option<String>| answer.json.pointer(pointer.as_ref()?).and_then(scalar);
    let code = text(&exchange.fail.code);
    let kind = match code.as_ref().and_then(|code| exchange.fail.codes.get(code)) {
        Some(FailureKind::Unauthenticated) => SendErrorKind::Unauthenticated,
        Some(FailureKind::InvalidConfig) => SendErrorKind::InvalidConfig,
        Some(FailureKind::Unavailable) => SendErrorKind::Unavailable,
        None => match answer.status {
            // A failure in the clothes of a success is the platform's way to refuse.
            200..=299 | 400 | 401 | 403 => SendErrorKind::Unauthenticated,
            429 => SendErrorKind::RateLimited,
            404 | 405 => SendErrorKind::InvalidConfig,
            _ => SendErrorKind::Unavailable,
        },
    };
    let words: Vec<String> = [code, text(&exchange.fail.message)].into_iter().flatten().collect();
    // Searched before it is shortened: a part of a secret is too much as well.
    let said = if repeats_secret(&words.join(": "), exchange, with, answer) {
        "(withheld: it repeats a secret)".to_owned()
    } else {
        words.iter().map(|text| tell(text)).collect::<Vec<_>>().join(": ")
    };
    let message = format!("the platform refused to authenticate this connection (HTTP {})", answer.status);
    let mut error = SendError::new(kind, &message).for_operator(format!("{message}: {said}"));
    error.retry_after = retry::retry_after(&answer.headers);
    error
}

/// Shortest secret that is searched for in a platform's words; shorter ones would be found in any text.
const MIN_SECRET: usize = 4;

/// Whether a platform's words hold what it was sent, what it issued before, or what it issues in this very answer.
fn repeats_secret(text: &str, exchange: &Exchange, with: &With<'_>, answer: &Answer) -> bool {
    let issued = exchange.take.values().filter(|take| take.secret);
    let issued: Vec<Zeroizing<String>> =
        issued.filter_map(|take| answer.json.pointer(&take.at).and_then(scalar)).map(Zeroizing::new).collect();
    let secrets: Vec<&str> = with.secrets().chain(issued.iter().map(|secret| secret.as_str())).collect();
    // Some platforms change the case of what they repeat.
    let folded = Zeroizing::new(text.to_lowercase());
    let plain = |secret: &&str| {
        let secret = Zeroizing::new(secret.to_lowercase());
        secret.len() >= MIN_SECRET && folded.contains(secret.as_str())
    };
    secrets.iter().any(plain) || Needles::new(secrets.iter().copied()).found_in(text.as_bytes())
}

/// Longest answer whose words are told.
const MAX_WORDS: usize = 16 * 1024;

/// The code and the message in an answer whose form nobody declared: what stands at its top under a name that says so.
/// Answers are searched for secrets before.
pub(super) fn words(body: &[u8]) -> String {
    if body.len() > MAX_WORDS {
        return String::new();
    }
    let Ok(Value::Object(fields)) = serde_json::from_slice::<Value>(body) else { return String::new() };
    let telling = |name: &str| {
        let name = name.to_ascii_lowercase();
        ["code", "message", "error", "description"].iter().any(|word| name.contains(word))
    };
    let said = fields.iter().filter(|(name, _)| telling(name)).filter_map(|(_, value)| scalar(value));
    said.map(|text| tell(&text)).collect::<Vec<_>>().join(": ")
}

/// What may be told of a platform's words: no control characters, no long texts, and nothing that could be a token.
fn tell(text: &str) -> String {
    let plain: String = text.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let word = |word: &str| if word.chars().count() > 24 { "…".to_owned() } else { word.to_owned() };
    plain.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::egress::{context::Context, vault::Secrets};

    fn context(secret: &str) -> Context {
        let secrets = Secrets([("token".to_owned(), Zeroizing::new(secret.to_owned()))].into());
        Context::new("https://h.example".into(), Value::Null, secrets, &BTreeMap::new())
    }

    fn exchange(json: Value) -> Exchange {
        let mut base = serde_json::json!({"url": "{{ connection.origin }}/token"});
        base.as_object_mut().unwrap().extend(json.as_object().unwrap().clone());
        serde_json::from_value(base).unwrap()
    }

    #[test]
    fn values_are_taken_with_defaults() {
        let exchange = exchange(serde_json::json!({"take": {
            "token": {"at": "/access_token", "secret": true},
            "lifetime": {"at": "/expires_in", "default": 3600},
            "extra": {"at": "/extra", "optional": true}}}));
        let grants = take_all(&exchange, &serde_json::json!({"access_token": "abc"})).unwrap();
        assert_eq!(grants["lifetime"].text.as_str(), "3600");
        assert!(grants["token"].secret && !grants.contains_key("extra"));
        let error = take_all(&exchange, &serde_json::json!({"expires_in": 1, "access_token": ""})).unwrap_err();
        assert_eq!(error.message, "the answer to the authentication holds no `token`");
    }

    #[test]
    fn failures_tell_what_they_mean_and_no_token() {
        let exchange = exchange(serde_json::json!({"fail": {"code": "/error", "message": "/error_description",
            "codes": {"invalid_client": "unauthenticated", "bad_account": "invalid-config", "busy": "unavailable"}}}));
        let (context, grants) = (context("canary-4711"), Grants::new());
        let with = With { context: &context, grants: &grants };
        let refusal =
            |status, json| refused(&exchange, &with, &Answer { status, headers: http::HeaderMap::new(), json });
        for (status, code, kind) in [
            (400, "invalid_client", SendErrorKind::Unauthenticated),
            (200, "bad_account", SendErrorKind::InvalidConfig),
            (400, "busy", SendErrorKind::Unavailable),
            (401, "other", SendErrorKind::Unauthenticated),
            (500, "other", SendErrorKind::Unavailable),
            (404, "other", SendErrorKind::InvalidConfig),
            (429, "other", SendErrorKind::RateLimited),
        ] {
            assert_eq!(refusal(status, serde_json::json!({"error": code})).kind, kind, "{status} {code}");
        }
        let hostile = serde_json::json!({"error": "x".repeat(40), "error_description":
            "the token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2ln\nis here"});
        let error = refusal(400, hostile);
        assert!(!error.message.contains("token eyJ"));
        assert_eq!(error.operator.unwrap(), format!("{}: …: the token … is here", error.message));
    }

    #[test]
    fn words_that_repeat_a_secret_are_withheld() {
        let exchange = exchange(serde_json::json!({"take": {"token": {"at": "/access_token", "secret": true}},
            "fail": {"code": "/error", "message": "/error_description"}}));
        let context = context("pa55");
        let grants: Grants =
            [("first".to_owned(), Known { text: Zeroizing::new("issued".to_owned()), secret: true })].into();
        let with = With { context: &context, grants: &grants };
        let told = |text: String| {
            let json =
                serde_json::json!({"error": "denied", "error_description": text, "access_token": "in this answer"});
            let answer = Answer { status: 400, headers: http::HeaderMap::new(), json };
            refused(&exchange, &with, &answer).operator.unwrap()
        };
        for text in ["wrong password pa55", "PA55", "the ticket issued before", "it is in this answer"] {
            assert!(told(text.to_owned()).ends_with("(HTTP 400): (withheld: it repeats a secret)"), "{text}");
        }
        let late = format!("{} pa55", "x ".repeat(300));
        assert!(told(late).ends_with("(withheld: it repeats a secret)"));
        assert!(told("wrong password".to_owned()).ends_with("denied: wrong password"));
    }
}
