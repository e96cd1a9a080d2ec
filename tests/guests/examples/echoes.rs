//! Says what it was given. Not hostile: it shows what reaches a guest.

use wharfinger_guests::{Error, Guest, Outcome, passed};

struct Echoes;

impl Guest for Echoes {
    fn check(config: String) -> Result<Vec<Outcome>, Error> {
        Ok(passed(config))
    }
}

wharfinger_guests::export!(Echoes);
