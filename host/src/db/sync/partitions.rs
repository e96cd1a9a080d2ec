//! Which parts of a catalog a sync reads: partitions become tasks, or are skipped (D37).

use std::rc::Rc;

use super::{
    super::{counters::Tally as _, fault::Fault},
    ledger::{Container, Ledger},
};
use crate::model::{
    diff::{Descent, MAX_REMOTE_ID_BYTES, descends},
    job::Work,
    page::Partition,
    path::{MAX_LEVEL, RemotePath},
};

/// Partitions that one job reads at most: a connector that always brings another one comes to an end.
const MAX_PARTITIONS: u64 = 1_000_000;

/// Longest payload of a partition, in bytes.
const MAX_PAYLOAD: usize = 4 * 1024;

impl Ledger<'_, '_> {
    /// Adds a partition to the job where it lies in what the job is for and is worth reading. `within` is the scope of the
    /// partition that brought it.
    pub(super) fn admit(&mut self, partition: Partition, within: Option<&RemotePath>) -> Result<(), Fault> {
        let scope = partition.scope.clone();
        if self.is_host_managed(&scope) || self.leaves_out(&scope) {
            return Ok(());
        }
        let is_foreign = within.is_some_and(|within| !scope.is_within(within)) || scope.0.len() >= MAX_LEVEL;
        if is_foreign {
            return self.report(&scope, "outside-scope", "the connector brought a partition that lies outside its own");
        }
        let leads_to_target = self.target.object.is_within(&scope);
        let is_below_target = self.target.leaf.is_none() && scope.is_within(&self.target.scope);
        if !leads_to_target && !is_below_target {
            return Ok(());
        }
        if partition.id.len() > MAX_REMOTE_ID_BYTES || partition.payload.len() > MAX_PAYLOAD {
            return self.report(
                &scope,
                "too-large",
                "the connector brought a partition with too long an id or payload",
            );
        }
        if self.job.counts.partitions >= MAX_PARTITIONS {
            return self.report(&scope, "too-large", "the job has 1000000 partitions; further ones are not read");
        }
        if self.rows.partitions.insert((self.job_id, partition.id.as_str()), ())?.is_some() {
            // Known: a partition that was begun again brings the same ones again.
            return Ok(());
        }
        self.take(partition, leads_to_target)
    }

    fn take(&mut self, partition: Partition, requested: bool) -> Result<(), Fault> {
        self.flush()?;
        let force = self.job.force_recursive;
        let container = self.container(&partition.scope)?;
        let listed_at = match &container {
            Some(container) => self.listed_at(container.id)?,
            None => None,
        };
        // What was listed while the patterns left more out may hold what was never found.
        let listed_before = listed_at.is_some_and(|at| self.widened_at.is_none_or(|widened| at > widened));
        let nearest = match container {
            Some(container) => container,
            None => self.nearest(&partition.scope)?,
        };
        if nearest.is_left_out() {
            return Ok(());
        }
        let effective = nearest.inherited.effective();
        let goes_in = descends(Descent {
            force,
            requested,
            listed_before,
            active: effective.is_active,
            enabled_below: self.counters_of(nearest.id)?.enabling > 0,
        });
        if !goes_in {
            self.job.counts.skipped += 1;
            return Ok(());
        }
        let is_new = listed_at.is_none() || self.reads_all;
        let want_columns = self.target.leaf.is_none() && is_new && (force || effective.new_children);
        self.add_task(Work::Read { partition, want_columns, second_look: false })
    }

    /// When the container was last listed completely, in microseconds.
    fn listed_at(&self, container: u128) -> Result<Option<i64>, Fault> {
        Ok(self.listings(container)?.values().map(|listed| listed.at).max())
    }

    /// The nearest stored container on the way to a path.
    fn nearest(&mut self, path: &RemotePath) -> Result<Rc<Container>, Fault> {
        let mut at = path.clone();
        loop {
            if let Some(found) = self.container(&at)? {
                return Ok(found);
            }
            at = at.parent().ok_or(Fault::Broken("a connection without its object"))?;
        }
    }
}
