//! A dry run finds exactly what a sync right after it changes, and leaves the inventory as it is, to the byte.

use redb::ReadableTable as _;

use super::{
    super::{
        DbError, ObjectRef,
        changes::{Detail, DetailsRow},
        connections::ConnectionUpdate,
        dry::{self, DryChangesRow},
        fault::{Fault, Stop},
        feed::FeedQuery,
        settings::Mode,
        tables::{ReadRows, WriteRows},
    },
    Db, World, actor, at, enabled, later,
    platform::Platform,
    update_of,
};
use crate::model::{
    change::{Applied, Entry},
    connection::ConnectionOptions,
    diff::{Change, What},
    filter::Filter,
    id::JobId,
    job::{Job, JobState, JobType, MAX_LISTED_CHANGES, SyncCounts, Work},
    path::RemotePath,
    settings::{NewChildren, SettingsChange},
    sight::Sight,
};

/// Every row of the inventory and of its history, as text.
async fn inventory(db: &Db) -> Vec<String> {
    db.read("read all rows", |rows: &ReadRows| -> Result<_, Stop<DbError>> { Ok(all_rows(rows)?) }).await.expect("rows")
}

fn all_rows(rows: &ReadRows) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    macro_rules! tables {
        ($($table:ident)*) => {
            $(for row in rows.$table.iter()? {
                let (key, value) = row?;
                found.push(format!("{} {:?} {:?}", stringify!($table), key.value(), value.value()));
            })*
        };
    }
    tables!(objects children exclusions columns columns_read overrides counters listed remote_ids);
    tables!(changes change_details object_changes job_changes pruned last_syncs connections secrets schedules);
    found.push(format!("commit {:?}", rows.meta.get("commit")?.map(|row| row.value())));
    Ok(found)
}

/// What a job changed, or would, by pages.
async fn entries(world: &World, sight: &Sight, job: JobId) -> Vec<Entry> {
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let query = FeedQuery { cursor, size: 7, ..FeedQuery::default() };
        let feed = world.db.job_changes(sight, job, query).await.expect("changes");
        found.extend(feed.entries);
        if !feed.more {
            return found;
        }
        cursor = Some(feed.next);
    }
}

/// What is told of changes besides ids and times, in an order of its own.
fn told(entries: &[Entry]) -> Vec<String> {
    let line = |e: &Entry| {
        let path = e.path.as_ref().map(ToString::to_string);
        let held = matches!(e.applied, Applied::Held | Applied::WouldHold);
        format!("{path:?} {:?} {:?} {:?} {:?} held: {held}", e.namespace, e.object_type, e.what, e.values)
    };
    let mut lines: Vec<String> = entries.iter().map(line).collect();
    lines.sort();
    lines
}

async fn dry_run(world: &mut World, object: &str, force: bool) -> Job {
    let now = world.now();
    let job = world.db.enqueue_dry_run(&Sight::All, &at(object), force, now).await.expect("enqueue").expect("object");
    let done = world.run().await;
    world.check().await;
    done.into_iter().find(|done| done.id == job.id).expect("the job ran")
}

/// Counts, and errors in an order of their own.
fn outcome(job: &Job) -> (SyncCounts, Vec<String>) {
    let mut errors: Vec<String> = job.object_errors.iter().map(|error| format!("{error:?}")).collect();
    errors.sort();
    (job.counts.clone(), errors)
}

