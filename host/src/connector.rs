//! Connectors: loading components and calling them. The only module that knows wasmtime and the contract.
//!
//! A call runs in a fresh store under a deadline and limits, and what it returns is checked before it becomes a model
//! type. A guest that traps, loops or lies fails its own call and nothing else.

pub mod audit;
pub mod bundled;
mod circuit;
mod code;
pub mod compile;
pub mod descriptor;
mod engine;
pub mod error;
pub mod health;
mod imports;
mod instance;
mod limits;
mod loader;
mod obstacle;
mod places;
mod retired;
mod section;
pub mod signature;
mod state;
pub mod strip;
mod turns;
mod v0_1;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use anyhow::Context;
use serde_json::{Value, json};
use tokio::{runtime::Handle, sync::Notify};
use wasmtime::{
    Store,
    component::{Instance, InstancePre},
};

use self::{
    compile::Compiler,
    engine::Guests,
    health::{Health, Snapshot},
    instance::Work,
    limits::Times,
    retired::Retired,
    state::{Grant, State},
    v0_1::{Expect, Exports, ReadRequest},
};
use crate::{
    clock::Clock,
    egress::{
        approval::ApprovedOrigin,
        session::{Egress, SendError, Session, SessionSpec},
        vault::Secrets,
    },
    model::{
        connection::Connection,
        filter::{Filter, Pattern},
        id::ConnectionId,
        name::Technology,
        page::{Cursor, Page, Partition, Presence},
        path::RemotePath,
    },
};
pub use code::CodeCache;
pub use compile::CompileLimits;
pub use descriptor::{Descriptor, Registration};
pub use error::{CallError, ErrorCode, Stop};
pub use limits::{Limits, LimitsOf, MOST_COMPONENT_MIB};
pub use retired::Counted;

/// The engine, and which connector serves what.
#[derive(Clone)]
pub struct Connectors {
    shop: Arc<Workshop>,
    /// Where secrets may go besides the connections' own origins.
    approved: Arc<[ApprovedOrigin]>,
    /// Replaced as a whole. Calls under way keep the connector they began with.
    serving: Arc<RwLock<Arc<Serving>>>,
    /// What served before, with what it had counted.
    retired: Arc<Mutex<Retired>>,
}

/// What connectors are made ready and run with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The program that compiles, which is this one.
    pub program: PathBuf,
    /// What compiling one may take.
    pub compile: CompileLimits,
    /// Where machine code is kept. None: every start compiles.
    pub code: Option<CodeCache>,
    /// What guests may use.
    pub limits: LimitsOf,
    /// The time.
    pub clock: Clock,
}

impl Setup {
    /// For looking at components that some host takes, whatever its limit.
    #[must_use]
    pub fn for_any_host(program: PathBuf) -> Self {
        let limits = LimitsOf { component_mib: MOST_COMPONENT_MIB, ..LimitsOf::default() };
        Self { limits, ..Self::new(program) }
    }

    /// Defaults, with this program to compile.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        let (compile, limits) = (CompileLimits::default(), LimitsOf::default());
        Self { program, compile, code: None, limits, clock: Clock::default() }
    }
}

/// What components are made into connectors with.
struct Workshop {
    guests: Arc<Guests>,
    limits: LimitsOf,
    compiler: Compiler,
    code: Option<CodeCache>,
    clock: Clock,
    troubled: Arc<Notify>,
}

/// Which connector serves what: one value, so that a swap is one step.
#[derive(Clone, Default)]
pub struct Serving {
    /// By technology: what serves whoever has no other.
    pub active: BTreeMap<String, Arc<Connector>>,
    /// Connections that another version serves, because they pin it or try it for the others. None where what is pinned
    /// cannot be loaded: it was pinned so that no other one serves.
    pub chosen: BTreeMap<ConnectionId, Option<Arc<Connector>>>,
    /// By name and version: what jobs ask for that one version carries out, whatever serves.
    pub versions: BTreeMap<(String, String), Arc<Connector>>,
}

