//! What a sync makes of a platform that changes, fails and lies.

use wharfinger_simulators::{
    fault::{Fault, Rule},
    unity_catalog::{Change, NewColumn, Options, Shape, UnityCatalog, generate::Names, path},
};
use wharfinger_tests::{
    TestHost,
    inventory::{differences, equal, first, of_host, of_metastore, without_container_ids},
    rows,
};

const KEY: &str = "My Lake";

/// The inventory holds what the platform has, and nothing of it is called missing.
async fn assert_equal(host: &TestHost, platform: &UnityCatalog) -> anyhow::Result<()> {
    equal(host.app().db(), KEY, platform).await?;
    let violations = host.app().db().verify().await?;
    assert!(violations.is_empty(), "{violations:?}");
    Ok(())
}

async fn platform(catalogs: usize, schemas: usize, tables: usize, names: Names) -> anyhow::Result<UnityCatalog> {
    let shape = Shape { catalogs, schemas, tables, columns: 5, names };
    Ok(UnityCatalog::start(Options::new(shape.generate(7))).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_registration_finds_everything() -> anyhow::Result<()> {
    let platform = platform(3, 4, 120, Names::Plain).await?;
    let host = TestHost::start().await?;
    let job = host.client().register(&platform.payload(KEY)).await?;
    assert_equal(&host, &platform).await?;
    assert_eq!(job["output"]["added"]["table"], job["output"]["seen"]["table"], "{job}");
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_to_machine_credential_works_and_is_renewed() -> anyhow::Result<()> {
    let platform = platform(2, 2, 120, Names::Plain).await?;
    platform.fault(Rule::once("/tables", Fault::ExpireTokens).from(3));
    let host = TestHost::start().await?;
    host.client().register(&platform.m2m_payload(KEY)).await?;
    assert_equal(&host, &platform).await?;
    assert!(platform.access(|access| access.issued()) >= 2, "the expired token was replaced");
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_connection_still_finds_everything_once_and_then_rests() -> anyhow::Result<()> {
    let platform = platform(2, 2, 60, Names::Plain).await?;
    let host = TestHost::start().await?;
    let mut payload = platform.payload(KEY);
    payload.as_object_mut().expect("object").remove("settings");
    host.client().register(&payload).await?;
    let mut expected = without_container_ids(platform.read(of_metastore));
    expected.values_mut().for_each(|entry| entry.columns = None);
    let found = without_container_ids(of_host(host.app().db(), KEY).await?);
    assert_eq!(differences(&expected, &found), "", "found, without columns");

    platform.reset_counters();
    let job = host.client().sync("My%20Lake").await?;
    assert_eq!(platform.counters().requests, 1, "only the catalogs are listed again: {job}");

    // "Also scan all disabled data objects".
    let answer = host
        .client()
        .post("/data/crawl/My%20Lake", &serde_json::json!({ "forceRecursive": true }))
        .await?
        .expect(202)?;
    host.client().completed(answer.json["bulkId"].as_str().expect("bulkId")).await?;
    assert_equal(&host, &platform).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn enabling_fetches_the_columns() -> anyhow::Result<()> {
    let platform = platform(1, 2, 130, Names::Plain).await?;
    let host = TestHost::start().await?;
    let mut payload = platform.payload(KEY);
    payload.as_object_mut().expect("object").remove("settings");
    host.client().register(&payload).await?;
    let body = serde_json::json!({ "settings": { "isActive": true } });
    let answer = host.client().put("/data/settings/My%20Lake", &body).await?.expect(200)?;
    host.client().completed(answer.json["bulkId"].as_str().expect("a sync follows")).await?;
    assert_equal(&host, &platform).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_change_is_reflected_and_nothing_else_is_read() -> anyhow::Result<()> {
    let platform = platform(3, 3, 60, Names::Plain).await?;
    let host = TestHost::start().await?;
    host.client().register(&platform.payload(KEY)).await?;
    let (catalog, schema, tables) = platform.read(first);
    let ids_before = of_host(host.app().db(), KEY).await?;
    let table = |n: usize| path(&[&catalog, &schema, &tables[n]]);
    for change in [
        Change::Add {
            path: path(&[&catalog, &schema, "brand_new"]),
            columns: vec![NewColumn::new("id", "bigint")],
            comment: None,
        },
        Change::Drop { path: table(0) },
        Change::Rename { path: table(1), to: "renamed".into() },
        Change::Swap { path: table(2), with: tables[3].clone() },
        Change::Recreate { path: table(4) },
        Change::AddColumn { path: table(5), column: NewColumn::new("late", "string"), at: Some(0) },
        Change::DropColumn {
            path: table(6),
            column: platform.read(|m| m.table(&catalog, &schema, &tables[6]).expect("table").columns[0].name.clone()),
        },
        Change::Comment { path: table(7), comment: Some("told".into()) },
        Change::Add { path: path(&[&catalog, "new_schema"]), columns: vec![], comment: None },
    ] {
        platform.change(&change)?;
    }
    platform.reset_counters();
    let job = host.client().sync("My%20Lake").await?;
    assert_equal(&host, &platform).await?;
    let all = of_host(host.app().db(), KEY).await?;
    let missing: Vec<_> = all.iter().filter(|(_, entry)| !entry.present).map(|(path, _)| path.clone()).collect();
    assert_eq!(missing, [table(0)], "only what was dropped is missing: {job}");
    assert_eq!(all.len(), ids_before.len() + 2, "a rename is a rename");
    // 1 for catalogs, 3 for schemas, 9 × 2 + 1 for tables, a few for what changed: not one per table.
    assert!(platform.counters().requests < 45, "{:?}", platform.counters());
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_of_an_unchanged_catalogue_changes_nothing() -> anyhow::Result<()> {
    let platform = platform(2, 3, 70, Names::Plain).await?;
    let host = TestHost::start().await?;
    host.client().register(&platform.payload(KEY)).await?;
    let look = |data: &std::path::Path| rows::of_inventory(&data.join("wharfinger.redb"));
    let (host, before) = host.restart_after(look).await?;
    let job = host.client().sync("My%20Lake").await?;
    let output = &job["output"];
    for counts in ["added", "changed", "missing", "returned"] {
        let sum: u64 = output[counts].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
        assert_eq!(sum, 0, "{counts}: {output}");
    }
    let (host, after) = host.restart_after(look).await?;
    assert_eq!(before, after, "no object, column, index or change row was written");
    assert_eq!(before["objects/1"].0, 1 + 2 + 2 * 3 + 2 * 3 * 70);
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_listing_never_makes_anything_missing() -> anyhow::Result<()> {
    let platform = platform(2, 2, 120, Names::Plain).await?;
    let host = TestHost::start().await?;
    host.client().register(&platform.payload(KEY)).await?;
    let whole = of_host(host.app().db(), KEY).await?;
    for (what, is_lasting, fault) in [
        ("not found", true, Fault::error(404, "SCHEMA_DOES_NOT_EXIST", "Schema does not exist.")),
        ("no right", true, Fault::error(403, "PERMISSION_DENIED", "User does not have USE SCHEMA.")),
        ("sign-in page", false, Fault::Html { status: 200 }),
        ("truncated", false, Fault::Truncate { after: 500 }),
    ] {
        platform.fault(Rule::always("/tables", fault).from(2).every(2));
        let answer = host.client().post("/data/crawl/My%20Lake", &serde_json::json!({})).await?.expect(202)?;
        let jobs = host.client().finished(answer.json["bulkId"].as_str().expect("bulkId")).await?;
        platform.clear_faults();
        let found = of_host(host.app().db(), KEY).await?;
        assert_eq!(differences(&whole, &found), "", "{what}: {jobs:?}");
        // What passes is tried again; what lasts is told.
        let told = jobs[0]["output"]["errors"].as_array().is_some_and(|errors| !errors.is_empty());
        assert_eq!(told, is_lasting, "{what}: {jobs:?}");
    }
    host.client().sync("My%20Lake").await?;
    assert_equal(&host, &platform).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_troubles_of_the_platform_are_ridden_out() -> anyhow::Result<()> {
    let platform = platform(2, 2, 120, Names::Plain).await?;
    for rule in [
        Rule::once("/catalogs", Fault::busy(503, 1)),
        Rule::once("/schemas", Fault::busy(429, 1)),
        Rule::once("/tables", Fault::Reset).from(2),
        Rule::once("/tables", Fault::Twisted { twist: wharfinger_simulators::unity_catalog::Twist::UnknownEnums })
            .from(4),
    ] {
        platform.fault(rule);
    }
    let host = TestHost::start().await?;
    host.client().register(&platform.payload(KEY)).await?;
    platform.clear_faults();
    host.client().sync("My%20Lake").await?;
    assert_equal(&host, &platform).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_come_through_as_they_are() -> anyhow::Result<()> {
    for names in [Names::Odd, Names::Hostile] {
        let platform = platform(2, 2, 40, names).await?;
        let host = TestHost::start().await?;
        host.client().register(&platform.payload(KEY)).await?;
        assert_equal(&host, &platform).await?;
        // Each object is found under its own URL, and is the one that was asked for.
        for object in host.client().descendants("My%20Lake").await? {
            // Clients take `%2E%2E` for the folder above; such a name is asked for by id.
            if object["objectPath"].as_array().expect("path").iter().any(|name| name == "." || name == "..") {
                let id = object["id"].as_str().expect("id");
                host.client().get(&format!("/data/object?id={id}")).await?.expect(200)?;
                continue;
            }
            let url = object["objectPath"]
                .as_array()
                .expect("path")
                .iter()
                .map(|name| encode(name.as_str().expect("name")))
                .collect::<Vec<_>>()
                .join("/");
            let answer = host.client().get(&format!("/data/object/{url}")).await?.expect(200)?;
            assert_eq!(answer.json["id"], object["id"], "{url}");
        }
        host.stop().await;
    }
    Ok(())
}

/// Every byte that is not plain, percent-encoded.
fn encode(name: &str) -> String {
    name.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_of_one_schema_or_table_stays_inside_it() -> anyhow::Result<()> {
    let platform = platform(2, 2, 60, Names::Plain).await?;
    let host = TestHost::start().await?;
    host.client().register(&platform.payload(KEY)).await?;
    let (catalog, schema, tables) = platform.read(first);
    let other = platform.read(|m| m.catalogs[&catalog].schemas.keys().nth(1).cloned().expect("second schema"));
    for (schema, name) in [(&schema, "inside"), (&other, "outside")] {
        platform.change(&Change::Add { path: path(&[&catalog, schema, name]), columns: vec![], comment: None })?;
    }
    platform.change(&Change::AddColumn {
        path: path(&[&catalog, &schema, &tables[3]]),
        column: NewColumn::new("late", "string"),
        at: None,
    })?;
    platform.change(&Change::Drop { path: path(&[&catalog, &schema, &tables[5]]) })?;

    host.client().sync(&format!("My%20Lake/{catalog}/{schema}/{}", tables[3])).await?;
    let found = of_host(host.app().db(), KEY).await?;
    assert_eq!(found[&path(&[&catalog, &schema, &tables[3]])].columns.as_ref().map(Vec::len), Some(6));
    assert!(!found.contains_key(&path(&[&catalog, &schema, "inside"])));
    assert!(found[&path(&[&catalog, &schema, &tables[5]])].present);

    host.client().sync(&format!("My%20Lake/{catalog}/{schema}")).await?;
    let found = of_host(host.app().db(), KEY).await?;
    assert!(found.contains_key(&path(&[&catalog, &schema, "inside"])));
    assert!(!found.contains_key(&path(&[&catalog, &other, "outside"])));
    assert!(!found[&path(&[&catalog, &schema, &tables[5]])].present);
    host.client().sync("My%20Lake").await?;
    assert_equal(&host, &platform).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_changed_during_a_sync_is_synced_with_what_holds_now() -> anyhow::Result<()> {
    let platform = platform(3, 3, 120, Names::Plain).await?;
    platform.set_latency(std::time::Duration::from_millis(60));
    let host = TestHost::start().await?;
    let payload = platform.payload(KEY);
    let answer = host.client().post("/data/connection", &payload).await?.expect(201)?;
    let mut connection = payload["connection"].clone();
    connection["httpPath"] = "/sql/1.0/changed".into();
    let body = serde_json::json!({ "connection": connection });
    host.client().put("/data/connection/My%20Lake", &body).await?.expect(200)?;
    platform.set_latency(std::time::Duration::ZERO);
    host.client().completed(answer.json["bulkId"].as_str().expect("bulkId")).await?;
    assert_equal(&host, &platform).await?;
    host.stop().await;
    Ok(())
}
