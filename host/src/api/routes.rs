//! Every route of the API on one screen, with what it demands of its caller.
//!
//! The table is the only way in: from it come the router, the check of the caller, which stands before the handler so
//! that none can forget it, the OpenAPI document, and the test that calls every route as somebody who sees two subtrees.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{
    Router,
    extract::{Request, State},
    handler::Handler,
    http::Method,
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::{MethodFilter, MethodRouter, on},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{
    ApiState,
    audit::{self, AuditJson},
    caller::{self, Caller},
    changes::{self, ChangesJson, HistoryJson},
    connections::{
        self, ConnectionJson, CreateConnection, FilterInput, PreviewJson, Registered, TestResult, UpdateConnection,
    },
    connectors::{self, ActivateBody, ApproveBody, ConnectorDetail, ConnectorJson, InstalledJson, RolledBackJson},
    docs,
    error::ApiError,
    explain::{self, ExplainJson},
    holds::{self, DecidedJson, HoldsJson},
    jobs::{self, JobJson, JobsPage, StatusesBody, SummaryJson},
    metrics,
    objects::{self, ColumnsJson, CrawlBody, DeletedJson, HitsJson, ObjectJson, Queued, SearchBody},
    operations::{self, Health, Verified},
    settings::{self, SettingsBody, SettingsChanged},
};
use crate::model::principal::Permission;

const ADMIN: Access = Access::Any(&[Permission::ApplicationAdmin]);
/// Who manages connections and every object.
pub(super) const MANAGERS: &[Permission] = &[Permission::ApplicationAdmin, Permission::Governance];
const MANAGE: Access = Access::Any(MANAGERS);

