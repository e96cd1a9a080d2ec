//! Faults by schedule: which request is hit, how often, and what happens to it.
//!
//! A rule counts the requests that match it, so "the third page of that schema" is one rule. At most one fault hits a
//! request: the first rule that is due. The schedule knows requests only as text, and no platform: how a model can change
//! (`C`) and how an answer can be odd (`T`) are the platform's own types.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::wire::{Body, Outcome, Reply};

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault<C, T> {
    /// An error as the platform's own JSON, or as the given text.
    Status {
        /// HTTP status.
        status: u16,
        /// The header, as it is written.
        #[serde(default)]
        retry_after: Option<String>,
        /// The platform's code; its usual one for the status otherwise.
        #[serde(default)]
        error_code: Option<String>,
        /// `message`.
        #[serde(default)]
        message: Option<String>,
    },
    /// A proxy's page instead of an answer.
    Html {
        /// HTTP status; 200 is the nastiest.
        status: u16,
    },
    /// The body breaks off after so many bytes, although more were promised.
    Truncate {
        /// Bytes that still arrive.
        after: usize,
    },
    /// The body comes in small pieces with pauses.
    Drip {
        /// Bytes a piece.
        chunk: usize,
        /// Milliseconds between two.
        pause_ms: u64,
    },
    /// No answer at all; the connection stays open.
    Hang,
    /// The connection is reset before the answer.
    Reset,
    /// The answer is odd in a way only this platform can be.
    Twisted {
        /// How.
        twist: T,
    },
    /// All tokens that were issued become invalid at once; then the request is answered.
    ExpireTokens,
    /// Nobody may use the container any more; then the request is answered.
    Revoke {
        /// Its names from the top.
        path: Vec<String>,
    },
    /// What the platform holds changes in the middle of the walk; then the request is answered.
    Change {
        /// What changes.
        change: C,
    },
}

/// An error that a rule asks for; every platform writes it in its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scheduled<'a> {
    pub(crate) status: u16,
    pub(crate) code: Option<&'a str>,
    pub(crate) message: &'a str,
}

/// A fault and when it hits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule<C, T> {
    /// Part of the request as text: `/path?query` as sent, and the statement where the platform takes statements; empty
    /// for every request.
    #[serde(default)]
    pub on: String,
    /// The first matching request that is hit, from 1.
    #[serde(default = "one")]
    pub from: u64,
    /// Of the matching requests from there on every so-manieth is hit.
    #[serde(default = "one")]
    pub every: u64,
    /// How many are hit; none for no end.
    #[serde(default = "once")]
    pub times: Option<u64>,
    /// What happens.
    pub fault: Fault<C, T>,
}

/// The rules in force, with what each has counted.
#[derive(Debug)]
pub(crate) struct Schedule<C, T>(Vec<Armed<C, T>>);

#[derive(Debug)]
struct Armed<C, T> {
    rule: Rule<C, T>,
    matched: u64,
    hit: u64,
}

impl<C, T> Fault<C, T> {
    /// 429 or 503 with `Retry-After`.
    pub fn busy(status: u16, retry_after_seconds: u64) -> Self {
        Self::Status { status, retry_after: Some(retry_after_seconds.to_string()), error_code: None, message: None }
    }

    /// An error of the platform with a code.
    pub fn error(status: u16, error_code: &str, message: &str) -> Self {
        Self::Status { status, retry_after: None, error_code: Some(error_code.into()), message: Some(message.into()) }
    }

