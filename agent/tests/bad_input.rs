//! Every path of every collector, broken in every way that a node has shown or
//! could show.
//!
//! Each time the collector must name the path and all others must give what they
//! give on the healthy node. The paths come from `COLLECTORS`: a new collector is
//! covered as soon as its files are in `node/mod.rs`, and fails here until then.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]
#![expect(clippy::disallowed_methods, reason = "tests break the files they read")]

mod damage;
mod hanging;
mod node;

use std::{
    collections::BTreeMap,
    fs,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use damage::{FAULTS, Fault, NAMES_ONLY, inflict, is_harmless, is_one_of};
use hanging::Hanging;
use node::Node;
use pvelens_agent::{
    collector::{COLLECTORS, Collector, Payload, Runner, collect_once},
    host::{Host, fits},
};
use pvelens_proto::agent::v1::{FailureKind, Sample};
use rustix::{
    process::{Uid, getuid},
    thread::set_thread_res_uid,
};

/// Only read when the first one is not there.
const FALLBACKS: &[(&str, &str)] = &[
    ("/proc/net/dev", "/proc/1/net/dev"),
    ("/proc/mounts", "/proc/1/mountinfo"),
];

/// Collectors that read nothing in a tree of files.
const LIVE_ONLY: &[&str] = &["sensor"];

/// Asked, not read: a file in their place is none. `guest_sockets.rs` has them.
const SOCKETS: &[&str] = &["/run/qemu-server/*.qmp", "/run/qemu-server/*.qga"];
/// Under one hanging path of so many all other collectors run, too.
const OTHERS: usize = 10;
const HANGS_AT_ONCE: usize = 6;
/// As few machines have less.
const THREADS: usize = 2;

/// What stands for the kernel's answers about this tree is no file of a node.
const STAND_INS: &[&str] = &["/.pvelens/*.json"];

fn reads(collector: &Collector, path: &str) -> bool {
    let reads_trees = !LIVE_ONLY.contains(&collector.name);
    reads_trees
        && !is_one_of(STAND_INS, path)
        && collector.paths.iter().any(|pattern| fits(pattern, path))
}

/// Whether the sample says of this path that it failed, and of a refused one
/// that it was refused.
fn names(sample: &Sample, path: &str, fault: Fault) -> bool {
    sample.failures.iter().any(|failure| {
        failure.path == path
            && (fault != Fault::Unreadable || failure.kind() == FailureKind::PermissionDenied)
    })
}

/// What every collector gives, by name.
fn sweep(host: &Host) -> BTreeMap<&'static str, Sample> {
    sweep_of(host, |_| true)
}

/// What these collectors give, by name. Read as nobody: root, with its capabilities,
/// is refused nothing.
fn sweep_of(
    host: &Host,
    is_asked: impl Fn(&Collector) -> bool + Sync,
) -> BTreeMap<&'static str, Sample> {
    let sweep = || {
        if getuid().is_root() {
            // Of this thread only.
            let nobody = Uid::from_raw(65_534);
            set_thread_res_uid(nobody, nobody, nobody).unwrap();
        }
        COLLECTORS
            .iter()
            .filter(|collector| is_asked(collector))
            .map(|collector| (collector.name, collect_once(collector, host)))
            .collect()
    };
    thread::scope(|scope| scope.spawn(sweep).join()).unwrap()
}

/// Takes the first choice away when a path is only read instead of it.
fn expose(node: &Node, path: &str) {
    for (fallback, first) in FALLBACKS {
        if path == *fallback {
            node.clear(first);
        }
    }
}

fn cover(node: &Node, path: &str) {
    for (fallback, first) in FALLBACKS {
        if path == *fallback {
            node.restore(first);
        }
    }
    node.restore(path);
}

#[test]
fn the_node_has_a_file_for_every_path_of_every_collector() {
    let node = Node::new();
    for collector in COLLECTORS {
        for pattern in collector.paths {
            let covered = node.paths().any(|path| fits(pattern, &path));
            let is_elsewhere = LIVE_ONLY.contains(&collector.name) || SOCKETS.contains(pattern);
            assert!(covered || is_elsewhere, "{pattern}");
        }
    }
    for (name, sample) in sweep(&Host::open(node.root()).unwrap()) {
        assert_eq!(sample.failures, [], "{name}");
        let empty = matches!(sample.payload, None | Some(Payload::NoData(_)));
        assert_eq!(empty, LIVE_ONLY.contains(&name), "{name}");
    }
}