/// The table.
#[must_use]
#[rustfmt::skip]
pub fn table() -> Vec<Route> {
    use Access::{Owned, Public, Seen};
    vec![
        post("/data/connection",            ADMIN,  "Register a connection; starts its first sync",    connections::create).takes::<CreateConnection>().gives::<Registered>(201),
        post("/data/connection/test",       ADMIN,  "Try a connection's payload, store nothing",       connections::test).takes::<CreateConnection>().gives::<TestResult>(200),
        get("/data/connection/{*path}",     Seen,   "A connection, without its secrets",               connections::get).gives::<ConnectionJson>(200),
        put("/data/connection/{*path}",     MANAGE, "Change credentials or options, after a test",     connections::put).takes::<UpdateConnection>().gives::<ConnectionJson>(200).revisioned(),
        post("/data/filter/{*path}",        MANAGE, "What include and exclude patterns would leave of a connection, store nothing", connections::preview).takes::<FilterInput>().gives::<PreviewJson>(200),
        get("/data/object/{*path}",         Seen,   "An object",                                       objects::get).gives::<ObjectJson>(200),
        get("/data/columns/{*path}",        Seen,   "The columns of an object",                        objects::columns).gives::<ColumnsJson>(200),
        post("/data/object/search/{*path}", Seen,   "Children or descendants; without a path, the connections", objects::search).takes::<SearchBody>().gives::<HitsJson>(200),
        delete("/data/object/{*path}",      Owned,  "Remove an object from the inventory with all below; a connection is deregistered", objects::delete).gives::<DeletedJson>(200),
        post("/data/crawl/{*path}",         Owned,  "Start a sync of an object and everything below, or a dry run of one; without a path, of several", objects::crawl).takes::<CrawlBody>().gives::<Queued>(202),
        put("/data/settings/{*path}",       Owned,  "Change status or new-object rule",                settings::put).takes::<SettingsBody>().gives::<SettingsChanged>(200).revisioned().query("dryRun", "true: only say what it would do"),
        get("/data/history/{*path}",        Seen,   "What happened at an object, the newest first",    changes::history).gives::<HistoryJson>(200).queries(&changes::FEED_PARAMETERS),
        get("/data/changes/{*path}",        Seen,   "What happened at an object and everything below, in the order of commits", changes::below).gives::<ChangesJson>(200).queries(&changes::FEED_PARAMETERS),
        get("/data/explain/{*path}",        Seen,   "Why an object is enabled or disabled, missing or left out", explain::get).gives::<ExplainJson>(200),
        get("/jobs",                        Seen,   "Jobs, newest first",                              jobs::list).gives::<Vec<JobJson>>(200).query("bulkId", "Only those that were asked for together"),
        get("/jobs/search",                 Seen,   "Jobs by type, state and time",                    jobs::search).gives::<JobsPage>(200).queries(&jobs::SEARCH_PARAMETERS),
        get("/jobs/summary",                Seen,   "The jobs at a glance, and how each connection stands", jobs::summary).gives::<SummaryJson>(200),
        get("/jobs/events",                 Seen,   "Jobs as they change: server-sent events, each a job",  jobs::events).queries(&jobs::EVENT_PARAMETERS),
        post("/jobs/statuses",              Seen,   "Several jobs by id; can wait for them to end",    jobs::statuses).takes::<StatusesBody>().gives::<BTreeMap<String, Option<JobJson>>>(200),
        get("/jobs/{id}",                   Seen,   "A job",                                           jobs::get).gives::<JobJson>(200),
        get("/jobs/{id}/changes",           Seen,   "What a job changed, in order; of a dry run what it would", changes::of_job).gives::<ChangesJson>(200).queries(&changes::FEED_PARAMETERS),
        post("/jobs/{id}/cancel",           Owned,  "Stop a job",                                      jobs::cancel).gives::<JobJson>(200),
        post("/jobs/{id}/release",          Owned,  "Let everything that a sync holds back become missing", holds::decide_job).gives::<Vec<DecidedJson>>(200),
        post("/jobs/{id}/reject",           Owned,  "Let nothing that a sync holds back become missing", holds::decide_job).gives::<Vec<DecidedJson>>(200),
        get("/holds/{*path}",               Seen,   "What is proved to be absent and held back; in, below and together with an object, or everywhere", holds::list).gives::<HoldsJson>(200).queries(&holds::LIST_PARAMETERS),
        post("/holds/{id}/release",         Owned,  "Let what a hold has become missing, where it is still absent", holds::decide).gives::<DecidedJson>(200).revisioned().at("/holds/{*path}"),
        post("/holds/{id}/reject",          Owned,  "Let nothing of a hold become missing",            holds::decide).gives::<DecidedJson>(200).revisioned().at("/holds/{*path}"),
        get("/connectors",                  ADMIN,  "The connectors that are installed",               connectors::list).gives::<Vec<ConnectorJson>>(200),
        post("/connectors",                 ADMIN,  "Install a component, sent as it is or in a form; it serves nobody yet", connectors::install).takes_one_of(connectors::install_bodies).gives::<InstalledJson>(201).queries(&connectors::INSTALL_PARAMETERS),
        get("/connectors/{name}",           ADMIN,  "A connector with its versions and how its activation stands", connectors::get).gives::<ConnectorDetail>(200),
        post("/connectors/{name}/rollback", ADMIN,  "End the activation, or else the canary, or else go back to the version before", connectors::roll_back).gives::<RolledBackJson>(200).revisioned(),
        delete("/connectors/{name}/{version}", ADMIN, "Remove a version that nobody needs",            connectors::remove).gives::<()>(204),
        post("/connectors/{name}/{version}/approve", ADMIN, "Grant a version the permissions that it waits for", connectors::approve).takes::<ApproveBody>().gives::<ConnectorDetail>(200),
        post("/connectors/{name}/{version}/activate", ADMIN, "Begin to activate a version, for all or for chosen connections", connectors::activate).takes::<ActivateBody>().gives::<ConnectorDetail>(202).revisioned(),
        get("/audit",                       ADMIN,  "Who did what, the newest first",                  audit::list).gives::<AuditJson>(200).queries(&audit::AUDIT_PARAMETERS),
        get("/audit/events",                ADMIN,  "What is done, as it is: server-sent events, each an entry of the audit", audit::events).queries(&audit::EVENT_PARAMETERS),
        post("/verify",                     ADMIN,  "Check the store against its own rules",           operations::verify).gives::<Verified>(200),
        get("/healthz",                     Public, "The process runs",                                operations::healthz).gives::<Health>(200),
        get("/readyz",                      Public, "The host can take requests",                      operations::readyz).gives::<Health>(200),
        get("/metrics",                     ADMIN,  "Counters of the host and its connectors, as Prometheus reads them", metrics::get),
        get("/openapi.json",                Public, "The API as an OpenAPI document",                  operations::openapi).gives::<serde_json::Value>(200),
        get("/docs",                        Public, "The API for people",                              docs::page),
    ]
}

