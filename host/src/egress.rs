//! The only way out: authentication recipes, sealed secrets, address policy, and the HTTP client behind them.
//!
//! A connector names a credential; this module performs the authentication, and only for requests inside the
//! credential's scope. It knows no platform: what a platform wants stands in the connector's recipe.
//!
//! A request passes, in this order: canonical URL (`url`), declared and approved pattern (`scope`), the credential's
//! scope (`scope`, `statement`), name to address and address filter (`resolver`, `address`), TLS, injection (`grant`),
//! sending (`client`, `retry`), and its answer the search for secrets (`reflect`).

mod error;
mod header;
pub mod recipe;
pub mod session;
pub mod template;
pub mod vault;
