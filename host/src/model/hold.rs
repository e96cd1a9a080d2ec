//! When an absence that was proved is believed, and when it is held back (D33).
//!
//! A role that suddenly sees less, an empty answer and a lost grant look like deletions. So what a sync would mark as
//! missing is weighed against what is known, container by container, and where too much would go at once nothing is
//! marked until a person has decided. Nothing here reads or writes.
//!
//! Syncs of parts add up, or a bad night that is started table by table would pass, each table judged as one of many: at a
//! container that neither covers, what another sync of this connection has marked as missing in the last day, and is
//! missing still, counts as known and as gone. What a sync of the container itself found was judged by that one, and what
//! was released was judged by a person: neither counts again.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    id::{ConnectionId, HoldId, JobId, ObjectId},
    path::{ObjectPath, RemotePath},
};

/// A share of the whole, from 0 to 1, exact to a millionth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share(u32);

/// A number that is no share.
#[derive(Debug, thiserror::Error)]
#[error("must be a number from 0 to 1, such as 0.2 for a fifth")]
pub struct InvalidShare;

impl Share {
    const WHOLE: u32 = 1_000_000;

    /// Whether `part` of `whole` is more than the share.
    #[must_use]
    pub fn is_exceeded(self, part: u64, whole: u64) -> bool {
        u128::from(part) * u128::from(Self::WHOLE) > u128::from(whole) * u128::from(self.0)
    }

    /// The smallest whole of which `part` is not more than the share; none where it is of every one.
    #[must_use]
    pub fn smallest_whole(self, part: u64) -> Option<u64> {
        let whole = (u128::from(part) * u128::from(Self::WHOLE)).checked_div(u128::from(self.0))?;
        let whole = u64::try_from(whole).unwrap_or(u64::MAX);
        Some(if self.is_exceeded(part, whole) { whole.saturating_add(1) } else { whole })
    }

    /// As a number from 0 to 1.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE)
    }
}

impl TryFrom<f64> for Share {
    type Error = InvalidShare;

    fn try_from(share: f64) -> Result<Self, InvalidShare> {
        if !(0.0..=1.0).contains(&share) {
            return Err(InvalidShare);
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 1000000")]
        let millionths = (share * f64::from(Self::WHOLE)).round() as u32;
        Ok(Self(millionths))
    }
}

impl fmt::Display for Share {
    /// In per cent, with as many decimals as it has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 10_000, self.0 % 10_000);
        if rest == 0 {
            return write!(f, "{whole} %");
        }
        write!(f, "{whole}.{} %", format!("{rest:04}").trim_end_matches('0'))
    }
}

/// When a connection's absences are held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRule {
    /// More than this share of what is known below a container is held.
    pub share: Share,
    /// Where fewer are known, the share says nothing.
    pub minimum: u64,
    /// After so many scheduled syncs that would mark the very same, they are believed. None: never.
    pub confirm_after: Option<u32>,
}

impl Default for HoldRule {
    fn default() -> Self {
        Self { share: Share(200_000), minimum: 50, confirm_after: None }
    }
}

impl HoldRule {
    /// From how many known leaves on `vanished` ones are not too many: nobody need count further.
    #[must_use]
    pub fn enough(&self, vanished: u64) -> u64 {
        self.share.smallest_whole(vanished).map_or(u64::MAX, |whole| whole.max(self.minimum))
    }
}

/// Another basis than that of the listing before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebased {
    /// As whom and how it was listed before.
    pub was: String,
    /// As whom and how it was listed now.
    pub is: String,
}

/// Children of a container. Counted as far as it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Children {
    /// Those that are known.
    pub known: u64,
    /// Those of them that would be missing.
    pub vanished: u64,
}

impl Children {
    /// A single one proves nothing.
    fn are_all_gone(self) -> bool {
        self.known > 1 && self.vanished == self.known
    }
}

/// A container in or below which objects have vanished.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weighed {
    /// Leaves that are known below it. Counted as far as it matters.
    pub known: u64,
    /// Those of them that would be missing, or are since lately.
    pub vanished: u64,
    /// Those of them that syncs of parts have marked in the last day.
    pub earlier: u64,
    /// Its own children.
    pub children: Children,
    /// Those of each namespace from which something has vanished: each is listed by itself, so each may be empty by itself.
    pub namespaces: BTreeMap<String, Children>,
    /// Whether it was itself listed on another basis than before.
    pub rebased: Option<Rebased>,
}

/// Why absences are held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trip {
    /// The container was listed on another basis than before.
    Rebased,
    /// Every child of the container, or of one of its namespaces, would be missing, as with an empty answer.
    Emptied,
    /// Too large a share of what is known below it would be missing.
    Share,
}

/// Whether what has vanished below a container is held back.
#[must_use]
pub fn trips(rule: &HoldRule, it: &Weighed) -> Option<Trip> {
    if it.rebased.is_some() && it.children.vanished > 0 {
        return Some(Trip::Rebased);
    }
    if it.children.are_all_gone() || it.namespaces.values().any(|children| children.are_all_gone()) {
        return Some(Trip::Emptied);
    }
    let is_too_much = it.known >= rule.minimum && rule.share.is_exceeded(it.vanished, it.known);
    is_too_much.then_some(Trip::Share)
}

