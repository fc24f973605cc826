//! Power that is lost, and disks that are full or do not answer.

use std::{
    io::Write,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::*;
use crate::audit::write::PATIENCE;

fn add(kept: &Kept, bytes: &[u8]) {
    let file = kept.files().pop().unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(file).unwrap();
    file.write_all(bytes).unwrap();
}

/// What the last start says of a torn end, and what is in the file it names.
fn torn(kept: &Kept, audit: &Audit) -> (Torn, Vec<u8>) {
    let records = audit.after(0, 100).unwrap();
    let opened = records.iter().rev().find_map(|record| match &record.event {
        Event::Opened(opened) => opened.torn.clone(),
        _ => None,
    });
    let torn = opened.expect("it is told");
    let bytes = fs::read(kept.path().join(&torn.file)).unwrap();
    (torn, bytes)
}

#[test]
fn a_torn_end_is_set_aside_and_told() {
    for end in [
        &b"{\"sequence\":6,\"at\":\"20"[..],
        b"{\"seq\0\0\0\0\0\0\n",
        b"\0\0\0\0",
        b"x",
    ] {
        let kept = Kept::with_commands(2);
        let head = kept.open().head();
        add(&kept, end);
        let report = kept.verify();
        assert_eq!(report.unfinished_bytes, end.len() as u64);
        assert!(report.problems.is_empty() && !report.is_fine());
        let audit = kept.open();
        let (torn, bytes) = torn(&kept, &audit);
        assert_eq!(torn.bytes, end.len() as u64);
        assert_eq!(torn.file, "audit-00000000000000000006.torn");
        assert_eq!(bytes, [end, b"\n"].concat());
        audit.append(begun(9)).unwrap();
        let report = kept.with_head(&head);
        assert!(
            report.is_fine() && report.head == HeadFound::Yes,
            "{report:?}"
        );
        assert_eq!((report.torn, report.records), (vec![torn.file], 7));
    }
}

#[test]
fn a_whole_line_that_is_wrong_is_no_torn_end() {
    let kept = Kept::with_commands(2);
    add(&kept, b"{\"sequence\":6}\n");
    assert!(matches!(
        kept.try_open(&options()),
        Err(AuditError::Damaged(_))
    ));
    let kept = Kept::with_commands(2);
    add(&kept, b"\0\0\0\n{\"sequence\":6}\n");
    assert!(matches!(
        kept.try_open(&options()),
        Err(AuditError::Damaged(_))
    ));
}

#[test]
fn every_place_at_which_power_can_be_lost_leaves_what_was_synced() {
    let kept = Kept::with_commands(2);
    let file = kept.files().remove(0);
    let whole = fs::read(&file).unwrap();
    let last = whole.iter().rposition(|byte| *byte == b'\n').unwrap();
    let begin = whole[..last]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .unwrap()
        + 1;
    for length in (begin..whole.len()).step_by(9) {
        fs::write(&file, &whole[..length]).unwrap();
        let audit = kept.open();
        let records = audit.after(0, 4).unwrap();
        assert_eq!(kinds(&records), ["opened", "begun", "ended", "begun"]);
        drop(audit);
        assert!(kept.verify().is_fine(), "{length}");
        for file in fs::read_dir(kept.path()).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
    }
}

#[test]
fn the_first_record_of_a_file_may_be_torn_as_well() {
    let kept = Kept::with_commands(2);
    let next = kept.path().join("audit-00000000000000000006.jsonl");
    for content in [&b""[..], b"{\"se"] {
        fs::write(&next, content).unwrap();
        let audit = kept.open();
        audit.append(begun(9)).unwrap();
        drop(audit);
        assert!(kept.verify().is_fine());
        assert!(!fs::read(&next).unwrap().is_empty());
        // The next one begins where this ends.
        fs::remove_file(&next).unwrap();
    }
}

#[test]
fn what_cannot_be_written_is_no_record() {
    let kept = Kept::with_commands(2);
    let audit = kept.open();
    let before = fs::read(&kept.files()[0]).unwrap();
    audit.fail_from_now_on();
    let error = audit.append(begun(9)).unwrap_err();
    assert!(matches!(error, AuditError::Io { .. }), "{error}");
    assert_eq!(fs::read(&kept.files()[0]).unwrap(), before);
}

/// A file system of few bytes, when this process may mount one.
struct Tiny(PathBuf);

impl Tiny {
    fn mount(path: &Path) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let flags = MountFlags::NODEV | MountFlags::NOSUID;
        mount("tmpfs", path, "tmpfs", flags, c"size=64k,mode=0700").ok()?;
        Some(Self(path.to_owned()))
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        unmount(&self.0, UnmountFlags::DETACH).ok();
    }
}

#[test]
fn a_full_disk_refuses_and_keeps_what_it_has() {
    let kept = Kept::new();
    let Some(tiny) = Tiny::mount(&kept.path()) else {
        // Who may not mount anything cannot try this.
        return;
    };
    let filler = tiny.0.join("filler");
    fs::write(&filler, [1; 48 << 10]).unwrap();
    let audit = kept.open();
    let mut head = Head::default();
    let error = loop {
        match audit.append(begun(0)) {
            Ok(written) => head = written,
            Err(error) => break error,
        }
        assert!(head.sequence < 1000, "it is never full");
    };
    let AuditError::Io { source, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    assert_eq!(audit.head(), head);
    let report = kept.with_head(&head);
    assert!(
        report.is_fine() && report.last == Some(head.clone()),
        "{report:?}"
    );
    // With room it goes on, in the same process.
    fs::remove_file(filler).unwrap();
    let next = audit.append(ended(0)).unwrap();
    assert_eq!(next.sequence, head.sequence + 1);
    assert!(kept.verify().is_fine());
}

#[test]
fn a_disk_that_hangs_costs_one_thread_and_readers_nothing() {
    let kept = Kept::with_commands(1);
    let audit = kept.open();
    let head = audit.head();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        // As long as the turn is not given back.
        let turn = audit.turn().unwrap();
        scope.spawn(|| {
            let begun_at = Instant::now();
            let error = audit.append(begun(9)).unwrap_err();
            assert!(matches!(error, AuditError::Hanging), "{error}");
            assert!(begun_at.elapsed() < PATIENCE * 2);
            is_over.store(true, Ordering::Release);
        });
        while !is_over.load(Ordering::Acquire) {
            assert_eq!((audit.head(), audit.first_sequence()), (head.clone(), 1));
            assert_eq!(audit.after(0, 2).unwrap().len(), 2);
            thread::sleep(Duration::from_millis(50));
        }
        drop(turn);
    });
    assert_eq!(audit.append(begun(9)).unwrap().sequence, head.sequence + 2);
}

#[test]
fn many_write_at_once_and_the_chain_is_one() {
    let kept = Kept::new();
    let audit = kept.open();
    thread::scope(|scope| {
        for thread in 0..8 {
            let audit = &audit;
            scope.spawn(move || {
                for number in 0..10 {
                    audit.append(begun(thread * 100 + number)).unwrap();
                }
            });
        }
    });
    let report = kept.with_head(&audit.head());
    assert!(report.is_fine() && report.records == 81, "{report:?}");
}
