//! Versions take over again and again while four connections sync: good ones, and ones that must not stay.
//!
//! The good ones are the bundled connector under other version numbers, so that they read a real platform; the bad ones say
//! that they are versions of it. `WHARFINGER_TEST_SWAPS` says how often, `WHARFINGER_TEST_SEED` with which choices.

mod figures;
mod syncs;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wharfinger::{clock::Clock, connector::Limits};
use wharfinger_simulators::{
    random::Random,
    unity_catalog::{Options, Shape, UnityCatalog, generate::Names},
};
use wharfinger_tests::{TestHost, inventory::equal, versions::Variant};

use self::{figures::Figures, syncs::Syncs};

const NAME: &str = "databricks";
const TECHNOLOGY: &str = "Databricks";

/// Swaps where nothing else is said.
const SWAPS: usize = 24;

/// Versions that are kept installed: older ones are removed.
const KEPT: usize = 12;

const CONNECTIONS: usize = 4;

/// What a version is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Good,
    /// Its check fails.
    Failing,
    /// Its check passes, and then it traps.
    Trapping,
    /// Its check passes, and then it computes without end.
    Slow,
    /// It wants to do more than was granted.
    Greedy,
}

impl Kind {
    /// Ten swaps in a new order, of which the first five are of each kind.
    fn deal(random: &mut Random) -> Vec<Self> {
        use Kind::{Failing, Good, Greedy, Slow, Trapping};
        let mut dealt = Vec::new();
        for mut hand in [[Good, Failing, Trapping, Slow, Greedy], [Good, Good, Good, Good, Trapping]] {
            for at in (1..hand.len()).rev() {
                hand.swap(at, random.below(at + 1));
            }
            dealt.extend(hand);
        }
        dealt
    }

