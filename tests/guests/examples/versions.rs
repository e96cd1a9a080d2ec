//! A connector of which tests make as many versions as they like: its description lies in one place of the component, padded,
//! so that a test can write another one over it. What it does wrong, it reads there too, by a word of its `description`.
//!
//! Words: `check-fails`, `check-loops`, `check-asks` (the platform, and passes whatever it says), `read-traps`, `read-fails`,
//! `read-refused` (for good), `read-loops`, `tables=A,B` (what it lists; `one,two` otherwise), `columns=A,B` (what each of them
//! has; none otherwise), `slow` (one table a page).

use std::hint::black_box;

use wharfinger_guests::{
    Column, Error, Guest, Listing, Object, Outcome, Page, Partition, ReadRequest, configured, get, http, object, page,
    passed,
};

/// Bytes that the description may have.
const ROOM: usize = 6144;

/// What tests look for. The description that is written over it begins with the same bytes.
const BEGIN: &[u8] = br#"{"name":"#;

static DESCRIPTION: [u8; ROOM] = padded(
    br#"{"name": "versions", "version": "1.0.0", "title": "Versions of a guest", "technology": "Versions",
    "description": "",
    "config": {
        "type": "object",
        "properties": {
            "hostname": { "type": "string" }, "port": { "type": "integer" },
            "authenticationType": { "const": "token" }, "token": { "type": "string" }
        },
        "required": ["hostname", "authenticationType"]
    },
    "secrets": ["token"],
    "address": { "hostname": "hostname", "port": "port", "defaultPort": 443 },
    "authentication": { "select": "authenticationType", "methods": [{
        "id": "token", "secrets": ["token"],
        "apply": {
            "to": [{ "origin": "{{ connection.origin }}", "paths": ["/*"], "methods": ["GET"] }],
            "headers": { "authorization": "Bearer {{ secret.token }}" }
        }
    }] },
    "egress": [{ "origin": "{{ connection.origin }}", "paths": ["/*"], "methods": ["GET"] }],
    "remoteIdsUnique": true}"#,
);

const fn padded(text: &[u8]) -> [u8; ROOM] {
    let mut room = [b' '; ROOM];
    let mut at = 0;
    while at < text.len() {
        room[at] = text[at];
        at += 1;
    }
    // Stands at the end, so that what is looked for is found whole.
    room[ROOM - 1] = b'\n';
    room
}

struct Versions;

/// As it is in this component. Not a constant to the compiler, because a test may have changed it.
fn description() -> String {
    let text = black_box(&DESCRIPTION);
    assert!(text.starts_with(BEGIN), "it was written over with something else");
    String::from_utf8_lossy(text).trim_end().to_owned()
}

/// The words of its `description`.
fn words() -> Vec<String> {
    let text = description();
    let inside = text.split("\"description\":").nth(1).and_then(|rest| rest.split('"').nth(1)).unwrap_or_default();
    inside.split_whitespace().map(str::to_owned).collect()
}

fn says(word: &str) -> bool {
    words().iter().any(|found| found == word)
}

/// The names after a word, or others.
fn names(word: &str, otherwise: &str) -> Vec<String> {
    let words = words();
    let list = words.iter().find_map(|found| found.strip_prefix(word)).unwrap_or(otherwise);
    list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn failed(code: &str, message: &str) -> Error {
    Error {
        code: code.into(),
        message: message.into(),
        detail: None,
        retry_after_ms: None,
        path: None,
        extra: Vec::new(),
    }
}

fn table(name: &str) -> Object {
    let columns = names("columns=", "").into_iter().map(|name| Column {
        name,
        data_type: "text".into(),
        nullable: None,
        comment: None,
        position: None,
        extra: Vec::new(),
    });
    Object { remote_id: Some(format!("id of {name}")), columns: Some(columns.collect()), ..object(&[name]) }
}

impl Guest for Versions {
    fn describe() -> String {
        description()
    }

    fn check(config: String) -> Result<Vec<Outcome>, Error> {
        while says("check-loops") {
            black_box(());
        }
        if says("check-asks") {
            let _ = http::send(&get(format!("{}/check", configured(&config, "origin"))));
        }
        if says("check-fails") {
            return Ok(vec![Outcome {
                capability: "authenticate".into(),
                status: "failed".into(),
                ..passed("this version cannot".into()).remove(0)
            }]);
        }
        Ok(vec![Outcome { capability: "authenticate".into(), ..passed("welcome".into()).remove(0) }])
    }

    fn plan(_config: String, scope: Vec<String>) -> Result<Vec<Partition>, Error> {
        let partition = Partition { id: "all".into(), scope, payload: String::new(), weight: 1, extra: Vec::new() };
        Ok(vec![partition])
    }

    fn read(_config: String, request: ReadRequest) -> Result<Page, Error> {
        assert!(!says("read-traps"), "this version traps");
        while says("read-loops") {
            black_box(());
        }
        if says("read-fails") {
            return Err(failed("internal", "this version cannot read"));
        }
        if says("read-refused") {
            return Err(failed("unsupported", "this version cannot read at all"));
        }
        let tables = names("tables=", "one,two");
        let from: usize = request.cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        let at_once = if says("slow") { 1 } else { tables.len().max(1) };
        let objects: Vec<Object> = tables.iter().skip(from).take(at_once).map(|name| table(name)).collect();
        let next = from + at_once;
        if next < tables.len() {
            let not_before_ms = says("slow").then_some(200);
            return Ok(Page { next: Some(next.to_string()), not_before_ms, ..page(objects) });
        }
        let listed = Listing {
            path: request.partition.scope,
            namespace: String::new(),
            basis: "role".into(),
            extra: Vec::new(),
        };
        Ok(Page { listed: vec![listed], ..page(objects) })
    }
}

wharfinger_guests::export!(Versions);
