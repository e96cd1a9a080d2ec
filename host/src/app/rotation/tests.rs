//! Against a real store.

use jiff::Timestamp;
use serde_json::json;
use zeroize::Zeroizing;

use super::*;
use crate::{
    db::{
        Db,
        connections::{ConnectionUpdate, NewConnection},
    },
    model::{
        connection::{Actor, Address, Connection, ConnectionOptions},
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
    };
    let (connection, _) = db.create_connection(new, Timestamp::UNIX_EPOCH).await.expect("registered");
    let keep = Rotations { db: db.downgrade(), vault };
    (db, keep, connection)
}

fn rotation(connection: ConnectionId, was: &str, new: &str) -> Rotation {
    let text = |text: &str| Zeroizing::new(text.to_owned());
    Rotation { connection, property: "refresh".into(), was: Some(text(was)), new: text(new) }
}

#[tokio::test]
async fn a_replaced_secret_is_stored_and_the_connection_stays_as_it_was() {
    let (db, keep, connection) = registered().await;
    assert_eq!(keep.replace(rotation(connection.id, "one", "two")).await.expect("kept"), Kept::Stored);
    let (after, sealed) = db.connection_with_secrets(connection.id).await.expect("read").expect("there");
    assert_eq!(after, connection, "not even its revision moved");
    assert_eq!(keep.vault.open(connection.id, &sealed).expect("opens"), secrets("two"), "the others are untouched");
    assert_eq!(keep.current(connection.id, connection.revision).await, Some(secrets("two")));
    assert_eq!(keep.current(connection.id, connection.revision + 1).await, None);
}

#[tokio::test]
async fn what_people_have_stored_meanwhile_stays() {
    let (db, keep, connection) = registered().await;
    let update = ConnectionUpdate {
        config: json!({}),
        secrets: Some(keep.vault.seal(connection.id, &secrets("by hand")).expect("sealed")),
        address: connection.address.clone(),
        identity: None,
        host_managed: None,
        options: ConnectionOptions::default(),
        by: actor(),
    };
    db.update_connection(connection.id, update.clone(), None, Timestamp::UNIX_EPOCH).await.expect("changed");
    assert_eq!(keep.replace(rotation(connection.id, "one", "two")).await.expect("asked"), Kept::Superseded);
    assert_eq!(keep.current(connection.id, 2).await, Some(secrets("by hand")));
    let options_only = ConnectionUpdate { secrets: None, ..update };
    db.update_connection(connection.id, options_only, None, Timestamp::UNIX_EPOCH).await.expect("changed");
    assert_eq!(keep.current(connection.id, 3).await, Some(secrets("by hand")), "no secret was touched");
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
    let now = keep.current(connection.id, 1).await.expect("there");
    assert_eq!((now.0["refresh"].as_str(), now.0["client"].as_str()), ("two", "new client"));
}
