//! The process is killed at random moments of syncs; what is stored goes on from there.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use wharfinger::db::Db;
use wharfinger_simulators::{
    random::Random,
    unity_catalog::{Change, NewColumn, Options, Shape, UnityCatalog, generate::Names, path},
};
use wharfinger_tests::{
    host::TempDir,
    inventory::{differences, of_host, of_metastore, present, without_container_ids},
};

use crate::process::Process;

/// How often the process is killed.
const KILLS: usize = 50;

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::disallowed_methods, reason = "a failed run is repeated with its seed")]
async fn killed_at_any_moment_of_a_sync_the_next_start_goes_on() -> anyhow::Result<()> {
    let seed = std::env::var("WHARFINGER_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(rand_seed);
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let shape = Shape { catalogs: 4, schemas: 5, tables: 100, columns: 5, names: Names::Plain };
    let platform = UnityCatalog::start(Options::new(shape.generate(seed))).await?;
    platform.set_latency(Duration::from_millis(120));
    let dir = TempDir::new()?;

    let mut process = Process::start(dir.path()).await?;
    process.client.post("/data/connection", &platform.payload("Lake")).await?.expect(201)?;
    let mut unfinished = 0;
    for round in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(random.below(1500) as u64)).await;
        process.kill()?;
        mutate(&platform, &mut random, round)?;
        process = Process::start(dir.path()).await?;
        let jobs = process.client.get("/jobs/search?size=1").await?.expect(200)?;
        let job = &jobs.json["jobs"][0];
        match job["state"].as_str().unwrap_or_default() {
            "completed" => {
                let body = serde_json::json!({ "forceRecursive": random.one_in(3) });
                process.client.post("/data/crawl/Lake", &body).await?.expect(202)?;
            }
            "created" | "active" | "retry" => unfinished += 1,
            _ => anyhow::bail!("round {round}: {}", jobs.text),
        }
    }
    println!("{unfinished} of {KILLS} kills met an unfinished sync");
    assert!(unfinished > KILLS / 4, "the kills missed the syncs: {unfinished}");
    // What was found half-way is finished, and one more sync sees the last changes.
    let jobs = process.client.get("/jobs/search?size=1").await?.expect(200)?;
    let bulk = jobs.json["jobs"][0]["bulkId"].as_str().context("bulkId")?;
    process.client.completed(bulk).await?;
    process.client.sync("Lake").await?;
    process.kill()?;

    let db = Db::open(&store(dir.path()))?;
    let violations = db.verify().await?;
    assert!(violations.is_empty(), "{violations:?}");
    let expected = without_container_ids(platform.read(of_metastore));
    let found = without_container_ids(present(of_host(&db, "Lake").await?));
    let differences = differences(&expected, &found);
    assert!(differences.is_empty(), "seed {seed}: the inventory differs:\n{differences}");
    Ok(())
}

fn store(dir: &Path) -> PathBuf {
    dir.join("data/wharfinger.redb")
}

fn rand_seed() -> u64 {
    (uuid::Uuid::new_v4().as_u128() & 0xffff_ffff) as u64
}

/// A few random changes of the platform between two lives of the host.
fn mutate(platform: &UnityCatalog, random: &mut Random, round: usize) -> anyhow::Result<()> {
    for _ in 0..random.below(6) {
        let target = platform.read(|metastore| {
            let count = metastore.tables().count();
            metastore.tables().nth(random.below(count)).map(|(path, _)| path.map(str::to_owned))
        });
        let Some([catalog, schema, table]) = target else { return Ok(()) };
        let here = path(&[&catalog, &schema, &table]);
        let change = match random.below(6) {
            0 => Change::Drop { path: here },
            1 => Change::Rename { path: here, to: format!("renamed_{round}_{}", random.below(1_000_000)) },
            2 => Change::Recreate { path: here },
            3 => Change::AddColumn { path: here, column: NewColumn::new("added", "string"), at: None },
            4 => Change::Comment { path: here, comment: Some(format!("round {round}")) },
            _ => {
                let name = format!("new_{round}_{}", random.below(1_000_000));
                Change::Add {
                    path: path(&[&catalog, &schema, &name]),
                    columns: vec![NewColumn::new("id", "int")],
                    comment: None,
                }
            }
        };
        platform.change(&change)?;
    }
    Ok(())
}
