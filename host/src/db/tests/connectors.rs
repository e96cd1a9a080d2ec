//! Which version serves whom, and what comes back with it.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    super::{
        Db,
        connections::{ConnectionError, ConnectionUpdate},
        connectors::{Asked, Brought, Cause, ConnectorError, Restore},
    },
    World, actor, enabled, later, new_connection, start, update_of,
};
use crate::model::{
    connection::Sealed,
    connector::{Built, Gave, Origin, Step, Version},
    id::ConnectionId,
    sight::Sight,
};

pub(super) const NAME: &str = "ferry";

pub(super) fn version(number: &str, digest: &str, origin: Origin) -> Version {
    Version {
        connector: NAME.into(),
        version: number.into(),
        title: "Ferry".into(),
        digest: digest.into(),
        size: 1,
        by: (origin != Origin::Bundled).then(actor),
        origin,
        signature: "unsigned".into(),
        schema_digest: String::new(),
        description_digest: String::new(),
        permissions: vec!["send GET".into()],
        at: start(),
        taken_back: None,
        built: Built::default(),
    }
}

pub(super) async fn install(db: &Db, found: Version) -> Result<bool, ConnectorError> {
    let technology = "Harbour".parse().expect("technology");
    db.install_version(technology, found, start()).await.map(|done| done.is_new)
}

pub(super) async fn revision(db: &Db) -> u64 {
    db.connector(NAME).await.expect("read").expect("there").0.revision
}

async fn active(db: &Db) -> String {
    let (connector, _) = db.connector(NAME).await.expect("read").expect("there");
    connector.active_version().unwrap_or_default().to_owned()
}

fn asked(version: &str) -> Asked {
    Asked { version: version.into(), canary: None, shadow: false, forced: false, by: Some(actor()) }
}

/// Begins and ends a change of version.
async fn activate(db: &Db, version: &str) {
    let begun = db.begin_rollout(NAME, asked(version), revision(db).await, start()).await.expect("begun");
    assert!(db.promote(NAME, begun.revision, None, start()).await.expect("promoted"));
}

/// A connector in two versions, for a connection that was changed under the second.
pub(super) async fn served(db: &Db, connection: ConnectionId) {
    for (number, digest) in [("1.0.0", "one"), ("1.1.0", "two")] {
        install(db, version(number, digest, Origin::Bundled)).await.expect("installed");
        activate(db, number).await;
    }
    let connection = db.connection(connection).await.expect("read").expect("there");
    db.update_connection(connection.id, update_of(&connection), None, later(1)).await.expect("changed");
}

#[tokio::test]
async fn a_promotion_counts_only_while_nothing_else_has_happened() {
    let world = World::new("promotion", enabled()).await;
    let db = &world.db;
    install(db, version("1.0.0", "one", Origin::Upload)).await.expect("installed");
    let waiting = db.begin_rollout(NAME, asked("1.0.0"), 1, start()).await;
    assert!(matches!(waiting, Err(ConnectorError::Waiting(waiting)) if waiting == ["send GET"]));
    let approve = |permissions: &[&str]| {
        let permissions: BTreeSet<String> = permissions.iter().map(|p| (*p).to_owned()).collect();
        db.approve_version(NAME, "1.0.0", permissions, actor(), start())
    };
    assert!(matches!(approve(&[]).await, Err(ConnectorError::OtherPermissions(_))));
    assert!(matches!(approve(&["send GET", "send PUT"]).await, Err(ConnectorError::OtherPermissions(_))));
    approve(&["send GET"]).await.expect("approved");
    activate(db, "1.0.0").await;
    install(db, version("1.1.0", "two", Origin::Upload)).await.expect("installed");
    install(db, version("1.2.0", "three", Origin::Upload)).await.expect("installed");

    let seen = revision(db).await;
    let first = db.begin_rollout(NAME, asked("1.1.0"), seen, start()).await.expect("begun").revision;
    let second = db.begin_rollout(NAME, asked("1.2.0"), seen, start()).await;
    assert!(matches!(second, Err(ConnectorError::Revision(now)) if now == first));
    let second = db.begin_rollout(NAME, asked("1.2.0"), first, start()).await;
    assert!(matches!(second, Err(ConnectorError::UnderWay(version)) if version == "1.1.0"));
    assert_eq!(active(db).await, "1.0.0", "nobody is served by anything else before the last step");
    assert!(db.note_step(NAME, first, Step::Check, Vec::new(), start()).await.expect("noted"));
    let stale = Cause::Person(actor(), Some(seen));
    assert!(matches!(db.roll_back(NAME, stale, Vec::new(), start()).await, Err(ConnectorError::Revision(_))));
    let done = db.roll_back(NAME, Cause::Person(actor(), Some(first)), Vec::new(), start()).await.expect("ended");
    assert_eq!((done.what, done.to.as_str()), (Gave::Rollout, "1.0.0"));
    assert!(!db.promote(NAME, first, None, start()).await.expect("asked"), "it is over");
    assert!(!db.note_step(NAME, first, Step::Promote, Vec::new(), start()).await.expect("asked"));
    assert_eq!(active(db).await, "1.0.0");
    assert_eq!(db.verify().await.expect("verify"), []);
}

