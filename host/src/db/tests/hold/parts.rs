//! Where only a part of what is known is listed, or shows something: single tables, one namespace, what lies below.

use super::{
    super::super::{DbError, fault::Fault, fault::Stop, feed::FeedQuery, tables::ReadRows, work},
    *,
};

#[tokio::test]
async fn an_emptied_namespace_is_held_though_the_other_one_is_full() {
    let mut world = World::new("namespace", enabled()).await;
    world.platform.has_functions = true;
    for n in 0..20 {
        world.platform.add(&format!("c/s/t{n:02}"), "id:int");
    }
    world.platform.add("c/s/fn_a", "");
    world.platform.add("c/s/fn_b", "");
    world.platform.add("c/other/fn_only", "");
    world.run().await;
    hide(&mut world.platform, |name| name.contains("/fn_"));
    let job = world.sync("K").await;
    let hold = the_hold(&world).await;
    let cause = "every known child of K.c.s in its namespace function would be gone; \
                 2 of 22 known objects below K.c.s would be gone (9 %)";
    assert_eq!(
        (hold.cause.as_str(), hold.path, hold.counts),
        (cause, path("K/c/s"), [("function".to_owned(), 2)].into())
    );
    assert_eq!(job.counts.missing.get("function"), Some(&1), "a single one is believed");
    world.platform.hidden.remove("c/s/fn_a");
    let job = world.sync("K").await;
    assert_eq!((job.counts.held, job.counts.missing.get("function")), (0, Some(&1)), "one of two");
}

#[tokio::test]
async fn a_bad_night_that_is_started_table_by_table_is_held_as_a_whole_one_is() {
    let mut world = world("by-tables", 1, 1, 60).await;
    hide(&mut world.platform, |name| level(name) == 3 && name < "c0/s0/t30");
    for n in 0..30 {
        let job = world.sync(&format!("K/c0/s0/t{n:02}")).await;
        assert_eq!(job.counts.held, u64::from(n >= 12), "of the first twelve each is believed: {n}");
    }
    assert_eq!((missing(&world).await.len(), holds(&world).await.len()), (12, 18));
    let hold = holds(&world).await.remove(0);
    let cause = "1 of 1 known tables in K.c0.s0.t12 would be gone, too large a part of what is known above \
                 together with what other syncs have marked in the last day";
    assert_eq!((hold.cause.as_str(), hold.path.clone()), (cause, path("K/c0/s0/t12")));
    // What a person released adds nothing, and what came back neither.
    decide(&mut world, &hold, Decision::Release).await;
    world.platform.hidden.remove("c0/s0/t00");
    world.platform.hidden.remove("c0/s0/t01");
    world.sync("K/c0/s0/t00").await;
    world.sync("K/c0/s0/t01").await;
    assert_eq!(world.sync("K/c0/s0/t13").await.counts.held, 0, "11 of 59");
    assert_eq!(world.sync("K/c0/s0/t14").await.counts.held, 1);
    // Nor what a whole sync has believed, nor what is older than a day.
    world.now += 25 * 3600;
    assert_eq!(world.sync("K/c0/s0/t14").await.counts.held, 0);
}

#[tokio::test]
async fn what_a_sync_of_the_whole_container_believed_adds_nothing() {
    let mut world = world("by-whole", 1, 1, 60).await;
    hide(&mut world.platform, |name| level(name) == 3 && name < "c0/s0/t12");
    assert_eq!(world.sync("K").await.counts.missing.get("table"), Some(&12));
    hide(&mut world.platform, |name| name == "c0/s0/t12");
    assert_eq!(world.sync("K/c0/s0/t12").await.counts.missing.get("table"), Some(&1));
}

#[tokio::test]
async fn the_last_table_of_a_schema_that_single_syncs_empty_is_held() {
    let mut world = world("by-last", 1, 2, 3).await;
    hide(&mut world.platform, |name| name.starts_with("c0/s0/"));
    let mut held = Vec::new();
    for table in ["t00", "t01", "t02"] {
        held.push(world.sync(&format!("K/c0/s0/{table}")).await.counts.held);
    }
    assert_eq!(held, [0, 0, 1]);
}

