//! Against a real store.

use jiff::Timestamp;
use serde_json::json;
use zeroize::Zeroizing;

use super::*;
use crate::{
    db::{
        Db,
        connections::{ConnectionError, ConnectionUpdate, NewConnection},
        connectors::Brought,
    },
    model::{
        connection::{Actor, Address, Connection, ConnectionOptions},
        connector::{Built, Origin, Version},
        id::PrincipalId,
        settings::SettingsChange,
    },
};

fn secrets(token: &str) -> Secrets {
    let pairs = [("refresh", token), ("client", "canary")];
    Secrets(pairs.map(|(name, value)| (name.to_owned(), Zeroizing::new(value.to_owned()))).into())
}

fn actor() -> Actor {
    Actor { id: PrincipalId::generate(), name: "a".into(), email: None }
}

async fn registered() -> (Db, Rotations, Connection) {
    let db = Db::in_memory().expect("store");
    let vault = Arc::new(Vault::new(&[7; 32]));
    let id = ConnectionId::generate();
    let new = NewConnection {
        id,
        key: "Key".parse().expect("key"),
        technology: "Sample".parse().expect("technology"),
        config: json!({}),
        secrets: vault.seal(id, &secrets("one")).expect("sealed"),
        address: Address { insecure: false, hostname: "h.example".into(), port: 443 },
        identity: None,
        host_managed: None,
        options: ConnectionOptions::default(),
        settings: SettingsChange::default(),
        by: actor(),
        admitted_by: None,
    };
    let (connection, _) = db.create_connection(new, Timestamp::UNIX_EPOCH).await.expect("registered");
    let keep = Rotations { db: db.downgrade(), vault };
    (db, keep, connection)
}

/// Where the connection goes.
fn places(connection: &Connection) -> Destination {
    Destination::of(&connection.address, &connection.config, ["authority".to_owned()])
}

fn rotation(connection: ConnectionId, was: &str, new: &str) -> Rotation {
    let text = |text: &str| Zeroizing::new(text.to_owned());
    let address = Address { insecure: false, hostname: "h.example".into(), port: 443 };
    let places = Destination::of(&address, &json!({}), ["authority".to_owned()]);
    Rotation { connection, property: "refresh".into(), was: Some(text(was)), new: text(new), places }
}

/// A connector whose second version serves: what a connection has is kept when it is changed.
async fn in_two_versions(db: &Db) {
    for number in ["1.0.0", "1.1.0"] {
        let version = Version {
            connector: "sample".into(),
            version: number.into(),
            title: "Sample".into(),
            digest: number.into(),
            size: 1,
            origin: Origin::Bundled,
            signature: "bundled".into(),
            schema_digest: String::new(),
            description_digest: String::new(),
            permissions: Vec::new(),
            built: Built::default(),
            by: None,
            at: Timestamp::UNIX_EPOCH,
            taken_back: None,
        };
        let technology = "Sample".parse().expect("technology");
        db.install_version(technology, version, Timestamp::UNIX_EPOCH).await.expect("installed");
        if db.bring("sample", number, Timestamp::UNIX_EPOCH).await.expect("brought") == Brought::Begun {
            let revision = db.connector("sample").await.expect("read").expect("there").0.revision;
            let promoted = db.promote("sample", revision, None, Vec::new(), Timestamp::UNIX_EPOCH).await;
            assert!(promoted.expect("promoted"));
        }
    }
}

/// What is kept for the first version: the token in it.
async fn kept_token(db: &Db, keep: &Rotations, connection: ConnectionId) -> String {
    let found = db.connection_with_kept(connection).await.expect("read").expect("there");
    assert_eq!(found.kept.iter().map(|kept| kept.version.as_str()).collect::<Vec<_>>(), ["1.0.0"]);
    keep.vault.open(connection, &found.kept[0].secrets).expect("opens").0["refresh"].as_str().to_owned()
}

#[tokio::test]
async fn what_is_kept_for_a_version_is_replaced_too_where_it_is_the_same_secret_for_the_same_places() {
    let elsewhere = Address { insecure: false, hostname: "elsewhere.example".into(), port: 443 };
    for (token, moved, kept, expect) in [
        // Sealed anew, the secrets look different each time: they are compared as they are.
        ("one", false, Kept::Stored, "two"),
        // Somebody has stored another one: what is kept still holds the one that is dead.
        ("by hand", false, Kept::Superseded, "two"),
        // The successor came from elsewhere, and stays there.
        ("one", true, Kept::Stored, "one"),
    ] {
        let (db, keep, connection) = registered().await;
        in_two_versions(&db).await;
        let address = if moved { elsewhere.clone() } else { connection.address.clone() };
        let update = ConnectionUpdate {
            config: json!({ "changed": true }),
            secrets: Some(keep.vault.seal(connection.id, &secrets(token)).expect("sealed")),
            secrets_were: None,
            address: address.clone(),
            identity: None,
            host_managed: None,
            options: ConnectionOptions::default(),
            by: actor(),
            admitted_by: None,
        };
        db.update_connection(connection.id, update, None, Timestamp::UNIX_EPOCH).await.expect("changed");
        assert_eq!(kept_token(&db, &keep, connection.id).await, "one");
        let places = Destination::of(&address, &json!({}), ["authority".to_owned()]);
        let done = keep.replace(Rotation { places, ..rotation(connection.id, "one", "two") }).await.expect("kept");
        assert_eq!(done, kept, "{token} {moved}");
        assert_eq!(kept_token(&db, &keep, connection.id).await, expect, "{token} {moved}");
    }
}

