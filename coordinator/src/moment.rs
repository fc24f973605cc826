//! Moments and lengths of time as people write them.

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp, civil::DateTime, tz::TimeZone};

/// What [`moment`] takes, for those whose text it did not.
pub const FORMS: &str =
    "a length such as 90m, 24h or 7d, or a time in UTC such as 2026-11-20 or 2026-11-20T14:00";

/// `90s`, `30m`, `2h` or `7d`.
#[must_use]
pub fn length(text: &str) -> Option<SignedDuration> {
    text.parse::<SignedDuration>().ok().or_else(|| {
        // Days, which some say are not always as long.
        let span: Span = text.parse().ok()?;
        span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
    })
}

/// A moment so long before `now`, or a date or time: in UTC unless it says where.
#[must_use]
pub fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim();
    if let Some(length) = length(text) {
        return match length.is_negative() {
            false => now.checked_sub(length).ok(),
            true => now.checked_add(length).ok(),
        };
    }
    text.parse::<Timestamp>().ok().or_else(|| {
        let local: DateTime = text.parse().ok()?;
        TimeZone::UTC.to_timestamp(local).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_times_are_understood() {
        let now: Timestamp = "2026-11-25T20:00:00Z".parse().unwrap();
        for (text, at) in [
            ("90m", "2026-11-25T18:30:00Z"),
            ("24h", "2026-11-24T20:00:00Z"),
            ("7d", "2026-11-18T20:00:00Z"),
            ("1d 12h", "2026-11-24T08:00:00Z"),
            ("-2h", "2026-11-25T18:00:00Z"),
            ("2026-11-20", "2026-11-20T00:00:00Z"),
            ("2026-11-20 14:00", "2026-11-20T14:00:00Z"),
            ("2026-11-20T14:00:30", "2026-11-20T14:00:30Z"),
            ("2026-11-20T14:00:00Z", "2026-11-20T14:00:00Z"),
            ("2026-11-20T14:00:00+01:00", "2026-11-20T13:00:00Z"),
            (" 2026-11-20 ", "2026-11-20T00:00:00Z"),
        ] {
            let wanted: Timestamp = at.parse().unwrap();
            assert_eq!(moment(text, now), Some(wanted), "{text}");
        }
        for text in ["", "yesterday", "24", "2026-13-01", "1mo", "99999999999h"] {
            assert_eq!(moment(text, now), None, "{text}");
        }
    }
}
