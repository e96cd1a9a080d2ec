//! The HTTP API and the web UI: the only module that knows axum and JSON bodies.
//!
//! Every route stands in one table ([`routes`]) with what it demands of its caller; the table is the router, the check
//! and the OpenAPI document. Handlers read the store directly, always within what the caller may see, and queue what
//! takes long: only `check` calls a connector inside a request, under a deadline.

pub mod audit;
pub mod caller;
pub mod changes;
pub mod connections;
pub mod connectors;
pub mod docs;
pub mod error;
pub mod explain;
pub mod holds;
pub mod input;
pub mod jobs;
pub mod metrics;
mod multipart;
pub mod objects;
pub mod openapi;
pub mod operations;
pub mod request;
pub mod routes;
pub mod settings;
pub mod streams;
pub mod ui;

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::Router;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock, connector::Connectors, db::Db, egress::session::Egress, egress::vault::Vault, registry::Registry,
};

/// What handlers work with: cheap handles, shared by all requests.
#[derive(Clone)]
pub struct ApiState {
    /// The store.
    pub db: Db,
    /// What is loaded.
    pub connectors: Connectors,
    /// What is installed.
    pub registry: Registry,
    /// The way out, for tests of a payload.
    pub egress: Egress,
    /// Seals what a payload brings.
    pub vault: Arc<Vault>,
    /// The time.
    pub clock: Clock,
    /// Behaviour that the operator chose.
    pub options: Arc<Options>,
    /// Room for streams of events.
    pub streams: Arc<Semaphore>,
    /// Cancelled once the host is going down: what waits answers early, and `/readyz` says no.
    pub stopping: CancellationToken,
}

/// Behaviour of the API that the operator chose.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a test of a connection may take in a request.
    pub check_timeout: Duration,
    /// The store's file, whose size is told.
    pub store_file: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { check_timeout: Duration::from_secs(60), store_file: None }
    }
}

/// The whole HTTP surface: the table's routes, the UI, and an answer in the API's shape for everything else.
pub fn router(state: ApiState) -> Router {
    let app = routes::mount(&state)
        .merge(ui::router())
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::no_such_method)
        .with_state(state);
    app.layer(axum::middleware::from_fn(request::around))
}
