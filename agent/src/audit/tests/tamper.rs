//! Somebody else writes in the files.

use std::{os::unix::fs::PermissionsExt, sync::LazyLock};

use proptest::prelude::*;

use super::*;
use crate::audit::record::Record;

/// What is wrong, in words; and that no agent goes on with it.
fn problems(kept: &Kept) -> Vec<String> {
    let report = kept.verify();
    let opened = kept.try_open(&options());
    let is_damaged = matches!(opened, Err(AuditError::Damaged(_)));
    assert_eq!(is_damaged, !report.problems.is_empty(), "{opened:?}");
    let problems = report.problems.iter();
    problems.map(|problem| problem.what.clone()).collect()
}

/// Writes the records of the only file anew from a line on, with other events: a chain
/// that is whole.
fn forge(kept: &Kept, from: usize, events: impl IntoIterator<Item = Event>) {
    kept.change(|lines| {
        lines.truncate(from);
        let last = Record::parse(lines[from - 1].as_bytes()).unwrap();
        let (at, mut head) = (last.at, last.head());
        for event in events {
            let record = Record::after(&head, at, event).unwrap();
            head = record.head();
            lines.push(record.line());
        }
    });
}

#[test]
fn a_changed_record_is_named_with_its_place() {
    let kept = Kept::with_commands(3);
    kept.change(|lines| lines[3] = lines[3].replace("\"vmid\":101", "\"vmid\":102"));
    let report = kept.verify();
    let [problem] = &report.problems[..] else {
        panic!("{report:?}");
    };
    assert_eq!(
        problem.to_string(),
        "audit-00000000000000000001.jsonl, line 4: record 4 was changed: its hash is not that of its content"
    );
    assert_eq!((report.records, report.is_fine()), (6, false));
    assert_eq!(problems(&kept).len(), 1);
}

#[test]
fn a_record_that_is_missing_or_in_another_place_is_found() {
    let kept = Kept::with_commands(3);
    kept.change(|lines| drop(lines.remove(3)));
    assert_eq!(problems(&kept), ["record 5 is where 4 was to be"]);

    let kept = Kept::with_commands(3);
    kept.change(|lines| lines.swap(2, 3));
    assert_eq!(problems(&kept)[0], "record 4 is where 3 was to be");

    let kept = Kept::with_commands(3);
    kept.change(|lines| lines.insert(3, lines[2].clone()));
    assert_eq!(problems(&kept)[0], "record 3 is where 4 was to be");

    let kept = Kept::with_commands(3);
    kept.change(|lines| lines.insert(3, String::new()));
    assert!(problems(&kept)[0].starts_with("it is no record"));

    // The first one, so that nothing is missing in between.
    let kept = Kept::with_commands(3);
    kept.change(|lines| drop(lines.remove(0)));
    assert_eq!(problems(&kept)[0], "its name is of another record");
    let other = kept.path().join("audit-00000000000000000002.jsonl");
    fs::rename(&kept.files()[0], other).unwrap();
    assert!(problems(&kept)[0].starts_with("the records before 2 are gone"));
}

#[test]
fn an_end_that_was_cut_off_is_found_with_a_head_alone() {
    let kept = Kept::with_commands(3);
    let head = kept.open().head();
    kept.change(|lines| lines.truncate(5));
    assert!(problems(&kept).is_empty() && kept.verify().is_fine());
    let report = kept.with_head(&head);
    assert_eq!((report.head, report.is_fine()), (HeadFound::CutOff, false));
    // The agent goes on, and the number that was there is given again.
    let audit = kept.open();
    for number in 7..9 {
        audit.append(begun(number)).unwrap();
        audit.append(ended(number)).unwrap();
    }
    let report = kept.with_head(&head);
    assert_eq!((report.head, report.is_fine()), (HeadFound::Differs, false));
    assert!(kept.verify().is_fine());
}

#[test]
fn a_chain_that_was_written_anew_is_found_with_a_head_alone() {
    let kept = Kept::with_commands(3);
    let (early, late) = {
        let audit = kept.open();
        let records = audit.after(0, 3).unwrap();
        (records[2].head(), audit.head())
    };
    forge(&kept, 4, [ended(1), begun(77), ended(77)]);
    assert!(kept.verify().is_fine() && problems(&kept).is_empty());
    assert_eq!(kept.with_head(&late).head, HeadFound::Differs);
    // What was before the forgery is still as it was.
    assert_eq!(kept.with_head(&early).head, HeadFound::Yes);
}

#[test]
fn nothing_is_mended_where_something_is_wrong() {
    let kept = Kept::with_commands(3);
    kept.change(|lines| lines[3] = lines[3].replace("101", "102"));
    let before = fs::read(&kept.files()[0]).unwrap();
    let error = kept.try_open(&options()).unwrap_err().to_string();
    assert!(
        error.contains("audit-00000000000000000001.jsonl, line 4"),
        "{error}"
    );
    assert_eq!(fs::read(&kept.files()[0]).unwrap(), before);
}

#[test]
fn what_is_read_while_it_is_open_is_compared_too() {
    let kept = Kept::with_commands(3);
    let audit = kept.open();
    kept.change(|lines| lines[3] = lines[3].replace("101", "102"));
    assert_eq!(audit.after(4, 10).unwrap().len(), 3);
    let error = audit.after(0, 10).unwrap_err().to_string();
    assert!(error.contains("record 4 was changed"), "{error}");
}

#[test]
fn a_flood_of_problems_is_counted() {
    let kept = Kept::with_commands(40);
    kept.change(|lines| lines.fill("x".to_owned()));
    let report = kept.verify();
    assert_eq!((report.problems.len(), report.more_problems), (20, 61));
    assert_eq!((report.records, report.first, report.last), (0, None, None));
}

/// A record as many others, without a wait for the disk.
fn rewritten() -> (Kept, PathBuf) {
    static WHOLE: LazyLock<(String, Vec<u8>)> = LazyLock::new(|| {
        let kept = Kept::with_commands(4);
        let file = kept.files().remove(0);
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read(&file).unwrap())
    });
    let kept = Kept::new();
    let file = kept.path().join(&WHOLE.0);
    fs::create_dir(kept.path()).unwrap();
    fs::set_permissions(kept.path(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(&file, &WHOLE.1).unwrap();
    (kept, file)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_byte_that_is_changed_is_found(place in 0.0..1.0_f64, to in any::<u8>()) {
        let (kept, file) = rewritten();
        let mut bytes = fs::read(&file).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within it")]
        let at = (place * bytes.len() as f64) as usize;
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        fs::write(&file, &bytes).unwrap();
        let report = kept.verify();
        prop_assert!(!report.is_fine(), "byte {} as {}: {:?}", at, to, report);
    }

    #[test]
    fn any_files_are_read_without_panic(
        lines in proptest::collection::vec("(\\PC{0,90}|\\{\"sequence\":[0-9]{1,20},\"at\":\"\",)", 0..9),
        keep in 0_usize..9,
    ) {
        let (kept, _) = rewritten();
        kept.change(|all| {
            all.truncate(keep);
            all.extend(lines);
        });
        let report = kept.verify();
        let opened = kept.try_open(&options());
        prop_assert_eq!(opened.is_err(), !report.problems.is_empty());
    }
}