/// One loaded connector.
pub struct Connector {
    /// What it said of itself.
    pub descriptor: Descriptor,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
    label: Arc<str>,
    limits: Limits,
    guests: Arc<Guests>,
    component: InstancePre<State>,
    exports: Arc<Exports>,
    health: Health,
    /// Its machine code is kept as long as this is.
    _code: Arc<code::CodeKey>,
}

/// What one call used of the platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests, repeats included.
    pub requests: u64,
    /// Bytes of answers.
    pub bytes: u64,
}

/// How a capability was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckStatus {
    /// It works.
    Passed,
    /// It works in part.
    Warning,
    /// It does not.
    Failed,
    /// It was not tried, because something before it failed.
    Skipped,
}

/// What was found out about one capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was tried.
    pub capability: String,
    /// How it went.
    pub status: CheckStatus,
    /// One sentence for people.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The container it is about.
    pub path: Option<RemotePath>,
    /// On `authenticate`: what tells this account from others.
    pub identity: Option<String>,
    /// On `authenticate`: as whom it will be listed.
    pub basis: Option<String>,
}

impl Connectors {
    /// The engine, with no connector in it.
    pub fn new(setup: Setup) -> anyhow::Result<Self> {
        let shop = Workshop {
            guests: Arc::new(Guests::new(setup.limits.room())?),
            limits: setup.limits,
            compiler: Compiler::new(setup.program, setup.compile),
            code: setup.code,
            clock: setup.clock,
            troubled: Arc::default(),
        };
        Ok(Self { shop: Arc::new(shop), approved: Arc::default(), serving: Arc::default(), retired: Arc::default() })
    }

    /// The same with origins that connectors may name besides the connections' own.
    #[must_use]
    pub fn approving(self, approved: &[ApprovedOrigin]) -> Self {
        Self { approved: approved.into(), ..self }
    }

    /// Removes machine code that other versions of the host left, where nobody else keeps any in the same place.
    pub async fn sweep_code(&self) {
        if let Some(code) = self.shop.code.clone() {
            let compatibility = self.shop.guests.compatibility.clone();
            // What it cannot do, it tells by itself.
            let _ = tokio::task::spawn_blocking(move || code.sweep(&compatibility)).await;
        }
    }

    /// Rung after each call that counts as a failure of its connector ([`health`]), for the one who judges versions by
    /// them. One ring may stand for several failures.
    #[must_use]
    pub fn troubled(&self) -> &Notify {
        &self.shop.troubled
    }

    /// Loads the components inside the binary: all, or only those of these names.
    pub async fn load_bundled(&self, only: Option<&[&str]>) -> anyhow::Result<()> {
        for (name, bytes) in bundled::BUNDLED.iter().filter(|(name, _)| only.is_none_or(|only| only.contains(name))) {
            self.load(bytes).await.with_context(|| format!("load the bundled connector {name}"))?;
        }
        Ok(())
    }

    /// Makes a component ready to be called: audit, compile, describe. It serves nothing yet.
    pub async fn prepare(&self, bytes: &[u8]) -> Result<Arc<Connector>, error::LoadError> {
        let connector = self.describe(bytes).await?;
        connector.descriptor.check_approved(&self.approved)?;
        Ok(connector)
    }

    /// Makes a component ready to be asked what it is, whatever it names and whether or not that is approved here.
    pub async fn describe(&self, bytes: &[u8]) -> Result<Arc<Connector>, error::LoadError> {
        loader::load(&self.shop, bytes).await.map(Arc::new)
    }