/// A dry run, then a sync: the one must have found what the other changed. What that was.
async fn same(world: &mut World, object: &str, force: bool) -> Vec<String> {
    let before = inventory(&world.db).await;
    let dry = dry_run(world, object, force).await;
    assert!(dry.job_type.is_dry_run() && dry.state == JobState::Completed, "{dry:?}");
    assert_eq!(inventory(&world.db).await, before, "a dry run writes nothing");
    let would = entries(world, &Sight::All, dry.id).await;
    assert!(would.iter().all(|entry| entry.applied.is_dry() && entry.job == Some(dry.id)));
    assert_eq!(dry.found, Some(would.len() as u64));
    let real = world.sync_with(object, force).await;
    let did = entries(world, &Sight::All, real.id).await;
    assert!(!did.iter().any(|entry| entry.applied.is_dry()) && real.found.is_none());
    let causes = |job: &Job| {
        let would = job.would_hold.iter().map(|it| it.cause.clone());
        would.chain(job.holds.iter().map(|hold| hold.cause.clone())).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(causes(&dry), causes(&real));
    assert_eq!(told(&would), told(&did));
    assert_eq!(outcome(&dry), outcome(&real));
    told(&did)
}

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

#[tokio::test]
async fn a_first_look_at_new_containers_finds_all_that_is_in_them() {
    let mut world = World::new("dry-new", enabled()).await;
    world.run().await;
    for table in ["n1/s/a", "n1/s/b", "n1/t/c", "n2/s/d"] {
        world.platform.add(table, "id:int");
    }
    let found = same(&mut world, "K", false).await;
    assert_eq!(found.iter().filter(|line| line.contains("Added")).count(), 9, "{found:#?}");
    assert_eq!(same(&mut world, "K", false).await, Vec::<String>::new(), "then there is nothing left to find");
}

#[tokio::test]
async fn renames_swaps_moves_and_what_is_made_anew_are_found_as_such() {
    for page_size in [1, 2, 100] {
        let mut world = world("dry-renames").await;
        world.platform.page_size = page_size;
        // A swap, a rename to before the cursor, a new table in the place of a renamed one, one made anew.
        world.platform.rename("cat/s1/a", "cat/s1/tmp");
        world.platform.rename("cat/s1/g", "cat/s1/a");
        world.platform.rename("cat/s1/tmp", "cat/s1/g");
        world.platform.rename("cat/s1/f", "cat/s1/aa");
        world.platform.rename("cat/s1/b", "cat/s1/zz");
        world.platform.add("cat/s1/b", "other:int");
        world.platform.drop_thing("cat/s1/c");
        world.platform.add("cat/s1/c", "id:int c:bigint");
        // A move across schemas, and the schema itself is renamed, with something new in it.
        world.platform.rename("cat/s1/d", "cat/s2/d");
        world.platform.rename("cat/s2", "cat/s0");
        world.platform.add("cat/s0/new", "id:int");
        let found = same(&mut world, "K", false).await;
        for part in ["Moved", "Recreated", "Added", "Columns"] {
            assert!(found.iter().any(|line| line.contains(part)), "{part}: {found:#?}");
        }
    }
}

#[tokio::test]
async fn what_is_missing_comes_back_or_changes_its_columns_is_found() {
    for confirms in [true, false] {
        let mut world = world("dry-missing").await;
        world.platform.confirms = confirms;
        world.platform.remote_ids_unique = confirms;
        world.platform.drop_thing("cat/s1/a");
        world.platform.drop_thing("cat/s2");
        world.platform.retype("cat/s1/b", "id:bigint extra:text");
        world.platform.left_out.insert("cat/s1/c".into(), "too secret".into());
        let found = same(&mut world, "K", false).await;
        assert_eq!(found.iter().filter(|line| line.contains("Missing")).count(), 2, "{found:#?}");
        assert!(found.iter().any(|line| line.contains("extra")) && found.iter().any(|l| l.contains("Excluded")));
        world.platform.add("cat/s1/a", "id:int");
        world.platform.left_out.clear();
        let found = same(&mut world, "K", false).await;
        assert!(found.iter().any(|line| line.contains("Returned")), "{found:#?}");
        // One table alone, and one of which a part cannot be read.
        world.platform.retype("cat/s1/e", "id:text");
        assert_eq!(same(&mut world, "K/cat/s1/e", false).await.len(), 1);
        world.platform.failing.insert("cat/s1".into());
        world.platform.drop_thing("cat/s1/f");
        assert!(same(&mut world, "K", false).await.is_empty(), "a listing that failed proves nothing");
    }
}

/// Numbers that come again with the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("number") % below.max(1)
    }

    fn pick(&mut self, platform: &Platform, level: usize) -> Option<String> {
        let there: Vec<&String> = platform.things.keys().filter(|name| name.split('/').count() == level).collect();
        (!there.is_empty()).then(|| there[self.roll(there.len())].clone())
    }
}

