//! A catalogue as large as they come: what its syncs cost, and how fast the host answers while one runs.
//!
//! The order of a run: a first sync, with readers from its middle on; the same again, unchanged; again after some tables
//! got a column; the status of the whole connection back and forth while nothing runs; then readers, and the status
//! again, while unchanged syncs run. The host is a process of its own and starts anew before each of the first three, so
//! that what it used is that sync's alone. The simulator and the readers are this process.

mod probe;
mod report;
mod toggle;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde_json::{Value, json};
use wharfinger_tests::{Client, host::TempDir};

use crate::{
    hosted::{Hosted, Used},
    platform::{Platform, Running},
    scenario::Scenario,
    store::{self, Room, Snapshot},
};
use probe::{Latencies, Probe};

/// Name of the connection.
const KEY: &str = "Bench";

/// How large the catalogue is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Whose API is simulated.
    #[arg(long, default_value = "databricks")]
    platform: Platform,
    /// Tables in all.
    #[arg(long, default_value_t = 1_000_000)]
    tables: usize,
    /// Schemas that they are spread over.
    #[arg(long, default_value_t = 200)]
    schemas: usize,
    /// Columns of each table.
    #[arg(long, default_value_t = 10)]
    columns: usize,
    /// Tables that get a column before the third sync.
    #[arg(long, default_value_t = 1_000)]
    changes: usize,
    /// Answers of each kind that are timed.
    #[arg(long, default_value_t = 200)]
    samples: usize,
    /// Seconds after which one kind of timing stops, even if there are fewer answers.
    #[arg(long, default_value_t = 60)]
    reading: u64,
    /// Milliseconds before every answer of the platform.
    #[arg(long, default_value_t = 0)]
    latency: u64,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    platform: Platform,
    tables: usize,
    schemas: usize,
    columns: usize,
    changes: usize,
    latency_ms: u64,
    first: Sync,
    unchanged: Sync,
    changed: Sync,
    /// After the first sync.
    room: Room,
    /// After the third.
    room_later: Room,
    /// While the first sync runs.
    during_first: Vec<Latencies>,
    /// While nothing runs.
    idle: Vec<Latencies>,
    /// While an unchanged sync runs.
    during_later: Vec<Latencies>,
    /// Most memory of the host in the last part, with readers and a sync.
    peak_with_readers_mb: f64,
}

/// One sync of the whole connection.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sync {
    /// From its claim to its end.
    seconds: f64,
    /// Of all processors, of the host alone.
    cpu_seconds: f64,
    requests: u64,
    received_bytes: u64,
    /// Rows of the inventory that are not as they were; unknown of the first.
    rows_written: Option<u64>,
    /// Bytes that the host gave to `write`.
    written_bytes: u64,
    /// Bytes of them that were sent to a disk.
    disk_bytes: u64,
    /// Most memory that the host had.
    peak_mb: f64,
}

impl Arguments {
    fn scenario(&self) -> Result<Scenario> {
        let (tables, schemas) = (self.tables, self.schemas);
        ensure!(schemas > 0 && tables % schemas == 0, "{tables} tables cannot be spread evenly over {schemas} schemas");
        Ok(Scenario { schemas, tables: tables / schemas, columns: self.columns })
    }

    fn probe(&self, host: &Hosted, schema: &[String]) -> Probe {
        Probe::new(host.client(), schema, self.samples, Duration::from_secs(self.reading))
    }
}

/// Runs all of it.
pub(crate) fn run(arguments: &Arguments, dir: &Path) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let platform = runtime.block_on(arguments.platform.start_large(arguments.scenario()?))?;
    platform.set_latency(Duration::from_millis(arguments.latency));
    runtime.block_on(whole(arguments, &platform, dir))
}

async fn whole(arguments: &Arguments, platform: &Running, dir: &Path) -> Result<Outcome> {
    platform.rename_one(probe::RARE)?;
    let data = TempDir::below(dir)?;
    let file = store::file(data.path());
    let schema: Vec<String> = [KEY.to_owned()].into_iter().chain(platform.a_schema()?).collect();

    let host = Hosted::start(data.path()).await?;
    let begun = host.used()?;
    let reading = arguments.probe(&host, &schema);
    let bulk = register(host.client(), platform).await?;
    half_way(host.client(), &bulk, arguments.tables / 2).await?;
    let during = reading.start();
    let job = ended(host.client(), &bulk).await?;
    let during_first = tell(during.stop()?);
    expect_all(&job, arguments)?;
    let first = measured(&host, begun, platform, &job)?;
    host.stop().await?;
    say("first", &first);
    let (room, before) = (Room::of(&file)?, Snapshot::of(&file)?);

    let (unchanged, before) = again("unchanged", platform, data.path(), before).await?;
    platform.change(arguments.changes, 1)?;
    let (changed, _) = again("changed", platform, data.path(), before).await?;
    let room_later = Room::of(&file)?;

    let host = Hosted::start(data.path()).await?;
    let reading = arguments.probe(&host, &schema);
    let mut idle = tell(reading.run_alone().await?);
    idle.extend(tell(toggle::idle(host.client(), arguments.samples, Duration::from_secs(arguments.reading)).await?));
    let during_later = later(&host, &reading, arguments).await?;
    let peak_with_readers_mb = host.peak_memory_mb()?;
    host.stop().await?;
    Ok(Outcome {
        platform: arguments.platform,
        tables: arguments.tables,
        schemas: arguments.schemas,
        columns: arguments.columns,
        changes: arguments.changes,
        latency_ms: arguments.latency,
        first,
        unchanged,
        changed,
        room,
        room_later,
        during_first,
        idle,
        during_later,
        peak_with_readers_mb,
    })
}

