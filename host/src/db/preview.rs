//! What patterns would leave of the objects that are known, before they are stored.
//!
//! One walk over the stored tree of a connection, with the patterns in hand. It counts what the same patterns, stored,
//! would make every other read say; what was never found, because patterns of today leave it out, it cannot know.

use super::{Db, DbError, fault::Fault, tables::ReadRows, tree};
use crate::model::{
    filter::{Filter, Pattern, Way},
    id::ConnectionId,
    name::Ident,
    object::RemoteStatus,
    path::RemotePath,
};

/// Names of each kind that are told of a level.
const TOLD: usize = 20;

/// Objects and comparisons with a pattern that one preview costs at most.
const MAX_WORK: u64 = 20_000_000;

/// What patterns would leave.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    /// From the level below the connection down.
    pub levels: Vec<LevelPreview>,
    /// For each include pattern, how many known objects at its depth it names.
    pub include_matches: Vec<u64>,
    /// The same for each exclude pattern.
    pub exclude_matches: Vec<u64>,
    /// Whether it ended before everything was looked at.
    pub cut_short: bool,
}

/// One level of it.
#[derive(Clone, Debug, Default)]
pub struct LevelPreview {
    /// Objects that stay.
    pub kept: u64,
    /// Objects that are left out, by the patterns or, as before, by the connector.
    pub left_out: u64,
    /// Objects that are missing, and not left out.
    pub missing: u64,
    /// The first that stay, in the order of paths.
    pub first_kept: Vec<RemotePath>,
    /// The first that are left out.
    pub first_left_out: Vec<RemotePath>,
}

impl Preview {
    /// Sums over all levels: kept, left out, missing.
    #[must_use]
    pub fn totals(&self) -> (u64, u64, u64) {
        self.levels.iter().fold((0, 0, 0), |(kept, left_out, missing), level| {
            (kept + level.kept, left_out + level.left_out, missing + level.missing)
        })
    }
}

impl Db {
    /// What a filter would leave of a connection's known objects.
    pub async fn preview_filter(&self, id: ConnectionId, filter: Filter) -> Result<Preview, DbError> {
        self.read("preview patterns", move |rows| {
            let patterns: Vec<&Pattern> = filter.include().iter().chain(filter.exclude()).collect();
            let all: Vec<usize> = (0..patterns.len()).collect();
            let mut walk = Walk {
                rows,
                filter: &filter,
                matches: vec![0; patterns.len()],
                patterns,
                path: RemotePath::default(),
                levels: Vec::new(),
                work: 0,
            };
            let top = At { way: Some(filter.top()), mark: RemoteStatus::Present };
            walk.children(id.as_u128(), &top, &all)?;
            let cut_short = walk.work >= MAX_WORK;
            let (levels, mut include_matches) = (walk.levels, walk.matches);
            let exclude_matches = include_matches.split_off(filter.include().len());
            Ok(Preview { levels, include_matches, exclude_matches, cut_short })
        })
        .await
    }
}

/// What is known of a container on the way down.
struct At {
    /// None where the patterns leave it out.
    way: Option<Way>,
    /// The status apart from the patterns.
    mark: RemoteStatus,
}

struct Walk<'a> {
    rows: &'a ReadRows,
    filter: &'a Filter,
    /// Include patterns, then exclude patterns.
    patterns: Vec<&'a Pattern>,
    matches: Vec<u64>,
    path: RemotePath,
    levels: Vec<LevelPreview>,
    work: u64,
}

impl Walk<'_> {
    /// Counts what lies in a container. `open` are the patterns that agree with its path and go on.
    fn children(&mut self, parent: u128, above: &At, open: &[usize]) -> Result<(), Fault> {
        let level = self.path.0.len();
        for (name, id) in tree::children_of(self.rows, parent)? {
            self.work += 1 + u64::try_from(open.len()).unwrap_or(u64::MAX);
            if self.work >= MAX_WORK {
                return Ok(());
            }
            let Some(row) = tree::object(self.rows, id)? else { continue };
            let mut longer = Vec::new();
            for &n in open {
                if self.patterns[n].takes(level, &name) {
                    if self.patterns[n].globs().len() == level + 1 {
                        self.matches[n] += 1;
                    } else {
                        longer.push(n);
                    }
                }
            }
            let way = above.way.as_ref().and_then(|way| self.filter.below(way, &name));
            let mark = match (above.mark, row.mark()) {
                (RemoteStatus::Excluded, _) | (_, RemoteStatus::Excluded) => RemoteStatus::Excluded,
                (RemoteStatus::Present, own) => own,
                (RemoteStatus::Missing, _) => RemoteStatus::Missing,
            };
            let at = At { way, mark };
            self.path.0.push(tree::ident(&name)?);
            self.count(&at);
            self.children(id, &at, &longer)?;
            self.path.0.pop();
        }
        Ok(())
    }

    fn count(&mut self, at: &At) {
        let level = self.path.0.len() - 1;
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, LevelPreview::default);
        }
        let it = &mut self.levels[level];
        let tell = |first: &mut Vec<RemotePath>, path: &Vec<Ident>| {
            if first.len() < TOLD {
                first.push(RemotePath(path.clone()));
            }
        };
        let status = if at.way.is_none() { RemoteStatus::Excluded } else { at.mark };
        match status {
            RemoteStatus::Excluded => {
                it.left_out += 1;
                tell(&mut it.first_left_out, &self.path.0);
            }
            RemoteStatus::Missing => it.missing += 1,
            RemoteStatus::Present => {
                it.kept += 1;
                tell(&mut it.first_kept, &self.path.0);
            }
        }
    }
}
