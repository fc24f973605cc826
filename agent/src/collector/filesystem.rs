//! Mounted file systems, from the mount table of process 1, and the sizes of
//! the local ones.
//!
//! Read directly: inside the sandbox the agent's own mount table is not the
//! node's, and sysinfo reads the agent's. A network or FUSE mount is listed and
//! never touched: `statvfs` on a dead one blocks for ever.

use std::collections::HashMap;

use pvelens_proto::agent::v1::{CollectionClass, Filesystem, FilesystemState, Filesystems};

use super::{CollectError, Collector, FAST, FILE_DEADLINE, KERNEL_FILE_LIMIT, Payload, Reading};
use crate::{
    format::{FormatError, plain, whole_lines},
    host::SourceError,
};

const MOUNTINFO: &str = "/proc/1/mountinfo";
/// Only for trees that were recorded without `/proc/1`.
const MOUNTS: &str = "/proc/mounts";
const MOUNT_LIMIT: usize = 5_000;
/// Block devices whose file system is told by its UUID.
const UUID_LIMIT: usize = 100;
const UDEV_LIMIT: u64 = 256 << 10;

/// Types with a disk of this node behind them.
const LOCAL: &[&str] = &[
    "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "ntfs3", "reiserfs",
    "vfat", "xfs", "zfs",
];
/// Types with another machine or process behind them.
const REMOTE: &[&str] = &[
    "9p",
    "beegfs",
    "ceph",
    "cifs",
    "fuse",
    "fuseblk",
    "glusterfs",
    "lustre",
    "nfs",
    "nfs4",
    "ocfs2",
    "gfs2",
    "smb3",
    "virtiofs",
];

pub(super) const COLLECTOR: Collector = Collector {
    name: "filesystem",
    summary: "mounted file systems, and the size of the local ones",
    class: CollectionClass::Fast,
    interval: FAST,
    deadline: FILE_DEADLINE,
    paths: &[
        MOUNTINFO,
        MOUNTS,
        "/.pvelens/statvfs.json",
        "/run/udev/data/b*",
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let mut filesystems = match reading.read(MOUNTINFO, KERNEL_FILE_LIMIT) {
        Ok(text) => parse_mountinfo(&text).map_err(|error| error.at(MOUNTINFO))?,
        Err(error) if error.is_not_found() => {
            let text = reading.read(MOUNTS, KERNEL_FILE_LIMIT)?;
            parse_mounts(&text).map_err(|error| error.at(MOUNTS))?
        }
        Err(error) => return Err(error.into()),
    };
    filesystems.sort_by(|a, b| a.mount_point.cmp(&b.mount_point));
    let mut known = HashMap::new();
    for filesystem in &mut filesystems {
        // Datasets of ZFS and the like have no block device.
        if !filesystem.device.is_empty()
            && !filesystem.device.starts_with("0:")
            && known.len() < UUID_LIMIT
        {
            let uuid = known
                .entry(filesystem.device.clone())
                .or_insert_with_key(|device| uuid(reading, device));
            filesystem.uuid.clone_from(uuid);
        }
        if filesystem.state() != FilesystemState::Measured {
            continue;
        }
        match reading.statvfs(&filesystem.mount_point) {
            Ok(Some(size)) => {
                filesystem.total_bytes = Some(size.total_bytes);
                filesystem.used_bytes = Some(size.total_bytes.saturating_sub(size.free_bytes));
                filesystem.available_bytes = Some(size.available_bytes);
                filesystem.inodes_total = Some(size.inodes_total);
                filesystem.inodes_free = Some(size.inodes_free);
            }
            Ok(None) => filesystem.set_state(FilesystemState::NotTouched),
            Err(error) => {
                filesystem.set_state(FilesystemState::Failed);
                reading.fail(error);
            }
        }
    }
    Ok(Payload::Filesystems(Filesystems { filesystems }))
}

/// What udev found on the block device, a line `E:ID_FS_UUID=…` (`systemd@src/udev`,
/// `udev_device_update_db`). Its database is in memory.
fn uuid(reading: &mut Reading<'_>, device: &str) -> String {
    let path = format!("/run/udev/data/b{device}");
    let Some(text) = reading.read_optional(&path, UDEV_LIMIT) else {
        return String::new();
    };
    reading.keep(whole_lines(&text).map_err(|error| error.at(&path)));
    let mut lines = text.lines();
    let uuid = lines.find_map(|line| line.strip_prefix("E:ID_FS_UUID="));
    uuid.and_then(plain::name).unwrap_or_default().to_owned()
}

/// `36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
/// (kernel `Documentation/filesystems/proc.rst`, 3.5). Later mounts hide earlier
/// ones on the same point.
pub(crate) fn parse_mountinfo(text: &str) -> Result<Vec<Filesystem>, FormatError> {
    let malformed = || FormatError::malformed("not a mount table");
    let mut mounts = Vec::new();
    for line in whole_lines(text)?.lines() {
        let (mount, store) = line.split_once(" - ").ok_or_else(malformed)?;
        let mut mount = mount.split(' ').skip(2);
        let mut store = store.split(' ');
        let mut next = || mount.next().ok_or_else(malformed);
        let (device, root, point, options) = (next()?, next()?, next()?, next()?);
        let (kind, source) = (
            store.next().ok_or_else(malformed)?,
            store.next().unwrap_or_default(),
        );
        // A bind mount of a part of a file system that is listed itself.
        let is_part = root != "/" && kind != "btrfs" && kind != "zfs";
        let read_only = is_read_only(options) || store.next().is_some_and(is_read_only);
        if !is_part {
            keep(&mut mounts, kind, source, point, read_only, device)?;
        }
    }
    Ok(mounts)
}

/// `source point type options 0 0`.
fn parse_mounts(text: &str) -> Result<Vec<Filesystem>, FormatError> {
    let mut mounts = Vec::new();
    for line in whole_lines(text)?.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [source, point, kind, options, ..] = words.as_slice() else {
            return Err(FormatError::malformed("not a mount table"));
        };
        keep(&mut mounts, kind, source, point, is_read_only(options), "")?;
    }
    Ok(mounts)
}

