//! The sync: makes the inventory below an object match the platform.
//!
//! A sync is a set of tasks that stand in the store. Each is advanced by calls of the connector whose results are
//! applied one by one; a result brings further tasks. Whatever a task has done is in the store before the next step
//! counts on it, so a crash costs at most the steps under way. What is decided about objects is decided there; here is
//! decided only what to ask next, how much at once, and what to do about failures.

mod failure;
mod judge;
mod pace;
mod received;
mod step;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(super) use self::{pace::Pace, received::Received};
use super::{
    scheduler::time_until,
    worker::{Attempt, Stopped},
};
use crate::model::job::{Task, Work};

/// How often the claim is confirmed while calls take long.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Does what is left of a sync.
pub(super) async fn run(attempt: Attempt, shutdown: CancellationToken) -> Result<(), Stopped> {
    let (found, mut inbox) = mpsc::unbounded_channel();
    let mut waiting = Waiting::default();
    attempt.claimed.tasks.iter().for_each(|task| waiting.push(task.clone()));
    let mut running = FuturesUnordered::new();
    let changed = attempt.context.db.jobs_changed();
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        while let Ok(task) = inbox.try_recv() {
            waiting.push(task);
        }
        let now = attempt.context.clock.now();
        while running.len() < attempt.context.options.tasks_per_job {
            let Some(task) = waiting.pop(now) else { break };
            running.push(step::advance(&attempt, task, &found));
        }
        if running.is_empty() && waiting.is_empty() {
            return Ok(());
        }
        let has_room = running.len() < attempt.context.options.tasks_per_job;
        let sleep = waiting.next_due().map_or(HEARTBEAT, |due| time_until(due, now).max(Duration::from_millis(5)));
        tokio::select! {
            Some(left) = running.next(), if !running.is_empty() => {
                if let Some(task) = left? {
                    waiting.push(task);
                }
            }
            Some(task) = inbox.recv() => waiting.push(task),
            () = tokio::time::sleep(sleep), if has_room => {}
            // Rung for cancellations too: dropping the calls under way is what stops them.
            () = changed.notified() => attempt.context.db.renew_claim(attempt.claimed.claim).await?,
            _ = heartbeat.tick() => attempt.context.db.renew_claim(attempt.claimed.claim).await?,
            () = shutdown.cancelled() => return Err(Stopped::Shutdown),
        }
    }
}

/// Tasks that are not under way: larger partitions first, and none before its time.
#[derive(Default)]
struct Waiting {
    ready: BTreeSet<(Reverse<u64>, u64)>,
    later: BTreeSet<(Timestamp, u64)>,
    tasks: BTreeMap<u64, Task>,
}

impl Waiting {
    fn push(&mut self, task: Task) {
        match task.not_before {
            Some(due) => self.later.insert((due, task.number)),
            None => self.ready.insert((Reverse(weight(&task.work)), task.number)),
        };
        self.tasks.insert(task.number, task);
    }

    fn pop(&mut self, now: Timestamp) -> Option<Task> {
        while let Some(&(due, number)) = self.later.first()
            && due <= now
        {
            self.later.pop_first();
            let weight = self.tasks.get(&number).map_or(0, |task| weight(&task.work));
            self.ready.insert((Reverse(weight), number));
        }
        let (_, number) = self.ready.pop_first()?;
        self.tasks.remove(&number)
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.later.first().map(|(due, _)| *due)
    }

    fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}

/// What is begun first: what brings further tasks, then partitions by the size that the connector expects.
fn weight(work: &Work) -> u64 {
    match work {
        Work::Plan { .. } => u64::MAX,
        Work::Read { partition, .. } => partition.weight.saturating_add(1),
        Work::Columns { .. } | Work::Confirm { .. } | Work::Judge => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{page::Partition, path::RemotePath};

    fn read(number: u64, weight: u64, not_before: Option<i64>) -> Task {
        let partition =
            Partition { id: number.to_string(), scope: RemotePath::default(), payload: String::new(), weight };
        Task {
            not_before: not_before.map(|s| Timestamp::from_second(s).expect("time")),
            ..Task::new(number, Work::Read { partition, want_columns: false, second_look: false })
        }
    }

    #[test]
    fn large_partitions_first_and_none_before_its_time() {
        let at = |s| Timestamp::from_second(s).expect("time");
        let mut waiting = Waiting::default();
        for task in [read(1, 5, None), read(2, 9, None), read(3, 99, Some(100))] {
            waiting.push(task);
        }
        assert_eq!(waiting.next_due(), Some(at(100)));
        assert_eq!(waiting.pop(at(1)).map(|t| t.number), Some(2));
        assert_eq!(waiting.pop(at(100)).map(|t| t.number), Some(3));
        assert_eq!(waiting.pop(at(100)).map(|t| t.number), Some(1));
        assert!(waiting.pop(at(100)).is_none() && waiting.is_empty());
    }
}
