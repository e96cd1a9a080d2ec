//! The functional core: what a catalog holds and how it changes.
//!
//! No input or output, no async, no clock, and none of axum, redb and wasmtime: `now` is a parameter, and a decision is
//! a function from values to values.

pub mod change;
pub mod column;
pub mod connection;
pub mod connector;
pub mod diff;
pub mod explain;
pub mod filter;
pub mod hold;
pub mod id;
pub mod job;
pub mod name;
pub mod object;
pub mod page;
pub mod path;
pub mod principal;
pub mod schedule;
pub mod settings;
pub mod sight;
pub mod signature;
pub mod spread;
