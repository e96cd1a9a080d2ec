//! Returns a page with good objects among bad ones.

use wharfinger_guests::{Column, Error, Guest, Listing, Object, Page, ReadRequest, object, page};

struct BadObjects;

impl Guest for BadObjects {
    fn read(_config: String, _request: ReadRequest) -> Result<Page, Error> {
        let long = "x".repeat(256);
        let column = |name: &str| Column {
            name: name.into(),
            data_type: "int".into(),
            nullable: None,
            comment: None,
            position: None,
            extra: Vec::new(),
        };
        let objects = vec![
            object(&["db", "good"]),
            object(&["db", &long]),
            object(&[]),
            object(&["db", ""]),
            object(&["other", "table"]),
            object(&["db"; 40]),
            Object { kind: "hologram".into(), ..object(&["db", "odd"]) },
            Object { columns: Some(vec![column(""), column("")]), ..object(&["db", "nameless columns"]) },
            Object { columns: Some(vec![column(&long)]), ..object(&["db", "long column"]) },
        ];
        let listing = |path: &str| Listing {
            path: vec![path.into()],
            namespace: String::new(),
            basis: "role".into(),
            extra: Vec::new(),
        };
        let error = Error {
            code: "no-such-code".into(),
            message: "revoked\u{1b}[2J".into(),
            detail: None,
            retry_after_ms: None,
            path: Some(vec!["db".into(), "share".into()]),
            extra: Vec::new(),
        };
        Ok(Page { errors: vec![error], listed: vec![listing("db"), listing("other")], ..page(objects) })
    }
}

wharfinger_guests::export!(BadObjects);
