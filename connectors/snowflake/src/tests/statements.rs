//! Statements: results in parts, statements that take long, and what is left behind.

use std::{cell::Cell, io::Write as _, rc::Rc};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use wharfinger_sdk::{
    Abandon, Connector, Error, Page, ReadRequest, codes,
    http::{Request, Response},
    testing::{self, MockHost},
};

use super::platform::*;
use crate::Snowflake;

const NAMES: [&str; 3] = ["name", "database_name", "schema_name"];

fn row(name: &str) -> Value {
    json!([name, "SALES", "MART"])
}

fn read(config: &Value, host: &Rc<MockHost>, cursor: Option<String>) -> Result<Page, Error> {
    let partition = Snowflake::plan(&context(config, host), &path(&["SALES", "MART"]))?.remove(0);
    Snowflake::read(&context(config, host), ReadRequest { partition, want_columns: false, cursor, extra: vec![] })
}

fn names(page: &Page) -> Vec<&str> {
    page.objects.iter().map(|object| object.path[2].as_str()).collect()
}

fn quiet(mut config: Value) -> Value {
    config.as_object_mut().expect("an object").remove("warehouse");
    config
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("writes");
    encoder.finish().expect("ends")
}

fn body(status: u16, body: Vec<u8>) -> Result<Response, Error> {
    Ok(Response { status, headers: vec![], body, extra: vec![] })
}

/// The first answer of the SQL API, with so many parts.
fn head(rows: &[Value], parts: usize, total: usize, size: usize) -> Value {
    let types: Vec<Value> = NAMES.iter().map(|name| json!({ "name": name, "type": "TEXT" })).collect();
    let parts = vec![json!({ "rowCount": 1, "uncompressedSize": size }); parts];
    json!({ "resultSetMetaData": { "numRows": total, "format": "jsonv2", "rowType": types, "partitionInfo": parts },
            "data": rows, "code": "090001", "statementHandle": "h" })
}

fn is_tables(request: &Request) -> bool {
    request.body.as_deref().is_some_and(|body| String::from_utf8_lossy(body).contains("SHOW TABLES"))
}

fn nothing(request: &Request) -> Option<Result<Response, Error>> {
    let asks = request.body.is_some() && !is_tables(request);
    let empty = if request.url.contains("/queries/") {
        json!({ "data": { "rowtype": [{ "name": "name" }], "rowset": [], "total": 0, "queryId": "e" }, "success": true })
    } else {
        json!({ "resultSetMetaData": { "numRows": 0, "rowType": [{ "name": "name" }], "partitionInfo": [] },
                "data": [], "code": "090001", "statementHandle": "e" })
    };
    asks.then(|| Ok(testing::json(200, &empty)))
}

#[test]
fn parts_of_a_result_come_packed_and_out_of_order_and_are_put_together() {
    let host = MockHost::new(|request| {
        if let Some(answer) = nothing(request) {
            return answer;
        }
        let part = |name: &str| json!({ "data": [row(name)] }).to_string();
        match split(request) {
            (path, query) if path.ends_with("/h") && query["partition"] == "1" => body(200, gzip(&part("B"))),
            (path, query) if path.ends_with("/h") && query["partition"] == "2" => body(200, part("C").into_bytes()),
            (path, _) if path == "/api/v2/statements" => Ok(testing::json(200, &head(&[row("A")], 3, 3, 10))),
            other => panic!("not asked for: {other:?}"),
        }
    });
    assert_eq!(names(&read(&quiet(api()), &host, None).expect("page")), ["A", "B", "C"]);
}

