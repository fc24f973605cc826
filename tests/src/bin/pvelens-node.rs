//! `pvelens-node`: stands for Proxmox VE on a test system.
//!
//! Writes the tree of one simulated node and moves it through time, so that the
//! cluster files of `/etc/pve`, `/run/pve` and the guests' cgroups can be mounted
//! from it. For each VM a process with vCPU threads is started: the agent meets
//! real processes of root in a real `/proc`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    thread,
    time::{Duration, SystemTime},
};

use anyhow::Context;
use clap::{Parser, Subcommand};
use pvelens_tests::sim::{
    Cluster, ClusterSpec,
    fault::{Fault, StorageFault},
};

/// As often as pvestatd.
const STEP: Duration = Duration::from_secs(10);
/// What is planted: the report has to name it.
const LOST_STORAGE: &str = "nas";

/// Stands for Proxmox VE on a test system.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Write the node's tree and keep it up to date
    Live {
        /// The tree is DIR/pve1
        directory: PathBuf,
        /// Where the PID files of VMs are written
        #[arg(long, default_value = "/run/qemu-server")]
        pid_files: PathBuf,
    },
    /// Be the process of a VM with one vCPU
    Vm { pid_file: PathBuf },
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Task::Live {
            directory,
            pid_files,
        } => live(&directory, &pid_files)?,
        Task::Vm { pid_file } => vm(&pid_file)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn live(directory: &Path, pid_files: &Path) -> anyhow::Result<()> {
    let spec = ClusterSpec {
        nodes: 3,
        vms: 6,
        containers: 4,
        seed: 1,
        ..ClusterSpec::default()
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let mut cluster = Cluster::create_at(&spec, directory, i64::try_from(now.as_millis())?)
        .context("writing the tree")?;
    cluster.plan_fault(
        0,
        Fault::Storage(StorageFault::StorageInactive {
            storage: LOST_STORAGE.to_owned(),
        }),
    );
    plant_secrets(&cluster.root(0).join("etc/pve"))?;
    fs::create_dir_all(pid_files)?;
    // The PID files of the tree name processes that do not exist here.
    for file in fs::read_dir(cluster.root(0).join("run/qemu-server"))? {
        Command::new(std::env::current_exe()?)
            .arg("vm")
            .arg(pid_files.join(file?.file_name()))
            .spawn()
            .context("starting a VM")?;
    }
    cluster.advance(1)?;
    sd_notify::notify(&[sd_notify::NotifyState::Ready])?;
    loop {
        thread::sleep(STEP);
        cluster.advance(STEP.as_secs())?;
    }
}

/// What pmxcfs keeps from everybody but root.
fn plant_secrets(pmxcfs: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    for directory in ["priv", "nodes/pve1/priv"] {
        let directory = pmxcfs.join(directory);
        fs::create_dir_all(&directory)?;
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
        let key = directory.join("authkey.key");
        fs::write(&key, "planted secret\n")?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

fn vm(pid_file: &Path) -> anyhow::Result<()> {
    fs::write(pid_file, format!("{}\n", std::process::id()))?;
    let vcpu = thread::Builder::new()
        .name("CPU 0/KVM".to_owned())
        .spawn(|| {
            loop {
                thread::sleep(Duration::from_millis(100));
            }
        })?;
    drop(vcpu.join());
    Ok(())
}
