//! Storing a change that was tried: with secrets as they are by then, and only as the version takes it that serves by then.

use std::sync::Arc;

use super::{no_such_object, payload::UpdateConnection, refused, seal, trial::Rotated};
use crate::{
    api::{ApiState, error::ApiError},
    connector::{Connector, Registration},
    db::connections::{ConnectionError, ConnectionUpdate},
    egress::vault::Secrets,
    model::{connection::Connection, job::Job},
};

/// Times that a change is put together again because somebody else changed something in between.
pub(super) const TRIES: u32 = 5;

/// What stands in the store after it.
type Stored = (Connection, Option<Job>);

/// The secrets of a change that was tried.
pub(super) struct Tried {
    /// As they were stored when the change was made from them.
    pub(super) before: Secrets,
    /// As the platform replaced them in the try, where it did.
    pub(super) rotated: Option<Rotated>,
}

impl Tried {
    /// Stores a change as the version takes it that serves the connection then: where another one took over since, that
    /// admits the payload again. It is not tried again, as those are not that were stored before a version took over.
    pub(super) async fn store_as_served(
        &self,
        state: &ApiState,
        connection: &Connection,
        (body, known): (&UpdateConnection, Option<&Secrets>),
        update: ConnectionUpdate,
        mut admitted: (Arc<Connector>, Registration),
    ) -> Result<Stored, ApiError> {
        for _ in 0..TRIES {
            let (connector, registration) = &admitted;
            let update = ConnectionUpdate {
                config: registration.config.clone(),
                address: registration.address.clone(),
                host_managed: registration.host_managed.clone(),
                admitted_by: Some(connector.digest.clone()),
                ..update.clone()
            };
            if let Some(stored) = self.store(state, connection, update, &registration.secrets).await? {
                return Ok(stored);
            }
            state.registry.look_again().await;
            let served_by = body.served_by(state, connection).await;
            let again = body.clone().admit(state, connection, known.cloned(), served_by)?;
            admitted = again.tried.ok_or_else(|| refused(ConnectionError::Served))?;
        }
        Err(refused(ConnectionError::Served))
    }

    /// Stores a change with its secrets. What was tried was made from the connection as it was read: somebody else's
    /// change in between must not be lost, nor a secret that the platform has replaced. None where another version serves.
    async fn store(
        &self,
        state: &ApiState,
        connection: &Connection,
        update: ConnectionUpdate,
        asked: &Secrets,
    ) -> Result<Option<Stored>, ApiError> {
        let (id, based_on) = (connection.id, Some(connection.revision));
        for _ in 0..TRIES {
            let (_, sealed) = state.db.connection_with_secrets(id).await?.ok_or_else(no_such_object)?;
            let stored = state.vault.open(id, &sealed).unwrap_or_default();
            let secrets = Some(seal(state, id, &self.latest(asked, &stored))?);
            let update = ConnectionUpdate { secrets, secrets_were: Some(sealed), ..update.clone() };
            match state.db.update_connection(id, update, based_on, state.clock.now()).await {
                Err(ConnectionError::Secrets) => {}
                Err(ConnectionError::Served) => return Ok(None),
                done => return done.map(Some).map_err(refused),
            }
        }
        Err(refused(ConnectionError::Secrets))
    }

    /// What the payload does not change stays as the store has it now: the platform may have replaced it meanwhile, in
    /// the try or in a sync that runs.
    fn latest(&self, asked: &Secrets, stored: &Secrets) -> Secrets {
        let mut secrets = asked.clone();
        if let Some(rotated) = &self.rotated {
            secrets.0.extend(rotated.secrets.0.clone());
        }
        for (name, value) in &mut secrets.0 {
            if self.before.0.get(name) == asked.0.get(name)
                && let Some(now) = stored.0.get(name)
            {
                *value = now.clone();
            }
        }
        secrets
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn secrets(refresh: &str, client: &str) -> Secrets {
        let pairs = [("refresh", refresh), ("client", client)];
        Secrets(pairs.map(|(name, value)| (name.to_owned(), Zeroizing::new(value.to_owned()))).into())
    }

    #[test]
    fn what_a_payload_does_not_change_is_taken_from_the_store() {
        let latest = |asked: Secrets, rotated: Option<Secrets>| {
            let rotated = rotated.map(|secrets| Rotated { secrets, only_here: Vec::new() });
            Tried { before: secrets("one", "known"), rotated }.latest(&asked, &secrets("two", "known"))
        };
        assert_eq!(latest(secrets("one", "new"), None), secrets("two", "new"));
        let by_hand = latest(secrets("by hand", "known"), Some(secrets("after it", "known")));
        assert_eq!(by_hand, secrets("after it", "known"));
        let used = latest(secrets("one", "known"), Some(secrets("old news", "known")));
        assert_eq!(used, secrets("two", "known"));
    }
}
