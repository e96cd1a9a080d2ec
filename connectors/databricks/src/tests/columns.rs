//! Columns of named tables.

use std::rc::Rc;

use serde_json::{Value, json};
use wharfinger_sdk::{ColumnsRequest, Error, Page, ReadColumns, codes, testing, testing::MockHost};

use super::platform::*;
use crate::Databricks;

fn ask(host: &Rc<MockHost>, names: &[String], cursor: Option<String>) -> Result<Page, Error> {
    let request =
        ColumnsRequest { scope: path(&["main", "sales"]), namespace: String::new(), names: names.to_vec(), cursor };
    Databricks::read_columns(&context(host), request)
}

/// Asks as a host does: again for what is open, as long as there is a cursor.
fn ask_all(host: &Rc<MockHost>, names: &[String]) -> Result<(Vec<String>, Vec<Error>), Error> {
    let (mut objects, mut errors, mut cursor) = (Vec::new(), Vec::new(), None);
    loop {
        let answered = |name: &&String| {
            !objects.contains(*name) && !errors.iter().any(|e: &Error| e.path.iter().flatten().last() == Some(name))
        };
        let open: Vec<_> = names.iter().filter(answered).cloned().collect();
        let page = ask(host, &open, cursor)?;
        objects.extend(page.objects.into_iter().filter_map(|mut object| {
            assert!(object.columns.is_some());
            object.path.pop()
        }));
        errors.extend(page.errors);
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok((objects, errors)),
        }
    }
}

fn tables(count: usize) -> Vec<Value> {
    (0..count).map(|i| table(&format!("t{i}"))).collect()
}

fn names(range: impl IntoIterator<Item = usize>) -> Vec<String> {
    range.into_iter().map(|i| format!("t{i}")).collect()
}

#[test]
fn a_few_are_read_one_by_one_and_a_missing_one_is_an_error_with_its_path() {
    let host = schema_of(tables(500), 50);
    let (objects, errors) = ask_all(&host, &names([3, 7, 999])).expect("reads");
    assert_eq!((objects.len(), errors.len()), (2, 1));
    assert_eq!(
        (errors[0].code.as_str(), errors[0].path.clone()),
        (codes::NOT_FOUND, Some(path(&["main", "sales", "t999"])))
    );
    assert_eq!(host.take_requests().len(), 3);
}

#[test]
fn many_are_read_by_listing_and_those_it_does_not_have_are_errors() {
    let host = schema_of(tables(3000), 50);
    let (objects, errors) = ask_all(&host, &names((0..6100).step_by(2))).expect("reads");
    assert_eq!((objects.len(), errors.len()), (1500, 1550));
    assert_eq!(host.take_requests().len(), 60);
}

#[test]
fn a_name_that_cannot_be_addressed_is_found_by_listing() {
    let mut all = tables(3);
    all.push(table("dotted.name"));
    let host = schema_of(all, 50);
    let (objects, errors) = ask_all(&host, &["dotted.name".to_owned()]).expect("reads");
    assert_eq!((objects, errors.len()), (vec!["dotted.name".to_owned()], 0));
}

#[test]
fn what_fails_for_now_stays_open_and_is_asked_again() {
    let calls = std::cell::Cell::new(0);
    let host = platform(move |path, _| {
        calls.set(calls.get() + 1);
        if calls.get() == 2 {
            return refusal(503, "TEMPORARILY_UNAVAILABLE");
        }
        ok(&table(path.strip_prefix("tables/main.sales.").expect("one table")))
    });
    let page = ask(&host, &names(0..3), None).expect("reads");
    assert_eq!((page.objects.len(), page.next.is_some()), (2, true));
    let (objects, errors) = ask_all(&host, &names(0..3)).expect("reads");
    assert_eq!((objects.len(), errors.len()), (3, 0));
}

#[test]
fn nothing_but_failures_is_a_failure() {
    let host = platform(|_, _| refusal(503, "TEMPORARILY_UNAVAILABLE"));
    assert_eq!(ask(&host, &names(0..3), None).expect_err("fails").code, codes::UNAVAILABLE);
    let host = platform(|_, _| refusal(401, "UNAUTHENTICATED"));
    assert_eq!(ask(&host, &names(0..3), None).expect_err("fails").code, codes::UNAUTHENTICATED);
    assert_eq!(host.take_requests().len(), 1, "a refused credential is not tried again");
}

#[test]
fn wide_tables_fill_pages_and_all_are_answered() {
    let comment = "x".repeat(30_000);
    let column = json!({ "name": "c", "type_text": "int", "comment": comment });
    let wide = |mut table: Value| {
        table["columns"] = json!(vec![column.clone(); 40]);
        table
    };
    let host = schema_of(tables(30).into_iter().map(wide).collect(), 50);
    let first = ask(&host, &names(0..30), None).expect("reads");
    assert!(first.objects.len() < 30 && first.next.is_some());
    assert_eq!(ask_all(&host, &names(0..30)).expect("reads").0.len(), 30);
}

#[test]
fn another_object_than_the_one_asked_for_is_refused() {
    let host = platform(|_, _| ok(&table("other")));
    let page = ask(&host, &names(0..1), None).expect("reads");
    assert_eq!((page.objects.len(), page.errors[0].code.as_str()), (0, codes::INTERNAL));
}

#[test]
fn facts_and_fingerprint_are_those_of_the_listing() {
    let host = schema_of(tables(1), 50);
    let listed = testing::walk::<Databricks>(&config(), ORIGIN, &host, &path(&["main", "sales"]), false).expect("walk");
    let mut read = ask(&host, &names(0..1), None).expect("reads").objects.remove(0);
    assert!(read.columns.take().is_some());
    assert_eq!(listed.objects[0], read);
}
