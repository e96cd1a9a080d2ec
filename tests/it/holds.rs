//! What vanishes all at once is held back (D33): wrong grants at both platforms, through the real components, over HTTP, on
//! the pages and by the command line.

use std::collections::BTreeSet;

use anyhow::Context;
use serde_json::{Value, json};
use wharfinger::model::sight::Sight;
use wharfinger_simulators::{
    snowflake::{self, Privilege, Snowflake},
    unity_catalog::{Change, Fault, Options, Rule, Shape, UnityCatalog, generate::Names, path},
};
use wharfinger_tests::{
    Client, TestHost,
    host::ADMIN_KEY,
    inventory::{differences, of_host, of_metastore, without_container_ids},
};

use crate::{cli::executable, pages::Browser};

const KEY: &str = "Lake";

/// Five catalogs of two schemas of forty tables.
async fn lake() -> anyhow::Result<(UnityCatalog, TestHost)> {
    let shape = Shape { catalogs: 5, schemas: 2, tables: 40, columns: 2, names: Names::Plain };
    let platform = UnityCatalog::start(Options::new(shape.generate(7))).await?;
    let host = TestHost::start().await?;
    host.client().register(&platform.payload(KEY)).await?;
    Ok((platform, host))
}

/// The paths of all tables, by schema.
fn tables(platform: &UnityCatalog) -> Vec<Vec<String>> {
    platform.read(|metastore| metastore.tables().map(|(at, _)| path(&at)).collect())
}

fn revoke(platform: &UnityCatalog, paths: impl IntoIterator<Item = Vec<String>>) {
    platform.access(|access| paths.into_iter().for_each(|path| access.revoke(&path)));
}

/// What is held below a URL path.
async fn holds(client: &Client, at: &str) -> anyhow::Result<Vec<Value>> {
    let answer = client.get(&format!("/holds{at}")).await?.expect(200)?;
    answer.json["hits"].as_array().cloned().context("hits")
}

