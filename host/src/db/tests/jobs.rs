//! Queueing, claiming, joining, cancelling (D43).

use super::{
    super::{
        ObjectRef,
        connections::ConnectionError,
        jobs::{Cancelled, ClaimError, JobEnd, JobFilter},
    },
    World, at, enabled, later, new_connection,
    platform::Platform,
};
use crate::model::{
    connection::Address,
    job::{Job, JobError, JobState},
    sight::Sight,
};

async fn world(name: &str) -> World {
    let mut world = World::new(name, enabled()).await;
    for table in ["c1/s1/a", "c1/s2/a", "c2/s1/a"] {
        world.platform.add(table, "id:int");
    }
    world.run().await;
    world
}

async fn enqueue(world: &mut World, object: &str, force: bool) -> Job {
    let now = world.now();
    world.db.enqueue_sync(&Sight::All, &at(object), force, now).await.expect("enqueue").expect("object")
}

#[tokio::test]
async fn a_request_joins_only_a_waiting_job_that_covers_it() {
    let mut world = world("join").await;
    let whole = enqueue(&mut world, "K/c1", false).await;
    assert_eq!(enqueue(&mut world, "K/c1", false).await.id, whole.id);
    assert_eq!(enqueue(&mut world, "K/c1/s1", false).await.id, whole.id);
    assert_ne!(enqueue(&mut world, "K", false).await.id, whole.id, "a larger scope does not join");
    assert_ne!(enqueue(&mut world, "K/c1/s1", true).await.id, whole.id, "other options do not join");
    let now = world.now();
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    assert_eq!(claimed.job.id, whole.id, "who waits longest is first");
    assert_ne!(enqueue(&mut world, "K/c1", false).await.id, whole.id, "one that has begun is not joined");
    world.check().await;
}

#[tokio::test]
async fn overlapping_subtrees_never_run_together() {
    let mut world = world("overlap").await;
    let first = enqueue(&mut world, "K/c1/s1", false).await;
    let above = enqueue(&mut world, "K/c1", false).await;
    let beside = enqueue(&mut world, "K/c2", false).await;
    let now = world.now();
    let one = world.db.claim_job(now).await.expect("claim").expect("job");
    let two = world.db.claim_job(now).await.expect("claim").expect("job");
    assert_eq!((one.job.id, two.job.id), (first.id, beside.id));
    assert!(world.db.claim_job(now).await.expect("claim").is_none());
    assert_eq!(world.db.next_due().await.expect("due"), None, "what is blocked is not due");
    world.db.end_job(one.claim, JobEnd::Completed, now).await.expect("end");
    assert_eq!(world.db.claim_job(now).await.expect("claim").expect("job").job.id, above.id);
    world.check().await;
}

#[tokio::test]
async fn a_void_claim_writes_nothing() {
    let mut world = world("void").await;
    let job = enqueue(&mut world, "K", false).await;
    let now = world.now();
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    world.db.renew_claim(claimed.claim).await.expect("ours");
    let cancelled = world.db.cancel_job(&Sight::All, job.id, now).await.expect("cancel").expect("job");
    assert!(matches!(cancelled, Cancelled::Now(_)));
    let step = world.platform.step(claimed.claim, 0, now);
    let refused = world.db.apply_plan(step, vec![Platform::partition("")]).await;
    assert!(matches!(refused, Err(ClaimError::Lost)), "{refused:?}");
    assert!(matches!(world.db.renew_claim(claimed.claim).await, Err(ClaimError::Lost)));
    let ended = world.db.end_job(claimed.claim, JobEnd::Completed, now).await;
    assert!(matches!(ended, Err(ClaimError::Lost)));
    let again = world.db.cancel_job(&Sight::All, job.id, now).await.expect("cancel");
    assert_eq!(again, Some(Cancelled::HadEnded(JobState::Cancelled)));
    world.check().await;
}

