//! What is suggested, with what is known of the guest.

use super::*;
use crate::{
    answer::tests::open,
    finding::Severity,
    guest_command::{catalogue::Command, fixture::lab, outcome::Outcome, target},
    link::fixture::{at, commands},
};

fn listed(operating_system: &str) -> Listed {
    Listed {
        commands: commands().into_iter().map(Command::from).collect(),
        operating_system: operating_system.to_owned(),
        ..Listed::default()
    }
}

fn web(current: &Current) -> Target {
    target::find(current, "", "100").unwrap()
}

fn ids(suggested: &Suggested) -> Vec<&str> {
    suggested
        .suggestions
        .iter()
        .map(|one| &*one.command)
        .collect()
}

#[test]
fn findings_about_the_guest_count_and_those_about_others_do_not() {
    let mut current = lab();
    let recent = Recent::default();
    let listed = listed("Debian GNU/Linux 12 (bookworm)");
    let target = web(&current);
    let plain = suggested(&current, &recent, &target, &listed, "");
    current.findings = vec![open("guest.fs.full", "guest/101", Severity::Warning)];
    assert_eq!(suggested(&current, &recent, &target, &listed, ""), plain);
    current.findings = vec![open("guest.fs.full", "guest/100", Severity::Warning)];
    let about = suggested(&current, &recent, &target, &listed, "");
    assert_ne!(ids(&about), ids(&plain));
    assert!(ids(&about).contains(&"fsinfo"), "{about:?}");
}

#[test]
fn what_would_not_run_says_why() {
    let current = lab();
    let listed = listed("Debian GNU/Linux 12 (bookworm)");
    let suggested = suggested(
        &current,
        &Recent::default(),
        &web(&current),
        &listed,
        "nginx.service keeps crashing, what does its log say?",
    );
    let journal = suggested
        .suggestions
        .iter()
        .find(|one| one.command == "unit-journal");
    let journal = journal.unwrap();
    assert!(!journal.allowed);
    assert_eq!(journal.refusal.as_ref().unwrap().rule, "policy_denies");
    assert_eq!(journal.arguments[0].value, "nginx.service");
}

#[test]
fn a_command_that_an_older_agent_lacks_is_told() {
    let current = lab();
    let mut listed = listed("Debian GNU/Linux 12 (bookworm)");
    listed.commands.retain(|command| command.id == "ping");
    let suggested = suggested(
        &current,
        &Recent::default(),
        &web(&current),
        &listed,
        "disk full",
    );
    for suggestion in suggested.suggestions {
        let refusal = suggestion.refusal.unwrap();
        assert_eq!(refusal.rule, "unknown_command");
    }
}

#[test]
fn what_is_refused_for_good_is_asked_once() {
    let current = lab();
    let target = web(&current);
    let recent = Recent::default();
    let listed = listed("Debian GNU/Linux 12 (bookworm)");
    let mut asked = Vec::new();
    loop {
        let walk = walk(
            &current,
            &recent,
            &target,
            &listed,
            Workflow::SlowGuest,
            None,
        );
        let Some(next) = walk.next else { break };
        assert!(!asked.contains(&next.command), "{next:?}");
        let outcome = Outcome::refused(target.clone(), &next.command, Refusal::default());
        recent.keep(&outcome, next.arguments, at());
        asked.push(next.command);
    }
    assert!(!asked.is_empty());
}

#[test]
fn the_configuration_tells_the_system_when_the_guest_does_not() {
    use pvelens_proto::agent::v1 as wire;
    let mut current = lab();
    let target = web(&current);
    let config = |os_type: &str| {
        Some(Arc::new(wire::GuestConfig {
            settings: Some(wire::GuestSettings {
                os_type: os_type.to_owned(),
                ..wire::GuestSettings::default()
            }),
            ..wire::GuestConfig::default()
        }))
    };
    current.view.guests[0].config = config("win11");
    let suggested = suggested(
        &current,
        &Recent::default(),
        &target,
        &listed(""),
        "disk full",
    );
    assert!(
        ids(&suggested).iter().any(|id| id.starts_with("windows")),
        "{suggested:?}"
    );
}

#[test]
fn a_service_is_a_name() {
    assert_eq!(service(" nginx ").unwrap().as_deref(), Some("nginx"));
    assert_eq!(service("").unwrap(), None);
    for wrong in ["-x", "a b", "a;b", "ä", "../x"] {
        assert!(service(wrong).is_err(), "{wrong}");
    }
}
