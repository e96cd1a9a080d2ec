//! Canonical URLs: what a guest asks for is taken only if it can be read in one way.
//!
//! Servers, proxies and libraries differ in how they read odd spellings, and a check that reads one of them otherwise
//! than the platform does is no check. So an odd spelling is refused instead of being repaired.

use std::fmt;

use ::url::{Host, Url};
use percent_encoding::percent_decode_str;

/// Longest URL.
const MAX_URL: usize = 16 * 1024;

/// Times that a path is decoded in search of dots: more than any chain of servers would.
const DECODINGS: usize = 4;

/// Scheme, host and port of a canonical URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    insecure: bool,
    host: Host<String>,
    port: u16,
}

impl Origin {
    /// The origin of an `http` or `https` URL.
    pub(super) fn of(url: &Url) -> Option<Self> {
        let insecure = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return None,
        };
        Some(Self { insecure, host: url.host()?.to_owned(), port: url.port_or_known_default()? })
    }

    /// Whether it goes without TLS.
    pub(super) fn insecure(&self) -> bool {
        self.insecure
    }

    pub(super) fn host(&self) -> &Host<String> {
        &self.host
    }

    pub(super) fn differs_in_host_only(&self, other: &Self) -> bool {
        (self.insecure, self.port) == (other.insecure, other.port)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, default) = if self.insecure { ("http", 80) } else { ("https", 443) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == default { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Reads a guest's URL, or says what is odd about it.
pub(super) fn canonical(raw: &str) -> Result<(Url, Origin), &'static str> {
    if raw.len() > MAX_URL {
        return Err("is longer than 16 KiB");
    }
    if !raw.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("holds spaces, control characters or characters that must be percent-encoded");
    }
    if raw.contains('\\') {
        return Err("holds a backslash");
    }
    if raw.contains('#') {
        return Err("has a fragment");
    }
    let rest = raw
        .strip_prefix("https://")
        .or_else(|| raw.strip_prefix("http://"))
        .ok_or("must begin with `https://` or `http://`")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    if authority.contains('@') {
        return Err("names a user");
    }
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    check_escapes(path)?;
    check_escapes(query)?;
    check_path(path)?;
    let url = Url::parse(raw).map_err(|_| "is not a URL")?;
    let origin = Origin::of(&url).ok_or("has no host")?;
    if !is_spelled_like(authority, &origin) {
        return Err("spells its host or port in an unusual way");
    }
    Ok((url, origin))
}

/// Decimal, octal, hexadecimal and shortened addresses, percent-encoded names and padded ports all come out of parsing
/// as something else than went in.
fn is_spelled_like(authority: &str, origin: &Origin) -> bool {
    let host = origin.host.to_string();
    authority.eq_ignore_ascii_case(&host) || authority.eq_ignore_ascii_case(&format!("{host}:{}", origin.port))
}

fn check_escapes(text: &str) -> Result<(), &'static str> {
    let bytes = text.as_bytes();
    let broken = |at: usize| !bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    if memchr::memchr_iter(b'%', bytes).any(broken) {
        return Err("holds a `%` that encodes nothing");
    }
    Ok(())
}

fn check_path(path: &str) -> Result<(), &'static str> {
    let mut decoded = path.as_bytes().to_vec();
    for _ in 0..DECODINGS {
        check_decoded(&decoded)?;
        let next: Vec<u8> = percent_decode_str(&String::from_utf8_lossy(&decoded)).collect();
        if next == decoded {
            break;
        }
        decoded = next;
    }
    check_decoded(&decoded)
}

