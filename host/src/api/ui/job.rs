//! One job: how far it is, what it found per type of object, and what it could not read.

use axum::{
    extract::{Path, State},
    response::Response,
};
use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    badges, format,
    frame::{self, Frame, Section},
    history, holds, jobs, links, listing,
    session::Visitor,
    text,
};
use crate::{
    api::{ApiState, error::ApiError},
    db::jobs::JobFilter,
    model::{
        job::{Job, JobType, MAX_JOB_ERRORS, MAX_LISTED_CHANGES, Trigger},
        page::ObjectError,
        path::ObjectPath,
    },
};

/// The page.
pub(super) async fn show(
    State(state): State<ApiState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let (job, parts) = load(&state, &visitor, &id).await?;
    let running = state.db.unfinished_jobs(visitor.caller.sight()).await?.len();
    let main = html! {
        nav.crumbs aria-label="Breadcrumb" { a href="/ui/jobs" { "Jobs" } }
        h1 { (jobs::title(&job)) " " a href=(links::object(job.object)) { (text::path(job.object_path.segments())) } }
        (view(&job, &parts, &visitor, state.clock.now()))
        (holds::banners(&state, &visitor, job.holds.clone()).await?)
        (history::part_of_job(&state, &visitor, &job).await?)
    };
    let title = format!("Job on {}", text::plain_path(&job.object_path));
    Ok(Frame { title: &title, section: Section::Jobs, visitor: &visitor, running, beside: None }.page(&main))
}

/// What changes of the page while the job runs.
pub(super) async fn live(
    State(state): State<ApiState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let (job, parts) = load(&state, &visitor, &id).await?;
    Ok(frame::fragment(view(&job, &parts, &visitor, state.clock.now())))
}

/// The job, with the others of its bulk where it stands for them.
async fn load(state: &ApiState, visitor: &Visitor, id: &str) -> Result<(Job, Vec<Job>), ApiError> {
    let id = id.parse().map_err(|_| jobs::no_such_job())?;
    let job = state.db.job(visitor.caller.sight(), id).await?.ok_or_else(jobs::no_such_job)?;
    if !job.job_type.is_group() {
        return Ok((job, Vec::new()));
    }
    let filter = JobFilter { bulk: Some(job.bulk), size: listing::ROWS + 1, ..JobFilter::default() };
    let mut parts = state.db.jobs(visitor.caller.sight(), filter).await?;
    parts.retain(|part| part.id != job.id);
    Ok((job, parts))
}

fn why(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Request => "somebody asked for it",
        Trigger::Registration => "the connection was registered",
        Trigger::Settings => "settings were changed",
        Trigger::Schedule => "it was time",
        Trigger::Comparison => "a version of its connector is compared",
    }
}

/// The job.
pub(super) fn view(job: &Job, parts: &[Job], visitor: &Visitor, now: Timestamp) -> Markup {
    let busy = !job.state.is_final();
    html! {
        div #job data-live={ (links::job(job.id)) "/live" } data-busy[busy] aria-busy=(busy) {
            div.bar {
                (badges::job(job))
                (jobs::progress(job))
                @if busy { (jobs::cancel_form(job, visitor)) }
            }
            @if let Some(error) = &job.error {
                div.notice.bad {
                    strong { (text::name(&error.code)) }
                    p { (text::prose(&error.message)) }
                    @if job.failures > 0 && busy {
                        p { (format::counted(job.failures.into(), "attempt", "attempts")) " failed; the next one: "
                            (format::time(job.due_at, now)) }
                    }
                }
            }
            @if let Some(found) = job.found { (dry_run(job, found)) }
            @if job.counts.held > 0 && job.holds.is_empty() && !job.job_type.is_dry_run() {
                p.notice { "This sync held back " (format::counted(job.counts.held, "object", "objects"))
                    ". Since then that was decided, judged by a later sync, or belongs to a hold of a wider one." }
            }
            (figures(job, now))
            (jobs::parts(parts, visitor, now))
            (per_type(job))
            (object_errors(job))
        }
    }
}

/// That nothing was changed, and how much would have been.
fn dry_run(job: &Job, found: u64) -> Markup {
    html! {
        div.notice {
            strong { "Dry run: the inventory stays as it is." }
            p {
                @if job.state.is_final() { "A sync at that time would have made " } @else { "So far, a sync would make " }
                (format::counted(found, "change", "changes"))
                @if found > MAX_LISTED_CHANGES { ", of which the first " (format::count(MAX_LISTED_CHANGES)) " are listed" }
                "."
            }
            @for it in &job.would_hold {
                p { (badges::held()) " It would hold something back: " (text::prose(&it.cause)) "." }
                @for hint in &it.hints { p.hint { (text::prose(hint)) } }
            }
        }
    }
}

