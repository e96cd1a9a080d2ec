//! An object's page: where it lies, its tabs (F113), and the first of them: what is in it, or a table's columns.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    actions, badges, children, columns, format,
    frame::{self, Frame, Section},
    holds, icons, jobs, links,
    listing::ListQuery,
    session::Visitor,
    text, tree,
};
use crate::{
    api::{ApiState, error::ApiError},
    db::ObjectRef,
    model::{
        id::ObjectId,
        job::Job,
        object::{Kind, ObjectView, RemoteStatus},
        sight::Visible,
    },
};

/// The tabs of an object's page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    /// What is in it.
    Content,
    /// Status and new objects.
    Settings,
    /// What happened at it.
    History,
    /// What happened at it and below it.
    Changes,
    /// What it is connected to.
    Connection,
}

/// An object with what stands around it on its page.
pub(super) struct Shown {
    /// The object.
    pub(super) object: ObjectView,
    /// From the connection down to its parent.
    pub(super) above: Vec<ObjectView>,
    /// Jobs that run on its connection.
    pub(super) running: Vec<Job>,
    /// Jobs that run anywhere.
    running_in_all: usize,
}

impl Shown {
    /// Reads the object that a path names, if the visitor may see it.
    pub(super) async fn load(state: &ApiState, visitor: &Visitor, id: &str) -> Result<Self, ApiError> {
        let sight = visitor.caller.sight();
        let find = async |id| state.db.object(sight, &ObjectRef::Id(id)).await;
        let object = find(super::object_id(id)?).await?.ok_or_else(super::no_such_object)?;
        let mut above = Vec::new();
        let mut next = object.parent;
        while let Some(id) = next {
            // Gone since: what is left of the way is shown.
            let Some(parent) = find(id).await? else { break };
            next = parent.parent;
            above.push(parent);
        }
        above.reverse();
        let mut running = state.db.unfinished_jobs(sight).await?;
        let running_in_all = running.len();
        running.retain(|job| job.connection == object.connection);
        Ok(Self { object, above, running, running_in_all })
    }

    /// The same for somebody who may act on it, not only pass by.
    pub(super) async fn load_own(state: &ApiState, visitor: &Visitor, id: &str) -> Result<Self, ApiError> {
        let shown = Self::load(state, visitor, id).await?;
        if shown.object.visible == Visible::Whole { Ok(shown) } else { Err(super::no_such_object()) }
    }

    /// The page around a tab.
    pub(super) async fn page(
        &self,
        state: &ApiState,
        visitor: &Visitor,
        query: &ListQuery,
        tab: Tab,
        content: &Markup,
    ) -> Result<Response, ApiError> {
        let way: Vec<ObjectId> = self.above.iter().map(|o| o.id).chain([self.object.id]).collect();
        let tree = tree::load(&state.db, visitor.caller.sight(), tree::wanted(query, &way)).await?;
        let held = holds::around(state, visitor, self.object.id).await?;
        let title = text::plain_path(&self.object.path);
        let base = links::object(self.object.id);
        let frame = Frame {
            title: &title,
            section: Section::Connections,
            visitor,
            running: self.running_in_all,
            beside: Some(tree::view(&tree, query, &base, Some(self.object.id))),
        };
        Ok(frame.page(&html! {
            (crumbs(&self.above))
            (head(&self.object, visitor))
            (held)
            (tabs(&self.object, tab))
            (content)
        }))
    }
}

/// The page of a question about an object, or for the script only the question. For somebody who may act on it.
pub(super) async fn ask(
    state: &ApiState,
    visitor: &Visitor,
    id: &str,
    uri: &Uri,
    headers: &HeaderMap,
    question: fn(&ObjectView, &Visitor) -> Markup,
) -> Result<Response, ApiError> {
    let shown = Shown::load_own(state, visitor, id).await?;
    let question = question(&shown.object, visitor);
    if super::wants_fragment(headers) {
        return Ok(frame::fragment(question));
    }
    shown.page(state, visitor, &ListQuery::of(uri), Tab::Content, &question).await
}

