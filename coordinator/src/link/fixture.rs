//! An agent for tests: it says what it is told to, and remembers what it was asked.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{self, Poll},
};

use futures::stream::{self, BoxStream, StreamExt};
use pvelens_agent::guest::catalogue::Catalogue;
use pvelens_proto::agent::v1::{
    AuditHead, CreateCsrRequest, CreateCsrResponse, Cursor, DescribeRequest, DescribeResponse,
    GetSelfReportRequest, GetSelfReportResponse, GuestCommand, GuestCommandBegun,
    GuestCommandOutcome, GuestCommandOutput, GuestCommandParameter, GuestCommandProgress,
    GuestCommandRefusal, GuestCommandResult, Heartbeat, InstallCertificateRequest,
    InstallCertificateResponse, ListAuditRequest, ListAuditResponse, ListGuestCommandsRequest,
    ListGuestCommandsResponse, NoData, NodeUpdate, RunGuestCommandRequest, RunGuestCommandResponse,
    Sample, WatchRequest, WatchResponse,
    node_agent_service_server::{NodeAgentService, NodeAgentServiceServer},
    run_guest_command_response::Event as Step,
    sample::Payload,
    watch_response::Event,
};
use tokio::{
    io::ReadBuf,
    net::{TcpStream, UnixListener},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{
    Request, Response,
    transport::{Server, server::Connected},
};

use super::*;
use crate::trust::fixture::{Holder, Key};

pub(crate) fn at() -> Timestamp {
    Timestamp::from_second(1_795_600_000).unwrap()
}

/// One agent. Sends one update per stream and then, as told, ends the stream or is
/// silent.
#[derive(Debug, Default)]
pub(crate) struct FakeAgent {
    pub(crate) node: &'static str,
    pub(crate) cluster_id: &'static str,
    pub(crate) silent: bool,
    pub(crate) watched: Mutex<Vec<WatchRequest>>,
    pub(crate) listed: AtomicU64,
    pub(crate) ran: Mutex<Vec<RunGuestCommandRequest>>,
    /// Results by command; any other completes without a word.
    pub(crate) results: Mutex<BTreeMap<&'static str, GuestCommandResult>>,
    /// Ends a run without a result.
    pub(crate) breaks_off: bool,
    /// Of the heartbeat and of each answer about the record.
    pub(crate) head: Mutex<Option<AuditHead>>,
    pub(crate) record: Mutex<ListAuditResponse>,
    /// Certificates that it was given.
    pub(crate) installed: Mutex<Vec<InstallCertificateRequest>>,
    /// Of its stream; `e1` when it is not set.
    pub(crate) epoch: &'static str,
}

impl FakeAgent {
    pub(crate) fn silent(node: &'static str) -> Self {
        Self {
            node,
            cluster_id: "c0ffee",
            silent: true,
            ..Self::default()
        }
    }

    /// Serves at a socket until the runtime ends.
    pub(crate) fn serve(self, socket: &Path) -> Arc<Self> {
        let listener = UnixListener::bind(socket).unwrap();
        let agent = Arc::new(self);
        let service = NodeAgentServiceServer::from_arc(Arc::clone(&agent));
        tokio::spawn(
            Server::builder()
                .add_service(service)
                .serve_with_incoming(UnixListenerStream::new(listener)),
        );
        agent
    }

    /// Dials a coordinator and serves there as the holder of a certificate; returns when
    /// that ends.
    pub(crate) async fn dial(self: Arc<Self>, coordinator: SocketAddr, holder: &Holder) {
        let stream = TcpStream::connect(coordinator).await.unwrap();
        let tls = TlsAcceptor::from(holder.link_server()).accept(stream);
        // Whoever is refused hears it here.
        let Ok(stream) = tls.await else { return };
        let (guarded, guard) = guarded::guarded(stream);
        let one = stream::once(async { Ok::<_, io::Error>(Dialled(guarded)) });
        // A server whose connections do not come ends while they are served.
        let connections = one.chain(stream::pending());
        let service = NodeAgentServiceServer::from_arc(self);
        let serving = Server::builder()
            .add_service(service)
            .serve_with_incoming(connections);
        tokio::select! {
            served = serving => served.unwrap(),
            () = guard.gone() => {}
        }
    }

    fn epoch(&self) -> String {
        let epoch = if self.epoch.is_empty() {
            "e1"
        } else {
            self.epoch
        };
        epoch.to_owned()
    }

    /// What it answers to a command from now on.
    pub(crate) fn answer(&self, command: &'static str, result: GuestCommandResult) {
        self.results.lock().unwrap().insert(command, result);
    }
}

/// A connection that was dialled, as a server wants it.
struct Dialled(guarded::Guarded<TlsStream<TcpStream>>);

impl Connected for Dialled {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Dialled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Dialled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// A program that printed something and said it went well.
pub(crate) fn printed(reads: &str, text: &str) -> GuestCommandResult {
    GuestCommandResult {
        outcome: GuestCommandOutcome::Completed.into(),
        exit_code: Some(0),
        succeeded: Some(true),
        output: Some(GuestCommandOutput {
            text: text.to_owned(),
            total_bytes: u64::try_from(text.len()).unwrap(),
            encoding: "utf-8".to_owned(),
            ..GuestCommandOutput::default()
        }),
        reads: reads.to_owned(),
        operating_system: "Debian GNU/Linux 12 (bookworm)".to_owned(),
        elapsed_seconds: 0.2,
        ..GuestCommandResult::default()
    }
}

/// The catalogue of this version, of which logs are not allowed.
pub(crate) fn commands() -> Vec<GuestCommand> {
    let catalogue = Catalogue::embedded().unwrap();
    let commands = catalogue.commands().iter();
    commands
        .map(|command| {
            let is_denied = command.group == "logs";
            GuestCommand {
                id: command.id.clone(),
                title: command.title.clone(),
                group: command.group.clone(),
                systems: command
                    .systems
                    .iter()
                    .map(|one| one.name().to_owned())
                    .collect(),
                parameters: command
                    .parameters
                    .iter()
                    .map(|parameter| GuestCommandParameter {
                        name: parameter.name.clone(),
                        title: parameter.title.clone(),
                        takes: parameter.takes(),
                        default_value: parameter.default.clone(),
                        choices: parameter.choices().map(str::to_owned).collect(),
                    })
                    .collect(),
                template: command.template(),
                is_guest_agent_question: command.rpc().is_some(),
                timeout_seconds: u32::try_from(command.timeout().as_secs()).unwrap(),
                output_limit_bytes: 65_536,
                reads: command.reads_name().to_owned(),
                needs: command.needs.clone(),
                note: command.note.clone(),
                allowed: Some(!is_denied),
                refusal: is_denied.then(|| GuestCommandRefusal {
                    rule: "policy_denies".to_owned(),
                    detail: "the policy of pve1 does not allow it".to_owned(),
                    hint: "see guest-policy.toml".to_owned(),
                }),
            }
        })
        .collect()
}

#[tonic::async_trait]
impl NodeAgentService for FakeAgent {
    type WatchStream = BoxStream<'static, Result<WatchResponse, Status>>;
    type RunGuestCommandStream = BoxStream<'static, Result<RunGuestCommandResponse, Status>>;

    async fn describe(
        &self,
        _: Request<DescribeRequest>,
    ) -> Result<Response<DescribeResponse>, Status> {
        Ok(Response::new(DescribeResponse {
            agent_version: "0.1.0".to_owned(),
            node_name: self.node.to_owned(),
            cluster_id: self.cluster_id.to_owned(),
            epoch: self.epoch(),
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
        let mut watched = self.watched.lock().unwrap();
        watched.push(request.into_inner());
        let sequence = u64::try_from(watched.len()).unwrap();
        let now = Some(pvelens_proto::timestamp_from_millis(at().as_millisecond()));
        let heartbeat = Event::Heartbeat(Heartbeat {
            sent_at: now,
            newest: None,
            audit_head: self.head.lock().unwrap().clone(),
        });
        let update = Event::Update(NodeUpdate {
            cursor: Some(Cursor {
                epoch: self.epoch(),
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

    async fn list_guest_commands(
        &self,
        _: Request<ListGuestCommandsRequest>,
    ) -> Result<Response<ListGuestCommandsResponse>, Status> {
        self.listed.fetch_add(1, Ordering::Relaxed);
        Ok(Response::new(ListGuestCommandsResponse {
            commands: commands(),
            operating_system: "Debian GNU/Linux 12 (bookworm)".to_owned(),
            policy_profile: "standard".to_owned(),
            ..ListGuestCommandsResponse::default()
        }))
    }

    async fn run_guest_command(
        &self,
        request: Request<RunGuestCommandRequest>,
    ) -> Result<Response<Self::RunGuestCommandStream>, Status> {
        let request = request.into_inner();
        let results = self.results.lock().unwrap();
        let result = results.get(&*request.command).cloned();
        let head = self.head.lock().unwrap().clone();
        let mut result = result.unwrap_or_else(|| printed("text", ""));
        let argv = vec!["/bin/of-the-node".to_owned(), request.command.clone()];
        result.argv.clone_from(&argv);
        result.audit_head.clone_from(&head);
        self.ran.lock().unwrap().push(request);
        let mut steps = vec![
            Step::Begun(GuestCommandBegun {
                argv,
                audit_head: head,
            }),
            Step::Progress(GuestCommandProgress {
                elapsed_seconds: 1.0,
            }),
        ];
        if !self.breaks_off {
            steps.push(Step::Result(result));
        }
        let steps = stream::iter(steps);
        let steps = steps.map(|event| Ok(RunGuestCommandResponse { event: Some(event) }));
        Ok(Response::new(steps.boxed()))
    }

    async fn list_audit(
        &self,
        _: Request<ListAuditRequest>,
    ) -> Result<Response<ListAuditResponse>, Status> {
        Ok(Response::new(self.record.lock().unwrap().clone()))
    }

    async fn create_csr(
        &self,
        _: Request<CreateCsrRequest>,
    ) -> Result<Response<CreateCsrResponse>, Status> {
        Ok(Response::new(CreateCsrResponse {
            csr_der: Key::new().csr,
            expires_at: None,
        }))
    }

    async fn install_certificate(
        &self,
        request: Request<InstallCertificateRequest>,
    ) -> Result<Response<InstallCertificateResponse>, Status> {
        self.installed.lock().unwrap().push(request.into_inner());
        Ok(Response::new(InstallCertificateResponse::default()))
    }
}
