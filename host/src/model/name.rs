//! Names: of objects, connections and technologies. Compared exactly, never folded or normalised (D35).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Longest name of anything, in characters (D35).
pub const MAX_NAME_CHARS: usize = 255;

/// A name that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing in it.
    #[error("is empty")]
    Empty,
    /// More than [`MAX_NAME_CHARS`] characters.
    #[error("has {0} characters; at most 255 are allowed")]
    TooLong(usize),
    /// Control characters in a name that people type.
    #[error("contains a control character")]
    Control,
    /// A space at one of its ends.
    #[error("begins or ends with a space")]
    OuterSpace,
    /// `.` or `..`, or a word that the URLs of the API use.
    #[error("is reserved; choose another")]
    Reserved,
}

/// One segment of an object path: a name as the platform spells it, 1 to 255 characters, any of them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ident(String);

/// The display name of a connection: unique, immutable, first segment of every path below it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConnectionKey(String);

/// The platform kind that a connector serves. Open: whatever an installed connector says of itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Technology(String);

/// Keys that would hide a route or a word of the API.
const RESERVED_KEYS: [&str; 11] = [
    "data",
    "connection",
    "object",
    "crawl",
    "search",
    "settings",
    "metadata",
    "permission",
    "sync",
    "bulk",
    "upgrade",
];

fn bounded(text: &str) -> Result<(), InvalidName> {
    if text.is_empty() {
        return Err(InvalidName::Empty);
    }
    // Bytes first: a 10 MB name is not counted character by character.
    if text.len() > MAX_NAME_CHARS * 4 {
        return Err(InvalidName::TooLong(text.len()));
    }
    match text.chars().count() {
        n if n > MAX_NAME_CHARS => Err(InvalidName::TooLong(n)),
        _ => Ok(()),
    }
}

fn typed_by_people(text: &str) -> Result<(), InvalidName> {
    bounded(text)?;
    if text.chars().any(char::is_control) {
        return Err(InvalidName::Control);
    }
    if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
        return Err(InvalidName::OuterSpace);
    }
    Ok(())
}

fn key(text: &str) -> Result<(), InvalidName> {
    typed_by_people(text)?;
    if text == "." || text == ".." || RESERVED_KEYS.contains(&text) {
        return Err(InvalidName::Reserved);
    }
    Ok(())
}

impl From<ConnectionKey> for Ident {
    fn from(key: ConnectionKey) -> Self {
        // A key is a stricter name: the door of `Ident` would let it in.
        Self(key.0)
    }
}

macro_rules! text {
    ($name:ident, $check:ident) => {
        impl $name {
            /// The name as it is written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                $check(&text)?;
                Ok(Self(text))
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                $check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

text!(Ident, bounded);
text!(ConnectionKey, key);
text!(Technology, typed_by_people);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_may_name_things_as_it_likes() {
        for name in ["a.b", "a/b", "\"", "'", "%2F", " ", "\u{0}", "\u{202e}evil", "👾", &"ä".repeat(255)] {
            assert!(name.parse::<Ident>().is_ok(), "{name:?}");
        }
        assert_eq!("".parse::<Ident>(), Err(InvalidName::Empty));
        assert_eq!("x".repeat(256).parse::<Ident>(), Err(InvalidName::TooLong(256)));
    }

    #[test]
    fn a_key_that_hides_a_route_is_refused() {
        for (key, why) in [
            ("", InvalidName::Empty),
            ("search", InvalidName::Reserved),
            ("..", InvalidName::Reserved),
            (" a", InvalidName::OuterSpace),
            ("a\n", InvalidName::Control),
        ] {
            assert_eq!(key.parse::<ConnectionKey>(), Err(why), "{key:?}");
        }
        for key in ["My Connection", "a/b.c", "Search", "'; DROP"] {
            assert!(key.parse::<ConnectionKey>().is_ok(), "{key:?}");
        }
    }
}
