//! All faults of the platform, each with its outcome: retried (nobody notices), reported (the rest goes on, and the next
//! sync mends it) or refused (the sync fails and says why). Whatever happens, nothing is called missing.

use serde_json::{Value, json};
use wharfinger_simulators::snowflake::{
    Change, Fault, KeyForm, Method, Rule, Snowflake, Twist, WAREHOUSE, WarehouseState, path,
};
use wharfinger_tests::{TestHost, inventory::of_host};

use super::{KEY, URL, account_in_parts, assert_equal, host, shape};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Retried,
    Reported,
    Refused,
}

use Outcome::{Refused, Reported, Retried};

const SQL_API: Method = Method::KeyPair(KeyForm::Pkcs8);
const DRIVER: Method = Method::UserPassword;

fn twisted(twist: Twist) -> Fault {
    Fault::Twisted { twist }
}

fn status(status: u16) -> Fault {
    Fault::Status { status, retry_after: None, error_code: None, message: None }
}

/// What it is called, over which protocol, where and how it hits, and what comes of it.
type Case = (&'static str, Method, Rule, Outcome);

/// `SHOW TABLES` of one of the schemas, and the columns of one of them, are hit.
fn cases() -> Vec<Case> {
    let tables = "SHOW TABLES";
    let columns = "INFORMATION_SCHEMA.COLUMNS";
    let changes = "INFORMATION_SCHEMA.TABLES";
    let mut all = Vec::new();
    for (protocol, of) in [("SQL API", SQL_API), ("driver", DRIVER)] {
        let name = |what: &str| -> &'static str { format!("{protocol}: {what}").leak() };
        all.extend([
            (name("429 without Retry-After"), of, Rule::once(tables, status(429)), Retried),
            (name("429 with Retry-After"), of, Rule::once(tables, Fault::busy(429, 1)), Retried),
            (name("503 with Retry-After"), of, Rule::once(tables, Fault::busy(503, 1)), Retried),
            (name("500"), of, Rule::once(tables, status(500)), Retried),
            (name("502"), of, Rule::once(columns, status(502)), Retried),
            (name("504"), of, Rule::once(columns, status(504)), Retried),
            (name("reset"), of, Rule::once(tables, Fault::Reset).from(2), Retried),
            (name("body breaks off"), of, Rule::once(tables, Fault::Truncate { after: 300 }), Retried),
            (name("body in small pieces"), of, Rule::once(tables, Fault::Drip { chunk: 400, pause_ms: 2 }), Retried),
            (name("a page instead of an answer, once"), of, Rule::once(tables, Fault::Html { status: 200 }), Retried),
            (name("a statement that takes long"), of, Rule::once(columns, twisted(Twist::Async { polls: 2 })), Retried),
            (
                name("a statement that takes very long"),
                of,
                Rule::once(columns, twisted(Twist::Async { polls: 9 })),
                Retried,
            ),
            (name("090030, once"), of, Rule::once(columns, twisted(Twist::TooMuchData)), Retried),
            (name("090030 on fingerprints"), of, Rule::once(changes, twisted(Twist::TooMuchData)), Retried),
            (name("no usable warehouse"), of, Rule::always("INFORMATION_SCHEMA", twisted(Twist::NoWarehouse)), Retried),
            (
                name("columns of the result in another order"),
                of,
                Rule::always("SHOW", twisted(Twist::Reordered)),
                Retried,
            ),
            (name("one more column in the result"), of, Rule::always("", twisted(Twist::ExtraColumn)), Retried),
            (name("numbers where texts are due"), of, Rule::always("", twisted(Twist::NumericCells)), Retried),
            (
                name("a column of the result is lacking"),
                of,
                Rule::always(tables, twisted(Twist::MissingColumn { name: "name".into() })),
                Reported,
            ),
            (
                name("002003 on one schema"),
                of,
                Rule::once(
                    tables,
                    Fault::error(422, "002003", "SQL compilation error:\nSchema 'X' does not exist or not authorized."),
                ),
                Reported,
            ),
            (
                name("003030, the share is gone"),
                of,
                Rule::once(tables, Fault::error(422, "003030", "Shared database is no longer available for use.")),
                Reported,
            ),
            (
                name("gzip bomb"),
                of,
                Rule::always(tables, twisted(Twist::GzipBomb { bytes: 2 << 30 })).times(40),
                Reported,
            ),
            (name("a gigabyte"), of, Rule::always(tables, twisted(Twist::Huge { bytes: 1 << 30 })).times(40), Reported),
            (name("pages instead of answers"), of, Rule::always("SHOW", Fault::Html { status: 200 }), Refused),
            (name("403"), of, Rule::always("SHOW", Fault::Html { status: 403 }), Refused),
        ]);
    }
    all.extend([
        ("driver: the session is over", DRIVER, Rule::once(tables, twisted(Twist::ExpireSessions)), Retried),
        (
            "driver: the session and its master are over",
            DRIVER,
            Rule::once(tables, twisted(Twist::ExpireMasters)),
            Retried,
        ),
        ("driver: the session is not known", DRIVER, Rule::once(tables, twisted(Twist::ForgetSessions)), Retried),
        ("driver: a format nobody asked for", DRIVER, Rule::always(tables, twisted(Twist::Arrow)), Reported),
        ("driver: a file of the result is not there", DRIVER, Rule::once("/results/", status(404)), Retried),
        ("driver: the storage is busy", DRIVER, Rule::once("/results/", status(503)), Retried),
        (
            "driver: the storage's error as an answer",
            DRIVER,
            Rule::once("/results/", twisted(Twist::StorageError)),
            Retried,
        ),
        ("driver: a file breaks off", DRIVER, Rule::once("/results/", Fault::Truncate { after: 20 }), Retried),
        (
            "driver: a file that inflates without end",
            DRIVER,
            Rule::once("/results/", twisted(Twist::GzipBomb { bytes: 2 << 30 })),
            Retried,
        ),
        ("SQL API: a partition breaks off", SQL_API, Rule::once("partition=1", Fault::Truncate { after: 20 }), Retried),
        (
            "SQL API: a partition of a gigabyte",
            SQL_API,
            Rule::once("partition=1", twisted(Twist::Huge { bytes: 1 << 30 })),
            Retried,
        ),
        ("SQL API: results are forgotten", SQL_API, Rule::once("partition=1", twisted(Twist::ForgetResults)), Reported),
        ("SQL API: the token is over", SQL_API, Rule::once(tables, Fault::ExpireTokens), Retried),
    ]);
    all
}

/// A registered connection whose every table is known and changes before the faulty sync, so that columns are read.
async fn registered(method: Method) -> anyhow::Result<(Snowflake, TestHost)> {
    let platform = account_in_parts(shape(1, 3, 12, 3)).await?;
    let host = host(&platform).await?;
    host.client().register(&platform.payload_for(KEY, method)).await?;
    let tables: Vec<Vec<String>> = platform.read(|account| account.tables().map(|(at, _)| path(&at)).collect());
    for table in tables.into_iter().step_by(3) {
        let column = wharfinger_simulators::snowflake::NewColumn::new("LATE", "DATE");
        platform.change(&Change::AddColumn { path: table, column })?;
    }
    Ok((platform, host))
}

async fn crawl(host: &TestHost) -> anyhow::Result<Value> {
    let answer = host.client().post(&format!("/data/crawl/{URL}"), &json!({})).await?.expect(202)?;
    let jobs = host.client().finished(answer.json["bulkId"].as_str().expect("bulkId")).await?;
    Ok(jobs[0].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_has_its_outcome_and_none_loses_anything() -> anyhow::Result<()> {
    let mut lines = Vec::new();
    let mut wrong = Vec::new();
    for (what, method, rule, expected) in cases() {
        let (platform, host) = registered(method).await?;
        platform.rule(rule);
        let job = crawl(&host).await?;
        let hits = platform.fault_hits();
        let errors = job["output"]["errors"].as_array().map_or(0, Vec::len);
        let outcome = match (job["state"].as_str(), errors) {
            (Some("completed"), 0) => Retried,
            (Some("completed"), _) => Reported,
            _ => Refused,
        };
        let missing = of_host(host.app().db(), KEY)
            .await?
            .iter()
            .filter(|(path, entry)| !entry.present && path.get(1).is_none_or(|schema| schema != "INFORMATION_SCHEMA"))
            .count();
        let told = job["output"]["error"]["message"].as_str().or(job["output"]["errors"][0]["message"].as_str());
        lines.push(format!("| {what} | {outcome:?} | {} |", told.unwrap_or("")));
        if outcome != expected || missing > 0 || hits == 0 {
            wrong.push(format!("{what}: {outcome:?} instead of {expected:?}, {missing} missing, {hits} hits: {job:#}"));
        }
        platform.clear_faults();
        host.client().sync(URL).await?;
        assert_equal(&host, &platform).await.map_err(|error| error.context(what))?;
        host.stop().await;
    }
    println!("| fault | outcome | told |\n|---|---|---|\n{}", lines.join("\n"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_while_it_is_listed_is_reported_or_missing_in_the_end() -> anyhow::Result<()> {
    for method in [SQL_API, DRIVER] {
        let (platform, host) = registered(method).await?;
        let (database, schema, table) = platform.read(|account| {
            let ([database, schema, table], _) = account.tables().next().expect("a table");
            (database.to_owned(), schema.to_owned(), table.to_owned())
        });
        platform.rule(Rule::once(
            "INFORMATION_SCHEMA.TABLES",
            Fault::Change { change: Change::Drop { path: path(&[&database, &schema, &table]) } },
        ));
        let job = crawl(&host).await?;
        assert_eq!((&job["state"], platform.fault_hits()), (&json!("completed"), 1), "{job}");
        host.client().sync(URL).await?;
        assert_equal(&host, &platform).await?;
        let found = of_host(host.app().db(), KEY).await?;
        assert!(!found[&path(&[&database, &schema, &table])].present, "it is missing in the end");
        host.stop().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_that_is_gone_or_locked_costs_nothing_but_requests() -> anyhow::Result<()> {
    for gone in [true, false] {
        let (platform, host) = registered(SQL_API).await?;
        platform.with_model(|account| match gone {
            true => drop(account.warehouses.remove(WAREHOUSE)),
            false => account.warehouses.get_mut(WAREHOUSE).expect("it").state = WarehouseState::Locked,
        });
        let job = crawl(&host).await?;
        assert_eq!((&job["state"], &job["output"]["errors"]), (&json!("completed"), &json!([])), "{job}");
        assert_equal(&host, &platform).await?;
        host.stop().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_lost_in_mid_walk_makes_nothing_missing() -> anyhow::Result<()> {
    let (platform, host) = registered(SQL_API).await?;
    let (database, schema) = platform.read(|account| {
        let ([database, schema, _], _) = account.tables().next().expect("a table");
        (database.to_owned(), schema.to_owned())
    });
    // It was listed, and now it cannot be gone into.
    let tables = format!("SHOW TABLES IN SCHEMA \"{database}\".\"{schema}\"");
    platform.rule(Rule::once(&tables, Fault::Revoke { path: path(&[&database, &schema]) }));
    let job = crawl(&host).await?;
    assert_eq!((&job["state"], platform.fault_hits()), (&json!("completed"), 1), "{job}");
    assert_eq!(job["output"]["errors"].as_array().map(Vec::len), Some(1), "it is told: {job}");
    let tables = of_host(host.app().db(), KEY).await?;
    let lost = tables.iter().filter(|(at, entry)| at.len() == 3 && !entry.present).count();
    assert_eq!(lost, 0, "{job}");
    platform.restore();
    host.client().sync(URL).await?;
    assert_equal(&host, &platform).await?;
    host.stop().await;
    Ok(())
}
