//! How one collector does.

use std::time::Duration;

use jiff::Timestamp;
use pvelens_proto::agent::v1::{CollectorReport, FailureKind, Sample, SourceFailure};

use super::timestamp;
use crate::collector::Collector;

/// The runs of one collector so far.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// By the sampler's time and by the node's clock.
    started: Option<(Duration, Timestamp)>,
    /// The last run that was not refused.
    begun: Option<(Duration, Timestamp)>,
    /// Somebody waits for the run that was started last.
    is_awaited: bool,
    payload: Option<(Duration, Timestamp)>,
    success: Option<Timestamp>,
    failed: Option<Timestamp>,
    failure: Option<SourceFailure>,
    failures: u32,
    runs: u64,
    partial: u64,
    without: u64,
    refused: u64,
    duration: u32,
    longest: u32,
    bytes: u64,
    bytes_total: u64,
}

impl Record {
    pub(super) fn began(&mut self, now: Duration, wall: Timestamp) {
        self.started = Some((now, wall));
        self.is_awaited = true;
    }

    pub(super) fn ended(&mut self, sample: &Sample) {
        let Some((_, wall)) = self.started else {
            return;
        };
        self.is_awaited = false;
        self.failures = u32::try_from(sample.failures.len()).unwrap_or(u32::MAX);
        if let Some(first) = sample.failures.first() {
            self.failure = Some(first.clone());
            self.failed = Some(wall);
        }
        let kind = sample.failures.first().map(SourceFailure::kind);
        if kind == Some(FailureKind::InProgress) && sample.payload.is_none() {
            self.refused = self.refused.saturating_add(1);
            return;
        }
        self.begun = self.started;
        self.runs = self.runs.saturating_add(1);
        self.duration = sample.duration_microseconds;
        self.longest = self.longest.max(self.duration);
        self.bytes = sample.read_bytes;
        self.bytes_total = self.bytes_total.saturating_add(sample.read_bytes);
        match (&sample.payload, kind) {
            (None, _) => self.without = self.without.saturating_add(1),
            (Some(_), failure) => {
                self.payload = self.started;
                if failure.is_some() {
                    self.partial = self.partial.saturating_add(1);
                } else {
                    self.success = Some(wall);
                }
            }
        }
    }

    /// With the deadline of the run that is under way, if one is.
    pub(super) fn report(
        &self,
        collector: &Collector,
        now: Duration,
        under_way: Option<Duration>,
    ) -> CollectorReport {
        // What is under way and not waited for was given up.
        let flight = if self.is_awaited {
            self.started
        } else {
            self.begun
        };
        let flight = under_way.and(flight);
        let in_flight = flight.map(|(began, _)| now.saturating_sub(began));
        CollectorReport {
            name: collector.name.to_owned(),
            interval_seconds: u32::try_from(collector.interval.as_secs()).unwrap_or(u32::MAX),
            last_started_at: self.started.map(|(_, wall)| timestamp(wall)),
            last_payload_at: self.payload.map(|(_, wall)| timestamp(wall)),
            payload_age_seconds: self
                .payload
                .map(|(began, _)| now.saturating_sub(began).as_secs_f64()),
            last_success_at: self.success.map(timestamp),
            runs_total: self.runs,
            partial_runs_total: self.partial,
            failed_runs_total: self.without,
            refused_runs_total: self.refused,
            last_failures: self.failures,
            last_failure: self.failure.clone(),
            last_failed_at: self.failed.map(timestamp),
            last_duration_microseconds: self.duration,
            max_duration_microseconds: self.longest,
            last_read_bytes: self.bytes,
            read_bytes_total: self.bytes_total,
            in_flight_since: flight.map(|(_, wall)| timestamp(wall)),
            in_flight_seconds: in_flight.map(|duration| duration.as_secs_f64()),
            is_hung: under_way
                .zip(in_flight)
                .is_some_and(|(deadline, duration)| !self.is_awaited || duration > deadline),
        }
    }
}
