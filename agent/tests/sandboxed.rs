//! Every collector over what the sandbox really shows.
//!
//! Each directory below `tests/fixtures/sandboxed` is a tree that was recorded by a
//! process under the exact settings of the agent's unit, on one system, by
//! `tests/record-sandboxed`:
//!
//! - the files and links that could be read;
//! - `.pvelens/refused.json`: what could not, see `agent/src/host/refused.rs`;
//! - `.pvelens/collected.json`: what each collector gave there, and what it said it
//!   could not read.
//!
//! So a collector that comes to need more than the sandbox gives fails here, and
//! one that stops reading what it declares does, too. `refused.json` beside them is
//! the list of what root can read and the agent cannot. It lies over every other
//! tree that collectors are tested on, also over recordings of full nodes.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests copy recordings and change the copies"
)]

mod node;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use node::Node;
use pvelens_agent::{
    collector::{COLLECTORS, Payload, collect_once},
    host::{Found, Host, fits, kind_name},
};
use pvelens_proto::agent::v1::{FilesystemState, GuestKind, Sample};
use serde::Deserialize;
use tempfile::TempDir;

const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sandboxed");
const SYSTEMS: &[&str] = &["bookworm", "trixie"];
/// What root can read, and the agent cannot.
const NOT_FOR_US: &str = include_str!("fixtures/sandboxed/refused.json");
const REFUSED: &str = ".pvelens/refused.json";
const COLLECTED: &str = ".pvelens/collected.json";

/// What fails in the sandbox, and has to.
const KNOWN: &[(&str, &str, &str)] = &[
    // A file system is mounted there on the test systems. The unit hides the place.
    ("filesystem", "/opt", "permission_denied"),
];
/// What gives nothing there: the kernel of the test systems has no bonds, md arrays,
/// device-mapper or ZFS, sensors are not read in a tree, and the container probe is
/// off unless enabled.
const WITHOUT_DATA: &[&str] = &[
    "bonds",
    "container_filesystems",
    "lvm",
    "md_arrays",
    "multipath",
    "network_mounts",
    "sensor",
    "sensor_limits",
    "zfs",
];
/// Read only where the kernel has something to do with them, which that of the test
/// systems has not, or only for guests that the simulated node does not list.
const CONDITIONAL: &[(&str, &str)] = &[
    (
        "/sys/devices/system/cpu/cpu*/topology/physical_package_id",
        "/sys/devices/system/cpu/cpu*/thermal_throttle/package_throttle_count",
    ),
    // Of hardware alone.
    ("/sys/class/net/*/duplex", "/sys/class/net/*/device"),
    ("/etc/lvm/lvm.conf", "/sys/class/misc/device-mapper/dev"),
    ("/etc/cron.d/zfsutils-linux", "/sys/module/zfs/version"),
    ("/etc/modprobe.d/zfs.conf", "/sys/module/zfs/version"),
    ("/etc/zfs/zed.d/zed.rc", "/sys/module/zfs/version"),
    (
        "/proc/1/mountstats",
        "/.pvelens/probe/cluster/mount_liveness.*",
    ),
    ("/var/lib/rrdcached/db/pve-vm-9.0/*", SMALL),
    ("/var/lib/rrdcached/db/pve2-vm/*", SMALL),
];
/// Of processes of root; VM figures must come from elsewhere.
const SECRETS_OF_PROCESSES: &[&str] = &["io", "smaps_rollup", "root", "ns/net", "environ"];
/// Of these only the names are looked at.
const NAMES_ONLY: &[&str] = &[
    "/run/watchdog-mux.active",
    "/sys/class/net/*/brif/*",
    "/sys/class/net/*/lower_*",
    "/sys/fs/cgroup/system.slice/*.service/cgroup.procs",
    "/etc/localtime",
    "/sys/fs/pstore/*",
    "/etc/udev/rules.d/70-persistent-net.rules",
    "/sys/kernel/iommu_groups/*",
    "/etc/apt/trusted.gpg",
    "/etc/apt/trusted.gpg.d/*",
    "/boot/vmlinuz-*",
    "/etc/systemd/system/*.mount",
    "/etc/systemd/system/timers.target.wants/zfs-scrub-*",
    "/var/lib/dkms/*/*/*/**",
];
/// Read only when the other one is not there.
const FALLBACKS: &[(&str, &str)] = &[
    ("/proc/net/dev", "/proc/1/net/dev"),
    ("/proc/mounts", "/proc/1/mountinfo"),
];
/// Read only of processes that run a VM.
const OF_VMS: &[&str] = &[
    "/proc/*/stat",
    "/proc/*/task/*/comm",
    "/proc/*/task/*/schedstat",
];
const VMS: &str = "/run/qemu-server/*.pid";
/// Those that read of processes that run a task or wait in the kernel; the small node
/// has such a process.
const OF_PROCESSES: &[(&str, &str)] = &[
    ("blocked_tasks", "/proc/*/comm"),
    ("blocked_tasks", "/proc/*/stat"),
    ("tasks", "/proc/*/stat"),
];
/// Tells the small node from the test systems.
const SMALL: &str = "/proc/233/stat";

