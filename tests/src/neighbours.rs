//! Two connections of one host: a hostile one that syncs in a loop, and a well-behaved one that is measured alone and
//! beside it, by turns, so that whatever else the machine does counts for both.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use wharfinger_simulators::unity_catalog::{Options, Shape, UnityCatalog};

use crate::{Client, TestHost, guests};

/// A sin, and how it is committed over and over again.
#[derive(Clone, Copy, Debug)]
pub struct Sin {
    /// Its name, which its guest goes by.
    pub name: &'static str,
    guest: &'static str,
    act: Act,
}

/// What is asked for without end.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Syncs of a connection, one after another.
    Sync,
    /// Tests of a payload, several at a time.
    Check,
    /// That the component be installed.
    Install,
}

/// Tests at a time.
const TESTS: usize = 4;

/// Between a sync, a test or an installation and the next one: what is measured is what a component does, not how fast somebody asks.
const PAUSE: Duration = Duration::from_millis(100);

const fn sin(name: &'static str, guest: &'static str, act: Act) -> Sin {
    Sin { name, guest, act }
}

/// Sins that take something from others while they last: time, memory, places, or the store's attention. Those that only
/// return something wrong last no longer than their call.
pub const SINS: &[Sin] = &[
    sin("loop", guests::SINS, Act::Sync),
    sin("host calls", guests::SINS, Act::Sync),
    sin("growth", guests::SINS, Act::Sync),
    sin("flood", guests::SINS, Act::Sync),
    sin("hang", guests::SINS, Act::Sync),
    sin("stalled server", guests::SINS, Act::Sync),
    sin("huge pages", guests::SINS, Act::Sync),
    sin("never ends", guests::SINS, Act::Sync),
    sin("tiny pages", guests::SINS, Act::Sync),
    sin("alternates", guests::SINS, Act::Sync),
    sin("polls", guests::SINS, Act::Sync),
    sin("duplicates", guests::SINS, Act::Sync),
    sin("orphans", guests::SINS, Act::Sync),
    sin("trap in plan", guests::SINS, Act::Sync),
    sin("trap in read", guests::SINS, Act::Sync),
    sin("handles", guests::SINS, Act::Check),
    sin("recursion in memory", guests::SINS, Act::Check),
    sin("host calls in check", guests::SINS, Act::Check),
    sin("stalled batch in check", guests::SINS, Act::Check),
    sin("endless loop", guests::LOOPS, Act::Check),
    sin("loop in realloc", guests::LOOP_IN_REALLOC, Act::Check),
    sin("memory growth", guests::GROWS, Act::Check),
    sin("table growth", guests::TABLES, Act::Check),
    sin("recursion", guests::RECURSION, Act::Check),
    sin("batches", guests::HOARDS, Act::Check),
    sin("log flood", guests::FLOODS, Act::Check),
    sin("quadratic list of strings", guests::MANY_OF_ONE, Act::Check),
    sin("list of overflowing size", guests::LIST_OVERFLOWS, Act::Check),
    sin("text that is no UTF-8", guests::TEXT_NOT_UTF8, Act::Check),
    sin("trap", guests::TRAPS, Act::Check),
    sin("huge component", guests::HUGE, Act::Install),
    sin("compile bomb", guests::COMPILE_BOMB, Act::Install),
    sin("loop in describe", guests::LOOP_IN_DESCRIBE, Act::Install),
    sin("trap in describe", guests::TRAP_IN_DESCRIBE, Act::Install),
    sin("nondeterministic describe", guests::WAVERS, Act::Install),
];

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
        host.client().register(&platform.payload(NEIGHBOUR)).await?;
        Ok(Self { host, _platform: platform, silent: TcpListener::bind("0.0.0.0:0")? })
    }

    /// Measures beside one sin. A sync of the neighbour that does not complete is an error.
    pub async fn measure(&self, sin: &Sin, runs: usize) -> Result<Figures> {
        let mut figures = Figures { sin: sin.name.to_owned(), alone: Vec::new(), beside: Vec::new() };
        let hostile = self.move_in(sin).await?;
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

    /// The sin's guest serves, and its connection is registered where it has one.
    async fn move_in(&self, sin: &Sin) -> Result<Hostile> {
        let client = self.host.client().clone();
        let component = std::fs::read(sin.guest)?;
        Ok(match sin.act {
            Act::Install => Hostile::Install { client, component: component.into() },
            Act::Check => {
                self.host.app().connectors().load(&component).await?;
                Hostile::Check { client, payload: self.payload(sin)? }
            }
            Act::Sync => {
                self.host.app().connectors().load(&component).await?;
                let payload = self.payload(sin)?;
                let answer = client.post("/data/connection", &payload).await?.expect(201)?;
                let bulk = answer.json["bulkId"].as_str().context("bulkId")?.to_owned();
                let key = payload["connectionKey"].as_str().unwrap_or_default().to_owned();
                let hostile = Hostile::Sync { client, key, bulk: Arc::new(Mutex::new(bulk)) };
                hostile.end(JoinSet::new()).await?;
                hostile
            }
        })
    }

    fn payload(&self, sin: &Sin) -> Result<Value> {
        let port = self.silent.local_addr()?.port();
        // An account is registered once: each has an address of its own.
        let number = SINS.iter().position(|known| known.name == sin.name).context("a known sin")? + 2;
        Ok(json!({
            "connectionKey": sin.name.replace(' ', "-"),
            "connection": {
                "technology": "Guest", "hostname": format!("http://127.0.0.{number}"), "port": port,
                "authenticationType": "token", "token": "canary-0123456789abcdef", "sin": sin.name,
            },
            "settings": { "isActive": true, "activateNewChildren": true },
        }))
    }
}

