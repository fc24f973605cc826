//! The ways in which a file can be broken, and where that is no fault.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use pvelens_agent::host::fits;
use rustix::fs::{CWD, FileType, Mode, mknodat};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Truncated,
    Empty,
    NotUtf8,
    /// 100 MB, as a hole.
    Giant,
    Directory,
    /// A link to itself.
    Loop,
    Vanished,
    /// There, and refused.
    Unreadable,
    Fifo,
}

pub(crate) const FAULTS: &[Fault] = &[
    Fault::Truncated,
    Fault::Empty,
    Fault::NotUtf8,
    Fault::Giant,
    Fault::Directory,
    Fault::Loop,
    Fault::Vanished,
    Fault::Unreadable,
    Fault::Fifo,
];

/// Settings that need not be made.
const MAY_BE_EMPTY: &[&str] = &[
    "/etc/pve/datacenter.cfg",
    "/etc/pve/domains.cfg",
    "/etc/pve/jobs.cfg",
    "/etc/pve/nodes/*/config",
    "/etc/pve/notifications.cfg",
    "/etc/pve/replication.cfg",
    "/etc/pve/status.cfg",
];

/// Of these only the names are looked at.
pub(crate) const NAMES_ONLY: &[&str] = &[
    "/run/watchdog-mux.active",
    "/sys/class/net/*/brif/*",
    "/sys/class/net/*/lower_*",
    "/sys/fs/cgroup/system.slice/*.service/cgroup.procs",
    // The name that it links to; a copy in its place has none.
    "/etc/localtime",
    "/sys/fs/pstore/*",
    "/etc/apt/trusted.gpg",
    "/etc/apt/trusted.gpg.d/*",
    "/etc/udev/rules.d/70-persistent-net.rules",
    "/sys/kernel/iommu_groups/*",
    "/boot/vmlinuz-*",
    "/etc/systemd/system/*.mount",
    "/etc/systemd/system/timers.target.wants/zfs-scrub-*",
    "/var/lib/dkms/*/*/*/**",
];
/// Of these the kernel is asked when they were changed; they are not opened.
const TIMES_ONLY: &[&str] = &[
    "/var/cache/apt/pkgcache.bin",
    "/var/lib/apt/lists/*Release",
    "/var/lib/apt/periodic/update-success-stamp",
];
/// Written by people, who may leave out the newline or everything.
const BY_HAND: &[&str] = &[
    "/etc/aliases",
    "/etc/apt/apt.conf",
    "/etc/apt/apt.conf.d/*",
    "/etc/apt/preferences",
    "/etc/apt/preferences.d/*",
    "/etc/apt/sources.list",
    "/etc/apt/sources.list.d/*",
    "/etc/chrony/chrony.conf",
    "/etc/chrony/conf.d/*.conf",
    "/etc/chrony/sources.d/*.sources",
    "/etc/cron.d/zfsutils-linux",
    "/etc/default/grub",
    "/etc/default/locale",
    "/etc/default/grub.d/*.cfg",
    "/etc/default/pve-ha-manager",
    "/etc/default/pveproxy",
    "/etc/fstab",
    "/etc/hosts",
    "/etc/kernel/*",
    "/etc/lvm/lvm.conf",
    "/etc/modprobe.d/zfs.conf",
    "/etc/sysctl.conf",
    "/etc/sysctl.d/*.conf",
    "/usr/lib/sysctl.d/*.conf",
    "/etc/modprobe.d/*.conf",
    "/etc/network/interfaces",
    "/etc/network/interfaces.d/*",
    "/etc/network/interfaces.new",
    "/etc/postfix/main.cf",
    "/etc/resolv.conf",
    "/etc/rsyslog.conf",
    "/etc/rsyslog.d/*.conf",
    "/etc/sudoers",
    "/etc/sudoers.d/*",
    "/etc/systemd/journal-upload.conf",
    "/etc/systemd/journal-upload.conf.d/*.conf",
    "/etc/systemd/journald.conf",
    "/etc/systemd/journald.conf.d/*.conf",
    "/etc/systemd/system.conf",
    "/etc/systemd/system.conf.d/*.conf",
    "/etc/systemd/timesyncd.conf",
    "/etc/systemd/timesyncd.conf.d/*.conf",
    "/etc/vzdump.conf",
    "/etc/zfs/zed.d/zed.rc",
];

