//! A simulated Snowflake account: the SQL API, the drivers' own protocol, the storage that large results come from, and an
//! identity provider for OAuth.
//!
//! One model stands behind all of them; what a client lists is what the model holds and its role may see. Every credential
//! is checked for real. Everything can be changed while it runs: the model, the rights, the faults, the latency, the time.
//! It knows neither host nor connectors.

pub mod access;
pub mod believable;
pub mod change;
pub mod data_type;
pub mod generate;
pub mod keys;
pub mod model;
pub mod twist;

mod admission;
mod control;
mod driver;
mod errors;
mod gzip;
mod handle;
mod information_schema;
mod jwt;
mod names;
mod oauth;
mod relation;
mod result;
mod run;
mod show;
mod sql;
mod sql_api;
mod storage;
mod stored;
mod visit;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, OnceLock, RwLock};
use std::time::Duration;

pub use self::access::{AccessToken, Grant, On, Privilege, Role, User, grant, grant_below};
pub use self::admission::Lifetimes;
pub use self::change::{Change, ChangeError, NewColumn, path};
pub use self::generate::{Names, Shape};
pub use self::handle::{Method, Simulated};
pub use self::keys::KeyForm;
pub use self::model::{Account, Kind, WarehouseState};
pub use self::oauth::ClientAuth;
pub use self::result::Partitions;
pub use self::run::Limits;
pub use self::twist::Twist;
pub use self::visit::{Sum, Traffic};

use crate::clock::Clock;
use crate::fault::{self, Schedule};
use crate::journal::Journal;
use crate::wire::{self, Server};

/// What can happen to a request.
pub type Fault = fault::Fault<Change, Twist>;
/// A fault and when it hits. It matches on the path and query and the statement after them; a poll, a partition or a chunk
/// has the statement of its result.
pub type Rule = fault::Rule<Change, Twist>;

/// The user every payload is for.
pub const USER: &str = "WHARFINGER";
/// Its password, with characters that break clients which encode it.
pub const PASSWORD: &str = "ebb & flow=\"%41\" 5a11";
/// Its programmatic access token.
pub const ACCESS_TOKEN: &str = "sim-pat-5a11ed0f5a11ed0f5a11ed0f5a11ed0f";
/// Its role, which sees everything but administers nothing.
pub const ROLE: &str = "INVENTORY";
/// The warehouse it may use.
pub const WAREHOUSE: &str = "INVENTORY_WH";
/// The client of the identity provider that gets tokens for the user.
pub const CLIENT_ID: &str = "0oa5a11ed+0f/5a11";
/// Its secret, with characters that break clients which do not encode it.
pub const CLIENT_SECRET: &str = "dose+simulated/secret=%41 5a11";

/// How a simulator is started.
#[derive(Debug)]
pub struct Options {
    /// Where the account listens; port 0 picks one. Storage and identity provider pick theirs on the same address.
    pub bind: SocketAddr,
    /// Where to listen for control commands, if at all.
    pub control: Option<SocketAddr>,
    /// What it holds. The user, role and warehouse of the payloads are added.
    pub account: Account,
    /// Account names that logins and key-pair tokens may carry besides its own: by default what a client makes of the
    /// loopback host.
    pub also_known_as: Vec<String>,
    /// Waits so long before every answer.
    pub latency: Duration,
    /// How much one statement may answer.
    pub limits: Limits,
    /// How large answers are cut.
    pub partitions: Partitions,
    /// How long what is handed out is good.
    pub lifetimes: Lifetimes,
    /// How clients of the token endpoints must show their secret.
    pub client_auth: ClientAuth,
    /// Whether a refresh token is good once only and another comes with each grant.
    pub rotate_refresh_tokens: bool,
    /// Answers of more rows than this run longer than a client may wait.
    pub slow_rows: Option<usize>,
    /// More requests at one time than this are too many: 429.
    pub most_at_once: Option<u64>,
}

impl Options {
    /// On any free ports of loopback, without latency.
    pub fn new(account: Account) -> Self {
        Self {
            bind: (Ipv4Addr::LOCALHOST, 0).into(),
            control: None,
            account,
            also_known_as: vec!["127".to_owned(), "LOCALHOST".to_owned()],
            latency: Duration::ZERO,
            limits: Limits::default(),
            partitions: Partitions::default(),
            lifetimes: Lifetimes::default(),
            client_auth: ClientAuth::Either,
            rotate_refresh_tokens: true,
            slow_rows: None,
            most_at_once: None,
        }
    }
}

/// A running simulator; dropping it stops it.
#[derive(Debug)]
pub struct Snowflake {
    account: Server,
    storage: Server,
    identity: Server,
    control: Option<Server>,
    simulated: Simulated,
}

/// Which listener a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Account,
    Storage,
    Identity,
}

