//! What can be done to one file, and what the agent has to say of it.

use std::{io, path::Path};

use pvelens_proto::agent::v1::FailureKind;

use self::{
    damage::{FAULTS, Fault as Damage},
    hanging::Hanging,
};
use crate::sim::tree::Tree;

#[path = "../../../agent/tests/damage/mod.rs"]
mod damage;
#[path = "../../../agent/tests/hanging/mod.rs"]
mod hanging;

/// Files whose absence is a failure: a node always has them.
const NEVER_ABSENT: &[&str] = &[
    "/etc/pve/.clusterlog",
    "/etc/pve/.members",
    "/etc/pve/.rrd",
    "/etc/pve/.version",
    "/etc/pve/.vmlist",
    "/etc/pve/pve-root-ca.pem",
    "/etc/pve/storage.cfg",
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/uptime",
    "/proc/vmstat",
    "/run/pve/metrics",
];
/// Files that may be absent, each for a reason: their absence is injected all the
/// same, and nothing may be said of it.
const MAY_BE_ABSENT: &[&str] = &[
    // PVE writes each of them when it is first needed.
    "/etc/pve/jobs.cfg",
    "/etc/pve/replication.cfg",
    "/etc/pve/notifications.cfg",
];

/// One way to break a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Damage(Damage),
    /// Opening it does not return.
    Hang,
}

/// A fault that holds, until it is dropped and the file released.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) path: String,
    /// Dropped first: what hangs ends before the file comes back.
    hanging: Option<Hanging>,
}

impl Fault {
    /// Every one that must not stay unsaid of a path, and those that may.
    pub(super) fn of(path: &str, may_hang: bool) -> Vec<Self> {
        let is_one_of = |paths: &[&str]| paths.contains(&path);
        let said = FAULTS.iter().filter(|damage| match damage {
            Damage::Vanished => is_one_of(NEVER_ABSENT) || is_one_of(MAY_BE_ABSENT),
            damage => !damage::is_harmless(path, **damage, false),
        });
        let mut all: Vec<Self> = said.copied().map(Self::Damage).collect();
        if may_hang && !damage::is_one_of(damage::NAMES_ONLY, path) {
            all.push(Self::Hang);
        }
        all
    }

    /// Whether the agent has to name it.
    pub(super) fn is_told(self, path: &str) -> bool {
        self != Self::Damage(Damage::Vanished) || !MAY_BE_ABSENT.contains(&path)
    }

    pub(super) fn name(self) -> String {
        match self {
            Self::Hang => "hangs".to_owned(),
            Self::Damage(damage) => format!("{damage:?}").to_lowercase(),
        }
    }

    /// Whether this is how the agent calls it.
    pub(super) fn fits(self, kind: FailureKind) -> bool {
        use FailureKind as Kind;
        let kinds: &[FailureKind] = match self {
            Self::Hang => &[Kind::TimedOut, Kind::InProgress],
            Self::Damage(damage) => match damage {
                Damage::Truncated | Damage::Empty => &[Kind::Truncated, Kind::Malformed],
                Damage::NotUtf8 => &[Kind::NotUtf8, Kind::Malformed],
                Damage::Giant => &[Kind::TooLarge],
                Damage::Directory | Damage::Fifo => &[Kind::NotAFile],
                Damage::Loop => &[Kind::Banned],
                Damage::Vanished => &[Kind::NotFound],
                Damage::Unreadable => &[Kind::PermissionDenied],
            },
        };
        kinds.contains(&kind)
    }

    pub(super) fn inject(self, tree: &mut Tree, path: &str) -> io::Result<Held> {
        let place = tree.root().join(path.trim_start_matches('/'));
        let content = tree.hold(path)?;
        let hanging = match self {
            Self::Damage(damage) => {
                damage::inflict(&place, &content, damage)?;
                None
            }
            Self::Hang => {
                std::fs::write(&place, content)?;
                let hanging = Hanging::over(place);
                if hanging.is_none() {
                    return Err(io::Error::other("no file system could be mounted"));
                }
                hanging
            }
        };
        Ok(Held {
            path: path.to_owned(),
            hanging,
        })
    }
}

impl Held {
    pub(super) fn heal(self, tree: &mut Tree) -> io::Result<()> {
        drop(self.hanging);
        tree.release(&self.path)
    }
}

/// Whether this process may let reads hang.
pub(super) fn can_hang(directory: &Path) -> bool {
    let place = directory.join("trial");
    std::fs::write(&place, "").is_ok() && Hanging::over(place).is_some()
}
