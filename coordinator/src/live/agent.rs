//! One agent: its connection, its place in its stream, and what it delivered.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::agent::v1::{self as wire, DescribeResponse};

use super::{
    Transport,
    clock::Clock,
    digest::Digest,
    facts::{Facts, Kind, Stamp},
    limit,
    stored::Stored,
    stream::{EpochId, Stream},
};
use crate::view::{
    CollectorFailure, DiskRates, Doubled, InterfaceRates, Name, Nothing, PressureRates,
    rates::{
        CpuShares,
        guest::{Accounted, Traffic},
    },
};

/// Connections of one agent.
const WAYS: usize = 8;

#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) version: Name,
    pub(crate) is_pve_node: bool,
    pub(crate) address: String,
    pub(crate) connected: bool,
    /// Was given a certificate: it is missed when it is silent.
    pub(crate) is_enrolled: bool,
    pub(super) transport: Transport,
    pub(super) certificate_expires_at: Option<Timestamp>,
    /// How long its updates had to wait.
    pub(super) throttled: Duration,
    /// Where it is connected, the newest last.
    ways: Vec<String>,
    /// Receive time of the newest update.
    pub(crate) last_update_at: Option<Timestamp>,
    /// When it first said anything.
    pub(crate) known_since: Timestamp,
    pub(crate) updates_total: u64,
    pub(crate) skipped_updates_total: u64,
    pub(crate) last_error: Name,
    pub(crate) clock: Clock,
    pub(crate) facts: Facts,
    pub(crate) rates: Rates,
    pub(super) collectors: BTreeMap<Name, Collector>,
    pub(super) stream: Stream,
    /// What the store has of it.
    pub(super) stored: Stored,
    /// Of files that all members share, by path.
    pub(crate) digests: BTreeMap<&'static str, Digest>,
    /// What its link found wrong with who it says it is, and when.
    pub(crate) identity_problem: Option<(Name, Timestamp)>,
    /// Somebody whom it turned away as a coordinator: why, and when.
    pub(crate) refused_coordinator: Option<(Name, Timestamp)>,
    /// By the node's clock.
    pub(super) booted: Option<Timestamp>,
    /// When it last looked which files of the cluster have changed, and the time before;
    /// by the node's clock.
    pub(super) polled: [Option<Timestamp>; 2],
}

/// What one collector said last.
#[derive(Debug)]
pub(super) struct Collector {
    /// Of its newest payload.
    pub(super) kind: Option<Kind>,
    /// Of its newest sample.
    pub(super) stamp: Stamp,
    pub(super) failures: Vec<CollectorFailure>,
    /// Why there is nothing to collect, when its newest sample says so.
    pub(super) nothing: Option<Name>,
    /// Epoch and number of the payload that its newest sample speaks of and that
    /// has not arrived.
    pub(super) awaits: Option<(EpochId, u64)>,
}

/// Rates over the last two samples of each source.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    pub(crate) cpu: Part<CpuShares>,
    pub(crate) pressure: Part<PressureRates>,
    pub(crate) paging: Part<Paging>,
    pub(crate) disks: Part<Vec<Option<DiskRates>>>,
    pub(crate) interfaces: Part<Vec<Option<InterfaceRates>>>,
    /// Same order as the guests of the newest `GuestRuntimes`.
    pub(crate) accounted: Vec<Option<Accounted>>,
    /// Same order as the guests of the newest `PveStatus`, with the time of
    /// computation by the node's clock.
    pub(crate) traffic: Vec<Option<(Traffic, Timestamp)>>,
}

pub(crate) type Part<T> = Option<(T, Stamp)>;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Paging {
    pub(crate) swapped_in_pages_per_second: Option<f64>,
    pub(crate) swapped_out_pages_per_second: Option<f64>,
    pub(crate) oom_kills: Option<u64>,
}

