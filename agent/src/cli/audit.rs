//! `audit show` and `audit verify`: the record of guest commands, read from its files,
//! also when no agent runs.

use std::{
    fmt::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Output, OutputArguments, SettingsArguments, complain, flight::second, plain, print};
use crate::audit::{self, AuditError, Event, Head, HeadFound, Record, Report};

/// Something is not as it was written.
const BROKEN: u8 = 1;
/// Nothing can be said.
const UNREADABLE: u8 = 2;
/// Problems, torn ends and open commands that are shown.
const LINES: usize = 20;

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Show the newest records: what was asked, what ran, what was refused
    ///
    /// It reads the files, so no agent needs to run. Texts are as they were asserted:
    /// what stands behind `for` is what a coordinator says, and the caller is what the
    /// kernel of this node says.
    #[command(
        after_help = "Exit status: 0 fine, also when there is no record, 1 something is not as it was written, 2 it cannot be read"
    )]
    Show(ShowArguments),
    /// Tell whether the record is as it was written
    ///
    /// Every record has the hash of the one before it, so that a change is found, and a
    /// record that is missing. That the end was cut off, or that all of it was written
    /// anew, is found with a head alone: the number and the hash of a record as they were
    /// before. The coordinator keeps the newest one, and so does the log.
    ///
    /// The hash of a line is that of its object without the hash:
    /// `sed -E 's/,"hash":"[0-9a-f]{64}"\}$/}/'` and `sha256sum`, without the end of the
    /// line.
    #[command(
        after_help = "Exit status: 0 fine, 1 something is not as it was written, 2 it cannot be read, or usage"
    )]
    Verify(VerifyArguments),
}

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// So many of the newest records
    #[arg(long, default_value_t = 20, value_name = "N")]
    lines: usize,
    /// The lines as they are in the files
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArguments,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    /// A head of before, which must still be there
    #[arg(long, value_name = "SEQ:HASH")]
    head: Option<Head>,
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    output: OutputArguments,
}

#[derive(Debug, Args)]
struct PlaceArguments {
    /// Directory of the record, also a copy [default: as in the settings]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArguments,
}

pub(super) fn audit(command: &AuditCommand) -> anyhow::Result<ExitCode> {
    let (AuditCommand::Show(ShowArguments { place, .. })
    | AuditCommand::Verify(VerifyArguments { place, .. })) = command;
    let directory = match &place.directory {
        Some(directory) => directory.clone(),
        None => place.settings.load()?.audit.directory,
    };
    let shown = match command {
        AuditCommand::Show(arguments) => show(&directory, arguments)?,
        AuditCommand::Verify(arguments) => verified(&directory, arguments)?,
    };
    Ok(shown.unwrap_or_else(|error| {
        complain(&plain(&error.to_string()));
        ExitCode::from(UNREADABLE)
    }))
}

fn show(
    directory: &Path,
    arguments: &ShowArguments,
) -> anyhow::Result<Result<ExitCode, AuditError>> {
    let (records, report) = match audit::newest(directory, arguments.lines) {
        Ok(read) => read,
        Err(error) => return Ok(Err(error)),
    };
    let mut text = String::new();
    for record in &records {
        if arguments.json {
            writeln!(text, "{}", record.line())?;
        } else {
            writeln!(text, "{}", plain(&line(record)))?;
        }
    }
    if records.is_empty() && !arguments.json {
        writeln!(
            text,
            "Nothing is recorded in {}.",
            plain(&directory.display().to_string())
        )?;
    }
    print(&text)?;
    if report.is_fine() {
        return Ok(Ok(ExitCode::SUCCESS));
    }
    complain("not all of it is as it was written; `pvelens-agent audit verify` says more");
    Ok(Ok(ExitCode::from(BROKEN)))
}

/// One record for people.
fn line(record: &Record) -> String {
    let what = match &record.event {
        Event::Opened(opened) => {
            let torn = opened
                .torn
                .as_ref()
                .map(|torn| format!(", a torn end of {} bytes is in {}", torn.bytes, torn.file));
            format!(
                "opened by version {}{}",
                opened.version,
                torn.unwrap_or_default()
            )
        }
        Event::Begun(begun) => format!(
            "begun {} in {} ({}): {}; {}{}; {}",
            begun.command,
            begun.vmid,
            begun.guest_name,
            begun.argv.join(" "),
            begun.caller,
            on_behalf_of(&begun.on_behalf_of),
            begun.request_id,
        ),
        Event::Refused(refused) => {
            let values = refused.parameters.iter();
            let values: String = values
                .map(|(name, value)| format!(" {name}={value}"))
                .collect();
            format!(
                "refused {}{values} in {}: {}, {}; {}{}; {}",
                refused.command,
                refused.vmid,
                refused.rule,
                refused.detail,
                refused.caller,
                on_behalf_of(&refused.on_behalf_of),
                refused.request_id,
            )
        }
        Event::Ended(ended) => {
            let code = ended.exit_code.map(|code| format!(", exit code {code}"));
            format!(
                "ended in {}: {}{}, {} bytes{}, {} s; {}",
                ended.vmid,
                ended.outcome,
                code.unwrap_or_default(),
                ended.output_bytes,
                if ended.truncated { " (cut)" } else { "" },
                ended.seconds,
                ended.request_id,
            )
        }
        Event::Reaped(reaped) => format!(
            "fetched later in {}: {}; {}",
            reaped.vmid, reaped.outcome, reaped.request_id
        ),
        Event::Abandoned(abandoned) => format!(
            "abandoned in {}: the agent stopped before its end; {}",
            abandoned.vmid, abandoned.request_id
        ),
        Event::Dropped(dropped) => {
            format!(
                "the ring let records go; all from {} on are kept",
                dropped.first_kept
            )
        }
        Event::Unknown => "of a newer version; --json shows it".to_owned(),
    };
    format!("{:>6} {} {what}", record.sequence, second(record.at))
}

