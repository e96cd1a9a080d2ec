//! What happened: the History tab of an object, the Changes tab of what has something in it, and the changes of a job.
//! The newest first, except of a job, which tells its own in order.

use axum::{
    extract::{Path, State},
    http::Uri,
    response::Response,
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use maud::{Markup, html};

use super::{
    badges, format,
    frame::{Frame, Section},
    jobs, links,
    listing::ListQuery,
    object::{Shown, Tab},
    session::Visitor,
    text,
};
use crate::{
    api::{
        ApiState,
        changes::{field, refused},
        error::ApiError,
        explain::Words,
    },
    db::{
        ObjectRef,
        feed::{Feed, FeedError, FeedQuery},
    },
    model::{
        change::{Applied, BeforeAfter, ChangeKind, Entry, Values},
        column::{Column, ColumnChanges, ColumnValues},
        diff::{FactChange, What},
        id::JobId,
        settings::{NewChildren, Overrides},
        sight::Visible,
    },
};

/// Changes of one page.
const ROWS: usize = 50;

/// The History tab: why the object is as it is, and what happened at it.
pub(super) async fn show(
    State(state): State<ApiState>,
    visitor: Visitor,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let shown = Shown::load_own(&state, &visitor, &id).await?;
    let query = ListQuery::of(&uri);
    let object = ObjectRef::Id(shown.object.id);
    let feed = state.db.history(visitor.caller.sight(), &object, wanted(&query)).await.map_err(refused)?;
    let explained = state.db.explain(visitor.caller.sight(), &object).await?;
    let content = html! {
        @if let Some(explained) = explained.filter(|e| e.visible == Visible::Whole) {
            @let words = Words::of(&explained);
            p { (text::prose(&words.status)) }
            p { (text::prose(&words.new_children)) }
            p { (text::prose(&words.remote)) }
            @if let Some(held) = &words.held { p { (text::prose(held)) } }
        }
        (table(&feed, false, state.clock.now()))
        (pager(&feed, &query, &links::history(shown.object.id)))
    };
    shown.page(&state, &visitor, &query, Tab::History, &content).await
}

/// The Changes tab: what happened at the object and everything below it.
pub(super) async fn below(
    State(state): State<ApiState>,
    visitor: Visitor,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let shown = Shown::load(&state, &visitor, &id).await?;
    let query = ListQuery::of(&uri);
    let base = links::changes(shown.object.id);
    let feed = state
        .db
        .changes(visitor.caller.sight(), &ObjectRef::Id(shown.object.id), wanted(&query))
        .await
        .map_err(refused)?;
    let content = html! {
        (filter_form(&query, &base))
        (table(&feed, true, state.clock.now()))
        (pager(&feed, &query, &base))
    };
    shown.page(&state, &visitor, &query, Tab::Changes, &content).await
}

/// What a job changed.
pub(super) async fn of_job(
    State(state): State<ApiState>,
    visitor: Visitor,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let job: JobId = id.parse().map_err(|_| jobs::no_such_job())?;
    let query = ListQuery::of(&uri);
    let feed = state.db.job_changes(visitor.caller.sight(), job, wanted(&query)).await;
    let feed = feed.map_err(|error| match error {
        FeedError::NotFound => jobs::no_such_job(),
        error => refused(error),
    })?;
    let running = state.db.unfinished_jobs(visitor.caller.sight()).await?.len();
    let main = html! {
        nav.crumbs aria-label="Breadcrumb" {
            ol { li { a href="/ui/jobs" { "Jobs" } } li { a href=(links::job(job)) { "Job" } } }
        }
        h1 { "What the job changed" }
        (table(&feed, true, state.clock.now()))
        (pager(&feed, &query, &links::job_changes(job)))
    };
    let frame =
        Frame { title: "What the job changed", section: Section::Jobs, visitor: &visitor, running, beside: None };
    Ok(frame.page(&main))
}

/// The beginning of what a job changed, for its page.
pub(super) async fn part_of_job(state: &ApiState, visitor: &Visitor, job: JobId) -> Result<Markup, ApiError> {
    let query = FeedQuery { size: ROWS, ..FeedQuery::default() };
    let feed = match state.db.job_changes(visitor.caller.sight(), job, query).await {
        Ok(feed) => feed,
        // It has ended long ago, or is gone: the rest of its page tells.
        Err(FeedError::Gone(_) | FeedError::NotFound) => return Ok(html! {}),
        Err(error) => return Err(refused(error)),
    };
    Ok(html! {
        h2 { "What it changed" }
        (table(&feed, true, state.clock.now()))
        @if feed.more { p { a href=(links::job_changes(job)) { "All of it" } } }
    })
}

/// What the address asks for. What means nothing counts as absent.
fn wanted(query: &ListQuery) -> FeedQuery {
    let day = |name: &str| query.get(name).parse::<Date>().ok();
    let begin = |day: Date| TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok();
    FeedQuery {
        cursor: Some(query.get("after")).filter(|v| !v.is_empty()).map(str::to_owned),
        since: day("since").and_then(begin),
        // Up to the end of that day.
        until: day("until").and_then(|day| day.tomorrow().ok()).and_then(begin),
        kinds: query.get("kind").parse().into_iter().collect(),
        newest_first: true,
        size: ROWS,
    }
}

fn filter_form(query: &ListQuery, base: &str) -> Markup {
    html! {
        form.filter method="get" action=(base) data-filter {
            (query.hidden_except(&["kind", "since", "until", "after"]))
            label.unseen for="kind" { "What happened" }
            select #kind name="kind" {
                option value="" { "Everything" }
                @for kind in ChangeKind::ALL {
                    option value=(kind) selected[query.get("kind") == kind.as_str()] { (word(kind)) }
                }
            }
            label for="since" { "From" }
            input #since type="date" name="since" value=(query.get("since"));
            label for="until" { "to" }
            input #until type="date" name="until" value=(query.get("until"));
            button type="submit" { "Show" }
        }
    }
}

