//! Figures as people read them, the same in every surface.

use std::time::Duration;

use bytesize::ByteSize;
use jiff::{SignedDuration, Timestamp};

/// `1.5 GiB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

/// `c0ffee`, of bytes.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        // A half of a byte is below 16.
        .filter_map(|half| DIGITS.get(usize::from(half)))
        .collect()
}

/// `93 %`; one decimal below ten.
#[must_use]
pub fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    if percent.abs() < 9.95 && percent.abs() >= 0.05 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.0} %")
    }
}

/// Part of a whole, 0 to 1; absent without a whole.
#[must_use]
pub fn share(part: u64, whole: u64) -> Option<f64> {
    // Exact enough: figures below 2^53 bytes, or an error below a percent.
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The two largest units that matter: `3 d 4 h`, `12 min`, `45 s`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, 0) => format!("{hours} h"),
        (0, ..) => format!("{hours} h {minutes} min"),
        (_, 0, _) => format!("{days} d"),
        _ => format!("{days} d {hours} h"),
    }
}

/// When something began, as of `at`: `since 02:26`, with the date when that is
/// not of the last hours. Both in UTC.
#[must_use]
pub fn since(began: Timestamp, at: Timestamp) -> String {
    let recent = at.duration_since(began) < SignedDuration::from_hours(20);
    let pattern = if recent {
        "since %H:%M"
    } else {
        "since %Y-%m-%d %H:%M"
    };
    began.strftime(pattern).to_string()
}

/// `18 ms`, `2.4 s`.
#[must_use]
pub fn latency(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1000.0)
    } else {
        format!("{seconds:.1} s")
    }
}

/// Larger figures are written as a power of ten: nobody counts their digits.
const LONGEST: f64 = 1e12;
/// Bytes beyond this have no unit of their own.
const MOST_BYTES: f64 = 1.8e19;
/// Seconds of some hundred centuries.
const LONGEST_SECONDS: f64 = 1e12;

/// A number with the unit of an evidence or a metric: `97 %`, `1.5 GiB`, `3 d 4 h`.
#[must_use]
pub fn number(value: f64, unit: &str) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    match unit {
        "bytes" | "bytes_per_second" | "seconds" if value < 0.0 => {
            format!("-{}", number(-value, unit))
        }
        "bytes" => many_bytes(value),
        "bytes_per_second" => format!("{}/s", many_bytes(value)),
        "seconds" => seconds(value),
        "ratio" if value.abs() < LONGEST => percent(value),
        "ratio" => format!("{:.1e} %", value * 100.0),
        "celsius" if value.abs() < LONGEST => format!("{value:.0} °C"),
        "celsius" => format!("{value:.1e} °C"),
        "" => plain(value),
        "per_second" => format!("{}/s", plain(value)),
        _ => format!("{} {}", plain(value), crate::untrusted::name(unit)),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and saturates only where there is no such figure"
)]
fn many_bytes(value: f64) -> String {
    if value >= MOST_BYTES {
        return format!("{value:.1e} B");
    }
    bytes(value as u64)
}

/// As exact as people can use it: `300 µs`, `18 ms`, `7.4 s`, `45 s`, `2 h 1 min`.
fn seconds(value: f64) -> String {
    match value {
        0.0 => "0 ms".to_owned(),
        value if (1e-7..0.000_95).contains(&value) => format!("{:.0} µs", value * 1e6),
        value if value < 0.999_5 => latency(value),
        value if value < 9.95 => format!("{} s", without_zero(&format!("{value:.1}"))),
        value if value < 59.5 => format!("{value:.0} s"),
        value if value < LONGEST_SECONDS => {
            duration(Duration::try_from_secs_f64(value.round()).unwrap_or_default())
        }
        value => format!("{value:.1e} s"),
    }
}

/// Whole numbers without decimals, others with two; large ones need none.
fn plain(value: f64) -> String {
    match value.abs() {
        size if size >= LONGEST => format!("{value:.1e}"),
        size if size >= 1000.0 || value.fract() == 0.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

fn without_zero(number: &str) -> &str {
    number.strip_suffix(".0").unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(bytes(1_610_612_736), "1.5 GiB");
        assert_eq!(percent(0.934), "93 %");
        assert_eq!(percent(0.0123), "1.2 %");
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(duration(Duration::from_secs(45)), "45 s");
        assert_eq!(duration(Duration::from_secs(7260)), "2 h 1 min");
        assert_eq!(
            duration(Duration::from_secs(86_400 * 3 + 4 * 3600)),
            "3 d 4 h"
        );
        assert_eq!(latency(0.018), "18 ms");
        assert_eq!(latency(2.42), "2.4 s");
    }

    #[test]
    fn beginnings_carry_a_date_when_they_are_old() {
        let at: Timestamp = "2026-11-25T03:00:00Z".parse().unwrap();
        assert_eq!(
            since("2026-11-24T23:05:00Z".parse().unwrap(), at),
            "since 23:05"
        );
        assert_eq!(
            since("2026-11-20T02:26:00Z".parse().unwrap(), at),
            "since 2026-11-20 02:26"
        );
        assert_eq!(number(0.97, "ratio"), "97 %");
        assert_eq!(number(1_610_612_736.0, "bytes"), "1.5 GiB");
        assert_eq!(number(3.0, ""), "3");
        assert_eq!(number(0.0, "seconds"), "0 ms");
        assert_eq!(number(7260.0, "seconds"), "2 h 1 min");
        assert_eq!(number(61.4, "celsius"), "61 °C");
        assert_eq!(number(-5.5, "bytes"), "-5 B");
    }

    #[test]
    fn numbers_are_as_exact_as_they_are_of_use() {
        for (value, unit, shown) in [
            (0.000_3, "seconds", "300 µs"),
            (0.018, "seconds", "18 ms"),
            (0.999_7, "seconds", "1 s"),
            (7.4, "seconds", "7.4 s"),
            (7.0, "seconds", "7 s"),
            (45.3, "seconds", "45 s"),
            (59.7, "seconds", "1 min"),
            (-7.4, "seconds", "-7.4 s"),
            (1e300, "seconds", "1.0e300 s"),
            (5.0, "per_second", "5/s"),
            (182_000.37, "per_second", "182000/s"),
            (1e300, "", "1.0e300"),
            (1e300, "ratio", "1.0e302 %"),
            (1e300, "bytes", "1.0e300 B"),
            (-1e300, "celsius", "-1.0e300 °C"),
            (f64::NAN, "ratio", "–"),
            (f64::INFINITY, "", "–"),
            (3.0, "votes", "3 votes"),
        ] {
            assert_eq!(number(value, unit), shown, "{value} {unit}");
        }
    }
}
