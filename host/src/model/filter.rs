//! What of an account is listed: a connection's include and exclude patterns (D41).
//!
//! A pattern is a glob for each level from below the connection: `*` any characters, `?` any one, `\` takes the next
//! character as it is; compared exactly, case included. It speaks of the objects at its depth and of everything below
//! them, so that whatever lies below something left out is left out too. Connectors read the same rules in their own
//! SDK; the two share no code, only the text of the patterns.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::path::{MAX_LEVEL, is_plain, split};

/// Most patterns of each list.
pub const MAX_PATTERNS: usize = 500;
/// Longest glob, in characters: a name of full length with every character escaped.
const MAX_GLOB_CHARS: usize = 512;
/// Most text of all patterns together, in bytes: connectors are told them with every call.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// A glob for each level from below the connection.
///
/// Shown as an object path is, with globs for names, so that `parse(display(p)) == p`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(Vec<String>);

/// Patterns that the inventory keeps to. The default one leaves nothing out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
}

/// One of the two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// What is listed.
    Include,
    /// What of that is not.
    Exclude,
}

/// A pattern that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// No level.
    #[error("has no level; at least one is needed")]
    Empty,
    /// More levels than a tree has.
    #[error("has {0} levels; at most 31 are allowed")]
    TooDeep(usize),
    /// A level, from 1, without a glob.
    #[error("has nothing at level {0}; write * for any name")]
    EmptyGlob(usize),
    /// A level, from 1, whose glob is longer than any name could need.
    #[error("has more than 512 characters at level {0}")]
    LongGlob(usize),
    /// Text whose quotes do not match, at this character from 0.
    #[error("is not well formed at character {0}: levels are joined by dots and quoted with \" where they hold one")]
    Syntax(usize),
}

/// Lists of patterns that cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFilter {
    /// Too many in one list.
    #[error("{1} patterns are more than 500")]
    TooMany(List, usize),
    /// Too much text in all.
    #[error("the patterns together have more than 64 KiB of text")]
    TooLarge,
}

/// Why an object is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// By this exclude pattern.
    Pattern(Pattern),
    /// No include pattern names it.
    NotIncluded,
    /// The connector says so, in its own words.
    Connector(String),
}

/// Where a walk downwards stands: which patterns may still speak of what lies below. The default one is that of a filter
/// without patterns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    depth: usize,
    /// Include patterns that agree so far; none: everything below is included.
    include: Option<Vec<u16>>,
    /// Exclude patterns that agree so far.
    exclude: Vec<u16>,
}

impl Pattern {
    /// A glob for each level.
    pub fn new(globs: Vec<String>) -> Result<Self, InvalidPattern> {
        if globs.is_empty() {
            return Err(InvalidPattern::Empty);
        }
        if globs.len() >= MAX_LEVEL {
            return Err(InvalidPattern::TooDeep(globs.len()));
        }
        for (level, glob) in (1..).zip(&globs) {
            if glob.is_empty() {
                return Err(InvalidPattern::EmptyGlob(level));
            }
            // Bytes first: megabytes are not counted character by character.
            if glob.len() > MAX_GLOB_CHARS * 4 || glob.chars().count() > MAX_GLOB_CHARS {
                return Err(InvalidPattern::LongGlob(level));
            }
        }
        Ok(Self(globs))
    }

    /// Globs, from below the connection down.
    #[must_use]
    pub fn globs(&self) -> &[String] {
        &self.0
    }

    /// Whether it matches every object at its depth.
    #[must_use]
    pub fn is_sweeping(&self) -> bool {
        self.0.iter().all(|glob| glob.chars().all(|c| c == '*'))
    }

    /// Whether the glob of a level, from 0, takes a name.
    #[must_use]
    pub fn takes(&self, level: usize, name: &str) -> bool {
        self.0.get(level).is_some_and(|glob| matches(glob, name))
    }

    fn agrees<'n>(&self, path: impl IntoIterator<Item = &'n str>) -> bool {
        self.0.iter().zip(path).all(|(glob, name)| matches(glob, name))
    }
}

impl Filter {
    /// A filter of these patterns.
    pub fn new(include: Vec<Pattern>, exclude: Vec<Pattern>) -> Result<Self, InvalidFilter> {
        for (list, patterns) in [(List::Include, &include), (List::Exclude, &exclude)] {
            if patterns.len() > MAX_PATTERNS {
                return Err(InvalidFilter::TooMany(list, patterns.len()));
            }
        }
        let text: usize = include.iter().chain(&exclude).flat_map(|pattern| &pattern.0).map(String::len).sum();
        if text > MAX_TEXT_BYTES {
            return Err(InvalidFilter::TooLarge);
        }
        Ok(Self { include, exclude })
    }

    /// Nothing but what one of these names, and the containers on the way there; all if there is none.
    #[must_use]
    pub fn include(&self) -> &[Pattern] {
        &self.include
    }

    /// Of that, not what one of these names.
    #[must_use]
    pub fn exclude(&self) -> &[Pattern] {
        &self.exclude
    }

