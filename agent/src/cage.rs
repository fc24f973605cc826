//! Whether the sandbox that systemd built still fits the node.
//!
//! The mount namespace of the unit is a copy, made when the agent starts, and
//! two things go wrong with it later. A mask over `/etc/pve/priv` holds the
//! cluster file system of that time: when pmxcfs is mounted anew, the agent goes
//! on with the dead one. And a cluster file system that is mounted after the
//! start arrives without a mask. So at each cycle `/etc/pve` is compared with
//! that of process 1, and every masked path is tried. There is no way to mend a
//! namespace from inside: the agent ends, and systemd builds a new one.
//!
//! `/run` is another such copy: of it the unit shows only a few directories, those
//! that are there when the agent starts. At boot that can be before QEMU or
//! pvestatd have made theirs, and then, too, the agent ends for a new namespace.
//!
//! What cannot be told (a path that hangs, a table that cannot be read) breaks
//! nothing: the agent is there for nodes in trouble.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::fs::{Mode, OFlags};
use tracing::{info, warn};

use crate::{
    flight::SingleFlight,
    host::{Host, SourceError},
};

/// How the process ends when its cage is broken; `EX_TEMPFAIL`, try again.
pub const EXIT_STATUS: u8 = 75;

/// What `InaccessiblePaths=` of the unit hides.
const MASKED: &[&str] = &[
    "/dev/shm",
    "/dev/mqueue",
    "/dev/hugepages",
    "/etc/pve/priv",
    "/etc/pve/local/priv",
    "/var/lib/pve-cluster",
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/ssl/private",
    "/etc/subscription",
    "/var/spool",
    "/usr/bin",
    "/usr/local",
    "/usr/games",
    "/usr/libexec",
    "/opt",
];
/// Of what `/run` holds on every node, and `TemporaryFileSystem=` of the unit hides.
const HIDDEN: &[&str] = &["/run/dbus", "/run/systemd/system", "/run/lock"];
/// Directories of `/run` that the unit shows, and what is there when they are.
const SHOWN: &[(&str, &str)] = &[
    ("/run/qemu-server", "/sys/fs/cgroup/qemu.slice/*.scope"),
    ("/run/pve", "/sys/fs/cgroup/system.slice/pvestatd.service"),
];
/// pvestatd writes at the end of its second cycle of ten seconds. Only Proxmox VE
/// 8.2.5 and later write at all, so it is not waited for beyond the time of booting.
const BOOTING: Duration = Duration::from_secs(1800);
const PATIENCE: Duration = Duration::from_secs(60);
const CLUSTER_FILES: &str = "/etc/pve";
/// Text about mounts, from the kernel: reading it touches none of them.
const OUR_MOUNTS: &str = "/proc/self/mountinfo";
const NODE_MOUNTS: &str = "/proc/1/mountinfo";
const MOUNTS_LIMIT: u64 = 4 << 20;
const WORD_LIMIT: u64 = 256;
/// Well below the pause between two checks.
const DEADLINE: Duration = Duration::from_secs(2);

/// What is wrong with the cage, and what that means.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error(
        "{CLUSTER_FILES} is {ours} for this process and {nodes} for the node: it was mounted anew, and \
         what is read here is not what the node has"
    )]
    OtherMount { ours: String, nodes: String },
    #[error(
        "{path} can be opened: it was mounted after the start, or InaccessiblePaths= of the unit was changed"
    )]
    Unmasked { path: String },
    #[error("{path} is not shown, and the node has it: it was made after the start")]
    Missing { path: String },
}

/// Checks the cage again and again.
#[derive(Debug)]
pub struct Cage {
    host: Arc<Host>,
    started: Instant,
    mounts: SingleFlight,
    /// Apart from the mounts: one masked path that hangs for ever must not hide
    /// that `/etc/pve` has been mounted anew.
    masks: SingleFlight,
    /// What could not be told last, so that only changes are logged.
    untold: Option<String>,
}

