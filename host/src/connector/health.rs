//! How one version of a connector fares: what its calls cost, how they failed, and whether it is left alone for a while.
//!
//! Counted from the start of the host. *A failure of the connector* is every failed call of a sync, except where its code
//! says that the cause lies elsewhere: `unavailable`, `rate-limited`, `not-found` and `stale-cursor`; `unauthenticated` and
//! `permission-denied`, because credentials expire and grants are taken away under every version; `invalid-config` and
//! `denied`, which are about one connection and what this host allows; `unsupported`, which is an answer of the contract; and
//! `timed-out` where the call spent at least half of its time waiting for the platform. Only those count as failures in the window by which versions
//! are judged. Checks do not stand in it: a version that fails them does not take over in the first place.
//! *A crash* is a call that was ended in its midst, by a trap or a limit (the wall clock only where the platform is not the
//! one that was slow): crashes open the circuit ([`super::circuit`]) between the version and one connection.
//! What the host itself could not do counts for nothing.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::{
    circuit::{Circuit, Let},
    error::{CallError, ErrorCode, Stop},
    instance::Spent,
    limits::Refused,
};
use crate::{clock::Clock, model::id::ConnectionId};

/// Calls by which a version is judged.
pub const WINDOW: usize = 20;

/// What is known of a version at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Calls that ended.
    pub calls: u64,
    /// Calls that failed, by code, whoever is to blame.
    pub failures: BTreeMap<ErrorCode, u64>,
    /// Calls that were ended in their midst.
    pub stops: BTreeMap<Stop, u64>,
    /// Processor time of guests, and of the host on their behalf.
    pub computed: Duration,
    /// Most memory of one call, in bytes.
    pub memory_high_water: u64,
    /// Requests, repeats included.
    pub requests: u64,
    /// Bytes of answers.
    pub bytes: u64,
    /// Requests that the egress policy refused.
    pub denied_requests: u64,
    /// Calls to which memory was refused.
    pub denied_memory: u64,
    /// Calls to which table elements were refused.
    pub denied_tables: u64,
    /// The last calls, oldest first: true is a failure of the connector.
    pub recent: VecDeque<bool>,
    /// Connections on which it is left alone, and until when.
    pub open: BTreeMap<ConnectionId, Timestamp>,
}

impl Snapshot {
    /// Failures of the connector among the last calls.
    #[must_use]
    pub fn recent_failures(&self) -> usize {
        self.recent.iter().filter(|failed| **failed).count()
    }
}

/// The counters of one version.
pub(super) struct Health {
    label: Arc<str>,
    clock: Clock,
    /// Rung after each failure of the connector.
    troubled: Arc<Notify>,
    // Held for a few additions at a time, never across an await.
    counts: Mutex<Snapshot>,
    circuits: Mutex<BTreeMap<ConnectionId, Circuit>>,
}

/// A call that was let through. Dropped, it tells that nobody waited for the end.
pub(super) struct Pass<'a> {
    health: &'a Health,
    /// None once the end is noted, and for payloads that are only tested.
    of: Option<(ConnectionId, Let)>,
}

impl Health {
    pub(super) fn new(label: &Arc<str>, troubled: Arc<Notify>, clock: Clock) -> Self {
        Self { label: label.clone(), clock, troubled, counts: Mutex::default(), circuits: Mutex::default() }
    }

    /// Lets a call through, unless the circuit is open.
    pub(super) fn admit(&self, connection: Option<ConnectionId>) -> Result<Pass<'_>, CallError> {
        let Some(connection) = connection else { return Ok(Pass { health: self, of: None }) };
        let admitted = match self.circuits().get_mut(&connection) {
            Some(circuit) => circuit.admit(self.clock.now()),
            None => Ok(Let::Through),
        };
        match admitted {
            Ok(admitted) => Ok(Pass { health: self, of: Some((connection, admitted)) }),
            Err(wait) => {
                let message = format!(
                    "{} crashed too often on this connection and is left alone for {} s",
                    self.label,
                    wait.as_secs().max(1)
                );
                Err(CallError { retry_after: Some(wait), ..CallError::new(ErrorCode::Unavailable, message) })
            }
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.counts().clone();
        let now = self.clock.now();
        // Over, it is closed as far as anybody can tell: the next call is let through.
        let open = |(id, circuit): (&ConnectionId, &Circuit)| {
            circuit.open_until().filter(|until| *until > now).map(|until| (*id, until))
        };
        snapshot.open = self.circuits().iter().filter_map(open).collect();
        snapshot
    }

