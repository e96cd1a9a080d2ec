//! Why work inside a transaction stops: the store failed, or the operation is refused.
//!
//! Either way the transaction is dropped and nothing of it is kept.

use super::DbError;

/// The store failed, or holds what it cannot hold.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The database file.
    #[error("the database failed")]
    Database(#[source] Box<redb::Error>),
    /// A row that cannot be read or written.
    #[error("{action} a row")]
    Row {
        /// What was being done.
        action: &'static str,
        /// Why it failed.
        source: postcard::Error,
    },
    /// Rows that contradict each other.
    #[error("the store contradicts itself: {0}")]
    Broken(&'static str),
    /// A store of another version.
    #[error("the store has layout {0}, which is newer than this program: start a newer version")]
    Newer(u128),
    /// The work in a transaction did not come to an end.
    #[error("the operation panicked")]
    Panicked,
    /// The last handle was dropped before it was done.
    #[error("the store is closed")]
    Closed,
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Database(Box::new(error.into()))
    }
}

/// Why a transaction is given up.
#[derive(Debug)]
pub(super) enum Stop<E> {
    /// The store failed.
    Fault(Fault),
    /// The operation is refused.
    Refused(E),
}

impl<E> From<Fault> for Stop<E> {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl<E> From<redb::StorageError> for Stop<E> {
    fn from(error: redb::StorageError) -> Self {
        Self::Fault(error.into())
    }
}

impl<E: From<DbError>> Stop<E> {
    /// As the caller is told.
    pub(super) fn into_error(self, operation: &'static str) -> E {
        match self {
            Self::Fault(fault) => DbError { operation, source: Box::new(fault) }.into(),
            Self::Refused(error) => error,
        }
    }
}
