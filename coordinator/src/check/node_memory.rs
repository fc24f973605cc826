//! Memory of a node: stalls, what is left, swapping, and killed processes.

use pvelens_proto::agent::v1::GuestKind;

use super::{
    Check, Failure, Input, Remedy, Scope, Timing, Unknown, Verdicts, gate, held, held::Series,
    node_cpu::each, words,
};
use crate::{
    figure,
    finding::{Category, Evidence, Risk, Severity},
    history::Window,
    metric::Metric,
    view::{Node, NodeIndex, Subject},
};

const PSI_MEMORY: &str = "/proc/pressure/memory";
const MEMINFO: &str = "/proc/meminfo";
const VMSTAT: &str = "/proc/vmstat";

const FREE_MEMORY: Remedy = Remedy {
    diagnose: &["free -m", "vmstat 1 5", "head /proc/pressure/memory"],
    fix: "Move or shrink the guest that grew most; lower the limit of the ZFS cache if it is larger than it needs to be. Do not switch swap off under load.",
    impact: "A guest that is made smaller must be restarted unless it supports hotplug.",
    risk: Risk::Medium,
    way_back: "Give the guest its former memory again.",
};

pub(super) const PRESSURE: Check = Check {
    id: "node.mem.pressure",
    title: "Work on the node waits for memory",
    category: Category::Performance,
    severity: Severity::Warning,
    scope: Scope::Node,
    mappings: &["CAP"],
    remediation: FREE_MEMORY,
    run: |input, verdicts| each(input, verdicts, pressure),
    ..Check::HEALTH
};

fn pressure(input: &Input<'_>, verdicts: &mut Verdicts<'_>, index: NodeIndex, node: &Node) {
    let limits = &input.params.limits;
    let some = Series::of(input, node.key, Metric::MemoryPressureSomeRatio);
    let full = Series::of(input, node.key, Metric::MemoryPressureFullRatio);
    let severity = if full.above(limits.memory_full_critical, 5)
        || some.above(limits.memory_some_critical, 2)
    {
        Some(Severity::Critical)
    } else {
        some.above(limits.memory_some, 5)
            .then_some(Severity::Warning)
    };
    let failure = severity.map(|severity| {
        Failure::new(
            severity,
            format!(
                "On {}, work waited for memory {} of the last 5 minutes.",
                words::node(input.view, index),
                figure::percent(some.mean(5))
            ),
        )
        .proof([
            Evidence::new("time with work waiting", some.mean(5), PSI_MEMORY)
                .unit("ratio")
                .seen(&node.name, input.at),
            Evidence::new("time with all work stalled", full.mean(5), PSI_MEMORY)
                .unit("ratio")
                .seen(&node.name, input.at),
        ])
    });
    let is_clear =
        some.below(limits.memory_some_clear, 15) && full.below(limits.memory_full_clear, 15);
    held::decide(
        verdicts,
        Subject::Node(index),
        failure,
        some.is_covered(5),
        is_clear,
    );
}

pub(super) const AVAILABLE_LOW: Check = Check {
    id: "node.mem.available_low",
    title: "The node has little memory left",
    category: Category::Capacity,
    severity: Severity::Warning,
    scope: Scope::Node,
    mappings: &["CAP"],
    remediation: Remedy {
        diagnose: &["cat /proc/meminfo", "arc_summary | head -40"],
        ..FREE_MEMORY
    },
    run: |input, verdicts| each(input, verdicts, available_low),
    ..Check::HEALTH
};

fn available_low(input: &Input<'_>, verdicts: &mut Verdicts<'_>, index: NodeIndex, node: &Node) {
    let limits = &input.params.limits;
    let share = Series::of(input, node.key, Metric::MemoryAvailableRatio);
    let bytes = Series::of(input, node.key, Metric::MemoryAvailableBytes);
    let severity = if share.below(limits.memory_available_critical, 5)
        || bytes.below(limits.memory_available_critical_bytes as f64, 5)
    {
        Some(Severity::Critical)
    } else {
        share
            .below(limits.memory_available, 15)
            .then_some(Severity::Warning)
    };
    let failure = severity.map(|severity| {
        let left = share.last(5).latest().unwrap_or_default();
        let left_bytes = bytes.last(5).latest().unwrap_or_default();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of bytes; the cast saturates"
        )]
        let shown = figure::bytes(left_bytes as u64);
        Failure::new(
            severity,
            format!(
                "{} has {shown} of memory left ({}), the part of the ZFS cache that can shrink included.",
                words::node(input.view, index),
                figure::percent(left)
            ),
        )
        .proof([
            Evidence::new("available", left, MEMINFO)
                .unit("ratio")
                .seen(&node.name, input.at),
            Evidence::new("available", left_bytes, MEMINFO)
                .unit("bytes")
                .seen(&node.name, input.at),
        ])
        .proof(breakdown(node))
    });
    // A critical finding that is only a warning any more is judged as such.
    let is_clear = held::all_above(&share.last(15), limits.memory_available_clear);
    held::decide(
        verdicts,
        Subject::Node(index),
        failure,
        share.is_covered(5),
        is_clear,
    );
}

/// What the kernel and ZFS hold.
fn breakdown(node: &Node) -> Vec<Evidence> {
    let Some(memory) = &node.facts.memory else {
        return Vec::new();
    };
    let seen = |name: &str, bytes: u64, source: &str| {
        Evidence::new(name, bytes, source)
            .unit("bytes")
            .seen(&node.name, memory.at)
    };
    let value = &memory.value;
    let mut parts = vec![
        seen("total", value.total_bytes, MEMINFO),
        seen("page cache", value.cached_bytes, MEMINFO),
    ];
    if let Some(arc) = &value.arc {
        parts.push(seen("ZFS cache", arc.size_bytes, "arcstats"));
    }
    parts
}

