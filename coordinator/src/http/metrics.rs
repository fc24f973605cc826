//! Our own state as Prometheus text.
//!
//! Written by hand: some gauges that are read off the published state need
//! neither a registry nor a recorder. Labels have few values; nothing that a
//! guest chose is one. Ages are exported as the time they count from, as
//! Prometheus advises, so that nothing here needs a clock.

use std::{collections::BTreeMap, fmt::Display};

use pvelens_proto::agent::v1::GuestKind;

use crate::{
    answer::finding::is_open,
    coordinator::{Coordinator, Current},
    finding::{Lane, Severity},
    link::LinkFigures,
    live::Transport,
    port::{PortState, Ports, Turned},
    store::Condition,
    view::{CoverageLevel, GuestStatus},
};

pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is counted beside the published state.
pub(super) struct Counted<'c> {
    ports: &'c Ports,
    links: LinkFigures,
    /// Absent where nothing is to be kept.
    store: Option<Condition>,
}

impl<'c> Counted<'c> {
    pub(super) fn of(coordinator: &'c Coordinator) -> Self {
        Self {
            ports: coordinator.ports(),
            links: coordinator.agents().counts().figures(),
            store: coordinator.store_condition(),
        }
    }
}

pub(super) fn exposition(current: &Current, counted: &Counted<'_>) -> String {
    let mut text = Vec::new();
    gauge(
        &mut text,
        "pvelens_build_info",
        "Version of the coordinator.",
    );
    value(
        &mut text,
        "pvelens_build_info",
        &[("version", env!("CARGO_PKG_VERSION"))],
        1,
    );
    if crate::mcp::is_evaluated(current) {
        let name = "pvelens_evaluated_timestamp_seconds";
        gauge(&mut text, name, "When the checks ran last.");
        value(&mut text, name, &[], current.view.at.as_second());
    }
    findings(&mut text, current);
    verdicts(&mut text, current);
    agents(&mut text, current);
    links(&mut text, current, &counted.links);
    ports(&mut text, counted.ports);
    if let Some(condition) = &counted.store {
        store(&mut text, condition);
    }
    inventory(&mut text, current);
    text.push(String::new());
    text.join("\n")
}

/// Every combination is exported, so that an alert sees a zero and not a gap.
fn findings(text: &mut Vec<String>, current: &Current) {
    let name = "pvelens_findings";
    gauge(text, name, "Open findings.");
    for (lane, lane_word) in [(Lane::Health, "health"), (Lane::Posture, "posture")] {
        for (severity, word) in [
            (Severity::Critical, "critical"),
            (Severity::Warning, "warning"),
            (Severity::Info, "info"),
        ] {
            let open = current.findings.iter().filter(|finding| {
                finding.lane == lane && finding.severity == severity && is_open(finding)
            });
            value(
                text,
                name,
                &[("lane", lane_word), ("severity", word)],
                open.count(),
            );
        }
    }
}

fn verdicts(text: &mut Vec<String>, current: &Current) {
    let name = "pvelens_verdicts";
    gauge(text, name, "Verdicts of the last run of all checks.");
    let counts = &current.verdicts;
    for (word, count) in [
        ("passed", counts.passed),
        ("failed", counts.failed),
        ("unknown", counts.unknown),
        ("not_applicable", counts.not_applicable),
    ] {
        value(text, name, &[("verdict", word)], count);
    }
}

fn agents(text: &mut Vec<String>, current: &Current) {
    let name = "pvelens_agents";
    gauge(text, name, "Agents by connection.");
    let connected = current
        .agents
        .iter()
        .filter(|agent| agent.connected)
        .count();
    let gone = current.agents.len() - connected;
    value(text, name, &[("state", "connected")], connected);
    value(text, name, &[("state", "disconnected")], gone);

    let name = "pvelens_agent_updates_total";
    counter(text, name, "Updates received from all agents.");
    let updates: u64 = current.agents.iter().map(|agent| agent.updates_total).sum();
    value(text, name, &[], updates);

    let name = "pvelens_agent_updates_skipped_total";
    counter(
        text,
        name,
        "Updates that agents dropped before they were read.",
    );
    let skipped = current
        .agents
        .iter()
        .map(|agent| agent.skipped_updates_total);
    value(text, name, &[], skipped.sum::<u64>());
}

/// What outlives the coordinator. Alerts on its age compare the time of the last write
/// with now.
fn store(text: &mut Vec<String>, condition: &Condition) {
    let Condition {
        failing,
        replaced,
        size,
        limit_bytes,
        written_at,
        shortened_to: _,
        lost_values,
    } = condition;
    for (name, help, bytes) in [
        (
            "pvelens_store_size_bytes",
            "Size of the file of the store.",
            size.total_bytes,
        ),
        (
            "pvelens_store_free_bytes",
            "Part of the file of the store that is free for use.",
            size.free_bytes,
        ),
        (
            "pvelens_store_log_bytes",
            "What the store has written ahead, beside its file.",
            size.log_bytes,
        ),
        (
            "pvelens_store_limit_bytes",
            "What the store may take; 0 while there is none.",
            *limit_bytes,
        ),
    ] {
        gauge(text, name, help);
        value(text, name, &[], bytes);
    }
    if let Some(at) = written_at {
        let name = "pvelens_store_written_timestamp_seconds";
        gauge(text, name, "When the store took something last.");
        value(text, name, &[], at.as_second());
    }
    let name = "pvelens_store_failing";
    gauge(text, name, "1 while the store takes nothing.");
    value(text, name, &[], u8::from(failing.is_some()));

    let name = "pvelens_store_replaced";
    gauge(
        text,
        name,
        "1 for a week after a damaged file of the store was replaced.",
    );
    value(text, name, &[], u8::from(replaced.is_some()));

    let name = "pvelens_store_lost_values_total";
    counter(
        text,
        name,
        "Values that were lost, since the store took none for long.",
    );
    value(text, name, &[], lost_values);
}

