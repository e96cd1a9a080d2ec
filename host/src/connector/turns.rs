//! Whose turn it is to compute: the guests' threads are shared fairly between connections, not between calls.
//!
//! A guest computes only while its call is polled, at most until the next tick. Each poll takes a place, of which there
//! are as many as threads. Where several connections have calls, each gets at most its share of the places, but one at
//! least; whoever is alone gets all. So a connection whose calls compute without end, however many, leaves room for the
//! calls of others, which need not even wait for a tick.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// How long a connection keeps its share after its last call: between two pages it is busy elsewhere.
const LINGER: Duration = Duration::from_millis(250);

/// The places, and who has them.
pub(super) struct Turns {
    places: usize,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    taken: usize,
    sharers: HashMap<usize, Sharer>,
    /// In order of arrival; each call at most once.
    waiting: VecDeque<Waiting>,
    /// The number of the next call.
    next: u64,
}

/// A connection with calls.
struct Sharer {
    calls: usize,
    taken: usize,
    /// When its last call ended.
    left: Instant,
}

struct Waiting {
    call: u64,
    sharer: usize,
    waker: Waker,
    /// Whether a place is kept for it.
    granted: bool,
}

/// A call that computes in turn.
pub(super) struct InTurn<F> {
    turns: Arc<Turns>,
    call: u64,
    sharer: usize,
    work: Pin<Box<F>>,
}

/// A place that is given back however the poll ends.
struct Place<'a> {
    turns: &'a Turns,
    sharer: usize,
}

impl Turns {
    pub(super) fn new(places: usize) -> Self {
        Self { places, inside: Mutex::default() }
    }

    /// A call of a connection, which is told from others by a number.
    pub(super) fn call<F: Future>(self: &Arc<Self>, sharer: usize, work: F) -> InTurn<F> {
        let mut inside = self.inside();
        inside.next += 1;
        let call = inside.next;
        let entry = inside.sharers.entry(sharer).or_insert(Sharer { calls: 0, taken: 0, left: Instant::now() });
        entry.calls += 1;
        drop(inside);
        InTurn { turns: Arc::clone(self), call, sharer, work: Box::pin(work) }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // What is inside is whole between any two statements that could panic.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a poll, or queues for one.
    fn take(&self, call: u64, sharer: usize, waker: &Waker) -> Option<Place<'_>> {
        let mut inside = self.inside();
        match inside.waiting.iter_mut().position(|waiting| waiting.call == call) {
            Some(at) if inside.waiting[at].granted => drop(inside.waiting.remove(at)),
            Some(at) => {
                inside.waiting[at].waker.clone_from(waker);
                return None;
            }
            None if inside.may_take(sharer, self.places) => inside.count(sharer, 1),
            None => {
                inside.waiting.push_back(Waiting { call, sharer, waker: waker.clone(), granted: false });
                return None;
            }
        }
        Some(Place { turns: self, sharer })
    }