    /// Makes a component ready, and lets it serve its technology in the place of whatever does.
    pub async fn load(&self, bytes: &[u8]) -> Result<Arc<Connector>, error::LoadError> {
        let connector = self.prepare(bytes).await?;
        let technology = connector.descriptor.technology.to_string();
        tracing::info!(connector = %connector.label, technology, digest = connector.digest, "loaded a connector");
        let mut serving = self.serving.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut serving).active.insert(technology, connector.clone());
        drop(serving);
        Ok(connector)
    }

    /// Bytes of the largest component that is taken.
    #[must_use]
    pub fn max_component(&self) -> usize {
        self.shop.limits.component()
    }

    /// From now on these serve: the next call of every connection goes to them.
    pub fn serve(&self, serving: Serving) {
        let mut now = self.serving.write().unwrap_or_else(PoisonError::into_inner);
        self.retired.lock().unwrap_or_else(PoisonError::into_inner).swap(&now, &serving);
        *now = Arc::new(serving);
    }

    /// The counters of each version that serves or served lately, by digest. They never go back, whatever stops serving or
    /// serves again.
    #[must_use]
    pub fn counted(&self) -> BTreeMap<String, Counted> {
        let now = self.serving.read().unwrap_or_else(PoisonError::into_inner);
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.with(&now)
    }

    /// What serves what at this moment.
    #[must_use]
    pub fn now(&self) -> Arc<Serving> {
        self.serving.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What serves each technology, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Connector>> {
        let mut all: Vec<_> = self.now().active.values().cloned().collect();
        all.sort_by(|a, b| a.descriptor.name.cmp(&b.descriptor.name));
        all
    }

    /// What serves a technology where nothing else is chosen.
    #[must_use]
    pub fn by_technology(&self, technology: &Technology) -> Option<Arc<Connector>> {
        self.now().active.get(technology.as_str()).cloned()
    }

    /// One version of a connector, whomever it serves; none where it is not loaded.
    #[must_use]
    pub fn version(&self, named: &(String, String)) -> Option<Arc<Connector>> {
        self.now().versions.get(named).cloned()
    }

    /// What serves a connection.
    #[must_use]
    pub fn of(&self, connection: ConnectionId, technology: &Technology) -> Option<Arc<Connector>> {
        let serving = self.now();
        match serving.chosen.get(&connection) {
            Some(chosen) => chosen.clone(),
            None => serving.active.get(technology.as_str()).cloned(),
        }
    }
}

impl Connector {
    /// Name and version, as jobs tell it.
    #[must_use]
    pub fn label(&self) -> String {
        self.label.to_string()
    }

    /// Bytes of answers that one partition may take, whatever the number of its pages.
    #[must_use]
    pub fn partition_bytes(&self) -> u64 {
        self.limits.partition()
    }

    /// How its calls have fared since the host started.
    #[must_use]
    pub fn health(&self) -> Snapshot {
        self.health.snapshot()
    }

    /// The way out of a registered connection.
    pub fn session(
        &self,
        egress: &Egress,
        connection: &Connection,
        secrets: Secrets,
    ) -> Result<Arc<Session>, CallError> {
        let recipe = self.descriptor.recipe(&connection.config).ok_or_else(|| {
            let message = format!("{} no longer has the connection's way to authenticate: choose another", self.label);
            CallError::new(ErrorCode::InvalidConfig, message)
        })?;
        let spec = SessionSpec {
            connection: Some((connection.id, connection.revision)),
            keep: Some(connection.id),
            brought: BTreeSet::new(),
            address: connection.address.clone(),
            config: self.descriptor.shown(&connection.config, &connection.address),
            secrets,
            recipe: recipe.clone(),
            reach: self.descriptor.reach.clone(),
        };
        egress.session(spec).map_err(no_session)
    }

    /// The way out of a payload that is only tested. `stored` is the connection that it would change, with its secrets:
    /// where the payload uses one of those and the platform replaces that, the new one is stored.
    pub fn trial_session(
        &self,
        egress: &Egress,
        registration: &Registration,
        stored: Option<(ConnectionId, &Secrets)>,
    ) -> Result<Arc<Session>, CallError> {
        let known = |(name, value): (&String, &_)| stored.is_some_and(|(_, known)| known.0.get(name) == Some(value));
        let brought = registration.secrets.0.iter().filter(|secret| !known(*secret));
        let spec = SessionSpec {
            connection: None,
            keep: stored.map(|(id, _)| id),
            brought: brought.map(|(name, _)| name.clone()).collect(),
            address: registration.address.clone(),
            config: self.descriptor.shown(&registration.config, &registration.address),
            secrets: registration.secrets.clone(),
            recipe: registration.recipe.clone(),
            reach: self.descriptor.reach.clone(),
        };
        egress.session(spec).map_err(no_session)
    }