impl Cage {
    /// Of this process on the live root.
    #[must_use]
    pub fn new(host: Arc<Host>) -> Self {
        Self {
            host,
            started: Instant::now(),
            mounts: SingleFlight::new("cage-mounts"),
            masks: SingleFlight::new("cage-masks"),
            untold: None,
        }
    }

    /// Looks for what is wrong, for two seconds at most.
    pub async fn check(&mut self) -> Option<Violation> {
        let host = Arc::clone(&self.host);
        let age = self.started.elapsed();
        let look =
            move || compared(&host).map(|violation| violation.or_else(|| missing(&host, age)));
        let (mounts, masks) = tokio::join!(
            self.mounts.run(DEADLINE, look),
            self.masks
                .run(DEADLINE, || unmasked(MASKED).or_else(|| unmasked(HIDDEN))),
        );
        let mounts = match mounts {
            Ok(Ok(violation)) => Ok(violation),
            Ok(Err(error)) => Err(error.to_string()),
            Err(lost) => Err(format!("comparing the mounts: {lost}")),
        };
        let masks = masks.map_err(|lost| format!("trying the masked paths: {lost}"));
        self.log(mounts.as_ref().err().or(masks.as_ref().err()));
        mounts.ok().flatten().or(masks.ok().flatten())
    }

    /// Logs that something cannot be told when it begins, changes and ends.
    fn log(&mut self, untold: Option<&String>) {
        if self.untold.as_ref() != untold {
            match untold {
                Some(reason) => warn!(reason, "the sandbox could not be checked"),
                None => info!("the sandbox can be checked again"),
            }
            self.untold = untold.cloned();
        }
    }
}

fn compared(host: &Host) -> Result<Option<Violation>, SourceError> {
    let ours = host.read(OUR_MOUNTS, MOUNTS_LIMIT)?;
    let nodes = host.read(NODE_MOUNTS, MOUNTS_LIMIT)?;
    Ok(other_mount(&ours, &nodes))
}

/// What the node must have in `/run` by now, and this process does not see.
fn missing(host: &Host, age: Duration) -> Option<Violation> {
    let uptime = host.read("/proc/uptime", WORD_LIMIT).ok()?;
    let uptime: f64 = uptime.split(' ').next()?.parse().ok()?;
    if age < PATIENCE || uptime > BOOTING.as_secs_f64() {
        return None;
    }
    SHOWN
        .iter()
        .find(|(path, sign)| !host.exists(path) && !host.look(sign).is_empty())
        .map(|(path, _)| Violation::Missing {
            path: (*path).to_owned(),
        })
}

/// Compares `/etc/pve` in the mount table of an agent and in that of the node.
pub(crate) fn other_mount(ours: &str, nodes: &str) -> Option<Violation> {
    let (ours, nodes) = (cluster_files(ours), cluster_files(nodes));
    (ours != nodes).then(|| Violation::OtherMount {
        ours: words(ours),
        nodes: words(nodes),
    })
}

/// Device, type and source of what is seen at `/etc/pve`: the mount on which no
/// other one lies. The last line is not always that one, since a mount that
/// arrives from the node is put below what a mask holds. The kernel writes spaces
/// as `\040`, so a line has no other words than these, and this point looks like
/// itself (kernel `Documentation/filesystems/proc.rst`, 3.5).
fn cluster_files(mountinfo: &str) -> Option<(&str, &str, &str)> {
    let mounts: Vec<Mount<'_>> = mountinfo
        .lines()
        .filter_map(Mount::parse)
        .filter(|mount| mount.point == CLUSTER_FILES)
        .collect();
    let covers = |mount: &Mount<'_>| mounts.iter().any(|other| other.parent == mount.id);
    let mut seen = mounts.iter().rev().filter(|mount| !covers(mount));
    seen.next().map(|mount| mount.store)
}

