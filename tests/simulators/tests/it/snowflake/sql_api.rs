//! The frame of the SQL API: partitions, polls, retries, cancelling, what is malformed.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wharfinger_simulators::snowflake::{ACCESS_TOKEN, Lifetimes, Options, Partitions, ROLE, Shape, Twist, WAREHOUSE};

use super::setup::{Setup, twisted};
use crate::http;

const COLUMNS: &str = "SELECT TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION FROM DATABASE_00000.INFORMATION_SCHEMA.COLUMNS \
                       WHERE TABLE_SCHEMA = 'SCHEMA_00000' ORDER BY TABLE_NAME, ORDINAL_POSITION";

async fn small_parts() -> Result<Setup> {
    let partitions = Partitions { first_rows: 100, rows: 300, ..Partitions::default() };
    Setup::with(Options { partitions, ..Options::new(Shape::one_schema(50, 20).generate(1)) }).await
}

fn statement(sql: &str) -> Value {
    json!({"statement": sql, "role": ROLE, "warehouse": WAREHOUSE})
}

#[tokio::test]
async fn large_results_come_in_compressed_partitions() -> Result<()> {
    let setup = small_parts().await?;
    let first = setup.submit("?requestId=5a11", statement(COLUMNS)).await?;
    let links = first.header("link").context("links")?.to_owned();
    assert!(links.contains("partition=1>;rel=\"next\"") && links.contains("partition=3>;rel=\"last\""), "{links}");
    let first = first.json()?;
    let counts = json!([{"rowCount": 100}, {"rowCount": 300}, {"rowCount": 300}, {"rowCount": 300}]);
    let parts = first["resultSetMetaData"]["partitionInfo"].as_array().context("partitions")?;
    assert_eq!(Value::from_iter(parts.iter().map(|part| json!({"rowCount": part["rowCount"]}))), counts);
    assert_eq!((&first["code"], &first["resultSetMetaData"]["numRows"]), (&json!("090001"), &json!(1_000)));
    let mut rows = first["data"].as_array().context("data")?.clone();
    let handle = first["statementHandle"].as_str().context("handle")?;
    for part in 1..4 {
        let path = format!("/api/v2/statements/{handle}?partition={part}");
        // A client that does not inflate sees what is sent.
        let plain = reqwest::Client::builder().no_gzip().build()?;
        let sent = http::send(setup.with_token(plain.get(setup.url(&path)), "PROGRAMMATIC_ACCESS_TOKEN", ACCESS_TOKEN))
            .await?;
        assert_eq!(sent.header("content-encoding"), Some("gzip"));
        assert!(sent.body.starts_with(&[0x1f, 0x8b]));
        let answer = setup.get(&path).await?.json()?;
        assert_eq!(answer.as_object().map(|of| of.keys().cloned().collect::<Vec<_>>()), Some(vec!["data".to_owned()]));
        rows.extend(answer["data"].as_array().context("data")?.clone());
    }
    let expected = setup.simulator.read(|account| {
        let columns = account.tables().flat_map(|([_, _, name], of)| {
            of.columns.iter().zip(1..).map(move |(column, at)| json!([name, column.name, at.to_string()]))
        });
        columns.collect::<Vec<_>>()
    });
    assert_eq!(rows, expected);
    let beyond = setup.get(&format!("/api/v2/statements/{handle}?partition=4")).await?;
    assert_eq!(beyond.status, 422);
    let traffic = setup.simulator.traffic();
    assert_eq!((traffic.columns.requests, traffic.chunks.requests), (8, 7));
    assert!(traffic.chunks.inflated > 2 * traffic.chunks.bytes);
    Ok(())
}

#[tokio::test]
async fn a_retry_is_carried_out_once() -> Result<()> {
    let setup = Setup::new(3, 1).await?;
    let first = setup.submit("?requestId=abc", statement("SHOW DATABASES LIMIT 10")).await?.json()?;
    let again = setup.submit("?requestId=abc&retry=true", statement("SHOW DATABASES LIMIT 10")).await?.json()?;
    assert_eq!((first["statementHandle"].clone(), setup.simulator.executed()), (again["statementHandle"].clone(), 1));
    setup.submit("?requestId=def&retry=true", statement("SHOW DATABASES LIMIT 10")).await?;
    assert_eq!(setup.simulator.executed(), 2, "one that never arrived is carried out");
    Ok(())
}

#[tokio::test]
async fn slow_statements_are_polled_and_cancelled() -> Result<()> {
    let setup = Setup::new(3, 1).await?;
    setup.simulator.rule(twisted("SHOW TABLES", Twist::Async { polls: 2 }));
    let first = setup.sql("SHOW TABLES IN SCHEMA DATABASE_00000.SCHEMA_00000 LIMIT 10").await?;
    assert_eq!((first.status, first.json()?["code"].clone()), (202, json!("333334")));
    let path = first.json()?["statementStatusUrl"].as_str().context("url")?.to_owned();
    for status in [202, 202, 200] {
        assert_eq!(setup.get(&path).await?.status, status);
    }
    let asked = setup.submit("?async=true", statement("SELECT CURRENT_USER()")).await?;
    assert_eq!(asked.status, 202);
    let path = asked.json()?["statementStatusUrl"].as_str().context("url")?.to_owned();
    let cancelled = setup.post(&format!("{path}/cancel")).await?;
    assert_eq!((cancelled.status, cancelled.json()?["code"].clone()), (200, json!("000604")));
    let after = setup.get(&path).await?;
    assert_eq!((after.status, after.json()?["code"].clone()), (422, json!("000604")));
    let unknown = setup.post("/api/v2/statements/5a11/cancel").await?;
    assert_eq!((unknown.status, unknown.json()?["code"].clone()), (422, json!("000709")));
    let slow = Options { slow_rows: Some(2), ..Options::new(Shape::one_schema(3, 1).generate(1)) };
    let setup = Setup::with(slow).await?;
    assert_eq!(setup.sql("SHOW TABLES IN SCHEMA DATABASE_00000.SCHEMA_00000 LIMIT 10").await?.status, 202);
    Ok(())
}

