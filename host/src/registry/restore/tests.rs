//! Which secrets a configuration comes back with.

use jiff::Timestamp;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::*;
use crate::model::{
    connection::{Actor, Address, ConnectionOptions},
    id::{ConnectionId, PrincipalId},
};

/// Takes nothing but what it names; its method needs a password and a token.
fn descriptor() -> Descriptor {
    let to = json!([{ "origin": "{{ connection.origin }}", "paths": ["/*"], "methods": ["GET"] }]);
    let text = json!({ "type": "string" });
    let document = json!({
        "name": "sample", "version": "1.0.0", "title": "Sample", "technology": "Sample", "sdk": "0.1.0", "description": "",
        "config": {
            "type": "object",
            "properties": {
                "hostname": text, "port": { "type": "integer" }, "way": { "const": "one" },
                "password": { "type": "string", "maxLength": 8 }, "token": text, "extra": text
            },
            "required": ["hostname", "way"],
            "additionalProperties": false
        },
        "secrets": ["password", "token", "extra"],
        "address": { "hostname": "hostname", "port": "port", "defaultPort": 443 },
        "authentication": { "select": "way", "methods": [{
            "id": "one", "secrets": ["password", "token"],
            "apply": { "to": to, "headers": { "authorization": "{{ secret.password }} {{ secret.token }}" } }
        }] },
        "egress": to
    });
    Descriptor::parse(&document.to_string()).expect("document")
}

fn secrets(pairs: &[(&str, &str)]) -> Secrets {
    Secrets(pairs.iter().map(|(name, value)| ((*name).to_owned(), Zeroizing::new((*value).to_owned()))).collect())
}

/// What comes back of what is kept, for a connection that has something else at a host by now.
fn comes_back(kept: &[(&str, &str)], present: &[(&str, &str)], host: &str) -> Option<Secrets> {
    let (vault, id) = (Vault::new(&[7; 32]), ConnectionId::generate());
    let address = |host: &str| Address { insecure: false, hostname: host.into(), port: 443 };
    let config = |host: &str| json!({ "hostname": host, "way": "one" });
    let mut newer: Value = config(host);
    newer["region"] = json!("north");
    let by = Actor { id: PrincipalId::generate(), name: "a".into(), email: None };
    let connection = Connection {
        id,
        key: "K".parse().expect("key"),
        technology: "Sample".parse().expect("technology"),
        config: newer,
        address: address(host),
        identity: None,
        host_managed: None,
        options: ConnectionOptions::default(),
        widened_at: None,
        revision: 1,
        created_by: by.clone(),
        updated_by: by,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    };
    let seal = |pairs| vault.seal(id, &secrets(pairs)).expect("sealed");
    let kept = KeptConfig {
        version: "1.0.0".into(),
        config: config("h.example"),
        address: address("h.example"),
        secrets: seal(kept),
    };
    let one = WithKept { connection, secrets: seal(present), kept: Vec::new() };
    let sealed = secrets_of(&vault, &descriptor(), &one, &kept)?;
    Some(vault.open(id, &sealed).expect("opens"))
}

#[test]
fn the_newest_value_of_each_secret_comes_back_where_it_goes_to_the_same_places() {
    let kept = [("password", "old"), ("token", "old")];
    // A password that somebody replaced, and a secret that the newer version has no name for.
    let present = [("password", "new"), ("other", "new")];
    let want = secrets(&[("password", "new"), ("token", "old")]);
    assert_eq!(comes_back(&kept, &present, "h.example"), Some(want), "nothing that is not needed comes along");
    // What was not kept, and is needed, is there by now.
    let want = secrets(&[("password", "new"), ("token", "new")]);
    assert_eq!(comes_back(&kept[..1], &[("password", "new"), ("token", "new")], "h.example"), Some(want));
}

#[test]
fn secrets_that_were_given_for_another_address_stay_there() {
    let kept = [("password", "old"), ("token", "old")];
    let present = [("password", "new"), ("token", "new")];
    assert_eq!(comes_back(&kept, &present, "else.example"), Some(secrets(&kept)));
    assert_eq!(
        comes_back(&kept[..1], &present, "else.example"),
        None,
        "it lacks a secret, and gets none from elsewhere"
    );
}

#[test]
fn a_newer_value_that_the_version_does_not_take_is_left_out() {
    let kept = [("password", "old"), ("token", "old")];
    let present = [("password", "much too long for it"), ("token", "new")];
    assert_eq!(comes_back(&kept, &present, "h.example"), Some(secrets(&kept)));
}
