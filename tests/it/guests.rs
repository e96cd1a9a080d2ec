//! Hostile components in the real sandbox: each hurts its own call, which ends with the reason, and nothing else.
//!
//! `table` is all of them with what became of each; `calls` looks closer at some.

mod calls;
mod neighbours;
mod table;

use std::{
    io::Write,
    path::Path,
    sync::{Arc, Mutex},
};

use anyhow::Context;
use serde_json::{Value, json};
use wharfinger::{
    connector::{CallError, Connector, Connectors, Limits, LimitsOf, Outcome, Setup, error::LoadError},
    egress::session::{Egress, Policy, Session},
    model::{
        page::{Cursor, Page, Partition},
        path::RemotePath,
    },
};
use wharfinger_tests::host::setup;

/// A loaded guest and a way out for it.
pub(crate) struct Guest {
    connector: Arc<Connector>,
    session: Arc<Session>,
    config: Value,
}

/// The token of the guests' connections.
pub(crate) const SECRET: &str = "canary-0123456789abcdef";

/// Where a guest is sent that need not reach anything: nobody listens there.
const NOBODY: (&str, u16) = ("http://127.0.0.1", 1);

/// Limits under which calls have so many times the default's time.
fn limits(time_factor: f64) -> Limits {
    Limits { time_factor, ..Limits::default() }
}

/// An engine of its own.
pub(crate) fn connectors(limits: Limits) -> anyhow::Result<Connectors> {
    Connectors::new(Setup { limits: LimitsOf { others: limits, ..LimitsOf::default() }, ..setup()? })
}

async fn load(bytes: &[u8], limits: Limits) -> anyhow::Result<Result<Arc<Connector>, LoadError>> {
    Ok(connectors(limits)?.load(bytes).await)
}

pub(crate) fn bytes(path: &str) -> anyhow::Result<Vec<u8>> {
    std::fs::read(Path::new(path)).with_context(|| format!("read {path}"))
}

/// Loopback, without TLS.
pub(crate) fn policy() -> anyhow::Result<Policy> {
    Ok(Policy { allow_cidrs: vec!["127.0.0.0/8".parse()?], allow_insecure_http: true, ..Policy::default() })
}

impl Guest {
    async fn load(path: &str) -> anyhow::Result<Self> {
        Self::with_limits(path, Limits::default()).await
    }

    async fn with_limits(path: &str, limits: Limits) -> anyhow::Result<Self> {
        let connector = load(&bytes(path)?, limits).await??;
        Self::sent_to(connector, NOBODY, "", policy()?)
    }

    /// A connection of a loaded guest: where it goes, which sin it is to commit, and what the operator allows.
    pub(crate) fn sent_to(
        connector: Arc<Connector>,
        (host, port): (&str, u16),
        sin: &str,
        policy: Policy,
    ) -> anyhow::Result<Self> {
        let mut payload = json!({ "hostname": host, "port": port, "authenticationType": "token", "token": SECRET });
        if !sin.is_empty() {
            payload["sin"] = sin.into();
        }
        let registration =
            connector.descriptor.admit(&payload, None, None, true).map_err(|e| anyhow::anyhow!("{e:?}"))?;
        let session = connector.trial_session(&Egress::new(policy)?, &registration, None)?;
        Ok(Self { connector, session, config: registration.config })
    }

    async fn check(&self) -> Result<Vec<Outcome>, CallError> {
        self.connector.check(&self.session, &self.config).await.0
    }

    /// The message of its only outcome.
    async fn said(&self) -> anyhow::Result<String> {
        let mut outcomes = self.check().await?;
        Ok(outcomes.pop().context("one outcome")?.message)
    }

    async fn read(&self, partition: &str, scope: &[&str], cursor: Option<&str>) -> Result<Page, CallError> {
        let partition = Partition { id: partition.into(), scope: path(scope), payload: String::new(), weight: 0 };
        self.read_page(&partition, cursor).await
    }

    pub(crate) async fn read_page(&self, partition: &Partition, cursor: Option<&str>) -> Result<Page, CallError> {
        let cursor = cursor.map(|text| Cursor(text.into()));
        self.connector.read(&self.session, &self.config, partition, true, cursor.as_ref()).await.0
    }
}

fn path(names: &[&str]) -> RemotePath {
    RemotePath(names.iter().map(|name| name.parse().expect("name")).collect())
}

/// Keeps what is logged.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no writer panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Keeps what is logged on this thread, and by guests that are called from it, until the guard is dropped.
    pub(crate) fn capture(&self) -> tracing::subscriber::DefaultGuard {
        // Somebody has to listen everywhere: with a single subscriber, on one thread, a line that another test's thread
        // reaches first is held to interest nobody, for good.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::fmt().with_writer(std::io::sink).finish());
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).without_time();
        tracing::subscriber::set_default(subscriber.finish())
    }

    /// What was kept since the last time.
    pub(crate) fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().expect("no writer panics"));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
