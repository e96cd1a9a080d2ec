//! A connection's way out: its origin, its credential, its pool, shared by all operations on it.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use ipnet::IpNet;
use serde_json::Value;

pub use super::error::{SendError, SendErrorKind};
use super::{
    recipe::{Recipe, Target},
    vault::Secrets,
};
use crate::model::{connection::Address, id::ConnectionId};

/// What the operator allows.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Addresses that are allowed although they are private, loopback or otherwise special.
    pub allow_cidrs: Vec<IpNet>,
    /// Whether connections may go without TLS.
    pub allow_insecure_http: bool,
}

/// The way out of the whole host: policy, TLS, and the sessions of the connections.
#[derive(Clone)]
pub struct Egress {}

/// What a session is made from.
#[derive(Clone, Debug)]
pub struct SessionSpec {
    /// A registered connection and its revision: its operations share one session, which a new revision replaces.
    /// None for a payload that is only tested.
    pub connection: Option<(ConnectionId, u64)>,
    /// `connection.origin` of the recipes.
    pub address: Address,
    /// `config.*` of the recipes: the payload's `connection` object without secrets.
    pub config: Value,
    /// `secret.*` of the recipes.
    pub secrets: Secrets,
    /// How to authenticate.
    pub recipe: Recipe,
    /// What the connector declared it reaches: anything else is refused, with or without a credential.
    pub reach: Vec<Target>,
    /// Origins outside the connection's own that the operator approved for this connector, of those that
    /// [`foreign_origins`](super::recipe::foreign_origins) tells.
    pub approved: Vec<String>,
}

/// One connection's way out. Dropped with its last operation, together with its grants.
pub struct Session {}

/// What one operation may still use. Made per operation by the connector adapter.
#[derive(Debug)]
pub struct Budget {
    /// Everything ends here.
    pub deadline: Instant,
    /// Bytes of one whole answer, decompressed.
    pub max_response: usize,
    /// Repeats left, shared by all requests of the operation.
    pub retries: std::sync::atomic::AtomicU32,
    /// Requests sent, repeats and token requests included.
    pub requests: std::sync::atomic::AtomicU64,
    /// Bytes of answers, as they came over the wire after decompression.
    pub bytes: std::sync::atomic::AtomicU64,
}

/// A request of a guest, as it came through the contract.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Upper case.
    pub method: String,
    /// Absolute.
    pub url: String,
    /// The guest's own.
    pub headers: Vec<(String, String)>,
    /// Whole body.
    pub body: Option<Vec<u8>>,
    /// Name of the credential, `connection`.
    pub auth: Option<String>,
    /// May be sent twice.
    pub retriable: bool,
    /// Further statuses that mean "try again".
    pub retry_statuses: Vec<u16>,
    /// Set in the query when sent again.
    pub retry_query: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Decompressed.
    pub body: Bytes,
}

/// The head of an answer whose body is read piece by piece.
pub struct OpenResponse {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Egress {
    /// A way out under this policy.
    pub fn new(_policy: Policy) -> anyhow::Result<Self> {
        unimplemented!()
    }

    /// What the operator allows.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        unimplemented!()
    }

    /// The session of a connection: the one that others use already, or a new one.
    pub fn session(&self, _spec: SessionSpec) -> Result<Arc<Session>, SendError> {
        unimplemented!()
    }
}

impl Session {
    /// Where the connection's requests go.
    #[must_use]
    pub fn address(&self) -> &Address {
        unimplemented!()
    }

    /// Sends a request through all checks and waits for the whole answer.
    pub async fn send(&self, _request: Request, _budget: &Budget) -> Result<Response, SendError> {
        unimplemented!()
    }

    /// Sends a request and returns as soon as the head of the answer is there.
    pub async fn open(&self, _request: Request, _budget: &Budget) -> Result<OpenResponse, SendError> {
        unimplemented!()
    }
}

impl OpenResponse {
    /// The next piece of the body, at most `max` bytes; empty at the end.
    pub async fn read(&mut self, _max: usize, _budget: &Budget) -> Result<Bytes, SendError> {
        unimplemented!()
    }
}
