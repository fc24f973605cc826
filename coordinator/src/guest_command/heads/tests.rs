//! Records that grow, and records that were tampered with.

use tempfile::TempDir;

use super::*;

fn at() -> Timestamp {
    Timestamp::from_second(1_795_600_000).unwrap()
}

fn place(node: &str) -> Place {
    Place {
        cluster: "c0ffee".to_owned(),
        node: node.to_owned(),
    }
}

/// A line as nodes write it, and its hash.
fn line(sequence: u64, event: &str) -> (String, String) {
    let hashed = format!("{{\"sequence\":{sequence},\"event\":\"{event}\"}}");
    let digest = Sha256::digest(&hashed);
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let open = hashed.strip_suffix('}').unwrap();
    (format!("{open}{BEFORE_HASH}{hash}{AFTER_HASH}"), hash)
}

fn head(sequence: u64) -> AuditHead {
    AuditHead {
        sequence,
        hash: line(sequence, "true").1,
    }
}

fn answer(sequence: u64, event: &str, ends: u64, first: u64) -> ListAuditResponse {
    ListAuditResponse {
        lines: vec![line(sequence, event).0],
        head: Some(head(ends)),
        first_sequence: first,
    }
}

fn problem(heads: &Heads, node: &str) -> String {
    heads.of(&place(node)).unwrap().problem
}

#[test]
fn a_record_that_grows_is_followed() {
    let heads = Heads::default();
    let place = place("pve1");
    assert_eq!(heads.note(&place, &head(4), at()), Noted::Ahead(None));
    assert_eq!(heads.note(&place, &head(4), at()), Noted::Unchanged);
    let Noted::Ahead(Some(before)) = heads.note(&place, &head(9), at()) else {
        panic!()
    };
    assert_eq!(before.sequence, 4);
    assert!(!heads.compare(&place, Some(&before), &answer(4, "true", 9, 1), at()));
    let now = heads.of(&place).unwrap();
    assert_eq!((now.sequence, &*now.problem), (9, ""));
}

#[test]
fn an_older_end_alone_is_no_problem_but_an_answer_with_one_is() {
    let heads = Heads::default();
    let place = place("pve1");
    heads.note(&place, &head(9), at());
    // A heartbeat that was overtaken by a result.
    let Noted::Doubtful(known) = heads.note(&place, &head(8), at()) else {
        panic!()
    };
    assert!(!heads.compare(&place, Some(&known), &answer(9, "true", 9, 1), at()));
    assert_eq!(problem(&heads, "pve1"), "");
    assert!(heads.compare(&place, Some(&known), &answer(8, "true", 8, 1), at()));
    assert_eq!(
        problem(&heads, "pve1"),
        "audit record of pve1 was shortened or rewritten: it ended at 9 and now ends at 8"
    );
    // It stays, also when the record has grown again.
    assert_eq!(heads.note(&place, &head(8), at()), Noted::Unchanged);
    heads.note(&place, &head(20), at());
    assert!(problem(&heads, "pve1").contains("it ended at 9"));
    assert_eq!(heads.of(&place).unwrap().sequence, 20);
}

#[test]
fn another_hash_for_the_same_entry_is_a_problem() {
    let heads = Heads::default();
    heads.note(&place("pve1"), &head(9), at());
    let other = AuditHead {
        sequence: 9,
        hash: line(9, "false").1,
    };
    assert_eq!(heads.note(&place("pve1"), &other, at()), Noted::Problem);
    assert!(problem(&heads, "pve1").ends_with("entry 9 has another hash"));
    assert_eq!(heads.of(&place("pve1")).unwrap().hash, head(9).hash);
}

#[test]
fn a_record_that_was_written_anew_and_grew_is_found_when_it_is_compared() {
    for (node, answer, says) in [
        ("a", answer(9, "false", 30, 1), "another hash"),
        ("b", answer(11, "true", 30, 1), "not in it any more"),
    ] {
        let heads = Heads::default();
        heads.note(&place(node), &head(9), at());
        let Noted::Ahead(Some(before)) = heads.note(&place(node), &head(30), at()) else {
            panic!()
        };
        assert!(heads.compare(&place(node), Some(&before), &answer, at()));
        assert!(problem(&heads, node).contains(says));
    }
    // What went because the record is full, says nothing.
    let heads = Heads::default();
    heads.note(&place("c"), &head(9), at());
    let known = heads.of(&place("c")).unwrap();
    assert!(heads.compare(&place("c"), Some(&known), &answer(50, "true", 80, 50), at()));
    assert_eq!(problem(&heads, "c"), "");
}

#[test]
fn what_is_no_hash_or_not_the_hash_of_its_content_is_not_believed() {
    let heads = Heads::default();
    let head = AuditHead {
        sequence: 3,
        hash: "x".repeat(64),
    };
    assert_eq!(heads.note(&place("pve1"), &head, at()), Noted::Unchanged);
    assert_eq!(heads.of(&place("pve1")), None);
    let (true_line, hash) = line(4, "true");
    assert_eq!(entry(&true_line), Some((4, hash)));
    assert_eq!(entry(&true_line.replace("true", "made up")), None);
    let cut = true_line.strip_prefix('{').unwrap();
    for wrong in ["", "{}", "\"}", cut, &"é".repeat(80)] {
        assert_eq!(entry(wrong), None, "{wrong}");
    }
}

#[test]
fn what_is_known_outlives_the_coordinator() {
    let directory = TempDir::new().unwrap();
    let heads = Heads::load(directory.path());
    heads.note(&place("pve1"), &head(9), at());
    heads.note(&place("pve2"), &head(2), at());
    let other = AuditHead {
        sequence: 2,
        hash: line(2, "false").1,
    };
    heads.note(&place("pve2"), &other, at());
    heads.save();
    let heads = Heads::load(directory.path());
    assert_eq!(heads.of(&place("pve1")).unwrap().sequence, 9);
    assert!(problem(&heads, "pve2").contains("rewritten"));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_damaged_file_is_put_aside() {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("audit-heads.json"), "[{").unwrap();
    let heads = Heads::load(directory.path());
    assert_eq!(heads.of(&place("pve1")), None);
    heads.note(&place("pve1"), &head(1), at());
    heads.save();
    assert!(directory.path().join("audit-heads.json.damaged").exists());
    assert!(Heads::load(directory.path()).of(&place("pve1")).is_some());
    // Nowhere to write is no reason to stop.
    let nowhere = Heads::load(&directory.path().join("none"));
    nowhere.note(&place("pve1"), &head(1), at());
    nowhere.save();
}
