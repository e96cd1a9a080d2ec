//! Data → Connections: the list of registered accounts (F110).

use std::collections::HashMap;

use axum::{extract::State, http::Uri, response::Response};
use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    actions, badges, format,
    frame::{self, Frame, Section},
    icons, jobs, links,
    listing::{ListQuery, Part},
    session::Visitor,
    text, tree,
};
use crate::{
    api::{ApiState, error::ApiError},
    db::objects::Hits,
    model::{
        id::ConnectionId,
        job::{Job, JobState},
        name::Technology,
        object::ObjectView,
    },
};

const BASE: &str = "/ui/connections";

/// The jobs that a row tells about.
#[derive(Default)]
pub(super) struct Doing {
    /// Not ended, in order of creation.
    pub(super) running: Vec<Job>,
    /// The sync that ended last.
    pub(super) last: Option<Job>,
}

/// The page.
pub(super) async fn list(State(state): State<ApiState>, visitor: Visitor, uri: Uri) -> Result<Response, ApiError> {
    let query = ListQuery::of(&uri);
    let running = state.db.unfinished_jobs(visitor.caller.sight()).await?;
    let count = running.len();
    let table = load_table(&state, &visitor, &query, running).await?;
    let open = tree::wanted(&query, &[]);
    let tree = tree::load(&state.db, visitor.caller.sight(), open).await?;
    let main = html! {
        h1 { "Connections" }
        p.hint { "Each connection registers a whole account with one set of credentials. What is in it is found by object sync." }
        (table)
    };
    let frame = Frame {
        title: "Connections",
        section: Section::Connections,
        visitor: &visitor,
        running: count,
        beside: Some(tree::view(&tree, &query, BASE, None)),
    };
    Ok(frame.page(&main))
}

/// The table alone, while jobs run.
pub(super) async fn live(State(state): State<ApiState>, visitor: Visitor, uri: Uri) -> Result<Response, ApiError> {
    let running = state.db.unfinished_jobs(visitor.caller.sight()).await?;
    Ok(frame::fragment(load_table(&state, &visitor, &ListQuery::of(&uri), running).await?))
}

async fn load_table(
    state: &ApiState,
    visitor: &Visitor,
    query: &ListQuery,
    running: Vec<Job>,
) -> Result<Markup, ApiError> {
    let sight = visitor.caller.sight();
    let mut search = query.search(None);
    search.recursive = false;
    let hits = state.db.search(sight, search).await.map_err(super::search_error)?;
    let mut doing: HashMap<ConnectionId, Doing> = HashMap::new();
    for job in state.db.last_syncs(sight).await? {
        let connection = job.connection;
        doing.entry(connection).or_default().last = Some(job);
    }
    for job in running {
        doing.entry(job.connection).or_default().running.push(job);
    }
    let installed = state.connectors.list().iter().map(|c| c.descriptor.technology.clone()).collect::<Vec<_>>();
    Ok(table(&hits, query, &doing, &installed, visitor, state.clock.now()))
}

/// The table, or what to do where there is nothing yet.
pub(super) fn table(
    hits: &Hits,
    query: &ListQuery,
    doing: &HashMap<ConnectionId, Doing>,
    installed: &[Technology],
    visitor: &Visitor,
    now: Timestamp,
) -> Markup {
    let busy = doing.values().any(|d| !d.running.is_empty());
    let none = Doing::default();
    html! {
        div #connections data-live=(query.href("/ui/connections/live", &[])) data-busy[busy] aria-busy=(busy) {
            @if hits.hits.is_empty() && !query.is_filtered() && query.page() == 1 {
                (how_to_register(installed))
            } @else {
                (query.filter_form(BASE, &[], false))
                div.scroll {
                    table {
                        thead { tr {
                            (query.head(BASE, "name", "Name", ""))
                            th.wide scope="col" { "Technology" }
                            (query.head(BASE, "state", "State", ""))
                            th.num.wide scope="col" { "Objects" }
                            th.wide scope="col" { "Last sync" }
                            th scope="col" { "Health" }
                            th.act scope="col" { "Action" }
                        } }
                        tbody {
                            @for object in &hits.hits {
                                (row(object, doing.get(&object.connection).unwrap_or(&none), visitor, now))
                            }
                            @if hits.hits.is_empty() { tr { td colspan="7" { "No connection matches." } } }
                        }
                    }
                }
                (query.pager(BASE, &Part::of(hits)))
            }
        }
    }
}

