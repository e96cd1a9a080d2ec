//! What the commands show before they grant something or let something take over, and what they demand.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use wharfinger_tests::{TestHost, host::ADMIN_KEY, versions::Variant};

use crate::cli::executable;

/// How `connector …` ended, its standard output, and its standard error. Nobody sits at a terminal.
async fn run(host: &TestHost, args: &[&str]) -> anyhow::Result<(i32, String, String)> {
    let mut command = executable();
    command.arg("connector").args(args).stdin(std::process::Stdio::null());
    command.env("WHARFINGER_URL", host.client().base()).env("WHARFINGER_API_KEY", ADMIN_KEY);
    let output = command.output().await?;
    let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    Ok((output.status.code().context("a code")?, out, err))
}

/// The same at a terminal, by somebody who types this. Gives how it ended, and what the terminal showed.
async fn typing(host: &TestHost, args: &str, answer: &str) -> anyhow::Result<(i32, String)> {
    let mut command = tokio::process::Command::new("script");
    let line = format!("{} connector {args}", env!("CARGO_BIN_EXE_host"));
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).kill_on_drop(true);
    command.env("WHARFINGER_URL", host.client().base()).env("WHARFINGER_API_KEY", ADMIN_KEY);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut process = command.spawn().context("`script` of util-linux")?;
    let mut keyboard = process.stdin.take().context("stdin")?;
    keyboard.write_all(answer.as_bytes()).await?;
    // Kept open: its end would be typed too.
    let output = tokio::time::timeout(Duration::from_secs(60), process.wait_with_output()).await??;
    drop(keyboard);
    Ok((output.status.code().context("a code")?, String::from_utf8(output.stdout)?))
}

async fn version(host: &TestHost, number: &str) -> anyhow::Result<Value> {
    let connector = host.client().get("/connectors/versions").await?.expect(200)?.json;
    let mut versions = connector["versions"].as_array().into_iter().flatten();
    Ok(versions.find(|version| version["version"] == number).context("the version")?.clone())
}

/// Installs a version without granting it anything. Gives the lines that it waits for.
async fn offer(host: &TestHost, variant: &Variant) -> anyhow::Result<Vec<String>> {
    let client = host.client();
    let request = client.request(reqwest::Method::POST, "/connectors").header("content-type", "application/wasm");
    let installed = client.send(request.body(variant.component()?)).await?.expect(201)?.json;
    Ok(serde_json::from_value(installed["waiting"].clone())?)
}

