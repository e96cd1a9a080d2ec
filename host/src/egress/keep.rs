//! Keeping what a platform puts in the place of a stored secret: refresh tokens that are good for one use.
//!
//! The store is not known here. Whoever composes the host gives a [`Keep`]; what it is asked to keep must be durable
//! when it answers, because the one before is dead by then.

use std::fmt;

use futures_util::future::BoxFuture;
use zeroize::Zeroizing;

use super::vault::Secrets;
use crate::model::id::ConnectionId;

/// The stored secrets of registered connections, as far as their sessions may see and replace them.
pub trait Keep: Send + Sync {
    /// The secrets of a connection that is still at this revision; none where it is not, or they cannot be read.
    fn current(&self, connection: ConnectionId, revision: u64) -> BoxFuture<'_, Option<Secrets>>;

    /// Puts a secret in the place of another, durably, in one transaction, without changing the revision.
    fn replace(&self, rotation: Rotation) -> BoxFuture<'_, Result<Kept, NotKept>>;
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
