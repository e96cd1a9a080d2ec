//! The commands' client of the API.

use std::{io::IsTerminal, time::Duration};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::table;
use crate::{
    config::{ClientConfig, environment},
    model::path::ObjectPath,
};

/// What stands for itself in a segment of a URL.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Longest time that a stream is read before it is opened again.
const LONGEST_STREAM: Duration = Duration::from_secs(24 * 3600);

/// Longest time that an answer takes, unless it is known to take longer.
const LONGEST_ANSWER: Duration = Duration::from_secs(120);

/// The same where a component is taken in: it is sent, waits its turn, and compiles for as long as the operator allows.
const LONGEST_INSTALL: Duration = Duration::from_secs(2 * 3600);

/// A host, and as whom it is called.
pub(super) struct Api {
    http: reqwest::Client,
    config: ClientConfig,
}

/// Why a call brought nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// The host said no.
    #[error("{message}{}", hint.as_ref().map(|h| format!("\nhint: {h}")).unwrap_or_default())]
    Refused {
        /// What the host said.
        message: String,
        /// What to do about it.
        hint: Option<String>,
        /// For programs.
        code: String,
    },
    /// No answer.
    #[error("no host answers at {url}: is it running? (WHARFINGER_URL says where)")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// No answer in time.
    #[error("the host at {url} did not answer in time: it may still be working on it")]
    TimedOut {
        /// Which.
        url: String,
    },
    /// What was to be sent is nothing that can be.
    #[error("the request cannot be sent: the address, the key or a signature holds characters that it must not")]
    Malformed(#[source] reqwest::Error),
}

impl ClientError {
    /// The machine-readable code of a refusal.
    pub(super) fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timed-out",
            Self::Malformed(_) => "malformed",
        }
    }
}

impl Api {
    /// The host that the environment names.
    pub(super) fn from_environment() -> anyhow::Result<Self> {
        Self::new(ClientConfig::load(&environment())?)
    }

