//! The HTTP API and the web UI: the only module that knows axum and JSON bodies.
