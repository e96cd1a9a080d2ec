//! Each kind of damage is named, by table and row; a file that cannot be read gives a message and no panic.

use std::{
    fs::OpenOptions,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use redb::ReadableTable as _;

use super::{
    super::{
        DbError,
        fault::{Fault, Stop},
        holds::HoldRow,
        records::{JobRow, ObjectRow, PrincipalRow, decode, encode},
        tables::WriteRows,
        tree,
        verify::{FileError, verify_file},
    },
    TempFile, World, actor, at, enabled, new_connection, start,
};
use crate::model::{
    id::PrincipalId,
    job::{Task, Work},
    path::RemotePath,
    principal::Principal,
    settings::{Overrides, SettingsChange},
    sight::Sight,
};

/// A store with a bit of everything: two connections, objects with columns and settings, a history, jobs that have ended,
/// one under way, one that waits, something held back, a deleted subtree, a person.
async fn rich() -> World {
    let mut world = World::new("rich", enabled()).await;
    for table in ["c/s/a", "c/s/b", "d/s/e", "h/s/e", "h/s/f"] {
        world.platform.add(table, "id:int name:text");
    }
    world.run().await;
    // As by an empty answer: held back.
    world.platform.hidden.extend(["h/s/e".to_owned(), "h/s/f".to_owned()]);
    world.platform.rename("c/s/b", "c/s/r");
    world.sync("K").await;
    let now = world.now();
    let off = SettingsChange { is_active: Some(Some(false)), ..SettingsChange::default() };
    let db = world.db.by(actor());
    db.change_settings(&Sight::All, &at("K/c/s/a"), off, None, super::super::settings::Mode::Apply, now)
        .await
        .expect("set");
    world.db.delete_object(&Sight::All, &at("K/d"), now).await.expect("deleted");
    world.db.enqueue_sync(&Sight::All, &at("K"), false, now).await.expect("queued");
    let claimed = world.db.claim_job(now).await.expect("claim").expect("job");
    let task = claimed.tasks[0].clone();
    world.platform.advance(&world.db, claimed.claim, &task, now).await;
    world.db.create_connection(new_connection("L"), start()).await.expect("second");
    let id = PrincipalId::generate();
    let person = Principal { id, name: "Ada".into(), email: None, permissions: Vec::new(), sight: Sight::All };
    world.db.put_principal(person.clone(), [7; 32]).await.expect("person");
    world.db.put_session([8; 32], &person, start()).await.expect("session");
    world.check().await;
    world
}

/// The ids that damage is done to.
struct Ids {
    connection: u128,
    catalog: u128,
    schema: u128,
    table: u128,
    job: u128,
}

fn ids(rows: &WriteRows<'_>) -> Result<Ids, Fault> {
    let connection = tree::connection_by_key(rows, "K")?.expect("K");
    let child = |parent, name| tree::child(rows, parent, "", name).map(|id| id.expect("child"));
    let catalog = child(connection, "c")?;
    let schema = child(catalog, "s")?;
    let table = child(schema, "a")?;
    let job = rows.active.iter()?.next().expect("active")?.0.value().1;
    Ok(Ids { connection, catalog, schema, table, job })
}

fn change_object(rows: &mut WriteRows<'_>, id: u128, change: impl FnOnce(&mut ObjectRow)) -> Result<(), Fault> {
    let mut row: ObjectRow = tree::object(rows, id)?.expect("object");
    change(&mut row);
    rows.objects.insert(id, encode(&row)?.as_slice())?;
    Ok(())
}

fn change_job(rows: &mut WriteRows<'_>, id: u128, change: impl FnOnce(&mut JobRow)) -> Result<(), Fault> {
    let mut row: JobRow = decode(rows.jobs.get(id)?.expect("job").value())?;
    change(&mut row);
    rows.jobs.insert(id, encode(&row)?.as_slice())?;
    Ok(())
}

fn hold(rows: &WriteRows<'_>) -> Result<u128, Fault> {
    Ok(rows.holds.iter()?.next().expect("hold")?.0.value())
}

fn change_hold(rows: &mut WriteRows<'_>, change: impl FnOnce(&mut HoldRow)) -> Result<(), Fault> {
    let id = hold(rows)?;
    let mut row: HoldRow = decode(rows.holds.get(id)?.expect("row").value())?;
    change(&mut row);
    rows.holds.insert(id, encode(&row)?.as_slice())?;
    Ok(())
}

const NOBODY: u128 = 77;
const NO_ROW: &[u8] = &[255; 40];

type Damage = fn(&mut WriteRows<'_>, &Ids) -> Result<(), Fault>;

/// The table and a part of the message that must name each damage.
#[rustfmt::skip]
const DAMAGES: &[(&str, &str, Damage)] = &[
    ("objects", "cannot be read", |r, i| { r.objects.insert(i.table, NO_ROW)?; Ok(()) }),
    ("objects", "does not have it as a child", |r, i| change_object(r, i.table, |row| row.name = "other".into())),
    ("objects", "do not lead to its connection", |r, i| change_object(r, i.schema, |row| row.parent = Some(NOBODY))),
    ("objects", "do not lead to its connection", |r, i| { r.connections.remove(i.connection)?; Ok(()) }),
    ("objects", "inside itself", |r, i| { let t = i.table; change_object(r, i.catalog, |row| row.parent = Some(t)) }),
    ("objects", "name, kind or mark", |r, i| change_object(r, i.table, |row| row.mark = 9)),
    ("children", "not there, or says", |r, i| { r.children.insert((i.schema, "", "ghost"), NOBODY)?; Ok(()) }),
    ("children", "the parent is not there", |r, i| { r.children.insert((NOBODY, "", "x"), i.table)?; Ok(()) }),
    ("counters", "what lies below", |r, i| { r.counters.insert(i.schema, (9, 9, 9, 9))?; Ok(()) }),
    ("counters", "what lies below", |r, i| { r.counters.remove(i.catalog)?; Ok(()) }),
    ("counters", "the object is not there", |r, _| { r.counters.insert(NOBODY, (1, 0, 0, 1))?; Ok(()) }),
    ("columns", "the object is not there", |r, _| { r.columns.insert(NOBODY, encode(&Vec::<u8>::new())?.as_slice())?; Ok(()) }),
    ("columns", "cannot be read", |r, i| { r.columns.insert(i.table, NO_ROW)?; Ok(()) }),
    ("columns", "says otherwise", |r, i| { r.columns.remove(i.table)?; Ok(()) }),
    ("exclusions", "says otherwise", |r, i| { r.exclusions.insert(i.table, "why")?; Ok(()) }),
    ("exclusions", "says otherwise", |r, i| change_object(r, i.table, |row| row.mark = 2)),
    ("columns_read", "not there, has a fingerprint", |r, i| { r.columns_read.insert(i.schema, 1)?; Ok(()) }),
    ("columns_read", "not there, has a fingerprint", |r, _| { r.columns_read.insert(NOBODY, 1)?; Ok(()) }),
    ("overrides", "the object is not there", |r, _| { r.overrides.insert(NOBODY, encode(&Overrides::default())?.as_slice())?; Ok(()) }),
    ("overrides", "nothing is set", |r, i| { r.overrides.insert(i.schema, encode(&Overrides::default())?.as_slice())?; Ok(()) }),
    ("overrides", "still to come", |r, i| { r.overrides.insert(i.schema, encode(&Overrides { cleared_sequence: Some(9_999), ..Overrides::default() })?.as_slice())?; Ok(()) }),
    ("overrides", "cannot be read", |r, i| { r.overrides.insert(i.schema, NO_ROW)?; Ok(()) }),
    ("listed", "the container is not there", |r, _| { r.listed.insert((NOBODY, ""), NO_ROW)?; Ok(()) }),
    ("listed", "cannot be read", |r, i| { r.listed.insert((i.schema, ""), NO_ROW)?; Ok(()) }),
    ("remote_ids", "not there, or has another id", |r, i| { r.remote_ids.insert((i.connection, "stolen"), i.table)?; Ok(()) }),
    ("connection_keys", "not there or named otherwise", |r, i| { r.connection_keys.insert("Z", i.connection)?; Ok(()) }),
    ("connections", "its name, its secrets or its object", |r, i| { r.secrets.remove(i.connection)?; Ok(()) }),
    ("connections", "cannot be read", |r, i| { r.connections.insert(i.connection, NO_ROW)?; Ok(()) }),
    ("connections", "its configuration or its name", |r, i| {
        let other = tree::connection_by_key(r, "L")?.expect("L");
        let row = r.connections.get(other)?.expect("row").value().to_vec();
        r.connections.insert(i.connection, row.as_slice())?;
        Ok(())
    }),
    ("secrets", "the connection is not there", |r, _| { r.secrets.insert(NOBODY, NO_ROW)?; Ok(()) }),
    ("changes", "cannot be read", |r, i| { r.changes.insert((i.connection, 2), NO_ROW)?; Ok(()) }),
    ("changes", "still to come", |r, i| {
        let row = r.changes.get((i.connection, 1))?.expect("row").value().to_vec();
        r.changes.insert((i.connection, 9_999), row.as_slice())?;
        Ok(())
    }),
    ("changes", "earlier than the commit before", |r, i| {
        let last = r.changes.range((i.connection, 0)..=(i.connection, u64::MAX))?.next_back().expect("row")?.0.value();
        let mut row: super::super::records::ChangesRow = decode(r.changes.get(last)?.expect("row").value())?;
        row.at = 5;
        r.changes.insert(last, encode(&row)?.as_slice())?;
        Ok(())
    }),
    ("changes", "kept no more", |r, i| { r.pruned.insert(i.connection, (9_999, 1))?; Ok(()) }),
    ("changes", "the connection is not there", |r, i| {
        let row = r.changes.remove((i.connection, 1))?.expect("row").value().to_vec();
        r.changes.insert((NOBODY, 1), row.as_slice())?;
        Ok(())
    }),
    ("changes", "another connection has a commit", |r, i| {
        let other = tree::connection_by_key(r, "L")?.expect("L");
        let row = r.changes.get((i.connection, 1))?.expect("row").value().to_vec();
        r.changes.insert((other, 1), row.as_slice())?;
        Ok(())
    }),
    ("change_details", "the commit is not there", |r, i| { r.changes.remove((i.connection, 1))?; Ok(()) }),
    ("change_details", "cannot be read", |r, i| { r.change_details.insert((i.connection, 1), NO_ROW)?; Ok(()) }),
    ("change_details", "not those of the commit's changes", |r, i| {
        let row = encode(&super::super::changes::DetailsRow::default())?;
        r.change_details.insert((i.connection, 1), row.as_slice())?;
        Ok(())
    }),
    ("object_changes", "not found by its object", |r, i| { r.object_changes.remove((i.connection, 1))?; Ok(()) }),
    ("object_changes", "did not change the object", |r, i| { r.object_changes.insert((i.table, 1), ())?; Ok(()) }),
    ("job_changes", "not found by its job", |r, _| {
        let key = r.job_changes.iter()?.next().expect("row")?.0.value();
        r.job_changes.remove(key)?;
        Ok(())
    }),
    ("job_changes", "the commit is not there", |r, i| { r.job_changes.insert((i.job, 9_999), i.connection)?; Ok(()) }),
    ("jobs", "cannot be read", |r, i| { r.jobs.insert(i.job, NO_ROW)?; Ok(()) }),
    ("jobs", "the queues differ", |r, i| { r.active.remove((i.connection, i.job))?; Ok(()) }),
    ("jobs", "the queues differ", |r, i| change_job(r, i.job, |row| row.state = 3)),
    ("jobs", "not found by its bulk", |r, i| change_job(r, i.job, |row| row.bulk = NOBODY)),
    ("jobs_waiting", "has ended or is not there", |r, _| { r.waiting.insert((1, NOBODY), ())?; Ok(()) }),
    ("jobs_active", "has ended or is not there", |r, i| { r.active.insert((i.connection, NOBODY), ())?; Ok(()) }),
    ("jobs", "queued twice", |r, i| { r.waiting.insert((1, i.job), ())?; Ok(()) }),
    ("job_groups", "has ended or is not there", |r, _| { r.job_groups.insert(NOBODY, NOBODY)?; Ok(()) }),
    ("jobs_ended", "not there or ended at another time", |r, i| { r.ended.insert((1, i.job), ())?; Ok(()) }),
    ("jobs_ended", "is not in it", |r, _| {
        let key = r.ended.iter()?.next().expect("ended")?.0.value();
        r.ended.remove(key)?;
        Ok(())
    }),
    ("job_facts", "the job is not there", |r, _| { r.job_facts.insert(NOBODY, NO_ROW)?; Ok(()) }),
    ("job_facts", "cannot be read", |r, i| { r.job_facts.insert(i.job, NO_ROW)?; Ok(()) }),
    ("last_syncs", "the job is not there", |r, i| { r.last_syncs.insert(i.connection, NOBODY)?; Ok(()) }),
    ("last_syncs", "the connection is not there", |r, i| { r.last_syncs.insert(NOBODY, i.job)?; Ok(()) }),
    ("turns", "the connection is not there", |r, _| { r.turns.insert(NOBODY, 1)?; Ok(()) }),
    ("schedules", "the connection is not there", |r, _| { r.schedules.insert(NOBODY, NO_ROW)?; Ok(()) }),
    ("schedules", "cannot be read", |r, i| { r.schedules.insert(i.connection, NO_ROW)?; Ok(()) }),
    ("job_bulks", "not there, or of another bulk", |r, i| { r.job_bulks.insert((NOBODY, i.job), ())?; Ok(()) }),
    ("job_errors", "the job is not there", |r, _| { r.job_errors.insert((NOBODY, 0), NO_ROW)?; Ok(()) }),
    ("job_errors", "cannot be read", |r, i| { r.job_errors.insert((i.job, 0), NO_ROW)?; Ok(()) }),
    ("tasks", "has ended or is not there", |r, _| { r.tasks.insert((NOBODY, 0), NO_ROW)?; Ok(()) }),
    ("tasks", "cannot be read", |r, i| { r.tasks.insert((i.job, 900), NO_ROW)?; Ok(()) }),
    ("tasks", "would be given again", |r, i| {
        let task = Task::new(900, Work::Plan { scope: RemotePath::default() });
        r.tasks.insert((i.job, 900), encode(&task)?.as_slice())?;
        Ok(())
    }),
    ("tasks", "another number", |r, i| {
        let task = r.tasks.range((i.job, 0)..=(i.job, u64::MAX))?.next().expect("task")?.1.value().to_vec();
        r.tasks.insert((i.job, 900), task.as_slice())?;
        Ok(())
    }),
    ("readers", "not those of its tasks", |r, i| { r.readers.insert((i.job, "[]"), 5)?; Ok(()) }),
    ("seen", "has ended or is not there", |r, i| { r.seen.insert((NOBODY, i.schema, "", 0), [0; 16].as_slice())?; Ok(()) }),
    ("seen", "cannot be read", |r, i| { r.seen.insert((i.job, i.schema, "", 0), [0; 15].as_slice())?; Ok(()) }),
    ("doubts", "has ended or is not there", |r, i| { r.doubts.insert((NOBODY, i.schema, ""), "")?; Ok(()) }),
    ("unproven", "has ended or is not there", |r, i| { r.unproven.insert((NOBODY, i.schema), ())?; Ok(()) }),
    ("moved", "has ended or is not there", |r, i| { r.moved.insert((NOBODY, i.schema), NO_ROW)?; Ok(()) }),
    ("moved", "cannot be read", |r, i| { r.moved.insert((i.job, i.schema), NO_ROW)?; Ok(()) }),
    ("recreated", "has ended or is not there", |r, i| { r.recreated.insert((NOBODY, "x"), i.schema)?; Ok(()) }),
    ("partitions", "has ended or is not there", |r, _| { r.partitions.insert((NOBODY, "x"), ())?; Ok(()) }),
    ("second_looks", "has ended or is not there", |r, i| { r.second_looks.insert((NOBODY, i.schema, ""), 1)?; Ok(()) }),
    ("absent", "has ended or is not there", |r, i| { r.absent.insert((NOBODY, i.schema), NO_ROW)?; Ok(()) }),
    ("absent", "cannot be read", |r, i| { r.absent.insert((i.job, i.schema), NO_ROW)?; Ok(()) }),
    ("verdicts", "has ended or is not there", |r, i| { r.verdicts.insert((NOBODY, i.schema), NO_ROW)?; Ok(()) }),
    ("verdicts", "cannot be read", |r, i| { r.verdicts.insert((i.job, i.schema), NO_ROW)?; Ok(()) }),
    ("job_held", "the job is not there", |r, _| { r.job_held.insert(NOBODY, 1)?; Ok(()) }),
    ("trusted", "never listed", |r, _| { r.trusted.insert((NOBODY, ""), "x")?; Ok(()) }),
    ("hold_rules", "the connection is not there", |r, _| { r.hold_rules.insert(NOBODY, NO_ROW)?; Ok(()) }),
    ("hold_rules", "cannot be read", |r, i| { r.hold_rules.insert(i.connection, [255; 1].as_slice())?; Ok(()) }),
    ("holds", "cannot be read", |r, _| { let hold = hold(r)?; r.holds.insert(hold, NO_ROW)?; Ok(()) }),
    ("holds", "not those of what it holds", |r, _| change_hold(r, |row| { row.counts.insert("table".into(), 9); })),
    ("holds", "the job that judged it", |r, _| change_hold(r, |row| row.job = NOBODY)),
    ("holds", "by its connection and its job", |r, i| { let hold = hold(r)?; r.connection_holds.remove((i.connection, hold))?; Ok(()) }),
    ("scope_holds", "until it is decided", |r, _| change_hold(r, |row| row.scope = NOBODY)),
    ("scope_holds", "not there, or of another", |r, _| { r.scope_holds.insert(NOBODY, NOBODY)?; Ok(()) }),
    ("connection_holds", "not there, or of another", |r, i| { r.connection_holds.insert((i.connection, NOBODY), ())?; Ok(()) }),
    ("job_holds", "not there, or of another", |r, i| { r.job_holds.insert((i.job, NOBODY), ())?; Ok(()) }),
    ("decided_holds", "the hold is not there", |r, _| { r.decided.insert(NOBODY, NO_ROW)?; Ok(()) }),
    ("held", "not found by its object", |r, _| {
        let object = r.held_objects.iter()?.next().expect("held")?.0.value();
        r.held_objects.remove(object)?;
        Ok(())
    }),
    ("held", "the hold is not there", |r, i| { r.held.insert((NOBODY, i.table), NO_ROW)?; Ok(()) }),
    ("held", "not there, or has a mark", |r, _| {
        let object = r.held_objects.iter()?.next().expect("held")?.0.value();
        change_object(r, object, |row| row.mark = 1)
    }),
    ("held", "cannot be read", |r, _| {
        let key = r.held.iter()?.next().expect("held")?.0.value();
        r.held.insert(key, NO_ROW)?;
        Ok(())
    }),
    ("held_objects", "does not have it", |r, i| { r.held_objects.insert(i.table, NOBODY)?; Ok(()) }),
    ("drafts", "the job is not there", |r, _| { r.drafts.insert((NOBODY, 0, [1].as_slice()), None)?; Ok(()) }),
    ("dry_runs", "the job is not there", |r, _| { r.dry_runs.insert(NOBODY, 0)?; Ok(()) }),
    ("dry_runs", "other changes than it has found", |r, i| { r.dry_runs.insert(i.job, 3)?; Ok(()) }),
    ("dry_holds", "the job is not there", |r, _| { r.dry_holds.insert(NOBODY, NO_ROW)?; Ok(()) }),
    ("dry_holds", "cannot be read", |r, i| { r.dry_holds.insert(i.job, [255; 1].as_slice())?; Ok(()) }),
    ("dry_changes", "cannot be read", |r, i| { r.dry_changes.insert((i.job, 0), NO_ROW)?; Ok(()) }),
    ("dry_changes", "have a gap", |r, i| {
        let row = super::super::dry::DryChangesRow { at: 1, changes: Vec::new(), details: Default::default(), held: false };
        r.dry_changes.insert((i.job, 7), encode(&row)?.as_slice())?;
        Ok(())
    }),
    ("dry_changes", "the job is no dry run", |r, i| {
        let row = super::super::dry::DryChangesRow { at: 1, changes: Vec::new(), details: Default::default(), held: false };
        r.dry_changes.insert((i.job, 0), encode(&row)?.as_slice())?;
        Ok(())
    }),
    ("reclaim", "the object is not there", |r, _| { r.reclaim.insert(NOBODY, ())?; Ok(()) }),
    ("principals", "cannot be read", |r, _| {
        let id = r.principals.iter()?.next().expect("person")?.0.value();
        r.principals.insert(id, NO_ROW)?;
        Ok(())
    }),
    ("principals", "nobody is found by the key", |r, _| { r.principal_keys.remove(&[7; 32])?; Ok(()) }),
    ("principals", "somebody else's", |r, _| {
        let person = r.principals.iter()?.next().expect("person")?;
        let (id, mut row) = (person.0.value(), decode::<PrincipalRow>(person.1.value())?);
        drop(person);
        row.principal.id = PrincipalId::generate();
        r.principals.insert(id, encode(&row)?.as_slice())?;
        Ok(())
    }),
    ("principal_keys", "nobody has this key", |r, _| { r.principal_keys.insert(&[9; 32], NOBODY)?; Ok(()) }),
    ("sessions", "a session of nobody", |r, _| { r.sessions.insert(&[9; 32], (NOBODY, 1))?; Ok(()) }),
];

fn temporary() -> PathBuf {
    std::env::temp_dir().join(format!("wharfinger-damage-{}.redb", uuid::Uuid::now_v7()))
}

fn copy(of: &Path) -> TempFile {
    let path = temporary();
    std::fs::copy(of, &path).expect("copied");
    TempFile(path)
}

#[tokio::test]
async fn every_kind_of_damage_is_named() {
    let World { db, file, .. } = rich().await;
    // Dropped without a word, as by a kill.
    drop(db);
    assert_eq!(verify_file(&file.0, |_, _| true, |_| true).expect("readable"), [], "nothing is wrong before");
    for (n, (table, message, damage)) in DAMAGES.iter().enumerate() {
        let copy = copy(&file.0);
        {
            let database = redb::Database::open(&copy.0).expect("open");
            let transaction = database.begin_write().expect("write");
            let mut rows = WriteRows::open(&transaction).expect("tables");
            let ids = ids(&rows).expect("ids");
            damage(&mut rows, &ids).unwrap_or_else(|fault| panic!("{n} {table}: {fault}"));
            drop(rows);
            transaction.commit().expect("commit");
        }
        let found = verify_file(&copy.0, |_, _| true, |_| true).unwrap_or_else(|error| panic!("{n} {table}: {error}"));
        let named = found.iter().any(|v| v.table == *table && v.message.contains(message) && !v.key.is_empty());
        assert!(named, "{n} {table}, {message}: {found:?}");
    }
    let closed = verify_file(&file.0, |_, _| false, |_| true).expect("readable");
    assert_eq!(closed.len(), 2, "{closed:?}");
    assert!(closed.iter().all(|v| v.table == "secrets" && v.message.contains("do not open")), "{closed:?}");
}

#[tokio::test]
async fn an_object_is_named_by_its_path() -> Result<(), DbError> {
    let world = rich().await;
    world
        .db
        .write("damage", |rows| -> Result<(), Stop<DbError>> {
            let ids = ids(rows)?;
            rows.counters.insert(ids.schema, (9, 9, 9, 9))?;
            Ok(())
        })
        .await?;
    let found = world.db.verify().await?;
    assert!(found.iter().any(|v| v.table == "counters" && v.key.ends_with("at K.c.s")), "{found:?}");
    Ok(())
}

#[tokio::test]
async fn a_damaged_file_gives_a_message_and_is_left_as_it_is() {
    let World { db, file, .. } = rich().await;
    drop(db);
    let whole = std::fs::read(&file.0).expect("read");
    let digest = |path: &Path| std::fs::read(path).expect("read") == whole;
    assert_eq!(verify_file(&file.0, |_, _| true, |_| true).expect("readable"), []);
    assert!(digest(&file.0), "a check writes nothing");

    let mut told = 0;
    for cut in [0, 1, 100, 4096, 10_000, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        let copy = copy(&file.0);
        OpenOptions::new().write(true).open(&copy.0).expect("open").set_len(cut as u64).expect("cut");
        assert!(verify_file(&copy.0, |_, _| true, |_| true).is_err(), "cut to {cut} of {}", whole.len());
    }
    // Every page once; what is free may be damaged without harm.
    for page in (0..whole.len()).step_by(4096) {
        let copy = copy(&file.0);
        let mut open = OpenOptions::new().read(true).write(true).open(&copy.0).expect("open");
        let mut bytes = [0; 64];
        open.seek(SeekFrom::Start(page as u64)).expect("seek");
        open.read_exact(&mut bytes).expect("read");
        bytes.iter_mut().for_each(|byte| *byte ^= 0x5a);
        open.seek(SeekFrom::Start(page as u64)).expect("seek");
        open.write_all(&bytes).expect("write");
        drop(open);
        match verify_file(&copy.0, |_, _| true, |_| true) {
            Ok(found) if found.is_empty() => {}
            Ok(_) => told += 1,
            Err(error) => {
                assert!(matches!(error, FileError::Damaged(_)), "{error}");
                told += 1;
            }
        }
    }
    assert!(told > 10, "{told} of {} pages", whole.len() / 4096);

    for (content, part) in [(vec![0; 8192], "damaged"), (b"this is no store, but a text\n".repeat(400), "damaged")] {
        let file = TempFile(temporary());
        std::fs::write(&file.0, content).expect("written");
        let error = verify_file(&file.0, |_, _| true, |_| true).expect_err("no store");
        assert!(error.to_string().contains(part), "{error}");
    }
    let error = verify_file(&temporary(), |_, _| true, |_| true).expect_err("not there");
    assert!(matches!(error, FileError::Unreadable(..)));
    let older = copy(&file.0);
    {
        let database = redb::Database::open(&older.0).expect("open");
        let transaction = database.begin_write().expect("write");
        WriteRows::open(&transaction).expect("tables").meta.insert("schema", 1).expect("schema");
        transaction.delete_table(redb::TableDefinition::<u128, &[u8]>::new("connections/2")).expect("delete");
        transaction.commit().expect("commit");
    }
    let error = verify_file(&older.0, |_, _| true, |_| true).expect_err("older");
    assert!(matches!(error, FileError::Layout { found: 1, .. }), "{error}");
    let newer = copy(&file.0);
    {
        let database = redb::Database::open(&newer.0).expect("open");
        let transaction = database.begin_write().expect("write");
        WriteRows::open(&transaction).expect("tables").meta.insert("schema", 900).expect("schema");
        transaction.commit().expect("commit");
    }
    let error = verify_file(&newer.0, |_, _| true, |_| true).expect_err("newer");
    assert!(matches!(error, FileError::Layout { found: 900, .. }), "{error}");
}

#[tokio::test]
async fn a_store_is_checked_while_it_is_written() {
    let mut world = rich().await;
    let db = world.db.clone();
    let checks = async {
        for _ in 0..20 {
            assert_eq!(db.verify().await.expect("verify"), []);
        }
    };
    let writes = async {
        world.platform.add("c/s/new", "id:int");
        world.run().await;
    };
    tokio::join!(checks, writes);
}
