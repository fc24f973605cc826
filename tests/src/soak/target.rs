//! The node that is soaked, and what of it can be broken.
//!
//! The files that move are those of the simulator. Below them lie the files of the
//! agent's own test node, so that the collectors of what the simulator does not
//! show have something to read, too.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::symlink,
    path::Path,
};

use anyhow::Result;
use pvelens_agent::{
    collector::{COLLECTORS, Collector, collect_once},
    host::{Clock, Host, fits},
};

use crate::sim::{Cluster, ClusterSpec};

/// The agent's test node.
const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../agent/tests/fixtures/node");
/// What the simulator shows itself, of guests and interfaces of its own.
const OF_THE_SIMULATOR: &[&str] = &[
    "etc/pve/nodes/pve1/lxc",
    "etc/pve/nodes/pve1/qemu-server",
    "etc/pve/nodes/pve2/lxc",
    "etc/pve/nodes/pve2/qemu-server",
    "proc/233",
    "run/pve",
    "run/qemu-server",
    "sys/class/net",
    "sys/fs/cgroup",
];

/// Makes the node: a cluster of two, of which the first is read.
pub(super) fn create(directory: &Path, seed: u64) -> io::Result<Cluster> {
    copy(Path::new(FIXTURE), &directory.join("pve1"), "")?;
    let spec = ClusterSpec {
        nodes: 2,
        vms: 4,
        containers: 2,
        seed,
        ..ClusterSpec::default()
    };
    Cluster::create(&spec, directory)
}

fn copy(from: &Path, to: &Path, path: &str) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let below = format!("{path}{}", name.to_string_lossy());
        let (source, copy_of) = (entry.path(), to.join(&name));
        let kind = entry.file_type()?;
        if OF_THE_SIMULATOR.contains(&below.as_str()) {
            continue;
        } else if kind.is_dir() {
            copy(&source, &copy_of, &format!("{below}/"))?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(source)?, copy_of)?;
        } else {
            fs::copy(source, copy_of)?;
        }
    }
    Ok(())
}

/// The path behind the link that names this node.
pub(super) fn real(path: &str) -> String {
    path.replacen("/etc/pve/local/", "/etc/pve/nodes/pve1/", 1)
}

/// The files that are read, each with the collectors that really read it.
pub(super) fn find(cluster: &Cluster) -> Result<BTreeMap<String, Vec<&'static Collector>>> {
    let host = Host::open(cluster.root(0))?
        .with_clock(Clock::Fixed(cluster.clock(0)))
        .witnessed();
    let mut readers: BTreeMap<String, Vec<&Collector>> = BTreeMap::new();
    for collector in COLLECTORS {
        drop(collect_once(collector, &host));
        // What is only looked for, and not read, is not among its paths.
        let is_read = |path: &&String| collector.paths.iter().any(|known| fits(known, path));
        let paths = host.take_witness().paths;
        let paths: BTreeSet<String> = paths
            .iter()
            .filter(is_read)
            .map(|path| real(path))
            .collect();
        for path in paths {
            readers.entry(path).or_default().push(collector);
        }
    }
    readers.retain(|path, _| {
        let place = cluster.root(0).join(path.trim_start_matches('/'));
        let is_file = fs::symlink_metadata(place).is_ok_and(|it| it.is_file());
        // Replies of probes are no files of a node.
        is_file && !path.starts_with("/.pvelens/")
    });
    Ok(readers)
}
