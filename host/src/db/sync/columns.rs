//! Columns: comparing what was delivered with what is stored, and answers to questions by name (D40).

use std::collections::HashSet;

use redb::ReadableTable as _;

use super::{
    super::{
        fault::Fault,
        records::{ObjectRow, decode, micros},
    },
    ledger::Ledger,
    listing::MAX_IDLE,
};
use crate::model::{
    change::{MAX_VALUE_BYTES, Values},
    column::{Column, ColumnChanges, column_values, diff_columns},
    diff::What,
    job::{Task, Work},
    page::{Page, Partition},
    path::RemotePath,
};

/// Whether a listing is only there for the columns it carries: it proves nothing, and nobody waits for it to close a
/// container.
#[must_use]
pub(in crate::db) fn lists_for_columns(work: &Work) -> bool {
    matches!(work, Work::Read { want_columns: true, second_look: true, .. })
}

impl Ledger<'_, '_> {
    /// Stores delivered columns where they differ. Whether people see a difference, and whether the row has to be written.
    pub(super) fn refresh_columns(
        &mut self,
        id: u128,
        row: &mut ObjectRow,
        columns: &Vec<Column>,
        fingerprint: Option<String>,
    ) -> Result<(bool, bool), Fault> {
        let first = !row.columns_known;
        let stored = self.columns(id)?.unwrap_or_default();
        let changes = diff_columns(&stored, columns);
        let differs = !changes.is_empty();
        if differs || first {
            self.put_columns(id, Some(columns))?;
        }
        let count = |names: &[String]| u64::try_from(names.len()).unwrap_or_default();
        self.job.counts.columns_added += count(&changes.added);
        self.job.counts.columns_changed += count(&changes.changed);
        self.job.counts.columns_deleted += count(&changes.deleted);
        if first {
            // Nothing is new about columns that nobody knew; their names stand in the list itself.
            self.note(id, What::Columns { first, changes: ColumnChanges::default() });
        } else if differs {
            self.note(id, What::Columns { first, changes });
            self.tell(Values::Columns(column_values(&stored, columns, MAX_VALUE_BYTES)));
        }
        let noted = first || row.fingerprint != fingerprint;
        row.columns_known = true;
        row.fingerprint = fingerprint;
        self.note_read(id, row.fingerprint.is_some())?;
        Ok((differs || first, noted))
    }

    /// Whether an object's columns were read so lately that they count as current without a fingerprint. Who asks for this
    /// very object wants them read.
    pub(super) fn is_recent(&self, id: u128) -> Result<bool, Fault> {
        let Some(max_age) = self.columns_max_age.filter(|_| self.target.leaf.is_none()) else { return Ok(false) };
        let Some(read_at) = self.read_at(id)? else { return Ok(false) };
        // A clock that was set back proves nothing.
        let age = u128::try_from(micros(self.step.now) - read_at).ok();
        Ok(age.is_some_and(|age| age < max_age.as_micros()))
    }

    /// Notes that columns were read, where nothing but their age can tell whether they are current. A note that still
    /// counts is left as it is.
    pub(super) fn note_read(&mut self, id: u128, has_fingerprint: bool) -> Result<(), Fault> {
        if has_fingerprint {
            self.forget_read(id)
        } else if self.columns_max_age.is_some() && !self.is_recent(id)? {
            self.put_read_at(id, Some(micros(self.step.now)))
        } else {
            Ok(())
        }
    }

    /// Drops the note of when columns were read.
    pub(super) fn forget_read(&mut self, id: u128) -> Result<(), Fault> {
        if self.read_at(id)?.is_some() { self.put_read_at(id, None) } else { Ok(()) }
    }

    /// Whether the write in hand answers a question for columns.
    pub(super) fn is_columns_task(&self) -> bool {
        matches!(self.task.work, Work::Columns { .. })
    }

    /// Lists the container of a question for columns, with columns, instead of asking by name: all questions about it are
    /// answered by that.
    pub(super) fn list_for_columns(&mut self, partitions: Vec<Partition>) -> Result<Option<Task>, Fault> {
        let Work::Columns { scope, .. } = self.task.work.clone() else { return Ok(None) };
        let mut others = Vec::new();
        for row in self.rows.tasks.range((self.job_id, 0)..=(self.job_id, u64::MAX))? {
            let task: Task = decode(row?.1.value())?;
            if matches!(&task.work, Work::Columns { scope: of, .. } if *of == scope) && task.number != self.task.number
            {
                others.push(task.number);
            }
        }
        for number in others {
            self.rows.tasks.remove((self.job_id, number))?;
        }
        let before = self.job.next_task;
        for partition in partitions.into_iter().filter(|partition| scope.is_within(&partition.scope)) {
            self.add_task(Work::Read { partition, want_columns: true, second_look: true })?;
        }
        if self.job.next_task == before {
            let message = "the connector could not list the container for its columns; the known ones stay";
            self.report(&scope, "columns-missing", message)?;
        }
        Ok(None)
    }

    /// Applies a page of answers to a question for columns.
    pub(super) fn columns_page(&mut self, page: Page) -> Result<Option<Task>, Fault> {
        let Work::Columns { scope, namespace, names } = self.task.work.clone() else { return Ok(None) };
        self.job.counts.pages += 1;
        if self.container(&scope)?.is_none() {
            // Deleted meanwhile: there is nothing left to answer for.
            return Ok(None);
        }
        let mut open: HashSet<String> = names.iter().cloned().collect();
        let mut strangers = HashSet::new();
        for object in page.objects {
            let name = object.path.0.last().map(|name| name.as_str().to_owned()).unwrap_or_default();
            let is_asked = object.namespace == namespace && object.path.parent().as_ref() == Some(&scope);
            if !is_asked || !open.remove(&name) {
                self.report(
                    &object.path,
                    "outside-scope",
                    "the connector answered for an object that it was not asked for",
                )?;
                continue;
            }
            if object.columns.is_none() && object.excluded.is_none() {
                self.report(
                    &object.path,
                    "columns-missing",
                    "the connector answered without columns; the known ones stay",
                )?;
            }
            if let Some(container) = self.accept(&object, &scope, &mut strangers)? {
                self.place(&container, object, |_, _| false)?;
            }
        }
        for error in page.errors {
            if let Some((name, rest)) = error.path.0.split_last()
                && rest == scope.0.as_slice()
            {
                open.remove(name.as_str());
            }
            self.report(&error.path, &error.code, &error.message)?;
        }
        // What was seen while columns were read proves nothing about a listing.
        self.seen.clear();
        let asked = names.len();
        let names: Vec<String> = names.into_iter().filter(|name| open.contains(name)).collect();
        let idle = if names.len() < asked { 0 } else { self.task.idle + 1 };
        match page.next {
            Some(next) if !names.is_empty() && idle < MAX_IDLE => {
                let mut task = self.task.clone();
                task.work = Work::Columns { scope, namespace, names };
                task.cursor = Some(next);
                task.failures = 0;
                task.idle = idle;
                task.not_before = page.not_before.and_then(|wait| self.step.now.checked_add(wait).ok());
                Ok(Some(task))
            }
            _ => {
                for name in names {
                    self.report_unanswered(&scope, &name)?;
                }
                Ok(None)
            }
        }
    }

    fn report_unanswered(&mut self, scope: &RemotePath, name: &str) -> Result<(), Fault> {
        let mut path = scope.clone();
        path.0.extend(name.parse());
        self.report(&path, "columns-missing", "the connector did not answer for its columns; the known ones stay")
    }
}
