//! The token endpoints: client authentication in header or body, scopes, refresh tokens that are good once.

use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wharfinger_simulators::snowflake::{CLIENT_ID, CLIENT_SECRET, ClientAuth, Method, Options, ROLE, Shape};

use super::setup::Setup;
use crate::http::{self, Answer};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Header,
    RawHeader,
    Body,
}

async fn ask(setup: &Setup, url: &str, shown: Shown, secret: &str, form: &[(&str, &str)]) -> Result<Answer> {
    let encode = |text: &str| -> String {
        reqwest::Url::parse_with_params("http://x/", [("v", text)])
            .map_or_else(|_| String::new(), |url| url.query().unwrap_or_default()[2..].to_owned())
    };
    let mut form = form.to_vec();
    let request = setup.client.post(url);
    let request = match shown {
        Shown::Body => {
            form.extend([("client_id", CLIENT_ID), ("client_secret", secret)]);
            request
        }
        Shown::Header => {
            let pair = STANDARD.encode(format!("{}:{}", encode(CLIENT_ID), encode(secret)));
            request.header("authorization", format!("Basic {pair}"))
        }
        Shown::RawHeader => request.basic_auth(CLIENT_ID, Some(secret)),
    };
    http::send(request.form(&form)).await
}

async fn setup(client_auth: ClientAuth) -> Result<(Setup, String, String)> {
    let options = Options { client_auth, ..Options::new(Shape::one_schema(1, 1).generate(1)) };
    let setup = Setup::with(options).await?;
    let identity = format!("http://{}/oauth/token", setup.simulator.identity_addr());
    let account = setup.url("/oauth/token-request");
    Ok((setup, identity, account))
}

const CREDENTIALS: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("scope", "session:role:INVENTORY")];

async fn outcome(setup: &Setup, token: &Value, role: Option<&str>) -> Result<(u16, Value)> {
    let request = setup.client.post(setup.url("/api/v2/statements"));
    let request = setup.with_token(request, "OAUTH", token.as_str().context("a token")?);
    let answer = http::send(request.json(&json!({"statement": "SELECT CURRENT_ROLE()", "role": role}))).await?;
    Ok((answer.status, answer.json()?["code"].clone()))
}

#[tokio::test]
async fn clients_show_their_secret_where_it_is_taken() -> Result<()> {
    for (accepts, header, body) in
        [(ClientAuth::Either, 200, 200), (ClientAuth::Header, 200, 401), (ClientAuth::Body, 401, 200)]
    {
        let (setup, identity, _) = setup(accepts).await?;
        for (shown, status) in [(Shown::Header, header), (Shown::Body, body), (Shown::RawHeader, 401)] {
            let answer = ask(&setup, &identity, shown, CLIENT_SECRET, &CREDENTIALS).await?;
            assert_eq!(answer.status, status, "{accepts:?} {}", answer.text());
            let wrong = ask(&setup, &identity, shown, "guess", &CREDENTIALS).await?;
            assert_eq!((wrong.status, wrong.json()?["error"].clone()), (401, json!("invalid_client")));
        }
    }
    Ok(())
}

#[tokio::test]
async fn tokens_are_good_for_their_role_and_for_a_while() -> Result<()> {
    let (setup, identity, _) = setup(ClientAuth::Either).await?;
    let grant = ask(&setup, &identity, Shown::Header, CLIENT_SECRET, &CREDENTIALS).await?.json()?;
    assert_eq!((&grant["token_type"], &grant["expires_in"]), (&json!("Bearer"), &json!(600)));
    let token = &grant["access_token"];
    assert_eq!(outcome(&setup, token, Some(ROLE)).await?.0, 200);
    assert_eq!(outcome(&setup, token, Some("PUBLIC")).await?, (422, json!("390317")), "outside the token's scope");
    setup.simulator.advance(Duration::from_secs(600));
    assert_eq!(outcome(&setup, token, None).await?, (401, json!("390318")));
    for scope in ["profile", "session:role:ACCOUNTADMIN"] {
        let form = [("grant_type", "client_credentials"), ("scope", scope)];
        let grant = ask(&setup, &identity, Shown::Body, CLIENT_SECRET, &form).await?.json()?;
        assert_eq!(outcome(&setup, &grant["access_token"], None).await?, (401, json!("390303")), "{scope}");
    }
    for scope in ["session:role-any", "api://5a11/.default"] {
        let form = [("grant_type", "client_credentials"), ("scope", scope)];
        let grant = ask(&setup, &identity, Shown::Body, CLIENT_SECRET, &form).await?.json()?;
        assert_eq!(outcome(&setup, &grant["access_token"], Some(ROLE)).await?.0, 200, "{scope}");
    }
    Ok(())
}

#[tokio::test]
async fn refresh_tokens_are_good_once() -> Result<()> {
    let (setup, identity, account) = setup(ClientAuth::Either).await?;
    for url in [&identity, &account] {
        let first = setup.simulator.refresh_token();
        let refresh = |token: String| {
            let setup = &setup;
            async move {
                let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
                ask(setup, url, Shown::Header, CLIENT_SECRET, &form).await
            }
        };
        let grant = refresh(first.clone()).await?.json()?;
        assert_eq!(outcome(&setup, &grant["access_token"], Some(ROLE)).await?.0, 200);
        let again = refresh(first).await?;
        assert_eq!((again.status, again.json()?["error"].clone()), (400, json!("invalid_grant")));
        let second = grant["refresh_token"].as_str().context("a next one")?.to_owned();
        assert_eq!(refresh(second).await?.status, 200);
        assert_eq!(refresh("made up".into()).await?.status, 400);
    }
    let refused = ask(&setup, &account, Shown::Body, "guess", &CREDENTIALS).await?;
    assert_eq!((refused.status, refused.json()?["error"].clone()), (400, json!("invalid_client")));
    let unknown = ask(&setup, &account, Shown::Body, CLIENT_SECRET, &CREDENTIALS).await?;
    assert_eq!(unknown.json()?["error"], "unsupported_grant_type", "the account itself knows no client credentials");
    let kept = Options { rotate_refresh_tokens: false, ..Options::new(Shape::one_schema(1, 1).generate(1)) };
    let setup = Setup::with(kept).await?;
    let token = setup.simulator.refresh_token();
    let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    for _ in 0..2 {
        let grant = ask(&setup, &setup.url("/oauth/token-request"), Shown::Body, CLIENT_SECRET, &form).await?.json()?;
        assert_eq!(grant.get("refresh_token"), None, "the old one stays");
    }
    Ok(())
}

#[tokio::test]
async fn payloads_name_every_way_in() -> Result<()> {
    let (setup, ..) = setup(ClientAuth::Body).await?;
    let mut kinds = vec![];
    for method in Method::ALL {
        let payload = setup.simulator.payload_for("Key", method);
        let connection = &payload["connection"];
        assert_eq!((&connection["hostname"], &connection["role"]), (&json!("http://127.0.0.1"), &json!(ROLE)));
        kinds.push(connection["authenticationType"].as_str().unwrap_or_default().to_owned());
        if let Some(config) = connection.get("oAuthClientConfig") {
            assert_eq!(config["clientAuth"], "body");
        }
    }
    let all = ["userPassword", "keyPair", "oAuthClientCredentials", "oAuthRefreshToken", "programmaticAccessToken"];
    assert_eq!(kinds, all);
    Ok(())
}
