//! Changes as JSON.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    api::objects::OverridesJson,
    db::feed::Feed,
    model::{
        change::{Applied, BeforeAfter, ChangeKind, Entry, Values},
        column::{Column, ColumnChanges},
        connection::Actor,
        diff::{FactChange, What},
        id::{JobId, ObjectId, PrincipalId},
        name::Ident,
        path::{ObjectPath, RemotePath},
    },
};

/// A part of a feed, in the order of commits.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Changes")]
pub struct ChangesJson {
    changes: Vec<ChangeJson>,
    /// To be sent as `cursor` for the changes after these, now or later: it never skips and never repeats.
    next: String,
    /// Whether there may be more by now.
    more: bool,
    /// Changes up to this time are kept no more; null where all are.
    #[schemars(with = "Option<String>")]
    pruned_until: Option<Timestamp>,
}

/// What happened at one object, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "History")]
pub struct HistoryJson {
    changes: Vec<ChangeJson>,
    /// To be sent as `cursor` for older ones; null at the end.
    next: Option<String>,
    /// Changes up to this time are kept no more; null where all are.
    #[schemars(with = "Option<String>")]
    pruned_until: Option<Timestamp>,
}

/// Something that happened to one object.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Change")]
struct ChangeJson {
    /// The commit that made it; changes of one commit happened together. 0 of what is held; of a dry run a place in its list.
    sequence: u64,
    #[schemars(with = "String")]
    at: Timestamp,
    /// `added`, `changed`, `columns`, `missing`, `returned`, `moved`, `recreated`, `excluded`, `settings`, `deleted` or
    /// `configured`.
    kind: &'static str,
    /// `yes`: the inventory has it; `no`: a dry run found that a sync would make it; `held`: it was proved and not believed,
    /// somebody decides.
    applied: &'static str,
    /// Of a dry run: a sync would find it and hold it back.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    would_hold: bool,
    #[schemars(with = "String")]
    object_id: ObjectId,
    /// Where it was right after the change; null where nobody knows any more.
    #[schemars(with = "Option<Vec<String>>")]
    object_path: Option<ObjectPath>,
    object_type: Option<String>,
    namespace: String,
    /// Whether the object is in the inventory: still, or, of a dry run, already.
    exists: bool,
    /// The job that found it.
    #[schemars(with = "Option<String>")]
    job_id: Option<JobId>,
    /// The person who made it.
    by: Option<By>,
    /// Of `moved`: the path before; null where the caller does not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<String>>")]
    from: Option<Vec<Ident>>,
    /// Of `moved`: the path after.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<String>>")]
    to: Option<Vec<Ident>>,
    /// Of `changed` and `recreated`: what differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    facts: Option<Vec<FactJson>>,
    /// Of `columns`.
    #[serde(skip_serializing_if = "Option::is_none")]
    columns: Option<ColumnsChanged>,
    /// Of `settings`: what was and is set on the object itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<SettingsChanged>,
    /// Of `deleted`: objects that lay below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    child_count: Option<u64>,
    /// Of `configured`: names of what differs; secrets are not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<String>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct By {
    #[schemars(with = "String")]
    id: PrincipalId,
    name: String,
    email: Option<String>,
}

