//! Reading the history: the feed of everything below an object, the changes of one object, and those of one job.
//!
//! A feed is in the order of commits, and its cursor names the next change to be read, so that nothing is skipped or
//! repeated, across restarts too. What belongs to it is decided by where an object was when it changed, which never
//! changes afterwards. Whether the caller sees a change is decided by where the object is now; of what is gone only those
//! learn who see everything.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use redb::ReadableTable as _;
use serde::{Deserialize, Serialize};

use super::{
    Db, DbError, ObjectRef,
    changes::{self, DetailsRow, Within},
    dry::{self, DryChangesRow},
    fault::{Fault, Stop},
    holds, jobs, queue,
    records::{ChangesRow, decode, encode, micros, time},
    tables::{ReadRows, Rows},
    tree,
    view::Lens,
};
use crate::model::{
    change::{Applied, ChangeKind, Entry},
    diff::{Change, What},
    id::JobId,
    path::ObjectPath,
    sight::{Sight, Visible},
};

/// Most changes that are looked at for one answer: whoever filters much gets a short page and goes on.
const EXAMINED: usize = 50_000;

/// Most changes of one answer.
pub const MAX_CHANGES: usize = 500;

/// The sequence of no commit: where a cursor stands among what a job holds back.
const HELD: u64 = u64::MAX;

/// Which part of a feed to read.
#[derive(Clone, Debug, Default)]
pub struct FeedQuery {
    /// Where to go on; none begins with the oldest change that is kept, or with the newest.
    pub cursor: Option<String>,
    /// Only changes at or after this time.
    pub since: Option<Timestamp>,
    /// Only changes before this time.
    pub until: Option<Timestamp>,
    /// Only these kinds; none for all.
    pub kinds: Vec<ChangeKind>,
    /// From the newest backwards.
    pub newest_first: bool,
    /// Changes to give, 1 to [`MAX_CHANGES`].
    pub size: usize,
}

/// A part of a feed.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    /// In order.
    pub entries: Vec<Entry>,
    /// Where to go on. Always there: more may happen.
    pub next: String,
    /// Whether there may be more by now.
    pub more: bool,
    /// Changes up to this time are kept no more.
    pub pruned_until: Option<Timestamp>,
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The caller sees no such object or job.
    #[error("there is no such object")]
    NotFound,
    /// The cursor is not one of this feed.
    #[error("the cursor is not one of this feed")]
    Cursor,
    /// Changes after the cursor are kept no more.
    #[error("the cursor is too old: changes up to {0} are kept no more, and some of them were not read")]
    Gone(Timestamp),
    /// The store failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// A place in a feed: the next change to be read, or, backwards, the one that was read last. Behind it, among what a job
/// holds back, stands the key of the last that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    version: u8,
    /// The object or job whose feed it is.
    of: u128,
    backwards: bool,
    sequence: u64,
    index: u32,
}

impl Db {
    /// What happened at an object and everything below it.
    pub async fn changes(&self, sight: &Sight, object: &ObjectRef, query: FeedQuery) -> Result<Feed, FeedError> {
        let (sight, object) = (sight.clone(), object.clone());
        self.read("read changes", move |rows| {
            let mut reader = Reader::new(rows, &sight, query)?;
            let (id, connection) = reader.find(&sight, &object)?;
            reader.read_feed(id, connection)
        })
        .await
    }

    /// What happened at one object, the newest first.
    pub async fn history(&self, sight: &Sight, object: &ObjectRef, query: FeedQuery) -> Result<Feed, FeedError> {
        let (sight, object) = (sight.clone(), object.clone());
        self.read("read a history", move |rows| {
            let mut reader = Reader::new(rows, &sight, FeedQuery { newest_first: true, ..query })?;
            let (id, connection) = reader.find(&sight, &object)?;
            let place = reader.start(id, u64::MAX)?;
            let range = (id, 0)..=(id, place.sequence);
            let sequences = rows.object_changes.range(range)?.rev().map(|row| Ok((row?.0.value().1, connection)));
            reader.pick(place, sequences, |change, _| change.object.as_u128() == id)?;
            reader.finish(id, connection, 0)
        })
        .await
    }

