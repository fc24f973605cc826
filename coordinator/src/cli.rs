//! The command line, and the only place that prints.
//!
//! Reading commands are clients of the gRPC API: the coordinator renders, so
//! they show the same as every other surface. Exit status: 0 fine, 1 health
//! findings at or above `--fail-on` (or `serve` failed), 2 usage or settings, 3
//! could not be assessed.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, Subcommand};

use crate::{log, untrusted};
use refusal::refusal;

mod access;
mod agents;
mod authority;
mod client;
mod clients;
mod config;
pub(crate) mod doctor;
mod events;
mod findings;
mod guest_commands;
mod guest_diagnosis;
mod guests;
mod health;
mod history;
mod intent;
mod inventory;
mod length;
mod log_level;
mod mcp;
mod metrics;
mod output;
mod recheck;
mod refusal;
mod serve;
mod setup;
mod store;
#[cfg(test)]
mod tests;
mod triage;
mod when;

/// Something was found that was asked to be reported.
const FOUND: u8 = 1;
/// clap uses the same number.
const USAGE: u8 = 2;
const NOT_ASSESSED: u8 = 3;
/// Longest message of an error.
const MESSAGE_LIMIT: usize = 2000;

/// What the manual page and `--help` say first.
const ABOUT: &str = "\
pvelens tells what is wrong with a Proxmox VE cluster, why, and what to do about it, and can never \
change anything: fixes are text.

On each node pvelens-agent(8) reads local files. The coordinator, `pvelens serve`, merges what the \
agents read, runs deterministic checks and serves the result. All other commands are its clients: \
they need no root, only membership in the group pvelens-users.

What is missing or too old is never taken for healthy. Every answer says which nodes it covers, and \
a state that could not be assessed has an exit status of its own.";

