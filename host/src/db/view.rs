//! Objects as a caller sees them: stored facts, what is computed from ancestors, and nothing beyond the caller's sight.

use std::collections::{BTreeSet, HashMap, HashSet};

use redb::ReadableTable as _;

use super::{
    connections, counters,
    fault::Fault,
    holds,
    records::{ListedRow, decode, time},
    tables::Rows,
    tree::{self, Node},
};
use crate::model::{
    filter::{Filter, Way},
    id::{ConnectionId, HoldId, ObjectId},
    name::Technology,
    object::{Facts, Kind, ObjectView, RemoteStatus},
    settings::{EffectiveSettings, Inherited, Overrides},
    sight::{Sight, Visible},
};

/// What a caller may see, as the ids that decide it: computed once for each read.
pub(super) enum Lens {
    /// Everything.
    All,
    /// Subtrees.
    Roots {
        /// The roots that exist.
        roots: HashSet<u128>,
        /// The ancestors of roots, each with the number of objects that are seen below it.
        above: HashMap<u128, u64>,
        /// For each ancestor, its children that are seen.
        below: HashMap<u128, BTreeSet<u128>>,
        /// Connections of which anything is seen.
        connections: BTreeSet<u128>,
    },
}

impl Lens {
    /// The lens of a caller, on the present state.
    pub(super) fn new(rows: &impl Rows, sight: &Sight) -> Result<Self, Fault> {
        let Sight::Roots(ids) = sight else { return Ok(Self::All) };
        let roots: HashSet<u128> = ids.iter().map(|id| id.as_u128()).collect();
        let mut above: HashMap<u128, u64> = HashMap::new();
        let mut below: HashMap<u128, BTreeSet<u128>> = HashMap::new();
        let mut connections = BTreeSet::new();
        let mut alive = HashSet::new();
        for &root in &roots {
            let Some(chain) = tree::lineage(rows, root)? else { continue };
            alive.insert(root);
            connections.extend(chain.first().map(|node| node.id));
            let ancestors = &chain[..chain.len() - 1];
            if ancestors.iter().any(|node| roots.contains(&node.id)) {
                continue;
            }
            let size = counters::of(rows, root)?.descendants.unsigned_abs() + 1;
            for (n, node) in ancestors.iter().enumerate() {
                let next = chain[n + 1].id;
                let is_new_step = below.entry(node.id).or_default().insert(next) && next != root;
                *above.entry(node.id).or_default() += size;
                if is_new_step {
                    // The step itself is seen too, from all its ancestors.
                    for ancestor in &ancestors[..=n] {
                        *above.entry(ancestor.id).or_default() += 1;
                    }
                }
            }
        }
        Ok(Self::Roots { roots: alive, above, below, connections })
    }

    /// How much is seen of the last of a lineage of ids.
    pub(super) fn visible(&self, lineage: &[u128]) -> Visible {
        match self {
            Self::All => Visible::Whole,
            Self::Roots { roots, .. } if lineage.iter().any(|id| roots.contains(id)) => Visible::Whole,
            Self::Roots { above, .. } if lineage.last().is_some_and(|id| above.contains_key(id)) => Visible::OnPath,
            Self::Roots { .. } => Visible::No,
        }
    }

    /// How much is seen of the last object of a chain.
    pub(super) fn of(&self, chain: &[Node]) -> Visible {
        self.visible(&chain.iter().map(|node| node.id).collect::<Vec<_>>())
    }

    /// The children that are seen of an object that is only a step on the path.
    pub(super) fn steps_below(&self, id: u128) -> Vec<u128> {
        match self {
            Self::All => Vec::new(),
            Self::Roots { below, .. } => below.get(&id).into_iter().flatten().copied().collect(),
        }
    }

    /// The connections of which anything is seen; none: all.
    pub(super) fn connections(&self) -> Option<&BTreeSet<u128>> {
        match self {
            Self::All => None,
            Self::Roots { connections, .. } => Some(connections),
        }
    }

    fn seen_below(&self, id: u128) -> u64 {
        match self {
            Self::All => 0,
            Self::Roots { above, .. } => above.get(&id).copied().unwrap_or_default(),
        }
    }
}

/// What a walk knows of an object from its ancestors and itself.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) own: Overrides,
    pub(super) inherited: Inherited,
    pub(super) remote_status: RemoteStatus,
    /// What the patterns may still say of what lies below; none where it is left out by them.
    way: Option<Way>,
}

impl Standing {
    /// Of a connection's own object.
    pub(super) fn root(own: Overrides, filter: &Filter) -> Self {
        let inherited = Inherited::default().then(&own);
        Self { own, inherited, remote_status: RemoteStatus::Present, way: Some(filter.top()) }
    }

    /// Computed along a chain.
    pub(super) fn of(rows: &impl Rows, chain: &[Node], filter: &Filter) -> Result<Self, Fault> {
        let (first, rest) = chain.split_first().ok_or(Fault::Broken("an empty chain"))?;
        let root = Self::root(tree::overrides(rows, first.id)?, filter);
        rest.iter().try_fold(root, |above, node| {
            Ok(above.child(filter, &node.row.name, tree::overrides(rows, node.id)?, node.row.mark()))
        })
    }

