//! Connectors that are installed: which version serves whom, and how that changes.
//!
//! Who serves whom is one row per connector. Each change of it reads the row, applies a function of the model and writes it
//! back in one transaction, together with the entry of the audit and whatever comes back with a version. So a crash leaves
//! the row before or the row after, each with exactly one active version; and of two administrators the one who comes later
//! finds another revision and is refused.

mod kept;
mod shadow;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use redb::ReadableTable as _;

use super::{
    Db, DbError, audit,
    fault::{Fault, Stop},
    records::{decode, encode},
    tables::{ReadRows, Rows, WriteRows},
};
use crate::model::{
    connection::{Actor, Connection},
    connector::{AuditEntry, Finding, Gave, Installed, Origin, RolledBack, Rollout, Step, Tally, Version, is_newer},
    id::ConnectionId,
    name::Technology,
};
pub use kept::{Back, KeptConfig, KeptSecrets, Restore, WithKept};
pub(super) use kept::{KeptRow, forget, keep, replace_kept};
pub use shadow::{Read, Which};
pub(super) use shadow::{ShadowRow, carried_out_by, forget_shadow, is_shadow};

/// Versions of one connector at most: each is a file and a row that is read with it.
pub const MAX_VERSIONS: usize = 200;

/// Findings of an activation that its entry in the audit tells; all of them stand with the activation.
const IN_AUDIT: usize = 10;

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// No such connector or version.
    #[error("there is no such connector, or not in this version")]
    NotFound,
    /// The version is installed with other bytes.
    #[error("version {0} is installed already, and its component is another one")]
    VersionTaken(String),
    /// Another connector serves the technology.
    #[error("the connector {0} serves this technology already")]
    TechnologyTaken(String),
    /// The connector serves another technology.
    #[error("the connector serves the technology {0}, and that never changes")]
    OtherTechnology(Technology),
    /// There is no room for another one.
    #[error("200 versions of the connector are installed: remove some")]
    TooMany,
    /// It has permissions that nobody granted.
    #[error("the version waits for approval of its permissions")]
    Waiting(Vec<String>),
    /// What was to be granted is not what the version asks for.
    #[error("the permissions that the version waits for are others")]
    OtherPermissions(Vec<String>),
    /// It was taken back before.
    #[error("the version was taken back: {0}")]
    TakenBack(String),
    /// Another change of version is under way.
    #[error("version {0} is about to take over")]
    UnderWay(String),
    /// There is nothing to go back to.
    #[error("there is no version to go back to")]
    NothingBefore,
    /// It is needed.
    #[error("the version cannot be removed: {0}")]
    Needed(String),
    /// Somebody else was faster.
    #[error("the connector was changed meanwhile: it is at revision {0}")]
    Revision(u64),
    /// A connection whose configuration comes back was changed meanwhile.
    #[error("a connection was changed meanwhile")]
    ConnectionChanged,
    /// The store failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// What became of a component that was offered.
#[derive(Clone, Debug)]
pub struct Installation {
    /// The version, as it is stored.
    pub version: Version,
    /// Whether it was not there before.
    pub is_new: bool,
    /// Permissions that it waits for.
    pub waiting: Vec<String>,
}

/// A change of version that is asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// To which.
    pub version: String,
    /// For these connections only.
    pub canary: Option<BTreeSet<ConnectionId>>,
    /// Whether it only reads for them, to be compared.
    pub shadow: bool,
    /// Whether findings, and that it was taken back before, do not stand in the way.
    pub forced: bool,
    /// By whom; none: the host.
    pub by: Option<Actor>,
}

/// What became of a version that came with the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brought {
    /// What serves stays.
    Nothing,
    /// It serves: nothing did before.
    Active,
    /// It is about to take over, as any other version.
    Begun,
}

/// Why something is rolled back.
#[derive(Clone, Debug)]
pub enum Cause {
    /// Somebody wants it, who has seen this revision.
    Person(Actor, Option<u64>),
    /// A version turned bad, or cannot be loaded.
    Bad {
        /// Which.
        version: String,
        /// How it showed.
        why: String,
    },
}

/// A connector with its versions, the newest first.
pub type WithVersions = (Installed, Vec<Version>);

