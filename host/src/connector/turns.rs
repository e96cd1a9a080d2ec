//! Whose turn it is to compute: the guests' threads are shared fairly between connections, not between calls.
//!
//! A guest computes only while its call is polled, at most until the next tick. Each poll takes a place, of which there
//! are as many as threads. Where several connections have calls, each gets at most its share of the places, but one at
//! least; whoever is alone gets all. So a connection whose calls compute without end, however many, leaves room for the
//! calls of others, which need not even wait for a tick. Only who computes counts: a call that waits for its platform
//! takes nothing from anybody.
//!
//! What a call waits for its turn, and what it computes when it has it, is measured here ([`Meter`]).

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

/// How long a connection keeps its share after it has computed: between two pages it is busy elsewhere.
const LINGER: Duration = Duration::from_millis(250);

/// Who shares: the number of a connection, or [`NOBODY`].
pub(super) type Sharer = u128;

/// Everything that belongs to no connection shares as one.
pub(super) const NOBODY: Sharer = 0;

/// The places, and who has them.
pub(super) struct Turns {
    places: usize,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    taken: usize,
    sharers: HashMap<Sharer, Sharing>,
    /// In order of arrival; each call at most once.
    waiting: VecDeque<Waiting>,
    /// The number of the next call.
    next: u64,
    /// Places that were given so far.
    given: u64,
}

/// A connection with calls.
struct Sharing {
    calls: usize,
    taken: usize,
    waiting: usize,
    /// How many places had been given when it got its last one.
    last: u64,
    /// When it last gave a place back.
    left: Option<Instant>,
}

struct Waiting {
    call: u64,
    sharer: Sharer,
    waker: Waker,
    /// Whether a place is kept for it.
    granted: bool,
}

/// A call that computes in turn.
pub(super) struct InTurn<F> {
    turns: Arc<Turns>,
    call: u64,
    sharer: Sharer,
    meter: Arc<Meter>,
    /// Whether it has had a turn.
    has_begun: bool,
    /// Since when it waits for one.
    since: Option<Instant>,
    work: Pin<Box<F>>,
}

/// What a call waited for its turns, from the first one on, and what it computed in them. All in microseconds.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Shared with the call's way out, whose deadlines move by it too.
    pub(super) withheld: Arc<AtomicU64>,
    computed: AtomicU64,
}

impl Meter {
    /// What it waited for turns.
    pub(super) fn withheld(&self) -> Duration {
        Duration::from_micros(self.withheld.load(Ordering::Relaxed))
    }

    /// Processor time of its turns, up to the end of the last one: of the guest, and of the host on its behalf.
    pub(super) fn computed(&self) -> Duration {
        Duration::from_micros(self.computed.load(Ordering::Relaxed))
    }
}

fn add(counter: &AtomicU64, time: Duration) {
    counter.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// What this thread has computed so far.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
}

/// A place that is given back however the poll ends.
struct Place<'a> {
    turns: &'a Turns,
    sharer: Sharer,
}

impl Turns {
    pub(super) fn new(places: usize) -> Self {
        Self { places, inside: Mutex::default() }
    }

    /// A call of a connection.
    pub(super) fn call<F: Future>(self: &Arc<Self>, sharer: Sharer, meter: Arc<Meter>, work: F) -> InTurn<F> {
        let mut inside = self.inside();
        inside.next += 1;
        let call = inside.next;
        let new = Sharing { calls: 0, taken: 0, waiting: 0, last: 0, left: None };
        inside.sharers.entry(sharer).or_insert(new).calls += 1;
        drop(inside);
        let work = Box::pin(work);
        InTurn { turns: Arc::clone(self), call, sharer, meter, has_begun: false, since: None, work }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // What is inside is whole between any two statements that could panic.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a poll, or queues for one.
    fn take(&self, call: u64, sharer: Sharer, waker: &Waker) -> Option<Place<'_>> {
        let mut inside = self.inside();
        match inside.waiting.iter_mut().position(|waiting| waiting.call == call) {
            Some(at) if inside.waiting[at].granted => inside.forget(at),
            Some(at) => {
                inside.waiting[at].waker.clone_from(waker);
                return None;
            }
            None if inside.may_take(sharer, self.places) => inside.count(sharer, 1),
            None => {
                inside.sharing(sharer, |sharing| sharing.waiting += 1);
                inside.waiting.push_back(Waiting { call, sharer, waker: waker.clone(), granted: false });
                return None;
            }
        }
        Some(Place { turns: self, sharer })
    }

