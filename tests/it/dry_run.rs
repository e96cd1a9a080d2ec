//! A dry run, from the API, the command line and the pages: the difference is told, and nothing is written.

use anyhow::Context;
use serde_json::{Value, json};
use wharfinger_simulators::unity_catalog::{Change, NewColumn, Options, Shape, UnityCatalog, generate::Names, path};
use wharfinger_tests::{TestHost, host::ADMIN_KEY, rows};

use crate::{cli::executable, pages::Browser};

const CRAWL: &str = "/data/crawl/My%20Lake";

/// Two catalogs, each with two schemas of twelve tables.
async fn platform() -> anyhow::Result<UnityCatalog> {
    let shape = Shape { catalogs: 2, schemas: 2, tables: 12, columns: 4, names: Names::Plain };
    Ok(UnityCatalog::start(Options::new(shape.generate(5))).await?)
}

/// Names of the first catalog, of its two schemas, and of the first one's tables.
fn names(platform: &UnityCatalog) -> (String, Vec<String>, Vec<String>) {
    platform.read(|metastore| {
        let (catalog, inside) = metastore.catalogs.iter().next().expect("catalog");
        let tables = inside.schemas.values().next().expect("schema").tables.keys().cloned().collect();
        (catalog.clone(), inside.schemas.keys().cloned().collect(), tables)
    })
}

/// A bit of everything happens.
fn mutate(platform: &UnityCatalog) -> anyhow::Result<()> {
    let (catalog, schemas, tables) = names(platform);
    let at = |n: usize| path(&[&catalog, &schemas[0], &tables[n]]);
    let first_column = platform.read(|metastore| {
        let table = metastore.tables().find(|(path, _)| path.map(str::to_owned).to_vec() == at(3));
        table.and_then(|(_, table)| table.columns.first()).map(|column| column.name.clone())
    });
    let added = |names: &[&str]| Change::Add {
        path: path(names),
        columns: vec![NewColumn::new("id", "bigint")],
        comment: None,
    };
    for change in [
        Change::Add { path: path(&["brand_new"]), columns: vec![], comment: None },
        Change::Add { path: path(&["brand_new", "s"]), columns: vec![], comment: None },
        added(&["brand_new", "s", "one"]),
        added(&["brand_new", "s", "two"]),
        added(&[&catalog, &schemas[0], "late"]),
        Change::Drop { path: at(0) },
        Change::Rename { path: at(1), to: "renamed".into() },
        Change::Swap { path: at(5), with: tables[6].clone() },
        Change::Recreate { path: at(7) },
        Change::Comment { path: at(2), comment: Some("another".into()) },
        Change::AddColumn { path: at(3), column: NewColumn::new("extra", "string"), at: None },
        Change::DropColumn { path: at(3), column: first_column.context("a column")? },
        Change::Move { path: at(4), to: path(&[&catalog, &schemas[1], "moved"]) },
        Change::Rename { path: path(&[&catalog, &schemas[1]]), to: "aaa".into() },
    ] {
        platform.change(&change).with_context(|| format!("{change:?}"))?;
    }
    Ok(())
}

/// All changes of a job, by small pages.
async fn changes(host: &TestHost, job: &Value) -> anyhow::Result<Vec<Value>> {
    let url = format!("/jobs/{}/changes?size=3", job["id"].as_str().context("id")?);
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = host.client().get(&format!("{url}{cursor}")).await?.expect(200)?.json;
        all.extend(page["changes"].as_array().context("changes")?.iter().cloned());
        if page["more"] != true {
            return Ok(all);
        }
        cursor = format!("&cursor={}", page["next"].as_str().context("next")?);
    }
}

/// What is told of changes besides ids, times and whether they were made.
fn told(changes: &[Value]) -> Vec<String> {
    let mut lines: Vec<String> = changes
        .iter()
        .cloned()
        .map(|mut change| {
            let fields = change.as_object_mut().expect("a change");
            for name in ["sequence", "at", "applied", "objectId", "exists", "jobId"] {
                assert!(fields.remove(name).is_some(), "{name}");
            }
            change.to_string()
        })
        .collect();
    lines.sort();
    lines
}

