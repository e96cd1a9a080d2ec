//! What a check tells apart.

use std::{collections::BTreeMap, rc::Rc};

use serde_json::{Value, json};
use wharfinger_sdk::{Connector, Error, Outcome, codes, testing, testing::MockHost};

use super::{account::*, platform::*};
use crate::Snowflake;

fn check(config: &Value, host: &Rc<MockHost>) -> Vec<Outcome> {
    Snowflake::check(&context(config, host)).expect("outcomes")
}

/// Capability and status of the outcomes that are about no single container.
fn general(outcomes: &[Outcome]) -> Vec<(&str, &str)> {
    outcomes.iter().filter(|o| o.path.is_none()).map(|o| (o.capability.as_str(), o.status.as_str())).collect()
}

fn status<'a>(outcomes: &'a [Outcome], capability: &str) -> &'a str {
    outcomes.iter().find(|o| o.capability == capability && o.path.is_none()).map_or("", |o| o.status.as_str())
}

fn extra<'a>(outcomes: &'a [Outcome], key: &str) -> Option<&'a str> {
    outcomes.iter().flat_map(|o| &o.extra).find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

fn grants(list: &[(&str, &str, &str)]) -> Said {
    let row = |(privilege, on, name): &(&str, &str, &str)| vec![json!(name), json!(on), json!(privilege)];
    rows(&["name", "granted_on", "privilege"], list.iter().map(row).collect())
}

const ENOUGH: [(&str, &str, &str); 4] = [
    ("USAGE", "DATABASE", "SALES"),
    ("USAGE", "SCHEMA", "SALES.MART"),
    ("REFERENCES", "TABLE", "SALES.MART.A"),
    ("SELECT", "TABLE", "SALES.MART.A"),
];

fn account() -> Account {
    Account::with([("A".to_owned(), table("TABLE", vec![number("N")]))])
}

/// An account whose roles have these grants.
fn granted(account: Account, list: &'static [(&'static str, &'static str, &'static str)]) -> Rc<MockHost> {
    platform(move |sql| match sql {
        "SHOW GRANTS TO ROLE \"ANALYST\"" => grants(list),
        "SHOW GRANTS TO ROLE \"CHILD\"" => grants(&ENOUGH),
        _ => account.answer(sql),
    })
}

#[test]
fn a_connection_that_works_tells_its_identity_and_basis() {
    let outcomes = check(&api(), &granted(account(), &ENOUGH));
    let names = ["reach", "authenticate", "role", "list-containers", "warehouse", "list-columns"];
    assert_eq!(general(&outcomes), names.map(|name| (name, "passed")));
    assert_eq!((extra(&outcomes, "identity"), extra(&outcomes, "basis")), (Some("ACME.MAIN"), Some("role ANALYST")));
    assert!(outcomes.iter().all(|outcome| outcome.path.is_none()), "nothing is missing: {outcomes:?}");
    // A session with a password works too, for as long as it does.
    let outcomes = check(&driver(), &granted(account(), &ENOUGH));
    assert_eq!((status(&outcomes, "password"), status(&outcomes, "list-columns")), ("warning", "passed"));
    assert_eq!(extra(&outcomes, "identity"), Some("ACME.MAIN"));
}

#[test]
fn without_an_organisation_the_locator_tells_accounts_apart() {
    let host = platform(|sql| match sql.starts_with("SELECT CURRENT_") {
        true => {
            rows(&crate::request::WHO, vec![vec![json!(null), json!(null), json!("XY1"), json!("U"), json!("PUBLIC")]])
        }
        false => rows(&["name"], vec![]),
    });
    let outcomes = check(&api(), &host);
    assert_eq!(extra(&outcomes, "identity"), Some("XY1"));
    assert_eq!((status(&outcomes, "role"), status(&outcomes, "list-containers")), ("warning", "warning"));
}

#[test]
fn refused_credentials_fail_authentication_and_not_reach() {
    let coded = |status: u16, code: &str| {
        Said::Raw(testing::json(status, &json!({ "code": code, "message": "It is refused." })))
    };
    for said in [
        coded(401, "390303"),
        coded(401, "394301"),
        coded(401, "394304"),
        coded(401, "390144"),
        coded(401, "394400"),
        coded(403, "390422"),
        Said::Failed(Error::unauthenticated("the platform refused to authenticate this connection")),
        Said::Failed(Error::invalid_config("the private key cannot be opened")),
    ] {
        let answer = said.clone();
        let outcomes = check(&api(), &platform(move |_| answer.clone()));
        assert_eq!(general(&outcomes)[..2], [("reach", "passed"), ("authenticate", "failed")], "{said:?}");
        assert!(general(&outcomes)[2..].iter().all(|(_, status)| *status == "skipped"), "{outcomes:?}");
    }
}

#[test]
fn what_is_no_account_fails_reach() {
    for said in [
        Said::Failed(Error::unavailable("No such host.")),
        Said::Failed(Error::new(codes::DENIED, "127.0.0.1 is not allowed")),
        Said::Raw(testing::text(403, "<html>Forbidden</html>")),
        Said::Raw(testing::text(404, "")),
        Said::Raw(testing::text(200, "<html>hello</html>")),
        Said::Raw(testing::text(302, "")),
        Said::Raw(testing::text(502, "<html>Bad gateway</html>")),
        Said::Raw(testing::json(
            403,
            &json!({ "code": "390144", "message": "Invalid account name or host.", "data": null }),
        )),
    ] {
        let answer = said.clone();
        let outcomes = check(&api(), &platform(move |_| answer.clone()));
        assert_eq!(general(&outcomes)[0], ("reach", "failed"), "{said:?}");
        assert!(general(&outcomes)[1..].iter().all(|(_, status)| *status == "skipped"), "{outcomes:?}");
    }
}

