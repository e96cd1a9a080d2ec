//! Takes memory until none is left.

use std::hint::black_box;

use wharfinger_guests::{Error, Guest, Outcome};

struct Grows;

impl Guest for Grows {
    fn check(_config: String) -> Result<Vec<Outcome>, Error> {
        let mut hoard = Vec::new();
        loop {
            hoard.push(black_box(vec![1_u8; 1 << 20]));
        }
    }
}

wharfinger_guests::export!(Grows);