fn figures(job: &Job, now: Timestamp) -> Markup {
    let c = &job.counts;
    html! {
        dl.facts {
            div { dt { "Asked for" } dd { (format::time(job.created_at, now)) } }
            div { dt { "Began" } dd { (format::time_or(job.started_at, now, "not yet")) } }
            div { dt { "Took" } dd { (jobs::took(job, now)) } }
            div { dt { "Why" } dd { (why(job.trigger)) } }
            @if let JobType::ObjectSync { force_recursive, .. } = job.job_type {
                div { dt { "Disabled objects" } dd { @if force_recursive { "scanned too" } @else { "scanned where needed" } } }
            }
            @if let Some(parent) = job.parent { div { dt { "Part of" } dd { a href=(links::job(parent)) { "a larger job" } } } }
            div { dt { "Parts read" } dd { (format::count(c.partitions_done)) " of " (format::count(c.partitions)) } }
            div { dt { "Pages" } dd { (format::count(c.pages)) } }
            div { dt { "Requests" } dd { (format::count(c.requests)) } }
            div { dt { "Received" } dd { (format::bytes(c.bytes)) } }
            div { dt title="Containers in which nothing is enabled and which were listed before" { "Skipped" }
                  dd { (format::count(c.skipped)) } }
            div { dt { "Connector" } dd { @match &job.connector {
                Some(label) => (text::name(label)), None => span.faint { "–" } } } }
            div { dt { "Job" } dd { code { (job.id) } } }
        }
    }
}

fn per_type(job: &Job) -> Markup {
    let c = &job.counts;
    let columns = [
        ("Seen", &c.seen),
        ("New", &c.added),
        ("Changed", &c.changed),
        ("Missing", &c.missing),
        ("Back", &c.returned),
        ("Left out", &c.excluded),
    ];
    let types: std::collections::BTreeSet<&String> = columns.iter().flat_map(|(_, counts)| counts.keys()).collect();
    html! {
        @if !types.is_empty() {
            h2 { @if job.job_type.is_dry_run() { "Objects, as a sync would count them" } @else { "Objects" } }
            div.scroll {
                table.figures {
                    thead { tr {
                        th scope="col" { "Type" }
                        @for (label, _) in columns { th.num scope="col" { (label) } }
                    } }
                    tbody {
                        @for object_type in types {
                            tr {
                                th scope="row" { (text::name(object_type)) }
                                @for (_, counts) in columns {
                                    td.num { (format::count(counts.get(object_type).copied().unwrap_or(0))) }
                                }
                            }
                        }
                        tr {
                            th scope="row" { "columns" }
                            td.num { span.faint { "–" } }
                            td.num { (format::count(c.columns_added)) }
                            td.num { (format::count(c.columns_changed)) }
                            td.num { (format::count(c.columns_deleted)) }
                            td.num { span.faint { "–" } }
                            td.num { span.faint { "–" } }
                        }
                    }
                }
            }
        }
    }
}

fn object_errors(job: &Job) -> Markup {
    html! {
        @if job.counts.errors > 0 || !job.object_errors.is_empty() {
            details.errors id="errors" open {
                summary { h2 { "What could not be read (" (format::count(job.counts.errors)) ")" } }
                @if job.counts.errors > job.object_errors.len() as u64 {
                    p.hint { "The first " (format::count(job.object_errors.len().min(MAX_JOB_ERRORS) as u64)) " are listed." }
                }
                div.scroll {
                    table {
                        thead { tr {
                            th scope="col" { "Object" } th scope="col" { "Code" } th scope="col" { "Message" }
                        } }
                        tbody { @for error in &job.object_errors { (object_error(job, error)) } }
                    }
                }
            }
        }
    }
}

fn object_error(job: &Job, error: &ObjectError) -> Markup {
    let key = job.object_path.connection().clone();
    let path = ObjectPath::try_from(std::iter::once(key).chain(error.path.0.iter().cloned()).collect::<Vec<_>>());
    html! {
        tr {
            td { @if let Ok(path) = &path { (text::path(path.segments())) } }
            td { code { (text::name(&error.code)) } }
            td { (text::prose(&error.message)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::ui::sample,
        model::{job::JobState, path::RemotePath},
    };

    #[test]
    fn a_dry_run_says_that_nothing_was_changed() {
        let mut job = sample::job(&sample::connection_object());
        let shown = |job: &Job| view(job, &[], &sample::visitor(), sample::now()).into_string();
        assert!(!shown(&job).contains("Dry run"), "{}", shown(&job));
        job.job_type = JobType::ObjectSync { force_recursive: false, dry_run: true };
        (job.state, job.found) = (JobState::Completed, Some(123_456));
        let text = shown(&job);
        assert!(
            text.contains("the inventory stays as it is") && text.contains("would have made 123,456 changes"),
            "{text}"
        );
        assert!(text.contains("the first 100,000 are listed"), "{text}");
    }

    #[test]
    fn a_job_tells_what_it_found_and_what_it_could_not_read() {
        let mut job = sample::job(&sample::connection_object());
        job.state = JobState::Completed;
        job.counts.seen = [("table".to_owned(), 12_345), ("<i>odd".to_owned(), 1)].into();
        job.counts.errors = 5000;
        job.object_errors = vec![ObjectError {
            path: RemotePath(vec!["a/b".parse().expect("name")]),
            code: "permission-denied".into(),
            message: "no USE <SCHEMA>\non it".into(),
        }];
        let shown = view(&job, &[], &sample::visitor(), sample::now()).into_string();
        assert!(shown.contains("12,345") && shown.contains("&lt;i&gt;odd"), "{shown}");
        assert!(shown.contains("(5,000)") && shown.contains("The first 1 are listed"), "{shown}");
        assert!(shown.contains("no USE &lt;SCHEMA&gt;<br>on it"), "{shown}");
        assert!(shown.contains("Completed with errors") && !shown.contains("data-busy"), "{shown}");
    }
}
