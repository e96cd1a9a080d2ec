//! `GET /jobs/events`: jobs as they change, as server-sent events.
//!
//! Each event is a job as it stands. What is sent is computed from the store, by what the caller may see at that moment,
//! so a stream can be resumed at any host and after a restart: `Last-Event-ID` says from when, and every job that runs or
//! has ended since is told again. Where that is more than can be told, an event `reset` says so: read `/jobs` then.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use axum::{
    extract::State,
    http::HeaderMap,
    response::{Response, sse::Event},
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::{id, no_such_job, wire::JobJson};
use crate::{
    api::{
        ApiState,
        caller::Caller,
        error::ApiError,
        input::Query,
        streams::{self, Next, Source},
    },
    db::{
        DbError,
        news::{MOST, News},
    },
    model::{
        id::{BulkId, JobId},
        sight::Sight,
    },
};

/// Parameters of the stream, for the document.
pub(in crate::api) const EVENT_PARAMETERS: [(&str, &str); 2] = [
    ("jobId", "Only this job; the stream ends with it"),
    ("bulkId", "Only the jobs that were asked for together; the stream ends with the last of them"),
];

/// How often progress is looked for while jobs run: what it consists of rings no bell.
const WHILE_BUSY: Duration = Duration::from_millis(500);

/// How often otherwise; whatever changes rings.
const WHILE_IDLE: Duration = Duration::from_secs(5);

/// What ended so long before the last event is told again on resuming: an end is stored a little after its time.
const OVERLAP: SignedDuration = SignedDuration::from_secs(10);

/// Longest gap that a resumed stream makes up for.
const LONGEST_GAP: SignedDuration = SignedDuration::from_hours(1);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct EventQuery {
    job_id: Option<String>,
    bulk_id: Option<String>,
}

/// Which jobs are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    All,
    Bulk(BulkId),
    Job(JobId),
}

/// Follows jobs until the client goes, the host goes down, or the jobs that were named have ended.
pub(in crate::api) async fn events(
    State(state): State<ApiState>,
    caller: Caller,
    headers: HeaderMap,
    Query(query): Query<EventQuery>,
) -> Result<Response, ApiError> {
    let scope = match (query.job_id, query.bulk_id) {
        (None, None) => Scope::All,
        (Some(job), None) => Scope::Job(id(&job, "jobId")?),
        (None, Some(bulk)) => Scope::Bulk(id(&bulk, "bulkId")?),
        (Some(_), Some(_)) => return Err(ApiError::bad_request("invalid-query", "give jobId or bulkId, not both")),
    };
    let place = streams::place(&state)?;
    let mut first = vec![streams::beginning("jobs")];
    let follow = Follow::new(&state, caller.sight().clone(), scope, &headers, &mut first);
    if scope != Scope::All && follow.news().await?.jobs.is_empty() {
        return Err(no_such_job());
    }
    Ok(streams::follow(state, headers, place, follow, first))
}

/// The jobs that one client follows.
struct Follow {
    state: ApiState,
    sight: Sight,
    scope: Scope,
    /// What ended before is told.
    since: Timestamp,
    /// What was told last of each job of the last look.
    told: HashMap<JobId, u64>,
    /// Whether nothing was told yet, and nothing is to be made up for: what has ended by then is no news.
    fresh: bool,
    /// Whether the client was told that it cannot know all.
    was_reset: bool,
}

impl Source for Follow {
    fn admits(&mut self, caller: &Caller) -> bool {
        self.sight = caller.sight().clone();
        true
    }

    async fn look(&mut self, queue: &mut VecDeque<Event>) -> Result<Next, DbError> {
        let now = self.state.clock.now();
        let news = self.news().await?;
        if !news.complete && !self.was_reset {
            self.was_reset = true;
            queue.push_back(streams::reset(&format!("more than {MOST} jobs run or have ended; some are not told of")));
        }
        let jobs: Vec<JobJson> = news.jobs.into_iter().map(JobJson::from).collect();
        let busy = jobs.iter().any(|job| !job.state().is_final());
        let present: HashSet<JobId> = jobs.iter().map(JobJson::id).collect();
        let mut events = Vec::new();
        for job in &jobs {
            let Ok(text) = serde_json::to_string(job) else { continue };
            let digest = digest(&text);
            let is_new = self.told.insert(job.id(), digest) != Some(digest);
            if is_new && !(self.fresh && job.state().is_final()) {
                events.push(Event::default().event("job").data(text));
            }
        }
        self.told.retain(|id, _| present.contains(id));
        self.fresh = false;
        let last = events.len().saturating_sub(1);
        for (n, event) in events.into_iter().enumerate() {
            // Only who has got all of them may go on from here.
            let id = if n == last { now } else { self.since };
            queue.push_back(event.id(id.as_microsecond().to_string()));
        }
        self.since = now;
        let is_over = self.scope != Scope::All && !busy;
        Ok(if is_over { Next::End } else { Next::Within(if busy { WHILE_BUSY } else { WHILE_IDLE }) })
    }
}

impl Follow {
    fn new(state: &ApiState, sight: Sight, scope: Scope, headers: &HeaderMap, first: &mut Vec<Event>) -> Self {
        let now = state.clock.now();
        let mut follow = Self {
            state: state.clone(),
            sight,
            scope,
            since: now,
            told: HashMap::new(),
            fresh: scope == Scope::All,
            was_reset: false,
        };
        if let Some(last) = headers.get("last-event-id") {
            match last.to_str().ok().and_then(|text| resumed(text, now)) {
                Some(since) => (follow.since, follow.fresh) = (since, false),
                None => {
                    follow.was_reset = true;
                    first.push(streams::reset("the last event is too long ago, or none of this stream"));
                }
            }
        }
        follow
    }

    async fn news(&self) -> Result<News, DbError> {
        let db = &self.state.db;
        let jobs = match self.scope {
            Scope::All => {
                let since = self.since.checked_sub(OVERLAP).unwrap_or(self.since);
                return db.job_news(&self.sight, since).await;
            }
            Scope::Bulk(bulk) => db.brief_jobs(&self.sight, db.jobs_of_bulk(&self.sight, bulk).await?).await?,
            Scope::Job(job) => db.brief_jobs(&self.sight, vec![job]).await?,
        };
        Ok(News { jobs, complete: true })
    }
}

/// The time that a last event names, if what happened since can still be told.
fn resumed(text: &str, now: Timestamp) -> Option<Timestamp> {
    let since = Timestamp::from_microsecond(text.trim().parse().ok()?).ok()?;
    (since <= now && now.duration_since(since) <= LONGEST_GAP).then_some(since)
}

fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_resumed_from_an_event_of_lately() {
        let now = Timestamp::from_second(1_800_000_000).expect("time");
        let ago = |seconds: i64| (now - SignedDuration::from_secs(seconds)).as_microsecond().to_string();
        assert_eq!(resumed(&ago(0), now), Some(now));
        assert_eq!(resumed(&ago(3600), now), Some(now - SignedDuration::from_secs(3600)));
        for bad in [ago(3601), ago(-1), String::new(), "x".into(), "99999999999999999999".into()] {
            assert_eq!(resumed(&bad, now), None, "{bad}");
        }
    }
}
