//! Every credential of the SQL API, right and wrong: each refusal has its own code.

use std::time::Duration;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use serde_json::json;
use wharfinger_simulators::snowflake::{ACCESS_TOKEN, AccessToken, Fault, ROLE, Rule, USER, keys};

use super::setup::{Setup, Token};
use crate::http;

/// Status and code of a statement with a token.
async fn outcome(setup: &Setup, kind: &str, token: &str) -> Result<(u16, String)> {
    let request = setup.client.post(setup.url("/api/v2/statements"));
    let body = json!({"statement": "SELECT CURRENT_USER()"});
    let answer = http::send(setup.with_token(request, kind, token).json(&body)).await?;
    Ok((answer.status, answer.json()?["code"].as_str().unwrap_or_default().to_owned()))
}

#[tokio::test]
async fn key_pair_tokens_are_checked_for_real() -> Result<()> {
    let setup = Setup::new(1, 1).await?;
    let now = setup.simulator.now();
    let good = || Token::new(now);
    let second = STANDARD.encode(digest(&SHA256, &keys::second_public_key()));
    let cases = [
        ("good", good(), 200, "090001"),
        ("by locator", Token { account: "HB00001", ..good() }, 200, "090001"),
        ("by organization", Token { account: "HARBOUR-SIMULATED", ..good() }, 200, "090001"),
        ("says two hours", Token { expires: now + 7_200, ..good() }, 200, "090001"),
        ("wrong signature", Token { key: keys::second_private_key(), ..good() }, 401, "390144"),
        (
            "unknown key",
            Token { key: keys::second_private_key(), fingerprint: second.clone(), ..good() },
            401,
            "394304",
        ),
        ("wrong fingerprint", Token { fingerprint: "AAAA".into(), ..good() }, 401, "394304"),
        ("other account", Token { account: "ELSEWHERE", ..good() }, 401, "390144"),
        ("other user", Token { user: "NOBODY", ..good() }, 401, "390144"),
        ("user in lower case", Token { user: "wharfinger", ..good() }, 401, "390144"),
        ("subject differs", Token { subject: Some("127.ADMIN"), ..good() }, 401, "390144"),
        ("expired", Token { issued: now - 900, expires: now - 1, ..good() }, 401, "394301"),
        ("older than an hour", Token { issued: now - 3_601, expires: now + 60, ..good() }, 401, "394301"),
        ("from the future", Token { issued: now + 300, expires: now + 600, ..good() }, 401, "394302"),
        ("ends before it begins", Token { expires: now - 31, ..good() }, 401, "394303"),
        ("other algorithm", Token { algorithm: "HS256", ..good() }, 401, "394305"),
    ];
    for (what, token, status, code) in cases {
        assert_eq!(outcome(&setup, "KEYPAIR_JWT", &token.sign()?).await?, (status, code.to_owned()), "{what}");
    }
    assert_eq!(outcome(&setup, "KEYPAIR_JWT", "no.token").await?.1, "394306");
    let rotated = Token { key: keys::second_private_key(), fingerprint: second, ..good() }.sign()?;
    setup.simulator.with_model(|account| {
        account.users.get_mut(USER).expect("it is there").public_keys[1] = Some(keys::second_public_key());
    });
    assert_eq!(outcome(&setup, "KEYPAIR_JWT", &rotated).await?.0, 200, "a second key is as good");
    let token = Token { expires: now + 7_200, ..good() }.sign()?;
    setup.simulator.advance(Duration::from_secs(3_600));
    assert_eq!(outcome(&setup, "KEYPAIR_JWT", &token).await?.1, "394301", "an hour is the most");
    Ok(())
}

#[tokio::test]
async fn a_key_pair_token_that_is_over_can_be_signed_anew_at_once() -> Result<()> {
    let setup = Setup::new(1, 1).await?;
    let first = Token::new(setup.simulator.now()).sign()?;
    assert_eq!(outcome(&setup, "KEYPAIR_JWT", &first).await?.0, 200);
    setup.simulator.rule(Rule::once("statements", Fault::ExpireTokens));
    assert_eq!(outcome(&setup, "KEYPAIR_JWT", &first).await?.1, "394301");
    let second = Token::new(setup.simulator.now()).sign()?;
    assert_ne!(first, second, "the refusal came in another second");
    assert_eq!(outcome(&setup, "KEYPAIR_JWT", &second).await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn access_tokens_end_and_are_bound_to_a_role() -> Result<()> {
    let setup = Setup::new(1, 1).await?;
    let pat = "PROGRAMMATIC_ACCESS_TOKEN";
    assert_eq!(outcome(&setup, pat, ACCESS_TOKEN).await?.0, 200);
    assert_eq!(outcome(&setup, pat, "guess").await?, (401, "394400".to_owned()));
    let now = setup.simulator.now();
    setup.simulator.with_model(|account| {
        account.grant_to("OTHER", []);
        let user = account.users.get_mut(USER).expect("it is there");
        user.roles.insert("OTHER".into());
        user.tokens.insert("bound".into(), AccessToken { until: now + 60, role: Some("OTHER".into()) });
    });
    assert_eq!(outcome(&setup, pat, "bound").await?.0, 200);
    let request = setup.with_token(setup.client.post(setup.url("/api/v2/statements")), pat, "bound");
    let answer = http::send(request.json(&json!({"statement": "SELECT 1", "role": ROLE}))).await?;
    assert_eq!((answer.status, answer.json()?["code"].clone()), (422, json!("390189")));
    setup.simulator.advance(Duration::from_secs(61));
    assert_eq!(outcome(&setup, pat, "bound").await?, (401, "394400".to_owned()));
    Ok(())
}

#[tokio::test]
async fn the_kind_of_a_token_may_be_left_out() -> Result<()> {
    let setup = Setup::new(1, 1).await?;
    for token in [ACCESS_TOKEN.to_owned(), Token::new(setup.simulator.now()).sign()?] {
        let request = setup.client.post(setup.url("/api/v2/statements")).bearer_auth(token);
        let answer =
            http::send(request.header("user-agent", "t/1").json(&json!({"statement": "SELECT CURRENT_USER()"})))
                .await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let nothing =
        http::send(setup.client.post(setup.url("/api/v2/statements")).header("user-agent", "t/1").json(&json!({})))
            .await?;
    assert_eq!(nothing.status, 401);
    Ok(())
}
