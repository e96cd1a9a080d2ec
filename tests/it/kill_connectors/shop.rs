//! One connector with versions that come and go: what is asked for, and what has to be found afterwards.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, ensure};
use axum::Router;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use wharfinger_simulators::random::Random;
use wharfinger_tests::{
    Answer, Client,
    versions::{Variant, payload},
};

use super::aim::Kind;

pub(super) const CONNECTOR: &str = "versions";

/// How long the platform takes to answer a check.
pub(super) const LATENCY: Duration = Duration::from_millis(250);

/// What is about to be asked for.
#[derive(Clone)]
pub(super) struct Request {
    kind: Kind,
    /// Which it is about: of a roll-back, the one that was active before.
    version: String,
    /// The connector's revision.
    revision: u64,
}

/// What the host has to have.
pub(super) struct Shop {
    /// Versions that are there.
    installed: BTreeSet<String>,
    /// Versions that may be there or not, because nobody was told.
    unsure: BTreeSet<String>,
    /// One of these is active.
    active: BTreeSet<String>,
    /// Numbers the versions.
    next: usize,
    _platform: JoinSet<()>,
}

impl Shop {
    /// One version serves one connection, whose platform takes its time; a second one is ready.
    pub(super) async fn open(client: &Client) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let router = Router::new().fallback(async || {
            tokio::time::sleep(LATENCY).await;
            "welcome"
        });
        let mut platform = JoinSet::new();
        platform.spawn(async move { axum::serve(listener, router).await.expect("served") });
        let mut shop = Self {
            installed: BTreeSet::new(),
            unsure: BTreeSet::new(),
            active: BTreeSet::new(),
            next: 0,
            _platform: platform,
        };
        let first = shop.install(client).await?;
        let permissions = &detail(client).await?["versions"][0]["permissions"];
        let waiting: Vec<&Value> =
            permissions.as_array().context("permissions")?.iter().map(|p| &p["permission"]).collect();
        let approve = format!("/connectors/{CONNECTOR}/{first}/approve");
        client.post(&approve, &json!({ "permissions": waiting })).await?.expect(200)?;
        shop.activate(&first, client).await?;
        client.register(&payload("A", "Versions", port)).await?;
        let second = shop.install(client).await?;
        shop.activate(&second, client).await?;
        Ok(shop)
    }

    /// Installs one more version, undisturbed.
    async fn install(&mut self, client: &Client) -> anyhow::Result<String> {
        let request = Request { kind: Kind::Install, version: self.numbered(), revision: 0 };
        ask(&request, client).await?.expect(201)?;
        self.installed.insert(request.version.clone());
        Ok(request.version)
    }

    /// Activates a version, undisturbed.
    async fn activate(&mut self, version: &str, client: &Client) -> anyhow::Result<()> {
        let revision = revision(&detail(client).await?)?;
        let request = Request { kind: Kind::Activate, version: version.into(), revision };
        ask(&request, client).await?.expect(202)?;
        let connector = until_ended(client).await?;
        ensure!(connector["version"] == version, "{version} does not take over: {connector}");
        self.active = [version.to_owned()].into();
        Ok(())
    }

    /// A version that can take over; there is always one.
    async fn other(&mut self, client: &Client, random: &mut Random) -> anyhow::Result<String> {
        let connector = detail(client).await?;
        let versions = connector["versions"].as_array().into_iter().flatten();
        let others: Vec<&Value> = versions.filter(|v| v["state"] == "ready" || v["state"] == "previous").collect();
        if others.is_empty() {
            return self.install(client).await;
        }
        Ok(others[random.below(others.len())]["version"].as_str().context("a version")?.to_owned())
    }

    fn numbered(&mut self) -> String {
        self.next += 1;
        format!("1.{}.0", self.next - 1)
    }

    /// Does what has to come first, undisturbed, and chooses what to ask for.
    pub(super) async fn prepare(
        &mut self,
        kind: Kind,
        client: &Client,
        random: &mut Random,
    ) -> anyhow::Result<Request> {
        let version = match kind {
            Kind::Install => self.numbered(),
            Kind::Activate => self.other(client, random).await?,
            Kind::RollBack => {
                if detail(client).await?["previous"].as_array().is_none_or(Vec::is_empty) {
                    let other = self.other(client, random).await?;
                    self.activate(&other, client).await?;
                }
                detail(client).await?["previous"][0].as_str().context("a version before")?.to_owned()
            }
            Kind::GiveUp => {
                let version = self.other(client, random).await?;
                let revision = revision(&detail(client).await?)?;
                let request = Request { kind: Kind::Activate, version, revision };
                ask(&request, client).await?.expect(202)?;
                request.version
            }
            Kind::Remove => {
                let connector = detail(client).await?;
                let mut versions = connector["versions"].as_array().into_iter().flatten();
                match versions.find(|version| version["state"] == "ready" || version["state"] == "takenBack") {
                    Some(unneeded) => unneeded["version"].as_str().context("a version")?.to_owned(),
                    None => self.install(client).await?,
                }
            }
        };
        Ok(Request { kind, version, revision: revision(&detail(client).await?)? })
    }

    /// What has to be found from now on, after what was answered, or was not.
    pub(super) fn note(&mut self, request: &Request, answered: anyhow::Result<Answer>) -> anyhow::Result<()> {
        let version = request.version.clone();
        let status = answered.as_ref().ok().map(|answer| answer.status.as_u16());
        match (request.kind, status) {
            (Kind::Install, None) => self.unsure = [version].into(),
            (Kind::Install, Some(201)) => self.installed.extend([version]),
            (Kind::Remove, None) => {
                self.installed.remove(&version);
                self.unsure = [version].into();
            }
            (Kind::Remove, Some(204)) => self.installed.retain(|installed| *installed != version),
            (Kind::Activate | Kind::RollBack | Kind::GiveUp, None) => self.active.extend([version]),
            // The activation that was to be given up came first.
            (Kind::Activate, Some(202)) | (Kind::GiveUp, Some(412)) => self.active = [version].into(),
            (Kind::RollBack | Kind::GiveUp, Some(200)) => {
                self.active = [answered?.json["to"].as_str().context("a version")?.to_owned()].into();
            }
            _ => anyhow::bail!("{:?} {version}: {}", request.kind, answered?.text),
        }
        Ok(())
    }

    /// Exactly one version is active and serves, it is one of those that may be, and everything that was acknowledged is
    /// there and nothing else.
    pub(super) async fn judge(&mut self, client: &Client) -> anyhow::Result<()> {
        one_is_active(&detail(client).await?)?;
        let connector = until_ended(client).await?;
        one_is_active(&connector)?;
        let active = connector["version"].as_str().context("a version")?.to_owned();
        ensure!(self.active.contains(&active), "{active} is active, and not one of {:?}: {connector}", self.active);
        self.active = [active.clone()].into();
        let versions = connector["versions"].as_array().context("versions")?;
        let found: BTreeSet<String> = versions.iter().filter_map(|v| Some(v["version"].as_str()?.to_owned())).collect();
        let lost: Vec<_> = self.installed.difference(&found).collect();
        ensure!(lost.is_empty(), "{lost:?} were acknowledged and are gone");
        let more: Vec<_> = found.difference(&self.installed).filter(|one| !self.unsure.contains(*one)).collect();
        ensure!(more.is_empty(), "{more:?} are there, and were removed or never asked for");
        self.installed = found;
        self.unsure.clear();
        let connection = client.get("/data/connection/A").await?.expect(200)?.json;
        ensure!(connection["connector"]["version"] == active, "{connection} is not served by {connector}");
        Ok(())
    }
}

