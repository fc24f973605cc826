//! Nodes that have a directory in `/etc/pve/nodes`, and their settings there.
//!
//! The directory of a node that left the cluster stays until somebody removes it.

use std::time::Duration;

use pvelens_proto::agent::v1::{
    ClusterFilesSize, CollectionClass, NodeConfig, NodeConfigs, NodeSettings,
};

use super::{
    CONFIG, CollectError, Collector, Payload, Reading,
    pmxcfs::{self, MOUNT_POINT, SettingsFile},
};
use crate::format::{
    property_string::{Properties, list},
    settings,
};

const NODES: &str = "/etc/pve/nodes";
/// `acme` and `acmedomain0` .. `acmedomain5`
/// (`pve-manager@PVE/NodeConfig.pm`).
const ACME_DOMAIN: &str = "acmedomain";

pub(super) const COLLECTOR: Collector = Collector {
    name: "node_config",
    summary: "directories of nodes in the cluster's configuration, and their settings",
    class: CollectionClass::Config,
    interval: CONFIG,
    // One file of each node, each through FUSE.
    deadline: Duration::from_secs(10),
    // The size of `/etc/pve` is asked of the kernel; that of a tree is in a file.
    paths: &["/etc/pve/nodes/*/config", "/.pvelens/statvfs.json"],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let mut names = reading
        .list(NODES)
        .map_err(|error| pmxcfs::unread(reading, error))?;
    names.sort_unstable();
    pmxcfs::limit(reading, NODES, &mut names);
    let mut nodes = Vec::new();
    for node in names {
        let settings = settings(reading, &format!("{NODES}/{node}/config"))?;
        nodes.push(NodeConfig { node, settings });
    }
    let size = size(reading);
    Ok(Payload::NodeConfigs(NodeConfigs { nodes, size }))
}

/// pmxcfs answers from memory, as it answered for the files just now.
fn size(reading: &mut Reading<'_>) -> Option<ClusterFilesSize> {
    let size = reading.statvfs(MOUNT_POINT);
    let size = reading.keep(size)??;
    Some(ClusterFilesSize {
        used_bytes: size.total_bytes.saturating_sub(size.free_bytes),
        total_bytes: size.total_bytes,
        inodes_used: size.inodes_total.saturating_sub(size.inodes_free),
        inodes_total: size.inodes_total,
    })
}

fn settings(reading: &mut Reading<'_>, path: &str) -> Result<Option<NodeSettings>, CollectError> {
    let Some(file) = SettingsFile::read_one(reading, path)? else {
        return Ok(None);
    };
    let mut settings = parse(&file.text);
    settings.sha256 = file.digest(&settings);
    pmxcfs::limit(reading, path, &mut settings.acme_domains);
    Ok(Some(settings))
}

/// Never fails: what does not fit is named by line number.
fn parse(text: &str) -> NodeSettings {
    let settings = settings::parse(text);
    let acme = Properties::new(settings.get("acme").unwrap_or_default(), "account");
    let mut acme_domains = list(acme.get("domains").unwrap_or_default());
    for (key, value) in &settings.pairs {
        if key.starts_with(ACME_DOMAIN) {
            acme_domains.extend(
                Properties::new(value, "domain")
                    .get("domain")
                    .map(str::to_owned),
            );
        }
    }
    acme_domains.sort_unstable();
    acme_domains.dedup();
    let number = |key: &str| settings.get(key).and_then(|text| text.parse::<u32>().ok());
    NodeSettings {
        acme_account: acme.text("account"),
        acme_domains,
        has_wake_on_lan: settings.has("wakeonlan"),
        start_all_delay_seconds: number("startall-onboot-delay").map(u64::from),
        ballooning_target_ratio: number("ballooning-target")
            .map(|percent| f64::from(percent) / 100.0),
        has_description: settings.has_notes || settings.has("description"),
        has_location: settings.has("location"),
        sha256: String::new(),
        malformed_lines: pmxcfs::first_lines(settings.malformed_lines),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pvelens_proto::agent::v1::FailureKind;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    #[test]
    fn settings_of_a_node() {
        let settings = parse(
            "# rack 4\nacme: account=default,domains=b.example.test;a.example.test\n\
             acmedomain0: c.example.test,plugin=x\nacmedomain1: domain=a.example.test\n\
             ballooning-target: 85\nstartall-onboot-delay: 30\nwakeonlan: 00:11:22:33:44:55\nlocation: lat=1\n",
        );
        assert_eq!(settings.acme_account, "default");
        assert_eq!(
            settings.acme_domains,
            ["a.example.test", "b.example.test", "c.example.test"]
        );
        assert_eq!(settings.ballooning_target_ratio, Some(0.85));
        assert_eq!(settings.start_all_delay_seconds, Some(30));
        assert!(settings.has_wake_on_lan && settings.has_description && settings.has_location);
        assert_eq!(parse(""), NodeSettings::default());
    }

    #[test]
    fn a_directory_without_settings_counts_and_one_that_cannot_be_read_is_unknown() {
        let node = sample(
            &COLLECTOR,
            &[
                ("etc/pve/local@", "nodes/a"),
                ("etc/pve/nodes/gone/", ""),
                ("etc/pve/nodes/b/config/", ""),
                (
                    "etc/pve/nodes/a/config",
                    "# canary\nwakeonlan: canary\ncanary\n",
                ),
            ],
        );
        assert_eq!(kinds(&node), [FailureKind::NotAFile]);
        assert!(!format!("{node:?}").contains("canary"));
        let Some(Payload::NodeConfigs(configs)) = node.payload else {
            panic!("{node:?}");
        };
        let [a, b, gone] = configs.nodes.as_slice() else {
            panic!("{configs:?}");
        };
        assert!(a.settings.as_ref().unwrap().has_wake_on_lan);
        assert_eq!(b.settings, None);
        assert_eq!(gone.settings, Some(NodeSettings::default()));
    }

    proptest! {
        #[test]
        fn any_text_gives_settings(text in "((acme|acmedomain[0-9]|ballooning-target|[a-z]{0,4}):? ?\\PC{0,12}\n?){0,9}") {
            let settings = parse(&text);
            prop_assert!(settings.ballooning_target_ratio.is_none_or(f64::is_finite));
        }
    }
}
