//! Times as people write them, from the seconds that the platform gives.

/// `1620151693.299000000` as `2021-05-04T18:08:13.299Z`. None where it is no such number, or lies outside the years 0 to
/// 9999.
pub(super) fn rfc3339(seconds: &str) -> Option<String> {
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let whole: i64 = whole.parse().ok()?;
    let ms: u32 = format!("{:0<3}", fraction.get(..fraction.len().min(3))?).parse().ok()?;
    let (year, month, day) = civil(whole.div_euclid(86_400));
    let rest = whole.rem_euclid(86_400);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    (0..=9999)
        .contains(&year)
        .then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"))
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar. Years begin in March here, so that
/// the leap day is the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn times_are_written_for_people() {
        for (seconds, text) in [
            ("0", "1970-01-01T00:00:00.000Z"),
            ("1620151693.299000000", "2021-05-04T18:08:13.299Z"),
            ("951782400.5", "2000-02-29T00:00:00.500Z"),
            ("4107542399", "2100-02-28T23:59:59.000Z"),
        ] {
            assert_eq!(rfc3339(seconds).as_deref(), Some(text));
        }
        for odd in ["", "x", "9223372036854775807", "1.x", "2021-05-04 18:08:13.299 +0000"] {
            assert_eq!(rfc3339(odd), None, "{odd}");
        }
    }
}
