//! Why an object is as it is: `GET /data/explain`. Every answer stands there twice, as fields for programs and as one
//! sentence for people.

use axum::{Json, extract::State};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{ApiState, caller::Caller, error::ApiError, holds::HoldJson, input::Target, objects::no_such_object};
use crate::{
    db::explain::{CommitView, Explained, Held, Listed, Mark},
    model::{
        explain::{Explanation, StatusStep},
        id::{JobId, ObjectId},
        object::RemoteStatus,
        path::ObjectPath,
        settings::{NewChildren, Origin},
        sight::Visible,
    },
};

/// Why an object is as it is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Explanation")]
pub struct ExplainJson {
    #[schemars(with = "String")]
    object_id: ObjectId,
    #[schemars(with = "Vec<String>")]
    object_path: ObjectPath,
    /// Null where the caller sees the object only as a step on the path.
    status: Option<Status>,
    new_children: Option<NewObjects>,
    remote: Option<Remote>,
    /// What keeps it from becoming missing, where it was proved to be absent and is not believed to be.
    held: Option<HeldJson>,
    /// Complete listings that what is said about absence is based on: of the container itself, or of the one it is in.
    listings: Vec<ListingJson>,
}

/// Why it is enabled or disabled.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Status {
    /// Effective.
    is_active: bool,
    /// In one sentence.
    reason: String,
    /// Which of the steps decides; null where nothing is set, which means disabled.
    decided_by: Option<usize>,
    /// From the connection down to the object.
    steps: Vec<StepJson>,
}

/// What new objects in it begin with.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct NewObjects {
    activate_new_children: bool,
    reason: String,
    /// Which of the steps of the status decides; null where nothing is set, which means disabled.
    decided_by: Option<usize>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ExplanationStep")]
