//! Who writes while the process lives, until it does not.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use wharfinger_simulators::random::Random;
use wharfinger_tests::{Answer, Client};

use super::{
    LAKE, POND,
    ledger::{Ledger, Outcome, Write},
    settle::lock,
};

/// States of jobs that have not ended.
const UNFINISHED: [&str; 3] = ["created", "active", "retry"];

/// Sends random writes until the host no longer answers.
pub(super) async fn drive(client: Client, ledger: Arc<Mutex<Ledger>>, mut random: Random) -> anyhow::Result<()> {
    loop {
        tokio::time::sleep(Duration::from_millis(random.below(40) as u64)).await;
        if random.one_in(12) {
            if !cancel(&client, &ledger, &mut random).await? {
                return Ok(());
            }
            continue;
        }
        let Some(write) = lock(&ledger).choose(&mut random) else { continue };
        if !send(&client, &ledger, write, None).await? {
            return Ok(());
        }
    }
}

/// Registers and deregisters the second connection until the host no longer answers.
pub(super) async fn come_and_go(
    client: Client,
    ledger: Arc<Mutex<Ledger>>,
    mut random: Random,
    payload: Value,
) -> anyhow::Result<()> {
    loop {
        tokio::time::sleep(Duration::from_millis(random.below(400) as u64)).await;
        let write = lock(&ledger).choose_coming_or_going();
        if !send(&client, &ledger, write, Some(&payload)).await? {
            return Ok(());
        }
    }
}

/// Sends a write and notes what became of it. Whether the host still answers.
async fn send(client: &Client, ledger: &Mutex<Ledger>, write: Write, payload: Option<&Value>) -> anyhow::Result<bool> {
    let answer = match &write {
        Write::Settings { id, settings } => {
            client.put(&format!("/data/settings?id={id}"), &json!({ "settings": settings })).await
        }
        Write::Delete { id } => client.delete(&format!("/data/object?id={id}")).await,
        Write::Crawl { id, force } => {
            client.post(&format!("/data/crawl?id={id}"), &json!({ "forceRecursive": force })).await
        }
        Write::Options(options) => {
            client.put(&format!("/data/connection/{LAKE}"), &json!({ "options": options })).await
        }
        Write::Register => client.post("/data/connection", payload.unwrap_or(&Value::Null)).await,
        Write::Deregister => client.delete(&format!("/data/object/{POND}")).await,
    };
    let outcome = outcome(answer);
    let lives = matches!(outcome, Outcome::Done(_) | Outcome::Refused(_));
    lock(ledger).note(write, &outcome)?;
    Ok(lives)
}

fn outcome(answer: anyhow::Result<Answer>) -> Outcome {
    match answer {
        Ok(answer) if answer.status.is_success() => Outcome::Done(answer.json),
        Ok(answer) => Outcome::Refused(answer.status.as_u16()),
        Err(error) if error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect) => Outcome::Unsent,
        Err(_) => Outcome::Cut,
    }
}

/// Stops a job that runs, if there is one. Whether the host still answers.
async fn cancel(client: &Client, ledger: &Mutex<Ledger>, random: &mut Random) -> anyhow::Result<bool> {
    let Ok(found) = client.get("/jobs/search?jobType=objectSync&state=active&size=20").await else { return Ok(false) };
    let jobs: Vec<&Value> = found.json["jobs"].as_array().into_iter().flatten().collect();
    let Some(id) = jobs.get(random.below(jobs.len())).and_then(|job| job["id"].as_str()) else { return Ok(true) };
    let outcome = outcome(client.post(&format!("/jobs/{id}/cancel"), &json!({})).await);
    let mut ledger = lock(ledger);
    match outcome {
        Outcome::Done(_) => {
            ledger.acknowledged += 1;
            ledger.cancelled.push(id.to_owned());
        }
        Outcome::Refused(409) | Outcome::Unsent => {}
        Outcome::Refused(status) => anyhow::bail!("job {id} was not cancelled: {status}"),
        Outcome::Cut => ledger.cut += 1,
    }
    Ok(matches!(outcome, Outcome::Done(_) | Outcome::Refused(_)))
}

/// Syncs that have not ended.
pub(super) async fn unfinished(client: &Client) -> anyhow::Result<Vec<Value>> {
    let mut found = Vec::new();
    for state in UNFINISHED {
        let answer =
            client.get(&format!("/jobs/search?jobType=objectSync&state={state}&size=500")).await?.expect(200)?;
        found.extend(answer.json["jobs"].as_array().into_iter().flatten().cloned());
    }
    Ok(found)
}

/// Waits until no sync waits or runs.
pub(super) async fn until_idle(client: &Client) -> anyhow::Result<()> {
    for _ in 0..3000 {
        if unfinished(client).await?.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("some syncs do not end: {:?}", unfinished(client).await?)
}