/// The cause for people. `leaves` is what they call what has vanished, `below` a change of basis further down.
#[must_use]
pub fn cause(
    trip: Trip,
    rule: &HoldRule,
    it: &Weighed,
    path: &ObjectPath,
    leaves: &str,
    below: Option<&Rebased>,
) -> String {
    let Weighed { known, vanished, .. } = it;
    let percent = vanished.saturating_mul(100).checked_div(*known).unwrap_or_default();
    let gone = format!("{vanished} of {known} known {leaves} below {path} would be gone ({percent} %)");
    let told = match trip {
        Trip::Rebased => gone,
        Trip::Emptied if *known > 0 && vanished == known => {
            format!("as with an empty answer, all {known} known {leaves} below {path} would be gone")
        }
        Trip::Emptied => format!("every known child of {path}{} would be gone; {gone}", emptied(it)),
        Trip::Share => format!("{gone}, more than {}", rule.share),
    };
    match it.rebased.as_ref().or(below) {
        Some(Rebased { was, is }) => format!("{told}; it was listed as {is} instead of {was}"),
        None => told,
    }
}

/// Which of the namespaces of a container is emptied, where it is not all of them.
fn emptied(it: &Weighed) -> String {
    let one = it.namespaces.iter().find(|(_, children)| children.are_all_gone());
    match one.filter(|_| !it.children.are_all_gone()) {
        Some((namespace, _)) if namespace.is_empty() => " in its default namespace".to_owned(),
        Some((namespace, _)) => format!(" in its namespace {namespace}"),
        None => String::new(),
    }
}

/// The same where what tripped lies above `path`, which is all that whoever asked for the sync may know of.
#[must_use]
pub fn cause_within(it: &Weighed, path: &ObjectPath, leaves: &str, basis: Option<&Rebased>) -> String {
    let Weighed { known, vanished, .. } = it;
    let mut told = format!(
        "{vanished} of {known} known {leaves} in {path} would be gone, too large a part of what is known above"
    );
    if it.earlier > 0 {
        // Not how many: what lies beside the path is nobody's business who asked for it alone.
        told += " together with what other syncs have marked in the last day";
    }
    match basis {
        Some(Rebased { was, is }) => format!("{told}; it was listed as {is} instead of {was}"),
        None => told,
    }
}

/// What a sync found to be too much.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What is proved to be absent in or below this object is held.
    pub scope: ObjectId,
    /// Where that is, below the connection.
    pub path: RemotePath,
    /// Why, for people.
    pub cause: String,
    /// What to do about it, in the connector's words.
    pub hints: Vec<String>,
    /// Leaves that are known below the container that tripped.
    pub known: u64,
    /// Those of them that would be missing.
    pub vanished: u64,
    /// Scheduled syncs that have found the very same since it is held.
    pub equal_syncs: u32,
}

/// Absences that are held back together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// The hold. The same as long as anything of its scope is held.
    pub id: HoldId,
    /// The connection.
    pub connection: ConnectionId,
    /// The object in or below which they are held.
    pub scope: ObjectId,
    /// Where that is now.
    pub path: ObjectPath,
    /// Counts the syncs that have judged it: what `If-Match` is compared with.
    pub revision: u64,
    /// The sync that judged it last.
    pub job: JobId,
    /// Why, for people.
    pub cause: String,
    /// What may help, in the connector's words.
    pub hints: Vec<String>,
    /// Leaves that were known below the container that tripped.
    pub known: u64,
    /// Those of them that would have been missing.
    pub vanished: u64,
    /// Objects that are held, by type. What lies in a container that is held is not counted.
    pub counts: BTreeMap<String, u64>,
    /// Scheduled syncs that have found the very same since.
    pub equal_syncs: u32,
    /// When something was first held.
    pub created_at: Timestamp,
    /// When it was last judged.
    pub updated_at: Timestamp,
}

impl Hold {
    /// Objects that are held.
    #[must_use]
    pub fn objects(&self) -> u64 {
        self.counts.values().sum()
    }
}

