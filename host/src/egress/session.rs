//! A connection's way out: its origin, its credential, its pool, shared by all operations on it.
//!
//! Two connections share nothing but the policy and the root certificates. A session is dropped with its last
//! operation, and everything that the platform issued with it; nothing of it is written to disk, so a crash loses
//! nothing that could not be fetched again.

mod admit;
mod answer;
mod converse;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Instant,
};

use bytes::Bytes;
use ipnet::IpNet;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use super::error::{SendError, SendErrorKind};
use super::{
    address::AddressFilter,
    client,
    context::Context,
    credential::Credential,
    error::Told,
    recipe::{Recipe, Target},
    retry::Pacing,
    scope::{Places, Rule},
    template::MAX_RENDERED,
    vault::Secrets,
    wire::Wire,
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
pub struct Egress {
    shared: Arc<Shared>,
}

struct Shared {
    policy: Policy,
    filter: Arc<AddressFilter>,
    tls: rustls::ClientConfig,
    pacing: Pacing,
    /// The sessions that somebody uses, with the revision of their connection.
    sessions: Mutex<HashMap<ConnectionId, (u64, Weak<Session>)>>,
}

/// Requests of one connection that are under way at the same time.
pub(super) const IN_FLIGHT: usize = 8;

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
pub struct Session {
    address: Address,
    places: Places,
    /// What the connector declared.
    reach: Vec<Rule>,
    /// Which of it carries the credential.
    scope: Vec<Rule>,
    credential: Credential,
    wire: Wire,
    pacing: Pacing,
    permits: Arc<Semaphore>,
    told: Told,
}

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
    stream: answer::Stream,
    _permit: OwnedSemaphorePermit,
}

impl Egress {
    /// A way out under this policy.
    pub fn new(policy: Policy) -> anyhow::Result<Self> {
        Ok(Self::with(policy, client::tls()?, Pacing::default()))
    }

    fn with(policy: Policy, tls: rustls::ClientConfig, pacing: Pacing) -> Self {
        let filter = Arc::new(AddressFilter::new(policy.allow_cidrs.clone()));
        Self { shared: Arc::new(Shared { policy, filter, tls, pacing, sessions: Mutex::default() }) }
    }

    /// What the operator allows.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    /// The session of a connection: the one that others use already, or a new one.
    pub fn session(&self, spec: SessionSpec) -> Result<Arc<Session>, SendError> {
        let Some((id, revision)) = spec.connection else { return self.shared.open(spec).map(Arc::new) };
        // What is inside is whole between any two statements.
        let mut sessions = self.shared.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sessions.get(&id).filter(|(known, _)| *known == revision);
        if let Some(session) = known.and_then(|(_, session)| session.upgrade()) {
            return Ok(session);
        }
        let session = Arc::new(self.shared.open(spec)?);
        sessions.retain(|_, (_, session)| session.strong_count() > 0);
        sessions.insert(id, (revision, Arc::downgrade(&session)));
        Ok(session)
    }
}

impl Shared {
    fn open(&self, spec: SessionSpec) -> Result<Session, SendError> {
        let told = Told::new(spec.connection.map(|(id, _)| id));
        let open = || {
            let places = Places::new(&spec.address, &spec.approved, self.policy.allow_insecure_http)?;
            let reach = Rule::all(&spec.reach, &places, &spec.config)?;
            let scope = Rule::all(&spec.recipe.apply.to, &places, &spec.config)?;
            Ok((places, reach, scope))
        };
        let (places, reach, scope) = open().inspect_err(|error| told.tell(error))?;
        let client = client::client(&self.tls, &self.filter).map_err(|error| {
            SendError::new(SendErrorKind::Unavailable, "no HTTP client could be made").for_operator(error.to_string())
        })?;
        if spec.secrets.0.values().any(|secret| secret.len() > MAX_RENDERED) {
            return Err(SendError::new(SendErrorKind::InvalidConfig, "a secret is longer than 64 KiB"));
        }
        let context = Context::new(places.origin().to_string(), spec.config, spec.secrets, &spec.recipe.lets);
        Ok(Session {
            address: spec.address,
            places,
            reach,
            scope,
            credential: Credential::new(spec.recipe, context),
            wire: Wire { client, filter: Arc::clone(&self.filter) },
            pacing: self.pacing,
            permits: Arc::new(Semaphore::new(IN_FLIGHT)),
            told,
        })
    }
}

impl Session {
    /// Where the connection's requests go.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Sends a request through all checks and waits for the whole answer.
    pub async fn send(&self, request: Request, budget: &Budget) -> Result<Response, SendError> {
        self.whole(request, budget).await.inspect_err(|error| self.told.tell(error))
    }

    /// Sends a request and returns as soon as the head of the answer is there. The stream counts as a request under way
    /// until it is dropped.
    pub async fn open(&self, request: Request, budget: &Budget) -> Result<OpenResponse, SendError> {
        self.streamed(request, budget).await.inspect_err(|error| self.told.tell(error))
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.address)
    }
}

impl OpenResponse {
    /// The next piece of the body, at most `max` bytes; empty at the end.
    pub async fn read(&mut self, max: usize, budget: &Budget) -> Result<Bytes, SendError> {
        self.stream.read(max, budget).await
    }
}
