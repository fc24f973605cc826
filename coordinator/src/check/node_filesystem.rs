//! The node's own file systems: space, and whether they can be written.

use std::time::Duration;

use pvelens_proto::agent::v1::{Filesystem, FilesystemState};

use super::{
    Check, Failure, Input, Remedy, Scope, Timing, Unknown, Verdicts, forecast,
    forecast::{Filling, Forecast},
    gate,
};
use crate::{
    figure,
    finding::{Category, Evidence, Risk, Severity},
    metric::Metric,
    store::row::ObjectKind,
    untrusted,
    view::{Dated, Node, NodeIndex, Subject},
    windows::{Declared, Form},
};

const MOUNTS: &str = "/proc/1/mountinfo";
/// Mount points of the operating system whose space matters.
const SYSTEM: [&str; 6] = ["/", "/boot", "/tmp", "/var", "/var/lib/vz", "/var/log"];

pub(super) const SPACE: Check = Check {
    id: "node.rootfs.space",
    title: "A file system of the node is nearly full",
    category: Category::Capacity,
    severity: Severity::Warning,
    scope: Scope::Node,
    timing: Timing::T2 {
        hold: Duration::ZERO,
        clear: Duration::from_secs(900),
    },
    mappings: &["CAP"],
    windows: &[Declared {
        kinds: &[ObjectKind::Node],
        metric: Metric::UsedRatio,
        parts: &SYSTEM,
        form: Form::Course,
    }],
    remediation: Remedy {
        diagnose: &["df -h", "du -xh --max-depth=2 /var | sort -h | tail -20"],
        fix: "Remove old ISO images and backups from the storage local, and old journal files: journalctl --vacuum-size=500M.",
        impact: "What is removed is gone.",
        risk: Risk::Medium,
        way_back: "",
    },
    run: |input, verdicts| each(input, verdicts, space),
    ..Check::HEALTH
};

/// What is short of space now, and what will be full within a day. A file system of
/// which too little is known to say the latter is unknown, unless so much of it is free
/// that it would not be forecast.
fn space(
    input: &Input<'_>,
    verdicts: &mut Verdicts<'_>,
    index: NodeIndex,
    node: &Node,
    mounts: &Dated<std::sync::Arc<pvelens_proto::agent::v1::Filesystems>>,
) {
    let subject = Subject::Node(index);
    let (mut seen, mut has_failed, mut is_clear, mut is_known) = (0, false, true, true);
    let mut is_covered = true;
    let mut judged: Vec<&Filesystem> = mounts
        .value
        .filesystems
        .iter()
        .filter(|mount| is_judged(mount))
        .collect();
    judged.sort_by(|a, b| a.mount_point.cmp(&b.mount_point));
    for mount in judged {
        seen += 1;
        let (Some(total), Some(free)) = (mount.total_bytes, mount.available_bytes) else {
            is_known = false;
            continue;
        };
        if total == 0 {
            continue;
        }
        let share = free as f64 / total as f64;
        let (warning, critical) = triggers(input, total);
        if share < warning.max(critical) {
            let severity = if share < critical {
                Severity::Critical
            } else {
                Severity::Warning
            };
            has_failed = true;
            verdicts.fail(
                subject,
                space_failure(node, mount, free, share, severity, mounts.at),
            );
            continue;
        }
        if share < warning.max(critical) + input.params.limits.filesystem_free_margin {
            is_clear = false;
        }
        match forecast::forecast(input, node.key, &mount.mount_point, share) {
            Forecast::Far => {}
            Forecast::Near => is_clear = false,
            Forecast::TooFew => is_covered = false,
            Forecast::Full(filling) => {
                has_failed = true;
                let failure = filling_failure(node, mount, free, share, &filling, mounts.at);
                verdicts.fail(subject, failure);
            }
        }
    }
    if !is_known {
        verdicts.unknown(subject, Unknown::NotReported);
    } else if !is_covered {
        verdicts.unknown(subject, Unknown::Coverage);
    } else if !is_clear {
        verdicts.recovering(subject);
    } else if seen == 0 {
        verdicts.not_applicable(subject, "its system lies on ZFS, whose pools are judged");
    } else if !has_failed {
        verdicts.pass(subject);
    }
}

fn is_system(mount: &Filesystem) -> bool {
    SYSTEM.contains(&mount.mount_point.as_str())
}

/// Whether `node.rootfs.space` judges this file system. Data sets share their
/// pool's space: the pool is judged.
pub(super) fn is_judged(mount: &Filesystem) -> bool {
    is_system(mount) && !mount.read_only && mount.filesystem_type != "zfs"
}

/// Free shares below which to warn. Free space must be short in share and in
/// bytes to warn; either is critical. The absolute critical level says nothing
/// about a file system (a small `/boot`) of which it would be half or more.
fn triggers(input: &Input<'_>, total: u64) -> (f64, f64) {
    let limits = &input.params.limits;
    let share_of = |bytes: u64| bytes as f64 / total as f64;
    let warning = limits
        .filesystem_free
        .min(share_of(limits.filesystem_free_bytes));
    let absolute = share_of(limits.filesystem_free_critical_bytes);
    let critical = if absolute < 0.5 {
        limits.filesystem_free_critical.max(absolute)
    } else {
        limits.filesystem_free_critical
    };
    (warning, critical)
}

fn space_failure(
    node: &Node,
    mount: &Filesystem,
    free: u64,
    share: f64,
    severity: Severity,
    at: jiff::Timestamp,
) -> Failure {
    let point = untrusted::name(&mount.mount_point);
    Failure::new(
        severity,
        format!(
            "File system {point} of {} has {} left ({}).",
            untrusted::name(&node.name),
            figure::bytes(free),
            figure::percent(share)
        ),
    )
    .about(&mount.mount_point)
    .proof(space_proof(node, mount, free, share, at))
}

