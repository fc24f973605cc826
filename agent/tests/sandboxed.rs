//! Every collector over what the sandbox really shows.
//!
//! Each directory below `tests/fixtures/sandboxed` is a tree that was recorded
//! by a process under the exact settings of the unit, on one system:
//!
//! - the files and links that could be read, as they were;
//! - `.pvelens/refused.json`: what could not, see `agent/src/host/refused.rs`;
//! - `.pvelens/expected-failures.json`: the `failures` that `pvelens-agent
//!   collect --once --output json` printed there, a list of objects with
//!   `collector`, `path` and `kind`.
//!
//! So a collector that comes to need more than the sandbox gives fails here, and
//! one that stops reading what it declares does, too.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests copy recordings and change the copies"
)]

mod node;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use node::Node;
use pvelens_agent::{
    collector::{COLLECTORS, Collector, collect_once},
    host::{Found, Host, kind_name},
};
use pvelens_proto::agent::v1::Sample;
use serde::Deserialize;
use tempfile::TempDir;

const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/sandboxed");
const REFUSED: &str = ".pvelens/refused.json";
const EXPECTED: &str = ".pvelens/expected-failures.json";

/// Of these only the names are looked at.
const NAMES_ONLY: &[&str] = &["/sys/class/net/*/brif/*"];
/// Read only when the other one is not there.
const FALLBACKS: &[(&str, &str)] = &[
    ("/proc/net/dev", "/proc/1/net/dev"),
    ("/proc/mounts", "/proc/1/mountinfo"),
];
/// Read only of processes that run a VM.
const OF_VMS: &[&str] = &[
    "/proc/*/stat",
    "/proc/*/task/*/comm",
    "/proc/*/task/*/schedstat",
];
const VMS: &str = "/run/qemu-server/*.pid";

/// A source that failed, as `collect` prints it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Failure {
    collector: String,
    path: String,
    kind: String,
}

fn recordings() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(RECORDINGS) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_dir());
    paths.sort();
    paths
}

fn failures(host: &Host) -> BTreeSet<Failure> {
    let of = |collector: &Collector| {
        let sample = collect_once(collector, host);
        let name = |failure: &pvelens_proto::agent::v1::SourceFailure| Failure {
            collector: sample.collector.clone(),
            path: failure.path.clone(),
            kind: kind_name(failure.kind()),
        };
        sample.failures.iter().map(name).collect::<Vec<_>>()
    };
    COLLECTORS.iter().flat_map(of).collect()
}

/// What a sample says, without the time it took.
fn content(sample: Sample) -> impl PartialEq {
    (sample.payload, sample.failures)
}

fn readable(host: &Host, pattern: &str) -> Vec<String> {
    let mut matches = host.look(pattern);
    matches.retain(|matched| matches!(matched.found, Ok(Found::File { .. } | Found::Link { .. })));
    matches.into_iter().map(|matched| matched.path).collect()
}

/// Whether what a pattern allows must be read on a node.
fn is_wanted(host: &Host, pattern: &str) -> bool {
    let has_first_choice = FALLBACKS
        .iter()
        .any(|(fallback, first)| pattern == *fallback && host.exists(first));
    let lacks_vms = OF_VMS.contains(&pattern) && readable(host, VMS).is_empty();
    // What describes the tree is no file of the node.
    let is_ours = pattern.starts_with("/.pvelens/");
    !(has_first_choice || lacks_vms || is_ours || NAMES_ONLY.contains(&pattern))
}

/// The patterns of collectors that have something readable, none of which is
/// read: when it is refused, nothing changes. On a copy.
fn unread(tree: &Path) -> Vec<String> {
    let copy = TempDir::new().unwrap();
    copy_tree(tree, copy.path());
    let host = Host::open(tree).unwrap();
    let mut unread = Vec::new();
    // sysinfo reads its files past the host, on a live node only.
    for collector in COLLECTORS.iter().filter(|each| each.name != "sensor") {
        for pattern in collector.paths {
            let paths = readable(&host, pattern);
            if paths.is_empty() || !is_wanted(&host, pattern) {
                continue;
            }
            let whole = content(collect_once(collector, &host));
            let is_read = paths.iter().any(|path| {
                refuse(tree, copy.path(), path);
                let less = Host::open(copy.path()).unwrap();
                content(collect_once(collector, &less)) != whole
            });
            if !is_read {
                unread.push(format!("{}: {pattern}", collector.name));
            }
        }
    }
    unread
}

/// Lets a copy refuse one path more than its original.
fn refuse(tree: &Path, copy: &Path, path: &str) {
    let text = fs::read_to_string(tree.join(REFUSED)).unwrap_or_else(|_| "{}".to_owned());
    let mut refused: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
    refused.insert(path.to_owned(), "permission_denied".to_owned());
    fs::create_dir_all(copy.join(".pvelens")).unwrap();
    let text = serde_json::to_string(&refused).unwrap();
    fs::write(copy.join(REFUSED), text).unwrap();
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy_tree(&entry.path(), &target);
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn in_the_sandbox_exactly_the_known_sources_fail() {
    let recordings = recordings();
    assert!(!recordings.is_empty(), "no recording in {RECORDINGS}");
    for tree in recordings {
        let expected = fs::read_to_string(tree.join(EXPECTED)).unwrap();
        let expected: BTreeSet<Failure> = serde_json::from_str(&expected).unwrap();
        let found = failures(&Host::open(&tree).unwrap());
        assert_eq!(found, expected, "{}", tree.display());
    }
}

#[test]
fn in_the_sandbox_what_is_declared_and_readable_is_read() {
    let recordings = recordings();
    assert!(!recordings.is_empty(), "no recording in {RECORDINGS}");
    for tree in recordings {
        assert_eq!(unread(&tree), [""; 0], "{}", tree.display());
    }
}

#[test]
fn on_a_small_node_what_is_declared_is_read() {
    assert_eq!(unread(Node::new().root()), [""; 0]);
}

#[test]
fn what_is_refused_is_a_failure_of_who_reads_it() {
    let node = Node::new();
    let copy = TempDir::new().unwrap();
    copy_tree(node.root(), copy.path());
    let failures = || failures(&Host::open(copy.path()).unwrap());
    assert_eq!(failures(), BTreeSet::new());
    refuse(node.root(), copy.path(), "/etc/pve/.vmlist");
    let expected = r#"[{"collector": "guest_list", "path": "/etc/pve/.vmlist",
        "kind": "permission_denied", "detail": "not compared"}]"#;
    assert_eq!(failures(), serde_json::from_str(expected).unwrap());
}