/// Every mount point, and whether what is mounted there answers without another
/// machine or process.
#[derive(Debug)]
pub(super) struct LocalMounts(Vec<(String, bool)>);

impl LocalMounts {
    /// Reads the mount table of the node.
    pub(super) fn read(reading: &mut Reading<'_>) -> Result<Self, SourceError> {
        match reading.read(MOUNTINFO, KERNEL_FILE_LIMIT) {
            Ok(text) => Self::parse(&text, 4, " - ", 0).map_err(|error| error.at(MOUNTINFO)),
            Err(error) if error.is_not_found() => {
                let text = reading.read(MOUNTS, KERNEL_FILE_LIMIT)?;
                Self::parse(&text, 1, " ", 1).map_err(|error| error.at(MOUNTS))
            }
            Err(error) => Err(error),
        }
    }

    /// The place of the mount point in a line, and that of the type behind the
    /// separator.
    fn parse(text: &str, point: usize, separator: &str, kind: usize) -> Result<Self, FormatError> {
        let malformed = || FormatError::malformed("not a mount table");
        let mut mounts = Vec::new();
        for line in whole_lines(text)?.lines() {
            let point = line.split(' ').nth(point).ok_or_else(malformed)?;
            let (_, store) = line.split_once(separator).ok_or_else(malformed)?;
            let kind = store.split(' ').nth(kind).ok_or_else(malformed)?;
            let is_local = LOCAL.contains(&kind) || kind == "tmpfs";
            mounts.push((unescape(point), is_local));
        }
        Ok(Self(mounts))
    }

