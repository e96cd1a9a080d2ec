//! What patterns and connectors leave out (D41): never created, never missing, back with everything that was set on it.

use super::{
    World, at, enabled, new_connection,
    platform::{Platform, remote},
    start, update_of,
};
use crate::db::{
    connections::{ConnectionUpdate, NewConnection},
    objects::{Search, Sort},
    settings::Mode,
};
use crate::model::{
    connection::ConnectionOptions,
    filter::{Exclusion, Filter},
    job::{Job, JobState, Work},
    object::RemoteStatus,
    page::{Listing, Page},
    settings::{NewChildren, SettingsChange},
    sight::Sight,
};

fn filter(include: &[&str], exclude: &[&str]) -> Filter {
    let patterns = |all: &[&str]| all.iter().map(|text| text.parse().expect("pattern")).collect();
    Filter::new(patterns(include), patterns(exclude)).expect("filter")
}

async fn world(name: &str, settings: SettingsChange) -> World {
    let mut world = World::new(name, settings).await;
    for table in ["a", "b", "c", "d", "e"] {
        world.platform.add(&format!("cat/s1/{table}"), "id:int name:text");
        world.platform.add(&format!("cat/s2/{table}"), "id:int");
    }
    world
}

/// Changes the patterns; the sync that this queued, if any.
async fn set(world: &mut World, filter: Filter) -> Option<Job> {
    let options = ConnectionOptions { filter, ..world.connection.options.clone() };
    let update = ConnectionUpdate { options, ..update_of(&world.connection) };
    let now = world.now();
    let (connection, job) = world.db.update_connection(world.connection.id, update, None, now).await.expect("update");
    world.connection = connection;
    world.check().await;
    job
}

async fn status(world: &World, object: &str) -> RemoteStatus {
    world.get(object).await.remote_status
}

/// How many objects below the connection have a status.
async fn count(world: &World, status: RemoteStatus) -> u64 {
    let search = Search {
        root: Some(at("K")),
        recursive: true,
        remote_status: Some(status),
        sort: Sort::ObjectPath,
        size: 500,
        ..Search::default()
    };
    world.search(search).await.count
}

#[tokio::test]
async fn patterns_hold_at_once_and_what_they_left_out_comes_back_as_it_was() {
    for asks_less in [true, false] {
        let mut world = world("patterns", enabled()).await;
        world.run().await;
        let before = world.get("K/cat/s1/b").await;
        let off = SettingsChange { is_active: Some(Some(false)), new_children: None };
        let now = world.now();
        let object = at("K/cat/s1/c");
        world.db.change_settings(&Sight::All, &object, off, None, Mode::Apply, now).await.expect("settings");

        let exclude = filter(&[], &["cat.s1", "*.*.d"]);
        assert!(set(&mut world, exclude.clone()).await.is_none(), "nothing new can be found");
        let left = world.get("K/cat/s1/b").await;
        assert_eq!((left.remote_status, left.active, left.is_data_source()), (RemoteStatus::Excluded, false, false));
        assert_eq!(left.exclusion.map(|why| why.to_string()).as_deref(), Some("left out by the pattern cat.s1"));
        assert!(left.settings.is_active, "its status waits for its return");
        assert_eq!(status(&world, "K/cat/s2/d").await, RemoteStatus::Excluded);
        assert_eq!(status(&world, "K/cat/s2/a").await, RemoteStatus::Present);
        assert_eq!(count(&world, RemoteStatus::Excluded).await, 1 + 5 + 1);
        assert_eq!(world.get("K").await.child_count, 13, "it is still in the inventory");

        if asks_less {
            world.platform.filter = exclude;
        }
        world.platform.listings.clear();
        world.platform.asked.clear();
        world.platform.drop_thing("cat/s1/a");
        world.platform.drop_thing("cat/s2/d");
        world.platform.retype("cat/s1/b", "id:bigint");
        world.platform.add("cat/s1/new", "id:int");
        let job = world.sync("K").await;
        assert_eq!(world.platform.listings, ["", "cat", "cat/s2"], "nothing that is left out is listed");
        assert!(world.platform.asked.is_empty() && job.counts.missing.is_empty(), "{:?}", job.counts);
        assert_eq!(count(&world, RemoteStatus::Missing).await, 0);
        assert!(world.find("K/cat/s1/new").await.is_none());

        world.platform.filter = Filter::default();
        let queued = set(&mut world, Filter::default()).await.expect("a sync looks for what may be new");
        assert_eq!(status(&world, "K/cat/s1/a").await, RemoteStatus::Present, "as far as is known");
        let ran = world.run().await;
        assert_eq!((ran.len(), ran[0].id), (1, queued.id));
        let mut missing = Vec::new();
        for table in ["K/cat/s1/a", "K/cat/s1/b", "K/cat/s2/d"] {
            missing.extend((status(&world, table).await == RemoteStatus::Missing).then_some(table));
        }
        assert_eq!(missing, ["K/cat/s1/a", "K/cat/s2/d"], "by the usual rules, only now");
        let back = world.get("K/cat/s1/b").await;
        assert_eq!((back.id, back.active), (before.id, true));
        assert_eq!(world.columns("K/cat/s1/b").await.expect("columns")[0].data_type, "bigint", "read again");
        assert!(!world.get("K/cat/s1/c").await.active, "its own status was kept");
        assert!(world.get("K/cat/s1/new").await.active);
        world.check().await;
    }
}