#[tokio::test]
async fn what_is_seen_in_a_held_container_frees_it() {
    let mut world = world("below", 5, 2, 6).await;
    hide(&mut world.platform, |name| name == "c1" || name == "c3");
    world.sync("K").await;
    assert_eq!(the_hold(&world).await.objects(), 2);
    let job = world.sync("K/c1/s0").await;
    assert!(job.counts.seen.get("table") == Some(&6) && job.counts.missing.is_empty(), "{job:?}");
    let hold = the_hold(&world).await;
    assert_eq!((hold.objects(), world.get("K/c1/s0/t00").await.held), (1, None));
    assert_eq!(world.get("K/c3").await.held, Some(hold.id));
}

#[tokio::test]
async fn what_is_seen_later_in_an_absent_container_shows_that_it_is_there() {
    let mut world = world("below-absent", 2, 1, 3).await;
    hide(&mut world.platform, |name| name == "c1");
    let now = world.now();
    world.db.enqueue_sync(&Sight::All, &at("K"), false, now).await.expect("enqueue");
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let (claim, plan) = (claimed.claim, claimed.tasks[0].number);
    let partitions = ["", "c1/s0"].map(Platform::partition).to_vec();
    let mut tasks = world.db.apply_plan(world.platform.step(claim, plan, now), partitions).await.expect("plan").added;
    let is_late = |task: &Task| matches!(&task.work, Work::Read { partition, .. } if partition.id == "list c1/s0");
    let mut judged = false;
    while !tasks.is_empty() {
        // What lies in the one that the connection's listing lacks is read last.
        let n = tasks.iter().position(|task| !is_late(task)).unwrap_or(0);
        let task = tasks.remove(n);
        judged |= task.work == Work::Judge;
        let advanced = world.platform.advance(&world.db, claim, &task, now).await;
        tasks.extend(advanced.task.into_iter().chain(advanced.added));
    }
    let job = world.db.end_job(claim, JobEnd::Completed, now).await.expect("end");
    assert!(!judged && job.counts.missing.is_empty() && job.counts.held == 0, "{job:?}");
    assert!(missing(&world).await.is_empty());
    world.check().await;
}

#[tokio::test]
async fn what_moves_out_of_the_scope_of_its_hold_is_held_no_more() {
    let mut world = world("moves-out", 2, 2, 20).await;
    hide(&mut world.platform, |name| level(name) == 3 && name.starts_with("c0/") && name.ends_with(['3', '4', '5']));
    hide(&mut world.platform, |name| level(name) == 3 && name.starts_with("c0/") && name.ends_with(['6', '7', '8']));
    world.sync("K/c0").await;
    let hold = the_hold(&world).await;
    assert_eq!((hold.path.clone(), hold.objects()), (path("K/c0"), 24));
    world.platform.rename("c0/s1", "c1/s9");
    world.platform.failing.insert("c1/s9".into());
    world.sync("K/c1").await;
    assert_eq!(world.get("K/c1/s9/t03").await.remote_status, RemoteStatus::Present);
    assert_eq!((the_hold(&world).await.id, the_hold(&world).await.objects()), (hold.id, 12), "who may decide there");
    assert_eq!(world.get("K/c1/s9/t03").await.held, None);
}

#[tokio::test]
async fn what_a_sync_holds_is_read_once_by_pages_while_some_of_it_is_seen_again() {
    let mut world = world("pages", 1, 2, 30).await;
    hide(&mut world.platform, |name| name.starts_with("c0/s1/"));
    let job = world.sync("K").await;
    let (mut read, mut cursor) = (Vec::new(), None);
    for table in 0.. {
        let query = FeedQuery { cursor: cursor.take(), size: 7, ..FeedQuery::default() };
        let feed = world.db.job_changes(&Sight::All, job.id, query).await.expect("changes");
        read.extend(feed.entries.iter().map(|entry| entry.object));
        cursor = Some(feed.next);
        if !feed.more {
            break;
        }
        // Of what was read: what comes after it moves up.
        world.platform.hidden.remove(&format!("c0/s1/t{table:02}"));
        world.sync(&format!("K/c0/s1/t{table:02}")).await;
    }
    let all: std::collections::BTreeSet<_> = read.iter().collect();
    assert_eq!((read.len(), all.len()), (30, 30), "none twice, none left out");
    let query = FeedQuery { cursor, size: 7, ..FeedQuery::default() };
    let feed = world.db.job_changes(&Sight::All, job.id, query).await.expect("changes");
    assert!(feed.entries.is_empty() && !feed.more, "to its end once");
}

