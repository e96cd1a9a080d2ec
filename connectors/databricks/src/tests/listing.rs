//! Listing: paging, completeness, limits, and what one broken container does to the rest.

use serde_json::{Value, json};
use wharfinger_sdk::{Attributes, Connector, Error, Partition, ReadRequest, codes, testing};

use super::platform::*;
use crate::Databricks;

fn walk(host: &std::rc::Rc<testing::MockHost>, scope: &[&str], columns: bool) -> Result<testing::Walked, Error> {
    testing::walk::<Databricks>(&config(), ORIGIN, host, &path(scope), columns)
}

fn listed(walked: &testing::Walked) -> Vec<Vec<String>> {
    let mut paths: Vec<_> = walked.listed.iter().map(|listing| listing.path.clone()).collect();
    paths.sort();
    paths
}

#[test]
fn the_whole_metastore_is_listed_container_by_container() {
    let host = schema_of((0..7).map(|i| table(&format!("t{i}"))).collect(), 3);
    let walked = walk(&host, &[], true).expect("walk");
    assert_eq!(walked.objects.len(), 9);
    let kinds: Vec<_> =
        walked.objects.iter().take(3).map(|o| (o.path.len(), o.kind.as_str(), o.object_type.as_str())).collect();
    assert_eq!(kinds, [(1, "container", "database"), (2, "container", "schema"), (3, "table-like", "table")]);
    assert_eq!(walked.object(&["main", "sales"]).and_then(|o| o.remote_id.as_deref()), Some("s"));
    assert_eq!(listed(&walked), [path(&[]), path(&["main"]), path(&["main", "sales"])]);
    assert!(walked.listed.iter().all(|listing| !listing.basis.is_empty()));
    assert!(walked.errors.is_empty());
    let queries: Vec<_> = host.take_requests().iter().map(split).collect();
    assert!(queries.iter().all(|(_, q)| q["max_results"] == "0" && q["include_browse"] == "true"));
}

#[test]
fn a_schema_is_planned_alone_and_columns_are_left_out_when_not_wanted() {
    let host = schema_of(vec![table("a")], 50);
    let walked = walk(&host, &["main", "sales"], false).expect("walk");
    assert_eq!(listed(&walked), [path(&["main", "sales"])]);
    assert_eq!((walked.objects.len(), &walked.objects[0].columns), (1, &None));
    assert!(walked.objects[0].fingerprint.is_some());
    let requests = host.take_requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(split(&requests[0]).1["omit_columns"], "true");
    assert_eq!(walk(&host, &["a", "b", "c"], false).expect_err("no container").code, codes::UNSUPPORTED);
}

#[test]
fn small_pages_become_one_and_empty_ones_do_not_end_the_listing() {
    let host = platform(|_, query| {
        ok(&match query.get("page_token").map(String::as_str) {
            None => json!({ "next_page_token": "a" }),
            Some("a") => json!({ "tables": [table("x")], "next_page_token": "b" }),
            Some("b") => json!({ "tables": [], "next_page_token": "c" }),
            Some("c") => json!({ "tables": [table("y")], "next_page_token": "d" }),
            Some(_) => json!({ "next_page_token": "" }),
        })
    });
    let walked = walk(&host, &["main", "sales"], true).expect("walk");
    assert_eq!((walked.objects.len(), walked.pages, walked.listed.len()), (2, 1, 1));
}

#[test]
fn a_repeated_token_is_an_error_and_never_a_complete_listing() {
    for cycle in [1, 2, 5] {
        let host = platform(move |_, query| {
            let at: usize = query.get("page_token").map_or(0, |token| token.parse().expect("token"));
            ok(&json!({ "tables": [table(&format!("t{at}"))], "next_page_token": ((at + 1) % cycle).to_string() }))
        });
        assert_eq!(walk(&host, &["main", "sales"], true).expect_err("loops").code, codes::UNAVAILABLE);
        assert!(host.take_requests().len() < 4 * cycle + 10);
    }
}

