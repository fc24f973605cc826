//! What strangers and a hostile node do to the ports of a coordinator.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use futures::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;
use pvelens_agent::identity::Identity;
use pvelens_proto::{
    agent::v1::{node_agent_service_server::NodeAgentService, *},
    timestamp_from_millis,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tonic::{Request, Response, Status, transport::Server};

/// Connections that say nothing, at the same time.
const SILENT: usize = 700;
const PATIENCE: Duration = Duration::from_secs(20);

/// Knocks at a port in every way that is not right, and says how it went.
///
/// # Errors
/// When the port is not there at all.
pub async fn scan(address: SocketAddr, rounds: u32) -> Result<String> {
    drop(
        TcpStream::connect(address)
            .await
            .context("the port is closed")?,
    );
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        if let Ok(Ok(stream)) = timeout(Duration::from_secs(1), TcpStream::connect(address)).await {
            silent.push(stream);
        }
    }
    let hello = [
        0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03,
    ];
    let words: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x00",
        // A hello that is cut off, and the length of one that never comes.
        &hello,
        &[0x16, 0x03, 0x01, 0xff, 0xff],
        &[0xff; 4096],
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ];
    let mut ended = 0;
    for round in 0..rounds {
        for word in words {
            let Ok(Ok(mut stream)) =
                timeout(Duration::from_secs(1), TcpStream::connect(address)).await
            else {
                continue;
            };
            // The other end may have gone already.
            drop(stream.write_all(word).await);
            if round % 2 == 0 {
                drop(stream.shutdown().await);
            }
            let mut buffer = [0; 64];
            let read = timeout(Duration::from_millis(200), stream.read(&mut buffer));
            ended += u32::from(matches!(read.await, Ok(Ok(0) | Err(_))));
        }
    }
    let mut cut = 0;
    let first = silent.iter_mut().next();
    if let Some(stream) = first {
        let mut buffer = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut buffer));
        cut = u32::from(read.await.is_ok());
    }
    Ok(format!(
        "{} silent connections ({} ended by the port), {rounds} rounds of garbage, {ended} ended at once",
        silent.len(),
        if cut == 1 {
            "the first was"
        } else {
            "none was"
        }
    ))
}

/// Is a node with a good certificate that sends without end.
///
/// # Errors
/// When it has no identity.
pub async fn flood(identity: &Path, address: SocketAddr) -> Result<()> {
    let identity = Identity::load(identity)?.context("there is no identity")?;
    let tls = identity.server_config()?;
    let agent = Arc::new(Flood { identity });
    loop {
        if let Ok(stream) = TcpStream::connect(address).await
            && let Ok(stream) = TlsAcceptor::from(Arc::clone(&tls)).accept(stream).await
        {
            let service =
                node_agent_service_server::NodeAgentServiceServer::from_arc(Arc::clone(&agent));
            let (plain, mut near) = tokio::io::duplex(1 << 20);
            let incoming = stream::iter([std::io::Result::Ok(plain)]).chain(stream::pending());
            let serving = Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming);
            let mut stream = stream;
            tokio::select! {
                _ = serving => {}
                _ = tokio::io::copy_bidirectional(&mut stream, &mut near) => {}
            }
        }
        // At once again, as nobody honest would.
        sleep(Duration::from_millis(20)).await;
    }
}

#[derive(Debug)]
struct Flood {
    identity: Identity,
}

impl Flood {
    fn update(number: u64) -> WatchResponse {
        let now = Some(timestamp_from_millis(Timestamp::now().as_millisecond()));
        let samples = (0..200).map(|sample| Sample {
            collector: format!("flood-{number}-{sample}"),
            observed_at: now,
            interval_seconds: 10,
            payload: Some(sample::Payload::NoData(NoData {
                reason: "x".repeat(5000),
            })),
            ..Sample::default()
        });
        WatchResponse {
            event: Some(watch_response::Event::Update(NodeUpdate {
                cursor: Some(Cursor {
                    epoch: "flood".to_owned(),
                    // With gaps, so that ranges do not join.
                    sequence: number * 2 + 1,
                }),
                samples: samples.collect(),
                ..NodeUpdate::default()
            })),
        }
    }
}

#[tonic::async_trait]
impl NodeAgentService for Flood {
    type WatchStream = BoxStream<'static, Result<WatchResponse, Status>>;
    type RunGuestCommandStream = BoxStream<'static, Result<RunGuestCommandResponse, Status>>;

    async fn describe(
        &self,
        _: Request<DescribeRequest>,
    ) -> Result<Response<DescribeResponse>, Status> {
        Ok(Response::new(DescribeResponse {
            agent_version: "0.1.0".to_owned(),
            node_name: self.identity.node.clone(),
            cluster_id: self.identity.cluster.clone(),
            is_pve_node: true,
            epoch: "flood".to_owned(),
            ..DescribeResponse::default()
        }))
    }

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let updates = stream::iter(0..).map(|number| Ok(Self::update(number)));
        Ok(Response::new(updates.boxed()))
    }

    async fn get_self_report(
        &self,
        _: Request<GetSelfReportRequest>,
    ) -> Result<Response<GetSelfReportResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_guest_commands(
        &self,
        _: Request<ListGuestCommandsRequest>,
    ) -> Result<Response<ListGuestCommandsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn run_guest_command(
        &self,
        _: Request<RunGuestCommandRequest>,
    ) -> Result<Response<Self::RunGuestCommandStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_audit(
        &self,
        _: Request<ListAuditRequest>,
    ) -> Result<Response<ListAuditResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn create_csr(
        &self,
        _: Request<CreateCsrRequest>,
    ) -> Result<Response<CreateCsrResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn install_certificate(
        &self,
        _: Request<InstallCertificateRequest>,
    ) -> Result<Response<InstallCertificateResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}
