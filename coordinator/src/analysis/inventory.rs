//! The lines of a report about clusters and nodes themselves.

use std::cmp::Reverse;

use super::scope::Selected;
use crate::{
    figure,
    inventory::{coverage, summary},
    untrusted::name,
    view::{Cluster, ClusterIndex, CoverageLevel, GuestStatus, Node, NodeStatus, View},
};

/// Cluster lines, then node lines: those in trouble first, then the busiest.
pub(super) fn lines(selected: &Selected<'_>, limit: usize) -> Vec<String> {
    let view = selected.view();
    let nodes = selected.nodes();
    let clusters = selected.clusters.len();
    // A few clusters leave room for their nodes, many do not.
    let shown = if clusters <= limit.saturating_sub(2) {
        clusters
    } else {
        limit.saturating_sub(2)
    };
    let mut lines: Vec<String> = selected
        .clusters
        .iter()
        .take(shown)
        .map(|index| cluster(view, *index))
        .collect();
    if clusters > shown {
        lines.push(format!(
            "and {} more clusters: `pvelens status`",
            clusters - shown
        ));
    }
    let room = limit.saturating_sub(lines.len());
    let fits = nodes.len() <= room;
    let room = if fits { room } else { room.saturating_sub(1) };
    let mut ranked: Vec<&Node> = nodes;
    if !fits {
        ranked.sort_by_key(|node| (Reverse(trouble(view, node)), Reverse(busy(node))));
    }
    let (top, rest) = ranked.split_at(room.min(ranked.len()));
    let width = top
        .iter()
        .map(|node| name(&node.name).chars().count())
        .max()
        .unwrap_or(0);
    lines.extend(top.iter().map(|node| self::node(view, node, width)));
    if !rest.is_empty() {
        let troubled = rest.iter().filter(|node| trouble(view, node) > 0).count();
        let how = match troubled {
            0 => "all online".to_owned(),
            count => format!("{count} of them offline or not seen"),
        };
        lines.push(format!(
            "and {} more nodes, {how}: `pvelens nodes`",
            rest.len()
        ));
    }
    lines
}

/// `3 of 3 nodes online`, `12 of 14 guests running`.
pub(super) fn in_short(selected: &Selected<'_>) -> Vec<String> {
    let view = selected.view();
    let nodes = selected.nodes();
    if !selected.is_everything() {
        return Vec::new();
    }
    let online = nodes
        .iter()
        .filter(|node| node.status == NodeStatus::Online)
        .count();
    let mut parts = vec![format!("{online} of {} nodes online", nodes.len())];
    let clusters = selected.clusters.iter().map(|index| view.cluster(*index));
    parts.extend(GuestCounts::of(view, clusters).words());
    parts
}

/// How many guests run; templates never do.
#[derive(Default)]
struct GuestCounts {
    running: usize,
    unknown: usize,
    all: usize,
}

impl GuestCounts {
    fn of<'v>(view: &View, clusters: impl Iterator<Item = &'v Cluster>) -> Self {
        let mut counts = Self::default();
        for cluster in clusters {
            for (_, guest) in view.guests_of(cluster).filter(|(_, guest)| !guest.template) {
                counts.all += 1;
                counts.running += usize::from(guest.status == GuestStatus::Running);
                counts.unknown += usize::from(guest.status == GuestStatus::Unknown);
            }
        }
        counts
    }

    /// `12 of 14 guests running, 1 not known`; nothing without guests.
    fn words(&self) -> Option<String> {
        let Self {
            running,
            unknown,
            all,
        } = self;
        let rest = match unknown {
            0 => String::new(),
            count => format!(", {count} not known"),
        };
        (*all > 0).then(|| format!("{running} of {all} guests running{rest}"))
    }
}

