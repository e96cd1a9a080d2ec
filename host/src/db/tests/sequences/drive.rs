//! Lets the store and the model go through the same sequence, and compares after each step.

mod compare;
mod host;
mod remote;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use jiff::Timestamp;

use super::{
    super::{
        super::{Db, ObjectRef, jobs::Cancelled, settings::Mode},
        TempFile, later, new_connection,
        platform::Platform,
        update_of,
    },
    model::{Id, Model, ROOT, names, pages::Sync},
    steps::{Plan, Random, Setup, Step},
};
use crate::db::connections::{ConnectionUpdate, NewConnection};
use crate::model::{
    connection::{Connection, ConnectionOptions},
    filter::Filter,
    hold::{Decision, HoldRule, Share},
    id::{JobId, ObjectId},
    job::{Claim, Task},
    settings::SettingsChange,
    sight::Sight,
};

/// Why a sequence failed.
pub(super) type Failure = String;

/// A claimed job and what is left of it.
struct Running {
    claim: Claim,
    tasks: Vec<Task>,
    /// What the platform had, where the inventory has it, without a break since the job began.
    witnesses: BTreeSet<Id>,
}

/// The store and the model.
struct Drive {
    db: Db,
    file: TempFile,
    connection: Connection,
    setup: Setup,
    platform: Platform,
    model: Model,
    now: i64,
    running: BTreeMap<JobId, Running>,
    /// Tasks of the jobs that ran when the host was killed.
    left: BTreeMap<JobId, Vec<Task>>,
    /// Claims that are void, with a task of their job.
    void: Vec<(Claim, u64)>,
    /// Which object of the store each one of the model is.
    ids: BTreeMap<Id, ObjectId>,
    /// Whether the connector answers everything.
    is_quiet: bool,
    /// Whether an id of the platform was ever given to two things.
    had_same_ids: bool,
}

fn said<E: Debug>(what: &str) -> impl Fn(E) -> Failure {
    move |error| format!("{what}: {error:?}")
}

fn ensure(holds: bool, why: impl FnOnce() -> Failure) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(why()) }
}

/// Goes through a sequence, and says where the store and the model do not agree.
pub(super) async fn run(plan: &Plan) -> Result<(), Failure> {
    let mut drive = Drive::new(plan.setup.clone()).await?;
    for (n, step) in plan.steps.iter().enumerate() {
        let done = match drive.step(step).await {
            Ok(()) => drive.compare(matches!(step, Step::Settle(_))).await,
            Err(why) => Err(why),
        };
        drive = match done {
            Ok(()) if matches!(step, Step::Crash) => drive.crash()?,
            Ok(()) => drive,
            Err(why) => return Err(format!("after step {n}, {step:?}: {why}")),
        };
    }
    drive.settle(1).await.map_err(|why| format!("at the end: {why}"))?;
    drive.compare(true).await.map_err(|why| format!("at the end: {why}"))?;
    drive.read_everything().await.map_err(|why| format!("when all was read at the end: {why}"))
}

impl Drive {
    async fn new(setup: Setup) -> Result<Self, Failure> {
        // In memory, where there is such a place: what is tried here is the order of things, not the disk.
        let memory = std::path::Path::new("/dev/shm");
        let dir = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let file = TempFile(dir.join(format!("wharfinger-sequence-{}.redb", uuid::Uuid::now_v7())));
        let db = Db::open(&file.0).map_err(said("open"))?;
        let share = Share::try_from(setup.hold.share as f64 / 100.0).map_err(said("share"))?;
        let hold = HoldRule { share, minimum: setup.hold.minimum, confirm_after: None };
        let options = ConnectionOptions { hold, ..ConnectionOptions::default() };
        let new = NewConnection { settings: setup.settings, options, ..new_connection("K") };
        let (connection, job) = db.create_connection(new, later(0)).await.map_err(said("create"))?;
        let mut platform = Platform::default();
        platform.remote_ids_unique = setup.remote_ids_unique;
        let mut model = Model::new(setup.remote_ids_unique, setup.settings, setup.hold);
        model.jobs.insert(job.id, Sync::new(ROOT, false));
        let ids = BTreeMap::from([(ROOT, job.object)]);
        let mut drive = Self {
            db,
            file,
            connection,
            platform,
            model,
            now: 0,
            running: BTreeMap::new(),
            left: BTreeMap::new(),
            void: Vec::new(),
            ids,
            is_quiet: false,
            had_same_ids: false,
            setup,
        };
        for (table, columns) in drive.setup.tables.clone() {
            drive.add(&table, &columns);
        }
        Ok(drive)
    }

