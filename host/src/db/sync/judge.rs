//! Deciding about what a job has proved to be absent (D33): its last task.
//!
//! First it is weighed, in a read, because that walks the tree; what that finds to be too much is stored as verdicts. Then
//! the absences are told apart by them, some in each transaction: held, or marked missing. Both may stop anywhere: what is
//! left to be told apart still stands in the store. Between the two the tree only loses objects and marks, because no sync
//! of an overlapping subtree runs; so each object is looked at again.

use std::collections::{HashMap, HashSet};

use redb::ReadableTable as _;
use serde::{Deserialize, Serialize};

use super::{
    super::{
        dry,
        fault::{Fault, Stop},
        holds::{self, HeldRow, HoldRow},
        jobs::{ClaimError, owned},
        records::{ObjectRow, PlaceRow, decode, encode, micros},
        tree,
    },
    Advanced, Db, Step,
    ledger::Ledger,
    weigh::{self, Wider},
};
use crate::model::{
    diff::What,
    hold::{Rebased, Verdict},
    id::HoldId,
    job::{Claim, Task, Work},
    page::Cursor,
};

/// Absences that are told apart in one transaction; few in tests, so that these see more than one.
const AT_ONCE: usize = if cfg!(test) { 3 } else { 2_000 };

/// An object that is proved to be absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::db) struct AbsentRow {
    pub(in crate::db) place: PlaceRow,
    /// Where its container was listed on another basis than before.
    pub(in crate::db) rebased: Option<Rebased>,
}

/// What a job found to be too much.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::db) struct VerdictRow {
    pub(in crate::db) verdict: Verdict,
    /// The hold, once something was put into it.
    pub(in crate::db) hold: Option<u128>,
}

impl Db {
    /// Weighs what a job has proved to be absent: what of it is too much to be believed. None where it has decided so
    /// before.
    pub async fn weigh_absences(&self, claim: Claim) -> Result<Vec<Verdict>, ClaimError> {
        self.read("weigh absences", move |rows| -> Result<_, Stop<ClaimError>> {
            let job = owned(rows, claim)?;
            Ok(weigh::weigh(rows, claim.job.as_u128(), &job)?)
        })
        .await
    }

    /// Tells some of the absences of a job apart: what lies in the scope of a verdict is held, the rest is missing. The
    /// verdicts count the first time; from then on the stored ones do.
    pub async fn judge(&self, step: Step, verdicts: Vec<Verdict>) -> Result<Advanced, ClaimError> {
        self.step("judge absences", step, move |ledger| ledger.judge(verdicts)).await
    }
}

impl Ledger<'_, '_> {
    /// Notes that a complete listing and a second look did not have an object.
    pub(super) fn note_absent(&mut self, id: u128, row: &ObjectRow, rebased: Option<&Rebased>) -> Result<(), Fault> {
        let parent = row.parent.ok_or(Fault::Broken("a connection is in no listing"))?;
        let place = PlaceRow { parent, namespace: row.listed_namespace().to_owned(), name: row.name.clone() };
        let absent = AbsentRow { place, rebased: rebased.cloned() };
        self.rows.absent.insert((self.job_id, id), encode(&absent)?.as_slice())?;
        Ok(())
    }

    /// Whether an object is proved to be absent in this job, and was not seen since.
    pub(super) fn is_absent(&self, id: u128) -> Result<bool, Fault> {
        Ok(self.rows.absent.get((self.job_id, id))?.is_some())
    }

    /// What this page has seen is neither absent nor held, and neither is what it lies in: that is there, whatever a
    /// listing of what is above it had.
    pub(super) fn free_seen(&mut self) -> Result<(), Fault> {
        let may_be_absent = self.has_absences()?;
        let may_be_held = !self.dry && holds::is_any(self.rows, self.job.connection)?;
        if !may_be_absent && !may_be_held {
            return Ok(());
        }
        let mut there = HashSet::new();
        for container in &self.shown {
            let mut next = Some(*container);
            while let Some(id) = next
                && there.insert(id)
            {
                next = tree::object(self, id)?.and_then(|row| row.parent);
            }
        }
        for id in there.union(&self.placed) {
            if may_be_absent {
                self.rows.absent.remove((self.job_id, *id))?;
            }
            if may_be_held {
                holds::free(self.rows, *id)?;
            }
        }
        Ok(())
    }

