//! Registered accounts and their sealed secrets.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use redb::ReadableTable as _;

use super::{
    Db, DbError,
    changes::{self, Commit, Noted},
    connectors::{self, KeptSecrets},
    counters,
    fault::{Fault, Stop},
    holds, queue, reclaim,
    records::{ConnectionRow, ObjectRow, decode, encode, kind_number, micros},
    schedules,
    tables::{ReadRows, Rows, WriteRows},
    tree,
    view::Lens,
};
use crate::model::{
    connection::{Actor, Address, Connection, ConnectionOptions, Sealed},
    diff::What,
    filter::Filter,
    id::ConnectionId,
    job::{Job, Trigger},
    name::{ConnectionKey, Technology},
    object::Kind,
    path::{ObjectPath, RemotePath},
    settings::{Overrides, SettingsChange},
    sight::{Sight, Visible},
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
    /// The component that admitted it, by digest; none: whichever serves.
    pub admitted_by: Option<String>,
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
    /// Its secrets are no longer those that the new ones were made from.
    #[error("the connection's secrets were replaced meanwhile")]
    Secrets,
    /// Another version serves it than the one that admitted its configuration.
    #[error("another version of the connector took over meanwhile")]
    Served,
    /// It cannot be served by the version that it is to be pinned to.
    #[error("it cannot be pinned: {0}")]
    Pin(String),
    /// The store failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// What an update replaces.
#[derive(Clone, Debug)]
pub struct ConnectionUpdate {
    /// Configuration without secrets.
    pub config: Value,
    /// Secrets under the master key: all of them. None leaves what is stored.
    pub secrets: Option<Sealed>,
    /// What they were made from, where anything: a platform may replace one at any time, and that must not be lost.
    pub secrets_were: Option<Sealed>,
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
    /// The component that admitted the configuration, by digest; none where nothing was admitted.
    pub admitted_by: Option<String>,
}

impl Db {
    /// Registers an account and queues its first sync. One transaction: there is never a connection without its object,
    /// its secrets and its first job, nor any of them without the connection.
    pub async fn create_connection(
        &self,
        new: NewConnection,
        now: Timestamp,
    ) -> Result<(Connection, Job), ConnectionError> {
        let done = self.write("register a connection", move |rows| create(rows, new, now)).await?;
        self.ring();
        Ok(done)
    }

    /// Replaces what can be changed, if the connection is still at `revision` (where given). One transaction: secrets
    /// and configuration never come from two versions. Where its patterns may let in more than before, a sync of the whole
    /// connection is queued with it; what they leave out is left out at once, because that is computed on read.
    pub async fn update_connection(
        &self,
        id: ConnectionId,
        update: ConnectionUpdate,
        revision: Option<u64>,
        now: Timestamp,
    ) -> Result<(Connection, Option<Job>), ConnectionError> {
        let changed = self.write("change a connection", move |rows| replace(rows, id, update, revision, now)).await?;
        self.ring();
        Ok(changed)
    }

    /// Puts secrets in the place of others, also of those that are kept for versions, if all of them are still those. It is
    /// the same connection, at the same revision: what runs on it goes on. False where it is gone or one of them is another
    /// by now; then nothing is done.
    pub async fn replace_secrets(
        &self,
        id: ConnectionId,
        was: Sealed,
        new: Sealed,
        kept: Vec<KeptSecrets>,
    ) -> Result<bool, DbError> {
        let replaced = self.write("replace the secrets of a connection", move |rows: &mut WriteRows<'_>| {
            let key = id.as_u128();
            let same = rows.secrets.get(key)?.is_some_and(|row| row.value() == was.0.as_slice());
            if !same || !connectors::replace_kept(rows, key, &kept)? {
                return Ok(false);
            }
            rows.secrets.insert(key, new.0.as_slice())?;
            Ok::<_, Stop<DbError>>(true)
        });
        replaced.await
    }

    /// The connections of which the caller may see anything, by key.
    pub async fn connections(&self, sight: &Sight) -> Result<Vec<Connection>, DbError> {
        let sight = sight.clone();
        self.read("list connections", move |rows| {
            let lens = Lens::new(rows, &sight)?;
            let mut found = Vec::new();
            for row in rows.connection_keys.range::<&str>(..)? {
                let id = row?.1.value();
                if lens.visible(&[id]) != Visible::No {
                    found.extend(connection(rows, id)?);
                }
            }
            Ok(found)
        })
        .await
    }

    /// A connection by its key, if the caller may see anything of it.
    pub async fn connection_by_key(&self, sight: &Sight, key: &ConnectionKey) -> Result<Option<Connection>, DbError> {
        let (sight, key) = (sight.clone(), key.clone());
        self.read("find a connection", move |rows: &ReadRows| {
            let Some(id) = tree::connection_by_key(rows, key.as_str())? else { return Ok(None) };
            match Lens::new(rows, &sight)?.visible(&[id]) {
                Visible::No => Ok(None),
                Visible::Whole | Visible::OnPath => Ok(connection(rows, id)?),
            }
        })
        .await
    }

    /// A connection by its id, for work the host does itself.
    pub async fn connection(&self, id: ConnectionId) -> Result<Option<Connection>, DbError> {
        self.read("read a connection", move |rows| Ok(connection(rows, id.as_u128())?)).await
    }

    /// A connection and its secrets as they stood at one moment: secrets must never be used with the address of another
    /// version (D42).
    pub async fn connection_with_secrets(&self, id: ConnectionId) -> Result<Option<(Connection, Sealed)>, DbError> {
        let served = self.connection_as_served(id).await?;
        Ok(served.map(|(connection, sealed, _)| (connection, sealed)))
    }

    /// The same with the digest of the component that is to serve it, where one is installed: its configuration is one that
    /// this component takes.
    pub async fn connection_as_served(
        &self,
        id: ConnectionId,
    ) -> Result<Option<(Connection, Sealed, Option<String>)>, DbError> {
        self.read("read a connection and its secrets", move |rows: &ReadRows| {
            let Some(found) = connection(rows, id.as_u128())? else { return Ok(None) };
            let Some(row) = rows.secrets().get(id.as_u128())? else { return Ok(None) };
            let sealed = Sealed(row.value().to_vec());
            let digest = connectors::digest_of(rows, &found)?;
            Ok(Some((found, sealed, digest)))
        })
        .await
    }
}

