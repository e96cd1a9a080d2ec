//! What a check tells apart.

use std::rc::Rc;

use serde_json::{Value, json};
use wharfinger_sdk::{Connector, Error, Outcome, codes, http::Response, testing, testing::MockHost};

use super::platform::*;
use crate::Databricks;

fn check(host: &Rc<MockHost>) -> Vec<Outcome> {
    Databricks::check(&context(host)).expect("outcomes")
}

/// Capability and status of the outcomes that are about no single container.
fn general(outcomes: &[Outcome]) -> Vec<(&str, &str)> {
    outcomes.iter().filter(|o| o.path.is_none()).map(|o| (o.capability.as_str(), o.status.as_str())).collect()
}

fn extra<'a>(outcomes: &'a [Outcome], key: &str) -> Option<&'a str> {
    let authenticate = outcomes.iter().find(|o| o.capability == "authenticate")?;
    authenticate.extra.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

const ALL_PASSED: [(&str, &str); 4] =
    [("reach", "passed"), ("authenticate", "passed"), ("list-containers", "passed"), ("list-columns", "passed")];

fn working(path: &str, summary: Value) -> Result<Response, Error> {
    match path {
        "metastore_summary" => ok(&summary),
        "catalogs" => ok(&json!({ "catalogs": [{ "name": "main", "metastore_id": "from-catalog" }] })),
        "schemas" => ok(&json!({ "schemas": [{ "name": "information_schema" }, { "name": "sales" }] })),
        "tables" => ok(&json!({ "tables": [table("t")] })),
        _ => Ok(testing::text(404, "Status: 404\nDescription: Not Found\n")),
    }
}

#[test]
fn a_connection_that_works_tells_its_identity_and_basis() {
    let host = platform(|path, _| working(path, json!({ "metastore_id": "m-1", "name": "prod" })));
    let outcomes = check(&host);
    assert_eq!(general(&outcomes), ALL_PASSED);
    assert_eq!(extra(&outcomes, "identity"), Some("m-1"));
    assert_eq!(extra(&outcomes, "basis"), Some("owner of the personal access token"));
}

#[test]
fn the_identity_comes_from_wherever_the_platform_tells_it() {
    let summary = |_: &str| refusal(403, "PERMISSION_DENIED");
    let host = platform(move |path, _| match path {
        "metastore_summary" => summary(path),
        "current-metastore-assignment" => ok(&json!({ "metastore_id": "assigned", "workspace_id": 7 })),
        _ => working(path, json!({})),
    });
    assert_eq!(extra(&check(&host), "identity"), Some("assigned"));
    // The open-source server answers unknown paths with 500 once authorization is on.
    let host = platform(|path, _| match path {
        "metastore_summary" | "current-metastore-assignment" => {
            Ok(testing::json(500, &json!({ "error_code": "INTERNAL", "message": "Couldn't unwrap service." })))
        }
        _ => working(path, json!({})),
    });
    let outcomes = check(&host);
    assert_eq!(extra(&outcomes, "identity"), Some("from-catalog"));
    assert_eq!(general(&outcomes), ALL_PASSED);
}

#[test]
fn refused_credentials_fail_authentication_and_not_reach() {
    for (status, code) in [(401, json!("UNAUTHENTICATED")), (401, json!(401)), (403, json!(403))] {
        let body = json!({ "error_code": code, "message": "Invalid access token." });
        let outcomes = check(&platform(move |_, _| Ok(testing::json(status, &body))));
        let expected = [
            ("reach", "passed"),
            ("authenticate", "failed"),
            ("list-containers", "skipped"),
            ("list-columns", "skipped"),
        ];
        assert_eq!(general(&outcomes), expected);
    }
    let outcomes = check(&platform(|_, _| Err(Error::unauthenticated("The token endpoint refuses the client."))));
    assert_eq!(general(&outcomes)[..2], [("reach", "passed"), ("authenticate", "failed")]);
}

#[test]
fn what_cannot_be_reached_or_is_no_unity_catalog_fails_reach() {
    let answers: [fn() -> Result<Response, Error>; 7] = [
        || Err(Error::unavailable("No such host.")),
        || Err(Error::new(codes::DENIED, "127.0.0.1 is not allowed: egress.allow_cidrs = [\"127.0.0.0/8\"]")),
        || Ok(testing::text(404, "Not Found")),
        || Ok(testing::text(200, "<html>hello</html>")),
        || Ok(testing::text(302, "")),
        || Ok(testing::text(502, "<html>Bad gateway</html>")),
        || ok(&json!(["a", "list"])),
    ];
    for (index, answer) in answers.into_iter().enumerate() {
        let outcomes = check(&platform(move |_, _| answer()));
        assert_eq!(general(&outcomes)[0], ("reach", "failed"), "{index}: {outcomes:?}");
        assert!(general(&outcomes)[1..].iter().all(|(_, status)| *status == "skipped"), "{index}: {outcomes:?}");
    }
}

