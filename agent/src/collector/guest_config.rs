//! Every guest configuration of the cluster, from `/etc/pve/nodes`.
//!
//! One sweep, one file after the other: pmxcfs copies each file under one lock
//! that its writers need too. A file that cannot be read is named, and the
//! others are kept. A file that is gone by the time it is read was moved or
//! removed just now; it is named as well, or a migration would look like the
//! end of a guest.

use std::time::Duration;

use pvelens_proto::agent::v1::{CollectionClass, GuestConfig, GuestConfigs, GuestKind};

use super::{CONFIG, CollectError, Collector, PMXCFS_FILE_LIMIT, Payload, Reading, pmxcfs};
use crate::{
    format::{FormatError, guest_config, whole_lines},
    host::SourceError,
};

const NODES: &str = "/etc/pve/nodes";

pub(super) const COLLECTOR: Collector = Collector {
    name: "guest_config",
    summary: "configuration of every guest, without secrets",
    class: CollectionClass::Config,
    interval: CONFIG,
    // Thousands of files, each through FUSE.
    deadline: Duration::from_secs(60),
    paths: &[
        "/etc/pve/nodes/*/qemu-server/*.conf",
        "/etc/pve/nodes/*/lxc/*.conf",
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let nodes = reading
        .list(NODES)
        .map_err(|error| pmxcfs::unread(reading, error))?;
    let mut guests = Vec::new();
    for node in nodes {
        for (directory, kind) in [("qemu-server", GuestKind::Qemu), ("lxc", GuestKind::Lxc)] {
            let directory = format!("{NODES}/{node}/{directory}");
            for (vmid, path) in files(reading, &directory) {
                if let Some(text) = whole(reading, &path) {
                    let mut config = guest_config::parse(kind, vmid, &node, &text);
                    config.sha256 = digest(&config);
                    guests.push(config);
                }
            }
        }
    }
    guests.sort_by(|a, b| (a.vmid, &a.node).cmp(&(b.vmid, &b.node)));
    Ok(Payload::GuestConfigs(GuestConfigs { guests }))
}

/// The same on every node: a guest that moves is not changed.
fn digest(config: &GuestConfig) -> String {
    pmxcfs::digest(&GuestConfig {
        node: String::new(),
        ..config.clone()
    })
}

/// VMIDs and paths of the configurations in one directory. PVE's temporary
/// files (`100.conf.tmp.4711`) are none.
fn files(reading: &mut Reading<'_>, directory: &str) -> Vec<(u32, String)> {
    let names = match reading.list(directory) {
        // A node that never had a guest of this kind.
        Err(error) if error.is_not_found() => Vec::new(),
        result => reading.keep(result).unwrap_or_default(),
    };
    names
        .iter()
        .filter_map(|name| {
            let vmid = name.strip_suffix(".conf")?.parse().ok()?;
            Some((vmid, format!("{directory}/{name}")))
        })
        .collect()
}

/// The text of one configuration. One whose last line does not end is named and
/// kept: that is what PVE works with, too.
fn whole(reading: &mut Reading<'_>, path: &str) -> Option<String> {
    let result = reading.read(path, PMXCFS_FILE_LIMIT);
    let text = reading.keep(result)?;
    let checked: Result<(), SourceError> = whole_lines(&text)
        .map(drop)
        .map_err(|error: FormatError| error.at(path));
    reading.keep(checked);
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use pvelens_proto::agent::v1::{FailureKind, Sample};

    use super::*;
    use crate::collector::tests::{kinds, sample};

    fn vmids(sample: &Sample) -> Vec<(u32, String)> {
        match &sample.payload {
            Some(Payload::GuestConfigs(configs)) => configs
                .guests
                .iter()
                .map(|guest| (guest.vmid, guest.node.clone()))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn guests_of_all_nodes_are_sorted_by_vmid() {
        let sweep = sample(
            &COLLECTOR,
            &[
                ("etc/pve/nodes/b/qemu-server/101.conf", "name: x\n"),
                ("etc/pve/nodes/b/lxc/99.conf", "hostname: y\n"),
                ("etc/pve/nodes/a/qemu-server/200.conf", "name: z\n"),
                ("etc/pve/nodes/a/qemu-server/200.conf.tmp.77", "name: no\n"),
                ("etc/pve/nodes/a/lrm_status", "{}"),
            ],
        );
        assert_eq!(kinds(&sweep), []);
        assert_eq!(
            vmids(&sweep),
            [
                (99, "b".to_owned()),
                (101, "b".to_owned()),
                (200, "a".to_owned())
            ]
        );
    }

    #[test]
    fn a_broken_file_is_named_and_the_rest_is_kept() {
        let sweep = sample(
            &COLLECTOR,
            &[
                ("etc/pve/nodes/a/qemu-server/100.conf", ""),
                ("etc/pve/nodes/a/qemu-server/101.conf", "name: cut"),
                ("etc/pve/nodes/a/qemu-server/102.conf/", ""),
                ("etc/pve/nodes/a/qemu-server/103.conf@", "nowhere"),
                ("etc/pve/nodes/a/qemu-server/104.conf", "name: good\n"),
            ],
        );
        assert_eq!(
            kinds(&sweep),
            [
                FailureKind::Truncated,
                FailureKind::Truncated,
                FailureKind::NotAFile,
                FailureKind::NotFound
            ]
        );
        assert_eq!(
            sweep.failures[2].path,
            "/etc/pve/nodes/a/qemu-server/102.conf"
        );
        assert_eq!(
            vmids(&sweep)
                .iter()
                .map(|(vmid, _)| *vmid)
                .collect::<Vec<_>>(),
            [101, 104]
        );
    }

    #[test]
    fn no_secret_leaves_the_node() {
        let sweep = sample(
            &COLLECTOR,
            &[(
                "etc/pve/nodes/a/qemu-server/100.conf",
                "cipassword: canary\nsshkeys: canary\nargs: canary\n[s]\ncipassword: canary\n",
            )],
        );
        assert!(!format!("{sweep:?}").contains("canary"));
    }
}
