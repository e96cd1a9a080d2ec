//! Every route of the API on one screen, with what it demands of its caller.
//!
//! The table is the only way in: from it come the router, the check of the caller, which stands before the handler so
//! that none can forget it, the OpenAPI document, and the test that calls every route as somebody who sees two subtrees.

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

use super::{ApiState, caller, error::ApiError, operations};
use crate::model::principal::Permission;

const ADMIN: Access = Access::Any(&[Permission::ApplicationAdmin]);

/// The table.
#[must_use]
#[rustfmt::skip]
pub fn table() -> Vec<Route> {
    use Access::Public;
    vec![
        get("/healthz",      Public, "The process runs",                     operations::healthz).gives::<operations::Health>(200),
        get("/readyz",       Public, "The host can take requests",           operations::readyz).gives::<operations::Health>(200),
        get("/openapi.json", Public, "This document",                        operations::openapi).gives::<serde_json::Value>(200),
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
    /// Status of success.
    pub status: u16,
    /// Body of success.
    pub response: Option<SchemaOf>,
    handler: MethodRouter<ApiState>,
}

impl Route {
    /// The body it takes.
    #[must_use]
    fn takes<T: JsonSchema>(mut self) -> Self {
        self.request = Some(SchemaGenerator::subschema_for::<T>);
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
    Route { method, path, access, summary, query: Vec::new(), request: None, status: 200, response: None, handler }
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
    table().into_iter().fold(Router::new(), |router, route| {
        let guarded = from_fn_with_state((state.clone(), route.access), guard);
        route
            .paths()
            .into_iter()
            .fold(router, |router, path| router.route(path, route.handler.clone().layer(guarded.clone())))
    })
}

/// Stands before every handler of the table.
async fn guard(
    State((state, access)): State<(ApiState, Access)>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if access != Access::Public {
        let caller = caller::resolve(&state, request.method(), request.headers()).await?;
        if let Access::Any(permissions) = access
            && !caller.has_any(permissions)
        {
            return Err(ApiError::forbidden(format!("this needs {}", names(permissions).join(" or "))));
        }
        request.extensions_mut().insert(caller);
    }
    Ok(next.run(request).await)
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
