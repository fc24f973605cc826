//! Whether something will be full within a day, as its last six hours say.
//!
//! A guard against what fills within hours: a line through six hours says nothing about
//! next week. Weeks need weeks of values.

use std::time::Duration;

use super::Input;
use crate::{
    figure,
    finding::Evidence,
    history::ObjectKey,
    metric::Metric,
    windows::{Kept, STEP_SECONDS},
};

pub(super) enum Forecast {
    /// Not within a day, with some distance.
    Far,
    /// Not within a day, and near to it: an open finding stays open.
    Near,
    Full(Filling),
    /// Too few values of the last hours.
    TooFew,
}

/// Something that will be full within a day.
pub(super) struct Filling {
    /// Share of the whole, within an hour.
    growth: f64,
    left: Duration,
}

/// Of the used share of an object or of one of its mount points, of which so much is
/// free now.
pub(super) fn forecast(input: &Input<'_>, object: ObjectKey, part: &str, free: f64) -> Forecast {
    let limits = &input.params.limits;
    if free >= limits.forecast_free + limits.forecast_free_margin {
        return Forecast::Far;
    }
    let windows = input.windows;
    let growth = match windows.course(object, Metric::UsedRatio, part, input.at) {
        Kept::Nothing => return Forecast::Far,
        Kept::TooFew => return Forecast::TooFew,
        Kept::Of(course) => course.growth().unwrap_or_default(),
    };
    if growth <= 0.0 {
        return Forecast::Far;
    }
    let step = Duration::from_secs(STEP_SECONDS.unsigned_abs()).as_secs_f64();
    let seconds = free.max(0.0) / growth * step;
    let within = limits.forecast_within.as_secs_f64();
    if free < limits.forecast_free && seconds < within {
        return Forecast::Full(Filling {
            growth: growth * 3600.0 / step,
            left: Duration::from_secs_f64(seconds),
        });
    }
    if seconds < within * limits.forecast_clear_factor {
        Forecast::Near
    } else {
        Forecast::Far
    }
}

impl Filling {
    /// When that will be, in whole hours or minutes.
    pub(super) fn left(&self) -> String {
        let seconds = self.left.as_secs();
        let coarse = if seconds >= 7200 { 3600 } else { 60 };
        figure::duration(Duration::from_secs(seconds - seconds % coarse))
    }

    pub(super) fn proof(&self) -> [Evidence; 2] {
        const SOURCE: &str = "values of the last 6 h";
        [
            Evidence::new("growth within an hour", self.growth, SOURCE).unit("ratio"),
            Evidence::new("time until it is full", self.left.as_secs_f64(), SOURCE).unit("seconds"),
        ]
    }
}

#[cfg(test)]
mod tests;