    fn counts(&self) -> MutexGuard<'_, Snapshot> {
        // Every addition leaves it whole.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn circuits(&self) -> MutexGuard<'_, BTreeMap<ConnectionId, Circuit>> {
        self.circuits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// Notes the end of the call. `error` is why it failed, where it did.
    pub(super) fn done(mut self, error: Option<&CallError>, spent: &Spent, is_judged: bool) {
        let health = self.health;
        let failed = is_judged && error.is_some_and(|error| is_own(error.code, spent));
        health.counts().add(error, spent, is_judged.then_some(failed));
        if let Some((connection, admitted)) = self.of.take() {
            let mut circuits = health.circuits();
            let circuit = circuits.entry(connection).or_default();
            let opened = circuit.done(admitted, is_crash(spent), health.clock.now(), connection.as_u128());
            if circuit.is_idle() {
                circuits.remove(&connection);
            }
            drop(circuits);
            if let Some(wait) = opened {
                tracing::warn!(
                    connector = %health.label, connection.id = %connection, seconds = wait.as_secs(),
                    "the connector crashed too often on this connection and is left alone for a while"
                );
            }
        }
        if failed {
            health.troubled.notify_one();
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Some((connection, admitted)) = self.of.take()
            && let Some(circuit) = self.health.circuits().get_mut(&connection)
        {
            circuit.abandoned(admitted);
        }
    }
}

impl Snapshot {
    fn add(&mut self, error: Option<&CallError>, spent: &Spent, judged: Option<bool>) {
        self.calls += 1;
        if let Some(error) = error {
            *self.failures.entry(error.code).or_default() += 1;
        }
        if let Some(stop) = spent.stop {
            *self.stops.entry(stop).or_default() += 1;
        }
        self.computed += spent.computed;
        self.memory_high_water = self.memory_high_water.max(spent.memory as u64);
        self.requests += spent.usage.requests;
        self.bytes += spent.usage.bytes;
        self.denied_requests += spent.denied;
        match spent.refused {
            Some(Refused::Memory) => self.denied_memory += 1,
            Some(Refused::Tables) => self.denied_tables += 1,
            None => {}
        }
        self.recent.extend(judged);
        if self.recent.len() > WINDOW {
            self.recent.pop_front();
        }
    }
}

/// Whether a failed call is a failure of the connector.
fn is_own(code: ErrorCode, spent: &Spent) -> bool {
    match code {
        ErrorCode::Unavailable
        | ErrorCode::RateLimited
        | ErrorCode::NotFound
        | ErrorCode::StaleCursor
        | ErrorCode::Unauthenticated
        | ErrorCode::PermissionDenied
        | ErrorCode::InvalidConfig
        | ErrorCode::Unsupported
        | ErrorCode::Denied => false,
        ErrorCode::TimedOut => !spent.platform_slow,
        ErrorCode::Internal | ErrorCode::TooLarge | ErrorCode::BudgetExhausted | ErrorCode::Trapped => true,
    }
}

/// Whether a call was ended in its midst, and not for a platform that was slow.
fn is_crash(spent: &Spent) -> bool {
    match spent.stop {
        Some(Stop::Late) => !spent.platform_slow,
        stop => stop.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::Usage;

    fn health() -> (Health, Arc<Notify>, Clock) {
        let (troubled, clock) = (Arc::new(Notify::new()), Clock::manual(Timestamp::UNIX_EPOCH));
        (Health::new(&"pages 1.0.0".into(), troubled.clone(), clock.clone()), troubled, clock)
    }

    fn spent(stop: Option<Stop>) -> Spent {
        Spent {
            usage: Usage { requests: 2, bytes: 10 },
            computed: Duration::from_millis(30),
            memory: 1 << 20,
            denied: 1,
            refused: None,
            stop,
            platform_slow: false,
        }
    }

    fn error(code: ErrorCode) -> CallError {
        CallError::new(code, "list tables")
    }

    #[test]
    fn only_its_own_failures_stand_in_the_window() {
        for (code, platform_slow, own) in [
            (ErrorCode::Unavailable, false, false),
            (ErrorCode::RateLimited, false, false),
            (ErrorCode::NotFound, false, false),
            (ErrorCode::StaleCursor, false, false),
            (ErrorCode::Unauthenticated, false, false),
            (ErrorCode::PermissionDenied, false, false),
            (ErrorCode::TimedOut, true, false),
            (ErrorCode::TimedOut, false, true),
            (ErrorCode::Trapped, true, true),
            (ErrorCode::Internal, false, true),
            (ErrorCode::Denied, false, false),
            (ErrorCode::InvalidConfig, false, false),
            (ErrorCode::Unsupported, false, false),
        ] {
            let (health, _, _) = health();
            let spent = Spent { platform_slow, ..spent(None) };
            health.admit(None).expect("admitted").done(Some(&error(code)), &spent, true);
            let found = health.snapshot();
            assert_eq!((found.recent_failures(), found.failures.get(&code)), (usize::from(own), Some(&1)), "{code:?}");
        }
    }

    #[test]
    fn what_is_tried_out_judges_no_version() {
        let (health, _, _) = health();
        health.admit(None).expect("admitted").done(Some(&error(ErrorCode::Trapped)), &spent(None), false);
        let found = health.snapshot();
        assert_eq!((found.calls, found.recent.len(), found.failures.get(&ErrorCode::Trapped)), (1, 0, Some(&1)));
    }

    #[tokio::test]
    async fn a_failure_rings_and_the_window_forgets_the_oldest() {
        let (health, troubled, _) = health();
        health.admit(None).expect("admitted").done(Some(&error(ErrorCode::Internal)), &spent(None), true);
        // Rung before anybody listened.
        troubled.notified().await;
        for _ in 0..WINDOW {
            health.admit(None).expect("admitted").done(None, &spent(None), true);
        }
        let found = health.snapshot();
        assert_eq!((found.recent.len(), found.recent_failures(), found.calls), (WINDOW, 0, 21));
        assert_eq!((found.requests, found.bytes, found.denied_requests), (42, 210, 21));
        assert_eq!((found.computed, found.memory_high_water), (Duration::from_millis(630), 1 << 20));
    }

    #[test]
    fn crashes_leave_one_connection_alone_and_no_other() {
        let (health, _, clock) = health();
        let (bad, good) = (ConnectionId::generate(), ConnectionId::generate());
        let crash = |id| {
            health.admit(Some(id)).expect("admitted").done(
                Some(&error(ErrorCode::Trapped)),
                &spent(Some(Stop::Stack)),
                true,
            )
        };
        (0..5).for_each(|_| crash(bad));
        let refused = health.admit(Some(bad)).map(|_| ()).expect_err("left alone");
        assert_eq!(refused.code, ErrorCode::Unavailable);
        assert!(refused.message.contains("pages 1.0.0 crashed too often"), "{refused}");
        assert!(refused.retry_after.is_some_and(|wait| wait <= Duration::from_secs(30)));
        assert!(health.admit(Some(good)).is_ok() && health.admit(None).is_ok());
        let until = health.snapshot().open[&bad];
        assert_eq!(health.snapshot().calls, 5, "what was not let through is no call");
        clock.set(until);
        assert!(health.snapshot().open.is_empty(), "its time is over");
        drop(health.admit(Some(bad)).expect("one tries, and nobody waits for it"));
        health.admit(Some(bad)).expect("another tries").done(None, &spent(None), true);
        assert!(health.snapshot().open.is_empty());
    }
}