struct StepJson {
    #[schemars(with = "String")]
    object_id: ObjectId,
    #[schemars(with = "Vec<String>")]
    object_path: ObjectPath,
    /// The status that is set here; null for none.
    is_active: Option<bool>,
    /// Who set it: `user` or `sync`.
    origin: Option<&'static str>,
    /// `inherits`, `cleared`, `holds`, or `yields` to a later setting of a person above.
    outcome: &'static str,
    /// The step that it yields to.
    yields_to: Option<usize>,
    /// The commit that set or cleared it.
    commit: Option<CommitJson>,
    /// The rule for new objects that is set here: `true`, `false`, `inherit` or `unset`.
    new_children: &'static str,
    /// What holds from here on.
    effective: Effective,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Effective {
    is_active: bool,
    activate_new_children: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Commit")]
struct CommitJson {
    sequence: u64,
    /// Null where its changes are kept no more.
    #[schemars(with = "Option<String>")]
    at: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    job_id: Option<JobId>,
    /// Name of the person.
    by: Option<String>,
}

/// Whether the platform has it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Remote {
    #[schemars(with = "String")]
    remote_status: RemoteStatus,
    reason: String,
    /// The object that is missing or left out: the object itself or one above it.
    #[schemars(with = "Option<Vec<String>>")]
    marked: Option<ObjectPath>,
    /// What leaves it out: a pattern of the connection, or the connector.
    excluded_by: Option<String>,
    /// The commit that marked it, where it is kept; null where a pattern leaves it out, which is computed.
    since: Option<CommitJson>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ExplanationListing")]
struct ListingJson {
    #[schemars(with = "Vec<String>")]
    container_path: ObjectPath,
    namespace: String,
    #[schemars(with = "String")]
    at: Timestamp,
    /// As whom and how it was listed, in the connector's words.
    basis: String,
    #[schemars(with = "String")]
    job_id: JobId,
}

/// What keeps an object from becoming missing.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ExplanationHeld")]
struct HeldJson {
    reason: String,
    /// The object that was proved to be absent: the object itself or one above it.
    #[schemars(with = "Option<Vec<String>>")]
    held: Option<ObjectPath>,
    /// The hold; null where the caller does not see its scope.
    hold: Option<HoldJson>,
}

/// Explains an object.
pub(super) async fn get(
    State(state): State<ApiState>,
    caller: Caller,
    Target(target): Target,
) -> Result<Json<ExplainJson>, ApiError> {
    let explained = state.db.explain(caller.sight(), &target).await?.ok_or_else(no_such_object)?;
    ExplainJson::of(explained).map(Json).ok_or_else(no_such_object)
}

impl ExplainJson {
    fn of(explained: Explained) -> Option<Self> {
        let last = explained.steps.last()?;
        let (object_id, object_path) = (last.object, last.path.clone());
        if explained.visible != Visible::Whole {
            let (status, new_children, remote, held, listings) = (None, None, None, None, Vec::new());
            return Some(Self { object_id, object_path, status, new_children, remote, held, listings });
        }
        let words = Words::of(&explained);
        let effective = explained.settings.effective();
        Some(Self {
            object_id,
            object_path,
            status: Some(Status {
                is_active: effective.is_active,
                reason: words.status,
                decided_by: explained.settings.status_by,
                steps: steps(&explained),
            }),
            new_children: Some(NewObjects {
                activate_new_children: effective.new_children,
                reason: words.new_children,
                decided_by: explained.settings.rule_by,
            }),
            remote: Some(Remote {
                remote_status: explained.mark.as_ref().map(|mark| mark.status).unwrap_or_default(),
                reason: words.remote,
                marked: explained.mark.as_ref().and_then(|m| explained.steps.get(m.step)).map(|s| s.path.clone()),
                excluded_by: explained.mark.as_ref().and_then(|m| m.exclusion.as_ref()).map(ToString::to_string),
                since: explained.mark.and_then(|mark| mark.since).map(CommitJson::from),
            }),
            held: explained.held.map(|held| HeldJson {
                reason: words.held.unwrap_or_default(),
                held: explained.steps.get(held.step).map(|step| step.path.clone()),
                hold: held.hold.map(HoldJson::from),
            }),
            listings: explained.listed.into_iter().map(ListingJson::from).collect(),
        })
    }
}

fn steps(explained: &Explained) -> Vec<StepJson> {
    let pairs = explained.steps.iter().zip(&explained.settings.steps);
    pairs
        .map(|(object, step)| StepJson {
            object_id: object.object,
            object_path: object.path.clone(),
            is_active: step.own.is_active.map(|o| o.value),
            origin: step.own.is_active.map(|o| origin(o.origin)),
            outcome: match step.status {
                StatusStep::Inherits => "inherits",
                StatusStep::Cleared => "cleared",
                StatusStep::Holds => "holds",
                StatusStep::Yields(_) => "yields",
            },
            yields_to: match step.status {
                StatusStep::Yields(to) => Some(to),
                _ => None,
            },
            commit: object.status_set.clone().map(CommitJson::from),
            new_children: match step.own.new_children {
                Some(NewChildren::Enable) => "true",
                Some(NewChildren::Disable) => "false",
                Some(NewChildren::Inherit) => "inherit",
                None => "unset",
            },
            effective: Effective {
                is_active: step.effective.is_active,
                activate_new_children: step.effective.new_children,
            },
        })
        .collect()
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::User => "user",
        Origin::Sync => "sync",
    }
}

/// The same in sentences.
pub(super) struct Words {
    /// Why it is enabled or disabled.
    pub(super) status: String,
    /// Why new objects begin as they do.
    pub(super) new_children: String,
    /// Whether the platform has it.
    pub(super) remote: String,
    /// Why it is not missing though it was proved to be absent, where that is so.
    pub(super) held: Option<String>,
}

impl Words {
    /// Puts an explanation into sentences.
    pub(super) fn of(explained: &Explained) -> Self {
        Self {
            status: status_words(explained),
            new_children: rule_words(explained),
            remote: remote_words(explained.mark.as_ref(), explained),
            held: explained.held.as_ref().map(|held| held_words(held, explained)),
        }
    }
}

fn state(on: bool) -> &'static str {
    if on { "enabled" } else { "disabled" }
}

/// "on this object", or "on K.c".
fn place(explained: &Explained, step: usize) -> String {
    match explained.steps.get(step) {
        Some(at) if step + 1 < explained.steps.len() => format!("on {}", at.path),
        _ => "on this object".to_owned(),
    }
}