    /// What a job changed, in the order in which it did; of one that has ended, then what it holds back; of a dry run what
    /// it would have changed.
    pub async fn job_changes(&self, sight: &Sight, job: JobId, query: FeedQuery) -> Result<Feed, FeedError> {
        let sight = sight.clone();
        self.read("read the changes of a job", move |rows| {
            let id = job.as_u128();
            let mut reader = Reader::new(rows, &sight, FeedQuery { newest_first: false, ..query })?;
            let row = queue::job(rows, id)?.ok_or(Stop::Refused(FeedError::NotFound))?;
            if !jobs::sees(rows, &reader.lens, &row)? {
                return Err(Stop::Refused(FeedError::NotFound));
            }
            let place = reader.start(id, 0)?;
            if dry::is_dry(rows, id)? {
                return reader.read_dry(id, row.connection, place);
            }
            reader.refuse_gone(row.connection, place)?;
            let range = (id, place.sequence)..=(id, u64::MAX);
            let sequences = rows.job_changes.range(range)?.map(|row| {
                let (key, connection) = row?;
                Ok((key.value().1, connection.value()))
            });
            reader.pick(place, sequences, |_, _| true)?;
            if row.state().is_final() {
                reader.pick_held(id)?;
            }
            reader.finish(id, row.connection, commit(rows)? + 1)
        })
        .await
    }
}

/// The sequence of the last commit.
fn commit(rows: &impl Rows) -> Result<u64, Fault> {
    let commit = rows.meta().get("commit")?.map_or(0, |row| row.value());
    u64::try_from(commit).map_err(|_| Fault::Broken("the commit sequence is out of range"))
}

/// One answer in the making.
struct Reader<'a> {
    rows: &'a ReadRows,
    lens: Lens,
    query: FeedQuery,
    size: usize,
    since: Option<i64>,
    until: Option<i64>,
    /// Whether objects are in the inventory, and whether the caller sees them.
    objects: HashMap<u128, (bool, bool)>,
    entries: Vec<Entry>,
    examined: usize,
    /// Where to go on, if the answer ended before the feed.
    stopped: Option<(u64, u32)>,
    /// Whether it ended for want of room.
    more: bool,
    /// Of what a job holds back the last that was looked at: its hold and itself.
    held: Option<(u128, u128)>,
}

impl<'a> Reader<'a> {
    fn new(rows: &'a ReadRows, sight: &Sight, query: FeedQuery) -> Result<Self, Fault> {
        Ok(Self {
            rows,
            lens: Lens::new(rows, sight)?,
            size: query.size.clamp(1, MAX_CHANGES),
            since: query.since.map(micros),
            until: query.until.map(micros),
            query,
            objects: HashMap::new(),
            entries: Vec::new(),
            examined: 0,
            stopped: None,
            more: false,
            held: None,
        })
    }

    /// The object and its connection. One that is gone is found by its id, by those who see everything.
    fn find(&self, sight: &Sight, object: &ObjectRef) -> Result<(u128, u128), Stop<FeedError>> {
        if let Some(chain) = tree::find(self.rows, object)? {
            let ends = chain.first().zip(chain.last()).map(|(first, last)| (last.id, first.id));
            return match ends.filter(|_| self.lens.of(&chain) != Visible::No) {
                Some(found) => Ok(found),
                None => Err(Stop::Refused(FeedError::NotFound)),
            };
        }
        if let ObjectRef::Id(id) = object
            && *sight == Sight::All
            && let Some(connection) = self.connection_of_gone(id.as_u128())?
        {
            return Ok((id.as_u128(), connection));
        }
        Err(Stop::Refused(FeedError::NotFound))
    }

    /// The connection that an object was in which is not there any more: the one whose feed has its last change.
    fn connection_of_gone(&self, id: u128) -> Result<Option<u128>, Fault> {
        let last = self.rows.object_changes.range((id, 0)..=(id, u64::MAX))?.next_back().transpose()?;
        let Some(sequence) = last.map(|(key, _)| key.value().1) else { return Ok(None) };
        for row in self.rows.connections.iter()? {
            let connection = row?.0.value();
            if self.rows.changes.get((connection, sequence))?.is_some() {
                return Ok(Some(connection));
            }
        }
        Ok(None)
    }

    fn read_feed(&mut self, id: u128, connection: u128) -> Result<Feed, Stop<FeedError>> {
        let rows = self.rows;
        let belongs = move |change: &Change, containers: &[&Within]| {
            id == connection
                || change.object.as_u128() == id
                || containers.iter().any(|within| within.ids.contains(&id))
        };
        if self.query.newest_first {
            let end = match self.until {
                Some(until) => self.first_at(connection, until)?.checked_sub(1),
                None => Some(u64::MAX),
            };
            let place = self.start(id, end.unwrap_or(0))?;
            let last = place.sequence.min(end.unwrap_or(0));
            let range = (connection, 0)..=(connection, last);
            let sequences = rows.changes.range(range)?.rev().map(|row| Ok((row?.0.value().1, connection)));
            if end.is_some() {
                self.pick(place, sequences, belongs)?;
            }
            return self.finish(id, connection, 0);
        }
        let begin = match self.since {
            Some(since) if self.query.cursor.is_none() => self.first_at(connection, since)?,
            _ => 0,
        };
        let place = self.start(id, begin)?;
        if self.query.cursor.is_some() {
            self.refuse_gone(connection, place)?;
        }
        let range = (connection, place.sequence)..=(connection, u64::MAX);
        let sequences = rows.changes.range(range)?.map(|row| Ok((row?.0.value().1, connection)));
        self.pick(place, sequences, belongs)?;
        self.finish(id, connection, commit(rows)? + 1)
    }

