//! Records what the agent's sandbox shows of a node.
//!
//! A recording that is taken as root shows more than the agent will ever see, so
//! a collector could pass on it and fail on every node. `tests/record-sandboxed`
//! boots a Debian system with a simulated node, and runs `pvelens-recorder` in it
//! twice: outside any sandbox, to list what root can read, and in the place of the
//! agent, under its unit to the letter. The second run writes into the only place
//! that it may:
//!
//! - `tree/`: every file and link that a path of a collector names, as it was read,
//!   but for what names the machine that records (`record/neutral.rs`);
//! - `tree/.pvelens/refused.json`: what is there and could not be read, an empty
//!   file in its place;
//! - `tree/.pvelens/statvfs.json`: the sizes of the file systems;
//! - `tree/.pvelens/probe/`: what the probes replied, each under its own unit, with
//!   stand-ins for their tools (`record/tool.rs`);
//! - `tree/.pvelens/collected.json`: what each collector gave there;
//! - `refused.json`: patterns of what root can read outside and not in the sandbox,
//!   for use over recordings of full nodes.
//!
//! Beside the paths of collectors, those that one could come to want are tried
//! (`record/probe.rs`).

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use pvelens_agent::{
    collector::{COLLECTORS, collect_once},
    host::{Found, Host, fits, kind_name},
};
use pvelens_proto::agent::v1::FailureKind;
use serde::{Deserialize, Serialize};

mod generalise;
mod neutral;
mod probe;
mod tool;
mod tree;

pub use tool::stand_in_for;
use tree::Tree;

/// What was recorded: the paths and patterns that root can read and the agent in
/// its sandbox cannot. Laid over a tree as [`REFUSED_PATH`], it hides them there, too.
pub const REFUSED: &str = include_str!("../../agent/tests/fixtures/sandboxed/refused.json");
/// Where `Host` looks for it in a tree.
pub const REFUSED_PATH: &str = "/.pvelens/refused.json";

/// What root can read outside, and what it is.
const OUTSIDE: &str = "/var/lib/pvelens-outside.json";
/// In the one directory that the agent may write.
const RECORDING: &str = "/run/pvelens-agent/recording";

/// What collectors do not read, but ask whether it is there, or list by its name: of
/// directories of storages, which are configured, those of the simulated node.
const ASKED_FOR: &[&str] = &[
    "/mnt/backup/dump/*",
    "/sys/class/net/*/bonding",
    "/sys/class/net/*/bridge",
    "/sys/class/net/*/device",
    "/sys/fs/cgroup/lxc/*/cgroup.procs",
    "/var/lib/vz/snippets/*",
    "/var/lib/vz/template/iso/*",
    "/var/log/journal/*/system@*",
];

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    File,
    Directory,
    Link,
}

/// A path that cannot be read, and how that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refusal {
    place: Place,
    kind: FailureKind,
}

/// Lists what can be read, for the run in the sandbox to try.
///
/// # Errors
/// When the list cannot be written.
pub fn outside() -> Result<()> {
    let host = Host::open(Path::new("/"))?;
    let mut readable: BTreeMap<String, Place> = BTreeMap::new();
    for path in probe::paths() {
        if let Ok(place) = probe::attempt(&path) {
            readable.insert(path, place);
        }
    }
    for (path, found) in declared(&host) {
        if let Ok(found) = found {
            readable.insert(path, place_of(&found));
        }
    }
    fs::write(OUTSIDE, serde_json::to_string(&readable)?).with_context(|| OUTSIDE.to_owned())
}