#[test]
fn a_page_larger_than_ours_is_delivered_in_parts() {
    let host = schema_of((0..2345).map(|i| table(&format!("t{i}"))).collect(), 5000);
    let walked = walk(&host, &["main", "sales"], true).expect("walk");
    let names: std::collections::BTreeSet<_> = walked.objects.iter().map(|o| o.path[2].clone()).collect();
    assert_eq!((walked.objects.len(), names.len(), walked.pages, walked.listed.len()), (2345, 2345, 3, 1));
}

fn read(host: &std::rc::Rc<testing::MockHost>, cursor: Option<String>) -> Result<wharfinger_sdk::Page, Error> {
    let partition: Partition = Databricks::plan(&context(host), &path(&["main", "sales"]))?.remove(0);
    Databricks::read(&context(host), ReadRequest { partition, want_columns: true, cursor, extra: Attributes::new() })
}

#[test]
fn going_on_inside_a_page_finds_its_place_by_name() {
    let all: Vec<_> = (0..1500).map(|i| table(&format!("t{i:04}"))).collect();
    let first = read(&schema_of(all.clone(), 5000), None).expect("page");
    assert_eq!((first.objects.len(), first.listed.len()), (1000, 0));
    // Two tables before the place are gone meanwhile: nothing after it may be skipped.
    let mut fewer = all.clone();
    fewer.drain(10..12);
    let second = read(&schema_of(fewer, 5000), first.next.clone()).expect("page");
    assert_eq!(second.objects.first().map(|o| o.path[2].as_str()), Some("t1000"));
    assert_eq!((second.objects.len(), second.listed.len(), second.next), (500, 1, None));
    // The table at the place itself is gone: nobody knows where to go on.
    let mut gone = all;
    gone.remove(999);
    let stale = read(&schema_of(gone, 5000), first.next).expect_err("stale");
    assert_eq!(stale.code, codes::STALE_CURSOR);
    assert_eq!(read(&schema_of(vec![], 50), Some("{\"v\":99}".into())).expect_err("stale").code, codes::STALE_CURSOR);
}

#[test]
fn an_answer_too_large_is_asked_for_in_smaller_pages() {
    let host = platform(|_, query| {
        let size: usize = query["max_results"].parse().expect("size");
        let at: usize = query.get("page_token").map_or(0, |token| token.parse().expect("token"));
        // The third table is too large even alone, unless without columns.
        let alone = at == 2 && !query.contains_key("omit_columns");
        if size == 0 || size > 1 || alone {
            return Err(Error::new(codes::TOO_LARGE, "64 MiB"));
        }
        let next = (at < 4).then(|| (at + 1).to_string());
        ok(&json!({ "tables": [table(&format!("t{at}"))], "next_page_token": next }))
    });
    let walked = walk(&host, &["main", "sales"], true).expect("walk");
    let known: Vec<_> = walked.objects.iter().map(|o| o.columns.is_some()).collect();
    assert_eq!(known, [true, true, false, true, true]);
    assert_eq!(walked.listed.len(), 1);
}

#[test]
fn a_refused_container_is_reported_and_the_rest_goes_on() {
    let host = platform(|path, query| match (path, query.get("catalog_name").map(String::as_str)) {
        ("catalogs", _) => ok(&json!({ "catalogs": [
            { "name": "open" }, { "name": "closed" }, { "name": "gone" }, { "name": "broken" },
            { "name": "__databricks_internal" }, { "name": "odd", "catalog_type": "INTERNAL_CATALOG" } ] })),
        ("schemas", Some("open")) => ok(&json!({ "schemas": [{ "name": "s" }] })),
        ("schemas", Some("closed")) => refusal(403, "PERMISSION_DENIED"),
        ("schemas", Some("gone")) => refusal(404, "CATALOG_DOES_NOT_EXIST"),
        ("schemas", Some("broken")) => refusal(400, "INVALID_STATE"),
        ("tables", Some("open")) => ok(&json!({})),
        other => panic!("not asked for: {other:?}"),
    });
    let walked = walk(&host, &[], true).expect("walk");
    let mut errors: Vec<_> =
        walked.errors.iter().map(|e| (e.path.clone().unwrap_or_default(), e.code.as_str())).collect();
    errors.sort();
    assert_eq!(
        errors,
        [(path(&["broken"]), "unsupported"), (path(&["closed"]), "permission-denied"), (path(&["gone"]), "not-found")]
    );
    assert_eq!(listed(&walked), [path(&[]), path(&["open"]), path(&["open", "s"])]);
    assert!(walked.object(&["odd"]).is_none() && walked.object(&["__databricks_internal"]).is_none());
}

