//! Why an object is enabled or disabled, and what new objects in it begin with, step by step from the connection down
//! (D3, D4). The same walk as [`super::settings::Inherited`], which decides; this one remembers the way.

use super::settings::{EffectiveSettings, NewChildren, Origin, Overrides};

/// What became of the status that is set on one object of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusStep {
    /// None is set: what holds above goes on.
    Inherits,
    /// A person removed it: what holds above goes on, and older ones of syncs below yield.
    Cleared,
    /// It holds from here on.
    Holds,
    /// A sync set it, and a person set or cleared one later at this step above: that one goes on.
    Yields(usize),
}

/// One object on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is set on it.
    pub own: Overrides,
    /// What became of its status.
    pub status: StatusStep,
    /// What holds for it.
    pub effective: EffectiveSettings,
}

/// Why things are as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// From the connection down to the object itself.
    pub steps: Vec<Step>,
    /// The step whose status holds; none where nothing is set, which means disabled.
    pub status_by: Option<usize>,
    /// The step whose rule for new objects holds; none where nothing is set, which means disabled.
    pub rule_by: Option<usize>,
}

impl Explanation {
    /// What holds in the end.
    #[must_use]
    pub fn effective(&self) -> EffectiveSettings {
        let none = EffectiveSettings { is_active: false, new_children: false };
        self.steps.last().map_or(none, |step| step.effective)
    }
}

/// Explains the last object of a chain of overrides that begins with the connection's.
#[must_use]
pub fn explain(chain: &[Overrides]) -> Explanation {
    let mut explanation = Explanation { steps: Vec::new(), status_by: None, rule_by: None };
    let mut holds = EffectiveSettings { is_active: false, new_children: false };
    let (mut latest_user, mut latest_at) = (0, 0);
    for (at, own) in chain.iter().enumerate() {
        let mut status = if own.cleared_sequence.is_some() { StatusStep::Cleared } else { StatusStep::Inherits };
        if let Some(o) = own.is_active {
            if o.origin == Origin::User || o.sequence > latest_user {
                holds.is_active = o.value;
                explanation.status_by = Some(at);
                status = StatusStep::Holds;
            } else {
                status = StatusStep::Yields(latest_at);
            }
        }
        let by_user = own.is_active.filter(|o| o.origin == Origin::User).map(|o| o.sequence);
        for sequence in by_user.into_iter().chain(own.cleared_sequence) {
            if sequence > latest_user {
                (latest_user, latest_at) = (sequence, at);
            }
        }
        if let Some(rule) = own.new_children {
            explanation.rule_by = Some(at);
            holds.new_children = match rule {
                NewChildren::Enable => true,
                NewChildren::Disable => false,
                NewChildren::Inherit => holds.is_active,
            };
        }
        explanation.steps.push(Step { own: *own, status, effective: holds });
    }
    explanation
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::settings::{ActiveOverride, resolve};

    fn status(value: bool, origin: Origin, sequence: u64) -> Overrides {
        Overrides { is_active: Some(ActiveOverride { value, origin, sequence }), ..Overrides::default() }
    }

    #[test]
    fn it_says_which_step_decides() {
        let none = Overrides::default();
        let chain = [status(true, Origin::User, 5), none, status(false, Origin::Sync, 3), none];
        let told = explain(&chain);
        assert_eq!(told.status_by, Some(0), "the sync's is older than the person's");
        assert_eq!(told.steps[2].status, StatusStep::Yields(0));
        let later = [status(true, Origin::User, 2), status(false, Origin::Sync, 3)];
        assert_eq!(explain(&later).steps[1].status, StatusStep::Holds);
        let cleared = Overrides { cleared_sequence: Some(9), ..none };
        let told = explain(&[status(true, Origin::User, 1), cleared, status(false, Origin::Sync, 3)]);
        assert_eq!((told.steps[1].status, told.steps[2].status), (StatusStep::Cleared, StatusStep::Yields(1)));
        let rule = Overrides { new_children: Some(NewChildren::Inherit), ..status(true, Origin::User, 1) };
        let told = explain(&[rule, status(false, Origin::User, 2)]);
        assert_eq!((told.rule_by, told.effective().new_children), (Some(0), true));
        assert_eq!(explain(&[none]).status_by, None);
    }

    /// Whatever is set along a chain, the explanation ends where the decision does.
    #[test]
    fn it_never_contradicts_what_decides() {
        let mut choices = vec![Overrides::default(), Overrides { cleared_sequence: Some(2), ..Overrides::default() }];
        for sequence in [1, 2, 3] {
            for origin in [Origin::User, Origin::Sync] {
                choices.extend([true, false].map(|value| status(value, origin, sequence)));
            }
        }
        for rule in [NewChildren::Enable, NewChildren::Disable, NewChildren::Inherit] {
            choices.push(Overrides { new_children: Some(rule), ..Overrides::default() });
            choices.push(Overrides { new_children: Some(rule), ..status(true, Origin::User, 2) });
        }
        for a in &choices {
            for b in &choices {
                for c in &choices {
                    let chain = [*a, *b, *c];
                    let told = explain(&chain);
                    assert_eq!(told.effective(), resolve(&chain), "{chain:?}");
                    let value = told.status_by.and_then(|at| chain[at].is_active).is_some_and(|o| o.value);
                    assert_eq!(told.effective().is_active, value, "{chain:?}");
                }
            }
        }
    }
}
