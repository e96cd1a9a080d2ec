//! One call: a fresh store, a deadline, and what is left of both when it ends.
//!
//! The guest runs on the guests' own threads. Dropping the caller's future ends it at once; whatever happens to it, the
//! store is dropped and never entered again. What a call has to wait because others are served is no time of its own:
//! neither for a place, nor for its turns.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use tracing::instrument::{Instrument, WithSubscriber};
use wasmtime::{
    PoolConcurrencyLimitError, Store, UpdateDeadline,
    component::{Instance, InstancePre},
};

use super::{
    Usage,
    engine::Guests,
    error::{CallError, Ended, ErrorCode, Stop},
    limits::{Limits, MAX_RETRIES, Refused, Times},
    state::{Grant, State},
    turns::{Meter, NOBODY, Sharer},
};
use crate::{
    egress::session::{Budget, Named},
    model::id::ConnectionId,
};

/// When it is worth trying again, where there was no room for a call.
const NO_ROOM: Duration = Duration::from_secs(2);

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
    /// Processor time, of the guest and of the host on its behalf.
    pub(super) computed: Duration,
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
    let sharer = sharer(&grant);
    let place = guests.places.take(sharer).await;
    let Some(threads) = guests.handle() else { return stopped() };
    let component = component.clone();
    let turns = Arc::clone(&guests.turns);
    let meter = Arc::new(Meter::default());
    let mut task = JoinSet::new();
    task.spawn_on(
        async move {
            let _place = place;
            turns.call(sharer, Arc::clone(&meter), run(&component, limits, times, grant, &meter, work)).await
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

/// All calls of a connection share, whatever they are for: its syncs, and what is tried before it is changed. Whatever
/// belongs to none shares as one.
fn sharer(grant: &Grant) -> Sharer {
    let connection = grant.session.as_ref().and_then(|session| session.on_behalf_of());
    connection.map_or(NOBODY, ConnectionId::as_u128)
}

async fn run<R, F>(
    component: &InstancePre<State>,
    limits: Limits,
    times: Times,
    grant: Grant,
    meter: &Arc<Meter>,
    work: F,
) -> Called<R>
where
    F: for<'a> FnOnce(&'a mut Store<State>, &'a Instance) -> Work<'a, R>,
{
    let budget = Arc::new(budget(&limits, &times, meter));
    let mut store = store(component, times, State::new(limits, grant, budget.clone()), Arc::clone(meter));
    let called = in_time(times.wall, meter, async {
        let instance = component.instantiate_async(&mut store).await?;
        work(&mut store, &instance).await
    })
    .await;
    let ended = match called {
        Some(Err(error)) if error.is::<PoolConcurrencyLimitError>() => return no_room(&error),
        Some(Ok(answer)) => Ok(answer),
        Some(Err(error)) => Err(CallError::ended(&Ended::Trapped(error), &times, store.data())),
        None => Err(CallError::ended(&Ended::Late, &times, store.data())),
    };
    let (result, stop) = match ended {
        Ok(answer) => (answer, None),
        Err((error, stop)) => (Err(error), Some(stop)),
    };
    let state = store.data();
    let waited: Duration = state.waited.total();
    let spent = Spent {
        usage: State::usage(&budget),
        computed: meter.computed(),
        memory: state.limiter.memory_granted(),
        denied: budget.denied.load(Ordering::Relaxed),
        refused: state.limiter.refused(),
        stop,
        platform_slow: waited * 2 >= times.wall,
    };
    Called { result, spent: Some(spent) }
}

/// What a call may use of the platform.
fn budget(limits: &Limits, times: &Times, meter: &Meter) -> Budget {
    Budget {
        deadline: Instant::now() + times.host_calls(),
        withheld: Arc::clone(&meter.withheld),
        max_response: limits.response(),
        max_stream: limits.stream(),
        max_bytes: limits.partition(),
        retries: AtomicU32::new(MAX_RETRIES),
        requests: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        denied: AtomicU64::new(0),
        named: Named::default(),
    }
}

/// The host has no room for one more instance: nobody's fault, and soon over.
fn no_room<R>(error: &wasmtime::Error) -> Called<R> {
    tracing::warn!(error = format!("{error:#}"), "there was no room for a call of a connector; it is tried again");
    let mut called = Called::not_at_all(ErrorCode::Unavailable, "the host has no room for another call at the moment");
    if let Err(error) = &mut called.result {
        error.retry_after = Some(NO_ROOM);
    }
    called
}

/// Ends work with its wall clock, which stands still while the call waits for a turn.
async fn in_time<T>(wall: Duration, meter: &Meter, work: impl Future<Output = T>) -> Option<T> {
    let (begun, before) = (tokio::time::Instant::now(), meter.withheld());
    let end = || begun + wall + meter.withheld().saturating_sub(before);
    let mut work = pin!(work);
    loop {
        let known = end();
        match tokio::time::timeout_at(known, &mut work).await {
            Ok(done) => return Some(done),
            Err(_) if end() > known => {}
            Err(_) => return None,
        }
    }
}

/// A store in which every limit is set.
fn store(component: &InstancePre<State>, times: Times, state: State, meter: Arc<Meter>) -> Store<State> {
    let mut store = Store::new(component.engine(), state);
    store.limiter(|state| &mut state.limiter);
    let limits = store.data().limits;
    store.set_hostcall_fuel(limits.handover());
    store.set_max_component_handles(limits.handles as usize);
    store.set_epoch_deadline(1);
    let ticks = times.ticks();
    store.epoch_deadline_callback(move |mut store| {
        let state = store.data_mut();
        state.ticks += 1;
        // What it computes is measured, in its own code and in the host's calls. Ticks also pass while others have the
        // processor, so that they only tell that it must be over: no waiting for turns draws a call out for ever.
        if state.ticks > ticks || meter.computed() > times.cpu {
            return Ok(UpdateDeadline::Interrupt);
        }
        // wasmtime's own yield wakes itself at once and starves the runtime.
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
    store
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Handle;
    use wasmtime::component::Component;

    use super::*;
    use crate::connector::limits::{LimitsOf, MAX_CALLS};

    fn grant() -> Grant {
        Grant { session: None, label: "a test".into(), io: Handle::current() }
    }

    fn nothing(guests: &Guests) -> InstancePre<State> {
        let bytes = wat::parse_str("(component)").expect("the text of a component");
        let component = Component::new(&guests.engine, bytes).expect("compiles");
        guests.linker.instantiate_pre(&component).expect("links")
    }

    #[tokio::test]
    async fn a_wall_clock_stands_still_while_the_call_waits_for_its_turn() {
        const WALL: Duration = Duration::from_millis(50);
        let meter = Meter::default();
        let slow = || tokio::time::sleep(WALL * 2);
        assert_eq!(in_time(WALL, &meter, slow()).await, None);
        let withheld = async {
            meter.withheld.store(10_000_000, Ordering::Relaxed);
            slow().await;
        };
        assert_eq!(in_time(WALL, &meter, withheld).await, Some(()), "it had waited for 10 s of that");
        assert_eq!(in_time(WALL, &meter, slow()).await, None, "what was before it began is not its own");
    }

    #[tokio::test]
    async fn a_pool_without_room_is_nobodys_fault() {
        let guests = Guests::new(LimitsOf::default().room()).expect("engine");
        let component = nothing(&guests);
        let mut full = Vec::new();
        for _ in 0..MAX_CALLS {
            let limits = Limits::default();
            let budget = Arc::new(budget(&limits, &Times::READ, &Meter::default()));
            let mut store = store(&component, Times::READ, State::new(limits, grant(), budget), Arc::default());
            component.instantiate_async(&mut store).await.expect("there is room");
            full.push(store);
        }
        let ask = || {
            call(&guests, &component, Limits::default(), Times::DESCRIBE, grant(), |_, _| {
                Box::pin(std::future::ready(Ok(Ok(()))))
            })
        };
        let refused = ask().await;
        let error = refused.result.expect_err("no room");
        assert_eq!((error.code, error.retry_after), (ErrorCode::Unavailable, Some(NO_ROOM)));
        assert!(refused.spent.is_none(), "it counts for nothing");
        full.pop();
        assert!(ask().await.result.is_ok());
    }
}
