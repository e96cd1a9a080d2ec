//! The composition root: opens what is kept, builds the parts, owns their tasks, and takes them down again.
//!
//! Nothing here decides anything about connections or jobs. A start that fails leaves nothing behind that the next one
//! would stumble over; a stop lets requests and running pages finish for a while, and is no different from a crash to
//! what is stored.

mod keys;
mod rotation;
mod signals;
mod stopped;

pub use signals::EndSignals;
pub use stopped::verify;

use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::rotation::Rotations;
use crate::{
    api::{self, ApiState},
    clock::Clock,
    config::{self, Config},
    connector::{CodeCache, Connectors, LimitsOf, Setup},
    db::Db,
    egress::{
        session::{Egress, Surroundings},
        vault::Vault,
    },
    jobs,
    registry::{self, Registry, files::Files},
};

/// Name of the store in the data directory.
const STORE: &str = "wharfinger.redb";

/// Name of the directory of compiled code in it, and what its key is for.
const CODE: &str = "code";
const CODE_KEY: &str = "compiled code 1";

/// How long requests and pages may take to finish when the host goes down.
const GRACE: Duration = Duration::from_secs(10);

/// How long sessions at platforms may take to be closed after that.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A running host.
pub struct App {
    addr: SocketAddr,
    db: Db,
    connectors: Connectors,
    egress: Egress,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    // Held as long as the host runs: a second one would be told.
    _lock: File,
}

/// What a start takes besides the configuration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The time.
    pub clock: Clock,
    /// Told the first administrator's key, before it is stored: a crash in between makes the next start tell another
    /// one, and nobody is locked out.
    pub on_first_key: Option<fn(&str)>,
    /// Only these of the bundled connectors, for whoever starts often: compiling them is most of a start. None: all.
    pub bundled: Option<&'static [&'static str]>,
    /// The program that compiles connectors: one that knows this host's commands. None: this one.
    pub program: Option<PathBuf>,
    /// Where machine code is kept, for hosts that share a place. None: in the data directory.
    pub code: Option<CodeCache>,
}

impl App {
    /// Starts a host. It serves when this returns.
    pub async fn start(config: Config, options: Options) -> anyhow::Result<Self> {
        let dir = &config.data_dir;
        keys::private_dir(dir).with_context(|| format!("make the data directory {}", dir.display()))?;
        let lock = lock(dir)?;
        let master_key = keys::master_key(&config)?;
        let listener =
            TcpListener::bind(config.listen).await.with_context(|| format!("listen on {}", config.listen))?;
        let addr = listener.local_addr()?;

        let db = Db::open(&dir.join(STORE)).context("open the store")?;
        keys::administrator(&db, &config, options.on_first_key).await?;
        let vault = Arc::new(Vault::new(&master_key));
        let keep = Rotations { db: db.downgrade(), vault: Arc::clone(&vault) };
        let surroundings = Surroundings { clock: options.clock.clone(), keep: Some(Arc::new(keep)) };
        let egress = Egress::within(config.egress.clone(), surroundings)?;
        let connectors = connectors(&config, &options, &vault).await?;
        let parts = registry::Parts {
            db: db.clone(),
            connectors: connectors.clone(),
            egress: egress.clone(),
            vault: Arc::clone(&vault),
            clock: options.clock.clone(),
            files: Files::open(dir).context("open the directory of the components")?,
            trust: config.trust.clone(),
        };
        let registry = Registry::open(parts, options.bundled).await?;

        let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
        let work = jobs::Context {
            db: db.clone(),
            connectors: connectors.clone(),
            egress: egress.clone(),
            vault: Arc::clone(&vault),
            clock: options.clock.clone(),
            options: jobs::Options {
                jobs: config.jobs.workers,
                tasks_per_job: config.jobs.parallel,
                keep_jobs_days: config.jobs.keep_days,
                keep_changes_days: config.history.keep_days,
                keep_audit_days: config.history.audit_days,
            },
        };
        registry.start(&shutdown, &tasks);
        jobs::start(work, shutdown.clone(), &tasks);
        let state = ApiState {
            db: db.clone(),
            connectors: connectors.clone(),
            registry,
            egress: egress.clone(),
            vault,
            clock: options.clock,
            options: Arc::new(api::Options { store_file: Some(dir.join(STORE)), ..api::Options::default() }),
            streams: api::streams::room(),
            stopping: shutdown.clone(),
        };
        serve(listener, state, shutdown.clone(), &tasks);
        tracing::info!(%addr, data_dir = %dir.display(), version = env!("CARGO_PKG_VERSION"), "serving");
        Ok(Self { addr, db, connectors, egress, shutdown, tasks, _lock: lock })
    }

    /// Where the API listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The store, for whoever runs a host inside its own process.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The connectors, for whoever installs one from its own process.
    #[must_use]
    pub fn connectors(&self) -> &Connectors {
        &self.connectors
    }

    /// Takes no more requests, lets what runs finish for a while, and ends.
    pub async fn shutdown(self) {
        self.shutdown.cancel();
        self.tasks.close();
        if tokio::time::timeout(GRACE, self.tasks.wait()).await.is_err() {
            tracing::warn!("some work did not finish in time; the next start goes on with it");
        }
        if !self.egress.settled().await {
            tracing::warn!(
                "a platform may have replaced a secret that is not stored: its connection needs another one"
            );
        }
        if tokio::time::timeout(LAST_WORDS, self.egress.finished()).await.is_err() {
            tracing::warn!("some platforms were not told in time that their sessions are over; they end by themselves");
        }
        // Answers and reads that were given up drop their handles a little after their task has ended.
        if tokio::time::timeout(GRACE, self.db.close()).await.is_err() {
            tracing::warn!("something still reads the store; it is closed with the process");
        }
    }
}

/// The engine, set up as the operator chose, with no connector in it.
async fn connectors(config: &Config, options: &Options, vault: &Vault) -> anyhow::Result<Connectors> {
    let own = options.code.is_none();
    let code = match &options.code {
        Some(shared) => shared.clone(),
        None => CodeCache::open(&config.data_dir.join(CODE), vault.mac_key(CODE_KEY)?)?,
    };
    let connectors = Connectors::new(Setup {
        program: options.program.clone().unwrap_or_else(config::own_program),
        compile: config.connectors.compile,
        code: Some(code),
        limits: LimitsOf {
            component_mib: config.connectors.component_mib,
            named: config.connectors.limits.clone(),
            ..LimitsOf::default()
        },
        clock: options.clock.clone(),
    })?;
    if own {
        connectors.sweep_code().await;
    }
    Ok(connectors.approving(&config.egress.approved_origins))
}

fn serve(listener: TcpListener, state: ApiState, shutdown: CancellationToken, tasks: &TaskTracker) {
    let listener = listener.tap_io(|stream| {
        // Answers are small and written whole: waiting to join packets only adds latency.
        let _ = stream.set_nodelay(true);
    });
    let router = api::router(state);
    tasks.spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "the API stopped serving");
        }
    });
}

/// A data directory has one host: two would each believe the other's claims to be void.
fn lock(dir: &Path) -> anyhow::Result<File> {
    let path = dir.join("lock");
    let file = File::create(&path).with_context(|| format!("open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            bail!(
                "another wharfinger runs on the data directory {}: end it first, or choose another --data-dir",
                dir.display()
            )
        }
        Err(std::fs::TryLockError::Error(error)) => Err(error).with_context(|| format!("lock {}", path.display())),
    }
}