    /// What a dry run found. Its places are numbers of changes, not commits.
    fn read_dry(&mut self, id: u128, connection: u128, place: Cursor) -> Result<Feed, Stop<FeedError>> {
        let rows = self.rows;
        let mut end = place.sequence;
        for found in rows.dry_changes.range((id, place.sequence)..=(id, u64::MAX))? {
            let (key, found) = found?;
            let number = key.value().1;
            let DryChangesRow { at, changes, details, held } = decode(found.value())?;
            end = number + u64::try_from(changes.len()).unwrap_or_default();
            let row = ChangesRow { job: Some(id), at, changes };
            let begin = (number == place.sequence).then_some(place.index);
            let is_early = self.since.is_some_and(|since| at < since);
            let is_late = self.until.is_some_and(|until| at >= until);
            let applied = if held { Applied::WouldHold } else { Applied::No };
            if !is_early && !is_late && !self.take(number, applied, &row, &details, begin, &|_, _| true)? {
                break;
            }
        }
        let feed = self.finish(id, connection, end)?;
        Ok(Feed { pruned_until: None, ..feed })
    }

    /// Where to begin: at the cursor, or at this sequence.
    fn start(&mut self, of: u128, sequence: u64) -> Result<Cursor, Stop<FeedError>> {
        let backwards = self.query.newest_first;
        let Some(text) = &self.query.cursor else {
            return Ok(Cursor { version: 1, of, backwards, sequence, index: if backwards { u32::MAX } else { 0 } });
        };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Stop::Refused(FeedError::Cursor))?;
        let read = postcard::take_from_bytes::<Cursor>(&bytes);
        let (cursor, rest) = read.map_err(|_| Stop::Refused(FeedError::Cursor))?;
        self.held = match rest {
            [] => None,
            rest => Some(decode(rest).map_err(|_| Stop::Refused(FeedError::Cursor))?),
        };
        let fits = cursor.version == 1 && cursor.of == of && cursor.backwards == backwards;
        if fits { Ok(cursor) } else { Err(Stop::Refused(FeedError::Cursor)) }
    }

    /// A reader that was away so long that changes went which it had not read is told so.
    fn refuse_gone(&self, connection: u128, place: Cursor) -> Result<(), Stop<FeedError>> {
        match self.rows.pruned.get(connection)?.map(|row| row.value()) {
            Some((sequence, at)) if self.query.cursor.is_some() && place.sequence <= sequence => {
                Err(Stop::Refused(FeedError::Gone(time(at)?)))
            }
            _ => Ok(()),
        }
    }

    /// The first sequence of a connection's commits at or after a time; one past the last where there is none.
    fn first_at(&self, connection: u128, at: i64) -> Result<u64, Fault> {
        let all = (connection, 0)..=(connection, u64::MAX);
        let first = self.rows.changes.range(all.clone())?.next().transpose()?;
        let last = self.rows.changes.range(all)?.next_back().transpose()?;
        let (Some((first, _)), Some((last, _))) = (first, last) else { return Ok(0) };
        let (mut low, mut high) = (first.value().1, last.value().1.saturating_add(1));
        while low < high {
            let middle = low + (high - low) / 2;
            let next = self.rows.changes.range((connection, middle)..=(connection, u64::MAX))?.next().transpose()?;
            match next {
                Some((key, row)) if changes::header(row.value())?.1 < at => low = key.value().1.saturating_add(1),
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// Takes what belongs to the answer out of commits, in their order.
    fn pick(
        &mut self,
        place: Cursor,
        sequences: impl Iterator<Item = Result<(u64, u128), Fault>>,
        belongs: impl Fn(&Change, &[&Within]) -> bool,
    ) -> Result<(), Fault> {
        for commit in sequences {
            let (sequence, connection) = commit?;
            let Some(row) = self.rows.changes.get((connection, sequence))? else { continue };
            let (_, at) = changes::header(row.value())?;
            let is_late = self.until.is_some_and(|until| at >= until);
            let is_early = self.since.is_some_and(|since| at < since);
            if self.query.newest_first && is_early {
                return Ok(());
            }
            if !self.query.newest_first && is_late {
                // A later page may be asked for without this bound.
                self.stopped = Some((sequence, 0));
                return Ok(());
            }
            if is_early || is_late {
                continue;
            }
            let begin = (sequence == place.sequence).then_some(place.index);
            if !self.pick_commit(connection, sequence, row.value(), begin, &belongs)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes what belongs to the answer out of one commit. Whether there is room for more.
    fn pick_commit(
        &mut self,
        connection: u128,
        sequence: u64,
        row: &[u8],
        begin: Option<u32>,
        belongs: &impl Fn(&Change, &[&Within]) -> bool,
    ) -> Result<bool, Fault> {
        let row: ChangesRow = decode(row)?;
        let details = self.rows.change_details.get((connection, sequence))?;
        let details: DetailsRow = details.map(|row| decode(row.value())).transpose()?.unwrap_or_default();
        self.take(sequence, Applied::Yes, &row, &details, begin, belongs)
    }

    /// Takes what belongs to the answer out of changes that were made, or found, together. Whether there is room for more.
    fn take(
        &mut self,
        sequence: u64,
        applied: Applied,
        row: &ChangesRow,
        details: &DetailsRow,
        begin: Option<u32>,
        belongs: &impl Fn(&Change, &[&Within]) -> bool,
    ) -> Result<bool, Fault> {
        let backwards = self.query.newest_first;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let order = 0..row.changes.len();
        let order: Box<dyn Iterator<Item = usize>> = if backwards { Box::new(order.rev()) } else { Box::new(order) };
        for index in order {
            let is_read = begin.is_some_and(|b| if backwards { number(index) >= b } else { number(index) < b });
            if is_read {
                continue;
            }
            if self.entries.len() == self.size || self.examined >= EXAMINED {
                self.stopped = Some((sequence, number(if backwards { index + 1 } else { index })));
                self.more = true;
                return Ok(false);
            }
            self.examined += 1;
            let change = &row.changes[index];
            let is_wanted = self.query.kinds.is_empty() || self.query.kinds.contains(&ChangeKind::of(&change.what));
            if is_wanted && belongs(change, &containers(details, index)) {
                let found = self.entry(sequence, applied, row, details, index)?;
                self.entries.extend(found);
            }
        }
        Ok(true)
    }

    /// A change as the caller sees it; none where it does not.
    fn entry(
        &mut self,
        sequence: u64,
        applied: Applied,
        row: &ChangesRow,
        details: &DetailsRow,
        index: usize,
    ) -> Result<Option<Entry>, Fault> {
        let change = &row.changes[index];
        let id = change.object.as_u128();
        let (exists, seen) = self.standing(id)?;
        let detail = details.details.get(index);
        let within = detail.and_then(|detail| details.within.get(detail.within as usize));
        // Where it was may be what the caller does not see; where it is now is.
        let then = within.filter(|within| self.saw(within, id));
        // What a dry run would add is nowhere else yet.
        if !seen && (applied == Applied::Yes || then.is_none()) {
            return Ok(None);
        }
        let path = match (detail, then) {
            (Some(detail), Some(within)) => path_then(within, &detail.name)?,
            _ => self.path_now(id)?,
        };
        let mut what = change.what.clone();
        if let What::Moved { from, to } = &mut what {
            let left = detail.and_then(|d| d.from).and_then(|from| details.within.get(from as usize));
            if !left.map_or(matches!(self.lens, Lens::All), |left| self.saw(left, id)) {
                from.0.clear();
            }
            if then.is_none() && !matches!(self.lens, Lens::All) {
                to.0.clear();
            }
        }
        Ok(Some(Entry {
            sequence,
            at: time(row.at)?,
            job: row.job.map(JobId::from_u128),
            by: details.by.clone(),
            applied,
            object: change.object,
            path,
            namespace: detail.and_then(|d| d.namespace.clone()).unwrap_or_default(),
            object_type: detail.and_then(|d| details.types.get(d.object_type as usize)).cloned(),
            exists,
            what,
            values: detail.and_then(|d| d.values.clone()),
        }))
    }

    /// Adds what a job holds back, after all that it changed. The cursor has the last one that was looked at by its key: so
    /// none is read twice or left out where others leave their hold meanwhile.
    fn pick_held(&mut self, job: u128) -> Result<(), Fault> {
        let is_wanted = self.query.kinds.is_empty() || self.query.kinds.contains(&ChangeKind::Missing);
        if self.stopped.is_some() || !is_wanted {
            return Ok(());
        }
        let after = self.held.unwrap_or_default();
        for hold in holds::of_job(self.rows, job)?.into_iter().filter(|hold| *hold >= after.0) {
            let Some(row) = holds::row(self.rows, hold)? else { continue };
            let is_late = self.until.is_some_and(|until| row.updated_at >= until);
            if is_late || self.since.is_some_and(|since| row.updated_at < since) {
                continue;
            }
            let first = if hold == after.0 { after.1.saturating_add(1) } else { 0 };
            for held in self.rows.held.range((hold, first)..=(hold, u128::MAX))? {
                let key = held?.0.value();
                if self.entries.len() == self.size {
                    self.stopped = Some((HELD, 0));
                    self.more = true;
                    return Ok(());
                }
                let entry = self.held_entry(key.1, job, row.updated_at)?;
                self.entries.extend(entry);
                self.held = Some(key);
            }
        }
        if self.held.is_some() {
            self.stopped = Some((HELD, 0));
        }
        Ok(())
    }

    fn held_entry(&mut self, object: u128, job: u128, at: i64) -> Result<Option<Entry>, Fault> {
        let (_, true) = self.standing(object)? else { return Ok(None) };
        let Some(held) = holds::held_object(self.rows, object)? else { return Ok(None) };
        Ok(Some(Entry {
            sequence: 0,
            at: time(at)?,
            job: Some(JobId::from_u128(job)),
            by: None,
            object: held.object,
            path: Some(held.path),
            namespace: held.namespace,
            object_type: Some(held.object_type),
            exists: true,
            what: What::Missing,
            values: None,
            applied: Applied::Held,
        }))
    }

    /// Whether an object exists, and whether its changes are seen.
    fn standing(&mut self, id: u128) -> Result<(bool, bool), Fault> {
        if let Some(&known) = self.objects.get(&id) {
            return Ok(known);
        }
        let found = match (tree::lineage(self.rows, id)?, &self.lens) {
            (Some(chain), lens) => (true, lens.of(&chain) == Visible::Whole),
            (None, Lens::All) => (false, true),
            (None, Lens::Roots { .. }) => (false, false),
        };
        self.objects.insert(id, found);
        Ok(found)
    }

    /// Whether the caller would have seen an object where it was.
    fn saw(&self, within: &Within, id: u128) -> bool {
        let lineage: Vec<u128> = within.ids.iter().copied().chain([id]).collect();
        match &self.lens {
            Lens::All => true,
            // The object itself may be a root that was moved: then only what is above it now is known to the caller.
            Lens::Roots { roots, .. } if roots.contains(&id) => {
                let now = tree::lineage(self.rows, id).ok().flatten().unwrap_or_default();
                now.iter().map(|node| node.id).eq(lineage)
            }
            lens @ Lens::Roots { .. } => lens.visible(&lineage) == Visible::Whole,
        }
    }

    fn path_now(&self, id: u128) -> Result<Option<ObjectPath>, Fault> {
        tree::lineage(self.rows, id)?.map(|chain| tree::path_of(&chain)).transpose()
    }

    /// The answer. `end` is where a feed goes on that was read to its end.
    fn finish(&mut self, of: u128, connection: u128, end: u64) -> Result<Feed, Stop<FeedError>> {
        let (sequence, index) = self.stopped.unwrap_or((end, 0));
        let cursor = Cursor { version: 1, of, backwards: self.query.newest_first, sequence, index };
        let mut bytes = encode(&cursor)?;
        if let Some(key) = self.held {
            bytes.extend(encode(&key)?);
        }
        Ok(Feed {
            entries: std::mem::take(&mut self.entries),
            next: URL_SAFE_NO_PAD.encode(bytes),
            more: self.more,
            pruned_until: self.rows.pruned.get(connection)?.map(|row| time(row.value().1)).transpose()?,
        })
    }
}

/// The path that an object had.
fn path_then(within: &Within, name: &str) -> Result<Option<ObjectPath>, Fault> {
    let names =
        within.names.iter().map(String::as_str).chain([name]).map(tree::ident).collect::<Result<Vec<_>, _>>()?;
    Ok(ObjectPath::try_from(names).ok())
}

/// The containers that a change is about.
fn containers(details: &DetailsRow, index: usize) -> Vec<&Within> {
    let Some(detail) = details.details.get(index) else { return Vec::new() };
    let numbers = [Some(detail.within), detail.from];
    numbers.into_iter().flatten().filter_map(|n| details.within.get(n as usize)).collect()
}
