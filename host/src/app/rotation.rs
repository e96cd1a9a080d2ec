//! Secrets that platforms replace, put into the store: where the vault, the store and the way out meet.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{
    db::{
        WeakDb,
        connectors::{KeptSecrets, WithKept},
    },
    egress::{
        keep::{Destination, Keep, Kept, NotKept, Rotation},
        vault::{Secrets, Vault},
    },
    model::{connection::Sealed, id::ConnectionId},
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
                let read = db.connection_with_kept(rotation.connection).await;
                let Some(found) = read.map_err(|error| NotKept(error.to_string()))? else {
                    return Ok(Kept::Superseded);
                };
                let present = self.with_new(&rotation, &found.secrets)?;
                let kept = self.kept_too(&rotation, &found)?;
                let done = if present.is_some() { Kept::Stored } else { Kept::Superseded };
                if present.is_none() && kept.is_empty() {
                    return Ok(done);
                }
                let new = present.unwrap_or_else(|| found.secrets.clone());
                let stored = db.replace_secrets(rotation.connection, found.secrets, new, kept).await;
                if stored.map_err(|error| NotKept(error.to_string()))? {
                    return Ok(done);
                }
            }
            Err(NotKept("the secrets kept changing".to_owned()))
        })
    }
}

impl Rotations {
    /// Secrets with the new one in its place; none where they do not hold the one that it replaces.
    fn with_new(&self, rotation: &Rotation, sealed: &Sealed) -> Result<Option<Sealed>, NotKept> {
        let Ok(mut secrets) = self.vault.open(rotation.connection, sealed) else { return Ok(None) };
        if secrets.0.get(&rotation.property) != rotation.was.as_ref() {
            return Ok(None);
        }
        secrets.0.insert(rotation.property.clone(), rotation.new.clone());
        let new = self.vault.seal(rotation.connection, &secrets);
        new.map(Some).map_err(|error| NotKept(error.to_string()))
    }

    /// What is kept for versions and holds the same secret for the same places: the platform takes the old one no more, and
    /// a version that comes back must not be locked out.
    fn kept_too(&self, rotation: &Rotation, found: &WithKept) -> Result<Vec<KeptSecrets>, NotKept> {
        let mut replaced = Vec::new();
        if rotation.was.is_none() {
            return Ok(replaced);
        }
        for kept in found.kept.iter().filter(|kept| rotation.places.is_of(&kept.address, &kept.config)) {
            if let Some(new) = self.with_new(rotation, &kept.secrets)? {
                replaced.push(KeptSecrets { version: kept.version.clone(), was: kept.secrets.clone(), new });
            }
        }
        Ok(replaced)
    }
}

fn ended() -> NotKept {
    NotKept("the host has ended".to_owned())
}

#[cfg(test)]
mod tests;
