//! The circuit breaker of one connector on one connection: a guest that keeps crashing is left alone for a while.
//!
//! Pure: time is a parameter. Closed, every call passes; open, none does; then a single one is let through to try, and
//! what becomes of it decides. Only what ended a guest in its midst counts ([`super::health`]).

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;

use crate::model::spread::spread;

/// Calls that are looked back at.
const WINDOW: usize = 10;
/// So many of them that crashed open the circuit.
const CRASHES: usize = 5;
/// How long it stays open the first time; twice as long each further time.
const FIRST: Duration = Duration::from_secs(30);
/// Longest time.
const LONGEST: Duration = Duration::from_secs(600);
/// What those are told who come while one tries.
const WHILE_TRYING: Duration = Duration::from_secs(5);

/// How a connector's calls on one connection have been.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    /// True: crashed.
    recent: VecDeque<bool>,
    state: State,
    /// Times in a row that it was opened.
    opened: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    /// Nobody is let through before then.
    Open(Timestamp),
    /// One tries.
    Trying(Timestamp),
}

/// How a call came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Let {
    /// Like all others.
    Through,
    /// As the one that tries.
    Try,
}

impl Circuit {
    /// Lets a call through, or says how long to wait.
    pub(super) fn admit(&mut self, now: Timestamp) -> Result<Let, Duration> {
        match self.state {
            State::Closed => Ok(Let::Through),
            State::Open(until) if until > now => Err(until.duration_since(now).unsigned_abs()),
            State::Open(until) => {
                self.state = State::Trying(until);
                Ok(Let::Try)
            }
            State::Trying(_) => Err(WHILE_TRYING),
        }
    }

    /// Notes the end of a call. Where that opens the circuit: for how long. `whose` spreads the ends of many.
    pub(super) fn done(&mut self, admitted: Let, crashed: bool, now: Timestamp, whose: u128) -> Option<Duration> {
        match (admitted, self.state) {
            (Let::Try, _) if !crashed => *self = Self::default(),
            (Let::Try, _) => return Some(self.open(now, whose)),
            (Let::Through, State::Closed) => {
                self.recent.push_back(crashed);
                if self.recent.len() > WINDOW {
                    self.recent.pop_front();
                }
                if crashed && self.recent.iter().filter(|crashed| **crashed).count() >= CRASHES {
                    return Some(self.open(now, whose));
                }
            }
            // It began before the circuit was opened.
            (Let::Through, _) => {}
        }
        None
    }

    /// A call that nobody waited for told nothing: where it was the one that tries, another one may.
    pub(super) fn abandoned(&mut self, admitted: Let) {
        if let (Let::Try, State::Trying(since)) = (admitted, self.state) {
            self.state = State::Open(since);
        }
    }

    /// Until when nobody is let through; none while it is closed.
    pub(super) fn open_until(&self) -> Option<Timestamp> {
        match self.state {
            State::Closed => None,
            State::Open(until) | State::Trying(until) => Some(until),
        }
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_idle(&self) -> bool {
        self.state == State::Closed && self.recent.iter().all(|crashed| !crashed)
    }

    fn open(&mut self, now: Timestamp, whose: u128) -> Duration {
        let longest = FIRST.saturating_mul(1 << self.opened.min(10)).min(LONGEST);
        self.opened += 1;
        let millis = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        let earlier = spread(whose.wrapping_add(self.opened.into())) % (millis / 4);
        let delay = Duration::from_millis(millis - earlier);
        self.recent.clear();
        self.state = State::Open(now + delay);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("time")
    }

    fn call(circuit: &mut Circuit, crashed: bool, now: Timestamp) -> Option<Duration> {
        let admitted = circuit.admit(now).expect("admitted");
        circuit.done(admitted, crashed, now, 7)
    }

    /// An open circuit, and until when.
    fn open() -> (Circuit, Timestamp) {
        let mut circuit = Circuit::default();
        let opened: Vec<_> = (0..5).filter_map(|_| call(&mut circuit, true, at(0))).collect();
        assert_eq!(opened.len(), 1, "at the fifth crash");
        let until = circuit.open_until().expect("open");
        (circuit, until)
    }

    #[test]
    fn five_crashes_in_ten_calls_open_it_and_fewer_do_not() {
        let mut circuit = Circuit::default();
        for round in 0..50 {
            assert_eq!(call(&mut circuit, round % 5 < 2, at(0)), None, "four in ten, {round}");
        }
        assert!(circuit.open_until().is_none() && !circuit.is_idle());
        let (mut circuit, until) = open();
        let wait = until.duration_since(at(0)).unsigned_abs();
        assert!(wait <= FIRST && wait > FIRST * 3 / 4, "{wait:?}");
        assert_eq!(circuit.admit(at(0)), Err(wait));
    }

    #[test]
    fn one_tries_and_what_becomes_of_it_decides() {
        let (mut circuit, until) = open();
        let tries = circuit.admit(until).expect("one tries");
        assert_eq!(tries, Let::Try);
        assert_eq!(circuit.admit(until), Err(WHILE_TRYING), "only one");
        let wait = circuit.done(tries, true, until, 7).expect("open again");
        assert!(wait > FIRST && wait <= FIRST * 2, "{wait:?}");
        let tries = circuit.admit(until + wait).expect("one tries");
        assert_eq!(circuit.done(tries, false, until + wait, 7), None);
        assert!(circuit.is_idle(), "all is forgotten");
    }

    #[test]
    fn a_trial_that_nobody_waited_for_is_followed_by_another() {
        let (mut circuit, until) = open();
        let tries = circuit.admit(until).expect("one tries");
        circuit.abandoned(tries);
        assert_eq!(circuit.admit(until), Ok(Let::Try));
    }

    #[test]
    fn calls_that_began_before_change_nothing() {
        let (mut circuit, until) = open();
        assert_eq!(circuit.done(Let::Through, true, at(1), 7), None);
        assert_eq!(circuit.done(Let::Through, false, at(1), 7), None);
        assert_eq!(circuit.open_until(), Some(until));
    }

    #[test]
    fn the_wait_grows_to_ten_minutes_and_no_further() {
        let (mut circuit, mut now) = open();
        let mut wait = Duration::ZERO;
        for _ in 0..20 {
            let tries = circuit.admit(now).expect("one tries");
            wait = circuit.done(tries, true, now, 7).expect("open again");
            now += wait;
        }
        assert!(wait <= LONGEST && wait > LONGEST * 3 / 4, "{wait:?}");
    }
}
