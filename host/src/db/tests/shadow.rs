//! Reads with a version that serves nobody: whose they are, and what they look at.

use super::{
    super::{
        Db,
        connectors::{Asked, Cause, Read, Which},
        feed::FeedQuery,
    },
    World, actor, at,
    connectors::{NAME, install, revision, version},
    enabled,
    platform::columns,
    start,
};
use crate::model::{
    connector::{Origin, Step},
    diff::What,
    job::{JobState, Trigger},
    sight::Sight,
};

/// A connector of which 1.0.0 serves and 1.1.0 is compared, and the revision that this began with.
async fn compared(db: &Db) -> u64 {
    install(db, version("0.9.0", "none", Origin::Bundled)).await.expect("installed");
    install(db, version("1.0.0", "one", Origin::Bundled)).await.expect("installed");
    db.bring(NAME, "1.0.0", start()).await.expect("active");
    install(db, version("1.1.0", "two", Origin::Bundled)).await.expect("installed");
    let asked = Asked { version: "1.1.0".into(), canary: None, shadow: true, forced: false, by: Some(actor()) };
    db.begin_rollout(NAME, asked, revision(db).await, start()).await.expect("begun").revision
}

async fn read(world: &World, began: u64, which: Which) -> Option<Read> {
    world.db.shadow_read(NAME, began, world.connection.id, which, start()).await.expect("asked")
}

#[tokio::test]
async fn a_read_is_found_again_and_ends_with_what_asked_for_it() {
    let mut world = World::new("shadow", enabled()).await;
    world.run().await;
    let began = compared(&world.db).await;
    assert_eq!(read(&world, began, Which::Candidate).await, None, "it is not its turn");
    assert!(world.db.note_step(NAME, began, Step::Shadow, Vec::new(), start()).await.expect("noted"));
    let first = read(&world, began, Which::Candidate).await.expect("queued");
    assert_eq!((first.version.as_str(), read(&world, began, Which::Candidate).await.as_ref()), ("1.1.0", Some(&first)));
    let other = read(&world, began, Which::Serving).await.expect("queued");
    assert_eq!(other.version, "1.0.0");
    assert_ne!(other.job, first.job);
    let dry = world.db.enqueue_dry_run(&Sight::All, &at("K"), false, start()).await.expect("queued").expect("there");
    assert!(![first.job, other.job].contains(&dry.id), "nobody else's dry run joins it");
    assert_eq!(read(&world, began + 1, Which::Candidate).await, None, "of another change of version");

    let mut world = world.crash();
    assert_eq!(read(&world, began, Which::Candidate).await, Some(first.clone()));
    // Whatever else is removed meanwhile, it is the same change of version.
    world.db.remove_version(NAME, "0.9.0", actor(), start()).await.expect("removed");
    assert_eq!(read(&world, began, Which::Candidate).await, Some(first.clone()));
    assert!(!world.db.note_step(NAME, began, Step::Done, Vec::new(), start()).await.expect("asked"), "seen before");

    let now = world.now();
    let claimed = world.db.claim_job(now).await.expect("claim").expect("due");
    assert_eq!((claimed.job.id, claimed.job.trigger), (first.job, Trigger::Comparison));
    assert_eq!(claimed.carried_out_by, Some((NAME.to_owned(), "1.1.0".to_owned())));
    world.db.roll_back(NAME, Cause::Person(actor(), None), Vec::new(), start()).await.expect("ended");
    for job in [first.job, other.job] {
        let job = world.db.job(&Sight::All, job).await.expect("read").expect("there");
        assert_eq!(job.state, JobState::Cancelled);
    }
    assert_eq!(read(&world, began, Which::Candidate).await, None, "it is over");
    assert_eq!(world.db.shadow_reads(NAME, began).await.expect("read").len(), 2);
    let next = world.run().await;
    assert_eq!(next.iter().map(|job| job.id).collect::<Vec<_>>(), [dry.id], "what else waited goes on");
    world.check().await;
}

#[tokio::test]
async fn columns_are_compared_whatever_their_fingerprint_says() {
    let mut world = World::new("shadow-columns", enabled()).await;
    world.platform.add("cat/s/a", "id:int");
    world.platform.add("cat/s/b", "id:int");
    world.run().await;
    // It is a fault of the platform or of the version: only a version that reads again sees it.
    world.platform.things.get_mut("cat/s/a").expect("thing").columns = columns("id:int more:text");
    let now = world.now();
    let dry = world.db.enqueue_dry_run(&Sight::All, &at("K"), false, now).await.expect("queued").expect("there");
    let done = world.run().await;
    assert_eq!(done.iter().find(|job| job.id == dry.id).and_then(|job| job.found), Some(0));

    let began = compared(&world.db).await;
    world.db.note_step(NAME, began, Step::Shadow, Vec::new(), start()).await.expect("noted");
    let read = read(&world, began, Which::Candidate).await.expect("queued");
    let done = world.run().await;
    let job = done.iter().find(|job| job.id == read.job).expect("ran");
    assert_eq!((job.state, job.found), (JobState::Completed, Some(1)), "{job:?}");
    let query = FeedQuery { size: 10, ..FeedQuery::default() };
    let found = world.db.job_changes(&Sight::All, read.job, query).await.expect("changes").entries;
    assert!(matches!(found[0].what, What::Columns { first: false, .. }), "{found:?}");
    assert_eq!(world.columns("K/cat/s/a").await.map(|columns| columns.len()), Some(1), "nothing is written");
    world.check().await;
}
