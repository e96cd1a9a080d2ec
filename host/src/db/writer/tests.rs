//! Who goes first, what shares a commit, and that nobody suffers from others in it. The disk is watched: a flush is a commit.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use redb::{Builder, StorageBackend, backends::InMemoryBackend};
use tokio::task::{JoinSet, yield_now};

use super::{
    super::{
        Db, DbError,
        fault::{Fault, Stop},
        tables::WriteRows,
    },
    GROUP, PATIENCE, WAITING,
};

/// A disk that counts flushes, and can be slow or broken.
#[derive(Clone, Debug, Default)]
struct Disk {
    flushes: Arc<AtomicUsize>,
    stuck: Arc<AtomicBool>,
    broken: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Watched(InMemoryBackend, Disk);

impl StorageBackend for Watched {
    fn len(&self) -> Result<u64, io::Error> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        if self.1.broken.load(SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        while self.1.stuck.load(SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
        self.1.flushes.fetch_add(1, SeqCst);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.0.write(offset, data)
    }
}

/// A store whose disk is watched, and the operations that were asked of it.
struct World {
    db: Db,
    disk: Disk,
    asked: JoinSet<Result<&'static str, DbError>>,
    /// Names of operations, in the order in which they were run.
    run: Arc<Mutex<Vec<&'static str>>>,
    hold: Option<mpsc::Sender<()>>,
}

type Work = fn(&mut WriteRows<'_>) -> Result<(), Stop<DbError>>;

fn nothing(_: &mut WriteRows<'_>) -> Result<(), Stop<DbError>> {
    Ok(())
}

impl World {
    fn new() -> Self {
        Self::grouping(GROUP)
    }

    /// With groups so long that no pause of the machine ends one.
    fn patient() -> Self {
        Self::grouping(Duration::from_secs(60))
    }

    fn grouping(group: Duration) -> Self {
        let disk = Disk::default();
        let backend = Watched(InMemoryBackend::new(), disk.clone());
        let database = Builder::new().create_with_backend(backend).expect("create");
        let db = Db::start_grouping(database, group).expect("start");
        Self { db, disk, asked: JoinSet::new(), run: Arc::default(), hold: None }
    }

    /// Keeps the writer busy until [`Self::go`], so that what is asked meanwhile waits.
    async fn hold(&mut self) {
        let (hold, held) = mpsc::channel();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        self.hold = Some(hold);
        let db = self.db.clone();
        self.asked.spawn(async move {
            db.write("hold", move |_| {
                let _ = begun.send(());
                let _ = held.recv();
                Ok("hold")
            })
            .await
        });
        has_begun.await.expect("begun");
    }

    /// Asks for work of a job that notes its name in a row and then does something.
    fn job(&mut self, name: &'static str, then: Work) {
        let (db, run) = (self.db.clone(), Arc::clone(&self.run));
        self.asked.spawn(async move {
            db.work("job", move |rows| {
                run.lock().expect("lock").push(name);
                rows.meta.insert(name, 1)?;
                then(rows).map(|()| name)
            })
            .await
        });
    }

    fn person(&mut self, name: &'static str) {
        let (db, run) = (self.db.clone(), Arc::clone(&self.run));
        self.asked.spawn(async move {
            db.write("person", move |rows| {
                run.lock().expect("lock").push(name);
                rows.meta.insert(name, 1)?;
                Ok(name)
            })
            .await
        });
    }

    /// Waits until so many operations wait.
    async fn wait_for(&self, people: usize, jobs: usize) {
        let writer = &self.db.shared.writer;
        let waiting = || (WAITING.0 - writer.people.capacity(), WAITING.1 - writer.jobs.capacity());
        while waiting() != (people, jobs) {
            yield_now().await;
        }
    }

    /// Lets the writer go on, and waits for all that was asked. Who got an answer that is no error, and flushes it took.
    async fn go(&mut self) -> (Vec<&'static str>, usize) {
        let before = self.disk.flushes.load(SeqCst);
        drop(self.hold.take());
        let mut done = Vec::new();
        while let Some(answer) = self.asked.join_next().await {
            done.extend(answer.expect("task").ok());
        }
        done.retain(|name| *name != "hold");
        done.sort_unstable();
        (done, self.disk.flushes.load(SeqCst) - before)
    }

    fn run(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.run.lock().expect("lock"))
    }

    async fn kept(&self, name: &'static str) -> bool {
        self.db.read("look", move |rows| Ok::<_, Stop<DbError>>(rows.meta.get(name)?.is_some())).await.expect("read")
    }
}

/// Flushes of one commit.
async fn of_one(world: &mut World) -> usize {
    world.job("one", nothing);
    world.go().await.1
}

#[tokio::test]
async fn people_go_before_the_work_of_jobs() {
    let mut world = World::new();
    world.hold().await;
    for name in ["a", "b", "c"] {
        world.job(name, nothing);
    }
    world.wait_for(0, 3).await;
    world.person("x");
    world.wait_for(1, 3).await;
    world.person("y");
    world.wait_for(2, 3).await;
    world.go().await;
    assert_eq!(world.run(), ["x", "y", "a", "b", "c"]);
}

#[tokio::test]
async fn who_asks_during_a_group_need_not_wait_for_its_end() {
    let mut world = World::patient();
    let (enter, entered) = mpsc::channel::<()>();
    let (leave, left) = mpsc::channel::<()>();
    let (db, run) = (world.db.clone(), Arc::clone(&world.run));
    let left = Arc::new(Mutex::new(left));
    world.asked.spawn(async move {
        db.work("first", move |_| {
            run.lock().expect("lock").push("first");
            let _ = enter.send(());
            let _ = left.lock().expect("lock").recv();
            Ok("first")
        })
        .await
    });
    while entered.try_recv().is_err() {
        yield_now().await;
    }
    world.job("second", nothing);
    world.wait_for(0, 1).await;
    world.person("x");
    world.wait_for(1, 1).await;
    drop(leave);
    assert_eq!(world.go().await.0, ["first", "second", "x"]);
    assert_eq!(world.run(), ["first", "x", "second"]);
}

#[tokio::test]
async fn work_that_waits_shares_a_commit() {
    let mut world = World::patient();
    let one = of_one(&mut world).await;
    world.hold().await;
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        world.job(name, nothing);
    }
    world.wait_for(0, 8).await;
    let (done, flushes) = world.go().await;
    assert_eq!(done.len(), 8);
    assert!(flushes < one * 5, "{flushes} flushes where a commit takes {one}");
}

#[tokio::test]
async fn a_group_lasts_about_20_ms() {
    let mut world = World::new();
    let one = of_one(&mut world).await;
    world.hold().await;
    for name in ["a", "b", "c", "d", "e", "f"] {
        world.job(name, |_| {
            thread::sleep(Duration::from_millis(12));
            Ok(())
        });
    }
    world.wait_for(0, 6).await;
    let (done, flushes) = world.go().await;
    assert_eq!(done.len(), 6);
    // One commit is that of who held the writer.
    assert!(flushes >= one * 4, "{flushes} flushes where a commit takes {one}");
}

#[tokio::test]
async fn a_member_that_is_refused_fails_or_panics_takes_no_other_with_it() {
    let mut world = World::patient();
    world.hold().await;
    world.job("a", nothing);
    world.wait_for(0, 1).await;
    let ways: [Work; 3] = [
        |_| Err(Stop::Refused(DbError { operation: "refused", source: "no".into() })),
        |_| Err(Stop::Fault(Fault::Broken("a test"))),
        |_| panic!("a test"),
    ];
    for (n, (name, way)) in ["refused", "faulty", "panics"].into_iter().zip(ways).enumerate() {
        world.job(name, way);
        world.wait_for(0, n + 2).await;
    }
    world.job("z", nothing);
    world.wait_for(0, 5).await;
    assert_eq!(world.go().await.0, ["a", "z"]);
    for (name, is_kept) in [("a", true), ("refused", false), ("faulty", false), ("panics", false), ("z", true)] {
        assert_eq!(world.kept(name).await, is_kept, "{name}");
    }
    let run = world.run();
    assert_eq!(run[..2], ["a", "refused"], "they were begun together");
    assert!(run.iter().filter(|name| **name == "a").count() == 2, "{run:?}");
    // And the writer goes on.
    world.person("x");
    assert_eq!(world.go().await.0, ["x"]);
}

#[tokio::test]
async fn a_person_who_is_refused_or_panics_leaves_nothing_behind() {
    let world = World::new();
    let refuse = |rows: &mut WriteRows<'_>| -> Result<(), Stop<DbError>> {
        rows.meta.insert("refused", 1)?;
        Err(Stop::Refused(DbError { operation: "refused", source: "no".into() }))
    };
    assert_eq!(world.db.write("test", refuse).await.expect_err("refused").operation, "refused");
    let panic = |rows: &mut WriteRows<'_>| -> Result<(), Stop<DbError>> {
        rows.meta.insert("panicked", 1)?;
        panic!("a test")
    };
    assert_eq!(world.db.write("test", panic).await.expect_err("panicked").operation, "test");
    assert!(!world.kept("refused").await && !world.kept("panicked").await);
}

