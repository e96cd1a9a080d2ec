//! Why an object is as it is: which setting holds and who made it, since when it is missing or left out, and what its last
//! listing was based on.

use jiff::Timestamp;
use redb::ReadableTable as _;

use super::{
    Db, DbError, ObjectRef,
    changes::{self, DetailsRow},
    connections,
    fault::Fault,
    holds,
    records::{ChangesRow, ListedRow, decode, time},
    tables::Rows,
    tree::{self, Node},
    view::Lens,
};
use crate::model::{
    change::ChangeKind,
    connection::Actor,
    explain::{Explanation, explain},
    filter::Exclusion,
    hold::Hold,
    id::{JobId, ObjectId},
    object::{Kind, RemoteStatus},
    path::ObjectPath,
    settings::Overrides,
    sight::{Sight, Visible},
};

/// A commit, as far as it is still kept.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitView {
    /// Its sequence.
    pub sequence: u64,
    /// When; none where its changes are kept no more.
    pub at: Option<Timestamp>,
    /// The job that made it.
    pub job: Option<JobId>,
    /// The person who made it.
    pub by: Option<Actor>,
}

/// One object on the way from the connection down.
#[derive(Clone, Debug, PartialEq)]
pub struct StepView {
    /// The object.
    pub object: ObjectId,
    /// Where it is.
    pub path: ObjectPath,
    /// When its status was set or removed, where it was.
    pub status_set: Option<CommitView>,
}

/// Since when the platform does not have it, or it is left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Missing or excluded.
    pub status: RemoteStatus,
    /// Which of the steps is marked or left out by a pattern: the object itself or one above it.
    pub step: usize,
    /// What leaves it out.
    pub exclusion: Option<Exclusion>,
    /// The commit that marked it, where it is kept. What patterns leave out is computed, not marked.
    pub since: Option<CommitView>,
}

/// What keeps an object from becoming missing (D33).
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Which of the steps is held: the object itself or one above it.
    pub step: usize,
    /// The hold; none where the caller does not see its scope.
    pub hold: Option<Hold>,
}

/// A complete listing.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The container that was listed.
    pub container: ObjectPath,
    /// Which of its namespaces.
    pub namespace: String,
    /// When.
    pub at: Timestamp,
    /// As whom, and how, in the connector's words.
    pub basis: String,
    /// By which job.
    pub job: JobId,
}

/// Why an object is as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// How much of it the caller sees. Of a mere step on the path nothing is explained.
    pub visible: Visible,
    /// From the connection's object down to the object itself.
    pub steps: Vec<StepView>,
    /// What the settings amount to, step by step.
    pub settings: Explanation,
    /// Missing or left out.
    pub mark: Option<Mark>,
    /// Proved to be absent, and not believed.
    pub held: Option<Held>,
    /// The last complete listings, of the container itself, or of the one that a leaf is in.
    pub listed: Vec<Listed>,
}

impl Db {
    /// Explains an object; none where the caller does not see it.
    pub async fn explain(&self, sight: &Sight, object: &ObjectRef) -> Result<Option<Explained>, DbError> {
        let (sight, object) = (sight.clone(), object.clone());
        self.read("explain an object", move |rows| {
            let Some(chain) = tree::find(rows, &object)? else { return Ok(None) };
            let lens = Lens::new(rows, &sight)?;
            match lens.of(&chain) {
                Visible::No => Ok(None),
                visible => Ok(Some(of_chain(rows, &lens, &chain, visible)?)),
            }
        })
        .await
    }
}

fn of_chain(rows: &impl Rows, lens: &Lens, chain: &[Node], visible: Visible) -> Result<Explained, Fault> {
    let mut overrides = Vec::new();
    let mut steps = Vec::new();
    for (n, node) in chain.iter().enumerate() {
        let own = tree::overrides(rows, node.id)?;
        let mut step = StepView {
            object: ObjectId::from_u128(node.id),
            path: tree::path_of(&chain[..=n])?,
            status_set: status_set(rows, node, &own)?,
        };
        // Who set something above what the caller sees is not told; that it holds is.
        if lens.of(&chain[..=n]) != Visible::Whole
            && let Some(set) = &mut step.status_set
        {
            (set.by, set.job) = (None, None);
        }
        overrides.push(own);
        steps.push(step);
    }
    if visible != Visible::Whole {
        let nothing = explain(&[]);
        return Ok(Explained { visible, steps, settings: nothing, mark: None, held: None, listed: Vec::new() });
    }
    let (listed, held) = (listed(rows, chain)?, held(rows, lens, chain)?);
    Ok(Explained { visible, steps, settings: explain(&overrides), mark: mark(rows, chain)?, held, listed })
}

