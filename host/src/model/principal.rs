//! Who may call the API, and what for.

use serde::{Deserialize, Serialize};

use super::{connection::Actor, id::PrincipalId, sight::Sight};

/// A global permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Permission {
    /// Registers and removes connections, installs connectors.
    ApplicationAdmin,
    /// Manages every object.
    Governance,
    /// Registers single data sources, in the legacy way.
    CreateDataSource,
    /// Manages users and their keys.
    UserAdmin,
}

/// Somebody with an API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Who.
    pub id: PrincipalId,
    /// Display name.
    pub name: String,
    /// Address, where there is one.
    pub email: Option<String>,
    /// Global permissions.
    pub permissions: Vec<Permission>,
    /// What of the inventory is seen.
    pub sight: Sight,
}

impl Principal {
    /// As creators and updaters are shown.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor { id: self.id, name: self.name.clone(), email: self.email.clone() }
    }
}
