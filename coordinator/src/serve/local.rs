//! Agents behind sockets of this machine: its own one, those that the settings name, and
//! those that appear in a directory.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Notify, task, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

use crate::{
    config::Agents,
    coordinator::Coordinator,
    link::{self, Clock},
};

/// What a connection to an agent needs.
pub(super) struct Local {
    pub(super) coordinator: Arc<Coordinator>,
    pub(super) clock: Clock,
    pub(super) news: Arc<Notify>,
    pub(super) tasks: TaskTracker,
    pub(super) shutdown: CancellationToken,
}

impl Local {
    /// Follows all of them. One whose socket is gone is tried on: it may come back, and its
    /// silence shows. The machine's `own` is waited for as long as the directory is not
    /// there that its package makes: a coordinator may be where no agent is.
    pub(super) async fn follow(self, agents: Agents, own: PathBuf) {
        let mut followed = BTreeSet::new();
        let mut follow = |socket: PathBuf| {
            if followed.insert(socket.clone()) {
                self.tasks.spawn(link::watch_agent(
                    Arc::clone(&self.coordinator),
                    socket,
                    Arc::clone(&self.clock),
                    Arc::clone(&self.news),
                    self.shutdown.clone(),
                ));
            }
        };
        let mut awaited = agents.sockets.contains(&own).then(|| own.clone());
        let others = agents.sockets.into_iter().filter(|socket| *socket != own);
        others.for_each(&mut follow);
        let mut last_failure = None;
        loop {
            if let Some(own) = awaited.take_if(|own| own.parent().is_none_or(Path::exists)) {
                follow(own);
            }
            if !agents.directory.as_os_str().is_empty() {
                let found = sockets_in(&agents.directory, &mut last_failure).await;
                found.into_iter().for_each(&mut follow);
            } else if awaited.is_none() {
                return;
            }
            sleep(Duration::from_secs(agents.rescan_seconds.into())).await;
        }
    }
}

/// The sockets in a directory. That it cannot be read is said once.
async fn sockets_in(directory: &Path, last_failure: &mut Option<io::ErrorKind>) -> Vec<PathBuf> {
    let looked_in = directory.to_owned();
    let found = task::spawn_blocking(move || link::sockets_in(&looked_in)).await;
    match found.unwrap_or_else(|defect| Err(io::Error::other(defect))) {
        Ok(sockets) => {
            *last_failure = None;
            sockets
        }
        Err(error) => {
            if *last_failure != Some(error.kind()) {
                let directory = directory.display();
                warn!(%directory, %error, "looking for agents");
            }
            *last_failure = Some(error.kind());
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tempfile::TempDir;

    use super::*;
    use crate::check::Params;

    #[tokio::test]
    async fn no_agent_on_this_machine_is_no_lost_one() {
        let directory = TempDir::new().unwrap();
        let own = directory.path().join("agent/local.sock");
        let other = directory.path().join("other.sock");
        let coordinator = Arc::new(Coordinator::new(Params::default()));
        let tasks = TaskTracker::new();
        let local = Local {
            coordinator: Arc::clone(&coordinator),
            clock: Arc::new(|| Timestamp::UNIX_EPOCH),
            news: Arc::default(),
            tasks: tasks.clone(),
            shutdown: CancellationToken::new(),
        };
        let agents = Agents {
            sockets: vec![own.clone(), other.clone()],
            directory: PathBuf::new(),
            rescan_seconds: 1,
        };
        let following = tokio::spawn(local.follow(agents, own.clone()));
        let missed = async |count: usize| {
            loop {
                let agents = coordinator.live().agents();
                if agents.len() >= count {
                    break agents;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        // Who is named is missed at once, and nobody else is followed.
        assert_eq!(missed(1).await[0].address, other.display().to_string());
        assert_eq!(tasks.len(), 1);
        std::fs::create_dir(own.parent().unwrap()).unwrap();
        assert_eq!(missed(2).await[0].address, own.display().to_string());
        // There is nothing left to look for.
        following.await.unwrap();
    }
}
