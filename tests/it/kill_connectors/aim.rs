//! What is killed, and how many of the kills fell inside of it.

use std::{collections::BTreeMap, fmt, time::Duration};

use wharfinger_simulators::random::Random;

use super::shop::LATENCY;

/// An operation that is cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Install,
    /// Not forced, with a check that asks the platform.
    Activate,
    /// To the version before.
    RollBack,
    /// Of an activation that is under way.
    GiveUp,
    Remove,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [Self::Install, Self::Activate, Self::RollBack, Self::GiveUp, Self::Remove];
}

/// When the kill comes, after the request is sent: within the time that it takes. Half of the activations get as far as the
/// end of their check, because what follows is short.
pub(super) fn moment(kind: Kind, within: Duration, random: &mut Random) -> Duration {
    let from = if kind == Kind::Activate && random.one_in(2) { LATENCY.min(within) } else { Duration::ZERO };
    let room = (within - from).as_micros().max(1000);
    from + Duration::from_micros(random.below(room as usize) as u64)
}

/// What the kills met.
#[derive(Default)]
pub(super) struct Hits(BTreeMap<Kind, Met>);

#[derive(Default)]
struct Met {
    kills: usize,
    unanswered: usize,
    /// Activations that had not ended, by the step that was next.
    under_way: BTreeMap<String, usize>,
    inside: usize,
}

impl Hits {
    /// Notes a kill, and tells whether it fell inside.
    pub(super) fn count(&mut self, kind: Kind, is_unanswered: bool, under_way: Option<&str>) -> bool {
        let met = self.0.entry(kind).or_default();
        met.kills += 1;
        met.unanswered += usize::from(is_unanswered);
        // What is given up is under way before, too.
        let under_way = under_way.filter(|_| kind == Kind::Activate);
        let is_inside = is_unanswered || under_way.is_some();
        met.inside += usize::from(is_inside);
        if let Some(step) = under_way {
            *met.under_way.entry(step.to_owned()).or_default() += 1;
        }
        is_inside
    }

    pub(super) fn inside(&self, kind: Kind) -> usize {
        self.0.get(&kind).map_or(0, |met| met.inside)
    }
}

impl fmt::Display for Hits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, met) in &self.0 {
            write!(f, "{kind:?}: {} kills, {} inside: {} unanswered", met.kills, met.inside, met.unanswered)?;
            for (step, count) in &met.under_way {
                write!(f, ", {count} before `{step}` was done")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
