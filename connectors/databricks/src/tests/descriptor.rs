//! The descriptor: what it declares, and what its schema lets through.

use serde_json::{Value, json};
use wharfinger_sdk::descriptor::Document;

use super::platform::{ORIGIN, platform};
use crate::Databricks;

fn document() -> Value {
    serde_json::to_value(Document::of::<Databricks>()).expect("writes")
}

#[test]
fn secrets_address_and_scope_are_declared() {
    let document = document();
    let mut secrets: Vec<_> = document["secrets"].as_array().expect("list").iter().filter_map(Value::as_str).collect();
    secrets.sort_unstable();
    assert_eq!(secrets, ["oAuthClientConfig.clientSecret", "token"]);
    assert_eq!(document["address"], json!({ "hostname": "hostname", "port": "port", "defaultPort": 443 }));
    assert_eq!(document["hostManaged"], "/config/catalog");
    let only =
        json!([{ "origin": "{{ connection.origin }}", "paths": ["/api/2.1/unity-catalog/*"], "methods": ["GET"] }]);
    assert_eq!(document["egress"], only);
    for method in document["authentication"]["methods"].as_array().expect("list") {
        assert_eq!(method["apply"]["to"], only, "the credential goes nowhere else");
    }
}

/// Pointer and text of each complaint.
fn complaints(payload: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(&document()["config"]).expect("a schema");
    validator.iter_errors(payload).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn with(base: &Value, key: &str, value: Value) -> Value {
    let mut payload = base.clone();
    payload[key] = value;
    payload
}

#[test]
fn payloads_of_the_contract_are_let_through() {
    let token = json!({ "hostname": "h", "authenticationType": "token", "token": "dapi" });
    let client = json!({ "useCertificate": false, "clientId": "i", "clientSecret": "s", "scope": "all-apis",
                         "authorityUrl": "https://h/oidc/v1/token" });
    let machine = json!({ "hostname": "h", "port": 8443, "httpPath": "/sql/1", "authenticationType": "oAuthM2M",
                          "oAuthClientConfig": client });
    let short = json!({ "hostname": "h", "authenticationType": "oAuthM2M", "oAuthClientConfig": { "clientId": "i", "clientSecret": "s" } });
    for payload in [token, machine, short] {
        assert_eq!(complaints(&payload), Vec::<String>::new(), "{payload}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let token = json!({ "hostname": "h", "authenticationType": "token", "token": "dapi" });
    let machine = json!({ "hostname": "h", "authenticationType": "oAuthM2M",
                          "oAuthClientConfig": { "clientId": "i", "clientSecret": "s" } });
    for (payload, named) in [
        (json!({ "authenticationType": "token", "token": "x" }), "hostname"),
        (json!({ "hostname": "h", "token": "x" }), "authenticationType"),
        (json!({ "hostname": "h", "authenticationType": "token" }), "token"),
        (json!({ "hostname": "h", "authenticationType": "oAuthM2M" }), "oAuthClientConfig"),
        (with(&machine, "oAuthClientConfig", json!({ "clientId": "i" })), "clientSecret"),
        (with(&machine, "oAuthClientConfig", json!({ "clientSecret": "s" })), "clientId"),
        (
            with(
                &machine,
                "oAuthClientConfig",
                json!({ "clientId": "i", "clientSecret": "s", "useCertificate": true }),
            ),
            "useCertificate",
        ),
        (with(&token, "authenticationType", json!("password")), "authenticationType"),
        (with(&token, "port", json!(0)), "port"),
        (with(&token, "port", json!(70000)), "port"),
        (with(&token, "port", json!("443")), "port"),
        (with(&token, "token", json!("")), "token"),
        (with(&token, "hostname", json!("")), "hostname"),
        (with(&token, "tokn", json!("x")), "tokn"),
    ] {
        let found = complaints(&payload);
        assert!(found.iter().any(|text| text.contains(named)), "{payload}: {found:?}");
        assert_eq!(found.len(), 1, "{payload}: {found:?}");
    }
}

#[test]
fn what_the_host_hands_over_can_be_read() {
    let host = platform(|_, _| panic!("nothing is asked"));
    for config in [
        json!({ "hostname": "h", "authenticationType": "token" }),
        json!({ "hostname": "h", "port": 8081, "httpPath": "x", "authenticationType": "oAuthM2M",
                "oAuthClientConfig": { "clientId": "i", "useCertificate": false } }),
    ] {
        let cx = wharfinger_sdk::testing::context::<Databricks>(&config, ORIGIN, host.clone()).expect("reads");
        assert_eq!(cx.origin(), ORIGIN);
    }
}
