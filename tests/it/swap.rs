//! Versions of a connector that replace each other while a sync runs.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use axum::{
    Router,
    extract::{Path, Query, State},
    routing::get,
};
use serde_json::{Value, json};
use tokio::sync::watch;
use wharfinger::{
    connector::{Connector, Connectors, ErrorCode, Serving},
    egress::{
        session::{Egress, Policy},
        vault::Secrets,
    },
    model::id::ConnectionId,
};
use wharfinger_tests::{TestHost, guests};

const KEY: &str = "Pages";
const TECHNOLOGY: &str = "Guest";
const PAGES: u32 = 60;

/// What the guests ask for their pages: answers at once, up to a page that it holds back until it is let go.
#[derive(Clone)]
struct Platform {
    addr: SocketAddr,
    /// Page, version that asked, and when.
    seen: Arc<Mutex<Vec<(u32, String, Instant)>>>,
    /// Pages from this one on wait.
    gate: watch::Sender<u32>,
}

impl Platform {
    async fn start(gate: u32) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let platform = Self { addr: listener.local_addr()?, seen: Arc::default(), gate: watch::Sender::new(gate) };
        let router = Router::new().route("/page/{number}", get(page)).with_state(platform.clone());
        #[allow(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(platform)
    }

    /// Waits until a page was asked for, and tells by whom.
    async fn asked(&self, page: u32) -> anyhow::Result<String> {
        for _ in 0..6000 {
            if let Some((_, by, _)) = self.requests().into_iter().rev().find(|(number, _, _)| *number == page) {
                return Ok(by);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::bail!("nobody asked for page {page}: {:?}", self.requests())
    }

    fn requests(&self) -> Vec<(u32, String, Instant)> {
        self.seen.lock().expect("no reader panics").clone()
    }

    fn payload(&self) -> Value {
        json!({
            "connectionKey": KEY,
            "connection": {
                "technology": TECHNOLOGY,
                "hostname": format!("http://{}", self.addr.ip()),
                "port": self.addr.port(),
                "authenticationType": "token",
                "token": "canary-0123456789abcdef",
            },
            "settings": { "isActive": true, "activateNewChildren": true },
        })
    }
}

async fn page(
    State(platform): State<Platform>,
    Path(number): Path<u32>,
    Query(query): Query<BTreeMap<String, String>>,
) -> &'static str {
    let by = query.get("by").cloned().unwrap_or_default();
    platform.seen.lock().expect("no reader panics").push((number, by, Instant::now()));
    // The sender lives as long as the platform.
    let _ = platform.gate.subscribe().wait_for(|gate| number < *gate).await;
    ""
}

async fn prepared(connectors: &Connectors, path: &str) -> anyhow::Result<Arc<Connector>> {
    Ok(connectors.prepare(&std::fs::read(path)?).await?)
}

/// Lets a connector serve in the place of the one that does. Gives the moment.
fn serve(connectors: &Connectors, connector: &Arc<Connector>) -> Instant {
    let mut serving = Serving::clone(&connectors.now());
    serving.active.insert(TECHNOLOGY.into(), connector.clone());
    let moment = Instant::now();
    connectors.serve(serving);
    moment
}

/// A host on which the first version serves, with a connection whose sync waits for the page at the gate.
async fn syncing(platform: &Platform, gate: u32) -> anyhow::Result<(TestHost, String)> {
    let host = TestHost::start().await?;
    host.app().connectors().load(&std::fs::read(guests::PAGES_V1)?).await?;
    let answer = host.client().post("/data/connection", &platform.payload()).await?.expect(201)?;
    let bulk = answer.json["bulkId"].as_str().context("bulkId")?.to_owned();
    ensure!(platform.asked(gate).await? == "1.0.0");
    Ok((host, bulk))
}

