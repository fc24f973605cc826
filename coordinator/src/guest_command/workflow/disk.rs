//! A disk is full: which one, of what, and what can go.

use super::case::{Case, Next, way};
use crate::{
    figure,
    guest_command::{
        facts::{FileSystem, GuestFacts},
        system::GuestSystem,
    },
};

/// From here on programs begin to fail, and file systems to slow down.
const FULL_PERCENT: f64 = 90.0;
/// A deleted file that is worth a restart of who holds it.
const WORTH_BYTES: u64 = 100 << 20;

pub(super) fn full(case: &mut Case<'_>) -> Result<(), Next> {
    let system = case.system()?;
    let facts = usage(case, system)?;
    let Some(facts) = facts else {
        case.conclude("How full the file systems are is not known: no way to ask worked.");
        case.advise(
            "Allow `fsinfo` for this guest in /etc/pvelens/guest-policy.toml of its node, or \
             look into the guest by its console.",
        );
        return Ok(());
    };
    let Some(fullest) = full_ones(facts).first().copied() else {
        return no_space_is_missing(case, system);
    };
    case.conclude(format!("{} is full: {}.", fullest.mount, room(fullest)));
    if fullest.is_network {
        case.advise(format!(
            "{} is on a file server: free space there, not in this guest.",
            fullest.mount
        ));
        return Ok(());
    }
    if system == GuestSystem::Windows {
        return windows(case);
    }
    if system != GuestSystem::Linux {
        return Ok(());
    }
    let mount = fullest.mount.clone();
    biggest(case, &mount)?;
    deleted(case)?;
    grow(case, &mount)
}

/// Who is asked first starts no program.
fn usage<'a>(case: &mut Case<'a>, system: GuestSystem) -> super::case::Look<'a> {
    let why = "which file system is full decides everything else";
    let mut ways = vec![way("fsinfo")];
    match system {
        GuestSystem::Linux => ways.extend([way("disk-usage"), way("disk-usage-basic")]),
        GuestSystem::Windows => ways.push(way("windows-disk-free").with("drive", "c")),
        GuestSystem::Other | GuestSystem::Unknown => {}
    }
    case.look("file-systems", why, ways)
}

/// Those that matter and are full, the fullest first.
pub(super) fn full_ones(facts: &GuestFacts) -> Vec<&FileSystem> {
    let is_full = |one: &&FileSystem| {
        !one.is_pseudo
            && one
                .used_percent
                .is_some_and(|percent| percent >= FULL_PERCENT)
    };
    facts.file_systems.iter().filter(is_full).collect()
}

fn room(one: &FileSystem) -> String {
    let free = one.available_bytes.map(figure::bytes);
    let size = one.size_bytes.map(figure::bytes);
    match (free, size) {
        (Some(free), Some(size)) => format!("{free} are left of {size}"),
        _ => match one.used_percent {
            Some(percent) => format!("{percent:.0} % are used"),
            None => "how much is left is not known".to_owned(),
        },
    }
}

/// Programs also fail with "no space left" when names run out.
fn no_space_is_missing(case: &mut Case<'_>, system: GuestSystem) -> Result<(), Next> {
    if system != GuestSystem::Linux {
        case.conclude("No file system is full.");
        return Ok(());
    }
    let why = "space is left everywhere; inodes may have run out";
    let facts = case.read("inodes", why, [way("inodes")])?;
    let out = facts.file_systems.iter().find(|one| {
        !one.is_pseudo
            && one
                .inode_percent
                .is_some_and(|percent| percent >= FULL_PERCENT)
    });
    if let Some(out) = out {
        let percent = out.inode_percent.unwrap_or_default();
        let left = match out.inodes_free {
            Some(free) => format!("room for {free} more files is left"),
            None => "hardly any new file can be made".to_owned(),
        };
        case.conclude(format!(
            "{} has space, but {percent:.0} % of its inodes are used: {left}.",
            out.mount
        ));
        case.advise(
            "Find directories with very many small files (session files, mail queues, caches) \
             and delete old ones by the program that made them. More inodes of ext4 take a \
             larger file system.",
        );
        return Ok(());
    }
    let why = "neither space nor inodes are short now; the log tells whether they were";
    let log = case.read(
        "log",
        why,
        [way("kernel-log"), way("kernel-log-basic"), way("journal")],
    )?;
    super::slow::told_by_log(case, log);
    if case.is_open() {
        case.conclude(
            "No file system is full, neither by space nor by inodes, as far as is known.",
        );
    }
    Ok(())
}

