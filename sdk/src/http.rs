//! HTTP through the host, which authenticates, retries what is safe to repeat, decompresses and bounds answers.
//!
//! An HTTP error status is an answer, not an error: [`Response::status`]. What a request may reach is what the
//! descriptor declares; anything else comes back as the error `denied`.

use std::{fmt::Write as _, rc::Rc};

use serde::{Deserialize, Serialize};

use crate::{
    Attributes, Error,
    host::{Flow, Host},
};

pub use crate::bindings::connector::wharfinger::connector::http::{Request, Response};

/// Name of the credential that belongs to the connection.
const CREDENTIAL: &str = "connection";

/// The HTTP client of a [`crate::Context`].
pub struct Http {
    host: Rc<dyn Host>,
}

impl Http {
    pub(crate) fn new(host: Rc<dyn Host>) -> Self {
        Self { host }
    }

    pub(crate) fn host(&self) -> &dyn Host {
        &*self.host
    }

    /// A GET. `url` is absolute and already encoded; put what comes from names through [`encode`] or
    /// [`RequestBuilder::query`].
    pub fn get(&self, url: impl Into<String>) -> RequestBuilder {
        self.request("GET", url)
    }

    /// A POST.
    pub fn post(&self, url: impl Into<String>) -> RequestBuilder {
        self.request("POST", url)
    }

    /// A request with another method, in upper case.
    pub fn request(&self, method: &str, url: impl Into<String>) -> RequestBuilder {
        RequestBuilder {
            host: Rc::clone(&self.host),
            request: Request {
                method: method.to_owned(),
                url: url.into(),
                headers: vec![("accept".to_owned(), "application/json".to_owned())],
                body: None,
                auth: None,
                retriable: false,
                extra: Attributes::new(),
            },
        }
    }

    /// Sends all in parallel (at most `parallel` at once; the host's own limit stands above) and hands over each
    /// answer with the index of its request, in order of completion. `answer` may stop it.
    pub fn send_all(
        &self,
        requests: impl IntoIterator<Item = RequestBuilder>,
        parallel: u32,
        mut answer: impl FnMut(usize, Result<Response, Error>) -> Flow,
    ) {
        let requests: Vec<Request> = requests.into_iter().map(RequestBuilder::build).collect();
        if !requests.is_empty() {
            self.host.send_all(requests, parallel, &mut answer);
        }
    }
}

/// A request being made.
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    host: Rc<dyn Host>,
    request: Request,
}

impl RequestBuilder {
    /// Adds a query parameter; both sides are percent-encoded.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        let url = &mut self.request.url;
        url.push(if url.contains('?') { '&' } else { '?' });
        encode_into(url, name);
        url.push('=');
        encode_into(url, value);
        self
    }

    /// Adds a query parameter when there is a value.
    pub fn query_opt(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Sets a header. Those of the transport and of authentication are the host's.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = name.to_ascii_lowercase();
        self.request.headers.retain(|(other, _)| *other != name);
        self.request.headers.push((name, value.to_owned()));
        self
    }

    /// Has the host authenticate the request as the connection.
    pub fn auth(mut self) -> Self {
        self.request.auth = Some(CREDENTIAL.to_owned());
        self
    }

    /// Sends this as JSON.
    pub fn json(mut self, body: &impl Serialize) -> Result<Self, Error> {
        let bytes = serde_json::to_vec(body)
            .map_err(|e| Error::internal("The request body cannot be written as JSON.").detail(e.to_string()))?;
        self.request.body = Some(bytes);
        Ok(self.header("content-type", "application/json"))
    }

    /// Says that the request may be sent twice. GET and HEAD always may.
    pub fn retriable(mut self) -> Self {
        self.request.retriable = true;
        self
    }

    /// A further status that means "try again".
    pub fn retry_on(mut self, status: u16) -> Self {
        self.request.extra.push(("retry-status".to_owned(), status.to_string()));
        self
    }

    /// A query parameter to set when the request is sent again.
    pub fn retry_query(mut self, name: &str, value: &str) -> Self {
        self.request.extra.push(("retry-query".to_owned(), format!("{name}={value}")));
        self
    }

    /// Sends it and waits for the answer.
    pub fn send(self) -> Result<Response, Error> {
        self.host.send(self.request)
    }

    /// The request as it will be sent.
    #[must_use]
    pub fn build(self) -> Request {
        self.request
    }
}

impl Response {
    /// Whether the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name (in lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The body as text; none if it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok()
    }

    /// Reads the body as JSON. Types may borrow from it: [`crate::http::Text`] for texts that are only looked at.
    /// (Checking UTF-8 once and parsing a `str` is a fifth faster than parsing bytes.)
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        let text = std::str::from_utf8(&self.body)
            .map_err(|e| Error::unavailable("The platform's answer is not UTF-8.").detail(e.to_string()))?;
        serde_json::from_str(text)
            .map_err(|e| Error::unavailable("The platform's answer is not the JSON expected.").detail(e.to_string()))
    }

    /// `Retry-After`, where it counts seconds.
    #[must_use]
    pub fn retry_after_ms(&self) -> Option<u64> {
        self.header("retry-after")?.trim().parse::<u64>().ok()?.checked_mul(1000)
    }
}

/// A text that borrows from the JSON it is read from where it holds no escapes: inside an `Option` or `Vec` too, where
/// a plain `Cow` would copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub std::borrow::Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<Text<'_>> for String {
    fn from(text: Text<'_>) -> Self {
        text.0.into_owned()
    }
}

/// Percent-encodes everything but letters, digits and `-._~`: safe in a path segment and in a query.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    encode_into(&mut encoded, text);
    encoded
}

fn encode_into(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MockHost;

    #[test]
    fn what_comes_from_names_is_always_encoded() {
        assert_eq!(encode("a b/c%d\"'👾\u{202e}@"), "a%20b%2Fc%25d%22%27%F0%9F%91%BE%E2%80%AE%40");
        assert_eq!(encode("Az09-._~"), "Az09-._~");
        let http = Http::new(MockHost::new(|_| Err(Error::internal("unused"))));
        let request = http.get("https://h/p").query("n m", "100%").query_opt("x", None).query("t", "a&b=c").build();
        assert_eq!(request.url, "https://h/p?n%20m=100%25&t=a%26b%3Dc");
        assert_eq!(request.auth, None);
    }

    #[test]
    fn a_text_without_escapes_is_not_copied() {
        let parsed: Vec<Option<Text<'_>>> = serde_json::from_str(r#"["plain", "es\"caped", null]"#).expect("json");
        assert!(matches!(parsed[0], Some(Text(std::borrow::Cow::Borrowed("plain")))));
        assert_eq!(parsed[1].as_deref(), Some("es\"caped"));
        assert_eq!(parsed[2], None);
    }

    #[test]
    fn retry_after_counts_seconds_or_is_ignored() {
        let with = |value: &str| Response {
            status: 429,
            headers: vec![("retry-after".to_owned(), value.to_owned())],
            body: Vec::new(),
            extra: Attributes::new(),
        };
        assert_eq!(with("7").retry_after_ms(), Some(7000));
        assert_eq!(with("Wed, 21 Oct 2026 07:28:00 GMT").retry_after_ms(), None);
        assert_eq!(with("18446744073709551615").retry_after_ms(), None);
    }
}
