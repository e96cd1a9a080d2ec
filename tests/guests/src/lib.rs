//! What the hostile and odd components of the tests have in common: a connector that does nothing, of which each of
//! them does one thing differently.
//!
//! Nothing of the SDK but its generated bindings stands between them and the host: the SDK would not let them misbehave.

pub mod pages;

use std::marker::PhantomData;

use wharfinger_sdk::__private::connector;
pub use wharfinger_sdk::__private::connector::{
    exports::wharfinger::connector::{
        catalog::{Page, Partition, ReadRequest},
        check::Outcome,
    },
    wharfinger::connector::{
        catalog_types::{Column, Listing, Object},
        http, log,
        types::Error,
    },
};

/// A component's exports. Those that are not written do as little as they can.
pub trait Guest {
    /// `descriptor.describe`.
    fn describe() -> String {
        DESCRIPTOR.to_owned()
    }

    /// `check.run`.
    fn check(_config: String) -> Result<Vec<Outcome>, Error> {
        Ok(Vec::new())
    }

    /// `catalog.plan`.
    fn plan(_config: String, _scope: Vec<String>) -> Result<Vec<Partition>, Error> {
        Ok(Vec::new())
    }

    /// `catalog.read`.
    fn read(_config: String, _request: ReadRequest) -> Result<Page, Error> {
        Ok(page(Vec::new()))
    }
}

/// A descriptor that the host accepts.
pub const DESCRIPTOR: &str = r#"{
    "name": "guest", "version": "0.1.0", "title": "A guest of the tests", "technology": "Guest",
    "config": {
        "type": "object",
        "properties": {
            "hostname": { "type": "string" },
            "port": { "type": "integer" },
            "authenticationType": { "const": "token" },
            "token": { "type": "string" }
        },
        "required": ["hostname", "authenticationType"],
        "additionalProperties": false
    },
    "secrets": ["token"],
    "address": { "hostname": "hostname", "port": "port", "defaultPort": 443 },
    "authentication": {
        "select": "authenticationType",
        "methods": [{
            "id": "token",
            "secrets": ["token"],
            "apply": {
                "to": [{ "origin": "{{ connection.origin }}", "paths": ["/*"], "methods": ["GET"] }],
                "headers": { "authorization": "Bearer {{ secret.token }}" }
            }
        }]
    },
    "egress": [{ "origin": "{{ connection.origin }}", "paths": ["/*"], "methods": ["GET"] }],
    "remoteIdsUnique": true
}"#;

/// One outcome that passed and says this.
#[must_use]
pub fn passed(message: String) -> Vec<Outcome> {
    vec![Outcome {
        capability: "sin".into(),
        status: "passed".into(),
        message,
        hint: None,
        path: None,
        extra: Vec::new(),
    }]
}

/// A table.
#[must_use]
pub fn object(path: &[&str]) -> Object {
    Object {
        path: path.iter().map(ToString::to_string).collect(),
        kind: "table-like".into(),
        object_type: "table".into(),
        namespace: String::new(),
        remote_id: None,
        fingerprint: None,
        comment: None,
        attributes: Vec::new(),
        columns: None,
        extra: Vec::new(),
    }
}

/// A page of these objects that ends its partition.
#[must_use]
pub fn page(objects: Vec<Object>) -> Page {
    Page {
        objects,
        errors: Vec::new(),
        listed: Vec::new(),
        partitions: Vec::new(),
        next: None,
        not_before_ms: None,
        extra: Vec::new(),
    }
}

/// A request for a path of the connection, with its credential.
#[must_use]
pub fn get(url: String) -> http::Request {
    http::Request {
        method: "GET".into(),
        url,
        headers: Vec::new(),
        body: None,
        auth: Some("connection".into()),
        retriable: true,
        extra: Vec::new(),
    }
}

/// Hands the exports on to a guest.
pub struct Exported<T>(PhantomData<T>);

impl<T: Guest> connector::exports::wharfinger::connector::descriptor::Guest for Exported<T> {
    fn describe() -> String {
        T::describe()
    }
}

impl<T: Guest> connector::exports::wharfinger::connector::check::Guest for Exported<T> {
    fn run(config: String) -> Result<Vec<Outcome>, Error> {
        T::check(config)
    }
}

impl<T: Guest> connector::exports::wharfinger::connector::catalog::Guest for Exported<T> {
    fn plan(config: String, scope: Vec<String>) -> Result<Vec<Partition>, Error> {
        T::plan(config, scope)
    }

    fn read(config: String, request: ReadRequest) -> Result<Page, Error> {
        T::read(config, request)
    }
}

/// Makes an example a component.
#[macro_export]
macro_rules! export {
    ($guest:ty) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "exports of the component")]
        const _: () = {
            type Exported = $crate::Exported<$guest>;
            ::wharfinger_sdk::__private::connector::export_connector!(
                Exported with_types_in ::wharfinger_sdk::__private::connector
            );
        };

        // Outside WebAssembly nothing is exported, but the guest is still compiled.
        #[cfg(not(target_family = "wasm"))]
        const _: fn() -> String = <$guest as $crate::Guest>::describe;
    };
}