    /// Whether the connection works, capability by capability.
    pub async fn check(&self, session: &Arc<Session>, config: &Value) -> (Result<Vec<Outcome>, CallError>, Usage) {
        let config = self.with_origin(session, config);
        let exports = self.exports.clone();
        self.call(Times::CHECK, session, move |store, instance| {
            Box::pin(async move {
                let guest = exports.check.load(&mut *store, instance)?;
                let answer = guest.call_run(store, &config).await?;
                Ok(answer.map(v0_1::outcomes).map_err(v0_1::call_error))
            })
        })
        .await
    }

    /// Where to begin a listing.
    pub async fn plan(
        &self,
        session: &Arc<Session>,
        config: &Value,
        scope: &RemotePath,
    ) -> (Result<Vec<Partition>, CallError>, Usage) {
        let config = self.with_origin(session, config);
        let (exports, limits) = (self.exports.clone(), self.limits);
        let scope = scope.clone();
        self.call(Times::PLAN, session, move |store, instance| {
            Box::pin(async move {
                let guest = exports.catalog.load(&mut *store, instance)?;
                let answer = guest.call_plan(store, &config, &v0_1::path(&scope)).await?;
                Ok(answer.map_err(v0_1::call_error).and_then(|found| v0_1::partitions(found, &scope, &limits)))
            })
        })
        .await
    }

    /// One page of a partition.
    pub async fn read(
        &self,
        session: &Arc<Session>,
        config: &Value,
        partition: &Partition,
        want_columns: bool,
        cursor: Option<&Cursor>,
    ) -> (Result<Page, CallError>, Usage) {
        let config = self.with_origin(session, config);
        let (exports, limits) = (self.exports.clone(), self.limits);
        let asked = cursor.cloned();
        let expect = Expect::Below(partition.scope.clone());
        let request = ReadRequest {
            partition: v0_1::partition(partition),
            want_columns,
            cursor: cursor.map(|c| c.0.clone()),
            extra: Vec::new(),
        };
        self.call(Times::READ, session, move |store, instance| {
            Box::pin(async move {
                let guest = exports.catalog.load(&mut *store, instance)?;
                let answer = guest.call_read(store, &config, &request).await?;
                Ok(answer
                    .map_err(v0_1::call_error)
                    .and_then(|page| v0_1::page(page, &expect, &limits))
                    .and_then(|page| advances(page, asked.as_ref())))
            })
        })
        .await
    }

    /// Whether [`Connector::read_columns`] can be called.
    #[must_use]
    pub fn can_read_columns(&self) -> bool {
        self.exports.columns.is_some()
    }

    /// The named children of a container with their columns.
    pub async fn read_columns(
        &self,
        session: &Arc<Session>,
        config: &Value,
        scope: &RemotePath,
        namespace: &str,
        names: &[String],
        cursor: Option<&Cursor>,
    ) -> (Result<Page, CallError>, Usage) {
        if !self.can_read_columns() {
            return (Err(unsupported("catalog-columns")), Usage::default());
        }
        let config = self.with_origin(session, config);
        let (exports, limits) = (self.exports.clone(), self.limits);
        let (scope, namespace, names) = (scope.clone(), namespace.to_owned(), names.to_vec());
        let asked = cursor.cloned();
        self.call(Times::READ_COLUMNS, session, move |store, instance| {
            Box::pin(async move {
                let Some(columns) = &exports.columns else { return Ok(Err(unsupported("catalog-columns"))) };
                let guest = columns.load(&mut *store, instance)?;
                let path = v0_1::path(&scope);
                let cursor = asked.as_ref().map(|c| c.0.as_str());
                let answer = guest.call_read(store, &config, &path, &namespace, &names, cursor).await?;
                let expect = Expect::Named { scope, namespace, names: names.into_iter().collect() };
                Ok(answer.map_err(v0_1::call_error).and_then(|page| v0_1::page(page, &expect, &limits)))
            })
        })
        .await
    }

    /// Whether [`Connector::confirm`] can be called.
    #[must_use]
    pub fn can_confirm(&self) -> bool {
        self.exports.confirm.is_some()
    }

