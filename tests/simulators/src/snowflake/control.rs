//! What the control port reaches of this simulator; besides the common commands `GET /__control/traffic` and
//! `/refresh-token`, `POST /__control/advance` (seconds), `/expire-masters` and `/restore`.

use std::fmt::Display;
use std::time::Duration;

use serde_json::json;

use super::{Change, Rule, Simulated, Twist};
use crate::control::{Steered, after, parsed};
use crate::journal::{Counters, Entry};
use crate::wire::{Call, Reply};

impl Steered for Simulated {
    type Change = Change;
    type Twist = Twist;

    fn model(&self) -> Reply {
        self.read(|account| Reply::json(200, account))
    }

    fn change(&self, change: &Change) -> Result<(), impl Display> {
        Simulated::change(self, change)
    }

    fn rule(&self, rule: Rule) {
        Simulated::rule(self, rule);
    }

    fn clear_faults(&self) {
        Simulated::clear_faults(self);
    }

    fn expire_tokens(&self) {
        Simulated::expire_tokens(self);
    }

    fn set_latency(&self, latency: Duration) {
        Simulated::set_latency(self, latency);
    }

    fn counters(&self) -> Counters {
        Simulated::counters(self)
    }

    fn journal(&self) -> Vec<Entry> {
        Simulated::journal(self)
    }

    fn reset_counters(&self) {
        Simulated::reset_counters(self);
    }

    fn own(&self, call: &Call, what: &str) -> Option<Reply> {
        Some(match (call.method.as_str(), what) {
            ("GET", "traffic") => Reply::json(200, &self.traffic()),
            ("GET", "refresh-token") => Reply::json(200, &json!({"refreshToken": self.refresh_token()})),
            ("POST", "advance") => parsed::<u64>(call, |seconds| after(|| self.advance(Duration::from_secs(seconds)))),
            ("POST", "expire-masters") => after(|| self.expire_masters()),
            ("POST", "restore") => after(|| self.restore()),
            _ => return None,
        })
    }
}
