//! What all ways to list file systems share.

use super::super::{
    number,
    output::{NAME, PATH, WORD, some},
};
use crate::guest_command::facts::{FileSystem, GuestFacts};

const LIMIT: usize = 40;

/// Kinds that are in memory, always full by nature, or a view of another one.
const PSEUDO: &[&str] = &[
    "aufs",
    "autofs",
    "binfmt_misc",
    "bpf",
    "cdfs",
    "cgroup",
    "cgroup2",
    "configfs",
    "cramfs",
    "debugfs",
    "devfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "erofs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "overlayfs",
    "proc",
    "pstore",
    "ramfs",
    "romfs",
    "rootfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "udf",
    "fuse.gvfsd-fuse",
    "fuse.lxcfs",
    "fuse.portal",
    "fuse.snapfuse",
    "fuse.squashfuse",
    "fuse.archivemount",
    "fuse.rofiles-fuse",
];

/// Kinds that live on a server.
const NETWORK: &[&str] = &[
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "ceph",
    "glusterfs",
    "fuse.glusterfs",
    "fuse.sshfs",
    "fuse.s3fs",
    "afs",
    "9p",
    "virtiofs",
    "csvfs",
    "beegfs",
    "lustre",
    "ocfs2",
    "gfs2",
];

/// Names of devices with nothing behind them, for a `df` that tells no kind.
const PSEUDO_DEVICES: &[&str] = &[
    "tmpfs",
    "devtmpfs",
    "overlay",
    "overlayfs",
    "none",
    "udev",
    "dev",
    "shm",
    "run",
    "rootfs",
    "cgroup",
    "cgroup_root",
    "efivarfs",
    "mdev",
    "cgmfs",
    "tmp",
];

/// Where only such file systems are.
const PSEUDO_PLACES: &[&str] = &[
    "/snap/",
    "/var/lib/snapd/snap/",
    "/proc/",
    "/sys/",
    "/dev/",
    "/run/",
    "/var/lib/docker/overlay",
    "/var/lib/containers/storage/overlay",
    "/var/lib/kubelet/pods/",
    "/media/cdrom",
    "/mnt/cdrom",
];

/// Names of a file system in their bounds. `kind` is empty when it is not told.
pub(in super::super) fn named(device: &str, kind: &str, mount: &str) -> FileSystem {
    let lower = kind.to_ascii_lowercase();
    FileSystem {
        mount: some(mount, PATH).unwrap_or_default(),
        device: some(device, NAME),
        kind: some(kind, WORD),
        is_pseudo: is_pseudo(device, &lower, mount),
        is_network: NETWORK.contains(&lower.as_str()) || is_remote(device),
        ..FileSystem::default()
    }
}

fn is_pseudo(device: &str, kind: &str, mount: &str) -> bool {
    if !kind.is_empty() {
        return PSEUDO.contains(&kind);
    }
    PSEUDO_DEVICES.contains(&device)
        || device.starts_with("/dev/loop")
        || device.starts_with("/dev/sr")
        || PSEUDO_PLACES.iter().any(|place| {
            // A real disk may be mounted below `/run/media`.
            mount.starts_with(place) && !(device.starts_with("/dev/") && *place == "/run/")
        })
}

/// `server:/path`, `//server/share`.
fn is_remote(device: &str) -> bool {
    device.starts_with("//")
        || device
            .split_once(":/")
            .is_some_and(|(host, _)| !host.contains('/'))
}

/// Sizes as far as they agree with one another.
pub(in super::super) fn sizes(
    file_system: &mut FileSystem,
    size: Option<u64>,
    used: Option<u64>,
    available: Option<u64>,
) {
    let fits = |part: &u64| size.is_none_or(|size| *part <= size);
    file_system.size_bytes = size;
    file_system.used_bytes = used.filter(fits);
    file_system.available_bytes = available.filter(fits);
    // As `df` does: what only root can use belongs to no side.
    file_system.used_percent = match (file_system.used_bytes, file_system.available_bytes) {
        (Some(used), Some(available)) => number::share(used, used.saturating_add(available)),
        _ => None,
    };
}

/// Takes over a list, the fullest first.
pub(in super::super) fn keep(facts: &mut GuestFacts, mut list: Vec<FileSystem>) {
    if list.is_empty() {
        return;
    }
    facts.understood = true;
    let fullness = |one: &FileSystem| {
        let space = one.used_percent.unwrap_or(-1.0);
        space.max(one.inode_percent.unwrap_or(-1.0))
    };
    list.sort_by(|a, b| {
        a.is_pseudo
            .cmp(&b.is_pseudo)
            .then_with(|| fullness(b).total_cmp(&fullness(a)))
            .then_with(|| b.read_only.cmp(&a.read_only))
    });
    facts.bound("file_systems", &mut list, LIMIT);
    facts.file_systems = list;
}
