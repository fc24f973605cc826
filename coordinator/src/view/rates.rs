//! Rates from two samples of counters.
//!
//! An interval in which a counter went backwards (reboot, driver reload) gives
//! nothing, nor does one that is too short to divide by or too long to be "now".

use std::collections::HashMap;

use jiff::Timestamp;
use pvelens_proto::agent::v1 as wire;

use super::{DiskRates, InterfaceRates, PressureRates};

pub(crate) mod guest;

/// Shares of all CPU time between two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CpuShares {
    pub(crate) busy: f64,
    pub(crate) iowait: f64,
    pub(crate) steal: f64,
}

/// Seconds between two samples, if a rate over them makes sense.
pub(crate) fn seconds_between(previous: Timestamp, newest: Timestamp) -> Option<f64> {
    let seconds = newest.duration_since(previous).as_secs_f64();
    (1.0..=300.0).contains(&seconds).then_some(seconds)
}

/// Growth of a counter; absent when it went backwards.
pub(crate) fn growth(previous: u64, newest: u64) -> Option<u64> {
    newest.checked_sub(previous)
}

/// Growth of an optional counter per second.
pub(crate) fn per_second(previous: Option<u64>, newest: Option<u64>, seconds: f64) -> Option<f64> {
    Some(growth(previous?, newest?)? as f64 / seconds)
}

/// Whether the node was booted between two samples.
pub(crate) fn rebooted(previous: &wire::CpuTimes, newest: &wire::CpuTimes) -> bool {
    // The kernel derives the boot time from a clock that is being steered.
    let moved = match (&previous.boot_time, &newest.boot_time) {
        (Some(previous), Some(newest)) => newest.seconds.abs_diff(previous.seconds) > 60,
        _ => false,
    };
    moved || newest.idle_seconds_total < previous.idle_seconds_total - 1.0
}

pub(crate) fn cpu(previous: &wire::CpuTimes, newest: &wire::CpuTimes) -> Option<CpuShares> {
    if rebooted(previous, newest) {
        return None;
    }
    // Idle and iowait of a CPU that goes offline and returns may shrink a little.
    let grown = |of: fn(&wire::CpuTimes) -> f64| (of(newest) - of(previous)).max(0.0);
    let iowait = grown(|cpu| cpu.iowait_seconds_total);
    let steal = grown(|cpu| cpu.steal_seconds_total);
    // Guest time is contained in user and nice.
    let busy = grown(|cpu| cpu.user_seconds_total)
        + grown(|cpu| cpu.nice_seconds_total)
        + grown(|cpu| cpu.system_seconds_total)
        + grown(|cpu| cpu.irq_seconds_total)
        + grown(|cpu| cpu.softirq_seconds_total)
        + steal;
    let total = busy + iowait + grown(|cpu| cpu.idle_seconds_total);
    (total > 0.0 && total.is_finite()).then(|| CpuShares {
        busy: busy / total,
        iowait: iowait / total,
        steal: steal / total,
    })
}

pub(crate) fn pressure(
    previous: &wire::Pressure,
    newest: &wire::Pressure,
    seconds: f64,
) -> PressureRates {
    resources(
        [
            previous.cpu.as_ref(),
            previous.memory.as_ref(),
            previous.io.as_ref(),
        ],
        [
            newest.cpu.as_ref(),
            newest.memory.as_ref(),
            newest.io.as_ref(),
        ],
        seconds,
    )
}

type Resources<'a> = [Option<&'a wire::ResourcePressure>; 3];

/// Stalled shares of CPU, memory and I/O, in this order.
pub(crate) fn resources(
    previous: Resources<'_>,
    newest: Resources<'_>,
    seconds: f64,
) -> PressureRates {
    let share = |resource: usize, of: fn(&wire::ResourcePressure) -> Option<&wire::StallTime>| {
        let total = |resources: Resources<'_>| {
            let stall = of(resources.get(resource).copied().flatten()?)?;
            Some(stall.stalled_microseconds_total)
        };
        let micros = per_second(total(previous), total(newest), seconds)?;
        Some((micros / 1e6).min(1.0))
    };
    PressureRates {
        cpu_some_ratio: share(0, |resource| resource.some.as_ref()),
        memory_some_ratio: share(1, |resource| resource.some.as_ref()),
        memory_full_ratio: share(1, |resource| resource.full.as_ref()),
        io_some_ratio: share(2, |resource| resource.some.as_ref()),
        io_full_ratio: share(2, |resource| resource.full.as_ref()),
    }
}

/// One entry per disk of the newest sample.
pub(crate) fn disks(
    previous: &wire::Disks,
    newest: &wire::Disks,
    seconds: f64,
) -> Vec<Option<DiskRates>> {
    let before = by_name(&previous.disks, |disk| &disk.name);
    newest
        .disks
        .iter()
        .map(|disk| self::disk(before.get(disk.name.as_str())?, disk, seconds))
        .collect()
}