impl Db {
    /// All connectors with their versions, by name.
    pub async fn connectors(&self) -> Result<Vec<WithVersions>, DbError> {
        self.read("list connectors", |rows: &ReadRows| {
            let mut all = Vec::new();
            for row in rows.connectors().iter()? {
                let connector: Installed = decode(row?.1.value())?;
                let versions = versions(rows, &connector.name)?;
                all.push((connector, versions));
            }
            Ok(all)
        })
        .await
    }

    /// One connector with its versions.
    pub async fn connector(&self, name: &str) -> Result<Option<WithVersions>, DbError> {
        let name = name.to_owned();
        self.read("read a connector", move |rows: &ReadRows| {
            let Some(connector) = find(rows, &name)? else { return Ok(None) };
            let versions = versions(rows, &name)?;
            Ok(Some((connector, versions)))
        })
        .await
    }

    /// Which connection pins which version.
    pub async fn pins(&self) -> Result<BTreeMap<ConnectionId, String>, DbError> {
        self.read("read the pins", |rows: &ReadRows| {
            let mut pins = BTreeMap::new();
            for row in rows.pins().iter()? {
                let (connection, version) = row?;
                pins.insert(ConnectionId::from_u128(connection.value()), version.value().to_owned());
            }
            Ok(pins)
        })
        .await
    }

    /// Adds a version whose component lies in its file already: a crash in between leaves a file that nobody names, and the
    /// next start removes it. It serves nobody yet. What is inside the binary is granted its permissions by that, and
    /// takes the place of what an earlier build had inside under the same version.
    pub async fn install_version(
        &self,
        technology: Technology,
        version: Version,
        now: Timestamp,
    ) -> Result<Installation, ConnectorError> {
        self.audited("install a connector", move |rows| install(rows, technology, version, now)).await
    }

    /// Grants a version what it waits for, if that is what was shown.
    pub async fn approve_version(
        &self,
        name: &str,
        version: &str,
        permissions: BTreeSet<String>,
        by: Actor,
        now: Timestamp,
    ) -> Result<(), ConnectorError> {
        let (name, version) = (name.to_owned(), version.to_owned());
        self.audited("approve a connector", move |rows| {
            let (mut connector, found) = both(rows, &name, &version)?;
            let waiting = connector.waiting(&found);
            if !permissions.iter().eq(waiting.iter()) {
                return Err(Stop::Refused(ConnectorError::OtherPermissions(waiting)));
            }
            if waiting.is_empty() {
                return Ok(());
            }
            let message = format!("granted {name} {version}: {}", waiting.join("; "));
            connector.granted.extend(permissions);
            put(rows, &connector)?;
            tell(rows, Some(by), "connector.approve", &name, message, now)?;
            Ok(())
        })
        .await
    }

    /// Begins a change of version, if the connector is still at this revision. Until its last step nobody is served by
    /// anything else than before.
    pub async fn begin_rollout(
        &self,
        name: &str,
        asked: Asked,
        revision: u64,
        now: Timestamp,
    ) -> Result<Installed, ConnectorError> {
        let name = name.to_owned();
        self.audited("begin to activate a connector", move |rows| begin(rows, &name, asked, revision, now)).await
    }

