//! The process is killed at random moments of installing, activating, rolling back and removing connectors: exactly one
//! version is active each time, what was acknowledged is there, and the store and its files are sound.
//!
//! Each kill is aimed at one operation: within the time that this operation took when nobody disturbed it.
//! `WHARFINGER_TEST_KILLS` says how often, `WHARFINGER_TEST_SEED` with which choices.

mod aim;
mod shop;

use std::{collections::BTreeMap, time::Instant};

use anyhow::{Context as _, ensure};
use wharfinger::db::Db;
use wharfinger_simulators::random::Random;
use wharfinger_tests::host::TempDir;

use self::{
    aim::{Hits, Kind},
    shop::{CONNECTOR, Shop},
};
use crate::{
    kill::{setting, sound},
    process::Process,
};

/// How often the process is killed where nothing else is said: each kind has its turn three times.
const KILLS: usize = 15;

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_at_any_moment_exactly_one_version_serves() -> anyhow::Result<()> {
    let seed = setting("WHARFINGER_TEST_SEED").unwrap_or_else(|| uuid::Uuid::new_v4().as_u128() as u64 & 0xffff_ffff);
    let kills = setting("WHARFINGER_TEST_KILLS").map_or(KILLS, |kills| kills as usize);
    println!("seed {seed}, {kills} kills");
    let started = Instant::now();
    let hits = live(seed, kills).await.with_context(|| format!("seed {seed}"))?;
    println!("{hits}{kills} kills in {} s", started.elapsed().as_secs());
    // Its check takes its time. The others are over in milliseconds: which of them is met is luck, but not that none is.
    let all: usize = Kind::ALL.iter().map(|kind| hits.inside(*kind)).sum();
    ensure!(kills < KILLS || hits.inside(Kind::Activate) > 0, "no kill fell inside of an activation, seed {seed}");
    ensure!(all > kills / 4, "most kills missed what they were aimed at, seed {seed}");
    Ok(())
}

#[allow(clippy::print_stdout, reason = "the figures are for people")]
async fn live(seed: u64, kills: usize) -> anyhow::Result<Hits> {
    let mut random = Random::new(seed);
    let dir = TempDir::new()?;
    let mut process = Process::start_bare(dir.path()).await?;
    let mut shop = Shop::open(&process.client).await?;
    // How long each takes when nobody disturbs it.
    let mut usual = BTreeMap::new();
    for kind in Kind::ALL {
        let prepared = shop.prepare(kind, &process.client, &mut random).await?;
        let began = Instant::now();
        let answered = shop::ask(&prepared, &process.client).await;
        if kind == Kind::Activate {
            shop::until_ended(&process.client).await?;
        }
        usual.insert(kind, began.elapsed());
        shop.note(&prepared, answered)?;
        shop.judge(&process.client).await.with_context(|| format!("{kind:?}"))?;
    }
    println!("undisturbed: {usual:.1?}");
    let mut hits = Hits::default();
    for round in 0..kills {
        let kind = Kind::ALL[round % Kind::ALL.len()];
        let place = || format!("round {round}, {kind:?}");
        let prepared = shop.prepare(kind, &process.client, &mut random).await.with_context(place)?;
        let within = usual.entry(kind).or_default();
        let moment = aim::moment(kind, *within, &mut random);
        let mut asking = tokio::task::JoinSet::new();
        let (client, request) = (process.client.clone(), prepared.clone());
        asking.spawn(async move { shop::ask(&request, &client).await });
        tokio::time::sleep(moment).await;
        process.kill()?;
        let answered = asking.join_next().await.context("it asks")??;
        sound(dir.path()).await.with_context(place)?;
        let stopped = stored(&dir).await.with_context(place)?;
        let is_inside = hits.count(kind, answered.is_err(), stopped.as_deref());
        // A machine that others use is not always as fast.
        *within = if is_inside { *within * 6 / 5 } else { *within * 2 / 3 };
        shop.note(&prepared, answered).with_context(place)?;
        process = Process::start_bare(dir.path()).await?;
        shop.judge(&process.client).await.with_context(place)?;
    }
    process.client.sync("A").await?;
    process.kill()?;
    sound(dir.path()).await?;
    Ok(hits)
}

/// The step of the activation that the kill cut short, if there is one. Read from a copy: the next start shall find the file
/// as the kill left it.
async fn stored(dir: &TempDir) -> anyhow::Result<Option<String>> {
    let copy = dir.path().join("copy.redb");
    std::fs::copy(dir.path().join("data/wharfinger.redb"), &copy)?;
    let (connector, _) = Db::open(&copy)?.connector(CONNECTOR).await?.context("the connector")?;
    Ok(connector.under_way().map(|rollout| rollout.step.as_str().to_owned()))
}
