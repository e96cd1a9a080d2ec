//! Hostile pages, and pages of full size.

use super::{
    World, at, enabled,
    platform::{Platform, columns, remote},
};
use crate::model::{
    job::Work,
    object::{Facts, Kind},
    page::{Cursor, Listing, Page, ScannedObject},
    sight::Sight,
};

fn object(path: &str, kind: Kind) -> ScannedObject {
    ScannedObject {
        path: remote(path),
        namespace: String::new(),
        facts: Facts {
            kind,
            object_type: "thing".into(),
            remote_id: Some(format!("id of {path}")),
            comment: None,
            attributes: Vec::new(),
        },
        fingerprint: Some("1".into()),
        columns: None,
        excluded: None,
    }
}

/// Gives a page to the first partition of a sync of the connection. Codes of what was refused.
async fn give(world: &mut World, page: Page) -> Vec<String> {
    let now = world.now();
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let step = world.platform.step(claimed.claim, 0, now);
    let read = world.db.apply_plan(step, vec![Platform::partition("")]).await.expect("plan").added;
    let step = world.platform.step(claimed.claim, read[0].number, now);
    world.db.apply_page(step, page).await.expect("page");
    world.check().await;
    let job = world.db.job(&Sight::All, claimed.job.id).await.expect("job").expect("job");
    assert_eq!(job.counts.errors, u64::try_from(job.object_errors.len()).expect("number"));
    job.object_errors.into_iter().map(|error| error.code).collect()
}

#[tokio::test]
async fn a_hostile_page_hurts_only_itself() {
    let mut world = World::new("hostile", enabled()).await;
    let mut fat = object("c/fat", Kind::TableLike);
    fat.facts.attributes = (0..100_000).map(|n| (format!("k{n}"), "v".repeat(50))).collect();
    let mut elsewhere = object("c/t3", Kind::TableLike);
    elsewhere.facts.remote_id = Some("id of c/t1".into());
    let mut odd = object("c/odd", Kind::TableLike);
    odd.namespace = "~displaced/x".into();
    let deep = vec!["d"; 40].join("/");
    let objects = vec![
        // Children before their container.
        object("c/t1", Kind::TableLike),
        object("c/t1", Kind::TableLike),
        object("c", Kind::Container),
        object("nowhere/t", Kind::TableLike),
        object("nowhere/u", Kind::TableLike),
        object("c/t1/inside", Kind::TableLike),
        object(&deep, Kind::TableLike),
        object("managed", Kind::Container),
        object("managed/s", Kind::Container),
        elsewhere,
        fat,
        odd,
        object("c/good", Kind::TableLike),
    ];
    let listed = vec![
        Listing { path: remote("ghost"), namespace: String::new(), basis: String::new() },
        Listing { path: remote("managed"), namespace: String::new(), basis: String::new() },
    ];
    let mut codes = give(&mut world, Page { objects, listed, ..Page::default() }).await;
    codes.sort();
    assert_eq!(
        codes,
        [
            "duplicate-path",
            "duplicate-remote-id",
            "invalid-namespace",
            "outside-scope",
            "too-large",
            "unknown-parent",
            "unknown-parent",
            "unknown-parent"
        ]
    );
    assert_eq!(world.get("K/c").await.child_count, 3);
    assert!(world.find("K/managed").await.is_none());
    assert!(world.get("K/c/fat").await.facts.attributes.len() <= 256);
}

#[tokio::test]
async fn a_listing_that_would_never_end_is_ended() {
    let mut world = World::new("endless", enabled()).await;
    world.platform.add("c/s/t", "id:int");
    world.run().await;
    let now = world.now();
    world.db.enqueue_sync(&Sight::All, &at("K"), false, now).await.expect("enqueue");
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let step = world.platform.step(claimed.claim, 0, now);
    let read = world.db.apply_plan(step, vec![Platform::partition("")]).await.expect("plan").added;
    let step = world.platform.step(claimed.claim, read[0].number, now);
    let page = Page { next: Some(Cursor("same".into())), ..Page::default() };
    assert!(world.db.apply_page(step.clone(), page.clone()).await.expect("page").task.is_some());
    assert!(world.db.apply_page(step, page).await.expect("page").task.is_none());
    world.check().await;
}

#[tokio::test]
async fn a_partition_that_comes_again_is_read_once() {
    let mut world = World::new("again", enabled()).await;
    let now = world.now();
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let step = world.platform.step(claimed.claim, 0, now);
    let partition = Platform::partition("");
    let read = world.db.apply_plan(step, vec![partition.clone(), partition.clone()]).await.expect("plan").added;
    assert_eq!(read.len(), 1);
    let step = world.platform.step(claimed.claim, read[0].number, now);
    let page = Page { partitions: vec![partition], next: Some(Cursor("1".into())), ..Page::default() };
    assert!(world.db.apply_page(step, page).await.expect("page").added.is_empty());
}

#[tokio::test]
async fn a_coarse_listing_takes_only_what_the_job_is_for() {
    let mut world = World::new("coarse", enabled()).await;
    for table in ["c1/s/t", "c2/s/t"] {
        world.platform.add(table, "id:int");
    }
    world.run().await;
    world.platform.drop_thing("c2");
    let now = world.now();
    world.db.enqueue_sync(&Sight::All, &at("K/c1"), false, now).await.expect("enqueue");
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let step = world.platform.step(claimed.claim, 0, now);
    let read = world.db.apply_plan(step, vec![Platform::partition("")]).await.expect("plan").added;
    assert!(matches!(read[0].work, Work::Read { .. }), "the connector may begin above");
    let page = Page {
        objects: vec![object("new", Kind::Container), object("c1/more", Kind::Container)],
        listed: vec![Listing { path: remote(""), namespace: String::new(), basis: String::new() }],
        partitions: vec![Platform::partition("c1"), Platform::partition("new")],
        ..Page::default()
    };
    let step = world.platform.step(claimed.claim, read[0].number, now);
    let advanced = world.db.apply_page(step, page).await.expect("page");
    assert_eq!(advanced.added.len(), 1, "{advanced:?}");
    assert!(world.find("K/new").await.is_none() && world.find("K/c1/more").await.is_some());
    assert!(world.find("K/c2").await.is_some_and(|view| view.active), "it was not asked about");
    world.check().await;
}

#[tokio::test]
async fn pages_of_full_size_are_applied_and_an_unchanged_one_writes_little() {
    let mut world = World::new("volume", enabled()).await;
    world.platform.page_size = 1000;
    let spec: Vec<String> = (0..50).map(|n| format!("column_{n}:decimal(38,{n})")).collect();
    world.platform.add("c/s/t0000", "id:int");
    let list = columns(&spec.join(" "));
    for n in 0..3000 {
        let name = format!("c/s/t{n:04}");
        world.platform.add(&name, "");
        world.platform.things.get_mut(&name).expect("thing").columns = list.clone();
    }
    world.run().await;
    assert_eq!(world.get("K/c/s").await.child_count, 3000);
    assert_eq!(world.columns("K/c/s/t2999").await.map(|c| c.len()), Some(50));
    world.platform.asked.clear();
    let job = world.sync("K").await;
    assert_eq!(job.counts.seen.get("thing").or(job.counts.seen.get("table")), Some(&3000));
    assert!(world.platform.asked.is_empty());
}
