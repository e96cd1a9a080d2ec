//! An installed connector: its versions, which of them serves whom, how another one takes over, and when it is taken back.
//!
//! What changes who serves whom is a function here from value to value; the store applies it in one transaction.

use std::{cmp::Ordering, collections::BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    connection::Actor,
    id::{ConnectionId, JobId},
    name::{ConnectionKey, Technology},
};

/// Versions that stay ready after another one took over.
pub const KEPT: usize = 2;

/// Failures among the last operations of a version from which on it is judged.
pub const FAILURES: u32 = 3;

/// Operations that are looked at.
pub const LOOKED_AT: u32 = 20;

/// Operations of a version from which on its rate is known.
pub const KNOWN: u32 = 5;

/// A connector that is installed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Installed {
    /// As its versions call themselves.
    pub name: String,
    /// What it serves. No two connectors serve the same.
    pub technology: Technology,
    /// What serves it: one version, and none only until the first one is activated.
    pub active: Option<Active>,
    /// Another version, for some connections.
    pub canary: Option<Canary>,
    /// What was active before, the latest first.
    pub previous: Vec<String>,
    /// Permissions that were ever granted to it.
    pub granted: BTreeSet<String>,
    /// The last change of version that was asked for.
    pub rollout: Option<Rollout>,
    /// Counts changes of who serves whom, also those that are only asked for.
    pub revision: u64,
    /// Versions that a person kept from taking over, or ceased to try out: the host does not choose them of itself.
    pub declined: BTreeSet<String>,
}

/// The version that serves whoever has no other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Active {
    /// Which.
    pub version: String,
    /// Since when.
    pub since: Timestamp,
    /// Who chose it; none: the host did, which may also choose a newer one.
    pub by: Option<Actor>,
    /// How the one before it did, when it took over: what it is judged by. None: it is what others came back to, or the
    /// first, and is not taken back by itself.
    pub before: Option<Tally>,
}

/// A version that some connections try for the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Canary {
    /// Which.
    pub version: String,
    /// For whom.
    pub connections: BTreeSet<ConnectionId>,
}

/// How operations went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub operations: u32,
    /// How many of them failed.
    pub failures: u32,
}

/// One version of a connector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Of which.
    pub connector: String,
    /// As it calls itself.
    pub version: String,
    /// For people.
    pub title: String,
    /// SHA-256 of the component, which is also the name of its file.
    pub digest: String,
    /// Bytes of the component.
    pub size: u64,
    /// Where it came from.
    pub origin: Origin,
    /// What is known of who vouches for it.
    pub signature: String,
    /// SHA-256 of the schema of its configuration.
    pub schema_digest: String,
    /// SHA-256 of what it said of itself when it was installed: what it says later is that, or it is not loaded.
    pub description_digest: String,
    /// What it may do where it is granted: one line each, sorted.
    pub permissions: Vec<String>,
    /// Who installed it; none: the host.
    pub by: Option<Actor>,
    /// When.
    pub at: Timestamp,
    /// Why it was taken back, if it was.
    pub taken_back: Option<String>,
    /// What it was built with.
    pub built: Built,
}

/// What a component was built with, as it says itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// The version of the contract. None: a host installed it that did not look.
    pub contract: Option<String>,
    /// The version of the SDK. None: it was built without, or a host installed it that did not look.
    pub sdk: Option<String>,
}

/// Where a component came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// The host's binary.
    Bundled,
    /// Somebody uploaded it.
    Upload,
    /// Somebody uploaded it, and said that it came from there.
    SaidToBeFrom(String),
}

/// A change of version, step by step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// To which.
    pub version: String,
    /// For these connections only; none: for all.
    pub canary: Option<BTreeSet<ConnectionId>>,
    /// Whether it only reads for them, to be compared with the inventory, and serves nobody.
    pub shadow: bool,
    /// Whether findings do not stand in the way.
    pub forced: bool,
    /// What is done next, or how it ended.
    pub step: Step,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Who asked for it; none: the host.
    pub by: Option<Actor>,
    /// When.
    pub at: Timestamp,
    /// The connector's revision that it made: tells it from the others of the connector.
    pub began: u64,
    /// The connector's revision while it is under way: where that changes otherwise, it is over.
    pub revision: u64,
}

/// What of a change of version comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Whether stored configurations fit.
    Compatibility,
    /// Whether connections still work.
    Check,
    /// What it reads otherwise than the version that serves.
    Shadow,
    /// To let it serve.
    Promote,
    /// It serves; or it was compared, where that was all.
    Done,
    /// Something stood in the way; who served before still does.
    Blocked,
    /// Somebody ended it, or something else happened meanwhile.
    Ended,
}

/// Something that a step found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// In which.
    pub step: Step,
    /// About which connection.
    pub connection: Option<ConnectionKey>,
    /// Whether it stands in the way.
    pub blocks: bool,
    /// The job that found it.
    pub job: Option<JobId>,
    /// For people.
    pub message: String,
}