/// Everything that the listeners share.
#[derive(Debug)]
struct State {
    account: RwLock<Account>,
    gates: Mutex<admission::Gates>,
    results: Mutex<stored::Results>,
    faults: Mutex<Schedule<Change, Twist>>,
    journal: Journal,
    traffic: Mutex<Traffic>,
    executed: AtomicU64,
    clock: Clock,
    latency_us: AtomicU64,
    /// Where storage listens; known once it does.
    storage: OnceLock<SocketAddr>,
    settings: Settings,
}

/// What does not change while it runs.
#[derive(Debug)]
struct Settings {
    names: Vec<String>,
    limits: Limits,
    partitions: Partitions,
    lifetimes: Lifetimes,
    client_auth: ClientAuth,
    rotate_refresh_tokens: bool,
    slow_rows: Option<usize>,
    most_at_once: Option<u64>,
}

impl Snowflake {
    /// Starts one.
    pub async fn start(options: Options) -> io::Result<Self> {
        let mut account = options.account;
        add_inventory_user(&mut account);
        let mut names = options.also_known_as;
        names.extend([account.locator.clone(), format!("{}-{}", account.organization, account.name)]);
        let simulated = Simulated::new(State {
            account: RwLock::new(account),
            gates: Mutex::default(),
            results: Mutex::default(),
            faults: Mutex::default(),
            journal: Journal::default(),
            traffic: Mutex::default(),
            executed: AtomicU64::new(0),
            clock: Clock::default(),
            latency_us: AtomicU64::new(options.latency.as_micros() as u64),
            storage: OnceLock::new(),
            settings: Settings {
                names: names.iter().map(|name| name.to_uppercase()).collect(),
                limits: options.limits,
                partitions: options.partitions,
                lifetimes: options.lifetimes,
                client_auth: options.client_auth,
                rotate_refresh_tokens: options.rotate_refresh_tokens,
                slow_rows: options.slow_rows,
                most_at_once: options.most_at_once,
            },
        });
        let open = async |bind, door| {
            let simulated = simulated.clone();
            wire::serve(bind, move |call| {
                let simulated = simulated.clone();
                async move { visit::respond(&simulated, door, call).await }
            })
            .await
        };
        let any_port = SocketAddr::new(options.bind.ip(), 0);
        let storage = open(any_port, Door::Storage).await?;
        simulated.set_storage(storage.addr());
        let identity = open(any_port, Door::Identity).await?;
        let account = open(options.bind, Door::Account).await?;
        let control = match options.control {
            Some(bind) => Some(crate::control::serve(bind, simulated.clone()).await?),
            None => None,
        };
        Ok(Self { account, storage, identity, control, simulated })
    }

    /// Where the account is.
    pub fn addr(&self) -> SocketAddr {
        self.account.addr()
    }

    /// Where large results of the driver protocol are fetched.
    pub fn storage_addr(&self) -> SocketAddr {
        self.storage.addr()
    }

    /// Where the identity provider is.
    pub fn identity_addr(&self) -> SocketAddr {
        self.identity.addr()
    }

    /// Where the control commands go, if it was asked for.
    pub fn control_addr(&self) -> Option<SocketAddr> {
        self.control.as_ref().map(Server::addr)
    }

    /// A handle that steers it from anywhere.
    pub fn simulated(&self) -> &Simulated {
        &self.simulated
    }
}

/// What is common to all handles: a simulator can be steered through itself.
impl std::ops::Deref for Snowflake {
    type Target = Simulated;

    fn deref(&self) -> &Simulated {
        &self.simulated
    }
}

/// The user, role and warehouse that payloads name; those that are there already stay as they are.
fn add_inventory_user(account: &mut Account) {
    if !account.roles.contains_key(ROLE) {
        let below = [Privilege::Usage, Privilege::References, Privilege::Select].map(|of| grant_below(of, &[]));
        account.grant_to(ROLE, below);
        account.grant_to(ROLE, [Grant { privilege: Privilege::Usage, on: On::Warehouse(WAREHOUSE.to_owned()) }]);
    }
    account.roles.entry("PUBLIC".to_owned()).or_default();
    if !account.warehouses.contains_key(WAREHOUSE) {
        account.add_warehouse(WAREHOUSE, WarehouseState::Suspended);
    }
    let token = AccessToken { until: i64::MAX, role: Some(ROLE.to_owned()) };
    account.users.entry(USER.to_owned()).or_insert_with(|| User {
        password: Some(PASSWORD.to_owned()),
        public_keys: [Some(keys::public_key()), None],
        tokens: [(ACCESS_TOKEN.to_owned(), token)].into(),
        roles: [ROLE.to_owned()].into(),
        default_role: Some(ROLE.to_owned()),
        default_warehouse: Some(WAREHOUSE.to_owned()),
        ..User::default()
    });
}
