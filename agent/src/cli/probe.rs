//! `probe`: the menu of the probes, and asking one as the agent does;
//! `answer-probe`: being one, started by systemd.

use std::{
    fmt::{self, Write as _},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{INCOMPLETE, Output, OutputArguments, USAGE, complain, plain, print};
use crate::{
    host::Host,
    probe::{Entry, Kind, Outcome, ProbeError, Request, answer, ask, ask_at, menu},
};

#[derive(Debug, Subcommand)]
pub(super) enum ProbeCommand {
    /// List everything that a probe can do
    List(OutputArguments),
    /// Ask the disk probe of this node
    Disk(AskArguments),
    /// Ask the cluster probe of this node
    Cluster(AskArguments),
    /// Ask the Ceph probe of this node
    Ceph(AskArguments),
    /// Ask the system probe of this node
    System(AskArguments),
    /// Ask the container probe of this node, which is off unless enabled
    Container(AskArguments),
}

#[derive(Debug, Args)]
pub(super) struct AskArguments {
    /// Entry of the menu, which "probe list" shows
    entry: String,
    /// Parameters of the entry
    #[arg(value_name = "KEY=VALUE")]
    parameters: Vec<String>,
    /// Socket of the probe [default: the one in /run/pvelens-probe]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

pub(super) fn probe(command: &ProbeCommand) -> anyhow::Result<ExitCode> {
    match command {
        ProbeCommand::List(output) => list(output.output),
        ProbeCommand::Disk(arguments) => asked(Kind::Disk, arguments),
        ProbeCommand::Cluster(arguments) => asked(Kind::Cluster, arguments),
        ProbeCommand::Ceph(arguments) => asked(Kind::Ceph, arguments),
        ProbeCommand::System(arguments) => asked(Kind::System, arguments),
        ProbeCommand::Container(arguments) => asked(Kind::Container, arguments),
    }
}

/// Answers the one request on standard input.
pub(super) fn answered(kind: Kind) -> anyhow::Result<ExitCode> {
    let host = Arc::new(Host::open(Path::new("/")).context("opening the root")?);
    answer(kind, &host, io::stdin(), io::stdout()).context("answering the request")?;
    Ok(ExitCode::SUCCESS)
}

fn list(output: Output) -> anyhow::Result<ExitCode> {
    let host = Host::open(Path::new("/")).context("opening the root")?;
    match output {
        Output::Text => print(&text(&host)?)?,
        Output::Json => print(&format!("{:#}\n", json!({ "entries": objects(&host) })))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The menu for people.
pub(super) fn text(host: &Host) -> Result<String, fmt::Error> {
    let mut text = String::from(
        "Everything that the probes may do, in processes of their own, one request each. {name} is a parameter.\n",
    );
    for entry in menu() {
        writeln!(
            text,
            "\n{} {}: {}",
            entry.probe.name(),
            entry.name,
            entry.title
        )?;
        writeln!(text, "  why         {}", entry.why)?;
        for parameter in entry.parameters {
            writeln!(text, "  {:<11} {}", parameter.name, parameter.accepts)?;
        }
        writeln!(text, "  runs        {}", command(entry, host))?;
        writeln!(text, "  needs       {}", entry.needs)?;
        writeln!(
            text,
            "  limits      {} s, {} KiB of output",
            entry.timeout.as_secs(),
            entry.stdout_limit >> 10
        )?;
    }
    Ok(text)
}

/// The menu for programs.
pub(super) fn objects(host: &Host) -> Vec<Value> {
    let entries = menu().map(|entry| {
        let parameters = entry.parameters.iter().map(|parameter| {
            json!({
                "name": parameter.name,
                "accepts": parameter.accepts,
                "type": if parameter.is_number { "number" } else { "text" },
            })
        });
        json!({
            "probe": entry.probe.name(),
            "name": entry.name,
            "title": entry.title,
            "why": entry.why,
            "parameters": parameters.collect::<Vec<_>>(),
            "program": entry.program,
            "installed": is_installed(entry, host),
            "arguments": entry.template().collect::<Vec<_>>(),
            "needs": entry.needs,
            "timeout_milliseconds": milliseconds(entry.timeout),
            "stdout_limit_bytes": entry.stdout_limit,
        })
    });
    entries.collect()
}

fn command(entry: &Entry, host: &Host) -> String {
    let Some(program) = entry.program else {
        return "nothing: the probe asks the kernel itself".to_owned();
    };
    let mut command = program.to_owned();
    for word in entry.template() {
        command.push(' ');
        command.push_str(&word);
    }
    if !is_installed(entry, host) {
        command.push_str("  (not installed)");
    }
    command
}

fn is_installed(entry: &Entry, host: &Host) -> bool {
    entry.program.is_none_or(|program| host.exists(program))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn asked(kind: Kind, arguments: &AskArguments) -> anyhow::Result<ExitCode> {
    let request = match request(kind, arguments) {
        Ok(request) => request,
        Err(problem) => {
            complain(&problem);
            return Ok(ExitCode::from(USAGE));
        }
    };
    let reply = match &arguments.socket {
        Some(socket) => ask_at(socket, &request),
        None => ask(&request),
    };
    let reply = match reply {
        Ok(reply) => reply,
        Err(error) => {
            let hint = hint(kind, &error);
            complain(&format!("{:#}{hint}", anyhow::Error::new(error)));
            return Ok(ExitCode::from(INCOMPLETE));
        }
    };
    writeln!(io::stderr(), "{}", serde_json::to_string(&reply.header)?)?;
    let mut out = io::stdout().lock();
    out.write_all(&reply.stdout)?;
    out.flush()?;
    Ok(match reply.header.outcome {
        Outcome::Exited { exit_status: 0 } | Outcome::Answered {} => ExitCode::SUCCESS,
        Outcome::Exited { .. } => ExitCode::FAILURE,
        _ => ExitCode::from(INCOMPLETE),
    })
}

/// The request that the words ask for, or what is wrong with them.
fn request(kind: Kind, arguments: &AskArguments) -> Result<Request, String> {
    let name = &arguments.entry;
    let Some(entry) = kind.entries().find(|entry| entry.name == name) else {
        let names: Vec<_> = kind.entries().map(|entry| entry.name).collect();
        let (kind, name) = (kind.name(), plain(name));
        return Err(format!(
            "the {kind} probe has no entry {name}; it has {}",
            names.join(", ")
        ));
    };
    let mut object = Map::new();
    object.insert("entry".to_owned(), entry.name.into());
    for word in &arguments.parameters {
        let word = plain(word);
        let Some((key, value)) = word.split_once('=') else {
            return Err(format!("{word} is not KEY=VALUE{}", usage(entry)));
        };
        let is_number = entry
            .parameters
            .iter()
            .any(|parameter| parameter.name == key && parameter.is_number);
        let value = match value.parse::<u32>() {
            Ok(number) if is_number => number.into(),
            _ => value.into(),
        };
        if object.insert(key.to_owned(), value).is_some() {
            return Err(format!("{key} is given twice{}", usage(entry)));
        }
    }
    let line = Value::Object(object).to_string();
    Request::parse(kind, line.as_bytes()).map_err(|error| format!("{error}{}", usage(entry)))
}

fn usage(entry: &Entry) -> String {
    if entry.parameters.is_empty() {
        return format!("\n{} takes no parameters", entry.name);
    }
    let parameters: Vec<_> = entry
        .parameters
        .iter()
        .map(|parameter| format!("\n  {}={}", parameter.name, parameter.accepts))
        .collect();
    format!("\n{} takes{}", entry.name, parameters.concat())
}

/// What to do about an error.
fn hint(kind: Kind, error: &ProbeError) -> String {
    let unit = format!("pvelens-probe-{}", kind.name());
    match error {
        ProbeError::Connect { source, .. } => match source.kind() {
            io::ErrorKind::PermissionDenied => {
                "\nonly root may ask a probe; try again with sudo".to_owned()
            }
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                format!("\nthe probe does not listen; try: systemctl enable --now {unit}.socket")
            }
            _ => format!("\nsee: systemctl status {unit}.socket"),
        },
        // systemd says why it did not start one, or ended it.
        ProbeError::Closed | ProbeError::TimedOut(_) => {
            format!("\nsee: journalctl -u {unit}.socket -u '{unit}@*'")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(kind: Kind, words: &[&str]) -> Result<Request, String> {
        request(
            kind,
            &AskArguments {
                entry: words[0].to_owned(),
                parameters: words[1..].iter().map(ToString::to_string).collect(),
                socket: None,
            },
        )
    }

    #[test]
    fn numbers_are_numbers_and_names_are_names() {
        let words = [
            "journal",
            "source=kernel",
            "since_seconds=60",
            "priority=3",
            "lines=9",
        ];
        let journal = asking(Kind::Cluster, &words).unwrap();
        assert!(journal.to_json().contains("\"lines\":9"));
        let smart = asking(Kind::Disk, &["smart", "device=sda"]).unwrap();
        assert!(smart.to_json().contains("\"device_type\":\"auto\""));
    }

    #[test]
    fn a_wrong_word_is_answered_with_the_right_ones() {
        for (words, answer) in [
            (&["smart", "device=../sda"][..], "a whole disk: sda"),
            (&["smart", "sda"], "sda is not KEY=VALUE"),
            (&["smart", "device=sda", "device=sdb"], "given twice"),
            (&["smart", "disk=sda"], "unknown field `disk`"),
            (&["vgs", "name=pve"], "vgs takes no parameters"),
            (&["rm"], "it has smart, zpool_list"),
        ] {
            let problem = asking(Kind::Disk, words).unwrap_err();
            assert!(problem.contains(answer), "{problem}");
        }
    }

    #[test]
    fn the_menu_is_whole_in_both_outputs() {
        let host = Host::open(Path::new("/")).unwrap();
        let (text, objects) = (text(&host).unwrap(), objects(&host));
        assert_eq!(objects.len(), menu().count());
        for (entry, object) in menu().zip(objects) {
            assert!(text.contains(entry.title), "{}", entry.name);
            assert_eq!(object["name"], entry.name);
            for word in entry.template() {
                assert!(text.contains(&word), "{word}");
            }
        }
    }

    #[test]
    fn who_may_not_ask_is_told_so() {
        let connecting = |kind: io::ErrorKind| ProbeError::Connect {
            path: PathBuf::new(),
            source: kind.into(),
        };
        let denied = hint(Kind::Disk, &connecting(io::ErrorKind::PermissionDenied));
        assert!(denied.contains("only root"), "{denied}");
        let gone = hint(Kind::Cluster, &connecting(io::ErrorKind::NotFound));
        assert!(gone.contains("pvelens-probe-cluster.socket"), "{gone}");
        let closed = hint(Kind::Ceph, &ProbeError::Closed);
        assert!(closed.contains("'pvelens-probe-ceph@*'"), "{closed}");
        assert_eq!(hint(Kind::Disk, &ProbeError::Malformed("no header")), "");
    }
}