/// A fact that differs. Long values are cut.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "FactChanged")]
struct FactJson {
    /// `kind`, `objectType`, `remoteId`, `comment`, `attributeOrder`, or `attributes.` and a name.
    field: String,
    before: Option<String>,
    after: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ColumnsChanged {
    /// They were read for the first time: nothing is new about them.
    first: bool,
    added: Vec<ColumnWas>,
    changed: Vec<Pair>,
    deleted: Vec<ColumnWas>,
    /// Of which only the comment differs.
    commented: Vec<Pair>,
    /// Whether those that stayed stand in another order.
    reordered: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ColumnChanged")]
struct Pair {
    before: ColumnWas,
    after: ColumnWas,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ColumnWas {
    name: String,
    data_type: Option<String>,
    nullable: Option<bool>,
    comment: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OverridesChanged")]
struct SettingsChanged {
    before: OverridesJson,
    after: OverridesJson,
}

impl From<Feed> for ChangesJson {
    fn from(feed: Feed) -> Self {
        let changes = feed.entries.into_iter().map(ChangeJson::from).collect();
        Self { changes, next: feed.next, more: feed.more, pruned_until: feed.pruned_until }
    }
}

impl From<Feed> for HistoryJson {
    fn from(feed: Feed) -> Self {
        let changes = feed.entries.into_iter().map(ChangeJson::from).collect();
        Self { changes, next: feed.more.then_some(feed.next), pruned_until: feed.pruned_until }
    }
}

impl From<Entry> for ChangeJson {
    fn from(entry: Entry) -> Self {
        let key = entry.path.as_ref().map(|path| path.connection().clone());
        let mut json = Self {
            sequence: entry.sequence,
            at: entry.at,
            kind: ChangeKind::of(&entry.what).as_str(),
            applied: entry.applied.as_str(),
            would_hold: entry.applied == Applied::WouldHold,
            object_id: entry.object,
            object_path: entry.path,
            object_type: entry.object_type,
            namespace: entry.namespace,
            exists: entry.exists,
            job_id: entry.job,
            by: entry.by.map(By::from),
            from: None,
            to: None,
            facts: None,
            columns: None,
            settings: None,
            child_count: None,
            fields: None,
        };
        json.tell(entry.what, entry.values, key);
        json
    }
}

impl ChangeJson {
    fn tell(&mut self, what: What, values: Option<Values>, key: Option<Ident>) {
        let whole = |path: RemotePath| {
            let names: Vec<Ident> = key.clone().into_iter().chain(path.0).collect();
            (names.len() > 1).then_some(names)
        };
        let facts = |values: Option<Values>| match values {
            Some(Values::Facts(values)) => values,
            _ => Vec::new(),
        };
        match what {
            What::Moved { from, to } => (self.from, self.to) = (whole(from), whole(to)),
            What::Changed(changes) => {
                let mut values = facts(values).into_iter();
                let told = changes.iter().map(|change| FactJson::of(field(change), values.next().unwrap_or_default()));
                self.facts = Some(told.collect());
            }
            What::Recreated => {
                let told = facts(values).into_iter().map(|values| FactJson::of("remoteId".into(), values));
                self.facts = Some(told.collect());
            }
            What::Columns { first, changes } => self.columns = Some(ColumnsChanged::of(first, changes, values)),
            What::Settings { before, after } => {
                self.settings = Some(SettingsChanged { before: before.into(), after: after.into() });
            }
            What::Deleted { objects } => self.child_count = Some(objects),
            What::Configured(fields) => self.fields = Some(fields),
            What::Added | What::Missing | What::Returned | What::Excluded => {}
        }
    }
}

/// A fact's name in the API.
pub(in crate::api) fn field(change: &FactChange) -> String {
    match change {
        FactChange::Kind => "kind".into(),
        FactChange::ObjectType => "objectType".into(),
        FactChange::RemoteId => "remoteId".into(),
        FactChange::Comment => "comment".into(),
        FactChange::Attribute(name) => format!("attributes.{name}"),
        FactChange::AttributeOrder => "attributeOrder".into(),
    }
}

impl FactJson {
    fn of(field: String, values: BeforeAfter) -> Self {
        Self { field, before: values.before, after: values.after }
    }
}

impl ColumnsChanged {
    fn of(first: bool, changes: ColumnChanges, values: Option<Values>) -> Self {
        if let Some(Values::Columns(values)) = values {
            let columns = |list: Vec<Column>| list.into_iter().map(ColumnWas::from).collect();
            let pairs = |list: Vec<(Column, Column)>| {
                list.into_iter().map(|(was, is)| Pair { before: was.into(), after: is.into() }).collect()
            };
            return Self {
                first,
                added: columns(values.added),
                changed: pairs(values.changed),
                deleted: columns(values.deleted),
                commented: pairs(values.commented),
                reordered: values.reordered,
            };
        }
        let named = |name: String| ColumnWas { name, ..ColumnWas::default() };
        let changed = |name: String| Pair { before: named(name.clone()), after: named(name) };
        Self {
            first,
            added: changes.added.into_iter().map(named).collect(),
            changed: changes.changed.into_iter().map(changed).collect(),
            deleted: changes.deleted.into_iter().map(named).collect(),
            commented: Vec::new(),
            reordered: false,
        }
    }
}

impl From<Column> for ColumnWas {
    fn from(column: Column) -> Self {
        let Column { name, data_type, nullable, comment, .. } = column;
        Self { name, data_type: Some(data_type), nullable, comment }
    }
}

impl From<Actor> for By {
    fn from(actor: Actor) -> Self {
        Self { id: actor.id, name: actor.name, email: actor.email }
    }
}
