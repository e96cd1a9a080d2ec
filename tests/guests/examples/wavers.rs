//! Describes itself differently every time.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
};

use wharfinger_guests::{DESCRIPTOR, Guest};

struct Wavers;

impl Guest for Wavers {
    fn describe() -> String {
        // The keys of a hasher are random.
        let chosen = RandomState::new().build_hasher().finish();
        DESCRIPTOR.replace("A guest of the tests", &format!("Guest {chosen}"))
    }
}

wharfinger_guests::export!(Wavers);