/// Names of `directory-usage`, and the mount or directory they stand for; the longest
/// that fits is looked at.
const DIRECTORIES: [(&str, &str); 10] = [
    ("/var/lib/docker", "docker"),
    ("/var/log", "var-log"),
    ("/var/lib", "var-lib"),
    ("/var", "var"),
    ("/home", "home"),
    ("/srv", "srv"),
    ("/opt", "opt"),
    ("/boot", "boot"),
    ("/tmp", "tmp"),
    ("/", "root"),
];

fn biggest(case: &mut Case<'_>, mount: &str) -> Result<(), Next> {
    let Some((path, name)) = DIRECTORIES.iter().find(|(path, _)| *path == mount) else {
        case.conclude(format!(
            "What uses the space in {mount} is not among what can be asked."
        ));
        return Ok(());
    };
    let why = format!("what uses the space below {path}; it reads the whole tree");
    let facts = case.read(
        "directories",
        &why,
        [way("directory-usage").with("directory", *name)],
    )?;
    let mut parts = facts.directories.iter().filter(|one| !one.is_total);
    let Some(first) = parts.next() else {
        return Ok(());
    };
    case.conclude(format!(
        "Most of it is {}: {}.",
        first.path,
        figure::bytes(first.size_bytes)
    ));
    advise_on(case, &first.path);
    // One level deeper where that is known to be worth it.
    let deeper = DIRECTORIES
        .iter()
        .find(|(path, _)| *path == first.path && *path != mount);
    if let Some((path, name)) = deeper {
        let why = format!("{path} has most of it; what is it there?");
        let asked = way("directory-usage").with("directory", *name);
        let facts = case.read("directories-below", &why, [asked])?;
        if let Some(first) = facts.directories.iter().find(|one| !one.is_total) {
            let size = figure::bytes(first.size_bytes);
            case.conclude(format!("There, most is {}: {size}.", first.path));
            advise_on(case, &first.path);
        }
    }
    Ok(())
}

fn advise_on(case: &mut Case<'_>, path: &str) {
    let advice = if path.starts_with("/var/log/journal") {
        "Bound the journal: `journalctl --vacuum-size=500M` deletes old entries for good, \
         SystemMaxUse= in journald.conf keeps it small."
    } else if path.starts_with("/var/log") {
        "Look at the largest logs and why they grow; logrotate keeps them small. Deleted \
         entries do not come back."
    } else if path.contains("docker") || path.contains("containers") {
        "`docker system df` shows what can go; `docker system prune` deletes stopped \
         containers and unused images, which have to be pulled again."
    } else if path.starts_with("/var/cache") {
        "Caches can go: `apt-get clean` or `dnf clean packages`. They are fetched again when \
         needed."
    } else if path.starts_with("/boot") {
        "Old kernels can go: `apt-get autoremove --purge`. Keep the one that runs."
    } else if path.starts_with("/home") {
        "Ask whose files these are before anything is deleted."
    } else {
        return;
    };
    case.advise(advice);
}

fn deleted(case: &mut Case<'_>) -> Result<(), Next> {
    let why = "deleted files that are still open use space that no directory shows";
    let facts = case.read("deleted-files", why, [way("deleted-files")])?;
    let held = facts.deleted_files.iter().flatten();
    let held = held.filter(|file| file.size_bytes.is_some_and(|size| size >= WORTH_BYTES));
    for file in held.take(3) {
        let size = figure::bytes(file.size_bytes.unwrap_or_default());
        case.conclude(format!("{} holds {size} in a deleted file.", file.process));
        case.advise(format!(
            "Restart {} when that is convenient: its deleted file is given back then.",
            file.process
        ));
    }
    Ok(())
}

/// What is left, and always possible.
fn grow(case: &mut Case<'_>, mount: &str) -> Result<(), Next> {
    let why = "whether the disk or a volume can be made larger";
    case.read("block-devices", why, [way("block-devices")])?;
    case.advise(format!(
        "If nothing can go: enlarge the disk of the VM in PVE (`qm disk resize`), then the \
         partition or volume and the file system of {mount} in the guest. A disk cannot be made \
         smaller again."
    ));
    Ok(())
}

fn windows(case: &mut Case<'_>) -> Result<(), Next> {
    let why = "shadow copies take space that no folder shows";
    case.read("shadow-copies", why, [way("windows-shadow-storage")])?;
    case.advise(
        "Start with Disk Cleanup including system files, then the largest folders (WinSxS, user \
         profiles, logs of IIS and SQL Server). Bounding shadow copies (`vssadmin resize \
         shadowstorage`) deletes the oldest ones for good.",
    );
    case.advise(
        "If nothing can go: enlarge the disk of the VM in PVE (`qm disk resize`) and extend the \
         volume in Disk Management. A disk cannot be made smaller again.",
    );
    Ok(())
}
