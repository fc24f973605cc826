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
    Agent, AnalysisKind, AnalyzeRequest, Depth, GetStoreRequest, GetStoreResponse,
    ListAgentsRequest, Report, analysis_service_client::AnalysisServiceClient,
    analyze_response::Event, fleet_service_client::FleetServiceClient,
};
use tokio::time::timeout;

use super::{
    FOUND, Failure, NOT_ASSESSED,
    client::{self, Connection, MESSAGE_LIMIT_BYTES, refused},
    print,
};
use crate::{
    config::{Config, Sockets},
    figure, render,
    serve::{ADMIN_SOCKET, READ_SOCKET},
};

mod access;
mod fleet;
mod item;
mod settings;
mod store;
mod system;
#[cfg(test)]
mod tests;
mod trust;

pub(crate) use item::{Diagnosis, State};
use item::{Item, Section};
pub(super) use system::System;
use system::Unit;
use trust::Invited;

const UNIT: &str = "pvelens.service";
/// For all questions together.
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

/// What the coordinator said; what it says of itself joins here.
struct Answers {
    agents: Vec<Agent>,
    report: Report,
    /// None = it did not say.
    store: Option<GetStoreResponse>,
    /// For root alone.
    invited: Option<Invited>,
}

/// The attempt to ask the coordinator.
enum Asked {
    Answered(Box<Answers>),
    Failed(String),
    /// This user may not.
    Closed,
    /// systemd would have started it.
    Stopped,
}

/// Everything that was seen, before it is judged.
struct Look {
    system: System,
    config: Config,
    about_settings: Vec<Item>,
    sockets: Sockets,
    asked: Asked,
    now: Timestamp,
    /// When this program was written to the disk.
    installed_at: Option<Timestamp>,
}

impl Doctor {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let system = System::open();
        let now = now();
        let (config, of_settings) = settings::settings(self.config.as_deref());
        let of_intent = settings::intent(self.config.as_deref(), now);
        let mut sockets = config.sockets.clone();
        if let Some(directory) = self.socket.as_deref().and_then(Path::parent) {
            directory.clone_into(&mut sockets.directory);
        }
        let socket = self.socket.unwrap_or(sockets.directory.join(READ_SOCKET));
        let style = self.output.style();
        let asked = if would_start(&system, &sockets) {
            Asked::Stopped
        } else if access::is_closed(&system, &socket) {
            Asked::Closed
        } else {
            let administering = system
                .user
                .is_root()
                .then(|| sockets.directory.join(ADMIN_SOCKET));
            match ask(Connection::to(socket, self.output), administering) {
                Ok(answers) => Asked::Answered(Box::new(answers)),
                Err(failure) => Asked::Failed(failure.to_string()),
            }
        };
        let look = Look {
            system,
            config,
            about_settings: vec![of_settings, of_intent],
            sockets,
            asked,
            now,
            installed_at: installed_at(),
        };
        let has_answer = matches!(look.asked, Asked::Answered(_));
        let diagnosis = look.judge();
        print(&render::render(&diagnosis, &style))?;
        Ok(match (has_answer, diagnosis.state) {
            (false, _) => NOT_ASSESSED,
            (true, State::Problem) => FOUND,
            (true, _) => 0,
        })
    }
}

impl Look {
    fn judge(self) -> Diagnosis {
        let Self {
            system,
            config,
            sockets,
            now,
            ..
        } = self;
        let is_packaged = is_packaged(&sockets);
        let unit = system.unit(UNIT);
        let mut about = coordinator(&system, unit, &self.asked);
        let (mut agents, mut coverage, mut followed) = (Vec::new(), Vec::new(), None);
        let mut elsewhere = Vec::new();
        if is_packaged {
            elsewhere = trust::directory(&system, &config.store.directory);
        }
        if let Asked::Answered(answers) = &self.asked {
            if config.http.enabled && is_packaged {
                about.extend(http(config.http.listen));
                about.extend(trust::readiness(config.http.listen));
            }
            about.extend(answers.store.iter().flat_map(|it| store::kept(it, now)));
            agents = fleet::agents(&answers.agents, now);
            let invited = answers.invited.as_ref();
            if is_packaged && !config.store.directory.as_os_str().is_empty() {
                elsewhere.extend(trust::ports(&config, &answers.agents, invited));
            }
            elsewhere.extend(trust::certificates(&answers.agents, now));
            elsewhere.extend(invited.iter().flat_map(|it| trust::invited(it, now)));
            coverage = fleet::coverage(&answers.report);
            followed = Some(answers.agents.as_slice());
        }
        if is_packaged {
            agents.extend(fleet::local(&system, &config.agents, followed));
        }
        let mut machine: Vec<Item> = clock(now, self.installed_at).into_iter().collect();
        machine.extend(fleet::disk(&system, unit, &config.store.directory));
        let sections = [
            ("Settings", self.about_settings),
            ("Coordinator", about),
            ("Access", access::look(&system, &sockets, is_packaged)),
            ("Agents", agents),
            ("Other machines", elsewhere),
            ("Coverage", coverage),
            ("This machine", machine),
        ];
        Diagnosis::new(
            sections
                .into_iter()
                .filter(|(_, items)| !items.is_empty())
                .map(|(title, items)| Section { title, items })
                .collect(),
        )
    }
}

