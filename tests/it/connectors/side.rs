//! Activations side by side, and what a component says of what it was built with.

use serde_json::json;
use wharfinger::connector::bundled::BUNDLED;
use wharfinger_tests::{
    TestHost,
    versions::{Variant, payload},
};

use super::*;

/// Activates a version of another connector than that of these tests, and waits for the end.
async fn activate_other(client: &Client, version: &str) -> anyhow::Result<Value> {
    let before = client.get("/connectors/other").await?.expect(200)?.json;
    let path = format!("/connectors/other/{version}/activate");
    let request = client.request(Method::POST, &path).header("if-match", before["revision"].to_string());
    client.send(request.json(&json!({}))).await?.expect(202)?;
    for _ in 0..500 {
        let connector = client.get("/connectors/other").await?.expect(200)?.json;
        if connector["rollout"]["step"] == "done" {
            return Ok(connector);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("it does not end")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_check_delays_no_other_connector_and_nobody_who_insists() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let client = host.client();
    active(client, &Variant::new("1.0.0")).await?;
    client.register(&payload("A", "Versions", 1)).await?;
    install(client, &Variant::new("1.1.0").doing("check-loops")).await?;
    for version in ["1.0.0", "1.1.0"] {
        install(client, &Variant::new(version).named("other", "Other")).await?;
    }
    let revision = detail(client).await?["revision"].take();
    change(client, "1.1.0/activate", &revision, &json!({})).await?.expect(202)?;
    while detail(client).await?["rollout"]["step"] != "check" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for version in ["1.0.0", "1.1.0"] {
        assert_eq!(activate_other(client, version).await?["version"], version);
    }
    let connector = detail(client).await?;
    assert_eq!(connector["rollout"]["step"], "check", "the other one did not wait for it: {connector}");
    roll_back(client).await?.expect(200)?;

    // Whoever goes on whatever is found does not wait for what is not looked at.
    let connector = activate(client, "1.1.0", &json!({ "force": true })).await?;
    assert_eq!((&connector["version"], &connector["rollout"]["findings"]), (&json!("1.1.0"), &json!([])));
    sound(&host).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_tells_what_it_was_built_with_and_a_newer_one_says_which_side_to_upgrade() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let client = host.client();
    let (name, bytes) = BUNDLED.first().context("a bundled connector")?;
    let upload = |bytes: Vec<u8>| {
        let request = client.request(Method::POST, "/connectors").header("content-type", "application/octet-stream");
        client.send(request.body(bytes))
    };
    let wanted = br#""minimumHost":"0.1.0""#;
    let mut newer = bytes.to_vec();
    let places: Vec<usize> =
        newer.windows(wanted.len()).enumerate().filter(|(_, w)| w == wanted).map(|(at, _)| at).collect();
    ensure!(!places.is_empty(), "the SDK's section is not there");
    for at in places {
        newer[at + wanted.len() - 6] = b'9';
    }
    let refused = upload(newer).await?.expect(422)?;
    assert_eq!(refused.code(), "unsupported-contract");
    assert!(refused.message().contains("needs version 9.1.0 of the host"), "{}", refused.text);
    assert!(refused.message().contains("upgrade the host"), "{}", refused.text);

    upload(bytes.to_vec()).await?.expect(201)?;
    let version = client.get(&format!("/connectors/{name}")).await?.expect(200)?.json["versions"][0].take();
    assert_eq!((&version["witVersion"], &version["sdkVersion"]), (&json!("0.1.0"), &json!("0.1.0")), "{version}");
    // The guests are built without the SDK.
    install(client, &Variant::new("1.0.0")).await?;
    let version = detail(client).await?["versions"][0].take();
    assert_eq!((&version["witVersion"], &version["sdkVersion"]), (&json!("0.1.0"), &Value::Null), "{version}");
    host.stop().await;
    Ok(())
}
