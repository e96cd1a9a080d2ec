//! Stored secrets that the platform replaces while it issues a grant.
//!
//! The new one is stored before anything else happens with the answer, and the attempt that got it is not ended by
//! whoever waits for it. What remains is the time between the platform's answer and the store's: a host that is killed
//! just then has lost the secret, and people must enter another one.

use std::{sync::Arc, time::Duration};

use zeroize::Zeroizing;

use super::{Credential, Fate, whole};
use crate::egress::{
    context::Grants,
    error::{SendError, SendErrorKind},
    keep::{Kept, Rotation},
    recipe::Exchange,
    vault::Secrets,
};

/// Times that storing is tried.
const TRIES: u32 = 3;

/// Between them.
const PAUSE: Duration = Duration::from_millis(200);

impl Credential {
    /// The secrets as they are now, where the platform has replaced any of them, with the names of those that are not
    /// stored.
    pub(in crate::egress) async fn rotated(&self) -> Option<(Secrets, Vec<String>)> {
        // An attempt under way may be about to replace one.
        let _turn = self.turn.lock().await;
        let rotated = whole(&self.rotated);
        let only_here = rotated.iter().filter(|(_, fate)| !matches!(fate, Fate::Stored)).map(|(name, _)| name.clone());
        (!rotated.is_empty()).then(|| (self.context().secrets.clone(), only_here.collect()))
    }

    /// Takes over what other sessions of the connection have stored meanwhile: what this one holds is dead then.
    pub(super) async fn adopt(&self) {
        let persisted = self.recipe.persisted();
        let Some((keep, connection, Some(revision))) = &self.with.keep else { return };
        if persisted.is_empty() {
            return;
        }
        let Some(stored) = keep.current(*connection, *revision).await else { return };
        let context = self.context();
        for property in persisted {
            let open = matches!(whole(&self.rotated).get(property), Some(Fate::Open(_)));
            if let Some(value) = stored.0.get(property)
                && !open
                && context.secrets.0.get(property) != Some(value)
            {
                self.use_secret(property, value.clone());
            }
        }
    }

    /// Keeps what an answer brings in place of stored secrets.
    pub(super) async fn rotate(&self, exchange: &Exchange, taken: &Grants) -> Result<(), SendError> {
        for (name, take) in &exchange.take {
            let (Some(property), Some(new)) = (&take.persist, taken.get(name)) else { continue };
            let was = self.context().secrets.0.get(property).cloned();
            if was.as_ref() == Some(&new.text) {
                continue;
            }
            // Here first: should the store fail, the next attempt goes on with the one that the platform knows.
            self.use_secret(property, new.text.clone());
            let mut rotated = whole(&self.rotated);
            match (rotated.get(property), &self.with.keep) {
                // The store still holds what stood there before the one that could not be stored.
                (Some(Fate::Open(_)), _) => {}
                (_, Some(_)) => drop(rotated.insert(property.clone(), Fate::Open(was))),
                (_, None) => drop(rotated.insert(property.clone(), Fate::Here)),
            }
        }
        self.keep_all().await
    }

    async fn keep_all(&self) -> Result<(), SendError> {
        let Some((keep, connection, _)) = &self.with.keep else { return Ok(()) };
        let open: Vec<(String, Option<Zeroizing<String>>)> = {
            let rotated = whole(&self.rotated);
            let open = |(name, fate): (&String, &Fate)| match fate {
                Fate::Open(was) => Some((name.clone(), was.clone())),
                Fate::Stored | Fate::Here => None,
            };
            rotated.iter().filter_map(open).collect()
        };
        for (property, was) in open {
            let Some(new) = self.context().secrets.0.get(&property).cloned() else { continue };
            let rotation = Rotation { connection: *connection, property: property.clone(), was, new };
            let mut result = keep.replace(rotation.clone()).await;
            for _ in 1..TRIES {
                if result.is_ok() {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
                result = keep.replace(rotation.clone()).await;
            }
            let fate = match result {
                Ok(Kept::Stored) => {
                    tracing::info!(%connection, property, "the platform replaced a secret; the new one is stored");
                    Fate::Stored
                }
                Ok(Kept::Superseded) => {
                    tracing::info!(
                        %connection, property,
                        "the platform replaced a secret that is no longer the stored one; the new one is not stored"
                    );
                    Fate::Here
                }
                Err(error) => {
                    let text = "the platform replaced a stored secret, and the new one could not be stored";
                    return Err(SendError::new(SendErrorKind::Unavailable, text)
                        .for_operator(format!("{text}: `{property}`: {error}")));
                }
            };
            whole(&self.rotated).insert(property, fate);
        }
        Ok(())
    }

    fn use_secret(&self, property: &str, value: Zeroizing<String>) {
        let context = self.context().with_secret(property, value, &self.recipe.lets);
        *whole(&self.context) = Arc::new(context);
    }
}
