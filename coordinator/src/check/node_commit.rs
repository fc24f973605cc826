//! Memory that running guests may ask for, against what the node has.

use pvelens_proto::agent::v1 as wire;

use super::{
    Check, Failure, Input, ProfileSeverities, Remedy, Scope, Unknown, Verdicts, gate, words,
};
use crate::{
    figure,
    finding::{Category, Evidence, Risk, Severity},
    view::{GuestStatus, NodeIndex, Subject, View},
};

pub(super) const OVERCOMMIT: Check = Check {
    id: "node.mem.overcommit",
    title: "Guests may ask for more memory than the node has",
    category: Category::Capacity,
    severity: Severity::Warning,
    scope: Scope::Node,
    mappings: &["CAP"],
    profile: Some(ProfileSeverities {
        homelab: Some(Severity::Info),
        production: Some(Severity::Warning),
        strict: Some(Severity::Warning),
        hosting: None,
    }),
    remediation: Remedy {
        diagnose: &[
            "pvesh get /nodes/{node}/qemu",
            "pvesh get /nodes/{node}/lxc",
            "grep -E '^(c_min|c_max|size)' /proc/spl/kstat/zfs/arcstats",
        ],
        fix: "Lower the memory of guests that use far less than they may, or move a guest to another node.",
        impact: "A guest must be restarted unless it supports memory hotplug.",
        risk: Risk::Low,
        way_back: "Give the guest its former memory again.",
    },
    run: overcommit,
    ..Check::POSTURE
};

/// What the running guests of one node may need.
#[derive(Debug, Clone, Copy, Default)]
struct Need {
    /// At their maximum.
    maximum: u64,
    /// When every balloon is inflated as far as it may be.
    minimum: u64,
    guests: usize,
    /// Guests of which it is not known whether they run or what they may use.
    unknown: usize,
}

fn overcommit(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    let needs = needs(input.view);
    for (index, node) in input.view.nodes() {
        let subject = Subject::Node(index);
        if !gate::is_pve(node) {
            verdicts.not_applicable(subject, gate::NOT_PVE);
            continue;
        }
        let cluster = input.view.cluster(node.cluster);
        let memory = gate::config_at(input, cluster.guest_configs_at)
            .and_then(|_| gate::node_fact(input, node, node.facts.memory.as_ref(), "memory"));
        let memory = match memory {
            Ok(memory) => memory,
            Err(why) => {
                verdicts.unknown(subject, why);
                continue;
            }
        };
        let need = needs.get(index.get()).copied().unwrap_or_default();
        // Only the floor of the ZFS cache counts: the rest can shrink. Memory of
        // Ceph daemons is not collected yet.
        let floor = memory.value.arc.as_ref().map_or(0, |arc| arc.min_bytes);
        let reserve = floor.saturating_add(input.params.limits.memory_reserve_bytes);
        match severity(input, need, reserve, memory.value.total_bytes) {
            Some(severity) => {
                let failure = failure(input, index, need, reserve, memory, severity);
                verdicts.fail(subject, failure);
            }
            None if need.unknown > 0 => verdicts.unknown(subject, Unknown::NotReported),
            None => verdicts.pass(subject),
        }
    }
}

fn severity(input: &Input<'_>, need: Need, reserve: u64, total: u64) -> Option<Severity> {
    let limits = &input.params.limits;
    let total = total as f64;
    let wanted = need.maximum.saturating_add(reserve) as f64;
    if need.guests == 0 || total <= 0.0 {
        None
    } else if need.minimum.saturating_add(reserve) as f64 > total {
        Some(Severity::Critical)
    } else if wanted > total * limits.commitment_warning {
        Some(Severity::Warning)
    } else {
        (wanted > total * limits.commitment).then_some(Severity::Info)
    }
}

fn failure(
    input: &Input<'_>,
    index: NodeIndex,
    need: Need,
    reserve: u64,
    memory: &crate::view::Dated<std::sync::Arc<wire::Memory>>,
    severity: Severity,
) -> Failure {
    let name = words::node(input.view, index);
    let total = memory.value.total_bytes;
    let wanted = need.maximum.saturating_add(reserve);
    let even = if severity == Severity::Critical {
        ", and could not give it to them even with every balloon inflated"
    } else {
        ""
    };
    let bytes = |name: &str, bytes: u64, source: &str| {
        Evidence::new(name, bytes, source)
            .unit("bytes")
            .seen(&input.view.node(index).name, memory.at)
    };
    Failure::new(
        severity,
        format!(
            "Running guests of {name} may use {} of {} of memory, reserves included{even}.",
            figure::bytes(wanted),
            figure::bytes(total)
        ),
    )
    .proof([
        bytes(
            "guests at their maximum",
            need.maximum,
            "guest configuration",
        ),
        bytes(
            "guests at their minimum",
            need.minimum,
            "guest configuration",
        ),
        bytes("reserve", reserve, "2 GiB and the floor of the ZFS cache"),
        bytes("memory", total, "/proc/meminfo"),
    ])
}

/// One pass over all guests; by node.
fn needs(view: &View) -> Vec<Need> {
    let mut needs = vec![Need::default(); view.nodes.len()];
    for guest in &view.guests {
        let Some(need) = needs.get_mut(guest.node.get()) else {
            continue;
        };
        match guest.status {
            _ if guest.template => {}
            GuestStatus::Stopped => {}
            GuestStatus::Unknown => need.unknown += 1,
            GuestStatus::Running | GuestStatus::Other(_) => {
                let settings = guest
                    .config
                    .as_ref()
                    .and_then(|config| config.settings.as_ref());
                match settings {
                    Some(settings) => need.add(guest.kind, settings),
                    None => need.unknown += 1,
                }
            }
        }
    }
    needs
}

/// What PVE gives a guest without `memory`.
const DEFAULT_MEMORY: u64 = 512 << 20;

impl Need {
    fn add(&mut self, kind: wire::GuestKind, settings: &wire::GuestSettings) {
        let memory = settings.memory_bytes.unwrap_or(DEFAULT_MEMORY);
        // A device passed through pins the whole of the guest's memory.
        let is_pinned = settings
            .host_devices
            .iter()
            .any(|device| device.kind() == wire::HostDeviceKind::Pci);
        let minimum = match settings.balloon_bytes {
            Some(target) if target > 0 && !is_pinned => target.min(memory),
            _ => memory,
        };
        let (maximum, minimum) = match kind {
            wire::GuestKind::Lxc => (memory, memory),
            // What QEMU needs on top: the lower end of 2–5 %.
            _ => {
                let overhead = memory / 50;
                (
                    memory.saturating_add(overhead),
                    minimum.saturating_add(overhead),
                )
            }
        };
        self.maximum = self.maximum.saturating_add(maximum);
        self.minimum = self.minimum.saturating_add(minimum);
        self.guests += 1;
    }
}

#[cfg(test)]
mod tests;
