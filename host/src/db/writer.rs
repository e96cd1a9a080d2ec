//! The one writer: a thread of its own that makes every change of the store.
//!
//! Two queues lead to it. What people ask for goes first, each operation in a transaction of its own. The work of jobs that
//! waits shares one for about 20 ms, so that one flush to the disk pays for many pages; somebody who asks meanwhile ends the
//! group at once. Nobody is answered before the commit is on the disk. Full queues hold up who adds to them.
//!
//! Nothing can be taken out of a transaction again, so a group stands or falls as a whole: where a member is refused, fails
//! or panics, the transaction is dropped and each member is done again in one of its own, in the same order. So the work of
//! a job may run twice, and then nothing of the first time is there.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Weak,
    thread,
    time::{Duration, Instant},
};

use tokio::{
    runtime::{self, Runtime},
    select,
    sync::{mpsc, oneshot},
};

use super::{
    Shared,
    fault::{Fault, Stop},
    names,
    tables::WriteRows,
};

/// How long the work of jobs is grouped into one transaction.
pub(super) const GROUP: Duration = Duration::from_millis(20);

/// How many operations of people in a row go before work of jobs that waits.
const PATIENCE: usize = 16;

/// Operations that wait for the writer at most, of people and of jobs.
const WAITING: (usize, usize) = (256, 64);

/// The ways to the writer. It ends when they are dropped.
pub(super) struct Writer {
    people: mpsc::Sender<Box<dyn Operation>>,
    jobs: mpsc::Sender<Box<dyn Operation>>,
}

/// The writer's ends of the queues.
pub(super) struct Queues {
    people: mpsc::Receiver<Box<dyn Operation>>,
    jobs: mpsc::Receiver<Box<dyn Operation>>,
    /// Operations of people since the last work of jobs.
    in_a_row: usize,
    /// How long work of jobs is grouped.
    group: Duration,
}

