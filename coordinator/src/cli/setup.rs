//! `setup`: what a first install still needs, in the order to do it.
//!
//! It only looks, until it is told to make a token. Run again it says what is left.

use std::{
    io::{self, BufRead, IsTerminal},
    path::{Path, PathBuf},
};

use clap::Args;
use jiff::{Timestamp, tz::TimeZone};
use pvelens_proto::v1::{
    CreateTokenRequest, GetClusterStatusRequest, ListAgentsRequest, ListNodesRequest,
    enrollment_service_client::EnrollmentServiceClient, fleet_service_client::FleetServiceClient,
    inventory_service_client::InventoryServiceClient,
};

use super::{
    Failure, NOT_ASSESSED,
    client::{self, MESSAGE_LIMIT_BYTES, refused},
    config,
    doctor::{System, would_start},
    print,
};
use crate::{
    config::{AGENT_SOCKET, Config, Opening, Sockets},
    grpc::Role,
    serve::{ADMIN_SOCKET, READ_SOCKET},
};
use plan::{Coordinator, Host, HostAgent, Line, Missing, Node, NodeAgent, Seen};

mod plan;
#[cfg(test)]
mod tests;

const AGENT: &str = "/usr/sbin/pvelens-agent";
const TOKEN_SECONDS: u32 = 3600;

#[derive(Debug, Args)]
pub(super) struct Setup {
    /// Make what nodes join with, without asking
    #[arg(long)]
    yes: bool,
    /// File of settings [default: /etc/pvelens/pvelens.toml if it is there]
    #[arg(long, value_name = "FILE", env = "PVELENS_CONFIG")]
    config: Option<PathBuf>,
    /// Directory of the coordinator's sockets [default: that of the settings]
    #[arg(long, value_name = "DIRECTORY")]
    sockets: Option<PathBuf>,
}

impl Setup {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let settings = config::load(self.config.as_deref())?;
        let sockets = self
            .sockets
            .clone()
            .unwrap_or_else(|| settings.sockets.directory.clone());
        let seen = look(&System::open(), &settings, &sockets);
        print(&seen.state())?;
        print(&seen.here())?;
        for missing in seen.missing() {
            let line = self.line(&seen, &missing, &sockets)?;
            print(&seen.elsewhere(&missing, &line))?;
        }
        print(&seen.end())?;
        Ok(match seen.coordinator {
            Coordinator::Answers(_) => 0,
            _ => NOT_ASSESSED,
        })
    }

    fn line(&self, seen: &Seen, missing: &Missing, sockets: &Path) -> Result<Line, Failure> {
        if seen.is_closed {
            return Ok(Line::NotAsked);
        }
        if !self.yes {
            if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
                return Ok(Line::NotAsked);
            }
            if !asked(missing)? {
                return Ok(Line::Declined);
            }
        }
        client::run(make(missing, sockets.join(ADMIN_SOCKET)))
    }
}

/// Whether the person at the terminal wants it.
fn asked(missing: &Missing) -> Result<bool, Failure> {
    let many = missing.nodes.len().max(1);
    print(&format!(
        "\nMake a line with which {} can join within the next hour? [y/N] ",
        if many == 1 {
            "1 node".to_owned()
        } else {
            format!("{many} nodes")
        }
    ))?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}

async fn make(missing: &Missing, socket: PathBuf) -> Result<Line, Failure> {
    let channel = client::open(&socket, Role::Admin).await?;
    let node_name = match missing.nodes.as_slice() {
        [one] => one.clone(),
        _ => String::new(),
    };
    let request = CreateTokenRequest {
        node_name,
        cluster: missing.cluster_id.clone(),
        node_count: u32::try_from(missing.nodes.len()).unwrap_or(u32::MAX),
        valid_seconds: TOKEN_SECONDS,
        render: None,
    };
    let made = EnrollmentServiceClient::new(channel)
        .create_token(request)
        .await;
    let made = made.map_err(|status| refused(&status))?.into_inner();
    let until = made
        .token
        .and_then(|token| token.expires_at)
        .and_then(|at| Timestamp::from_second(at.seconds).ok())
        .map(|at| at.to_zoned(TimeZone::UTC).strftime("%H:%M UTC").to_string());
    Ok(Line::Made {
        text: made.join_line.trim_end().to_owned(),
        until: until.unwrap_or_default(),
    })
}

fn look(system: &System, settings: &Config, directory: &Path) -> Seen {
    let sockets = Sockets {
        directory: directory.to_owned(),
        ..settings.sockets.clone()
    };
    let is_running = system
        .place(Path::new(AGENT_SOCKET))
        .is_ok_and(|it| it.is_socket);
    let host = Host {
        name: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        is_pve_node: system.exists("/etc/pve"),
        agent: match (is_running, system.exists(AGENT)) {
            (true, _) => HostAgent::Running,
            (false, true) => HostAgent::Stopped,
            (false, false) => HostAgent::Absent,
        },
    };
    let coordinator = if would_start(system, &sockets) {
        Coordinator::Stopped
    } else {
        match client::run(nodes(&directory.join(READ_SOCKET))) {
            Ok(nodes) => Coordinator::Answers(nodes),
            Err(failure) => Coordinator::Failed(failure.to_string()),
        }
    };
    Seen {
        host,
        coordinator,
        is_closed: settings.link.enabled == Opening::Off,
    }
}

/// The nodes that the coordinator knows of, and whether their agents are there.
async fn nodes(socket: &Path) -> Result<Vec<Node>, Failure> {
    let channel = client::open(socket, Role::Reader).await?;
    let mut inventory =
        InventoryServiceClient::new(channel.clone()).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
    let clusters = inventory
        .get_cluster_status(GetClusterStatusRequest::default())
        .await;
    let clusters = clusters.map_err(|status| refused(&status))?.into_inner();
    let nodes = inventory.list_nodes(ListNodesRequest::default()).await;
    let nodes = nodes.map_err(|status| refused(&status))?.into_inner();
    let mut fleet = FleetServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
    let agents = fleet.list_agents(ListAgentsRequest::default()).await;
    let agents = agents.map_err(|status| refused(&status))?.into_inner();
    let seen = nodes.nodes.into_iter().map(|node| {
        let cluster = clusters
            .clusters
            .iter()
            .find(|it| it.cluster_id == node.cluster_id);
        let own = |is_connected: bool| {
            agents.agents.iter().any(|it| {
                it.cluster_id == node.cluster_id
                    && it.node == node.name
                    && it.connected == is_connected
            })
        };
        let agent = match (own(true), own(false)) {
            (true, _) => NodeAgent::Connected,
            (false, true) => NodeAgent::Lost,
            (false, false) => NodeAgent::None,
        };
        Node {
            cluster: cluster.map(|it| it.name.clone()).unwrap_or_default(),
            cluster_id: node.cluster_id,
            name: node.name,
            agent,
        }
    });
    Ok(seen.collect())
}
