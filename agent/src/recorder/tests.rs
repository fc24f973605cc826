//! What is on disk, whatever was sampled and whenever it was cut.

use std::{
    fs::{self, OpenOptions},
    path::Path,
};

use proptest::prelude::*;
use pvelens_proto::{
    agent::v1::{
        ClusterMember, ClusterMembers, ClusterSummary, GuestRuntime, GuestRuntimes, HostIdentity,
        Load, sample::Payload,
    },
    timestamp_from_millis,
};
use tempfile::TempDir;

use pvelens_proto::agent::v1::Sample;

use super::{
    bounds::Bounds,
    files::Files,
    record::{Mark, Record, wire},
    *,
};
use crate::spool::{directory::Directory, records::frame};

const START: i64 = 1_795_349_000;
const RING: usize = 1 << 20;

/// A node that samples into a spool in memory.
struct Node {
    tree: TempDir,
    spool: Arc<Spool>,
    recorder: Recorder,
    second: i64,
}

impl Node {
    fn new() -> Self {
        let tree = TempDir::new().unwrap();
        let spool = Arc::new(Spool::new("e1".to_owned()));
        Self {
            recorder: Recorder::new(tree.path().join("flight"), RING, Arc::clone(&spool)),
            tree,
            spool,
            second: 0,
        }
    }

    /// The agent starts anew, with a spool that goes on or not.
    fn restart(&mut self, spool: Option<&str>) {
        if let Some(epoch) = spool {
            self.spool = Arc::new(Spool::new(epoch.to_owned()));
        }
        let directory = self.tree.path().join("flight");
        self.recorder = Recorder::new(directory.clone(), RING, Arc::clone(&self.spool));
        // The thread has written, and may not have let go of the directory.
        while Directory::open(&directory).is_err() {
            thread::yield_now();
        }
    }

    /// One tick of ten seconds.
    fn tick(&mut self, is_quorate: bool, more: Vec<Sample>) {
        self.second += 10;
        let at = Timestamp::from_second(START + self.second).unwrap();
        let load = Load {
            load1: f64::from(i32::try_from(self.second).unwrap()),
            ..Load::default()
        };
        let mut samples = vec![
            sample("members", Payload::ClusterMembers(members(is_quorate))),
            sample("load", Payload::Load(load)),
            sample("host", Payload::HostIdentity(HostIdentity::default())),
        ];
        samples.extend(more);
        for sample in &mut samples {
            sample.observed_at = Some(wire(at));
        }
        let update = self.spool.append(samples);
        let now = Duration::from_secs(u64::try_from(self.second).unwrap());
        self.recorder.observe(&update, now, at);
        self.recorder.wait();
    }

    fn ticks(&mut self, number: usize, is_quorate: bool) {
        for _ in 0..number {
            self.tick(is_quorate, Vec::new());
        }
    }

    fn directory(&self) -> std::path::PathBuf {
        self.tree.path().join("flight")
    }

    fn read(&self) -> Recorded {
        read(&self.directory(), |_, _| {}).unwrap()
    }

    fn files(&self) -> Vec<std::path::PathBuf> {
        files(&self.directory())
    }
}

fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn bytes(directory: &Path) -> u64 {
    let files = files(directory).into_iter();
    files.map(|file| fs::metadata(file).unwrap().len()).sum()
}

fn sample(collector: &str, payload: Payload) -> Sample {
    Sample {
        collector: collector.to_owned(),
        payload: Some(payload),
        ..Sample::default()
    }
}

fn members(is_quorate: bool) -> ClusterMembers {
    let member = |name: &str, online| ClusterMember {
        name: name.to_owned(),
        online,
        ..ClusterMember::default()
    };
    ClusterMembers {
        node_name: "a".to_owned(),
        cluster: Some(ClusterSummary {
            quorate: is_quorate,
            ..ClusterSummary::default()
        }),
        members: vec![member("a", true), member("b", is_quorate)],
        ..ClusterMembers::default()
    }
}

