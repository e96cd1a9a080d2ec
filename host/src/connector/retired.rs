//! What versions counted that serve no more: a version that was taken back is the one whose failures people look for.
//!
//! A counter that is told once must not go back while the host runs. So what a version had counted stays with its digest,
//! and is added to where the same component is loaded anew.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Weak},
};

use super::{Connector, Serving, health::Snapshot};

/// Most versions that are told of after they served.
const MAX_RETIRED: usize = 20;

/// One version with its counters.
#[derive(Clone, Debug)]
pub struct Counted {
    /// The connector's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it counted.
    pub health: Snapshot,
}

/// Versions that served, the one that stopped last at the end.
#[derive(Default)]
pub(super) struct Retired(VecDeque<Former>);

struct Former {
    digest: String,
    /// What loads of the component that are gone had counted.
    before: Snapshot,
    /// The load that served last: calls under way go on counting, and it may serve again. Gone, it has counted `last`.
    connector: Weak<Connector>,
    last: Counted,
}

impl Retired {
    /// Notes what stops serving.
    pub(super) fn swap(&mut self, before: &Serving, after: &Serving) {
        self.refresh();
        let stays: BTreeSet<_> = all(after).map(Arc::as_ptr).collect();
        for connector in all(before).filter(|connector| !stays.contains(&Arc::as_ptr(connector))) {
            self.note(connector);
        }
        // What serves again is still told with what it was.
        let serves: BTreeSet<&str> = all(after).map(|connector| connector.digest.as_str()).collect();
        while self.0.len() > MAX_RETIRED
            && let Some(oldest) = self.0.iter().position(|former| !serves.contains(former.digest.as_str()))
        {
            self.0.remove(oldest);
        }
    }

    fn note(&mut self, connector: &Arc<Connector>) {
        let known = self.0.iter().position(|former| former.digest == connector.digest).and_then(|at| self.0.remove(at));
        let is_same = known.as_ref().is_some_and(|known| known.connector.as_ptr() == Arc::as_ptr(connector));
        let before = match known {
            Some(known) if is_same => known.before,
            Some(known) => known.before.and(&known.last.health),
            None => Snapshot::default(),
        };
        let (digest, last) = (connector.digest.clone(), Counted::of(connector));
        self.0.push_back(Former { digest, before, connector: Arc::downgrade(connector), last });
    }

    /// Everything that serves or did, by digest.
    pub(super) fn with(&mut self, serving: &Serving) -> BTreeMap<String, Counted> {
        self.refresh();
        let live: BTreeMap<_, _> = all(serving).map(|connector| (connector.digest.clone(), connector)).collect();
        let mut found: BTreeMap<String, Counted> =
            live.iter().map(|(digest, connector)| (digest.clone(), Counted::of(connector))).collect();
        for former in &self.0 {
            let is_live = live.get(&former.digest).is_some_and(|c| Arc::as_ptr(c) == former.connector.as_ptr());
            let own = if is_live { former.before.clone() } else { former.before.and(&former.last.health) };
            match found.get_mut(&former.digest) {
                Some(counted) => counted.health = counted.health.and(&own),
                None => {
                    found.insert(former.digest.clone(), Counted { health: own, ..former.last.clone() });
                }
            }
        }
        found
    }

    fn refresh(&mut self) {
        for former in &mut self.0 {
            if let Some(connector) = former.connector.upgrade() {
                former.last = Counted::of(&connector);
            }
        }
    }
}

impl Counted {
    fn of(connector: &Connector) -> Self {
        let descriptor = &connector.descriptor;
        Self { name: descriptor.name.clone(), version: descriptor.version.clone(), health: connector.health() }
    }
}

fn all(serving: &Serving) -> impl Iterator<Item = &Arc<Connector>> {
    serving.active.values().chain(serving.chosen.values().flatten()).chain(serving.versions.values())
}

impl Snapshot {
    /// The counters of both. What is no counter is that of this one.
    fn and(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        other.failures.iter().for_each(|(code, count)| *sum.failures.entry(*code).or_default() += count);
        other.stops.iter().for_each(|(stop, count)| *sum.stops.entry(*stop).or_default() += count);
        sum.calls += other.calls;
        sum.computed += other.computed;
        sum.memory_high_water = sum.memory_high_water.max(other.memory_high_water);
        sum.requests += other.requests;
        sum.bytes += other.bytes;
        sum.denied_requests += other.denied_requests;
        sum.denied_memory += other.denied_memory;
        sum.denied_tables += other.denied_tables;
        sum
    }
}