/// Something happens at the platform, or is set in the inventory.
async fn happen(world: &mut World, dice: &mut Dice) {
    let fresh = |dice: &mut Dice| format!("c{}/s{}/t{}", dice.roll(3), dice.roll(3), dice.roll(9));
    let level = 1 + dice.roll(3);
    let (some, other) = (dice.pick(&world.platform, level), dice.pick(&world.platform, level));
    let (Some(some), Some(other)) = (some, other) else {
        return world.platform.add(&fresh(dice), "id:int");
    };
    let platform = &mut world.platform;
    match dice.roll(16) {
        0..=2 => platform.add(&fresh(dice), "id:int name:text"),
        3 => platform.drop_thing(&some),
        4 | 5 => {
            // To a free name, beside or in another container.
            let to = match (other.rsplit_once('/'), dice.roll(2)) {
                (Some((parent, _)), 0) => format!("{parent}/r{}", dice.roll(100)),
                _ => match some.rsplit_once('/') {
                    Some((parent, _)) => format!("{parent}/r{}", dice.roll(100)),
                    None => format!("r{}", dice.roll(100)),
                },
            };
            if !platform.things.contains_key(&to) {
                platform.rename(&some, &to);
            }
        }
        6 if some != other => {
            platform.rename(&some, "tmp");
            platform.rename(&other, &some);
            platform.rename("tmp", &other);
        }
        7 => platform.retype(&some, ["id:int", "id:text more:int", ""][dice.roll(3)]),
        8 => platform.things.get_mut(&some).expect("thing").comment = Some(format!("said {}", dice.roll(5))),
        9 => {
            // Made anew: another id at the same path.
            platform.drop_thing(&some);
            platform.add(&some, "id:int");
        }
        10 => platform.things.get_mut(&some).expect("thing").fingerprint = None,
        11 if dice.roll(2) == 0 => drop(platform.left_out.insert(some, format!("because {}", dice.roll(3)))),
        11 => platform.left_out.clear(),
        12 if dice.roll(2) == 0 => drop(platform.failing.insert(some)),
        12 => platform.failing.clear(),
        13 => {
            let now = world.now();
            let values = [None, Some(true), Some(false)];
            let rules = [None, Some(NewChildren::Enable), Some(NewChildren::Disable), Some(NewChildren::Inherit)];
            let change =
                SettingsChange { is_active: Some(values[dice.roll(3)]), new_children: Some(rules[dice.roll(4)]) };
            let object = at(&format!("K/{some}"));
            let done = world.db.change_settings(&Sight::All, &object, change, None, Mode::Apply, now).await;
            if let Ok(Some(job)) = done.map(|done| done.job) {
                world.db.cancel_job(&Sight::All, job.id, now).await.expect("cancel");
            }
        }
        14 => {
            let pattern = ["c0.*", "*.s1", "*.*.t1", "c2.s*.t*"][dice.roll(4)].parse().expect("pattern");
            let exclude = if dice.roll(2) == 0 { vec![pattern] } else { Vec::new() };
            let filter = Filter::new(Vec::new(), exclude).expect("filter");
            let options = ConnectionOptions { filter, ..world.connection.options.clone() };
            let update = ConnectionUpdate { options, ..update_of(&world.connection) };
            let now = world.now();
            let (connection, job) =
                world.db.update_connection(world.connection.id, update, None, now).await.expect("update");
            world.connection = connection;
            if let Some(job) = job {
                world.db.cancel_job(&Sight::All, job.id, now).await.expect("cancel");
            }
        }
        _ => {
            let now = world.now();
            drop(world.db.delete_object(&Sight::All, &at(&format!("K/{some}")), now).await.expect("delete"));
        }
    }
}

