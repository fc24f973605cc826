//! Words about processors, memory and processes.

use super::{Said, counted, names, percent};
use crate::{
    figure::{bytes, share},
    guest_command::facts::{Cpu, GuestFacts, Memory, Pressure, PressureShare, Process, Processes},
};

pub(super) fn say(facts: &GuestFacts, said: &mut Said) {
    if let Some(memory) = &facts.memory {
        of_memory(memory, said);
    }
    if let Some(cpu) = &facts.cpu {
        of_cpu(cpu, said);
    }
    if let Some(pressure) = &facts.pressure {
        of_pressure(pressure, said);
    }
    if let Some(processes) = &facts.processes {
        of_processes(processes, facts.is_cut, said);
    }
    if let Some(load) = &facts.load
        && let (Some(one), Some(five), Some(fifteen)) =
            (load.one_minute, load.five_minutes, load.fifteen_minutes)
    {
        said.info(format!(
            "Load {one:.2}, {five:.2}, {fifteen:.2} over 1, 5 and 15 minutes"
        ));
    }
    if let Some(cpus) = &facts.vcpus {
        let sentence = format!(
            "{} of {} online",
            cpus.online,
            counted(cpus.total, "virtual processor")
        );
        said.info(sentence);
    }
}

fn of_memory(memory: &Memory, said: &mut Said) {
    match (memory.available_bytes, memory.total_bytes) {
        (Some(available), Some(total)) => {
            let sentence = format!(
                "{} of {} memory are available",
                bytes(available),
                bytes(total)
            );
            match share(available, total) {
                Some(..0.05) => said.critical(format!("Only {sentence}")),
                Some(..0.1) => said.warning(format!("Only {sentence}")),
                _ => said.info(sentence),
            }
        }
        (Some(available), None) => said.info(format!("{} memory are available", bytes(available))),
        (None, Some(total)) => said.info(format!("{} memory", bytes(total))),
        (None, None) => {}
    }
    let large = |part: Option<u64>, limit: f64| {
        let part = part?;
        (share(part, memory.total_bytes?)? >= limit).then_some(part)
    };
    if let Some(kernel) = large(memory.unreclaimable_bytes, 0.25) {
        said.warning(format!(
            "The kernel itself holds {} that it cannot give back",
            bytes(kernel)
        ));
    }
    if let Some(huge) = large(memory.huge_pages_bytes, 0.5) {
        said.warning(format!("{} are set aside for huge pages", bytes(huge)));
    }
    match (memory.swap_used_bytes, memory.swap_total_bytes) {
        (_, Some(0)) => said.info("There is no swap".to_owned()),
        (Some(used), Some(total)) => {
            let sentence = format!("{} of {} swap are used", bytes(used), bytes(total));
            if share(used, total).is_some_and(|share| share >= 0.8) {
                said.warning(sentence);
            } else {
                said.info(sentence);
            }
        }
        _ => {}
    }
}

