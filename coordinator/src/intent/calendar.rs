//! When something is off on purpose, over and over: `mon-fri 19:00-07:00, sat, sun`.
//!
//! Times are UTC: a schedule must mean the same on every machine that reads it, and
//! twice a year a local time exists twice or not at all.

use std::{fmt, str::FromStr};

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::untrusted;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY: u32 = 24 * 60;
const WEEK: u32 = 7 * DAY;
/// More parts than anybody can read.
const PARTS: usize = 32;
const FORM: &str = "write days, times in UTC or both, as in \"mon-fri 19:00-07:00, sat, sun\", or \
                    \"always\"";

/// Parts of a week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Calendar {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    /// First and last day, from Monday; the last may lie before the first.
    days: (u32, u32),
    /// Minutes of the day: from, and for how long.
    times: (u32, u32),
}

/// A text that is no calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no calendar: {FORM}")]
pub struct NoCalendar(String);

impl Calendar {
    /// All the time.
    #[must_use]
    pub fn always() -> Self {
        Self {
            parts: vec![Part {
                days: (0, 6),
                times: (0, DAY),
            }],
        }
    }

    /// Whether the moment lies in it, or up to `grace` minutes after.
    #[must_use]
    pub fn has(&self, at: Timestamp, grace: u32) -> bool {
        let time = at.to_zoned(TimeZone::UTC);
        let day = u32::try_from(time.weekday().to_monday_zero_offset()).unwrap_or_default();
        let minute = [(time.hour(), 60), (time.minute(), 1)]
            .into_iter()
            .map(|(part, minutes)| u32::try_from(part).unwrap_or_default() * minutes)
            .sum::<u32>();
        let now = day * DAY + minute;
        self.parts.iter().any(|part| {
            part.begins().any(|begin| {
                // From the begin on, over the end of the week if need be.
                (now + WEEK - begin) % WEEK < part.times.1.saturating_add(grace).min(WEEK)
            })
        })
    }
}

impl Part {
    /// Minutes of the week.
    fn begins(&self) -> impl Iterator<Item = u32> {
        let (first, last) = self.days;
        let count = (last + 7 - first) % 7;
        let from = self.times.0;
        (0..=count).map(move |day| (first + day) % 7 * DAY + from)
    }
}

impl FromStr for Calendar {
    type Err = NoCalendar;

    fn from_str(text: &str) -> Result<Self, NoCalendar> {
        let no_calendar = || NoCalendar(untrusted::name(text).into_owned());
        if text.trim() == "always" {
            return Ok(Self::always());
        }
        let parts: Option<Vec<Part>> = text.split(',').map(part).collect();
        let parts = parts.filter(|parts| parts.len() <= PARTS);
        Ok(Self {
            parts: parts.ok_or_else(no_calendar)?,
        })
    }
}

fn part(text: &str) -> Option<Part> {
    let mut words = text.split_whitespace();
    let (first, second) = (words.next()?, words.next());
    if words.next().is_some() {
        return None;
    }
    let (days, times) = match (first, second) {
        (days, Some(times)) => (self::days(days)?, self::times(times)?),
        (word, None) if word.contains(':') => ((0, 6), times(word)?),
        (word, None) => (days(word)?, (0, DAY)),
    };
    Some(Part { days, times })
}

fn days(text: &str) -> Option<(u32, u32)> {
    if text == "daily" {
        return Some((0, 6));
    }
    let day = |name: &str| {
        let position = DAYS.iter().position(|known| *known == name)?;
        u32::try_from(position).ok()
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((day(first)?, day(last)?))
}

/// From when, and for how long. A time that ends before it begins ends the next day.
fn times(text: &str) -> Option<(u32, u32)> {
    let minute = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let number = |text: &str, limit: u32| {
            (text.len() == 2)
                .then(|| text.parse::<u32>().ok())
                .flatten()
                .filter(|number| *number < limit)
        };
        Some(number(hour, 24)? * 60 + number(minute, 60)?)
    };
    let (from, until) = text.split_once('-')?;
    let from = minute(from)?;
    let until = match until {
        "24:00" => DAY,
        until => minute(until)?,
    };
    let length = (until + DAY - from) % DAY;
    Some((from, if length == 0 { DAY } else { length }))
}

impl TryFrom<String> for Calendar {
    type Error = NoCalendar;

    fn try_from(text: String) -> Result<Self, NoCalendar> {
        text.parse()
    }
}

impl From<Calendar> for String {
    fn from(calendar: Calendar) -> Self {
        calendar.to_string()
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::always() {
            return f.write_str("always");
        }
        for (place, part) in self.parts.iter().enumerate() {
            if place > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{part}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |day: u32| {
            let position = usize::try_from(day).unwrap_or_default();
            DAYS.get(position).copied().unwrap_or_default()
        };
        match self.days {
            (0, 6) => f.write_str("daily")?,
            (first, last) if first == last => f.write_str(name(first))?,
            (first, last) => write!(f, "{}-{}", name(first), name(last))?,
        }
        let (from, length) = self.times;
        if (from, length) == (0, DAY) {
            return Ok(());
        }
        let until = (from + length) % DAY;
        write!(
            f,
            " {:02}:{:02}-{:02}:{:02}",
            from / 60,
            from % 60,
            until / 60,
            until % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn nights_and_weekends_are_understood() {
        let calendar: Calendar = "mon-fri 19:00-07:00, sat, sun".parse().unwrap();
        for (moment, is_off) in [
            // A Friday.
            ("2026-11-27T18:59:00Z", false),
            ("2026-11-27T19:00:00Z", true),
            ("2026-11-28T06:59:00Z", true),
            ("2026-11-28T12:00:00Z", true),
            ("2026-11-29T23:59:00Z", true),
            // Sunday's part ends with Sunday.
            ("2026-11-30T00:00:00Z", false),
            ("2026-12-01T06:59:00Z", true),
            ("2026-12-01T07:00:00Z", false),
        ] {
            assert_eq!(calendar.has(at(moment), 0), is_off, "{moment}");
        }
        assert!(calendar.has(at("2026-12-01T07:14:00Z"), 15));
        assert!(!calendar.has(at("2026-12-01T07:15:00Z"), 15));
    }

    #[test]
    fn what_crosses_the_end_of_the_week_goes_on() {
        let calendar: Calendar = "sun 22:00-06:00".parse().unwrap();
        assert!(calendar.has(at("2026-11-30T05:00:00Z"), 0));
        assert!(!calendar.has(at("2026-11-30T06:00:00Z"), 0));
        let calendar: Calendar = "fri-mon".parse().unwrap();
        assert!(calendar.has(at("2026-11-30T05:00:00Z"), 0));
        assert!(!calendar.has(at("2026-12-01T05:00:00Z"), 0));
        assert!(Calendar::always().has(at("2026-12-01T05:00:00Z"), 0));
    }

    #[test]
    fn a_calendar_is_written_as_it_is_read() {
        for text in [
            "always",
            "mon-fri 19:00-07:00, sat, sun",
            "daily 01:30-02:00",
            "wed",
        ] {
            let calendar: Calendar = text.parse().unwrap();
            assert_eq!(calendar.to_string(), text);
        }
        for text in [
            "",
            "monday",
            "mon 7-8",
            "mon 07:00",
            "mon 07:00-08:00 x",
            "mon 25:00-07:00",
            "mon,,tue",
            "mon 7:00-08:00",
        ] {
            assert!(text.parse::<Calendar>().is_err(), "{text}");
        }
    }
}
