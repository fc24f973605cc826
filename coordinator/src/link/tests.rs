//! Links to agents that behave, and to those that do not.

use std::{sync::mpsc, thread};

use pvelens_proto::agent::v1::AuditHead;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{
    fixture::{FakeAgent, at},
    *,
};
use crate::{
    check::Params,
    guest_command::heads,
    live::AgentRecord,
    view::{ClusterId, Name},
};

mod reverse;

/// An agent, and a coordinator that follows it.
struct Followed {
    coordinator: Arc<Coordinator>,
    news: Arc<Notify>,
    agent: Option<Arc<FakeAgent>>,
    shutdown: CancellationToken,
    directory: TempDir,
}

impl Followed {
    fn new(node: Option<&'static str>, silent: bool) -> Self {
        Self::with(node.map(|node| FakeAgent {
            node,
            silent,
            ..FakeAgent::default()
        }))
    }

    fn with(agent: Option<FakeAgent>) -> Self {
        let directory = TempDir::new().unwrap();
        let socket = directory.path().join("agent.sock");
        let agent = agent.map(|agent| agent.serve(&socket));
        let coordinator = Arc::new(Coordinator::new(Params::default()));
        let news = Arc::new(Notify::new());
        let shutdown = CancellationToken::new();
        tokio::spawn(watch_agent(
            Arc::clone(&coordinator),
            socket,
            Arc::new(at),
            Arc::clone(&news),
            shutdown.clone(),
        ));
        Self {
            coordinator,
            news,
            agent,
            shutdown,
            directory,
        }
    }

    fn agent(&self) -> &FakeAgent {
        self.agent.as_ref().unwrap()
    }

