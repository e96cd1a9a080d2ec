//! A platform made of a closure over path and decoded query.

use std::{collections::BTreeMap, rc::Rc};

use serde_json::{Value, json};
use wharfinger_sdk::{
    Context, Error,
    http::{Request, Response},
    testing::{self, MockHost},
};

use crate::{Databricks, config::Config, request::API};

pub(super) const ORIGIN: &str = "https://dbc.example";

/// Query parameters, decoded.
pub(super) type Query = BTreeMap<String, String>;

/// The configuration that tests use.
pub(super) fn config() -> Value {
    json!({ "hostname": "dbc.example", "port": 443, "authenticationType": "token" })
}

/// A host whose platform answers by path below the API's base and by query. Refuses what the sandbox would refuse.
pub(super) fn platform(answer: impl Fn(&str, &Query) -> Result<Response, Error> + 'static) -> Rc<MockHost> {
    MockHost::new(move |request| {
        assert_eq!((request.method.as_str(), request.auth.as_deref()), ("GET", Some("connection")));
        let (path, query) = split(request);
        let path = path.strip_prefix(API).expect("below the API's base");
        answer(path.trim_start_matches('/'), &query)
    })
}

/// Path and decoded query of a request.
pub(super) fn split(request: &Request) -> (String, Query) {
    let rest = request.url.strip_prefix(ORIGIN).expect("at the origin");
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').expect("a pair");
        (decode(name), decode(value))
    });
    (decode(path), pairs.collect())
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let hex = [*high, *low];
                let hex = std::str::from_utf8(&hex).expect("ascii");
                bytes.push(u8::from_str_radix(hex, 16).expect("a stray % is never answered"));
                tail
            }
            (b'%', _) => panic!("a stray % is never answered: {text}"),
            (byte, tail) => {
                assert!(byte.is_ascii_alphanumeric() || b"-._~/".contains(byte), "not encoded: {text}");
                bytes.push(*byte);
                tail
            }
        };
    }
    String::from_utf8(bytes).expect("UTF-8")
}

pub(super) fn context(host: &Rc<MockHost>) -> Context<Config> {
    testing::context::<Databricks>(&config(), ORIGIN, Rc::clone(host)).expect("context")
}

pub(super) fn path(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub(super) fn refusal(status: u16, code: &str) -> Result<Response, Error> {
    Ok(testing::json(status, &json!({ "error_code": code, "message": format!("{code} it says.") })))
}

pub(super) fn ok(body: &Value) -> Result<Response, Error> {
    Ok(testing::json(200, body))
}

/// A table as the platform answers it.
pub(super) fn table(name: &str) -> Value {
    json!({
        "name": name, "catalog_name": "main", "schema_name": "sales", "table_type": "MANAGED", "table_id": format!("id-{name}"),
        "created_at": 1, "updated_at": 2, "columns": [{ "name": "c", "type_text": "int", "position": 0 }],
    })
}

/// `main.sales` with these tables, in pages of this size.
pub(super) fn schema_of(tables: Vec<Value>, page: usize) -> Rc<MockHost> {
    platform(move |path, query| match path {
        "catalogs" => ok(&json!({ "catalogs": [{ "name": "main", "metastore_id": "m" }] })),
        "schemas" => ok(&json!({ "schemas": [{ "name": "sales", "schema_id": "s" }] })),
        "schemas/main.sales" => ok(&json!({ "name": "sales", "catalog_name": "main" })),
        "tables" => {
            let size = query["max_results"].parse().ok().filter(|n| *n > 0).map_or(page, |n: usize| n.min(page));
            let begin = query.get("page_token").map_or(0, |token| token.parse().expect("our token"));
            let end = (begin + size).min(tables.len());
            let mut rows = tables[begin..end].to_vec();
            if query.get("omit_columns").is_some_and(|value| value == "true") {
                rows.iter_mut().filter_map(Value::as_object_mut).for_each(|row| drop(row.remove("columns")));
            }
            let next = (end < tables.len()).then(|| end.to_string());
            ok(&json!({ "tables": rows, "next_page_token": next }))
        }
        _ => {
            let name = path.strip_prefix("tables/main.sales.").unwrap_or_default();
            match tables.iter().find(|table| table["name"] == name) {
                Some(table) => ok(table),
                None => refusal(404, "TABLE_DOES_NOT_EXIST"),
            }
        }
    })
}
