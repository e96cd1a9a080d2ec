//! What is fixed about a job when it is queued, besides its row: what kind it is, why it was queued, what it belongs to.
//! Apart from the row, because that is written with every page.

use redb::ReadableTable as _;
use serde::{Deserialize, Serialize};

use super::{
    connections, counters,
    fault::Fault,
    jobs::JobKind,
    records::{decode, encode},
    tables::{Rows, WriteRows},
    tree::Node,
    view::Standing,
};
use crate::model::{
    id::JobId,
    job::{Job, JobType, Trigger},
    object::Kind,
};

/// What is fixed about a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FactsRow {
    /// 0 a sync, 1 a change of settings, 2 a group of syncs.
    kind: u8,
    /// As [`TRIGGERS`] are numbered.
    trigger: u8,
    pub(super) parent: Option<u128>,
    /// Bulks that it joined besides the one it was queued with.
    pub(super) joined: Vec<u128>,
    pub(super) expected: Option<u64>,
}

const TRIGGERS: [Trigger; 5] =
    [Trigger::Request, Trigger::Registration, Trigger::Settings, Trigger::Schedule, Trigger::Comparison];

impl FactsRow {
    /// Of a sync.
    pub(super) fn of_sync(trigger: Trigger) -> Self {
        Self::new(0, trigger)
    }

    /// Of a job that stands for others.
    pub(super) fn of_group(job_type: &JobType, trigger: Trigger) -> Self {
        Self::new(if *job_type == JobType::SettingsChange { 1 } else { 2 }, trigger)
    }

    fn new(kind: u8, trigger: Trigger) -> Self {
        let number = TRIGGERS.iter().position(|t| *t == trigger).and_then(|n| u8::try_from(n).ok());
        Self { kind, trigger: number.unwrap_or_default(), ..Self::default() }
    }

    /// Which type of job it is.
    pub(super) fn kind(&self) -> JobKind {
        match self.kind {
            0 => JobKind::ObjectSync,
            1 => JobKind::SettingsChange,
            _ => JobKind::SyncGroup,
        }
    }

    /// Whether the job stands for others and does nothing itself.
    pub(super) fn is_group(&self) -> bool {
        self.kind != 0
    }

    /// Writes what is known into the job as callers get it.
    pub(super) fn tell(self, job: &mut Job) {
        match self.kind() {
            // The row knows its options.
            JobKind::ObjectSync => {}
            JobKind::SettingsChange => job.job_type = JobType::SettingsChange,
            JobKind::SyncGroup => job.job_type = JobType::SyncGroup,
        }
        job.trigger = TRIGGERS.get(usize::from(self.trigger)).copied().unwrap_or_default();
        job.parent = self.parent.map(JobId::from_u128);
        job.expected = self.expected;
    }
}

/// The facts of a job; of one that an older program queued, those of a sync somebody asked for.
pub(super) fn of(rows: &impl Rows, job: u128) -> Result<FactsRow, Fault> {
    Ok(rows.job_facts().get(job)?.map(|row| decode(row.value())).transpose()?.unwrap_or_default())
}

/// Writes the facts of a job.
pub(super) fn put(rows: &mut WriteRows<'_>, job: u128, facts: &FactsRow) -> Result<(), Fault> {
    rows.job_facts.insert(job, encode(facts)?.as_slice())?;
    Ok(())
}

/// About how many objects a sync will see: what is known below its object, where it descends into all of it (D37).
pub(super) fn expected(rows: &impl Rows, chain: &[Node], force_recursive: bool) -> Result<Option<u64>, Fault> {
    let Some(node) = chain.last().filter(|node| node.row.kind() == Kind::Container) else { return Ok(None) };
    if !force_recursive {
        let filter = connections::filter(rows, node.row.connection)?;
        if !Standing::of(rows, chain, &filter)?.active() {
            return Ok(None);
        }
    }
    let known = counters::of(rows, node.id)?.descendants.unsigned_abs();
    Ok((known > 0).then_some(known))
}
