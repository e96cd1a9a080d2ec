//! Writing the history: what a commit changed goes into its connection's feed, and into the indexes that find it by
//! object and by job, in the same transaction.
//!
//! The path of an object is kept as it was, so that a change can be read when the object is elsewhere or gone. A commit's
//! time is never earlier than that of the one before it, so that times can be searched like sequences. A commit that
//! changed nothing leaves nothing here.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use redb::ReadableTable as _;
use serde::{Deserialize, Serialize};

use super::{
    fault::Fault,
    records::{ChangesRow, decode, encode, micros},
    tables::{Rows, WriteRows},
    tree::Tree,
};
use crate::model::{
    change::Values,
    connection::Actor,
    diff::{Change, What},
    id::ObjectId,
    path::MAX_LEVEL,
};

/// Whose changes they are, and when.
pub(super) struct Commit {
    pub(super) connection: u128,
    pub(super) sequence: u64,
    pub(super) job: Option<u128>,
    pub(super) by: Option<Actor>,
    pub(super) now: Timestamp,
}

/// A change with what is known of it while it is made.
pub(super) struct Noted {
    change: Change,
    pub(super) values: Option<Values>,
    /// Of a move: the ids from the connection's object down to the container that it left.
    pub(super) from: Option<Vec<u128>>,
}

impl Noted {
    pub(super) fn new(object: u128, what: What) -> Self {
        Self { change: Change { object: ObjectId::from_u128(object), what }, values: None, from: None }
    }
}

/// What is kept of a commit beside its `ChangesRow`. Apart from it, because rows of earlier versions lack it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct DetailsRow {
    pub(super) by: Option<Actor>,
    /// The containers that its objects are in or were in; a page of a listing has few.
    pub(super) within: Vec<Within>,
    /// Object types, each once.
    pub(super) types: Vec<String>,
    /// One for each change, in the same order.
    pub(super) details: Vec<Detail>,
}

/// A container at the moment of a commit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Within {
    /// From the connection's object down to it; none for what a connection's own object is in.
    pub(super) ids: Vec<u128>,
    /// Their names.
    pub(super) names: Vec<String>,
}

/// What is kept of one change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Detail {
    pub(super) within: u32,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) object_type: u32,
    /// Of a move: the container that it left.
    pub(super) from: Option<u32>,
    pub(super) values: Option<Values>,
}

/// Writes what a commit changed.
pub(super) fn append(rows: &mut WriteRows<'_>, commit: Commit, noted: Vec<Noted>) -> Result<(), Fault> {
    let Commit { connection, sequence, job, by, now } = commit;
    let at = last(rows, connection)?.map_or(i64::MIN, |(_, at)| at).max(micros(now));
    let (changes, details) = describe(rows, by, noted)?;
    let objects: BTreeSet<u128> = changes.iter().map(|change| change.object.as_u128()).collect();
    for object in objects {
        rows.object_changes.insert((object, sequence), ())?;
    }
    if let Some(job) = job {
        rows.job_changes.insert((job, sequence), connection)?;
    }
    rows.changes.insert((connection, sequence), encode(&ChangesRow { job, at, changes })?.as_slice())?;
    rows.change_details.insert((connection, sequence), encode(&details)?.as_slice())?;
    Ok(())
}

/// What was noted, with where each object is now.
pub(super) fn describe(
    tree: &impl Tree,
    by: Option<Actor>,
    noted: Vec<Noted>,
) -> Result<(Vec<Change>, DetailsRow), Fault> {
    let mut details = Builder { row: DetailsRow { by, ..DetailsRow::default() }, ..Builder::default() };
    let mut changes = Vec::with_capacity(noted.len());
    for Noted { change, values, from } in noted {
        details.add(tree, change.object.as_u128(), values, from)?;
        changes.push(change);
    }
    Ok((changes, details.row))
}

/// The time of a commit and its job, without reading what it changed.
pub(super) fn header(row: &[u8]) -> Result<(Option<u128>, i64), Fault> {
    let head = postcard::take_from_bytes::<(Option<u128>, i64)>(row);
    head.map(|(head, _)| head).map_err(|source| Fault::Row { action: "decode", source })
}

/// Sequence and time of a connection's last change.
fn last(rows: &impl Rows, connection: u128) -> Result<Option<(u64, i64)>, Fault> {
    match rows.changes().range((connection, 0)..=(connection, u64::MAX))?.next_back() {
        None => Ok(None),
        Some(row) => {
            let (key, row) = row?;
            Ok(Some((key.value().1, header(row.value())?.1)))
        }
    }
}

