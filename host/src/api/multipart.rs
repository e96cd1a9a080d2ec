//! `multipart/form-data` as browsers send files in: read whole, from a body that is bounded already.
//!
//! Strict: what does not have exactly this form is refused, and no part is read past the next boundary.

use axum::{body::Bytes, http::HeaderMap};
use http::header::CONTENT_TYPE;
use memchr::memmem;

use super::error::ApiError;

/// Fields of a form at most.
const MAX_PARTS: usize = 16;

/// Longest head of a part.
const MAX_HEAD: usize = 4096;

/// Longest boundary that the standard allows.
const MAX_BOUNDARY: usize = 70;

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// The field's name.
    pub(super) name: String,
    /// What it holds.
    pub(super) bytes: Bytes,
}

/// The fields of a form, in order.
pub(super) fn parts(headers: &HeaderMap, body: &Bytes) -> Result<Vec<Part>, ApiError> {
    boundary(headers)
        .and_then(|boundary| split(body, &boundary))
        .ok_or_else(|| ApiError::bad_request("form", "the form did not arrive as browsers send it"))
}

fn boundary(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let (kind, parameters) = kind.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let (name, value) = parameters.trim().split_once('=')?;
    let value = value.trim().trim_matches('"');
    let is_boundary = name.eq_ignore_ascii_case("boundary") && (1..=MAX_BOUNDARY).contains(&value.len());
    is_boundary.then(|| value.to_owned())
}

fn split(body: &Bytes, boundary: &str) -> Option<Vec<Part>> {
    let opening = format!("--{boundary}");
    let between = format!("\r\n--{boundary}");
    let finder = memmem::Finder::new(&between);
    let mut parts = Vec::new();
    let mut at = body.starts_with(opening.as_bytes()).then_some(opening.len())?;
    while let Some(rest) = body[at..].strip_prefix(b"\r\n") {
        let head_end = memmem::find(&rest[..rest.len().min(MAX_HEAD)], b"\r\n\r\n")?;
        let begins = at + 2 + head_end + 4;
        // The boundary of an empty field begins with the end of its head.
        let ends = begins - 2 + finder.find(&body[begins - 2..])?;
        let name = name(std::str::from_utf8(&rest[..head_end]).ok()?)?;
        parts.push(Part { name, bytes: body.slice(begins..ends.max(begins)) });
        if parts.len() > MAX_PARTS {
            return None;
        }
        at = ends + between.len();
    }
    body[at..].starts_with(b"--").then_some(parts)
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

    fn read(content_type: &str, body: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().expect("header"));
        let parts = parts(&headers, &Bytes::copy_from_slice(body)).ok()?;
        Some(parts.into_iter().map(|part| (part.name, part.bytes.to_vec())).collect())
    }

    const TYPE: &str = "multipart/form-data; boundary=----b";

    #[test]
    fn a_browsers_form_is_read() {
        let body = b"------b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nabc\r\n\
            ------b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a; name=\\\"x.wasm\"\r\n\
            Content-Type: application/wasm\r\n\r\n\0asm\r\n--not\r\n\r\n\xff\r\n\
            ------b\r\ncontent-disposition: form-data; name=\"empty\"\r\n\r\n\r\n------b--\r\n";
        let found = read(TYPE, body).expect("read");
        assert_eq!(found[0], ("token".to_owned(), b"abc".to_vec()));
        assert_eq!(found[1], ("file".to_owned(), b"\0asm\r\n--not\r\n\r\n\xff".to_vec()));
        assert_eq!(found[2], ("empty".to_owned(), Vec::new()));
        assert_eq!(read("Multipart/Form-Data; Boundary=\"----b\"", body), Some(found));
        assert_eq!(read(TYPE, b"------b--\r\n"), Some(Vec::new()));
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let body = b"------b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nabc\r\n------b--";
        assert!(read(TYPE, body).is_some());
        for end in 0..body.len() {
            assert_eq!(read(TYPE, &body[..end]), None, "{end}");
        }
        for kind in [
            "",
            "application/octet-stream",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/mixed; boundary=----b",
        ] {
            assert_eq!(read(kind, body), None, "{kind}");
        }
        assert_eq!(read(TYPE, b"------b\r\nContent-Type: text/plain\r\n\r\nabc\r\n------b--"), None, "no name");
        let one = b"\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n------b".repeat(MAX_PARTS + 1);
        assert_eq!(read(TYPE, &[b"------b", &one[..], b"--"].concat()), None, "too many");
        let head = [b"------b\r\nX: ".to_vec(), vec![b'x'; 5000], b"\r\n\r\nabc\r\n------b--".to_vec()].concat();
        assert_eq!(read(TYPE, &head), None, "a head without end");
    }
}
