//! Waits for ever inside the host: the clock of the epoch stands still for it.

use std::{thread, time::Duration};

use wharfinger_guests::{Error, Guest, Outcome, passed};

struct Hangs;

impl Guest for Hangs {
    fn check(_config: String) -> Result<Vec<Outcome>, Error> {
        thread::sleep(Duration::from_secs(24 * 60 * 60));
        Ok(passed("a day later".into()))
    }
}

wharfinger_guests::export!(Hangs);
