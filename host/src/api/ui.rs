//! Pages for people, under `/`: rendered here, whole without any script; a small script adds dialogs, a tree that opens
//! in place, and progress that moves.
//!
//! A handler reads the store as far as its visitor may see, and hands model values to a view, a plain function from
//! values to markup. Names from platforms are hostile text: they pass through [`text`], and maud escapes the rest.
//! Knows nothing of connectors but what they say of themselves, and changes nothing but through the store's operations.

mod actions;
mod assets;
mod badges;
mod children;
mod columns;
mod connections;
mod connectors;
mod delete;
mod detail;
mod filter;
mod format;
mod frame;
mod history;
mod holds;
mod icons;
mod job;
mod jobs;
mod links;
mod listing;
mod object;
mod pin;
mod refusal;
#[cfg(test)]
mod sample;
mod schedule;
mod session;
mod settings;
mod sync;
mod text;
mod tree;

use axum::{
    Router,
    http::HeaderMap,
    middleware::from_fn,
    response::Redirect,
    routing::{get, post},
};

use super::{ApiState, error::ApiError};
use crate::{db::objects::SearchError, model::id::ObjectId};

/// The pages' routes. All but the sign-in and the static files ask for a visitor's session.
#[rustfmt::skip]
pub fn router() -> Router<ApiState> {
    Router::new()
        .route("/",                               get(async || Redirect::to("/ui/connections")))
        .route("/ui",                             get(async || Redirect::to("/ui/connections")))
        .route("/ui/login",                       get(session::show).post(session::sign_in))
        .route("/ui/logout",                      post(session::sign_out))
        .route("/ui/static/{version}/{name}",     get(assets::serve))
        .route("/ui/live",                        get(jobs::gear))
        .route("/ui/connections",                 get(connections::list))
        .route("/ui/connections/live",            get(connections::live))
        .route("/ui/tree/{id}",                   get(tree::level))
        .route("/ui/object/{id}",                 get(object::show))
        .route("/ui/object/{id}/live",            get(object::live))
        .route("/ui/object/{id}/settings",        get(settings::show).post(settings::save))
        .route("/ui/object/{id}/settings/review", post(settings::review))
        .route("/ui/object/{id}/connection",      get(detail::show))
        .route("/ui/object/{id}/schedule",        post(schedule::save))
        .route("/ui/object/{id}/filter",          post(filter::save))
        .route("/ui/object/{id}/filter/preview",  post(filter::preview))
        .route("/ui/object/{id}/history",         get(history::show))
        .route("/ui/object/{id}/changes",         get(history::below))
        .route("/ui/object/{id}/sync",            get(sync::ask).post(sync::start))
        .route("/ui/object/{id}/delete",          get(delete::ask).post(delete::confirm))
        .route("/ui/object/{id}/pin",             post(pin::save))
        .route("/ui/connectors",                  get(connectors::list).post(connectors::upload::install))
        .route("/ui/connectors/{name}",           get(connectors::one::show))
        .route("/ui/connectors/{name}/rollback",  get(connectors::ask::roll_back).post(connectors::decide::roll_back))
        .route("/ui/connectors/{name}/{version}/approve",  get(connectors::ask::approve).post(connectors::decide::approve))
        .route("/ui/connectors/{name}/{version}/activate", get(connectors::ask::activate).post(connectors::decide::activate))
        .route("/ui/connectors/{name}/{version}/remove",   get(connectors::ask::remove).post(connectors::decide::remove))
        .route("/ui/holds/{id}/{verb}",           get(holds::ask).post(holds::decide))
        .route("/ui/jobs",                        get(jobs::list))
        .route("/ui/jobs/live",                   get(jobs::live))
        .route("/ui/jobs/{id}",                   get(job::show))
        .route("/ui/jobs/{id}/live",              get(job::live))
        .route("/ui/jobs/{id}/changes",           get(history::of_job))
        .route("/ui/jobs/{id}/cancel",            post(jobs::cancel))
        .layer(from_fn(refusal::around))
}

/// Whether the script asks for a part of a page.
fn wants_fragment(headers: &HeaderMap) -> bool {
    headers.contains_key("x-fragment")
}

fn object_id(text: &str) -> Result<ObjectId, ApiError> {
    text.parse().map_err(|_| no_such_object())
}

fn no_such_object() -> ApiError {
    ApiError::not_found("there is no such object").hint("it was deleted, or you do not see it")
}

fn search_error(error: SearchError) -> ApiError {
    match error {
        SearchError::NotFound => no_such_object(),
        SearchError::Cursor => ApiError::bad_request("cursor", "the cursor is not one of this search"),
        SearchError::Db(error) => error.into(),
    }
}