/// A connection that is registered.
pub(super) fn connection(rows: &impl Rows, id: u128) -> Result<Option<Connection>, Fault> {
    match rows.connections().get(id)? {
        Some(row) => {
            let mut found = decode::<ConnectionRow>(row.value())?.connection(id)?;
            found.options.schedule = schedules::of(rows, id)?;
            found.options.hold = holds::rule(rows, id)?;
            found.options.pin = connectors::pin(rows, id)?;
            Ok(Some(found))
        }
        None => Ok(None),
    }
}

/// What every read of an object needs of its connection: the technology and the patterns.
pub(super) fn setup(rows: &impl Rows, id: u128) -> Result<Option<(Technology, Filter)>, Fault> {
    match rows.connections().get(id)? {
        Some(row) => {
            let row: ConnectionRow = decode(row.value())?;
            Ok(Some((row.technology, row.options.filter)))
        }
        None => Ok(None),
    }
}

/// The patterns of a connection; those of one that is gone leave nothing out.
pub(super) fn filter(rows: &impl Rows, id: u128) -> Result<Filter, Fault> {
    Ok(setup(rows, id)?.map(|(_, filter)| filter).unwrap_or_default())
}

/// Whether another connection of the technology has the address or reaches the account (D42).
pub(super) fn unique(
    rows: &impl Rows,
    own: Option<u128>,
    technology: &Technology,
    address: &Address,
    identity: Option<&str>,
) -> Result<(), Stop<ConnectionError>> {
    for row in rows.connections().iter()? {
        let (id, row) = row?;
        let other = decode::<ConnectionRow>(row.value())?.connection(id.value())?;
        if Some(id.value()) == own || other.technology != *technology {
            continue;
        }
        if (&other.address.hostname, other.address.port) == (&address.hostname, address.port) {
            return Err(Stop::Refused(ConnectionError::AddressTaken(other.key)));
        }
        if identity.is_some() && other.identity.as_deref() == identity {
            return Err(Stop::Refused(ConnectionError::IdentityTaken(other.key)));
        }
    }
    Ok(())
}

