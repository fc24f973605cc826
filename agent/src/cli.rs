//! The command line, and the only place that prints.
//!
//! Exit status: 0 fine, 1 the agent failed or has problems, 2 usage or settings, 3 some source
//! could not be read, 75 the sandbox is broken and is to be built anew.

use std::{
    env,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    config::{Config, ConfigError, DEFAULT_PATH},
    link::Coordinator,
    probe::Kind,
};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

mod audit;
mod collect;
mod doctor;
mod flight;
mod guests;
mod identified;
mod join;
mod json;
mod leave;
mod link;
mod log;
mod oversee;
mod policy;
mod probe;
mod reads;
mod run;
mod signals;
mod socket;
mod status;
mod summary;
mod systemd;

/// Usage or settings are wrong; clap uses the same number.
const USAGE: u8 = 2;
/// Some source could not be read.
const INCOMPLETE: u8 = 3;

/// What the manual page and `--help` say first.
const ABOUT: &str = "\
pvelens-agent reads a Proxmox VE node for pvelens(1): files in /proc, /sys, /run and /etc/pve. It \
changes nothing, takes no lock, and opens neither keys nor /etc/pve/priv.

A coordinator fetches the samples from a Unix socket. Until then they wait below /run; none is \
written to a disk, but in an emergency: when quorum is lost or a fence is near, the last minutes and \
what follows are recorded, and `pvelens-agent flight` shows them. `pvelens-agent reads` lists every \
path with its interval, and `pvelens-agent collect --once` shows what this node would report, without \
a coordinator.

In VMs it runs read-only commands of a fixed list, when a coordinator asks and \
/etc/pvelens/guest-policy.toml allows it; `pvelens-agent policy commands` lists them, and \
`pvelens-agent audit show` what ran.";

#[derive(Debug, Parser)]
#[command(
    name = "pvelens-agent",
    version,
    about = "Read-only agent of pvelens for one Proxmox VE node",
    long_about = ABOUT,
    after_help = "Exit status: 0 fine, 1 failed, 2 usage or settings, 3 some source could not be read"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sample this node and serve the samples on a Unix socket
    ///
    /// The package runs it as the unit `pvelens-agent.service`, in a sandbox without
    /// capabilities, without network and with a read-only file system. SIGTERM and
    /// SIGINT end it.
    Run(RunArguments),
    /// Carry bytes between coordinators elsewhere and the agent of this node
    ///
    /// The package runs it as the unit `pvelens-link.service`, which has the network
    /// and no file of the node, while the agent has no network. It calls each
    /// coordinator, connects the other end to `link.sock` of the agent and copies; when
    /// that ends it tries again, after 1 to 2 s at first and 30 to 60 s at last. The
    /// agent is the one that knows whom it trusts: the link sees only what is
    /// encrypted, and until this node has joined a coordinator the agent turns it away.
    ///
    /// A coordinator on this node needs no link. SIGTERM and SIGINT end it, with 2 s for
    /// what is under way.
    ///
    /// For example, `pvelens-agent link --coordinator pvelens.example.org` does by hand
    /// what `coordinators = ["pvelens.example.org"]` in the section `link` of the
    /// settings does in the unit.
    #[command(
        after_help = "Exit status: 0 told to stop, 1 failed, 2 usage or settings, as when no coordinator is set"
    )]
    Link(LinkArguments),
    /// Join a coordinator elsewhere, with the line that it printed for this node
    ///
    /// On the coordinator, `pvelens agents token` prints a line; this command reads it from
    /// standard input, never from its arguments, where others could see it. It holds
    /// where the coordinator is, how its authority is told from any other, and a secret
    /// that is good for a while. This node makes a key, which never leaves it, and gets
    /// a certificate for it. Then the link is enabled: pvelens-link.service calls the
    /// coordinator, and no port is opened on this node.
    ///
    /// When the answer was lost, the same line can be given again. Nothing is sent to
    /// whoever cannot show the authority of the line. Needs root.
    #[command(after_help = "Exit status: 0 joined, 1 failed, 2 usage or settings")]
    Join(join::JoinArguments),
    /// Forget the coordinator that this node has joined, and end the link
    ///
    /// Removes the key and the certificate, disables pvelens-link.service, and leaves
    /// everything else as it is. The coordinator still lists the node until
    /// `pvelens agents revoke` there. Needs root.
    #[command(
        after_help = "Exit status: 0 left, also when it had not joined, 1 failed, 2 usage or settings"
    )]
    Leave(leave::LeaveArguments),
    /// Read every source and print what it gave
    ///
    /// Each failure is shown with its path and its reason. What is printed is what a
    /// coordinator would get: secrets are left out when the files are parsed.
    Collect(CollectArguments),
    /// List every path that is read, how often and how long, and every command of the probes
    ///
    /// To look at before the agent is trusted with a node. The list is the table
    /// that the agent itself works through.
    Reads(OutputArguments),
    /// Say how the running agent does: what it cannot read, and what it costs
    ///
    /// What is wrong now comes first: collectors that hang or fail, with path, reason and
    /// age of what they gave last. Then what failed before, and runs, CPU time, memory,
    /// spool and readers since the agent started. It only asks the agent, and starts none.
    #[command(
        after_help = "Exit status: 0 all is well, 1 the agent does not run or does not answer, 3 some source could not be read"
    )]
    Status(StatusArguments),
    /// Say what cannot be read, why, and what would mend it
    #[command(
        after_help = "Exit status: 0 no problem, 1 problems, 3 something could not be looked at"
    )]
    Doctor(DoctorArguments),
    /// Show what the flight recorder kept of emergencies
    ///
    /// When quorum is lost, or the watchdog of high availability may soon reset the
    /// node, the agent writes the last ten minutes to disk and then what it samples as
    /// long as that lasts. This tells when and why, whether the node was reset before
    /// it was over, and how the node fared until then.
    #[command(
        after_help = "Exit status: 0 fine, also when nothing is recorded, 1 failed, 2 usage or settings, 3 some file could not be read to its end"
    )]
    Flight(FlightArguments),
    /// Look at the record of guest commands
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Look at what may run in the guests of this node
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Look at the probes, which read what needs privileges
    #[command(subcommand)]
    Probe(probe::ProbeCommand),
    /// Answer one request on standard input, as the units of the probes do
    #[command(hide = true)]
    AnswerProbe {
        #[arg(value_enum)]
        kind: Kind,
    },
    /// Look at the settings
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Args)]
struct RunArguments {
    /// Root of the node's files [default: / or as in the settings]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Socket to serve on [default: /run/pvelens-agent/local.sock or as in the settings]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Socket for coordinators elsewhere, when it is not systemd that makes it [default: none]
    #[arg(long, value_name = "PATH")]
    link_socket: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArguments,
}

