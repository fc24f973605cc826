//! `doctor`: what keeps pvelens from working or from seeing everything, why, and
//! what would mend it.
//!
//! It only looks, as the user who runs it: at files, and at what the coordinator
//! says. A coordinator that does not run is not asked, since systemd would start
//! it.

use std::{
    env, fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use clap::Args;
use jiff::Timestamp;
use pvelens_proto::v1::{
    Agent, AnalysisKind, AnalyzeRequest, Depth, ListAgentsRequest, Report,
    analysis_service_client::AnalysisServiceClient, analyze_response::Event,
    fleet_service_client::FleetServiceClient,
};
use tokio::time::timeout;

use super::{
    FOUND, Failure, NOT_ASSESSED,
    client::{self, Connection, MESSAGE_LIMIT_BYTES, refused},
    config, print,
};
use crate::{
    config::{Config, DEFAULT_PATH},
    figure, render,
    serve::READ_SOCKET,
};

mod access;
mod fleet;
mod item;
mod system;
#[cfg(test)]
mod tests;

pub(crate) use item::{Diagnosis, State};
use item::{Item, Section};
use system::{System, Unit};

const UNIT: &str = "pvelens.service";
const STATE_DIRECTORY: &str = "/var/lib/pvelens";
/// For both questions together.
const DEADLINE: Duration = Duration::from_secs(10);
const HTTP_DEADLINE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 fine, 1 problems, 3 the coordinator could not be asked")]
pub(super) struct Doctor {
    /// File of settings [default: /etc/pvelens/pvelens.toml if it is there]
    #[arg(long, value_name = "FILE", env = "PVELENS_CONFIG")]
    config: Option<PathBuf>,
    /// Socket of the coordinator [default: read.sock in the directory of the settings]
    #[arg(long, value_name = "PATH", env = "PVELENS_SOCKET")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    output: super::output::OutputArguments,
}

/// What the coordinator said.
struct Answers {
    agents: Vec<Agent>,
    report: Report,
}

impl Doctor {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let system = System::open();
        let (settings, about_settings) = settings(self.config.as_deref());
        let directory = self.socket.as_deref().and_then(Path::parent);
        let sockets = crate::config::Sockets {
            directory: directory.map_or(settings.sockets.directory.clone(), Path::to_owned),
            ..settings.sockets.clone()
        };
        let socket = self.socket.unwrap_or(sockets.directory.join(READ_SOCKET));
        let unit = system.unit(UNIT);
        let is_packaged = sockets.directory == crate::config::Sockets::default().directory;
        let style = self.output.style();
        let answers = match would_start(&system, unit, is_packaged) {
            true => None,
            false => Some(ask(Connection::to(socket, self.output))),
        };
        let asked = matches!(answers, Some(Ok(_)));
        let now = now();

        let mut sections = vec![Section {
            title: "Settings",
            items: vec![about_settings],
        }];
        let mut about = coordinator(&system, unit, answers.as_ref());
        if asked && settings.http.enabled && is_packaged {
            about.push(http(settings.http.listen));
        }
        let mut section = |title, items: Vec<Item>| {
            if !items.is_empty() {
                sections.push(Section { title, items });
            }
        };
        section("Coordinator", about);
        section("Access", access::look(&system, &sockets));
        let followed = match &answers {
            Some(Ok(answers)) => Some(answers.agents.as_slice()),
            _ => None,
        };
        let mut agents = followed.map_or(Vec::new(), |agents| fleet::agents(agents, now));
        if is_packaged {
            agents.extend(fleet::local(&system, &settings.agents, followed));
        }
        section("Agents", agents);
        if let Some(Ok(answers)) = &answers {
            section("Coverage", fleet::coverage(&answers.report));
        }
        section("This machine", machine(&system, now));

        let diagnosis = Diagnosis::new(sections);
        print(&render::render(&diagnosis, &style))?;
        Ok(match (asked, diagnosis.state) {
            (false, _) => NOT_ASSESSED,
            (true, State::Problem) => FOUND,
            (true, _) => 0,
        })
    }
}

