//! Scenarios of the store, against real files, driven by a small platform that answers as a connector would.

mod absence;
mod connectors;
mod crash;
mod dry;
mod fill;
mod filter;
mod groups;
mod history;
mod hold;
mod identity;
mod jobs;
mod measure;
mod names;
mod platform;
mod polling;
mod reading;
mod retention;
mod schedules;
mod sequences;
mod settings;
mod shadow;
mod soundness;
mod turns;
mod volume;

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    Db, ObjectRef,
    connections::{ConnectionUpdate, NewConnection},
    objects::{Hits, Search},
};
use crate::model::{
    column::Column,
    connection::{Actor, Address, Connection, ConnectionOptions, Sealed},
    id::{ConnectionId, PrincipalId},
    job::Job,
    object::ObjectView,
    path::ObjectPath,
    settings::{NewChildren, SettingsChange},
    sight::Sight,
};
use platform::Platform;

/// The moment at which every scenario begins.
fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("time")
}

fn later(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

fn actor() -> Actor {
    Actor { id: PrincipalId::generate(), name: "admin".into(), email: None }
}

fn path(text: &str) -> ObjectPath {
    ObjectPath::from_segments(text.split('/')).expect("path")
}

fn at(text: &str) -> ObjectRef {
    ObjectRef::Path(path(text), String::new())
}

fn new_connection(key: &str) -> NewConnection {
    NewConnection {
        id: ConnectionId::generate(),
        key: key.parse().expect("key"),
        technology: "Harbour".parse().expect("technology"),
        config: json!({"hostname": key}),
        secrets: Sealed(vec![1, 2, 3]),
        address: Address { insecure: false, hostname: format!("{}.example", key.to_lowercase()), port: 443 },
        identity: Some(format!("account of {key}")),
        host_managed: Some("managed".into()),
        options: ConnectionOptions::default(),
        settings: SettingsChange::default(),
        by: actor(),
        admitted_by: None,
    }
}

fn update_of(connection: &Connection) -> ConnectionUpdate {
    ConnectionUpdate {
        config: connection.config.clone(),
        secrets: Some(Sealed(vec![9])),
        secrets_were: None,
        address: connection.address.clone(),
        identity: connection.identity.clone(),
        host_managed: connection.host_managed.clone(),
        options: connection.options.clone(),
        by: actor(),
        admitted_by: None,
    }
}

/// Enable everything, also what is found later.
fn enabled() -> SettingsChange {
    SettingsChange { is_active: Some(Some(true)), new_children: Some(Some(NewChildren::Inherit)) }
}

/// A store in a file of its own, with one connection, and a platform behind it.
struct World {
    db: Db,
    file: TempFile,
    connection: Connection,
    platform: Platform,
    now: i64,
}

impl World {
    /// With a connection named `K`, whose first sync waits.
    async fn new(name: &str, settings: SettingsChange) -> Self {
        let path = std::env::temp_dir().join(format!("wharfinger-{name}-{}.redb", uuid::Uuid::now_v7()));
        let file = TempFile(path);
        let db = Db::open(&file.0).expect("open");
        let new = NewConnection { settings, ..new_connection("K") };
        let (connection, _) = db.create_connection(new, start()).await.expect("create");
        Self { db, file, connection, platform: Platform::default(), now: 0 }
    }

    fn now(&mut self) -> Timestamp {
        self.now += 1;
        later(self.now)
    }

    /// Runs the jobs that wait, to their end.
    async fn run(&mut self) -> Vec<Job> {
        let mut done = Vec::new();
        loop {
            let now = self.now();
            let Some(claimed) = self.db.claim_job(now).await.expect("claim") else { return done };
            done.push(self.platform.run(&self.db, claimed, now).await);
        }
    }

    /// Syncs an object, and checks the store.
    async fn sync(&mut self, object: &str) -> Job {
        self.sync_with(object, false).await
    }

    async fn sync_with(&mut self, object: &str, force: bool) -> Job {
        let now = self.now();
        let job = self.db.enqueue_sync(&Sight::All, &at(object), force, now).await.expect("enqueue").expect("object");
        let done = self.run().await;
        self.check().await;
        done.into_iter().find(|done| done.id == job.id).expect("the job ran")
    }

    async fn check(&self) {
        assert_eq!(self.db.verify().await.expect("verify"), []);
    }

    /// As after a kill: the store is dropped without a word and opened again.
    fn crash(self) -> Self {
        let Self { db, file, connection, platform, now } = self;
        drop(db);
        Self { db: Db::open(&file.0).expect("open again"), file, connection, platform, now }
    }

    async fn find(&self, object: &str) -> Option<ObjectView> {
        self.db.object(&Sight::All, &at(object)).await.expect("read")
    }

    async fn get(&self, object: &str) -> ObjectView {
        self.find(object).await.unwrap_or_else(|| panic!("{object} is not there"))
    }

    async fn columns(&self, object: &str) -> Option<Vec<Column>> {
        self.db.columns(&Sight::All, &at(object)).await.expect("columns")
    }

    async fn search(&self, search: Search) -> Hits {
        self.db.search(&Sight::All, search).await.expect("search")
    }

    /// Everything below the connection, as lines that tell path, status and columns.
    async fn inventory(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut cursor = None;
        loop {
            let hits = self
                .search(Search {
                    root: Some(at("K")),
                    recursive: true,
                    sort: super::objects::Sort::ObjectPath,
                    size: 500,
                    cursor,
                    ..Search::default()
                })
                .await;
            for view in hits.hits {
                let names: Vec<&str> = view.path.segments()[1..].iter().map(|name| name.as_str()).collect();
                let columns = self.db.columns(&Sight::All, &ObjectRef::Id(view.id)).await.expect("columns");
                let columns = columns.map(|list| {
                    list.iter().map(|c| format!("{}:{}", c.name, c.data_type)).collect::<Vec<_>>().join(",")
                });
                lines.push(format!("{} {:?} {:?}", names.join("/"), view.remote_status, columns));
            }
            cursor = hits.next;
            if cursor.is_none() {
                return lines;
            }
        }
    }
}

/// A file that is removed with its scenario.
struct TempFile(PathBuf);

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
