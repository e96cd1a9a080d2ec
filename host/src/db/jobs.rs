//! Jobs: queueing, claiming, ending.

use jiff::Timestamp;

use redb::{ReadableTable as _, ReadableTableMetadata as _};

use super::{
    Db, DbError, ObjectRef, connections, connectors, facts,
    fault::{Fault, Stop},
    groups::{self, Group},
    queue::{self, Request},
    records::{JobRow, micros, time},
    tables::{ReadRows, Rows, WriteRows},
    tree, turns,
    view::Lens,
    work,
};
use crate::model::{
    connection::Connection,
    id::{BulkId, Incarnation, JobId},
    job::{Claim, Job, JobError, JobState, JobType, Task, Trigger, Work},
    object::Kind,
    path::RemotePath,
    sight::{Sight, Visible},
};

/// Most jobs that wait at the same time.
pub const MAX_WAITING: u64 = 10_000;

/// Which jobs to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Asked for together.
    pub bulk: Option<BulkId>,
    /// Only in this state.
    pub state: Option<JobState>,
    /// Asked for at or after.
    pub from: Option<Timestamp>,
    /// Asked for before.
    pub to: Option<Timestamp>,
    /// Only of this type.
    pub kind: Option<JobKind>,
    /// Only those that were asked for before this one.
    pub older_than: Option<JobId>,
    /// Jobs to leave out at the beginning.
    pub offset: usize,
    /// Jobs to give at most.
    pub size: usize,
}

/// A type of jobs, without their options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// [`JobType::ObjectSync`].
    ObjectSync,
    /// [`JobType::SettingsChange`].
    SettingsChange,
    /// [`JobType::SyncGroup`].
    SyncGroup,
}

/// Why no sync was queued.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Too much waits already.
    #[error("{MAX_WAITING} jobs wait already")]
    Full,
    /// They have no connection in common.
    #[error("the objects are not all of one connection")]
    Apart,
    /// The store failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// A job that this worker now owns, with all it needs to go on where it stands.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Goes with every write.
    pub claim: Claim,
    /// As it stands.
    pub job: Job,
    /// The account to work on.
    pub connection: Connection,
    /// The container that is listed: the job's object, or the parent of one that is no container.
    pub scope: RemotePath,
    /// What is left to do, in order of creation.
    pub tasks: Vec<Task>,
    /// The connector and the version that carry it out, whatever serves; none where that is what does.
    pub carried_out_by: Option<(String, String)>,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub enum JobEnd {
    /// Everything was done.
    Completed,
    /// Given up.
    Failed(JobError),
    /// To be tried again.
    Retry {
        /// Not before.
        due_at: Timestamp,
        /// Why.
        error: JobError,
    },
}

/// A worker's write was refused.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The job is no longer this worker's: cancelled, claimed by another, or its object is deleted (D43).
    #[error("the job is no longer ours")]
    Lost,
    /// The store failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// How a cancellation went.
#[derive(Clone, Debug, PartialEq)]
pub enum Cancelled {
    /// It is cancelled now.
    Now(Box<Job>),
    /// It had ended before.
    HadEnded(JobState),
}

impl Db {
    /// Queues a sync of an object and everything below it. One that waits already and covers it with equal options is
    /// joined instead (D43). None where the caller does not wholly see the object. One transaction: a queued job always
    /// has the task that it begins with.
    pub async fn enqueue_sync(
        &self,
        sight: &Sight,
        object: &ObjectRef,
        force_recursive: bool,
        now: Timestamp,
    ) -> Result<Option<Job>, QueueError> {
        self.queue_sync(sight, object, force_recursive, false, now).await
    }

    /// Queues a dry run of such a sync: it computes what that would change, and changes nothing. It joins only another
    /// dry run.
    pub async fn enqueue_dry_run(
        &self,
        sight: &Sight,
        object: &ObjectRef,
        force_recursive: bool,
        now: Timestamp,
    ) -> Result<Option<Job>, QueueError> {
        self.queue_sync(sight, object, force_recursive, true, now).await
    }

    async fn queue_sync(
        &self,
        sight: &Sight,
        object: &ObjectRef,
        force_recursive: bool,
        dry_run: bool,
        now: Timestamp,
    ) -> Result<Option<Job>, QueueError> {
        let (sight, object) = (sight.clone(), object.clone());
        let job = self
            .write("queue a sync", move |rows| {
                let Some(chain) = tree::find(rows, &object)? else { return Ok(None) };
                if Lens::new(rows, &sight)?.of(&chain) != Visible::Whole {
                    return Ok(None);
                }
                has_room(rows)?;
                let request = request(rows, &chain, &sight, force_recursive)?;
                Ok(Some(queue::enqueue(rows, Request { dry_run, ..request }, now)?))
            })
            .await?;
        self.ring();
        Ok(job)
    }

