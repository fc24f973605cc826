//! `doctor`: what the agent of this node cannot read, why, and what would mend
//! it.
//!
//! It only looks. The running agent is asked over its own socket; one that does
//! not run is not, since systemd would start it. Run as root it also reads every
//! source itself, to tell what the cage closes from what is broken.

use std::{path::Path, process::ExitCode};

use anyhow::Context;
use jiff::Timestamp;

use super::{
    DoctorArguments, INCOMPLETE, Output, SettingsArguments,
    collect::{runtime, sampled},
    print,
};
use crate::{
    config::{Config, DEFAULT_PATH},
    host::Host,
};

mod explain;
mod guests;
mod identity;
mod node;
mod process;
mod reading;
mod recorder;
mod report;
mod socket;
mod source;
mod system;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write the tree they read")]
mod tests;

pub(super) use process::UNIT;
use reading::{Answer, Reading, ask};
pub(super) use reading::{AskError, DEADLINE, connect};
use report::{Item, Report, Section, State};
use system::{System, Unit};

const LINK_UNIT: &str = "pvelens-link.service";
/// Something is wrong.
const FOUND: u8 = 1;

pub(super) fn doctor(arguments: &DoctorArguments) -> anyhow::Result<ExitCode> {
    let system = System::open(Path::new("/")).context("looking at the system")?;
    let report = examine(&system, &arguments.settings)?;
    match arguments.output.output {
        Output::Text => print(&report.text())?,
        Output::Json => print(&format!("{:#}\n", serde_json::to_value(&report)?))?,
    }
    Ok(match report.state {
        State::Ok | State::Warning => ExitCode::SUCCESS,
        State::Unknown => ExitCode::from(INCOMPLETE),
        State::Problem => ExitCode::from(FOUND),
    })
}

fn examine(system: &System, settings: &SettingsArguments) -> anyhow::Result<Report> {
    let (config, about_settings) = settings_of(settings);
    let unit = system.unit(UNIT);
    let is_packaged = config.agent.socket == Path::new(socket::LOCAL.path);
    let answer = match would_start(system, &unit, is_packaged) {
        true => None,
        false => Some(runtime()?.block_on(ask(&config.agent.socket))),
    };
    let has_answer = matches!(answer, Some(Ok(_)));
    // A comparison makes sense only for root, and of one and the same node.
    let compares = system.is_root && config.agent.root == Path::new("/");
    let own = if has_answer && !compares {
        Ok(None)
    } else {
        collected(&config.agent.root).map(Some)
    };

    let mut about_process = match &answer {
        Some(Ok(answer)) if unit.processes.is_empty() => vec![outside_unit(system, answer)],
        _ => process::look(system, &unit),
    };
    about_process.extend(answered(answer.as_ref(), &config.agent.socket, &unit));
    let mut sections = vec![
        section("Settings", vec![about_settings]),
        section("Agent", about_process),
    ];
    // Without the package there are no sockets of systemd to miss.
    if unit.is_installed && is_packaged {
        let expected = [&socket::LOCAL, &socket::LINK];
        sections.push(section("Sockets", socket::look(system, &expected)));
    }
    let (agent, own_reading) = match (answer, &own) {
        (Some(Ok(answer)), Ok(own)) => (Some(answer.reading), own.as_ref()),
        (Some(Ok(answer)), Err(_)) => (Some(answer.reading), None),
        (_, own) => (None, own.as_ref().ok().and_then(Option::as_ref)),
    };
    match (&agent, own_reading) {
        (Some(agent), outside) => {
            sections.push(section("Node", node::look(agent)));
            sections.push(section("Sources", source::look(agent, outside)));
        }
        (None, Some(own)) => {
            sections.push(section("Node", node::look(own)));
            let title = "Sources, read by this command as the agent does not answer";
            sections.push(section(title, source::look(own, None)));
        }
        (None, None) => {
            let root = config.agent.root.display();
            let reason = own.err().map(|error| format!("{error:#}"));
            let item = Item::unknown(format!("nothing can be read below {root}"))
                .why(reason.unwrap_or_default())
                .fix("correct `root` of the section `agent` in the settings");
            sections.push(section("Sources", vec![item]));
        }
    }
    if unit.is_installed {
        sections.push(section("Probes", probes(system)));
        let recorded = recorder::look(&config.recorder.directory);
        sections.push(section("Flight recorder", vec![recorded]));
        let (root, record) = (&config.agent.root, &config.audit.directory);
        let guests = guests::look(root, record, system.is_root);
        sections.push(section("Guest commands", guests));
        let identity = identity::look(&config.identity.directory, Timestamp::now());
        let pipe = link(system, identity.is_some());
        sections.push(section(
            "Link",
            identity.into_iter().chain([pipe]).collect(),
        ));
    }
    Ok(Report::new(sections))
}

fn section(title: &'static str, items: Vec<Item>) -> Section {
    Section { title, items }
}

