//! What was issued ends in the middle of a sync: it is renewed where it can be, and nothing is lost where it cannot.

use serde_json::json;
use wharfinger_simulators::snowflake::{AccessToken, Fault, KeyForm, Method, Rule, Twist, USER};

use super::{KEY, URL, account, assert_equal, host, shape};

#[tokio::test(flavor = "multi_thread")]
async fn grants_that_end_in_mid_sync_are_replaced() -> anyhow::Result<()> {
    let twisted = |twist: Twist| Fault::Twisted { twist };
    for (method, end) in [
        (Method::UserPassword, twisted(Twist::ExpireSessions)),
        (Method::UserPassword, twisted(Twist::ExpireMasters)),
        (Method::UserPassword, twisted(Twist::ForgetSessions)),
        (Method::KeyPair(KeyForm::Pkcs8), Fault::ExpireTokens),
        (Method::OAuthClientCredentials, twisted(Twist::ExpireOAuth)),
        (Method::OAuthRefreshToken, twisted(Twist::ExpireOAuth)),
    ] {
        let platform = account(shape(2, 4, 20, 4)).await?;
        let host = host(&platform).await?;
        // The third SHOW TABLES is in the middle: eight schemas have one each.
        platform.rule(Rule::once("SHOW TABLES", end.clone()).from(3));
        let job = host.client().register(&platform.payload_for(KEY, method)).await?;
        assert_eq!(platform.fault_hits(), 1, "{method:?} {end:?}");
        assert_eq!(job["output"]["errors"], json!([]), "{method:?} {end:?}: {job}");
        assert_equal(&host, &platform).await?;
        host.stop().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_that_ends_in_mid_sync_stops_it_and_nothing_is_missing() -> anyhow::Result<()> {
    let platform = account(shape(2, 4, 20, 4)).await?;
    let host = host(&platform).await?;
    let payload = platform.payload_for(KEY, Method::ProgrammaticAccessToken);
    host.client().register(&payload).await?;
    platform.rule(Rule::once("SHOW TABLES", Fault::Twisted { twist: Twist::ExpireAccessTokens }).from(3));
    let answer = host.client().post(&format!("/data/crawl/{URL}"), &json!({})).await?.expect(202)?;
    let jobs = host.client().finished(answer.json["bulkId"].as_str().expect("bulkId")).await?;
    assert_eq!(jobs[0]["state"], "failed", "{jobs:?}");
    assert_eq!(jobs[0]["output"]["error"]["code"], "unauthenticated", "{jobs:?}");
    assert_equal(&host, &platform).await?;

    // Another token, and it goes on.
    let fresh = "sim-pat-another-one-0f5a11ed0f5a11ed0f5a";
    platform.with_model(|account| {
        let user = account.users.get_mut(USER).expect("user");
        user.tokens.insert(fresh.to_owned(), AccessToken { until: i64::MAX, role: None });
    });
    let mut connection = payload["connection"].clone();
    connection["token"] = fresh.into();
    let change = json!({ "connection": connection });
    host.client().put(&format!("/data/connection/{URL}"), &change).await?.expect(200)?;
    host.client().sync(URL).await?;
    assert_equal(&host, &platform).await?;
    host.stop().await;
    Ok(())
}
