//! Describes itself as nothing that could be read.

use wharfinger_guests::Guest;

struct Lies;

impl Guest for Lies {
    fn describe() -> String {
        "Trust me, I am a connector.".into()
    }
}

wharfinger_guests::export!(Lies);
