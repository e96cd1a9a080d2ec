//! Connectors that are installed, and who is served by which version: from a component's bytes to calls that reach it.
//!
//! What is decided stands in the store, the components lie in files ([`files`]), and what is loaded is made from both. So
//! memory holds nothing that a restart would lose. One task ([`Keeper`]) writes files and swaps what serves, one thing
//! after another; whoever changes the store asks it to look again. Knows no HTTP.

pub mod files;

mod bundled;
mod checks;
mod keeper;
mod restore;
mod rollout;
mod serving;
mod shadow;
mod watch;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use ring::digest;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{files::Files, keeper::Order};
use crate::{
    clock::Clock,
    connector::{Connector, Connectors, audit, error::LoadError, signature},
    db::{
        Db,
        connectors::{Asked, Cause, ConnectorError, Installation},
    },
    egress::{session::Egress, vault::Vault},
    model::{
        connection::Actor,
        connector::{Installed, Origin, RolledBack, Version},
        id::ConnectionId,
        name::Technology,
        signature::Trust,
    },
};

/// A handle on the installed connectors.
#[derive(Clone)]
pub struct Registry {
    shared: Arc<Shared>,
}

/// What it works with.
pub struct Parts {
    /// What is installed and who is served by it.
    pub db: Db,
    /// What is loaded.
    pub connectors: Connectors,
    /// The way out, for checks.
    pub egress: Egress,
    /// Opens secrets, for checks.
    pub vault: Arc<Vault>,
    /// The time.
    pub clock: Clock,
    /// Where the components lie.
    pub files: Files,
    /// Whose components are taken.
    pub trust: Trust,
}

struct Shared {
    parts: Parts,
    /// What is loaded, by digest.
    loaded: Mutex<BTreeMap<String, Arc<Connector>>>,
    /// Why something that should serve does not, by digest.
    broken: Mutex<BTreeMap<String, String>>,
    orders: mpsc::Sender<Order>,
    /// Taken by the keeper when it starts.
    waiting: Mutex<Option<mpsc::Receiver<Order>>>,
    /// Rings when a change of version was asked for.
    asked: Notify,
    installs: Arc<Semaphore>,
}

/// Components that are taken in at a time. The bytes of each are in memory as long as that lasts.
const INSTALLS: usize = 2;

