//! Fingerprints and columns of a page that takes several calls: columns are never older than the fingerprint beside them.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use serde_json::json;
use wharfinger_sdk::{
    Connector, Object, ReadRequest,
    testing::{self, MockHost},
};

use super::{account::*, platform::*};
use crate::Snowflake;

const COUNT: usize = 300;
const SLOW: &str = "TABLE_NAME <= 'T299' ORDER BY";

/// All tables as they are before or after they are changed.
fn version(changed: bool, most: usize) -> Account {
    let one = || match changed {
        false => table("TABLE", vec![number("A")]),
        true => Table { ddl: 8, ..table("TABLE", vec![number("A"), number("B")]) },
    };
    let mut account = Account::with((0..COUNT).map(|i| (format!("T{i:03}"), one())));
    account.most = most;
    account
}

/// What is sent and what becomes of it.
#[derive(Default)]
struct Platform {
    changed: Cell<bool>,
    /// Whether results of the statements on TABLES are gone.
    forgets: Cell<bool>,
    polls: Cell<u32>,
    kept: RefCell<BTreeMap<String, (String, Said)>>,
    cancelled: RefCell<Vec<String>>,
}

/// The last question for columns takes long; the tables are changed when `changed` is set.
fn host(platform: &Rc<Platform>, most: usize) -> Rc<MockHost> {
    let platform = Rc::clone(platform);
    let (before, after) = (version(false, most), version(true, most));
    let running = |handle: &str| {
        Ok(testing::json(202, &json!({ "code": "333334", "message": "It runs.", "statementHandle": handle })))
    };
    let is_slow = |sql: &str| sql.contains(".COLUMNS ") && (sql.contains(SLOW) || sql.contains("'T299')"));
    MockHost::new(move |request| {
        let (path, _) = split(request);
        let handle = path.strip_prefix("/api/v2/statements").expect("a statement").trim_start_matches('/');
        if let Some(handle) = handle.strip_suffix("/cancel") {
            platform.cancelled.borrow_mut().push(handle.to_owned());
            return Ok(testing::json(200, &json!({ "code": "000604" })));
        }
        if handle.is_empty() {
            let sql = sql(request);
            let said = if platform.changed.get() { after.answer(&sql) } else { before.answer(&sql) };
            let handle = format!("{HANDLE}{:04}", platform.kept.borrow().len());
            platform.kept.borrow_mut().insert(handle.clone(), (sql.clone(), said.clone()));
            return if is_slow(&sql) && matches!(said, Said::Rows(..)) {
                running(&handle)
            } else {
                as_api(said, &handle)
            };
        }
        let (sql, said) = platform.kept.borrow()[handle].clone();
        if platform.forgets.get() && sql.contains(".TABLES ") {
            return Ok(testing::json(422, &json!({ "code": "000709", "message": "Statement not found" })));
        }
        if is_slow(&sql) {
            platform.polls.set(platform.polls.get() + 1);
            if platform.polls.get() < 6 {
                return running(handle);
            }
        }
        as_api(said, handle)
    })
}

#[test]
fn columns_are_never_older_than_the_fingerprint_beside_them() {
    // From all in one through a dozen pieces to more than a cursor keeps.
    for most in [COUNT, 30, 9, 3] {
        for forgets in [false, true] {
            let platform = Rc::new(Platform::default());
            let host = host(&platform, most);
            let partition =
                Snowflake::plan(&context(&api(), &host), &path(&["SALES", "MART"])).expect("plan").remove(0);
            let (mut cursor, mut objects, mut calls) = (None, Vec::<Object>::new(), 0);
            loop {
                let request =
                    ReadRequest { partition: partition.clone(), want_columns: true, cursor, extra: Vec::new() };
                let page = Snowflake::read(&context(&api(), &host), request).expect("page");
                calls += 1;
                assert!(calls < 10, "{most}: it does not get on");
                objects.extend(page.objects);
                assert!(calls > 1 || page.not_before_ms.is_some(), "the first call ends while it runs");
                platform.changed.set(true);
                platform.forgets.set(forgets);
                match page.next {
                    Some(next) => cursor = Some(next),
                    None => break,
                }
            }
            assert_eq!(objects.len(), COUNT);
            for object in &objects {
                let print = object.fingerprint.as_deref();
                let columns = object.columns.as_ref().map(Vec::len);
                let is_sound = (print, columns) == (Some("1:1.0:d8"), Some(2)) || print == Some("1:1.0:d7");
                assert!(is_sound && columns.is_some(), "{most} {forgets}: {:?} {print:?} {columns:?}", object.path);
            }
            let anew = objects.iter().any(|object| object.fingerprint.as_deref() == Some("1:1.0:d8"));
            assert_eq!(anew, forgets || most == 3, "{most}: what was paid for is used as long as it is kept");
            let cancelled = platform.cancelled.borrow().len();
            assert_eq!(cancelled > 0, anew, "{most} {forgets}: what is not used any more is cancelled");
        }
    }
}
