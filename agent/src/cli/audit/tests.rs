use std::fs;

use tempfile::TempDir;

use super::*;
use crate::audit::{Audit, Begun, Options, Refused};

fn recorded() -> (TempDir, PathBuf) {
    let tree = TempDir::new().unwrap();
    let directory = tree.path().join("audit");
    let audit = Audit::open(&directory, &Options::new(1 << 20, "")).unwrap();
    let begun = Begun {
        request_id: "request-0001".to_owned(),
        vmid: 101,
        guest_name: "web1".to_owned(),
        command: "memory".to_owned(),
        argv: vec!["/usr/bin/free".to_owned(), "-b".to_owned()],
        caller: "local.sock, uid 0".to_owned(),
        on_behalf_of: "anna\u{1b}[2J".to_owned(),
        ..Begun::default()
    };
    audit.append(Event::begun(begun)).unwrap();
    let refused = Refused {
        request_id: "request-0002".to_owned(),
        vmid: 102,
        command: "shell".to_owned(),
        parameters: vec![("text".to_owned(), "rm -rf /".to_owned())],
        rule: "unknown_command".to_owned(),
        detail: "no command `shell`".to_owned(),
        caller: "local.sock, uid 0".to_owned(),
        ..Refused::default()
    };
    audit.append(Event::refused(refused)).unwrap();
    drop(audit);
    (tree, directory)
}

fn status_of(directory: &Path, head: Option<&Head>) -> ExitCode {
    status(&audit::verify(directory, head).unwrap())
}

#[test]
fn a_record_is_a_line_for_people() {
    let (_tree, directory) = recorded();
    let (records, report) = audit::newest(&directory, 2).unwrap();
    assert!(report.is_fine());
    let lines: Vec<_> = records.iter().map(line).collect();
    let at = second(records[0].at);
    assert_eq!(
        lines[0],
        format!(
            "     2 {at} begun memory in 101 (web1): /usr/bin/free -b; local.sock, uid 0 for anna\u{fffd}[2J; request-0001"
        )
    );
    assert!(lines[1].contains("refused shell text=rm -rf / in 102: unknown_command, no command"));
    assert_eq!(audit::newest(&directory, 0).unwrap().0, []);
}

#[test]
fn the_status_tells_broken_from_fine_from_unknown() {
    let (_tree, directory) = recorded();
    let last = audit::verify(&directory, None).unwrap().last.unwrap();
    assert_eq!(status_of(&directory, None), ExitCode::SUCCESS);
    assert_eq!(status_of(&directory, Some(&last)), ExitCode::SUCCESS);
    let further = Head {
        sequence: last.sequence + 1,
        ..last.clone()
    };
    assert_eq!(
        status_of(&directory, Some(&further)),
        ExitCode::from(BROKEN)
    );
    let file = directory.join("audit-00000000000000000001.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("102", "103")).unwrap();
    assert_eq!(status_of(&directory, None), ExitCode::from(BROKEN));
    let report = audit::verify(&directory, None).unwrap();
    let said = super::text(&directory, &report).unwrap();
    assert!(
        said.contains("BROKEN: audit-00000000000000000001.jsonl, line 3: record 3"),
        "{said}"
    );
    let object = object(&directory, &report);
    assert_eq!(
        (&object["is_fine"], &object["problems"][0]["line"]),
        (&json!(false), &json!(3))
    );
    let gone = audit::verify(&directory.join("x"), None).unwrap_err();
    assert!(gone.to_string().contains("it is not there"), "{gone}");
}

#[test]
fn what_is_fine_is_said_with_its_head() {
    let (_tree, directory) = recorded();
    let report = audit::verify(&directory, None).unwrap();
    let said = text(&directory, &report).unwrap();
    let head = report.last.unwrap();
    assert!(said.contains(&format!("Head: 3:{}", head.hash)), "{said}");
    assert!(
        said.contains("Begun, and no end so far: request-0001 in 101."),
        "{said}"
    );
    assert!(said.ends_with("It is as it was written.\n"), "{said}");
}
