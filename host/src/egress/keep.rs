//! Keeping what a platform puts in the place of a stored secret: refresh tokens that are good for one use.
//!
//! The store is not known here. Whoever composes the host gives a [`Keep`]; what it is asked to keep must be durable
//! when it answers, because the one before is dead by then.

use std::{collections::BTreeMap, fmt};

use futures_util::future::BoxFuture;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{context::property, vault::Secrets};
use crate::model::{connection::Address, id::ConnectionId};

/// The stored secrets of registered connections, as far as their sessions may see and replace them.
pub trait Keep: Send + Sync {
    /// The secrets of a connection that still goes to these places; none where it does not, is gone, or its secrets no
    /// longer open.
    fn current<'a>(
        &'a self,
        connection: ConnectionId,
        places: &'a Destination,
    ) -> BoxFuture<'a, Result<Option<Secrets>, NotKept>>;

    /// Puts a secret in the place of another, durably, in one transaction, without changing the revision.
    fn replace(&self, rotation: Rotation) -> BoxFuture<'_, Result<Kept, NotKept>>;
}

/// Where a connection's secrets go. Those that are stored for other places are not for this session (D42), whatever
/// else has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    address: Address,
    /// Properties from which further host names are made, with their values.
    hosts: BTreeMap<String, Option<String>>,
}

impl Destination {
    /// What an address and these properties of a configuration come to.
    #[must_use]
    pub fn of(address: &Address, config: &Value, names: impl IntoIterator<Item = String>) -> Self {
        let value = |name: String| {
            let value = property(config, &name);
            (name, value)
        };
        Self { address: address.clone(), hosts: names.into_iter().map(value).collect() }
    }

    /// Whether a connection with this address and configuration goes to the same places.
    #[must_use]
    pub fn is_of(&self, address: &Address, config: &Value) -> bool {
        self.address == *address && self.hosts.iter().all(|(name, value)| property(config, name) == *value)
    }
}

/// One secret in the place of another.
#[derive(Clone)]
pub struct Rotation {
    /// Whose.
    pub connection: ConnectionId,
    /// Dotted path of the secret.
    pub property: String,
    /// What must still be stored.
    pub was: Option<Zeroizing<String>>,
    /// What takes its place.
    pub new: Zeroizing<String>,
    /// Where both of them go: what is kept for other places is not theirs.
    pub places: Destination,
}

/// What became of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is stored.
    Stored,
    /// It is not: the connection is gone, or somebody has stored another secret meanwhile.
    Superseded,
}

/// The store failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotKept(pub String);

impl fmt::Debug for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rotation({} of {})", self.property, self.connection)
    }
}
