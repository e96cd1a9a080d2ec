//! Plays back answers that a real server once gave, over HTTP, byte for byte as far as they were recorded.
//!
//! A request finds its recording by method, path and the set of its query parameters; their order and the parameters
//! that the real server ignores do not count. A request without a recording is answered 501 and remembered, so that a
//! test can fail on it: a player never invents.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use http::Method;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::journal::{Counters, Entry, Journal};
use crate::wire::{self, Body, Call, Outcome, Reply, Server, parameters};

/// One request and its answer, as it lies in a file.
#[derive(Debug, Deserialize)]
pub struct Recording {
    /// What was asked.
    pub request: Asked,
    /// What came.
    pub response: Answered,
    /// What is worth knowing about it.
    pub note: Option<String>,
}

/// The request of a recording.
#[derive(Debug, Deserialize)]
pub struct Asked {
    /// Verb.
    pub method: String,
    /// As sent.
    pub path: String,
    /// As sent, without `?`.
    pub query: Option<String>,
    /// Only those that matter.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// JSON or text.
    pub body: Option<Value>,
}

/// The answer of a recording.
#[derive(Debug, Deserialize)]
pub struct Answered {
    /// None: there was no answer at all.
    pub status: Option<u16>,
    /// Lower-case names.
    pub headers: BTreeMap<String, String>,
    /// JSON in the server's own order of keys, or text as a JSON string.
    pub body: Box<RawValue>,
}

impl Answered {
    /// The body as JSON; text becomes a string.
    pub fn json(&self) -> Value {
        serde_json::from_str(self.body.get()).unwrap_or_default()
    }

    /// Whether the server said that this is JSON.
    pub fn is_json(&self) -> bool {
        self.headers.get("content-type").is_some_and(|of| of.starts_with("application/json"))
    }
}

/// Why recordings could not be played.
#[derive(Debug, Error)]
pub enum RecordingError {
    /// A file or folder could not be read, or no port be opened.
    #[error("read the recordings in {place}")]
    Read {
        /// Which.
        place: String,
        /// Why.
        source: io::Error,
    },
    /// A file is not a recording.
    #[error("parse {place}")]
    Parse {
        /// Which.
        place: String,
        /// Why.
        source: serde_json::Error,
    },
    /// Nothing was found.
    #[error("there is no recording in {0}")]
    Nothing(String),
}

/// Reads the recordings of a folder whose number (the digits their file name begins with) is wanted.
pub fn read(folder: &Path, wanted: impl Fn(u32) -> bool) -> Result<BTreeMap<u32, Recording>, RecordingError> {
    let place = folder.display().to_string();
    let failed = |source| RecordingError::Read { place: place.clone(), source };
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let digits = &name[..name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len())];
        let Some(number) = digits.parse().ok().filter(|number| wanted(*number)) else { continue };
        let text = std::fs::read(&path).map_err(failed)?;
        let parsed = serde_json::from_slice(&text).map_err(|source| RecordingError::Parse { place: name, source })?;
        found.insert(number, parsed);
    }
    if found.is_empty() { Err(RecordingError::Nothing(place)) } else { Ok(found) }
}

/// What a player does besides playing.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Query parameters that do not count: what the real server ignores, and the page size where a walk with another
    /// one is to be played to a client that lets the server choose.
    pub ignored: Vec<String>,
}

/// A server that plays recordings; dropping it stops it.
#[derive(Debug)]
pub struct Player {
    server: Server,
    played: Arc<Played>,
}

#[derive(Debug)]
struct Played {
    answers: BTreeMap<Key, Stored>,
    options: Options,
    journal: Journal,
    unknown: Mutex<Vec<String>>,
}

/// Method, path and the parameters in an order of their own.
type Key = (String, String, Vec<(String, String)>);

#[derive(Debug)]
struct Stored {
    status: Option<u16>,
    content_type: Option<String>,
    body: bytes::Bytes,
}

impl Player {
    /// Plays the given recordings on any free port of loopback. Of two for one request the later number counts.
    pub async fn start(recordings: &BTreeMap<u32, Recording>, options: Options) -> Result<Self, RecordingError> {
        let mut answers = BTreeMap::new();
        for recording in recordings.values() {
            let asked = &recording.request;
            let key = key(&asked.method, &asked.path, asked.query.as_deref(), &options);
            answers.insert(key, Stored::from(&recording.response));
        }
        let played = Arc::new(Played { answers, options, journal: Journal::default(), unknown: Mutex::default() });
        let handle = played.clone();
        let bind = (Ipv4Addr::LOCALHOST, 0).into();
        let server = wire::serve(bind, move |call| {
            let played = handle.clone();
            async move { played.play(&call) }
        })
        .await
        .map_err(|source| RecordingError::Read { place: "a port of loopback".into(), source })?;
        Ok(Self { server, played })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// Requests for which there was no recording.
    pub fn unknown(&self) -> Vec<String> {
        self.played.unknown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sums of the traffic.
    pub fn counters(&self) -> Counters {
        self.played.journal.counters()
    }

    /// The requests that came.
    pub fn journal(&self) -> Vec<Entry> {
        self.played.journal.entries()
    }

    /// Counts from zero again.
    pub fn reset_counters(&self) {
        self.played.journal.reset();
    }
}

impl Played {
    fn play(&self, call: &Call) -> Outcome {
        let _in_work = self.journal.arrived();
        let method = if call.method == Method::HEAD { "GET" } else { call.method.as_str() };
        let key = key(method, &call.path, call.query.as_deref(), &self.options);
        let target = call.path_and_query();
        let Some(stored) = self.answers.get(&key) else {
            self.unknown.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{} {target}", call.method));
            return Outcome::Reply(Reply::text(501, format!("there is no recording of {} {target}", call.method)));
        };
        let Some(status) = stored.status else { return Outcome::Hang };
        self.journal.answered(Entry::new(&method, target, status), stored.body.len());
        let headers = stored.content_type.iter().map(|of| ("content-type", of.clone())).collect();
        Outcome::Reply(Reply { status, headers, body: Body::Whole(stored.body.clone()) })
    }
}

impl From<&Answered> for Stored {
    fn from(answered: &Answered) -> Self {
        let body = match answered.json() {
            Value::String(text) if !answered.is_json() || text.is_empty() => text.into_bytes(),
            _ => answered.body.get().as_bytes().to_vec(),
        };
        Self { status: answered.status, content_type: answered.headers.get("content-type").cloned(), body: body.into() }
    }
}

fn key(method: &str, path: &str, query: Option<&str>, options: &Options) -> Key {
    let kept = parameters(query.unwrap_or_default()).filter(|(name, _)| !options.ignored.contains(name));
    let mut parameters: Vec<_> = kept.collect();
    parameters.sort();
    (method.to_owned(), path.to_owned(), parameters)
}