#[test]
fn what_concerns_the_whole_connection_fails_the_call() {
    let numeric = || Ok(testing::json(403, &json!({ "error_code": 403, "message": "Invalid access token." })));
    let unauthenticated = walk(&platform(move |_, _| numeric()), &["main"], true).expect_err("refused");
    assert_eq!(unauthenticated.code, codes::UNAUTHENTICATED);
    let denied = walk(&platform(|_, _| refusal(403, "PERMISSION_DENIED")), &[], true).expect_err("denied");
    assert_eq!(denied.code, codes::PERMISSION_DENIED);
    let limited = platform(|_, _| {
        let mut response = testing::json(429, &json!({ "error_code": "REQUEST_LIMIT_EXCEEDED" }));
        response.headers.push(("retry-after".into(), "2".into()));
        Ok(response)
    });
    let limited = walk(&limited, &["main"], true).expect_err("limited");
    assert_eq!((limited.code.as_str(), limited.retry_after_ms), (codes::RATE_LIMITED, Some(2000)));
    assert_eq!(
        walk(&platform(|_, _| refusal(500, "INTERNAL_ERROR")), &["main"], true).expect_err("500").code,
        codes::UNAVAILABLE
    );
}

#[test]
fn what_was_read_before_a_failure_is_kept_and_nothing_is_complete() {
    let host = platform(|_, query| match query.get("page_token") {
        None => ok(&json!({ "tables": [table("a")], "next_page_token": "t" })),
        Some(_) => refusal(503, "TEMPORARILY_UNAVAILABLE"),
    });
    let page = read(&host, None).expect("what came before");
    assert_eq!((page.objects.len(), page.listed.len()), (1, 0));
    assert_eq!(read(&host, page.next).expect_err("then the error").code, codes::UNAVAILABLE);
    // A container that is refused in the middle is not complete either.
    let host = platform(|_, query| match query.get("page_token") {
        None => ok(&json!({ "tables": [table("a")], "next_page_token": "t" })),
        Some(_) => refusal(404, "SCHEMA_DOES_NOT_EXIST"),
    });
    let walked = walk(&host, &["main", "sales"], true).expect("walk");
    assert_eq!((walked.objects.len(), walked.errors.len(), walked.listed.len()), (1, 1, 0));
}

#[test]
fn an_entry_that_cannot_be_read_leaves_the_container_incomplete() {
    let odd = || json!({ "name": "odd", "columns": "none" });
    let host = platform(move |_, query| match query.get("page_token") {
        None => ok(&json!({ "tables": [table("a"), odd()], "next_page_token": "t" })),
        Some(_) => ok(&json!({ "tables": [table("b")] })),
    });
    let walked = walk(&host, &["main", "sales"], true).expect("walk");
    assert_eq!((walked.objects.len(), walked.errors.len(), walked.listed.len()), (2, 1, 0));
    assert!(walked.errors[0].message.contains("`odd`"), "{:?}", walked.errors);
}

