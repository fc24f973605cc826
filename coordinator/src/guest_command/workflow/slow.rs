//! The guest is slow: CPU, memory, disk, or the node.

use super::case::{Case, Next, way};
use crate::guest_command::{
    facts::{GuestFacts, LogPatternKind, PressureShare, Severity},
    system::GuestSystem,
};

/// Share of time in which something waited that people notice.
const PRESSED_PERCENT: f64 = 10.0;
/// Of the CPUs.
const BUSY_PERCENT: f64 = 85.0;
const WAITING_PERCENT: f64 = 15.0;
/// Taken away by the node.
const STOLEN_PERCENT: f64 = 5.0;
/// Memory that moves to and from swap, per second.
const SWAPPING: f64 = 1_048_576.0;
/// Requests that wait for a disk of Windows.
const QUEUED: f64 = 2.0;

pub(super) fn guest(case: &mut Case<'_>) -> Result<(), Next> {
    match case.system()? {
        GuestSystem::Linux => linux(case)?,
        GuestSystem::Windows => windows(case)?,
        GuestSystem::Other | GuestSystem::Unknown => {
            case.conclude("What makes this operating system slow cannot be asked from here.");
        }
    }
    if case.is_open() {
        case.conclude(match case.knows_anything() {
            true => "From inside the guest nothing stands out: neither CPU, memory nor disks.",
            false => "The guest could not be asked.",
        });
        case.advise(
            "Look at the node: its load, the storage of the guest's disks, limits of the VM \
             (cpulimit, mbps) and the network.",
        );
    }
    Ok(())
}

fn linux(case: &mut Case<'_>) -> Result<(), Next> {
    let why = "says at once whether tasks wait for CPU, memory or disks";
    let pressure = case
        .read("pressure", why, [way("pressure")])?
        .pressure
        .clone();
    let why = "shows second by second what the CPUs do, and whether the node takes them away";
    let cpu = case
        .read("cpu", why, [way("vmstat")])?
        .cpu
        .clone()
        .unwrap_or_default();
    if pressure.is_none() && cpu.samples == 0 {
        let why = "neither pressure nor CPU times are known; the load is a hint";
        let ways = [way("load-average"), way("load"), way("uptime")];
        case.read("load", why, ways)?;
    }
    let pressure = pressure.unwrap_or_default();
    let stolen = cpu.steal_percent.unwrap_or_default();
    if stolen >= STOLEN_PERCENT && !cpu.since_start {
        case.conclude(format!(
            "The node gives the guest too little CPU time: {stolen:.0} % of it are taken away."
        ));
        case.advise(
            "Look at the CPU load of the node and at cpulimit and cpuunits of this VM; move a \
             busy guest to another node. Nothing in the guest helps.",
        );
    }
    let is_swapping = cpu.swap_in_bytes_per_second.unwrap_or_default()
        + cpu.swap_out_bytes_per_second.unwrap_or_default()
        >= SWAPPING;
    if is_swapping || is_pressed(pressure.memory.as_ref()) {
        case.conclude("The guest is short of memory: tasks wait for memory, or it swaps.");
        super::memory::who(case)?;
    }
    let waits = cpu.wait_percent.unwrap_or_default() >= WAITING_PERCENT;
    if (waits && !is_swapping) || is_pressed(pressure.io.as_ref()) {
        disks(case)?;
    }
    let busy = !cpu.since_start && cpu.busy_percent.unwrap_or_default() >= BUSY_PERCENT;
    if busy || is_pressed(pressure.cpu.as_ref()) {
        processors(case)?;
    }
    if case.is_open() {
        let why = "nothing is short now; the kernel may tell of trouble before";
        let ways = [way("kernel-log"), way("kernel-log-basic")];
        let log = case.read("kernel-log", why, ways)?;
        told_by_log(case, log);
        let why = "a guest that seems slow may wait for the network";
        case.read(
            "sockets",
            why,
            [way("socket-summary"), way("network-interfaces")],
        )?;
    }
    Ok(())
}

fn is_pressed(share: Option<&PressureShare>) -> bool {
    let some = share.and_then(|share| {
        share
            .some_60_seconds_percent
            .or(share.some_10_seconds_percent)
    });
    some.unwrap_or_default() >= PRESSED_PERCENT
}

