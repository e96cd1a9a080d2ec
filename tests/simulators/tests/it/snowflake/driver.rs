//! The drivers' own protocol: logins with every credential, renewal, polls, chunks from another port.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wharfinger_simulators::snowflake::{
    ACCESS_TOKEN, Fault, Lifetimes, Options, PASSWORD, Partitions, ROLE, Rule, Shape, Twist, USER, WAREHOUSE,
};

use super::setup::{Setup, Token, twisted};
use crate::http;

#[tokio::test]
async fn every_credential_opens_a_session_and_failures_have_status_200() -> Result<()> {
    let setup = Setup::new(1, 1).await?;
    let jwt = Token::new(setup.simulator.now()).sign()?;
    let with = |more: Value| {
        let mut data = json!({"ACCOUNT_NAME": "127", "LOGIN_NAME": USER});
        data.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        data
    };
    for (what, data, code) in [
        ("password", with(json!({"PASSWORD": PASSWORD})), Value::Null),
        ("token for a password", with(json!({"PASSWORD": ACCESS_TOKEN})), Value::Null),
        (
            "access token",
            with(json!({"AUTHENTICATOR": "PROGRAMMATIC_ACCESS_TOKEN", "TOKEN": ACCESS_TOKEN})),
            Value::Null,
        ),
        ("key pair", with(json!({"AUTHENTICATOR": "SNOWFLAKE_JWT", "TOKEN": jwt})), Value::Null),
        ("wrong password", with(json!({"PASSWORD": "guess"})), json!("390100")),
        ("wrong user", json!({"ACCOUNT_NAME": "127", "LOGIN_NAME": "x", "PASSWORD": PASSWORD}), json!("390100")),
        ("wrong account", json!({"ACCOUNT_NAME": "no", "LOGIN_NAME": USER, "PASSWORD": PASSWORD}), json!("390144")),
        ("wrong token", with(json!({"AUTHENTICATOR": "PROGRAMMATIC_ACCESS_TOKEN", "TOKEN": "x"})), json!("394400")),
        ("wrong key", with(json!({"AUTHENTICATOR": "SNOWFLAKE_JWT", "TOKEN": "x"})), json!("394306")),
        ("no OAuth", with(json!({"AUTHENTICATOR": "OAUTH", "TOKEN": "x"})), json!("390303")),
    ] {
        let answer = setup.login_with(data).await?;
        assert_eq!(answer["code"], code, "{what}: {answer}");
        assert_eq!(answer["success"], code.is_null());
        if code.is_null() {
            assert!(answer["data"]["masterToken"].is_string());
            assert_eq!(answer["data"]["sessionInfo"]["roleName"], ROLE);
            assert_eq!(answer["data"]["sessionInfo"]["warehouseName"], WAREHOUSE);
        }
    }
    assert_eq!(setup.simulator.sessions(), 4);
    Ok(())
}

#[tokio::test]
async fn sessions_end_are_renewed_and_closed() -> Result<()> {
    let lifetimes = Lifetimes { session: 60, master: 600, ..Lifetimes::default() };
    let setup = Setup::with(Options { lifetimes, ..Options::new(Shape::one_schema(1, 1).generate(1)) }).await?;
    let (token, master) = setup.login().await?;
    let sql = "SELECT CURRENT_USER()";
    assert_eq!(setup.query(&token, sql).await?["data"]["rowset"], json!([[USER]]));
    assert_eq!(setup.query("None", sql).await?["code"], "390103");
    assert_eq!(setup.query("guess", sql).await?["code"], "390104");
    setup.simulator.advance(Duration::from_secs(60));
    assert_eq!(setup.query(&token, sql).await?["code"], "390112");
    let renew = |with: String, old: String| {
        let setup = &setup;
        async move {
            let body = json!({"oldSessionToken": old, "requestType": "RENEW"});
            setup.session(&with, "/session/token-request?requestId=1", &body).await
        }
    };
    assert_eq!(renew("guess".into(), token.clone()).await?["code"], "390115");
    let renewed = renew(master, token.clone()).await?;
    let (token, master) = (&renewed["data"]["sessionToken"], &renewed["data"]["masterToken"]);
    let (token, master) = (token.as_str().context("token")?.to_owned(), master.as_str().context("token")?.to_owned());
    assert_eq!(setup.query(&token, sql).await?["success"], true);
    assert_eq!(setup.session(&token, "/session/heartbeat?requestId=1", &json!({})).await?["success"], true);
    setup.simulator.advance(Duration::from_secs(600));
    assert_eq!(renew(master, token).await?["code"], "390114");
    let (token, _) = setup.login().await?;
    assert_eq!(setup.session(&token, "/session?delete=true&requestId=1", &json!({})).await?["success"], true);
    assert_eq!(setup.query(&token, sql).await?["code"], "390111");
    let (token, _) = setup.login().await?;
    for (twist, code) in
        [(Twist::ExpireSessions, "390112"), (Twist::ExpireMasters, "390112"), (Twist::ForgetSessions, "390111")]
    {
        setup.simulator.rule(twisted("CURRENT_USER", twist));
        assert_eq!(setup.query(&token, sql).await?["code"], code);
    }
    Ok(())
}

#[tokio::test]
async fn a_request_that_is_sent_again_is_carried_out_once() -> Result<()> {
    let setup = Setup::new(1, 1).await?;
    let (token, _) = setup.login().await?;
    let ask = |more: &'static str| {
        let (setup, token) = (&setup, &token);
        async move {
            let path = format!("/queries/v1/query-request?requestId=5a11{more}");
            setup.session(token, &path, &json!({"sqlText": "SHOW DATABASES"})).await
        }
    };
    let (first, again) = (ask("").await?, ask("&retryCount=1&request_guid=2").await?);
    assert_eq!(first["data"]["queryId"], again["data"]["queryId"]);
    assert_eq!(setup.simulator.executed(), 1);
    Ok(())
}