#[tokio::test]
async fn a_replaced_secret_is_stored_and_the_connection_stays_as_it_was() {
    let (db, keep, connection) = registered().await;
    assert_eq!(keep.replace(rotation(connection.id, "one", "two")).await.expect("kept"), Kept::Stored);
    let (after, sealed) = db.connection_with_secrets(connection.id).await.expect("read").expect("there");
    assert_eq!(after, connection, "not even its revision moved");
    assert_eq!(keep.vault.open(connection.id, &sealed).expect("opens"), secrets("two"), "the others are untouched");
    assert_eq!(keep.current(connection.id, &places(&connection)).await.expect("read"), Some(secrets("two")));
}

#[tokio::test]
async fn what_people_have_stored_meanwhile_stays() {
    let (db, keep, connection) = registered().await;
    let update = ConnectionUpdate {
        config: json!({}),
        secrets: Some(keep.vault.seal(connection.id, &secrets("by hand")).expect("sealed")),
        secrets_were: None,
        address: connection.address.clone(),
        identity: None,
        host_managed: None,
        options: ConnectionOptions::default(),
        by: actor(),
        admitted_by: None,
    };
    db.update_connection(connection.id, update.clone(), None, Timestamp::UNIX_EPOCH).await.expect("changed");
    assert_eq!(keep.replace(rotation(connection.id, "one", "two")).await.expect("asked"), Kept::Superseded);
    assert_eq!(keep.current(connection.id, &places(&connection)).await.expect("read"), Some(secrets("by hand")));
    let nobody = rotation(ConnectionId::generate(), "one", "two");
    assert_eq!(keep.replace(nobody).await.expect("asked"), Kept::Superseded);
}

#[tokio::test]
async fn two_changes_at_once_are_both_kept() {
    let (_db, keep, connection) = registered().await;
    let client = Rotation {
        property: "client".into(),
        was: Some(Zeroizing::new("canary".into())),
        ..rotation(connection.id, "", "new client")
    };
    let (one, other) = tokio::join!(keep.replace(rotation(connection.id, "one", "two")), keep.replace(client));
    assert_eq!((one.expect("kept"), other.expect("kept")), (Kept::Stored, Kept::Stored));
    let now = keep.current(connection.id, &places(&connection)).await.expect("read").expect("there");
    assert_eq!((now.0["refresh"].as_str(), now.0["client"].as_str()), ("two", "new client"));
}

#[tokio::test]
async fn secrets_for_other_places_are_not_told_and_a_change_of_anything_else_does_not_matter() {
    let (db, keep, connection) = registered().await;
    let update = ConnectionUpdate {
        config: json!({"other": 1}),
        secrets: None,
        secrets_were: None,
        address: connection.address.clone(),
        identity: None,
        host_managed: None,
        options: ConnectionOptions::default(),
        by: actor(),
        admitted_by: None,
    };
    let moved = Address { hostname: "elsewhere.example".into(), ..connection.address.clone() };
    let authority = json!({"authority": "https://login.example"});
    for (update, told) in [
        (update.clone(), true),
        (ConnectionUpdate { address: moved, ..update.clone() }, false),
        (ConnectionUpdate { config: authority, ..update }, false),
    ] {
        db.update_connection(connection.id, update, None, Timestamp::UNIX_EPOCH).await.expect("changed");
        let current = keep.current(connection.id, &places(&connection)).await.expect("read");
        assert_eq!(current, told.then(|| secrets("one")));
    }
    drop(db);
    keep.current(connection.id, &places(&connection)).await.expect_err("the store has ended");
}

#[tokio::test]
async fn a_change_that_was_made_from_a_replaced_secret_is_not_stored() {
    let (db, keep, connection) = registered().await;
    let (_, were) = db.connection_with_secrets(connection.id).await.expect("read").expect("there");
    assert_eq!(keep.replace(rotation(connection.id, "one", "two")).await.expect("kept"), Kept::Stored);
    let update = |were| ConnectionUpdate {
        config: json!({"changed": true}),
        secrets: Some(keep.vault.seal(connection.id, &secrets("one")).expect("sealed")),
        secrets_were: Some(were),
        address: connection.address.clone(),
        identity: None,
        host_managed: None,
        options: ConnectionOptions::default(),
        by: actor(),
        admitted_by: None,
    };
    let (id, revision) = (connection.id, Some(connection.revision));
    let error = db.update_connection(id, update(were), revision, Timestamp::UNIX_EPOCH).await.expect_err("refused");
    assert!(matches!(error, ConnectionError::Secrets));
    let (same, were) = db.connection_with_secrets(id).await.expect("read").expect("there");
    assert_eq!(same, connection);
    assert_eq!(keep.vault.open(id, &were).expect("opens"), secrets("two"));
    db.update_connection(id, update(were), revision, Timestamp::UNIX_EPOCH).await.expect("from what is stored");
}