/// "by Ada at 2026-…", as far as it is known.
fn whence(commit: Option<&CommitView>) -> String {
    let Some(commit) = commit else { return String::new() };
    let by = commit.by.as_ref().map(|by| format!(" by {}", by.name)).unwrap_or_default();
    let at = commit.at.map(|at| format!(" at {}", at.strftime("%Y-%m-%d %H:%M:%S UTC"))).unwrap_or_default();
    format!("{by}{at}")
}

fn status_words(explained: &Explained) -> String {
    let Explanation { steps, status_by, .. } = &explained.settings;
    let Some(step) = *status_by else {
        return "It is disabled: no status is set on it or above it.".to_owned();
    };
    let holds = explained.settings.effective().is_active;
    let who = match steps.get(step).and_then(|s| s.own.is_active).map(|o| o.origin) {
        Some(Origin::Sync) => "a sync, which found it with another status than it would have inherited",
        _ => "a person",
    };
    let set = explained.steps.get(step).and_then(|s| s.status_set.as_ref());
    let mut text = format!("It is {}: set {} by {who}{}.", state(holds), place(explained, step), whence(set));
    if let Some(StatusStep::Yields(to)) = steps.last().map(|s| s.status) {
        text.push_str(&format!(
            " The status that a sync gave it yields to what a person did later {}.",
            place(explained, to)
        ));
    }
    if holds && let Some(mark) = &explained.mark {
        let why = if mark.status == RemoteStatus::Excluded { "left out" } else { "not there" };
        text.push_str(&format!(" It counts as disabled nevertheless, because it is {why}."));
    }
    text
}

fn rule_words(explained: &Explained) -> String {
    let begin = state(explained.settings.effective().new_children);
    let Some(step) = explained.settings.rule_by else {
        return "New objects in it begin disabled: no rule is set on it or above it.".to_owned();
    };
    let at = place(explained, step);
    match explained.settings.steps.get(step).and_then(|s| s.own.new_children) {
        Some(NewChildren::Inherit) => {
            format!("New objects in it begin {begin}: the rule {at} gives them the status of the object it is set on.")
        }
        _ => format!("New objects in it begin {begin}: the rule {at} says so."),
    }
}

fn remote_words(mark: Option<&Mark>, explained: &Explained) -> String {
    let Some(mark) = mark else { return "As far as is known the platform has it.".to_owned() };
    let what = match (&mark.exclusion, mark.status) {
        (Some(exclusion), _) => exclusion.to_string(),
        (None, RemoteStatus::Missing) => {
            "a complete listing no longer had it, and a second look did not find it".to_owned()
        }
        (None, RemoteStatus::Excluded) => "it is left out of what is listed".to_owned(),
        (None, RemoteStatus::Present) => "it is there".to_owned(),
    };
    let since =
        mark.since.as_ref().and_then(|c| c.at).map(|at| format!(" since {}", at.strftime("%Y-%m-%d %H:%M:%S UTC")));
    format!("It is {} ({}){}: {what}.", mark_name(mark.status), place(explained, mark.step), since.unwrap_or_default())
}

fn held_words(held: &Held, explained: &Explained) -> String {
    let why = held.hold.as_ref().map(|hold| format!(" ({})", hold.cause)).unwrap_or_default();
    let what = place(explained, held.step);
    format!(
        "A sync proved it to be absent ({what}), which is held back{why}: it counts as present until somebody decides."
    )
}

fn mark_name(status: RemoteStatus) -> &'static str {
    match status {
        RemoteStatus::Missing => "missing",
        RemoteStatus::Excluded => "excluded",
        RemoteStatus::Present => "present",
    }
}

impl From<CommitView> for CommitJson {
    fn from(commit: CommitView) -> Self {
        Self { sequence: commit.sequence, at: commit.at, job_id: commit.job, by: commit.by.map(|by| by.name) }
    }
}

impl From<Listed> for ListingJson {
    fn from(listed: Listed) -> Self {
        let Listed { container, namespace, at, basis, job } = listed;
        Self { container_path: container, namespace, at, basis, job_id: job }
    }
}
