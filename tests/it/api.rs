//! The API over HTTP: what it takes, what it refuses, whom it lets see what, and that its document tells the truth.

mod bad_input;
mod connections;
mod document;
mod two_roots;

use serde_json::Value;
use wharfinger_simulators::unity_catalog::{Names, Options, Shape, UnityCatalog};

/// A small platform with ids and names of its own.
async fn platform(seed: u64, names: Names) -> UnityCatalog {
    let shape = Shape { catalogs: 2, schemas: 2, tables: 3, columns: 2, names };
    UnityCatalog::start(Options::new(shape.generate(seed))).await.expect("a simulated platform")
}

/// The object's path as the end of a URL.
fn url_of(object: &Value) -> String {
    let names = object["objectPath"].as_array().expect("objectPath").iter();
    names.map(|name| encode(name.as_str().expect("name"))).collect::<Vec<_>>().join("/")
}

/// One name as a segment of a URL: everything that is not a letter or a digit is escaped.
fn encode(name: &str) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric();
    name.as_bytes().iter().map(|b| if plain(b) { char::from(*b).to_string() } else { format!("%{b:02X}") }).collect()
}
