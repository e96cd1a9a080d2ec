//! What goes missing, what does not, and what comes back (D1, D36, D37).

use super::{
    super::{DbError, fault::Stop},
    World, at, enabled,
    platform::{Platform, remote},
    start,
};
use redb::ReadableTable as _;

use crate::model::{
    job::Work,
    object::RemoteStatus,
    page::{Listing, ObjectError, Page},
    settings::{NewChildren, SettingsChange},
    sight::Sight,
};

async fn world(name: &str, settings: SettingsChange) -> World {
    let mut world = World::new(name, settings).await;
    for table in ["a", "b", "c", "d", "e"] {
        world.platform.add(&format!("cat/s1/{table}"), "id:int name:text");
        world.platform.add(&format!("cat/s2/{table}"), "id:int");
    }
    world.run().await;
    world.check().await;
    world
}

async fn status(world: &World, object: &str) -> RemoteStatus {
    world.get(object).await.remote_status
}

#[tokio::test]
async fn a_disabled_connection_finds_everything_once_and_then_rests() {
    let mut world = world("disabled", SettingsChange::default()).await;
    assert_eq!(world.get("K").await.child_count, 13);
    let table = world.get("K/cat/s1/a").await;
    assert!(!table.active && !table.columns_known);
    assert_eq!(world.platform.listings, ["", "cat", "cat/s2", "cat/s1"]);
    world.platform.listings.clear();
    let job = world.sync("K").await;
    assert_eq!(world.platform.listings, [""], "a disabled container that was listed once is skipped");
    assert_eq!(job.counts.skipped, 1);
    world.platform.listings.clear();
    world.sync_with("K", true).await;
    assert_eq!(world.platform.listings.len(), 4, "unless disabled ones are asked for");
    assert_eq!(world.platform.asked.len(), 2 * (3 + 1 + 2), "then with their columns, two at a time");
    assert!(world.get("K/cat/s1/a").await.columns_known);
}

#[tokio::test]
async fn an_unchanged_catalog_changes_nothing() {
    let mut world = world("unchanged", enabled()).await;
    let before = world.inventory().await;
    let rows = all_rows(&world).await;
    world.platform.asked.clear();
    let job = world.sync("K").await;
    assert_eq!(world.inventory().await, before);
    assert_eq!(all_rows(&world).await, rows, "not one object, column, index or change row");
    assert!(world.platform.asked.is_empty(), "no columns are read again");
    let c = job.counts;
    assert!(c.added.is_empty() && c.changed.is_empty() && c.missing.is_empty() && c.returned.is_empty());
    assert_eq!(c.seen.get("table"), Some(&10));
}

/// Every row that holds the inventory, and the sequence of its last commit.
pub(super) async fn all_rows(world: &World) -> Vec<String> {
    let dump = world.db.read("dump", |rows| -> Result<_, Stop<DbError>> {
        let mut all = vec![format!("{:?}", rows.meta.get("commit")?.map(|row| row.value()))];
        for table in [&rows.objects, &rows.columns, &rows.overrides] {
            for row in table.iter()? {
                let (key, row) = row?;
                all.push(format!("{} {:?}", key.value(), row.value()));
            }
        }
        for row in rows.children.iter()? {
            let (key, row) = row?;
            all.push(format!("{:?} {:?}", key.value(), row.value()));
        }
        for row in rows.columns_read.iter()? {
            let (key, row) = row?;
            all.push(format!("{:?} {:?}", key.value(), row.value()));
        }
        for row in rows.counters.iter()? {
            let (key, row) = row?;
            all.push(format!("{:?} {:?}", key.value(), row.value()));
        }
        for row in rows.remote_ids.iter()? {
            let (key, row) = row?;
            all.push(format!("{:?} {:?}", key.value(), row.value()));
        }
        for row in rows.changes.iter()? {
            let (key, row) = row?;
            all.push(format!("{:?} {:?}", key.value(), row.value()));
        }
        Ok(all)
    });
    dump.await.expect("dump")
}

#[tokio::test]
async fn a_dropped_table_is_missing_and_comes_back() {
    for confirms in [true, false] {
        let mut world = world("dropped", enabled()).await;
        world.platform.confirms = confirms;
        let kept = world.platform.things["cat/s1/b"].clone();
        world.platform.drop_thing("cat/s1/b");
        let job = world.sync("K").await;
        assert_eq!(job.counts.missing.get("table"), Some(&1));
        let gone = world.get("K/cat/s1/b").await;
        assert_eq!((gone.remote_status, gone.active), (RemoteStatus::Missing, false));
        assert!(gone.settings.is_active, "its status waits for its return");
        assert_eq!(world.sync("K").await.counts.missing.get("table"), None, "once");
        world.platform.things.insert("cat/s1/b".into(), kept);
        let job = world.sync("K").await;
        assert_eq!(job.counts.returned.get("table"), Some(&1));
        let back = world.get("K/cat/s1/b").await;
        assert!(back.active && back.id == gone.id);
    }
}

