//! Tries to reach something while it describes itself, and is a connector only if it cannot.

use wharfinger_guests::{DESCRIPTOR, Guest, get, http};

struct CallsOut;

impl Guest for CallsOut {
    fn describe() -> String {
        let denied = |code: &str| code == "denied";
        let sent = http::send(&get("http://127.0.0.1/".into()));
        let opened = http::open(&get("http://127.0.0.1/".into()));
        let batch = http::Batch::new(&[get("http://127.0.0.1/".into())], 1);
        let fetched = batch.next();
        let all_denied = sent.is_err_and(|e| denied(&e.code))
            && opened.is_err_and(|e| denied(&e.code))
            && matches!(fetched, Some((0, Err(e))) if denied(&e.code));
        if all_denied { DESCRIPTOR.into() } else { "something was reached".into() }
    }
}

wharfinger_guests::export!(CallsOut);
