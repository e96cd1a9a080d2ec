//! Who may call, and what is sealed: keys, sessions and secrets; and rows that only the work of jobs needs.

use redb::ReadableTable as _;

use super::{
    super::{
        fault::Fault,
        records::{PlaceRow, PrincipalRow},
    },
    Check,
};
use crate::model::{
    connection::Sealed,
    id::{ConnectionId, JobId, ObjectId, PrincipalId},
};

impl Check<'_> {
    pub(super) fn secrets(&mut self) -> Result<(), Fault> {
        for row in self.rows.secrets.iter()? {
            let (id, row) = row?;
            let connection = ConnectionId::from_u128(id.value());
            let is_there = self.rows.connections.get(id.value())?.is_some();
            self.require(is_there, "secrets", connection, "the connection is not there");
            let opens = (self.outside.opens)(connection, &Sealed(row.value().to_vec()));
            self.require(opens, "secrets", connection, "they do not open with this master key");
        }
        Ok(())
    }

    pub(super) fn people(&mut self) -> Result<(), Fault> {
        for row in self.rows.principals.iter()? {
            let (id, row) = row?;
            let key = PrincipalId::from_u128(id.value());
            let Some(row) = self.row::<PrincipalRow>("principals", key, row.value()) else { continue };
            let found = self.rows.principal_keys.get(&row.key_digest)?.map(|row| row.value());
            self.require(found == Some(id.value()), "principals", key, "nobody is found by the key");
            self.require(row.principal.id == key, "principals", key, "the row is somebody else's");
        }
        for row in self.rows.principal_keys.iter()? {
            let key = PrincipalId::from_u128(row?.1.value());
            let is_there = self.rows.principals.get(key.as_u128())?.is_some();
            self.require(is_there, "principal_keys", key, "nobody has this key");
        }
        for row in self.rows.sessions.iter()? {
            let key = PrincipalId::from_u128(row?.1.value().0);
            let is_there = self.rows.principals.get(key.as_u128())?.is_some();
            self.require(is_there, "sessions", key, "a session of nobody");
        }
        Ok(())
    }

    /// Rows that a job works with.
    pub(super) fn work(&mut self) -> Result<(), Fault> {
        for row in self.rows.seen.iter()? {
            let (key, row) = row?;
            let (job, container, namespace, page) = key.value();
            let key = (JobId::from_u128(job), ObjectId::from_u128(container), namespace, page);
            let holds = !row.value().is_empty() && row.value().len().is_multiple_of(16);
            self.require(holds, "seen", key, "the row cannot be read");
        }
        for row in self.rows.moved.iter()? {
            let (key, row) = row?;
            let (job, object) = key.value();
            self.row::<PlaceRow>("moved", (JobId::from_u128(job), ObjectId::from_u128(object)), row.value());
        }
        for row in self.rows.reclaim.iter()? {
            let id = row?.0.value();
            let is_there = self.objects.contains_key(&id);
            self.require(is_there, "reclaim", ObjectId::from_u128(id), "the object is not there");
        }
        Ok(())
    }
}
