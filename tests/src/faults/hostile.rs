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
/// Between two updates of one that repeats itself: below what may come at once.
const BETWEEN: Duration = Duration::from_millis(50);

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

/// How a node with a good certificate misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misdeed {
    /// Sends without end.
    Flood,
    /// Sends everything twice, old things now and then, and all of it again on each
    /// connection, whatever cursor it is asked from.
    Repeat,
}

/// Is such a node.
///
/// # Errors
/// When it has no identity.
pub async fn misbehave(identity: &Path, address: SocketAddr, misdeed: Misdeed) -> Result<()> {
    let identity = Identity::load(identity)?.context("there is no identity")?;
    let tls = identity.server_config()?;
    let agent = Arc::new(Hostile { identity, misdeed });
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
struct Hostile {
    identity: Identity,
    misdeed: Misdeed,
}

/// The number of what is sent as the n-th, by one that repeats itself.
fn repeated(n: u64) -> u64 {
    let newest = n / 2 + 1;
    if n % 20 == 19 {
        newest.saturating_sub(5).max(1)
    } else {
        newest
    }
}

fn response(epoch: &str, sequence: u64, samples: Vec<Sample>) -> WatchResponse {
    WatchResponse {
        event: Some(watch_response::Event::Update(NodeUpdate {
            cursor: Some(Cursor {
                epoch: epoch.to_owned(),
                sequence,
            }),
            samples,
            ..NodeUpdate::default()
        })),
    }
}

impl Hostile {
    fn epoch(&self) -> &'static str {
        match self.misdeed {
            Misdeed::Flood => "flood",
            Misdeed::Repeat => "repeat",
        }
    }

    fn again(n: u64) -> WatchResponse {
        let load = Sample {
            collector: "load".to_owned(),
            observed_at: Some(timestamp_from_millis(Timestamp::now().as_millisecond())),
            interval_seconds: 10,
            payload: Some(sample::Payload::Load(Load::default())),
            ..Sample::default()
        };
        response("repeat", repeated(n), vec![load])
    }

    fn flood(number: u64) -> WatchResponse {
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
        // With gaps, so that ranges do not join.
        response("flood", number * 2 + 1, samples.collect())
    }
}

#[tonic::async_trait]
impl NodeAgentService for Hostile {
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
            epoch: self.epoch().to_owned(),
            ..DescribeResponse::default()
        }))
    }

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let updates = match self.misdeed {
            Misdeed::Flood => stream::iter(0..)
                .map(|number| Ok(Self::flood(number)))
                .boxed(),
            Misdeed::Repeat => stream::iter(0..)
                .then(|n| async move {
                    sleep(BETWEEN).await;
                    Ok(Self::again(n))
                })
                .boxed(),
        };
        Ok(Response::new(updates))
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
