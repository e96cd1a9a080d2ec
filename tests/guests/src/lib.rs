//! What the hostile and odd components of the tests have in common: a connector that does nothing, of which each of
//! them does one thing differently.
//!
//! Nothing of the SDK but its generated bindings stands between them and the host: the SDK would not let them misbehave.

pub mod pages;

use std::marker::PhantomData;

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
use wharfinger_sdk::__private::{columns, confirm, connector};

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

    /// `catalog-columns.read`, of guests that export it.
    fn columns(_config: String, _names: Vec<String>) -> Result<Page, Error> {
        Ok(page(Vec::new()))
    }

    /// `catalog-confirm.confirm`, of guests that export it.
    fn confirm(_config: String, _names: Vec<String>) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }
}

/// A descriptor that the host accepts.
pub const DESCRIPTOR: &str = include_str!("../descriptor.json");

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

/// A text of the configuration; empty where there is none.
#[must_use]
pub fn configured(config: &str, property: &str) -> String {
    let config: serde_json::Value = serde_json::from_str(config).unwrap_or_default();
    config[property].as_str().unwrap_or_default().to_owned()
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

impl<T: Guest> columns::exports::wharfinger::connector::catalog_columns::Guest for Exported<T> {
    fn read(
        config: String,
        _scope: Vec<String>,
        _namespace: String,
        names: Vec<String>,
        _cursor: Option<String>,
    ) -> Result<Page, Error> {
        T::columns(config, names)
    }
}

impl<T: Guest> confirm::exports::wharfinger::connector::catalog_confirm::Guest for Exported<T> {
    fn confirm(
        config: String,
        _scope: Vec<String>,
        _namespace: String,
        names: Vec<String>,
    ) -> Result<Vec<String>, Error> {
        T::confirm(config, names)
    }
}

/// Makes an example a component; after a colon, with the optional interfaces too.
#[macro_export]
macro_rules! export {
    ($guest:ty $(: $optional:tt)?) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "exports of the component")]
        const _: () = {
            type Exported = $crate::Exported<$guest>;
            ::wharfinger_sdk::__private::connector::export_connector!(
                Exported with_types_in ::wharfinger_sdk::__private::connector
            );
            $($crate::export_optional!($optional Exported);)?
        };

        // Outside WebAssembly nothing is exported, but the guest is still compiled.
        #[cfg(not(target_family = "wasm"))]
        const _: fn() -> String = <$guest as $crate::Guest>::describe;
    };
}

/// The optional interfaces of [`export!`].
#[doc(hidden)]
#[macro_export]
macro_rules! export_optional {
    (optional $exported:ident) => {
        ::wharfinger_sdk::__private::columns::export_columns!(
            $exported with_types_in ::wharfinger_sdk::__private::columns
        );
        ::wharfinger_sdk::__private::confirm::export_confirm!(
            $exported with_types_in ::wharfinger_sdk::__private::confirm
        );
    };
}
