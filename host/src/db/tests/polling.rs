//! Columns without a fingerprint, and connectors that never come to an end.

use std::time::Duration;

use super::{World, at, enabled, platform::Platform, start, update_of};
use crate::{
    db::connections::ConnectionUpdate,
    model::{
        connection::ConnectionOptions,
        job::{Task, Work},
        page::{Cursor, ObjectError, Page},
        sight::Sight,
    },
};

async fn keep_columns_for(world: &mut World, columns_max_age: Option<Duration>) {
    let options = ConnectionOptions { columns_max_age, ..world.connection.options.clone() };
    let update = ConnectionUpdate { options, ..update_of(&world.connection) };
    let (connection, _) = world.db.update_connection(world.connection.id, update, None, start()).await.expect("update");
    world.connection = connection;
}

fn without_fingerprints(world: &mut World) {
    world.platform.things.values_mut().for_each(|thing| thing.fingerprint = None);
}

#[tokio::test]
async fn columns_without_a_fingerprint_are_read_again_when_they_are_old_enough() {
    let mut world = World::new("age", enabled()).await;
    for table in ["a", "b", "c"] {
        world.platform.add(&format!("cat/s/{table}"), "id:int");
    }
    without_fingerprints(&mut world);
    keep_columns_for(&mut world, Some(Duration::from_secs(3600))).await;
    world.run().await;
    for wait in [0, 1800] {
        world.now += wait;
        world.platform.asked.clear();
        world.sync("K").await;
        assert!(world.platform.asked.is_empty(), "after {wait} s more: {:?}", world.platform.asked);
    }
    world.platform.asked.clear();
    world.sync("K/cat/s/b").await;
    assert_eq!(world.platform.asked, ["cat/s/b"], "who asks for one table wants it read");

    world.now += 1900;
    world.platform.asked.clear();
    world.sync("K").await;
    world.platform.asked.sort();
    world.platform.asked.dedup();
    assert_eq!(world.platform.asked, ["cat/s/a", "cat/s/c"], "an hour after they were read; the other was read since");
    world.platform.asked.clear();
    world.sync("K").await;
    assert!(world.platform.asked.is_empty());

    // A fingerprint is better than an age, and a new object has none.
    world.platform.retype("cat/s/a", "id:bigint");
    world.platform.rename("cat/s/b", "cat/s/bb");
    world.platform.drop_thing("cat/s/c");
    world.platform.add("cat/s/c", "id:text");
    world.platform.things.get_mut("cat/s/c").expect("thing").fingerprint = None;
    world.sync("K").await;
    assert_eq!(world.columns("K/cat/s/a").await.expect("columns")[0].data_type, "bigint");
    assert_eq!(world.columns("K/cat/s/c").await.expect("columns")[0].data_type, "text", "made anew");
    assert!(!world.platform.asked.contains(&"cat/s/bb".to_owned()), "renamed: {:?}", world.platform.asked);

    keep_columns_for(&mut world, None).await;
    world.platform.asked.clear();
    world.sync("K").await;
    assert!(world.platform.asked.contains(&"cat/s/bb".to_owned()), "without an age every sync reads them");
    // A clock that was set back proves nothing.
    keep_columns_for(&mut world, Some(Duration::from_secs(3600))).await;
    world.sync("K").await;
    world.now -= 3000;
    world.platform.asked.clear();
    world.sync("K").await;
    assert!(world.platform.asked.contains(&"cat/s/c".to_owned()), "{:?}", world.platform.asked);
}

#[tokio::test]
async fn a_sync_that_reads_no_columns_writes_no_row() {
    let mut world = World::new("age-rows", enabled()).await;
    for table in ["a", "b", "c"] {
        world.platform.add(&format!("cat/s/{table}"), "id:int");
    }
    without_fingerprints(&mut world);
    keep_columns_for(&mut world, Some(Duration::from_secs(3600))).await;
    world.run().await;
    let before = super::absence::all_rows(&world).await;
    world.sync("K").await;
    assert_eq!(super::absence::all_rows(&world).await, before);
}

#[tokio::test]
async fn twelve_thousand_tables_without_fingerprints_are_asked_for_by_the_thousand() {
    let mut world = World::new("gather", enabled()).await;
    world.platform.page_size = 1000;
    for n in 0..12_000 {
        world.platform.add(&format!("c/s/t{n:05}"), "id:int");
    }
    without_fingerprints(&mut world);
    world.run().await;
    let begun = std::time::Instant::now();
    let now = world.now();
    world.db.enqueue_sync(&Sight::All, &at("K"), false, now).await.expect("enqueue");
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let mut tasks = claimed.tasks;
    let mut asked = Vec::new();
    while let Some(task) = tasks.pop() {
        if let Work::Columns { names, .. } = &task.work {
            assert!(names.len() <= 1000, "{}", names.len());
            asked.extend(names.iter().cloned());
            // All of them in one page, as a connector would that lists them.
            let objects = names.iter().map(|name| world.platform.scanned(&format!("c/s/{name}"), true)).collect();
            let step = world.platform.step(claimed.claim, task.number, now);
            let done = world.db.apply_columns(step, Page { objects, ..Page::default() }).await.expect("columns");
            assert!(done.task.is_none() && done.added.is_empty());
            continue;
        }
        let advanced = world.platform.advance(&world.db, claimed.claim, &task, now).await;
        tasks.extend(advanced.task);
        tasks.extend(advanced.added);
    }
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 12_000);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

