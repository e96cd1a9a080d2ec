//! Canned answers, in the very form in which the platform's documentation and its drivers' tests have them.

use serde_json::Value;
use wharfinger_sdk::{ColumnsRequest, Connector, Error, ReadColumns, codes, testing};

use super::platform::*;
use crate::Snowflake;

macro_rules! canned {
    ($file:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("../../fixtures/", $file))).expect("JSON")
    };
}

fn answer(canned: &Value) -> Said {
    let response = &canned["response"];
    let status = response["status"].as_u64().and_then(|status| u16::try_from(status).ok()).expect("status");
    Said::Raw(match &response["body"] {
        Value::String(body) => testing::text(status, body),
        body => testing::json(status, body),
    })
}

#[test]
fn databases_come_out_field_by_field_in_both_protocols() {
    for (config, canned) in
        [(api(), canned!("api-show-databases.json")), (driver(), canned!("driver-show-databases.json"))]
    {
        let host = platform(
            move |sql| {
                if sql.starts_with("SHOW DATABASES") { answer(&canned) } else { rows(&["name"], vec![]) }
            },
        );
        let walked = walk(&config, &host, &[], false).expect("walk");
        let seen: Vec<_> = walked.objects.iter().map(|o| (o.path[0].as_str(), o.extra.len())).collect();
        assert_eq!(seen, [("MY_DB", 0), ("SHARED_DB", 1), ("SNOWFLAKE", 1), ("SNOWFLAKE_SAMPLE_DATA", 1)]);
        assert_eq!(
            walked.objects[1].attributes[..2],
            [
                ("databaseKind".to_owned(), "IMPORTED DATABASE".to_owned()),
                ("origin".to_owned(), "ACME.PROVIDER.SHARE".to_owned()),
            ]
        );
        assert_eq!(walked.objects[0].comment, None);
        let created =
            walked.objects[0].attributes.iter().find(|(key, _)| key == "createdAt").map(|(_, at)| at.as_str());
        assert_eq!(created, Some("2021-05-04T18:08:13.299Z"));
    }
}

#[test]
fn columns_of_a_show_are_spelled_as_described() {
    let shown = canned!("api-show-columns.json");
    let tables = canned!("api-show-tables.json");
    let host = platform(move |sql| match () {
        () if sql.starts_with("SHOW TABLES") => answer(&tables),
        () if sql.starts_with("SHOW COLUMNS IN TABLE") => answer(&shown),
        () => rows(&["name"], vec![]),
    });
    let request = ColumnsRequest {
        scope: path(&["MY_DB", "MY_SCHEMA"]),
        namespace: String::new(),
        names: path(&["TEST_SHOW_COLUMNS"]),
        cursor: None,
    };
    let page = Snowflake::read_columns(&context(&without_warehouse(api()), &host), request).expect("page");
    assert_eq!(page.errors, vec![]);
    let columns = page.objects[0].columns.as_ref().expect("columns");
    let seen: Vec<_> = columns.iter().map(|c| (c.name.as_str(), c.data_type.as_str(), c.nullable)).collect();
    assert_eq!(
        seen,
        [
            ("N1", "NUMBER(38,0)", Some(true)),
            ("F1", "FLOAT", Some(true)),
            ("S1", "VARCHAR(16777216)", Some(true)),
            ("S3_CHAR", "VARCHAR(1)", Some(false)),
            ("s5_case_sensitive", "VARCHAR(16777216)", Some(true)),
            ("B1", "BINARY(8388608)", Some(true)),
            ("BOOL1", "BOOLEAN", Some(true)),
            ("T1", "TIME(9)", Some(true)),
            ("TS3_NTZ", "TIMESTAMP_NTZ(9)", Some(true)),
        ]
    );
}

#[test]
fn refusals_are_told_apart() {
    for (canned, code) in [
        (canned!("api-error-object.json"), codes::NOT_FOUND),
        (canned!("api-error-share.json"), codes::NOT_FOUND),
        (canned!("api-error-oauth.json"), codes::UNAUTHENTICATED),
        (canned!("api-error-too-many-requests.json"), codes::RATE_LIMITED),
        (canned!("driver-error-object.json"), codes::NOT_FOUND),
    ] {
        let is_driver = canned["request"]["url"].as_str().is_some_and(|url| url.starts_with("/queries/"));
        let config = if is_driver { driver() } else { api() };
        let host = platform(move |_| answer(&canned));
        let error: Error = match walk(&config, &host, &["MY_DB", "MY_SCHEMA"], false) {
            Ok(mut walked) => walked.errors.remove(0),
            Err(error) => error,
        };
        assert_eq!(error.code, code, "{error:?}");
    }
}

#[test]
fn a_wrong_account_is_told_to_the_person() {
    let canned = canned!("driver-error-account.json");
    let host = platform(move |_| answer(&canned));
    let outcomes = Snowflake::check(&context(&driver(), &host)).expect("outcomes");
    assert_eq!((outcomes[0].capability.as_str(), outcomes[0].status.as_str()), ("reach", "failed"));
    assert!(outcomes[0].message.contains("no Snowflake account answers there"), "{outcomes:?}");
}
