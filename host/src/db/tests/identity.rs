//! What an object is after the platform has renamed, swapped or recreated it (D38).

use super::{
    super::{jobs::JobEnd, objects::Search, settings::Mode},
    World, at, enabled,
    platform::Platform,
    update_of,
};
use crate::model::{
    filter::Exclusion,
    job::{Job, Task, Work},
    object::RemoteStatus,
    settings::{NewChildren, SettingsChange},
    sight::Sight,
};

async fn world(name: &str) -> World {
    let mut world = World::new(name, enabled()).await;
    for table in ["a", "b", "c", "d", "e", "f", "g"] {
        world.platform.add(&format!("cat/s1/{table}"), &format!("id:int {table}:text"));
    }
    world.platform.add("cat/s2/x", "id:int");
    world.run().await;
    world.check().await;
    world
}

fn kept() -> SettingsChange {
    SettingsChange { is_active: Some(Some(false)), new_children: None }
}

#[tokio::test]
async fn a_renamed_table_keeps_id_settings_and_columns() {
    let mut world = world("rename").await;
    let before = world.get("K/cat/s1/a").await;
    let now = world.now();
    let table = at("K/cat/s1/a");
    world.db.change_settings(&Sight::All, &table, kept(), None, Mode::Apply, now).await.expect("set");
    world.platform.rename("cat/s1/a", "cat/s1/zz");
    let job = world.sync("K").await;
    let after = world.get("K/cat/s1/zz").await;
    assert_eq!(after.id, before.id);
    assert!(!after.active && after.overrides.is_active.is_some());
    assert_eq!(world.columns("K/cat/s1/zz").await.map(|c| c.len()), Some(2));
    assert!(world.find("K/cat/s1/a").await.is_none());
    assert!(job.counts.missing.is_empty() && job.counts.added.is_empty(), "{:?}", job.counts);
    assert_eq!(job.counts.changed.get("table"), Some(&1));
}

#[tokio::test]
async fn tables_that_swap_names_are_two_renames() {
    // Within one page, and across pages.
    for (one, other) in [("a", "b"), ("a", "g")] {
        let mut world = world("swap").await;
        let (one, other) = (format!("cat/s1/{one}"), format!("cat/s1/{other}"));
        let first = world.get(&format!("K/{one}")).await.id;
        let second = world.get(&format!("K/{other}")).await.id;
        world.platform.rename(&one, "cat/s1/tmp");
        world.platform.rename(&other, &one);
        world.platform.rename("cat/s1/tmp", &other);
        let job = world.sync("K").await;
        assert_eq!(world.get(&format!("K/{one}")).await.id, second);
        assert_eq!(world.get(&format!("K/{other}")).await.id, first);
        assert!(job.counts.missing.is_empty() && job.object_errors.is_empty(), "{job:?}");
        assert_eq!(world.search(Search { root: Some(at("K/cat/s1")), size: 50, ..Search::default() }).await.count, 7);
    }
}

#[tokio::test]
async fn a_renamed_catalog_rewrites_one_object() {
    let mut world = world("catalog").await;
    let (catalog, table) = (world.get("K/cat").await, world.get("K/cat/s1/a").await);
    world.platform.rename("cat", "aaa");
    let job = world.sync("K").await;
    assert_eq!(world.get("K/aaa").await.id, catalog.id);
    let after = world.get("K/aaa/s1/a").await;
    assert_eq!((after.id, after.revision), (table.id, table.revision));
    assert!(job.counts.missing.is_empty() && job.counts.added.is_empty(), "{:?}", job.counts);
}

#[tokio::test]
async fn a_table_moved_to_another_schema_is_the_same() {
    let mut world = world("move").await;
    let before = world.get("K/cat/s2/x").await;
    world.platform.rename("cat/s2/x", "cat/s1/x");
    world.sync("K").await;
    assert_eq!(world.get("K/cat/s1/x").await.id, before.id);
    assert_eq!(world.get("K/cat/s1").await.child_count, 8);
    assert_eq!(world.get("K/cat/s2").await.child_count, 0);
}

#[tokio::test]
async fn a_table_dropped_and_made_anew_is_the_same_object() {
    let mut world = world("recreated").await;
    let before = world.get("K/cat/s1/b").await;
    world.platform.drop_thing("cat/s1/b");
    world.platform.add("cat/s1/b", "id:bigint");
    world.platform.asked.clear();
    world.sync("K").await;
    let after = world.get("K/cat/s1/b").await;
    assert_eq!(after.id, before.id);
    assert_ne!(after.facts.remote_id, before.facts.remote_id);
    assert_eq!(world.platform.asked, ["cat/s1/b"], "its columns are read again, though the fingerprint is the same");
    assert_eq!(world.columns("K/cat/s1/b").await.expect("columns")[0].data_type, "bigint");
}