fn on_behalf_of(whom: &str) -> String {
    if whom.is_empty() {
        String::new()
    } else {
        format!(" for {whom}")
    }
}

fn verified(
    directory: &Path,
    arguments: &VerifyArguments,
) -> anyhow::Result<Result<ExitCode, AuditError>> {
    let report = match audit::verify(directory, arguments.head.as_ref()) {
        Ok(report) => report,
        Err(error) => return Ok(Err(error)),
    };
    match arguments.output.output {
        Output::Text => print(&text(directory, &report)?)?,
        Output::Json => print(&format!("{:#}\n", object(directory, &report)))?,
    }
    Ok(Ok(status(&report)))
}

fn status(report: &Report) -> ExitCode {
    let unreadable = usize::try_from(report.unreadable).unwrap_or(usize::MAX);
    let is_merely_unread = unreadable > 0
        && report.problems.len() <= unreadable
        && report.unfinished_bytes == 0
        && !matches!(report.head, HeadFound::CutOff | HeadFound::Differs);
    if is_merely_unread || (report.is_fine() && report.head == HeadFound::TooOld) {
        ExitCode::from(UNREADABLE)
    } else if report.is_fine() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(BROKEN)
    }
}

fn text(directory: &Path, report: &Report) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let shown = plain(&directory.display().to_string());
    match (report.first, &report.last) {
        (Some(first), Some(last)) => {
            writeln!(
                text,
                "{} records in {shown}, from {first} on.",
                report.records
            )?;
            writeln!(text, "Head: {}:{}", last.sequence, last.hash)?;
        }
        _ => writeln!(text, "Nothing is recorded in {shown}.")?,
    }
    match report.head {
        HeadFound::NotGiven => writeln!(
            text,
            "That its end was not cut off can be told with --head alone."
        )?,
        HeadFound::Yes => writeln!(text, "The head that was given is in it.")?,
        HeadFound::CutOff => writeln!(
            text,
            "BROKEN: the record ends before the head that was given: its end was cut off."
        )?,
        HeadFound::Differs => writeln!(
            text,
            "BROKEN: it has another record in place of the head that was given: it was written anew."
        )?,
        HeadFound::TooOld => writeln!(
            text,
            "The ring let go the head that was given; a newer one is needed."
        )?,
    }
    for problem in &report.problems {
        writeln!(text, "BROKEN: {}", plain(&problem.to_string()))?;
    }
    if report.more_problems > 0 {
        writeln!(text, "and {} more", report.more_problems)?;
    }
    if report.unfinished_bytes > 0 {
        writeln!(
            text,
            "BROKEN: {} bytes at its end are no whole record: power was lost, and the agent was not \
             started since.",
            report.unfinished_bytes
        )?;
    }
    for torn in report.torn.iter().take(LINES) {
        writeln!(
            text,
            "Set aside: {}, the end that a loss of power left.",
            plain(torn)
        )?;
    }
    for (request, vmid) in report.under_way.iter().take(LINES) {
        writeln!(
            text,
            "Begun, and no end so far: {} in {vmid}.",
            plain(request)
        )?;
    }
    if report.is_fine() {
        writeln!(text, "It is as it was written.")?;
    }
    Ok(text)
}

fn object(directory: &Path, report: &Report) -> Value {
    let last = report.last.as_ref();
    let under_way = report.under_way.iter();
    let under_way: Vec<_> = under_way
        .map(|(request, vmid)| json!({ "request_id": request, "vmid": vmid }))
        .collect();
    json!({
        "directory": directory.to_string_lossy(),
        "is_fine": report.is_fine(),
        "records": report.records,
        "first_sequence": report.first,
        "last_sequence": last.map(|last| last.sequence),
        "last_hash": last.map(|last| &last.hash),
        "head": match report.head {
            HeadFound::NotGiven => "not_given",
            HeadFound::Yes => "found",
            HeadFound::CutOff => "cut_off",
            HeadFound::Differs => "differs",
            HeadFound::TooOld => "too_old",
        },
        "problems": report.problems,
        "more_problems": report.more_problems,
        "unfinished_bytes": report.unfinished_bytes,
        "torn": report.torn,
        "under_way": under_way,
    })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests break the files they read")]
mod tests;