#[test]
fn a_result_that_is_not_whole_is_an_error() {
    let lost = |request: &Request| {
        nothing(request).unwrap_or_else(|| match request.body {
            Some(_) => Ok(testing::json(200, &head(&[row("A")], 2, 3, 10))),
            None => Ok(testing::json(200, &json!({ "data": [row("B")] }))),
        })
    };
    let refused = |request: &Request| {
        nothing(request).unwrap_or_else(|| match request.body {
            Some(_) => Ok(testing::json(200, &head(&[row("A")], 2, 2, 10))),
            None => Ok(testing::json(500, &json!({ "code": "000603", "message": "m" }))),
        })
    };
    let odd = |request: &Request| {
        nothing(request).unwrap_or_else(|| match request.body {
            Some(_) => Ok(testing::json(200, &head(&[row("A")], 2, 2, 10))),
            None => body(200, b"<html>".to_vec()),
        })
    };
    for host in [MockHost::new(lost), MockHost::new(refused), MockHost::new(odd)] {
        assert_eq!(read(&quiet(api()), &host, None).expect_err("not whole").code, codes::UNAVAILABLE);
    }
}

#[test]
fn a_result_too_large_to_hold_is_not_fetched() {
    let host = MockHost::new(|request| match nothing(request) {
        Some(answer) => answer,
        None if is_tables(request) => Ok(testing::json(200, &head(&[], 20, 1000, 50 << 20))),
        None => panic!("fetched: {}", request.url),
    });
    assert_eq!(read(&quiet(api()), &host, None).expect_err("too large").code, codes::TOO_LARGE);
    let truncated = |_: &Request| {
        Ok(testing::json(
            200,
            &json!({ "code": "391908", "message": "result too large, truncated", "statementHandle": "h" }),
        ))
    };
    assert_eq!(read(&quiet(api()), &MockHost::new(truncated), None).expect_err("truncated").code, codes::TOO_LARGE);
}

/// The drivers' first answer, with files.
fn with_files(urls: &[&str], total: usize, more: Value) -> Value {
    let types: Vec<Value> = NAMES.iter().map(|name| json!({ "name": name, "type": "text" })).collect();
    let chunks: Vec<Value> =
        urls.iter().map(|url| json!({ "url": url, "rowCount": 1, "uncompressedSize": 9 })).collect();
    let mut answer = json!({ "data": { "rowtype": types, "rowset": [row("A")], "total": total, "queryId": "q",
                                       "queryResultFormat": "json", "chunks": chunks }, "success": true });
    for (key, value) in more.as_object().expect("an object") {
        answer["data"][key] = value.clone();
    }
    answer
}

