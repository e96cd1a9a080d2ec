//! Status and new-object rule of an object: `PUT /data/settings`.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{
    ApiState,
    caller::Caller,
    error::ApiError,
    input::{Body, IfMatch, Query, Target},
    objects::{OverridesJson, SettingsJson, seen, untouched},
};
use crate::{
    db::{
        ObjectRef,
        settings::{Mode, SettingsError},
    },
    model::{
        id::BulkId,
        path::ObjectPath,
        settings::{NewChildren, SettingsChange},
    },
};

/// What to change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsBody {
    settings: SettingsInput,
}

/// Settings as people give them; what is left out stays as it is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SettingsInput {
    /// Its own status; null removes it, so that the parent's holds.
    #[serde(default, deserialize_with = "given")]
    is_active: Option<Option<bool>>,
    /// What new objects begin with: true, false, null for the container's effective status, `"unset"` to remove it.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<Value>")]
    activate_new_children: Option<Rule>,
    /// Not supported yet; an empty list changes nothing.
    #[serde(default)]
    data_owners: Vec<Value>,
    /// Cannot be switched on.
    #[serde(default)]
    impersonation: Option<bool>,
    /// Cannot be switched on.
    #[serde(default)]
    project_workspaces: Option<bool>,
}

/// A field that was given, if only as null.
pub(super) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The rule for new objects as people give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule(Option<NewChildren>);

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Bool(true) => Ok(Self(Some(NewChildren::Enable))),
            Value::Bool(false) => Ok(Self(Some(NewChildren::Disable))),
            Value::Null => Ok(Self(Some(NewChildren::Inherit))),
            Value::String(text) if text == "unset" => Ok(Self(None)),
            _ => Err(serde::de::Error::custom("expected true, false, null or \"unset\"")),
        }
    }
}

impl SettingsInput {
    /// The change, if all of it can be made.
    pub(super) fn change(&self) -> Result<SettingsChange, ApiError> {
        if !self.data_owners.is_empty() {
            return Err(ApiError::bad_request("not-supported", "at settings.dataOwners: owners cannot be set yet"));
        }
        never("settings.impersonation", self.impersonation)?;
        never("settings.projectWorkspaces", self.project_workspaces)?;
        Ok(SettingsChange { is_active: self.is_active, new_children: self.activate_new_children.map(|rule| rule.0) })
    }
}

/// D7: shown as false, and refused as true.
pub(super) fn never(field: &str, value: Option<bool>) -> Result<(), ApiError> {
    match value {
        Some(true) => Err(ApiError::bad_request(
            "not-supported",
            format!("at {field}: connections do not support this, it is always false"),
        )),
        _ => Ok(()),
    }
}

/// Options in the URL.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SettingsQuery {
    #[serde(default)]
    dry_run: bool,
}

/// What a change did, or would do.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettingsChanged {
    #[schemars(with = "Vec<String>")]
    object_path: ObjectPath,
    /// For `GET /jobs?bulkId=`: the change, and the sync that it needs, if it needs one; null for a dry run.
    #[schemars(with = "Option<String>")]
    bulk_id: Option<BulkId>,
    /// What holds now.
    settings: SettingsJson,
    /// What is set on the object now.
    overrides: OverridesJson,
    /// Objects that the change of status reaches, this one included.
    affected: u64,
    /// Descendants that keep a status of their own.
    overridden: u64,
    /// The object's revision now.
    revision: u64,
}

/// Changes what is set on an object.
pub(super) async fn put(
    State(state): State<ApiState>,
    caller: Caller,
    Target(target): Target,
    IfMatch(revision): IfMatch,
    Query(query): Query<SettingsQuery>,
    Body(body): Body<SettingsBody>,
) -> Result<Json<SettingsChanged>, ApiError> {
    let change = body.settings.change()?;
    let object = seen(&state, &caller, &target).await?;
    let mode = if query.dry_run { Mode::DryRun } else { Mode::Apply };
    let done = state
        .db
        .by(caller.actor())
        .change_settings(caller.sight(), &ObjectRef::Id(object.id), change, revision, mode, state.clock.now())
        .await
        .map_err(|error| match error {
            SettingsError::NotFound => untouched(&caller),
            SettingsError::Revision(current) => ApiError::revision(current),
            SettingsError::Db(error) => error.into(),
        })?;
    Ok(Json(SettingsChanged {
        bulk_id: done.bulk,
        settings: SettingsJson::of(&done.object),
        overrides: done.object.overrides.into(),
        affected: done.affected,
        overridden: done.overridden,
        revision: done.object.revision,
        object_path: done.object.path,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::input::parse;

    fn change(settings: Value) -> Result<SettingsChange, ApiError> {
        parse::<SettingsBody>(json!({ "settings": settings }).to_string().as_bytes())?.settings.change()
    }

    #[test]
    fn absent_null_and_unset_are_three_things() {
        let none = SettingsChange::default();
        for (settings, want) in [
            (json!({}), none),
            (json!({"isActive": true}), SettingsChange { is_active: Some(Some(true)), ..none }),
            (json!({"isActive": null}), SettingsChange { is_active: Some(None), ..none }),
            (
                json!({"activateNewChildren": null}),
                SettingsChange { new_children: Some(Some(NewChildren::Inherit)), ..none },
            ),
            (json!({"activateNewChildren": "unset"}), SettingsChange { new_children: Some(None), ..none }),
            (
                json!({"activateNewChildren": false, "dataOwners": []}),
                SettingsChange { new_children: Some(Some(NewChildren::Disable)), ..none },
            ),
        ] {
            assert_eq!(change(settings.clone()).expect("a change"), want, "{settings}");
        }
    }

    #[test]
    fn what_cannot_be_set_is_named() {
        for (settings, part) in [
            (json!({"isActive": "yes"}), "settings.isActive"),
            (json!({"activateNewChildren": "inherit"}), "unset"),
            (json!({"dataOwners": [{"type": "user", "name": "a"}]}), "dataOwners"),
            (json!({"impersonation": true}), "impersonation"),
            (json!({"projectWorkspaces": true}), "projectWorkspaces"),
            (json!({"active": true}), "active"),
        ] {
            let error = change(settings.clone()).expect_err(part);
            assert!(error.status() == 400 && error.message().contains(part), "{settings}: {}", error.message());
        }
    }
}
