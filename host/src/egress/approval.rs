//! Hosts besides the connections' own that the operator lets secrets go to: token endpoints of other companies, above
//! all.
//!
//! Exact origins, or all hosts one label below a domain. A refusal names the line of configuration that would allow it.

use std::{fmt, str::FromStr};

use ::url::{Host, Url};

use super::url::Origin;

/// An origin, or those of all hosts one label below a domain, that the operator approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovedOrigin {
    origin: Origin,
    /// Whether any one label may stand before the host.
    below: bool,
}

/// A text that approves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an origin: write https://host or https://*.domain, with a port where it is not the usual one, and nothing behind it"
)]
pub struct InvalidApproval(String);

impl ApprovedOrigin {
    /// Whether it goes without TLS.
    #[must_use]
    pub fn insecure(&self) -> bool {
        self.origin.insecure()
    }

    pub(super) fn covers(&self, origin: &Origin) -> bool {
        if !self.below {
            return self.origin == *origin;
        }
        let (Host::Domain(name), Host::Domain(domain)) = (origin.host(), self.origin.host()) else { return false };
        // One label: whoever can make names below one of them has not been approved.
        let label = name.strip_suffix(domain.as_str()).and_then(|rest| rest.strip_suffix('.'));
        label.is_some_and(|label| !label.is_empty() && !label.contains('.')) && self.origin.differs_in_host_only(origin)
    }
}

impl FromStr for ApprovedOrigin {
    type Err = InvalidApproval;

    fn from_str(text: &str) -> Result<Self, InvalidApproval> {
        let fail = || InvalidApproval(text.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(fail)?;
        let (below, rest) = match rest.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|_| fail())?;
        let origin = Origin::of(&url).ok_or_else(fail)?;
        // Written as it will be compared: no path, no user, no odd spelling, no second asterisk.
        let plain = origin.to_string() == format!("{scheme}://{rest}") || url.as_str() == format!("{scheme}://{rest}");
        let named = |domain: &str| domain.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        let host = match origin.host() {
            Host::Domain(domain) => named(domain) && (!below || domain.trim_end_matches('.').contains('.')),
            Host::Ipv4(_) | Host::Ipv6(_) => !below,
        };
        if plain && host && url.path() == "/" && url.query().is_none() && url.fragment().is_none() {
            Ok(Self { origin, below })
        } else {
            Err(fail())
        }
    }
}

impl fmt::Display for ApprovedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.origin.to_string();
        match text.split_once("://") {
            Some((scheme, rest)) if self.below => write!(f, "{scheme}://*.{rest}"),
            _ => f.write_str(&text),
        }
    }
}

/// Those of the origins, written out, that nobody approved.
pub fn not_approved<'a>(
    origins: impl IntoIterator<Item = &'a String>,
    approved: &[ApprovedOrigin],
) -> impl Iterator<Item = &'a str> {
    origins.into_iter().map(String::as_str).filter(|text| {
        let origin = Url::parse(text).ok().and_then(|url| Origin::of(&url));
        !origin.is_some_and(|origin| approved.iter().any(|a| a.covers(&origin)))
    })
}

/// The line of the host's configuration that approves these.
pub fn config_line<T: fmt::Display>(origins: impl IntoIterator<Item = T>) -> String {
    let list: Vec<String> = origins.into_iter().map(|origin| format!("\"{origin}\"")).collect();
    format!("[egress] approved_origins = [{}]", list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approved(text: &str) -> ApprovedOrigin {
        text.parse().unwrap()
    }

    fn covers(pattern: &str, url: &str) -> bool {
        approved(pattern).covers(&Origin::of(&Url::parse(url).unwrap()).unwrap())
    }

    #[test]
    fn origins_are_exact_or_one_label_below_a_domain() {
        for (pattern, url) in [
            ("https://login.example.com", "https://login.example.com/oauth/token"),
            ("https://login.example.com/", "https://login.example.com:443"),
            ("https://login.example.com:8443", "https://login.example.com:8443/x"),
            ("https://*.okta.example", "https://acme.okta.example/token"),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000/token"),
        ] {
            assert!(covers(pattern, url), "{pattern} {url}");
        }
        for (pattern, url) in [
            ("https://login.example.com", "http://login.example.com/"),
            ("https://login.example.com", "https://login.example.com:8443/"),
            ("https://login.example.com", "https://login.example.com.evil.example/"),
            ("https://login.example.com", "https://xlogin.example.com/"),
            ("https://*.okta.example", "https://okta.example/"),
            ("https://*.okta.example", "https://.okta.example/"),
            ("https://*.okta.example", "https://a.b.okta.example/"),
            ("https://*.okta.example", "https://evilokta.example/"),
            ("https://*.okta.example", "https://acme.okta.example:444/"),
            ("https://*.okta.example", "http://acme.okta.example/"),
            ("https://*.okta.example", "https://10.0.0.1/"),
        ] {
            assert!(!covers(pattern, url), "{pattern} {url}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_when_the_host_starts() {
        for text in [
            "",
            "login.example.com",
            "ftp://login.example.com",
            "https://login.example.com/path",
            "https://login.example.com?x",
            "https://login.example.com#x",
            "https://user@login.example.com",
            "https://LOGIN.example.com",
            "https://*",
            "https://*.com",
            "https://*.10.0.0.1",
            "https://a.*.example.com",
            "https://*.*.example.com",
            "https://log*.example.com",
            "https://2130706433",
            "https://login.example.com:0443",
            "*://login.example.com",
        ] {
            assert!(text.parse::<ApprovedOrigin>().is_err(), "{text}");
        }
        for text in
            ["https://login.example.com", "https://*.okta.example", "http://127.0.0.1:9000", "https://*.a.b:444"]
        {
            assert_eq!(approved(text).to_string(), text);
        }
    }

    #[test]
    fn the_line_that_helps_helps() {
        let origins = ["https://a.example".to_owned(), "https://b.example:8443".to_owned()];
        let missing: Vec<&str> = not_approved(&origins, &[approved("https://a.example")]).collect();
        assert_eq!(missing, ["https://b.example:8443"]);
        assert_eq!(config_line(&missing), "[egress] approved_origins = [\"https://b.example:8443\"]");
        assert_eq!(not_approved(&origins, &origins.each_ref().map(|o| approved(o))).count(), 0);
    }
}
