//! A small node as a tree of files: one VM, one container, a bridge, a cluster
//! of two. It has at least one file for every path of every collector.

#![allow(dead_code, reason = "each test that includes this uses a part of it")]
#![expect(
    clippy::unwrap_used,
    reason = "a test ends where its node cannot be made"
)]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

const PRESSURE: &str = "some avg10=0.50 avg60=0.40 avg300=0.30 total=12345\nfull avg10=0.10 avg60=0.10 avg300=0.10 total=678\n";
const CPU_STAT: &str = "usage_usec 2000000\nuser_usec 1500000\nsystem_usec 500000\nnr_periods 3\nnr_throttled 1\nthrottled_usec 250\n";
const MEMORY_STAT: &str = "anon 1000\nfile 2000\nkernel 30\n";
const MEMORY_EVENTS: &str = "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n";
const IO_STAT: &str = "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n";

/// Files and their content.
const FILES: &[(&str, &str)] = &[
    // As in the sandbox, see `sandboxed.rs`.
    (
        ".pvelens/refused.json",
        include_str!("../fixtures/sandboxed/refused.json"),
    ),
    (
        ".pvelens/statvfs.json",
        "{\"/\": {\"total_bytes\": 100, \"free_bytes\": 40, \"available_bytes\": 30, \"inodes_total\": 10, \"inodes_free\": 5}}\n",
    ),
    (
        "etc/os-release",
        "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nVERSION_ID=\"13\"\n",
    ),
    (
        "etc/pve/.members",
        "{\n\"nodename\": \"pve1\",\n\"version\": 5,\n\"cluster\": { \"name\": \"lab\", \"version\": 3, \"nodes\": 2, \"quorate\": 1 },\n\"nodelist\": {\n  \"pve1\": { \"id\": 1, \"online\": 1, \"ip\": \"192.0.2.11\"},\n  \"pve2\": { \"id\": 2, \"online\": 1, \"ip\": \"192.0.2.12\"}\n  }\n}\n",
    ),
    (
        "etc/pve/.rrd",
        "pve-node-9.0/pve1:4742::1795349087:5.11:2:0.99:0.001:100:40:0:0:200:50:1:2:60:7\npve-vm-9.0/101:731:web1:running:0:1795349087:1:0.04:64:32:32:0:1:2:3:4:20\npve-storage-9.0/pve1/local:1795349087:270:39\n",
    ),
    (
        "etc/pve/.version",
        "{\n\"starttime\": 1795348344,\n\"clinfo\": 5,\n\"vmlist\": 3,\n\"storage.cfg\": 2\n}\n",
    ),
    (
        "etc/pve/.vmlist",
        "{\n\"version\": 3,\n\"ids\": {\n\"101\": { \"node\": \"pve1\", \"type\": \"qemu\", \"version\": 17 },\n\"110\": { \"node\": \"pve1\", \"type\": \"lxc\", \"version\": 15 }}\n}\n",
    ),
    (
        "etc/pve/corosync.conf",
        "totem {\n  cluster_name: lab\n  config_version: 3\n}\nnodelist {\n  node {\n    name: pve1\n    nodeid: 1\n    ring0_addr: 192.0.2.11\n  }\n}\n",
    ),
    (
        "etc/pve/nodes/pve1/lxc/110.conf",
        "hostname: dns1\nmemory: 256\nrootfs: local:110/root.raw,size=8G\n",
    ),
    (
        "etc/pve/nodes/pve1/qemu-server/101.conf",
        "name: web1\nmemory: 2048\nscsi0: local:101/disk.qcow2,size=2G\n",
    ),
    (
        "etc/pve/storage.cfg",
        "dir: local\n\tpath /var/lib/vz\n\tcontent iso,backup\n",
    ),
    (
        "proc/1/mountinfo",
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n",
    ),
    ("proc/1/net/dev", NET_DEV),
    (
        "proc/233/stat",
        "233 (kvm) S 1 231 231 0 -1 138412480 59912 35443 15 5 7303 432 48 21 20 0 5 0 401128 1402216448 83140 0\n",
    ),
    ("proc/233/task/234/comm", "CPU 0/KVM\n"),
    ("proc/233/task/234/schedstat", "1000000000 500000000 77\n"),
    (
        "proc/cpuinfo",
        "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: X\nphysical id\t: 0\nflags\t\t: fpu sse\n\n",
    ),
    (
        "proc/diskstats",
        "   8       0 sda 10 1 16 500 20 2 32 1500 3 700 2000 1 2 3 4 5 60\n",
    ),
    ("proc/loadavg", "0.20 0.18 0.12 1/80 11206\n"),
    (
        "proc/meminfo",
        "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\nBuffers: 1 kB\nCached: 2 kB\nSwapTotal: 8 kB\nSwapFree: 7 kB\nDirty: 3 kB\nShmem: 4 kB\nSReclaimable: 5 kB\nHugePages_Total: 0\nHugepagesize: 2048 kB\n",
    ),
    ("proc/mounts", "/dev/sda1 / ext4 rw 0 0\n"),
    ("proc/net/dev", NET_DEV),
    ("proc/pressure/cpu", PRESSURE),
    ("proc/pressure/io", PRESSURE),
    ("proc/pressure/memory", PRESSURE),
    (
        "proc/spl/kstat/zfs/arcstats",
        "9 1 0x01 123 33456 1 2\nname                            type data\nsize                            4    1000\nc_min                           4    10\nc_max                           4    2000\n",
    ),
    (
        "proc/stat",
        "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 7\nctxt 100\nbtime 1795344354\nprocesses 50\n",
    ),
    ("proc/sys/kernel/hostname", "pve1\n"),
    ("proc/sys/kernel/osrelease", "6.17.2-1-pve\n"),
    (
        "proc/sys/kernel/random/boot_id",
        "11111111-2222-3333-4444-555555555555\n",
    ),
    ("proc/uptime", "4751.26 1159.87\n"),
    (
        "proc/vmstat",
        "pswpin 1\npswpout 2\npgmajfault 3\noom_kill 0\n",
    ),
    (
        "run/pve/metrics",
        "{\"node\":{\"timestamp\":1795349087,\"data\":{\"uptime\":4742}},\"storage\":{\"timestamp\":1795349087,\"data\":{\"local\":{\"type\":\"dir\",\"active\":1,\"total\":10}}}}\n",
    ),
    ("run/qemu-server/101.pid", "233\n"),
    ("sys/block/sda/device/model", "DISK\n"),
    ("sys/block/sda/queue/rotational", "0\n"),
    ("sys/block/sda/size", "2048\n"),
    ("sys/class/net/eth0/address", "bc:24:11:00:00:01\n"),
    ("sys/class/net/eth0/carrier", "1\n"),
    ("sys/class/net/eth0/carrier_changes", "2\n"),
    ("sys/class/net/eth0/flags", "0x1003\n"),
    ("sys/class/net/eth0/mtu", "1500\n"),
    ("sys/class/net/eth0/operstate", "up\n"),
    ("sys/class/net/eth0/speed", "10000\n"),
    ("sys/class/net/vmbr0/bridge/forward_delay", "0\n"),
    ("sys/class/net/vmbr0/brif/eth0", ""),
    ("sys/fs/cgroup/lxc/110/cgroup.procs", "334\n"),
    ("sys/fs/cgroup/lxc/110/cpu.pressure", PRESSURE),
    ("sys/fs/cgroup/lxc/110/cpu.stat", CPU_STAT),
    ("sys/fs/cgroup/lxc/110/io.pressure", PRESSURE),
    ("sys/fs/cgroup/lxc/110/io.stat", IO_STAT),
    ("sys/fs/cgroup/lxc/110/memory.current", "4096\n"),
    ("sys/fs/cgroup/lxc/110/memory.events", MEMORY_EVENTS),
    ("sys/fs/cgroup/lxc/110/memory.max", "max\n"),
    ("sys/fs/cgroup/lxc/110/memory.pressure", PRESSURE),
    ("sys/fs/cgroup/lxc/110/memory.stat", MEMORY_STAT),
    ("sys/fs/cgroup/lxc/110/memory.swap.current", "0\n"),
    ("sys/fs/cgroup/lxc/110/pids.current", "7\n"),
    ("sys/fs/cgroup/qemu.slice/101.scope/cpu.pressure", PRESSURE),
    ("sys/fs/cgroup/qemu.slice/101.scope/cpu.stat", CPU_STAT),
    ("sys/fs/cgroup/qemu.slice/101.scope/io.pressure", PRESSURE),
    ("sys/fs/cgroup/qemu.slice/101.scope/io.stat", IO_STAT),
    (
        "sys/fs/cgroup/qemu.slice/101.scope/memory.current",
        "4096\n",
    ),
    (
        "sys/fs/cgroup/qemu.slice/101.scope/memory.pressure",
        PRESSURE,
    ),
    ("sys/fs/cgroup/qemu.slice/101.scope/pids.current", "7\n"),
    ("sys/kernel/mm/ksm/pages_sharing", "12\n"),
];