fn check_decoded(path: &[u8]) -> Result<(), &'static str> {
    if path.contains(&0) {
        return Err("holds a NUL in its path");
    }
    if path.starts_with(b"//") || path.starts_with(b"/\\") {
        return Err("has a path that could be read as another host");
    }
    for (index, segment) in path.split(|b| matches!(b, b'/' | b'\\')).enumerate() {
        // Some servers drop what stands behind a semicolon before they look for dots.
        let name = segment.split(|b| *b == b';').next().unwrap_or_default();
        // Others drop spaces and control characters, or take three dots for two.
        let mut shown = name.iter().filter(|b| **b > b' ').peekable();
        if shown.peek().is_some() && shown.all(|b| *b == b'.') {
            return Err("has a path with dots for a name");
        }
        let scheme = segment.strip_suffix(b":").is_some_and(|s| !s.is_empty() && s.iter().all(u8::is_ascii_alphabetic));
        if index == 1 && scheme {
            return Err("has another URL for a path");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_urls_are_taken_as_they_are() {
        for (raw, origin) in [
            ("https://h.example", "https://h.example"),
            ("https://h.example/", "https://h.example"),
            ("https://h.example:443/a", "https://h.example"),
            ("https://H.Example/a", "https://h.example"),
            ("https://h.example:8443/a?b=c&d=%2F..%2F", "https://h.example:8443"),
            ("http://127.0.0.1:8081/a", "http://127.0.0.1:8081"),
            ("https://[2001:4860::1]/a", "https://[2001:4860::1]"),
            ("https://h.example/t/a%2Fb/..c/%E2%98%83/%25/a%0Ab", "https://h.example"),
            ("https://h.example?x", "https://h.example"),
            ("https://h.example/t/a.b.c/x:y/100%25", "https://h.example"),
            ("https://h.example/t/a./.a/a../%20x/%20/b%20.", "https://h.example"),
        ] {
            let (url, found) = canonical(raw).unwrap_or_else(|reason| panic!("{raw} {reason}"));
            assert_eq!(found.to_string(), origin, "{raw}");
            assert!(url.path().starts_with('/'));
        }
    }

    #[test]
    fn odd_spellings_are_refused() {
        for raw in [
            "",
            "h.example/a",
            "//h.example/a",
            "/a",
            "ftp://h.example/",
            "file:///etc/passwd",
            "data:text/plain,x",
            "HTTPS://h.example/",
            "https:/h.example/",
            "https:h.example/",
            "https:///h.example/",
            "https://",
            "https://?x",
            "https://:443/",
            "https://user@h.example/",
            "https://user:pw@h.example/",
            "https://h.example@evil.example/",
            "https://@h.example/",
            "https://h.example%40evil.example/",
            "https://h.example\\@evil.example/",
            "https://h.example\\.evil.example/",
            "https:\\\\h.example/",
            "https://h.example/a\\..\\b",
            " https://h.example/",
            "https://h.example/ ",
            "https://h.example/a b",
            "https://h.exa\tmple/",
            "https://h.example/a\r\nHost: evil",
            "https://h.example/\0",
            "https://h.example/a\n",
            "https://h.example/#a",
            "https://h.example/a#/../b",
            "https://h.example/a/../b",
            "https://h.example/..",
            "https://h.example/.",
            "https://h.example/a/%2e%2e/b",
            "https://h.example/a/.%2e/b",
            "https://h.example/a/%2E%2E%2Fb",
            "https://h.example/a/..%2fb",
            "https://h.example/a/%252e%252e/b",
            "https://h.example/a/%25252e%25252e/b",
            "https://h.example/a/%2e%2e%5cb",
            "https://h.example/a/..;/b",
            "https://h.example/a/..;x=1/b",
            "https://h.example/a/%2e%2e;/b",
            "https://h.example/a/.%0a./b",
            "https://h.example/a/..%20/b",
            "https://h.example/a/%20../b",
            "https://h.example/a/..%2520/b",
            "https://h.example/a/..%09;x/b",
            "https://h.example/a/%0d./b",
            "https://h.example/a/.../b",
            "https://h.example/a/..%20.",
            "https://h.example/a%00b",
            "https://h.example/a%2500b",
            "https://h.example/a%",
            "https://h.example/a%2",
            "https://h.example/a%zz",
            "https://h.example/a?b=%zz",
            "https://h.example//evil.example/a",
            "https://h.example/%2fevil.example/a",
            "https://h.example/https://evil.example/a",
            "https://h.example/http:/evil.example",
            "https://h.example:0443/",
            "https://h.example:/",
            "https://h.example:99999/",
            "https://h.example:443:443/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://017700000001/",
            "https://0x7f.1/",
            "https://127.1/",
            "https://127.0.0.01/",
            "https://0177.0.0.1/",
            "https://127.0.0.1./",
            "https://[::ffff:7f00:0001]/",
            "https://[0:0:0:0:0:0:0:1]/",
            "https://[::1/",
            "https://[fe80::1%25eth0]/",
            "https://%68.example/",
            "https://h\u{3002}example/",
            "https://\u{ff48}.example/",
            "https://ｈ.example/",
            "https://h.example\u{2044}evil/",
            "https://h.exam\u{ad}ple/",
        ] {
            assert!(canonical(raw).is_err(), "{raw:?}");
        }
    }

    #[test]
    fn origins_differ_by_scheme_host_and_port() {
        let of = |raw: &str| canonical(raw).unwrap().1;
        assert_eq!(of("https://h.example/a"), of("https://h.example:443/b?c"));
        for other in ["http://h.example/", "https://h.example:444/", "https://h.example.evil/", "https://h.example./"] {
            assert_ne!(of("https://h.example/"), of(other), "{other}");
        }
    }
}
