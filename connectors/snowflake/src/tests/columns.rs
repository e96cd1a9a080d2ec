//! Reading columns by name: whole or not at all.

use std::{collections::BTreeMap, rc::Rc};

use serde_json::{Value, json};
use wharfinger_sdk::{ColumnsRequest, Error, Object, ReadColumns, codes, testing::MockHost};

use super::{account::*, platform::*};
use crate::Snowflake;

type Answers = BTreeMap<String, Result<Object, Error>>;

/// Asks as the host does, until every name is answered. The number is that of the calls.
fn ask(config: &Value, host: &Rc<MockHost>, names: &[String]) -> Result<(Answers, usize), Error> {
    let (mut answers, mut cursor, mut calls) = (Answers::new(), None, 0);
    loop {
        let open: Vec<String> = names.iter().filter(|name| !answers.contains_key(*name)).cloned().collect();
        let request = ColumnsRequest { scope: path(&["SALES", "MART"]), namespace: String::new(), names: open, cursor };
        let page = Snowflake::read_columns(&context(config, host), request)?;
        calls += 1;
        for object in page.objects {
            answers.insert(object.path[2].clone(), Ok(object));
        }
        for error in page.errors {
            answers.insert(error.path.clone().expect("a path")[2].clone(), Err(error));
        }
        match page.next {
            Some(next) if calls < 50 => cursor = Some(next),
            _ => return Ok((answers, calls)),
        }
    }
}

fn names(names: &[&str]) -> Vec<String> {
    path(names)
}

fn numbers(count: usize) -> Vec<Col> {
    (0..count).map(|i| number(&format!("C{i}"))).collect()
}

fn count(answers: &Answers, name: &str) -> Option<usize> {
    answers.get(name)?.as_ref().ok()?.columns.as_ref().map(Vec::len)
}

#[test]
fn answers_are_what_a_listing_with_columns_says() {
    let mut all: Vec<(String, Table)> = (0..300).map(|i| (format!("T{i:03}"), table("TABLE", numbers(3)))).collect();
    all.extend((0..5).map(|i| (format!("V{i}"), table("VIEW", vec![varchar("V", 7)]))));
    let account = Account::with(all);
    for config in [api(), driver(), without_warehouse(api())] {
        let listed = walk(&config, &account.host(), &["SALES", "MART"], true).expect("walk");
        let every: Vec<String> = listed.objects.iter().map(|object| object.path[2].clone()).collect();
        let host = account.host();
        let (answers, _) = ask(&config, &host, &every).expect("answers");
        for object in &listed.objects {
            assert_eq!(answers[&object.path[2]].as_ref(), Ok(object));
        }
        let few = names(&["T007", "V3", "T299"]);
        let host = account.host();
        let (answers, calls) = ask(&config, &host, &few).expect("answers");
        assert_eq!((answers.len(), calls), (3, 1));
        assert!(few.iter().all(|name| answers[name].as_ref().ok() == listed.object(&["SALES", "MART", name])));
        let sent = statements(&host);
        let asked: Vec<_> = sent.iter().filter(|sql| sql.contains("INFORMATION_SCHEMA")).collect();
        assert!(asked.iter().all(|sql| sql.contains("IN ('T007', 'T299', 'V3')")), "{asked:?}");
        assert!(sent.len() <= 3 + 1 + 3, "{sent:?}");
    }
}

#[test]
fn what_information_schema_does_not_tell_is_asked_for_by_name() {
    let mut hidden = table("TABLE", numbers(2));
    hidden.hidden = true;
    let account = Account::with([
        ("HIDDEN".to_owned(), hidden),
        ("VECTOR".to_owned(), table("TABLE", vec![vector("V")])),
        ("PLAIN".to_owned(), table("TABLE", numbers(4))),
        ("NONE".to_owned(), table("EVENT TABLE", vec![])),
    ]);
    let (answers, _) =
        ask(&api(), &account.host(), &names(&["HIDDEN", "VECTOR", "PLAIN", "NONE", "GONE"])).expect("answers");
    assert_eq!((count(&answers, "HIDDEN"), count(&answers, "PLAIN")), (Some(2), Some(4)));
    let vector = answers["VECTOR"].as_ref().expect("there").columns.as_ref().expect("columns");
    assert_eq!(vector[0].data_type, "VECTOR(FLOAT, 3)");
    assert_eq!(count(&answers, "NONE"), Some(0), "two ways say that there are none");
    let gone = answers["GONE"].as_ref().expect_err("gone");
    assert_eq!((gone.code.as_str(), gone.path.as_ref()), (codes::NOT_FOUND, Some(&path(&["SALES", "MART", "GONE"]))));
    assert!(answers["HIDDEN"].as_ref().is_ok_and(|object| object.fingerprint.is_none()));
    assert!(answers["PLAIN"].as_ref().is_ok_and(|object| object.fingerprint.is_some()));
}