#[test]
fn files_are_fetched_without_the_credential_and_with_the_answers_headers() {
    let one = "https://sfc.s3.amazonaws.com/r/1?X-Amz-Signature=a%2Fb";
    let two = "https://storage.googleapis.com/r/2";
    for (more, expected) in [
        (
            json!({ "chunkHeaders": { "x-amz-key": "k", "x-amz-md5": "m" }, "qrmk": "unused" }),
            vec![("x-amz-key", "k"), ("x-amz-md5", "m")],
        ),
        (
            json!({ "qrmk": "secret" }),
            vec![
                ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
                ("x-amz-server-side-encryption-customer-key", "secret"),
            ],
        ),
        (json!({ "chunkHeaders": {}, "qrmk": "unused" }), vec![]),
    ] {
        let tries = Cell::new(0);
        let host = MockHost::new(move |request| {
            if let Some(answer) = nothing(request) {
                return answer;
            }
            if is_tables(request) {
                return Ok(testing::json(200, &with_files(&[one, two], 4, more.clone())));
            }
            assert_eq!((request.method.as_str(), &request.auth, &request.body), ("GET", &None, &None));
            let headers: Vec<_> = request.headers.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            assert_eq!(headers, [vec![("accept", "application/json")], expected.clone()].concat());
            match request.url.as_str() {
                url if url == one => body(200, gzip(r#"["B","SALES","MART"], ["C",  "SALES","MART"]"#)),
                // A storage that says no with status 200, once.
                url if url == two && tries.replace(1) == 0 => body(200, b"<?xml version=\"1.0\"?><Error/>".to_vec()),
                url if url == two => body(200, br#"["D","SALES","MART"]"#.to_vec()),
                other => panic!("not asked for: {other}"),
            }
        });
        assert_eq!(names(&read(&quiet(driver()), &host, None).expect("page")), ["A", "B", "C", "D"]);
    }
}

#[test]
fn files_that_do_not_come_end_the_call() {
    for (status, text) in [(200, "<Error/>"), (403, "<Error/>"), (404, ""), (200, "[7]"), (200, "")] {
        let host = MockHost::new(move |request| match nothing(request) {
            Some(answer) => answer,
            None if is_tables(request) => {
                Ok(testing::json(200, &with_files(&["https://x.amazonaws.com/1"], 2, json!({}))))
            }
            None => body(status, text.as_bytes().to_vec()),
        });
        let error = read(&quiet(driver()), &host, None).expect_err("no file");
        assert_eq!(error.code, codes::UNAVAILABLE, "{status} {text}");
        assert!(host.take_requests().len() <= 4);
    }
}

#[test]
fn results_in_another_form_are_told_apart() {
    let host = MockHost::new(|_| {
        Ok(testing::json(
            200,
            &with_files(&[], 1, json!({ "queryResultFormat": "arrow", "rowset": null, "rowsetBase64": "/w==" })),
        ))
    });
    let error = read(&quiet(driver()), &host, None).expect_err("arrow");
    assert!(error.is(codes::UNSUPPORTED) && error.message.contains("JSON"), "{error:?}");
}

/// Answers that a statement runs, until it was asked for `polls` times.
fn slow(polls: u32) -> (Rc<MockHost>, Rc<Cell<u32>>) {
    let asked = Rc::new(Cell::new(0));
    let counter = Rc::clone(&asked);
    let host = MockHost::new(move |request| {
        if let Some(answer) = nothing(request) {
            return answer;
        }
        let is_driver = request.url.contains("/queries/");
        if request.url.contains("/cancel") || request.url.contains("abort-request") {
            return Ok(testing::json(200, &json!({ "code": "000604", "success": true })));
        }
        let done = match request.body {
            Some(_) => polls == 0,
            None => {
                assert!(request.url.contains("/statements/slow-1") || request.url.contains("/queries/slow-1/result"));
                counter.set(counter.get() + 1);
                counter.get() >= polls
            }
        };
        let running =
            json!({ "code": "333334", "message": "Asynchronous execution in progress.", "statementHandle": "slow-1" });
        let driver_runs = json!({ "data": { "queryId": "slow-1", "getResultUrl": "/queries/slow-1/result" },
                                  "code": "333334", "success": true });
        Ok(match (done, is_driver) {
            (true, true) => testing::json(200, &with_files(&[], 1, json!({ "queryId": "slow-1" }))),
            (true, false) => testing::json(200, &head(&[row("A")], 1, 1, 10)),
            (false, true) => testing::json(200, &driver_runs),
            (false, false) => testing::json(202, &running),
        })
    });
    (host, asked)
}

#[test]
fn a_statement_that_takes_a_moment_is_waited_for() {
    for config in [quiet(api()), quiet(driver())] {
        let (host, asked) = slow(2);
        let page = read(&config, &host, None).expect("page");
        assert_eq!((names(&page), asked.get(), page.not_before_ms), (vec!["A"], 2, None));
    }
}

#[test]
fn a_statement_that_takes_long_is_gone_on_with_from_the_cursor() {
    for config in [quiet(api()), quiet(driver())] {
        let (host, asked) = slow(8);
        let mut page = read(&config, &host, None).expect("page");
        let mut pauses = Vec::new();
        while page.not_before_ms.is_some() {
            assert!(page.objects.is_empty() && page.listed.is_empty());
            pauses.extend(page.not_before_ms);
            page = read(&config, &host, page.next).expect("page");
        }
        assert_eq!((pauses, asked.get()), (vec![500, 1000], 8));
        assert_eq!((names(&page), page.listed.len()), (vec!["A"], 1));
        let sent = host.take_requests().iter().filter(|request| is_tables(request)).count();
        assert_eq!(sent, 1, "it was sent once");
    }
}

#[test]
fn what_runs_is_cancelled_when_it_is_abandoned() {
    for (config, expected) in
        [(quiet(api()), "/api/v2/statements/slow-1/cancel"), (quiet(driver()), "/queries/v1/abort-request")]
    {
        let (host, _) = slow(99);
        let cursor = read(&config, &host, None).expect("page").next.expect("a cursor");
        let sent = host.take_requests();
        Snowflake::abandon(&context(&config, &host), &cursor);
        let cancels = host.take_requests();
        assert_eq!(cancels.len(), 1);
        let (path, query) = split(&cancels[0]);
        assert_eq!((cancels[0].method.as_str(), path.as_str()), ("POST", expected));
        if let Some(body) = &cancels[0].body {
            // The drivers cancel by the id of the request.
            let first = split(sent.iter().find(|request| is_tables(request)).expect("sent")).1;
            assert_eq!(
                serde_json::from_slice::<Value>(body).expect("JSON"),
                json!({ "requestId": first["requestId"] })
            );
            assert_id(&query["requestId"]);
        }
        for nothing in ["", "{}", "{\"v\":1,\"at\":{}}", "{\"v\":9,\"at\":{}}"] {
            Snowflake::abandon(&context(&config, &host), nothing);
        }
        assert!(host.take_requests().is_empty());
    }
}

#[test]
fn a_statement_that_is_gone_is_sent_again() {
    let (host, _) = slow(99);
    let cursor = read(&quiet(api()), &host, None).expect("page").next;
    for (status, code) in [(422, "000709"), (404, "")] {
        let host = MockHost::new(move |request| match nothing(request) {
            Some(answer) => answer,
            None if request.body.is_some() => Ok(testing::json(200, &head(&[row("A")], 1, 1, 10))),
            None => Ok(testing::json(status, &json!({ "code": code, "message": "Statement slow-1 not found" }))),
        });
        assert_eq!(names(&read(&quiet(api()), &host, cursor.clone()).expect("page")), ["A"]);
    }
    // One that failed meanwhile says so.
    let host = MockHost::new(|_| Ok(testing::json(422, &json!({ "code": "000630", "message": "timeout" }))));
    assert_eq!(read(&quiet(api()), &host, cursor).expect_err("failed").code, codes::UNAVAILABLE);
}

#[test]
fn a_statement_that_never_ends_is_cancelled_in_the_end() {
    let (host, _) = slow(u32::MAX);
    let mut cursor = None;
    let error = loop {
        match read(&quiet(api()), &host, cursor) {
            Ok(page) => cursor = page.next,
            Err(error) => break error,
        }
    };
    assert_eq!(error.code, codes::UNAVAILABLE);
    let cancels = host.take_requests().iter().filter(|request| request.url.ends_with("/cancel")).count();
    assert_eq!(cancels, 1);
}

#[test]
fn statements_say_role_and_warehouse_only_where_they_are_needed() {
    let account = super::account::Account::with([("A".to_owned(), super::account::table("TABLE", vec![]))]);
    let host = account.host();
    walk(&api(), &host, &["SALES", "MART"], true).expect("walk");
    for request in host.take_requests() {
        let body: Value = serde_json::from_slice(request.body.as_deref().expect("a body")).expect("JSON");
        let computes = body["statement"].as_str().is_some_and(|sql| sql.starts_with("SELECT"));
        assert_eq!(body["role"], "ANALYST");
        assert_eq!(body.get("warehouse"), computes.then_some(&json!("WH")), "{body}");
        assert!(request.extra.contains(&("retry-query".to_owned(), "retry=true".to_owned())));
    }
    let host = account.host();
    walk(&driver(), &host, &["SALES", "MART"], true).expect("walk");
    for request in host.take_requests() {
        let body: Value = serde_json::from_slice(request.body.as_deref().expect("a body")).expect("JSON");
        assert_eq!(body.as_object().map(serde_json::Map::len), Some(1), "a session knows the rest: {body}");
        assert!(request.extra.contains(&("retry-query".to_owned(), "retryCount=1".to_owned())));
    }
}
