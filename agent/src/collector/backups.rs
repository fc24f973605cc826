//! Backups: results in the logs of vzdump tasks, the last log of each guest, and
//! archives in local directories.
//!
//! Archives are told by their names; a directory on a network mount is never
//! touched, and neither is one behind a link, which may lead to a network mount.
//! The directories to list are configured, so [`Collector::paths`] cannot name
//! them. Nothing in them is opened.

use std::time::Duration;

use pvelens_proto::agent::v1::{
    BackupArchives, BackupRun, Backups, CollectionClass, FailureKind, GuestBackup, GuestKind, Task,
    TaskStatus,
};

use super::{
    CollectError, Collector, PMXCFS_FILE_LIMIT, Payload, Reading, filesystem::LocalMounts, pmxcfs,
    tasks,
};
use crate::{
    format::{
        property_string::{boolean, list},
        section_config,
        upid::Upid,
        whole_lines,
    },
    host::SourceError,
};
mod archive;
mod log;
mod words;

const STORAGE_CFG: &str = "/etc/pve/storage.cfg";
const GUEST_LOGS: &str = "/var/log/vzdump";
/// Tasks whose logs are read.
const RUN_LIMIT: usize = 20;
/// A line a second for each guest, for some hours.
const RUN_LOG_LIMIT: u64 = 8 << 20;
const GUEST_LOG_LIMIT: u64 = 1 << 20;
/// Guests whose last log is read.
const GUEST_LOG_COUNT: usize = 200;
const STORAGE_LIMIT: usize = 50;
/// Characters of an option or name in a log.
const NAME_LIMIT: usize = 150;

