//! Computes for ever.

use std::hint::black_box;

use wharfinger_guests::{Error, Guest, Outcome};

struct Loops;

impl Guest for Loops {
    fn check(_config: String) -> Result<Vec<Outcome>, Error> {
        let mut count = 0_u64;
        loop {
            count = black_box(count.wrapping_add(1));
        }
    }
}

wharfinger_guests::export!(Loops);
