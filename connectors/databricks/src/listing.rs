//! Listing: catalogs, then the schemas of each, then the tables of each.
//!
//! Every container is a partition of its own, so that the host reads them in parallel, and each is said to be listed
//! only when its last page came and everything on it could be delivered. Several small pages of the platform become
//! one page of ours; a big one is delivered in parts, with the place in it kept in the cursor. What the connection's
//! patterns leave out is not delivered, and what lies in it never asked for.

use serde::{Deserialize, Serialize};
use wharfinger_sdk::{
    Context, Error, Filter, Full, Listing, Page, Pager, Partition, ReadRequest, codes, cursor,
    http::{Response, encode},
    paging::Guard,
};

use crate::{
    config::Config,
    objects,
    parse::{self, Entry, Listed, Problem},
    request::{self, Columns, Container},
};

/// How containers are listed: when this changes, absence proves nothing.
const BASIS: &str = "unity-catalog 2.1, include_browse";
/// Version of the cursors below.
const CURSOR: u32 = 1;
/// Version of the partitions' payloads.
const PAYLOAD: &str = "1";
/// No further page of the platform is begun in a call that has lasted this long.
const ENOUGH_MS: u64 = 10_000;
/// Longest reason why an entry is not readable, in characters.
const MAX_WHY: usize = 500;
/// Page sizes to ask for, as answers prove too large: the server's own choice first.
const SIZES: [u32; 4] = [0, 50, 10, 1];

/// Where a partition goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct At {
    /// Page of the platform; none is the first.
    token: Option<String>,
    /// How many entries of it were dealt with, and the name of the last.
    skip: usize,
    after: Option<String>,
    /// Index into [`SIZES`]; beyond its end, a single table is asked for without its columns.
    size: usize,
    /// Whether something could not be read, so that the container is not complete.
    incomplete: bool,
    guard: Guard,
}

/// Where to begin.
pub(crate) fn plan(scope: &[String]) -> Result<Vec<Partition>, Error> {
    Container::at(scope).map(|container| vec![partition(container)]).ok_or_else(no_container)
}

/// The partition that lists a container.
fn partition(container: Container<'_>) -> Partition {
    let (id, scope) = match container {
        Container::Metastore => ("catalogs".to_owned(), vec![]),
        Container::Catalog(catalog) => (format!("schemas/{}", encode(catalog)), vec![catalog.to_owned()]),
        Container::Schema(catalog, schema) => {
            (format!("tables/{}/{}", encode(catalog), encode(schema)), vec![catalog.to_owned(), schema.to_owned()])
        }
    };
    Partition::new(id, scope, PAYLOAD)
}

fn no_container() -> Error {
    Error::unsupported("Only the metastore, catalogs and schemas can be listed.")
}

/// One page of a partition.
pub(crate) fn read(cx: &Context<Config>, request: &ReadRequest) -> Result<Page, Error> {
    let container = Container::at(&request.partition.scope).ok_or_else(no_container)?;
    let columns = if request.want_columns { Columns::With } else { Columns::Without };
    let mut at: At = cursor::read(CURSOR, request.cursor.as_deref())?;
    let mut pager = Pager::new();
    loop {
        let response = match fetch(cx, container, columns, &mut at) {
            Ok(response) => response,
            // What was read so far is good: the next call meets the error by itself.
            Err(_) if pager.has_content() => return Ok(pager.finish(Some(cursor::write(CURSOR, &at)?))),
            Err(error) => return Err(error),
        };
        if !response.is_success() {
            return refused(container, &request.partition.scope, &response, pager, &at);
        }
        let listed = match parse::listed(&response) {
            Ok(listed) => listed,
            Err(_) if pager.has_content() => return Ok(pager.finish(Some(cursor::write(CURSOR, &at)?))),
            Err(error) => return Err(error),
        };
        let count = listed.entries.len();
        let mut guard = at.guard.clone();
        let token = guard.next(listed.next_page_token.as_deref());
        if !deliver(cx.filter(), container, effective(columns, &at), listed, &mut at, &mut pager)? {
            return Ok(pager.finish(Some(cursor::write(CURSOR, &at)?)));
        }
        let token = match token {
            // What was read so far is good: the next call meets the error by itself.
            Err(_) if pager.has_content() => return Ok(pager.finish(Some(cursor::write(CURSOR, &at)?))),
            token => token?,
        };
        let Some(token) = token else {
            if !at.incomplete {
                pager.listed(Listing::new(request.partition.scope.clone(), BASIS));
            }
            return Ok(pager.finish(None));
        };
        at.turn(token, guard);
        if !(cx.within_ms(ENOUGH_MS) && pager.has_room_for(count)) {
            return Ok(pager.finish(Some(cursor::write(CURSOR, &at)?)));
        }
    }
}

