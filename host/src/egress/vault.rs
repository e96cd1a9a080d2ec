//! Secrets at rest: sealed under the master key, bound to their connection.

use std::{collections::BTreeMap, fmt};

use zeroize::Zeroizing;

use crate::model::{connection::Sealed, id::ConnectionId};

/// The secrets of a connection, by their path in the payload (`oAuthClientConfig.clientSecret`). Shown to nobody.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(pub BTreeMap<String, Zeroizing<String>>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} values)", self.0.len())
    }
}

/// Seals and opens secrets.
pub struct Vault {}

/// Sealed secrets that do not open: another master key, another connection, or a damaged row.
#[derive(Debug, thiserror::Error)]
#[error(
    "the stored credentials do not open with this master key: restore the key they were sealed with, or enter them again"
)]
pub struct Unsealable;

impl Vault {
    /// A vault with this master key.
    #[must_use]
    pub fn new(_master_key: &[u8; 32]) -> Self {
        unimplemented!()
    }

    /// Seals the secrets of a connection, and of no other.
    #[must_use]
    pub fn seal(&self, _connection: ConnectionId, _secrets: &Secrets) -> Sealed {
        unimplemented!()
    }

    /// Opens them again.
    pub fn open(&self, _connection: ConnectionId, _sealed: &Sealed) -> Result<Secrets, Unsealable> {
        unimplemented!()
    }
}
