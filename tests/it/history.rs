//! The history over HTTP, with the real host against a simulated platform: the feed is what the platform did, in order; its
//! cursor survives a kill; nobody reads of what is not theirs; and a stopped host's directory is checked from outside.

use std::{collections::BTreeSet, process::Command};

use anyhow::Context;
use serde_json::{Value, json};
use wharfinger_simulators::unity_catalog::{Change, NewColumn, Options, Shape, UnityCatalog, generate::Names, path};
use wharfinger_tests::{Client, TestHost, host::TempDir, inventory::first};

use crate::process::Process;

async fn platform(catalogs: usize, schemas: usize, tables: usize, names: Names) -> anyhow::Result<UnityCatalog> {
    let shape = Shape { catalogs, schemas, tables, columns: 4, names };
    Ok(UnityCatalog::start(Options::new(shape.generate(11))).await?)
}

/// A feed from a cursor to its end, in pages of this size, and the cursor behind it.
async fn feed(client: &Client, url: &str, size: usize, cursor: Option<&str>) -> anyhow::Result<(Vec<Value>, String)> {
    let mut changes = Vec::new();
    let mut cursor = cursor.map(str::to_owned);
    loop {
        let at = cursor.map(|c| format!("&cursor={c}")).unwrap_or_default();
        let page = client.get(&format!("{url}?size={size}{at}")).await?.expect(200)?;
        let page_of = page.json["changes"].as_array().context("changes")?;
        assert!(page_of.len() <= size, "{}", page.text);
        changes.extend(page_of.iter().cloned());
        let next = page.json["next"].as_str().context("next")?.to_owned();
        if page.json["more"] != true {
            return Ok((changes, next));
        }
        cursor = Some(next);
    }
}

