//! Objects, columns and searches as JSON.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    api::error::ApiError,
    db::{
        ObjectRef,
        objects::{Hits, Search, Sort},
    },
    model::{
        column::Column,
        id::{HoldId, ObjectId},
        name::Technology,
        object::{Kind, ObjectView, RemoteStatus},
        path::ObjectPath,
        settings::{NewChildren, Overrides},
    },
};

/// Most hits of one answer.
const MAX_SIZE: usize = 500;

/// An object.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Object")]
pub struct ObjectJson {
    /// Never changes.
    #[schemars(with = "String")]
    id: ObjectId,
    /// Names from the connection's key down.
    #[schemars(with = "Vec<String>")]
    object_path: ObjectPath,
    /// `connection`, `database`, `schema`, `table`, `view`, or anything else that a connector reports.
    object_type: String,
    /// What the connection's platform is.
    #[schemars(with = "String")]
    technology: Technology,
    /// Last name of the path.
    name: String,
    /// Effective: `inactive` also where it or an ancestor is missing or excluded.
    state: State,
    /// 1 for a connection.
    level: usize,
    /// `container`, `table-like` or `other`.
    kind: &'static str,
    /// Tells things of one name apart.
    namespace: String,
    /// The container it lies in.
    #[schemars(with = "Option<String>")]
    parent_id: Option<ObjectId>,
    /// For `If-Match`.
    revision: u64,
    /// Whether the platform has it.
    #[schemars(with = "String")]
    remote_status: RemoteStatus,
    /// Where it is excluded: what leaves it out, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    excluded_by: Option<String>,
    /// The hold that keeps it, or an object above it, from becoming missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    held_by: Option<HoldId>,
    /// What holds.
    settings: SettingsJson,
    /// What is set on the object itself.
    overrides: OverridesJson,
    /// The same as `id` where it is an enabled table-like object.
    #[schemars(with = "Option<String>")]
    data_source_id: Option<ObjectId>,
    /// Objects below it.
    child_count: u64,
    /// The platform's own id.
    remote_id: Option<String>,
    /// The platform's comment.
    comment: Option<String>,
    /// What else the platform tells.
    attributes: BTreeMap<String, String>,
    /// When it was last listed completely, or its columns were last read.
    #[schemars(with = "Option<String>")]
    last_synced_at: Option<Timestamp>,
    /// When it was first found.
    #[schemars(with = "String")]
    created_at: Timestamp,
    /// When anything of it last changed.
    #[schemars(with = "String")]
    updated_at: Timestamp,
}

/// An effective state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// Enabled, and there.
    Active,
    /// Disabled, missing or excluded.
    Inactive,
}

