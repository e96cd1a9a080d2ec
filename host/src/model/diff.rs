//! What follows from a delivered object and what is stored: pure decisions that the store carries out.
//!
//! Identity is decided in the order of D38: a remote id known elsewhere moves its object, whatever stands at the path;
//! only then does the path decide. Nothing here reads or writes.

use serde::{Deserialize, Serialize};

use super::{
    column::ColumnChanges,
    id::ObjectId,
    object::{Facts, Kind},
    path::RemotePath,
    settings::Overrides,
};

/// Which stored object a delivered one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// None: it is found for the first time.
    New,
    /// The one at its path.
    Same,
    /// The one at its path, made anew by the platform under an id that nobody knew.
    Recreated,
    /// The one that had this remote id in another place, if [`may_move`] agrees.
    Elsewhere,
}

/// Decides identity from what stands at the path (its id and remote id) and who is known by the remote id.
#[must_use]
pub fn identify(
    remote_id: Option<&str>,
    at_path: Option<(ObjectId, Option<&str>)>,
    by_remote_id: Option<ObjectId>,
) -> Identity {
    match (by_remote_id, at_path) {
        (Some(known), Some((there, _))) if known == there => Identity::Same,
        (Some(_), _) => Identity::Elsewhere,
        (None, None) => Identity::New,
        (None, Some((_, was))) => match (was, remote_id) {
            (Some(was), Some(is)) if was != is => Identity::Recreated,
            _ => Identity::Same,
        },
    }
}

/// Why an object is not moved to where its remote id was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveRefused {
    /// The remote id was delivered in two places in one job.
    DuplicateRemoteId,
    /// The path was delivered with two remote ids in one job.
    DuplicatePath,
    /// It would lie inside itself.
    InsideItself,
    /// What lies in it would be deeper than a tree may be.
    TooDeep,
}

/// What is known about a move before it is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Move {
    /// Whether the object was seen at its old place in this job.
    pub seen_at_old_place: bool,
    /// Whether what stands at the new place was seen there in this job.
    pub occupant_seen: bool,
    /// Whether the new place lies below the object itself.
    pub inside_itself: bool,
    /// Whether the deepest thing in it would go below the last level.
    pub too_deep: bool,
}

/// Whether a move can be made.
pub fn may_move(it: Move) -> Result<(), MoveRefused> {
    match it {
        Move { seen_at_old_place: true, .. } => Err(MoveRefused::DuplicateRemoteId),
        Move { occupant_seen: true, .. } => Err(MoveRefused::DuplicatePath),
        Move { inside_itself: true, .. } => Err(MoveRefused::InsideItself),
        Move { too_deep: true, .. } => Err(MoveRefused::TooDeep),
        _ => Ok(()),
    }
}

/// What to do about an object's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnsStep {
    /// Leave what is stored.
    Keep,
    /// Compare what was delivered, and store it where it differs.
    Compare,
    /// Ask for them by name.
    Ask,
}

/// What decides about columns.
#[derive(Clone, Copy, Debug)]
pub struct ColumnsCase<'a> {
    /// What the object is.
    pub kind: Kind,
    /// Whether the page carried them.
    pub delivered: bool,
    /// Whether the object is enabled, or disabled ones are scanned too.
    pub wanted: bool,
    /// Whether they were ever stored.
    pub known: bool,
    /// The fingerprint stored with them; none also where the object was recreated.
    pub stored: Option<&'a str>,
    /// The fingerprint that was delivered.
    pub fingerprint: Option<&'a str>,
    /// Whether they were read so lately that they count as current where there is no fingerprint.
    pub recent: bool,
}

/// Decides about columns (D37, D40): delivered ones are always taken; others are asked for only where they are wanted and
/// not proved to be the same.
#[must_use]
pub fn columns_step(case: ColumnsCase<'_>) -> ColumnsStep {
    let proved = case.known && case.stored == case.fingerprint && (case.fingerprint.is_some() || case.recent);
    match case {
        ColumnsCase { delivered: true, .. } => ColumnsStep::Compare,
        ColumnsCase { kind: Kind::TableLike, wanted: true, .. } if !proved => ColumnsStep::Ask,
        _ => ColumnsStep::Keep,
    }
}

/// What decides whether a sync goes into a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descent {
    /// Disabled objects are scanned too.
    pub force: bool,
    /// It is the requested object or lies above it.
    pub requested: bool,
    /// It was listed completely before.
    pub listed_before: bool,
    /// It is effectively enabled.
    pub active: bool,
    /// Something below it has an enabling status of its own.
    pub enabled_below: bool,
}

/// Whether a sync goes into a container (D37).
#[must_use]
pub fn descends(it: Descent) -> bool {
    it.force || it.requested || !it.listed_before || it.active || it.enabled_below
}

