//! The guest needs too much memory: who, since when, and what that did.

use super::{
    case::{Case, Next, way},
    slow::told_by_log,
};
use crate::{
    figure,
    guest_command::{
        facts::{Memory, Processes},
        system::GuestSystem,
    },
};

/// Share that programs can still get, below which it is short.
const SHORT: f64 = 0.10;
/// Share of the swap in use that tells of a shortage.
const SWAPPED: f64 = 0.50;
/// Share of kernel memory that does not give way, above which something leaks there.
const KERNEL: f64 = 0.30;

pub(super) fn high(case: &mut Case<'_>) -> Result<(), Next> {
    match case.system()? {
        GuestSystem::Linux => linux(case),
        GuestSystem::Windows => windows(case),
        GuestSystem::Other | GuestSystem::Unknown => {
            case.conclude("The memory of this operating system cannot be asked for from here.");
            Ok(())
        }
    }
}

fn linux(case: &mut Case<'_>) -> Result<(), Next> {
    let why = "what is used, what can still be had, and swap; caches are no shortage";
    let facts = case.read("memory", why, [way("memory"), way("meminfo")])?;
    let memory = facts.memory.clone().unwrap_or_default();
    let is_short = judge(case, &memory);
    who(case)?;
    let why = "whether the kernel killed somebody for want of memory";
    let ways = [way("kernel-log"), way("kernel-log-basic"), way("journal")];
    let log = case.read("kernel-log", why, ways)?;
    told_by_log(case, log);
    if is_short {
        let why = "kernel memory, huge pages and what is committed";
        let facts = case.read("memory-detail", why, [way("meminfo")])?;
        kernel(case, &facts.memory.clone().unwrap_or_default());
    }
    Ok(())
}

/// Concludes from the figures; whether memory is short.
fn judge(case: &mut Case<'_>, memory: &Memory) -> bool {
    let left = share(memory.available_bytes, memory.total_bytes);
    let swapped = share(memory.swap_used_bytes, memory.swap_total_bytes);
    let is_short = left.is_some_and(|left| left < SHORT);
    let available = memory
        .available_bytes
        .map(figure::bytes)
        .unwrap_or_default();
    match left {
        Some(left) if left < SHORT => {
            case.conclude(format!(
                "Memory is short: programs can still get {available}."
            ));
            case.advise(
                "Give the VM more memory (`qm set VMID --memory MIB`; counts after a restart \
                 unless hotplug is on), or bound who uses most. If ballooning took it away, raise \
                 the minimum.",
            );
        }
        Some(_) => case.conclude(format!(
            "Memory is not short: programs can still get {available}. What PVE shows as used \
             includes caches that give way."
        )),
        None => case.conclude("How much memory is left is not known."),
    }
    if swapped.is_some_and(|swapped| swapped > SWAPPED) {
        let used = memory
            .swap_used_bytes
            .map(figure::bytes)
            .unwrap_or_default();
        case.conclude(format!(
            "{used} are in swap: it was short before, or still is."
        ));
    }
    if is_short && memory.swap_total_bytes == Some(0) {
        case.conclude(
            "There is no swap: the next step of a shortage is that processes are killed.",
        );
    }
    is_short
}

fn kernel(case: &mut Case<'_>, memory: &Memory) {
    if share(memory.unreclaimable_bytes, memory.total_bytes).is_some_and(|part| part > KERNEL) {
        let bytes = memory
            .unreclaimable_bytes
            .map(figure::bytes)
            .unwrap_or_default();
        case.conclude(format!(
            "The kernel holds {bytes} that do not give way: no process does."
        ));
        case.advise("Look for a leak in a module of the kernel: update it, and restart the guest.");
    }
    let huge = share(memory.huge_pages_bytes, memory.total_bytes);
    if huge.is_some_and(|part| part > KERNEL) {
        case.conclude("Much of the memory is set aside for huge pages, used or not.");
        case.advise("Lower vm.nr_hugepages to what the database really takes.");
    }
}

/// Who has most.
pub(super) fn who(case: &mut Case<'_>) -> Result<(), Next> {
    let why = "which processes have most of the memory";
    let ways = [
        way("processes").with("by", "memory"),
        way("processes-basic"),
    ];
    let facts = case.read("processes-by-memory", why, ways)?;
    if let Some(processes) = &facts.processes {
        most(case, processes);
    }
    Ok(())
}

fn most(case: &mut Case<'_>, processes: &Processes) {
    if let Some(group) = processes.groups.first().filter(|group| group.count > 1) {
        case.conclude(format!(
            "Most memory has {} with {} processes: {} together, what they share counted for each.",
            group.command,
            group.count,
            figure::bytes(group.resident_bytes)
        ));
    } else if let Some(top) = processes.top_by_memory.first() {
        let bytes = top
            .resident_bytes
            .map(|bytes| format!(": {}", figure::bytes(bytes)));
        case.conclude(format!(
            "Most memory has {}{}.",
            top.command,
            bytes.unwrap_or_default()
        ));
    }
}

fn windows(case: &mut Case<'_>) -> Result<(), Next> {
    let why = "memory of the system";
    let facts = case.read("memory", why, [way("windows-system")])?;
    judge(case, &facts.memory.clone().unwrap_or_default());
    let why = "which processes have most of the memory";
    let facts = case.read("processes-by-memory", why, [way("windows-processes")])?;
    if let Some(processes) = &facts.processes {
        most(case, processes);
    }
    Ok(())
}

fn share(part: Option<u64>, whole: Option<u64>) -> Option<f64> {
    let (part, whole) = (part?, whole?);
    figure::share(part, whole)
}