/// Drops changes from the beginning of a connection's feed, those before `until` or all of them, until `limit` is
/// reached. How many went.
pub(super) fn forget_until(
    rows: &mut WriteRows<'_>,
    connection: u128,
    until: Option<i64>,
    limit: usize,
) -> Result<usize, Fault> {
    if until.is_none() {
        rows.pruned.remove(connection)?;
    }
    let mut gone = 0;
    while gone < limit {
        let first = rows.changes.range((connection, 0)..=(connection, u64::MAX))?.next().transpose()?;
        let Some((key, row)) = first.map(|(key, row)| (key.value(), row.value().to_vec())) else { break };
        let (job, at) = header(&row)?;
        if until.is_some_and(|until| at >= until) {
            break;
        }
        let changes = decode::<ChangesRow>(&row)?.changes;
        for change in &changes {
            rows.object_changes.remove((change.object.as_u128(), key.1))?;
        }
        if let Some(job) = job {
            rows.job_changes.remove((job, key.1))?;
        }
        rows.changes.remove(key)?;
        rows.change_details.remove(key)?;
        if until.is_some() {
            rows.pruned.insert(connection, (key.1, at))?;
        }
        gone += changes.len().max(1);
    }
    Ok(gone)
}

/// Collects a commit's details.
#[derive(Default)]
struct Builder {
    row: DetailsRow,
    known: HashMap<Option<u128>, u32>,
    types: HashMap<String, u32>,
}

/// The beginning of an `ObjectRow`: all that is needed here, read in place.
type Head<'a> = (u128, Option<u128>, &'a str, &'a str, Option<&'a str>, u8, &'a str);

fn head(row: &[u8]) -> Result<Head<'_>, Fault> {
    let head = postcard::take_from_bytes::<Head<'_>>(row);
    head.map(|(head, _)| head).map_err(|source| Fault::Row { action: "decode", source })
}

impl Builder {
    fn add(
        &mut self,
        tree: &impl Tree,
        object: u128,
        values: Option<Values>,
        from: Option<Vec<u128>>,
    ) -> Result<(), Fault> {
        let detail = tree.object_as(object, |row| {
            let (_, parent, namespace, name, displaced_from, _, object_type) = head(row)?;
            let namespace = displaced_from.unwrap_or(namespace);
            Ok(Detail {
                within: self.within(tree, parent)?,
                namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
                name: name.to_owned(),
                object_type: self.object_type(object_type),
                from: from.map(|lineage| self.left(tree, &lineage)).transpose()?,
                values,
            })
        })?;
        self.row.details.push(detail.ok_or(Fault::Broken("a change of an object that is not there"))?);
        Ok(())
    }

    fn object_type(&mut self, name: &str) -> u32 {
        if let Some(&known) = self.types.get(name) {
            return known;
        }
        let number = number(self.row.types.len());
        self.row.types.push(name.to_owned());
        self.types.insert(name.to_owned(), number);
        number
    }

    fn within(&mut self, tree: &impl Tree, parent: Option<u128>) -> Result<u32, Fault> {
        if let Some(&known) = self.known.get(&parent) {
            return Ok(known);
        }
        let mut within = Within::default();
        let mut next = parent;
        while let Some(id) = next {
            if within.ids.len() == MAX_LEVEL {
                return Err(Fault::Broken("a container lies inside itself"));
            }
            let ancestor =
                tree.object_as(id, |row| head(row).map(|(_, parent, _, name, ..)| (parent, name.to_owned())))?;
            let (parent, name) = ancestor.ok_or(Fault::Broken("an ancestor does not exist"))?;
            within.ids.push(id);
            within.names.push(name);
            next = parent;
        }
        within.ids.reverse();
        within.names.reverse();
        let number = number(self.row.within.len());
        self.row.within.push(within);
        self.known.insert(parent, number);
        Ok(number)
    }

    /// The container that an object left; its names stand in the move itself.
    fn left(&mut self, tree: &impl Tree, lineage: &[u128]) -> Result<u32, Fault> {
        match lineage.last() {
            Some(id) if tree.object_as(*id, |_| Ok(()))?.is_some() => self.within(tree, Some(*id)),
            _ => {
                self.row.within.push(Within { ids: lineage.to_vec(), names: Vec::new() });
                Ok(number(self.row.within.len() - 1))
            }
        }
    }
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::records::ObjectRow;

    #[test]
    fn the_beginnings_of_rows_are_read_as_the_whole_rows_are() {
        let row = ObjectRow {
            connection: u128::MAX,
            parent: Some(7),
            namespace: "~displaced/x".into(),
            name: "a\u{0}b👾".into(),
            displaced_from: Some("f".into()),
            kind: 2,
            object_type: "function".into(),
            remote_id: Some("r".into()),
            comment: None,
            attributes: vec![("k".into(), "v".into())],
            columns_known: true,
            fingerprint: None,
            mark: 1,
            revision: 3,
            sequence: 4,
            created_at: 5,
            updated_at: 6,
        };
        let bytes = encode(&row).expect("row");
        let want = (u128::MAX, Some(7), "~displaced/x", "a\u{0}b👾", Some("f"), 2, "function");
        assert_eq!(head(&bytes).expect("head"), want);
        let bytes = encode(&ChangesRow { job: Some(9), at: -5, changes: Vec::new() }).expect("row");
        assert_eq!(header(&bytes).expect("header"), (Some(9), -5));
        assert!(head(&[]).is_err() && header(&[1]).is_err());
    }
}
