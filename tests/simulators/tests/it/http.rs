//! A plain HTTP client for tests.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use wharfinger_simulators::unity_catalog::TOKEN;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("no JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A client that gives up soon: what hangs is part of the tests.
pub(crate) fn client() -> Result<reqwest::Client> {
    // Only the first call of a process installs it; later ones find it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder().timeout(Duration::from_secs(3)).build()?)
}

/// Sends a request and reads the whole answer.
pub(crate) async fn send(request: reqwest::RequestBuilder) -> Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, body: response.bytes().await?.to_vec() })
}

/// GET as the administrator.
pub(crate) async fn get(client: &reqwest::Client, url: String) -> Result<Answer> {
    send(client.get(url).bearer_auth(TOKEN)).await
}
