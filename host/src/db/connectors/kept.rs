//! The configuration that belongs to a version: kept when it is changed under another one, and back with it.
//!
//! Only what the connector understands is kept: configuration, address and secrets, which belong together (D42). Options are
//! the host's own and stay as people chose them. Which secrets come back is found out where they can be opened
//! (`registry/restore.rs`); here it is compared with what is stored by then, and done in the transaction that changes who
//! serves whom: a crash leaves all of it or nothing.

use std::collections::BTreeSet;

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

/// Secrets in the place of those kept for a version.
#[derive(Clone, Debug)]
pub struct KeptSecrets {
    /// For which.
    pub version: String,
    /// What must still be kept.
    pub was: Sealed,
    /// What takes their place.
    pub new: Sealed,
}

/// A configuration that is kept for a version.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptConfig {
    /// For which.
    pub version: String,
    /// Without secrets.
    pub config: Value,
    /// Where it connects to.
    pub address: Address,
    /// Its secrets, under the master key.
    pub secrets: Sealed,
}

/// A connection with what is kept for it, as all of it stood at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct WithKept {
    /// As it is.
    pub connection: Connection,
    /// Its secrets, under the master key.
    pub secrets: Sealed,
    /// What is kept.
    pub kept: Vec<KeptConfig>,
}

/// What was found out about a connection that another version is to serve, and for which something is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Restore {
    /// Which.
    pub connection: ConnectionId,
    /// At which revision it was looked at.
    pub revision: u64,
    /// The version that is to serve it.
    pub to: String,
    /// What takes the place of what it has; none: what it has fits, or nothing that is kept does.
    pub back: Option<Back>,
    /// Whether the version could not be asked: nothing comes back, and what is kept stays so.
    pub unknown: bool,
}

/// A kept configuration that comes back, with secrets that were put together where they can be opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Back {
    /// The version for which it is kept.
    pub of: String,
    /// The secrets kept with it, as they were then.
    pub kept: Sealed,
    /// The connection's secrets, as they were then.
    pub were: Sealed,
    /// The connection's secrets from now on.
    pub secrets: Sealed,
}

impl Db {
    /// The connections of a technology for which configurations are kept.
    pub async fn kept(&self, technology: &Technology) -> Result<Vec<WithKept>, DbError> {
        let technology = technology.clone();
        self.read("look for kept configurations", move |rows: &ReadRows| {
            let mut found = Vec::new();
            for id in with_kept(rows, &technology)? {
                found.extend(one_with_kept(rows, id)?);
            }
            Ok(found)
        })
        .await
    }

    /// A connection with what is kept for it, which may be nothing.
    pub async fn connection_with_kept(&self, id: ConnectionId) -> Result<Option<WithKept>, DbError> {
        self.read("read what is kept for a connection", move |rows: &ReadRows| Ok(one_with_kept(rows, id.as_u128())?))
            .await
    }
}

fn one_with_kept(rows: &impl Rows, id: u128) -> Result<Option<WithKept>, Fault> {
    let Some(connection) = connections::connection(rows, id)? else { return Ok(None) };
    let Some(secrets) = rows.secrets().get(id)?.map(|row| Sealed(row.value().to_vec())) else { return Ok(None) };
    let kept = of_connection(rows, id)?.into_iter().map(|(version, row)| {
        let KeptRow { config, address, secrets, .. } = row;
        Ok(KeptConfig { version, config: parsed(&config)?, address, secrets })
    });
    Ok(Some(WithKept { connection, secrets, kept: kept.collect::<Result<_, Fault>>()? }))
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
    put(rows, connection, before)
}

/// Keeps what a connection has for a version.
fn put(rows: &mut WriteRows<'_>, connection: &Connection, version: &str) -> Result<(), Fault> {
    let id = connection.id.as_u128();
    let Some(secrets) = rows.secrets.get(id)?.map(|row| Sealed(row.value().to_vec())) else { return Ok(()) };
    let row = KeptRow {
        config: connection.config.to_string(),
        address: connection.address.clone(),
        host_managed: connection.host_managed.clone(),
        secrets,
        revision: connection.revision,
    };
    rows.kept_configs.insert((id, version), encode(&row)?.as_slice())?;
    Ok(())
}