/// A claimed sync of everything with its first partition.
async fn reading(world: &mut World) -> (crate::model::job::Claim, Task) {
    let now = world.now();
    world.db.enqueue_sync(&Sight::All, &at("K"), false, now).await.expect("enqueue");
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let step = world.platform.step(claimed.claim, 0, now);
    let mut added = world.db.apply_plan(step, vec![Platform::partition("")]).await.expect("plan").added;
    (claimed.claim, added.remove(0))
}

#[tokio::test]
async fn a_connector_that_only_waits_is_given_up_also_over_restarts() {
    let mut world = World::new("waits", enabled()).await;
    world.platform.add("c/s/t", "id:int");
    world.run().await;
    let (claim, mut task) = reading(&mut world).await;
    // As after so many polls: the count stands with the task.
    let mut polls = 0;
    let scanned = world.platform.scanned("c", false);
    loop {
        let step = world.platform.step(claim, task.number, start());
        // Two cursors in turn, and the same object again and again: it is news only once.
        let page = Page {
            objects: vec![scanned.clone()],
            next: Some(Cursor((polls % 2).to_string())),
            not_before: Some(Duration::ZERO),
            ..Page::default()
        };
        polls += 1;
        match world.db.apply_page(step, page).await.expect("page").task {
            Some(next) => task = next,
            None => break,
        }
        assert!(polls < 6_000, "it never ends");
        if polls == 3 {
            assert_eq!(task.idle, 2);
            task.idle = 0; // What a worker holds does not matter: the store's count does.
        }
    }
    assert_eq!(polls, 5_001);
    let job = world.db.job(&Sight::All, claim.job).await.expect("job").expect("job");
    assert_eq!(job.object_errors.last().map(|error| error.code.as_str()), Some("endless"));
    world.check().await;
}

#[tokio::test]
async fn a_column_task_that_gets_nowhere_is_given_up() {
    let mut world = World::new("nowhere", enabled()).await;
    world.platform.add("c/s/t", "id:int");
    world.platform.add("c/s/u", "id:int");
    without_fingerprints(&mut world);
    world.run().await;
    let now = world.now();
    world.db.enqueue_sync(&Sight::All, &at("K"), false, now).await.expect("enqueue");
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let mut tasks = claimed.tasks;
    let mut columns = None;
    while let Some(task) = tasks.pop() {
        if matches!(task.work, Work::Columns { .. }) {
            columns = Some(task);
            continue;
        }
        let advanced = world.platform.advance(&world.db, claimed.claim, &task, now).await;
        tasks.extend(advanced.task);
        tasks.extend(advanced.added);
    }
    let mut task = columns.expect("a task");
    let mut polls = 0_u32;
    loop {
        let step = world.platform.step(claimed.claim, task.number, now);
        let page = Page { next: Some(Cursor((polls % 2).to_string())), ..Page::default() };
        polls += 1;
        match world.db.apply_columns(step, page).await.expect("page").task {
            Some(next) => task = next,
            None => break,
        }
        assert!(polls < 6_000, "it never ends");
    }
    assert_eq!(polls, 5_000);
    let job = world.db.job(&Sight::All, claimed.job.id).await.expect("job").expect("job");
    let codes: Vec<&str> = job.object_errors.iter().map(|error| error.code.as_str()).collect();
    assert_eq!(codes, ["columns-missing", "columns-missing"], "both keep what is known");
    world.check().await;
}

#[tokio::test]
async fn a_sync_of_one_table_hears_nothing_of_its_siblings() {
    let mut world = World::new("siblings", enabled()).await;
    for table in ["a", "b", "c"] {
        world.platform.add(&format!("cat/s/{table}"), "id:int");
    }
    world.run().await;
    let now = world.now();
    world.db.enqueue_sync(&Sight::All, &at("K/cat/s/b"), false, now).await.expect("enqueue");
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let step = world.platform.step(claimed.claim, 0, now);
    let added = world.db.apply_plan(step, vec![Platform::partition("cat/s")]).await.expect("plan").added;
    let error = |path: &str| ObjectError {
        path: super::platform::remote(path),
        code: "permission-denied".into(),
        message: "no".into(),
    };
    let page = Page {
        errors: ["cat/s/a", "cat/s/b", "cat/s/b/deep", "cat/s", "cat/t"].map(error).to_vec(),
        ..Page::default()
    };
    let step = world.platform.step(claimed.claim, added[0].number, now);
    world.db.apply_page(step, page).await.expect("page");
    let job = world.db.job(&Sight::All, claimed.job.id).await.expect("job").expect("job");
    let told: Vec<String> = job.object_errors.iter().map(|error| error.path.to_string()).collect();
    assert_eq!((told, job.counts.errors), (vec!["cat.s.b".into(), "cat.s.b.deep".into(), "cat.s".into()], 3));
}
