//! The draft of a dry run: the rows that its sync would have written, beside the tables and looked at before them.
//!
//! It holds only what differs, and is written with the page that brings it: a restart loses nothing, and memory holds none
//! of it. It is given back when the job has ended.

use std::collections::HashSet;

use redb::ReadableTable as _;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    super::{
        counters::CountersRow,
        fault::Fault,
        records::{ListedRow, ObjectRow, decode, encode},
        tables::{Rows, WriteRows},
        tree::{self, Tree},
    },
    ledger::Ledger,
};
use crate::model::{column::Column, settings::Overrides};

/// What a row would be; none where it would be gone.
pub(super) type Drafted = Option<Vec<u8>>;

/// A row of the inventory, by its table and key.
#[derive(Clone, Copy)]
pub(super) enum At<'k> {
    Object(u128),
    Child(u128, &'k str, &'k str),
    Exclusion(u128),
    Columns(u128),
    ColumnsRead(u128),
    Overrides(u128),
    Counters(u128),
    Listed(u128, &'k str),
    RemoteId(&'k str),
}

impl At<'_> {
    /// Number of the table, and the key in it: rows of one parent lie together.
    fn key(self) -> (u8, Vec<u8>) {
        // No text has this byte, so that it ends one.
        const END: &[u8] = &[0xff];
        let of = |id: u128, names: &[&[u8]]| [id.to_be_bytes().as_slice(), &names.concat()].concat();
        match self {
            Self::Object(id) => (0, of(id, &[])),
            Self::Child(parent, namespace, name) => (1, of(parent, &[namespace.as_bytes(), END, name.as_bytes()])),
            Self::Exclusion(id) => (2, of(id, &[])),
            Self::Columns(id) => (3, of(id, &[])),
            Self::ColumnsRead(id) => (4, of(id, &[])),
            Self::Overrides(id) => (5, of(id, &[])),
            Self::Counters(id) => (6, of(id, &[])),
            Self::Listed(container, namespace) => (7, of(container, &[namespace.as_bytes()])),
            Self::RemoteId(id) => (8, id.as_bytes().to_vec()),
        }
    }
}

/// Whether a row of a draft is one of the table with this number.
pub(in crate::db) fn is_readable(table: u8, row: &[u8]) -> bool {
    match table {
        0 => decode::<ObjectRow>(row).is_ok(),
        1 | 8 => decode::<u128>(row).is_ok(),
        2 => decode::<String>(row).is_ok(),
        3 => decode::<Vec<Column>>(row).is_ok(),
        4 => decode::<i64>(row).is_ok(),
        5 => decode::<Overrides>(row).is_ok(),
        6 => decode::<CountersRow>(row).is_ok(),
        7 => decode::<ListedRow>(row).is_ok(),
        _ => false,
    }
}

/// The inventory as a job has made it: the tables, and before them its draft where it has one.
pub(super) struct View<'a, R> {
    pub(super) rows: &'a R,
    /// The dry run whose draft it is.
    pub(super) draft_of: Option<u128>,
}

// Derived ones would ask the tables to be copied.
impl<R> Clone for View<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for View<'_, R> {}

