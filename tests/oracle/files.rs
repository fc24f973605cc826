//! Figures that the test reads by itself from the recorded proc and cgroup
//! files, with readers that share nothing with the agent's.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result};

use crate::recordings::Tree;

/// A figure and the file it was read from.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) file: String,
}

/// Figures by `collector.part.field`, as the wire names them.
pub(crate) type Figures = BTreeMap<String, Figure>;

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
                let modes = [
                    "user",
                    "nice",
                    "system",
                    "idle",
                    "iowait",
                    "irq",
                    "softirq",
                    "steal",
                    "guest",
                    "guest_nice",
                ];
                for (mode, ticks) in modes.iter().zip(ticks) {
                    put(
                        figures,
                        file,
                        format!("cpu.{mode}_seconds_total"),
                        number(ticks)? / 100.0,
                    );
                }
            }
            ["ctxt", count] => put(
                figures,
                file,
                "cpu.context_switches_total".to_owned(),
                number(count)?,
            ),
            ["processes", count] => {
                put(figures, file, "cpu.forks_total".to_owned(), number(count)?)
            }
            _ => {}
        }
    }
    let file = "/proc/uptime";
    let uptime = tree.text(file)?;
    put(
        figures,
        file,
        "load.uptime_seconds".to_owned(),
        number(first(&uptime)?)?,
    );
    let file = "/proc/loadavg";
    let load = tree.text(file)?;
    for (name, word) in ["load1", "load5", "load15"]
        .iter()
        .zip(load.split_whitespace())
    {
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
        put(
            figures,
            file,
            format!("memory.{name}_bytes"),
            number(first(rest)?)? * 1024.0,
        );
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
            (3, "reads_total", 1.0),
            (5, "read_bytes_total", 512.0),
            (6, "read_seconds_total", 0.001),
            (7, "writes_total", 1.0),
            (9, "written_bytes_total", 512.0),
            (10, "write_seconds_total", 0.001),
            (12, "busy_seconds_total", 0.001),
            (13, "weighted_seconds_total", 0.001),
        ] {
            let value = number(words.get(position).context("diskstats")?)?;
            put(
                figures,
                file,
                format!("disks.{name}.{field}"),
                value * factor,
            );
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
            (0, "received_bytes_total"),
            (1, "received_packets_total"),
            (2, "receive_errors_total"),
            (3, "receive_drops_total"),
            (8, "transmitted_bytes_total"),
            (9, "transmitted_packets_total"),
            (10, "transmit_errors_total"),
            (11, "transmit_drops_total"),
        ] {
            let value = number(counters.get(position).context("net/dev")?)?;
            put(
                figures,
                file,
                format!("network.{}.{field}", name.trim()),
                value,
            );
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
                    put(
                        figures,
                        file,
                        format!("{name}.{share}.stalled_microseconds_total"),
                        number(micros)?,
                    );
                }
                Some((average, percent)) => {
                    put(
                        figures,
                        file,
                        format!("{name}.{share}.{average}_ratio"),
                        number(percent)? / 100.0,
                    );
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
            let Some(vmid) = name
                .strip_suffix(suffix)
                .filter(|id| id.parse::<u32>().is_ok())
            else {
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
                put(
                    figures,
                    &file,
                    format!("guest_runtimes.{vmid}.{field}"),
                    number(micros)? / 1e6,
                );
            }
            for resource in ["cpu", "memory", "io"] {
                let name = format!("guest_runtimes.{vmid}.{resource}_pressure");
                pressure(
                    tree,
                    &format!("{directory}/{resource}.pressure"),
                    &name,
                    figures,
                )?;
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
    let words: Vec<&str> = stat
        .rsplit_once(')')
        .context("stat")?
        .1
        .split_whitespace()
        .collect();
    // `man 5 proc` counts from 1, and the name was the second.
    let field = |position: usize| number(words.get(position - 3).context("stat")?);
    let name = |field: &str| format!("guest_runtimes.{vmid}.{field}");
    put(
        figures,
        &file,
        name("process_cpu_seconds_total"),
        (field(14)? + field(15)?) / 100.0,
    );
    put(figures, &file, name("start_ticks"), field(22)?);
    put(
        figures,
        &file,
        name("process_resident_bytes"),
        field(24)? * 4096.0,
    );
    put(figures, &file, name("pid"), number(pid.trim())?);
    Ok(())
}

fn number(text: &str) -> Result<f64> {
    text.parse()
        .with_context(|| format!("{text} is not a number"))
}

fn first(text: &str) -> Result<&str> {
    text.split_whitespace().next().context("an empty file")
}
