//! Processes that wait in the kernel: what hangs when a disk, a server or pmxcfs
//! does not answer.
//!
//! `/proc/PID/stat` of every process costs some milliseconds, so it is read only
//! while something may wait. The kernel counts who waits for a disk, but not who waits
//! for an answer of NFS (`linux@net/sunrpc/sched.c`, `rpc_wait_bit_killable`); in the
//! load average each of them counts as one. Unlike `cmdline`, `stat` does not wait for
//! the memory of a process that hangs. Where in the kernel one waits is told only to
//! processes with more rights than the agent has.

use std::time::Duration;

use pvelens_proto::agent::v1::{BlockedProcess, BlockedTasks, CollectionClass};

use super::{
    CollectError, Collector, KERNEL_FILE_LIMIT, Payload, Reading,
    load::{LOADAVG, parse_loadavg},
};
use crate::format::{FormatError, KeyValues, plain::short, whole_lines};

const PROC: &str = "/proc";
const STAT: &str = "/proc/stat";
const LOADAVG_LIMIT: u64 = 4096;
/// One task that has waited for a minute has brought the average of one minute to
/// 0.63, if nothing else ran.
const LOAD_OF_ONE: f64 = 0.5;
/// Of one process: 52 numbers and a short name.
const PROCESS_LIMIT: u64 = 4096;
/// Processes that are looked at.
const LOOK_LIMIT: usize = 8192;
const CARRIED_LIMIT: usize = 100;
/// `TASK_COMM_LEN` of the kernel, without the end.
const NAME_LIMIT: usize = 15;

pub(super) const COLLECTOR: Collector = Collector {
    name: "blocked_tasks",
    summary: "processes that wait in the kernel for disks, servers or pmxcfs",
    class: CollectionClass::State,
    interval: Duration::from_secs(60),
    // Thousands of small files on a node that is in trouble.
    deadline: Duration::from_secs(10),
    // Of parents, the name alone.
    paths: &[STAT, LOADAVG, "/proc/*/stat", "/proc/*/comm"],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let text = reading.read(STAT, KERNEL_FILE_LIMIT)?;
    let blocked = blocked(&text).map_err(|error| error.at(STAT))?;
    let mut tasks = BlockedTasks {
        blocked,
        ..BlockedTasks::default()
    };
    let load = reading.read(LOADAVG, LOADAVG_LIMIT).and_then(|text| {
        let load = parse_loadavg(&text).map_err(|error| error.at(LOADAVG));
        load.map(|load| load.load1)
    });
    // What is not known may be high.
    let is_idle = reading.keep(load).is_some_and(|load| load < LOAD_OF_ONE);
    if blocked > 0 || !is_idle {
        look(reading, &mut tasks)?;
    }
    Ok(Payload::BlockedTasks(tasks))
}

fn blocked(text: &str) -> Result<u64, FormatError> {
    KeyValues::parse(text)?.required("procs_blocked")
}

fn look(reading: &mut Reading<'_>, tasks: &mut BlockedTasks) -> Result<(), CollectError> {
    let names = reading.list(PROC)?;
    let mut pids: Vec<u32> = names.iter().filter_map(|name| name.parse().ok()).collect();
    tasks.truncated = pids.len() > LOOK_LIMIT;
    pids.truncate(LOOK_LIMIT);
    let mut waiting = Vec::new();
    for pid in pids {
        let path = format!("{PROC}/{pid}/stat");
        let text = match reading.read(&path, PROCESS_LIMIT) {
            // It has ended.
            Err(error) if error.is_not_found() => continue,
            result => reading.keep(result),
        };
        let process = text.and_then(|text| {
            let process = process(&text).map_err(|error| error.at(&path));
            reading.keep(process)
        });
        let process = process.filter(|process| process.is_blocked);
        waiting.extend(process.map(|process| (pid, process)));
    }
    waiting.sort_unstable_by_key(|(pid, _)| *pid);
    tasks.truncated |= waiting.len() > CARRIED_LIMIT;
    waiting.truncate(CARRIED_LIMIT);
    for (pid, process) in waiting {
        let parent = reading.read_word(&format!("{PROC}/{}/comm", process.parent_pid));
        tasks.processes.push(BlockedProcess {
            pid,
            name: process.name,
            parent_pid: process.parent_pid,
            parent_name: short(&parent.unwrap_or_default(), NAME_LIMIT),
            start_ticks: process.start_ticks,
        });
    }
    Ok(())
}

