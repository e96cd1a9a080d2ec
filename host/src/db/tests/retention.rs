//! How long jobs are kept, what is told of them lately, and how they stand at a glance.

use super::{
    super::jobs::{JobEnd, JobFilter},
    World, at, enabled, later, new_connection, start,
};
use crate::model::{
    id::JobId,
    job::{Job, JobError, JobState},
    sight::Sight,
};

async fn world(name: &str) -> World {
    let mut world = World::new(name, enabled()).await;
    for table in ["c1/s1/a", "c2/s1/a"] {
        world.platform.add(table, "id:int");
    }
    world.run().await;
    world
}

async fn all(world: &World) -> Vec<JobId> {
    let jobs = world.db.jobs(&Sight::All, JobFilter { size: 500, ..JobFilter::default() }).await.expect("jobs");
    jobs.into_iter().map(|job| job.id).collect()
}

async fn failed(world: &mut World, object: &str) -> Job {
    let now = world.now();
    world.db.enqueue_sync(&Sight::All, &at(object), false, now).await.expect("queue").expect("job");
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let error = JobError { code: "unavailable".into(), message: "down".into() };
    world.db.end_job(claimed.claim, JobEnd::Failed(error), now).await.expect("end")
}

#[tokio::test]
async fn old_jobs_go_and_the_last_of_each_connection_stays() {
    let mut world = world("old").await;
    let mut new = new_connection("L");
    new.settings = enabled();
    world.db.create_connection(new, start()).await.expect("create");
    world.run().await;
    for _ in 0..3 {
        failed(&mut world, "K/c1").await;
    }
    let kept = world.sync("K").await;
    let waiting = {
        let now = world.now();
        world.db.enqueue_sync(&Sight::All, &at("K/c2"), false, now).await.expect("queue").expect("job")
    };
    let before = all(&world).await.len();
    assert_eq!(before, 7);
    while world.db.reclaim(100).await.expect("reclaim") {}
    assert!(!world.db.forget_jobs(start(), 10).await.expect("forget"), "nothing is that old");
    assert_eq!(all(&world).await.len(), before);
    // By ones, and a crash in the middle of it.
    assert!(world.db.forget_jobs(later(1000), 1).await.expect("forget"));
    world.check().await;
    let world = world.crash();
    while world.db.forget_jobs(later(1000), 1).await.expect("forget") {
        world.check().await;
    }
    let left = all(&world).await;
    assert_eq!(left.len(), 3, "the last of each connection, and what waits");
    assert!(left.contains(&kept.id) && left.contains(&waiting.id));
    world.check().await;
}

#[tokio::test]
async fn jobs_of_an_older_program_are_found_too() {
    let mut world = world("older").await;
    failed(&mut world, "K/c1").await;
    let kept = world.sync("K").await;
    world
        .db
        .write::<_, super::super::DbError>("forget what was noted", |rows| {
            rows.ended.retain(|_, ()| false)?;
            rows.last_syncs.retain(|_, _| false)?;
            rows.job_facts.retain(|_, _| false)?;
            Ok(())
        })
        .await
        .expect("write");
    let world = world.crash();
    world.check().await;
    while world.db.reclaim(100).await.expect("reclaim") {}
    while world.db.forget_jobs(later(1000), 10).await.expect("forget") {}
    assert_eq!(all(&world).await, [kept.id]);
    world.check().await;
}

#[tokio::test]
async fn news_are_what_runs_and_what_ended_since() {
    let mut world = world("news").await;
    let old = failed(&mut world, "K/c1").await;
    world.now += 100;
    let ended = failed(&mut world, "K/c1").await;
    let waiting = {
        let now = world.now();
        world.db.enqueue_sync(&Sight::All, &at("K/c2"), false, now).await.expect("queue").expect("job")
    };
    let news = world.db.job_news(&Sight::All, ended.ended_at.expect("end")).await.expect("news");
    assert!(news.complete);
    assert_eq!(news.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [ended.id, waiting.id]);
    let news = world.db.job_news(&Sight::All, old.ended_at.expect("end")).await.expect("news");
    assert_eq!(news.jobs.len(), 3);
    let owner = Sight::Roots(vec![world.get("K/c2").await.id]);
    let news = world.db.job_news(&owner, start()).await.expect("news");
    assert_eq!(news.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [waiting.id]);
    assert!(world.db.brief_jobs(&owner, vec![old.id]).await.expect("jobs").is_empty());
    assert!(world.db.jobs_of_bulk(&owner, old.bulk).await.expect("bulk").is_empty());
    assert_eq!(world.db.jobs_of_bulk(&owner, waiting.bulk).await.expect("bulk"), [waiting.id]);
}

#[tokio::test]
async fn a_summary_counts_and_tells_how_each_connection_stands() {
    let mut world = world("summary").await;
    failed(&mut world, "K/c1").await;
    let last = failed(&mut world, "K/c1").await;
    let now = world.now();
    world.db.enqueue_sync(&Sight::All, &at("K/c2"), false, now).await.expect("queue").expect("job");
    let summary = world.db.job_summary(&Sight::All, start()).await.expect("summary");
    assert_eq!(summary.running.into_iter().collect::<Vec<_>>(), [("created", 1)]);
    assert_eq!(summary.ended.into_iter().collect::<Vec<_>>(), [("completed", 1), ("failed", 2)]);
    assert_eq!(summary.waiting_since, Some(now));
    assert_eq!(summary.connections.len(), 1);
    assert_eq!(summary.connections[0].last.as_ref().map(|job| (job.id, job.state)), Some((last.id, JobState::Failed)));
    let owner = Sight::Roots(vec![world.get("K/c2").await.id]);
    let summary = world.db.job_summary(&owner, start()).await.expect("summary");
    assert_eq!((summary.running.len(), summary.ended.len(), summary.connections.len()), (1, 0, 0));
}

#[tokio::test]
async fn a_sync_of_what_is_known_says_how_much_it_will_see() {
    let mut world = world("total").await;
    let job = world.sync("K").await;
    assert_eq!(job.expected, Some(6), "two catalogs, two schemas, two tables");
    assert_eq!(job.counts.seen.values().sum::<u64>(), 6);
    assert_eq!(world.sync("K/c1/s1/a").await.expected, None, "of a table, all of its schema is listed");
}
