//! What happens in a sequence, made from a seed: each step names what it is about, so that steps can be left out and the
//! rest still makes sense.

use std::collections::{BTreeMap, BTreeSet};

use super::model::holds::Rule;
use crate::model::{
    column::Column,
    settings::{NewChildren, SettingsChange},
};

/// SplitMix64: the same numbers for the same seed, on every machine.
#[derive(Clone, Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).expect("bound")).expect("number")
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

/// How the platform, its connector and the connection are.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) remote_ids_unique: bool,
    pub(super) confirms: bool,
    pub(super) page_size: usize,
    /// Whether each container is listed in two partitions, of which one fails where its listing does.
    pub(super) splits: bool,
    /// Whether tables have fingerprints.
    pub(super) fingerprints: bool,
    /// Whether the connector itself asks only for what the patterns keep.
    pub(super) knows_patterns: bool,
    /// Whether it reports what it may not read, instead of leaving it out silently.
    pub(super) tells_hidden: bool,
    pub(super) settings: SettingsChange,
    pub(super) hold: Rule,
    pub(super) tables: Vec<(String, String)>,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A table is made, with its containers.
    Add(String, String),
    /// A table has other columns.
    Columns(String, String),
    Comment(String, Option<String>),
    Drop(String),
    /// A thing is dropped and made anew, under another id.
    Remake(String),
    /// A thing is renamed or moved.
    Rename(String, String),
    /// Two things trade places.
    Swap(String, String),
    /// The platform gives a thing the id of another one.
    SameId(String, String),
    /// The connector lists as somebody else.
    Role(&'static str),
    /// The platform begins or stops to hide a thing from listings.
    Hide(String),
    /// A container's listing begins or stops to fail.
    Fail(String),
    /// The connector begins or stops to leave a thing out.
    LeaveOut(String),
    /// Somebody asks for a sync.
    Sync(String, bool),
    /// Somebody changes settings.
    Set(String, SettingsChange),
    /// Somebody deletes an object.
    Delete(String),
    /// Somebody changes the patterns: include, exclude.
    Patterns(Vec<&'static str>, Vec<&'static str>),
    /// Somebody releases, or rejects, one of the holds.
    Decide(usize, bool),
    /// Somebody cancels one of the jobs.
    Cancel(usize),
    /// The host does so many steps of its jobs, in an order that the number decides.
    Work(usize, u64),
    /// The host does all that waits.
    Settle(u64),
    /// The host is killed and started again.
    Crash,
    /// The host gives back rows of what was deleted.
    Reclaim(usize),
}

/// A sequence.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) setup: Setup,
    pub(super) steps: Vec<Step>,
}

const CATALOGS: [&str; 4] = ["a", "b", "c", "managed"];
const SCHEMAS: [&str; 3] = ["p", "q", "r"];
const TABLES: [&str; 5] = ["t", "u", "v", "w", "x"];
const PATTERNS: [&str; 9] = ["a", "b", "*.p", "*.q", "a.q", "b.p.t", "*.*.u", "a.*.v", "c.r"];
const COLUMNS: [&str; 5] = ["id", "name", "at", "", "id"];
const TYPES: [&str; 3] = ["int", "text", "bigint"];

/// Columns as `name:type`, with `?` for nullable and `!` for not.
pub(super) fn columns(spec: &str) -> Vec<Column> {
    let column = |part: &str| {
        let (name, rest) = part.split_once(':').expect("name:type");
        let data_type = rest.trim_end_matches(['?', '!', '#']).to_owned();
        let nullable = if rest.contains('?') { Some(true) } else { rest.contains('!').then_some(false) };
        let comment = rest.contains('#').then(|| "said".to_owned());
        Column { name: name.into(), data_type, nullable, comment, position: None }
    };
    spec.split_whitespace().map(column).collect()
}

fn some_columns(random: &mut Random) -> String {
    let column = |random: &mut Random| {
        let (name, data_type) = (random.pick(&COLUMNS), random.pick(&TYPES));
        format!("{name}:{data_type}{}{}", random.pick(&["", "?", "!"]), random.pick(&["", "", "#"]))
    };
    (0..random.below(4)).map(|_| column(random)).collect::<Vec<_>>().join(" ")
}

/// Mostly a small change, of the kind that is easily overlooked.
fn other_columns(random: &mut Random, was: &str) -> String {
    let mut parts: Vec<String> = was.split_whitespace().map(str::to_owned).collect();
    if parts.is_empty() || random.one_in(3) {
        return some_columns(random);
    }
    let n = random.below(parts.len());
    match random.below(5) {
        0 => {
            let bare = parts[n].trim_end_matches(['?', '!', '#']).to_owned();
            parts[n] = format!("{bare}{}", random.pick(&["", "?", "!"]));
        }
        1 => parts.reverse(),
        2 => {
            parts.remove(n);
        }
        3 => parts.push(format!("{}:int", random.pick(&COLUMNS))),
        _ => {
            let name = parts[n].split(':').next().unwrap_or_default().to_owned();
            parts[n] = format!("{name}:{}", random.pick(&TYPES));
        }
    }
    parts.join(" ")
}

fn some_table(random: &mut Random) -> String {
    let catalog = if random.one_in(12) { "managed" } else { random.pick(&CATALOGS[..3]) };
    format!("{catalog}/{}/{}", random.pick(&SCHEMAS), random.pick(&TABLES))
}

fn some_object(random: &mut Random) -> String {
    let table = some_table(random);
    let parts: Vec<&str> = table.split('/').collect();
    parts[..random.below(4)].join("/")
}