/// What a collector gave when the tree was recorded.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Collected {
    /// `data`, `failed`, or `nothing` and why.
    gave: String,
    /// From path to kind.
    failures: BTreeMap<String, String>,
}

impl Collected {
    fn of(sample: &Sample) -> Self {
        let failures = sample.failures.iter();
        Self {
            gave: match &sample.payload {
                Some(Payload::NoData(none)) => format!("nothing: {}", none.reason),
                Some(_) => "data".to_owned(),
                None => "failed".to_owned(),
            },
            failures: failures
                .map(|failure| (failure.path.clone(), kind_name(failure.kind())))
                .collect(),
        }
    }
}

fn recordings() -> impl Iterator<Item = PathBuf> {
    SYSTEMS.iter().map(|name| Path::new(RECORDINGS).join(name))
}

fn sample(host: &Host, name: &str) -> Sample {
    let collector = COLLECTORS.iter().find(|collector| collector.name == name);
    collect_once(collector.unwrap(), host)
}

fn collected(host: &Host) -> BTreeMap<String, Collected> {
    let samples = COLLECTORS
        .iter()
        .map(|collector| collect_once(collector, host));
    samples
        .map(|sample| (sample.collector.clone(), Collected::of(&sample)))
        .collect()
}

fn failures(collected: &BTreeMap<String, Collected>) -> Vec<(&str, &str, &str)> {
    let mut failures = Vec::new();
    for (name, collected) in collected {
        for (path, kind) in &collected.failures {
            failures.push((name.as_str(), path.as_str(), kind.as_str()));
        }
    }
    failures
}

/// A path that fits a pattern.
fn example(pattern: &str) -> String {
    pattern.trim_end_matches("/**").replace('*', "7")
}

/// What a sample says, without the time it took.
fn content(sample: Sample) -> impl PartialEq {
    (sample.payload, sample.failures)
}

fn readable(host: &Host, pattern: &str) -> Vec<String> {
    let mut matches = host.look(pattern);
    matches.retain(|matched| matches!(matched.found, Ok(Found::File { .. } | Found::Link { .. })));
    matches.into_iter().map(|matched| matched.path).collect()
}

/// Whether what a pattern allows must be read on a node.
fn is_wanted(host: &Host, collector: &str, pattern: &str) -> bool {
    let has_first_choice = FALLBACKS
        .iter()
        .any(|(fallback, first)| pattern == *fallback && host.exists(first));
    let lacks_vms = OF_VMS.contains(&pattern) && readable(host, VMS).is_empty();
    let lacks_processes = OF_PROCESSES.contains(&(collector, pattern)) && !host.exists(SMALL);
    let lacks_reason = CONDITIONAL
        .iter()
        .any(|(conditional, sign)| pattern == *conditional && host.look(sign).is_empty());
    // What describes the tree is no file of the node.
    let is_ours = pattern.starts_with("/.pvelens/");
    !(has_first_choice
        || lacks_vms
        || lacks_processes
        || lacks_reason
        || is_ours
        || NAMES_ONLY.contains(&pattern))
}

