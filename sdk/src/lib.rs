//! Write a connector for Wharfinger: implement [`Connector`], call [`export!`], build a component.
//!
//! A connector describes itself, checks a connection, and lists a catalogue page by page. It runs in a sandbox: no
//! files, no sockets, no clock to trust, and never a secret. HTTP goes through the host, which authenticates requests
//! by the recipes in the connector's [`Descriptor`]. The same trait runs natively against [`testing::MockHost`], so
//! a connector's tests need no WebAssembly.
//!
//! Reading order: [`Connector`] (what to write) · [`Descriptor`] (what to declare) · [`Context`] and [`http`] (how to
//! reach the platform) · [`Pager`] (what a page may hold) · [`cursor`] and [`paging`] (how to go on) · [`testing`].

extern crate self as wharfinger_sdk;

mod bindings;
pub mod config;
mod connector;
pub mod cursor;
pub mod descriptor;
mod error;
mod export;
mod filter;
mod host;
pub mod http;
mod page;
pub mod paging;
pub mod testing;
mod types;

pub use bindings::connector::{
    exports::wharfinger::connector::{catalog::ReadRequest, check::Outcome},
    wharfinger::connector::{
        catalog_types::{Column, Listing, Object, Page, Partition},
        types::{Attributes, Error, Path},
    },
};
pub use config::Secret;
pub use connector::{Abandon, Confirm, Connector, Context, ReadColumns};
pub use descriptor::Descriptor;
pub use error::codes;
pub use filter::Filter;
pub use host::{Flow, Host};
pub use page::{Full, MAX_BYTES, MAX_OBJECTS, Pager};
pub use types::{ColumnsRequest, Kind, Presence, Status};

/// Version of this crate, as descriptors and components carry it.
pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");
/// Version of the contract (`wit/`) that components made with this crate speak.
pub const WIT_VERSION: &str = "0.1.0";
/// Oldest host that such a component runs on.
pub const MINIMUM_HOST: &str = "0.1.0";

/// What [`export!`] expands to. Not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::{
        bindings::{abandon, columns, confirm, connector},
        export::{Component, SECTION, SECTION_LEN},
    };
    pub use wit_bindgen::rt;
}