fn cluster(view: &View, index: ClusterIndex) -> String {
    let cluster = view.cluster(index);
    let mut nodes = view.nodes_of(cluster).map(|(_, node)| node);
    if nodes.all(|node| node.agent.as_ref().is_some_and(|agent| !agent.is_pve_node)) {
        return format!(
            "{}: not a Proxmox VE node, only its host",
            name(&cluster.name)
        );
    }
    let online = view
        .nodes_of(cluster)
        .filter(|(_, node)| node.status == NodeStatus::Online)
        .count();
    let mut parts = vec![
        quorum(view, cluster),
        format!(
            "{online} of {} nodes online",
            view.nodes_of(cluster).count()
        ),
    ];
    parts.extend(GuestCounts::of(view, std::iter::once(cluster)).words());
    parts.push(format!("{} storages", view.storages_of(cluster).count()));
    format!("{}: {}", name(&cluster.name), parts.join(", "))
}

fn quorum(view: &View, cluster: &Cluster) -> String {
    if cluster.standalone {
        return "single node".to_owned();
    }
    match summary::quorate(view, cluster) {
        Some(true) => "has quorum".to_owned(),
        Some(false) => "NO QUORUM, nothing can be changed".to_owned(),
        None => {
            let last = cluster
                .memberships
                .iter()
                .filter_map(|membership| Some((membership.at, membership.quorate?)))
                .max();
            match last {
                Some((at, quorate)) => format!(
                    "quorum unknown (was {} {})",
                    if quorate { "there" } else { "lost" },
                    coverage::age(view.at, at).unwrap_or_default()
                ),
                None => "quorum unknown".to_owned(),
            }
        }
    }
}

fn node(view: &View, node: &Node, width: usize) -> String {
    let figures = summary::node(view, node);
    let mut parts = vec![format!("{:width$}  {:7}", figures.name, figures.status)];
    if let Some(ratio) = figures.cpu_ratio {
        parts.push(format!("CPU {:5}", figure::percent(ratio)));
    }
    let memory = share(figures.memory_used_bytes, figures.memory_total_bytes);
    if let (Some(ratio), Some(total)) = (memory, figures.memory_total_bytes) {
        let text = format!(
            "memory {} of {}",
            figure::percent(ratio),
            figure::bytes(total)
        );
        parts.push(format!("{text:25}"));
    }
    if let Some(ratio) = share(figures.root_used_bytes, figures.root_total_bytes) {
        parts.push(format!("root {:5}", figure::percent(ratio)));
    }
    if figures.guests_total > 0 {
        parts.push(format!(
            "{} of {} guests",
            figures.guests_running, figures.guests_total
        ));
    }
    match node.coverage {
        CoverageLevel::None => parts.push("never seen".to_owned()),
        CoverageLevel::Basic if node.agent.is_none() => parts.push("no agent".to_owned()),
        _ => {}
    }
    if let Some(age) = figures.figures_at.and_then(|at| coverage::age(view.at, at)) {
        parts.push(format!("data from {age}"));
    }
    parts.join("  ").trim_end().to_owned()
}

fn share(part: Option<u64>, whole: Option<u64>) -> Option<f64> {
    figure::share(part?, whole?)
}

/// How much a node deserves to be shown, before how busy it is.
fn trouble(view: &View, node: &Node) -> u8 {
    match node.status {
        NodeStatus::Offline => 3,
        NodeStatus::Unknown => 2,
        NodeStatus::Online => u8::from(coverage::is_silent(view.at, node)),
    }
}

/// The larger of CPU and memory use, in thousandths.
fn busy(node: &Node) -> u16 {
    let cpu = node
        .rates
        .as_ref()
        .and_then(|rates| rates.value.cpu_ratio)
        .or_else(|| node.broadcast.as_ref()?.value.cpu_ratio);
    let memory = node.facts.memory.as_ref().and_then(|fact| {
        let memory = &fact.value;
        let used = memory.total_bytes.saturating_sub(memory.available_bytes);
        figure::share(used, memory.total_bytes)
    });
    let ratio = cpu
        .unwrap_or(0.0)
        .max(memory.unwrap_or(0.0))
        .clamp(0.0, 1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 1000"
    )]
    let thousandths = (ratio * 1000.0) as u16;
    thousandths
}