/// Guests that take about so many bytes.
fn guests(bytes: usize, second: i64) -> Sample {
    let guest = GuestRuntime {
        vmid: 100,
        pid: u32::try_from(second).ok(),
        start_ticks: Some(1 << 40),
        cpu_seconds_total: Some(0.5),
        ..GuestRuntime::default()
    };
    let guests = vec![guest; bytes / 24];
    sample(
        "guest_runtime",
        Payload::GuestRuntimes(GuestRuntimes { guests }),
    )
}

#[test]
fn in_calm_nothing_is_written_and_no_directory_made() {
    let mut node = Node::new();
    node.ticks(1000, true);
    assert!(!node.directory().exists());
    assert_eq!(node.read(), Recorded::default());
}

#[test]
fn an_emergency_has_the_minutes_before_it_and_ends_with_the_calm() {
    let mut node = Node::new();
    node.ticks(100, true);
    node.ticks(6, false);
    node.ticks(20, true);
    let recorded = node.read();
    let [emergency] = recorded.emergencies.as_slice() else {
        panic!("{recorded:?}");
    };
    let second = |at: Timestamp| at.as_second() - START;
    assert_eq!(second(emergency.began), 1010);
    assert_eq!(emergency.ended.map(second), Some(1180));
    assert_eq!(emergency.signs, [Sign::QuorumLost]);
    assert_eq!(emergency.left_out_samples, 0);
    let times: Vec<_> = emergency.moments.iter().map(|m| second(m.at)).collect();
    let expected: Vec<_> = (410..=1180).step_by(10).collect();
    assert_eq!(times, expected);
    for moment in &emergency.moments {
        let is_lost = (1010..=1060).contains(&second(moment.at));
        assert_eq!(moment.quorate, Some(!is_lost), "{moment:?}");
        assert_eq!(moment.members_online, Some(if is_lost { 1 } else { 2 }));
        let load = i32::try_from(second(moment.at)).unwrap();
        assert_eq!(moment.load1, Some(f64::from(load)));
    }
    // Afterwards the calm costs nothing.
    let before = bytes(&node.directory());
    node.ticks(100, true);
    assert_eq!(bytes(&node.directory()), before);
}

#[test]
fn only_the_agent_may_look() {
    use std::os::unix::fs::PermissionsExt;
    let mut node = Node::new();
    node.ticks(1, false);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&node.directory()), 0o700);
    assert_eq!(mode(&node.files()[0]), 0o600);
}

#[test]
fn configuration_is_not_recorded_and_what_fails_is_named() {
    let mut node = Node::new();
    let failed = Sample {
        collector: "storage_config".to_owned(),
        failures: vec![pvelens_proto::agent::v1::SourceFailure {
            path: "/etc/pve/storage.cfg".to_owned(),
            kind: pvelens_proto::agent::v1::FailureKind::TimedOut.into(),
            detail: "x".to_owned(),
        }],
        ..Sample::default()
    };
    node.tick(false, vec![failed]);
    let mut collectors = Vec::new();
    let recorded = read(&node.directory(), |_, sample| {
        collectors.push(sample.collector.clone());
    });
    assert_eq!(collectors, ["members", "load", "storage_config"]);
    let emergency = &recorded.unwrap().emergencies[0];
    assert_eq!(
        emergency.moments[0].failing["storage_config"],
        "/etc/pve/storage.cfg: timed out"
    );
}

#[test]
fn a_long_emergency_keeps_its_bounds_and_every_file_stands_alone() {
    let mut node = Node::new();
    let bounds = Bounds::of(RING);
    for tick in 0..500 {
        let guests = guests(20_000, node.second);
        node.tick(false, vec![guests]);
        if tick == 100 {
            assert!(node.read().emergencies[0].left_out_samples > 50);
        }
        assert!(bytes(&node.directory()) <= u64::try_from(RING).unwrap());
    }
    let recorded = node.read();
    assert_eq!(recorded.problems, []);
    let emergency = recorded.emergencies.last().unwrap();
    // After twenty minutes one round every five.
    let late = emergency.moments.iter().rev().take(20);
    let times: Vec<_> = late.map(|moment| moment.at.as_second()).collect();
    assert!(times.last().unwrap() + 1000 < times[0], "{times:?}");
    for file in node.files() {
        let length = fs::metadata(&file).unwrap().len();
        assert!(length <= u64::try_from(bounds.file).unwrap());
        // Without the files before it, it says as much.
        let alone = TempDir::new().unwrap();
        fs::copy(&file, alone.path().join(file.file_name().unwrap())).unwrap();
        let recorded = read(alone.path(), |_, _| {}).unwrap();
        let moments = &recorded.emergencies[0].moments;
        assert!(moments.iter().all(|moment| moment.quorate == Some(false)));
    }
}

