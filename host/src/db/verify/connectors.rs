//! Installed connectors: exactly one version of each serves, what is named is there, and each component lies in its file.

use std::collections::BTreeMap;

use redb::ReadableTable as _;

use super::{
    super::{
        connections,
        connectors::{KeptRow, ShadowRow},
        fault::Fault,
    },
    Absent, Check,
};
use crate::model::{
    connector::{AuditEntry, Installed, Version},
    id::{ConnectionId, JobId},
};

impl Check<'_> {
    pub(super) fn connectors(&mut self) -> Result<(), Fault> {
        let mut of_technology = BTreeMap::new();
        for row in self.rows.connectors.iter()? {
            let (key, row) = row?;
            let name = key.value();
            let Some(connector) = self.row::<Installed>("connectors", name, row.value()) else { continue };
            self.require(connector.name == name, "connectors", name, "the row is another connector's");
            let before = of_technology.insert(connector.technology.clone(), connector.clone());
            self.require(before.is_none(), "connectors", name, "another one serves the same technology");
            self.serves(&connector)?;
        }
        self.versions()?;
        self.pins(&of_technology)?;
        self.kept()?;
        self.shadows()?;
        for row in self.rows.audit.iter()? {
            let (number, row) = row?;
            self.row::<AuditEntry>("audit", number.value(), row.value());
        }
        Ok(())
    }

    /// What serves, tries out or stands by is installed. Where nothing serves, nothing ever has.
    fn serves(&mut self, connector: &Installed) -> Result<(), Fault> {
        let name = connector.name.as_str();
        let ever = connector.previous.is_empty() && connector.canary.is_none();
        self.require(connector.active.is_some() || ever, "connectors", name, "no version is active");
        let canary = connector.canary.iter().map(|canary| &canary.version);
        let named = connector.active.iter().map(|active| &active.version).chain(canary).chain(&connector.previous);
        for version in named {
            let is_there = self.rows.connector_versions.get((name, version.as_str()))?.is_some();
            self.require(is_there, "connectors", (name, version), "a version that it names is not installed");
        }
        let active = connector.active_version();
        let again = active.is_some_and(|active| connector.previous.iter().any(|previous| previous == active));
        self.require(!again, "connectors", name, "what is active is also what was before it");
        Ok(())
    }

    fn versions(&mut self) -> Result<(), Fault> {
        for row in self.rows.connector_versions.iter()? {
            let (key, row) = row?;
            let (name, version) = key.value();
            let key = (name, version);
            let Some(found) = self.row::<Version>("connector_versions", key, row.value()) else { continue };
            let is_own = (found.connector.as_str(), found.version.as_str()) == key;
            self.require(is_own, "connector_versions", key, "the row is another version's");
            let is_there = self.rows.connectors.get(name)?.is_some();
            self.require(is_there, "connector_versions", key, "the connector is not there");
            if !(self.outside.is_whole)(&found.digest) {
                let (connector, version) = (name.to_owned(), version.to_owned());
                self.absent.push(Absent { connector, version, digest: found.digest });
            }
        }
        Ok(())
    }

    fn pins(&mut self, of_technology: &BTreeMap<crate::model::name::Technology, Installed>) -> Result<(), Fault> {
        for row in self.rows.pins.iter()? {
            let (id, version) = row?;
            let key = ConnectionId::from_u128(id.value());
            let setup = connections::setup(self.rows, id.value()).ok().flatten();
            self.require(setup.is_some(), "pins", key, "the connection is not there");
            let Some(connector) = setup.and_then(|(technology, _)| of_technology.get(&technology)) else { continue };
            let is_there = self.rows.connector_versions.get((connector.name.as_str(), version.value()))?.is_some();
            self.require(is_there, "pins", key, "the version is not installed");
        }
        Ok(())
    }

    /// Whoever carries a job out, the job is there, and a dry run.
    fn shadows(&mut self) -> Result<(), Fault> {
        for row in self.rows.shadows.iter()? {
            let (job, row) = row?;
            let key = JobId::from_u128(job.value());
            self.row::<ShadowRow>("shadows", key, row.value());
            let is_there = self.rows.jobs.get(job.value())?.is_some() && self.rows.dry_runs.get(job.value())?.is_some();
            self.require(is_there, "shadows", key, "the job is not there, or no dry run");
        }
        Ok(())
    }

    fn kept(&mut self) -> Result<(), Fault> {
        for row in self.rows.kept_configs.iter()? {
            let (key, row) = row?;
            let (id, version) = key.value();
            let key = (ConnectionId::from_u128(id), version);
            self.row::<KeptRow>("kept_configs", key, row.value());
            let is_there = self.rows.connections.get(id)?.is_some();
            self.require(is_there, "kept_configs", key, "the connection is not there");
        }
        Ok(())
    }
}