    /// What the fault makes of a finished answer; `write` is how the platform writes errors.
    pub(crate) fn applied_to(&self, reply: Reply, write: impl FnOnce(Scheduled<'_>) -> Reply) -> Outcome {
        let reply = match self {
            Self::Hang => return Outcome::Hang,
            Self::Reset => return Outcome::Reset,
            Self::Status { status, retry_after, error_code, message } => {
                let message = message
                    .as_deref()
                    .unwrap_or("Your request was rejected by the fault schedule. Please retry your request later.");
                let mut reply = write(Scheduled { status: *status, code: error_code.as_deref(), message });
                reply.headers.extend(retry_after.clone().map(|seconds| ("retry-after", seconds)));
                reply
            }
            Self::Html { status } => Reply {
                status: *status,
                headers: vec![("content-type", "text/html; charset=utf-8".into())],
                body: Body::Whole(Bytes::from_static(
                    b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>",
                )),
            },
            Self::Truncate { after } => {
                let whole = reply.body.into_bytes();
                Reply { body: Body::Truncated { whole, after: *after }, ..reply }
            }
            Self::Drip { chunk, pause_ms } => Reply {
                body: Body::Drip {
                    whole: reply.body.into_bytes(),
                    chunk: (*chunk).max(1),
                    pause: Duration::from_millis(*pause_ms),
                },
                status: reply.status,
                headers: reply.headers,
            },
            Self::Twisted { .. } | Self::ExpireTokens | Self::Revoke { .. } | Self::Change { .. } => reply,
        };
        Outcome::Reply(reply)
    }
}

impl<C, T> Rule<C, T> {
    /// Hits the first request that has `on` in its text, once.
    pub fn once(on: &str, fault: Fault<C, T>) -> Self {
        Self { on: on.to_owned(), from: 1, every: 1, times: Some(1), fault }
    }

    /// Hits every request that has `on` in its text.
    pub fn always(on: &str, fault: Fault<C, T>) -> Self {
        Self { times: None, ..Self::once(on, fault) }
    }

    /// The first request to be hit is the `nth` that matches, from 1.
    #[must_use]
    pub fn from(self, nth: u64) -> Self {
        Self { from: nth, ..self }
    }

    /// Only every so-manieth matching request is hit.
    #[must_use]
    pub fn every(self, every: u64) -> Self {
        Self { every, ..self }
    }

    /// So many are hit.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }
}

impl<C, T> Default for Schedule<C, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<C: Clone, T: Clone> Schedule<C, T> {
    pub(crate) fn add(&mut self, rule: Rule<C, T>) {
        self.0.push(Armed { rule, matched: 0, hit: 0 });
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault for this request, if one is due. Every matching rule counts it, also when another one hits.
    pub(crate) fn due(&mut self, request: &str) -> Option<Fault<C, T>> {
        let mut due = None;
        for armed in &mut self.0 {
            if !request.contains(&armed.rule.on) {
                continue;
            }
            armed.matched += 1;
            let past = armed.matched.checked_sub(armed.rule.from.max(1));
            let in_turn = past.is_some_and(|past| past.is_multiple_of(armed.rule.every.max(1)));
            let spent = armed.rule.times.is_some_and(|times| armed.hit >= times);
            if due.is_none() && in_turn && !spent {
                armed.hit += 1;
                due = Some(armed.rule.fault.clone());
            }
        }
        due
    }

    /// How many requests the rules have hit.
    pub(crate) fn hits(&self) -> u64 {
        self.0.iter().map(|armed| armed.hit).sum()
    }
}

fn one() -> u64 {
    1
}

fn once() -> Option<u64> {
    Some(1)
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    type Fault = super::Fault<(), ()>;
    type Rule = super::Rule<(), ()>;

    fn hits(rule: Rule, requests: &[&str]) -> Vec<bool> {
        let mut schedule = Schedule::default();
        schedule.add(rule);
        requests.iter().map(|request| schedule.due(request).is_some()).collect()
    }

    #[test]
    fn a_rule_counts_only_what_it_matches() {
        let rule = Rule::once("/tables", Fault::Hang).from(2);
        assert_eq!(hits(rule, &["/tables?a", "/schemas", "/tables?b", "/tables?c"]), [false, false, true, false]);
    }

    #[test]
    fn every_third_without_end() {
        let rule = Rule::always("", Fault::Reset).every(3);
        assert_eq!(hits(rule, &["/"; 7]), [true, false, false, true, false, false, true]);
    }

    #[test]
    fn rules_are_read_from_json_with_defaults() {
        let rule: Rule = serde_json::from_str(r#"{"on":"/tables","fault":{"fault":"html","status":200}}"#).unwrap();
        assert_eq!(rule, Rule::once("/tables", Fault::Html { status: 200 }));
        assert!(serde_json::from_str::<Rule>(r#"{"fault":{"fault":"hang"},"nth":3}"#).is_err());
    }
}