    /// Whether the named children are still there, in the same order.
    pub async fn confirm(
        &self,
        session: &Arc<Session>,
        config: &Value,
        scope: &RemotePath,
        namespace: &str,
        names: &[String],
    ) -> (Result<Vec<Presence>, CallError>, Usage) {
        if !self.can_confirm() {
            return (Err(unsupported("catalog-confirm")), Usage::default());
        }
        let config = self.with_origin(session, config);
        let exports = self.exports.clone();
        let (path, namespace, names) = (v0_1::path(scope), namespace.to_owned(), names.to_vec());
        self.call(Times::CONFIRM, session, move |store, instance| {
            Box::pin(async move {
                let Some(confirm) = &exports.confirm else { return Ok(Err(unsupported("catalog-confirm"))) };
                let guest = confirm.load(&mut *store, instance)?;
                let answer = guest.call_confirm(store, &config, &path, &namespace, &names).await?;
                Ok(answer.map_err(v0_1::call_error).and_then(|found| v0_1::presences(&found, names.len())))
            })
        })
        .await
    }

    async fn call<R, F>(&self, times: Times, session: &Arc<Session>, work: F) -> (Result<R, CallError>, Usage)
    where
        R: Send + 'static,
        F: for<'a> FnOnce(&'a mut Store<State>, &'a Instance) -> Work<'a, R> + Send + 'static,
    {
        let pass = match self.health.admit(session.connection()) {
            Ok(pass) => pass,
            Err(error) => return (Err(error), Usage::default()),
        };
        let grant = Grant { session: Some(session.clone()), label: self.label.clone(), io: Handle::current() };
        let times = times.scaled(&self.limits);
        let called = instance::call(&self.guests, &self.component, self.limits, times, grant, work).await;
        if let Some(spent) = &called.spent {
            pass.done(called.result.as_ref().err(), spent, !times.is_trial);
        }
        let usage = called.usage();
        (called.result, usage)
    }

    /// The configuration as guests get it: without secrets, with the bare host name, and with the origin beside it.
    fn with_origin(&self, session: &Session, config: &Value) -> String {
        let mut config = self.descriptor.shown(config, session.address());
        if let Some(fields) = config.as_object_mut() {
            fields.insert("origin".into(), Value::String(session.address().to_string()));
        }
        config.to_string()
    }
}

#[cfg(test)]
impl Workshop {
    /// One that compiles in this process: the tests of this crate have no program that could.
    fn for_tests() -> Self {
        let limits = LimitsOf::default();
        Self {
            guests: Arc::new(Guests::new(limits.room()).expect("engine")),
            limits,
            compiler: Compiler::here(),
            code: None,
            clock: Clock::default(),
            troubled: Arc::default(),
        }
    }
}

/// A configuration with what shall be listed beside it, where anything is left out: what the calls of a connector take. A
/// connector that looks at it saves the platform the asking; the host keeps to the patterns by itself.
#[must_use]
pub fn guest_config(config: &Value, filter: &Filter) -> Value {
    let mut config = config.clone();
    if let (Some(fields), false) = (config.as_object_mut(), filter.is_empty()) {
        let globs = |patterns: &[Pattern]| patterns.iter().map(|pattern| pattern.globs().to_vec()).collect::<Vec<_>>();
        let filter = json!({ "include": globs(filter.include()), "exclude": globs(filter.exclude()) });
        fields.insert("filter".into(), filter);
    }
    config
}

/// A page that leads to itself would be read for ever. One that asks to wait may: it polls what runs on the platform.
fn advances(page: Page, asked: Option<&Cursor>) -> Result<Page, CallError> {
    if page.next.is_some() && page.next.as_ref() == asked && page.not_before.is_none() {
        let message = "the connector returned the cursor that it was given: the listing would never end";
        return Err(CallError::new(ErrorCode::Internal, message));
    }
    Ok(page)
}

fn unsupported(interface: &str) -> CallError {
    CallError::new(ErrorCode::Unsupported, format!("the connector does not export {interface}"))
}

fn no_session(error: SendError) -> CallError {
    let code = ErrorCode::from_text(error.kind.code());
    CallError { detail: error.operator, retry_after: error.retry_after, ..CallError::new(code, error.message) }
}
