use serde_json::{Value, json};

use super::*;
use crate::egress::recipe::{Target, foreign_origins};

fn schema() -> Value {
    json!({"type": "object", "properties": {
            "hostname": {"type": "string"}, "user": {"type": "string"}, "authorityUrl": {"type": "string"},
            "oAuth": {"anyOf": [{"$ref": "#/$defs/OAuth"}, {"type": "null"}]}, "token": {"type": "string"}},
        "$defs": {"OAuth": {"type": "object", "properties": {"clientId": {}, "scope": {}, "secret": {}}}}})
}

/// The good recipe with one place of it replaced; `null` removes.
fn changed(pointer: &str, value: Value) -> Value {
    let mut recipe = json!({
        "id": "m2m", "config": ["user", "oAuth.clientId", "authorityUrl"], "secrets": ["oAuth.secret"],
        "let": {"who": "{{ config.user|upper }}", "hidden": "{{ secret.oAuth.secret }}x"},
        "acquire": [{"exchange": {
            "url": ["{{ config.authorityUrl }}", "{{ connection.origin }}/oidc/token"],
            "query": {"id": "{{ uuid }}"}, "headers": {"x-client": "{{ let.who }}"},
            "basic": {"user": "{{ config.oAuth.clientId }}", "password": "{{ secret.oAuth.secret }}"},
            "form": {"grant_type": "client_credentials"},
            "ok": {"status": [200], "at": "/success", "in": [true]},
            "take": {"token": {"at": "/access_token", "secret": true}, "lifetime": {"at": "/expires_in", "default": 60},
                     "org": {"at": "/org", "secret": true}},
            "fail": {"code": "/error", "message": "/text", "codes": {"invalid_client": "unauthenticated"}}}}],
        "lifetime": {"seconds": "grant.lifetime", "early": 10},
        "apply": {"to": [{"origin": "{{ connection.origin }}", "paths": ["/api/*"], "methods": ["GET"]}],
                  "headers": {"authorization": "Bearer {{ grant.token }}", "x-org": "{{ grant.org }}"}},
        "expired": [{"status": [401]}, {"status": [200], "at": "/code", "in": ["390112", 7], "do": "acquire"}],
        "rejected": [{"status": [403]}]});
    if !pointer.is_empty() {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = recipe.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
        match parent {
            Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
            Value::Object(map) if value.is_null() => drop(map.remove(key)),
            Value::Object(map) => drop(map.insert(key.to_owned(), value)),
            _ => panic!("{pointer}"),
        }
    }
    recipe
}

/// A step of renewal or release, good but for what is changed.
fn upkeep(change: Value) -> Value {
    let mut exchange = json!({"url": "{{ connection.origin }}/x"});
    exchange.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    json!({"exchange": exchange})
}

fn check(recipe: Value) -> Result<(), String> {
    let recipe: Recipe = serde_json::from_value(recipe).map_err(|error| error.to_string())?;
    let again: Recipe = serde_json::from_value(serde_json::to_value(&recipe).unwrap()).unwrap();
    assert_eq!(again, recipe, "a recipe survives being written down");
    recipe.validate(&schema(), &["token".to_owned(), "oAuth.secret".to_owned()]).map_err(|error| error.to_string())
}

#[test]
fn a_good_recipe_passes_with_and_without_its_optional_parts() {
    assert_eq!(check(changed("", Value::Null)), Ok(()));
    for pointer in
        ["/lifetime", "/expired", "/rejected", "/acquire/0/exchange/ok", "/acquire/0/exchange/fail", "/let/hidden"]
    {
        assert_eq!(check(changed(pointer, Value::Null)), Ok(()), "{pointer}");
    }
    let anonymous = json!({"id": "none", "apply": {"to": [{"origin": "{{ connection.origin }}", "paths": ["/*"], "methods": ["GET"]}]}});
    assert_eq!(check(anonymous), Ok(()));
}

