//! Hours of what some checks judge over more time than the history in memory covers.
//!
//! The values are those of the store. They are read beside the evaluations, every few
//! minutes, into a set that does not change any more, which all evaluations share until
//! the next one takes its place. Only what a check declares is read, and of it only what
//! checks ask for is kept: of a level its course in steps of five minutes (about 600
//! bytes), of a load that every guest has the percentiles of a day (36 bytes, with the
//! room that the table leaves at most 75: below 4 MB for 50,000 guests). Keeping the
//! steps of the day for all guests was rejected: their sketches are a gigabyte.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;

use crate::{
    check::CHECKS,
    coordinator::Coordinator,
    history::ObjectKey,
    metric::Metric,
    store::{StoreError, row::ObjectKind},
};

mod course;
mod load;
#[cfg(test)]
mod tests;

pub use course::Course;
pub(crate) use load::{Loading, Wanted};

/// Length of a step.
pub const STEP_SECONDS: i64 = 300;
/// Share of the steps that must have values (rule G3).
pub const COVERAGE: f64 = 0.8;
/// A set that is this much older is of no use: the store is not read any more.
const STALE_SECONDS: i64 = 1200;

/// What a check looks back at for hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declared {
    /// Kinds of objects whose series it reads.
    pub(crate) kinds: &'static [ObjectKind],
    pub(crate) metric: Metric,
    /// Mount points; empty = the object itself.
    pub(crate) parts: &'static [&'static str],
    pub(crate) form: Form,
}

/// What is kept of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// The mean of each step of six hours.
    Course,
    /// Percentiles over a day.
    Day,
}

impl Form {
    /// Steps of the window.
    pub(crate) const fn steps(self) -> i64 {
        match self {
            Self::Course => 72,
            Self::Day => 288,
        }
    }

    /// Windows at most, below 30 MB of each form: a node may name many storages. What is
    /// beyond has none.
    pub(crate) const fn most(self) -> usize {
        match self {
            Self::Course => 50_000,
            Self::Day => 400_000,
        }
    }
}

/// A load over a day.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Day {
    /// Of all values; absent when too few steps have some.
    pub percentiles: Option<Percentiles>,
    /// The highest mean of five minutes within the newest hour; absent likewise.
    pub hour: Option<f32>,
}

/// Values below which so many percent of all values lie, within one percent of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentiles {
    pub p50: f32,
    pub p95: f32,
    pub p99: f32,
}

/// Reads at once what a coordinator looks back at, where it has a store. One that serves
/// somebody does that step by step.
///
/// # Errors
/// When the store cannot be read.
pub fn look_back(coordinator: &Coordinator, now: Timestamp) -> Result<(), StoreError> {
    let Some(store) = coordinator.store() else {
        return Ok(());
    };
    let mut loading = Loading::of(coordinator.live().wanted(declared()), now);
    while !loading.step(store)? {}
    coordinator.set_windows(loading.finish());
    Ok(())
}

/// What all checks look back at.
pub(crate) fn declared() -> impl Iterator<Item = &'static Declared> + Clone {
    CHECKS.iter().flat_map(|check| check.windows)
}

/// What is known of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kept<'a, T> {
    /// Nothing is kept for so long: there is no store.
    Nothing,
    /// Too few values, or not read lately.
    TooFew,
    Of(&'a T),
}

/// The course of the object itself, or of one of its mount points.
type OfPart = (Arc<str>, Course);

/// All windows, as of one time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Windows {
    /// When they were read; none = they were not read yet.
    at: Option<Timestamp>,
    /// Whether there is a store to read them from.
    is_kept: bool,
    courses: HashMap<(ObjectKey, Metric), Vec<OfPart>>,
    days: HashMap<(ObjectKey, Metric), Day>,
}

impl Windows {
    /// There is a store, and nothing was read yet.
    #[must_use]
    pub fn awaited() -> Self {
        Self {
            is_kept: true,
            ..Self::default()
        }
    }

    /// Whether what checks look back at was read.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.at.is_some()
    }

    /// Without values, of which some are added.
    pub(crate) fn read_at(at: Timestamp) -> Self {
        Self {
            at: Some(at),
            ..Self::awaited()
        }
    }

    pub(crate) fn add_course(
        &mut self,
        object: ObjectKey,
        metric: Metric,
        part: Arc<str>,
        course: Course,
    ) {
        let parts = self.courses.entry((object, metric)).or_default();
        parts.push((part, course));
    }

    pub(crate) fn add_day(&mut self, object: ObjectKey, metric: Metric, day: Day) {
        self.days.insert((object, metric), day);
    }

    /// Six hours of a level, if enough of them has values.
    #[must_use]
    pub fn course(
        &self,
        object: ObjectKey,
        metric: Metric,
        part: &str,
        at: Timestamp,
    ) -> Kept<'_, Course> {
        let parts = self.courses.get(&(object, metric));
        let of_part = parts.and_then(|parts| parts.iter().find(|(name, _)| **name == *part));
        self.kept(of_part.map(|(_, course)| course), at, Course::is_covered)
    }

    /// A day of a load. What has too few values in it is absent.
    #[must_use]
    pub fn day(&self, object: ObjectKey, metric: Metric, at: Timestamp) -> Kept<'_, Day> {
        self.kept(self.days.get(&(object, metric)), at, |_| true)
    }

    fn kept<'a, T>(
        &self,
        found: Option<&'a T>,
        at: Timestamp,
        is_enough: impl Fn(&T) -> bool,
    ) -> Kept<'a, T> {
        if !self.is_kept {
            return Kept::Nothing;
        }
        // Nor is one of use that a clock read which was set back since.
        let is_new = self.at.is_some_and(|read| {
            let age = at.as_second().saturating_sub(read.as_second());
            age.abs() <= STALE_SECONDS
        });
        match found.filter(|found| is_new && is_enough(found)) {
            Some(found) => Kept::Of(found),
            None => Kept::TooFew,
        }
    }
}
