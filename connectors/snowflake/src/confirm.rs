//! The second look before anything is called missing.
//!
//! Absent is what SHOW does not list in a container that it still shows itself: as much proof as a second listing, for
//! less. It cannot tell a dropped table from one whose grants were all revoked, and no statement can; a *refusal* ("does
//! not exist or not authorized") never counts as absence, nor does silence where names are not read exactly.

use wharfinger_sdk::{Context, Error, Presence};

use crate::{
    config::Config,
    lookup,
    request::Container,
    statement::{Session, Trouble},
};

/// For each name whether it is there.
pub(crate) fn confirm(cx: &Context<Config>, scope: &[String], names: &[String]) -> Result<Vec<Presence>, Error> {
    let unknown = vec![Presence::Unknown; names.len()];
    let Some(container) = Container::at(scope) else { return Ok(unknown) };
    let session = Session::new(cx);
    match look(&session, container, scope, names) {
        Ok(Some(answers)) => Ok(answers),
        Ok(None) => Ok(unknown),
        Err(trouble) if trouble.is_about_the_object() => Ok(unknown),
        Err(trouble) => Err(trouble.error("look again")),
    }
}

fn look(
    session: &Session<'_>,
    container: Container<'_>,
    scope: &[String],
    names: &[String],
) -> Result<Option<Vec<Presence>>, Trouble> {
    if let Some((own, above)) = scope.split_last() {
        let Some(above) = Container::at(above) else { return Ok(None) };
        if !lookup::find(session, above, std::slice::from_ref(own))?.contains_key(own) {
            return Ok(None);
        }
    }
    let found = lookup::find(session, container, names)?;
    if found.is_empty() && !lookup::is_exact(session, container)? {
        return Ok(None);
    }
    let presence = |name: &String| if found.contains_key(name) { Presence::Present } else { Presence::Absent };
    Ok(Some(names.iter().map(presence).collect()))
}
