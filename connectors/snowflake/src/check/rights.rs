//! Which rights are missing, container by container, as far as can be told: what is invisible cannot be named.
//!
//! USAGE on databases and schemas and REFERENCES on tables and views are what a listing needs; SELECT is told apart. A
//! privilege is called missing only where all grants of the role are known.

use std::collections::BTreeSet;

use wharfinger_sdk::{Flow, Object, Outcome, Status};

use super::grants::{self, Grants};
use crate::{
    objects,
    request::{self, PAGE, Schema, Show, quoted},
    statement::Session,
};

/// Databases whose schemas are looked at.
const DATABASES: usize = 20;
/// Missing rights that are named one by one.
const NAMED: usize = 50;

/// What was seen on the way.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Database and name of schemas that can be gone into, those with grants in them first.
    pub(super) schemas: Vec<(String, String)>,
    /// An outcome for each missing right, and one for what is not told.
    pub(super) missing: Vec<Outcome>,
}

/// Looks at what is visible and compares it with the grants.
pub(super) fn look(session: &Session<'_>, role: &str, databases: &[Object]) -> Seen {
    let grants = grants::of(session, role);
    let mut seen = Seen::default();
    let lacks = Lacks { role, certain: !grants.partial && !grants.manages };
    let mut shared = BTreeSet::new();
    for database in databases {
        let name = name(database);
        let may_enter = grants.allow("DATABASE", &[name], &["USAGE", "IMPORTED PRIVILEGES"]);
        if objects::is_imported(database) {
            seen.missing.extend(lacks.share(may_enter, name));
        } else {
            seen.missing.extend(lacks.container(may_enter, "DATABASE", &[name]));
        }
        if objects::is_imported(database) || grants.allow("DATABASE", &[name], &["IMPORTED PRIVILEGES"]) {
            shared.insert(name);
        }
    }
    let mut untold = Untold { databases: databases.len().saturating_sub(DATABASES), ..Untold::default() };
    for (database, name) in schemas(session, databases, &mut seen.missing, &mut untold) {
        // One privilege opens all that is shared.
        if !shared.contains(database.as_str()) {
            let may_enter = grants.allow("SCHEMA", &[&database, &name], &["USAGE"]);
            seen.missing.extend(lacks.container(may_enter, "SCHEMA", &[&database, &name]));
            if may_enter {
                seen.missing.extend(lacks.objects(&grants, Schema { database: &database, name: &name }));
            }
        }
        seen.schemas.push((database, name));
    }
    seen.schemas.sort_by_cached_key(|(database, name)| grants.inside(database, name).next().is_none());
    untold.findings = seen.missing.len().saturating_sub(NAMED);
    seen.missing.truncate(NAMED);
    seen.missing.extend(untold.outcome(grants.partial && !grants.manages));
    seen
}

fn name(object: &Object) -> &str {
    object.path.last().map_or("", String::as_str)
}

/// What was not looked at, or not told.
#[derive(Debug, Default)]
struct Untold {
    /// Databases whose schemas were not listed.
    databases: usize,
    /// Databases of whose schemas only the first were listed.
    cut: usize,
    /// Outcomes that were left out.
    findings: usize,
}

impl Untold {
    fn outcome(&self, partial: bool) -> Option<Outcome> {
        let mut said = Vec::new();
        if partial {
            said.push("Not all grants of the role can be seen, so that missing privileges are not named.".to_owned());
        }
        if self.findings > 0 {
            said.push(format!("{} further findings are not named.", self.findings));
        }
        if self.databases > 0 {
            said.push(format!("{} databases were not looked into: only the first {DATABASES} are.", self.databases));
        }
        if self.cut > 0 {
            said.push(format!("In {} databases only the first {PAGE} schemas were looked at.", self.cut));
        }
        let status = if partial || self.findings > 0 { Status::Warning } else { Status::Skipped };
        (!said.is_empty()).then(|| Outcome::new("privileges", status, said.join(" ")))
    }
}

