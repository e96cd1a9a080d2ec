//! The inventory as a sync sees and changes it: the only way from a ledger to its tables.
//!
//! A dry run decides exactly as a real one, so it has to see what it would have written: each row is read from its draft
//! where that has it, and written there (`draft.rs`).

use std::collections::BTreeMap;

use redb::ReadableTable as _;

use super::{
    super::{
        changes::{self, Commit},
        counters::{self, Counters, Tally},
        dry::{self, DryChangesRow},
        fault::Fault,
        records::{ListedRow, ObjectRow, decode, encode, micros},
        settings::store_overrides,
        tree::{self, DISPLACED, Tree},
    },
    draft::At,
    ledger::Ledger,
};
use crate::model::{column::Column, settings::Overrides};

impl Tree for Ledger<'_, '_> {
    fn object_as<T>(&self, id: u128, read: impl FnOnce(&[u8]) -> Result<T, Fault>) -> Result<Option<T>, Fault> {
        self.view().object_as(id, read)
    }

    fn overrides_of(&self, id: u128) -> Result<Overrides, Fault> {
        self.view().overrides_of(id)
    }

    fn child_of(&self, parent: u128, namespace: &str, name: &str) -> Result<Option<u128>, Fault> {
        self.view().child_of(parent, namespace, name)
    }

    fn is_cut_off(&self, id: u128) -> Result<bool, Fault> {
        self.rows.is_cut_off(id)
    }
}

impl Tally for Ledger<'_, '_> {
    fn counters_of(&self, id: u128) -> Result<Counters, Fault> {
        Counters::from_row(self.look(At::Counters(id), |rows| Ok(rows.counters.get(id)?.map(|row| row.value())))?)
    }

    /// A draft may be older than what a person has set since, and what it counts at most a little wrong; the real numbers
    /// never are.
    fn put_counters(&mut self, id: u128, numbers: Counters) -> Result<(), Fault> {
        let row = if self.dry { numbers.clamped().row()? } else { None };
        self.put(At::Counters(id), row.as_ref(), |rows| rows.put_counters(id, numbers))
    }
}

impl Ledger<'_, '_> {
    /// Writes an object's row.
    pub(super) fn put_object(&mut self, id: u128, row: &ObjectRow) -> Result<(), Fault> {
        self.put(At::Object(id), Some(row), |rows| {
            rows.objects.insert(id, encode(row)?.as_slice())?;
            Ok(())
        })
    }

    /// Puts an object where its row says that it is.
    pub(super) fn link(&mut self, id: u128, row: &ObjectRow) -> Result<(), Fault> {
        let parent = row.parent.ok_or(Fault::Broken("a connection has no place"))?;
        let (namespace, name) = (row.namespace.as_str(), row.name.as_str());
        self.put(At::Child(parent, namespace, name), Some(&id), |rows| {
            rows.children.insert((parent, namespace, name), id)?;
            Ok(())
        })
    }

    /// Takes an object away from where its row says that it is.
    pub(super) fn unlink(&mut self, row: &ObjectRow) -> Result<(), Fault> {
        let parent = row.parent.ok_or(Fault::Broken("a connection has no place"))?;
        let (namespace, name) = (row.namespace.as_str(), row.name.as_str());
        self.put(At::Child(parent, namespace, name), None::<&u128>, |rows| {
            rows.children.remove((parent, namespace, name))?;
            Ok(())
        })
    }

    /// Ids of the children of a container in one namespace.
    pub(super) fn children_in(&self, parent: u128, namespace: &str) -> Result<Vec<u128>, Fault> {
        self.view().redrawn(parent, tree::children_in(self.rows, parent, namespace)?, |row| row.namespace == namespace)
    }

    /// Ids of the children of a container that another object has displaced.
    pub(super) fn displaced_in(&self, parent: u128) -> Result<Vec<u128>, Fault> {
        self.view().redrawn(parent, tree::displaced_in(self.rows, parent)?, |row| row.namespace.starts_with(DISPLACED))
    }

    /// Ids of all children of a container.
    pub(super) fn children(&self, parent: u128) -> Result<Vec<u128>, Fault> {
        let stored = tree::children_of(self.rows, parent)?.into_iter().map(|(_, id)| id).collect();
        self.view().redrawn(parent, stored, |_| true)
    }

    /// Why the connector leaves an object out.
    pub(super) fn exclusion(&self, id: u128) -> Result<Option<String>, Fault> {
        self.look(At::Exclusion(id), |rows| Ok(rows.exclusions.get(id)?.map(|row| row.value().to_owned())))
    }

    /// Writes why the connector leaves an object out; none where it does not.
    pub(super) fn put_exclusion(&mut self, id: u128, why: Option<&str>) -> Result<(), Fault> {
        self.put(At::Exclusion(id), why.as_ref(), |rows| {
            match why {
                Some(why) => drop(rows.exclusions.insert(id, why)?),
                None => drop(rows.exclusions.remove(id)?),
            }
            Ok(())
        })
    }

    /// The columns that are stored of an object.
    pub(super) fn columns(&self, id: u128) -> Result<Option<Vec<Column>>, Fault> {
        self.look(At::Columns(id), |rows| rows.columns.get(id)?.map(|row| decode(row.value())).transpose())
    }