    /// Keeps free places for those that wait, and wakes them.
    fn grant(&self, mut inside: MutexGuard<'_, Inside>) {
        let mut woken = Vec::new();
        for at in 0..inside.waiting.len() {
            let Waiting { sharer, granted, .. } = inside.waiting[at];
            if !granted && inside.may_take(sharer, self.places) {
                inside.count(sharer, 1);
                inside.waiting[at].granted = true;
                woken.push(inside.waiting[at].waker.clone());
            }
        }
        drop(inside);
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Inside {
    fn may_take(&self, sharer: usize, places: usize) -> bool {
        let present = |sharer: &&Sharer| sharer.calls > 0 || sharer.left.elapsed() < LINGER;
        let sharers = self.sharers.values().filter(present).count();
        let share = (places / sharers.max(1)).max(1);
        self.taken < places && self.sharers.get(&sharer).is_none_or(|sharer| sharer.taken < share)
    }

    /// Counts a place that is taken (1) or given back (-1).
    fn count(&mut self, sharer: usize, change: isize) {
        self.taken = self.taken.saturating_add_signed(change);
        if let Some(sharer) = self.sharers.get_mut(&sharer) {
            sharer.taken = sharer.taken.saturating_add_signed(change);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut inside = self.turns.inside();
        inside.count(self.sharer, -1);
        self.turns.grant(inside);
    }
}

impl<F: Future> Future for InTurn<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let turns = Arc::clone(&self.turns);
        let Some(_place) = turns.take(self.call, self.sharer, context.waker()) else { return Poll::Pending };
        self.work.as_mut().poll(context)
    }
}

impl<F> Drop for InTurn<F> {
    fn drop(&mut self) {
        let mut inside = self.turns.inside();
        if let Some(at) = inside.waiting.iter().position(|waiting| waiting.call == self.call)
            && inside.waiting.remove(at).is_some_and(|waiting| waiting.granted)
        {
            inside.count(self.sharer, -1);
        }
        if let Some(sharer) = inside.sharers.get_mut(&self.sharer) {
            sharer.calls -= 1;
            sharer.left = Instant::now();
        }
        inside.sharers.retain(|_, sharer| sharer.calls > 0 || sharer.left.elapsed() < LINGER);
        self.turns.grant(inside);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    fn places(turns: &Arc<Turns>, sharers: &[usize]) -> Vec<bool> {
        // Polls without end, each of which would hold its place: taken one after another and held.
        let calls: Vec<_> = sharers.iter().map(|sharer| turns.call(*sharer, std::future::pending::<()>())).collect();
        let held: Vec<_> = calls.iter().map(|call| turns.take(call.call, call.sharer, Waker::noop())).collect();
        held.iter().map(Option::is_some).collect()
    }

    #[test]
    fn whoever_is_alone_gets_all_and_two_get_half_each() {
        assert_eq!(places(&Arc::new(Turns::new(2)), &[1, 1, 1]), [true, true, false]);
        assert_eq!(places(&Arc::new(Turns::new(2)), &[1, 1, 2]), [true, false, true]);
        assert_eq!(places(&Arc::new(Turns::new(4)), &[1, 1, 1, 2, 2, 2]), [true, true, false, true, true, false]);
        assert_eq!(
            places(&Arc::new(Turns::new(2)), &[1, 2, 3]),
            [true, true, false],
            "one at least, but no more places"
        );
    }

    #[test]
    fn a_place_that_is_free_is_kept_for_who_waits_the_longest() {
        let turns = Arc::new(Turns::new(1));
        let [first, second, third] = [1, 2, 2].map(|sharer| turns.call(sharer, std::future::pending::<()>()));
        let take = |call: &InTurn<_>| turns.take(call.call, call.sharer, Waker::noop()).is_some();
        let held = turns.take(first.call, first.sharer, Waker::noop());
        assert!(held.is_some() && !take(&second) && !take(&third));
        drop(held);
        assert!(!take(&first) && !take(&third), "it is kept for the second");
        assert!(take(&second), "and taken, and given back at once");
        drop((second, third));
        assert!(take(&first), "who goes away gives up what was kept for him");
        let inside = turns.inside();
        assert_eq!((inside.taken, inside.waiting.len()), (0, 0));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn calls_that_never_wait_delay_no_other_connection() {
        let turns = Arc::new(Turns::new(2));
        let mut busy = tokio::task::JoinSet::new();
        for _ in 0..8 {
            busy.spawn(turns.call(1, async {
                loop {
                    std::thread::sleep(Duration::from_millis(5));
                    tokio::task::yield_now().await;
                }
            }));
        }
        let polls = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&polls);
        let others = turns.call(2, async move {
            for _ in 0..20 {
                *counted.lock().unwrap() += 1;
                tokio::task::yield_now().await;
            }
        });
        tokio::time::timeout(Duration::from_secs(10), others).await.expect("it gets its turns");
        assert_eq!(*polls.lock().unwrap(), 20);
        busy.shutdown().await;
        let ended = turns.call(1, poll_fn(|_| Poll::Ready(7))).await;
        assert_eq!((ended, turns.inside().taken), (7, 0), "calls that were cut off have given everything back");
    }
}
