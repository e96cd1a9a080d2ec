//! When a request is sent again: full jitter, the platform's `Retry-After` before it, and one budget per operation.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use http::{HeaderMap, header};
use jiff::{Timestamp, fmt::rfc2822};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::session::Budget;
use crate::clock::Clock;

/// Longest wait that is understood; more is the same as never.
const MAX_ASKED: Duration = Duration::from_secs(24 * 3600);

/// Times that a request without any answer is sent again: a host that is not there should be told soon.
pub(super) const MAX_UNANSWERED: u32 = 3;

/// How long the pauses between repeats are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pacing {
    /// The first pause is at most this; each one after may be twice as long.
    pub(super) base: Duration,
    /// No pause is longer, unless the platform asks for it.
    pub(super) cap: Duration,
}

impl Default for Pacing {
    fn default() -> Self {
        Self { base: Duration::from_millis(500), cap: Duration::from_secs(20) }
    }
}

impl Pacing {
    /// Waits before repeat number `repeat` (from 0). False, without waiting, when the operation's repeats are used up
    /// or its time would be.
    pub(super) async fn wait(&self, repeat: u32, asked: Option<Duration>, budget: &Budget) -> bool {
        let pause = self.pause(repeat, asked, chance());
        if pause >= budget.end().saturating_duration_since(Instant::now()) {
            return false;
        }
        let taken = budget.retries.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if taken.is_err() {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }

    /// `chance` is between 0 and 1. What the platform asks for is kept, and spread a little, since everybody who was
    /// told the same would otherwise come back at the same instant.
    fn pause(&self, repeat: u32, asked: Option<Duration>, chance: f64) -> Duration {
        let most = self.base.saturating_mul(1_u32.checked_shl(repeat).unwrap_or(u32::MAX)).min(self.cap);
        match asked {
            Some(asked) => asked.saturating_add(self.base.mul_f64(chance)),
            None => most.mul_f64(chance),
        }
    }
}

/// A number between 0 and 1; the middle where the system gives no randomness, which only makes pauses less spread.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

/// How long the platform asks to wait: seconds, or a date, which is compared with the answer's own where it has one.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(text.parse().map_or(MAX_ASKED, Duration::from_secs).min(MAX_ASKED));
    }
    let until = date(text)?;
    let now = headers.get(header::DATE).and_then(|d| date(d.to_str().ok()?)).unwrap_or_else(|| Clock::system().now());
    let wait = until.duration_since(now);
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO).min(MAX_ASKED))
}

fn date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, AtomicU64};

    use super::*;

    fn asked(pairs: &[(&'static str, &str)]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        retry_after(&headers).map(|d| d.as_secs())
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        for (pairs, expected) in [
            (vec![("retry-after", "7")], Some(7)),
            (vec![("retry-after", " 0 ")], Some(0)),
            (vec![("retry-after", "99999999999999999999999")], Some(86_400)),
            (vec![("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"), date], Some(30)),
            (vec![("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"), date], Some(0)),
            (vec![("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], Some(0)),
            (vec![("retry-after", "Tue, 01 Jan 2030 00:00:00 GMT"), date], Some(86_400)),
            (vec![("retry-after", "soon")], None),
            (vec![("retry-after", "-5")], None),
            (vec![("retry-after", "1.5")], None),
            (vec![("retry-after", "")], None),
            (vec![], None),
        ] {
            assert_eq!(asked(&pairs), expected, "{pairs:?}");
        }
    }

    #[test]
    fn pauses_grow_to_a_cap_and_never_undercut_the_platform() {
        let pacing = Pacing::default();
        let millis = |repeat, asked, chance| pacing.pause(repeat, asked, chance).as_millis();
        assert_eq!(millis(0, None, 1.0), 500);
        assert_eq!(millis(3, None, 1.0), 4000);
        assert_eq!(millis(3, None, 0.0), 0);
        assert_eq!(millis(40, None, 1.0), 20_000);
        let asked = Some(Duration::from_secs(60));
        assert_eq!(millis(0, asked, 0.0), 60_000);
        assert_eq!(millis(9, asked, 1.0), 60_500);
    }

    #[tokio::test]
    async fn repeats_end_with_the_budget() {
        let budget = |millis, retries| Budget {
            deadline: Instant::now() + Duration::from_millis(millis),
            withheld: Default::default(),
            max_response: 0,
            max_stream: 0,
            max_bytes: 0,
            retries: AtomicU32::new(retries),
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            named: Default::default(),
        };
        let pacing = Pacing { base: Duration::from_millis(1), cap: Duration::from_millis(1) };
        let two = budget(10_000, 2);
        assert!(pacing.wait(0, None, &two).await && pacing.wait(1, None, &two).await);
        assert!(!pacing.wait(2, None, &two).await, "the operation's repeats are used up");
        let short = budget(1000, 2);
        let begun = Instant::now();
        assert!(!pacing.wait(0, Some(Duration::from_secs(3600)), &short).await);
        assert!(begun.elapsed() < Duration::from_millis(900), "what would come too late is not waited for");
        assert_eq!(short.retries.load(Ordering::Relaxed), 2);
    }
}
