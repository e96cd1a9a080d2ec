//! At the start: what is inside the binary is installed, and files that nobody names are removed.

use std::collections::BTreeSet;

use anyhow::Context as _;

use super::{InstallError, Registry, sha256};
use crate::{
    connector::bundled::BUNDLED,
    db::connectors::{Brought, ConnectorError},
    model::connector::{Origin, Version},
};

impl Registry {
    /// Removes what an install or a removal that a crash cut short has left.
    pub(super) async fn sweep(&self) -> anyhow::Result<()> {
        let installed = self.parts().db.connectors().await?;
        let known: BTreeSet<String> = installed.into_iter().flat_map(|(_, v)| v).map(|v| v.digest).collect();
        let removed = self.with_files(move |files| files.sweep(&known)).await.context("look at the components")?;
        if removed > 0 {
            tracing::info!(removed, "removed files of components that are not installed");
        }
        Ok(())
    }

    /// Installs what is inside the binary, where it is not. It serves where nothing does; what the host chose before, it
    /// begins to take the place of as any version does, once the host has started.
    pub(super) async fn take_in(&self, only: Option<&[&str]>) -> anyhow::Result<()> {
        let wanted = BUNDLED.iter().filter(|(name, _)| only.is_none_or(|only| only.contains(name)));
        for (name, bytes) in wanted {
            let version =
                self.take_in_one(bytes).await.with_context(|| format!("install the bundled connector {name}"))?;
            if let Some(version) = version {
                let db = &self.parts().db;
                let (connector, version) = (&version.connector, &version.version);
                match db.bring(connector, version, self.now()).await? {
                    Brought::Nothing => {}
                    Brought::Active => tracing::info!(connector, version, "a bundled connector is active"),
                    Brought::Begun => tracing::info!(connector, version, "a bundled connector is about to take over"),
                }
            }
        }
        // Those that an earlier build had inside under the same version.
        self.sweep().await
    }

    /// None where something else stands in its place.
    async fn take_in_one(&self, bytes: &'static [u8]) -> anyhow::Result<Option<Version>> {
        let digest = sha256(bytes);
        let installed = self.parts().db.connectors().await?;
        let known = installed.into_iter().flat_map(|(_, versions)| versions).find(|version| version.digest == digest);
        if let Some(version) = known {
            // Compiled and described before. Its file may still have come to harm.
            let is_whole = self.with_files(move |files| Ok(files.is_whole(&digest))).await?;
            if !is_whole {
                let digest = version.digest.clone();
                self.with_files(move |files| files.put(&digest, bytes)).await.context("write the component")?;
            }
            return Ok(Some(version));
        }
        let connector = self.parts().connectors.prepare(bytes).await?;
        let version = self.version(&connector, bytes, Origin::Bundled, "bundled".into(), None);
        self.with_files(move |files| files.put(&digest, bytes)).await.context("write the component")?;
        let technology = connector.descriptor.technology.clone();
        super::lock(&self.shared.loaded).insert(connector.digest.clone(), connector);
        match self.parts().db.install_version(technology, version, self.now()).await {
            Ok(installation) => Ok(Some(installation.version)),
            Err(ConnectorError::Db(error)) => Err(error.into()),
            Err(error) => {
                let error = InstallError::Store(error).to_string();
                tracing::warn!(error, "a bundled connector is not installed: something else stands in its place");
                Ok(None)
            }
        }
    }
}
