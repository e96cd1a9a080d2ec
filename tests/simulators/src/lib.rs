//! Simulators of the platforms Wharfinger lists, for tests, benchmarks and `wharfinger demo`.
//!
//! [`unity_catalog`] is a metastore and [`snowflake`] an account with a model behind it; [`recordings`] plays back what a real server once answered;
//! [`demo`] starts what the demo shows. They stand on [`wire`] (HTTP that can misbehave), [`fault`] (when and how) and
//! [`journal`] (what was asked). This crate knows neither the host nor its connectors: it hands over payloads as JSON.

mod clock;
mod control;
pub mod demo;
pub mod fault;
pub mod journal;
pub mod random;
pub mod recordings;
pub mod snowflake;
pub mod unity_catalog;
pub mod wire;
