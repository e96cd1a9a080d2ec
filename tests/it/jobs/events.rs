//! `GET /jobs/events`: what a client of the stream gets.

use std::time::Duration;

use anyhow::Context;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use wharfinger_simulators::fault::{Fault, Rule};
use wharfinger_tests::{Client, TestHost};

use super::{platform, schemas, until};

/// One event of a stream.
#[derive(Debug, Default)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

/// A stream that is read event by event.
pub(crate) struct Stream {
    response: Response,
    buffer: String,
}

impl Stream {
    async fn open(client: &Client, query: &str, last: Option<&str>) -> anyhow::Result<Self> {
        Self::follow(client, &format!("/jobs/events{query}"), last).await
    }

    /// Follows any stream of events.
    pub(crate) async fn follow(client: &Client, path: &str, last: Option<&str>) -> anyhow::Result<Self> {
        let mut request = client.request(Method::GET, path);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await?;
        anyhow::ensure!(response.status() == 200, "{}: {}", response.status(), response.text().await?);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Ok(Self { response, buffer: String::new() })
    }

    /// The next event; none at the end of the stream.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Event>> {
        loop {
            while let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let mut event = Event::default();
                for line in block.lines() {
                    match line.split_once(": ") {
                        Some(("event", name)) => event.name = name.into(),
                        Some(("id", id)) => event.id = id.into(),
                        Some(("data", data)) => event.data = serde_json::from_str(data)?,
                        _ => {}
                    }
                }
                self.buffer = rest.to_owned();
                if !event.name.is_empty() {
                    return Ok(Some(event));
                }
            }
            match timeout(Duration::from_secs(30), self.response.chunk()).await.context("nothing came")?? {
                Some(piece) => self.buffer.push_str(std::str::from_utf8(&piece)?),
                None => return Ok(None),
            }
        }
    }

    /// Events until a job reaches a state.
    async fn until(&mut self, state: &str) -> anyhow::Result<Vec<Event>> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await?.context("the stream ended")?;
            let there = event.data["state"] == state;
            events.push(event);
            if there {
                return Ok(events);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_followed_from_its_beginning_to_its_end_and_again_after_a_cut() -> anyhow::Result<()> {
    let platform = platform(20).await?;
    let host = TestHost::start().await?;
    let client = host.client();
    client.register(&platform.payload("Lake")).await?;
    platform.set_latency(Duration::from_millis(150));
    let mut stream = Stream::open(client, "", None).await?;
    let queued = client.post("/data/crawl/Lake", &json!({ "forceRecursive": true })).await?.expect(202)?;
    let events = stream.until("completed").await?;
    assert!(
        events.iter().all(|event| event.name == "job" && event.data["bulkId"] == queued.json["bulkId"]),
        "{events:?}"
    );
    assert!(events.iter().any(|event| event.data["state"] == "active"), "{events:?}");
    let seen: Vec<u64> = events.iter().filter_map(|event| event.data["progress"]["objects"].as_u64()).collect();
    assert!(seen.is_sorted() && events.len() > 1, "progress is told while it runs: {seen:?}");
    let last = events.last().context("events")?;
    assert_eq!(last.data["progress"]["totalObjects"], last.data["progress"]["objects"], "{last:?}");
    drop(stream);

    // Cut after the first event, also by a restart: the end is told again.
    let host = host.restart().await?;
    let mut again = Stream::open(host.client(), "", Some(&events[0].id)).await?;
    loop {
        let told = again.next().await?.context("the stream ended")?;
        if told.data["id"] == last.data["id"] {
            assert_eq!(told.data["state"], "completed", "{told:?}");
            break;
        }
    }
    // What cannot be made up for is said.
    #[expect(clippy::disallowed_methods, reason = "the host of this test has the system's clock")]
    let old = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(2)).as_microsecond().to_string();
    for last in ["nonsense", old.as_str()] {
        let event = Stream::open(host.client(), "", Some(last)).await?.next().await?.context("an event")?;
        assert_eq!(event.name, "reset", "{event:?}");
    }
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_named_jobs_ends_with_them() -> anyhow::Result<()> {
    let platform = platform(21).await?;
    let host = TestHost::start().await?;
    let client = host.client();
    let bulk = client.post("/data/connection", &platform.payload("Lake")).await?.expect(201)?.json["bulkId"].take();
    let bulk = bulk.as_str().context("bulk")?;
    let mut stream = Stream::open(client, &format!("?bulkId={bulk}"), None).await?;
    let events = stream.until("completed").await?;
    assert!(stream.next().await?.is_none(), "it ends");
    let id = events[0].data["id"].as_str().context("id")?;
    let mut stream = Stream::open(client, &format!("?jobId={id}"), None).await?;
    assert_eq!(stream.next().await?.context("an event")?.data["state"], "completed");
    assert!(stream.next().await?.is_none());
    for query in ["?jobId=0199f0c2-7d4e-7c3a-9a55-0d9c6f1e2b3a", "?bulkId=0199f0c2-7d4e-7c3a-9a55-0d9c6f1e2b3a"] {
        assert_eq!(client.get(&format!("/jobs/events{query}")).await?.status, 404, "{query}");
    }
    assert_eq!(client.get(&format!("/jobs/events?jobId={id}&bulkId={bulk}")).await?.status, 400);
    assert_eq!(client.get("/jobs/events?jobId=x").await?.status, 400);
    assert_eq!(host.stranger().get("/jobs/events").await?.status, 401);
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_told_of_the_own_jobs_alone() -> anyhow::Result<()> {
    let platform = platform(22).await?;
    let host = TestHost::start().await?;
    let client = host.client();
    client.register(&platform.payload("Lake")).await?;
    let paths = schemas(client, "Lake").await?;
    let url =
        |path: &Value| path.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join("/");
    let (mine, other) = (url(&paths[0]), url(&paths[1]));
    let id = client.get(&format!("/data/object/{mine}")).await?.expect(200)?.json["id"].take();
    let owner = host.owner_of("owner", vec![id.as_str().context("id")?.parse()?]).await?;
    let mut stream = Stream::open(&owner, "", None).await?;
    let hidden = client.sync(&other).await?;
    client.sync("Lake").await?;
    let own = client.sync(&mine).await?;
    let events = stream.until("completed").await?;
    assert!(events.iter().all(|event| event.data["id"] == own["id"]), "{events:?}");
    let query = format!("/jobs/events?jobId={}", hidden["id"].as_str().context("id")?);
    assert_eq!(owner.get(&query).await?.status, 404);
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_bounded_and_end_with_their_client_and_with_the_host() -> anyhow::Result<()> {
    let platform = platform(23).await?;
    let host = TestHost::start().await?;
    let client = host.client();
    platform.fault(Rule::always("/tables", Fault::Hang));
    client.post("/data/connection", &platform.payload("Lake")).await?.expect(201)?;
    let mut streams = Vec::new();
    for _ in 0..256 {
        streams.push(Stream::open(client, "", None).await?);
    }
    let refused = client.get("/jobs/events").await?;
    assert_eq!((refused.status.as_u16(), refused.code()), (503, "too-many-streams"));
    assert!(refused.headers.contains_key("retry-after"));
    let mut kept = streams.pop().context("a stream")?;
    drop(streams);
    let mut another = until("room for another", async || Ok(Stream::open(client, "", None).await.ok())).await?;
    // A job runs and hangs: neither it nor open streams keep the host from going down.
    let began = Instant::now();
    #[expect(clippy::disallowed_methods, reason = "awaited below")]
    let stopping = tokio::spawn(host.stop());
    while kept.next().await?.is_some() {}
    while another.next().await?.is_some() {}
    stopping.await?;
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    Ok(())
}