fn create(
    rows: &mut WriteRows<'_>,
    new: NewConnection,
    now: Timestamp,
) -> Result<(Connection, Job), Stop<ConnectionError>> {
    let id = new.id.as_u128();
    if tree::connection_by_key(rows, new.key.as_str())?.is_some() {
        return Err(Stop::Refused(ConnectionError::KeyTaken));
    }
    unique(rows, None, &new.technology, &new.address, new.identity.as_deref())?;
    let sequence = queue::next_commit(rows)?;
    let own = Overrides::default().after(&new.settings, sequence);
    if !own.is_empty() {
        rows.overrides.insert(id, encode(&own)?.as_slice())?;
    }
    rows.objects.insert(id, encode(&root_object(id, new.key.as_str(), sequence, micros(now)))?.as_slice())?;
    rows.connection_keys.insert(new.key.as_str(), id)?;
    rows.secrets.insert(id, new.secrets.0.as_slice())?;
    let connection = Connection {
        id: new.id,
        key: new.key,
        technology: new.technology,
        config: new.config,
        address: new.address,
        identity: new.identity,
        host_managed: new.host_managed,
        options: new.options,
        widened_at: None,
        revision: 1,
        created_by: new.by.clone(),
        updated_by: new.by,
        created_at: now,
        updated_at: now,
    };
    rows.connections.insert(id, encode(&ConnectionRow::from(connection.clone()))?.as_slice())?;
    let by = Some(connection.created_by.clone());
    let commit = Commit { connection: id, sequence, job: None, by, now };
    changes::append(rows, commit, vec![Noted::new(id, What::Added)])?;
    schedules::set(rows, id, &connection.options.schedule, now)?;
    holds::set_rule(rows, id, &connection.options.hold)?;
    set_pin(rows, &connection, connection.options.pin.as_deref())?;
    admitted_by(rows, &connection, new.admitted_by.as_deref())?;
    let job = queue::enqueue(rows, whole_sync(&connection, Trigger::Registration), now)?;
    Ok((connection, job))
}

/// Pins a version, or none.
fn set_pin(rows: &mut WriteRows<'_>, connection: &Connection, pin: Option<&str>) -> Result<(), Stop<ConnectionError>> {
    let set = connectors::set_pin(rows, connection.id.as_u128(), &connection.technology, pin)?;
    set.map_err(|why| Stop::Refused(ConnectionError::Pin(why)))
}

/// Refuses what another version admitted than the one that serves the connection, by what it pins from now on: it may not
/// fit that one.
fn admitted_by(rows: &impl Rows, connection: &Connection, digest: Option<&str>) -> Result<(), Stop<ConnectionError>> {
    let (Some(digest), Some(serves)) = (digest, connectors::digest_of(rows, connection)?) else { return Ok(()) };
    if digest == serves { Ok(()) } else { Err(Stop::Refused(ConnectionError::Served)) }
}

/// A sync of everything, asked for by the host itself.
fn whole_sync(connection: &Connection, trigger: Trigger) -> queue::Request {
    queue::Request {
        connection: connection.id.as_u128(),
        object: connection.id.as_u128(),
        path: ObjectPath::of_connection(connection.key.clone()),
        scope: RemotePath::default(),
        force_recursive: connection.options.force_recursive_crawl,
        dry_run: false,
        sees_all: true,
        trigger,
        group: None,
    }
}

/// A connection is an object too: the root of its tree (D21).
fn root_object(id: u128, key: &str, sequence: u64, now: i64) -> ObjectRow {
    ObjectRow {
        connection: id,
        parent: None,
        namespace: String::new(),
        name: key.to_owned(),
        displaced_from: None,
        kind: kind_number(Kind::Container),
        object_type: "connection".to_owned(),
        remote_id: None,
        comment: None,
        attributes: Vec::new(),
        columns_known: false,
        fingerprint: None,
        mark: 0,
        revision: 1,
        sequence,
        created_at: now,
        updated_at: now,
    }
}

