//! Writes more to the log than anybody reads, and lines that would draw on a terminal.

use wharfinger_guests::{Error, Guest, Outcome, log, passed};

struct Floods;

impl Guest for Floods {
    fn check(_config: String) -> Result<Vec<Outcome>, Error> {
        log::log("warn", "\u{1b}[2J\u{202e}forged\n2026-01-01 ERROR all is lost", &[("k\r".into(), "v\u{7}".into())]);
        let line = "x".repeat(100_000);
        for _ in 0..1000 {
            log::log("info", &line, &[]);
        }
        Ok(passed(format!("enabled: {}", log::enabled("info"))))
    }
}

wharfinger_guests::export!(Floods);
