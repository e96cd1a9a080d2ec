//! The syncs that run all the while, and which of them may have met a bad version.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use anyhow::ensure;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wharfinger_simulators::{random::Random, unity_catalog::UnityCatalog};
use wharfinger_tests::Client;

use crate::kill::platform::mutate;

type Span = (Instant, Instant);

/// What ran when.
#[derive(Clone, Default)]
pub(super) struct Syncs(Arc<Mutex<Notes>>);

#[derive(Default)]
struct Notes {
    /// Each sync that ended: when, and what was wrong with it.
    ended: Vec<(Span, Option<String>)>,
    /// When a bad version may have served.
    trouble: Vec<Span>,
}

/// As long as it lives, a bad version may serve.
pub(super) struct Trouble {
    since: Instant,
    syncs: Syncs,
}

impl Drop for Trouble {
    fn drop(&mut self) {
        self.syncs.notes().trouble.push((self.since, Instant::now()));
    }
}

impl Syncs {
    /// A bad version may serve from now on, until what is returned is dropped.
    pub(super) fn trouble(&self) -> Trouble {
        Trouble { since: Instant::now(), syncs: self.clone() }
    }

    /// Syncs a connection again and again, while its platform changes.
    pub(super) async fn run(
        self,
        client: Client,
        key: String,
        platform: Arc<UnityCatalog>,
        mut random: Random,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut round = 0;
        while !stop.is_cancelled() {
            mutate(&platform, &mut random, round)?;
            round += 1;
            let began = Instant::now();
            let queued =
                client.post(&format!("/data/crawl/{key}"), &json!({ "forceRecursive": true })).await?.expect(202)?;
            let bulk = queued.json["bulkId"].as_str().unwrap_or_default().to_owned();
            let jobs = client.finished(&bulk).await?;
            let wrong = jobs.iter().find_map(wrong);
            self.notes().ended.push(((began, Instant::now()), wrong));
        }
        Ok(())
    }

    /// No sync failed, or lacked anything, that had to do with good versions only.
    pub(super) fn judge(&self) -> anyhow::Result<String> {
        let notes = self.notes();
        let met = |span: &Span| notes.trouble.iter().any(|(from, to)| span.0 <= *to && *from <= span.1);
        let (troubled, calm): (Vec<_>, Vec<_>) = notes.ended.iter().partition(|(span, _)| met(span));
        let count = |syncs: &[&(Span, Option<String>)]| syncs.iter().filter(|(_, wrong)| wrong.is_some()).count();
        let report = format!(
            "{} syncs with good versions only, {} of them failed; {} met a bad one, {} of them failed",
            calm.len(),
            count(&calm),
            troubled.len(),
            count(&troubled)
        );
        let failed = calm.iter().find_map(|(_, wrong)| wrong.as_ref());
        ensure!(failed.is_none(), "{report}: {}", failed.map_or("", String::as_str));
        ensure!(calm.len() > 8, "hardly anything was synced");
        Ok(report)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wrong(job: &Value) -> Option<String> {
    let fine = job["state"] == "completed" && job["output"]["errorCount"].as_u64().unwrap_or(0) == 0;
    (!fine).then(|| job.to_string())
}
