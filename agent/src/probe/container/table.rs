//! The mount table of a container: what of it counts, and what may be touched.
//!
//! The kernel writes the table, so its numbers and types are true. Names of mount
//! points and sources, and the part of a type behind `fuse.`, are the container's.
//! What may be touched is decided here by the type, before anything is opened, and
//! as a list of what may: a type that nobody has heard of is left alone.

use std::collections::{HashMap, HashSet};

/// Lines that are looked at. The kernel allows 100,000 mounts in a namespace
/// (`fs.mount-max`), and a container may make them all.
pub(super) const LINE_LIMIT: usize = 20_000;

/// Types with a disk of the node behind them. A lookup in one waits for no process.
const DISK: &[&str] = &[
    "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "ntfs3", "reiserfs",
    "vfat", "xfs", "zfs",
];
/// In memory, and as big as who mounted it says.
const MEMORY: &[&str] = &["tmpfs"];
/// Below these, memory is the system's own and no place for data.
const OF_THE_SYSTEM: &[&str] = &["/dev", "/proc", "/run", "/sys"];
/// What has no size, or cannot be written: of no matter, and not touched.
const PSEUDO: &[&str] = &[
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "cramfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "erofs",
    "fuse.lxcfs",
    "fuse.snapfuse",
    "fuse.squashfuse",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nfsd",
    "nsfs",
    "proc",
    "pstore",
    "ramfs",
    "rootfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
];

/// What a file system is to the probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Nature {
    /// Measured, and gone through.
    Disk,
    /// Of another machine or process, or of no known type: named, never touched.
    Other,
    /// As `Disk`.
    Memory,
    /// Asking an overlay asks the file systems below it, which may be of FUSE: it
    /// is counted, and named where it is the root. Never touched.
    Overlay,
    FuseOverlay,
    /// Left out.
    Pseudo,
}

impl Nature {
    fn of(kind: &[u8]) -> Self {
        let is_in = |list: &[&str]| list.iter().any(|known| known.as_bytes() == kind);
        match kind {
            b"overlay" | b"aufs" => Self::Overlay,
            b"fuse.fuse-overlayfs" => Self::FuseOverlay,
            _ if is_in(DISK) => Self::Disk,
            _ if is_in(MEMORY) => Self::Memory,
            _ if is_in(PSEUDO) => Self::Pseudo,
            _ => Self::Other,
        }
    }

    fn may_be_touched(self) -> bool {
        matches!(self, Self::Disk | Self::Memory)
    }
}

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) number: u64,
    parent: u64,
    /// `major:minor`.
    pub(super) device: String,
    /// What of the file system is mounted: `/`, or a directory or file of it.
    pub(super) part: Vec<u8>,
    pub(super) point: Vec<u8>,
    pub(super) kind: Vec<u8>,
    pub(super) source: Vec<u8>,
    pub(super) is_read_only: bool,
    pub(super) nature: Nature,
}

/// The table of one container.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Each mount by its number, and whether names may be looked up in it.
    passable: HashMap<u64, bool>,
    /// Those that count and can be seen: the root first, then disks, then others.
    pub(super) mounts: Vec<Mount>,
    /// Those that count and are beyond the limit.
    pub(super) left_out: u32,
    pub(super) overlays: u32,
    pub(super) fuse_overlays: u32,
    /// All lines were looked at and understood.
    pub(super) is_whole: bool,
}

impl Table {
    /// Reads a table, keeping `limit` mounts.
    pub(super) fn parse(text: &[u8], limit: usize) -> Self {
        let mut table = Self {
            is_whole: true,
            ..Self::default()
        };
        let mut lines = text.split(|byte| *byte == b'\n');
        // Behind the last newline there is nothing; a line that was cut is none.
        table.is_whole = lines.next_back().is_none_or(<[u8]>::is_empty);
        let mut all = Vec::new();
        for (count, line) in lines.enumerate() {
            match Mount::parse(line) {
                Some(mount) if count < LINE_LIMIT => all.push(mount),
                _ => table.is_whole = false,
            }
        }
        for mount in &all {
            let may = mount.nature.may_be_touched();
            table.passable.insert(mount.number, may);
            match mount.nature {
                Nature::Overlay => table.overlays = table.overlays.saturating_add(1),
                Nature::FuseOverlay => {
                    table.fuse_overlays = table.fuse_overlays.saturating_add(1);
                }
                _ => {}
            }
        }
        table.keep(all, limit);
        table
    }

    /// Whether a name may be looked up in a mount. One that is not in the table
    /// came later.
    pub(super) fn may_pass(&self, mount: u64) -> bool {
        self.passable.get(&mount).copied().unwrap_or_default()
    }

