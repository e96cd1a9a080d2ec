//! A platform made of a closure over statements, speaking both protocols as the configuration asks for. Refuses what the
//! sandbox would refuse.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use serde_json::{Value, json};
use wharfinger_sdk::{
    Context, Error,
    http::{Request, Response},
    testing::{self, MockHost, Walked},
};

use crate::{Snowflake, config::Config};

pub(super) const ORIGIN: &str = "https://acme-main.snowflakecomputing.com";
pub(super) const HANDLE: &str = "01a00000-0000-0000-0000-00000000";

/// What a statement comes to.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// Columns and rows.
    Rows(Vec<String>, Vec<Vec<Value>>),
    /// Code, SQLSTATE and text.
    Refused(&'static str, &'static str, &'static str),
    /// Whatever else.
    Raw(Response),
    /// The host did not get an answer.
    Failed(Error),
}

pub(super) fn rows(columns: &[&str], rows: Vec<Vec<Value>>) -> Said {
    Said::Rows(columns.iter().map(|name| (*name).to_owned()).collect(), rows)
}

pub(super) const GONE: Said =
    Said::Refused("002003", "02000", "SQL compilation error:\nObject does not exist or not authorized.");
pub(super) const NO_WAREHOUSE: Said =
    Said::Refused("000606", "57P03", "No active warehouse selected in the current session.");
pub(super) const TOO_MUCH: Said = Said::Refused("090030", "22000", "Information schema query returned too much data.");

/// The configuration of the SQL API, with a warehouse.
pub(super) fn api() -> Value {
    json!({ "hostname": "acme-main.snowflakecomputing.com", "authenticationType": "keyPair", "username": "svc",
            "privateKey": {}, "role": "analyst", "warehouse": "WH" })
}

/// The same over the drivers' protocol.
pub(super) fn driver() -> Value {
    let mut config = api();
    config["authenticationType"] = json!("userPassword");
    config
}

/// The same without a warehouse.
pub(super) fn without_warehouse(mut config: Value) -> Value {
    if let Some(config) = config.as_object_mut() {
        config.remove("warehouse");
    }
    config
}

/// A host whose platform answers statements by their text.
pub(super) fn platform(answer: impl Fn(&str) -> Said + 'static) -> Rc<MockHost> {
    let kept: RefCell<BTreeMap<String, (String, Said)>> = RefCell::default();
    MockHost::new(move |request| {
        assert_eq!(request.auth.as_deref(), Some("connection"), "{}", request.url);
        let (path, query) = split(request);
        match (request.method.as_str(), path.as_str()) {
            ("POST", "/api/v2/statements" | "/queries/v1/query-request") => {
                assert_id(&query["requestId"]);
                assert!(request.retriable && !query.contains_key("retry") && !query.contains_key("retryCount"));
                let sql = sql(request);
                assert!(["SHOW ", "SELECT ", "DESCRIBE "].iter().any(|verb| sql.starts_with(verb)), "{sql}");
                let handle = format!("{HANDLE}{:04}", kept.borrow().len());
                let said = answer(&sql);
                kept.borrow_mut().insert(handle.clone(), (sql, said.clone()));
                if path.starts_with("/api") { as_api(said, &handle) } else { as_driver(said, &handle) }
            }
            (method, path) => panic!("not asked for: {method} {path}"),
        }
    })
}

/// The statement in a request.
pub(super) fn sql(request: &Request) -> String {
    let body: Value = serde_json::from_slice(request.body.as_deref().unwrap_or_default()).expect("JSON");
    let text = body.get("statement").or_else(|| body.get("sqlText")).and_then(Value::as_str);
    text.expect("a statement").to_owned()
}

/// The statements that were sent; forgets them.
pub(super) fn statements(host: &MockHost) -> Vec<String> {
    host.take_requests().iter().filter(|request| request.body.is_some()).map(sql).collect()
}

pub(super) fn assert_id(id: &str) {
    assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{id}");
}

fn as_api(said: Said, handle: &str) -> Result<Response, Error> {
    match said {
        Said::Raw(response) => Ok(response),
        Said::Failed(error) => Err(error),
        Said::Refused(code, state, message) => Ok(testing::json(
            422,
            &json!({ "code": code, "sqlState": state, "message": message, "statementHandle": handle }),
        )),
        Said::Rows(columns, rows) => {
            // Texts and nulls only, as this protocol has it.
            let text = |cell: &Value| match cell {
                Value::Null | Value::String(_) => cell.clone(),
                other => Value::String(other.to_string()),
            };
            let data: Vec<Vec<Value>> = rows.iter().map(|row| row.iter().map(text).collect()).collect();
            let types: Vec<Value> = columns.iter().map(|name| json!({ "name": name, "type": "text" })).collect();
            Ok(testing::json(
                200,
                &json!({ "resultSetMetaData": { "numRows": rows.len(), "format": "jsonv2", "rowType": types,
                         "partitionInfo": [{ "rowCount": rows.len(), "uncompressedSize": 1 }] },
                         "data": data, "code": "090001", "statementHandle": handle, "sqlState": "00000",
                         "message": "Statement executed successfully." }),
            ))
        }
    }
}

fn as_driver(said: Said, handle: &str) -> Result<Response, Error> {
    match said {
        Said::Raw(response) => Ok(response),
        Said::Failed(error) => Err(error),
        Said::Refused(code, state, message) => Ok(testing::json(
            200,
            &json!({ "data": { "errorCode": code, "sqlState": state, "queryId": handle }, "code": code,
                     "message": message, "success": false, "headers": null }),
        )),
        Said::Rows(columns, rows) => {
            let types: Vec<Value> = columns.iter().map(|name| json!({ "name": name, "type": "text" })).collect();
            Ok(testing::json(
                200,
                &json!({ "data": { "rowtype": types, "rowset": rows, "total": rows.len(), "returned": rows.len(),
                         "queryId": handle, "queryResultFormat": "json" },
                         "code": null, "message": null, "success": true }),
            ))
        }
    }
}

/// Path and decoded query of a request.
pub(super) fn split(request: &Request) -> (String, BTreeMap<String, String>) {
    let rest = request.url.strip_prefix(ORIGIN).expect("at the origin");
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').expect("a pair");
        (name.to_owned(), value.to_owned())
    });
    (path.to_owned(), pairs.collect())
}

pub(super) fn context(config: &Value, host: &Rc<MockHost>) -> Context<Config> {
    testing::context::<Snowflake>(config, ORIGIN, Rc::clone(host)).expect("context")
}

pub(super) fn path(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub(super) fn walk(config: &Value, host: &Rc<MockHost>, scope: &[&str], columns: bool) -> Result<Walked, Error> {
    testing::walk::<Snowflake>(config, ORIGIN, host, &path(scope), columns)
}
