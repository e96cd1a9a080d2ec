//! Whose turn it is among waiting jobs.

use super::{
    super::jobs::{Claimed, JobEnd},
    World, at, enabled, later, new_connection,
};
use crate::model::{
    job::{Job, JobState},
    sight::Sight,
};

/// Three connections with three containers each, synced, named `K`, `L` and `M`.
async fn world(name: &str) -> World {
    let mut world = World::new(name, enabled()).await;
    for key in ["L", "M"] {
        let mut new = new_connection(key);
        new.settings = enabled();
        world.db.create_connection(new, later(0)).await.expect("create");
    }
    for table in ["c1/s1/a", "c2/s1/a", "c3/s1/a"] {
        world.platform.add(table, "id:int");
    }
    world.run().await;
    world
}

async fn queue(world: &mut World, object: &str, force: bool) -> Job {
    let now = world.now();
    world.db.enqueue_sync(&Sight::All, &at(object), force, now).await.expect("queue").expect("object")
}

async fn claim(world: &mut World) -> Option<Claimed> {
    let now = world.now();
    world.db.claim_job(now).await.expect("claim")
}

async fn path_of_next(world: &mut World) -> String {
    claim(world).await.map(|claimed| claimed.job.object_path.to_string()).unwrap_or_default()
}

#[tokio::test]
async fn many_jobs_of_one_connection_hold_up_no_other() {
    let mut world = world("fair").await;
    for object in ["K/c1", "K/c2", "K/c3", "L/c1", "M/c1", "L/c2"] {
        queue(&mut world, object, false).await;
    }
    let mut order = Vec::new();
    for _ in 0..6 {
        order.push(path_of_next(&mut world).await);
    }
    assert_eq!(order, ["K.c1", "L.c1", "M.c1", "K.c2", "L.c2", "K.c3"]);
    assert!(claim(&mut world).await.is_none());
    world.check().await;
}

#[tokio::test]
async fn one_worker_goes_round_the_connections() {
    let mut world = world("round").await;
    for object in ["K/c1", "K/c2", "K/c3", "L/c1", "L/c2", "M/c1"] {
        queue(&mut world, object, false).await;
    }
    let mut order = Vec::new();
    while let Some(claimed) = claim(&mut world).await {
        order.push(claimed.job.object_path.connection().to_string());
        let now = world.now();
        world.db.end_job(claimed.claim, JobEnd::Completed, now).await.expect("end");
    }
    assert_eq!(order.concat(), "KLMKLK", "also across the ends of jobs");
    world.check().await;
}

#[tokio::test]
async fn small_syncs_do_not_keep_a_large_one_waiting() {
    let mut world = world("starve").await;
    queue(&mut world, "K/c1", false).await;
    let small = claim(&mut world).await.expect("job");
    let whole = queue(&mut world, "K", false).await;
    // Another kind of sync, so that it does not join: it lies inside what waits before it.
    let later_one = queue(&mut world, "K/c2", true).await;
    assert!(claim(&mut world).await.is_none(), "both wait: one for the running job, one for its turn");
    assert_eq!(world.db.next_due().await.expect("due"), None, "nothing to wake up for");
    let now = world.now();
    world.db.end_job(small.claim, JobEnd::Completed, now).await.expect("end");
    let second = claim(&mut world).await.expect("job");
    assert_eq!(second.job.id, whole.id);
    assert!(claim(&mut world).await.is_none());
    let now = world.now();
    world.db.end_job(second.claim, JobEnd::Completed, now).await.expect("end");
    assert_eq!(claim(&mut world).await.expect("job").job.id, later_one.id);
    world.check().await;
}

#[tokio::test]
async fn a_job_that_waits_to_be_tried_again_holds_up_nothing() {
    let mut world = world("later").await;
    queue(&mut world, "K", false).await;
    let whole = claim(&mut world).await.expect("job");
    let error = crate::model::job::JobError { code: "unavailable".into(), message: "down".into() };
    let now = world.now();
    world.db.end_job(whole.claim, JobEnd::Retry { due_at: later(500), error }, now).await.expect("end");
    queue(&mut world, "K/c1", false).await;
    assert_eq!(path_of_next(&mut world).await, "K.c1");
    assert!(world.db.claim_job(later(500)).await.expect("claim").is_none(), "now it waits for the smaller one");
    world.check().await;
}

#[tokio::test]
async fn what_begun_once_does_not_expire() {
    let mut world = world("begun").await;
    let old = queue(&mut world, "K", false).await;
    let claimed = claim(&mut world).await.expect("job");
    let error = crate::model::job::JobError { code: "unavailable".into(), message: "down".into() };
    let (now, tomorrow) = (world.now(), later(25 * 3600));
    world.db.end_job(claimed.claim, JobEnd::Retry { due_at: tomorrow, error }, now).await.expect("end");
    let waits = queue(&mut world, "L", false).await;
    assert_eq!(world.db.claim_job(tomorrow).await.expect("claim").expect("job").job.id, old.id);
    let expired = world.db.job(&Sight::All, waits.id).await.expect("read").expect("job");
    assert_eq!(expired.state, JobState::Expired);
    world.check().await;
}