fn of_cpu(cpu: &Cpu, said: &mut Said) {
    // An average since the start says little about now.
    let before = said.sentences.len();
    let over = |value: Option<f64>, limit: f64| value.filter(|value| *value >= limit);
    if let Some(share) = over(cpu.busy_percent, 90.0) {
        said.warning(format!("The processors are {} busy", percent(share)));
    }
    if let Some(share) = over(cpu.wait_percent, 20.0) {
        said.warning(format!(
            "The processors wait for disks {} of the time",
            percent(share)
        ));
    }
    if let Some(share) = over(cpu.steal_percent, 10.0) {
        said.warning(format!(
            "The node runs others {} of the time in which this guest wants to run (steal)",
            percent(share)
        ));
    }
    if let Some(count) = over(cpu.blocked, 1.0) {
        said.warning(format!(
            "{count:.0} tasks wait for a disk or a server on average"
        ));
    }
    let swap =
        cpu.swap_in_bytes_per_second.unwrap_or(0.0) + cpu.swap_out_bytes_per_second.unwrap_or(0.0);
    if swap >= 1_048_576.0 {
        let rate = crate::figure::number(swap, "bytes_per_second");
        said.warning(format!("{rate} go to and from swap: memory is short"));
    }
    if let Some(pages) = over(cpu.pages_per_second, 1000.0) {
        said.warning(format!(
            "{pages:.0} memory pages each second come from or go to a disk"
        ));
    }
    if let Some(queue) = over(cpu.disk_queue, 2.0) {
        said.warning(format!("{queue:.1} requests wait for the disks on average"));
    }
    if cpu.since_start {
        for (severity, sentence) in said.sentences.iter_mut().skip(before) {
            *severity = super::Severity::Info;
            sentence.push_str(", on average since the start");
        }
    }
    let parts = [
        ("user", cpu.user_percent),
        ("system", cpu.system_percent),
        ("waiting", cpu.wait_percent),
        ("stolen", cpu.steal_percent),
        ("idle", cpu.idle_percent),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter_map(|(name, share)| Some(format!("{name} {}", percent(share?))))
        .collect();
    let when = if cpu.since_start {
        " since the start"
    } else {
        ""
    };
    if !parts.is_empty() {
        said.info(format!("Processor time{when}: {}", parts.join(", ")));
    } else if let Some(share) = cpu.busy_percent.filter(|share| *share < 90.0) {
        said.info(format!("The processors are {} busy", percent(share)));
    }
}

fn of_pressure(pressure: &Pressure, said: &mut Said) {
    let before = said.sentences.len();
    let ten = |share: &Option<PressureShare>| share.as_ref()?.some_10_seconds_percent;
    let all = [
        ("memory", ten(&pressure.memory), 10.0),
        ("a disk", ten(&pressure.io), 20.0),
        ("a processor", ten(&pressure.cpu), 40.0),
    ];
    for (what, share, limit) in all {
        if let Some(share) = share.filter(|share| *share >= limit) {
            said.warning(format!(
                "Tasks waited for {what} {} of the last 10 s",
                percent(share)
            ));
        }
    }
    if said.is_calm_since(before) {
        let parts: Vec<String> = all
            .into_iter()
            .filter_map(|(what, share, _)| Some(format!("{what} {}", percent(share?))))
            .collect();
        if !parts.is_empty() {
            said.info(format!(
                "Little pressure: tasks waited for {} of the last 10 s",
                parts.join(", ")
            ));
        }
    }
}

fn of_processes(processes: &Processes, is_cut: bool, said: &mut Said) {
    let least = if is_cut { "at least " } else { "" };
    if processes.uninterruptible > 0 {
        let waiting: Vec<&str> = processes
            .waiting
            .iter()
            .map(|one| one.command.as_str())
            .collect();
        let all = usize::try_from(processes.uninterruptible).unwrap_or(usize::MAX);
        said.warning(format!(
            "{least}{} a disk or a server (state D): {}",
            match processes.uninterruptible {
                1 => "1 process waits for".to_owned(),
                count => format!("{count} processes wait for"),
            },
            names(&waiting, all)
        ));
    }
    if processes.zombies > 0 {
        let sentence = match processes.zombies {
            1 => format!("{least}1 process ended, but its parent did not look (zombie)"),
            count => {
                format!("{least}{count} processes ended, but their parents did not look (zombies)")
            }
        };
        if processes.zombies >= 10 {
            said.warning(sentence)
        } else {
            said.info(sentence)
        }
    }
    top(
        "Most CPU since they started",
        &processes.top_by_cpu,
        said,
        |one| Some(format!("{} {}", one.command, percent(one.cpu_percent?))),
    );
    top("Most memory", &processes.top_by_memory, said, |one| {
        let share = one
            .memory_percent
            .map(|share| format!(" ({})", percent(share)))
            .unwrap_or_default();
        Some(format!(
            "{} {}{share}",
            one.command,
            bytes(one.resident_bytes?)
        ))
    });
    if let Some(group) = processes.groups.first() {
        said.info(format!(
            "{} of the name {} together take {}",
            processes_of(group.count),
            group.command,
            bytes(group.resident_bytes)
        ));
    }
    said.info(format!("{least}{}", processes_of(processes.total)));
}

fn processes_of(count: u32) -> String {
    match count {
        1 => "1 process".to_owned(),
        _ => format!("{count} processes"),
    }
}

fn top(what: &str, list: &[Process], said: &mut Said, tell: impl Fn(&Process) -> Option<String>) {
    let told: Vec<String> = list.iter().take(3).filter_map(tell).collect();
    if !told.is_empty() {
        said.info(format!("{what}: {}", told.join(", ")));
    }
}
