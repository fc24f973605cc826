//! CPU time of the node by mode, from `/proc/stat`.
//!
//! Read directly: sysinfo gives a ratio over its own interval, and the
//! coordinator needs the counters of every mode.

use pvelens_proto::{
    agent::v1::{CollectionClass, CpuTimes},
    timestamp_from_millis,
};

use super::{CollectError, Collector, FAST, FILE_DEADLINE, KERNEL_FILE_LIMIT, Payload, Reading};
use crate::format::{FormatError, KeyValues, whole_lines};

const PATH: &str = "/proc/stat";

pub(super) const COLLECTOR: Collector = Collector {
    name: "cpu",
    summary: "CPU time of the node by mode",
    class: CollectionClass::Fast,
    interval: FAST,
    deadline: FILE_DEADLINE,
    paths: &[PATH],
    probes: &[],
    collect,
};

/// `USER_HZ`: the kernel shows CPU times in hundredths of a second on every
/// architecture that Proxmox VE runs on (`man 5 proc`).
pub(super) const TICKS_PER_SECOND: f64 = 100.0;

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let text = reading.read(PATH, KERNEL_FILE_LIMIT)?;
    Ok(Payload::Cpu(parse(&text).map_err(|error| error.at(PATH))?))
}

fn parse(text: &str) -> Result<CpuTimes, FormatError> {
    let mut times = whole_lines(text)?
        .lines()
        .find_map(|line| line.strip_prefix("cpu "))
        .ok_or_else(|| FormatError::malformed("no line for all CPUs"))?
        .split_ascii_whitespace()
        .map(|ticks| ticks.parse::<u64>().map(seconds));
    // Old kernels end the line early; what is missing was not counted.
    let mut next = || match times.next() {
        None => Ok(0.0),
        Some(time) => time.map_err(|_| FormatError::malformed("a CPU time is not a number")),
    };
    let counters = KeyValues::parse(text)?;
    let boot_millis = i64::try_from(counters.required("btime")?)
        .ok()
        .and_then(|seconds| seconds.checked_mul(1000))
        .ok_or_else(|| FormatError::malformed("btime is out of range"))?;
    Ok(CpuTimes {
        user_seconds_total: next()?,
        nice_seconds_total: next()?,
        system_seconds_total: next()?,
        idle_seconds_total: next()?,
        iowait_seconds_total: next()?,
        irq_seconds_total: next()?,
        softirq_seconds_total: next()?,
        steal_seconds_total: next()?,
        guest_seconds_total: next()?,
        guest_nice_seconds_total: next()?,
        online_cpus: online_cpus(text),
        context_switches_total: counters.required("ctxt")?,
        forks_total: counters.required("processes")?,
        boot_time: Some(timestamp_from_millis(boot_millis)),
        blocked_tasks: counters.optional("procs_blocked")?,
    })
}

/// The kernel lists one line per CPU that is online.
fn online_cpus(text: &str) -> u32 {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("cpu"))
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    u32::try_from(lines.count()).unwrap_or(u32::MAX)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "exact up to 2^53 ticks, three million years"
)]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAT: &str = "cpu  200 1 30 4000 50 6 7 8 9 10\ncpu0 100 0 0 0 0 0 0 0 0 0\n\
        cpu1 100 1 30 4000 50 6 7 8 9 10\nintr 5 1 2\nctxt 77\nbtime 1795344354\nprocesses 42\nprocs_running 2\nprocs_blocked 3\n";

    #[test]
    fn modes_are_in_seconds() {
        let cpu = parse(STAT).unwrap();
        assert!((cpu.user_seconds_total - 2.0).abs() < 1e-9);
        assert!((cpu.guest_nice_seconds_total - 0.1).abs() < 1e-9);
        assert_eq!((cpu.online_cpus, cpu.forks_total), (2, 42));
        assert_eq!(cpu.boot_time.unwrap().seconds, 1_795_344_354);
        assert_eq!(cpu.blocked_tasks, Some(3));
    }

    #[test]
    fn an_empty_or_cut_file_is_no_zero() {
        assert!(parse("").is_err());
        assert!(parse(STAT.trim_end()).is_err());
        assert!(parse("cpu  1 2 3 4\n").is_err());
        assert!(parse("cpu  1 x 3 4\nctxt 1\nbtime 1\nprocesses 1\n").is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "(cpu[ 0-9]{0,40}\n|btime [0-9]{0,22}\n|\\PC{0,20}\n?){0,6}") {
            drop(parse(&text));
        }
    }
}