#[derive(Debug, Parser)]
#[command(
    name = "pvelens",
    version,
    about = "Read-only advisor for Proxmox VE clusters: what is wrong, why, and what to do",
    long_about = ABOUT,
    after_help = "Exit status: 0 fine, 1 findings at or above --fail-on or failed, 2 usage or settings, 3 could not be assessed"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the coordinator
    ///
    /// It follows the agents named in the settings, merges what they read into one
    /// state, runs the checks on it, and serves gRPC and MCP on Unix sockets, and
    /// MCP, metrics and readiness on a loopback address. The package runs it as the
    /// unit `pvelens.service`; SIGTERM and SIGINT end it.
    Serve(serve::Serve),
    /// Connect an MCP client on standard input and output
    ///
    /// For MCP clients that start their server as a program. It only connects them
    /// with the coordinator, which has the tools.
    Mcp(mcp::Mcp),
    /// What is broken on this node, without a coordinator (for root)
    ///
    /// For the first minute of an outage, on any node: asks the agent of the node, or
    /// reads the node itself when that is down or not installed, and within two
    /// seconds prints at most 25 lines. They say what is broken and since when, what
    /// happened before, what still works, what not to do, where to look next, and
    /// what could not be seen. It needs neither quorum nor /etc/pve nor a network.
    Triage(triage::Triage),
    #[command(name = crate::triage::gather::CHILD, hide = true)]
    TriageCollect(triage::Collect),
    /// Clusters at a glance
    ///
    /// Quorum, nodes, guests, storages and open findings of each cluster, and what
    /// could not be seen.
    Status(inventory::Status),
    /// Nodes and how loaded they are
    ///
    /// CPU, memory, root file system and guests of each node. A node without an
    /// agent shows what the cluster tells about it, with the age of the figures.
    Nodes(inventory::Nodes),
    /// One node with its disks, interfaces and file systems
    ///
    /// What is not known, because the node has no agent or a source could not be
    /// read, is said so.
    Node(inventory::Node),
    /// VMs and containers
    ///
    /// State, CPU, memory and disk of each guest, on every node or only some.
    Guests(guests::Guests),
    /// One VM or container with its configuration and findings
    ///
    /// Secrets and cloud-init data of a guest are never collected, so they do not
    /// show here either.
    Guest(guests::Guest),
    /// Read-only commands that there are for a VM, and which of them would run
    ///
    /// The node of the VM decides what runs in it, by /etc/pvelens/guest-policy.toml
    /// there; by default little does. A command that would not run says why.
    GuestCommands(guest_commands::GuestCommands),
    /// What to ask a VM about a trouble
    ///
    /// Commands with reasons, by the words of the issue, the guest's system and its open
    /// findings, and the workflows that fit. Runs nothing.
    Suggest(guest_diagnosis::Suggest),
    /// Go through a known trouble of a VM step by step
    ///
    /// Says what was learnt within the last half hour, what that means, what to do about
    /// it, and which command comes next. Runs nothing, unless --run is given: then that
    /// one command (for operators).
    Workflow(guest_diagnosis::Workflow),
    /// Run a read-only command in a VM (for operators)
    ///
    /// A command is an id of `pvelens guest-commands` with values for its
    /// parameters, never text for a shell: a command line is answered with the
    /// commands that fit it, and nothing is run. Prints what the output says, then
    /// the output. Each run is written down on the node.
    Run(guest_commands::Run),
    /// Storages and how full they are on each node
    ///
    /// A storage that is not active on a node has no size there; that is shown as
    /// unknown, not as empty.
    Storage(inventory::Storage),
    /// What is wrong or could be better, worst first
    ///
    /// Each finding comes from a deterministic check and shows its evidence (value,
    /// source and time), its cause if another finding is the cause, and a fix.
    Findings(findings::Findings),
    /// Values over time of nodes, guests and storages
    ///
    /// A row for each metric with its course and figures, or charts. A step that has no
    /// value is unknown, not zero. Without names of metrics, all that the object has;
    /// with --list, what there is.
    Metrics(metrics::Metrics),
    /// What happened: tasks, logs, links, nodes, guests, edits and findings
    ///
    /// The newest first, or with --timeline as one line of time. The user is the one that
    /// Proxmox VE names.
    Events(events::Events),
    /// When a configuration became what it is, and who changed it
    ///
    /// Each change with its time, what was changed, and who did it as far as tasks and the
    /// cluster's log tell; nobody is named where they do not. With --at, the whole
    /// configuration as it was at a time.
    History(history::History),
    /// Check again now and resolve what was fixed (for operators)
    Recheck(recheck::Recheck),
    /// Say that you know of a finding (for operators)
    ///
    /// It is still shown and counted, with who said so and why.
    Ack(intent::Decide),
    /// Do not show findings for a while (for operators)
    ///
    /// Reports still count them and say by which statement. What is about exposure to
    /// public networks, failing disks, failed backups or data at risk is never hidden.
    Suppress(intent::Decide),
    /// Say that nodes or storages are being worked on (for operators)
    ///
    /// Meanwhile it is only information that they cannot be reached.
    Maintenance(intent::Maintenance),
    /// Say what is so on purpose (for operators)
    #[command(subcommand)]
    Expect(intent::Expect),
    /// What operators state, and what became of it
    #[command(subcommand)]
    Intent(intent::Intent),
    /// Report on what is broken or about to be
    ///
    /// One page at any size of cluster: the verdict, what to do first, what is wrong
    /// and since when, and what could not be assessed. Advice on hardening and
    /// hygiene is only counted; `pvelens findings --lane posture` shows it. The exit
    /// status makes it fit for scripts and monitoring.
    Health(health::Health),
    /// The agents and what they deliver
    ///
    /// Which agents report, how fresh their samples are, which sources they could
    /// not read, and how far their clocks are off. With a word: tokens with which nodes
    /// join, and the end of a node.
    Agents(agents::Agents),
    /// Certificates for people and programs elsewhere
    ///
    /// With one they use the coordinator on port 8441, in the role that it gives. On this
    /// machine sockets give the roles, and no certificate is needed.
    #[command(subcommand)]
    Client(clients::Client),
    /// The authority that vouches for nodes and clients: renew it, keep it, restore it
    #[command(subcommand)]
    Ca(authority::Ca),
    /// Say what a first install still needs, with the commands to copy (for root)
    ///
    /// Looks at the coordinator, the agent of this node and the nodes that have none yet,
    /// and prints what to do for each. It changes nothing, except that it makes a line
    /// with which nodes join, when told to at a terminal or with --yes. Run it again to
    /// see what is left.
    Setup(setup::Setup),
    /// Say what keeps pvelens from working, why, and what would mend it
    Doctor(doctor::Doctor),
    /// Who is served here, and what you may do
    Access(access::Access),
    /// Show the log level of the coordinator, or change it for a while (for root)
    LogLevel(log_level::LogLevel),
    /// Look at the settings
    #[command(subcommand)]
    Config(config::Config),
    /// Copy or check what the coordinator keeps (for root, or the user pvelens)
    #[command(subcommand)]
    Store(store::Store),
}

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The caller can do something about it.
    #[error("{0}")]
    Usage(String),
    /// Nothing can be said about the cluster.
    #[error("{0}")]
    NotAssessed(String),
    /// The coordinator cannot run.
    #[error("{0}")]
    Failed(String),
    #[error("writing the output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::Failed(_) => FOUND,
            Self::NotAssessed(_) | Self::Output(_) => NOT_ASSESSED,
        }
    }
}