const NET_DEV: &str = "Inter-|   Receive  |  Transmit\n face |bytes\n  eth0: 1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n vmbr0: 1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n";

/// Symbolic links and their targets.
const LINKS: &[(&str, &str)] = &[
    ("etc/pve/local", "nodes/pve1"),
    ("sys/class/net/eth0/master", "../vmbr0"),
];

/// More files and links, one for one as on the node.
const MORE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/node");

/// The tree on disk, removed at the end.
#[derive(Debug)]
pub(crate) struct Node {
    directory: TempDir,
    files: BTreeMap<String, Vec<u8>>,
    links: BTreeMap<String, PathBuf>,
}

impl Node {
    pub(crate) fn new() -> Self {
        let mut node = Self {
            directory: TempDir::new().unwrap(),
            files: BTreeMap::new(),
            links: BTreeMap::new(),
        };
        for (path, content) in FILES {
            node.files
                .insert((*path).to_owned(), content.as_bytes().to_vec());
        }
        for (path, target) in LINKS {
            node.links.insert((*path).to_owned(), target.into());
        }
        node.load(Path::new(MORE), "");
        // Readable by whoever the test reads as.
        fs::set_permissions(node.root(), fs::Permissions::from_mode(0o755)).unwrap();
        for path in node.files.keys().chain(node.links.keys()) {
            fs::create_dir_all(node.path(path).parent().unwrap()).unwrap();
        }
        for (path, content) in &node.files {
            fs::write(node.path(path), content).unwrap();
        }
        for (path, target) in &node.links {
            symlink(target, node.path(path)).unwrap();
        }
        node
    }

