//! When collectors run, on a simulated clock.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::atomic::{AtomicI64, Ordering},
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{collector::Collector, host::Clock};

/// A node of few files whose clock the test moves.
struct Node {
    tree: TempDir,
    clock: Arc<AtomicI64>,
    sampler: Sampler,
}

const START: i64 = 1_795_349_000_000;

impl Node {
    fn new() -> Self {
        let tree = TempDir::new().unwrap();
        write(
            tree.path(),
            "etc/pve/.version",
            "{\"starttime\": 1, \"vmlist\": 1, \"ha/manager_status\": 1}\n",
        );
        write(tree.path(), "etc/pve/.members", "{\"nodename\": \"a\"}\n");
        write(tree.path(), "etc/pve/.vmlist", "{\"version\": 1}\n");
        write(
            tree.path(),
            "etc/pve/storage.cfg",
            "dir: local\n\tpath /var/lib/vz\n",
        );
        write(
            tree.path(),
            "etc/pve/nodes/a/qemu-server/100.conf",
            "name: x\n",
        );
        symlink("nodes/a", tree.path().join("etc/pve/local")).unwrap();
        let clock = Arc::new(AtomicI64::new(START));
        let host = Host::open(tree.path())
            .unwrap()
            .with_clock(Clock::Fixed(Arc::clone(&clock)));
        let spool = Arc::new(Spool::new("e".to_owned()));
        Self {
            sampler: Sampler::new(Arc::new(host), spool),
            tree,
            clock,
        }
    }

    fn write(&self, path: &str, content: &str) {
        write(self.tree.path(), path, content);
    }

    /// Moves the clock and gives the names of the collectors that ran.
    fn after(&mut self, seconds: i64) -> Vec<String> {
        self.clock.fetch_add(seconds * 1000, Ordering::AcqRel);
        self.sampler
            .tick_blocking()
            .map_or_else(Vec::new, |update| {
                update
                    .samples
                    .into_iter()
                    .map(|sample| sample.collector)
                    .collect()
            })
    }
}

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn has(names: &[String], name: &str) -> bool {
    names.iter().any(|other| other == name)
}

#[test]
fn at_the_start_everything_runs_and_then_only_what_is_due() {
    let mut node = Node::new();
    assert_eq!(node.after(0).len(), COLLECTORS.len());
    assert_eq!(node.after(5), Vec::<String>::new());
    let names = node.after(5);
    for fast in [
        "cpu",
        "broadcast",
        "members",
        "config_versions",
        "guest_list",
    ] {
        assert!(has(&names, fast), "{fast}");
    }
    for slow in ["guest_config", "storage_config", "corosync", "sensor"] {
        assert!(!has(&names, slow), "{slow}");
    }
}

#[test]
fn configuration_is_read_again_when_its_counters_move() {
    let mut node = Node::new();
    node.after(0);
    assert!(!has(&node.after(10), "guest_config"));
    // The HA manager's beat is no change.
    node.write(
        "etc/pve/.version",
        "{\"starttime\": 1, \"vmlist\": 1, \"ha/manager_status\": 2}\n",
    );
    assert!(!has(&node.after(10), "guest_config"));
    node.write(
        "etc/pve/.version",
        "{\"starttime\": 1, \"vmlist\": 2, \"ha/manager_status\": 2}\n",
    );
    assert!(has(&node.after(10), "guest_config"));
    assert!(!has(&node.after(10), "guest_config"));
    // A restarted pmxcfs counts anew: read all again.
    node.write("etc/pve/.version", "{\"starttime\": 2, \"vmlist\": 2}\n");
    assert!(has(&node.after(10), "storage_config"));
}

#[test]
fn configuration_is_read_every_ten_minutes_whatever_its_counters_say() {
    let mut node = Node::new();
    node.after(0);
    let runs = (1..=120)
        .filter(|_| has(&node.after(10), "guest_config"))
        .count();
    assert_eq!(runs, 2);
    fs::remove_file(node.tree.path().join("etc/pve/.version")).unwrap();
    let runs = (1..=120)
        .filter(|_| has(&node.after(10), "guest_config"))
        .count();
    assert_eq!(runs, 2);
}

#[test]
fn what_failed_is_read_again_after_a_minute() {
    let mut node = Node::new();
    node.write("etc/pve/nodes/a/qemu-server/100.conf", "");
    node.after(0);
    let runs: Vec<bool> = (1..=6)
        .map(|_| has(&node.after(10), "guest_config"))
        .collect();
    assert_eq!(runs, [false, false, false, false, false, true]);
}

#[test]
fn a_clock_that_is_set_back_does_not_stop_the_sampling() {
    let mut node = Node::new();
    node.after(0);
    assert!(has(&node.after(-86_400), "cpu"));
    assert!(has(&node.after(10), "cpu"));
}

#[test]
fn the_update_is_the_one_in_the_spool() {
    let mut node = Node::new();
    let update = node.sampler.tick_blocking().unwrap();
    assert_eq!(node.sampler.spool.read_from(None), [update]);
    assert_eq!(node.sampler.tick_blocking(), None);
}

#[tokio::test]
async fn the_live_loop_samples_until_it_is_told_to_stop() {
    let node = Node::new();
    let spool = Arc::clone(&node.sampler.spool);
    let shutdown = CancellationToken::new();
    let mut news = spool.subscribe();
    let running = tokio::spawn(node.sampler.run(shutdown.clone()));
    let mut names = Vec::new();
    while names.len() < COLLECTORS.len() {
        news.changed().await.unwrap();
        let updates = spool.read_from(None);
        names = updates
            .iter()
            .flat_map(|update| &update.samples)
            .map(|sample| sample.collector.clone())
            .collect();
    }
    shutdown.cancel();
    running.await.unwrap();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), COLLECTORS.len());
}

proptest! {
    #[test]
    fn no_collector_runs_too_often_or_too_late(steps in proptest::collection::vec(1_u64..40, 1..80)) {
        let mut schedule = Schedule::new(COLLECTORS);
        let mut now = Duration::from_secs(1_000_000);
        let mut last: BTreeMap<&str, Duration> = BTreeMap::new();
        for step in steps {
            now += Duration::from_secs(step);
            for collector in COLLECTORS {
                let pause = last.get(collector.name).map(|last| now - *last);
                let ran = schedule.starts(collector, now);
                if ran {
                    schedule.ended(collector, &good(collector));
                    last.insert(collector.name, now);
                }
                let margin = Duration::from_secs(1);
                prop_assert_eq!(ran, pause.is_none_or(|pause| pause + margin >= collector.interval));
            }
        }
    }
}

fn good(collector: &Collector) -> Sample {
    Sample {
        collector: collector.name.to_owned(),
        payload: Some(pvelens_proto::agent::v1::sample::Payload::Load(
            pvelens_proto::agent::v1::Load::default(),
        )),
        ..Sample::default()
    }
}