    fn now(&mut self) -> Timestamp {
        self.now += 1;
        later(self.now)
    }

    /// As after a kill.
    fn crash(mut self) -> Result<Self, Failure> {
        for (id, running) in &self.running {
            let mut tasks = running.tasks.clone();
            tasks.sort_by_key(|task| task.number);
            self.left.insert(*id, tasks);
        }
        self.lose_claims();
        let Self { db, file, .. } = self;
        drop(db);
        let db = Db::open(&file.0).map_err(said("open again"))?;
        Ok(Self { db, file, ..self })
    }

    fn lose_claims(&mut self) {
        for (_, running) in std::mem::take(&mut self.running) {
            self.void.push((running.claim, running.tasks.first().map_or(0, |task| task.number)));
        }
    }

    /// An object by its names below the connection.
    fn object(path: &str) -> ObjectRef {
        let text = if path.is_empty() { "K".to_owned() } else { format!("K/{path}") };
        ObjectRef::Path(super::super::path(&text), String::new())
    }

    async fn step(&mut self, step: &Step) -> Result<(), Failure> {
        match step {
            Step::Sync(path, force) => self.ask(path, *force).await?,
            Step::Set(path, change) => self.set(path, *change).await?,
            Step::Delete(path) => self.delete(path).await?,
            Step::Patterns(include, exclude) => self.patterns(include, exclude).await?,
            Step::Decide(n, releases) => {
                let decision = if *releases { Decision::Release } else { Decision::Reject };
                self.decide(*n, decision).await?;
            }
            Step::Cancel(n) => self.cancel(*n).await?,
            Step::Work(steps, salt) => {
                let mut random = Random(*salt);
                for _ in 0..*steps {
                    self.work(&mut random).await?;
                }
            }
            Step::Settle(salt) => self.settle(*salt).await?,
            Step::Crash => {}
            Step::Reclaim(limit) => {
                self.db.reclaim(*limit).await.map_err(said("reclaim"))?;
            }
            step => self.mutate(step),
        }
        Ok(())
    }

    fn expect_job(&mut self, object: Id, force: bool, job: JobId) -> Result<(), Failure> {
        let joins = self.model.joins(object, force);
        if joins.is_empty() {
            ensure(!self.model.jobs.contains_key(&job), || "a sync joined a job that does not cover it".into())?;
            self.model.jobs.insert(job, Sync::new(object, force));
            Ok(())
        } else {
            ensure(joins.contains(&job), || "a sync did not join the job that covers it".into())
        }
    }

    async fn ask(&mut self, path: &str, force: bool) -> Result<(), Failure> {
        let now = self.now();
        let job = self.db.enqueue_sync(&Sight::All, &Self::object(path), force, now).await.map_err(said("enqueue"))?;
        match (self.model.at(path), job) {
            (None, None) => Ok(()),
            (Some(object), Some(job)) => self.expect_job(object, force, job.id),
            (object, job) => Err(format!("a sync of {path:?}: the model has {object:?}, the store {job:?}")),
        }
    }

    async fn set(&mut self, path: &str, change: SettingsChange) -> Result<(), Failure> {
        let object = Self::object(path);
        let Some(id) = self.model.at(path) else { return Ok(()) };
        let now = self.now();
        let tried = self.db.change_settings(&Sight::All, &object, change, None, Mode::DryRun, now).await;
        let tried = tried.map_err(said("try settings"))?;
        self.compare(false).await.map_err(|why| format!("a dry run changed something: {why}"))?;
        let enabled = |model: &Model| -> BTreeSet<Id> {
            let all = model.below(id).into_iter().chain([id]);
            all.filter(|id| model.is_active(*id)).collect()
        };
        let before = enabled(&self.model);
        let reach = self.model.reach(id);
        self.model.set(id, change);
        let reach = if change.is_active.is_some() { reach } else { (0, reach.1) };
        let done = self.db.change_settings(&Sight::All, &object, change, None, Mode::Apply, now).await;
        let done = done.map_err(said("change settings"))?;
        for (outcome, mode) in [(&tried, "dry run"), (&done, "change")] {
            let counts = (outcome.affected, outcome.overridden);
            ensure(counts == reach, || format!("the {mode} told {counts:?}, not {reach:?}"))?;
            ensure(outcome.object.active == self.model.is_active(id), || format!("the {mode} told another status"))?;
        }
        match done.job {
            Some(job) => self.expect_job(id, false, job.id),
            // What became enabled may lack its columns.
            None => ensure(enabled(&self.model).is_subset(&before), || "nothing fetches what became enabled".into()),
        }
    }