    fn has_absences(&self) -> Result<bool, Fault> {
        let mut all = self.rows.absent.range((self.job_id, 0)..=(self.job_id, u128::MAX))?;
        Ok(all.next().transpose()?.is_some())
    }

    /// Adds the last task where the job has nothing else left to do and there is something to judge.
    pub(super) fn end_with_judgement(&mut self) -> Result<(), Fault> {
        let has_tasks =
            self.rows.tasks.range((self.job_id, 0)..=(self.job_id, u64::MAX))?.next().transpose()?.is_some();
        if has_tasks || self.task.work == Work::Judge || !self.has_absences()? {
            return Ok(());
        }
        self.add_task(Work::Judge)
    }

    fn judge(&mut self, verdicts: Vec<Verdict>) -> Result<Option<Task>, Fault> {
        if self.task.work != Work::Judge {
            return Ok(None);
        }
        if self.task.cursor.is_none() {
            if self.dry && !verdicts.is_empty() {
                dry::put_holds(self.rows, self.job_id, &verdicts)?;
            }
            for verdict in verdicts {
                let key = (self.job_id, verdict.scope.as_u128());
                self.rows.verdicts.insert(key, encode(&VerdictRow { verdict, hold: None })?.as_slice())?;
            }
        }
        self.tell_apart()?;
        let goes_on = Task { cursor: Some(Cursor("weighed".to_owned())), ..self.task.clone() };
        Ok(self.has_absences()?.then_some(goes_on))
    }

    fn tell_apart(&mut self) -> Result<(), Fault> {
        let mut verdicts = self.verdicts()?;
        let mut wider = Wider::of(self.job.object);
        let mut held = Vec::new();
        for (id, absent) in self.some_absent()? {
            self.rows.absent.remove((self.job_id, id))?;
            // Distrusted after it was listed: this job proves nothing about it.
            if self.rows.unproven.get((self.job_id, absent.place.parent))?.is_some() {
                continue;
            }
            let Some(chain) = holds::still_absent(self, &self.filter, id, &absent.place)? else { continue };
            if wider.holds(self.rows, chain.iter().map(|node| node.id))? {
                held.push(id);
                continue;
            }
            let verdict = chain.iter().find_map(|node| Some((node.id, verdicts.get(&node.id)?.clone())));
            let Some(object) = chain.into_iter().last() else { continue };
            match verdict {
                Some(_) if self.dry => held.push(id),
                Some((scope, verdict)) => {
                    let hold = self.hold_of(scope, &verdict)?;
                    verdicts.insert(scope, VerdictRow { hold: Some(hold), ..verdict });
                    let row = HeldRow { place: absent.place, object_type: object.row.object_type };
                    holds::take(self.rows, hold, id, row)?;
                    held.push(id);
                }
                None => self.believe(id, object.row, &absent.place)?,
            }
        }
        self.count_held(u64::try_from(held.len()).unwrap_or_default())?;
        if self.dry {
            self.withheld = held.len();
            for id in held {
                self.note(id, What::Missing);
            }
        }
        Ok(())
    }

    /// An absence that is believed: missing, held no more, and the listing that showed it is trusted.
    fn believe(&mut self, id: u128, row: ObjectRow, place: &PlaceRow) -> Result<(), Fault> {
        if !self.dry {
            holds::free(self.rows, id)?;
            self.rows.trusted.remove((place.parent, place.namespace.as_str()))?;
        }
        self.mark_missing(id, row)
    }

