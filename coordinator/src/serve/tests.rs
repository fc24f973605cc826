//! The whole process but its signals: sockets, state and a clean end.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use pvelens_proto::v1::{ListAgentsRequest, fleet_service_client::FleetServiceClient};
use tempfile::TempDir;
use tokio::net::UnixStream;

use super::*;
use crate::{
    check::Params,
    config::{Agents, Evaluation, Http, Sockets},
    link,
    log::Level,
};

mod roles;
mod store;

fn config(directory: &TempDir) -> Config {
    Config {
        agents: Agents {
            sockets: Vec::new(),
            directory: directory.path().join("agents"),
            rescan_seconds: 1,
        },
        sockets: Sockets {
            directory: directory.path().join("run"),
            group: String::new(),
            operators_group: String::new(),
        },
        http: Http {
            enabled: true,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        },
        evaluation: Evaluation {
            minimum_interval_milliseconds: 100,
            maximum_interval_seconds: 1,
        },
        ..Config::default()
    }
}

fn clock() -> Clock {
    Arc::new(|| Timestamp::from_second(1_795_600_000).unwrap())
}

fn log() -> Arc<Log> {
    Log::of_tests(Level::Info, |_| ())
}

async fn bind(coordinator: &Arc<Coordinator>, config: Config) -> Result<Server, ServeError> {
    Server::bind(Arc::clone(coordinator), config, None).await
}

fn coordinator() -> Arc<Coordinator> {
    Arc::new(Coordinator::new(Params::default()))
}

#[tokio::test]
async fn it_serves_until_told_to_stop_and_leaves_no_socket() {
    let directory = TempDir::new().unwrap();
    let config = config(&directory);
    let coordinator = coordinator();
    let server = bind(&coordinator, config.clone()).await.unwrap();
    assert_ne!(server.http_address().unwrap().port(), 0);
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(server.run(log(), clock(), shutdown.clone()));

    // A second one does not push the first aside.
    let error = bind(&coordinator, config).await.unwrap_err();
    assert!(error.to_string().contains("another coordinator serves on"));

    let socket = directory.path().join("run").join(READ_SOCKET);
    let stream = UnixStream::connect(&socket).await.unwrap();
    let mut client =
        FleetServiceClient::new(link::channel(link::endpoint(), stream).await.unwrap());
    let agents = client.list_agents(ListAgentsRequest::default()).await;
    assert!(agents.unwrap().into_inner().agents.is_empty());
    // It was evaluated before it answered.
    assert_eq!(coordinator.current().view.at, clock()());

    // An agent that appears in the directory is followed.
    let agents = directory.path().join("agents");
    std::fs::create_dir(&agents).unwrap();
    std::fs::write(agents.join("pve1.sock"), "").unwrap();
    let mut states = coordinator.subscribe();
    let followed = states.wait_for(|current| !current.agents.is_empty());
    let agent = followed.await.unwrap().agents[0].clone();
    assert!(agent.address.ends_with("pve1.sock"));

    shutdown.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(
        std::fs::read_dir(directory.path().join("run"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let directory = TempDir::new().unwrap();
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut config = config(&directory);
    config.http.listen = taken.local_addr().unwrap();
    let error = bind(&coordinator(), config).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&taken.local_addr().unwrap().to_string())
    );
    // Nothing stays behind.
    assert_eq!(
        std::fs::read_dir(directory.path().join("run"))
            .unwrap()
            .count(),
        0
    );
}