/// The settings, or the defaults when they are not valid.
fn settings_of(settings: &SettingsArguments) -> (Config, Item) {
    let file = settings.config.as_deref();
    let shown = file.unwrap_or(Path::new(DEFAULT_PATH)).display();
    match settings.load() {
        Ok(config) => {
            let is_there = file.unwrap_or(Path::new(DEFAULT_PATH)).exists();
            let item = if is_there {
                Item::ok(format!("{shown} is valid"))
            } else {
                Item::ok(format!("no file {shown}: every setting has its default"))
            };
            (config, item)
        }
        Err(error) => {
            let item = Item::problem(format!("{shown} is not valid; the agent does not start"))
                .why(gist(&format!("{error:#}")))
                .fix("correct it; `pvelens-agent config check` reads it again");
            (Config::default(), item)
        }
    }
}

/// The place and the reason, without the picture between them.
fn gist(error: &str) -> String {
    let mut lines = error.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or_default();
    match lines.next_back() {
        Some(last) => format!("{first}: {last}"),
        None => first.to_owned(),
    }
}

/// Whether the agent of this socket is a unit that does not run.
pub(super) fn is_stopped(socket: &Path) -> anyhow::Result<bool> {
    let system = System::open(Path::new("/")).context("looking at the system")?;
    let is_packaged = socket == Path::new(socket::LOCAL.path);
    Ok(would_start(&system, &system.unit(UNIT), is_packaged))
}

/// Whether a question would make systemd start the agent.
fn would_start(system: &System, unit: &Unit, is_packaged: bool) -> bool {
    is_packaged && system.has_systemd() && unit.is_installed && unit.processes.is_empty()
}

/// Reads every source in this process.
fn collected(root: &Path) -> anyhow::Result<Reading> {
    let host = Host::open(root)?;
    let clock = Host::open(root)?;
    Ok(Reading::of(sampled(host)?, &clock))
}

/// An agent that somebody started by hand.
fn outside_unit(system: &System, answer: &Answer) -> Item {
    let process = answer
        .listener
        .filter(|process| system.has_process(*process))
        .map(|process| format!(" (process {process})"))
        .unwrap_or_default();
    Item::warning(format!(
        "an agent runs{process}, but not as {UNIT}, so it is not caged"
    ))
    .why("somebody started it by hand")
    .fix(format!(
        "stop it, and on a node run `systemctl enable --now {UNIT}`"
    ))
}

/// Whether the agent answers, and as which version.
fn answered(answer: Option<&Result<Answer, AskError>>, socket: &Path, unit: &Unit) -> Option<Item> {
    let shown = socket.display();
    match answer? {
        Ok(answer) if answer.version == env!("CARGO_PKG_VERSION") => None,
        Ok(answer) => Some(
            Item::warning(format!(
                "the running agent has version {}, this program {}",
                answer.version,
                env!("CARGO_PKG_VERSION")
            ))
            .why("it was not started anew after an upgrade")
            .fix(format!("`systemctl restart {UNIT}`")),
        ),
        Err(AskError::Connect(error)) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Some(
                Item::unknown(format!(
                    "what the agent says: {shown} is closed to this user"
                ))
                .why("only root and the group of the socket may ask")
                .fix("run this as root"),
            )
        }
        // That it does not run was said already.
        Err(AskError::Connect(_)) if unit.processes.is_empty() => None,
        Err(error) => Some(
            Item::problem(format!("the agent does not answer at {shown}"))
                .why(error.to_string())
                .fix(format!(
                    "`journalctl -u {UNIT} -n 30` may say why; then `systemctl restart {UNIT}`"
                )),
        ),
    }
}

/// The privileged readers: that their sockets are there. What they answer is for
/// whoever can ask them.
fn probes(system: &System) -> Vec<Item> {
    let mut items = socket::look(system, &socket::PROBES.iter().collect::<Vec<_>>());
    items.extend(socket::look_if_enabled(system, &socket::CONTAINER_PROBE));
    items
}

fn link(system: &System, is_joined: bool) -> Item {
    let unit = system.unit(LINK_UNIT);
    match (unit.processes.first(), unit.is_enabled) {
        (Some(process), _) => Item::ok(format!("{LINK_UNIT} runs (process {process})")),
        (None, true) => Item::problem(format!("{LINK_UNIT} is enabled and does not run"))
            .why("a coordinator elsewhere hears nothing from this node")
            .fix(format!(
                "`journalctl -u {LINK_UNIT} -n 30` says why; then `systemctl restart {LINK_UNIT}`"
            )),
        (None, false) if is_joined => Item::warning(format!("{LINK_UNIT} is not enabled"))
            .why("the coordinator that this node joined hears nothing from it")
            .fix(format!("`systemctl enable --now {LINK_UNIT}`")),
        (None, false) => {
            Item::ok("not joined to a coordinator elsewhere; not needed for one on this node")
        }
    }
}
