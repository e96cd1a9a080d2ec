//! Searches answers for secrets: a platform that sends back what it was sent would hand it to the guest.
//!
//! Values of 16 bytes or more are searched for, as they are and in the spellings of JSON, URLs and Base64. Shorter ones
//! would be found by chance. Nothing is replaced: the answer is discarded and the event raised.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use http::HeaderMap;
use memchr::memmem;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

/// Shortest value that is searched for.
const MIN_BYTES: usize = 16;

/// What to search for.
#[derive(Default)]
pub(super) struct Needles(Vec<Zeroizing<Vec<u8>>>);

impl Needles {
    pub(super) fn new<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        let mut needles: Vec<Zeroizing<Vec<u8>>> = Vec::new();
        for secret in secrets.filter(|secret| secret.len() >= MIN_BYTES) {
            for spelling in spellings(secret) {
                if !needles.contains(&spelling) {
                    needles.push(spelling);
                }
            }
        }
        Self(needles)
    }

    /// Length of the longest one.
    pub(super) fn longest(&self) -> usize {
        self.0.iter().map(|needle| needle.len()).max().unwrap_or(0)
    }

    pub(super) fn found_in(&self, bytes: &[u8]) -> bool {
        self.0.iter().any(|needle| memmem::find(bytes, needle).is_some())
    }

    pub(super) fn found_in_headers(&self, headers: &HeaderMap) -> bool {
        headers.iter().any(|(name, value)| self.found_in(value.as_bytes()) || self.found_in(name.as_str().as_bytes()))
    }
}

fn spellings(secret: &str) -> Vec<Zeroizing<Vec<u8>>> {
    let json = Zeroizing::new(serde_json::to_string(secret).unwrap_or_default());
    let bytes = secret.as_bytes();
    let mut all = vec![
        bytes.to_vec(),
        json.trim_matches('"').as_bytes().to_vec(),
        // As other JSON writers do it.
        secret.replace('/', "\\/").into_bytes(),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string().into_bytes(),
        percent_encoded_url(secret).into_bytes(),
    ];
    // At each of the three places where it may begin in a longer text that was encoded; the last characters hang on
    // what follows.
    for skip in 0..3 {
        let whole = (bytes.len() - skip) / 3 * 3;
        let inner = &bytes[skip..skip + whole];
        all.push(STANDARD_NO_PAD.encode(inner).into_bytes());
        all.push(URL_SAFE_NO_PAD.encode(inner).into_bytes());
    }
    all.into_iter().map(Zeroizing::new).collect()
}

/// Without encoding what may stand in a URL as it is.
fn percent_encoded_url(secret: &str) -> String {
    const KEPT: percent_encoding::AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(secret, &KEPT).to_string()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    const SECRET: &str = "s3cr/t+\"value\"-0123456789";

    #[test]
    fn a_secret_is_found_in_every_usual_spelling() {
        let needles = Needles::new([SECRET].into_iter());
        let body = |text: &str| format!("{{\"a\": \"{text}\"}}").into_bytes();
        for text in [
            SECRET.to_owned(),
            serde_json::to_string(SECRET).unwrap(),
            SECRET.replace('/', "\\/"),
            utf8_percent_encode(SECRET, NON_ALPHANUMERIC).to_string(),
            STANDARD.encode(SECRET),
            URL_SAFE.encode(SECRET),
            STANDARD.encode(format!("u:{SECRET}")),
            STANDARD.encode(format!("x{SECRET}yz")),
            STANDARD.encode(format!("user:{SECRET}!")),
        ] {
            assert!(needles.found_in(&body(&text)), "{text}");
        }
        assert!(!needles.found_in(&body("s3cr/t+")));
        let mut headers = HeaderMap::new();
        headers.insert("x-echo", format!("Bearer {}", "0123456789abcdef").parse().unwrap());
        assert!(Needles::new(["0123456789abcdef"].into_iter()).found_in_headers(&headers));
        assert!(!needles.found_in_headers(&headers));
    }

    #[test]
    fn short_values_are_not_searched_for() {
        let needles = Needles::new(["password", "0123456789abcde", ""].into_iter());
        assert!(!needles.found_in(b"password 0123456789abcde"));
        assert_eq!(needles.longest(), 0);
    }
}
