//! Decides when each collector runs, and puts what it gives into the spool.
//!
//! The clock of the decisions is an argument, so a simulated node goes through
//! a day in seconds ([`Sampler::tick_blocking`]) by the same rules by which a
//! live one goes through it in a day ([`Sampler::run`]).

use std::{sync::Arc, time::Duration};

use pvelens_proto::agent::v1::{NodeUpdate, Sample};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    collector::{COLLECTORS, Collector, Runner, caught},
    host::Host,
    ledger::Ledger,
    recorder::Recorder,
    spool::Spool,
};

mod live;
mod schedule;

pub use live::Rounds;
use schedule::Schedule;

/// Runs the collectors of one node.
#[derive(Debug)]
pub struct Sampler {
    host: Arc<Host>,
    spool: Arc<Spool>,
    recorder: Option<Arc<Recorder>>,
    schedule: Schedule,
    runners: Vec<Arc<Runner>>,
    ledger: Arc<Ledger>,
    ticks: watch::Sender<u64>,
}

impl Sampler {
    #[must_use]
    pub fn new(host: Arc<Host>, spool: Arc<Spool>) -> Self {
        Self::with_deadlines(host, spool, Duration::MAX)
    }

    /// As [`Sampler::new`], giving up every run after this time at the latest: who
    /// lets reads hang by the hundred need not wait for the deadlines of a node.
    #[must_use]
    pub fn with_deadlines(host: Arc<Host>, spool: Arc<Spool>, longest: Duration) -> Self {
        let runner = |collector: &Collector| {
            Arc::new(Runner::new(Collector {
                deadline: collector.deadline.min(longest),
                ..*collector
            }))
        };
        let runners: Vec<_> = COLLECTORS.iter().map(runner).collect();
        let ledger = Ledger::new(Arc::clone(&host), Arc::clone(&spool), runners.clone());
        Self {
            host,
            spool,
            recorder: None,
            schedule: Schedule::new(COLLECTORS),
            runners,
            ledger: Arc::new(ledger),
            ticks: watch::Sender::new(0),
        }
    }

    /// Shows every update to a flight recorder as well, which records from the same
    /// spool.
    #[must_use]
    pub fn with_recorder(mut self, recorder: Arc<Recorder>) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// Runs every collector that is due at the host's time, one after the other
    /// on this thread, and gives the update they made; `None` when none is due.
    /// There is no deadline: a source that hangs, hangs the caller.
    pub fn tick_blocking(&mut self) -> Option<NodeUpdate> {
        let now = self.now();
        self.ledger.ticked(now, 0);
        let mut samples: Vec<Sample> = Vec::new();
        for collector in COLLECTORS {
            if self.schedule.starts(collector, now) {
                self.ledger.began(collector.name, now);
                let sample = caught(collector, &self.host);
                self.ledger.ended(&sample);
                self.schedule.ended(collector, &sample);
                samples.push(sample);
            }
        }
        if samples.is_empty() {
            return None;
        }
        let update = self.spool.append(samples);
        if let Some(recorder) = &self.recorder {
            recorder.observe(&update, now, self.host.now());
        }
        Some(update)
    }

    /// What is known of how the sampling goes.
    #[must_use]
    pub fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.ledger)
    }

    /// The live loop in single steps; see [`Rounds`].
    #[must_use]
    pub fn into_rounds(self) -> Rounds {
        Rounds::of(self)
    }

    /// Counts the ticks of [`Sampler::run`], each told when its rounds have
    /// begun: a loop that is stuck counts no more.
    #[must_use]
    pub fn ticks(&self) -> watch::Receiver<u64> {
        self.ticks.subscribe()
    }

    /// Samples a live node until the token is cancelled.
    pub async fn run(self, shutdown: CancellationToken) {
        live::run(self, shutdown).await;
    }

    /// Host time since the epoch.
    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.host.now().as_millisecond()).unwrap_or_default())
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write the tree they read")]
mod tests;