    fn verdicts(&self) -> Result<HashMap<u128, VerdictRow>, Fault> {
        self.rows
            .verdicts
            .range((self.job_id, 0)..=(self.job_id, u128::MAX))?
            .map(|row| {
                let (key, row) = row?;
                Ok((key.value().1, decode(row.value())?))
            })
            .collect()
    }

    fn some_absent(&self) -> Result<Vec<(u128, AbsentRow)>, Fault> {
        self.rows
            .absent
            .range((self.job_id, 0)..=(self.job_id, u128::MAX))?
            .take(AT_ONCE)
            .map(|row| {
                let (key, row) = row?;
                Ok((key.value().1, decode(row.value())?))
            })
            .collect()
    }

    /// The hold that a verdict puts things into: the one of its scope, judged anew by this job, or a new one. One that a
    /// person has decided about takes nothing more.
    fn hold_of(&mut self, scope: u128, it: &VerdictRow) -> Result<u128, Fault> {
        if let Some(hold) = it.hold
            && self.rows.holds.get(hold)?.is_some()
            && !holds::is_decided(self.rows, hold)?
        {
            return Ok(hold);
        }
        let now = micros(self.step.now);
        let (job, connection) = (self.job_id, self.job.connection);
        let known = self.rows.scope_holds.get(scope)?.map(|row| row.value());
        let hold = known.unwrap_or_else(|| HoldId::generate().as_u128());
        let Verdict { cause, hints, known: leaves, vanished, equal_syncs, .. } = it.verdict.clone();
        let mut row = HoldRow {
            connection,
            scope,
            job,
            revision: 1,
            cause,
            hints,
            known: leaves,
            vanished,
            counts: Default::default(),
            equal_syncs,
            has_shrunk: false,
            created_at: now,
            updated_at: now,
        };
        if let Some(before) = holds::row(self.rows, hold)? {
            self.rows.job_holds.remove((before.job, hold))?;
            row =
                HoldRow { revision: before.revision + 1, counts: before.counts, created_at: before.created_at, ..row };
        }
        holds::put(self.rows, hold, &row)?;
        self.rows.scope_holds.insert(scope, hold)?;
        self.rows.connection_holds.insert((connection, hold), ())?;
        self.rows.job_holds.insert((job, hold), ())?;
        let stored = VerdictRow { hold: Some(hold), ..it.clone() };
        self.rows.verdicts.insert((job, scope), encode(&stored)?.as_slice())?;
        Ok(hold)
    }

    fn count_held(&mut self, held: u64) -> Result<(), Fault> {
        if held > 0 {
            let before = self.rows.job_held.get(self.job_id)?.map_or(0, |row| row.value());
            self.rows.job_held.insert(self.job_id, before + held)?;
        }
        Ok(())
    }

    /// The basis of the last listing of a container that nobody doubts, where this one has another.
    pub(super) fn rebased(&self, container: u128, namespace: &str, basis: &str) -> Result<Option<Rebased>, Fault> {
        let Some(listed) = self.listed_row(container, namespace)? else { return Ok(None) };
        let was = match self.rows.trusted.get((container, namespace))? {
            Some(trusted) => trusted.value().to_owned(),
            None => listed.basis,
        };
        let differs = !was.is_empty() && !basis.is_empty() && was != basis;
        Ok(differs.then(|| Rebased { was, is: basis.to_owned() }))
    }

    /// Keeps the basis that nobody doubts while what vanished with another one is not decided.
    pub(super) fn trust(&mut self, container: u128, namespace: &str, rebased: Option<&Rebased>) -> Result<(), Fault> {
        if self.dry {
            return Ok(());
        }
        match rebased {
            Some(rebased) => self.rows.trusted.insert((container, namespace), rebased.was.as_str())?,
            None => self.rows.trusted.remove((container, namespace))?,
        };
        Ok(())
    }

    /// Trusts no basis of a container that is another one now.
    pub(super) fn forget_trust(&mut self, container: u128) -> Result<(), Fault> {
        if !self.dry {
            self.rows.trusted.retain_in((container, "")..(container + 1, ""), |_, _| false)?;
        }
        Ok(())
    }
}
