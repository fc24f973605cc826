//! Rates of one guest, from kernel accounting and from PVE's own counters.

use pvelens_proto::agent::v1 as wire;

use super::{growth, per_second, resources};
use crate::view::PressureRates;

/// From two samples of a guest's cgroup and process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Accounted {
    pub(crate) cpu_cores: Option<f64>,
    pub(crate) vcpu_run_delay_ratio: Option<f64>,
    pub(crate) pressure: PressureRates,
    pub(crate) read_bytes_per_second: Option<f64>,
    pub(crate) write_bytes_per_second: Option<f64>,
    pub(crate) oom_kills: Option<u64>,
}

/// From two computations of pvestatd.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Traffic {
    pub(crate) read_bytes_per_second: Option<f64>,
    pub(crate) write_bytes_per_second: Option<f64>,
    pub(crate) received_bytes_per_second: Option<f64>,
    pub(crate) transmitted_bytes_per_second: Option<f64>,
}

/// Absent when the guest was started between the samples.
pub(crate) fn accounted(
    previous: &wire::GuestRuntime,
    newest: &wire::GuestRuntime,
    seconds: f64,
) -> Option<Accounted> {
    if previous.kind != newest.kind
        || previous.start_ticks != newest.start_ticks
        || previous.pid != newest.pid
    {
        return None;
    }
    // A container has no main process here: its cgroup is new with each start,
    // and any counter that went backwards tells.
    let cpu = match (cpu_seconds(previous), cpu_seconds(newest)) {
        (Some(previous), Some(newest)) if newest < previous => return None,
        (Some(previous), Some(newest)) => Some((newest - previous) / seconds),
        _ => None,
    };
    let oom_kills = match (previous.oom_kills_total, newest.oom_kills_total) {
        (Some(previous), Some(newest)) => Some(growth(previous, newest)?),
        _ => None,
    };
    let delay = match (
        previous.vcpu_run_delay_seconds_total,
        newest.vcpu_run_delay_seconds_total,
        newest.vcpu_threads,
    ) {
        (Some(before), Some(after), Some(threads))
            if threads > 0 && previous.vcpu_threads == newest.vcpu_threads && after >= before =>
        {
            Some(((after - before) / seconds / f64::from(threads)).min(1.0))
        }
        _ => None,
    };
    let finite = |value: &f64| value.is_finite();
    Some(Accounted {
        cpu_cores: cpu.filter(finite),
        vcpu_run_delay_ratio: delay.filter(finite),
        pressure: resources(
            [
                previous.cpu_pressure.as_ref(),
                previous.memory_pressure.as_ref(),
                previous.io_pressure.as_ref(),
            ],
            [
                newest.cpu_pressure.as_ref(),
                newest.memory_pressure.as_ref(),
                newest.io_pressure.as_ref(),
            ],
            seconds,
        ),
        read_bytes_per_second: per_second(
            previous.read_bytes_total,
            newest.read_bytes_total,
            seconds,
        ),
        write_bytes_per_second: per_second(
            previous.written_bytes_total,
            newest.written_bytes_total,
            seconds,
        ),
        oom_kills,
    })
}

/// The cgroup's time, which contains helpers of the VM, else the process'.
fn cpu_seconds(runtime: &wire::GuestRuntime) -> Option<f64> {
    runtime
        .cpu_seconds_total
        .or(runtime.process_cpu_seconds_total)
}

/// Absent when the guest was started between the samples.
pub(crate) fn traffic(
    previous: &wire::PveGuestStatus,
    newest: &wire::PveGuestStatus,
    seconds: f64,
) -> Option<Traffic> {
    let restarted = previous.kind != newest.kind
        || previous.pid != newest.pid
        || newest.uptime_seconds < previous.uptime_seconds;
    if restarted || newest.status != "running" {
        return None;
    }
    let rate = |of: fn(&wire::PveGuestStatus) -> Option<u64>| {
        per_second(of(previous), of(newest), seconds)
    };
    Some(Traffic {
        read_bytes_per_second: rate(|status| status.read_bytes_total),
        write_bytes_per_second: rate(|status| status.written_bytes_total),
        received_bytes_per_second: rate(|status| status.received_bytes_total),
        transmitted_bytes_per_second: rate(|status| status.transmitted_bytes_total),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime(start_ticks: Option<u64>, cpu_seconds: f64) -> wire::GuestRuntime {
        wire::GuestRuntime {
            vmid: 100,
            start_ticks,
            cpu_seconds_total: Some(cpu_seconds),
            read_bytes_total: Some(1000),
            ..wire::GuestRuntime::default()
        }
    }

    #[test]
    fn a_restarted_guest_has_no_rates_even_when_its_counters_grew() {
        let before = runtime(Some(1), 10.0);
        assert_eq!(accounted(&before, &runtime(Some(2), 90.0), 10.0), None);
        // A container: no process, but the counter went backwards.
        assert_eq!(
            accounted(&runtime(None, 10.0), &runtime(None, 1.0), 10.0),
            None
        );
        let rates = accounted(&before, &runtime(Some(1), 25.0), 10.0).unwrap();
        assert_eq!(rates.cpu_cores, Some(1.5));
        assert_eq!(rates.read_bytes_per_second, Some(0.0));
    }

    #[test]
    fn an_uptime_that_went_back_drops_the_interval() {
        let status = |uptime, received| wire::PveGuestStatus {
            status: "running".to_owned(),
            uptime_seconds: Some(uptime),
            received_bytes_total: Some(received),
            ..wire::PveGuestStatus::default()
        };
        assert_eq!(traffic(&status(500.0, 10), &status(3.0, 90), 10.0), None);
        let rates = traffic(&status(500.0, 10), &status(510.0, 110), 10.0).unwrap();
        assert_eq!(rates.received_bytes_per_second, Some(10.0));
        assert_eq!(rates.read_bytes_per_second, None);
    }
}
