//! Status and new-object rule: stored as overrides, computed on read (D3, D4).

use serde::{Deserialize, Serialize};

/// Who made an override.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A person: it stays until a person changes it.
    User,
    /// A sync, for an object that began with another status than it would have inherited: yields to any later setting
    /// of a person on an ancestor.
    Sync,
}

/// A status of an object's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveOverride {
    /// Enabled or disabled.
    pub value: bool,
    /// Who made it.
    pub origin: Origin,
    /// Commit sequence at which it was made: decides between a sync's override and a later one above it.
    pub sequence: u64,
}

/// The rule for objects found later inside a container, as set on it (D3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NewChildren {
    /// They begin enabled.
    Enable,
    /// They begin disabled.
    Disable,
    /// They begin with the container's effective status.
    Inherit,
}

/// What is set on one object itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides {
    /// Its own status.
    pub is_active: Option<ActiveOverride>,
    /// Its own rule for new children.
    pub new_children: Option<NewChildren>,
    /// When a person last cleared the status (`isActive: null`): such a clearing is a setting too, and `sync`
    /// overrides below that are older yield to it.
    pub cleared_sequence: Option<u64>,
}

/// What holds for one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectiveSettings {
    /// Effective status.
    pub is_active: bool,
    /// The status a child found now would begin with.
    pub new_children: bool,
}

/// A change that a person asks for. A field that is none stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SettingsChange {
    /// `Some(None)` removes the object's own status.
    pub is_active: Option<Option<bool>>,
    /// `Some(None)` removes the object's own rule.
    pub new_children: Option<Option<NewChildren>>,
}

/// What a chain of overrides amounts to so far: the state in which [`resolve`] walks from the connection downwards. A walk
/// over many objects keeps one per container instead of resolving each object's chain again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inherited {
    active: bool,
    latest_user: u64,
    new_children: Option<bool>,
}

impl Inherited {
    /// The state after one more object on the way down.
    #[must_use]
    pub fn then(mut self, own: &Overrides) -> Self {
        if let Some(o) = own.is_active {
            if o.origin == Origin::User || o.sequence > self.latest_user {
                self.active = o.value;
            }
            if o.origin == Origin::User {
                self.latest_user = self.latest_user.max(o.sequence);
            }
        }
        self.latest_user = self.latest_user.max(own.cleared_sequence.unwrap_or(0));
        match own.new_children {
            Some(NewChildren::Enable) => self.new_children = Some(true),
            Some(NewChildren::Disable) => self.new_children = Some(false),
            // Decided by the status of the container that says so, not by that of the one asked about.
            Some(NewChildren::Inherit) => self.new_children = Some(self.active),
            None => {}
        }
        self
    }

    /// What holds for the last object of the chain.
    #[must_use]
    pub fn effective(self) -> EffectiveSettings {
        EffectiveSettings { is_active: self.active, new_children: self.new_children.unwrap_or(false) }
    }
}

/// Computes what holds for the last object of a chain of overrides that begins with the connection's.
///
/// An own status of origin `user` holds. One of origin `sync` holds unless a person set or cleared a status on an
/// ancestor later. Without one the parent's holds; nothing set up to the connection means disabled.
#[must_use]
pub fn resolve(chain: &[Overrides]) -> EffectiveSettings {
    chain.iter().fold(Inherited::default(), |state, own| state.then(own)).effective()
}

impl Overrides {
    /// What a new object is given: a status of its own only where it begins with another than it would inherit (D4).
    #[must_use]
    pub fn of_new_object(parent: EffectiveSettings, sequence: u64) -> Self {
        let is_active = (parent.new_children != parent.is_active).then_some(ActiveOverride {
            value: parent.new_children,
            origin: Origin::Sync,
            sequence,
        });
        Self { is_active, ..Self::default() }
    }

    /// What is set after a person's change. A status that is set again is a later setting than it was before.
    #[must_use]
    pub fn after(mut self, change: &SettingsChange, sequence: u64) -> Self {
        match change.is_active {
            Some(Some(value)) => {
                self.is_active = Some(ActiveOverride { value, origin: Origin::User, sequence });
                self.cleared_sequence = None;
            }
            Some(None) => {
                self.is_active = None;
                self.cleared_sequence = Some(sequence);
            }
            None => {}
        }
        if let Some(rule) = change.new_children {
            self.new_children = rule;
        }
        self
    }

    /// Whether nothing needs to be kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it has a status or rule of its own. That a status was once cleared is none.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.is_active.is_some() || self.new_children.is_some()
    }

    /// Whether a person gave a status: what a status above does not reach.
    #[must_use]
    pub fn set_by_user(&self) -> bool {
        self.is_active.is_some_and(|o| o.origin == Origin::User)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(value: bool, sequence: u64) -> Overrides {
        Overrides { is_active: Some(ActiveOverride { value, origin: Origin::User, sequence }), ..Overrides::default() }
    }

    fn sync(value: bool, sequence: u64) -> Overrides {
        Overrides { is_active: Some(ActiveOverride { value, origin: Origin::Sync, sequence }), ..Overrides::default() }
    }

    fn new(rule: NewChildren) -> Overrides {
        Overrides { new_children: Some(rule), ..Overrides::default() }
    }

    #[test]
    fn status_is_inherited_unless_set() {
        let none = Overrides::default();
        assert!(!resolve(&[none, none]).is_active);
        assert!(resolve(&[user(true, 1), none, none]).is_active);
        assert!(!resolve(&[user(true, 1), user(false, 2), none]).is_active);
        assert!(resolve(&[user(false, 9), none, user(true, 2)]).is_active, "a person's own setting stays");
    }

    #[test]
    fn an_override_of_a_sync_yields_to_a_later_person() {
        assert!(resolve(&[user(false, 1), sync(true, 2)]).is_active);
        assert!(!resolve(&[user(false, 3), sync(true, 2)]).is_active);
        let cleared = Overrides { cleared_sequence: Some(3), ..Overrides::default() };
        assert!(resolve(&[user(true, 1), cleared, sync(false, 2)]).is_active);
    }

    #[test]
    fn new_objects_follow_the_nearest_rule() {
        let none = Overrides::default();
        let rule = |chain: &[Overrides]| resolve(chain).new_children;
        assert!(!rule(&[user(true, 1), none]), "nothing set means disabled");
        assert!(rule(&[new(NewChildren::Enable), none]));
        assert!(!rule(&[new(NewChildren::Enable), new(NewChildren::Disable)]));
        let inherit = Overrides { new_children: Some(NewChildren::Inherit), ..user(true, 1) };
        assert!(rule(&[inherit]));
        assert!(rule(&[inherit, user(false, 2)]), "an ancestor on inherit decides by its own status");
    }
}
