//! The files are not as they were written.

use std::fs;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::{
    restart::{names, open, path},
    *,
};

/// Some updates, of which the first are in the base.
fn kept(updates: u32) -> TempDir {
    let directory = TempDir::new().unwrap();
    let spool = open(&directory, "first");
    spool.append(vec![sample("rare", 7)]);
    for content in 2..=updates {
        spool.append(vec![sample("a", content)]);
    }
    directory
}

/// A new epoch begins, and lasts.
#[track_caller]
fn begins_anew(directory: &TempDir) {
    let spool = open(directory, "second");
    assert_eq!(spool.epoch(), "second");
    assert_eq!(spool.read_from(None), []);
    for content in 1..=3 {
        let update = spool.append(vec![sample("a", content)]);
        assert_eq!(sequence_of(&update), u64::from(content));
    }
    drop(spool);
    let spool = open(directory, "third");
    assert_eq!(
        (spool.epoch(), spool.newest().sequence),
        ("second".to_owned(), 3)
    );
}

#[test]
fn what_is_missing_begins_a_new_epoch() {
    let directory = kept(300);
    let all = names(&directory);
    assert!(all.contains(&"base".to_owned()) && all.len() > 5);
    for name in all {
        let directory = kept(300);
        fs::remove_file(path(&directory).join(name)).unwrap();
        begins_anew(&directory);
    }
}

#[test]
fn what_is_cut_off_begins_a_new_epoch() {
    for name in names(&kept(300)) {
        let directory = kept(300);
        let file = path(&directory).join(name);
        let content = fs::read(&file).unwrap();
        fs::write(&file, &content[..content.len() - 1]).unwrap();
        begins_anew(&directory);
        let directory = kept(300);
        fs::write(path(&directory).join(file.file_name().unwrap()), "").unwrap();
        begins_anew(&directory);
    }
}

#[test]
fn another_version_begins_a_new_epoch() {
    let directory = kept(3);
    fs::write(path(&directory).join("newest"), "pvelens spool 2\nwhatever").unwrap();
    begins_anew(&directory);
}

#[test]
fn a_file_that_is_far_too_large_is_not_read() {
    for name in names(&kept(300)) {
        let directory = kept(300);
        // A hole, that begins with the length of a record that fills it.
        fs::write(path(&directory).join(&name), (1_u64 << 40).to_le_bytes()).unwrap();
        let file = fs::File::options()
            .write(true)
            .open(path(&directory).join(name))
            .unwrap();
        file.set_len(1 << 41).unwrap();
        begins_anew(&directory);
    }
}

#[test]
fn what_is_no_file_is_neither_followed_nor_waited_for() {
    for name in names(&kept(300)) {
        let directory = kept(300);
        let file = path(&directory).join(name);
        fs::remove_file(&file).unwrap();
        mknodat(CWD, &file, FileType::Fifo, Mode::RWXU, 0).unwrap();
        begins_anew(&directory);

        let elsewhere = directory.path().join("elsewhere");
        fs::write(&elsewhere, "mine").unwrap();
        let directory_with_link = kept(300);
        let file = path(&directory_with_link).join(file.file_name().unwrap());
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        begins_anew(&directory_with_link);
        assert_eq!(fs::read(&elsewhere).unwrap(), b"mine");

        // That cannot be removed as a file, so there are none.
        let directory = kept(300);
        let file = path(&directory).join(file.file_name().unwrap());
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        let spool = open(&directory, "second");
        spool.append(vec![sample("a", 1)]);
        assert_eq!(
            (spool.epoch(), spool.read_from(None).len()),
            ("second".to_owned(), 1)
        );
    }
}