/// What holds for an object.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Settings")]
pub struct SettingsJson {
    is_active: Setting,
    activate_new_children: Setting,
    data_owners: Owners,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Setting {
    value: bool,
    has_descendants_with_overrides: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Owners {
    value: Vec<String>,
    has_descendants_with_overrides: bool,
}

/// What is set on an object itself; a field that is not there is not set.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Overrides")]
pub struct OverridesJson {
    /// Its own status.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_active: Option<bool>,
    /// Its own rule for new objects; null means that they begin with its effective status.
    #[serde(skip_serializing_if = "Option::is_none")]
    activate_new_children: Option<Option<bool>>,
}

/// The columns of an object.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Columns")]
pub struct ColumnsJson {
    #[schemars(with = "String")]
    id: ObjectId,
    #[schemars(with = "Vec<String>")]
    object_path: ObjectPath,
    /// In the platform's order; null where they were never read.
    columns: Option<Vec<ColumnJson>>,
    /// When they were last read.
    #[schemars(with = "Option<String>")]
    last_synced_at: Option<Timestamp>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Column")]
struct ColumnJson {
    name: String,
    /// As the platform writes it.
    data_type: String,
    nullable: Option<bool>,
    comment: Option<String>,
    /// The platform's own ordinal.
    position: Option<i64>,
}

/// What to look for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SearchBody {
    /// Part of the name, whatever its case.
    search_text: Option<String>,
    /// Only these.
    state: Option<State>,
    /// Only these; none for all.
    #[serde(default)]
    object_types: Vec<String>,
    /// `present`, `missing` or `excluded`.
    #[schemars(with = "Option<String>")]
    remote_status: Option<RemoteStatus>,
    /// Descendants instead of children.
    #[serde(default)]
    recursive: bool,
    /// Hits to leave out at the beginning.
    offset: Option<usize>,
    /// Hits to give, 1 to 500; 50 where it is left out.
    size: Option<usize>,
    /// Order of hits; the last three among children only.
    sort_field: Option<SortField>,
    /// From the beginning or from the end.
    sort_order: Option<SortOrder>,
    /// The `next` of the hits before.
    next: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum SortField {
    Name,
    ObjectPath,
    ObjectType,
    State,
    UpdatedAt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum SortOrder {
    Asc,
    Desc,
}

/// A part of what was looked for.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Hits")]
pub struct HitsJson {
    hits: Vec<ObjectJson>,
    /// How many there are in all.
    count: u64,
    /// There are more than `count`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    count_is_lower_bound: bool,
    /// To be sent as `next` for the hits after these; null at the end.
    next: Option<String>,
}

impl From<ObjectView> for ObjectJson {
    fn from(view: ObjectView) -> Self {
        let data_source_id = view.is_data_source().then_some(view.id);
        Self {
            id: view.id,
            name: view.path.name().to_string(),
            level: view.path.level(),
            state: if view.active { State::Active } else { State::Inactive },
            kind: view.facts.kind.as_str(),
            settings: SettingsJson::of(&view),
            overrides: view.overrides.into(),
            data_source_id,
            object_path: view.path,
            object_type: view.facts.object_type,
            technology: view.technology,
            namespace: view.namespace,
            parent_id: view.parent,
            revision: view.revision,
            remote_status: view.remote_status,
            excluded_by: view.exclusion.map(|exclusion| exclusion.to_string()),
            held_by: view.held,
            child_count: view.child_count,
            remote_id: view.facts.remote_id,
            comment: view.facts.comment,
            attributes: view.facts.attributes.into_iter().collect(),
            last_synced_at: view.last_synced_at,
            created_at: view.created_at,
            updated_at: view.updated_at,
        }
    }
}

impl SettingsJson {
    pub(in crate::api) fn of(view: &ObjectView) -> Self {
        let below = view.facts.kind == Kind::Container && view.descendants_have_overrides;
        let setting = |value| Setting { value, has_descendants_with_overrides: below };
        Self {
            is_active: setting(view.settings.is_active),
            activate_new_children: setting(view.settings.new_children),
            data_owners: Owners { value: Vec::new(), has_descendants_with_overrides: false },
        }
    }
}

impl From<Overrides> for OverridesJson {
    fn from(own: Overrides) -> Self {
        Self {
            is_active: own.is_active.map(|o| o.value),
            activate_new_children: own.new_children.map(|rule| match rule {
                NewChildren::Enable => Some(true),
                NewChildren::Disable => Some(false),
                NewChildren::Inherit => None,
            }),
        }
    }
}

impl ColumnsJson {
    pub(super) fn new(object: ObjectView, columns: Option<Vec<Column>>) -> Self {
        Self {
            id: object.id,
            object_path: object.path,
            columns: columns.map(|all| all.into_iter().map(ColumnJson::from).collect()),
            last_synced_at: object.last_synced_at,
        }
    }
}

impl From<Column> for ColumnJson {
    fn from(c: Column) -> Self {
        Self { name: c.name, data_type: c.data_type, nullable: c.nullable, comment: c.comment, position: c.position }
    }
}

impl From<Hits> for HitsJson {
    fn from(hits: Hits) -> Self {
        Self {
            hits: hits.hits.into_iter().map(ObjectJson::from).collect(),
            count: hits.count,
            count_is_lower_bound: hits.count_is_lower_bound,
            next: hits.next,
        }
    }
}

impl SearchBody {
    /// The search below `root`, or of the connections.
    pub(super) fn search(self, root: Option<ObjectRef>) -> Result<Search, ApiError> {
        let size = self.size.unwrap_or(50);
        if !(1..=MAX_SIZE).contains(&size) {
            return Err(ApiError::bad_request("invalid-body", format!("at size: must be 1 to {MAX_SIZE}, not {size}")));
        }
        if self.next.is_some() && self.offset.is_some() {
            return Err(ApiError::bad_request("invalid-body", "give offset or next, not both"));
        }
        let sort = match self.sort_field.unwrap_or(SortField::Name) {
            SortField::Name => Sort::Name,
            SortField::ObjectPath => Sort::ObjectPath,
            SortField::ObjectType => Sort::ObjectType,
            SortField::State => Sort::State,
            SortField::UpdatedAt => Sort::UpdatedAt,
        };
        if self.recursive && !matches!(sort, Sort::Name | Sort::ObjectPath) {
            let message = "at sortField: descendants can be sorted by name or objectPath only";
            return Err(ApiError::bad_request("invalid-body", message));
        }
        Ok(Search {
            root,
            recursive: self.recursive,
            text: self.search_text.filter(|t| !t.is_empty()),
            active: self.state.map(|s| s == State::Active),
            object_types: self.object_types,
            remote_status: self.remote_status,
            sort,
            descending: self.sort_order == Some(SortOrder::Desc),
            offset: self.offset.unwrap_or(0),
            size,
            cursor: self.next,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::input::parse;

    fn search(body: &serde_json::Value) -> Result<Search, ApiError> {
        parse::<SearchBody>(body.to_string().as_bytes())?.search(None)
    }

    #[test]
    fn a_search_is_bounded_and_strict() {
        for (body, part) in [
            (json!({"size": 0}), "1 to 500"),
            (json!({"size": 501}), "1 to 500"),
            (json!({"size": -1}), "size"),
            (json!({"sortField": "size"}), "sortField"),
            (json!({"recursive": true, "sortField": "state"}), "sortField"),
            (json!({"next": "x", "offset": 1}), "not both"),
            (json!({"tag": "x"}), "tag"),
            (json!({"state": "ACTIVE"}), "state"),
        ] {
            let error = search(&body).expect_err(part);
            assert!(error.message().contains(part), "{body}: {}", error.message());
        }
        let found = search(&json!({"searchText": "", "state": "active", "sortOrder": "desc"})).expect("search");
        assert_eq!((found.text, found.active, found.descending, found.size), (None, Some(true), true, 50));
    }

    #[test]
    fn only_what_is_set_stands_in_the_overrides() {
        let none = serde_json::to_value(OverridesJson::from(Overrides::default())).expect("json");
        assert_eq!(none, json!({}));
        let inherit = Overrides { new_children: Some(NewChildren::Inherit), ..Overrides::default() };
        let shown = serde_json::to_value(OverridesJson::from(inherit)).expect("json");
        assert_eq!(shown, json!({"activateNewChildren": null}));
    }
}
