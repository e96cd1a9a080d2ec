//! What guests import, one module per interface of the contract.

pub(super) mod http;
pub(super) mod log;
