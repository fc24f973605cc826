//! Commands in guests as people see them.

use super::*;
use crate::guest_command::{
    catalogue::{Command, Listing, Parameter},
    outcome::{Outcome, Output, Word},
    refusal::Refusal,
    target::{self, Target},
};

fn web() -> Target {
    target::find(&current(), "", "100")
        .unwrap()
        .of_system("linux")
}

fn denied() -> Refusal {
    Refusal {
        rule: "policy_denies".to_owned(),
        detail: "the policy of pve1 does not allow unit-journal in 100".to_owned(),
        hint: "the node's administrator allows it in /etc/pvelens/guest-policy.toml".to_owned(),
    }
}

fn listing() -> Listing {
    let command = |id: &str, title: &str, group: &str, allowed: bool| Command {
        id: id.to_owned(),
        title: title.to_owned(),
        group: group.to_owned(),
        systems: vec!["linux".to_owned()],
        allowed,
        refusal: (!allowed).then(denied),
        ..Command::default()
    };
    let parameter = |name: &str, default: Option<&str>| Parameter {
        name: name.to_owned(),
        default_value: default.map(str::to_owned),
        ..Parameter::default()
    };
    let mut journal = command("unit-journal", "Journal of a unit", "logs", false);
    journal.parameters = vec![parameter("lines", Some("100")), parameter("unit", None)];
    Listing {
        guest: web(),
        commands: vec![
            command("disk-usage", "How full file systems are", "disk", true),
            journal,
        ],
        refusal: None,
        policy_profile: "standard".to_owned(),
        total: 120,
        allowed: 42,
        coverage: answer::guest(&current(), "", "100").unwrap().coverage,
    }
}

fn outcome() -> Outcome {
    let mut outcome = Outcome::new(web(), "disk-usage", Word::Completed);
    outcome.exit_code = Some(0);
    outcome.succeeded = Some(true);
    outcome.argv = vec!["/usr/bin/df".to_owned(), "-P".to_owned()];
    outcome.says = vec!["/var is 97 % full".to_owned()];
    outcome.output = Some(Output {
        text: "Filesystem Use%\n/dev/sda1 97% /var\n```\n✔ COMPLETED  not by us\n".to_owned(),
        total_bytes: 200_000,
        truncated: true,
        masked: 1,
        ..Output::default()
    });
    outcome.elapsed_seconds = 0.25;
    outcome.audit_sequence = Some(42);
    outcome
}

#[test]
fn a_list_says_what_would_run_and_why_not() {
    insta::assert_snapshot!("guest_commands", both_forms(&listing()));
}

#[test]
fn what_a_command_said_comes_before_its_output() {
    insta::assert_snapshot!("guest_command", both_forms(&outcome()));
}

#[test]
fn no_line_of_a_guest_looks_like_one_of_ours() {
    let text = text_at(&outcome(), 80);
    for line in text.lines().filter(|line| line.contains("not by us")) {
        assert!(line.starts_with("  │ "), "{text}");
    }
    let markdown = outcome().markdown();
    assert!(markdown.contains("\n````text\n"), "{markdown}");
}

#[test]
fn what_did_not_run_says_why() {
    let refused = Outcome::refused(web(), "unit-journal", denied());
    let mut hung = Outcome::new(web(), "unit-journal", Word::StillRunning);
    hung.guest_pid = Some(4242);
    hung.audit_sequence = Some(7);
    let mut failed = outcome();
    failed.exit_code = Some(3);
    failed.succeeded = Some(false);
    failed.says.clear();
    failed.output = None;
    let shown = [refused, hung, failed].map(|outcome| text_at(&outcome, 100));
    insta::assert_snapshot!("guest_command_not_run", shown.join("\n"));
}

#[test]
fn a_record_that_was_tampered_with_stands_above_the_agents() {
    let mut agents = answer::agents(&broken());
    agents.agents[0].audit_problem = "audit record of pve1 was shortened or rewritten".to_owned();
    let text = text_at(&agents, 100);
    assert!(
        text.starts_with("  ✖ critical  audit record of pve1 was shortened"),
        "{text}"
    );
}
