//! Clusters, nodes, storages and agents.

use jiff::Timestamp;

use super::block::{Block, Describe, Document, Mark, Table, Tone, figures, names, words};
use crate::{
    answer::{Agents, ClusterStatus, Node, Nodes, Storages},
    figure,
    inventory::{
        ClusterSummary, Coverage, CoverageWord, NodeCoverage, NodeSummary, StorageOnNodeSummary,
        StorageSummary, coverage,
    },
};

/// Lines about what is missing, below a list.
const NOTES: usize = 3;

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

impl Describe for Storages {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        if self.storages.is_empty() {
            document.line(Mark::None, "No storage is known.");
        } else {
            let several = several(self.storages.iter().map(|storage| &*storage.cluster));
            let mut table = Table::new(&[
                words("CLUSTER"),
                names("STORAGE"),
                names("NODE"),
                words("TYPE"),
                words("STATUS"),
                figures("USED"),
                figures("OF"),
                figures("FREE").spare(2),
                names("CONTENT").spare(3),
                words("DATA"),
            ]);
            for storage in &self.storages {
                storage_rows(&mut table, storage, several, self.coverage.at);
            }
            document.table(table);
        }
        missing(&mut document, &self.coverage);
        document
    }
}

/// A shared storage is the same on every node: one row per state it has there.
fn storage_rows(table: &mut Table, storage: &StorageSummary, several: bool, now: Timestamp) {
    let mut row = |node: String, on_node: Option<&StorageOnNodeSummary>| {
        let mut cells = vec![
            cluster_cell(several, &storage.cluster),
            Some(storage.name.clone()),
            Some(node),
            Some(storage.storage_type.clone()),
        ];
        let tone = storage_cells(&mut cells, storage, on_node, now);
        table.row(tone, cells);
    };
    if storage.nodes.is_empty() {
        row("–".to_owned(), None);
    } else if storage.shared {
        let mut states: Vec<Vec<&StorageOnNodeSummary>> = Vec::new();
        for on_node in &storage.nodes {
            let known = states.iter_mut().find(|state| {
                state
                    .first()
                    .is_some_and(|one| one.status == on_node.status)
            });
            match known {
                Some(state) => state.push(on_node),
                None => states.push(vec![on_node]),
            }
        }
        for state in states {
            let best = state
                .iter()
                .max_by_key(|on_node| (on_node.total_bytes.is_some(), on_node.figures_at));
            let nodes = match state.as_slice() {
                [one] => one.node.clone(),
                [one, two] => format!("{}, {}", one.node, two.node),
                many => format!("{} nodes", many.len()),
            };
            row(nodes, best.copied());
        }
    } else {
        for on_node in &storage.nodes {
            row(on_node.node.clone(), Some(on_node));
        }
    }
}

fn storage_cells(
    cells: &mut Vec<Option<String>>,
    storage: &StorageSummary,
    on_node: Option<&StorageOnNodeSummary>,
    now: Timestamp,
) -> Tone {
    let status = if storage.disabled {
        "disabled"
    } else {
        on_node.map_or("unknown", |on_node| &on_node.status)
    };
    let (total, used) = on_node
        .map(|on_node| (on_node.total_bytes, on_node.used_bytes))
        .unwrap_or_default();
    let full = used
        .zip(total)
        .and_then(|(used, total)| figure::share(used, total));
    let tone = match (status, full) {
        ("inactive", _) => Tone::Critical,
        ("unknown", _) => Tone::Warning,
        ("disabled", _) => Tone::Dim,
        (_, Some(full)) if full >= 0.95 => Tone::Critical,
        (_, Some(full)) if full >= 0.85 => Tone::Warning,
        _ => Tone::Plain,
    };
    let free = total
        .zip(used)
        .map(|(total, used)| figure::bytes(total.saturating_sub(used)));
    let age = on_node
        .and_then(|on_node| coverage::age(now, on_node.figures_at?))
        .unwrap_or_default();
    cells.extend([
        Some(status.to_owned()),
        share(used, total),
        total.map(figure::bytes),
        free,
        Some(storage.content.join(",")),
        Some(age),
    ]);
    tone
}

impl Describe for Agents {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        if self.agents.is_empty() {
            document.line(Mark::None, "No agent has reported yet.");
            return document;
        }
        let several = several(self.agents.iter().map(|agent| &*agent.cluster));
        let mut table = Table::new(&[
            words("CLUSTER"),
            names("NODE"),
            words("STATE"),
            words("LAST UPDATE (UTC)"),
            figures("CLOCK").spare(2),
            figures("UPDATES").spare(3),
            figures("MISSED"),
            words("VERSION").spare(4),
            names("ADDRESS").spare(5),
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
                    agent
                        .clock_offset_seconds
                        .map(|offset| format!("{offset:+.1} s")),
                    Some(agent.updates_total.to_string()),
                    Some(agent.skipped_updates_total.to_string()),
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

/// What the answer does not cover, below it.
pub(super) fn missing(document: &mut Document, coverage: &Coverage) {
    for text in coverage.not_assessed.iter().take(NOTES) {
        document.blocks.push(Block::Note(format!("note: {text}")));
    }
    let more = coverage.not_assessed.len().saturating_sub(NOTES);
    if more > 0 {
        document.note(format!("note: and {more} more things are not known"));
    }
}

/// Whether a list has objects of more than one cluster.
pub(super) fn several<'c>(mut clusters: impl Iterator<Item = &'c str>) -> bool {
    let first = clusters.next();
    clusters.any(|cluster| Some(cluster) != first)
}

/// The beginning of a cluster id, in lists of several clusters.
pub(super) fn cluster_cell(several: bool, id: &str) -> Option<String> {
    let shown = if several { 8 } else { 0 };
    Some(id.chars().take(shown).collect())
}

/// Nothing found is good only where everything was looked at.
pub(super) fn seen(coverage: &Coverage) -> Mark {
    let blind = |node: &NodeCoverage| node.stale || node.level == CoverageWord::None;
    if coverage.nodes.is_empty() || coverage.nodes.iter().any(blind) {
        Mark::None
    } else {
        Mark::Good
    }
}

/// `2026-11-25 03:12:40`, in UTC.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

pub(super) fn share(part: Option<u64>, whole: Option<u64>) -> Option<String> {
    figure::share(part?, whole?).map(figure::percent)
}

/// `1.5 GiB of 8 GiB (19 %)`.
pub(super) fn part(part: Option<u64>, whole: Option<u64>) -> Option<String> {
    let (part, whole) = (part?, whole?);
    let share = figure::share(part, whole).map(figure::percent);
    Some(match share {
        Some(share) => format!(
            "{} of {} ({share})",
            figure::bytes(part),
            figure::bytes(whole)
        ),
        None => "none".to_owned(),
    })
}

pub(super) fn uptime(seconds: f64) -> String {
    figure::number(seconds, "seconds")
}

pub(super) fn rate(bytes_per_second: f64) -> String {
    figure::number(bytes_per_second, "bytes_per_second")
}

pub(super) fn known(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

pub(super) fn both(one: Option<String>, other: Option<String>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) => Some(format!("{one} of {other}")),
        (one, other) => one.or(other),
    }
}
