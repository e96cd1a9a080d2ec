//! Readers: they list children and look for names, one request after another of each kind, and note how long each took.
//!
//! They run on a thread of their own, so that the simulator in this process does not delay what they measure more than
//! any other program on the machine would.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use serde::Serialize;
use serde_json::{Value, json};
use wharfinger_tests::Client;

use crate::hosted::KEY;

/// The one table that is called otherwise than all.
pub(crate) const RARE: &str = "needle_in_the_hay";

/// Between two requests of one reader: readers are people.
const PAUSE: Duration = Duration::from_millis(10);

/// How long requests of one kind took, in milliseconds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Latencies {
    pub(crate) what: &'static str,
    pub(crate) samples: usize,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Latencies {
    /// The figures of some durations.
    pub(crate) fn of(what: &'static str, mut taken: Vec<Duration>) -> Self {
        taken.sort();
        let at = |share: f64| {
            let place = (taken.len() as f64 * share).ceil() as usize;
            taken.get(place.saturating_sub(1)).map_or(0.0, |took| took.as_secs_f64() * 1000.0)
        };
        Self { what, samples: taken.len(), p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }
}

/// What is asked, and how often.
#[derive(Clone)]
pub(crate) struct Probe {
    base: String,
    /// URL path of a schema.
    schema: String,
    samples: usize,
    at_most: Duration,
}

/// Readers that are reading.
pub(crate) struct Reading {
    over: Arc<AtomicBool>,
    /// Kinds of requests of which there are enough.
    enough: Arc<AtomicUsize>,
    thread: JoinHandle<Result<Vec<Latencies>>>,
}

/// A kind of request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Children,
    NextChildren,
    Search(&'static str, &'static str),
}

const LISTS: [Kind; 2] = [Kind::Children, Kind::NextChildren];
const SEARCHES: [Kind; 4] = [
    Kind::Search("search, one hit", "in_the_HAY"),
    Kind::Search("search, 1 in 1000", "_00071"),
    Kind::Search("search, all hit", "table"),
    Kind::Search("search, no hit", "quagga"),
];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Children => "children, first page",
            Self::NextChildren => "children, later pages",
            Self::Search(name, _) => name,
        }
    }
}

impl Probe {
    /// Readers of a host, with a schema to list.
    pub(crate) fn new(client: &Client, schema: &[String], samples: usize, at_most: Duration) -> Self {
        Self { base: client.base().to_owned(), schema: schema.join("/"), samples, at_most }
    }

    /// Begins to read.
    pub(crate) fn start(&self) -> Reading {
        let (over, enough) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (probe, told, count) = (self.clone(), Arc::clone(&over), Arc::clone(&enough));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let (lists, searches) =
                    tokio::try_join!(probe.read(&LISTS, &told, &count), probe.read(&SEARCHES, &told, &count))?;
                Ok(lists.into_iter().chain(searches).collect())
            })
        });
        Reading { over, enough, thread }
    }

    /// Reads until there is enough of everything.
    pub(crate) async fn run_alone(&self) -> Result<Vec<Latencies>> {
        let reading = self.start();
        while !reading.has_enough() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        reading.stop()
    }

    /// One request of each kind in turn, until there are enough or it is over.
    async fn read(&self, kinds: &[Kind], over: &AtomicBool, enough: &AtomicUsize) -> Result<Vec<Latencies>> {
        // One's own: connections live and die with the thread that made them.
        let client = Client::new(&self.base, Some(KEY.into()));
        let began = Instant::now();
        let mut taken = vec![Vec::new(); kinds.len()];
        let mut next = Value::Null;
        'all: for _ in 0..self.samples {
            for (of, kind) in taken.iter_mut().zip(kinds) {
                if over.load(Ordering::Relaxed) || began.elapsed() > self.at_most {
                    break 'all;
                }
                let begun = Instant::now();
                next = self.ask(&client, *kind, next).await.with_context(|| kind.name())?;
                of.push(begun.elapsed());
                tokio::time::sleep(PAUSE).await;
            }
        }
        enough.fetch_add(1, Ordering::Relaxed);
        Ok(kinds.iter().zip(taken).map(|(kind, taken)| Latencies::of(kind.name(), taken)).collect())
    }

    /// One request; gives where a listing goes on.
    async fn ask(&self, client: &Client, kind: Kind, next: Value) -> Result<Value> {
        let (path, body) = match kind {
            Kind::Children => (self.schema.as_str(), json!({})),
            Kind::NextChildren if next.is_null() => (self.schema.as_str(), json!({})),
            Kind::NextChildren => (self.schema.as_str(), json!({ "next": next })),
            Kind::Search(_, text) => (super::KEY, json!({ "recursive": true, "searchText": text })),
        };
        let answer = client.post(&format!("/data/object/search/{path}"), &body).await?.expect(200)?;
        Ok(answer.json["next"].clone())
    }
}

impl Reading {
    /// Whether there are enough answers of every kind.
    pub(crate) fn has_enough(&self) -> bool {
        self.enough.load(Ordering::Relaxed) == 2 || self.thread.is_finished()
    }

    /// Ends the reading.
    pub(crate) fn stop(self) -> Result<Vec<Latencies>> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("a reader fell over"))?
    }
}
