//! A connection's way out: its origin, its credential, its pool, shared by all operations on it.
//!
//! Two connections share nothing but the policy and the root certificates. A session is dropped with its last
//! operation, and everything that the platform issued with it. Nothing of it is written to disk but a secret that the
//! platform put in the place of a stored one, so a crash loses nothing else that could not be fetched again.

mod admit;
mod answer;
mod converse;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use ipnet::IpNet;
use serde_json::Value;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::task::TaskTracker;

use super::{
    address::AddressFilter,
    approval::ApprovedOrigin,
    client,
    context::Context,
    credential::{Credential, DETACHED, Equipment, Keeper},
    error::Told,
    keep::{Destination, Keep},
    recipe::{Recipe, Target},
    retry::Pacing,
    scope::{Places, Rule},
    signing::Openings,
    template::MAX_RENDERED,
    vault::Secrets,
    wire::Wire,
};
pub use super::{
    error::{SendError, SendErrorKind},
    named::Named,
};
use crate::{
    clock::Clock,
    model::{connection::Address, id::ConnectionId},
};

/// What the operator allows.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Addresses that are allowed although they are private, loopback or otherwise special.
    pub allow_cidrs: Vec<IpNet>,
    /// Whether connections may go without TLS.
    pub allow_insecure_http: bool,
    /// Where secrets may go besides the connections' own origins.
    pub approved_origins: Vec<ApprovedOrigin>,
}

/// The way out of the whole host: policy, TLS, and the sessions of the connections.
#[derive(Clone)]
pub struct Egress {
    shared: Arc<Shared>,
}

/// What the host gives its way out.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// The time, for tokens that are signed here.
    pub clock: Clock,
    /// Where secrets are kept that platforms replace. None: they live as long as the session.
    pub keep: Option<Arc<dyn Keep>>,
}

struct Shared {
    policy: Policy,
    surroundings: Surroundings,
    filter: Arc<AddressFilter>,
    tls: rustls::ClientConfig,
    pacing: Pacing,
    openings: Openings,
    /// Grants that are given back.
    releases: TaskTracker,
    /// Attempts that may replace a stored secret.
    attempts: TaskTracker,
    /// Whose turn it is to spend the stored secrets of a connection.
    turns: Mutex<HashMap<ConnectionId, Weak<tokio::sync::Mutex<()>>>>,
    /// The sessions that somebody uses. A connection has several where its connector was replaced by one that
    /// authenticates in another way, or reaches other places, while calls of the old one were under way.
    sessions: Mutex<HashMap<ConnectionId, Vec<Known>>>,
}

/// Requests of one connection that are under way at the same time.
pub(super) const IN_FLIGHT: usize = 8;

/// What a session is made from.
#[derive(Clone, Debug)]
pub struct SessionSpec {
    /// A registered connection and its revision: its operations share one session, which a new revision replaces, and so
    /// does a connector with another recipe or reach.
    /// None for a payload that is only tested.
    pub connection: Option<(ConnectionId, u64)>,
    /// The registered connection whose stored secret is replaced when the platform replaces the one used here. None for
    /// a payload that nothing is stored of.
    pub keep: Option<ConnectionId>,
    /// Secrets that are not the stored ones of that connection, by name.
    pub brought: BTreeSet<String>,
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
}

/// A session that somebody may still use.
type Known = (Kin, Weak<Session>);

/// What two operations on a connection must agree on to share a session.
#[derive(PartialEq)]
struct Kin {
    revision: u64,
    config: Value,
    recipe: Recipe,
    reach: Vec<Target>,
}

/// One connection's way out. Dropped with its last operation, together with its grants.
pub struct Session {
    connection: Option<ConnectionId>,
    on_behalf_of: Option<ConnectionId>,
    address: Address,
    places: Places,
    /// What the connector declared.
    reach: Vec<Rule>,
    /// Which of it carries the credential.
    scope: Vec<Rule>,
    credential: Arc<Credential>,
    wire: Wire,
    pacing: Pacing,
    permits: Arc<Semaphore>,
    told: Arc<Told>,
}

