//! Jobs end to end: by the clock, by the stream of events, together, and stopped.

pub(crate) mod events;
mod schedule;

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use wharfinger::{clock::Clock, db::jobs::JobFilter, model::sight::Sight};
use wharfinger_simulators::{
    fault::{Fault, Rule},
    unity_catalog::{Names, Options, Shape, UnityCatalog},
};
use wharfinger_tests::{Client, TestHost};

async fn platform(seed: u64) -> anyhow::Result<UnityCatalog> {
    let shape = Shape { catalogs: 2, schemas: 2, tables: 5, columns: 2, names: Names::Plain };
    Ok(UnityCatalog::start(Options::new(shape.generate(seed))).await?)
}

/// Waits until something is so.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("it did not come to this: {what}")
}

async fn job(client: &Client, id: &str) -> anyhow::Result<Value> {
    Ok(client.get(&format!("/jobs/{id}")).await?.expect(200)?.json)
}

/// Schemas of a connection, as paths of names.
async fn schemas(client: &Client, key: &str) -> anyhow::Result<Vec<Value>> {
    let all = client.descendants(key).await?;
    Ok(all.into_iter().filter(|object| object["level"] == 3).map(|mut object| object["objectPath"].take()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_stops_within_a_second_though_the_platform_hangs() -> anyhow::Result<()> {
    let (hanging, other) = (platform(1).await?, platform(2).await?);
    let host = TestHost::start_with(Clock::system(), |config| config.jobs.workers = 1).await?;
    let client = host.client();
    hanging.fault(Rule::always("/tables", Fault::Hang));
    let bulk = client.post("/data/connection", &hanging.payload("Hangs")).await?.expect(201)?.json["bulkId"].take();
    let bulk = bulk.as_str().context("bulkId")?.to_owned();
    until("a request hangs", async || Ok((hanging.fault_hits() > 0).then_some(()))).await?;
    let waits = client.post("/data/connection", &other.payload("Waits")).await?.expect(201)?.json["bulkId"].take();
    let id = client.get(&format!("/jobs?bulkId={bulk}")).await?.json[0]["id"].as_str().context("id")?.to_owned();
    assert_eq!(job(client, &id).await?["state"], "active");

    let asked = Instant::now();
    let cancelled = client.post(&format!("/jobs/{id}/cancel"), &json!({})).await?.expect(200)?.json;
    assert_eq!(cancelled["state"], "cancelled");
    // The only worker is free again when the other connection's sync begins.
    let waiting = waits.as_str().context("bulkId")?;
    until("the worker is free", async || {
        let jobs = client.get(&format!("/jobs?bulkId={waiting}")).await?.json;
        Ok((jobs[0]["state"] != "created").then_some(()))
    })
    .await?;
    assert!(asked.elapsed() < Duration::from_secs(1), "it took {:?}", asked.elapsed());
    client.completed(waiting).await?;
    assert_eq!(job(client, &id).await?["state"], "cancelled", "it stays so");
    assert_eq!(client.post(&format!("/jobs/{id}/cancel"), &json!({})).await?.code(), "job-ended");
    assert_eq!(host.app().db().verify().await?, []);
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn several_objects_are_synced_as_one_job_with_parts() -> anyhow::Result<()> {
    let platform = platform(3).await?;
    let host = TestHost::start().await?;
    let client = host.client();
    client.register(&platform.payload("Lake")).await?;
    let paths = schemas(client, "Lake").await?;
    platform.reset_counters();
    let answer = client.post("/data/crawl", &json!({ "objectPaths": [paths[0], paths[3]] })).await?.expect(202)?;
    assert_eq!(answer.json["objectPath"], json!(["Lake"]), "what contains both");
    let jobs = client.finished(answer.json["bulkId"].as_str().context("bulkId")?).await?;
    assert_eq!(jobs.len(), 3, "{jobs:?}");
    let group = jobs.iter().find(|job| job["jobType"] == "objectSyncGroup").context("the job for both")?;
    for part in jobs.iter().filter(|job| job["id"] != group["id"]) {
        assert_eq!((&part["state"], &part["parentId"]), (&json!("completed"), &group["id"]), "{part}");
        assert!(paths.contains(&part["objectPath"]), "{part}");
        assert_eq!(part["progress"]["totalObjects"], 5, "{part}");
        assert_eq!(part["progress"]["objects"], 5, "{part}");
    }
    assert_eq!(group["state"], "completed");
    for (body, code) in [
        (json!({}), "no-object"),
        (json!({ "objectPaths": [["Lake", "nowhere"]] }), "not-found"),
        (json!({ "objectPaths": [[]] }), "invalid-path"),
        (json!({ "objectPaths": vec![["Lake"]; 501] }), "invalid-body"),
    ] {
        assert_eq!(client.post("/data/crawl", &body).await?.code(), code, "{body}");
    }
    let both = client.post("/data/crawl/Lake", &json!({ "objectPaths": [["Lake"]] })).await?;
    assert_eq!((both.status.as_u16(), both.code()), (400, "invalid-body"));
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_settings_can_be_followed_to_its_end() -> anyhow::Result<()> {
    let platform = platform(4).await?;
    let host = TestHost::start().await?;
    let client = host.client();
    let mut payload = platform.payload("Lake");
    payload.as_object_mut().context("payload")?.remove("settings");
    client.register(&payload).await?;
    let change = async |body: Value| -> anyhow::Result<Vec<Value>> {
        let answer = client.put("/data/settings/Lake", &json!({ "settings": body })).await?.expect(200)?;
        client.finished(answer.json["bulkId"].as_str().context("bulkId")?).await
    };
    let types = |jobs: &[Value]| jobs.iter().map(|job| job["jobType"].clone()).collect::<Vec<_>>();
    let on = change(json!({ "isActive": true })).await?;
    assert_eq!(types(&on), [json!("objectSync"), json!("settingsChange")]);
    assert!(on.iter().all(|job| job["state"] == "completed" && job["trigger"] == "settings"), "{on:?}");
    let off = change(json!({ "isActive": false })).await?;
    assert_eq!(types(&off), [json!("settingsChange")], "it ends at once, and can be polled all the same");
    let found = client.get("/jobs/search?jobType=settingsChange").await?.json;
    assert_eq!(found["jobs"].as_array().map(Vec::len), Some(2), "{found}");
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_gone_on_with_while_jobs_are_added() -> anyhow::Result<()> {
    let platform = platform(5).await?;
    let clock = Clock::manual("2027-03-01T00:00:00Z".parse()?);
    let host = TestHost::start_with(clock.clone(), |_| {}).await?;
    let client = host.client();
    client.register(&platform.payload("Lake")).await?;
    for minute in 1..5 {
        clock.set(format!("2027-03-01T00:0{minute}:00Z").parse()?);
        client.sync("Lake").await?;
    }
    let ids = |page: &Value| -> Vec<Value> {
        page["jobs"].as_array().into_iter().flatten().map(|job| job["createdAt"].clone()).collect()
    };
    let first = client.get("/jobs/search?size=2").await?.expect(200)?.json;
    assert_eq!(ids(&first), [json!("2027-03-01T00:04:00Z"), json!("2027-03-01T00:03:00Z")]);
    client.sync("Lake").await?;
    let next = first["next"].as_str().context("next")?;
    let second = client.get(&format!("/jobs/search?size=2&next={next}")).await?.expect(200)?.json;
    assert_eq!(ids(&second), [json!("2027-03-01T00:02:00Z"), json!("2027-03-01T00:01:00Z")]);
    let dated = "/jobs/search?startDate=2027-03-01T00:01:00Z&endDate=2027-03-01T00:03:00Z&state=completed";
    let dated = client.get(dated).await?.expect(200)?.json;
    assert_eq!(ids(&dated), [json!("2027-03-01T00:02:00Z"), json!("2027-03-01T00:01:00Z")]);
    assert_eq!(dated["next"], Value::Null);
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_jobs_ends_with_them() -> anyhow::Result<()> {
    let platform = platform(6).await?;
    let host = TestHost::start().await?;
    let client = host.client();
    platform.fault(Rule::always("/tables", Fault::Hang));
    let bulk = client.post("/data/connection", &platform.payload("Lake")).await?.expect(201)?.json["bulkId"].take();
    let id = client.get(&format!("/jobs?bulkId={}", bulk.as_str().context("bulk")?)).await?.json[0]["id"].take();
    let body = json!({ "jobIds": [id], "wait": 0.3, "pollInterval": 0.05 });
    let (asked, early) = (Instant::now(), client.post("/jobs/statuses", &body).await?.expect(200)?.json);
    let id = id.as_str().context("id")?;
    assert!(asked.elapsed() >= Duration::from_millis(300));
    assert!(matches!(early[id]["state"].as_str(), Some("created" | "active")), "{early}");
    let waits = client.clone();
    let body = json!({ "jobIds": [id], "wait": 30, "pollInterval": 0.05 });
    #[expect(clippy::disallowed_methods, reason = "awaited below")]
    let waiting = tokio::spawn(async move { waits.post("/jobs/statuses", &body).await });
    client.post(&format!("/jobs/{id}/cancel"), &json!({})).await?.expect(200)?;
    let answer = timeout(Duration::from_secs(5), waiting).await???.expect(200)?.json;
    assert_eq!(answer[id]["state"], "cancelled");
    host.stop().await;
    Ok(())
}

/// All jobs of a host, newest first.
async fn all(host: &TestHost) -> anyhow::Result<Vec<wharfinger::model::job::Job>> {
    Ok(host.app().db().jobs(&Sight::All, JobFilter { size: 500, ..JobFilter::default() }).await?)
}