    /// Notes what a step of a change of version found, and which is next. False where the change is over.
    pub async fn note_step(
        &self,
        name: &str,
        revision: u64,
        step: Step,
        findings: Vec<Finding>,
        now: Timestamp,
    ) -> Result<bool, DbError> {
        let name = name.to_owned();
        self.audited("note a step of an activation", move |rows: &mut WriteRows<'_>| {
            let Some((mut connector, mut rollout)) = under_way(rows, &name, revision)? else { return Ok(false) };
            rollout.findings.extend(findings);
            rollout.step = step;
            let found = |blocking: bool| {
                let told = rollout.findings.iter().filter(|finding| finding.blocks || !blocking);
                let mut told: Vec<_> = told.map(|finding| finding.message.clone()).collect();
                if let Some(more) = told.len().checked_sub(IN_AUDIT).filter(|more| *more > 0) {
                    told.truncate(IN_AUDIT);
                    told.push(format!("and {more} more"));
                }
                told.join("; ")
            };
            let version = &rollout.version;
            if step == Step::Blocked {
                let what = if rollout.shadow { "would not work" } else { "was not activated" };
                let message = format!("{name} {version} {what}: {}", found(true));
                tell(rows, None, "connector.blocked", &name, message, now)?;
            } else if step == Step::Done {
                let what = if rollout.findings.is_empty() { "nothing differs".to_owned() } else { found(false) };
                let message = format!("{name} {version} was compared: {what}");
                tell(rows, None, "connector.compared", &name, message, now)?;
            }
            connector.rollout = Some(rollout);
            put(rows, &connector)?;
            Ok::<_, Stop<DbError>>(true)
        })
        .await
    }

    /// The last step of a change of version: it serves from now on whom it was meant for. False where the change is over,
    /// because somebody rolled back or a version was taken back meanwhile. `restore` is what the caller has found out of
    /// the connections for which something is kept; where one of them was changed meanwhile, nothing is done.
    pub async fn promote(
        &self,
        name: &str,
        revision: u64,
        before: Option<Tally>,
        restore: Vec<Restore>,
        now: Timestamp,
    ) -> Result<bool, ConnectorError> {
        let name = name.to_owned();
        self.audited("activate a connector", move |rows: &mut WriteRows<'_>| {
            let Some((mut connector, rollout)) = under_way(rows, &name, revision)? else { return Ok(false) };
            let by = rollout.by.clone();
            let earlier = connector.clone();
            let message = match rollout.canary {
                Some(connections) => {
                    let message =
                        format!("{name} {} serves {} connections as a canary", rollout.version, connections.len());
                    connector.try_out(&rollout.version, connections);
                    put(rows, &connector)?;
                    message
                }
                None => {
                    take_over(rows, &mut connector, &rollout.version, by.clone(), before, now)?;
                    format!("{name} {} is active", rollout.version)
                }
            };
            tell(rows, by, "connector.activate", &name, message, now)?;
            kept::follow(rows, &earlier, &connector, &restore, now)?;
            Ok(true)
        })
        .await
    }

    /// A version that came with the host. Where nothing serves, it does at once. Where what serves is what the host chose
    /// before, and older, it begins to take over as any version does. What a person chose, tries out or is about to let
    /// serve stays, and so does what they ended.
    pub async fn bring(&self, name: &str, version: &str, now: Timestamp) -> Result<Brought, DbError> {
        let (name, version) = (name.to_owned(), version.to_owned());
        self.audited("bring a bundled connector", move |rows: &mut WriteRows<'_>| {
            let (Some(mut connector), Some(found)) = (find(rows, &name)?, version_of(rows, &name, &version)?) else {
                return Ok(Brought::Nothing);
            };
            if found.taken_back.is_some() || !connector.waiting(&found).is_empty() || !connector.takes(&version) {
                return Ok(Brought::Nothing);
            }
            if connector.active.is_some() {
                let asked = Asked { version, canary: None, shadow: false, forced: false, by: None };
                begun(rows, &mut connector, asked, now)?;
                return Ok(Brought::Begun);
            }
            take_over(rows, &mut connector, &version, None, None, now)?;
            let message = format!("{name} {version}, which came with the host, is active");
            tell(rows, None, "connector.activate", &name, message, now)?;
            Ok::<_, Stop<DbError>>(Brought::Active)
        })
        .await
    }

    /// Goes back one step. `restore` as with every change of version.
    pub async fn roll_back(
        &self,
        name: &str,
        cause: Cause,
        restore: Vec<Restore>,
        now: Timestamp,
    ) -> Result<RolledBack, ConnectorError> {
        let name = name.to_owned();
        self.audited("roll a connector back", move |rows| back(rows, &name, cause, &restore, now)).await
    }

    /// Removes a version that nobody needs, and gives the digest by which its file is found. A crash before the file is
    /// removed leaves one that nobody names.
    pub async fn remove_version(
        &self,
        name: &str,
        version: &str,
        by: Actor,
        now: Timestamp,
    ) -> Result<String, ConnectorError> {
        let (name, version) = (name.to_owned(), version.to_owned());
        self.audited("remove a connector", move |rows| {
            let (connector, found) = both(rows, &name, &version)?;
            if let Some(why) = connector.needs(&version) {
                return Err(Stop::Refused(ConnectorError::Needed(why.to_owned())));
            }
            if let Some(key) = pinned_by(rows, &connector, &version)? {
                return Err(Stop::Refused(ConnectorError::Needed(format!("connection {key} pins it"))));
            }
            rows.connector_versions.remove((name.as_str(), version.as_str()))?;
            let mut connector = connector;
            connector.forget(&version);
            kept::drop_of(rows, &connector.technology, &version)?;
            if connector.active.is_none() && versions(rows, &name)?.is_empty() {
                rows.connectors.remove(name.as_str())?;
            } else {
                put(rows, &connector)?;
            }
            tell(rows, Some(by), "connector.remove", &name, format!("removed {name} {version}"), now)?;
            Ok(found.digest)
        })
        .await
    }
}

