//! `policy check` and `policy commands`: what may run in the guests of this node, before
//! anybody asks for it.

use std::{
    fmt::{self, Write},
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use pvelens_proto::agent::v1::{GuestCommand, ListGuestCommandsResponse};
use serde_json::{Value, json};

use super::{Output, OutputArguments, SettingsArguments, json::Writer, plain, print};
use crate::{
    audit::Audit,
    guest::{
        Guests, PolicyError,
        catalogue::Catalogue,
        review::{Remark, Review, What, review},
    },
    host::{GUEST_POLICY, Host},
};

/// The agent would not use the policy.
const UNUSABLE: u8 = 1;
/// Bytes of a policy, as the agent reads them.
const LIMIT: u64 = 256 << 10;
/// Its name in the descriptions of the messages.
const LIST: &str = "pvelens.agent.v1.ListGuestCommandsResponse";

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Check what the agent may run in guests, and point at what may surprise
    ///
    /// A policy with an error allows nothing, so check it after each change. Guests that
    /// are named by their VMID alone are told with the name that fits no other guest:
    /// when one is removed, its VMID may be given to another, and the rule with it.
    #[command(
        after_help = "Exit status: 0 it can be used, also with remarks, 1 the agent would not use it, 2 usage or settings"
    )]
    Check(CheckArguments),
    /// List the commands there are, and which are allowed in a guest of this node
    ///
    /// Of a guest, what would run in it now: the policy, the state of the guest and
    /// what works on it are looked at, as for a request. What its operating system is,
    /// the guest is not asked.
    #[command(
        after_help = "Exit status: 0 fine, 1 failed, or the agent would not use the policy, 2 usage or settings"
    )]
    Commands(CommandsArguments),
}

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// The file [default: /etc/pvelens/guest-policy.toml]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    settings: SettingsArguments,
}

#[derive(Debug, Args)]
pub(super) struct CommandsArguments {
    /// A guest of this node
    #[arg(value_name = "VMID")]
    vmid: Option<u32>,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    settings: SettingsArguments,
}

pub(super) fn policy(command: &PolicyCommand) -> anyhow::Result<ExitCode> {
    match command {
        PolicyCommand::Check(arguments) => check(arguments),
        PolicyCommand::Commands(arguments) => commands(arguments),
    }
}

fn host(settings: &SettingsArguments) -> anyhow::Result<Host> {
    let root = settings.load()?.agent.root;
    Host::open(&root).context("opening the root")
}

fn check(arguments: &CheckArguments) -> anyhow::Result<ExitCode> {
    let host = host(&arguments.settings)?;
    let file = arguments.file.as_deref().unwrap_or(Path::new(GUEST_POLICY));
    let text = if file == Path::new(GUEST_POLICY) {
        // As the agent does: it must also be root's alone.
        host.read_guest_policy()
            .map_err(|error| PolicyError::Unreadable(error.detail))
    } else {
        Ok(Some(read(file)?))
    };
    let is_there = !matches!(text, Ok(None));
    let catalogue = Catalogue::embedded()?;
    let reviewed = text.and_then(|text| review(&host, &catalogue, &text.unwrap_or_default()));
    match arguments.output.output {
        Output::Text => print(&check_text(file, is_there, &reviewed)?)?,
        Output::Json => print(&format!("{:#}\n", check_object(file, is_there, &reviewed)))?,
    }
    Ok(match reviewed {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(UNUSABLE),
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a file that whoever runs the command named"
)]
fn read(file: &Path) -> anyhow::Result<String> {
    let reading = || format!("reading {}", file.display());
    let mut text = String::new();
    let file = File::open(file).with_context(reading)?;
    file.take(LIMIT + 1)
        .read_to_string(&mut text)
        .with_context(reading)?;
    Ok(text)
}

fn check_text(
    file: &Path,
    is_there: bool,
    reviewed: &Result<Review, PolicyError>,
) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let shown = plain(&file.display().to_string());
    let review = match reviewed {
        Ok(review) => review,
        Err(error) => {
            writeln!(
                text,
                "{shown} cannot be used, and nothing is allowed in any guest:\n"
            )?;
            for line in error.to_string().lines() {
                writeln!(text, "  {}", plain(line))?;
            }
            return Ok(text);
        }
    };
    if is_there {
        writeln!(
            text,
            "{shown} can be used: profile {}, {} of allow, {} of narrow.",
            review.profile,
            rules(review.allow),
            rules(review.narrow),
        )?;
    } else {
        writeln!(text, "There is no {shown}: profile {}.", review.profile)?;
    }
    if !review.remarks.is_empty() {
        writeln!(text)?;
    }
    for remark in &review.remarks {
        let Remark { rule, vmid, .. } = remark;
        writeln!(
            text,
            "Rule {rule} of allow, {vmid}: {}.",
            plain(&words(remark))
        )?;
    }
    Ok(text)
}

fn rules(count: usize) -> String {
    match count {
        0 => "no rule".to_owned(),
        1 => "1 rule".to_owned(),
        more => format!("{more} rules"),
    }
}

