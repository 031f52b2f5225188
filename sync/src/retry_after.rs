//! `Retry-After`: seconds, or a date in any of the forms that there have been (RFC 9110, sections 10.2.3 and 5.6.7).
//!
//! Untrusted text is safe: the work is linear in it, and what is none of these is none. A date counts by the host's wall
//! clock, so one that is set wrong makes the pause anything up to the most that seconds may say, a day.

use leeward::Millis;
use leeward::limits::MAX_AGE;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// How long to wait, never above a day; a date that has passed is no time at all. `unix`: what time it is.
pub(crate) fn retry_after(value: &str, unix: Millis) -> Option<Millis> {
    let value = value.trim();
    let seconds = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let after = if seconds {
        // All digits: only too many of them can fail.
        Millis::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        Millis::from_secs(date(value)?).since(unix)
    };
    Some(after.min(MAX_AGE))
}

/// Seconds since the Unix epoch.
fn date(value: &str) -> Option<u64> {
    let mut words = value.split([' ', ',', '-']).filter(|word| !word.is_empty());
    let (_weekday, first, second) = (words.next()?, words.next()?, words.next()?);
    let (third, fourth) = (words.next()?, words.next()?);
    let month = |word| MONTHS.iter().position(|month| *month == word);
    // `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`; else `Sun Nov  6 08:49:37 1994`.
    let (day, month, year, time) = match month(second) {
        Some(month) if words.next() == Some("GMT") => (first, month, third, fourth),
        Some(_) => return None,
        None => (second, month(first)?, fourth, third),
    };
    let mut clock = time.split(':').map(|part| number(part, 60));
    let (hours, minutes, seconds) = (clock.next()??, clock.next()??, clock.next()??);
    let (day, year) = (number(day, 31)?, number(year, 9999)?);
    // Two digits: what has passed long since and what is to come matter as little as each other.
    let year = if year < 70 {
        year + 2000
    } else if year < 100 {
        year + 1900
    } else {
        year
    };
    let months = (u64::try_from(month).ok()? + 10) % 12;
    // Of a year that begins in March, so that the day of a leap year is the last.
    let years = year - u64::from(months >= 10);
    let days = years * 365 + years / 4 - years / 100 + years / 400 + (months * 153 + 2) / 5 + day;
    let days = days.checked_sub(719_469)?;
    (words.next().is_none() && clock.next().is_none())
        .then(|| ((days * 24 + hours) * 60 + minutes) * 60 + seconds)
}

fn number(text: &str, most: u64) -> Option<u64> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds() {
        for (value, after) in [("5", 5000), (" 0 ", 0), ("99999999999999999999999", MAX_AGE.0)] {
            assert_eq!(retry_after(value, Millis(1)), Some(Millis(after)), "{value}");
        }
        for value in ["", "-1", "+1", "1.5", "soon"] {
            assert_eq!(retry_after(value, Millis(1)), None, "{value}");
        }
    }

    /// RFC 9110, section 5.6.7.
    #[test]
    fn reads_dates_in_all_three_forms() {
        for value in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(date(value), Some(784_111_777), "{value}");
        }
        for (value, at) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Tue, 29 Feb 2000 23:59:59 GMT", 951_868_799),
            ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            ("Fri, 01 Mar 2024 00:00:00 GMT", 1_709_251_200),
            ("Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_800),
            ("Fri, 31 Dec 2100 23:59:59 GMT", 4_133_980_799),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
            ("Friday, 31-Dec-27 23:59:59 GMT", 1_830_297_599),
        ] {
            assert_eq!(date(value), Some(at), "{value}");
        }
    }

    #[test]
    fn refuses_what_is_no_date() {
        for value in [
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "Fri, 32 Dec 2100 23:59:59 GMT",
            "Fri, 31 Dez 2100 23:59:59 GMT",
            "Fri, 31 Dec 2100 23:59 GMT",
            "Fri, 31 Dec 2100 23:59:59:00 GMT",
            "Fri, 31 Dec 2100 99:59:59 GMT",
            "Fri, 31 Dec 2100 +3:59:59 GMT",
            "Fri, 31 Dec 2100 23:59:59 CET",
            "Fri, 31 Dec 2100 23:59:59",
            "Fri, 31 Dec 2100 23:59:59 GMT 1",
            "Fri, 31 Dec 99999999999999999999 23:59:59 GMT",
            "Fri Dec 31 23:59:59",
            "2100-12-31T23:59:59Z",
            "Fri, Dec Dec Dec Dec GMT",
        ] {
            assert_eq!(date(value), None, "{value}");
        }
    }

    #[test]
    fn a_date_is_a_span_from_now_within_a_day() {
        let now = Millis(784_111_777_000);
        let after = |value| retry_after(value, now);
        assert_eq!(after("Sun, 06 Nov 1994 08:49:44 GMT"), Some(Millis(7000)));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:30 GMT"), Some(Millis(0)));
        assert_eq!(after("Fri, 31 Dec 2100 23:59:59 GMT"), Some(MAX_AGE));
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:49:44 GMT", Millis(784_111_776_999)),
            Some(Millis(7001))
        );
    }
}