/// What a person makes of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// What is still absent becomes missing.
    Release,
    /// Nothing does.
    Reject,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(text: f64) -> Share {
        Share::try_from(text).expect("share")
    }

    fn weighed(vanished: u64, known: u64) -> Weighed {
        let children = Children { known: 9, vanished: 1 };
        Weighed { known, vanished, children, ..Weighed::default() }
    }

    #[track_caller]
    fn check(rule: &HoldRule, it: Weighed, expect: Option<Trip>) {
        assert_eq!(trips(rule, &it), expect, "{it:?}");
    }

    #[test]
    fn more_than_the_share_of_enough_leaves_is_held() {
        let rule = HoldRule::default();
        check(&rule, weighed(10, 50), None);
        check(&rule, weighed(11, 50), Some(Trip::Share));
        check(&rule, weighed(49, 49), None);
        check(&rule, weighed(50, 50), Some(Trip::Share));
        check(&rule, weighed(20, 100), None);
        check(&rule, weighed(21, 100), Some(Trip::Share));
        check(&rule, weighed(0, 100), None);
        let all = HoldRule { share: share(1.0), ..rule };
        check(&all, weighed(100, 100), None);
        let any = HoldRule { share: share(0.0), minimum: 1, ..rule };
        check(&any, weighed(1, 1_000_000), Some(Trip::Share));
        check(&any, weighed(0, 1), None);
        let third = HoldRule { share: share(1.0 / 3.0), minimum: 1, ..rule };
        check(&third, weighed(1, 4), None);
        check(&third, weighed(2, 4), Some(Trip::Share));
    }

    #[test]
    fn an_empty_answer_is_held_whatever_the_number() {
        let rule = HoldRule::default();
        let emptied = |known, vanished| Weighed { children: Children { known, vanished }, ..weighed(2, 2) };
        check(&rule, emptied(1, 1), None);
        check(&rule, emptied(2, 2), Some(Trip::Emptied));
        check(&rule, emptied(3, 2), None);
        check(&rule, emptied(0, 0), None);
    }

    #[test]
    fn an_emptied_namespace_is_held_whatever_the_others_have() {
        let rule = HoldRule::default();
        let emptied = |known, vanished| Weighed {
            namespaces: [("f".to_owned(), Children { known, vanished })].into(),
            ..weighed(2, 12)
        };
        check(&rule, emptied(1, 1), None);
        check(&rule, emptied(3, 2), None);
        check(&rule, emptied(2, 2), Some(Trip::Emptied));
        let path = ObjectPath::from_segments(["K", "sales"]).expect("path");
        let told = cause(Trip::Emptied, &rule, &emptied(2, 2), &path, "objects", None);
        let expect = "every known child of K.sales in its namespace f would be gone; \
                      2 of 12 known objects below K.sales would be gone (16 %)";
        assert_eq!(told, expect);
    }

    #[test]
    fn another_basis_is_held_where_anything_vanished() {
        let rule = HoldRule::default();
        let rebased = Some(Rebased { was: "A".into(), is: "B".into() });
        check(&rule, Weighed { rebased: rebased.clone(), ..weighed(1, 1000) }, Some(Trip::Rebased));
        check(&rule, Weighed { rebased, children: Children::default(), ..weighed(1, 1000) }, None);
    }

    #[test]
    fn nobody_counts_further_than_it_matters() {
        for (per_cent, minimum) in
            [(0.0, 50), (0.2, 50), (0.25, 1), (1.0 / 3.0, 7), (0.5, 50), (0.999_999, 1), (1.0, 50)]
        {
            let rule = HoldRule { share: share(per_cent), minimum, confirm_after: None };
            for vanished in [1, 2, 3, 7, 10, 49, 50, 1000, u64::MAX / 2_000_000] {
                let enough = rule.enough(vanished);
                if enough < u64::MAX {
                    check(&rule, weighed(vanished, enough), None);
                    check(&rule, weighed(vanished, enough.saturating_mul(3)), None);
                }
                if enough > minimum && enough < u64::MAX {
                    check(&rule, weighed(vanished, enough - 1), Some(Trip::Share));
                }
            }
        }
        assert_eq!(HoldRule::default().enough(1), 50);
        assert_eq!(HoldRule::default().enough(1000), 5000);
        assert_eq!(HoldRule { share: share(0.0), ..HoldRule::default() }.enough(1), u64::MAX);
    }

    #[test]
    fn shares_are_from_nothing_to_all_and_shown_in_per_cent() {
        for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(Share::try_from(wrong).is_err(), "{wrong}");
        }
        for (number, text) in [(0.2, "20 %"), (0.0, "0 %"), (1.0, "100 %"), (0.125, "12.5 %"), (0.000_001, "0.0001 %")]
        {
            assert_eq!(share(number).to_string(), text);
            assert!((share(number).as_f64() - number).abs() < 1e-9);
        }
    }

    #[test]
    fn the_cause_says_what_how_much_and_on_what_basis() {
        let rule = HoldRule::default();
        let path = ObjectPath::from_segments(["K", "sales"]).expect("path");
        let told = |trip, it: &Weighed, below| cause(trip, &rule, it, &path, "tables", below);
        assert_eq!(
            told(Trip::Share, &weighed(12, 50), None),
            "12 of 50 known tables below K.sales would be gone (24 %), more than 20 %"
        );
        assert_eq!(
            told(Trip::Emptied, &weighed(40, 40), None),
            "as with an empty answer, all 40 known tables below K.sales would be gone"
        );
        let rebased = Rebased { was: "ROLE_A".into(), is: "ROLE_B".into() };
        let it = Weighed { rebased: Some(rebased.clone()), ..weighed(3, 40) };
        let expect =
            "3 of 40 known tables below K.sales would be gone (7 %); it was listed as ROLE_B instead of ROLE_A";
        assert_eq!(told(Trip::Rebased, &it, None), expect);
        assert!(told(Trip::Share, &weighed(30, 50), Some(&rebased)).ends_with("listed as ROLE_B instead of ROLE_A"));
    }
}