#[tokio::test]
async fn what_the_host_brings_replaces_only_what_the_host_chose() {
    let world = World::new("bundled", enabled()).await;
    let db = &world.db;
    let bring = async |number: &str, digest: &str| {
        install(db, version(number, digest, Origin::Bundled)).await.expect("installed");
        let brought = db.bring(NAME, number, start()).await.expect("asked");
        if brought == Brought::Begun {
            assert_ne!(active(db).await, number, "first what it would serve is tried");
            assert!(db.promote(NAME, revision(db).await, None, start()).await.expect("promoted"));
        }
        brought
    };
    assert_eq!(bring("1.0.0", "one").await, Brought::Active);
    assert_eq!(bring("1.1.0", "two").await, Brought::Begun);
    assert_eq!(bring("1.0.5", "older").await, Brought::Nothing);
    assert!(!install(db, version("1.1.0", "two", Origin::Bundled)).await.expect("known"));
    // Another build of the same version takes its place; an upload never does.
    assert!(install(db, version("1.1.0", "two again", Origin::Bundled)).await.expect("rebuilt"));
    let upload = install(db, version("1.1.0", "mine", Origin::Upload)).await;
    assert!(matches!(upload, Err(ConnectorError::VersionTaken(_))));
    // What turned bad does not come back by a restart.
    let bad = Cause::Bad { version: "1.1.0".into(), why: "it fails".into() };
    db.roll_back(NAME, bad.clone(), Vec::new(), start()).await.expect("taken back");
    assert_eq!(db.bring(NAME, "1.1.0", start()).await.expect("asked"), Brought::Nothing);
    assert!(matches!(db.roll_back(NAME, bad, Vec::new(), start()).await, Err(ConnectorError::NothingBefore)));
    assert_eq!(bring("1.2.0", "three").await, Brought::Begun);
    // What a person chose stays.
    activate(db, "1.0.0").await;
    assert_eq!(bring("1.3.0", "four").await, Brought::Nothing);
    assert_eq!(active(db).await, "1.0.0");
    assert_eq!(db.verify().await.expect("verify"), []);
}

#[tokio::test]
async fn a_start_leaves_what_a_person_is_about_to_do() {
    let world = World::new("brought", enabled()).await;
    let db = &world.db;
    for (number, digest) in [("1.0.0", "one"), ("1.1.0", "two"), ("1.2.0", "three"), ("1.3.0", "four")] {
        install(db, version(number, digest, Origin::Bundled)).await.expect("installed");
    }
    let bring = async |number: &str| db.bring(NAME, number, start()).await.expect("asked");
    assert_eq!(bring("1.0.0").await, Brought::Active);
    let begun = db.begin_rollout(NAME, asked("1.1.0"), revision(db).await, start()).await.expect("begun").revision;
    assert_eq!(bring("1.2.0").await, Brought::Nothing, "theirs goes on first");
    db.roll_back(NAME, Cause::Person(actor(), Some(begun)), Vec::new(), start()).await.expect("ended");
    assert_eq!((bring("1.2.0").await, bring("1.2.0").await), (Brought::Begun, Brought::Nothing), "its own goes on");
    assert_eq!(bring("1.3.0").await, Brought::Begun, "a newer one takes its place");
    assert!(!db.promote(NAME, begun + 2, None, start()).await.expect("asked"));
    db.roll_back(NAME, Cause::Person(actor(), None), Vec::new(), start()).await.expect("ended");
    assert_eq!(bring("1.3.0").await, Brought::Nothing, "somebody ended it");
    assert_eq!(active(db).await, "1.0.0");
    assert_eq!(db.verify().await.expect("verify"), []);
}

#[tokio::test]
async fn a_removal_is_seen_by_whoever_had_seen_the_version() {
    let world = World::new("removal", enabled()).await;
    let db = &world.db;
    for (number, digest) in [("1.0.0", "one"), ("1.1.0", "two"), ("1.2.0", "three")] {
        install(db, version(number, digest, Origin::Bundled)).await.expect("installed");
    }
    db.bring(NAME, "1.0.0", start()).await.expect("active");
    let begun = db.begin_rollout(NAME, asked("1.1.0"), revision(db).await, start()).await.expect("begun").revision;
    db.remove_version(NAME, "1.2.0", actor(), start()).await.expect("removed");
    install(db, version("1.2.0", "other bytes", Origin::Bundled)).await.expect("installed");
    // The step that was under way is done again, and what it would have led to is not lost.
    assert!(!db.note_step(NAME, begun, Step::Blocked, Vec::new(), start()).await.expect("asked"));
    let (connector, _) = db.connector(NAME).await.expect("read").expect("there");
    let carried = connector.under_way().expect("under way").revision;
    assert!(db.note_step(NAME, carried, Step::Blocked, Vec::new(), start()).await.expect("noted"));
    let stale = db.begin_rollout(NAME, asked("1.2.0"), begun, start()).await;
    assert!(matches!(stale, Err(ConnectorError::Revision(_))), "{stale:?}");
    assert_eq!(db.verify().await.expect("verify"), []);
}

