//! Clusters and agents.

use jiff::Timestamp;

use super::{
    block::{Describe, Document, Mark, Table, Tone, figures, names, words},
    cell::{cluster_cell, known, missing, moment, several},
};
use crate::{
    answer::{Agents, ClusterStatus},
    finding::Severity,
    inventory::{AgentSummary, ClusterSummary},
    live::Transport,
};

impl Describe for ClusterStatus {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        if self.clusters.is_empty() {
            document.line(
                Mark::None,
                "No cluster is known: no agent has reported yet.",
            );
        }
        let mut table = Table::new(&[
            names("CLUSTER"),
            words("QUORUM"),
            figures("NODES"),
            figures("GUESTS"),
            figures("STORAGES").spare(3),
            figures("CRITICAL"),
            figures("WARNING"),
            words("PROFILE").spare(2),
            words("ID").spare(4),
        ]);
        for cluster in &self.clusters {
            table.row(
                cluster_tone(cluster),
                vec![
                    Some(cluster.name.clone()),
                    match (cluster.standalone, cluster.quorate) {
                        (true, _) => Some("single node".to_owned()),
                        (false, Some(true)) => Some("yes".to_owned()),
                        (false, Some(false)) => Some("LOST".to_owned()),
                        (false, None) => None,
                    },
                    Some(format!("{}/{}", cluster.nodes_online, cluster.nodes_total)),
                    Some(format!(
                        "{}/{}",
                        cluster.guests_running, cluster.guests_total
                    )),
                    Some(cluster.storages_total.to_string()),
                    Some(cluster.critical_findings.to_string()),
                    Some(cluster.warning_findings.to_string()),
                    Some(cluster.profile.clone()),
                    Some(cluster.id.chars().take(12).collect()),
                ],
            );
        }
        if !table.rows.is_empty() {
            document.table(table);
            document.note("NODES are online/all, GUESTS are running/all");
        }
        missing(&mut document, &self.coverage);
        document
    }
}

fn cluster_tone(cluster: &ClusterSummary) -> Tone {
    if cluster.quorate == Some(false) || cluster.critical_findings > 0 {
        Tone::Critical
    } else if cluster.warning_findings > 0 {
        Tone::Warning
    } else {
        Tone::Plain
    }
}

impl Describe for Agents {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        if self.agents.is_empty() {
            document.line(Mark::None, "No agent has reported yet.");
            return document;
        }
        let problems = self
            .agents
            .iter()
            .flat_map(|agent| [&agent.identity_problem, &agent.audit_problem]);
        for problem in problems.filter(|problem| !problem.is_empty()) {
            document.line(Mark::Severity(Severity::Critical), problem);
        }
        let is_link = |agent: &AgentSummary| agent.transport == Transport::Link;
        // Where all are on this host it goes without saying.
        let has_link = self.agents.iter().any(is_link);
        let several = several(self.agents.iter().map(|agent| &*agent.cluster));
        let mut table = Table::new(&[
            words("CLUSTER"),
            names("NODE"),
            words("STATE"),
            words("LAST UPDATE (UTC)"),
            words("VIA").spare(2),
            words("CERT. ENDS").spare(1),
            figures("CLOCK").spare(3),
            figures("UPDATES").spare(4),
            figures("MISSED"),
            figures("AUDIT").spare(7),
            words("VERSION").spare(5),
            names("ADDRESS").spare(6),
            names("ERROR"),
        ]);
        for agent in &self.agents {
            table.row(
                if agent.connected {
                    Tone::Plain
                } else {
                    Tone::Critical
                },
                vec![
                    cluster_cell(several, &agent.cluster),
                    Some(agent.node.clone()),
                    Some(if agent.connected { "connected" } else { "GONE" }.to_owned()),
                    agent.last_update.map(moment),
                    has_link.then(|| via(agent.transport).to_owned()),
                    if is_link(agent) {
                        agent.certificate_expires.map(day)
                    } else {
                        Some(String::new())
                    },
                    agent
                        .clock_offset_seconds
                        .map(|offset| format!("{offset:+.1} s")),
                    Some(agent.updates_total.to_string()),
                    Some(agent.skipped_updates_total.to_string()),
                    agent.audit_sequence.map(|sequence| sequence.to_string()),
                    known(&agent.version),
                    known(&agent.address),
                    Some(agent.last_error.clone()),
                ],
            );
        }
        document.table(table);
        document
    }
}

fn via(transport: Transport) -> &'static str {
    match transport {
        Transport::Local => "local",
        Transport::Link => "link",
    }
}

/// `2026-11-25`, in UTC.
fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}