/// A further sync in a new process.
async fn again(name: &str, platform: &Running, data: &Path, before: Snapshot) -> Result<(Sync, Snapshot)> {
    let host = Hosted::start(data).await?;
    let begun = host.used()?;
    platform.reset_counters();
    let bulk = crawl(host.client()).await?;
    let job = ended(host.client(), &bulk).await?;
    let measured = measured(&host, begun, platform, &job)?;
    host.stop().await?;
    let after = Snapshot::of(&store::file(data))?;
    let sync = Sync { rows_written: Some(after.rows_unlike(&before)), ..measured };
    say(name, &sync);
    Ok((sync, after))
}

/// Readers while unchanged syncs run, one after another until there are enough answers; then the status.
async fn later(host: &Hosted, reading: &Probe, arguments: &Arguments) -> Result<Vec<Latencies>> {
    let client = host.client();
    let during = reading.start();
    while !during.has_enough() {
        let bulk = crawl(client).await?;
        while !during.has_enough() && is_running(client, &bulk).await? {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        cancel(client, &bulk).await?;
    }
    let mut all = tell(during.stop()?);
    let bulk = crawl(client).await?;
    all.extend(toggle::busy(client, &bulk, arguments.samples, Duration::from_secs(arguments.reading)).await?);
    Ok(all)
}

fn measured(host: &Hosted, begun: Used, platform: &Running, job: &Value) -> Result<Sync> {
    let (used, counters) = (host.used()?, platform.counters());
    Ok(Sync {
        seconds: job["output"]["durationMs"].as_f64().context("durationMs")? / 1000.0,
        cpu_seconds: used.cpu_seconds - begun.cpu_seconds,
        requests: counters.requests,
        received_bytes: counters.bytes,
        rows_written: None,
        written_bytes: used.written - begun.written,
        disk_bytes: used.reached_disk - begun.reached_disk,
        peak_mb: host.peak_memory_mb()?,
    })
}

async fn register(client: &Client, platform: &Running) -> Result<String> {
    platform.reset_counters();
    let answer = client.post("/data/connection", &platform.payload(KEY)).await?.expect(201)?;
    Ok(answer.json["bulkId"].as_str().context("bulkId")?.to_owned())
}

/// Asks for a sync of the whole connection; gives its bulk.
async fn crawl(client: &Client) -> Result<String> {
    let answer = client.post(&format!("/data/crawl/{KEY}"), &json!({})).await?.expect(202)?;
    Ok(answer.json["bulkId"].as_str().context("bulkId")?.to_owned())
}

/// The one sync of a bulk.
async fn sync_of(client: &Client, bulk: &str) -> Result<Value> {
    let answer = client.get(&format!("/jobs?bulkId={bulk}")).await?.expect(200)?;
    let jobs = answer.json.as_array().context("jobs")?;
    jobs.iter().find(|job| job["jobType"] == "objectSync").cloned().context("no sync")
}

fn is_over(job: &Value) -> bool {
    !matches!(job["state"].as_str(), Some("created" | "active" | "retry"))
}

async fn is_running(client: &Client, bulk: &str) -> Result<bool> {
    Ok(!is_over(&sync_of(client, bulk).await?))
}

/// Waits, seldom asking, until a sync has completed.
async fn ended(client: &Client, bulk: &str) -> Result<Value> {
    loop {
        let job = sync_of(client, bulk).await?;
        if is_over(&job) {
            ensure!(job["state"] == "completed", "the sync did not complete: {job}");
            return Ok(job);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until a sync has seen so many objects, or is over.
async fn half_way(client: &Client, bulk: &str, objects: usize) -> Result<()> {
    let begun = Instant::now();
    loop {
        let job = sync_of(client, bulk).await?;
        let seen = job["progress"]["objects"].as_u64().unwrap_or_default();
        if is_over(&job) || seen >= objects as u64 {
            eprintln!("readers begin after {:.1} s, with {seen} objects there", begun.elapsed().as_secs_f64());
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Stops the sync of a bulk and waits until it has.
async fn cancel(client: &Client, bulk: &str) -> Result<()> {
    loop {
        let job = sync_of(client, bulk).await?;
        if is_over(&job) {
            return Ok(());
        }
        let id = job["id"].as_str().context("id")?;
        client.post(&format!("/jobs/{id}/cancel"), &json!({})).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A fast sync of half the tables is no result.
fn expect_all(job: &Value, arguments: &Arguments) -> Result<()> {
    let columns = &job["output"]["columns"]["added"];
    if columns != &json!(arguments.tables * arguments.columns) {
        bail!("the first sync brought {columns} columns: {job}");
    }
    Ok(())
}

/// A long run tells how far it is, apart from its output.
fn tell(of: Vec<Latencies>) -> Vec<Latencies> {
    of.iter().for_each(|of| eprintln!("{of:?}"));
    of
}

/// The same of a sync.
fn say(name: &str, sync: &Sync) {
    eprintln!("{name}: {sync:?}");
}