/// Records, in the sandbox.
///
/// # Errors
/// When the other run has left no list, or the recording cannot be written.
pub fn inside() -> Result<()> {
    let outside: BTreeMap<String, Place> =
        serde_json::from_str(&fs::read_to_string(OUTSIDE).with_context(|| OUTSIDE.to_owned())?)?;
    let host = Host::open(Path::new("/"))?.witnessed();
    let samples: Vec<_> = COLLECTORS
        .iter()
        .map(|collector| collect_once(collector, &host))
        .collect();
    let found = declared(&host);

    let recording = PathBuf::from(RECORDING);
    let mut tree = Tree::create(recording.join("tree"))?;
    tree.keep(&host, &found)?;
    tree.keep_replies(&host)?;
    let (by_sandbox, readable) = compared(&outside, &found);
    let patterns = generalise::patterns(&by_sandbox, &readable);
    let mut refused: BTreeMap<String, FailureKind> = by_sandbox
        .iter()
        .map(|(path, refusal)| (path.clone(), refusal.kind))
        .collect();
    let mut files = Vec::new();
    for (path, found) in found {
        match found {
            Ok(Found::File { .. }) => files.push(path),
            Ok(_) => {}
            Err(kind) => drop(refused.insert(path, kind)),
        }
    }
    for pattern in ASKED_FOR {
        for matched in host.look(pattern) {
            tree.stand_in(&matched.path)?;
        }
    }
    for (path, kind) in &refused {
        // What is hidden is not even there.
        if *kind != FailureKind::NotFound {
            tree.stand_in(path)?;
        }
    }
    // The patterns say the same of most paths, and in fewer words.
    refused.retain(|path, _| !patterns.keys().any(|pattern| fits(pattern, path)));
    refused.extend(patterns.clone());
    tree.write_json("refused.json", &named(&refused))?;
    tree.write_json("statvfs.json", &tree::sizes(&samples))?;
    tree.write_json("modified.json", &tree::times(&host, &files))?;
    tree.write_json("collected.json", &tree::outcomes(&samples))?;
    tree::write_lines(&recording.join("refused.json"), &named(&patterns))
}

/// Everything that the paths of collectors name, with what reading it gave. What
/// belongs to this process is left out: it will not be there.
fn declared(host: &Host) -> BTreeMap<String, Result<Found, FailureKind>> {
    let own = [
        "/proc/self/".to_owned(),
        "/proc/thread-self/".to_owned(),
        format!("/proc/{}/", std::process::id()),
    ];
    let patterns = COLLECTORS.iter().flat_map(|collector| collector.paths);
    patterns
        .filter(|pattern| !pattern.starts_with("/.pvelens/"))
        .flat_map(|pattern| host.look(pattern))
        .filter(|matched| !own.iter().any(|own| matched.path.starts_with(own)))
        .map(|matched| (matched.path, matched.found.map_err(|error| error.kind)))
        .collect()
}

fn place_of(found: &Found) -> Place {
    match found {
        Found::File { .. } => Place::File,
        Found::Directory => Place::Directory,
        Found::Link { .. } => Place::Link,
    }
}

/// Parts what can be read outside into what is refused here, and what is not.
fn compared(
    outside: &BTreeMap<String, Place>,
    found: &BTreeMap<String, Result<Found, FailureKind>>,
) -> (BTreeMap<String, Refusal>, Vec<String>) {
    let mut refused: BTreeMap<String, Refusal> = BTreeMap::new();
    let mut readable = Vec::new();
    for (path, place) in outside {
        let result = match found.get(path) {
            Some(Ok(_)) => Ok(()),
            Some(Err(kind)) => Err(*kind),
            None => probe::attempt(path)
                .map(drop)
                .map_err(|error| probe::kind(&error)),
        };
        match result {
            Ok(()) => readable.push(path.clone()),
            Err(_) if probe::has_ended(path) => {}
            Err(kind) => {
                let place = *place;
                refused.insert(path.clone(), Refusal { place, kind });
            }
        }
    }
    // What lies in a refused place is refused with it.
    let places: Vec<String> = refused.keys().map(|path| format!("{path}/")).collect();
    refused.retain(|path, _| !places.iter().any(|place| path.starts_with(place)));
    (refused, readable)
}

fn named(refused: &BTreeMap<String, FailureKind>) -> BTreeMap<&str, String> {
    refused
        .iter()
        .map(|(path, kind)| (path.as_str(), kind_name(*kind)))
        .collect()
}
