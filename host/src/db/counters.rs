//! Numbers about the descendants of containers, kept with every change, so that counts cost nothing to read (D4).
//!
//! A change at one object is added to its ancestors, at most 32. Whoever changes many children of one container adds up
//! first and walks once.

use std::collections::HashMap;

use super::{
    fault::Fault,
    tables::{Rows, WriteRows},
    tree,
};
use crate::model::settings::Overrides;
use redb::ReadableTable as _;

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
}

/// The numbers of a container.
pub(super) fn of(rows: &impl Rows, id: u128) -> Result<Counters, Fault> {
    let signed = |n: u64| i64::try_from(n).map_err(|_| Fault::Broken("a counter is out of range"));
    match rows.counters().get(id)? {
        None => Ok(Counters::default()),
        Some(row) => {
            let (descendants, overrides, enabling, open) = row.value();
            Ok(Counters {
                descendants: signed(descendants)?,
                overrides: signed(overrides)?,
                enabling: signed(enabling)?,
                open: signed(open)?,
            })
        }
    }
}

/// Adds a difference to a container and its ancestors. `open` stops at a container with a status that a person gave:
/// what lies above does not reach through it.
pub(super) fn add(rows: &mut WriteRows<'_>, container: u128, mut difference: Counters) -> Result<(), Fault> {
    let mut next = Some(container);
    while let Some(id) = next {
        if difference == Counters::default() {
            return Ok(());
        }
        let sum = of(rows, id)?.plus(difference);
        store(rows, id, sum)?;
        if tree::overrides(rows, id)?.set_by_user() {
            difference.open = 0;
        }
        next = tree::object(rows, id)?.ok_or(Fault::Broken("an ancestor does not exist"))?.parent;
    }
    Ok(())
}

fn store(rows: &mut WriteRows<'_>, id: u128, numbers: Counters) -> Result<(), Fault> {
    if numbers == Counters::default() {
        rows.counters.remove(id)?;
        return Ok(());
    }
    let unsigned = |n: i64| u64::try_from(n).map_err(|_| Fault::Broken("a counter went below zero"));
    let row = (
        unsigned(numbers.descendants)?,
        unsigned(numbers.overrides)?,
        unsigned(numbers.enabling)?,
        unsigned(numbers.open)?,
    );
    rows.counters.insert(id, row)?;
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
    pub(super) fn flush(&mut self, rows: &mut WriteRows<'_>) -> Result<(), Fault> {
        for (container, difference) in std::mem::take(&mut self.0) {
            add(rows, container, difference)?;
        }
        Ok(())
    }
}