#[tokio::test]
async fn a_vanished_schema_is_marked_at_its_top_only() {
    let mut world = world("schema", enabled()).await;
    world.platform.drop_thing("cat/s1");
    let job = world.sync("K").await;
    assert_eq!(job.counts.missing.get("schema"), Some(&1));
    assert_eq!(job.counts.missing.get("table"), None);
    assert_eq!(status(&world, "K/cat/s1/a").await, RemoteStatus::Missing, "computed below it");
    assert_eq!(status(&world, "K/cat/s2/a").await, RemoteStatus::Present);
}

#[tokio::test]
async fn a_failed_listing_marks_nothing() {
    let mut world = world("failed", enabled()).await;
    world.platform.drop_thing("cat/s1/b");
    world.platform.failing.insert("cat/s1".into());
    let job = world.sync("K").await;
    assert_eq!(job.object_errors.len(), 1);
    assert_eq!(status(&world, "K/cat/s1/b").await, RemoteStatus::Present);
    world.platform.failing.clear();
    world.sync("K").await;
    assert_eq!(status(&world, "K/cat/s1/b").await, RemoteStatus::Missing);
}

#[tokio::test]
async fn a_container_that_failed_is_not_closed_by_another_partition() {
    let mut world = world("poisoned", enabled()).await;
    let now = world.now();
    world.db.enqueue_sync(&Sight::All, &at("K/cat/s1"), false, now).await.expect("enqueue");
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let mut partitions = vec![Platform::partition("cat/s1"), Platform::partition("cat/s1")];
    partitions[1].id = "second half".into();
    let step = world.platform.step(claimed.claim, 0, now);
    let added = world.db.apply_plan(step, partitions).await.expect("plan").added;
    let listed = Page {
        listed: vec![Listing { path: remote("cat/s1"), namespace: String::new(), basis: "reader".into() }],
        ..Page::default()
    };
    // While the other one is still being read, and after it has failed, nothing is complete.
    let error = ObjectError { path: remote("cat/s1"), code: "unavailable".into(), message: "down".into() };
    let step = world.platform.step(claimed.claim, added[0].number, now);
    world.db.fail_task(step, error).await.expect("fail");
    let step = world.platform.step(claimed.claim, added[1].number, now);
    let after = world.db.apply_page(step, listed).await.expect("page");
    assert!(after.added.is_empty() && after.task.is_none(), "nobody is doubted: {after:?}");
    assert_eq!(status(&world, "K/cat/s1/a").await, RemoteStatus::Present);
    world.check().await;
}

#[tokio::test]
async fn what_is_there_when_asked_again_is_not_missing() {
    for confirms in [true, false] {
        let mut world = world("hidden", enabled()).await;
        world.platform.confirms = confirms;
        world.platform.hidden.insert("cat/s1/c".into());
        let now = world.now();
        world.db.enqueue_sync(&Sight::All, &at("K"), false, now).await.expect("enqueue");
        let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
        let claim = claimed.claim;
        let mut tasks = claimed.tasks;
        let mut doubted = 0;
        while let Some(task) = tasks.pop() {
            if matches!(task.work, Work::Confirm { .. }) {
                doubted += 1;
                world.platform.hidden.clear();
            }
            let advanced = world.platform.advance(&world.db, claim, &task, now).await;
            tasks.extend(advanced.task);
            tasks.extend(advanced.added);
        }
        assert_eq!(doubted, 1);
        assert_eq!(status(&world, "K/cat/s1/c").await, RemoteStatus::Present);
        world.check().await;
    }
}

#[tokio::test]
async fn an_object_with_an_error_is_not_missing() {
    let mut world = world("error", enabled()).await;
    let now = world.now();
    world.db.enqueue_sync(&Sight::All, &at("K/cat/s1"), false, now).await.expect("enqueue");
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let step = world.platform.step(claimed.claim, 0, now);
    let added = world.db.apply_plan(step, vec![Platform::partition("cat/s1")]).await.expect("plan").added;
    let objects = ["a", "b", "c", "d"].map(|t| world.platform.scanned(&format!("cat/s1/{t}"), false)).to_vec();
    let error = ObjectError { path: remote("cat/s1/e"), code: "permission-denied".into(), message: "no".into() };
    let listed = vec![Listing { path: remote("cat/s1"), namespace: String::new(), basis: "reader".into() }];
    let step = world.platform.step(claimed.claim, added[0].number, now);
    let page = Page { objects, errors: vec![error], listed, ..Page::default() };
    let advanced = world.db.apply_page(step, page).await.expect("page");
    assert!(advanced.added.is_empty(), "{advanced:?}");
    assert_eq!(status(&world, "K/cat/s1/e").await, RemoteStatus::Present);
}

