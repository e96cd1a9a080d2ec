//! Periodic syncs of a whole host, by a clock that the test sets.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;
use wharfinger::{
    clock::Clock,
    model::job::{JobState, Trigger},
};
use wharfinger_tests::TestHost;

use super::{all, platform, until};

/// Waits until so many jobs of the schedule have completed.
async fn scheduled(host: &TestHost, count: usize) -> anyhow::Result<Vec<String>> {
    until(&format!("{count} scheduled syncs"), async || {
        let mut jobs = all(host).await?;
        jobs.retain(|job| job.trigger == Trigger::Schedule && job.state == JobState::Completed);
        Ok((jobs.len() == count).then(|| jobs.iter().map(|job| job.created_at.to_string()).collect()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_connection_is_synced_at_one_each_day_and_once_for_all_missed_nights() -> anyhow::Result<()> {
    let (one, two) = (platform(10).await?, platform(11).await?);
    let clock = Clock::manual("2027-05-01T12:00:00Z".parse()?);
    let host = TestHost::start_with(clock.clone(), |_| {}).await?;
    host.client().register(&one.payload("One")).await?;
    host.client().register(&two.payload("Two")).await?;
    let shown = host.client().get("/data/connection/One").await?.expect(200)?.json;
    let want = json!({ "cron": "0 1 * * *", "jitter": 0, "next": "2027-05-02T01:00:00Z" });
    assert_eq!(shown["schedule"], want, "{shown}");

    clock.set("2027-05-02T00:59:59.999Z".parse()?);
    sleep(Duration::from_secs(6)).await;
    assert_eq!(all(&host).await?.len(), 2, "only the first syncs");
    clock.set("2027-05-02T01:00:00Z".parse()?);
    assert_eq!(scheduled(&host, 2).await?, ["2027-05-02T01:00:00Z"; 2]);
    clock.set("2027-05-03T01:00:00Z".parse()?);
    assert_eq!(scheduled(&host, 4).await?[..2], ["2027-05-03T01:00:00Z"; 2]);

    // Nobody is there for a week.
    clock.set("2027-05-10T09:30:00Z".parse()?);
    let host = host.restart().await?;
    assert_eq!(scheduled(&host, 6).await?[..2], ["2027-05-10T09:30:00Z"; 2], "once for all that was missed");
    let host = host.restart().await?;
    sleep(Duration::from_secs(6)).await;
    assert_eq!(scheduled(&host, 6).await?.len(), 6, "and not again");
    let summary = host.client().get("/jobs/summary").await?.expect(200)?.json;
    assert_eq!(summary["connections"][1]["schedule"]["next"], "2027-05-11T01:00:00Z", "{summary}");
    assert_eq!(summary["connections"][1]["lastJob"]["trigger"], "schedule", "{summary}");
    assert_eq!(summary["ended"]["completed"], 2, "of the last day: {summary}");
    assert_eq!(host.app().db().verify().await?, []);
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_changed_per_connection_and_never_off() -> anyhow::Result<()> {
    let platform = platform(12).await?;
    let clock = Clock::manual("2027-05-01T12:00:00Z".parse()?);
    let host = TestHost::start_with(clock.clone(), |_| {}).await?;
    let client = host.client();
    let mut payload = platform.payload("Lake");
    payload["options"] = json!({ "schedule": { "cron": "30 */4 * * *", "jitter": 900 } });
    client.register(&payload).await?;
    let read = async || -> anyhow::Result<Value> { Ok(client.get("/data/connection/Lake").await?.expect(200)?.json) };
    let before = read().await?;
    assert_eq!(before["options"]["schedule"], json!({ "cron": "30 */4 * * *", "jitter": 900 }));
    let put = async |schedule: Value| {
        client.put("/data/connection/Lake", &json!({ "options": { "schedule": schedule } })).await
    };
    for bad in [
        json!({ "cron": "* * * * *" }),
        json!({ "cron": "0 0 31 2 *" }),
        json!({ "cron": "daily" }),
        json!({ "jitter": 1_000_000 }),
        json!({ "off": true }),
        json!(false),
    ] {
        let answer = put(bad.clone()).await?;
        assert_eq!(answer.status, 400, "{bad}: {}", answer.text);
        assert!(answer.message().contains("options.schedule"), "{bad}: {}", answer.text);
    }
    assert_eq!(read().await?["schedule"], before["schedule"], "nothing changed");
    put(json!({ "cron": "15 13 * * *", "jitter": 0 })).await?.expect(200)?;
    assert_eq!(read().await?["schedule"]["next"], "2027-05-01T13:15:00Z");
    clock.set("2027-05-01T13:15:00Z".parse()?);
    assert_eq!(scheduled(&host, 1).await?, ["2027-05-01T13:15:00Z"]);
    // What a program read it can send back.
    let options = read().await?["options"].take();
    client.put("/data/connection/Lake", &json!({ "options": options })).await?.expect(200)?;
    assert_eq!(put(Value::Null).await?.expect(200)?.json["schedule"]["cron"], "0 1 * * *", "null is the default");
    host.stop().await;
    Ok(())
}
