//! The history: every change in the order of commits, read by object, by job and by time, and kept for as long as asked.

use jiff::Timestamp;

use super::{
    super::{
        Db, ObjectRef,
        feed::{Feed, FeedError, FeedQuery},
        settings::Mode,
    },
    World, actor, at, enabled, later, start,
};
use crate::model::{
    change::{ChangeKind, Entry, Values},
    diff::What,
    object::RemoteStatus,
    settings::SettingsChange,
    sight::Sight,
};

fn page(size: usize) -> FeedQuery {
    FeedQuery { size, ..FeedQuery::default() }
}

async fn feed(db: &Db, sight: &Sight, object: &str, query: FeedQuery) -> Feed {
    db.changes(sight, &at(object), query).await.expect("feed")
}

/// A feed to its end in pages of this size, and the cursor behind it.
async fn whole(db: &Db, object: &str, size: usize, mut cursor: Option<String>) -> (Vec<Entry>, String) {
    let mut all = Vec::new();
    loop {
        let feed = feed(db, &Sight::All, object, FeedQuery { cursor, ..page(size) }).await;
        all.extend(feed.entries);
        if !feed.more {
            return (all, feed.next);
        }
        cursor = Some(feed.next);
    }
}

/// "added K/c/s/t" for each change.
fn lines(entries: &[Entry]) -> Vec<String> {
    let path = |entry: &Entry| {
        let path = entry.path.as_ref().map(|path| path.segments().iter().map(|s| s.as_str()).collect::<Vec<_>>());
        path.map_or_else(|| "?".to_owned(), |names| names.join("/"))
    };
    entries.iter().map(|entry| format!("{} {}", ChangeKind::of(&entry.what), path(entry))).collect()
}

#[tokio::test]
async fn everything_that_happens_stands_in_the_feed_in_order() {
    let mut world = World::new("feed", enabled()).await;
    for table in ["c/s/a", "c/s/b", "c/s/d"] {
        world.platform.add(table, "id:int name:text");
    }
    world.run().await;
    let (first, cursor) = whole(&world.db, "K", 2, None).await;
    assert_eq!(
        lines(&first),
        ["added K", "added K/c", "added K/c/s", "added K/c/s/a", "added K/c/s/b", "added K/c/s/d"]
    );
    assert_eq!(first[0].by.as_ref().map(|by| by.name.as_str()), Some("admin"));
    assert!(first[1].job.is_some() && first[1].object_type.as_deref() == Some("database"));

    world.platform.retype("c/s/a", "id:bigint extra:text");
    world.platform.things.get_mut("c/s/b").expect("b").comment = Some("told".into());
    world.platform.rename("c/s/d", "c/s/e");
    world.sync("K").await;
    world.platform.drop_thing("c/s/b");
    world.sync("K").await;
    world.platform.add("c/s/b", "id:int name:text");
    world.sync("K").await;
    let now = world.now();
    let off = SettingsChange { is_active: Some(Some(false)), ..SettingsChange::default() };
    let db = world.db.by(actor());
    db.change_settings(&Sight::All, &at("K/c/s/a"), off, None, Mode::DryRun, now).await.expect("tried");
    db.change_settings(&Sight::All, &at("K/c/s/a"), off, None, Mode::Apply, now).await.expect("set");
    db.delete_object(&Sight::All, &at("K/c/s/e"), now).await.expect("deleted").expect("object");
    while world.db.reclaim(1).await.expect("reclaim") {}
    world.check().await;

    let (rest, _) = whole(&world.db, "K", 1, Some(cursor)).await;
    assert_eq!(
        lines(&rest),
        [
            "changed K/c/s/b",
            "moved K/c/s/e",
            "columns K/c/s/a",
            "missing K/c/s/b",
            "returned K/c/s/b",
            "recreated K/c/s/b",
            "changed K/c/s/b",
            "settings K/c/s/a",
            "deleted K/c/s/e"
        ]
    );
    let Some(Values::Facts(values)) = &rest[0].values else { panic!("{:?}", rest[0]) };
    assert_eq!((values[0].before.as_deref(), values[0].after.as_deref()), (None, Some("told")));
    let What::Moved { from, to } = &rest[1].what else { panic!("{:?}", rest[1]) };
    assert_eq!((from.to_string(), to.to_string()), ("c.s.d".into(), "c.s.e".into()));
    let Some(Values::Columns(columns)) = &rest[2].values else { panic!("{:?}", rest[2]) };
    assert_eq!((&*columns.changed[0].0.data_type, &*columns.changed[0].1.data_type), ("int", "bigint"));
    assert_eq!((&*columns.added[0].name, &*columns.deleted[0].name), ("extra", "name"));
    let Some(Values::Facts(ids)) = &rest[5].values else { panic!("{:?}", rest[5]) };
    assert!(ids[0].before.is_some() && ids[0].before != ids[0].after);
    let What::Settings { before, after } = &rest[7].what else { panic!("{:?}", rest[7]) };
    assert_eq!((before.is_active, after.is_active.map(|o| o.value)), (None, Some(false)));
    assert_eq!((rest[7].by.as_ref().map(|by| by.name.as_str()), rest[7].job), (Some("admin"), None));
    assert!(!rest[8].exists && rest[7].exists);
    let (all, _) = whole(&world.db, "K", 500, None).await;
    assert_eq!(all, [first.clone(), rest.clone()].concat().iter().map(|e| now_of(&all, e)).collect::<Vec<_>>());
    assert!(all.windows(2).all(|pair| pair[0].sequence <= pair[1].sequence && pair[0].at <= pair[1].at));

    // Backwards it is the same, from the other end.
    let mut backwards = Vec::new();
    let mut cursor = None;
    loop {
        let query = FeedQuery { cursor, newest_first: true, ..page(4) };
        let feed = feed(&world.db, &Sight::All, "K", query).await;
        backwards.extend(feed.entries);
        if !feed.more {
            break;
        }
        cursor = Some(feed.next);
    }
    backwards.reverse();
    assert_eq!(backwards, all);
}

