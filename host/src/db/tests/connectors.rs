//! Which version serves whom, and what comes back with it.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    super::{
        Db,
        connections::{ConnectionError, ConnectionUpdate, NewConnection},
        connectors::{Asked, Back, Brought, Cause, ConnectorError, Restore},
    },
    World, actor, enabled, later, new_connection, start, update_of,
};
use crate::model::{
    connection::{Connection, Sealed},
    connector::{AuditEntry, Built, Gave, Origin, Step, Version},
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
    let kept = db.kept(&begun.technology).await.expect("read").into_iter();
    let fits = |connection: Connection| Restore {
        connection: connection.id,
        revision: connection.revision,
        to: version.into(),
        back: None,
        unknown: false,
    };
    let restore = kept.map(|one| fits(one.connection)).collect();
    assert!(db.promote(NAME, begun.revision, None, restore, start()).await.expect("promoted"));
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
    assert!(!db.promote(NAME, first, None, Vec::new(), start()).await.expect("asked"), "it is over");
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
            assert!(db.promote(NAME, revision(db).await, None, Vec::new(), start()).await.expect("promoted"));
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

/// A change of a connection: its configuration and its secrets.
async fn change(db: &Db, id: ConnectionId, config: serde_json::Value, secrets: u8) {
    let connection = db.connection(id).await.expect("read").expect("there");
    let secrets = Some(Sealed(vec![secrets]));
    let update = ConnectionUpdate { config, secrets, ..update_of(&connection) };
    db.update_connection(id, update, None, later(2)).await.expect("changed");
}

/// That what is kept for a version takes the place of what a connection has by now, with these secrets.
async fn found(db: &Db, id: ConnectionId, to: &str, of: &str, secrets: u8) -> Restore {
    let one = db.connection_with_kept(id).await.expect("read").expect("there");
    let kept = one.kept.iter().find(|kept| kept.version == of).expect("kept");
    let back = Back { of: of.into(), kept: kept.secrets.clone(), were: one.secrets, secrets: Sealed(vec![secrets]) };
    Restore { connection: id, revision: one.connection.revision, to: to.into(), back: Some(back), unknown: false }
}

/// What a connection has, and for which versions something is kept.
async fn stands(db: &Db, id: ConnectionId) -> (serde_json::Value, Vec<u8>, Vec<String>) {
    let one = db.connection_with_kept(id).await.expect("read").expect("there");
    (one.connection.config, one.secrets.0, one.kept.into_iter().map(|kept| kept.version).collect())
}

fn with_region(region: &str) -> serde_json::Value {
    json!({ "hostname": "K", "region": region })
}

fn bad(version: &str) -> Cause {
    Cause::Bad { version: version.into(), why: "it fails".into() }
}

/// Begins and ends a change of version that brings configurations back.
async fn activate_with(db: &Db, asked: Asked, restore: Vec<Restore>) -> Result<bool, ConnectorError> {
    let begun = match db.connector(NAME).await.expect("read").expect("there").0 {
        connector if connector.under_way().is_some() => connector,
        connector => db.begin_rollout(NAME, asked, connector.revision, start()).await.expect("begun"),
    };
    db.promote(NAME, begun.revision, None, restore, start()).await
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
    assert!(!db.promote(NAME, begun + 2, None, Vec::new(), start()).await.expect("asked"));
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
async fn a_configuration_comes_back_as_it_was_looked_at_or_nothing_is_done() {
    let world = World::new("kept", enabled()).await;
    let (db, id) = (&world.db, world.connection.id);
    served(db, id).await;
    change(db, id, with_region("north"), 10).await;
    let early = found(db, id, "1.0.0", "1.0.0", 20).await;
    change(db, id, with_region("south"), 11).await;
    let back = |restore| db.roll_back(NAME, bad("1.1.0"), restore, later(3));
    let right = found(db, id, "1.0.0", "1.0.0", 20).await;
    let mut other_secrets = right.clone();
    other_secrets.back.as_mut().expect("back").were = Sealed(vec![10]);
    let mut other_kept = right.clone();
    other_kept.back.as_mut().expect("back").kept = Sealed(vec![10]);
    let elsewhere = Restore { to: "1.1.0".into(), ..right.clone() };
    for wrong in [Some(early), Some(other_secrets), Some(other_kept), Some(elsewhere), None] {
        let refused = back(wrong.clone().into_iter().collect()).await;
        assert!(matches!(refused, Err(ConnectorError::ConnectionChanged)), "{wrong:?}");
        assert_eq!(active(db).await, "1.1.0", "all of it or nothing");
    }
    back(vec![right.clone()]).await.expect("rolled back");
    assert_eq!(active(db).await, "1.0.0");
    let kept = vec!["1.1.0".to_owned()];
    assert_eq!(stands(db, id).await, (world.connection.config.clone(), vec![20], kept), "what it replaced is kept");
    assert_eq!(db.connection(id).await.expect("read").expect("there").revision, right.revision + 1);
    assert_eq!(db.verify().await.expect("verify"), []);
}

#[tokio::test]
async fn going_forward_again_brings_back_what_the_way_back_replaced() {
    let world = World::new("forward", enabled()).await;
    let (db, id) = (&world.db, world.connection.id);
    served(db, id).await;
    change(db, id, with_region("north"), 10).await;
    let restore = vec![found(db, id, "1.0.0", "1.0.0", 20).await];
    db.roll_back(NAME, bad("1.1.0"), restore, later(3)).await.expect("rolled back");
    let again = Asked { forced: true, ..asked("1.1.0") };
    let unseen = activate_with(db, again.clone(), Vec::new()).await;
    assert!(matches!(unseen, Err(ConnectorError::ConnectionChanged)), "{unseen:?}");
    let restore = vec![found(db, id, "1.1.0", "1.1.0", 21).await];
    assert!(activate_with(db, again, restore).await.expect("promoted"));
    assert_eq!(active(db).await, "1.1.0");
    assert_eq!(stands(db, id).await, (with_region("north"), vec![21], vec!["1.0.0".to_owned()]));
    // What fits stays, and then nothing older comes back some day.
    let connection = db.connection(id).await.expect("read").expect("there");
    let fits =
        Restore { connection: id, revision: connection.revision, to: "1.0.0".into(), back: None, unknown: false };
    db.roll_back(NAME, bad("1.1.0"), vec![fits], later(4)).await.expect("rolled back");
    assert_eq!(stands(db, id).await, (with_region("north"), vec![21], Vec::new()));
    assert_eq!(db.verify().await.expect("verify"), []);
}

#[tokio::test]
async fn where_a_canary_ends_its_connections_get_back_what_they_began_with() {
    for ends_by_roll_back in [true, false] {
        let world = World::new("kept-canary", enabled()).await;
        let (db, id) = (&world.db, world.connection.id);
        for (number, digest) in [("1.0.0", "one"), ("1.1.0", "two"), ("1.2.0", "three"), ("1.3.0", "four")] {
            install(db, version(number, digest, Origin::Bundled)).await.expect("installed");
        }
        activate(db, "1.0.0").await;
        activate(db, "1.1.0").await;
        let canary = Asked { canary: Some(BTreeSet::from([id])), ..asked("1.2.0") };
        assert!(activate_with(db, canary, Vec::new()).await.expect("promoted"));
        change(db, id, with_region("north"), 10).await;
        assert_eq!(stands(db, id).await.2, ["1.1.0"]);
        // What was active goes, and with it the canary: the connection is served by a version that it never was served by.
        let to = if ends_by_roll_back { "1.0.0" } else { "1.3.0" };
        let restore = vec![found(db, id, to, "1.1.0", 20).await];
        if ends_by_roll_back {
            db.roll_back(NAME, bad("1.1.0"), restore, later(3)).await.expect("rolled back");
        } else {
            assert!(activate_with(db, asked(to), restore).await.expect("promoted"));
        }
        assert_eq!(active(db).await, to);
        let kept = vec!["1.2.0".to_owned()];
        assert_eq!(stands(db, id).await, (world.connection.config.clone(), vec![20], kept));
        assert_eq!(db.verify().await.expect("verify"), []);
    }
}

#[tokio::test]
async fn what_is_kept_for_the_version_that_gives_way_comes_back_too() {
    let world = World::new("kept-own", enabled()).await;
    let (db, id) = (&world.db, world.connection.id);
    served(db, id).await;
    let pinned = async |pin: Option<&str>| {
        let connection = db.connection(id).await.expect("read").expect("there");
        let mut update = ConnectionUpdate { secrets: None, ..update_of(&connection) };
        update.options.pin = pin.map(str::to_owned);
        db.update_connection(id, update, None, later(2)).await.expect("changed");
    };
    // By way of a pin it is served by the older version with what it had under the newer one.
    change(db, id, with_region("north"), 10).await;
    pinned(Some("1.1.0")).await;
    db.roll_back(NAME, bad("1.1.0"), Vec::new(), later(3)).await.expect("rolled back");
    pinned(None).await;
    assert_eq!(stands(db, id).await, (with_region("north"), vec![10], vec!["1.0.0".to_owned()]));
    install(db, version("1.2.0", "three", Origin::Bundled)).await.expect("installed");
    // One that cannot be asked changes nothing.
    let unknown = Restore { back: None, unknown: true, ..found(db, id, "1.2.0", "1.0.0", 20).await };
    assert!(activate_with(db, asked("1.2.0"), vec![unknown]).await.expect("promoted"));
    assert_eq!(stands(db, id).await, (with_region("north"), vec![10], vec!["1.0.0".to_owned()]));
    let unknown = Restore { back: None, unknown: true, ..found(db, id, "1.0.0", "1.0.0", 20).await };
    db.roll_back(NAME, bad("1.2.0"), vec![unknown], later(3)).await.expect("rolled back");
    // Another one takes over from it, and understands what is kept for it.
    install(db, version("1.3.0", "four", Origin::Bundled)).await.expect("installed");
    let restore = vec![found(db, id, "1.3.0", "1.0.0", 20).await];
    assert!(activate_with(db, asked("1.3.0"), restore).await.expect("promoted"));
    assert_eq!(stands(db, id).await, (world.connection.config.clone(), vec![20], vec!["1.0.0".to_owned()]));
    assert_eq!(db.verify().await.expect("verify"), []);
}

#[tokio::test]
async fn a_connection_that_pins_its_version_keeps_what_it_has() {
    let world = World::new("kept-pin", enabled()).await;
    let (db, id) = (&world.db, world.connection.id);
    served(db, id).await;
    let connection = db.connection(id).await.expect("read").expect("there");
    let mut update = ConnectionUpdate { secrets: None, config: with_region("north"), ..update_of(&connection) };
    update.options.pin = Some("1.1.0".into());
    db.update_connection(id, update, None, later(2)).await.expect("pinned");
    db.roll_back(NAME, bad("1.1.0"), Vec::new(), later(3)).await.expect("nobody had to look at it");
    assert_eq!(stands(db, id).await, (with_region("north"), vec![9], vec!["1.0.0".to_owned()]));
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
    assert!(matches!(pin("7.0.0").await, Err(ConnectionError::Pin(why)) if why.contains("not installed")));
    assert!(matches!(pin("1.2.0").await, Err(ConnectionError::Pin(why)) if why.contains("activates it first")));
    activate(db, "1.2.0").await;
    assert_eq!(pin("1.0.0").await.expect("pinned").as_deref(), Some("1.0.0"));
    let removed = db.remove_version(NAME, "1.0.0", actor(), later(5)).await;
    assert!(matches!(removed, Err(ConnectorError::Needed(why)) if why.contains("connection K pins it")));
    db.create_connection(new_connection("L"), later(5)).await.expect("another");
    db.delete_object(&Sight::All, &super::at("K"), later(6)).await.expect("deregistered");
    assert!(db.pins().await.expect("read").is_empty());
    assert_eq!(db.remove_version(NAME, "1.0.0", actor(), later(7)).await.expect("removed"), "one");
    assert_eq!(db.verify().await.expect("verify"), []);
}

#[tokio::test]
async fn a_configuration_is_stored_only_as_admitted_by_what_serves_then() {
    let world = World::new("admitted", enabled()).await;
    let (db, id) = (&world.db, world.connection.id);
    served(db, id).await;
    let store = async |digest: &str, pin: Option<&str>| {
        let connection = db.connection(id).await.expect("read").expect("there");
        let admitted_by = Some(digest.to_owned());
        let mut update = ConnectionUpdate { secrets: None, admitted_by, ..update_of(&connection) };
        update.options.pin = pin.map(str::to_owned);
        db.update_connection(id, update, None, later(4)).await.map(|_| ())
    };
    let revision = db.connection(id).await.expect("read").expect("there").revision;
    assert!(matches!(store("one", None).await, Err(ConnectionError::Served)));
    assert!(matches!(store("two", Some("1.0.0")).await, Err(ConnectionError::Served)), "by what it pins from now on");
    let after = db.connection(id).await.expect("read").expect("there");
    assert_eq!((after.revision, after.options.pin), (revision, None));
    store("two", None).await.expect("serves");
    store("one", Some("1.0.0")).await.expect("pinned");
    let new = |digest: &str| NewConnection { admitted_by: Some(digest.into()), ..new_connection("L") };
    assert!(matches!(db.create_connection(new("one"), later(5)).await, Err(ConnectionError::Served)));
    db.create_connection(new("two"), later(5)).await.expect("registered");
}

#[tokio::test]
async fn a_component_is_told_to_be_missing_only_while_its_version_is_installed() {
    let world = World::new("verified", enabled()).await;
    let db = &world.db;
    served(db, world.connection.id).await;
    for (number, digest) in [("1.2.0", "three"), ("1.3.0", "four")] {
        install(db, version(number, digest, Origin::Bundled)).await.expect("installed");
    }
    // `looks` that miss their file before what happens to the version has happened.
    let verify = async |looks: usize, removed: &'static str| {
        let (told, mut asked) = tokio::sync::mpsc::unbounded_channel();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = std::sync::Mutex::new((wait, 0));
        let is_whole = move |digest: &str| {
            if digest != "four" && digest != removed {
                return true;
            }
            let mut wait = wait.lock().expect("lock");
            if digest == removed {
                wait.1 += 1;
                if wait.1 == looks {
                    told.send(()).expect("told");
                    wait.0.recv().expect("go");
                }
            }
            false
        };
        let meanwhile = async {
            asked.recv().await.expect("asked");
            let number = if removed == "three" { "1.2.0" } else { "1.3.0" };
            db.remove_version(NAME, number, actor(), later(5)).await.expect("removed");
            go.send(()).expect("go");
        };
        tokio::join!(db.verify_with(|_, _| true, is_whole), meanwhile).0.expect("verify")
    };
    // The file goes after the row, between the state that is checked and the look, or between the second two.
    let found = verify(1, "three").await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].table, found[0].key.as_str()), ("connector_versions", "(\"ferry\", \"1.3.0\")"));
    assert_eq!(verify(2, "four").await, []);
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