#[tokio::test]
async fn results_end() -> Result<()> {
    let lifetimes = Lifetimes { result: 60, ..Lifetimes::default() };
    let setup = Setup::with(Options { lifetimes, ..Options::new(Shape::one_schema(1, 1).generate(1)) }).await?;
    let answer = setup.sql("SELECT CURRENT_USER()").await?.json()?;
    let path = format!("/api/v2/statements/{}", answer["statementHandle"].as_str().context("handle")?);
    assert_eq!(setup.get(&path).await?.status, 200);
    setup.simulator.advance(Duration::from_secs(61));
    assert_eq!(setup.get(&path).await?.status, 422);
    Ok(())
}

#[tokio::test]
async fn what_is_malformed_is_refused() -> Result<()> {
    let setup = Setup::new(1, 1).await?;
    let url = setup.url("/api/v2/statements");
    let token = |request| setup.with_token(request, "PROGRAMMATIC_ACCESS_TOKEN", ACCESS_TOKEN);
    let status = |request| async { http::send(request).await.map(|answer| answer.status) };
    assert_eq!(status(token(setup.client.post(&url)).json(&json!({"no": 1}))).await?, 400);
    let broken = token(setup.client.post(&url)).header("content-type", "application/json").body("{");
    assert_eq!(status(broken).await?, 400);
    assert_eq!(status(token(setup.client.post(&url)).body("SELECT 1")).await?, 415);
    let xml =
        setup.client.post(&url).header("accept", "text/xml").bearer_auth(ACCESS_TOKEN).header("user-agent", "t/1");
    assert_eq!(status(xml.json(&json!({"statement": "SELECT 1"}))).await?, 415);
    assert_eq!(status(token(setup.client.get(&url))).await?, 405);
    assert_eq!(status(token(setup.client.post(setup.url("/api/v2/statement")))).await?, 404);
    let nameless = setup.client.post(&url).bearer_auth(ACCESS_TOKEN).json(&json!({"statement": "SELECT 1"}));
    assert_eq!(status(nameless).await?, 400, "a User-Agent is required");
    let parameters = json!({"statement": "SELECT 1", "parameters": {"QUOTED_IDENTIFIERS_IGNORE_CASE": "true"}});
    assert_eq!(setup.submit("", parameters).await?.status, 400);
    for name in ["inventory", "NOBODY"] {
        let answer = setup.submit("", json!({"statement": "SELECT 1", "role": name})).await?;
        assert_eq!((answer.status, answer.json()?["code"].clone()), (422, json!("390189")), "roles are exact: {name}");
    }
    let lower = json!({"statement": COLUMNS, "role": ROLE, "warehouse": "inventory_wh"});
    let answer = setup.submit("", lower).await?;
    assert_eq!(answer.json()?["code"], "000606", "warehouses are exact");
    let busy = Options { most_at_once: Some(0), ..Options::new(Shape::one_schema(1, 1).generate(1)) };
    let answer = Setup::with(busy).await?.sql("SELECT 1").await?;
    assert_eq!((answer.status, answer.json()?["code"].clone()), (429, json!("390505")));
    Ok(())
}

#[tokio::test]
async fn values_are_texts_and_null_may_be_one_too() -> Result<()> {
    let setup = Setup::new(1, 1).await?;
    let sql = "SHOW TERSE DATABASES LIMIT 1";
    let answer = setup.sql(sql).await?.json()?;
    let row = &answer["data"][0];
    let created = row[0].as_str().context("a time")?;
    assert!(created.split_once('.').is_some_and(|(_, fraction)| fraction.len() == 9), "{created}");
    assert_eq!((&row[1], &row[2]), (&json!("DATABASE_00000"), &Value::Null));
    let row_type = &answer["resultSetMetaData"]["rowType"][0];
    assert_eq!((&row_type["type"], &row_type["scale"]), (&json!("timestamp_ltz"), &json!(3)));
    let texts = setup.submit("?nullable=false", statement(sql)).await?.json()?;
    assert_eq!(texts["data"][0][2], "null");
    let bound = json!({
        "statement": "SELECT TABLE_NAME FROM DATABASE_00000.INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = ?", "role": ROLE,
        "bindings": {"1": {"type": "TEXT", "value": "SCHEMA_00000"}},
    });
    assert_eq!(setup.submit("", bound).await?.json()?["data"], json!([["TABLE_00000"]]));
    Ok(())
}
