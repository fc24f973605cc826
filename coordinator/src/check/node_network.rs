//! Network ports of a node.

use std::time::Duration;

use pvelens_proto::agent::v1::{InterfaceKind, InterfaceState};

use super::{Check, Failure, Input, Intended, Remedy, Scope, Timing, Verdicts, gate};
use crate::{
    finding::{Category, Evidence, Risk, Severity},
    untrusted,
    view::{Node, Subject},
};

const SYS_NET: &str = "/sys/class/net";

pub(super) const LINK_DOWN: Check = Check {
    id: "node.net.link_down",
    title: "A network port in use has no link",
    category: Category::Network,
    severity: Severity::Warning,
    scope: Scope::Node,
    timing: Timing::T1 {
        hold: Duration::from_secs(60),
        clear: Duration::from_secs(60),
    },
    intents: &[Intended::Maintenance(Severity::Info)],
    mappings: &["RESIL"],
    remediation: Remedy {
        diagnose: &["ip -br link", "bridge link"],
        fix: "Look at the cable and the switch port. If the port is not used, take it out of its bridge or bond.",
        impact: "None by looking; taking a port out interrupts what uses it.",
        risk: Risk::Low,
        way_back: "Add the port again.",
    },
    run: link_down,
    ..Check::HEALTH
};

/// `/etc/network/interfaces` and addresses are not collected yet: a port counts
/// as used when it is up and belongs to a bridge or bond.
fn link_down(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    for (index, node) in input.view.nodes() {
        let subject = Subject::Node(index);
        let network = match gate::node_fact(
            input,
            node,
            node.facts.interfaces.as_ref(),
            "interface_state",
        ) {
            Ok(network) => network,
            Err(why) => {
                verdicts.unknown(subject, why);
                continue;
            }
        };
        let ports = &network.value.interfaces;
        let mut down: Vec<&InterfaceState> = ports
            .iter()
            .filter(|port| is_used(port) && has_no_link(port))
            .collect();
        down.sort_by(|a, b| a.name.cmp(&b.name));
        if down.is_empty() {
            verdicts.pass(subject);
        }
        for port in down {
            verdicts.fail(subject, failure(node, ports, port, network.at));
        }
    }
}

/// A port with a cable, directly in a bridge or bond.
fn is_used(port: &InterfaceState) -> bool {
    port.kind() == InterfaceKind::Physical && port.enabled && !port.master.is_empty()
}

fn has_no_link(port: &InterfaceState) -> bool {
    port.carrier == Some(false)
}

fn failure(
    node: &Node,
    ports: &[InterfaceState],
    port: &InterfaceState,
    at: jiff::Timestamp,
) -> Failure {
    let is_only_path = !has_other_path(ports, port);
    // A port that had no link since the node started is rather built so than
    // broken.
    let severity = if port.carrier_changes_total == 1 {
        Severity::Info
    } else if is_only_path {
        Severity::Critical
    } else {
        Severity::Warning
    };
    let rest = if is_only_path {
        "nothing else carries its traffic"
    } else {
        "the other ports carry its traffic"
    };
    Failure::new(
        severity,
        format!(
            "Port {} of {} (in {}) has no link; {rest}.",
            untrusted::name(&port.name),
            untrusted::name(&node.name),
            untrusted::name(&port.master)
        ),
    )
    .about(&port.name)
    .proof([
        Evidence::new("carrier", false, SYS_NET).seen(&node.name, at),
        Evidence::new("belongs to", port.master.as_str(), SYS_NET).seen(&node.name, at),
        Evidence::new("changes of the link", port.carrier_changes_total, SYS_NET)
            .seen(&node.name, at),
    ])
}

/// Whether the bridge or bond of a port has another way out with a link. A bond
/// in a bridge has one of its own if a port of it has.
fn has_other_path(ports: &[InterfaceState], port: &InterfaceState) -> bool {
    ports
        .iter()
        .filter(|other| other.name != port.name && other.master == port.master)
        .filter(|other| matches!(other.kind(), InterfaceKind::Physical | InterfaceKind::Bond))
        .any(|other| other.enabled && other.carrier == Some(true))
}

#[cfg(test)]
mod tests;
