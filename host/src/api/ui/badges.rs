//! States as small marks: always a word, never colour alone.

use maud::{Markup, html};

use super::text;
use crate::model::{
    job::{Job, JobState},
    object::{ObjectView, RemoteStatus},
};

/// Enabled or disabled, and whether the platform still has it.
pub(super) fn state(object: &ObjectView) -> Markup {
    html! {
        @if object.active { span.badge.good { "Enabled" } }
        @else { span.badge { "Disabled" } }
        (remote(object))
        @if object.held.is_some() { " " (held()) }
    }
}

/// Whether the platform still has it; nothing where it does.
pub(super) fn remote(object: &ObjectView) -> Markup {
    html! {
        @match object.remote_status {
            RemoteStatus::Present => {},
            RemoteStatus::Missing => {
                " " span.badge.bad title="A complete listing no longer has it. It stays until somebody deletes it." { "Missing" }
            },
            RemoteStatus::Excluded => {
                @let why = object.exclusion.as_ref().map_or("left out".to_owned(), ToString::to_string);
                " " span.badge.out title=(text::plain(&why)) { "Excluded" }
            },
        }
    }
}

/// Proved to be absent, and not believed.
pub(super) fn held() -> Markup {
    html! {
        span.badge.warn title="A sync did not find it. It counts as present until somebody decides about the hold." { "Held" }
    }
}

/// Where a job stands.
pub(super) fn job(job: &Job) -> Markup {
    let (class, word) = match job.state {
        JobState::Created => ("", "Waiting"),
        JobState::Active => ("live", "Running"),
        JobState::Retry => ("warn", "Trying again"),
        JobState::Completed if !job.holds.is_empty() => ("warn", "Completed, held"),
        JobState::Completed if job.counts.errors > 0 => ("warn", "Completed with errors"),
        JobState::Completed => ("good", "Completed"),
        JobState::Failed => ("bad", "Failed"),
        JobState::Cancelled => ("", "Cancelled"),
        JobState::Expired => ("bad", "Expired"),
    };
    html! { span.badge.(class) { (word) } }
}
