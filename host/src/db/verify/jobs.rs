//! Jobs: each stands in exactly the queue of its state, and what stands beside it belongs to it.

use std::collections::{HashMap, HashSet};

use redb::ReadableTable as _;

use super::{
    super::{
        dry::DryChangesRow,
        facts::FactsRow,
        fault::Fault,
        groups,
        records::{JobRow, decode},
        schedules::ScheduleRow,
        sync::{is_readable_draft, lists_for_columns},
    },
    Check,
};
use crate::model::{
    hold::Verdict,
    id::{BulkId, ConnectionId, JobId},
    job::{JobState, MAX_LISTED_CHANGES, Task, Work},
    page::ObjectError,
};

impl Check<'_> {
    pub(super) fn jobs(&mut self) -> Result<(), Fault> {
        let (mut unfinished, mut finished) = (HashSet::new(), HashSet::new());
        for row in self.rows.jobs.iter()? {
            let (id, row) = row?;
            let id = id.value();
            let Some(row) = self.row::<JobRow>("jobs", JobId::from_u128(id), row.value()) else { continue };
            if row.state().is_final() {
                finished.insert(id);
            } else {
                unfinished.insert(id);
            }
            self.job(id, &row)?;
        }
        self.queues(&unfinished)?;
        self.ended(&finished)?;
        self.bulks()?;
        for row in self.rows.job_errors.iter()? {
            let (key, row) = row?;
            let key = (JobId::from_u128(key.value().0), key.value().1);
            self.row::<ObjectError>("job_errors", key, row.value());
        }
        self.dry_runs()?;
        self.schedules()?;
        self.owners()
    }

    /// What is fixed about a job; the default where nothing is known, or where the row cannot be read.
    fn facts(&mut self, id: u128) -> Result<FactsRow, Fault> {
        let row = self.rows.job_facts.get(id)?;
        Ok(row.and_then(|row| self.row("job_facts", JobId::from_u128(id), row.value())).unwrap_or_default())
    }

    fn job(&mut self, id: u128, row: &JobRow) -> Result<(), Fault> {
        let waits = self.rows.waiting.get((row.due_at, id))?.is_some();
        let is_active = self.rows.active.get((row.connection, id))?.is_some();
        let is_group = self.facts(id)?.is_group();
        let holds = match row.state() {
            JobState::Active if is_group => {
                let stands = self.rows.job_groups.get(row.bulk)?.is_some_and(|job| job.value() == id);
                stands && !waits && !is_active && row.claim.is_none()
            }
            JobState::Created | JobState::Retry => waits && !is_active && row.claim.is_none(),
            JobState::Active => !waits && is_active && row.claim.is_some(),
            _ => !waits && !is_active && row.claim.is_none() && row.ended_at.is_some(),
        };
        let key = JobId::from_u128(id);
        self.require(holds, "jobs", key, "its state and the queues differ");
        let in_bulk = self.rows.job_bulks.get((row.bulk, id))?.is_some();
        self.require(in_bulk, "jobs", key, "it is not found by its bulk");
        let mut readers = 0;
        for task in self.rows.tasks.range((id, 0)..=(id, u64::MAX))? {
            let (number, task) = task?;
            let number = (key, number.value().1);
            let Some(task) = self.row::<Task>("tasks", number, task.value()) else { continue };
            readers += u64::from(matches!(task.work, Work::Read { .. }) && !lists_for_columns(&task.work));
            let is_own = task.number == number.1;
            self.require(is_own, "tasks", number, "it says that it has another number");
            self.require(task.number < row.next_task, "tasks", number, "the number would be given again");
        }
        let mut counted = 0;
        for row in self.rows.readers.range((id, "")..(id + 1, ""))? {
            counted += row?.1.value();
        }
        // Of work that is over some rows are gone before others.
        let is_under_way = row.started_at.is_some() && !row.state().is_final();
        self.require(readers == counted || !is_under_way, "readers", key, "the numbers are not those of its tasks");
        Ok(())
    }

    /// Each queued job has not ended, and is queued once.
    fn queues(&mut self, unfinished: &HashSet<u128>) -> Result<(), Fault> {
        let mut known = HashSet::new();
        let waiting = self.rows.waiting.iter()?.map(|row| Ok(("jobs_waiting", row?.0.value().1)));
        let active = self.rows.active.iter()?.map(|row| Ok(("jobs_active", row?.0.value().1)));
        let groups = groups::running(self.rows)?.into_iter().map(|job| Ok(("job_groups", job)));
        let queued = waiting.chain(active).chain(groups).collect::<Result<Vec<_>, Fault>>()?;
        for (table, job) in queued {
            let key = JobId::from_u128(job);
            self.require(unfinished.contains(&job), table, key, "the job has ended or is not there");
            self.require(known.insert(job), "jobs", key, "it is queued twice");
        }
        Ok(())
    }

    /// The index by end has each job that has ended, and nothing else.
    fn ended(&mut self, finished: &HashSet<u128>) -> Result<(), Fault> {
        let mut found = HashSet::new();
        for row in self.rows.ended.iter()? {
            let (at, id) = row?.0.value();
            let job = self.rows.jobs.get(id)?.and_then(|row| decode::<JobRow>(row.value()).ok());
            let holds = job.is_some_and(|row| row.ended_at == Some(at));
            self.require(holds, "jobs_ended", JobId::from_u128(id), "the job is not there or ended at another time");
            found.insert(id);
        }
        for id in finished.difference(&found) {
            self.require(false, "jobs_ended", JobId::from_u128(*id), "a job that has ended is not in it");
        }
        Ok(())
    }

    fn bulks(&mut self) -> Result<(), Fault> {
        for row in self.rows.job_bulks.iter()? {
            let (bulk, job) = row?.0.value();
            let found = self.rows.jobs.get(job)?.and_then(|row| decode::<JobRow>(row.value()).ok());
            let holds = match found {
                Some(row) => row.bulk == bulk || self.facts(job)?.joined.contains(&bulk),
                None => false,
            };
            let key = (BulkId::from_u128(bulk), JobId::from_u128(job));
            self.require(holds, "job_bulks", key, "the job is not there, or of another bulk");
        }
        Ok(())
    }

    /// What a dry run lists is what it has found, as far as there is room.
    fn dry_runs(&mut self) -> Result<(), Fault> {
        let mut listed: HashMap<u128, u64> = HashMap::new();
        for row in self.rows.dry_changes.iter()? {
            let (key, row) = row?;
            let (job, number) = key.value();
            let key = (JobId::from_u128(job), number);
            let Some(row) = self.row::<DryChangesRow>("dry_changes", key, row.value()) else { continue };
            let listed = listed.entry(job).or_default();
            let holds = number == *listed && row.details.details.len() == row.changes.len();
            self.require(
                holds,
                "dry_changes",
                key,
                "the numbers have a gap, or the details are not those of the changes",
            );
            *listed += u64::try_from(row.changes.len()).unwrap_or_default();
        }
        for row in self.rows.dry_runs.iter()? {
            let (job, found) = row?;
            let (job, found) = (job.value(), found.value());
            let holds = listed.remove(&job).unwrap_or_default() == found.min(MAX_LISTED_CHANGES);
            self.require(holds, "dry_runs", JobId::from_u128(job), "it lists other changes than it has found");
        }
        for row in self.rows.dry_holds.iter()? {
            let (job, row) = row?;
            let key = JobId::from_u128(job.value());
            self.row::<Vec<Verdict>>("dry_holds", key, row.value());
            let is_dry = self.rows.dry_runs.get(job.value())?.is_some();
            self.require(is_dry, "dry_holds", key, "the job is no dry run");
        }
        for row in self.rows.drafts.iter()? {
            let (key, row) = row?;
            let (job, table, _) = key.value();
            let is_readable = row.value().is_none_or(|row| is_readable_draft(table, row));
            let is_dry = self.rows.dry_runs.get(job)?.is_some();
            let key = (JobId::from_u128(job), table);
            self.require(is_readable, "drafts", key, "the row cannot be read");
            self.require(is_dry, "drafts", key, "the job is no dry run");
        }
        for job in listed.into_keys() {
            self.require(false, "dry_changes", JobId::from_u128(job), "the job is no dry run");
        }
        Ok(())
    }

    /// What the schedule keeps belongs to a connection.
    fn schedules(&mut self) -> Result<(), Fault> {
        for row in self.rows.schedules.iter()? {
            let (id, row) = row?;
            self.row::<ScheduleRow>("schedules", ConnectionId::from_u128(id.value()), row.value());
        }
        let schedules = self.rows.schedules.iter()?.map(|row| Ok(("schedules", row?.0.value())));
        let turns = self.rows.turns.iter()?.map(|row| Ok(("turns", row?.0.value())));
        let last = self.rows.last_syncs.iter()?.map(|row| Ok(("last_syncs", row?.0.value())));
        for (table, id) in schedules.chain(turns).chain(last).collect::<Result<Vec<_>, Fault>>()? {
            let is_there = self.rows.connections.get(id)?.is_some();
            self.require(is_there, table, ConnectionId::from_u128(id), "the connection is not there");
        }
        Ok(())
    }

    /// What stands beside a job belongs to one that is there. Of what only the work needs some may be left of one that has
    /// ended: it is given back in small transactions.
    fn owners(&mut self) -> Result<(), Fault> {
        let owners = self
            .rows
            .tasks
            .iter()?
            .map(|row| Ok(("tasks", row?.0.value().0)))
            .chain(self.rows.seen.iter()?.map(|row| Ok(("seen", row?.0.value().0))))
            .chain(self.rows.doubts.iter()?.map(|row| Ok(("doubts", row?.0.value().0))))
            .chain(self.rows.second_looks.iter()?.map(|row| Ok(("second_looks", row?.0.value().0))))
            .chain(self.rows.unproven.iter()?.map(|row| Ok(("unproven", row?.0.value().0))))
            .chain(self.rows.absent.iter()?.map(|row| Ok(("absent", row?.0.value().0))))
            .chain(self.rows.verdicts.iter()?.map(|row| Ok(("verdicts", row?.0.value().0))))
            .chain(self.rows.moved.iter()?.map(|row| Ok(("moved", row?.0.value().0))))
            .chain(self.rows.recreated.iter()?.map(|row| Ok(("recreated", row?.0.value().0))))
            .chain(self.rows.readers.iter()?.map(|row| Ok(("readers", row?.0.value().0))))
            .chain(self.rows.partitions.iter()?.map(|row| Ok(("partitions", row?.0.value().0))))
            .chain(self.rows.job_facts.iter()?.map(|row| Ok(("job_facts", row?.0.value()))))
            .chain(self.rows.job_errors.iter()?.map(|row| Ok(("job_errors", row?.0.value().0))))
            .chain(self.rows.job_held.iter()?.map(|row| Ok(("job_held", row?.0.value()))))
            .chain(self.rows.dry_holds.iter()?.map(|row| Ok(("dry_holds", row?.0.value()))))
            .chain(self.rows.dry_runs.iter()?.map(|row| Ok(("dry_runs", row?.0.value()))))
            .chain(self.rows.drafts.iter()?.map(|row| Ok(("drafts", row?.0.value().0))))
            .chain(self.rows.last_syncs.iter()?.map(|row| Ok(("last_syncs", row?.1.value()))))
            .collect::<Result<HashSet<_>, Fault>>()?;
        for (table, job) in owners {
            let is_there = self.rows.jobs.get(job)?.is_some();
            self.require(is_there, table, JobId::from_u128(job), "the job is not there");
        }
        Ok(())
    }
}
