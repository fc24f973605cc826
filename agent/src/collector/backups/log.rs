//! Logs of vzdump (`pve-manager@PVE/VZDump.pm`,
//! `qemu-server@src/PVE/VZDump/QemuServer.pm`).
//!
//! Only lines of known form are understood; the rest, in which hook scripts and
//! commands write what they like, is passed over.

use jiff::civil::DateTime;
use pvelens_proto::agent::v1::{
    BackupErrorClass, BackupOutcome, BackupRun, BackupTarget, FreezeOutcome, GuestBackup, GuestKind,
};

use super::{
    NAME_LIMIT,
    words::{bitmap, duration, error_class, is_out_of_space, size},
};
use crate::{collector::tasks::ERROR_LIMIT, format::free_text};

/// Guests of one run.
const GUEST_LIMIT: usize = 1_000;
const BITMAP_LIMIT: usize = 40;
/// Characters of `YYYY-MM-DD HH:MM:SS`.
const TIME_LENGTH: usize = 19;

/// A guest whose part of the log is being read.
#[derive(Default)]
struct Open {
    guest: GuestBackup,
    frozen_since: Option<DateTime>,
    out_of_space: bool,
}

/// Adds what the log of a task says.
pub(super) fn parse_run(text: &str, run: &mut BackupRun) {
    let mut open: Option<Open> = None;
    for line in text.lines() {
        let (level, line) = line.split_once(": ").unwrap_or(("", line));
        if let Some(command) = line.strip_prefix("starting new backup job: vzdump") {
            options(command, run);
        } else if let Some((vmid, kind)) = beginning(line) {
            finish(run, open.take());
            open = Some(begin(vmid, kind));
        } else if let Some(open) = &mut open {
            understand(open, level, line, None);
        }
    }
    finish(run, open);
}

/// What the last log of one guest says; each line begins with its time.
pub(super) fn parse_guest(text: &str, vmid: u32, kind: GuestKind) -> GuestBackup {
    let mut open = begin(vmid, kind);
    let mut last = None;
    for line in text.lines() {
        let Some((time, rest)) = timed(line) else {
            continue;
        };
        let (level, rest) = rest.split_once(": ").unwrap_or(("", rest));
        if open.guest.started_local_time.is_empty() {
            open.guest.started_local_time = written(time);
        }
        last = Some(time);
        understand(&mut open, level, rest, Some(time));
    }
    let mut guest = open.guest;
    if let Some(last) = last.filter(|_| guest.outcome() != BackupOutcome::Unfinished) {
        guest.ended_local_time = written(last);
    }
    add_duration(&mut guest);
    guest
}

fn begin(vmid: u32, kind: GuestKind) -> Open {
    Open {
        guest: GuestBackup {
            vmid,
            kind: kind.into(),
            outcome: BackupOutcome::Unfinished.into(),
            ..GuestBackup::default()
        },
        ..Open::default()
    }
}

fn finish(run: &mut BackupRun, open: Option<Open>) {
    let Some(mut open) = open else {
        return;
    };
    if run.guests.len() >= GUEST_LIMIT {
        run.truncated = true;
        return;
    }
    add_duration(&mut open.guest);
    run.guests.push(open.guest);
}

/// ` 111 --mode suspend --storage local`.
fn options(command: &str, run: &mut BackupRun) {
    let mut words = command.split_whitespace();
    while let Some(word) = words.next() {
        let mut value = || {
            let word = words.next().unwrap_or_default();
            free_text::bounded(word.trim_matches(['\'', '"']), NAME_LIMIT)
        };
        match word {
            "--job-id" => run.job_id = value(),
            "--storage" => run.storage = value(),
            "--mode" => run.mode = value(),
            "--compress" => run.compression = value(),
            "--all" => run.all_guests = value() == "1",
            _ => {}
        }
    }
}

/// `Starting Backup of VM 111 (lxc)`.
fn beginning(line: &str) -> Option<(u32, GuestKind)> {
    let (vmid, kind) = line
        .strip_prefix("Starting Backup of VM ")?
        .split_once(" (")?;
    let kind = super::guest_kind(kind.strip_suffix(')')?)?;
    Some((vmid.parse().ok()?, kind))
}

