//! The control port of the simulator: what a script in another language needs to change and watch it.
//!
//! Listens apart from the simulated API, so that no client can ever see it. `GET /__control/model`, `/counters`,
//! `/journal`; `POST /__control/changes`, `/faults` (JSON arrays), `/latency` (milliseconds), `/expire-tokens`,
//! `/reset-counters`; `DELETE /__control/faults`.

use std::net::SocketAddr;
use std::time::Duration;

use http::Method;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{Change, Rule, Simulated};
use crate::wire::{self, Call, Outcome, Reply, Server};

/// Listens for commands to `simulated`.
pub(crate) async fn serve(bind: SocketAddr, simulated: Simulated) -> std::io::Result<Server> {
    wire::serve(bind, move |call| {
        let simulated = simulated.clone();
        async move { Outcome::Reply(command(&simulated, &call)) }
    })
    .await
}

fn command(simulated: &Simulated, call: &Call) -> Reply {
    let Some(what) = call.path.strip_prefix("/__control/") else {
        return Reply::text(404, "control commands lie below /__control/");
    };
    match (&call.method, what) {
        (&Method::GET, "model") => simulated.read(|metastore| Reply::json(200, metastore)),
        (&Method::GET, "counters") => Reply::json(200, &simulated.counters()),
        (&Method::GET, "journal") => Reply::json(200, &simulated.journal()),
        (&Method::POST, "reset-counters") => after(|| simulated.reset_counters()),
        (&Method::POST, "expire-tokens") => after(|| simulated.expire_tokens()),
        (&Method::DELETE, "faults") => after(|| simulated.clear_faults()),
        (&Method::POST, "faults") => {
            parsed::<Vec<Rule>>(call, |rules| after(|| rules.into_iter().for_each(|rule| simulated.fault(rule))))
        }
        (&Method::POST, "latency") => {
            parsed::<u64>(call, |ms| after(|| simulated.set_latency(Duration::from_millis(ms))))
        }
        (&Method::POST, "changes") => parsed::<Vec<Change>>(call, |changes| {
            for (at, change) in changes.iter().enumerate() {
                if let Err(error) = simulated.change(change) {
                    return Reply::json(409, &json!({"made": at, "error": error.to_string()}));
                }
            }
            Reply::json(200, &json!({"made": changes.len()}))
        }),
        _ => Reply::text(404, format!("no control command {} {what}", call.method)),
    }
}

fn parsed<T: DeserializeOwned>(call: &Call, act: impl FnOnce(T) -> Reply) -> Reply {
    match serde_json::from_slice(&call.body) {
        Ok(value) => act(value),
        Err(error) => Reply::text(400, format!("{error}")),
    }
}

fn after(act: impl FnOnce()) -> Reply {
    act();
    Reply::json(200, &json!({}))
}