#[tokio::test]
async fn what_is_left_out_from_the_beginning_is_never_made() {
    for asks_less in [true, false] {
        let options = ConnectionOptions {
            filter: filter(&["cat.s*", "other.x.t?"], &["*.s2", "*.*.b"]),
            ..ConnectionOptions::default()
        };
        let mut world = world("beginning", enabled()).await;
        for thing in ["cat/z/t", "third/s/t", "other/x/t1", "other/x/u1", "other/y/t1"] {
            world.platform.add(thing, "id:int");
        }
        if asks_less {
            world.platform.filter = options.filter.clone();
        }
        let new = NewConnection { settings: enabled(), options, ..new_connection("F") };
        world.db.create_connection(new, start()).await.expect("create");
        let jobs = world.run().await;
        let job = jobs.iter().find(|job| job.object_path.connection().as_str() == "F").expect("its sync");
        assert_eq!((job.state, job.counts.errors), (JobState::Completed, 0), "{:?}", job.object_errors);
        assert_eq!(job.counts.excluded.is_empty(), asks_less, "{:?}", job.counts.excluded);
        let search =
            Search { root: Some(at("F")), recursive: true, sort: Sort::ObjectPath, size: 500, ..Search::default() };
        let found = world.search(search).await.hits;
        let found: Vec<String> = found.iter().map(|view| view.path.remote().to_string()).collect();
        let expect =
            ["cat", "cat.s1", "cat.s1.a", "cat.s1.c", "cat.s1.d", "cat.s1.e", "other", "other.x", "other.x.t1"];
        assert_eq!(found, expect);
        world.check().await;
    }
}

#[tokio::test]
async fn letting_more_in_finds_it_also_where_everything_is_disabled() {
    let mut world = world("widened", SettingsChange::default()).await;
    set(&mut world, filter(&["cat.s1.a"], &[])).await;
    world.run().await;
    assert_eq!(world.get("K").await.child_count, 3);
    world.platform.listings.clear();
    set(&mut world, filter(&["cat"], &[])).await.expect("a sync");
    world.run().await;
    assert_eq!(world.get("K").await.child_count, 13, "containers that were listed before are listed again");
    world.platform.listings.clear();
    assert!(set(&mut world, filter(&["cat"], &["*.s2"])).await.is_none());
    world.sync("K").await;
    assert_eq!(world.platform.listings, [""], "and then they rest, also when less is let in");
}

#[tokio::test]
async fn what_the_connector_leaves_out_is_kept_with_its_reason() {
    let mut world = world("told", enabled()).await;
    world.run().await;
    let before = world.get("K/cat/s1").await;
    world.platform.left_out.insert("cat/s1".into(), "a share that was revoked".into());
    world.platform.left_out.insert("system".into(), "the platform's own".into());
    world.platform.add("system/s/t", "id:int");
    world.platform.drop_thing("cat/s1/a");
    let job = world.sync("K").await;
    assert!(job.counts.missing.is_empty() && job.counts.errors == 0, "{job:?}");
    let told = world.get("K/cat/s1").await;
    assert_eq!((told.id, told.remote_status, told.active), (before.id, RemoteStatus::Excluded, false));
    let why = told.exclusion.map(|why| why.to_string());
    assert_eq!(why.as_deref(), Some("left out by the connector: a share that was revoked"));
    assert_eq!(world.get("K/cat/s1/a").await.exclusion.map(|why| why.to_string()), why, "computed below it");
    assert_eq!(status(&world, "K/system").await, RemoteStatus::Excluded, "people see what there is");
    assert!(world.find("K/system/s").await.is_none());
    let revision = told.revision;
    assert_eq!(world.sync("K").await.counts.changed.len(), 0);
    assert_eq!(world.get("K/cat/s1").await.revision, revision, "said again, nothing is written");

    world.platform.left_out.insert("cat/s1".into(), "now for another reason".into());
    world.sync("K").await;
    assert!(world.get("K/cat/s1").await.exclusion.is_some_and(|why| why.to_string().contains("another reason")));
    world.platform.left_out.clear();
    let job = world.sync("K").await;
    assert_eq!(job.counts.returned.get("schema"), Some(&1));
    assert_eq!(status(&world, "K/cat/s1/b").await, RemoteStatus::Present);
    assert_eq!(status(&world, "K/cat/s1/a").await, RemoteStatus::Missing);
    assert!(world.get("K/system/s/t").await.active);
    world.check().await;
}