#[derive(Debug, Args)]
struct LinkArguments {
    /// Coordinator to link to, may be given several times; several addresses of one are
    /// separated by spaces [default: as in the settings and as joined]
    #[arg(long = "coordinator", value_name = "HOST[:PORT]")]
    coordinators: Vec<Coordinator>,
    /// Socket of the agent [default: /run/pvelens-agent/link.sock or as in the settings]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArguments,
}

#[derive(Debug, Args)]
struct CollectArguments {
    /// Read once and end; the only mode so far
    #[arg(long = "once", required = true)]
    _once: bool,
    /// Root of the node's files
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    #[command(flatten)]
    output: OutputArguments,
}

#[derive(Debug, Args)]
struct FlightArguments {
    /// With every sample that was recorded; needs --output json
    #[arg(long)]
    samples: bool,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    settings: SettingsArguments,
}

#[derive(Debug, Args)]
struct StatusArguments {
    /// List every collector: age, runs, durations, bytes
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    settings: SettingsArguments,
}

#[derive(Debug, Args)]
struct DoctorArguments {
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    settings: SettingsArguments,
}

#[derive(Debug, Args)]
struct OutputArguments {
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check the settings and print those in effect
    Check(SettingsArguments),
}

#[derive(Debug, Args)]
struct SettingsArguments {
    /// File of settings [default: /etc/pvelens/agent.toml if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl SettingsArguments {
    fn load(&self) -> anyhow::Result<Config> {
        let environment = env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Config::load(self.config.as_deref(), environment).map_err(|error| self.context(error))
    }

    /// What is wrong with the settings, and where they are.
    fn context(&self, error: ConfigError) -> anyhow::Error {
        let file = self.config.as_deref().unwrap_or(Path::new(DEFAULT_PATH));
        anyhow::Error::new(error).context(format!("settings in {}", file.display()))
    }

    /// Where they are, and what `join` wrote beside them.
    fn directory(&self) -> &Path {
        let file = self.config.as_deref().unwrap_or(Path::new(DEFAULT_PATH));
        match file.parent() {
            Some(directory) if !directory.as_os_str().is_empty() => directory,
            _ => Path::new("."),
        }
    }

    /// Where the settings come from.
    fn origin(&self) -> String {
        let file = self.config.as_deref().unwrap_or(Path::new(DEFAULT_PATH));
        if file.exists() {
            plain(&file.display().to_string())
        } else {
            format!(
                "{} is not there: defaults",
                plain(&file.display().to_string())
            )
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
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Link(arguments) => link::link(&arguments),
        Command::Join(arguments) => join::join(&arguments),
        Command::Leave(arguments) => leave::leave(&arguments),
        Command::Collect(arguments) => collect::collect(&arguments),
        Command::Reads(arguments) => reads::reads(arguments.output),
        Command::Status(arguments) => status::status(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
        Command::Flight(arguments) => flight::flight(&arguments),
        Command::Audit(command) => audit::audit(&command),
        Command::Policy(command) => policy::policy(&command),
        Command::Probe(command) => probe::probe(&command),
        Command::AnswerProbe { kind } => probe::answered(kind),
        Command::Config(ConfigCommand::Check(settings)) => check(&settings),
    };
    result.unwrap_or_else(|error| {
        // The reader of a pipe has seen enough.
        if is_broken_pipe(&error) {
            return ExitCode::SUCCESS;
        }
        complain(&format!("{error:#}"));
        if error.is::<ConfigError>() {
            ExitCode::from(USAGE)
        } else {
            ExitCode::FAILURE
        }
    })
}

fn check(settings: &SettingsArguments) -> anyhow::Result<ExitCode> {
    let config = settings.load()?;
    print(&format!(
        "# {}\n{}",
        settings.origin(),
        toml::to_string(&config)?
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes to standard output.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn complain(text: &str) {
    // A unit that cannot start is an error in the journal.
    let priority = if log::is_journal() { "<3>" } else { "" };
    let text = text.replace('\n', &format!("\n{priority}"));
    // If even this cannot be written, there is nobody to tell.
    drop(writeln!(io::stderr(), "{priority}pvelens-agent: {text}"));
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Text of the node for a terminal: what could move the cursor is replaced.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn text_of_the_node_cannot_move_the_cursor() {
        assert_eq!(plain("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\u{fffd}c");
    }
}
