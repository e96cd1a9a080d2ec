//! A connection's credential: its grant, fetched once for all who wait, renewed before it ends and when the platform
//! says that it has ended, given back when the session ends.
//!
//! At most one task at a time talks to the token endpoint. Those who waited for it share its result, a refusal
//! included, so that twenty requests with a wrong secret are one attempt to log in and not twenty.

mod obtain;
mod rotate;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderName, HeaderValue};
use tokio::{
    runtime::Handle,
    sync::{OnceCell, OwnedMutexGuard},
    time::timeout_at,
};
use tokio_util::task::TaskTracker;
use tracing::instrument::{Instrument as _, WithSubscriber as _};
use zeroize::Zeroizing;

use super::{
    context::{Context, Grants, With},
    error::{SendError, SendErrorKind},
    exchange::{self, Means, sensitive},
    keep::{Destination, Keep},
    recipe::{Action, Recipe},
    reflect::Needles,
    retry::Pacing,
    scope::Places,
    session::Budget,
    signing::{Openings, Signer},
    wire::Wire,
};
use crate::{clock::Clock, model::id::ConnectionId};
use obtain::Way;

/// How long a failed attempt to renew ahead of time keeps the next one away.
const EARLY_AGAIN: Duration = Duration::from_secs(30);

/// How long a request waits for a renewal that it does not need yet.
const EARLY_WAIT: Duration = Duration::from_secs(10);

/// How long a refusal by the token endpoint stands for the attempts after it: who asks again and again with a wrong
/// secret would have the account locked. New credentials make a new session, which knows nothing of it.
const REFUSED_AGAIN: Duration = Duration::from_secs(30);

/// How long an attempt may take that nobody's haste ends, and how long storing is tried after the last of a session.
pub(super) const DETACHED: Duration = Duration::from_secs(60);

/// How long giving a grant back may take.
const RELEASE: Duration = Duration::from_secs(5);

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

/// What a credential works with.
pub(super) struct Equipment {
    pub(super) places: Places,
    pub(super) wire: Wire,
    pub(super) pacing: Pacing,
    pub(super) clock: Clock,
    pub(super) openings: Openings,
    /// Where giving back runs.
    pub(super) releases: TaskTracker,
    /// Where attempts run that may replace a stored secret.
    pub(super) attempts: TaskTracker,
    /// None outside a runtime.
    pub(super) runtime: Option<Handle>,
    pub(super) keep: Option<Keeper>,
}

/// Where a secret is kept that the platform replaces.
#[derive(Clone)]
pub(super) struct Keeper {
    pub(super) store: Arc<dyn Keep>,
    /// Whose it is.
    pub(super) connection: ConnectionId,
    /// What stored secrets must be meant for.
    pub(super) places: Destination,
    /// Secrets that the session was given in place of stored ones.
    pub(super) brought: BTreeSet<String>,
    /// Shared by all sessions that use the connection's stored secrets: two that spent one at the same time would both
    /// be locked out by many a platform.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
}

/// Gets, keeps and applies grants.
pub(super) struct Credential {
    recipe: Recipe,
    with: Equipment,
    /// Made anew when a stored secret is replaced.
    context: Mutex<Arc<Context>>,
    /// Secrets that were replaced here.
    rotated: Mutex<BTreeMap<String, Fate>>,
    /// The turn that all sessions of the connection share, while one of the secrets must still be stored: what is stored
    /// is dead, and nobody may spend it.
    held: Mutex<Option<OwnedMutexGuard<()>>>,
    current: Mutex<State>,
    /// Held while a grant is fetched; inside, how the last attempt failed, if it did.
    turn: Arc<tokio::sync::Mutex<Last>>,
    /// Keys of the recipe, by the property that holds them, or why they do not open.
    signers: tokio::sync::Mutex<BTreeMap<String, Arc<Opened>>>,
}

type Last = Option<(Instant, SendError)>;
type Opened = OnceCell<Result<Arc<Signer>, SendError>>;

/// What became of a secret that replaced another.
enum Fate {
    /// It must still be stored, in place of this one.
    Open(Option<Zeroizing<String>>),
    /// It is stored.
    Stored,
    /// It lives here only: there is nothing to store it for, or somebody stored another one.
    Here,
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
    /// With the one that no longer serves, if there was one.
    Missing(Option<Arc<Grant>>),
}

