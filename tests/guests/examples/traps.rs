//! Panics.

use wharfinger_guests::{Error, Guest, Outcome};

struct Traps;

impl Guest for Traps {
    fn check(_config: String) -> Result<Vec<Outcome>, Error> {
        panic!("the pigeon has no seventh letter");
    }
}

wharfinger_guests::export!(Traps);
