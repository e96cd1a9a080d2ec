//! Every way to authenticate, from the payload to the inventory, and what wrong credentials and addresses hear.

use serde_json::{Value, json};
use wharfinger_simulators::snowflake::{
    ClientAuth, KeyForm, Method, Options, Privilege, ROLE, Snowflake, WAREHOUSE, WarehouseState,
};

use super::{KEY, URL, account, account_in_parts, assert_equal, host, shape};

#[tokio::test(flavor = "multi_thread")]
async fn every_way_in_finds_everything_and_finds_it_again() -> anyhow::Result<()> {
    let forms = [KeyForm::Pkcs1, KeyForm::Encrypted, KeyForm::EncryptedDes3].map(Method::KeyPair);
    for method in Method::ALL.into_iter().chain(forms) {
        let platform = account_in_parts(shape(2, 3, 30, 4)).await?;
        let host = host(&platform).await?;
        host.client().register(&platform.payload_for(KEY, method)).await?;
        assert_equal(&host, &platform).await?;
        assert!(platform.traffic().chunks.requests > 20, "{:?}", platform.traffic());
        assert_eq!(platform.counters().leaks, 0, "no credential went to the storage");
        // What was issued is gone with the process; what rotates was kept.
        let host = host.restart().await?;
        host.client().sync(URL).await?;
        assert_equal(&host, &platform).await?;
        host.stop().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_given_back() -> anyhow::Result<()> {
    let platform = account(shape(1, 2, 10, 3)).await?;
    let host = host(&platform).await?;
    host.client().register(&platform.payload(KEY)).await?;
    host.stop().await;
    assert_eq!(platform.sessions(), 0, "every session was logged out");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_say_who_they_are_in_the_header_or_in_the_body() -> anyhow::Result<()> {
    for (accepted, said, works) in [
        (ClientAuth::Header, "header", true),
        (ClientAuth::Body, "body", true),
        (ClientAuth::Header, "body", false),
        (ClientAuth::Body, "header", false),
    ] {
        let options = Options { client_auth: accepted, ..Options::new(shape(1, 1, 3, 2).generate(1)) };
        let platform = Snowflake::start(options).await?;
        let host = host(&platform).await?;
        for method in [Method::OAuthClientCredentials, Method::OAuthRefreshToken] {
            let mut payload = platform.payload_for("One", method);
            payload["connection"]["oAuthClientConfig"]["clientAuth"] = said.into();
            let answer = host.client().post("/data/connection/test", &payload).await?.expect(200)?;
            assert_eq!(answer.json["valid"], works, "{accepted:?} {said} {method:?}: {}", answer.text);
        }
        host.stop().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_and_addresses_hear_what_is_wrong() -> anyhow::Result<()> {
    let platform = account(shape(1, 1, 3, 2)).await?;
    let host = host(&platform).await?;
    let key_pair = || platform.payload_for("One", Method::KeyPair(KeyForm::Pkcs8));
    let encrypted = || platform.payload_for("One", Method::KeyPair(KeyForm::Encrypted));
    let with = |mut payload: Value, pointer: &str, value: Value| {
        *payload.pointer_mut(pointer).expect("it is there") = value;
        payload
    };
    let without = |mut payload: Value, name: &str| {
        payload["connection"].as_object_mut().expect("object").remove(name);
        payload
    };
    let other_key = wharfinger_simulators::snowflake::keys::second_private_key();
    let password = || platform.payload("One");
    let cases: Vec<(&str, Value, u16, &[&str])> = vec![
        (
            "wrong password",
            with(password(), "/connection/password", "nope".into()),
            422,
            &["ncorrect username or password"],
        ),
        (
            "unknown user",
            with(password(), "/connection/username", "NOBODY".into()),
            422,
            &["ncorrect username or password"],
        ),
        ("a key of somebody else", with(key_pair(), "/connection/privateKey/content", other_key.into()), 422, &["JWT"]),
        ("no passphrase", without(encrypted(), "privateKeyPassword"), 422, &["passphrase", "encrypted"]),
        ("wrong passphrase", with(encrypted(), "/connection/privateKeyPassword", "wrong".into()), 422, &["passphrase"]),
        ("no key at all", with(key_pair(), "/connection/privateKey/content", "not a key".into()), 422, &["PEM"]),
        ("unknown role", with(password(), "/connection/role", "NO_SUCH_ROLE".into()), 422, &["NO_SUCH_ROLE"]),
        (
            "a wrong token",
            with(
                platform.payload_for("One", Method::ProgrammaticAccessToken),
                "/connection/token",
                "x".repeat(40).into(),
            ),
            422,
            &["credential"],
        ),
        (
            "an address with a path",
            with(password(), "/connection/hostname", "http://127.0.0.1/console".into()),
            400,
            &["hostname", "path"],
        ),
        ("a port where nobody listens", with(password(), "/connection/port", json!(1)), 422, &["reach"]),
    ];
    for (what, payload, status, words) in cases {
        let answer = host.client().post("/data/connection", &payload).await?;
        assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.text);
        for word in words {
            assert!(answer.text.contains(word), "{what}: `{word}` is not in {}", answer.text);
        }
    }
    assert_eq!(host.client().post("/data/object/search", &json!({})).await?.json["count"], 0, "nothing was stored");
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_that_nobody_approved_gets_no_secret() -> anyhow::Result<()> {
    let platform = account(shape(1, 1, 3, 2)).await?;
    let host = wharfinger_tests::TestHost::start().await?;
    let payload = platform.payload_for(KEY, Method::OAuthClientCredentials);
    let answer = host.client().post("/data/connection", &payload).await?.expect(422)?;
    let line = format!("approved_origins = [\"http://{}\"]", platform.identity_addr());
    assert!(answer.json["hint"].as_str().is_some_and(|hint| hint.contains(&line)), "{}", answer.text);
    assert_eq!(platform.counters().requests, 0, "nobody was asked");
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_is_registered_once() -> anyhow::Result<()> {
    let platform = account(shape(1, 1, 3, 2)).await?;
    let host = host(&platform).await?;
    host.client().register(&platform.payload(KEY)).await?;
    let mut again = platform.payload_for("Again", Method::ProgrammaticAccessToken);
    host.client().post("/data/connection", &again).await?.expect(409)?;
    // The same account by another name of the host.
    again["connection"]["hostname"] = "http://localhost".into();
    host.client().post("/data/connection", &again).await?.expect(409)?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_names_each_missing_privilege_with_its_grant() -> anyhow::Result<()> {
    let platform = account(shape(2, 2, 4, 2)).await?;
    platform.with_model(|account| {
        account.warehouses.get_mut(WAREHOUSE).expect("it").state = WarehouseState::Locked;
        // Databases and schemas may be used, nothing in them.
        let role = account.roles.get_mut(ROLE).expect("role");
        role.grants.retain(|grant| grant.privilege == Privilege::Usage);
    });
    let host = host(&platform).await?;
    let answer = host.client().post("/data/connection/test", &platform.payload(KEY)).await?.expect(200)?;
    let checks = answer.json["checks"].as_array().cloned().unwrap_or_default();
    let of = |capability: &str| checks.iter().filter(|check| check["capability"] == capability).collect::<Vec<_>>();
    assert_eq!(of("authenticate")[0]["status"], "passed", "{}", answer.text);
    assert_eq!(of("password")[0]["status"], "warning", "{}", answer.text);
    let warehouse = of("warehouse")[0];
    assert_eq!(warehouse["status"], "warning", "{}", answer.text);
    let hint = |check: &Value| check["hint"].as_str().unwrap_or_default().to_owned();
    let hints: Vec<String> = checks.iter().map(hint).collect();
    let database = platform.read(|account| account.databases.keys().next().cloned()).expect("a database");
    let grant = format!("GRANT REFERENCES ON ALL TABLES IN SCHEMA \"{database}\".");
    assert!(hints.iter().any(|hint| hint.contains(&grant)), "`{grant}` is not in {}", answer.text);
    let hint = hint(warehouse);
    assert!(hint.contains("GRANT USAGE ON WAREHOUSE \"INVENTORY_WH\" TO ROLE \"INVENTORY\""), "{}", answer.text);
    host.stop().await;
    Ok(())
}