/// Puts secrets in the place of those kept for versions, if each still has those. Whether it was done.
pub(in crate::db) fn replace_kept(
    rows: &mut WriteRows<'_>,
    connection: u128,
    replaced: &[KeptSecrets],
) -> Result<bool, Fault> {
    let mut kept = of_connection(rows, connection)?;
    for KeptSecrets { version, was, new } in replaced {
        match kept.iter_mut().find(|(of, row)| of == version && row.secrets == *was) {
            Some((_, row)) => row.secrets = new.clone(),
            None => return Ok(false),
        }
    }
    for (version, row) in kept.iter().filter(|(of, _)| replaced.iter().any(|one| one.version == *of)) {
        rows.kept_configs.insert((connection, version.as_str()), encode(row)?.as_slice())?;
    }
    Ok(true)
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

/// Connections of a technology for which anything is kept.
fn with_kept(rows: &impl Rows, technology: &Technology) -> Result<BTreeSet<u128>, Fault> {
    let mut found = BTreeSet::new();
    for row in rows.kept_configs().iter()? {
        let id = row?.0.value().0;
        if !found.contains(&id) && connections::setup(rows, id)?.is_some_and(|(found, _)| found == *technology) {
            found.insert(id);
        }
    }
    Ok(found)
}

/// Drops what is kept for a version.
pub(super) fn drop_of(rows: &mut WriteRows<'_>, technology: &Technology, version: &str) -> Result<(), Fault> {
    for connection in with_kept(rows, technology)? {
        rows.kept_configs.remove((connection, version))?;
    }
    Ok(())
}

/// After who serves whom has changed: for each connection that another version serves now, what was found to come back
/// does, and what it takes the place of is kept for the version that gave way. What is kept for the one that serves from now
/// on goes: where what the connection has fits, that is what people change from here, and nothing older may come back some
/// day. The caller has looked at each of them in this state, or nothing is done.
pub(super) fn follow(
    rows: &mut WriteRows<'_>,
    before: &Installed,
    after: &Installed,
    found: &[Restore],
    now: Timestamp,
) -> Result<(), Stop<ConnectorError>> {
    for key in with_kept(rows, &after.technology)? {
        let id = ConnectionId::from_u128(key);
        let pinned = pin(rows, key)?;
        let serving = |connector: &Installed| connector.serving(id, pinned.as_deref()).map(str::to_owned);
        let (Some(from), Some(to)) = (serving(before), serving(after)) else { continue };
        if from == to {
            continue;
        }
        let connection = connections::connection(rows, key)?;
        let looked_at = |found: &&Restore| {
            found.connection == id
                && found.to == to
                && connection.as_ref().is_some_and(|c| c.revision == found.revision)
        };
        let Some(found) = found.iter().find(looked_at) else {
            return Err(Stop::Refused(ConnectorError::ConnectionChanged));
        };
        if found.unknown {
            continue;
        }
        let is_back = match (&found.back, connection) {
            (Some(back), Some(connection)) => bring_back(rows, connection, (&after.name, &from, &to), back, now)?,
            _ => false,
        };
        if !is_back {
            // From an earlier time: this one did not begin with it.
            rows.kept_configs.remove((key, from.as_str()))?;
        }
        rows.kept_configs.remove((key, to.as_str()))?;
    }
    Ok(())
}

/// Puts what is kept in the place of what a connection has, and keeps that. Another connection may have taken the address
/// meanwhile: then what somebody stored stays, and an entry says so. Whether it is back.
fn bring_back(
    rows: &mut WriteRows<'_>,
    mut connection: Connection,
    (name, from, to): (&str, &str, &str),
    back: &Back,
    now: Timestamp,
) -> Result<bool, Stop<ConnectorError>> {
    let id = connection.id.as_u128();
    let changed = || Stop::Refused(ConnectorError::ConnectionChanged);
    let row = rows.kept_configs.get((id, back.of.as_str()))?.map(|row| row.value().to_vec()).ok_or_else(changed)?;
    let kept: KeptRow = decode(&row)?;
    let is_as_read = rows.secrets.get(id)?.is_some_and(|row| row.value() == back.were.0.as_slice());
    if kept.secrets != back.kept || !is_as_read {
        return Err(changed());
    }
    let technology = &connection.technology;
    if connections::unique(rows, Some(id), technology, &kept.address, connection.identity.as_deref()).is_err() {
        let message = format!(
            "the configuration of connection {} from before does not come back with {name} {to}: another connection has its address",
            connection.key
        );
        tell(rows, None, "connector.restore", name, message, now)?;
        return Ok(false);
    }
    rows.kept_configs.remove((id, back.of.as_str()))?;
    put(rows, &connection, from)?;
    let config = parsed(&kept.config)?;
    let mut noted =
        vec![Noted::new(id, What::Configured(connections::fields_that_differ(&connection.config, &config)))];
    if let Some(name) = kept.host_managed.as_ref().filter(|_| kept.host_managed != connection.host_managed) {
        noted.extend(connections::forget_host_managed(rows, id, name, now)?);
    }
    (connection.config, connection.address, connection.host_managed) = (config, kept.address, kept.host_managed);
    connection.revision += 1;
    connection.updated_at = now;
    rows.secrets.insert(id, back.secrets.0.as_slice())?;
    rows.connections.insert(id, encode(&ConnectionRow::from(connection.clone()))?.as_slice())?;
    let sequence = queue::next_commit(rows)?;
    changes::append(rows, Commit { connection: id, sequence, job: None, by: None, now }, noted)?;
    queue::begin_again(rows, id)?;
    let message = format!(
        "the configuration of connection {} is that of its revision {} again, which {name} {to} understands; what it had is kept for {from}",
        connection.key, kept.revision
    );
    tell(rows, None, "connector.restore", name, message, now)?;
    Ok(true)
}

fn parsed(config: &str) -> Result<Value, Fault> {
    serde_json::from_str(config).map_err(|_| Fault::Broken("a kept configuration is no JSON"))
}