#[test]
fn what_means_nothing_or_too_much_is_refused() {
    let exchange = |rest: &str| format!("/acquire/0/exchange/{rest}");
    for (pointer, value, expected) in [
        // Form.
        ("/unknown".to_owned(), json!(1), "unknown field"),
        ("/apply/unknown".to_owned(), json!(1), "unknown field"),
        ("/apply/to/0/unknown".to_owned(), json!(1), "unknown field"),
        (exchange("unknown"), json!(1), "unknown field"),
        (exchange("take/token/unknown"), json!(1), "unknown field"),
        ("/expired/0/unknown".to_owned(), json!(1), "unknown field"),
        ("/lifetime/unknown".to_owned(), json!(1), "unknown field"),
        ("/apply".to_owned(), Value::Null, "missing field `apply`"),
        ("/id".to_owned(), json!(""), "1 to 64 letters"),
        (exchange("form/a"), json!("{{ config.user"), "not a template"),
        (exchange("form/a"), json!("{{ config.user|shell }}"), "filters are"),
        // Names.
        (exchange("form/a"), json!("{{ config.hostname }}"), "`config` does not name"),
        (exchange("form/a"), json!("{{ config.nowhere }}"), "`config` does not name"),
        (exchange("form/a"), json!("{{ secret.token }}"), "`secrets` do not name"),
        (exchange("form/a"), json!("{{ let.nowhere }}"), "`let` does not define"),
        (exchange("form/a"), json!("{{ grant.token }}"), "no step before takes it"),
        (exchange("form/a"), json!("{{ key.spki_sha256 }}"), "only inside the claims"),
        ("/apply/headers/x-org".to_owned(), json!("{{ grant.nowhere }}"), "no step before takes it"),
        ("/config/0".to_owned(), json!("nowhere"), "schema has no property `nowhere`"),
        ("/config/1".to_owned(), json!("oAuth.nowhere"), "schema has no property"),
        ("/config/1".to_owned(), json!("oAuth.secret"), "is a secret"),
        ("/secrets/0".to_owned(), json!("user"), "descriptor's `secrets`"),
        ("/let/who".to_owned(), json!("{{ let.who }}"), "only by way of itself"),
        ("/let/who".to_owned(), json!("{{ grant.token }}"), "not there when derived"),
        ("/let/who".to_owned(), json!("{{ uuid }}"), "not there when derived"),
        ("/let".to_owned(), (0..65).map(|n| (format!("l{n}"), json!("x"))).collect(), "at most 64"),
        (exchange("form/a"), json!("{{ 'x' }}".repeat(257)), "too many parts"),
        // Where secrets would go.
        (exchange("query/id"), json!("{{ secret.oAuth.secret }}"), "must not stand in a URL"),
        (exchange("query/id"), json!("{{ let.hidden|b64 }}"), "must not stand in a URL"),
        (exchange("url"), json!("https://{{ config.user }}.example/token"), ""),
        (exchange("url"), json!("{{ connection.origin }}/{{ secret.oAuth.secret }}"), ""),
        (exchange("url"), json!("http://login.example/token"), ""),
        (exchange("url"), json!("{{ config.hostname }}"), "`config` does not name"),
        (exchange("url"), json!([]), "at least one"),
        ("/apply/to/0/origin".to_owned(), json!("https://{{ config.user }}"), "composed"),
        ("/apply/to/0/origin".to_owned(), json!("{{ let.who }}"), "composed"),
        ("/apply/to/0/origin".to_owned(), json!("{{ config.hostname }}"), "`config` does not name"),
        ("/apply/headers/authorization".to_owned(), json!("Bearer {{ grant.lifetime }}"), "\"secret\": true"),
        ("/apply/headers/x-org".to_owned(), json!("{{ grant.lifetime }}"), "\"secret\": true"),
        (exchange("take/org/secret"), json!(false), "\"secret\": true"),
        // Scope.
        ("/apply/to".to_owned(), json!([]), "without a scope"),
        ("/apply/to/0/paths".to_owned(), json!([]), "at least one"),
        ("/apply/to/0/paths".to_owned(), json!(["api/*"]), "canonical path"),
        ("/apply/to/0/paths".to_owned(), json!(["/api/../x"]), "canonical path"),
        ("/apply/to/0/paths".to_owned(), json!(["/api?x=*"]), "canonical path"),
        ("/apply/to/0/paths".to_owned(), json!(["/{{ secret.token }}"]), "canonical path"),
        ("/apply/to/0/methods".to_owned(), json!([]), "at least one"),
        ("/apply/to/0/methods".to_owned(), json!(["get"]), "none of"),
        ("/apply/to/0/methods".to_owned(), json!(["CONNECT"]), "none of"),
        ("/apply/to/0/body".to_owned(), json!({"at": "statement", "verbs": ["SHOW"]}), "JSON pointer"),
        ("/apply/to/0/body".to_owned(), json!({"at": "/statement", "verbs": []}), "at least one"),
        ("/apply/to/0/body".to_owned(), json!({"at": "/statement", "verbs": ["SHOW TABLES"]}), "letters only"),
        // Headers.
        ("/apply/headers/host".to_owned(), json!("x"), "may not set this header"),
        ("/apply/headers/connection".to_owned(), json!("x"), "may not set this header"),
        ("/apply/headers/transfer-encoding".to_owned(), json!("x"), "may not set this header"),
        ("/apply/headers/content-length".to_owned(), json!("x"), "may not set this header"),
        ("/apply/headers/proxy-authorization".to_owned(), json!("x"), "may not set this header"),
        ("/apply/headers/x-forwarded-for".to_owned(), json!("x"), "may not set this header"),
        ("/apply/headers/Authorization".to_owned(), json!("x"), "may not set this header"),
        ("/apply/headers/x y".to_owned(), json!("x"), "may not set this header"),
        (exchange("headers/host"), json!("x"), "may not set this header"),
        (exchange("headers/content-type"), json!("x"), "sets this header itself"),
        (exchange("headers/authorization"), json!("x"), "sets this header itself"),
        // Exchanges.
        (exchange("method"), json!("DELETE"), "GET, POST or PUT"),
        (exchange("method"), json!("GET"), "GET has no body"),
        (exchange("json"), json!({"a": 1}), "either `form` or `json`"),
        (exchange("take/token/at"), json!("access_token"), "JSON pointer"),
        (exchange("take/token/default"), json!(["x"]), "string, a number"),
        (exchange("take/a.b"), json!({"at": "/x"}), "a name is made of"),
        (exchange("ok"), json!({"in": [true]}), "needs `at`"),
        (exchange("ok"), json!({"at": "/a", "in": [{}]}), "can be compared"),
        (exchange("fail/code"), json!("error"), "JSON pointer"),
        (exchange("fail/codes"), json!({"x": "retry"}), "unknown variant"),
        (exchange("basic/encode"), json!("url"), "unknown variant"),
        // Lifetime and conditions.
        ("/lifetime/seconds".to_owned(), json!(0), "greater than 0"),
        ("/lifetime/seconds".to_owned(), json!("grant.nowhere"), "neither a number"),
        ("/lifetime/seconds".to_owned(), json!("soon"), "neither a number"),
        ("/expired/0/status".to_owned(), json!([]), "at least one status"),
        ("/expired/1/at".to_owned(), Value::Null, "needs `at`"),
        ("/expired/1/at".to_owned(), json!("code"), "JSON pointer"),
        ("/rejected/0/do".to_owned(), json!("acquire"), "belongs to `expired`"),
        ("/acquire".to_owned(), json!([]), "nothing to acquire"),
        // Renewal and release.
        ("/expired/1/do".to_owned(), json!("renew"), "does not say how to `renew`"),
        ("/renew".to_owned(), json!({"jwt": {}}), "unknown field"),
        ("/renew".to_owned(), upkeep(json!({"form": {"a": "{{ grant.nowhere }}"}})), "no step before takes it"),
        ("/renew".to_owned(), upkeep(json!({"query": {"a": "{{ grant.token }}"}})), "must not stand in a URL"),
        ("/renew".to_owned(), upkeep(json!({"take": {"token": {"at": "/t"}}})), "same as where"),
        ("/renew".to_owned(), upkeep(json!({"url": "http://login.example"})), ""),
        ("/release".to_owned(), upkeep(json!({"take": {"x": {"at": "/t"}}})), "nothing to take"),
        (
            "/release".to_owned(),
            upkeep(json!({"query": {"a": "{{ secret.oAuth.secret }}"}})),
            "must not stand in a URL",
        ),
        // Stored secrets that are replaced.
        (exchange("take/token/persist"), json!(true), "invalid type"),
        (exchange("take/token/persist"), json!("oAuth.clientId"), "`secrets` do not name"),
        (exchange("take/token/persist"), json!("token"), "`secrets` do not name"),
        (exchange("take/lifetime/persist"), json!("oAuth.secret"), "\"secret\": true"),
        (
            exchange("take/token"),
            json!({"at": "/t", "secret": true, "default": "x", "persist": "oAuth.secret"}),
            "without `default`",
        ),
        // Guards.
        (
            "/apply/to/0/body".to_owned(),
            json!({"at": "/statement", "verbs": ["SHOW"], "without": ["DROP TABLE"]}),
            "without spaces",
        ),
        ("/apply/to/0/body".to_owned(), json!({"at": "/s", "verbs": ["SHOW"], "without": [""]}), "without spaces"),
        ("/apply/to/0/body".to_owned(), json!({"at": "/s", "verbs": ["SHOW"], "names": ["LIST"]}), "some of the verbs"),
        ("/apply/to/0/body".to_owned(), json!({"at": "/s", "verbs": ["SHOW"], "without": ["a'b"]}), "without spaces"),
        ("/apply/to/0/body".to_owned(), json!({"at": "/s", "verbs": ["SHOW"], "keys": ["t"]}), "that of the statement"),
        (
            "/apply/to/0/body".to_owned(),
            json!({"at": "/s", "verbs": ["SHOW"], "keys": vec!["s"; 65]}),
            "at most 64 keys",
        ),
        // Of a later host, or elsewhere.
        ("/apply/to/0/redirects".to_owned(), json!(true), "cannot follow redirects yet"),
        ("/apply/to/0/from-response".to_owned(), json!({}), "unknown field"),
        ("/apply/to/0/fromResponse".to_owned(), json!({"at": "/a", "hostSuffixes": []}), "belongs to `egress`"),
    ] {
        let error = check(changed(&pointer, value.clone())).expect_err(&format!("{pointer} {value}"));
        assert!(error.contains(expected), "{pointer} {value}: {error}");
    }
}

