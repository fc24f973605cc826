//! That losses of power lose nothing, and that the trial would find it out if they did.
//!
//! In short: `tests/kept` takes the power away a hundred times.

use std::process::{Command, Output};

fn trial(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pvelens-kept"))
        .args(arguments)
        .output()
        .unwrap()
}

/// Whether disks of our own can be mounted; says so if not.
#[expect(clippy::print_stderr, reason = "a test that tests nothing says so")]
pub(crate) fn is_possible() -> bool {
    let is_possible = trial(&["possible"]).status.success();
    if !is_possible {
        eprintln!("NOT TESTED: no FUSE mounts here");
    }
    is_possible
}

#[test]
fn a_loss_of_power_loses_nothing_that_was_said_to_be_kept() {
    if !is_possible() {
        return;
    }
    let output = trial(&["power", "--losses", "8"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(said.starts_with("8 losses of power"), "{said}");
}

#[test]
fn a_disk_or_a_process_that_lies_is_found_out() {
    if !is_possible() {
        return;
    }
    for wrong in ["sync", "log-sync", "name-sync", "early"] {
        let output = trial(&["power", "--losses", "40", "--wrong", wrong]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.starts_with("found out: loss "), "{wrong}: {output:?}");
        // Not for another reason than that something is missing.
        assert!(!said.contains("ended before"), "{wrong}: {said}");
    }
}