#[tokio::test]
async fn work_of_jobs_gets_its_turn_in_a_flood_of_people() {
    let mut world = World::new();
    world.hold().await;
    for n in 1..=PATIENCE * 3 {
        world.person("x");
        world.wait_for(n, 0).await;
    }
    world.job("job", nothing);
    world.wait_for(PATIENCE * 3, 1).await;
    world.go().await;
    // Who held the writer was one of them.
    assert_eq!(world.run().iter().position(|name| *name == "job"), Some(PATIENCE - 1));
}

#[tokio::test]
async fn more_than_can_wait_is_held_up_and_done_all_the_same() {
    let mut world = World::new();
    world.hold().await;
    for _ in 0..WAITING.1 + 20 {
        world.job("job", nothing);
    }
    world.wait_for(0, WAITING.1).await;
    assert_eq!(world.go().await.0.len(), WAITING.1 + 20);
}

#[tokio::test]
async fn nobody_is_answered_before_the_disk_has_it() {
    let mut world = World::new();
    world.disk.stuck.store(true, SeqCst);
    world.job("job", nothing);
    while world.run().is_empty() {
        yield_now().await;
    }
    let answer = tokio::time::timeout(Duration::from_millis(100), world.asked.join_next()).await;
    assert!(answer.is_err(), "answered without a flush");
    assert!(!world.kept("job").await, "and nobody reads it before");
    world.disk.stuck.store(false, SeqCst);
    assert_eq!(world.go().await.0, ["job"]);
    assert!(world.kept("job").await);
}