/// A line of a mount table.
struct Mount<'a> {
    id: &'a str,
    parent: &'a str,
    point: &'a str,
    /// Device, type and source.
    store: (&'a str, &'a str, &'a str),
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (mount, store) = line.split_once(" - ")?;
        let mut mount = mount.split(' ');
        let mut store = store.split(' ');
        let (id, parent, device) = (mount.next()?, mount.next()?, mount.next()?);
        Some(Self {
            id,
            parent,
            point: mount.nth(1)?,
            store: (device, store.next()?, store.next()?),
        })
    }
}

fn words(mount: Option<(&str, &str, &str)>) -> String {
    match mount {
        Some((device, kind, source)) => format!("{kind} {device} of {source}"),
        None => "no mount".to_owned(),
    }
}

/// The first path that can be opened for reading. Whatever refuses the others is
/// right, also that they are not there.
#[expect(
    clippy::disallowed_methods,
    reason = "Host refuses these paths whatever the sandbox does; opened, they are not read"
)]
fn unmasked(paths: &[&str]) -> Option<Violation> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    paths
        .iter()
        .find(|path| rustix::fs::open(**path, flags, Mode::empty()).is_ok())
        .map(|path| Violation::Unmasked {
            path: (*path).to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    const UNIT: &str = include_str!("../../packaging/systemd/pvelens-agent.service");
    const ROOT: &str = "25 1 252:1 / / rw shared:1 - ext4 /dev/mapper/pve-root rw\n";

    fn pmxcfs(minor: u32) -> String {
        format!("4{minor} 25 0:{minor} / /etc/pve rw shared:9 - fuse /dev/fuse rw,user_id=0\n")
    }

    fn table(mounts: &[String]) -> String {
        mounts
            .iter()
            .fold(ROOT.to_owned(), |text, mount| text + mount)
    }

    #[test]
    fn the_unit_masks_what_is_tried() {
        let masked: Vec<&str> = UNIT
            .lines()
            .filter_map(|line| line.strip_prefix("InaccessiblePaths="))
            .flat_map(str::split_whitespace)
            .map(|path| path.trim_start_matches('-'))
            .collect();
        assert_eq!(masked, MASKED);
    }

    #[test]
    fn the_unit_shows_what_is_waited_for_and_nothing_that_takes_orders() {
        let shown: Vec<&str> = UNIT
            .lines()
            .filter_map(|line| line.strip_prefix("BindReadOnlyPaths="))
            .flat_map(str::split_whitespace)
            .map(|path| path.trim_start_matches('-'))
            .collect();
        assert!(SHOWN.iter().all(|(path, _)| shown.contains(path)));
        for hidden in HIDDEN {
            assert!(!shown.iter().any(|path| path.starts_with(hidden)));
        }
        assert!(UNIT.contains("\nTemporaryFileSystem=/run:ro,noexec\n"));
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the test writes the tree it reads"
    )]
    fn a_directory_that_came_after_the_start_is_missed_while_the_node_boots() {
        let directory = TempDir::new().unwrap();
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("proc/uptime", "90.25 12.00\n");
        let host = Host::open(directory.path()).unwrap();
        let minute = Duration::from_secs(60);
        assert_eq!(missing(&host, minute), None);
        write("sys/fs/cgroup/qemu.slice/101.scope/cgroup.procs", "7\n");
        let violation = Violation::Missing {
            path: "/run/qemu-server".to_owned(),
        };
        assert_eq!(missing(&host, minute), Some(violation));
        assert_eq!(missing(&host, Duration::from_secs(59)), None);
        write("run/qemu-server/101.pid", "7\n");
        assert_eq!(missing(&host, minute), None);
        write(
            "sys/fs/cgroup/system.slice/pvestatd.service/cgroup.procs",
            "",
        );
        assert!(missing(&host, minute).is_some());
        write("proc/uptime", "1801.00 12.00\n");
        assert_eq!(missing(&host, minute), None);
    }

    #[test]
    fn the_same_cluster_file_system_or_none_is_right() {
        for mounts in [vec![], vec![pmxcfs(50)], vec![pmxcfs(50), pmxcfs(51)]] {
            assert_eq!(other_mount(&table(&mounts), &table(&mounts)), None);
        }
        // A mask below it, and options that the sandbox changes, are of no matter.
        let masked = table(&[
            pmxcfs(50).replace("rw shared", "ro,nosuid master"),
            "60 40 0:22 /systemd/inaccessible/dir /etc/pve/priv ro - tmpfs tmpfs rw\n".to_owned(),
        ]);
        assert_eq!(other_mount(&masked, &table(&[pmxcfs(50)])), None);
    }

    #[test]
    fn a_mount_that_arrives_below_a_masked_one_is_not_the_one_that_is_seen() {
        // As seen on Debian 12 and 13: the new one comes last, and lies below.
        let ours = table(&[
            "450 500 0:50 / /etc/pve ro - fuse /dev/fuse rw\n".to_owned(),
            "460 450 0:22 /systemd/inaccessible/dir /etc/pve/priv ro - tmpfs tmpfs rw\n".to_owned(),
            "500 25 0:51 / /etc/pve rw - fuse /dev/fuse rw\n".to_owned(),
        ]);
        let nodes = table(&[pmxcfs(51)]);
        assert!(other_mount(&ours, &nodes).is_some());
        assert_eq!(other_mount(&nodes, &nodes), None);
    }

    #[test]
    fn a_cluster_file_system_that_was_mounted_anew_is_another_one() {
        let (old, new) = (table(&[pmxcfs(50)]), table(&[pmxcfs(51)]));
        assert_eq!(
            other_mount(&old, &new).unwrap().to_string(),
            "/etc/pve is fuse 0:50 of /dev/fuse for this process and fuse 0:51 of /dev/fuse for the node: \
             it was mounted anew, and what is read here is not what the node has"
        );
        assert!(other_mount(&old, ROOT).is_some());
        assert!(other_mount(ROOT, &new).is_some());
    }

    #[test]
    fn the_last_mount_on_the_point_counts() {
        let stacked = table(&[pmxcfs(50), pmxcfs(51)]);
        assert_eq!(other_mount(&stacked, &table(&[pmxcfs(51)])), None);
        assert!(other_mount(&stacked, &table(&[pmxcfs(50)])).is_some());
    }

    #[test]
    fn a_point_that_only_looks_alike_is_another_one() {
        for point in ["/etc/pve\\040", "/etc/pve/local", "/x/etc/pve"] {
            let mount = pmxcfs(50).replace("/etc/pve", point);
            assert_eq!(other_mount(&table(&[mount]), ROOT), None, "{point}");
        }
    }

    #[test]
    fn a_path_that_can_be_opened_is_named_and_others_are_right() {
        let directory = TempDir::new().unwrap();
        let open = directory.path().to_str().unwrap();
        assert_eq!(unmasked(&["/nonexistent", "/proc/self/stat/x"]), None);
        assert_eq!(
            unmasked(&["/nonexistent", open]),
            Some(Violation::Unmasked {
                path: open.to_owned()
            })
        );
    }

    proptest! {
        #[test]
        fn any_text_is_compared(ours in "(\\PC{0,20}|4 2 0:5 / /etc/pve rw( [a-z]:1)? - fuse [a-z]|[ \n-]){0,6}", nodes in "\\PC{0,40}") {
            prop_assert_eq!(other_mount(&ours, &ours), None);
            drop(other_mount(&ours, &nodes));
        }

        #[test]
        fn a_table_of_any_length_is_told_by_its_last_mount(minors in proptest::collection::vec(1_u32..9, 1..6)) {
            let mut text = ROOT.to_owned();
            for minor in &minors {
                write!(text, "{}", pmxcfs(*minor)).unwrap();
            }
            let last = table(&[pmxcfs(minors[minors.len() - 1])]);
            prop_assert_eq!(other_mount(&text, &last), None);
        }
    }
}
