//! The end-to-end tests, one module per feature.

mod api;
mod cli;
mod pages;