    fn keep(&mut self, all: Vec<Mount>, limit: usize) {
        // What lies under another mount at the same point is seen by nobody.
        let covered: HashSet<(u64, Vec<u8>)> = all
            .iter()
            .map(|mount| (mount.parent, mount.point.clone()))
            .collect();
        let mut counting: Vec<Mount> = all
            .into_iter()
            .filter(|mount| mount.counts())
            .filter(|mount| !covered.contains(&(mount.number, mount.point.clone())))
            .collect();
        // Wholes before their parts.
        counting.sort_by(|a, b| {
            let key = |mount: &Mount| (!mount.is_root(), mount.nature, mount.part.len());
            key(a).cmp(&key(b)).then_with(|| a.point.cmp(&b.point))
        });
        for mount in counting {
            // A bind mount of what is listed already has no size of its own.
            if self.mounts.iter().any(|listed| listed.holds(&mount)) {
                continue;
            }
            if self.mounts.len() < limit {
                self.mounts.push(mount);
            } else {
                self.left_out = self.left_out.saturating_add(1);
            }
        }
    }
}

impl Mount {
    /// `36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
    /// (kernel `Documentation/filesystems/proc.rst`, 3.5).
    fn parse(line: &[u8]) -> Option<Self> {
        let mut words = line.split(|byte| *byte == b' ');
        let number = |word: &[u8]| str::from_utf8(word).ok()?.parse().ok();
        let (own, parent) = (number(words.next()?)?, number(words.next()?)?);
        let device = str::from_utf8(words.next()?).ok()?;
        let is_device = |byte: u8| byte.is_ascii_digit() || byte == b':';
        if device.len() > 24 || !device.bytes().all(is_device) {
            return None;
        }
        let (part, point) = (unescape(words.next()?), unescape(words.next()?));
        let options = words.next()?;
        // Optional fields end with a dash.
        words.find(|word| *word == b"-")?;
        let kind = words.next()?;
        let source = unescape(words.next().unwrap_or_default());
        let of_the_disk = words.next().unwrap_or_default();
        Some(Self {
            number: own,
            parent,
            device: device.to_owned(),
            part,
            point,
            kind: unescape(kind),
            source,
            is_read_only: is_read_only(options) || is_read_only(of_the_disk),
            nature: Nature::of(kind),
        })
    }

    pub(super) fn is_root(&self) -> bool {
        self.point == b"/"
    }

    pub(super) fn may_be_touched(&self) -> bool {
        self.nature.may_be_touched()
    }

    fn counts(&self) -> bool {
        match self.nature {
            _ if self.is_root() => true,
            Nature::Disk | Nature::Other => true,
            Nature::Memory => !OF_THE_SYSTEM
                .iter()
                .any(|place| is_below(&self.point, place.as_bytes())),
            Nature::Overlay | Nature::FuseOverlay | Nature::Pseudo => false,
        }
    }

    /// Whether another mount shows what this one shows, or a part of it.
    fn holds(&self, other: &Self) -> bool {
        self.device == other.device && self.kind == other.kind && is_below(&other.part, &self.part)
    }
}

