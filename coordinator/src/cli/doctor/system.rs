//! The machine that the command runs on, as far as files tell.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

/// There when systemd is the init system (`sd_booted(3)`).
const SYSTEMD: &str = "/run/systemd/system";
const UNIT_DIRECTORIES: &[&str] = &[
    "/etc/systemd/system",
    "/run/systemd/system",
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
pub(in crate::cli) struct System {
    root: PathBuf,
    pub(in crate::cli) user: User,
}

/// Who runs the command, in this session.
#[derive(Debug, Clone)]
pub(in crate::cli) struct User {
    pub(in crate::cli) id: u32,
    pub(in crate::cli) name: String,
    /// Those that count now; a new membership counts from the next login.
    pub(in crate::cli) groups: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Place {
    pub(in crate::cli) is_socket: bool,
    pub(in crate::cli) mode: u32,
    pub(in crate::cli) owner: u32,
    pub(in crate::cli) group: u32,
}

/// A line of `/etc/group`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Group {
    pub(in crate::cli) id: u32,
    pub(in crate::cli) members: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::cli) struct Unit {
    pub(in crate::cli) is_installed: bool,
    pub(in crate::cli) process: Option<u32>,
}

impl System {
    pub(in crate::cli) fn open() -> Self {
        let id = rustix::process::geteuid().as_raw();
        let mut groups = vec![rustix::process::getegid().as_raw()];
        // Without the others it looks as if the user were in no more.
        let others = rustix::process::getgroups().unwrap_or_default();
        groups.extend(others.into_iter().map(rustix::process::Gid::as_raw));
        let mut system = Self {
            root: PathBuf::from("/"),
            user: User {
                id,
                name: String::new(),
                groups,
            },
        };
        system.user.name = system.user_name(id);
        system
    }

    #[cfg(test)]
    pub(in crate::cli) fn at(root: &Path, user: User) -> Self {
        Self {
            root: root.to_owned(),
            user,
        }
    }

    pub(in crate::cli) fn path(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    pub(in crate::cli) fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(Path::new(path))).ok()
    }

    pub(in crate::cli) fn exists(&self, path: &str) -> bool {
        self.path(Path::new(path)).exists()
    }

    pub(in crate::cli) fn has_systemd(&self) -> bool {
        self.exists(SYSTEMD)
    }

    pub(in crate::cli) fn place(&self, path: &Path) -> io::Result<Place> {
        let metadata = fs::symlink_metadata(self.path(path))?;
        Ok(Place {
            is_socket: metadata.file_type().is_socket(),
            mode: metadata.mode() & 0o7777,
            owner: metadata.uid(),
            group: metadata.gid(),
        })
    }

    /// From `/etc/group`, where packages make their groups.
    pub(in crate::cli) fn group(&self, wanted: &str) -> Option<Group> {
        self.read("/etc/group")?.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == wanted).then_some(())?;
            let id = fields.nth(1)?.parse().ok()?;
            let members = fields.next().unwrap_or_default().split(',');
            Some(Group {
                id,
                members: members
                    .filter(|member| !member.is_empty())
                    .map(str::to_owned)
                    .collect(),
            })
        })
    }

    /// Users of a directory service are not in `/etc/passwd`; they know their
    /// name.
    fn user_name(&self, id: u32) -> String {
        let id = id.to_string();
        let names = self.read("/etc/passwd").unwrap_or_default();
        let mut names = names.lines().map(|line| line.split(':'));
        names
            .find_map(|mut fields| {
                let name = fields.next()?;
                (fields.nth(1)? == id).then(|| name.to_owned())
            })
            .unwrap_or_else(|| "USER".to_owned())
    }

    pub(in crate::cli) fn unit(&self, name: &str) -> Unit {
        let processes = CGROUPS
            .iter()
            .find_map(|slice| self.read(&format!("{slice}/{name}/cgroup.procs")));
        Unit {
            is_installed: UNIT_DIRECTORIES
                .iter()
                .any(|directory| self.exists(&format!("{directory}/{name}"))),
            process: processes.and_then(|text| text.lines().next()?.parse().ok()),
        }
    }
}

impl User {
    pub(in crate::cli) fn is_root(&self) -> bool {
        self.id == 0
    }

    /// Connecting to a socket takes the right to write to it.
    pub(in crate::cli) fn may_write(&self, place: &Place) -> bool {
        let bit = if self.id == place.owner {
            0o200
        } else if self.groups.contains(&place.group) {
            0o020
        } else {
            0o002
        };
        self.is_root() || place.mode & bit != 0
    }
}
