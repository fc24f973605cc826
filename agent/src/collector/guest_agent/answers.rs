//! The answers of guest agents that are understood (`qemu@qga/qapi-schema.json`).
//!
//! Whoever is root in the guest can answer anything: lists and texts are cut.

use std::net::IpAddr;

use pvelens_proto::{
    Timestamp,
    agent::v1::{GuestAddress, GuestFilesystem, GuestFilesystems, GuestLoad, GuestOperatingSystem},
};
use serde::Deserialize;

use crate::guest_socket::{Bounded, natural, qga::Command, text};

/// File systems of one guest that are looked at, and those that are carried.
const LOOKED_AT: usize = 1024;
const CARRIED: usize = 64;
/// Bytes of each text: all guests of a node share one message.
const OS_LIMIT: usize = 128;
const MOUNT_POINT_LIMIT: usize = 200;
const TYPE_LIMIT: usize = 32;
const DEVICE_LIMIT: usize = 64;
const VERSION_LIMIT: usize = 32;
/// Commands that an agent says to have; some sixty.
const COMMAND_LIMIT: usize = 256;
/// Interfaces, and addresses of one, that are looked at; addresses that are carried.
const INTERFACE_LIMIT: usize = 256;
const ADDRESS_LIMIT: usize = 64;

pub(super) type FsInfo = Bounded<Filesystem, LOOKED_AT>;

#[derive(Debug, Deserialize)]
pub(super) struct Info {
    version: String,
    #[serde(default)]
    supported_commands: Bounded<Supported, COMMAND_LIMIT>,
}

#[derive(Debug, Deserialize)]
struct Supported {
    name: String,
    enabled: bool,
}

impl Info {
    pub(super) fn version(&self) -> String {
        text(&self.version, VERSION_LIMIT)
    }