#[test]
fn emergencies_that_come_and_go_have_the_same_budget() {
    let mut node = Node::new();
    let mut written = 0;
    let mut before = 0;
    for _ in 0..20 {
        for is_quorate in [false, true] {
            for _ in 0..15 {
                let guests = guests(20_000, node.second);
                node.tick(is_quorate, vec![guests]);
                let now = bytes(&node.directory());
                written += now.saturating_sub(before);
                before = now;
            }
        }
    }
    // 100 minutes at 24 KiB, after 384 KiB at once.
    assert!(written < (384 + 100 * 25) << 10, "{written}");
}

#[test]
fn a_restart_of_the_agent_goes_on_and_one_of_the_node_does_not() {
    let mut node = Node::new();
    node.ticks(50, true);
    node.ticks(3, false);
    let before = node.read().emergencies[0].updates;
    node.restart(None);
    node.ticks(2, false);
    let recorded = node.read();
    assert_eq!(recorded.problems, []);
    assert_eq!(recorded.emergencies.len(), 1);
    assert_eq!(recorded.emergencies[0].updates, before + 2);
    node.restart(Some("e2"));
    node.ticks(2, false);
    let recorded = node.read();
    let updates: Vec<_> = recorded.emergencies.iter().map(|e| e.updates).collect();
    assert_eq!(updates, [before + 2, 2]);
    assert!(recorded.emergencies.iter().all(|e| e.ended.is_none()));
}

#[test]
fn a_disk_that_cannot_be_written_costs_the_record_only_and_is_tried_again() {
    let mut node = Node::new();
    // In the place of the directory.
    fs::write(node.directory(), "x").unwrap();
    node.ticks(5, false);
    assert!(read(&node.directory(), |_, _| {}).is_err());
    fs::remove_file(node.directory()).unwrap();
    node.ticks(1, false);
    let recorded = node.read();
    let emergency = &recorded.emergencies[0];
    assert_eq!((emergency.updates, emergency.moments.len()), (6, 6));
    assert_eq!(emergency.signs, [Sign::QuorumLost]);
}

#[test]
fn a_disk_that_hangs_holds_nobody_up_and_is_caught_up_with() {
    let mut node = Node::new();
    node.ticks(1, false);
    // As long as the thread that writes would wait for the disk.
    let shared = Arc::clone(&node.recorder.shared);
    let writer = lock(&shared.writer);
    for second in 1..=30 {
        let at = Timestamp::from_second(START + 10 + second).unwrap();
        let mut one = sample("members", Payload::ClusterMembers(members(false)));
        one.observed_at = Some(wire(at));
        let update = node.spool.append(vec![one]);
        let now = Duration::from_secs(10 + u64::try_from(second).unwrap());
        node.recorder.observe(&update, now, at);
    }
    assert!(lock(&shared.orders).in_flight);
    drop(writer);
    node.recorder.wait();
    assert_eq!(node.read().emergencies[0].updates, 31);
}

#[test]
fn garbage_is_named_and_the_rest_is_read() {
    let mut node = Node::new();
    node.ticks(3, false);
    let file = node.files().remove(0);
    fs::write(
        node.directory().join("flight-00000000000000000000"),
        "garbage",
    )
    .unwrap();
    fs::write(
        node.directory().join("flight-00000000000000000009"),
        vec![0; 5000],
    )
    .unwrap();
    fs::write(node.directory().join("other"), "not ours").unwrap();
    fs::create_dir(node.directory().join("flight-00000000000000000008")).unwrap();
    let mut torn = fs::read(&file).unwrap();
    torn.truncate(torn.len() - 1);
    fs::write(&file, &torn).unwrap();
    let recorded = node.read();
    assert_eq!(recorded.emergencies[0].updates, 2);
    let problems: Vec<_> = recorded.problems.iter().map(|p| p.what.as_str()).collect();
    assert_eq!(problems.len(), 4);
    assert!(
        problems[0].ends_with("nothing of it can be read"),
        "{problems:?}"
    );
    assert!(
        problems[1].contains("are no whole record; 3 records"),
        "{problems:?}"
    );
    assert_eq!(problems[2], "it is no file");
    assert!(problems[3].contains("nothing of it"), "{problems:?}");
}