/// The same change as it is read now: an object may have gone since.
fn now_of(all: &[Entry], entry: &Entry) -> Entry {
    let exists = all.iter().find(|e| e.object == entry.object).is_some_and(|e| e.exists);
    Entry { exists, ..entry.clone() }
}

#[tokio::test]
async fn an_object_a_job_and_a_part_of_the_tree_tell_their_own() {
    let mut world = World::new("own", enabled()).await;
    world.platform.add("c/s1/a", "id:int");
    world.platform.add("c/s2/b", "id:int");
    world.run().await;
    world.platform.rename("c/s1/a", "c/s2/a");
    let moved = world.sync("K").await;
    world.platform.retype("c/s2/a", "id:text");
    let retyped = world.sync("K").await;

    let history = world.db.history(&Sight::All, &at("K/c/s2/a"), page(2)).await.expect("history");
    assert_eq!(lines(&history.entries), ["columns K/c/s2/a", "moved K/c/s2/a"]);
    let older = FeedQuery { cursor: Some(history.next), ..page(2) };
    let older = world.db.history(&Sight::All, &at("K/c/s2/a"), older).await.expect("history");
    assert_eq!((lines(&older.entries), older.more), (vec!["added K/c/s1/a".to_owned()], false));

    for (job, want) in [(moved.id, "moved K/c/s2/a"), (retyped.id, "columns K/c/s2/a")] {
        let changes = world.db.job_changes(&Sight::All, job, page(50)).await.expect("changes");
        assert_eq!(lines(&changes.entries), [want]);
    }
    // It left the one and came to the other; what it did before belongs to where it was.
    let (left, _) = whole(&world.db, "K/c/s1", 50, None).await;
    assert_eq!(lines(&left), ["added K/c/s1", "added K/c/s1/a", "moved K/c/s2/a"]);
    let (came, _) = whole(&world.db, "K/c/s2", 50, None).await;
    assert_eq!(lines(&came), ["added K/c/s2", "added K/c/s2/b", "moved K/c/s2/a", "columns K/c/s2/a"]);

    let kinds = FeedQuery { kinds: vec![ChangeKind::Moved], ..page(50) };
    assert_eq!(lines(&feed(&world.db, &Sight::All, "K", kinds).await.entries), ["moved K/c/s2/a"]);
    // A cursor belongs to its feed and its direction.
    for (object, backwards) in [("K/c/s1", false), ("K", true)] {
        let cursor = Some(feed(&world.db, &Sight::All, "K", page(1)).await.next);
        let query = FeedQuery { cursor, newest_first: backwards, ..page(1) };
        let refused = world.db.changes(&Sight::All, &at(object), query).await;
        assert!(matches!(refused, Err(FeedError::Cursor)), "{object}");
    }
    for cursor in ["", "!", "AAAA", &"A".repeat(5000)] {
        let query = FeedQuery { cursor: Some(cursor.to_owned()), ..page(1) };
        assert!(matches!(world.db.changes(&Sight::All, &at("K"), query).await, Err(FeedError::Cursor)), "{cursor}");
    }
}

