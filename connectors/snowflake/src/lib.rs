//! Snowflake as a Wharfinger connector.
//!
//! `config` (what a connection needs) and `auth` (how it authenticates) are declared; `request` (the statements) and
//! `parse`, `objects` and `types` (what is made of the answers) are pure; `statement` sends a statement over whichever
//! of the platform's two protocols the credential speaks; `details` adds fingerprints and columns to what SHOW lists;
//! `listing`, `columns`, `confirm` and `check` ask the platform. Nothing here holds a secret or a state: what is needed
//! to go on stands in cursors.

mod auth;
mod check;
mod columns;
mod config;
mod confirm;
mod details;
mod listing;
mod lookup;
mod objects;
mod parse;
mod request;
mod statement;
#[cfg(test)]
mod tests;
mod types;

use wharfinger_sdk::{
    Abandon, ColumnsRequest, Confirm, Connector, Context, Descriptor, Error, Outcome, Page, Partition, Presence,
    ReadColumns, ReadRequest,
    descriptor::{Address, Egress},
};

use config::Config;
use statement::{api, driver};

/// The connector.
struct Snowflake;

impl Connector for Snowflake {
    type Config = Config;

    fn descriptor() -> Descriptor {
        Descriptor {
            name: "snowflake",
            version: env!("CARGO_PKG_VERSION"),
            title: "Snowflake",
            technology: "Snowflake",
            description: "Lists the databases, schemas, tables and views of a Snowflake account with SHOW statements, \
                          and their columns from INFORMATION_SCHEMA where there is a warehouse.",
            address: Address { hostname: "hostname".to_owned(), port: "port".to_owned(), default_port: 443 },
            authentication: auth::authentication(),
            egress: egress(),
            host_managed: Some("/config/database"),
            remote_ids_unique: false,
        }
    }

    fn check(cx: &Context<Config>) -> Result<Vec<Outcome>, Error> {
        Ok(check::run(cx))
    }

    fn plan(cx: &Context<Config>, scope: &[String]) -> Result<Vec<Partition>, Error> {
        listing::plan(cx, scope)
    }

    fn read(cx: &Context<Config>, request: ReadRequest) -> Result<Page, Error> {
        listing::read(cx, &request)
    }
}

fn egress() -> Vec<Egress> {
    let entry = |paths: &[&str], methods: &[&str]| Egress {
        origin: auth::ORIGIN.to_owned(),
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
        from_response: None,
    };
    let everything = format!("{}/*", api::STATEMENTS);
    vec![
        entry(&[api::STATEMENTS, &everything], &["GET", "POST"]),
        Egress {
            from_response: Some(driver::result_files()),
            ..entry(&[driver::QUERY, driver::RESULT], &["GET", "POST"])
        },
        entry(&[driver::ABORT], &["POST"]),
    ]
}

impl ReadColumns for Snowflake {
    fn read_columns(cx: &Context<Config>, request: ColumnsRequest) -> Result<Page, Error> {
        columns::read(cx, &request)
    }
}

impl Confirm for Snowflake {
    fn confirm(
        cx: &Context<Config>,
        scope: &[String],
        _namespace: &str,
        names: &[String],
    ) -> Result<Vec<Presence>, Error> {
        confirm::confirm(cx, scope, names)
    }
}

impl Abandon for Snowflake {
    fn abandon(cx: &Context<Config>, cursor: &str) {
        statement::abandon(cx, cursor);
    }
}

wharfinger_sdk::export!(Snowflake: columns, confirm, abandon);
