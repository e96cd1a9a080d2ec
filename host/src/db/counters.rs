//! Numbers about the descendants of containers, kept with every change, so that counts cost nothing to read (D4).
//!
//! A change at one object is added to its ancestors, at most 32. Whoever changes many children of one container adds up
//! first and walks once.

use std::collections::HashMap;

use super::{
    fault::Fault,
    tables::{Rows, WriteRows},
    tree::{self, Tree},
};
use crate::model::settings::Overrides;
use redb::ReadableTable as _;

/// Counters as they are stored, in the order of [`Counters`].
pub(super) type CountersRow = (u64, u64, u64, u64);

/// Objects with counters that can be changed.
pub(super) trait Tally: Tree {
    /// The numbers of a container.
    fn counters_of(&self, id: u128) -> Result<Counters, Fault>;
    /// Writes the numbers of a container.
    fn put_counters(&mut self, id: u128, numbers: Counters) -> Result<(), Fault>;
}

impl Tally for WriteRows<'_> {
    fn counters_of(&self, id: u128) -> Result<Counters, Fault> {
        of(self, id)
    }

    fn put_counters(&mut self, id: u128, numbers: Counters) -> Result<(), Fault> {
        match numbers.row()? {
            Some(row) => self.counters.insert(id, row)?,
            None => self.counters.remove(id)?,
        };
        Ok(())
    }
}

/// About the descendants of one container. Signed, because the same shape carries differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    /// All of them.
    pub(super) descendants: i64,
    /// Those with anything set on them.
    pub(super) overrides: i64,
    /// Those with an enabling status of their own.
    pub(super) enabling: i64,
    /// Those reached without crossing a status that a person gave: what a change of status reaches.
    pub(super) open: i64,
}

impl Counters {
    /// What an object with these numbers below it adds to those of its parent.
    pub(super) fn with_itself(self, own: &Overrides) -> Self {
        Self {
            descendants: self.descendants + 1,
            overrides: self.overrides + i64::from(own.is_set()),
            enabling: self.enabling + i64::from(own.is_active.is_some_and(|o| o.value)),
            open: if own.set_by_user() { 0 } else { self.open + 1 },
        }
    }

    /// The difference from `other` to this.
    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            descendants: self.descendants - other.descendants,
            overrides: self.overrides - other.overrides,
            enabling: self.enabling - other.enabling,
            open: self.open - other.open,
        }
    }

    /// The sum.
    pub(super) fn plus(self, other: Self) -> Self {
        self.minus(Self::default().minus(other))
    }

    /// From what is stored.
    pub(super) fn from_row(row: Option<CountersRow>) -> Result<Self, Fault> {
        let signed = |n: u64| i64::try_from(n).map_err(|_| Fault::Broken("a counter is out of range"));
        let (descendants, overrides, enabling, open) = row.unwrap_or_default();
        Ok(Self {
            descendants: signed(descendants)?,
            overrides: signed(overrides)?,
            enabling: signed(enabling)?,
            open: signed(open)?,
        })
    }

    /// Without what is below zero: for a draft, in which what people set meanwhile is lacking.
    pub(super) fn clamped(self) -> Self {
        Self {
            descendants: self.descendants.max(0),
            overrides: self.overrides.max(0),
            enabling: self.enabling.max(0),
            open: self.open.max(0),
        }
    }

    /// What is stored; none where there is nothing to count.
    pub(super) fn row(self) -> Result<Option<CountersRow>, Fault> {
        if self == Self::default() {
            return Ok(None);
        }
        let unsigned = |n: i64| u64::try_from(n).map_err(|_| Fault::Broken("a counter went below zero"));
        Ok(Some((
            unsigned(self.descendants)?,
            unsigned(self.overrides)?,
            unsigned(self.enabling)?,
            unsigned(self.open)?,
        )))
    }
}

/// The numbers of a container.
pub(super) fn of(rows: &impl Rows, id: u128) -> Result<Counters, Fault> {
    Counters::from_row(rows.counters().get(id)?.map(|row| row.value()))
}

/// Adds a difference to a container and its ancestors. `open` stops at a container with a status that a person gave:
/// what lies above does not reach through it.
pub(super) fn add(tally: &mut impl Tally, container: u128, mut difference: Counters) -> Result<(), Fault> {
    let mut next = Some(container);
    while let Some(id) = next {
        if difference == Counters::default() {
            return Ok(());
        }
        let sum = tally.counters_of(id)?.plus(difference);
        tally.put_counters(id, sum)?;
        if tree::overrides(tally, id)?.set_by_user() {
            difference.open = 0;
        }
        next = tree::object(tally, id)?.ok_or(Fault::Broken("an ancestor does not exist"))?.parent;
    }
    Ok(())
}

/// Differences that wait to be added.
#[derive(Default)]
pub(super) struct Pending(HashMap<u128, Counters>);

impl Pending {
    /// Notes a difference at a container.
    pub(super) fn note(&mut self, container: u128, difference: Counters) {
        let sum = self.0.entry(container).or_default();
        *sum = sum.plus(difference);
    }

    /// Adds what was noted. Must be done before counters are read, and before anything moves.
    pub(super) fn flush(self, tally: &mut impl Tally) -> Result<(), Fault> {
        for (container, difference) in self.0 {
            add(tally, container, difference)?;
        }
        Ok(())
    }
}
