//! Ends its process, which is not there.

use wharfinger_guests::{Error, Guest, Outcome};

struct Exits;

impl Guest for Exits {
    fn check(_config: String) -> Result<Vec<Outcome>, Error> {
        #[allow(clippy::disallowed_methods, reason = "what it is here for")]
        std::process::exit(3);
    }
}

wharfinger_guests::export!(Exits);
