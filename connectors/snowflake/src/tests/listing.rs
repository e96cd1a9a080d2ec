//! Listing: paging, completeness, limits, both protocols, and what one broken container does to the rest.

use std::collections::BTreeMap;

use serde_json::json;
use wharfinger_sdk::{Attributes, Connector, Error, Partition, ReadRequest, codes, testing};

use super::{account::*, platform::*};
use crate::Snowflake;

fn tables(count: usize, columns: usize) -> Vec<(String, Table)> {
    let columns: Vec<Col> = (0..columns).map(|i| number(&format!("C{i:02}"))).collect();
    (0..count).map(|i| (format!("T{i:05}"), table("TABLE", columns.clone()))).collect()
}

fn listed(walked: &testing::Walked) -> Vec<Vec<String>> {
    let mut paths: Vec<_> = walked.listed.iter().map(|listing| listing.path.clone()).collect();
    paths.sort();
    paths
}

#[test]
fn the_whole_account_is_listed_container_by_container_in_both_protocols() {
    let mut account = Account::with([
        ("A".to_owned(), table("TABLE", vec![number("N"), varchar("V", 9)])),
        ("B".to_owned(), table("VIEW", vec![number("N")])),
    ]);
    account.add("HR", "STANDARD", &[("PUBLIC", BTreeMap::new())]);
    account.add("SHARED", "IMPORTED DATABASE", &[("X", BTreeMap::new())]);
    account.add("SNOWFLAKE", "APPLICATION", &[("X", BTreeMap::new())]);
    account.add("SNOWFLAKE_SAMPLE_DATA", "IMPORTED DATABASE", &[("X", BTreeMap::new())]);
    let mut all = Vec::new();
    for config in [api(), driver()] {
        let walked = walk(&config, &account.host(), &[], true).expect("walk");
        assert!(walked.errors.is_empty(), "{:?}", walked.errors);
        let expected =
            [&[][..], &["HR"], &["HR", "PUBLIC"], &["SALES"], &["SALES", "MART"]].map(|names: &[&str]| path(names));
        assert_eq!(listed(&walked), expected);
        assert!(walked.listed.iter().all(|listing| listing.basis == "SHOW as role ANALYST"));
        let excluded: Vec<_> = walked
            .objects
            .iter()
            .filter(|o| !o.extra.is_empty())
            .map(|o| (o.path.join("."), o.extra[0].0.as_str()))
            .collect();
        let names =
            ["SHARED", "SNOWFLAKE", "SNOWFLAKE_SAMPLE_DATA", "HR.INFORMATION_SCHEMA", "SALES.INFORMATION_SCHEMA"];
        assert_eq!(excluded, names.map(|name| (name.to_owned(), "excluded")));
        let a = walked.object(&["SALES", "MART", "A"]).expect("there");
        assert_eq!(
            (a.object_type.as_str(), a.kind.as_str(), a.comment.as_deref()),
            ("table", "table-like", Some("about it"))
        );
        assert_eq!(a.fingerprint.as_deref(), Some("1:1.0:d7"));
        let types: Vec<_> =
            a.columns.iter().flatten().map(|c| (c.name.as_str(), c.data_type.as_str(), c.position)).collect();
        assert_eq!(types, [("N", "NUMBER(38,0)", Some(1)), ("V", "VARCHAR(9)", Some(2))]);
        let text = |object: &wharfinger_sdk::Object| {
            object.attributes.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>()
        };
        assert_eq!(
            text(a),
            ["owner=OWNER", "createdAt=1970-01-01T00:00:01.500Z", "clusterBy=LINEAR(A)", "retentionTime=1"]
        );
        all.push(walked.objects);
    }
    assert_eq!(all[0], all[1], "the protocol makes no difference");
}