    /// Queues syncs of several objects of one connection, and the job that stands for all of them, which is given. None
    /// where the caller does not wholly see all of the objects.
    pub async fn enqueue_syncs(
        &self,
        sight: &Sight,
        objects: Vec<ObjectRef>,
        force_recursive: bool,
        now: Timestamp,
    ) -> Result<Option<Job>, QueueError> {
        let sight = sight.clone();
        let job = self
            .write("queue syncs", move |rows| {
                let lens = Lens::new(rows, &sight)?;
                let mut chains = Vec::new();
                for object in &objects {
                    let Some(chain) = tree::find(rows, object)? else { return Ok(None) };
                    if lens.of(&chain) != Visible::Whole {
                        return Ok(None);
                    }
                    chains.push(chain);
                }
                has_room(rows)?;
                // What contains others is queued first, so that these join it.
                chains.sort_by_key(Vec::len);
                let common = common(&chains).ok_or(Stop::Refused(QueueError::Apart))?;
                let group = groups::open(rows, &JobType::SyncGroup, Trigger::Request, &common, now)?;
                for chain in &chains {
                    let request = request(rows, chain, &sight, force_recursive)?;
                    queue::enqueue(rows, Request { group: Some(group), ..request }, now)?;
                }
                whole_group(rows, group)
            })
            .await?;
        self.ring();
        Ok(job)
    }

    /// Jobs on objects that the caller sees.
    pub async fn jobs(&self, sight: &Sight, filter: JobFilter) -> Result<Vec<Job>, DbError> {
        let sight = sight.clone();
        self.read("list jobs", move |rows| {
            let lens = Lens::new(rows, &sight)?;
            let mut found = Vec::new();
            let mut skip = filter.offset;
            let before = filter.older_than.map_or(u128::MAX, JobId::as_u128);
            let mut look = |id: u128| -> Result<bool, Fault> {
                let Some(row) = queue::job(rows, id)? else { return Ok(true) };
                if !matches(&row, &filter) || !sees(rows, &lens, &row)? {
                    return Ok(true);
                }
                if let Some(kind) = filter.kind
                    && facts::of(rows, id)?.kind() != kind
                {
                    return Ok(true);
                }
                if skip > 0 {
                    skip -= 1;
                    return Ok(true);
                }
                found.push(queue::whole_job(rows, id, row)?);
                Ok(found.len() < filter.size)
            };
            if filter.size > 0 {
                match candidates(rows, &filter)? {
                    Some(ids) => {
                        for id in ids.into_iter().filter(|id| *id < before) {
                            if !look(id)? {
                                break;
                            }
                        }
                    }
                    None => {
                        for row in rows.jobs.range(..before)?.rev() {
                            if !look(row?.0.value())? {
                                break;
                            }
                        }
                    }
                }
            }
            Ok(found)
        })
        .await
    }

    /// One job, if its object is seen.
    pub async fn job(&self, sight: &Sight, id: JobId) -> Result<Option<Job>, DbError> {
        let sight = sight.clone();
        self.read("read a job", move |rows| {
            let id = id.as_u128();
            match queue::job(rows, id)? {
                Some(row) if sees(rows, &Lens::new(rows, &sight)?, &row)? => Ok(Some(queue::whole_job(rows, id, row)?)),
                _ => Ok(None),
            }
        })
        .await
    }

    /// Stops a job; its worker's next write is refused. State and index change in one transaction, so a job is never half
    /// cancelled; what the work needed goes in small ones.
    pub async fn cancel_job(&self, sight: &Sight, id: JobId, now: Timestamp) -> Result<Option<Cancelled>, DbError> {
        let sight = sight.clone();
        let done = self
            .write("cancel a job", move |rows| {
                let id = id.as_u128();
                let Some(mut row) = queue::job(rows, id)? else { return Ok(None) };
                if !sees(rows, &Lens::new(rows, &sight)?, &row)? {
                    return Ok(None);
                }
                if row.state().is_final() {
                    return Ok(Some(Cancelled::HadEnded(row.state())));
                }
                if facts::of(rows, id)?.is_group() {
                    groups::cancel(rows, id, row.bulk, now)?;
                    row = queue::job(rows, id)?.ok_or(Fault::Broken("a cancelled job is gone"))?;
                } else {
                    queue::end(rows, id, &mut row, JobState::Cancelled, now)?;
                }
                Ok(Some(Cancelled::Now(Box::new(queue::whole_job(rows, id, row)?))))
            })
            .await?;
        self.ring();
        Ok(done)
    }

