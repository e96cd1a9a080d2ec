//! Wharfinger: a live, governed inventory of data platforms, in one binary.
//!
//! The modules in reading order; `ARCHITECTURE.md` beside this crate tells what each keeps true.

pub mod model;

pub mod db;

pub mod egress;

pub mod connector;

pub mod registry;

pub mod jobs;

pub mod api;

pub mod app;
pub mod clock;
pub mod config;
pub mod memory;
pub mod telemetry;

pub mod cli;