#[tokio::test]
async fn a_feed_is_searched_by_time_and_its_time_never_goes_back() {
    let mut world = World::new("time", enabled()).await;
    world.platform.add("c/s/t", "id:int");
    world.run().await;
    let mut times: Vec<Timestamp> = Vec::new();
    for n in 0..20 {
        // In the middle the clock is set back by an hour.
        world.now = if n == 10 { world.now - 3600 } else { world.now + 60 };
        world.platform.retype("c/s/t", &format!("id:t{n}"));
        world.sync("K").await;
        let newest = FeedQuery { newest_first: true, ..page(1) };
        times.push(feed(&world.db, &Sight::All, "K", newest).await.entries[0].at);
    }
    assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "{times:?}");
    let (all, _) = whole(&world.db, "K", 500, None).await;
    for since in [start(), times[3], times[9], later(world.now), later(1_000_000)] {
        for until in [times[1], times[9], later(1_000_000)] {
            let want: Vec<_> = all.iter().filter(|e| e.at >= since && e.at < until).cloned().collect();
            for newest_first in [false, true] {
                let query = FeedQuery { since: Some(since), until: Some(until), newest_first, ..page(500) };
                let mut got = feed(&world.db, &Sight::All, "K", query).await.entries;
                if newest_first {
                    got.reverse();
                }
                assert_eq!(got, want, "{since} to {until}");
            }
        }
    }
    world.check().await;
}

#[tokio::test]
async fn an_owner_reads_of_its_own_alone_and_never_of_what_is_gone() {
    let mut world = World::new("sight", enabled()).await;
    for table in ["c/mine/a", "c/mine/gone", "c/other/b", "c/other/comes"] {
        world.platform.add(table, "id:int");
    }
    world.run().await;
    world.platform.rename("c/other/comes", "c/mine/came");
    world.platform.rename("c/mine/a", "c/other/left");
    world.sync("K").await;
    let now = world.now();
    let gone = world.get("K/c/mine/gone").await.id;
    world.db.delete_object(&Sight::All, &at("K/c/mine/gone"), now).await.expect("deleted");
    let owner = Sight::Roots(vec![world.get("K/c/mine").await.id]);

    for object in ["K", "K/c", "K/c/mine"] {
        let feed = feed(&world.db, &owner, object, page(500)).await;
        let told = lines(&feed.entries);
        assert!(!told.is_empty(), "{object}");
        for line in &told {
            assert!(line.contains("K/c/mine"), "{object}: {told:?}");
        }
        // Where it came from is not theirs to know.
        let moved = feed.entries.iter().find_map(|entry| match &entry.what {
            What::Moved { from, .. } => Some(from.0.len()),
            _ => None,
        });
        assert_eq!(moved, Some(0), "{object}: {:?}", feed.entries);
        assert!(feed.entries.iter().all(|entry| entry.object != gone));
    }
    for hidden in ["K/c/other", "K/c/other/left"] {
        let refused = world.db.changes(&owner, &at(hidden), page(1)).await;
        assert!(matches!(refused, Err(FeedError::NotFound)));
        assert!(matches!(world.db.history(&owner, &at(hidden), page(1)).await, Err(FeedError::NotFound)));
    }
    // What is gone is found by its id, by those who see everything, also when its rows are given back.
    for _ in 0..2 {
        let id = ObjectRef::Id(gone);
        let told = world.db.history(&Sight::All, &id, page(9)).await.expect("history");
        assert_eq!(lines(&told.entries), ["deleted K/c/mine/gone", "added K/c/mine/gone"]);
        assert!(matches!(world.db.history(&owner, &id, page(9)).await, Err(FeedError::NotFound)));
        while world.db.reclaim(1).await.expect("reclaim") {}
    }
    let told = feed(&world.db, &Sight::All, "K/c/mine", page(500)).await;
    assert!(lines(&told.entries).contains(&"deleted K/c/mine/gone".to_owned()));
}

