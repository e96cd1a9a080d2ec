//! Periodic syncs, by a clock that the test sets.

use jiff::Timestamp;

use super::{
    super::{
        connections::ConnectionUpdate,
        jobs::{JobEnd, JobFilter},
    },
    World, actor, at, enabled, later, new_connection, start, update_of,
};
use crate::model::{
    connection::ConnectionOptions,
    job::{Job, JobState, Trigger},
    schedule::{Jitter, Schedule},
    sight::Sight,
};

/// The first 01:00 UTC after every scenario's beginning, which is at 08:00.
const FIRST: i64 = 17 * 3600;
const DAY: i64 = 24 * 3600;

async fn world(name: &str) -> World {
    let mut world = World::new(name, enabled()).await;
    world.platform.add("c1/s1/a", "id:int");
    world.run().await;
    world
}

/// Ticks, and gives the jobs that this queued.
async fn tick(world: &World, now: Timestamp) -> Vec<Job> {
    let before = all(world).await.len();
    world.db.queue_due_syncs(now).await.expect("tick");
    let mut jobs = all(world).await;
    jobs.truncate(jobs.len() - before);
    jobs
}

async fn all(world: &World) -> Vec<Job> {
    world.db.jobs(&Sight::All, JobFilter { size: 500, ..JobFilter::default() }).await.expect("jobs")
}

async fn run_at(world: &mut World, now: Timestamp) -> Vec<Job> {
    let mut done = Vec::new();
    while let Some(claimed) = world.db.claim_job(now).await.expect("claim") {
        done.push(world.platform.run(&world.db, claimed, now).await);
    }
    done
}

fn schedule(cron: &str, jitter: u64) -> Schedule {
    Schedule { cron: cron.parse().expect("cron"), jitter: Jitter::try_from(jitter).expect("jitter") }
}

#[tokio::test]
async fn it_fires_at_one_each_day_and_once() {
    let mut world = world("daily").await;
    assert_eq!(later(FIRST), "2027-01-16T01:00:00Z".parse().expect("time"));
    assert_eq!(tick(&world, later(FIRST - 1)).await.len(), 0);
    assert_eq!(world.db.queue_due_syncs(later(FIRST - 1)).await.expect("tick"), Some(later(FIRST)));
    for day in 0..5 {
        let now = later(FIRST + day * DAY);
        let queued = tick(&world, now).await;
        assert_eq!(queued.len(), 1, "day {day}");
        assert_eq!((queued[0].trigger, queued[0].created_at), (Trigger::Schedule, now));
        assert_eq!(queued[0].object_path.to_string(), "K");
        assert!(tick(&world, now).await.is_empty(), "once");
        assert!(tick(&world, later(FIRST + day * DAY + DAY - 1)).await.is_empty(), "not before the next day");
        assert_eq!(run_at(&mut world, now).await.len(), 1);
        world.check().await;
    }
}

#[tokio::test]
async fn what_was_missed_is_made_up_for_once() {
    let world = world("missed").await;
    let mut world = world.crash();
    let now = later(FIRST + 9 * DAY + 7200);
    assert_eq!(tick(&world, now).await.len(), 1, "ten nights, one sync");
    run_at(&mut world, now).await;
    world = world.crash();
    assert!(tick(&world, now).await.is_empty(), "not again after another restart");
    assert_eq!(world.db.queue_due_syncs(now).await.expect("tick"), Some(later(FIRST + 10 * DAY)));
    assert_eq!(tick(&world, later(FIRST + 10 * DAY)).await.len(), 1);
    world.check().await;
}

#[tokio::test]
async fn a_sync_that_waits_already_is_joined() {
    let mut world = world("joined").await;
    let job = world.db.enqueue_sync(&Sight::All, &at("K"), false, later(FIRST - 5)).await.expect("queue").expect("job");
    assert!(tick(&world, later(FIRST)).await.is_empty(), "the waiting one does it");
    let claimed = world.db.claim_job(later(FIRST + 1)).await.expect("claim").expect("job");
    assert_eq!(claimed.job.id, job.id);
    // A night later it still runs: the next one waits for its end.
    assert_eq!(tick(&world, later(FIRST + DAY)).await.len(), 1);
    assert!(tick(&world, later(FIRST + 2 * DAY - 7200)).await.is_empty());
    assert!(world.db.claim_job(later(FIRST + DAY)).await.expect("claim").is_none());
    world.db.end_job(claimed.claim, JobEnd::Completed, later(FIRST + DAY + 60)).await.expect("end");
    assert_eq!(run_at(&mut world, later(FIRST + DAY + 61)).await.len(), 1);
    world.check().await;
}

