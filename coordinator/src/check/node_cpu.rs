//! Processors of a node: who waits for them, and who waits for disks.

use super::{Check, Failure, Input, Remedy, Scope, Verdicts, gate, held, held::Series, words};
use crate::{
    figure,
    finding::{Category, Evidence, Risk, Severity},
    metric::Metric,
    view::{Node, NodeIndex, Subject},
};

const PSI_CPU: &str = "/proc/pressure/cpu";
const PSI_IO: &str = "/proc/pressure/io";

pub(super) const SUSTAINED_PRESSURE: Check = Check {
    id: "node.cpu.sustained_pressure",
    title: "Work on the node waits for a CPU",
    category: Category::Performance,
    severity: Severity::Warning,
    scope: Scope::Node,
    mappings: &["CAP"],
    remediation: Remedy {
        diagnose: &[
            "head /proc/pressure/cpu",
            "mpstat -P ALL 1 5",
            "systemd-cgtop -n1 --order=cpu",
        ],
        fix: "Move the guest that uses most CPU to another node, or limit it: qm set VMID --cpulimit CORES.",
        impact: "A limited guest becomes slower.",
        risk: Risk::Low,
        way_back: "qm set VMID --delete cpulimit",
    },
    run: |input, verdicts| each(input, verdicts, pressure),
    ..Check::HEALTH
};

/// Jobs (rule G13) are not collected yet, so nothing is folded into them.
fn pressure(input: &Input<'_>, verdicts: &mut Verdicts<'_>, index: NodeIndex, node: &Node) {
    let limits = &input.params.limits;
    let some = Series::of(input, node.key, Metric::CpuPressureSomeRatio);
    let severity = if some.above(limits.cpu_pressure_critical, 10) {
        Some(Severity::Critical)
    } else {
        is_pressed(input, node).then_some(Severity::Warning)
    };
    let failure = severity.map(|severity| {
        let share = some.mean(10);
        Failure::new(
            severity,
            format!(
                "On {}, work waited for a CPU {} of the last 10 minutes.",
                words::node(input.view, index),
                figure::percent(share)
            ),
        )
        .proof([
            Evidence::new("time with work waiting", share, PSI_CPU)
                .unit("ratio")
                .seen(&node.name, input.at),
            Evidence::new(
                "CPU use",
                Series::of(input, node.key, Metric::CpuRatio).mean(10),
                "/proc/stat",
            )
            .unit("ratio")
            .seen(&node.name, input.at),
        ])
    });
    let is_clear = some.below(limits.cpu_pressure_clear, 15);
    held::decide(
        verdicts,
        Subject::Node(index),
        failure,
        some.is_covered(10),
        is_clear,
    );
}

/// Whether the node is short of CPU: more virtual CPUs would not help a guest.
pub(super) fn is_pressed(input: &Input<'_>, node: &Node) -> bool {
    Series::of(input, node.key, Metric::CpuPressureSomeRatio)
        .above(input.params.limits.cpu_pressure, 10)
}

pub(super) const IOWAIT_HIGH: Check = Check {
    id: "node.cpu.iowait_high",
    title: "Work on the node waits for disks",
    category: Category::Performance,
    severity: Severity::Warning,
    scope: Scope::Node,
    mappings: &["CAP"],
    remediation: Remedy {
        diagnose: &["iostat -x 1 5", "head /proc/pressure/io"],
        fix: "Find the disk and the guest behind it; limit the guest's disk (mbps_rd, mbps_wr, iops_rd, iops_wr) or move it.",
        impact: "A limited guest reads and writes more slowly.",
        risk: Risk::Low,
        way_back: "Remove the limits from the disk's options.",
    },
    run: |input, verdicts| each(input, verdicts, iowait),
    ..Check::HEALTH
};

fn iowait(input: &Input<'_>, verdicts: &mut Verdicts<'_>, index: NodeIndex, node: &Node) {
    let limits = &input.params.limits;
    let iowait = Series::of(input, node.key, Metric::IowaitRatio);
    let some = Series::of(input, node.key, Metric::IoPressureSomeRatio);
    let full = Series::of(input, node.key, Metric::IoPressureFullRatio);
    // A kernel without pressure figures: iowait alone, with less confidence
    // (rule G12).
    let has_pressure = some.last(15).latest().is_some();
    let severity = if full.above(limits.io_full_critical, 10) {
        Some(Severity::Critical)
    } else {
        let waits = !has_pressure || some.above(limits.io_some, 10);
        (waits && iowait.above(limits.iowait, 10)).then_some(Severity::Warning)
    };
    let failure = severity.map(|severity| {
        let name = words::node(input.view, index);
        let waiting = figure::percent(iowait.mean(10));
        let stalled = Evidence::new("time with work stalled", some.mean(10), PSI_IO)
            .unit("ratio")
            .seen(&node.name, input.at);
        let summary = if has_pressure {
            format!(
                "On {name}, work waited for disks {} of the last 10 minutes ({waiting} of CPU time).",
                figure::percent(some.mean(10))
            )
        } else {
            format!("On {name}, {waiting} of CPU time went into waiting for disks for 10 minutes.")
        };
        Failure::new(severity, summary)
            .confidence(if has_pressure { 1.0 } else { 0.6 })
            .proof([Evidence::new("iowait", iowait.mean(10), "/proc/stat")
                .unit("ratio")
                .seen(&node.name, input.at)])
            .proof(has_pressure.then_some(stalled))
    });
    let is_covered = iowait.is_covered(10) && (!has_pressure || some.is_covered(10));
    let is_clear = iowait.below(limits.iowait_clear, 15)
        && (!has_pressure || some.below(limits.io_some_clear, 15));
    held::decide(
        verdicts,
        Subject::Node(index),
        failure,
        is_covered,
        is_clear,
    );
}

/// Judges every node whose agent reports and that has been up for a while.
pub(super) fn each(
    input: &Input<'_>,
    verdicts: &mut Verdicts<'_>,
    judge: impl Fn(&Input<'_>, &mut Verdicts<'_>, NodeIndex, &Node),
) {
    for (index, node) in input.view.nodes() {
        match gate::warm_node(input, node) {
            Ok(()) => judge(input, verdicts, index, node),
            Err(why) => verdicts.unknown(Subject::Node(index), why),
        }
    }
}

#[cfg(test)]
mod tests;