/// What one operation may still use. Made per operation by the connector adapter.
#[derive(Debug)]
pub struct Budget {
    /// Everything ends here, and later by [`Self::withheld`].
    pub deadline: Instant,
    /// Microseconds for which the host did not let the operation go on: its time stands still meanwhile.
    pub withheld: Arc<AtomicU64>,
    /// Bytes of one whole answer, decompressed.
    pub max_response: usize,
    /// Bytes of one answer that is read piece by piece.
    pub max_stream: u64,
    /// Bytes of all answers, decompressed.
    pub max_bytes: u64,
    /// Repeats left, shared by all requests of the operation.
    pub retries: std::sync::atomic::AtomicU32,
    /// Requests made, repeats, token requests and refused ones included.
    pub requests: std::sync::atomic::AtomicU64,
    /// Bytes of answers, as they came over the wire after decompression.
    pub bytes: std::sync::atomic::AtomicU64,
    /// Requests that were refused before anything was sent.
    pub denied: std::sync::atomic::AtomicU64,
    /// Addresses that answers named.
    pub named: Named,
}

/// Longest answer in the host's own conversations.
const MAX_OWN_RESPONSE: usize = 1 << 20;

/// All answers of one of them.
const MAX_OWN_BYTES: u64 = 64 << 20;

/// Repeats in one of them.
const OWN_RETRIES: u32 = 5;

impl Budget {
    /// For what the host does by itself, within this time.
    pub(super) fn of_host(time: Duration) -> Self {
        Self {
            deadline: Instant::now() + time,
            withheld: Arc::default(),
            max_response: MAX_OWN_RESPONSE,
            max_stream: MAX_OWN_BYTES,
            max_bytes: MAX_OWN_BYTES,
            retries: OWN_RETRIES.into(),
            requests: 0.into(),
            bytes: 0.into(),
            denied: 0.into(),
            named: Named::default(),
        }
    }

    /// When everything ends, as far as is known by now.
    #[must_use]
    pub fn end(&self) -> Instant {
        self.deadline + Duration::from_micros(self.withheld.load(Ordering::Relaxed))
    }

    /// Counts what was used elsewhere for this operation.
    pub(super) fn also(&self, other: &Self) {
        self.requests.fetch_add(other.requests.load(Ordering::Relaxed), Ordering::Relaxed);
        self.bytes.fetch_add(other.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }
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
    told: Arc<Told>,
    _permit: OwnedSemaphorePermit,
}

impl Egress {
    /// A way out under this policy, with nothing around it.
    pub fn new(policy: Policy) -> anyhow::Result<Self> {
        Self::within(policy, Surroundings::default())
    }

    /// A way out under this policy.
    pub fn within(policy: Policy, surroundings: Surroundings) -> anyhow::Result<Self> {
        Ok(Self::with(policy, surroundings, client::tls()?, Pacing::default()))
    }

