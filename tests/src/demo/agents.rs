//! The agents of the demonstration: the real service on a Unix socket for each
//! node, over the simulated tree and clock.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use pvelens_agent::{
    audit::Audit,
    guest::Guests,
    host::Host,
    ledger::Ledger,
    sampler::Sampler,
    service::{self, NodeAgent, Slot},
    spool::Spool,
};
use pvelens_proto::agent::v1::{
    DescribeRequest, DescribeResponse, node_agent_service_server::NodeAgentService,
};
use tokio::net::UnixListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::Request;
use tracing::warn;

use super::DemoError;
use crate::{
    run::{RunError, host},
    sim::Cluster,
};

/// One node's agent.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) description: DescribeResponse,
    pub(super) socket: PathBuf,
    pub(super) spool: Arc<Spool>,
    sampler: Sampler,
    /// Cancelled when the node goes away.
    up: CancellationToken,
}

impl Agent {
    /// Binds the socket and serves until `shutdown`.
    pub(super) async fn start(
        cluster: &Cluster,
        index: usize,
        directory: &Path,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Result<Self, DemoError> {
        let node = cluster.state().nodes[index].name.clone();
        let host = host(cluster, index)?;
        let spool = Arc::new(Spool::new(format!("{node}-1")));
        let ledger = Ledger::new(Arc::clone(&host), Arc::clone(&spool), Vec::new());
        let agent = NodeAgent::with_guests(
            Arc::clone(&host),
            Arc::clone(&spool),
            Arc::new(ledger),
            guests(&host),
        );
        let description = agent
            .describe(Request::new(DescribeRequest {}))
            .await
            .map_err(|_| RunError::Describe(node.clone()))?
            .into_inner();
        let socket = directory.join(format!("{node}.sock"));
        remove_left_over(&socket)?;
        let listener = UnixListener::bind(&socket)?;
        let up = shutdown.child_token();
        let ended = up.clone();
        tasks.spawn(async move {
            if let Err(error) = service::serve(listener, agent, ended).await {
                warn!(node, %error, "the agent ended");
            }
        });
        Ok(Self {
            description,
            socket,
            sampler: Sampler::new(host, Arc::clone(&spool)),
            spool,
            up,
        })
    }

    /// Samples what is due, or is gone together with its node.
    pub(super) fn tick(&mut self, reachable: bool) {
        if reachable {
            self.sampler.tick_blocking();
        } else {
            self.up.cancel();
        }
    }

    pub(super) fn is_up(&self) -> bool {
        !self.up.is_cancelled()
    }
}

/// A socket of an earlier run in a directory that was kept.
fn remove_left_over(socket: &Path) -> io::Result<()> {
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Guest commands, whose record is gone with the demonstration.
fn guests(host: &Arc<Host>) -> Slot {
    let guests = Guests::new(Arc::clone(host), Audit::in_memory());
    let slot = Slot::default();
    // Nobody else fills it.
    slot.set(guests.map(Arc::new).map_err(|error| error.to_string()))
        .ok();
    slot
}
