//! An API client for tests: sends what it is told, checks nothing by itself.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{Method, StatusCode};
use serde_json::Value;

/// Somebody who calls a host.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: Option<String>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: reqwest::header::HeaderMap,
    /// Body as text.
    pub text: String,
    /// Body as JSON; null where it is none.
    pub json: Value,
}

impl Client {
    /// A caller of the host at `base` with a key, or with none.
    #[must_use]
    pub fn new(base: impl Into<String>, key: Option<String>) -> Self {
        // Only the first call of a process installs it; later ones find it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let follow_nothing = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        Self { http: follow_nothing.unwrap_or_default(), base: base.into(), key }
    }

    /// Beginning of all URLs.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A request that can still be changed.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base)).timeout(Duration::from_secs(120));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Sends a request.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await?;
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status, headers, text, json })
    }

    /// GET.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(self.request(Method::GET, path)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// PUT with a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// Waits until every job that was asked for together has ended, and gives them.
    pub async fn finished(&self, bulk: &str) -> anyhow::Result<Vec<Value>> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(300);
        loop {
            let answer = self.get(&format!("/jobs?bulkId={bulk}")).await?;
            let jobs = answer.json.as_array().with_context(|| format!("jobs: {}", answer.text))?;
            let ended =
                |job: &Value| matches!(job["state"].as_str(), Some("completed" | "failed" | "cancelled" | "expired"));
            if !jobs.is_empty() && jobs.iter().all(ended) {
                return Ok(jobs.clone());
            }
            if tokio::time::Instant::now() > deadline {
                bail!("the jobs of {bulk} did not end: {}", answer.text);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Registers a connection and waits for its first sync, which must complete.
    pub async fn register(&self, payload: &Value) -> anyhow::Result<Value> {
        let answer = self.post("/data/connection", payload).await?.expect(201)?;
        self.completed(answer.json["bulkId"].as_str().context("bulkId")?).await
    }

    /// Starts a sync of a URL path (`Key/db`, percent-encoded) and waits for it; it must complete.
    pub async fn sync(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.post(&format!("/data/crawl/{path}"), &serde_json::json!({})).await?.expect(202)?;
        self.completed(answer.json["bulkId"].as_str().context("bulkId")?).await
    }

    /// Waits for the one sync of a bulk, which must complete, and with it the job that stands for it, where one does.
    pub async fn completed(&self, bulk: &str) -> anyhow::Result<Value> {
        let jobs = self.finished(bulk).await?;
        let syncs: Vec<&Value> = jobs.iter().filter(|job| job["jobType"] == "objectSync").collect();
        match syncs.as_slice() {
            [job] if jobs.iter().all(|job| job["state"] == "completed") => Ok((*job).clone()),
            _ => bail!("the job did not complete: {jobs:?}"),
        }
    }

    /// All objects below a URL path (or of all connections' tops, for none), by pages of 500.
    pub async fn descendants(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let mut hits = Vec::new();
        let mut next = Value::Null;
        loop {
            let mut body = serde_json::json!({ "recursive": true, "size": 500, "sortField": "objectPath" });
            if !next.is_null() {
                body["next"] = next;
            }
            let answer = self.post(&format!("/data/object/search/{path}"), &body).await?.expect(200)?;
            hits.extend(answer.json["hits"].as_array().context("hits")?.iter().cloned());
            next = answer.json["next"].clone();
            if next.is_null() {
                return Ok(hits);
            }
        }
    }
}

impl Answer {
    /// The answer, if it has this status.
    pub fn expect(self, status: u16) -> anyhow::Result<Self> {
        if self.status.as_u16() == status {
            return Ok(self);
        }
        bail!("expected {status}, got {}: {}", self.status, self.text)
    }

    /// The machine-readable code of an error.
    #[must_use]
    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    /// The message of an error.
    #[must_use]
    pub fn message(&self) -> &str {
        self.json["message"].as_str().unwrap_or_default()
    }
}
