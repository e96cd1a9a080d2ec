//! When a connection is synced by itself: as people write it, and as it is shown.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::refused;
use crate::{
    api::{ApiState, caller::Caller, error::ApiError},
    model::{
        connection::Connection,
        id::ConnectionId,
        schedule::{InvalidSchedule, Jitter, Schedule},
    },
};

/// When a connection is synced by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Schedule")]
pub struct ScheduleInput {
    /// Five fields of cron in UTC: minute, hour, day of month, month, day of week. At most every 15 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// Connections of one time are spread over so many seconds after it, each always by the same: 0 to 86400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<u64>,
}

/// When a connection is synced by itself, and when next.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ScheduleAhead")]
pub struct ScheduleJson {
    /// Five fields of cron, in UTC.
    cron: String,
    /// In seconds.
    jitter: u32,
    /// The next time, with the connection's own delay.
    #[schemars(with = "String")]
    next: Timestamp,
}

/// The schedule after a change; null is the default one.
pub(super) fn over(given: Option<Option<ScheduleInput>>, stored: &Schedule) -> Result<Schedule, ApiError> {
    match given {
        None => Ok(stored.clone()),
        Some(None) => Ok(Schedule::default()),
        Some(Some(input)) => input.over(stored),
    }
}

/// Stores another schedule, if the connection is still at the revision.
pub(in crate::api) async fn change(
    state: &ApiState,
    caller: &Caller,
    id: ConnectionId,
    schedule: Schedule,
    revision: u64,
) -> Result<Connection, ApiError> {
    let now = state.clock.now();
    let changed = state.db.change_schedule(id, schedule, Some(revision), caller.actor(), now).await.map_err(refused)?;
    tracing::info!(connection.id = %changed.id, connection.key = %changed.key, schedule = %changed.options.schedule.cron, "schedule changed");
    Ok(changed)
}

impl ScheduleInput {
    /// The schedule after this change.
    pub(in crate::api) fn over(self, stored: &Schedule) -> Result<Schedule, ApiError> {
        let cron = match self.cron {
            Some(text) => text.parse().map_err(|why| malformed("cron", &why))?,
            None => stored.cron.clone(),
        };
        let jitter = match self.jitter {
            Some(seconds) => Jitter::try_from(seconds).map_err(|why| malformed("jitter", &why))?,
            None => stored.jitter,
        };
        Ok(Schedule { cron, jitter })
    }
}

impl From<&Schedule> for ScheduleInput {
    fn from(schedule: &Schedule) -> Self {
        Self { cron: Some(schedule.cron.to_string()), jitter: Some(schedule.jitter.seconds().into()) }
    }
}

impl ScheduleJson {
    /// The schedule of a connection as it stands at a time.
    pub(in crate::api) fn new(schedule: &Schedule, connection: ConnectionId, now: Timestamp) -> Self {
        Self {
            cron: schedule.cron.to_string(),
            jitter: schedule.jitter.seconds(),
            next: schedule.next_after(connection, now),
        }
    }
}

fn malformed(field: &str, why: &InvalidSchedule) -> ApiError {
    ApiError::bad_request("invalid-schedule", format!("at options.schedule.{field}: it {why}"))
        .hint("`0 1 * * *` is daily at 01:00 UTC, the default; object sync cannot be switched off")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::input::parse;

    fn read(value: &Value) -> Result<Schedule, ApiError> {
        parse::<ScheduleInput>(value.to_string().as_bytes())?.over(&Schedule::default())
    }

    #[test]
    fn what_is_left_out_stays() {
        let hourly = read(&json!({ "cron": "5 * * * *" })).expect("a schedule");
        assert_eq!((hourly.cron.to_string().as_str(), hourly.jitter.seconds()), ("5 * * * *", 0));
        let later = ScheduleInput { jitter: Some(60), cron: None }.over(&hourly).expect("a schedule");
        assert_eq!((later.cron.clone(), later.jitter.seconds()), (hourly.cron.clone(), 60));
        assert_eq!(over(None, &later).expect("stays"), later);
        assert_eq!(over(Some(None), &later).expect("default"), Schedule::default());
        assert_eq!(ScheduleInput::from(&later).over(&Schedule::default()).expect("round"), later);
    }

    #[test]
    fn what_is_none_is_refused_and_named() {
        for (value, code, part) in [
            (json!({ "cron": "0 0 30 2 *" }), "invalid-schedule", "options.schedule.cron: it never fires"),
            (json!({ "cron": "*/5 * * * *" }), "invalid-schedule", "every 5 minutes"),
            (json!({ "cron": "" }), "invalid-schedule", "five fields"),
            (json!({ "jitter": 86_401 }), "invalid-schedule", "options.schedule.jitter: it must be 0 to 86400"),
            (json!({ "jitter": -1 }), "invalid-body", "jitter"),
            (json!({ "enabled": false }), "invalid-body", "enabled"),
        ] {
            let error = read(&value).expect_err(part);
            assert_eq!((error.status().as_u16(), error.code()), (400, code), "{value}");
            assert!(error.message().contains(part), "{value}: {}", error.message());
        }
    }
}