/// Something that somebody did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who; none: the host itself.
    pub who: Option<Actor>,
    /// For programs, such as `connector.install`.
    pub action: String,
    /// To what, such as `connectors/NAME`.
    pub subject: String,
    /// For people.
    pub message: String,
}

/// What a roll-back did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolledBack {
    /// In which role it gave way.
    pub what: Gave,
    /// What serves no longer.
    pub from: String,
    /// What serves those whom it served.
    pub to: String,
}

/// As what a version gave way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gave {
    /// It was about to take over.
    Rollout,
    /// Some connections tried it out.
    Canary,
    /// It was active.
    Active,
}

impl Step {
    /// As it is told.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compatibility => "compatibility",
            Self::Check => "check",
            Self::Shadow => "shadow",
            Self::Promote => "promote",
            Self::Done => "done",
            Self::Blocked => "blocked",
            Self::Ended => "ended",
        }
    }

    /// Whether anything follows.
    #[must_use]
    pub fn is_under_way(self) -> bool {
        !matches!(self, Self::Done | Self::Blocked | Self::Ended)
    }
}

impl Rollout {
    /// What follows its step where nothing stands in the way. What could only delay one that goes on whatever is found is
    /// left out.
    #[must_use]
    pub fn next(&self) -> Step {
        let last = if self.shadow { Step::Shadow } else { Step::Promote };
        match self.step {
            Step::Compatibility if !self.forced => Step::Check,
            Step::Compatibility | Step::Check => last,
            Step::Shadow | Step::Promote => Step::Done,
            ended @ (Step::Done | Step::Blocked | Step::Ended) => ended,
        }
    }
}

impl Installed {
    /// One of which nothing serves yet.
    #[must_use]
    pub fn new(name: String, technology: Technology) -> Self {
        Self {
            name,
            technology,
            active: None,
            canary: None,
            previous: Vec::new(),
            granted: BTreeSet::new(),
            rollout: None,
            revision: 1,
            declined: BTreeSet::new(),
        }
    }

    /// What audit entries about it are filed under.
    #[must_use]
    pub fn subject(name: &str) -> String {
        format!("connectors/{name}")
    }

    /// Permissions of a version that were never granted.
    #[must_use]
    pub fn waiting(&self, version: &Version) -> Vec<String> {
        version.permissions.iter().filter(|permission| !self.granted.contains(*permission)).cloned().collect()
    }

    /// The version that is active.
    #[must_use]
    pub fn active_version(&self) -> Option<&str> {
        self.active.as_ref().map(|active| active.version.as_str())
    }

    /// The version that serves a connection, with what it pins.
    #[must_use]
    pub fn serving<'a>(&'a self, connection: ConnectionId, pin: Option<&'a str>) -> Option<&'a str> {
        let canary = self.canary.as_ref().filter(|canary| canary.connections.contains(&connection));
        pin.or(canary.map(|canary| canary.version.as_str())).or(self.active_version())
    }

    /// The version to which a connection would come back from the one that serves it.
    #[must_use]
    pub fn before(&self, connection: ConnectionId, pin: Option<&str>) -> Option<&str> {
        match (pin, &self.canary) {
            // What is pinned is not taken back.
            (Some(_), _) => None,
            (None, Some(canary)) if canary.connections.contains(&connection) => self.active_version(),
            _ => self.previous.first().map(String::as_str),
        }
    }

    /// Whether a version that came with the host is to take over: nothing serves, or what the host chose before, and older.
    /// What a person is about to do, tries out or has ended is not theirs no more because the host was started again.
    #[must_use]
    pub fn takes(&self, version: &str) -> bool {
        let is_theirs = self.under_way().is_some_and(|rollout| rollout.by.is_some()) || self.canary.is_some();
        let is_known = self.rollout.as_ref().is_some_and(|rollout| {
            let is_over = rollout.step == Step::Ended || rollout.step.is_under_way();
            rollout.by.is_none() && rollout.version == version && is_over
        });
        let is_older = match &self.active {
            Some(active) => active.by.is_none() && is_newer(version, &active.version),
            None => true,
        };
        is_older && !is_theirs && !is_known && !self.declined.contains(version)
    }

    /// Whether a connection (none: one that is about to be) may be pinned to a version: only to what serves or has served.
    /// An administrator let that serve once; what is only installed nobody but an administrator lets near a connection.
    #[must_use]
    pub fn may_pin(&self, version: &str, connection: Option<ConnectionId>) -> bool {
        let tries = |canary: &Canary| {
            canary.version == version && connection.is_some_and(|connection| canary.connections.contains(&connection))
        };
        self.active_version() == Some(version)
            || self.previous.iter().any(|previous| previous == version)
            || self.canary.as_ref().is_some_and(tries)
    }

    /// The change of version that is under way.
    #[must_use]
    pub fn under_way(&self) -> Option<&Rollout> {
        self.rollout.as_ref().filter(|rollout| rollout.step.is_under_way())
    }

