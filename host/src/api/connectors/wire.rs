//! Connectors and their versions as JSON.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Connections;
use crate::{
    api::ApiState,
    connector::health::Snapshot,
    db::connectors::{Read, WithVersions},
    model::{
        connector::{Finding, Gave, Installed, Origin, RolledBack, Rollout, Step, Version},
        id::{ConnectionId, JobId},
        job::{Job, JobState},
        name::{ConnectionKey, Technology},
    },
};

/// A connector.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Connector")]
pub struct ConnectorJson {
    name: String,
    /// The version that is active; null until one is activated.
    version: Option<String>,
    /// For people.
    title: String,
    /// What it serves: the value of `connection.technology` in a payload.
    #[schemars(with = "String")]
    technology: Technology,
    /// SHA-256 of the component that is active.
    digest: Option<String>,
    /// JSON Schema of a payload's `connection` object, without `technology`; null while no version is active.
    config_schema: Option<Value>,
    /// A version that some connections try out.
    canary: Option<CanaryJson>,
    /// What was active before, the latest first: it stays ready.
    previous: Vec<String>,
    /// The last activation.
    rollout: Option<RolloutJson>,
    /// Why what should serve does not.
    problem: Option<String>,
    /// For `If-Match`.
    revision: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConnectorCanary")]
struct CanaryJson {
    version: String,
    /// Keys of connections.
    #[schemars(with = "Vec<String>")]
    connections: Vec<ConnectionKey>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConnectorRollout")]
struct RolloutJson {
    version: String,
    /// For these connections only; null: for all.
    #[schemars(with = "Option<Vec<String>>")]
    canary: Option<Vec<ConnectionKey>>,
    /// Whether it is only compared and serves nobody.
    shadow: bool,
    /// Whether findings do not stand in the way.
    forced: bool,
    /// What is done next (`compatibility`, `check`, then `shadow` or `promote`), or how it ended: `done`, `blocked`, `ended`.
    step: &'static str,
    findings: Vec<FindingJson>,
    /// Null: the host.
    by: Option<String>,
    #[schemars(with = "String")]
    at: Timestamp,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConnectorFinding")]
struct FindingJson {
    step: &'static str,
    #[schemars(with = "Option<String>")]
    connection: Option<ConnectionKey>,
    /// Whether it stands in the way.
    blocks: bool,
    /// The dry run that found it: `GET /jobs/{id}/changes` lists what.
    #[schemars(with = "Option<String>")]
    job_id: Option<JobId>,
    message: String,
}

/// A connector with its versions.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConnectorDetail")]
pub struct ConnectorDetail {
    #[serde(flatten)]
    connector: ConnectorJson,
    /// The newest first.
    versions: Vec<VersionJson>,
    /// Of the last activation, where it only compares: the dry runs that it asked for.
    reads: Vec<ReadJson>,
}

/// A dry run that one version of a connector carries out, to be compared.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConnectorRead")]
struct ReadJson {
    #[schemars(with = "String")]
    connection: ConnectionKey,
    /// The version that carries it out.
    version: String,
    #[schemars(with = "String")]
    job_id: JobId,
    /// As the job's.
    #[schemars(with = "String")]
    state: JobState,
}

/// A version of a connector.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConnectorVersion")]
pub(super) struct VersionJson {
    version: String,
    title: String,
    /// SHA-256 of the component.
    digest: String,
    size: u64,
    /// `bundled`, `upload`, or where somebody said that it came from.
    origin: String,
    /// What is known of who vouches for it.
    signature: String,
    /// `active`, `canary`, `previous`, `ready`, `waiting` (for approval) or `takenBack`.
    state: &'static str,
    /// Why it was taken back.
    taken_back: Option<String>,
    /// Why it cannot be loaded.
    problem: Option<String>,
    permissions: Vec<PermissionJson>,
    /// How its calls fared since the host started, where it is loaded.
    health: Option<HealthJson>,
    /// SHA-256 of the schema of its configuration.
    config_schema_digest: String,
    /// The version of the contract that it was built against; null where it was installed by a host that did not look.
    wit_version: Option<String>,
    /// The version of the SDK that it was built with; null also where it was built without.
    sdk_version: Option<String>,
    /// Keys of connections that pin it.
    #[schemars(with = "Vec<String>")]
    pinned_by: Vec<ConnectionKey>,
    /// Null: the host.
    installed_by: Option<String>,
    #[schemars(with = "String")]
    installed_at: Timestamp,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConnectorHealth")]
struct HealthJson {
    calls: u64,
    /// Of any cause.
    failures: u64,
    /// Of the last calls, by which it is judged.
    recent_calls: usize,
    /// Those of them that count against the connector.
    recent_failures: usize,
    requests: u64,
    bytes: u64,
    memory_high_water: u64,
    /// Keys of connections on which it crashed so often that it is left alone for a while.
    #[schemars(with = "Vec<String>")]
    left_alone: Vec<ConnectionKey>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConnectorPermission")]
struct PermissionJson {
    permission: String,
    granted: bool,
}

/// What a roll-back did.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConnectorRolledBack")]
pub struct RolledBackJson {
    /// In which role it gave way: `rollout`, `canary` or `active`.
    what: &'static str,
    /// What serves no longer.
    from: String,
    /// What serves instead.
    to: String,
}

impl ConnectorJson {
    pub(super) fn new(state: &ApiState, (connector, versions): &WithVersions, connections: &Connections) -> Self {
        let active = connector.active_version();
        let version = versions.iter().find(|version| Some(version.version.as_str()) == active);
        let loaded = version.and_then(|version| state.registry.loaded(&version.digest));
        Self {
            name: connector.name.clone(),
            version: active.map(str::to_owned),
            title: version.or(versions.first()).map(|version| version.title.clone()).unwrap_or_default(),
            technology: connector.technology.clone(),
            digest: version.map(|version| version.digest.clone()),
            config_schema: loaded.map(|loaded| loaded.descriptor.config_schema.clone()),
            canary: connector.canary.as_ref().map(|canary| CanaryJson {
                version: canary.version.clone(),
                connections: keys(canary.connections.iter(), connections),
            }),
            previous: connector.previous.clone(),
            rollout: connector.rollout.as_ref().map(|rollout| RolloutJson {
                // What is promoted in the store serves a moment later.
                step: if is_taking_over(state, connector, version) { Step::Promote } else { rollout.step }.as_str(),
                ..RolloutJson::new(rollout, connections)
            }),
            problem: version.and_then(|version| state.registry.broken(&version.digest)),
            revision: connector.revision,
        }
    }
}

/// Whether the version that was activated last does not serve yet, and nothing keeps it from that.
fn is_taking_over(state: &ApiState, connector: &Installed, active: Option<&Version>) -> bool {
    let (Some(rollout), Some(active)) = (&connector.rollout, active) else { return false };
    let is_its_own = !rollout.shadow && rollout.canary.is_none() && rollout.version == active.version;
    let serves = state.connectors.by_technology(&connector.technology);
    rollout.step == Step::Done
        && is_its_own
        && state.registry.broken(&active.digest).is_none()
        && serves.is_none_or(|serves| serves.digest != active.digest)
}

impl RolloutJson {
    fn new(rollout: &Rollout, connections: &Connections) -> Self {
        Self {
            version: rollout.version.clone(),
            canary: rollout.canary.as_ref().map(|chosen| keys(chosen.iter(), connections)),
            shadow: rollout.shadow,
            forced: rollout.forced,
            step: rollout.step.as_str(),
            findings: rollout.findings.iter().map(FindingJson::from).collect(),
            by: rollout.by.as_ref().map(|by| by.name.clone()),
            at: rollout.at,
        }
    }
}

impl From<&Finding> for FindingJson {
    fn from(finding: &Finding) -> Self {
        let Finding { step, connection, blocks, job, message } = finding.clone();
        Self { step: step.as_str(), connection, blocks, job_id: job, message }
    }
}

impl ConnectorDetail {
    pub(super) fn new(
        state: &ApiState,
        found: &WithVersions,
        connections: &Connections,
        reads: Vec<(Read, Job)>,
    ) -> Self {
        let versions = found.1.iter().map(|version| VersionJson::new(state, &found.0, version, connections));
        let reads = reads.into_iter().filter_map(|(read, job)| {
            let (connection, _) = connections.get(&job.connection)?;
            Some(ReadJson { connection: connection.clone(), version: read.version, job_id: job.id, state: job.state })
        });
        Self {
            connector: ConnectorJson::new(state, found, connections),
            versions: versions.collect(),
            reads: reads.collect(),
        }
    }
}

impl VersionJson {
    pub(super) fn new(state: &ApiState, connector: &Installed, version: &Version, connections: &Connections) -> Self {
        let pinned_by = connections.iter().filter(|(id, (_, pin))| {
            pin.as_deref() == Some(version.version.as_str())
                && state.connectors.of(**id, &connector.technology).is_some_and(|c| c.digest == version.digest)
        });
        let permission =
            |text: &String| PermissionJson { permission: text.clone(), granted: connector.granted.contains(text) };
        Self {
            version: version.version.clone(),
            title: version.title.clone(),
            digest: version.digest.clone(),
            size: version.size,
            origin: match &version.origin {
                Origin::Bundled => "bundled".into(),
                Origin::Upload => "upload".into(),
                Origin::SaidToBeFrom(place) => place.clone(),
            },
            signature: version.signature.clone(),
            state: state_of(connector, version),
            taken_back: version.taken_back.clone(),
            problem: state.registry.broken(&version.digest),
            permissions: version.permissions.iter().map(permission).collect(),
            health: state.registry.loaded(&version.digest).map(|loaded| HealthJson::new(&loaded.health(), connections)),
            config_schema_digest: version.schema_digest.clone(),
            wit_version: version.built.contract.clone(),
            sdk_version: version.built.sdk.clone(),
            pinned_by: pinned_by.map(|(_, (key, _))| key.clone()).collect(),
            installed_by: version.by.as_ref().map(|by| by.name.clone()),
            installed_at: version.at,
        }
    }
}

impl HealthJson {
    fn new(health: &Snapshot, connections: &Connections) -> Self {
        Self {
            calls: health.calls,
            failures: health.failures.values().sum(),
            recent_calls: health.recent.len(),
            recent_failures: health.recent_failures(),
            requests: health.requests,
            bytes: health.bytes,
            memory_high_water: health.memory_high_water,
            left_alone: keys(health.open.keys(), connections),
        }
    }
}

/// How a version stands, for programs.
pub(in crate::api) fn state_of(connector: &Installed, version: &Version) -> &'static str {
    let number = &version.version;
    if connector.active_version() == Some(number) {
        "active"
    } else if connector.canary.as_ref().is_some_and(|canary| canary.version == *number) {
        "canary"
    } else if version.taken_back.is_some() {
        "takenBack"
    } else if !connector.waiting(version).is_empty() {
        "waiting"
    } else if connector.previous.contains(number) {
        "previous"
    } else {
        "ready"
    }
}

fn keys<'a>(ids: impl Iterator<Item = &'a ConnectionId>, connections: &Connections) -> Vec<ConnectionKey> {
    ids.filter_map(|id| connections.get(id)).map(|(key, _)| key.clone()).collect()
}

impl From<RolledBack> for RolledBackJson {
    fn from(done: RolledBack) -> Self {
        let what = match done.what {
            Gave::Rollout => "rollout",
            Gave::Canary => "canary",
            Gave::Active => "active",
        };
        Self { what, from: done.from, to: done.to }
    }
}