fn understand(open: &mut Open, level: &str, line: &str, time: Option<DateTime>) {
    let guest = &mut open.guest;
    if level == "WARN" {
        guest.warnings = guest.warnings.saturating_add(1);
    }
    if let Some(rest) = line.strip_prefix("Backup started at ") {
        guest.started_local_time = local_time(rest);
    } else if let Some(rest) = line
        .strip_prefix("Backup finished at ")
        .or_else(|| line.strip_prefix("Failed at "))
    {
        guest.ended_local_time = local_time(rest);
    } else if let Some(rest) = line.strip_prefix("status = ") {
        guest.guest_status = free_text::bounded(rest, NAME_LIMIT);
    } else if let Some(rest) = line.strip_prefix("backup mode: ") {
        guest.mode = free_text::bounded(rest, NAME_LIMIT);
    } else if let Some(rest) = line.strip_prefix("creating vzdump archive '") {
        guest.set_target(BackupTarget::File);
        let path = rest.trim_end_matches('\'');
        let name = path.rsplit('/').next().unwrap_or_default();
        guest.archive_name = free_text::bounded(name, NAME_LIMIT);
    } else if let Some(rest) = line.strip_prefix("creating Proxmox Backup Server archive '") {
        guest.set_target(BackupTarget::Pbs);
        guest.archive_name = free_text::bounded(rest.trim_end_matches('\''), NAME_LIMIT);
    } else if let Some(rest) = line.strip_prefix("archive file size: ") {
        guest.archive_size_bytes = size(rest);
    } else if let Some((_, rest)) = line.split_once("backup was done incrementally, reused ") {
        guest.reused_bytes = sum(guest.reused_bytes, size(rest));
    } else if let Some(rest) = line
        .strip_prefix("transferred ")
        .or_else(|| line.strip_prefix("Total bytes written: "))
        .or_else(|| Some(line.split_once("pxar: had to backup ")?.1))
    {
        guest.transferred_bytes = sum(guest.transferred_bytes, size(rest));
    } else if let Some((disk, rest)) = line.split_once(": dirty-bitmap status: ") {
        if guest.bitmaps.len() < BITMAP_LIMIT {
            guest.bitmaps.push(bitmap(disk, rest));
        }
    } else if let Some(rest) = line.strip_prefix("Finished Backup of VM ") {
        guest.set_outcome(BackupOutcome::Ok);
        let clock = rest.split_once(" (").map(|(_, clock)| clock);
        guest.duration_seconds = clock.and_then(duration);
    } else if let Some((_, error)) = line
        .strip_prefix("Backup of VM ")
        .and_then(|rest| rest.split_once(" failed - "))
    {
        guest.set_outcome(BackupOutcome::Failed);
        guest.error = free_text::shortened(error, ERROR_LIMIT);
        guest.set_error_class(if open.out_of_space {
            BackupErrorClass::Space
        } else {
            error_class(error)
        });
    } else {
        freeze(open, line, time);
        open.out_of_space |= is_out_of_space(line);
    }
}

/// A container on PBS has a line for each of its archives.
fn sum(so_far: Option<u64>, more: Option<u64>) -> Option<u64> {
    match (so_far, more) {
        (Some(so_far), Some(more)) => Some(so_far.saturating_add(more)),
        (so_far, more) => so_far.or(more),
    }
}

