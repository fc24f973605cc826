//! The newest tasks of the node, from `/var/log/pve/tasks`.
//!
//! `active` has what runs and up to 25 that ended; `index` and `index.1`, which
//! is what `index` was before it reached 50,000 bytes, have what ended
//! (`pve-common@src/PVE/{INotify,RESTEnvironment}.pm`). A task that runs by
//! `active` and whose process is gone was killed: PVE notices at its next look.

use std::collections::HashMap;

use pvelens_proto::{
    Timestamp,
    agent::v1::{CollectionClass, Task, TaskStatus, Tasks},
    timestamp_from_millis,
};

use super::{CollectError, Collector, FILE_DEADLINE, KERNEL_FILE_LIMIT, Payload, Reading, STATE};
use crate::format::{FormatError, free_text, upid::Upid, whole_lines};

pub(crate) const ACTIVE: &str = "/var/log/pve/tasks/active";
pub(super) const INDEX: &str = "/var/log/pve/tasks/index";
pub(super) const OLD_INDEX: &str = "/var/log/pve/tasks/index.1";
/// Twenty times the size at which PVE rotates.
const LIMIT: u64 = 1 << 20;
const TASK_LIMIT: usize = 500;
/// Characters of an error's text.
pub(super) const ERROR_LIMIT: usize = 200;
/// Processes that are looked up in one run.
const PROCESS_LIMIT: usize = 200;

pub(super) const COLLECTOR: Collector = Collector {
    name: "tasks",
    summary: "running and finished tasks of the node",
    class: CollectionClass::State,
    interval: STATE,
    deadline: FILE_DEADLINE,
    paths: &[ACTIVE, INDEX, OLD_INDEX, "/proc/*/stat"],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let mut tasks = read(reading)?;
    let truncated = tasks.len() > TASK_LIMIT;
    tasks.truncate(TASK_LIMIT);
    let running = tasks
        .iter_mut()
        .filter(|task| task.status() == TaskStatus::Running);
    for task in running.take(PROCESS_LIMIT) {
        task.process_gone = is_gone(reading, task);
    }
    Ok(Payload::Tasks(Tasks { tasks, truncated }))
}

/// All tasks that are in the lists, newest start first.
pub(super) fn read(reading: &mut Reading<'_>) -> Result<Vec<Task>, CollectError> {
    let mut all = HashMap::new();
    let mut found = false;
    for path in [ACTIVE, INDEX, OLD_INDEX] {
        found |= reading.exists(path);
        let Some(text) = reading.read_log(path, LIMIT) else {
            continue;
        };
        // Both are empty before the first task.
        if !text.is_empty() || path == OLD_INDEX {
            reading.keep(whole_lines(&text).map_err(|error| error.at(path)));
        }
        let malformed = parse(&text, path == ACTIVE, &mut all);
        if malformed > 0 {
            let detail = format!("{malformed} lines are not in the format");
            reading.fail(FormatError::malformed(detail).at(path));
        }
    }
    if !found {
        return Err(CollectError::NoData("no tasks are recorded on this node"));
    }
    let mut tasks: Vec<Task> = all.into_values().collect();
    let started = |task: &Task| task.started_at.map(|time| time.seconds);
    tasks.sort_by(|a, b| (started(b), &b.upid).cmp(&(started(a), &a.upid)));
    Ok(tasks)
}

/// What works on a guest now, by the text of `active`: types of tasks.
pub(crate) fn running(active: &str, vmid: u32) -> Vec<String> {
    let mut all = HashMap::new();
    parse(active, true, &mut all);
    let id = vmid.to_string();
    let mut types: Vec<String> = all
        .into_values()
        .filter(|task| task.id == id && task.status() == TaskStatus::Running)
        .map(|task| task.task_type)
        .collect();
    types.sort();
    types
}

