//! Changes of version: each step is read from the store, carried out, and what it found stored with the next one. So a
//! restart goes on where it was; a step that was cut short is done again, and changes nothing but what is stored at its end.
//!
//! Only what worked before and would not any more stands in the way.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, future::join_all, stream};
use tokio_util::sync::CancellationToken;

use super::{Registry, watch::tally};
use crate::{
    connector::Connector,
    db::{DbError, connectors::ConnectorError},
    model::{
        connection::{Connection, Sealed},
        connector::{Finding, Installed, Rollout, Step, Version},
        sight::Sight,
    },
};

/// Connections that are checked at the same time.
const SIDE_BY_SIDE: usize = 4;

/// How long to wait after the store failed.
const PAUSE: Duration = Duration::from_secs(1);

/// What stands in the way is told of so many connections.
const TOLD: usize = 100;

/// Carries out what is asked for until the host goes down.
pub(super) async fn run(registry: Registry, shutdown: CancellationToken) {
    let work = async {
        loop {
            match registry.under_way().await {
                Ok(found) if found.is_empty() => registry.shared.asked.notified().await,
                Ok(found) => {
                    for done in
                        join_all(found.iter().map(|(connector, version)| registry.step(connector, version))).await
                    {
                        if let Err(error) = done {
                            tracing::error!(error = &error as &dyn std::error::Error, "a step of an activation failed");
                            tokio::time::sleep(PAUSE).await;
                        }
                    }
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "activations cannot be looked for");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    shutdown.run_until_cancelled(work).await;
}

impl Registry {
    async fn under_way(&self) -> Result<Vec<(Installed, Version)>, DbError> {
        let all = self.parts().db.connectors().await?.into_iter();
        let found = all.filter_map(|(connector, versions)| {
            let wanted = &connector.under_way()?.version;
            let version = versions.into_iter().find(|version| version.version == *wanted)?;
            Some((connector, version))
        });
        Ok(found.collect())
    }

    /// Carries out the next step.
    async fn step(&self, connector: &Installed, version: &Version) -> Result<(), DbError> {
        let Some(rollout) = connector.under_way() else { return Ok(()) };
        let db = &self.parts().db;
        let name = connector.name.as_str();
        tracing::info!(
            connector = name,
            version = version.version,
            step = rollout.step.as_str(),
            "activating a connector"
        );
        let candidate = match self.load(version).await {
            Ok(candidate) => candidate,
            Err(error) => {
                let message = format!("it cannot be loaded: {}", error.why);
                let finding = Finding { step: rollout.step, connection: None, blocks: true, message };
                db.note_step(name, rollout.revision, Step::Blocked, vec![finding], self.now()).await?;
                return Ok(());
            }
        };
        let (next, findings) = match rollout.step {
            Step::Compatibility => (Step::Check, self.compatibility(rollout, connector, &candidate).await?),
            Step::Check => (Step::Promote, self.checks(rollout, connector, &candidate).await?),
            Step::Promote => return self.promote(connector, rollout).await,
            Step::Done | Step::Blocked | Step::Ended => return Ok(()),
        };
        let is_blocked = !rollout.forced && findings.iter().any(|finding| finding.blocks);
        let next = if is_blocked { Step::Blocked } else { next };
        if is_blocked {
            tracing::warn!(connector = name, version = version.version, "the activation is blocked");
        }
        db.note_step(name, rollout.revision, next, findings, self.now()).await?;
        Ok(())
    }

    async fn promote(&self, connector: &Installed, rollout: &Rollout) -> Result<(), DbError> {
        let serving = self.parts().connectors.by_technology(&connector.technology);
        let before = connector.active.as_ref().and(serving).map(|active| tally(&active));
        let mut expected = connector.clone();
        match &rollout.canary {
            Some(connections) => expected.try_out(&rollout.version, connections.clone()),
            None => expected.promote(&rollout.version, None, None, self.now()),
        }
        // Where a canary ends, its connections are served by this version too, or by the one that is active.
        let Some((_, versions)) = self.parts().db.connector(&connector.name).await? else { return Ok(()) };
        let restore = self.comes_back(connector, &expected, &versions).await?;
        match self.parts().db.promote(&connector.name, rollout.revision, before, restore, self.now()).await {
            Ok(true) => {
                self.look_again().await;
                tracing::info!(connector = connector.name, version = rollout.version, "the connector serves");
                Ok(())
            }
            // It is over.
            Ok(false) => Ok(()),
            Err(ConnectorError::Db(error)) => Err(error),
            // A connection was changed meanwhile: the step is done again.
            Err(_) => Ok(()),
        }
    }

    /// The connections that the version would serve, with their secrets.
    async fn audience(&self, connector: &Installed, rollout: &Rollout) -> Result<Vec<(Connection, Sealed)>, DbError> {
        let mut found = Vec::new();
        for connection in self.parts().db.connections(&Sight::All).await? {
            let is_meant = match &rollout.canary {
                Some(chosen) => chosen.contains(&connection.id),
                None => connection.options.pin.is_none(),
            };
            if is_meant
                && connection.technology == connector.technology
                && let Some(with_secrets) = self.parts().db.connection_with_secrets(connection.id).await?
            {
                found.push(with_secrets);
            }
        }
        Ok(found)
    }

    async fn compatibility(
        &self,
        rollout: &Rollout,
        connector: &Installed,
        candidate: &Connector,
    ) -> Result<Vec<Finding>, DbError> {
        let mut findings = Vec::new();
        for (connection, sealed) in self.audience(connector, rollout).await? {
            let (then, with) = self.as_served_by(candidate, connector, &connection, &sealed).await?;
            let Err(why) = self.fits(candidate, &then, &with) else { continue };
            let old = self.parts().connectors.of(connection.id, &connection.technology);
            let fitted = old.is_some_and(|old| self.fits(&old, &connection, &sealed).is_ok());
            findings.push(finding(Step::Compatibility, &connection, fitted, "its configuration does not fit", &why));
        }
        Ok(told(findings))
    }

    async fn checks(
        &self,
        rollout: &Rollout,
        connector: &Installed,
        candidate: &Connector,
    ) -> Result<Vec<Finding>, DbError> {
        let audience = self.audience(connector, rollout).await?;
        let each: Vec<_> =
            audience.iter().map(|(one, sealed)| self.compare(candidate, connector, one, sealed)).collect();
        let found: Vec<Option<Finding>> = stream::iter(each).buffered(SIDE_BY_SIDE).try_collect().await?;
        Ok(told(found.into_iter().flatten().collect()))
    }

    /// The version that serves is asked only where the new one fails.
    async fn compare(
        &self,
        candidate: &Connector,
        connector: &Installed,
        connection: &Connection,
        sealed: &Sealed,
    ) -> Result<Option<Finding>, DbError> {
        let (then, with) = self.as_served_by(candidate, connector, connection, sealed).await?;
        let Err(why) = self.works(candidate, &then, &with).await else { return Ok(None) };
        let old = self.parts().connectors.of(connection.id, &connection.technology);
        let worked = match old {
            Some(old) => self.works(&old, connection, sealed).await.is_ok(),
            None => false,
        };
        Ok(Some(finding(Step::Check, connection, worked, "the check fails", &why)))
    }
}

/// As many as are told: what stands in the way first, so that nothing of it is left out for something that does not.
fn told(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| !finding.blocks);
    findings.truncate(TOLD);
    findings
}

fn finding(step: Step, connection: &Connection, blocks: bool, what: &str, why: &str) -> Finding {
    let before =
        if blocks { "it does not with the version that serves" } else { "as it does with the version that serves" };
    let message = format!("connection {}: {what} ({before}): {why}", connection.key);
    Finding { step, connection: Some(connection.key.clone()), blocks, message }
}
