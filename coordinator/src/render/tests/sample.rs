//! States that the tests of rendering show.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::{
    answer::tests::{open, with},
    coordinator::Current,
    finding::{Finding, Lane, Severity},
    live::{AgentRecord, Transport},
    view::{GuestStatus, NodeStatus, StorageStatus, fixture},
};

pub(super) const HOSTILE: &str = "x|`rm`[a](http://e.example)<b>@all\x1b[31m\u{202e}";

/// A cluster that has lost two of three nodes, with a handful of findings and
/// a guest whose owner chose its name with care.
pub(super) fn broken() -> Current {
    let mut view = fixture::healthy();
    let old = fixture::at() - SignedDuration::from_mins(12);
    for node in &mut view.nodes[1..] {
        node.status = NodeStatus::Offline;
        node.facts = crate::view::NodeFacts::default();
        node.broadcast.as_mut().unwrap().at = old;
        let agent = node.agent.as_mut().unwrap();
        (agent.connected, agent.last_update_at) = (false, old);
    }
    view.clusters[0].memberships.truncate(1);
    view.clusters[0].memberships[0].quorate = Some(false);
    view.guests[0].name = HOSTILE.into();
    let config = Arc::make_mut(view.guests[0].config.as_mut().unwrap());
    config.settings.as_mut().unwrap().tags = vec![HOSTILE.to_owned()];
    view.guests[1].status = GuestStatus::Unknown;
    view.guests[1].figures.at = Some(old);
    for on_node in &mut view.storages[1].nodes[1..] {
        (on_node.status, on_node.at) = (StorageStatus::Unknown, Some(old));
    }
    let mut current = with(view);
    let mut quorum = titled("cluster.quorum.lost", "cluster", "Cluster has no quorum");
    quorum.severity = Severity::Critical;
    quorum.summary = "Cluster lab has no quorum: 1 of 3 votes".to_owned();
    quorum.remediation.fix =
        "Bring pve2 and pve3 back or repair the network between the nodes; do not force \
         `pvecm expected` while they may still run guests."
            .to_owned();
    quorum.remediation.risk = crate::finding::Risk::Medium;
    let mut findings = vec![quorum];
    for node in ["pve2", "pve3"] {
        let mut silent = titled(
            "cluster.agent.stale_report",
            &format!("node/{node}"),
            "Agent of a node has stopped reporting",
        );
        silent.caused_by = vec!["cluster.quorum.lost:cluster".to_owned()];
        findings.push(silent);
    }
    let mut cache = titled(
        "guest.disk.cache_unsafe",
        "guest/100",
        "Disk cache is unsafe",
    );
    cache.summary = format!("scsi0 of VM 100 ({HOSTILE}) uses cache=unsafe");
    cache.remediation.fix = "qm set 100 --scsi0 …,cache=none".to_owned();
    findings.push(cache);
    let mut advice = open("storage.cifs.weak", "storage/nas", Severity::Info);
    advice.lane = Lane::Posture;
    findings.push(advice);
    current.findings = findings;
    current.not_assessed = vec!["disk health of pve2 and pve3".to_owned()];
    current.agents = vec![
        agent("pve1", true, ""),
        agent("pve2", false, "connection refused\nby \x1b[2J peer"),
    ];
    current
}

fn titled(check: &str, subject: &str, title: &str) -> Finding {
    Finding {
        title: title.to_owned(),
        ..open(check, subject, Severity::Warning)
    }
}

fn agent(node: &str, connected: bool, error: &str) -> AgentRecord {
    AgentRecord {
        cluster: "c0ffee".to_owned(),
        node: node.to_owned(),
        version: "0.1.0".to_owned(),
        is_pve_node: true,
        address: "unix:/run/pvelens-agent/local.sock".to_owned(),
        connected,
        last_update_at: Some(fixture::at()),
        clock_offset_seconds: Some(-0.2),
        updates_total: 1234,
        skipped_updates_total: 0,
        last_error: error.to_owned(),
        audit_sequence: connected.then_some(42),
        audit_problem: String::new(),
        transport: Transport::Local,
        certificate_expires_at: None,
        kept_updates: Vec::new(),
        repeated_updates_total: 0,
        throttled_seconds_total: 0.0,
        identity_problem: String::new(),
    }
}

/// So many nodes and guests, and a finding about each of the first guests.
pub(super) fn large(nodes: u32, guests: u32, findings: u32) -> Current {
    let mut view = fixture::healthy();
    let (node, guest) = (view.nodes[0].clone(), view.guests[0].clone());
    view.nodes = (0..nodes)
        .map(|number| crate::view::Node {
            name: format!("node{number:04}").into(),
            ..node.clone()
        })
        .collect();
    view.guests = (0..guests)
        .map(|number| crate::view::Guest {
            vmid: 100 + number,
            node: crate::view::NodeIndex(number % nodes),
            ..guest.clone()
        })
        .collect();
    for storage in &mut view.storages {
        let on_node = storage.nodes[0];
        storage.nodes = (0..nodes)
            .map(|number| crate::view::StorageOnNode {
                node: crate::view::NodeIndex(number),
                ..on_node
            })
            .collect();
    }
    view.clusters[0].memberships.truncate(1);
    (view.clusters[0].nodes, view.clusters[0].guests) = (0..nodes, 0..guests);
    let mut current = with(view);
    current.findings = (0..findings)
        .map(|number| {
            // Long words, many checks, and every fifth a consequence.
            let check = format!("family.check_{:02}", number % 37);
            let severity = [Severity::Critical, Severity::Warning][(number % 2) as usize];
            let mut finding = titled(&check, &format!("guest/{}", 100 + number), &check);
            finding.severity = severity;
            finding.title = format!("{} and so on", "Something is quite wrong ".repeat(4));
            finding.summary = format!("{HOSTILE} {}", "is far beyond its limit ".repeat(20));
            finding.remediation.fix = "Do this, then that, and mind the gap. ".repeat(12);
            finding.remediation.risk = crate::finding::Risk::High;
            if number % 5 == 4 {
                finding.caused_by = vec![format!(
                    "family.check_{:02}:guest/{}",
                    (number - 1) % 37,
                    99 + number
                )];
            }
            finding
        })
        .collect();
    current.not_assessed = (0..200)
        .map(|number| format!("{} {number}", "something that is hard to see ".repeat(6)))
        .collect();
    current
}
