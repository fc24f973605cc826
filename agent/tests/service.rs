//! The agent from its files to a client on a real socket.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests write the node, and are the coordinator that connects"
)]

mod node;

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use hyper_util::rt::TokioIo;
use node::Node;
use pvelens_agent::{
    collector::COLLECTORS,
    host::{Clock, Host},
    sampler::Sampler,
    service::{NodeAgent, ServeError, serve},
    spool::Spool,
};
use pvelens_proto::agent::v1::{
    Cursor, DescribeRequest, NodeUpdate, WatchRequest, WatchResponse,
    node_agent_service_client::NodeAgentServiceClient, sample::Payload, watch_response::Event,
};
use tokio::{net::UnixStream, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::{
    Streaming,
    transport::{Channel, Endpoint},
};
use tower::service_fn;

/// A simulated node that is served, and the hand on its clock.
struct Served {
    node: Node,
    socket: PathBuf,
    clock: Arc<AtomicI64>,
    sampler: Sampler,
    shutdown: CancellationToken,
    serving: JoinHandle<Result<(), ServeError>>,
}

impl Served {
    fn start() -> Self {
        let node = Node::new();
        let clock = Arc::new(AtomicI64::new(1_795_349_087_000));
        let host = Host::open(node.root()).unwrap();
        let host = Arc::new(host.with_clock(Clock::Fixed(Arc::clone(&clock))));
        let spool = Arc::new(Spool::new("first".to_owned()));
        let agent = NodeAgent::new(Arc::clone(&host), Arc::clone(&spool));
        let socket = node.root().join("agent.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let shutdown = CancellationToken::new();
        Self {
            serving: tokio::spawn(serve(listener, agent, shutdown.clone())),
            sampler: Sampler::new(host, spool),
            node,
            socket,
            clock,
            shutdown,
        }
    }

    /// Ten seconds pass on the node.
    fn tick(&mut self) -> NodeUpdate {
        self.clock.fetch_add(10_000, Ordering::AcqRel);
        self.sampler.tick_blocking().unwrap()
    }

    async fn client(&self) -> NodeAgentServiceClient<Channel> {
        let socket = self.socket.clone();
        let channel = Endpoint::from_static("http://node")
            .connect_with_connector(service_fn(move |_| {
                let socket = socket.clone();
                async move { UnixStream::connect(socket).await.map(TokioIo::new) }
            }))
            .await
            .unwrap();
        NodeAgentServiceClient::new(channel)
    }

    async fn watch(&self, cursor: Option<Cursor>) -> Streaming<WatchResponse> {
        let request = WatchRequest { cursor };
        self.client()
            .await
            .watch(request)
            .await
            .unwrap()
            .into_inner()
    }
}

async fn event(stream: &mut Streaming<WatchResponse>) -> Event {
    timeout(Duration::from_secs(5), stream.message())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
        .event
        .unwrap()
}

async fn update(stream: &mut Streaming<WatchResponse>) -> NodeUpdate {
    match event(stream).await {
        Event::Update(update) => update,
        Event::Heartbeat(beat) => panic!("{beat:?}"),
    }
}

#[tokio::test]
async fn a_client_learns_who_the_node_is_and_what_is_read() {
    let served = Served::start();
    let description = served
        .client()
        .await
        .describe(DescribeRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(description.node_name, "pve1");
    assert_eq!(description.cluster_id.len(), 64);
    assert!(description.is_pve_node);
    assert_eq!(description.epoch, "first");
    assert_eq!(description.collectors.len(), COLLECTORS.len());
    assert!(
        description
            .collectors
            .iter()
            .all(|collector| !collector.paths.is_empty())
    );
}

#[tokio::test]
async fn a_reader_follows_the_node_and_goes_on_where_it_stopped() {
    let mut served = Served::start();
    let mut stream = served.watch(None).await;
    let Event::Heartbeat(beat) = event(&mut stream).await else {
        panic!("a stream begins with a heartbeat");
    };
    assert_eq!(beat.newest.unwrap().sequence, 0);
    let first = served.tick();
    assert_eq!(update(&mut stream).await, first);
    assert_eq!(first.samples.len(), COLLECTORS.len());
    let second = served.tick();
    let received = update(&mut stream).await;
    assert_eq!(received, second);
    drop(stream);

    served.tick();
    let fourth = served.tick();
    let mut stream = served.watch(received.cursor).await;
    assert!(matches!(event(&mut stream).await, Event::Heartbeat(_)));
    assert_eq!(update(&mut stream).await.cursor.unwrap().sequence, 3);
    assert_eq!(update(&mut stream).await, fourth);

    // A reader of an earlier life of the agent begins anew.
    let old = Cursor {
        epoch: "before".to_owned(),
        sequence: 3,
    };
    let mut stream = served.watch(Some(old)).await;
    assert!(matches!(event(&mut stream).await, Event::Heartbeat(_)));
    assert_eq!(update(&mut stream).await, first);
}

#[tokio::test]
async fn a_change_of_configuration_reaches_the_reader_with_the_next_update() {
    let mut served = Served::start();
    let mut stream = served.watch(None).await;
    assert!(matches!(event(&mut stream).await, Event::Heartbeat(_)));
    served.tick();
    update(&mut stream).await;
    let path = "etc/pve/nodes/pve1/qemu-server/101.conf";
    fs::write(served.node.path(path), "name: renamed\n").unwrap();
    let versions = fs::read_to_string(served.node.path("etc/pve/.version")).unwrap();
    fs::write(
        served.node.path("etc/pve/.version"),
        versions.replace("\"vmlist\": 3", "\"vmlist\": 4"),
    )
    .unwrap();
    served.tick();
    let update = update(&mut stream).await;
    let configs = update
        .samples
        .iter()
        .find_map(|sample| match &sample.payload {
            Some(Payload::GuestConfigs(configs)) => Some(configs),
            _ => None,
        });
    let names: Vec<_> = configs
        .unwrap()
        .guests
        .iter()
        .map(|guest| guest.settings.as_ref().unwrap().name.as_str())
        .collect();
    assert_eq!(names, ["renamed", "dns1"]);
}

#[tokio::test]
async fn at_the_end_open_streams_end_too() {
    let served = Served::start();
    let mut stream = served.watch(None).await;
    assert!(matches!(event(&mut stream).await, Event::Heartbeat(_)));
    served.shutdown.cancel();
    let end = timeout(Duration::from_secs(5), stream.message())
        .await
        .unwrap();
    assert!(!matches!(end, Ok(Some(_))));
    drop(stream);
    let served = timeout(Duration::from_secs(5), served.serving).await;
    served.unwrap().unwrap().unwrap();
}
