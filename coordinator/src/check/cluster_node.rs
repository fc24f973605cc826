//! Members: whether they are there, whether their agents speak, and whether
//! their clocks agree.

use std::time::Duration;

use super::{
    Check, Failure, Input, Intended, Remedy, Scope, Timing, Unknown, Verdicts, coordinator, gate,
    words,
};
use crate::{
    figure,
    finding::{Category, Evidence, Risk, Severity},
    view::{Cluster, NodeIndex, NodeStatus, Subject, View},
};

mod identity;

const MEMBERS: &str = "/etc/pve/.members";

pub(super) const OFFLINE: Check = Check {
    id: "cluster.node.offline",
    title: "A node is offline",
    category: Category::Health,
    severity: Severity::Critical,
    scope: Scope::Cluster,
    timing: Timing::T1 {
        hold: Duration::from_secs(60),
        clear: Duration::from_secs(120),
    },
    intents: &[Intended::Maintenance(Severity::Info), Intended::Off],
    mappings: &["RESIL", "OPS"],
    remediation: Remedy {
        diagnose: &["pvecm nodes", "ha-manager status", "corosync-cfgtool -s"],
        fix: "Look at the node through its out-of-band console. Be sure that it has no power before its guests are recovered by hand.",
        impact: "Its guests are down, unless HA restarts them elsewhere. Moving the configuration of a guest whose node still lives corrupts its disks.",
        risk: Risk::High,
        way_back: "",
    },
    run: offline,
    ..Check::HEALTH
};

/// Maintenance modes and windows are not collected yet: an offline node is
/// taken as unplanned (rule G15 derives from facts only).
fn offline(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    for (_, cluster) in input.view.clusters() {
        // Freshness counts where the status comes from: the other members.
        let reports = gate::memberships(input, cluster);
        for (node_index, node) in input.view.nodes_of(cluster) {
            let subject = Subject::Node(node_index);
            if cluster.standalone || !gate::is_pve(node) {
                verdicts.not_applicable(subject, gate::STANDALONE);
                continue;
            }
            let reports = match &reports {
                Ok(reports) => reports,
                Err(why) => {
                    verdicts.unknown(subject, why.clone());
                    continue;
                }
            };
            match node.status {
                NodeStatus::Online => verdicts.pass(subject),
                NodeStatus::Unknown => verdicts.unknown(subject, Unknown::NotReported),
                NodeStatus::Offline => {
                    let summary = format!(
                        "{} is offline, and with it {} configured there.",
                        words::node(input.view, node_index),
                        words::count(guests_on(input.view, cluster, node_index), "guest"),
                    );
                    let seen = reports.iter().map(|report| {
                        let online = report.online.contains(&node_index);
                        Evidence::new("seen online", online, MEMBERS)
                            .seen(&input.view.node(report.reporter).name, report.at)
                    });
                    let heartbeat = node.agent.as_ref().map(|agent| {
                        Evidence::new(
                            "last word of its agent",
                            agent.last_update_at.to_string(),
                            "agent",
                        )
                    });
                    let failure =
                        Failure::new(Severity::Critical, summary).proof(seen.chain(heartbeat));
                    verdicts.fail(subject, failure);
                }
            }
        }
    }
}

fn guests_on(view: &View, cluster: &Cluster, node: NodeIndex) -> usize {
    view.guests_of(cluster)
        .filter(|(_, guest)| guest.node == node && !guest.template)
        .count()
}

pub(super) const STALE_REPORT: Check = Check {
    id: "cluster.agent.stale_report",
    title: "The agent of a node is silent",
    category: Category::Health,
    severity: Severity::Warning,
    scope: Scope::Node,
    timing: Timing::STATE,
    intents: &[Intended::Maintenance(Severity::Info), Intended::Off],
    mappings: &["MON"],
    remediation: Remedy {
        diagnose: &[
            "systemctl status pvelens-agent pvelens-link",
            "journalctl -u pvelens-agent -u pvelens-link -n 50",
        ],
        fix: "Start the agent again on the node: systemctl restart pvelens-agent.",
        impact: "Nothing on the node itself; until then its checks are not judged.",
        risk: Risk::Low,
        way_back: "systemctl stop pvelens-agent",
    },
    run: stale_report,
    ..Check::HEALTH
};

