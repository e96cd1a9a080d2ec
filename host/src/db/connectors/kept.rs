//! The configuration that belongs to a version: kept when it is changed under a newer one, and back with it.
//!
//! Only what the connector understands is kept: configuration, address and secrets, which belong together (D42). Options are
//! the host's own and stay as people chose them.

use jiff::Timestamp;
use redb::ReadableTable as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    super::{
        Db, DbError,
        changes::{self, Commit, Noted},
        connections,
        fault::{Fault, Stop},
        queue,
        records::{ConnectionRow, decode, encode},
        tables::{ReadRows, Rows, WriteRows},
    },
    ConnectorError, of_technology, pin, tell,
};
use crate::model::{
    connection::{Address, Connection, Sealed},
    connector::Installed,
    diff::What,
    id::ConnectionId,
    name::Technology,
};

/// A configuration as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::db) struct KeptRow {
    /// JSON.
    config: String,
    address: Address,
    host_managed: Option<String>,
    secrets: Sealed,
    /// The connection's.
    revision: u64,
}

/// A connection whose configuration comes back with a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restore {
    /// Which.
    pub connection: ConnectionId,
    /// At which revision it was found not to fit.
    pub revision: u64,
}

impl Db {
    /// Connections for which a configuration of a version is kept.
    pub async fn kept_for(&self, technology: &Technology, version: &str) -> Result<Vec<ConnectionId>, DbError> {
        let (technology, version) = (technology.clone(), version.to_owned());
        self.read("look for kept configurations", move |rows: &ReadRows| Ok(kept_for(rows, &technology, &version)?))
            .await
    }
}

/// Keeps what a connection has, where an update under this version is the first: for the version before it.
pub(in crate::db) fn keep(rows: &mut WriteRows<'_>, connection: &Connection) -> Result<(), Fault> {
    let id = connection.id.as_u128();
    let Some(connector) = of_technology(rows, &connection.technology)? else { return Ok(()) };
    let pinned = pin(rows, id)?;
    let Some(before) = connector.before(connection.id, pinned.as_deref()) else { return Ok(()) };
    if rows.kept_configs.get((id, before))?.is_some() {
        return Ok(());
    }
    let Some(secrets) = rows.secrets.get(id)?.map(|row| Sealed(row.value().to_vec())) else { return Ok(()) };
    let row = KeptRow {
        config: connection.config.to_string(),
        address: connection.address.clone(),
        host_managed: connection.host_managed.clone(),
        secrets,
        revision: connection.revision,
    };
    rows.kept_configs.insert((id, before), encode(&row)?.as_slice())?;
    Ok(())
}

/// Secrets that were replaced are also those that are kept, where they are the same: the platform takes the old ones no more.
pub(in crate::db) fn replaced(
    rows: &mut WriteRows<'_>,
    connection: u128,
    was: &Sealed,
    new: &Sealed,
) -> Result<(), Fault> {
    for (version, mut row) in of_connection(rows, connection)? {
        if row.secrets == *was {
            row.secrets = new.clone();
            rows.kept_configs.insert((connection, version.as_str()), encode(&row)?.as_slice())?;
        }
    }
    Ok(())
}

/// What is noted about a connection goes with it.
pub(in crate::db) fn forget(rows: &mut WriteRows<'_>, connection: u128) -> Result<(), Fault> {
    rows.pins.remove(connection)?;
    for (version, _) in of_connection(rows, connection)? {
        rows.kept_configs.remove((connection, version.as_str()))?;
    }
    Ok(())
}

fn of_connection(rows: &impl Rows, connection: u128) -> Result<Vec<(String, KeptRow)>, Fault> {
    let mut found = Vec::new();
    for row in rows.kept_configs().range((connection, "")..)? {
        let (key, row) = row?;
        if key.value().0 != connection {
            break;
        }
        found.push((key.value().1.to_owned(), decode(row.value())?));
    }
    Ok(found)
}

fn kept_for(rows: &impl Rows, technology: &Technology, version: &str) -> Result<Vec<ConnectionId>, Fault> {
    let mut found = Vec::new();
    for row in rows.kept_configs().iter()? {
        let (key, _) = row?;
        let (connection, of) = key.value();
        if of == version && connections::setup(rows, connection)?.is_some_and(|(found, _)| found == *technology) {
            found.push(ConnectionId::from_u128(connection));
        }
    }
    Ok(found)
}

/// Drops what is kept for a version.
pub(super) fn drop_of(rows: &mut WriteRows<'_>, technology: &Technology, version: &str) -> Result<(), Fault> {
    for connection in kept_for(rows, technology, version)? {
        rows.kept_configs.remove((connection.as_u128(), version))?;
    }
    Ok(())
}

/// Puts what is kept for a version in the place of what a connection has. Another connection may have taken the address
/// meanwhile: then what somebody stored stays, and an entry says so.
pub(super) fn bring_back(
    rows: &mut WriteRows<'_>,
    connector: &Installed,
    version: &str,
    which: &Restore,
    now: Timestamp,
) -> Result<(), Stop<ConnectorError>> {
    let id = which.connection.as_u128();
    let (Some(mut connection), Some(row)) =
        (connections::connection(rows, id)?, rows.kept_configs.get((id, version))?.map(|row| row.value().to_vec()))
    else {
        return Ok(());
    };
    if connection.revision != which.revision {
        return Err(Stop::Refused(ConnectorError::ConnectionChanged));
    }
    let kept: KeptRow = decode(&row)?;
    let name = &connector.name;
    let technology = &connection.technology;
    if connections::unique(rows, Some(id), technology, &kept.address, connection.identity.as_deref()).is_err() {
        let message = format!(
            "the configuration of connection {} from before does not come back with {name} {version}: another connection has its address",
            connection.key
        );
        return Ok(tell(rows, None, "connector.restore", name, message, now)?);
    }
    let config: Value =
        serde_json::from_str(&kept.config).map_err(|_| Fault::Broken("a kept configuration is no JSON"))?;
    let noted = vec![Noted::new(id, What::Configured(connections::fields_that_differ(&connection.config, &config)))];
    (connection.config, connection.address, connection.host_managed) = (config, kept.address, kept.host_managed);
    connection.revision += 1;
    connection.updated_at = now;
    rows.secrets.insert(id, kept.secrets.0.as_slice())?;
    rows.connections.insert(id, encode(&ConnectionRow::from(connection.clone()))?.as_slice())?;
    rows.kept_configs.remove((id, version))?;
    let sequence = queue::next_commit(rows)?;
    changes::append(rows, Commit { connection: id, sequence, job: None, by: None, now }, noted)?;
    queue::begin_again(rows, id)?;
    let message = format!(
        "the configuration of connection {} is that of its revision {} again, which {name} {version} understands",
        connection.key, kept.revision
    );
    Ok(tell(rows, None, "connector.restore", name, message, now)?)
}
