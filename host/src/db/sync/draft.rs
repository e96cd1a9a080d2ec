//! The draft of a dry run: the rows that its sync would have written, beside the tables and looked at before them.
//!
//! It holds only what differs, and is written with the page that brings it: a restart loses nothing, and memory holds none
//! of it. It is given back when the job has ended.

use redb::ReadableTable as _;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    super::{
        fault::Fault,
        records::{decode, encode},
        tables::WriteRows,
    },
    ledger::Ledger,
};

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

impl Ledger<'_, '_> {
    /// What the draft has of a row: nothing, that it is gone, or what it is.
    pub(super) fn drafted(&self, at: At<'_>) -> Result<Option<Drafted>, Fault> {
        if !self.dry {
            return Ok(None);
        }
        let (table, key) = at.key();
        let row = self.rows.drafts.get((self.job_id, table, key.as_slice()))?;
        Ok(row.map(|row| row.value().map(<[u8]>::to_vec)))
    }

    /// What the draft has of all rows that lie with this one, by what follows the parent in their keys.
    pub(super) fn drafted_below(&self, first: At<'_>, parent: u128) -> Result<Vec<(Vec<u8>, Drafted)>, Fault> {
        if !self.dry {
            return Ok(Vec::new());
        }
        let (table, _) = first.key();
        let (from, to) = (parent.to_be_bytes(), (parent + 1).to_be_bytes());
        let range = (self.job_id, table, from.as_slice())..(self.job_id, table, to.as_slice());
        let mut found = Vec::new();
        for row in self.rows.drafts.range(range)? {
            let (key, row) = row?;
            found.push((key.value().2[from.len()..].to_vec(), row.value().map(<[u8]>::to_vec)));
        }
        Ok(found)
    }

    /// A row, from the draft where that has it.
    pub(super) fn look<T: DeserializeOwned>(
        &self,
        at: At<'_>,
        stored: impl FnOnce(&WriteRows<'_>) -> Result<Option<T>, Fault>,
    ) -> Result<Option<T>, Fault> {
        match self.drafted(at)? {
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
