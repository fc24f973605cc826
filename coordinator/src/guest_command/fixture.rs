//! A coordinator for tests, with one connected agent and a VM on its node.

use std::sync::Arc;

use tempfile::TempDir;
use tokio::{sync::Notify, task};
use tokio_util::sync::CancellationToken;

use super::{GuestCommands, heads::Heads, narrow::Narrow};
use crate::{
    answer::tests::with,
    check::Params,
    config,
    coordinator::{Coordinator, Current},
    link::{
        self,
        fixture::{FakeAgent, at},
    },
    view::fixture,
};

/// VM 100 (`web`) and container 101 (`dns`) of the cluster `lab`; the VM is on pve1,
/// whose agent is connected.
pub(crate) struct World {
    pub(crate) coordinator: Arc<Coordinator>,
    pub(crate) agent: Arc<FakeAgent>,
    shutdown: CancellationToken,
    _directory: TempDir,
}

pub(crate) fn lab() -> Current {
    with(fixture::healthy())
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(FakeAgent::silent("pve1"), &[]).await
    }

    /// With an agent, and what the coordinator does not ask for.
    pub(crate) async fn with(agent: FakeAgent, deny: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let socket = directory.path().join("agent.sock");
        let agent = agent.serve(&socket);
        let settings = config::GuestCommands {
            deny: deny.iter().map(|name| (*name).to_owned()).collect(),
            ..config::GuestCommands::default()
        };
        let commands = GuestCommands::new(Narrow::new(&settings).unwrap(), Heads::default());
        let coordinator = Coordinator::with_guest_commands(Params::default(), commands);
        let coordinator = Arc::new(coordinator);
        coordinator.publish(lab());
        let shutdown = CancellationToken::new();
        tokio::spawn(link::watch_agent(
            Arc::clone(&coordinator),
            socket,
            Arc::new(at),
            Arc::new(Notify::new()),
            shutdown.clone(),
        ));
        while coordinator.agents().of("c0ffee", agent.node).is_none() {
            task::yield_now().await;
        }
        Self {
            coordinator,
            agent,
            shutdown,
            _directory: directory,
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