/// The definition of the command line: manual pages and completions are made
/// from it.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way too. A closed pipe has its reason.
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE));
        }
    };
    match run(arguments.command) {
        Ok(status) => ExitCode::from(status),
        // The reader of a pipe has seen enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => {
            // A service that cannot start is an error in the journal.
            let priority = if log::is_journal() { "<3>" } else { "" };
            say(priority, &failure.to_string());
            ExitCode::from(failure.status())
        }
    }
}

fn run(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Serve(arguments) => arguments.run(),
        Command::Mcp(arguments) => arguments.run(),
        Command::Setup(arguments) => arguments.run(),
        Command::Doctor(arguments) => arguments.run(),
        Command::Config(arguments) => arguments.run(),
        Command::Store(arguments) => arguments.run(),
        Command::Triage(arguments) => arguments.run(),
        Command::TriageCollect(arguments) => arguments.run(),
        Command::Status(arguments) => client::run(arguments.run()),
        Command::Nodes(arguments) => client::run(arguments.run()),
        Command::Node(arguments) => client::run(arguments.run()),
        Command::Guests(arguments) => client::run(arguments.run()),
        Command::Guest(arguments) => client::run(arguments.run()),
        Command::GuestCommands(arguments) => client::run(arguments.run()),
        Command::Suggest(arguments) => client::run(arguments.run()),
        Command::Workflow(arguments) => {
            client::run_within(guest_commands::DEADLINE, arguments.run())
        }
        Command::Run(arguments) => client::run_within(guest_commands::DEADLINE, arguments.run()),
        Command::Storage(arguments) => client::run(arguments.run()),
        Command::Findings(arguments) => client::run(arguments.run()),
        Command::Health(arguments) => client::run(arguments.run()),
        Command::Metrics(arguments) => client::run(arguments.run()),
        Command::Events(arguments) => client::run(arguments.run()),
        Command::History(arguments) => client::run(arguments.run()),
        Command::Recheck(arguments) => client::run(arguments.run()),
        Command::Ack(arguments) => client::run(arguments.acknowledge()),
        Command::Suppress(arguments) => client::run(arguments.suppress()),
        Command::Maintenance(arguments) => client::run(arguments.run()),
        Command::Expect(arguments) => client::run(arguments.run()),
        Command::Intent(arguments) => client::run(arguments.run()),
        Command::Agents(arguments) => client::run(arguments.run()),
        Command::Client(arguments) => client::run(arguments.run()),
        Command::Ca(arguments) => arguments.run(),
        Command::Access(arguments) => client::run(arguments.run()),
        Command::LogLevel(arguments) => client::run(arguments.run()),
    }
}

/// Writes to standard output.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Says something beside the output.
fn complain(text: &str) {
    say("", text);
}

/// The text may come from a coordinator elsewhere, so nothing in it reaches the
/// terminal as a command.
fn say(priority: &str, text: &str) {
    let lines: Vec<_> = text
        .lines()
        .map(|line| untrusted::line(line, MESSAGE_LIMIT))
        .collect();
    let text = lines.join(&format!("\n{priority}"));
    // If even this cannot be written, there is nobody to tell.
    drop(writeln!(io::stderr(), "{priority}pvelens: {text}"));
}
