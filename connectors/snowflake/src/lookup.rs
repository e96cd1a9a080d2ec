//! Single children of a container, by name. `LIKE` would read their names as patterns and ignore their case, so it is not
//! used: the first of those that begin with a name is the one with that name, if there is one.

use std::collections::{BTreeSet, HashMap};

use wharfinger_sdk::{Error, Flow, Object};

use crate::{
    objects,
    request::{self, Container, PAGE, Show, Statement},
    statement::{Session, Trouble},
};

/// Up to so many are asked for one by one; more are found by reading the listing past them.
const FEW: usize = 50;

/// The named children that there are.
pub(crate) fn find(
    session: &Session<'_>,
    container: Container<'_>,
    names: &[String],
) -> Result<HashMap<String, Object>, Trouble> {
    let mut found = HashMap::with_capacity(names.len());
    for what in container.shows() {
        let open: BTreeSet<&str> =
            names.iter().map(String::as_str).filter(|name| !name.is_empty() && !found.contains_key(*name)).collect();
        if open.len() <= FEW {
            one_by_one(session, what, &open, &mut found)?;
        } else {
            walk(session, what, &open, &mut found)?;
        }
    }
    Ok(found)
}

fn one_by_one(
    session: &Session<'_>,
    what: Show<'_>,
    names: &BTreeSet<&str>,
    found: &mut HashMap<String, Object>,
) -> Result<(), Trouble> {
    let statements: Vec<Statement> = names.iter().map(|name| request::show(what, name, 1, None)).collect();
    let mut trouble = None;
    session.query_all(&statements, |_, result| {
        let config = session.cx().config();
        match result.and_then(|table| objects::shown(config, what, &table).map_err(Trouble::Failed)) {
            Ok(shown) => keep(shown.objects, names, found),
            Err(other) => {
                trouble = Some(other);
                return Flow::Break(());
            }
        }
        Flow::Continue(())
    })?;
    trouble.map_or(Ok(()), Err)
}

/// Reads the listing from just before the first of the names to the last.
fn walk(
    session: &Session<'_>,
    what: Show<'_>,
    names: &BTreeSet<&str>,
    found: &mut HashMap<String, Object>,
) -> Result<(), Trouble> {
    let mut after = names.first().and_then(|name| before(name));
    loop {
        let table = session.query(&request::show(what, "", PAGE, after.as_deref()))?;
        let shown = objects::shown(session.cx().config(), what, &table)?;
        let last = shown.last.filter(|_| shown.rows >= PAGE);
        keep(shown.objects, names, found);
        match last {
            Some(last) if names.last().is_some_and(|end| last.as_str() < *end) => {
                if after.as_ref().is_some_and(|after| last <= *after) {
                    return Err(Trouble::Failed(Error::unavailable("The platform's listing does not get on.")));
                }
                after = Some(last);
            }
            _ => return Ok(()),
        }
    }
}

/// A text that comes before a name and after few others.
fn before(name: &str) -> Option<String> {
    let mut text = name.to_owned();
    text.pop();
    Some(text).filter(|text| !text.is_empty())
}

fn keep(objects: Vec<Object>, names: &BTreeSet<&str>, found: &mut HashMap<String, Object>) {
    for object in objects {
        if let Some(name) = object.path.last().filter(|name| names.contains(name.as_str())) {
            found.insert(name.clone(), object);
        }
    }
}

/// Whether names are read as they are written. Asked where an answer without rows could be that of another container,
/// whose name differs in case only.
pub(crate) fn is_exact(session: &Session<'_>, container: Container<'_>) -> Result<bool, Trouble> {
    let has_lower = |name: &str| name.chars().any(char::is_lowercase);
    let doubtful = match container {
        Container::Account => false,
        Container::Database(database) => has_lower(database),
        Container::Schema(schema) => has_lower(schema.database) || has_lower(schema.name),
    };
    if !doubtful {
        return Ok(true);
    }
    let table = match session.query(&request::ignores_case()) {
        // Where it cannot be asked, the usual is assumed.
        Err(Trouble::Refused(problem)) if problem.is_settled() => return Ok(true),
        table => table?,
    };
    let mut ignores = false;
    table.each(["?key", "value"], |[_, value]| {
        ignores |= value.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    })?;
    Ok(!ignores)
}