    /// Whether nothing is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// The way at the connection itself.
    #[must_use]
    pub fn top(&self) -> Way {
        let all = |patterns: &[Pattern]| (0_u16..).take(patterns.len()).collect::<Vec<_>>();
        Way { depth: 0, include: (!self.include.is_empty()).then(|| all(&self.include)), exclude: all(&self.exclude) }
    }

    /// The way at a child; none where it is left out, and with it everything below.
    #[must_use]
    pub fn below(&self, way: &Way, name: &str) -> Option<Way> {
        let depth = way.depth + 1;
        let agree = |patterns: &[Pattern], open: &[u16]| -> (Vec<u16>, bool) {
            let (mut longer, mut named) = (Vec::new(), false);
            for &n in open {
                if let Some(pattern) = patterns.get(usize::from(n))
                    && pattern.takes(way.depth, name)
                {
                    if pattern.0.len() == depth { named = true } else { longer.push(n) }
                }
            }
            (longer, named)
        };
        let (exclude, is_excluded) = agree(&self.exclude, &way.exclude);
        if is_excluded {
            return None;
        }
        let include = match &way.include {
            None => None,
            Some(open) => match agree(&self.include, open) {
                (_, true) => None,
                (longer, false) if longer.is_empty() => return None,
                (longer, false) => Some(longer),
            },
        };
        Some(Way { depth, include, exclude })
    }

    /// Whether the object at this path below the connection is listed: one that is included, lies below one that is, or
    /// is a container on the way to what may be; and neither it nor anything above it is excluded.
    #[must_use]
    pub fn keeps<'n>(&self, path: impl IntoIterator<Item = &'n str>) -> bool {
        if self.is_empty() {
            return true;
        }
        path.into_iter().try_fold(self.top(), |way, name| self.below(&way, name)).is_some()
    }

    /// Why the object at this path is left out; none where it is not.
    #[must_use]
    pub fn leaves_out<'n>(&self, path: impl IntoIterator<Item = &'n str> + Clone) -> Option<Exclusion> {
        if self.keeps(path.clone()) {
            return None;
        }
        let depth = path.clone().into_iter().count();
        let names = |pattern: &&Pattern| pattern.0.len() <= depth && pattern.agrees(path.clone());
        Some(match self.exclude.iter().find(names) {
            Some(pattern) => Exclusion::Pattern(pattern.clone()),
            None => Exclusion::NotIncluded,
        })
    }

    /// Whether it may keep something that another one leaves out. Decided by the patterns alone: it may say so of two
    /// that mean the same, never the other way round.
    #[must_use]
    pub fn may_widen(&self, before: &Self) -> bool {
        let narrows_in = before.include.is_empty()
            || (!self.include.is_empty() && self.include.iter().all(|pattern| before.include.contains(pattern)));
        let narrows_out = before.exclude.iter().all(|pattern| self.exclude.contains(pattern));
        !(narrows_in && narrows_out)
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    /// Takes a text apart like an object path: levels joined by dots, those that hold one in double quotes.
    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        Self::new(split(text).map_err(InvalidPattern::Syntax)?)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, glob) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(".")?;
            }
            if glob.split(['*', '?', '\\']).all(is_plain) {
                f.write_str(glob)?;
            } else {
                write!(f, "\"{}\"", glob.replace('"', "\"\""))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Include => "include",
            Self::Exclude => "exclude",
        })
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(pattern) => write!(f, "left out by the pattern {pattern}"),
            Self::NotIncluded => f.write_str("left out: no include pattern names it"),
            Self::Connector(why) => write!(f, "left out by the connector: {why}"),
        }
    }
}

/// One element of a glob.
#[derive(Clone, Copy)]
enum Element {
    Many,
    One,
    Exactly(char),
}

/// The first element of a glob, and what follows.
fn first(glob: &str) -> Option<(Element, &str)> {
    let mut chars = glob.chars();
    let element = match chars.next()? {
        '*' => Element::Many,
        '?' => Element::One,
        // A backslash at the very end stands for itself.
        '\\' => Element::Exactly(chars.next().unwrap_or('\\')),
        other => Element::Exactly(other),
    };
    Some((element, chars.as_str()))
}

/// Whether a glob matches a whole name. Goes back to the last `*` only, so that it takes at most the product of both
/// lengths, whatever the pattern.
fn matches(mut glob: &str, mut name: &str) -> bool {
    let mut retry: Option<(&str, &str)> = None;
    loop {
        let mut rest = name.chars();
        let Some(next) = rest.next() else { return glob.chars().all(|c| c == '*') };
        match first(glob) {
            Some((Element::Many, after)) => {
                retry = Some((after, name));
                glob = after;
            }
            Some((Element::One, after)) => (glob, name) = (after, rest.as_str()),
            Some((Element::Exactly(c), after)) if c == next => (glob, name) = (after, rest.as_str()),
            _ => {
                // The last `*` takes one character more.
                let Some((after, from)) = retry else { return false };
                let mut taken = from.chars();
                taken.next();
                (glob, name) = (after, taken.as_str());
                retry = Some((glob, name));
            }
        }
    }
}

#[cfg(test)]
mod tests;