/// Whether the sockets are where the packages make them.
fn is_packaged(sockets: &Sockets) -> bool {
    sockets.directory == Sockets::default().directory
}

/// Whether a question would make systemd start the coordinator.
pub(super) fn would_start(system: &System, sockets: &Sockets) -> bool {
    let unit = system.unit(UNIT);
    is_packaged(sockets) && system.has_systemd() && unit.is_installed && unit.process.is_none()
}

fn ask(connection: Connection, administering: Option<PathBuf>) -> Result<Answers, Failure> {
    client::runtime()?.block_on(async {
        let both = async {
            let mut answers = asked(connection).await?;
            if let Some(socket) = administering {
                // A coordinator that keeps nothing invites nobody.
                answers.invited = trust::ask(&socket).await.ok();
            }
            Ok(answers)
        };
        timeout(DEADLINE, both).await.unwrap_or_else(|_| {
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
    // One of before does not know.
    let store = fleet.get_store(GetStoreRequest::default()).await.ok();
    let store = store.map(tonic::Response::into_inner);
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
                store,
                invited: None,
            });
        }
    }
    Err(Failure::NotAssessed(
        "the coordinator ended without a report".to_owned(),
    ))
}

/// Whether the coordinator runs and answers.
fn coordinator(system: &System, unit: Unit, asked: &Asked) -> Vec<Item> {
    let process = unit.process.map(|process| {
        let since = uptime(system, process)
            .map(|age| format!(" for {}", figure::duration(age)))
            .unwrap_or_default();
        format!("{UNIT} runs{since} (process {process})")
    });
    let stopped = Item::problem(format!("{UNIT} does not run"))
        .why(format!(
            "it was stopped, or it ended; `journalctl -u {UNIT} -n 30` has its last words"
        ))
        .fix(format!("as root: `systemctl enable --now {UNIT}`"));
    match (process, asked) {
        (Some(process), Asked::Answered(_)) => vec![Item::ok(format!("{process} and answers"))],
        (None, Asked::Answered(_)) => vec![Item::ok(format!(
            "a coordinator answers; it was not started as {UNIT}"
        ))],
        (process, Asked::Closed) => {
            let mut items: Vec<Item> = process.map(Item::ok).into_iter().collect();
            items.push(Item::unknown(format!(
                "what the coordinator says: {} may not ask, see below",
                system.user.name
            )));
            items
        }
        (Some(process), Asked::Failed(reason)) => vec![
            Item::ok(process),
            Item::problem("it gives no answer")
                .why(reason)
                .fix(format!("`journalctl -u {UNIT} -n 30` may say more")),
        ],
        (None, Asked::Failed(_)) if unit.is_installed => vec![stopped],
        (None, Asked::Failed(reason)) => vec![
            Item::problem("no coordinator answers")
                .why(reason)
                .fix(if system.has_systemd() {
                    "as root: `apt install pvelens`, or name another one with --socket"
                } else {
                    "start it with `pvelens serve`, or name another one with --socket"
                }),
        ],
        (_, Asked::Stopped) => vec![stopped],
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

fn http(address: SocketAddr) -> Option<Item> {
    let error = TcpStream::connect_timeout(&address, HTTP_DEADLINE).err()?;
    Some(
        Item::problem(format!("nobody serves http://{address}"))
            .why(error.to_string())
            .fix("the settings may have changed: as root `systemctl restart pvelens`"),
    )
}

/// A program is not younger than the present.
fn clock(now: Timestamp, installed_at: Option<Timestamp>) -> Option<Item> {
    let installed_at = installed_at.filter(|then| *then > now)?;
    Some(
        Item::problem(format!(
            "the clock says {}, before this program was installed ({})",
            now.strftime("%Y-%m-%d"),
            installed_at.strftime("%Y-%m-%d")
        ))
        .why("ages of facts and times of findings are wrong")
        .fix("look at `timedatectl` and `chronyc tracking`"),
    )
}

fn installed_at() -> Option<Timestamp> {
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
