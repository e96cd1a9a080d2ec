//! The status of the whole connection, back and forth.
//!
//! Enabling queues a sync. It is stopped again before the next change where nothing is to run.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use wharfinger_tests::Client;

use super::{KEY, cancel, crawl, is_running, probe::Latencies};

/// Changes while nothing runs.
pub(super) async fn idle(client: &Client, samples: usize, at_most: Duration) -> Result<Vec<Latencies>> {
    let began = Instant::now();
    let (mut off, mut on) = (Vec::new(), Vec::new());
    for _ in 0..samples {
        if began.elapsed() > at_most {
            break;
        }
        off.push(set(client, false).await?.0);
        let (took, bulk) = set(client, true).await?;
        on.push(took);
        cancel(client, &bulk).await?;
    }
    Ok(vec![Latencies::of("disable all", off), Latencies::of("enable all", on)])
}

/// Changes while a sync runs; where it ends before there are enough, another one begins.
pub(super) async fn busy(client: &Client, bulk: &str, samples: usize, at_most: Duration) -> Result<Vec<Latencies>> {
    let began = Instant::now();
    let (mut off, mut on) = (Vec::new(), Vec::new());
    let mut running = bulk.to_owned();
    for _ in 0..samples {
        if began.elapsed() > at_most {
            break;
        }
        if !is_running(client, &running).await? {
            running = crawl(client).await?;
        }
        off.push(set(client, false).await?.0);
        let (took, queued) = set(client, true).await?;
        on.push(took);
        if queued != running {
            cancel(client, &queued).await?;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    cancel(client, &running).await?;
    Ok(vec![Latencies::of("disable all", off), Latencies::of("enable all", on)])
}

/// Sets the status; gives how long that took, and what it is waited for by.
async fn set(client: &Client, active: bool) -> Result<(Duration, String)> {
    let begun = Instant::now();
    let body = json!({ "settings": { "isActive": active } });
    let answer = client.put(&format!("/data/settings/{KEY}"), &body).await?.expect(200)?;
    let took = begun.elapsed();
    Ok((took, answer.json["bulkId"].as_str().context("bulkId")?.to_owned()))
}
