//! The jobs at a glance.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::wire::JobJson;
use crate::{
    api::{ApiState, caller::Caller, connections::ScheduleJson, error::ApiError},
    db::summary::Standing,
    model::{id::ConnectionId, path::ObjectPath},
};

/// How far back ended jobs are counted.
const LATELY: SignedDuration = SignedDuration::from_hours(24);

/// The jobs at a glance.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "JobsSummary")]
pub struct SummaryJson {
    /// Jobs that have not ended, by state.
    running: BTreeMap<&'static str, u64>,
    /// Jobs that ended within the last 24 hours, by state.
    ended: BTreeMap<&'static str, u64>,
    /// Since when the oldest job waits that has not begun.
    #[schemars(with = "Option<String>")]
    waiting_since: Option<Timestamp>,
    /// The connections that you see as a whole, by key.
    connections: Vec<ConnectionSummary>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ConnectionSummary {
    #[schemars(with = "String")]
    id: ConnectionId,
    #[schemars(with = "Vec<String>")]
    object_path: ObjectPath,
    schedule: ScheduleJson,
    /// The sync of anything in it that ended last, without its per-object errors.
    last_job: Option<JobJson>,
    /// How many holds are open in it: what syncs found to be gone and did not believe.
    holds: u64,
}

/// The jobs that the caller sees, at a glance.
pub(in crate::api) async fn summary(
    State(state): State<ApiState>,
    caller: Caller,
) -> Result<Json<SummaryJson>, ApiError> {
    let now = state.clock.now();
    let found = state.db.job_summary(caller.sight(), now.checked_sub(LATELY).unwrap_or(now)).await?;
    let connections = found.connections.into_iter().map(|Standing { connection, last, holds }| ConnectionSummary {
        id: connection.id,
        schedule: ScheduleJson::new(&connection.options.schedule, connection.id, now),
        object_path: ObjectPath::of_connection(connection.key),
        last_job: last.map(JobJson::from),
        holds,
    });
    Ok(Json(SummaryJson {
        connections: connections.collect(),
        running: found.running,
        ended: found.ended,
        waiting_since: found.waiting_since,
    }))
}
