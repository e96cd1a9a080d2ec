//! Layout 4: versions tell what they were built with, changes of version may be only a comparison or the host's own. The
//! rows of layout 3 as they were, and their way to the present ones.

use std::collections::BTreeSet;

use jiff::Timestamp;
use redb::{ReadableTable as _, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::super::{
    fault::Fault,
    records::{decode, encode},
    tables::WriteRows,
};
use crate::model::{
    connection::Actor,
    connector::{Active, Built, Canary, Finding, Installed, Origin, Rollout, Step, Version},
    id::ConnectionId,
    name::{ConnectionKey, Technology},
};

const CONNECTORS: TableDefinition<'static, &'static str, &'static [u8]> = TableDefinition::new("connectors/1");
const VERSIONS: TableDefinition<'static, (&'static str, &'static str), &'static [u8]> =
    TableDefinition::new("connector_versions/1");

#[derive(Serialize, Deserialize)]
struct OldInstalled {
    name: String,
    technology: Technology,
    active: Option<Active>,
    canary: Option<Canary>,
    previous: Vec<String>,
    granted: BTreeSet<String>,
    rollout: Option<OldRollout>,
    revision: u64,
}

#[derive(Serialize, Deserialize)]
struct OldRollout {
    version: String,
    canary: Option<BTreeSet<ConnectionId>>,
    forced: bool,
    step: OldStep,
    findings: Vec<OldFinding>,
    by: Actor,
    at: Timestamp,
    revision: u64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum OldStep {
    Compatibility,
    Check,
    Promote,
    Done,
    Blocked,
    Ended,
}

#[derive(Serialize, Deserialize)]
struct OldFinding {
    step: OldStep,
    connection: Option<ConnectionKey>,
    blocks: bool,
    message: String,
}

#[derive(Serialize, Deserialize)]
struct OldVersion {
    connector: String,
    version: String,
    title: String,
    digest: String,
    size: u64,
    origin: Origin,
    signature: String,
    schema_digest: String,
    description_digest: String,
    permissions: Vec<String>,
    by: Option<Actor>,
    at: Timestamp,
    taken_back: Option<String>,
}

/// Rewrites the rows of two tables.
pub(super) fn migrate(transaction: &WriteTransaction, rows: &mut WriteRows<'_>) -> Result<(), Fault> {
    {
        let connectors = transaction.open_table(CONNECTORS)?;
        for row in connectors.iter()? {
            let (name, row) = row?;
            rows.connectors.insert(name.value(), encode(&connector(decode(row.value())?))?.as_slice())?;
        }
        let versions = transaction.open_table(VERSIONS)?;
        for row in versions.iter()? {
            let (key, row) = row?;
            rows.connector_versions.insert(key.value(), encode(&version(decode(row.value())?))?.as_slice())?;
        }
    }
    transaction.delete_table(CONNECTORS)?;
    transaction.delete_table(VERSIONS)?;
    Ok(())
}

fn connector(old: OldInstalled) -> Installed {
    Installed {
        name: old.name,
        technology: old.technology,
        active: old.active,
        canary: old.canary,
        previous: old.previous,
        granted: old.granted,
        rollout: old.rollout.map(rollout),
        revision: old.revision,
        declined: BTreeSet::new(),
    }
}

fn rollout(old: OldRollout) -> Rollout {
    Rollout {
        version: old.version,
        canary: old.canary,
        shadow: false,
        forced: old.forced,
        step: step(old.step),
        findings: old.findings.into_iter().map(finding).collect(),
        by: Some(old.by),
        at: old.at,
        began: old.revision,
        revision: old.revision,
    }
}

fn finding(old: OldFinding) -> Finding {
    let OldFinding { step: found, connection, blocks, message } = old;
    Finding { step: step(found), connection, blocks, job: None, message }
}

fn step(old: OldStep) -> Step {
    match old {
        OldStep::Compatibility => Step::Compatibility,
        OldStep::Check => Step::Check,
        OldStep::Promote => Step::Promote,
        OldStep::Done => Step::Done,
        OldStep::Blocked => Step::Blocked,
        OldStep::Ended => Step::Ended,
    }
}

fn version(old: OldVersion) -> Version {
    Version {
        connector: old.connector,
        version: old.version,
        title: old.title,
        digest: old.digest,
        size: old.size,
        origin: old.origin,
        signature: old.signature,
        schema_digest: old.schema_digest,
        description_digest: old.description_digest,
        permissions: old.permissions,
        by: old.by,
        at: old.at,
        taken_back: old.taken_back,
        built: Built::default(),
    }
}

#[cfg(test)]
mod tests;