fn status_set(rows: &impl Rows, node: &Node, own: &Overrides) -> Result<Option<CommitView>, Fault> {
    let sequence = own.is_active.map(|o| o.sequence).or(own.cleared_sequence);
    sequence.map(|sequence| commit(rows, node.row.connection, sequence)).transpose()
}

/// What is still known of a commit.
fn commit(rows: &impl Rows, connection: u128, sequence: u64) -> Result<CommitView, Fault> {
    let mut view = CommitView { sequence, at: None, job: None, by: None };
    if let Some(row) = rows.changes().get((connection, sequence))? {
        let (job, at) = changes::header(row.value())?;
        view.at = Some(time(at)?);
        view.job = job.map(JobId::from_u128);
    }
    if let Some(row) = rows.change_details().get((connection, sequence))? {
        view.by = decode::<DetailsRow>(row.value())?.by;
    }
    Ok(view)
}

/// What makes it missing or excluded, in the order in which that is decided: patterns, beginning with the highest object
/// that they leave out, then the connector, then what is missing; of marks the nearest one from the object upwards.
fn mark(rows: &impl Rows, chain: &[Node]) -> Result<Option<Mark>, Fault> {
    let filter = connections::filter(rows, chain.first().map_or(0, |node| node.id))?;
    let Some(exclusion) = tree::exclusion(rows, chain, &filter)? else {
        return marked(rows, chain, RemoteStatus::Missing, None);
    };
    match exclusion {
        Exclusion::Connector(_) => marked(rows, chain, RemoteStatus::Excluded, Some(exclusion)),
        Exclusion::Pattern(_) | Exclusion::NotIncluded => {
            let is_left_out = |step: &usize| tree::is_filtered(&chain[..=*step], &filter);
            let step = (0..chain.len()).find(is_left_out).unwrap_or(chain.len() - 1);
            Ok(Some(Mark { status: RemoteStatus::Excluded, step, exclusion: Some(exclusion), since: None }))
        }
    }
}

/// The nearest object of a mark from the object upwards, and the commit that marked it.
fn marked(
    rows: &impl Rows,
    chain: &[Node],
    status: RemoteStatus,
    exclusion: Option<Exclusion>,
) -> Result<Option<Mark>, Fault> {
    let found = chain.iter().enumerate().rev().find(|(_, node)| node.row.mark() == status);
    let Some((step, node)) = found else { return Ok(None) };
    let kind = if status == RemoteStatus::Missing { ChangeKind::Missing } else { ChangeKind::Excluded };
    let mut since = None;
    for row in rows.object_changes().range((node.id, 0)..=(node.id, u64::MAX))?.rev() {
        let sequence = row?.0.value().1;
        let Some(row) = rows.changes().get((node.row.connection, sequence))? else { continue };
        let changes = decode::<ChangesRow>(row.value())?.changes;
        if changes.iter().any(|c| c.object.as_u128() == node.id && ChangeKind::of(&c.what) == kind) {
            since = Some(commit(rows, node.row.connection, sequence)?);
            break;
        }
    }
    Ok(Some(Mark { status, step, exclusion, since }))
}

/// The hold that the object, or the nearest one above it, is in.
fn held(rows: &impl Rows, lens: &Lens, chain: &[Node]) -> Result<Option<Held>, Fault> {
    let Some(hold) = holds::of_chain(rows, chain)? else { return Ok(None) };
    let mut step = chain.len() - 1;
    while step > 0 && holds::of_object(rows, chain[step].id)? != Some(hold) {
        step -= 1;
    }
    Ok(Some(Held { step, hold: holds::visible(rows, lens, hold)? }))
}

fn listed(rows: &impl Rows, chain: &[Node]) -> Result<Vec<Listed>, Fault> {
    let Some(last) = chain.last() else { return Ok(Vec::new()) };
    let is_container = last.row.kind() == Kind::Container;
    let above = if is_container { chain } else { &chain[..chain.len() - 1] };
    let Some(container) = above.last() else { return Ok(Vec::new()) };
    let path = tree::path_of(above)?;
    let mut listed = Vec::new();
    for row in rows.listed().range((container.id, "")..(container.id + 1, ""))? {
        let (key, row) = row?;
        let namespace = key.value().1;
        if !is_container && namespace != last.row.listed_namespace() {
            continue;
        }
        let ListedRow { at, basis, job } = decode(row.value())?;
        let (namespace, at, job) = (namespace.to_owned(), time(at)?, JobId::from_u128(job));
        listed.push(Listed { container: path.clone(), namespace, at, basis, job });
    }
    Ok(listed)
}
