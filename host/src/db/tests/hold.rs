//! What a sync proves to be absent and does not believe (D33): wrong grants mark nothing, people decide, a crash costs nothing.

mod parts;

use super::{World, actor, at, enabled, later, path, platform::Platform, update_of};
use crate::{
    db::{connections::ConnectionUpdate, holds::HoldError, jobs::JobEnd},
    model::{
        change::ChangeKind,
        connection::ConnectionOptions,
        hold::{Decision, Hold, HoldRule, Share},
        id::HoldId,
        job::{Job, JobState, Task, Work},
        object::RemoteStatus,
        sight::Sight,
    },
};

/// Catalogs of schemas of tables, all enabled and known.
async fn world(name: &str, catalogs: usize, schemas: usize, tables: usize) -> World {
    let mut world = World::new(name, enabled()).await;
    for catalog in 0..catalogs {
        for schema in 0..schemas {
            for table in 0..tables {
                world.platform.add(&format!("c{catalog}/s{schema}/t{table:02}"), "id:int");
            }
        }
    }
    world.run().await;
    world.check().await;
    world
}

/// Leaves things out of every listing, though they are there.
fn hide(platform: &mut Platform, which: impl Fn(&str) -> bool) {
    let names: Vec<String> = platform.things.keys().filter(|name| which(name)).cloned().collect();
    platform.hidden.extend(names);
}

fn level(name: &str) -> usize {
    name.split('/').count()
}

async fn holds(world: &World) -> Vec<Hold> {
    world.db.holds(&Sight::All, None).await.expect("holds").expect("all")
}

