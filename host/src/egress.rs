//! The only way out: authentication recipes, sealed secrets, address policy, and the HTTP client behind them.
//!
//! A connector names a credential; this module performs the authentication, and only for requests inside the
//! credential's scope. It knows no platform: what a platform wants stands in the connector's recipe.

pub mod recipe;
pub mod session;
pub mod vault;
