//! Names of backup archives in a directory (`pve-storage@src/PVE/Storage.pm`).

use std::collections::{BTreeMap, HashSet};

use pvelens_proto::agent::v1::{BackupArchives, GuestArchives, GuestKind};

const GUEST_LIMIT: usize = 5_000;
const COMPRESSIONS: &[&str] = &["bz2", "gz", "lzo", "zst"];
/// Length of `YYYY_MM_DD-HH_MM_SS`.
const TIME_LENGTH: usize = 19;

struct Archive<'a> {
    kind: GuestKind,
    vmid: u32,
    /// `YYYY-MM-DD HH:MM:SS`.
    local_time: String,
    compression: &'a str,
    /// Without the extensions.
    base: &'a str,
}

/// Adds what the names in a directory tell.
pub(super) fn add(names: &[String], found: &mut BackupArchives) {
    let all: HashSet<&str> = names.iter().map(String::as_str).collect();
    let has = |name: &str, suffix: &str| all.contains(format!("{name}{suffix}").as_str());
    let mut guests: BTreeMap<u32, GuestArchives> = BTreeMap::new();
    for name in names {
        if !name.starts_with("vzdump-qemu-") && !name.starts_with("vzdump-lxc-") {
            continue;
        }
        if name.ends_with(".dat") || name.ends_with(".tmp") {
            found.partial = found.partial.saturating_add(1);
            continue;
        }
        let Some((base, compression)) = split(name) else {
            continue;
        };
        let Some(archive) = archive(base, compression) else {
            found.undated = found.undated.saturating_add(1);
            continue;
        };
        if guests.len() >= GUEST_LIMIT && !guests.contains_key(&archive.vmid) {
            found.truncated = true;
            continue;
        }
        let is_protected = has(name, ".protected");
        let guest = guests.entry(archive.vmid).or_default();
        guest.archives = guest.archives.saturating_add(1);
        if is_protected {
            guest.protected_archives = guest.protected_archives.saturating_add(1);
        }
        if archive.local_time > guest.newest_local_time {
            guest.vmid = archive.vmid;
            guest.kind = archive.kind.into();
            guest.newest_local_time = archive.local_time;
            archive
                .compression
                .clone_into(&mut guest.newest_compression);
            guest.newest_has_notes = has(name, ".notes");
            guest.newest_is_protected = is_protected;
            guest.newest_has_log = has(archive.base, ".log");
        }
    }
    found.guests = guests.into_values().collect();
}

/// The name without `.vma`, `.tar` or `.tgz` and compression, and the latter;
/// `None` when it is no archive.
fn split(name: &str) -> Option<(&str, &str)> {
    if let Some(base) = name.strip_suffix(".tgz") {
        return Some((base, "gz"));
    }
    let (rest, compression) = match name.rsplit_once('.') {
        Some((rest, last)) if COMPRESSIONS.contains(&last) => (rest, last),
        _ => (name, ""),
    };
    let base = rest
        .strip_suffix(".vma")
        .or_else(|| rest.strip_suffix(".tar"))?;
    Some((base, compression))
}

/// `vzdump-KIND-ID-YYYY_MM_DD-HH_MM_SS`.
fn archive<'a>(base: &'a str, compression: &'a str) -> Option<Archive<'a>> {
    let (kind, rest) = base.strip_prefix("vzdump-")?.split_once('-')?;
    let (vmid, time) = rest.split_once('-')?;
    let pattern = "dddd_dd_dd-dd_dd_dd";
    let fits = time.len() == TIME_LENGTH
        && time.chars().zip(pattern.chars()).all(|(c, wanted)| {
            if wanted == 'd' {
                c.is_ascii_digit()
            } else {
                c == wanted
            }
        });
    let (date, clock) = time.split_once('-').filter(|_| fits)?;
    Some(Archive {
        kind: super::guest_kind(kind)?,
        vmid: vmid.parse().ok()?,
        local_time: format!("{} {}", date.replace('_', "-"), clock.replace('_', ":")),
        compression,
        base,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(names: &[&str]) -> BackupArchives {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut found = BackupArchives::default();
        add(&names, &mut found);
        found
    }

    #[test]
    fn the_newest_archive_of_each_guest_counts() {
        let found = found(&[
            "vzdump-qemu-101-2026_11_21-02_30_00.vma.zst",
            "vzdump-qemu-101-2026_11_21-02_30_00.vma.zst.protected",
            "vzdump-qemu-101-2026_11_22-02_30_00.vma.zst",
            "vzdump-qemu-101-2026_11_22-02_30_00.vma.zst.notes",
            "vzdump-qemu-101-2026_11_22-02_30_00.log",
            "vzdump-qemu-101-2026_11_23-02_30_00.log",
            "vzdump-lxc-110-2026_11_20-02_30_00.tgz",
            "vzdump-lxc-110-2026_11_22-02_30_00.tar.dat",
            "vzdump-qemu-7-before-upgrade.vma.lzo",
            "vzdump-qemu-102-2026_11_22-02_30_00.tmp",
            "notes.txt",
        ]);
        let [vm, container] = found.guests.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!((vm.vmid, vm.archives, vm.protected_archives), (101, 2, 1));
        assert_eq!(vm.newest_local_time, "2026-11-22 02:30:00");
        assert!(vm.newest_has_notes && vm.newest_has_log && !vm.newest_is_protected);
        assert_eq!(container.newest_compression, "gz");
        assert_eq!((found.undated, found.partial), (1, 2));
    }

    proptest! {
        #[test]
        fn any_names_are_counted(names in proptest::collection::vec("(vzdump-)?(qemu|lxc)?-?[0-9é]{0,4}-?(2026_11_2[0-9]-02_30_00)?\\.?(vma|tar|tgz)?(\\.zst)?", 0..6)) {
            let mut found = BackupArchives::default();
            add(&names, &mut found);
            prop_assert!(found.guests.len() <= names.len());
        }
    }
}
