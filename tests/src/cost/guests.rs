//! A node with real guests: processes in control groups.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change};
use tempfile::TempDir;

use crate::sim::{Cluster, ClusterSpec, temporary_directory};

/// Directories of the node that are the simulated ones.
const SIMULATED: &[&str] = &["etc", "run", "var"];
const VCPUS: usize = 4;

/// The node, and what has to go with it.
pub(super) struct Node {
    root: PathBuf,
    cluster: Cluster,
    guests: Vec<Child>,
    groups: Vec<PathBuf>,
    /// Gone last.
    _directory: TempDir,
}

impl Node {
    /// Makes it, with all guests running. This process must have a mount namespace of
    /// its own.
    pub(super) fn create(vms: usize, containers: usize) -> Result<Self> {
        mount_change(
            "/",
            MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
        )
        .context("only in a mount namespace of its own")?;
        let directory = temporary_directory()?;
        let spec = ClusterSpec {
            nodes: 1,
            vms,
            containers,
            seed: 1,
            ..ClusterSpec::default()
        };
        let cluster = Cluster::create(&spec, &directory.path().join("simulated"))?;
        let root = directory.path().join("node");
        for name in SIMULATED.iter().chain(&["proc", "sys"]) {
            let target = root.join(name);
            fs::create_dir_all(&target)?;
            let source = if SIMULATED.contains(name) {
                let source = cluster.root(0).join(name);
                fs::create_dir_all(&source)?;
                source
            } else {
                Path::new("/").join(name)
            };
            mount_bind_recursive(&source, &target).with_context(|| target.display().to_string())?;
        }
        // Only version 2, whatever this machine has beside it.
        let hierarchy = root.join("sys/fs/cgroup");
        mount("none", &hierarchy, "cgroup2", MountFlags::empty(), None)
            .context("mounting the control groups")?;
        let mut node = Self {
            root,
            cluster,
            guests: Vec::new(),
            groups: Vec::new(),
            _directory: directory,
        };
        node.start_guests(&hierarchy)?;
        Ok(node)
    }

    fn start_guests(&mut self, hierarchy: &Path) -> Result<()> {
        let simulated = self.cluster.root(0).join("sys/fs/cgroup");
        let pid_files = self.root.join("run/qemu-server");
        for (slice, suffix) in [("qemu.slice", ".scope"), ("lxc", "")] {
            self.make_group(hierarchy.join(slice))?;
            for entry in fs::read_dir(simulated.join(slice)).with_context(|| slice.to_owned())? {
                let name = entry?.file_name().into_string().unwrap_or_default();
                let vmid = name.strip_suffix(suffix).unwrap_or(&name).to_owned();
                if vmid.parse::<u32>().is_err() {
                    continue;
                }
                let group = hierarchy.join(slice).join(&name);
                self.make_group(group.clone())?;
                let vcpus = if suffix.is_empty() { 0 } else { VCPUS };
                let guest = Command::new(std::env::current_exe()?)
                    .args(["guest", &vcpus.to_string()])
                    .spawn()
                    .context("starting a guest")?;
                let id = guest.id().to_string();
                self.guests.push(guest);
                fs::write(group.join("cgroup.procs"), &id)?;
                if vcpus > 0 {
                    fs::write(pid_files.join(format!("{vmid}.pid")), id + "\n")?;
                }
            }
        }
        ensure!(!self.guests.is_empty(), "the simulated node has no guests");
        // For the threads to have their names.
        thread::sleep(Duration::from_millis(500));
        Ok(())
    }

    fn make_group(&mut self, group: PathBuf) -> Result<()> {
        fs::create_dir(&group).with_context(|| group.display().to_string())?;
        self.groups.push(group);
        Ok(())
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn now_millis(&self) -> i64 {
        self.cluster.now_millis()
    }

    /// Moves the simulated files on. The PID files stay: time does not write them.
    pub(super) fn advance(&mut self, time: Duration) -> Result<()> {
        Ok(self.cluster.advance(time.as_secs())?)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for guest in &mut self.guests {
            guest.kill().ok();
            guest.wait().ok();
        }
        // A group goes when its last process has.
        thread::sleep(Duration::from_millis(200));
        for group in self.groups.iter().rev() {
            fs::remove_dir(group).ok();
        }
    }
}

/// Is a guest until it is killed.
///
/// # Errors
/// When a thread cannot be started.
pub fn guest(vcpus: usize) -> Result<()> {
    for vcpu in 0..vcpus {
        thread::Builder::new()
            .name(format!("CPU {vcpu}/KVM"))
            .spawn(work)?;
    }
    work();
    Ok(())
}

/// A little, so that figures move.
fn work() {
    let mut value = 1_u64;
    loop {
        thread::sleep(Duration::from_secs(1));
        for step in 0..1000 {
            value = value
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(step);
        }
        std::hint::black_box(value);
    }
}
