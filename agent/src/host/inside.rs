//! What is mounted inside a running container, seen from its first process.
//!
//! The other place that `Host` bans and that has a reader: the container probe.
//! `/proc/PID/root` leads into the container's mount namespace, where everything
//! (names, mounts, file systems, what is where at which moment) is the container's
//! to choose. So of it nothing is opened but directories and mount points, as
//! places and not for reading, and the way there is gone name by name:
//!
//! - No link is followed, at the end neither. A way through a link is no way.
//! - A name is looked up only in a mount that the caller lets pass. A lookup in a
//!   file system of FUSE or of the network waits for whoever serves it; stepping
//!   onto its root does not. Which mount a step has led to is told by
//!   `/proc/self/fdinfo`, which asks the kernel and not the file system.
//! - What was reached is known by the number of its mount, so a mount that was
//!   moved, covered or replaced since the table was read is told apart.
//! - The process is held by its open directory in `/proc`: another process that
//!   gets its number is not taken for it.
//!
//! `openat2` would do a part of this and is denied with set-id files, see
//! [`super::resolve`]. `setns` was rejected: it takes `CAP_SYS_ADMIN`, and a process
//! that is inside can be met there.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use pvelens_proto::agent::v1::FailureKind;
use rustix::{
    fs::{CWD, OFlags},
    io::Errno,
};

use super::{FilesystemSize, Host, SourceError, resolve::openat};

/// Where LXC keeps a directory for each running container (cgroup v2).
pub(crate) const CONTAINERS: &str = "/sys/fs/cgroup/lxc";
/// Below the container's directory, where its processes can be: PVE's LXC has them
/// in `ns`, where systemd moves itself to `init.scope`; others have `payload`.
const GROUPS: &[&str] = &["ns/init.scope", "ns", "payload/init.scope", "payload"];
/// Names in the container's own directory of groups that are looked at besides.
const NAME_LIMIT: usize = 512;
/// Bytes of a list of processes, and processes of it that are looked at.
const PROCESSES_LIMIT: u64 = 1 << 20;
const PROCESS_LIMIT: usize = 4_096;
const STATUS_LIMIT: u64 = 16 << 10;
const FDINFO_LIMIT: u64 = 4 << 10;
/// Names on one way.
const DEPTH_LIMIT: usize = 64;

/// The first process of a running container.
#[derive(Debug)]
pub(crate) struct Inside {
    process: OwnedFd,
}

/// A place inside a container, and the number of the mount that it is in.
#[derive(Debug)]
pub(crate) struct Spot {
    place: OwnedFd,
    pub(crate) mount: u64,
}

/// Why a way inside a container does not lead anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoWay {
    /// Through a mount that must not be touched.
    Closed,
    /// There is nothing, or a link, or it is refused.
    Broken(Errno),
}

