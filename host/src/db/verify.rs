//! Checks the store against its own rules. For tests, and for whoever doubts a file.
//!
//! Reads everything once, and recomputes what is kept twice: the index of children, counters, remote ids, queues.

use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
};

use redb::ReadableTable as _;

use super::{
    Db, DbError,
    counters::{self, Counters},
    facts,
    fault::Fault,
    groups, queue,
    records::{ChangesRow, JobRow, ObjectRow, decode},
    tables::ReadRows,
    tree,
};
use crate::model::{
    id::ObjectId,
    job::{JobState, Work},
    object::RemoteStatus,
    path::MAX_LEVEL,
};

/// A rule that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The table in which it shows.
    pub table: &'static str,
    /// The row, for people.
    pub key: String,
    /// What is wrong with it.
    pub message: &'static str,
}

impl Db {
    /// All rules that do not hold; none in a healthy store.
    pub async fn verify(&self) -> Result<Vec<Violation>, DbError> {
        self.read("verify the store", |rows| {
            let mut check = Check { rows, objects: HashMap::new(), found: Vec::new() };
            check.objects()?;
            check.children()?;
            check.counters()?;
            check.belongings()?;
            check.remote_ids()?;
            check.connections()?;
            check.changes()?;
            check.jobs()?;
            Ok(check.found)
        })
        .await
    }
}

struct Check<'a> {
    rows: &'a ReadRows,
    objects: HashMap<u128, ObjectRow>,
    found: Vec<Violation>,
}

