//! The vendors' own clients list everything the simulator holds and agree with its model.
//!
//! They come from the package index into virtual environments below the target directory, one per set of pinned
//! versions. Where Python or the index is missing the test says so and counts as skipped, except in CI, where it fails.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use wharfinger_simulators::unity_catalog::{
    Authorization, CLIENT_ID, CLIENT_SECRET, Change, Names, Options, Shape, TOKEN, UnityCatalog, believable, path,
};

/// Longest run of one script.
const LIMIT: Duration = Duration::from_secs(300);

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../python")
}

/// The interpreter of an environment that holds a set of pinned clients; none where that cannot be had.
async fn interpreter(set: &str) -> Result<Option<PathBuf>> {
    match environment(set).await {
        Ok(python) => Ok(Some(python)),
        Err(error) if in_ci() => Err(error.context("the vendors' clients are needed in CI")),
        Err(error) => {
            eprintln!("!! SKIPPED, not passed: the vendors' clients cannot be installed: {error:#}");
            Ok(None)
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration of its own")]
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false" && value != "0")
}

/// Several tests want the same environment at once: the first makes it, the others wait.
async fn environment(set: &str) -> Result<PathBuf> {
    static MAKING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _one_at_a_time = MAKING.lock().await;
    let list = scripts().join(format!("{set}.txt"));
    let requirements = std::fs::read_to_string(&list)?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("python-{set}"));
    let (python, stamp) = (folder.join("bin/python"), folder.join("installed.txt"));
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == requirements) {
        return Ok(python);
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let place = folder.to_string_lossy();
    if run("python3", &["-m", "venv", &place]).await.is_err() {
        run("python3", &["-m", "virtualenv", &place]).await.context("neither venv nor virtualenv works")?;
    }
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run(&python.to_string_lossy(), &[&install[..], &[&list.to_string_lossy()]].concat()).await?;
    std::fs::write(&stamp, requirements)?;
    Ok(python)
}

async fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let command = Command::new(program).args(arguments).kill_on_drop(true).output();
    let output = tokio::time::timeout(LIMIT, command).await.context("took too long")?;
    let output = output.with_context(|| format!("start {program}"))?;
    ensure!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Runs a script with the clients of a set and gives the line it ends with; differences are an error, and none is given
/// where the clients cannot be had.
pub(crate) async fn said(set: &str, script: &str, arguments: &[String], input: &Value) -> Result<Option<Value>> {
    let Some(python) = interpreter(set).await? else { return Ok(None) };
    let mut child = Command::new(python)
        .arg(scripts().join(script))
        .args(arguments)
        // The clients read their configuration from there as well.
        .env_clear()
        .env("HOME", env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    child.stdin.take().context("standard input")?.write_all(input.to_string().as_bytes()).await?;
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await.context("the client took too long")??;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{script} does not agree:\n{said}\n{}", String::from_utf8_lossy(&output.stdout));
    }
    Ok(Some(serde_json::from_slice(&output.stdout).with_context(|| format!("what {script} said: {said}"))?))
}

/// Runs a script against a simulator that is started for it.
async fn agrees(
    script: &str,
    options: Options,
    method: &str,
    credentials: &Value,
    prepare: impl FnOnce(&UnityCatalog),
) -> Result<Option<Value>> {
    let control = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let simulator = UnityCatalog::start(Options { control: Some(control), ..options }).await?;
    prepare(&simulator);
    let control = simulator.control_addr().context("control port")?;
    let arguments = [format!("http://{}", simulator.addr()), format!("http://{control}"), method.to_owned()];
    said("requirements-unity-catalog", script, &arguments, credentials).await
}

fn credentials() -> Value {
    json!({"token": TOKEN, "clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET})
}

/// An empty container, a rename, a retyped and a dropped column: what a client sees must follow.
fn live(simulator: &UnityCatalog) {
    let table = ["catalog_00000", "schema_00001", "table_00003"];
    let changes = [
        Change::Add { path: path(&["nothing"]), columns: vec![], comment: Some("empty".into()) },
        Change::Add { path: path(&["nothing", "at_all"]), columns: vec![], comment: None },
        Change::RetypeColumn { path: path(&table), column: "column_000".into(), data_type: "decimal(38,6)".into() },
        Change::DropColumn { path: path(&table), column: "column_002".into() },
        Change::Comment { path: path(&table), comment: Some("Größe, 大きさ, \"quoted\"\nsecond line".into()) },
        Change::Rename { path: path(&table), to: "renamed".into() },
    ];
    for change in changes {
        simulator.change(&change).expect("the generated table is there");
    }
}

#[tokio::test]
async fn the_vendors_sdk_with_a_personal_token_lists_the_demo() -> Result<()> {
    let options = Options::new(believable::metastore(7));
    let Some(said) = agrees("databricks_client.py", options, "pat", &credentials(), |_| {}).await? else {
        return Ok(());
    };
    assert!(said["tables"].as_u64() > Some(60) && said["compared"].as_u64() > Some(3_000), "{said}");
    Ok(())
}

#[tokio::test]
async fn the_vendors_sdk_with_client_credentials_lists_pages_and_odd_columns() -> Result<()> {
    let shape = Shape { catalogs: 2, schemas: 2, tables: 150, columns: 12, names: Names::Plain };
    let options = Options::new(shape.generate(3));
    let Some(said) = agrees("databricks_client.py", options, "m2m", &credentials(), live).await? else { return Ok(()) };
    assert_eq!(said["tables"], 600);
    Ok(())
}

#[tokio::test]
async fn the_vendors_sdk_lists_odd_names() -> Result<()> {
    let shape = Shape { catalogs: 2, schemas: 3, tables: 60, columns: 16, names: Names::Odd };
    let options = Options::new(shape.generate(5));
    let Some(said) = agrees("databricks_client.py", options, "pat", &credentials(), |_| {}).await? else {
        return Ok(());
    };
    assert_eq!(said["tables"], 360);
    Ok(())
}

#[tokio::test]
async fn the_open_source_client_lists_everything() -> Result<()> {
    let shape = Shape { catalogs: 2, schemas: 2, tables: 200, columns: 9, names: Names::Plain };
    let options = Options::open_source(shape.generate(4));
    let Some(said) = agrees("unitycatalog_client.py", options, "", &json!({}), live).await? else { return Ok(()) };
    assert_eq!(said["tables"], 3 * 800, "three walks with pages of 0, 10 and 50");
    Ok(())
}

#[tokio::test]
async fn the_open_source_client_lists_everything_with_a_token() -> Result<()> {
    let shape = Shape { catalogs: 1, schemas: 3, tables: 30, columns: 5, names: Names::Plain };
    let options = Options { authorization: Authorization::On, ..Options::open_source(shape.generate(6)) };
    let Some(said) = agrees("unitycatalog_client.py", options, "", &credentials(), |_| {}).await? else {
        return Ok(());
    };
    assert_eq!(said["tables"], 3 * 90);
    Ok(())
}
