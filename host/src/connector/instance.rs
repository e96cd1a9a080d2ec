//! One call: a fresh store, a deadline, and what is left of both when it ends.
//!
//! The guest runs on the guests' own threads. Dropping the caller's future ends it at once; whatever happens to it, the
//! store is dropped and never entered again.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use tracing::instrument::{Instrument, WithSubscriber};
use wasmtime::{
    Store, UpdateDeadline,
    component::{Instance, InstancePre},
};

use super::{
    Usage,
    engine::Guests,
    error::{CallError, Ended, ErrorCode, Stop},
    limits::{Limits, MAX_RETRIES, Refused, Times},
    state::{Grant, State},
};
use crate::egress::session::{Budget, Named};

/// What a call does in its store.
pub(super) type Work<'a, R> = Pin<Box<dyn Future<Output = wasmtime::Result<Result<R, CallError>>> + Send + 'a>>;

/// One call that is over.
pub(super) struct Called<R> {
    pub(super) result: Result<R, CallError>,
    /// None where the guest did not run to an end: the host is going down, or failed itself.
    pub(super) spent: Option<Spent>,
}

/// What a call cost, and what was refused to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    pub(super) usage: Usage,
    /// Of the epoch.
    pub(super) ticks: u64,
    /// Bytes of memory that were granted.
    pub(super) memory: usize,
    /// Requests that the policy refused.
    pub(super) denied: u64,
    /// What the limiter refused.
    pub(super) refused: Option<Refused>,
    /// What ended the guest in its midst.
    pub(super) stop: Option<Stop>,
    /// Whether it spent most of its time waiting for the platform.
    pub(super) platform_slow: bool,
}

impl<R> Called<R> {
    pub(super) fn usage(&self) -> Usage {
        self.spent.map_or_else(Usage::default, |spent| spent.usage)
    }

    fn not_at_all(code: ErrorCode, message: &str) -> Self {
        Self { result: Err(CallError::new(code, message)), spent: None }
    }
}

/// Calls a component in a fresh store.
pub(super) async fn call<R, F>(
    guests: &Guests,
    component: &InstancePre<State>,
    limits: Limits,
    times: Times,
    grant: Grant,
    work: F,
) -> Called<R>
where
    R: Send + 'static,
    F: for<'a> FnOnce(&'a mut Store<State>, &'a Instance) -> Work<'a, R> + Send + 'static,
{
    let stopped = || Called::not_at_all(ErrorCode::Unavailable, "the host is shutting down");
    // Waiting for a place is the host's time, not the operation's.
    let Ok(permit) = guests.permits.clone().acquire_owned().await else { return stopped() };
    let Some(threads) = guests.handle() else { return stopped() };
    let component = component.clone();
    let mut task = JoinSet::new();
    task.spawn_on(
        async move {
            let _permit = permit;
            run(&component, limits, times, grant, work).await
        }
        .in_current_span()
        .with_current_subscriber(),
        threads,
    );
    match task.join_next().await {
        Some(Ok(ended)) => ended,
        Some(Err(error)) if error.is_panic() => {
            tracing::error!(%error, operation = times.name, "a call of a connector failed inside the host");
            Called::not_at_all(ErrorCode::Internal, "the host failed while it called the connector")
        }
        _ => stopped(),
    }
}

async fn run<R, F>(component: &InstancePre<State>, limits: Limits, times: Times, grant: Grant, work: F) -> Called<R>
where
    F: for<'a> FnOnce(&'a mut Store<State>, &'a Instance) -> Work<'a, R>,
{
    let budget = Arc::new(Budget {
        deadline: Instant::now() + times.host_calls(),
        max_response: limits.response(),
        retries: AtomicU32::new(MAX_RETRIES),
        requests: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        denied: AtomicU64::new(0),
        named: Named::default(),
    });
    let mut store = store(component, times, State::new(limits, grant, budget.clone()));
    let called = tokio::time::timeout(times.wall, async {
        let instance = component.instantiate_async(&mut store).await?;
        work(&mut store, &instance).await
    })
    .await;
    let ended = match called {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(CallError::ended(&Ended::Trapped(error), &times, store.data())),
        Err(_) => Err(CallError::ended(&Ended::Late, &times, store.data())),
    };
    let (result, stop) = match ended {
        Ok(answer) => (answer, None),
        Err((error, stop)) => (Err(error), Some(stop)),
    };
    let state = store.data();
    let waited: Duration = state.waited.total();
    let spent = Spent {
        usage: State::usage(&budget),
        ticks: state.ticks,
        memory: state.limiter.memory_granted(),
        denied: budget.denied.load(Ordering::Relaxed),
        refused: state.limiter.refused(),
        stop,
        platform_slow: waited * 2 >= times.wall,
    };
    Called { result, spent: Some(spent) }
}

/// A store in which every limit is set.
fn store(component: &InstancePre<State>, times: Times, state: State) -> Store<State> {
    let mut store = Store::new(component.engine(), state);
    store.limiter(|state| &mut state.limiter);
    let limits = store.data().limits;
    store.set_hostcall_fuel(limits.handover());
    store.set_max_component_handles(limits.handles as usize);
    store.set_epoch_deadline(1);
    let ticks = times.cpu_ticks();
    store.epoch_deadline_callback(move |mut store| {
        let state = store.data_mut();
        state.ticks += 1;
        if state.ticks > ticks {
            return Ok(UpdateDeadline::Interrupt);
        }
        // wasmtime's own yield wakes itself at once and starves the runtime.
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
    store
}