fn freeze(open: &mut Open, line: &str, time: Option<DateTime>) {
    let failed = line.contains("failed") || line.contains("timeout");
    let skipped = line
        .strip_prefix("skipping guest-agent 'fs-freeze', ")
        .or_else(|| line.strip_prefix("skipping guest filesystem freeze - "));
    let outcome = if let Some(reason) = skipped {
        if reason.contains("not running") {
            FreezeOutcome::SkippedNoAgent
        } else if reason.contains("disabled") {
            FreezeOutcome::SkippedDisabled
        } else if reason.contains("already frozen") {
            FreezeOutcome::SkippedFrozen
        } else {
            FreezeOutcome::SkippedOther
        }
    } else if line.starts_with("issuing guest-agent 'fs-freeze'") {
        open.frozen_since = time;
        FreezeOutcome::Frozen
    } else if line.starts_with("issuing guest-agent 'fs-thaw'") {
        if let (Some(since), Some(time)) = (open.frozen_since.take(), time) {
            open.guest.frozen_seconds = seconds_between(since, time);
        }
        return;
    } else if failed && line.contains("fsfreeze-freeze") {
        open.frozen_since = None;
        FreezeOutcome::FreezeFailed
    } else if failed && line.contains("fsfreeze-thaw") {
        // A freeze that failed is the cause.
        if open.guest.freeze() == FreezeOutcome::FreezeFailed {
            return;
        }
        FreezeOutcome::ThawFailed
    } else {
        return;
    };
    open.guest.set_freeze(outcome);
}

fn timed(line: &str) -> Option<(DateTime, &str)> {
    let (time, rest) = line.split_at_checked(TIME_LENGTH)?;
    Some((time.parse().ok()?, rest.strip_prefix(' ')?))
}

/// Empty when it is no time.
fn local_time(text: &str) -> String {
    text.trim().parse().map(written).unwrap_or_default()
}

fn written(time: DateTime) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn add_duration(guest: &mut GuestBackup) {
    if guest.duration_seconds.is_some() {
        return;
    }
    let started = guest.started_local_time.parse();
    let ended = guest.ended_local_time.parse();
    if let (Ok(started), Ok(ended)) = (started, ended) {
        guest.duration_seconds = seconds_between(started, ended);
    }
}

