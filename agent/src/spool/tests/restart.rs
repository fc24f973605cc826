//! The agent ends, and another goes on with its files.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::PathBuf,
};

use rustix::{
    fs::statvfs,
    mount::{MountFlags, UnmountFlags, mount, unmount},
    process::geteuid,
};
use tempfile::TempDir;

use super::*;

/// Room for some segments of some updates.
pub(super) const SMALL: usize = 4000;

/// A spool in a directory of a test; a new epoch is the second.
pub(super) fn open(directory: &TempDir, epoch: &str) -> Spool {
    open_with(directory, epoch, SMALL)
}

fn open_with(directory: &TempDir, epoch: &str, limit: usize) -> Spool {
    Spool::open(&path(directory), epoch.to_owned(), limit)
}

pub(super) fn path(directory: &TempDir) -> PathBuf {
    directory.path().join("spool")
}

/// Names of the files, in order.
pub(super) fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(path(directory)).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Content of the files.
fn files(directory: &TempDir) -> BTreeMap<String, Vec<u8>> {
    names(directory)
        .into_iter()
        .map(|name| (name.clone(), fs::read(path(directory).join(name)).unwrap()))
        .collect()
}

/// A directory with such files.
fn with_files(files: &BTreeMap<String, Vec<u8>>) -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::create_dir(path(&directory)).unwrap();
    for (name, content) in files {
        fs::write(path(&directory).join(name), content).unwrap();
    }
    directory
}

fn fill(spool: &Spool, updates: u32) {
    for content in 1..=updates {
        spool.append(vec![sample("a", content), sample("b", 1)]);
    }
}

#[test]
fn a_restarted_agent_goes_on_where_a_reader_stopped() {
    let directory = TempDir::new().unwrap();
    let spool = open(&directory, "first");
    fill(&spool, 3);
    let mut reader = Reader::default();
    reader.read(&spool, 2);
    drop(spool);

    let spool = open(&directory, "second");
    assert_eq!(spool.epoch(), "first");
    assert_eq!(*spool.subscribe().borrow(), 3);
    let fourth = spool.append(vec![sample("b", 1)]);
    assert_eq!(sequence_of(&fourth), 4);
    assert_eq!(unchanged_since(&fourth.samples[0]), Some(1));
    reader.read(&spool, usize::MAX);
    assert_eq!(reader.seen, [1, 2, 3, 4]);
    assert_eq!(reader.skipped, 0);
}

#[test]
fn the_files_are_the_agents_alone_and_bounded() {
    let directory = TempDir::new().unwrap();
    let spool = open(&directory, "e");
    for content in 1..2000 {
        spool.append(vec![sample("a", content)]);
        let bytes: usize = files(&directory)
            .iter()
            .filter(|(name, _)| *name != "newest")
            .map(|(_, content)| content.len())
            .sum();
        assert!(bytes <= SMALL, "{bytes}");
    }
    assert!(names(&directory).len() < 40);
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(path(&directory)), 0o700);
    for name in names(&directory) {
        assert_eq!(mode(path(&directory).join(name)) & 0o077, 0);
    }
    drop(spool);

    // A smaller limit holds from the next update on.
    let spool = open_with(&directory, "f", SMALL / 4);
    assert_eq!(spool.epoch(), "e");
    spool.append(vec![sample("a", 1)]);
    let bytes: usize = files(&directory).values().map(Vec::len).sum();
    assert!(bytes < SMALL / 3, "{bytes}");
}

#[test]
fn an_end_within_a_record_costs_that_record_alone() {
    let directory = TempDir::new().unwrap();
    let spool = open(&directory, "first");
    fill(&spool, 3);
    let before = files(&directory);
    spool.append(vec![sample("a", 4)]);
    let segment = "segment-00000000000000000001";
    let whole = files(&directory)[segment].clone();
    for length in before[segment].len()..=whole.len() {
        let mut torn = before.clone();
        torn.insert(segment.to_owned(), whole[..length].to_vec());
        let directory = with_files(&torn);
        let spool = open(&directory, "second");
        assert_eq!(spool.epoch(), "first");
        let newest = if length == whole.len() { 4 } else { 3 };
        assert_eq!(spool.newest().sequence, newest, "{length}");
        fill(&spool, 2);
        drop(spool);
        let spool = open(&directory, "third");
        let mut reader = Reader::default();
        reader.read(&spool, usize::MAX);
        assert_eq!(reader.seen, (1..=newest + 2).collect::<Vec<_>>());
    }
}

