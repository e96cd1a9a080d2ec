//! Which requests are allowed: the connector's declarations and the credential's scope, with the connection's values in
//! place. What matches nothing is refused.

use std::sync::Arc;

use ::url::{Host, Url};
use serde_json::Value;

use super::{
    approval::{self, ApprovedOrigin},
    context,
    error::{SendError, SendErrorKind},
    recipe::{
        BodyRule, FromResponse, Recipe, Target,
        origin::{ExchangeUrl, Origin as Declared},
    },
    statement,
    url::Origin,
};
use crate::model::connection::Address;

/// What a connection's declared origins come to.
#[derive(Clone)]
pub(super) struct Places {
    connection: Url,
    origin: Origin,
    /// What the operator approved besides it.
    approved: Vec<ApprovedOrigin>,
    /// Whether this connection may go without TLS.
    insecure: bool,
}

/// Requests to one origin.
pub(super) struct Rule {
    origin: Origin,
    paths: Vec<String>,
    methods: Vec<String>,
    body: Option<BodyRule>,
    from_response: Option<Arc<FromResponse>>,
}

/// Why no rule allows a request.
pub(super) enum Outside {
    /// None has this origin, path and method.
    Pattern,
    /// One has, but its guard refuses the body.
    Body(&'static str),
}

impl Places {
    /// `allow_insecure` is the operator's word; the address holds the connection's.
    pub(super) fn new(address: &Address, approved: &[ApprovedOrigin], allow_insecure: bool) -> Result<Self, SendError> {
        let invalid =
            || SendError::new(SendErrorKind::InvalidConfig, "the connection's host name or port is not valid");
        let connection = Url::parse(&address.to_string()).map_err(|_| invalid())?;
        let origin = Origin::of(&connection).ok_or_else(invalid)?;
        // A host name with a slash or an at sign in it would have moved into another part of the URL.
        let bare = connection.path() == "/" && connection.query().is_none() && connection.fragment().is_none();
        if !bare || !connection.username().is_empty() || connection.password().is_some() {
            return Err(invalid());
        }
        if origin.insecure() && !allow_insecure {
            return Err(SendError::denied("connections without TLS are not allowed here")
                .for_operator(format!("{origin} needs: [egress] allow_insecure_http = true")));
        }
        let insecure = address.insecure && allow_insecure;
        Ok(Self { connection, origin, approved: approved.to_vec(), insecure })
    }

    /// The connection's own.
    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// A declared origin; none where its configuration value is missing.
    fn resolve(&self, declared: &Declared, config: &Value) -> Result<Option<Origin>, SendError> {
        match declared {
            Declared::Connection => Ok(Some(self.origin.clone())),
            Declared::Literal(text) => self.foreign(text).map(|url| Origin::of(&url)),
            Declared::Config(property) => Ok(self.configured(property, config)?.and_then(|url| Origin::of(&url))),
        }
    }

    /// Where an exchange goes: the first of its URLs that has a value.
    pub(super) fn exchange<'a>(
        &self,
        mut urls: impl Iterator<Item = &'a ExchangeUrl>,
        config: &Value,
    ) -> Result<Url, SendError> {
        let found = urls.find_map(|url| match url {
            ExchangeUrl::Connection { path } => {
                let mut url = self.connection.clone();
                url.set_path(path);
                Some(Ok(url))
            }
            ExchangeUrl::Literal(text) => Some(self.foreign(text)),
            ExchangeUrl::Config(property) => self.configured(property, config).transpose(),
        });
        found.unwrap_or_else(|| {
            Err(SendError::new(SendErrorKind::InvalidConfig, "the configuration names no place to authenticate at"))
        })
    }

    /// Whether every place is approved that a recipe sends secrets to.
    pub(super) fn check(&self, recipe: &Recipe, config: &Value) -> Result<(), SendError> {
        recipe.exchanges().try_for_each(|exchange| self.exchange(exchange.url.iter(), config).map(drop))
    }

    /// Whether an answer may name an address there.
    pub(super) fn may_be_named(&self, origin: &Origin, suffixes: &[String]) -> bool {
        let below = |domain: &str| suffixes.iter().any(|s| domain.len() > s.len() && domain.ends_with(s.as_str()));
        let host = origin.host() == self.origin.host() || matches!(origin.host(), Host::Domain(d) if below(d));
        host && (!origin.insecure() || self.insecure)
    }

    /// A URL that the connector's descriptor names.
    fn foreign(&self, text: &str) -> Result<Url, SendError> {
        let invalid = || SendError::denied("the connector names a place that is not a URL");
        let url = Url::parse(text).map_err(|_| invalid())?;
        self.approved(&url, SendErrorKind::Denied, "the connector").map(|()| url)
    }

    fn approved(&self, url: &Url, kind: SendErrorKind, by: &str) -> Result<(), SendError> {
        let invalid = || SendError::new(kind, format!("{by} names a place without a host"));
        let origin = Origin::of(url).ok_or_else(invalid)?;
        if origin == self.origin || self.approved.iter().any(|approved| approved.covers(&origin)) {
            return Ok(());
        }
        let text = format!("{by} names {origin}, to which the operator of this host has not approved to send secrets");
        let line = approval::config_line([&origin]);
        Err(SendError::new(kind, text).for_operator(format!("to approve {origin}: {line}")))
    }