#[tokio::test]
async fn a_configuration_comes_back_with_its_secrets_unless_it_was_changed_meanwhile() {
    let world = World::new("kept", enabled()).await;
    let db = &world.db;
    let id = world.connection.id;
    served(db, id).await;
    let change = async |config: serde_json::Value, secrets: u8| {
        let connection = db.connection(id).await.expect("read").expect("there");
        let secrets = Some(Sealed(vec![secrets]));
        let update = ConnectionUpdate { config, secrets, ..update_of(&connection) };
        db.update_connection(id, update, None, later(2)).await.expect("changed").0.revision
    };
    change(json!({ "hostname": "K", "region": "north" }), 10).await;
    let last = change(json!({ "hostname": "K", "region": "south" }), 11).await;
    // The platform replaced a secret that is kept, too.
    assert_eq!(db.kept_for(&world.connection.technology, "1.0.0").await.expect("read"), [id]);
    let back = |revision| {
        let cause = Cause::Bad { version: "1.1.0".into(), why: "it fails".into() };
        db.roll_back(NAME, cause, vec![Restore { connection: id, revision }], later(3))
    };
    assert!(matches!(back(last - 1).await, Err(ConnectorError::ConnectionChanged)));
    assert_eq!(active(db).await, "1.1.0", "all of it or nothing");
    back(last).await.expect("rolled back");
    let (connection, secrets) = db.connection_with_secrets(id).await.expect("read").expect("there");
    assert_eq!((connection.config, connection.revision), (world.connection.config.clone(), last + 1));
    assert_eq!(secrets, Sealed(vec![1, 2, 3]));
    assert!(db.kept_for(&world.connection.technology, "1.0.0").await.expect("read").is_empty());
    assert_eq!(db.verify().await.expect("verify"), []);
}

#[tokio::test]
async fn a_secret_that_the_platform_replaced_is_kept_as_it_is_by_then() {
    let world = World::new("kept-secret", enabled()).await;
    let db = &world.db;
    let id = world.connection.id;
    served(db, id).await;
    // `served` has changed the secrets; back to those that are kept, which the platform then replaces.
    let connection = db.connection(id).await.expect("read").expect("there");
    let update = ConnectionUpdate { secrets: Some(Sealed(vec![1, 2, 3])), ..update_of(&connection) };
    let revision = db.update_connection(id, update, None, later(2)).await.expect("changed").0.revision;
    assert!(db.replace_secrets(id, Sealed(vec![1, 2, 3]), Sealed(vec![4])).await.expect("replaced"));
    let restore = vec![Restore { connection: id, revision }];
    db.roll_back(NAME, Cause::Person(actor(), None), restore, later(3)).await.expect("rolled back");
    let (_, secrets) = db.connection_with_secrets(id).await.expect("read").expect("there");
    assert_eq!(secrets, Sealed(vec![4]));
}

#[tokio::test]
async fn a_pin_holds_its_version_and_goes_with_its_connection() {
    let world = World::new("pins", enabled()).await;
    let db = &world.db;
    served(db, world.connection.id).await;
    install(db, version("1.2.0", "three", Origin::Bundled)).await.expect("installed");
    let pin = async |to: &str| {
        let connection = db.connection(world.connection.id).await.expect("read").expect("there");
        let mut update = ConnectionUpdate { secrets: None, ..update_of(&connection) };
        update.options.pin = Some(to.into());
        db.update_connection(connection.id, update, None, later(4)).await.map(|(changed, _)| changed.options.pin)
    };
    assert!(matches!(pin("7.0.0").await, Err(ConnectionError::Pin(_))));
    assert_eq!(pin("1.2.0").await.expect("pinned").as_deref(), Some("1.2.0"));
    let removed = db.remove_version(NAME, "1.2.0", actor(), later(5)).await;
    assert!(matches!(removed, Err(ConnectorError::Needed(why)) if why.contains("connection K pins it")));
    db.create_connection(new_connection("L"), later(5)).await.expect("another");
    db.delete_object(&Sight::All, &super::at("K"), later(6)).await.expect("deregistered");
    assert!(db.pins().await.expect("read").is_empty());
    assert_eq!(db.remove_version(NAME, "1.2.0", actor(), later(7)).await.expect("removed"), "three");
    assert_eq!(db.verify().await.expect("verify"), []);
}

#[tokio::test]
async fn the_audit_is_read_by_pages_and_by_subject() {
    let world = World::new("audit", enabled()).await;
    served(&world.db, world.connection.id).await;
    let (mut below, mut actions) = (None, Vec::new());
    loop {
        let page = world.db.audit(Some("connectors/ferry"), below, 2).await.expect("read");
        actions.extend(page.entries.into_iter().map(|(_, entry)| entry.action));
        below = page.next;
        if below.is_none() {
            break;
        }
    }
    let one = ["connector.activate", "connector.rollout", "connector.install"];
    assert_eq!(actions, [one, one].concat());
    assert!(world.db.audit(Some("connectors/other"), None, 2).await.expect("read").entries.is_empty());
}
