//! A simulated Unity Catalog: the commercial workspace's API, or that of the open-source server.
//!
//! One model stands behind it; what a client lists is what the model holds and the caller may see. Everything can be
//! changed while it runs: the model, the rights, the faults, the latency. It knows neither host nor connectors.

pub mod access;
pub mod believable;
pub mod change;
pub mod data_type;
pub mod generate;
pub mod model;
pub mod paging;
pub mod twist;

mod answer;
mod control;
mod errors;
mod names;
mod render;
mod token;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub use self::access::{Access, Privilege};
pub use self::change::{Change, ChangeError, NewColumn, path};
pub use self::generate::{Names, Shape};
pub use self::model::Metastore;
pub use self::paging::PageSizes;
pub use self::twist::Twist;

use crate::fault::{self, Schedule};
use crate::journal::{Counters, Entry, Journal};
use crate::wire::{self, Call, Outcome, Reply, Server};

/// The principal that sees everything.
pub const ADMIN: &str = "admin@example.com";
/// The administrator's personal access token.
pub const TOKEN: &str = "dapi5a11ed0fa5a11ed0fa5a11ed0fa5a11ed0f";
/// The service principal that sees everything.
pub const CLIENT_ID: &str = "6f0b7d5e-53a5-4c0e-9d7b-0f8f1c9e2a11";
/// Its secret, with characters that break clients which encode it.
pub const CLIENT_SECRET: &str = "dose+simulated/secret=%41 5a11";

/// What can happen to a request.
pub type Fault = fault::Fault<Change, Twist>;
/// A fault and when it hits.
pub type Rule = fault::Rule<Change, Twist>;

/// Whose API it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// The workspace's.
    #[default]
    Commercial = 0,
    /// The open-source server's.
    OpenSource = 1,
}

/// Whether callers must show a token. The commercial server always asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Authorization {
    /// They must.
    #[default]
    On,
    /// Nobody is asked.
    Off,
}

/// How a simulator is started.
#[derive(Debug)]
pub struct Options {
    /// Where to listen; port 0 picks one.
    pub bind: SocketAddr,
    /// Where to listen for control commands, if at all.
    pub control: Option<SocketAddr>,
    /// Whose API.
    pub dialect: Dialect,
    /// Whether tokens are asked for.
    pub authorization: Authorization,
    /// What it holds.
    pub metastore: Metastore,
    /// Waits so long before every answer.
    pub latency: Duration,
    /// Sizes of pages.
    pub sizes: PageSizes,
    /// How long a fetched token is good.
    pub token_lifetime: Duration,
    /// Renders columns anew for every page instead of keeping the bytes: for what would not fit into memory.
    pub forget_rendered: bool,
}

impl Options {
    /// The commercial API on any free port of loopback, without latency.
    pub fn new(metastore: Metastore) -> Self {
        Self {
            bind: (Ipv4Addr::LOCALHOST, 0).into(),
            control: None,
            dialect: Dialect::Commercial,
            authorization: Authorization::On,
            metastore,
            latency: Duration::ZERO,
            sizes: PageSizes::default(),
            token_lifetime: Duration::from_secs(3_600),
            forget_rendered: false,
        }
    }

    /// The open-source server as it is out of the box: no authorization.
    pub fn open_source(metastore: Metastore) -> Self {
        Self { dialect: Dialect::OpenSource, authorization: Authorization::Off, ..Self::new(metastore) }
    }
}

/// A running simulator; dropping it stops it.
#[derive(Debug)]
pub struct UnityCatalog {
    server: Server,
    control: Option<Server>,
    simulated: Simulated,
}

/// The state of a simulator, shared by its listeners and whoever steers it.
#[derive(Debug, Clone)]
pub struct Simulated(Arc<State>);

#[derive(Debug)]
struct State {
    metastore: RwLock<Metastore>,
    access: Mutex<Access>,
    faults: Mutex<Schedule<Change, Twist>>,
    journal: Journal,
    latency_us: AtomicU64,
    dialect: Dialect,
    authorization: Authorization,
    sizes: PageSizes,
    forget_rendered: bool,
}

impl UnityCatalog {
    /// Starts one.
    pub async fn start(options: Options) -> io::Result<Self> {
        let mut access = Access::default();
        access.add_admin(ADMIN);
        access.add_admin(CLIENT_ID);
        access.add_token(TOKEN, ADMIN);
        access.add_client(CLIENT_ID, CLIENT_SECRET, options.token_lifetime);
        let simulated = Simulated(Arc::new(State {
            metastore: RwLock::new(options.metastore),
            access: Mutex::new(access),
            faults: Mutex::default(),
            journal: Journal::default(),
            latency_us: AtomicU64::new(options.latency.as_micros() as u64),
            dialect: options.dialect,
            authorization: options.authorization,
            sizes: options.sizes,
            forget_rendered: options.forget_rendered,
        }));
        let handle = simulated.clone();
        let server = wire::serve(options.bind, move |call| {
            let simulated = handle.clone();
            async move { simulated.respond(call).await }
        })
        .await?;
        let control = match options.control {
            Some(bind) => Some(crate::control::serve(bind, simulated.clone()).await?),
            None => None,
        };
        Ok(Self { server, control, simulated })
    }

    /// Where the API is.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// Where the control commands go, if it was asked for.
    pub fn control_addr(&self) -> Option<SocketAddr> {
        self.control.as_ref().map(Server::addr)
    }

