//! The program `pvelens triage` on trees of files: what hangs is left behind.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests start the program as a user does"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]

#[path = "../../agent/tests/hanging/mod.rs"]
mod hanging;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use hanging::Hanging;
use tempfile::TempDir;

const AT: &str = "2026-11-25T09:00:00Z";

/// As little of a node as shows that it is one.
fn node() -> TempDir {
    let directory = TempDir::new().unwrap();
    for (path, content) in [
        ("etc/hostname", "pve1\n"),
        ("proc/sys/kernel/hostname", "pve1\n"),
        ("proc/uptime", "1000.00 900.00\n"),
        ("proc/loadavg", "0.10 0.20 0.30 1/200 4000\n"),
    ] {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    fs::create_dir_all(directory.path().join("etc/pve")).unwrap();
    directory
}

fn triage(root: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pvelens"))
        .args(["triage", "--at", AT, "--root"])
        .arg(root)
        .args(arguments)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that tests nothing says so")]
fn a_cluster_file_system_that_hangs_is_named_and_left_behind() {
    let node = node();
    let Some(hanging) = Hanging::over(node.path().join("etc/pve")) else {
        eprintln!("NOT TESTED: no FUSE mounts here");
        return;
    };
    // It returns at all, with its pipes closed, while the mount still hangs.
    let output = triage(node.path(), &[]);
    let text = text(&output);
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("BROKEN "), "{text}");
    assert!(first.contains("/etc/pve of pve1 does not answer"), "{text}");
    assert!(text.contains("DO NOT   restart pve-cluster"), "{text}");
    assert_eq!(output.status.code(), Some(1));
    drop(hanging);
}

#[test]
fn what_is_no_node_could_not_be_assessed() {
    let empty = TempDir::new().unwrap();
    let output = triage(empty.path(), &[]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output).starts_with("UNKNOWN "), "{}", text(&output));
    let output = triage(empty.path(), &["--output", "json"]);
    assert_eq!(output.status.code(), Some(3));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["state"], "unknown");
}

#[test]
fn a_wrong_root_is_a_fault_of_usage() {
    let output = triage(Path::new("/nonexistent"), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("/nonexistent is no directory"), "{said}");
}