#[tokio::test]
async fn a_claim_of_an_earlier_run_is_void() {
    let mut world = world("incarnation").await;
    let job = enqueue(&mut world, "K", false).await;
    let now = world.now();
    let old = world.db.claim_job(now).await.expect("claim").expect("job");
    let mut world = world.crash();
    assert!(matches!(world.db.renew_claim(old.claim).await, Err(ClaimError::Lost)));
    let now = world.now();
    let new = world.db.claim_job(now).await.expect("claim").expect("job");
    assert_eq!((new.job.id, new.claim.epoch), (job.id, old.claim.epoch + 1));
    assert_ne!(new.claim.incarnation, old.claim.incarnation);
    assert_eq!(new.tasks.len(), 1);
}

#[tokio::test]
async fn a_write_that_is_repeated_changes_nothing() {
    let mut world = world("repeat").await;
    enqueue(&mut world, "K", false).await;
    let now = world.now();
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let step = world.platform.step(claimed.claim, 0, now);
    let first = world.db.apply_plan(step.clone(), vec![Platform::partition("")]).await.expect("plan");
    assert_eq!(first.added.len(), 1);
    let second = world.db.apply_plan(step, vec![Platform::partition("")]).await.expect("plan");
    assert!(second.added.is_empty() && second.task.is_none());
    world.check().await;
}

#[tokio::test]
async fn a_job_that_is_not_begun_within_a_day_expires() {
    let mut world = world("expired").await;
    let job = enqueue(&mut world, "K", false).await;
    assert!(world.db.claim_job(later(25 * 3600)).await.expect("claim").is_none());
    let job = world.db.job(&Sight::All, job.id).await.expect("job").expect("job");
    assert_eq!(job.state, JobState::Expired);
    world.check().await;
}

#[tokio::test]
async fn a_job_to_be_tried_again_waits_and_keeps_its_tasks() {
    let mut world = world("retry").await;
    enqueue(&mut world, "K", false).await;
    let now = world.now();
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let step = world.platform.step(claimed.claim, 0, now);
    world.db.apply_plan(step, vec![Platform::partition("")]).await.expect("plan");
    let error = JobError { code: "unavailable".into(), message: "down".into() };
    let end = JobEnd::Retry { due_at: later(500), error };
    let job = world.db.end_job(claimed.claim, end, now).await.expect("end");
    assert_eq!((job.state, job.failures), (JobState::Retry, 1));
    assert!(world.db.claim_job(now).await.expect("claim").is_none());
    assert_eq!(world.db.next_due().await.expect("due"), Some(later(500)));
    let again = world.db.claim_job(later(500)).await.expect("claim").expect("job");
    assert_eq!(again.tasks.len(), 1);
    assert_eq!(again.tasks[0].number, 1);
    world.check().await;
}

#[tokio::test]
async fn deleting_an_object_stops_its_sync_and_nothing_reads_it() {
    let mut world = world("delete").await;
    let table = world.get("K/c1/s1/a").await.id;
    enqueue(&mut world, "K/c1/s1", false).await;
    let now = world.now();
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let step = world.platform.step(claimed.claim, 0, now);
    let read = world.db.apply_plan(step, vec![Platform::partition("c1/s1")]).await.expect("plan").added;
    let deleted = world.db.delete_object(&Sight::All, &at("K/c1"), now).await.expect("delete").expect("object");
    assert_eq!(deleted.child_count, 4);
    assert!(world.db.object(&Sight::All, &ObjectRef::Id(table)).await.expect("read").is_none());
    assert!(world.find("K/c1/s1/a").await.is_none());
    assert_eq!(world.get("K").await.child_count, 3);
    let step = world.platform.step(claimed.claim, read[0].number, now);
    assert!(matches!(world.db.apply_page(step, Default::default()).await, Err(ClaimError::Lost)));
    world.check().await;
    // Found again before the rows are given back: new objects, and giving back leaves them alone.
    let job = world.sync("K").await;
    assert_eq!(job.counts.added.values().sum::<u64>(), 5);
    assert_ne!(world.get("K/c1/s1/a").await.id, table);
    let before = world.inventory().await;
    while world.db.reclaim(1).await.expect("reclaim") {
        world.check().await;
    }
    assert_eq!(world.inventory().await, before);
    world.check().await;
}

