//! What stands in the way of an activation, and what does not.

use serde_json::json;
use wharfinger_tests::{
    TestHost,
    versions::{Variant, payload},
};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn only_what_worked_before_and_fails_now_blocks() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let client = host.client();
    active(client, &Variant::new("1.0.0")).await?;
    client.register(&payload("A", "Versions", 1)).await?;

    install(client, &Variant::new("1.1.0").doing("check-fails")).await?;
    let connector = activate(client, "1.1.0", &json!({})).await?;
    assert_eq!((&connector["version"], &connector["rollout"]["step"]), (&json!("1.0.0"), &json!("blocked")));
    let finding = &connector["rollout"]["findings"][0];
    assert_eq!(
        (&finding["step"], &finding["connection"], &finding["blocks"]),
        (&json!("check"), &json!("A"), &json!(true))
    );
    assert!(text(finding, "message").contains("this version cannot"), "{finding}");
    assert!(audit(client).await?.iter().any(|(who, action, _)| who == "wharfinger" && action == "connector.blocked"));
    client.sync("A").await?;

    // Its configuration would not fit: told before any platform is asked.
    let strict = Variant::new("1.2.0").with("/config/required", json!(["hostname", "authenticationType", "region"]));
    install(client, &strict).await?;
    let connector = activate(client, "1.2.0", &json!({})).await?;
    let finding = &connector["rollout"]["findings"][0];
    assert_eq!((&connector["rollout"]["step"], &finding["step"]), (&json!("blocked"), &json!("compatibility")));
    assert!(text(finding, "message").contains("region"), "{finding}");
    assert!(!connector.to_string().contains("secret-of-the-guest"));

    // Whoever insists gets it. From then on the check fails before and after, and that says nothing against a version.
    let connector = activate(client, "1.1.0", &json!({ "force": true })).await?;
    assert_eq!(connector["version"], "1.1.0");
    install(client, &Variant::new("1.3.0").doing("check-fails")).await?;
    let connector = activate(client, "1.3.0", &json!({})).await?;
    assert_eq!(
        (&connector["version"], &connector["rollout"]["findings"][0]["blocks"]),
        (&json!("1.3.0"), &json!(false))
    );
    sound(&host).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_administrators_one_is_refused() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let client = host.client();
    active(client, &Variant::new("1.0.0")).await?;
    for version in ["1.1.0", "1.2.0"] {
        install(client, &Variant::new(version)).await?;
    }
    for round in 0..5 {
        let revision = detail(client).await?["revision"].take();
        let force = json!({ "force": true });
        let (one, two) = tokio::join!(
            change(client, "1.1.0/activate", &revision, &force),
            change(client, "1.2.0/activate", &revision, &force),
        );
        let mut statuses = [one?.status.as_u16(), two?.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [202, 412], "round {round}");
        ended(client).await?;
    }
    // Whoever rolls back what is under way has the last word: it is not promoted behind their back.
    for _ in 0..5 {
        let revision = detail(client).await?["revision"].take();
        let before = detail(client).await?["version"].take();
        let to = if before == "1.1.0" { "1.2.0" } else { "1.1.0" };
        let begun =
            change(client, &format!("{to}/activate"), &revision, &json!({ "force": true })).await?.expect(202)?;
        let done = change(client, "rollback", &begun.json["revision"], &json!({})).await?;
        let after = ended(client).await?["version"].take();
        match done.status.as_u16() {
            200 => assert_eq!(after, before),
            // It was through before.
            _ => assert_eq!((done.status.as_u16(), after), (412, json!(to))),
        }
    }
    sound(&host).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_connector_is_refused_and_leaves_nothing() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let client = host.client();
    let send = |kind: &'static str, body: Vec<u8>| {
        let request = client.request(Method::POST, "/connectors").header("content-type", kind).body(body);
        client.send(request)
    };
    assert_eq!(send("application/json", b"{}".to_vec()).await?.expect(415)?.code(), "unsupported-media-type");
    send("application/octet-stream", b"no component".to_vec()).await?.expect(422)?;
    let refused = send("application/octet-stream", vec![0; (32 << 20) + 1]).await?.expect(413)?;
    assert!(refused.code() == "too-large" && refused.json.to_string().contains("component_mib"), "{}", refused.json);
    let lies = std::fs::read(wharfinger_tests::guests::LIES)?;
    assert_eq!(send("application/octet-stream", lies).await?.expect(422)?.code(), "invalid-descriptor");
    assert_eq!(client.get("/connectors").await?.expect(200)?.json, json!([]));
    assert_eq!(std::fs::read_dir(host.dir.path().join("data/connectors"))?.count(), 0);
    assert_eq!(client.get("/connectors/nothing").await?.expect(404)?.code(), "not-found");
    host.stop().await;
    Ok(())
}