#[tokio::test]
async fn the_delay_is_kept_through_restarts() {
    let world = world("jitter").await;
    let (id, chosen) = (world.connection.id, schedule("0 1 * * *", 7200));
    world.db.change_schedule(id, chosen.clone(), None, actor(), start()).await.expect("change");
    let due = chosen.next_after(id, start());
    let delay = due.duration_since(later(FIRST)).as_secs();
    assert_eq!(u64::try_from(delay).expect("delay"), chosen.jitter.of(id).as_secs());
    assert!(tick(&world, later(FIRST + delay - 1)).await.is_empty());
    let mut world = world.crash();
    assert_eq!(tick(&world, later(FIRST + delay)).await.len(), 1);
    run_at(&mut world, later(FIRST + delay)).await;
    assert!(tick(&world, later(FIRST + DAY + delay - 1)).await.is_empty());
    assert_eq!(tick(&world, later(FIRST + DAY + delay)).await.len(), 1);
    world.check().await;
}

#[tokio::test]
async fn a_schedule_that_is_changed_does_not_make_up_for_the_past() {
    let world = world("changed").await;
    let id = world.connection.id;
    let noon = later(FIRST + 11 * 3600);
    let changed =
        world.db.change_schedule(id, schedule("30 11 * * *", 0), Some(1), actor(), noon).await.expect("change");
    assert_eq!((changed.revision, changed.options.schedule.cron.to_string().as_str()), (2, "30 11 * * *"));
    assert!(tick(&world, noon).await.is_empty(), "neither the 01:00 nor the 11:30 of today");
    assert_eq!(tick(&world, later(FIRST + DAY + 10 * 3600 + 1800)).await.len(), 1);
    let stale = world.db.change_schedule(id, Schedule::default(), Some(1), actor(), noon).await;
    assert!(matches!(stale, Err(super::super::connections::ConnectionError::Revision(2))), "{stale:?}");
    let read = world.db.connection(id).await.expect("read").expect("connection");
    assert_eq!(read.options.schedule, schedule("30 11 * * *", 0));
    world.check().await;
}

#[tokio::test]
async fn a_clock_that_was_ahead_silences_nobody() {
    let mut world = world("ahead").await;
    assert_eq!(tick(&world, later(FIRST + 3000 * DAY)).await.len(), 1, "the clock was years ahead");
    run_at(&mut world, later(FIRST + 3000 * DAY)).await;
    let now = later(FIRST + 3600);
    assert!(tick(&world, now).await.is_empty(), "set right");
    assert_eq!(tick(&world, later(FIRST + DAY)).await.len(), 1);
    world.check().await;
}

#[tokio::test]
async fn a_deregistered_connection_is_due_no_more() {
    let world = world("gone").await;
    world.db.create_connection(new_connection("L"), start()).await.expect("create");
    world.db.delete_object(&Sight::All, &at("K"), later(5)).await.expect("delete").expect("object");
    world.check().await;
    let queued = tick(&world, later(FIRST)).await;
    // The first sync of L waits still, and covers it.
    assert!(queued.is_empty(), "{queued:?}");
    assert_eq!(world.db.queue_due_syncs(later(FIRST)).await.expect("tick"), Some(later(FIRST + DAY)));
}

#[tokio::test]
async fn only_another_time_leaves_a_running_sync_alone() {
    let world = world("update").await;
    let id = world.connection.id;
    world.db.enqueue_sync(&Sight::All, &at("K"), false, later(1)).await.expect("queue").expect("job");
    let claimed = world.db.claim_job(later(2)).await.expect("claim").expect("job");
    let update = ConnectionUpdate {
        options: ConnectionOptions { schedule: schedule("0 5 * * *", 0), ..world.connection.options.clone() },
        secrets: None,
        ..update_of(&world.connection)
    };
    let changed = world.db.update_connection(id, update.clone(), None, later(3)).await.expect("update");
    assert_eq!(changed.0.options.schedule, schedule("0 5 * * *", 0));
    world.db.renew_claim(claimed.claim).await.expect("it goes on");
    let update = ConnectionUpdate { secrets: Some(crate::model::connection::Sealed(vec![4])), ..update };
    world.db.update_connection(id, update, None, later(4)).await.expect("update");
    assert!(world.db.renew_claim(claimed.claim).await.is_err(), "other secrets begin it again");
    let job = world.db.job(&Sight::All, claimed.job.id).await.expect("read").expect("job");
    assert_eq!(job.state, JobState::Retry);
    world.check().await;
}
