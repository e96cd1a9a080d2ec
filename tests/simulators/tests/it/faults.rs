//! Every fault as a plain HTTP client meets it, and the steering of a running simulator.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wharfinger_simulators::unity_catalog::{
    CLIENT_ID, CLIENT_SECRET, Change, Fault, Options, PageSizes, Privilege, Rule, Shape, Twist, UnityCatalog, path,
};

use crate::http::{self, Answer};

struct Setup {
    simulator: UnityCatalog,
    client: reqwest::Client,
}

impl Setup {
    async fn new(tables: usize) -> Result<Self> {
        let simulator = UnityCatalog::start(Options::new(Shape::one_schema(tables, 3).generate(1))).await?;
        Ok(Self { simulator, client: http::client()? })
    }

    fn url(&self, rest: &str) -> String {
        format!("http://{}/api/2.1/unity-catalog/{rest}", self.simulator.addr())
    }

    fn tables(&self, more: &str) -> String {
        self.url(&format!("tables?catalog_name=catalog_00000&schema_name=schema_00000{more}"))
    }

    async fn get(&self, url: String) -> Result<Answer> {
        http::get(&self.client, url).await
    }

    async fn page(&self, more: &str) -> Result<Value> {
        self.get(self.tables(more)).await?.json()
    }
}

fn twist(twist: Twist) -> Fault {
    Fault::Twisted { twist }
}

#[tokio::test]
async fn busy_answers_carry_retry_after_and_end() -> Result<()> {
    let setup = Setup::new(3).await?;
    setup.simulator.fault(Rule::once("/tables", Fault::busy(429, 1)).times(2));
    for _ in 0..2 {
        let answer = setup.get(setup.tables("&max_results=0")).await?;
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
        assert_eq!(answer.json()?["error_code"], "REQUEST_LIMIT_EXCEEDED");
    }
    assert_eq!(setup.get(setup.tables("&max_results=0")).await?.status, 200);
    assert_eq!(setup.simulator.counters().faults, 2);
    Ok(())
}

