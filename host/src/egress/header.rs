//! Which headers a guest and a recipe may set, and which ones of an answer a guest may see.
//!
//! A name counts in lower case and with `-` for `_`: servers that hand headers on as variables cannot tell the two
//! apart.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{error::SendError, named::Leave};

/// Of one request.
const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// Of the transport: between this host and its neighbour only, or a way to be taken for somebody else.
const TRANSPORT: [&str; 22] = [
    "host",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "content-length",
    "expect",
    "accept-encoding",
    "forwarded",
    "via",
    "x-real-ip",
    "true-client-ip",
    // Would turn an allowed method or path into another one behind the platform's door.
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "x-original-method",
];

fn of_transport(name: &str) -> bool {
    TRANSPORT.contains(&name) || name.starts_with("proxy-") || name.starts_with("x-forwarded-")
}

/// Whether a header could never be a guest's: of the transport, or where credentials go.
pub(super) fn is_reserved(name: &str) -> bool {
    let spelled = name.replace('_', "-");
    of_transport(&spelled) || matches!(spelled.as_str(), "authorization" | "cookie" | "cookie2")
}

/// Whether a recipe may set this header. Names stand in lower case.
pub(super) fn may_be_set_by_recipe(name: &str) -> bool {
    HeaderName::from_lowercase(name.as_bytes()).is_ok() && !of_transport(&name.replace('_', "-"))
}

/// The guest's headers, or why one of them is refused. `reserved` are those that the recipe sets.
pub(super) fn of_guest<'a>(
    headers: &[(String, String)],
    reserved: impl Iterator<Item = &'a str> + Clone,
) -> Result<HeaderMap, SendError> {
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        return Err(SendError::denied("the request has more headers than 64 or more than 32 KiB of them"));
    }
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let parsed =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| SendError::denied("a header's name is not a name"))?;
        let spelled = parsed.as_str().replace('_', "-");
        if is_reserved(&spelled) || reserved.clone().any(|own| own.replace('_', "-") == spelled) {
            return Err(SendError::denied(format!("the header `{parsed}` is not the connector's to set")));
        }
        let value = HeaderValue::from_str(value)
            .map_err(|_| SendError::denied(format!("the value of the header `{parsed}` holds forbidden characters")))?;
        map.append(parsed, value);
    }
    Ok(map)
}

/// The guest's headers of a request to an address that an answer named.
pub(super) fn of_named<'a>(
    headers: &[(String, String)],
    reserved: impl Iterator<Item = &'a str> + Clone,
    leave: &Leave,
) -> Result<HeaderMap, SendError> {
    let map = of_guest(headers, reserved)?;
    for (name, value) in &map {
        if !value.to_str().is_ok_and(|value| leave.allows(name.as_str(), value)) {
            return Err(SendError::denied(format!(
                "the header `{name}` of a request to an address that an answer named has a value that the answer did not name"
            )));
        }
    }
    Ok(map)
}

/// What a guest sees of an answer's headers: session cookies and what concerns the transport stay here, because the
/// former are issued secrets too.
pub(super) fn for_guest(headers: &HeaderMap) -> Vec<(String, String)> {
    let shown =
        |name: &str| !of_transport(name) && !matches!(name, "set-cookie" | "set-cookie2" | "authentication-info");
    headers
        .iter()
        .filter(|(name, _)| shown(name.as_str()))
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}
