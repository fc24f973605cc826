//! Networks that guests expect on every node they may move to.

use std::collections::{BTreeMap, HashSet};

use pvelens_proto::agent::v1::HostDeviceKind;

use super::{Check, Failure, Input, Remedy, Scope, Timing, Verdicts, gate, words};
use crate::{
    finding::{Category, Evidence, Risk, Severity},
    untrusted,
    view::{Cluster, GuestIndex, Subject, View},
};

pub(super) const BRIDGE_MISSING: Check = Check {
    id: "network.bridge.missing_on_node",
    title: "A bridge that guests use is missing on a node",
    category: Category::Network,
    severity: Severity::Warning,
    scope: Scope::Cluster,
    timing: Timing::T0 { evaluations: 2 },
    mappings: &["RESIL"],
    remediation: Remedy {
        diagnose: &["ip -d link show type bridge", "cat /etc/network/interfaces"],
        fix: "Create the bridge on that node and apply it: ifreload -a.",
        impact: "None for what runs there, if the bridge is new.",
        risk: Risk::Low,
        way_back: "Remove the bridge and apply: ifreload -a.",
    },
    run: bridge_missing,
    ..Check::POSTURE
};

/// HA rules, affinity and the nodes of SDN zones are not collected yet: a guest
/// counts as movable to every member unless a device of its node is passed
/// through. So no branch is critical.
fn bridge_missing(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    for (_, cluster) in input.view.clusters() {
        let used = used_bridges(input.view, cluster);
        for (index, node) in input.view.nodes_of(cluster) {
            let subject = Subject::Node(index);
            if cluster.nodes.len() < 2 {
                verdicts.not_applicable(subject, gate::STANDALONE);
                continue;
            }
            let facts = gate::config_at(input, cluster.guest_configs_at).and_then(|_| {
                gate::node_fact(
                    input,
                    node,
                    node.facts.interfaces.as_ref(),
                    "interface_state",
                )
            });
            let network = match facts {
                Ok(network) => network,
                Err(why) => {
                    verdicts.unknown(subject, why);
                    continue;
                }
            };
            // Whatever bears the name: Linux bridge, Open vSwitch or SDN network.
            let present: HashSet<&str> = network
                .value
                .interfaces
                .iter()
                .map(|interface| interface.name.as_str())
                .collect();
            let mut has_failed = false;
            for (bridge, users) in &used {
                if present.contains(bridge) {
                    continue;
                }
                has_failed = true;
                let guests = users
                    .iter()
                    .map(|guest| words::guest(input.view.guest(*guest)).into());
                let failure = Failure::new(
                    Severity::Warning,
                    format!(
                        "{} has no bridge {}; {} cannot run there.",
                        untrusted::name(&node.name),
                        untrusted::name(bridge),
                        words::list(guests)
                    ),
                )
                .about(bridge)
                .proof([
                    Evidence::new(
                        "guests that use it",
                        users.len() as u64,
                        "guest configuration",
                    ),
                    Evidence::new("present", false, "/sys/class/net").seen(&node.name, network.at),
                ]);
                verdicts.fail(subject, failure);
            }
            if !has_failed {
                verdicts.pass(subject);
            }
        }
    }
}

/// Bridges by name, with the guests that use them. One pass over the guests.
fn used_bridges<'a>(view: &'a View, cluster: &Cluster) -> BTreeMap<&'a str, Vec<GuestIndex>> {
    let mut used: BTreeMap<&str, Vec<GuestIndex>> = BTreeMap::new();
    for (index, guest) in view.guests_of(cluster) {
        let Some(settings) = guest
            .config
            .as_ref()
            .and_then(|config| config.settings.as_ref())
        else {
            continue;
        };
        let is_bound = settings
            .host_devices
            .iter()
            .any(|device| device.kind() == HostDeviceKind::Pci && device.mapping.is_empty());
        if is_bound {
            continue;
        }
        for nic in &settings.nics {
            if nic.bridge.is_empty() {
                continue;
            }
            let users = used.entry(&nic.bridge).or_default();
            if users.last() != Some(&index) {
                users.push(index);
            }
        }
    }
    used
}

#[cfg(test)]
mod tests;
