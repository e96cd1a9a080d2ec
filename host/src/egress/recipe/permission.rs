//! What a connector may do, as lines that people approve: each target of a credential or of a request, each place that
//! the host sends secrets to, each leave to follow an answer.
//!
//! Two versions with equal lines may do the same; whatever changes that changes a line.

use std::collections::BTreeSet;

use super::{
    BodyRule, Exchange, FromResponse, Recipe, Target,
    origin::{ExchangeUrl, Origin},
};

/// All of it, sorted.
#[must_use]
pub fn permissions(methods: &[Recipe], reach: &[Target]) -> Vec<String> {
    let mut lines = BTreeSet::new();
    for recipe in methods {
        let id = &recipe.id;
        for exchange in recipe.exchanges() {
            lines.extend(of_exchange(recipe, exchange));
        }
        for target in &recipe.apply.to {
            lines.extend(of_target(&format!("{id}: send the credential with"), target));
        }
        for secret in recipe.persisted() {
            lines.insert(format!("{id}: store what the platform gives as the new `{secret}`"));
        }
    }
    for target in reach {
        lines.extend(of_target("send", target));
    }
    lines.into_iter().collect()
}

fn of_exchange(recipe: &Recipe, exchange: &Exchange) -> Vec<String> {
    let secrets = if recipe.secrets.is_empty() { "the configuration".to_owned() } else { listed(&recipe.secrets) };
    let place = |url: &ExchangeUrl| match url {
        ExchangeUrl::Literal(text) => text.clone(),
        ExchangeUrl::Connection { path } => format!("{OWN}{path}"),
        ExchangeUrl::Config(property) => format!("the URL in `{property}`"),
    };
    let line = |url| format!("{}: exchange {secrets} for a grant with {} {}", recipe.id, exchange.method, place(url));
    exchange.url.iter().map(line).collect()
}

/// How the connection's own origin is told.
const OWN: &str = "the connection's host, ";

fn of_target(what: &str, target: &Target) -> Vec<String> {
    let origin = match &target.origin {
        Origin::Literal(text) => format!("{text}, "),
        Origin::Connection => OWN.to_owned(),
        Origin::Config(property) => format!("the host in `{property}`, "),
    };
    let methods = listed(&target.methods);
    let body = target.body.as_ref().map(of_body).unwrap_or_default();
    let mut lines: Vec<_> =
        target.paths.iter().map(|path| format!("{what} {methods} to {origin}{path}{body}")).collect();
    if let Some(follow) = &target.from_response {
        lines.extend(target.paths.iter().map(|path| format!("{} named by {origin}{path}", of_response(follow))));
    }
    lines
}

fn of_body(rule: &BodyRule) -> String {
    let mut text = format!(", only one statement at {} that begins with {}", rule.at, listed(&rule.verbs));
    for (what, list) in [("without", &rule.without), ("names quoted in", &rule.names), ("keys", &rule.keys)] {
        if !list.is_empty() {
            text.push_str(&format!(", {what} {}", listed(list)));
        }
    }
    if rule.backslash.is_some() {
        text.push_str(", a backslash escapes in texts");
    }
    text
}

fn of_response(follow: &FromResponse) -> String {
    let mut text =
        format!("fetch from hosts that end with {} what stands at {}", listed(&follow.host_suffixes), follow.at);
    if !follow.header_values.is_empty() {
        text.push_str(&format!(", with headers from {}", listed(&follow.header_values)));
    }
    if !follow.headers.is_empty() {
        let headers: Vec<String> = follow.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
        text.push_str(&format!(", with {}", listed(&headers)));
    }
    format!("{text},")
}

/// In an order that does not depend on who wrote the list.
fn listed(texts: &[String]) -> String {
    texts.iter().map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn recipe() -> Value {
        json!({
            "id": "oauth", "secrets": ["client.secret"],
            "acquire": [{ "exchange": {
                "url": ["{{ config.authorityUrl }}", "{{ connection.origin }}/token"],
                "take": { "token": { "at": "/t", "secret": true }, "next": { "at": "/n", "secret": true, "persist": "client.secret" } }
            } }],
            "apply": {
                "to": [{ "origin": "{{ connection.origin }}", "paths": ["/q", "/q/*"], "methods": ["POST", "GET"],
                    "body": { "at": "/statement", "verbs": ["SHOW", "SELECT"], "without": ["("] } }],
                "headers": { "authorization": "Bearer {{ grant.token }}" }
            }
        })
    }

    fn lines(recipe: &Value, reach: &Value) -> Vec<String> {
        let recipe = serde_json::from_value(recipe.clone()).expect("recipe");
        permissions(&[recipe], &serde_json::from_value::<Vec<Target>>(reach.clone()).expect("reach"))
    }

    fn reach() -> Value {
        json!([{ "origin": "https://files.example", "paths": ["/list"], "methods": ["GET"],
            "fromResponse": { "at": "/urls/*", "hostSuffixes": [".files.example"], "headers": { "x-a": "1" } } }])
    }

    #[test]
    fn each_line_can_be_read() {
        let body = "only one statement at /statement that begins with SELECT, SHOW, without (";
        assert_eq!(
            lines(&recipe(), &reach()),
            [
                "fetch from hosts that end with .files.example what stands at /urls/*, with x-a=1, named by https://files.example, /list",
                "oauth: exchange client.secret for a grant with POST the URL in `authorityUrl`",
                "oauth: exchange client.secret for a grant with POST the connection's host, /token",
                &format!("oauth: send the credential with GET, POST to the connection's host, /q, {body}"),
                &format!("oauth: send the credential with GET, POST to the connection's host, /q/*, {body}"),
                "oauth: store what the platform gives as the new `client.secret`",
                "send GET to https://files.example, /list",
            ]
        );
    }

    #[test]
    fn whatever_allows_more_is_another_line() {
        let before = lines(&recipe(), &reach());
        let set = |mut value: Value, pointer: &str, to: Value| {
            *value.pointer_mut(pointer).expect(pointer) = to;
            value
        };
        for (pointer, to) in [
            ("/apply/to/0/methods", json!(["POST", "GET", "DELETE"])),
            ("/apply/to/0/paths", json!(["/q", "/q/*", "/tokens"])),
            ("/apply/to/0/body/verbs", json!(["SHOW", "SELECT", "DROP"])),
            ("/apply/to/0/body/without", json!([])),
            ("/apply/to/0/origin", json!("https://elsewhere.example")),
            ("/acquire/0/exchange/url", json!("https://elsewhere.example/token")),
        ] {
            let after = lines(&set(recipe(), pointer, to), &reach());
            assert!(after.iter().any(|line| !before.contains(line)), "{pointer}: {after:?}");
        }
        for (pointer, to) in [
            ("/0/fromResponse/hostSuffixes", json!([".example"])),
            ("/0/fromResponse/headers", json!({ "x-a": "2" })),
            ("/0/paths", json!(["/list", "/other"])),
        ] {
            let after = lines(&recipe(), &set(reach(), pointer, to));
            assert!(after.iter().any(|line| !before.contains(line)), "{pointer}: {after:?}");
        }
        // Order says nothing.
        assert_eq!(lines(&set(recipe(), "/apply/to/0/methods", json!(["GET", "POST"])), &reach()), before);
    }
}