fn disks(case: &mut Case<'_>) -> Result<(), Next> {
    case.conclude("Tasks wait for disks.");
    let why = "which disk is slow, and with what";
    let facts = case.read("disks", why, [way("disk-stats"), way("disk-statistics")])?;
    if let Some(disk) = facts.disk_statistics.first() {
        let slow = |milliseconds: Option<f64>| milliseconds.is_some_and(|one| one >= 20.0);
        if slow(disk.read_milliseconds) || slow(disk.write_milliseconds) {
            case.conclude(format!("The disk {} answers slowly.", disk.name));
        }
    }
    let why = "who waits for the disks";
    let facts = case.read("processes", why, [way("processes"), way("processes-basic")])?;
    let waiting = facts.processes.as_ref().map(|all| all.waiting.as_slice());
    let names: Vec<&str> = waiting
        .unwrap_or_default()
        .iter()
        .take(3)
        .map(|one| one.command.as_str())
        .collect();
    if !names.is_empty() {
        case.conclude(format!("In the middle of a wait: {}.", names.join(", ")));
    }
    let why = "errors of disks make them slow before they break";
    let log = case.read(
        "kernel-log",
        why,
        [way("kernel-log"), way("kernel-log-basic")],
    )?;
    told_by_log(case, log);
    case.advise(
        "Compare with the node: load of the storage, other guests on it, limits of the disk \
         (mbps, iops), a backup that runs.",
    );
    Ok(())
}

fn processors(case: &mut Case<'_>) -> Result<(), Next> {
    let why = "the CPUs are busy; with what";
    let ways = [way("processes").with("by", "cpu"), way("processes-basic")];
    let facts = case.read("processes-by-cpu", why, ways)?;
    let top = facts
        .processes
        .as_ref()
        .and_then(|all| all.top_by_cpu.first());
    match top {
        Some(top) => {
            let share = top
                .cpu_percent
                .map(|percent| format!(" ({percent:.0} % of one CPU)"));
            case.conclude(format!(
                "The CPUs are busy, most of all with {}{}.",
                top.command,
                share.unwrap_or_default()
            ));
        }
        None => case.conclude("The CPUs are busy."),
    }
    case.advise(
        "See whether that work is wanted. If it is, more cores (`qm set VMID --cores N`) help \
         where it runs in parallel; they count after a restart unless hotplug is on.",
    );
    Ok(())
}

/// Concludes from known trouble in a log.
pub(super) fn told_by_log(case: &mut Case<'_>, facts: &GuestFacts) {
    let patterns = facts.log.iter().flat_map(|log| &log.patterns);
    for pattern in patterns
        .filter(|pattern| pattern.severity != Severity::Info)
        .take(4)
    {
        let about = match pattern.about.first() {
            Some(first) => format!(" ({first})"),
            None => String::new(),
        };
        let (says, advice) = match pattern.kind {
            LogPatternKind::IoError | LogPatternKind::HardwareError => (
                "reads or writes of a disk failed",
                "Look at the storage below the guest's disk, and save what matters first.",
            ),
            LogPatternKind::ReadOnly | LogPatternKind::FileSystemError => (
                "a file system is damaged or went read-only",
                "Take a backup of the VM, then check the file system while it is not mounted. A \
                 check can delete damaged files.",
            ),
            LogPatternKind::OutOfMemory => (
                "the kernel killed a process for want of memory",
                "Give the guest more memory, or the process a bound of its own.",
            ),
            LogPatternKind::HungTask | LogPatternKind::LockUp => (
                "tasks or CPUs did not get on for a long time",
                "Mostly the storage or the node was too busy then: compare with its load.",
            ),
            LogPatternKind::DiskFull => (
                "a file system was full",
                "Go through the workflow disk-full.",
            ),
            LogPatternKind::LinkDown => (
                "a network link was down",
                "Look at the bridge and the interface of the node.",
            ),
            LogPatternKind::ConntrackFull => (
                "the table of connections is full, and new ones are dropped",
                "Raise nf_conntrack_max, or find who opens that many connections.",
            ),
            _ => continue,
        };
        case.conclude(format!(
            "The log says: {says}{about}, {} times.",
            pattern.count
        ));
        case.advise(advice);
    }
}

fn windows(case: &mut Case<'_>) -> Result<(), Next> {
    let why = "CPU, free memory, paging and the queue of the disks, second by second";
    let cpu = case
        .read("counters", why, [way("windows-counters")])?
        .cpu
        .clone();
    let cpu = cpu.unwrap_or_default();
    let why = "which processes use most";
    let facts = case.read("processes", why, [way("windows-processes")])?;
    if cpu.busy_percent.unwrap_or_default() >= BUSY_PERCENT {
        case.conclude("The CPUs are busy.");
        case.advise(
            "See in the Task Manager what uses them; updates, virus scans and indexing come and \
             go. More cores help where the work runs in parallel.",
        );
    }
    if cpu.disk_queue.unwrap_or_default() >= QUEUED {
        case.conclude("Requests wait for the disks.");
        case.advise("Compare with the load of the storage on the node.");
    }
    let top = facts
        .processes
        .as_ref()
        .and_then(|all| all.top_by_memory.first());
    if cpu.pages_per_second.unwrap_or_default() >= 1000.0 {
        let who = top.map(|top| format!("; most memory has {}", top.command));
        case.conclude(format!(
            "The guest is short of memory: it pages{}.",
            who.unwrap_or_default()
        ));
        case.advise("Give the VM more memory, or find out why that process needs so much.");
    }
    let why = "errors that Windows wrote down";
    case.read("events", why, [way("windows-events").with("log", "system")])?;
    Ok(())
}
