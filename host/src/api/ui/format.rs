//! Numbers, sizes and times for people. Pure: `now` is a parameter.

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

/// A number with its thousands set apart.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// "1 object", "2 objects".
pub(super) fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// A number of bytes.
pub(super) fn bytes(n: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if n < 1000 {
        return format!("{n} B");
    }
    #[allow(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let mut value = n as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// How long something took.
pub(super) fn duration(d: SignedDuration) -> String {
    let ms = d.as_millis().max(0);
    let s = ms / 1000;
    match s {
        0 => format!("{ms} ms"),
        1..10 => format!("{}.{} s", s, ms % 1000 / 100),
        10..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

/// A time as distance from now; the exact time is its title.
pub(super) fn time(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(at) title=(at.strftime("%Y-%m-%d %H:%M:%S UTC")) { (distance(at, now)) } }
}

/// A time that may not have come yet.
pub(super) fn time_or(at: Option<Timestamp>, now: Timestamp, without: &str) -> Markup {
    html! {
        @match at {
            Some(at) => (time(at, now)),
            None => span.faint { (without) },
        }
    }
}

fn distance(at: Timestamp, now: Timestamp) -> String {
    let s = now.duration_since(at).as_secs();
    let (s, wrap): (i64, fn(String) -> String) =
        if s >= 0 { (s, |t| format!("{t} ago")) } else { (-s, |t| format!("in {t}")) };
    match s {
        0..10 => "just now".to_owned(),
        10..60 => wrap(format!("{s} s")),
        60..3600 => wrap(format!("{} min", s / 60)),
        3600..86_400 => wrap(format!("{} h", s / 3600)),
        86_400..2_592_000 => wrap(counted(s.unsigned_abs() / 86_400, "day", "days")),
        _ => at.strftime("%Y-%m-%d").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (n, want) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(n), want);
        }
        assert_eq!(counted(1, "table", "tables"), "1 table");
    }

    #[test]
    fn sizes_have_units() {
        for (n, want) in [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (136_000_000, "136.0 MB"), (999_960, "1.0 MB")]
        {
            assert_eq!(bytes(n), want);
        }
    }

    #[test]
    fn times_are_told_from_now() {
        let now = Timestamp::from_second(1_760_000_000).expect("time");
        let told = |s: i64| distance(Timestamp::from_second(1_760_000_000 + s).expect("time"), now);
        assert_eq!(told(-3), "just now");
        assert_eq!(told(-59), "59 s ago");
        assert_eq!(told(-3600), "1 h ago");
        assert_eq!(told(120), "in 2 min");
        assert_eq!(told(-86_400 * 3), "3 days ago");
        assert_eq!(told(-86_400 * 300), "2024-12-13");
    }

    #[test]
    fn durations_are_rounded_for_people() {
        for (ms, want) in
            [(12, "12 ms"), (1940, "1.9 s"), (59_000, "59 s"), (61_000, "1 min 1 s"), (3_661_000, "1 h 1 min")]
        {
            assert_eq!(duration(SignedDuration::from_millis(ms)), want);
        }
    }
}