pub(super) const SWAP_THRASHING: Check = Check {
    id: "node.mem.swap_thrashing",
    title: "The node reads memory back from swap all the time",
    category: Category::Performance,
    severity: Severity::Warning,
    scope: Scope::Node,
    mappings: &["CAP"],
    remediation: Remedy {
        diagnose: &[
            "vmstat 1 10",
            "grep . /sys/fs/cgroup/qemu.slice/*/memory.swap.current",
        ],
        risk: Risk::High,
        ..FREE_MEMORY
    },
    run: |input, verdicts| each(input, verdicts, swap_thrashing),
    ..Check::HEALTH
};

fn swap_thrashing(input: &Input<'_>, verdicts: &mut Verdicts<'_>, index: NodeIndex, node: &Node) {
    let limits = &input.params.limits;
    let inward = Series::of(input, node.key, Metric::SwappedInPagesPerSecond);
    let outward = Series::of(input, node.key, Metric::SwappedOutPagesPerSecond);
    let full = Series::of(input, node.key, Metric::MemoryPressureFullRatio);
    let thrashes = inward.above(limits.swapped_in, 5)
        || (inward.above(limits.swapped_both, 10) && outward.above(limits.swapped_both, 10));
    let failure = thrashes.then(|| {
        let severity = if full.above(limits.memory_full_critical, 5) {
            Severity::Critical
        } else {
            Severity::Warning
        };
        let (read, written) = (inward.mean(5), outward.mean(5));
        Failure::new(
            severity,
            format!(
                "{} reads {read:.0} pages a second back from swap and writes {written:.0}.",
                words::node(input.view, index)
            ),
        )
        .proof([
            Evidence::new("pages read from swap", read, VMSTAT)
                .unit("per second")
                .seen(&node.name, input.at),
            Evidence::new("pages written to swap", written, VMSTAT)
                .unit("per second")
                .seen(&node.name, input.at),
        ])
    });
    let is_clear =
        inward.below(limits.swapped_clear, 30) && outward.below(limits.swapped_clear, 30);
    held::decide(
        verdicts,
        Subject::Node(index),
        failure,
        inward.is_covered(5),
        is_clear,
    );
}

pub(super) const OOM_KILL: Check = Check {
    id: "node.mem.oom_kill",
    title: "The kernel killed a process for lack of memory",
    category: Category::Health,
    severity: Severity::Critical,
    scope: Scope::Node,
    timing: Timing::T4,
    mappings: &["CAP", "OPS"],
    remediation: Remedy {
        diagnose: &["journalctl -k --since -1h --grep 'oom|Killed process'"],
        fix: "Give the node's guests less memory in sum. Check the disks of the guest that was killed before it is started again.",
        impact: "Guests that get less memory must be restarted.",
        risk: Risk::Medium,
        way_back: "Give them their former memory again.",
    },
    run: oom_kill,
    ..Check::HEALTH
};

/// Minutes that are searched for an event, so that one that came late or
/// between two evaluations is not lost.
const EVENT_MINUTES: u64 = 10;

/// The kernel log, which names the victim, is not collected yet. The node's
/// counter includes what is killed inside a container's own limit: that is a
/// matter of the container and subtracted, unless the node itself was short.
fn oom_kill(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    for (index, node) in input.view.nodes() {
        let subject = Subject::Node(index);
        if let Err(why) = gate::agent(input, node) {
            verdicts.unknown(subject, why);
            continue;
        }
        let window = Series::of(input, node.key, Metric::OomKills).last(EVENT_MINUTES);
        if window.latest().is_none() {
            verdicts.unknown(subject, Unknown::Coverage);
            continue;
        }
        if kills(&window) > 0.0 && kills(&window) > kills_in_containers(input, index) + 0.5 {
            let total = node
                .facts
                .memory
                .as_ref()
                .and_then(|memory| memory.value.oom_kills_total);
            let failure = Failure::new(
                Severity::Critical,
                format!(
                    "The kernel of {} killed a process because memory ran out.",
                    words::node(input.view, index)
                ),
            )
            .proof(total.map(|total| {
                Evidence::new("processes killed since boot", total, VMSTAT)
                    .seen(&node.name, input.at)
            }));
            verdicts.fail(subject, failure);
        } else {
            verdicts.pass(subject);
        }
    }
}

/// Processes killed in the window, as far as its means tell: three intervals
/// make a slot.
fn kills(window: &Window) -> f64 {
    const INTERVALS_PER_SLOT: f64 = 3.0;
    let slots = window.coverage() * (EVENT_MINUTES * 2 - 1) as f64;
    window.mean().unwrap_or_default() * slots * INTERVALS_PER_SLOT
}

/// A killed QEMU process is always a matter of the node.
fn kills_in_containers(input: &Input<'_>, index: NodeIndex) -> f64 {
    let node = input.view.node(index);
    let level = held::stored(input.params.limits.memory_available_critical);
    let available = Series::of(input, node.key, Metric::MemoryAvailableRatio).last(EVENT_MINUTES);
    if available.share_below(level) > 0.0 {
        return 0.0;
    }
    let cluster = input.view.cluster(node.cluster);
    input
        .view
        .guests_of(cluster)
        .filter(|(_, guest)| guest.node == index && guest.kind == GuestKind::Lxc)
        .map(|(_, guest)| {
            kills(&Series::of(input, guest.key, Metric::OomKills).last(EVENT_MINUTES))
        })
        .sum()
}

#[cfg(test)]
mod tests;