#[tokio::test]
async fn whatever_happened_a_dry_run_finds_what_the_next_sync_changes() {
    let mut found = Vec::new();
    for seed in 0..24 {
        let mut dice = Dice(seed);
        let options = ConnectionOptions {
            columns_max_age: (seed % 3 == 0).then(|| std::time::Duration::from_secs(5_000)),
            ..ConnectionOptions::default()
        };
        let settings = if seed % 4 == 3 { SettingsChange::default() } else { enabled() };
        let mut world = World::new("dry-random", settings).await;
        // In memory: a thousand syncs are many commits.
        world.db = Db::in_memory().expect("store");
        let new = super::NewConnection { settings: enabled(), options, ..super::new_connection("K") };
        (world.connection, _) = world.db.create_connection(new, super::start()).await.expect("create");
        for _ in 0..20 {
            let table = format!("c{}/s{}/t{}", dice.roll(3), dice.roll(3), dice.roll(9));
            world.platform.add(&table, "id:int");
        }
        world.platform.remote_ids_unique = seed % 5 != 4;
        world.run().await;
        for _ in 0..12 {
            for _ in 0..=dice.roll(6) {
                happen(&mut world, &mut dice).await;
            }
            world.platform.page_size = 1 + dice.roll(5);
            world.platform.confirms = dice.roll(2) == 0;
            let mut object = "K".to_owned();
            if dice.roll(3) == 0
                && let Some(some) = dice.pick(&world.platform, 1 + seed as usize % 3)
                && world.find(&format!("K/{some}")).await.is_some()
            {
                object = format!("K/{some}");
            }
            found.extend(same(&mut world, &object, dice.roll(4) == 0).await);
        }
    }
    for part in ["Added", "Missing", "Returned", "Moved", "Recreated", "Changed", "Columns", "Excluded"] {
        let times = found.iter().filter(|line| line.contains(part)).count();
        assert!(times >= 10, "{part} happened {times} times in {}", found.len());
    }
}

#[tokio::test]
async fn a_dry_run_goes_on_after_a_restart_where_it_stood() {
    let mut world = world("dry-restart").await;
    world.platform.page_size = 2;
    world.platform.rename("cat/s1/a", "cat/s1/h");
    world.platform.rename("cat/s1/b", "cat/s1/a");
    world.platform.drop_thing("cat/s2/x");
    for table in ["new/s/a", "new/s/b", "new/s/c", "cat/s1/i"] {
        world.platform.add(table, "id:int");
    }
    let before = inventory(&world.db).await;
    let now = world.now();
    let job = world.db.enqueue_dry_run(&Sight::All, &at("K"), false, now).await.expect("enqueue").expect("object");
    // One step, and a kill, until it is done.
    let mut steps = 0;
    let done = loop {
        let now = world.now();
        let claimed = world.db.claim_job(now).await.expect("claim").expect("it goes on");
        assert_eq!((claimed.job.id, claimed.job.job_type.is_dry_run()), (job.id, true));
        let Some(task) = claimed.tasks.last().cloned() else { break world.platform.run(&world.db, claimed, now).await };
        world.platform.advance(&world.db, claimed.claim, &task, now).await;
        steps += 1;
        assert_eq!(inventory(&world.db).await, before, "after step {steps}");
        world.check().await;
        world = world.crash();
    };
    assert!(steps > 8, "{steps}");
    let would = entries(&world, &Sight::All, done.id).await;
    let real = world.sync("K").await;
    assert_eq!(told(&would), told(&entries(&world, &Sight::All, real.id).await));
}

#[tokio::test]
async fn how_a_connection_stands_is_told_by_its_last_sync_whatever_dry_runs_came_since() {
    let mut world = world("dry-last").await;
    let sync = world.sync("K").await;
    let part = world.get("K/cat/s1").await.id;
    for _ in 0..3 {
        dry_run(&mut world, "K", false).await;
    }
    let last = world.db.last_syncs(&Sight::All).await.expect("last syncs");
    assert_eq!(last.iter().map(|job| job.id).collect::<Vec<_>>(), [sync.id]);
    assert!(world.db.last_syncs(&Sight::Roots(vec![part])).await.expect("last syncs").is_empty(), "not of all");
}

