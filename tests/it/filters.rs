//! Include and exclude patterns, from the API to the platform's requests and back (D41).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use wharfinger_simulators::unity_catalog::{Change, Metastore, Options, Shape, UnityCatalog, generate::Names, path};
use wharfinger_tests::{
    TestHost,
    inventory::{Inventory, differences, of_host, of_metastore, without_container_ids},
};

const KEY: &str = "My Lake";
const URL: &str = "/data/connection/My%20Lake";

/// Three catalogs with names that patterns can tell apart.
async fn platform() -> anyhow::Result<UnityCatalog> {
    let mut metastore = Shape { catalogs: 3, schemas: 4, tables: 30, columns: 4, names: Names::Plain }.generate(7);
    let mut catalogs = std::mem::take(&mut metastore.catalogs).into_values();
    for name in ["SALES", "hr", "dotted.name"] {
        let mut catalog = catalogs.next().expect("catalog");
        let mut schemas = std::mem::take(&mut catalog.schemas).into_values();
        for schema in ["RAW_1", "RAW_2", "RAW_TMP", "mart"] {
            catalog.schemas.insert(schema.to_owned(), schemas.next().expect("schema"));
        }
        metastore.catalogs.insert(name.to_owned(), catalog);
    }
    Ok(UnityCatalog::start(Options::new(metastore)).await?)
}

fn with_options(platform: &UnityCatalog, options: Value) -> Value {
    let mut payload = platform.payload(KEY);
    payload["options"] = options;
    payload
}

/// What the model holds under a rule that is written down by hand for each test, not by patterns.
fn expected(platform: &UnityCatalog, keep: impl Fn(&[&str]) -> bool) -> Inventory {
    let all = without_container_ids(platform.read(of_metastore));
    all.into_iter().filter(|(path, _)| keep(&path.iter().map(String::as_str).collect::<Vec<_>>())).collect()
}

async fn stored(host: &TestHost) -> anyhow::Result<Inventory> {
    Ok(without_container_ids(of_host(host.app().db(), KEY).await?))
}

/// Objects below the connection, by path.
async fn objects(host: &TestHost) -> anyhow::Result<BTreeMap<Vec<String>, Value>> {
    let all = host.client().descendants("My%20Lake").await?;
    let path = |object: &Value| -> anyhow::Result<Vec<String>> {
        Ok(serde_json::from_value::<Vec<String>>(object["objectPath"].clone())?.split_off(1))
    };
    all.into_iter().map(|object| Ok((path(&object)?, object))).collect()
}

/// Schemas whose tables were asked for, and catalogs whose schemas were, as the journal has them.
fn asked(platform: &UnityCatalog) -> BTreeSet<String> {
    let parts = |target: &str| -> BTreeMap<String, String> {
        let url = reqwest::Url::parse(&format!("http://platform{target}")).expect("a target");
        url.query_pairs().into_owned().collect()
    };
    platform
        .journal()
        .iter()
        .filter_map(|entry| {
            let query = parts(&entry.target);
            let catalog = query.get("catalog_name")?;
            Some(query.get("schema_name").map_or(catalog.clone(), |schema| format!("{catalog}/{schema}")))
        })
        .collect()
}

async fn count(host: &TestHost, status: &str) -> anyhow::Result<u64> {
    let body = json!({ "recursive": true, "remoteStatus": status, "size": 1 });
    let answer = host.client().post("/data/object/search/My%20Lake", &body).await?.expect(200)?;
    answer.json["count"].as_u64().ok_or_else(|| anyhow::anyhow!("no count: {}", answer.text))
}

