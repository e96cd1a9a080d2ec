//! When a connection is synced by itself: five fields of cron, in UTC, and a delay that is the connection's own (D8).
//!
//! Pure: the time is a parameter. Written here and not taken from a crate, because those bring a second library of dates
//! along or read the fields in another way than cron does. A schedule that never fires, or that fires too often, cannot
//! be made.

use std::{fmt, str::FromStr, time::Duration};

use jiff::{
    Span, Timestamp,
    civil::{Date, date},
};

use super::{id::ConnectionId, spread::spread};

/// Shortest time between two syncs, in minutes.
pub const MIN_MINUTES: u16 = 15;

/// Longest delay that can be asked for, in seconds: a day.
pub const MAX_JITTER: u32 = 24 * 3600;

/// Longest text that is taken for a cron expression.
const MAX_TEXT: usize = 200;

/// Days within which whatever fires at all does: 29 February can be eight years away.
const HORIZON_DAYS: i64 = 8 * 366 + 1;

/// Minutes of a day.
const DAY: i64 = 24 * 60;

/// When a connection is synced by itself.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Schedule {
    /// The times.
    pub cron: Cron,
    /// Connections of one time are spread over so many seconds after it.
    pub jitter: Jitter,
}

/// Seconds, at most [`MAX_JITTER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Jitter(u32);

/// Minute, hour, day of month, month, day of week. As in cron a day fires if either of its two fields names it, where
/// both are given, and if both do otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    either_day: bool,
}

/// Why something is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    /// Another number of fields.
    #[error("must be five fields (minute, hour, day of month, month, day of week, in UTC), not {0}")]
    Fields(usize),
    /// Too long.
    #[error("must be at most {MAX_TEXT} characters")]
    TooLong,
    /// A field that says nothing.
    #[error("the field {field} {why}")]
    Field {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// No day is meant.
    #[error("never fires: there is no such day")]
    NeverFires,
    /// Too often.
    #[error("fires every {0} minutes at times; the shortest is {MIN_MINUTES}")]
    TooOften(u16),
    /// A delay that is too long.
    #[error("must be 0 to {MAX_JITTER} seconds, not {0}")]
    Jitter(u64),
}

/// What a field may hold.
struct Field {
    name: &'static str,
    first: u8,
    last: u8,
    names: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", first: 0, last: 59, names: &[] };
const HOUR: Field = Field { name: "hour", first: 0, last: 23, names: &[] };
const DAY_OF_MONTH: Field = Field { name: "day of month", first: 1, last: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    first: 1,
    last: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
/// 7 is Sunday too.
const DAY_OF_WEEK: Field =
    Field { name: "day of week", first: 0, last: 7, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] };

impl Schedule {
    /// The first time after `now` at which this connection is due.
    #[must_use]
    pub fn next_after(&self, connection: ConnectionId, now: Timestamp) -> Timestamp {
        let delay = self.jitter.of(connection);
        let shifted = now.checked_sub(delay).unwrap_or(now);
        self.cron.next_after(shifted).and_then(|at| at.checked_add(delay).ok()).unwrap_or(Timestamp::MAX)
    }
}

impl Jitter {
    /// The bound, in seconds.
    #[must_use]
    pub fn seconds(self) -> u32 {
        self.0
    }

    /// How much later than others this connection is: always the same, and spread evenly over connections.
    #[must_use]
    pub fn of(self, connection: ConnectionId) -> Duration {
        Duration::from_secs(spread(connection.as_u128()) % (u64::from(self.0) + 1))
    }
}

impl TryFrom<u64> for Jitter {
    type Error = InvalidSchedule;