#[tokio::test]
async fn what_is_read_twice_is_listed_once() {
    let mut world = world("dry-twice").await;
    world.platform.add("cat/s1/new", "id:int");
    world.platform.retype("cat/s1/a", "id:bigint");
    let now = world.now();
    world.db.enqueue_dry_run(&Sight::All, &at("K"), false, now).await.expect("enqueue").expect("object");
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let mut tasks = claimed.tasks.clone();
    let mut restarted = 0;
    while let Some(task) = tasks.pop() {
        let advanced = world.platform.advance(&world.db, claimed.claim, &task, now).await;
        tasks.extend(advanced.added);
        let Some(next) = advanced.task else { continue };
        // Every listing begins again after its first page.
        if next.restarts == 0 && matches!(next.work, Work::Read { .. }) {
            let step = world.platform.step(claimed.claim, next.number, now);
            let deferred = world.db.defer_task(step, std::time::Duration::ZERO, true).await.expect("deferred");
            tasks.extend(deferred.task);
            restarted += 1;
        } else {
            tasks.push(next);
        }
    }
    assert!(restarted > 0);
    let done = world.platform.run(&world.db, super::super::jobs::Claimed { tasks: Vec::new(), ..claimed }, now).await;
    let found = told(&entries(&world, &Sight::All, done.id).await);
    assert_eq!(found.len(), 3, "added, its columns, and the changed columns: {found:#?}");
}

#[tokio::test]
async fn a_dry_run_joins_no_sync_and_runs_beside_none_that_overlaps() {
    let mut world = world("dry-join").await;
    let now = world.now();
    let real = world.db.enqueue_sync(&Sight::All, &at("K"), false, now).await.expect("enqueue").expect("object");
    let dry = |object: &'static str| {
        let db = world.db.clone();
        async move { db.enqueue_dry_run(&Sight::All, &at(object), false, now).await.expect("enqueue").expect("object") }
    };
    let first = dry("K").await;
    assert_ne!(first.id, real.id);
    assert_eq!(first.job_type, JobType::ObjectSync { force_recursive: false, dry_run: true });
    assert_eq!(dry("K/cat").await.id, first.id, "a dry run that covers it is joined");
    let again = world.db.enqueue_sync(&Sight::All, &at("K/cat"), false, now).await.expect("enqueue").expect("object");
    assert_eq!(again.id, real.id, "and a sync joins the sync");
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    assert_eq!(claimed.job.id, real.id);
    assert!(world.db.claim_job(now).await.expect("claim").is_none(), "the dry run waits for the sync");
    world.platform.run(&world.db, claimed, now).await;
    assert_eq!(world.db.claim_job(now).await.expect("claim").map(|claimed| claimed.job.id), Some(first.id));
    let third = world.db.enqueue_sync(&Sight::All, &at("K"), false, now).await.expect("enqueue").expect("object");
    assert!(world.db.claim_job(now).await.expect("claim").is_none(), "and the sync for the dry run");
    assert_ne!(third.id, first.id);
    world.check().await;
}

#[tokio::test]
async fn a_dry_run_under_another_configuration_begins_again_with_nothing() {
    let mut world = world("dry-again").await;
    world.platform.add("cat/s1/new", "id:int");
    world.platform.failing.insert("cat".into());
    let now = world.now();
    world.db.enqueue_dry_run(&Sight::All, &at("K"), false, now).await.expect("enqueue").expect("object");
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let mut tasks = claimed.tasks;
    for _ in 0..6 {
        let Some(task) = tasks.pop() else { break };
        let advanced = world.platform.advance(&world.db, claimed.claim, &task, now).await;
        tasks.extend(advanced.task.into_iter().chain(advanced.added));
    }
    let job = world.db.job(&Sight::All, claimed.job.id).await.expect("read").expect("job");
    assert!(job.counts.pages > 0 && job.object_errors.len() == 1, "{job:?}");
    world.platform.failing.clear();
    let update = ConnectionUpdate { config: serde_json::json!({"other": 1}), ..update_of(&world.connection) };
    world.db.update_connection(world.connection.id, update, None, now).await.expect("update");
    world.check().await;
    let again = world.db.job(&Sight::All, job.id).await.expect("read").expect("job");
    assert_eq!((again.found, again.counts.pages, again.state), (Some(0), 0, JobState::Retry));
    assert!(again.object_errors.is_empty(), "{again:?}");
    assert!(again.counts.requests > 0, "what it cost is not forgotten");
    let done = world.run().await.into_iter().find(|done| done.id == job.id).expect("ran");
    let would = entries(&world, &Sight::All, done.id).await;
    assert_eq!((would.len(), done.found), (2, Some(2)), "added, then its columns: {:#?}", told(&would));
}