fn filling_failure(
    node: &Node,
    mount: &Filesystem,
    free: u64,
    share: f64,
    filling: &Filling,
    at: jiff::Timestamp,
) -> Failure {
    Failure::new(
        Severity::Warning,
        format!(
            "File system {} of {} will be full in {} if it goes on as in the last 6 hours: {} are left ({}).",
            untrusted::name(&mount.mount_point),
            untrusted::name(&node.name),
            filling.left(),
            figure::bytes(free),
            figure::percent(share)
        ),
    )
    .about(&mount.mount_point)
    .proof(space_proof(node, mount, free, share, at))
    .proof(filling.proof())
}

fn space_proof(
    node: &Node,
    mount: &Filesystem,
    free: u64,
    share: f64,
    at: jiff::Timestamp,
) -> [Evidence; 3] {
    [
        Evidence::new("free", share, "statvfs")
            .unit("ratio")
            .seen(&node.name, at),
        Evidence::new("free", free, "statvfs")
            .unit("bytes")
            .seen(&node.name, at),
        Evidence::new("device", mount.source.as_str(), MOUNTS).seen(&node.name, at),
    ]
}

pub(super) const READ_ONLY: Check = Check {
    id: "node.fs.readonly_or_errors",
    title: "A file system can no longer be written",
    category: Category::Health,
    severity: Severity::Critical,
    scope: Scope::Node,
    timing: Timing::STATE,
    floor: true,
    mappings: &["HW"],
    remediation: Remedy {
        diagnose: &[
            "grep ' ro,' /proc/mounts",
            "journalctl -k --grep 'EXT4-fs error|remount'",
        ],
        fix: "Move the guests away, then check the file system while it is not mounted.",
        impact: "The node, or what lies on that file system, is down meanwhile.",
        risk: Risk::High,
        way_back: "",
    },
    run: |input, verdicts| each(input, verdicts, read_only),
    ..Check::HEALTH
};

/// Types that are read-only by nature are not collected. `fstab` is not either:
/// the root file system is meant to be written, and so is one that a storage for
/// guests or backups lies on. Error counters of ext4 and btrfs come later.
fn read_only(
    input: &Input<'_>,
    verdicts: &mut Verdicts<'_>,
    index: NodeIndex,
    node: &Node,
    mounts: &Dated<std::sync::Arc<pvelens_proto::agent::v1::Filesystems>>,
) {
    let subject = Subject::Node(index);
    let mut has_failed = false;
    let all = &mounts.value.filesystems;
    let written = written_paths(input, index, node);
    let mut failed: Vec<&Filesystem> = all
        .iter()
        .filter(|mount| mount.read_only && mount.state() != FilesystemState::NotTouched)
        .filter(|mount| {
            mount.mount_point == "/"
                || written.iter().any(|path| {
                    mount_of(all, path).is_some_and(|of| of.mount_point == mount.mount_point)
                })
        })
        .collect();
    failed.sort_by(|a, b| a.mount_point.cmp(&b.mount_point));
    for mount in failed {
        has_failed = true;
        let failure = Failure::new(
            Severity::Critical,
            format!(
                "File system {} of {} is mounted read-only although it is meant to be written.",
                untrusted::name(&mount.mount_point),
                untrusted::name(&node.name)
            ),
        )
        .about(&mount.mount_point)
        .proof([
            Evidence::new("read-only", true, MOUNTS).seen(&node.name, mounts.at),
            Evidence::new("device", mount.source.as_str(), MOUNTS).seen(&node.name, mounts.at),
        ]);
        verdicts.fail(subject, failure);
    }
    if !has_failed {
        verdicts.pass(subject);
    }
}

/// Directories that storages of this node write guests or backups to.
fn written_paths<'a>(input: &Input<'a>, index: NodeIndex, node: &Node) -> Vec<&'a str> {
    let cluster = input.view.cluster(node.cluster);
    input
        .view
        .storages_of(cluster)
        .map(|(_, storage)| storage)
        .filter(|storage| !storage.entry.disabled && !storage.entry.path.is_empty())
        .filter(|storage| storage.nodes.iter().any(|on| on.node == index))
        .filter(|storage| {
            let content = &storage.entry.content;
            content
                .iter()
                .any(|kind| matches!(kind.as_str(), "images" | "rootdir" | "backup"))
        })
        .map(|storage| storage.entry.path.as_str())
        .collect()
}

/// The file system a path lies on: its longest mount point.
pub(super) fn mount_of<'a>(mounts: &'a [Filesystem], path: &str) -> Option<&'a Filesystem> {
    mounts
        .iter()
        .filter(|mount| is_below(path, &mount.mount_point))
        .max_by_key(|mount| mount.mount_point.len())
}

/// Whether the path is the directory or lies in it.
pub(super) fn is_below(path: &str, directory: &str) -> bool {
    let directory = directory.trim_end_matches('/');
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn each(
    input: &Input<'_>,
    verdicts: &mut Verdicts<'_>,
    judge: impl Fn(
        &Input<'_>,
        &mut Verdicts<'_>,
        NodeIndex,
        &Node,
        &Dated<std::sync::Arc<pvelens_proto::agent::v1::Filesystems>>,
    ),
) {
    for (index, node) in input.view.nodes() {
        match gate::node_fact(input, node, node.facts.filesystems.as_ref(), "filesystem") {
            Ok(mounts) => judge(input, verdicts, index, node, mounts),
            Err(why) => verdicts.unknown(Subject::Node(index), why),
        }
    }
}

#[cfg(test)]
mod tests;