/// The page with its first tab.
pub(super) async fn show(
    State(state): State<ApiState>,
    visitor: Visitor,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let shown = Shown::load(&state, &visitor, &id).await?;
    let query = ListQuery::of(&uri);
    let content = html! {
        (facts(&shown.object, state.clock.now()))
        (rows(&state, &visitor, &query, &shown).await?)
    };
    shown.page(&state, &visitor, &query, Tab::Content, &content).await
}

/// What is in it alone, while jobs run.
pub(super) async fn live(
    State(state): State<ApiState>,
    visitor: Visitor,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let shown = Shown::load(&state, &visitor, &id).await?;
    Ok(frame::fragment(rows(&state, &visitor, &ListQuery::of(&uri), &shown).await?))
}

async fn rows(state: &ApiState, visitor: &Visitor, query: &ListQuery, shown: &Shown) -> Result<Markup, ApiError> {
    let object = &shown.object;
    let base = links::object(object.id);
    let now = state.clock.now();
    let table = if object.facts.kind == Kind::Container {
        let search = query.search(Some(ObjectRef::Id(object.id)));
        let hits = state.db.search(visitor.caller.sight(), search).await.map_err(super::search_error)?;
        children::table(&hits, query, &base, visitor, now)
    } else {
        let columns = state.db.columns(visitor.caller.sight(), &ObjectRef::Id(object.id)).await?;
        columns::table(object, columns.as_deref(), query, &base)
    };
    Ok(live_part(object, &shown.running, query, &table))
}

fn live_part(object: &ObjectView, running: &[Job], query: &ListQuery, table: &Markup) -> Markup {
    let busy = !running.is_empty();
    let live = query.href(&format!("/ui/object/{}/live", object.id), &[]);
    html! {
        div #rows data-live=(live) data-busy[busy] aria-busy=(busy) {
            @for job in running.iter().take(3) {
                div.running {
                    a href=(links::job(job.id)) { (badges::job(job)) }
                    (text::path(job.object_path.segments()))
                    (jobs::progress(job))
                }
            }
            @if running.len() > 3 { p.hint { a href="/ui/jobs" { (format::count(running.len() as u64)) " jobs run here" } } }
            (table)
        }
    }
}

fn crumbs(above: &[ObjectView]) -> Markup {
    html! {
        nav.crumbs aria-label="Breadcrumb" {
            ol {
                li { a href="/ui/connections" { "Connections" } }
                @for object in above { li { a href=(links::object(object.id)) { (text::name(object.path.name().as_str())) } } }
            }
        }
    }
}

fn head(object: &ObjectView, visitor: &Visitor) -> Markup {
    html! {
        div.head {
            h1 {
                (icons::object(&object.facts.object_type, object.facts.kind == Kind::Container))
                (text::name(object.path.name().as_str()))
            }
            span.badge.plain { (text::name(&object.facts.object_type)) }
            (badges::state(object))
            span.push {}
            @if actions::may_act_on(object, visitor) {
                a.button.primary href=(links::sync(object.id)) data-dialog { (icons::sync()) span { "Run Object Sync" } }
            }
            (actions::menu(object, visitor, "h"))
        }
        @if let Some(comment) = object.facts.comment.as_deref().filter(|c| !c.is_empty()) {
            p.comment { (text::prose(comment)) }
        }
    }
}

fn tabs(object: &ObjectView, current: Tab) -> Markup {
    let first = if object.facts.kind == Kind::Container { "Data Objects" } else { "Columns" };
    let tab = |tab: Tab, href: String, label: &str| {
        html! { a href=(href) aria-current=[(tab == current).then_some("page")] { (label) } }
    };
    html! {
        nav.tabs aria-label="Parts of this object" {
            (tab(Tab::Content, links::object(object.id), first))
            @if object.visible == Visible::Whole { (tab(Tab::Settings, links::settings(object.id), "Settings")) }
            @if object.visible == Visible::Whole { (tab(Tab::History, links::history(object.id), "History")) }
            @if object.facts.kind == Kind::Container { (tab(Tab::Changes, links::changes(object.id), "Changes")) }
            (tab(Tab::Connection, links::connection(object.id), "Connection"))
        }
    }
}

