//! Addresses of pages. Objects are addressed by id: it stays when they are renamed, and no name, however hostile, has
//! to pass through an address.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

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

/// Pins the version that serves it, where it is a connection.
pub(super) fn pin(id: ObjectId) -> String {
    format!("/ui/object/{id}/pin")
}

/// A connector. Its name has lower-case letters, digits and hyphens.
pub(super) fn connector(name: &str) -> String {
    format!("/ui/connectors/{name}")
}

/// The same, telling what was done with which version.
pub(super) fn connector_told(name: &str, done: &str, version: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("done", done);
    if !version.is_empty() {
        query.append_pair("version", version);
    }
    format!("{}?{}", connector(name), query.finish())
}

/// Asks whether to `approve`, `activate` or `remove` a version, which is any text after its numbers.
pub(super) fn version(name: &str, version: &str, verb: &str) -> String {
    format!("/ui/connectors/{name}/{}/{verb}", utf8_percent_encode(version, NON_ALPHANUMERIC))
}

/// Asks whether to go back to the version before.
pub(super) fn roll_back(name: &str) -> String {
    format!("/ui/connectors/{name}/rollback")
}