/// A part of an object's facts that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FactChange {
    /// What it is to us.
    Kind,
    /// What the platform calls it.
    ObjectType,
    /// The platform's id.
    RemoteId,
    /// The platform's comment.
    Comment,
    /// The attribute of this name was added, removed or changed.
    Attribute(String),
    /// Attributes stand in another order or number.
    AttributeOrder,
}

/// What differs between the facts that are stored and those that were delivered.
#[must_use]
pub fn diff_facts(old: &Facts, new: &Facts) -> Vec<FactChange> {
    let mut changes = Vec::new();
    if old.kind != new.kind {
        changes.push(FactChange::Kind);
    }
    if old.object_type != new.object_type {
        changes.push(FactChange::ObjectType);
    }
    if old.remote_id != new.remote_id {
        changes.push(FactChange::RemoteId);
    }
    if old.comment != new.comment {
        changes.push(FactChange::Comment);
    }
    if old.attributes != new.attributes {
        let before = changes.len();
        let gone = old.attributes.iter().filter(|pair| !new.attributes.contains(pair));
        let come = new.attributes.iter().filter(|pair| !old.attributes.contains(pair));
        for (name, _) in gone.chain(come) {
            let change = FactChange::Attribute(name.clone());
            if !changes.contains(&change) {
                changes.push(change);
            }
        }
        if changes.len() == before {
            changes.push(FactChange::AttributeOrder);
        }
    }
    changes
}

/// Something that happened to one object, as the change feed keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The object.
    pub object: ObjectId,
    /// What happened.
    pub what: What,
}

/// What happened to an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// Found for the first time.
    Added,
    /// The platform tells something else of it.
    Changed(Vec<FactChange>),
    /// Proved to be gone.
    Missing,
    /// It was missing and is there again.
    Returned,
    /// Renamed or moved: where it was, and under which name it is now.
    Moved {
        /// The path before.
        from: RemotePath,
        /// The path after.
        to: RemotePath,
    },
    /// The platform made it anew under another id.
    Recreated,
    /// Its columns.
    Columns {
        /// Whether none were known before: then nothing is new about them (F65).
        first: bool,
        /// What differs.
        changes: ColumnChanges,
    },
    /// Left out by the connector from now on (D41). What patterns leave out is computed, and changes nothing.
    Excluded,
    /// A person set something on it.
    Settings {
        /// What was set on it before.
        before: Overrides,
        /// What is set on it since.
        after: Overrides,
    },
    /// A person took it out of the inventory, with everything below it.
    Deleted {
        /// Objects that lay below it.
        objects: u64,
    },
    /// A person changed the connection itself: names of what differs, never a value.
    Configured(Vec<String>),
}

/// Longest comment that is kept, in bytes.
pub const MAX_COMMENT_BYTES: usize = 64 * 1024;
/// Most bytes of attributes, names and values together, that are kept of an object.
pub const MAX_ATTRIBUTE_BYTES: usize = 64 * 1024;
/// Most attributes that are kept of an object.
pub const MAX_ATTRIBUTES: usize = 256;
/// Longest id of a platform, in bytes.
pub const MAX_REMOTE_ID_BYTES: usize = 1024;
/// Longest type or namespace, in bytes.
pub const MAX_WORD_BYTES: usize = 255;

/// Cuts facts to what is kept, always in the same way, so that the next listing compares equal. Whether it cut.
pub fn bound_facts(facts: &mut Facts) -> bool {
    let mut cut = truncate(&mut facts.object_type, MAX_WORD_BYTES);
    if let Some(comment) = &mut facts.comment {
        cut |= truncate(comment, MAX_COMMENT_BYTES);
    }
    // An id cut short could be another object's: rather none.
    if facts.remote_id.as_ref().is_some_and(|id| id.is_empty() || id.len() > MAX_REMOTE_ID_BYTES) {
        cut |= facts.remote_id.take().is_some_and(|id| !id.is_empty());
    }
    let mut bytes = 0;
    let kept = facts
        .attributes
        .iter()
        .take(MAX_ATTRIBUTES)
        .take_while(|(name, value)| {
            bytes += name.len() + value.len();
            bytes <= MAX_ATTRIBUTE_BYTES
        })
        .count();
    cut |= kept < facts.attributes.len();
    facts.attributes.truncate(kept);
    cut
}

