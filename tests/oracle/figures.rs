//! Figures that the test reads by itself from the recorded proc and cgroup
//! files, with readers that share nothing with the agent's.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use crate::{
    compare::{Account, NodeFacts},
    config::{items, text},
    context::Rates,
    facts::Facts,
    recordings::{MOMENTS, Node, State, Tree},
    table::Table,
};

/// A figure and the file it was read from.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) file: String,
}

/// Figures by `collector.part.field`, as the wire names them.
pub(crate) type Figures = BTreeMap<String, Figure>;

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
                let right = ours.is_some_and(|ours| tolerance.agrees(ours, figure.value));
                account.check(&tolerance.kind, right, || {
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
            let right = ours.is_some_and(|ours| tolerance.agrees(ours, *theirs));
            account.check(&tolerance.kind, right, || {
                format!("{} {} {name}: the files say {theirs}, the samples {ours:?}", state.name, node.name)
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
    for guest in items(facts[1].values.get("guest_runtimes").unwrap_or(&Value::Null), "guests") {
        let vmid = text(guest, "vmid");
        let status = facts[1].values.get("pve_status").unwrap_or(&Value::Null);
        let status = items(status, "guests").find(|status| text(status, "vmid") == vmid);
        let cpus = status.and_then(|status| status.get("cpus")?.as_f64()).unwrap_or(1.0);
        if let (Some(cores), Ok(vmid)) = (delta(&format!("guest_runtimes.{vmid}.cpu_seconds_total")), vmid.parse()) {
            rates.guests.insert(vmid, cores / span / cpus);
        }
    }
    rates
}

/// Busy and waiting share of all CPUs.
fn node_ratios(delta: impl Fn(&str) -> Option<f64>) -> Option<(f64, f64)> {
    let of = |mode: &str| delta(&format!("cpu.{mode}_seconds_total"));
    let modes = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
    let total: f64 = modes.iter().map(|mode| of(mode)).sum::<Option<f64>>()?;
    let (idle, waiting) = (of("idle")?, of("iowait")?);
    Some((1.0 - (idle + waiting) / total, waiting / total))
}

/// Names of counters whose rate is compared, and what the rate is called.
fn rate_name(counter: &str) -> Option<String> {
    let named = |suffix: &str, name: &str| counter.strip_suffix(suffix).map(|stem| format!("{stem}{name}"));
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
        let file = figures[0].get(name).map(|figure| figure.file.as_str()).unwrap_or_default();
        node.trees[1].read_at(file) - node.trees[0].read_at(file)
    };
    Ok(derive(figures[0].keys(), delta, span))
}

/// The same rates from the collectors' counters and the time of the samples.
fn rates_of_samples(node: &Node, facts: &NodeFacts<'_>) -> Result<BTreeMap<String, f64>> {
    let names = read(&node.trees[0])?;
    let delta = |name: &str| Some(ours(&facts.moments[1].values, name)? - ours(&facts.moments[0].values, name)?);
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
            items(payload, list).find(|item| text(item, "name") == part || text(item, "vmid") == part)
        });
        value = match value.get(part) {
            Some(field) => field,
            None => listed?,
        };
    }
    value.as_f64()
}

/// Reads a tree.
pub(crate) fn read(tree: &Tree) -> Result<Figures> {
    let mut figures = Figures::new();
    cpu(tree, &mut figures)?;
    memory(tree, &mut figures)?;
    disks(tree, &mut figures)?;
    interfaces(tree, &mut figures)?;
    for (resource, name) in [("cpu", "cpu"), ("memory", "memory"), ("io", "io")] {
        let file = format!("/proc/pressure/{resource}");
        pressure(tree, &file, &format!("pressure.{name}"), &mut figures)?;
    }
    guests(tree, &mut figures)?;
    Ok(figures)
}

fn put(figures: &mut Figures, file: &str, name: String, value: f64) {
    let file = file.to_owned();
    figures.insert(name, Figure { value, file });
}

fn cpu(tree: &Tree, figures: &mut Figures) -> Result<()> {
    let file = "/proc/stat";
    for line in tree.text(file)?.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["cpu", ticks @ ..] => {
                let modes = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];
                for (mode, ticks) in modes.iter().zip(ticks) {
                    put(figures, file, format!("cpu.{mode}_seconds_total"), number(ticks)? / 100.0);
                }
            }
            ["ctxt", count] => put(figures, file, "cpu.context_switches_total".to_owned(), number(count)?),
            ["processes", count] => put(figures, file, "cpu.forks_total".to_owned(), number(count)?),
            _ => {}
        }
    }
    let file = "/proc/uptime";
    let uptime = tree.text(file)?;
    put(figures, file, "load.uptime_seconds".to_owned(), number(first(&uptime)?)?);
    let file = "/proc/loadavg";
    let load = tree.text(file)?;
    for (name, word) in ["load1", "load5", "load15"].iter().zip(load.split_whitespace()) {
        put(figures, file, format!("load.{name}"), number(word)?);
    }
    Ok(())
}

