//! What comes in: bodies, query strings, object paths, revisions. Everything is bounded and strict, and what is refused
//! is named.

use std::time::Duration;

use axum::{
    body::{BodyDataStream, Bytes},
    extract::{FromRequest, FromRequestParts, MatchedPath, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use futures_util::StreamExt;
use http::Uri;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, de::DeserializeOwned};

use super::{ApiState, error::ApiError};
use crate::{
    db::ObjectRef,
    model::{id::ObjectId, path::ObjectPath},
};

/// Most bytes of a body.
pub const MAX_BODY: usize = 1024 * 1024;

/// Most bytes of a refused body that are read and thrown away, and how long.
const MAX_DISCARDED: usize = 64 * 1024 * 1024;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time that a body may take to arrive; one that may have more MiB than this has seconds may take one for each.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A JSON body. An empty one without a content type is `{}`, because scripts leave out bodies of which nothing is
/// required.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// The body of a route that takes none: what is sent all the same was meant for another one, and is refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// A query string.
#[derive(Debug)]
pub struct Query<T>(pub T);

/// The object that a request is about: `…/{path}` with `?namespace=`, or `?id=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(pub ObjectRef);

/// The object of a route that can also do without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaybeTarget(pub Option<ObjectRef>);

/// The revision in `If-Match`, where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IfMatch(pub Option<u64>);

impl<T: DeserializeOwned> FromRequest<ApiState> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &ApiState) -> Result<Self, ApiError> {
        let declared = declared_json(request.headers())?;
        let (parts, body) = request.into_parts();
        let bytes = bounded(&parts.headers, body, MAX_BODY).await?;
        if !declared && !bytes.is_empty() {
            return Err(unsupported("none"));
        }
        let bytes = if bytes.is_empty() { Bytes::from_static(b"{}") } else { bytes };
        parse(&bytes).map(Self)
    }
}

/// Whether a content type is given; one that is not JSON is refused before the body is read.
fn declared_json(headers: &HeaderMap) -> Result<bool, ApiError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(false) };
    let text = value.to_str().unwrap_or("unreadable");
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(true);
    }
    Err(unsupported(&essence))
}

fn unsupported(got: &str) -> ApiError {
    ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        format!("the body must be JSON; its content type is {got:?}"),
    )
    .hint("send it with `Content-Type: application/json`")
}

/// Reads a body, at most `most` bytes of it, and only for so long. One that says that it is longer is refused at once.
pub(super) async fn bounded(headers: &HeaderMap, body: axum::body::Body, most: usize) -> Result<Bytes, ApiError> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    let mut body = body.into_data_stream();
    if declared.is_some_and(|n| n > most as u64) {
        discard(body);
        return Err(too_large(most));
    }
    let patience = BODY_TIMEOUT.max(Duration::from_secs((most >> 20) as u64));
    let deadline = tokio::time::Instant::now() + patience;
    let mut bytes = Vec::new();
    loop {
        match tokio::time::timeout_at(deadline, body.next()).await {
            Err(_) => {
                let message = format!("the body did not arrive within {} seconds", patience.as_secs());
                return Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "too-slow", message));
            }
            Ok(None) => return Ok(bytes.into()),
            Ok(Some(Err(_))) => return Err(ApiError::bad_request("body-cut-off", "the body did not arrive whole")),
            Ok(Some(Ok(piece))) if bytes.len() + piece.len() > most => {
                discard(body);
                return Err(too_large(most));
            }
            Ok(Some(Ok(piece))) => bytes.extend_from_slice(&piece),
        }
    }
}

fn too_large(most: usize) -> ApiError {
    let message = format!("the body is larger than {} KiB", most / 1024);
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message).hint("nothing that is taken here needs as much")
}

/// Reads on and throws away, for a while: closing a connection on which a client still writes would take the answer
/// from it that says why.
fn discard(mut body: BodyDataStream) {
    let reading = async move {
        let mut left = MAX_DISCARDED;
        while let Some(Ok(piece)) = body.next().await
            && piece.len() < left
        {
            left -= piece.len();
        }
    };
    #[allow(clippy::disallowed_methods, reason = "owns nothing but its connection, and ends by itself")]
    tokio::spawn(tokio::time::timeout(DISCARD_TIMEOUT, reading));
}

/// Parses a body; errors say where and what was expected, and never what was there instead.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let place = error.path().to_string();
        let inner = error.into_inner();
        let message = match (inner.classify(), place.as_str()) {
            (serde_json::error::Category::Data, ".") => without_value(&inner.to_string()),
            (serde_json::error::Category::Data, place) => format!("at {place}: {}", without_value(&inner.to_string())),
            _ => return ApiError::bad_request("not-json", format!("the body is not JSON: {inner}")),
        };
        ApiError::bad_request("invalid-body", message)
    })?;
    reader.end().map_err(|e| ApiError::bad_request("not-json", format!("the body is not JSON: {e}")))?;
    Ok(value)
}

