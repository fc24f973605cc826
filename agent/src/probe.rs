//! The probes: what a node tells only to a process with privileges.
//!
//! The agent starts nothing and opens no device. What needs that is asked of a
//! probe: systemd accepts the connection and starts one process for one
//! request, in a cage that holds what its tools need and no more. A request is
//! an entry of the [`menu`] with typed parameters, one line of JSON; the reply is
//! one line of JSON ([`Header`]) and the bytes of the tool, untouched. Nothing
//! of the caller becomes part of a command line but a value that a type of
//! [`request`] has let through.
//!
//! One long-living probe was rejected: a tool that hangs in the kernel cannot
//! be killed, and would take its server with it. One cage for everything was
//! rejected too: Ceph's client talks to the network and needs a file of pmxcfs,
//! and neither belongs where corosync and the journal are read. What looks into
//! containers can read every file of the node, so it is off until it is wanted.

mod answer;
mod client;
mod connect;
mod container;
mod entry;
mod guard;
mod menu;
mod mount;
mod reply;
pub mod request;
mod spawn;
mod subscription;

pub use answer::answer;
pub(crate) use answer::{reply as reply_here, wait};
#[cfg(feature = "fuzzing")]
pub(crate) use client::hear as hear_probe;
pub use client::{ProbeError, ask, ask_at};
pub use container::{Line as ContainerLine, Seen, SeenFilesystem, SeenState};
pub use entry::{Entry, Parameter};
pub(crate) use guard::KEYRING as CEPH_KEYRING;
pub use menu::menu;
pub use reply::{Header, Outcome, Reply};
pub use request::{ClusterRequest, ContainerRequest, Request};
pub use subscription::SubscriptionState;

use std::path::Path;

/// Bytes of a request with its newline.
const REQUEST_LIMIT: usize = 4 << 10;
/// Bytes of the first line of a reply.
const HEADER_LIMIT: usize = 32 << 10;

/// Which probe: each has a socket and a cage of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Kind {
    /// Devices, and no network
    Disk,
    /// The node's own sockets and its journal, and no device
    Cluster,
    /// The network of the monitors, and nothing else
    Ceph,
    /// What everybody may ask of systemd and chrony, as a user who is nobody
    System,
    /// Into containers. Off unless the administrator enables it
    Container,
}

impl Kind {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Cluster => "cluster",
            Self::Ceph => "ceph",
            Self::System => "system",
            Self::Container => "container",
        }
    }

    /// Where systemd listens for it.
    #[must_use]
    pub fn socket(self) -> &'static Path {
        Path::new(match self {
            Self::Disk => "/run/pvelens-probe/disk.sock",
            Self::Cluster => "/run/pvelens-probe/cluster.sock",
            Self::Ceph => "/run/pvelens-probe/ceph.sock",
            Self::System => "/run/pvelens-probe/system.sock",
            Self::Container => "/run/pvelens-probe/container.sock",
        })
    }

    /// Its entries of the menu.
    pub fn entries(self) -> impl Iterator<Item = &'static Entry> {
        menu::entries(self).iter()
    }
}

#[cfg(test)]
mod tests;
