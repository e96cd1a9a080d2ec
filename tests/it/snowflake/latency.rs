//! Requests of one connection run side by side, as many as it may have in flight.

use std::time::Duration;

use wharfinger_simulators::snowflake::{KeyForm, Method};

use super::{KEY, account, assert_equal, host, shape};

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_schemas_at_thirty_milliseconds() -> anyhow::Result<()> {
    let platform = account(shape(1, 200, 5, 4)).await?;
    platform.set_latency(Duration::from_millis(30));
    let host = host(&platform).await?;
    let job = host.client().register(&platform.payload_for(KEY, Method::KeyPair(KeyForm::Pkcs8))).await?;
    platform.set_latency(Duration::ZERO);
    assert_equal(&host, &platform).await?;
    let requests = job["output"]["requests"].as_u64().expect("requests");
    let seconds = job["output"]["durationMs"].as_f64().expect("durationMs") / 1000.0;
    let bound = requests as f64 * 0.030 / 8.0;
    // A figure for people: machines are noisy. What must hold everywhere is that requests run side by side.
    println!("{requests} requests in {seconds:.2} s: {:.2} × (requests × latency ÷ 8)", seconds / bound);
    let at_once = platform.counters().at_once;
    assert!((4..=8).contains(&at_once), "{at_once} requests at one time");
    host.stop().await;
    Ok(())
}
