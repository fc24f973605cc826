//! One agent: its connection, its place in its stream, and what it delivered.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use jiff::Timestamp;
use pvelens_proto::agent::v1::{self as wire, Cursor, DescribeResponse};

use super::{
    Transport,
    clock::Clock,
    facts::{Facts, Kind, Stamp},
    limit,
};
use crate::view::{
    CollectorFailure, DiskRates, InterfaceRates, Name, Nothing, PressureRates,
    rates::{
        CpuShares,
        guest::{Accounted, Traffic},
    },
};

/// Earlier epochs of which the place is remembered.
const PAST_EPOCHS: usize = 8;

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
    /// When an update of an epoch that had ended arrived last: two agents use
    /// one name.
    pub(crate) doubled_at: Option<Timestamp>,
    /// By the node's clock.
    pub(super) booted: Option<Timestamp>,
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

/// Place in the stream of an agent.
#[derive(Debug, Default)]
pub(super) struct Stream {
    epoch: String,
    /// Absent until an update of the epoch was kept.
    sequence: Option<u64>,
    past: VecDeque<(String, u64)>,
}

/// What an update is to its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Its sequence number was already kept.
    Kept,
    /// It follows what was kept.
    Next,
    /// It belongs to an epoch that has ended, or repeats current content: a
    /// sample counts if it is newer than what is known.
    Aside,
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
            doubled_at: None,
            booted: None,
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

    /// Places an update; a new epoch ends the meaning of old sequence numbers.
    pub(super) fn place(&mut self, cursor: &Cursor, baseline: bool) -> Place {
        let (place, entered) = self.stream.place(cursor, baseline);
        if entered {
            self.facts.end_epoch();
        }
        if place == Place::Next {
            self.stream.sequence = Some(cursor.sequence);
        }
        place
    }

    /// Whether counters of that sample can be compared with newer ones.
    pub(super) fn is_comparable(&self, previous: &Stamp) -> bool {
        previous.sequence.is_some() && self.booted.is_none_or(|booted| previous.observed >= booted)
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

impl Stream {
    /// The place, and whether a new epoch begins.
    fn place(&mut self, cursor: &Cursor, baseline: bool) -> (Place, bool) {
        let epoch = limit::cut(&cursor.epoch, limit::NAME);
        let entered = epoch != self.epoch;
        if entered {
            if let Some((_, kept)) = self.past.iter_mut().find(|(past, _)| past == epoch) {
                if !baseline && cursor.sequence <= *kept {
                    return (Place::Kept, false);
                }
                if !baseline {
                    *kept = cursor.sequence;
                }
                return (Place::Aside, false);
            }
            self.enter(epoch);
        }
        let place = if baseline {
            Place::Aside
        } else if self.sequence.is_some_and(|kept| cursor.sequence <= kept) {
            Place::Kept
        } else {
            Place::Next
        };
        (place, entered)
    }

    fn enter(&mut self, epoch: &str) {
        let ended = std::mem::replace(&mut self.epoch, epoch.to_owned());
        if let Some(sequence) = self.sequence.take() {
            self.past.push_back((ended, sequence));
            if self.past.len() > PAST_EPOCHS {
                self.past.pop_front();
            }
        }
    }

    /// Where to resume an epoch; the current one when it has no name.
    pub(super) fn cursor(&self, epoch: &str) -> Option<Cursor> {
        if epoch.is_empty() || epoch == self.epoch {
            return Some(Cursor {
                epoch: self.epoch.clone(),
                sequence: self.sequence?,
            });
        }
        let (epoch, sequence) = self.past.iter().find(|(past, _)| past == epoch)?;
        Some(Cursor {
            epoch: epoch.clone(),
            sequence: *sequence,
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
