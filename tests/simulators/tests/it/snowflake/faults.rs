//! Every fault as a plain HTTP client meets it, on the door where it hurts.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wharfinger_simulators::snowflake::{Change, Fault, Options, Partitions, Rule, Shape, Twist, path};

use super::setup::{Setup, twisted};
use crate::http;

const SHOW: &str = "SHOW TABLES IN SCHEMA DATABASE_00000.SCHEMA_00000";
const DESCRIBED: &str = "SELECT TABLE_NAME, ROW_COUNT FROM DATABASE_00000.INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = \
                         'SCHEMA_00000'";

#[tokio::test]
async fn statuses_come_with_and_without_retry_after() -> Result<()> {
    let setup = Setup::new(2, 2).await?;
    setup.simulator.rule(Rule::once("SHOW TABLES", Fault::busy(429, 2)));
    let busy = setup.sql(SHOW).await?;
    assert_eq!(
        (busy.status, busy.header("retry-after"), busy.json()?["code"].clone()),
        (429, Some("2"), json!("390505"))
    );
    let bare = Fault::Status { status: 503, retry_after: None, error_code: None, message: None };
    setup.simulator.rule(Rule::once("SHOW TABLES", bare));
    let down = setup.sql(SHOW).await?;
    assert_eq!((down.status, down.header("retry-after")), (503, None));
    setup.simulator.rule(Rule::once("SHOW TABLES", Fault::Html { status: 200 }));
    assert!(setup.sql(SHOW).await?.text().starts_with("<!DOCTYPE html>"));
    setup.simulator.rule(Rule::once("/session", Fault::error(403, "390144", "not here")));
    assert_eq!(setup.login_with(json!({})).await?["code"], "390144");
    assert_eq!(setup.sql(SHOW).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn connections_break_in_every_way() -> Result<()> {
    let setup = Setup::new(20, 2).await?;
    for fault in [Fault::Truncate { after: 500 }, Fault::Reset, Fault::Hang] {
        setup.simulator.rule(Rule::once("SHOW TABLES", fault.clone()));
        assert!(setup.sql(SHOW).await.is_err(), "{fault:?}");
        assert_eq!(setup.sql(SHOW).await?.status, 200, "after {fault:?}");
    }
    setup.simulator.rule(Rule::once("SHOW TABLES", Fault::Drip { chunk: 1_000, pause_ms: 40 }));
    let begun = Instant::now();
    assert_eq!(setup.sql(SHOW).await?.status, 200);
    assert!(begun.elapsed() > Duration::from_millis(150));
    Ok(())
}

#[tokio::test]
async fn results_can_be_odd() -> Result<()> {
    let setup = Setup::new(2, 2).await?;
    let headers = |answer: &Value| {
        let headers = answer["resultSetMetaData"]["rowType"].as_array().cloned().unwrap_or_default();
        headers.iter().map(|of| of["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let usual = setup.sql(DESCRIBED).await?.json()?;
    assert_eq!(headers(&usual), ["TABLE_NAME", "ROW_COUNT"]);
    assert!(usual["data"][0][1].is_string());
    let mut odd = vec![];
    for twist in [
        Twist::Reordered,
        Twist::MissingColumn { name: "row_count".into() },
        Twist::ExtraColumn,
        Twist::NumericCells,
        Twist::Arrow,
    ] {
        setup.simulator.rule(twisted("TABLES", twist));
        odd.push(setup.sql(DESCRIBED).await?.json()?);
    }
    assert_eq!(headers(&odd[0]), ["ROW_COUNT", "TABLE_NAME"]);
    assert_eq!(odd[0]["data"][0][1], usual["data"][0][0]);
    assert_eq!(headers(&odd[1]), ["TABLE_NAME"]);
    assert_eq!((headers(&odd[2]).len(), odd[2]["data"][0].as_array().map(Vec::len)), (3, Some(3)));
    assert!(odd[3]["data"][0][1].is_number());
    assert_ne!(odd[4]["resultSetMetaData"]["format"], "jsonv2");
    for (twist, code) in [(Twist::TooMuchData, "090030"), (Twist::NoWarehouse, "000606")] {
        setup.simulator.rule(twisted("TABLES", twist));
        assert_eq!(setup.refusal(DESCRIBED).await?, (422, code.into()));
    }
    let (token, _) = setup.login().await?;
    setup.simulator.rule(twisted("SHOW TABLES", Twist::Arrow));
    let arrow = setup.query(&token, SHOW).await?;
    assert_eq!((&arrow["data"]["queryResultFormat"], arrow["data"].get("rowset")), (&json!("arrow"), None));
    Ok(())
}

#[tokio::test]
async fn large_bodies_are_sent_and_never_held() -> Result<()> {
    let partitions = Partitions { first_rows: 10, rows: 50, ..Partitions::default() };
    let setup = Setup::with(Options { partitions, ..Options::new(Shape::one_schema(30, 2).generate(1)) }).await?;
    let columns = "SHOW COLUMNS IN SCHEMA DATABASE_00000.SCHEMA_00000";
    let answer = setup.sql(columns).await?.json()?;
    let part = format!("/api/v2/statements/{}?partition=1", answer["statementHandle"].as_str().context("handle")?);
    let request = |gzip: bool| {
        let client = reqwest::Client::builder();
        let client = if gzip { client } else { client.no_gzip() }.build().expect("a client");
        setup.with_token(
            client.get(setup.url(&part)),
            "PROGRAMMATIC_ACCESS_TOKEN",
            wharfinger_simulators::snowflake::ACCESS_TOKEN,
        )
    };
    setup.simulator.rule(twisted("partition=1", Twist::GzipBomb { bytes: 1_200 << 20 }).times(2));
    let bomb = http::send(request(false)).await?;
    assert!(bomb.body.len() < 4 << 20, "{}", bomb.body.len());
    let mut inflated = request(true).send().await?;
    let mut bytes = 0;
    while let Some(piece) = inflated.chunk().await? {
        bytes += piece.len();
    }
    assert!(bytes > 1_200 << 20, "{bytes}");
    setup.simulator.rule(twisted("partition=1", Twist::Huge { bytes: 1 << 30 }));
    let mut huge = request(false).send().await?;
    assert!(huge.content_length() > Some(1 << 30));
    assert!(huge.chunk().await?.is_some(), "it begins to come");
    drop(huge);
    setup.simulator.rule(twisted("partition=1", Twist::StorageError));
    let error = http::send(request(false)).await?;
    assert_eq!((error.status, error.text().contains("<Code>SlowDown</Code>")), (200, true));
    setup.simulator.rule(twisted("partition=1", Twist::ForgetResults));
    assert_eq!(http::send(request(false)).await?.status, 422);
    Ok(())
}

#[tokio::test]
async fn storage_fails_in_its_own_words() -> Result<()> {
    let partitions = Partitions { first_rows: 10, rows: 50, ..Partitions::default() };
    let setup = Setup::with(Options { partitions, ..Options::new(Shape::one_schema(30, 2).generate(1)) }).await?;
    let (token, _) = setup.login().await?;
    let answer = setup.query(&token, "SHOW COLUMNS IN SCHEMA DATABASE_00000.SCHEMA_00000").await?;
    let url = answer["data"]["chunks"][0]["url"].as_str().context("url")?.to_owned();
    setup.simulator.rule(Rule::once("/results/", Fault::busy(503, 1)));
    let busy = http::send(setup.client.get(&url)).await?;
    assert_eq!((busy.status, busy.text().contains("<Error>")), (503, true));
    setup.simulator.rule(twisted("/results/", Twist::StorageError));
    let error = http::send(setup.client.get(&url)).await?;
    assert_eq!((error.status, error.header("content-type")), (200, Some("application/xml")));
    let hit = setup.simulator.journal().into_iter().rfind(|entry| entry.target.starts_with("/results/"));
    assert!(hit.and_then(|entry| entry.statement).is_some_and(|sql| sql.starts_with("SHOW COLUMNS")));
    Ok(())
}

#[tokio::test]
async fn the_account_changes_in_the_middle_of_a_walk() -> Result<()> {
    let setup = Setup::new(3, 2).await?;
    let drop = Change::Drop { path: path(&["DATABASE_00000", "SCHEMA_00000"]) };
    setup.simulator.rule(Rule::once("SHOW TABLES", Fault::Change { change: drop }).from(2));
    assert_eq!(setup.sql(SHOW).await?.status, 200);
    assert_eq!(setup.refusal(SHOW).await?, (422, "002003".into()));
    let database = path(&["DATABASE_00000"]);
    setup.simulator.rule(Rule::once("SHOW DATABASES", Fault::Revoke { path: database }));
    assert_eq!(setup.rows("SHOW DATABASES").await?.len(), 0);
    setup.simulator.restore();
    assert_eq!(setup.rows("SHOW DATABASES").await?.len(), 1);
    setup.simulator.rule(twisted("SHOW DATABASES", Twist::ExpireAccessTokens));
    assert_eq!(setup.sql("SHOW DATABASES").await?.status, 401);
    assert_eq!(setup.simulator.fault_hits(), 3);
    Ok(())
}

#[tokio::test]
async fn a_stopped_account_is_unreachable() -> Result<()> {
    let setup = Setup::new(1, 1).await?;
    let (url, client) = (setup.url("/api/v2/statements"), setup.client.clone());
    assert_eq!(setup.sql("SELECT 1").await?.status, 200);
    drop(setup);
    assert!(http::send(client.post(url)).await.is_err(), "also on the connection that was open");
    Ok(())
}