fn pager(feed: &Feed, query: &ListQuery, base: &str) -> Markup {
    html! {
        nav.pager aria-label="Pages of the table" {
            @if query.has("after") { a.button rel="prev" href=(query.href(base, &[("after", "")])) { "First" } }
            @if feed.more { a.button rel="next" href=(query.href(base, &[("after", &feed.next)])) { "Next" } }
        }
    }
}

/// A table of changes; with the objects where there are several.
pub(super) fn table(feed: &Feed, objects: bool, now: Timestamp) -> Markup {
    html! {
        @if feed.entries.is_empty() {
            div.empty { p { @if feed.more { "Nothing among these changes; there are more." } @else { "No changes." } } }
        } @else {
            div.scroll {
                table {
                    thead { tr {
                        th scope="col" { "When" }
                        @if objects { th scope="col" { "Object" } }
                        th scope="col" { "What" }
                        th scope="col" { "Before → after" }
                        th.wide scope="col" { "By" }
                    } }
                    tbody { @for entry in &feed.entries { (row(entry, objects, now)) } }
                }
            }
        }
        @if let Some(until) = feed.pruned_until {
            p.hint { "Changes up to " (until.strftime("%Y-%m-%d %H:%M UTC")) " are kept no more." }
        }
    }
}

fn row(entry: &Entry, objects: bool, now: Timestamp) -> Markup {
    html! {
        tr {
            td { (format::time(entry.at, now)) }
            @if objects { td { (object(entry)) } }
            td {
                span.badge.plain { (word(ChangeKind::of(&entry.what))) }
                @if entry.applied == Applied::Held { " " (badges::held()) }
            }
            td { (what(entry)) }
            td.wide { (by(entry)) }
        }
    }
}