#[test]
fn what_a_guest_may_reach_is_checked_too() {
    let check = |target: Value| -> Result<(), String> {
        let target: Target = serde_json::from_value(target).map_err(|error| error.to_string())?;
        target.validate(&schema(), &["token".to_owned()]).map_err(|error| error.to_string())
    };
    let target = |origin: &str| json!({"origin": origin, "paths": ["/a"], "methods": ["GET"]});
    assert_eq!(check(target("{{ connection.origin }}")), Ok(()));
    assert_eq!(check(target("{{ config.authorityUrl }}")), Ok(()));
    assert_eq!(check(target("https://files.example")), Ok(()));
    for origin in ["{{ config.nowhere }}", "{{ config.token }}", "*", "https://*.example", "http://files.example"] {
        assert!(check(target(origin)).is_err(), "{origin}");
    }
    let mut guarded = target("{{ connection.origin }}");
    guarded["body"] = json!({"at": "/a", "verbs": ["SHOW"]});
    assert!(check(guarded).unwrap_err().contains("scope of a credential"));
}

#[test]
fn what_answers_may_name_is_checked() {
    let check = |rule: Value| -> Result<(), String> {
        let target =
            json!({"origin": "{{ connection.origin }}", "paths": ["/a"], "methods": ["GET"], "fromResponse": rule});
        let target: Target = serde_json::from_value(target).map_err(|error| error.to_string())?;
        let again: Target = serde_json::from_value(serde_json::to_value(&target).unwrap()).unwrap();
        assert_eq!(again, target);
        target.validate(&schema(), &[]).map_err(|error| error.to_string())
    };
    let rule = |change: Value| {
        let mut rule = json!({"at": "/data/chunks/*/url", "hostSuffixes": [".amazon.example", ".blob.core.example"],
            "headerValues": ["/data/chunkHeaders", "x-key=/data/qrmk"], "headers": {"x-algorithm": "AES256"}});
        rule.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        rule
    };
    assert_eq!(check(rule(json!({}))), Ok(()));
    assert_eq!(check(json!({"at": "/url", "hostSuffixes": []})), Ok(()));
    assert_eq!(check(rule(json!({"headerValues": ["/a=b"]}))), Ok(()));
    for (change, expected) in [
        (json!({"at": ""}), "not a JSON pointer"),
        (json!({"at": "data"}), "not a JSON pointer"),
        (json!({"headerValues": ["x"]}), "not a JSON pointer"),
        (json!({"headerValues": ["x-key="]}), "not a JSON pointer"),
        (json!({"headerValues": ["x-key=a"]}), "not a JSON pointer"),
        (json!({"headerValues": ["=/a"]}), "not the connector's"),
        (json!({"headerValues": ["X-Key=/a"]}), "not the connector's"),
        (json!({"headerValues": ["authorization=/a"]}), "not the connector's"),
        (json!({"hostSuffixes": ["amazon.example"]}), "is not a dot"),
        (json!({"hostSuffixes": [".com"]}), "is not a dot"),
        (json!({"hostSuffixes": [""]}), "is not a dot"),
        (json!({"hostSuffixes": ["."]}), "is not a dot"),
        (json!({"hostSuffixes": [".*.example"]}), "is not a dot"),
        (json!({"hostSuffixes": [".Amazon.Example"]}), "is not a dot"),
        (json!({"hostSuffixes": [".a..example"]}), "is not a dot"),
        (json!({"hostSuffixes": [".0.1"]}), "is not a dot"),
        (json!({"headers": {"authorization": "x"}}), "not the connector's"),
        (json!({"headers": {"cookie": "x"}}), "not the connector's"),
        (json!({"headers": {"Host": "x"}}), "not the connector's"),
        (json!({"headers": {"x-a": "a\r\nb"}}), "forbidden characters"),
        (json!({"unknown": 1}), "unknown field"),
    ] {
        let error = check(rule(change.clone())).expect_err(&change.to_string());
        assert!(error.contains(expected), "{change}: {error}");
    }
}

