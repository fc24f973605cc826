//! Links that dial in, over real TCP and TLS.

use std::net::Ipv4Addr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
};

use super::*;
use crate::{
    config::{Config, Opening},
    port::{PortState, Turned},
    trust::fixture::{Holder, Kept, hours, now, wish},
};

const CLUSTER: &str = "c0ffee";

/// A coordinator that listens for links.
struct Listens {
    kept: Kept,
    coordinator: Arc<Coordinator>,
    settings: watch::Sender<Arc<Config>>,
    shutdown: CancellationToken,
}

impl Listens {
    fn new() -> Self {
        let kept = Kept::new();
        let coordinator = Arc::new(Coordinator::new(Params::default()));
        let shutdown = CancellationToken::new();
        let mut config = Config::default();
        config.link.listen = (Ipv4Addr::LOCALHOST, 0).into();
        let settings = watch::Sender::new(Arc::new(config));
        let listening = Listening {
            coordinator: Arc::clone(&coordinator),
            trust: Arc::clone(&kept.trust),
            clock: Arc::new(now),
            news: Arc::default(),
            settings: settings.subscribe(),
        };
        tokio::spawn(listening.run(shutdown.clone()));
        Self {
            kept,
            coordinator,
            settings,
            shutdown,
        }
    }

    async fn address(&self) -> std::net::SocketAddr {
        loop {
            if let PortState::Open(address) = self.coordinator.ports().link.state() {
                return address;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn dial(&self, agent: FakeAgent, holder: Holder) -> Dialled {
        let address = self.address().await;
        let agent = Arc::new(agent);
        let dialling = Arc::clone(&agent);
        let link = tokio::spawn(async move { dialling.dial(address, &holder).await });
        Dialled { agent, link }
    }

    /// Waits until an agent is as wanted.
    async fn until(&self, wanted: impl Fn(&AgentRecord) -> bool) -> AgentRecord {
        loop {
            let agents = self.coordinator.evaluate(now()).agents.clone();
            if let Some(agent) = agents.into_iter().find(&wanted) {
                return agent;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn ended(&self, reason: &str) -> u64 {
        let figures = self.coordinator.agents().counts().figures();
        figures.ended_total.get(reason).copied().unwrap_or(0)
    }
}

impl Drop for Listens {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// An agent that dialled in.
struct Dialled {
    agent: Arc<FakeAgent>,
    link: JoinHandle<()>,
}

fn agent(node: &'static str) -> FakeAgent {
    FakeAgent::silent(node)
}

#[tokio::test]
async fn the_port_opens_with_the_first_invitation_and_a_node_is_reached_through_it() {
    let listens = Listens::new();
    assert_eq!(listens.coordinator.ports().link.state(), PortState::Closed);
    let holder = listens.kept.trust.join(CLUSTER, "pve1");
    // It belongs here, and is missed before it was ever heard.
    let missed = listens.until(|agent| agent.node == "pve1").await;
    assert!(!missed.connected);
    let _link = listens.dial(agent("pve1"), holder).await;
    let record = listens
        .until(|agent| agent.connected && agent.updates_total > 0)
        .await;
    assert_eq!((&*record.cluster, &*record.node), (CLUSTER, "pve1"));
    assert_eq!(record.transport, crate::live::Transport::Link);
    assert!(record.certificate_expires_at > Some(now() + hours(24 * 89)));
    let handle = listens.coordinator.agents().of(CLUSTER, "pve1").unwrap();
    handle.describe().await.unwrap();
}

#[tokio::test]
async fn a_port_that_is_not_wanted_any_more_closes_with_its_links() {
    let listens = Listens::new();
    let holder = listens.kept.trust.join(CLUSTER, "pve1");
    let link = listens.dial(agent("pve1"), holder).await;
    listens.until(|agent| agent.connected).await;
    listens.settings.send_modify(|config| {
        Arc::make_mut(config).link.enabled = Opening::Off;
    });
    link.link.await.unwrap();
    while listens.coordinator.ports().link.state() != PortState::Closed {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn revocation_ends_a_live_link_and_the_next_one_is_refused() {
    let listens = Listens::new();
    let holder = listens.kept.trust.join(CLUSTER, "pve1");
    let again = holder.again();
    let link = listens.dial(agent("pve1"), holder).await;
    listens.until(|agent| agent.connected).await;
    listens
        .kept
        .trust
        .revoke_node(CLUSTER, "pve1", now())
        .unwrap();
    link.link.await.unwrap();
    assert_eq!(listens.ended("certificate") + listens.ended("revoked"), 1);
    let link = listens.dial(agent("pve1"), again).await;
    link.link.await.unwrap();
    while listens
        .coordinator
        .ports()
        .link
        .turned_away(Turned::Certificate)
        == 0
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Whoever does not belong here is not missed.
    while !listens.coordinator.evaluate(now()).agents.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_expired_certificate_is_renewed_and_good_for_nothing_else() {
    let listens = Listens::new();
    let then = now() - hours(24 * 365);
    let holder = listens.kept.trust.join_at(CLUSTER, "pve1", then);
    let link = listens.dial(agent("pve1"), holder).await;
    link.link.await.unwrap();
    let installed = link.agent.installed.lock().unwrap().clone();
    let leaf = &installed[0].chain.as_ref().unwrap().certificates_der[0];
    let node = listens.kept.trust.node_of(leaf, now()).unwrap();
    assert_eq!((&*node.node, node.wants_renewal), ("pve1", false));
    assert!(link.agent.watched.lock().unwrap().is_empty());
    let record = listens.until(|agent| !agent.last_error.is_empty()).await;
    assert_eq!(record.node, "pve1");
    assert!(!record.connected && record.updates_total == 0);
    assert!(
        record.last_error.contains("renewed"),
        "{}",
        record.last_error
    );
}

#[tokio::test]
async fn a_certificate_is_renewed_over_a_live_link_in_time() {
    let listens = Listens::new();
    let then = now() - hours(24 * 40);
    let holder = listens.kept.trust.join_at(CLUSTER, "pve1", then);
    let link = listens.dial(agent("pve1"), holder).await;
    let fresh = now() + hours(24 * 89);
    listens
        .until(|agent| agent.connected && agent.certificate_expires_at > Some(fresh))
        .await;
    assert_eq!(link.agent.installed.lock().unwrap().len(), 1);
    assert!(!link.link.is_finished());
    // A new authority reaches nodes that are connected at once.
    listens.kept.trust.rotate(now()).unwrap();
    while link.agent.installed.lock().unwrap().len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let installed = link.agent.installed.lock().unwrap().pop().unwrap();
    assert_eq!(installed.authorities.len(), 2);
}

#[tokio::test]
async fn an_agent_that_never_takes_a_certificate_is_not_signed_for_without_end() {
    let listens = Listens::new();
    let then = now() - hours(24 * 365);
    let holder = listens.kept.trust.join_at(CLUSTER, "pve1", then);
    let mut signed = 0;
    while listens.ended("renewal_failed") == 0 {
        let link = listens.dial(agent("pve1"), holder.again()).await;
        link.link.await.unwrap();
        signed += link.agent.installed.lock().unwrap().len();
        assert!(signed < 20, "there is no end");
    }
    assert!(signed > 1);
    let record = listens
        .until(|agent| agent.last_error.contains("too many"))
        .await;
    assert!(!record.connected);
}

#[tokio::test]
async fn what_an_agent_says_it_is_must_be_what_its_certificate_says() {
    let listens = Listens::new();
    let trust = &listens.kept.trust;
    trust.join(CLUSTER, "pve2");
    let holder = trust.join(CLUSTER, "pve1");
    let link = listens.dial(agent("pve2"), holder).await;
    link.link.await.unwrap();
    assert_eq!(listens.ended("wrong_identity"), 1);
    let record = listens.until(|agent| !agent.last_error.is_empty()).await;
    assert_eq!(record.node, "pve1");
    assert!(record.last_error.contains("pve2"), "{}", record.last_error);
    let other = listens.until(|agent| agent.node == "pve2").await;
    assert!(!other.connected);
}

#[tokio::test]
async fn a_node_that_joined_a_cluster_takes_its_place_there() {
    let listens = Listens::new();
    let holder = listens.kept.trust.join("a10e", "pve1");
    let link = listens.dial(agent("pve1"), holder).await;
    link.link.await.unwrap();
    assert_eq!(listens.ended("renewed"), 1);
    let installed = link.agent.installed.lock().unwrap().pop().unwrap();
    let leaf = &installed.chain.unwrap().certificates_der[0];
    let node = listens.kept.trust.node_of(leaf, now()).unwrap();
    assert_eq!((&*node.cluster, &*node.node), (CLUSTER, "pve1"));
}

#[tokio::test]
async fn of_two_agents_with_one_identity_the_first_stays_and_it_shows() {
    let listens = Listens::new();
    let holder = listens.kept.trust.join(CLUSTER, "pve1");
    let copy = holder.again();
    let first = listens.dial(agent("pve1"), holder).await;
    listens.until(|agent| agent.connected).await;
    let clone = FakeAgent {
        epoch: "e2",
        ..agent("pve1")
    };
    let second = listens.dial(clone, copy).await;
    second.link.await.unwrap();
    assert_eq!(listens.ended("doubled_identity"), 1);
    let record = listens
        .until(|agent| !agent.identity_problem.is_empty())
        .await;
    assert!(record.connected && !first.link.is_finished());
    assert!(
        record.identity_problem.contains("127.0.0.1"),
        "{}",
        record.identity_problem
    );
}

#[tokio::test]
async fn a_second_way_to_the_same_agent_is_not_needed() {
    let listens = Listens::new();
    let holder = listens.kept.trust.join(CLUSTER, "pve1");
    let copy = holder.again();
    let first = listens.dial(agent("pve1"), holder).await;
    listens.until(|agent| agent.connected).await;
    let second = listens.dial(agent("pve1"), copy).await;
    second.link.await.unwrap();
    assert_eq!(listens.ended("second_way"), 1);
    assert!(!first.link.is_finished());
    let record = listens.until(|agent| agent.connected).await;
    assert_eq!(record.identity_problem, "");
}

#[tokio::test]
async fn garbage_is_counted_and_costs_nothing_else() {
    let listens = Listens::new();
    listens.kept.trust.ticket(wish("pve1", 1));
    let address = listens.address().await;
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 4096],
        b"\x16\x03\x01\xff\xff",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // It may be closed while it still writes.
        stream.write_all(bytes).await.ok();
        stream.shutdown().await.ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
    }
    let port = &listens.coordinator.ports().link;
    let turned = || port.turned_away(Turned::Garbage) + port.turned_away(Turned::Gone);
    while turned() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(listens.coordinator.evaluate(now()).agents.is_empty());
}
