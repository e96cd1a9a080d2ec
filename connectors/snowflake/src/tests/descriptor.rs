//! The descriptor: what it declares, and what its schema lets through.

use serde_json::{Value, json};
use wharfinger_sdk::descriptor::Document;

use super::platform::{ORIGIN, platform};
use crate::Snowflake;

fn document() -> Value {
    serde_json::to_value(Document::of::<Snowflake>()).expect("writes")
}

#[test]
fn secrets_address_and_scope_are_declared() {
    let document = document();
    let mut secrets: Vec<_> = document["secrets"].as_array().expect("list").iter().filter_map(Value::as_str).collect();
    secrets.sort_unstable();
    assert_eq!(
        secrets,
        [
            "oAuthClientConfig.clientSecret",
            "oAuthClientConfig.refreshToken",
            "password",
            "privateKey.content",
            "privateKeyPassword",
            "token"
        ]
    );
    assert_eq!(document["address"], json!({ "hostname": "hostname", "port": "port", "defaultPort": 443 }));
    assert_eq!(document["hostManaged"], "/config/database");
    assert_eq!(document["remoteIdsUnique"], false);
}

#[test]
fn every_property_is_explained() {
    fn unexplained(schema: &Value, at: &str, found: &mut Vec<String>) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if property["description"].as_str().is_none_or(str::is_empty) {
                found.push(format!("{at}.{name}"));
            }
            unexplained(property, &format!("{at}.{name}"), found);
        }
    }
    let mut found = Vec::new();
    unexplained(&document()["config"], "", &mut found);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_credential_reads_and_cancels_and_nothing_else() {
    let document = document();
    let methods = document["authentication"]["methods"].as_array().expect("list").clone();
    let ids: Vec<_> = methods.iter().filter_map(|method| method["id"].as_str()).collect();
    assert_eq!(
        ids,
        ["userPassword", "keyPair", "oAuthClientCredentials", "programmaticAccessToken", "oAuthRefreshToken"]
    );
    for method in &methods {
        for target in method["apply"]["to"].as_array().expect("list") {
            assert_eq!(target["origin"], "{{ connection.origin }}");
            let path = target["paths"][0].as_str().expect("a path");
            let submits = matches!(path, "/api/v2/statements" | "/queries/v1/query-request");
            assert_eq!(target.get("body").is_some(), submits, "{path}");
            if submits {
                let keys = if path == "/api/v2/statements" {
                    json!(["statement", "timeout", "role", "warehouse"])
                } else {
                    json!(["sqlText"])
                };
                assert_eq!(target["body"]["keys"], keys);
                for word in ["SYSTEM$", "IDENTIFIER(", "TABLE("] {
                    assert!(target["body"]["without"].as_array().is_some_and(|words| words.contains(&json!(word))));
                }
                assert_eq!(target["body"]["verbs"], json!(["SHOW", "SELECT", "DESCRIBE"]));
                assert_eq!(target["body"]["names"], json!(["SHOW", "DESCRIBE"]));
            }
            // Whatever the credential reaches, the guest may ask for.
            let reach = document["egress"].as_array().expect("list").iter().any(|entry| {
                let paths = entry["paths"].as_array().expect("paths");
                let fits = |pattern: &Value| {
                    let pattern = pattern.as_str().unwrap_or_default();
                    pattern == path || pattern.strip_suffix('*').is_some_and(|head| path.starts_with(head))
                };
                paths.iter().any(fits) && entry["methods"].as_array().expect("methods").contains(&target["methods"][0])
            });
            assert!(reach, "{path}");
        }
    }
}

#[test]
fn result_files_lie_on_the_clouds_storages() {
    let document = document();
    let from: Vec<_> =
        document["egress"].as_array().expect("list").iter().filter(|e| e.get("fromResponse").is_some()).collect();
    assert_eq!(from.len(), 1);
    assert_eq!(from[0]["paths"], json!(["/queries/v1/query-request", "/queries/*/result"]));
    let grant = &from[0]["fromResponse"];
    assert_eq!(grant["at"], "/data/chunks/*/url");
    assert_eq!(
        grant["headerValues"],
        json!(["/data/chunkHeaders", "x-amz-server-side-encryption-customer-key=/data/qrmk"])
    );
    assert_eq!(grant["headers"]["x-amz-server-side-encryption-customer-algorithm"], "AES256");
    let suffixes: Vec<_> = grant["hostSuffixes"].as_array().expect("list").iter().filter_map(Value::as_str).collect();
    for (host, fits) in [
        ("sfc-prod.s3.amazonaws.com", true),
        ("sfc.s3.cn-north-1.amazonaws.com.cn", true),
        ("sfc.blob.core.windows.net", true),
        ("sfc.blob.core.chinacloudapi.cn", true),
        ("storage.googleapis.com", true),
        ("sfc.storage.googleapis.com", true),
        ("amazonaws.com", false),
        ("evilamazonaws.com", false),
        ("attacker.example", false),
    ] {
        assert_eq!(suffixes.iter().any(|suffix| host.ends_with(suffix)), fits, "{host}");
    }
}

