//! Which span an answer is about, and in which steps.

use jiff::{SignedDuration, Timestamp};

use super::{AnswerError, LEAST_STEP_SECONDS, MetricsFilter};
use crate::store::{query::Span, tier::Tier};

/// Values of each series unless asked otherwise, and at most.
const POINTS: u32 = 120;
const MOST_POINTS: u32 = 2000;
/// How long back an answer reaches unless asked otherwise.
const SPAN: SignedDuration = SignedDuration::from_hours(24);

/// A span and the steps in it.
pub(super) struct Range {
    pub(super) span: Span,
    pub(super) step_seconds: i64,
}

pub(super) fn range(filter: &MetricsFilter, now: Timestamp) -> Result<Range, AnswerError> {
    let until = filter.until.unwrap_or(now).min(now);
    let from = match filter.from {
        Some(from) => from,
        None => until.checked_sub(SPAN).unwrap_or(Timestamp::MIN),
    };
    if from >= now {
        return Err(AnswerError::Invalid("the span begins after now".to_owned()));
    }
    if from >= until {
        return Err(AnswerError::Invalid(
            "the span ends before it begins".to_owned(),
        ));
    }
    let seconds = until.as_second().saturating_sub(from.as_second()).max(1);
    let asked = i64::from(filter.step_seconds);
    let most = match (filter.points, asked) {
        (0, 0) => POINTS,
        (0, _) => MOST_POINTS,
        (most, _) => most.min(MOST_POINTS),
    };
    let least = seconds / i64::from(most);
    let least = match asked {
        0 => least.max(LEAST_STEP_SECONDS),
        _ => least,
    };
    let tier = Span::tier(from, now, asked.max(least).max(1));
    let step_seconds = nice(asked.max(least).max(tier.step_seconds()), tier);
    // Of what is rolled up, the step in which the span begins is part of it.
    let begin = from.as_second() - from.as_second().rem_euclid(tier.step_seconds());
    let from = match tier {
        Tier::Raw => from,
        _ => Timestamp::from_second(begin).unwrap_or(from),
    };
    Ok(Range {
        span: Span { from, until, tier },
        step_seconds,
    })
}

/// A multiple of the tier's step, of which people think.
fn nice(seconds: i64, tier: Tier) -> i64 {
    const NICE: [i64; 16] = [
        10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800,
        604_800,
    ];
    let step = tier.step_seconds();
    let fits = |nice: &i64| *nice >= seconds && nice % step == 0;
    NICE.into_iter()
        .find(fits)
        .unwrap_or_else(|| seconds + (step - seconds % step) % step)
}
