//! A connection as JSON: everything but its secrets.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{options::OptionsJson, payload::Warning, schedule::ScheduleJson};
use crate::{
    api::{
        connectors::ConnectorRef,
        objects::{OverridesJson, SettingsJson},
    },
    connector::Connector,
    model::{
        connection::{Actor, Connection},
        id::{BulkId, ConnectionId},
        name::{ConnectionKey, Technology},
        object::ObjectView,
        path::ObjectPath,
    },
};

/// A connection.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Connection")]
pub struct ConnectionJson {
    #[schemars(with = "String")]
    id: ConnectionId,
    #[schemars(with = "String")]
    connection_key: ConnectionKey,
    #[schemars(with = "Vec<String>")]
    object_path: ObjectPath,
    #[schemars(with = "String")]
    technology: Technology,
    /// What was registered, without secrets.
    connection: Value,
    /// What tells the account from others.
    identity: Option<String>,
    options: OptionsJson,
    /// When it is synced by itself, and when next.
    schedule: ScheduleJson,
    settings: SettingsJson,
    overrides: OverridesJson,
    /// Always false.
    impersonation: bool,
    /// Always false.
    project_workspaces: bool,
    /// The one that serves it; null while none for its technology is installed.
    connector: Option<ConnectorRef>,
    /// For `If-Match`.
    revision: u64,
    created_by: ActorJson,
    updated_by: ActorJson,
    #[schemars(with = "String")]
    created_at: Timestamp,
    #[schemars(with = "String")]
    updated_at: Timestamp,
    /// When the connection's own children were last listed completely.
    #[schemars(with = "Option<String>")]
    last_synced_at: Option<Timestamp>,
    /// After a change that may let in more objects than before: the sync that looks for them, for `GET /jobs?bulkId=`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    bulk_id: Option<BulkId>,
    /// After a change: what does not work, or was ignored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warning>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Actor")]
struct ActorJson {
    id: String,
    name: String,
    email: Option<String>,
}

impl ConnectionJson {
    pub(super) fn new(
        connection: Connection,
        object: &ObjectView,
        connector: Option<&Connector>,
        bulk_id: Option<BulkId>,
        warnings: Vec<Warning>,
        now: Timestamp,
    ) -> Self {
        let mut config = connection.config;
        if let Value::Object(map) = &mut config {
            map.insert("technology".into(), connection.technology.as_str().into());
        }
        Self {
            id: connection.id,
            object_path: ObjectPath::of_connection(connection.key.clone()),
            connection_key: connection.key,
            technology: connection.technology,
            connection: config,
            identity: connection.identity,
            options: OptionsJson::from(&connection.options),
            schedule: ScheduleJson::new(&connection.options.schedule, connection.id, now),
            settings: SettingsJson::of(object),
            overrides: object.overrides.into(),
            impersonation: false,
            project_workspaces: false,
            connector: connector.map(ConnectorRef::from),
            revision: connection.revision,
            created_by: connection.created_by.into(),
            updated_by: connection.updated_by.into(),
            created_at: connection.created_at,
            updated_at: connection.updated_at,
            last_synced_at: object.last_synced_at,
            bulk_id,
            warnings,
        }
    }
}

impl From<Actor> for ActorJson {
    fn from(actor: Actor) -> Self {
        Self { id: actor.id.to_string(), name: actor.name, email: actor.email }
    }
}
