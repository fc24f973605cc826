//! Commands in guests lose nothing on their way into a message.

use super::{
    filled::{Unique, coverage},
    *,
};
use crate::guest_command::{
    catalogue::{Command, Listing, Parameter},
    facts::GuestFacts,
    outcome::{Outcome, Output, Word},
    refusal::Refusal,
    target::Target,
};

fn refusal(u: &mut Unique) -> Option<Refusal> {
    Some(Refusal {
        rule: u.text(),
        detail: u.text(),
        hint: u.text(),
    })
}

fn target(u: &mut Unique) -> Target {
    let mut target = Target::default();
    target.cluster_id = u.text();
    target.node = u.text();
    target.vmid = u.number();
    target.name = u.text();
    target.operating_system = u.text();
    target
}

fn output(u: &mut Unique) -> Option<Output> {
    Some(Output {
        text: u.text(),
        total_bytes: u.big(),
        truncated: true,
        replaced: u.big(),
        removed: u.big(),
        encoding: u.text(),
        masked: u.big(),
    })
}

#[test]
fn a_list_of_commands_is_complete() {
    let u = &mut Unique::default();
    check::<_, message::ListGuestCommandsResponse>(Listing {
        guest: target(u),
        commands: vec![Command {
            id: u.text(),
            title: u.text(),
            group: u.text(),
            systems: vec![u.text()],
            parameters: vec![Parameter {
                name: u.text(),
                title: u.text(),
                takes: u.text(),
                default_value: Some(u.text()),
                choices: vec![u.text()],
            }],
            template: vec![u.text()],
            is_guest_agent_question: true,
            timeout_seconds: u.number(),
            needs: u.text(),
            note: u.text(),
            allowed: true,
            refusal: refusal(u),
        }],
        refusal: refusal(u),
        policy_profile: u.text(),
        total: u.number(),
        allowed: u.number(),
        coverage: coverage(u),
    });
}

#[test]
fn what_came_of_a_command_is_complete() {
    let u = &mut Unique::default();
    check::<_, message::GuestCommandResult>(Outcome {
        guest: target(u),
        command: u.text(),
        argv: vec![u.text()],
        outcome: Word::Completed,
        refusal: refusal(u),
        detail: u.text(),
        exit_code: Some(7001),
        signal: Some(u.big()),
        succeeded: Some(true),
        says: vec![u.text()],
        facts: Some(GuestFacts {
            understood: true,
            unread_lines: u.number(),
            search_domains: vec![u.text()],
            ..GuestFacts::default()
        }),
        output: output(u),
        errors: output(u),
        elapsed_seconds: u.ratio(),
        guest_pid: Some(u.big()),
        begun_at: Some(u.time()),
        audit_sequence: Some(u.big()),
    });
}