fn replace(
    rows: &mut WriteRows<'_>,
    id: ConnectionId,
    update: ConnectionUpdate,
    revision: Option<u64>,
    now: Timestamp,
) -> Result<(Connection, Option<Job>), Stop<ConnectionError>> {
    let key = id.as_u128();
    let mut stored = connection(rows, key)?.ok_or(Stop::Refused(ConnectionError::NotFound))?;
    if revision.is_some_and(|seen| seen != stored.revision) {
        return Err(Stop::Refused(ConnectionError::Revision(stored.revision)));
    }
    if let Some(were) = &update.secrets_were
        && rows.secrets.get(key)?.is_none_or(|row| row.value() != were.0.as_slice())
    {
        return Err(Stop::Refused(ConnectionError::Secrets));
    }
    if let (Some(was), Some(is)) = (&stored.identity, &update.identity)
        && was != is
    {
        return Err(Stop::Refused(ConnectionError::IdentityChanged));
    }
    unique(rows, Some(key), &stored.technology, &update.address, update.identity.as_deref())?;
    let mut noted = vec![Noted::new(key, What::Configured(differences(&stored, &update)))];
    if update.host_managed != stored.host_managed
        && let Some(name) = &update.host_managed
    {
        noted.extend(forget_host_managed(rows, key, name, now)?);
    }
    schedules::set(rows, key, &update.options.schedule, now)?;
    holds::set_rule(rows, key, &update.options.hold)?;
    if update.secrets.is_some() || update.config != stored.config || update.host_managed != stored.host_managed {
        connectors::keep(rows, &stored)?;
    }
    set_pin(rows, &stored, update.options.pin.as_deref())?;
    admitted_by(rows, &stored, update.admitted_by.as_deref())?;
    let before = (stored.config.clone(), stored.address.clone(), stored.host_managed.clone(), stored.options.clone());
    stored.config = update.config;
    stored.address = update.address;
    stored.identity = update.identity.or(stored.identity);
    stored.host_managed = update.host_managed;
    let widens = update.options.filter.may_widen(&stored.options.filter);
    if widens {
        stored.widened_at = Some(now);
    }
    stored.options = update.options;
    stored.revision += 1;
    stored.updated_by = update.by;
    stored.updated_at = now;
    let has_secrets = update.secrets.is_some();
    if let Some(secrets) = update.secrets {
        rows.secrets.insert(key, secrets.0.as_slice())?;
    }
    rows.connections.insert(key, encode(&ConnectionRow::from(stored.clone()))?.as_slice())?;
    let sequence = queue::next_commit(rows)?;
    let commit = Commit { connection: key, sequence, job: None, by: Some(stored.updated_by.clone()), now };
    changes::append(rows, commit, noted)?;
    // When it is synced, what is held at its end, and which version reads it, has no bearing on what a sync under way has
    // read.
    let (schedule, hold, pin) = (before.3.schedule.clone(), before.3.hold, before.3.pin.clone());
    let options = ConnectionOptions { schedule, hold, pin, ..stored.options.clone() };
    let after = (stored.config.clone(), stored.address.clone(), stored.host_managed.clone(), options);
    if has_secrets || before != after {
        queue::begin_again(rows, key)?;
    }
    let request = whole_sync(&stored, Trigger::Settings);
    let job = if widens { Some(queue::enqueue(rows, request, now)?) } else { None };
    Ok((stored, job))
}

/// What of a connection an update changes, by name. Secrets are sealed anew where they are given, so they cannot be
/// compared.
fn differences(stored: &Connection, update: &ConnectionUpdate) -> Vec<String> {
    let mut names = fields_that_differ(&stored.config, &update.config);
    for (differs, name) in [
        (stored.host_managed != update.host_managed, "nativeIntegration"),
        (stored.options != update.options, "options"),
    ] {
        if differs {
            names.push(name.to_owned());
        }
    }
    names
}

/// The fields at the top in which two configurations differ.
pub(super) fn fields_that_differ(a: &Value, b: &Value) -> Vec<String> {
    let fields = |config: &Value| config.as_object().into_iter().flatten().map(|(k, _)| k.clone()).collect::<Vec<_>>();
    let mut names: BTreeSet<String> = fields(a).into_iter().chain(fields(b)).collect();
    names.retain(|name| a.get(name) != b.get(name));
    names.into_iter().collect()
}

/// What the host manages itself never appears, at any level, also where it was listed before it was named so (F40).
pub(super) fn forget_host_managed(
    rows: &mut WriteRows<'_>,
    connection: u128,
    name: &str,
    now: Timestamp,
) -> Result<Vec<Noted>, Fault> {
    let mut noted = Vec::new();
    for (child, id) in tree::children_of(rows, connection)? {
        if child == name {
            let Some(row) = tree::object(rows, id)? else { continue };
            let below = counters::of(rows, id)?;
            let gone = below.with_itself(&tree::overrides(rows, id)?);
            noted.push(Noted::new(id, What::Deleted { objects: below.descendants.unsigned_abs() }));
            reclaim::unlink(rows, id, &row, gone)?;
            queue::cancel_below(rows, connection, id, now)?;
        }
    }
    Ok(noted)
}
