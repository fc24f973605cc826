//! Questions to the guest agent that change nothing and take no arguments
//! (`qemu@qga/qapi-schema.json`).

use serde::Deserialize;

/// One question. What is not here cannot be asked: not `guest-file-open`, not
/// `guest-ssh-get-authorized-keys`, not `guest-shutdown`. Whether a program ended is
/// part of starting one, and no question of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Rpc {
    #[serde(rename = "guest-ping")]
    Ping,
    /// Version of the guest agent and what it can do.
    #[serde(rename = "guest-info")]
    Info,
    #[serde(rename = "guest-get-osinfo")]
    OsInfo,
    #[serde(rename = "guest-get-host-name")]
    HostName,
    #[serde(rename = "guest-get-timezone")]
    Timezone,
    #[serde(rename = "guest-get-time")]
    Time,
    #[serde(rename = "guest-get-users")]
    Users,
    #[serde(rename = "guest-network-get-interfaces")]
    NetworkInterfaces,
    #[serde(rename = "guest-network-get-route")]
    NetworkRoutes,
    #[serde(rename = "guest-get-fsinfo")]
    FsInfo,
    #[serde(rename = "guest-fsfreeze-status")]
    FsFreezeStatus,
    #[serde(rename = "guest-get-disks")]
    Disks,
    #[serde(rename = "guest-get-diskstats")]
    DiskStats,
    #[serde(rename = "guest-get-cpustats")]
    CpuStats,
    #[serde(rename = "guest-get-load")]
    Load,
    #[serde(rename = "guest-get-vcpus")]
    Vcpus,
    #[serde(rename = "guest-get-devices")]
    Devices,
}

impl Rpc {
    /// As the guest agent knows it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ping => "guest-ping",
            Self::Info => "guest-info",
            Self::OsInfo => "guest-get-osinfo",
            Self::HostName => "guest-get-host-name",
            Self::Timezone => "guest-get-timezone",
            Self::Time => "guest-get-time",
            Self::Users => "guest-get-users",
            Self::NetworkInterfaces => "guest-network-get-interfaces",
            Self::NetworkRoutes => "guest-network-get-route",
            Self::FsInfo => "guest-get-fsinfo",
            Self::FsFreezeStatus => "guest-fsfreeze-status",
            Self::Disks => "guest-get-disks",
            Self::DiskStats => "guest-get-diskstats",
            Self::CpuStats => "guest-get-cpustats",
            Self::Load => "guest-get-load",
            Self::Vcpus => "guest-get-vcpus",
            Self::Devices => "guest-get-devices",
        }
    }
}