    /// Whether a path can be touched: it and each directory above it are on
    /// local file systems.
    pub(super) fn holds(&self, path: &str) -> bool {
        let is_above = |point: &str| {
            point == "/"
                || path
                    .strip_prefix(point)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        // A later mount on the same point hides the earlier one.
        let above: HashMap<&str, bool> = self
            .0
            .iter()
            .map(|(point, is_local)| (point.as_str(), *is_local))
            .filter(|(point, _)| is_above(point))
            .collect();
        !above.is_empty() && above.values().all(|is_local| *is_local)
    }
}

fn keep(
    mounts: &mut Vec<Filesystem>,
    kind: &str,
    source: &str,
    point: &str,
    read_only: bool,
    device: &str,
) -> Result<(), FormatError> {
    let is_remote = REMOTE.contains(&kind) || kind.starts_with("fuse.");
    if !is_remote && !LOCAL.contains(&kind) {
        return Ok(());
    }
    if mounts.len() >= MOUNT_LIMIT {
        return Err(FormatError::malformed("more than 5,000 file systems"));
    }
    let mount_point = unescape(point);
    mounts.retain(|mount| mount.mount_point != mount_point);
    mounts.push(Filesystem {
        mount_point,
        source: unescape(source),
        filesystem_type: kind.to_owned(),
        read_only,
        device: device.to_owned(),
        state: if is_remote {
            FilesystemState::NotTouched
        } else {
            FilesystemState::Measured
        }
        .into(),
        ..Filesystem::default()
    });
    Ok(())
}

fn is_read_only(options: &str) -> bool {
    options.split(',').any(|option| option == "ro")
}

/// The kernel writes space, tab, newline and backslash as `\ooo`.
pub(super) fn unescape(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let code = after
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok())
            .filter(u8::is_ascii);
        match code {
            Some(code) => {
                out.push(char::from(code));
                // The three digits are ASCII, so this is a boundary.
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                out.push('\\');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collector::tests::sample;

    const TABLE: &str = "\
        25 1 252:1 / / rw,relatime shared:1 - ext4 /dev/mapper/pve-root rw,errors=remount-ro\n\
        30 25 0:5 / /proc rw - proc proc rw\n\
        40 25 0:50 / /etc/pve rw - fuse /dev/fuse rw\n\
        41 25 0:51 / /mnt/pve/my\\040nfs rw - nfs4 10.0.0.1:/x rw\n\
        42 25 252:1 /sub /bind rw - ext4 /dev/mapper/pve-root rw\n\
        43 25 8:1 / /data rw - xfs /dev/sda1 ro,noquota\n";

    #[test]
    fn remote_mounts_are_listed_and_not_touched() {
        let mounts = parse_mountinfo(TABLE).unwrap();
        let found: Vec<_> = mounts
            .iter()
            .map(|mount| (mount.mount_point.as_str(), mount.state(), mount.read_only))
            .collect();
        assert_eq!(
            found,
            [
                ("/", FilesystemState::Measured, false),
                ("/etc/pve", FilesystemState::NotTouched, false),
                ("/mnt/pve/my nfs", FilesystemState::NotTouched, false),
                ("/data", FilesystemState::Measured, true),
            ]
        );
    }

    #[test]
    fn udev_tells_the_uuid_of_a_block_device() {
        let files = [
            ("proc/1/mountinfo", TABLE),
            (
                "run/udev/data/b252:1",
                "S:mapper/pve-root\nE:ID_FS_TYPE=ext4\nE:ID_FS_UUID=7b1c-22\n",
            ),
            ("run/udev/data/b0:51", "E:ID_FS_UUID=no\n"),
        ];
        let Some(Payload::Filesystems(found)) = sample(&COLLECTOR, &files).payload else {
            panic!();
        };
        let uuids: Vec<_> = found
            .filesystems
            .iter()
            .map(|one| (one.mount_point.as_str(), one.uuid.as_str()))
            .collect();
        assert_eq!(
            uuids,
            [
                ("/", "7b1c-22"),
                ("/data", ""),
                ("/etc/pve", ""),
                ("/mnt/pve/my nfs", "")
            ]
        );
    }

    #[test]
    fn the_last_mount_on_a_point_counts() {
        let mounts = parse_mounts("a /x ext4 rw 0 0\nb /x xfs rw 0 0\n").unwrap();
        assert_eq!(mounts.len(), 1);
        assert_eq!(mounts[0].source, "b");
    }

    #[test]
    fn a_path_is_local_when_all_above_it_is() {
        let table = format!(
            "{TABLE}44 25 0:60 / /auto rw - autofs systemd-1 rw\n45 25 8:2 / /mnt/pve/my\\040nfs/disk rw - ext4 /dev/sdb rw\n"
        );
        let mounts = LocalMounts::parse(&table, 4, " - ", 0).unwrap();
        for path in ["/", "/var/lib/vz", "/data/dump", "/mnt/pve", "/automatic"] {
            assert!(mounts.holds(path), "{path}");
        }
        for path in [
            "/mnt/pve/my nfs",
            "/mnt/pve/my nfs/disk/x",
            "/auto/x",
            "/etc/pve",
        ] {
            assert!(!mounts.holds(path), "{path}");
        }
        let mounts = LocalMounts::parse("a / ext4 rw 0 0\nb /x nfs rw 0 0\n", 1, " ", 1).unwrap();
        assert!(mounts.holds("/y") && !mounts.holds("/x/y"));
        assert!(!LocalMounts(Vec::new()).holds("/"));
    }

    #[test]
    fn a_cut_table_is_named() {
        assert!(parse_mountinfo("").is_err());
        assert!(parse_mountinfo("25 1 252:1 / / rw\n").is_err());
        assert!(parse_mountinfo(TABLE.trim_end()).is_err());
        assert!(parse_mounts("a /x\n").is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "([0-9]{1,2} [0-9] [0-9:]{1,3} / /[a-z\\\\0-9é]{0,9} (rw|ro) - (ext4|nfs|zfs) [a-z]{0,3} rw\n|\\PC{0,30}\n?){0,4}") {
            drop(parse_mountinfo(&text));
            drop(parse_mounts(&text));
        }

        #[test]
        fn unescaping_undoes_the_kernels_escaping(text in "[ -~é]{0,20}") {
            let escaped = text.replace('\\', "\\134").replace(' ', "\\040");
            prop_assert_eq!(unescape(&escaped), text);
        }
    }
}