fn is_below(path: &[u8], top: &[u8]) -> bool {
    top == b"/"
        || path
            .strip_prefix(top)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

fn is_read_only(options: &[u8]) -> bool {
    options
        .split(|byte| *byte == b',')
        .any(|option| option == b"ro")
}

/// The kernel writes space, tab, newline, backslash and `#` as `\ooo`.
fn unescape(word: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, behind)) = rest.split_first() {
        let code = behind
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                out.push(code);
                rest = behind.get(3..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    const TABLE: &str = "\
        500 400 0:60 / / rw,relatime - zfs rpool/data/subvol-110-disk-0 rw,xattr\n\
        501 500 0:61 / /dev rw,nosuid - tmpfs none rw,size=492k\n\
        502 500 0:62 / /proc rw - proc proc rw\n\
        503 502 0:63 /proc/meminfo /proc/meminfo rw - fuse.lxcfs lxcfs rw,user_id=0\n\
        504 500 0:64 / /data rw - zfs rpool/data/subvol-110-disk-1 rw\n\
        505 500 252:1 /srv/films /media/my\\040films ro,relatime - ext4 /dev/mapper/pve-root rw\n\
        506 500 0:65 / /run rw - tmpfs tmpfs rw\n\
        507 500 0:66 / /tmp rw - tmpfs tmpfs rw\n\
        508 500 0:67 / /mnt/nas rw - nfs4 192.0.2.1:/export rw\n\
        509 500 0:68 / /mnt/cloud rw - fuse.rclone secret: rw\n\
        510 500 0:69 / /var/lib/docker/overlay2/a/merged rw - overlay overlay rw\n\
        511 500 0:70 / /var/lib/docker/x/merged rw - fuse.fuse-overlayfs f rw\n\
        512 500 0:60 /var/cache /srv/cache rw - zfs rpool/data/subvol-110-disk-0 rw\n\
        513 500 0:71 / /odd rw - newfs x rw\n";

    fn parse(text: &str) -> Table {
        Table::parse(text.as_bytes(), 32)
    }

    fn points(table: &Table) -> Vec<String> {
        let points = table.mounts.iter().map(|mount| &mount.point);
        points
            .map(|point| String::from_utf8_lossy(point).into_owned())
            .collect()
    }

    #[test]
    fn what_counts_is_the_root_disks_others_and_memory() {
        let table = parse(TABLE);
        assert_eq!(
            points(&table),
            [
                "/",
                "/data",
                "/media/my films",
                "/mnt/cloud",
                "/mnt/nas",
                "/odd",
                "/tmp"
            ]
        );
        assert_eq!((table.overlays, table.fuse_overlays), (1, 1));
        assert!(table.is_whole);
        assert!(table.mounts[2].is_read_only);
        assert_eq!(table.mounts[2].part, b"/srv/films");
    }

    #[test]
    fn names_are_looked_up_on_disks_and_in_memory_alone() {
        let table = parse(TABLE);
        let passed: Vec<u64> = (490..520).filter(|n| table.may_pass(*n)).collect();
        assert_eq!(passed, [500, 501, 504, 505, 506, 507, 512]);
    }

    #[test]
    fn what_lies_under_another_mount_is_not_listed() {
        let table = parse(
            "1 0 8:1 / / rw - ext4 a rw\n2 1 0:9 / / rw - fuse b rw\n3 2 8:2 / /x rw - xfs c rw\n4 3 8:3 / /x rw - xfs d rw\n",
        );
        let numbers: Vec<u64> = table.mounts.iter().map(|mount| mount.number).collect();
        assert_eq!(numbers, [2, 4]);
    }

    #[test]
    fn a_root_of_any_type_is_listed() {
        for kind in ["overlay", "nfs4", "ramfs", "tmpfs", "fuse.fuse-overlayfs"] {
            let table = parse(&format!("1 0 0:9 / / rw - {kind} x rw\n"));
            assert_eq!(points(&table), ["/"], "{kind}");
            assert_eq!(table.mounts[0].may_be_touched(), kind == "tmpfs");
        }
    }

    #[test]
    fn thousands_of_mounts_displace_no_disk() {
        let mut text = String::new();
        for number in 10..5_000 {
            writeln!(
                text,
                "{number} 1 0:{number} / /flood/{number} rw - tmpfs x rw"
            )
            .unwrap();
            writeln!(text, "9{number} 1 8:1 / /bind/{number} rw - ext4 x rw").unwrap();
        }
        text.push_str("2 1 8:2 / /zzz rw - ext4 x rw\n1 0 8:1 / / rw - ext4 x rw\n");
        let table = parse(&text);
        assert_eq!(points(&table)[..2], ["/", "/zzz"]);
        assert_eq!((table.mounts.len(), table.left_out), (32, 4_990 - 30));
        assert!(table.is_whole);
        let endless = text.repeat(3);
        assert!(!parse(&endless).is_whole);
    }

    #[test]
    fn what_is_cut_or_no_mount_is_not_whole() {
        assert!(!parse(TABLE.trim_end()).is_whole);
        for line in [
            "",
            "x\n",
            "1 0 8:1 / / rw\n",
            "1 0 ../x / / rw - ext4 x rw\n",
        ] {
            let table = parse(line);
            assert_eq!(table.mounts, []);
            assert_eq!(table.is_whole, line.is_empty(), "{line}");
        }
    }

    #[test]
    fn names_need_not_be_text() {
        let table = Table::parse(b"1 0 8:1 / /\xff\\134\\012x rw - ext4 \xfe rw\n", 32);
        assert_eq!(table.mounts[0].point, b"/\xff\\\nx");
        // A word behind a backslash that is no code stays as it is.
        assert_eq!(unescape(b"a\\9\\"), b"a\\9\\");
        assert_eq!(unescape(b"\\777"), b"\\777");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_table(text in prop::collection::vec(any::<u8>(), 0..300)) {
            drop(Table::parse(&text, 4));
        }

        #[test]
        fn any_lines_are_a_table(text in "([0-9]{1,2} [0-9] [0-9:]{1,3} / /[a-z\\\\0-9é]{0,9} (rw|ro) (master:1 )?- (ext4|nfs|zfs|tmpfs|overlay) [a-z]{0,3} rw\n|\\PC{0,30}\n?){0,6}") {
            let table = Table::parse(text.as_bytes(), 4);
            prop_assert!(table.mounts.len() <= 4);
            for mount in &table.mounts {
                prop_assert!(mount.is_root() || mount.nature <= Nature::Memory);
            }
        }
    }
}