impl At {
    /// Goes to the next page of the platform.
    fn turn(&mut self, token: String, guard: Guard) {
        let size = self.size.min(SIZES.len() - 1);
        *self = Self { token: Some(token), size, guard, incomplete: self.incomplete, ..Self::default() };
    }
}

/// Whether columns are asked for: not of a table that is too large to be answered with them.
fn effective(columns: Columns, at: &At) -> Columns {
    if at.size < SIZES.len() { columns } else { Columns::Without }
}

/// Fetches the page of the platform at the cursor, in smaller pages if it has to be.
fn fetch(cx: &Context<Config>, container: Container<'_>, columns: Columns, at: &mut At) -> Result<Response, Error> {
    loop {
        let size = SIZES[at.size.min(SIZES.len() - 1)];
        let call = request::list(container, size, at.token.as_deref(), effective(columns, at));
        match call.with(cx).send() {
            Err(error) if error.is(codes::TOO_LARGE) && at.size < SIZES.len() => {
                at.size += 1;
                cx.log("info", "An answer was too large: asking for less.", &[("container", &container.listing())]);
            }
            other => return other,
        }
    }
}

/// An answer that is not 2xx. Below the top it may concern the container alone: then it is reported, the container is
/// not listed, and the rest of the catalogue goes on.
fn refused(
    container: Container<'_>,
    scope: &[String],
    response: &Response,
    mut pager: Pager,
    at: &At,
) -> Result<Page, Error> {
    let error = parse::error_for(&container.listing(), response);
    if container != Container::Metastore && Problem::of(response).is_about_the_object() {
        pager.error(error.at(scope.to_vec()));
        return Ok(pager.finish(None));
    }
    if pager.has_content() {
        return Ok(pager.finish(Some(cursor::write(CURSOR, at)?)));
    }
    Err(error)
}

/// Adds the entries that were not dealt with before. False: the page is full, and the cursor says where.
fn deliver(
    filter: &Filter,
    container: Container<'_>,
    columns: Columns,
    listed: Listed,
    at: &mut At,
    pager: &mut Pager,
) -> Result<bool, Error> {
    let begin = resume(&listed.entries, at)?;
    if begin == 0 {
        for why in listed.unreadable {
            at.incomplete = true;
            let why: String = why.chars().take(MAX_WHY).collect();
            pager
                .error(Error::internal(format!("Could not {}: one entry is not readable: {why}", container.listing())));
        }
    }
    for (index, entry) in listed.entries.into_iter().enumerate().skip(begin) {
        let name = entry.name.clone();
        let object = objects::object(container, entry, columns).filter(|object| filter.keeps(&object.path));
        if let Some(object) = object {
            if let Err(Full(_)) = pager.push(object) {
                return Ok(false);
            }
            match container {
                Container::Metastore => pager.partition(partition(Container::Catalog(&name))),
                Container::Catalog(catalog) => pager.partition(partition(Container::Schema(catalog, &name))),
                Container::Schema(..) => {}
            }
        }
        at.skip = index + 1;
        at.after = Some(name);
    }
    Ok(true)
}

/// The index to go on from, in a page that was fetched again: after the entry that was dealt with last, wherever it is
/// now. If it has gone meanwhile, nothing tells where its place was, and the partition begins again.
fn resume(entries: &[Entry], at: &At) -> Result<usize, Error> {
    let Some(after) = &at.after else { return Ok(0) };
    let is_last = |index: usize| entries.get(index).is_some_and(|entry| entry.name == *after);
    if at.skip.checked_sub(1).is_some_and(is_last) {
        return Ok(at.skip);
    }
    match entries.iter().position(|entry| entry.name == *after) {
        Some(index) => Ok(index + 1),
        None => Err(Error::stale_cursor("The listing changed where it was left: begin again.")),
    }
}
