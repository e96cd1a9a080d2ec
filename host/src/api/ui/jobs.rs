//! The jobs page: what runs, what ran, how far it is; and the gear's fragment.

use axum::{
    extract::State,
    http::Uri,
    response::{IntoResponse, Redirect, Response},
};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::{
    badges, format,
    frame::{self, Frame, Section},
    links,
    listing::{self, ListQuery},
    session::{Posted, Visitor},
    text,
};
use crate::{
    api::{ApiState, error::ApiError},
    db::jobs::JobFilter,
    model::{
        id::JobId,
        job::{Job, JobState, JobType, Trigger},
    },
};

const BASE: &str = "/ui/jobs";

const STATES: [JobState; 7] = [
    JobState::Created,
    JobState::Active,
    JobState::Retry,
    JobState::Completed,
    JobState::Failed,
    JobState::Cancelled,
    JobState::Expired,
];

/// The page.
pub(super) async fn list(State(state): State<ApiState>, visitor: Visitor, uri: Uri) -> Result<Response, ApiError> {
    let query = ListQuery::of(&uri);
    let running = state.db.unfinished_jobs(visitor.caller.sight()).await?;
    let table = load_table(&state, &visitor, &query, !running.is_empty()).await?;
    let main = html! {
        h1 { "Jobs" }
        p.hint {
            "An object sync compares the inventory with the platform and brings it up to date. "
            "Its result stays here; what it could not read is listed with it."
        }
        (filter_form(&query))
        (table)
    };
    let frame =
        Frame { title: "Jobs", section: Section::Jobs, visitor: &visitor, running: running.len(), beside: None };
    Ok(frame.page(&main))
}

/// The table alone, while jobs run.
pub(super) async fn live(State(state): State<ApiState>, visitor: Visitor, uri: Uri) -> Result<Response, ApiError> {
    let running = state.db.unfinished_jobs(visitor.caller.sight()).await?;
    Ok(frame::fragment(load_table(&state, &visitor, &ListQuery::of(&uri), !running.is_empty()).await?))
}

/// The gear alone.
pub(super) async fn gear(State(state): State<ApiState>, visitor: Visitor) -> Result<Response, ApiError> {
    Ok(frame::fragment(frame::gear(state.db.unfinished_jobs(visitor.caller.sight()).await?.len())))
}

/// Stops a job.
pub(super) async fn cancel(
    State(state): State<ApiState>,
    axum::extract::Path(id): axum::extract::Path<String>,
    posted: Posted,
) -> Result<Response, ApiError> {
    let id: JobId = id.parse().map_err(|_| no_such_job())?;
    state.db.cancel_job(posted.visitor.caller.sight(), id, state.clock.now()).await?.ok_or_else(no_such_job)?;
    Ok(Redirect::to(&links::job(id)).into_response())
}

pub(super) fn no_such_job() -> ApiError {
    ApiError::not_found("there is no such job").hint("it may have been on an object that you do not see")
}

async fn load_table(state: &ApiState, visitor: &Visitor, query: &ListQuery, busy: bool) -> Result<Markup, ApiError> {
    let wanted = STATES.into_iter().find(|s| s.as_str() == query.get("state"));
    let offset = (query.page() - 1) * listing::ROWS;
    // One more than is shown tells whether there is more.
    let filter = JobFilter { state: wanted, offset, size: listing::ROWS + 1, ..JobFilter::default() };
    let jobs = state.db.jobs(visitor.caller.sight(), filter).await?;
    Ok(table(&jobs, query, visitor, busy, state.clock.now()))
}

fn filter_form(query: &ListQuery) -> Markup {
    html! {
        form.filter method="get" action=(BASE) data-filter {
            label for="state" { "State" }
            select #state name="state" {
                option value="" { "Any" }
                @for state in STATES {
                    option value=(state) selected[query.get("state") == state.as_str()] { (state) }
                }
            }
            button type="submit" { "Show" }
        }
    }
}

/// The table; at most [`listing::ROWS`] of the jobs are shown.
pub(super) fn table(jobs: &[Job], query: &ListQuery, visitor: &Visitor, busy: bool, now: Timestamp) -> Markup {
    let shown = &jobs[..jobs.len().min(listing::ROWS)];
    let more = jobs.len() > listing::ROWS;
    html! {
        div #jobs data-live=(query.href("/ui/jobs/live", &[])) data-busy[busy] aria-busy=(busy) {
            @if shown.is_empty() {
                div.empty {
                    p { strong { "No jobs here." } }
                    p { "Run an object sync from the more-actions menu of any object." }
                }
            } @else {
                (lines(shown, visitor, now))
                nav.pager aria-label="Pages of the table" {
                    @let page = query.page();
                    @let to = |n: usize| query.href(BASE, &[("page", &n.to_string())]);
                    @if page > 1 { a.button rel="prev" href=(to(page - 1)) { "Newer" } }
                    @if more { a.button rel="next" href=(to(page + 1)) { "Older" } }
                }
            }
        }
    }
}

fn lines(jobs: &[Job], visitor: &Visitor, now: Timestamp) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr {
                    th scope="col" { "Object" }
                    th scope="col" { "State" }
                    th.wide scope="col" { "Asked for" }
                    th.wide scope="col" { "Took" }
                    th.act scope="col" { span.unseen { "Action" } }
                } }
                tbody { @for job in jobs { (row(job, visitor, now)) } }
            }
        }
    }
}

