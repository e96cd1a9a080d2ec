//! After a start: what the host shows is what was acknowledged, and what was in doubt is no longer.

use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use wharfinger_tests::Client;

use super::{
    LAKE, POND, driver,
    ledger::{Deleted, Known, Ledger, Own, chosen},
};

/// Syncs that may wait: more are not asked for.
const ROOM: usize = 16;

/// What a kill met.
pub(super) struct Found {
    pub(super) unfinished_sync: bool,
    pub(super) unanswered_write: bool,
    pub(super) acknowledged: usize,
    /// Nothing waits or runs.
    pub(super) idle: bool,
}

/// The ledger, whatever became of whoever held it.
pub(super) fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Compares, and begins a new life.
pub(super) async fn settle(shared: &Mutex<Ledger>, client: &Client) -> anyhow::Result<Found> {
    let unfinished = driver::unfinished(client).await?;
    let mut ledger = std::mem::take(&mut *lock(shared));
    jobs(&ledger, client).await?;
    deletions(&mut ledger, client).await?;
    objects(&mut ledger, client).await?;
    options(&mut ledger, client).await?;
    pond(&mut ledger, client).await?;
    let found = Found {
        unfinished_sync: unfinished.iter().any(|job| job["startedAt"].is_string()),
        unanswered_write: ledger.cut > 0,
        acknowledged: ledger.acknowledged,
        idle: unfinished.is_empty(),
    };
    let mut bulks = std::mem::take(&mut ledger.bulks);
    ledger.all_bulks.append(&mut bulks);
    ledger.cancelled.clear();
    (ledger.acknowledged, ledger.cut) = (0, 0);
    ledger.room = ROOM.saturating_sub(unfinished.len());
    *lock(shared) = ledger;
    Ok(found)
}

/// Whatever was acknowledged as queued is there, and whatever was stopped has stayed so.
async fn jobs(ledger: &Ledger, client: &Client) -> anyhow::Result<()> {
    for bulk in &ledger.bulks {
        let answer = client.get(&format!("/jobs?bulkId={bulk}")).await?.expect(200)?;
        ensure!(answer.json.as_array().is_some_and(|jobs| !jobs.is_empty()), "the jobs of {bulk} are gone");
    }
    for job in &ledger.cancelled {
        let answer = client.get(&format!("/jobs/{job}")).await?.expect(200)?;
        ensure!(answer.json["state"] == "cancelled", "a cancelled job came back: {}", answer.text);
    }
    Ok(())
}

/// Every job that was ever acknowledged has ended.
pub(super) async fn ended(ledger: &Mutex<Ledger>, client: &Client) -> anyhow::Result<()> {
    let bulks = lock(ledger).all_bulks.clone();
    for bulk in &bulks {
        let answer = client.get(&format!("/jobs?bulkId={bulk}")).await?.expect(200)?;
        let jobs = answer.json.as_array().context("jobs")?;
        let ended = |job: &Value| matches!(job["state"].as_str(), Some("completed" | "failed" | "cancelled"));
        ensure!(!jobs.is_empty() && jobs.iter().all(ended), "jobs of {bulk}: {}", answer.text);
    }
    Ok(())
}

async fn status(client: &Client, id: &str) -> anyhow::Result<u16> {
    Ok(client.get(&format!("/data/object?id={id}")).await?.status.as_u16())
}

/// What was deleted is gone with everything below it; a deletion without an answer has happened wholly or not at all.
async fn deletions(ledger: &mut Ledger, client: &Client) -> anyhow::Result<()> {
    let doubtful = |known: &Known| known.deleted == Deleted::Maybe;
    let ids: Vec<String> =
        ledger.objects.iter().filter(|(_, known)| doubtful(known)).map(|(id, _)| id.clone()).collect();
    for id in ids {
        let is_gone = status(client, &id).await? == 404;
        if let Some(known) = ledger.objects.get_mut(&id) {
            known.deleted = if is_gone { Deleted::Yes } else { Deleted::No };
        }
    }
    let gone: Vec<String> = ledger.objects.keys().filter(|id| ledger.is_gone(id)).cloned().collect();
    for id in &gone {
        ensure!(status(client, id).await? == 404, "{id} was deleted, and is there");
    }
    for id in gone {
        ledger.objects.remove(&id);
        ledger.gone.insert(id);
    }
    Ok(())
}

/// Every object is where it was, with the settings that were acknowledged or are in doubt.
async fn objects(ledger: &mut Ledger, client: &Client) -> anyhow::Result<()> {
    let mut shown = client.descendants(LAKE).await?;
    shown.push(client.get(&format!("/data/object/{LAKE}")).await?.expect(200)?.json);
    let mut shown: std::collections::BTreeMap<String, Value> =
        shown.into_iter().map(|object| (object["id"].as_str().unwrap_or_default().to_owned(), object)).collect();
    for (id, known) in &mut ledger.objects {
        let object = match shown.remove(id) {
            Some(object) => object,
            // A sync that runs may have renamed it to before the cursor of the listing.
            None => {
                let answer = client.get(&format!("/data/object?id={id}")).await?;
                answer.expect(200).with_context(|| format!("{id} was there, and is gone: {known:?}"))?.json
            }
        };
        let own = Own::of(&object["overrides"]);
        ensure!(known.own.contains(&own), "of {id} was acknowledged {:?}, and there is {object}", known.own);
        ensure!(object["parentId"].as_str() == known.parent.as_deref(), "{id} is elsewhere: {known:?}, {object}");
        known.own = vec![own];
    }
    for (id, object) in shown {
        ensure!(!ledger.gone.contains(&id), "what was deleted came back under its id: {object}");
        ledger.objects.insert(id, Known::new(&object));
    }
    Ok(())
}

async fn options(ledger: &mut Ledger, client: &Client) -> anyhow::Result<()> {
    let answer = client.get(&format!("/data/connection/{LAKE}")).await?.expect(200)?;
    let options = chosen(&answer.json["options"]);
    if !ledger.options.is_empty() {
        ensure!(ledger.options.contains(&options), "acknowledged {:?}, and there is {options}", ledger.options);
    }
    ledger.options = vec![options];
    Ok(())
}

/// The second connection is there with its first sync, or it is not, as was acknowledged.
async fn pond(ledger: &mut Ledger, client: &Client) -> anyhow::Result<()> {
    let answer = client.get(&format!("/data/connection/{POND}")).await?;
    let is_there = answer.status == 200;
    ensure!(is_there || answer.status == 404, "{POND}: {}", answer.text);
    if !ledger.pond.is_empty() {
        ensure!(ledger.pond.contains(&is_there), "{POND} is there: {is_there}, acknowledged: {:?}", ledger.pond);
    }
    ledger.pond = vec![is_there];
    let found = client.post("/data/object/search", &json!({})).await?.expect(200)?;
    let connections = found.json["hits"].as_array().context("hits")?;
    ensure!(connections.len() == 1 + usize::from(is_there), "connections: {}", found.text);
    if let Some(bulk) = ledger.pond_bulk.take().filter(|_| is_there) {
        let jobs = client.get(&format!("/jobs?bulkId={bulk}")).await?.expect(200)?;
        ensure!(jobs.json.as_array().is_some_and(|jobs| !jobs.is_empty()), "the first sync of {POND} is gone");
    }
    Ok(())
}