/// Sends it.
pub(super) async fn ask(request: &Request, client: &Client) -> anyhow::Result<Answer> {
    let of = format!("/connectors/{CONNECTOR}");
    let at = |path: String| client.request(Method::POST, &path).header("if-match", request.revision.to_string());
    match request.kind {
        Kind::Install => {
            let component = Variant::new(&request.version).doing("check-asks").component()?;
            let sent = client.request(Method::POST, "/connectors").header("content-type", "application/octet-stream");
            client.send(sent.body(component)).await
        }
        Kind::Activate => client.send(at(format!("{of}/{}/activate", request.version)).json(&json!({}))).await,
        Kind::RollBack | Kind::GiveUp => client.send(at(format!("{of}/rollback")).json(&json!({}))).await,
        Kind::Remove => client.delete(&format!("{of}/{}", request.version)).await,
    }
}

/// The connector, once no activation is under way.
pub(super) async fn until_ended(client: &Client) -> anyhow::Result<Value> {
    for _ in 0..3000 {
        let connector = detail(client).await?;
        if matches!(connector["rollout"]["step"].as_str(), None | Some("done" | "blocked" | "ended")) {
            return Ok(connector);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("the activation does not end")
}

async fn detail(client: &Client) -> anyhow::Result<Value> {
    Ok(client.get(&format!("/connectors/{CONNECTOR}")).await?.expect(200)?.json)
}

fn revision(connector: &Value) -> anyhow::Result<u64> {
    connector["revision"].as_u64().context("a revision")
}

fn one_is_active(connector: &Value) -> anyhow::Result<()> {
    let versions = connector["versions"].as_array().context("versions")?;
    let active: Vec<&Value> = versions.iter().filter(|v| v["state"] == "active").collect();
    ensure!(active.len() == 1 && active[0]["version"] == connector["version"], "{connector}");
    ensure!(connector["problem"].is_null(), "{connector}");
    Ok(())
}