/// A connector's row.
pub(super) fn find(rows: &impl Rows, name: &str) -> Result<Option<Installed>, Fault> {
    rows.connectors().get(name)?.map(|row| decode(row.value())).transpose()
}

/// The connector of a technology.
pub(super) fn of_technology(rows: &impl Rows, technology: &Technology) -> Result<Option<Installed>, Fault> {
    for row in rows.connectors().iter()? {
        let connector: Installed = decode(row?.1.value())?;
        if connector.technology == *technology {
            return Ok(Some(connector));
        }
    }
    Ok(None)
}

/// The version that a connection pins.
pub(super) fn pin(rows: &impl Rows, connection: u128) -> Result<Option<String>, Fault> {
    Ok(rows.pins().get(connection)?.map(|row| row.value().to_owned()))
}

/// Stores which version a connection pins. Why not, where it cannot be served by it.
pub(super) fn set_pin(
    rows: &mut WriteRows<'_>,
    connection: u128,
    technology: &Technology,
    version: Option<&str>,
) -> Result<Result<(), String>, Fault> {
    let Some(version) = version else {
        rows.pins.remove(connection)?;
        return Ok(Ok(()));
    };
    if pin(rows, connection)?.as_deref() == Some(version) {
        return Ok(Ok(()));
    }
    let Some(connector) = of_technology(rows, technology)? else {
        return Ok(Err(format!("no connector for {technology} is installed")));
    };
    let Some(found) = version_of(rows, &connector.name, version)? else {
        return Ok(Err(format!("{} is not installed in version {version}", connector.name)));
    };
    if !connector.waiting(&found).is_empty() {
        return Ok(Err(format!("version {version} waits for approval of its permissions")));
    }
    if let Some(why) = found.taken_back {
        return Ok(Err(format!("version {version} was taken back: {why}")));
    }
    if !connector.may_pin(version, Some(ConnectionId::from_u128(connection))) {
        return Ok(Err(format!(
            "version {version} does not serve and is not one of the two before what does: an administrator activates it first"
        )));
    }
    rows.pins.insert(connection, version)?;
    Ok(Ok(()))
}

/// The digest of the component that serves a connection, by what it pins; none where no connector is installed for it.
pub(super) fn digest_of(rows: &impl Rows, connection: &Connection) -> Result<Option<String>, Fault> {
    let Some(connector) = of_technology(rows, &connection.technology)? else { return Ok(None) };
    let pinned = pin(rows, connection.id.as_u128())?;
    let Some(version) = connector.serving(connection.id, pinned.as_deref()) else { return Ok(None) };
    Ok(version_of(rows, &connector.name, version)?.map(|version| version.digest))
}

/// The digest of a version's component, where that is installed.
pub(super) fn digest_of_version(rows: &impl Rows, name: &str, version: &str) -> Result<Option<String>, Fault> {
    Ok(version_of(rows, name, version)?.map(|version| version.digest))
}

fn version_of(rows: &impl Rows, name: &str, version: &str) -> Result<Option<Version>, Fault> {
    rows.connector_versions().get((name, version))?.map(|row| decode(row.value())).transpose()
}

/// A connector and one of its versions.
fn both(rows: &impl Rows, name: &str, version: &str) -> Result<(Installed, Version), Stop<ConnectorError>> {
    match (find(rows, name)?, version_of(rows, name, version)?) {
        (Some(connector), Some(version)) => Ok((connector, version)),
        _ => Err(Stop::Refused(ConnectorError::NotFound)),
    }
}

fn versions(rows: &impl Rows, name: &str) -> Result<Vec<Version>, Fault> {
    let mut found = Vec::new();
    for row in rows.connector_versions().range((name, "")..)? {
        let (key, row) = row?;
        if key.value().0 != name {
            break;
        }
        found.push(decode::<Version>(row.value())?);
    }
    found.sort_by(|a, b| {
        let (newer, older) = (is_newer(&a.version, &b.version), is_newer(&b.version, &a.version));
        older.cmp(&newer).then_with(|| b.version.cmp(&a.version))
    });
    Ok(found)
}