#[tokio::test]
async fn a_table_renamed_away_before_a_new_one_of_its_name_keeps_its_id() {
    // The rename is on the same page as the new table, or on a later one.
    for page_size in [100, 1] {
        let mut world = world("replaced").await;
        let before = world.get("K/cat/s1/b").await;
        let (now, table) = (world.now(), at("K/cat/s1/b"));
        world.db.change_settings(&Sight::All, &table, kept(), None, Mode::Apply, now).await.expect("set");
        world.platform.page_size = page_size;
        world.platform.rename("cat/s1/b", "cat/s1/b_old");
        world.platform.add("cat/s1/b", "new:int");
        world.platform.retype("cat/s1/b", "new:int");
        let job = world.sync_with("K", true).await;
        let (old, new) = (world.get("K/cat/s1/b_old").await, world.get("K/cat/s1/b").await);
        assert_eq!(old.id, before.id);
        assert_ne!(new.id, before.id);
        assert!(new.active && !old.active, "the setting went with the table");
        assert_eq!(world.columns("K/cat/s1/b").await.expect("columns")[0].name, "new");
        assert_eq!(world.columns("K/cat/s1/b_old").await.expect("columns").len(), 2);
        assert_eq!(world.get("K/cat/s1").await.child_count, 8);
        assert!(job.object_errors.is_empty() && job.counts.missing.is_empty(), "{job:?}");
    }
}

/// Syncs everything, and lists `cat/s2` only when `cat/s1` is about to be listed a second time, after so many pages of that.
async fn sync_with_s2_late(world: &mut World, pages: usize, hides: Option<&str>) -> Job {
    let now = world.now();
    world.db.enqueue_sync(&Sight::All, &at("K"), true, now).await.expect("enqueue");
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let (claim, mut tasks) = (claimed.claim, claimed.tasks);
    let (mut done, mut is_listed) = (None, false);
    while !tasks.is_empty() {
        let is_late = |task: &Task| matches!(&task.work, Work::Read { partition, .. } if partition.id == "list cat/s2");
        let again = |task: &Task| matches!(&task.work, Work::Read { second_look: true, .. });
        if tasks.iter().any(again) {
            done.get_or_insert(0);
        }
        let is_due = !is_listed && done == Some(pages);
        let next = tasks.iter().rposition(|task| if is_due { is_late(task) } else { !is_late(task) }).unwrap_or(0);
        let task = tasks.remove(next);
        is_listed |= is_late(&task);
        let advanced = world.platform.advance(&world.db, claim, &task, now).await;
        if again(&task) {
            done = done.map(|pages| pages + 1);
        }
        if is_listed {
            world.platform.hidden.extend(hides.map(str::to_owned));
        }
        tasks.extend(advanced.task);
        tasks.extend(advanced.added);
    }
    assert!(done >= Some(pages), "it was listed twice");
    let job = world.db.end_job(claim, JobEnd::Completed, now).await.expect("end");
    world.check().await;
    job
}

#[tokio::test]
async fn a_table_found_to_be_renamed_while_its_schema_is_listed_again_holds_up_no_absence() {
    for pages in 0..=2 {
        let mut world = world("replaced-twice").await;
        let before = world.get("K/cat/s1/b").await;
        world.platform.rename("cat/s1/b", "cat/s2/b");
        world.platform.add("cat/s1/b", "new:int");
        world.platform.drop_thing("cat/s1/c");
        let job = sync_with_s2_late(&mut world, pages, None).await;
        assert_eq!(world.get("K/cat/s2/b").await.id, before.id);
        assert_ne!(world.get("K/cat/s1/b").await.id, before.id);
        assert_eq!(world.get("K/cat/s1/c").await.remote_status, RemoteStatus::Missing, "after {pages} pages");
        assert_eq!(job.counts.missing.get("table"), Some(&1));
        assert!(job.object_errors.is_empty(), "{:?}", job.object_errors);
    }
}

#[tokio::test]
async fn a_new_table_of_an_old_name_that_a_second_listing_lacks_proves_nothing() {
    let mut world = world("replaced-hidden").await;
    world.platform.rename("cat/s1/b", "cat/s2/b");
    world.platform.add("cat/s1/b", "new:int");
    world.platform.drop_thing("cat/s1/c");
    let job = sync_with_s2_late(&mut world, 0, Some("cat/s1/b")).await;
    assert_eq!(world.get("K/cat/s1/c").await.remote_status, RemoteStatus::Present);
    let codes: Vec<&str> = job.object_errors.iter().map(|error| error.code.as_str()).collect();
    assert_eq!(codes, ["not-confirmed"]);
}

#[tokio::test]
async fn a_new_table_of_an_old_name_that_is_left_out_says_why() {
    let mut world = world("replaced-left-out").await;
    let before = world.get("K/cat/s1/b").await;
    world.platform.page_size = 1;
    world.platform.rename("cat/s1/b", "cat/s1/b_old");
    world.platform.add("cat/s1/b", "new:int");
    world.platform.left_out.insert("cat/s1/b".into(), "a share".into());
    world.sync("K").await;
    let (old, new) = (world.get("K/cat/s1/b_old").await, world.get("K/cat/s1/b").await);
    assert_eq!((old.id, old.remote_status, old.exclusion), (before.id, RemoteStatus::Present, None));
    assert_eq!(new.exclusion, Some(Exclusion::Connector("a share".into())));
}

