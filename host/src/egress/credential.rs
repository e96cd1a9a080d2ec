//! A connection's credential: its grant, fetched once for all who wait, renewed before it ends and when the platform
//! says that it has ended.
//!
//! At most one task at a time talks to the token endpoint. Those who waited for it share its result, a refusal
//! included, so that twenty requests with a wrong secret are one attempt to log in and not twenty.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderName, HeaderValue};
use tokio::time::timeout_at;

use super::{
    context::{Context, Grants, With},
    error::{SendError, SendErrorKind},
    exchange::{self, Means, sensitive},
    recipe::{Recipe, Seconds, Step},
    reflect::Needles,
};

/// How long a failed attempt to renew ahead of time keeps the next one away.
const EARLY_AGAIN: Duration = Duration::from_secs(30);

/// How long a request waits for a renewal that it does not need yet.
const EARLY_WAIT: Duration = Duration::from_secs(10);

/// How long a refusal by the token endpoint stands for the attempts after it: who asks again and again with a wrong
/// secret would have the account locked. New credentials make a new session, which knows nothing of it.
const REFUSED_AGAIN: Duration = Duration::from_secs(30);

/// What the platform issued, or nothing where the stored secrets are all it takes.
pub(super) struct Grant {
    /// Counts the grants of the session: who comes with an answer to an older one needs no new one.
    generation: u64,
    values: Grants,
    /// What must not come back.
    pub(super) needles: Needles,
    ends: Option<Instant>,
    early: Option<Instant>,
}

/// Gets, keeps and applies grants.
pub(super) struct Credential {
    recipe: Recipe,
    context: Context,
    current: Mutex<State>,
    /// Held while a grant is fetched; inside, how the last attempt failed, if it did.
    turn: tokio::sync::Mutex<Option<(Instant, SendError)>>,
}

#[derive(Default)]
struct State {
    grant: Option<Arc<Grant>>,
    /// When renewing ahead of time may be tried again.
    early_again: Option<Instant>,
}

enum Found {
    Good(Arc<Grant>),
    Ageing(Arc<Grant>),
    Missing,
}

impl Credential {
    pub(super) fn new(recipe: Recipe, context: Context) -> Self {
        let credential = Self { recipe, context, current: Mutex::default(), turn: tokio::sync::Mutex::default() };
        if credential.recipe.acquire.is_empty() {
            let grant = credential.grant_of(1, Grants::new(), None);
            credential.state().grant = Some(Arc::new(grant));
        }
        credential
    }

    pub(super) fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// What must not come back even in answers to requests without the credential.
    pub(super) fn known(&self) -> Arc<Grant> {
        let current = self.state().grant.clone();
        current.unwrap_or_else(|| Arc::new(self.grant_of(0, Grants::new(), None)))
    }

    /// A grant that works as far as anybody knows: not the one that has just been found expired, if any.
    pub(super) async fn grant(&self, expired: Option<&Grant>, means: Means<'_>) -> Result<Arc<Grant>, SendError> {
        let asked = Instant::now();
        match self.find(expired) {
            Found::Good(grant) => return Ok(grant),
            Found::Ageing(grant) => return Ok(self.renew_early(grant, means).await),
            Found::Missing => {}
        }
        let deadline = tokio::time::Instant::from_std(means.budget.deadline);
        let mut turn = timeout_at(deadline, self.turn.lock()).await.map_err(|_| SendError::timed_out())?;
        if let Found::Good(grant) | Found::Ageing(grant) = self.find(expired) {
            return Ok(grant);
        }
        if let Some((failed, error)) = &*turn
            && (*failed >= asked || (error.kind == SendErrorKind::Unauthenticated && failed.elapsed() < REFUSED_AGAIN))
        {
            return Err(error.clone());
        }
        let result = self.acquire(means).await;
        // That this operation ran out of time, repeats or budget says nothing about the credential.
        *turn = match &result {
            Err(error) if !matches!(error.kind, SendErrorKind::TimedOut | SendErrorKind::BudgetExhausted) => {
                Some((Instant::now(), error.clone()))
            }
            _ => None,
        };
        result
    }

