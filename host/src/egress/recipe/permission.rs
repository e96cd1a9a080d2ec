//! What a connector may do, as lines that people approve: each target of a credential or of a request, each place that
//! the host sends secrets to, each leave to follow an answer.
//!
//! Two versions with equal lines may do the same; whatever changes that changes a line. A line repeats what stands once in
//! the document, so the lines are bounded while they are made.

use std::collections::BTreeSet;

use super::{
    BodyRule, Exchange, FromResponse, Recipe, Target,
    origin::{ExchangeUrl, Origin},
};

/// Most text of all lines: what people are to read before they approve.
const MAX_TEXT: usize = 64 << 10;

/// The lines say more than anybody reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what it asks for takes more than {} KiB to tell: nobody could approve that", MAX_TEXT >> 10)]
pub struct TooMuch;

/// All of it, sorted.
pub fn permissions(methods: &[Recipe], reach: &[Target]) -> Result<Vec<String>, TooMuch> {
    let mut lines = Lines { found: BTreeSet::new(), left: MAX_TEXT };
    for recipe in methods {
        let id = &recipe.id;
        for exchange in recipe.exchanges() {
            lines.add_all(of_exchange(recipe, exchange))?;
        }
        for target in &recipe.apply.to {
            lines.add_all(of_target(&format!("{id}: send the credential with"), target))?;
        }
        for secret in recipe.persisted() {
            lines.add(format!("{id}: store what the platform gives as the new `{secret}`"))?;
        }
    }
    for target in reach {
        lines.add_all(of_target("send", target))?;
    }
    Ok(lines.found.into_iter().collect())
}

/// Lines, and how much text there may still be. One that is there already counts as well: making it is the work.
struct Lines {
    found: BTreeSet<String>,
    left: usize,
}

impl Lines {
    fn add(&mut self, line: String) -> Result<(), TooMuch> {
        self.left = self.left.checked_sub(line.len()).ok_or(TooMuch)?;
        self.found.insert(line);
        Ok(())
    }

    /// One after the other, so that none is made after the one that is too much.
    fn add_all(&mut self, lines: impl Iterator<Item = String>) -> Result<(), TooMuch> {
        lines.into_iter().try_for_each(|line| self.add(line))
    }
}

fn of_exchange<'a>(recipe: &'a Recipe, exchange: &'a Exchange) -> impl Iterator<Item = String> + 'a {
    let secrets = if recipe.secrets.is_empty() { "the configuration".to_owned() } else { listed(&recipe.secrets) };
    let place = |url: &ExchangeUrl| match url {
        ExchangeUrl::Literal(text) => text.clone(),
        ExchangeUrl::Connection { path } => format!("{OWN}{path}"),
        ExchangeUrl::Config(property) => format!("the URL in `{property}`"),
    };
    let line =
        move |url| format!("{}: exchange {secrets} for a grant with {} {}", recipe.id, exchange.method, place(url));
    exchange.url.iter().map(line)
}

/// How the connection's own origin is told.
const OWN: &str = "the connection's host, ";

fn of_target<'a>(what: &'a str, target: &'a Target) -> impl Iterator<Item = String> + 'a {
    let origin = match &target.origin {
        Origin::Literal(text) => format!("{text}, "),
        Origin::Connection => OWN.to_owned(),
        Origin::Config(property) => format!("the host in `{property}`, "),
    };
    let methods = listed(&target.methods);
    let body = target.body.as_ref().map(of_body).unwrap_or_default();
    let follow = target.from_response.as_ref().map(of_response);
    target.paths.iter().flat_map(move |path| {
        let followed = follow.as_ref().map(|follow| format!("{follow} named by {origin}{path}"));
        [Some(format!("{what} {methods} to {origin}{path}{body}")), followed].into_iter().flatten()
    })
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
        let reach = serde_json::from_value::<Vec<Target>>(reach.clone()).expect("reach");
        permissions(&[recipe], &reach).expect("few lines")
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

    #[test]
    fn lines_that_repeat_themselves_are_not_made_without_end() {
        let mut recipe = recipe();
        // Twenty thousand lines of 40 KiB each would be 800 MB.
        recipe["id"] = json!("x".repeat(40 << 10));
        recipe["apply"]["to"][0]["paths"] = (0..20_000).map(|i| json!(format!("/{i}"))).collect();
        let recipe: Recipe = serde_json::from_value(recipe).expect("recipe");
        assert_eq!(permissions(&[recipe], &[]), Err(TooMuch));
        let mut reach = reach();
        reach[0]["fromResponse"]["at"] = json!(format!("/{}", "x".repeat(MAX_TEXT)));
        assert_eq!(permissions(&[], &serde_json::from_value::<Vec<Target>>(reach).expect("reach")), Err(TooMuch));
    }
}