impl Credential {
    pub(super) fn new(recipe: Recipe, context: Context, with: Equipment) -> Self {
        let credential = Self {
            recipe,
            with,
            context: Mutex::new(Arc::new(context)),
            rotated: Mutex::default(),
            held: Mutex::default(),
            current: Mutex::default(),
            turn: Arc::default(),
            signers: tokio::sync::Mutex::default(),
        };
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
    pub(super) async fn grant(
        self: &Arc<Self>,
        expired: Option<(&Arc<Grant>, Action)>,
        budget: &Budget,
    ) -> Result<Arc<Grant>, SendError> {
        let asked = Instant::now();
        let refused = expired.map(|(grant, _)| &**grant);
        match self.find(refused) {
            Found::Good(grant) => return Ok(grant),
            Found::Ageing(grant) => return Ok(self.renew_early(grant, budget).await),
            Found::Missing(_) => {}
        }
        let deadline = tokio::time::Instant::from_std(budget.end());
        let turn = timeout_at(deadline, Arc::clone(&self.turn).lock_owned()).await;
        let turn = turn.map_err(|_| SendError::timed_out())?;
        let old = match self.find(refused) {
            Found::Good(grant) | Found::Ageing(grant) => return Ok(grant),
            Found::Missing(old) => old,
        };
        if let Some((failed, error)) = &*turn
            && (*failed >= asked || (error.kind == SendErrorKind::Unauthenticated && failed.elapsed() < REFUSED_AGAIN))
        {
            return Err(error.clone());
        }
        let way = match (old, expired) {
            (_, Some((_, Action::Acquire))) | (None, _) => Way::Acquire,
            (Some(old), _) => Way::Renew(old),
        };
        self.fetch(way, turn, budget).await
    }

    /// The headers that carry the credential.
    pub(super) fn headers(&self, grant: &Grant) -> Result<Vec<(HeaderName, HeaderValue)>, SendError> {
        let context = self.context();
        let with = With { context: &context, grants: &grant.values };
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

    /// What an answer to a request with this grant says, for the operator.
    pub(super) fn words(&self, grant: &Grant, body: &[u8]) -> String {
        let context = self.context();
        // An answer that is read piece by piece has not been searched yet.
        if grant.needles.found_in(body) {
            return exchange::WITHHELD.to_owned();
        }
        exchange::words(body, &With { context: &context, grants: &grant.values })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        whole(&self.current)
    }

    fn context(&self) -> Arc<Context> {
        Arc::clone(&whole(&self.context))
    }

    fn find(&self, expired: Option<&Grant>) -> Found {
        let (now, state) = (Instant::now(), self.state());
        let usable = |grant: &&Arc<Grant>| {
            expired.is_none_or(|old| old.generation != grant.generation) && grant.ends.is_none_or(|ends| now < ends)
        };
        match state.grant.as_ref().filter(usable) {
            None => Found::Missing(state.grant.clone()),
            Some(grant) => {
                let due = grant.early.is_some_and(|early| now >= early);
                let may = state.early_again.is_none_or(|again| now >= again);
                if due && may { Found::Ageing(Arc::clone(grant)) } else { Found::Good(Arc::clone(grant)) }
            }
        }
    }

    /// Replaces a grant that ends soon. One request does it, the others go on with the old one, and so does this one
    /// when it fails.
    async fn renew_early(self: &Arc<Self>, old: Arc<Grant>, budget: &Budget) -> Arc<Grant> {
        let Ok(turn) = Arc::clone(&self.turn).try_lock_owned() else { return old };
        if let Found::Good(grant) = self.find(None) {
            return grant;
        }
        self.state().early_again = Some(Instant::now() + EARLY_AGAIN);
        let way = Way::Renew(Arc::clone(&old));
        let fetched = async {
            if self.recipe.persisted().is_empty() {
                // What it failed with says nothing to those who come when the old one has ended.
                let _turn = turn;
                self.obtain(way, budget).await
            } else {
                self.fetch(way, turn, budget).await
            }
        };
        match tokio::time::timeout(EARLY_WAIT, fetched).await {
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

    /// Gets a grant and remembers how that ended. Where the platform may replace a stored secret, the attempt is not
    /// the caller's any more: were it dropped between the platform's answer and the store, the secret would be lost.
    async fn fetch(
        self: &Arc<Self>,
        way: Way,
        mut turn: OwnedMutexGuard<Last>,
        budget: &Budget,
    ) -> Result<Arc<Grant>, SendError> {
        if self.recipe.persisted().is_empty() {
            let result = self.obtain(way, budget).await;
            *turn = lasting(&result);
            return result;
        }
        let deadline = tokio::time::Instant::from_std(budget.end());
        let mut shared = whole(&self.held).take();
        if let (Some(keeper), None) = (&self.with.keep, &shared) {
            let turn = timeout_at(deadline, Arc::clone(&keeper.turn).lock_owned()).await;
            shared = Some(turn.map_err(|_| SendError::timed_out())?);
        }
        let credential = Arc::clone(self);
        let attempt = async move {
            let own = Budget::of_host(DETACHED);
            let result = credential.obtain(way, &own).await;
            *turn = lasting(&result);
            *whole(&credential.held) = shared.filter(|_| credential.has_open());
            (result, own)
        };
        let task = self.with.attempts.spawn(attempt.in_current_span().with_current_subscriber());
        let (result, own) = timeout_at(deadline, task).await.map_err(|_| SendError::timed_out())?.map_err(|error| {
            SendError::new(SendErrorKind::Unavailable, "the authentication failed inside the host")
                .for_operator(format!("an attempt to authenticate failed inside the host: {error}"))
        })?;
        budget.also(&own);
        result
    }

    fn means<'a>(&'a self, budget: &'a Budget) -> Means<'a> {
        Means { places: &self.with.places, wire: &self.with.wire, pacing: self.with.pacing, budget }
    }

    fn grant_of(&self, generation: u64, values: Grants, life: Option<(Instant, Duration)>) -> Grant {
        let early = self.recipe.lifetime.as_ref().map_or(0, |lifetime| lifetime.early);
        let context = self.context();
        let rendered: Vec<_> = {
            let with = With { context: &context, grants: &values };
            let templates = self.recipe.apply.headers.values();
            templates.filter_map(|template| template.render(&with).ok()).flat_map(|r| r.secrets).collect()
        };
        let issued = values.values().filter(|known| known.secret).map(|known| known.text.as_str());
        let stored = context.secrets.0.values().map(|secret| secret.as_str());
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

impl Drop for Credential {
    /// What could not be stored would be lost with the session.
    fn drop(&mut self) {
        self.keep_on();
    }
}

/// What a failure says to those who come after it: that one operation ran out of time, repeats or budget says nothing
/// about the credential.
fn lasting(result: &Result<Arc<Grant>, SendError>) -> Last {
    let error = result.as_ref().err()?;
    let own = matches!(error.kind, SendErrorKind::TimedOut | SendErrorKind::BudgetExhausted);
    (!own).then(|| (Instant::now(), error.clone()))
}

/// What is inside is whole between any two statements.
fn whole<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