/// What serde says of a wrong value, without the value: a secret may stand where something else belongs.
fn without_value(message: &str) -> String {
    const REPEATING: [&str; 3] = ["invalid type: ", "invalid value: ", "unknown variant "];
    if !REPEATING.iter().any(|start| message.starts_with(start)) {
        return message.to_owned();
    }
    // From the right: the value itself may hold the words that end it.
    match message.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => "it is not valid".to_owned(),
    }
}

impl<T: DeserializeOwned> FromRequestParts<ApiState> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, ApiError> {
        query(&parts.uri).map(Self)
    }
}

fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    // Checked before, because the form decoder lets broken escapes pass.
    decode(uri.query().unwrap_or_default(), "the query string")?;
    axum::extract::Query::<T>::try_from_uri(uri).map(|q| q.0).map_err(|rejection| {
        let text = rejection.body_text();
        let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text).to_owned();
        ApiError::bad_request("invalid-query", format!("in the query string: {text}"))
    })
}

/// Decodes percent escapes strictly: `%` stands before two hexadecimal digits, and the result is UTF-8.
fn decode(text: &str, what: &str) -> Result<String, ApiError> {
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices('%') {
        let digits = bytes.get(at + 1..at + 3).is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit));
        if !digits {
            return Err(ApiError::bad_request("invalid-encoding", format!("{what} holds a % without two digits"))
                .hint("write a percent sign of a name as %25"));
        }
    }
    percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned).map_err(|_| {
        ApiError::bad_request("invalid-encoding", format!("{what} is not UTF-8 when its escapes are decoded"))
    })
}

/// Splits the raw path first and decodes after, so that `%2F` is part of a name.
fn segments(raw: &str) -> Result<ObjectPath, ApiError> {
    let names = raw
        .split('/')
        .enumerate()
        .map(|(i, s)| decode(s, &format!("segment {} of the path", i + 1)))
        .collect::<Result<Vec<_>, _>>()?;
    ObjectPath::from_segments(names).map_err(|error| {
        let why = std::error::Error::source(&error).map(|e| format!(": {e}")).unwrap_or_default();
        ApiError::bad_request("invalid-path", format!("{error}{why}"))
    })
}

/// The parameters that address an object; others in the query are the handler's.
#[derive(Default, Deserialize)]
struct Addressing {
    id: Option<String>,
    namespace: Option<String>,
}

/// The object in a request's URL. `pattern` is the route's, with its catch-all at the end.
fn address(pattern: &str, uri: &Uri) -> Result<Option<ObjectRef>, ApiError> {
    let asked: Addressing = query(uri)?;
    let raw = pattern.find("{*").map(|at| uri.path().get(at..).unwrap_or_default());
    match (raw, asked.id) {
        (Some(_), Some(_)) => {
            Err(ApiError::bad_request("invalid-query", "name the object by its path or by ?id=, not by both"))
        }
        (None, Some(id)) => {
            if asked.namespace.is_some() {
                return Err(ApiError::bad_request("invalid-query", "?namespace= goes with a path; ?id= needs none"));
            }
            let id = id.parse::<ObjectId>().map_err(|e| ApiError::bad_request("invalid-id", format!("?id= is {e}")))?;
            Ok(Some(ObjectRef::Id(id)))
        }
        (Some(raw), None) => Ok(Some(ObjectRef::Path(segments(raw)?, asked.namespace.unwrap_or_default()))),
        (None, None) => match asked.namespace {
            Some(_) => Err(ApiError::bad_request("invalid-query", "?namespace= goes with a path")),
            None => Ok(None),
        },
    }
}

fn address_of(parts: &Parts) -> Result<Option<ObjectRef>, ApiError> {
    let pattern = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    address(pattern, &parts.uri)
}

impl FromRequestParts<ApiState> for Target {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, ApiError> {
        address_of(parts)?.map(Self).ok_or_else(|| {
            ApiError::bad_request("no-object", "name an object by its path or by ?id=")
                .hint("each name of the path is one percent-encoded segment of the URL")
        })
    }
}

impl FromRequestParts<ApiState> for MaybeTarget {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, ApiError> {
        address_of(parts).map(Self)
    }
}

