//! Connectors that are installed into a running host, swapped while it works, and taken back.

mod blocks;
mod command;
mod follow;
mod lasting;
mod overtaken;
mod shadow;
mod side;
mod swap;

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use wharfinger_tests::{Answer, Client, TestHost, versions::Variant};

/// The connector of these tests.
const NAME: &str = "versions";

/// Offers a component.
async fn offer(client: &Client, variant: &Variant) -> anyhow::Result<Answer> {
    let request = client.request(Method::POST, "/connectors").header("content-type", "application/octet-stream");
    client.send(request.body(variant.component()?)).await
}

/// Installs a component and grants whatever it waits for.
async fn install(client: &Client, variant: &Variant) -> anyhow::Result<Value> {
    let installed = offer(client, variant).await?.expect(201)?.json;
    if installed["waiting"] != json!([]) {
        let path = format!("/connectors/{}/{}/approve", text(&installed, "name"), text(&installed, "version"));
        client.post(&path, &json!({ "permissions": installed["waiting"] })).await?.expect(200)?;
    }
    Ok(installed)
}

async fn detail(client: &Client) -> anyhow::Result<Value> {
    Ok(client.get(&format!("/connectors/{NAME}")).await?.expect(200)?.json)
}

/// Sends a change of who serves whom, as somebody who has seen a revision.
async fn change(client: &Client, path: &str, revision: &Value, body: &Value) -> anyhow::Result<Answer> {
    let request = client.request(Method::POST, &format!("/connectors/{NAME}/{path}"));
    client.send(request.header("if-match", revision.to_string()).json(body)).await
}

/// Activates a version and waits for how that ends.
async fn activate(client: &Client, version: &str, body: &Value) -> anyhow::Result<Value> {
    let revision = detail(client).await?["revision"].take();
    change(client, &format!("{version}/activate"), &revision, body).await?.expect(202)?;
    ended(client).await
}

/// The connector when the activation that is under way has ended.
async fn ended(client: &Client) -> anyhow::Result<Value> {
    for _ in 0..3000 {
        let connector = detail(client).await?;
        if matches!(connector["rollout"]["step"].as_str(), None | Some("done" | "blocked" | "ended")) {
            return Ok(connector);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("the activation does not end: {}", detail(client).await?)
}

/// Installs a version and makes it active.
async fn active(client: &Client, variant: &Variant) -> anyhow::Result<Value> {
    let installed = install(client, variant).await?;
    let connector = activate(client, text(&installed, "version"), &json!({})).await?;
    ensure!(connector["rollout"]["step"] == "done", "not activated: {connector}");
    Ok(connector)
}

async fn roll_back(client: &Client) -> anyhow::Result<Answer> {
    let revision = detail(client).await?["revision"].take();
    change(client, "rollback", &revision, &json!({})).await
}

/// Which version serves a connection.
async fn serves(client: &Client, key: &str) -> anyhow::Result<String> {
    let connection = client.get(&format!("/data/connection/{key}")).await?.expect(200)?.json;
    Ok(connection["connector"]["version"].as_str().unwrap_or_default().to_owned())
}

/// The tables of a connection that are present.
async fn tables(client: &Client, key: &str) -> anyhow::Result<BTreeSet<String>> {
    let all = client.descendants(key).await?;
    Ok(all.iter().filter(|o| o["remoteStatus"] == "present").map(|o| text(o, "name").to_owned()).collect())
}

/// What the audit says of the connector, the oldest first: who and which action.
async fn audit(client: &Client) -> anyhow::Result<Vec<(String, String, String)>> {
    let page = client.get(&format!("/audit?subject=connectors/{NAME}&size=500")).await?.expect(200)?.json;
    let entries = page["hits"].as_array().context("hits")?.iter().rev();
    let three = |e: &Value| (text(e, "who").to_owned(), text(e, "action").to_owned(), text(e, "message").to_owned());
    Ok(entries.map(three).collect())
}

async fn sound(host: &TestHost) -> anyhow::Result<()> {
    let verified = host.client().post("/verify", &json!({})).await?.expect(200)?.json;
    ensure!(verified["sound"] == true, "{verified}");
    Ok(())
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}
