//! Changes of version: each step is read from the store, carried out, and what it found stored with the next one. So a
//! restart goes on where it was; a step that was cut short is done again, and changes nothing but what is stored at its end.
//! Each connector's goes on by itself, so that a slow check of one delays no other.
//!
//! Only what worked before and would not any more stands in the way.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::task::JoinSet;
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

/// Connections that are checked, or read, at the same time.
pub(super) const SIDE_BY_SIDE: usize = 4;

/// How long to wait after the store failed.
const PAUSE: Duration = Duration::from_secs(1);

/// What stands in the way is told of so many connections.
const TOLD: usize = 100;

/// Carries out what is asked for until the host goes down.
pub(super) async fn run(registry: Registry, shutdown: CancellationToken) {
    let mut workers = JoinSet::new();
    let mut names = HashMap::new();
    let work = async {
        loop {
            match registry.under_way().await {
                Ok(found) => {
                    let busy: BTreeSet<String> = names.values().cloned().collect();
                    for (connector, _) in found.into_iter().filter(|(found, _)| !busy.contains(&found.name)) {
                        let worker = workers.spawn(carry_out(registry.clone(), connector.name.clone()));
                        names.insert(worker.id(), connector.name);
                    }
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "activations cannot be looked for");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            }
            tokio::select! {
                () = registry.shared.asked.notified() => {}
                Some(ended) = workers.join_next_with_id(), if !workers.is_empty() => match ended {
                    Ok((worker, ())) => {
                        names.remove(&worker);
                    }
                    Err(error) => {
                        names.remove(&error.id());
                        tracing::error!(error = &error as &dyn std::error::Error, "an activation panicked");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
    };
    shutdown.run_until_cancelled(work).await;
    // What is under way goes on after the next start. Nobody holds on to the store when this has ended.
    workers.shutdown().await;
}

/// Carries out what is under way of one connector, to its end.
async fn carry_out(registry: Registry, name: String) {
    loop {
        let done = match registry.under_way().await {
            Ok(found) => match found.into_iter().find(|(connector, _)| connector.name == name) {
                Some((connector, version)) => registry.step(&connector, &version).await,
                None => return,
            },
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            tracing::error!(
                connector = name,
                error = &error as &dyn std::error::Error,
                "a step of an activation failed"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }
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
                let finding = Finding { step: rollout.step, connection: None, blocks: true, job: None, message };
                db.note_step(name, rollout.revision, Step::Blocked, vec![finding], self.now()).await?;
                return Ok(());
            }
        };
        let findings = match rollout.step {
            Step::Compatibility => self.compatibility(rollout, connector, &candidate).await?,
            Step::Check => self.checks(rollout, connector, &candidate).await?,
            Step::Shadow => self.shadow(connector, rollout, &candidate).await?,
            Step::Promote => return self.promote(connector, rollout).await,
            Step::Done | Step::Blocked | Step::Ended => return Ok(()),
        };
        let findings = told(findings);
        let is_blocked = !rollout.forced && findings.iter().any(|finding| finding.blocks);
        let next = if is_blocked { Step::Blocked } else { rollout.next() };
        if is_blocked {
            tracing::warn!(connector = name, version = version.version, "the activation is blocked");
        }
        db.note_step(name, rollout.revision, next, findings, self.now()).await?;
        if rollout.step == Step::Shadow {
            // What served only for this is let go.
            self.look_again().await;
        }
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
            Err(error) => {
                tracing::debug!(%error, connector = connector.name, "the connector does not serve yet");
                tokio::time::sleep(PAUSE).await;
                Ok(())
            }
        }
    }

    /// The connections that the version would serve, with their secrets.
    pub(super) async fn audience(
        &self,
        connector: &Installed,
        rollout: &Rollout,
    ) -> Result<Vec<(Connection, Sealed)>, DbError> {
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
        Ok(findings)
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
        Ok(found.into_iter().flatten().collect())
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
    Finding { step, connection: Some(connection.key.clone()), blocks, job: None, message }
}
