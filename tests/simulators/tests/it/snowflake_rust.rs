//! The Rust client `snowflake-connector-rs` agrees with the account's model.
//!
//! It is a program of its own (`clients/snowflake-connector-rs`), built when first needed: its dependencies must not reach
//! ours. Where it cannot be built the test says so and counts as skipped, except in CI, where it fails.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use wharfinger_simulators::snowflake::{
    Fault, KeyForm, Names, Options, PASSWORD, Partitions, ROLE, Rule, Shape, Snowflake, Twist, USER, WAREHOUSE, keys,
};

use crate::python::in_ci;

/// Longest build, on a machine that builds other things as well.
const BUILD: Duration = Duration::from_secs(1_500);

async fn program() -> Result<Option<PathBuf>> {
    static BUILDING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _one_at_a_time = BUILDING.lock().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/snowflake-connector-rs");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("snowflake-connector-rs");
    let build = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--quiet", "--target-dir"])
        .arg(&target)
        .current_dir(&folder)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(BUILD, build).await.context("the build took too long")??;
    if output.status.success() {
        return Ok(Some(target.join("release/snowflake-connector-rs-client")));
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if in_ci() {
        bail!("the Rust client is needed in CI: {said}");
    }
    eprintln!("!! SKIPPED, not passed: the Rust client cannot be built: {said}");
    Ok(None)
}

/// What the client prints; none where it cannot be had.
async fn said(simulator: &Snowflake, method: &str, secret: &str, statements: &[&str]) -> Result<Option<Value>> {
    let Some(program) = program().await? else { return Ok(None) };
    let passphrase = secret.contains("ENCRYPTED").then_some(keys::PASSPHRASE);
    let input = json!({
        "url": format!("http://{}", simulator.addr()), "account": "127", "user": USER, "role": ROLE,
        "warehouse": WAREHOUSE, "method": method, "secret": secret, "passphrase": passphrase, "statements": statements,
    });
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    child.stdin.take().context("standard input")?.write_all(input.to_string().as_bytes()).await?;
    let output = tokio::time::timeout(Duration::from_secs(120), child.wait_with_output()).await??;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(Some(serde_json::from_slice(&output.stdout)?))
}

#[tokio::test]
async fn it_lists_everything_through_chunks_and_polls() -> Result<()> {
    let shape = Shape { databases: 1, schemas: 1, tables: 80, columns: 30, names: Names::Odd };
    let partitions = Partitions { first_rows: 100, rows: 900, ..Partitions::default() };
    let simulator = Snowflake::start(Options { partitions, ..Options::new(shape.generate(4)) }).await?;
    let (database, schema) = simulator.read(|account| {
        let (database, of) = account.databases.iter().next().expect("one was generated");
        (database.clone(), of.schemas.keys().next().expect("one was generated").clone())
    });
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let statements = [
        "SELECT CURRENT_USER(), CURRENT_ROLE()".to_owned(),
        format!("SHOW OBJECTS IN SCHEMA {}.{} LIMIT 10000", quoted(&database), quoted(&schema)),
        format!(
            "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE FROM {}.INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = '{}' \
             ORDER BY TABLE_NAME, ORDINAL_POSITION",
            quoted(&database),
            schema.replace('\\', "\\\\").replace('\'', "''"),
        ),
        "SHOW SCHEMAS IN DATABASE NO_SUCH".to_owned(),
    ];
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    simulator.rule(Rule::once("CURRENT_USER", Fault::Twisted { twist: Twist::Async { polls: 2 } }));
    let Some(said) = said(&simulator, "password", PASSWORD, &statements).await? else { return Ok(()) };
    assert_eq!(said[0]["rows"], json!([{"CURRENT_USER()": USER, "CURRENT_ROLE()": ROLE}]), "{}", said[0]);
    let (names, columns) = simulator.read(|account| {
        let tables = account.tables().map(|([_, _, name], of)| (name.to_owned(), of.clone())).collect::<Vec<_>>();
        let columns = tables.iter().flat_map(|(name, of)| {
            of.columns.iter().map(
                move |column| json!({"TABLE_NAME": name, "COLUMN_NAME": column.name, "DATA_TYPE": column.data_type.name()}),
            )
        });
        (tables.iter().map(|(name, _)| json!(name)).collect::<Vec<_>>(), columns.collect::<Vec<_>>())
    });
    let listed: Vec<_> = said[1]["rows"].as_array().into_iter().flatten().map(|row| row["name"].clone()).collect();
    assert_eq!(listed, names);
    assert_eq!(said[2]["rows"].as_array(), Some(&columns), "{}", said[2]["error"]);
    assert!(
        said[3]["error"].as_str().is_some_and(|error| error.contains("does not exist or not authorized")),
        "{}",
        said[3]
    );
    let counters = simulator.counters();
    assert_eq!(counters.leaks, 0);
    assert!(simulator.traffic().chunks.requests >= 3);
    Ok(())
}

#[tokio::test]
async fn it_logs_in_with_keys_and_not_with_wrong_secrets() -> Result<()> {
    let simulator = Snowflake::start(Options::new(Shape::one_schema(2, 2).generate(4))).await?;
    let statements = ["SELECT CURRENT_USER()"];
    for form in [KeyForm::Pkcs8, KeyForm::Encrypted] {
        let Some(said) = said(&simulator, "key-pair", keys::private_key(form), &statements).await? else {
            return Ok(());
        };
        assert_eq!(said[0]["rows"], json!([{"CURRENT_USER()": USER}]), "{form:?} {said}");
    }
    for (method, secret) in [("password", "wrong"), ("key-pair", keys::second_private_key()), ("oauth", "no token")] {
        let Some(said) = said(&simulator, method, secret, &statements).await? else { return Ok(()) };
        assert!(said["login"].is_string(), "{method} {said}");
    }
    Ok(())
}