fn row(object: &ObjectView, doing: &Doing, visitor: &Visitor, now: Timestamp) -> Markup {
    html! {
        tr {
            td { a.object href=(links::object(object.id)) {
                (icons::object("connection", true)) (text::name(object.path.name().as_str()))
            } }
            td.wide { (text::name(object.technology.as_str())) }
            td { (badges::state(object)) }
            td.num.wide { (format::count(object.child_count)) }
            td.wide { (format::time_or(object.last_synced_at, now, "never")) }
            td { (health(doing)) }
            td.act { (actions::menu(object, visitor, "c")) }
        }
    }
}

/// What the connection does, or how its last job went.
fn health(doing: &Doing) -> Markup {
    html! {
        @if let Some(job) = doing.running.first() {
            a href=(links::job(job.id)) { (badges::job(job)) }
            (jobs::progress(job))
        } @else if let Some(job) = &doing.last {
            @match (job.state, &job.error) {
                (JobState::Completed, _) if !job.holds.is_empty() => a href=(links::job(job.id)) { (badges::held()) },
                (JobState::Completed, _) if job.counts.errors == 0 => span.badge.good { "Healthy" },
                (JobState::Completed, _) => a.badge.warn href=(links::job(job.id)) {
                    (format::counted(job.counts.errors, "error", "errors"))
                },
                (_, Some(error)) => a.badge.bad href=(links::job(job.id)) title=(text::plain(&error.message)) {
                    (text::name(&error.code))
                },
                _ => a href=(links::job(job.id)) { (badges::job(job)) },
            }
        } @else {
            span.faint { "No sync yet" }
        }
    }
}

fn how_to_register(installed: &[Technology]) -> Markup {
    let technology = installed.first().map_or("…", |t| t.as_str());
    // Text in JSON in a shell's quotes.
    let technology = serde_json::Value::from(technology).to_string().replace('\'', "'\\''");
    html! {
        div.empty {
            p { strong { "No connections yet." } }
            p { "Register an account with the API; its first sync starts by itself. "
                a href="/docs" { "The documentation of the API" } " lists what the connector wants to know." }
            pre { code {
                "curl -X POST " span.faint { "http://this-host" } "/data/connection \\\n"
                "  -H 'Authorization: Bearer " span.faint { "YOUR-KEY" } "' -H 'Content-Type: application/json' \\\n"
                "  -d '{\"connectionKey\": \"My Connection\", \"connection\": {\"technology\": " (technology) ", "
                span.faint { "…" } "}}'"
            } }
            p.hint {
                @if installed.is_empty() { "No connector is installed." }
                @else {
                    "Installed: "
                    @for (i, technology) in installed.iter().enumerate() {
                        @if i > 0 { ", " } (text::name(technology.as_str()))
                    }
                    "."
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ui::sample;

    fn hits(objects: Vec<ObjectView>) -> Hits {
        Hits { count: objects.len() as u64, hits: objects, count_is_lower_bound: false, next: None }
    }

    #[test]
    fn an_empty_list_says_how_to_begin() {
        let installed = ["Simulated <Lake>".parse().expect("technology")];
        let query = ListQuery::default();
        let shown =
            table(&hits(vec![]), &query, &HashMap::new(), &installed, &sample::visitor(), sample::now()).into_string();
        assert!(shown.contains("POST") && shown.contains("Simulated &lt;Lake&gt;"), "{shown}");
    }

    #[test]
    fn a_row_tells_state_size_and_health() {
        let object = sample::connection_object();
        let mut job = sample::job(&object);
        job.state = JobState::Completed;
        let doing = HashMap::from([(object.connection, Doing { running: vec![], last: Some(job.clone()) })]);
        let query = ListQuery::default();
        let shown =
            table(&hits(vec![object.clone()]), &query, &doing, &[], &sample::visitor(), sample::now()).into_string();
        assert!(shown.contains("Healthy") && shown.contains("1,234") && shown.contains("Run Object Sync"), "{shown}");
        assert!(!shown.contains("data-busy"), "{shown}");

        let running = Doing { running: vec![Job { state: JobState::Active, ..job }], last: None };
        let doing = HashMap::from([(object.connection, running)]);
        let shown = table(&hits(vec![object]), &query, &doing, &[], &sample::visitor(), sample::now()).into_string();
        assert!(shown.contains("Running") && shown.contains("data-busy"), "{shown}");
    }
}
