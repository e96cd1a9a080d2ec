//! The reference's scenarios, and the order of a run: first sync, sync of the same, floor, sync of a few changes.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde_json::json;
use wharfinger_tests::host::TempDir;

use crate::{
    floor,
    hosted::Hosted,
    platform::{Platform, Running},
    store::{self, Sizes},
};

/// One schema with so many tables of so many columns.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Scenario {
    pub(crate) tables: usize,
    pub(crate) columns: usize,
}

const ALL: [Scenario; 3] = [
    Scenario { tables: 1, columns: 50 },
    Scenario { tables: 1_000, columns: 10 },
    Scenario { tables: 10_000, columns: 50 },
];

/// What one scenario showed at one latency: the median run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    pub(crate) platform: Platform,
    #[serde(flatten)]
    pub(crate) scenario: Scenario,
    pub(crate) latency_ms: u64,
    /// Of the first sync, from its claim to its end.
    pub(crate) seconds: f64,
    /// From the request that registers the connection to the end of the first sync.
    pub(crate) registered_seconds: f64,
    pub(crate) floor_seconds: f64,
    pub(crate) ratio: f64,
    pub(crate) tables_per_second: f64,
    pub(crate) peak_memory_mb: f64,
    pub(crate) floor_peak_memory_mb: f64,
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    pub(crate) stored: Sizes,
    pub(crate) second: Second,
    pub(crate) third: Third,
    /// Seconds of the first sync of every run.
    pub(crate) runs: Vec<f64>,
}

/// The sync of the same, unchanged platform.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Second {
    pub(crate) seconds: f64,
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    /// Rows of objects, columns, indexes and changes that are not as they were.
    pub(crate) rows_written: u64,
    /// Bytes that the host's process wrote meanwhile, to whatever file.
    pub(crate) file_bytes_written: u64,
}

/// Tables that get a column before the third sync.
const CHANGED: usize = 10;

/// The sync after a few tables changed.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Third {
    pub(crate) seconds: f64,
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    /// Decompressed bytes of columns, as a share of the first sync's, where the platform answers them apart.
    pub(crate) column_share: Option<f64>,
}

/// The scenarios asked for; all of them for none.
pub(crate) fn chosen(only: &[String]) -> Result<Vec<Scenario>> {
    if only.is_empty() {
        return Ok(ALL.to_vec());
    }
    let parse = |text: &String| {
        let (tables, columns) = text.split_once('x').with_context(|| format!("`{text}` is not TABLESxCOLUMNS"))?;
        Ok(Scenario { tables: tables.parse()?, columns: columns.parse()? })
    };
    only.iter().map(parse).collect()
}

/// Runs everything; the simulator lives in this process, on threads of its own.
pub(crate) fn run_all(
    platforms: &[Platform],
    scenarios: &[Scenario],
    latencies: &[u64],
    runs: usize,
    dir: &Path,
) -> Result<Vec<Outcome>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut outcomes = Vec::new();
    for platform in platforms {
        for scenario in scenarios {
            for &latency in latencies {
                let mut done = Vec::new();
                for _ in 0..runs {
                    let running = runtime.block_on(platform.start(*scenario))?;
                    running.set_latency(Duration::from_millis(latency));
                    done.push(runtime.block_on(once(&running, *scenario, latency, dir))?);
                }
                outcomes.push(median(done)?);
            }
        }
    }
    Ok(outcomes)
}

fn median(mut runs: Vec<Outcome>) -> Result<Outcome> {
    let seconds = runs.iter().map(|run| run.seconds).collect();
    runs.sort_by(|a, b| a.ratio.total_cmp(&b.ratio));
    let middle = runs.len() / 2;
    let outcome = runs.into_iter().nth(middle).context("no run")?;
    Ok(Outcome { runs: seconds, ..outcome })
}

async fn once(platform: &Running, scenario: Scenario, latency_ms: u64, dir: &Path) -> Result<Outcome> {
    let data = TempDir::below(dir)?;
    let host = Hosted::start(data.path()).await?;
    platform.reset_counters();
    let begun = std::time::Instant::now();
    let first = host.register(&platform.payload("Bench")).await?;
    let registered_seconds = begun.elapsed().as_secs_f64();
    let first_columns = platform.column_bytes();
    let peak_memory_mb = host.peak_memory_mb()?;
    expect_all(&first, scenario)?;
    host.stop().await?;
    let before = store::Snapshot::of(&store::file(data.path()))?;

    let host = Hosted::start(data.path()).await?;
    platform.reset_counters();
    let written = host.bytes_written()?;
    let again = host.sync("Bench").await?;
    let file_bytes_written = host.bytes_written()? - written;
    let counters = platform.counters();
    host.stop().await?;
    let after = store::Snapshot::of(&store::file(data.path()))?;
    let second = Second {
        seconds: seconds(&again)?,
        requests: counters.requests,
        bytes: counters.bytes,
        rows_written: after.rows_unlike(&before),
        file_bytes_written,
    };

    let (stored, commits) = (before.sizes, before.commits);
    let asked = floor::Arguments::new(platform.platform(), platform.addr(), dir, stored, commits);
    let floor = floor::as_process(&asked).await?;
    let third = third(platform, data.path(), first_columns).await?;
    ensure!(floor.tables == scenario.tables as u64, "the floor saw {} tables", floor.tables);
    let seconds = seconds(&first)?;
    let output = &first["output"];
    Ok(Outcome {
        platform: platform.platform(),
        scenario,
        latency_ms,
        seconds,
        registered_seconds,
        floor_seconds: floor.seconds,
        ratio: seconds / floor.seconds,
        tables_per_second: scenario.tables as f64 / seconds,
        peak_memory_mb,
        floor_peak_memory_mb: floor.peak_memory_mb,
        requests: output["requests"].as_u64().unwrap_or_default(),
        bytes: output["bytes"].as_u64().unwrap_or_default(),
        stored,
        second,
        third,
        runs: vec![],
    })
}

async fn third(platform: &Running, data: &Path, first_columns: Option<u64>) -> Result<Third> {
    platform.change(CHANGED, 1)?;
    let host = Hosted::start(data).await?;
    platform.reset_counters();
    let job = host.sync("Bench").await?;
    let (counters, columns) = (platform.counters(), platform.column_bytes());
    host.stop().await?;
    let share = |(now, first): (u64, u64)| now as f64 / first.max(1) as f64;
    Ok(Third {
        seconds: seconds(&job)?,
        requests: counters.requests,
        bytes: counters.bytes,
        column_share: columns.zip(first_columns).map(share),
    })
}

/// A fast sync of half the tables is no result.
fn expect_all(job: &serde_json::Value, scenario: Scenario) -> Result<()> {
    let added = job["output"]["added"].as_object().context("added")?;
    let objects: u64 = added.values().filter_map(serde_json::Value::as_u64).sum();
    // What a connection leaves out is known as well.
    let objects = objects.min(scenario.tables as u64 + 2);
    let columns = &job["output"]["columns"]["added"];
    if objects != scenario.tables as u64 + 2 || columns != &json!(scenario.tables * scenario.columns) {
        bail!("the first sync brought {added:?} and {columns} columns: {job}");
    }
    Ok(())
}

fn seconds(job: &serde_json::Value) -> Result<f64> {
    Ok(job["output"]["durationMs"].as_f64().context("durationMs")? / 1000.0)
}
