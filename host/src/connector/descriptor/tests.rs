//! What documents and payloads get through, and what those that do not are told.

use serde_json::json;

use super::*;

fn document() -> Value {
    json!({
        "name": "sample", "version": "1.2.3", "title": "Sample", "technology": "Sample", "sdk": "0.1.0",
        "description": "For tests.",
        "config": {
            "type": "object",
            "properties": {
                "hostname": { "type": "string" },
                "port": { "type": "integer" },
                "authenticationType": { "enum": ["token", "client"] },
                "token": { "type": ["string", "null"] },
                "client": {
                    "type": "object",
                    "properties": {
                        "id": { "type": "string" },
                        "secret": { "type": "string" },
                        "authorityUrl": { "type": "string" }
                    },
                    "additionalProperties": false
                }
            },
            "required": ["hostname", "authenticationType"],
            "additionalProperties": false
        },
        "secrets": ["token", "client.secret"],
        "address": { "hostname": "hostname", "port": "port", "defaultPort": 443 },
        "authentication": {
            "select": "authenticationType",
            "methods": [
                {
                    "id": "token",
                    "secrets": ["token"],
                    "apply": {
                        "to": [{ "origin": "{{ connection.origin }}", "paths": ["/api/*"], "methods": ["GET"] }],
                        "headers": { "authorization": "Bearer {{ secret.token }}" }
                    }
                },
                {
                    "id": "client",
                    "config": ["client.id", "client.authorityUrl"],
                    "secrets": ["client.secret"],
                    "acquire": [{ "exchange": {
                        "url": "{{ config.client.authorityUrl }}",
                        "basic": { "user": "{{ config.client.id }}", "password": "{{ secret.client.secret }}" },
                        "take": { "token": { "at": "/access_token", "secret": true } }
                    } }],
                    "apply": {
                        "to": [{ "origin": "{{ connection.origin }}", "paths": ["/api/*"], "methods": ["GET"] }],
                        "headers": { "authorization": "Bearer {{ grant.token }}" }
                    }
                }
            ]
        },
        "egress": [{ "origin": "{{ connection.origin }}", "paths": ["/api/*"], "methods": ["GET"] }],
        "hostManaged": "/config/catalog",
        "remoteIdsUnique": true
    })
}

fn descriptor() -> Descriptor {
    Descriptor::parse(&document().to_string()).expect("the sample is valid")
}

fn secrets(pairs: &[(&str, &str)]) -> Secrets {
    Secrets(pairs.iter().map(|(k, v)| ((*k).to_owned(), Zeroizing::new((*v).to_owned()))).collect())
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Value), part: &str) {
    let mut document = document();
    change(&mut document);
    let error = Descriptor::parse(&document.to_string()).expect_err("must be refused");
    assert_eq!(error.code, "invalid-descriptor");
    assert!(error.message.contains(part), "{error}");
}

/// What an invalid payload is answered with.
#[track_caller]
fn invalid(payload: &Value, expect: &[(&str, &str)]) {
    let errors = descriptor().admit(payload, None, None, false).expect_err("must be refused");
    let found: Vec<_> = errors.iter().map(|e| e.pointer.as_str()).collect();
    assert_eq!(found, expect.iter().map(|(pointer, _)| *pointer).collect::<Vec<_>>(), "{errors:?}");
    for (error, (_, part)) in errors.iter().zip(expect) {
        assert!(error.message.contains(part), "{error}");
        assert!(!error.to_string().contains("hunter2"), "a value is repeated: {error}");
    }
}

#[test]
fn a_lying_document_is_refused_with_the_place() {
    let error = Descriptor::parse("Hello!").expect_err("no JSON");
    assert_eq!(error.code, "invalid-descriptor");
    refused(|d| d["surprise"] = json!(1), "surprise");
    refused(|d| d["name"] = json!("../x"), "`name`");
    for version in ["1", "1.2", "1.2.3-", "1.2.3+", "1.2.3-a..b", "1.2.3-/../../x", "1.2.3+a\u{202e}b", "1.2.3-a b"] {
        refused(|d| d["version"] = json!(version), "`version`");
    }
    refused(|d| d["title"] = json!("a\nb"), "`title`");
    refused(|d| d["technology"] = json!(""), "is empty");
    refused(|d| d["config"] = json!({ "$ref": "#" }), "must lead to");
    refused(|d| d["secrets"] = json!(["a..b"]), "plain names");
    refused(|d| d["hostManaged"] = json!("catalog"), "`hostManaged`");
    refused(|d| d["authentication"]["methods"] = json!([]), "nobody could connect");
    refused(|d| d["authentication"]["methods"][1]["id"] = json!("token"), "the same id");
    refused(|d| d["authentication"]["methods"][0]["magic"] = json!(true), "methods[0]");
    refused(|d| d["egress"][0]["origin"] = json!("file:///etc/passwd"), "https://");
}

#[test]
fn a_payload_is_taken_apart() {
    let payload = json!({
        "technology": "Sample", "hostname": "https://Sample.Example.", "authenticationType": "token",
        "token": "hunter2"
    });
    let native = json!({ "type": "Sample", "config": { "catalog": "internal", "old": 1 } });
    let found = descriptor().admit(&payload, Some(&native), None, false).expect("valid");
    assert_eq!(found.config, json!({ "hostname": "sample.example", "authenticationType": "token" }));
    assert_eq!(found.secrets, secrets(&[("token", "hunter2")]));
    assert_eq!(found.address.to_string(), "https://sample.example");
    assert_eq!(found.recipe.id, "token");
    assert_eq!(found.host_managed.as_deref(), Some("internal"));
    assert!(!format!("{found:?}").contains("hunter2"));
}

