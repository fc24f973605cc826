//! Paths that a collector could come to want, and whether they can be read.
//!
//! [`Host`](pvelens_agent::host::Host) refuses many of them by itself, so they are
//! opened without it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use pvelens_proto::agent::v1::FailureKind;
use rustix::fs::OFlags;

use super::Place;

/// Places that the unit hides or empties.
const PLACES: &[&str] = &[
    "/boot",
    "/dev/disk",
    "/dev/hugepages",
    "/dev/mapper",
    "/dev/mqueue",
    "/dev/shm",
    "/etc/gshadow",
    "/etc/pve/local/priv",
    "/etc/pve/nodes/pve1/priv",
    "/etc/pve/priv",
    "/etc/shadow",
    "/etc/ssl/private",
    "/etc/subscription",
    "/home",
    "/opt",
    "/root",
    "/run/lock",
    "/run/systemd",
    "/sys/fs/cgroup",
    "/sys/kernel/debug",
    "/sys/kernel/security",
    "/sys/kernel/tracing",
    "/usr/bin",
    "/usr/games",
    "/usr/lib",
    "/usr/libexec",
    "/usr/local",
    "/usr/sbin",
    "/var/lib/pve-cluster",
    "/var/lib/vz",
    "/var/log",
];
/// Of a process; what lies in them is not always as readable as they are.
const PROCESS_DIRECTORIES: &[&str] = &["attr", "fd", "fdinfo", "map_files", "net", "ns"];
const VMS: &str = "/run/qemu-server";

/// Everything to try, as far as it is there: all of process 1 and of VMs, the
/// files of `/proc` itself, and the places above.
pub(super) fn paths() -> Vec<String> {
    let mut paths: Vec<String> = PLACES.iter().map(|path| (*path).to_owned()).collect();
    let of_kernel = names("/proc").into_iter();
    paths.extend(
        of_kernel
            .map(|name| format!("/proc/{name}"))
            .filter(|path| fs::symlink_metadata(path).is_ok_and(|data| data.is_file())),
    );
    let mut processes = vec!["/proc/1".to_owned()];
    for name in names(VMS) {
        let pid = fs::read_to_string(format!("{VMS}/{name}")).unwrap_or_default();
        processes.push(format!("/proc/{}", pid.trim()));
    }
    for process in processes {
        for name in names(&process) {
            let path = format!("{process}/{name}");
            if PROCESS_DIRECTORIES.contains(&name.as_str()) {
                paths.extend(names(&path).iter().map(|inner| format!("{path}/{inner}")));
            }
            paths.push(path);
        }
    }
    paths
}

fn names(directory: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect()
}

/// Takes something out of a file, a directory or a link.
pub(super) fn attempt(path: &str) -> io::Result<Place> {
    let kind = fs::symlink_metadata(path)?.file_type();
    if kind.is_symlink() {
        fs::read_link(path)?;
        Ok(Place::Link)
    } else if kind.is_dir() {
        fs::read_dir(path)?.next().transpose()?;
        Ok(Place::Directory)
    } else if kind.is_file() {
        read(path)?;
        Ok(Place::File)
    } else {
        Err(io::ErrorKind::InvalidInput.into())
    }
}

fn read(path: &str) -> io::Result<()> {
    // The kernel's log would block without it.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let mut file: File = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    // Some files of the kernel are read in words or whole records only.
    file.read(&mut [0_u8; 4096]).map(drop)
}

pub(super) fn kind(error: &io::Error) -> FailureKind {
    match error.kind() {
        io::ErrorKind::PermissionDenied => FailureKind::PermissionDenied,
        io::ErrorKind::NotFound => FailureKind::NotFound,
        _ => FailureKind::Io,
    }
}

/// Whether a path is of a process or thread that has ended since it was listed.
pub(super) fn has_ended(path: &str) -> bool {
    let names: Vec<&str> = path.split('/').collect();
    match *names.as_slice() {
        ["", "proc", process, "task", thread, ..] if is_number(process) => {
            !Path::new(&format!("/proc/{process}/task/{thread}")).exists()
        }
        ["", "proc", process, ..] if is_number(process) => {
            !Path::new(&format!("/proc/{process}")).exists()
        }
        _ => false,
    }
}

pub(super) fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}