/// A record that is told by its time.
fn numbered(number: i64, size: usize) -> Vec<u8> {
    frame(&Record {
        emergency: 1,
        at: Some(timestamp_from_millis(number)),
        mark: Mark::Worse.into(),
        signs: vec!["x".repeat(size)],
        ..Record::default()
    })
}

/// The numbers of all records that can be read, and whether something could not.
fn kept(directory: &Path) -> (Vec<i64>, usize) {
    let mut numbers = Vec::new();
    let mut damaged = 0;
    for path in files(directory) {
        let bytes = fs::read(path).unwrap();
        let file = tempfile::tempfile().unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
        let scanned = crate::spool::records::Records::scan(file, RING, |record: Record| {
            numbers.push(pvelens_proto::timestamp_to_millis(&record.at.unwrap()));
            Ok(())
        });
        damaged += usize::from(!matches!(scanned, Ok((_, 0))));
    }
    (numbers, damaged)
}

#[derive(Debug, Clone)]
enum Act {
    Write(usize),
    NextFile,
    /// The process ends, and so many bytes of the newest file never reached the disk.
    Crash(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (0_usize..3000).prop_map(Act::Write),
        1 => Just(Act::NextFile),
        2 => (0_u64..4000).prop_map(Act::Crash),
    ];
    prop::collection::vec(act, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_written_and_lost_the_ring_has_its_bounds_and_its_order(acts in acts()) {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("flight");
        let bounds = Bounds::of(32 << 10);
        let open = || Files::open(&path, bounds).unwrap();
        let mut files_ = open();
        let mut number = 0;
        for act in acts {
            match act {
                Act::Write(size) => {
                    number += 1;
                    let frame = numbered(number, size);
                    if !files_.has_room(frame.len()) {
                        files_.next().unwrap();
                    }
                    files_.append(&frame).unwrap();
                    // What was written last can always be read back.
                    prop_assert_eq!(kept(&path).0.last().copied(), Some(number));
                }
                Act::NextFile => files_.next().unwrap(),
                Act::Crash(lost) => {
                    drop(files_);
                    if let Some(newest) = files(&path).last() {
                        let length = fs::metadata(newest).unwrap().len();
                        let file = OpenOptions::new().write(true).open(newest).unwrap();
                        file.set_len(length.saturating_sub(lost)).unwrap();
                    }
                    files_ = open();
                }
            }
            prop_assert!(bytes(&path) <= 32 << 10);
            prop_assert!(files(&path).len() <= bounds.files() + 1);
            let (numbers, _) = kept(&path);
            prop_assert!(numbers.is_sorted_by(|a, b| a < b), "{:?}", numbers);
        }
    }

    #[test]
    fn any_cut_and_any_flipped_byte_leave_what_stands_before(
        cut in 0_usize..2000, flip in 0_usize..2000, bit in 0_u8..8,
    ) {
        let mut node = Node::new();
        node.ticks(4, false);
        let whole = node.read();
        let file = node.files().remove(0);
        let mut bytes = fs::read(&file).unwrap();
        bytes.truncate(bytes.len().saturating_sub(cut));
        if let Some(byte) = bytes.get_mut(flip) {
            *byte ^= 1 << bit;
        }
        fs::write(&file, bytes).unwrap();
        let rest = node.read();
        let moments = |recorded: &Recorded| {
            recorded.emergencies.first().map_or(Vec::new(), |e| e.moments.clone())
        };
        prop_assert!(moments(&whole).starts_with(&moments(&rest)));
        // The next emergency is recorded all the same.
        node.restart(Some("e2"));
        node.ticks(2, false);
        let again = node.read();
        prop_assert_eq!(again.emergencies.last().unwrap().updates, 2);
        prop_assert!(moments(&again).starts_with(&moments(&rest)));
    }
}
