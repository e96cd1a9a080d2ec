//! Which rights are missing, container by container, as far as can be told: what is invisible cannot be named.

use wharfinger_sdk::{Context, Flow, Outcome, Status};

use super::Visible;
use crate::{
    config::Config,
    parse::{self, Entry, Problem},
    request::{self, Columns, Container},
};

/// Catalogs whose schemas are looked at.
const CATALOGS: usize = 20;
/// Schemas in which a table is looked for.
const SCHEMAS: usize = 10;
/// Missing rights that are named one by one.
const NAMED: usize = 50;
/// Requests at a time, the host willing.
const PARALLEL: u32 = 8;

/// Outcomes for `list-containers` and `list-columns`.
pub(super) fn probe(cx: &Context<Config>, catalogs: &[Visible]) -> Vec<Outcome> {
    if catalogs.is_empty() && !cx.filter().is_empty() {
        let message = "The credentials are good, but no catalog is both visible and kept by the connection's patterns.";
        let hint = "Check the include and exclude patterns: names are compared exactly.";
        return vec![Outcome::new("list-containers", Status::Warning, message).hint(hint)];
    }
    if catalogs.is_empty() {
        let message = "The credentials are good, but see no catalog.";
        let hint = "Grant USE CATALOG, USE SCHEMA and SELECT (or BROWSE) on what is to be listed: \
                    GRANT USE CATALOG ON CATALOG `…` TO `…`.";
        return vec![Outcome::new("list-containers", Status::Warning, message).hint(hint)];
    }
    let mut missing = Vec::new();
    for catalog in catalogs.iter().filter(|catalog| catalog.browse_only) {
        missing.push(lacks("list-containers", "USE CATALOG", "CATALOG", &[&catalog.name]));
    }
    let schemas = schemas(cx, catalogs, &mut missing);
    let columns = columns(cx, &schemas, &mut missing);
    missing.truncate(NAMED);
    let passed = format!("{} catalogs are visible.", catalogs.len());
    let mut outcomes = vec![Outcome::new("list-containers", Status::Passed, passed)];
    outcomes.extend(columns);
    outcomes.extend(missing);
    outcomes
}

/// The schemas of the first catalogs, those of the platform itself last.
fn schemas(cx: &Context<Config>, catalogs: &[Visible], missing: &mut Vec<Outcome>) -> Vec<(String, Visible)> {
    let mut chosen: Vec<&str> = catalogs.iter().map(|catalog| catalog.name.as_str()).collect();
    chosen.sort_by_key(|name| matches!(*name, "system" | "samples"));
    chosen.truncate(CATALOGS);
    let calls: Vec<_> = chosen
        .iter()
        .map(|catalog| request::list(Container::Catalog(catalog), 0, None, Columns::Without).with(cx))
        .collect();
    let mut found: Vec<Vec<(String, Visible)>> = chosen.iter().map(|_| Vec::new()).collect();
    cx.http().send_all(calls, PARALLEL, |index, result| {
        let (Some(catalog), Ok(response)) = (chosen.get(index), result) else { return Flow::Continue(()) };
        if !response.is_success() {
            if response.status == 403 && !Problem::of(&response).refuses_credential() {
                missing.push(lacks("list-containers", "USE CATALOG", "CATALOG", &[catalog]));
            }
        } else if let Ok(page) = parse::listed(&response) {
            let path = |entry: &Entry| [(*catalog).to_owned(), entry.name.clone()];
            let kept = page.entries.iter().filter(|entry| cx.filter().keeps(&path(entry)));
            found[index].extend(kept.map(|entry| ((*catalog).to_owned(), Visible::from(entry))));
        }
        Flow::Continue(())
    });
    let mut schemas: Vec<_> = found.into_iter().flatten().collect();
    for (catalog, schema) in schemas.iter().filter(|(_, schema)| schema.browse_only) {
        missing.push(lacks("list-containers", "USE SCHEMA", "SCHEMA", &[catalog, &schema.name]));
    }
    schemas.sort_by_key(|(_, schema)| schema.browse_only || schema.name == "information_schema");
    schemas
}

/// Reads the tables of schemas with columns, until one has any.
fn columns(cx: &Context<Config>, schemas: &[(String, Visible)], missing: &mut Vec<Outcome>) -> Vec<Outcome> {
    for (catalog, schema) in schemas.iter().take(SCHEMAS) {
        let container = Container::Schema(catalog, &schema.name);
        let Ok(response) = request::list(container, 0, None, Columns::With).with(cx).send() else { continue };
        if response.status == 403 && !Problem::of(&response).refuses_credential() {
            missing.push(lacks("list-columns", "USE SCHEMA", "SCHEMA", &[catalog, &schema.name]));
        }
        if !response.is_success() {
            continue;
        }
        let Ok(page) = parse::listed(&response) else { continue };
        for table in page.entries.iter().filter(|table| table.browse_only == Some(true)) {
            missing.push(lacks("list-columns", "SELECT", "TABLE", &[catalog, &schema.name, &table.name]));
        }
        if let Some(table) = page.entries.iter().find(|table| table.columns.as_ref().is_some_and(|c| !c.is_empty())) {
            let message = format!(
                "Columns can be read, for instance those of {}.",
                quoted(&[catalog, &schema.name, &table.name])
            );
            return vec![Outcome::new("list-columns", Status::Passed, message)];
        }
    }
    let message = format!("No table with columns is visible in the first {SCHEMAS} schemas.");
    let hint = "Grant USE SCHEMA on the schemas and SELECT (or BROWSE) on the tables that are to be listed.";
    vec![Outcome::new("list-columns", Status::Warning, message).hint(hint)]
}

fn lacks(capability: &str, privilege: &str, securable: &str, path: &[&str]) -> Outcome {
    let name = quoted(path);
    Outcome::new(capability, Status::Warning, format!("{privilege} is missing on {name}: it is listed only in part."))
        .hint(format!("GRANT {privilege} ON {securable} {name} TO `…`;"))
        .at(path.iter().map(|part| (*part).to_owned()).collect())
}

fn quoted(path: &[&str]) -> String {
    path.iter().map(|part| format!("`{}`", part.replace('`', "``"))).collect::<Vec<_>>().join(".")
}