fn stale_report(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    let lost = coordinator::lost(input);
    for (index, node) in input.view.nodes() {
        let subject = Subject::Node(index);
        let Some(agent) = &node.agent else {
            verdicts.not_applicable(subject, "the node never had an agent");
            continue;
        };
        if let Some(failure) = identity::doubt(input, index, agent) {
            verdicts.fail(subject, failure);
            continue;
        }
        if let Some(failure) = identity::impostor(input, index, agent) {
            verdicts.fail(subject, failure);
        }
        // The coordinator itself is the finding then.
        if lost
            .as_ref()
            .is_some_and(|lost| lost.nodes.contains(&index))
        {
            let since = agent.last_update_at;
            verdicts.unknown(subject, Unknown::Stale { since });
            continue;
        }
        if input.is_recent(agent.last_update_at, input.params.limits.agent_silent) {
            verdicts.pass(subject);
            continue;
        }
        // The missing node is the finding then.
        if node.status == NodeStatus::Offline {
            verdicts.not_applicable(subject, "the node is offline");
            continue;
        }
        let silence = input.at.duration_since(agent.last_update_at).unsigned_abs();
        let name = words::node(input.view, index);
        // Without a word of its peers the node itself may be down as well.
        let (rest, confidence) = if gate::is_online(node) {
            ("although the node is up", 1.0)
        } else {
            ("and nobody can tell whether the node is up", 0.7)
        };
        let error = (!agent.last_error.is_empty())
            .then(|| Evidence::new("last error", &*agent.last_error, "link"));
        let failure = Failure::new(
            Severity::Warning,
            format!("The agent of {name} is silent {rest}."),
        )
        .confidence(confidence)
        .proof([
            Evidence::new("silent for", silence.as_secs_f64(), "agent").unit("seconds"),
            Evidence::new("connected", agent.connected, "link"),
        ])
        .proof(error);
        verdicts.fail(subject, failure);
    }
}

pub(super) const CLOCK_SKEW: Check = Check {
    id: "cluster.nodes.clock_skew",
    title: "The clocks of nodes disagree",
    category: Category::Health,
    severity: Severity::Warning,
    scope: Scope::Cluster,
    // Offsets have no history.
    timing: Timing::T2 {
        hold: Duration::from_secs(300),
        clear: Duration::from_secs(900),
    },
    mappings: &["TIME"],
    remediation: Remedy {
        diagnose: &["chronyc tracking", "chronyc sources -v", "timedatectl"],
        fix: "Give all nodes the same time sources, then step the clock that is wrong: chronyc makestep.",
        impact: "Stepping a clock may disturb Ceph and databases on that node.",
        risk: Risk::Medium,
        way_back: "",
    },
    run: clock_skew,
    ..Check::HEALTH
};

/// The round-trip time of the measurement and Ceph monitors (which tolerate
/// 0.05 s only) are not in the facts yet.
fn clock_skew(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    let limits = &input.params.limits;
    for (index, cluster) in input.view.clusters() {
        let subject = Subject::Cluster(index);
        if cluster.standalone {
            verdicts.not_applicable(subject, gate::STANDALONE);
            continue;
        }
        let mut offsets: Vec<(NodeIndex, f64)> = input
            .view
            .nodes_of(cluster)
            .filter_map(|(node_index, node)| {
                let offset = gate::agent(input, node).ok()?.clock_offset_seconds?;
                offset.is_finite().then_some((node_index, offset))
            })
            .collect();
        offsets.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        let (Some(behind), Some(ahead), true) =
            (offsets.first(), offsets.last(), offsets.len() >= 2)
        else {
            verdicts.unknown(subject, Unknown::NotReported);
            continue;
        };
        let skew = ahead.1 - behind.1;
        let severity = if skew > limits.clock_skew_critical {
            Severity::Critical
        } else if skew > limits.clock_skew {
            Severity::Warning
        } else if skew < limits.clock_skew / 2.0 {
            verdicts.pass(subject);
            continue;
        } else {
            verdicts.recovering(subject);
            continue;
        };
        let summary = format!(
            "The clock of {} is {} ahead of the clock of {}.",
            words::node(input.view, ahead.0),
            figure::latency(skew),
            words::node(input.view, behind.0),
        );
        let evidence = offsets.iter().map(|(node, offset)| {
            Evidence::new("clock offset", *offset, "agent heartbeat")
                .unit("seconds")
                .seen(&input.view.node(*node).name, input.at)
        });
        verdicts.fail(subject, Failure::new(severity, summary).proof(evidence));
    }
}

#[cfg(test)]
mod tests;
