//! Which collector is due.
//!
//! A collector is due when its interval has passed since it was last started.
//! One that reads configuration is due earlier when `/etc/pve/.version` says
//! that something changed since its last good run; without that file only the
//! interval counts. What failed is read again after a minute at the latest.

use std::{collections::HashMap, time::Duration};

use pvelens_proto::agent::v1::{ConfigVersions, Sample, sample::Payload};

use crate::collector::{CONFIG_VERSIONS, Collector, FAST, config_marks};

/// Pause after a run that named a failure.
const RETRY: Duration = Duration::from_secs(60);
/// Timers are late by some milliseconds; without this the next run would come
/// a whole tick later.
const TOLERANCE: Duration = Duration::from_secs(1);

/// What is known about the past runs of every collector.
#[derive(Debug)]
pub(super) struct Schedule {
    runs: HashMap<&'static str, Run>,
    /// The counters as last read, `None` when that failed.
    marks: Option<ConfigVersions>,
}

#[derive(Debug, Default)]
struct Run {
    started: Option<Duration>,
    pause: Option<Duration>,
    /// The counters that were known when the last run began.
    began_with: Option<ConfigVersions>,
    /// The counters that were known when the last good run began.
    good_with: Option<ConfigVersions>,
}

impl Schedule {
    pub(super) fn new(collectors: &[Collector]) -> Self {
        Self {
            runs: collectors
                .iter()
                .map(|collector| (collector.name, Run::default()))
                .collect(),
            marks: None,
        }
    }

    /// Whether the collector is due now; if so, it counts as started.
    pub(super) fn starts(&mut self, collector: &Collector, now: Duration) -> bool {
        let marks = self.marks.as_ref();
        let run = self.runs.entry(collector.name).or_default();
        let changed =
            collector.runs_on_change() && marks.is_some() && run.good_with.as_ref() != marks;
        let pause = match run.pause {
            _ if changed => FAST,
            Some(pause) => pause.min(collector.interval),
            None => collector.interval,
        };
        let due = run.started.is_none_or(|started| {
            // A clock that was set back must not stop the sampling.
            now < started || now.saturating_sub(started).saturating_add(TOLERANCE) >= pause
        });
        if due {
            run.started = Some(now);
            run.began_with = marks.cloned();
        }
        due
    }

    /// Takes in how a run ended.
    pub(super) fn ended(&mut self, collector: &Collector, sample: &Sample) {
        if let Some(Payload::ConfigVersions(versions)) = &sample.payload {
            self.marks = Some(config_marks(versions.clone()));
        } else if collector.name == CONFIG_VERSIONS {
            self.marks = None;
        }
        let run = self.runs.entry(collector.name).or_default();
        run.pause = (!sample.failures.is_empty()).then_some(RETRY);
        if sample.payload.is_some() {
            run.good_with = run.began_with.clone();
        }
    }
}
