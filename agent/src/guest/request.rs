//! The form of a request, and what is written down of it.

use std::time::Duration;

use pvelens_proto::agent::v1::{
    GuestCommandOutcome as Outcome, GuestCommandResult, RunGuestCommandRequest,
};
use sha2::{Digest, Sha256};

use super::rule::{Refusal, Rule, Rules};
use crate::{audit, hex};

/// Bytes of an id: 128 random bits in any notation fit.
const ID: std::ops::RangeInclusive<usize> = 8..=64;
const ON_BEHALF_OF_LIMIT: usize = 200;
const COMMAND_LIMIT: usize = 64;
const NODE_LIMIT: usize = 255;
/// Arguments; no command takes as many.
const ARGUMENTS: usize = 16;
/// VMIDs that PVE gives.
const VMIDS: std::ops::RangeInclusive<u32> = 100..=999_999_999;

/// # Errors
/// When a request lacks something, or has too much of it.
pub(super) fn check(request: &RunGuestCommandRequest, rules: Rules) -> Result<(), Refusal> {
    let wrong = flaw(request);
    rules.refuse_if(wrong.is_some(), Rule::MalformedRequest, || {
        wrong.unwrap_or_default().to_owned()
    })
}

fn flaw(request: &RunGuestCommandRequest) -> Option<&'static str> {
    let id = &request.request_id;
    let is_id = ID.contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_id {
        return Some("`request_id` is not of 8 to 64 letters, digits and `-`");
    }
    if request.made_at.is_none() {
        return Some("`made_at` is missing");
    }
    let Some(guest) = &request.guest else {
        return Some("`guest` is missing");
    };
    if !VMIDS.contains(&guest.vmid) {
        return Some("`guest.vmid` is no VMID");
    }
    if guest.node.is_empty() || guest.node.len() > NODE_LIMIT {
        return Some("`guest.node` is missing or too long");
    }
    if request.command.len() > COMMAND_LIMIT {
        return Some("`command` is too long");
    }
    if request.arguments.len() > ARGUMENTS {
        return Some("there are too many `arguments`");
    }
    if request.on_behalf_of.len() > ON_BEHALF_OF_LIMIT {
        return Some("`on_behalf_of` is too long");
    }
    None
}

/// How a refusal is written down; `unwritten` others before it were not.
pub(super) fn refused(
    request: &RunGuestCommandRequest,
    caller: &str,
    refusal: &Refusal,
    unwritten: u64,
) -> audit::Event {
    let detail = match unwritten {
        0 => refusal.detail.clone(),
        more => format!(
            "{} (and {more} refusals before, too many to write down)",
            refusal.detail
        ),
    };
    audit::Event::refused(audit::Refused {
        request_id: request.request_id.clone(),
        vmid: request.guest.as_ref().map_or(0, |guest| guest.vmid),
        command: request.command.clone(),
        parameters: request
            .arguments
            .iter()
            .take(ARGUMENTS)
            .map(|argument| (argument.name.clone(), argument.value.clone()))
            .collect(),
        rule: refusal.rule.name().to_owned(),
        detail,
        caller: caller.to_owned(),
        on_behalf_of: request.on_behalf_of.clone(),
    })
}

/// How an end is written down: of the output its length and its hash.
pub(super) fn ended(
    request_id: &str,
    vmid: u32,
    result: &GuestCommandResult,
    elapsed: Duration,
) -> audit::Event {
    let output = result.output.as_ref();
    let text = output.map_or("", |output| output.text.as_str());
    audit::Event::ended(audit::Ended {
        request_id: request_id.to_owned(),
        vmid,
        outcome: outcome_name(result.outcome()),
        exit_code: result.exit_code,
        output_bytes: output.map_or(0, |output| output.total_bytes),
        output_sha256: hex(&Sha256::digest(text)),
        truncated: output.is_some_and(|output| output.truncated),
        seconds: elapsed.as_secs_f64(),
    })
}

/// `completed`, `still_running`, ...
pub(super) fn outcome_name(outcome: Outcome) -> String {
    let name = outcome.as_str_name();
    let name = name.strip_prefix("GUEST_COMMAND_OUTCOME_").unwrap_or(name);
    name.to_ascii_lowercase()
}
