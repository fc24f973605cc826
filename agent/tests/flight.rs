//! A simulated node that loses quorum and is fenced: what it can tell afterwards.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]
#![expect(
    clippy::disallowed_methods,
    reason = "the test writes the node it reads"
)]

mod node;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use node::Node;
use pvelens_agent::{
    host::{Clock, Host},
    recorder::{Recorded, Recorder, Sign, read},
    sampler::Sampler,
    spool::Spool,
};
use tempfile::TempDir;

const START: i64 = 1_795_349_100;

/// A member of a cluster with services of its own, and the agent that samples it.
struct Member {
    node: Node,
    disk: TempDir,
    clock: Arc<AtomicI64>,
    recorder: Arc<Recorder>,
    sampler: Sampler,
    second: i64,
}

impl Member {
    fn new() -> Self {
        let node = Node::new();
        let disk = TempDir::new().unwrap();
        let clock = Arc::new(AtomicI64::new(START * 1000));
        let host = Host::open(node.root()).unwrap();
        let host = Arc::new(host.with_clock(Clock::Fixed(Arc::clone(&clock))));
        let spool = Arc::new(Spool::new("first".to_owned()));
        let recorder = Recorder::new(disk.path().join("flight"), 8 << 20, Arc::clone(&spool));
        let recorder = Arc::new(recorder);
        Self {
            sampler: Sampler::new(host, spool).with_recorder(Arc::clone(&recorder)),
            node,
            disk,
            clock,
            recorder,
            second: 0,
        }
    }

    fn flight(&self) -> PathBuf {
        self.disk.path().join("flight")
    }

    fn write(&self, path: &str, content: &str) {
        fs::write(self.node.root().join(path), content).unwrap();
    }

    /// The local manager writes its status.
    fn beat(&self) {
        let now = START + self.second;
        let status =
            format!(r#"{{"timestamp":{now},"state":"active","mode":"active","results":{{}}}}"#);
        self.write("etc/pve/nodes/pve1/lrm_status", &status);
    }

    fn lose_quorum(&self) {
        let path = self.node.root().join("etc/pve/.members");
        let members = fs::read_to_string(&path).unwrap();
        let members = members.replace(r#""quorate": 1"#, r#""quorate": 0"#);
        self.write("etc/pve/.members", &members);
    }

    /// Ten seconds go by.
    fn tick(&mut self) {
        self.second += 10;
        self.clock
            .store((START + self.second) * 1000, Ordering::Release);
        self.sampler.tick_blocking();
        self.recorder.wait();
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn recorded(directory: &Path) -> Recorded {
    read(directory, |_, _| {}).unwrap()
}

#[test]
fn twenty_healthy_minutes_write_nothing() {
    let mut member = Member::new();
    for _ in 0..120 {
        member.beat();
        member.tick();
    }
    assert_eq!(files(member.disk.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_fenced_node_can_tell_its_last_minute() {
    let mut member = Member::new();
    for _ in 0..60 {
        member.beat();
        member.tick();
    }
    // The file system is read-only from now on, and the manager writes no more.
    member.lose_quorum();
    for _ in 0..6 {
        member.tick();
    }
    // The watchdog bites in the middle of a write.
    let flight = member.flight();
    drop(member.sampler);
    drop(member.recorder);
    let newest = files(&flight).pop().unwrap();
    let whole = fs::read(&newest).unwrap();
    fs::write(&newest, &whole[..whole.len() - 100]).unwrap();

    let told = recorded(&flight);
    let [emergency] = told.emergencies.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(emergency.began.as_second(), START + 610);
    assert_eq!(emergency.ended, None);
    assert_eq!(emergency.signs, [Sign::QuorumLost, Sign::ManagerStale]);
    let [first, .., last] = emergency.moments.as_slice() else {
        panic!("{emergency:?}");
    };
    // Ten minutes before, until the last record that reached the disk.
    assert_eq!(first.at.as_second(), START + 10);
    assert_eq!(last.at.as_second(), START + 650);
    assert_eq!((first.quorate, last.quorate), (Some(true), Some(false)));
    assert_eq!(last.node, "pve1");
    assert_eq!(last.members, Some(2));
    assert_eq!(last.ha_manager.as_deref(), Some("active"));
    assert!(last.ha_manager_age_seconds > Some(20), "{last:?}");
    assert!(last.load1.is_some() && last.stalled.io.is_some());
    let [problem] = told.problems.as_slice() else {
        panic!("{:?}", told.problems);
    };
    assert!(problem.what.contains("no whole record"), "{problem:?}");
}

#[test]
fn what_is_recorded_is_bounded_and_holds_no_secret() {
    let mut member = Member::new();
    member.lose_quorum();
    for _ in 0..150 {
        member.tick();
    }
    let files = files(&member.flight());
    let bytes: Vec<u8> = files
        .iter()
        .flat_map(|file| fs::read(file).unwrap())
        .collect();
    assert!(bytes.len() <= 8 << 20, "{}", bytes.len());
    // Every secret of the small node has it in it.
    let canary = b"canary";
    assert!(!bytes.windows(canary.len()).any(|window| window == canary));
}
