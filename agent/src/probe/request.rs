//! What may be asked of a probe.
//!
//! Every value has a type that lets through only what its tool takes for a
//! value: none can begin an option, hold a separator or leave its directory.
//! Enumerated values are replaced by the text of the program's own list.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Entry, Kind};

/// One request, of one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    Disk(DiskRequest),
    Cluster(ClusterRequest),
    Ceph(CephRequest),
    System(SystemRequest),
    Container(ContainerRequest),
}

/// What the disk probe answers.
// Variants without parameters have braces: without them serde lets unknown
// fields pass (serde-rs/serde#2294).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case", deny_unknown_fields)]
pub enum DiskRequest {
    Smart {
        device: DiskName,
        #[serde(default)]
        device_type: DeviceType,
    },
    ZpoolList {
        format: Format,
    },
    ZpoolStatus {
        format: Format,
    },
    ZfsList {
        format: Format,
    },
    Vgs {},
    Lvs {},
    Pvs {},
    DmStatus {
        #[serde(default)]
        target: DmTarget,
    },
    MdDetail {
        array: ArrayName,
    },
    Multipath {},
}

/// What the cluster probe answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case", deny_unknown_fields)]
pub enum ClusterRequest {
    CorosyncLinks {},
    CorosyncNodes {},
    CorosyncStats {},
    CorosyncQuorum {},
    Journal {
        source: JournalSource,
        since_seconds: Bounded<1, 604_800>,
        priority: Bounded<0, 6>,
        lines: Bounded<1, 5_000>,
    },
    SshdConfig {},
    SshdConfigFor {
        user: UserName,
        host: HostName,
        address: IpAddr,
    },
    MountLiveness {
        mount_point: MountPoint,
    },
    Subscription {},
}

/// What the Ceph probe answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case", deny_unknown_fields)]
pub enum CephRequest {
    Status {},
    Df {},
    OsdDf {},
    OsdTree {},
    OsdDump {},
    CrushRules {},
    HealthDetail {},
    Versions {},
}

/// What the system probe answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case", deny_unknown_fields)]
pub enum SystemRequest {
    Units {},
    FailedUnits {},
    Time {},
    Chrony {},
}

/// What the container probe answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case", deny_unknown_fields)]
pub enum ContainerRequest {
    Filesystems {
        /// All that run, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vmid: Option<Bounded<100, 999_999_999>>,
    },
}

/// How smartctl talks to a disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceType {
    #[default]
    Auto,
    Sat,
    Scsi,
    Nvme,
}

/// Text for OpenZFS before 2.3 (Proxmox VE 8), JSON from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DmTarget {
    #[default]
    All,
    ThinPool,
}

impl Request {
    /// Reads a request of one probe.
    ///
    /// # Errors
    /// When it is not one, in words without control characters.
    pub fn parse(kind: Kind, line: &[u8]) -> Result<Self, RequestError> {
        let request = match kind {
            Kind::Disk => serde_json::from_slice(line).map(Self::Disk),
            Kind::Cluster => serde_json::from_slice(line).map(Self::Cluster),
            Kind::Ceph => serde_json::from_slice(line).map(Self::Ceph),
            Kind::System => serde_json::from_slice(line).map(Self::System),
            Kind::Container => serde_json::from_slice(line).map(Self::Container),
        };
        // Names and values of the caller are quoted in the error.
        request.map_err(|error| RequestError(super::reply::printable(&error.to_string(), 1000)))
    }

    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Disk(_) => Kind::Disk,
            Self::Cluster(_) => Kind::Cluster,
            Self::Ceph(_) => Kind::Ceph,
            Self::System(_) => Kind::System,
            Self::Container(_) => Kind::Container,
        }
    }

    /// The request as it is sent, without newline.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.object().to_string()
    }

    /// Its row of the menu; a test finds one for every variant.
    pub(crate) fn entry(&self) -> Option<&'static Entry> {
        let name = self.value("entry")?;
        self.kind().entries().find(|entry| entry.name == name)
    }

    /// The text of a parameter.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        match self.object().get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    fn object(&self) -> Value {
        match self {
            Self::Disk(request) => serde_json::to_value(request),
            Self::Cluster(request) => serde_json::to_value(request),
            Self::Ceph(request) => serde_json::to_value(request),
            Self::System(request) => serde_json::to_value(request),
            Self::Container(request) => serde_json::to_value(request),
        }
        // Structures of text and numbers have no way to fail.
        .unwrap_or_default()
    }
}