#[test]
fn left_out_databases_are_listed_when_asked_for() {
    let mut account = Account::with([]);
    account.add("SHARED", "IMPORTED DATABASE", &[("X", BTreeMap::new())]);
    account.add("SNOWFLAKE", "APPLICATION", &[("Y", BTreeMap::new())]);
    for (key, name, inside, other) in
        [("includeImported", "SHARED", "X", "SNOWFLAKE"), ("includeSystem", "SNOWFLAKE", "Y", "SHARED")]
    {
        let mut config = api();
        config[key] = json!(true);
        let walked = walk(&config, &account.host(), &[], false).expect("walk");
        assert!(walked.object(&[name]).is_some_and(|object| object.extra.is_empty()));
        assert!(walked.object(&[name, inside]).is_some());
        assert!(walked.object(&[other]).is_some_and(|object| !object.extra.is_empty()));
        assert!(!walked.objects.iter().any(|object| object.path.len() > 1 && object.path[0] == other));
    }
}

#[test]
fn kinds_of_tables_have_their_words() {
    let kinds = [
        ("TABLE", "table"),
        ("TRANSIENT", "transient_table"),
        ("TEMPORARY", "temporary_table"),
        ("HOLOGRAM TABLE", "hologram_table"),
        ("is_external", "external_table"),
        ("is_event", "event_table"),
        ("is_hybrid", "hybrid_table"),
        ("is_iceberg", "iceberg_table"),
        ("is_dynamic", "dynamic_table"),
        ("VIEW", "view"),
        ("SECURE VIEW", "view"),
        ("MATERIALIZED VIEW", "materialized_view"),
    ];
    let account = Account::with(kinds.map(|(theirs, _)| (theirs.to_owned(), table(theirs, vec![number("N")]))));
    let walked = walk(&api(), &account.host(), &["SALES", "MART"], false).expect("walk");
    for (theirs, ours) in kinds {
        let object = walked.object(&["SALES", "MART", theirs]).expect(theirs);
        assert_eq!(object.object_type, ours, "{theirs}");
        let secure = object.attributes.iter().any(|(key, _)| key == "secure");
        assert_eq!(secure, theirs == "SECURE VIEW");
        // Where a definition can change without a statement on the table, every change of the table counts.
        let moves = matches!(ours, "iceberg_table" | "dynamic_table");
        let print = if moves { "1:1.0:d7:a9" } else { "1:1.0:d7" };
        assert_eq!(object.fingerprint.as_deref(), Some(print), "{theirs}");
    }
    assert_eq!(walked.listed.len(), 1);
}