pub(crate) fn is_one_of(patterns: &[&str], path: &str) -> bool {
    patterns.iter().any(|pattern| fits(pattern, path))
}
/// Files of sections, any of which may go.
const SECTION_FILES: &[&str] = &[
    "/etc/pve/ha/*.cfg",
    "/etc/pve/mapping/*.cfg",
    "/etc/pve/sdn/*.cfg",
    "/etc/pve/virtual-guest/*",
];

/// Faults that are none for a path.
pub(crate) fn is_harmless(path: &str, fault: Fault, is_link: bool) -> bool {
    match fault {
        // A source may be missing. What that means is each collector's matter;
        // that nothing else changes is checked all the same.
        Fault::Vanished => true,
        // It is a link either way, and has no mode of its own.
        Fault::Loop | Fault::Unreadable if is_link => true,
        _ if is_one_of(NAMES_ONLY, path) => true,
        Fault::Truncated | Fault::Empty | Fault::NotUtf8 | Fault::Giant | Fault::Unreadable
            if is_one_of(TIMES_ONLY, path) =>
        {
            true
        }
        Fault::Truncated | Fault::Empty if is_one_of(BY_HAND, path) => true,
        // Written by people, who may leave out the newline; the name in use is
        // that of the `local` link.
        Fault::Truncated | Fault::Empty if path == "/etc/hostname" => true,
        Fault::Truncated | Fault::Empty if path == "/proc/sys/kernel/hostname" => true,
        // PVE leaves an empty file when the last section goes.
        Fault::Empty if SECTION_FILES.iter().any(|pattern| fits(pattern, path)) => true,
        // Empty before the first task.
        Fault::Empty
            if path == "/var/log/pve/tasks/active" || path == "/var/log/pve/tasks/index" =>
        {
            true
        }
        // Empty where IPv6 is switched off.
        Fault::Empty if path == "/proc/1/net/if_inet6" || path == "/proc/1/net/ipv6_route" => true,
        // Empty without a profile.
        Fault::Empty if path == "/sys/kernel/security/apparmor/profiles" => true,
        // Empty until the first request.
        Fault::Empty if fits("/sys/fs/cgroup/*/*/io.stat", path) => true,
        // Empty when the last setting or job was taken out.
        Fault::Empty if MAY_BE_EMPTY.iter().any(|pattern| fits(pattern, path)) => true,
        _ => false,
    }
}

/// Puts something broken where nothing is; `content` is what was there.
pub(crate) fn inflict(place: &Path, content: &[u8], fault: Fault) -> io::Result<()> {
    match fault {
        Fault::Truncated => {
            // Inside a line: a whole file with fewer lines is another file.
            let cut = content[..content.len() * 2 / 3].trim_ascii_end();
            fs::write(place, &cut[..cut.len().saturating_sub(1)])
        }
        Fault::Empty => fs::write(place, ""),
        Fault::NotUtf8 => fs::write(place, [b"\xff\xfe\xe9".as_slice(), content].concat()),
        Fault::Giant => fs::File::create(place)?.set_len(100_000_000),
        Fault::Directory => fs::create_dir(place),
        Fault::Loop => symlink(place.file_name().unwrap_or_default(), place),
        Fault::Vanished => Ok(()),
        Fault::Unreadable => {
            fs::write(place, content)?;
            fs::set_permissions(place, fs::Permissions::from_mode(0o000))
        }
        Fault::Fifo => {
            let mode = Mode::from_raw_mode(0o644);
            Ok(mknodat(CWD, place, FileType::Fifo, mode, 0)?)
        }
    }
}
