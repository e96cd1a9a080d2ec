//! The host: claims jobs and does their tasks, in any order, and holds what follows against the model.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    super::{
        super::{
            super::{
                jobs::{ClaimError, JobEnd},
                sync::Advanced,
            },
            platform::Platform,
        },
        model::{
            Id, ROOT,
            pages::{Counts, Descent, Follows, Sync, Turn, text},
        },
        steps::Random,
    },
    Drive, Failure, Running, ensure, said,
};
use crate::model::{
    id::{JobId, ObjectId},
    job::{JobState, Task, Work},
    page::{Cursor, ObjectError, Page, Presence},
    path::RemotePath,
};

/// How many absences the store tells apart in one write, in tests.
const JUDGED_AT_ONCE: usize = 3;

impl Drive {
    /// Does all that waits.
    pub(super) async fn settle(&mut self, salt: u64) -> Result<(), Failure> {
        let mut random = Random(salt);
        for _ in 0..5_000 {
            if !self.work(&mut random).await? {
                return ensure(self.model.jobs.is_empty(), || format!("jobs wait for ever: {:?}", self.model.jobs));
            }
        }
        Err("the jobs do not end".into())
    }

    /// One step of one of the jobs. Whether there was anything to do.
    pub(super) async fn work(&mut self, random: &mut Random) -> Result<bool, Failure> {
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
        let moves = self.model.moves;
        let (advanced, follows) = self.advance(&mut sync, &running, &task, random).await?;
        self.model.jobs.insert(id, sync);
        self.follow(&task, &advanced, &follows)?;
        running.tasks.extend(advanced.task);
        running.tasks.extend(advanced.added);
        let sync = &self.model.jobs[&id];
        for lost in sync.absent.keys().filter(|id| self.model.items.contains_key(id)) {
            let path = self.model.path(*lost);
            ensure(!running.witnesses.contains(lost), || format!("{path} is absent and was there all the time"))?;
        }
        let is_judged = running.tasks.iter().any(|task| task.work == Work::Judge);
        let is_due = running.tasks.len() == usize::from(is_judged) && !sync.absent.is_empty();
        ensure(is_judged == is_due, || format!("it is judged {is_judged}, and is due {is_due}"))?;
        self.running.insert(id, running);
        if self.model.moves > moves {
            self.keep_witnesses();
        }
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
        let page = self.page(&Platform::partition(""), true, None);
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
        let next_id = self.model.next;
        let Some(sync) = self.model.jobs.get_mut(&id) else { return Err("a job that nobody knows".into()) };
        sync.has_begun = true;
        if sync.first_new == 0 {
            sync.first_new = next_id;
        }
        let left = self.left.remove(&id);
        if let Some(left) = &left {
            ensure(*left == claimed.tasks, || format!("left were {left:?}, and claimed are {:?}", claimed.tasks))?;
        }
        let object = sync.object;
        let scope = self.model.scope(object);
        ensure(text(&claimed.scope) == scope, || format!("claimed for {:?}, not {scope:?}", claimed.scope))?;
        for other in self.running.keys() {
            let other = self.model.jobs[other].object;
            let overlap = self.model.chain(other).contains(&object) || self.model.chain(object).contains(&other);
            ensure(!overlap, || "two syncs of one subtree run".into())?;
        }
        let mut witnesses: BTreeSet<Id> = BTreeSet::new();
        // What was there before the host was killed, and in between, nobody has watched.
        if left.is_none() {
            let all = self.model.items.keys().filter(|id| **id != ROOT && self.is_witnessed(**id));
            witnesses.extend(all);
        }
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
            held: job.counts.held,
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
        running: &Running,
        task: &Task,
        random: &mut Random,
    ) -> Result<(Advanced, Follows), Failure> {
        let (now, claim) = (self.now(), running.claim);
        let step = self.platform.step(claim, task.number, now);
        let mut follows = Follows::default();
        let advanced = match &task.work {
            Work::Plan { scope } => {
                let partitions = self.partitions(&text(scope));
                follows = self.model.plan(sync, &partitions);
                self.db.apply_plan(step, partitions).await
            }
            Work::Read { partition, want_columns, second_look } => {
                let page = self.page(partition, *want_columns, task.cursor.as_ref());
                if task.cursor.is_some() && random.one_in(12) {
                    // The platform has forgotten the cursor.
                    self.db.defer_task(step, Duration::ZERO, true).await
                } else if self.is_failing(partition) && page.next.is_none() {
                    self.model.failed(sync, &partition.scope, true);
                    self.db.fail_task(step, unavailable(&partition.scope)).await
                } else {
                    let is_of_scope = |other: &&Task| match &other.work {
                        Work::Read { partition: other, .. } => other.scope == partition.scope,
                        _ => false,
                    };
                    let turn = Turn {
                        task: task.number,
                        begins: task.cursor.is_none(),
                        second_look: *second_look,
                        is_last: !running.tasks.iter().any(|other| is_of_scope(&other)),
                    };
                    follows = self.model.page(sync, &turn, &partition.scope, &page);
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
                let objects = known.iter().take(2).map(scanned).collect();
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
            Work::Judge => {
                // From here on what is absent is told apart in the order of ids.
                self.compare(false).await?;
                let mut verdicts = Vec::new();
                if task.cursor.is_none() {
                    verdicts = self.db.weigh_absences(claim).await.map_err(said("weigh"))?;
                    let scopes = self.model.weigh(sync);
                    let told: BTreeSet<ObjectId> = verdicts.iter().map(|verdict| verdict.scope).collect();
                    let expected: BTreeSet<ObjectId> = scopes.iter().map(|id| self.ids[id]).collect();
                    ensure(told == expected, || {
                        let paths: Vec<String> = scopes.iter().map(|id| self.model.path(*id)).collect();
                        format!("held are {verdicts:?}, and not {paths:?}, of {:?}", sync.absent)
                    })?;
                    sync.scopes = Some(scopes);
                }
                let mut absent: Vec<Id> = sync.absent.keys().copied().collect();
                absent.sort_by_key(|id| self.ids[id].as_u128());
                let scopes = sync.scopes.clone().unwrap_or_default();
                for id in absent.into_iter().take(JUDGED_AT_ONCE) {
                    self.model.judge(sync, &scopes, id);
                }
                self.db.judge(step, verdicts).await
            }
            Work::Confirm { scope, .. } => {
                follows = self.model.look_again(sync, scope);
                self.db.apply_second_look(step, self.partitions(&text(scope))).await
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
                Work::Judge => {}
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
}

fn unavailable(path: &RemotePath) -> ObjectError {
    ObjectError { path: path.clone(), code: "unavailable".into(), message: "the platform is down".into() }
}
