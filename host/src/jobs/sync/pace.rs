//! A partition that goes on and on with next to nothing on its pages is read at a pace.
//!
//! Every page costs the host a call and a commit, whatever is on it, and what a page of one connection costs is not there
//! for others. So the first pages of a partition come as fast as they can; from then on, while they bring less than ten
//! things each on average, all such partitions of a sync together get one page in each interval. A platform that is asked
//! takes longer to answer than that, so only who asks nobody is held up.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use crate::model::page::Page;

/// Pages of a partition that come at full speed, whatever is on them.
const FREE: usize = 50;

/// What they must bring on average, so that it goes on like that.
const ENOUGH: usize = 10;

/// From one page to the next.
const INTERVAL: Duration = Duration::from_millis(10);

/// What the pages of a partition have brought.
#[derive(Debug, Default)]
struct Tally {
    pages: usize,
    brought: usize,
}

impl Tally {
    fn add(&mut self, page: &Page) {
        self.pages += 1;
        self.brought += page.objects.len() + page.errors.len() + page.partitions.len() + page.listed.len();
    }

    /// Whether the next page has to keep to the pace.
    fn is_thin(&self) -> bool {
        self.pages >= FREE && self.brought < self.pages * ENOUGH
    }
}

/// What has come, by the number of the task that reads a partition, and when the next page may come that has to keep to the
/// pace.
#[derive(Debug, Default)]
pub(in crate::jobs) struct Pace {
    tallies: Mutex<HashMap<u64, Tally>>,
    last: Mutex<Option<Instant>>,
}

impl Pace {
    /// Counts a page of a task, also where the task waited in between. Whether the next one has to keep to the pace.
    pub(super) fn add(&self, task: u64, page: &Page) -> bool {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = tallies.entry(task).or_default();
        tally.add(page);
        tally.is_thin()
    }

    pub(super) async fn keep(&self) {
        sleep_until(self.next(Instant::now())).await;
    }

    fn next(&self, now: Instant) -> Instant {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let next = last.map_or(now, |last| now.max(last + INTERVAL));
        *last = Some(next);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{page::ObjectError, path::RemotePath};

    fn page(things: usize) -> Page {
        let error = ObjectError { path: RemotePath::default(), code: String::new(), message: String::new() };
        Page { errors: vec![error; things], ..Page::default() }
    }

    #[test]
    fn the_first_small_pages_are_free_and_full_ones_always() {
        let thin_after = |things: usize, pages: usize| {
            let mut tally = Tally::default();
            (0..pages).for_each(|_| tally.add(&page(things)));
            tally.is_thin()
        };
        assert!(!thin_after(0, FREE - 1) && thin_after(0, FREE) && thin_after(9, FREE * 10));
        assert!(!thin_after(10, FREE * 10));
    }

    #[test]
    fn whoever_keeps_to_the_pace_shares_it() {
        let (pace, now) = (Pace::default(), Instant::now());
        let times = [pace.next(now), pace.next(now), pace.next(now)];
        assert_eq!(times, [now, now + INTERVAL, now + INTERVAL * 2]);
        let later = now + INTERVAL * 10;
        assert_eq!(pace.next(later), later, "a pause is not made up for");
    }
}
