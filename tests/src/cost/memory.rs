//! What the agent keeps in memory, starts and writes, as a process of its own.
//!
//! Its control group is charged for the spool, which is in a tmpfs: whoever writes a
//! page there pays for it. So the process that is measured fills the spool itself,
//! through the real sampler, faster than time.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use anyhow::{Context, Result, bail};
use pvelens_agent::{
    host::{Clock, Host},
    sampler::Sampler,
    spool::Spool,
};
use serde::{Deserialize, Serialize};

use super::{CYCLE, SPOOL_LIMIT, guests::Node, text};

/// The control group of the measured process, in either version.
const GROUPS: &[(&str, &str)] = &[
    (
        "/sys/fs/cgroup/memory/pvelens-cost",
        "memory.usage_in_bytes",
    ),
    ("/sys/fs/cgroup/pvelens-cost", "memory.current"),
];
/// More than fill a spool.
const MOST_CYCLES: u32 = 200_000;

/// What was measured.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) group_mebibytes: f64,
    pub(super) resident_mebibytes: f64,
    pub(super) growth_mebibytes: f64,
    pub(super) children: f64,
    pub(super) written_bytes: f64,
}

/// What the process says of itself when its spool has been filled once, and again.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Figures {
    resident_kibibytes: u32,
    children: u32,
    written_bytes: u64,
    group_kibibytes: u32,
}

/// Runs the agent in a control group of its own.
pub(super) fn measure(node: &Node) -> Result<Memory> {
    let spool = node.root().join("run/pvelens-agent/spool");
    fs::create_dir_all(&spool)?;
    let output = Command::new(std::env::current_exe()?)
        .arg("agent")
        .args([node.root(), &spool])
        .output()?;
    for (group, _) in GROUPS {
        fs::remove_dir(group).ok();
    }
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    let [once, twice]: [Figures; 2] = serde_json::from_slice(&output.stdout)?;
    let mebibytes = |kibibytes: u32| f64::from(kibibytes) / 1024.0;
    Ok(Memory {
        group_mebibytes: mebibytes(once.group_kibibytes.max(twice.group_kibibytes)),
        resident_mebibytes: mebibytes(once.resident_kibibytes.max(twice.resident_kibibytes)),
        growth_mebibytes: mebibytes(twice.resident_kibibytes) - mebibytes(once.resident_kibibytes),
        children: f64::from(once.children + twice.children),
        written_bytes: u32::try_from(twice.written_bytes).map_or(f64::MAX, f64::from),
    })
}

/// Is the agent: samples the node until the spool has been filled twice.
///
/// # Errors
/// When the node cannot be read or the group not be made.
#[expect(clippy::print_stdout, reason = "the figures are its result")]
pub fn agent(root: &Path, spool: &Path) -> Result<()> {
    let group = enter_group()?;
    // By the clock of the simulated files at first, then faster than time.
    let clock = Arc::new(AtomicI64::new(crate::sim::START_MILLIS));
    let host = Host::open(root)?.with_clock(Clock::Fixed(Arc::clone(&clock)));
    let kept = Arc::new(Spool::open(spool, "cost".to_owned(), SPOOL_LIMIT));
    let mut sampler = Sampler::new(Arc::new(host), kept);
    let mut cycles = 0;
    let mut until_full = || -> Result<Figures> {
        let mut bytes = 0;
        while bytes < SPOOL_LIMIT {
            let step = i64::try_from(CYCLE.as_millis())?;
            clock.fetch_add(step, Ordering::AcqRel);
            if let Some(update) = sampler.tick_blocking() {
                bytes += prost::Message::encoded_len(&update);
            }
            cycles += 1;
            if cycles > MOST_CYCLES {
                bail!("the spool does not fill");
            }
        }
        figures(&group)
    };
    let filled = [until_full()?, until_full()?];
    println!("{}", serde_json::to_string(&filled)?);
    Ok(())
}

/// Puts this process into a new group; gives the file with what that uses.
fn enter_group() -> Result<PathBuf> {
    for (group, file) in GROUPS {
        let group = Path::new(group);
        fs::create_dir(group).ok();
        let usage = group.join(file);
        if usage.exists() {
            fs::write(group.join("cgroup.procs"), std::process::id().to_string())?;
            return Ok(usage);
        }
        fs::remove_dir(group).ok();
    }
    bail!("no control group has a memory controller")
}

fn figures(group: &Path) -> Result<Figures> {
    let field = |path: &str, key: &str| -> Result<u64> {
        let text = text(path)?;
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        let word = line.and_then(|rest| rest.split_whitespace().next());
        word.with_context(|| format!("{path} has no {key}"))?
            .parse()
            .with_context(|| format!("{key} of {path}"))
    };
    let children = text("/proc/thread-self/children").unwrap_or_default();
    Ok(Figures {
        resident_kibibytes: u32::try_from(field("/proc/self/status", "VmRSS:")?)?,
        children: u32::try_from(children.split_whitespace().count())?,
        written_bytes: field("/proc/self/io", "write_bytes:")?,
        group_kibibytes: u32::try_from(text(group)?.parse::<u64>()? / 1024)?,
    })
}