impl Check<'_> {
    fn require(&mut self, holds: bool, table: &'static str, key: impl Debug, message: &'static str) {
        if !holds {
            self.found.push(Violation { table, key: format!("{key:?}"), message });
        }
    }

    /// Every object is reachable, or lies below a deleted root.
    fn objects(&mut self) -> Result<(), Fault> {
        for row in self.rows.objects.iter()? {
            let (id, row) = row?;
            self.objects.insert(id.value(), decode(row.value())?);
        }
        let ids: Vec<u128> = self.objects.keys().copied().collect();
        for id in ids {
            let key = ObjectId::from_u128(id);
            let mut at = id;
            let mut level = 1;
            loop {
                if self.rows.reclaim.get(at)?.is_some() {
                    break;
                }
                let Some(row) = self.objects.get(&at) else {
                    self.require(false, "objects", key, "its ancestors do not lead to a connection");
                    break;
                };
                let Some(parent) = row.parent else {
                    let is_connection = at == row.connection && self.rows.connections.get(at)?.is_some();
                    self.require(is_connection, "objects", key, "its ancestors do not lead to a connection");
                    break;
                };
                let linked = tree::child(self.rows, parent, &row.namespace, &row.name)? == Some(at);
                self.require(linked, "objects", key, "its parent does not have it as a child");
                at = parent;
                level += 1;
                if level > MAX_LEVEL {
                    self.require(false, "objects", key, "it lies too deep");
                    break;
                }
            }
        }
        Ok(())
    }

    fn children(&mut self) -> Result<(), Fault> {
        for row in self.rows.children.iter()? {
            let (key, id) = row?;
            let (parent, namespace, name) = key.value();
            let holds = self
                .objects
                .get(&id.value())
                .is_some_and(|row| row.parent == Some(parent) && row.namespace == namespace && row.name == name);
            let has_parent = self.objects.contains_key(&parent);
            self.require(holds, "children", key.value(), "the object is not there, or says that it is elsewhere");
            self.require(has_parent, "children", key.value(), "the parent is not there");
        }
        Ok(())
    }

    /// Recomputes counters from the leaves up. Subtrees that are being given back may have any.
    fn counters(&mut self) -> Result<(), Fault> {
        let roots: Vec<u128> = self.objects.iter().filter(|(_, row)| row.parent.is_none()).map(|(id, _)| *id).collect();
        for root in roots {
            if self.rows.reclaim.get(root)?.is_none() {
                self.count(root)?;
            }
        }
        Ok(())
    }

    fn count(&mut self, id: u128) -> Result<Counters, Fault> {
        let mut sum = Counters::default();
        for (_, child) in tree::children_of(self.rows, id)? {
            sum = sum.plus(self.count(child)?);
        }
        let stored = counters::of(self.rows, id)?;
        self.require(
            stored == sum,
            "counters",
            ObjectId::from_u128(id),
            "the numbers are not those of what lies below",
        );
        Ok(sum.with_itself(&tree::overrides(self.rows, id)?))
    }

    /// Columns, overrides, counters and listings belong to an object.
    fn belongings(&mut self) -> Result<(), Fault> {
        let mut with_columns = HashSet::new();
        for row in self.rows.columns.iter()? {
            let id = row?.0.value();
            with_columns.insert(id);
            self.require(self.objects.contains_key(&id), "columns", ObjectId::from_u128(id), "the object is not there");
        }
        let known: Vec<(u128, bool)> = self.objects.iter().map(|(id, row)| (*id, row.columns_known)).collect();
        for (id, known) in known {
            let holds = with_columns.contains(&id) == known;
            self.require(holds, "columns", ObjectId::from_u128(id), "the object says otherwise about its columns");
        }
        let mut explained = HashSet::new();
        for row in self.rows.exclusions.iter()? {
            explained.insert(row?.0.value());
        }
        let marked = self.objects.iter().filter(|(_, row)| row.mark() == RemoteStatus::Excluded);
        let marked: HashSet<u128> = marked.map(|(id, _)| *id).collect();
        for id in marked.symmetric_difference(&explained) {
            let key = ObjectId::from_u128(*id);
            self.require(false, "exclusions", key, "the object says otherwise about being left out");
        }
        for row in self.rows.columns_read.iter()? {
            let id = row?.0.value();
            let holds = self.objects.get(&id).is_some_and(|row| row.columns_known && row.fingerprint.is_none());
            self.require(holds, "columns_read", ObjectId::from_u128(id), "the object has a fingerprint or no columns");
        }
        for row in self.rows.overrides.iter()? {
            let id = row?.0.value();
            let is_set = !tree::overrides(self.rows, id)?.is_empty();
            let key = ObjectId::from_u128(id);
            self.require(self.objects.contains_key(&id), "overrides", key, "the object is not there");
            self.require(is_set, "overrides", key, "nothing is set");
        }
        for row in self.rows.counters.iter()? {
            let id = row?.0.value();
            self.require(
                self.objects.contains_key(&id),
                "counters",
                ObjectId::from_u128(id),
                "the object is not there",
            );
        }
        for row in self.rows.listed.iter()? {
            let key = row?.0;
            let is_there = self.objects.contains_key(&key.value().0);
            self.require(is_there, "listed", key.value(), "the container is not there");
        }
        Ok(())
    }

    fn remote_ids(&mut self) -> Result<(), Fault> {
        for row in self.rows.remote_ids.iter()? {
            let (key, id) = row?;
            let (connection, remote_id) = key.value();
            let holds = self
                .objects
                .get(&id.value())
                .is_some_and(|row| row.connection == connection && row.remote_id.as_deref() == Some(remote_id));
            self.require(holds, "remote_ids", key.value(), "the object is not there, or has another id");
        }
        Ok(())
    }

    fn connections(&mut self) -> Result<(), Fault> {
        let mut named = HashSet::new();
        for row in self.rows.connection_keys.iter()? {
            let (key, id) = row?;
            named.insert(id.value());
            let holds =
                self.objects.get(&id.value()).is_some_and(|row| row.name == key.value() && row.parent.is_none());
            self.require(
                holds,
                "connection_keys",
                key.value(),
                "the connection's object is not there or named otherwise",
            );
        }
        for row in self.rows.connections.iter()? {
            let id = row?.0.value();
            let has_secrets = self.rows.secrets.get(id)?.is_some();
            let holds = named.contains(&id) && has_secrets && self.objects.contains_key(&id);
            self.require(holds, "connections", ObjectId::from_u128(id), "it lacks its name, its secrets or its object");
        }
        for row in self.rows.secrets.iter()? {
            let id = row?.0.value();
            let holds = self.rows.connections.get(id)?.is_some();
            self.require(holds, "secrets", ObjectId::from_u128(id), "the connection is not there");
        }
        Ok(())
    }

    fn changes(&mut self) -> Result<(), Fault> {
        let commit = self.rows.meta.get("commit")?.map_or(0, |row| row.value());
        for row in self.rows.changes.iter()? {
            let (key, row) = row?;
            let (connection, sequence) = key.value();
            let is_known = self.objects.contains_key(&connection);
            self.require(is_known, "changes", key.value(), "the connection is not there");
            self.require(u128::from(sequence) <= commit, "changes", key.value(), "the commit is still to come");
            let readable = decode::<ChangesRow>(row.value()).is_ok();
            self.require(readable, "changes", key.value(), "the row cannot be read");
        }
        Ok(())
    }

    fn jobs(&mut self) -> Result<(), Fault> {
        let mut unfinished = HashSet::new();
        for row in self.rows.jobs.iter()? {
            let (id, row) = row?;
            let (id, row) = (id.value(), decode::<JobRow>(row.value())?);
            if !row.state().is_final() {
                unfinished.insert(id);
            }
            self.job(id, &row)?;
        }
        let owners = self
            .rows
            .tasks
            .iter()?
            .map(|row| Ok(("tasks", row?.0.value().0)))
            .chain(self.rows.seen.iter()?.map(|row| Ok(("seen", row?.0.value().0))))
            .chain(self.rows.doubts.iter()?.map(|row| Ok(("doubts", row?.0.value().0))))
            .chain(self.rows.unproven.iter()?.map(|row| Ok(("unproven", row?.0.value().0))))
            .chain(self.rows.moved.iter()?.map(|row| Ok(("moved", row?.0.value().0))))
            .chain(self.rows.recreated.iter()?.map(|row| Ok(("recreated", row?.0.value().0))))
            .chain(self.rows.readers.iter()?.map(|row| Ok(("readers", row?.0.value().0))))
            .chain(self.rows.partitions.iter()?.map(|row| Ok(("partitions", row?.0.value().0))))
            .collect::<Result<HashSet<_>, Fault>>()?;
        for (table, job) in owners {
            self.require(
                unfinished.contains(&job),
                table,
                ObjectId::from_u128(job),
                "the job has ended or is not there",
            );
        }
        let queued = self
            .rows
            .waiting
            .iter()?
            .map(|row| Ok(row?.0.value().1))
            .chain(self.rows.active.iter()?.map(|row| Ok(row?.0.value().1)))
            .chain(groups::running(self.rows)?.into_iter().map(Ok))
            .collect::<Result<Vec<_>, Fault>>()?;
        self.require(queued.len() == unfinished.len(), "jobs", queued.len(), "a job is queued twice, or not at all");
        self.belongings_of_jobs()
    }

    /// What stands beside the jobs belongs to one.
    fn belongings_of_jobs(&mut self) -> Result<(), Fault> {
        let (mut ended, mut finished) = (0_u64, 0_u64);
        for row in self.rows.jobs.iter()? {
            finished += u64::from(decode::<JobRow>(row?.1.value())?.state().is_final());
        }
        for row in self.rows.ended.iter()? {
            let (at, id) = row?.0.value();
            let holds = queue::job(self.rows, id)?.is_some_and(|row| row.ended_at == Some(at));
            self.require(holds, "jobs_ended", ObjectId::from_u128(id), "the job is not there or ended at another time");
            ended += 1;
        }
        self.require(ended == finished, "jobs_ended", ended, "a job that has ended is not in it");
        let owners = self
            .rows
            .job_facts
            .iter()?
            .map(|row| Ok(("job_facts", row?.0.value())))
            .chain(self.rows.job_bulks.iter()?.map(|row| Ok(("job_bulks", row?.0.value().1))))
            .chain(self.rows.job_errors.iter()?.map(|row| Ok(("job_errors", row?.0.value().0))))
            .chain(self.rows.last_syncs.iter()?.map(|row| Ok(("last_syncs", row?.1.value()))))
            .collect::<Result<HashSet<_>, Fault>>()?;
        for (table, job) in owners {
            let is_there = self.rows.jobs.get(job)?.is_some();
            self.require(is_there, table, ObjectId::from_u128(job), "the job is not there");
        }
        let of_connections = self
            .rows
            .schedules
            .iter()?
            .map(|row| Ok(("schedules", row?.0.value())))
            .chain(self.rows.turns.iter()?.map(|row| Ok(("turns", row?.0.value()))))
            .chain(self.rows.last_syncs.iter()?.map(|row| Ok(("last_syncs", row?.0.value()))))
            .collect::<Result<Vec<_>, Fault>>()?;
        for (table, id) in of_connections {
            let is_there = self.rows.connections.get(id)?.is_some();
            self.require(is_there, table, ObjectId::from_u128(id), "the connection is not there");
        }
        Ok(())
    }

    fn job(&mut self, id: u128, row: &JobRow) -> Result<(), Fault> {
        let waits = self.rows.waiting.get((row.due_at, id))?.is_some();
        let is_active = self.rows.active.get((row.connection, id))?.is_some();
        let is_group = facts::of(self.rows, id)?.is_group();
        let holds = match row.state() {
            JobState::Active if is_group => {
                let stands = self.rows.job_groups.get(row.bulk)?.is_some_and(|job| job.value() == id);
                stands && !waits && !is_active && row.claim.is_none()
            }
            JobState::Created | JobState::Retry => waits && !is_active && row.claim.is_none(),
            JobState::Active => !waits && is_active && row.claim.is_some(),
            _ => !waits && !is_active && row.claim.is_none() && row.ended_at.is_some(),
        };
        let key = ObjectId::from_u128(id);
        self.require(holds, "jobs", key, "its state and the queues differ");
        let mut readers = 0;
        for task in queue::tasks(self.rows, id)? {
            readers += u64::from(matches!(task.work, Work::Read { .. }));
            self.require(task.number < row.next_task, "tasks", (key, task.number), "the number would be given again");
        }
        let mut counted = 0;
        for row in self.rows.readers.range((id, "")..(id + 1, ""))? {
            counted += row?.1.value();
        }
        self.require(readers == counted, "readers", key, "the numbers are not those of its tasks");
        Ok(())
    }
}
