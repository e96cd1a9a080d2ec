//! Registered accounts and their sealed secrets.

use jiff::Timestamp;
use serde_json::Value;

use super::{Db, DbError};
use crate::model::{
    connection::{Actor, Address, Connection, ConnectionOptions, Sealed},
    id::ConnectionId,
    job::Job,
    name::{ConnectionKey, Technology},
    settings::SettingsChange,
    sight::Sight,
};

/// What is needed to register an account.
#[derive(Clone, Debug)]
pub struct NewConnection {
    /// Made by the caller, because the secrets are sealed for it.
    pub id: ConnectionId,
    /// Unique display name.
    pub key: ConnectionKey,
    /// Which connector serves it.
    pub technology: Technology,
    /// Configuration without secrets.
    pub config: Value,
    /// Secrets under the master key.
    pub secrets: Sealed,
    /// Where it connects to.
    pub address: Address,
    /// What tells the account from others.
    pub identity: Option<String>,
    /// A top-level name that is never listed.
    pub host_managed: Option<String>,
    /// Chosen behaviour.
    pub options: ConnectionOptions,
    /// First settings of the connection's object.
    pub settings: SettingsChange,
    /// Who registers it.
    pub by: Actor,
}

/// Why an account was not registered or changed. Nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// No such connection.
    #[error("there is no such connection")]
    NotFound,
    /// The display name is taken.
    #[error("a connection of that name exists")]
    KeyTaken,
    /// Another connection has the same technology, host name and port.
    #[error("connection {0} has the same host name and port")]
    AddressTaken(ConnectionKey),
    /// Another connection of the technology reaches the same account.
    #[error("connection {0} reaches the same account")]
    IdentityTaken(ConnectionKey),
    /// The update would reach another account.
    #[error("the credentials belong to another account than the one that is registered")]
    IdentityChanged,
    /// Somebody else was faster.
    #[error("the connection was changed meanwhile: it is at revision {0}")]
    Revision(u64),
    /// The store failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// What an update replaces.
#[derive(Clone, Debug)]
pub struct ConnectionUpdate {
    /// Configuration without secrets.
    pub config: Value,
    /// Secrets under the master key: all of them.
    pub secrets: Sealed,
    /// Where it connects to.
    pub address: Address,
    /// What the check said; none leaves what is known.
    pub identity: Option<String>,
    /// A top-level name that is never listed.
    pub host_managed: Option<String>,
    /// Chosen behaviour.
    pub options: ConnectionOptions,
    /// Who changes it.
    pub by: Actor,
}

impl Db {
    /// Registers an account and queues its first sync, in one transaction.
    pub async fn create_connection(
        &self,
        _new: NewConnection,
        _now: Timestamp,
    ) -> Result<(Connection, Job), ConnectionError> {
        unimplemented!()
    }

    /// Replaces what can be changed, if the connection is still at `revision` (where given).
    pub async fn update_connection(
        &self,
        _id: ConnectionId,
        _update: ConnectionUpdate,
        _revision: Option<u64>,
        _now: Timestamp,
    ) -> Result<Connection, ConnectionError> {
        unimplemented!()
    }

    /// The connections of which the caller may see anything, by key.
    pub async fn connections(&self, _sight: &Sight) -> Result<Vec<Connection>, DbError> {
        unimplemented!()
    }

    /// A connection by its key, if the caller may see anything of it.
    pub async fn connection_by_key(&self, _sight: &Sight, _key: &ConnectionKey) -> Result<Option<Connection>, DbError> {
        unimplemented!()
    }

    /// A connection by its id, for work the host does itself.
    pub async fn connection(&self, _id: ConnectionId) -> Result<Option<Connection>, DbError> {
        unimplemented!()
    }

    /// The secrets of a connection.
    pub async fn sealed_secrets(&self, _id: ConnectionId) -> Result<Option<Sealed>, DbError> {
        unimplemented!()
    }
}
