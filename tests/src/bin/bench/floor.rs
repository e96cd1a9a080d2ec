//! The native floor: what a plain program needs that lists the same catalogue and stores as much.
//!
//! It fetches the same pages one after another (each names the next), parses the fields that the connector uses without
//! copying them, and writes an object, a row of columns, a place and a remote id for every table. Rows are as long as the
//! host's are on average, and it commits as often.

use std::{
    borrow::Cow,
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

use crate::{hosted::peak_memory_mb, store};

/// What to list and how much to write of it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
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
    pub(crate) fn new(addr: SocketAddr, token: &str, dir: &Path, sizes: store::Sizes, commits: u64) -> Self {
        let average = |bytes: u64, rows: u64| usize::try_from(bytes / rows.max(1)).unwrap_or(usize::MAX);
        Self {
            addr,
            token: token.to_owned(),
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

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow, default, alias = "catalogs", alias = "schemas")]
    tables: Vec<Entry<'a>>,
    #[serde(borrow, default)]
    next_page_token: Option<Cow<'a, str>>,
}

/// The fields that the connector reads.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    comment: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    owner: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    table_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data_source_format: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    storage_location: Option<Cow<'a, str>>,
    #[serde(borrow, default, alias = "id", alias = "schema_id")]
    table_id: Option<Cow<'a, str>>,
    #[serde(default)]
    created_at: Option<i64>,
    #[serde(default)]
    updated_at: Option<i64>,
    #[serde(default)]
    browse_only: Option<bool>,
    #[serde(borrow, default)]
    columns: Option<Vec<Column<'a>>>,
}

#[derive(Deserialize)]
struct Column<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    type_text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    type_name: Option<Cow<'a, str>>,
    #[serde(default)]
    type_precision: Option<i64>,
    #[serde(default)]
    type_scale: Option<i64>,
    #[serde(default)]
    nullable: Option<bool>,
    #[serde(borrow, default)]
    comment: Option<Cow<'a, str>>,
    #[serde(default)]
    position: Option<i64>,
}

/// A row that waits for its commit.
struct Row {
    parent: u128,
    name: String,
    remote_id: String,
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
        for catalog in self.list("catalogs", &[]).await? {
            for schema in self.list("schemas", &[("catalog_name", &catalog)]).await? {
                let before = self.tables;
                let names = [("catalog_name", catalog.as_str()), ("schema_name", schema.as_str())];
                let listed = self.list("tables", &names).await?;
                self.tables = before + listed.len() as u64;
            }
        }
        self.commit()
    }

    /// Lists a container to its end; gives the names.
    async fn list(&mut self, resource: &str, parameters: &[(&str, &str)]) -> Result<Vec<String>> {
        let (parent, mut names, mut token) = (Uuid::now_v7().as_u128(), Vec::new(), None::<String>);
        loop {
            let url = format!("http://{}/api/2.1/unity-catalog/{resource}", self.arguments.addr);
            let mut request = self.client.get(url).bearer_auth(&self.arguments.token);
            request = request.query(parameters).query(&[("include_browse", "true"), ("max_results", "0")]);
            if let Some(token) = &token {
                request = request.query(&[("page_token", token)]);
            }
            let body = request.send().await?.error_for_status()?.bytes().await?;
            self.bytes += body.len() as u64;
            let page: Page<'_> = serde_json::from_str(std::str::from_utf8(&body)?)?;
            for entry in &page.tables {
                names.push(entry.name.clone().into_owned());
                self.keep(parent, entry)?;
            }
            token = page.next_page_token.map(Cow::into_owned);
            if token.is_none() {
                return Ok(names);
            }
        }
    }

    fn keep(&mut self, parent: u128, entry: &Entry<'_>) -> Result<()> {
        let columns = entry.columns.as_ref().map(|columns| {
            self.columns += columns.len() as u64;
            let mut row = Vec::with_capacity(self.arguments.column_bytes);
            columns.iter().for_each(|column| column.write(&mut row));
            row.resize(self.arguments.column_bytes, 0);
            row
        });
        let mut object = Vec::with_capacity(self.arguments.object_bytes);
        entry.write(&mut object);
        object.resize(self.arguments.object_bytes, 0);
        let remote_id = entry.table_id.as_deref().unwrap_or_default().to_owned();
        self.waiting.push(Row { parent, name: entry.name.clone().into_owned(), remote_id, object, columns });
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
                remote_ids.insert((1, row.remote_id.as_str()), id)?;
                if let Some(of) = &row.columns {
                    columns.insert(id, of.as_slice())?;
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

impl Entry<'_> {
    fn write(&self, row: &mut Vec<u8>) {
        row.extend_from_slice(self.name.as_bytes());
        let texts = [&self.comment, &self.owner, &self.table_type, &self.data_source_format, &self.storage_location];
        texts.into_iter().chain([&self.table_id]).flatten().for_each(|text| row.extend_from_slice(text.as_bytes()));
        for number in [self.created_at, self.updated_at].into_iter().flatten() {
            row.extend_from_slice(&number.to_le_bytes());
        }
        row.push(u8::from(self.browse_only == Some(true)));
    }
}

impl Column<'_> {
    fn write(&self, row: &mut Vec<u8>) {
        row.extend_from_slice(self.name.as_bytes());
        for text in [&self.type_text, &self.comment].into_iter().flatten() {
            row.extend_from_slice(text.as_bytes());
        }
        if self.type_text.is_none() {
            row.extend_from_slice(self.type_name.as_deref().unwrap_or_default().as_bytes());
        }
        row.extend_from_slice(&self.position.unwrap_or_default().to_le_bytes()[..2]);
        let flags = u8::from(self.nullable.unwrap_or(true)) | u8::from(self.type_precision.is_some()) << 1;
        row.extend_from_slice(&[flags, self.type_scale.unwrap_or_default() as u8]);
    }
}