fn object(entry: &Entry) -> Markup {
    html! {
        @match (&entry.path, entry.exists) {
            (Some(path), true) => a href=(links::object(entry.object)) { (text::path(path.segments())) },
            (Some(path), false) => { (text::path(path.segments())) span.faint { "gone" } },
            (None, _) => span.faint { "gone" },
        }
    }
}

fn by(entry: &Entry) -> Markup {
    html! {
        @if let Some(by) = &entry.by { (text::name(&by.name)) }
        @else if let Some(job) = entry.job { a href=(links::job(job)) { "Object sync" } }
        @else { span.faint { "–" } }
    }
}

fn word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "Added",
        ChangeKind::Changed => "Changed",
        ChangeKind::Missing => "Missing",
        ChangeKind::Returned => "Back",
        ChangeKind::Moved => "Moved",
        ChangeKind::Recreated => "Made anew",
        ChangeKind::Columns => "Columns",
        ChangeKind::Excluded => "Excluded",
        ChangeKind::Settings => "Settings",
        ChangeKind::Deleted => "Deleted",
        ChangeKind::Configured => "Connection",
    }
}

/// Values of one change that are shown; there may be thousands.
const SHOWN: usize = 20;

fn what(entry: &Entry) -> Markup {
    html! {
        @match &entry.what {
            What::Moved { from, to } => { (text::path(&from.0)) " → " (text::path(&to.0)) },
            What::Changed(changes) => (facts(changes, entry.values.as_ref())),
            What::Recreated => (facts(&[FactChange::RemoteId], entry.values.as_ref())),
            What::Columns { first, changes } => (columns(*first, changes, entry.values.as_ref())),
            What::Settings { before, after } => { (settings(before)) " → " (settings(after)) },
            What::Deleted { objects } => { "with " (format::counted(*objects, "object", "objects")) " below" },
            What::Configured(fields) => { @for name in fields.iter().take(SHOWN) { (text::name(name)) " " } },
            What::Added | What::Missing | What::Returned | What::Excluded => {},
        }
    }
}

fn facts(changes: &[FactChange], values: Option<&Values>) -> Markup {
    let values: &[BeforeAfter] = match values {
        Some(Values::Facts(values)) => values,
        _ => &[],
    };
    html! {
        @for (n, change) in changes.iter().take(SHOWN).enumerate() {
            div {
                (text::name(&field(change))) ": "
                @if let Some(pair) = values.get(n) { (value(pair.before.as_deref())) " → " (value(pair.after.as_deref())) }
            }
        }
        (rest(changes.len()))
    }
}

fn value(value: Option<&str>) -> Markup {
    html! { @match value { Some(value) => (text::name(value)), None => span.faint { "none" } } }
}

fn rest(len: usize) -> Markup {
    html! { @if len > SHOWN { div.faint { "and " (format::count((len - SHOWN) as u64)) " more" } } }
}

fn columns(first: bool, changes: &ColumnChanges, values: Option<&Values>) -> Markup {
    let none = ColumnValues::default();
    let v = match values {
        Some(Values::Columns(values)) => values,
        _ => &none,
    };
    let column = |c: &Column| html! { (text::name(&c.name)) " " code { (text::name(&c.data_type)) } };
    html! {
        @if first { "read for the first time" }
        @if values.is_none() {
            @for name in changes.added.iter().chain(&changes.changed).chain(&changes.deleted).take(SHOWN) {
                (text::name(name)) " "
            }
        }
        @for c in v.added.iter().take(SHOWN) { div { "+ " (column(c)) } } (rest(v.added.len()))
        @for (was, is) in v.changed.iter().take(SHOWN) {
            div { (column(was)) " → " (column(is)) (nullability(was, is)) }
        } (rest(v.changed.len()))
        @for c in v.deleted.iter().take(SHOWN) { div { "− " (column(c)) } } (rest(v.deleted.len()))
        @for (was, is) in v.commented.iter().take(SHOWN) {
            div { (text::name(&is.name)) ": " (value(was.comment.as_deref())) " → " (value(is.comment.as_deref())) }
        } (rest(v.commented.len()))
        @if v.reordered { div { "in another order" } }
    }
}

