//! Doing what a row says, and collecting what is seen of it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use wharfinger::{
    connector::{CallError, CompileLimits, Connector, Connectors, Outcome, Setup},
    model::{
        page::{Page, Partition},
        path::RemotePath,
    },
};
use wharfinger_tests::{Client, TestHost, guests, host::setup};

use super::{
    super::{Guest, Lines, NOBODY, SECRET, bytes, connectors, limits, load, path, policy},
    Act, PATIENCE, Row, Seen,
};
use crate::egress::attempted;

/// Between two calls of a guest that is only there to be served, and between two looks at a job.
const PAUSE: Duration = Duration::from_millis(50);

/// What is seen when the row's guest is asked.
pub(super) async fn seen(row: &Row, at: SocketAddr, host: &TestHost) -> anyhow::Result<Vec<Seen>> {
    match row.act {
        Act::Besides => return beside_others(row).await,
        Act::Sync => return synced(row, at, host.client()).await,
        Act::Endless(most) => return ended(row, at, host.client(), most).await,
        Act::Asks(name) => return asked(name).await,
        _ => {}
    }
    let connector = match load(&bytes(row.guest)?, limits(row.time)).await? {
        Ok(connector) => connector,
        Err(refused) => return Ok(vec![(refused.code.to_owned(), refused.message)]),
    };
    if matches!(row.act, Act::Load) {
        return Ok(vec![("loaded".to_owned(), connector.label())]);
    }
    called(row, connector, at).await
}

