//! Secrets that platforms replace, put into the store: where the vault, the store and the way out meet.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{
    db::WeakDb,
    egress::{
        keep::{Destination, Keep, Kept, NotKept, Rotation},
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
    fn current<'a>(
        &'a self,
        connection: ConnectionId,
        places: &'a Destination,
    ) -> BoxFuture<'a, Result<Option<Secrets>, NotKept>> {
        Box::pin(async move {
            let db = self.db.upgrade().ok_or_else(ended)?;
            let read = db.connection_with_secrets(connection).await.map_err(|error| NotKept(error.to_string()))?;
            let meant = read.filter(|(found, _)| places.is_of(&found.address, &found.config));
            Ok(meant.and_then(|(_, sealed)| self.vault.open(connection, &sealed).ok()))
        })
    }

    fn replace(&self, rotation: Rotation) -> BoxFuture<'_, Result<Kept, NotKept>> {
        Box::pin(async move {
            let db = self.db.upgrade().ok_or_else(ended)?;
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

fn ended() -> NotKept {
    NotKept("the host has ended".to_owned())
}

#[cfg(test)]
mod tests;
