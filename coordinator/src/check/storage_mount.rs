//! Directory storages that rely on a mount nobody makes sure of.

use pvelens_proto::agent::v1::Filesystem;

use super::{
    Check, Failure, Input, Intended, Remedy, Scope, Unknown, Verdicts, gate,
    node_filesystem::{is_below, mount_of},
    words,
};
use crate::{
    finding::{Category, Evidence, Lane, Risk, Severity},
    untrusted,
    view::{Dated, NodeIndex, Storage, Subject, View},
};

pub(super) const NOT_MOUNTPOINT: Check = Check {
    id: "storage.dir.not_mountpoint",
    title: "A directory storage fills the root file system when its disk is not mounted",
    category: Category::Storage,
    severity: Severity::Warning,
    scope: Scope::Node,
    intents: &[Intended::Rotated],
    mappings: &["RESIL"],
    remediation: Remedy {
        diagnose: &["findmnt", "grep -A6 '^dir' /etc/pve/storage.cfg"],
        fix: "Let Proxmox VE use the storage only while its disk is mounted: pvesm set {storage} --is_mountpoint yes --mkdir 0.",
        impact: "The storage is inactive whenever the disk is not mounted.",
        risk: Risk::Low,
        way_back: "pvesm set {storage} --delete is_mountpoint,mkdir",
    },
    run: not_mountpoint,
    ..Check::POSTURE
};

const MOUNTS: &str = "/proc/1/mountinfo";
/// Where administrators mount disks.
const MOUNT_PLACES: [&str; 2] = ["/mnt", "/media"];
/// Where they may, or may keep ordinary directories.
const MAYBE_PLACES: [&str; 1] = ["/srv"];

/// `fstab` and mount units are not collected yet. A path is meant to be a mount
/// when it is one now, here or on another node, or by where it lies.
fn not_mountpoint(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    for (index, storage) in input.view.storages() {
        let entry = &storage.entry;
        if !matches!(entry.storage_type.as_str(), "dir" | "btrfs") || entry.path.is_empty() {
            continue;
        }
        let is_mount_somewhere = storage
            .nodes
            .iter()
            .any(|on| is_own_mount(input.view, on.node, &entry.path));
        for on in &storage.nodes {
            let subject = Subject::StorageOnNode(index, on.node);
            if entry.disabled {
                verdicts.not_applicable(subject, "the storage is disabled");
            } else if !entry.required_mount_point.is_empty() {
                verdicts.pass(subject);
            } else {
                let checked =
                    gate::config_at(input, input.view.cluster(storage.cluster).storage_config_at);
                let node = input.view.node(on.node);
                let mounts = checked.and_then(|_| {
                    gate::node_fact(input, node, node.facts.filesystems.as_ref(), "filesystem")
                });
                match mounts {
                    Ok(mounts) => {
                        let mounts = Dated {
                            value: mounts.value.filesystems.as_slice(),
                            at: mounts.at,
                        };
                        judge(
                            input,
                            verdicts,
                            subject,
                            storage,
                            on.node,
                            mounts,
                            is_mount_somewhere,
                        );
                    }
                    Err(why) => verdicts.unknown(subject, why),
                }
            }
        }
    }
}

fn judge(
    input: &Input<'_>,
    verdicts: &mut Verdicts<'_>,
    subject: Subject,
    storage: &Storage,
    node: NodeIndex,
    mounts: Dated<&[Filesystem]>,
    is_mount_somewhere: bool,
) {
    let entry = &storage.entry;
    let Some(mount) = mount_of(mounts.value, &entry.path) else {
        // Not even the root file system is listed.
        verdicts.unknown(subject, Unknown::NotReported);
        return;
    };
    let name = untrusted::name(&storage.name);
    let path = untrusted::name(&entry.path);
    let on = words::node(input.view, node);
    let failure = if mount.mount_point != "/" {
        Failure::new(
            Severity::Warning,
            format!(
                "Storage {name} of {on} needs {path} to be mounted, and nothing stops writes to the root file system when it is not."
            ),
        )
    } else if is_mount_somewhere
        || MOUNT_PLACES
            .iter()
            .any(|place| is_below(&entry.path, place))
    {
        Failure::new(
            Severity::Critical,
            format!(
                "Storage {name} of {on} writes to the root file system: {path} is not mounted."
            ),
        )
        .lane(Lane::Health)
        .confidence(if is_mount_somewhere { 1.0 } else { 0.7 })
    } else if MAYBE_PLACES
        .iter()
        .any(|place| is_below(&entry.path, place))
    {
        Failure::new(
            Severity::Warning,
            format!("Storage {name} of {on} lies on the root file system; if {path} is meant to be a disk, it is not mounted."),
        )
        .confidence(0.5)
    } else {
        verdicts.not_applicable(subject, "it lies on the root file system by design");
        return;
    };
    let node = &input.view.node(node).name;
    verdicts.fail(
        subject,
        failure.proof([
            Evidence::new("path", entry.path.as_str(), "/etc/pve/storage.cfg"),
            Evidence::new("lies on", mount.mount_point.as_str(), MOUNTS).seen(node, mounts.at),
            Evidence::new("device", mount.source.as_str(), MOUNTS).seen(node, mounts.at),
        ]),
    );
}

/// Whether the path lies on a file system other than the root one.
fn is_own_mount(view: &View, node: NodeIndex, path: &str) -> bool {
    view.node(node)
        .facts
        .filesystems
        .as_ref()
        .and_then(|mounts| mount_of(&mounts.value.filesystems, path))
        .is_some_and(|mount| mount.mount_point != "/")
}

#[cfg(test)]
mod tests;
