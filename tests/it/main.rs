//! The end-to-end tests, one module per feature.

mod api;
mod canary;
mod cli;
mod compile;
mod connector_pages;
mod connectors;
mod databricks;
mod dry_run;
mod egress;
mod filters;
mod guests;
mod history;
mod holds;
mod jobs;
mod kill;
mod kill_connectors;
mod pages;
mod process;
mod recordings;
mod registry;
mod signing;
mod snowflake;
mod swap;
mod swaps;
mod sync;
mod tidy;