#[tokio::test]
async fn deleting_a_container_during_a_sync_above_it_lets_the_sync_go_on() {
    let mut world = world("delete-above").await;
    enqueue(&mut world, "K", false).await;
    let now = world.now();
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let claim = claimed.claim;
    let mut tasks = claimed.tasks;
    let mut steps = 0;
    while let Some(task) = tasks.pop() {
        steps += 1;
        if steps == 3 {
            world.db.delete_object(&Sight::All, &at("K/c2"), now).await.expect("delete").expect("object");
        }
        let advanced = world.platform.advance(&world.db, claim, &task, now).await;
        tasks.extend(advanced.task);
        tasks.extend(advanced.added);
        world.check().await;
    }
    world.db.end_job(claim, JobEnd::Completed, now).await.expect("end");
    assert!(world.find("K/c2").await.is_none());
    assert!(world.find("K/c1/s1/a").await.is_some());
    world.sync("K").await;
    assert!(world.find("K/c2/s1/a").await.is_some(), "the next sync finds it as new");
}

#[tokio::test]
async fn a_deregistered_connection_frees_its_name_and_account() {
    let mut world = world("deregister").await;
    let id = world.connection.id;
    let taken = world.db.create_connection(new_connection("K"), later(0)).await;
    assert!(matches!(taken, Err(ConnectionError::KeyTaken)));
    let mut other = new_connection("L");
    other.address = world.connection.address.clone();
    assert!(matches!(world.db.create_connection(other.clone(), later(0)).await, Err(ConnectionError::AddressTaken(_))));
    other.address = Address { port: 8443, ..other.address };
    other.identity = world.connection.identity.clone();
    assert!(matches!(world.db.create_connection(other, later(0)).await, Err(ConnectionError::IdentityTaken(_))));
    let job = enqueue(&mut world, "K", false).await;
    let now = world.now();
    let deleted = world.db.delete_object(&Sight::All, &at("K"), now).await.expect("delete").expect("object");
    assert_eq!(deleted.child_count, 8);
    assert!(world.db.connection(id).await.expect("read").is_none());
    assert!(world.db.connection_with_secrets(id).await.expect("read").is_none());
    let job = world.db.job(&Sight::All, job.id).await.expect("job").expect("job");
    assert_eq!(job.state, JobState::Cancelled);
    world.check().await;
    world.db.create_connection(new_connection("K"), now).await.expect("the name is free");
    while world.db.reclaim(3).await.expect("reclaim") {}
    world.check().await;
    assert_eq!(world.get("K").await.child_count, 0);
}

#[tokio::test]
async fn jobs_are_listed_newest_first() {
    let mut world = world("list").await;
    let one = enqueue(&mut world, "K/c1", false).await;
    let two = enqueue(&mut world, "K/c2", false).await;
    let all = JobFilter { size: 10, ..JobFilter::default() };
    let listed: Vec<_> =
        world.db.jobs(&Sight::All, all.clone()).await.expect("jobs").into_iter().map(|j| j.id).collect();
    assert_eq!(listed[..2], [two.id, one.id]);
    assert_eq!(listed.len(), 3);
    let waiting = JobFilter { state: Some(JobState::Created), offset: 1, ..all.clone() };
    assert_eq!(world.db.jobs(&Sight::All, waiting).await.expect("jobs")[0].id, one.id);
    let bulk = JobFilter { bulk: Some(two.bulk), ..all.clone() };
    assert_eq!(world.db.jobs(&Sight::All, bulk).await.expect("jobs").len(), 1);
    let owner = Sight::Roots(vec![world.get("K/c1").await.id]);
    let seen = world.db.jobs(&owner, all).await.expect("jobs");
    assert_eq!(seen.into_iter().map(|job| job.id).collect::<Vec<_>>(), [one.id]);
    assert!(world.db.cancel_job(&owner, two.id, later(9)).await.expect("cancel").is_none());
    assert!(world.db.enqueue_sync(&owner, &at("K"), false, later(9)).await.expect("enqueue").is_none());
}
