//! Reading the columns of named tables: one request each for a few, the listing for many.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use wharfinger_sdk::{
    ColumnsRequest, Context, Error, Flow, Full, MAX_OBJECTS, Page, Pager, ReadRequest, codes, cursor,
    http::{RequestBuilder, Response},
};

use crate::{
    config::Config,
    listing, objects,
    parse::{self, Entry, Problem},
    request::{self, Columns, Container},
};

/// Up to so many tables are asked for one by one.
const FEW: usize = 100;
/// Requests at a time, the host willing.
const PARALLEL: u32 = 8;
/// Version of the cursors below.
const CURSOR: u32 = 1;

/// Where to go on: the host names only what is still open, so little is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct At {
    /// Place in the listing, once it was begun.
    listing: Option<String>,
    /// Whether the listing has ended: what is still open is not there.
    ended: bool,
}

/// The columns of the named tables of a schema.
pub(crate) fn read(cx: &Context<Config>, request: &ColumnsRequest) -> Result<Page, Error> {
    let at: At = cursor::read(CURSOR, request.cursor.as_deref())?;
    let Some(container @ Container::Schema(..)) = Container::at(&request.scope) else {
        return Err(Error::unsupported("Only tables have columns."));
    };
    if at.ended {
        return not_there(request);
    }
    let calls: Option<Vec<_>> = request.names.iter().map(|name| request::get(container, name)).collect();
    match calls {
        Some(calls) if calls.len() <= FEW => one_by_one(cx, container, request, calls.iter().map(|call| call.with(cx))),
        _ => by_listing(cx, request, at),
    }
}

/// Lists the schema with columns and keeps the named tables. What it does not have is an error in the end.
fn by_listing(cx: &Context<Config>, request: &ColumnsRequest, at: At) -> Result<Page, Error> {
    let partition = listing::plan(&request.scope)?.remove(0);
    let read = ReadRequest { partition, want_columns: true, cursor: at.listing, extra: Vec::new() };
    let mut page = listing::read(cx, &read)?;
    let mut open: HashSet<&String> = request.names.iter().collect();
    page.objects.retain(|object| object.path.last().is_some_and(|name| open.remove(name)));
    let complete = page.listed.pop().is_some();
    let at = match page.next.take() {
        Some(next) => At { listing: Some(next), ended: false },
        None if complete && !open.is_empty() => At { listing: None, ended: true },
        None => return Ok(page),
    };
    page.next = Some(cursor::write(CURSOR, &at)?);
    Ok(page)
}

/// Says of as many as a page holds that they are not there.
fn not_there(request: &ColumnsRequest) -> Result<Page, Error> {
    let mut pager = Pager::new();
    let told = MAX_OBJECTS - 1;
    for name in request.names.iter().take(told) {
        let path = [&request.scope[..], std::slice::from_ref(name)].concat();
        pager.error(Error::not_found("The listing of its schema no longer has it.").at(path));
    }
    let more = request.names.len() > told;
    let next = if more { Some(cursor::write(CURSOR, &At { listing: None, ended: true })?) } else { None };
    Ok(pager.finish(next))
}

/// Asks for each table. What fails for now stays open and is asked again, as long as anything gets on.
fn one_by_one(
    cx: &Context<Config>,
    container: Container<'_>,
    request: &ColumnsRequest,
    calls: impl Iterator<Item = RequestBuilder>,
) -> Result<Page, Error> {
    let mut pager = Pager::new();
    let mut open = request.names.len();
    let mut failure: Option<Error> = None;
    cx.http().send_all(calls, PARALLEL, |index, result| {
        let Some(name) = request.names.get(index) else { return Flow::Continue(()) };
        match answer(container, &request.scope, name, result, &mut pager) {
            Answer::Given => open -= 1,
            Answer::Full => return Flow::Break(()),
            Answer::Failed(error) => {
                let fatal = error.is(codes::UNAUTHENTICATED) || error.is(codes::BUDGET_EXHAUSTED);
                failure = Some(error);
                if fatal {
                    return Flow::Break(());
                }
            }
        }
        Flow::Continue(())
    });
    match failure {
        Some(error) if !pager.has_content() => Err(error),
        failure => {
            let next = if open > 0 { Some(cursor::write(CURSOR, &At::default())?) } else { None };
            let mut page = pager.finish(next);
            page.not_before_ms = failure.and_then(|error| error.retry_after_ms);
            Ok(page)
        }
    }
}

enum Answer {
    Given,
    Full,
    Failed(Error),
}

fn answer(
    container: Container<'_>,
    scope: &[String],
    name: &str,
    result: Result<Response, Error>,
    pager: &mut Pager,
) -> Answer {
    let path = || [scope, &[name.to_owned()]].concat();
    let what = || format!("read table `{name}`");
    let response = match result {
        Ok(response) => response,
        // Of one table that is too large, the others are still read.
        Err(error) if error.is(codes::TOO_LARGE) => {
            pager.error(error.at(path()));
            return Answer::Given;
        }
        Err(error) => return Answer::Failed(error),
    };
    if !response.is_success() {
        let error = parse::error_for(&what(), &response);
        if !Problem::of(&response).is_about_the_object() {
            return Answer::Failed(error);
        }
        pager.error(error.at(path()));
        return Answer::Given;
    }
    let entry = match parse::entry(&response) {
        Ok(entry) => entry,
        Err(error) => {
            pager.error(Error { message: format!("Could not {}: {}", what(), error.message), ..error }.at(path()));
            return Answer::Given;
        }
    };
    if !is_of(container, name, &entry) {
        pager.error(Error::internal(format!("Could not {}: another object was answered.", what())).at(path()));
        return Answer::Given;
    }
    match objects::object(container, entry, Columns::With).map(|object| pager.push(object)) {
        Some(Err(Full(_))) => Answer::Full,
        _ => Answer::Given,
    }
}

/// Whether an answer is the object that was asked for: some servers drop parts of a name without a word.
pub(crate) fn is_of(container: Container<'_>, name: &str, entry: &Entry) -> bool {
    let same = |answered: Option<&str>, asked: &str| answered.is_none_or(|answered| answered == asked);
    let (catalog, schema) = (entry.catalog_name.as_deref(), entry.schema_name.as_deref());
    entry.name == name
        && match container {
            Container::Metastore => true,
            Container::Catalog(asked) => same(catalog, asked),
            Container::Schema(asked_catalog, asked_schema) => {
                same(catalog, asked_catalog) && same(schema, asked_schema)
            }
        }
}