/// What is done in a write transaction, and who waits for it.
trait Operation: Send {
    /// Does it. Whether it went well; if not, nothing of the transaction may be kept.
    fn run(&mut self, rows: &mut WriteRows<'_>) -> bool;
    /// Notes that the store failed around it.
    fn fail(&mut self, fault: Fault);
    /// Tells who waits what came of it.
    fn answer(self: Box<Self>);
}

struct Asked<F, T, E> {
    work: F,
    done: Option<Result<T, Stop<E>>>,
    answer: oneshot::Sender<Result<T, Stop<E>>>,
}

impl<F, T, E> Operation for Asked<F, T, E>
where
    F: FnMut(&mut WriteRows<'_>) -> Result<T, Stop<E>> + Send,
    T: Send,
    E: Send,
{
    fn run(&mut self, rows: &mut WriteRows<'_>) -> bool {
        let done = catch_unwind(AssertUnwindSafe(|| (self.work)(rows)));
        self.done.insert(done.unwrap_or(Err(Stop::Fault(Fault::Panicked)))).is_ok()
    }

    fn fail(&mut self, fault: Fault) {
        self.done = Some(Err(Stop::Fault(fault)));
    }

    fn answer(self: Box<Self>) {
        if let Some(done) = self.done {
            // Whoever gave up waiting needs no answer.
            let _ = self.answer.send(done);
        }
    }
}

impl Writer {
    /// The queues of a writer that is not started yet.
    pub(super) fn new(group: Duration) -> (Self, Queues) {
        let (people, for_people) = mpsc::channel(WAITING.0);
        let (jobs, for_jobs) = mpsc::channel(WAITING.1);
        (Self { people, jobs }, Queues { people: for_people, jobs: for_jobs, in_a_row: 0, group })
    }

    /// Does something for people, before all work of jobs.
    pub(super) async fn for_people<T: Send + 'static, E: Send + 'static>(
        &self,
        work: impl FnOnce(&mut WriteRows<'_>) -> Result<T, Stop<E>> + Send + 'static,
    ) -> Result<T, Stop<E>> {
        let mut once = Some(work);
        let work = move |rows: &mut WriteRows<'_>| match once.take() {
            Some(work) => work(rows),
            None => Err(Stop::Fault(Fault::Broken("an operation was begun twice"))),
        };
        ask(&self.people, work).await
    }

    /// Does a part of a job, together with others that wait.
    pub(super) async fn for_jobs<T: Send + 'static, E: Send + 'static>(
        &self,
        work: impl FnOnce(&mut WriteRows<'_>) -> Result<T, Stop<E>> + Clone + Send + 'static,
    ) -> Result<T, Stop<E>> {
        ask(&self.jobs, move |rows: &mut WriteRows<'_>| work.clone()(rows)).await
    }
}

async fn ask<T: Send + 'static, E: Send + 'static>(
    queue: &mpsc::Sender<Box<dyn Operation>>,
    work: impl FnMut(&mut WriteRows<'_>) -> Result<T, Stop<E>> + Send + 'static,
) -> Result<T, Stop<E>> {
    let (answer, answered) = oneshot::channel();
    let asked = Box::new(Asked { work, done: None, answer });
    queue.send(asked).await.map_err(|_| Fault::Closed)?;
    answered.await.map_err(|_| Fault::Closed)?
}

impl Queues {
    /// Starts the writer. It does not keep the store open: what nobody waits for any more when the last handle is dropped
    /// has not happened.
    pub(super) fn start(mut self, store: Weak<Shared>) -> io::Result<()> {
        // Only to wait for two queues at once.
        let runtime = runtime::Builder::new_current_thread().build()?;
        thread::Builder::new().name("store-writer".into()).spawn(move || {
            while let Some(done) = self.turn(&runtime, &store) {
                // The store was let go of before: who has his answer may close it and open it again.
                for operation in done {
                    operation.answer();
                }
            }
        })?;
        Ok(())
    }

    /// Waits for something to do and does it. What is done, committed or not; none when the store is closed.
    fn turn(&mut self, runtime: &Runtime, store: &Weak<Shared>) -> Option<Vec<Box<dyn Operation>>> {
        let (first, is_of_people) = runtime.block_on(self.next())?;
        let store = store.upgrade()?;
        self.in_a_row = if is_of_people { self.in_a_row + 1 } else { 0 };
        let mut members = vec![first];
        let begun = Instant::now();
        let more = || {
            let goes_on = !is_of_people && self.people.is_empty() && begun.elapsed() < self.group;
            if goes_on { self.jobs.try_recv().ok() } else { None }
        };
        if together(&store, &mut members, more) || members.len() == 1 {
            return Some(members);
        }
        let alone = |member| {
            let mut members = vec![member];
            together(&store, &mut members, || None);
            members
        };
        Some(members.into_iter().flat_map(alone).collect())
    }

    async fn next(&mut self) -> Option<(Box<dyn Operation>, bool)> {
        if self.in_a_row >= PATIENCE
            && let Ok(first) = self.jobs.try_recv()
        {
            return Some((first, false));
        }
        select! {
            biased;
            Some(first) = self.people.recv() => Some((first, true)),
            Some(first) = self.jobs.recv() => Some((first, false)),
            else => None,
        }
    }
}

/// Runs operations in one transaction, and more as long as there are any. Whether all of it is on the disk; if not, nothing.
fn together(
    store: &Shared,
    members: &mut Vec<Box<dyn Operation>>,
    more: impl FnMut() -> Option<Box<dyn Operation>>,
) -> bool {
    let committed = catch_unwind(AssertUnwindSafe(|| commit(store, members, more)));
    match committed.unwrap_or(Err(Fault::Panicked)) {
        Ok(committed) => committed,
        Err(fault) => {
            // Of several, each will have its own.
            if let [only] = members.as_mut_slice() {
                only.fail(fault);
            }
            false
        }
    }
}

fn commit(
    store: &Shared,
    members: &mut Vec<Box<dyn Operation>>,
    mut more: impl FnMut() -> Option<Box<dyn Operation>>,
) -> Result<bool, Fault> {
    let transaction = store.database.begin_write()?;
    let noted = {
        let mut rows = WriteRows::open(&transaction)?;
        let mut next = 0;
        while let Some(member) = members.get_mut(next) {
            if !member.run(&mut rows) {
                return Ok(false);
            }
            next += 1;
            if next == members.len() {
                members.extend(more());
            }
        }
        names::noted(&mut rows)?
    };
    let gone = store.names.add(noted);
    transaction.commit()?;
    store.names.forget(&gone);
    store.names.settle(&store.database);
    Ok(true)
}

#[cfg(test)]
mod tests;
