//! A real host in this process, on a free port, with a data directory of its own that goes with it.

use std::path::{Path, PathBuf};

use anyhow::Context;
use uuid::Uuid;
use wharfinger::{
    api::caller::token_digest,
    app::{App, Options},
    clock::Clock,
    config::Config,
    connector::{CodeCache, Setup},
    egress::vault::Vault,
    model::{
        id::{ObjectId, PrincipalId},
        principal::{Permission, Principal},
        sight::Sight,
    },
};

use crate::client::Client;

/// The administrator's key of every test host.
pub const ADMIN_KEY: &str = "test-administrator-key-0123456789";

/// A directory that is removed with its owner.
pub struct TempDir(PathBuf);

/// A running host.
pub struct TestHost {
    app: App,
    /// Where it keeps everything.
    pub dir: TempDir,
    config: Config,
    clock: Clock,
    bundled: Option<&'static [&'static str]>,
    client: Client,
}

impl TempDir {
    /// A new one.
    pub fn new() -> anyhow::Result<Self> {
        Self::below(&std::env::temp_dir())
    }

    /// A new one inside another.
    pub fn below(parent: &Path) -> anyhow::Result<Self> {
        let dir = parent.join(format!("wharfinger-test-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&dir)?;
        Ok(Self(dir))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The program that compiles connectors for a host in a test's process: the host's binary, built beside the tests.
pub fn program() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe()?;
    // Tests lie one level below the binaries.
    let host = this.ancestors().skip(1).take(2).map(|dir| dir.join("host")).find(|file| file.is_file());
    host.with_context(|| format!("the binary `host` is not built beside {}", this.display()))
}

/// Machine code that all test hosts share: each component is compiled once, and not by every test again.
pub fn code() -> anyhow::Result<CodeCache> {
    let dir = program()?.with_file_name("test-code");
    CodeCache::open(&dir, Vault::new(&[0x7e; 32]).mac_key("tests")?)
}

/// What test hosts are started with.
pub fn options() -> anyhow::Result<Options> {
    Ok(Options { program: Some(program()?), code: Some(code()?), ..Options::default() })
}

/// What connectors are made ready and run with where there is no host around them.
pub fn setup() -> anyhow::Result<Setup> {
    Ok(Setup { code: Some(code()?), ..Setup::new(program()?) })
}

/// A configuration for a host in `dir` that may reach simulators on loopback.
pub fn config_in(dir: &Path) -> anyhow::Result<Config> {
    let key = dir.join("admin.key");
    std::fs::write(&key, ADMIN_KEY)?;
    let mut config = Config::in_dir(dir.join("data"));
    config.listen = "127.0.0.1:0".parse()?;
    config.egress.allow_cidrs = vec!["127.0.0.0/8".parse()?];
    config.egress.allow_insecure_http = true;
    config.admin_key_file = Some(key);
    Ok(config)
}

impl TestHost {
    /// A host that may reach simulators on loopback.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(Clock::system(), |_| {}).await
    }

    /// A host with this clock and a changed configuration.
    pub async fn start_with(clock: Clock, change: impl FnOnce(&mut Config)) -> anyhow::Result<Self> {
        let dir = TempDir::new()?;
        let mut config = config_in(dir.path())?;
        change(&mut config);
        Self::launch(dir, config, clock, None).await
    }

    /// A host with none of the bundled connectors, which starts faster.
    pub async fn bare() -> anyhow::Result<Self> {
        let dir = TempDir::new()?;
        let config = config_in(dir.path())?;
        Self::launch(dir, config, Clock::system(), Some(&[])).await
    }

    async fn launch(
        dir: TempDir,
        config: Config,
        clock: Clock,
        bundled: Option<&'static [&'static str]>,
    ) -> anyhow::Result<Self> {
        let options = Options { clock: clock.clone(), bundled, ..self::options()? };
        let app = App::start(config.clone(), options).await;
        let app = app.context("start the host")?;
        let client = Client::new(format!("http://{}", app.addr()), Some(ADMIN_KEY.into()));
        Ok(Self { app, dir, config, clock, bundled, client })
    }

    /// The administrator.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The host itself.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Somebody without a key.
    #[must_use]
    pub fn stranger(&self) -> Client {
        Client::new(self.client.base(), None)
    }

    /// Somebody with these permissions who sees this much.
    pub async fn caller(&self, name: &str, permissions: &[Permission], sight: Sight) -> anyhow::Result<Client> {
        let key = format!("test-key-of-{name}-{}", Uuid::now_v7());
        let principal = Principal {
            id: PrincipalId::generate(),
            name: name.into(),
            email: None,
            permissions: permissions.to_vec(),
            sight,
        };
        self.app.db().put_principal(principal, token_digest(&key)).await?;
        Ok(Client::new(self.client.base(), Some(key)))
    }

    /// An owner of these objects, without any global permission.
    pub async fn owner_of(&self, name: &str, roots: Vec<ObjectId>) -> anyhow::Result<Client> {
        self.caller(name, &[], Sight::Roots(roots)).await
    }

    /// Ends the host and starts it again on the same data.
    pub async fn restart(self) -> anyhow::Result<Self> {
        self.app.shutdown().await;
        Self::launch(self.dir, self.config, self.clock, self.bundled).await
    }

    /// Ends the host, looks at its data directory while nobody has it open, and starts it again.
    pub async fn restart_after<T>(self, look: impl FnOnce(&Path) -> anyhow::Result<T>) -> anyhow::Result<(Self, T)> {
        self.app.shutdown().await;
        let seen = look(&self.dir.path().join("data"))?;
        Ok((Self::launch(self.dir, self.config, self.clock, self.bundled).await?, seen))
    }

    /// Ends the host.
    pub async fn stop(self) {
        self.app.shutdown().await;
    }
}
