//! The end-to-end tests, one module per feature.

mod api;
mod cli;
mod databricks;
mod guests;
mod kill;
mod pages;
mod recordings;
mod sync;
mod tidy;