#[test]
fn too_many_columns_for_one_show_are_read_table_by_table() {
    // 110 tables of 100 columns: the schema's answer is cut, and so would be that of the large table alone.
    let mut all: Vec<_> = (0..110).map(|i| (format!("T{i:03}"), table("TABLE", numbers(100)))).collect();
    all.push(("WIDE".to_owned(), table("TABLE", numbers(10_003))));
    let account = Account::with(all);
    for config in [without_warehouse(api()), without_warehouse(driver())] {
        let every: Vec<String> = (0..110).map(|i| format!("T{i:03}")).chain(["WIDE".to_owned()]).collect();
        let host = account.host();
        let (answers, _) = ask(&config, &host, &every).expect("answers");
        assert!(every[..110].iter().all(|name| count(&answers, name) == Some(100)));
        assert_eq!(count(&answers, "WIDE"), Some(10_003), "described in full");
        let whole = statements(&host).iter().filter(|sql| sql.contains("COLUMNS IN SCHEMA")).count();
        assert_eq!(whole, 1, "asked for once, and not again after it was cut");
    }
}

#[test]
fn pages_of_columns_keep_their_limits() {
    let all: Vec<_> = (0..1000).map(|i| (format!("T{i:04}"), table("TABLE", numbers(200)))).collect();
    let every: Vec<String> = all.iter().map(|(name, _)| name.clone()).collect();
    let account = Account::with(all);
    for config in [api(), without_warehouse(api())] {
        let (answers, calls) = ask(&config, &account.host(), &every).expect("answers");
        assert!(every.iter().all(|name| count(&answers, name) == Some(200)));
        assert!((4..9).contains(&calls), "{calls}");
    }
}

#[test]
fn one_table_that_fails_does_not_end_the_others() {
    for (said, expected) in [
        (GONE, codes::NOT_FOUND),
        (Said::Refused("003030", "02000", "Shared database is no longer available."), codes::NOT_FOUND),
        (Said::Refused("000904", "42000", "invalid identifier"), codes::UNSUPPORTED),
        (Said::Failed(Error::new(codes::DENIED, "not one statement")), codes::DENIED),
        (Said::Failed(Error::new(codes::TOO_LARGE, "64 MiB")), codes::TOO_LARGE),
        (
            rows(&["table_name", "column_name", "data_type"], vec![vec![json!("t"), json!("c"), json!("{}")]]),
            codes::UNSUPPORTED,
        ),
        (rows(&["nothing"], vec![]), codes::UNSUPPORTED),
    ] {
        let account = Account::with(["A", "B"].map(|name| (name.to_owned(), table("TABLE", numbers(1)))));
        let said = said.clone();
        let host = platform(move |sql| {
            if sql.starts_with("SHOW COLUMNS IN TABLE") && sql.ends_with("\"A\"") {
                said.clone()
            } else {
                account.answer(sql)
            }
        });
        let (answers, _) = ask(&without_warehouse(api()), &host, &names(&["A", "B"])).expect("answers");
        assert_eq!(count(&answers, "B"), Some(1));
        assert_eq!(answers["A"].as_ref().expect_err("fails").code, expected);
    }
}

#[test]
fn what_fails_for_now_stays_open() {
    let account = Account::with(["A", "B"].map(|name| (name.to_owned(), table("TABLE", numbers(1)))));
    let first = std::cell::Cell::new(true);
    let inner = account.clone();
    let host = platform(move |sql| {
        if sql.starts_with("SHOW COLUMNS IN TABLE") && sql.ends_with("\"A\"") && first.replace(false) {
            return Said::Failed(Error::unavailable("later").retry_after(Some(7)));
        }
        inner.answer(sql)
    });
    let (answers, calls) = ask(&without_warehouse(api()), &host, &names(&["A", "B"])).expect("answers");
    assert_eq!((count(&answers, "A"), count(&answers, "B"), calls), (Some(1), Some(1), 2));
    // Where nothing gets on, the call fails.
    let host = platform(move |sql| {
        if sql.starts_with("SHOW COLUMNS") { Said::Failed(Error::unavailable("later")) } else { account.answer(sql) }
    });
    let error = ask(&without_warehouse(api()), &host, &names(&["A", "B"])).expect_err("fails");
    assert_eq!(error.code, codes::UNAVAILABLE);
}

#[test]
fn a_schema_that_is_gone_or_a_refused_credential_fails_the_call() {
    let host = platform(|_| GONE);
    assert_eq!(ask(&api(), &host, &names(&["A"])).expect_err("gone").code, codes::NOT_FOUND);
    let refused = || Said::Raw(wharfinger_sdk::testing::json(401, &json!({ "code": "390303", "message": "m" })));
    let host = platform(move |_| refused());
    assert_eq!(ask(&api(), &host, &names(&["A"])).expect_err("refused").code, codes::UNAUTHENTICATED);
    let account = Account::with([("A".to_owned(), table("TABLE", numbers(1)))]);
    let host = platform(move |sql| if sql.starts_with("SHOW COLUMNS") { refused() } else { account.answer(sql) });
    let error = ask(&without_warehouse(api()), &host, &names(&["A"])).expect_err("refused");
    assert_eq!(error.code, codes::UNAUTHENTICATED);
}
