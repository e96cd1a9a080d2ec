//! The filters of templates: a fixed set, each making at most a little more than it is given.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::Known;

/// One step after a `|`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::egress) enum Filter {
    Upper,
    Lower,
    /// What stands before the first occurrence; all of it where there is none.
    Before(String),
    /// What stands after the first occurrence; nothing where there is none.
    After(String),
    /// Takes the place of a value that is missing or empty.
    Default(String),
    Base64,
}

impl Filter {
    /// The filter of this name, with its argument if it takes one.
    pub(super) fn new(name: &str, argument: Option<String>) -> Option<Self> {
        match (name, argument) {
            ("upper", None) => Some(Self::Upper),
            ("lower", None) => Some(Self::Lower),
            ("b64", None) => Some(Self::Base64),
            ("before", Some(mark)) if !mark.is_empty() => Some(Self::Before(mark)),
            ("after", Some(mark)) if !mark.is_empty() => Some(Self::After(mark)),
            ("default", Some(text)) => Some(Self::Default(text)),
            _ => None,
        }
    }

    pub(super) fn apply(&self, value: Option<Known>) -> Option<Known> {
        if let Self::Default(text) = self {
            return match value {
                Some(v) if !v.text.is_empty() => Some(v),
                _ => Some(Known { text: Zeroizing::new(text.clone()), secret: false }),
            };
        }
        let Known { text, secret } = value?;
        let text = Zeroizing::new(match self {
            Self::Upper => text.to_uppercase(),
            Self::Lower => text.to_lowercase(),
            Self::Before(mark) => text.split_once(mark.as_str()).map_or(text.as_str(), |(head, _)| head).to_owned(),
            Self::After(mark) => text.split_once(mark.as_str()).map_or("", |(_, tail)| tail).to_owned(),
            Self::Base64 => STANDARD.encode(text.as_bytes()),
            Self::Default(_) => return Some(Known { text, secret }),
        });
        Some(Known { text, secret })
    }
}