/// "kind catalog/schema/table" of each change, in order.
fn lines(changes: &[Value]) -> Vec<String> {
    let names = |path: &Value| {
        path.as_array().into_iter().flatten().skip(1).filter_map(Value::as_str).collect::<Vec<_>>().join("/")
    };
    changes.iter().map(|c| format!("{} {}", c["kind"].as_str().unwrap_or("?"), names(&c["objectPath"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_is_what_the_platform_did_in_order() -> anyhow::Result<()> {
    let platform = platform(2, 2, 8, Names::Plain).await?;
    let host = TestHost::start().await?;
    let job = host.client().register(&platform.payload("Lake")).await?;
    let (all, mut cursor) = feed(host.client(), "/data/changes/Lake", 7, None).await?;
    let ids: BTreeSet<&str> = all.iter().filter_map(|c| c["objectId"].as_str()).collect();
    assert_eq!((all.len(), ids.len()), (1 + 2 + 4 + 32, 1 + 2 + 4 + 32), "each object is added once");
    assert!(all.iter().all(|c| c["kind"] == "added" && c["applied"] == "yes"), "{all:?}");
    assert_eq!(all[0]["by"]["name"], "Administrator", "who registered it");
    assert!(all[1..].iter().all(|c| c["jobId"] == job["id"]));

    let (catalog, schema, tables) = platform.read(first);
    let at = |n: usize| path(&[&catalog, &schema, &tables[n]]);
    let here = |n: usize| format!("{catalog}/{schema}/{}", tables[n]);
    let column = platform.read(|m| m.table(&catalog, &schema, &tables[1]).expect("table").columns[0].name.clone());
    let steps: Vec<(Change, Vec<String>)> = vec![
        (Change::Comment { path: at(0), comment: Some("told".into()) }, vec![format!("changed {}", here(0))]),
        (Change::DropColumn { path: at(1), column: column.clone() }, vec![format!("columns {}", here(1))]),
        (Change::Drop { path: at(2) }, vec![format!("missing {}", here(2))]),
        (Change::Rename { path: at(3), to: "renamed".into() }, vec![format!("moved {catalog}/{schema}/renamed")]),
        (
            Change::Add {
                path: path(&[&catalog, &schema, "brand_new"]),
                columns: vec![NewColumn::new("id", "bigint")],
                comment: None,
            },
            vec![format!("added {catalog}/{schema}/brand_new")],
        ),
        (Change::Recreate { path: at(4) }, vec![format!("recreated {}", here(4))]),
        (
            Change::AddColumn { path: at(5), column: NewColumn::new("late", "string"), at: Some(0) },
            vec![format!("columns {}", here(5))],
        ),
    ];
    let mut told = Vec::new();
    for (change, want) in &steps {
        platform.change(change)?;
        let job = host.client().sync("Lake").await?;
        let (news, next) = feed(host.client(), "/data/changes/Lake", 1, Some(&cursor)).await?;
        cursor = next;
        // What else the platform says of a table that it changed (its time of change) comes with it.
        let kinds: Vec<String> = lines(&news).into_iter().filter(|line| want.contains(line)).collect();
        assert_eq!(&kinds, want, "{change:?}: {news:?}");
        let touched: BTreeSet<String> =
            lines(&news).iter().filter_map(|line| line.split_once(' ').map(|(_, path)| path.to_owned())).collect();
        assert_eq!(touched.len(), 1, "{change:?} touches one object: {news:?}");
        let of_job = format!("/jobs/{}/changes", job["id"].as_str().context("id")?);
        assert_eq!(feed(host.client(), &of_job, 1, None).await?.0, news, "the job tells the same");
        told.extend(news);
    }
    let comment = told[0]["facts"].as_array().context("facts")?.iter().find(|f| f["field"] == "comment");
    assert_eq!(comment.context("comment")?["after"], "told");
    let find = |kind: &str| told.iter().find(|c| c["kind"] == kind).cloned().context("no such change");
    assert_eq!(find("columns")?["columns"]["deleted"][0]["name"], column.as_str());
    assert_eq!(find("moved")?["from"], json!(["Lake", catalog, schema, tables[3]]));
    assert_ne!(find("recreated")?["facts"][0]["before"], find("recreated")?["facts"][0]["after"]);

    // A person's settings and deletions stand there with their names.
    let body = json!({ "settings": { "isActive": false } });
    host.client().put(&format!("/data/settings/Lake/{catalog}/{schema}"), &body).await?.expect(200)?;
    host.client().delete(&format!("/data/object/Lake/{catalog}/{schema}/{}", tables[6])).await?.expect(200)?;
    let (news, _) = feed(host.client(), "/data/changes/Lake", 50, Some(&cursor)).await?;
    assert_eq!(lines(&news), [format!("settings {catalog}/{schema}"), format!("deleted {}", here(6))]);
    assert!(news.iter().all(|c| c["by"]["name"] == "Administrator" && c["jobId"].is_null()), "{news:?}");
    assert_eq!(news[0]["settings"], json!({ "before": {}, "after": { "isActive": false } }));
    told.extend(news);

    // The whole feed again is all of it, by pages of any size; and an object's history is its part, backwards.
    let (whole, end) = feed(host.client(), "/data/changes/Lake", 3, None).await?;
    let plain = |changes: &[Value]| {
        changes.iter().map(|c| json!([c["sequence"], c["kind"], c["objectId"]])).collect::<Vec<_>>()
    };
    assert_eq!(plain(&whole), plain(&[all, told].concat()));
    let url = format!("/data/history/Lake/{catalog}/{schema}/renamed");
    let history = host.client().get(&url).await?.expect(200)?;
    let kinds = lines(history.json["changes"].as_array().context("changes")?);
    assert!(
        kinds.first().is_some_and(|l| l.starts_with("moved")) && kinds.last() == Some(&format!("added {}", here(3)))
    );
    assert_eq!(history.json["next"], Value::Null);
    let missing = host.client().get(&format!("/data/explain/Lake/{}", here(2))).await?.expect(200)?;
    assert_eq!(missing.json["remote"]["remoteStatus"], "missing", "{}", missing.text);
    assert!(missing.json["remote"]["since"]["at"].is_string() && missing.json["listings"][0]["basis"].is_string());
    assert_eq!(missing.json["status"]["steps"][2]["outcome"], "holds", "{}", missing.text);
    assert_eq!(missing.json["status"]["decidedBy"], 2, "the schema, which a person disabled: {}", missing.text);

    // A sync that finds nothing adds nothing; time chooses; nonsense is refused.
    host.client()
        .put(&format!("/data/settings/Lake/{catalog}/{schema}"), &json!({"settings": {"isActive": null}}))
        .await?
        .expect(200)?;
    let (_, end) = feed(host.client(), "/data/changes/Lake", 50, Some(&end)).await?;
    host.client().sync("Lake").await?;
    let (_, end) = feed(host.client(), "/data/changes/Lake", 50, Some(&end)).await?;
    host.client().sync("Lake").await?;
    assert_eq!(feed(host.client(), "/data/changes/Lake", 50, Some(&end)).await?.0, Vec::<Value>::new());
    let none = host.client().get("/data/changes/Lake?since=2100-01-01T00:00:00Z").await?.expect(200)?;
    assert_eq!(none.json["changes"], json!([]));
    for (query, code) in [
        ("cursor=x", "invalid-cursor"),
        ("kind=renamed", "invalid-query"),
        ("since=yesterday", "invalid-query"),
        ("size=0", "invalid-query"),
        ("sinse=2026-01-01T00:00:00Z", "invalid-query"),
    ] {
        let answer = host.client().get(&format!("/data/changes/Lake?{query}")).await?.expect(400)?;
        assert_eq!(answer.code(), code, "{query}: {}", answer.text);
    }
    let sound = host.client().post("/verify", &json!({})).await?.expect(200)?;
    assert_eq!((&sound.json["sound"], &sound.json["count"]), (&json!(true), &json!(0)), "{}", sound.text);
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_reads_of_its_own_and_names_may_be_hostile() -> anyhow::Result<()> {
    let platform = platform(1, 3, 12, Names::Hostile).await?;
    let host = TestHost::start().await?;
    host.client().register(&platform.payload("Lake")).await?;
    let objects = host.client().descendants("Lake").await?;
    let (all, _) = feed(host.client(), "/data/changes/Lake", 500, None).await?;
    let path_of = |value: &Value| value["objectPath"].clone();
    let paths: BTreeSet<String> = all.iter().skip(1).map(|c| path_of(c).to_string()).collect();
    assert_eq!(paths, objects.iter().map(|o| path_of(o).to_string()).collect(), "names come through as they are");

    let own = objects.iter().find(|o| o["level"] == 3).context("a schema")?;
    let root = own["objectPath"].as_array().context("path")?.clone();
    let owner = host.owner_of("olga", vec![own["id"].as_str().context("id")?.parse()?]).await?;
    for object in &objects {
        let id = object["id"].as_str().context("id")?;
        let path = object["objectPath"].as_array().context("path")?;
        let (is_own, leads) = (path.starts_with(&root), root.starts_with(path));
        let want = if is_own || leads { 200 } else { 404 };
        for route in ["history", "changes", "explain"] {
            let answer = owner.get(&format!("/data/{route}?id={id}")).await?.expect(want)?;
            let seen = answer.json["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
            assert!(
                seen.iter().all(|c| c["objectPath"].as_array().is_some_and(|p| p.starts_with(&root))),
                "{}",
                answer.text
            );
            assert!(route != "history" || is_own != seen.is_empty(), "{}", answer.text);
        }
    }
    let (seen, _) = feed(&owner, "/data/changes/Lake", 2, None).await?;
    assert_eq!(seen.len(), 1 + 12, "the schema and its tables");
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_survives_kills_and_two_readers_read_the_same() -> anyhow::Result<()> {
    let platform = platform(2, 3, 30, Names::Plain).await?;
    platform.set_latency(std::time::Duration::from_millis(20));
    let dir = TempDir::new()?;
    let mut process = Process::start(dir.path()).await?;
    let answer = process.client.post("/data/connection", &platform.payload("Lake")).await?.expect(201)?;
    let bulk = answer.json["bulkId"].as_str().context("bulkId")?.to_owned();
    let (mut fast, mut slow) = ((Vec::new(), None::<String>), (Vec::new(), None::<String>));
    for round in 0..6 {
        tokio::time::sleep(std::time::Duration::from_millis(40 * round)).await;
        for (size, reader) in [(500, &mut fast), (3, &mut slow)] {
            // A page at a time: the slow one lags behind.
            let at = reader.1.as_ref().map(|c| format!("&cursor={c}")).unwrap_or_default();
            let page = process.client.get(&format!("/data/changes/Lake?size={size}{at}")).await?.expect(200)?;
            reader.0.extend(page.json["changes"].as_array().context("changes")?.iter().cloned());
            reader.1 = page.json["next"].as_str().map(str::to_owned);
        }
        process.kill()?;
        process = Process::start(dir.path()).await?;
    }
    process.client.completed(&bulk).await?;
    let (whole, _) = feed(&process.client, "/data/changes/Lake", 500, None).await?;
    for (size, (mut read, cursor)) in [(500, fast), (3, slow)] {
        let (rest, _) = feed(&process.client, "/data/changes/Lake", size, cursor.as_deref()).await?;
        read.extend(rest);
        assert_eq!(read, whole, "pages of {size}");
    }
    assert_eq!(whole.len(), 1 + 2 + 6 + 180);
    process.kill()?;

    // The killed host's directory is checked from outside: sound, then damaged, then without its key.
    let verify = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
        let output = command.args(["verify", "--data-dir"]).arg(dir.path().join("data")).args(args).output()?;
        anyhow::Ok((output.status.code(), String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
    };
    let (code, text, log) = verify(&[])?;
    assert_eq!((code, text.as_str()), (Some(0), "the store is sound\n"), "{log}");
    let store = dir.path().join("data/wharfinger.redb");
    {
        let database = redb::Database::open(&store)?;
        let transaction = database.begin_write()?;
        transaction
            .open_table(redb::TableDefinition::<u128, (u64, u64, u64, u64)>::new("counters/1"))?
            .insert(77, (1, 0, 0, 1))?;
        transaction.commit()?;
    }
    let (code, text, _) = verify(&["--json"])?;
    let told: Value = serde_json::from_str(&text)?;
    assert_eq!((code, &told["sound"], &told["violations"][0]["table"]), (Some(5), &json!(false), &json!("counters")));
    let master = dir.path().join("data/master.key");
    std::fs::write(&master, format!("{}=\n", "A".repeat(43)))?;
    let (code, text, log) = verify(&[])?;
    assert!(code == Some(5) && text.contains("do not open with this master key"), "{text}{log}");
    let bytes = std::fs::read(&store)?;
    std::fs::write(&store, &bytes[..bytes.len() / 2])?;
    let (code, _, log) = verify(&[])?;
    assert!(code == Some(1) && log.contains("damaged") && !log.contains("panicked"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_host_is_not_checked_behind_its_back() -> anyhow::Result<()> {
    let dir = TempDir::new()?;
    let process = Process::start(dir.path()).await?;
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
        command.arg("verify").args(args).env("WHARFINGER_URL", process.client.base());
        command.env("WHARFINGER_API_KEY", wharfinger_tests::host::ADMIN_KEY).output()
    };
    let data = dir.path().join("data");
    let output = run(&["--data-dir", &data.display().to_string()])?;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("another wharfinger runs"), "{output:?}");
    let output = run(&["--running"])?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    process.kill()?;
    Ok(())
}
