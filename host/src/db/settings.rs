//! Status and new-object rule of objects.

use jiff::Timestamp;

use super::{Db, DbError, ObjectRef};
use crate::model::{job::Job, object::ObjectView, settings::SettingsChange, sight::Sight};

/// Whether a change is made or only computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Make it.
    Apply,
    /// Only say what it would do.
    DryRun,
}

/// What a change of settings did, or would do.
#[derive(Clone, Debug)]
pub struct SettingsOutcome {
    /// The object afterwards.
    pub object: ObjectView,
    /// Objects, itself included, that the new status reaches.
    pub affected: u64,
    /// Descendants that keep a status a person gave them.
    pub overridden: u64,
    /// The sync that fetches the columns of what became enabled.
    pub job: Option<Job>,
}

/// Why settings were not changed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The caller sees no such object, or only as a step on the path.
    #[error("there is no such object")]
    NotFound,
    /// Somebody else was faster.
    #[error("the object was changed meanwhile: it is at revision {0}")]
    Revision(u64),
    /// The store failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Db {
    /// Changes what is set on one object. Nothing below it is rewritten: what holds is computed on read. Enabling
    /// queues a sync of the subtree, because disabled tables may lack their columns (D37).
    pub async fn change_settings(
        &self,
        _sight: &Sight,
        _object: &ObjectRef,
        _change: SettingsChange,
        _revision: Option<u64>,
        _mode: Mode,
        _now: Timestamp,
    ) -> Result<SettingsOutcome, SettingsError> {
        unimplemented!()
    }
}
