//! `multipart/form-data` as browsers and `curl -F` send it: read whole, from a body that is bounded already.
//!
//! Strict: what does not have exactly this form is refused, and so are parts that nobody asked for, or that come twice.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode},
};
use http::header::CONTENT_TYPE;
use memchr::memmem;

use super::{error::ApiError, input::bounded};

/// Parts of a form at most.
const MAX_PARTS: usize = 16;

/// Longest head of a part.
const MAX_HEAD: usize = 4096;

/// Longest boundary that the standard allows.
const MAX_BOUNDARY: usize = 70;

/// Room in a body for what lies between its parts.
const BETWEEN: usize = MAX_PARTS * (MAX_HEAD + MAX_BOUNDARY + 8);

/// What is missing where a form was cut off.
const CUT_OFF: &str = "it did not arrive whole: the boundary at its end is missing";

/// A form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    name: String,
    bytes: Bytes,
}

/// Whether a content type is that of a form.
pub(super) fn is_form(content_type: &str) -> bool {
    content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("multipart/form-data")
}

impl Form {
    /// Reads a form of these parts: their names, and how large each may be.
    pub(super) async fn receive(headers: &HeaderMap, body: Body, known: &[(&str, usize)]) -> Result<Self, ApiError> {
        let most = known.iter().map(|(_, most)| most).sum::<usize>() + BETWEEN;
        // First, so that a client that is still sending hears what is wrong with its form.
        let body = bounded(headers, body, most).await?;
        let parts = boundary(headers).and_then(|boundary| split(&body, &boundary)).map_err(unreadable)?;
        for (at, part) in parts.iter().enumerate() {
            let Some((name, most)) = known.iter().find(|(name, _)| *name == part.name) else {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                let error = unreadable(&format!("it has a part {:?} that is not known", part.name));
                return Err(error.hint(format!("its parts are {}", names.join(", "))));
            };
            if parts[..at].iter().any(|before| before.name == part.name) {
                return Err(unreadable(&format!("it has two parts {name:?}")));
            }
            if part.bytes.len() > *most {
                let message = format!("the part {name:?} is larger than {most} bytes");
                return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message));
            }
        }
        Ok(Self(parts))
    }

    /// What a part holds; none where the form has no such part.
    pub(super) fn part(&self, name: &str) -> Option<Bytes> {
        self.0.iter().find(|part| part.name == name).map(|part| part.bytes.clone())
    }

    /// The same as text.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, ApiError> {
        let text = self.part(name).map(|bytes| String::from_utf8(bytes.to_vec()));
        text.transpose().map_err(|_| unreadable(&format!("its part {name:?} is no text")))
    }
}

fn unreadable(why: &str) -> ApiError {
    ApiError::bad_request("form", format!("the form cannot be read: {why}"))
}

fn boundary(headers: &HeaderMap) -> Result<String, &'static str> {
    const NONE: &str = "its content type names no boundary";
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !is_form(kind) {
        return Err("its content type is not multipart/form-data");
    }
    let parameters = kind.split(';').skip(1).filter_map(|parameter| parameter.trim().split_once('='));
    let mut values = parameters.filter(|(name, _)| name.eq_ignore_ascii_case("boundary")).map(|(_, value)| value);
    let value = values.next().ok_or(NONE)?.trim().trim_matches('"');
    if (1..=MAX_BOUNDARY).contains(&value.len()) { Ok(value.to_owned()) } else { Err(NONE) }
}

fn split(body: &Bytes, boundary: &str) -> Result<Vec<Part>, &'static str> {
    let opening = format!("--{boundary}");
    let between = format!("\r\n--{boundary}");
    let finder = memmem::Finder::new(&between);
    let mut parts = Vec::new();
    if !body.starts_with(opening.as_bytes()) {
        return Err(if body.len() < opening.len() { CUT_OFF } else { "it does not begin with its boundary" });
    }
    let mut at = opening.len();
    while let Some(rest) = body[at..].strip_prefix(b"\r\n") {
        let head = &rest[..rest.len().min(MAX_HEAD)];
        let too_long = if rest.len() > MAX_HEAD { "the head of a part is too long" } else { CUT_OFF };
        let head_end = memmem::find(head, b"\r\n\r\n").ok_or(too_long)?;
        let begins = at + 2 + head_end + 4;
        // The boundary of an empty part begins with the end of its head.
        let ends = begins - 2 + finder.find(&body[begins - 2..]).ok_or(CUT_OFF)?;
        let name = std::str::from_utf8(&rest[..head_end]).ok().and_then(name).ok_or("a part has no name")?;
        parts.push(Part { name, bytes: body.slice(begins..ends.max(begins)) });
        if parts.len() > MAX_PARTS {
            return Err("it has too many parts");
        }
        at = ends + between.len();
    }
    if body[at..].starts_with(b"--") { Ok(parts) } else { Err(CUT_OFF) }
}

