//! The answers of guest agents that are understood (`qemu@qga/qapi-schema.json`).
//!
//! Whoever is root in the guest can answer anything: lists and texts are cut.

use pvelens_proto::{
    Timestamp,
    agent::v1::{GuestFilesystem, GuestFilesystems, GuestOperatingSystem},
};
use serde::Deserialize;

use crate::guest_socket::{Bounded, natural, text};

/// File systems of one guest that are looked at, and those that are carried.
const LOOKED_AT: usize = 1024;
const CARRIED: usize = 64;
/// Bytes of each text: all guests of a node share one message.
const OS_LIMIT: usize = 128;
const MOUNT_POINT_LIMIT: usize = 200;
const TYPE_LIMIT: usize = 32;
const DEVICE_LIMIT: usize = 64;

pub(super) type FsInfo = Bounded<Filesystem, LOOKED_AT>;

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

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "\\[?(\\{\"(name|mountpoint|type|id|used-bytes)\":(\"\\PC{0,5}\"|[0-9-]{1,22}|\\{\\}|null|\\[)\\},?){0,3}\\]?") {
            if let Ok(all) = serde_json::from_str(&text) {
                filesystems(all, Timestamp::default());
            }
            drop(serde_json::from_str::<OsInfo>(&text));
        }
    }
}