async fn the_hold(world: &World) -> Hold {
    let mut all = holds(world).await;
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

/// Paths of everything with a mark, and of what was marked by nobody.
async fn missing(world: &World) -> Vec<String> {
    world.inventory().await.into_iter().filter(|line| line.contains(" Missing ")).collect()
}

async fn decide(world: &mut World, hold: &Hold, decision: Decision) {
    let now = world.now();
    let db = world.db.by(actor());
    db.decide_hold(&Sight::All, hold.id, Some(hold.revision), decision, now).await.expect("decided");
    world.check().await;
    while world.db.carry_out_decisions(2).await.expect("carried out") {
        world.check().await;
    }
    world.check().await;
}

async fn set_rule(world: &mut World, hold: HoldRule) {
    let options = ConnectionOptions { hold, ..world.connection.options.clone() };
    let update = ConnectionUpdate { options, ..update_of(&world.connection) };
    let now = world.now();
    world.connection = world.db.update_connection(world.connection.id, update, None, now).await.expect("update").0;
}

fn count(job: &Job, object_type: &str) -> u64 {
    job.holds.iter().filter_map(|hold| hold.counts.get(object_type)).sum()
}

#[tokio::test]
async fn a_role_that_suddenly_sees_forty_per_cent_marks_nothing() {
    let mut world = world("forty", 4, 2, 10).await;
    hide(&mut world.platform, |name| level(name) == 3 && name.ends_with(['4', '5', '6', '7', '8', '9']));
    world.platform.add("c0/s0/new", "id:int");
    world.platform.retype("c0/s0/t00", "id:bigint");
    let job = world.sync("K").await;
    assert_eq!((job.state, job.counts.held), (JobState::Completed, 48));
    assert!(job.counts.missing.is_empty() && missing(&world).await.is_empty());
    assert_eq!(job.counts.added.get("table"), Some(&1), "what is new is found");
    assert_eq!(world.columns("K/c0/s0/t00").await.expect("columns")[0].data_type, "bigint", "what changed is changed");
    let hold = the_hold(&world).await;
    assert_eq!((hold.path.clone(), hold.revision, hold.job), (path("K"), 1, job.id));
    assert_eq!(hold.cause, "48 of 80 known tables below K would be gone (60 %), more than 20 %");
    assert_eq!((hold.known, hold.vanished, hold.objects(), count(&job, "table")), (80, 48, 48, 48));
    let list = world.db.held_objects(&Sight::All, hold.id, 100).await.expect("list");
    assert_eq!(list.len(), 48);
    let held = world.get("K/c2/s1/t09").await;
    assert_eq!((held.held, held.active, held.remote_status), (Some(hold.id), true, RemoteStatus::Present));
    assert_eq!(world.get("K/c2/s1/t00").await.held, None);
    let told = world.db.explain(&Sight::All, &at("K/c2/s1/t09")).await.expect("explain").expect("object");
    assert_eq!(told.held.map(|held| (held.step, held.hold.map(|h| h.id))), Some((3, Some(hold.id))));
}

#[tokio::test]
async fn what_another_role_shows_instead_does_not_hide_what_is_gone() {
    for (tables, others) in [(60, 300), (30, 1)] {
        let mut world = world("instead", 1, 1, tables).await;
        hide(&mut world.platform, |name| level(name) == 3);
        for n in 0..others {
            world.platform.add(&format!("c0/s0/other{n}"), "id:int");
        }
        let job = world.sync("K").await;
        assert!(missing(&world).await.is_empty());
        assert_eq!((job.counts.held, job.counts.added.get("table")), (tables as u64, Some(&others)));
    }
}

#[tokio::test]
async fn what_a_wider_hold_has_weighs_in_a_narrower_sync() {
    let mut world = world("wider", 1, 2, 40).await;
    hide(&mut world.platform, |name| name.starts_with("c0/s0/t0") || name.starts_with("c0/s0/t1"));
    world.sync("K").await;
    assert_eq!(the_hold(&world).await.objects(), 20);
    hide(&mut world.platform, |name| name.starts_with("c0/s0/"));
    world.sync("K/c0/s0").await;
    assert!(missing(&world).await.is_empty(), "an empty answer, though half of it is held already");
    let held: Vec<u64> = holds(&world).await.iter().map(Hold::objects).collect();
    assert_eq!(held, [20, 20]);
}

#[tokio::test]
async fn what_is_there_when_it_is_asked_for_by_name_is_held_no_more() {
    let mut world = World::new("by-name", enabled()).await;
    world.platform.remote_ids_unique = false;
    for table in ["a", "b"] {
        world.platform.add(&format!("c/s/{table}"), "id:int");
    }
    world.run().await;
    world.platform.drop_thing("c/s/a");
    world.platform.drop_thing("c/s/b");
    world.sync("K").await;
    assert_eq!(the_hold(&world).await.objects(), 2);
    for table in ["a", "b"] {
        world.platform.add(&format!("c/s/{table}"), "id:int");
    }
    hide(&mut world.platform, |name| level(name) == 3);
    world.sync("K").await;
    assert_eq!(holds(&world).await, []);
}

#[tokio::test]
async fn two_of_five_databases_that_vanish_are_held_with_all_in_them() {
    let mut world = world("two-of-five", 5, 2, 6).await;
    hide(&mut world.platform, |name| name == "c1" || name == "c3");
    let job = world.sync("K").await;
    assert!(missing(&world).await.is_empty());
    let hold = the_hold(&world).await;
    assert_eq!(hold.cause, "24 of 60 known tables below K would be gone (40 %), more than 20 %");
    assert_eq!((count(&job, "database"), hold.objects()), (2, 2), "the topmost ones");
    assert_eq!(world.get("K/c1/s0/t00").await.held, Some(hold.id), "what lies in them is held with them");
    decide(&mut world, &hold, Decision::Release).await;
    assert_eq!(world.get("K/c1").await.remote_status, RemoteStatus::Missing);
    assert_eq!(missing(&world).await.len(), 2 * (1 + 2 + 12));
}

#[tokio::test]
async fn twenty_four_of_forty_in_every_schema_are_held_once_at_the_top() {
    let mut world = world("every-schema", 1, 3, 40).await;
    hide(&mut world.platform, |name| level(name) == 3 && name.as_bytes()[name.len() - 2] < b'2');
    hide(&mut world.platform, |name| level(name) == 3 && name.ends_with(['0', '1']));
    let job = world.sync("K").await;
    assert!(missing(&world).await.is_empty());
    let hold = the_hold(&world).await;
    assert_eq!((hold.path.to_string().as_str(), hold.objects(), hold.known), ("K", 72, 120));
    assert_eq!(job.counts.held, 72);
    // For one schema the same is held there.
    world.sync("K/c0/s1").await;
    assert_eq!(the_hold(&world).await, hold, "a narrower sync decides nothing about a wider hold");
}

#[tokio::test]
async fn an_empty_answer_is_held_however_small_and_a_single_table_is_believed() {
    let mut world = world("empty", 1, 3, 2).await;
    world.platform.add("c0/lonely/only", "id:int");
    world.sync("K").await;
    hide(&mut world.platform, |name| name.starts_with("c0/s0/"));
    for gone in ["c0/s1/t00", "c0/lonely/only"] {
        world.platform.drop_thing(gone);
    }
    let job = world.sync("K").await;
    let hold = the_hold(&world).await;
    assert_eq!(hold.cause, "as with an empty answer, all 2 known tables below K.c0.s0 would be gone");
    assert_eq!((hold.objects(), hold.path), (2, path("K/c0/s0")));
    assert_eq!(job.counts.missing.get("table"), Some(&2), "the others are judged by themselves");
    for object in ["K/c0/s1/t00", "K/c0/lonely/only"] {
        assert_eq!(world.get(object).await.remote_status, RemoteStatus::Missing, "{object}");
    }
    assert_eq!(world.get("K/c0/s0/t00").await.remote_status, RemoteStatus::Present);
    // The whole answer empty.
    hide(&mut world.platform, |_| true);
    world.platform.add("c1/s/t", "id:int");
    world.platform.hidden.clear();
    world.sync("K").await;
    assert!(holds(&world).await.is_empty(), "seen again");
    hide(&mut world.platform, |_| true);
    let before = missing(&world).await;
    world.sync("K").await;
    assert_eq!(missing(&world).await, before);
    assert_eq!(the_hold(&world).await.counts, [("database".to_owned(), 2)].into());
}

/// Does the tasks of a sync of everything, oldest first, and calls `between` before each step.
async fn walk(world: &mut World, mut between: impl FnMut(&mut Platform, usize, &Task)) -> Job {
    let now = world.now();
    world.db.enqueue_sync(&Sight::All, &at("K"), false, now).await.expect("enqueue");
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let mut tasks = claimed.tasks;
    let mut steps = 0;
    while !tasks.is_empty() {
        let task = tasks.remove(0);
        between(&mut world.platform, steps, &task);
        let advanced = world.platform.advance(&world.db, claimed.claim, &task, now).await;
        if let Some(task) = advanced.task {
            tasks.insert(0, task);
        }
        tasks.extend(advanced.added);
        steps += 1;
    }
    let job = world.db.end_job(claimed.claim, JobEnd::Completed, now).await.expect("end");
    world.check().await;
    job
}

#[tokio::test]
async fn a_grant_that_is_lost_at_any_moment_of_a_walk_marks_nothing() {
    let mut whole = world("lost-never", 1, 3, 20).await;
    let mut length = 0;
    walk(&mut whole, |_, step, _| length = step + 1).await;
    assert!(length > 20);
    for lost in 0..length {
        for table_grants_only in [false, true] {
            let mut world = world("lost-grant", 1, 3, 20).await;
            let job = walk(&mut world, |platform, step, _| {
                if step == lost {
                    hide(platform, |name| !table_grants_only || level(name) == 3);
                }
            })
            .await;
            assert!(missing(&world).await.is_empty(), "lost before step {lost}: {job:#?}");
            assert!(job.counts.missing.is_empty());
            let told = job.counts.held > 0 || job.object_errors.iter().any(|error| error.code == "not-confirmed");
            assert!(told, "lost before step {lost}: it is told: {job:#?}");
            // With the grant back all is as it was.
            world.platform.hidden.clear();
            let job = world.sync("K").await;
            assert!(holds(&world).await.is_empty() && job.counts.returned.is_empty() && job.counts.added.is_empty());
        }
    }
}

#[tokio::test]
async fn a_table_renamed_behind_the_cursor_is_neither_missing_nor_held() {
    let mut world = world("behind", 1, 2, 12).await;
    let before = world.get("K/c0/s1/t11").await.id;
    let job = walk(&mut world, |platform, _, task| {
        let is_there = platform.things.contains_key("c0/s1/t11");
        if let Work::Read { partition, second_look: false, .. } = &task.work
            && super::platform::text(&partition.scope) == "c0/s1"
            && task.cursor.is_some()
            && is_there
        {
            platform.rename("c0/s1/t11", "c0/s1/a");
        }
    })
    .await;
    assert!(job.counts.missing.is_empty() && job.counts.held == 0 && job.object_errors.is_empty(), "{job:?}");
    assert_eq!(world.get("K/c0/s1/a").await.id, before);
}

#[tokio::test]
async fn what_is_found_elsewhere_later_in_the_same_sync_is_not_absent() {
    let mut world = world("moved", 1, 2, 3).await;
    let ids = [world.get("K/c0/s0/t00").await.id, world.get("K/c0/s0/t01").await.id];
    // The first schema is closed without them before the second one has them.
    for table in ["t00", "t01", "t02"] {
        world.platform.rename(&format!("c0/s0/{table}"), &format!("c0/s1/moved_{table}"));
    }
    let job = walk(&mut world, |_, _, _| {}).await;
    assert!(job.counts.missing.is_empty() && job.counts.held == 0 && job.object_errors.is_empty(), "{job:?}");
    assert_eq!([world.get("K/c0/s1/moved_t00").await.id, world.get("K/c0/s1/moved_t01").await.id], ids);
}

#[tokio::test]
async fn a_release_marks_what_is_still_absent_in_the_name_of_who_released_it() {
    let mut world = world("release", 1, 2, 30).await;
    hide(&mut world.platform, |name| name.starts_with("c0/s1/"));
    world.sync("K").await;
    let hold = the_hold(&world).await;
    let now = world.now();
    world.db.delete_object(&Sight::All, &at("K/c0/s1/t03"), now).await.expect("delete");
    world.check().await;
    let stale = world.db.decide_hold(&Sight::All, hold.id, Some(9), Decision::Release, now).await;
    assert!(matches!(stale, Err(HoldError::Revision(1))), "{stale:?}");
    let nobody = Sight::Roots(vec![world.get("K/c0/s0").await.id]);
    let unseen = world.db.decide_hold(&nobody, hold.id, None, Decision::Release, now).await;
    assert!(matches!(unseen, Err(HoldError::NotFound)), "{unseen:?}");
    decide(&mut world, &hold, Decision::Release).await;
    assert!(holds(&world).await.is_empty());
    assert_eq!(missing(&world).await.len(), 29);
    let history = world.db.history(&Sight::All, &at("K/c0/s1/t00"), Default::default()).await.expect("history");
    let entry = &history.entries[0];
    assert_eq!((ChangeKind::of(&entry.what), entry.job), (ChangeKind::Missing, None));
    assert_eq!(entry.by.as_ref().map(|by| by.name.as_str()), Some("admin"));
    let again = world.db.decide_hold(&Sight::All, hold.id, None, Decision::Release, now).await;
    assert!(matches!(again, Err(HoldError::NotFound)), "once");
    // Marked for good: the next sync has nothing to say, and what comes back comes back.
    assert_eq!(world.sync("K").await.counts.held, 0);
    world.platform.hidden.clear();
    world.sync("K").await;
    assert!(missing(&world).await.is_empty());
}

#[tokio::test]
async fn a_rejected_hold_marks_nothing_and_the_next_sync_holds_again() {
    let mut world = world("reject", 1, 2, 30).await;
    hide(&mut world.platform, |name| name.starts_with("c0/s1/"));
    let first = world.sync("K").await;
    let hold = the_hold(&world).await;
    decide(&mut world, &hold, Decision::Reject).await;
    assert!(holds(&world).await.is_empty() && missing(&world).await.is_empty());
    let now = world.now();
    let late = world.db.decide_holds_of(&Sight::All, first.id, Decision::Release, now).await;
    assert!(matches!(late, Err(HoldError::NothingHeld)), "{late:?}");
    let job = world.sync("K").await;
    assert!(missing(&world).await.is_empty());
    let again = the_hold(&world).await;
    assert!(again.id != hold.id && again.revision == 1 && again.job == job.id);
    world.db.decide_holds_of(&Sight::All, job.id, Decision::Release, now).await.expect("released");
    while world.db.carry_out_decisions(7).await.expect("carried out") {}
    assert_eq!(missing(&world).await.len(), 30);
    world.check().await;
}

#[tokio::test]
async fn the_next_sync_replaces_a_hold_and_what_it_sees_leaves_it() {
    let mut world = world("replace", 1, 2, 40).await;
    hide(&mut world.platform, |name| name.starts_with("c0/s1/"));
    let first = world.sync("K").await;
    let hold = the_hold(&world).await;
    let second = world.sync("K").await;
    let next = the_hold(&world).await;
    assert_eq!((next.id, next.revision, next.job, next.objects()), (hold.id, 2, second.id, 40));
    assert!(next.updated_at > hold.updated_at && next.created_at == hold.created_at);
    let now = world.now();
    let late = world.db.decide_holds_of(&Sight::All, first.id, Decision::Release, now).await;
    assert!(matches!(late, Err(HoldError::NothingHeld)), "{late:?}");
    assert!(world.db.job(&Sight::All, first.id).await.expect("job").expect("job").holds.is_empty());
    // A narrower sync that sees two of them takes these out, and leaves the rest.
    for table in ["c0/s1/t00", "c0/s1/t01"] {
        world.platform.hidden.remove(table);
    }
    let job = world.sync("K/c0/s1").await;
    assert_eq!((job.counts.held, job.counts.missing.len()), (38, 0));
    let next = the_hold(&world).await;
    assert_eq!((next.revision, next.job, next.objects()), (2, second.id, 38), "it is not this sync's to decide about");
    world.sync("K/c0/s1/t02").await;
    assert_eq!(world.get("K/c0/s1/t02").await.remote_status, RemoteStatus::Present, "nor that of one table's");
    // Down to what is believable: the rest of the same hold is missing at last.
    let back: Vec<String> = world.platform.hidden.iter().skip(5).cloned().collect();
    world.platform.hidden.retain(|name| !back.contains(name));
    let job = world.sync("K").await;
    assert_eq!((job.counts.held, job.counts.missing.get("table")), (0, Some(&5)));
    assert!(holds(&world).await.is_empty());
}

#[tokio::test]
async fn a_narrow_sync_holds_at_its_own_object_and_a_wide_one_takes_over() {
    let mut world = world("narrow", 1, 5, 12).await;
    world.platform.hidden.extend((0..11).map(|n| format!("c0/s2/t{n:02}")));
    hide(&mut world.platform, |name| name == "c0/s3/t00" || name == "c0/s3/t01");
    world.sync("K/c0/s2").await;
    assert!(holds(&world).await.is_empty(), "11 of 60 are no more than a fifth");
    world.platform.hidden.clear();
    world.sync("K").await;
    world.platform.hidden.extend((0..11).map(|n| format!("c0/s2/t{n:02}")));
    set_rule(&mut world, HoldRule { share: Share::try_from(0.1).expect("share"), ..HoldRule::default() }).await;
    world.sync("K/c0/s2").await;
    let narrow = the_hold(&world).await;
    assert_eq!(narrow.path, path("K/c0/s2"), "who may sync the schema may decide");
    assert_eq!(narrow.cause, "11 of 12 known tables in K.c0.s2 would be gone, too large a part of what is known above");
    hide(&mut world.platform, |name| name == "c0/s3/t00");
    world.sync("K").await;
    let wide = the_hold(&world).await;
    assert_eq!((wide.path.clone(), wide.objects()), (path("K"), 12), "taken over");
    assert!(wide.id != narrow.id);
    set_rule(&mut world, HoldRule { minimum: 61, ..HoldRule::default() }).await;
    world.sync("K").await;
    assert!(holds(&world).await.is_empty(), "too few are known for a share");
    assert_eq!(missing(&world).await.len(), 12);
}

#[tokio::test]
async fn equal_scheduled_syncs_confirm_only_where_the_connection_says_so() {
    for confirm_after in [None, Some(2)] {
        let mut world = world("confirm", 1, 2, 30).await;
        set_rule(&mut world, HoldRule { confirm_after, ..HoldRule::default() }).await;
        hide(&mut world.platform, |name| name.starts_with("c0/s1/"));
        world.sync("K").await;
        world.sync("K").await;
        assert_eq!(the_hold(&world).await.equal_syncs, 0, "asked for by people");
        let night = async |world: &mut World| {
            world.now += 24 * 3600;
            world.db.queue_due_syncs(later(world.now)).await.expect("queued");
            let done = world.run().await;
            world.check().await;
            assert_eq!(done.len(), 1);
        };
        night(&mut world).await;
        assert_eq!(the_hold(&world).await.equal_syncs, 1);
        // Not the same: counted anew.
        world.platform.hidden.remove("c0/s1/t07");
        night(&mut world).await;
        assert_eq!((the_hold(&world).await.equal_syncs, the_hold(&world).await.objects()), (0, 29));
        world.platform.hidden.insert("c0/s1/t07".into());
        night(&mut world).await;
        assert_eq!(the_hold(&world).await.equal_syncs, 0);
        night(&mut world).await;
        assert_eq!((the_hold(&world).await.equal_syncs, missing(&world).await.len()), (1, 0));
        night(&mut world).await;
        match confirm_after {
            None => assert_eq!(the_hold(&world).await.equal_syncs, 2),
            Some(_) => assert_eq!((holds(&world).await.len(), missing(&world).await.len()), (0, 30)),
        }
    }
}

#[tokio::test]
async fn another_role_is_another_basis_until_what_vanished_with_it_is_decided() {
    let mut world = world("role", 1, 2, 60).await;
    world.platform.role = "other".into();
    hide(&mut world.platform, |name| name == "c0/s1/t00");
    world.sync("K").await;
    let hold = the_hold(&world).await;
    let cause = "1 of 60 known tables below K.c0.s1 would be gone (1 %); it was listed as other instead of reader";
    assert_eq!((hold.cause.as_str(), hold.path.to_string().as_str()), (cause, "K.c0.s1"));
    let job = world.sync("K").await;
    assert_eq!(
        (the_hold(&world).await.revision, job.counts.missing.len()),
        (2, 0),
        "it does not become usual by itself"
    );
    let hold = the_hold(&world).await;
    decide(&mut world, &hold, Decision::Reject).await;
    world.sync("K").await;
    assert_eq!(missing(&world).await.len(), 0);
    world.platform.role = "reader".into();
    let job = world.sync("K").await;
    assert_eq!(job.counts.missing.get("table"), Some(&1), "as the role of before, it is believed");
    assert!(holds(&world).await.is_empty());
    // Released, the new role is the usual one.
    world.platform.role = "third".into();
    hide(&mut world.platform, |name| name == "c0/s1/t01");
    world.sync("K").await;
    let hold = the_hold(&world).await;
    decide(&mut world, &hold, Decision::Release).await;
    hide(&mut world.platform, |name| name == "c0/s1/t02");
    let job = world.sync("K").await;
    assert_eq!((job.counts.held, job.counts.missing.get("table")), (0, Some(&1)));
    // A role with which nothing vanishes is usual at once.
    world.platform.role = "fourth".into();
    world.sync("K").await;
    hide(&mut world.platform, |name| name == "c0/s1/t03");
    let job = world.sync("K").await;
    assert_eq!((job.counts.held, job.counts.missing.get("table")), (0, Some(&1)));
}

/// The hold without what tells one run from another.
fn shape(hold: &Hold) -> (String, String, u64, u64) {
    (hold.path.to_string(), hold.cause.clone(), hold.objects(), hold.revision)
}

#[tokio::test]
async fn a_kill_at_any_step_of_a_judgement_changes_nothing_about_it() {
    let lay = async |name: &str| {
        let mut world = world(name, 2, 3, 10).await;
        set_rule(&mut world, HoldRule { minimum: 100, ..HoldRule::default() }).await;
        hide(&mut world.platform, |name| name.starts_with("c0/s1/"));
        for n in 0..4 {
            world.platform.drop_thing(&format!("c1/s{}/t0{n}", n % 3));
        }
        let now = world.now();
        world.db.enqueue_sync(&Sight::All, &at("K"), false, now).await.expect("enqueue");
        world
    };
    for kill_every in 1..6 {
        let mut world = lay("judge-kill").await;
        let mut steps = 0;
        let mut judged = 0;
        let job = 'host: loop {
            let now = world.now();
            let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
            let mut tasks = claimed.tasks;
            while let Some(task) = tasks.pop() {
                let advanced = world.platform.advance(&world.db, claimed.claim, &task, now).await;
                let is_judging = task.work == Work::Judge;
                for hold in holds(&world).await {
                    let early = world.db.decide_hold(&Sight::All, hold.id, None, Decision::Release, now).await;
                    assert!(matches!(early, Err(HoldError::Unfinished)), "{early:?}");
                }
                tasks.extend(advanced.task);
                tasks.extend(advanced.added);
                judged += usize::from(is_judging);
                steps += usize::from(is_judging);
                if is_judging && steps % kill_every == 0 {
                    world = world.crash();
                    world.check().await;
                    continue 'host;
                }
            }
            break world.db.end_job(claimed.claim, JobEnd::Completed, now).await.expect("end");
        };
        assert!(judged >= 5, "{judged} steps for 14 absences");
        assert_eq!((job.counts.held, job.counts.missing.get("table")), (10, Some(&4)));
        let cause = "as with an empty answer, all 10 known tables below K.c0.s1 would be gone";
        assert_eq!(shape(&the_hold(&world).await), ("K.c0.s1".into(), cause.into(), 10, 1));
        assert_eq!(missing(&world).await.len(), 4);
        world.check().await;
    }
}