    /// A version serves everybody. What was active before stays ready.
    pub fn promote(&mut self, version: &str, by: Option<Actor>, before: Option<Tally>, now: Timestamp) {
        let was = self.active.replace(Active { version: version.to_owned(), since: now, by, before });
        let was = was.map(|active| active.version);
        let earlier = std::mem::take(&mut self.previous);
        self.previous = was.into_iter().chain(earlier).filter(|earlier| earlier != version).collect();
        let mut seen = BTreeSet::new();
        self.previous.retain(|version| seen.insert(version.clone()));
        self.previous.truncate(KEPT);
        self.declined.remove(version);
        self.canary = None;
        self.end_rollout(Step::Done);
        self.revision += 1;
    }

    /// A version serves some connections.
    pub fn try_out(&mut self, version: &str, connections: BTreeSet<ConnectionId>) {
        self.canary = Some(Canary { version: version.to_owned(), connections });
        self.end_rollout(Step::Done);
        self.revision += 1;
    }

    /// What is newest gives way to what was there before it: a change of version that is under way, or else the canary, or
    /// else what is active. Where a version is named, only that one gives way. None where there is nothing to go back to.
    pub fn roll_back(&mut self, of: Option<&str>, by: Option<Actor>, now: Timestamp) -> Option<RolledBack> {
        let active = self.active_version()?.to_owned();
        let given_up = self.under_way().filter(|_| of.is_none()).map(|rollout| rollout.version.clone());
        let is_comparison = given_up.is_some() && self.rollout.as_ref().is_some_and(|rollout| rollout.shadow);
        let is_meant = |version: &str| of.is_none_or(|of| of == version);
        let done = if let Some(from) = given_up {
            RolledBack { what: Gave::Rollout, from, to: active }
        } else if let Some(canary) = self.canary.take_if(|canary| is_meant(&canary.version)) {
            RolledBack { what: Gave::Canary, from: canary.version, to: active }
        } else if is_meant(&active) && !self.previous.is_empty() {
            let to = self.previous.remove(0);
            self.active = Some(Active { version: to.clone(), since: now, by: by.clone(), before: None });
            self.canary = None;
            RolledBack { what: Gave::Active, from: active, to }
        } else {
            return None;
        };
        if by.is_some() && !is_comparison && done.what != Gave::Active {
            self.declined.insert(done.from.clone());
        }
        self.end_rollout(Step::Ended);
        self.revision += 1;
        Some(done)
    }

    /// Ends the change of version that is under way.
    pub fn end_rollout(&mut self, step: Step) {
        if let Some(rollout) = self.rollout.as_mut().filter(|rollout| rollout.step.is_under_way()) {
            rollout.step = step;
        }
    }

    /// A version is there no more. Whoever saw it has not seen what is installed under its name later; a change of version
    /// that is under way is about another one, and goes on.
    pub fn forget(&mut self, version: &str) {
        self.previous.retain(|previous| previous != version);
        self.declined.remove(version);
        self.revision += 1;
        if let Some(rollout) = self.rollout.as_mut().filter(|rollout| rollout.step.is_under_way()) {
            rollout.revision = self.revision;
        }
    }

    /// Why a version cannot be removed.
    #[must_use]
    pub fn needs(&self, version: &str) -> Option<&'static str> {
        if self.active_version() == Some(version) {
            Some("it is active")
        } else if self.canary.as_ref().is_some_and(|canary| canary.version == version) {
            Some("connections try it out")
        } else if self.under_way().is_some_and(|rollout| rollout.version == version) {
            Some("it is about to take over")
        } else if self.previous.first().is_some_and(|previous| previous == version) {
            Some("it is what a roll-back would go to")
        } else {
            None
        }
    }
}

/// Whether a version is to be taken back by what its last operations came to, and those of the one before it: at least 3
/// failures in the last 20, and at least twice the rate. Of a version that did next to nothing (after a restart, most of
/// all) nobody knows the rate: then at least half of the operations must have failed, because what fails now and then may
/// have done so before.
#[must_use]
pub fn is_worse(recent: Tally, before: Tally) -> bool {
    if recent.failures < FAILURES {
        return false;
    }
    // failures / operations >= 2 * (failures / operations), without dividing.
    let (recent_failures, recent_operations) = (u64::from(recent.failures), u64::from(recent.operations.max(1)));
    if before.operations < KNOWN {
        return 2 * recent_failures >= recent_operations;
    }
    recent_failures * u64::from(before.operations) >= 2 * u64::from(before.failures) * recent_operations
}

/// Whether one version is newer than another. What is no semantic version is older than all that are.
#[must_use]
pub fn is_newer(version: &str, than: &str) -> bool {
    let parse = |text: &str| semver::Version::parse(text).ok();
    parse(version).cmp(&parse(than)) == Ordering::Greater
}

#[cfg(test)]
mod tests;
