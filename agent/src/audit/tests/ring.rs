//! Files that fill up, and the oldest that go.

use super::*;

const SEGMENT: u64 = 4096;
const RING: u64 = 4 * SEGMENT;

fn small() -> Options {
    Options::new(RING, "")
}

fn filled(kept: &Kept, commands: usize) -> Audit {
    let audit = kept.try_open(&small()).unwrap();
    for number in 0..commands {
        audit.append(begun(number)).unwrap();
        audit.append(ended(number)).unwrap();
    }
    audit
}

fn bytes(kept: &Kept) -> u64 {
    let files = kept.files();
    files
        .iter()
        .map(|file| fs::metadata(file).unwrap().len())
        .sum()
}

#[test]
fn the_oldest_records_go_and_that_is_written_down() {
    let kept = Kept::new();
    let audit = filled(&kept, 100);
    assert!(bytes(&kept) <= RING, "{}", bytes(&kept));
    let first = audit.first_sequence();
    assert!(first > 100);
    let records = audit.after(0, usize::MAX).unwrap();
    assert_eq!(records[0].sequence, first);
    assert_eq!(records.last().unwrap().head(), audit.head());
    let dropped = records.iter().rev().find_map(|record| match &record.event {
        Event::Dropped(dropped) => Some(dropped.first_kept),
        _ => None,
    });
    assert_eq!(dropped, Some(first));
    let report = kept.verify();
    assert!(report.is_fine(), "{report:?}");
    assert_eq!(
        (report.first, report.last),
        (Some(first), Some(audit.head()))
    );
    drop(audit);
    let audit = filled(&kept, 100);
    assert!(audit.first_sequence() > first && kept.verify().is_fine());
    assert!(bytes(&kept) <= RING);
}

#[test]
fn a_file_that_is_missing_is_found() {
    let kept = Kept::new();
    drop(filled(&kept, 100));
    for (file, words) in [
        (0, "are gone, and the ring did not let them go"),
        (1, "is where"),
    ] {
        let path = kept.files().remove(file);
        let content = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let report = kept.verify();
        assert!(report.problems[0].what.contains(words), "{report:?}");
        assert!(kept.try_open(&small()).is_err());
        fs::write(&path, &content[..content.len() / 2]).unwrap();
        assert!(!kept.verify().is_fine());
        fs::write(&path, b"").unwrap();
        assert_eq!(kept.verify().problems[0].what, "it is empty");
        fs::write(&path, content).unwrap();
        assert!(kept.verify().is_fine());
    }
}

#[test]
fn a_head_that_the_ring_let_go_says_nothing() {
    let kept = Kept::new();
    let old = filled(&kept, 1).head();
    let audit = filled(&kept, 100);
    assert_eq!(kept.with_head(&old).head, HeadFound::TooOld);
    // The one before the oldest is known by its hash.
    let oldest = audit.after(0, 1).unwrap().remove(0);
    let before = Head {
        sequence: oldest.sequence - 1,
        hash: oldest.previous,
    };
    assert_eq!(kept.with_head(&before).head, HeadFound::Yes);
    let other = Head {
        hash: "0".repeat(64),
        ..before
    };
    assert_eq!(kept.with_head(&other).head, HeadFound::Differs);
}

#[test]
fn records_are_read_across_files() {
    let kept = Kept::new();
    let audit = filled(&kept, 100);
    let all = audit.after(0, usize::MAX).unwrap();
    let mut read = Vec::new();
    let mut sequence = 0;
    loop {
        let some = audit.after(sequence, 7).unwrap();
        let Some(last) = some.last() else { break };
        sequence = last.sequence;
        read.extend(some);
    }
    assert_eq!(read, all);
}

#[test]
fn a_smaller_ring_shrinks_with_the_next_file() {
    let kept = Kept::new();
    drop(filled(&kept, 100));
    let smaller = Options::new(RING / 2, "");
    let audit = kept.try_open(&smaller).unwrap();
    for number in 0..20 {
        audit.append(begun(number)).unwrap();
    }
    assert!(bytes(&kept) <= RING / 2 && kept.verify().is_fine());
}