#[test]
fn a_token_without_any_right_is_a_warning() {
    let nothing = |path: &str| match path {
        "metastore_summary" => ok(&json!({ "metastore_id": "m" })),
        _ => ok(&json!({ "catalogs": [], "next_page_token": null })),
    };
    let forbidden = |path: &str| match path {
        "metastore_summary" => ok(&json!({ "metastore_id": "m" })),
        _ => refusal(403, "PERMISSION_DENIED"),
    };
    for platform in [platform(move |path, _| nothing(path)), platform(move |path, _| forbidden(path))] {
        let outcomes = check(&platform);
        let found = general(&outcomes);
        assert_eq!(found[..3], [("reach", "passed"), ("authenticate", "passed"), ("list-containers", "warning")]);
        assert!(!found.iter().any(|(_, status)| *status == "failed"));
        assert!(outcomes[2].hint.as_deref().is_some_and(|hint| hint.contains("USE CATALOG")));
    }
}

#[test]
fn missing_rights_are_named_with_the_statement_that_grants_them() {
    let host = platform(|path, query| match (path, query.get("catalog_name").map(String::as_str)) {
        ("catalogs", _) => ok(
            &json!({ "catalogs": [{ "name": "a`b", "browse_only": true }, { "name": "closed" }, { "name": "main" }] }),
        ),
        ("schemas", Some("closed")) => refusal(403, "PERMISSION_DENIED"),
        ("schemas", Some("main")) => {
            ok(&json!({ "schemas": [{ "name": "seen", "browse_only": true }, { "name": "sales" }] }))
        }
        ("schemas", _) => ok(&json!({})),
        ("tables", _) => {
            let mut hidden = table("hidden");
            hidden["browse_only"] = json!(true);
            ok(&json!({ "tables": [hidden, table("t")] }))
        }
        _ => ok(&json!({ "metastore_id": "m" })),
    });
    let outcomes = check(&host);
    assert_eq!(general(&outcomes), ALL_PASSED);
    let mut hints: Vec<_> = outcomes.iter().filter(|o| o.path.is_some()).filter_map(|o| o.hint.clone()).collect();
    hints.sort();
    assert_eq!(
        hints,
        [
            "GRANT SELECT ON TABLE `main`.`sales`.`hidden` TO `…`;",
            "GRANT USE CATALOG ON CATALOG `a``b` TO `…`;",
            "GRANT USE CATALOG ON CATALOG `closed` TO `…`;",
            "GRANT USE SCHEMA ON SCHEMA `main`.`seen` TO `…`;",
        ]
    );
}

#[test]
fn empty_pages_before_the_first_catalog_are_read_over() {
    let host = platform(|path, query| match (path, query.get("page_token").map(String::as_str)) {
        ("catalogs", None) => ok(&json!({ "next_page_token": "a" })),
        ("catalogs", Some("a")) => ok(&json!({ "catalogs": [], "next_page_token": "b" })),
        _ => working(path, json!({ "metastore_id": "m" })),
    });
    assert_eq!(general(&check(&host)), ALL_PASSED);
}

#[test]
fn a_check_asks_for_nothing_that_the_patterns_leave_out() {
    for (filter, asked, containers) in [
        (json!({ "exclude": [["*", "information_*"]] }), vec!["main", "main/sales"], "passed"),
        (json!({ "include": [["main", "information_schema"]] }), vec!["main", "main/information_schema"], "passed"),
        (json!({ "include": [["MAIN"]] }), vec![], "warning"),
    ] {
        let host = platform(|path, _| working(path, json!({ "metastore_id": "m-1", "name": "prod" })));
        let mut config = config();
        config["filter"] = filter.clone();
        let cx = testing::context::<Databricks>(&config, ORIGIN, Rc::clone(&host)).expect("context");
        let outcomes = Databricks::check(&cx).expect("outcomes");
        let status = outcomes.iter().find(|o| o.capability == "list-containers").map(|o| o.status.as_str());
        assert_eq!(status, Some(containers), "{filter}: {outcomes:?}");
        let named: Vec<String> = host
            .take_requests()
            .iter()
            .map(|request| split(request).1)
            .filter_map(|query| {
                let catalog = query.get("catalog_name")?.clone();
                Some(query.get("schema_name").map_or(catalog.clone(), |schema| format!("{catalog}/{schema}")))
            })
            .collect();
        assert_eq!(named, asked, "{filter}");
    }
}
