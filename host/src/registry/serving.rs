//! From what the store says to what serves: loads what is lacking, and swaps once.
//!
//! What serves, and what may have to serve at once (the two generations before, what is pinned or tried out), is loaded. A
//! version that cannot be loaded gives way to the one before it, as one that turned bad.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    sync::Arc,
};

use futures_util::future::join_all;

use super::{Registry, lock};
use crate::{
    connector::{Connector, Serving, error::LoadError},
    db::{
        DbError,
        connectors::{Cause, ConnectorError, WithVersions},
    },
    model::{
        connector::{Installed, RolledBack, Version},
        id::ConnectionId,
        sight::Sight,
    },
};

/// Times that a roll-back is tried again because a connection was changed meanwhile.
const TRIES: u32 = 5;

/// Refusals that say something about the component itself, whenever and wherever it is loaded. All others have to do with
/// this host (what its operator approved, how busy it is, what it may take): going back would not help.
const ITS_OWN: [&str; 7] = [
    "too-large",
    "not-a-component",
    "forbidden-import",
    "missing-export",
    "invalid-descriptor",
    "nondeterministic-describe",
    "another-description",
];

/// What the store says.
struct State {
    connectors: Vec<WithVersions>,
    pins: BTreeMap<ConnectionId, String>,
    /// Connections that may have a version of their own, with their technology.
    technologies: BTreeMap<ConnectionId, String>,
}

/// Why a version is not loaded.
#[derive(Clone, Debug)]
pub(super) struct NotLoaded {
    /// For people.
    pub(super) why: String,
    is_its_own: bool,
}

impl Registry {
    /// Lets serve what the store says. Only the keeper calls it, and the start before there is one.
    pub(super) async fn serve_installed(&self) -> Result<(), DbError> {
        loop {
            let state = self.state().await?;
            let failed = self.load_all(&state).await;
            let bad = state.connectors.iter().find_map(|(connector, versions)| gives_way(connector, versions, &failed));
            let Some((name, version, why)) = bad else {
                self.swap(&state, &failed);
                return Ok(());
            };
            tracing::error!(connector = name, version, why, "a version cannot be loaded: the one before it serves");
            let why = format!("it cannot be loaded: {why}");
            match self.take_back(&name, Cause::Bad { version, why }).await {
                Ok(_) => {}
                Err(ConnectorError::Db(error)) => return Err(error),
                // Until somebody asks to look again, it serves nobody.
                Err(error) => {
                    tracing::warn!(%error, connector = name, "it was not rolled back");
                    self.swap(&state, &failed);
                    return Ok(());
                }
            }
        }
    }

    async fn state(&self) -> Result<State, DbError> {
        let db = &self.parts().db;
        let connectors = db.connectors().await?;
        let technologies = db.connections(&Sight::All).await?;
        let technologies = technologies.into_iter().map(|c| (c.id, c.technology.to_string())).collect();
        Ok(State { connectors, pins: db.pins().await?, technologies })
    }

    /// Loads all that is lacking, side by side. What could not be loaded, by digest.
    async fn load_all(&self, state: &State) -> BTreeMap<String, NotLoaded> {
        let wanted: Vec<&Version> =
            state.connectors.iter().flat_map(|(connector, versions)| wanted(state, connector, versions)).collect();
        let loads = wanted.iter().map(|version| async { (version.digest.clone(), self.load(version).await) });
        let mut failed = BTreeMap::new();
        for (digest, loaded) in join_all(loads).await {
            if let Err(error) = loaded {
                failed.insert(digest, error);
            }
        }
        let keep: BTreeSet<&str> = wanted.iter().map(|version| version.digest.as_str()).collect();
        lock(&self.shared.loaded).retain(|digest, _| keep.contains(digest.as_str()));
        failed
    }