#[test]
fn a_large_schema_comes_in_pages_and_stays_within_their_limits() {
    let mut all = tables(2345, 60);
    all.extend((0..30).map(|i| (format!("V{i:02}"), table("VIEW", vec![number("N")]))));
    let account = Account::with(all.clone());
    for config in [api(), driver()] {
        let walked = walk(&config, &account.host(), &["SALES", "MART"], true).expect("walk");
        assert!(walked.errors.is_empty(), "{:?}", walked.errors);
        assert_eq!(walked.listed.len(), 1);
        let names: Vec<_> = walked.objects.iter().map(|object| object.path[2].clone()).collect();
        assert_eq!(names, all.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
        for object in &walked.objects {
            let expected = if object.object_type == "view" { 1 } else { 60 };
            assert_eq!(object.columns.as_ref().map(Vec::len), Some(expected), "{:?}", object.path);
        }
        assert!(walked.pages <= 5, "{}", walked.pages);
    }
}

#[test]
fn what_information_schema_hides_or_cannot_tell_is_shown_or_stays_open() {
    let mut hidden = table("TABLE", vec![number("N")]);
    hidden.hidden = true;
    let odd = [
        ("HIDDEN".to_owned(), hidden),
        ("OPEN".to_owned(), table("TABLE", vec![number("N")])),
        ("VECTOR".to_owned(), table("TABLE", vec![number("N"), vector("V")])),
        ("NONE".to_owned(), table("TABLE", vec![])),
    ];
    // Beside a table with too many columns for one SHOW, there is no other way than one by one.
    for (wide, vectors, hiddens) in [(3, Some(2), Some(1)), (10_000, None, None)] {
        let wide = ("WIDE".to_owned(), table("TABLE", (0..wide).map(|i| number(&format!("C{i}"))).collect()));
        let account = Account::with(odd.clone().into_iter().chain([wide]));
        let walked = walk(&api(), &account.host(), &["SALES", "MART"], true).expect("walk");
        let known = |name: &str| {
            let object = walked.object(&["SALES", "MART", name]).expect(name);
            (object.fingerprint.is_some(), object.columns.as_ref().map(Vec::len))
        };
        assert_eq!(known("OPEN"), (true, Some(1)));
        assert_eq!(known("HIDDEN"), (false, hiddens));
        assert_eq!(known("VECTOR"), (true, vectors));
        assert_eq!(known("NONE"), (true, None), "no columns are not proved by their absence");
        assert_eq!(walked.listed.len(), 1);
    }
}

#[test]
fn questions_that_are_too_wide_are_halved() {
    let mut account = Account::with(tables(300, 3));
    for most in [299, 100, 1] {
        account.most = most;
        let host = account.host();
        let walked = walk(&api(), &host, &["SALES", "MART"], true).expect("walk");
        assert!(
            walked.objects.iter().all(|o| o.fingerprint.is_some() && o.columns.as_ref().is_some_and(|c| c.len() == 3))
        );
        assert_eq!((walked.objects.len(), walked.listed.len()), (300, 1));
    }
    account.most = 0;
    let walked = walk(&api(), &account.host(), &["SALES", "MART"], true).expect("walk");
    // Then SHOW tells the columns, and nobody the changes.
    assert!(walked.objects.iter().all(|o| o.fingerprint.is_none() && o.columns.as_ref().is_some_and(|c| c.len() == 3)));
    assert_eq!((walked.objects.len(), walked.listed.len()), (300, 1));
}

#[test]
fn without_a_usable_warehouse_show_tells_columns_and_there_is_no_fingerprint() {
    let mut account = Account::with(tables(20, 3));
    account.warehouse = false;
    for config in [api(), driver(), without_warehouse(api())] {
        let host = account.host();
        let walked = walk(&config, &host, &["SALES", "MART"], true).expect("walk");
        assert!(
            walked.objects.iter().all(|o| o.fingerprint.is_none() && o.columns.as_ref().is_some_and(|c| c.len() == 3))
        );
        assert_eq!((walked.objects.len(), walked.listed.len()), (20, 1));
        let warnings = host.take_lines().iter().filter(|(level, _)| level == "warn").count();
        assert_eq!(warnings, usize::from(config.get("warehouse").is_some()));
    }
}

#[test]
fn a_warehouse_that_cannot_be_used_is_found_out_once_for_a_database() {
    let mut account = Account::with(tables(2, 1));
    let schemas: Vec<String> = (0..20).map(|i| format!("S{i}")).collect();
    let content: BTreeMap<_, _> = tables(2, 1).into_iter().collect();
    account.add("MANY", "STANDARD", &schemas.iter().map(|name| (name.as_str(), content.clone())).collect::<Vec<_>>());
    account.warehouse = false;
    let host = account.host();
    let walked = walk(&api(), &host, &["MANY"], true).expect("walk");
    assert!(walked.objects.iter().all(|o| o.path.len() < 3 || o.columns.as_ref().is_some_and(|c| c.len() == 1)));
    assert_eq!(walked.listed.len(), 21);
    assert_eq!(host.take_lines().iter().filter(|(level, _)| level == "warn").count(), 1);
    assert_eq!(statements(&host).iter().filter(|sql| sql.starts_with("SELECT")).count(), 1);
}

#[test]
fn what_passes_does_not_change_the_way() {
    for (status, code) in [(503, ""), (429, "390505"), (500, "000603"), (408, "000630")] {
        let account = Account::with(tables(2, 1));
        let host = platform(move |sql| match sql.starts_with("SELECT") {
            true => Said::Raw(testing::json(status, &json!({ "code": code, "message": "m" }))),
            false => account.answer(sql),
        });
        for scope in [&["SALES"][..], &["SALES", "MART"]] {
            let error = walk(&api(), &host, scope, true).expect_err("is tried again");
            assert!(error.is(codes::UNAVAILABLE) || error.is(codes::RATE_LIMITED), "{error:?}");
        }
    }
}

#[test]
fn a_cut_answer_gives_nobody_columns() {
    // 10 000 columns exactly may be all there are, or not.
    for (count, per_table, known) in [(100, 99, true), (100, 100, false), (101, 109, false)] {
        let account = Account::with(tables(count, per_table));
        let host = account.host();
        let walked = walk(&without_warehouse(api()), &host, &["SALES", "MART"], true).expect("walk");
        assert!(walked.objects.iter().all(|object| object.columns.is_some() == known), "{count} x {per_table}");
        assert_eq!(walked.listed.len(), 1);
    }
}

#[test]
fn ways_of_reading_give_the_same_objects() {
    let columns = || vec![number("N"), varchar("V", 16_777_216), varchar("", 1)];
    let account =
        Account::with([("A".to_owned(), table("TABLE", columns())), ("B".to_owned(), table("VIEW", columns()))]);
    let with = walk(&api(), &account.host(), &["SALES", "MART"], true).expect("walk");
    let without = walk(&without_warehouse(api()), &account.host(), &["SALES", "MART"], true).expect("walk");
    for (mut a, b) in with.objects.into_iter().zip(without.objects) {
        a.fingerprint = None;
        assert_eq!(a, b);
    }
}

fn read(host: &std::rc::Rc<testing::MockHost>, cursor: Option<String>) -> Result<wharfinger_sdk::Page, Error> {
    let partition: Partition = Snowflake::plan(&context(&api(), host), &path(&["SALES", "MART"]))?.remove(0);
    let extra = Attributes::new();
    Snowflake::read(&context(&api(), host), ReadRequest { partition, want_columns: false, cursor, extra })
}

#[test]
fn a_cut_page_goes_on_after_its_last_name_whatever_changed_meanwhile() {
    let all = tables(1500, 1);
    let first = read(&Account::with(all.clone()).host(), None).expect("page");
    assert_eq!((first.objects.len(), first.listed.len()), (1000, 0));
    // The table at the place itself is gone, and one before it: nothing after it is lost.
    let mut fewer = all;
    fewer.remove(999);
    fewer.remove(10);
    let host = Account::with(fewer).host();
    let second = read(&host, first.next).expect("page");
    assert_eq!(second.objects[0].path[2], "T01000");
    assert_eq!(second.objects.len(), 500);
    let listed = match second.next {
        Some(next) => read(&host, Some(next)).expect("page").listed.len(),
        None => second.listed.len(),
    };
    assert_eq!(listed, 1);
    for stale in ["{\"v\":99}", "{}", "x"] {
        assert_eq!(read(&host, Some(stale.to_owned())).expect_err("stale").code, codes::STALE_CURSOR);
    }
}

#[test]
fn names_of_any_kind_reach_the_platform_and_come_back() {
    let long = "ü".repeat(255);
    let hostile = [
        "a b",
        "100%",
        "q\"'`",
        "customers@eu",
        "\u{202e}rtl",
        "👾",
        "a.b/c?d&e=f",
        "back\\slash",
        "it''s",
        "_%_",
        "x;y",
        "\"\"",
        "--",
        "lower",
        "SYSTEM$",
        &long,
    ];
    let mut account = Account { warehouse: true, most: usize::MAX, parameter: "false", ..Account::default() };
    let tables: BTreeMap<_, _> =
        hostile.iter().map(|name| ((*name).to_owned(), table("TABLE", vec![number(name)]))).collect();
    let schemas: Vec<_> = hostile.iter().map(|name| (*name, tables.clone())).collect();
    account.add("d\"b'\\", "STANDARD", &schemas);
    for config in [api(), driver(), without_warehouse(api())] {
        let walked = walk(&config, &account.host(), &[], true).expect("walk");
        assert!(walked.errors.is_empty(), "{:?}", walked.errors);
        for schema in hostile {
            for name in hostile {
                let object = walked.object(&["d\"b'\\", schema, name]).unwrap_or_else(|| panic!("{schema} {name}"));
                assert_eq!(object.columns.as_ref().map(|columns| columns[0].name.as_str()), Some(name));
            }
        }
        assert_eq!(walked.listed.len(), 2 + hostile.len());
    }
}

#[test]
fn a_refused_container_is_reported_and_the_rest_goes_on() {
    for (said, code) in [
        (GONE, "not-found"),
        (Said::Refused("002043", "02000", "Object does not exist, or operation cannot be performed."), "not-found"),
        (Said::Refused("003030", "02000", "Shared database is no longer available for use."), "not-found"),
        (Said::Refused("003001", "42501", "Insufficient privileges."), "permission-denied"),
        (Said::Failed(Error::new(codes::DENIED, "The statement is not one.")), "denied"),
    ] {
        for config in [api(), driver()] {
            let mut account = Account::with(tables(2, 1));
            account.add("BROKEN", "STANDARD", &[("S", BTreeMap::new())]);
            let said = said.clone();
            let host = platform(move |sql| {
                let breaks =
                    sql.contains("IN DATABASE \"BROKEN\"") || sql.starts_with("SHOW VIEWS IN SCHEMA \"SALES\"");
                if breaks { said.clone() } else { account.answer(sql) }
            });
            let walked = walk(&config, &host, &[], true).expect("walk");
            let mut errors: Vec<_> =
                walked.errors.iter().map(|e| (e.path.clone().unwrap_or_default(), e.code.as_str())).collect();
            errors.sort();
            assert_eq!(errors, [(path(&["BROKEN"]), code), (path(&["SALES", "MART"]), code)]);
            assert_eq!(listed(&walked), [path(&[]), path(&["SALES"])]);
            assert!(walked.object(&["SALES", "MART", "T00001"]).is_some(), "what came before is kept");
        }
    }
}

#[test]
fn what_concerns_the_whole_connection_fails_the_call() {
    let raw = |status: u16, body: &str| Said::Raw(testing::text(status, body));
    let coded = |status: u16, code: &str| Said::Raw(testing::json(status, &json!({ "code": code, "message": "m" })));
    for (said, code) in [
        (coded(401, "390303"), codes::UNAUTHENTICATED),
        (coded(401, "394304"), codes::UNAUTHENTICATED),
        (coded(429, "390505"), codes::RATE_LIMITED),
        (coded(500, "000603"), codes::UNAVAILABLE),
        (coded(408, "000630"), codes::UNAVAILABLE),
        (raw(503, ""), codes::UNAVAILABLE),
        (raw(403, "<html>"), codes::INVALID_CONFIG),
        (raw(404, ""), codes::INVALID_CONFIG),
        (raw(200, "<html>login"), codes::UNAVAILABLE),
        (raw(200, ""), codes::UNAVAILABLE),
        (raw(200, "{\"data\": [[\"cut"), codes::UNAVAILABLE),
        (Said::Refused("000904", "42000", "invalid identifier"), codes::UNSUPPORTED),
        (Said::Failed(Error::unavailable("No route.")), codes::UNAVAILABLE),
    ] {
        for scope in [&[][..], &["SALES"]] {
            let answer = said.clone();
            let error = walk(&api(), &platform(move |_| answer.clone()), scope, true).expect_err("fails");
            assert_eq!(error.code, code, "{said:?}");
        }
    }
    assert_eq!(
        walk(&api(), &Account::with([]).host(), &["a", "b", "c"], true).expect_err("no").code,
        codes::UNSUPPORTED
    );
}

#[test]
fn a_listing_that_does_not_get_on_is_an_error() {
    let row = |i: usize| vec![json!(format!("D{i}")), json!("STANDARD")];
    let host = platform(move |_| rows(&["name", "kind"], (0..1000).map(row).collect()));
    let error = walk(&api(), &host, &[], false).expect_err("loops");
    assert_eq!(error.code, codes::UNAVAILABLE);
    assert!(host.take_requests().len() < 10);
}

#[test]
fn filters_are_asked_for_and_kept_to() {
    let mut account = Account::with(tables(3, 1));
    account.add("SALT", "STANDARD", &[("X", BTreeMap::new())]);
    account.add("HR", "STANDARD", &[("X", BTreeMap::new())]);
    let mut config = api();
    config["filter"] = json!({ "include": [["SALES", "M*", "T0000?"], ["SALT"]], "exclude": [["*", "*", "*1"]] });
    let host = account.host();
    let walked = walk(&config, &host, &[], false).expect("walk");
    let paths: Vec<_> = walked.objects.iter().map(|object| object.path.join("/")).collect();
    assert_eq!(
        paths,
        ["SALES", "SALT", "SALES/MART", "SALT/INFORMATION_SCHEMA", "SALT/X", "SALES/MART/T00000", "SALES/MART/T00002"]
    );
    let sent = statements(&host);
    assert!(sent.contains(&"SHOW DATABASES STARTS WITH 'SAL' LIMIT 1000".to_owned()), "{sent:?}");
    assert!(sent.iter().any(|sql| sql.contains("\"MART\" STARTS WITH 'T0000' ")), "{sent:?}");
    assert!(!sent.iter().any(|sql| sql.contains("\"HR\"")));
}

#[test]
fn names_read_in_upper_case_make_nothing_seem_gone() {
    let mut account = Account { parameter: "true", ..Account::default() };
    account.add("lower", "STANDARD", &[("s", BTreeMap::new()), ("t", BTreeMap::new())]);
    // Silence in a container whose name has lower-case letters may be that of another.
    let error = walk(&api(), &account.host(), &["lower", "s"], false).expect_err("doubtful");
    assert!(error.message.contains("QUOTED_IDENTIFIERS_IGNORE_CASE"), "{error:?}");
    account.parameter = "false";
    assert_eq!(walk(&api(), &account.host(), &["lower", "s"], false).expect("walk").listed.len(), 1);
    // Rows of another container are no rows of ours.
    let host = platform(|_| {
        rows(&["name", "database_name", "schema_name"], vec![vec![json!("T"), json!("LOWER"), json!("S")]])
    });
    let error = walk(&api(), &host, &["lower", "s"], false).expect_err("another");
    assert!(error.is(codes::UNSUPPORTED) && error.message.contains("case"), "{error:?}");
}

#[test]
fn rows_that_cannot_be_read_leave_the_container_incomplete() {
    let names = ["", &"x".repeat(256), "good"].map(|name| vec![json!(name)]);
    let host = platform(move |sql| {
        if sql.starts_with("SHOW TABLES") { rows(&["name"], names.to_vec()) } else { rows(&["name"], vec![]) }
    });
    let walked = walk(&without_warehouse(api()), &host, &["SALES", "MART"], false).expect("walk");
    assert_eq!((walked.objects.len(), walked.errors.len(), walked.listed.len()), (1, 2, 0));
    let host = platform(|_| rows(&["title"], vec![vec![json!("x")]]));
    let error = walk(&api(), &host, &["SALES", "MART"], false).expect_err("no such column");
    assert!(error.is(codes::UNSUPPORTED) && error.message.contains("`name`"), "{error:?}");
}

#[test]
fn the_role_comes_from_the_platform_where_none_is_configured() {
    let mut config = api();
    config.as_object_mut().expect("an object").remove("role");
    let host = Account::with([]).host();
    let walked = walk(&config, &host, &["SALES", "MART"], false).expect("walk");
    assert_eq!(walked.listed[0].basis, "SHOW as role ANALYST");
    assert!(statements(&host)[0].starts_with("SELECT CURRENT_"));
}

#[test]
fn rows_that_weigh_too_much_are_asked_for_in_smaller_numbers() {
    let account = Account::with(tables(40, 1));
    let host = platform(move |sql| {
        let limit: usize =
            sql.split(" LIMIT ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0);
        if sql.starts_with("SHOW TABLES") && limit > 20 {
            return Said::Failed(Error::new(codes::TOO_LARGE, "64 MiB"));
        }
        account.answer(sql)
    });
    let walked = walk(&api(), &host, &["SALES", "MART"], false).expect("walk");
    assert_eq!((walked.objects.len(), walked.listed.len()), (40, 1));
}
