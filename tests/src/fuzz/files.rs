//! Files: the small node, with one file that holds the bytes, and the collectors that
//! read it.

use std::{
    cell::RefCell,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicI64},
};

use anyhow::{Context, Result, ensure};
use prost::Message;
use pvelens_agent::{
    collector::{COLLECTORS, Collector, collect_once},
    host::{Clock, Host, fits},
};
use pvelens_proto::agent::v1::Sample;
use tempfile::TempDir;

use super::{Target, write};
use crate::small;

/// The time of the small node.
const NOW: i64 = 1_795_349_100_000;
/// What a sample may take: so many times the file, and what is in the other files.
const GROWTH: usize = 32;
const BASE: usize = 1 << 20;

/// A target that feeds the files of some patterns.
macro_rules! target {
    ($name:ident, $text:literal, $patterns:expr) => {
        pub(super) const $name: Target = Target {
            name: $text,
            run: |data| {
                thread_local! {
                    static NODE: RefCell<Option<Node>> = const { RefCell::new(None) };
                }
                NODE.with_borrow_mut(|node| {
                    node.get_or_insert_with(|| Node::new($patterns)).feed(data);
                });
            },
            seeds: || Ok(Node::made($patterns)?.seeds()),
        };
    };
}

// What the whole cluster and its administrators write.
target!(
    CONFIGURATION,
    "configuration",
    &[
        "/etc/pve/*.cfg",
        "/etc/pve/*.conf",
        "/etc/pve/*.cron",
        "/etc/pve/*/*.cfg",
        "/etc/pve/*/*.conf",
        "/etc/pve/firewall/*.fw",
        "/etc/pve/sdn/**",
        "/etc/pve/nodes/*/config",
        "/etc/pve/nodes/*/host.fw",
        "/etc/pve/nodes/*/qemu-server/*.conf",
        "/etc/pve/nodes/*/lxc/*.conf",
        "/etc/corosync/corosync.conf",
    ]
);
// What other nodes say, moment by moment.
target!(
    CLUSTER_STATE,
    "cluster_state",
    &[
        "/etc/pve/.members",
        "/etc/pve/.vmlist",
        "/etc/pve/.version",
        "/etc/pve/.rrd",
        "/etc/pve/.clusterlog",
        "/etc/pve/ha/manager_status",
        "/etc/pve/nodes/*/lrm_status",
    ]
);
// Tasks, backups and their notes, jobs, what pvestatd publishes.
target!(
    LOGS,
    "logs",
    &[
        "/var/log/pve/tasks/**",
        "/var/log/vzdump/*",
        "/var/lib/vz/dump/*.log",
        "/var/lib/vz/dump/*.notes",
        "/var/lib/pve-manager/**",
        "/run/pve/metrics",
    ]
);
target!(
    BINARIES,
    "binaries",
    &[
        "/var/lib/rrdcached/db/**",
        "/etc/pve/*.pem",
        "/etc/pve/nodes/*/*.pem",
    ]
);
target!(
    PACKAGES,
    "packages",
    &[
        "/var/lib/dpkg/status",
        "/var/lib/apt/lists/*",
        "/etc/apt/**"
    ]
);
// Names of processes, mounts, groups and interfaces are of those who made them.
target!(
    KERNEL,
    "kernel",
    &["/proc/**", "/sys/fs/cgroup/**", "/sys/class/net/**"]
);
target!(PROBES, "probes", &["/.pvelens/probe/**"]);

/// Replies of probes as they come over the socket.
pub(super) fn probe_replies() -> Result<Vec<Vec<u8>>> {
    let node = Node::made(&["/.pvelens/probe/**"])?;
    Ok(node.files.into_iter().map(|file| file.content).collect())
}

struct Node {
    tree: TempDir,
    host: Host,
    files: Vec<File>,
    /// The one that holds other bytes than its own.
    fed: Option<usize>,
}

/// A file, and who reads it.
struct File {
    path: PathBuf,
    content: Vec<u8>,
    readers: Vec<&'static Collector>,
}

impl Node {
    fn new(patterns: &[&str]) -> Self {
        Self::made(patterns).unwrap_or_else(|error| panic!("no node to feed: {error:#}"))
    }

    fn made(patterns: &[&str]) -> Result<Self> {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/tests/fixtures");
        let tree = small::tree(&fixtures, false)?;
        let clock = Clock::Fixed(Arc::new(AtomicI64::new(NOW)));
        let host = Host::open(tree.path())?.with_clock(clock);
        let mut files = Vec::new();
        find(tree.path(), Path::new("/"), patterns, &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        ensure!(
            !files.is_empty() && files.len() <= 256,
            "the small node has {} of {patterns:?}",
            files.len()
        );
        Ok(Self {
            tree,
            host,
            files,
            fed: None,
        })
    }

    /// The first byte chooses the file, the others are its content.
    fn feed(&mut self, data: &[u8]) {
        let Some((choice, content)) = data.split_first() else {
            return;
        };
        if let Some(file) = self.fed.take().and_then(|fed| self.files.get(fed)) {
            self.put(&file.path, &file.content);
        }
        let choice = usize::from(*choice) % self.files.len();
        let Some(file) = self.files.get(choice) else {
            return;
        };
        self.put(&file.path, content);
        for collector in &file.readers {
            check(&collect_once(collector, &self.host), content.len());
        }
        self.fed = Some(choice);
    }

    fn put(&self, path: &Path, content: &[u8]) {
        let below = path.strip_prefix("/").unwrap_or(path);
        write(&self.tree.path().join(below), content);
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        (0..=u8::MAX)
            .zip(&self.files)
            .map(|(number, file)| [&[number], file.content.as_slice()].concat())
            .collect()
    }
}

/// Every regular file that fits and that a collector reads.
fn find(root: &Path, directory: &Path, patterns: &[&str], files: &mut Vec<File>) -> Result<()> {
    let full = root.join(directory.strip_prefix("/")?);
    for entry in fs::read_dir(&full).with_context(|| full.display().to_string())? {
        let entry = entry?;
        let path = directory.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            find(root, &path, patterns, files)?;
            continue;
        }
        let name = path.to_string_lossy();
        if !entry.file_type()?.is_file() || !patterns.iter().any(|pattern| fits(pattern, &name)) {
            continue;
        }
        let all = COLLECTORS.iter();
        let readers: Vec<_> = all.filter(|collector| reads(collector, &name)).collect();
        if !readers.is_empty() {
            files.push(File {
                content: fs::read(entry.path())?,
                path,
                readers,
            });
        }
    }
    Ok(())
}

fn reads(collector: &Collector, path: &str) -> bool {
    let asked = path.strip_prefix("/.pvelens/probe/").and_then(|reply| {
        let (_, name) = reply.split_once('/')?;
        name.split('.').next()
    });
    match asked {
        Some(entry) => collector.probes.contains(&entry),
        None => collector.paths.iter().any(|pattern| fits(pattern, path)),
    }
}

/// A sample is bounded by what it was made of, and can be sent.
fn check(sample: &Sample, bytes: usize) {
    let encoded = sample.encode_to_vec();
    let limit = bytes.saturating_mul(GROWTH).saturating_add(BASE);
    assert!(
        encoded.len() <= limit,
        "{}: {} bytes of {bytes}",
        sample.collector,
        encoded.len()
    );
    assert!(Sample::decode(encoded.as_slice()).is_ok());
}