/// Not a request of this probe, or a value that does not exist there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RequestError(String);

/// A type whose text is checked before it exists.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl TryFrom<String> for $name {
            type Error = RequestError;

            fn try_from(text: String) -> Result<Self, RequestError> {
                if $check(&text) {
                    Ok(Self(text))
                } else {
                    Err(RequestError(concat!("not ", $expected).to_owned()))
                }
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

checked_text!(
    /// A whole disk as the kernel names it: `sda`, `nvme0n1`, `nvme0`.
    DiskName, "the kernel's name of a whole disk", is_disk
);
checked_text!(
    /// An array of md: `md127`.
    ArrayName, "the kernel's name of an md array", is_array
);
checked_text!(UserName, "a user name", is_user);
checked_text!(HostName, "a host name", is_host);
checked_text!(
    /// An absolute path in its shortest form. It is compared with the mount
    /// table and reaches no command line.
    MountPoint, "an absolute path in its shortest form", is_mount_point
);

/// A number of which the type knows the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Bounded<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> TryFrom<u32> for Bounded<MIN, MAX> {
    type Error = RequestError;

    fn try_from(number: u32) -> Result<Self, RequestError> {
        if (MIN..=MAX).contains(&number) {
            Ok(Self(number))
        } else {
            Err(RequestError(format!("not a number from {MIN} to {MAX}")))
        }
    }
}

impl<const MIN: u32, const MAX: u32> From<Bounded<MIN, MAX>> for u32 {
    fn from(number: Bounded<MIN, MAX>) -> Self {
        number.0
    }
}

/// Whose messages: the kernel's, or those of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JournalSource(Listed);

/// An alias, since serde takes a written `&` for something to borrow from the
/// input.
type Listed = &'static str;

/// Units that a check may ask about; those with `@*` have instances.
const JOURNAL_SOURCES: &[&str] = &[
    "kernel",
    "ceph-mds@*",
    "ceph-mgr@*",
    "ceph-mon@*",
    "ceph-osd@*",
    "chrony",
    "corosync",
    "corosync-qdevice",
    "cron",
    "frr",
    "ksmtuned",
    "lxcfs",
    "multipathd",
    "networking",
    "postfix",
    "postfix@-",
    "proxmox-firewall",
    "pve-cluster",
    "pve-container@*",
    "pve-firewall",
    "pve-guests",
    "pve-ha-crm",
    "pve-ha-lrm",
    "pve-lxc-syscalld",
    "pvedaemon",
    "pvefw-logger",
    "pvelens",
    "pvelens-agent",
    "pveproxy",
    "pvescheduler",
    "pvestatd",
    "qmeventd",
    "smartmontools",
    "spiceproxy",
    "ssh",
    "systemd-journald",
    "systemd-timesyncd",
    "watchdog-mux",
    "zfs-zed",
];

impl TryFrom<String> for JournalSource {
    type Error = RequestError;

    fn try_from(text: String) -> Result<Self, RequestError> {
        JOURNAL_SOURCES
            .iter()
            .find(|source| **source == text)
            .map(|source| Self(source))
            .ok_or_else(|| RequestError(format!("not one of {}", JOURNAL_SOURCES.join(", "))))
    }
}

impl From<JournalSource> for String {
    fn from(source: JournalSource) -> Self {
        source.0.to_owned()
    }
}

fn is_disk(name: &str) -> bool {
    if let Some(letters) = name.strip_prefix("sd").or_else(|| name.strip_prefix("hd")) {
        return (1..=4).contains(&letters.len())
            && letters.bytes().all(|byte| byte.is_ascii_lowercase());
    }
    name.strip_prefix("nvme")
        .is_some_and(|numbers| match numbers.split_once('n') {
            Some((controller, namespace)) => is_small(controller) && is_small(namespace),
            None => is_small(numbers),
        })
}

fn is_array(name: &str) -> bool {
    name.strip_prefix("md").is_some_and(is_small)
}

fn is_small(number: &str) -> bool {
    (1..=4).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_user(name: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

fn is_host(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}

fn is_mount_point(path: &str) -> bool {
    path == "/"
        || (path.len() <= 1024
            && !path.chars().any(char::is_control)
            && path
                .strip_prefix('/')
                .is_some_and(|rest| rest.split('/').all(|name| !matches!(name, "" | "." | ".."))))
}