async fn put(host: &TestHost, options: Value) -> anyhow::Result<Value> {
    Ok(host.client().put(URL, &json!({ "options": options })).await?.expect(200)?.json)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_patterns_keep_is_listed_and_asked_for() -> anyhow::Result<()> {
    let platform = platform().await?;
    let host = TestHost::start().await?;
    platform.reset_counters();
    let options =
        json!({ "include": ["SALES.RAW_*", ["dotted.name"]], "exclude": [["*", "RAW_TMP"], "\"dotted.name\".mart"] });
    let job = host.client().register(&with_options(&platform, options)).await?;
    let expected = expected(&platform, |path| match path {
        [catalog] => ["SALES", "dotted.name"].contains(catalog),
        ["SALES", schema, ..] => ["RAW_1", "RAW_2"].contains(schema),
        ["dotted.name", schema, ..] => ["RAW_1", "RAW_2"].contains(schema),
        _ => false,
    });
    assert_eq!(expected.len(), 2 + 4 + 4 * 30);
    assert_eq!(differences(&expected, &stored(&host).await?), "");
    assert_eq!(job["output"]["errorCount"], 0, "{job}");
    let want = ["SALES", "SALES/RAW_1", "SALES/RAW_2", "dotted.name", "dotted.name/RAW_1", "dotted.name/RAW_2"];
    assert_eq!(asked(&platform), want.map(str::to_owned).into(), "nothing else was asked of the platform");
    assert_eq!(host.app().db().verify().await?, []);

    let shown = host.client().get(URL).await?.expect(200)?.json;
    assert_eq!(shown["options"]["include"], json!([["SALES", "RAW_*"], ["dotted.name"]]));
    assert_eq!(shown["options"]["exclude"], json!([["*", "RAW_TMP"], ["dotted.name", "mart"]]));
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_later_keeps_id_and_settings_and_comes_back() -> anyhow::Result<()> {
    let platform = platform().await?;
    let host = TestHost::start().await?;
    host.client().register(&platform.payload(KEY)).await?;
    let before = objects(&host).await?;
    assert_eq!(before.len(), 3 + 12 + 360);
    let (table_path, table) = before
        .iter()
        .find(|(path, _)| path.starts_with(&["hr".into(), "mart".into()]) && path.len() == 3)
        .expect("table");
    let id = table["id"].as_str().expect("id");
    let off = json!({ "settings": { "isActive": false } });
    host.client().put(&format!("/data/settings?id={id}"), &off).await?.expect(200)?;

    let changed = put(&host, json!({ "exclude": ["hr"] })).await?;
    assert!(changed.get("bulkId").is_none(), "less needs no sync: {changed}");
    let after = objects(&host).await?;
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "nothing is deleted");
    for (path, object) in &after {
        let is_left_out = path[0] == "hr";
        assert_eq!(object["id"], before[path]["id"]);
        assert_eq!(object["remoteStatus"], if is_left_out { "excluded" } else { "present" }, "{path:?}");
        if is_left_out {
            assert_eq!((&object["state"], &object["dataSourceId"]), (&json!("inactive"), &Value::Null));
            assert_eq!(object["excludedBy"], "left out by the pattern hr");
        }
    }
    assert_eq!(count(&host, "excluded").await?, 1 + 4 + 120);

    platform.reset_counters();
    platform.change(&Change::Drop { path: path(&["hr", "RAW_1"]) })?;
    let job = host.client().sync("My%20Lake").await?;
    assert!(!asked(&platform).iter().any(|name| name.starts_with("hr")), "{:?}", asked(&platform));
    assert_eq!((count(&host, "missing").await?, count(&host, "excluded").await?), (0, 125), "{job}");

    // A sync of what is left out ends at once and says why.
    platform.reset_counters();
    let job = host.client().sync("My%20Lake/hr/mart").await?;
    assert_eq!((platform.counters().requests, &job["output"]["errors"][0]["code"]), (0, &json!("excluded")), "{job}");

    let changed = put(&host, json!({ "exclude": [] })).await?;
    let job = host.client().completed(changed["bulkId"].as_str().expect("more needs a sync")).await?;
    // A quarter of what is known of it: held until somebody knows better (D33).
    assert_eq!(job["output"]["held"], true, "{job}");
    assert_eq!(count(&host, "missing").await?, 0);
    let job = job["id"].as_str().expect("id");
    host.client().post(&format!("/jobs/{job}/release"), &json!({})).await?.expect(200)?;
    let back = objects(&host).await?;
    for (path, object) in &back {
        let is_gone = path.starts_with(&["hr".to_owned(), "RAW_1".to_owned()]);
        assert_eq!(object["remoteStatus"], if is_gone { "missing" } else { "present" }, "{path:?}");
        assert_eq!(object["id"], before[path]["id"]);
    }
    assert_eq!(back[table_path]["overrides"]["isActive"], false, "what a person set was kept");
    assert_eq!(host.app().db().verify().await?, []);
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wider_filter_finds_what_was_never_seen() -> anyhow::Result<()> {
    let platform = platform().await?;
    let host = TestHost::start().await?;
    // Disabled as a whole: what was listed once rests, unless more is let in.
    let mut payload = with_options(&platform, json!({ "include": ["SALES.mart"], "exclude": [["*", "*", "*"]] }));
    payload.as_object_mut().expect("object").remove("settings");
    let job = host.client().register(&payload).await?;
    assert_eq!(stored(&host).await?.len(), 2, "{job}");
    for (options, containers, tables) in [
        (json!({ "exclude": [] }), 2, 30),
        (json!({ "include": ["SALES"] }), 1 + 4, 120),
        (json!({ "include": [] }), 3 + 12, 360),
    ] {
        let changed = put(&host, options).await?;
        host.client().completed(changed["bulkId"].as_str().expect("a sync")).await?;
        let found = objects(&host).await?;
        assert_eq!(found.len(), containers + tables, "{changed}");
        assert!(found.values().all(|object| object["remoteStatus"] == "present"));
    }
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_tells_what_saving_leaves() -> anyhow::Result<()> {
    let platform = platform().await?;
    let host = TestHost::start().await?;
    host.client().register(&platform.payload(KEY)).await?;
    let body = json!({ "include": ["SALES", "hr.RAW_*", "HR"], "exclude": ["*.RAW_TMP", "SALES.mart.*", "nobody"] });
    let before = host.client().get(URL).await?.json;
    let preview = host.client().post("/data/filter/My%20Lake", &body).await?.expect(200)?.json;
    assert_eq!(host.client().get(URL).await?.json, before, "a preview stores nothing");
    let matches = |list: &str| -> Vec<u64> {
        preview[list].as_array().expect("patterns").iter().map(|p| p["matches"].as_u64().expect("number")).collect()
    };
    assert_eq!((matches("include"), matches("exclude")), (vec![1, 3, 0], vec![3, 30, 0]));
    let warned: Vec<&str> =
        preview["warnings"].as_array().expect("warnings").iter().filter_map(|w| w["message"].as_str()).collect();
    assert_eq!(warned, ["include[2], HR, names no known object", "exclude[2], nobody, names no known object"]);
    let level = |n: usize| (&preview["levels"][n]["kept"], &preview["levels"][n]["leftOut"]);
    assert_eq!(level(0), (&json!(2), &json!(1)));
    assert_eq!(level(1), (&json!(5), &json!(7)));
    assert_eq!(level(2), (&json!(120), &json!(240)));
    assert_eq!(preview["levels"][0]["firstLeftOut"], json!([["dotted.name"]]));
    assert_eq!(preview["levels"][2]["firstKept"].as_array().expect("names").len(), 20);
    assert_eq!((&preview["complete"], &preview["levels"][1]["level"]), (&json!(true), &json!(3)));

    put(&host, body).await?;
    host.client().sync("My%20Lake").await?;
    assert_eq!(preview["kept"], json!(count(&host, "present").await?));
    assert_eq!(preview["leftOut"], json!(count(&host, "excluded").await?));
    assert_eq!((&preview["missing"], count(&host, "missing").await?), (&json!(0), 0));
    // Nothing said is what is stored.
    let again = host.client().post("/data/filter/My%20Lake", &json!({})).await?.expect(200)?.json;
    assert_eq!((&again["kept"], &again["leftOut"]), (&preview["kept"], &preview["leftOut"]));
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_patterns_are_refused_or_cost_little() -> anyhow::Result<()> {
    let platform = platform().await?;
    let host = TestHost::start().await?;
    host.client().register(&platform.payload(KEY)).await?;
    let before = host.client().get(URL).await?.json;
    for (options, part) in [
        (json!({ "exclude": ["a", "b..c"] }), "options.exclude[1]"),
        (json!({ "include": [[""]] }), "options.include[0]"),
        (json!({ "include": [vec!["*"; 32]] }), "options.include[0]"),
        (json!({ "include": vec!["*"; 501] }), "options.include"),
        (json!({ "include": ["\"open"] }), "options.include[0]"),
        (json!({ "include": [{ "glob": "*" }] }), "include[0]"),
        (json!({ "include": "SALES" }), "include"),
        (json!({ "includes": [] }), "includes"),
        (json!({ "columnsMaxAge": "soon" }), "columnsMaxAge"),
        (json!({ "columnsMaxAge": 0 }), "columnsMaxAge"),
    ] {
        for url in ["/data/connection/test", "/data/connection", URL] {
            let body =
                if url == URL { json!({ "options": options }) } else { with_options(&platform, options.clone()) };
            let answer =
                if url == URL { host.client().put(url, &body).await? } else { host.client().post(url, &body).await? };
            assert_eq!(answer.status.as_u16(), 400, "{url} {options}: {}", answer.text);
            assert!(answer.message().contains(part), "{url} {options}: {}", answer.text);
        }
    }
    assert_eq!(host.client().get(URL).await?.json, before, "nothing was changed");

    // As bad as globs get, as many as there may be: every read stays quick.
    let worst = format!("{}b", "*a".repeat(60));
    let bad = vec![["*", "*", &worst]; 500];
    let begun = std::time::Instant::now();
    let changed = put(&host, json!({ "exclude": bad })).await?;
    assert!(changed["warnings"].is_null(), "{changed}");
    host.client().post("/data/filter/My%20Lake", &json!({ "exclude": bad })).await?.expect(200)?;
    host.client().sync("My%20Lake").await?;
    assert_eq!(count(&host, "excluded").await?, 0);
    assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", begun.elapsed());

    let changed = put(&host, json!({ "exclude": ["*"], "columnsMaxAge": "24h" })).await?;
    assert_eq!(changed["warnings"][0]["code"], "excludes-everything", "{changed}");
    assert_eq!(changed["options"]["columnsMaxAge"], 86_400);
    assert_eq!(count(&host, "present").await?, 0);
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn names_with_globs_and_dots_can_be_named() -> anyhow::Result<()> {
    let shape = Shape { catalogs: 2, schemas: 2, tables: 30, columns: 2, names: Names::Hostile };
    let platform = UnityCatalog::start(Options::new(shape.generate(5))).await?;
    let host = TestHost::start().await?;
    host.client().register(&platform.payload(KEY)).await?;
    // Every table by its exact name, with what is special escaped.
    let tables: Vec<Vec<String>> = platform
        .read(|metastore: &Metastore| of_metastore(metastore).into_keys().filter(|path| path.len() == 3).collect());
    let escape = |name: &String| {
        name.chars().flat_map(|c| "*?\\".contains(c).then_some('\\').into_iter().chain([c])).collect::<String>()
    };
    for chosen in tables.iter().step_by(7) {
        let pattern: Vec<String> = chosen.iter().map(escape).collect();
        let body = json!({ "include": [pattern], "exclude": [] });
        let preview = host.client().post("/data/filter/My%20Lake", &body).await?.expect(200)?.json;
        assert_eq!((&preview["kept"], &preview["include"][0]["matches"]), (&json!(3), &json!(1)), "{chosen:?}");
        // Its text means the same.
        let text = preview["include"][0]["text"].clone();
        let again = host
            .client()
            .post("/data/filter/My%20Lake", &json!({ "include": [text], "exclude": [] }))
            .await?
            .expect(200)?
            .json;
        assert_eq!(again["include"], preview["include"]);
    }
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_change_a_connection_may_try_patterns() -> anyhow::Result<()> {
    use wharfinger::model::{principal::Permission, sight::Sight};
    let platform = platform().await?;
    let host = TestHost::start().await?;
    host.client().register(&platform.payload(KEY)).await?;
    let all = objects(&host).await?;
    let catalog = all[&vec!["SALES".to_owned()]]["id"].as_str().expect("id").parse()?;
    let owner = host.owner_of("owner", vec![catalog]).await?;
    let governor = host.caller("governor", &[Permission::Governance], Sight::All).await?;
    let narrow = host.caller("narrow", &[Permission::Governance], Sight::Roots(vec![catalog])).await?;
    let body = json!({ "exclude": ["hr"] });
    let url = "/data/filter/My%20Lake";
    assert_eq!(owner.post(url, &body).await?.status, 403);
    assert_eq!(host.stranger().post(url, &body).await?.status, 401);
    assert_eq!(governor.post(url, &body).await?.status, 200);
    let told = narrow.post(url, &body).await?;
    assert_eq!(told.status, 403, "names of what one does not see are not told: {}", told.text);
    assert_eq!(governor.post("/data/filter/Nobody", &body).await?.status, 404);
    assert_eq!(governor.post("/data/filter/My%20Lake/SALES", &body).await?.status, 400);
    let own = owner.get(&format!("/data/object?id={catalog}")).await?.expect(200)?;
    assert_eq!(own.json["remoteStatus"], "present");
    host.stop().await;
    Ok(())
}
