//! How an answer of this platform can be odd without being an error.

use serde::{Deserialize, Serialize};

/// How a page of a listing can be odd without being an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Twist {
    /// No items, but a token that leads on to the same place.
    EmptyPage,
    /// The token that was sent comes back, for ever.
    RepeatToken,
    /// Neither list nor token: an empty object.
    NoListKey,
    /// Tables without `columns`.
    NoColumns,
    /// Enum values nobody has heard of.
    UnknownEnums,
}