#[tokio::test]
async fn changes_are_kept_for_as_long_as_asked_and_an_old_cursor_is_told() {
    let mut world = World::new("prune", enabled()).await;
    world.platform.add("c/s/t", "id:int");
    world.run().await;
    let early = feed(&world.db, &Sight::All, "K", page(1)).await.next;
    for n in 0..6 {
        world.now += 86_400;
        world.platform.retype("c/s/t", &format!("id:t{n}"));
        world.sync("K").await;
    }
    let late = whole(&world.db, "K", 50, None).await.1;
    let before = later(world.now - 2 * 86_400 - 3600);
    let mut transactions = 0;
    while world.db.forget_changes(before, 1).await.expect("forget") {
        transactions += 1;
        world.check().await;
    }
    assert!(transactions > 3, "{transactions} small transactions");
    let kept = feed(&world.db, &Sight::All, "K", page(50)).await;
    assert_eq!(kept.entries.len(), 3, "{:?}", lines(&kept.entries));
    assert!(kept.entries.iter().all(|e| e.at >= before) && kept.pruned_until.is_some_and(|until| until < before));
    let query = |cursor: &String| FeedQuery { cursor: Some(cursor.clone()), ..page(50) };
    let gone = world.db.changes(&Sight::All, &at("K"), query(&early)).await;
    assert!(matches!(gone, Err(FeedError::Gone(until)) if until < before), "{gone:?}");
    assert_eq!(feed(&world.db, &Sight::All, "K", query(&late)).await.entries, []);
    let history = world.db.history(&Sight::All, &at("K/c/s/t"), page(50)).await.expect("history");
    assert_eq!(history.entries.len(), 3);

    // A connection takes its feed with it.
    let now = world.now();
    world.db.delete_object(&Sight::All, &at("K"), now).await.expect("deleted");
    while world.db.reclaim(2).await.expect("reclaim") {
        world.check().await;
    }
    world.check().await;
}

#[tokio::test]
async fn a_cursor_survives_a_kill_and_two_readers_read_the_same() {
    let mut world = World::new("readers", enabled()).await;
    for n in 0..7 {
        world.platform.add(&format!("c/s/t{n}"), "id:int");
    }
    world.run().await;
    let begun = feed(&world.db, &Sight::All, "K", page(4)).await;
    let mut world = world.crash();
    world.platform.retype("c/s/t0", "id:text");
    world.sync("K").await;
    let (rest, end) = whole(&world.db, "K", 2, Some(begun.next.clone())).await;
    let (all, _) = whole(&world.db, "K", 3, None).await;
    assert_eq!([begun.entries, rest.clone()].concat(), all);
    let (again, _) = whole(&world.db, "K", 5, Some(begun.next)).await;
    assert_eq!(again, rest);
    // A sync that changes nothing adds nothing, and the end is still the end.
    world.sync("K").await;
    assert_eq!(whole(&world.db, "K", 5, Some(end.clone())).await.0, []);
    world.platform.retype("c/s/t1", "id:text");
    let world2 = world.sync("K").await;
    let (news, _) = whole(&world.db, "K", 5, Some(end)).await;
    assert_eq!(news.iter().map(|e| e.job).collect::<Vec<_>>(), [Some(world2.id)]);
}

#[tokio::test]
async fn an_explanation_names_who_decided_and_since_when_something_is_missing() {
    let mut world = World::new("explain", SettingsChange::default()).await;
    world.platform.add("c/s/t", "id:int");
    world.platform.add("c/s/u", "id:int");
    world.run().await;
    let now = world.now();
    let on = SettingsChange { is_active: Some(Some(true)), ..SettingsChange::default() };
    world.db.by(actor()).change_settings(&Sight::All, &at("K/c"), on, None, Mode::Apply, now).await.expect("set");
    world.run().await;
    world.platform.drop_thing("c/s/u");
    let job = world.sync("K").await;
    let told = world.db.explain(&Sight::All, &at("K/c/s/u")).await.expect("read").expect("seen");
    assert_eq!((told.settings.status_by, told.settings.rule_by), (Some(1), None));
    let set = told.steps[1].status_set.clone().expect("a commit");
    assert_eq!((set.at, set.by.map(|by| by.name).as_deref()), (Some(now), Some("admin")));
    let mark = told.mark.expect("missing");
    assert_eq!((mark.status, mark.step), (RemoteStatus::Missing, 3));
    assert_eq!(mark.since.and_then(|commit| commit.job), Some(job.id));
    assert_eq!((told.listed.len(), told.listed[0].basis.as_str(), told.listed[0].job), (1, "reader", job.id));
    let view = world.get("K/c/s/u").await;
    assert_eq!(told.settings.effective(), view.settings);

    // Of a step on the path nothing is explained, and of what is above the own nobody is named.
    let owner = Sight::Roots(vec![world.get("K/c/s").await.id]);
    let step = world.db.explain(&owner, &at("K/c")).await.expect("read").expect("seen");
    assert!(step.settings.steps.is_empty() && step.listed.is_empty());
    let own = world.db.explain(&owner, &at("K/c/s/t")).await.expect("read").expect("seen");
    let above = own.steps[1].status_set.as_ref().expect("a commit");
    assert!(above.by.is_none() && own.settings.effective().is_active);
}
