//! What the output of a guest command says, as data.
//!
//! One type for all commands, so that a workflow can lay the facts of several
//! commands side by side. What a command does not tell stays empty, and what is
//! empty is left out of the JSON.
//!
//! The guest chose every value. Texts are one line and short, lists are cut with
//! the worst or the biggest first ([`GuestFacts::left_out`]), numbers that cannot be
//! are dropped; yet a guest may still lie, so nothing here is more than its word.
//!
//! Shares are in percent here (`_percent`, 0 to 100), as the tools in guests print
//! them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Facts: whatever is empty, zero or false is left out of the JSON and may be
/// missing in it.
macro_rules! facts {
    ($(
        $(#[$about:meta])*
        pub struct $name:ident { $( $(#[$field_about:meta])* pub $field:ident: $kind:ty, )* }
    )*) => { $(
        $(#[$about])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(default)]
        pub struct $name { $(
            $(#[$field_about])*
            #[serde(skip_serializing_if = "crate::guest_command::facts::is_default")]
            pub $field: $kind,
        )* }
    )* };
}

pub mod clock;
pub mod disk;
pub mod identity;
pub mod load;
pub mod log;
pub mod memory;
pub mod network;
pub mod process;
pub mod service;
pub mod windows;
mod words;

pub use clock::{Clock, Session, Updates};
pub use disk::{Array, BlockDevice, DeletedFile, Directory, DiskStatistics, FileSystem, GuestDisk};
pub use identity::{GuestAgent, Identity, VirtualCpus};
pub use load::{Cpu, Load, Pressure, PressureShare};
pub use log::{Log, LogPattern, LogPatternKind, LogSource, Severity};
pub use memory::{Memory, SwapDevice};
pub use network::{Conntrack, Interface, Peer, Route, Socket, SocketTotals, Sockets};
pub use process::{Process, ProcessGroup, Processes};
pub use service::{Container, Containers, Unit, Units};
pub use windows::{Driver, VssWriter};

facts! {
    /// What one output says. See [`super::interpret::interpret`].
    pub struct GuestFacts {
        /// Something of the output was understood, be it that there is nothing:
        /// no unit failed. False = nothing here may be taken as good news.
        pub understood: bool,
        /// Lines, or entries of JSON, that were not understood.
        pub unread_lines: u32,
        /// The output was cut: totals and counts are then at least, not exactly.
        pub is_cut: bool,
        pub identity: Option<Identity>,
        pub agent: Option<GuestAgent>,
        /// File systems are frozen for a backup or a snapshot.
        pub frozen: Option<bool>,
        pub vcpus: Option<VirtualCpus>,
        pub load: Option<Load>,
        pub cpu: Option<Cpu>,
        pub pressure: Option<Pressure>,
        pub memory: Option<Memory>,
        pub processes: Option<Processes>,
        /// The fullest first, pseudo file systems last.
        pub file_systems: Vec<FileSystem>,
        /// The biggest first.
        pub directories: Vec<Directory>,
        /// Files that were deleted but are still open, the biggest first.
        pub deleted_files: Option<Vec<DeletedFile>>,
        pub block_devices: Vec<BlockDevice>,
        /// The busiest first.
        pub disk_statistics: Vec<DiskStatistics>,
        /// Disks as the guest agent lists them.
        pub guest_disks: Vec<GuestDisk>,
        /// Degraded ones first; `Some` and empty = the guest has none.
        pub arrays: Option<Vec<Array>>,
        pub interfaces: Vec<Interface>,
        /// Default routes first; `Some` and empty = there is none at all.
        pub routes: Option<Vec<Route>>,
        /// Addresses; `Some` and empty = none is configured.
        pub name_servers: Option<Vec<String>>,
        pub search_domains: Vec<String>,
        pub sockets: Option<Sockets>,
        pub conntrack: Option<Conntrack>,
        pub units: Option<Units>,
        pub containers: Option<Containers>,
        pub log: Option<Log>,
        pub clock: Option<Clock>,
        pub updates: Option<Updates>,
        /// `Some` and empty = nobody is logged in.
        pub sessions: Option<Vec<Session>>,
        /// Of Windows: drivers of virtual devices, from the guest agent.
        pub drivers: Vec<Driver>,
        /// Of Windows: failed ones first.
        pub vss_writers: Option<Vec<VssWriter>>,
        /// Entries that lists lost to their bounds, by name of the list.
        pub left_out: BTreeMap<String, u32>,
    }
}

/// A count with its name, in order of the name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Count {
    pub name: String,
    pub count: u32,
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
