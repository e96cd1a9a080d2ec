//! The control port of a simulator: what a script in another language needs to change and watch it.
//!
//! Listens apart from what is simulated, so that no client can ever see it. `GET /__control/model`, `/counters`,
//! `/journal`; `POST /__control/changes`, `/faults` (JSON arrays), `/latency` (milliseconds), `/expire-tokens`,
//! `/reset-counters`; `DELETE /__control/faults`; and what a platform has besides.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use http::Method;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::fault::Rule;
use crate::journal::{Counters, Entry};
use crate::wire::{self, Call, Outcome, Reply, Server};

/// A simulator that can be steered.
pub(crate) trait Steered: Clone + Send + Sync + 'static {
    /// How its model changes.
    type Change: DeserializeOwned;
    /// How its answers can be odd.
    type Twist: DeserializeOwned;

    fn model(&self) -> Reply;
    fn change(&self, change: &Self::Change) -> Result<(), impl Display>;
    fn rule(&self, rule: Rule<Self::Change, Self::Twist>);
    fn clear_faults(&self);
    fn expire_tokens(&self);
    fn set_latency(&self, latency: Duration);
    fn counters(&self) -> Counters;
    fn journal(&self) -> Vec<Entry>;
    fn reset_counters(&self);

    /// A command that only this platform has.
    fn own(&self, _call: &Call, _what: &str) -> Option<Reply> {
        None
    }
}

/// Listens for commands to `simulated`.
pub(crate) async fn serve(bind: SocketAddr, simulated: impl Steered) -> std::io::Result<Server> {
    wire::serve(bind, move |call| {
        let simulated = simulated.clone();
        async move { Outcome::Reply(command(&simulated, &call)) }
    })
    .await
}

fn command<S: Steered>(simulated: &S, call: &Call) -> Reply {
    let Some(what) = call.path.strip_prefix("/__control/") else {
        return Reply::text(404, "control commands lie below /__control/");
    };
    match (&call.method, what) {
        (&Method::GET, "model") => simulated.model(),
        (&Method::GET, "counters") => Reply::json(200, &simulated.counters()),
        (&Method::GET, "journal") => Reply::json(200, &simulated.journal()),
        (&Method::POST, "reset-counters") => after(|| simulated.reset_counters()),
        (&Method::POST, "expire-tokens") => after(|| simulated.expire_tokens()),
        (&Method::DELETE, "faults") => after(|| simulated.clear_faults()),
        (&Method::POST, "faults") => parsed::<Vec<Rule<S::Change, S::Twist>>>(call, |rules| {
            after(|| rules.into_iter().for_each(|rule| simulated.rule(rule)))
        }),
        (&Method::POST, "latency") => {
            parsed::<u64>(call, |ms| after(|| simulated.set_latency(Duration::from_millis(ms))))
        }
        (&Method::POST, "changes") => parsed::<Vec<S::Change>>(call, |changes| {
            for (at, change) in changes.iter().enumerate() {
                if let Err(error) = simulated.change(change) {
                    return Reply::json(409, &json!({"made": at, "error": error.to_string()}));
                }
            }
            Reply::json(200, &json!({"made": changes.len()}))
        }),
        (method, what) => {
            simulated.own(call, what).unwrap_or_else(|| Reply::text(404, format!("no control command {method} {what}")))
        }
    }
}

/// Acts on a body, or says why it is none.
pub(crate) fn parsed<T: DeserializeOwned>(call: &Call, act: impl FnOnce(T) -> Reply) -> Reply {
    match serde_json::from_slice(&call.body) {
        Ok(value) => act(value),
        Err(error) => Reply::text(400, format!("{error}")),
    }
}

/// Acts and says nothing.
pub(crate) fn after(act: impl FnOnce()) -> Reply {
    act();
    Reply::json(200, &json!({}))
}