#[tokio::test]
async fn an_explanation_names_what_leaves_an_object_out() {
    let mut world = world("explained", enabled()).await;
    world.run().await;
    world.platform.left_out.insert("cat/s1".into(), "a share that was revoked".into());
    world.platform.drop_thing("cat/s2/e");
    let job = world.sync("K").await;
    set(&mut world, filter(&[], &["cat.s2", "*.*.d"])).await;
    for (object, step, why, by) in [
        ("K/cat/s1/a", 2, "left out by the connector: a share that was revoked", Some(job.id)),
        ("K/cat/s1/d", 3, "left out by the pattern *.*.d", None),
        ("K/cat/s2/a", 2, "left out by the pattern cat.s2", None),
        ("K/cat/s2/e", 2, "left out by the pattern cat.s2", None),
    ] {
        let told = world.db.explain(&Sight::All, &at(object)).await.expect("read").expect("seen");
        let mark = told.mark.expect("left out");
        assert_eq!((mark.status, mark.step), (RemoteStatus::Excluded, step), "{object}");
        assert_eq!(mark.exclusion.map(|why| why.to_string()).as_deref(), Some(why), "{object}");
        assert_eq!(mark.since.and_then(|commit| commit.job), by, "{object}");
    }
    set(&mut world, filter(&["other"], &[])).await;
    let told = world.db.explain(&Sight::All, &at("K/cat/s2/a")).await.expect("read").expect("seen");
    let mark = told.mark.expect("left out");
    assert_eq!((mark.step, mark.exclusion), (1, Some(Exclusion::NotIncluded)));
    set(&mut world, Filter::default()).await;
    let told = world.db.explain(&Sight::All, &at("K/cat/s2/e")).await.expect("read").expect("seen");
    assert_eq!(told.mark.map(|mark| (mark.status, mark.step)), Some((RemoteStatus::Missing, 3)));
    let told = world.db.explain(&Sight::All, &at("K/cat/s2/a")).await.expect("read").expect("seen");
    assert_eq!(told.mark, None);
}

#[tokio::test]
async fn a_listing_of_what_the_connector_leaves_out_proves_nothing() {
    let mut world = world("proves", enabled()).await;
    world.run().await;
    let now = world.now();
    world.db.enqueue_sync(&Sight::All, &at("K"), false, now).await.expect("enqueue");
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let step = world.platform.step(claimed.claim, 0, now);
    let added = world.db.apply_plan(step, vec![Platform::partition("")]).await.expect("plan").added;
    let mut schema = world.platform.scanned("cat/s1", false);
    schema.excluded = Some("not now".into());
    let page = Page {
        objects: vec![world.platform.scanned("cat", false), schema],
        listed: vec![Listing { path: remote("cat/s1"), namespace: String::new(), basis: "reader".into() }],
        partitions: vec![Platform::partition("cat/s1")],
        ..Page::default()
    };
    let step = world.platform.step(claimed.claim, added[0].number, now);
    let advanced = world.db.apply_page(step, page).await.expect("page");
    assert!(advanced.added.is_empty(), "neither read nor doubted: {advanced:?}");
    assert_eq!(count(&world, RemoteStatus::Excluded).await, 6);
    world.check().await;
}

#[tokio::test]
async fn an_object_that_leaves_a_name_that_is_left_out_keeps_its_id() {
    for asks_less in [true, false] {
        let mut world = world("renamed", enabled()).await;
        world.run().await;
        let before = world.get("K/cat/s1/a").await.id;
        let exclude = filter(&[], &["*.*.a"]);
        set(&mut world, exclude.clone()).await;
        if asks_less {
            world.platform.filter = exclude;
        }
        world.platform.rename("cat/s1/a", "cat/s2/moved");
        let job = world.sync("K").await;
        assert_eq!(job.counts.errors, 0, "{:?}", job.object_errors);
        let moved = world.get("K/cat/s2/moved").await;
        assert_eq!((moved.id, moved.active), (before, true));
        // And the other way: known by its id, where it is delivered at all.
        world.platform.rename("cat/s2/moved", "cat/s1/a");
        world.sync("K").await;
        if !asks_less {
            let back = world.get("K/cat/s1/a").await;
            assert_eq!((back.id, back.remote_status), (before, RemoteStatus::Excluded));
        }
        world.check().await;
    }
}