#[tokio::test]
async fn who_owns_a_part_sees_what_would_come_into_it_and_not_from_where() {
    let mut world = world("dry-owner").await;
    let schema = world.get("K/cat/s1").await.id;
    let owner = Sight::Roots(vec![schema]);
    world.platform.rename("cat/s2/x", "cat/s1/x");
    world.platform.add("cat/s1/new", "id:int");
    let now = world.now();
    let ask = |sight: Sight, object: ObjectRef| {
        let db = world.db.clone();
        async move { db.enqueue_dry_run(&sight, &object, false, now).await.expect("enqueue") }
    };
    assert!(ask(owner.clone(), at("K/cat")).await.is_none(), "only of what is wholly seen");
    let job = ask(owner.clone(), ObjectRef::Id(schema)).await.expect("own");
    world.run().await;
    let seen = entries(&world, &owner, job.id).await;
    let paths: Vec<String> = seen.iter().filter_map(|e| e.path.as_ref()).map(ToString::to_string).collect();
    assert_eq!(paths, ["K.cat.s1.new", "K.cat.s1.x", "K.cat.s1.new"], "the last are its columns: {seen:#?}");
    let nowhere = RemotePath::default();
    assert!(matches!(&seen[1].what, What::Moved { from, .. } if *from == nowhere), "{seen:#?}");
    assert!(!seen[0].exists && seen[1].exists);
    let all = entries(&world, &Sight::All, job.id).await;
    assert!(matches!(&all[1].what, What::Moved { from, .. } if *from != nowhere), "{all:#?}");
    let foreign = Sight::Roots(vec![world.get("K/cat/s2").await.id]);
    assert!(world.db.job_changes(&foreign, job.id, FeedQuery::default()).await.is_err());
}

#[tokio::test]
async fn a_list_has_an_end_and_goes_with_its_job() {
    let mut world = world("dry-end").await;
    let now = world.now();
    let job = world.db.enqueue_dry_run(&Sight::All, &at("K"), false, now).await.expect("enqueue").expect("object");
    let id = job.id.as_u128();
    let table = world.get("K/cat/s1/a").await.id;
    for _ in 0..25 {
        let changes = vec![Change { object: table, what: What::Missing }; 4_800];
        let detail = Detail { within: 0, namespace: None, name: "a".into(), object_type: 0, from: None, values: None };
        let details = DetailsRow { details: vec![detail; 4_800], ..DetailsRow::default() };
        let row = DryChangesRow { at: 0, changes, details, held: false };
        let append = move |rows: &mut WriteRows<'_>| dry::append(rows, id, row).map_err(Stop::<DbError>::from);
        world.db.write("append", append).await.expect("append");
    }
    world.check().await;
    let job = world.db.job(&Sight::All, job.id).await.expect("read").expect("job");
    assert_eq!(job.found, Some(120_000));
    let query = |cursor| FeedQuery { cursor, size: 500, ..FeedQuery::default() };
    let (mut listed, mut cursor) = (0, None);
    loop {
        let feed = world.db.job_changes(&Sight::All, job.id, query(cursor)).await.expect("changes");
        listed += feed.entries.len() as u64;
        cursor = Some(feed.next);
        if !feed.more {
            break;
        }
    }
    assert_eq!(listed, MAX_LISTED_CHANGES);
    // A cursor goes with its job.
    let garbage = world.db.job_changes(&Sight::All, JobId::generate(), query(cursor)).await;
    assert!(garbage.is_err());
    world.run().await;
    while world.db.reclaim(3).await.expect("give back") {}
    while world.db.forget_jobs(later(1_000_000), 10).await.expect("forget") {}
    world.check().await;
    assert!(world.db.job(&Sight::All, job.id).await.expect("read").is_none());
    let left = world
        .db
        .read("count", |rows: &ReadRows| -> Result<_, Stop<DbError>> {
            let count = || -> Result<_, Fault> {
                Ok((rows.dry_runs.iter()?.count(), rows.dry_changes.iter()?.count(), rows.drafts.iter()?.count()))
            };
            Ok(count()?)
        })
        .await
        .expect("count");
    assert_eq!(left, (0, 0, 0));
}

