//! Two connections of one host: a hostile one that syncs in a loop, and a well-behaved one that is measured alone and
//! beside it, by turns, so that whatever else the machine does counts for both.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use wharfinger_simulators::unity_catalog::{Options, Shape, UnityCatalog};

use crate::{Client, TestHost, guests};

/// Sins that go on for a while.
pub const SINS: [&str; 9] =
    ["loop", "host calls", "growth", "flood", "hang", "stalled server", "huge pages", "never ends", "tiny pages"];

/// The key of the one that behaves.
const NEIGHBOUR: &str = "Neighbour";

/// How long a hostile sync runs before its neighbour's begins.
const LEAD: Duration = Duration::from_millis(300);

/// A host with a well-behaved connection on it.
pub struct Street {
    host: TestHost,
    /// Behind the well-behaved one.
    _platform: UnityCatalog,
    /// Takes the hostile ones' connections and says nothing.
    silent: TcpListener,
}

/// What was measured beside one sin.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Which one.
    pub sin: String,
    /// Seconds of the neighbour's syncs with nobody beside.
    pub alone: Vec<f64>,
    /// The same beside the sin.
    pub beside: Vec<f64>,
}

impl Street {
    /// Starts a host and syncs a platform of this size for the first time.
    pub async fn start(tables: usize, columns: usize, latency: Duration) -> Result<Self> {
        let metastore = Shape::one_schema(tables, columns).generate(3);
        let platform = UnityCatalog::start(Options { latency, ..Options::new(metastore) }).await?;
        let host = TestHost::start().await?;
        host.app().connectors().load(&std::fs::read(guests::SINS)?).await?;
        host.client().register(&platform.payload(NEIGHBOUR)).await?;
        Ok(Self { host, _platform: platform, silent: TcpListener::bind("0.0.0.0:0")? })
    }

    /// Measures beside one sin. A sync of the neighbour that does not complete is an error.
    pub async fn measure(&self, sin: &str, runs: usize) -> Result<Figures> {
        let key = sin.replace(' ', "-");
        let mut figures = Figures { sin: sin.to_owned(), alone: Vec::new(), beside: Vec::new() };
        let hostile = Hostile::move_in(self.host.client(), &key, &self.payload(&key, sin)?).await?;
        for _ in 0..runs {
            figures.alone.push(self.sync().await?);
            let running = hostile.begin();
            tokio::time::sleep(LEAD).await;
            figures.beside.push(self.sync().await?);
            hostile.end(running).await?;
        }
        Ok(figures)
    }

    /// Ends the host.
    pub async fn stop(self) {
        self.host.stop().await;
    }

    async fn sync(&self) -> Result<f64> {
        let job = self.host.client().sync(NEIGHBOUR).await?;
        anyhow::ensure!(job["output"]["errorCount"] == 0, "the neighbour's sync has errors: {job}");
        Ok(job["output"]["durationMs"].as_f64().context("durationMs")? / 1000.0)
    }

    fn payload(&self, key: &str, sin: &str) -> Result<Value> {
        let port = self.silent.local_addr()?.port();
        // An account is registered once: each has an address of its own.
        let number = SINS.iter().position(|known| *known == sin).context("a known sin")? + 2;
        Ok(json!({
            "connectionKey": key,
            "connection": {
                "technology": "Guest", "hostname": format!("http://127.0.0.{number}"), "port": port,
                "authenticationType": "token", "token": "canary-0123456789abcdef", "sin": sin,
            },
            "settings": { "isActive": true, "activateNewChildren": true },
        }))
    }
}

/// The hostile connection.
struct Hostile {
    client: Client,
    key: String,
    /// What it has asked for last.
    bulk: Arc<Mutex<String>>,
}

impl Hostile {
    async fn move_in(client: &Client, key: &str, payload: &Value) -> Result<Self> {
        let answer = client.post("/data/connection", payload).await?.expect(201)?;
        let bulk = answer.json["bulkId"].as_str().context("bulkId")?.to_owned();
        let hostile = Self { client: client.clone(), key: key.to_owned(), bulk: Arc::new(Mutex::new(bulk)) };
        hostile.end(JoinSet::new()).await?;
        Ok(hostile)
    }

    /// Syncs again and again.
    fn begin(&self) -> JoinSet<Result<()>> {
        let (client, path, bulk) = (self.client.clone(), format!("/data/crawl/{}", self.key), self.bulk.clone());
        let mut running = JoinSet::new();
        running.spawn(async move {
            loop {
                let answer = client.post(&path, &json!({})).await?.expect(202)?;
                let asked = answer.json["bulkId"].as_str().context("bulkId")?.to_owned();
                *bulk.lock().unwrap_or_else(PoisonError::into_inner) = asked.clone();
                client.finished(&asked).await?;
            }
        });
        running
    }

    /// Stops asking, and what was asked for.
    async fn end(&self, mut running: JoinSet<Result<()>>) -> Result<()> {
        running.shutdown().await;
        let bulk = self.bulk.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let jobs = self.client.get(&format!("/jobs?bulkId={bulk}")).await?;
        for job in jobs.json.as_array().context("jobs")? {
            let id = job["id"].as_str().context("id")?;
            // One that has ended by itself need not be.
            self.client.post(&format!("/jobs/{id}/cancel"), &json!({})).await?;
        }
        self.client.finished(&bulk).await.map(drop)
    }
}

impl Figures {
    /// How much longer a sync took beside the sin than alone, by the medians.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        median(&self.beside) / median(&self.alone)
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (alone, beside, ratio) = (median(&self.alone), median(&self.beside), self.ratio());
        let times = |all: &[f64]| all.iter().map(|s| format!("{s:.2}")).collect::<Vec<_>>().join(" ");
        write!(f, "{:<15} alone {alone:.2} s, beside {beside:.2} s: × {ratio:.2}", self.sin)?;
        write!(f, "  (alone {}; beside {})", times(&self.alone), times(&self.beside))
    }
}

fn median(all: &[f64]) -> f64 {
    let mut sorted = all.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