#[test]
fn a_broken_source_is_named_and_costs_no_other_collector_anything() {
    let paths: Vec<String> = Node::new().paths().collect();
    // Each on a node of its own; there are thousands of faults.
    let wrong: Vec<String> = thread::scope(|scope| {
        let parts = paths.chunks(paths.len().div_ceil(THREADS));
        let parts: Vec<_> = parts
            .map(|part| scope.spawn(move || wrong_with(part)))
            .collect();
        let parts = parts.into_iter();
        parts.flat_map(|part| part.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is not as it has to be when these paths are broken, one after the other.
fn wrong_with(paths: &[String]) -> Vec<String> {
    let node = Node::new();
    let host = Host::open(node.root()).unwrap();
    let mut wrong = Vec::new();
    let read = |path: &&String| COLLECTORS.iter().any(|collector| reads(collector, path));
    for (number, path) in paths.iter().filter(read).enumerate() {
        expose(&node, path);
        let healthy = sweep(&host);
        for (turn, fault) in FAULTS.iter().enumerate() {
            // What all others say is asked under one fault of each path, in turn: under
            // each it would be most of the time that all tests take.
            let all = turn == number % FAULTS.len();
            let content = fs::read(node.path(path)).unwrap_or_default();
            node.clear(path);
            inflict(&node.path(path), &content, *fault).unwrap();
            let begun = Instant::now();
            let broken = sweep_of(&host, |collector| all || reads(collector, path));
            if begun.elapsed() > Duration::from_secs(5) {
                wrong.push(format!("{path} {fault:?}: took {:?}", begun.elapsed()));
            }
            for collector in COLLECTORS {
                let Some(after) = broken.get(collector.name) else {
                    continue;
                };
                let before = &healthy[collector.name];
                if !reads(collector, path) {
                    if (&before.payload, &before.failures) != (&after.payload, &after.failures) {
                        wrong.push(format!(
                            "{path} {fault:?}: changes {}: {:?}",
                            collector.name, after.failures
                        ));
                    }
                } else if after.payload.is_none() && after.failures.is_empty() {
                    wrong.push(format!("{path} {fault:?}: {} says nothing", collector.name));
                } else if !names(after, path, *fault)
                    && !is_harmless(path, *fault, node.is_link(path))
                {
                    wrong.push(format!(
                        "{path} {fault:?}: {} does not name it: {:?}",
                        collector.name, after.failures
                    ));
                }
            }
            node.restore(path);
        }
        cover(&node, path);
    }
    wrong
}

#[test]
fn a_source_that_hangs_costs_its_collector_one_deadline_and_no_other_anything() {
    let paths: Vec<String> = Node::new().paths().collect();
    // Most of the time is waiting for deadlines.
    thread::scope(|scope| {
        for part in paths.chunks(paths.len().div_ceil(HANGS_AT_ONCE)) {
            scope.spawn(|| {
                let mut runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = runtime.enable_all().build().unwrap();
                runtime.block_on(hang_each(part));
            });
        }
    });
}

async fn hang_each(paths: &[String]) {
    let node = Node::new();
    let host = Arc::new(Host::open(node.root()).unwrap());
    for (number, path) in paths.iter().enumerate() {
        let readers: Vec<&Collector> = COLLECTORS
            .iter()
            .filter(|collector| reads(collector, path))
            .collect();
        let content_is_read = !is_one_of(NAMES_ONLY, path) && !node.is_link(path);
        if readers.is_empty() || !content_is_read {
            continue;
        }
        expose(&node, path);
        let healthy = (number % OTHERS == 0).then(|| sweep(&host));
        let Some(hanging) = Hanging::over(node.path(path)) else {
            // Needs the right to mount; `collector::run` proves the same with a
            // collector that hangs by itself. CI skips nothing.
            let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
            assert!(!in_ci, "no hanging file system could be mounted");
            return;
        };
        for collector in COLLECTORS {
            if readers.iter().any(|reader| reader.name == collector.name) {
                let runner = Runner::new(Collector {
                    deadline: Duration::from_millis(100),
                    ..*collector
                });
                let first = runner.run(&host).await;
                assert_eq!(first.failures[0].kind(), FailureKind::TimedOut, "{path}");
                let second = runner.run(&host).await;
                assert_eq!(second.failures[0].kind(), FailureKind::InProgress, "{path}");
            } else if let Some(healthy) = &healthy {
                let sample = collect_once(collector, &host);
                assert_eq!(sample.payload, healthy[collector.name].payload, "{path}");
                assert_eq!(sample.failures, [], "{path}");
            }
        }
        drop(hanging);
        cover(&node, path);
    }
}
