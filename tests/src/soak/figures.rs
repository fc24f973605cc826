//! What the agent says that it needs, and whether its stream is whole.

use std::collections::BTreeSet;

use pvelens_proto::agent::v1::{Sample, SelfReport, sample::Payload};

use super::WINDOW;

/// What resident memory may grow by in the second half. A run is a thread, and the
/// allocator's arenas settle as other runs overlap; what leaks in each of thousands
/// of cycles is more. Not judged before the spool is full, whose index grows with it.
const GROWTH_KIBIBYTES: f64 = 1024.0;
/// The spool has its segments open, and reads of the last tick may be under way.
const OPEN_FILES_MORE: u32 = 20;
/// Collectors that have ended may not have left their thread yet.
const THREADS_MORE: u32 = 2;

/// Figures over time.
pub(super) struct Figures {
    cycles: u32,
    threads: u32,
    open_files: u32,
    most_threads: u32,
    /// The spool was full at half time.
    is_judged: bool,
    half: Mean,
    end: Mean,
    samples: usize,
    own_samples: usize,
    missed: u64,
    wrong: BTreeSet<String>,
}

/// Of resident KiB.
#[derive(Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Figures {
    pub(super) fn new(first: &SelfReport, cycles: u32) -> Self {
        let process = first.process.clone().unwrap_or_default();
        Self {
            cycles,
            threads: process.threads,
            open_files: process.open_files.unwrap_or_default(),
            most_threads: 0,
            is_judged: false,
            half: Mean::default(),
            end: Mean::default(),
            samples: 0,
            own_samples: 0,
            missed: 0,
            wrong: BTreeSet::new(),
        }
    }

    pub(super) fn cycles(&self) -> u32 {
        self.cycles
    }

    pub(super) fn look(&mut self, cycle: u32, report: &SelfReport) {
        let process = report.process.clone().unwrap_or_default();
        self.most_threads = self.most_threads.max(process.threads);
        let half = self.cycles / 2;
        if cycle == half {
            let spool = report.spool.as_ref();
            self.is_judged = spool.is_some_and(|spool| spool.dropped_updates_total > 0);
        }
        let window = WINDOW.min(self.cycles / 4);
        for (mean, end) in [(&mut self.half, half), (&mut self.end, self.cycles)] {
            if cycle < end && cycle + window >= end {
                let kibibytes = u32::try_from(process.resident_bytes / 1024);
                mean.sum += f64::from(kibibytes.unwrap_or(u32::MAX));
                mean.count += 1;
            }
        }
    }

    /// A reader that comes back now and then.
    pub(super) fn stream(&mut self, samples: &[Sample], missed: u64, vmids: &[u32]) {
        self.samples += samples.len();
        self.missed += missed;
        let own = |sample: &&Sample| matches!(sample.payload, Some(Payload::SelfReport(_)));
        self.own_samples += samples.iter().filter(own).count();
        let mut lists = samples.iter().filter_map(|sample| match &sample.payload {
            Some(Payload::GuestList(list)) => Some(list),
            _ => None,
        });
        // Absent when the list itself was broken all the time.
        if let Some(list) = lists.next_back() {
            let mut told: Vec<u32> = list.guests.iter().map(|guest| guest.vmid).collect();
            told.sort_unstable();
            let is_newest = samples
                .iter()
                .rfind(|sample| sample.collector == "guest_list")
                .is_some_and(|sample| sample.failures.is_empty());
            if is_newest && told != vmids {
                self.wrong.insert(format!(
                    "the stream has guests {told:?} instead of {vmids:?}"
                ));
            }
        }
    }

    pub(super) fn wrong(&self, last: &SelfReport, jumps: (u64, u64)) -> Vec<String> {
        let process = last.process.clone().unwrap_or_default();
        let sampling = last.sampling.unwrap_or_default();
        let mut wrong: Vec<String> = self.wrong.iter().cloned().collect();
        let told = (
            sampling.clock_jumps_forward_total,
            sampling.clock_jumps_back_total,
        );
        if told != jumps {
            wrong.push(format!(
                "the clock jumped {jumps:?} times, the report says {told:?}"
            ));
        }
        if self.is_judged && self.growth() > GROWTH_KIBIBYTES {
            wrong.push(format!(
                "it grew by {:.0} KiB in the second half",
                self.growth()
            ));
        }
        if process.threads > self.threads + THREADS_MORE {
            wrong.push(format!(
                "it has {} threads at the end and had {} at first",
                process.threads, self.threads
            ));
        }
        let open_files = process.open_files.unwrap_or_default();
        if open_files > self.open_files + OPEN_FILES_MORE {
            wrong.push(format!(
                "it has {open_files} open files at the end and had {} at first",
                self.open_files
            ));
        }
        if self.own_samples == 0 && self.samples > 0 {
            wrong.push("the stream has no self-report".to_owned());
        }
        wrong
    }

    pub(super) fn lines(&self, last: &SelfReport) -> Vec<String> {
        let process = last.process.clone().unwrap_or_default();
        let sampling = last.sampling.unwrap_or_default();
        let spool = last.spool.clone().unwrap_or_default();
        vec![
            format!(
                "resident: {:.0} KiB after {} cycles, {:.0} KiB after {}: {:+.0} KiB ({})",
                self.half.value(),
                self.cycles / 2,
                self.end.value(),
                self.cycles,
                self.growth(),
                if self.is_judged {
                    format!("at most {GROWTH_KIBIBYTES:+.0}")
                } else {
                    "not judged, as the spool was not yet full at half time".to_owned()
                }
            ),
            format!(
                "threads: {} at first, {} at most, {} at the end; open files: {} at first, {} at the end",
                self.threads,
                self.most_threads,
                process.threads,
                self.open_files,
                process.open_files.unwrap_or_default()
            ),
            format!(
                "{} ticks, {:.1} s of CPU; {} collectors failing, {} hung at the end",
                sampling.ticks_total,
                process.cpu_seconds_total,
                sampling.failing_collectors,
                sampling.hung_collectors
            ),
            format!(
                "spool: {} of {} KiB, {} updates, {} dropped; a reader had {} samples, {} of them self-reports, and missed {} updates",
                spool.bytes / 1024,
                spool.limit_bytes / 1024,
                spool.updates,
                spool.dropped_updates_total,
                self.samples,
                self.own_samples,
                self.missed
            ),
        ]
    }

    fn growth(&self) -> f64 {
        self.end.value() - self.half.value()
    }
}

impl Mean {
    fn value(&self) -> f64 {
        self.sum / f64::from(self.count.max(1))
    }
}