    /// A configuration value that is a URL; none where it is missing or empty.
    fn configured(&self, property: &str, config: &Value) -> Result<Option<Url>, SendError> {
        let Some(text) = context::property(config, property).filter(|text| !text.is_empty()) else { return Ok(None) };
        let invalid = |what: &str| SendError::new(SendErrorKind::InvalidConfig, format!("`{property}` {what}"));
        let url = Url::parse(&text).map_err(|_| invalid("is not a URL"))?;
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(invalid("must be a URL without user and fragment"));
        }
        match url.scheme() {
            "https" => {}
            "http" if self.insecure => {}
            _ => return Err(invalid("must be an `https://` URL")),
        }
        self.approved(&url, SendErrorKind::InvalidConfig, &format!("`{property}`")).map(|()| Some(url))
    }
}

impl Rule {
    /// The rules of declarations; one whose configuration value is missing allows nothing.
    pub(super) fn all(targets: &[Target], places: &Places, config: &Value) -> Result<Vec<Self>, SendError> {
        let mut rules = Vec::with_capacity(targets.len());
        for target in targets {
            if let Some(origin) = places.resolve(&target.origin, config)? {
                rules.push(Self {
                    origin,
                    paths: target.paths.clone(),
                    methods: target.methods.clone(),
                    body: target.body.clone(),
                    from_response: target.from_response.clone().map(Arc::new),
                });
            }
        }
        Ok(rules)
    }

    fn matches(&self, method: &str, path: &str, origin: &Origin) -> bool {
        self.origin == *origin
            && self.methods.iter().any(|m| m == method)
            && self.paths.iter().any(|pattern| glob(pattern, path))
    }
}

/// Whether one of the rules allows the request.
pub(super) fn allows(
    rules: &[Rule],
    method: &str,
    (url, origin): (&Url, &Origin),
    body: Option<&[u8]>,
) -> Result<(), Outside> {
    let mut outside = Outside::Pattern;
    for rule in rules.iter().filter(|rule| rule.matches(method, url.path(), origin)) {
        match rule.body.as_ref().map_or(Ok(()), |guard| statement::check(guard, body)) {
            Ok(()) => return Ok(()),
            Err(reason) => outside = Outside::Body(reason),
        }
    }
    Err(outside)
}

/// What an answer to this request may name.
pub(super) fn names(rules: &[Rule], method: &str, url: &Url, origin: &Origin) -> Option<Arc<FromResponse>> {
    let matching = rules.iter().filter(|rule| rule.matches(method, url.path(), origin));
    matching.filter_map(|rule| rule.from_response.clone()).next()
}