    /// The headers that carry the credential.
    pub(super) fn headers(&self, grant: &Grant) -> Result<Vec<(HeaderName, HeaderValue)>, SendError> {
        let with = With { context: &self.context, grants: &grant.values };
        let mut headers = Vec::with_capacity(self.recipe.apply.headers.len());
        for (name, template) in &self.recipe.apply.headers {
            let text = with.render(template)?.text;
            let invalid = || {
                let text =
                    format!("the credential cannot be sent as the header `{name}`: it holds forbidden characters");
                SendError::new(SendErrorKind::InvalidConfig, text)
            };
            let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
            headers.push((parsed, sensitive(&text).ok_or_else(invalid)?));
        }
        Ok(headers)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // What is inside is whole between any two statements.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, expired: Option<&Grant>) -> Found {
        let (now, state) = (Instant::now(), self.state());
        let usable = |grant: &&Arc<Grant>| {
            expired.is_none_or(|old| old.generation != grant.generation) && grant.ends.is_none_or(|ends| now < ends)
        };
        match state.grant.as_ref().filter(usable) {
            None => Found::Missing,
            Some(grant) => {
                let due = grant.early.is_some_and(|early| now >= early);
                let may = state.early_again.is_none_or(|again| now >= again);
                if due && may { Found::Ageing(Arc::clone(grant)) } else { Found::Good(Arc::clone(grant)) }
            }
        }
    }

    /// Replaces a grant that ends soon. One request does it, the others go on with the old one, and so does this one
    /// when it fails.
    async fn renew_early(&self, old: Arc<Grant>, means: Means<'_>) -> Arc<Grant> {
        let Ok(_turn) = self.turn.try_lock() else { return old };
        if let Found::Good(grant) = self.find(None) {
            return grant;
        }
        self.state().early_again = Some(Instant::now() + EARLY_AGAIN);
        match tokio::time::timeout(EARLY_WAIT, self.acquire(means)).await {
            Ok(Ok(grant)) => grant,
            Ok(Err(error)) => {
                tracing::warn!(
                    reason = error.operator.as_deref().unwrap_or(&error.message),
                    "a token could not be renewed ahead of time; it still holds"
                );
                old
            }
            Err(_) => old,
        }
    }

    /// Goes through the steps of the recipe. Only with the turn.
    async fn acquire(&self, means: Means<'_>) -> Result<Arc<Grant>, SendError> {
        let asked = Instant::now();
        let mut values = Grants::new();
        for step in &self.recipe.acquire {
            let Step::Exchange(exchange) = step else {
                return Err(SendError::new(SendErrorKind::InvalidConfig, "this host cannot sign tokens yet"));
            };
            let with = With { context: &self.context, grants: &values };
            let taken = exchange::run(exchange, &with, means).await?;
            values.extend(taken);
        }
        let lifetime = self.lifetime(&values)?;
        let mut state = self.state();
        let generation = state.grant.as_ref().map_or(1, |grant| grant.generation + 1);
        let grant = Arc::new(self.grant_of(generation, values, lifetime.map(|lifetime| (asked, lifetime))));
        *state = State { grant: Some(Arc::clone(&grant)), early_again: None };
        Ok(grant)
    }

    fn lifetime(&self, values: &Grants) -> Result<Option<Duration>, SendError> {
        let Some(lifetime) = &self.recipe.lifetime else { return Ok(None) };
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
        Ok(Some(Duration::from_secs(seconds.min(10 * 365 * 24 * 3600))))
    }

    fn grant_of(&self, generation: u64, values: Grants, life: Option<(Instant, Duration)>) -> Grant {
        let early = self.recipe.lifetime.as_ref().map_or(0, |lifetime| lifetime.early);
        let rendered: Vec<_> = {
            let with = With { context: &self.context, grants: &values };
            let templates = self.recipe.apply.headers.values();
            templates.filter_map(|template| template.render(&with).ok()).flat_map(|r| r.secrets).collect()
        };
        let issued = values.values().filter(|known| known.secret).map(|known| known.text.as_str());
        let stored = self.context.secrets.0.values().map(|secret| secret.as_str());
        let needles = Needles::new(rendered.iter().map(|secret| secret.as_str()).chain(issued).chain(stored));
        Grant {
            generation,
            needles,
            ends: life.map(|(asked, lifetime)| asked + lifetime),
            // Never before its half: a short-lived token would otherwise be renewed on every request.
            early: life.map(|(asked, lifetime)| asked + lifetime - Duration::from_secs(early).min(lifetime / 2)),
            values,
        }
    }
}
