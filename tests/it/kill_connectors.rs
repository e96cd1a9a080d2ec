//! The process is killed at random moments of installing, activating, rolling back and removing connectors: exactly one
//! version is active each time, what was acknowledged is there, and the store and its files are sound.
//!
//! `WHARFINGER_TEST_KILLS` says how often, `WHARFINGER_TEST_SEED` with which choices.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use wharfinger_simulators::random::Random;
use wharfinger_tests::{
    Client,
    host::TempDir,
    versions::{Variant, payload},
};

use crate::{
    kill::{setting, sound},
    process::Process,
};

/// How often the process is killed where nothing else is said.
const KILLS: usize = 10;

const CONNECTOR: &str = "/connectors/versions";

/// What was asked for, and what of it was answered.
#[derive(Default)]
struct Ledger {
    /// Versions whose installation was acknowledged.
    installed: BTreeSet<String>,
    /// Versions whose removal was asked for: they may be gone.
    removing: BTreeSet<String>,
    /// Numbers the versions.
    next: usize,
    unanswered: usize,
    acknowledged: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_at_any_moment_exactly_one_version_serves() -> anyhow::Result<()> {
    let seed = setting("WHARFINGER_TEST_SEED").unwrap_or_else(|| uuid::Uuid::new_v4().as_u128() as u64 & 0xffff_ffff);
    let kills = setting("WHARFINGER_TEST_KILLS").map_or(KILLS, |kills| kills as usize);
    println!("seed {seed}, {kills} kills");
    let started = Instant::now();
    let (unfinished, unanswered, acknowledged) = live(seed, kills).await.with_context(|| format!("seed {seed}"))?;
    let seconds = started.elapsed().as_secs();
    println!("{unfinished} unfinished activations, {unanswered} unanswered of {acknowledged} requests in {seconds} s");
    assert!(unanswered > 0 && acknowledged > kills, "the kills missed the work");
    Ok(())
}

async fn live(seed: u64, kills: usize) -> anyhow::Result<(usize, usize, usize)> {
    let mut random = Random::new(seed);
    let dir = TempDir::new()?;
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let mut process = Process::start_bare(dir.path()).await?;
    begin(&process.client).await?;
    let mut unfinished = 0;
    for round in 0..kills {
        let driver = drive(process.client.clone(), Arc::clone(&ledger), Random::new(random.next_u64()));
        let mut drivers = tokio::task::JoinSet::new();
        drivers.spawn(driver);
        tokio::time::sleep(Duration::from_millis(100 + random.below(900) as u64)).await;
        process.kill()?;
        while let Some(ended) = drivers.join_next().await {
            ended?;
        }
        let place = || format!("round {round}");
        sound(dir.path()).await.with_context(place)?;
        process = Process::start_bare(dir.path()).await?;
        unfinished += usize::from(settled(&process.client, &ledger).await.with_context(place)?);
    }
    process.client.sync("A").await?;
    process.kill()?;
    sound(dir.path()).await?;
    let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((unfinished, ledger.unanswered, ledger.acknowledged))
}

/// One version serves one connection.
async fn begin(client: &Client) -> anyhow::Result<()> {
    let installed = offer(client, "1.0.0").await.context("answered")?.json;
    let waiting = json!({ "permissions": installed["waiting"] });
    client.post(&format!("{CONNECTOR}/1.0.0/approve"), &waiting).await?.expect(200)?;
    let path = format!("{CONNECTOR}/1.0.0/activate");
    client.send(client.request(Method::POST, &path).header("if-match", "1").json(&json!({}))).await?.expect(202)?;
    until_ended(client).await?;
    client.register(&payload("A", "Versions", 1)).await?;
    Ok(())
}

async fn offer(client: &Client, version: &str) -> anyhow::Result<wharfinger_tests::Answer> {
    let request = client.request(Method::POST, "/connectors").header("content-type", "application/octet-stream");
    client.send(request.body(Variant::new(version).component()?)).await
}

/// Does this and that until nobody answers any more.
async fn drive(client: Client, ledger: Arc<Mutex<Ledger>>, mut random: Random) {
    let with = |work: &mut dyn FnMut(&mut Ledger)| work(&mut ledger.lock().unwrap_or_else(PoisonError::into_inner));
    loop {
        let Ok(connector) = client.get(CONNECTOR).await else { return };
        let versions: Vec<String> = connector.json["versions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|version| version["version"].as_str().map(str::to_owned))
            .collect();
        let revision = connector.json["revision"].to_string();
        let one = versions.get(random.below(versions.len().max(1))).cloned().unwrap_or_default();
        let at = |path: String| client.request(Method::POST, &path).header("if-match", revision.clone());
        let answer = match random.below(8) {
            0..=2 => {
                let mut version = String::new();
                with(&mut |ledger| {
                    ledger.next += 1;
                    version = format!("1.{}.0", ledger.next);
                });
                let answer = offer(&client, &version).await;
                if answer.as_ref().is_ok_and(|answer| answer.status == 201) {
                    with(&mut |ledger| {
                        ledger.installed.insert(version.clone());
                    });
                }
                answer
            }
            3..=5 => client.send(at(format!("{CONNECTOR}/{one}/activate")).json(&json!({ "force": true }))).await,
            6 => client.send(at(format!("{CONNECTOR}/rollback")).json(&json!({}))).await,
            _ => {
                with(&mut |ledger| {
                    ledger.removing.insert(one.clone());
                });
                let answer = client.delete(&format!("{CONNECTOR}/{one}")).await;
                if answer.as_ref().is_ok_and(|answer| answer.status == 409) {
                    with(&mut |ledger| {
                        ledger.removing.remove(&one);
                    });
                }
                answer
            }
        };
        match answer {
            Ok(_) => with(&mut |ledger| ledger.acknowledged += 1),
            Err(_) => return with(&mut |ledger| ledger.unanswered += 1),
        }
    }
}

/// What a new start finds: one version is active and serves, and everything that was acknowledged is there. Whether an
/// activation was under way.
async fn settled(client: &Client, ledger: &Mutex<Ledger>) -> anyhow::Result<bool> {
    let connector = client.get(CONNECTOR).await?.expect(200)?.json;
    one_is_active(&connector)?;
    let found: BTreeSet<&str> =
        connector["versions"].as_array().context("versions")?.iter().filter_map(|v| v["version"].as_str()).collect();
    {
        let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let lost: Vec<&String> = ledger
            .installed
            .iter()
            .filter(|version| !ledger.removing.contains(*version) && !found.contains(version.as_str()))
            .collect();
        ensure!(lost.is_empty(), "{lost:?} were acknowledged and are gone");
    }
    let was_under_way = matches!(connector["rollout"]["step"].as_str(), Some("compatibility" | "check" | "promote"));
    let connector = until_ended(client).await?;
    one_is_active(&connector)?;
    let connection = client.get("/data/connection/A").await?.expect(200)?.json;
    ensure!(connection["connector"]["version"] == connector["version"], "{connection} is not served by {connector}");
    Ok(was_under_way)
}

fn one_is_active(connector: &Value) -> anyhow::Result<()> {
    let versions = connector["versions"].as_array().context("versions")?;
    let active: Vec<&Value> = versions.iter().filter(|v| v["state"] == "active").collect();
    ensure!(active.len() == 1 && active[0]["version"] == connector["version"], "{connector}");
    ensure!(connector["problem"].is_null(), "{connector}");
    Ok(())
}

async fn until_ended(client: &Client) -> anyhow::Result<Value> {
    for _ in 0..3000 {
        let connector = client.get(CONNECTOR).await?.expect(200)?.json;
        if matches!(connector["rollout"]["step"].as_str(), None | Some("done" | "blocked" | "ended")) {
            return Ok(connector);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("the activation does not end")
}