/// Rows that only the work on a job needs.
async fn work_of(world: &World, job: &Job) -> (bool, usize) {
    let id = job.id.as_u128();
    let count = move |rows: &ReadRows| -> Result<_, Fault> {
        Ok((work::has_any(rows, id)?, rows.absent.range((id, 0)..=(id, u128::MAX))?.count()))
    };
    world.db.read("count", move |rows| -> Result<_, Stop<DbError>> { Ok(count(rows)?) }).await.expect("count")
}

/// A claimed sync of everything, or a dry run of one, that has nothing left to do but to judge what is gone.
async fn about_to_judge(world: &mut World, dry: bool) -> Job {
    for n in 0..20 {
        world.platform.drop_thing(&format!("c0/s{}/t{n:02}", n % 2));
    }
    let now = world.now();
    let (db, object) = (world.db.clone(), at("K"));
    let queued = match dry {
        true => db.enqueue_dry_run(&Sight::All, &object, false, now).await,
        false => db.enqueue_sync(&Sight::All, &object, false, now).await,
    };
    let queued = queued.expect("enqueue").expect("job");
    let claimed = db.claim_job(now).await.expect("claim").expect("job");
    let mut tasks = claimed.tasks;
    while let Some(task) = tasks.pop().filter(|task| task.work != Work::Judge) {
        let advanced = world.platform.advance(&db, claimed.claim, &task, now).await;
        tasks.extend(advanced.task.into_iter().chain(advanced.added));
    }
    assert_eq!(work_of(world, &queued).await, (true, 20));
    queued
}

#[tokio::test]
async fn what_a_cancelled_sync_leaves_goes_in_small_steps_and_a_kill_between_them_hurts_nothing() {
    for dry in [false, true] {
        let mut world = world("left-over", 1, 2, 30).await;
        let job = about_to_judge(&mut world, dry).await;
        let now = world.now();
        world.db.cancel_job(&Sight::All, job.id, now).await.expect("cancelled");
        assert!(work_of(&world, &job).await.0, "not all at once");
        while world.db.forget_jobs(later(1_000_000), 10).await.expect("forget") {}
        assert!(world.db.job(&Sight::All, job.id).await.expect("job").is_some(), "its rows would be nobody's");
        let mut steps = 0;
        while world.db.reclaim(2).await.expect("given back") {
            world = world.crash();
            world.check().await;
            steps += 1;
        }
        assert!(steps > 10 && work_of(&world, &job).await == (false, 0), "{steps}");
        let done = world.sync("K").await;
        assert_eq!((done.counts.held, missing(&world).await.len()), (20, 0));
    }
}

#[tokio::test]
async fn a_sync_that_begins_again_is_claimed_when_the_last_row_of_its_work_is_gone() {
    for dry in [false, true] {
        let mut world = world("again-small", 1, 2, 30).await;
        let job = about_to_judge(&mut world, dry).await;
        let now = world.now();
        let mut update = update_of(&world.connection);
        update.config = serde_json::json!({"hostname": "other"});
        world.db.update_connection(world.connection.id, update, None, now).await.expect("update");
        world.check().await;
        assert!(work_of(&world, &job).await.0, "not all at once");
        assert!(world.db.reclaim(2).await.expect("given back"), "also without a claim");
        world = world.crash();
        world.check().await;
        let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
        assert_eq!((claimed.job.id, claimed.tasks.len(), work_of(&world, &job).await.1), (job.id, 1, 0));
        let done = world.platform.run(&world.db, claimed, now).await;
        assert_eq!((done.state, done.counts.held), (JobState::Completed, 20));
        world.check().await;
    }
}