/// Why the row's guest is not loaded; others are served meanwhile.
async fn beside_others(row: &Row) -> anyhow::Result<Vec<Seen>> {
    let other = connectors(limits(row.time))?.prepare(&bytes(guests::ECHOES)?).await?;
    let other = Guest::sent_to(other, NOBODY, "", policy()?)?;
    let compile = CompileLimits { compile_seconds: 2, ..CompileLimits::default() };
    let strict = Connectors::new(Setup { compile, code: None, ..setup()? })?;
    let (bomb, mut loading) = (bytes(row.guest)?, JoinSet::new());
    loading.spawn(async move { strict.prepare(&bomb).await.map(|connector| connector.label()) });
    let mut served = 0;
    loop {
        tokio::select! {
            Some(loaded) = loading.join_next() => {
                anyhow::ensure!(served > 0, "nobody was served meanwhile");
                return Ok(vec![match loaded? {
                    Ok(label) => ("loaded".to_owned(), label),
                    Err(refused) => (refused.code.to_owned(), refused.message),
                }]);
            }
            outcomes = other.check() => {
                outcomes?;
                served += 1;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// What the guest was told, by its first word, and what the operator was.
async fn asked(name: &'static str) -> anyhow::Result<Vec<Seen>> {
    // All of it on one thread, so that what is told anywhere is told here.
    let alone = move || tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(attempted(name));
    let (guest, operator) = tokio::task::spawn_blocking(alone).await??;
    let code = guest.split([':', ' ']).next().unwrap_or_default().to_owned();
    Ok(vec![(code, of_line(operator.trim_end()))])
}

/// A line of the log without what stands before its text.
fn of_line(line: &str) -> String {
    line.split_once(": ").map_or(line, |(_, text)| text).to_owned()
}

async fn called(row: &Row, connector: Arc<Connector>, at: SocketAddr) -> anyhow::Result<Vec<Seen>> {
    let origin = format!("http://{}", at.ip());
    let guest = Guest::sent_to(connector, (&origin, at.port()), row.sin, policy()?)?;
    let Guest { connector, session, config } = &guest;
    let (everywhere, names) = (RemotePath::default(), ["t".to_owned()]);
    Ok(match row.act {
        Act::Check => {
            let lines = Lines::default();
            let _capture = lines.capture();
            let mut seen = told(guest.check().await.map(of_check));
            // Of what is logged, the host's own words.
            let own = |line: &&str| line.contains(" WARN ") && line.contains(" of this operation ");
            let text = lines.take();
            seen.extend(text.lines().filter(own).map(|line| ("logged".to_owned(), of_line(line))));
            seen
        }
        Act::Plan => told(connector.plan(session, config, &everywhere).await.0.map(|parts| answered(parts.len()))),
        Act::Read(id, payload) => {
            let partition = Partition { id: id.into(), scope: path(&["db"]), payload: payload.into(), weight: 0 };
            told(guest.read_page(&partition, None).await.map(of_page))
        }
        Act::Again(id) => told(guest.read(id, &["db"], Some("again")).await.map(of_page)),
        Act::Columns => {
            told(connector.read_columns(session, config, &everywhere, "", &names, None).await.0.map(of_page))
        }
        Act::Confirm => {
            let found = connector.confirm(session, config, &everywhere, "", &names).await.0;
            told(found.map(|found| answered(found.len())))
        }
        Act::Load | Act::Besides | Act::Sync | Act::Endless(_) | Act::Asks(_) => Vec::new(),
    })
}

fn told(result: Result<Vec<Seen>, CallError>) -> Vec<Seen> {
    result.unwrap_or_else(|error| {
        let detail = error.detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
        vec![(error.code.as_str().to_owned(), format!("{}{}", error.message, detail.replace('\n', " ")))]
    })
}

fn answered(count: usize) -> Vec<Seen> {
    vec![("answered".to_owned(), count.to_string())]
}

fn of_check(outcomes: Vec<Outcome>) -> Vec<Seen> {
    outcomes.into_iter().map(|outcome| ("answered".to_owned(), outcome.message)).collect()
}

fn of_page(page: Page) -> Vec<Seen> {
    let objects =
        page.objects.into_iter().map(|object| ("answered".to_owned(), object.facts.comment.unwrap_or_default()));
    objects.chain(page.errors.into_iter().map(|error| (error.code, error.message))).collect()
}

/// A connection that commits the row's sin.
pub(in crate::guests) fn payload(sin: &str, at: SocketAddr) -> Value {
    json!({
        "connectionKey": sin,
        "connection": {
            "technology": "Guest", "hostname": format!("http://{}", at.ip()), "port": at.port(),
            "authenticationType": "token", "token": SECRET, "sin": sin,
        },
        "settings": { "isActive": true, "activateNewChildren": true },
    })
}

async fn register(row: &Row, at: SocketAddr, client: &Client) -> anyhow::Result<String> {
    let answer = client.post("/data/connection", &payload(row.sin, at)).await?.expect(201)?;
    Ok(answer.json["bulkId"].as_str().context("bulkId")?.to_owned())
}

async fn synced(row: &Row, at: SocketAddr, client: &Client) -> anyhow::Result<Vec<Seen>> {
    let bulk = register(row, at, client).await?;
    Ok(client.finished(&bulk).await?.iter().flat_map(of_job).collect())
}

async fn ended(row: &Row, at: SocketAddr, client: &Client, most: u64) -> anyhow::Result<Vec<Seen>> {
    let bulk = register(row, at, client).await?;
    // On a busy machine the first page takes its time. Where none comes, the count below tells.
    let mut jobs = client.get(&format!("/jobs?bulkId={bulk}")).await?;
    for _ in 0..1200 {
        if jobs.json[0]["progress"]["pages"].as_u64() > Some(0) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        jobs = client.get(&format!("/jobs?bulkId={bulk}")).await?;
    }
    tokio::time::sleep(PATIENCE).await;
    let id = jobs.json[0]["id"].as_str().context("a job")?.to_owned();
    client.post(&format!("/jobs/{id}/cancel"), &json!({})).await?.expect(200)?;
    let jobs = client.finished(&bulk).await?;
    let pages = jobs[0]["progress"]["pages"].as_u64().context("pages")?;
    anyhow::ensure!((1..=most).contains(&pages), "{pages} pages in {PATIENCE:?}");
    let state = jobs[0]["state"].as_str().unwrap_or_default().to_owned();
    Ok(vec![(state, format!("after {pages} pages in {PATIENCE:?}"))])
}

/// Why a job failed, and what it reports of its parts.
fn of_job(job: &Value) -> Vec<Seen> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let output = &job["output"];
    let errors = output["errors"].as_array().into_iter().flatten().chain([&output["error"]]);
    errors.map(|error| (text(&error["code"]), text(&error["message"]))).collect()
}
