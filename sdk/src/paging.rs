//! Page tokens of platforms, with a guard against one that comes again.
//!
//! A platform that repeats a token would be listed for ever. The guard is small enough to stand in a cursor, and so it
//! sees loops of any length across calls, crashes and versions (Brent's method: the token kept for comparison moves up
//! at every power of two).

use serde::{Deserialize, Serialize};

use crate::Error;

/// Tells whether a sequence of tokens has begun to repeat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    kept: u64,
    steps: u64,
    limit: u64,
}

impl Guard {
    /// Reads the token of an answer: absent, null and empty end the listing. An error says that it came before.
    pub fn next(&mut self, token: Option<&str>) -> Result<Option<String>, Error> {
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
        let hash = fnv1a(token.as_bytes());
        if self.limit > 0 && hash == self.kept {
            return Err(Error::unavailable("The platform gave the same page token twice: its listing never ends.")
                .detail(token.chars().take(200).collect::<String>()));
        }
        self.steps += 1;
        if self.steps >= self.limit {
            *self = Self { kept: hash, steps: 0, limit: (self.limit * 2).max(1) };
        }
        Ok(Some(token.to_owned()))
    }
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_of_any_length_is_seen() {
        for (lead, length) in [(0, 1), (0, 2), (3, 1), (5, 7), (100, 33)] {
            let mut guard = Guard::default();
            let mut seen = 0;
            let looped = (0..10_000).find_map(|i| {
                let token = if i < lead { i } else { lead + (i - lead) % length };
                seen = i;
                guard.next(Some(&token.to_string())).err()
            });
            assert!(looped.is_some(), "{lead} {length}");
            assert!(seen <= 4 * (lead + length) + 2, "{lead} {length}: seen after {seen}");
        }
    }

    #[test]
    fn a_listing_that_ends_is_left_alone() {
        let mut guard = Guard::default();
        for i in 0..5_000 {
            assert_eq!(guard.next(Some(&i.to_string())), Ok(Some(i.to_string())));
        }
        assert_eq!(guard.next(None), Ok(None));
        assert_eq!(guard.next(Some("")), Ok(None));
    }
}
