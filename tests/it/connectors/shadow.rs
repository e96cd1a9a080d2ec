//! A version is compared before it serves anybody: it reads, and what only it finds is told.

use serde_json::json;
use wharfinger_tests::{
    TestHost,
    host::TempDir,
    versions::{Variant, payload},
};

use super::*;
use crate::process::Process;

/// 1.0.0 has filled the inventory with `one` and `two`; 1.1.0 is active and would find `three` besides.
async fn begin(client: &Client) -> anyhow::Result<()> {
    active(client, &Variant::new("1.0.0")).await?;
    client.register(&payload("A", "Versions", 1)).await?;
    client.register(&payload("B", "Versions", 2)).await?;
    active(client, &Variant::new("1.1.0").doing("tables=one,two,three")).await?;
    Ok(())
}

/// Compares a version for all connections, or for some.
async fn compare(client: &Client, variant: &Variant, connections: Value) -> anyhow::Result<Value> {
    let installed = install(client, variant).await?;
    activate(client, text(&installed, "version"), &json!({ "canary": { "shadow": true, "connections": connections } }))
        .await
}

/// The dry runs of the last comparison: connection and version.
fn reads(connector: &Value) -> Vec<(&str, &str)> {
    let reads = connector["reads"].as_array().into_iter().flatten();
    let mut reads: Vec<_> = reads.map(|read| (text(read, "connection"), text(read, "version"))).collect();
    reads.sort_unstable();
    reads
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_new_version_finds_is_told_and_nothing_changes() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let client = host.client();
    begin(client).await?;
    let history = client.get("/data/changes/A").await?.expect(200)?.json;

    let other = Variant::new("1.2.0").doing("tables=one,three,four columns=id");
    let connector = compare(client, &other, json!(["A"])).await?;
    let rollout = &connector["rollout"];
    assert_eq!((&rollout["step"], &rollout["shadow"]), (&json!("done"), &json!(true)), "{connector}");
    assert_eq!((&connector["version"], &connector["canary"]), (&json!("1.1.0"), &Value::Null), "it serves nobody");
    let [finding] = rollout["findings"].as_array().context("findings")?.as_slice() else {
        bail!("one finding: {rollout}");
    };
    assert_eq!(
        (&finding["step"], &finding["connection"], &finding["blocks"]),
        (&json!("shadow"), &json!("A"), &json!(false))
    );
    let message = text(finding, "message");
    for part in ["1 to be added (A.four)", "1 with other columns (A.one)", "1 missing (A.two)"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(!message.contains("three"), "the version that serves finds it too: {message}");
    assert_eq!(reads(&connector), [("A", "1.1.0"), ("A", "1.2.0")]);

    // The job is there to be looked at, and only a dry run.
    let job = client.get(&format!("/jobs/{}", text(finding, "jobId"))).await?.expect(200)?.json;
    assert_eq!((&job["state"], &job["trigger"]), (&json!("completed"), &json!("comparison")));
    assert_eq!((&job["output"]["dryRun"], &job["output"]["connector"]), (&json!(true), &json!("versions 1.2.0")));
    assert_eq!(client.get("/data/changes/A").await?.expect(200)?.json, history);
    assert_eq!((serves(client, "A").await?, tables(client, "A").await?), ("1.1.0".into(), names(&["one", "two"])));
    let entries = audit(client).await?;
    let (who, action, said) = entries.last().context("an entry")?;
    assert_eq!((who.as_str(), action.as_str()), ("wharfinger", "connector.compared"));
    assert!(said.contains("A.four"), "{said}");

    // What finds the same is let pass without a word, for all connections.
    let connector = compare(client, &Variant::new("1.3.0").doing("tables=three,two,one"), Value::Null).await?;
    assert_eq!((&connector["rollout"]["step"], &connector["rollout"]["findings"]), (&json!("done"), &json!([])));
    assert_eq!(reads(&connector), [("A", "1.1.0"), ("A", "1.3.0"), ("B", "1.1.0"), ("B", "1.3.0")]);
    // What finds nothing to differ is not compared any further.
    let connector = compare(client, &Variant::new("1.4.0"), json!(["B"])).await?;
    assert_eq!((&connector["rollout"]["findings"], reads(&connector)), (&json!([]), vec![("B", "1.4.0")]));

    // What cannot read stands in the way, and the version that serves pays nothing for it.
    let connector = compare(client, &Variant::new("1.5.0").doing("read-refused"), Value::Null).await?;
    assert_eq!((&connector["version"], &connector["rollout"]["step"]), (&json!("1.1.0"), &json!("blocked")));
    let findings = connector["rollout"]["findings"].as_array().context("findings")?;
    assert!(findings.len() == 2 && findings.iter().all(|finding| finding["blocks"] == true), "{findings:?}");
    assert!(text(&findings[0], "message").contains("this version cannot read at all"), "{findings:?}");

    // Then for real: it was never in the way.
    let connector = activate(client, "1.2.0", &json!({})).await?;
    assert_eq!(connector["version"], "1.2.0");
    client.sync("A").await?;
    assert!(tables(client, "A").await?.is_superset(&names(&["one", "three", "four"])));
    sound(&host).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_wrongly_is_refused_and_what_is_ended_leaves_nothing_behind() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let client = host.client();
    begin(client).await?;
    install(client, &Variant::new("1.2.0").doing("slow tables=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t")).await?;
    let revision = detail(client).await?["revision"].take();
    for (canary, code) in [
        (json!({}), "invalid-body"),
        (json!({ "shadow": true, "connections": [] }), "invalid-body"),
        (json!({ "shadow": true, "connections": ["C"] }), "invalid-canary"),
    ] {
        let refused = change(client, "1.2.0/activate", &revision, &json!({ "canary": canary })).await?.expect(400)?;
        assert_eq!(refused.code(), code, "{canary}");
    }
    let shadow = json!({ "canary": { "shadow": true, "connections": ["A"] } });
    change(client, "1.2.0/activate", &revision, &shadow).await?.expect(202)?;
    for tries in 0.. {
        let connector = detail(client).await?;
        if connector["reads"][0]["state"] == "active" {
            break;
        }
        ensure!(tries < 500, "nothing is read: {connector}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let refused = client.delete(&format!("/connectors/{NAME}/1.2.0")).await?.expect(409)?;
    assert_eq!(refused.code(), "version-needed");
    let done = roll_back(client).await?.expect(200)?.json;
    assert_eq!(done, json!({ "what": "rollout", "from": "1.2.0", "to": "1.1.0" }));
    let connector = detail(client).await?;
    assert_eq!(
        (&connector["rollout"]["step"], &connector["reads"][0]["state"]),
        (&json!("ended"), &json!("cancelled"))
    );
    client.delete(&format!("/connectors/{NAME}/1.2.0")).await?.expect(204)?;
    // The connection is free.
    client.sync("A").await?;
    assert_eq!(tables(client, "A").await?, names(&["one", "two", "three"]));
    sound(&host).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_goes_on_after_a_kill_with_the_reads_that_it_had() -> anyhow::Result<()> {
    let dir = TempDir::new()?;
    let process = Process::start_bare(dir.path()).await?;
    let client = &process.client;
    begin(client).await?;
    install(client, &Variant::new("1.2.0").doing("slow tables=one,two,three,x,y,z")).await?;
    let revision = detail(client).await?["revision"].take();
    change(client, "1.2.0/activate", &revision, &json!({ "canary": { "shadow": true } })).await?.expect(202)?;
    let mut before = Value::Null;
    for tries in 0.. {
        before = detail(client).await?;
        let is_read = before["reads"].as_array().into_iter().flatten().any(|read| read["state"] == "active");
        if is_read && before["reads"].as_array().map(Vec::len) == Some(2) {
            break;
        }
        ensure!(tries < 500, "nothing is read: {before}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    process.kill()?;

    let process = Process::start_bare(dir.path()).await?;
    let client = &process.client;
    let connector = ended(client).await?;
    assert_eq!((&connector["rollout"]["step"], &connector["version"]), (&json!("done"), &json!("1.1.0")));
    let findings = connector["rollout"]["findings"].as_array().context("findings")?;
    assert!(
        findings.len() == 2 && findings.iter().all(|f| text(f, "message").contains("3 to be added (")),
        "{findings:?}"
    );
    assert_eq!(reads(&connector), [("A", "1.1.0"), ("A", "1.2.0"), ("B", "1.1.0"), ("B", "1.2.0")]);
    let had = |connector: &Value| -> BTreeSet<String> {
        let reads = connector["reads"].as_array().into_iter().flatten();
        reads.map(|read| text(read, "jobId").to_owned()).collect()
    };
    assert!(had(&connector).is_superset(&had(&before)), "{before} {connector}");
    assert_eq!(tables(client, "A").await?, names(&["one", "two"]));
    process.kill()?;
    crate::kill::sound(dir.path()).await
}
