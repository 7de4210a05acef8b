//! Seconds since 1970 as a date.

/// Seconds of a day.
const DAY: i64 = 86_400;

/// `2026-11-22 04:05:06 UTC`; for years of five digits and more, as many as it takes.
pub(super) fn utc(seconds: i64) -> String {
    let (year, month, day) = date(seconds);
    let second = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Year, month and day in UTC.
///
/// The days are counted in the proleptic Gregorian calendar by eras of 400 years, as `days_from_civil` of Howard
/// Hinnant's "chrono-Compatible Low-Level Date Algorithms" does the other way round.
pub fn date(seconds: i64) -> (i64, i64, i64) {
    // From here on years begin in March, so that the leap day is the last of its year.
    let days = seconds.div_euclid(DAY) + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * 400 + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_as_date_1_gives_them() {
        for (seconds, date) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_795_264_496, "2026-11-21 12:34:56 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
            (-62_135_596_800, "0001-01-01 00:00:00 UTC"),
        ] {
            assert_eq!(utc(seconds), date);
        }
    }

    #[test]
    fn no_number_is_too_large() {
        assert!(utc(i64::MAX).ends_with(" UTC"));
        assert!(utc(i64::MIN).ends_with(" UTC"));
    }
}
