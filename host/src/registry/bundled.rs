//! At the start: what is inside the binary is installed, and files that nobody names are removed.

use std::collections::BTreeSet;

use anyhow::Context as _;

use super::{InstallError, Registry, sha256};
use crate::{
    connector::bundled::BUNDLED,
    db::connectors::ConnectorError,
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

    /// Installs what is inside the binary, where it is not, and lets it take the place of what the host chose before.
    pub(super) async fn take_in(&self, only: Option<&[&str]>) -> anyhow::Result<()> {
        let wanted = BUNDLED.iter().filter(|(name, _)| only.is_none_or(|only| only.contains(name)));
        for (name, bytes) in wanted {
            let version =
                self.take_in_one(bytes).await.with_context(|| format!("install the bundled connector {name}"))?;
            if let Some(version) = version
                && self.promote_bundled(&version).await?
            {
                let (connector, version) = (version.connector, version.version);
                tracing::info!(connector, version, "a bundled connector is active");
            }
        }
        // Those that an earlier build had inside under the same version.
        self.sweep().await
    }

    /// Before the host serves anybody: nothing changes meanwhile.
    async fn promote_bundled(&self, version: &Version) -> Result<bool, ConnectorError> {
        let db = &self.parts().db;
        let Some((connector, versions)) = db.connector(&version.connector).await? else { return Ok(false) };
        let mut expected = connector.clone();
        expected.promote(&version.version, None, None, self.now());
        let restore = self.comes_back(&connector, &expected, &versions).await?;
        db.promote_bundled(&version.connector, &version.version, restore, self.now()).await
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
        let version = self.version(&connector, bytes.len(), Origin::Bundled, "bundled".into(), None);
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