    /// Keeps free places for those that wait, and wakes them.
    fn grant(&self, mut inside: MutexGuard<'_, Inside>) {
        let mut woken = Vec::new();
        while let Some(at) = inside.next_in_turn(self.places) {
            let sharer = inside.waiting[at].sharer;
            inside.count(sharer, 1);
            inside.waiting[at].granted = true;
            woken.push(inside.waiting[at].waker.clone());
        }
        drop(inside);
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Inside {
    fn may_take(&self, sharer: Sharer, places: usize) -> bool {
        // Whoever asks is there.
        let others = self.sharers.iter().filter(|(other, sharing)| **other != sharer && sharing.is_present()).count();
        let share = (places / (others + 1)).max(1);
        self.taken < places && self.sharers.get(&sharer).is_none_or(|sharing| sharing.taken < share)
    }

    /// Which of those that wait is next: of the connections that may have one more place the one that had none for the
    /// longest, and of its calls the first. So where there are more connections than places, each has as many turns as
    /// another, however many calls it has.
    fn next_in_turn(&self, places: usize) -> Option<usize> {
        let waiting = self.waiting.iter().enumerate();
        let eligible = waiting.filter(|(_, waiting)| !waiting.granted && self.may_take(waiting.sharer, places));
        let last = |sharer| self.sharers.get(&sharer).map_or(0, |sharing| sharing.last);
        eligible.min_by_key(|(at, waiting)| (last(waiting.sharer), *at)).map(|(at, _)| at)
    }

    /// Counts a place that is taken (1) or given back (-1).
    fn count(&mut self, sharer: Sharer, change: isize) {
        self.taken = self.taken.saturating_add_signed(change);
        self.given += u64::from(change > 0);
        let given = self.given;
        self.sharing(sharer, |sharing| {
            if change > 0 {
                sharing.last = given;
            }
            sharing.taken = sharing.taken.saturating_add_signed(change);
            sharing.left = Some(Instant::now());
        });
    }

    /// Takes one that waits out of the queue.
    fn forget(&mut self, at: usize) {
        if let Some(waiting) = self.waiting.remove(at) {
            self.sharing(waiting.sharer, |sharing| sharing.waiting -= 1);
        }
    }

    fn sharing(&mut self, sharer: Sharer, change: impl FnOnce(&mut Sharing)) {
        if let Some(sharing) = self.sharers.get_mut(&sharer) {
            change(sharing);
        }
    }
}

impl Sharing {
    /// Whether it computes, is about to, or has done so just now.
    fn is_present(&self) -> bool {
        self.taken > 0 || self.waiting > 0 || self.lingers()
    }

    fn lingers(&self) -> bool {
        self.left.is_some_and(|left| left.elapsed() < LINGER)
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
        let Some(_place) = turns.take(self.call, self.sharer, context.waker()) else {
            self.since.get_or_insert_with(Instant::now);
            return Poll::Pending;
        };
        // Before its first turn no clock of the call runs.
        if let Some(since) = self.since.take().filter(|_| self.has_begun) {
            add(&self.meter.withheld, since.elapsed());
        }
        self.has_begun = true;
        let before = thread_time();
        let polled = self.work.as_mut().poll(context);
        add(&self.meter.computed, thread_time().saturating_sub(before));
        polled
    }
}

impl<F> Drop for InTurn<F> {
    fn drop(&mut self) {
        let mut inside = self.turns.inside();
        if let Some(at) = inside.waiting.iter().position(|waiting| waiting.call == self.call) {
            if inside.waiting[at].granted {
                inside.count(self.sharer, -1);
            }
            inside.forget(at);
        }
        inside.sharing(self.sharer, |sharing| sharing.calls -= 1);
        inside.sharers.retain(|_, sharing| sharing.calls > 0 || sharing.lingers());
        self.turns.grant(inside);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// A call whose polls would last for ever.
    fn endless(turns: &Arc<Turns>, sharer: Sharer) -> InTurn<std::future::Pending<()>> {
        turns.call(sharer, Arc::default(), std::future::pending())
    }

    fn take<'a, F>(turns: &'a Turns, call: &InTurn<F>) -> Option<Place<'a>> {
        turns.take(call.call, call.sharer, Waker::noop())
    }

    /// Which of these get a place, one after another, that all hold what they get, where each connection has just
    /// computed.
    fn places(number: usize, sharers: &[Sharer]) -> Vec<bool> {
        let turns = Arc::new(Turns::new(number));
        let calls: Vec<_> = sharers.iter().map(|sharer| endless(&turns, *sharer)).collect();
        calls.iter().for_each(|call| drop(take(&turns, call)));
        let held: Vec<_> = calls.iter().map(|call| take(&turns, call)).collect();
        held.iter().map(Option::is_some).collect()
    }

    #[test]
    fn whoever_is_alone_gets_all_and_two_get_half_each() {
        assert_eq!(places(2, &[1, 1, 1]), [true, true, false]);
        assert_eq!(places(2, &[1, 1, 2]), [true, false, true]);
        assert_eq!(places(4, &[1, 1, 1, 2, 2, 2]), [true, true, false, true, true, false]);
        assert_eq!(places(2, &[1, 2, 3]), [true, true, false], "one at least, but no more places");
    }

    #[test]
    fn a_call_that_only_waits_for_its_platform_takes_nothing_from_others() {
        let turns = Arc::new(Turns::new(2));
        let [first, second, other] = [1, 1, 2].map(|sharer| endless(&turns, sharer));
        // It computes, and then waits for longer than a connection is remembered.
        drop(take(&turns, &other));
        let long_ago = Instant::now().checked_sub(LINGER).expect("the machine runs for longer");
        turns.inside().sharing(2, |sharing| sharing.left = Some(long_ago));
        let held = [take(&turns, &first), take(&turns, &second)];
        assert!(held.iter().all(Option::is_some), "both places");
        assert!(take(&turns, &other).is_none(), "now it waits for one");
        let [one, _two] = held;
        drop(one);
        assert!(take(&turns, &first).is_none() && take(&turns, &other).is_some(), "and is next");
    }

    #[test]
    fn more_connections_than_places_have_as_many_turns_each() {
        let turns = Arc::new(Turns::new(2));
        let sharers = [[1_u128; 8].as_slice(), &[2; 8], &[3]].concat();
        let calls: Vec<_> = sharers.iter().map(|sharer| endless(&turns, *sharer)).collect();
        let mut turns_of = HashMap::from([(1, 0), (2, 0), (3, 0)]);
        let mut held = VecDeque::new();
        for _ in 0..300 {
            // Whoever has a place computes for a while, gives it back and asks again.
            for call in &calls {
                if let Some(place) = take(&turns, call) {
                    *turns_of.entry(call.sharer).or_default() += 1;
                    held.push_back(place);
                }
            }
            held.pop_front();
        }
        let [least, most] = [turns_of.values().min(), turns_of.values().max()].map(|n| n.copied().unwrap_or(0));
        assert!(least > 50 && most <= least + 2, "{turns_of:?}");
    }

    #[test]
    fn a_place_that_is_free_is_kept_for_who_waits_the_longest() {
        let turns = Arc::new(Turns::new(1));
        let [first, second, third] = [1, 2, 2].map(|sharer| endless(&turns, sharer));
        let takes = |call: &InTurn<_>| take(&turns, call).is_some();
        let held = take(&turns, &first);
        assert!(held.is_some() && !takes(&second) && !takes(&third));
        drop(held);
        assert!(!takes(&first) && !takes(&third), "it is kept for the second");
        assert!(takes(&second), "and taken, and given back at once");
        drop((second, third));
        assert!(takes(&first), "who goes away gives up what was kept for him");
        let inside = turns.inside();
        assert_eq!((inside.taken, inside.waiting.len()), (0, 0));
        assert!(inside.sharers.values().all(|sharing| sharing.waiting == 0));
    }

    #[tokio::test]
    async fn waiting_for_a_turn_and_computing_are_told_apart() {
        const WHILE: Duration = Duration::from_millis(30);
        let turns = Arc::new(Turns::new(1));
        let [meter, other] = [Arc::default(), Arc::default()].map(|meter: Arc<Meter>| meter);
        let mut call = Box::pin(turns.call(1, meter.clone(), async {
            let begun = thread_time();
            while thread_time() - begun < WHILE {}
            // Waiting for a platform is neither.
            tokio::time::sleep(WHILE).await;
        }));
        let mut poll = || futures_util::FutureExt::now_or_never(&mut call);
        let busy = turns.call(2, other, std::future::pending::<()>());
        let held = take(&turns, &busy);
        assert!(poll().is_none());
        tokio::time::sleep(WHILE).await;
        drop(held);
        assert!(poll().is_none());
        assert_eq!(meter.withheld(), Duration::ZERO, "before the first turn no clock runs");
        let computed = meter.computed();
        assert!(computed >= WHILE, "{computed:?}");
        let held = take(&turns, &busy);
        assert!(poll().is_none(), "withheld");
        tokio::time::sleep(WHILE).await;
        drop(held);
        assert!(poll().is_some());
        assert!(meter.withheld() >= WHILE, "{:?}", meter.withheld());
        assert!(meter.computed() < computed + WHILE / 2, "{:?}", meter.computed());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn calls_that_never_wait_delay_no_other_connection() {
        let turns = Arc::new(Turns::new(2));
        let mut busy = tokio::task::JoinSet::new();
        for _ in 0..8 {
            busy.spawn(turns.call(1, Arc::default(), async {
                loop {
                    std::thread::sleep(Duration::from_millis(5));
                    tokio::task::yield_now().await;
                }
            }));
        }
        let polls = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&polls);
        let others = turns.call(2, Arc::default(), async move {
            for _ in 0..20 {
                *counted.lock().unwrap() += 1;
                tokio::task::yield_now().await;
            }
        });
        tokio::time::timeout(Duration::from_secs(10), others).await.expect("it gets its turns");
        assert_eq!(*polls.lock().unwrap(), 20);
        busy.shutdown().await;
        let ended = turns.call(1, Arc::default(), poll_fn(|_| Poll::Ready(7))).await;
        assert_eq!((ended, turns.inside().taken), (7, 0), "calls that were cut off have given everything back");
    }
}
