//! What a sync costs: columns are read where definitions changed, by whichever way there is, and never told in part.

use serde_json::json;
use wharfinger_simulators::snowflake::{Change, KeyForm, Kind, Method, NewColumn, Snowflake, path};
use wharfinger_tests::rows;

use super::{KEY, URL, account, assert_equal, host, shape};

/// Names of the first database, its first schema, and the objects in it.
fn first(platform: &Snowflake) -> (String, String, Vec<String>) {
    platform.read(|account| {
        let (database, inside) = account.databases.iter().next().expect("database");
        let (schema, inside) = inside.schemas.iter().next().expect("schema");
        (database.clone(), schema.clone(), inside.tables.keys().cloned().collect())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_of_an_unchanged_account_reads_no_column_and_writes_no_row() -> anyhow::Result<()> {
    let platform = account(shape(2, 3, 40, 5)).await?;
    let host = host(&platform).await?;
    host.client().register(&platform.payload_for(KEY, Method::KeyPair(KeyForm::Pkcs8))).await?;
    let look = |data: &std::path::Path| rows::of_inventory(&data.join("wharfinger.redb"));
    let (host, before) = host.restart_after(look).await?;
    // Rows come in: that is no change of a definition.
    let (database, schema, tables) = first(&platform);
    platform.change(&Change::Insert { path: path(&[&database, &schema, &tables[0]]), rows: 17 })?;
    platform.reset_counters();
    host.client().sync(URL).await?;
    let traffic = platform.traffic();
    let (host, after) = host.restart_after(look).await?;
    assert_eq!(traffic.columns.requests, 0, "{traffic:?}");
    assert_eq!(before, after, "no object, column, index or change row was written");
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_change_is_reflected() -> anyhow::Result<()> {
    for method in [Method::UserPassword, Method::OAuthClientCredentials] {
        let platform = account(shape(2, 3, 40, 5)).await?;
        let host = host(&platform).await?;
        host.client().register(&platform.payload_for(KEY, method)).await?;
        let (database, schema, tables) = first(&platform);
        let table = |n: usize| path(&[&database, &schema, &tables[n]]);
        let column = platform.read(|a| a.table(&database, &schema, &tables[6]).expect("table").columns[0].name.clone());
        for change in [
            Change::add(path(&[&database, &schema, "BRAND_NEW"]), Kind::Dynamic, vec![NewColumn::new("ID", "NUMBER")]),
            Change::Drop { path: table(0) },
            Change::Rename { path: table(1), to: "RENAMED".into() },
            Change::Recreate { path: table(4) },
            Change::AddColumn { path: table(5), column: NewColumn::new("LATE", "VARCHAR(20)") },
            Change::DropColumn { path: table(6), column },
            Change::Comment { path: table(7), comment: Some("told".into()) },
            Change::Kind { path: table(8), kind: Kind::Iceberg },
            Change::add(path(&[&database, "NEW_SCHEMA"]), Kind::Table, vec![]),
        ] {
            platform.change(&change)?;
        }
        platform.reset_counters();
        let job = host.client().sync(URL).await?;
        assert_equal(&host, &platform).await?;
        assert_eq!(job["output"]["errors"], json!([]), "{job}");
        // One statement for the columns of all that changed, and one for each object that INFORMATION_SCHEMA cannot tell.
        assert!(platform.traffic().columns.requests < 12, "{:?}", platform.traffic());
        host.stop().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_information_schema_hides_is_read_all_the_same() -> anyhow::Result<()> {
    let platform = account(shape(1, 2, 30, 5)).await?;
    let (database, schema, tables) = first(&platform);
    for name in &tables[..4] {
        platform.change(&Change::Hide { path: path(&[&database, &schema, name]), hidden: true })?;
    }
    let host = host(&platform).await?;
    host.client().register(&platform.payload_for(KEY, Method::KeyPair(KeyForm::Pkcs8))).await?;
    assert_equal(&host, &platform).await?;
    // They have no fingerprint: a change is seen because they are read every time.
    let changed = path(&[&database, &schema, &tables[2]]);
    platform.change(&Change::AddColumn { path: changed, column: NewColumn::new("LATE", "DATE") })?;
    host.client().sync(URL).await?;
    assert_equal(&host, &platform).await?;
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_that_comes_or_goes_changes_no_column() -> anyhow::Result<()> {
    let platform = account(shape(1, 2, 60, 17)).await?;
    let host = host(&platform).await?;
    let payload = platform.payload_for(KEY, Method::KeyPair(KeyForm::Pkcs8));
    host.client().register(&payload).await?;
    for warehouse in [None, Some(payload["connection"]["warehouse"].clone())] {
        let mut connection = payload["connection"].clone();
        match warehouse {
            Some(name) => connection["warehouse"] = name,
            None => {
                connection.as_object_mut().expect("object").remove("warehouse");
            }
        }
        let change = json!({ "connection": connection });
        host.client().put(&format!("/data/connection/{URL}"), &change).await?.expect(200)?;
        let job = host.client().sync(URL).await?;
        assert_equal(&host, &platform).await?;
        assert_eq!(job["output"]["columns"], json!({"added": 0, "changed": 0, "deleted": 0}), "{job}");
    }
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_of_others_are_left_out_until_they_are_asked_for() -> anyhow::Result<()> {
    let platform = account(shape(2, 1, 5, 3)).await?;
    let imported = platform.with_model(|account| {
        let (name, database) = account.databases.iter_mut().next_back().expect("database");
        database.kind = "IMPORTED DATABASE".into();
        database.origin = "PARTNER.ACCOUNT.SHARE".into();
        name.clone()
    });
    let host = host(&platform).await?;
    let mut payload = platform.payload_for(KEY, Method::KeyPair(KeyForm::Pkcs8));
    host.client().register(&payload).await?;
    assert_equal(&host, &platform).await?;

    payload["connection"]["includeImported"] = true.into();
    let put = |payload: &serde_json::Value| json!({ "connection": payload["connection"] });
    host.client().put(&format!("/data/connection/{URL}"), &put(&payload)).await?.expect(200)?;
    host.client().sync(URL).await?;
    let url = format!("/data/object/{URL}/{imported}");
    let object = host.client().get(&url).await?.expect(200)?;
    assert_eq!(object.json["remoteStatus"], "present", "{}", object.text);
    let id = object.json["id"].clone();

    payload["connection"]["includeImported"] = false.into();
    host.client().put(&format!("/data/connection/{URL}"), &put(&payload)).await?.expect(200)?;
    host.client().sync(URL).await?;
    let object = host.client().get(&url).await?.expect(200)?;
    assert_eq!((&object.json["remoteStatus"], &object.json["id"]), (&json!("excluded"), &id), "{}", object.text);
    assert_equal(&host, &platform).await?;
    host.stop().await;
    Ok(())
}