#[test]
fn going_without_tls_needs_both_consents_and_is_kept() {
    let payload = json!({ "hostname": "http://127.0.0.1", "port": 8081, "authenticationType": "token", "token": "t" });
    invalid(&payload, &[("/hostname", "allow_insecure_http")]);
    let found = descriptor().admit(&payload, None, None, true).expect("both consent");
    assert_eq!(found.config["hostname"], "http://127.0.0.1");
    assert_eq!(found.address.to_string(), "http://127.0.0.1:8081");
    let shown = descriptor().shown(&found.config, &found.address);
    assert_eq!((&shown["hostname"], &shown["port"]), (&json!("127.0.0.1"), &json!(8081)));
}

#[test]
fn every_mistake_is_told_at_once_and_no_value_with_it() {
    invalid(&json!("hunter2"), &[("", "must be an object")]);
    invalid(
        &json!({ "hostname": 7, "authenticationType": "token", "token": "hunter2", "hunter": "hunter2" }),
        &[("/hostname", "type"), ("/hunter", "no such field")],
    );
    invalid(
        &json!({ "hostname": "a.example/x", "authenticationType": "hunter2" }),
        &[("/authenticationType", "one of"), ("/hostname", "without path")],
    );
    invalid(
        &json!({ "hostname": "a.example", "port": 0, "authenticationType": "token", "token": "hunter2" }),
        &[("/port", "1 to 65535")],
    );
    invalid(
        &json!({ "hostname": "a.example", "authenticationType": "token", "token": "" }),
        &[("/token", "is required where `authenticationType` is `token`")],
    );
    invalid(
        &json!({ "hostname": "a.example", "authenticationType": "client", "client": { "id": "hunter2" } }),
        &[("/client/authorityUrl", "is required"), ("/client/secret", "is required")],
    );
}

#[test]
fn stored_secrets_hold_for_what_is_left_out_of_the_same_method() {
    let known = secrets(&[("token", "old"), ("client.secret", "other")]);
    let payload = json!({ "hostname": "a.example", "authenticationType": "token" });
    let found = descriptor().admit(&payload, None, Some(&known), false).expect("the stored token holds");
    assert_eq!(found.secrets, secrets(&[("token", "old")]));
    assert!(found.config.get("token").is_none());

    let newer = json!({ "hostname": "a.example", "authenticationType": "token", "token": "new" });
    let found = descriptor().admit(&newer, None, Some(&known), false).expect("valid");
    assert_eq!(found.secrets, secrets(&[("token", "new")]));
    let null = json!({ "hostname": "a.example", "authenticationType": "token", "token": null });
    let found = descriptor().admit(&null, None, Some(&known), false).expect("null is left out");
    assert_eq!(found.secrets, secrets(&[("token", "old")]));
}

#[test]
fn hosts_that_a_connector_names_need_approval() {
    let foreign = |pointer: &str, place: &str| {
        let mut document = document();
        *document.pointer_mut(pointer).expect("a place") = json!(place);
        Descriptor::parse(&document.to_string()).expect("valid")
    };
    assert!(descriptor().check_approved(&[]).is_ok(), "its own host and configured ones need none at install");
    for (pointer, place) in [
        ("/authentication/methods/1/acquire/0/exchange/url", "https://login.example/token"),
        ("/authentication/methods/0/apply/to/0/origin", "https://login.example"),
        ("/egress/0/origin", "https://login.example"),
    ] {
        let descriptor = foreign(pointer, place);
        let error = descriptor.check_approved(&[]).expect_err("nobody approved it");
        assert_eq!(error.code, "not-approved");
        assert!(error.message.ends_with("[egress] approved_origins = [\"https://login.example\"]"), "{error}");
        let approved = ["https://login.example".parse().expect("an origin")];
        assert!(descriptor.check_approved(&approved).is_ok(), "{pointer}");
        let other = ["https://login.example:8443".parse().expect("an origin")];
        assert!(descriptor.check_approved(&other).is_err(), "{pointer}");
    }
}

#[test]
fn every_field_that_names_a_host_counts() {
    let descriptor = descriptor();
    let config = |hostname: &str, port: u16, authority: &str| json!({ "hostname": hostname, "port": port, "client": { "id": "x", "authorityUrl": authority } });
    let stored = config("a.example", 443, "https://login.example");
    assert!(!descriptor.address_fields_differ(&stored, &config("https://A.example.", 443, "https://login.example")));
    assert!(descriptor.address_fields_differ(&stored, &config("b.example", 443, "https://login.example")));
    assert!(descriptor.address_fields_differ(&stored, &config("a.example", 444, "https://login.example")));
    assert!(descriptor.address_fields_differ(&stored, &config("http://a.example", 443, "https://login.example")));
    assert!(descriptor.address_fields_differ(&stored, &config("a.example", 443, "https://evil.example")));
    let mut renamed = stored.clone();
    renamed["client"]["id"] = json!("y");
    assert!(!descriptor.address_fields_differ(&stored, &renamed));
}

#[test]
fn a_refusal_does_not_repeat_the_document_raw() {
    let mut document = document();
    document["\u{1b}]0;owned\u{7}\u{202e}"] = json!(1);
    let error = Descriptor::parse(&document.to_string()).expect_err("no such field");
    assert!(error.message.contains(r"\u{1b}]0;owned\u{7}\u{202e}"), "{:?}", error.message);
    document["x".repeat(500_000)] = json!(1);
    let error = Descriptor::parse(&document.to_string()).expect_err("no such field");
    assert!(error.message.len() <= 4096, "{}", error.message.len());
}
