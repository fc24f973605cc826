//! Counters, ratios and rates of ours against those of the recorded proc and
//! cgroup files.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Map, Value};

use crate::{
    account::Account,
    compare::NodeFacts,
    config::{items, text},
    context::Rates,
    facts::Facts,
    files::read,
    recordings::{MOMENTS, Node, State, Tree},
    table::Table,
};

/// Compares every figure of every tree, and the ratios and rates over t0 to t1.
pub(crate) fn compare(
    state: &State,
    nodes: &[NodeFacts<'_>],
    table: &Table,
    account: &mut Account,
) -> Result<()> {
    let tolerance = table.independent("counter")?;
    for (node, facts) in state.nodes.iter().zip(nodes) {
        for ((tree, facts), moment) in node.trees.iter().zip(&facts.moments).zip(MOMENTS) {
            for (name, figure) in read(tree)? {
                let ours = ours(&facts.values, &name);
                let agreement = tolerance.agreement(ours, Some(figure.value));
                account.check(&tolerance.kind, agreement, || {
                    format!(
                        "{} {} {moment} {name}: {} says {}, ours is {ours:?}",
                        state.name, node.name, figure.file, figure.value
                    )
                });
            }
        }
        let theirs = rates_of_files(node)?;
        let ours = rates_of_samples(node, facts)?;
        for (name, theirs) in &theirs {
            let is_ratio = name.ends_with("_ratio") || name.ends_with("_cores");
            let tolerance = table.independent(if is_ratio { "ratio" } else { "rate" })?;
            let ours = ours.get(name).copied();
            let agreement = tolerance.agreement(ours, Some(*theirs));
            account.check(&tolerance.kind, agreement, || {
                format!(
                    "{} {} {name}: the files say {theirs}, the samples {ours:?}",
                    state.name, node.name
                )
            });
        }
    }
    Ok(())
}

/// The ratios that the API has as well, from the collectors' counters.
pub(crate) fn rates(trees: &[Tree; 2], facts: &[Facts; 2]) -> Rates {
    let mut rates = Rates::default();
    let span = trees[1].meta.start - trees[0].meta.start;
    let delta = |name: &str| Some(ours(&facts[1].values, name)? - ours(&facts[0].values, name)?);
    if let Some((busy, waiting)) = node_ratios(delta) {
        rates.node.insert("cpu_ratio", busy);
        rates.node.insert("iowait_ratio", waiting);
    }
    for guest in items(
        facts[1]
            .values
            .get("guest_runtimes")
            .unwrap_or(&Value::Null),
        "guests",
    ) {
        let vmid = text(guest, "vmid");
        let status = facts[1].values.get("pve_status").unwrap_or(&Value::Null);
        let status = items(status, "guests").find(|status| text(status, "vmid") == vmid);
        let cpus = status
            .and_then(|status| status.get("cpus")?.as_f64())
            .unwrap_or(1.0);
        if let (Some(cores), Ok(vmid)) = (
            delta(&format!("guest_runtimes.{vmid}.cpu_seconds_total")),
            vmid.parse(),
        ) {
            rates.guests.insert(vmid, cores / span / cpus);
        }
    }
    rates
}

/// Busy and waiting share of all CPUs.
fn node_ratios(delta: impl Fn(&str) -> Option<f64>) -> Option<(f64, f64)> {
    let of = |mode: &str| delta(&format!("cpu.{mode}_seconds_total"));
    let modes = [
        "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal",
    ];
    let total: f64 = modes.iter().map(|mode| of(mode)).sum::<Option<f64>>()?;
    let (idle, waiting) = (of("idle")?, of("iowait")?);
    Some((1.0 - (idle + waiting) / total, waiting / total))
}

/// Names of counters whose rate is compared, and what the rate is called.
fn rate_name(counter: &str) -> Option<String> {
    let named = |suffix: &str, name: &str| {
        counter
            .strip_suffix(suffix)
            .map(|stem| format!("{stem}{name}"))
    };
    if counter.starts_with("guest_runtimes.") {
        return named(".cpu_seconds_total", ".cpu_cores").filter(|_| !counter.contains("process"));
    }
    if counter.starts_with("pressure.") {
        return named(".stalled_microseconds_total", ".stalled");
    }
    if counter.starts_with("network.") || counter.starts_with("disks.") {
        return named("_total", "_per_second");
    }
    None
}

/// Rates as the files give them, each over the time between its own two reads.
pub(crate) fn rates_of_files(node: &Node) -> Result<BTreeMap<String, f64>> {
    let figures = [read(&node.trees[0])?, read(&node.trees[1])?];
    let delta = |name: &str| Some(figures[1].get(name)?.value - figures[0].get(name)?.value);
    let span = |name: &str| {
        let file = figures[0]
            .get(name)
            .map(|figure| figure.file.as_str())
            .unwrap_or_default();
        node.trees[1].read_at(file) - node.trees[0].read_at(file)
    };
    Ok(derive(figures[0].keys(), delta, span))
}

/// The same rates from the collectors' counters and the time of the samples.
fn rates_of_samples(node: &Node, facts: &NodeFacts<'_>) -> Result<BTreeMap<String, f64>> {
    let names = read(&node.trees[0])?;
    let delta = |name: &str| {
        Some(ours(&facts.moments[1].values, name)? - ours(&facts.moments[0].values, name)?)
    };
    let span = node.trees[1].meta.start - node.trees[0].meta.start;
    Ok(derive(names.keys(), delta, |_| span))
}

fn derive<'a>(
    names: impl Iterator<Item = &'a String>,
    delta: impl Fn(&str) -> Option<f64>,
    span: impl Fn(&str) -> f64,
) -> BTreeMap<String, f64> {
    let mut rates = BTreeMap::new();
    if let Some((busy, waiting)) = node_ratios(&delta) {
        rates.insert("node.cpu_ratio".to_owned(), busy);
        rates.insert("node.iowait_ratio".to_owned(), waiting);
    }
    for name in names {
        if let (Some(rate), Some(change)) = (rate_name(name), delta(name)) {
            let per_second = change / span(name);
            match rate.strip_suffix(".stalled") {
                Some(stem) => rates.insert(format!("{stem}_ratio"), per_second / 1e6),
                None => rates.insert(rate, per_second),
            };
        }
    }
    rates
}

/// A figure of the collectors by its name.
pub(crate) fn ours(values: &Map<String, Value>, name: &str) -> Option<f64> {
    let mut parts = name.split('.');
    let payload = values.get(parts.next()?)?;
    let mut value = payload;
    for part in parts {
        let listed = ["disks", "interfaces", "guests"].iter().find_map(|list| {
            items(payload, list)
                .find(|item| text(item, "name") == part || text(item, "vmid") == part)
        });
        value = match value.get(part) {
            Some(field) => field,
            None => listed?,
        };
    }
    value.as_f64()
}