#[test]
fn names_of_any_kind_reach_the_platform_encoded() {
    let hostile =
        ["a b", "100%", "q\"'`", "customers@eu", "naïve-Größe", "\u{202e}rtl", "👾", "a/b?c#d&e=f", "tab\tnul\0"];
    let host = platform(move |path, query| match path {
        "catalogs" => ok(&json!({ "catalogs": hostile.map(|name| json!({ "name": name })) })),
        "schemas" => ok(&json!({ "schemas": [{ "name": query["catalog_name"] }] })),
        _ => ok(&json!({ "tables": [{ "name": format!("{}{}", query["catalog_name"], query["schema_name"]) }] })),
    });
    let walked = walk(&host, &[], true).expect("walk");
    for name in hostile {
        assert!(walked.object(&[name, name, &format!("{name}{name}")]).is_some(), "{name:?}");
    }
    assert_eq!(walked.listed.len(), 1 + 2 * hostile.len());
}

fn walk_with(host: &std::rc::Rc<testing::MockHost>, filter: &Value) -> testing::Walked {
    let mut config = config();
    config["filter"] = filter.clone();
    testing::walk::<Databricks>(&config, ORIGIN, host, &[], true).expect("walk")
}

/// Two catalogs with two schemas each, of three tables each.
fn two_by_two() -> std::rc::Rc<testing::MockHost> {
    platform(|path, query| {
        let named = |names: &[&str]| names.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>();
        match path {
            "catalogs" => ok(&json!({ "catalogs": named(&["SALES", "hr"]) })),
            "schemas" => ok(&json!({ "schemas": named(&["RAW_1", "mart.x"]) })),
            "tables" => {
                assert!(query.contains_key("catalog_name"));
                ok(&json!({ "tables": [table("a"), table("b"), table("tmp")] }))
            }
            _ => refusal(404, "NOT_FOUND"),
        }
    })
}

#[test]
fn what_the_patterns_leave_out_is_neither_delivered_nor_asked_for() {
    for (filter, expect, asked) in [
        (json!({}), 2 + 4 + 12, vec!["hr/RAW_1", "hr/mart.x", "SALES/RAW_1", "SALES/mart.x"]),
        (json!({ "include": [["SALES", "RAW_*"]] }), 1 + 1 + 3, vec!["SALES/RAW_1"]),
        (json!({ "exclude": [["SALES"], ["*", "*", "tmp"]] }), 1 + 2 + 4, vec!["hr/RAW_1", "hr/mart.x"]),
        (json!({ "include": [["hr"]], "exclude": [["*", "mart.?"]] }), 1 + 1 + 3, vec!["hr/RAW_1"]),
        (json!({ "include": [["sales"]] }), 0, vec![]),
    ] {
        let host = two_by_two();
        let walked = walk_with(&host, &filter);
        assert_eq!(walked.objects.len(), expect, "{filter}");
        let mut listed: Vec<_> = host
            .take_requests()
            .iter()
            .map(split)
            .filter(|(path, _)| path.ends_with("/tables"))
            .map(|(_, query)| format!("{}/{}", query["catalog_name"], query["schema_name"]))
            .collect();
        listed.sort_by_key(|name| name.to_lowercase());
        let mut asked = asked.clone();
        asked.sort_by_key(|name| name.to_lowercase());
        assert_eq!(listed, asked, "{filter}");
        // What was listed is complete, as far as it is wanted.
        assert_eq!(walked.listed.len(), 1 + walked.objects.iter().filter(|o| o.path.len() < 3).count(), "{filter}");
    }
}

#[test]
fn a_place_in_a_page_is_found_again_after_what_was_left_out() {
    let host = schema_of((0..2345).map(|i| table(&format!("t{i:04}"))).collect(), 5000);
    let walked = walk_with(&host, &json!({ "exclude": [["*", "*", "t???0"], ["*", "*", "t1*"]] }));
    let tables = walked.objects.iter().filter(|object| object.path.len() == 3).count();
    assert_eq!(tables, 2345 - 1000 - (2345 - 1000_usize).div_ceil(10));
}
