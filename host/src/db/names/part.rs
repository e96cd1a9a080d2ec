//! Names behind one another in memory, and where a part of a name is in them.

use memchr::memmem::{Finder, FinderRev};

/// Stands between names; no text has this byte.
const BETWEEN: u8 = 0xff;

/// Names, each with its object and the container that it is in, about 70 bytes for a name of 20.
#[derive(Clone, Default)]
pub(in super::super) struct Part {
    folded: Vec<u8>,
    folded_ends: Vec<u32>,
    names: String,
    ends: Vec<u32>,
    ids: Vec<u128>,
    /// Which of the containers.
    within: Vec<u32>,
    containers: Vec<u128>,
}

/// A part of a name that is looked for, case-folded. None finds every name.
pub(in super::super) struct Needle<'n> {
    forward: Option<Finder<'n>>,
    backward: Option<FinderRev<'n>>,
}

impl<'n> Needle<'n> {
    pub(in super::super) fn new(text: Option<&'n str>) -> Self {
        Self { forward: text.map(Finder::new), backward: text.map(FinderRev::new) }
    }
}

/// A length as it is kept; [`Part::has_room`] keeps it from being too large.
fn short(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn long(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

impl Part {
    pub(in super::super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether a few more names fit.
    pub(super) fn has_room(&self) -> bool {
        self.folded.len().max(self.names.len()) < long(u32::MAX) / 2
    }

    pub(super) fn push(&mut self, container: u128, id: u128, name: &str) {
        if self.containers.last() != Some(&container) {
            self.containers.push(container);
        }
        self.push_into(short(self.containers.len() - 1), id, name);
    }

    fn push_into(&mut self, container: u32, id: u128, name: &str) {
        self.folded.extend_from_slice(name.to_lowercase().as_bytes());
        self.folded_ends.push(short(self.folded.len()));
        self.folded.push(BETWEEN);
        self.names.push_str(name);
        self.ends.push(short(self.names.len()));
        self.ids.push(id);
        self.within.push(container);
    }

    /// The same names by name, then id.
    pub(super) fn sorted(self) -> Self {
        let mut order: Vec<u32> = (0..short(self.len())).collect();
        order.sort_by(|a, b| self.key(long(*a)).cmp(&self.key(long(*b))));
        let mut sorted = Self {
            folded: Vec::with_capacity(self.folded.len()),
            folded_ends: Vec::with_capacity(self.len()),
            names: String::with_capacity(self.names.len()),
            ends: Vec::with_capacity(self.len()),
            ids: Vec::with_capacity(self.len()),
            within: Vec::with_capacity(self.len()),
            containers: Vec::new(),
        };
        for n in order.into_iter().map(long) {
            sorted.push_into(self.within[n], self.ids[n], self.name(n));
        }
        sorted.containers = self.containers;
        sorted
    }

    pub(in super::super) fn name(&self, n: usize) -> &str {
        let begin = if n == 0 { 0 } else { long(self.ends[n - 1]) };
        &self.names[begin..long(self.ends[n])]
    }

    /// What it is sorted by.
    pub(in super::super) fn key(&self, n: usize) -> (&str, u128) {
        (self.name(n), self.ids[n])
    }

    pub(in super::super) fn container(&self, n: usize) -> u128 {
        self.containers[long(self.within[n])]
    }

    /// Where names begin that come after a key, in a part that is sorted.
    pub(in super::super) fn after(&self, key: (&str, u128)) -> usize {
        self.first(0, |n| self.key(n) > key)
    }

    /// Where names begin that do not come before a key, in a part that is sorted.
    pub(in super::super) fn from(&self, key: (&str, u128)) -> usize {
        self.first(0, |n| self.key(n) >= key)
    }

    /// The first name at `from` or later that has the needle in it.
    pub(in super::super) fn next(&self, needle: &Needle<'_>, from: usize) -> Option<usize> {
        let Some(finder) = &needle.forward else { return (from < self.len()).then_some(from) };
        let begin = self.begin(from)?;
        let at = begin + finder.find(&self.folded[begin..])?;
        Some(self.first(from, |n| long(self.folded_ends[n]) > at))
    }

    /// The last name before `until` that has the needle in it.
    pub(in super::super) fn previous(&self, needle: &Needle<'_>, until: usize) -> Option<usize> {
        let Some(finder) = &needle.backward else { return until.checked_sub(1) };
        let end = long(self.folded_ends[until.checked_sub(1)?]);
        let at = finder.rfind(&self.folded[..end])?;
        Some(self.first(0, |n| long(self.folded_ends[n]) > at))
    }

    fn begin(&self, n: usize) -> Option<usize> {
        match n.checked_sub(1) {
            None => Some(0),
            Some(before) if n < self.len() => Some(long(self.folded_ends[before]) + 1),
            Some(_) => None,
        }
    }

    /// The first at `from` or later for which something holds that holds for all after it, too. It is mostly near.
    fn first(&self, from: usize, holds: impl Fn(usize) -> bool) -> usize {
        let (mut low, mut step) = (from, 1);
        while low + step < self.len() && !holds(low + step) {
            low += step;
            step *= 2;
        }
        let mut high = (low + step).min(self.len());
        while low < high {
            let middle = low.midpoint(high);
            if holds(middle) { high = middle } else { low = middle + 1 }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(part: &Part, text: Option<&str>) -> Vec<usize> {
        let needle = Needle::new(text);
        let mut forward = Vec::new();
        while let Some(n) = part.next(&needle, forward.last().map_or(0, |n| n + 1)) {
            forward.push(n);
        }
        let mut backward = Vec::new();
        while let Some(n) = part.previous(&needle, backward.last().map_or(part.len(), |n| *n)) {
            backward.push(n);
        }
        backward.reverse();
        assert_eq!(forward, backward);
        forward
    }

    #[test]
    fn names_are_found_by_any_part_and_in_order() {
        let names = ["b", "ÄPFEL", "a b", "İstanbul", "", "b", "ORDERS_1", "ab\u{0}c", "ΟΔΟΣ", "orders_2", "z"];
        let mut part = Part::default();
        for (n, name) in (0..).zip(names) {
            part.push(n / 4, 100 - n, name);
        }
        let part = part.sorted();
        let keys: Vec<_> = (0..part.len()).map(|n| part.key(n)).collect();
        assert!(keys.is_sorted() && keys.len() == names.len());
        for n in 0..part.len() {
            assert_eq!((part.after(part.key(n)), part.from(part.key(n))), (n + 1, n));
            let number = 100 - part.key(n).1;
            assert_eq!(part.name(n), names[usize::try_from(number).expect("number")]);
            assert_eq!(part.container(n), number / 4);
        }
        assert_eq!(found(&part, None), (0..names.len()).collect::<Vec<_>>());
        for text in ["b", "orders", "äp", "i", "i\u{307}", "\u{0}", "σ", "ς", "z", "bab", " ", "r", "s_"] {
            let want: Vec<usize> = (0..part.len()).filter(|n| part.name(*n).to_lowercase().contains(text)).collect();
            assert_eq!(found(&part, Some(text)), want, "{text}");
        }
        assert!(found(&Part::default(), Some("a")).is_empty());
        assert!(found(&Part::default(), None).is_empty());
    }
}
