//! What the kernel says of the agent's own process.
//!
//! Of the running system whatever tree the agent reads: a simulated node has no
//! process of ours.

use std::{path::Path, time::Instant};

use pvelens_proto::agent::v1::AgentProcess;
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::host::Host;

/// Every path that is read for it.
pub(crate) const PATHS: &[&str] = &["/proc/self/status"];
/// The kernel's, of some fifty lines.
const LIMIT: u64 = 16 << 10;

#[derive(Debug)]
pub(super) struct Process {
    started: Instant,
    /// `None` without `/`.
    system: Option<Host>,
}

impl Process {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            system: Host::open(Path::new("/")).ok(),
        }
    }

    pub(super) fn report(&self) -> AgentProcess {
        let system = self.system.as_ref();
        let mut paths = PATHS.iter();
        let status = paths.find_map(|path| system?.read(path, LIMIT).ok());
        let status = status.unwrap_or_default();
        AgentProcess {
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: self.started.elapsed().as_secs_f64(),
            cpu_seconds_total: seconds(clock_gettime(ClockId::ProcessCPUTime)),
            resident_bytes: kibibytes(&status, "VmRSS:"),
            resident_max_bytes: kibibytes(&status, "VmHWM:"),
            threads: u32::try_from(number(&status, "Threads:")).unwrap_or(u32::MAX),
            open_files: open_files(),
        }
    }
}

/// Linux counts them since 6.2 in the size of the directory, which need not be
/// opened for that.
fn open_files() -> Option<u32> {
    let size = rustix::fs::stat("/proc/self/fd").ok()?.st_size;
    u32::try_from(size).ok().filter(|count| *count > 0)
}

fn kibibytes(status: &str, key: &str) -> u64 {
    number(status, key).saturating_mul(1024)
}

/// The first number of a line; 0 when there is none.
fn number(status: &str, key: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}

fn seconds(time: Timespec) -> f64 {
    let seconds = u32::try_from(time.tv_sec).unwrap_or(u32::MAX);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    f64::from(seconds) + f64::from(nanos) / 1e9
}