/// Who commits the sin.
enum Hostile {
    Sync {
        client: Client,
        key: String,
        /// What it has asked for last.
        bulk: Arc<Mutex<String>>,
    },
    Check {
        client: Client,
        payload: Value,
    },
    Install {
        client: Client,
        component: Bytes,
    },
}

impl Hostile {
    /// Commits it again and again.
    fn begin(&self) -> JoinSet<Result<()>> {
        let mut running = JoinSet::new();
        match self {
            Self::Sync { client, key, bulk } => {
                let (client, path, bulk) = (client.clone(), format!("/data/crawl/{key}"), bulk.clone());
                running.spawn(async move {
                    loop {
                        let answer = client.post(&path, &json!({})).await?.expect(202)?;
                        let asked = answer.json["bulkId"].as_str().context("bulkId")?.to_owned();
                        *bulk.lock().unwrap_or_else(PoisonError::into_inner) = asked.clone();
                        client.finished(&asked).await?;
                        tokio::time::sleep(PAUSE).await;
                    }
                });
            }
            Self::Check { client, payload } => {
                for _ in 0..TESTS {
                    let (client, payload) = (client.clone(), payload.clone());
                    running.spawn(async move {
                        loop {
                            // Whatever the answer is.
                            client.post("/data/connection/test", &payload).await?;
                            tokio::time::sleep(PAUSE).await;
                        }
                    });
                }
            }
            Self::Install { client, component } => {
                let (client, component) = (client.clone(), component.clone());
                running.spawn(async move {
                    loop {
                        let request = client.request(Method::POST, "/connectors");
                        let request = request.header("content-type", "application/octet-stream");
                        // One that is refused for its size may find the connection closed while it still sends.
                        let _ = client.send(request.body(component.clone())).await;
                        tokio::time::sleep(PAUSE).await;
                    }
                });
            }
        }
        running
    }

    /// Stops asking, and what was asked for.
    async fn end(&self, mut running: JoinSet<Result<()>>) -> Result<()> {
        running.shutdown().await;
        let Self::Sync { client, bulk, .. } = self else { return Ok(()) };
        let bulk = bulk.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let jobs = client.get(&format!("/jobs?bulkId={bulk}")).await?;
        for job in jobs.json.as_array().context("jobs")? {
            let id = job["id"].as_str().context("id")?;
            // One that has ended by itself need not be.
            client.post(&format!("/jobs/{id}/cancel"), &json!({})).await?;
        }
        client.finished(&bulk).await.map(drop)
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
        write!(f, "{:<25} alone {alone:.2} s, beside {beside:.2} s: × {ratio:.2}", self.sin)?;
        write!(f, "  (alone {}; beside {})", times(&self.alone), times(&self.beside))
    }
}

fn median(all: &[f64]) -> f64 {
    let mut sorted = all.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
