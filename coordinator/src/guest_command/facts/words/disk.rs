//! Words about file systems and disks.

use super::{Said, counted, left_out, names, percent};
use crate::{
    figure::bytes,
    guest_command::facts::{Array, DeletedFile, FileSystem, GuestFacts},
};

const FULL: f64 = 95.0;
const NEARLY_FULL: f64 = 85.0;
/// Less than this is little, however small the share is.
const LITTLE: u64 = 512 << 20;
/// Lines about file systems.
const FILE_SYSTEMS: usize = 4;
/// Deleted files that are worth a restart of who holds them.
const DELETED: u64 = 1 << 30;

/// Where programs write: read-only there stops them.
const WRITTEN: &[&str] = &["/", "/var", "/home", "/srv", "/opt", "/tmp", "/data"];

pub(super) fn say(facts: &GuestFacts, said: &mut Said) {
    file_systems(facts, said);
    if let Some(arrays) = &facts.arrays {
        all_arrays(arrays, said);
    }
    if let Some(files) = &facts.deleted_files {
        deleted_files(files, said);
    }
    directories(facts, said);
    disks(facts, said);
}

fn name(one: &FileSystem) -> &str {
    if one.mount.is_empty() {
        "The drive"
    } else {
        &one.mount
    }
}

fn file_systems(facts: &GuestFacts, said: &mut Said) {
    let before = said.sentences.len();
    let real = || facts.file_systems.iter().filter(|one| !one.is_pseudo);
    let mut more = 0_u32;
    for one in real() {
        let is_over = |share: Option<f64>| share.is_some_and(|share| share >= NEARLY_FULL);
        let has_no_room = is_over(one.used_percent) && one.read_only != Some(true);
        if !has_no_room && !is_over(one.inode_percent) {
            continue;
        }
        if said.sentences.len().saturating_sub(before) >= FILE_SYSTEMS {
            more = more.saturating_add(1);
            continue;
        }
        if has_no_room {
            full(one, said);
        }
        if let Some(share) = one.inode_percent.filter(|share| *share >= NEARLY_FULL) {
            let left = one
                .inodes_free
                .map(|free| format!(": room for {free} more files"))
                .unwrap_or_default();
            let sentence = format!(
                "{} has used {} of its inodes{left}",
                name(one),
                percent(share)
            );
            if share >= FULL {
                said.critical(sentence)
            } else {
                said.warning(sentence)
            }
        }
    }
    if more > 0 {
        said.warning(format!(
            "{} more above {}",
            counted(more, "file system"),
            percent(NEARLY_FULL)
        ));
    }
    for one in real().filter(|one| one.read_only == Some(true)) {
        let kind = one.kind.as_deref().unwrap_or("file system");
        let sentence = format!("{} ({kind}) is mounted read-only", name(one));
        if WRITTEN.contains(&one.mount.as_str()) || one.mount.starts_with("/var/") {
            said.warning(sentence);
        } else {
            said.info(sentence);
        }
    }
    if said.is_calm_since(before) {
        calm(facts, said);
    }
}

fn full(one: &FileSystem, said: &mut Said) {
    let Some(share) = one.used_percent else {
        return;
    };
    let room = match (one.available_bytes, one.size_bytes) {
        (Some(free), Some(size)) => format!(": {} free of {}", bytes(free), bytes(size)),
        _ => String::new(),
    };
    let sentence = format!("{} is {} full{room}", name(one), percent(share));
    let is_little = one.available_bytes.is_some_and(|free| free < LITTLE);
    if share >= FULL || (share >= 90.0 && is_little) {
        said.critical(sentence);
    } else {
        said.warning(sentence);
    }
}

