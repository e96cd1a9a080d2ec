//! The process is killed at random moments of syncs, settings changes, deletions and registrations: its file is sound
//! each time, the next start has all that was acknowledged, and in the end the inventory is the platform.
//!
//! `WHARFINGER_TEST_KILLS` says how often, `WHARFINGER_TEST_SEED` with which choices.

mod driver;
mod ledger;
pub(crate) mod platform;
mod settle;

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde_json::json;
use tokio::task::JoinSet;
use wharfinger::db::Db;
use wharfinger_simulators::{
    random::Random,
    unity_catalog::{Options, Shape, UnityCatalog, generate::Names},
};
use wharfinger_tests::{Client, host::TempDir, inventory::equal};

use self::ledger::Ledger;
use crate::process::Process;

/// How often processes are killed where nothing else is said.
const KILLS: usize = 40;

/// Data directories with a process each: while one starts, another one lives.
const WORLDS: usize = 2;

/// Who sends requests side by side, besides the one that registers and deregisters.
const DRIVERS: usize = 3;

/// The connection that is always there, and the one that comes and goes.
const LAKE: &str = "Lake";
const POND: &str = "Pond";

/// What the kills of a world met.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    unfinished_syncs: usize,
    unanswered_writes: usize,
    acknowledged: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_a_kill_at_any_moment() -> anyhow::Result<()> {
    let seed = setting("WHARFINGER_TEST_SEED").unwrap_or_else(|| uuid::Uuid::new_v4().as_u128() as u64 & 0xffff_ffff);
    let kills = setting("WHARFINGER_TEST_KILLS").map_or(KILLS, |kills| kills as usize);
    println!("seed {seed}, {kills} kills");
    let started = Instant::now();
    let mut worlds = JoinSet::new();
    for world in 0..WORLDS {
        let share = kills / WORLDS + usize::from(world < kills % WORLDS);
        worlds.spawn(
            async move { live(seed, world, share).await.with_context(|| format!("seed {seed}, world {world}")) },
        );
    }
    let mut met = Met::default();
    while let Some(world) = worlds.join_next().await {
        let one = world??;
        met.unfinished_syncs += one.unfinished_syncs;
        met.unanswered_writes += one.unanswered_writes;
        met.acknowledged += one.acknowledged;
    }
    println!("{met:?} of {kills} kills in {} s", started.elapsed().as_secs());
    assert!(met.unfinished_syncs > kills / 4, "the kills missed the syncs: {met:?}");
    assert!(met.unanswered_writes > 0, "the kills missed the writes: {met:?}");
    assert!(met.acknowledged > kills, "hardly anything was written: {met:?}");
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "a failed run is repeated with its seed")]
pub(crate) fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// One data directory through all its kills.
async fn live(seed: u64, world: usize, kills: usize) -> anyhow::Result<Met> {
    let mut random = Random::new(seed.wrapping_add(world as u64 * 1_000_003));
    let lake = Shape { catalogs: 3, schemas: 4, tables: 60, columns: 4, names: Names::Plain };
    let lake = UnityCatalog::start(Options::new(lake.generate(random.next_u64()))).await?;
    lake.set_latency(Duration::from_millis(150));
    let pond = Shape { catalogs: 1, schemas: 2, tables: 10, columns: 3, names: Names::Plain };
    let pond = Arc::new(UnityCatalog::start(Options::new(pond.generate(random.next_u64()))).await?);
    let dir = TempDir::new()?;

    let mut process = Process::start_with_databricks(dir.path()).await?;
    process.client.register(&lake.payload(LAKE)).await?;
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    settle::settle(&ledger, &process.client).await?;
    let mut met = Met::default();
    for round in 0..kills {
        let mut drivers = JoinSet::new();
        for _ in 0..DRIVERS {
            let (client, random) = (process.client.clone(), Random::new(random.next_u64()));
            drivers.spawn(driver::drive(client, Arc::clone(&ledger), random));
        }
        let (client, random_of_pond) = (process.client.clone(), Random::new(random.next_u64()));
        drivers.spawn(driver::come_and_go(client, Arc::clone(&ledger), random_of_pond, pond.payload(POND)));
        tokio::time::sleep(Duration::from_millis(random.below(1000) as u64)).await;
        process.kill()?;
        while let Some(ended) = drivers.join_next().await {
            ended??;
        }
        let place = || format!("round {round}");
        sound(dir.path()).await.with_context(place)?;
        platform::mutate(&lake, &mut random, round)?;
        process = Process::start_with_databricks(dir.path()).await?;
        let found = settle::settle(&ledger, &process.client).await.with_context(place)?;
        met.unfinished_syncs += usize::from(found.unfinished_sync);
        met.unanswered_writes += usize::from(found.unanswered_write);
        met.acknowledged += found.acknowledged;
        if found.idle {
            let body = json!({ "forceRecursive": random.one_in(3) });
            process.client.post(&format!("/data/crawl/{LAKE}"), &body).await?.expect(202)?;
        }
    }
    finish(&process.client, &ledger).await?;
    process.kill()?;
    sound(dir.path()).await?;
    let db = Db::open(&dir.path().join("data/wharfinger.redb"))?;
    equal(&db, LAKE, &lake).await?;
    if settle::lock(&ledger).has_pond() {
        equal(&db, POND, &pond).await?;
    }
    Ok(met)
}

/// The file that a kill left behind breaks no rule, and looking at it has not repaired it. A process of its own looks: the
/// lock of a directory must not be inherited by what another world starts at that moment.
pub(crate) async fn sound(dir: &Path) -> anyhow::Result<()> {
    let (data, file) = (dir.join("data"), dir.join("data/wharfinger.redb"));
    let before = std::fs::read(&file)?;
    let mut verify = std::process::Command::new(env!("CARGO_BIN_EXE_host"));
    verify.arg("verify").arg("--data-dir").arg(data);
    let output = tokio::task::spawn_blocking(move || verify.output()).await??;
    anyhow::ensure!(output.status.success(), "the file is not sound: {output:?}");
    anyhow::ensure!(std::fs::read(&file)? == before, "the check has written to the file");
    Ok(())
}

/// What was found half-way is finished; one more sync, without patterns and of all that is disabled, sees the last changes.
async fn finish(client: &Client, ledger: &Mutex<Ledger>) -> anyhow::Result<()> {
    let options = json!({ "options": { "include": [], "exclude": [], "columnsMaxAge": null } });
    client.put(&format!("/data/connection/{LAKE}"), &options).await?.expect(200)?;
    driver::until_idle(client).await?;
    settle::ended(ledger, client).await?;
    let keys = if settle::lock(ledger).has_pond() { vec![LAKE, POND] } else { vec![LAKE] };
    for key in keys {
        let body = json!({ "forceRecursive": true });
        let answer = client.post(&format!("/data/crawl/{key}"), &body).await?.expect(202)?;
        let job = client.completed(answer.json["bulkId"].as_str().context("bulkId")?).await?;
        anyhow::ensure!(job["output"]["held"] == false, "the last sync is held: {job}");
    }
    Ok(())
}