    fn load(&mut self, directory: &Path, prefix: &str) {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                self.load(&entry.path(), &format!("{path}/"));
            } else if kind.is_symlink() {
                self.links
                    .insert(path, fs::read_link(entry.path()).unwrap());
            } else {
                self.files.insert(path, fs::read(entry.path()).unwrap());
            }
        }
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// Where a path of the node is on disk.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    /// Every file and link, as absolute paths of the node.
    pub(crate) fn paths(&self) -> impl Iterator<Item = String> {
        let all = self.files.keys().chain(self.links.keys());
        all.map(|path| format!("/{path}"))
    }

    pub(crate) fn is_link(&self, path: &str) -> bool {
        self.links.contains_key(path.trim_start_matches('/'))
    }

    /// Puts a file or link back as it was, whatever is there now.
    pub(crate) fn restore(&self, path: &str) {
        let relative = path.trim_start_matches('/');
        self.clear(path);
        if let Some(content) = self.files.get(relative) {
            fs::write(self.path(path), content).unwrap();
        }
        if let Some(target) = self.links.get(relative) {
            symlink(target, self.path(path)).unwrap();
        }
    }

    /// Removes what is there.
    pub(crate) fn clear(&self, path: &str) {
        let path = self.path(path);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir(path).unwrap(),
            Ok(_) => fs::remove_file(path).unwrap(),
            Err(_) => {}
        }
    }
}
