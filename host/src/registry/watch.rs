//! A version that turns bad is taken back without anybody's help.
//!
//! Looks after each failure that counts against a connector. The rule is the model's ([`is_worse`]); what it compares with
//! is how the version before did when it was replaced, or, for a canary, how the active one does at the same time.

use tokio_util::sync::CancellationToken;

use super::Registry;
use crate::{
    connector::Connector,
    db::connectors::{Cause, WithVersions},
    model::connector::{Tally, is_worse},
};

/// Watches until the host goes down.
pub(super) async fn run(registry: Registry, shutdown: CancellationToken) {
    let work = async {
        loop {
            registry.parts().connectors.troubled().notified().await;
            registry.judge().await;
        }
    };
    shutdown.run_until_cancelled(work).await;
}

/// How a version did lately.
pub(super) fn tally(connector: &Connector) -> Tally {
    let health = connector.health();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Tally { operations: count(health.recent.len()), failures: count(health.recent_failures()) }
}

impl Registry {
    /// Takes back what is worse than what was there before it.
    async fn judge(&self) {
        let all = match self.parts().db.connectors().await {
            Ok(all) => all,
            Err(error) => {
                return tracing::error!(error = &error as &dyn std::error::Error, "connectors cannot be judged");
            }
        };
        for one in &all {
            let Some((version, recent, before)) = self.worse(one) else { continue };
            let name = one.0.name.as_str();
            let why = format!(
                "{} of its last {} operations failed, {} of {} did before it",
                recent.failures, recent.operations, before.failures, before.operations
            );
            tracing::error!(connector = name, version, why, "a version is taken back");
            // What was taken back or replaced meanwhile is not there any more, and that is as well.
            if let Err(error) = self.roll_back(name, Cause::Bad { version, why }).await {
                tracing::warn!(%error, connector = name, "it was not taken back");
            }
        }
    }

    /// A version that is to be taken back, with how it did and what that is compared with.
    fn worse(&self, (connector, versions): &WithVersions) -> Option<(String, Tally, Tally)> {
        let lately = |version: &str| {
            let version = versions.iter().find(|found| found.version == version)?;
            Some(tally(&*self.loaded(&version.digest)?))
        };
        let active = connector.active.as_ref()?;
        if let Some(canary) = &connector.canary
            && let (Some(recent), Some(before)) = (lately(&canary.version), lately(&active.version))
            && is_worse(recent, before)
        {
            return Some((canary.version.clone(), recent, before));
        }
        let (recent, before) = (lately(&active.version)?, active.before?);
        let can_go_back = !connector.previous.is_empty();
        (can_go_back && is_worse(recent, before)).then(|| (active.version.clone(), recent, before))
    }
}
