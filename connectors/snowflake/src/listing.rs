//! Listing: databases, then the schemas of each, then the tables and the views of each.
//!
//! Every container is a partition of its own, so that the host reads them in parallel, and each is said to be listed
//! only when its last page came and everything on it could be delivered. Pages go on after a name, within one container:
//! only there does the platform sort by name alone.

use serde::{Deserialize, Serialize};
use wharfinger_sdk::{
    Context, Error, Full, Listing, MAX_OBJECTS, Object, Page, Pager, Partition, ReadRequest, cursor, http::encode,
    paging::Guard,
};

use crate::{
    config::Config,
    details::{self, Wanted, Way},
    lookup, objects,
    objects::Shown,
    request::{self, Container, PAGE, Schema, Show},
    statement::{CURSOR, Session, Trouble, Waiting},
};

/// Begins the payload of a partition, before the role: its version.
const PAYLOAD: &str = "1:";
/// The same where INFORMATION_SCHEMA is known not to answer.
const BLIND: &str = "1!";
/// Nothing further is begun in a call that has lasted this long.
const ENOUGH_MS: u64 = 10_000;
/// Nothing further is begun for a page with more objects than this.
const ENOUGH: usize = MAX_OBJECTS / 2;
/// Longest reason why an entry is not readable, in characters.
const MAX_WHY: usize = 500;

/// Where a partition goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct At {
    /// Which SHOW of the container.
    phase: usize,
    /// The name after which it goes on; none is the beginning.
    after: Option<String>,
    /// Rows to ask for; 0 is as many as a page holds.
    limit: usize,
    /// Whether there was a row at all.
    seen: bool,
    /// Whether something could not be read, so that the container is not complete.
    incomplete: bool,
    guard: Guard,
    way: Way,
    waiting: Waiting,
}

/// Where to begin.
pub(crate) fn plan(cx: &Context<Config>, scope: &[String]) -> Result<Vec<Partition>, Error> {
    let container = Container::at(scope).ok_or_else(no_container)?;
    let role = match cx.config().role() {
        Some(role) => role.into_owned(),
        None => whoami(&Session::new(cx)).map_err(|trouble| trouble.error("ask who we are"))?.role.unwrap_or_default(),
    };
    Ok(vec![partition(container, &format!("{PAYLOAD}{role}"))])
}

/// Who we are to the platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Who {
    /// Name of the organisation.
    pub(crate) organization: Option<String>,
    /// Name of the account within it.
    pub(crate) account: Option<String>,
    /// The account's older name.
    pub(crate) locator: Option<String>,
    /// As whom we are signed in.
    pub(crate) user: Option<String>,
    /// As what we see things.
    pub(crate) role: Option<String>,
}

/// Asks who we are.
pub(crate) fn whoami(session: &Session<'_>) -> Result<Who, Trouble> {
    let table = session.query(&request::whoami())?;
    let mut who = Who::default();
    table.each(request::WHO, |cells| {
        let [organization, account, locator, user, role] = cells.map(|cell| cell.map(std::borrow::Cow::into_owned));
        who = Who { organization, account, locator, user, role };
    })?;
    Ok(who)
}

/// The partition that lists a container.
fn partition(container: Container<'_>, payload: &str) -> Partition {
    let (id, scope) = match container {
        Container::Account => ("databases".to_owned(), vec![]),
        Container::Database(database) => (format!("schemas/{}", encode(database)), vec![database.to_owned()]),
        Container::Schema(Schema { database, name }) => {
            (format!("objects/{}/{}", encode(database), encode(name)), vec![database.to_owned(), name.to_owned()])
        }
    };
    Partition::new(id, scope, payload)
}

fn no_container() -> Error {
    Error::unsupported("Only the account, databases and schemas can be listed.")
}

/// As whom and how containers are listed: when this changes, absence proves nothing.
fn basis(payload: &str) -> String {
    format!("SHOW as role {}", Some(role(payload)).filter(|role| !role.is_empty()).unwrap_or("of the user"))
}

fn role(payload: &str) -> &str {
    payload.strip_prefix(PAYLOAD).or_else(|| payload.strip_prefix(BLIND)).unwrap_or_default()
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// There is more to read.
    More,
    /// There is more, but not for this page.
    Full,
    /// That was all.
    Ended,
}

