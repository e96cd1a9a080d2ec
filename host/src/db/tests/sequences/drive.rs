//! Lets the store and the model go through the same sequence, and compares after each step.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use jiff::Timestamp;

use super::{
    super::{
        super::{
            Db, ObjectRef,
            feed::FeedQuery,
            jobs::{Cancelled, ClaimError, JobEnd},
            objects::{Search, Sort},
            settings::Mode,
            sync::Advanced,
        },
        TempFile, later, new_connection,
        platform::{Platform, remote},
        update_of,
    },
    model::{Id, Mark, Model, ROOT, names, pages::*},
    steps::{Plan, Random, Setup, Step, columns},
};
use crate::db::connections::{ConnectionUpdate, NewConnection};
use crate::model::{
    change::ChangeKind,
    connection::{Connection, ConnectionOptions},
    filter::Filter,
    id::{JobId, ObjectId},
    job::{Claim, JobState, Task, Work},
    object::{ObjectView, RemoteStatus},
    page::{Cursor, Listing, ObjectError, Page, Presence},
    settings::{Origin, SettingsChange},
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

/// Goes through a sequence. The number of steps of which the store and the model agreed, or why they do not.
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
        let new = NewConnection { settings: setup.settings, ..new_connection("K") };
        let (connection, job) = db.create_connection(new, later(0)).await.map_err(said("create"))?;
        let mut platform = Platform::default();
        platform.remote_ids_unique = setup.remote_ids_unique;
        let mut model = Model::new(setup.remote_ids_unique, setup.settings);
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

    fn sees(&self, path: &str) -> ObjectRef {
        let text = if path.is_empty() { "K".to_owned() } else { format!("K/{path}") };
        ObjectRef::Path(super::super::path(&text), String::new())
    }

    async fn step(&mut self, step: &Step) -> Result<(), Failure> {
        match step {
            Step::Sync(path, force) => self.ask(path, *force).await?,
            Step::Set(path, change) => self.set(path, *change).await?,
            Step::Delete(path) => self.delete(path).await?,
            Step::Patterns(include, exclude) => self.patterns(include, exclude).await?,
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

    // The platform.

    fn add(&mut self, table: &str, spec: &str) {
        let before: BTreeSet<String> = self.platform.things.keys().cloned().collect();
        self.platform.add(table, "");
        let (unique, fingerprints) = (self.setup.remote_ids_unique, self.setup.fingerprints);
        for (name, thing) in self.platform.things.iter_mut().filter(|(name, _)| !before.contains(*name)) {
            if !unique {
                // Ids that tell nothing apart.
                thing.remote_id = format!("r{}", name.len() % 3 + name.bytes().map(usize::from).sum::<usize>() % 4);
            }
        }
        self.platform.retype(table, "");
        let thing = self.platform.things.get_mut(table).expect("thing");
        thing.columns = columns(spec);
        if !fingerprints {
            thing.fingerprint = None;
        }
    }

    fn mutate(&mut self, step: &Step) {
        let has = |path: &String| self.platform.things.contains_key(path);
        let toggle = |set: &mut BTreeSet<String>, path: &String| {
            if !set.remove(path) {
                set.insert(path.clone());
            }
        };
        match step {
            Step::Add(table, spec) => self.add(table, spec),
            Step::Columns(table, spec) if has(table) => self.add(table, spec),
            Step::Comment(path, comment) if has(path) => {
                self.platform.things.get_mut(path).expect("thing").comment = comment.clone();
            }
            Step::Drop(path) => self.platform.drop_thing(path),
            Step::Remake(path) if has(path) => {
                let below = format!("{path}/");
                let is_it = |name: &String| name == path || name.starts_with(&below);
                let again: Vec<String> = self.platform.things.keys().filter(|name| is_it(name)).cloned().collect();
                self.platform.drop_thing(path);
                for name in again {
                    self.platform.add(&name, "");
                }
            }
            Step::Rename(from, to) if has(from) && !has(to) => self.rename(from, to),
            Step::Swap(one, other) if has(one) && has(other) && one != other => {
                self.platform.rename(one, "swap");
                self.platform.rename(other, one);
                self.platform.rename("swap", other);
            }
            Step::SameId(one, other) if has(one) && has(other) && one != other => {
                let stolen = self.platform.things[other].remote_id.clone();
                self.platform.things.get_mut(one).expect("thing").remote_id = stolen;
                self.had_same_ids = true;
            }
            Step::Hide(path) => toggle(&mut self.platform.hidden, path),
            Step::Fail(path) => toggle(&mut self.platform.failing, path),
            Step::LeaveOut(path) => {
                if self.platform.left_out.remove(path).is_none() {
                    self.platform.left_out.insert(path.clone(), "a share".into());
                }
            }
            _ => {}
        }
        self.keep_witnesses();
    }

    fn rename(&mut self, from: &str, to: &str) {
        let parent = to.rsplit_once('/').map(|(parent, _)| parent.to_owned());
        if parent.is_none_or(|parent| self.platform.things.contains_key(&parent)) {
            self.platform.rename(from, to);
        }
    }

    /// Whether the platform shows an object where the inventory has it, under the same id.
    fn is_witnessed(&self, id: Id) -> bool {
        let item = &self.model.items[&id];
        let path = self.model.path(id);
        let is_hidden = self.platform.hidden.contains(&path);
        let thing = self.platform.things.get(&path);
        !item.aside && !is_hidden && thing.is_some_and(|thing| Some(&thing.remote_id) == item.remote_id.as_ref())
    }

    fn keep_witnesses(&mut self) {
        let mut running = std::mem::take(&mut self.running);
        for job in running.values_mut() {
            job.witnesses.retain(|id| self.model.items.contains_key(id) && self.is_witnessed(*id));
        }
        self.running = running;
    }

    fn filter_of(include: &[Vec<String>], exclude: &[Vec<String>]) -> Filter {
        let patterns = |all: &[Vec<String>]| all.iter().map(|p| p.join(".").parse().expect("pattern")).collect();
        Filter::new(patterns(include), patterns(exclude)).expect("filter")
    }

    /// A page by names: what stands at a name from beginning to end is on one of them, whatever happens beside it.
    fn page(&self, scope: &str, want_columns: bool, cursor: Option<&Cursor>) -> Page {
        let is_asked = |name: &String| !self.setup.knows_patterns || !self.model.leaves_out(&names(name));
        let after = cursor.map_or("", |cursor| cursor.0.as_str());
        let mut children = self.platform.children(scope);
        children.retain(|name| is_asked(name) && name.as_str() > after);
        let hidden: Vec<String> =
            children.iter().filter(|name| self.platform.hidden.contains(*name)).cloned().collect();
        children.retain(|name| !self.platform.hidden.contains(name));
        let is_last = children.len() <= self.setup.page_size;
        children.truncate(self.setup.page_size);
        let objects: Vec<_> = children
            .iter()
            .map(|name| {
                let mut scanned = self.platform.scanned(name, want_columns);
                scanned.facts.attributes.clear();
                scanned
            })
            .collect();
        let partitions = objects.iter().filter(|object| object.excluded.is_none());
        let partitions = partitions.filter(|object| object.path.0.len() < 3);
        let partitions = partitions.map(|object| Platform::partition(&text(&object.path))).collect();
        let listed = Listing { path: remote(scope), namespace: String::new(), basis: "reader".into() };
        let error =
            |name: &String| ObjectError { path: remote(name), code: "permission-denied".into(), message: "no".into() };
        Page {
            partitions,
            listed: is_last.then_some(listed).into_iter().collect(),
            next: (!is_last).then(|| Cursor(children.last().cloned().unwrap_or_default())),
            errors: if is_last && self.setup.tells_hidden { hidden.iter().map(error).collect() } else { Vec::new() },
            objects,
            ..Page::default()
        }
    }

    // People.

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
        let job = self.db.enqueue_sync(&Sight::All, &self.sees(path), force, now).await.map_err(said("enqueue"))?;
        match (self.model.at(path), job) {
            (None, None) => Ok(()),
            (Some(object), Some(job)) => self.expect_job(object, force, job.id),
            (object, job) => Err(format!("a sync of {path:?}: the model has {object:?}, the store {job:?}")),
        }
    }

    async fn set(&mut self, path: &str, change: SettingsChange) -> Result<(), Failure> {
        let object = self.sees(path);
        let Some(id) = self.model.at(path) else { return Ok(()) };
        let lines = self.model.lines();
        let now = self.now();
        let tried = self.db.change_settings(&Sight::All, &object, change, None, Mode::DryRun, now).await;
        let tried = tried.map_err(said("try settings"))?;
        ensure(lines == self.model.lines(), || "unreachable".into())?;
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
        let deleted = self.db.delete_object(&Sight::All, &self.sees(path), now).await.map_err(said("delete"))?;
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

    // The host.

    /// Does all that waits.
    async fn settle(&mut self, salt: u64) -> Result<(), Failure> {
        let mut random = Random(salt);
        for _ in 0..5_000 {
            if !self.work(&mut random).await? {
                return ensure(self.model.jobs.is_empty(), || format!("jobs wait for ever: {:?}", self.model.jobs));
            }
        }
        Err("the jobs do not end".into())
    }

    /// One step of one of the jobs. Whether there was anything to do.
    async fn work(&mut self, random: &mut Random) -> Result<bool, Failure> {
        if random.one_in(16) {
            self.be_late(random).await?;
        }
        if (self.running.is_empty() || random.one_in(6)) && !self.claim().await? && self.running.is_empty() {
            return Ok(false);
        }
        let jobs: Vec<JobId> = self.running.keys().copied().collect();
        let id = random.pick(&jobs);
        let mut running = self.running.remove(&id).expect("job");
        if running.tasks.is_empty() {
            self.end(running).await?;
            return Ok(true);
        }
        let task = running.tasks.remove(random.below(running.tasks.len()));
        let mut sync = self.model.jobs.remove(&id).expect("job");
        let (advanced, follows) = self.advance(&mut sync, running.claim, &task, random).await?;
        self.model.jobs.insert(id, sync);
        for lost in &follows.missing {
            let path = self.model.path(*lost);
            ensure(!running.witnesses.contains(lost), || format!("{path} is missing and was there all the time"))?;
        }
        self.follow(&task, &advanced, &follows)?;
        running.tasks.extend(advanced.task);
        running.tasks.extend(advanced.added);
        self.running.insert(id, running);
        Ok(true)
    }

    /// A worker whose job is not its own any more writes nothing (D43).
    async fn be_late(&mut self, random: &mut Random) -> Result<(), Failure> {
        if self.void.is_empty() {
            return Ok(());
        }
        let (claim, task) = random.pick(&self.void);
        let now = self.now();
        let step = self.platform.step(claim, task, now);
        let page = self.page("", true, None);
        let refused = self.db.apply_page(step, page).await;
        ensure(matches!(refused, Err(ClaimError::Lost)), || format!("a void claim wrote: {refused:?}"))
    }

    async fn claim(&mut self) -> Result<bool, Failure> {
        let now = self.now();
        let Some(claimed) = self.db.claim_job(now).await.map_err(said("claim"))? else {
            let waits = self.running.is_empty() && !self.model.jobs.is_empty();
            return ensure(!waits, || "a job waits, and none is claimed".into()).map(|()| false);
        };
        let id = claimed.claim.job;
        let Some(sync) = self.model.jobs.get_mut(&id) else { return Err("a job that nobody knows".into()) };
        sync.has_begun = true;
        if let Some(left) = self.left.remove(&id) {
            ensure(left == claimed.tasks, || format!("left were {left:?}, and claimed are {:?}", claimed.tasks))?;
        }
        let object = sync.object;
        let scope = self.model.scope(object);
        ensure(text(&claimed.scope) == scope, || format!("claimed for {:?}, not {scope:?}", claimed.scope))?;
        for other in self.running.keys() {
            let other = self.model.jobs[other].object;
            let overlap = self.model.chain(other).contains(&object) || self.model.chain(object).contains(&other);
            ensure(!overlap, || "two syncs of one subtree run".into())?;
        }
        let all: Vec<Id> = self.model.items.keys().copied().collect();
        let witnesses = all.into_iter().filter(|id| *id != ROOT && self.is_witnessed(*id)).collect();
        self.running.insert(id, Running { claim: claimed.claim, tasks: claimed.tasks, witnesses });
        Ok(true)
    }

    async fn end(&mut self, running: Running) -> Result<(), Failure> {
        let now = self.now();
        let job = self.db.end_job(running.claim, JobEnd::Completed, now).await.map_err(said("end"))?;
        let sync = self.model.jobs.remove(&job.id).expect("job");
        let sum = |counts: &BTreeMap<String, u64>| counts.values().sum();
        let counts = Counts {
            added: sum(&job.counts.added),
            changed: sum(&job.counts.changed),
            missing: sum(&job.counts.missing),
            returned: sum(&job.counts.returned),
            columns_added: job.counts.columns_added,
            columns_changed: job.counts.columns_changed,
            columns_deleted: job.counts.columns_deleted,
        };
        ensure(job.state == JobState::Completed, || format!("ended as {:?}", job.state))?;
        ensure(counts == sync.counts, || format!("a job counted {counts:?}, not {:?}", sync.counts))
    }

    /// One call of the connector, and what follows from it, in the store and in the model.
    async fn advance(
        &mut self,
        sync: &mut Sync,
        claim: Claim,
        task: &Task,
        random: &mut Random,
    ) -> Result<(Advanced, Follows), Failure> {
        let now = self.now();
        let step = self.platform.step(claim, task.number, now);
        let mut follows = Follows::default();
        let advanced = match &task.work {
            Work::Plan { scope } => {
                let partitions = vec![Platform::partition(&text(scope))];
                follows = self.model.plan(sync, &partitions);
                self.db.apply_plan(step, partitions).await
            }
            Work::Read { partition, want_columns, second_look } => {
                let scope = text(&partition.scope);
                let page = self.page(&scope, *want_columns, task.cursor.as_ref());
                if task.cursor.is_some() && random.one_in(12) {
                    // The platform has forgotten the cursor.
                    self.db.defer_task(step, std::time::Duration::ZERO, true).await
                } else if self.platform.failing.contains(&scope) && page.next.is_none() {
                    self.model.failed(sync, &partition.scope, true);
                    self.db.fail_task(step, unavailable(&partition.scope)).await
                } else {
                    let begins = (task.number, task.cursor.is_none());
                    follows = self.model.page(sync, begins, &partition.scope, &page, *second_look);
                    self.db.apply_page(step, page).await
                }
            }
            Work::Columns { scope, names, .. } => {
                let names: Vec<String> = names.iter().map(|name| format!("{}/{name}", text(scope))).collect();
                let known: Vec<&String> =
                    names.iter().filter(|name| self.platform.things.contains_key(*name)).collect();
                let scanned = |name: &&String| {
                    let mut scanned = self.platform.scanned(name, true);
                    scanned.facts.attributes.clear();
                    scanned
                };
                let objects = known.iter().take(2).map(|name| scanned(name)).collect();
                let next = (known.len() > 2).then(|| Cursor("more".into()));
                let page = Page { objects, next, ..Page::default() };
                follows = self.model.columns(sync, scope, &page);
                self.db.apply_columns(step, page).await
            }
            Work::Confirm { scope, .. } if !self.is_quiet && random.one_in(10) => {
                self.model.failed(sync, scope, false);
                self.db.fail_task(step, unavailable(scope)).await
            }
            Work::Confirm { scope, names, by_name: true, .. } if self.setup.confirms => {
                let path = |name: &String| format!("{}/{name}", text(scope)).trim_start_matches('/').to_owned();
                let answers: Vec<Presence> = names
                    .iter()
                    .map(|name| match random.below(8) {
                        0 if !self.is_quiet => Presence::Unknown,
                        _ if self.platform.things.contains_key(&path(name)) => Presence::Present,
                        _ => Presence::Absent,
                    })
                    .collect();
                follows = self.model.presence(sync, scope, names, &answers);
                self.db.apply_presence(step, answers).await
            }
            Work::Confirm { scope, .. } => {
                if self.model.at(&text(scope)).is_some() {
                    follows.reads.insert(text(scope), Descent::Must);
                }
                self.db.apply_second_look(step, vec![Platform::partition(&text(scope))]).await
            }
        };
        Ok((advanced.map_err(said("step"))?, follows))
    }

    /// Compares the tasks that came up with those that had to.
    fn follow(&self, task: &Task, advanced: &Advanced, follows: &Follows) -> Result<(), Failure> {
        let mut reads = BTreeSet::new();
        let mut asked = BTreeSet::new();
        let mut doubted = Vec::new();
        for added in &advanced.added {
            match &added.work {
                Work::Read { partition, .. } => {
                    reads.insert(text(&partition.scope));
                }
                Work::Columns { scope, names, .. } => {
                    asked.extend(names.iter().map(|name| format!("{}/{name}", text(scope))));
                }
                Work::Confirm { names, .. } => doubted.extend(names.clone()),
                Work::Plan { .. } => return Err("a plan came up in the middle".into()),
            }
        }
        doubted.sort();
        let work = &task.work;
        for (scope, descent) in &follows.reads {
            let is_read = reads.contains(scope);
            let holds = match descent {
                Descent::Must => is_read,
                Descent::May => true,
                Descent::MustNot => !is_read,
            };
            ensure(holds, || format!("{scope:?} is read: {is_read}, where it {descent:?}; in {work:?}"))?;
        }
        let is_named = reads.iter().all(|scope| follows.reads.contains_key(scope));
        ensure(is_named, || format!("{reads:?} are read, of {:?}; in {work:?}", follows.reads))?;
        ensure(asked == follows.columns, || {
            format!("columns are asked of {asked:?}, not of {:?}; in {work:?}", follows.columns)
        })?;
        ensure(doubted == follows.doubted, || {
            format!("{doubted:?} are looked for again, not {:?}; in {work:?}", follows.doubted)
        })
    }

    // What can be seen.

    async fn views(&self) -> Result<Vec<ObjectView>, Failure> {
        let mut views = Vec::new();
        views.extend(self.db.object(&Sight::All, &self.sees("")).await.map_err(said("read"))?);
        let search = Search {
            root: Some(self.sees("")),
            recursive: true,
            sort: Sort::ObjectPath,
            size: 500,
            ..Search::default()
        };
        views.extend(self.db.search(&Sight::All, search).await.map_err(said("search"))?.hits);
        Ok(views)
    }

    /// Compares all that can be read with the model; `wholly` also columns, searches and the rules of the store itself.
    async fn compare(&mut self, wholly: bool) -> Result<(), Failure> {
        let views = self.views().await?;
        let mut shown: BTreeMap<String, ObjectId> = BTreeMap::new();
        for view in &views {
            shown.insert(line(view), view.id);
        }
        let expected = self.model.lines();
        for line in expected.keys().filter(|line| !shown.contains_key(*line)) {
            let path = line.split(' ').next().unwrap_or_default();
            let is_near = |other: &&String| other.split(' ').next() == Some(path) && !expected.contains_key(*other);
            let near: Vec<&String> = shown.keys().filter(is_near).collect();
            return Err(format!("expected\n    {line}\n  found\n    {near:?}"));
        }
        if let Some(line) = shown.keys().find(|line| !expected.contains_key(*line)) {
            return Err(format!("found what is not expected\n    {line}"));
        }
        for (line, id) in &expected {
            let is = shown[line];
            let was = *self.ids.entry(*id).or_insert(is);
            ensure(is == was, || format!("another object stands at\n    {line}"))?;
        }
        let distinct: BTreeSet<&ObjectId> = self.ids.values().collect();
        ensure(distinct.len() == self.ids.len(), || "an id is used twice, or again after its deletion".into())?;
        ensure(views.len() == self.model.items.len(), || "objects are shown twice".into())?;
        if wholly {
            self.compare_columns().await?;
            self.compare_searches().await?;
            self.compare_history().await?;
            let violations = self.db.verify().await.map_err(said("verify"))?;
            ensure(violations.is_empty(), || format!("{violations:?}"))?;
        }
        Ok(())
    }

    async fn compare_columns(&self) -> Result<(), Failure> {
        for (id, item) in self.model.items.iter().filter(|(id, _)| **id != ROOT) {
            let object = ObjectRef::Id(self.ids[id]);
            let columns = self.db.columns(&Sight::All, &object).await.map_err(said("columns"))?;
            ensure(columns == item.columns, || {
                format!("columns of {}: {columns:?}, not {:?}", self.model.path(*id), item.columns)
            })?;
        }
        Ok(())
    }

    async fn compare_searches(&self) -> Result<(), Failure> {
        let search = Search { root: Some(self.sees("")), recursive: true, size: 500, ..Search::default() };
        for active in [true, false] {
            let hits = self.db.search(&Sight::All, Search { active: Some(active), ..search.clone() }).await;
            let hits = hits.map_err(said("search"))?.hits.len();
            let is_hit = |id: &&Id| **id != ROOT && self.model.is_active(**id) == active;
            let expected = self.model.items.keys().filter(is_hit).count();
            ensure(hits == expected, || format!("{hits} objects with active {active}, not {expected}"))?;
        }
        for (mark, status) in [(Mark::Present, RemoteStatus::Present), (Mark::Missing, RemoteStatus::Missing)] {
            let hits = self.db.search(&Sight::All, Search { remote_status: Some(status), ..search.clone() }).await;
            let hits = hits.map_err(said("search"))?.hits.len();
            let is_hit = |id: &&Id| **id != ROOT && self.model.status(**id) == mark;
            let expected = self.model.items.keys().filter(is_hit).count();
            ensure(hits == expected, || format!("{hits} objects are {mark:?}, not {expected}"))?;
        }
        Ok(())
    }

    /// The feed tells how often what happened to which object, also to what is deleted since.
    async fn compare_history(&self) -> Result<(), Failure> {
        let mut told: BTreeMap<(ObjectId, &str), u64> = BTreeMap::new();
        let mut query = FeedQuery { size: 50, ..FeedQuery::default() };
        loop {
            let feed = self.db.changes(&Sight::All, &self.sees(""), query.clone()).await.map_err(said("changes"))?;
            for entry in &feed.entries {
                *told.entry((entry.object, ChangeKind::of(&entry.what).as_str())).or_default() += 1;
            }
            if !feed.more {
                break;
            }
            query.cursor = Some(feed.next);
        }
        let events = self.model.events.iter().map(|((id, what), times)| ((self.ids[id], *what), *times));
        let events: BTreeMap<(ObjectId, &str), u64> = events.collect();
        for (key, times) in &events {
            let is = told.get(key).copied().unwrap_or_default();
            ensure(is == *times, || format!("the history tells {is} times {key:?}, not {times} times"))?;
        }
        let extra: Vec<_> = told.keys().filter(|key| !events.contains_key(*key)).collect();
        ensure(extra.is_empty(), || format!("the history tells {extra:?}"))
    }

    /// With nothing in the way, one sync of everything makes the inventory equal to the platform (F3). This is judged
    /// without the model.
    async fn read_everything(&mut self) -> Result<(), Failure> {
        self.is_quiet = true;
        self.platform.failing.clear();
        self.platform.hidden.clear();
        self.keep_witnesses();
        self.ask("", true).await?;
        self.settle(2).await?;
        self.compare(true).await?;
        if self.had_same_ids && self.setup.remote_ids_unique {
            return Ok(());
        }
        let views = self.views().await?;
        let mut present: BTreeMap<String, &ObjectView> = BTreeMap::new();
        for view in views.iter().filter(|view| view.remote_status == RemoteStatus::Present && view.parent.is_some()) {
            let path = below(view);
            ensure(!view.namespace.starts_with('~'), || format!("{path} is still put aside"))?;
            present.insert(path, view);
        }
        let is_shown = |name: &String| {
            let parts = names(name);
            let prefixes = (1..=parts.len()).map(|n| parts[..n].join("/"));
            let is_left_out = prefixes.into_iter().any(|prefix| self.platform.left_out.contains_key(&prefix));
            !is_left_out && !self.model.is_host_managed(&parts) && !self.model.leaves_out(&parts)
        };
        let there: BTreeSet<&String> = self.platform.things.keys().filter(|name| is_shown(name)).collect();
        let found: BTreeSet<&String> = present.keys().collect();
        ensure(there == found, || {
            let lacks: Vec<_> = there.difference(&found).collect();
            let extra: Vec<_> = found.difference(&there).collect();
            format!("the inventory lacks {lacks:?}, and has {extra:?} that is not there")
        })?;
        for (path, view) in present {
            let thing = &self.platform.things[&path];
            let facts = (view.facts.remote_id.as_ref(), &view.facts.comment);
            ensure(facts == (Some(&thing.remote_id), &thing.comment), || format!("{path} has other facts: {facts:?}"))?;
            if path.split('/').count() == 3 {
                let columns = self.db.columns(&Sight::All, &ObjectRef::Id(view.id)).await.map_err(said("columns"))?;
                ensure(columns.as_ref() == Some(&thing.columns), || format!("{path} has other columns: {columns:?}"))?;
            }
        }
        Ok(())
    }
}

fn unavailable(path: &crate::model::path::RemotePath) -> ObjectError {
    ObjectError { path: path.clone(), code: "unavailable".into(), message: "the platform is down".into() }
}

/// The names below the connection.
fn below(view: &ObjectView) -> String {
    view.path.segments()[1..].iter().map(|name| name.as_str()).collect::<Vec<_>>().join("/")
}

/// An object as the store shows it, written as the model writes its own.
fn line(view: &ObjectView) -> String {
    use crate::model::filter::Exclusion;
    let status = match view.remote_status {
        RemoteStatus::Present => Mark::Present,
        RemoteStatus::Missing => Mark::Missing,
        RemoteStatus::Excluded => Mark::Excluded,
    };
    let why = match &view.exclusion {
        Some(Exclusion::Connector(why)) => Some(why.clone()),
        _ => None,
    };
    let own = view.overrides.is_active.map(|own| (own.value, own.origin == Origin::Sync));
    format!(
        "{}{} {:?} id={:?} comment={:?} columns={} {:?}({:?}) active={} settings={}/{} own={:?}/{:?} below={}/{}",
        below(view),
        if view.namespace.is_empty() { "" } else { " (aside)" },
        view.facts.kind,
        view.facts.remote_id,
        view.facts.comment,
        view.columns_known,
        status,
        why,
        view.active,
        view.settings.is_active,
        view.settings.new_children,
        own,
        view.overrides.new_children,
        view.child_count,
        view.descendants_have_overrides,
    )
}