/// Paths that a sync lists as held, below the connection.
async fn listed_as_held(client: &Client, job: &Value) -> anyhow::Result<BTreeSet<Vec<String>>> {
    let (mut held, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let id = job["id"].as_str().context("id")?;
        let answer = client.get(&format!("/jobs/{id}/changes?size=60{cursor}")).await?.expect(200)?;
        for change in answer.json["changes"].as_array().context("changes")? {
            if change["applied"] == "held" {
                assert_eq!(change["kind"], "missing", "{change}");
                let names: Vec<String> = serde_json::from_value(change["objectPath"].clone())?;
                assert!(held.insert(names[1..].to_vec()), "{change} is listed twice");
            }
        }
        cursor = format!("&cursor={}", answer.json["next"].as_str().context("next")?);
        if answer.json["more"] == false {
            return Ok(held);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_grants_make_nothing_missing_and_the_hold_lists_what_vanished() -> anyhow::Result<()> {
    let (platform, host) = lake().await?;
    let all = tables(&platform);
    let whole = without_container_ids(platform.read(of_metastore));
    let catalogs: Vec<String> = all.iter().map(|at| at[0].clone()).collect::<BTreeSet<_>>().into_iter().collect();
    let nth = |of: &dyn Fn(usize) -> bool| -> Vec<Vec<String>> {
        all.iter().enumerate().filter(|(n, _)| of(n % 40)).map(|(_, at)| at.clone()).collect()
    };
    let cases: Vec<(&str, Vec<Vec<String>>, &str)> = vec![
        ("a role that sees 40 % of all", nth(&|n| n % 5 > 1), "240 of 400 known tables below Lake"),
        ("2 of 5 databases gone", catalogs[1..3].iter().map(|name| path(&[name])).collect(), "160 of 400 known tables"),
        ("24 of 40 tables gone in every schema", nth(&|n| n < 24), "240 of 400 known tables below Lake"),
        ("an empty schema", all[..40].to_vec(), "40 of 80 known tables below Lake."),
        ("an empty answer", catalogs.iter().map(|name| path(&[name])).collect(), "all 400 known tables below Lake"),
    ];
    for (what, revoked, cause) in cases {
        revoke(&platform, revoked.clone());
        let job = host.client().sync(KEY).await?;
        assert_eq!((&job["output"]["held"], &job["output"]["missing"]), (&json!(true), &json!({})), "{what}: {job}");
        let found = without_container_ids(of_host(host.app().db(), KEY).await?);
        assert_eq!(differences(&whole, &found), "", "{what}: all is as it was");
        let held = holds(host.client(), "").await?;
        assert_eq!(held.len(), 1, "{what}: {held:?}");
        assert!(held[0]["cause"].as_str().is_some_and(|text| text.contains(cause)), "{what}: {}", held[0]["cause"]);
        assert_eq!((&held[0]["jobId"], &job["output"]["holds"][0]["id"]), (&job["id"], &held[0]["id"]), "{what}");
        assert_eq!(held[0]["objects"].as_array().map(Vec::len), Some(revoked.len().min(20)), "{what}");
        let listed = listed_as_held(host.client(), &job).await?;
        assert_eq!(listed, revoked.into_iter().collect(), "{what}: the whole list");
        platform.access(|access| access.restore());
        let job = host.client().sync(KEY).await?;
        assert_eq!((&job["output"]["held"], &job["output"]["returned"]), (&json!(false), &json!({})), "{what}: {job}");
        assert!(holds(host.client(), "").await?.is_empty(), "{what}: seen again");
        assert!(host.app().db().verify().await?.is_empty(), "{what}");
    }
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_lost_in_the_middle_of_a_walk_makes_nothing_missing() -> anyhow::Result<()> {
    let (platform, host) = lake().await?;
    let all = tables(&platform);
    let whole = without_container_ids(platform.read(of_metastore));
    for lost in [all[0][..1].to_vec(), all[200][..2].to_vec(), all[100].clone()] {
        for from in [1, 3, 6, 9] {
            platform.fault(Rule::once("/tables?", Fault::Revoke { path: lost.clone() }).from(from));
            let answer = host.client().post("/data/crawl/Lake", &json!({})).await?.expect(202)?;
            let jobs = host.client().finished(answer.json["bulkId"].as_str().context("bulkId")?).await?;
            assert_eq!(platform.fault_hits(), 1, "{jobs:?}");
            let found = without_container_ids(of_host(host.app().db(), KEY).await?);
            let differ = differences(&whole, &found);
            // One table without its grant is like one that was dropped.
            if lost.len() < 3 {
                assert_eq!(differ, "", "{lost:?} from {from}: {jobs:?}");
            }
            platform.clear_faults();
            platform.access(|access| access.restore());
            host.client().sync(KEY).await?;
            let found = without_container_ids(of_host(host.app().db(), KEY).await?);
            assert_eq!(differences(&whole, &found), "", "{lost:?} from {from}, restored");
            assert!(holds(host.client(), "").await?.is_empty());
        }
    }
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_renamed_behind_the_cursor_is_renamed() -> anyhow::Result<()> {
    let shape = Shape { catalogs: 1, schemas: 1, tables: 130, columns: 2, names: Names::Plain };
    let platform = UnityCatalog::start(Options::new(shape.generate(7))).await?;
    let host = TestHost::start().await?;
    host.client().register(&platform.payload(KEY)).await?;
    let last = tables(&platform).pop().context("a table")?;
    let change = Change::Rename { path: last.clone(), to: "a_first".into() };
    platform.fault(Rule::once("page_token", Fault::Change { change }));
    let job = host.client().sync(KEY).await?;
    assert_eq!(platform.fault_hits(), 1, "{job}");
    assert_eq!((&job["output"]["held"], &job["output"]["missing"]), (&json!(false), &json!({})), "{job}");
    let found = without_container_ids(of_host(host.app().db(), KEY).await?);
    assert_eq!(differences(&without_container_ids(platform.read(of_metastore)), &found), "");
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_release_and_reject_what_they_own_at_the_revision_that_they_saw() -> anyhow::Result<()> {
    let (platform, host) = lake().await?;
    let all = tables(&platform);
    let schema = format!("/{KEY}/{}/{}", all[0][0], all[0][1]);
    revoke(&platform, all[..40].to_vec());
    let first = host.client().sync(KEY).await?;
    let hold = holds(host.client(), &schema).await?.remove(0);
    let id = hold["id"].as_str().context("id")?.to_owned();
    assert_eq!(hold["objectPath"], json!([KEY, all[0][0]]), "half of the catalog");
    let catalog = format!("/{KEY}/{}", all[0][0]);
    assert_eq!(holds(host.client(), &catalog).await?.len(), 1);
    assert!(
        holds(host.client(), &format!("{catalog}/{}", all[40][1])).await?.is_empty(),
        "nothing of the other schema"
    );
    assert!(holds(host.client(), &format!("/{KEY}/{}", all[200][0])).await?.is_empty(), "not elsewhere");
    let table = format!("{schema}/{}", all[3][2]);
    assert_eq!(holds(host.client(), &table).await?.len(), 1, "a held table is told of its hold");
    let object = host.client().get(&format!("/data/object{table}")).await?.expect(200)?;
    assert_eq!((&object.json["heldBy"], &object.json["state"]), (&json!(id), &json!("active")), "{}", object.text);
    let told = host.client().get(&format!("/data/explain{table}")).await?.expect(200)?;
    assert!(told.json["held"]["reason"].as_str().is_some_and(|why| why.contains("held back")), "{}", told.text);

    // Who owns the catalog decides, who owns something else does not know, who only looks may not.
    let of = async |at: &str| anyhow::Ok(host.client().get(&format!("/data/object{at}")).await?.json["id"].clone());
    let mine = of(&catalog).await?.as_str().context("id")?.parse()?;
    let others = of(&format!("/{KEY}/{}", all[200][0])).await?.as_str().context("id")?.parse()?;
    let owner = host.owner_of("owner", vec![mine]).await?;
    let stranger = host.owner_of("stranger", vec![others]).await?;
    let auditor = host.caller("auditor", &[], Sight::All).await?;
    let release = format!("/holds/{id}/release");
    assert_eq!(holds(&owner, "").await?.len(), 1);
    assert!(holds(&stranger, "").await?.is_empty());
    assert_eq!(holds(&auditor, "").await?.len(), 1);
    assert_eq!(stranger.post(&release, &json!({})).await?.status, 404);
    assert_eq!(auditor.post(&release, &json!({})).await?.status, 403);

    // A later sync has judged it again.
    let second = host.client().sync(KEY).await?;
    let stale = owner.request(reqwest::Method::POST, &release).header("if-match", "1");
    let stale = owner.send(stale).await?.expect(412)?;
    assert!(stale.message().contains("a later sync has replaced the hold"), "{}", stale.text);
    let late =
        host.client().post(&format!("/jobs/{}/release", first["id"].as_str().context("id")?), &json!({})).await?;
    assert_eq!((late.status.as_u16(), late.code()), (409, "nothing-held"), "{}", late.text);
    for (path, status) in [("/holds/7/release", 400), (format!("/holds/{id}/delete").as_str(), 404)] {
        assert_eq!(host.client().post(path, &json!({})).await?.status, status, "{path}");
    }

    // What is said in a body is not heard: it is refused.
    let second = second["id"].as_str().context("id")?;
    for path in [release, format!("/jobs/{second}/release"), format!("/jobs/{second}/reject")] {
        let answer = owner.post(&path, &json!({ "revision": 1 })).await?;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "invalid-body"), "{path}: {}", answer.text);
    }
    let open = async || {
        let summary = host.client().get("/jobs/summary").await?.expect(200)?;
        anyhow::Ok(summary.json["connections"][0]["holds"].clone())
    };
    assert_eq!(open().await?, 1);

    // Rejected, nothing is marked, and the next sync holds it again.
    host.client().post(&format!("/jobs/{second}/reject"), &json!({})).await?.expect(200)?;
    assert!(holds(host.client(), "").await?.is_empty());
    assert_eq!(open().await?, 0);
    host.client().sync(KEY).await?;
    let hold = holds(&owner, "").await?.remove(0);
    let release = format!("/holds/{}/release", hold["id"].as_str().context("id")?);
    let now = owner.request(reqwest::Method::POST, &release).header("if-match", hold["revision"].to_string());
    let done = owner.send(now).await?.expect(200)?;
    assert_eq!((&done.json["decision"], &done.json["left"]), (&json!("release"), &json!(0)), "{}", done.text);
    let object = host.client().get(&format!("/data/object{table}")).await?.expect(200)?;
    assert_eq!((&object.json["remoteStatus"], &object.json["heldBy"]), (&json!("missing"), &Value::Null));
    let history = host.client().get(&format!("/data/history{table}")).await?.expect(200)?;
    let last = &history.json["changes"][0];
    assert_eq!(
        (&last["kind"], &last["by"]["name"], &last["jobId"]),
        (&json!("missing"), &json!("owner"), &Value::Null)
    );
    platform.access(|access| access.restore());
    let job = host.client().sync(KEY).await?;
    let returned = job["output"]["returned"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64());
    assert_eq!(returned.sum::<u64>(), 40, "what is found again comes back: {job}");
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_says_what_is_too_much() -> anyhow::Result<()> {
    let (platform, host) = lake().await?;
    let all = tables(&platform);
    let shown = host.client().get("/data/connection/Lake").await?.expect(200)?;
    let default = json!({ "share": 0.2, "minimum": 50, "confirmAfter": null });
    assert_eq!(shown.json["options"]["hold"], default, "{}", shown.text);
    for (wrong, part) in [
        (json!({ "share": 2 }), "options.hold.share"),
        (json!({ "minimum": 0 }), "options.hold.minimum"),
        (json!({ "confirmAfter": 0 }), "options.hold.confirmAfter"),
    ] {
        let answer = host.client().put("/data/connection/Lake", &json!({ "options": { "hold": wrong } })).await?;
        let answer = answer.expect(400)?;
        assert!(answer.message().contains(part), "{}", answer.text);
    }
    let body = json!({ "options": { "hold": { "share": 0.7 } } });
    let answer = host.client().put("/data/connection/Lake", &body).await?.expect(200)?;
    assert_eq!(answer.json["options"]["hold"], json!({ "share": 0.7, "minimum": 50, "confirmAfter": null }));
    let gone = all.iter().enumerate().filter(|(n, _)| n % 40 < 24).map(|(_, at)| at.clone());
    revoke(&platform, gone);
    let job = host.client().sync(KEY).await?;
    let missing: u64 = job["output"]["missing"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
    assert_eq!((&job["output"]["held"], missing), (&json!(false), 240), "{job}");
    let body = json!({ "options": { "hold": null } });
    let answer = host.client().put("/data/connection/Lake", &body).await?.expect(200)?;
    assert_eq!(answer.json["options"]["hold"], default);
    host.stop().await;
    Ok(())
}

/// An account whose role has lost its rights on what is in the schemas.
async fn account() -> anyhow::Result<(Snowflake, TestHost)> {
    let shape =
        snowflake::Shape { databases: 2, schemas: 2, tables: 6, columns: 2, ..snowflake::Shape::one_schema(0, 0) };
    let platform = Snowflake::start(snowflake::Options::new(shape.generate(7))).await?;
    let host = TestHost::start().await?;
    host.client().register(&platform.payload("Acct")).await?;
    platform.with_model(|account| {
        let role = account.roles.get_mut(snowflake::ROLE).expect("role");
        role.grants.retain(|grant| grant.privilege == Privilege::Usage);
    });
    Ok((platform, host))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hold_names_the_grant_that_was_lost_on_the_pages_and_by_commands() -> anyhow::Result<()> {
    let (_platform, host) = account().await?;
    let job = host.client().sync("Acct").await?;
    assert_eq!((&job["output"]["held"], &job["output"]["missing"]), (&json!(true), &json!({})), "{job}");
    let held = holds(host.client(), "/Acct").await?;
    let hints: Vec<&str> = held.iter().filter_map(|hold| hold["hint"].as_str()).collect();
    assert!(hints.iter().any(|hint| hint.contains("GRANT REFERENCES ON ALL TABLES IN SCHEMA")), "{held:#?}");
    let (id, scope) = (job["id"].as_str().context("id")?, held[0]["objectId"].as_str().context("id")?);

    let browser = Browser::signed_in(&host).await?;
    for page in [format!("/ui/jobs/{id}"), format!("/ui/object/{scope}")] {
        let page = browser.get(&page).await?;
        page.assert_harmless();
        assert!(page.text.contains("Held: ") && page.text.contains("GRANT REFERENCES"), "{}", page.text);
        assert!(page.text.contains("Release…") && page.text.contains("Reject…"), "{}", page.text);
    }
    assert!(browser.get(&format!("/ui/jobs/{id}")).await?.text.contains("Completed, held"));
    let changes = browser.get(&format!("/ui/jobs/{id}/changes")).await?;
    assert!(changes.text.contains("Missing") && changes.text.contains("Held"), "{}", changes.text);

    let run = async |args: &[&str]| -> anyhow::Result<(Option<i32>, String)> {
        let mut command = executable();
        command.args(args).env("WHARFINGER_URL", host.client().base()).env("WHARFINGER_API_KEY", ADMIN_KEY);
        let output = command.output().await?;
        Ok((output.status.code(), String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?))
    };
    let (code, text) = run(&["hold", "list", "Acct"]).await?;
    assert!(code == Some(0) && text.contains("GRANT REFERENCES") && text.contains(id), "{text}");
    let (code, text) = run(&["hold", "list", "--json"]).await?;
    assert!(code == Some(0) && serde_json::from_str::<Value>(&text)?.as_array().map(Vec::len) == Some(held.len()));
    let (code, text) = run(&["job", "changes", id]).await?;
    assert!(code == Some(0) && text.contains("missing (held)"), "{text}");

    // One is rejected on the page, the rest released by a command.
    let ask = format!("/ui/holds/{}/reject", held[0]["id"].as_str().context("id")?);
    let question = browser.fragment(&ask).await?;
    assert!(question.text.contains("Nothing is marked") && question.text.contains("name=\"revision\" value=\"1\""));
    let answer = browser.submit(&ask, &ask, &[("revision", "7")]).await?;
    assert_eq!(answer.status, 412, "{}", answer.text);
    let answer = browser.submit(&ask, &ask, &[("revision", "1")]).await?;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, format!("/ui/object/{scope}").as_str()));
    assert!(!browser.get(&format!("/ui/object/{scope}")).await?.text.contains("Release…"));
    let rest = holds(host.client(), "").await?.len();
    assert_eq!(rest + 1, held.len());
    if rest > 0 {
        let (code, text) = run(&["job", "release", id]).await?;
        assert!(code == Some(0) && text.contains("released"), "{text}");
    }
    let (code, text) = run(&["job", "release", id]).await?;
    assert!(code == Some(3) && text.contains("nothing of this sync is held"), "{code:?} {text}");
    assert!(holds(host.client(), "").await?.is_empty());
    assert!(host.app().db().verify().await?.is_empty());
    host.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_role_with_which_something_vanishes_is_held_by_itself() -> anyhow::Result<()> {
    let shape =
        snowflake::Shape { databases: 1, schemas: 2, tables: 60, columns: 1, ..snowflake::Shape::one_schema(0, 0) };
    let platform = Snowflake::start(snowflake::Options::new(shape.generate(7))).await?;
    let host = TestHost::start().await?;
    host.client().register(&platform.payload("Acct")).await?;
    let (gone, rest): (Vec<_>, Vec<_>) = platform.read(|account| {
        let all: Vec<Vec<String>> = account.tables().map(|(at, _)| at.map(str::to_owned).to_vec()).collect();
        all.into_iter().enumerate().partition(|(n, _)| *n == 0)
    });
    // The other role sees all but one table.
    platform.with_model(|account| {
        let of: Vec<&str> = rest[0].1.iter().map(String::as_str).collect();
        let mut grants = vec![snowflake::grant(Privilege::Usage, &of[..1])];
        for (_, at) in &rest {
            let at: Vec<&str> = at.iter().map(String::as_str).collect();
            grants.push(snowflake::grant(Privilege::Usage, &at[..2]));
            grants.push(snowflake::grant(Privilege::References, &at));
        }
        account.grant_to("OTHER", grants);
        account.users.values_mut().for_each(|user| {
            user.roles.insert("OTHER".into());
        });
    });
    let mut connection = platform.payload("Acct")["connection"].clone();
    connection["role"] = "OTHER".into();
    host.client().put("/data/connection/Acct", &json!({ "connection": connection })).await?.expect(200)?;
    for revision in [1, 2] {
        let job = host.client().sync("Acct").await?;
        assert_eq!((&job["output"]["heldObjects"], &job["output"]["missing"]), (&json!(1), &json!({})), "{job}");
        let hold = holds(host.client(), "").await?.remove(0);
        let cause = hold["cause"].as_str().unwrap_or_default();
        assert!(cause.contains("OTHER instead of") && cause.starts_with("1 of 60 known"), "{cause}");
        assert_eq!(hold["objects"][0]["objectPath"][3], json!(gone[0].1[2]));
        assert_eq!(hold["revision"], revision);
    }
    host.stop().await;
    Ok(())
}
