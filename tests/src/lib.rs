//! The harness of the end-to-end tests: a real host on a free port, driven over HTTP.

pub mod client;
pub mod guests;
pub mod host;
pub mod inventory;
pub mod neighbours;
pub mod registry;
pub mod rows;
pub mod versions;

pub use client::{Answer, Client};
pub use host::TestHost;