#[tokio::test]
async fn what_a_person_sets_meanwhile_hurts_no_dry_run() {
    let mut world = world("dry-set-meanwhile").await;
    // Both schemas get something, so that their numbers are drafted; then a table moves that is set since.
    world.platform.add("cat/s1/new", "id:int");
    world.platform.rename("cat/s1/a", "cat/s2/a");
    let now = world.now();
    world.db.enqueue_dry_run(&Sight::All, &at("K"), false, now).await.expect("enqueue").expect("object");
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let is_late = |task: &crate::model::job::Task| match &task.work {
        Work::Read { partition, .. } => partition.id == "list cat/s2",
        _ => false,
    };
    let (mut tasks, mut is_set) = (claimed.tasks.clone(), false);
    while !tasks.is_empty() {
        let n = tasks.iter().position(|task| !is_late(task)).unwrap_or(0);
        let task = tasks.remove(n);
        if is_late(&task) && !is_set {
            is_set = true;
            let off = SettingsChange { is_active: Some(Some(false)), new_children: None };
            let object = at("K/cat/s1/a");
            world.db.change_settings(&Sight::All, &object, off, None, Mode::Apply, now).await.expect("set");
        }
        let advanced = world.platform.advance(&world.db, claimed.claim, &task, now).await;
        tasks.extend(advanced.task.into_iter().chain(advanced.added));
    }
    assert!(is_set);
    let rest = super::super::jobs::Claimed { tasks: Vec::new(), ..claimed };
    let done = world.platform.run(&world.db, rest, now).await;
    let would = entries(&world, &Sight::All, done.id).await;
    assert!(would.iter().any(|entry| matches!(entry.what, What::Moved { .. })), "{would:#?}");
    world.check().await;
}

#[tokio::test]
async fn what_a_person_changes_meanwhile_hurts_no_dry_run() {
    let mut world = world("dry-meanwhile").await;
    world.platform.rename("cat/s1/a", "cat/s1/h");
    world.platform.add("cat/s1/i", "id:int");
    world.platform.retype("cat/s1/b", "id:bigint");
    let now = world.now();
    let job = world.db.enqueue_dry_run(&Sight::All, &at("K"), false, now).await.expect("enqueue").expect("object");
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let mut tasks = claimed.tasks.clone();
    let db = world.db.by(actor());
    let mut gone = vec!["K/cat/s1/h", "K/cat/s1/c", "K/cat/s1/b", "K/cat/s2", "K/cat/s1/a"];
    while let Some(task) = tasks.pop() {
        let advanced = world.platform.advance(&world.db, claimed.claim, &task, now).await;
        tasks.extend(advanced.task.into_iter().chain(advanced.added));
        if let Some(object) = gone.pop() {
            db.delete_object(&Sight::All, &at(object), now).await.expect("deleted");
            while db.reclaim(100).await.expect("reclaimed") {}
        }
    }
    let rest = super::super::jobs::Claimed { tasks: Vec::new(), ..claimed };
    assert_eq!(world.platform.run(&world.db, rest, now).await.state, JobState::Completed);
    world.check().await;
    assert!(!entries(&world, &Sight::All, job.id).await.is_empty());
}