/// The name in a part's head.
fn name(head: &str) -> Option<String> {
    let (_, disposition) = head
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .find(|(header, _)| header.eq_ignore_ascii_case("content-disposition"))?;
    let (_, rest) = disposition.split_once("; name=\"")?;
    rest.split_once('"').map(|(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [(&str, usize); 3] = [("token", 10), ("file", 100), ("empty", 0)];

    async fn receive(content_type: &str, body: &[u8]) -> Result<Form, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().expect("header"));
        Form::receive(&headers, Body::from(body.to_vec()), &KNOWN).await
    }

    /// Why it is refused.
    async fn why(content_type: &str, body: &[u8]) -> String {
        receive(content_type, body).await.expect_err("refused").message().to_owned()
    }

    const TYPE: &str = "multipart/form-data; boundary=----b";

    const BODY: &[u8] = b"------b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nabc\r\n\
        ------b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a; name=\\\"x.wasm\"\r\n\
        Content-Type: application/wasm\r\n\r\n\0asm\r\n--not\r\n\r\n\xff\r\n\
        ------b\r\ncontent-disposition: form-data; name=\"empty\"\r\n\r\n\r\n------b--\r\n";

    #[tokio::test]
    async fn a_browsers_form_is_read() {
        let form = receive(TYPE, BODY).await.expect("read");
        assert_eq!(form.text("token").expect("text").as_deref(), Some("abc"));
        assert_eq!(form.part("file").as_deref(), Some(&b"\0asm\r\n--not\r\n\r\n\xff"[..]));
        assert!(form.text("file").is_err(), "no text");
        assert_eq!(form.part("empty").as_deref(), Some(&b""[..]));
        for same in ["Multipart/Form-Data; Boundary=\"----b\"", "multipart/form-data; charset=utf-8; boundary=----b"] {
            assert_eq!(receive(same, BODY).await.expect("read"), form, "{same}");
        }
        let nothing = receive(TYPE, b"------b--\r\n").await.expect("read");
        assert_eq!(nothing.part("token"), None);
    }

    #[tokio::test]
    async fn what_is_not_whole_is_refused_and_told_so() {
        for end in 0..BODY.len() - 2 {
            assert!(why(TYPE, &BODY[..end]).await.contains("did not arrive whole"), "{end}");
        }
        for kind in ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; x=y"] {
            assert!(why(kind, BODY).await.contains("names no boundary"), "{kind}");
        }
        for kind in ["", "application/octet-stream", "multipart/mixed; boundary=----b"] {
            assert!(why(kind, BODY).await.contains("is not multipart/form-data"), "{kind}");
        }
        let other = "multipart/form-data; boundary=other";
        assert!(why(other, BODY).await.contains("does not begin with its boundary"));
    }

    #[tokio::test]
    async fn parts_are_known_and_come_once_and_are_bounded() {
        let part = |name: &str, text: &str| {
            format!("------b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
        };
        let form = |parts: &[String]| (parts.concat() + "------b--").into_bytes();
        assert!(why(TYPE, &form(&[part("other", "a")])).await.contains("a part \"other\" that is not known"));
        assert!(why(TYPE, &form(&[part("file", "a"), part("file", "a")])).await.contains("two parts \"file\""));
        assert!(why(TYPE, &form(&[part("token", "12345678901")])).await.contains("\"token\" is larger than 10 bytes"));
        assert!(why(TYPE, &form(&vec![part("file", ""); MAX_PARTS + 1])).await.contains("too many parts"));
        let nameless = b"------b\r\nContent-Type: text/plain\r\n\r\nabc\r\n------b--";
        assert!(why(TYPE, nameless).await.contains("has no name"));
        let head = [b"------b\r\nX: ".to_vec(), vec![b'x'; 5000], b"\r\n\r\nabc\r\n------b--".to_vec()].concat();
        assert!(why(TYPE, &head).await.contains("head of a part is too long"));
        let large = receive(TYPE, &vec![b'x'; BETWEEN + 200]).await.expect_err("refused");
        assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}
