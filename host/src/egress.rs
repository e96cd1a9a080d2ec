//! The only way out: authentication recipes, sealed secrets, address policy, and the HTTP client behind them.
//!
//! A connector names a credential; this module performs the authentication, and only for requests inside the
//! credential's scope. It knows no platform: what a platform wants stands in the connector's recipe.
//!
//! A request passes, in this order: canonical URL (`url`), declared and approved pattern (`scope`), the credential's
//! scope (`scope`, `statement`) or an address that an answer named (`named`), name to address and address filter (`resolver`, `address`), TLS, injection (`credential`),
//! sending (`wire`, `retry`), and its answer the search for secrets (`reflect`).

mod address;
pub mod approval;
mod client;
mod condition;
mod context;
mod credential;
mod error;
mod exchange;
mod header;
pub mod keep;
mod named;
pub mod recipe;
mod reflect;
mod resolver;
mod retry;
mod scope;
pub mod session;
mod signing;
mod statement;
pub mod template;
mod url;
pub mod vault;
mod wire;
