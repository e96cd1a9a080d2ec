//! The simulated account as a plain HTTP client meets it: every way in, both protocols, every fault.

mod driver;
mod faults;
mod listing;
mod oauth;
mod setup;
mod sql_api;
mod tokens;