async fn dry_run(host: &TestHost) -> anyhow::Result<Value> {
    let answer = host.client().post(CRAWL, &json!({ "dryRun": true })).await?.expect(202)?;
    host.client().completed(answer.json["bulkId"].as_str().context("bulkId")?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_what_the_next_sync_changes_and_writes_nothing() -> anyhow::Result<()> {
    let platform = platform().await?;
    let host = TestHost::start().await?;
    host.client().register(&platform.payload("My Lake")).await?;
    let none = dry_run(&host).await?;
    assert_eq!(none["output"]["changes"], json!({ "found": 0, "listed": 0 }), "{none}");
    mutate(&platform)?;
    let look = |data: &std::path::Path| rows::of_inventory(&data.join("wharfinger.redb"));
    let (host, before) = host.restart_after(look).await?;
    let dry = dry_run(&host).await?;
    let (host, after) = host.restart_after(look).await?;
    assert_eq!(before, after, "no object, column, index or change row was written");
    assert_eq!(dry["output"]["dryRun"], true);
    let would = changes(&host, &dry).await?;
    assert_eq!(dry["output"]["changes"], json!({ "found": would.len(), "listed": would.len() }), "{dry}");
    assert!(would.iter().all(|change| change["applied"] == "no" && change["jobId"] == dry["id"]), "{would:?}");
    for kind in ["added", "changed", "columns", "missing", "moved", "recreated"] {
        assert!(would.iter().any(|change| change["kind"] == kind), "{kind}: {would:?}");
    }
    let is_there = |change: &&Value| change["kind"] == "added";
    assert!(would.iter().filter(is_there).all(|change| change["exists"] == false));
    let summary = host.client().get("/jobs/summary").await?.expect(200)?.json;
    assert_eq!(summary["connections"][0]["lastJob"]["output"]["dryRun"], false, "it says nothing about the inventory");

    let real = host.client().sync("My%20Lake").await?;
    let did = changes(&host, &real).await?;
    assert_eq!(told(&would), told(&did));
    assert!(did.iter().all(|change| change["applied"] == "yes"));
    for counts in ["seen", "added", "changed", "missing", "returned", "excluded", "columns", "errorCount"] {
        assert_eq!(dry["output"][counts], real["output"][counts], "{counts}: {dry} {real}");
    }
    assert_eq!((&real["output"]["dryRun"], real["output"].get("changes")), (&json!(false), None));
    assert_eq!(host.app().db().verify().await?, []);
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_goes_on_after_a_restart() -> anyhow::Result<()> {
    let platform = platform().await?;
    let host = TestHost::start().await?;
    host.client().register(&platform.payload("My Lake")).await?;
    mutate(&platform)?;
    platform.set_latency(std::time::Duration::from_millis(150));
    let answer = host.client().post(CRAWL, &json!({ "dryRun": true })).await?.expect(202)?;
    let bulk = answer.json["bulkId"].as_str().context("bulkId")?.to_owned();
    let mut host = host;
    for _ in 0..2 {
        tokio::time::sleep(std::time::Duration::from_millis(350)).await;
        host = host.restart().await?;
    }
    platform.set_latency(std::time::Duration::ZERO);
    let dry = host.client().completed(&bulk).await?;
    let would = changes(&host, &dry).await?;
    let real = host.client().sync("My%20Lake").await?;
    assert_eq!(told(&would), told(&changes(&host, &real).await?));
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_needs_the_rights_of_a_sync() -> anyhow::Result<()> {
    let platform = platform().await?;
    let host = TestHost::start().await?;
    host.client().register(&platform.payload("My Lake")).await?;
    let (catalog, schemas, _) = names(&platform);
    let schema = &schemas[0];
    mutate(&platform)?;
    let url = format!("/data/object/My%20Lake/{catalog}/{schema}");
    let id = host.client().get(&url).await?.expect(200)?.json["id"].as_str().context("id")?.parse()?;
    let owner = host.owner_of("Olga", vec![id]).await?;
    let body = json!({ "dryRun": true });
    assert_eq!(owner.post(CRAWL, &body).await?.status, 403, "the connection only leads to what is owned");
    let answer = owner.post(&format!("{CRAWL}/{catalog}/{schema}"), &body).await?.expect(202)?;
    let job = owner.completed(answer.json["bulkId"].as_str().context("bulkId")?).await?;
    let seen = owner.get(&format!("/jobs/{}/changes", job["id"].as_str().context("id")?)).await?.expect(200)?.json;
    let seen = seen["changes"].as_array().context("changes")?;
    assert!(seen.iter().any(|change| change["kind"] == "added"), "{seen:?}");
    assert!(seen.iter().all(|change| change["objectPath"][2] == json!(schema)), "{seen:?}");
    let nobody = host.owner_of("Norbert", vec![]).await?;
    let changes = format!("/jobs/{}/changes", job["id"].as_str().context("id")?);
    for answer in [nobody.post(CRAWL, &body).await?, nobody.get(&changes).await?] {
        assert!(matches!(answer.status.as_u16(), 403 | 404), "{}", answer.text);
    }

    let several = json!({ "dryRun": true, "objectPaths": [["My Lake"]] });
    let answer = host.client().post("/data/crawl", &several).await?.expect(400)?;
    assert!(answer.message().contains("dryRun"), "{}", answer.text);
    assert_eq!(host.client().post(CRAWL, &json!({ "dryRun": "yes" })).await?.status, 400);
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_and_the_pages_say_what_would_change() -> anyhow::Result<()> {
    let platform = platform().await?;
    let host = TestHost::start().await?;
    host.client().register(&platform.payload("My Lake")).await?;
    mutate(&platform)?;
    let run = async |args: &[&str]| -> anyhow::Result<(Option<i32>, String)> {
        let mut command = executable();
        command.args(args).env("WHARFINGER_URL", host.client().base()).env("WHARFINGER_API_KEY", ADMIN_KEY);
        let output = command.output().await?;
        Ok((output.status.code(), String::from_utf8(output.stdout)?))
    };
    let (code, text) = run(&["connection", "sync", "My Lake", "--dry-run"]).await?;
    assert!(code == Some(0) && text.starts_with("WOULD BE"), "{text}");
    assert!(text.contains("\"My Lake\".brand_new.s.one") && text.contains("missing"), "{text}");
    assert!(text.contains("+ extra:string") && text.contains("Nothing was changed."), "{text}");
    let (code, text) = run(&["connection", "sync", "My Lake", "--dry-run", "--json"]).await?;
    let shown: Value = serde_json::from_str(&text)?;
    let found = shown["job"]["output"]["changes"]["found"].as_u64().context("found")?;
    let listed = shown["changes"].as_array().context("changes")?.len();
    assert!(code == Some(0) && found > 10 && found == u64::try_from(listed)?, "{text}");

    let browser = Browser::signed_in(&host).await?;
    let id = host.client().get("/data/object/My%20Lake").await?.expect(200)?.json["id"].clone();
    let sync = format!("/ui/object/{}/sync", id.as_str().context("id")?);
    assert!(browser.get(&sync).await?.text.contains("Show what would change"));
    let answer = browser.submit(&sync, &sync, &[("dryRun", "1")]).await?;
    let page = answer.header("location").to_owned();
    assert!(page.starts_with("/ui/jobs/"), "{page}");
    let job = page.rsplit('/').next().context("id")?;
    let all = host.client().get(&format!("/jobs/{job}")).await?.expect(200)?.json;
    host.client().completed(all["bulkId"].as_str().context("bulkId")?).await?;
    let text = browser.get(&page).await?.text;
    for part in
        ["Dry run", "the inventory stays as it is", "What a sync would change", "Would be added", "Would be missing"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("What it changed") && !text.contains(">gone<"), "{text}");
    assert!(browser.get(&format!("{page}/changes")).await?.text.contains("What a sync would change"));
    assert!(browser.get("/ui/jobs").await?.text.contains("Dry run"));
    host.stop().await;
    Ok(())
}