impl<R: Rows> View<'_, R> {
    /// What the draft has of a row: nothing, that it is gone, or what it is.
    pub(super) fn drafted(&self, at: At<'_>) -> Result<Option<Drafted>, Fault> {
        let Some(job) = self.draft_of else { return Ok(None) };
        let (table, key) = at.key();
        let row = self.rows.drafts().get((job, table, key.as_slice()))?;
        Ok(row.map(|row| row.value().map(<[u8]>::to_vec)))
    }

    /// What the draft has of all rows that lie with this one, by what follows the parent in their keys.
    pub(super) fn drafted_below(&self, first: At<'_>, parent: u128) -> Result<Vec<(Vec<u8>, Drafted)>, Fault> {
        let Some(job) = self.draft_of else { return Ok(Vec::new()) };
        let (table, _) = first.key();
        let (from, to) = (parent.to_be_bytes(), (parent + 1).to_be_bytes());
        let range = (job, table, from.as_slice())..(job, table, to.as_slice());
        let mut found = Vec::new();
        for row in self.rows.drafts().range(range)? {
            let (key, row) = row?;
            found.push((key.value().2[from.len()..].to_vec(), row.value().map(<[u8]>::to_vec)));
        }
        Ok(found)
    }

    /// The ids of the children of a container.
    pub(super) fn each_child(&self, parent: u128) -> Result<Box<dyn Iterator<Item = Result<u128, Fault>> + '_>, Fault> {
        let stored = self.rows.children().range((parent, "", "")..(parent + 1, "", ""))?.map(|row| Ok(row?.1.value()));
        if self.draft_of.is_none() {
            return Ok(Box::new(stored));
        }
        // A draft is looked at whole: it may have moved any of them.
        let redrawn = self.redrawn(parent, stored.collect::<Result<_, Fault>>()?, |_| true)?;
        Ok(Box::new(redrawn.into_iter().map(Ok)))
    }

    /// What is left of these children of a container, and those that came, where the draft says so.
    pub(super) fn redrawn(
        &self,
        parent: u128,
        stored: Vec<u128>,
        fits: impl Fn(&ObjectRow) -> bool,
    ) -> Result<Vec<u128>, Fault> {
        if self.draft_of.is_none() {
            return Ok(stored);
        }
        let mut ids = stored;
        for (_, row) in self.drafted_below(At::Child(parent, "", ""), parent)? {
            ids.extend(row.map(|row| decode::<u128>(&row)).transpose()?);
        }
        let mut known = HashSet::new();
        let mut children = Vec::new();
        for id in ids {
            let is_here = tree::object(self, id)?.is_some_and(|row| row.parent == Some(parent) && fits(&row));
            if is_here && known.insert(id) {
                children.push(id);
            }
        }
        Ok(children)
    }
}

impl<R: Rows> Tree for View<'_, R> {
    fn object_as<T>(&self, id: u128, read: impl FnOnce(&[u8]) -> Result<T, Fault>) -> Result<Option<T>, Fault> {
        match self.drafted(At::Object(id))? {
            Some(row) => row.as_deref().map(read).transpose(),
            None => self.rows.object_as(id, read),
        }
    }

    fn overrides_of(&self, id: u128) -> Result<Overrides, Fault> {
        match self.drafted(At::Overrides(id))? {
            Some(row) => Ok(row.map(|row| decode(&row)).transpose()?.unwrap_or_default()),
            None => self.rows.overrides_of(id),
        }
    }

    fn child_of(&self, parent: u128, namespace: &str, name: &str) -> Result<Option<u128>, Fault> {
        match self.drafted(At::Child(parent, namespace, name))? {
            Some(row) => row.map(|row| decode(&row)).transpose(),
            None => self.rows.child_of(parent, namespace, name),
        }
    }

    fn is_cut_off(&self, id: u128) -> Result<bool, Fault> {
        self.rows.is_cut_off(id)
    }
}

impl<'t> Ledger<'_, 't> {
    /// The inventory as this job has made it.
    pub(super) fn view(&self) -> View<'_, WriteRows<'t>> {
        View { rows: self.rows, draft_of: self.dry.then_some(self.job_id) }
    }

    /// A row, from the draft where that has it.
    pub(super) fn look<T: DeserializeOwned>(
        &self,
        at: At<'_>,
        stored: impl FnOnce(&WriteRows<'_>) -> Result<Option<T>, Fault>,
    ) -> Result<Option<T>, Fault> {
        match self.view().drafted(at)? {
            Some(row) => row.map(|row| decode(&row)).transpose(),
            None => stored(self.rows),
        }
    }

    /// Writes a row, or what it would be.
    pub(super) fn put<T: Serialize>(
        &mut self,
        at: At<'_>,
        row: Option<&T>,
        store: impl FnOnce(&mut WriteRows<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if !self.dry {
            return store(self.rows);
        }
        let (table, key) = at.key();
        let row = row.map(encode).transpose()?;
        self.rows.drafts.insert((self.job_id, table, key.as_slice()), row.as_deref())?;
        Ok(())
    }
}
