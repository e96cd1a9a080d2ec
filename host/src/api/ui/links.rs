//! Addresses of pages. Objects are addressed by id: it stays when they are renamed, and no name, however hostile, has
//! to pass through an address.

use crate::model::id::{HoldId, JobId, ObjectId};

/// An object's first tab.
pub(super) fn object(id: ObjectId) -> String {
    format!("/ui/object/{id}")
}

/// Its settings.
pub(super) fn settings(id: ObjectId) -> String {
    format!("/ui/object/{id}/settings")
}

/// What it is connected to.
pub(super) fn connection(id: ObjectId) -> String {
    format!("/ui/object/{id}/connection")
}

/// Changes when its connection is synced by itself.
pub(super) fn schedule(id: ObjectId) -> String {
    format!("/ui/object/{id}/schedule")
}

/// Its include and exclude patterns, where it is a connection.
pub(super) fn filter(id: ObjectId) -> String {
    format!("/ui/object/{id}/filter")
}

/// What happened at it.
pub(super) fn history(id: ObjectId) -> String {
    format!("/ui/object/{id}/history")
}

/// What happened at it and below it.
pub(super) fn changes(id: ObjectId) -> String {
    format!("/ui/object/{id}/changes")
}

/// What a job changed.
pub(super) fn job_changes(id: JobId) -> String {
    format!("/ui/jobs/{id}/changes")
}

/// Asks for an object sync.
pub(super) fn sync(id: ObjectId) -> String {
    format!("/ui/object/{id}/sync")
}

/// Asks whether to delete it.
pub(super) fn delete(id: ObjectId) -> String {
    format!("/ui/object/{id}/delete")
}

/// Asks whether to `release` or `reject` what is held.
pub(super) fn hold(id: HoldId, verb: &str) -> String {
    format!("/ui/holds/{id}/{verb}")
}

/// A job.
pub(super) fn job(id: JobId) -> String {
    format!("/ui/jobs/{id}")
}