/// The patterns of collectors that have something readable, none of which is
/// read: when it is refused, nothing changes. On a copy.
fn unread(tree: &Path) -> Vec<String> {
    let copy = TempDir::new().unwrap();
    copy_tree(tree, copy.path());
    let host = Host::open(tree).unwrap();
    let mut unread = Vec::new();
    // sysinfo reads its files past the host, on a live node only.
    for collector in COLLECTORS.iter().filter(|each| each.name != "sensor") {
        for pattern in collector.paths {
            let paths = readable(&host, pattern);
            if paths.is_empty() || !is_wanted(&host, collector.name, pattern) {
                continue;
            }
            let whole = content(collect_once(collector, &host));
            let is_read = paths.iter().any(|path| {
                refuse(tree, copy.path(), path);
                let less = Host::open(copy.path()).unwrap();
                content(collect_once(collector, &less)) != whole
            });
            if !is_read {
                unread.push(format!("{}: {pattern}", collector.name));
            }
        }
    }
    unread
}

/// Lets a copy refuse one path more than its original.
fn refuse(tree: &Path, copy: &Path, path: &str) {
    let text = fs::read_to_string(tree.join(REFUSED)).unwrap_or_else(|_| "{}".to_owned());
    let mut refused: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
    refused.insert(path.to_owned(), "permission_denied".to_owned());
    fs::create_dir_all(copy.join(".pvelens")).unwrap();
    let text = serde_json::to_string(&refused).unwrap();
    fs::write(copy.join(REFUSED), text).unwrap();
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy_tree(&entry.path(), &target);
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_recording_gives_what_was_collected_in_the_sandbox() {
    for tree in recordings() {
        let text = fs::read_to_string(tree.join(COLLECTED)).unwrap();
        let mut live: BTreeMap<String, Collected> = serde_json::from_str(&text).unwrap();
        let mut recorded = collected(&Host::open(&tree).unwrap());
        // Read on a running node only.
        for all in [&mut live, &mut recorded] {
            let sensor = all.remove("sensor").unwrap();
            assert!(sensor.gave.starts_with("nothing: "), "{sensor:?}");
            assert_eq!(sensor.failures, BTreeMap::new());
        }
        assert_eq!(recorded, live, "{}", tree.display());
    }
}

#[test]
fn in_the_sandbox_every_collector_reads_and_exactly_the_known_sources_fail() {
    for tree in recordings() {
        let mut collected = collected(&Host::open(&tree).unwrap());
        assert_eq!(failures(&collected), KNOWN, "{}", tree.display());
        collected.retain(|_, collected| collected.gave != "data");
        let without_data: Vec<_> = collected.keys().collect();
        assert_eq!(without_data, WITHOUT_DATA, "{}", tree.display());
    }
}

#[test]
fn the_node_is_seen_from_the_sandbox_and_not_the_sandbox_itself() {
    for tree in recordings() {
        let host = Host::open(&tree).unwrap();
        let Some(Payload::HostIdentity(identity)) = sample(&host, "host").payload else {
            unreachable!("it gives data");
        };
        assert_eq!(identity.node_name, "pve1");
        assert!(identity.is_pve_node);
        assert!(!identity.pve_manager_version.is_empty());
        assert!(!identity.root_ca_sha256.is_empty());

        // A network namespace of its own has only lo.
        let Some(Payload::InterfaceStates(network)) = sample(&host, "interface_state").payload
        else {
            unreachable!("it gives data");
        };
        let host0 = network.interfaces.iter().find(|each| each.name == "host0");
        assert_eq!(host0.unwrap().mac_address, "02:00:00:00:00:01");
        assert_eq!(host0.unwrap().mtu_bytes, 1500);

        // A mount namespace of its own has everything read-only.
        let Some(Payload::Filesystems(filesystems)) = sample(&host, "filesystem").payload else {
            unreachable!("it gives data");
        };
        let of = |point: &str| {
            let mut all = filesystems.filesystems.iter();
            all.find(|each| each.mount_point == point).unwrap()
        };
        assert!(!of("/").read_only);
        assert!(of("/").total_bytes > of("/").used_bytes);
        assert_eq!(of("/etc/pve").state(), FilesystemState::NotTouched);
        assert_eq!(of("/opt").state(), FilesystemState::Failed);
        assert_eq!(of("/opt").total_bytes, None);
    }
}

#[test]
fn guests_are_accounted_in_the_sandbox() {
    for tree in recordings() {
        let host = Host::open(&tree).unwrap();
        let Some(Payload::GuestRuntimes(guests)) = sample(&host, "guest_runtime").payload else {
            unreachable!("it gives data");
        };
        let vmids: Vec<u32> = guests.guests.iter().map(|guest| guest.vmid).collect();
        assert_eq!(vmids, [100, 103, 202]);
        for guest in &guests.guests {
            assert!(guest.cpu_seconds_total.is_some());
            assert!(guest.memory_current_bytes.is_some());
            let is_vm = guest.kind() == GuestKind::Qemu;
            assert_eq!(guest.pid.is_some(), is_vm);
            // Of a thread of root that is not ours.
            assert_eq!(guest.vcpu_threads, is_vm.then_some(1));
            assert_eq!(guest.vcpu_run_delay_seconds_total.is_some(), is_vm);
        }
        let Some(Payload::GuestConfigs(configs)) = sample(&host, "guest_config").payload else {
            unreachable!("it gives data");
        };
        // Of all three nodes, and those of the small one.
        assert_eq!(configs.guests.len(), 12);
    }
}

#[test]
fn in_the_sandbox_what_is_declared_and_readable_is_read() {
    for tree in recordings() {
        assert_eq!(unread(&tree), [""; 0], "{}", tree.display());
    }
}

#[test]
fn on_a_small_node_what_is_declared_is_read() {
    assert_eq!(unread(Node::new().root()), [""; 0]);
}

#[test]
fn what_is_refused_is_a_failure_of_who_reads_it() {
    let node = Node::new();
    let copy = TempDir::new().unwrap();
    copy_tree(node.root(), copy.path());
    let collected = || collected(&Host::open(copy.path()).unwrap());
    assert_eq!(failures(&collected()), []);
    refuse(node.root(), copy.path(), "/etc/pve/.vmlist");
    assert_eq!(
        failures(&collected()),
        [
            ("guest_list", "/etc/pve/.vmlist", "permission_denied"),
            ("rrd_history", "/etc/pve/.vmlist", "permission_denied"),
        ]
    );
}

/// What root can read and the agent cannot, by pattern.
fn not_for_us() -> BTreeMap<String, String> {
    serde_json::from_str(NOT_FOR_US).unwrap()
}

#[test]
fn no_collector_declares_what_the_sandbox_refuses() {
    for pattern in COLLECTORS.iter().flat_map(|collector| collector.paths) {
        let path = example(pattern);
        for refused in not_for_us().keys() {
            assert!(!fits(refused, &path), "{pattern} is refused: {refused}");
        }
    }
}

#[test]
fn what_the_sandbox_refuses_is_refused_on_a_tree_that_holds_all_of_it() {
    let paths = SECRETS_OF_PROCESSES
        .iter()
        .flat_map(|name| [1, 7, 4711].map(|process| format!("/proc/{process}/{name}")));
    let paths: Vec<String> = paths
        .chain(not_for_us().keys().map(|pattern| example(pattern)))
        .collect();
    let node = Node::new();
    for path in &paths {
        let file = node.path(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "secret\n").unwrap();
    }
    // As other tests open it.
    let host = Host::open(node.root()).unwrap();
    for path in &paths {
        host.read(path, 100).unwrap_err();
    }
    // It is the list that refuses, also where `Host` does so by itself.
    let refused = not_for_us();
    for path in paths {
        assert!(refused.keys().any(|pattern| fits(pattern, &path)), "{path}");
    }
}
