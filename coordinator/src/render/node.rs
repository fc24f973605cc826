//! Nodes: the list, and one with its parts.

use jiff::Timestamp;

use super::{
    block::{Describe, Document, Mark, Table, Tone, figures, names, words},
    cell::{both, cluster_cell, known, missing, part, rate, several, share, uptime},
};
use crate::{
    answer::{Node, Nodes},
    figure,
    inventory::{CoverageWord, NodeSummary, coverage},
};

impl Describe for Nodes {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        if self.nodes.is_empty() {
            document.line(Mark::None, "No node is known: no agent has reported yet.");
        } else {
            let several = several(self.nodes.iter().map(|node| &*node.cluster));
            let mut table = Table::new(&[
                words("CLUSTER"),
                names("NODE"),
                words("STATUS"),
                figures("CPU"),
                figures("IOWAIT").spare(2),
                figures("LOAD").spare(3),
                figures("MEMORY"),
                figures("OF").spare(1),
                figures("SWAP").spare(4),
                figures("ROOT"),
                figures("GUESTS"),
                figures("UPTIME").spare(5),
                words("VERSION").spare(6),
                words("DATA"),
            ]);
            for node in &self.nodes {
                table.row(
                    node_tone(node),
                    vec![
                        cluster_cell(several, &node.cluster),
                        Some(node.name.clone()),
                        Some(node.status.clone()),
                        node.cpu_ratio.map(figure::percent),
                        node.iowait_ratio.map(figure::percent),
                        node.load1.map(|load| format!("{load:.2}")),
                        share(node.memory_used_bytes, node.memory_total_bytes),
                        node.memory_total_bytes.map(figure::bytes),
                        share(node.swap_used_bytes, node.swap_total_bytes),
                        share(node.root_used_bytes, node.root_total_bytes),
                        Some(format!("{}/{}", node.guests_running, node.guests_total)),
                        node.uptime_seconds.map(uptime),
                        known(&node.pve_manager_version),
                        data(node, self.coverage.at),
                    ],
                );
            }
            document.table(table);
        }
        missing(&mut document, &self.coverage);
        document
    }
}

/// Only what is not as it should be: no agent, or old.
fn data(node: &NodeSummary, now: Timestamp) -> Option<String> {
    if node.coverage == CoverageWord::None {
        return Some("none".to_owned());
    }
    let age = node.figures_at.and_then(|at| coverage::age(now, at));
    Some(match (node.coverage, age) {
        (CoverageWord::Basic, None) => "basic".to_owned(),
        (_, Some(age)) => age,
        _ => String::new(),
    })
}

fn node_tone(node: &NodeSummary) -> Tone {
    match node.status.as_str() {
        "offline" => Tone::Critical,
        "unknown" => Tone::Warning,
        _ => Tone::Plain,
    }
}

