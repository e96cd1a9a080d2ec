//! The native floor: what a plain program needs that lists the same catalogue and stores as much.
//!
//! It asks the same questions one after another, parses the fields that the connector uses without copying them, and
//! writes an object, a row of columns, a place and a remote id (where there is one) for every table. Rows are as long as the
//! host's are on average, and it commits as often.

mod databricks;
mod snowflake;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use redb::Database;
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use uuid::Uuid;
use wharfinger_tests::host::TempDir;

use crate::{hosted::peak_memory_mb, platform::Platform, store};

/// What to list and how much to write of it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Whose API it is.
    #[arg(long)]
    platform: Platform,
    /// Where the platform is.
    #[arg(long)]
    addr: SocketAddr,
    /// Its token.
    #[arg(long)]
    token: String,
    /// Where the store is made.
    #[arg(long)]
    dir: PathBuf,
    /// Bytes of an object's row.
    #[arg(long)]
    object_bytes: usize,
    /// Bytes of a row of columns.
    #[arg(long)]
    column_bytes: usize,
    /// Objects in one commit.
    #[arg(long)]
    batch: usize,
}

/// What it needed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) seconds: f64,
    pub(crate) tables: u64,
    pub(crate) columns: u64,
    pub(crate) bytes: u64,
    pub(crate) peak_memory_mb: f64,
}

impl Arguments {
    /// As much as lies in a host's store, in as many commits.
    pub(crate) fn new(platform: Platform, addr: SocketAddr, dir: &Path, sizes: store::Sizes, commits: u64) -> Self {
        let average = |bytes: u64, rows: u64| usize::try_from(bytes / rows.max(1)).unwrap_or(usize::MAX);
        Self {
            platform,
            addr,
            token: platform.token().to_owned(),
            dir: dir.to_owned(),
            object_bytes: average(sizes.object_bytes, sizes.objects),
            column_bytes: average(sizes.column_bytes, sizes.column_rows),
            batch: usize::try_from(sizes.objects.div_ceil(commits)).unwrap_or(usize::MAX).max(1),
        }
    }
}

/// Runs the floor as a process of its own.
pub(crate) async fn as_process(arguments: &Arguments) -> Result<Figures> {
    let child = Command::new(std::env::current_exe()?)
        .arg("floor")
        .args(["--platform", arguments.platform.name()])
        .args(["--addr", &arguments.addr.to_string(), "--token", &arguments.token])
        .arg("--dir")
        .arg(&arguments.dir)
        .args(["--object-bytes", &arguments.object_bytes.to_string()])
        .args(["--column-bytes", &arguments.column_bytes.to_string()])
        .args(["--batch", &arguments.batch.to_string()])
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await?;
    ensure!(child.status.success(), "the floor ended with {}", child.status);
    serde_json::from_slice(&child.stdout).context("what the floor said")
}

/// The floor itself.
pub(crate) fn run(arguments: &Arguments) -> Result<Figures> {
    let dir = TempDir::below(&arguments.dir)?;
    let database = Database::create(dir.path().join("floor.redb"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let begun = Instant::now();
    let mut walk = Walk::new(arguments, database)?;
    runtime.block_on(walk.run())?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Figures {
        seconds,
        tables: walk.tables,
        columns: walk.columns,
        bytes: walk.bytes,
        peak_memory_mb: peak_memory_mb(std::process::id())?,
    })
}

/// A row that waits for its commit.
struct Row {
    parent: u128,
    name: String,
    /// Only where the platform has ids.
    remote_id: Option<String>,
    object: Vec<u8>,
    columns: Option<Vec<u8>>,
}

struct Walk<'a> {
    arguments: &'a Arguments,
    client: reqwest::Client,
    database: Database,
    waiting: Vec<Row>,
    tables: u64,
    columns: u64,
    bytes: u64,
}

impl<'a> Walk<'a> {
    fn new(arguments: &'a Arguments, database: Database) -> Result<Self> {
        // Only the first call of a process installs it; later ones find it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().build()?;
        Ok(Self { arguments, client, database, waiting: vec![], tables: 0, columns: 0, bytes: 0 })
    }

    async fn run(&mut self) -> Result<()> {
        match self.arguments.platform {
            Platform::Databricks => self.metastore().await?,
            Platform::Snowflake => self.account().await?,
        }
        self.commit()
    }

    /// Makes the rows as long as the host's are and writes them when there are enough.
    fn keep(&mut self, mut row: Row) -> Result<()> {
        row.object.resize(self.arguments.object_bytes, 0);
        if let Some(columns) = &mut row.columns {
            columns.resize(self.arguments.column_bytes, 0);
        }
        self.waiting.push(row);
        if self.waiting.len() >= self.arguments.batch { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let transaction = self.database.begin_write()?;
        {
            let mut objects = transaction.open_table(store::OBJECTS)?;
            let mut columns = transaction.open_table(store::COLUMNS)?;
            let mut children = transaction.open_table(store::CHILDREN)?;
            let mut remote_ids = transaction.open_table(store::REMOTE_IDS)?;
            for row in self.waiting.drain(..) {
                let id = Uuid::now_v7().as_u128();
                objects.insert(id, row.object.as_slice())?;
                children.insert((row.parent, "", row.name.as_str()), id)?;
                if let Some(remote_id) = &row.remote_id {
                    remote_ids.insert((1, remote_id.as_str()), id)?;
                }
                if let Some(of) = &row.columns {
                    columns.insert(id, of.as_slice())?;
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }
}
