//! From a file to what serves, and on to the next version.

use serde_json::json;
use wharfinger_tests::{
    TestHost,
    versions::{Variant, payload},
};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_component_serves_once_it_is_approved_and_activated() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let client = host.client();
    let first = Variant::new("1.0.0");
    let installed = offer(client, &first).await?.expect(201)?.json;
    assert_eq!((&installed["name"], &installed["isNew"]), (&json!(NAME), &json!(true)), "{installed}");
    let waiting = installed["waiting"].clone();
    assert_eq!(waiting.as_array().map(Vec::len), Some(3), "a new connector waits for all that it may do: {installed}");

    // Nothing serves, and nothing can be activated, until somebody has granted exactly that.
    let revision = detail(client).await?["revision"].take();
    let refused = change(client, "1.0.0/activate", &revision, &json!({})).await?.expect(409)?;
    assert_eq!((refused.code(), &refused.json["detail"]["waiting"]), ("waiting-for-approval", &waiting));
    let unknown = client.post("/data/connection", &payload("A", "Versions", 1)).await?.expect(422)?;
    assert_eq!(unknown.code(), "unknown-technology");
    let approve = format!("/connectors/{NAME}/1.0.0/approve");
    let part = json!({ "permissions": [waiting[0]] });
    assert_eq!(client.post(&approve, &part).await?.expect(409)?.code(), "other-permissions");
    client.post(&approve, &json!({ "permissions": waiting })).await?.expect(200)?;

    let without = client.post(&format!("/connectors/{NAME}/1.0.0/activate"), &json!({})).await?;
    assert_eq!((without.status.as_u16(), without.code()), (428, "revision-required"));
    assert_eq!(change(client, "1.0.0/activate", &json!(77), &json!({})).await?.status, 412);
    let connector = activate(client, "1.0.0", &json!({})).await?;
    assert_eq!(
        (&connector["version"], &connector["rollout"]["step"]),
        (&json!("1.0.0"), &json!("done")),
        "{connector}"
    );
    client.register(&payload("A", "Versions", 1)).await?;
    assert_eq!((tables(client, "A").await?, serves(client, "A").await?), (names(&["one", "two"]), "1.0.0".into()));

    // The same again is the same; other bytes under a version, and another connector for the technology, are refused.
    let again = offer(client, &first).await?.expect(200)?.json;
    assert_eq!((&again["isNew"], &again["digest"]), (&json!(false), &installed["digest"]));
    let other = offer(client, &first.clone().doing("tables=x")).await?.expect(409)?;
    assert_eq!(other.code(), "version-taken");
    let other = offer(client, &Variant::new("1.0.0").named("rival", "Versions")).await?.expect(409)?;
    assert_eq!(other.code(), "technology-taken");
    let other = offer(client, &Variant::new("2.0.0").named(NAME, "Else")).await?.expect(409)?;
    assert_eq!(other.code(), "other-technology");

    // The next version asks for nothing new.
    let next = offer(client, &Variant::new("1.1.0").doing("tables=one,two,three")).await?.expect(201)?.json;
    assert_eq!(next["waiting"], json!([]));
    assert_eq!(serves(client, "A").await?, "1.0.0", "it is only installed");
    activate(client, "1.1.0", &json!({})).await?;
    assert_eq!(serves(client, "A").await?, "1.1.0");
    client.sync("A").await?;
    assert_eq!(tables(client, "A").await?, names(&["one", "two", "three"]));

    // What is needed stays; what is not goes, with its file.
    active(client, &Variant::new("1.2.0")).await?;
    for (version, why) in [("1.2.0", "active"), ("1.1.0", "roll-back")] {
        let refused = client.delete(&format!("/connectors/{NAME}/{version}")).await?.expect(409)?;
        assert!(refused.code() == "version-needed" && refused.message().contains(why), "{}", refused.text);
    }
    let file = host.dir.path().join("data/connectors").join(format!("{}.wasm", text(&installed, "digest")));
    assert!(file.exists());
    client.delete(&format!("/connectors/{NAME}/1.0.0")).await?.expect(204)?;
    assert!(!file.exists());
    let connector = detail(client).await?;
    let states: Vec<(&str, &str)> = connector["versions"]
        .as_array()
        .context("versions")?
        .iter()
        .map(|v| (text(v, "version"), text(v, "state")))
        .collect();
    assert_eq!(states, [("1.2.0", "active"), ("1.1.0", "previous")]);
    let actions: Vec<String> = audit(client).await?.into_iter().map(|(_, action, _)| action).collect();
    let cycle = ["connector.install", "connector.rollout", "connector.activate"];
    let expected =
        [&["connector.install", "connector.approve"][..], &cycle[1..], &cycle, &cycle, &["connector.remove"]];
    assert_eq!(actions, expected.concat());
    sound(&host).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn more_permissions_wait_and_the_difference_is_told() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let client = host.client();
    active(client, &Variant::new("1.0.0")).await?;
    let more = json!([{ "origin": "{{ connection.origin }}", "paths": ["/*"], "methods": ["GET", "DELETE"] }]);
    let greedy = Variant::new("1.1.0").with("/authentication/methods/0/apply/to", more.clone()).with("/egress", more);
    let installed = offer(client, &greedy).await?.expect(201)?.json;
    let waiting: Vec<&str> =
        installed["waiting"].as_array().context("waiting")?.iter().filter_map(Value::as_str).collect();
    assert!(waiting.len() == 2 && waiting.iter().all(|line| line.contains("DELETE, GET")), "{waiting:?}");
    let revision = detail(client).await?["revision"].take();
    let body = json!({ "force": true });
    let refused = change(client, "1.1.0/activate", &revision, &body).await?.expect(409)?;
    assert_eq!(refused.code(), "waiting-for-approval", "force is no grant");
    let connector = detail(client).await?;
    let granted = |version: usize| -> Vec<bool> {
        let permissions = connector["versions"][version]["permissions"].as_array().cloned().unwrap_or_default();
        permissions.iter().map(|p| p["granted"] == true).collect()
    };
    assert_eq!(
        (&connector["versions"][0]["state"], granted(0), granted(1)),
        (&json!("waiting"), vec![false, true, false], vec![true; 3])
    );
    // What another version was granted, this one need not ask for again.
    client.post(&format!("/connectors/{NAME}/1.1.0/approve"), &json!({ "permissions": waiting })).await?.expect(200)?;
    let same = greedy.with("/version", json!("1.2.0"));
    assert_eq!(offer(client, &same).await?.expect(201)?.json["waiting"], json!([]));
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_serves_the_chosen_until_it_is_activated_or_rolled_back() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let client = host.client();
    active(client, &Variant::new("1.0.0")).await?;
    client.register(&payload("A", "Versions", 1)).await?;
    client.register(&payload("B", "Versions", 2)).await?;
    install(client, &Variant::new("1.1.0").doing("tables=one,two,new")).await?;
    let revision = detail(client).await?["revision"].take();
    let unknown = json!({ "canary": { "connections": ["C"] } });
    assert_eq!(change(client, "1.1.0/activate", &revision, &unknown).await?.expect(400)?.code(), "invalid-canary");

    let canary = json!({ "canary": { "connections": ["B"] } });
    let connector = activate(client, "1.1.0", &canary).await?;
    assert_eq!(connector["canary"], json!({ "version": "1.1.0", "connections": ["B"] }));
    assert_eq!((serves(client, "A").await?, serves(client, "B").await?), ("1.0.0".into(), "1.1.0".into()));
    client.sync("A").await?;
    client.sync("B").await?;
    assert!(!tables(client, "A").await?.contains("new") && tables(client, "B").await?.contains("new"));
    assert!(client.delete(&format!("/connectors/{NAME}/1.1.0")).await?.expect(409)?.message().contains("try it out"));

    let done = roll_back(client).await?.expect(200)?.json;
    assert_eq!(done, json!({ "what": "canary", "from": "1.1.0", "to": "1.0.0" }));
    assert_eq!(serves(client, "B").await?, "1.0.0");
    activate(client, "1.1.0", &canary).await?;
    activate(client, "1.1.0", &json!({})).await?;
    assert_eq!((serves(client, "A").await?, detail(client).await?["canary"].take()), ("1.1.0".into(), Value::Null));

    let done = roll_back(client).await?.expect(200)?.json;
    assert_eq!(done, json!({ "what": "active", "from": "1.1.0", "to": "1.0.0" }));
    assert_eq!(roll_back(client).await?.expect(409)?.code(), "nothing-before");
    let revision = detail(client).await?["revision"].take();
    let refused = change(client, "1.1.0/activate", &revision, &json!({})).await?.expect(409)?;
    assert_eq!(refused.code(), "taken-back");
    let connector = activate(client, "1.1.0", &json!({ "force": true })).await?;
    assert_eq!(connector["version"], "1.1.0");
    sound(&host).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_can_pin_a_version() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let client = host.client();
    active(client, &Variant::new("1.0.0")).await?;
    client.register(&payload("A", "Versions", 1)).await?;
    install(client, &Variant::new("1.1.0").doing("tables=pinned")).await?;
    install(client, &Variant::new("1.2.0")).await?;
    let pin = |version: Value| json!({ "options": { "pin": version } });
    let refused = client.put("/data/connection/A", &pin(json!("7.0.0"))).await?.expect(409)?;
    assert_eq!(refused.code(), "cannot-pin");
    let refused = client.put("/data/connection/A", &pin(json!("1.1.0"))).await?.expect(409)?;
    assert!(refused.code() == "cannot-pin" && refused.message().contains("activates it first"), "{}", refused.text);
    // Nor does somebody who may not activate it try it out with a payload.
    let mut new = payload("B", "Versions", 2);
    new["options"] = json!({ "pin": "1.1.0" });
    assert_eq!(client.post("/data/connection", &new).await?.expect(409)?.code(), "cannot-pin");
    activate(client, "1.1.0", &json!({})).await?;
    activate(client, "1.2.0", &json!({})).await?;
    let pinned = client.put("/data/connection/A", &pin(json!("1.1.0"))).await?.expect(200)?.json;
    assert_eq!(pinned["options"]["pin"], "1.1.0");
    assert_eq!(serves(client, "A").await?, "1.1.0");
    active(client, &Variant::new("1.3.0")).await?;
    assert_eq!(serves(client, "A").await?, "1.1.0", "whatever becomes active");
    let refused = client.delete(&format!("/connectors/{NAME}/1.1.0")).await?.expect(409)?;
    assert!(refused.message().contains("connection A pins it"), "{}", refused.text);

    // A new connection can begin pinned: it is tried and synced by that version.
    client.register(&new).await?;
    assert_eq!(tables(client, "B").await?, names(&["pinned"]));
    let connector = detail(client).await?;
    let version = connector["versions"].as_array().context("versions")?.iter().find(|v| v["version"] == "1.1.0");
    assert_eq!(version.context("1.1.0")?["pinnedBy"], json!(["A", "B"]));

    let host = host.restart().await?;
    let client = host.client();
    assert_eq!(serves(client, "A").await?, "1.1.0", "also after a restart");
    client.put("/data/connection/A", &pin(Value::Null)).await?.expect(200)?;
    assert_eq!(serves(client, "A").await?, "1.3.0");
    client.delete("/data/object/B").await?.expect(200)?;
    client.delete(&format!("/connectors/{NAME}/1.1.0")).await?.expect(204)?;
    sound(&host).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_under_way_ends_whole_across_a_swap() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let client = host.client();
    active(client, &Variant::new("1.0.0").doing("slow tables=a,b,c,d,e,f")).await?;
    install(client, &Variant::new("1.1.0").doing("slow tables=a,b,c,d,e,f")).await?;
    let answer = client.post("/data/connection", &payload("A", "Versions", 1)).await?.expect(201)?;
    while !tables(client, "A").await?.contains("b") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    activate(client, "1.1.0", &json!({})).await?;
    client.completed(answer.json["bulkId"].as_str().context("bulkId")?).await?;
    assert_eq!(tables(client, "A").await?, names(&["a", "b", "c", "d", "e", "f"]));
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_turns_bad_is_taken_back_without_help() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let client = host.client();
    active(client, &Variant::new("1.0.0")).await?;
    for (key, port) in [("A", 1), ("B", 2), ("C", 3)] {
        client.register(&payload(key, "Versions", port)).await?;
    }
    // Its check says nothing against it.
    active(client, &Variant::new("1.1.0").doing("read-traps")).await?;
    for key in ["A", "B", "C"] {
        client.post(&format!("/data/crawl/{key}"), &json!({})).await?.expect(202)?;
    }
    for tries in 0.. {
        if detail(client).await?["version"] == "1.0.0" {
            break;
        }
        ensure!(tries < 1500, "it is not taken back: {}", detail(client).await?);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let connector = detail(client).await?;
    let taken_back = text(&connector["versions"][0], "takenBack");
    assert!(taken_back.contains("3 of its last"), "{connector}");
    let entries = audit(client).await?;
    let last = entries.last().context("an entry")?;
    assert_eq!((last.0.as_str(), last.1.as_str()), ("wharfinger", "connector.rollback"), "{last:?}");
    assert_eq!(serves(client, "A").await?, "1.0.0");
    for job in client.get("/jobs").await?.expect(200)?.json.as_array().context("jobs")? {
        client.post(&format!("/jobs/{}/cancel", text(job, "id")), &json!({})).await?;
    }
    client.sync("A").await?;
    assert_eq!(tables(client, "A").await?, names(&["one", "two"]), "nothing went missing meanwhile");
    sound(&host).await?;
    host.stop().await;
    Ok(())
}