    /// Claims the job whose turn it is among those that are due: see [`turns`]. Never one whose subtree overlaps that of
    /// an active job of the same connection. Jobs not begun within 24 h end as `expired` here. The claim is durable before it is handed out:
    /// after a crash [`Db::open`] voids it, and the job goes on from its tasks.
    pub async fn claim_job(&self, now: Timestamp) -> Result<Option<Claimed>, DbError> {
        // Looking costs no commit.
        if !self.read("look for due jobs", move |rows| Ok(turns::look(rows, Some(now))?.is_any())).await? {
            return Ok(None);
        }
        let incarnation = self.incarnation();
        loop {
            match self.work("claim a job", move |rows| Ok::<_, Stop<DbError>>(claim(rows, incarnation, now)?)).await? {
                Turn::Of(claimed) => return Ok(Some(*claimed)),
                Turn::Nobodys => return Ok(None),
                Turn::NotYet => {}
            }
        }
    }

    /// When the next waiting job is due, if one waits. One that has to wait for an active job is not meant: its time
    /// comes when that one ends.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, DbError> {
        self.read("look for the next job", |rows| {
            let first = turns::look(rows, None)?.ready.into_iter().map(|(due, _)| due).min();
            Ok(first.map(time).transpose()?)
        })
        .await
    }

    /// Ends an attempt.
    pub async fn end_job(&self, claim: Claim, end: JobEnd, now: Timestamp) -> Result<Job, ClaimError> {
        let done = self
            .work("end a job", move |rows| {
                let id = claim.job.as_u128();
                let mut row = owned(rows, claim)?;
                match end {
                    JobEnd::Completed => queue::end(rows, id, &mut row, JobState::Completed, now)?,
                    JobEnd::Failed(error) => {
                        row.error = Some(error);
                        queue::end(rows, id, &mut row, JobState::Failed, now)?;
                    }
                    JobEnd::Retry { due_at, error } => {
                        row.error = Some(error);
                        row.failures += 1;
                        rows.waiting.remove((row.due_at, id))?;
                        row.due_at = micros(due_at);
                        queue::set_state(rows, id, &mut row, JobState::Retry)?;
                    }
                }
                Ok(queue::whole_job(rows, id, row)?)
            })
            .await;
        self.ring();
        done
    }

    /// Confirms that a job is still this worker's: the heartbeat of its lease, and how a worker notices that it was
    /// cancelled while a call takes long (D43). With one host there is no one else to write a heartbeat for.
    pub async fn renew_claim(&self, claim: Claim) -> Result<(), ClaimError> {
        self.read("confirm a claim", move |rows| owned(rows, claim).map(|_| ())).await
    }
}

/// The row of a claimed job, if the claim still holds.
pub(super) fn owned(rows: &impl Rows, claim: Claim) -> Result<JobRow, Stop<ClaimError>> {
    let row = queue::job(rows, claim.job.as_u128())?.ok_or(Stop::Refused(ClaimError::Lost))?;
    let holds = row.state() == JobState::Active && row.claim == Some((claim.incarnation.as_u128(), claim.epoch));
    if holds { Ok(row) } else { Err(Stop::Refused(ClaimError::Lost)) }
}

/// What a sync of the last object of a chain has to list.
pub(super) fn request(
    rows: &impl Rows,
    chain: &[tree::Node],
    sight: &Sight,
    force_recursive: bool,
) -> Result<Request, Fault> {
    let (Some(first), Some(last)) = (chain.first(), chain.last()) else {
        return Err(Fault::Broken("an empty chain"));
    };
    let options = connections::connection(rows, first.id)?.map(|c| c.options).unwrap_or_default();
    Ok(Request {
        connection: first.id,
        object: last.id,
        path: tree::path_of(chain)?,
        scope: listed_scope(chain)?,
        force_recursive: force_recursive || options.force_recursive_crawl,
        dry_run: false,
        sees_all: *sight == Sight::All,
        trigger: Trigger::Request,
        group: None,
    })
}

/// What is listed for an object: itself, or the parent of what is no container.
pub(super) fn listed_scope(chain: &[tree::Node]) -> Result<RemotePath, Fault> {
    let path = tree::remote_path_of(chain)?;
    match chain.last().map(|node| node.row.kind()) {
        Some(Kind::Container) | None => Ok(path),
        Some(Kind::TableLike | Kind::Other) => Ok(path.parent().unwrap_or_default()),
    }
}