/// Adds the tasks of one list, and counts the lines that are none. A line with
/// an end counts more than one without.
fn parse(text: &str, is_active: bool, all: &mut HashMap<String, Task>) -> usize {
    let mut malformed = 0_usize;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let Some(task) = task(line, is_active) else {
            malformed = malformed.saturating_add(1);
            continue;
        };
        let known = all.get(&task.upid);
        if known.is_none_or(|known| known.ended_at.is_none() && task.ended_at.is_some()) {
            all.insert(task.upid.clone(), task);
        }
    }
    malformed
}

/// `UPID END STATUS` in an index, `UPID SAVED [END [STATUS]]` in `active`.
fn task(line: &str, is_active: bool) -> Option<Task> {
    let (name, mut rest) = line.split_once(' ').unwrap_or((line, ""));
    let upid = Upid::parse(name)?;
    if is_active {
        rest = rest.split_once(' ').map_or("", |(_, rest)| rest);
    }
    let (end, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut task = Task {
        upid: name.to_owned(),
        node: upid.node.to_owned(),
        pid: upid.pid,
        start_ticks: upid.start_ticks,
        started_at: Some(seconds(upid.started)),
        task_type: upid.task_type.to_owned(),
        id: upid.id.to_owned(),
        user: upid.user.to_owned(),
        status: TaskStatus::Running.into(),
        ..Task::default()
    };
    if end.is_empty() {
        return is_active.then_some(task);
    }
    let ended = u32::from_str_radix(end, 16).ok()?;
    task.ended_at = Some(seconds(ended));
    set_status(&mut task, text.trim());
    Some(task)
}

fn set_status(task: &mut Task, text: &str) {
    let status = match text {
        "OK" => TaskStatus::Ok,
        "" | "unexpected status" => TaskStatus::Unknown,
        _ => match text.strip_prefix("WARNINGS:") {
            Some(number) => {
                task.warnings = number.trim().parse().ok();
                TaskStatus::Warnings
            }
            None => {
                task.error = free_text::shortened(text, ERROR_LIMIT);
                TaskStatus::Error
            }
        },
    };
    task.set_status(status);
}

fn seconds(seconds: u32) -> Timestamp {
    timestamp_from_millis(i64::from(seconds).saturating_mul(1000))
}

/// A process with this number that started at another time is another one.
fn is_gone(reading: &mut Reading<'_>, task: &Task) -> bool {
    let path = format!("/proc/{}/stat", task.pid);
    match reading.read(&path, KERNEL_FILE_LIMIT) {
        Ok(text) => reading
            .keep(start_ticks(&text).map_err(|error| error.at(&path)))
            .is_some_and(|ticks| ticks != task.start_ticks),
        Err(error) if error.is_not_found() => true,
        Err(error) => {
            reading.fail(error);
            false
        }
    }
}

/// Field 22 of `/proc/PID/stat` (`man 5 proc`); the command before it may
/// contain parentheses.
fn start_ticks(text: &str) -> Result<u64, FormatError> {
    whole_lines(text)?
        .rsplit_once(')')
        .ok_or_else(|| FormatError::malformed("no command"))?
        .1
        .split_ascii_whitespace()
        .nth(19)
        .ok_or_else(|| FormatError::truncated("too few fields"))?
        .parse()
        .map_err(|_| FormatError::malformed("a field is not a number"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pvelens_proto::agent::v1::{FailureKind, Sample};

    use super::*;
    use crate::collector::tests::{kinds, sample};

    const STAT: &str = "233 (kvm (x) S 1 231 231 0 -1 138412480 59912 35443 15 5 7303 432 48 21 20 0 5 0 401128 1402216448 83140 0\n";

    fn tasks(sample: Sample) -> Vec<Task> {
        match sample.payload {
            Some(Payload::Tasks(tasks)) => tasks.tasks,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn lists_are_merged_and_ends_told_apart() {
        let read = sample(
            &COLLECTOR,
            &[
                (
                    "var/log/pve/tasks/active",
                    "UPID:a:000000E9:00061EE8:6B02DE20:vzdump:111:root@pam!cron: 0\n\
                     UPID:a:000000EA:00061EE8:6B02DE1F:qmigrate:101:root@pam: 0\n\
                     UPID:a:0000000A:00000001:6B02DE10:qmstart:101:root@pam: 1 6B02DE11 OK\n",
                ),
                (
                    "var/log/pve/tasks/index",
                    "UPID:a:0000000A:00000001:6B02DE10:qmstart:101:root@pam: 6B02DE11 OK\n\
                     UPID:a:0000000B:00000001:6B02DE0F:vzstart:110:root@pam: 6B02DE11 WARNINGS: 2\n\
                     UPID:a:0000000C:00000001:6B02DE0E:qmstop:101:root@pam: 6B02DE11 unexpected status\n",
                ),
                (
                    "var/log/pve/tasks/index.1",
                    "UPID:a:0000000D:00000001:6B02DE0D:aptupdate::root@pam: 6B02DE11 run --password canary-x failed\n",
                ),
                ("proc/233/stat", STAT),
            ],
        );
        assert_eq!(kinds(&read), []);
        let tasks = tasks(read);
        let states: Vec<_> = tasks
            .iter()
            .map(|task| (task.pid, task.status(), task.process_gone))
            .collect();
        assert_eq!(
            states,
            [
                (233, TaskStatus::Running, false),
                (234, TaskStatus::Running, true),
                (10, TaskStatus::Ok, false),
                (11, TaskStatus::Warnings, false),
                (12, TaskStatus::Unknown, false),
                (13, TaskStatus::Error, false),
            ]
        );
        assert_eq!(tasks[0].user, "root@pam!cron");
        assert_eq!(tasks[3].warnings, Some(2));
        assert_eq!(tasks[5].error, "run --password *** failed");
        assert_eq!(tasks[5].id, "");
    }

    #[test]
    fn a_cut_list_is_named_and_the_rest_is_kept() {
        let whole = "UPID:a:0000000A:00000001:6B02DE10:qmstart:101:root@pam: 6B02DE11 OK\n";
        let text = format!("{whole}UPID:a:0000");
        let read = sample(&COLLECTOR, &[("var/log/pve/tasks/index", &text)]);
        assert_eq!(
            kinds(&read),
            [FailureKind::Truncated, FailureKind::Malformed]
        );
        assert_eq!(tasks(read).len(), 1);
        let empty = sample(&COLLECTOR, &[("var/log/pve/tasks/active", "")]);
        assert_eq!((kinds(&empty), tasks(empty).len()), (vec![], 0));
        let none = sample(&COLLECTOR, &[]);
        assert!(matches!(none.payload, Some(Payload::NoData(_))));
    }

    #[test]
    fn only_the_newest_are_carried() {
        let text: String = (0..600)
            .map(|number| {
                format!("UPID:a:0000000A:00000001:{number:08X}:t:1:root@pam: {number:08X} OK\n")
            })
            .collect();
        let read = sample(&COLLECTOR, &[("var/log/pve/tasks/index", &text)]);
        let Some(Payload::Tasks(all)) = read.payload else {
            panic!("{read:?}");
        };
        assert!(all.truncated);
        assert_eq!(all.tasks.len(), TASK_LIMIT);
        assert_eq!(all.tasks[0].started_at.unwrap().seconds, 599);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(UPID:a:[0-9A-F]{0,3}:1:6B02DE10:t:[a-z1]{0,3}:u@pam: ?[01]? ?[0-9A-F]{0,8} ?(OK|WARNINGS: ?[0-9]?|\\PC{0,9})\n|\\PC{0,20}\n?){0,6}", active: bool) {
            let mut all = HashMap::new();
            let malformed = parse(&text, active, &mut all);
            prop_assert!(malformed + all.len() <= text.lines().count());
        }
    }
}