impl FromRequestParts<ApiState> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let revision = text.trim_matches('"').parse().map_err(|_| {
            ApiError::bad_request("invalid-revision", "If-Match must be a revision as objects carry it, a number")
        })?;
        Ok(Self(Some(revision)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(pattern: &str, uri: &str) -> Result<Option<ObjectRef>, ApiError> {
        address(pattern, &uri.parse().expect("uri"))
    }

    fn path(names: &[&str]) -> Option<ObjectRef> {
        Some(ObjectRef::Path(ObjectPath::from_segments(names).expect("path"), String::new()))
    }

    const OBJECT: &str = "/data/object/{*path}";

    #[test]
    fn a_path_is_split_before_it_is_decoded() {
        assert_eq!(at(OBJECT, "/data/object/a/b%2Fc/%25").expect("ok"), path(&["a", "b/c", "%"]));
        assert_eq!(
            at(OBJECT, "/data/object/My%20Connection/%F0%9F%91%BE").expect("ok"),
            path(&["My Connection", "👾"])
        );
        assert_eq!(at(OBJECT, "/data/object/a+b/%00").expect("ok"), path(&["a+b", "\0"]));
    }

    #[test]
    fn what_is_no_path_says_why() {
        for (uri, code) in [
            ("/data/object/a%2", "invalid-encoding"),
            ("/data/object/a%zz", "invalid-encoding"),
            ("/data/object/%FF", "invalid-encoding"),
            ("/data/object/a//b", "invalid-path"),
            ("/data/object/a/", "invalid-path"),
            ("/data/object/a?id=x", "invalid-query"),
            ("/data/object/a?namespace=%f", "invalid-encoding"),
        ] {
            let error = at(OBJECT, uri).expect_err(uri);
            assert_eq!((error.status(), error.code()), (StatusCode::BAD_REQUEST, code), "{uri}");
        }
        let long = format!("/data/object/{}", "x".repeat(256));
        assert!(at(OBJECT, &long).expect_err("long").message().contains("256"));
    }

    #[test]
    fn an_id_takes_the_place_of_a_path() {
        let id = ObjectId::generate();
        assert_eq!(at("/data/object", &format!("/data/object?id={id}")).expect("ok"), Some(ObjectRef::Id(id)));
        assert_eq!(at("/data/object", "/data/object").expect("ok"), None);
        assert_eq!(at("/data/object", "/data/object?id=7").expect_err("no id").code(), "invalid-id");
    }

    #[test]
    fn a_namespace_goes_with_a_path() {
        let want = ObjectRef::Path(ObjectPath::from_segments(["a", "f"]).expect("path"), "function".into());
        assert_eq!(at(OBJECT, "/data/object/a/f?namespace=function").expect("ok"), Some(want));
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        #[allow(dead_code, reason = "only its name and type matter")]
        inner: Inner,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[allow(dead_code, reason = "only its name and type matter")]
        flag: bool,
    }

    #[test]
    fn a_bad_body_says_where_and_what() {
        for (body, code, part) in [
            (r#"{"inner":{"flag":"yes"}}"#, "invalid-body", "inner.flag"),
            (r#"{"inner":{"flag":true,"colour":1}}"#, "invalid-body", "colour"),
            (r#"{"inner":{}}"#, "invalid-body", "flag"),
            (r#"{"inner":"#, "not-json", "EOF"),
            (r#"{"inner":{"flag":true}} x"#, "not-json", "trailing"),
            ("\u{0}", "not-json", "expected value"),
        ] {
            let error = parse::<Example>(body.as_bytes()).expect_err(body);
            assert_eq!(error.code(), code, "{body}");
            assert!(error.message().contains(part), "{body}: {}", error.message());
        }
        assert_eq!(parse::<Example>(&vec![b'['; 100_000]).expect_err("deep").code(), "invalid-body");
    }

    #[test]
    fn a_wrong_value_is_not_repeated() {
        for body in [
            r#"{"inner":{"flag":"s3cret"}}"#,
            r#"{"inner":{"flag":"s3cret, expected s3cret"}}"#,
            r#"{"inner":"s3cret"}"#,
            r#""s3cret""#,
        ] {
            let error = parse::<Example>(body.as_bytes()).expect_err(body);
            assert!(error.message().contains("expected "), "{body}: {}", error.message());
            assert!(!error.message().contains("s3cret"), "{body}: {}", error.message());
        }
        assert_eq!(without_value("unknown variant `s3cret`, expected `a` or `b`"), "expected `a` or `b`");
        assert_eq!(without_value("invalid value: s3cret"), "it is not valid");
        assert_eq!(without_value("unknown field `colour`, expected `a`"), "unknown field `colour`, expected `a`");
    }
}
