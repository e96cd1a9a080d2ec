//! Which rights are missing, container by container, as far as can be told: what is invisible cannot be named.
//!
//! USAGE on databases and schemas and REFERENCES on tables and views are what a listing needs; SELECT is told apart. A
//! privilege is called missing only where all grants of the role are known.

use wharfinger_sdk::{Flow, Outcome, Status};

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
    /// An outcome for each missing right.
    pub(super) missing: Vec<Outcome>,
}

/// Looks at what is visible and compares it with the grants.
pub(super) fn look(session: &Session<'_>, role: &str, databases: &[String]) -> Seen {
    let grants = grants::of(session, role);
    let mut seen = Seen::default();
    let lacks = Lacks { role, certain: !grants.partial };
    for database in databases {
        let may_enter = grants.allow("DATABASE", &[database], &["USAGE", "IMPORTED PRIVILEGES"]);
        seen.missing.extend(lacks.container(may_enter, "DATABASE", &[database]));
    }
    for (database, name) in schemas(session, databases, &mut seen.missing) {
        let may_enter = grants.allow("SCHEMA", &[&database, &name], &["USAGE"]);
        seen.missing.extend(lacks.container(may_enter, "SCHEMA", &[&database, &name]));
        let is_shared = grants.allow("DATABASE", &[&database], &["IMPORTED PRIVILEGES"]);
        if !is_shared && may_enter {
            seen.missing.extend(lacks.objects(&grants, Schema { database: &database, name: &name }));
        }
        seen.schemas.push((database, name));
    }
    seen.schemas.sort_by_key(|(database, name)| grants.inside(database, name).next().is_none());
    seen.missing.truncate(NAMED);
    if grants.partial {
        let message = "Not all grants of the role can be seen, so that missing privileges are not named.";
        seen.missing.push(Outcome::new("privileges", Status::Warning, message));
    }
    seen
}

/// The schemas of the first databases.
fn schemas(session: &Session<'_>, databases: &[String], missing: &mut Vec<Outcome>) -> Vec<(String, String)> {
    let databases = &databases[..databases.len().min(DATABASES)];
    let statements: Vec<_> =
        databases.iter().map(|database| request::show(Show::Schemas(database), "", PAGE, None)).collect();
    let mut found: Vec<Vec<(String, String)>> = vec![Vec::new(); databases.len()];
    let asked = session.query_all(&statements, |index, result| {
        let Some(database) = databases.get(index) else { return Flow::Continue(()) };
        let what = Show::Schemas(database);
        let shown = result.and_then(|table| Ok(objects::shown(session.cx().config(), what, &table)?));
        match shown {
            Ok(shown) => {
                let kept = shown.objects.into_iter().filter(|object| !objects::is_excluded(object));
                found[index].extend(kept.filter_map(|mut object| Some((database.clone(), object.path.pop()?))));
            }
            Err(trouble) => {
                let error = trouble.error(&format!("list the schemas of database {}", quoted(&[database])));
                let outcome = Outcome::new("list-containers", Status::Warning, error.message);
                missing.push(outcome.at(vec![database.clone()]));
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
            self.outcome("list-containers", message, &format!("USAGE ON {kind} {name}"), path)
        })
    }

    /// What is missing on the tables and views of a schema. Those without any grant are invisible.
    fn objects(&self, grants: &Grants, schema: Schema<'_>) -> Vec<Outcome> {
        if !self.certain || grants.allow("SCHEMA", &[schema.database, schema.name], &[]) {
            return Vec::new();
        }
        let path = [schema.database, schema.name];
        let name = quoted(&path);
        let has = |held: &std::collections::BTreeSet<String>, wanted: &[&str]| {
            held.contains("OWNERSHIP") || wanted.iter().any(|wanted| held.contains(*wanted))
        };
        let tables = || grants.inside(schema.database, schema.name).filter(|(kind, ..)| is_table_like(kind));
        if tables().next().is_none() {
            let message = format!("The role has no right on any table or view of {name}: they are invisible to it.");
            let grant = format!("REFERENCES ON ALL TABLES IN SCHEMA {name}");
            return vec![self.outcome("list-columns", message, &grant, &path)];
        }
        let mut outcomes = Vec::new();
        for (kind, table, held) in tables() {
            let full = quoted(&[schema.database, schema.name, table]);
            if !has(held, &["REFERENCES", "SELECT"]) {
                let message = format!("REFERENCES is missing on {full}: its columns may stay unknown.");
                outcomes.push(self.outcome("list-columns", message, &format!("REFERENCES ON {kind} {full}"), &path));
            }
        }
        let unreadable = tables().filter(|(_, _, held)| !has(held, &["SELECT"])).count();
        if unreadable > 0 {
            let message = format!(
                "SELECT is missing on {unreadable} tables or views of {name}: policies on their data \
                                   cannot be checked."
            );
            let grant = format!("SELECT ON ALL TABLES IN SCHEMA {name}");
            outcomes.push(self.outcome("select", message, &grant, &path));
        }
        outcomes
    }

    fn outcome(&self, capability: &str, message: String, grant: &str, path: &[&str]) -> Outcome {
        Outcome::new(capability, Status::Warning, message)
            .hint(format!("GRANT {grant} TO ROLE {};", quoted(&[self.role])))
            .at(path.iter().map(|part| (*part).to_owned()).collect())
    }
}

fn is_table_like(kind: &str) -> bool {
    kind.ends_with("TABLE") || kind.ends_with("VIEW")
}