    /// The whole body of a `POST /data/connection` to this simulator with a personal access token.
    pub fn payload(&self, connection_key: &str) -> Value {
        json!({
            "connectionKey": connection_key,
            "connection": {
                "technology": "Databricks",
                "hostname": format!("http://{}", self.addr().ip()),
                "port": self.addr().port(),
                "authenticationType": "token",
                "token": TOKEN,
            },
            "settings": {"isActive": true, "activateNewChildren": true},
        })
    }

    /// The same with a client id and secret.
    pub fn m2m_payload(&self, connection_key: &str) -> Value {
        let mut payload = self.payload(connection_key);
        payload["connection"] = json!({
            "technology": "Databricks",
            "hostname": format!("http://{}", self.addr().ip()),
            "port": self.addr().port(),
            "authenticationType": "oAuthM2M",
            "oAuthClientConfig": {
                "useCertificate": false,
                "clientId": CLIENT_ID,
                "clientSecret": CLIENT_SECRET,
                "scope": "all-apis",
                "authorityUrl": format!("http://{}{}", self.addr(), token::TOKEN_PATH),
            },
        });
        payload
    }
}

/// What is common to all handles: a simulator can be steered through itself.
impl std::ops::Deref for UnityCatalog {
    type Target = Simulated;

    fn deref(&self) -> &Simulated {
        &self.simulated
    }
}

impl Simulated {
    /// Makes one change of the model.
    pub fn change(&self, change: &Change) -> Result<(), ChangeError> {
        self.0.metastore.write().unwrap_or_else(PoisonError::into_inner).apply(change)
    }

    /// Reads the model as it stands.
    pub fn read<T>(&self, read: impl FnOnce(&Metastore) -> T) -> T {
        read(&self.0.metastore.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the model freely; columns changed this way must not have been served yet.
    pub fn write<T>(&self, write: impl FnOnce(&mut Metastore) -> T) -> T {
        write(&mut self.0.metastore.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes credentials and grants.
    pub fn access<T>(&self, change: impl FnOnce(&mut Access) -> T) -> T {
        change(&mut lock(&self.0.access))
    }

    /// Adds a rule to the schedule of faults.
    pub fn fault(&self, rule: Rule) {
        lock(&self.0.faults).add(rule);
    }

    /// No more faults.
    pub fn clear_faults(&self) {
        lock(&self.0.faults).clear();
    }

    /// How many requests the rules now in force have hit.
    pub fn fault_hits(&self) -> u64 {
        lock(&self.0.faults).hits()
    }

    /// All fetched tokens are over at once.
    pub fn expire_tokens(&self) {
        lock(&self.0.access).expire_issued(Instant::now());
    }

    /// Waits so long before every answer from now on.
    pub fn set_latency(&self, latency: Duration) {
        self.0.latency_us.store(latency.as_micros() as u64, Ordering::Relaxed);
    }

    /// Sums of the traffic.
    pub fn counters(&self) -> Counters {
        self.0.journal.counters()
    }

    /// The requests that came.
    pub fn journal(&self) -> Vec<Entry> {
        self.0.journal.entries()
    }

    /// Counts from zero again.
    pub fn reset_counters(&self) {
        self.0.journal.reset();
    }

    /// Renders all columns now, so that no walk pays for it.
    pub fn warm(&self) {
        self.read(|metastore| {
            for (_, table) in metastore.tables() {
                render::columns(table, self.0.dialect);
            }
        });
    }

    async fn respond(&self, call: Call) -> Outcome {
        let state = &*self.0;
        let in_work = state.journal.arrived();
        let target = call.path_and_query();
        let latency = state.latency_us.load(Ordering::Relaxed);
        if latency > 0 {
            tokio::time::sleep(Duration::from_micros(latency)).await;
        }
        let fault = lock(&state.faults).due(&target);
        if fault.is_some() {
            state.journal.hit();
        }
        let outcome = self.outcome(&call, fault.as_ref());
        drop(in_work);
        let (status, bytes) = match &outcome {
            Outcome::Reply(reply) => (reply.status, reply.body.len()),
            Outcome::Hang | Outcome::Reset => (0, 0),
        };
        state.journal.answered(Entry::new(&call.method, target, status), bytes);
        outcome
    }

    fn outcome(&self, call: &Call, fault: Option<&Fault>) -> Outcome {
        match fault {
            Some(Fault::ExpireTokens) => self.expire_tokens(),
            Some(Fault::Revoke { path }) => self.access(|access| access.revoke(path)),
            Some(Fault::Change { change }) => {
                if let Err(error) = self.change(change) {
                    return Outcome::Reply(Reply::text(
                        500,
                        format!("the scheduled change could not be made: {error}"),
                    ));
                }
            }
            _ => {}
        }
        let twist = match fault {
            Some(Fault::Twisted { twist }) => Some(*twist),
            _ => None,
        };
        match (self.answer(call, twist), fault) {
            (Outcome::Reply(reply), Some(fault)) => fault.applied_to(reply, errors::scheduled),
            (outcome, _) => outcome,
        }
    }

    fn answer(&self, call: &Call, twist: Option<Twist>) -> Outcome {
        let state = &*self.0;
        let now = Instant::now();
        if state.dialect == Dialect::Commercial && call.path == token::TOKEN_PATH {
            return Outcome::Reply(token::issue(&mut lock(&state.access), call, now));
        }
        self.read(|metastore| {
            let scene = answer::Scene {
                metastore,
                access: &lock(&state.access),
                dialect: state.dialect,
                authorization: state.authorization,
                sizes: state.sizes,
                forget_rendered: state.forget_rendered,
                twist,
                now,
            };
            answer::answer(&scene, call)
        })
    }
}

/// A panic elsewhere must not hide what the test is about.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
