//! Which outcomes of a check stand in the way of a connection, and which only make it less useful.

use super::{CheckStatus, Outcome};

/// Capabilities without which there is no connection.
const ESSENTIAL: [&str; 4] = ["reach", "authenticate", "config", "configure"];

impl Outcome {
    /// Whether there is no connection without what was tried.
    #[must_use]
    pub fn is_essential(&self) -> bool {
        ESSENTIAL.contains(&self.capability.as_str())
    }

    /// Whether nothing works because of it. A missing right only leaves out what it is for.
    #[must_use]
    pub fn stands_in_the_way(&self) -> bool {
        self.status == CheckStatus::Failed && self.is_essential()
    }
}
