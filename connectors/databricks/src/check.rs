//! Whether a connection works, capability by capability, and what is missing where something is.
//!
//! A token without any right is a warning: rights may come later. What fails is an address that is no Unity Catalog,
//! and credentials that are refused.

mod rights;

use wharfinger_sdk::{Context, Error, Outcome, Status, codes, http::Response};

use crate::{
    config::Config,
    objects,
    parse::{self, Entry, Problem},
    request::{self, Call, Columns, Container},
};

/// Empty pages that are read before the metastore counts as empty to us.
const EMPTY_PAGES: usize = 5;

/// What the catalogs' first page says.
struct Catalogs {
    visible: Vec<Visible>,
    metastore: Option<String>,
}

/// A container that we can see.
struct Visible {
    name: String,
    browse_only: bool,
}

impl From<&Entry> for Visible {
    fn from(entry: &Entry) -> Self {
        Self { name: entry.name.clone(), browse_only: entry.browse_only == Some(true) }
    }
}

/// One outcome per capability, and one for each container in which a right is missing.
pub(crate) fn run(cx: &Context<Config>) -> Vec<Outcome> {
    let summary = send(cx, &request::metastore_summary());
    let mut outcomes = Vec::new();
    if let Some(stop) = unusable("read the metastore's summary", &summary, Stage::Probe) {
        outcomes.extend(stop);
        return finish(outcomes);
    }
    let first = send(cx, &request::list(Container::Metastore, 0, None, Columns::Without));
    if let Some(stop) = unusable(&Container::Metastore.listing(), &first, Stage::Listing) {
        outcomes.extend(stop);
        return finish(outcomes);
    }
    outcomes.push(Outcome::new("reach", Status::Passed, format!("{} answers as Unity Catalog.", cx.origin())));
    let listed = first.and_then(|response| catalogs(cx, response));
    outcomes.push(authenticated(cx, summary.ok().as_ref(), listed.as_ref().ok()));
    match listed {
        Ok(catalogs) => outcomes.extend(rights::probe(cx, &catalogs.visible)),
        Err(error) => outcomes.push(not_listed(&error)),
    }
    finish(outcomes)
}

fn send(cx: &Context<Config>, call: &Call) -> Result<Response, Error> {
    call.with(cx).send()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A call that some servers do not have.
    Probe,
    /// The call that every server has.
    Listing,
}

/// The outcomes of an answer with which nothing further can be found out; none if it can.
fn unusable(what: &str, answer: &Result<Response, Error>, stage: Stage) -> Option<Vec<Outcome>> {
    let failed = |capability: &str, error: &Error| {
        let mut outcome = Outcome::new(capability, Status::Failed, error.message.clone());
        outcome.hint = error.detail.clone();
        outcome
    };
    let reached = || Outcome::new("reach", Status::Passed, "The server answers.");
    match answer {
        Err(error) if error.is(codes::UNAUTHENTICATED) || error.is(codes::INVALID_CONFIG) => {
            Some(vec![reached(), failed("authenticate", error)])
        }
        Err(error) => Some(vec![failed("reach", error)]),
        Ok(response) if response.is_success() => match (stage, parse::listed(response)) {
            (Stage::Listing, Err(error)) => Some(vec![failed("reach", &error).hint(CHECK_ADDRESS)]),
            _ => None,
        },
        Ok(response) => {
            let (problem, error) = (Problem::of(response), parse::error_for(what, response));
            if problem.refuses_credential() {
                return Some(vec![reached(), failed("authenticate", &error).hint(CHECK_CREDENTIALS)]);
            }
            let not_there = stage == Stage::Listing && !error.is(codes::PERMISSION_DENIED);
            let elsewhere = error.is(codes::INVALID_CONFIG);
            (not_there || elsewhere).then(|| vec![failed("reach", &error).hint(CHECK_ADDRESS)])
        }
    }
}

const CHECK_ADDRESS: &str = "Check host name and port: they must be those of a Databricks workspace, or of a server \
                             with the Unity Catalog API.";
const CHECK_CREDENTIALS: &str = "Check that the token, or the service principal's id and secret, belong to this \
                                 workspace and have not expired or been revoked.";

/// Reads the catalogs, past pages that were filtered empty.
fn catalogs(cx: &Context<Config>, mut response: Response) -> Result<Catalogs, Error> {
    for _ in 0..EMPTY_PAGES {
        if !response.is_success() {
            return Err(parse::error_for(&Container::Metastore.listing(), &response));
        }
        let page = parse::listed(&response)?;
        let token = page.next_page_token.filter(|token| !token.is_empty());
        match token {
            Some(token) if page.entries.is_empty() => {
                response = send(cx, &request::list(Container::Metastore, 0, Some(&token), Columns::Without))?;
            }
            _ => {
                let metastore = page.entries.iter().find_map(|entry| entry.metastore_id.clone());
                let is_listed = |entry: &&Entry| {
                    !objects::is_internal(entry) && cx.filter().keeps(std::slice::from_ref(&entry.name))
                };
                let visible = page.entries.iter().filter(is_listed).map(Visible::from);
                return Ok(Catalogs { visible: visible.collect(), metastore });
            }
        }
    }
    Ok(Catalogs { visible: Vec::new(), metastore: None })
}

/// Who we are, and what tells this metastore from others: from the first of three answers that says so.
fn authenticated(cx: &Context<Config>, summary: Option<&Response>, catalogs: Option<&Catalogs>) -> Outcome {
    let successful = |response: &&Response| response.is_success();
    let named = summary.filter(successful).and_then(parse::metastore);
    let (id, name) = match named {
        Some(metastore) => (Some(metastore.metastore_id), metastore.name),
        None => {
            let assigned = send(cx, &request::metastore_assignment()).ok().filter(Response::is_success);
            let assigned = assigned.as_ref().and_then(parse::metastore).map(|metastore| metastore.metastore_id);
            (assigned.or_else(|| catalogs.and_then(|catalogs| catalogs.metastore.clone())), None)
        }
    };
    let outcome = match (&id, name) {
        (Some(_), Some(name)) => Outcome::new(
            "authenticate",
            Status::Passed,
            format!("The platform accepts the credentials; the metastore is `{name}`."),
        ),
        (Some(id), None) => Outcome::new(
            "authenticate",
            Status::Passed,
            format!("The platform accepts the credentials; the metastore is {id}."),
        ),
        (None, _) => Outcome::new(
            "authenticate",
            Status::Warning,
            "The platform accepts the credentials, but does not say which metastore this is.",
        )
        .hint("A second connection to the same metastore cannot be recognised."),
    };
    let outcome = outcome.basis(cx.config().identity());
    match id {
        Some(id) => outcome.identity(id),
        None => outcome,
    }
}

/// Catalogs cannot be listed: without the right to that is a warning.
fn not_listed(error: &Error) -> Outcome {
    let status = if error.is(codes::PERMISSION_DENIED) { Status::Warning } else { Status::Failed };
    Outcome::new("list-containers", status, error.message.clone())
        .hint("Grant USE CATALOG, USE SCHEMA and SELECT (or BROWSE) on what is to be listed.")
}

/// Adds what was not tried.
fn finish(mut outcomes: Vec<Outcome>) -> Vec<Outcome> {
    for capability in ["reach", "authenticate", "list-containers", "list-columns"] {
        if !outcomes.iter().any(|outcome| outcome.capability == capability) {
            let why = "Not tried, because something before it did not work.";
            outcomes.push(Outcome::new(capability, Status::Skipped, why));
        }
    }
    outcomes
}