pub(super) const COLLECTOR: Collector = Collector {
    name: "backups",
    summary: "results of backups, and archives on local disks",
    class: CollectionClass::State,
    // Logs of some megabytes are read again each time.
    interval: Duration::from_secs(300),
    deadline: Duration::from_secs(20),
    paths: &[
        tasks::ACTIVE,
        tasks::INDEX,
        tasks::OLD_INDEX,
        "/var/log/pve/tasks/*/UPID:*:vzdump:*",
        "/var/log/vzdump/*.log",
        STORAGE_CFG,
        "/proc/1/mountinfo",
        "/proc/mounts",
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let tasks = match tasks::read(reading) {
        Err(CollectError::NoData(_)) => Vec::new(),
        other => other?,
    };
    let runs = tasks
        .iter()
        .filter(|task| task.task_type == "vzdump")
        .take(RUN_LIMIT)
        .map(|task| run(reading, task))
        .collect();
    let last_backups = last_backups(reading);
    let archives = match reading.read(STORAGE_CFG, PMXCFS_FILE_LIMIT) {
        Ok(text) => {
            reading.keep(whole_lines(&text).map_err(|error| error.at(STORAGE_CFG)));
            all_archives(reading, &text)
        }
        Err(error) => match pmxcfs::unread(reading, error) {
            CollectError::Source(error) => {
                reading.fail(error);
                Vec::new()
            }
            none @ CollectError::NoData(_) => return Err(none),
        },
    };
    Ok(Payload::Backups(Backups {
        runs,
        last_backups,
        archives,
    }))
}

fn run(reading: &mut Reading<'_>, task: &Task) -> BackupRun {
    let mut run = BackupRun {
        upid: task.upid.clone(),
        started_at: task.started_at,
        ended_at: task.ended_at,
        status: task.status,
        ..BackupRun::default()
    };
    let log = Upid::log_path(&task.upid)
        .and_then(|path| Some((reading.read_log(&path, RUN_LOG_LIMIT)?, path)));
    if let Some((text, path)) = log {
        // The last line of a running task may be on its way.
        if task.status() != TaskStatus::Running {
            reading.keep(whole_lines(&text).map_err(|error| error.at(&path)));
        }
        log::parse_run(&text, &mut run);
    }
    run
}

fn last_backups(reading: &mut Reading<'_>) -> Vec<GuestBackup> {
    let names = match reading.list(GUEST_LOGS) {
        Ok(names) => names,
        Err(error) if error.is_not_found() => return Vec::new(),
        Err(error) => {
            reading.fail(error);
            return Vec::new();
        }
    };
    let mut logs: Vec<(u32, GuestKind, String)> = names
        .iter()
        .filter_map(|name| {
            let (kind, vmid) = name.strip_suffix(".log")?.split_once('-')?;
            Some((
                vmid.parse().ok()?,
                guest_kind(kind)?,
                format!("{GUEST_LOGS}/{name}"),
            ))
        })
        .collect();
    logs.sort_unstable_by_key(|(vmid, _, _)| *vmid);
    if logs.len() > GUEST_LOG_COUNT {
        logs.truncate(GUEST_LOG_COUNT);
        let detail = format!("more than {GUEST_LOG_COUNT} logs");
        reading.fail(SourceError::new(GUEST_LOGS, FailureKind::TooLarge, detail));
    }
    let mut backups = Vec::new();
    for (vmid, kind, path) in logs {
        let Some(text) = reading.read_log(&path, GUEST_LOG_LIMIT) else {
            continue;
        };
        reading.keep(whole_lines(&text).map_err(|error| error.at(&path)));
        backups.push(log::parse_guest(&text, vmid, kind));
    }
    backups
}

fn guest_kind(word: &str) -> Option<GuestKind> {
    match word {
        "qemu" => Some(GuestKind::Qemu),
        "lxc" => Some(GuestKind::Lxc),
        _ => None,
    }
}

fn all_archives(reading: &mut Reading<'_>, text: &str) -> Vec<BackupArchives> {
    let mounts = LocalMounts::read(reading);
    let Some(mounts) = reading.keep(mounts) else {
        return Vec::new();
    };
    let config = section_config::parse(text);
    let storages: Vec<(&str, &str)> = config
        .sections
        .iter()
        .filter(|section| matches!(section.kind, "dir" | "btrfs"))
        .filter(|section| !section.get("disable").and_then(boolean).unwrap_or(false))
        .filter(|section| {
            list(section.get("content").unwrap_or_default()).contains(&"backup".to_owned())
        })
        .filter_map(|section| Some((section.id, section.get("path")?)))
        .take(STORAGE_LIMIT)
        .collect();
    storages
        .into_iter()
        .filter_map(|(storage, path)| archives(reading, &mounts, storage, path))
        .collect()
}

/// `None` where there is no such directory, as on nodes that do not have the
/// storage.
fn archives(
    reading: &mut Reading<'_>,
    mounts: &LocalMounts,
    storage: &str,
    path: &str,
) -> Option<BackupArchives> {
    let path = format!("{}/dump", path.trim_end_matches('/'));
    let mut found = BackupArchives {
        storage: storage.to_owned(),
        ..BackupArchives::default()
    };
    if !is_safe(reading, mounts, &path) {
        found.not_touched = true;
        return Some(found);
    }
    match reading.list(&path) {
        Ok(names) => {
            archive::add(&names, &mut found);
            Some(found)
        }
        Err(error) if error.is_not_found() => None,
        Err(error) => {
            reading.fail(error);
            None
        }
    }
}

/// Looks at each directory on the way, once it is known to be local.
pub(super) fn is_safe(reading: &Reading<'_>, mounts: &LocalMounts, path: &str) -> bool {
    path.starts_with('/')
        && !path.split('/').any(|name| name == "." || name == "..")
        && mounts.holds(path)
        && path
            .match_indices('/')
            .map(|(end, _)| path.get(..end).unwrap_or_default())
            .chain([path])
            .filter(|directory| !directory.is_empty())
            .all(|directory| reading.link_target(directory).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::tests::{kinds, sample};

    const CFG: &str = "dir: local\n\tpath /var/lib/vz\n\tcontent iso,backup\n\n\
        dir: linked\n\tpath /linked\n\tcontent backup\n\n\
        dir: remote\n\tpath /mnt/nfs/x\n\tcontent backup\n\n\
        dir: absent\n\tpath /absent\n\tcontent backup\n\n\
        dir: off\n\tpath /var/lib/vz\n\tcontent backup\n\tdisable\n";
    const MOUNTINFO: &str =
        "25 1 252:1 / / rw - ext4 /dev/a rw\n41 25 0:51 / /mnt/nfs rw - nfs4 s:/x rw\n";

    #[test]
    fn runs_logs_and_local_archives_are_found() {
        let upid = "UPID:a:0000000A:00000001:6B02DE1E:vzdump:102:root@pam:";
        let index = format!(
            "{upid} 6B02DE2E OK\nUPID:a:0000000B:00000001:6B02DE1F:qmstart:102:root@pam: 6B02DE2E OK\n"
        );
        let read = sample(
            &COLLECTOR,
            &[
                ("var/log/pve/tasks/index", &index),
                (
                    &format!("var/log/pve/tasks/E/{upid}"),
                    "INFO: starting new backup job: vzdump 102 --storage local\nINFO: Starting Backup of VM 102 (qemu)\nINFO: Finished Backup of VM 102 (00:00:05)\nTASK OK\n",
                ),
                (
                    "var/log/vzdump/qemu-102.log",
                    "2026-11-22 12:20:46 INFO: Starting Backup of VM 102 (qemu)\n",
                ),
                ("etc/pve/storage.cfg", CFG),
                ("proc/1/mountinfo", MOUNTINFO),
                (
                    "var/lib/vz/dump/vzdump-lxc-111-2026_11_22-12_16_14.tar.zst",
                    "",
                ),
                ("real/dump/vzdump-lxc-1-2026_11_22-12_16_14.tar", ""),
                ("linked@", "real"),
                ("mnt/nfs/x/dump/vzdump-lxc-1-2026_11_22-12_16_14.tar", ""),
            ],
        );
        assert_eq!(kinds(&read), []);
        let Some(Payload::Backups(backups)) = read.payload else {
            panic!("{read:?}");
        };
        assert_eq!((backups.runs.len(), backups.last_backups.len()), (1, 1));
        assert_eq!(backups.runs[0].guests[0].duration_seconds, Some(5));
        let found: Vec<_> = backups
            .archives
            .iter()
            .map(|found| {
                (
                    found.storage.as_str(),
                    found.guests.len(),
                    found.not_touched,
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("local", 1, false),
                ("linked", 0, true),
                ("remote", 0, true)
            ]
        );
    }

    #[test]
    fn a_log_of_a_finished_task_must_be_whole() {
        let upid = "UPID:a:0000000A:00000001:6B02DE1E:vzdump:102:root@pam:";
        let log = format!("var/log/pve/tasks/E/{upid}");
        for (list, failures) in [("6B02DE2E OK", 1), ("", 0)] {
            let files = [
                ("var/log/pve/tasks/active", format!("{upid} 1 {list}\n")),
                (log.as_str(), "INFO: Starting Back".to_owned()),
                ("etc/pve/storage.cfg", CFG.to_owned()),
                ("proc/1/mountinfo", MOUNTINFO.to_owned()),
            ];
            let files: Vec<(&str, &str)> = files
                .iter()
                .map(|(path, text)| (*path, text.as_str()))
                .collect();
            let read = sample(&COLLECTOR, &files);
            assert_eq!(read.failures.len(), failures, "{:?}", read.failures);
        }
    }
}