/// Why a component was not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// It is no connector that this host can run.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The store refuses it, or fails.
    #[error(transparent)]
    Store(#[from] ConnectorError),
    /// Its file could not be written.
    #[error("write the component")]
    File(#[source] std::io::Error),
    /// The host goes down.
    #[error("the host goes down")]
    Closed,
}

impl Registry {
    /// Looks at what is installed, adds what is inside the binary (all of it, or only these), and lets it serve.
    pub async fn open(parts: Parts, bundled: Option<&[&str]>) -> anyhow::Result<Self> {
        let (orders, waiting) = mpsc::channel(16);
        let registry = Self {
            shared: Arc::new(Shared {
                parts,
                loaded: Mutex::default(),
                broken: Mutex::default(),
                orders,
                waiting: Mutex::new(Some(waiting)),
                asked: Notify::new(),
                installs: Arc::new(Semaphore::new(INSTALLS)),
            }),
        };
        registry.sweep().await?;
        registry.take_in(bundled).await?;
        registry.serve_installed().await?;
        Ok(registry)
    }

    /// Begins to work on what is asked for. Ends with `shutdown`; what is under way goes on at the next start.
    pub fn start(&self, shutdown: &CancellationToken, tasks: &TaskTracker) {
        if let Some(waiting) = lock(&self.shared.waiting).take() {
            tasks.spawn(keeper::run(self.clone(), waiting, shutdown.clone()));
        }
        tasks.spawn(rollout::run(self.clone(), shutdown.clone()));
        tasks.spawn(watch::run(self.clone(), shutdown.clone()));
    }

    /// Waits until a component may be taken in: before its bytes are read, and held until it is installed.
    pub async fn turn_to_install(&self) -> Option<OwnedSemaphorePermit> {
        // Never closed.
        Arc::clone(&self.shared.installs).acquire_owned().await.ok()
    }

    /// Bytes of the largest component that is taken.
    #[must_use]
    pub fn max_component(&self) -> usize {
        self.parts().connectors.max_component()
    }

    /// Installs a component: who vouches for it (in it, or in `detached` beside it), audit, compile, describe, and then
    /// store. It serves nobody yet.
    pub async fn install(
        &self,
        bytes: Vec<u8>,
        detached: Option<&[u8]>,
        origin: Origin,
        by: Actor,
    ) -> Result<Installation, InstallError> {
        let (trust, detached) = (self.parts().trust.clone(), detached.map(<[u8]>::to_vec));
        // Away from the async threads: there is much to hash.
        let admit = move || {
            let signature = signature::admit(&bytes, detached.as_deref(), &trust);
            signature.map(|signature| (bytes, signature))
        };
        let (bytes, signature) = tokio::task::spawn_blocking(admit).await.map_err(|_| InstallError::Closed)??;
        let connector = self.parts().connectors.prepare(&bytes).await?;
        let version = self.version(&connector, &bytes, origin, signature.to_string(), Some(by));
        let technology = connector.descriptor.technology.clone();
        let (answer, answered) = tokio::sync::oneshot::channel();
        let order = Order::Store { bytes, technology, version: Box::new(version), answer };
        self.shared.orders.send(order).await.map_err(|_| InstallError::Closed)?;
        answered.await.map_err(|_| InstallError::Closed)?
    }

    /// Begins a change of version. It goes on by itself.
    pub async fn activate(&self, name: &str, asked: Asked, revision: u64) -> Result<Installed, ConnectorError> {
        let begun = self.parts().db.begin_rollout(name, asked, revision, self.now()).await?;
        self.shared.asked.notify_one();
        Ok(begun)
    }

    /// Goes back one step. It serves when this returns.
    pub async fn roll_back(&self, name: &str, cause: Cause) -> Result<RolledBack, ConnectorError> {
        let done = self.take_back(name, cause).await?;
        self.look_again().await;
        Ok(done)
    }

    /// Removes a version.
    pub async fn remove(&self, name: &str, version: &str, by: Actor) -> Result<(), InstallError> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let order = Order::Remove { name: name.to_owned(), version: version.to_owned(), by, answer };
        self.shared.orders.send(order).await.map_err(|_| InstallError::Closed)?;
        Ok(answered.await.map_err(|_| InstallError::Closed)??)
    }

    /// Lets serve what the store says by now. It does when this returns.
    pub async fn look_again(&self) {
        let (answer, answered) = tokio::sync::oneshot::channel();
        if self.shared.orders.send(Order::LookAgain(answer)).await.is_ok() {
            // Where the host goes down nothing is served any more.
            let _ = answered.await;
        }
    }

    /// A version of the connector of a technology, loaded if it is not; none where a connection (none: one that is about to
    /// be) cannot be pinned to it.
    pub async fn pinned(
        &self,
        technology: &Technology,
        version: &str,
        connection: Option<ConnectionId>,
    ) -> Option<Arc<Connector>> {
        let all = self.parts().db.connectors().await.ok()?;
        let (connector, versions) = all.iter().find(|(connector, _)| connector.technology == *technology)?;
        let may_pin = connector.may_pin(version, connection);
        let version = versions.iter().find(|found| found.version == version)?;
        if !may_pin || !connector.waiting(version).is_empty() || version.taken_back.is_some() {
            return None;
        }
        self.load(version).await.ok()
    }

    /// Why a component that should serve does not.
    #[must_use]
    pub fn broken(&self, digest: &str) -> Option<String> {
        lock(&self.shared.broken).get(digest).cloned()
    }

    /// What a loaded version says of itself.
    #[must_use]
    pub fn loaded(&self, digest: &str) -> Option<Arc<Connector>> {
        lock(&self.shared.loaded).get(digest).cloned()
    }

    /// Where the components lie.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.parts().files
    }

    fn parts(&self) -> &Parts {
        &self.shared.parts
    }

    fn now(&self) -> jiff::Timestamp {
        self.parts().clock.now()
    }

    /// A version's row.
    fn version(
        &self,
        connector: &Connector,
        bytes: &[u8],
        origin: Origin,
        signature: String,
        by: Option<Actor>,
    ) -> Version {
        let descriptor = &connector.descriptor;
        Version {
            connector: descriptor.name.clone(),
            version: descriptor.version.clone(),
            title: descriptor.title.clone(),
            digest: connector.digest.clone(),
            size: bytes.len() as u64,
            origin,
            signature,
            schema_digest: sha256(descriptor.config_schema.to_string().as_bytes()),
            description_digest: descriptor.digest.clone(),
            permissions: descriptor.permissions(),
            by,
            at: self.now(),
            taken_back: None,
            built: audit::built(bytes).unwrap_or_default(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::with_capacity(64), |text, byte| text + &format!("{byte:02x}"))
}