fn disk(previous: &wire::Disk, newest: &wire::Disk, seconds: f64) -> Option<DiskRates> {
    let reads = growth(previous.reads_total, newest.reads_total)? as f64;
    let writes = growth(previous.writes_total, newest.writes_total)? as f64;
    let read_bytes = growth(previous.read_bytes_total, newest.read_bytes_total)? as f64;
    let write_bytes = growth(previous.written_bytes_total, newest.written_bytes_total)? as f64;
    let latency = |requests: f64, before: f64, after: f64| {
        (requests > 0.0 && after >= before).then(|| (after - before) / requests)
    };
    let busy = newest.busy_seconds_total - previous.busy_seconds_total;
    Some(DiskRates {
        reads_per_second: reads / seconds,
        writes_per_second: writes / seconds,
        read_bytes_per_second: read_bytes / seconds,
        write_bytes_per_second: write_bytes / seconds,
        read_latency_seconds: latency(
            reads,
            previous.read_seconds_total,
            newest.read_seconds_total,
        ),
        write_latency_seconds: latency(
            writes,
            previous.write_seconds_total,
            newest.write_seconds_total,
        ),
        busy_ratio: (busy / seconds).clamp(0.0, 1.0),
    })
}

/// One entry per interface of the newest sample.
pub(crate) fn interfaces(
    previous: &wire::Network,
    newest: &wire::Network,
    seconds: f64,
) -> Vec<Option<InterfaceRates>> {
    let before = by_name(&previous.interfaces, |interface| &interface.name);
    newest
        .interfaces
        .iter()
        .map(|interface| self::interface(before.get(interface.name.as_str())?, interface, seconds))
        .collect()
}

fn interface(
    previous: &wire::NetworkInterface,
    newest: &wire::NetworkInterface,
    seconds: f64,
) -> Option<InterfaceRates> {
    let rate = |of: fn(&wire::NetworkInterface) -> u64| {
        Some(growth(of(previous), of(newest))? as f64 / seconds)
    };
    Some(InterfaceRates {
        received_bytes_per_second: rate(|interface| interface.received_bytes_total)?,
        transmitted_bytes_per_second: rate(|interface| interface.transmitted_bytes_total)?,
        errors_per_second: rate(|interface| {
            interface
                .receive_errors_total
                .saturating_add(interface.transmit_errors_total)
        })?,
    })
}

fn by_name<T>(list: &[T], name: fn(&T) -> &String) -> HashMap<&str, &T> {
    list.iter()
        .map(|entry| (name(entry).as_str(), entry))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu_times(busy: f64, idle: f64, iowait: f64) -> wire::CpuTimes {
        wire::CpuTimes {
            user_seconds_total: busy,
            idle_seconds_total: idle,
            iowait_seconds_total: iowait,
            ..wire::CpuTimes::default()
        }
    }

    #[test]
    fn cpu_shares_are_of_all_time_and_iowait_is_not_busy() {
        let shares = cpu(
            &cpu_times(100.0, 1000.0, 10.0),
            &cpu_times(102.0, 1007.0, 11.0),
        )
        .unwrap();
        assert!((shares.busy - 0.2).abs() < 1e-9);
        assert!((shares.iowait - 0.1).abs() < 1e-9);
    }

    #[test]
    fn a_reboot_drops_the_interval() {
        assert_eq!(
            cpu(&cpu_times(100.0, 1000.0, 10.0), &cpu_times(1.0, 9.0, 0.0)),
            None
        );
        let booted = |seconds: i64| wire::CpuTimes {
            boot_time: Some(pvelens_proto::timestamp_from_millis(seconds * 1000)),
            ..cpu_times(seconds as f64, seconds as f64, 0.0)
        };
        // Counters of the new boot may already be beyond the old ones.
        assert_eq!(cpu(&booted(1_000), &booted(2_000)), None);
        assert!(cpu(&booted(1_000), &booted(1_001)).is_some());
    }

    #[test]
    fn a_disk_without_requests_has_no_latency() {
        let disk = |name: &str, reads, seconds| wire::Disk {
            name: name.to_owned(),
            reads_total: reads,
            read_seconds_total: seconds,
            ..wire::Disk::default()
        };
        let before = wire::Disks {
            disks: vec![disk("sda", 10, 1.0), disk("sdb", 5, 1.0)],
        };
        let after = wire::Disks {
            disks: vec![
                disk("sdc", 1, 0.0),
                disk("sdb", 5, 1.0),
                disk("sda", 30, 1.4),
            ],
        };
        let rates = disks(&before, &after, 10.0);
        assert_eq!(rates[0], None);
        assert_eq!(rates[1].unwrap().read_latency_seconds, None);
        let sda = rates[2].unwrap();
        assert!((sda.reads_per_second - 2.0).abs() < 1e-9);
        assert!((sda.read_latency_seconds.unwrap() - 0.02).abs() < 1e-9);
    }

    #[test]
    fn stalled_time_is_a_share_of_the_interval() {
        let stalled = |micros| wire::Pressure {
            memory: Some(wire::ResourcePressure {
                some: Some(wire::StallTime {
                    stalled_microseconds_total: micros,
                    ..wire::StallTime::default()
                }),
                full: None,
            }),
            ..wire::Pressure::default()
        };
        let rates = pressure(&stalled(1_000_000), &stalled(3_000_000), 10.0);
        assert_eq!(rates.memory_some_ratio, Some(0.2));
        assert_eq!(rates.memory_full_ratio, None);
        let reset = pressure(&stalled(3_000_000), &stalled(1), 10.0);
        assert_eq!(reset.memory_some_ratio, None);
    }

    #[test]
    fn intervals_that_say_nothing_about_now_are_dropped() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(seconds_between(at(10), at(10)), None);
        assert_eq!(seconds_between(at(10), at(0)), None);
        assert_eq!(seconds_between(at(0), at(3600)), None);
        assert_eq!(seconds_between(at(0), at(10)), Some(10.0));
    }
}
