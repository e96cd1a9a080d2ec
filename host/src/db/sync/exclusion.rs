//! What is left out while pages are applied (D41): by the connection's patterns, which is computed, or by the connector,
//! which is a mark with a reason.

use super::{
    super::fault::Fault,
    ledger::{Container, Ledger},
    place::Held,
};
use crate::model::{diff::What, object::RemoteStatus, page::ScannedObject, path::RemotePath};

impl Ledger<'_, '_> {
    /// Whether the patterns leave out what is at a path.
    pub(super) fn leaves_out(&self, path: &RemotePath) -> bool {
        !self.filter.keeps(path.names())
    }

    /// Whether a delivered object is left out, by the patterns or by the connector (D41).
    pub(super) fn is_left_out(&self, container: &Container, scanned: &ScannedObject) -> bool {
        let name = scanned.path.0.last().map_or("", |name| name.as_str());
        scanned.excluded.is_some() || container.is_left_out() || !container.keeps(&self.filter, name)
    }

    /// Says so where what the job is for is itself left out: nothing of it will be read.
    pub(super) fn tell_left_out(&mut self) -> Result<(), Fault> {
        let object = self.target.object.clone();
        match self.filter.leaves_out(object.names()) {
            Some(why) => self.report(&object, "excluded", &format!("{why}; nothing of it is read")),
            None => Ok(()),
        }
    }

    /// Brings an object's mark up to its being delivered, left out by the connector or not.
    pub(super) fn refresh_mark(&mut self, held: &mut Held, scanned: &ScannedObject) -> Result<(), Fault> {
        let (id, mark) = (held.id, held.row.mark());
        match &scanned.excluded {
            Some(why) => {
                if self.exclusion(id)?.as_ref() != Some(why) {
                    self.put_exclusion(id, Some(why))?;
                    held.changed = true;
                }
                if mark != RemoteStatus::Excluded {
                    held.row.set_mark(RemoteStatus::Excluded);
                    self.note(id, What::Excluded);
                    self.forget_containers();
                }
            }
            None if mark != RemoteStatus::Present => {
                held.row.set_mark(RemoteStatus::Present);
                held.returned = true;
                *self.job.counts.returned.entry(scanned.facts.object_type.clone()).or_default() += 1;
                self.note(id, What::Returned);
                if mark == RemoteStatus::Excluded {
                    self.put_exclusion(id, None)?;
                    self.forget_containers();
                }
            }
            None => {}
        }
        Ok(())
    }
}
