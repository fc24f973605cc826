//! What a process under one of our units must not be able to do, tried for real.
//!
//! The program `pvelens-inmate` is put in the place of a product binary, so the
//! unit that starts it is the shipped one to the letter. Each attempt is one that
//! an attacker who took the process over would make; refused is whatever ends in
//! an error. Attempts that succeed by mistake do no harm on a test system.

use std::{
    env, fs, io,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
};

mod attempt;
mod identity;
mod process;

use attempt::Attempt;

/// The units, by how they start the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Agent,
    Link,
    Coordinator,
    DiskProbe,
    ClusterProbe,
    CephProbe,
    SystemProbe,
    ContainerProbe,
}

impl Unit {
    /// From the arguments in the unit's `ExecStart`.
    #[must_use]
    pub fn from_arguments(arguments: &[String]) -> Option<Self> {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match *arguments.as_slice() {
            ["run"] => Some(Self::Agent),
            ["link"] => Some(Self::Link),
            ["serve"] => Some(Self::Coordinator),
            ["answer-probe", "disk"] => Some(Self::DiskProbe),
            ["answer-probe", "cluster"] => Some(Self::ClusterProbe),
            ["answer-probe", "ceph"] => Some(Self::CephProbe),
            ["answer-probe", "system"] => Some(Self::SystemProbe),
            ["answer-probe", "container"] => Some(Self::ContainerProbe),
            _ => None,
        }
    }

    fn is_root(self) -> bool {
        matches!(
            self,
            Self::Agent | Self::DiskProbe | Self::ClusterProbe | Self::CephProbe
        )
    }

    /// Most probes start programs; the others none.
    fn starts_programs(self) -> bool {
        matches!(
            self,
            Self::DiskProbe | Self::ClusterProbe | Self::CephProbe | Self::SystemProbe
        )
    }

    /// Places that are its own: of an empty root, or rings that corosync's tools
    /// cannot do without.
    fn is_its_own(self, place: &str) -> bool {
        match self {
            Self::Agent | Self::Coordinator | Self::DiskProbe | Self::CephProbe => false,
            Self::Link => matches!(place, "/run"),
            Self::SystemProbe | Self::ContainerProbe => matches!(place, "/run" | "/run/systemd"),
            Self::ClusterProbe => matches!(place, "/run" | "/run/systemd" | "/dev/shm"),
        }
    }

    /// Directories in which it may write.
    fn own(self) -> &'static [&'static str] {
        match self {
            Self::Agent => &["/run/pvelens-agent", "/var/lib/pvelens-agent"],
            Self::Coordinator => &["/var/lib/pvelens"],
            Self::Link
            | Self::DiskProbe
            | Self::ClusterProbe
            | Self::CephProbe
            | Self::SystemProbe
            | Self::ContainerProbe => &[],
        }
    }
}

/// How one attempt ended.
#[derive(Debug)]
pub struct Outcome {
    pub name: String,
    /// Why it was refused; `Ok` when it was not.
    pub result: io::Result<()>,
}

impl Outcome {
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.result.is_err()
    }
}

/// Everything that a process under a unit must not be able to do.
#[must_use]
pub fn forbidden(unit: Unit) -> Vec<Outcome> {
    let mut attempts = Vec::new();
    attempts.extend(identity::attempts(unit));
    attempts.extend(attempt::writes(unit));
    attempts.extend(attempt::secrets(unit));
    attempts.extend(attempt::kernel());
    attempts.extend(attempt::network(unit));
    attempts.extend(attempt::programs(unit));
    attempts.extend(process::attempts(unit));
    attempts.into_iter().map(Attempt::run).collect()
}

/// What it needs: a unit that refuses everything proves nothing.
#[must_use]
pub fn needed(unit: Unit) -> Vec<Outcome> {
    attempt::needs(unit).into_iter().map(Attempt::run).collect()
}

/// Tells systemd that the unit has started. Without connecting: that is refused.
///
/// # Errors
/// When systemd does not take it.
pub fn ready() -> io::Result<()> {
    match env::var_os("NOTIFY_SOCKET") {
        Some(socket) => UnixDatagram::unbound()?
            .send_to(b"READY=1", Path::new(&socket))
            .map(drop),
        None => Ok(()),
    }
}

/// A process of root outside, that stands for QEMU.
fn neighbour() -> io::Result<i32> {
    let directory = Path::new("/run/qemu-server");
    let file: PathBuf = fs::read_dir(directory)?
        .next()
        .ok_or(io::ErrorKind::NotFound)??
        .path();
    fs::read_to_string(file)?
        .trim()
        .parse()
        .map_err(io::Error::other)
}