    /// One step further down.
    pub(super) fn child(&self, filter: &Filter, name: &str, own: Overrides, mark: RemoteStatus) -> Self {
        let way = self.way.as_ref().and_then(|way| filter.below(way, name));
        let is_excluded = |status| status == RemoteStatus::Excluded;
        let remote_status = if way.is_none() || is_excluded(mark) || is_excluded(self.remote_status) {
            RemoteStatus::Excluded
        } else if mark == RemoteStatus::Present {
            self.remote_status
        } else {
            mark
        };
        Self { own, inherited: self.inherited.then(&own), remote_status, way }
    }

    /// Whether the object counts as enabled.
    pub(super) fn active(&self) -> bool {
        self.inherited.effective().is_active && self.remote_status == RemoteStatus::Present
    }
}

/// The last object of a chain, as much of it as the caller sees; none where it sees nothing.
pub(super) fn view(rows: &impl Rows, lens: &Lens, chain: &[Node]) -> Result<Option<ObjectView>, Fault> {
    let (Some(first), Some(last)) = (chain.first(), chain.last()) else { return Ok(None) };
    let Some((technology, filter)) = connections::setup(rows, first.id)? else { return Ok(None) };
    match lens.of(chain) {
        Visible::No => Ok(None),
        Visible::OnPath => step(lens, chain, last, technology, &filter).map(Some),
        Visible::Whole => whole(rows, chain, last, technology, &filter).map(Some),
    }
}

fn whole(
    rows: &impl Rows,
    chain: &[Node],
    last: &Node,
    technology: Technology,
    filter: &Filter,
) -> Result<ObjectView, Fault> {
    let standing = Standing::of(rows, chain, filter)?;
    let numbers = counters::of(rows, last.id)?;
    let row = &last.row;
    Ok(ObjectView {
        visible: Visible::Whole,
        id: ObjectId::from_u128(last.id),
        connection: ConnectionId::from_u128(row.connection),
        technology,
        path: tree::path_of(chain)?,
        parent: row.parent.map(ObjectId::from_u128),
        namespace: row.namespace.clone(),
        facts: row.facts(),
        remote_status: standing.remote_status,
        exclusion: tree::exclusion(rows, chain, filter)?,
        held: held(rows, chain)?,
        settings: standing.inherited.effective(),
        overrides: standing.own,
        active: standing.active(),
        child_count: numbers.descendants.unsigned_abs(),
        descendants_have_overrides: numbers.overrides > 0,
        columns_known: row.columns_known,
        revision: row.revision,
        last_synced_at: last_listed(rows, last)?.map(time).transpose()?,
        created_at: time(row.created_at)?,
        updated_at: time(row.updated_at)?,
    })
}

/// The undecided hold that the last object of a chain, or the nearest one above it, is in.
fn held(rows: &impl Rows, chain: &[Node]) -> Result<Option<HoldId>, Fault> {
    let connection = chain.first().map_or(0, |node| node.id);
    if !holds::is_any(rows, connection)? {
        return Ok(None);
    }
    Ok(holds::of_chain(rows, chain)?.map(HoldId::from_u128))
}

/// When a container was last listed, or the container of what is none: then it was seen there.
fn last_listed(rows: &impl Rows, node: &Node) -> Result<Option<i64>, Fault> {
    let mut last = None;
    for row in rows.listed().range((node.id, "")..(node.id + 1, ""))? {
        last = last.max(Some(decode::<ListedRow>(row?.1.value())?.at));
    }
    if last.is_none()
        && node.row.kind() != Kind::Container
        && let Some(parent) = node.row.parent
        && let Some(listed) = rows.listed().get((parent, node.row.listed_namespace()))?
    {
        last = Some(decode::<ListedRow>(listed.value())?.at);
    }
    Ok(last)
}

/// A bare step: nothing that tells about siblings of what is seen.
fn step(
    lens: &Lens,
    chain: &[Node],
    last: &Node,
    technology: Technology,
    filter: &Filter,
) -> Result<ObjectView, Fault> {
    let row = &last.row;
    Ok(ObjectView {
        visible: Visible::OnPath,
        id: ObjectId::from_u128(last.id),
        connection: ConnectionId::from_u128(row.connection),
        technology,
        path: tree::path_of(chain)?,
        parent: row.parent.map(ObjectId::from_u128),
        namespace: row.namespace.clone(),
        facts: Facts {
            kind: row.kind(),
            object_type: row.object_type.clone(),
            remote_id: None,
            comment: None,
            attributes: Vec::new(),
        },
        remote_status: tree::remote_status(chain, filter),
        exclusion: None,
        held: None,
        settings: EffectiveSettings { is_active: false, new_children: false },
        overrides: Overrides::default(),
        active: false,
        child_count: lens.seen_below(last.id),
        descendants_have_overrides: false,
        columns_known: false,
        revision: 0,
        last_synced_at: None,
        created_at: time(row.created_at)?,
        updated_at: time(row.created_at)?,
    })
}