impl Host {
    /// The containers that run, in order of their number; none where LXC never ran.
    ///
    /// # Errors
    /// When that cannot be told.
    pub(crate) fn containers(&self) -> Result<Vec<u32>, SourceError> {
        let names = match self.list(CONTAINERS) {
            Ok(names) => names,
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut vmids: Vec<u32> = names
            .iter()
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
            .filter_map(|name| name.parse().ok())
            .collect();
        vmids.sort_unstable();
        Ok(vmids)
    }

    /// The first process of a container; `None` when it has none any more.
    ///
    /// # Errors
    /// When its processes cannot be told.
    pub(crate) fn inside(&self, vmid: u32) -> Result<Option<Inside>, SourceError> {
        let top = format!("{CONTAINERS}/{vmid}");
        for group in GROUPS {
            if let Some(inside) = self.first_of(&format!("{top}/{group}"))? {
                return Ok(Some(inside));
            }
        }
        // An init that keeps itself in a group of another name. What else is there,
        // the files of the group, is no directory.
        let names = match self.list(&format!("{top}/ns")) {
            Ok(names) => names,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        for name in names.iter().take(NAME_LIMIT) {
            if let Some(inside) = self.first_of(&format!("{top}/ns/{name}"))? {
                return Ok(Some(inside));
            }
        }
        Ok(None)
    }

    /// The process of a group that is number 1 in a namespace of its own.
    fn first_of(&self, group: &str) -> Result<Option<Inside>, SourceError> {
        let list = format!("{group}/cgroup.procs");
        for pid in self.processes(&list)?.into_iter().take(PROCESS_LIMIT) {
            let path = format!("/proc/{pid}");
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let Ok(process) = super::resolve::open(&self.root, &path, flags) else {
                continue;
            };
            let inside = Inside { process };
            // The group still has the number, and after that the process still lives:
            // so it is the process that the group has.
            if inside.is_first() && self.processes(&list)?.contains(&pid) && inside.is_first() {
                return Ok(Some(inside));
            }
        }
        Ok(None)
    }

    fn processes(&self, list: &str) -> Result<Vec<u32>, SourceError> {
        match self.read(list, PROCESSES_LIMIT) {
            Ok(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            // A threaded group does not tell them (cgroup v2, "Threads").
            Err(error) if error.kind == FailureKind::Io => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

impl Inside {
    /// Whether it is process 1 of a namespace just below this one: `NSpid:\t4711\t1`.
    /// What runs containers inside the container has more numbers.
    fn is_first(&self) -> bool {
        let Ok((status, _)) = self.read("status", STATUS_LIMIT) else {
            return false;
        };
        let status = String::from_utf8_lossy(&status);
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        numbers.is_some_and(|numbers| {
            let numbers: Vec<&str> = numbers.split_whitespace().collect();
            matches!(numbers.as_slice(), [_, "1"])
        })
    }

    /// Its mount table, at most `limit` bytes of it, and whether that is all. The
    /// kernel writes it; the names in it are the container's.
    ///
    /// # Errors
    /// When the process has ended, or the kernel refuses.
    pub(crate) fn mount_table(&self, limit: u64) -> io::Result<(Vec<u8>, bool)> {
        self.read("mountinfo", limit)
    }

    /// Its root directory.
    ///
    /// # Errors
    /// When the process has ended, or without `CAP_SYS_PTRACE`.
    pub(crate) fn root(&self) -> Result<Spot, Errno> {
        // The one magic link that is followed. Nothing is asked of a file system.
        Spot::of(openat(
            &self.process,
            b"root",
            OFlags::PATH | OFlags::DIRECTORY,
        )?)
    }

    fn read(&self, name: &str, limit: u64) -> io::Result<(Vec<u8>, bool)> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW;
        let mut bytes = Vec::new();
        let file = File::from(openat(&self.process, name.as_bytes(), flags)?);
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        let is_whole = u64::try_from(bytes.len()).is_ok_and(|length| length <= limit);
        bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok((bytes, is_whole))
    }
}

impl Spot {
    fn of(place: OwnedFd) -> Result<Self, Errno> {
        let mount = mount_number(&place)?;
        Ok(Self { place, mount })
    }

    /// Goes a way from here; `may_pass` says in which mounts names may be looked up.
    ///
    /// # Errors
    /// When the way is closed or leads nowhere.
    pub(crate) fn go(&self, path: &[u8], may_pass: impl Fn(u64) -> bool) -> Result<Self, NoWay> {
        let names = path.split(|byte| *byte == b'/');
        let names = names.filter(|name| !name.is_empty());
        let mut here = Self {
            place: self
                .place
                .try_clone()
                .map_err(|_| NoWay::Broken(Errno::MFILE))?,
            mount: self.mount,
        };
        for (passed, name) in names.enumerate() {
            // The kernel writes neither into a mount table.
            if matches!(name, b"." | b"..") || passed >= DEPTH_LIMIT {
                return Err(NoWay::Broken(Errno::LOOP));
            }
            if !may_pass(here.mount) {
                return Err(NoWay::Closed);
            }
            // Not as a directory: that would set off an automount.
            let flags = OFlags::PATH | OFlags::NOFOLLOW;
            here = openat(&here.place, name, flags)
                .and_then(Self::of)
                .map_err(NoWay::Broken)?;
        }
        Ok(here)
    }

    /// The size of the file system that this is in. May block for ever where
    /// somebody else serves it.
    ///
    /// # Errors
    /// When the file system does not tell.
    pub(crate) fn size(&self) -> Result<FilesystemSize, Errno> {
        rustix::fs::fstatvfs(&self.place).map(|stat| FilesystemSize::of(&stat))
    }
}

/// The number of the mount that an open place is in, as in the first word of a
/// mount table (`Documentation/filesystems/proc.rst`, 3.8).
fn mount_number(place: &OwnedFd) -> Result<u64, Errno> {
    let path = format!("/proc/self/fdinfo/{}", place.as_fd().as_raw_fd());
    let file = openat(CWD, path.as_bytes(), OFlags::RDONLY)?;
    let mut text = String::new();
    File::from(file)
        .take(FDINFO_LIMIT)
        .read_to_string(&mut text)
        .map_err(|_| Errno::IO)?;
    let number = text.lines().find_map(|line| line.strip_prefix("mnt_id:"));
    number
        .and_then(|number| number.trim().parse().ok())
        .ok_or(Errno::IO)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write the tree they read")]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt, symlink},
        path::Path,
    };

    use tempfile::TempDir;

    use super::*;

    /// This process, which stands for one of a container.
    fn me() -> Inside {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let process = openat(CWD, b"/proc/self", flags).unwrap();
        Inside { process }
    }

    fn inode(spot: &Spot) -> u64 {
        rustix::fs::fstat(&spot.place).unwrap().st_ino
    }

    #[test]
    fn a_way_is_gone_in_the_mounts_that_may_be_passed_alone() {
        let root = me().root().unwrap();
        let directory = TempDir::new().unwrap();
        let path = directory.path().to_str().unwrap().as_bytes().to_owned();
        let there = root.go(&path, |_| true).unwrap();
        assert_eq!(inode(&there), fs::metadata(directory.path()).unwrap().ino());
        assert_eq!(root.go(&path, |_| false).unwrap_err(), NoWay::Closed);
        // Onto the root of a mount, and not a step into it.
        let own = root.mount;
        let proc = root.go(b"/proc", |mount| mount == own).unwrap();
        assert_ne!(proc.mount, own);
        let deeper = root.go(b"/proc/self", |mount| mount == own);
        assert_eq!(deeper.unwrap_err(), NoWay::Closed);
    }

    #[test]
    fn no_link_is_followed_and_no_way_leads_up() {
        let root = me().root().unwrap();
        let directory = TempDir::new().unwrap();
        fs::create_dir(directory.path().join("real")).unwrap();
        symlink("real", directory.path().join("link")).unwrap();
        symlink("/", directory.path().join("real/root")).unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let go = |name: &str| root.go(path(name).as_bytes(), |_| true);
        assert!(go("real").is_ok());
        // The link itself is no mount; behind it there is nothing.
        assert_ne!(inode(&go("link").unwrap()), inode(&go("real").unwrap()));
        assert_eq!(
            go("real/root/etc").unwrap_err(),
            NoWay::Broken(Errno::NOTDIR)
        );
        assert_eq!(go("link/root").unwrap_err(), NoWay::Broken(Errno::NOTDIR));
        for name in ["real/..", "real/./x", "nowhere"] {
            assert!(matches!(go(name), Err(NoWay::Broken(_))), "{name}");
        }
        let deep = "x/".repeat(5_000);
        assert!(root.go(deep.as_bytes(), |_| true).is_err());
    }

    #[test]
    fn the_size_is_that_of_the_file_system() {
        let root = me().root().unwrap();
        let size = root.size().unwrap();
        assert!(size.total_bytes > 0 && size.total_bytes >= size.free_bytes);
    }

    #[test]
    fn a_mount_table_is_cut_at_the_limit() {
        let (table, is_whole) = me().mount_table(1 << 20).unwrap();
        assert!(is_whole && table.ends_with(b"\n"));
        let (cut, is_whole) = me().mount_table(10).unwrap();
        assert!(!is_whole);
        assert_eq!(cut, table[..10]);
    }

    #[test]
    fn the_first_process_is_found_wherever_the_container_keeps_it() {
        for group in [
            "ns/init.scope",
            "ns",
            "payload",
            "ns/lxc.payload",
            "ns/own.slice",
        ] {
            let tree = TempDir::new().unwrap();
            let write = |path: &str, text: &str| {
                let path: &Path = &tree.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            };
            let list = format!("sys/fs/cgroup/lxc/110/{group}/cgroup.procs");
            write("sys/fs/cgroup/lxc/cgroup.procs", "");
            write("proc/76/status", "Name:\tsh\nNSpid:\t76\t9\n");
            // Of a container in the container.
            write("proc/77/status", "Name:\tsh\nNSpid:\t77\t12\t1\n");
            write("proc/79/status", "Name:\tsh\nNSpid:\t79\n");
            write(&list, "76\n77\n78\n79\n");
            let host = Host::open(tree.path()).unwrap();
            assert_eq!(host.containers().unwrap(), [110]);
            assert!(host.inside(110).unwrap().is_none(), "{group}");
            assert!(host.inside(111).unwrap().is_none());
            write("proc/80/status", "Name:\tNSpid:\t1\nNSpid:\t80\t1\n");
            write(&list, "76\n77\n80\n");
            assert!(host.inside(110).unwrap().is_some(), "{group}");
        }
    }

    #[test]
    fn where_lxc_never_ran_there_are_no_containers() {
        let tree = TempDir::new().unwrap();
        let host = Host::open(tree.path()).unwrap();
        assert!(host.containers().unwrap().is_empty());
    }
}