fn complaints(payload: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(&document()["config"]).expect("a schema");
    validator.iter_errors(payload).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn with(base: &Value, key: &str, value: Value) -> Value {
    let mut payload = base.clone();
    payload[key] = value;
    payload
}

fn of(kind: &str, more: Value) -> Value {
    let mut payload = json!({ "hostname": "h", "authenticationType": kind });
    for (key, value) in more.as_object().expect("an object") {
        payload[key] = value.clone();
    }
    payload
}

#[test]
fn payloads_of_the_contract_are_let_through() {
    for payload in [
        of("userPassword", json!({ "username": "u", "password": "p", "port": 443, "warehouse": "W", "role": "R" })),
        of(
            "keyPair",
            json!({ "username": "u", "privateKeyPassword": "x",
            "privateKey": { "keyName": "PRIV_KEY_FILE", "userFilename": "key.p8", "content": "-----BEGIN" } }),
        ),
        of("programmaticAccessToken", json!({ "token": "t", "includeImported": true, "includeSystem": false })),
        of(
            "oAuthClientCredentials",
            json!({ "oAuthClientConfig": { "useCertificate": false, "clientId": "i",
            "clientSecret": "s", "scope": "session:role:R", "authorityUrl": "https://idp/token", "clientAuth": "body" } }),
        ),
        of(
            "oAuthRefreshToken",
            json!({ "oAuthClientConfig": { "clientId": "i", "clientSecret": "s", "refreshToken": "r" } }),
        ),
    ] {
        assert_eq!(complaints(&payload), Vec::<String>::new(), "{payload}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let password = of("userPassword", json!({ "username": "u", "password": "p" }));
    let client = |client: Value| of("oAuthClientCredentials", json!({ "oAuthClientConfig": client }));
    for (payload, named) in [
        (json!({ "authenticationType": "programmaticAccessToken", "token": "x" }), "hostname"),
        (json!({ "hostname": "h", "token": "x" }), "authenticationType"),
        (of("userPassword", json!({ "username": "u" })), "password"),
        (of("userPassword", json!({ "password": "u" })), "username"),
        (of("keyPair", json!({ "privateKey": { "content": "x" } })), "username"),
        (of("keyPair", json!({ "username": "u" })), "privateKey"),
        (of("keyPair", json!({ "username": "u", "privateKey": {} })), "content"),
        (of("programmaticAccessToken", json!({})), "token"),
        (of("oAuthClientCredentials", json!({})), "oAuthClientConfig"),
        (client(json!({ "clientId": "i", "clientSecret": "s" })), "authorityUrl"),
        (client(json!({ "clientId": "i", "authorityUrl": "https://i" })), "clientSecret"),
        (
            client(
                json!({ "clientId": "i", "clientSecret": "s", "authorityUrl": "https://i", "useCertificate": true }),
            ),
            "useCertificate",
        ),
        (
            client(json!({ "clientId": "i", "clientSecret": "s", "authorityUrl": "https://i", "clientAuth": "query" })),
            "clientAuth",
        ),
        (
            of("oAuthRefreshToken", json!({ "oAuthClientConfig": { "clientId": "i", "clientSecret": "s" } })),
            "refreshToken",
        ),
        (with(&password, "authenticationType", json!("saml")), "authenticationType"),
        (with(&password, "port", json!(0)), "port"),
        (with(&password, "warehouse", json!("")), "warehouse"),
        (with(&password, "acount", json!("x")), "acount"),
    ] {
        let found = complaints(&payload);
        assert!(found.iter().any(|text| text.contains(named)), "{payload}: {found:?}");
        assert_eq!(found.len(), 1, "{payload}: {found:?}");
    }
}

#[test]
fn what_the_host_hands_over_can_be_read() {
    let host = platform(|_| panic!("nothing is asked"));
    for config in [
        of("userPassword", json!({ "username": "u" })),
        of("keyPair", json!({ "username": "u", "privateKey": { "keyName": "PRIV_KEY_FILE" }, "warehouse": "w" })),
        of("programmaticAccessToken", json!({})),
        of("oAuthClientCredentials", json!({ "oAuthClientConfig": { "clientId": "i", "clientAuth": "body" } })),
        of("oAuthRefreshToken", json!({ "oAuthClientConfig": { "clientId": "i" } })),
    ] {
        let cx = wharfinger_sdk::testing::context::<Snowflake>(&config, ORIGIN, host.clone()).expect("reads");
        assert_eq!(cx.config().warehouse().as_deref(), config.get("warehouse").map(|_| "W"));
    }
}
