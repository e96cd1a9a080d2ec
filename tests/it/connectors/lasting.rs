//! What outlives a restart, and what is made of files that do not.

use serde_json::json;
use wharfinger_tests::{
    TestHost,
    versions::{Variant, payload},
};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_activation_goes_on_after_a_restart() -> anyhow::Result<()> {
    let mut host = TestHost::bare().await?;
    active(host.client(), &Variant::new("1.0.0")).await?;
    host.client().register(&payload("A", "Versions", 1)).await?;
    for n in 1..=4 {
        let version = format!("1.{n}.0");
        install(host.client(), &Variant::new(&version)).await?;
        let revision = detail(host.client()).await?["revision"].take();
        change(host.client(), &format!("{version}/activate"), &revision, &json!({})).await?.expect(202)?;
        host = host.restart().await?;
        let connector = ended(host.client()).await?;
        assert_eq!((&connector["version"], &connector["rollout"]["step"]), (&json!(version), &json!("done")));
        assert_eq!(serves(host.client(), "A").await?, version);
    }
    host.client().sync("A").await?;
    sound(&host).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_whose_file_is_gone_or_altered_gives_way_to_the_one_before() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        active(host.client(), &Variant::new(version)).await?;
    }
    host.client().register(&payload("A", "Versions", 1)).await?;
    let connector = detail(host.client()).await?;
    let digests: Vec<String> =
        connector["versions"].as_array().context("versions")?.iter().map(|v| text(v, "digest").to_owned()).collect();
    let (host, ()) = host
        .restart_after(|data| {
            let file = |digest: &String| data.join("connectors").join(format!("{digest}.wasm"));
            std::fs::remove_file(file(&digests[0]))?;
            let mut altered = std::fs::read(file(&digests[1]))?;
            let middle = altered.len() / 2;
            altered[middle] ^= 1;
            std::fs::write(file(&digests[1]), altered)?;
            std::fs::write(data.join("connectors/left-behind.new"), "half a component")?;
            Ok(())
        })
        .await?;
    let client = host.client();
    assert_eq!(serves(client, "A").await?, "1.0.0");
    client.sync("A").await?;
    let connector = detail(client).await?;
    let reasons: Vec<&str> =
        connector["versions"].as_array().context("versions")?.iter().map(|v| text(v, "takenBack")).collect();
    assert!(reasons[0].contains("gone") && reasons[1].contains("altered") && reasons[2].is_empty(), "{reasons:?}");
    let back = audit(client)
        .await?
        .into_iter()
        .filter(|(who, action, _)| who == "wharfinger" && action == "connector.rollback");
    assert_eq!(back.count(), 2);
    assert!(!host.dir.path().join("data/connectors/left-behind.new").exists());
    let verified = client.post("/verify", &json!({})).await?.expect(200)?.json;
    assert_eq!(verified["count"], 2, "the two files are named: {verified}");
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_that_belongs_to_a_version_comes_back_with_it() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let client = host.client();
    let closed = |version: &str| Variant::new(version).with("/config", closed_config(false));
    active(client, &closed("1.0.0")).await?;
    client.register(&payload("A", "Versions", 1)).await?;
    client.register(&payload("B", "Versions", 2)).await?;
    active(client, &closed("2.0.0").with("/config", closed_config(true))).await?;
    // Under the new version A gets what only that understands, and B something that both do.
    let with = |key: &str, port: u16, region: Option<&str>| {
        let mut connection = payload(key, "Versions", port)["connection"].take();
        if let Some(region) = region {
            connection["region"] = region.into();
        }
        json!({ "connection": connection })
    };
    client.put("/data/connection/A", &with("A", 1, Some("north"))).await?.expect(200)?;
    client.put("/data/connection/A", &with("A", 1, Some("south"))).await?.expect(200)?;
    client.put("/data/connection/B", &with("B", 3, None)).await?.expect(200)?;
    client.sync("A").await?;

    roll_back(client).await?.expect(200)?;
    let connection = |key: &'static str| {
        client.get(match key {
            "A" => "/data/connection/A",
            _ => "/data/connection/B",
        })
    };
    let a = connection("A").await?.expect(200)?.json;
    assert_eq!((a["connection"].get("region"), &a["connector"]["version"]), (None, &json!("1.0.0")), "{a}");
    assert_eq!(connection("B").await?.expect(200)?.json["connection"]["port"], 3, "what still fits stays");
    client.sync("A").await?;
    let restored: Vec<String> = audit(client)
        .await?
        .into_iter()
        .filter(|(_, action, _)| action == "connector.restore")
        .map(|(_, _, m)| m)
        .collect();
    assert!(restored.len() == 1 && restored[0].contains("connection A"), "{restored:?}");
    // Its secrets came back too: it can be changed without sending them again.
    let mut same = with("A", 1, None);
    same["connection"].as_object_mut().context("object")?.remove("token");
    client.put("/data/connection/A", &same).await?.expect(200)?;
    sound(&host).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_way_back_replaced_comes_again_on_the_way_forward() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let client = host.client();
    active(client, &Variant::new("1.0.0").with("/config", closed_config(false))).await?;
    client.register(&payload("A", "Versions", 1)).await?;
    let mut needs = closed_config(true);
    needs["required"] = json!(["hostname", "authenticationType", "region"]);
    install(client, &Variant::new("2.0.0").with("/config", needs)).await?;
    let connector = activate(client, "2.0.0", &json!({})).await?;
    assert_eq!(connector["rollout"]["step"], "blocked", "what A has does not fit: {connector}");
    let force = json!({ "force": true });
    activate(client, "2.0.0", &force).await?;
    let mut newer = payload("A", "Versions", 1)["connection"].take();
    newer["region"] = "north".into();
    client.put("/data/connection/A", &json!({ "connection": newer })).await?.expect(200)?;
    let region = async || -> anyhow::Result<Value> {
        Ok(client.get("/data/connection/A").await?.expect(200)?.json["connection"]["region"].take())
    };

    roll_back(client).await?.expect(200)?;
    assert_eq!(region().await?, Value::Null);
    client.sync("A").await?;
    let connector = activate(client, "2.0.0", &force).await?;
    assert_eq!(
        (&connector["rollout"]["step"], &connector["rollout"]["findings"]),
        (&json!("done"), &json!([])),
        "it was looked at as it would be: {connector}"
    );
    assert_eq!(region().await?, "north");
    client.sync("A").await?;
    let restored = audit(client).await?.into_iter().filter(|(_, action, _)| action == "connector.restore");
    assert_eq!(restored.count(), 2);
    roll_back(client).await?.expect(200)?;
    assert_eq!(region().await?, Value::Null, "and back again");
    sound(&host).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_another_version_ends_gives_back_what_its_connections_began_with() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let client = host.client();
    active(client, &Variant::new("1.0.0").with("/config", closed_config(false))).await?;
    client.register(&payload("A", "Versions", 1)).await?;
    install(client, &Variant::new("2.0.0").with("/config", closed_config(true))).await?;
    activate(client, "2.0.0", &json!({ "canary": { "connections": ["A"] } })).await?;
    let mut newer = payload("A", "Versions", 1)["connection"].take();
    newer["region"] = "north".into();
    client.put("/data/connection/A", &json!({ "connection": newer })).await?.expect(200)?;
    let connector = active(client, &Variant::new("1.1.0").with("/config", closed_config(false))).await?;
    assert_eq!(connector["rollout"]["findings"], json!([]), "{connector}");
    let a = client.get("/data/connection/A").await?.expect(200)?.json;
    assert_eq!((a["connection"].get("region"), &a["connector"]["version"]), (None, &json!("1.1.0")), "{a}");
    client.sync("A").await?;
    sound(&host).await?;
    host.stop().await;
    Ok(())
}

/// A schema that takes nothing but what it names.
pub(super) fn closed_config(with_region: bool) -> Value {
    let mut schema = json!({
        "type": "object",
        "properties": {
            "hostname": { "type": "string" }, "port": { "type": "integer" },
            "authenticationType": { "const": "token" }, "token": { "type": "string" }
        },
        "required": ["hostname", "authenticationType"],
        "additionalProperties": false
    });
    if with_region {
        schema["properties"]["region"] = json!({ "type": "string" });
    }
    schema
}
