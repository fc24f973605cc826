//! What is written stays, and whatever else is there is found.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{write::IN_MEMORY, *};

mod disk;
mod ring;
mod tamper;

/// A directory with records in it, of an agent that has ended.
pub(super) struct Kept {
    tree: TempDir,
}

impl Kept {
    /// In memory where there is such a place: thousands of records are synced here.
    fn new() -> Self {
        let tree = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new());
        Self {
            tree: tree.unwrap(),
        }
    }

    /// Opened, and so many commands that began and ended.
    fn with_commands(commands: usize) -> Self {
        let kept = Self::new();
        let audit = kept.open();
        for number in 0..commands {
            audit.append(begun(number)).unwrap();
            audit.append(ended(number)).unwrap();
        }
        kept
    }

    fn path(&self) -> PathBuf {
        self.tree.path().join("audit")
    }

    fn open(&self) -> Audit {
        self.try_open(&options()).unwrap()
    }

    fn try_open(&self, options: &Options) -> Result<Audit, AuditError> {
        Audit::open(&self.path(), options)
    }

    fn verify(&self) -> Report {
        verify(&self.path(), None).unwrap()
    }

    fn with_head(&self, head: &Head) -> Report {
        verify(&self.path(), Some(head)).unwrap()
    }

    /// Files with records, oldest first.
    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
            .collect();
        files.sort();
        files
    }

    /// Changes the lines of the only file.
    fn change(&self, change: impl FnOnce(&mut Vec<String>)) {
        change_lines(&self.files()[0], change);
    }
}

fn change_lines(file: &Path, change: impl FnOnce(&mut Vec<String>)) {
    let text = fs::read_to_string(file).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(file, text).unwrap();
}

fn options() -> Options {
    Options::new(64 << 20, "6f2f6a3b-0000-4000-8000-000000000001\n")
}

fn id(number: usize) -> String {
    format!("request-{number:06}")
}

fn begun(number: usize) -> Event {
    Event::begun(Begun {
        request_id: id(number),
        vmid: 101,
        guest_created_seconds: Some(1_650_984_230),
        guest_name: "web1".to_owned(),
        command: "memory".to_owned(),
        argv: vec!["/usr/bin/free".to_owned(), "-b".to_owned()],
        caller: "local.sock, uid 0".to_owned(),
        on_behalf_of: "ticket 7".to_owned(),
    })
}

fn ended(number: usize) -> Event {
    Event::ended(Ended {
        request_id: id(number),
        vmid: 101,
        outcome: "completed".to_owned(),
        exit_code: Some(0),
        output_bytes: 230,
        output_sha256: crate::hex(&[7; 32]),
        truncated: false,
        seconds: 0.123_456_789,
    })
}

fn kinds(records: &[Record]) -> Vec<String> {
    let kind = |record: &Record| {
        let event = serde_json::to_value(&record.event).unwrap();
        event["kind"].as_str().unwrap().to_owned()
    };
    records.iter().map(kind).collect()
}

#[test]
fn what_was_written_is_read_again() {
    let kept = Kept::with_commands(3);
    let audit = kept.open();
    let records = audit.after(0, 100).unwrap();
    assert_eq!(
        kinds(&records),
        [
            "opened", "begun", "ended", "begun", "ended", "begun", "ended"
        ]
    );
    let sequences: Vec<_> = records.iter().map(|record| record.sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(records[1].event, begun(0));
    assert_eq!(audit.head(), records[6].head());
    assert_eq!(audit.first_sequence(), 1);
    let text = fs::read_to_string(&kept.files()[0]).unwrap();
    let lines: Vec<_> = records.iter().map(Record::line).collect();
    assert_eq!(text, format!("{}\n", lines.join("\n")));
    let some = audit.after(2, 3).unwrap();
    assert_eq!(some, records[2..5]);
    assert_eq!(audit.after(7, 3).unwrap(), []);
    assert_eq!(audit.after(u64::MAX, 3).unwrap(), []);
}

#[test]
fn anybody_can_verify_it_with_sha256sum() {
    use sha2::{Digest, Sha256};
    let kept = Kept::with_commands(1);
    let text = fs::read_to_string(&kept.files()[0]).unwrap();
    let mut previous = "0".repeat(64);
    for line in text.lines() {
        let (object, hash) = line.rsplit_once(",\"hash\":\"").unwrap();
        let hash = hash.strip_suffix("\"}").unwrap();
        assert_eq!(crate::hex(&Sha256::digest(format!("{object}}}"))), hash);
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["previous"], previous);
        assert_eq!(value["hash"], hash);
        previous = hash.to_owned();
    }
}