#[tokio::test]
async fn a_disk_that_fails_is_told_to_all_who_wait() {
    let mut world = World::new();
    world.hold().await;
    for name in ["a", "b", "c"] {
        world.job(name, nothing);
    }
    world.wait_for(0, 3).await;
    world.disk.broken.store(true, SeqCst);
    assert_eq!(world.go().await.0, [""; 0]);
}

#[tokio::test]
async fn a_closed_store_can_be_opened_again_at_once() {
    let file = std::env::temp_dir().join(format!("wharfinger-writer-{}.redb", uuid::Uuid::now_v7()));
    let threads = || std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    let before = threads();
    for n in 0..60_u128 {
        let db = Db::open(&file).expect("open");
        db.work("count", move |rows| Ok::<_, Stop<DbError>>(rows.meta.insert("n", n).map(|_| ())?))
            .await
            .expect("work");
        // Nobody waits for this one.
        let gone = db.clone();
        let asked = tokio::time::timeout(Duration::ZERO, gone.write("late", |_| Ok::<_, Stop<DbError>>(())));
        let _ = asked.await;
        drop(gone);
        if n % 2 == 0 {
            tokio::time::timeout(Duration::from_secs(10), db.close()).await.expect("closed");
        } else {
            db.write("last", |_| Ok::<_, Stop<DbError>>(())).await.expect("write");
            drop(db);
        }
    }
    // Other tests have threads of their own, and those of the last stores may still be ending.
    for _ in 0..300 {
        if threads() < before + 45 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(threads() < before + 45, "the writers have not ended: {before}, {}", threads());
    std::fs::remove_file(&file).expect("remove");
}
