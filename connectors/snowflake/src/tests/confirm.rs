//! The second look: what is called absent, and what never is.

use std::collections::BTreeMap;

use serde_json::json;
use wharfinger_sdk::{
    Attributes, Confirm, Context, Error, Flow, Host, Presence, codes,
    http::{Request, Response},
    testing,
};

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
    let names: Vec<String> = (1000..1180).map(|i| format!("T{i:04}")).chain(["T1040x".to_owned()]).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let answers = look(&host, &["SALES", "MART"], &names);
    assert!(answers[..180].iter().all(|answer| *answer == Present));
    assert_eq!(answers[180], Absent);
    assert!(statements(&host).len() < 6);
}

/// A platform of many tables, whose clock goes on by a second with every statement.
struct Clocked {
    host: std::rc::Rc<testing::MockHost>,
    ms: std::cell::Cell<u64>,
}

impl Host for Clocked {
    fn send(&self, request: Request) -> Result<Response, Error> {
        self.ms.set(self.ms.get() + 1000);
        self.host.send(request)
    }

    fn send_all(
        &self,
        requests: Vec<Request>,
        parallel: u32,
        answer: &mut dyn FnMut(usize, Result<Response, Error>) -> Flow,
    ) {
        self.ms.set(self.ms.get() + 1000 * requests.len() as u64);
        self.host.send_all(requests, parallel, answer);
    }

    fn log(&self, level: &str, message: &str, fields: &Attributes) {
        self.host.log(level, message, fields);
    }

    fn log_enabled(&self, level: &str) -> bool {
        self.host.log_enabled(level)
    }

    fn elapsed_ms(&self) -> Option<u64> {
        Some(self.ms.get())
    }
}

#[test]
fn names_far_apart_are_asked_for_one_by_one_as_long_as_there_is_time() {
    let all: Vec<_> = (0..12_000).map(|i| (format!("T{i:05}"), table("TABLE", vec![]))).collect();
    let host = Account::with(all).host();
    let names: Vec<String> = (0..240).map(|i| format!("T{:05}{}", i * 50, if i % 2 == 0 { "" } else { "x" })).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let expected: Vec<Presence> = (0..240).map(|i| if i % 2 == 0 { Present } else { Absent }).collect();
    assert_eq!(look(&host, &["SALES", "MART"], &names), expected);
    let sent = statements(&host);
    assert!(sent.iter().filter(|sql| sql.contains(" LIMIT 1000")).count() <= 8, "a few pages at most");
    // Where time runs out, what was not asked for is not called absent, and the rest is decided.
    let mut config = api();
    config["origin"] = json!(ORIGIN);
    let clocked = std::rc::Rc::new(Clocked { host, ms: std::cell::Cell::default() });
    let cx = Context::new(&config.to_string(), clocked).expect("context");
    let answers = Snowflake::confirm(&cx, &path(&["SALES", "MART"]), "", &path(&names)).expect("answers");
    let open = answers.iter().position(|answer| *answer == Unknown).expect("time runs out");
    assert!((100..240).contains(&open), "{open}");
    assert_eq!(answers[..open], expected[..open]);
    assert!(answers[open..].iter().all(|answer| *answer == Unknown));
}

#[test]
fn up_to_a_hundred_names_are_asked_for_one_by_one() {
    let all: Vec<_> = (0..5000).map(|i| (format!("T{i:05}"), table("TABLE", vec![]))).collect();
    let host = Account::with(all).host();
    let names: Vec<String> = (0..100).map(|i| format!("T{:05}", i * 50)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(look(&host, &["SALES", "MART"], &names).iter().all(|answer| *answer == Present));
    assert!(statements(&host).iter().all(|sql| sql.contains(" LIMIT 1") && !sql.contains(" LIMIT 1000")));
}