/// The jobs that one stands for.
pub(super) fn parts(jobs: &[Job], visitor: &Visitor, now: Timestamp) -> Markup {
    let shown = &jobs[..jobs.len().min(listing::ROWS)];
    html! {
        @if !shown.is_empty() {
            h2 { "Its parts" }
            @if jobs.len() > shown.len() { p.hint { "The newest " (shown.len()) " are listed." } }
            (lines(shown, visitor, now))
        }
    }
}

/// What a job does, in words.
pub(super) fn title(job: &Job) -> &'static str {
    match job.job_type {
        JobType::ObjectSync { dry_run: true, .. } => "Dry run",
        JobType::ObjectSync { .. } => "Object sync",
        JobType::SettingsChange => "Change of settings",
        JobType::SyncGroup => "Object syncs",
    }
}

fn row(job: &Job, visitor: &Visitor, now: Timestamp) -> Markup {
    html! {
        tr {
            td {
                a href=(links::job(job.id)) { (text::path(job.object_path.segments())) }
                @if job.job_type.is_group() || job.job_type.is_dry_run() { " " span.badge.plain { (title(job)) } }
                @if job.trigger == Trigger::Schedule { " " span.badge.plain { "Scheduled" } }
                @if let Some(error) = &job.error {
                    details.problem id={ "e-" (job.id) } {
                        summary { (text::name(&error.code)) }
                        p { (text::prose(&error.message)) }
                    }
                }
            }
            td { (badges::job(job)) (progress(job)) }
            td.wide { (format::time(job.created_at, now)) }
            td.wide { (took(job, now)) }
            td.act { @if !job.state.is_final() { (cancel_form(job, visitor)) } }
        }
    }
}

/// The button that stops a job; nothing for somebody who may not.
pub(super) fn cancel_form(job: &Job, visitor: &Visitor) -> Markup {
    if !visitor.may_act() {
        return html! {};
    }
    html! {
        form method="post" action={ (links::job(job.id)) "/cancel" } {
            (frame::token(visitor))
            button type="submit" { "Cancel" }
        }
    }
}

/// How far a job is: a bar while it runs, what it found when it has ended.
pub(super) fn progress(job: &Job) -> Markup {
    let c = &job.counts;
    let label = format!("{} of {} parts read", format::count(c.partitions_done), format::count(c.partitions));
    let (seen, total) = (c.seen.values().sum::<u64>(), job.expected);
    html! {
        div.progress {
            @match job.state {
                JobState::Active | JobState::Retry if total.is_some_and(|total| seen <= total) => {
                    @let total = total.unwrap_or(seen);
                    @let label = format!("about {} of {} objects", format::count(seen), format::count(total));
                    progress max=(total) value=(seen) aria-label=(label) title=(label) {}
                },
                JobState::Active | JobState::Retry if c.partitions > 0 => {
                    progress max=(c.partitions) value=(c.partitions_done.min(c.partitions)) aria-label=(label) title=(label) {}
                },
                JobState::Active => progress aria-label="Begins" {},
                _ => {},
            }
            @if !job.job_type.is_group() { span.hint { (found(job)) } }
        }
    }
}

fn found(job: &Job) -> String {
    let c = &job.counts;
    let sum = |counts: &std::collections::BTreeMap<String, u64>| counts.values().sum::<u64>();
    let mut parts = vec![format::counted(sum(&c.seen), "object", "objects")];
    for (n, word) in
        [(sum(&c.added), "new"), (sum(&c.changed), "changed"), (sum(&c.missing), "missing"), (sum(&c.returned), "back")]
    {
        if n > 0 {
            parts.push(format!("{} {word}", format::count(n)));
        }
    }
    if c.errors > 0 {
        parts.push(format::counted(c.errors, "error", "errors"));
    }
    if job.state == JobState::Created && sum(&c.seen) == 0 {
        return "not begun".to_owned();
    }
    parts.join(" · ")
}

/// How long it took, or takes.
pub(super) fn took(job: &Job, now: Timestamp) -> Markup {
    let length: Option<SignedDuration> = job.started_at.map(|at| job.ended_at.unwrap_or(now).duration_since(at));
    html! {
        @match length {
            Some(length) => (format::duration(length)),
            None => span.faint { "–" },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ui::sample;

    #[test]
    fn a_running_job_shows_how_far_it_is_and_can_be_stopped() {
        let mut job = sample::job(&sample::connection_object());
        job.state = JobState::Active;
        job.counts.partitions = 8;
        job.counts.partitions_done = 2;
        let shown = table(&[job], &ListQuery::default(), &sample::visitor(), true, sample::now()).into_string();
        assert!(shown.contains("max=\"8\" value=\"2\"") && shown.contains("2 of 8 parts"), "{shown}");
        assert!(shown.contains("/cancel\"") && shown.contains("name=\"token\""), "{shown}");
        assert!(shown.contains("data-busy"), "{shown}");
        let mut job = sample::job(&sample::connection_object());
        job.state = JobState::Active;
        let shown = table(&[job], &ListQuery::default(), &sample::onlooker(), true, sample::now()).into_string();
        assert!(!shown.contains("/cancel\""), "not by who only looks on: {shown}");
    }

    #[test]
    fn an_ended_job_shows_why_it_failed() {
        let mut job = sample::job(&sample::connection_object());
        job.state = JobState::Failed;
        job.error = Some(crate::model::job::JobError { code: "unavailable".into(), message: "<b>no route".into() });
        let shown = table(&[job], &ListQuery::default(), &sample::visitor(), false, sample::now()).into_string();
        assert!(shown.contains("Failed") && shown.contains("&lt;b&gt;no route"), "{shown}");
        assert!(!shown.contains("/cancel\"") && !shown.contains("data-busy"), "{shown}");
    }
}
