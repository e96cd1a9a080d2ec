//! From what people type for a host name to the address a connection is known by.
//!
//! `hostname` is a name or an address without port and path. A leading `https://` is accepted; a leading `http://` is
//! the connection's own consent to go without TLS, which the operator's configuration must allow as well.

use serde::Deserialize;
use serde_json::Value;
use url::Host;

use super::{InvalidPayload, property::Property};
use crate::model::connection::Address;

/// Port of connections without TLS that name none.
const HTTP_PORT: u16 = 80;

/// Which properties of a configuration hold the address.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AddressFields {
    pub(super) hostname: Property,
    pub(super) port: Property,
    #[serde(rename = "defaultPort")]
    pub(super) default_port: u16,
}

/// Whether `http://` may stand before a host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WithoutTls {
    Allowed,
    Refused,
}

impl AddressFields {
    /// The address that a configuration names.
    pub(super) fn read(&self, config: &Value, without_tls: WithoutTls) -> Result<Address, InvalidPayload> {
        let hostname = self.hostname.get(config).and_then(Value::as_str).unwrap_or_default();
        let (insecure, hostname) =
            host(hostname, without_tls).map_err(|message| invalid(&self.hostname, message.into()))?;
        let port = match self.port.get(config) {
            None if insecure => HTTP_PORT,
            None => self.default_port,
            Some(port) => port
                .as_u64()
                .and_then(|port| u16::try_from(port).ok())
                .filter(|port| *port > 0)
                .ok_or_else(|| invalid(&self.port, "must be a number from 1 to 65535".into()))?,
        };
        Ok(Address { insecure, hostname, port })
    }

    /// Writes the host name as it is kept: canonical, with the consent to go without TLS in front of it.
    pub(super) fn keep(&self, config: &mut Value, address: &Address) {
        let scheme = if address.insecure { "http://" } else { "" };
        self.hostname.set(config, Value::String(format!("{scheme}{}", address.hostname)));
    }

    /// Writes the address as recipes and guests see it: the bare host name, and always a port.
    pub(super) fn show(&self, config: &mut Value, address: &Address) {
        self.hostname.set(config, Value::String(address.hostname.clone()));
        self.port.set(config, Value::from(address.port));
    }
}

fn invalid(property: &Property, message: String) -> InvalidPayload {
    InvalidPayload { pointer: property.pointer(), message }
}

/// The canonical host, and whether it goes without TLS.
fn host(text: &str, without_tls: WithoutTls) -> Result<(bool, String), &'static str> {
    let (insecure, text) = match (strip(text, "https://"), strip(text, "http://")) {
        (Some(rest), _) => (false, rest),
        (None, Some(_)) if without_tls == WithoutTls::Refused => {
            return Err("begins with http://, which this host refuses; the operator can allow it with \
                        `allow_insecure_http = true` under `[egress]`");
        }
        (None, Some(rest)) => (true, rest),
        (None, None) => (false, text),
    };
    let bracketed = text.starts_with('[') && text.ends_with(']');
    if text.is_empty() {
        return Err("must name a host, for instance `adb-123.example.net`");
    }
    if text.contains(['/', '\\', '?', '#']) {
        return Err("must be a host name without path: leave out what begins with `/`");
    }
    if text.contains('@') {
        return Err("must be a host name without user name");
    }
    if text.chars().any(char::is_whitespace) {
        return Err("must be a host name without spaces");
    }
    if !bracketed && let Ok(address) = text.parse::<std::net::Ipv6Addr>() {
        return Ok((insecure, address.to_string()));
    }
    if !bracketed && text.contains(':') {
        return Err("must be a host name without port: `port` is a field of its own");
    }
    let text = text.strip_suffix('.').unwrap_or(text);
    // `%` would be decoded into anything.
    let host = if text.contains('%') { None } else { Host::parse(text).ok() };
    match host {
        Some(Host::Domain(name)) if is_domain(&name) => Ok((insecure, name)),
        Some(Host::Ipv4(address)) => Ok((insecure, address.to_string())),
        Some(Host::Ipv6(address)) => Ok((insecure, address.to_string())),
        _ => Err("is neither a host name nor an address"),
    }
}

fn strip<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn is_domain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<(bool, &str), &str>) {
        match (host(text, WithoutTls::Allowed), expect) {
            (Ok((insecure, name)), Ok(expected)) => assert_eq!((insecure, name.as_str()), expected),
            (Err(message), Err(part)) => assert!(message.contains(part), "{text:?}: {message}"),
            (got, _) => panic!("{text:?}: {got:?}"),
        }
    }

    #[test]
    fn one_host_has_one_form() {
        check("Adb-1.Example.NET", Ok((false, "adb-1.example.net")));
        check("https://adb-1.example.net.", Ok((false, "adb-1.example.net")));
        check("HTTP://localhost", Ok((true, "localhost")));
        check("bücher.example", Ok((false, "xn--bcher-kva.example")));
        check("127.0.0.1", Ok((false, "127.0.0.1")));
        check("0x7f.1", Ok((false, "127.0.0.1")));
        check("::1", Ok((false, "::1")));
        check("[0:0::1]", Ok((false, "::1")));
        check("under_score.example", Ok((false, "under_score.example")));
    }

    #[test]
    fn what_is_more_than_a_host_is_refused_with_the_reason() {
        check("", Err("must name a host"));
        check("https://", Err("must name a host"));
        check("a.example/path", Err("without path"));
        check("a.example:443", Err("without port"));
        check("user@a.example", Err("without user"));
        check("a example", Err("without spaces"));
        check("a%2eexample", Err("neither"));
        check("a..example", Err("neither"));
        check("http://http://a", Err("without path"));
        check(&format!("{}.example", "x".repeat(64)), Err("neither"));
        check("[::1]:443", Err("without port"));
        check("999.1.1.1", Err("neither"));
        assert!(host("http://a", WithoutTls::Refused).is_err_and(|m| m.contains("allow_insecure_http")));
    }
}
