//! The end-to-end tests, one module per feature.

mod api;
mod canary;
mod cli;
mod databricks;
mod guests;
mod history;
mod kill;
mod pages;
mod process;
mod recordings;
mod sync;
mod tidy;