fn some_settings(random: &mut Random) -> SettingsChange {
    let status = random.pick(&[Some(true), Some(true), Some(false), None]);
    let rules = [Some(NewChildren::Enable), Some(NewChildren::Disable), Some(NewChildren::Inherit), None];
    let rule = random.pick(&rules);
    match random.below(5) {
        0 | 1 => SettingsChange { is_active: Some(status), new_children: None },
        2 => SettingsChange { is_active: None, new_children: Some(rule) },
        _ => SettingsChange { is_active: Some(status), new_children: Some(rule) },
    }
}

/// The names at the platform so far, with columns: what a step can sensibly be about.
#[derive(Default)]
struct Sketch(BTreeMap<String, String>);

impl Sketch {
    fn add(&mut self, table: &str, columns: &str) {
        self.0.insert(table.to_owned(), columns.to_owned());
    }

    fn any(&self, random: &mut Random, depth: usize) -> Option<String> {
        let cut = |name: &String| name.split('/').take(depth).collect::<Vec<_>>().join("/");
        let all: Vec<String> = self.0.keys().map(cut).collect::<BTreeSet<_>>().into_iter().collect();
        (!all.is_empty()).then(|| random.pick(&all))
    }

    fn shift(&mut self, from: &str, to: &str) {
        let below = format!("{from}/");
        let is_it = |name: &str| name == from || name.starts_with(&below);
        let (moved, rest) = std::mem::take(&mut self.0).into_iter().partition(|(name, _)| is_it(name));
        self.0 = rest;
        let moved: BTreeMap<String, String> = moved;
        self.0.extend(moved.into_iter().map(|(name, columns)| (format!("{to}{}", &name[from.len()..]), columns)));
    }

    fn drop(&mut self, path: &str) {
        let below = format!("{path}/");
        self.0.retain(|name, _| name != path && !name.starts_with(&below));
    }
}

/// The sequence of a seed.
pub(super) fn plan(seed: u64) -> Plan {
    let mut random = Random(seed);
    let random = &mut random;
    let mut sketch = Sketch::default();
    for _ in 0..2 + random.below(24) {
        let (table, columns) = (some_table(random), some_columns(random));
        sketch.add(&table, &columns);
    }
    let setup = Setup {
        remote_ids_unique: !random.one_in(4),
        confirms: random.one_in(2),
        page_size: 1 + random.below(4),
        splits: random.one_in(3),
        fingerprints: !random.one_in(3),
        knows_patterns: random.one_in(2),
        tells_hidden: random.one_in(2),
        settings: some_settings(random),
        // Mostly so that small catalogs are held back too, and sometimes so that nothing but emptied containers is.
        hold: Rule { share: random.pick(&[0, 20, 50, 100]), minimum: random.pick(&[1, 4, 8, 50]) },
        tables: sketch.0.clone().into_iter().collect(),
    };
    let mut steps = Vec::new();
    let length = 5 + random.below(26);
    while steps.len() < length {
        steps.extend(step(random, &mut sketch));
    }
    Plan { setup, steps }
}

fn step(random: &mut Random, sketch: &mut Sketch) -> Option<Step> {
    let depth = random.pick(&[1, 2, 2, 3, 3, 3, 3]);
    Some(match random.below(44) {
        0..=3 => {
            let (table, columns) = (some_table(random), some_columns(random));
            sketch.add(&table, &columns);
            Step::Add(table, columns)
        }
        4..=6 => {
            let table = sketch.any(random, 3)?;
            let columns = other_columns(random, sketch.0.get(&table)?);
            sketch.add(&table, &columns);
            Step::Columns(table, columns)
        }
        7 => Step::Comment(sketch.any(random, depth)?, random.pick(&[Some("new".into()), Some("other".into()), None])),
        8 | 9 => {
            let path = sketch.any(random, depth)?;
            sketch.drop(&path);
            Step::Drop(path)
        }
        10 => Step::Remake(sketch.any(random, depth)?),
        11..=13 => {
            let from = sketch.any(random, depth)?;
            let to = some_table(random).split('/').take(depth).collect::<Vec<_>>().join("/");
            if sketch.0.keys().any(|name| *name == to || name.starts_with(&format!("{to}/"))) {
                return None;
            }
            sketch.shift(&from, &to);
            Step::Rename(from, to)
        }
        14 => {
            let (one, other) = (sketch.any(random, depth)?, sketch.any(random, depth)?);
            sketch.shift(&one, "swap");
            sketch.shift(&other, &one);
            sketch.shift("swap", &other);
            Step::Swap(one, other)
        }
        15 if random.one_in(4) => Step::SameId(sketch.any(random, depth)?, sketch.any(random, depth)?),
        15 | 16 => Step::Hide(sketch.any(random, depth)?),
        17 => {
            let depth = random.below(3);
            Step::Fail(if depth == 0 { String::new() } else { sketch.any(random, depth)? })
        }
        18 => Step::LeaveOut(sketch.any(random, depth)?),
        19..=22 => {
            let path = if random.one_in(3) { String::new() } else { sketch.any(random, depth)? };
            Step::Sync(path, random.one_in(3))
        }
        23..=26 => Step::Set(some_object(random), some_settings(random)),
        27 => Step::Delete(sketch.any(random, depth)?),
        28 => {
            let mut some = |n: usize| (0..random.below(n)).map(|_| random.pick(&PATTERNS)).collect::<Vec<_>>();
            Step::Patterns(some(3), some(3))
        }
        29 => Step::Cancel(random.below(4)),
        30..=33 => Step::Work(1 + random.below(12), random.next()),
        34..=36 => Step::Settle(random.next()),
        37 | 38 => Step::Crash,
        39..=41 => Step::Decide(random.below(3), !random.one_in(3)),
        42 => Step::Role(random.pick(&["reader", "writer"])),
        _ => Step::Reclaim(1 + random.below(5)),
    })
}