/// The good recipe with a token that the host signs.
fn signing(pointer: &str, value: Value) -> Value {
    let mut recipe = changed("/secrets", json!(["oAuth.secret", "token"]));
    recipe["acquire"] = json!([{"jwt": {"alg": "RS256", "key": {"pem": "oAuth.secret", "passphrase": "token"},
        "claims": {"iss": "{{ let.who }}.{{ key.spki_sha256 }}", "sub": "x"}, "ttl": 3300, "skew": 30, "as": "token"}}]);
    recipe["apply"]["headers"] = json!({"authorization": "Bearer {{ grant.token }}"});
    recipe["lifetime"] = json!({"seconds": 3300});
    if !pointer.is_empty() {
        *recipe.pointer_mut(pointer).unwrap() = value;
    }
    recipe
}

#[test]
fn tokens_that_the_host_signs_are_checked() {
    assert_eq!(check(signing("", Value::Null)), Ok(()));
    for (pointer, value, expected) in [
        ("/acquire/0/jwt", json!({"alg": "RS256"}), "missing field"),
        ("/acquire/0/jwt/alg", json!("HS256"), "RS256"),
        ("/acquire/0/jwt/alg", json!("none"), "RS256"),
        ("/acquire/0/jwt/key/pem", json!("oAuth.clientId"), "`secrets` do not name"),
        ("/acquire/0/jwt/key/passphrase", json!("nowhere"), "`secrets` do not name"),
        ("/acquire/0/jwt/claims/sub", json!("{{ config.hostname }}"), "`config` does not name"),
        ("/acquire/0/jwt/claims/sub", json!("{{ let.nowhere }}"), "`let` does not define"),
        ("/acquire/0/jwt/claims/sub", json!("{{ secret.token }}"), "must not stand in a claim"),
        ("/acquire/0/jwt/claims/sub", json!("{{ let.hidden }}"), "must not stand in a claim"),
        ("/acquire/0/jwt/claims/sub", json!("{{ grant.token }}"), "no step before takes it"),
        ("/acquire/0/jwt/claims/sub", json!(7), "invalid type"),
        ("/acquire/0/jwt/claims", json!({"exp": "x"}), "sets this claim itself"),
        ("/acquire/0/jwt/claims", json!({"iat": "x"}), "sets this claim itself"),
        ("/acquire/0/jwt/ttl", json!(59), "60 to 86400"),
        ("/acquire/0/jwt/ttl", json!(86401), "60 to 86400"),
        ("/acquire/0/jwt/skew", json!(301), "at most 300"),
        ("/acquire/0/jwt/as", json!("a.b"), "a name is made of"),
        ("/let/who", json!("{{ key.spki_sha256 }}"), "only inside the claims"),
        ("/apply/headers/authorization", json!("{{ key.spki_sha256 }}"), "only inside the claims"),
    ] {
        let error = check(signing(pointer, value.clone())).expect_err(&format!("{pointer} {value}"));
        assert!(error.contains(expected), "{pointer} {value}: {error}");
    }
    let mut rotating = signing("", Value::Null);
    let exchange = json!({"exchange": {"url": "{{ connection.origin }}/x",
        "take": {"next": {"at": "/n", "secret": true, "persist": "oAuth.secret"}}}});
    rotating["acquire"].as_array_mut().unwrap().push(exchange);
    assert!(check(rotating).unwrap_err().contains("`persist` cannot replace it"));
}