/// What a route demands of its caller. What a caller sees of the inventory is the store's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing, not even a key.
    Public,
    /// A known caller. The answer holds what the caller sees; what the caller does not see is 404.
    Seen,
    /// A known caller who sees the whole object: its owner, or the owner of an ancestor.
    Owned,
    /// A caller with one of these global permissions.
    Any(&'static [Permission]),
}

/// A schema of a body, added to the document's components.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One row of the table.
pub struct Route {
    /// HTTP method.
    pub method: Method,
    /// As in the URL; `{*path}` at the end is an object's path, and such a route exists without it too, for `?id=`.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// One line for people.
    pub summary: &'static str,
    /// Query parameters besides those that name an object: name and meaning.
    pub query: Vec<(&'static str, &'static str)>,
    /// Body that it takes.
    pub request: Option<SchemaOf>,
    /// Bodies that it takes instead, by their content type, where they are not JSON.
    pub bodies: Option<fn() -> serde_json::Value>,
    /// Whether it heeds `If-Match`.
    pub revisioned: bool,
    /// Status of success.
    pub status: u16,
    /// Body of success.
    pub response: Option<SchemaOf>,
    /// The router's pattern, where rows share one.
    shared: Option<&'static str>,
    handler: MethodRouter<ApiState>,
}

impl Route {
    /// The body it takes.
    #[must_use]
    fn takes<T: JsonSchema>(mut self) -> Self {
        self.request = Some(SchemaGenerator::subschema_for::<T>);
        self
    }

    /// Bodies by their content type, as the document has them.
    #[must_use]
    fn takes_one_of(mut self, bodies: fn() -> serde_json::Value) -> Self {
        self.bodies = Some(bodies);
        self
    }

    /// The answer of success.
    #[must_use]
    fn gives<T: JsonSchema>(mut self, status: u16) -> Self {
        self.status = status;
        self.response = Some(SchemaGenerator::subschema_for::<T>);
        self
    }

    /// A query parameter.
    #[must_use]
    fn query(mut self, name: &'static str, meaning: &'static str) -> Self {
        self.query.push((name, meaning));
        self
    }

    /// Query parameters.
    #[must_use]
    fn queries(mut self, parameters: &[(&'static str, &'static str)]) -> Self {
        self.query.extend_from_slice(parameters);
        self
    }

    /// It heeds `If-Match`.
    #[must_use]
    fn revisioned(mut self) -> Self {
        self.revisioned = true;
        self
    }

    /// The router cannot tell it from another row of this pattern: they share a handler, which reads the rest.
    #[must_use]
    fn at(mut self, pattern: &'static str) -> Self {
        self.shared = Some(pattern);
        self
    }

    /// Names of all query parameters that it takes on a path.
    fn parameters(&self, path: &str) -> Arc<[&'static str]> {
        let object = match (self.path.ends_with("{*path}"), path.ends_with("{*path}")) {
            (true, true) => Some("namespace"),
            (true, false) => Some("id"),
            _ => None,
        };
        self.query.iter().map(|(name, _)| *name).chain(object).collect()
    }

    /// The paths under which it answers.
    #[must_use]
    pub fn paths(&self) -> Vec<&'static str> {
        match self.path.strip_suffix("/{*path}") {
            Some(bare) => vec![bare, self.path],
            None => vec![self.path],
        }
    }
}

fn route<H, T>(method: Method, path: &'static str, access: Access, summary: &'static str, handler: H) -> Route
where
    H: Handler<T, ApiState>,
    T: 'static,
{
    let filter = match method {
        Method::POST => MethodFilter::POST,
        Method::PUT => MethodFilter::PUT,
        Method::DELETE => MethodFilter::DELETE,
        _ => MethodFilter::GET,
    };
    let handler = on(filter, handler);
    Route {
        method,
        path,
        access,
        summary,
        query: Vec::new(),
        request: None,
        bodies: None,
        revisioned: false,
        status: 200,
        response: None,
        shared: None,
        handler,
    }
}

