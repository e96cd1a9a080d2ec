//! Hand-made values for the tests of the pages.

use jiff::Timestamp;
use serde_json::json;

use super::session::Visitor;
use crate::{
    api::caller::Caller,
    model::{
        connection::{Actor, Address, Connection, ConnectionOptions},
        id::{BulkId, ConnectionId, JobId, ObjectId, PrincipalId},
        job::{Job, JobState, JobType, SyncCounts, Trigger},
        object::{Facts, Kind, ObjectView, RemoteStatus},
        path::ObjectPath,
        principal::{Permission, Principal},
        settings::{EffectiveSettings, Overrides},
        sight::Sight,
    },
};

pub(super) fn now() -> Timestamp {
    Timestamp::from_second(1_760_000_000).expect("time")
}

pub(super) fn visitor() -> Visitor {
    let principal = Principal {
        id: PrincipalId::generate(),
        name: "Ada <admin>".into(),
        email: None,
        permissions: vec![Permission::ApplicationAdmin],
        sight: Sight::All,
    };
    Visitor { caller: Caller(principal), token: "sample-token".into() }
}

/// Somebody who sees everything and may change nothing.
pub(super) fn onlooker() -> Visitor {
    let mut visitor = visitor();
    visitor.caller.0.permissions.clear();
    visitor
}

pub(super) fn connection() -> Connection {
    let actor = Actor { id: PrincipalId::generate(), name: "Ada".into(), email: None };
    Connection {
        id: ConnectionId::generate(),
        key: "My Connection".parse().expect("key"),
        technology: "Lake".parse().expect("technology"),
        config: json!({}),
        address: Address { insecure: false, hostname: "lake.example".into(), port: 443 },
        identity: None,
        host_managed: None,
        options: ConnectionOptions::default(),
        widened_at: None,
        revision: 1,
        created_by: actor.clone(),
        updated_by: actor,
        created_at: now(),
        updated_at: now(),
    }
}

pub(super) fn connection_object() -> ObjectView {
    let id = ConnectionId::generate();
    ObjectView {
        id: id.object(),
        connection: id,
        technology: "Lake".parse().expect("technology"),
        path: ObjectPath::of_connection("My Connection".parse().expect("key")),
        parent: None,
        namespace: String::new(),
        facts: facts(Kind::Container, "connection"),
        remote_status: RemoteStatus::Present,
        exclusion: None,
        held: None,
        settings: EffectiveSettings { is_active: false, new_children: false },
        overrides: Overrides::default(),
        active: false,
        child_count: 1234,
        descendants_have_overrides: false,
        columns_known: false,
        visible: crate::model::sight::Visible::Whole,
        revision: 7,
        last_synced_at: Some(now()),
        created_at: now(),
        updated_at: now(),
    }
}

pub(super) fn database(parent: &ObjectView, name: &str) -> ObjectView {
    child(parent, name, Kind::Container, "database")
}

pub(super) fn table(parent: &ObjectView, name: &str) -> ObjectView {
    child(parent, name, Kind::TableLike, "table")
}

fn child(parent: &ObjectView, name: &str, kind: Kind, object_type: &str) -> ObjectView {
    ObjectView {
        id: ObjectId::generate(),
        path: parent.path.child(name.parse().expect("name")).expect("path"),
        parent: Some(parent.id),
        facts: facts(kind, object_type),
        child_count: u64::from(kind == Kind::Container),
        ..parent.clone()
    }
}

fn facts(kind: Kind, object_type: &str) -> Facts {
    Facts { kind, object_type: object_type.into(), remote_id: None, comment: None, attributes: vec![] }
}

pub(super) fn job(object: &ObjectView) -> Job {
    Job {
        id: JobId::generate(),
        bulk: BulkId::generate(),
        job_type: JobType::ObjectSync { force_recursive: false, dry_run: false },
        trigger: Trigger::Request,
        parent: None,
        expected: None,
        found: None,
        would_hold: Vec::new(),
        connection: object.connection,
        object: object.id,
        object_path: object.path.clone(),
        state: JobState::Created,
        claim: None,
        epoch: 0,
        failures: 0,
        due_at: now(),
        counts: SyncCounts::default(),
        holds: vec![],
        connector: None,
        error: None,
        object_errors: vec![],
        created_at: now(),
        started_at: None,
        ended_at: None,
    }
}