#[test]
fn hosts_that_get_secrets_are_listed_for_approval_and_for_changes() {
    let mut json =
        changed("/acquire/0/exchange/url", json!(["{{ config.authorityUrl }}", "https://login.example:8443/token"]));
    json["apply"]["to"][0]["origin"] = json!("https://api.example");
    let recipe: Recipe = serde_json::from_value(json).unwrap();
    let egress: Target =
        serde_json::from_value(json!({"origin": "https://files.example", "paths": ["/a"], "methods": ["GET"]}))
            .unwrap();
    let foreign: Vec<String> = foreign_origins(std::slice::from_ref(&recipe), &[egress]).into_iter().collect();
    assert_eq!(foreign, ["https://api.example", "https://files.example", "https://login.example:8443"]);
    assert_eq!(recipe.address_properties().into_iter().collect::<Vec<_>>(), ["authorityUrl"]);
}

#[test]
fn the_known_recipes_are_read() {
    // The shapes of two platforms' methods, as far as this host goes; the rest is refused for a reason that it names.
    let session = json!({"id": "password", "config": ["hostname", "user"], "secrets": ["token"],
        "let": {"account": {"of": "{{ config.hostname }}", "cases": [["*.global.*", "{{ config.hostname|before('-')|upper }}"],
            ["*", "{{ config.hostname|before('.')|upper }}"]]}},
        "acquire": [{"exchange": {"url": "{{ connection.origin }}/session/login", "query": {"request_id": "{{ uuid }}", "role?": "{{ config.user|default('') }}"},
            "headers": {"accept": "application/json"}, "json": {"data": {"ACCOUNT": "{{ let.account }}", "PASSWORD": "{{ secret.token }}", "PARAMETERS": {}}},
            "ok": {"status": [200], "at": "/success", "in": [true]},
            "take": {"token": {"at": "/data/token", "secret": true}, "lifetime": {"at": "/data/seconds", "default": 3600}},
            "fail": {"code": "/code", "message": "/message", "codes": {"390144": "invalid-config"}}}}],
        "lifetime": {"seconds": "grant.lifetime", "early": 120},
        "apply": {"to": [{"origin": "{{ connection.origin }}", "paths": ["/queries/v1/query-request"], "methods": ["POST"],
                "body": {"at": "/sqlText", "verbs": ["SHOW", "SELECT", "DESCRIBE"]}},
            {"origin": "{{ connection.origin }}", "paths": ["/queries/*/result"], "methods": ["GET"]}],
            "headers": {"authorization": "Session Token=\"{{ grant.token }}\""}},
        "expired": [{"status": [200, 401], "at": "/code", "in": ["390112"], "do": "acquire"}]});
    assert_eq!(check(session), Ok(()));
}