fn get<H: Handler<T, ApiState>, T: 'static>(
    path: &'static str,
    access: Access,
    summary: &'static str,
    handler: H,
) -> Route {
    route(Method::GET, path, access, summary, handler)
}

fn post<H: Handler<T, ApiState>, T: 'static>(
    path: &'static str,
    access: Access,
    summary: &'static str,
    handler: H,
) -> Route {
    route(Method::POST, path, access, summary, handler)
}

fn put<H: Handler<T, ApiState>, T: 'static>(
    path: &'static str,
    access: Access,
    summary: &'static str,
    handler: H,
) -> Route {
    route(Method::PUT, path, access, summary, handler)
}

fn delete<H: Handler<T, ApiState>, T: 'static>(
    path: &'static str,
    access: Access,
    summary: &'static str,
    handler: H,
) -> Route {
    route(Method::DELETE, path, access, summary, handler)
}

/// The router of the table.
pub(super) fn mount(state: &ApiState) -> Router<ApiState> {
    let mut router = Router::new();
    let mut shared = BTreeSet::new();
    for route in table() {
        if route.shared.is_some_and(|pattern| !shared.insert((route.method.to_string(), pattern))) {
            continue;
        }
        for path in route.shared.map_or_else(|| route.paths(), |pattern| vec![pattern]) {
            let gate = Gate { state: state.clone(), access: route.access, parameters: route.parameters(path) };
            router = router.route(path, route.handler.clone().layer(from_fn_with_state(gate, guard)));
        }
    }
    router
}

/// What the guard of one route knows.
#[derive(Clone)]
struct Gate {
    state: ApiState,
    access: Access,
    parameters: Arc<[&'static str]>,
}

/// Stands before every handler of the table.
async fn guard(State(gate): State<Gate>, mut request: Request, next: Next) -> Result<Response, ApiError> {
    if gate.access != Access::Public {
        let caller = caller::resolve(&gate.state, request.method(), request.headers()).await?;
        match gate.access {
            Access::Any(permissions) if !caller.has_any(permissions) => {
                return Err(ApiError::forbidden(format!("this needs {}", names(permissions).join(" or "))));
            }
            Access::Owned => may_act(&caller)?,
            _ => {}
        }
        request.extensions_mut().insert(caller);
    }
    only_known(&gate.parameters, request.uri().query().unwrap_or_default())?;
    Ok(next.run(request).await)
}

/// What [`Access::Owned`] demands before the object is known; the pages' actions demand it too. Seeing everything
/// without managing it is looking on: acting takes a permission, or owning.
pub(super) fn may_act(caller: &Caller) -> Result<(), ApiError> {
    if caller.sees_all() && !caller.has_any(MANAGERS) {
        let message = format!("this needs {}, or owning the object", names(MANAGERS).join(" or "));
        return Err(ApiError::forbidden(message));
    }
    Ok(())
}

/// A misspelt parameter must not pass for one that was left out.
fn only_known(parameters: &[&str], query: &str) -> Result<(), ApiError> {
    for (name, _) in url::form_urlencoded::parse(query.as_bytes()) {
        if !parameters.contains(&&*name) {
            let known = if parameters.is_empty() { "none".to_owned() } else { parameters.join(", ") };
            let message = format!("in the query string: unknown parameter `{name}`, expected {known}");
            return Err(ApiError::bad_request("invalid-query", message));
        }
    }
    Ok(())
}

/// Permissions as the API spells them.
#[must_use]
pub fn names(permissions: &[Permission]) -> Vec<String> {
    permissions
        .iter()
        .map(|p| match p {
            Permission::ApplicationAdmin => "APPLICATION_ADMIN",
            Permission::Governance => "GOVERNANCE",
            Permission::CreateDataSource => "CREATE_DATA_SOURCE",
            Permission::UserAdmin => "USER_ADMIN",
        })
        .map(str::to_owned)
        .collect()
}