fn put(rows: &mut WriteRows<'_>, connector: &Installed) -> Result<(), Fault> {
    rows.connectors.insert(connector.name.as_str(), encode(connector)?.as_slice())?;
    Ok(())
}

fn put_version(rows: &mut WriteRows<'_>, version: &Version) -> Result<(), Fault> {
    let key = (version.connector.as_str(), version.version.as_str());
    rows.connector_versions.insert(key, encode(version)?.as_slice())?;
    Ok(())
}

fn tell(
    rows: &mut WriteRows<'_>,
    who: Option<Actor>,
    action: &str,
    connector: &str,
    message: String,
    now: Timestamp,
) -> Result<(), Fault> {
    let subject = Installed::subject(connector);
    audit::note(rows, &AuditEntry { at: now, who, action: action.to_owned(), subject, message })
}

fn install(
    rows: &mut WriteRows<'_>,
    technology: Technology,
    mut version: Version,
    now: Timestamp,
) -> Result<Installation, Stop<ConnectorError>> {
    let name = version.connector.clone();
    let is_bundled = version.origin == Origin::Bundled;
    let mut connector = match find(rows, &name)? {
        Some(connector) if connector.technology != technology => {
            return Err(Stop::Refused(ConnectorError::OtherTechnology(connector.technology)));
        }
        Some(connector) => connector,
        None => match of_technology(rows, &technology)? {
            Some(other) => return Err(Stop::Refused(ConnectorError::TechnologyTaken(other.name))),
            None => Installed::new(name.clone(), technology),
        },
    };
    let stored = version_of(rows, &name, &version.version)?;
    if let Some(stored) = &stored {
        let rebuilt = is_bundled && stored.origin == Origin::Bundled;
        if stored.digest == version.digest {
            let waiting = connector.waiting(stored);
            return Ok(Installation { version: stored.clone(), is_new: false, waiting });
        }
        if !rebuilt {
            return Err(Stop::Refused(ConnectorError::VersionTaken(version.version)));
        }
        version.taken_back.clone_from(&stored.taken_back);
    } else if versions(rows, &name)?.len() >= MAX_VERSIONS {
        return Err(Stop::Refused(ConnectorError::TooMany));
    }
    if is_bundled {
        connector.granted.extend(version.permissions.iter().cloned());
    }
    let waiting = connector.waiting(&version);
    put(rows, &connector)?;
    put_version(rows, &version)?;
    let from = match &version.origin {
        Origin::Bundled => "which came with the host".to_owned(),
        Origin::Upload => "an upload".to_owned(),
        Origin::SaidToBeFrom(place) => format!("an upload that is said to be from {place}"),
    };
    let waits = if waiting.is_empty() { "" } else { "; it waits for approval of its permissions" };
    let digest = version.digest.get(..12).unwrap_or_default();
    let message = format!("installed {name} {} ({digest}), {from}, {}{waits}", version.version, version.signature);
    tell(rows, version.by.clone(), "connector.install", &name, message, now)?;
    Ok(Installation { version, is_new: true, waiting })
}

fn begin(
    rows: &mut WriteRows<'_>,
    name: &str,
    asked: Asked,
    revision: u64,
    now: Timestamp,
) -> Result<Installed, Stop<ConnectorError>> {
    let (mut connector, version) = both(rows, name, &asked.version)?;
    if connector.revision != revision {
        return Err(Stop::Refused(ConnectorError::Revision(connector.revision)));
    }
    if let Some(rollout) = connector.under_way() {
        return Err(Stop::Refused(ConnectorError::UnderWay(rollout.version.clone())));
    }
    let waiting = connector.waiting(&version);
    if !waiting.is_empty() {
        return Err(Stop::Refused(ConnectorError::Waiting(waiting)));
    }
    if let Some(why) = version.taken_back.filter(|_| !asked.forced) {
        return Err(Stop::Refused(ConnectorError::TakenBack(why)));
    }
    begun(rows, &mut connector, asked, now)?;
    Ok(connector)
}