#[tokio::test]
async fn a_release_goes_on_after_a_restart_and_takes_nothing_that_a_sync_adds() {
    let mut world = world("release-kill", 1, 2, 30).await;
    hide(&mut world.platform, |name| name.starts_with("c0/s1/") && !name.ends_with('9'));
    world.sync("K").await;
    let hold = the_hold(&world).await;
    assert_eq!(hold.objects(), 27);
    let now = world.now();
    let done = world.db.decide_hold(&Sight::All, hold.id, Some(1), Decision::Release, now).await.expect("released");
    assert_eq!(done.left, 24, "the beginning is done with the answer");
    world = world.crash();
    world.check().await;
    assert!(holds(&world).await.is_empty(), "nobody decides again");
    // A sync meanwhile: one is seen again, and others vanish that nobody has decided about.
    world.platform.hidden.remove("c0/s1/t28");
    hide(&mut world.platform, |name| name.starts_with("c0/s1/") && name.ends_with('9'));
    hide(&mut world.platform, |name| name.starts_with("c0/s0/") && !name.ends_with('1'));
    world.sync("K").await;
    let other = the_hold(&world).await;
    assert!(other.id != hold.id);
    loop {
        let more = world.db.carry_out_decisions(5).await.expect("carried out");
        world.check().await;
        world = world.crash();
        if !more {
            break;
        }
    }
    assert_eq!(missing(&world).await.len(), 26, "what was released and not seen again");
    assert_eq!(world.get("K/c0/s1/t28").await.remote_status, RemoteStatus::Present);
    assert_eq!(world.get("K/c0/s1/t09").await.held, Some(other.id));
}