impl Describe for Node {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        let node = &self.node;
        let now = self.coverage.at;
        document.heading(&format!("Node {}, {}", node.name, node.status));
        let mut facts = Table::new(&[words("FACT"), names("VALUE")]);
        let mut fact = |title: &str, value: Option<String>| {
            // What every node has is shown as a gap when it is not known.
            let expected = matches!(title, "CPU" | "memory used" | "root file system");
            if value.as_ref().map_or(expected, |value| !value.is_empty()) {
                facts.row(Tone::Plain, vec![Some(title.to_owned()), value]);
            }
        };
        fact(
            "CPU",
            both(
                node.cpu_ratio.map(figure::percent),
                node.cpus.map(|cpus| format!("{cpus} CPUs")),
            ),
        );
        fact("CPU model", Some(node.cpu_model.clone()));
        fact("I/O wait", node.iowait_ratio.map(figure::percent));
        fact("load", node.load1.map(|load| format!("{load:.2}")));
        fact(
            "memory used",
            part(node.memory_used_bytes, node.memory_total_bytes),
        );
        fact(
            "memory available",
            node.memory_available_bytes.map(figure::bytes),
        );
        if let Some(arc) = node.arc_bytes {
            fact("ZFS cache", Some(figure::bytes(arc)));
        }
        fact(
            "swap used",
            part(node.swap_used_bytes, node.swap_total_bytes),
        );
        fact(
            "root file system",
            part(node.root_used_bytes, node.root_total_bytes),
        );
        let waiting = [
            ("CPU", node.cpu_pressure_ratio),
            ("memory", node.memory_pressure_ratio),
            ("I/O", node.io_pressure_ratio),
        ];
        let waiting: Vec<String> = waiting
            .iter()
            .filter_map(|(what, ratio)| Some(format!("{what} {}", figure::percent((*ratio)?))))
            .collect();
        if !waiting.is_empty() {
            fact("time spent waiting for", Some(waiting.join(", ")));
        }
        fact(
            "guests running",
            Some(format!("{} of {}", node.guests_running, node.guests_total)),
        );
        fact("uptime", node.uptime_seconds.map(uptime));
        fact("address", Some(node.ip_address.clone()));
        fact("pve-manager", Some(node.pve_manager_version.clone()));
        fact("kernel", Some(node.kernel_release.clone()));
        fact("agent", Some(node.agent_version.clone()));
        if let Some(age) = node.figures_at.and_then(|at| coverage::age(now, at)) {
            fact("figures from", Some(age));
        }
        document.table(facts);
        node_parts(&mut document, self);
        missing(&mut document, &self.coverage);
        for failure in self.coverage.nodes.iter().flat_map(|node| &node.failures) {
            document.note(format!(
                "{} {}: {} {}",
                failure.collector, failure.path, failure.kind, failure.detail
            ));
        }
        document
    }
}

fn node_parts(document: &mut Document, node: &Node) {
    let mut disks = Table::new(&[
        names("DISK"),
        names("MODEL").spare(1),
        figures("SIZE"),
        figures("BUSY"),
        figures("READ"),
        figures("WRITE"),
        figures("READ WAIT").spare(3),
        figures("WRITE WAIT").spare(2),
    ]);
    for disk in &node.detail.disks {
        disks.row(
            Tone::Plain,
            vec![
                Some(disk.name.clone()),
                known(&disk.model),
                disk.size_bytes.map(figure::bytes),
                disk.busy_ratio.map(figure::percent),
                disk.read_bytes_per_second.map(rate),
                disk.write_bytes_per_second.map(rate),
                disk.read_latency_seconds.map(figure::latency),
                disk.write_latency_seconds.map(figure::latency),
            ],
        );
    }
    let mut interfaces = Table::new(&[
        names("INTERFACE"),
        words("KIND"),
        words("STATE"),
        figures("SPEED"),
        figures("IN"),
        figures("OUT"),
        figures("ERRORS"),
    ]);
    for interface in &node.detail.interfaces {
        interfaces.row(
            if interface.errors_total > 0 {
                Tone::Warning
            } else {
                Tone::Plain
            },
            vec![
                Some(interface.name.clone()),
                Some(interface.kind.clone()),
                known(&interface.operational_state),
                interface
                    .speed_megabits_per_second
                    .map(|speed| format!("{speed} Mbit/s")),
                interface.received_bytes_per_second.map(rate),
                interface.transmitted_bytes_per_second.map(rate),
                Some(interface.errors_total.to_string()),
            ],
        );
    }
    let mut filesystems = Table::new(&[
        names("FILE SYSTEM"),
        words("TYPE"),
        figures("USED"),
        figures("OF"),
        words("NOTE"),
    ]);
    for filesystem in &node.detail.filesystems {
        filesystems.row(
            Tone::Plain,
            vec![
                Some(filesystem.mount_point.clone()),
                Some(filesystem.filesystem_type.clone()),
                share(filesystem.used_bytes, filesystem.total_bytes),
                filesystem.total_bytes.map(figure::bytes),
                Some(
                    if filesystem.read_only {
                        "read-only"
                    } else {
                        ""
                    }
                    .to_owned(),
                ),
            ],
        );
    }
    for table in [disks, interfaces, filesystems] {
        if !table.rows.is_empty() {
            document.gap();
            document.table(table);
        }
    }
}