#[tokio::test]
async fn numeric_codes_html_and_plain_errors() -> Result<()> {
    let setup = Setup::new(1).await?;
    setup.simulator.fault(Rule::once("", Fault::error(403, "403", "Invalid access token.")));
    setup.simulator.fault(Rule::once("", Fault::Html { status: 200 }));
    setup.simulator.fault(Rule::once("", Fault::error(500, "INTERNAL_ERROR", "no luck")));
    assert_eq!(setup.get(setup.url("catalogs")).await?.json()?["error_code"], 403);
    let html = setup.get(setup.url("catalogs")).await?;
    assert_eq!((html.status, html.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(setup.get(setup.url("catalogs")).await?.status, 500);
    assert_eq!(setup.get(setup.url("catalogs")).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn connections_break_in_every_way() -> Result<()> {
    let setup = Setup::new(20).await?;
    for fault in [Fault::Truncate { after: 500 }, Fault::Reset, Fault::Hang] {
        setup.simulator.fault(Rule::once("/tables", fault.clone()));
        assert!(setup.get(setup.tables("&max_results=0")).await.is_err(), "{fault:?}");
        assert_eq!(setup.get(setup.tables("&max_results=0")).await?.status, 200, "after {fault:?}");
    }
    setup.simulator.fault(Rule::once("/tables", Fault::Drip { chunk: 2_000, pause_ms: 30 }));
    let begun = Instant::now();
    let dripped = setup.get(setup.tables("&max_results=0")).await?;
    assert!(begun.elapsed() > Duration::from_millis(100), "{:?} for {} bytes", begun.elapsed(), dripped.body.len());
    assert_eq!(dripped.body, setup.get(setup.tables("&max_results=0")).await?.body);
    Ok(())
}

#[tokio::test]
async fn pages_can_be_odd() -> Result<()> {
    let setup = Setup::new(60).await?;
    setup.simulator.fault(Rule::once("/tables", twist(Twist::EmptyPage)));
    let empty = setup.page("&max_results=0").await?;
    assert_eq!(empty.get("tables"), None);
    let token = empty["next_page_token"].as_str().context("token")?;
    let first = setup.page(&format!("&max_results=0&page_token={token}")).await?;
    assert_eq!(first["tables"].as_array().map(Vec::len), Some(50), "the empty page skipped nothing");

    setup.simulator.fault(Rule::always("page_token=", twist(Twist::RepeatToken)));
    let token = first["next_page_token"].as_str().context("token")?;
    let second = setup.page(&format!("&max_results=0&page_token={token}")).await?;
    assert_eq!(second["next_page_token"], token);
    setup.simulator.clear_faults();

    setup.simulator.fault(Rule::once("/tables", twist(Twist::NoListKey)));
    assert_eq!(setup.page("&max_results=0").await?, json!({}));
    setup.simulator.fault(Rule::once("/tables", twist(Twist::NoColumns)));
    assert_eq!(setup.page("&max_results=0").await?["tables"][0].get("columns"), None);
    setup.simulator.fault(Rule::once("/tables", twist(Twist::UnknownEnums)));
    assert_eq!(setup.page("&max_results=0").await?["tables"][0]["table_type"], "HOLOGRAM");
    Ok(())
}

#[tokio::test]
async fn unpaginated_listings_of_much_are_refused() -> Result<()> {
    let options = Options {
        sizes: PageSizes { unpaginated: 10, ..PageSizes::default() },
        ..Options::new(Shape::one_schema(11, 1).generate(1))
    };
    let setup = Setup { simulator: UnityCatalog::start(options).await?, client: http::client()? };
    let answer = setup.get(setup.tables("")).await?;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("UC-PGRQD"), "{}", answer.text());
    assert_eq!(setup.page("&max_results=5").await?["tables"].as_array().map(Vec::len), Some(5));
    Ok(())
}

#[tokio::test]
async fn a_walk_meets_changes_revoked_rights_and_expired_tokens() -> Result<()> {
    let setup = Setup::new(120).await?;
    let schema = path(&["catalog_00000", "schema_00000"]);
    let (token, addr) = (fetch_token(&setup).await?, setup.simulator.addr());
    let with_token = |token: &str| {
        let url = format!("http://{addr}/api/2.1/unity-catalog/catalogs?max_results=0");
        http::send(setup.client.get(url).bearer_auth(token))
    };
    assert_eq!(with_token(&token).await?.status, 200);
    setup.simulator.fault(Rule::once("/catalogs", Fault::ExpireTokens));
    assert_eq!(with_token(&token).await?.status, 401);
    assert_eq!(with_token(&fetch_token(&setup).await?).await?.status, 200);

    let change = Change::Drop { path: schema.clone() };
    setup.simulator.fault(Rule::once("page_token", Fault::Change { change: change.clone() }).from(2));
    let first = setup.page("&max_results=50").await?;
    let next = |page: &Value| format!("&max_results=50&page_token={}", page["next_page_token"].as_str().unwrap_or(""));
    let second = setup.page(&next(&first)).await?;
    let gone = setup.get(setup.tables(&next(&second))).await?;
    assert_eq!((gone.status, gone.json()?["error_code"].clone()), (404, json!("SCHEMA_DOES_NOT_EXIST")));

    setup.simulator.change(&Change::Add { path: schema.clone(), columns: vec![], comment: None })?;
    setup.simulator.fault(Rule::once("/tables", Fault::Revoke { path: schema }));
    let denied = setup.get(setup.tables("&max_results=0")).await?;
    assert_eq!((denied.status, denied.json()?["error_code"].clone()), (403, json!("PERMISSION_DENIED")));
    let listed = setup.get(setup.url("schemas?catalog_name=catalog_00000&max_results=0")).await?;
    assert_eq!(listed.json()?, json!({}), "what nobody may use is not listed");
    Ok(())
}

async fn fetch_token(setup: &Setup) -> Result<String> {
    let url = format!("http://{}/oidc/v1/token", setup.simulator.addr());
    let request = setup.client.post(url).basic_auth(CLIENT_ID, Some(CLIENT_SECRET));
    let answer = http::send(request.form(&[("grant_type", "client_credentials"), ("scope", "all-apis")])).await?;
    let grant = answer.json()?;
    assert_eq!((answer.status, &grant["token_type"], &grant["expires_in"]), (200, &json!("Bearer"), &json!(3600)));
    Ok(grant["access_token"].as_str().context("token")?.to_owned())
}

#[tokio::test]
async fn wrong_clients_and_tokens_are_told_apart() -> Result<()> {
    let setup = Setup::new(1).await?;
    let url = format!("http://{}/oidc/v1/token", setup.simulator.addr());
    let wrong = setup.client.post(&url).basic_auth(CLIENT_ID, Some("guess"));
    let wrong = http::send(wrong.form(&[("grant_type", "client_credentials"), ("scope", "all-apis")])).await?;
    assert_eq!((wrong.status, wrong.json()?["error"].clone()), (401, json!("invalid_client")));
    let none = http::send(setup.client.get(setup.url("catalogs"))).await?;
    assert_eq!((none.status, none.json()?["error_code"].clone()), (401, json!(401)));
    let bad = http::send(setup.client.get(setup.url("catalogs")).bearer_auth("dapi-no")).await?;
    assert_eq!((bad.status, bad.json()?["error_code"].clone()), (403, json!(403)));
    Ok(())
}

#[tokio::test]
async fn a_caller_with_few_rights_sees_little_and_browses_more() -> Result<()> {
    let setup = Setup::new(5).await?;
    setup.simulator.access(|access| {
        access.add_token("dapi-ana", "ana");
        access.grant("ana", &["catalog_00000"], Privilege::UseCatalog);
        access.grant("ana", &["catalog_00000", "schema_00000"], Privilege::UseSchema);
        access.grant("ana", &["catalog_00000", "schema_00000", "table_00002"], Privilege::Select);
        access.grant("ana", &["catalog_00000"], Privilege::Browse);
    });
    let list = |more: &str| http::send(setup.client.get(setup.tables(more)).bearer_auth("dapi-ana"));
    let seen = list("&max_results=0").await?.json()?;
    assert_eq!(seen["tables"].as_array().map(Vec::len), Some(1));
    let browsed = list("&max_results=0&include_browse=true").await?.json()?;
    let tables = browsed["tables"].as_array().context("tables")?;
    let only_browsed = tables.iter().filter(|table| table["browse_only"] == true && table.get("columns").is_none());
    assert_eq!((tables.len(), only_browsed.count()), (5, 4));
    Ok(())
}

#[tokio::test]
async fn a_stopped_simulator_is_unreachable() -> Result<()> {
    let setup = Setup::new(1).await?;
    let (url, client) = (setup.url("catalogs"), setup.client.clone());
    assert_eq!(setup.get(url.clone()).await?.status, 200);
    drop(setup);
    assert!(http::get(&client, url).await.is_err(), "also on the connection that was open");
    Ok(())
}
