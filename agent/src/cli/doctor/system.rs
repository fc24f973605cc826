//! The system that the doctor stands in: as the administrator sees it, outside
//! the cage of the agent.
//!
//! Files are read through [`Host`] like everywhere else. Two things `Host` has no
//! business with: what kind of socket stands somewhere, and which namespaces a
//! process has.

use std::{
    io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use crate::host::{Host, SourceError};

/// Files of the kernel, lists of groups, unit states.
const LIMIT: u64 = 4 << 20;
/// There when systemd is the init system (`sd_booted(3)`).
const SYSTEMD: &str = "/run/systemd/system";
const UNIT_DIRECTORIES: &[&str] = &[
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// One hierarchy, or several with those of systemd among them.
const CGROUPS: &[&str] = &[
    "/sys/fs/cgroup/system.slice",
    "/sys/fs/cgroup/unified/system.slice",
    "/sys/fs/cgroup/systemd/system.slice",
];

#[derive(Debug)]
pub(super) struct System {
    root: PathBuf,
    host: Host,
    /// Whether this process may see everything.
    pub(super) is_root: bool,
}

/// What stands at the path of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) is_socket: bool,
    pub(super) mode: u32,
    pub(super) owner: u32,
    pub(super) group: u32,
}

/// A systemd unit, as far as files tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) is_installed: bool,
    pub(super) is_masked: bool,
    pub(super) is_enabled: bool,
    /// Directories and files that change it.
    pub(super) drop_ins: Vec<String>,
    pub(super) processes: Vec<u32>,
}

impl System {
    pub(super) fn open(root: &Path) -> Result<Self, SourceError> {
        Ok(Self {
            root: root.to_owned(),
            host: Host::open(root)?,
            is_root: rustix::process::geteuid().is_root(),
        })
    }

    /// The text of a small file; `None` when it cannot be read.
    pub(super) fn read(&self, path: &str) -> Option<String> {
        self.host.read(path, LIMIT).ok()
    }

    pub(super) fn has_systemd(&self) -> bool {
        self.host.exists(SYSTEMD)
    }

    pub(super) fn has_process(&self, process: u32) -> bool {
        self.host.exists(&format!("/proc/{process}"))
    }

    /// The name of a namespace, such as `net:[4026531840]`.
    #[expect(
        clippy::disallowed_methods,
        reason = "Host keeps namespaces from the agent, which could not read them; root outside its cage compares the names of the links and follows none"
    )]
    pub(super) fn namespace(&self, process: u32, kind: &str) -> Option<String> {
        let link = self.root.join(format!("proc/{process}/ns/{kind}"));
        let target = std::fs::read_link(link).ok()?;
        Some(target.to_string_lossy().into_owned())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the agent's own sockets, looked at and not opened"
    )]
    pub(super) fn place(&self, path: &Path) -> io::Result<Place> {
        let path = self.root.join(path.strip_prefix("/").unwrap_or(path));
        let metadata = std::fs::symlink_metadata(path)?;
        Ok(Place {
            is_socket: metadata.file_type().is_socket(),
            mode: metadata.mode() & 0o7777,
            owner: metadata.uid(),
            group: metadata.gid(),
        })
    }

    /// From `/etc/group`, where packages make their groups.
    pub(super) fn group(&self, wanted: &str) -> Option<u32> {
        self.read("/etc/group")?.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == wanted).then(|| fields.nth(1)?.parse().ok())?
        })
    }

    pub(super) fn unit(&self, name: &str) -> Unit {
        let at = |directory: &str| format!("{directory}/{name}");
        let files = || UNIT_DIRECTORIES.iter().map(|directory| at(directory));
        Unit {
            is_masked: files()
                .any(|path| self.host.link_target(&path).as_deref() == Ok("/dev/null")),
            is_installed: files().any(|path| self.host.exists(&path)),
            is_enabled: ["multi-user.target.wants", "sockets.target.wants"]
                .into_iter()
                .any(|wants| {
                    let link = format!("/etc/systemd/system/{wants}/{name}");
                    self.host.link_target(&link).is_ok()
                }),
            drop_ins: files()
                .flat_map(|path| {
                    let directory = format!("{path}.d");
                    let names = self.host.list(&directory).unwrap_or_default();
                    names
                        .into_iter()
                        .filter(|name| name.ends_with(".conf"))
                        .map(move |name| format!("{directory}/{name}"))
                })
                .collect(),
            processes: self
                .cgroup_file(name, "cgroup.procs")
                .map(|text| text.lines().filter_map(|line| line.parse().ok()).collect())
                .unwrap_or_default(),
        }
    }

    /// A file of the unit's cgroup, with one hierarchy or with several.
    pub(super) fn cgroup_file(&self, unit: &str, file: &str) -> Option<String> {
        CGROUPS
            .iter()
            .find_map(|slice| self.read(&format!("{slice}/{unit}/{file}")))
    }
}
