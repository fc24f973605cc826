//! How the catalogue says that an output is read.

use std::str::FromStr;

/// One interpreter.
macro_rules! reads {
    ($( $variant:ident = $name:literal, )*) => {
        /// How an output is read. Names are those of the catalogue, in kebab-case.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reads {
            /// Plain text: nothing is read from it.
            Text,
            $( #[doc = concat!("`", $name, "`")] $variant, )*
        }

        impl Reads {
            /// All of them.
            pub const ALL: &[Self] = &[Self::Text, $( Self::$variant, )*];

            /// Nothing for a name that this version does not know.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                match name {
                    "text" => Some(Self::Text),
                    $( $name => Some(Self::$variant), )*
                    _ => None,
                }
            }

            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    Self::Text => "text",
                    $( Self::$variant => $name, )*
                }
            }
        }
    };
}

reads! {
    RpcPing = "rpc-ping",
    RpcAgentInfo = "rpc-agent-info",
    RpcOsinfo = "rpc-osinfo",
    RpcHostname = "rpc-hostname",
    RpcTimezone = "rpc-timezone",
    RpcTime = "rpc-time",
    RpcUsers = "rpc-users",
    RpcNetworkInterfaces = "rpc-network-interfaces",
    RpcFsinfo = "rpc-fsinfo",
    RpcFsfreezeStatus = "rpc-fsfreeze-status",
    RpcDisks = "rpc-disks",
    RpcDiskStats = "rpc-disk-stats",
    RpcCpuStats = "rpc-cpu-stats",
    RpcLoad = "rpc-load",
    RpcVcpus = "rpc-vcpus",
    RpcDevices = "rpc-devices",
    RpcNetworkRoutes = "rpc-network-routes",
    OsRelease = "os-release",
    Uptime = "uptime",
    Loadavg = "loadavg",
    Pressure = "pressure",
    Vmstat = "vmstat",
    Processes = "processes",
    ProcessesBasic = "processes-basic",
    Free = "free",
    Meminfo = "meminfo",
    Swaps = "swaps",
    Df = "df",
    DfInodes = "df-inodes",
    Mounts = "mounts",
    BlockDevices = "block-devices",
    Du = "du",
    DeletedFiles = "deleted-files",
    MdArrays = "md-arrays",
    DiskStatistics = "disk-statistics",
    IpAddress = "ip-address",
    IpLink = "ip-link",
    IpRoute = "ip-route",
    Sockets = "sockets",
    SocketSummary = "socket-summary",
    ResolvConf = "resolv-conf",
    Conntrack = "conntrack",
    FailedUnits = "failed-units",
    UnitStatus = "unit-status",
    SystemState = "system-state",
    OpenrcStatus = "openrc-status",
    Journal = "journal",
    KernelLog = "kernel-log",
    Timedatectl = "timedatectl",
    ChronyTracking = "chrony-tracking",
    AptUpgradable = "apt-upgradable",
    RebootRequired = "reboot-required",
    DockerPs = "docker-ps",
    LoggedIn = "logged-in",
    WindowsSystem = "windows-system",
    WindowsProcesses = "windows-processes",
    WindowsServices = "windows-services",
    WindowsDiskFree = "windows-disk-free",
    WindowsSockets = "windows-sockets",
    WindowsTime = "windows-time",
    WindowsSessions = "windows-sessions",
    WindowsEvents = "windows-events",
    WindowsCounters = "windows-counters",
    WindowsVssWriters = "windows-vss-writers",
}

/// The name is none of this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such way to read an output")]
pub struct UnknownReads;

impl FromStr for Reads {
    type Err = UnknownReads;

    fn from_str(name: &str) -> Result<Self, UnknownReads> {
        Self::parse(name).ok_or(UnknownReads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for reads in Reads::ALL {
            assert_eq!(Reads::parse(reads.name()), Some(*reads));
            assert_eq!(reads.name().parse(), Ok(*reads));
        }
        assert_eq!(Reads::parse("Df"), None);
        assert_eq!("".parse::<Reads>(), Err(UnknownReads));
    }
}
