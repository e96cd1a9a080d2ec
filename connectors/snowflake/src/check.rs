//! Whether a connection works, capability by capability, and what is missing where something is.
//!
//! A role without any right is a warning: rights may come later. What fails is an address that is no account, credentials
//! that are refused, and a role or warehouse that is not there for the user.

mod grants;
mod rights;

use wharfinger_sdk::{Context, Error, Outcome, Status, codes};

use crate::{
    config::{AuthenticationType, Config},
    listing::{Who, whoami},
    objects,
    parse::Table,
    request::{self, Container, PAGE, Schema, Show},
    statement::{Session, Trouble},
};

/// Schemas in which a table is looked for.
const SCHEMAS: usize = 10;

/// One outcome per capability, and one for each container in which a right is missing.
pub(crate) fn run(cx: &Context<Config>) -> Vec<Outcome> {
    let session = Session::new(cx);
    let mut outcomes = Vec::new();
    match whoami(&session) {
        Err(trouble) => outcomes.extend(unusable(trouble)),
        Ok(who) => {
            outcomes.push(Outcome::new(
                "reach",
                Status::Passed,
                format!("{} answers as a Snowflake account.", cx.origin()),
            ));
            outcomes.push(authenticated(&who));
            outcomes.extend(password(cx.config()));
            outcomes.push(role(&who));
            outcomes.extend(contents(&session, &who));
        }
    }
    finish(outcomes)
}

/// The outcomes of not even being told who we are.
fn unusable(trouble: Trouble) -> Vec<Outcome> {
    let names_the_role = matches!(&trouble, Trouble::Refused(problem)
        if problem.refuses_config() && problem.text.to_ascii_lowercase().contains("role"));
    let is_elsewhere = matches!(&trouble, Trouble::Refused(problem) if problem.is_elsewhere());
    let error = trouble.error("ask who we are");
    let failed = |capability: &str| {
        let mut outcome = Outcome::new(capability, Status::Failed, error.message.clone());
        outcome.hint = error.detail.clone();
        outcome
    };
    let reached = || Outcome::new("reach", Status::Passed, "The server answers.");
    let is_refusal =
        error.is(codes::UNAUTHENTICATED) || error.is(codes::INVALID_CONFIG) || error.is(codes::PERMISSION_DENIED);
    match () {
        () if is_elsewhere => vec![failed("reach").hint(CHECK_ADDRESS)],
        () if names_the_role => vec![
            reached(),
            Outcome::new("authenticate", Status::Passed, "The platform accepts the credentials."),
            failed("role").hint("GRANT ROLE \"…\" TO USER \"…\"; or name another role."),
        ],
        () if is_refusal => vec![reached(), failed("authenticate").hint(hint(&error))],
        () => vec![failed("reach")],
    }
}

fn hint(error: &Error) -> String {
    match &error.detail {
        Some(detail) => format!("{CHECK_CREDENTIALS} The platform says: {detail}"),
        None => CHECK_CREDENTIALS.to_owned(),
    }
}

const CHECK_ADDRESS: &str = "Check host name and port: they must be those of a Snowflake account, such as \
                             myorg-myaccount.snowflakecomputing.com.";
const CHECK_CREDENTIALS: &str = "Check user name and secret, that they belong to this account, and that no network \
                                 policy keeps this host out.";

fn authenticated(who: &Who) -> Outcome {
    let user = who.user.as_deref().unwrap_or("a user without a name");
    let account = match (&who.organization, &who.account, &who.locator) {
        (Some(organization), Some(account), _) => Some(format!("{organization}.{account}")),
        (_, _, locator) => locator.clone(),
    };
    let outcome = match &account {
        Some(account) => {
            let message = format!("The platform accepts the credentials of {user}; the account is {account}.");
            Outcome::new("authenticate", Status::Passed, message).identity(account)
        }
        None => Outcome::new(
            "authenticate",
            Status::Warning,
            "The platform accepts the credentials, but does not say which account this is.",
        )
        .hint("A second connection to the same account cannot be recognised."),
    };
    outcome.basis(format!("role {}", who.role.as_deref().unwrap_or("none")))
}

/// What is going to stop working.
fn password(config: &Config) -> Option<Outcome> {
    (config.authentication_type == AuthenticationType::UserPassword).then(|| {
        Outcome::new(
            "password",
            Status::Warning,
            "Snowflake ends sign-in with a password alone in the course of 2026: this connection will then be refused.",
        )
        .hint("Use a key pair or a programmatic access token; the latter also works in place of the password.")
    })
}

fn role(who: &Who) -> Outcome {
    match who.role.as_deref() {
        Some("PUBLIC") => Outcome::new("role", Status::Warning, "The role is PUBLIC, which sees next to nothing.")
            .hint("Name a role in the connection, or give the user a default role."),
        Some(role) => Outcome::new("role", Status::Passed, format!("What the role {role} sees is listed.")),
        None => Outcome::new("role", Status::Warning, "There is no role: nothing can be seen.")
            .hint("Name a role in the connection, or give the user a default role."),
    }
}

