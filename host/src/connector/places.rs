//! Places for calls: how many guests there are at a time, and how many of one connection.
//!
//! Whoever has fewer places than are free may take another one. So a connection that is alone gets half of them, and
//! however many others hold theirs for as long as a call may last, a place is free for whoever has none, or becomes free
//! for him next. Nobody's place is taken away. Who waits is let in in the order of arrival, as far as he may.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::turns::Sharer;

/// All places.
pub(super) struct Places {
    inside: Mutex<Inside>,
}

struct Inside {
    free: usize,
    /// Of those that have any.
    held: HashMap<Sharer, usize>,
    waiting: VecDeque<(Sharer, oneshot::Sender<Held>)>,
}

/// A place, given back when it is dropped.
pub(super) struct Held {
    places: Arc<Places>,
    sharer: Sharer,
}

impl Places {
    pub(super) fn new(number: usize) -> Self {
        Self { inside: Mutex::new(Inside { free: number, held: HashMap::new(), waiting: VecDeque::new() }) }
    }

    /// Waits for a place.
    pub(super) async fn take(self: &Arc<Self>, sharer: Sharer) -> Held {
        loop {
            let waiting = {
                let mut inside = self.inside();
                if inside.take(sharer) {
                    return Held { places: Arc::clone(self), sharer };
                }
                let (let_in, waiting) = oneshot::channel();
                inside.waiting.push_back((sharer, let_in));
                waiting
            };
            // Nobody drops the other end without having sent.
            if let Ok(held) = waiting.await {
                return held;
            }
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // What is inside is whole between any two statements that could panic.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// Takes a place for one who may have another.
    fn take(&mut self, sharer: Sharer) -> bool {
        if self.held.get(&sharer).copied().unwrap_or_default() >= self.free {
            return false;
        }
        *self.held.entry(sharer).or_default() += 1;
        self.free -= 1;
        true
    }

    fn give_back(&mut self, sharer: Sharer) {
        self.free += 1;
        if let Some(held) = self.held.get_mut(&sharer) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&sharer);
            }
        }
    }

    /// Takes places for those that wait and may have one.
    fn let_in(&mut self) -> Vec<(Sharer, oneshot::Sender<Held>)> {
        let mut let_in = Vec::new();
        for (sharer, waiting) in std::mem::take(&mut self.waiting) {
            if waiting.is_closed() {
                continue;
            }
            if self.take(sharer) {
                let_in.push((sharer, waiting));
            } else {
                self.waiting.push_back((sharer, waiting));
            }
        }
        let_in
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut inside = self.places.inside();
        inside.give_back(self.sharer);
        let let_in = inside.let_in();
        drop(inside);
        for (sharer, waiting) in let_in {
            // Whoever gave up waiting meanwhile gives it back by dropping it, which is why nothing is locked here.
            drop(waiting.send(Self { places: Arc::clone(&self.places), sharer }));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// As many as there are without waiting.
    fn all(places: &Arc<Places>, sharer: Sharer) -> Vec<Held> {
        std::iter::from_fn(|| places.take(sharer).now_or_never()).collect()
    }

    #[test]
    fn whoever_is_alone_gets_half_and_there_is_one_for_everybody_who_has_none() {
        let places = Arc::new(Places::new(32));
        let hostile = all(&places, 1);
        assert_eq!(hostile.len(), 16);
        assert_eq!([2, 3, 4].map(|sharer| all(&places, sharer).len()), [8, 8, 8], "each was given back again");
        let held: Vec<Held> = (2..=6).filter_map(|sharer| places.take(sharer).now_or_never()).collect();
        assert_eq!(held.len(), 5, "one for each");
        drop(hostile);
        assert_eq!(all(&places, 1).len(), 14);
        drop(held);
        assert_eq!(places.inside().free, 32);
        assert!(places.inside().held.is_empty());
    }

    #[tokio::test]
    async fn who_waits_comes_in_in_order_and_passes_whoever_has_enough() {
        let places = Arc::new(Places::new(2));
        let first = places.take(1).await;
        let mut same = Box::pin(places.take(1));
        assert!((&mut same).now_or_never().is_none(), "one place is free, and it has one");
        let second = places.take(2).await;
        let mut third = Box::pin(places.take(3));
        assert!((&mut third).now_or_never().is_none(), "none is free");
        drop(first);
        let same = (&mut same).now_or_never().expect("it came first, and has none by now");
        assert!((&mut third).now_or_never().is_none());
        drop(second);
        let third = (&mut third).now_or_never().expect("the next");
        assert_eq!((places.inside().free, same.sharer, third.sharer), (0, 1, 3));
    }

    #[tokio::test]
    async fn whoever_gives_up_waiting_takes_nothing() {
        let places = Arc::new(Places::new(1));
        let held = places.take(1).await;
        let mut gone = Box::pin(places.take(2));
        assert!((&mut gone).now_or_never().is_none());
        drop(held);
        drop(gone);
        assert_eq!(places.inside().free, 1, "what was sent to him came back");
    }
}
