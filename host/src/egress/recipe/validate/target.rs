//! Whether a declaration of requests means something: what a guest may reach, and what carries the credential.

use http::HeaderValue;
use serde_json::Value;

use super::{Checked, InvalidRecipe, condition::check_pointer, property, refuse};
use crate::egress::{
    header,
    named::Pointer,
    recipe::{BodyRule, FromResponse, Target},
};

/// Words that a guard may forbid.
const MAX_WITHOUT: usize = 64;

/// Keys that a guard may name.
const MAX_KEYS: usize = 64;

/// Verbs that a guard may name, suffixes of hosts and headers that may go along.
const MAX_LIST: usize = 32;

/// Longest text of a rule: a path, a pointer, a word, a header's value.
const MAX_TEXT: usize = 1024;

impl Target {
    /// Checks a declaration of what the guest may reach, with the credential or without.
    pub fn validate(&self, schema: &Value, secrets: &[String]) -> Result<(), InvalidRecipe> {
        if self.body.is_some() {
            return refuse("body", "it belongs to the scope of a credential");
        }
        if let Some(property) = self.origin.config_property() {
            property::check_config("origin", property, schema, secrets)?;
        }
        check_reach(self, "egress")?;
        self.from_response.as_ref().map_or(Ok(()), |rule| check_named(rule, "egress.fromResponse"))
    }
}

pub(super) fn check_reach(reach: &Target, at: &str) -> Checked {
    if reach.redirects.is_some() {
        return refuse(format!("{at}.redirects"), "this version of the host cannot follow redirects yet");
    }
    if reach.paths.is_empty() {
        return refuse(format!("{at}.paths"), "name at least one");
    }
    if let Some(path) = reach.paths.iter().find(|path| !is_pattern(path)) {
        return refuse(format!("{at}.paths"), format!("`{path}` is not a literal canonical path with `*`"));
    }
    short(&format!("{at}.paths"), reach.paths.iter())?;
    if reach.methods.is_empty() {
        return refuse(format!("{at}.methods"), "name at least one");
    }
    few(&format!("{at}.methods"), reach.methods.len(), METHODS.len())?;
    if let Some(method) = reach.methods.iter().find(|method| !is_method(method)) {
        return refuse(format!("{at}.methods"), format!("`{method}` is none of {METHODS:?}"));
    }
    reach.body.as_ref().map_or(Ok(()), |rule| check_body(rule, at))
}

/// A list that nobody could read is none that people approve.
fn few(at: &str, found: usize, most: usize) -> Checked {
    if found > most { refuse(at, format!("at most {most} can be named")) } else { Ok(()) }
}

fn short<'a>(at: &str, mut texts: impl Iterator<Item = &'a String>) -> Checked {
    if texts.any(|text| text.len() > MAX_TEXT) {
        return refuse(at, format!("a text has more than {MAX_TEXT} bytes"));
    }
    Ok(())
}

fn check_body(rule: &BodyRule, at: &str) -> Checked {
    let words = [&rule.verbs, &rule.names, &rule.without, &rule.keys];
    short(&format!("{at}.body"), words.into_iter().flatten().chain([&rule.at]))?;
    few(&format!("{at}.body.verbs"), rule.verbs.len(), MAX_LIST)?;
    few(&format!("{at}.body.names"), rule.names.len(), MAX_LIST)?;
    check_pointer(&format!("{at}.body.at"), &rule.at)?;
    let word = |verb: &String| !verb.is_empty() && verb.bytes().all(|b| b.is_ascii_alphabetic());
    if rule.verbs.is_empty() || !rule.verbs.iter().all(word) {
        return refuse(format!("{at}.body.verbs"), "name at least one, in letters only");
    }
    // Blanks are left out of what is searched, so a word with one in it would be missed.
    let word =
        |text: &String| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"'\"\\;".contains(&b));
    if !rule.names.iter().all(|verb| rule.verbs.contains(verb)) {
        return refuse(format!("{at}.body.names"), "name some of the verbs");
    }
    if rule.without.len() > MAX_WITHOUT || !rule.without.iter().all(word) {
        return refuse(format!("{at}.body.without"), "name at most 64 words, without spaces and quotes");
    }
    // Else no body could fit.
    let statement =
        |key: &String| rule.at.split('/').nth(1).is_some_and(|at| at.replace("~1", "/").replace("~0", "~") == *key);
    if rule.keys.len() > MAX_KEYS || !(rule.keys.is_empty() || rule.keys.iter().any(statement)) {
        return refuse(format!("{at}.body.keys"), "name at most 64 keys, that of the statement among them");
    }
    Ok(())
}

fn check_named(rule: &FromResponse, at: &str) -> Checked {
    for (name, found) in [
        ("hostSuffixes", rule.host_suffixes.len()),
        ("headerValues", rule.header_values.len()),
        ("headers", rule.headers.len()),
    ] {
        few(&format!("{at}.{name}"), found, MAX_LIST)?;
    }
    let texts = rule.host_suffixes.iter().chain(&rule.header_values).chain([&rule.at]);
    short(at, texts.chain(rule.headers.iter().flat_map(|(name, value)| [name, value])))?;
    let pointer = |name: &str, text: &str| match Pointer::parse(text) {
        Some(_) => Ok(()),
        None => refuse(format!("{at}.{name}"), format!("`{text}` is not a JSON pointer below the top")),
    };
    pointer("at", &rule.at)?;
    for (name, text) in rule.header_places() {
        pointer("headerValues", text)?;
        if let Some(name) = name.filter(|name| !may_go_along(name)) {
            return refuse(format!("{at}.headerValues.{name}"), "the header is not the connector's to set");
        }
    }
    if let Some(suffix) = rule.host_suffixes.iter().find(|suffix| !is_suffix(suffix)) {
        let text = format!("`{suffix}` is not a dot and a domain of two names or more, in lower case");
        return refuse(format!("{at}.hostSuffixes"), text);
    }
    for (name, value) in &rule.headers {
        let at = format!("{at}.headers.{name}");
        if !may_go_along(name) {
            return refuse(at, "the header is not the connector's to set");
        }
        if HeaderValue::from_str(value).is_err() {
            return refuse(at, "the value holds forbidden characters");
        }
    }
    Ok(())
}

fn may_go_along(header: &str) -> bool {
    header::may_be_set_by_recipe(header) && !header::is_reserved(header)
}

fn is_suffix(text: &str) -> bool {
    let plain = |name: &str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        !name.is_empty() && name.bytes().all(inner)
    };
    // `.1.1` would be the end of addresses.
    let named = |domain: &str| domain.rsplit('.').next().is_some_and(|top| !top.bytes().all(|b| b.is_ascii_digit()));
    text.strip_prefix('.').is_some_and(|domain| domain.contains('.') && domain.split('.').all(plain) && named(domain))
}

/// The methods that a connector may be allowed.
pub(in crate::egress) const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

fn is_method(method: &str) -> bool {
    METHODS.contains(&method)
}

fn is_pattern(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'\\' | b'{' | b'}'))
        && !path.split('/').any(|segment| matches!(segment, "." | ".."))
}