#[tokio::test]
async fn slow_statements_are_polled_watched_and_aborted() -> Result<()> {
    let setup = Setup::new(1, 1).await?;
    let (token, _) = setup.login().await?;
    setup.simulator.rule(twisted("CURRENT_USER", Twist::Async { polls: 1 }));
    setup.simulator.rule(twisted("requestId=77", Twist::Async { polls: 1 }));
    let running = setup.query(&token, "SELECT CURRENT_USER()").await?;
    assert_eq!((&running["code"], &running["success"]), (&json!("333333"), &json!(true)));
    let path = running["data"]["getResultUrl"].as_str().context("url")?.to_owned();
    let get = |path: String| {
        let header = format!("Snowflake Token=\"{token}\"");
        let request = setup.client.get(setup.url(&path)).header("authorization", header);
        async { http::send(request).await?.json() }
    };
    let id = running["data"]["queryId"].as_str().context("id")?.to_owned();
    assert_eq!(get(format!("/monitoring/queries/{id}")).await?["data"]["queries"][0]["status"], "RUNNING");
    assert_eq!(get(path.clone()).await?["code"], "333333");
    assert_eq!(get(path).await?["data"]["rowset"], json!([[USER]]));
    let body = json!({"sqlText": "SELECT CURRENT_USER()"});
    let running = setup.session(&token, "/queries/v1/query-request?requestId=77", &body).await?;
    let abort = json!({"requestId": "77"});
    assert_eq!(setup.session(&token, "/queries/v1/abort-request?requestId=1", &abort).await?["success"], true);
    let path = running["data"]["getResultUrl"].as_str().context("url")?.to_owned();
    assert_eq!(get(path).await?["code"], "000604");
    let detached = json!({"sqlText": "SELECT CURRENT_USER()", "asyncExec": true});
    let running = setup.session(&token, "/queries/v1/query-request?requestId=78", &detached).await?;
    assert_eq!(running["code"], "333334");
    let nothing = json!({"requestId": "nothing"});
    assert_eq!(setup.session(&token, "/queries/v1/abort-request?requestId=1", &nothing).await?["code"], "000605");
    Ok(())
}

#[tokio::test]
async fn chunks_want_their_headers_and_no_credentials() -> Result<()> {
    let partitions = Partitions { first_rows: 10, rows: 50, ..Partitions::default() };
    let options = Options { partitions, ..Options::new(Shape::one_schema(12, 10).generate(1)) };
    let setup = Setup::with(options).await?;
    let (token, _) = setup.login().await?;
    let answer = setup.query(&token, "SHOW COLUMNS IN SCHEMA DATABASE_00000.SCHEMA_00000").await?;
    let data = &answer["data"];
    let chunks = data["chunks"].as_array().context("chunks")?;
    assert_eq!(
        (data["total"].clone(), data["rowset"].as_array().map(Vec::len), chunks.len()),
        (json!(120), Some(10), 3)
    );
    let fetch = |url: &str, with: bool| {
        let mut request = setup.client.get(url);
        for (name, value) in data["chunkHeaders"].as_object().into_iter().flatten().filter(|_| with) {
            request = request.header(name, value.as_str().unwrap_or_default());
        }
        request
    };
    let mut rows = 10;
    for chunk in chunks {
        let url = chunk["url"].as_str().context("url")?;
        assert!(!url.contains(&setup.simulator.addr().to_string()), "another host in real life, another port here");
        let body = http::send(fetch(url, true)).await?;
        let inside: Vec<Value> = serde_json::from_str(&format!("[{}]", body.text()))?;
        assert_eq!(chunk["rowCount"], inside.len());
        assert_eq!(chunk["uncompressedSize"], body.body.len());
        rows += inside.len();
    }
    assert_eq!(rows, 120);
    let url = chunks[0]["url"].as_str().context("url")?;
    assert_eq!(http::send(fetch(url, false)).await?.status, 400, "without the key");
    assert_eq!(http::send(fetch(&url.replace("signature=", "signature=0"), true)).await?.status, 403);
    assert_eq!(setup.simulator.counters().leaks, 0);
    assert_eq!(http::send(fetch(url, true).bearer_auth("secret")).await?.status, 400, "a credential was sent");
    assert_eq!(setup.simulator.counters().leaks, 1);
    setup.simulator.advance(Duration::from_secs(86_400));
    assert_eq!(http::send(fetch(url, true)).await?.status, 403, "the URL is over");
    Ok(())
}

#[tokio::test]
async fn errors_of_statements_and_of_the_schedule_come_in_the_frame() -> Result<()> {
    let setup = Setup::new(1, 1).await?;
    let (token, _) = setup.login().await?;
    let refused = setup.query(&token, "SHOW SCHEMAS IN DATABASE NOPE").await?;
    assert_eq!((&refused["code"], &refused["data"]["sqlState"]), (&json!("002003"), &json!("02000")));
    setup.simulator.rule(Rule::once("query-request", Fault::error(401, "390112", "expired")));
    let expired = setup.query(&token, "SELECT 1").await?;
    assert_eq!((&expired["code"], &expired["success"]), (&json!("390112"), &json!(false)));
    setup.query(&token, "USE SCHEMA DATABASE_00000.SCHEMA_00000").await?;
    let listed = setup.query(&token, "SHOW TABLES").await?;
    assert_eq!(listed["data"]["total"], 1, "the session has a schema now");
    Ok(())
}
