//! Answers of a real server, recorded.

use serde_json::{Value, json};
use wharfinger_sdk::{
    Column, ColumnsRequest, Connector, Error, ReadColumns,
    http::Response,
    testing::{self, Walked},
};

use super::platform::*;
use crate::Databricks;

macro_rules! recording {
    ($file:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("../../fixtures/", $file))).expect("a recording")
    };
}

/// The answer of a recording, as it was.
fn answer(recording: &Value) -> Result<Response, Error> {
    let response = &recording["response"];
    let status = response["status"].as_u64().and_then(|status| u16::try_from(status).ok()).expect("status");
    Ok(match &response["body"] {
        Value::String(body) => testing::text(status, body),
        body => testing::json(status, body),
    })
}

fn hist(columns: bool) -> Walked {
    let catalogs = recording!("901-walk-0-catalogs-p1.json");
    let schemas = recording!("915-walk-0-schemas-zz_archive-p1.json");
    let with = recording!("916-walk-0-tables-zz_archive.hist-p1.json");
    let without = recording!("950-walk-0-omit-tables-zz_archive.hist-p1.json");
    let host = platform(move |path, query| match (path, query.get("omit_columns")) {
        ("catalogs", _) => answer(&catalogs),
        ("schemas", _) if query["catalog_name"] == "zz_archive" => answer(&schemas),
        ("schemas", _) => ok(&json!({ "schemas": [], "next_page_token": null })),
        (_, None) => answer(&with),
        (_, Some(_)) => answer(&without),
    });
    testing::walk::<Databricks>(&config(), ORIGIN, &host, &[], columns).expect("walk")
}

#[test]
fn a_schema_comes_out_field_by_field() {
    let recorded = recording!("916-walk-0-tables-zz_archive.hist-p1.json");
    let recorded = recorded["response"]["body"]["tables"].as_array().expect("tables").clone();
    let walked = hist(true);
    assert_eq!((walked.objects.len(), walked.errors.len(), walked.listed.len()), (3 + 1 + 6, 0, 5));
    for theirs in recorded {
        let ours = walked.object(&["zz_archive", "hist", theirs["name"].as_str().expect("name")]).expect("there");
        assert_eq!(ours.remote_id.as_deref(), theirs["table_id"].as_str());
        assert_eq!(ours.comment.as_deref(), theirs["comment"].as_str());
        let columns = ours.columns.as_ref().expect("asked for");
        let theirs: Vec<Column> = theirs["columns"].as_array().expect("columns").iter().map(column).collect();
        assert_eq!(columns, &theirs);
    }
}

fn column(theirs: &Value) -> Column {
    let text = |key: &str| theirs[key].as_str().map(str::to_owned);
    Column {
        name: text("name").expect("name"),
        data_type: text("type_text").expect("type"),
        nullable: theirs["nullable"].as_bool(),
        comment: text("comment"),
        position: theirs["position"].as_i64(),
        extra: vec![],
    }
}

#[test]
fn facts_are_the_same_with_and_without_columns() {
    let (with, without) = (hist(true), hist(false));
    for (mut a, b) in with.objects.into_iter().zip(without.objects) {
        assert_eq!(b.columns, None, "an omitted list of columns is not an empty one");
        a.columns = None;
        assert_eq!(a, b);
    }
}

fn single(name: &str, recording: Value) -> wharfinger_sdk::Page {
    let host = platform(move |_, _| answer(&recording));
    let scope = path(&["lake", "types"]);
    let request = ColumnsRequest { scope, namespace: String::new(), names: vec![name.to_owned()], cursor: None };
    Databricks::read_columns(&context(&host), request).expect("page")
}

#[test]
fn odd_columns_are_kept_as_they_are() {
    for (name, recording) in [
        ("odd_column_names", recording!("303-table-odd-column-names.json")),
        ("positions_unordered", recording!("305-table-positions-unordered.json")),
        ("positions_odd", recording!("306-table-positions-odd.json")),
        ("duplicate_columns", recording!("307-table-duplicate-columns.json")),
    ] {
        let body = recording["response"]["body"].clone();
        let name = body["name"].as_str().unwrap_or(name).to_owned();
        let page = single(&name, recording);
        let theirs: Vec<Column> = body["columns"].as_array().expect("columns").iter().map(column).collect();
        assert!(!theirs.is_empty());
        assert_eq!(page.objects[0].columns.as_ref(), Some(&theirs), "{name}");
    }
}

#[test]
fn errors_of_the_server_are_told_apart() {
    let page = single("nope", recording!("324-table-unknown.json"));
    assert_eq!((page.objects.len(), page.errors[0].code.as_str()), (0, "not-found"));
    let page = single("nested", recording!("773-user-select-without-use-schema-get.json"));
    assert_eq!(page.errors[0].code, "permission-denied");
    for refused in [recording!("710-auth-malformed-token.json"), recording!("714-auth-token-of-identity-provider.json")]
    {
        let host = platform(move |_, _| answer(&refused));
        let outcomes = Databricks::check(&context(&host)).expect("outcomes");
        let found: Vec<_> = outcomes.iter().map(|o| (o.capability.as_str(), o.status.as_str())).collect();
        assert_eq!(found[..2], [("reach", "passed"), ("authenticate", "failed")]);
    }
}

#[test]
fn filtered_pages_do_not_end_the_walk() {
    let pages = [
        recording!("762-user-some-rights-tables-page1.json"),
        recording!("763-user-some-rights-tables-page2-empty.json"),
        recording!("764-user-some-rights-tables-page3.json"),
    ];
    let tokens: Vec<_> =
        pages.iter().map(|p| p["response"]["body"]["next_page_token"].as_str().map(str::to_owned)).collect();
    assert!(tokens[0].is_some() && tokens[1].is_some() && tokens[2].is_none());
    let expected: usize = pages.iter().filter_map(|p| p["response"]["body"]["tables"].as_array()).map(Vec::len).sum();
    let host = platform(move |_, query| match query.get("page_token") {
        None => answer(&pages[0]),
        Some(token) if Some(token) == tokens[0].as_ref() => answer(&pages[1]),
        Some(_) => answer(&pages[2]),
    });
    let walked = testing::walk::<Databricks>(&config(), ORIGIN, &host, &path(&["lake", "bulk"]), false).expect("walk");
    assert_eq!((walked.objects.len(), walked.listed.len()), (expected, 1));
}

#[test]
fn a_check_of_the_server_finds_its_identity() {
    let summary = recording!("027-metastore-summary.json");
    let catalogs = recording!("901-walk-0-catalogs-p1.json");
    let schemas = recording!("915-walk-0-schemas-zz_archive-p1.json");
    let tables = recording!("916-walk-0-tables-zz_archive.hist-p1.json");
    let unknown = recording!("785-unknown-resource-with-token.json");
    let host = platform(move |path, _| match path {
        "metastore_summary" => answer(&summary),
        "catalogs" => answer(&catalogs),
        "schemas" => answer(&schemas),
        "tables" => answer(&tables),
        _ => answer(&unknown),
    });
    let outcomes = Databricks::check(&context(&host)).expect("outcomes");
    assert!(outcomes.iter().all(|outcome| outcome.status == "passed"), "{outcomes:?}");
    let identity = outcomes.iter().flat_map(|o| &o.extra).find(|(key, _)| key == "identity").map(|(_, id)| id.as_str());
    assert_eq!(identity, Some("970af182-89e2-4875-9727-34c88fc9b065"));
}
