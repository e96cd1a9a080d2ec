//! Secrets that platforms replace, put into the store: where the vault, the store and the way out meet.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{
    db::WeakDb,
    egress::{
        keep::{Keep, Kept, NotKept, Rotation},
        vault::{Secrets, Vault},
    },
    model::id::ConnectionId,
};

/// Times that a change is made again because somebody else changed the secrets in between.
const TRIES: u32 = 5;

/// Keeps them in the store. A session may outlive the application by a moment, and must not keep the store from the next
/// one.
pub(super) struct Rotations {
    pub(super) db: WeakDb,
    pub(super) vault: Arc<Vault>,
}

impl Keep for Rotations {
    fn current(&self, connection: ConnectionId, revision: u64) -> BoxFuture<'_, Option<Secrets>> {
        Box::pin(async move {
            let (found, sealed) = self.db.upgrade()?.connection_with_secrets(connection).await.ok().flatten()?;
            // Secrets of another revision may be meant for another address (D42).
            (found.revision == revision).then(|| self.vault.open(connection, &sealed).ok()).flatten()
        })
    }

    fn replace(&self, rotation: Rotation) -> BoxFuture<'_, Result<Kept, NotKept>> {
        Box::pin(async move {
            let db = self.db.upgrade().ok_or_else(|| NotKept("the host has ended".to_owned()))?;
            for _ in 0..TRIES {
                let read = db.connection_with_secrets(rotation.connection).await;
                let Some((_, sealed)) = read.map_err(|error| NotKept(error.to_string()))? else {
                    return Ok(Kept::Superseded);
                };
                let Ok(mut secrets) = self.vault.open(rotation.connection, &sealed) else {
                    return Ok(Kept::Superseded);
                };
                if secrets.0.get(&rotation.property) != rotation.was.as_ref() {
                    return Ok(Kept::Superseded);
                }
                secrets.0.insert(rotation.property.clone(), rotation.new.clone());
                let new = self.vault.seal(rotation.connection, &secrets);
                let new = new.map_err(|error| NotKept(error.to_string()))?;
                let stored = db.replace_secrets(rotation.connection, sealed, new).await;
                if stored.map_err(|error| NotKept(error.to_string()))? {
                    return Ok(Kept::Stored);
                }
            }
            Err(NotKept("the secrets kept changing".to_owned()))
        })
    }
}

#[cfg(test)]
mod tests;
