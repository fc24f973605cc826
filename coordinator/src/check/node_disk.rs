//! How long a node's disks take to answer.

use pvelens_proto::agent::v1::{Disk, DiskKind};

use super::{
    Check, Failure, Input, Remedy, Scope, Unknown, Verdicts, gate, held, held::Series,
    node_cpu::each,
};
use crate::{
    figure,
    finding::{Category, Evidence, Risk, Severity},
    metric::Metric,
    untrusted,
    view::{Node, NodeIndex, Subject},
};
use std::time::Duration;

pub(super) const LATENCY_HIGH: Check = Check {
    id: "node.disk.latency_high",
    title: "A disk is slow",
    category: Category::Performance,
    severity: Severity::Warning,
    scope: Scope::Node,
    mappings: &["CAP"],
    remediation: Remedy {
        diagnose: &["iostat -x 1 5", "zpool iostat -vl 1 5"],
        fix: "Find the guest that loads the disk and limit or move it. If the disk is slower than its equals, replace it.",
        impact: "A limited guest reads and writes more slowly.",
        risk: Risk::Low,
        way_back: "Remove the limits from the guest's disk.",
    },
    run: |input, verdicts| each(input, verdicts, latency),
    ..Check::HEALTH
};

const TEN_MINUTES: Duration = Duration::from_secs(600);
const QUARTER: Duration = Duration::from_secs(900);

/// Scrubs, resilvers and self-tests are not collected yet, so nothing is folded
/// into them. The history holds values at 10 requests a second or more only.
fn latency(input: &Input<'_>, verdicts: &mut Verdicts<'_>, index: NodeIndex, node: &Node) {
    let subject = Subject::Node(index);
    let disks = match gate::node_fact(input, node, node.facts.disks.as_ref(), "disk") {
        Ok(disks) => disks,
        Err(why) => {
            verdicts.unknown(subject, why);
            return;
        }
    };
    // A disk without values was idle, as long as the node itself was measured.
    if !Series::of(input, node.key, Metric::CpuRatio).is_covered(10) {
        verdicts.unknown(subject, Unknown::Coverage);
        return;
    }
    let mut is_clear = true;
    let mut has_failed = false;
    let mut by_name: Vec<&Disk> = disks.value.disks.iter().collect();
    by_name.sort_by(|a, b| a.name.cmp(&b.name));
    for disk in by_name {
        let Some(limit) = limit(input, disk) else {
            continue;
        };
        let window = |length| {
            input.history.window_of_part(
                node.key,
                Metric::DiskLatencySeconds,
                &disk.name,
                input.at,
                length,
            )
        };
        let last = window(TEN_MINUTES);
        let slow = last
            .percentile(0.95)
            .filter(|slow| last.is_covered() && *slow > held::stored(limit));
        if let Some(slow) = slow {
            let severity =
                if slow > held::stored(limit * input.params.limits.latency_critical_factor) {
                    Severity::Critical
                } else {
                    Severity::Warning
                };
            has_failed = true;
            verdicts.fail(subject, failure(input, node, disk, severity, slow, limit));
        } else if window(QUARTER).share_above(limit / 2.0) > 0.0 {
            is_clear = false;
        }
    }
    if !is_clear {
        verdicts.recovering(subject);
    } else if !has_failed {
        verdicts.pass(subject);
    }
}

/// What a disk of its class may take. Layers above the drives (device mapper,
/// RAID, volumes) show the same wait again.
fn limit(input: &Input<'_>, disk: &Disk) -> Option<f64> {
    let limits = &input.params.limits;
    match disk.kind() {
        DiskKind::Network => Some(limits.network_disk_latency),
        DiskKind::Drive if disk.name.starts_with("nvme") => Some(limits.nvme_latency),
        DiskKind::Drive if disk.rotational == Some(true) => Some(limits.hdd_latency),
        DiskKind::Drive => Some(limits.ssd_latency),
        _ => None,
    }
}

fn failure(
    input: &Input<'_>,
    node: &Node,
    disk: &Disk,
    severity: Severity,
    slow: f64,
    limit: f64,
) -> Failure {
    let name = untrusted::name(&disk.name);
    let seen = |name: &str, value: f64| {
        Evidence::new(name, value, "/proc/diskstats")
            .unit("seconds")
            .seen(&node.name, input.at)
    };
    Failure::new(
        severity,
        format!(
            "Disk {name} of {} takes {} per request; {} would be usual for its kind.",
            untrusted::name(&node.name),
            figure::latency(slow),
            figure::latency(limit)
        ),
    )
    .about(&disk.name)
    .proof([seen("time per request", slow), seen("limit", limit)])
    .proof(
        (!disk.model.is_empty()).then(|| Evidence::new("model", disk.model.as_str(), "/sys/block")),
    )
}

#[cfg(test)]
mod tests;