/// Fills the audit with entries of one subject.
async fn noted(db: &Db, count: u32, at: jiff::Timestamp) {
    db.write("note", move |rows: &mut super::super::tables::WriteRows<'_>| {
        for n in 0..count {
            let (action, subject) = ("connector.install".into(), "connectors/other".into());
            let entry = AuditEntry { at, who: None, action, subject, message: n.to_string() };
            super::super::audit::note(rows, &entry)?;
        }
        Ok::<_, super::super::fault::Stop<crate::db::DbError>>(())
    })
    .await
    .expect("noted");
}

#[tokio::test]
async fn old_entries_of_the_audit_go_and_the_newest_stay_however_old() {
    let world = World::new("audit-old", enabled()).await;
    let db = &world.db;
    noted(db, 1200, start()).await;
    noted(db, 50, later(100)).await;
    assert!(!db.forget_audit(start(), 10).await.expect("forget"), "nothing is that old");
    let mut steps = 0;
    while db.forget_audit(later(50), 100).await.expect("forget") {
        steps += 1;
        assert_eq!(db.verify().await.expect("verify"), []);
    }
    assert_eq!(steps, 2, "small steps");
    let newest = db.audit_after(u64::MAX, None, 1).await.expect("read").seen;
    let left = db.audit_after(newest - 1000, None, 2000).await.expect("read");
    assert_eq!((left.entries.len(), left.is_whole, newest), (1000, true, 1250));
    let before = db.audit_after(newest - 1001, None, 2000).await.expect("read");
    assert_eq!((before.entries.len(), before.is_whole), (1000, false), "one was removed");
    assert!(!db.forget_audit(later(10_000), 100).await.expect("forget"), "the newest stay");
    // Numbers go on where they were.
    noted(db, 1, later(200)).await;
    assert_eq!(db.audit_after(newest, None, 10).await.expect("read").entries[0].0, newest + 1);
}

#[tokio::test]
async fn news_of_the_audit_are_told_in_order_and_by_subject() {
    let world = World::new("audit-news", enabled()).await;
    let db = &world.db;
    served(db, world.connection.id).await;
    noted(db, 3, start()).await;
    let (mut after, mut all) = (0, Vec::new());
    loop {
        let news = db.audit_after(after, None, 2).await.expect("read");
        all.extend(news.entries.iter().map(|(number, _)| *number));
        after = news.seen;
        if !news.more {
            break;
        }
    }
    assert_eq!(all, (1..=after).collect::<Vec<_>>());
    let some = db.audit_after(0, Some("connectors/other"), 10).await.expect("read");
    assert_eq!((some.entries.len(), some.seen, some.more), (3, after, false));
    let none = db.audit_after(after + 5, None, 10).await.expect("read");
    assert!(none.entries.is_empty() && !none.is_whole && none.seen == after, "a number that was never given");
}
