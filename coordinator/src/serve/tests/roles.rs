//! Every method on every socket, as a client of that socket calls it.

use tonic::{Code, Request, Status, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;

use super::*;
use crate::grpc::Role;

const ROLES: [Role; 3] = [Role::Reader, Role::Operator, Role::Admin];

struct Sockets {
    channels: Vec<(Role, Channel)>,
    shutdown: CancellationToken,
    running: task::JoinHandle<Result<(), ServeError>>,
    _directory: TempDir,
}

impl Sockets {
    async fn served() -> Self {
        let directory = TempDir::new().unwrap();
        let server = bind(&coordinator(), config(&directory)).await.unwrap();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(server.run(log(), clock(), shutdown.clone()));
        let mut channels = Vec::new();
        for role in ROLES {
            let socket = directory.path().join("run").join(role.socket());
            let stream = UnixStream::connect(&socket).await.unwrap();
            let channel = link::channel(link::endpoint(), stream).await.unwrap();
            channels.push((role, channel));
        }
        Self {
            channels,
            shutdown,
            running,
            _directory: directory,
        }
    }

    async fn end(self) {
        self.shutdown.cancel();
        drop(self.channels);
        self.running.await.unwrap().unwrap();
    }
}

/// Calls a method with an empty request, up to the first sign of an answer.
async fn call(channel: &Channel, method: &str) -> Result<(), Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let path = format!("/{method}").parse().unwrap();
    let codec = ProstCodec::<(), ()>::default();
    let answer = client.server_streaming(Request::new(()), path, codec).await;
    answer.map(drop)
}

#[tokio::test]
async fn a_socket_gives_its_role_for_every_method() {
    let sockets = Sockets::served().await;
    for (role, channel) in &sockets.channels {
        for method in Role::Admin.methods() {
            let result = call(channel, method).await;
            let code = result.as_ref().map_or_else(Status::code, |()| Code::Ok);
            let where_ = format!("{method} on {}: {code:?}", role.socket());
            if role.methods().any(|allowed| allowed == method) {
                let refused = [Code::PermissionDenied, Code::Unimplemented];
                assert!(!refused.contains(&code), "{where_}");
                continue;
            }
            assert_eq!(code, Code::PermissionDenied, "{where_}");
            let status = result.unwrap_err();
            assert!(status.message().contains(role.socket()), "{status}");
            let details = status.get_error_details();
            let info = details.error_info().unwrap();
            assert_eq!((&*info.reason, &*info.domain), ("ROLE_TOO_LOW", "pvelens"));
            let needed = ROLES
                .into_iter()
                .find(|role| role.methods().any(|allowed| allowed == method));
            let hint = &info.metadata["hint"];
            assert!(hint.contains(needed.unwrap().socket()), "{hint}");
            let who = match needed.unwrap() {
                Role::Admin => "root",
                _ => "pvelens-operators",
            };
            assert!(hint.contains(who), "{hint}");
        }
    }
    sockets.end().await;
}

#[tokio::test]
async fn what_nobody_knows_is_not_allowed_to_anybody() {
    let sockets = Sockets::served().await;
    for (_, channel) in &sockets.channels {
        for method in [
            "pvelens.v1.FleetService/Nonsense",
            "pvelens.v1.FleetService/",
            "pvelens.v1.fleetservice/GetAccess",
            "pvelens.v1.FleetService/GetAccess/",
            "pvelens.agent.v1.NodeAgentService/Describe",
            "/pvelens.v1.FleetService/GetAccess",
        ] {
            let status = call(channel, method).await.unwrap_err();
            assert_eq!(status.code(), Code::Unimplemented, "{method}");
        }
    }
    sockets.end().await;
}