#[test]
fn it_goes_on_after_a_restart_and_says_when_it_was_opened() {
    let kept = Kept::with_commands(1);
    let before = kept.open().head();
    // Nothing happened, so nothing is written.
    assert_eq!(kept.open().head(), before);
    let audit = kept.open();
    let head = audit.append(begun(7)).unwrap();
    assert_eq!(head.sequence, before.sequence + 2);
    assert_eq!(audit.head(), head);
    let records = audit.after(before.sequence, 10).unwrap();
    assert_eq!(kinds(&records), ["opened", "begun"]);
    let Event::Opened(opened) = &records[0].event else {
        panic!("{records:?}");
    };
    assert_eq!(opened.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(opened.boot_id, "6f2f6a3b-0000-4000-8000-000000000001");
    assert_eq!(records[0].previous, before.hash);
    let report = kept.with_head(&before);
    assert!(report.is_fine(), "{report:?}");
    assert_eq!((report.records, report.last), (5, Some(head)));
}

#[test]
fn a_new_record_leaves_the_disk_alone_until_the_first_event() {
    let kept = Kept::new();
    let audit = kept.open();
    assert_eq!((audit.head(), audit.first_sequence()), (Head::default(), 0));
    assert_eq!(audit.after(0, 10).unwrap(), []);
    assert!(kept.files().is_empty());
    let report = kept.with_head(&Head::default());
    assert!(report.is_fine() && report.last.is_none() && report.head == HeadFound::Yes);
    audit.append(begun(0)).unwrap();
    assert_eq!(kept.files().len(), 1);
}

#[test]
fn a_command_whose_end_is_missing_is_told_at_the_next_start() {
    let kept = Kept::with_commands(1);
    kept.open().append(begun(8)).unwrap();
    assert_eq!(kept.verify().under_way, [(id(8), 101)]);
    let audit = kept.open();
    let records = audit.after(5, 10).unwrap();
    assert_eq!(kinds(&records), ["opened", "abandoned"]);
    assert_eq!(records[1].event.request_id(), Some(id(8).as_str()));
    drop(audit);
    // Once is enough.
    assert_eq!(kept.open().head().sequence, 7);
    assert!(kept.verify().under_way.is_empty());
}

#[test]
fn only_one_agent_writes_and_nobody_else_may() {
    let kept = Kept::with_commands(1);
    let _first = kept.open();
    let second = kept.try_open(&options());
    assert!(
        matches!(second, Err(AuditError::Directory { .. })),
        "{second:?}"
    );
    // To look at it is allowed meanwhile.
    assert!(kept.verify().is_fine());
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&kept.path()), mode(&kept.files()[0])), (0o700, 0o600));
}

#[test]
fn memory_is_a_ring_as_well() {
    let audit = Audit::in_memory();
    assert_eq!(audit.first_sequence(), 0);
    for number in 0..IN_MEMORY + 2 {
        audit.append(begun(number)).unwrap();
    }
    assert_eq!(audit.first_sequence(), 3);
    let records = audit.after(0, usize::MAX).unwrap();
    assert_eq!(records.len(), IN_MEMORY);
    assert_eq!(audit.after(records[4].sequence, 2).unwrap(), records[5..7]);
}

#[test]
fn a_head_is_written_with_a_colon() {
    let head = Head {
        sequence: 12,
        hash: "ab".repeat(32),
    };
    assert_eq!(
        format!("12:{}", "AB".repeat(32)).parse::<Head>().unwrap(),
        head
    );
    for text in [
        "",
        "12",
        ":",
        "x:ab",
        "12:ab",
        &format!("12:{}", "zz".repeat(32)),
    ] {
        assert!(text.parse::<Head>().is_err(), "{text}");
    }
}
