//! The second look before anything is called missing.
//!
//! Absent is only what the platform itself says does not exist, below a container that we can still see: a 403 proves
//! nothing, and a 404 below a container that has gone says nothing of the name.

use wharfinger_sdk::{Context, Error, Flow, Presence, http::Response};

use crate::{
    columns::is_of,
    config::Config,
    parse::{self, Problem},
    request::{self, Call, Columns, Container},
};

/// Requests at a time, the host willing.
const PARALLEL: u32 = 8;

/// For each name whether it is there.
pub(crate) fn confirm(cx: &Context<Config>, scope: &[String], names: &[String]) -> Result<Vec<Presence>, Error> {
    let mut answers = vec![Presence::Unknown; names.len()];
    let Some(container) = Container::at(scope) else { return Ok(answers) };
    if !is_visible(cx, container)? {
        return Ok(answers);
    }
    let calls: Option<Vec<(usize, Call)>> =
        names.iter().enumerate().map(|(index, name)| Some((index, request::get(container, name)?))).collect();
    let Some(calls) = calls else {
        return Err(Error::unsupported("A name that cannot stand in a URL of the platform can only be listed."));
    };
    let mut failure = None;
    cx.http().send_all(calls.iter().map(|(_, call)| call.with(cx)), PARALLEL, |index, result| {
        let Some(&(index, _)) = calls.get(index) else { return Flow::Continue(()) };
        match result {
            Ok(response) if Problem::of(&response).refuses_credential() => {
                failure = Some(parse::error_for("look again", &response));
                return Flow::Break(());
            }
            Ok(response) => answers[index] = presence(container, &names[index], &response),
            Err(_) => {}
        }
        Flow::Continue(())
    });
    failure.map_or(Ok(answers), Err)
}

fn presence(container: Container<'_>, name: &str, response: &Response) -> Presence {
    let resource = match container {
        Container::Metastore => "CATALOG",
        Container::Catalog(_) => "SCHEMA",
        Container::Schema(..) => "TABLE",
    };
    if response.status == 200 && parse::entry(response).is_ok_and(|entry| is_of(container, name, &entry)) {
        return Presence::Present;
    }
    if Problem::of(response).says_absent(resource) { Presence::Absent } else { Presence::Unknown }
}

/// Whether the container itself can be seen now.
fn is_visible(cx: &Context<Config>, container: Container<'_>) -> Result<bool, Error> {
    let call = match container {
        Container::Metastore => Some(request::list(container, 0, None, Columns::Without)),
        Container::Catalog(catalog) => request::get(Container::Metastore, catalog),
        Container::Schema(catalog, schema) => request::get(Container::Catalog(catalog), schema),
    };
    let Some(call) = call else { return Ok(false) };
    let response = call.with(cx).send()?;
    if Problem::of(&response).refuses_credential() {
        return Err(parse::error_for("look again", &response));
    }
    Ok(response.status == 200)
}
