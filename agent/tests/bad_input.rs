//! Every path of every collector, broken in every way that a node has shown or
//! could show.
//!
//! Each time the collector must name the path and all others must give what they
//! give on the healthy node. The paths come from `COLLECTORS`: a new collector is
//! covered as soon as its files are in `node/mod.rs`, and fails here until then.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]
#![expect(clippy::disallowed_methods, reason = "tests break the files they read")]

mod hanging;
mod node;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use hanging::Hanging;
use node::Node;
use pvelens_agent::{
    collector::{COLLECTORS, Collector, Payload, Runner, collect_once},
    host::{Host, fits},
};
use pvelens_proto::agent::v1::{FailureKind, Sample};
use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::{Uid, getuid},
    thread::set_thread_res_uid,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
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

const FAULTS: &[Fault] = &[
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

/// Only read when the first one is not there.
const FALLBACKS: &[(&str, &str)] = &[
    ("/proc/net/dev", "/proc/1/net/dev"),
    ("/proc/mounts", "/proc/1/mountinfo"),
];

/// Collectors that read nothing in a tree of files.
const LIVE_ONLY: &[&str] = &["sensor"];

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
const NAMES_ONLY: &[&str] = &[
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

fn is_one_of(patterns: &[&str], path: &str) -> bool {
    patterns.iter().any(|pattern| fits(pattern, path))
}
/// Asked, not read: a file in their place is none. `guest_sockets.rs` has them.
const SOCKETS: &[&str] = &["/run/qemu-server/*.qmp", "/run/qemu-server/*.qga"];
/// Files of sections, any of which may go.
const SECTION_FILES: &[&str] = &[
    "/etc/pve/ha/*.cfg",
    "/etc/pve/mapping/*.cfg",
    "/etc/pve/sdn/*.cfg",
    "/etc/pve/virtual-guest/*",
];

/// As few machines have less.
const THREADS: usize = 2;

/// Faults that are none for a path.
fn is_harmless(path: &str, fault: Fault, is_link: bool) -> bool {
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

fn inflict(node: &Node, path: &str, fault: Fault) {
    let content = fs::read(node.path(path)).unwrap_or_default();
    node.clear(path);
    let full = node.path(path);
    match fault {
        Fault::Truncated => {
            // Inside a line: a whole file with fewer lines is another file.
            let cut = content[..content.len() * 2 / 3].trim_ascii_end();
            fs::write(full, &cut[..cut.len().saturating_sub(1)]).unwrap();
        }
        Fault::Empty => fs::write(full, "").unwrap(),
        Fault::NotUtf8 => {
            fs::write(full, [b"\xff\xfe\xe9".as_slice(), &content].concat()).unwrap();
        }
        Fault::Giant => fs::File::create(full)
            .unwrap()
            .set_len(100_000_000)
            .unwrap(),
        Fault::Directory => fs::create_dir(full).unwrap(),
        Fault::Loop => symlink(full.file_name().unwrap(), &full).unwrap(),
        Fault::Vanished => {}
        Fault::Unreadable => {
            fs::write(&full, content).unwrap();
            fs::set_permissions(full, fs::Permissions::from_mode(0o000)).unwrap();
        }
        Fault::Fifo => {
            mknodat(CWD, full, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
        }
    }
}

fn reads(collector: &Collector, path: &str) -> bool {
    let reads_trees = !LIVE_ONLY.contains(&collector.name);
    reads_trees && collector.paths.iter().any(|pattern| fits(pattern, path))
}

/// Whether the sample says of this path that it failed, and of a refused one
/// that it was refused.
fn names(sample: &Sample, path: &str, fault: Fault) -> bool {
    sample.failures.iter().any(|failure| {
        failure.path == path
            && (fault != Fault::Unreadable || failure.kind() == FailureKind::PermissionDenied)
    })
}

/// What every collector gives, by name. Read as nobody: root, with its
/// capabilities, is refused nothing.
fn sweep(host: &Host) -> BTreeMap<&'static str, Sample> {
    let sweep = || {
        if getuid().is_root() {
            // Of this thread only.
            let nobody = Uid::from_raw(65_534);
            set_thread_res_uid(nobody, nobody, nobody).unwrap();
        }
        COLLECTORS
            .iter()
            .map(|collector| (collector.name, collect_once(collector, host)))
            .collect()
    };
    thread::scope(|scope| scope.spawn(sweep).join()).unwrap()
}

/// Takes the first choice away when a path is only read instead of it.
fn expose(node: &Node, path: &str) {
    for (fallback, first) in FALLBACKS {
        if path == *fallback {
            node.clear(first);
        }
    }
}

fn cover(node: &Node, path: &str) {
    for (fallback, first) in FALLBACKS {
        if path == *fallback {
            node.restore(first);
        }
    }
    node.restore(path);
}

#[test]
fn the_node_has_a_file_for_every_path_of_every_collector() {
    let node = Node::new();
    for collector in COLLECTORS {
        for pattern in collector.paths {
            let covered = node.paths().any(|path| fits(pattern, &path));
            let is_elsewhere = LIVE_ONLY.contains(&collector.name) || SOCKETS.contains(pattern);
            assert!(covered || is_elsewhere, "{pattern}");
        }
    }
    for (name, sample) in sweep(&Host::open(node.root()).unwrap()) {
        assert_eq!(sample.failures, [], "{name}");
        let empty = matches!(sample.payload, None | Some(Payload::NoData(_)));
        assert_eq!(empty, LIVE_ONLY.contains(&name), "{name}");
    }
}

#[test]
fn a_broken_source_is_named_and_costs_no_other_collector_anything() {
    let paths: Vec<String> = Node::new().paths().collect();
    // Each on a node of its own; there are thousands of faults.
    let wrong: Vec<String> = thread::scope(|scope| {
        let parts = paths.chunks(paths.len().div_ceil(THREADS));
        let parts: Vec<_> = parts
            .map(|part| scope.spawn(move || wrong_with(part)))
            .collect();
        let parts = parts.into_iter();
        parts.flat_map(|part| part.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is not as it has to be when these paths are broken, one after the other.
fn wrong_with(paths: &[String]) -> Vec<String> {
    let node = Node::new();
    let host = Host::open(node.root()).unwrap();
    let mut wrong = Vec::new();
    let read = |path: &&String| COLLECTORS.iter().any(|collector| reads(collector, path));
    for path in paths.iter().filter(read) {
        expose(&node, path);
        let healthy = sweep(&host);
        for fault in FAULTS {
            inflict(&node, path, *fault);
            let begun = Instant::now();
            let broken = sweep(&host);
            if begun.elapsed() > Duration::from_secs(5) {
                wrong.push(format!("{path} {fault:?}: took {:?}", begun.elapsed()));
            }
            for collector in COLLECTORS {
                let (before, after) = (&healthy[collector.name], &broken[collector.name]);
                if !reads(collector, path) {
                    if (&before.payload, &before.failures) != (&after.payload, &after.failures) {
                        wrong.push(format!(
                            "{path} {fault:?}: changes {}: {:?}",
                            collector.name, after.failures
                        ));
                    }
                } else if after.payload.is_none() && after.failures.is_empty() {
                    wrong.push(format!("{path} {fault:?}: {} says nothing", collector.name));
                } else if !names(after, path, *fault)
                    && !is_harmless(path, *fault, node.is_link(path))
                {
                    wrong.push(format!(
                        "{path} {fault:?}: {} does not name it: {:?}",
                        collector.name, after.failures
                    ));
                }
            }
            node.restore(path);
        }
        cover(&node, path);
    }
    wrong
}

#[tokio::test]
async fn a_source_that_hangs_costs_its_collector_one_deadline_and_no_other_anything() {
    let node = Node::new();
    let host = Arc::new(Host::open(node.root()).unwrap());
    for path in node.paths() {
        let readers: Vec<&Collector> = COLLECTORS
            .iter()
            .filter(|collector| reads(collector, &path))
            .collect();
        let content_is_read = !is_one_of(NAMES_ONLY, &path) && !node.is_link(&path);
        if readers.is_empty() || !content_is_read {
            continue;
        }
        expose(&node, &path);
        let healthy = sweep(&host);
        let Some(hanging) = Hanging::over(node.path(&path)) else {
            // Needs the right to mount; `collector::run` proves the same with a
            // collector that hangs by itself. CI skips nothing.
            let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
            assert!(!in_ci, "no hanging file system could be mounted");
            return;
        };
        for collector in COLLECTORS {
            if readers.iter().any(|reader| reader.name == collector.name) {
                let runner = Runner::new(Collector {
                    deadline: Duration::from_millis(100),
                    ..*collector
                });
                let first = runner.run(&host).await;
                assert_eq!(first.failures[0].kind(), FailureKind::TimedOut, "{path}");
                let second = runner.run(&host).await;
                assert_eq!(second.failures[0].kind(), FailureKind::InProgress, "{path}");
            } else {
                let sample = collect_once(collector, &host);
                assert_eq!(sample.payload, healthy[collector.name].payload, "{path}");
                assert_eq!(sample.failures, [], "{path}");
            }
        }
        drop(hanging);
        cover(&node, &path);
    }
}