    /// What becomes of all of them.
    fn fate(self) -> &'static str {
        match self {
            Self::Good => "took over",
            Self::Failing | Self::Greedy => "kept out",
            Self::Trapping | Self::Slow => "taken back",
        }
    }

    fn component(self, version: &str, good: &[u8]) -> anyhow::Result<Vec<u8>> {
        let bad = Variant::new(version).named(NAME, TECHNOLOGY);
        match self {
            Self::Good => renumbered(good, version),
            Self::Failing => bad.doing("check-fails").component(),
            Self::Trapping => bad.doing("read-traps").component(),
            Self::Slow => bad.doing("read-loops").component(),
            Self::Greedy => bad
                .with("/egress/0/methods", json!(["GET", "POST"]))
                .with("/egress/0/paths", json!([format!("/{version}/*")]))
                .component(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn good_versions_are_swapped_without_a_failure_and_bad_ones_do_not_stay() -> anyhow::Result<()> {
    let seed = setting("WHARFINGER_TEST_SEED").unwrap_or_else(|| uuid::Uuid::new_v4().as_u128() as u64 & 0xffff_ffff);
    let swaps = setting("WHARFINGER_TEST_SWAPS").map_or(SWAPS, |swaps| swaps as usize);
    println!("seed {seed}, {swaps} swaps");
    let report = run(seed, swaps).await.with_context(|| format!("seed {seed}"))?;
    println!("{report}");
    Ok(())
}

async fn run(seed: u64, swaps: usize) -> anyhow::Result<String> {
    let mut random = Random::new(seed);
    let host = TestHost::start_with(Clock::system(), |config| {
        // A call that computes without end shall not take half of the test: less than an operator could choose.
        let limits = Limits { time_factor: 0.05, ..Limits::default() };
        config.connectors.limits.insert(NAME.into(), limits);
    })
    .await?;
    let mut platforms = Vec::new();
    for at in 0..CONNECTIONS {
        let shape = Shape { catalogs: 2, schemas: 4, tables: 120, columns: 4, names: Names::Plain };
        let platform = UnityCatalog::start(Options::new(shape.generate(seed.wrapping_add(at as u64)))).await?;
        platform.set_latency(Duration::from_millis(20));
        host.client().register(&platform.payload(&key(at))).await?;
        platforms.push(Arc::new(platform));
    }
    let good = bundled()?;
    let (syncs, stop) = (Syncs::default(), CancellationToken::new());
    let mut loops = tokio::task::JoinSet::new();
    for (at, platform) in platforms.iter().enumerate() {
        let random = Random::new(random.next_u64());
        loops.spawn(syncs.clone().run(host.client().clone(), key(at), Arc::clone(platform), random, stop.clone()));
    }
    let mut storm =
        Storm { host: &host, syncs: syncs.clone(), figures: Figures::default(), serves: serves(&host).await? };
    let mut kinds = Vec::new();
    while kinds.len() < swaps {
        kinds.extend(Kind::deal(&mut random));
    }
    for (number, kind) in kinds.into_iter().take(swaps).enumerate() {
        let version = format!("{}.{}.{}", 1 + number / 100, number / 10 % 10, number % 10);
        let component = kind.component(&version, &good)?;
        storm.swap(kind, &version, component).await.with_context(|| format!("swap {number}, {kind:?} {version}"))?;
        tokio::time::sleep(Duration::from_millis(random.below(300) as u64)).await;
    }
    stop.cancel();
    while let Some(ended) = loops.join_next().await {
        ended??;
    }
    for (at, platform) in platforms.iter().enumerate() {
        host.client().sync(&key(at)).await?;
        equal(host.app().db(), &key(at), platform).await?;
    }
    let violations = host.app().db().verify().await?;
    ensure!(violations.is_empty(), "{violations:?}");
    let report = storm.figures.report() + &syncs.judge()?;
    host.stop().await;
    Ok(report)
}

/// Who swaps, and what came of it.
struct Storm<'a> {
    host: &'a TestHost,
    syncs: Syncs,
    figures: Figures,
    /// The version that serves, as far as the storm knows.
    serves: String,
}

impl Storm<'_> {
    async fn swap(&mut self, kind: Kind, version: &str, component: Vec<u8>) -> anyhow::Result<()> {
        let client = self.host.client();
        let began = Instant::now();
        let request = client.request(Method::POST, "/connectors").header("content-type", "application/octet-stream");
        let installed = client.send(request.body(component)).await?.expect(201)?.json;
        self.figures.installed(began.elapsed());
        if kind != Kind::Greedy && installed["waiting"] != json!([]) {
            let path = format!("/connectors/{NAME}/{version}/approve");
            client.post(&path, &json!({ "permissions": installed["waiting"] })).await?.expect(200)?;
        }
        match kind {
            Kind::Good => {
                let mut seen = figures::watch(self.host, version);
                let step = self.activate(version).await?;
                ensure!(step == "done", "a good version was kept out: {}", detail(self.host).await?);
                self.figures.seen(&seen.join_next().await.context("somebody watches")???);
                self.serves = version.into();
            }
            Kind::Failing => {
                let step = self.activate(version).await?;
                ensure!(step == "blocked", "a version whose check fails took over: {step}");
            }
            Kind::Trapping | Kind::Slow => {
                let trouble = self.syncs.trouble();
                let took_over = Instant::now();
                self.activate(version).await?;
                self.taken_back(version).await?;
                self.figures.taken_back(kind, took_over.elapsed());
                drop(trouble);
            }
            Kind::Greedy => {
                let answer = self.ask(version).await?;
                ensure!(answer.status == 409, "a version that nobody approved was activated: {}", answer.text);
            }
        }
        let serves = serves(self.host).await?;
        ensure!(serves == self.serves, "{serves} serves instead of {}", self.serves);
        self.figures.count(kind, began.elapsed());
        self.clear().await
    }

    async fn ask(&self, version: &str) -> anyhow::Result<wharfinger_tests::Answer> {
        let revision = detail(self.host).await?["revision"].take();
        let client = self.host.client();
        let request = client.request(Method::POST, &format!("/connectors/{NAME}/{version}/activate"));
        client.send(request.header("if-match", revision.to_string()).json(&json!({}))).await
    }

    /// Activates a version and waits for how that ends.
    async fn activate(&self, version: &str) -> anyhow::Result<String> {
        self.ask(version).await?.expect(202)?;
        for _ in 0..6000 {
            let connector = detail(self.host).await?;
            match connector["rollout"]["step"].as_str() {
                Some(step @ ("done" | "blocked" | "ended")) => return Ok(step.to_owned()),
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        bail!("the activation does not end: {}", detail(self.host).await?)
    }

    /// Waits until the host has taken a version back by itself.
    async fn taken_back(&self, version: &str) -> anyhow::Result<()> {
        for _ in 0..6000 {
            let connector = detail(self.host).await?;
            let versions = connector["versions"].as_array().context("versions")?;
            let found = versions.iter().find(|v| v["version"] == version).context("the version")?;
            if !found["takenBack"].is_null() && connector["version"] != version {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("it still serves: {}", detail(self.host).await?)
    }

    /// Removes the oldest versions that nobody needs.
    async fn clear(&self) -> anyhow::Result<()> {
        let connector = detail(self.host).await?;
        let versions: Vec<&Value> = connector["versions"].as_array().context("versions")?.iter().collect();
        for version in versions.iter().skip(KEPT) {
            let version = version["version"].as_str().context("a version")?;
            let answer = self.host.client().delete(&format!("/connectors/{NAME}/{version}")).await?;
            ensure!(answer.status.is_success() || answer.status == 409, "{}", answer.text);
        }
        Ok(())
    }
}

async fn detail(host: &TestHost) -> anyhow::Result<Value> {
    Ok(host.client().get(&format!("/connectors/{NAME}")).await?.expect(200)?.json)
}

async fn serves(host: &TestHost) -> anyhow::Result<String> {
    Ok(detail(host).await?["version"].as_str().context("a version serves")?.to_owned())
}

fn key(at: usize) -> String {
    format!("Lake{at}")
}

/// The connector that is inside the binary.
fn bundled() -> anyhow::Result<Vec<u8>> {
    let found = wharfinger::connector::bundled::BUNDLED.iter().find(|(name, _)| *name == NAME);
    Ok(found.context("it is bundled")?.1.to_vec())
}

/// The same component under another version number of the same length. Its own number stands among its texts; those of the
/// contract's interfaces, which begin with `@`, stay.
fn renumbered(component: &[u8], version: &str) -> anyhow::Result<Vec<u8>> {
    let old = env!("CARGO_PKG_VERSION").as_bytes();
    ensure!(old.len() == version.len(), "version numbers of another length");
    let mut bytes = component.to_vec();
    let places: Vec<usize> = (1..bytes.len() - old.len())
        .filter(|&at| bytes[at..].starts_with(old) && !matches!(bytes[at - 1], b'@' | b'"'))
        .collect();
    ensure!(!places.is_empty(), "the component does not tell its version");
    for at in places {
        bytes[at..at + old.len()].copy_from_slice(version.as_bytes());
    }
    Ok(bytes)
}

#[allow(clippy::disallowed_methods, reason = "a failed run is repeated with its seed")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}