#[tokio::test]
async fn a_sync_of_what_is_left_out_says_so_and_asks_nobody() {
    let mut world = world("target", enabled()).await;
    world.run().await;
    set(&mut world, filter(&[], &["cat.s1"])).await;
    world.platform.listings.clear();
    for object in ["K/cat/s1", "K/cat/s1/a"] {
        let job = world.sync(object).await;
        assert_eq!(job.object_errors.len(), 1, "{object}");
        assert_eq!(job.object_errors[0].code, "excluded");
        assert!(job.object_errors[0].message.contains("cat.s1"), "{:?}", job.object_errors);
    }
    assert!(world.platform.listings.is_empty(), "{:?}", world.platform.listings);
    // Enabling it starts nothing either.
    let on = SettingsChange { is_active: Some(Some(true)), new_children: Some(Some(NewChildren::Enable)) };
    let now = world.now();
    let done = world.db.change_settings(&Sight::All, &at("K/cat/s1"), on, None, Mode::Apply, now).await;
    assert!(done.expect("settings").job.is_none());
}

#[tokio::test]
async fn a_job_under_way_goes_by_the_patterns_of_now() {
    let mut world = world("under-way", enabled()).await;
    let now = world.now();
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let claim = claimed.claim;
    let mut tasks = claimed.tasks;
    for _ in 0..3 {
        let task = tasks.pop().expect("task");
        let advanced = world.platform.advance(&world.db, claim, &task, now).await;
        tasks.extend(advanced.task);
        tasks.extend(advanced.added);
    }
    assert!(tasks.iter().any(|task| matches!(task.work, Work::Read { .. })));
    set(&mut world, filter(&["cat.s2"], &[])).await;
    let jobs = world.run().await;
    assert!(jobs.iter().all(|job| job.state == JobState::Completed));
    assert!(world.find("K/cat/s1/a").await.is_none() && world.find("K/cat/s2/a").await.is_some());
    world.check().await;
}

#[tokio::test]
async fn a_preview_counts_what_saving_it_leaves() {
    let mut world = world("preview", enabled()).await;
    for n in 0..60 {
        world.platform.add(&format!("big/raw_{}/t{n:02}", n % 3), "id:int");
    }
    world.platform.left_out.insert("big/raw_2".into(), "as configured".into());
    world.run().await;
    world.platform.drop_thing("cat/s2/e");
    world.sync("K").await;
    for wanted in [
        filter(&[], &[]),
        filter(&["big.raw_*", "CAT.s1", "cat.s2.?"], &["*.raw_1", "*.*.c", "nobody.*"]),
        filter(&["*.*.t0?"], &["big.raw_2"]),
        filter(&[], &["*"]),
        filter(&["nothing"], &[]),
    ] {
        let before = world.inventory().await;
        let preview = world.db.preview_filter(world.connection.id, wanted.clone()).await.expect("preview");
        assert_eq!(world.inventory().await, before, "a preview changes nothing");
        assert!(!preview.cut_short);
        set(&mut world, wanted.clone()).await;
        world.run().await;
        let found = (
            count(&world, RemoteStatus::Present).await,
            count(&world, RemoteStatus::Excluded).await,
            count(&world, RemoteStatus::Missing).await,
        );
        assert_eq!(preview.totals(), found, "{wanted:?}");
        set(&mut world, Filter::default()).await;
        world.run().await;
    }
    let wanted = filter(&["big.raw_*", "CAT.s1", "cat.s2.?"], &["*.raw_1", "*.*.c", "nobody.*"]);
    let preview = world.db.preview_filter(world.connection.id, wanted).await.expect("preview");
    assert_eq!(preview.include_matches, [3, 0, 5]);
    assert_eq!(preview.exclude_matches, [1, 2, 0]);
    let tables = &preview.levels[2];
    assert_eq!((tables.kept, tables.missing), (20 + 3, 1));
    assert_eq!((tables.first_kept.len(), tables.first_kept[0].to_string().as_str()), (20, "big.raw_0.t00"));
    assert_eq!(tables.first_left_out[0], remote("big/raw_1/t01"));
}

#[tokio::test]
async fn rows_of_what_is_left_out_go_with_the_object() {
    let mut world = world("reclaimed", enabled()).await;
    world.platform.left_out.insert("cat/s1/a".into(), "why".into());
    world.run().await;
    assert_eq!(status(&world, "K/cat/s1/a").await, RemoteStatus::Excluded);
    assert!(!world.get("K/cat/s1/a").await.columns_known);
    let now = world.now();
    world.db.delete_object(&Sight::All, &at("K/cat"), now).await.expect("delete");
    while world.db.reclaim(2).await.expect("reclaim") {
        world.check().await;
    }
    let rows = world.db.read("count", |rows| -> Result<_, crate::db::fault::Stop<crate::db::DbError>> {
        Ok(redb::ReadableTableMetadata::len(&rows.exclusions)?)
    });
    assert_eq!(rows.await.expect("rows"), 0);
    world.check().await;
}
