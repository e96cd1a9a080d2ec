//! Getting a grant: the steps of the recipe, renewal, and giving it back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::timeout_at;
use tracing::instrument::{Instrument as _, WithSubscriber as _};

use super::{Credential, Grant, RELEASE, State};
use crate::egress::{
    context::{Grants, With},
    error::{SendError, SendErrorKind},
    exchange::{self, Taken},
    recipe::{Exchange, Jwt, Seconds, Step},
    session::Budget,
    signing::{self, Signer},
};

/// How a grant is got.
pub(super) enum Way {
    /// From the beginning.
    Acquire,
    /// From the one before, where the recipe says how; from the beginning where that fails.
    Renew(Arc<Grant>),
}

impl Credential {
    /// Only with the turn.
    pub(super) async fn obtain(&self, way: Way, budget: &Budget) -> Result<Arc<Grant>, SendError> {
        self.settle().await?;
        if let (Way::Renew(old), Some(step)) = (way, &self.recipe.renew) {
            match self.renew(&step.exchange, &old, budget).await {
                Ok(grant) => return Ok(grant),
                Err(error) if matches!(error.kind, SendErrorKind::TimedOut | SendErrorKind::BudgetExhausted) => {
                    return Err(error);
                }
                Err(error) => tracing::debug!(
                    reason = error.operator.as_deref().unwrap_or(&error.message),
                    "a grant could not be renewed: another one is acquired"
                ),
            }
            self.settle().await?;
        }
        self.acquire(budget).await
    }

    /// Goes through the steps of the recipe.
    async fn acquire(&self, budget: &Budget) -> Result<Arc<Grant>, SendError> {
        let asked = Instant::now();
        let mut values = Grants::new();
        for step in &self.recipe.acquire {
            match step {
                Step::Jwt(jwt) => {
                    let signer = self.signer(jwt, budget).await?;
                    let context = self.context();
                    let with = With { context: &context, grants: &values };
                    let token = signing::sign(jwt, &signer, &with, self.with.clock.now().as_second())?;
                    values.insert(jwt.name.clone(), token);
                }
                Step::Exchange(exchange) => {
                    let taken = self.exchange(exchange, &values, budget).await?;
                    values.extend(taken);
                }
            }
        }
        self.put(values, asked)
    }

    /// Prolongs a grant: what the answer does not hold stays.
    async fn renew(&self, exchange: &Exchange, old: &Grant, budget: &Budget) -> Result<Arc<Grant>, SendError> {
        let asked = Instant::now();
        let mut values = old.values.clone();
        let taken = self.exchange(exchange, &values, budget).await?;
        values.extend(taken);
        self.put(values, asked)
    }

    async fn exchange(&self, exchange: &Exchange, values: &Grants, budget: &Budget) -> Result<Grants, SendError> {
        let context = self.context();
        let with = With { context: &context, grants: values };
        let Taken { grants, lacks } = exchange::run(exchange, &with, self.means(budget)).await?;
        self.rotate(exchange, &grants).await?;
        lacks.map_or(Ok(grants), Err)
    }

    /// Makes the values the session's grant.
    fn put(&self, values: Grants, asked: Instant) -> Result<Arc<Grant>, SendError> {
        let lifetime = self.lifetime(&values)?;
        let generation = self.state().grant.as_ref().map_or(1, |grant| grant.generation + 1);
        // Nobody else puts one meanwhile: this task has the turn.
        let grant = Arc::new(self.grant_of(generation, values, lifetime.map(|lifetime| (asked, lifetime))));
        *self.state() = State { grant: Some(Arc::clone(&grant)), early_again: None };
        Ok(grant)
    }

    fn lifetime(&self, values: &Grants) -> Result<Option<Duration>, SendError> {
        // A token that was signed here says itself when it ends.
        let signed = self.recipe.acquire.iter().map(|step| match step {
            Step::Jwt(jwt) => Some(signing::life(jwt)),
            Step::Exchange(_) => None,
        });
        let signed = signed.collect::<Option<Vec<_>>>().and_then(|lives| lives.into_iter().min());
        let Some(lifetime) = &self.recipe.lifetime else { return Ok(signed) };
        let seconds = match &lifetime.seconds {
            Seconds::Fixed(seconds) => Some(*seconds),
            Seconds::Taken(name) => {
                let known = name.strip_prefix("grant.").and_then(|name| values.get(name));
                // Some write it with a fraction.
                known.and_then(|known| known.text.split('.').next().and_then(|text| text.parse().ok()))
            }
        };
        let text = "the answer to the authentication holds no usable lifetime";
        let seconds = seconds.filter(|s| *s > 0).ok_or_else(|| SendError::new(SendErrorKind::Unavailable, text))?;
        // Longer than any host runs, and short enough to be added to an instant.
        let told = Duration::from_secs(seconds.min(10 * 365 * 24 * 3600));
        Ok(Some(signed.map_or(told, |signed| signed.min(told))))
    }

    /// The opened key of a step. It is opened once; that it does not open holds for the session too.
    async fn signer(&self, jwt: &Jwt, budget: &Budget) -> Result<Arc<Signer>, SendError> {
        let cell = Arc::clone(self.signers.lock().await.entry(jwt.key.pem.clone()).or_default());
        if let Some(opened) = cell.get() {
            return opened.clone();
        }
        let context = self.context();
        let opening = signing::open(&jwt.key, &context.secrets, &self.with.openings);
        let deadline = tokio::time::Instant::from_std(budget.end());
        let opened = timeout_at(deadline, opening).await.map_err(|_| SendError::timed_out())?;
        match &opened {
            Err(error) if error.kind != SendErrorKind::InvalidConfig => opened,
            _ => cell.get_or_init(|| async { opened }).await.clone(),
        }
    }

    /// Gives the grant back, in a task of its own: nobody waits for it but the host's end.
    pub(in crate::egress) fn release(self: &Arc<Self>) {
        let (Some(step), Some(runtime)) = (&self.recipe.release, &self.with.runtime) else { return };
        let now = Instant::now();
        let grant = self.state().grant.take().filter(|grant| grant.ends.is_none_or(|ends| now < ends));
        let Some(grant) = grant else { return };
        let (credential, exchange) = (Arc::clone(self), step.exchange.clone());
        let task = async move {
            let budget = Budget::of_host(RELEASE);
            let context = credential.context();
            let with = With { context: &context, grants: &grant.values };
            match exchange::run(&exchange, &with, credential.means(&budget)).await {
                Ok(_) => tracing::debug!("a grant was given back"),
                Err(error) => tracing::debug!(
                    reason = error.operator.as_deref().unwrap_or(&error.message),
                    "a grant could not be given back: it ends by itself"
                ),
            }
        };
        drop(self.with.releases.spawn_on(task.in_current_span().with_current_subscriber(), runtime));
    }
}
