//! What the agent costs a node.
//!
//! A node of 100 running guests is made of real parts where a cost could hide: every
//! guest is a process with threads in a control group of its own, `/proc` and `/sys`
//! are the kernel's. The files of `/etc/pve` and `/run/pve` are the simulated ones on
//! a tmpfs, since there is no pmxcfs.
//!
//! The agent's own overhead is a whole cycle less a bare read of the same files, one
//! after the other in the same run: opening them by their full path and reading them
//! to the end. Figures are CPU time of the thread, so that a busy machine matters
//! little.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use pvelens_agent::{
    host::{Clock, Host},
    sampler::Sampler,
    spool::Spool,
};
use rustix::time::{ClockId, clock_gettime};

mod exporter;
mod guests;
mod memory;

pub use guests::guest;
pub use memory::agent;

use guests::Node;

/// As the shipped settings have it.
const SPOOL_LIMIT: usize = 24 << 20;
const CYCLE: Duration = Duration::from_secs(10);
/// Cycles before the first that counts: everything has been read once.
const WARM_UP: u32 = 6;
const VMS: usize = 60;
const CONTAINERS: usize = 40;

/// What a figure may be at most.
struct Limit {
    what: &'static str,
    figure: f64,
    most: f64,
    unit: &'static str,
}

/// Makes the node, measures, prints, and fails when a figure is above its limit.
///
/// # Errors
/// When the node cannot be made.
pub fn measure(cycles: u32, with_memory: bool) -> Result<ExitCode> {
    let mut node = Node::create(VMS, CONTAINERS)?;
    let cpu = cpu(&mut node, cycles)?;
    let memory = with_memory.then(|| memory::measure(&node)).transpose()?;
    let scrape = exporter::measure();
    let mut limits = vec![
        Limit {
            what: "own CPU of a fast cycle, over the bare read",
            figure: cpu.fast - cpu.fast_bare,
            most: 3.0,
            unit: "ms",
        },
        Limit {
            what: "own CPU of a cycle, mean of all",
            figure: cpu.mean - cpu.mean_bare,
            most: 3.0,
            unit: "ms",
        },
    ];
    limits.extend(memory.into_iter().flat_map(kept));
    let mut lines = vec![
        format!("{VMS} VMs and {CONTAINERS} containers, {cycles} cycles of 10 s"),
        format!(
            "a fast cycle: {:.2} ms of CPU, of which {:.2} ms are a bare read of its {:.0} files",
            cpu.fast, cpu.fast_bare, cpu.fast_files
        ),
        format!(
            "mean of all:  {:.2} ms of CPU, of which {:.2} ms are a bare read of {:.0} files; dearest {:.1} ms",
            cpu.mean, cpu.mean_bare, cpu.mean_files, cpu.dearest
        ),
    ];
    lines.push(match scrape {
        Ok(milliseconds) => format!(
            "a scrape of prometheus-node-exporter: {milliseconds:.2} ms of CPU, {:.1} times the mean cycle",
            milliseconds / cpu.mean
        ),
        Err(error) => format!("SKIPPED: prometheus-node-exporter: {error:#}"),
    });
    let mut is_held = true;
    for limit in limits {
        let verdict = if limit.figure <= limit.most {
            "ok"
        } else {
            is_held = false;
            "TOO MUCH"
        };
        lines.push(format!(
            "{verdict:8} {}: {:.2} {} (at most {:.0})",
            limit.what, limit.figure, limit.unit, limit.most
        ));
    }
    print(&lines);
    Ok(if is_held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What it may keep, start and write.
fn kept(memory: memory::Memory) -> [Limit; 5] {
    let limit = |what, figure, most, unit| Limit {
        what,
        figure,
        most,
        unit,
    };
    [
        limit(
            "memory of its control group with a full spool",
            memory.group_mebibytes,
            40.0,
            "MiB",
        ),
        limit(
            "resident memory with a full spool",
            memory.resident_mebibytes,
            16.0,
            "MiB",
        ),
        limit(
            "growth of resident memory while the spool was filled again",
            memory.growth_mebibytes,
            1.0,
            "MiB",
        ),
        limit("processes started", memory.children, 0.0, ""),
        limit("bytes written to storage", memory.written_bytes, 0.0, "B"),
    ]
}

#[expect(
    clippy::print_stdout,
    reason = "the figures are what the command is for"
)]
fn print(lines: &[String]) {
    println!("{}", lines.join("\n"));
}