#[test]
fn damage_while_the_agent_runs_begins_a_new_epoch() {
    let directory = TempDir::new().unwrap();
    let spool = open(&directory, "first");
    let mut reader = Reader::default();
    spool.append(vec![sample("a", 1)]);
    reader.read(&spool, usize::MAX);
    spool.append(vec![sample("a", 1)]);
    for name in names(&directory) {
        fs::write(path(&directory).join(name), "").unwrap();
    }
    // It is found out by whoever reads; nothing that is left is given.
    reader.read(&spool, usize::MAX);
    assert_eq!(reader.seen, [1]);
    let update = spool.append(vec![sample("a", 1)]);
    assert_eq!(unchanged_since(&update.samples[0]), None);
    assert_ne!(spool.epoch(), "first");
    reader.read(&spool, usize::MAX);
    assert_eq!(reader.seen, [1, 1]);
    assert_eq!(names(&directory), Vec::<String>::new());
    drop(spool);
    begins_anew(&directory);
}

/// What happens to one of the files.
#[derive(Debug, Clone)]
enum Damage {
    /// Some bits of one byte change.
    Flip(usize, u8),
    Cut(usize),
    Lengthen(Vec<u8>),
    Replace(Vec<u8>),
    Remove,
}

fn damage() -> impl Strategy<Value = (usize, Damage)> {
    let damage = prop_oneof![
        6 => (any::<usize>(), 1_u8..).prop_map(|(place, bits)| Damage::Flip(place, bits)),
        3 => any::<usize>().prop_map(Damage::Cut),
        2 => vec(any::<u8>(), 1..40).prop_map(Damage::Lengthen),
        1 => vec(any::<u8>(), 0..40).prop_map(Damage::Replace),
        1 => Just(Damage::Remove),
    ];
    (any::<usize>(), damage)
}

fn inflict(directory: &TempDir, file: usize, damage: Damage) {
    let names = names(directory);
    if names.is_empty() {
        return;
    }
    let file = path(directory).join(&names[file % names.len()]);
    let mut content = fs::read(&file).unwrap();
    match damage {
        Damage::Flip(place, bits) if !content.is_empty() => {
            let place = place % content.len();
            content[place] ^= bits;
        }
        Damage::Flip(..) => {}
        Damage::Cut(length) => content.truncate(length % (content.len() + 1)),
        Damage::Lengthen(mut more) => content.append(&mut more),
        Damage::Replace(other) => content = other,
        Damage::Remove => return fs::remove_file(&file).unwrap(),
    }
    fs::write(&file, content).unwrap();
}

proptest! {
    #[test]
    fn after_any_damage_a_reader_gets_all_or_a_new_epoch(
        before in vec(appending(), 0..120),
        seen in 0_usize..120,
        damages in vec(damage(), 1..3),
        while_running in any::<bool>(),
    ) {
        let directory = TempDir::new().unwrap();
        let mut spool = open(&directory, "first");
        let mut content = Content::new();
        for contents in &before {
            let samples = samples(contents);
            learn(&mut content, &samples);
            spool.append(samples);
        }
        let mut reader = Reader::default();
        reader.read(&spool, seen);
        if while_running {
            for (file, damage) in damages {
                inflict(&directory, file, damage);
            }
        } else {
            drop(spool);
            for (file, damage) in damages {
                inflict(&directory, file, damage);
            }
            spool = open(&directory, "second");
            let appended = u64::try_from(before.len()).unwrap();
            if spool.epoch() == "first" {
                prop_assert_eq!(spool.newest().sequence, appended);
                let mut new = Reader::default();
                new.read(&spool, usize::MAX);
                prop_assert_eq!(new.content(), content.clone());
            } else {
                prop_assert_eq!(spool.epoch(), "second");
                prop_assert_eq!(spool.read_from(None), []);
            }
        }
        // The reader resolves what comes, wherever it was.
        reader.read(&spool, usize::MAX);
        for round in 0..2 {
            let samples = samples(&[(0, round), (1, 1), (2, 2), (3, 1)]);
            learn(&mut content, &samples);
            spool.append(samples);
        }
        reader.read(&spool, usize::MAX);
        if spool.newest().sequence == 0 {
            // Found out just now.
            let samples = samples(&[(0, 1), (1, 1), (2, 2), (3, 1)]);
            learn(&mut content, &samples);
            spool.append(samples);
            reader.read(&spool, usize::MAX);
        }
        prop_assert_eq!(reader.content(), content);
    }
}