/// Ids to look at, newest first, where an index knows them.
fn candidates(rows: &ReadRows, filter: &JobFilter) -> Result<Option<Vec<u128>>, Fault> {
    let mut ids: Vec<u128> = match (filter.bulk.map(BulkId::as_u128), filter.state) {
        (Some(bulk), _) => rows
            .job_bulks
            .range((bulk, 0)..=(bulk, u128::MAX))?
            .map(|row| Ok(row?.0.value().1))
            .collect::<Result<_, Fault>>()?,
        (None, Some(JobState::Created | JobState::Retry)) => queue::waiting(rows)?,
        (None, Some(JobState::Active)) => {
            let active = rows.active.iter()?.map(|row| Ok(row?.0.value().1));
            active.chain(groups::running(rows)?.into_iter().map(Ok)).collect::<Result<_, Fault>>()?
        }
        _ => return Ok(None),
    };
    ids.sort_unstable_by(|a, b| b.cmp(a));
    Ok(Some(ids))
}

fn matches(row: &JobRow, filter: &JobFilter) -> bool {
    // A job may belong to several bulks: the index has told which.
    filter.state.is_none_or(|state| row.state() == state)
        && filter.from.is_none_or(|from| row.created_at >= micros(from))
        && filter.to.is_none_or(|to| row.created_at < micros(to))
}

/// A job is seen by who wholly sees its object; one whose object is gone by who sees everything.
pub(super) fn sees(rows: &impl Rows, lens: &Lens, row: &JobRow) -> Result<bool, Fault> {
    match (lens, tree::lineage(rows, row.object)?) {
        (Lens::All, _) => Ok(true),
        (_, None) => Ok(false),
        (lens, Some(chain)) => Ok(lens.of(&chain) == Visible::Whole),
    }
}

/// What came of a look for the next job.
enum Turn {
    /// This one is claimed.
    Of(Box<Claimed>),
    /// None is due.
    Nobodys,
    /// The only one that is has to begin again, and rows of its work before are still to be given back.
    NotYet,
}

fn claim(rows: &mut WriteRows<'_>, incarnation: Incarnation, now: Timestamp) -> Result<Turn, Fault> {
    let mut none = Turn::Nobodys;
    let found = turns::look(rows, Some(now))?;
    for (ids, state) in [(found.expired, JobState::Expired), (found.gone, JobState::Cancelled)] {
        for id in ids {
            if let Some(mut row) = queue::job(rows, id)? {
                queue::end(rows, id, &mut row, state, now)?;
            }
        }
    }
    for (_, id) in found.ready {
        let Some(mut row) = queue::job(rows, id)? else { continue };
        let chain = tree::lineage(rows, row.object)?;
        let connection = connections::connection(rows, row.connection)?;
        let (Some(chain), Some(connection)) = (chain, connection) else {
            queue::end(rows, id, &mut row, JobState::Cancelled, now)?;
            continue;
        };
        let scope = listed_scope(&chain)?;
        if row.started_at.is_none() {
            if row.epoch > 0 && work::give_back(rows, id, work::AT_ONCE)? {
                none = Turn::NotYet;
                continue;
            }
            // It may have been renamed while the job waited.
            let plan = Work::Plan { scope: scope.clone() };
            queue::put_task(rows, id, &Task::new(0, plan))?;
        }
        row.epoch += 1;
        row.started_at.get_or_insert(micros(now));
        row.claim = Some((incarnation.as_u128(), row.epoch));
        queue::set_state(rows, id, &mut row, JobState::Active)?;
        turns::had(rows, row.connection)?;
        return Ok(Turn::Of(Box::new(Claimed {
            claim: Claim { job: JobId::from_u128(id), incarnation, epoch: row.epoch },
            tasks: queue::tasks(rows, id)?,
            carried_out_by: connectors::carried_out_by(rows, id)?,
            job: queue::whole_job(rows, id, row)?,
            connection,
            scope,
        })));
    }
    Ok(none)
}

/// The beginning that the ways to several objects have in common; none where they are of several connections.
fn common(chains: &[Vec<tree::Node>]) -> Option<Vec<tree::Node>> {
    let (first, others) = chains.split_first()?;
    let same = |n: usize| others.iter().all(|other| other.get(n).is_some_and(|node| node.id == first[n].id));
    let length = (0..first.len()).take_while(|n| same(*n)).count();
    (length > 0).then(|| first[..length].to_vec())
}

fn whole_group(rows: &impl Rows, group: Group) -> Result<Option<Job>, Stop<QueueError>> {
    let row = queue::job(rows, group.job)?.ok_or(Fault::Broken("a group without its job"))?;
    Ok(Some(queue::brief_job(rows, group.job, row)?))
}

fn has_room(rows: &WriteRows<'_>) -> Result<(), Stop<QueueError>> {
    if rows.waiting.len()? >= MAX_WAITING { Err(Stop::Refused(QueueError::Full)) } else { Ok(()) }
}
