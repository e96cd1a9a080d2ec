//! How long each step of a swap took, and whether callers noticed.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::ensure;
use tokio::task::JoinSet;
use wharfinger::{
    connector::{Connector, Connectors},
    model::name::Technology,
};
use wharfinger_tests::TestHost;

use super::{Kind, TECHNOLOGY};

/// How often is looked.
const LOOK: Duration = Duration::from_millis(1);

/// How long is looked for a pause once the new version has answered.
const AFTERWARDS: Duration = Duration::from_millis(300);

/// What was measured.
#[derive(Default)]
pub(super) struct Figures {
    /// Each swap from its installation to its end.
    swaps: BTreeMap<Kind, Vec<Duration>>,
    installed: Vec<Duration>,
    asked: Vec<Duration>,
    first_call: Vec<Duration>,
    pause: Vec<Duration>,
    taken_back: BTreeMap<Kind, Vec<Duration>>,
}

/// What callers saw of one swap.
pub(super) struct Seen {
    /// From the moment it is to be activated until its first call has ended; its check comes before.
    asked: Duration,
    /// From the moment it serves until its first call has ended.
    first_call: Duration,
    /// The longest time in which no call of any version ended, around that moment.
    pause: Duration,
}

impl Figures {
    /// One swap ended as it must.
    pub(super) fn count(&mut self, kind: Kind, took: Duration) {
        self.swaps.entry(kind).or_default().push(took);
    }

    pub(super) fn installed(&mut self, took: Duration) {
        self.installed.push(took);
    }

    pub(super) fn taken_back(&mut self, kind: Kind, took: Duration) {
        self.taken_back.entry(kind).or_default().push(took);
    }

    pub(super) fn seen(&mut self, seen: &Seen) {
        self.asked.push(seen.asked);
        self.first_call.push(seen.first_call);
        self.pause.push(seen.pause);
    }

    /// For people.
    pub(super) fn report(&mut self) -> String {
        let swaps = self.swaps.iter_mut().map(|(kind, times)| (format!("{kind:?}, {}", kind.fate()), times));
        let taken_back = self.taken_back.iter_mut().map(|(kind, times)| (format!("{kind:?}, until taken back"), times));
        let all = [
            ("install, compile included".to_owned(), &mut self.installed),
            ("from activation to the first call that ended".to_owned(), &mut self.asked),
            ("from serving to the first call that ended".to_owned(), &mut self.first_call),
            ("longest time without a call that ended".to_owned(), &mut self.pause),
        ];
        let mut report = String::new();
        for (what, times) in swaps.chain(all).chain(taken_back) {
            times.sort_unstable();
            if let (Some(median), Some(most)) = (times.get(times.len() / 2), times.last()) {
                report += &format!("{what}: {} times, median {median:.1?}, at most {most:.1?}\n", times.len());
            }
        }
        report
    }
}

/// Looks on while a version takes over.
pub(super) fn watch(host: &TestHost, version: &str) -> JoinSet<anyhow::Result<Seen>> {
    let (connectors, version) = (host.app().connectors().clone(), version.to_owned());
    let mut watching = JoinSet::new();
    watching.spawn(async move {
        let technology: Technology = TECHNOLOGY.parse()?;
        let began = Instant::now();
        let old = connectors.by_technology(&technology);
        let old_calls = || old.as_ref().map_or(0, |old| old.health().calls);
        let (mut serves, mut first_call, mut checked) = (None, None, 0);
        let (mut calls, mut last, mut pause) = (old_calls(), Instant::now(), Duration::ZERO);
        loop {
            tokio::time::sleep(LOOK).await;
            let now = Instant::now();
            let new = of_version(&connectors, &technology, &version);
            let of_new = new.as_ref().map_or(0, |new| new.health().calls);
            let sum = old_calls() + of_new;
            if serves.is_none() && new.is_some() {
                serves = Some(now);
                // What was before does not count.
                (calls, last) = (sum, now);
                // Its check has called it already.
                checked = of_new;
            }
            if sum != calls {
                pause = if serves.is_some() { pause.max(now - last) } else { pause };
                (calls, last) = (sum, now);
            }
            if let (Some(serves), None) = (serves, first_call)
                && of_new > checked
            {
                first_call = Some(now - serves);
            }
            if let (Some(serves), Some(first_call)) = (serves, first_call)
                && now - serves > first_call + AFTERWARDS
            {
                return Ok(Seen { asked: serves + first_call - began, first_call, pause });
            }
            ensure!(began.elapsed() < Duration::from_secs(120), "nothing is read by {version}");
        }
    });
    watching
}

fn of_version(connectors: &Connectors, technology: &Technology, version: &str) -> Option<Arc<Connector>> {
    connectors.by_technology(technology).filter(|connector| connector.descriptor.version == version)
}