fn seconds_between(earlier: DateTime, later: DateTime) -> Option<u64> {
    u64::try_from(later.duration_since(earlier).as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use pvelens_proto::agent::v1::BitmapStatus;

    use super::*;

    fn run(text: &str) -> BackupRun {
        let mut run = BackupRun::default();
        parse_run(text, &mut run);
        run
    }

    const LOG: &str = "INFO: starting new backup job: vzdump --all 1 --mode snapshot --storage pbs1 --job-id backup-1 --notes-template 'canary-n'\n\
        INFO: Starting Backup of VM 101 (qemu)\n\
        INFO: Backup started at 2026-11-22 12:20:19\n\
        INFO: status = running\n\
        INFO: VM Name: web1\n\
        INFO: backup mode: snapshot\n\
        INFO: creating Proxmox Backup Server archive 'vm/101/2026-11-22T11:20:19Z'\n\
        INFO: issuing guest-agent 'fs-freeze' command\n\
        ERROR: VM 101 qmp command 'guest-fsfreeze-freeze' failed - got timeout\n\
        INFO: issuing guest-agent 'fs-thaw' command\n\
        ERROR: VM 101 qmp command 'guest-fsfreeze-thaw' failed - got timeout\n\
        INFO: scsi0: dirty-bitmap status: OK (1.5 GiB of 32.0 GiB dirty)\n\
        INFO: scsi1: dirty-bitmap status: created new\n\
        INFO: canary-hook wrote this\n\
        INFO: backup was done incrementally, reused 30.00 GiB (93%)\n\
        INFO: transferred 2.00 GiB in 10 seconds (204.8 MiB/s)\n\
        WARN: something\n\
        INFO: Finished Backup of VM 101 (00:01:32)\n\
        INFO: Backup finished at 2026-11-22 12:21:51\n\
        INFO: Starting Backup of VM 110 (lxc)\n\
        INFO: Backup started at 2026-11-22 12:22:00\n\
        INFO: creating vzdump archive '/mnt/x/dump/vzdump-lxc-110-2026_11_22-12_22_00.tar'\n\
        INFO: tar: -: Wrote only 8192 of 10240 bytes\n\
        ERROR: Backup of VM 110 failed - command 'tar --x snapshot' failed: exit code 2\n\
        INFO: Failed at 2026-11-22 12:22:19\n\
        INFO: Starting Backup of VM 111 (lxc)\n\
        TASK ERROR: job errors\n";

    #[test]
    fn results_of_each_guest_are_read() {
        let run = run(LOG);
        assert_eq!(
            (run.storage.as_str(), run.job_id.as_str()),
            ("pbs1", "backup-1")
        );
        assert!(run.all_guests && !format!("{run:?}").contains("canary"));
        let [vm, failed, unfinished] = run.guests.as_slice() else {
            panic!("{run:?}");
        };
        assert_eq!(
            (vm.outcome(), vm.target()),
            (BackupOutcome::Ok, BackupTarget::Pbs)
        );
        assert_eq!(vm.archive_name, "vm/101/2026-11-22T11:20:19Z");
        assert_eq!(vm.freeze(), FreezeOutcome::FreezeFailed);
        assert_eq!((vm.duration_seconds, vm.warnings), (Some(92), 1));
        assert_eq!(
            (vm.transferred_bytes, vm.reused_bytes),
            (Some(2 << 30), Some(30 << 30))
        );
        assert_eq!(vm.bitmaps[0].dirty_bytes, Some(3 << 29));
        assert_eq!(vm.bitmaps[1].status(), BitmapStatus::Created);
        assert_eq!(failed.error_class(), BackupErrorClass::Space);
        assert_eq!(
            failed.archive_name,
            "vzdump-lxc-110-2026_11_22-12_22_00.tar"
        );
        assert_eq!(failed.duration_seconds, Some(19));
        assert_eq!(unfinished.outcome(), BackupOutcome::Unfinished);
    }

    #[test]
    fn archives_of_a_container_are_summed() {
        let run = run("INFO: Starting Backup of VM 110 (lxc)\n\
            INFO: root.mpxar: had to backup 1 MiB of 2 MiB (compressed 1 MiB) in 0.1 s\n\
            INFO: root.ppxar: had to backup 3 MiB of 9 MiB (compressed 1 MiB) in 0.1 s\n\
            INFO: root.ppxar: backup was done incrementally, reused 6 MiB (66.6%)\n");
        assert_eq!(run.guests[0].transferred_bytes, Some(4 << 20));
        assert_eq!(run.guests[0].reused_bytes, Some(6 << 20));
    }

    #[test]
    fn the_log_of_one_guest_has_times() {
        let guest = parse_guest(
            "2026-11-22 12:20:49 INFO: Starting Backup of VM 101 (qemu)\n\
             2026-11-22 12:20:50 INFO: issuing guest-agent 'fs-freeze' command\n\
             2026-11-22 12:20:58 INFO: issuing guest-agent 'fs-thaw' command\n\
             2026-11-22 12:21:00 INFO: archive file size: 152MB\n\
             2026-11-22 12:21:49 INFO: Finished Backup of VM 101 (00:01:00)\n",
            101,
            GuestKind::Qemu,
        );
        assert_eq!(guest.started_local_time, "2026-11-22 12:20:49");
        assert_eq!(guest.ended_local_time, "2026-11-22 12:21:49");
        assert_eq!(
            (guest.frozen_seconds, guest.freeze()),
            (Some(8), FreezeOutcome::Frozen)
        );
        assert_eq!(guest.archive_size_bytes, Some(152 << 20));
        let text = "2026-11-22 12:20:49 INFO: skipping guest filesystem freeze - agent configured but not running?\n";
        let guest = parse_guest(text, 1, GuestKind::Qemu);
        assert_eq!(guest.freeze(), FreezeOutcome::SkippedNoAgent);
        assert_eq!(guest.outcome(), BackupOutcome::Unfinished);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "((2026-11-22 12:20:[0-9]{2} )?(INFO|ERROR|WARN)?:? ?(Starting Backup of VM [0-9]{1,3} \\((qemu|lxc)\\)|Finished Backup of VM 1 \\([0-9:]{0,9}\\)|archive file size: [0-9.]{0,9} ?[KMGTé]?|Backup of VM 1 failed - \\PC{0,9}|scsi0: dirty-bitmap status: OK \\([0-9]{0,3} of \\PC{0,5}|issuing guest-agent 'fs-(freeze|thaw)' command|--storage|\\PC{0,20})\n){0,8}") {
            prop_assert!(run(&text).guests.len() <= text.lines().count());
            let _ = parse_guest(&text, 1, GuestKind::Lxc);
        }
    }
}