/// One page of a partition.
pub(crate) fn read(cx: &Context<Config>, request: &ReadRequest) -> Result<Page, Error> {
    let container = Container::at(&request.partition.scope).ok_or_else(no_container)?;
    let mut at: At = cursor::read(CURSOR, request.cursor.as_deref())?;
    if request.cursor.is_none() && request.partition.payload.starts_with(BLIND) {
        at.way = Way::blind();
    }
    let session = Session::resume(cx, &at.waiting);
    let mut pager = Pager::new();
    loop {
        // What cannot be finished is begun again from here.
        let mut next = At { waiting: Waiting::default(), ..at.clone() };
        match step(&session, container, request, &mut next, &mut pager) {
            Ok(step) => {
                at = next;
                let goes_on = cx.within_ms(ENOUGH_MS) && pager.len() <= ENOUGH && pager.has_room_for(pager.len());
                match step {
                    Step::More if goes_on => {}
                    Step::More | Step::Full => {
                        session.tidy();
                        return Ok(pager.finish(Some(cursor::write(CURSOR, &at)?)));
                    }
                    Step::Ended => {
                        session.tidy();
                        if !at.incomplete {
                            let basis = basis(&request.partition.payload);
                            pager.listed(Listing::new(request.partition.scope.clone(), basis));
                        }
                        return Ok(pager.finish(None));
                    }
                }
            }
            Err(Trouble::Running) => {
                let pause = session.leave(&mut at.waiting)?;
                let mut page = pager.finish(Some(cursor::write(CURSOR, &at)?));
                page.not_before_ms = Some(pause);
                return Ok(page);
            }
            // It may concern the container alone: then the container is not listed, and the rest goes on.
            Err(trouble) if container != Container::Account && trouble.is_about_the_object() => {
                pager.error(trouble.error(&container.listing()).at(request.partition.scope.clone()));
                return Ok(pager.finish(None));
            }
            // What was read so far is good: the next call meets the error by itself.
            Err(_) if pager.has_content() => return Ok(pager.finish(Some(cursor::write(CURSOR, &at)?))),
            Err(trouble) => return Err(trouble.error(&container.listing())),
        }
    }
}

/// Reads as many rows as the page has room for.
fn step(
    session: &Session<'_>,
    container: Container<'_>,
    request: &ReadRequest,
    at: &mut At,
    pager: &mut Pager,
) -> Result<Step, Trouble> {
    let cx = session.cx();
    let shows = container.shows();
    let what = *shows.get(at.phase).ok_or_else(|| Error::stale_cursor("The cursor is beyond the end."))?;
    let mut payload = request.partition.payload.clone();
    if let Container::Database(database) = container {
        at.way.probe(session, database)?;
        if at.way.is_blind() {
            payload = format!("{BLIND}{}", role(&payload));
        }
    }
    let (mut shown, limit) = fetch(session, what, &request.partition.scope, at, MAX_OBJECTS - pager.len())?;
    let is_last = shown.rows < limit;
    // Before anything is delivered: what fails after it would be delivered again.
    let mut guard = at.guard.clone();
    let beyond = if is_last { None } else { guard.next(shown.last.as_deref())? };
    // A platform that began with the name itself would give it twice.
    shown.objects.retain(|object| object.path.last() != at.after.as_ref());
    shown.objects.retain(|object| cx.filter().keeps(&object.path));
    let mut objects = shown.objects;
    if let Container::Schema(schema) = container {
        let wanted = match what {
            _ if !request.want_columns => Wanted::Fingerprints,
            Show::Tables(_) => Wanted::ColumnsOfAll,
            _ => Wanted::ColumnsOfSome,
        };
        let done = details::add(session, schema, &mut objects, wanted, &mut at.way)?;
        if done < objects.len() {
            objects.truncate(done);
            at.limit = done.max(1);
            push(container, &payload, objects, at, pager);
            return Ok(Step::Full);
        }
    }
    if !push(container, &payload, objects, at, pager) {
        return Ok(Step::Full);
    }
    for why in shown.unreadable {
        at.incomplete = true;
        let why: String = why.chars().take(MAX_WHY).collect();
        pager.error(Error::internal(format!("Could not {}: one entry is not readable: {why}", container.listing())));
    }
    at.seen |= shown.rows > 0;
    if beyond.is_some() {
        (at.after, at.guard) = (beyond, guard);
        return Ok(Step::More);
    }
    (at.phase, at.after, at.guard) = (at.phase + 1, None, Guard::default());
    if at.phase < shows.len() {
        return Ok(Step::More);
    }
    if !at.seen && !lookup::is_exact(session, container)? {
        return Err(Trouble::Failed(objects::another_container()));
    }
    Ok(Step::Ended)
}

/// The next rows, and how many were asked for: fewer where they weigh too much.
fn fetch(
    session: &Session<'_>,
    what: Show<'_>,
    scope: &[String],
    at: &mut At,
    room: usize,
) -> Result<(Shown, usize), Trouble> {
    let cx = session.cx();
    let prefix = cx.filter().prefix(scope);
    let mut limit = if at.limit == 0 { PAGE } else { at.limit }.min(room).max(1);
    loop {
        match session.query(&request::show(what, &prefix, limit, at.after.as_deref())) {
            Err(trouble) if trouble.is_too_much() && limit > 1 => {
                limit /= 2;
                at.limit = limit;
            }
            table => return Ok((objects::shown(cx.config(), what, &table?)?, limit)),
        }
    }
}

/// Adds objects and the partitions below them. False: the page is full, and the cursor says after which.
fn push(container: Container<'_>, payload: &str, objects: Vec<Object>, at: &mut At, pager: &mut Pager) -> bool {
    for object in objects {
        let name = object.path.last().cloned();
        let below = objects::inside(container, &object).map(|below| partition(below, payload));
        if let Err(Full(_)) = pager.push(object) {
            at.limit = pager.len();
            return false;
        }
        if let Some(below) = below {
            pager.partition(below);
        }
        at.after = name;
        at.seen = true;
    }
    true
}
