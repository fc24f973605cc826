//! The faults: which hold, which the agent has named, what it named besides.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use pvelens_agent::collector::Collector;
use pvelens_proto::agent::v1::{CollectorReport, FailureReport, SelfReport};

use super::{
    CYCLE,
    fault::{Fault, Held},
    target::real,
};

/// Cycles after which a mended file must have been read again: what failed is read
/// again after a minute, and a run may be late by one tick.
const RECOVERY: u32 = 8;
/// More than the interval in which a fault must be named: the first run may be given
/// up before it has come to the file, and the next one says where it hangs.
const PATIENCE: u32 = 2 * RECOVERY;
/// What is printed of each kind of wrong.
const SHOWN: usize = 20;

/// A failure by collector, path and kind.
type Key = (String, String, i32);

/// Everything that was broken.
pub(super) struct Broken {
    active: Vec<Active>,
    /// Collectors whose files were mended in a cycle, until they are well again.
    mending: BTreeMap<&'static str, u32>,
    /// What the node lacks anyway.
    lacking: BTreeSet<Key>,
    /// Faults by name of their kind: injected, and named by the agent.
    counts: BTreeMap<String, (u32, u32)>,
    /// Where nothing was to be said.
    silent: u32,
    numbers: u32,
    missing: Vec<String>,
    stuck: Vec<String>,
    unexplained: BTreeMap<Key, String>,
}

struct Active {
    id: String,
    fault: Fault,
    held: Option<Held>,
    readers: Vec<&'static Collector>,
    since: u32,
    /// Not healed before.
    until: u32,
    /// Missing when it is not named by then.
    patience: u32,
    is_named: bool,
}

impl Broken {
    pub(super) fn new(whole: &SelfReport) -> Self {
        Self {
            active: Vec::new(),
            mending: BTreeMap::new(),
            lacking: current(whole).map(key).collect(),
            counts: BTreeMap::new(),
            silent: 0,
            numbers: 0,
            missing: Vec::new(),
            stuck: Vec::new(),
            unexplained: BTreeMap::new(),
        }
    }

    pub(super) fn add(
        &mut self,
        cycle: u32,
        fault: Fault,
        held: Held,
        readers: Vec<&'static Collector>,
        cycles: u32,
    ) {
        self.numbers += 1;
        let interval = readers.iter().map(|reader| reader.interval).min();
        let interval = interval.unwrap_or_default().as_secs() / CYCLE.as_secs();
        let (path, name) = (held.path.clone(), fault.name());
        let is_told = fault.is_told(&path);
        self.counts.entry(name.clone()).or_default().0 += u32::from(is_told);
        self.silent += u32::from(!is_told);
        self.active.push(Active {
            id: format!("fault-{:04} {name} {path}", self.numbers),
            fault,
            held: Some(held),
            readers,
            since: cycle,
            until: cycle + cycles,
            patience: cycle + u32::try_from(interval).unwrap_or(u32::MAX / 2) + PATIENCE,
            is_named: !is_told,
        });
    }

    /// Takes out what has held long enough and was named, or never will be.
    pub(super) fn healed(&mut self, cycle: u32) -> Vec<Held> {
        self.heal(cycle, |fault| {
            (fault.is_named && cycle >= fault.until) || cycle > fault.patience
        })
    }

    pub(super) fn all_healed(&mut self, cycle: u32) -> Vec<Held> {
        // Too young to be missed.
        for fault in self.active.iter_mut().filter(|fault| !fault.is_named) {
            if let Some(counts) = self.counts.get_mut(&fault.fault.name()) {
                counts.0 -= 1;
            }
            fault.is_named = true;
        }
        self.heal(cycle, |_| true)
    }

    fn heal(&mut self, cycle: u32, is_over: impl Fn(&Active) -> bool) -> Vec<Held> {
        let (over, active) = std::mem::take(&mut self.active)
            .into_iter()
            .partition(is_over);
        self.active = active;
        let over: Vec<Active> = over;
        let mut held = Vec::new();
        for fault in over {
            if !fault.is_named {
                self.missing.push(format!(
                    "{} was injected in cycle {} and is not in the self-report (read by {})",
                    fault.id,
                    fault.since,
                    names(&fault.readers)
                ));
            }
            for reader in &fault.readers {
                self.mending.insert(reader.name, cycle);
            }
            held.extend(fault.held);
        }
        held
    }

    /// Compares what is broken with what the agent says.
    pub(super) fn look(&mut self, cycle: u32, report: &SelfReport) {
        for fault in self.active.iter_mut().filter(|fault| !fault.is_named) {
            fault.is_named = current(report).any(|failure| is_of(failure, fault));
            if fault.is_named
                && let Some(counts) = self.counts.get_mut(&fault.fault.name())
            {
                counts.1 += 1;
            }
        }
        let failing: BTreeSet<&str> = current(report)
            .filter(|failure| !self.lacking.contains(&key(failure)))
            .map(|failure| failure.collector.as_str())
            .collect();
        let hung = report.collectors.iter().filter(|one| one.is_hung);
        let hung: BTreeSet<&str> = hung.map(|one| one.name.as_str()).collect();
        let stuck = &mut self.stuck;
        self.mending.retain(|name, since| {
            let is_well = !failing.contains(name) && !hung.contains(name);
            let is_late = !is_well && cycle > *since + RECOVERY;
            if is_late {
                stuck.push(format!(
                    "{name} still fails in cycle {cycle}, though its files were mended in cycle {since}"
                ));
            }
            !is_well && !is_late
        });
        for failure in current(report) {
            let name = failure.collector.as_str();
            let key = key(failure);
            if self.is_idle(name) && !self.lacking.contains(&key) {
                let detail = failure.failure.as_ref().map(|it| it.detail.clone());
                let detail = format!("in cycle {cycle}: {}", detail.unwrap_or_default());
                self.unexplained.entry(key).or_insert(detail);
            }
        }
    }