#[test]
fn a_role_that_is_not_there_is_named() {
    let host = platform(|_| {
        Said::Refused(
            "390189",
            "08001",
            "Role 'NOPE' specified in the connect string does not exist or not authorized.",
        )
    });
    let outcomes = check(&api(), &host);
    assert_eq!(general(&outcomes)[..3], [("reach", "passed"), ("authenticate", "passed"), ("role", "failed")]);
    assert!(outcomes[2].message.contains("NOPE"));
}

#[test]
fn a_warehouse_that_cannot_be_used_is_a_warning_and_none_is_explained() {
    let mut locked = account();
    locked.warehouse = false;
    let outcomes = check(&api(), &granted(locked, &ENOUGH));
    assert_eq!((status(&outcomes, "warehouse"), status(&outcomes, "list-columns")), ("warning", "passed"));
    let hint = outcomes.iter().find(|o| o.capability == "warehouse").and_then(|o| o.hint.as_deref());
    assert!(hint.is_some_and(|hint| hint.contains("GRANT USAGE ON WAREHOUSE \"WH\" TO ROLE \"ANALYST\";")), "{hint:?}");
    let outcomes = check(&without_warehouse(api()), &granted(account(), &ENOUGH));
    assert_eq!(status(&outcomes, "warehouse"), "skipped");
}

#[test]
fn missing_rights_are_named_with_the_statement_that_grants_them() {
    let mut account = account();
    account.add("a\"b", "STANDARD", &[("closed", BTreeMap::new())]);
    const HELD: [(&str, &str, &str); 6] = [
        ("USAGE", "DATABASE", "SALES"),
        ("USAGE", "SCHEMA", "SALES.MART"),
        ("INSERT", "TABLE", "SALES.MART.A"),
        ("REFERENCES", "VIEW", "SALES.MART.\"v.1\""),
        ("MONITOR", "DATABASE", "\"a\"\"b\""),
        ("CREATE TABLE", "SCHEMA", "\"a\"\"b\".\"closed\""),
    ];
    let outcomes = check(&api(), &granted(account, &HELD));
    let mut hints: Vec<_> = outcomes.iter().filter(|o| o.path.is_some()).filter_map(|o| o.hint.clone()).collect();
    hints.sort();
    assert_eq!(
        hints,
        [
            "GRANT REFERENCES ON TABLE \"SALES\".\"MART\".\"A\" TO ROLE \"ANALYST\";",
            "GRANT SELECT ON ALL TABLES IN SCHEMA \"SALES\".\"MART\" TO ROLE \"ANALYST\";",
            "GRANT USAGE ON DATABASE \"a\"\"b\" TO ROLE \"ANALYST\";",
            "GRANT USAGE ON SCHEMA \"a\"\"b\".\"closed\" TO ROLE \"ANALYST\";",
        ]
    );
    let select = outcomes.iter().find(|o| o.capability == "select").expect("reported apart");
    assert_eq!((select.status.as_str(), select.path.as_ref()), ("warning", Some(&path(&["SALES", "MART"]))));
}

#[test]
fn a_schema_without_any_grant_inside_says_what_to_grant() {
    const HELD: [(&str, &str, &str); 2] = [("USAGE", "DATABASE", "SALES"), ("USAGE", "SCHEMA", "SALES.MART")];
    let outcomes = check(&api(), &granted(account(), &HELD));
    let hint = outcomes.iter().find(|o| o.path.is_some()).and_then(|o| o.hint.as_deref());
    assert_eq!(hint, Some("GRANT REFERENCES ON ALL TABLES IN SCHEMA \"SALES\".\"MART\" TO ROLE \"ANALYST\";"));
}

#[test]
fn rights_come_through_other_roles_too_and_are_not_guessed_at() {
    const INHERITS: [(&str, &str, &str); 1] = [("USAGE", "ROLE", "CHILD")];
    let outcomes = check(&api(), &granted(account(), &INHERITS));
    assert!(outcomes.iter().all(|outcome| outcome.path.is_none()), "{outcomes:?}");
    // Grants that cannot be seen are not called missing.
    const UNKNOWN: [(&str, &str, &str); 1] = [("USAGE", "DATABASE_ROLE", "SALES.READER")];
    let outcomes = check(&api(), &granted(account(), &UNKNOWN));
    assert!(outcomes.iter().all(|outcome| outcome.path.is_none()), "{outcomes:?}");
    assert_eq!(status(&outcomes, "privileges"), "warning");
    let outcomes = check(&api(), &account().host());
    assert_eq!(status(&outcomes, "privileges"), "warning");
}

#[test]
fn a_role_without_any_right_is_a_warning() {
    let mut account = account();
    account.databases.clear();
    account.add("SNOWFLAKE", "APPLICATION", &[]);
    let outcomes = check(&api(), &account.host());
    assert_eq!(status(&outcomes, "list-containers"), "warning");
    assert!(outcomes.iter().all(|outcome| outcome.status != "failed"), "{outcomes:?}");
}