/// The schemas of the first databases.
fn schemas(
    session: &Session<'_>,
    databases: &[Object],
    missing: &mut Vec<Outcome>,
    untold: &mut Untold,
) -> Vec<(String, String)> {
    let cx = session.cx();
    let databases: Vec<&str> = databases.iter().take(DATABASES).map(name).collect();
    let prefix = |database: &str| cx.filter().prefix(&[database.to_owned()]);
    let show = |database: &&str| request::show(Show::Schemas(database), &prefix(database), PAGE, None);
    let statements: Vec<_> = databases.iter().map(show).collect();
    let mut found: Vec<Vec<(String, String)>> = vec![Vec::new(); databases.len()];
    let asked = session.query_all(&statements, |index, result| {
        let Some(&database) = databases.get(index) else { return Flow::Continue(()) };
        let what = Show::Schemas(database);
        let shown = result.and_then(|table| Ok(objects::shown(cx.config(), what, &table)?));
        match shown {
            Ok(shown) => {
                untold.cut += usize::from(shown.rows >= PAGE);
                let kept = shown.objects.into_iter().filter(|object| !objects::is_excluded(object));
                let kept = kept.filter(|object| cx.filter().keeps(&object.path));
                found[index].extend(kept.filter_map(|mut object| Some((database.to_owned(), object.path.pop()?))));
            }
            Err(trouble) => {
                let error = trouble.error(&format!("list the schemas of database {}", quoted(&[database])));
                let outcome = Outcome::new("list-containers", Status::Warning, error.message);
                missing.push(outcome.at(vec![database.to_owned()]));
            }
        }
        Flow::Continue(())
    });
    if let Err(trouble) = asked {
        let error = trouble.error("list the schemas");
        missing.push(Outcome::new("list-containers", Status::Warning, error.message));
    }
    found.into_iter().flatten().collect()
}

struct Lacks<'a> {
    role: &'a str,
    certain: bool,
}

impl Lacks<'_> {
    fn container(&self, may_enter: bool, kind: &str, path: &[&str]) -> Option<Outcome> {
        (self.certain && !may_enter).then(|| {
            let name = quoted(path);
            let message = format!("USAGE is missing on {name}: it is listed without what is in it.");
            self.outcome("list-containers", message, &[format!("USAGE ON {kind} {name}")], path)
        })
    }

    /// What is missing on a database that comes from a share.
    fn share(&self, may_enter: bool, database: &str) -> Option<Outcome> {
        (self.certain && !may_enter).then(|| {
            let name = quoted(&[database]);
            let message = format!("IMPORTED PRIVILEGES is missing on {name}: it is listed without what is in it.");
            self.outcome("list-containers", message, &[format!("IMPORTED PRIVILEGES ON DATABASE {name}")], &[database])
        })
    }

    /// What is missing on the tables and views of a schema. Those without any grant are invisible.
    fn objects(&self, grants: &Grants, schema: Schema<'_>) -> Vec<Outcome> {
        if !self.certain || grants.allow("SCHEMA", &[schema.database, schema.name], &[]) {
            return Vec::new();
        }
        let path = [schema.database, schema.name];
        let name = quoted(&path);
        let has = |held: &BTreeSet<String>, wanted: &[&str]| {
            held.contains("OWNERSHIP") || wanted.iter().any(|wanted| held.contains(*wanted))
        };
        let tables = || grants.inside(schema.database, schema.name).filter(|(kind, ..)| is_table_like(kind));
        if tables().next().is_none() {
            let message = format!("The role has no right on any table or view of {name}: they are invisible to it.");
            let grants = ["TABLE", "VIEW"].map(|kind| format!("REFERENCES ON ALL {kind}S IN SCHEMA {name}"));
            return vec![self.outcome("list-columns", message, &grants, &path)];
        }
        let mut outcomes = Vec::new();
        for (kind, table, held) in tables() {
            let full = quoted(&[schema.database, schema.name, table]);
            if !has(held, &["REFERENCES", "SELECT"]) {
                let message = format!("REFERENCES is missing on {full}: its columns may stay unknown.");
                outcomes.push(self.outcome("list-columns", message, &[format!("REFERENCES ON {kind} {full}")], &path));
            }
        }
        let unreadable = || tables().filter(|(_, _, held)| !has(held, &["SELECT"]));
        let count = unreadable().count();
        if count > 0 {
            let message = format!(
                "SELECT is missing on {count} tables or views of {name}: policies on their data cannot be checked."
            );
            let kinds: BTreeSet<&str> = unreadable().map(|(kind, ..)| kind).collect();
            let grants: Vec<_> = kinds.iter().map(|kind| format!("SELECT ON ALL {kind}S IN SCHEMA {name}")).collect();
            outcomes.push(self.outcome("select", message, &grants, &path));
        }
        outcomes
    }

    fn outcome(&self, capability: &str, message: String, grants: &[String], path: &[&str]) -> Outcome {
        let role = quoted(&[self.role]);
        let hint: Vec<String> = grants.iter().map(|grant| format!("GRANT {grant} TO ROLE {role};")).collect();
        Outcome::new(capability, Status::Warning, message)
            .hint(hint.join(" "))
            .at(path.iter().map(|part| (*part).to_owned()).collect())
    }
}

fn is_table_like(kind: &str) -> bool {
    kind.ends_with("TABLE") || kind.ends_with("VIEW")
}