    pub(super) fn active(&self) -> usize {
        self.active.len()
    }

    pub(super) fn active_of(&self, is: impl Fn(&Collector) -> bool) -> usize {
        let faults = self.active.iter();
        faults
            .filter(|fault| fault.readers.iter().any(|reader| is(reader)))
            .count()
    }

    /// Whether nothing of what a collector reads is broken, or was until just now.
    pub(super) fn is_idle(&self, name: &str) -> bool {
        let reads = |fault: &Active| fault.readers.iter().any(|reader| reader.name == name);
        !self.mending.contains_key(name) && !self.active.iter().any(reads)
    }

    pub(super) fn has_path(&self, is: impl Fn(&str) -> bool) -> bool {
        let mut held = self.active.iter().filter_map(|fault| fault.held.as_ref());
        held.any(|held| is(&held.path))
    }

    pub(super) fn wrong(&self) -> Vec<String> {
        let unexplained = self.unexplained.iter().map(|((name, path, kind), detail)| {
            format!("{name} names {path} (kind {kind}), which nobody broke, {detail}")
        });
        let unexplained: Vec<String> = unexplained.collect();
        [&self.missing, &self.stuck, &unexplained]
            .into_iter()
            .flat_map(|wrong| shown(wrong))
            .collect()
    }

    /// Collectors that did not come back, or did not run, since nothing is broken.
    pub(super) fn unrecovered(&self, last: &SelfReport, step: Duration) -> Vec<String> {
        let is_late = |one: &CollectorReport| {
            let interval = Duration::from_secs(u64::from(one.interval_seconds)).max(step);
            let age = one.payload_age_seconds.unwrap_or(f64::MAX);
            age > interval.as_secs_f64() + step.as_secs_f64()
        };
        let lacks = |one: &CollectorReport| self.lacking.iter().any(|(name, ..)| *name == one.name);
        let collectors = last.collectors.iter();
        collectors
            .filter(|one| one.is_hung || (!lacks(one) && (one.last_failures > 0 || is_late(one))))
            .map(|one| {
                format!(
                    "{} is stuck at the end: last payload {:?} s ago, {} failures, first {:?}",
                    one.name, one.payload_age_seconds, one.last_failures, one.last_failure
                )
            })
            .collect()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let kinds = self.counts.iter().map(|(name, (injected, named))| {
            format!("  {name:<12} {injected:>5} injected, {named:>5} in the self-report by path and kind")
        });
        let (injected, named) = self
            .counts
            .values()
            .fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
        let lacking = match self.lacking.len() {
            0 => "nothing".to_owned(),
            _ => {
                let lacking = self.lacking.iter();
                let lacking: Vec<String> = lacking
                    .map(|(name, path, _)| format!("{path} ({name})"))
                    .collect();
                lacking.join(", ")
            }
        };
        let mut lines = vec![format!(
            "{injected} faults of files, {named} of them in the self-report; {} more were of files that may be absent",
            self.silent
        )];
        lines.extend(kinds);
        lines.push(format!(
            "{} failures that nobody caused, {} collectors late after mending; the whole node lacks {lacking}",
            self.unexplained.len(),
            self.stuck.len()
        ));
        lines
    }
}

fn shown(wrong: &[String]) -> Vec<String> {
    let mut shown: Vec<String> = wrong.iter().take(SHOWN).cloned().collect();
    if wrong.len() > SHOWN {
        shown.push(format!("... and {} more like these", wrong.len() - SHOWN));
    }
    shown
}

fn names(readers: &[&Collector]) -> String {
    let names: Vec<&str> = readers.iter().map(|reader| reader.name).collect();
    names.join(", ")
}

fn current(report: &SelfReport) -> impl Iterator<Item = &FailureReport> {
    report.failures.iter().filter(|failure| failure.is_current)
}

fn key(failure: &FailureReport) -> Key {
    let (path, kind) = match &failure.failure {
        Some(it) => (real(&it.path), it.kind),
        None => (String::new(), 0),
    };
    (failure.collector.clone(), path, kind)
}

fn is_of(report: &FailureReport, fault: &Active) -> bool {
    let is_reader = |reader: &Collector| reader.name == report.collector;
    let path = fault.held.as_ref().map_or("", |held| held.path.as_str());
    report
        .failure
        .as_ref()
        .is_some_and(|failure| fault.fault.fits(failure.kind()) && real(&failure.path) == path)
        && fault.readers.iter().any(|reader| is_reader(reader))
}