#[tokio::test]
async fn deleted_objects_leave_their_holds_and_a_hold_keeps_its_job() {
    let mut world = world("deleted", 2, 2, 30).await;
    hide(&mut world.platform, |name| level(name) == 3 && name.starts_with("c1/"));
    let job = world.sync("K").await;
    let hold = the_hold(&world).await;
    assert_eq!(hold.objects(), 60);
    world.sync("K/c0").await;
    let forgotten = later(world.now + 1000);
    while world.db.forget_jobs(forgotten, 1).await.expect("forgotten") {}
    assert!(world.db.job(&Sight::All, job.id).await.expect("job").is_some(), "a hold names it");
    world.check().await;
    let now = world.now();
    world.db.delete_object(&Sight::All, &at("K/c1/s0"), now).await.expect("delete");
    world.check().await;
    while world.db.reclaim(4).await.expect("reclaim") {
        world.check().await;
    }
    assert_eq!(the_hold(&world).await.objects(), 30);
    world.db.delete_object(&Sight::All, &at("K"), now).await.expect("deregister");
    world.check().await;
    assert!(holds(&world).await.is_empty());
    while world.db.reclaim(7).await.expect("reclaim") {
        world.check().await;
    }
    while world.db.forget_jobs(forgotten, 1).await.expect("forgotten") {}
    world.check().await;
    assert!(world.db.job(&Sight::All, job.id).await.expect("job").is_none());
    assert!(world.db.hold(&Sight::All, HoldId::from_u128(hold.id.as_u128())).await.expect("hold").is_none());
}

#[tokio::test]
async fn a_sync_that_begins_again_or_is_cancelled_decides_nothing() {
    let mut world = world("again", 1, 2, 3).await;
    world.platform.drop_thing("c0/s1/t00");
    let now = world.now();
    let queued = world.db.enqueue_sync(&Sight::All, &at("K"), false, now).await.expect("enqueue").expect("job");
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let mut tasks = claimed.tasks;
    while let Some(task) = tasks.pop() {
        if task.work == Work::Judge {
            break;
        }
        let advanced = world.platform.advance(&world.db, claimed.claim, &task, now).await;
        tasks.extend(advanced.task);
        tasks.extend(advanced.added);
    }
    assert!(missing(&world).await.is_empty());
    // Another configuration: what was read belongs to the one before.
    let mut update = update_of(&world.connection);
    update.config = serde_json::json!({"hostname": "other"});
    world.platform.add("c0/s1/t00", "id:int");
    world.db.update_connection(world.connection.id, update, None, now).await.expect("update");
    world.check().await;
    let done = world.run().await;
    assert_eq!(done.iter().map(|job| job.id).collect::<Vec<_>>(), [queued.id]);
    assert!(missing(&world).await.is_empty() && done[0].counts.held == 0);
    world.check().await;
}
