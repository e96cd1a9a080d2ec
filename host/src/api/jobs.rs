//! Jobs: what was queued, how far it is, and stopping it.

mod events;
mod summary;
mod wire;

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) use events::{EVENT_PARAMETERS, events};
pub use summary::SummaryJson;
pub(super) use summary::summary;
pub use wire::JobJson;

use super::{
    ApiState,
    caller::Caller,
    error::ApiError,
    input::{Body, Query},
};
use crate::{
    db::jobs::{Cancelled, JobFilter, JobKind},
    model::{
        id::{BulkId, JobId},
        job::{Job, JobState},
    },
};

/// Most jobs of one answer.
const MAX_SIZE: usize = 500;

/// Longest wait for jobs to end, in seconds.
const MAX_WAIT: f64 = 60.0;

/// Parameters of a search, for the document.
pub(super) const SEARCH_PARAMETERS: [(&str, &str); 7] = [
    ("jobType", "`objectSync`, `settingsChange` or `objectSyncGroup`"),
    ("state", "`created`, `active`, `retry`, `completed`, `failed`, `cancelled` or `expired`"),
    ("startDate", "Asked for at or after this time"),
    ("endDate", "Asked for before this time"),
    ("offset", "Jobs to leave out at the beginning"),
    ("size", "Jobs to give, 1 to 500; 50 where it is left out"),
    ("next", "The `next` of the jobs before"),
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListQuery {
    bulk_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SearchQuery {
    job_type: Option<String>,
    state: Option<JobState>,
    start_date: Option<String>,
    end_date: Option<String>,
    offset: Option<usize>,
    size: Option<usize>,
    next: Option<String>,
}

/// A part of the jobs, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct JobsPage {
    jobs: Vec<JobJson>,
    /// To be sent as `next` for the jobs after these; null at the end.
    next: Option<String>,
}

/// Jobs to look at together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StatusesBody {
    /// At most 500.
    job_ids: Vec<String>,
    /// Seconds to wait for all of them to end, at most 60.
    #[serde(default)]
    wait: f64,
    /// Seconds between two looks while waiting.
    #[serde(default = "one")]
    poll_interval: f64,
}

fn one() -> f64 {
    1.0
}

/// Jobs, newest first: all that were asked for together, or the latest.
pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Vec<JobJson>>, ApiError> {
    let bulk = query.bulk_id.map(|text| id::<BulkId>(&text, "bulkId")).transpose()?;
    let jobs = state.db.jobs(caller.sight(), JobFilter { bulk, size: MAX_SIZE, ..JobFilter::default() }).await?;
    Ok(Json(jobs.into_iter().map(JobJson::from).collect()))
}

/// Jobs by type, state and time.
pub(super) async fn search(
    State(state): State<ApiState>,
    caller: Caller,
    Query(query): Query<SearchQuery>,
) -> Result<Json<JobsPage>, ApiError> {
    let size = query.size.unwrap_or(50);
    if !(1..=MAX_SIZE).contains(&size) {
        return Err(ApiError::bad_request("invalid-query", format!("size must be 1 to {MAX_SIZE}, not {size}")));
    }
    let (offset, older_than) = match (query.next, query.offset) {
        (None, offset) => (offset.unwrap_or(0), None),
        (Some(next), None) => {
            let last =
                next.parse().map_err(|_| ApiError::bad_request("invalid-cursor", "next is not one of this search"));
            (0, Some(last?))
        }
        (Some(_), Some(_)) => return Err(ApiError::bad_request("invalid-query", "give offset or next, not both")),
    };
    let kind = match query.job_type.as_deref() {
        None => None,
        Some("objectSync") => Some(JobKind::ObjectSync),
        Some("settingsChange") => Some(JobKind::SettingsChange),
        Some("objectSyncGroup") => Some(JobKind::SyncGroup),
        Some(_) => return Ok(Json(JobsPage { jobs: Vec::new(), next: None })),
    };
    let filter = JobFilter {
        bulk: None,
        state: query.state,
        from: query.start_date.map(|text| time(&text, "startDate")).transpose()?,
        to: query.end_date.map(|text| time(&text, "endDate")).transpose()?,
        kind,
        older_than,
        offset,
        // One more tells whether there is more.
        size: size + 1,
    };
    let mut jobs = state.db.jobs(caller.sight(), filter).await?;
    let more = jobs.len() > size;
    jobs.truncate(size);
    let next = jobs.last().filter(|_| more).map(|job| job.id.to_string());
    Ok(Json(JobsPage { jobs: jobs.into_iter().map(JobJson::from).collect(), next }))
}