fn memory(tree: &Tree, figures: &mut Figures) -> Result<()> {
    let file = "/proc/meminfo";
    for line in tree.text(file)?.lines() {
        let (key, rest) = line.split_once(':').context("meminfo")?;
        let name = match key {
            "MemTotal" => "total",
            "MemFree" => "free",
            "MemAvailable" => "available",
            "Buffers" => "buffers",
            "Cached" => "cached",
            "Shmem" => "shared",
            "SReclaimable" => "slab_reclaimable",
            "SwapTotal" => "swap_total",
            "SwapFree" => "swap_free",
            "Dirty" => "dirty",
            _ => continue,
        };
        put(figures, file, format!("memory.{name}_bytes"), number(first(rest)?)? * 1024.0);
    }
    let file = "/proc/vmstat";
    for line in tree.text(file)?.lines() {
        let (key, count) = line.split_once(' ').context("vmstat")?;
        let name = match key {
            "pswpin" => "swapped_in_pages_total",
            "pswpout" => "swapped_out_pages_total",
            "pgmajfault" => "major_faults_total",
            "oom_kill" => "oom_kills_total",
            _ => continue,
        };
        put(figures, file, format!("memory.{name}"), number(count)?);
    }
    Ok(())
}

/// Positions of `iostats.rst`; only whole disks of the recording's machine.
fn disks(tree: &Tree, figures: &mut Figures) -> Result<()> {
    let file = "/proc/diskstats";
    for line in tree.text(file)?.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let name = *words.get(2).context("diskstats")?;
        if !name.starts_with("vd") {
            continue;
        }
        for (position, field, factor) in [
            (3, "reads_total", 1.0), (5, "read_bytes_total", 512.0), (6, "read_seconds_total", 0.001),
            (7, "writes_total", 1.0), (9, "written_bytes_total", 512.0), (10, "write_seconds_total", 0.001),
            (12, "busy_seconds_total", 0.001), (13, "weighted_seconds_total", 0.001),
        ] {
            let value = number(words.get(position).context("diskstats")?)?;
            put(figures, file, format!("disks.{name}.{field}"), value * factor);
        }
    }
    Ok(())
}

fn interfaces(tree: &Tree, figures: &mut Figures) -> Result<()> {
    let file = "/proc/net/dev";
    for line in tree.text(file)?.lines().skip(2) {
        let (name, counters) = line.split_once(':').context("net/dev")?;
        let counters: Vec<&str> = counters.split_whitespace().collect();
        for (position, field) in [
            (0, "received_bytes_total"), (1, "received_packets_total"), (2, "receive_errors_total"), (3, "receive_drops_total"),
            (8, "transmitted_bytes_total"), (9, "transmitted_packets_total"), (10, "transmit_errors_total"), (11, "transmit_drops_total"),
        ] {
            let value = number(counters.get(position).context("net/dev")?)?;
            put(figures, file, format!("network.{}.{field}", name.trim()), value);
        }
    }
    Ok(())
}

fn pressure(tree: &Tree, file: &str, name: &str, figures: &mut Figures) -> Result<()> {
    for line in tree.text(file)?.lines() {
        let mut words = line.split_whitespace();
        let share = words.next().context("pressure")?;
        for word in words {
            match word.split_once('=') {
                Some(("total", micros)) => {
                    put(figures, file, format!("{name}.{share}.stalled_microseconds_total"), number(micros)?);
                }
                Some((average, percent)) => {
                    put(figures, file, format!("{name}.{share}.{average}_ratio"), number(percent)? / 100.0);
                }
                None => {}
            }
        }
    }
    Ok(())
}

/// Cgroups of VMs and containers, and the main process of each VM.
fn guests(tree: &Tree, figures: &mut Figures) -> Result<()> {
    let cgroups = tree.root.join("sys/fs/cgroup");
    for (folder, suffix) in [("qemu.slice", ".scope"), ("lxc", "")] {
        for entry in fs::read_dir(cgroups.join(folder)).into_iter().flatten() {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let Some(vmid) = name.strip_suffix(suffix).filter(|id| id.parse::<u32>().is_ok()) else {
                continue;
            };
            let directory = format!("/sys/fs/cgroup/{folder}/{name}");
            let file = format!("{directory}/cpu.stat");
            for line in tree.text(&file)?.lines() {
                let (key, micros) = line.split_once(' ').context("cpu.stat")?;
                let field = match key {
                    "usage_usec" => "cpu_seconds_total",
                    "user_usec" => "cpu_user_seconds_total",
                    "system_usec" => "cpu_system_seconds_total",
                    _ => continue,
                };
                put(figures, &file, format!("guest_runtimes.{vmid}.{field}"), number(micros)? / 1e6);
            }
            for resource in ["cpu", "memory", "io"] {
                let name = format!("guest_runtimes.{vmid}.{resource}_pressure");
                pressure(tree, &format!("{directory}/{resource}.pressure"), &name, figures)?;
            }
            if !suffix.is_empty() {
                process(tree, vmid, figures)?;
            }
        }
    }
    Ok(())
}

fn process(tree: &Tree, vmid: &str, figures: &mut Figures) -> Result<()> {
    let pid = tree.text(&format!("/run/qemu-server/{vmid}.pid"))?;
    let file = format!("/proc/{}/stat", pid.trim());
    let stat = tree.text(&file)?;
    let words: Vec<&str> = stat.rsplit_once(')').context("stat")?.1.split_whitespace().collect();
    // `man 5 proc` counts from 1, and the name was the second.
    let field = |position: usize| number(words.get(position - 3).context("stat")?);
    let name = |field: &str| format!("guest_runtimes.{vmid}.{field}");
    put(figures, &file, name("process_cpu_seconds_total"), (field(14)? + field(15)?) / 100.0);
    put(figures, &file, name("start_ticks"), field(22)?);
    put(figures, &file, name("process_resident_bytes"), field(24)? * 4096.0);
    put(figures, &file, name("pid"), number(pid.trim())?);
    Ok(())
}

fn number(text: &str) -> Result<f64> {
    text.parse().with_context(|| format!("{text} is not a number"))
}

fn first(text: &str) -> Result<&str> {
    text.split_whitespace().next().context("an empty file")
}