/// Cuts text to so many bytes at the end of a character. Whether it cut.
pub fn truncate(text: &mut String, bytes: usize) -> bool {
    if text.len() <= bytes {
        return false;
    }
    let end = (0..=bytes).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    text.truncate(end);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> ObjectId {
        ObjectId::from_u128(n)
    }

    #[test]
    fn identity_is_decided_by_remote_id_before_path() {
        let (a, b) = (id(1), id(2));
        for (remote, at, by, want) in [
            (None, None, None, Identity::New),
            (Some("x"), None, None, Identity::New),
            (Some("x"), Some((a, Some("x"))), Some(a), Identity::Same),
            (Some("x"), None, Some(b), Identity::Elsewhere),
            (Some("x"), Some((a, Some("y"))), Some(b), Identity::Elsewhere),
            (Some("x"), Some((a, Some("y"))), None, Identity::Recreated),
            (Some("x"), Some((a, None)), None, Identity::Same),
            (None, Some((a, Some("y"))), None, Identity::Same),
            (Some("x"), Some((a, Some("x"))), None, Identity::Same),
        ] {
            assert_eq!(identify(remote, at, by), want, "{remote:?} {at:?} {by:?}");
        }
    }

    #[test]
    fn a_move_needs_an_unseen_mover_and_a_free_place() {
        assert_eq!(may_move(Move::default()), Ok(()));
        for (it, why) in [
            (Move { seen_at_old_place: true, occupant_seen: true, ..Move::default() }, MoveRefused::DuplicateRemoteId),
            (Move { occupant_seen: true, ..Move::default() }, MoveRefused::DuplicatePath),
            (Move { inside_itself: true, ..Move::default() }, MoveRefused::InsideItself),
            (Move { too_deep: true, ..Move::default() }, MoveRefused::TooDeep),
        ] {
            assert_eq!(may_move(it), Err(why));
        }
    }

    #[test]
    fn columns_are_asked_for_only_where_they_may_differ() {
        let case = ColumnsCase {
            kind: Kind::TableLike,
            delivered: false,
            wanted: true,
            known: true,
            stored: Some("1"),
            fingerprint: Some("1"),
            recent: false,
        };
        let bare = ColumnsCase { fingerprint: None, stored: None, ..case };
        for (case, want) in [
            (case, ColumnsStep::Keep),
            (ColumnsCase { fingerprint: Some("2"), ..case }, ColumnsStep::Ask),
            (bare, ColumnsStep::Ask),
            (ColumnsCase { recent: true, ..bare }, ColumnsStep::Keep),
            (ColumnsCase { recent: true, known: false, ..bare }, ColumnsStep::Ask),
            (ColumnsCase { recent: true, fingerprint: Some("2"), ..case }, ColumnsStep::Ask),
            (ColumnsCase { recent: true, fingerprint: None, ..case }, ColumnsStep::Ask),
            (ColumnsCase { known: false, ..case }, ColumnsStep::Ask),
            (ColumnsCase { known: false, wanted: false, ..case }, ColumnsStep::Keep),
            (ColumnsCase { known: false, kind: Kind::Other, ..case }, ColumnsStep::Keep),
            (ColumnsCase { delivered: true, wanted: false, ..case }, ColumnsStep::Compare),
        ] {
            assert_eq!(columns_step(case), want, "{case:?}");
        }
    }

    #[test]
    fn only_a_disabled_known_container_is_skipped() {
        let none = Descent { listed_before: true, ..Descent::default() };
        assert!(!descends(none));
        for it in [
            Descent { force: true, ..none },
            Descent { requested: true, ..none },
            Descent { listed_before: false, ..none },
            Descent { active: true, ..none },
            Descent { enabled_below: true, ..none },
        ] {
            assert!(descends(it), "{it:?}");
        }
    }

    #[test]
    fn facts_differ_by_what_people_can_name() {
        let facts = |attributes: &[(&str, &str)]| Facts {
            kind: Kind::TableLike,
            object_type: "table".into(),
            remote_id: Some("1".into()),
            comment: None,
            attributes: attributes.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect(),
        };
        let old = facts(&[("owner", "a"), ("format", "x")]);
        assert_eq!(diff_facts(&old, &old), []);
        assert_eq!(diff_facts(&old, &facts(&[("format", "x"), ("owner", "a")])), [FactChange::AttributeOrder]);
        assert_eq!(
            diff_facts(&old, &facts(&[("owner", "b"), ("format", "x")])),
            [FactChange::Attribute("owner".into())]
        );
        let other = Facts { kind: Kind::Other, comment: Some("c".into()), ..old.clone() };
        assert_eq!(diff_facts(&old, &other), [FactChange::Kind, FactChange::Comment]);
    }

    #[test]
    fn what_is_too_large_is_cut_the_same_way_every_time() {
        let mut facts = Facts {
            kind: Kind::TableLike,
            object_type: "ä".repeat(200),
            remote_id: Some("x".repeat(MAX_REMOTE_ID_BYTES + 1)),
            comment: Some("é".repeat(MAX_COMMENT_BYTES)),
            attributes: (0..100_000).map(|n| (format!("k{n}"), "v".repeat(100))).collect(),
        };
        assert!(bound_facts(&mut facts));
        let once = facts.clone();
        assert!(!bound_facts(&mut facts));
        assert_eq!(facts, once);
        assert_eq!(facts.remote_id, None);
        assert!(facts.attributes.len() <= MAX_ATTRIBUTES && facts.object_type.len() <= MAX_WORD_BYTES);
    }
}
