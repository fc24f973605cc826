//! Tasks of this node that failed or changed something, and what the cluster log
//! says of the others.

use std::collections::BTreeSet;

use pvelens_proto::agent::v1::{TaskStatus, sample::Payload};

use super::{Happened, Kind};
use crate::{
    triage::facts::{Facts, moment},
    untrusted,
};

/// Syslog's warning; smaller is worse.
const WARNING: u32 = 4;

pub(super) fn events(facts: &Facts<'_>) -> Vec<Happened> {
    let mut events = Vec::new();
    let mut known = BTreeSet::new();
    // The newest list of tasks has them all, and their ends.
    for (_, sample) in facts.samples.iter().rev() {
        let Some(Payload::Tasks(tasks)) = &sample.payload else {
            continue;
        };
        for task in &tasks.tasks {
            if !known.insert(task.upid.as_str()) {
                continue;
            }
            let Some(started) = task.started_at.as_ref().and_then(moment) else {
                continue;
            };
            let ended = task.ended_at.as_ref().and_then(moment);
            let name = name(&task.task_type, &task.id);
            let by = untrusted::name(&task.user);
            events.push(match task.status() {
                TaskStatus::Error | TaskStatus::Unknown => {
                    let error = untrusted::line(&task.error, 100);
                    let what = format!("failed: {name}: {error}");
                    let what = what.trim_end_matches([' ', ':']).to_owned();
                    Happened::bad(ended.unwrap_or(started), Kind::Task, 3, what)
                }
                TaskStatus::Running if task.process_gone => continue,
                TaskStatus::Running => {
                    let what = format!("{name} by {by} began and still runs");
                    Happened::neutral(started, Kind::Task, 3, what)
                }
                _ => {
                    let what = format!("{name} by {by}");
                    Happened::neutral(started, Kind::Task, weight(&task.task_type), what)
                }
            });
        }
    }
    events.extend(log(facts, &known));
    events
}

/// Warnings and errors of the cluster log, but for tasks that are known anyway.
fn log(facts: &Facts<'_>, known: &BTreeSet<&str>) -> Vec<Happened> {
    let mut events = Vec::new();
    let mut seen = BTreeSet::new();
    for (_, sample) in &facts.samples {
        let Some(Payload::ClusterLog(log)) = &sample.payload else {
            continue;
        };
        for entry in &log.entries {
            let key = (entry.node.as_str(), entry.uid, entry.logged_at);
            if entry.priority > WARNING || !seen.insert(format!("{key:?}")) {
                continue;
            }
            let Some(at) = entry.logged_at.as_ref().and_then(moment) else {
                continue;
            };
            let node = untrusted::name(&entry.node);
            let what = match of_task(&entry.message) {
                Some((upid, _)) if known.contains(upid) => continue,
                Some((upid, error)) => {
                    let mut fields = upid.split(':').skip(5);
                    let name = name(
                        fields.next().unwrap_or_default(),
                        fields.next().unwrap_or_default(),
                    );
                    format!("failed on {node}: {name}: {}", untrusted::line(error, 100))
                }
                None => format!("{node}: {}", untrusted::line(&entry.message, 120)),
            };
            events.push(Happened::bad(at, Kind::Task, 2, what));
        }
    }
    events
}

/// The task and its error, of `end task UPID:…: ERROR`.
fn of_task(message: &str) -> Option<(&str, &str)> {
    let text = message.strip_prefix("end task ")?;
    let end = text.find(": ")?;
    let (upid, error) = text.split_at_checked(end.checked_add(1)?)?;
    Some((upid, error.trim_start()))
}

/// What a task does, in words.
fn name(task_type: &str, id: &str) -> String {
    let (words, of) = match task_type {
        "vzdump" => ("backup", " of "),
        "qmstart" | "vzstart" => ("start", " of "),
        "qmstop" | "vzstop" => ("stop", " of "),
        "qmshutdown" | "vzshutdown" => ("shutdown", " of "),
        "qmreboot" | "vzreboot" => ("reboot", " of "),
        "qmigrate" | "vzmigrate" => ("migration", " of "),
        "hamigrate" => ("migration by HA", " of "),
        "qmsnapshot" | "vzsnapshot" => ("snapshot", " of "),
        "qmdestroy" | "vzdestroy" => ("removal", " of "),
        "qmcreate" | "vzcreate" => ("creation", " of "),
        "qmclone" | "vzclone" => ("clone", " of "),
        "qmrestore" | "vzrestore" => ("restore", " of "),
        "aptupdate" => ("refresh of package lists", " "),
        "startall" => ("start of all guests", " "),
        "stopall" => ("stop of all guests", " "),
        "migrateall" => ("migration of all guests", " "),
        "srvstart" => ("start", " of service "),
        "srvstop" => ("stop", " of service "),
        "srvrestart" => ("restart", " of service "),
        "srvreload" => ("reload", " of service "),
        other => {
            let name = untrusted::name(other).into_owned();
            return format!("task {name} {}", untrusted::name(id))
                .trim_end()
                .to_owned();
        }
    };
    match id {
        "" => words.to_owned(),
        id => format!("{words}{of}{}", untrusted::name(id)),
    }
}

/// What can break something weighs more than what cannot.
fn weight(task_type: &str) -> u8 {
    match task_type {
        "aptupdate" | "vncproxy" | "vncshell" | "termproxy" | "spiceproxy" => 0,
        "srvstop" | "srvrestart" | "srvreload" | "stopall" | "migrateall" | "hashutdown"
        | "ceph_destroy" | "lvmthin_create" | "zfs_create" | "netreload" => 3,
        "qmigrate" | "vzmigrate" | "hamigrate" | "vzdump" | "qmrestore" | "vzrestore"
        | "qmclone" | "vzclone" | "imgcopy" | "move_volume" => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_in_the_cluster_log_has_its_name_and_error() {
        let upid = "UPID:pve2:0000012F:00062825:6B02D79C:vzstart:211:root@pam:";
        let message = format!("end task {upid} unable to get PID for CT 211 (not running?)");
        let (found, error) = of_task(&message).unwrap();
        assert_eq!(found, upid);
        assert!(error.starts_with("unable to get PID"));
        assert_eq!(of_task("end task UPID"), None);
        assert_eq!(of_task("successful auth for user"), None);
    }

    #[test]
    fn tasks_have_words() {
        assert_eq!(name("vzdump", "111"), "backup of 111");
        assert_eq!(
            name("srvrestart", "pveproxy"),
            "restart of service pveproxy"
        );
        assert_eq!(name("imgcopy", ""), "task imgcopy");
    }
}
