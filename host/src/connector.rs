//! Connectors: loading components and calling them. The only module that knows wasmtime and the contract.
//!
//! A call runs in a fresh store under a deadline and limits, and what it returns is checked before it becomes a model
//! type. A guest that traps, loops or lies fails its own call and nothing else.

pub mod bundled;
pub mod descriptor;
pub mod error;

use std::sync::Arc;

use serde_json::Value;

use crate::{
    egress::session::Session,
    egress::{session::Egress, vault::Secrets},
    model::{
        connection::Connection,
        name::Technology,
        page::{Cursor, Page, Partition, Presence},
        path::RemotePath,
    },
};
pub use descriptor::{Descriptor, Registration};
pub use error::{CallError, ErrorCode};

/// The connectors that are installed.
#[derive(Clone)]
pub struct Connectors {}

/// One loaded connector.
pub struct Connector {
    /// What it said of itself.
    pub descriptor: Descriptor,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
}

/// What one call used of the platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests, repeats included.
    pub requests: u64,
    /// Bytes of answers.
    pub bytes: u64,
}

/// How a capability was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckStatus {
    /// It works.
    Passed,
    /// It works in part.
    Warning,
    /// It does not.
    Failed,
    /// It was not tried, because something before it failed.
    Skipped,
}

/// What was found out about one capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was tried.
    pub capability: String,
    /// How it went.
    pub status: CheckStatus,
    /// One sentence for people.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The container it is about.
    pub path: Option<RemotePath>,
    /// On `authenticate`: what tells this account from others.
    pub identity: Option<String>,
    /// On `authenticate`: as whom it will be listed.
    pub basis: Option<String>,
}

impl Connectors {
    /// The engine, with no connector in it.
    pub fn new() -> anyhow::Result<Self> {
        unimplemented!()
    }

    /// Loads the components inside the binary.
    pub async fn load_bundled(&self) -> anyhow::Result<()> {
        unimplemented!()
    }

    /// Loads a component: audit, compile, describe. One of the same technology is replaced.
    pub async fn load(&self, _bytes: &[u8]) -> Result<Arc<Connector>, error::LoadError> {
        unimplemented!()
    }

    /// All, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Connector>> {
        unimplemented!()
    }

    /// The one that serves a technology.
    #[must_use]
    pub fn by_technology(&self, _technology: &Technology) -> Option<Arc<Connector>> {
        unimplemented!()
    }
}

impl Connector {
    /// Name and version, as jobs tell it.
    #[must_use]
    pub fn label(&self) -> String {
        unimplemented!()
    }

    /// The way out of a registered connection.
    pub fn session(
        &self,
        _egress: &Egress,
        _connection: &Connection,
        _secrets: Secrets,
    ) -> Result<Arc<Session>, CallError> {
        unimplemented!()
    }

    /// The way out of a payload that is only tested.
    pub fn trial_session(&self, _egress: &Egress, _registration: &Registration) -> Result<Arc<Session>, CallError> {
        unimplemented!()
    }

    /// Whether the connection works, capability by capability.
    pub async fn check(&self, _session: &Arc<Session>, _config: &Value) -> (Result<Vec<Outcome>, CallError>, Usage) {
        unimplemented!()
    }

    /// Where to begin a listing.
    pub async fn plan(
        &self,
        _session: &Arc<Session>,
        _config: &Value,
        _scope: &RemotePath,
    ) -> (Result<Vec<Partition>, CallError>, Usage) {
        unimplemented!()
    }

    /// One page of a partition.
    pub async fn read(
        &self,
        _session: &Arc<Session>,
        _config: &Value,
        _partition: &Partition,
        _want_columns: bool,
        _cursor: Option<&Cursor>,
    ) -> (Result<Page, CallError>, Usage) {
        unimplemented!()
    }

    /// Whether [`Connector::read_columns`] can be called.
    #[must_use]
    pub fn can_read_columns(&self) -> bool {
        unimplemented!()
    }

    /// The named children of a container with their columns.
    pub async fn read_columns(
        &self,
        _session: &Arc<Session>,
        _config: &Value,
        _scope: &RemotePath,
        _namespace: &str,
        _names: &[String],
        _cursor: Option<&Cursor>,
    ) -> (Result<Page, CallError>, Usage) {
        unimplemented!()
    }

    /// Whether [`Connector::confirm`] can be called.
    #[must_use]
    pub fn can_confirm(&self) -> bool {
        unimplemented!()
    }

    /// Whether the named children are still there, in the same order.
    pub async fn confirm(
        &self,
        _session: &Arc<Session>,
        _config: &Value,
        _scope: &RemotePath,
        _namespace: &str,
        _names: &[String],
    ) -> (Result<Vec<Presence>, CallError>, Usage) {
        unimplemented!()
    }
}