/// Milliseconds of CPU and numbers of files, per cycle.
#[derive(Debug, Default)]
struct Cpu {
    /// Of cycles in which only the fast class and the change counters run.
    fast: f64,
    fast_bare: f64,
    fast_files: f64,
    mean: f64,
    mean_bare: f64,
    mean_files: f64,
    dearest: f64,
}

/// One cycle: its CPU time, that of the bare read, and the number of files.
struct Cycle {
    whole: f64,
    bare: f64,
    files: usize,
}

fn cpu(node: &mut Node, cycles: u32) -> Result<Cpu> {
    let clock = Arc::new(AtomicI64::new(node.now_millis()));
    let open = || -> Result<Host> {
        Ok(Host::open(node.root())?.with_clock(Clock::Fixed(Arc::clone(&clock))))
    };
    let (host, witness) = (Arc::new(open()?), Arc::new(open()?.witnessed()));
    let sampler = |host: &Arc<Host>| {
        let spool = Spool::with_limit("cost".to_owned(), SPOOL_LIMIT);
        Sampler::new(Arc::clone(host), Arc::new(spool))
    };
    // The second one runs the same rounds and tells which files they read.
    let (mut measured, mut watched) = (sampler(&host), sampler(&witness));
    let mut all: Vec<Cycle> = Vec::new();
    for cycle in 0..cycles + WARM_UP {
        node.advance(CYCLE)?;
        clock.store(node.now_millis(), Ordering::Release);
        watched.tick_blocking();
        let paths = witness.take_witness().paths;
        let before = thread_milliseconds();
        measured.tick_blocking();
        let after = thread_milliseconds();
        bare(node.root(), &paths);
        let bare = thread_milliseconds() - after;
        if cycle >= WARM_UP {
            all.push(Cycle {
                whole: after - before,
                bare,
                files: paths.len(),
            });
        }
    }
    // Two of three cycles run nothing but what runs in each.
    let fewest = all
        .iter()
        .map(|cycle| cycle.files)
        .min()
        .unwrap_or_default();
    let fast: Vec<&Cycle> = all
        .iter()
        .filter(|cycle| cycle.files <= fewest + fewest / 20)
        .collect();
    let every: Vec<&Cycle> = all.iter().collect();
    Ok(Cpu {
        fast: mean(&fast, |cycle| cycle.whole),
        fast_bare: mean(&fast, |cycle| cycle.bare),
        fast_files: mean(&fast, files),
        mean: mean(&every, |cycle| cycle.whole),
        mean_bare: mean(&every, |cycle| cycle.bare),
        mean_files: mean(&every, files),
        dearest: all.iter().map(|cycle| cycle.whole).fold(0.0, f64::max),
    })
}

fn files(cycle: &Cycle) -> f64 {
    u32::try_from(cycle.files).map_or(f64::MAX, f64::from)
}

fn mean(cycles: &[&Cycle], figure: fn(&Cycle) -> f64) -> f64 {
    let count = u32::try_from(cycles.len()).map_or(1.0, f64::from);
    cycles.iter().map(|cycle| figure(cycle)).sum::<f64>() / count
}

/// Opens and reads the same, and nothing else.
fn bare(root: &Path, paths: &[String]) {
    let mut buffer = vec![0; 256 << 10];
    for path in paths {
        let full = root.join(path.trim_start_matches('/'));
        let Ok(mut file) = File::open(&full) else {
            continue;
        };
        // A directory is listed, everything else is read to its end.
        if file.read(&mut buffer).is_err() {
            drop(fs::read_dir(&full).map(Iterator::count));
            continue;
        }
        while file.read(&mut buffer).is_ok_and(|bytes| bytes > 0) {}
    }
}

/// CPU time of this thread, in user and kernel.
fn thread_milliseconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u32::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    f64::from(seconds.unwrap_or_default()) * 1e3 + f64::from(nanos.unwrap_or_default()) / 1e6
}

/// The text of a file, trimmed.
fn text(path: impl Into<PathBuf>) -> Result<String> {
    let path = path.into();
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(text.trim().to_owned())
}
