//! The same of Snowflake's ways in that keep a secret here: a password with the sessions that it opens, and a private key
//! with its passphrase and the tokens that it signs.

use reqwest::Method as Verb;
use serde_json::{Value, json};
use wharfinger_simulators::snowflake::{
    KeyForm, Method, Options, Shape, Snowflake, USER,
    keys::{PASSPHRASE, private_key, second_private_key},
};
use wharfinger_tests::host::{ADMIN_KEY, TempDir};

use super::Run;

const PASSWORD: &str = "pwCANARY0first1password2";
const NEW_PASSWORD: &str = "pwCANARY0second2password3";
const WRONG_PASSWORD: &str = "pwCANARY0wrong3password4";
const WRONG_PASSPHRASE: &str = "phraseCANARY0wrong1phrase2";
/// How the tokens begin that the host signs with the private key.
const SIGNED: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9";

async fn account(seed: u64) -> Snowflake {
    let shape = Shape { databases: 1, schemas: 2, tables: 5, columns: 3, ..Shape::one_schema(0, 0) };
    let mut account = shape.generate(seed);
    // One account is registered once.
    account.name = format!("CANARY{seed}");
    Snowflake::start(Options::new(account)).await.expect("account")
}

fn set_password(platform: &Snowflake, password: &str) {
    platform.with_model(|account| {
        account.users.get_mut(USER).expect("user").password = Some(password.to_owned());
    });
}

/// A payload with another value in one field.
fn with(payload: &Value, field: &str, value: impl Into<Value>) -> Value {
    let mut changed = payload.clone();
    changed["connection"][field] = value.into();
    changed
}

/// Lines from the middle of a key file: no two forms of a key share one, and no line break is in them.
fn lines_of(pem: &str) -> impl Iterator<Item = &str> {
    pem.lines().filter(|line| !line.starts_with("-----")).skip(1).take(3)
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_passwords_nor_keys_nor_sessions_are_found_after_a_full_run() {
    let dir = TempDir::new().expect("dir");
    let (by_password, by_key) = (account(50).await, account(51).await);
    set_password(&by_password, PASSWORD);
    let password = with(&by_password.payload("Canary by password"), "password", PASSWORD);
    let key = by_key.payload_for("Canary by key", Method::KeyPair(KeyForm::Encrypted));
    let pem = private_key(KeyForm::Encrypted);

    let mut run = Run::start(dir.path()).await;
    for refused in [
        with(&password, "password", WRONG_PASSWORD),
        with(&password, "password", json!([PASSWORD])),
        with(&password, "pasword", PASSWORD),
        with(&password, "username", PASSWORD),
        with(&password, "role", PASSWORD),
        with(&password, "hostname", PASSWORD),
        with(&key, "privateKeyPassword", WRONG_PASSPHRASE),
        with(&key, "privateKeyPassword", pem),
        with(&key, "privateKey", pem),
        with(&key, "hostname", PASSPHRASE),
        with(&key, "privateKey", json!({ "keyName": pem, "userFilename": pem, "content": second_private_key() })),
    ] {
        let answer = run.post("/data/connection", refused).await;
        assert!(answer.status.is_client_error(), "{}", answer.text);
    }
    for payload in [&password, &key] {
        run.post("/data/connection/test", payload.clone()).await.expect(200).expect("tested");
        let registered = run.post("/data/connection", payload.clone()).await.expect(201).expect("registered");
        run.finish(&registered).await;
    }
    set_password(&by_password, NEW_PASSWORD);
    let url = "/data/connection/Canary%20by%20password";
    let change =
        |password: &str| json!({ "connection": with(&by_password.payload(""), "password", password)["connection"] });
    run.call(Verb::PUT, url, Some(&change(WRONG_PASSWORD))).await.expect(422).expect("refused");
    run.call(Verb::PUT, url, Some(&change(NEW_PASSWORD))).await.expect(200).expect("changed");
    // Sessions that end are renewed with their master token, or opened again; a key is used for another token.
    for masters_too in [false, true] {
        for (platform, path) in [(&by_password, "Canary%20by%20password"), (&by_key, "Canary%20by%20key")] {
            platform.expire_tokens();
            if masters_too {
                platform.expire_masters();
            }
            let queued = run.post(&format!("/data/crawl/{path}"), json!({ "forceRecursive": true })).await;
            run.finish(&queued).await;
        }
    }
    // Credentials that are good no more fail a sync.
    set_password(&by_password, "another");
    by_password.expire_masters();
    let queued = run.post("/data/crawl/Canary%20by%20password", json!({})).await;
    run.finish(&queued).await;
    run.read_everything(2).await;

    let issued = [by_password.handed_out(), by_key.handed_out()].concat();
    assert!(issued.iter().any(|token| token.starts_with("st-")) && issued.iter().any(|token| token.starts_with("mt-")));
    let (phrase, _) = PASSPHRASE.split_once(" &").expect("a part that no escaping changes");
    let mut canaries =
        vec![PASSWORD, NEW_PASSWORD, WRONG_PASSWORD, WRONG_PASSPHRASE, PASSPHRASE, phrase, SIGNED, ADMIN_KEY];
    canaries.extend(lines_of(pem).chain(lines_of(second_private_key())));
    canaries.extend(issued.iter().map(String::as_str));
    run.end_and_search(dir.path(), &canaries, "Canary by key");
}