/// Agents that dialled in.
fn links(text: &mut Vec<String>, current: &Current, counts: &LinkFigures) {
    let of_link = || {
        let agents = current.agents.iter();
        agents.filter(|agent| agent.transport == Transport::Link)
    };
    let name = "pvelens_links";
    gauge(text, name, "Nodes whose agent is connected by a link.");
    value(text, name, &[], of_link().filter(|it| it.connected).count());

    let name = "pvelens_links_begun_total";
    counter(text, name, "Links whose stream began.");
    value(text, name, &[], counts.begun_total);

    let name = "pvelens_links_ended_total";
    counter(text, name, "Links that ended or never began, by reason.");
    for (reason, count) in &counts.ended_total {
        value(text, name, &[("reason", *reason)], count);
    }

    let name = "pvelens_certificates_renewed_total";
    counter(text, name, "Certificates of nodes that were renewed.");
    value(text, name, &[], counts.renewed_total);

    let name = "pvelens_agent_throttled_seconds_total";
    counter(
        text,
        name,
        "Time that updates of all agents had to wait, since they were more than a node may send.",
    );
    let throttled = current.agents.iter().map(|it| it.throttled_seconds_total);
    value(text, name, &[], throttled.sum::<f64>());

    let ends = of_link().filter_map(|it| it.certificate_expires_at);
    if let Some(end) = ends.min() {
        let name = "pvelens_certificate_expires_timestamp_seconds";
        gauge(text, name, "When the first certificate of a node ends.");
        value(text, name, &[("of", "node")], end.as_second());
    }
}

/// What other machines reach.
fn ports(text: &mut Vec<String>, ports: &Ports) {
    let both = [&ports.link, &ports.api];
    let name = "pvelens_port_open";
    gauge(
        text,
        name,
        "Whether a port is open; -1 when it should be and cannot.",
    );
    for port in both {
        let open = match port.state() {
            PortState::Open(_) => 1,
            PortState::Closed => 0,
            PortState::Failed(_) => -1,
        };
        value(text, name, &[("port", port.name())], open);
    }

    let name = "pvelens_port_connections";
    gauge(text, name, "Connections whose certificate is good.");
    for port in both {
        value(text, name, &[("port", port.name())], port.connected().1);
    }

    let name = "pvelens_port_connections_total";
    counter(text, name, "Connections whose certificate was good.");
    for port in both {
        value(text, name, &[("port", port.name())], port.connected().0);
    }

    let name = "pvelens_port_turned_away_total";
    counter(text, name, "Connections that came to nothing, by reason.");
    for port in both {
        for why in Turned::ALL {
            let labels = [("port", port.name()), ("reason", why.name())];
            value(text, name, &labels, port.turned_away(why));
        }
    }

    let name = "pvelens_enrolments_total";
    counter(text, name, "Nodes that joined since the start.");
    value(text, name, &[], ports.enrolled());
}

fn inventory(text: &mut Vec<String>, current: &Current) {
    let view = &current.view;
    let name = "pvelens_clusters";
    gauge(text, name, "Clusters and single nodes that are known.");
    value(text, name, &[], view.clusters.len());

    let name = "pvelens_nodes";
    gauge(text, name, "Nodes by how much is known of them.");
    for (level, word) in [
        (CoverageLevel::Full, "full"),
        (CoverageLevel::Basic, "basic"),
        (CoverageLevel::None, "none"),
    ] {
        let nodes = view.nodes.iter().filter(|node| node.coverage == level);
        value(text, name, &[("coverage", word)], nodes.count());
    }

    let name = "pvelens_guests";
    gauge(text, name, "VMs and containers by status.");
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for kind in ["lxc", "qemu"] {
        for status in ["other", "running", "stopped", "unknown"] {
            counts.insert((kind, status), 0);
        }
    }
    for guest in &view.guests {
        let kind = match guest.kind {
            GuestKind::Lxc => "lxc",
            GuestKind::Qemu | GuestKind::Unspecified => "qemu",
        };
        let status = match guest.status {
            GuestStatus::Running => "running",
            GuestStatus::Stopped => "stopped",
            GuestStatus::Other(_) => "other",
            GuestStatus::Unknown => "unknown",
        };
        *counts.entry((kind, status)).or_default() += 1;
    }
    for ((kind, status), count) in counts {
        value(text, name, &[("kind", kind), ("status", status)], count);
    }

    let name = "pvelens_storages";
    gauge(text, name, "Entries of storage.cfg that are known.");
    value(text, name, &[], view.storages.len());
}

fn gauge(text: &mut Vec<String>, name: &str, help: &str) {
    head(text, name, help, "gauge");
}

fn counter(text: &mut Vec<String>, name: &str, help: &str) {
    head(text, name, help, "counter");
}

fn head(text: &mut Vec<String>, name: &str, help: &str, kind: &str) {
    text.push(format!("# HELP {name} {help}"));
    text.push(format!("# TYPE {name} {kind}"));
}

fn value(text: &mut Vec<String>, name: &str, labels: &[(&str, &str)], value: impl Display) {
    let labels: Vec<String> = labels
        .iter()
        // Values are words of this file, so nothing needs escaping.
        .map(|(label, value)| format!("{label}=\"{value}\""))
        .collect();
    if labels.is_empty() {
        text.push(format!("{name} {value}"));
    } else {
        text.push(format!("{name}{{{}}} {value}", labels.join(",")));
    }
}