/// Which version made each page.
async fn made(host: &TestHost) -> anyhow::Result<BTreeMap<u32, String>> {
    let mut made = BTreeMap::new();
    for table in host.client().descendants(KEY).await? {
        let name = table["name"].as_str().context("name")?;
        let object = host.client().get(&format!("/data/object/{KEY}/{name}")).await?.expect(200)?;
        let comment = object.json["comment"].as_str().context("comment")?.to_owned();
        made.insert(name.trim_start_matches('t').parse()?, comment);
    }
    Ok(made)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_takes_over_at_the_next_page_and_gives_back() -> anyhow::Result<()> {
    let platform = Platform::start(20).await?;
    let (host, bulk) = syncing(&platform, 20).await?;
    let connectors = host.app().connectors();
    let first = connectors.now().active.get(TECHNOLOGY).context("serves")?.clone();
    let second = prepared(connectors, guests::PAGES_V2).await?;

    // Page 20 is under way on the first version, and ends on it.
    let swapped = serve(connectors, &second);
    platform.gate.send_replace(40);
    ensure!(platform.asked(40).await? == "2.0.0");
    let back = serve(connectors, &first);
    platform.gate.send_replace(PAGES);
    let job = host.client().completed(&bulk).await?;

    let made = made(&host).await?;
    let expected: BTreeMap<u32, String> =
        (0..PAGES).map(|page| (page, if (21..=40).contains(&page) { "2.0.0" } else { "1.0.0" }.to_owned())).collect();
    assert_eq!(made, expected);
    assert_eq!(job["output"]["connector"], "guest 1.0.0", "{job}");
    assert_eq!(job["output"]["errors"], json!([]), "{job}");
    assert_eq!((first.health().recent_failures(), second.health().recent_failures()), (0, 0));
    assert_eq!(second.health().calls, 20);

    let metrics = host.client().get("/metrics").await?.expect(200)?;
    assert!(metrics.headers["content-type"].to_str()?.starts_with("text/plain; version=0.0.4"));
    let labels = format!("{{connector=\"guest\",version=\"1.0.0\",digest=\"{}\"}}", first.digest);
    let line = format!("wharfinger_connector_requests_total{labels} {}", first.health().requests);
    assert!(metrics.text.lines().any(|found| found == line), "{line}\n{}", metrics.text);
    // What serves no more is told too.
    let labels = format!("{{connector=\"guest\",version=\"2.0.0\",digest=\"{}\"}}", second.digest);
    let line = format!("wharfinger_connector_calls_total{labels} 20");
    assert!(metrics.text.lines().any(|found| found == line), "{line}\n{}", metrics.text);
    host.stranger().get("/metrics").await?.expect(401)?;

    let requests = platform.requests();
    let first_page = |by: &str, after: Instant| {
        requests.iter().find(|(_, b, at)| b == by && *at > after).map(|(_, _, at)| at.duration_since(after))
    };
    // The wait at the gates is the test's own.
    let after: Vec<Instant> =
        [swapped].into_iter().chain(requests.iter().map(|r| r.2).filter(|at| *at > swapped)).collect();
    let pauses = after.windows(2).map(|pair| pair[1].duration_since(pair[0]));
    eprintln!(
        "from serving to the first page: {:?} and back {:?}; longest pause between pages from then on: {:?}",
        first_page("2.0.0", swapped).context("asked")?,
        first_page("1.0.0", back).context("asked")?,
        pauses.max().context("pages")?,
    );
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_cannot_read_the_cursor_begins_the_partition_again() -> anyhow::Result<()> {
    let platform = Platform::start(20).await?;
    let (host, bulk) = syncing(&platform, 20).await?;
    let connectors = host.app().connectors();
    let third = prepared(connectors, guests::PAGES_V3).await?;
    serve(connectors, &third);
    platform.gate.send_replace(PAGES);
    let job = host.client().completed(&bulk).await?;
    assert_eq!(job["output"]["errors"], json!([]), "{job}");
    assert_eq!(made(&host).await?, (0..PAGES).map(|page| (page, "3.0.0".to_owned())).collect());
    let begun = platform.requests().iter().filter(|(page, _, _)| *page == 0).count();
    assert_eq!(begun, 2, "once by each version");
    assert_eq!(third.health().recent_failures(), 0, "a stale cursor is nobody's failure");
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_reads_no_columns_by_name_lists_once_for_all_that_were_asked_for() -> anyhow::Result<()> {
    let platform = Platform::start(PAGES).await?;
    let host = TestHost::start().await?;
    let connectors = host.app().connectors();
    connectors.load(&std::fs::read(guests::PAGES_BY_NAME)?).await?;
    let answer = host.client().post("/data/connection", &platform.payload()).await?.expect(201)?;
    let bulk = answer.json["bulkId"].as_str().context("bulkId")?;
    // All is listed, and the first questions for columns wait at the gate.
    platform.asked(PAGES - 1).await?;
    platform.asked(PAGES).await?;
    let lists = prepared(connectors, guests::PAGES_V1).await?;
    serve(connectors, &lists);
    platform.gate.send_replace(PAGES + 1);
    let job = host.client().completed(bulk).await?;
    assert_eq!(job["output"]["errors"], json!([]), "{job}");
    let begun = platform.requests().into_iter().filter(|(page, by, _)| *page == 0 && by == "1.0.0").count();
    assert_eq!(begun, 1, "once for all of them");
    for table in host.client().descendants(KEY).await? {
        let name = table["name"].as_str().context("name")?;
        let columns = host.client().get(&format!("/data/columns/{KEY}/{name}")).await?.expect(200)?.json;
        assert_eq!(columns["columns"], json!([]), "they were read: {columns}");
    }
    assert_eq!(host.client().post("/verify", &json!({})).await?.expect(200)?.json["sound"], true);
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_whose_connector_vanishes_says_so() -> anyhow::Result<()> {
    let platform = Platform::start(20).await?;
    let (host, bulk) = syncing(&platform, 20).await?;
    host.app().connectors().serve(Serving::default());
    platform.gate.send_replace(PAGES);
    let jobs = host.client().finished(&bulk).await?;
    let sync = jobs.iter().find(|job| job["jobType"] == "objectSync").context("a sync")?;
    assert_eq!(sync["state"], "failed", "{sync}");
    assert!(sync.to_string().contains("connector-missing"), "{sync}");
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_keeps_crashing_on_a_connection_is_left_alone_there() -> anyhow::Result<()> {
    let platform = Platform::start(PAGES).await?;
    let (host, bulk) = syncing(&platform, 0).await?;
    host.client().completed(&bulk).await?;
    let shown = host.client().get(&format!("/data/connection/{KEY}")).await?.expect(200)?;
    let id: ConnectionId = shown.json["id"].as_str().context("id")?.parse()?;
    let (connection, _) = host.app().db().connection_with_secrets(id).await?.context("registered")?;
    let policy = Policy { allow_cidrs: vec!["127.0.0.0/8".parse()?], allow_insecure_http: true, ..Policy::default() };
    let traps = prepared(host.app().connectors(), guests::TRAPS).await?;
    let session = traps.session(&Egress::new(policy)?, &connection, Secrets::default())?;
    let mut codes = Vec::new();
    for _ in 0..7 {
        let error = traps.check(&session, &connection.config).await.0.map(|_| ()).expect_err("it traps");
        assert_eq!(error.retry_after.is_some(), error.code == ErrorCode::Unavailable, "{error}");
        codes.push(error.code);
    }
    assert_eq!(codes[..5], [ErrorCode::Trapped; 5]);
    assert_eq!(codes[5..], [ErrorCode::Unavailable; 2], "it is not run any more");
    let health = traps.health();
    assert_eq!((health.calls, health.recent_failures()), (5, 0), "checks judge no version");
    assert!(health.open.contains_key(&id));
    host.stop().await;
    Ok(())
}