#[tokio::test]
async fn a_sync_of_one_table_touches_only_that_table() {
    let mut world = world("single", enabled()).await;
    world.platform.drop_thing("cat/s1/b");
    world.platform.drop_thing("cat/s1/c");
    world.platform.retype("cat/s1/d", "other:int");
    world.platform.add("cat/s1/new", "id:int");
    let listed = world.get("K/cat/s1").await.last_synced_at;
    world.sync("K/cat/s1/b").await;
    assert_eq!(status(&world, "K/cat/s1/b").await, RemoteStatus::Missing);
    assert_eq!(status(&world, "K/cat/s1/c").await, RemoteStatus::Present);
    assert!(world.find("K/cat/s1/new").await.is_none());
    assert_eq!(world.get("K/cat/s1").await.last_synced_at, listed, "the schema was not synced");
    world.platform.asked.clear();
    world.sync("K/cat/s1/d").await;
    assert_eq!(world.platform.asked, ["cat/s1/d"]);
    assert_eq!(world.columns("K/cat/s1/d").await.expect("columns")[0].name, "other");
    let before = world.get("K/cat/s1/d").await.id;
    world.platform.rename("cat/s1/d", "cat/s1/dd");
    world.sync("K/cat/s1/d").await;
    assert_eq!(world.get("K/cat/s1/dd").await.id, before);
}

#[tokio::test]
async fn what_the_host_manages_never_appears() {
    let mut world = world("managed", enabled()).await;
    world.platform.add("managed/s/t", "id:int");
    let job = world.sync_with("K", true).await;
    assert!(world.find("K/managed").await.is_none());
    assert!(job.object_errors.is_empty() && !world.platform.listings.contains(&"managed".to_owned()));
    // Named so only later: what was listed before vanishes.
    let mut update = super::update_of(&world.connection);
    update.host_managed = Some("cat".into());
    world.db.update_connection(world.connection.id, update, Some(1), start()).await.expect("update");
    assert!(world.find("K/cat").await.is_none());
    assert_eq!(world.get("K").await.child_count, 0);
    world.check().await;
}

#[tokio::test]
async fn changed_columns_are_read_by_name_and_only_they() {
    let mut world = world("columns", enabled()).await;
    world.platform.asked.clear();
    world.platform.retype("cat/s1/b", "id:bigint extra:text");
    let job = world.sync("K").await;
    assert_eq!(world.platform.asked, ["cat/s1/b"]);
    let c = &job.counts;
    assert_eq!((c.columns_added, c.columns_changed, c.columns_deleted), (1, 1, 1));
    assert_eq!(world.columns("K/cat/s1/b").await.expect("columns").len(), 2);
    // Without a fingerprint they are read every time.
    world.platform.things.get_mut("cat/s2/a").expect("thing").fingerprint = None;
    for _ in 0..2 {
        world.platform.asked.clear();
        world.sync("K").await;
        assert_eq!(world.platform.asked, ["cat/s2/a"]);
    }
}

#[tokio::test]
async fn a_version_that_cannot_be_asked_for_columns_lists_their_container_once_more() {
    let mut world = world("columns-listed", enabled()).await;
    world.platform.retype("cat/s1/b", "id:bigint extra:text");
    world.platform.retype("cat/s1/d", "id:bigint");
    world.platform.things.remove("cat/s1/e");
    world.platform.loses_names = true;
    world.platform.listings.clear();
    let job = world.sync("K").await;
    world.check().await;
    // Once for its columns, whatever was asked about them, and once for what was not in it.
    assert_eq!(world.platform.listings.iter().filter(|listed| *listed == "cat/s1").count(), 1 + 1 + 1);
    let c = &job.counts;
    assert_eq!((c.errors, c.columns_added, c.columns_changed, c.columns_deleted), (0, 1, 2, 2));
    assert_eq!(world.columns("K/cat/s1/b").await.expect("columns").len(), 2);
    assert_eq!(status(&world, "K/cat/s1/e").await, RemoteStatus::Missing, "the listing before it is complete");
    // From its beginning a sync by it lists once, and reads columns with every page.
    world.platform.retype("cat/s1/b", "id:int");
    world.platform.listings.clear();
    let job = world.sync("K").await;
    assert_eq!(world.platform.listings.iter().filter(|listed| *listed == "cat/s1").count(), 1);
    assert_eq!((job.counts.errors, job.counts.columns_deleted), (0, 1));
}

#[tokio::test]
async fn a_first_listing_brings_columns_where_new_tables_begin_enabled() {
    let settings = SettingsChange { is_active: None, new_children: Some(Some(NewChildren::Enable)) };
    let mut world = world("first", settings).await;
    assert!(world.platform.asked.is_empty(), "they came with the tables");
    assert_eq!(world.columns("K/cat/s1/a").await.map(|c| c.len()), Some(2));
    world.sync("K").await;
    assert!(world.platform.asked.is_empty());
}
