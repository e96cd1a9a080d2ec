//! The second look: what is called absent, and what never is.

use std::collections::BTreeMap;

use serde_json::json;
use wharfinger_sdk::{Confirm, Error, Presence, codes, testing};

use super::{account::*, platform::*};
use crate::Snowflake;

use Presence::{Absent, Present, Unknown};

fn look(host: &std::rc::Rc<testing::MockHost>, scope: &[&str], names: &[&str]) -> Vec<Presence> {
    Snowflake::confirm(&context(&api(), host), &path(scope), "", &path(names)).expect("answers")
}

#[test]
fn silence_of_a_visible_container_is_absence_and_names_are_exact() {
    let one = || table("TABLE", vec![]);
    let account = Account::with([
        ("A_B".to_owned(), one()),
        ("AXB".to_owned(), one()),
        ("PRE".to_owned(), one()),
        ("PREFIXED".to_owned(), one()),
        ("it's \\ \"x\"".to_owned(), one()),
        ("V".to_owned(), table("VIEW", vec![])),
    ]);
    for config in [api(), driver()] {
        let names = ["A_B", "A%", "PRE", "PREFIX", "pre", "it's \\ \"x\"", "V", "", "AXB"];
        let answers =
            Snowflake::confirm(&context(&config, &account.host()), &path(&["SALES", "MART"]), "", &path(&names));
        let expected = [Present, Absent, Present, Absent, Absent, Present, Present, Absent, Present];
        assert_eq!(answers.expect("answers"), expected);
    }
    assert_eq!(look(&account.host(), &["SALES"], &["MART", "GONE", "INFORMATION_SCHEMA"]), [Present, Absent, Present]);
    assert_eq!(look(&account.host(), &[], &["SALES", "SALE"]), [Present, Absent]);
}

#[test]
fn nothing_is_absent_in_what_cannot_be_seen() {
    let account = Account::with([("A".to_owned(), table("TABLE", vec![]))]);
    assert_eq!(look(&account.host(), &["SALES", "GONE"], &["A"]), [Unknown]);
    assert_eq!(look(&account.host(), &["GONE", "MART"], &["A"]), [Unknown]);
    for said in [
        GONE,
        Said::Refused("003030", "02000", "Shared database is no longer available."),
        Said::Failed(Error::new(codes::DENIED, "no")),
    ] {
        let account = account.clone();
        let host = platform(move |sql| if sql.starts_with("SHOW VIEWS") { said.clone() } else { account.answer(sql) });
        assert_eq!(look(&host, &["SALES", "MART"], &["A", "B"]), [Unknown, Unknown]);
    }
}

#[test]
fn silence_is_no_proof_where_names_are_read_in_upper_case() {
    let mut account = Account::default();
    account.add("lower", "STANDARD", &[("s", BTreeMap::new())]);
    for (parameter, expected) in [("true", Unknown), ("false", Absent)] {
        account.parameter = parameter;
        assert_eq!(look(&account.host(), &["lower", "s"], &["t"]), [expected]);
    }
}

#[test]
fn failures_are_no_answer() {
    for (status, code, expected) in
        [(401, "390303", codes::UNAUTHENTICATED), (503, "", codes::UNAVAILABLE), (429, "390505", codes::RATE_LIMITED)]
    {
        let host = platform(move |_| Said::Raw(testing::json(status, &json!({ "code": code, "message": "m" }))));
        let error =
            Snowflake::confirm(&context(&api(), &host), &path(&["SALES"]), "", &path(&["A"])).expect_err("fails");
        assert_eq!(error.code, expected);
    }
}

#[test]
fn many_names_are_found_by_reading_on() {
    let all: Vec<_> = (0..2500).map(|i| (format!("T{i:04}"), table("TABLE", vec![]))).collect();
    let host = Account::with(all).host();
    let names: Vec<String> = (1000..1080).map(|i| format!("T{i:04}")).chain(["T1040x".to_owned()]).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let answers = look(&host, &["SALES", "MART"], &names);
    assert!(answers[..80].iter().all(|answer| *answer == Present));
    assert_eq!(answers[80], Absent);
    assert!(statements(&host).len() < 6);
}