#[test]
fn nothing_of_a_torn_record_is_left_in_a_segment_that_ends_before_it_did() {
    let large = |bytes: usize| Sample {
        payload: Some(Payload::NoData(NoData {
            reason: "x".repeat(bytes),
        })),
        ..sample("large", 0)
    };
    let directory = TempDir::new().unwrap();
    let limit = 16 * 4000;
    let spool = open_with(&directory, "first", limit);
    spool.append(vec![sample("a", 1)]);
    let newest = files(&directory)["newest"].clone();
    spool.append(vec![large(3000)]);
    let mut torn = files(&directory);
    torn.insert("newest".to_owned(), newest);
    let segment = torn.values_mut().next_back().unwrap();
    segment.truncate(segment.len() - 1);
    let directory = with_files(&torn);
    for sample in [sample("a", 2), large(3990), sample("a", 3)] {
        let spool = open_with(&directory, "second", limit);
        assert_eq!(spool.epoch(), "first");
        spool.append(vec![sample]);
    }
    assert_eq!(open_with(&directory, "third", limit).newest().sequence, 4);
}

#[test]
fn an_end_while_a_segment_sinks_costs_nothing() {
    let directory = TempDir::new().unwrap();
    let spool = open(&directory, "first");
    spool.append(vec![sample("rare", 7)]);
    let (mut before, mut after) = (files(&directory), files(&directory));
    // The second time there is an older base.
    for _ in 0..2 {
        let base = after.get("base").cloned();
        while after.get("base") == base.as_ref() {
            before = after;
            spool.append(vec![sample("a", 1), sample("a2", 2)]);
            spool.append(vec![sample("a", 2), sample("a2", 1)]);
            after = files(&directory);
        }
    }
    let newest = spool.newest();
    drop(spool);
    let went: Vec<_> = before
        .keys()
        .filter(|name| !after.contains_key(*name))
        .collect();
    assert_eq!(went.len(), 1);
    // The new base has its name, and what sank into it is still there.
    after.insert(went[0].clone(), before[went[0]].clone());
    // One that has not is of another end, and is nothing.
    after.insert("base.new".to_owned(), b"torn".to_vec());
    let directory = with_files(&after);
    let spool = open(&directory, "second");
    assert_eq!(spool.newest(), newest);
    let mut reader = Reader::default();
    reader.read(&spool, usize::MAX);
    assert_eq!(reader.full["rare"].payload, sample("rare", 7).payload);
    assert!(!names(&directory).contains(went[0]));
}

#[test]
fn an_end_before_a_segment_has_a_record_costs_nothing() {
    let directory = TempDir::new().unwrap();
    let spool = open(&directory, "first");
    fill(&spool, 3);
    drop(spool);
    let empty = path(&directory).join("segment-00000000000000000004");
    fs::write(&empty, "").unwrap();
    let spool = open(&directory, "second");
    assert_eq!(
        (spool.epoch(), spool.newest().sequence),
        ("first".to_owned(), 3)
    );
    assert!(!empty.exists());
}

#[test]
fn one_agent_uses_a_directory_at_a_time() {
    let directory = TempDir::new().unwrap();
    let spool = open(&directory, "first");
    fill(&spool, 3);
    let before = files(&directory);
    let other = open(&directory, "other");
    assert_eq!(other.epoch(), "other");
    fill(&other, 3);
    assert_eq!(files(&directory), before);
    assert_eq!(other.read_from(None).len(), 3);
    drop((spool, other));
    assert_eq!(open(&directory, "second").epoch(), "first");
}

