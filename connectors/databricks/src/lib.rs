//! Databricks Unity Catalog, and open-source servers with the same API, as a Wharfinger connector.
//!
//! `config` (what a connection needs) and `auth` (how it authenticates) are declared; `request`, `parse` and `objects`
//! are pure; `listing`, `columns`, `confirm` and `check` ask the platform. Nothing here holds a secret or a state:
//! what is needed to go on stands in cursors.

mod auth;
mod check;
mod columns;
mod config;
mod confirm;
mod listing;
mod objects;
mod parse;
mod request;
#[cfg(test)]
mod tests;

use wharfinger_sdk::{
    ColumnsRequest, Confirm, Connector, Context, Descriptor, Error, Outcome, Page, Partition, Presence, ReadColumns,
    ReadRequest,
    descriptor::{Address, Egress},
};

use config::Config;

/// The connector.
struct Databricks;

impl Connector for Databricks {
    type Config = Config;

    fn descriptor() -> Descriptor {
        Descriptor {
            name: "databricks",
            version: env!("CARGO_PKG_VERSION"),
            title: "Databricks Unity Catalog",
            technology: "Databricks",
            description: "Lists the catalogs, schemas and tables of a Unity Catalog metastore over its REST API.",
            address: Address { hostname: "hostname".to_owned(), port: "port".to_owned(), default_port: 443 },
            authentication: auth::authentication(),
            egress: vec![Egress {
                origin: "{{ connection.origin }}".to_owned(),
                paths: vec![format!("{}/*", request::API)],
                methods: vec!["GET".to_owned()],
                from_response: None,
            }],
            host_managed: Some("/config/catalog"),
            remote_ids_unique: true,
        }
    }

    fn check(cx: &Context<Config>) -> Result<Vec<Outcome>, Error> {
        Ok(check::run(cx))
    }

    fn plan(_cx: &Context<Config>, scope: &[String]) -> Result<Vec<Partition>, Error> {
        listing::plan(scope)
    }

    fn read(cx: &Context<Config>, request: ReadRequest) -> Result<Page, Error> {
        listing::read(cx, &request)
    }
}

impl ReadColumns for Databricks {
    fn read_columns(cx: &Context<Config>, request: ColumnsRequest) -> Result<Page, Error> {
        columns::read(cx, &request)
    }
}

impl Confirm for Databricks {
    fn confirm(
        cx: &Context<Config>,
        scope: &[String],
        _namespace: &str,
        names: &[String],
    ) -> Result<Vec<Presence>, Error> {
        confirm::confirm(cx, scope, names)
    }
}

wharfinger_sdk::export!(Databricks: columns, confirm);