    /// Waits until the agent is as wanted.
    async fn until(&self, wanted: impl Fn(&AgentRecord) -> bool) -> AgentRecord {
        loop {
            self.news.notified().await;
            let agents = self.coordinator.evaluate(at()).agents.clone();
            if let Some(agent) = agents.into_iter().find(&wanted) {
                return agent;
            }
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

#[tokio::test]
async fn updates_arrive_and_the_next_connection_resumes_after_them() {
    let followed = Followed::new(Some("pve1"), false);
    let agent = followed
        .until(|agent| agent.updates_total > 0 && !agent.connected)
        .await;
    assert_eq!(agent.node, "pve1");
    assert_eq!(agent.last_error, "the agent closed the connection");
    followed.until(|agent| agent.updates_total > 1).await;
    let asked = followed.agent().watched.lock().unwrap();
    assert_eq!(asked[0].cursor, None);
    let resumed = asked[1].cursor.clone().unwrap();
    assert_eq!((resumed.epoch.as_str(), resumed.sequence), ("e1", 1));
}

#[tokio::test]
async fn an_agent_that_is_not_there_shows_with_its_reason() {
    let followed = Followed::new(None, false);
    let agent = followed.until(|agent| !agent.last_error.is_empty()).await;
    assert_eq!(agent.last_error, "no such socket; is the agent running?");
    assert!(agent.address.ends_with("agent.sock"));
    assert!(!agent.connected);
}

/// A view of many guests takes a while, and answers come from the same tasks.
#[tokio::test]
async fn no_task_waits_while_the_store_is_in_use() {
    for agent in [None, Some("pve1")] {
        let followed = Followed::new(agent, false);
        let coordinator = Arc::clone(&followed.coordinator);
        let (locked, is_locked) = oneshot::channel();
        let (release, released) = mpsc::channel();
        let user = thread::spawn(move || {
            let live = coordinator.live();
            locked.send(()).unwrap();
            // Not for ever, so that it fails.
            let released = released.recv_timeout(Duration::from_secs(20));
            drop(live);
            released.is_ok()
        });
        is_locked.await.unwrap();
        // There is one thread for all tasks. The link has something to note meanwhile.
        sleep(Duration::from_millis(200)).await;
        let is_told = release.send(()).is_ok();
        assert!(
            user.join().unwrap() && is_told,
            "a task waited for the newest samples"
        );
        followed.until(|agent| !agent.last_error.is_empty()).await;
    }
}

#[tokio::test]
async fn a_node_name_that_is_none_is_refused() {
    let followed = Followed::new(Some("pve1\u{1b}[2J/../x"), false);
    let agent = followed.until(|agent| !agent.last_error.is_empty()).await;
    assert!(agent.last_error.contains("no host name"), "{agent:?}");
    assert!(!agent.last_error.contains('\u{1b}'));
    assert!(followed.agent().watched.lock().unwrap().is_empty());
}

#[tokio::test]
async fn silence_ends_a_connection() {
    let followed = Followed::new(Some("pve1"), true);
    followed.until(|agent| agent.updates_total > 0).await;
    // From here on nothing but time passes.
    tokio::time::pause();
    let agent = followed.until(|agent| !agent.connected).await;
    assert_eq!(agent.last_error, "the agent sent nothing for 60 s");
}

#[tokio::test]
async fn an_agent_can_be_called_as_long_as_it_is_connected() {
    let followed = Followed::with(Some(FakeAgent::silent("pve1")));
    followed.until(|agent| agent.connected).await;
    let agents = followed.coordinator.agents();
    assert!(agents.of("c0ffee", "pve2").is_none());
    assert!(agents.of("other", "pve1").is_none());
    assert_eq!(agents.nodes_of("c0ffee"), [Name::from("pve1")]);
    let agent = agents.of("c0ffee", "pve1").unwrap();
    let list = agent.list_guest_commands(Some(100)).await.unwrap();
    assert!(list.commands.iter().any(|command| command.id == "load"));
    followed.shutdown.cancel();
    while followed.coordinator.agents().of("c0ffee", "pve1").is_some() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn the_later_of_two_agents_of_one_name_counts_and_the_earlier_takes_nothing_with_it() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let handle = || Handle::new(endpoint().connect_lazy(), Arc::new(at));
    let key = || (ClusterId::from("c"), Name::from("pve1"));
    let agents = Agents::default();
    let earlier = agents.hold(key(), handle());
    let later = agents.hold(key(), handle());
    drop(earlier);
    assert!(agents.of("c", "pve1").is_some());
    drop(later);
    assert!(agents.of("c", "pve1").is_none());
}

fn head(sequence: u64, digit: &str) -> AuditHead {
    AuditHead {
        sequence,
        hash: digit.repeat(64),
    }
}

#[tokio::test]
async fn where_the_record_of_guest_commands_ends_is_shown() {
    let agent = FakeAgent::silent("pve1");
    *agent.head.lock().unwrap() = Some(head(7, "a"));
    let followed = Followed::with(Some(agent));
    let agent = followed.until(|agent| agent.audit_sequence.is_some()).await;
    assert_eq!((agent.audit_sequence, &*agent.audit_problem), (Some(7), ""));
}

#[tokio::test]
async fn without_heartbeats_the_record_is_asked_for() {
    let agent = FakeAgent::silent("pve1");
    agent.record.lock().unwrap().head = Some(head(7, "a"));
    let followed = Followed::with(Some(agent));
    let agent = followed.until(|agent| agent.audit_sequence.is_some()).await;
    assert_eq!((agent.audit_sequence, &*agent.audit_problem), (Some(7), ""));
}

#[tokio::test]
async fn a_record_that_became_shorter_is_asked_about_and_shown() {
    let agent = FakeAgent::silent("pve1");
    *agent.head.lock().unwrap() = Some(head(7, "a"));
    agent.record.lock().unwrap().head = Some(head(7, "a"));
    let mut followed = Followed::with(None);
    let place = heads::Place {
        cluster: "c0ffee".to_owned(),
        node: "pve1".to_owned(),
    };
    let heads = followed.coordinator.guest_commands().heads();
    heads.note(&place, &head(9, "b"), at());
    let socket = followed.directory.path().join("agent.sock");
    followed.agent = Some(agent.serve(&socket));
    let agent = followed
        .until(|agent| !agent.audit_problem.is_empty())
        .await;
    assert_eq!(agent.audit_sequence, Some(9));
    assert!(
        agent
            .audit_problem
            .contains("pve1 was shortened or rewritten")
    );
}

#[test]
fn delays_grow_to_their_limit_and_never_end() {
    let delays: Vec<Duration> = delays().take(20).collect();
    assert!(delays[0] >= SHORTEST_DELAY && delays[0] < 3 * SHORTEST_DELAY);
    assert!(delays[19] >= LONGEST_DELAY && delays[19] <= 2 * LONGEST_DELAY);
}

#[test]
fn sockets_of_a_directory_are_found_and_none_is_no_error() {
    let directory = TempDir::new().unwrap();
    for name in ["pve2.sock", "pve1.sock", "notes.txt"] {
        std::fs::write(directory.path().join(name), "").unwrap();
    }
    let found = sockets_in(directory.path()).unwrap();
    let names: Vec<_> = found
        .iter()
        .filter_map(|path| path.file_name()?.to_str())
        .collect();
    assert_eq!(names, ["pve1.sock", "pve2.sock"]);
    assert!(
        sockets_in(&directory.path().join("none"))
            .unwrap()
            .is_empty()
    );
}
