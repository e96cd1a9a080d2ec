//! A store of layout 3 is read on: with rows as the program of that layout wrote them.

use redb::{Database, ReadableDatabase as _, TableHandle as _, backends::InMemoryBackend};

use super::*;

/// A connector of which 1.0.0 is active, and 1.1.0 was kept from serving the connection A: its check failed.
const CONNECTOR: &[&str] = &[
    "0876657273696f6e730856657273696f6e730105312e302e301e323032362d31312d32365431333a32363a31322e36383333",
    "32323935355a0110000000000000000000000000000000010d41646d696e6973747261746f7200000000032573656e642047",
    "455420746f2074686520636f6e6e656374696f6e277320686f73742c202f2a47746f6b656e3a2061757468656e7469636174",
    "6520617320697473207265636970652033343561623039636637303662363330656535393164316237646435613937322073",
    "61797340746f6b656e3a2073656e64207468652063726564656e7469616c20776974682047455420746f2074686520636f6e",
    "6e656374696f6e277320686f73742c202f2a0105312e312e3001011001a2180908c772cbab00c3d55496d9df000401010101",
    "41016b636f6e6e656374696f6e20413a2074686520636865636b206661696c732028697420646f6573206e6f742077697468",
    "207468652076657273696f6e207468617420736572766573293a2061757468656e7469636174653a20746869732076657273",
    "696f6e2063616e6e6f7410000000000000000000000000000000010d41646d696e6973747261746f72001e323032362d3131",
    "2d32365431333a32363a31362e3333333934373834385a0404",
];

/// Its version 1.1.0.
const VERSION: &[&str] = &[
    "0876657273696f6e7305312e312e301356657273696f6e73206f662061206775657374406532343139616637373466303539",
    "3463343433323834383666333635316366666136653461366334653432366163386431393963636539336137386265616262",
    "b38d0a0108756e7369676e656440313833376661363465396339323530313234396532363331613538643362393962666262",
    "6234393738656265646566363766363965346433616566386364336540663264386432336166393038653835396535323439",
    "62376262636436666534323836363637613064373161336138633232383130643762636565323434343363032573656e6420",
    "47455420746f2074686520636f6e6e656374696f6e277320686f73742c202f2a47746f6b656e3a2061757468656e74696361",
    "7465206173206974732072656369706520333435616230396366373036623633306565353931643162376464356139373220",
    "7361797340746f6b656e3a2073656e64207468652063726564656e7469616c20776974682047455420746f2074686520636f",
    "6e6e656374696f6e277320686f73742c202f2a0110000000000000000000000000000000010d41646d696e6973747261746f",
    "72001d323032362d31312d32365431333a32363a31342e39363130383339395a00",
];

fn bytes(hexadecimal: &[&str]) -> Vec<u8> {
    let text = hexadecimal.concat();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal")).collect()
}

fn layout_3() -> Database {
    let database = Database::builder().create_with_backend(InMemoryBackend::new()).expect("database");
    let transaction = database.begin_write().expect("write");
    {
        let mut rows = transaction.open_table(CONNECTORS).expect("table");
        rows.insert("versions", bytes(CONNECTOR).as_slice()).expect("insert");
        let mut rows = transaction.open_table(VERSIONS).expect("table");
        rows.insert(("versions", "1.1.0"), bytes(VERSION).as_slice()).expect("insert");
        let mut meta = transaction.open_table(TableDefinition::<&str, u128>::new("meta/1")).expect("table");
        meta.insert("schema", 3).expect("insert");
    }
    transaction.commit().expect("commit");
    database
}

#[test]
fn a_store_of_layout_3_is_read_on() {
    let database = layout_3();
    let transaction = database.begin_write().expect("write");
    {
        let mut rows = WriteRows::open(&transaction).expect("tables");
        super::super::migrate(&transaction, &mut rows).expect("migrate");
        let row = rows.connectors.get("versions").expect("get").expect("connector");
        let connector: Installed = decode(row.value()).expect("row");
        assert_eq!((connector.active_version(), connector.revision), (Some("1.0.0"), 4));
        assert_eq!((connector.granted.len(), connector.previous.len(), connector.canary), (3, 0, None));
        let rollout = connector.rollout.expect("rollout");
        assert_eq!((rollout.version.as_str(), rollout.step, rollout.shadow), ("1.1.0", Step::Blocked, false));
        assert_eq!((rollout.began, rollout.revision, rollout.canary.map(|chosen| chosen.len())), (4, 4, Some(1)));
        assert_eq!(rollout.by.map(|by| by.name).as_deref(), Some("Administrator"));
        let finding = &rollout.findings[0];
        assert!(finding.step == Step::Check && finding.blocks && finding.message.contains("this version cannot"));
        let row = rows.connector_versions.get(("versions", "1.1.0")).expect("get").expect("version");
        let version: Version = decode(row.value()).expect("row");
        assert_eq!((version.title.as_str(), version.origin), ("Versions of a guest", Origin::Upload));
        assert_eq!((version.permissions.len(), version.taken_back, version.built), (3, None, Built::default()));
        assert_eq!(version.by.map(|by| by.name).as_deref(), Some("Administrator"));
    }
    transaction.commit().expect("commit");
    let transaction = database.begin_read().expect("read");
    let names: Vec<String> = transaction.list_tables().expect("tables").map(|table| table.name().to_owned()).collect();
    assert!(names.iter().all(|name| !["connectors/1", "connector_versions/1"].contains(&name.as_str())), "{names:?}");
}