fn nullability(was: &Column, is: &Column) -> Markup {
    html! {
        @if was.nullable != is.nullable {
            @match is.nullable { Some(true) => " null", Some(false) => " not null", None => {} }
        }
    }
}

/// What is set on an object, in words.
fn settings(own: &Overrides) -> Markup {
    html! {
        @match own.is_active.map(|o| o.value) {
            Some(true) => "enabled",
            Some(false) => "disabled",
            None => span.faint { "inherits" },
        }
        @match own.new_children {
            Some(NewChildren::Enable) => ", new objects enabled",
            Some(NewChildren::Disable) => ", new objects disabled",
            Some(NewChildren::Inherit) => ", new objects as this one",
            None => {},
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::ui::sample,
        model::{diff::diff_facts, path::RemotePath},
    };

    fn entry(what: What, values: Option<Values>) -> Entry {
        let object = sample::table(&sample::connection_object(), "t<b>");
        Entry {
            sequence: 1,
            at: sample::now(),
            job: None,
            by: Some(sample::connection().created_by),
            object: object.id,
            path: Some(object.path),
            namespace: String::new(),
            object_type: Some("table".into()),
            exists: true,
            what,
            values,
            applied: Applied::Yes,
        }
    }

    fn shown(entries: Vec<Entry>) -> String {
        let feed = Feed { entries, next: "n".into(), more: true, pruned_until: None };
        table(&feed, true, sample::now()).into_string()
    }

    #[test]
    fn values_before_and_after_stay_text() {
        let mut old = sample::table(&sample::connection_object(), "t").facts;
        old.comment = Some("<script>1</script>".into());
        let mut new = old.clone();
        new.comment = Some("\u{202e}evil".into());
        let changes = diff_facts(&old, &new);
        let values = crate::model::change::fact_values(&old, &new, &changes);
        let from = RemotePath(vec!["<i>old".parse().expect("name")]);
        let moved = What::Moved { from, to: RemotePath(vec!["new".parse().expect("name")]) };
        let text = shown(vec![entry(What::Changed(changes), Some(Values::Facts(values))), entry(moved, None)]);
        assert!(!text.contains("<script") && !text.contains('\u{202e}') && !text.contains("<i>"), "{text}");
        assert!(text.contains("&lt;script&gt;") && text.contains("\\u{202e}evil") && text.contains("Ada"), "{text}");
    }

    #[test]
    fn a_wide_table_that_changed_is_not_a_wide_page() {
        let column = |n| Column {
            name: format!("c{n}"),
            data_type: "int".into(),
            nullable: None,
            comment: None,
            position: None,
        };
        let values = ColumnValues { added: (0..5000).map(column).collect(), ..ColumnValues::default() };
        let what = What::Columns { first: false, changes: ColumnChanges::default() };
        let text = shown(vec![entry(what, Some(Values::Columns(values)))]);
        assert!(text.contains("+ ") && text.contains("and 4,980 more") && text.len() < 20_000, "{}", text.len());
    }

    #[test]
    fn an_address_is_read_for_what_it_means() {
        let query = |text: &str| wanted(&ListQuery::of(&format!("/x?{text}").parse().expect("uri")));
        let q = query("kind=missing&since=2026-01-31&until=2026-01-31&after=c");
        assert_eq!((q.kinds.as_slice(), q.cursor.as_deref()), ([ChangeKind::Missing].as_slice(), Some("c")));
        assert_eq!(q.since.map(|t| t.to_string()).as_deref(), Some("2026-01-31T00:00:00Z"));
        assert_eq!(q.until.map(|t| t.to_string()).as_deref(), Some("2026-02-01T00:00:00Z"));
        let q = query("kind=evil&since=yesterday&after=");
        assert!(q.kinds.is_empty() && q.since.is_none() && q.cursor.is_none());
    }
}