    /// A version, from memory or from its file.
    pub(super) async fn load(&self, version: &Version) -> Result<Arc<Connector>, NotLoaded> {
        if let Some(loaded) = self.loaded(&version.digest) {
            return Ok(loaded);
        }
        let digest = version.digest.clone();
        let bytes = self.with_files(move |files| files.read(&digest)).await.map_err(|error| NotLoaded {
            why: match error.kind() {
                ErrorKind::NotFound => "the file of its component is gone".into(),
                _ => format!("the file of its component cannot be used: {error}"),
            },
            is_its_own: matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData),
        })?;
        let connector = self
            .parts()
            .connectors
            .prepare(&bytes)
            .await
            .and_then(
                |connector| if is_as_stored(version, &connector) { Ok(connector) } else { Err(other_description()) },
            )
            .map_err(|error| NotLoaded { is_its_own: ITS_OWN.contains(&error.code), why: error.message })?;
        lock(&self.shared.loaded).insert(version.digest.clone(), connector.clone());
        Ok(connector)
    }

    /// One step, in memory: calls under way go on with what they began with.
    fn swap(&self, state: &State, failed: &BTreeMap<String, NotLoaded>) {
        let mut serving = Serving::default();
        for (connector, versions) in &state.connectors {
            let loaded = |version: &str| {
                let version = versions.iter().find(|found| found.version == version)?;
                self.loaded(&version.digest)
            };
            for version in wanted(state, connector, versions) {
                if let Some(found) = self.loaded(&version.digest) {
                    serving.versions.insert((connector.name.clone(), version.version.clone()), found);
                }
            }
            let technology = connector.technology.to_string();
            if let Some(active) = connector.active_version().and_then(loaded) {
                serving.active.insert(technology.clone(), active);
            }
            for (connection, _) in state.technologies.iter().filter(|(_, found)| **found == technology) {
                let pin = state.pins.get(connection).map(String::as_str);
                let chosen =
                    connector.serving(*connection, pin).filter(|version| Some(*version) != connector.active_version());
                let is_pinned = pin.is_some_and(|pin| chosen == Some(pin));
                let found = chosen.and_then(loaded);
                if found.is_some() || is_pinned {
                    serving.chosen.insert(*connection, found);
                }
            }
        }
        *lock(&self.shared.broken) = failed.iter().map(|(digest, error)| (digest.clone(), error.why.clone())).collect();
        self.parts().connectors.serve(serving);
    }

    /// Rolls back in the store, with the configurations that come back; what serves is not swapped yet.
    pub(super) async fn take_back(&self, name: &str, cause: Cause) -> Result<RolledBack, ConnectorError> {
        let db = &self.parts().db;
        for _ in 0..TRIES {
            let (connector, versions) = db.connector(name).await?.ok_or(ConnectorError::NotFound)?;
            let of = match &cause {
                Cause::Person(..) => None,
                Cause::Bad { version, .. } => Some(version.as_str()),
            };
            let mut expected = connector.clone();
            let restore = match expected.roll_back(of, None, self.now()) {
                Some(_) => self.comes_back(&connector, &expected, &versions).await?,
                None => Vec::new(),
            };
            match db.roll_back(name, cause.clone(), restore, self.now()).await {
                Err(ConnectorError::ConnectionChanged) => {}
                Ok(done) => {
                    tracing::warn!(connector = name, from = done.from, to = done.to, "a connector was rolled back");
                    return Ok(done);
                }
                Err(error) => return Err(error),
            }
        }
        Err(ConnectorError::ConnectionChanged)
    }
}

/// Whether it says of itself what it said when it was installed: that is what people approved.
fn is_as_stored(version: &Version, connector: &Connector) -> bool {
    connector.descriptor.digest == version.description_digest
}

fn other_description() -> LoadError {
    LoadError {
        code: "another-description",
        message: "it describes itself otherwise than when it was installed, and that is not what was approved".into(),
    }
}

/// The versions of a connector that are loaded.
fn wanted<'a>(state: &'a State, connector: &'a Installed, versions: &'a [Version]) -> Vec<&'a Version> {
    let technology = connector.technology.as_str();
    let pins = state.pins.iter().filter(|(id, _)| state.technologies.get(id).is_some_and(|t| t == technology));
    let named: BTreeSet<&str> = connector
        .active_version()
        .into_iter()
        .chain(connector.canary.as_ref().map(|canary| canary.version.as_str()))
        .chain(connector.previous.iter().map(String::as_str))
        // What it is compared by goes on after a restart too.
        .chain(connector.under_way().filter(|rollout| rollout.shadow).map(|rollout| rollout.version.as_str()))
        .chain(pins.map(|(_, version)| version.as_str()))
        .collect();
    versions.iter().filter(|version| named.contains(version.version.as_str())).collect()
}

/// A version that serves, could not be loaded, and has one before it: connector, version and why.
fn gives_way(
    connector: &Installed,
    versions: &[Version],
    failed: &BTreeMap<String, NotLoaded>,
) -> Option<(String, String, String)> {
    let why = |version: &str| {
        let version = versions.iter().find(|found| found.version == version)?;
        failed.get(&version.digest).filter(|error| error.is_its_own).map(|error| error.why.clone())
    };
    let canary = connector.canary.as_ref().map(|canary| canary.version.as_str());
    let active = connector.active_version().filter(|_| !connector.previous.is_empty());
    let version = [canary, active].into_iter().flatten().find(|version| why(version).is_some())?;
    Some((connector.name.clone(), version.to_owned(), why(version)?))
}
