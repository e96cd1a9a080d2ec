//! How long a host takes from the start of its process until it answers, with many versions of connectors installed and their
//! machine code kept, beside one that has only what is inside the binary.

use std::{
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;
use wharfinger_tests::{Client, host::TempDir, versions::Variant};

use crate::hosted::Hosted;

/// Connectors besides those inside the binary, and versions of each: the active one and the two before it, which stay ready.
const CONNECTORS: usize = 6;
const VERSIONS: usize = 3;

pub(crate) fn run(runs: usize) -> Result<String> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measured(runs))
}

async fn measured(runs: usize) -> Result<String> {
    let (few, many) = (TempDir::new()?, TempDir::new()?);
    Hosted::start(few.path()).await?.stop().await?;
    let host = Hosted::start(many.path()).await?;
    for connector in 0..CONNECTORS {
        for version in 0..VERSIONS {
            let name = format!("versions-{connector}");
            let variant = Variant::new(&format!("1.{version}.0")).named(&name, &format!("Technology{connector}"));
            activate(host.client(), &name, &format!("1.{version}.0"), &variant).await?;
        }
    }
    let installed = installed(host.client()).await?;
    host.stop().await?;
    let (mut with_few, mut with_many) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        with_few.push(started(few.path()).await?);
        with_many.push(started(many.path()).await?);
    }
    let mut text = String::new();
    for (times, what) in
        [(&mut with_few, "what is inside the binary".to_owned()), (&mut with_many, format!("{installed} versions"))]
    {
        times.sort();
        let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
        writeln!(
            text,
            "from the start of the process to the first answer, with {what}: {median:.0?}, at most {longest:.0?}"
        )?;
    }
    Ok(text)
}

/// Starts a host once, and tells how long that took.
async fn started(dir: &Path) -> Result<Duration> {
    let begun = Instant::now();
    let host = Hosted::start(dir).await?;
    let took = begun.elapsed();
    host.stop().await?;
    Ok(took)
}

async fn activate(client: &Client, name: &str, version: &str, variant: &Variant) -> Result<()> {
    let request = client.request(Method::POST, "/connectors").header("content-type", "application/octet-stream");
    let installed = client.send(request.body(variant.component()?)).await?.expect(201)?.json;
    let path = format!("/connectors/{name}/{version}");
    client.post(&format!("{path}/approve"), &json!({ "permissions": installed["waiting"] })).await?.expect(200)?;
    let revision = client.get(&format!("/connectors/{name}")).await?.expect(200)?.json["revision"].to_string();
    let request = client.request(Method::POST, &format!("{path}/activate")).header("if-match", revision);
    client.send(request.json(&json!({}))).await?.expect(202)?;
    for _ in 0..1000 {
        if client.get(&format!("/connectors/{name}")).await?.expect(200)?.json["version"] == version {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("{name} {version} is not active after 10 s")
}

/// Versions that are installed, all connectors together.
async fn installed(client: &Client) -> Result<usize> {
    let all = client.get("/connectors").await?.expect(200)?.json;
    let mut count = 0;
    for connector in all.as_array().into_iter().flatten() {
        let name = connector["name"].as_str().unwrap_or_default();
        let versions = client.get(&format!("/connectors/{name}")).await?.expect(200)?.json;
        count += versions["versions"].as_array().map_or(0, Vec::len);
    }
    ensure!(count >= CONNECTORS * VERSIONS, "only {count} versions are installed: {all}");
    Ok(count)
}