/// Whether the text matches the pattern, in which `*` is any characters, none included. Takes time proportional to the
/// product of their lengths at worst.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut rest) = text.strip_prefix(head) else { return false };
    let mut pieces: Vec<&str> = tail.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        // The first occurrence leaves most for those that follow.
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::url;

    fn places(insecure: bool) -> Places {
        let address = Address { insecure, hostname: "h.example".into(), port: if insecure { 80 } else { 443 } };
        let approved = ["https://login.example", "https://*.idp.example", "http://idp.example"];
        Places::new(&address, &approved.map(|text| text.parse().unwrap()), true).unwrap()
    }

    fn target(origin: &str, paths: &[&str], methods: &[&str]) -> Target {
        serde_json::from_value(serde_json::json!({"origin": origin, "paths": paths, "methods": methods})).unwrap()
    }

    fn allowed(rules: &[Rule], method: &str, raw: &str) -> bool {
        let (url, origin) = url::canonical(raw).unwrap();
        allows(rules, method, (&url, &origin), None).is_ok()
    }

    #[test]
    fn patterns_match_as_they_read() {
        for (pattern, text) in [
            ("/a", "/a"),
            ("/a/*", "/a/"),
            ("/a/*", "/a/b/c"),
            ("*", ""),
            ("/a/*/c", "/a/b/c"),
            ("/a/*/c", "/a/c/c"),
            ("/*a*b*", "/xaxbx"),
            ("/a**b", "/ab"),
            ("/a*a", "/aa"),
        ] {
            assert!(glob(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("/a", "/ab"),
            ("/a", "/A"),
            ("/a/*", "/a"),
            ("/a/*/c", "/a/c"),
            ("/a/*/c", "/a/b/cd"),
            ("/a*a", "/a"),
            ("/*ab*ab", "/xab"),
            ("", "/"),
        ] {
            assert!(!glob(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn only_declared_requests_are_allowed() {
        let targets = [target("{{ connection.origin }}", &["/api/2.1/list/*"], &["GET"])];
        let rules = Rule::all(&targets, &places(false), &Value::Null).unwrap();
        assert!(allowed(&rules, "GET", "https://h.example/api/2.1/list/tables?x=y"));
        for (method, raw) in [
            ("POST", "https://h.example/api/2.1/list/tables"),
            ("get", "https://h.example/api/2.1/list/tables"),
            ("GET", "https://h.example/api/2.1/lists"),
            ("GET", "https://h.example/api/2.1/LIST/tables"),
            ("GET", "https://h.example/api/2%2e1/list/tables"),
            ("GET", "https://h.example/x/api/2.1/list/tables"),
            ("GET", "https://h.example/?/api/2.1/list/tables"),
            ("GET", "http://h.example/api/2.1/list/tables"),
            ("GET", "https://h.example:8443/api/2.1/list/tables"),
            ("GET", "https://h.example.evil.example/api/2.1/list/tables"),
            ("GET", "https://evil.example/api/2.1/list/tables"),
            ("GET", "https://h.example./api/2.1/list/tables"),
        ] {
            assert!(!allowed(&rules, method, raw), "{method} {raw}");
        }
    }

    #[test]
    fn foreign_origins_need_approval() {
        let rule = |origin: &str| Rule::all(&[target(origin, &["/*"], &["GET"])], &places(false), &Value::Null);
        assert!(allowed(&rule("https://login.example").unwrap(), "GET", "https://login.example/a"));
        let error = rule("https://evil.example").err().unwrap();
        assert_eq!(error.kind, SendErrorKind::Denied);
        assert!(error.operator.unwrap().ends_with("[egress] approved_origins = [\"https://evil.example\"]"));
        let urls = |text: &str| [ExchangeUrl::try_from(text.to_owned()).unwrap()];
        assert!(places(false).exchange(urls("https://evil.example/token").iter(), &Value::Null).is_err());
        let url = places(false).exchange(urls("https://login.example/token").iter(), &Value::Null).unwrap();
        assert_eq!(url.as_str(), "https://login.example/token");
    }

    #[test]
    fn urls_in_the_configuration_are_checked_when_used() {
        let urls: Vec<ExchangeUrl> = ["{{ config.authority }}", "{{ connection.origin }}/token"]
            .map(|text| ExchangeUrl::try_from(text.to_owned()).unwrap())
            .into();
        let place = |insecure: bool, authority: Value| {
            places(insecure).exchange(urls.iter(), &serde_json::json!({"authority": authority})).map(String::from)
        };
        assert_eq!(place(false, Value::Null).unwrap(), "https://h.example/token");
        assert_eq!(place(false, "".into()).unwrap(), "https://h.example/token");
        assert_eq!(place(false, "https://login.example/t?a=b".into()).unwrap(), "https://login.example/t?a=b");
        assert_eq!(place(true, "http://idp.example/t".into()).unwrap(), "http://idp.example/t");
        assert_eq!(place(false, "https://a.idp.example/t".into()).unwrap(), "https://a.idp.example/t");
        let error = place(false, "https://evil.example:8443/t".into()).unwrap_err();
        assert_eq!(error.kind, SendErrorKind::InvalidConfig);
        assert!(error.operator.unwrap().ends_with("[egress] approved_origins = [\"https://evil.example:8443\"]"));
        for bad in ["http://idp.example/t", "https://u:p@idp.example/t", "file:///t", "idp.example", "https://i/#f"] {
            assert_eq!(place(false, bad.into()).unwrap_err().kind, SendErrorKind::InvalidConfig, "{bad}");
        }
    }

    #[test]
    fn answers_may_name_the_own_host_and_what_ends_as_declared() {
        let named = |insecure: bool, raw: &str| {
            let suffixes = [".store.example".to_owned(), ".blob.core.example".to_owned()];
            places(insecure).may_be_named(&url::canonical(raw).unwrap().1, &suffixes)
        };
        for good in [
            "https://h.example/x",
            "https://h.example:8443/x",
            "https://bucket.store.example/x?sig=a",
            "https://a.b.store.example:444/x",
            "https://Bucket.Blob.Core.example/x",
        ] {
            assert!(named(false, good), "{good}");
        }
        for bad in [
            "https://store.example/x",
            "https://evilstore.example/x",
            "https://bucket.store.example.evil.example/x",
            "https://sub.h.example/x",
            "https://10.0.0.1/x",
            "http://h.example/x",
            "http://bucket.store.example/x",
        ] {
            assert!(!named(false, bad), "{bad}");
        }
        assert!(named(true, "http://bucket.store.example/x") && named(true, "http://h.example:81/x"));
    }

    #[test]
    fn going_without_tls_needs_the_operator_and_the_connection() {
        let address = |insecure| Address { insecure, hostname: "h.example".into(), port: 8080 };
        assert!(Places::new(&address(true), &[], true).is_ok());
        assert!(Places::new(&address(false), &[], true).unwrap().origin().to_string().starts_with("https:"));
        let error = Places::new(&address(true), &[], false).err().unwrap();
        assert!(error.operator.unwrap().contains("allow_insecure_http = true"));
        for hostname in ["h.example/x", "u@h.example", "h.example?x", "h.example#x", "", "a b", "h:1:2"] {
            let address = Address { insecure: false, hostname: hostname.into(), port: 443 };
            assert!(Places::new(&address, &[], true).is_err(), "{hostname:?}");
        }
    }
}