    /// Writes an object's columns; none takes them away.
    pub(super) fn put_columns(&mut self, id: u128, columns: Option<&Vec<Column>>) -> Result<(), Fault> {
        self.put(At::Columns(id), columns, |rows| {
            match columns {
                Some(columns) => drop(rows.columns.insert(id, encode(columns)?.as_slice())?),
                None => drop(rows.columns.remove(id)?),
            }
            Ok(())
        })
    }

    /// When columns without a fingerprint were read, in microseconds.
    pub(super) fn read_at(&self, id: u128) -> Result<Option<i64>, Fault> {
        self.look(At::ColumnsRead(id), |rows| Ok(rows.columns_read.get(id)?.map(|row| row.value())))
    }

    /// Writes when columns were read; none takes the note away.
    pub(super) fn put_read_at(&mut self, id: u128, at: Option<i64>) -> Result<(), Fault> {
        self.put(At::ColumnsRead(id), at.as_ref(), |rows| {
            match at {
                Some(at) => drop(rows.columns_read.insert(id, at)?),
                None => drop(rows.columns_read.remove(id)?),
            }
            Ok(())
        })
    }

    /// Writes what is set on an object.
    pub(super) fn put_overrides(&mut self, id: u128, own: &Overrides) -> Result<(), Fault> {
        self.put(At::Overrides(id), Some(own), |rows| store_overrides(rows, id, own))
    }

    /// The object that is known by a remote id.
    pub(super) fn known_as(&self, remote_id: &str) -> Result<Option<u128>, Fault> {
        let key = (self.job.connection, remote_id);
        self.look(At::RemoteId(remote_id), |rows| Ok(rows.remote_ids.get(key)?.map(|row| row.value())))
    }

    /// Writes who is known by a remote id; none where nobody is.
    pub(super) fn put_known_as(&mut self, remote_id: &str, id: Option<u128>) -> Result<(), Fault> {
        let key = (self.job.connection, remote_id);
        self.put(At::RemoteId(remote_id), id.as_ref(), |rows| {
            match id {
                Some(id) => drop(rows.remote_ids.insert(key, id)?),
                None => drop(rows.remote_ids.remove(key)?),
            }
            Ok(())
        })
    }

    /// When and as whom a container was last listed completely.
    pub(super) fn listed_row(&self, container: u128, namespace: &str) -> Result<Option<ListedRow>, Fault> {
        self.look(At::Listed(container, namespace), |rows| {
            rows.listed.get((container, namespace))?.map(|row| decode(row.value())).transpose()
        })
    }

    /// The same of every namespace of it.
    pub(super) fn listings(&self, container: u128) -> Result<BTreeMap<String, ListedRow>, Fault> {
        let mut listings = BTreeMap::new();
        for row in self.rows.listed.range((container, "")..(container + 1, ""))? {
            let (key, row) = row?;
            listings.insert(key.value().1.to_owned(), decode(row.value())?);
        }
        for (namespace, row) in self.view().drafted_below(At::Listed(container, ""), container)? {
            let namespace = String::from_utf8(namespace).map_err(|_| Fault::Broken("a namespace is no text"))?;
            match row {
                Some(row) => drop(listings.insert(namespace, decode(&row)?)),
                None => drop(listings.remove(&namespace)),
            }
        }
        Ok(listings)
    }

    /// Writes when a container was listed; none where it counts as never listed.
    pub(super) fn put_listed(
        &mut self,
        container: u128,
        namespace: &str,
        row: Option<&ListedRow>,
    ) -> Result<(), Fault> {
        self.put(At::Listed(container, namespace), row, |rows| {
            match row {
                Some(row) => drop(rows.listed.insert((container, namespace), encode(row)?.as_slice())?),
                None => drop(rows.listed.remove((container, namespace))?),
            }
            Ok(())
        })
    }

    /// Adds what was noted to the counters. Must be done before these are read, and before anything moves.
    pub(super) fn flush(&mut self) -> Result<(), Fault> {
        std::mem::take(&mut self.pending).flush(self)
    }

    /// Adds a difference to a container and its ancestors.
    pub(super) fn count(&mut self, container: u128, difference: Counters) -> Result<(), Fault> {
        counters::add(self, container, difference)
    }

    /// Writes the changes of this step: into the history, or into the list of the dry run.
    pub(super) fn write_changes(&mut self) -> Result<(), Fault> {
        let noted = std::mem::take(&mut self.changes);
        let (connection, sequence, now) = (self.job.connection, self.sequence, self.step.now);
        if self.dry {
            let mut believed = noted;
            let held = believed.split_off(believed.len().saturating_sub(self.withheld));
            for (noted, held) in [(believed, false), (held, true)] {
                let (changes, details) = changes::describe(self, None, noted)?;
                let row = DryChangesRow { at: micros(now), changes, details, held };
                dry::append(self.rows, self.job_id, row)?;
            }
            return Ok(());
        }
        if !noted.is_empty() {
            changes::append(self.rows, Commit { connection, sequence, job: Some(self.job_id), by: None, now }, noted)?;
        }
        if self.dirty {
            self.rows.meta.insert("commit", u128::from(sequence))?;
        }
        Ok(())
    }
}