fn words(remark: &Remark) -> String {
    let vmid = remark.vmid;
    match &remark.what {
        What::Unpinned { name, created } => format!(
            "now {name}, and later whoever gets this VMID; \"{vmid}@{created}\" is {name} alone"
        ),
        What::CannotBePinned { name } => format!(
            "now {name}, and later whoever gets this VMID; its configuration does not say when it was created"
        ),
        What::NobodyYet => "there is no such VM; the rule is for whoever gets this VMID".to_owned(),
        What::OtherGuest {
            name,
            created: Some(created),
        } => format!(
            "the rule is for no guest: {name}, which has this VMID, is \"{vmid}@{created}\""
        ),
        What::OtherGuest {
            name,
            created: None,
        } => format!(
            "the rule is for no guest: {name}, which has this VMID, does not say when it was created"
        ),
        What::Gone => "the rule is for no guest: there is no such VM".to_owned(),
    }
}

fn check_object(file: &Path, is_there: bool, reviewed: &Result<Review, PolicyError>) -> Value {
    let remarks = reviewed.iter().flat_map(|review| &review.remarks);
    let remarks: Vec<Value> = remarks.map(remark_object).collect();
    json!({
        "file": file.to_string_lossy(),
        "is_there": is_there,
        "is_usable": reviewed.is_ok(),
        "error": reviewed.as_ref().err().map(ToString::to_string),
        "profile": reviewed.as_ref().ok().map(|review| review.profile),
        "allow_rules": reviewed.as_ref().ok().map(|review| review.allow),
        "narrow_rules": reviewed.as_ref().ok().map(|review| review.narrow),
        "remarks": remarks,
    })
}

fn remark_object(remark: &Remark) -> Value {
    let (kind, pin) = match remark.what {
        What::Unpinned { created, .. } => ("unpinned", Some(created)),
        What::CannotBePinned { .. } => ("cannot_be_pinned", None),
        What::NobodyYet => ("nobody_yet", None),
        What::OtherGuest { created, .. } => ("other_guest", created),
        What::Gone => ("gone", None),
    };
    json!({
        "rule": remark.rule,
        "vmid": remark.vmid,
        "kind": kind,
        "pin": pin.map(|pin| format!("{}@{pin}", remark.vmid)),
        "words": words(remark),
    })
}

fn commands(arguments: &CommandsArguments) -> anyhow::Result<ExitCode> {
    let host = Arc::new(host(&arguments.settings)?);
    // Nothing runs, so nothing is written down.
    let guests = Guests::new(host, Audit::in_memory())?;
    let list = guests.list(arguments.vmid);
    match arguments.output.output {
        Output::Text => print(&list_text(arguments.vmid, &list)?)?,
        Output::Json => {
            let object = Writer::new()?
                .message(LIST, &list)
                .context("writing the list")?;
            print(&format!("{:#}\n", Value::Object(object)))?;
        }
    }
    Ok(if list.policy_problem.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(UNUSABLE)
    })
}

fn list_text(vmid: Option<u32>, list: &ListGuestCommandsResponse) -> Result<String, fmt::Error> {
    let mut text = String::new();
    if list.policy_problem.is_empty() {
        writeln!(
            text,
            "Profile of the policy: {}",
            plain(&list.policy_profile)
        )?;
    } else {
        writeln!(
            text,
            "The policy cannot be used; `pvelens-agent policy check` says why."
        )?;
    }
    if let (Some(vmid), Some(refusal)) = (vmid, &list.refusal) {
        writeln!(
            text,
            "Nothing runs in {vmid} now ({}): {}",
            refusal.rule,
            plain(&refusal.detail)
        )?;
    }
    let mut groups: Vec<&str> = Vec::new();
    for command in &list.commands {
        if !groups.contains(&command.group.as_str()) {
            groups.push(&command.group);
        }
    }
    for group in groups {
        writeln!(text, "\n{group}")?;
        let commands = list.commands.iter();
        for command in commands.filter(|command| command.group == group) {
            let row = row(command, list.refusal.is_none());
            writeln!(text, "  {}", plain(row.trim_end()))?;
            for parameter in &command.parameters {
                let default = parameter.default_value.as_ref();
                let default = default.map(|value| format!(", else {value}"));
                writeln!(
                    text,
                    "      {{{}}}: {}{}",
                    parameter.name,
                    plain(&parameter.takes),
                    plain(&default.unwrap_or_default())
                )?;
            }
        }
    }
    Ok(text)
}

/// Id, whether it is allowed, systems, and what runs. Why one is not, is said where it
/// is not the same for all.
fn row(command: &GuestCommand, has_reasons: bool) -> String {
    let allowed = match (command.allowed, &command.refusal) {
        (None, _) => String::new(),
        (Some(true), _) => "allowed  ".to_owned(),
        (Some(false), Some(refusal)) if has_reasons => format!("no: {:<16}  ", refusal.rule),
        (Some(false), _) => "no       ".to_owned(),
    };
    format!(
        "{:<25} {allowed}{:<21} {}",
        command.id,
        command.systems.join(","),
        command.template.join(" ")
    )
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write the tree they read")]
mod tests;
