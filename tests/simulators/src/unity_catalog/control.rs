//! What the control port reaches of this simulator.

use std::fmt::Display;
use std::time::Duration;

use super::{Change, Rule, Simulated, Twist};
use crate::control::Steered;
use crate::journal::{Counters, Entry};
use crate::wire::Reply;

impl Steered for Simulated {
    type Change = Change;
    type Twist = Twist;

    fn model(&self) -> Reply {
        self.read(|metastore| Reply::json(200, metastore))
    }

    fn change(&self, change: &Change) -> Result<(), impl Display> {
        Simulated::change(self, change)
    }

    fn rule(&self, rule: Rule) {
        self.fault(rule);
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
}