    async fn delete(&mut self, path: &str) -> Result<(), Failure> {
        let now = self.now();
        let deleted = self.db.delete_object(&Sight::All, &Self::object(path), now).await.map_err(said("delete"))?;
        match (self.model.at(path), deleted) {
            (None, None) => Ok(()),
            (Some(id), Some(deleted)) => {
                let below = self.model.delete(id);
                ensure(deleted.child_count == below, || format!("{} deleted, not {below}", deleted.child_count))?;
                let gone: Vec<JobId> =
                    self.running.keys().filter(|id| !self.model.jobs.contains_key(*id)).copied().collect();
                for id in gone {
                    self.stop(id);
                }
                self.keep_witnesses();
                Ok(())
            }
            (id, deleted) => Err(format!("deleting {path:?}: the model has {id:?}, the store {deleted:?}")),
        }
    }

    fn stop(&mut self, id: JobId) {
        if let Some(running) = self.running.remove(&id) {
            self.void.push((running.claim, running.tasks.first().map_or(0, |task| task.number)));
        }
    }

    async fn patterns(&mut self, include: &[&str], exclude: &[&str]) -> Result<(), Failure> {
        let split = |all: &[&str]| -> Vec<Vec<String>> {
            all.iter().map(|pattern| pattern.split('.').map(str::to_owned).collect()).collect()
        };
        let (include, exclude) = (split(include), split(exclude));
        let filter = Self::filter_of(&include, &exclude);
        let update = ConnectionUpdate {
            secrets: None,
            options: ConnectionOptions { filter, ..self.connection.options.clone() },
            ..update_of(&self.connection)
        };
        let now = self.now();
        let updated = self.db.update_connection(self.connection.id, update, None, now).await;
        let (connection, job) = updated.map_err(said("update"))?;
        self.connection = connection;
        let things: Vec<String> = self.platform.things.keys().cloned().collect();
        let kept_out = |model: &Model| -> BTreeSet<String> {
            things.iter().filter(|name| model.leaves_out(&names(name))).cloned().collect()
        };
        let before = kept_out(&self.model);
        let differs = (&self.model.include, &self.model.exclude) != (&include, &exclude);
        self.model.filter(include, exclude, job.is_some());
        if differs {
            self.lose_claims();
            self.left.clear();
        }
        match job {
            Some(job) => self.expect_job(ROOT, false, job.id),
            None => ensure(before.is_subset(&kept_out(&self.model)), || "nothing fetches what is let in".into()),
        }
    }

    fn filter_of(include: &[Vec<String>], exclude: &[Vec<String>]) -> Filter {
        let patterns = |all: &[Vec<String>]| all.iter().map(|p| p.join(".").parse().expect("pattern")).collect();
        Filter::new(patterns(include), patterns(exclude)).expect("filter")
    }

    /// Decides about the nth hold, if there is one. Whether there was.
    async fn decide(&mut self, n: usize, decision: Decision) -> Result<bool, Failure> {
        let holds = self.db.holds(&Sight::All, None).await.map_err(said("holds"))?.unwrap_or_default();
        let Some(hold) = (!holds.is_empty()).then(|| &holds[n % holds.len()]) else { return Ok(false) };
        let now = self.now();
        let decided = self.db.decide_hold(&Sight::All, hold.id, Some(hold.revision), decision, now).await;
        // While the sync that judges it has not ended, more may come to be held than was seen.
        let is_under_way = self.model.jobs.contains_key(&hold.job);
        if is_under_way && decided.is_err() {
            return Ok(false);
        }
        decided.map_err(said("decide"))?;
        while self.db.carry_out_decisions(2).await.map_err(said("carry out"))? {}
        let scope = self.ids.iter().find(|(_, id)| **id == hold.scope).map(|(id, _)| *id);
        self.model.decide(scope.ok_or("a hold of an object that nobody knows")?, decision);
        Ok(true)
    }

    async fn cancel(&mut self, n: usize) -> Result<(), Failure> {
        let jobs: Vec<JobId> = self.model.jobs.keys().copied().collect();
        if jobs.is_empty() {
            return Ok(());
        }
        let id = jobs[n % jobs.len()];
        let now = self.now();
        let cancelled = self.db.cancel_job(&Sight::All, id, now).await.map_err(said("cancel"))?;
        ensure(matches!(cancelled, Some(Cancelled::Now(_))), || format!("not cancelled: {cancelled:?}"))?;
        self.model.jobs.remove(&id);
        self.stop(id);
        Ok(())
    }
}
