//! Holds: each has objects, each held object is in one, and the indexes say the same.

use std::collections::{BTreeMap, HashMap};

use redb::ReadableTable as _;

use super::{
    super::{
        fault::Fault,
        holds::{DecidedRow, HeldRow, HoldRow},
        records::decode,
        sync::{AbsentRow, VerdictRow},
        tree,
    },
    Check,
};
use crate::model::{
    hold::HoldRule,
    id::{ConnectionId, HoldId, JobId, ObjectId},
    object::RemoteStatus,
};

impl Check<'_> {
    pub(super) fn holds(&mut self) -> Result<(), Fault> {
        let mut holds: HashMap<u128, HoldRow> = HashMap::new();
        for row in self.rows.holds.iter()? {
            let (id, row) = row?;
            let id = id.value();
            if let Some(row) = self.row::<HoldRow>("holds", HoldId::from_u128(id), row.value()) {
                self.hold(id, &row)?;
                holds.insert(id, row);
            }
        }
        let counted = self.held()?;
        for (id, row) in &holds {
            let counts = counted.get(id).cloned().unwrap_or_default();
            let holds = counts == row.counts && !counts.is_empty();
            self.require(holds, "holds", HoldId::from_u128(*id), "the numbers are not those of what it holds");
        }
        self.found_by(&holds)?;
        self.judging()
    }

    fn hold(&mut self, id: u128, row: &HoldRow) -> Result<(), Fault> {
        let key = HoldId::from_u128(id);
        let is_indexed = self.rows.connection_holds.get((row.connection, id))?.is_some()
            && self.rows.job_holds.get((row.job, id))?.is_some();
        self.require(is_indexed, "holds", key, "it is not found by its connection and its job");
        let has_job = self.rows.jobs.get(row.job)?.is_some();
        self.require(has_job, "holds", key, "the job that judged it is not there");
        let is_decided = self.rows.decided.get(id)?.is_some();
        let by_scope = self.rows.scope_holds.get(row.scope)?.is_some_and(|hold| hold.value() == id);
        self.require(by_scope != is_decided, "scope_holds", key, "a hold is found by its scope until it is decided");
        Ok(())
    }

    /// Objects that are held, counted by hold and type.
    fn held(&mut self) -> Result<HashMap<u128, BTreeMap<String, u64>>, Fault> {
        let mut counted: HashMap<u128, BTreeMap<String, u64>> = HashMap::new();
        for row in self.rows.held.iter()? {
            let (key, row) = row?;
            let (hold, object) = key.value();
            let key = (HoldId::from_u128(hold), ObjectId::from_u128(object));
            let by_object = self.rows.held_objects.get(object)?.is_some_and(|known| known.value() == hold);
            self.require(by_object, "held", key, "it is not found by its object");
            let has_hold = self.rows.holds.get(hold)?.is_some();
            self.require(has_hold, "held", key, "the hold is not there");
            let stored = tree::object(self.rows, object).ok().flatten();
            let is_present = stored.is_some_and(|row| row.mark() == RemoteStatus::Present);
            self.require(is_present, "held", key, "the object is not there, or has a mark");
            // What is cut off, or given back, is nowhere.
            let scope = self.rows.holds.get(hold)?.and_then(|row| decode::<HoldRow>(row.value()).ok());
            let lineage = tree::lineage(self.rows, object).ok().flatten();
            if let (Some(HoldRow { scope, .. }), Some(lineage)) = (scope, lineage) {
                let is_in_it = lineage.iter().any(|node| node.id == scope);
                self.require(is_in_it, "held", key, "the object is not in the scope of the hold");
            }
            if let Some(row) = self.row::<HeldRow>("held", key, row.value()) {
                *counted.entry(hold).or_default().entry(row.object_type).or_default() += 1;
            }
        }
        for row in self.rows.held_objects.iter()? {
            let (object, hold) = row?;
            let (object, hold) = (object.value(), hold.value());
            let holds = self.rows.held.get((hold, object))?.is_some();
            self.require(holds, "held_objects", ObjectId::from_u128(object), "the hold does not have it");
        }
        Ok(counted)
    }

    fn found_by(&mut self, holds: &HashMap<u128, HoldRow>) -> Result<(), Fault> {
        for row in self.rows.connection_holds.iter()? {
            let (connection, hold) = row?.0.value();
            let fits = holds.get(&hold).is_some_and(|row| row.connection == connection);
            self.require(fits, "connection_holds", HoldId::from_u128(hold), "the hold is not there, or of another");
        }
        for row in self.rows.job_holds.iter()? {
            let (job, hold) = row?.0.value();
            let fits = holds.get(&hold).is_some_and(|row| row.job == job);
            self.require(fits, "job_holds", HoldId::from_u128(hold), "the hold is not there, or of another");
        }
        for row in self.rows.scope_holds.iter()? {
            let (scope, hold) = row?;
            let fits = holds.get(&hold.value()).is_some_and(|row| row.scope == scope.value());
            self.require(
                fits,
                "scope_holds",
                ObjectId::from_u128(scope.value()),
                "the hold is not there, or of another",
            );
        }
        for row in self.rows.decided.iter()? {
            let (hold, row) = row?;
            let key = HoldId::from_u128(hold.value());
            self.row::<DecidedRow>("decided_holds", key, row.value());
            self.require(holds.contains_key(&hold.value()), "decided_holds", key, "the hold is not there");
        }
        for row in self.rows.hold_rules.iter()? {
            let (id, row) = row?;
            let key = ConnectionId::from_u128(id.value());
            self.row::<HoldRule>("hold_rules", key, row.value());
            let is_there = self.rows.connections.get(id.value())?.is_some();
            self.require(is_there, "hold_rules", key, "the connection is not there");
        }
        Ok(())
    }

    /// What stands in the store until absences are judged. That it belongs to a job is checked with the jobs.
    fn judging(&mut self) -> Result<(), Fault> {
        for row in self.rows.absent.iter()? {
            let (key, row) = row?;
            let key = (JobId::from_u128(key.value().0), ObjectId::from_u128(key.value().1));
            self.row::<AbsentRow>("absent", key, row.value());
        }
        for row in self.rows.verdicts.iter()? {
            let (key, row) = row?;
            let key = (JobId::from_u128(key.value().0), ObjectId::from_u128(key.value().1));
            self.row::<VerdictRow>("verdicts", key, row.value());
        }
        for row in self.rows.trusted.iter()? {
            let (key, _) = row?;
            let (container, namespace) = key.value();
            let is_listed = self.rows.listed.get((container, namespace))?.is_some();
            let key = (ObjectId::from_u128(container), namespace);
            self.require(is_listed, "trusted", key, "the container was never listed");
        }
        Ok(())
    }
}
