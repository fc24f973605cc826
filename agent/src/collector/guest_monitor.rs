//! What QEMU says of every VM that runs here: its state, the block statistics of
//! its devices, its balloon.
//!
//! A monitor that does not answer costs a second and is a fact about that VM. VMs
//! with a `lock` are left to whoever locked them.

use std::time::{Duration, Instant};

use pvelens_proto::agent::v1::{CollectionClass, GuestMonitor, GuestMonitors, GuestSocketOutcome};

use super::{CollectError, Collector, Payload, Reading, running_vm, running_vm::RunningVm};
use crate::{
    guest_socket::{
        Trouble, each,
        qmp::{Greeting, Monitor, Query},
        text,
    },
    host::Host,
};

mod answers;

/// No monitor is asked more often.
const INTERVAL: Duration = Duration::from_secs(60);
/// For all VMs of one run.
const TIME: Duration = Duration::from_secs(20);

pub(super) const COLLECTOR: Collector = Collector {
    name: "guest_monitor",
    summary: "state, block statistics and balloon of every running VM, as QEMU says",
    class: CollectionClass::State,
    interval: INTERVAL,
    deadline: Duration::from_secs(30),
    paths: &[
        "/etc/pve/local",
        "/etc/pve/nodes/*/qemu-server/*.conf",
        "/proc/*/stat",
        "/run/qemu-server/*.pid",
        "/run/qemu-server/*.qmp",
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let vms = running_vm::running(reading)?;
    let configs = running_vm::configs(reading);
    let mut guests = Vec::new();
    let mut jobs = Vec::new();
    for vm in vms {
        let settings = configs
            .as_deref()
            .and_then(|directory| running_vm::settings(reading, directory, vm.vmid));
        let refusal = match settings {
            None => GuestSocketOutcome::NoConfig,
            Some(settings) if !settings.lock.is_empty() => GuestSocketOutcome::Locked,
            Some(_) => {
                jobs.push(vm);
                continue;
            }
        };
        guests.push(monitor(vm, refusal));
    }
    begin_elsewhere(&mut jobs, reading.now().as_second());
    let host = reading.host();
    let answers = each(&jobs, TIME, |vm| ask(host, *vm));
    for (vm, answer) in jobs.into_iter().zip(answers) {
        let (guest, failure) =
            answer.unwrap_or_else(|| (monitor(vm, GuestSocketOutcome::NotReached), None));
        guests.push(guest);
        if let Some(failure) = failure.and_then(Trouble::failure) {
            reading.fail(failure);
        }
    }
    guests.sort_by_key(|guest| guest.vmid);
    Ok(Payload::GuestMonitors(GuestMonitors { guests }))
}

/// Each run begins with another VM, so that where many hang none is always last.
fn begin_elsewhere(jobs: &mut [RunningVm], second: i64) {
    let turn = second.unsigned_abs() / INTERVAL.as_secs();
    let length = u64::try_from(jobs.len()).unwrap_or(u64::MAX);
    let first = turn.checked_rem(length).unwrap_or_default();
    jobs.rotate_left(usize::try_from(first).unwrap_or_default());
}

fn monitor(vm: RunningVm, outcome: GuestSocketOutcome) -> GuestMonitor {
    GuestMonitor {
        vmid: vm.vmid,
        outcome: outcome.into(),
        start_ticks: Some(vm.start_ticks),
        ..GuestMonitor::default()
    }
}

/// What was answered before something went wrong is kept.
fn ask(host: &Host, vm: RunningVm) -> (GuestMonitor, Option<Trouble>) {
    let mut guest = monitor(vm, GuestSocketOutcome::Answered);
    let begun = Instant::now();
    let trouble = converse(host, &mut guest).err();
    if let Some(trouble) = &trouble {
        guest.set_outcome(trouble.outcome());
    }
    if !matches!(trouble, Some(Trouble::Unreachable(_) | Trouble::Busy)) {
        guest.exchange_seconds = Some(begun.elapsed().as_secs_f64());
    }
    (guest, trouble)
}

fn converse(host: &Host, guest: &mut GuestMonitor) -> Result<(), Trouble> {
    let (monitor, greeting) = Monitor::open(host, guest.vmid)?;
    ask_all(monitor, &greeting, guest)
}

pub(crate) fn ask_all(
    mut monitor: Monitor,
    greeting: &Greeting,
    guest: &mut GuestMonitor,
) -> Result<(), Trouble> {
    guest.greeted = true;
    let version = &greeting.version.qemu;
    guest.qemu_version = format!("{}.{}.{}", version.major, version.minor, version.micro);
    guest.qemu_package = text(&greeting.version.package, answers::NAME_LIMIT);
    monitor.begin()?;
    let mut refused = |query: Query| guest.refused_commands.push(query.name().to_owned());
    match monitor.ask::<answers::Status>(Query::Status)? {
        Some(status) => {
            guest.status = text(&status.status, answers::NAME_LIMIT);
            guest.running = Some(status.running);
        }
        None => refused(Query::Status),
    }
    match monitor.ask::<answers::Balloon>(Query::Balloon)? {
        Some(balloon) => guest.balloon = balloon.into_fact(),
        None => refused(Query::Balloon),
    }
    match monitor.ask::<answers::Devices<answers::DeviceStats>>(Query::BlockStats)? {
        Some(stats) => {
            guest.devices_truncated = stats.truncated;
            guest.devices = answers::devices(stats);
        }
        None => refused(Query::BlockStats),
    }
    match monitor.ask::<answers::Devices<answers::DeviceState>>(Query::Block)? {
        Some(states) => answers::add_states(&mut guest.devices, states),
        None => refused(Query::Block),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::tests::sample;

    const STAT: &str = "233 (kvm) S 1 231 231 0 -1 138412480 59912 35443 15 5 7303 432 48 21 20 0 5 0 401128 1402216448 83140 0\n";

    fn outcomes(config: &[(&str, &str)]) -> Vec<(u32, GuestSocketOutcome)> {
        let files = [
            ("run/qemu-server/101.pid", "233\n"),
            ("run/qemu-server/102.pid", "777\n"),
            ("proc/233/stat", STAT),
            ("etc/pve/local@", "nodes/pve1"),
        ];
        let sample = sample(&COLLECTOR, &[&files, config].concat());
        assert_eq!(sample.failures, []);
        let Some(Payload::GuestMonitors(all)) = sample.payload else {
            panic!("{:?}", sample.payload);
        };
        let guests = all.guests.iter();
        guests.map(|guest| (guest.vmid, guest.outcome())).collect()
    }

    #[test]
    fn who_is_locked_or_on_its_way_is_not_asked() {
        let path = "etc/pve/nodes/pve1/qemu-server/101.conf";
        assert_eq!(outcomes(&[]), [(101, GuestSocketOutcome::NoConfig)]);
        assert_eq!(
            outcomes(&[(path, "name: a\nlock: backup\n")]),
            [(101, GuestSocketOutcome::Locked)]
        );
        // Of a snapshot only.
        let snapshot = "name: a\n\n[old]\nlock: backup\n";
        assert_eq!(
            outcomes(&[(path, snapshot)]),
            [(101, GuestSocketOutcome::NoSocket)]
        );
    }

    #[test]
    fn without_pve_there_is_nothing_and_without_vms_there_are_none() {
        let nothing = sample(&COLLECTOR, &[]).payload;
        assert!(matches!(nothing, Some(Payload::NoData(_))), "{nothing:?}");
        let empty = sample(&COLLECTOR, &[("etc/pve/local@", "nodes/pve1")]);
        assert_eq!(empty.failures, []);
        assert_eq!(
            empty.payload,
            Some(Payload::GuestMonitors(GuestMonitors::default()))
        );
    }

    #[test]
    fn each_run_begins_with_another_vm() {
        let vm = |vmid| RunningVm {
            vmid,
            pid: 1,
            start_ticks: 1,
        };
        let first = |second| {
            let mut jobs = [vm(1), vm(2), vm(3)];
            begin_elsewhere(&mut jobs, second);
            jobs[0].vmid
        };
        assert_eq!([0, 60, 120, 180].map(first), [1, 2, 3, 1]);
        begin_elsewhere(&mut [], 60);
    }
}
