//! How much the answers for each partition have had, all its pages together.
//!
//! Counted in memory: what is gone on with after a restart begins anew.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Bytes by the number of the task that reads the partition.
#[derive(Debug, Default)]
pub(in crate::jobs) struct Received(Mutex<HashMap<u64, u64>>);

impl Received {
    /// Adds bytes. All that came for the task so far.
    pub(super) fn add(&self, task: u64, bytes: u64) -> u64 {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let so_far = all.entry(task).or_default();
        *so_far += bytes;
        *so_far
    }

    /// A partition begins again.
    pub(super) fn begin_again(&self, task: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_is_counted_by_itself() {
        let received = Received::default();
        assert_eq!([received.add(1, 5), received.add(2, 1), received.add(1, 5)], [5, 1, 10]);
        received.begin_again(1);
        assert_eq!([received.add(1, 5), received.add(2, 1)], [5, 2]);
    }
}