    pub(super) fn new(config: ClientConfig) -> anyhow::Result<Self> {
        // The first one wins; whoever it was chose the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(LONGEST_ANSWER).build()?;
        Ok(Self { http, config })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.send(self.request(Method::GET, path)).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// The same, as somebody who has seen a revision.
    pub(super) async fn post_at(&self, path: &str, body: &Value, revision: u64) -> Result<Value, ClientError> {
        self.send(self.request(Method::POST, path).header("if-match", revision.to_string()).json(body)).await
    }

    /// Sends a component, with its detached signatures where it has any.
    pub(super) async fn upload(&self, path: &str, bytes: Vec<u8>, signed: Option<&str>) -> Result<Value, ClientError> {
        let request = self.request(Method::POST, path).header("content-type", "application/octet-stream").body(bytes);
        let request = request.timeout(LONGEST_INSTALL);
        self.send(match signed {
            Some(text) => request.header("wharfinger-signature", text),
            None => request,
        })
        .await
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Result<Value, ClientError> {
        self.send(self.request(Method::DELETE, path)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.config.url));
        match &self.config.api_key {
            Some(key) => request.bearer_auth(key.as_str()),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Value, ClientError> {
        let lost = |source| self.lost(source);
        let response = request.send().await.map_err(lost)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(lost)?;
        if status.is_success() {
            return Ok(serde_json::from_slice(&bytes).unwrap_or(Value::Null));
        }
        refused(status, &bytes)
    }

    /// Why there is no answer.
    fn lost(&self, source: reqwest::Error) -> ClientError {
        let url = self.config.url.clone();
        match source {
            source if source.is_builder() => ClientError::Malformed(source),
            // Where not even a connection was made in time, nobody works on anything.
            source if source.is_timeout() && !source.is_connect() => ClientError::TimedOut { url },
            source => ClientError::Unreachable { url, source },
        }
    }

    /// Follows a stream of jobs until it ends, or is cut off.
    pub(super) async fn follow(&self, path: &str, mut each: impl FnMut(&Value)) -> Result<(), ClientError> {
        let lost = |source| self.lost(source);
        let request = self.request(Method::GET, path).timeout(LONGEST_STREAM);
        let mut response = request.send().await.map_err(lost)?;
        if !response.status().is_success() {
            return refused(response.status(), &response.bytes().await.map_err(lost)?);
        }
        let mut events = Events::default();
        // Cut off is not lost: whoever follows looks at the jobs and follows again.
        while let Ok(Some(piece)) = response.chunk().await {
            events.take(&piece).iter().for_each(&mut each);
        }
        Ok(())
    }

    /// Waits until a bulk's jobs have ended, showing how far they are on a terminal. Gives the jobs.
    pub(super) async fn wait(&self, bulk: &str) -> Result<Vec<Value>, ClientError> {
        let terminal = std::io::stderr().is_terminal();
        loop {
            let jobs = self.get(&format!("/jobs?bulkId={bulk}")).await?;
            let jobs = jobs.as_array().cloned().unwrap_or_default();
            if terminal {
                jobs.iter().for_each(|job| eprint!("\r\x1b[K{}", progress(job)));
            }
            if jobs.iter().all(has_ended) {
                if terminal {
                    eprint!("\r\x1b[K");
                }
                return Ok(jobs);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Server-sent events that come in pieces.
#[derive(Default)]
struct Events(Vec<u8>);

impl Events {
    /// The data of the events that are whole with this piece.
    fn take(&mut self, piece: &[u8]) -> Vec<Value> {
        self.0.extend_from_slice(piece);
        let mut found = Vec::new();
        while let Some(end) = self.0.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.0.drain(..=end).collect();
            if let Some(data) = line.strip_prefix(b"data: ") {
                found.extend(serde_json::from_slice::<Value>(data).ok().filter(|job| job["id"].is_string()));
            }
        }
        found
    }
}

fn refused<T>(status: StatusCode, body: &[u8]) -> Result<T, ClientError> {
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    Err(ClientError::Refused {
        message: text("message").unwrap_or_else(|| format!("the host answered {status}")),
        hint: text("hint"),
        code: text("code").unwrap_or_default(),
    })
}

/// Whether nothing follows.
pub(super) fn has_ended(job: &Value) -> bool {
    matches!(job["state"].as_str(), Some("completed" | "failed" | "cancelled" | "expired"))
}

/// How far a job is, in one line.
pub(super) fn progress(job: &Value) -> String {
    let n = |pointer: &str| job.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let state = job["state"].as_str().unwrap_or("?");
    if let Some(kind @ ("settingsChange" | "objectSyncGroup")) = job["jobType"].as_str() {
        return table::shown(&format!("{} {state}: {kind}", path_of(&job["objectPath"])));
    }
    let objects = match n("/progress/totalObjects") {
        total if total > 0 && !has_ended(job) => format!("{} of about {total}", n("/progress/objects")),
        _ => n("/progress/objects").to_string(),
    };
    let mut line = format!(
        "{} {state}: {} objects, {} of {} parts, {} requests",
        path_of(&job["objectPath"]),
        objects,
        n("/progress/partitionsDone"),
        n("/progress/partitions"),
        n("/output/requests"),
    );
    if job.pointer("/output/held") == Some(&Value::Bool(true)) {
        line.push_str(&format!(", {} held", n("/output/heldObjects")));
    }
    if let Some(message) = job.pointer("/output/error/message").and_then(Value::as_str) {
        line.push_str(&format!(" ({message})"));
    }
    table::shown(&line)
}

/// A JSON path as people read and type it.
pub(super) fn path_of(value: &Value) -> String {
    let names = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    ObjectPath::from_segments(names).map(|p| p.to_string()).unwrap_or_default()
}

/// A path as the end of a URL.
pub(super) fn url_path(path: &ObjectPath) -> String {
    path.segments().iter().map(|s| segment(s.as_str())).collect::<Vec<_>>().join("/")
}

/// One name as a segment of a URL.
pub(super) fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

/// All hits of a search, page by page.
pub(super) async fn search_all(api: &Api, url: &str, mut body: Value) -> Result<Vec<Value>, ClientError> {
    let mut hits = Vec::new();
    body["size"] = json!(500);
    loop {
        let mut page = api.post(url, &body).await?;
        if let Value::Array(more) = page["hits"].take() {
            hits.extend(more);
        }
        if page["next"].is_null() {
            return Ok(hits);
        }
        body["next"] = page["next"].take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text = b"retry: 2000\n: jobs\n\nevent: job\nid: 1\ndata: {\"id\":\"a\"}\n\nevent: reset\ndata: {}\n\ndata: {\"id\":\"b\"}\n\n";
        for size in [1, 7, text.len()] {
            let mut events = Events::default();
            let found: Vec<Value> = text.chunks(size).flat_map(|piece| events.take(piece)).collect();
            assert_eq!(found, [json!({ "id": "a" }), json!({ "id": "b" })], "pieces of {size}");
        }
    }

    #[tokio::test]
    async fn what_was_not_sent_and_what_was_not_answered_are_told_apart() {
        let api = |url: String| Api::new(ClientConfig { url, api_key: None }).expect("client");
        // Taken, and never answered.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
        let api_of = |address: std::net::SocketAddr| api(format!("http://{address}"));
        let at = silent.local_addr().expect("address");
        let slow = api_of(at);
        let asked = slow.request(Method::GET, "/").timeout(Duration::from_millis(50));
        let error = slow.send(asked).await.expect_err("no answer");
        assert_eq!(error.code(), "timed-out", "{error}");
        let error = slow.upload("/connectors", vec![0], Some("a\u{1}b")).await.expect_err("a control character");
        assert_eq!(error.code(), "malformed", "{error}");
        drop(silent);
        assert_eq!(api_of(at).get("/").await.expect_err("nobody").code(), "unreachable");
    }

    #[test]
    fn a_path_becomes_a_url_whatever_is_in_its_names() {
        let path = ObjectPath::from_segments(["My Key", "a/b", "%2F", "ü?#"]).expect("path");
        assert_eq!(url_path(&path), "My%20Key/a%2Fb/%252F/%C3%BC%3F%23");
    }
}