    /// Whether the agent has the command, and nobody blocks it.
    pub(super) fn has(&self, command: Command) -> bool {
        let mut commands = self.supported_commands.items.iter();
        commands.any(|one| one.enabled && one.name == command.name())
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Load {
    load1m: Option<f64>,
    load5m: Option<f64>,
    load15m: Option<f64>,
}

impl Load {
    pub(super) fn into_fact(self, observed_at: Timestamp) -> GuestLoad {
        let sound = |load: Option<f64>| load.filter(|load| load.is_finite() && *load >= 0.0);
        GuestLoad {
            observed_at: Some(observed_at),
            average_1_minute: sound(self.load1m),
            average_5_minutes: sound(self.load5m),
            average_15_minutes: sound(self.load15m),
        }
    }
}

pub(super) type Interfaces = Bounded<Interface, INTERFACE_LIMIT>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Interface {
    name: String,
    #[serde(default)]
    hardware_address: String,
    #[serde(default)]
    ip_addresses: Bounded<Address, ADDRESS_LIMIT>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Address {
    ip_address: String,
    #[serde(default, deserialize_with = "natural")]
    prefix: Option<u64>,
}

/// Addresses that others can reach, and whether there are more than are carried.
pub(super) fn addresses(all: Interfaces) -> (Vec<GuestAddress>, bool) {
    let mut truncated = all.truncated;
    let mut addresses = Vec::new();
    for interface in all.items {
        truncated |= interface.ip_addresses.truncated;
        for one in interface.ip_addresses.items {
            // Windows adds the interface to those of the link: `fe80::1%12`.
            let plain = one.ip_address.split('%').next().unwrap_or_default();
            let Ok(address) = plain.parse::<IpAddr>() else {
                continue;
            };
            if address.is_loopback() {
                continue;
            }
            if addresses.len() >= ADDRESS_LIMIT {
                truncated = true;
                break;
            }
            addresses.push(GuestAddress {
                interface: text(&interface.name, DEVICE_LIMIT),
                mac_address: text(&interface.hardware_address, VERSION_LIMIT),
                address: address.to_string(),
                prefix_length: one.prefix.and_then(|bits| u32::try_from(bits).ok()),
            });
        }
    }
    (addresses, truncated)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct OsInfo {
    id: String,
    name: String,
    pretty_name: String,
    version: String,
    version_id: String,
    kernel_release: String,
    kernel_version: String,
    machine: String,
    variant: String,
    variant_id: String,
}

impl OsInfo {
    pub(super) fn into_fact(self, observed_at: Timestamp) -> GuestOperatingSystem {
        GuestOperatingSystem {
            observed_at: Some(observed_at),
            id: text(&self.id, OS_LIMIT),
            name: text(&self.name, OS_LIMIT),
            pretty_name: text(&self.pretty_name, OS_LIMIT),
            version: text(&self.version, OS_LIMIT),
            version_id: text(&self.version_id, OS_LIMIT),
            kernel_release: text(&self.kernel_release, OS_LIMIT),
            kernel_version: text(&self.kernel_version, OS_LIMIT),
            machine: text(&self.machine, OS_LIMIT),
            variant: text(&self.variant, OS_LIMIT),
            variant_id: text(&self.variant_id, OS_LIMIT),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Filesystem {
    name: String,
    mountpoint: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "natural")]
    used_bytes: Option<u64>,
    #[serde(default, deserialize_with = "natural")]
    total_bytes: Option<u64>,
    #[serde(default, deserialize_with = "natural")]
    total_bytes_privileged: Option<u64>,
}

/// The largest, by mount point: agents begin with what was mounted last, and a guest
/// can have a hundred small images before its root.
pub(super) fn filesystems(all: FsInfo, observed_at: Timestamp) -> GuestFilesystems {
    let mut items = all.items;
    let truncated = all.truncated || items.len() > CARRIED;
    items.sort_by_key(|one| std::cmp::Reverse(one.total_bytes));
    items.truncate(CARRIED);
    items.sort_by(|a, b| a.mountpoint.cmp(&b.mountpoint));
    let filesystems = items.into_iter().map(|one| GuestFilesystem {
        mount_point: text(&one.mountpoint, MOUNT_POINT_LIMIT),
        r#type: text(&one.kind, TYPE_LIMIT),
        device: text(&one.name, DEVICE_LIMIT),
        used_bytes: one.used_bytes,
        total_bytes: one.total_bytes,
        total_privileged_bytes: one.total_bytes_privileged,
    });
    GuestFilesystems {
        observed_at: Some(observed_at),
        filesystems: filesystems.collect(),
        truncated,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_windows_guest_has_volumes_with_long_names_and_one_without_sizes() {
        let answer = r#"[
            {"name":"\\\\?\\Volume{5a3b}\\","total-bytes":100,"mountpoint":"C:\\","disk":[],"used-bytes":90,"type":"NTFS"},
            {"name":"\\\\?\\Volume{5a3c}\\","mountpoint":"System Reserved","disk":[],"type":"NTFS"}]"#;
        let all = filesystems(serde_json::from_str(answer).unwrap(), Timestamp::default());
        let [system, reserved] = all.filesystems.as_slice() else {
            panic!("{all:?}");
        };
        assert_eq!(system.mount_point, "C:\\");
        assert_eq!(
            (system.used_bytes, system.total_bytes),
            (Some(90), Some(100))
        );
        assert_eq!((reserved.used_bytes, reserved.total_bytes), (None, None));
    }

    #[test]
    fn a_guest_cannot_fill_the_agent() {
        let one = r#"{"name":"a\u001b[2J","mountpoint":"/x","type":"ext4","used-bytes":-1}"#;
        let answer = format!("[{}]", vec![one; 5000].join(","));
        let all = filesystems(serde_json::from_str(&answer).unwrap(), Timestamp::default());
        assert_eq!((all.filesystems.len(), all.truncated), (64, true));
        assert_eq!(all.filesystems[0].device, "a[2J");
        assert_eq!(all.filesystems[0].used_bytes, None);
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(100_000));
        let os: OsInfo = serde_json::from_str(&long).unwrap();
        assert_eq!(os.into_fact(Timestamp::default()).id.len(), OS_LIMIT);
    }

    #[test]
    fn the_root_behind_many_small_images_is_kept() {
        let image = |number: u32| {
            let mount = format!("/snap/{number}");
            serde_json::json!({"name": "loop", "mountpoint": mount, "type": "squashfs", "total-bytes": 7})
        };
        let root = serde_json::json!({"name": "sda1", "mountpoint": "/", "type": "ext4", "total-bytes": 9000});
        let mut answer: Vec<_> = (0..100).map(image).collect();
        answer.push(root);
        let answer = serde_json::from_value(answer.into()).unwrap();
        let all = filesystems(answer, Timestamp::default());
        assert_eq!((all.filesystems.len(), all.truncated), (64, true));
        assert_eq!(all.filesystems[0].mount_point, "/");
    }

    #[test]
    fn an_agent_says_what_it_can_do() {
        let info = r#"{"version":"10.0.13\u001b","supported_commands":[
            {"enabled":true,"name":"guest-get-load","success-response":true},
            {"enabled":false,"name":"guest-network-get-interfaces"}]}"#;
        let info: Info = serde_json::from_str(info).unwrap();
        assert_eq!(info.version(), "10.0.13");
        assert!(info.has(Command::Load) && !info.has(Command::Interfaces));
        let load: Load = serde_json::from_str(r#"{"load1m":0.5,"load5m":-1,"load15m":0}"#).unwrap();
        let load = load.into_fact(Timestamp::default());
        assert_eq!(
            (
                load.average_1_minute,
                load.average_5_minutes,
                load.average_15_minutes
            ),
            (Some(0.5), None, Some(0.0))
        );
    }

    #[test]
    fn only_addresses_that_others_reach_are_carried() {
        let answer = r#"[
            {"name":"lo","ip-addresses":[{"ip-address":"127.0.0.1","prefix":8},{"ip-address":"::1"}],"hardware-address":"00:00:00:00:00:00"},
            {"name":"Ethernet","ip-addresses":[{"ip-address":"192.0.2.7","prefix":24},{"ip-address":"fe80::1%12","prefix":-1},{"ip-address":"x"}],"hardware-address":"bc:24:11:00:00:01"},
            {"name":"down"}]"#;
        let (all, truncated) = addresses(serde_json::from_str(answer).unwrap());
        let found: Vec<_> = all
            .iter()
            .map(|one| {
                (
                    one.interface.as_str(),
                    one.address.as_str(),
                    one.prefix_length,
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("Ethernet", "192.0.2.7", Some(24)),
                ("Ethernet", "fe80::1", None)
            ]
        );
        assert!(!truncated);
        let many = vec![r#"{"ip-address":"192.0.2.7"}"#; 63].join(",");
        let many = vec![format!(r#"{{"name":"x","ip-addresses":[{many}]}}"#); 2].join(",");
        let (all, truncated) = addresses(serde_json::from_str(&format!("[{many}]")).unwrap());
        assert_eq!((all.len(), truncated), (ADDRESS_LIMIT, true));
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "\\[?(\\{\"(name|mountpoint|type|id|used-bytes|version|ip-addresses)\":(\"\\PC{0,5}\"|[0-9-]{1,22}|\\{\\}|null|\\[)\\},?){0,3}\\]?") {
            if let Ok(all) = serde_json::from_str(&text) {
                filesystems(all, Timestamp::default());
            }
            drop(serde_json::from_str::<OsInfo>(&text));
            drop(serde_json::from_str::<Info>(&text));
            if let Ok(all) = serde_json::from_str(&text) {
                addresses(all);
            }
        }
    }
}
