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
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
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
use tempfile::TempDir;
use tokio::{
    net::UnixStream,
    task::JoinHandle,
    time::{sleep, timeout},
};
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
        client(&self.socket).await
    }

    async fn watch(&self, cursor: Option<Cursor>) -> Streaming<WatchResponse> {
        watch(self.client().await, cursor).await
    }
}

async fn client(socket: &Path) -> NodeAgentServiceClient<Channel> {
    let socket = socket.to_owned();
    let channel = Endpoint::from_static("http://node")
        .connect_with_connector(service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        }))
        .await
        .unwrap();
    NodeAgentServiceClient::new(channel)
}

async fn watch(
    mut client: NodeAgentServiceClient<Channel>,
    cursor: Option<Cursor>,
) -> Streaming<WatchResponse> {
    let request = WatchRequest {
        cursor,
        ..WatchRequest::default()
    };
    client.watch(request).await.unwrap().into_inner()
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
    // What a probe is asked is no path.
    let of_probes = |name: &str| {
        let asked = COLLECTORS.iter().find(|collector| collector.name == name);
        asked.is_some_and(|collector| !collector.probes.is_empty())
    };
    assert!(
        description
            .collectors
            .iter()
            .all(|collector| !collector.paths.is_empty() || of_probes(&collector.name))
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

/// The program on the machine that the tests run on, with a spool of its own.
struct Program {
    directory: TempDir,
    running: Option<Child>,
}

impl Program {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let spool = directory.path().join("spool");
        let settings = format!("[spool]\ndirectory = \"{}\"\n", spool.display());
        fs::write(directory.path().join("agent.toml"), settings).unwrap();
        Self {
            directory,
            running: None,
        }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("agent.sock")
    }

    async fn start(&mut self) -> NodeAgentServiceClient<Channel> {
        let socket = self.socket();
        let running = Command::new(env!("CARGO_BIN_EXE_pvelens-agent"))
            .arg("run")
            .arg("--config")
            .arg(self.directory.path().join("agent.toml"))
            .arg("--socket")
            .arg(&socket)
            .stderr(Stdio::null())
            .spawn();
        self.running = Some(running.unwrap());
        let connected = async {
            while UnixStream::connect(&socket).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(20), connected).await.unwrap();
        client(&socket).await
    }

    /// SIGKILL: nothing is said and nothing put in order.
    fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill().unwrap();
            running.wait().unwrap();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn update_of_program(stream: &mut Streaming<WatchResponse>) -> NodeUpdate {
    // It samples by the real clock, and looks at a real machine.
    loop {
        let message = timeout(Duration::from_secs(60), stream.message());
        if let Event::Update(update) = message.await.unwrap().unwrap().unwrap().event.unwrap() {
            return update;
        }
    }
}

#[tokio::test]
async fn a_reader_keeps_its_place_when_the_agent_is_killed_and_started_anew() {
    let mut program = Program::new();
    let client = program.start().await;
    let mut stream = watch(client.clone(), None).await;
    let mut place = update_of_program(&mut stream).await.cursor.unwrap();
    assert_eq!(place.sequence, 1);
    for _ in 0..2 {
        drop(stream);
        program.kill();
        let mut client = program.start().await;
        let description = client.describe(DescribeRequest {}).await.unwrap();
        assert_eq!(description.into_inner().epoch, place.epoch);
        stream = watch(client, Some(place.clone())).await;
        // It may be from before the end: the reader had not read all.
        let update = update_of_program(&mut stream).await;
        assert!(!update.baseline);
        assert_eq!(update.skipped_updates, 0);
        let next = update.cursor.unwrap();
        assert_eq!(
            (&next.epoch, next.sequence),
            (&place.epoch, place.sequence + 1)
        );
        place = next;
    }
    drop(stream);
    program.kill();

    // Without its files, it is another stream.
    fs::remove_dir_all(program.directory.path().join("spool")).unwrap();
    let client = program.start().await;
    let mut stream = watch(client, Some(place.clone())).await;
    let update = update_of_program(&mut stream).await.cursor.unwrap();
    assert_ne!(update.epoch, place.epoch);
    assert_eq!(update.sequence, 1);
}
