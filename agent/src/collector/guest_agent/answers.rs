//! The answers of guest agents that are understood (`qemu@qga/qapi-schema.json`).
//!
//! Whoever is root in the guest can answer anything: lists and texts are cut.

use pvelens_proto::{
    Timestamp,
    agent::v1::{GuestFilesystem, GuestFilesystems, GuestOperatingSystem},
};
use serde::Deserialize;

use crate::guest_socket::{Bounded, natural, text};

/// File systems of one guest that are carried.
const FILESYSTEM_LIMIT: usize = 64;

pub(super) type FsInfo = Bounded<Filesystem, FILESYSTEM_LIMIT>;

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
            id: text(&self.id),
            name: text(&self.name),
            pretty_name: text(&self.pretty_name),
            version: text(&self.version),
            version_id: text(&self.version_id),
            kernel_release: text(&self.kernel_release),
            kernel_version: text(&self.kernel_version),
            machine: text(&self.machine),
            variant: text(&self.variant),
            variant_id: text(&self.variant_id),
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

pub(super) fn filesystems(all: FsInfo, observed_at: Timestamp) -> GuestFilesystems {
    let filesystems = all.items.into_iter().map(|one| GuestFilesystem {
        mount_point: text(&one.mountpoint),
        r#type: text(&one.kind),
        device: text(&one.name),
        used_bytes: one.used_bytes,
        total_bytes: one.total_bytes,
        total_privileged_bytes: one.total_bytes_privileged,
    });
    GuestFilesystems {
        observed_at: Some(observed_at),
        filesystems: filesystems.collect(),
        truncated: all.truncated,
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
        assert_eq!(os.into_fact(Timestamp::default()).id.len(), 256);
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
