//! Jobs that stand for others.

use super::{
    super::{
        ObjectRef,
        jobs::{Cancelled, JobEnd, JobFilter, JobKind, QueueError},
        settings::Mode,
    },
    World, at, enabled, new_connection, start,
};
use crate::model::{
    id::BulkId,
    job::{Job, JobError, JobState, JobType, Trigger},
    settings::SettingsChange,
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

async fn bulk(world: &World, bulk: BulkId) -> Vec<Job> {
    let filter = JobFilter { bulk: Some(bulk), size: 50, ..JobFilter::default() };
    world.db.jobs(&Sight::All, filter).await.expect("jobs")
}

async fn several(world: &mut World, objects: &[&str]) -> Job {
    let now = world.now();
    let objects: Vec<ObjectRef> = objects.iter().map(|object| at(object)).collect();
    world.db.enqueue_syncs(&Sight::All, objects, false, now).await.expect("queue").expect("objects")
}

async fn state(world: &World, job: &Job) -> JobState {
    world.db.job(&Sight::All, job.id).await.expect("read").expect("job").state
}

#[tokio::test]
async fn a_group_ends_with_the_last_of_its_parts() {
    let mut world = world("group").await;
    let group = several(&mut world, &["K/c1/s1", "K/c1/s2"]).await;
    assert_eq!((&group.job_type, group.state), (&JobType::SyncGroup, JobState::Active));
    assert_eq!(group.object_path.to_string(), "K.c1", "what contains them all");
    let jobs = bulk(&world, group.bulk).await;
    assert_eq!(jobs.len(), 3);
    assert!(jobs.iter().filter(|job| job.id != group.id).all(|job| job.parent == Some(group.id)));
    let running = JobFilter { state: Some(JobState::Active), size: 9, ..JobFilter::default() };
    assert_eq!(world.db.jobs(&Sight::All, running).await.expect("jobs")[0].id, group.id);
    world.check().await;
    let now = world.now();
    let one = world.db.claim_job(now).await.expect("claim").expect("job");
    world.platform.run(&world.db, one, now).await;
    assert_eq!(state(&world, &group).await, JobState::Active);
    world.run().await;
    assert_eq!(state(&world, &group).await, JobState::Completed);
    world.check().await;
    let only = JobFilter { kind: Some(JobKind::SyncGroup), size: 9, ..JobFilter::default() };
    assert_eq!(world.db.jobs(&Sight::All, only).await.expect("jobs").len(), 1);
}

#[tokio::test]
async fn a_group_fails_with_any_of_its_parts() {
    let mut world = world("part").await;
    let group = several(&mut world, &["K/c1", "K/c2"]).await;
    let now = world.now();
    let one = world.db.claim_job(now).await.expect("claim").expect("job");
    let error = JobError { code: "unavailable".into(), message: "down".into() };
    world.db.end_job(one.claim, JobEnd::Failed(error), now).await.expect("end");
    world.run().await;
    let ended = world.db.job(&Sight::All, group.id).await.expect("read").expect("job");
    assert_eq!((ended.state, ended.error.expect("why").code.as_str()), (JobState::Failed, "part-failed"));
    world.check().await;
}

#[tokio::test]
async fn a_part_that_another_waits_for_is_shared_and_not_stopped_with_the_group() {
    let mut world = world("shared").await;
    let now = world.now();
    let whole = world.db.enqueue_sync(&Sight::All, &at("K/c1"), false, now).await.expect("queue").expect("job");
    let group = several(&mut world, &["K/c1/s1", "K/c2"]).await;
    let jobs = bulk(&world, group.bulk).await;
    assert_eq!(jobs.len(), 3);
    assert!(jobs.iter().any(|job| job.id == whole.id), "the waiting one does it");
    world.check().await;
    let now = world.now();
    let stopped = world.db.cancel_job(&Sight::All, group.id, now).await.expect("cancel").expect("job");
    assert!(matches!(stopped, Cancelled::Now(job) if job.state == JobState::Cancelled));
    assert_eq!(state(&world, &whole).await, JobState::Created, "somebody else asked for it");
    let own = jobs.iter().find(|job| job.parent == Some(group.id)).expect("a part");
    assert_eq!(state(&world, own).await, JobState::Cancelled);
    world.check().await;
    let done = world.run().await;
    assert_eq!(done.len(), 1);
    world.check().await;
}

#[tokio::test]
async fn a_change_of_settings_is_a_job_that_ends_with_its_sync() {
    let mut world = world("settings").await;
    let off = SettingsChange { is_active: Some(Some(false)), ..SettingsChange::default() };
    let on = SettingsChange { is_active: Some(None), ..SettingsChange::default() };
    let now = world.now();
    let done = world.db.change_settings(&Sight::All, &at("K/c1"), off, None, Mode::Apply, now).await.expect("off");
    let jobs = bulk(&world, done.bulk.expect("bulk")).await;
    assert_eq!(jobs.len(), 1, "nothing follows from disabling");
    assert_eq!((&jobs[0].job_type, jobs[0].state), (&JobType::SettingsChange, JobState::Completed));
    let now = world.now();
    let done = world.db.change_settings(&Sight::All, &at("K/c1"), on, None, Mode::Apply, now).await.expect("on");
    let jobs = bulk(&world, done.bulk.expect("bulk")).await;
    assert_eq!(jobs.iter().map(|job| job.state).collect::<Vec<_>>(), [JobState::Created, JobState::Active]);
    assert!(jobs.iter().all(|job| job.trigger == Trigger::Settings));
    world.check().await;
    let world = world.crash();
    world.check().await;
    let mut world = world;
    world.run().await;
    assert!(bulk(&world, done.bulk.expect("bulk")).await.iter().all(|job| job.state == JobState::Completed));
    let now = world.now();
    let tried = world.db.change_settings(&Sight::All, &at("K/c1"), off, None, Mode::DryRun, now).await.expect("dry");
    assert_eq!((tried.bulk, tried.job), (None, None));
    world.check().await;
}

#[tokio::test]
async fn deleting_what_a_group_is_about_ends_it() {
    let mut world = world("deleted").await;
    let group = several(&mut world, &["K/c1/s1", "K/c1/s2"]).await;
    let now = world.now();
    world.db.delete_object(&Sight::All, &at("K/c1"), now).await.expect("delete").expect("object");
    assert_eq!(state(&world, &group).await, JobState::Cancelled);
    world.check().await;
}

#[tokio::test]
async fn what_is_not_of_one_connection_or_not_seen_is_no_group() {
    let mut world = world("apart").await;
    world.db.create_connection(new_connection("L"), start()).await.expect("create");
    let now = world.now();
    let apart = world.db.enqueue_syncs(&Sight::All, vec![at("K/c1"), at("L")], false, now).await;
    assert!(matches!(apart, Err(QueueError::Apart)), "{apart:?}");
    let owner = Sight::Roots(vec![world.get("K/c1").await.id]);
    let hidden = world.db.enqueue_syncs(&owner, vec![at("K/c1"), at("K/c2")], false, now).await.expect("queue");
    assert_eq!(hidden, None);
    world.check().await;
}