/// A change of version begins.
fn begun(rows: &mut WriteRows<'_>, connector: &mut Installed, asked: Asked, now: Timestamp) -> Result<(), Fault> {
    let what = if asked.shadow { "compare" } else { "activate" };
    let forced = if asked.forced { ", whatever is found" } else { "" };
    let whom = match &asked.canary {
        Some(connections) => format!("for {} connections", connections.len()),
        None => "for all connections".to_owned(),
    };
    let name = connector.name.clone();
    let message = format!("began to {what} {name} {} {whom}{forced}", asked.version);
    connector.revision += 1;
    connector.rollout = Some(Rollout {
        version: asked.version,
        canary: asked.canary,
        shadow: asked.shadow,
        forced: asked.forced,
        step: Step::Compatibility,
        findings: Vec::new(),
        by: asked.by.clone(),
        at: now,
        began: connector.revision,
        revision: connector.revision,
    });
    put(rows, connector)?;
    tell(rows, asked.by, "connector.rollout", &name, message, now)
}

/// The change of version that began with a revision, if the connector is still at that.
fn under_way(rows: &impl Rows, name: &str, revision: u64) -> Result<Option<(Installed, Rollout)>, Fault> {
    let Some(connector) = find(rows, name)?.filter(|connector| connector.revision == revision) else {
        return Ok(None);
    };
    let rollout = connector.under_way().cloned();
    Ok(rollout.map(|rollout| (connector, rollout)))
}

/// A version becomes active.
fn take_over(
    rows: &mut WriteRows<'_>,
    connector: &mut Installed,
    version: &str,
    by: Option<Actor>,
    before: Option<Tally>,
    now: Timestamp,
) -> Result<(), Fault> {
    connector.promote(version, by, before, now);
    put(rows, connector)?;
    if let Some(mut found) = version_of(rows, &connector.name, version)?
        && found.taken_back.take().is_some()
    {
        put_version(rows, &found)?;
    }
    Ok(())
}

fn back(
    rows: &mut WriteRows<'_>,
    name: &str,
    cause: Cause,
    restore: &[Restore],
    now: Timestamp,
) -> Result<RolledBack, Stop<ConnectorError>> {
    let mut connector = find(rows, name)?.ok_or(Stop::Refused(ConnectorError::NotFound))?;
    if let Cause::Person(_, Some(revision)) = &cause
        && *revision != connector.revision
    {
        return Err(Stop::Refused(ConnectorError::Revision(connector.revision)));
    }
    let (by, of) = match &cause {
        Cause::Person(by, _) => (Some(by.clone()), None),
        Cause::Bad { version, .. } => (None, Some(version.as_str())),
    };
    let earlier = connector.clone();
    let reading = connector.under_way().filter(|rollout| rollout.shadow).map(|rollout| rollout.began);
    let done = connector.roll_back(of, by.clone(), now).ok_or(Stop::Refused(ConnectorError::NothingBefore))?;
    put(rows, &connector)?;
    if let Some(began) = reading {
        shadow::cancel(rows, name, began, now)?;
    }
    let why = match &cause {
        Cause::Person(by, _) => format!("rolled back by {}", by.name),
        Cause::Bad { why, .. } => why.clone(),
    };
    // What somebody only stopped trying is not bad for that.
    if (of.is_some() || done.what == Gave::Active)
        && let Some(mut version) = version_of(rows, name, &done.from)?
    {
        version.taken_back = Some(why.clone());
        put_version(rows, &version)?;
    }
    let what = match done.what {
        Gave::Rollout if reading.is_some() => format!("{name} {} is not compared any further", done.from),
        Gave::Rollout => format!("{name} {} does not take over; {} stays active", done.from, done.to),
        Gave::Canary => format!("{name} {} serves no connection any more; {} does", done.from, done.to),
        Gave::Active => format!("{name} went back from {} to {}", done.from, done.to),
    };
    tell(rows, by, "connector.rollback", name, format!("{what}: {why}"), now)?;
    kept::follow(rows, &earlier, &connector, restore, now)?;
    Ok(done)
}

/// A connection that pins a version.
fn pinned_by(rows: &impl Rows, connector: &Installed, version: &str) -> Result<Option<String>, Fault> {
    for row in rows.pins().iter()? {
        let (connection, pinned) = row?;
        if pinned.value() != version {
            continue;
        }
        if let Some(found) = super::connections::connection(rows, connection.value())?
            && found.technology == connector.technology
        {
            return Ok(Some(found.key.to_string()));
        }
    }
    Ok(None)
}
