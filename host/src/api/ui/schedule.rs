//! When a connection is synced by itself: shown on the Connection tab, and changed there (F44, D8).

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    detail, format, frame, links,
    listing::ListQuery,
    session::{Posted, Visitor},
    text,
};
use crate::{
    api::{
        ApiState,
        connections::{ScheduleInput, change_schedule},
        error::ApiError,
        routes::MANAGERS,
    },
    model::{
        connection::Connection,
        id::ObjectId,
        schedule::{MAX_JITTER, Schedule},
    },
};

/// A change that was refused: why, and what was sent.
pub(super) struct Refusal {
    why: String,
    cron: String,
    jitter: String,
}

/// Makes a change.
pub(super) async fn save(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, ApiError> {
    let visitor = &posted.visitor;
    let (shown, connection) = detail::managed(&state, visitor, &id).await?;
    let (cron, jitter) = (posted.field("cron"), posted.field("jitter"));
    let revision = posted.revision()?;
    let done = match read(cron, jitter, &connection.options.schedule) {
        Ok(schedule) => change_schedule(&state, &visitor.caller, connection.id, schedule, revision).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(_) => Ok(Redirect::to(&format!("{}?saved=1", links::connection(shown.object.id))).into_response()),
        Err(error) if error.status().is_client_error() => {
            let (why, cron, jitter) = (error.message().to_owned(), cron.to_owned(), jitter.to_owned());
            let refusal = Refusal { why, cron, jitter };
            detail::page(&state, visitor, &ListQuery::default(), &shown, &connection, Some(&refusal)).await
        }
        Err(error) => Err(error),
    }
}

fn read(cron: &str, jitter: &str, stored: &Schedule) -> Result<Schedule, ApiError> {
    let seconds = jitter.trim().parse().map_err(|_| {
        ApiError::bad_request("invalid-schedule", format!("the spread must be 0 to {MAX_JITTER} seconds"))
    })?;
    ScheduleInput { cron: Some(cron.to_owned()), jitter: Some(seconds) }.over(stored)
}

/// The part of the tab.
pub(super) fn view(
    object: ObjectId,
    connection: &Connection,
    visitor: &Visitor,
    refusal: Option<&Refusal>,
    now: Timestamp,
) -> Markup {
    let schedule = &connection.options.schedule;
    let (cron, jitter) = match refusal {
        Some(sent) => (sent.cron.clone(), sent.jitter.clone()),
        None => (schedule.cron.to_string(), schedule.jitter.seconds().to_string()),
    };
    html! {
        h2 #schedule { "Object sync" }
        @if let Some(refusal) = refusal {
            p.notice.bad role="alert" { "Nothing was saved: " (text::prose(&refusal.why)) }
        }
        dl.facts {
            div { dt { "Run schedule" } dd { (told(schedule)) } }
            @if schedule.jitter.seconds() > 0 {
                div { dt { "Delay of this connection" } dd {
                    (format::counted(schedule.jitter.of(connection.id).as_secs(), "second", "seconds")) } }
            }
            div { dt { "Next run" } dd { (format::time(schedule.next_after(connection.id, now), now)) } }
        }
        @if visitor.caller.has_any(MANAGERS) {
            form.settings method="post" action=(links::schedule(object)) {
                (frame::token(visitor))
                input type="hidden" name="revision" value=(connection.revision);
                p.hint {
                    "Five fields in UTC: minute, hour, day of month, month, day of week. "
                    code { "0 1 * * *" } " is daily at 01:00, " code { "0 */6 * * *" } " every six hours. "
                    "At most every 15 minutes. It cannot be switched off."
                }
                p { label { "Schedule " input type="text" name="cron" value=(cron) required maxlength="200"; } }
                p { label { "Spread over seconds "
                    input type="number" name="jitter" value=(jitter) required min="0" max=(MAX_JITTER); } }
                button.primary type="submit" { "Save schedule" }
            }
        }
    }
}

/// A schedule in words.
fn told(schedule: &Schedule) -> Markup {
    html! {
        @match schedule.cron.daily_at() {
            Some((hour, minute)) => { "24 hours, at " (format!("{hour:02}:{minute:02}")) " UTC" },
            None => code { (schedule.cron) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ui::sample;

    #[test]
    fn the_default_is_24_hours_and_can_be_changed() {
        let (connection, object) = (sample::connection(), sample::connection_object());
        let shown = view(object.id, &connection, &sample::visitor(), None, sample::now()).into_string();
        assert!(shown.contains("24 hours, at 01:00 UTC"), "{shown}");
        assert!(shown.contains("name=\"cron\" value=\"0 1 * * *\"") && shown.contains("Save schedule"), "{shown}");
        assert!(shown.contains("in 15 h") || shown.contains("in 16 h"), "{shown}");
    }

    #[test]
    fn what_was_refused_stays_in_the_form() {
        let (connection, object) = (sample::connection(), sample::connection_object());
        let refusal = Refusal { why: "<no>".into(), cron: "* * \"*".into(), jitter: "7".into() };
        let shown = view(object.id, &connection, &sample::visitor(), Some(&refusal), sample::now()).into_string();
        assert!(
            shown.contains("&lt;no&gt;") && shown.contains("* * &quot;*") && shown.contains("role=\"alert\""),
            "{shown}"
        );
    }

    #[test]
    fn who_manages_nothing_only_reads_it() {
        let (connection, object) = (sample::connection(), sample::connection_object());
        let mut visitor = sample::visitor();
        visitor.caller.0.permissions.clear();
        let shown = view(object.id, &connection, &visitor, None, sample::now()).into_string();
        assert!(shown.contains("Next run") && !shown.contains("<form"), "{shown}");
    }

    #[test]
    fn a_form_is_read_strictly() {
        let stored = Schedule::default();
        assert_eq!(read("0 2 * * *", " 60 ", &stored).expect("ok").jitter.seconds(), 60);
        for (cron, jitter) in [("0 2 * *", "0"), ("0 2 * * *", "soon"), ("0 2 * * *", "-1")] {
            assert_eq!(read(cron, jitter, &stored).expect_err("bad").status(), 400, "{cron} {jitter}");
        }
    }
}
