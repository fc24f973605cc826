//! Links to agents that behave, and to those that do not.

use std::sync::Mutex;

use futures::stream::{self, BoxStream, StreamExt};
use pvelens_proto::agent::v1::{
    Cursor, GetSelfReportRequest, GetSelfReportResponse, NoData, Sample,
    node_agent_service_server::{NodeAgentService, NodeAgentServiceServer},
    sample::Payload,
};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, transport::Server};

use super::*;
use crate::{check::Params, store::AgentRecord};

fn at() -> Timestamp {
    Timestamp::from_second(1_795_600_000).unwrap()
}

/// Sends one update per stream and then, as told, ends the stream or is silent.
#[derive(Debug)]
struct FakeAgent {
    node: &'static str,
    silent: bool,
    asked: Arc<Mutex<Vec<WatchRequest>>>,
}

#[tonic::async_trait]
impl NodeAgentService for FakeAgent {
    type WatchStream = BoxStream<'static, Result<WatchResponse, Status>>;

    async fn describe(
        &self,
        _: Request<DescribeRequest>,
    ) -> Result<Response<DescribeResponse>, Status> {
        Ok(Response::new(DescribeResponse {
            agent_version: "0.1.0".to_owned(),
            node_name: self.node.to_owned(),
            epoch: "e1".to_owned(),
            started_at: Some(pvelens_proto::timestamp_from_millis(at().as_millisecond())),
            ..DescribeResponse::default()
        }))
    }

    async fn get_self_report(
        &self,
        _: Request<GetSelfReportRequest>,
    ) -> Result<Response<GetSelfReportResponse>, Status> {
        Err(Status::unimplemented("a coordinator does not ask this"))
    }

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let mut asked = self.asked.lock().unwrap();
        asked.push(request.into_inner());
        let sequence = u64::try_from(asked.len()).unwrap();
        let now = Some(pvelens_proto::timestamp_from_millis(at().as_millisecond()));
        let heartbeat = Event::Heartbeat(Heartbeat {
            sent_at: now,
            newest: None,
        });
        let update = Event::Update(NodeUpdate {
            cursor: Some(Cursor {
                epoch: "e1".to_owned(),
                sequence,
            }),
            samples: vec![Sample {
                collector: "pressure".to_owned(),
                observed_at: now,
                interval_seconds: 10,
                payload: Some(Payload::NoData(NoData {
                    reason: "not built in".to_owned(),
                })),
                ..Sample::default()
            }],
            ..NodeUpdate::default()
        });
        let events =
            stream::iter([heartbeat, update]).map(|event| Ok(WatchResponse { event: Some(event) }));
        Ok(Response::new(if self.silent {
            events.chain(stream::pending()).boxed()
        } else {
            events.boxed()
        }))
    }
}

/// An agent, and a coordinator that follows it.
struct Followed {
    coordinator: Arc<Coordinator>,
    news: Arc<Notify>,
    asked: Arc<Mutex<Vec<WatchRequest>>>,
    shutdown: CancellationToken,
    _directory: TempDir,
}

impl Followed {
    fn new(node: Option<&'static str>, silent: bool) -> Self {
        let directory = TempDir::new().unwrap();
        let socket = directory.path().join("agent.sock");
        let asked = Arc::new(Mutex::default());
        if let Some(node) = node {
            let listener = UnixListener::bind(&socket).unwrap();
            let agent = FakeAgent {
                node,
                silent,
                asked: Arc::clone(&asked),
            };
            tokio::spawn(
                Server::builder()
                    .add_service(NodeAgentServiceServer::new(agent))
                    .serve_with_incoming(UnixListenerStream::new(listener)),
            );
        }
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
            asked,
            shutdown,
            _directory: directory,
        }
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
    let asked = followed.asked.lock().unwrap();
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

#[tokio::test]
async fn a_node_name_that_is_none_is_refused() {
    let followed = Followed::new(Some("pve1\u{1b}[2J/../x"), false);
    let agent = followed.until(|agent| !agent.last_error.is_empty()).await;
    assert!(agent.last_error.contains("no host name"), "{agent:?}");
    assert!(!agent.last_error.contains('\u{1b}'));
    assert!(followed.asked.lock().unwrap().is_empty());
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