/// What is known of the object itself.
fn facts(object: &ObjectView, now: Timestamp) -> Markup {
    if object.visible != Visible::Whole {
        return html! { p.hint { "You see this only as a step on the way to what is yours." } };
    }
    let container = object.facts.kind == Kind::Container;
    let synced = if container { "Last listed" } else { "Columns read" };
    html! {
        dl.facts {
            @if container { div { dt { "Objects below" } dd { (format::count(object.child_count)) } } }
            div { dt { "Technology" } dd { (text::name(object.technology.as_str())) } }
            div { dt { (synced) } dd { (format::time_or(object.last_synced_at, now, "never")) } }
            div { dt { "Found" } dd { (format::time(object.created_at, now)) } }
            div { dt { "Changed" } dd { (format::time(object.updated_at, now)) } }
            @if let Some(why) = &object.exclusion {
                div { dt { "Excluded" } dd { (text::name(&why.to_string())) } }
            }
            @if object.facts.kind == Kind::TableLike {
                div { dt { "Data source" } dd { @if object.is_data_source() { "Yes" } @else { (why_not(object)) } } }
            }
            @if !object.namespace.is_empty() { div { dt { "Namespace" } dd { (text::name(&object.namespace)) } } }
            @if let Some(id) = &object.facts.remote_id { div { dt { "Id at the platform" } dd { (text::name(id)) } } }
            @for (name, value) in &object.facts.attributes { div { dt { (text::name(name)) } dd { (text::name(value)) } } }
        }
    }
}

fn why_not(object: &ObjectView) -> &'static str {
    match object.remote_status {
        RemoteStatus::Excluded => "No, because it is left out",
        RemoteStatus::Missing => "No, because the platform no longer has it",
        RemoteStatus::Present => "No, because it is not enabled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::ui::sample, model::job::JobState};

    #[test]
    fn the_facts_of_a_hostile_object_stay_text() {
        let mut object = sample::table(&sample::connection_object(), "x\"><img src=x onerror=alert(1)>");
        object.facts.attributes = vec![("<a>".into(), "\u{202e}gpj.exe".into())];
        object.facts.comment = Some("</p><script>1</script>".into());
        let shown = html! { (head(&object, &sample::visitor())) (facts(&object, sample::now())) }.into_string();
        assert!(!shown.contains("<img") && !shown.contains("<script") && !shown.contains("<a>"), "{shown}");
        assert!(shown.contains("\\u{202e}gpj.exe"), "{shown}");
    }

    #[test]
    fn a_step_on_the_path_offers_no_actions() {
        let mut object = sample::connection_object();
        object.visible = Visible::OnPath;
        let shown =
            html! { (head(&object, &sample::visitor())) (tabs(&object, Tab::Content)) (facts(&object, sample::now())) }
                .into_string();
        assert!(!shown.contains("/sync") && !shown.contains("/settings") && !shown.contains("/delete"), "{shown}");
    }

    #[test]
    fn who_only_looks_on_is_offered_nothing_to_do() {
        let object = sample::connection_object();
        assert!(head(&object, &sample::visitor()).into_string().contains("/sync"));
        let shown = head(&object, &sample::onlooker()).into_string();
        assert!(!shown.contains("/sync") && !shown.contains("/settings") && !shown.contains("/delete"), "{shown}");
    }

    #[test]
    fn a_container_lists_objects_and_a_table_columns() {
        let connection = sample::connection_object();
        assert!(tabs(&connection, Tab::Content).into_string().contains("Data Objects"));
        let shown = tabs(&sample::table(&connection, "t"), Tab::Settings).into_string();
        assert!(shown.contains("Columns") && !shown.contains("Data Objects"), "{shown}");
        assert_eq!(shown.matches("aria-current").count(), 1, "{shown}");
    }

    #[test]
    fn the_rows_are_fetched_again_while_a_job_runs() {
        let object = sample::connection_object();
        let mut job = sample::job(&object);
        job.state = JobState::Active;
        let query = ListQuery::default();
        let busy = live_part(&object, &[job], &query, &html! {}).into_string();
        assert!(busy.contains("data-busy") && busy.contains("Running"), "{busy}");
        assert!(!live_part(&object, &[], &query, &html! {}).into_string().contains("data-busy"));
    }
}
