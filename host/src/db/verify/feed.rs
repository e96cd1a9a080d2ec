//! The history: commits in order, and indexes that name exactly what stands in the feeds.

use std::collections::HashMap;

use redb::ReadableTable as _;

use super::{
    super::{
        changes::DetailsRow,
        fault::Fault,
        records::{ChangesRow, decode},
    },
    Check,
};
use crate::model::id::{ConnectionId, JobId, ObjectId};

impl Check<'_> {
    pub(super) fn feed(&mut self) -> Result<(), Fault> {
        let commit = self.commit()?;
        let mut latest: HashMap<u128, i64> = HashMap::new();
        for row in self.rows.changes.iter()? {
            let (key, row) = row?;
            let (connection, sequence) = key.value();
            let key = (ConnectionId::from_u128(connection), sequence);
            self.require(self.objects.contains_key(&connection), "changes", key, "the connection is not there");
            self.require(u128::from(sequence) <= commit, "changes", key, "the commit is still to come");
            let Some(row) = self.row::<ChangesRow>("changes", key, row.value()) else { continue };
            let before = latest.insert(connection, row.at).unwrap_or(i64::MIN);
            self.require(before <= row.at, "changes", key, "it is earlier than the commit before it");
            let pruned = self.rows.pruned.get(connection)?.map_or(0, |row| row.value().0);
            self.require(pruned == 0 || sequence > pruned, "changes", key, "it was to be kept no more");
            self.commit_row(connection, sequence, &row)?;
        }
        self.indexes()
    }

    fn commit_row(&mut self, connection: u128, sequence: u64, row: &ChangesRow) -> Result<(), Fault> {
        let key = (ConnectionId::from_u128(connection), sequence);
        let Some(details) = self.rows.change_details.get((connection, sequence))? else {
            // A commit of an earlier version: it has neither details nor a place in the indexes.
            return Ok(());
        };
        for change in &row.changes {
            let id = change.object.as_u128();
            let found = self.rows.object_changes.get((id, sequence))?.is_some();
            self.require(found, "object_changes", (change.object, sequence), "the change is not found by its object");
        }
        if let Some(job) = row.job {
            let found = self.rows.job_changes.get((job, sequence))?.map(|row| row.value());
            let job = (JobId::from_u128(job), sequence);
            self.require(found == Some(connection), "job_changes", job, "the commit is not found by its job");
        }
        let Some(details) = self.row::<DetailsRow>("change_details", key, details.value()) else { return Ok(()) };
        let fits = details.details.len() == row.changes.len()
            && details.details.iter().all(|detail| {
                let within = [Some(detail.within), detail.from];
                within.into_iter().flatten().all(|n| (n as usize) < details.within.len())
                    && (detail.object_type as usize) < details.types.len()
            });
        self.require(fits, "change_details", key, "they are not those of the commit's changes");
        Ok(())
    }

    /// Every entry of an index leads to what it names.
    fn indexes(&mut self) -> Result<(), Fault> {
        let mut connections = Vec::new();
        let mut commits: HashMap<u64, u128> = HashMap::new();
        for row in self.rows.changes.iter()? {
            let (connection, sequence) = row?.0.value();
            if commits.insert(sequence, connection).is_some() {
                connections.push((ConnectionId::from_u128(connection), sequence));
            }
        }
        for key in connections {
            self.require(false, "changes", key, "another connection has a commit of the same sequence");
        }
        for row in self.rows.change_details.iter()? {
            let (connection, sequence) = row?.0.value();
            let holds = commits.get(&sequence) == Some(&connection);
            let key = (ConnectionId::from_u128(connection), sequence);
            self.require(holds, "change_details", key, "the commit is not there");
        }
        for row in self.rows.job_changes.iter()? {
            let (key, connection) = row?;
            let (job, sequence) = key.value();
            let holds = commits.get(&sequence) == Some(&connection.value());
            self.require(holds, "job_changes", (JobId::from_u128(job), sequence), "the commit is not there");
        }
        self.objects_of_commits(&commits)
    }

    /// The index by object. Commits are read in the order of the index's own sequences, the latest of them remembered.
    fn objects_of_commits(&mut self, commits: &HashMap<u64, u128>) -> Result<(), Fault> {
        let mut by_commit: Vec<(u64, u128)> = Vec::new();
        for row in self.rows.object_changes.iter()? {
            let (object, sequence) = row?.0.value();
            by_commit.push((sequence, object));
        }
        by_commit.sort_unstable();
        let mut current: Option<(u64, Vec<u128>)> = None;
        for (sequence, object) in by_commit {
            if current.as_ref().is_none_or(|(known, _)| *known != sequence) {
                let mut objects = Vec::new();
                if let Some(connection) = commits.get(&sequence)
                    && let Some(row) = self.rows.changes.get((*connection, sequence))?
                    && let Ok(row) = decode::<ChangesRow>(row.value())
                {
                    objects.extend(row.changes.iter().map(|change| change.object.as_u128()));
                    objects.sort_unstable();
                }
                current = Some((sequence, objects));
            }
            let holds = current.as_ref().is_some_and(|(_, objects)| objects.binary_search(&object).is_ok());
            let key = (ObjectId::from_u128(object), sequence);
            self.require(holds, "object_changes", key, "the commit is not there, or did not change the object");
        }
        Ok(())
    }
}