#[test]
fn a_directory_that_others_could_write_is_left_alone() {
    let left_alone = |directory: &TempDir| {
        let spool = open(directory, "first");
        fill(&spool, 3);
        assert_eq!(spool.read_from(None).len(), 3);
    };
    let directory = TempDir::new().unwrap();
    // The directory above is not made.
    fs::remove_dir(directory.path()).unwrap();
    left_alone(&directory);
    fs::create_dir(directory.path()).unwrap();

    for mode in [0o1777, 0o770] {
        fs::create_dir(path(&directory)).unwrap();
        fs::set_permissions(path(&directory), PermissionsExt::from_mode(mode)).unwrap();
        left_alone(&directory);
        fs::remove_dir(path(&directory)).unwrap();
    }

    let elsewhere = TempDir::new().unwrap();
    symlink(elsewhere.path(), path(&directory)).unwrap();
    left_alone(&directory);
    assert!(fs::read_dir(elsewhere.path()).unwrap().next().is_none());
    fs::remove_file(path(&directory)).unwrap();

    fs::write(path(&directory), "mine").unwrap();
    left_alone(&directory);
    assert_eq!(fs::read(path(&directory)).unwrap(), b"mine");
    fs::remove_file(path(&directory)).unwrap();

    // Only root can give a directory away; to another the root is one.
    if geteuid().is_root() {
        fs::create_dir(path(&directory)).unwrap();
        chown(path(&directory), Some(1), None).unwrap();
        left_alone(&directory);
        assert_eq!(names(&directory), Vec::<String>::new());
    } else {
        let spool = Spool::open(std::path::Path::new("/"), "first".to_owned(), SMALL);
        fill(&spool, 3);
        assert_eq!(spool.read_from(None).len(), 3);
    }
}

/// A file system of its own, 64 KiB large.
struct Full(TempDir);

impl Full {
    fn mount() -> Option<Self> {
        let directory = TempDir::new().unwrap();
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("tmpfs", directory.path(), "tmpfs", flags, Some(c"size=64k")).ok()?;
        Some(Self(directory))
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        unmount(self.0.path(), UnmountFlags::DETACH).ok();
    }
}

#[test]
fn a_full_file_system_costs_only_the_memory_of_restarts() {
    let Some(full) = Full::mount() else {
        // Needs the right to mount; in CI, nothing is left out.
        let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!in_ci, "no small file system could be mounted");
        return;
    };
    let directory = &full.0;
    let spool = open_with(directory, "first", 1 << 20);
    let mut reader = Reader::default();
    reader.read(&spool, usize::MAX);
    let mut content = 0;
    while !names(directory).is_empty() {
        content += 1;
        assert!(content < 5000, "it is never full");
        spool.append(vec![sample("a", content), sample("b", 7)]);
        if content == 10 {
            reader.read(&spool, usize::MAX);
        }
    }
    fill(&spool, 1);
    assert_eq!(spool.epoch(), "first");
    // What is in memory takes no room there.
    let room = statvfs(directory.path()).unwrap();
    assert_eq!(room.f_bfree, room.f_blocks);
    reader.read(&spool, usize::MAX);
    assert_eq!(reader.skipped, 0);
    assert_eq!(
        reader.seen,
        (1..=u64::from(content) + 1).collect::<Vec<_>>()
    );
    drop(spool);

    // There was room again, but nothing to go on with.
    let spool = open_with(directory, "second", 1 << 20);
    assert_eq!(
        (spool.epoch(), spool.newest().sequence),
        ("second".to_owned(), 0)
    );
    drop(spool);

    // Full from the start.
    fs::remove_file(path(directory).join("newest")).unwrap();
    fs::write(directory.path().join("other"), vec![1; 1 << 20]).unwrap_err();
    let spool = open_with(directory, "third", 1 << 20);
    fill(&spool, 3);
    assert_eq!(spool.read_from(None).len(), 3);
    assert_eq!(names(directory), Vec::<String>::new());
}

proptest! {
    #[test]
    fn a_restart_is_nothing_to_any_reader(
        events in vec(prop_oneof![4 => event(), 1 => Just(Event::Restart)], 0..60),
        limit in prop_oneof![150_usize..1000, Just(SMALL)],
    ) {
        let directory = TempDir::new().unwrap();
        follow(events, || open_with(&directory, "e", limit))?;
    }
}