fn code(told: &str) -> anyhow::Result<String> {
    Ok(told.trim_end().rsplit_once("--code ").context("a code")?.1.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_shown_is_granted() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let lines = offer(&host, &Variant::new("1.0.0")).await?;
    let (ended, out, told) = run(&host, &["approve", "versions", "1.0.0"]).await?;
    assert_eq!((ended, out.as_str()), (1, ""), "{told}");
    for line in &lines {
        assert!(told.lines().any(|shown| shown.trim() == line), "{line}: {told}");
    }
    assert_eq!(version(&host, "1.0.0").await?["state"], "waiting", "nobody agreed");
    let good = code(&told)?;
    // A code of other lines, of another version, and none at all.
    offer(&host, &Variant::new("1.1.0")).await?;
    let (_, _, told) = run(&host, &["approve", "versions", "1.1.0"]).await?;
    let other = code(&told)?;
    for wrong in [other.as_str(), "", "y"] {
        let (ended, _, told) = run(&host, &["approve", "versions", "1.0.0", "--code", wrong]).await?;
        assert!(ended == 1 && told.contains("not of these permissions"), "{wrong}: {ended} {told}");
    }
    assert_eq!(version(&host, "1.0.0").await?["state"], "waiting");
    let (ended, out, told) = run(&host, &["approve", "versions", "1.0.0", "--code", &good]).await?;
    assert!(ended == 0 && out.contains(&format!("granted versions 1.0.0 {} permissions", lines.len())), "{out} {told}");
    assert_eq!(version(&host, "1.0.0").await?["state"], "ready");
    // What another version was granted meanwhile is not shown again, so the old code is of other lines than are left.
    let more = Variant::new("1.2.0").with("/egress/0/methods", json!(["GET", "POST"]));
    let left = offer(&host, &more).await?;
    let (ended, _, told) = run(&host, &["approve", "versions", "1.2.0", "--code", &other]).await?;
    assert!(ended == 1 && left.iter().all(|line| told.contains(line)), "{told}");
    let (ended, out, _) = run(&host, &["approve", "versions", "1.1.0"]).await?;
    assert!(ended == 0 && out.contains("0 permissions"), "it waits for nothing any more: {out}");
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_terminal_the_lines_are_shown_and_anything_but_yes_is_no() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let lines = offer(&host, &Variant::new("1.0.0")).await?;
    for no in ["\n", "n\n", "yess\n", "1.0.0\n"] {
        let (ended, shown) = typing(&host, "approve versions 1.0.0", no).await?;
        assert!(ended == 1 && shown.contains("Grant these permissions? (y/N)"), "{no:?}: {ended} {shown}");
        assert!(lines.iter().all(|line| shown.contains(line)), "{shown}");
        assert_eq!(version(&host, "1.0.0").await?["state"], "waiting", "{no:?}");
    }
    let (ended, shown) = typing(&host, "approve versions 1.0.0", "y\n").await?;
    assert!(ended == 0 && shown.contains("granted versions 1.0.0"), "{ended} {shown}");
    let (ended, shown) = typing(&host, "activate versions 1.0.0 --wait", "n\n").await?;
    assert!(ended == 1 && shown.contains("Activate it? (y/N)"), "{ended} {shown}");
    assert_eq!(version(&host, "1.0.0").await?["state"], "ready");
    let (ended, shown) = typing(&host, "activate versions 1.0.0 --wait", "yes\n").await?;
    assert!(ended == 0 && shown.contains("1.0.0: done"), "{ended} {shown}");
    assert_eq!(version(&host, "1.0.0").await?["state"], "active");
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn installing_grants_nothing_that_was_not_shown() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    let file = host.dir.path().join("versions.wasm");
    std::fs::write(&file, Variant::new("1.0.0").component()?)?;
    let file = file.to_string_lossy().into_owned();
    let install = ["install", &file, "--approve", "--activate", "--json"];
    let (ended, out, told) = run(&host, &install).await?;
    assert!(ended == 1 && told.contains("asks for:"), "{ended} {told}");
    assert_eq!(serde_json::from_str::<Value>(&out)?["version"], "1.0.0", "standard output is for programs");
    assert_eq!(version(&host, "1.0.0").await?["state"], "waiting", "neither granted nor activated");
    let agreed = code(&told)?;
    let (ended, out, told) = run(&host, &[&install[..], &["--code", &agreed]].concat()).await?;
    assert_eq!(ended, 0, "{out} {told}");
    assert_eq!(version(&host, "1.0.0").await?["state"], "active");
    let (ended, _, told) = run(&host, &["install", &file, "--code", &agreed]).await?;
    assert!(ended == 2 && told.contains("--approve"), "a code without what it is for: {told}");
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_activation_changes_is_told_before_and_holds_only_for_what_was_seen() -> anyhow::Result<()> {
    let host = TestHost::bare().await?;
    for number in ["1.0.0", "1.1.0"] {
        offer(&host, &Variant::new(number)).await?;
    }
    let (_, _, told) = run(&host, &["approve", "versions", "1.0.0"]).await?;
    run(&host, &["approve", "versions", "1.0.0", "--code", &code(&told)?]).await?;
    let (ended, _, told) = run(&host, &["activate", "versions", "1.0.0", "--wait"]).await?;
    assert!(
        ended == 0 && told.contains("versions 1.0.0, at revision ") && told.contains("none is active yet"),
        "{told}"
    );
    let (ended, _, told) = run(&host, &["activate", "versions", "1.1.0", "--wait", "--yes", "--revision", "1"]).await?;
    assert!(ended == 3 && told.contains("instead of 1.0.0") && told.contains("changed meanwhile"), "{ended} {told}");
    let revision = told.split("at revision ").nth(1).and_then(|rest| rest.split(':').next()).context("a revision")?;
    let (ended, out, told) = run(&host, &["activate", "versions", "1.1.0", "--wait", "--revision", revision]).await?;
    assert!(ended == 0 && out.contains("1.1.0: done"), "{out} {told}");
    host.stop().await;
    Ok(())
}
