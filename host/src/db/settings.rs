//! Status and new-object rule of objects.

use jiff::Timestamp;

use super::{
    Db, DbError, ObjectRef,
    changes::{self, Commit, Noted},
    connections, counters,
    fault::{Fault, Stop},
    groups, jobs, queue,
    records::{encode, micros},
    tables::WriteRows,
    tree::{self, Node},
    view::{self, Lens, Standing},
};
use crate::model::{
    connection::Actor,
    diff::What,
    id::BulkId,
    job::{Job, JobType, Trigger},
    object::{ObjectView, RemoteStatus},
    settings::{Overrides, SettingsChange},
    sight::{Sight, Visible},
};

/// Whether a change is made or only computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Make it.
    Apply,
    /// Only say what it would do.
    DryRun,
}

/// What a change of settings did, or would do.
#[derive(Clone, Debug)]
pub struct SettingsOutcome {
    /// The object afterwards.
    pub object: ObjectView,
    /// Objects, itself included, that the new status reaches.
    pub affected: u64,
    /// Descendants that keep a status a person gave them.
    pub overridden: u64,
    /// The sync that fetches the columns of what became enabled.
    pub job: Option<Job>,
    /// The change itself as a job (F79), and with it what follows from it. None of a dry run.
    pub bulk: Option<BulkId>,
}

/// Why settings were not changed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The caller sees no such object, or only as a step on the path.
    #[error("there is no such object")]
    NotFound,
    /// Somebody else was faster.
    #[error("the object was changed meanwhile: it is at revision {0}")]
    Revision(u64),
    /// The store failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Db {
    /// Changes what is set on one object. Nothing below it is rewritten: what holds is computed on read. Enabling
    /// queues a sync of the subtree, because disabled tables may lack their columns (D37). Setting, counters of the
    /// ancestors and that job are one transaction.
    pub async fn change_settings(
        &self,
        sight: &Sight,
        object: &ObjectRef,
        change: SettingsChange,
        revision: Option<u64>,
        mode: Mode,
        now: Timestamp,
    ) -> Result<SettingsOutcome, SettingsError> {
        let (sight, object) = (sight.clone(), object.clone());
        let by = self.by.clone();
        let done = match mode {
            Mode::Apply => {
                self.write("change settings", move |rows| {
                    let (chain, lens) = find(rows, &sight, &object, revision)?;
                    Ok(apply(rows, &sight, &lens, chain, change, by.as_deref(), now)?)
                })
                .await?
            }
            // A dry run does the same and is thrown away, so that it cannot tell anything else than what happens.
            Mode::DryRun => {
                let tried = self
                    .write("try settings", move |rows| -> Result<(), Stop<Tried>> {
                        let (chain, lens) = find(rows, &sight, &object, revision).map_err(Tried::stop)?;
                        let outcome = apply(rows, &sight, &lens, chain, change, None, now)?;
                        Err(Stop::Refused(Tried::Done(Box::new(outcome))))
                    })
                    .await;
                match tried {
                    Err(Tried::Done(outcome)) => SettingsOutcome { job: None, bulk: None, ..*outcome },
                    Err(Tried::Refused(error)) => return Err(error),
                    Ok(()) => return Err(SettingsError::NotFound),
                }
            }
        };
        self.ring();
        Ok(done)
    }
}

/// How a dry run leaves its transaction: as a refusal, so that nothing is kept.
enum Tried {
    Done(Box<SettingsOutcome>),
    Refused(SettingsError),
}

impl Tried {
    fn stop(stop: Stop<SettingsError>) -> Stop<Self> {
        match stop {
            Stop::Fault(fault) => Stop::Fault(fault),
            Stop::Refused(error) => Stop::Refused(Self::Refused(error)),
        }
    }
}

impl From<DbError> for Tried {
    fn from(error: DbError) -> Self {
        Self::Refused(error.into())
    }
}

fn find(
    rows: &WriteRows<'_>,
    sight: &Sight,
    object: &ObjectRef,
    revision: Option<u64>,
) -> Result<(Vec<Node>, Lens), Stop<SettingsError>> {
    let chain = tree::find(rows, object)?.ok_or(Stop::Refused(SettingsError::NotFound))?;
    let lens = Lens::new(rows, sight)?;
    if lens.of(&chain) != Visible::Whole {
        return Err(Stop::Refused(SettingsError::NotFound));
    }
    match chain.last().map(|node| node.row.revision) {
        Some(is) if revision.is_some_and(|seen| seen != is) => Err(Stop::Refused(SettingsError::Revision(is))),
        _ => Ok((chain, lens)),
    }
}

fn apply(
    rows: &mut WriteRows<'_>,
    sight: &Sight,
    lens: &Lens,
    mut chain: Vec<Node>,
    change: SettingsChange,
    by: Option<&Actor>,
    now: Timestamp,
) -> Result<SettingsOutcome, Fault> {
    let filter = connections::filter(rows, chain.first().map_or(0, |node| node.id))?;
    let was_active = Standing::of(rows, &chain, &filter)?.active();
    let node = chain.last_mut().ok_or(Fault::Broken("an empty chain"))?;
    let below = counters::of(rows, node.id)?;
    if change != SettingsChange::default() {
        let sequence = queue::next_commit(rows)?;
        let before = tree::overrides(rows, node.id)?;
        let after = before.after(&change, sequence);
        store_overrides(rows, node.id, &after)?;
        if let Some(parent) = node.row.parent {
            counters::add(rows, parent, below.with_itself(&after).minus(below.with_itself(&before)))?;
        }
        node.row.touch(sequence, micros(now));
        rows.objects.insert(node.id, encode(&node.row)?.as_slice())?;
        let connection = node.row.connection;
        let commit = Commit { connection, sequence, job: None, by: by.cloned(), now };
        changes::append(rows, commit, vec![Noted::new(node.id, What::Settings { before, after })])?;
    }
    let standing = Standing::of(rows, &chain, &filter)?;
    let may_enable = if standing.active() {
        !was_active || below.overrides > 0
    } else {
        // Below a status that a person gave, one of a sync yields to the new one, and that may have been a disabling one.
        standing.remote_status == RemoteStatus::Present && below.enabling > 0
    };
    let becomes_active = change.is_active.is_some() && may_enable;
    let group = groups::open(rows, &JobType::SettingsChange, Trigger::Settings, &chain, now)?;
    let job = if becomes_active {
        let request = jobs::request(rows, &chain, sight, false)?;
        let request = queue::Request { trigger: Trigger::Settings, group: Some(group), ..request };
        Some(queue::enqueue(rows, request, now)?)
    } else {
        None
    };
    groups::settle(rows, group.bulk, now)?;
    let affected = if change.is_active.is_some() { below.open.unsigned_abs() + 1 } else { 0 };
    Ok(SettingsOutcome {
        object: view::view(rows, lens, &chain)?.ok_or(Fault::Broken("a changed object is not seen"))?,
        affected,
        overridden: (below.descendants - below.open).unsigned_abs(),
        job,
        bulk: Some(BulkId::from_u128(group.bulk)),
    })
}

/// Writes what is set on an object, or removes the row where nothing is.
pub(super) fn store_overrides(rows: &mut WriteRows<'_>, id: u128, own: &Overrides) -> Result<(), Fault> {
    if own.is_empty() {
        rows.overrides.remove(id)?;
    } else {
        rows.overrides.insert(id, encode(own)?.as_slice())?;
    }
    Ok(())
}