/// What can be listed, and what is missing for more.
fn contents(session: &Session<'_>, who: &Who) -> Vec<Outcome> {
    let table = session.query(&request::show(Show::Databases, "", PAGE, None));
    let shown = table.and_then(|table| Ok(objects::shown(session.cx().config(), Show::Databases, &table)?));
    let databases: Vec<String> = match shown {
        Ok(shown) => {
            let kept = shown.objects.into_iter().filter(|object| !objects::is_excluded(object));
            kept.filter(|object| session.cx().filter().keeps(&object.path))
                .map(|mut object| object.path.remove(0))
                .collect()
        }
        Err(trouble) => {
            let error = trouble.error(&Container::Account.listing());
            return vec![Outcome::new("list-containers", Status::Failed, error.message)];
        }
    };
    let role = who.role.as_deref().unwrap_or("…");
    if databases.is_empty() {
        let grant = format!("GRANT USAGE ON DATABASE \"…\" TO ROLE {};", request::quoted(&[role]));
        let message = "The credentials are good, but the role sees no database that is to be listed.";
        return vec![Outcome::new("list-containers", Status::Warning, message).hint(grant)];
    }
    let mut outcomes = vec![Outcome::new(
        "list-containers",
        Status::Passed,
        format!("{}{} databases are visible.", databases.len(), if databases.len() < PAGE { "" } else { " or more" }),
    )];
    let seen = rights::look(session, role, &databases);
    outcomes.push(warehouse(session, role, &databases));
    outcomes.push(columns(session, role, &seen.schemas));
    outcomes.extend(seen.missing);
    outcomes
}

/// Whether INFORMATION_SCHEMA can be asked.
fn warehouse(session: &Session<'_>, role: &str, databases: &[String]) -> Outcome {
    let Some(name) = session.cx().config().warehouse() else {
        return Outcome::new(
            "warehouse",
            Status::Skipped,
            "No warehouse is configured: columns are read with SHOW, and all of them on every sync.",
        );
    };
    let mut last = None;
    for database in databases.iter().take(SCHEMAS) {
        match session.query(&request::probe(database)) {
            Ok(_) => return Outcome::new("warehouse", Status::Passed, format!("The warehouse {name} can be used.")),
            // A database without INFORMATION_SCHEMA says nothing of the warehouse.
            Err(trouble) if trouble.is_about_the_object() => last = Some(trouble),
            Err(trouble) => {
                last = Some(trouble);
                break;
            }
        }
    }
    let error = last.unwrap_or(Trouble::Running).error("ask INFORMATION_SCHEMA");
    let grant = format!(
        "GRANT USAGE ON WAREHOUSE {} TO ROLE {}; and see that it may resume. Until then columns are read with SHOW.",
        request::quoted(&[&name]),
        request::quoted(&[role])
    );
    Outcome::new("warehouse", Status::Warning, error.message).hint(grant)
}

/// Reads the columns of the first table or view that there is.
fn columns(session: &Session<'_>, role: &str, schemas: &[(String, String)]) -> Outcome {
    for (database, name) in schemas.iter().take(SCHEMAS) {
        let schema = Schema { database, name };
        for what in [Show::Tables(schema), Show::Views(schema)] {
            let Some(table) = first(session, what) else { continue };
            let answer = session.query(&request::columns_of_table(schema, &table));
            if answer.as_ref().is_ok_and(|columns: &Table| columns.len() > 0) {
                let table = request::quoted(&[database, name, &table]);
                let message = format!("Columns can be read, for instance those of {table}.");
                return Outcome::new("list-columns", Status::Passed, message);
            }
        }
    }
    let message = format!("No table with columns is visible in the first {SCHEMAS} schemas.");
    let grant = format!("GRANT REFERENCES ON ALL TABLES IN SCHEMA \"…\".\"…\" TO ROLE {};", request::quoted(&[role]));
    Outcome::new("list-columns", Status::Warning, message).hint(grant)
}

fn first(session: &Session<'_>, what: Show<'_>) -> Option<String> {
    let table = session.query(&request::show(what, "", 1, None)).ok()?;
    objects::shown(session.cx().config(), what, &table).ok()?.last
}

/// Adds what was not tried.
fn finish(mut outcomes: Vec<Outcome>) -> Vec<Outcome> {
    for capability in ["reach", "authenticate", "role", "list-containers", "warehouse", "list-columns"] {
        if !outcomes.iter().any(|outcome| outcome.capability == capability) {
            let why = "Not tried, because something before it did not work.";
            outcomes.push(Outcome::new(capability, Status::Skipped, why));
        }
    }
    outcomes
}