impl Agent {
    pub(super) fn new(described: &DescribeResponse, at: Timestamp) -> Self {
        let mut agent = Self {
            version: "".into(),
            is_pve_node: false,
            address: String::new(),
            connected: false,
            is_enrolled: false,
            transport: Transport::Local,
            certificate_expires_at: None,
            throttled: Duration::ZERO,
            ways: Vec::new(),
            last_update_at: None,
            known_since: at,
            updates_total: 0,
            skipped_updates_total: 0,
            last_error: "".into(),
            clock: Clock::default(),
            facts: Facts::default(),
            rates: Rates::default(),
            collectors: BTreeMap::new(),
            stream: Stream::default(),
            stored: Stored::default(),
            digests: BTreeMap::new(),
            identity_problem: None,
            refused_coordinator: None,
            booted: None,
            polled: [None; 2],
        };
        agent.describe(described);
        agent
    }

    pub(super) fn describe(&mut self, described: &DescribeResponse) {
        // A node stays one while its cluster file system is not mounted.
        self.is_pve_node |= described.is_pve_node;
        let version = limit::cut(&described.agent_version, limit::NAME);
        // Whoever only knows that it is there knows no version.
        if !version.is_empty() && &*self.version != version {
            self.version = version.into();
        }
    }

    /// What it says, as it is linked, of those it turned away.
    pub(super) fn refused(&mut self, described: &DescribeResponse, at: Timestamp) {
        self.refused_coordinator = described.refused_coordinator.as_ref().map(|refused| {
            let ago = i64::try_from(refused.seconds_ago).unwrap_or(i64::MAX);
            let last = at.checked_sub(SignedDuration::from_secs(ago));
            let why = limit::cut(&refused.why, limit::DETAIL);
            (why.into(), last.unwrap_or(Timestamp::MIN))
        });
    }

    /// It answered there.
    pub(super) fn reach(&mut self, address: &str) {
        self.connected = true;
        address.clone_into(&mut self.address);
        self.last_error = "".into();
        self.ways.retain(|way| way != address);
        self.ways.push(address.to_owned());
        if self.ways.len() > WAYS {
            self.ways.remove(0);
        }
    }

    /// It does not answer there any more; whether it ever did. It may be connected
    /// by another way, a socket and a link.
    pub(super) fn lose(&mut self, address: &str, reason: &str) -> bool {
        let before = self.ways.len();
        self.ways.retain(|way| way != address);
        if before == self.ways.len() && self.address != address {
            return false;
        }
        match self.ways.last() {
            Some(way) => self.address.clone_from(way),
            None => {
                self.connected = false;
                self.last_error = reason.into();
            }
        }
        true
    }

    /// Whether counters of that sample can be compared with those of a newer one.
    pub(super) fn is_comparable(&self, previous: &Stamp, newer: &Stamp) -> bool {
        previous.epoch == newer.epoch
            && self.booted.is_none_or(|booted| previous.observed >= booted)
    }

    /// What is wrong with who it says it is; empty = nothing.
    pub(super) fn identity_problem(&self) -> String {
        if let Some((problem, _)) = &self.identity_problem {
            return problem.to_string();
        }
        let at = self.last_update_at.unwrap_or(self.known_since);
        match self.stream.doubled_at(at) {
            Some(doubled) => doubled.to_string(),
            None => String::new(),
        }
    }

    /// The second agent of this name, if one was seen lately.
    pub(crate) fn doubled_at(&self, at: Timestamp) -> Option<&Doubled> {
        self.stream.doubled_at(at)
    }

    /// Everything its collectors could not read, sorted by collector and path.
    pub(crate) fn failures(&self) -> impl Iterator<Item = &CollectorFailure> {
        self.collectors
            .values()
            .flat_map(|collector| &collector.failures)
    }

    /// What its collectors looked for and does not exist, sorted by collector.
    pub(crate) fn nothing(&self) -> impl Iterator<Item = Nothing> {
        self.collectors.iter().filter_map(|(name, collector)| {
            let stamp = &collector.stamp;
            Some(Nothing {
                collector: Name::clone(name),
                reason: collector.nothing.clone()?,
                at: self.clock.correct(stamp.observed, stamp.received),
            })
        })
    }
}

impl Collector {
    /// A failure as the view shows it.
    pub(super) fn failure(
        collector: &Name,
        failure: &wire::SourceFailure,
        at: Timestamp,
    ) -> CollectorFailure {
        CollectorFailure {
            collector: Name::clone(collector),
            path: limit::cut(&failure.path, limit::DETAIL).to_owned(),
            kind: failure.kind(),
            detail: limit::cut(&failure.detail, limit::DETAIL).to_owned(),
            at,
        }
    }
}
