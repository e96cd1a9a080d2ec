//! What a role may do, as far as the platform tells: its own privileges and those of the roles it was granted.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    parse::Table,
    request,
    statement::{Session, Trouble},
};

/// Roles that are looked at.
const ROLES: usize = 20;

/// Privileges by object.
#[derive(Debug, Default)]
pub(super) struct Grants {
    /// Kind of object and its name, in parts, with the privileges on it.
    held: BTreeMap<(String, Vec<String>), BTreeSet<String>>,
    /// Whether something could not be found out: then nothing is said to be missing.
    pub(super) partial: bool,
}

/// Reads the grants of a role, and of roles granted to it.
pub(super) fn of(session: &Session<'_>, role: &str) -> Grants {
    let mut grants = Grants::default();
    let mut open = vec![role.to_owned(), "PUBLIC".to_owned()];
    let mut known = BTreeSet::new();
    while let Some(role) = open.pop() {
        if known.len() >= ROLES {
            grants.partial = true;
            break;
        }
        if !known.insert(role.clone()) {
            continue;
        }
        match session.query(&request::grants(&role)) {
            Ok(table) => grants.partial |= read(&table, &mut grants, &mut open).is_err(),
            // What everybody has may be hidden from everybody.
            Err(_) if role == "PUBLIC" => {}
            Err(Trouble::Refused(_) | Trouble::Running | Trouble::TooLarge | Trouble::Failed(_)) => {
                grants.partial = true
            }
        }
    }
    grants
}

fn read(table: &Table, grants: &mut Grants, open: &mut Vec<String>) -> Result<(), wharfinger_sdk::Error> {
    let mut partial = false;
    table.each(["privilege", "granted_on", "name"], |[privilege, on, name]| {
        let (Some(privilege), Some(on), Some(name)) = (privilege, on, name) else { return };
        let Some(path) = parts(&name) else {
            partial = true;
            return;
        };
        match &*on {
            "ROLE" if *privilege == *"USAGE" => open.extend(path.into_iter().take(1)),
            // Roles inside databases have no grants that this statement tells.
            "DATABASE_ROLE" | "APPLICATION_ROLE" => partial = true,
            _ => {
                grants.held.entry((on.replace('_', " "), path)).or_default().insert(privilege.into_owned());
            }
        }
    })?;
    grants.partial |= partial;
    Ok(())
}

impl Grants {
    /// Whether one of these privileges is held on an object; owners hold all.
    pub(super) fn allow(&self, kind: &str, path: &[&str], privileges: &[&str]) -> bool {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        let held = self.held.get(&(kind.to_owned(), path));
        held.is_some_and(|held| held.contains("OWNERSHIP") || privileges.iter().any(|wanted| held.contains(*wanted)))
    }

    /// Kind, name and privileges of what is held inside a schema.
    pub(super) fn inside<'a>(
        &'a self,
        database: &'a str,
        schema: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a BTreeSet<String>)> {
        self.held.iter().filter_map(move |((kind, path), held)| match path.as_slice() {
            [first, second, name] if first == database && second == schema => {
                Some((kind.as_str(), name.as_str(), held))
            }
            _ => None,
        })
    }
}

/// The parts of a name as SQL writes it. None where it is no such name.
fn parts(name: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = name;
    loop {
        let (part, tail) = match rest.strip_prefix('"') {
            Some(quoted) => closing(quoted)?,
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        parts.push(part);
        match tail.strip_prefix('.') {
            Some(tail) => rest = tail,
            None if tail.is_empty() => return Some(parts),
            None => return None,
        }
    }
}

/// What stands before the closing quote, and what after it.
fn closing(quoted: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = quoted;
    loop {
        let end = rest.find('"')?;
        part.push_str(&rest[..end]);
        match rest[end + 1..].strip_prefix('"') {
            Some(tail) => {
                part.push('"');
                rest = tail;
            }
            None => return Some((part, &rest[end + 1..])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn names_are_taken_apart_at_their_dots() {
        for (name, expected) in [
            ("DB", Some(vec!["DB"])),
            ("DB.S.T", Some(vec!["DB", "S", "T"])),
            ("DB.\"a.b\".T", Some(vec!["DB", "a.b", "T"])),
            ("\"q\"\"x\".S", Some(vec!["q\"x", "S"])),
            ("\"open", None),
            ("\"a\"b", None),
        ] {
            let expected = expected.map(|parts| parts.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(parts(name), expected, "{name}");
        }
    }
}