#[tokio::test]
async fn what_a_sync_saw_before_it_began_again_holds_up_no_rename() {
    let mut world = world("again").await;
    let before = world.get("K/cat/s1/a").await;
    let now = world.now();
    world.db.enqueue_sync(&Sight::All, &at("K"), false, now).await.expect("enqueue");
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let (claim, mut tasks) = (claimed.claim, claimed.tasks);
    while let Some(task) = tasks.pop() {
        let advanced = world.platform.advance(&world.db, claim, &task, now).await;
        tasks.extend(advanced.task);
        tasks.extend(advanced.added);
    }
    // Everything is listed when the connection is changed, and the sync has to list it anew.
    let now = world.now();
    world.db.update_connection(world.connection.id, update_of(&world.connection), None, now).await.expect("update");
    world.platform.rename("cat/s1/a", "cat/s2/a");
    let job = world.run().await.pop().expect("job");
    assert_eq!(world.get("K/cat/s2/a").await.id, before.id);
    assert!(job.object_errors.is_empty() && job.counts.missing.is_empty(), "{job:?}");
}

#[tokio::test]
async fn a_dropped_table_whose_name_another_took_goes_missing() {
    for confirms in [true, false] {
        let mut world = world("taken").await;
        world.platform.confirms = confirms;
        let (a, b) = (world.get("K/cat/s1/a").await.id, world.get("K/cat/s1/b").await.id);
        world.platform.drop_thing("cat/s1/b");
        world.platform.rename("cat/s1/a", "cat/s1/b");
        let job = world.sync("K").await;
        assert_eq!(world.get("K/cat/s1/b").await.id, a);
        let gone = world.db.object(&Sight::All, &super::ObjectRef::Id(b)).await.expect("read").expect("kept");
        assert_eq!(gone.remote_status, RemoteStatus::Missing);
        assert_eq!(job.counts.missing.get("table"), Some(&1));
    }
}

#[tokio::test]
async fn an_id_seen_twice_moves_nothing() {
    let mut world = world("twice").await;
    let (a, g) = (world.get("K/cat/s1/a").await, world.get("K/cat/s1/g").await);
    let stolen = world.platform.things["cat/s1/a"].remote_id.clone();
    world.platform.things.get_mut("cat/s1/g").expect("thing").remote_id = stolen.clone();
    world.platform.add("cat/s2/y", "id:int");
    world.platform.things.get_mut("cat/s2/y").expect("thing").remote_id = stolen;
    let job = world.sync("K").await;
    assert_eq!(world.get("K/cat/s1/a").await.id, a.id);
    assert_eq!(world.get("K/cat/s1/g").await.id, g.id);
    assert_eq!(world.get("K/cat/s1/g").await.remote_status, RemoteStatus::Present);
    assert!(world.find("K/cat/s2/y").await.is_none(), "also where the wrong place was listed first");
    let codes: Vec<&str> = job.object_errors.iter().map(|error| error.code.as_str()).collect();
    assert_eq!(codes, ["duplicate-remote-id"; 2]);
}

#[tokio::test]
async fn ids_that_are_not_unique_leave_the_path_to_decide() {
    let mut world = World::new("not-unique", enabled()).await;
    world.platform.remote_ids_unique = false;
    world.platform.add("cat/s/a", "id:int");
    world.platform.add("cat/s/b", "id:int");
    world.platform.things.get_mut("cat/s/b").expect("thing").remote_id = "r3".into();
    let job = world.run().await.pop().expect("job");
    assert!(job.object_errors.is_empty(), "{:?}", job.object_errors);
    let a = world.get("K/cat/s/a").await.id;
    world.platform.rename("cat/s/a", "cat/s/c");
    world.sync("K").await;
    assert_ne!(world.get("K/cat/s/c").await.id, a);
    assert_eq!(world.get("K/cat/s/a").await.remote_status, RemoteStatus::Missing);
}

#[tokio::test]
async fn new_tables_begin_as_the_rule_says() {
    let mut world =
        World::new("rule", SettingsChange { is_active: None, new_children: Some(Some(NewChildren::Enable)) }).await;
    world.platform = Platform::default();
    world.platform.add("cat/s/a", "id:int");
    world.run().await;
    let catalog = world.get("K/cat").await;
    assert!(
        catalog.active && catalog.overrides.is_active.is_some(),
        "it begins with another status than it would inherit"
    );
    let table = world.get("K/cat/s/a").await;
    assert!(table.active && table.overrides.is_empty(), "it inherits");
    assert!(table.is_data_source());
}