/// One job.
pub(super) async fn get(
    State(state): State<ApiState>,
    caller: Caller,
    Path(job): Path<String>,
) -> Result<Json<JobJson>, ApiError> {
    let job = state.db.job(caller.sight(), id(&job, "the job's id")?).await?.ok_or_else(no_such_job)?;
    Ok(Json(job.into()))
}

/// Several jobs by id; waits for them to end, if asked. A job that the caller does not see is null.
pub(super) async fn statuses(
    State(state): State<ApiState>,
    caller: Caller,
    Body(body): Body<StatusesBody>,
) -> Result<Json<BTreeMap<String, Option<JobJson>>>, ApiError> {
    if body.job_ids.len() > MAX_SIZE {
        return Err(ApiError::bad_request("invalid-body", format!("at jobIds: at most {MAX_SIZE}")));
    }
    if !(0.0..=MAX_WAIT).contains(&body.wait) {
        return Err(ApiError::bad_request("invalid-body", format!("at wait: must be 0 to {MAX_WAIT} seconds")));
    }
    if !(0.05..=MAX_WAIT).contains(&body.poll_interval) {
        return Err(ApiError::bad_request("invalid-body", "at pollInterval: must be 0.05 to 60 seconds"));
    }
    let ids = body.job_ids.iter().map(|text| id::<JobId>(text, "jobIds")).collect::<Result<Vec<_>, _>>()?;
    let deadline = tokio::time::Instant::now() + Duration::from_secs_f64(body.wait);
    loop {
        let mut jobs = BTreeMap::new();
        for id in &ids {
            jobs.insert(id.to_string(), state.db.job(caller.sight(), *id).await?);
        }
        let ended = |job: &Option<Job>| job.as_ref().is_none_or(|job| job.state.is_final());
        let now = tokio::time::Instant::now();
        if jobs.values().all(ended) || now >= deadline || state.stopping.is_cancelled() {
            return Ok(Json(jobs.into_iter().map(|(id, job)| (id, job.map(JobJson::from))).collect()));
        }
        let pause = Duration::from_secs_f64(body.poll_interval).min(deadline - now);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = state.stopping.cancelled() => {}
        }
    }
}

/// Stops a job.
pub(super) async fn cancel(
    State(state): State<ApiState>,
    caller: Caller,
    Path(job): Path<String>,
) -> Result<Json<JobJson>, ApiError> {
    let id = id(&job, "the job's id")?;
    match state.db.cancel_job(caller.sight(), id, state.clock.now()).await?.ok_or_else(no_such_job)? {
        Cancelled::Now(job) => Ok(Json((*job).into())),
        Cancelled::HadEnded(was) => {
            Err(ApiError::conflict("job-ended", format!("the job had ended before: it is {was}")))
        }
    }
}

fn no_such_job() -> ApiError {
    ApiError::not_found("there is no such job")
}

fn id<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, ApiError>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| ApiError::bad_request("invalid-id", format!("{what} is {error}")))
}

fn time(text: &str, what: &str) -> Result<Timestamp, ApiError> {
    text.parse().map_err(|_| {
        ApiError::bad_request("invalid-query", format!("{what} must be a time such as 2026-01-31T12:00:00Z"))
    })
}