/// A line of `/proc/PID/stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Process {
    name: String,
    is_blocked: bool,
    parent_pid: u32,
    start_ticks: u64,
}

/// `pid (name) state parent …`, the start being number 22 (`proc_pid_stat(5)`). A
/// process chooses its name, which may hold spaces and parentheses.
fn process(text: &str) -> Result<Process, FormatError> {
    let line = whole_lines(text)?;
    let cut = || FormatError::truncated("a process has too few columns");
    let (head, rest) = line.rsplit_once(") ").ok_or_else(cut)?;
    let (_, name) = head.split_once('(').ok_or_else(cut)?;
    let mut words = rest.split_ascii_whitespace();
    let mut next = |skip| words.nth(skip).ok_or_else(cut);
    let state = next(0)?;
    let number = |word: &str| {
        let number = word.parse::<u64>();
        number.map_err(|_| FormatError::malformed("a column is not a number"))
    };
    Ok(Process {
        name: short(name, NAME_LIMIT),
        is_blocked: state == "D",
        parent_pid: u32::try_from(number(next(0)?)?).unwrap_or(0),
        start_ticks: number(next(17)?)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pvelens_proto::agent::v1::FailureKind;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    const IDLE: &str = "0.49 1.00 1.00 1/300 1201\n";

    fn stat(pid: u32, name: &str, state: char, parent: u32) -> String {
        format!("{pid} ({name}) {state} {parent} 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0\n")
    }

    fn tasks(files: &[(&str, &str)]) -> BlockedTasks {
        let node = sample(&COLLECTOR, files);
        assert_eq!(kinds(&node), []);
        match node.payload {
            Some(Payload::BlockedTasks(tasks)) => tasks,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_waiting_child_is_named_with_its_parent() {
        let child = stat(1200, "vgs) D 1 (", 'D', 900);
        let other = stat(30, "D", 'R', 2);
        let found = tasks(&[
            ("proc/stat", "cpu 1\nprocs_blocked 2\n"),
            ("proc/loadavg", IDLE),
            ("proc/900/comm", "pvestatd\n"),
            ("proc/1200/stat", &child),
            ("proc/30/stat", &other),
            ("proc/self/stat", "canary"),
        ]);
        assert_eq!(found.blocked, 2);
        assert_eq!(
            found.processes,
            [BlockedProcess {
                pid: 1200,
                name: "vgs) D 1 (".to_owned(),
                parent_pid: 900,
                parent_name: "pvestatd".to_owned(),
                start_ticks: 4711,
            }]
        );
    }

    #[test]
    fn while_nothing_waits_no_process_is_read() {
        let found = tasks(&[
            ("proc/stat", "procs_blocked 0\n"),
            ("proc/loadavg", IDLE),
            ("proc/1200/stat", "nonsense"),
        ]);
        assert_eq!(found, BlockedTasks::default());
    }

    #[test]
    fn who_waits_for_a_server_is_found_by_the_load() {
        let child = stat(1200, "kworker", 'D', 2);
        let files = [
            ("proc/stat", "procs_blocked 0\n"),
            ("proc/loadavg", "0.63 0.18 0.06 1/300 1201\n"),
            ("proc/1200/stat", child.as_str()),
        ];
        let found = tasks(&files);
        assert_eq!((found.blocked, found.processes.len()), (0, 1));
        // A load that cannot be read is not a low one.
        let node = sample(&COLLECTOR, &[files[0], ("proc/loadavg", "x\n"), files[2]]);
        assert_eq!(kinds(&node), [FailureKind::Malformed]);
        let Some(Payload::BlockedTasks(found)) = node.payload else {
            panic!("no payload");
        };
        assert_eq!(found.processes.len(), 1);
    }

    #[test]
    fn cut_lines_are_named() {
        assert!(blocked("cpu 1\n").is_err());
        let line = stat(1, "a", 'D', 1);
        assert!(process(line.trim_end()).is_err());
        assert!(process("1 (a) D 1\n").is_err());
        assert!(process("1 a D 1\n").is_err());
        assert!(process(&line.replace("4711", "x")).is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "[0-9]{1,3} \\(\\PC{0,20}\\) [DRS]( -?[0-9]{1,20}){0,24}\n?|\\PC{0,30}\n?") {
            drop(process(&text));
            drop(blocked(&text));
        }
    }
}