    fn try_from(seconds: u64) -> Result<Self, InvalidSchedule> {
        match u32::try_from(seconds) {
            Ok(jitter) if jitter <= MAX_JITTER => Ok(Self(jitter)),
            _ => Err(InvalidSchedule::Jitter(seconds)),
        }
    }
}

impl Default for Cron {
    /// Daily at 01:00 UTC (F42).
    fn default() -> Self {
        Self {
            text: "0 1 * * *".into(),
            minutes: 1,
            hours: 1 << 1,
            days: bits(1, 31, 1),
            months: bits(1, 12, 1),
            weekdays: bits(0, 6, 1),
            either_day: false,
        }
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Cron {
    type Err = InvalidSchedule;

    fn from_str(text: &str) -> Result<Self, InvalidSchedule> {
        if text.len() > MAX_TEXT {
            return Err(InvalidSchedule::TooLong);
        }
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(InvalidSchedule::Fields(fields.len()));
        };
        let weekdays = DAY_OF_WEEK.parse(weekday)?;
        let cron = Self {
            text: fields.join(" "),
            minutes: MINUTE.parse(minute)?,
            hours: HOUR.parse(hour)?,
            days: DAY_OF_MONTH.parse(day)?,
            months: MONTH.parse(month)?,
            weekdays: (weekdays | (weekdays >> 7)) & bits(0, 6, 1),
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        cron.check()
    }
}

impl Cron {
    /// The time of day, where it fires once on every day.
    #[must_use]
    pub fn daily_at(&self) -> Option<(u16, u16)> {
        let every = Self::default();
        let every_day = (self.days, self.months, self.weekdays) == (every.days, every.months, every.weekdays);
        match self.times()[..] {
            [time] if every_day => Some((time / 60, time % 60)),
            _ => None,
        }
    }

    /// The first time after `now` at which it fires.
    fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let minute = now.as_microsecond().div_euclid(60_000_000) + 1;
        let times = self.times();
        let today = minute.div_euclid(DAY);
        let mut day = date(1970, 1, 1).checked_add(Span::new().try_days(today).ok()?).ok()?;
        for n in 0..HORIZON_DAYS {
            let earliest = if n == 0 { minute.rem_euclid(DAY) } else { 0 };
            let time = times.iter().find(|time| i64::from(**time) >= earliest).filter(|_| self.fires_on(day));
            if let Some(time) = time {
                return Timestamp::from_second(((today + n) * DAY + i64::from(*time)) * 60).ok();
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    /// Minutes of the day at which it fires.
    fn times(&self) -> Vec<u16> {
        let has = |set: u64, n: u16| set & (1 << n) != 0;
        (0..24 * 60).filter(|time| has(self.hours, time / 60) && has(self.minutes, time % 60)).collect()
    }

    fn fires_on(&self, day: Date) -> bool {
        let has = |set: u64, n: i8| u32::try_from(n).is_ok_and(|n| set & (1 << n) != 0);
        let by_month = has(self.days, day.day());
        let by_week = has(self.weekdays, day.weekday().to_sunday_zero_offset());
        has(self.months, day.month()) && if self.either_day { by_month || by_week } else { by_month && by_week }
    }

    /// Refuses what never fires, and what fires too often.
    fn check(self) -> Result<Self, InvalidSchedule> {
        let times = self.times();
        let mut shortest = times.windows(2).map(|pair| pair[1] - pair[0]).min();
        let (mut fires, mut yesterday) = (false, false);
        let mut day = date(2000, 1, 1);
        for _ in 0..HORIZON_DAYS {
            let today = self.fires_on(day);
            fires |= today;
            if let (true, true, Some(first), Some(last)) = (today, yesterday, times.first(), times.last()) {
                let over_midnight = first + 24 * 60 - last;
                shortest = Some(shortest.map_or(over_midnight, |known| known.min(over_midnight)));
            }
            yesterday = today;
            day = day.tomorrow().map_err(|_| InvalidSchedule::NeverFires)?;
        }
        match shortest {
            _ if !fires => Err(InvalidSchedule::NeverFires),
            Some(minutes) if minutes < MIN_MINUTES => Err(InvalidSchedule::TooOften(minutes)),
            _ => Ok(self),
        }
    }
}

impl Field {
    /// A field: parts joined by commas.
    fn parse(&self, text: &str) -> Result<u64, InvalidSchedule> {
        let mut set = 0;
        for part in text.split(',') {
            set |= self.part(part)?;
        }
        Ok(set)
    }

    /// `*`, `n`, `a-b`, and steps of the first and the last.
    fn part(&self, text: &str) -> Result<u64, InvalidSchedule> {
        let (range, step) = match text.split_once('/') {
            None => (text, 1),
            Some((range, step)) => {
                let step = step.parse::<u8>().ok().filter(|step| (1..=self.last).contains(step));
                (range, step.ok_or_else(|| self.wrong(format!("has a step that must be 1 to {}", self.last)))?)
            }
        };
        let (from, to) = match range.split_once('-') {
            None if range == "*" => (self.first, self.last),
            None if step > 1 || text.contains('/') => {
                return Err(self.wrong("has a step without `*` or a range".into()));
            }
            None => (self.value(range)?, self.value(range)?),
            Some((from, to)) => (self.value(from)?, self.value(to)?),
        };
        if from > to {
            return Err(self.wrong(format!("has a range that goes down: {from} to {to}")));
        }
        Ok(bits(from, to, step))
    }

    fn value(&self, text: &str) -> Result<u8, InvalidSchedule> {
        if let Some(at) = self.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return Ok(u8::try_from(at).unwrap_or_default() + self.first);
        }
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let value = text.parse::<u8>().ok().filter(|n| digits && (self.first..=self.last).contains(n));
        value
            .ok_or_else(|| self.wrong(format!("must be {} to {}, or names where there are any", self.first, self.last)))
    }

    fn wrong(&self, why: String) -> InvalidSchedule {
        InvalidSchedule::Field { field: self.name, why }
    }
}

/// The numbers from one to another, by steps, as bits.
fn bits(from: u8, to: u8, step: u8) -> u64 {
    (from..=to).step_by(usize::from(step)).fold(0, |set, n| set | (1 << n))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[track_caller]
    fn check(cron: &str, now: &str, want: &[&str]) {
        let cron: Cron = cron.parse().expect("a schedule");
        let mut now = at(now);
        for want in want {
            now = cron.next_after(now).expect("fires");
            assert_eq!(now, at(want), "{cron}");
        }
    }

    #[test]
    fn it_fires_when_cron_would() {
        check("0 1 * * *", "2026-03-01T00:59:59.999Z", &["2026-03-01T01:00:00Z", "2026-03-02T01:00:00Z"]);
        check("0 1 * * *", "2026-03-01T01:00:00Z", &["2026-03-02T01:00:00Z"]);
        check("*/15 22-23 * * *", "2026-12-31T23:40:00Z", &["2026-12-31T23:45:00Z", "2027-01-01T22:00:00Z"]);
        check("30 4,16 * * *", "2026-01-01T00:00:00Z", &["2026-01-01T04:30:00Z", "2026-01-01T16:30:00Z"]);
        check("0 0 29 2 *", "2026-01-01T00:00:00Z", &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
        check("0 0 29 2 *", "2096-03-01T00:00:00Z", &["2104-02-29T00:00:00Z"]);
        check("0 6 * * mon-FRI", "2026-01-02T07:00:00Z", &["2026-01-05T06:00:00Z", "2026-01-06T06:00:00Z"]);
        check("0 6 * * 7", "2026-01-01T00:00:00Z", &["2026-01-04T06:00:00Z", "2026-01-11T06:00:00Z"]);
        check(
            "0 6 * * 5-7",
            "2026-01-02T06:00:00Z",
            &["2026-01-03T06:00:00Z", "2026-01-04T06:00:00Z", "2026-01-09T06:00:00Z"],
        );
        // Both days are given: either fires. With a star in one of them both must agree.
        check(
            "0 0 13 * 5",
            "2026-01-01T00:00:00Z",
            &["2026-01-02T00:00:00Z", "2026-01-09T00:00:00Z", "2026-01-13T00:00:00Z"],
        );
        check("0 0 */2 * 5", "2026-01-01T00:00:00Z", &["2026-01-09T00:00:00Z", "2026-01-23T00:00:00Z"]);
        check("0 0 1 JAN,jul *", "2026-01-01T00:00:00Z", &["2026-07-01T00:00:00Z", "2027-01-01T00:00:00Z"]);
        check("0 1 * * *", "1969-12-30T12:00:00Z", &["1969-12-31T01:00:00Z"]);
    }

    #[test]
    fn what_is_no_schedule_says_why() {
        for (text, part) in [
            ("", "not 0"),
            ("0 1 * *", "not 4"),
            ("0 0 1 * * *", "not 6"),
            ("@daily", "five fields"),
            ("60 1 * * *", "minute must be 0 to 59"),
            ("0 24 * * *", "hour must be 0 to 23"),
            ("0 1 0 * *", "day of month must be 1 to 31"),
            ("0 1 * 13 *", "month must be 1 to 12"),
            ("0 1 * * 8", "day of week must be 0 to 7"),
            ("0 1 * * FRI-SUN", "goes down"),
            ("+1 1 * * *", "minute"),
            ("0 */0 * * *", "step"),
            ("0 1/2 * * *", "step without"),
            ("0 1 ? * *", "day of month"),
            ("0,, 1 * * *", "minute"),
            ("0 0 30 2 *", "never fires"),
            ("0 0 31 4,6,9,11 *", "never fires"),
            ("* * * * *", "every 1 minutes"),
            ("*/14 * * * *", "every 4 minutes"),
            ("55,5 0,23 * * *", "every 10 minutes"),
        ] {
            let error = text.parse::<Cron>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!("0 1 * * *".repeat(40).parse::<Cron>().is_err());
        // Ten minutes over a midnight that is never between two days of firing.
        assert!("55,5 0,23 * * MON".parse::<Cron>().is_ok());
        assert!("*/15 * * * *".parse::<Cron>().is_ok());
    }

    #[test]
    fn the_default_is_daily_at_one() {
        assert_eq!("0  1 * * *".parse::<Cron>().expect("cron"), Cron::default());
        assert_eq!(Cron::default().daily_at(), Some((1, 0)));
        assert_eq!("0 1 * * 1".parse::<Cron>().expect("cron").daily_at(), None);
        assert_eq!("0 1,2 * * *".parse::<Cron>().expect("cron").daily_at(), None);
    }

    #[test]
    fn next_is_what_a_walk_through_all_minutes_finds() {
        for text in ["7,52 */5 * * *", "0 3 1-7 * 1", "*/30 9-17 * 2,3 MON-FRI", "59 23 31 * *"] {
            let cron: Cron = text.parse().expect("cron");
            let begin = at("2027-02-20T10:07:31Z");
            let fires = |minute: i64| {
                let time = Timestamp::from_second(minute * 60).expect("time");
                let civil = TimeZone::UTC.to_datetime(time);
                let of_day = u16::try_from(i32::from(civil.hour()) * 60 + i32::from(civil.minute())).expect("minute");
                cron.times().contains(&of_day) && cron.fires_on(civil.date())
            };
            let mut now = begin;
            for minute in begin.as_second() / 60 + 1..begin.as_second() / 60 + 60 * 24 * 45 {
                if fires(minute) {
                    now = cron.next_after(now).expect("fires");
                    assert_eq!(now.as_second(), minute * 60, "{text}");
                }
            }
            assert!(now > begin, "{text}");
        }
    }

    #[test]
    fn the_delay_is_each_connections_own() {
        let schedule = Schedule { cron: Cron::default(), jitter: Jitter::try_from(3600).expect("jitter") };
        let now = at("2026-05-05T00:00:00Z");
        let mut delays = std::collections::BTreeSet::new();
        for n in 0..200_u128 {
            let id = ConnectionId::from_u128(0x0199_f0c2_7d4e_7c3a_9a55_0d9c_6f1e_0000 + n);
            let first = schedule.next_after(id, now);
            let delay = first.duration_since(at("2026-05-05T01:00:00Z")).as_secs();
            assert!((0..=3600).contains(&delay), "{delay}");
            assert_eq!(
                schedule.next_after(id, first),
                at("2026-05-06T01:00:00Z") + jiff::SignedDuration::from_secs(delay)
            );
            delays.insert(delay);
        }
        assert!(delays.len() > 150, "{} of 200 differ", delays.len());
        let fixed = ConnectionId::from_u128(0x0199_f0c2_7d4e_7c3a_9a55_0d9c_6f1e_2b3a);
        assert_eq!(Jitter(3600).of(fixed), Jitter(3600).of(fixed));
        assert_eq!(Jitter::default().of(fixed), Duration::ZERO);
        assert_eq!(Jitter::try_from(86_401), Err(InvalidSchedule::Jitter(86_401)));
    }

    #[test]
    fn a_delay_longer_than_the_time_between_two_loses_none() {
        let schedule = Schedule { cron: "0 * * * *".parse().expect("cron"), jitter: Jitter(MAX_JITTER) };
        let id = ConnectionId::from_u128(77);
        let mut now = at("2026-05-05T00:00:00Z");
        let first = schedule.next_after(id, now);
        now = first;
        for n in 1..50 {
            now = schedule.next_after(id, now);
            assert_eq!(now.duration_since(first).as_secs(), n * 3600);
        }
    }
}