    fn with(policy: Policy, surroundings: Surroundings, tls: rustls::ClientConfig, pacing: Pacing) -> Self {
        let filter = Arc::new(AddressFilter::new(policy.allow_cidrs.clone()));
        let shared = Shared {
            policy,
            surroundings,
            filter,
            tls,
            pacing,
            openings: Openings::default(),
            releases: TaskTracker::new(),
            attempts: TaskTracker::new(),
            turns: Mutex::default(),
            sessions: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Waits until no attempt runs that may replace a stored secret, as long as one may take. Whether none does. For the
    /// host's end: one that is cut off loses the secret.
    pub async fn settled(&self) -> bool {
        self.shared.attempts.close();
        tokio::time::timeout(DETACHED, self.shared.attempts.wait()).await.is_ok()
    }

    /// Waits until all grants are given back. For the host's end, when no operation runs any more.
    pub async fn finished(&self) {
        self.shared.releases.close();
        self.shared.releases.wait().await;
    }

    /// What the operator allows.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    /// The session of a connection: the one that others use already, or a new one.
    pub fn session(&self, spec: SessionSpec) -> Result<Arc<Session>, SendError> {
        let new_permits = || Arc::new(Semaphore::new(IN_FLIGHT));
        let Some((id, revision)) = spec.connection else { return self.shared.open(spec, new_permits()).map(Arc::new) };
        let (config, recipe, reach) = (spec.config.clone(), spec.recipe.clone(), spec.reach.clone());
        let kin = Kin { revision, config, recipe, reach };
        // What is inside is whole between any two statements.
        let mut sessions = self.shared.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sessions.get(&id).map_or(&[][..], Vec::as_slice);
        let alive = |(_, session): &Known| session.upgrade();
        if let Some(session) = known.iter().filter(|(known, _)| *known == kin).find_map(alive) {
            return Ok(session);
        }
        // However many sessions it has for a while, the platform sees no more requests of the connection at a time.
        let permits = known.iter().find_map(alive).map_or_else(new_permits, |session| Arc::clone(&session.permits));
        let session = Arc::new(self.shared.open(spec, permits)?);
        sessions.retain(|_, known| {
            known.retain(|(_, session)| session.strong_count() > 0);
            !known.is_empty()
        });
        sessions.entry(id).or_default().push((kin, Arc::downgrade(&session)));
        Ok(session)
    }
}

impl Shared {
    fn open(&self, spec: SessionSpec, permits: Arc<Semaphore>) -> Result<Session, SendError> {
        let connection = spec.connection.map(|(id, _)| id);
        let on_behalf_of = connection.or(spec.keep);
        let told = Arc::new(Told::new(connection));
        let open = || {
            let policy = &self.policy;
            let places = Places::new(&spec.address, &policy.approved_origins, policy.allow_insecure_http)?;
            places.check(&spec.recipe, &spec.config)?;
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
        let keep = self.surroundings.keep.clone().zip(spec.keep).map(|(store, connection)| {
            let reached = spec.reach.iter().filter_map(|target| target.origin.config_property().map(str::to_owned));
            let names = spec.recipe.address_properties().into_iter().chain(reached);
            let places = Destination::of(&spec.address, &spec.config, names);
            let spends = spec.recipe.persisted().into_iter().any(|name| !spec.brought.contains(name));
            let turn = if spends { self.turn(connection) } else { Arc::default() };
            Keeper { store, connection, places, brought: spec.brought, turn }
        });
        let wire = Wire { client, filter: Arc::clone(&self.filter) };
        let equipment = Equipment {
            places: places.clone(),
            wire: wire.clone(),
            pacing: self.pacing,
            clock: self.surroundings.clock.clone(),
            openings: self.openings.clone(),
            releases: self.releases.clone(),
            attempts: self.attempts.clone(),
            runtime: Handle::try_current().ok(),
            keep,
        };
        let context = Context::new(places.origin().to_string(), spec.config, spec.secrets, &spec.recipe.lets);
        Ok(Session {
            connection,
            on_behalf_of,
            address: spec.address,
            places,
            reach,
            scope,
            credential: Arc::new(Credential::new(spec.recipe, context, equipment)),
            wire,
            pacing: self.pacing,
            permits,
            told,
        })
    }

    fn turn(&self, connection: ConnectionId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&connection).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.retain(|_, turn| turn.strong_count() > 0);
        turns.insert(connection, Arc::downgrade(&turn));
        turn
    }
}

impl Session {
    /// The registered connection that it belongs to.
    #[must_use]
    pub fn connection(&self) -> Option<ConnectionId> {
        self.connection
    }

    /// The registered connection that this is done for: the one that it belongs to, or that a tested payload would change.
    #[must_use]
    pub fn on_behalf_of(&self) -> Option<ConnectionId> {
        self.on_behalf_of
    }

    /// Where the connection's requests go.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The secrets as they are now, where the platform has replaced any since the session began, with the names of those
    /// that are not stored.
    pub async fn rotated(&self) -> Option<(Secrets, Vec<String>)> {
        self.credential.rotated().await
    }

    /// What the operator was told last about a request that failed: for people who try a connection.
    #[must_use]
    pub fn last_told(&self) -> Option<String> {
        self.told.last()
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

impl Drop for Session {
    fn drop(&mut self) {
        self.credential.release();
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
        self.stream.read(max, budget).await.inspect_err(|error| self.told.tell(error))
    }
}
