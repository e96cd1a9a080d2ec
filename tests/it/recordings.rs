//! The bundled connector, in its sandbox, against answers recorded from the open-source Unity Catalog server.
//!
//! The truth is computed here, from the recordings themselves: every object and every column must stand in the inventory
//! as the server wrote it, whatever the size of its pages.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wharfinger_simulators::recordings::{self, Options, Player, Recording};
use wharfinger_tests::{Client, TestHost};

const KEY: &str = "Recorded";

/// What the server says of a table, a schema or a catalog.
#[derive(Debug, PartialEq)]
struct Truth {
    object_type: String,
    kind: &'static str,
    id: String,
    comment: Option<String>,
    /// None for containers.
    columns: Option<Vec<Value>>,
}

fn read(wanted: impl Fn(u32) -> bool) -> Result<BTreeMap<u32, Recording>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/unity-catalog-oss");
    Ok(recordings::read(&folder, wanted)?)
}

/// Everything that the recordings of a walk list, by path.
fn truth(walk: &BTreeMap<u32, Recording>) -> BTreeMap<Vec<String>, Truth> {
    let mut truth = BTreeMap::new();
    let text = |of: &Value, key: &str| of[key].as_str().map(str::to_owned);
    for page in walk.values().map(|recording| recording.response.json()) {
        for (list, id) in [("catalogs", "id"), ("schemas", "schema_id"), ("tables", "table_id")] {
            for of in page[list].as_array().into_iter().flatten() {
                let names = ["catalog_name", "schema_name", "name"].into_iter().filter_map(|key| text(of, key));
                let columns = of["columns"].as_array().map(|columns| columns.iter().map(column).collect());
                let (object_type, kind) = match list {
                    "catalogs" => ("database".to_owned(), "container"),
                    "schemas" => ("schema".to_owned(), "container"),
                    _ => (table_type(of["table_type"].as_str().unwrap_or_default()), "table-like"),
                };
                let id = text(of, id).unwrap_or_default();
                truth.insert(names.collect(), Truth { object_type, kind, id, comment: text(of, "comment"), columns });
            }
        }
    }
    truth
}

fn table_type(theirs: &str) -> String {
    match theirs {
        "MANAGED" => "table".to_owned(),
        "EXTERNAL" => "external_table".to_owned(),
        other => other.to_lowercase(),
    }
}

/// A column as the API gives it.
fn column(of: &Value) -> Value {
    json!({
        "name": of["name"],
        "dataType": of["type_text"],
        "nullable": of["nullable"],
        "comment": of["comment"],
        "position": of["position"],
    })
}

/// Path segments for a URL.
fn url(path: &[String]) -> String {
    let encode = |name: &String| {
        let bytes = name.bytes();
        bytes
            .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
            .collect::<String>()
    };
    path.iter().map(encode).collect::<Vec<_>>().join("/")
}

fn payload(player: &Player) -> Value {
    json!({
        "connectionKey": KEY,
        "connection": {
            "technology": "Databricks",
            "hostname": format!("http://{}", player.addr().ip()),
            "port": player.addr().port(),
            "authenticationType": "token",
            "token": "a-token-that-nobody-asks-for",
        },
        "settings": {"isActive": true, "activateNewChildren": true},
    })
}

/// Compares the whole inventory with the truth, field by field.
async fn compare(client: &Client, truth: &BTreeMap<Vec<String>, Truth>) -> Result<()> {
    let mut found = BTreeMap::new();
    for object in client.descendants(KEY).await? {
        let names: Vec<String> = serde_json::from_value(object["objectPath"].clone())?;
        assert_eq!(found.insert(names[1..].to_vec(), object), None, "{names:?} is there twice");
    }
    found.remove(&vec![]);
    assert_eq!(found.keys().collect::<Vec<_>>(), truth.keys().collect::<Vec<_>>());
    for (path, want) in truth {
        let object = &found[path];
        let told = json!([want.object_type, want.kind, want.id, want.comment, "present"]);
        let stored = json!([
            object["objectType"],
            object["kind"],
            object["remoteId"],
            object["comment"],
            object["remoteStatus"]
        ]);
        assert_eq!(stored, told, "{path:?}");
        if let Some(columns) = &want.columns {
            let whole = [&[KEY.to_owned()], &path[..]].concat();
            let answer = client.get(&format!("/data/columns/{}", url(&whole))).await?.expect(200)?;
            let stored = answer.json["columns"].as_array().with_context(|| format!("columns of {path:?}"))?;
            assert_eq!(stored, columns, "{path:?}");
        }
    }
    Ok(())
}

/// One walk: first sync, comparison, then a sync of the same unchanged thing.
async fn walk(numbers: std::ops::RangeInclusive<u32>, ignored: &[&str]) -> Result<()> {
    let first = read(|number| numbers.contains(&number))?;
    let truth = truth(&first);
    let leaves = truth.values().filter(|of| of.columns.is_some()).count();
    assert_eq!((truth.len(), leaves), (333, 320));
    // 027 answers `check`; 935 to 950 list the same without columns.
    let played = read(|number| number == 27 || numbers.contains(&number) || (935..=950).contains(&number))?;
    let ignored = ["include_browse"].iter().chain(ignored).map(|&name| name.to_owned()).collect();
    let player = Player::start(&played, Options { ignored }).await?;
    let host = TestHost::start().await?;

    let job = host.client().register(&payload(&player)).await?;
    assert_eq!((&job["output"]["errorCount"], player.unknown()), (&json!(0), vec![]), "{job}");
    compare(host.client(), &truth).await?;

    let before = host.client().descendants(KEY).await?;
    player.reset_counters();
    let job = host.client().sync(KEY).await?;
    let asked: Vec<String> = player.journal().into_iter().map(|entry| entry.target).collect();
    let tables = asked.iter().filter(|target| target.contains("/tables"));
    assert!(tables.clone().count() >= 10 && tables.clone().all(|of| of.contains("omit_columns=true")), "{asked:#?}");
    assert_eq!((asked.len(), player.unknown()), (16, vec![]), "one request for each page, and nothing else");
    for kind in ["added", "changed", "missing", "returned"] {
        assert_eq!(job["output"][kind], json!({}), "{kind}: {job}");
    }
    assert_eq!(without_times(before), without_times(host.client().descendants(KEY).await?));
    compare(host.client(), &truth).await?;
    host.stop().await;
    Ok(())
}

/// When a container was last listed may move; nothing else may.
fn without_times(mut objects: Vec<Value>) -> Vec<Value> {
    for object in &mut objects {
        object.as_object_mut().expect("an object").remove("lastSyncedAt");
    }
    objects
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_answers_by_the_servers_own_pages_become_the_inventory() -> Result<()> {
    walk(901..=916, &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_answers_by_pages_of_fifty_become_the_inventory() -> Result<()> {
    // The connector leaves the size to the server: here it is one whose pages hold 50.
    walk(917..=934, &["max_results"]).await
}

#[test]
fn both_walks_tell_the_same() -> Result<()> {
    let (own, fifty) = (truth(&read(|n| (901..=916).contains(&n))?), truth(&read(|n| (917..=934).contains(&n))?));
    assert!(own == fifty);
    let names: BTreeSet<_> =
        own.values().flat_map(|of| of.columns.iter().flatten()).filter_map(|of| of["name"].as_str()).collect();
    assert!(names.contains("") && names.contains(" "), "odd columns are among them");
    Ok(())
}
