//! Stored secrets that the platform replaces while it issues a grant.
//!
//! The new one is stored before anything else happens with the answer, and the attempt that got it is not ended by
//! whoever waits for it. What remains is the time between the platform's answer and the store's: a host that is killed
//! just then has lost the secret, and people must enter another one.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::instrument::{Instrument as _, WithSubscriber as _};
use zeroize::Zeroizing;

use super::{Credential, DETACHED, Fate, Keeper, whole};
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

/// Longest between them, once the session is over: each is twice the one before.
const MAX_PAUSE: Duration = Duration::from_secs(10);

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

    /// Before an exchange: stores what could not be stored before, and takes over what other sessions of the connection
    /// have stored meanwhile, because what this one holds is dead then. Without either nothing may be spent.
    pub(super) async fn settle(&self) -> Result<(), SendError> {
        let persisted = self.recipe.persisted();
        let Some(keeper) = self.with.keep.as_ref().filter(|_| !persisted.is_empty()) else { return Ok(()) };
        self.keep_all().await?;
        let stored = keeper.store.current(keeper.connection, &keeper.places).await.map_err(|error| {
            let text = "the stored secrets could not be read";
            SendError::new(SendErrorKind::Unavailable, text).for_operator(format!("{text}: {error}"))
        })?;
        let Some(stored) = stored else { return Ok(()) };
        let context = self.context();
        for property in persisted {
            if let Some(value) = stored.0.get(property)
                && !keeper.brought.contains(property)
                && context.secrets.0.get(property) != Some(value)
            {
                self.use_secret(property, value.clone());
            }
        }
        Ok(())
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

    pub(super) fn has_open(&self) -> bool {
        whole(&self.rotated).values().any(|fate| matches!(fate, Fate::Open(_)))
    }

    /// What must still be stored.
    fn open(&self, keeper: &Keeper) -> Vec<Rotation> {
        let context = self.context();
        let open = |(property, fate): (&String, &Fate)| {
            let Fate::Open(was) = fate else { return None };
            let new = context.secrets.0.get(property)?.clone();
            Some(Rotation {
                connection: keeper.connection,
                property: property.clone(),
                was: was.clone(),
                new,
                places: keeper.places.clone(),
            })
        };
        whole(&self.rotated).iter().filter_map(open).collect()
    }

    async fn keep_all(&self) -> Result<(), SendError> {
        let Some(keeper) = &self.with.keep else { return Ok(()) };
        for rotation in self.open(keeper) {
            let mut result = keeper.store.replace(rotation.clone()).await;
            for _ in 1..TRIES {
                if result.is_ok() {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
                result = keeper.store.replace(rotation.clone()).await;
            }
            let kept = result.map_err(|error| {
                let text = "the platform replaced a stored secret, and the new one could not be stored";
                SendError::new(SendErrorKind::Unavailable, text)
                    .for_operator(format!("{text}: `{}`: {error}", rotation.property))
            })?;
            tell(&rotation, kept);
            let fate = match kept {
                Kept::Stored => Fate::Stored,
                Kept::Superseded => Fate::Here,
            };
            whole(&self.rotated).insert(rotation.property, fate);
        }
        Ok(())
    }

    /// Goes on with storing in a task of its own, because nobody comes back to it. As long as it tries, no other session
    /// spends what is stored.
    pub(super) fn keep_on(&self) {
        let (Some(keeper), Some(runtime)) = (&self.with.keep, &self.with.runtime) else { return };
        let open = self.open(keeper);
        if open.is_empty() {
            return;
        }
        let (keeper, turn) = (keeper.clone(), whole(&self.held).take());
        let task = async move {
            let end = Instant::now() + DETACHED;
            for rotation in open {
                let mut pause = PAUSE;
                loop {
                    match keeper.store.replace(rotation.clone()).await {
                        Ok(kept) => break tell(&rotation, kept),
                        Err(error) if Instant::now() + pause >= end => {
                            break tracing::error!(
                                connection = %rotation.connection, property = rotation.property, %error,
                                "the platform replaced a stored secret, and the new one is lost: enter another one"
                            );
                        }
                        Err(_) => tokio::time::sleep(pause).await,
                    }
                    pause = (pause * 2).min(MAX_PAUSE);
                }
            }
            drop(turn);
        };
        drop(self.with.attempts.spawn_on(task.in_current_span().with_current_subscriber(), runtime));
    }

    fn use_secret(&self, property: &str, value: Zeroizing<String>) {
        let context = self.context().with_secret(property, value, &self.recipe.lets);
        *whole(&self.context) = Arc::new(context);
    }
}

fn tell(rotation: &Rotation, kept: Kept) {
    let Rotation { connection, property, .. } = rotation;
    match kept {
        Kept::Stored => {
            tracing::info!(%connection, property, "the platform replaced a secret; the new one is stored");
        }
        Kept::Superseded => tracing::info!(
            %connection, property,
            "the platform replaced a secret that is no longer the stored one; the new one is not stored"
        ),
    }
}