/// The fullest, when none is full.
fn calm(facts: &GuestFacts, said: &mut Said) {
    let fullest = |value: fn(&FileSystem) -> Option<f64>| {
        let real = facts.file_systems.iter().filter(|one| !one.is_pseudo);
        real.filter_map(|one| Some((one, value(one)?)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
    };
    if let Some((one, share)) = fullest(|one| one.used_percent) {
        let room = match (one.available_bytes, one.size_bytes) {
            (Some(free), Some(size)) => format!(": {} free of {}", bytes(free), bytes(size)),
            _ => String::new(),
        };
        if one.mount.is_empty() {
            said.info(format!("The drive is {} full{room}", percent(share)));
        } else {
            said.info(format!(
                "The fullest file system is {} with {}{room}",
                one.mount,
                percent(share)
            ));
        }
    }
    if let Some((one, share)) = fullest(|one| one.inode_percent) {
        said.info(format!(
            "Most inodes are used on {}: {}",
            name(one),
            percent(share)
        ));
    }
    let is_writable = |one: &FileSystem| one.is_pseudo || one.read_only == Some(false);
    if facts.file_systems.iter().all(is_writable)
        && facts.file_systems.iter().any(|one| !one.is_pseudo)
    {
        said.info("No file system is read-only".to_owned());
    }
}

fn all_arrays(arrays: &[Array], said: &mut Said) {
    for array in arrays {
        let level = array
            .level
            .as_ref()
            .map(|level| format!(" ({level})"))
            .unwrap_or_default();
        if array.is_degraded {
            let members = match (array.devices_working, array.devices_total) {
                (Some(working), Some(total)) => format!(": {working} of {total} devices work"),
                _ => String::new(),
            };
            let failed = match array.failed_devices.as_slice() {
                [] => String::new(),
                failed => format!("; failed: {}", names(failed, failed.len())),
            };
            said.critical(format!(
                "{}{level} is degraded{members}{failed}",
                array.name
            ));
        } else if !array.is_active {
            said.critical(format!("{}{level} is not active", array.name));
        }
        if let Some(action) = &array.action {
            let done = array
                .action_percent
                .map(|done| format!(": {}", percent(done)))
                .unwrap_or_default();
            said.info(format!("{} is in {action}{done}", array.name));
        }
    }
    match arrays {
        [] => said.info("There is no software RAID".to_owned()),
        all if all
            .iter()
            .all(|array| array.is_active && !array.is_degraded) =>
        {
            said.info("All members of the software RAID work".to_owned());
        }
        _ => {}
    }
}

fn deleted_files(files: &[DeletedFile], said: &mut Said) {
    let sum = files.iter().fold(0_u64, |sum, file| {
        sum.saturating_add(file.size_bytes.unwrap_or(0))
    });
    if files.is_empty() {
        said.info("No deleted file is still open".to_owned());
        return;
    }
    let held: Vec<String> = files
        .iter()
        .map(|file| {
            let size = file.size_bytes.map(bytes).unwrap_or_default();
            format!("{} by {} {size}", file.path, file.process)
                .trim_end()
                .to_owned()
        })
        .collect();
    let sentence = format!(
        "Deleted files that are still open hold {}: {}",
        bytes(sum),
        names(&held, held.len())
    );
    if sum >= DELETED {
        said.warning(sentence)
    } else {
        said.info(sentence)
    }
}

fn directories(facts: &GuestFacts, said: &mut Said) {
    let total = facts.directories.iter().find(|one| one.is_total);
    let parts: Vec<String> = facts
        .directories
        .iter()
        .filter(|one| !one.is_total)
        .map(|one| format!("{} {}", one.path, bytes(one.size_bytes)))
        .collect();
    if let Some(total) = total {
        said.info(format!("{} takes {}", total.path, bytes(total.size_bytes)));
    }
    if !parts.is_empty() {
        let all = parts.len().saturating_add(left_out(facts, "directories"));
        said.info(format!("The biggest in it: {}", names(&parts, all)));
    }
}

fn disks(facts: &GuestFacts, said: &mut Said) {
    let disks: Vec<String> = facts
        .block_devices
        .iter()
        .filter(|device| device.kind == "disk" && device.size_bytes != Some(0))
        .map(|device| {
            let size = device.size_bytes.map(bytes).unwrap_or_default();
            format!("{} {size}", device.name).trim_end().to_owned()
        })
        .collect();
    if !disks.is_empty() {
        said.info(format!("Disks: {}", names(&disks, disks.len())));
    }
    let listed: Vec<&str> = facts
        .guest_disks
        .iter()
        .filter(|disk| !disk.is_partition)
        .map(|disk| disk.name.as_str())
        .collect();
    if !listed.is_empty() {
        said.info(format!("Disks: {}", names(&listed, listed.len())));
    }
    for disk in facts.disk_statistics.iter().take(2) {
        let time = |milliseconds: Option<f64>| {
            milliseconds.map_or("none".to_owned(), |each| format!("{each:.1} ms"))
        };
        said.info(format!(
            "{}: a read took {}, a write {} on average since the start",
            disk.name,
            time(disk.read_milliseconds),
            time(disk.write_milliseconds)
        ));
    }
}
