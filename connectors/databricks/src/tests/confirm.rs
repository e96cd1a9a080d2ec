//! The second look: what is called absent, and what never is.

use serde_json::json;
use wharfinger_sdk::{Confirm, Presence, codes};

use super::platform::*;
use crate::Databricks;

fn look(host: &std::rc::Rc<wharfinger_sdk::testing::MockHost>, scope: &[&str], names: &[&str]) -> Vec<Presence> {
    Databricks::confirm(&context(host), &path(scope), "", &path(names)).expect("answers")
}

use Presence::{Absent, Present, Unknown};

#[test]
fn only_what_the_platform_says_is_gone_is_absent() {
    let host = platform(|path, _| match path {
        "schemas/main.sales" => ok(&json!({ "name": "sales" })),
        "tables/main.sales.here" => ok(&table("here")),
        "tables/main.sales.gone" => refusal(404, "TABLE_DOES_NOT_EXIST"),
        "tables/main.sales.oss" => refusal(404, "TABLE_NOT_FOUND"),
        "tables/main.sales.other" => refusal(404, "SCHEMA_DOES_NOT_EXIST"),
        "tables/main.sales.hidden" => refusal(403, "PERMISSION_DENIED"),
        "tables/main.sales.renamed" => ok(&table("another")),
        "tables/main.sales.busy" => refusal(503, "TEMPORARILY_UNAVAILABLE"),
        "tables/main.sales.text" => Ok(wharfinger_sdk::testing::text(404, "Status: 404\nDescription: Not Found")),
        other => panic!("not asked for: {other}"),
    });
    let names = ["here", "gone", "oss", "other", "hidden", "renamed", "busy", "text"];
    assert_eq!(
        look(&host, &["main", "sales"], &names),
        [Present, Absent, Absent, Unknown, Unknown, Unknown, Unknown, Unknown]
    );
    // What no URL can name is for a second listing to find.
    for odd in ["dotted.name", ""] {
        let asked = path(&["here", odd]);
        let error = Databricks::confirm(&context(&host), &path(&["main", "sales"]), "", &asked).expect_err("refused");
        assert_eq!(error.code, codes::UNSUPPORTED, "{odd:?}");
    }
}

#[test]
fn below_a_container_that_cannot_be_seen_nothing_is_absent() {
    for status in [403, 404, 500] {
        let host = platform(move |path, _| match path {
            "schemas/main.sales" => refusal(status, "X"),
            _ => refusal(404, "TABLE_DOES_NOT_EXIST"),
        });
        assert_eq!(look(&host, &["main", "sales"], &["a", "b"]), [Unknown, Unknown]);
    }
}

#[test]
fn schemas_and_catalogs_are_looked_at_likewise() {
    let host = platform(|path, _| match path {
        "catalogs" => ok(&json!({})),
        "catalogs/main" => ok(&json!({ "name": "main" })),
        "schemas/main.gone" => refusal(404, "SCHEMA_NOT_FOUND"),
        "catalogs/gone" => refusal(404, "CATALOG_DOES_NOT_EXIST"),
        other => panic!("not asked for: {other}"),
    });
    assert_eq!(look(&host, &["main"], &["gone"]), [Absent]);
    assert_eq!(look(&host, &[], &["main", "gone"]), [Present, Absent]);
}

#[test]
fn refused_credentials_are_no_answer() {
    let host = platform(|_, _| refusal(401, "UNAUTHENTICATED"));
    let error = Databricks::confirm(&context(&host), &path(&["main"]), "", &path(&["a"])).expect_err("refused");
    assert_eq!(error.code, codes::UNAUTHENTICATED);
}