/// The settings, or the defaults when they are not valid.
fn settings(file: Option<&Path>) -> (Config, Item) {
    let path = file.unwrap_or(Path::new(DEFAULT_PATH));
    let shown = path.display();
    match config::load(file) {
        Ok(config) if path.exists() => (config, Item::ok(format!("{shown} is valid"))),
        Ok(config) => {
            let what = format!("no file {shown}: every setting has its default");
            (config, Item::ok(what))
        }
        Err(error) => {
            let item = Item::problem(format!(
                "{shown} is not valid; the coordinator does not start"
            ))
            .why(gist(&error.to_string()))
            .fix(format!(
                "correct it; `pvelens config check {shown}` reads it again"
            ));
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

/// Whether a question would make systemd start the coordinator.
fn would_start(system: &System, unit: Unit, is_packaged: bool) -> bool {
    is_packaged && system.has_systemd() && unit.is_installed && unit.process.is_none()
}

fn ask(connection: Connection) -> Result<Answers, Failure> {
    client::runtime()?.block_on(async {
        timeout(DEADLINE, asked(connection))
            .await
            .unwrap_or_else(|_| {
                let seconds = DEADLINE.as_secs();
                Err(Failure::NotAssessed(format!(
                    "no answer within {seconds} s"
                )))
            })
    })
}

async fn asked(connection: Connection) -> Result<Answers, Failure> {
    let channel = connection.open().await?;
    let mut fleet =
        FleetServiceClient::new(channel.clone()).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
    let agents = fleet.list_agents(ListAgentsRequest::default()).await;
    let agents = agents.map_err(|status| refused(&status))?.into_inner();
    let request = AnalyzeRequest {
        kind: AnalysisKind::ClusterHealth.into(),
        depth: Depth::Summary.into(),
        ..AnalyzeRequest::default()
    };
    let mut analysis =
        AnalysisServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
    let events = analysis.analyze(request).await;
    let mut events = events.map_err(|status| refused(&status))?.into_inner();
    while let Some(response) = events.message().await.map_err(|status| refused(&status))? {
        if let Some(Event::Report(report)) = response.event {
            return Ok(Answers {
                agents: agents.agents,
                report,
            });
        }
    }
    Err(Failure::NotAssessed(
        "the coordinator ended without a report".to_owned(),
    ))
}

/// Whether the coordinator runs and answers.
fn coordinator(
    system: &System,
    unit: Unit,
    answers: Option<&Result<Answers, Failure>>,
) -> Vec<Item> {
    let process = unit.process.map(|process| {
        let since = uptime(system, process)
            .map(|age| format!(" for {}", figure::duration(age)))
            .unwrap_or_default();
        format!("{UNIT} runs{since} (process {process})")
    });
    match (process, answers) {
        (Some(process), Some(Ok(_))) => vec![Item::ok(format!("{process} and answers"))],
        (None, Some(Ok(_))) => vec![Item::ok(format!(
            "a coordinator answers; it was not started as {UNIT}"
        ))],
        (Some(process), Some(Err(failure))) => vec![
            Item::ok(process),
            Item::problem("it gives this user no answer")
                .why(failure.to_string())
                .fix(format!(
                    "see the access below; `journalctl -u {UNIT} -n 30` may say more"
                )),
        ],
        (None, Some(Err(failure))) if !system.has_systemd() => vec![
            Item::problem("no coordinator answers")
                .why(failure.to_string())
                .fix("start it with `pvelens serve`"),
        ],
        (None, Some(Err(failure))) if !unit.is_installed => vec![
            Item::problem(format!("no coordinator answers, and there is no {UNIT}"))
                .why(failure.to_string())
                .fix(
                    "as root: `apt install pvelens`, or give the path of another one with --socket",
                ),
        ],
        (_, _) => vec![
            Item::problem(format!("{UNIT} does not run"))
                .why(format!(
                    "it was stopped, or it ended; `journalctl -u {UNIT} -n 30` has its last words"
                ))
                .fix(format!("as root: `systemctl enable --now {UNIT}`")),
        ],
    }
}

/// How long a process has been running.
fn uptime(system: &System, process: u32) -> Option<Duration> {
    let stat = system.read(&format!("/proc/{process}/stat"))?;
    // The name before it may have blanks and parentheses. `starttime` is the 22nd
    // field, so the 20th after the name.
    let (_, fields) = stat.rsplit_once(')')?;
    let started: u64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    let uptime = system.read("/proc/uptime")?;
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    let started = started.checked_div(rustix::param::clock_ticks_per_second())?;
    let uptime = Duration::try_from_secs_f64(uptime).ok()?;
    uptime.checked_sub(Duration::from_secs(started))
}

fn http(address: SocketAddr) -> Item {
    match TcpStream::connect_timeout(&address, HTTP_DEADLINE) {
        Ok(_) => Item::ok(format!("MCP and metrics are served on http://{address}")),
        Err(error) => Item::problem(format!("nobody serves http://{address}"))
            .why(error.to_string())
            .fix("the settings may have changed: as root `systemctl restart pvelens`"),
    }
}

fn machine(system: &System, now: Timestamp) -> Vec<Item> {
    let mut items = Vec::new();
    items.extend(clock(now, built()));
    if system.exists(STATE_DIRECTORY)
        && let Ok(stat) = rustix::fs::statvfs(system.path(Path::new(STATE_DIRECTORY)))
    {
        items.push(fleet::disk(stat.f_bavail.saturating_mul(stat.f_frsize)));
    }
    items
}

/// A program is not younger than the present.
fn clock(now: Timestamp, built: Option<Timestamp>) -> Option<Item> {
    let built = built.filter(|built| *built > now)?;
    Some(
        Item::problem(format!(
            "the clock says {}, before this program was installed ({})",
            now.strftime("%Y-%m-%d"),
            built.strftime("%Y-%m-%d")
        ))
        .why("ages of facts and times of findings are wrong")
        .fix("look at `timedatectl` and `chronyc tracking`"),
    )
}

fn built() -> Option<Timestamp> {
    let modified: SystemTime = fs::metadata(env::current_exe().ok()?)
        .ok()?
        .modified()
        .ok()?;
    Timestamp::try_from(modified).ok()
}

fn now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "ages are told at the moment of the question"
    )]
    Timestamp::now()
}
